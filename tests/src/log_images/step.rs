//! One call of a log's owner.

use std::fmt;

use chat_consensus::{LogBase, LogIndex, Writes};

/// One call of the log's owner.
#[derive(Clone)]
pub(super) enum Step {
    Append(Writes),
    Install(LogBase),
    Compact(LogIndex),
    NameState(String),
    Roll,
    RefreshWitness,
    /// The process ends and another one opens the log.
    Reopen,
}

impl fmt::Debug for Step {
    /// Without payloads, which are too long to read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(writes) => {
                write!(f, "append")?;
                if let Some(count) = writes.boot_count {
                    write!(f, ", boot {count}")?;
                }
                if let Some(state) = writes.hard_state {
                    let vote = state.vote.map(|vote| vote.node);
                    write!(f, ", term {} vote {vote:?}", state.term)?;
                }
                if writes.base.is_some() {
                    write!(f, ", base")?;
                }
                if let Some(last) = writes.truncate_after {
                    write!(f, ", truncate after {last}")?;
                }
                for entry in &writes.entries {
                    write!(f, ", {:?} of {}", entry.position, entry.size())?;
                }
                Ok(())
            }
            Self::Install(base) => write!(f, "install {:?}", base.position),
            Self::Compact(through) => write!(f, "compact through {through}"),
            Self::NameState(name) => write!(f, "name state {name}"),
            Self::Roll => write!(f, "roll"),
            Self::RefreshWitness => write!(f, "refresh witness"),
            Self::Reopen => write!(f, "reopen"),
        }
    }
}
