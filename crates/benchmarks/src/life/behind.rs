//! How long a follower takes that lacks many messages, and what that costs others.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use chat_client::{ChatClient, NodeStatus};
use devcluster_api::NodeId;

use crate::life::floor::Floor;
use crate::life::load::{BODY_BYTES, Foreground, Load};
use crate::life::report::{CatchUp, Others};
use crate::session::Session;

/// How long others are measured before the follower is started.
pub(super) const BEFORE: Duration = Duration::from_secs(10);
/// How long is waited for a follower at most.
pub(super) const LIMIT: Duration = Duration::from_secs(300);
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two kills, at least: a node must have begun.
const ALIVE_MIN: Duration = Duration::from_millis(100);

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// How many messages the follower lacks.
    pub(super) messages: u64,
    /// How often it is killed.
    pub(super) kills: u32,
    /// Sends of others a second.
    pub(super) rate: u32,
}

/// A follower that is watched, and those beside it.
struct Watch<'a> {
    session: &'a Session,
    load: &'a Load,
    client: ChatClient,
    follower: NodeId,
    /// What the leader had committed when it was last asked.
    goal: Option<u64>,
}

/// Lets a follower fall behind, and catch up three times: with its old files, with none, and with
/// none while it is killed again and again.
pub(super) fn measure(
    session: &Session,
    load: &Load,
    folder: &Path,
    size: Size,
) -> Result<Vec<CatchUp>> {
    let follower = session.follower()?;
    session.stop(follower)?;
    load.send(size.messages, BODY_BYTES)?;
    let foreground = load.foreground(size.rate, BODY_BYTES);
    let floor = Floor::start(folder)?;
    let client = load.client(session.client_addresses()?)?;
    let mut watch = Watch {
        session,
        load,
        client,
        follower,
        goal: None,
    };

    let before = measure_before(&foreground, &floor)?;
    let begun = Instant::now();
    session.start_node(follower)?;
    let stopped = watch.until_level(begun)?;
    let during = Others::since(&foreground, &floor, begun)?;
    let mut caught_up = vec![result("stopped", size.messages, 0, stopped, before, during)];

    session.stop(follower)?;
    let before = measure_before(&foreground, &floor)?;
    let begun = Instant::now();
    session.wipe(follower)?;
    let empty = watch.until_level(begun)?;
    let during = Others::since(&foreground, &floor, begun)?;
    caught_up.push(result(
        "empty disk",
        size.messages,
        0,
        empty,
        before,
        during,
    ));

    session.stop(follower)?;
    let before = measure_before(&foreground, &floor)?;
    let begun = Instant::now();
    session.wipe(follower)?;
    let alive = (empty.unwrap_or(LIMIT) / (size.kills + 2)).max(ALIVE_MIN);
    let kills = watch.kill_often(size.kills, alive, begun)?;
    let killed = watch.until_level(begun)?;
    let during = Others::since(&foreground, &floor, begun)?;
    caught_up.push(result(
        "empty disk",
        size.messages,
        kills,
        killed,
        before,
        during,
    ));
    Ok(caught_up)
}

/// Others' sends and syncs of the disk while nothing catches up.
pub(super) fn measure_before(foreground: &Foreground, floor: &Floor) -> Result<Others> {
    let begun = Instant::now();
    thread::sleep(BEFORE);
    Others::since(foreground, floor, begun)
}

impl Others {
    /// From then on.
    pub(super) fn since(foreground: &Foreground, floor: &Floor, begun: Instant) -> Result<Self> {
        Ok(Self {
            sends: foreground.since(begun)?,
            syncs: floor.since(begun),
        })
    }
}

pub(super) fn result(
    how: &'static str,
    messages: u64,
    kills: u32,
    level_after: Option<Duration>,
    before: Others,
    during: Others,
) -> CatchUp {
    CatchUp {
        how,
        messages,
        kills,
        seconds: level_after.map(|time| time.as_secs_f64()),
        before,
        during,
    }
}

impl Watch<'_> {
    /// Kills and starts the follower again, so often or until it is level; returns how often.
    fn kill_often(&mut self, kills: u32, alive: Duration, begun: Instant) -> Result<u32> {
        self.goal = None;
        for done in 0..kills {
            let until = Instant::now() + alive;
            while Instant::now() < until {
                if self.is_level() || begun.elapsed() > LIMIT {
                    return Ok(done);
                }
                thread::sleep(POLL_INTERVAL.min(alive));
            }
            self.session.kill(self.follower)?;
            self.session.start_node(self.follower)?;
        }
        Ok(kills)
    }

    /// How long after `begun`; `None` when the time was over before.
    fn until_level(&mut self, begun: Instant) -> Result<Option<Duration>> {
        self.goal = None;
        while begun.elapsed() < LIMIT {
            if self.is_level() {
                let took = begun.elapsed();
                self.session.wait_until_settled()?;
                return Ok(Some(took));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(None)
    }

    /// Whether the follower has applied what the leader had committed when it was asked the time
    /// before.
    fn is_level(&mut self) -> bool {
        let reports = self.load.block_on(self.client.status(STATUS_TIMEOUT));
        let statuses: Vec<NodeStatus> = reports
            .into_iter()
            .filter_map(|report| report.status.ok())
            .collect();
        let own = u64::from(self.follower.number());
        let applied = statuses.iter().find(|one| one.node_id == own);
        let applied = applied.map_or(0, |one| one.applied_index);
        let is_level = self.goal.is_some_and(|goal| applied >= goal);
        let leader = statuses.iter().find(|one| one.role == "leader");
        self.goal = leader.map(|one| one.commit_index).or(self.goal);
        is_level
    }
}
