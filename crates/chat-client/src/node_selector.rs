//! Which node is tried next: the one that last worked, the one that is named as the leader, also when
//! it was tried before somebody said so, then the others in turn, and a pause after all of them.
//!
//! Knows no connections; time is handed in.

use std::time::{Duration, Instant};

/// A node that failed is not preferred again for this long because another one calls it the leader:
/// it may lead and still be out of our reach.
const FAILED_NODE_COOLDOWN: Duration = Duration::from_secs(2);

/// The pause after every node has been tried once; it doubles with each further round…
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// …up to this.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How often in a round a node that was tried is tried again because it is named as the leader. Two
/// nodes that name each other must not keep a request from the third.
const LEADER_RETRIES_MAX: u32 = 2;

/// What all requests of a client know of its nodes.
#[derive(Debug)]
pub(crate) struct NodeSelector {
    addresses: Vec<String>,
    failed: Vec<Option<Instant>>,
    preferred: usize,
}

/// Where one request is with its attempts.
#[derive(Debug)]
pub(crate) struct Attempts {
    tried: Vec<bool>,
    rounds: u32,
    /// In this round; see [`LEADER_RETRIES_MAX`].
    leader_retries: u32,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextAttempt {
    /// The node to try.
    pub(crate) node: usize,
    /// To be waited before, chosen at random between half of it and all.
    pub(crate) pause: Duration,
}

impl NodeSelector {
    /// Nodes in the order in which they are tried at first.
    pub(crate) fn new(addresses: Vec<String>) -> Self {
        assert!(!addresses.is_empty(), "there must be a node to pick");
        Self {
            failed: vec![None; addresses.len()],
            addresses,
            preferred: 0,
        }
    }

    /// Begins a request.
    pub(crate) fn begin(&self) -> (usize, Attempts) {
        (self.preferred, self.begin_at(self.preferred))
    }

    /// Begins a search at that node.
    pub(crate) fn begin_at(&self, node: usize) -> Attempts {
        let mut attempts = Attempts {
            tried: vec![false; self.addresses.len()],
            rounds: 0,
            leader_retries: 0,
        };
        attempts.tried[node] = true;
        attempts
    }

    /// A node answered; it may have named another one as the leader.
    pub(crate) fn succeeded(&mut self, node: usize, leader: Option<&str>, now: Instant) {
        self.failed[node] = None;
        self.preferred = self.reachable_leader(leader, now).unwrap_or(node);
    }

    /// A node has not answered for a while: which one to ask beside it, one that is left in this round
    /// or has failed in it before. Other requests begin elsewhere as well until it answers.
    pub(crate) fn beside(
        &mut self,
        node: usize,
        attempts: &mut Attempts,
        now: Instant,
    ) -> Option<usize> {
        let next = self
            .untried_after(node, attempts)
            .or_else(|| self.tried_after(node, attempts))?;
        self.failed[node] = Some(now);
        if self.preferred == node {
            self.preferred = next;
        }
        attempts.tried[next] = true;
        Some(next)
    }

    /// A node did not carry the request out.
    pub(crate) fn failed(
        &mut self,
        node: usize,
        leader: Option<&str>,
        attempts: &mut Attempts,
        now: Instant,
    ) -> NextAttempt {
        self.failed[node] = Some(now);
        // Even if it failed lately: what this node says of it is newer.
        let named = leader.and_then(|leader| self.position(leader));
        if let Some(next) = named.filter(|named| attempts.tried[*named])
            && attempts.leader_retries < LEADER_RETRIES_MAX
        {
            attempts.leader_retries += 1;
            if self.preferred == node {
                self.preferred = next;
            }
            return NextAttempt {
                node: next,
                pause: PAUSE_MIN,
            };
        }
        let named = named.filter(|named| !attempts.tried[*named]);
        let next = named.or_else(|| self.untried_after(node, attempts));
        if let Some(next) = next {
            if self.preferred == node {
                self.preferred = next;
            }
            attempts.tried[next] = true;
            return NextAttempt {
                node: next,
                pause: Duration::ZERO,
            };
        }
        attempts.tried.fill(false);
        let next = (node + 1) % self.addresses.len();
        attempts.tried[next] = true;
        let pause = PAUSE_MAX.min(PAUSE_MIN * 2_u32.pow(attempts.rounds.min(8)));
        attempts.rounds += 1;
        attempts.leader_retries = 0;
        NextAttempt { node: next, pause }
    }

    /// The next attempt's share of the time: short at first, so that a node that hangs costs
    /// little, and twice as long with each round, so that a slow answer is waited for at last.
    pub(crate) fn attempt_timeout(first: Duration, attempts: &Attempts) -> Duration {
        first * 2_u32.pow(attempts.rounds.min(8))
    }

    fn untried_after(&self, node: usize, attempts: &Attempts) -> Option<usize> {
        let count = self.addresses.len();
        (1..count)
            .map(|step| (node + step) % count)
            .find(|next| !attempts.tried[*next])
    }

