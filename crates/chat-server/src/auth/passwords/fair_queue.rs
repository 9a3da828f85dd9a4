//! The queue of a hasher, in fair order: sources take turns, in each source its connections, in each
//! connection its accounts.
//!
//! However much one connection requests, another one of the same address waits for one of its items
//! only, and another address for one item of that address. However many connections of an address
//! request all the time, one that had nothing queued comes before them. A full queue drops the newest
//! item of the lane that has the most in it, which is only the new item if no lane has more.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// The lane of an item at each level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    pub(super) source: u64,
    pub(super) connection: u64,
    pub(super) account: u64,
}

/// A bounded queue with turns.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    items_max: usize,
    sources: Lane<T>,
}

/// What a hasher gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    Item(T),
    /// Nothing before this moment: all sources with items are paced.
    At(Instant),
    Empty,
}

/// How many newcomers are served in a row while others wait: a flood of newcomers must not keep the
/// others out either.
const NEWCOMERS_IN_A_ROW: usize = 2;

/// What the lanes in a lane separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Sources,
    Connections,
    Accounts,
    Items,
}

/// What is queued under one key: lanes of the next level, or items at the last level.
#[derive(Debug)]
struct Lane<T> {
    level: Level,
    waiting: usize,
    items: VecDeque<T>,
    lanes: HashMap<u64, Self>,
    /// The keys of `lanes`, the next one to be served first.
    turns: VecDeque<u64>,
    /// How many of `turns`, from the first on, were not served since they had nothing queued.
    newcomers: usize,
    /// How many of them were served since the last lane that was not a newcomer.
    newcomers_served: usize,
}

impl Level {
    fn below(self) -> Self {
        match self {
            Self::Sources => Self::Connections,
            Self::Connections => Self::Accounts,
            Self::Accounts | Self::Items => Self::Items,
        }
    }
}

impl<T> FairQueue<T> {
    pub(super) fn new(items_max: usize) -> Self {
        Self {
            items_max,
            sources: Lane::new(Level::Sources),
        }
    }

    /// Adds `item`; returns the item that is dropped if that is one too many.
    pub(super) fn push(&mut self, lanes: Lanes, item: T) -> Option<T> {
        let path = [lanes.source, lanes.connection, lanes.account];
        self.sources.push(&path, item);
        if self.sources.waiting > self.items_max {
            self.sources.shed()
        } else {
            None
        }
    }

    /// The next item of a source that is not paced; `paced` returns until when a source is.
    pub(super) fn pop(&mut self, paced: impl Fn(u64) -> Option<Instant>) -> Next<T> {
        let mut earliest: Option<Instant> = None;
        for turn in 0..self.sources.turns.len() {
            let Some(at) = paced(self.sources.turns[turn]) else {
                let item = self.sources.pop(turn);
                return Next::Item(item.expect("a lane in the turns has items"));
            };
            earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
        }
        earliest.map_or(Next::Empty, Next::At)
    }
}

impl<T> Lane<T> {
    fn new(level: Level) -> Self {
        Self {
            level,
            waiting: 0,
            items: VecDeque::new(),
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            newcomers: 0,
            newcomers_served: 0,
        }
    }

    fn push(&mut self, path: &[u64], item: T) {
        self.waiting += 1;
        let Some((key, rest)) = path.split_first() else {
            self.items.push_back(item);
            return;
        };
        if !self.lanes.contains_key(key) {
            if self.level == Level::Connections {
                self.turns.insert(self.newcomers, *key);
                self.newcomers += 1;
            } else {
                self.turns.push_back(*key);
            }
        }
        let below = self.level.below();
        let lane = self.lanes.entry(*key).or_insert_with(|| Self::new(below));
        lane.push(rest, item);
    }

    /// The first item of the lane at position `turn`, which then comes last.
    fn pop(&mut self, turn: usize) -> Option<T> {
        let item = if self.turns.is_empty() {
            self.items.pop_front()
        } else {
            let key = self.turns.remove(turn)?;
            if turn < self.newcomers {
                self.newcomers -= 1;
                self.newcomers_served += 1;
            } else {
                self.newcomers_served = 0;
            }
            let lane = self.lanes.get_mut(&key)?;
            let item = lane.pop(lane.next_turn());
            if lane.waiting > 0 {
                self.turns.push_back(key);
            } else {
                self.lanes.remove(&key);
            }
            item
        }?;
        self.waiting -= 1;
        Some(item)
    }

