//! What a node remembers of the voters' disks over terms: the newest run of each, and how many blocks
//! earlier runs had synced. A run that has fewer is that of a disk that forgot (R18).
//!
//! In memory only, and of the disks that the members name: what others send is not remembered.

use alloc::collections::BTreeMap;

use crate::types::{BlockNumber, RunId, Voter};

/// One record for each voter at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct VoterDisks {
    disks: BTreeMap<Voter, DiskRuns>,
}

/// What is known of one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DiskRuns {
    /// Of those with the highest boot count, the one that was met first.
    newest: RunId,
    /// The highest block number of that run. Requests overtake each other, so it may be above that of a
    /// later one.
    synced_block: BlockNumber,
    /// The highest block number of runs with a lower boot count.
    earlier_block: BlockNumber,
}

impl VoterDisks {
    /// Records that `run` of the voter's disk has named `synced_block`, in whatever order requests
    /// arrive. Returns the higher number of an earlier run, if that shows that the disk forgot.
    pub(super) fn record(
        &mut self,
        voter: Voter,
        run: RunId,
        synced_block: BlockNumber,
        admits: impl Fn(Voter) -> bool,
    ) -> Option<BlockNumber> {
        if !admits(voter) {
            return None;
        }
        if !self.disks.contains_key(&voter) {
            self.disks.retain(|known, _| admits(*known));
        }
        let disk = self.disks.entry(voter).or_insert(DiskRuns {
            newest: run,
            synced_block,
            earlier_block: BlockNumber::UNKNOWN,
        });
        if run.counter() < disk.newest.counter() {
            disk.earlier_block = disk.earlier_block.max(synced_block);
            return None;
        }
        if run.counter() > disk.newest.counter() {
            disk.earlier_block = disk.earlier_block.max(disk.synced_block);
            (disk.newest, disk.synced_block) = (run, synced_block);
        }
        disk.synced_block = disk.synced_block.max(synced_block);
        let forgot = synced_block > BlockNumber::UNKNOWN && synced_block < disk.earlier_block;
        forgot.then_some(disk.earlier_block)
    }

    /// The newest run of the voter's disk that is remembered.
    pub(super) fn newest_run(&self, voter: Voter) -> Option<RunId> {
        Some(self.disks.get(&voter)?.newest)
    }

    /// Whether another run of the voter's disk has shown the boot count of `run` or a higher one: `run`
    /// is an old one, or the boot count was rolled back.
    pub(super) fn is_superseded(&self, voter: Voter, run: RunId) -> bool {
        let newest = self.newest_run(voter);
        newest.is_some_and(|newest| newest != run && newest.counter() >= run.counter())
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::types::{NodeId, StorageId};

    const VOTER: Voter = Voter {
        node: NodeId(2),
        storage: StorageId(2),
    };

    fn admits(voter: Voter) -> bool {
        voter == VOTER
    }

    /// What the last of these requests, each a boot count and a number, is answered.
    fn check(requests: &[(u64, u64)], remembered: Option<u64>) {
        let mut disks = VoterDisks::default();
        let mut answer = None;
        for &(boot_count, block) in requests {
            let run = RunId::new(boot_count, 7);
            answer = disks.record(VOTER, run, BlockNumber(block), admits);
        }
        assert_eq!(answer, remembered.map(BlockNumber), "{requests:?}");
    }

    #[test]
    fn lower_number_of_a_later_run_is_a_loss() {
        check(&[(1, 9), (2, 8)], Some(9));
        check(&[(1, 9), (2, 8), (2, 8)], Some(9));
        // Whatever the runs between them have shown.
        check(&[(1, 9), (3, 0), (4, 8)], Some(9));
        check(&[(1, 9), (2, 5), (3, 8)], Some(9));
        // The earlier run's request is late.
        check(&[(2, 8), (1, 9), (2, 8)], Some(9));
    }

    #[test]
    fn honest_disk_never_forgets() {
        check(&[(1, 9), (2, 9)], None);
        check(&[(1, 9), (2, 12)], None);
        // Requests of one run overtake each other.
        check(&[(1, 9), (1, 8)], None);
        check(&[(1, 5), (2, 9), (2, 8)], None);
        // A late one of an earlier run, which had fewer.
        check(&[(2, 9), (1, 5)], None);
        check(&[(2, 9), (1, 5), (2, 9)], None);
        check(&[(2, 9), (1, 9), (3, 9)], None);
    }

    #[test]
    fn unknown_number_shows_nothing() {
        check(&[(1, 9), (2, 0)], None);
        check(&[(1, 0), (2, 1)], None);
        check(&[(1, 0), (2, 0)], None);
    }

    /// The order in which all requests of some runs arrive makes no difference to what is remembered.
    #[test]
    fn memory_does_not_depend_on_the_order() {
        let requests = [(1, 4), (1, 6), (2, 6), (3, 3), (3, 5)];
        let mut memories = Vec::new();
        for first in 0..requests.len() {
            for second in 0..requests.len() {
                let mut order = requests;
                order.swap(0, first);
                order.swap(1, second);
                let mut disks = VoterDisks::default();
                for (boot_count, block) in order {
                    let run = RunId::new(boot_count, 7);
                    let block = BlockNumber(block);
                    let _answer = disks.record(VOTER, run, block, admits);
                }
                memories.push(disks);
            }
        }
        assert!(memories.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn run_with_a_known_boot_count_is_superseded() {
        let mut disks = VoterDisks::default();
        let run = RunId::new(5, 7);
        assert!(!disks.is_superseded(VOTER, run));
        let _answer = disks.record(VOTER, run, BlockNumber(1), admits);
        assert!(!disks.is_superseded(VOTER, run));
        assert!(disks.is_superseded(VOTER, RunId::new(5, 8)));
        assert!(disks.is_superseded(VOTER, RunId::new(4, 7)));
        assert!(!disks.is_superseded(VOTER, RunId::new(6, 8)));
    }

    #[test]
    fn only_disks_of_voters_are_remembered() {
        let mut disks = VoterDisks::default();
        let run = RunId::new(5, 7);
        for storage in 3..100 {
            let other = Voter {
                storage: StorageId(storage),
                ..VOTER
            };
            let _answer = disks.record(other, run, BlockNumber(1), admits);
        }
        assert_eq!(disks, VoterDisks::default());
    }
}
