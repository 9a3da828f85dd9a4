//! Selects the node for the next attempt: the node that last worked, then the node that another one
//! names as the leader (even if it was tried before it was named), then the others in turn, and after
//! all of them a pause.
//!
//! Deliberately absent: connections and a clock; the caller passes the time.

use std::time::{Duration, Instant};

/// For this long a node that failed is not preferred because another one names it as the leader: it
/// may lead and still be unreachable for this client.
const FAILED_NODE_COOLDOWN: Duration = Duration::from_secs(2);

/// The pause after every node has been tried once; it doubles with each further round…
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// …up to this.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How often in a round a node that was tried is tried again because it is named as the leader. Two
/// nodes that name each other must not keep a request away from the third.
const LEADER_RETRIES_MAX: u32 = 2;

/// What all requests of a client share about its nodes.
#[derive(Debug)]
pub(crate) struct NodeSelector {
    addresses: Vec<String>,
    failed_at: Vec<Option<Instant>>,
    preferred: usize,
}

/// The attempts of one request so far.
#[derive(Debug)]
pub(crate) struct Attempts {
    tried: Vec<bool>,
    rounds: u32,
    /// In this round; see [`LEADER_RETRIES_MAX`].
    leader_retries: u32,
}

/// The next attempt of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextAttempt {
    /// The node to try.
    pub(crate) node: usize,
    /// The pause before it. The caller shortens it at random, by at most half.
    pub(crate) pause: Duration,
}

impl NodeSelector {
    /// The nodes, in the order in which they are tried at first.
    pub(crate) fn new(addresses: Vec<String>) -> Self {
        assert!(!addresses.is_empty(), "a client has at least one node");
        Self {
            failed_at: vec![None; addresses.len()],
            addresses,
            preferred: 0,
        }
    }

    /// Another node, which is tried after the others.
    pub(crate) fn add(&mut self, address: String) {
        self.addresses.push(address);
        self.failed_at.push(None);
    }

    /// Starts a request: the node for its first attempt.
    pub(crate) fn begin(&self) -> (usize, Attempts) {
        (self.preferred, self.begin_at(self.preferred))
    }

    /// Starts a request or a watch at that node.
    pub(crate) fn begin_at(&self, node: usize) -> Attempts {
        let mut attempts = Attempts {
            tried: vec![false; self.addresses.len()],
            rounds: 0,
            leader_retries: 0,
        };
        attempts.tried[node] = true;
        attempts
    }

    /// A node carried the request out; it may have named another one as the leader.
    pub(crate) fn on_success(&mut self, node: usize, leader: Option<&str>, now: Instant) {
        self.failed_at[node] = None;
        self.preferred = self.reachable_leader(leader, now).unwrap_or(node);
    }

    /// A node has not answered for a while: returns a second node for the request, which is untried in
    /// this round or has failed in it before. Until the slow node answers, other requests start
    /// elsewhere, too.
    pub(crate) fn hedge(
        &mut self,
        node: usize,
        attempts: &mut Attempts,
        now: Instant,
    ) -> Option<usize> {
        attempts.cover(self.addresses.len());
        let next = self
            .untried_after(node, attempts)
            .or_else(|| self.tried_after(node, attempts))?;
        self.failed_at[node] = Some(now);
        if self.preferred == node {
            self.preferred = next;
        }
        attempts.tried[next] = true;
        Some(next)
    }

    /// A node did not carry the request out: returns the next attempt.
    pub(crate) fn on_failure(
        &mut self,
        node: usize,
        leader: Option<&str>,
        attempts: &mut Attempts,
        now: Instant,
    ) -> NextAttempt {
        self.failed_at[node] = Some(now);
        attempts.cover(self.addresses.len());
        // Also if it failed recently: what this node reports about it is newer.
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

    /// The time limit of the next attempt: short at first, so that a node that hangs costs little, and
    /// twice as long with each round, so that a slow answer arrives in the end.
    pub(crate) fn attempt_timeout(first: Duration, attempts: &Attempts) -> Duration {
        first * 2_u32.pow(attempts.rounds.min(8))
    }

    fn untried_after(&self, node: usize, attempts: &Attempts) -> Option<usize> {
        let count = self.addresses.len();
        (1..count)
            .map(|step| (node + step) % count)
            .find(|next| !attempts.tried[*next])
    }

    /// A node that failed before may work by now.
    fn tried_after(&self, node: usize, attempts: &mut Attempts) -> Option<usize> {
        let next = (node + 1) % self.addresses.len();
        let again = next != node && attempts.leader_retries < LEADER_RETRIES_MAX;
        attempts.leader_retries += u32::from(again);
        again.then_some(next)
    }

    fn position(&self, address: &str) -> Option<usize> {
        self.addresses.iter().position(|known| known == address)
    }

    /// The node at that address, unless it is unknown or failed recently.
    fn reachable_leader(&self, leader: Option<&str>, now: Instant) -> Option<usize> {
        let node = self.position(leader?)?;
        let is_cooling_down =
            self.failed_at[node].is_some_and(|failed| now < failed + FAILED_NODE_COOLDOWN);
        (!is_cooling_down).then_some(node)
    }
}

impl Attempts {
    /// Nodes that were added since the request began are untried.
    fn cover(&mut self, nodes: usize) {
        self.tried.resize(nodes, false);
    }
}

/// A random time between half of `pause` and all of it, so that clients that failed together do not
/// retry together.
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

