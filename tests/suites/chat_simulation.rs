//! A few seeds of the simulator with the chat's own tables inside `cargo test`; hundreds run in
//! `cargo xtask simulate`.

use std::collections::BTreeMap;

use chat_tests::chat::run_chat_seed;
use chat_tests::seeds::Kind;

use crate::simulation::check_report;

fn chat_seeds(seeds: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
    seeds.filter(|seed| Kind::of(*seed) == Kind::Chat)
}

/// No message is shown to another account or to a later one of that name, nothing that was deleted or
/// ended reappears, inboxes are complete and in the order of the log; and each situation occurred.
#[test]
fn chat_keeps_its_guarantees_under_all_faults() {
    let mut situations: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in chat_seeds(40_000..40_200) {
        let report = run_chat_seed(seed, false);
        check_report(&report);
        for (name, count) in report.situations {
            *situations.entry(name).or_default() += count;
        }
    }
    assert!(!situations.is_empty());
    for (name, count) in situations {
        assert!(count > 0, "no seed had the situation: {name}");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in chat_seeds(30_000..30_040) {
        let once = run_chat_seed(seed, false);
        let again = run_chat_seed(seed, true);
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert_eq!(once.situations, again.situations, "seed {seed}");
        assert!(!again.trace.is_empty());
    }
}
