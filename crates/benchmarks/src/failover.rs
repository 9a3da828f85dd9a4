//! How long clients wait when something happens to the leader: the longest time between two
//! acknowledgements around each time, as a client sees it that never stops sending.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use devcluster_api::{Links, NodeId};

use crate::circumstances::print_circumstances;
use crate::probe::Probe;
use crate::session::Session;

/// So many sends in a row are acknowledged when the outage is over, and before the next begins.
const STEADY_SENDS: usize = 100;

/// What happens to the leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// SIGKILL: its connections break, so every peer notices at once.
    #[default]
    Kill,
    /// Nothing passes between it and the other nodes, and no connection breaks.
    Isolate,
    /// It is requested to transfer leadership, as before its machine is serviced.
    Transfer,
}

impl Fault {
    /// How the command line names it.
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Isolate => "isolate",
            Self::Transfer => "transfer",
        }
    }

    /// A node can be isolated only by the supervisor's links; otherwise nothing is in between.
    fn links(self) -> Links {
        match self {
            Self::Kill | Self::Transfer => Links::Direct,
            Self::Isolate => Links::Proxied,
        }
    }

    fn inject(self, session: &Session) -> Result<NodeId> {
        match self {
            Self::Kill => session.kill_leader(),
            Self::Isolate => session.isolate_leader(),
            Self::Transfer => session.transfer_leadership(),
        }
    }

    fn repair(self, session: &Session, node: NodeId) -> Result<()> {
        match self {
            Self::Kill => session.restart(node),
            Self::Isolate => session.reconnect(node),
            Self::Transfer => session.wait_until_settled(),
        }
    }
}

/// Does this to the leader again and again under a client that sends without pause.
pub(crate) fn run(programs: &Path, folder: &Path, fault: Fault, times: u32) -> Result<()> {
    let session = Session::start(programs, folder.join("failover"), 3, fault.links())?;
    let mut probe = Probe::start(&session)?;
    let mut outages = Vec::new();
    for number in 1..=times {
        probe.wait_for_sends(STEADY_SENDS)?;
        probe.forget_all_but_the_last();
        let leader = fault.inject(&session)?;
        probe.wait_for_sends(STEADY_SENDS)?;
        let outage = probe.longest_gap();
        println!(
            "{number:>4}  node {leader} {}: {:.1} ms",
            fault.name(),
            milliseconds(outage)
        );
        outages.push(outage);
        fault.repair(&session, leader)?;
    }
    outages.sort_unstable();
    println!("\noutage per {} of the leader, {times} times", fault.name());
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
        println!(
            "{name}      {:.1} ms",
            milliseconds(percentile(&outages, percent))
        );
    }
    println!("errors   {} that the client reported", probe.errors);
    print_circumstances(&format!(
        "cargo xtask bench failover --by {} --times {times}",
        fault.name()
    ));
    Ok(())
}

/// The smallest value that so many percent of all do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::percentile;

    fn ms(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_measured_values() {
        let values = ms(&(1..=50).collect::<Vec<_>>());
        assert_eq!(percentile(&values, 50), Duration::from_millis(25));
        assert_eq!(percentile(&values, 99), Duration::from_millis(50));
        assert_eq!(percentile(&values, 100), Duration::from_millis(50));
        assert_eq!(percentile(&values[..1], 50), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