    /// The position in `turns` of the lane that is served next.
    fn next_turn(&self) -> usize {
        let others = self.newcomers < self.turns.len();
        if others && self.newcomers_served >= NEWCOMERS_IN_A_ROW {
            self.newcomers
        } else {
            0
        }
    }

    /// The newest item of the longest lane.
    fn shed(&mut self) -> Option<T> {
        let waiting = |key: &u64| self.lanes.get(key).map_or(0, |lane| lane.waiting);
        // The last of those that are as long: the lane that came first keeps its items.
        let longest = (0..self.turns.len()).max_by_key(|&turn| waiting(&self.turns[turn]));
        let item = match longest {
            None => self.items.pop_back(),
            Some(turn) => {
                let key = self.turns[turn];
                let lane = self.lanes.get_mut(&key)?;
                let item = lane.shed();
                if lane.waiting == 0 {
                    self.lanes.remove(&key);
                    self.turns.remove(turn);
                    self.newcomers -= usize::from(turn < self.newcomers);
                }
                item
            }
        }?;
        self.waiting -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{FairQueue, Lanes, Next};

    fn lanes(source: u64, connection: u64, account: u64) -> Lanes {
        Lanes {
            source,
            connection,
            account,
        }
    }

    fn pop(queue: &mut FairQueue<&'static str>) -> &'static str {
        match queue.pop(|_| None) {
            Next::Item(item) => item,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flood_of_one_connection_does_not_keep_others_out() {
        let mut queue = FairQueue::new(200);
        for account in 0..120 {
            assert_eq!(queue.push(lanes(1, 1, account), "bogus"), None);
        }
        queue.push(lanes(1, 2, 7), "same source");
        queue.push(lanes(2, 3, 7), "other source");
        let served = [(); 5].map(|()| pop(&mut queue));
        assert_eq!(
            served,
            ["bogus", "other source", "same source", "bogus", "bogus"]
        );
    }

    #[test]
    fn connection_with_nothing_queued_comes_before_a_flood() {
        let mut queue = FairQueue::new(1_000);
        for connection in 1..=6 {
            for account in 0..20 {
                queue.push(lanes(1, connection, account), "bogus");
            }
        }
        for _ in 0..30 {
            pop(&mut queue);
        }
        queue.push(lanes(1, 7, 7), "honest");
        assert_eq!([pop(&mut queue), pop(&mut queue)], ["honest", "bogus"]);
        // A flood that opens a new connection for each login does not keep the others out either.
        for connection in 8..100 {
            queue.push(lanes(1, connection, 0), "new");
        }
        let served = [(); 9].map(|()| pop(&mut queue));
        let expected = ["new", "new", "bogus"];
        assert_eq!(served[..3], expected);
        assert_eq!(served[3..6], expected);
        assert_eq!(served[6..], expected);
    }

    #[test]
    fn accounts_of_one_connection_take_turns() {
        let mut queue = FairQueue::new(200);
        for _ in 0..10 {
            queue.push(lanes(1, 1, 1), "alice");
        }
        queue.push(lanes(1, 1, 2), "bob");
        assert_eq!([pop(&mut queue), pop(&mut queue)], ["alice", "bob"]);
    }

    #[test]
    fn full_queue_sheds_from_the_longest_lane() {
        let mut queue = FairQueue::new(3);
        assert_eq!(queue.push(lanes(1, 1, 1), "first"), None);
        assert_eq!(queue.push(lanes(1, 1, 2), "second"), None);
        assert_eq!(queue.push(lanes(1, 2, 3), "third"), None);
        assert_eq!(queue.push(lanes(2, 9, 9), "honest"), Some("second"));
        assert_eq!(queue.push(lanes(1, 1, 4), "more"), Some("more"));
        let mut left = [(); 3].map(|()| pop(&mut queue));
        left.sort_unstable();
        assert_eq!(left, ["first", "honest", "third"]);
        assert_eq!(queue.pop(|_| None), Next::Empty);
    }

    #[test]
    fn paced_source_does_not_block_others() {
        let mut queue = FairQueue::new(8);
        let later = Instant::now() + Duration::from_secs(1);
        queue.push(lanes(1, 1, 1), "slow");
        queue.push(lanes(2, 2, 2), "quick");
        let paced = |source| (source == 1).then_some(later);
        assert_eq!(queue.pop(paced), Next::Item("quick"));
        assert_eq!(queue.pop(paced), Next::At(later));
        assert_eq!(pop(&mut queue), "slow");
    }
}
