//! The situations that must occur in the seeds for the checks to mean something: counted, and printed
//! with the faults. Checks nothing.

use std::collections::BTreeMap;

/// A situation that a guarantee is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Situation {
    /// An account is created under the name of a deleted one.
    AccountCreatedAgain,
    /// The request that created an account arrives once more, after that account's end.
    LateSignUp,
    /// A message is sent once more under its id.
    SentAgain,
    /// The same, and the message was deleted since, or its recipient.
    DeletedSentAgain,
    /// A command in the log belongs to a session that has ended.
    EndedSessionUsed,
    /// A command that has ended its own session is in the log again.
    EndedByItself,
    /// A node looks up a session that has ended.
    EndedSessionShown,
    /// An inbox is read.
    InboxRead,
    /// An inbox is read of a name whose earlier account had received messages.
    RecreatedAccountInboxRead,
    /// An entry is applied again, on another node or after its effects were lost.
    AppliedAgain,
    /// All tables of two nodes are compared.
    TablesCompared,
    /// A request is rejected because of a limit.
    BeyondLimit,
    /// A message is stored with a copy.
    CopyKept,
    /// A copy is deleted.
    CopyDeleted,
    /// A copy is read whose message its recipient has deleted.
    CopyOutlivesMessage,
    /// Messages are looked up by their ids.
    MessagesLocated,
}

const ALL: [Situation; 16] = [
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
    Situation::BeyondLimit,
    Situation::CopyKept,
    Situation::CopyDeleted,
    Situation::CopyOutlivesMessage,
    Situation::MessagesLocated,
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
            Self::BeyondLimit => "request beyond a limit",
            Self::CopyKept => "message stored with a copy",
            Self::CopyDeleted => "copy deleted",
            Self::CopyOutlivesMessage => "copy read whose message is deleted",
            Self::MessagesLocated => "messages looked up by id",
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
