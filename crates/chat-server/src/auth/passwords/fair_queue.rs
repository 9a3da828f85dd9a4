//! What waits for a hasher, in turns: of sources, in each of its connections, in each of accounts.
//!
//! However much one connection asks for, another one of the same address waits for one piece of its
//! work, and another address for one piece of that address's. However many connections of an address
//! always ask for something, one that had nothing waiting comes before them. A full queue loses the newest of whoever
//! has the most in it, which is only the newcomer if nobody has more.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// Which turn something waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
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

/// What a hasher finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    Item(T),
    /// Nothing before this moment: whoever waits has to.
    At(Instant),
    Empty,
}

/// How many newcomers are served in a row while others wait: who only ever sends newcomers must not
/// keep the others out either.
const NEWCOMERS_IN_A_ROW: usize = 2;

/// What the lanes of a lane are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Sources,
    Connections,
    Accounts,
    Items,
}

/// What waits under one key, in lanes of the next level; items at the last.
#[derive(Debug)]
struct Lane<T> {
    level: Level,
    waiting: usize,
    items: VecDeque<T>,
    lanes: HashMap<u64, Self>,
    /// The keys of `lanes`, whose turn it is first.
    turns: VecDeque<u64>,
    /// How many of `turns`, from the first on, have not had one since they had nothing waiting.
    newcomers: usize,
    /// How many of them were served since one that was none.
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

    /// Takes `item` in; returns what has to go if that is one too many.
    pub(super) fn push(&mut self, place: Place, item: T) -> Option<T> {
        let path = [place.source, place.connection, place.account];
        self.sources.push(&path, item);
        if self.sources.waiting > self.items_max {
            self.sources.shed()
        } else {
            None
        }
    }

    /// The next item of a source that may go on; `paced` says when one may if it may not yet.
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

    /// The first item of the lane in that place of the turns, which then comes last.
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

    /// The place in the turns of whoever is served next.
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
        // The last of those that are as long: whoever came first keeps what it has.
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

    use super::{FairQueue, Next, Place};

    fn place(source: u64, connection: u64, account: u64) -> Place {
        Place {
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
    fn one_who_asks_much_does_not_keep_others_out() {
        let mut queue = FairQueue::new(200);
        for account in 0..120 {
            assert_eq!(queue.push(place(1, 1, account), "bogus"), None);
        }
        queue.push(place(1, 2, 7), "same source");
        queue.push(place(2, 3, 7), "other source");
        let served = [(); 5].map(|()| pop(&mut queue));
        assert_eq!(
            served,
            ["bogus", "other source", "same source", "bogus", "bogus"]
        );
    }

    #[test]
    fn connection_that_had_nothing_waiting_comes_before_those_of_a_flood() {
        let mut queue = FairQueue::new(1_000);
        for connection in 1..=6 {
            for account in 0..20 {
                queue.push(place(1, connection, account), "bogus");
            }
        }
        for _ in 0..30 {
            pop(&mut queue);
        }
        queue.push(place(1, 7, 7), "honest");
        assert_eq!([pop(&mut queue), pop(&mut queue)], ["honest", "bogus"]);
        // New connections for each login keep the others out no more than the other way round.
        for connection in 8..100 {
            queue.push(place(1, connection, 0), "new");
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
            queue.push(place(1, 1, 1), "alice");
        }
        queue.push(place(1, 1, 2), "bob");
        assert_eq!([pop(&mut queue), pop(&mut queue)], ["alice", "bob"]);
    }

    #[test]
    fn a_full_queue_sheds_whoever_has_the_most() {
        let mut queue = FairQueue::new(3);
        assert_eq!(queue.push(place(1, 1, 1), "first"), None);
        assert_eq!(queue.push(place(1, 1, 2), "second"), None);
        assert_eq!(queue.push(place(1, 2, 3), "third"), None);
        assert_eq!(queue.push(place(2, 9, 9), "honest"), Some("second"));
        assert_eq!(queue.push(place(1, 1, 4), "more"), Some("more"));
        let mut left = [(); 3].map(|()| pop(&mut queue));
        left.sort_unstable();
        assert_eq!(left, ["first", "honest", "third"]);
        assert_eq!(queue.pop(|_| None), Next::Empty);
    }

    #[test]
    fn a_source_that_has_to_wait_lets_others_pass() {
        let mut queue = FairQueue::new(8);
        let later = Instant::now() + Duration::from_secs(1);
        queue.push(place(1, 1, 1), "slow");
        queue.push(place(2, 2, 2), "quick");
        let paced = |source| (source == 1).then_some(later);
        assert_eq!(queue.pop(paced), Next::Item("quick"));
        assert_eq!(queue.pop(paced), Next::At(later));
        assert_eq!(pop(&mut queue), "slow");
    }
}
