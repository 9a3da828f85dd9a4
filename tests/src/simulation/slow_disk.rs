//! A leader whose disk is constantly slow: it transfers leadership if the others are faster without it
//! (R10).

use crate::checker::Violation;
use crate::simulation::{Settings, World};

/// How long clients write, in microseconds.
const DURATION: u64 = 15_000_000;
/// One entry in so long.
const INTERVAL: u64 = 50_000;

/// Makes the disk of the leader slow, or those of all nodes, and writes steadily. Returns after how
/// many microseconds the leader stepped down; `None` if it did not.
///
/// # Errors
///
/// A property that does not hold.
pub fn transferred_after(sync_takes: u64, everywhere: bool) -> Result<Option<u64>, Violation> {
    let mut settings = Settings::of_scenario(3);
    settings.record_trace = false;
    let mut world = World::new(settings);
    world.bootstrap()?;
    let leader = world.leader().expect("a bootstrapped cluster has a leader");
    for node in 0..3 {
        if everywhere || node == leader {
            world.processes[node].slow_disk = Some((sync_takes, u64::MAX));
        }
    }
    let since = world.now;
    while world.now < since + DURATION {
        if !world.processes[leader].leads() {
            return Ok(Some(world.now - since));
        }
        world.append_one(leader)?;
        world.run_until(world.now + INTERVAL)?;
    }
    Ok(None)
}
