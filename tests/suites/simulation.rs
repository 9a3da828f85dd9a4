//! A few hundred seeds of the simulator inside `cargo test`; thousands run in
//! `cargo xtask simulate`. Those with the chat are in `chat_simulation`.

use chat_tests::seeds::Kind;
use chat_tests::simulation::run::{SeedReport, run_seed};
use chat_tests::simulation::slow_disk::transferred_after;
use chat_tests::simulation::slow_link::{SlowLink, catch_up};

/// The seed found no violation, and had enough events to mean something.
#[track_caller]
pub(crate) fn check_report(report: &SeedReport) {
    let seed = report.seed;
    if let Some(violation) = &report.violation {
        panic!(
            "seed {seed}: {violation}\nrepeat it with: cargo xtask simulate --seed {seed} --trace"
        );
    }
    assert!(report.events >= 2_000, "seed {seed} is too short");
}

fn check_seeds(seeds: std::ops::Range<u64>) {
    for seed in seeds.filter(|seed| Kind::of(*seed) == Kind::List) {
        check_report(&run_seed(seed, false));
    }
}

#[test]
fn faults_from_seed_10_000_violate_nothing() {
    check_seeds(10_000..10_150);
}

#[test]
fn faults_from_seed_20_000_violate_nothing() {
    check_seeds(20_000..20_150);
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in 30_000..30_010 {
        let once = run_seed(seed, false);
        let again = run_seed(seed, false);
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert_eq!(once.events, again.events, "seed {seed}");
    }
}

#[test]
fn recording_the_trace_does_not_change_the_run() {
    let without_trace = run_seed(7, false);
    let with_trace = run_seed(7, true);
    assert_eq!(without_trace.hash, with_trace.hash);
    assert!(!with_trace.trace.is_empty());
}

/// A full response takes 1.7 s on such a link, and a response that takes more than 400 ms is dropped: a
/// follower must request less, and as much as fits (R8).
#[test]
fn follower_behind_a_slow_link_catches_up_without_an_election() {
    let link = SlowLink {
        bytes_per_second: 1_250_000,
        delay: 50_000,
        entries: 2_000,
        entry_bytes: 10_000,
    };
    let caught_up = catch_up(link).unwrap();
    assert_eq!(caught_up.elections, 0, "{caught_up:?}");
    // 16 s on the link alone, and a round trip for each response.
    assert!(caught_up.micros < 30_000_000, "{caught_up:?}");
}

/// R10: syncs of 40 ms delay every commit, where the others need half a millisecond.
#[test]
fn leader_with_the_slowest_disk_transfers_leadership_within_seconds() {
    let transferred = transferred_after(40_000, false).unwrap();
    let seconds = transferred.expect("the others are faster") as f64 / 1e6;
    assert!((5.0..8.0).contains(&seconds), "{seconds} s");
}

/// R10: where every disk is as slow, or the delay is below the limit, another leader would not help.
#[test]
fn leader_stays_if_no_other_disk_is_faster() {
    assert_eq!(transferred_after(40_000, true).unwrap(), None);
    assert_eq!(transferred_after(5_000, false).unwrap(), None);
}
