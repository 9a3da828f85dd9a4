//! One round: a copy is restored, one file is damaged, the nodes are started, and everything is
//! checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use chat_consensus::NodeId;
use chat_proto::cluster::v1::StatusResponse;
use fastrand::Rng;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::damage::file_damage::{FileDamage, Sources};
use crate::damage::golden::{Golden, Goldens};
use crate::damage::record::{Failure, Outcome, Record};
use crate::damage::serving::Serving;
use crate::damage::tree;
use crate::processes::cluster::Cluster;

/// Until all nodes are level: many elections, and a copy of all that there is.
const LEVEL_LIMIT: Duration = Duration::from_secs(20);
/// A whole round, in which requests are repeated for a while.
const ROUND_LIMIT: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// A service manager starts a node again that has ended; not for ever.
const RESTARTS_MAX: u32 = 3;
/// The lines of a log that are shown of a node that ended.
const LOG_LINES: usize = 3;
/// In one of so many rounds the damaged node is killed once more while it starts.
const INTERRUPTED_ONE_IN: u32 = 4;
/// A start takes some hundredths of a second.
const INTERRUPTED_AFTER_MS_MAX: u64 = 300;

/// Files without which, or with a wrong content of which, a node is right not to start; the damage, if
/// only one is meant; and why.
const RIGHTLY_REFUSED: [(&str, Option<&str>, &str); 2] = [
    (
        "identity.toml",
        None,
        "the file says whose directory this is: a node that does not know must not serve it",
    ),
    (
        "log/node",
        Some("foreign copy"),
        "the file names another node: a directory that was exchanged by mistake",
    ),
];

/// What a round does.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: Option<u64>,
    golden: usize,
    damaged: Option<(NodeId, FileDamage)>,
    /// How long after its start the damaged node is killed once more.
    interrupted_after: Option<Duration>,
}

/// The nodes of a round while they run.
struct Running<'a> {
    cluster: &'a mut Cluster,
    restarts: BTreeMap<NodeId, u32>,
    /// Nodes that ended again after each start.
    gone: BTreeSet<NodeId>,
    level_after: Option<Duration>,
}

impl Plan {
    /// A round without damage, which must be harmless.
    pub fn undamaged(golden: usize) -> Self {
        Self {
            seed: None,
            golden,
            damaged: None,
            interrupted_after: None,
        }
    }

    /// The round of a seed.
    ///
    /// # Panics
    ///
    /// When the copies cannot be read.
    pub fn draw(goldens: &Goldens, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let golden = rng.usize(0..goldens.len());
        let copy = goldens.copy(golden);
        let ids = goldens.cluster.ids();
        let node = ids[rng.usize(0..ids.len())];
        let others = ids.into_iter().filter(|id| *id != node);
        let foreign: Vec<_> = others.map(|id| copy.data(id)).collect();
        let sources = Sources {
            own: &copy.data(node),
            old: &goldens.old_data(node),
            foreign: &foreign,
        };
        let damage = FileDamage::draw(&mut rng, sources);
        let damage = damage.unwrap_or_else(|error| panic!("no damage of {node:?}: {error}"));
        let is_interrupted = rng.u32(0..INTERRUPTED_ONE_IN) == 0;
        let after = Duration::from_millis(rng.u64(0..INTERRUPTED_AFTER_MS_MAX));
        Self {
            seed: Some(seed),
            golden,
            damaged: Some((node, damage)),
            interrupted_after: is_interrupted.then_some(after),
        }
    }
}

/// Runs one round, after which no node runs. If it fails, the directories and logs of the nodes are
/// copied to `keep`.
pub async fn run(goldens: &mut Goldens, plan: &Plan, keep: Option<&Path>) -> Record {
    let begun = Instant::now();
    let prepared = prepare(goldens, plan);
    let (cluster, copy) = goldens.parts(plan.golden);
    let mut running = Running {
        cluster,
        restarts: BTreeMap::new(),
        gone: BTreeSet::new(),
        level_after: None,
    };
    let outcome = match prepared {
        Ok(()) => match timeout(ROUND_LIMIT, running.check(copy, plan)).await {
            Ok(ended) => ended.unwrap_or_else(Outcome::Failed),
            Err(_late) => {
                let late = format!("the round took longer than {ROUND_LIMIT:?}");
                Outcome::Failed(Failure::NotServed(late))
            }
        },
        Err(error) => Outcome::Failed(Failure::Files(error.to_string())),
    };
    let record = Record {
        seed: plan.seed,
        golden: copy.name,
        damaged: plan.damaged.clone(),
        interrupted: plan.interrupted_after.is_some(),
        outcome,
        restarts: running.restarts.values().sum(),
        level_after: running.level_after,
        took: begun.elapsed(),
    };
    goldens.cluster.discard_all();
    if let (Some(keep), true) = (keep, record.has_failed())
        && let Err(error) = keep_files(&goldens.cluster, plan.seed, keep)
    {
        println!("the files of the next round could not be kept: {error}");
    }
    record
}

