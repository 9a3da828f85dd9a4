//! The harness that damages files is itself tested: what a cluster must not do is found.
//!
//! The damages themselves are a step of `cargo xtask test` and the command `cargo xtask damage`.

use std::time::Duration;

use chat_tests::damage::golden::Goldens;
use chat_tests::damage::record::{Failure, Outcome};
use chat_tests::damage::round::{self, Plan};
use chat_tests::damage::tree;
use chat_tests::processes::waiting::within;

const LIMIT: Duration = Duration::from_secs(240);

/// If all disks are as they were earlier, the cluster itself cannot know: the loss must be found by the
/// harness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undamaged_round_is_harmless_and_loss_on_all_disks_is_found() {
    within(LIMIT, async {
        let mut goldens = Goldens::build().await;
        for number in 0..goldens.len() {
            let record = round::run(&mut goldens, &Plan::undamaged(number), None).await;
            assert_eq!(record.outcome, Outcome::Harmless, "{record}");
        }

        let last = goldens.len() - 1;
        for id in goldens.cluster.ids() {
            let current = goldens.copy(last).data(id);
            tree::restore(&goldens.old_data(id), &current).unwrap();
        }
        let record = round::run(&mut goldens, &Plan::undamaged(last), None).await;
        let is_found = matches!(record.outcome, Outcome::Failed(Failure::Wrong(_)));
        assert!(is_found, "{record}");
    })
    .await;
}
