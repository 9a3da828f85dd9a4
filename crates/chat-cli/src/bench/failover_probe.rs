//! One sender that prints a line for every acknowledgement: the gaps between them are the outages. It
//! sends one message after the other, or a fixed number a second.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chat_client::OutgoingMessage;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::setup::BenchSetup;
use crate::arguments::Bench;
use crate::failure::Failure;
use crate::stderr::warn;

pub(super) async fn run(setup: &BenchSetup, bench: &Bench) -> Result<ExitCode, Failure> {
    let (client, session) = (&setup.connections[0], &setup.sessions[0]);
    let body = "x".repeat(usize::try_from(bench.body).expect("bodies are small"));
    let started = Instant::now();
    let until = started + Duration::from_secs(bench.seconds);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    let mut pace = bench.rate.map(|rate| {
        let mut pace = interval(Duration::from_secs(1) / rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    while Instant::now() < until {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let message = OutgoingMessage::new(session.username(), body.as_str());
        let sent = Instant::now();
        let mut errors = 0_u32;
        // The same message until it is acknowledged: an outage is one high latency.
        while let Err(error) = client.send_message(session, &message).await {
            warn(&format!("chat: {error}"));
            errors += 1;
            if Instant::now() >= until {
                return Err(error.into());
            }
        }
        let at = Instant::now();
        let (at_us, latency_us) = (micros(at - started), micros(at - sent));
        line.clear();
        writeln!(
            line,
            "{}",
            json!({"at_us": at_us, "latency_us": latency_us, "errors": errors})
        )
        .expect("writing to a vector does not fail");
        let mut output = io::stdout().lock();
        // The reader has closed the output: the measurement ends.
        if output
            .write_all(&line)
            .and_then(|()| output.flush())
            .is_err()
        {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
