//! What must occur in the seeds, lest the checks have nothing to say: counted, and printed with the
//! faults. Judges nothing.

use std::collections::BTreeMap;

/// Something that a promise is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Situation {
    /// A name has another owner than before.
    AccountCreatedAgain,
    /// The request that created an account arrives once more, after that account's end.
    LateSignUp,
    /// A message is sent once more under its id.
    SentAgain,
    /// So is one that was deleted since, or whose recipient was.
    DeletedSentAgain,
    /// A command stands in the log in the name of a session that has ended.
    EndedSessionUsed,
    /// A command comes to the log again that has ended its own session.
    EndedByItself,
    /// A node is asked whose session this is that has ended.
    EndedSessionShown,
    /// An inbox is read.
    InboxRead,
    /// So is one of a name whose earlier owner had received messages.
    RecreatedAccountInboxRead,
    /// An entry is applied again, on another node or after its effects were lost.
    AppliedAgain,
    /// All tables of two nodes are compared.
    TablesCompared,
}

const ALL: [Situation; 11] = [
    Situation::AccountCreatedAgain,
    Situation::LateSignUp,
    Situation::SentAgain,
    Situation::DeletedSentAgain,
    Situation::EndedSessionUsed,
    Situation::EndedByItself,
    Situation::EndedSessionShown,
    Situation::InboxRead,
    Situation::RecreatedAccountInboxRead,
    Situation::AppliedAgain,
    Situation::TablesCompared,
];

/// How often each occurred.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    counts: BTreeMap<Situation, u64>,
}

impl Situation {
    fn name(self) -> &'static str {
        match self {
            Self::AccountCreatedAgain => "account created again under its name",
            Self::LateSignUp => "late sign-up of a deleted account",
            Self::SentAgain => "message sent again",
            Self::DeletedSentAgain => "deleted message sent again",
            Self::EndedSessionUsed => "command of an ended session",
            Self::EndedByItself => "command again that ended its session",
            Self::EndedSessionShown => "ended session looked up",
            Self::InboxRead => "inbox read",
            Self::RecreatedAccountInboxRead => "inbox read whose name had another owner",
            Self::AppliedAgain => "entry applied again",
            Self::TablesCompared => "tables of two nodes compared",
        }
    }
}

impl Occurrences {
    /// It has occurred.
    pub(super) fn note(&mut self, situation: Situation) {
        *self.counts.entry(situation).or_default() += 1;
    }

    /// Every situation by its name, with how often it occurred.
    pub(super) fn by_name(&self) -> Vec<(&'static str, u64)> {
        let count = |situation| self.counts.get(&situation).copied().unwrap_or_default();
        ALL.map(|situation| (situation.name(), count(situation)))
            .to_vec()
    }
}