fn prepare(goldens: &mut Goldens, plan: &Plan) -> io::Result<()> {
    let (cluster, copy) = goldens.parts(plan.golden);
    for id in cluster.ids() {
        tree::restore(&copy.data(id), &cluster.data(id))?;
        match fs::remove_file(cluster.log(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match &plan.damaged {
        Some((node, damage)) => damage.apply(&cluster.data(*node)),
        None => Ok(()),
    }
}

fn keep_files(cluster: &Cluster, seed: Option<u64>, keep: &Path) -> io::Result<()> {
    let name = seed.map_or_else(|| "undamaged".to_owned(), |seed| format!("seed-{seed}"));
    let folder = keep.join(name);
    for id in cluster.ids() {
        tree::restore(&cluster.data(id), &folder.join(format!("node-{}", id.0)))?;
        tree::copy_file(&cluster.log(id), &folder.join(format!("node-{}.log", id.0)))?;
    }
    Ok(())
}

impl Running<'_> {
    async fn check(&mut self, copy: &Golden, plan: &Plan) -> Result<Outcome, Failure> {
        let begun = Instant::now();
        self.cluster.start_all();
        if let (Some((node, _)), Some(after)) = (&plan.damaged, plan.interrupted_after) {
            drop(timeout(after, self.level()).await);
            self.cluster.discard(*node);
            self.cluster.start_node(*node);
        }
        self.level().await?;
        self.level_after = Some(begun.elapsed());
        self.serve(copy, plan).await?;
        // Also what happened meanwhile, and while the checks ran.
        let statuses = self.level().await?;
        self.check_logs()?;
        self.classify(copy, plan, &statuses)
    }

    /// Waits until every node that runs follows one leader and has applied what that had committed.
    async fn level(&mut self) -> Result<Vec<StatusResponse>, Failure> {
        let deadline = Instant::now() + LEVEL_LIMIT;
        let mut goal = None;
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.restart_ended();
            self.check_logs()?;
            let statuses = self.cluster.statuses().await;
            let reason = match leader_among(&statuses)? {
                Some(leader) => {
                    let goal = *goal.get_or_insert(leader.commit_index);
                    let behind = |one: &&StatusResponse| {
                        (one.leader_id, one.term) != (leader.node_id, leader.term)
                            || one.applied_index < goal
                    };
                    match statuses.iter().find(behind) {
                        None if statuses.len() == self.running().len() => return Ok(statuses),
                        None => "a node does not reply".to_owned(),
                        Some(status) => format!("{status:?}"),
                    }
                }
                None => format!("no leader among {statuses:?}"),
            };
            if Instant::now() > deadline {
                return Err(Failure::NotLevel(reason));
            }
        }
    }

    /// Reads, sends and logs in, for a while again if a request is not answered.
    async fn serve(&mut self, copy: &Golden, plan: &Plan) -> Result<(), Failure> {
        let deadline = Instant::now() + LEVEL_LIMIT;
        let mut serving = Serving::new(&copy.facts);
        loop {
            let damaged = plan.damaged.as_ref().map(|(node, _)| *node);
            let checked = serving.check(self.cluster, &self.running(), damaged).await;
            match checked {
                Err(Failure::NotServed(_)) if Instant::now() < deadline => self.restart_ended(),
                checked => return checked,
            }
        }
    }

    fn running(&self) -> Vec<NodeId> {
        let ids = self.cluster.ids().into_iter();
        ids.filter(|id| !self.gone.contains(id)).collect()
    }

    fn restart_ended(&mut self) {
        for id in self.running() {
            if self.cluster.try_ended(id).is_none() {
                continue;
            }
            let restarts = self.restarts.entry(id).or_default();
            if *restarts < RESTARTS_MAX {
                *restarts += 1;
                self.cluster.start_node(id);
            } else {
                self.gone.insert(id);
            }
        }
    }

    fn check_logs(&self) -> Result<(), Failure> {
        for id in self.cluster.ids() {
            let log = fs::read_to_string(self.cluster.log(id)).unwrap_or_default();
            if let Some(line) = log.lines().position(|line| line.contains("panicked at")) {
                let lines: Vec<&str> = log.lines().skip(line).take(LOG_LINES).collect();
                return Err(Failure::Panicked(lines.join("\n")));
            }
        }
        Ok(())
    }

    fn classify(
        &self,
        copy: &Golden,
        plan: &Plan,
        statuses: &[StatusResponse],
    ) -> Result<Outcome, Failure> {
        let damaged = plan.damaged.as_ref();
        let is_damaged = |id: &NodeId| damaged.is_some_and(|(node, _)| node == id);
        if let Some(other) = self.gone.iter().find(|id| !is_damaged(id)) {
            let words = last_lines(&self.cluster.log(*other));
            return Err(Failure::Refused(format!(
                "another node, {other:?}: {words}"
            )));
        }
        if let Some((node, damage)) = damaged.filter(|(node, _)| self.gone.contains(node)) {
            let words = last_lines(&self.cluster.log(*node));
            return right_to_refuse(damage).ok_or(Failure::Refused(words));
        }
        let voters = statuses.iter().find(|one| one.role == "leader");
        let voters = voters.map_or(&[][..], |leader| &leader.voter_ids);
        for status in statuses {
            let id = NodeId(status.node_id);
            let has_old_id = copy.storage_ids.get(&id) == Some(&status.storage_id);
            let counts = has_old_id && voters.contains(&id.0);
            if !counts && !is_damaged(&id) {
                return Err(Failure::Unexplained(format!("another node: {status:?}")));
            }
        }
        let Some((node, _)) = damaged else {
            return Ok(self
                .reported_by(None)
                .map_or(Outcome::Harmless, Outcome::Reported));
        };
        let own = statuses.iter().find(|one| one.node_id == node.0);
        let own = own.ok_or_else(|| Failure::NotLevel(format!("{node:?} does not reply")))?;
        let reported = self.reported_by(Some(*node)).or_else(|| {
            (own.storage_state != "ok").then(|| format!("status: {}", own.storage_state))
        });
        if copy.storage_ids.get(node) != Some(&own.storage_id) {
            return Ok(Outcome::NewStorageId);
        }
        match reported {
            Some(reported) => Ok(Outcome::Reported(reported)),
            None if voters.contains(&node.0) => Ok(Outcome::Harmless),
            None => Err(Failure::Unexplained(format!("{own:?}"))),
        }
    }

    /// The first warning or error that a node, or any node, has logged.
    fn reported_by(&self, node: Option<NodeId>) -> Option<String> {
        let ids = node.map_or_else(|| self.cluster.ids(), |node| vec![node]);
        ids.into_iter().find_map(|id| {
            let log = fs::read_to_string(self.cluster.log(id)).unwrap_or_default();
            let is_report = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
            log.lines().find(is_report).map(str::to_owned)
        })
    }
}

fn right_to_refuse(damage: &FileDamage) -> Option<Outcome> {
    let kind = tree::kind(&damage.file);
    let name = damage.change.name();
    let fits =
        |file: &str, only: Option<&str>| file == kind && only.is_none_or(|only| only == name);
    let found = RIGHTLY_REFUSED
        .iter()
        .find(|(file, only, _)| fits(file, *only));
    found.map(|(_, _, reason)| Outcome::RightlyRefused { reason })
}

/// R5: one leader in a term.
fn leader_among(statuses: &[StatusResponse]) -> Result<Option<&StatusResponse>, Failure> {
    let term = statuses.iter().map(|one| one.term).max();
    let leads = |one: &&StatusResponse| one.role == "leader" && Some(one.term) == term;
    let mut leading = statuses.iter().filter(leads);
    match (leading.next(), leading.next()) {
        (leader, None) => Ok(leader),
        (_, Some(_)) => Err(Failure::Wrong(format!("R5: two leaders: {statuses:?}"))),
    }
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().collect();
    // The same of each start.
    lines.dedup();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
