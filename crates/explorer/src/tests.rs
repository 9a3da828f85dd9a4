//! All that a small cluster can do within bounds, while its members change (R19, R20). `cargo run -p explorer`
//! explores more.

use crate::action::Budget;
use crate::explore;
use crate::world::World;

/// Far more than the first two of these have.
const STATES_MAX: u64 = 20_000_000;

/// Explores everything within the budget, which is not little.
#[track_caller]
fn check_all(budget: Budget) {
    let report = explore(World::settled(3, 3, budget), STATES_MAX, 2);
    assert_eq!(report.found, None);
    assert!(report.is_complete, "{report:?}");
    assert!(report.states >= 200_000, "{report:?}");
}

/// A disk is replaced and returns, around an election and a change that is requested.
#[test]
fn replaced_disk_that_returns_breaks_nothing() {
    let budget = Budget {
        campaigns: 1,
        wipes: 1,
        returns: 1,
        changes: 1,
        announcements: 2,
        ..Budget::default()
    };
    check_all(budget);
}

/// An isolated node, a late message, a late sync and a restart, around an election and a change.
#[test]
fn change_during_an_election_breaks_nothing() {
    let budget = Budget {
        campaigns: 1,
        changes: 1,
        isolations: 1,
        delays: 1,
        slow_syncs: 1,
        ..Budget::default()
    };
    check_all(budget);
}

/// Two leaders that each change an even number of voters (raft-dev, 2015): a part of what four nodes can do,
/// in which a leader that changes the members before its first commit is found.
#[test]
fn changes_of_two_leaders_break_nothing() {
    let budget = Budget {
        campaigns: 2,
        changes: 2,
        isolations: 1,
        ..Budget::default()
    };
    let report = explore(World::settled(4, 4, budget), 2_500_000, 2);
    assert_eq!(report.found, None);
}
