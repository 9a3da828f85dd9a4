//! One request's way through the nodes: tried on one after the other, and beside one that takes long
//! on a second one, until one answers or the time is over.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Asked, ChatClient, FIRST_ATTEMPT};
use crate::error::ClientError;
use crate::picker::{Picker, Tries, jittered};
use crate::requests::Request;
use crate::verdict::{CarriedOut, Failure, Verdict};

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
    asked: Asked<'a>,
    deadline: Instant,
    tries: Tries,
    /// Whether a try that has ended may have taken effect.
    carried_out: CarriedOut,
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

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<String, Verdict>> + Send + 'a>>;

enum Ended {
    Current,
    Older,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        client: &'a ChatClient,
        request: &'a Request<'a>,
        asked: Asked<'a>,
        tries: Tries,
    ) -> Self {
        Self {
            client,
            request,
            asked,
            deadline: Instant::now() + client.deadline(),
            tries,
            carried_out: CarriedOut::No,
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
                outcome = &mut current.outcome => (Ended::Current, outcome),
                outcome = outcome_of(&mut older), if older.is_some() => (Ended::Older, outcome),
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
                (Err(Verdict::Final(error)), _) if self.request.is_done_by(&error) => {
                    return Ok(DONE.to_owned());
                }
                (Err(Verdict::Final(error)), ended) => {
                    self.refused = Some(error);
                    // Another node may have carried it out, and what that one says is what counts.
                    match (ended, older.take()) {
                        (Ended::Current, None) => return Err(self.end(String::new())),
                        (Ended::Current, Some(left)) => current = left,
                        (Ended::Older, _) => {}
                    }
                    self.may_be_hedged = false;
                }
                (Err(Verdict::Again(failure)), Ended::Older) => {
                    self.note(&failure);
                    let failed = older.take().filter(|_| failure.leader.is_some());
                    // It may know who leads by now, and the other one be cut off.
                    if let Some((node, pause)) = failed.and_then(|it| self.next(it.node, &failure))
                        && node != current.node
                    {
                        let followed = self.begin(node, pause);
                        older = Some(std::mem::replace(&mut current, followed));
                        hedge_at = Instant::now() + pause + HEDGE_AFTER;
                    }
                }
                (Err(Verdict::Again(failure)), Ended::Current) => {
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
        let (client, asked) = (self.client, self.asked);
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let patience = Picker::attempt_timeout(FIRST_ATTEMPT, &self.tries);
        let patience = patience.min(remaining.saturating_sub(pause));
        let outcome = async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            client.attempt(node, asked, patience).await
        };
        Attempt {
            node,
            outcome: Box::pin(outcome),
        }
    }

    /// A second node to ask, if one is left and the budget of retries has one: when everything is
    /// slow, asking for everything twice would not help.
    fn beside(&mut self, node: usize) -> Option<usize> {
        if !self.client.budget().has_one() {
            return None;
        }
        let now = Instant::now().into_std();
        let second = self.client.picker().beside(node, &mut self.tries, now)?;
        self.client.budget().take();
        let nodes = self.client.nodes();
        let (slow, second_address) = (&nodes[node].address, &nodes[second].address);
        tracing::debug!(request = %self.request.id(), slow, second_address, "asking a second node");
        Some(second)
    }

    fn note(&mut self, failure: &Failure) {
        self.answered |= failure.answered;
        if failure.carried_out == CarriedOut::Maybe && !self.request.only_looks() {
            self.carried_out = CarriedOut::Maybe;
        }
        // A node that asks for a pause has too much to do, and so, soon, would the second one.
        self.may_be_hedged &= failure.delay.is_zero();
    }

    /// The next node after one that failed, and how long to wait before; `None` when the time is
    /// over, or nothing more is to be tried.
    fn next(&mut self, node: usize, failure: &Failure) -> Option<(usize, Duration)> {
        if self.refused.is_some() {
            return None;
        }
        let (address, what) = (&self.client.nodes()[node].address, &failure.what);
        tracing::debug!(request = %self.request.id(), address, what, "trying another node");
        let leader = failure.leader.as_deref();
        let now = Instant::now();
        let next = self
            .client
            .picker()
            .failed(node, leader, &mut self.tries, now.into_std());
        let pause = self.client.budget().pause(next.pause.max(failure.delay));
        let pause = jittered(pause);
        (now + pause + SHORTEST_ATTEMPT < self.deadline).then_some((next.node, pause))
    }

    /// Why it is given up; `last` is what the last node said.
    fn end(self, last: String) -> ClientError {
        let Self {
            carried_out,
            answered,
            refused,
            ..
        } = self;
        match (refused, carried_out) {
            (Some(refused), CarriedOut::No) => refused,
            // An earlier try may have done what this one may not do any more.
            (Some(refused), CarriedOut::Maybe) => ClientError::OutcomeUnknown {
                last: refused.to_string(),
            },
            (None, CarriedOut::No) => ClientError::Unavailable { answered, last },
            (None, CarriedOut::Maybe) => ClientError::OutcomeUnknown { last },
        }
    }
}

async fn outcome_of(attempt: &mut Option<Attempt<'_>>) -> Result<String, Verdict> {
    match attempt {
        Some(attempt) => attempt.outcome.as_mut().await,
        None => std::future::pending().await,
    }
}
