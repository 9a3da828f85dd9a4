//! One request's way through the nodes: tried on one after the other, and beside one that takes long
//! on a second one, until one answers or the time is over.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{ChatClient, EncodedRequest, FIRST_ATTEMPT};
use crate::error::ClientError;
use crate::node_selector::{Attempts, NodeSelector, jittered};
use crate::requests::Request;
use crate::retry_decision::{AttemptFailure, RetryDecision, SideEffect};

/// A node that has not answered by then is not waited for alone: another one is asked as well. Far
/// above what any request takes while the cluster serves, and below what a fail-over takes.
pub(crate) const HEDGE_AFTER: Duration = Duration::from_millis(300);
/// A try that is shorter than this would only make an unknown outcome of a known one: nodes say that
/// there is no leader shortly before a try's time is up.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

/// A reply that says nothing but that it was done.
const DONE: &str = r#"{"status":"OK"}"#;

/// Where a request is.
pub(crate) struct Search<'a> {
    client: &'a ChatClient,
    request: &'a Request<'a>,
    encoded: EncodedRequest<'a>,
    deadline: Instant,
    attempts: Attempts,
    /// Whether a try that has ended may have taken effect.
    side_effect: SideEffect,
    /// Whether a node has answered at all.
    answered: bool,
    may_be_hedged: bool,
    /// What a node refused for good, while another one may yet carry it out.
    refused: Option<ClientError>,
}

/// A try that is under way.
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
        client: &'a ChatClient,
        request: &'a Request<'a>,
        encoded: EncodedRequest<'a>,
        attempts: Attempts,
    ) -> Self {
        Self {
            client,
            request,
            encoded,
            deadline: Instant::now() + client.deadline(),
            attempts,
            side_effect: SideEffect::None,
            answered: false,
            may_be_hedged: request.may_be_hedged(),
            refused: None,
        }
    }

    /// Begins at this node.
    pub(crate) async fn run(mut self, node: usize) -> Result<String, ClientError> {
        let mut current = self.begin(node, Duration::ZERO);
        let mut older: Option<Attempt<'a>> = None;
        let mut hedge_at = Instant::now() + HEDGE_AFTER;
        loop {
            let hedges = self.may_be_hedged && older.is_none();
            let (ended, outcome) = tokio::select! {
                biased;
                outcome = &mut current.outcome => (Finished::Current, outcome),
                outcome = outcome_of(&mut older), if older.is_some() => (Finished::Older, outcome),
                () = sleep_until(hedge_at), if hedges => {
                    if let Some(second) = self.beside(current.node) {
                        let second = self.begin(second, Duration::ZERO);
                        older = Some(std::mem::replace(&mut current, second));
                    }
                    hedge_at = Instant::now() + HEDGE_AFTER;
                    continue;
                }
            };
            match (outcome, ended) {
                (Ok(reply), _) => return Ok(reply),
                (Err(RetryDecision::Final(error)), _) if self.request.error_means_done(&error) => {
                    return Ok(DONE.to_owned());
                }
                (Err(RetryDecision::Final(error)), ended) => {
                    self.refused = Some(error);
                    // Another node may have carried it out, and what that one says is what counts.
                    match (ended, older.take()) {
                        (Finished::Current, None) => return Err(self.end(String::new())),
                        (Finished::Current, Some(left)) => current = left,
                        (Finished::Older, _) => {}
                    }
                    self.may_be_hedged = false;
                }
                (Err(RetryDecision::Retry(failure)), Finished::Older) => {
                    self.note(&failure);
                    let failed = older.take().filter(|_| failure.leader.is_some());
                    // It may know who leads by now, and the other one be cut off.
                    if let Some((node, pause)) = failed.and_then(|it| self.next(it.node, &failure))
                        && node != current.node
                    {
                        let retried = self.begin(node, pause);
                        older = Some(std::mem::replace(&mut current, retried));
                        hedge_at = Instant::now() + pause + HEDGE_AFTER;
                    }
                }
                (Err(RetryDecision::Retry(failure)), Finished::Current) => {
                    self.note(&failure);
                    current = match (self.next(current.node, &failure), older.take()) {
                        (None, None) => return Err(self.end(failure.what)),
                        (None, Some(left)) => left,
                        // It has the request already.
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
        let (client, encoded) = (self.client, self.encoded);
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let time_limit = NodeSelector::attempt_timeout(FIRST_ATTEMPT, &self.attempts);
        let time_limit = time_limit.min(remaining.saturating_sub(pause));
        let outcome = async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            client.attempt(node, encoded, time_limit).await
        };
        Attempt {
            node,
            outcome: Box::pin(outcome),
        }
    }

    /// A second node to ask, if one is left and the budget of retries has one: when everything is
    /// slow, asking for everything twice would not help.
    fn beside(&mut self, node: usize) -> Option<usize> {
        if !self.client.budget().has_token() {
            return None;
        }
        let now = Instant::now().into_std();
        let second = self
            .client
            .selector()
            .beside(node, &mut self.attempts, now)?;
        self.client.budget().take_token();
        let nodes = self.client.nodes();
        let (slow, second_address) = (&nodes[node].address, &nodes[second].address);
        tracing::debug!(request = %self.request.id(), slow, second_address, "asking a second node");
        Some(second)
    }

    fn note(&mut self, failure: &AttemptFailure) {
        self.answered |= failure.answered;
        if failure.side_effect == SideEffect::Possible && !self.request.is_read_only() {
            self.side_effect = SideEffect::Possible;
        }
        // A node that asks for a pause has too much to do, and so, soon, would the second one.
        self.may_be_hedged &= failure.delay.is_zero();
    }

    /// The next node after one that failed, and how long to wait before; `None` when the time is
    /// over, or nothing more is to be tried.
    fn next(&mut self, node: usize, failure: &AttemptFailure) -> Option<(usize, Duration)> {
        if self.refused.is_some() {
            return None;
        }
        let (address, what) = (&self.client.nodes()[node].address, &failure.what);
        tracing::debug!(request = %self.request.id(), address, what, "trying another node");
        let leader = failure.leader.as_deref();
        let now = Instant::now();
        let next = self
            .client
            .selector()
            .failed(node, leader, &mut self.attempts, now.into_std());
        let pause = self.client.budget().pause(next.pause.max(failure.delay));
        let pause = jittered(pause);
        (now + pause + SHORTEST_ATTEMPT < self.deadline).then_some((next.node, pause))
    }

    /// Why it is given up; `last` is what the last node said.
    fn end(self, last: String) -> ClientError {
        let Self {
            side_effect,
            answered,
            refused,
            ..
        } = self;
        match (refused, side_effect) {
            (Some(refused), SideEffect::None) => refused,
            // An earlier try may have done what this one may not do any more.
            (Some(refused), SideEffect::Possible) => ClientError::OutcomeUnknown {
                last: refused.to_string(),
            },
            (None, SideEffect::None) => ClientError::Unavailable { answered, last },
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
