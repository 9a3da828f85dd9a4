//! Which operation of a disk goes wrong, and how.

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The process dies within it: it is done in part, or wholly, or not at all; nothing answers any
    /// more before [`kill`](super::FaultyDirectory::kill) or
    /// [`lose_power`](super::FaultyDirectory::lose_power).
    Crash,
    /// A sync fails. Some of what was to be synced is on the medium, and the page cache counts the
    /// rest as clean: later syncs succeed without it, and reads return it until the cache is dropped.
    /// Names stay unsynced: a journal of a file system that failed does not pretend.
    SyncFails,
    /// A sync reports success; what was to be synced never reaches the medium, and reads return it
    /// until the cache is dropped.
    SyncLies,
    /// From here on to the end of the process no sync does anything, and each reports success; what it
    /// was to make durable is still in the page cache.
    SyncsPostponed,
    /// A sync writes one of its sectors to another place of the disk.
    Misdirected,
    /// A write, a new name or a new length finds no room; a write may be done in part.
    NoSpace,
}

/// What the disk does wrong at which of its operations, counted from 0 at its last start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The operation from which on the trouble waits for an operation that it fits.
    pub(crate) trouble: Option<(u64, Trouble)>,
    /// Operations that change something, since the last start.
    pub(crate) operations: u64,
    /// What has happened.
    pub(crate) occurred: Option<Trouble>,
}

/// What kind of operation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Name,
    Write,
    Length,
    Sync,
    SyncNames,
}

impl Trouble {
    fn fits(self, operation: Operation) -> bool {
        match self {
            Self::Crash => true,
            Self::SyncFails | Self::SyncLies | Self::SyncsPostponed => {
                matches!(operation, Operation::Sync | Operation::SyncNames)
            }
            Self::Misdirected => operation == Operation::Sync,
            Self::NoSpace => !matches!(operation, Operation::Sync | Operation::SyncNames),
        }
    }
}

impl Plan {
    /// Counts an operation; returns what goes wrong with it.
    pub(crate) fn next(&mut self, operation: Operation) -> Option<Trouble> {
        let number = self.operations;
        self.operations += 1;
        let (from, trouble) = self.trouble?;
        if number < from || !trouble.fits(operation) {
            return None;
        }
        if trouble != Trouble::SyncsPostponed {
            self.trouble = None;
        }
        self.occurred = Some(trouble);
        Some(trouble)
    }
}
