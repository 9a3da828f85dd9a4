//! Which disks a node id has shown to its leader. One after the other is a replaced disk; two disks
//! alternately are two machines with one id, whose fetches the leader would take for one node's (R12).

use core::time::Duration;

use crate::types::{StorageId, Time};

/// The last two disks of one node id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct DisksSeen {
    last: Option<StorageId>,
    before: Option<StorageId>,
    alternated_at: Option<Time>,
    reported_until: Option<Time>,
}

impl DisksSeen {
    /// Records that the node has shown `disk`. Returns whether that should be reported: it is the disk
    /// before the last one, and nothing was reported for `pause`.
    pub(super) fn record(&mut self, disk: StorageId, now: Time, pause: Duration) -> bool {
        if self.last == Some(disk) {
            return false;
        }
        let alternate = self.before == Some(disk);
        self.before = self.last.replace(disk);
        if alternate {
            self.alternated_at = Some(now);
        }
        if !alternate || self.reported_until.is_some_and(|until| now < until) {
            return false;
        }
        self.reported_until = Some(now + pause);
        true
    }

    /// Whether the disk before the last one was shown again less than `pause` ago.
    pub(super) fn alternate(&self, now: Time, pause: Duration) -> bool {
        self.alternated_at.is_some_and(|at| now < at + pause)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::DisksSeen;
    use crate::types::{StorageId, Time};

    #[test]
    fn replaced_disk_is_not_two_machines() {
        let pause = Duration::from_secs(40);
        let mut seen = DisksSeen::default();
        let mut note = |disk: u128, at: u64| seen.record(StorageId(disk), Time(at), pause);
        assert!(!note(1, 1));
        assert!(!note(2, 2), "it was replaced");
        assert!(!note(2, 3));
        assert!(!note(3, 4), "and once more");
        assert!(note(2, 5), "that one is still there");
        assert!(!note(3, 6), "just reported");
        let later = 5 + u64::try_from(pause.as_nanos()).unwrap();
        assert!(note(2, later));
    }
}
