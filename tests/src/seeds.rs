//! Which kind of world a seed has. All kinds have the same clusters, networks and faults; they differ
//! in the state machine of the nodes, and so in what can be checked and in what a seed costs.

#[cfg(feature = "chat")]
use crate::simulation::run::SeedReport;

/// One seed in so many has the chat on its nodes: it costs as much as ten of the others.
const CHAT_ONE_IN: u64 = 20;

/// The state machine of the nodes of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A list of operations, which is enough to check the log and costs little.
    List,
    /// The chat's own tables.
    Chat,
}

impl Kind {
    /// The kind of `seed`.
    pub fn of(seed: u64) -> Self {
        if seed % CHAT_ONE_IN == CHAT_ONE_IN - 1 {
            Self::Chat
        } else {
            Self::List
        }
    }
}

/// Runs `seed` to its end, or to the first property that does not hold.
#[cfg(feature = "chat")]
pub fn run(seed: u64, record_trace: bool) -> SeedReport {
    match Kind::of(seed) {
        Kind::List => crate::simulation::run::run_seed(seed, record_trace),
        Kind::Chat => crate::chat::run_chat_seed(seed, record_trace),
    }
}
