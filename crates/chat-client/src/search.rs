//! The search for a node that carries out one request. The request is sent to one node after the
//! other, and to a second node beside a slow one (hedging), until a node replies or the deadline
//! passes.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::error::ClientError;
use crate::node_pool::{EncodedRequest, FIRST_ATTEMPT, NodePool};
use crate::node_selector::{Attempts, NodeSelector, jittered};
use crate::requests::Request;
use crate::retry_decision::{AttemptFailure, RetryDecision, SideEffect};

/// When a node has not answered after this time, the request is also sent to a second node. Far above
/// what a request takes while the cluster serves, and below what a fail-over takes.
pub(crate) const HEDGE_AFTER: Duration = Duration::from_millis(300);
/// A shorter attempt would only turn a known outcome into an unknown one: nodes report that there is
/// no leader shortly before the attempt's time limit.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

/// The reply to a request that returns no data.
const DONE: &str = r#"{"status":"OK"}"#;

/// A request, and what its attempts so far have shown.
pub(crate) struct Search<'a> {
    pool: &'a NodePool,
    request: &'a Request<'a>,
    encoded: EncodedRequest<'a>,
    deadline: Instant,
    first_node: usize,
    attempts: Attempts,
    /// Whether an attempt that has ended may have taken effect.
    side_effect: SideEffect,
    /// Whether any node has answered.
    answered: bool,
    may_be_hedged: bool,
    /// The final error of one node, while the attempt at another node is still under way.
    rejected: Option<ClientError>,
}

/// An attempt that is under way.
struct Attempt<'a> {
    node: usize,
    outcome: Outcome<'a>,
}

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<String, RetryDecision>> + Send + 'a>>;