    /// What it did not do before it may do by now.
    fn tried_after(&self, node: usize, attempts: &mut Attempts) -> Option<usize> {
        let next = (node + 1) % self.addresses.len();
        let again = next != node && attempts.leader_retries < LEADER_RETRIES_MAX;
        attempts.leader_retries += u32::from(again);
        again.then_some(next)
    }

    fn position(&self, address: &str) -> Option<usize> {
        self.addresses.iter().position(|known| known == address)
    }

    /// The node at that address, unless it is unknown or failed lately.
    fn reachable_leader(&self, leader: Option<&str>, now: Instant) -> Option<usize> {
        let node = self.position(leader?)?;
        let distrusted =
            self.failed[node].is_some_and(|failed| now < failed + FAILED_NODE_COOLDOWN);
        (!distrusted).then_some(node)
    }
}

/// Spreads clients that failed together: between half of `pause` and all of it.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{FAILED_NODE_COOLDOWN, NodeSelector, PAUSE_MAX, jittered};

    const NODES: [&str; 3] = ["a:1", "b:1", "c:1"];

    fn selector() -> NodeSelector {
        NodeSelector::new(NODES.map(str::to_owned).to_vec())
    }

    /// Fails on every node it is sent to, and tells the way it was sent.
    fn walk(selector: &mut NodeSelector, leader: Option<&str>, steps: usize) -> String {
        let now = Instant::now();
        let (mut node, mut attempts) = selector.begin();
        let mut way = NODES[node].to_owned();
        for _ in 0..steps {
            let next = selector.failed(node, leader, &mut attempts, now);
            let pause = next.pause.as_millis();
            way += &if pause == 0 {
                " ".to_owned()
            } else {
                format!(" {pause}ms ")
            };
            way += NODES[next.node];
            node = next.node;
        }
        way
    }

    #[test]
    fn nodes_are_tried_in_turn_with_longer_pauses() {
        assert_eq!(
            walk(&mut selector(), None, 6),
            "a:1 b:1 c:1 5ms a:1 b:1 c:1 10ms a:1"
        );
    }

    #[test]
    fn the_named_leader_is_tried_first() {
        assert_eq!(walk(&mut selector(), Some("c:1"), 1), "a:1 c:1");
        assert_eq!(walk(&mut selector(), Some("unknown:1"), 2), "a:1 b:1 c:1");
    }

    #[test]
    fn node_that_was_tried_is_followed_when_it_is_named_but_not_for_ever() {
        assert_eq!(
            walk(&mut selector(), Some("b:1"), 9),
            "a:1 b:1 5ms b:1 5ms b:1 c:1 5ms a:1 b:1 5ms b:1 5ms b:1 c:1"
        );
    }

    #[test]
    fn one_node_alone_is_tried_again_after_pauses() {
        let mut selector = NodeSelector::new(vec!["a:1".to_owned()]);
        let (node, mut attempts) = selector.begin();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let next = selector.failed(node, None, &mut attempts, Instant::now());
            assert_eq!(next.node, 0);
            pauses.push(next.pause.as_millis());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 100, 100]);
    }

    #[test]
    fn what_worked_is_preferred() {
        let mut selector = selector();
        let now = Instant::now();
        selector.succeeded(1, None, now);
        assert_eq!(selector.begin().0, 1);
        selector.succeeded(1, Some("c:1"), now);
        assert_eq!(selector.begin().0, 2, "the leader saves a hop");
    }

    #[test]
    fn a_leader_out_of_reach_is_not_preferred_for_a_while() {
        let mut selector = selector();
        let now = Instant::now();
        let (node, mut attempts) = selector.begin();
        let next = selector.failed(node, None, &mut attempts, now);
        selector.succeeded(next.node, Some("a:1"), now);
        assert_eq!(selector.begin().0, 1, "the leader has just failed us");
        selector.succeeded(1, Some("a:1"), now + FAILED_NODE_COOLDOWN);
        assert_eq!(selector.begin().0, 0);
    }

    // Two fail-overs within two seconds: the first leader leads again, and the second is cut off.
    #[test]
    fn a_node_that_failed_lately_is_tried_when_it_is_said_to_lead() {
        let mut selector = selector();
        let now = Instant::now();
        let (node, mut attempts) = selector.begin();
        assert_eq!(selector.failed(node, None, &mut attempts, now).node, 1);
        selector.succeeded(1, None, now);
        let (node, mut attempts) = selector.begin();
        let next = selector.failed(node, Some("a:1"), &mut attempts, now);
        assert_eq!((node, next.node), (1, 0));
    }

    #[test]
    fn pauses_are_spread() {
        for _ in 0..100 {
            let pause = jittered(PAUSE_MAX);
            assert!(pause >= PAUSE_MAX / 2 && pause <= PAUSE_MAX, "{pause:?}");
        }
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
