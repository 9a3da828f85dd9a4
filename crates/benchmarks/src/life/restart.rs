//! How long a node with many messages takes to serve after its start.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use chat_client::{ChatClient, InboxQuery};

use crate::life::load::Load;
use crate::life::report::Restart;
use crate::session::Session;

/// Of each kind.
const TIMES: u32 = 3;
const LIMIT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(3);
/// Of one attempt: long enough for a reply, short enough to begin anew.
const DEADLINE: Duration = Duration::from_millis(200);
const PAGE: u32 = 20;

/// Stops a follower, and kills it, some times each.
pub(super) fn measure(session: &Session, load: &Load, messages: u64) -> Result<Vec<Restart>> {
    let node = session.follower()?;
    let client = load.client(vec![session.client_address(node)?])?;
    let client = client.with_deadline(DEADLINE);
    let mut restarts = Vec::new();
    for _ in 0..TIMES {
        for how in ["stopped", "killed"] {
            session.wait_until_settled()?;
            match how {
                "stopped" => session.stop(node)?,
                _ => session.kill(node)?,
            }
            let begun = Instant::now();
            session.start_node(node)?;
            restarts.push(Restart {
                how,
                messages,
                status_seconds: until_status(load, &client, begun).as_secs_f64(),
                read_seconds: until_read(load, &client, begun).map(|time| time.as_secs_f64()),
            });
        }
    }
    Ok(restarts)
}

fn until_status(load: &Load, client: &ChatClient, begun: Instant) -> Duration {
    while begun.elapsed() < LIMIT {
        let reports = load.block_on(client.status(DEADLINE));
        if reports.iter().any(|report| report.status.is_ok()) {
            break;
        }
        thread::sleep(POLL_INTERVAL);
    }
    begun.elapsed()
}

/// A read through this node alone, which waits until the node has applied enough.
fn until_read(load: &Load, client: &ChatClient, begun: Instant) -> Option<Duration> {
    let query = InboxQuery {
        limit: Some(PAGE),
        ..InboxQuery::default()
    };
    while begun.elapsed() < LIMIT {
        if load.block_on(client.inbox(load.account(), &query)).is_ok() {
            return Some(begun.elapsed());
        }
        thread::sleep(POLL_INTERVAL);
    }
    None
}
