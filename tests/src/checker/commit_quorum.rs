//! Durability: what is committed is synced on a majority of the voters' disks, each the very disk
//! that was admitted (R1, R3, R12).

use chat_consensus::{Membership, Position};

use crate::checker::{Checked, ensure};
use crate::simulation::disk::Disk;
use crate::simulation::node_number;

/// `position` has just been committed by a leader that knew one of these `memberships`. A disk that was wiped or
/// rolled back after it acknowledged counts as it was before, from `former_disks`: losing that is one of
/// the losses that a cluster survives.
///
/// # Errors
///
/// Less than a majority of the admitted disks hold it, in each of them.
pub fn committed<'a>(
    position: Position,
    memberships: impl Iterator<Item = &'a Membership>,
    disks: (&[Disk], &[Disk]),
) -> Checked {
    let mut last = Ok(());
    for membership in memberships {
        last = committed_by(position, membership, disks);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn committed_by(
    position: Position,
    membership: &Membership,
    (disks, former_disks): (&[Disk], &[Disk]),
) -> Checked {
    let holds = |voter: &&chat_consensus::Voter| {
        let disk = &disks[node_number(voter.node)];
        let disks = former_disks.iter().chain([disk]);
        let mut admitted = disks.filter(|disk| disk.storage() == voter.storage);
        admitted.any(|disk| disk.durable().holds(position))
    };
    let holders: Vec<u64> = membership
        .voters
        .iter()
        .filter(holds)
        .map(|voter| voter.node.0)
        .collect();
    ensure(
        holders.len() >= membership.majority(),
        "commit-quorum",
        || {
            format!(
                "{position:?} is committed and synced only on the admitted disks of {holders:?} of {}",
                membership.voters.len()
            )
        },
    )
}
