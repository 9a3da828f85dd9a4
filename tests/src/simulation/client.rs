//! One client: its current operation and what it did last.

use crate::simulation::process::RequestKind;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) number: usize,
    pub(super) operations: u64,
    pub(super) current: Option<Current>,
    /// The node that it sends to first.
    pub(super) node: usize,
    /// When its last operation ended, and when that had begun.
    pub(crate) last_ended: Option<u64>,
    pub(crate) last_began: u64,
    /// It begins no new operation.
    pub(crate) resting: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Current {
    pub(super) what: RequestKind,
    pub(super) attempt: u64,
    pub(super) began: u64,
    /// An attempt of it may have taken effect.
    pub(super) unknown: bool,
}

impl Client {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            operations: 0,
            current: None,
            node: 0,
            last_ended: None,
            last_began: 0,
            resting: false,
        }
    }

    /// Whether no operation of it is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none()
    }
}
