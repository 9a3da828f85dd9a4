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
