//! Counting: which index a majority holds. Nothing else.

use alloc::vec::Vec;

/// The highest value that a majority of `values` has reached: with each voter's matched index,
/// the last index that a majority holds. `values` must not be empty.
pub(crate) fn majority_value(mut values: Vec<u64>) -> u64 {
    assert!(!values.is_empty(), "a cluster has at least one voter");
    values.sort_unstable_by(|a, b| b.cmp(a));
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The naive version: try every value.
    fn naive(values: &[u64]) -> u64 {
        let holds = |v: u64| 2 * values.iter().filter(|x| **x >= v).count() > values.len();
        values
            .iter()
            .copied()
            .filter(|v| holds(*v))
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn agrees_with_the_naive_count() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let values: Vec<u64> = (0..random.usize(1..8)).map(|_| random.u64(0..6)).collect();
            assert_eq!(majority_value(values.clone()), naive(&values), "{values:?}");
        }
    }

    #[test]
    fn two_of_three_and_three_of_five() {
        assert_eq!(majority_value(std::vec![7, 7, 3]), 7);
        assert_eq!(majority_value(std::vec![9, 5, 4, 2, 1]), 4);
        assert_eq!(majority_value(std::vec![3, 9]), 3);
    }
}
