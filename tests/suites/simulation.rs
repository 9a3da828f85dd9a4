//! A few hundred seeds of the simulator inside `cargo test`; thousands run in
//! `cargo xtask simulate`. Those with the chat are in `chat_simulation`.

use chat_tests::seeds::Kind;
use chat_tests::simulation::run::{SeedReport, run_seed};
use chat_tests::simulation::slow_disk::transferred_after;
use chat_tests::simulation::slow_link::{SlowLink, catch_up};

/// A seed was well, and had enough to say.
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
fn clusters_survive_their_faults() {
    check_seeds(10_000..10_150);
}

#[test]
fn clusters_survive_other_faults_too() {
    check_seeds(20_000..20_150);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 30_000..30_010 {
        let once = run_seed(seed, false);
        let again = run_seed(seed, false);
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert_eq!(once.events, again.events, "seed {seed}");
    }
}

#[test]
fn telling_the_story_changes_nothing() {
    let silent = run_seed(7, false);
    let told = run_seed(7, true);
    assert_eq!(silent.hash, told.hash);
    assert!(!told.trace.is_empty());
}

/// A full answer takes 1.7 s on such a link, and an answer that takes more than 400 ms is thrown
/// away: a follower must ask for less, and for as much as fits (R8).
#[test]
fn follower_behind_a_slow_link_catches_up_and_the_leader_stays() {
    let link = SlowLink {
        bytes_per_second: 1_250_000,
        delay: 50_000,
        entries: 2_000,
        entry_bytes: 10_000,
    };
    let caught_up = catch_up(link).unwrap();
    assert_eq!(caught_up.elections, 0, "{caught_up:?}");
    // 16 s on the link alone, and a way there and back for each answer.
    assert!(caught_up.micros < 30_000_000, "{caught_up:?}");
}

/// R10: syncs of 40 ms make everybody wait where the others need half a millisecond.
#[test]
fn leader_with_the_slowest_disk_hands_over_after_seconds() {
    let handed_over = transferred_after(40_000, false).unwrap();
    let seconds = handed_over.expect("the others are faster") as f64 / 1e6;
    assert!((5.0..8.0).contains(&seconds), "{seconds} s");
}

/// R10: where every disk is as slow, or nobody notices, another leader would help nobody.
#[test]
fn leader_stays_where_no_other_disk_is_faster() {
    assert_eq!(transferred_after(40_000, true).unwrap(), None);
    assert_eq!(transferred_after(5_000, false).unwrap(), None);
}
