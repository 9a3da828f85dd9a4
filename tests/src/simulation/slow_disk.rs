//! A leader whose disk is slow and steady: it hands over if the others are faster without it (R10).

use crate::checker::Violation;
use crate::simulation::{Settings, World};

/// How long there is something to write, in microseconds.
const LASTS: u64 = 15_000_000;
/// One entry in so long.
const INTERVAL: u64 = 50_000;

/// Makes the disk of the leader slow, or those of all nodes, and writes steadily. Says after how
/// many microseconds another led; `None` when the leader stayed.
///
/// # Errors
///
/// A property that does not hold.
pub fn transferred_after(sync_takes: u64, everywhere: bool) -> Result<Option<u64>, Violation> {
    let mut settings = Settings::of_scenario(3);
    settings.record_trace = false;
    let mut world = World::new(settings);
    world.bootstrap()?;
    let leader = world.leader().expect("a cluster that is born is led");
    for node in 0..3 {
        if everywhere || node == leader {
            world.processes[node].slow_disk = Some((sync_takes, u64::MAX));
        }
    }
    let since = world.now;
    while world.now < since + LASTS {
        if !world.processes[leader].leads() {
            return Ok(Some(world.now - since));
        }
        world.append_one(leader)?;
        world.run_until(world.now + INTERVAL)?;
    }
    Ok(None)
}
