//! A follower that is far behind, and a link with little bandwidth: the follower must catch up, and the
//! leader must not change (R8).

use crate::checker::{Checked, Violation};
use crate::simulation::network::NetworkMix;
use crate::simulation::process::RequestKind;
use crate::simulation::queue::SimEvent;
use crate::simulation::{Settings, World};

/// A link, and how much the follower must catch up.
#[derive(Clone, Copy, Debug)]
pub struct SlowLink {
    /// The bandwidth of each direction.
    pub bytes_per_second: u64,
    /// How long a message takes besides, in microseconds.
    pub delay: u64,
    /// How many entries the follower misses.
    pub entries: u64,
    /// How large each is, in bytes.
    pub entry_bytes: usize,
}

/// The result.
#[derive(Clone, Copy, Debug)]
pub struct CaughtUp {
    /// How long it took, in microseconds of virtual time.
    pub micros: u64,
    /// Elections meanwhile.
    pub elections: u64,
}

/// Lets a follower miss entries, makes every link slow, and starts the follower.
///
/// # Errors
///
/// A property that does not hold, or the follower has not caught up within ten times the time that
/// its entries take on the link.
pub fn catch_up(link: SlowLink) -> Result<CaughtUp, Violation> {
    let mut settings = Settings::of_scenario(3);
    settings.padding = link.entry_bytes;
    settings.record_trace = false;
    // Nothing is served from memory, as for a follower that was down for long.
    settings.limits.cache_entries_max = 64;
    let mut world = World::new(settings);
    world.bootstrap()?;
    let leader = world.leader().expect("a bootstrapped cluster has a leader");
    let follower = (leader + 1) % 3;
    world.power_off(follower)?;
    for _ in 0..link.entries {
        world.append_one(leader)?;
    }
    world.run_until(world.now + 1_000_000)?;
    world.network.mix = NetworkMix {
        delay_min: link.delay,
        delay_max: link.delay,
        bytes_per_second: link.bytes_per_second,
        ..NetworkMix::faultless()
    };
    let elections = world.checkers.elections.count();
    let since = world.now;
    let run = world.processes[follower].run;
    world.queue.push(
        since,
        SimEvent::Restart {
            node: follower,
            run,
        },
    );
    let bytes = link.entries * link.entry_bytes as u64;
    let end = world.checkers.committed.last().index;
    let within = 10 * bytes * 1_000_000 / link.bytes_per_second + 5_000_000;
    world.wait_until(within, "caught up over a slow link", |world| {
        world.processes[follower].machine.applied >= end
    })?;
    Ok(CaughtUp {
        micros: world.now - since,
        elections: world.checkers.elections.count() - elections,
    })
}

impl World {
    pub(super) fn append_one(&mut self, leader: usize) -> Checked {
        self.attempts_made += 1;
        let operation = self.attempts_made;
        self.checkers.history.begins(operation);
        self.submit(leader, None, operation, RequestKind::Operation(operation))?;
        self.run_until(self.now + 200)
    }
}