    /// Fails every attempt, and returns the nodes and pauses in order.
    fn route(selector: &mut NodeSelector, leader: Option<&str>, steps: usize) -> String {
        let now = Instant::now();
        let (mut node, mut attempts) = selector.begin();
        let mut route = NODES[node].to_owned();
        for _ in 0..steps {
            let next = selector.on_failure(node, leader, &mut attempts, now);
            let pause = next.pause.as_millis();
            route += &if pause == 0 {
                " ".to_owned()
            } else {
                format!(" {pause}ms ")
            };
            route += NODES[next.node];
            node = next.node;
        }
        route
    }

    #[test]
    fn nodes_are_tried_in_turn_with_longer_pauses() {
        assert_eq!(
            route(&mut selector(), None, 6),
            "a:1 b:1 c:1 5ms a:1 b:1 c:1 10ms a:1"
        );
    }

    #[test]
    fn named_leader_is_tried_next() {
        assert_eq!(route(&mut selector(), Some("c:1"), 1), "a:1 c:1");
        assert_eq!(route(&mut selector(), Some("unknown:1"), 2), "a:1 b:1 c:1");
    }

    #[test]
    fn named_leader_is_tried_again_at_most_twice_a_round() {
        assert_eq!(
            route(&mut selector(), Some("b:1"), 9),
            "a:1 b:1 5ms b:1 5ms b:1 c:1 5ms a:1 b:1 5ms b:1 5ms b:1 c:1"
        );
    }

    #[test]
    fn single_node_is_tried_again_after_pauses() {
        let mut selector = NodeSelector::new(vec!["a:1".to_owned()]);
        let (node, mut attempts) = selector.begin();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let next = selector.on_failure(node, None, &mut attempts, Instant::now());
            assert_eq!(next.node, 0);
            pauses.push(next.pause.as_millis());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 100, 100]);
    }

    #[test]
    fn node_that_worked_is_preferred() {
        let mut selector = selector();
        let now = Instant::now();
        selector.on_success(1, None, now);
        assert_eq!(selector.begin().0, 1);
        selector.on_success(1, Some("c:1"), now);
        assert_eq!(selector.begin().0, 2, "the leader saves a hop");
    }

    #[test]
    fn unreachable_leader_is_not_preferred_during_cooldown() {
        let mut selector = selector();
        let now = Instant::now();
        let (node, mut attempts) = selector.begin();
        let next = selector.on_failure(node, None, &mut attempts, now);
        selector.on_success(next.node, Some("a:1"), now);
        assert_eq!(selector.begin().0, 1, "the leader has just failed");
        selector.on_success(1, Some("a:1"), now + FAILED_NODE_COOLDOWN);
        assert_eq!(selector.begin().0, 0);
    }

    // Two fail-overs within two seconds: the first leader leads again, and the second is isolated.
    #[test]
    fn recently_failed_node_is_tried_when_it_is_named() {
        let mut selector = selector();
        let now = Instant::now();
        let (node, mut attempts) = selector.begin();
        assert_eq!(selector.on_failure(node, None, &mut attempts, now).node, 1);
        selector.on_success(1, None, now);
        let (node, mut attempts) = selector.begin();
        let next = selector.on_failure(node, Some("a:1"), &mut attempts, now);
        assert_eq!((node, next.node), (1, 0));
    }

    #[test]
    fn node_added_during_a_request_is_tried_by_it() {
        let mut selector = NodeSelector::new(vec!["a:1".to_owned()]);
        let now = Instant::now();
        let (node, mut attempts) = selector.begin();
        selector.add("b:1".to_owned());
        let next = selector.on_failure(node, None, &mut attempts, now);
        assert_eq!((next.node, next.pause), (1, Duration::ZERO));
        selector.on_success(0, Some("b:1"), now + FAILED_NODE_COOLDOWN);
        assert_eq!(selector.begin().0, 1, "it can be named as the leader");
    }

    #[test]
    fn pauses_are_jittered() {
        for _ in 0..100 {
            let pause = jittered(PAUSE_MAX);
            assert!(pause >= PAUSE_MAX / 2 && pause <= PAUSE_MAX, "{pause:?}");
        }
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
