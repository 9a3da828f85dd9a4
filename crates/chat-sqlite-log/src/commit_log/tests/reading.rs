//! Reads within their limits, and the chain values of entries.

use super::*;

#[test]
fn read_returns_what_fits_and_at_least_one_entry() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let mut check_limits = |after, last, limits, expected: &[u64]| {
        let entries = block_on(log.read(LogIndex(after), LogIndex(last), limits)).unwrap();
        let indexes: Vec<u64> = entries.iter().map(|entry| entry.position.index.0).collect();
        assert_eq!(indexes, expected, "after {after} to {last}, {limits:?}");
    };
    for (entries_max, expected) in [(0, &[3][..]), (1, &[3]), (2, &[3, 4]), (9, &[3, 4, 5, 6])] {
        let limits = ReadLimits {
            entries_max,
            ..ReadLimits::NONE
        };
        check_limits(2, 6, limits, expected);
    }
    let mut check = |after, last, bytes_max, expected: &[u64]| {
        let limits = ReadLimits {
            bytes_max,
            ..ReadLimits::NONE
        };
        check_limits(after, last, limits, expected);
    };
    check(2, 6, 0, &[3]);
    check(2, 6, 8, &[3]);
    check(2, 6, 9, &[3, 4]);
    check(2, 6, 1000, &[3, 4, 5, 6]);
    check(2, 4, 1000, &[3, 4]);
    // Two entries without a payload, and one of five bytes.
    check(0, 3, 0, &[1, 2]);
    check(0, 3, 5, &[1, 2, 3]);
    check(5, 1000, 1000, &[6]);
    check(6, 6, 1000, &[]);
    check(7, 9, 1000, &[]);
    check(4, 2, 1000, &[]);
}

#[test]
fn equal_logs_have_equal_chain_values_and_different_logs_do_not() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [mut left, mut right] = directories.each_ref().map(|directory| {
        sample(directory.path());
        CommitLog::open(directory.path()).unwrap().0
    });
    for index in 0..=7 {
        let index = LogIndex(index);
        assert_eq!(
            block_on(left.chain_at(index)).unwrap(),
            block_on(right.chain_at(index)).unwrap()
        );
    }
    assert_eq!(block_on(left.chain_at(LogIndex(7))).unwrap(), None);
    append(&mut left, &[entry(7, 4, "seven")]);
    append(&mut right, &[entry(7, 5, "seven")]);
    assert_ne!(
        block_on(left.chain_at(LogIndex(7))).unwrap(),
        block_on(right.chain_at(LogIndex(7))).unwrap()
    );
}
