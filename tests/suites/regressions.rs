//! Seeds that once failed, each with its cause. A seed means the same only as long as the
//! simulator draws the same: the first of each test still fails when the fix is taken back (there
//! is a mutant for each), and transcripts keep what must stay.

use chat_tests::simulation::run::run_seed;

fn check(seed: u64) {
    if let Some(violation) = run_seed(seed, false).violation {
        panic!("seed {seed}: {violation}");
    }
}

/// Every read round put off the heartbeat timer, and with it the repeated `Coordinator` (R9): a
/// wiped node was never called as long as clients read.
#[test]
fn idle_nodes_are_called_despite_steady_reads() {
    check(44);
    check(2_667);
}

/// The refusal of a parked fetch overtook the `Resign` that named the successor, which then no
/// longer knew whom it followed and waited like everybody else (R17).
#[test]
fn a_successor_believes_a_resign_that_comes_late() {
    check(3);
    check(3_147);
}

/// An empty disk took the term of a forged message, its cluster was born in that term, and no later
/// one was left (R4, R12).
#[test]
fn forged_terms_before_the_birth_do_not_outlive_it() {
    check(252);
    check(256);
}

/// Between empty disks that had met different terms every answer was dropped as old, so no cluster
/// was born (R4, R12).
#[test]
fn empty_disks_of_different_terms_form_a_cluster() {
    check(8);
    check(203);
}

/// An empty disk went back to a lower term and sent what it had held in the higher one, which was
/// on its disk no more (R1, R4).
#[test]
fn held_messages_of_a_term_that_was_left_are_dropped() {
    check(70);
}
