//! Whether a follower that is far behind catches up over a slow link while the leader keeps leading.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use devcluster_api::{LinkShape, Links, NodeId};
use serde::Deserialize;

use crate::circumstances::print_circumstances;
use crate::probe::Probe;
use crate::session::Session;

/// A household's line to a data centre that is not near.
const SHAPE: LinkShape = LinkShape {
    bits_per_second: 10_000_000,
    delay_ms: 50,
};

/// What is sent meanwhile, as in a chat that people use. A client at full speed would itself fill half
/// of the link.
const SENDS_PER_SECOND: u32 = 100;

/// How long it is watched at most.
const LIMIT: Duration = Duration::from_secs(300);

/// Bodies nearly as long as they may be, so that the log grows quickly.
const BODY_BYTES: u64 = 16_000;
const FILLING_CLIENTS: &str = "16";
/// What was sent is counted after each such time of filling.
const FILLING_SECONDS: &str = "2";
/// A machine that fills this slowly measures nothing.
const FILLINGS_MAX: u32 = 300;

const QUERY_INTERVAL: Duration = Duration::from_secs(1);

/// A follower that lacks no more than this follows what happens now: at 50 ms it is always some
/// entries behind.
const TRAILS_MAX: u64 = 500;

/// Lets a follower fall behind by so many megabytes; an error when it does not catch up, or when the
/// leader changes.
pub(crate) fn run(programs: &Path, folder: &Path, megabytes: u64) -> Result<()> {
    let session = Session::start(programs, folder.join("catch-up"), 3, Links::Proxied)?;
    let follower = session.follower()?;
    session.stop(follower)?;
    fill(&session, megabytes * 1_000_000)?;
    session.shape(follower, SHAPE)?;
    let mut probe = Probe::start_at_rate(&session, SENDS_PER_SECOND)?;
    probe.watch(QUERY_INTERVAL)?;
    let (leader, first_term) = session.leadership()?;
    let leader = leader.context("no node leads before it begins")?;
    session.start_node(follower)?;
    println!(
        "node {follower} is {megabytes} MB behind, over a link of 10 Mbit/s with 50 ms delay, beside \
         {SENDS_PER_SECOND} sends a second"
    );

    let caught_up = watch(&session, &mut probe, follower)?;
    let (_, term) = session.leadership()?;
    println!(
        "\nleader   node {leader} of term {first_term} at the beginning, term {term} at the end"
    );
    println!(
        "sends    {} acknowledged meanwhile, {} errors, the longest wait {:.1} ms",
        probe.count(),
        probe.errors,
        probe.longest_gap().as_secs_f64() * 1000.0
    );
    print_circumstances(&format!(
        "cargo xtask bench catch-up --megabytes {megabytes}"
    ));
    if term != first_term {
        bail!("the leader changed although only a follower was slow");
    }
    match caught_up {
        Some(after) => println!("caught up after {:.0} s", after.as_secs_f64()),
        None => bail!(
            "node {follower} has not caught up after {} s",
            LIMIT.as_secs()
        ),
    }
    Ok(())
}

/// How long it took; `None` when the time was over before.
fn watch(session: &Session, probe: &mut Probe, follower: NodeId) -> Result<Option<Duration>> {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        probe.watch(QUERY_INTERVAL)?;
        let Ok(Some(trails)) = session.trails(follower) else {
            continue;
        };
        println!(
            "{:>5} s  {trails} entries behind",
            begun.elapsed().as_secs()
        );
        if trails <= TRAILS_MAX {
            return Ok(Some(begun.elapsed()));
        }
    }
    Ok(None)
}

/// What `chat bench` printed.
#[derive(Debug, Deserialize)]
struct Filled {
    /// How many messages were acknowledged.
    done: u64,
}

/// Sends long messages, so many bytes in all.
fn fill(session: &Session, bytes: u64) -> Result<()> {
    let mut sent = 0;
    for _ in 0..FILLINGS_MAX {
        if sent >= bytes {
            return Ok(());
        }
        let mut load = Command::new(session.program("chat"));
        load.args(["bench", "-o", "json", "--clients", FILLING_CLIENTS]);
        load.args(["--seconds", FILLING_SECONDS, "--body"]);
        load.arg(BODY_BYTES.to_string());
        load.arg("--config").arg(session.client_config());
        let output = load.stdin(Stdio::null()).output();
        let output = output.context("starting `chat bench`")?;
        let filled: Filled = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`chat bench` ended with {}", output.status))?;
        sent += filled.done * BODY_BYTES;
    }
    bail!("{bytes} bytes were not sent in time")
}