enum Finished {
    Current,
    Older,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        pool: &'a NodePool,
        request: &'a Request<'a>,
        encoded: EncodedRequest<'a>,
        time_limit: Duration,
    ) -> Self {
        let (first_node, attempts) = pool.selector().begin();
        Self {
            pool,
            request,
            encoded,
            deadline: Instant::now() + time_limit,
            first_node,
            attempts,
            side_effect: SideEffect::None,
            answered: false,
            may_be_hedged: request.may_be_hedged(),
            rejected: None,
        }
    }

    pub(crate) async fn run(mut self) -> Result<String, ClientError> {
        self.pool.budget().refill();
        let mut current = self.begin(self.first_node, Duration::ZERO);
        let mut older: Option<Attempt<'a>> = None;
        let mut hedge_at = Instant::now() + HEDGE_AFTER;
        loop {
            let hedges = self.may_be_hedged && older.is_none();
            let (finished, outcome) = tokio::select! {
                biased;
                outcome = &mut current.outcome => (Finished::Current, outcome),
                outcome = outcome_of(&mut older), if older.is_some() => (Finished::Older, outcome),
                () = sleep_until(hedge_at), if hedges => {
                    if let Some(second) = self.hedge(current.node) {
                        let second = self.begin(second, Duration::ZERO);
                        older = Some(std::mem::replace(&mut current, second));
                    }
                    hedge_at = Instant::now() + HEDGE_AFTER;
                    continue;
                }
            };
            match (outcome, finished) {
                (Ok(reply), _) => return Ok(reply),
                (Err(RetryDecision::Final(error)), _) if self.request.error_means_done(&error) => {
                    return Ok(DONE.to_owned());
                }
                (Err(RetryDecision::Final(error)), finished) => {
                    self.rejected = Some(error);
                    // The other node may have carried it out: then its reply is the outcome.
                    match (finished, older.take()) {
                        (Finished::Current, None) => return Err(self.into_error(String::new())),
                        (Finished::Current, Some(left)) => current = left,
                        (Finished::Older, _) => {}
                    }
                    self.may_be_hedged = false;
                }
                (Err(RetryDecision::Retry(failure)), Finished::Older) => {
                    self.record(&failure);
                    let failed = older.take().filter(|_| failure.leader.is_some());
                    // The node that replied may know the new leader while the other node is isolated.
                    if let Some((node, pause)) = failed.and_then(|it| self.next(it.node, &failure))
                        && node != current.node
                    {
                        let retried = self.begin(node, pause);
                        older = Some(std::mem::replace(&mut current, retried));
                        hedge_at = Instant::now() + pause + HEDGE_AFTER;
                    }
                }
                (Err(RetryDecision::Retry(failure)), Finished::Current) => {
                    self.record(&failure);
                    current = match (self.next(current.node, &failure), older.take()) {
                        (None, None) => return Err(self.into_error(failure.what)),
                        (None, Some(left)) => left,
                        // An attempt at that node is already under way.
                        (Some((node, _)), Some(left)) if left.node == node => left,
                        (Some((node, pause)), left) => {
                            older = left;
                            hedge_at = Instant::now() + pause + HEDGE_AFTER;
                            self.begin(node, pause)
                        }
                    };
                }
            }
        }
    }

    fn begin(&self, node: usize, pause: Duration) -> Attempt<'a> {
        let (pool, encoded) = (self.pool, self.encoded);
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let time_limit = NodeSelector::attempt_timeout(FIRST_ATTEMPT, &self.attempts);
        let time_limit = time_limit.min(remaining.saturating_sub(pause));
        let outcome = async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            pool.attempt(node, encoded, time_limit).await
        };
        Attempt {
            node,
            outcome: Box::pin(outcome),
        }
    }

    /// A second node for the request, if one is left and the retry budget has a token: when all nodes
    /// are slow, sending every request twice would not help.
    fn hedge(&mut self, node: usize) -> Option<usize> {
        if !self.pool.budget().has_token() {
            return None;
        }
        let now = Instant::now().into_std();
        let second = self.pool.selector().hedge(node, &mut self.attempts, now)?;
        self.pool.budget().take_token();
        let (slow, second_node) = (self.pool.node(node), self.pool.node(second));
        let (slow, second_address) = (&slow.address, &second_node.address);
        tracing::debug!(request = %self.request.id(), slow, second_address, "hedging with a second node");
        Some(second)
    }

    fn record(&mut self, failure: &AttemptFailure) {
        self.answered |= failure.answered;
        if failure.side_effect == SideEffect::Possible && !self.request.is_read_only() {
            self.side_effect = SideEffect::Possible;
        }
        // A node that requests a pause is overloaded, and a hedge would soon overload the second one.
        self.may_be_hedged &= failure.delay.is_zero();
    }

    /// The next node after one that failed, and the pause before the attempt; `None` when the deadline
    /// is too close, or a node has rejected the request.
    fn next(&mut self, node: usize, failure: &AttemptFailure) -> Option<(usize, Duration)> {
        if self.rejected.is_some() {
            return None;
        }
        let failed = self.pool.node(node);
        let (address, what) = (&failed.address, &failure.what);
        tracing::debug!(request = %self.request.id(), address, what, "trying another node");
        let leader = failure.leader.as_deref();
        let now = Instant::now();
        let next =
            self.pool
                .selector()
                .on_failure(node, leader, &mut self.attempts, now.into_std());
        let pause = self.pool.budget().pause(next.pause.max(failure.delay));
        let pause = jittered(pause);
        (now + pause + SHORTEST_ATTEMPT < self.deadline).then_some((next.node, pause))
    }

    /// Why the search ends without a reply; `last` is what the last node replied.
    fn into_error(self, last: String) -> ClientError {
        match (self.rejected, self.side_effect) {
            (Some(rejected), SideEffect::None) => rejected,
            // An earlier attempt may have done what this one was not allowed to do.
            (Some(rejected), SideEffect::Possible) => ClientError::OutcomeUnknown {
                last: rejected.to_string(),
            },
            (None, SideEffect::None) => ClientError::Unavailable {
                answered: self.answered,
                last,
            },
            (None, SideEffect::Possible) => ClientError::OutcomeUnknown { last },
        }
    }
}

async fn outcome_of(attempt: &mut Option<Attempt<'_>>) -> Result<String, RetryDecision> {
    match attempt {
        Some(attempt) => attempt.outcome.as_mut().await,
        None => std::future::pending().await,
    }
}
