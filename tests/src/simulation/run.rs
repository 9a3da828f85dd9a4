//! One seed, from birth to judgement: break things, heal them, demand progress, stability and
//! quick fail-over, and compare what is left.

use crate::checker::{Checked, Violation};
use crate::simulation::faults::FaultCounts;
use crate::simulation::queue::Happening;
use crate::simulation::{Settings, World};

/// Everything must be well again this long after the faults ended, in microseconds.
const PROGRESS_WITHIN: u64 = 10_000_000;
/// What was lost before is noticed within this time: the longest quorum window, and some.
const AFTERMATH: u64 = 1_000_000;
/// Without faults nobody stands for this long.
const STABLE_FOR: u64 = 2_000_000;
/// A killed leader, whose port is closed, is replaced within this time (R17).
const KILLED_REPLACED_WITHIN: u64 = 500_000;
/// A silent one within this time.
const SILENT_REPLACED_WITHIN: u64 = 3_000_000;
/// One that hands over, from the moment it resigns.
const HANDED_OVER_WITHIN: u64 = 45_000;

/// A run with few clients and few faults goes on until it has seen this many events.
const EVENTS_MIN: u64 = 2_000;

/// How many ends of a leader there are to get over, and how many of them a run tries.
const TURNS: usize = 7;
const TURNS_TRIED: usize = 3;

/// What a run was.
#[derive(Clone, Debug)]
pub struct SeedReport {
    /// Its seed.
    pub seed: u64,
    /// Things that happened.
    pub events: u64,
    /// Entries that were committed.
    pub commits: u64,
    /// Terms that had a leader.
    pub leaders: u64,
    /// Proposals that were acknowledged.
    pub acknowledged: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// How long it took by the virtual clock, in microseconds.
    pub virtual_micros: u64,
    /// How often each fault fired.
    pub faults: FaultCounts,
    /// What must occur somewhere, and how often it did; empty without a service.
    pub situations: Vec<(&'static str, u64)>,
    /// The hash of everything that happened.
    pub hash: u64,
    /// Everything in words, if that was asked for.
    pub trace: Vec<String>,
    /// What did not hold.
    pub violation: Option<Violation>,
}

/// Runs `seed` to its end, or to the first property that does not hold.
pub fn run_seed(seed: u64, in_words: bool) -> SeedReport {
    run_world(World::new(Settings::of_seed(seed, in_words)))
}

/// Runs a world in which no node was started yet.
pub fn run_world(mut world: World) -> SeedReport {
    let seed = world.settings.seed;
    let body = std::panic::AssertUnwindSafe(|| world.live());
    let violation = match std::panic::catch_unwind(body) {
        Ok(checked) => checked.err(),
        Err(panic) => Some(Violation::new("invariant", panic_message(&*panic))),
    };
    SeedReport {
        seed,
        events: world.events,
        commits: world.checkers.committed.last().index.0,
        leaders: world.checkers.elections.count(),
        acknowledged: world.checkers.history.acknowledged,
        reads: world.checkers.history.reads,
        virtual_micros: world.now,
        faults: world.faults.clone(),
        situations: world
            .service
            .as_ref()
            .map(|service| service.situations())
            .unwrap_or_default(),
        hash: world.trace_hash(),
        trace: world.take_trace(),
        violation,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}

impl World {
    fn live(&mut self) -> Checked {
        self.begin()?;
        let lasts = self.mix.as_ref().map_or(0, |mix| mix.lasts);
        self.run_until(lasts)?;
        self.heal()?;
        self.recover("well after all faults ended")?;
        self.stay_calm()?;
        if self.settings.nodes > 1 {
            self.fail_over()?;
        }
        while self.events < EVENTS_MIN {
            self.run_until(self.now + 100_000)?;
        }
        self.come_to_rest()
    }

    /// One leader, everybody with it, every client served, nobody forgotten.
    fn recover(&mut self, what: &str) -> Checked {
        let since = self.now;
        let end = self.checkers.committed.last().index;
        self.wait_until(PROGRESS_WITHIN, what, |world| {
            world.agrees_on_leader()
                && world.clients_were_served_since(since)
                && world.checkers.committed.last().index > end
                && world.processes.iter().all(|p| p.machine.applied >= end)
        })?;
        // A fetch that was lost while there were faults may still be waited for, and cost the
        // leader its quorum when all is well.
        self.run_until(self.now + AFTERMATH)?;
        self.wait_until(PROGRESS_WITHIN, what, Self::agrees_on_leader)?;
        // Calls end after half a second, and what follows from that at once.
        let forgotten = self.now.saturating_sub(3_000_000);
        self.check_waiters(forgotten)
    }

    fn stay_calm(&mut self) -> Checked {
        let leaders = self.checkers.elections.count();
        let terms: Vec<_> = self.processes.iter().map(|p| p.seen.term).collect();
        self.run_until(self.now + STABLE_FOR)?;
        let now: Vec<_> = self.processes.iter().map(|p| p.seen.term).collect();
        if leaders != self.checkers.elections.count() || terms != now {
            let what = format!(
                "the leader changed though nothing was wrong\n{}",
                self.summary()
            );
            return Err(Violation::new("stability", what));
        }
        Ok(())
    }

    /// The ends of a leader that a cluster must get over quickly.
    fn fail_over(&mut self) -> Checked {
        let spare = self.voters_left() > self.settings.nodes / 2 + 1;
        let first = self.random.usize(0..TURNS);
        for turn in 0..TURNS_TRIED {
            let before = self.now;
            match (first + turn) % TURNS {
                0 if spare => self.replace_killed_leader()?,
                1 if spare => self.replace_silent_leader()?,
                2 => self.hand_over_leadership()?,
                3 => self.keep_leader_despite_one_cut()?,
                4 => self.lose_power_everywhere()?,
                5 if spare => self.replace_leader_with_stuck_disk()?,
                6 => self.silence_leader_that_is_only_heard_from()?,
                _ => {}
            }
            if self.now > before {
                self.recover("well after a fail-over")?;
            }
        }
        Ok(())
    }

    fn voters_left(&self) -> usize {
        let Some(formation) = self.checkers.formations.first() else {
            return 0;
        };
        let admitted = |voter: &&chat_consensus::Voter| {
            self.disks[super::node_number(voter.node)].storage() == voter.storage
        };
        formation.voters.iter().filter(admitted).count()
    }

    fn replace_killed_leader(&mut self) -> Checked {
        let leader = self.leader().expect("recovery saw one");
        let leaders = self.checkers.elections.count();
        self.tell(|_| "the leader is killed".to_owned());
        self.kill(leader)?;
        self.wait_until(
            KILLED_REPLACED_WITHIN,
            "a killed leader replaced",
            |world| world.checkers.elections.count() > leaders,
        )?;
        self.start(leader)
    }

    fn replace_silent_leader(&mut self) -> Checked {
        let leader = self.leader().expect("recovery saw one");
        let leaders = self.checkers.elections.count();
        self.tell(|_| "the leader is cut off".to_owned());
        for peer in (0..self.settings.nodes).filter(|peer| *peer != leader) {
            self.network.cut(leader, peer);
            self.network.cut(peer, leader);
        }
        self.wait_until(
            SILENT_REPLACED_WITHIN,
            "a silent leader replaced",
            |world| world.checkers.elections.count() > leaders && !world.processes[leader].leads(),
        )?;
        self.network.heal_all();
        Ok(())
    }

    fn hand_over_leadership(&mut self) -> Checked {
        let leader = self.leader().expect("recovery saw one");
        let leaders = self.checkers.elections.count();
        self.tell(|_| "the leader hands over".to_owned());
        self.handle(leader, chat_replication::Event::HandOver)?;
        self.wait_until(1_000_000, "resigned after a hand-over", |world| {
            !world.processes[leader].leads()
        })?;
        self.wait_until(HANDED_OVER_WITHIN, "led by the successor", |world| {
            world.checkers.elections.count() > leaders
        })
    }

    /// A node that lost sight of the leader alone does not end its term (R7).
    fn keep_leader_despite_one_cut(&mut self) -> Checked {
        let leader = self.leader().expect("recovery saw one");
        let peer = (leader + self.random.usize(1..self.settings.nodes)) % self.settings.nodes;
        if self.voters_left() == self.settings.nodes / 2 + 1 {
            return Ok(());
        }
        self.tell(|_| "the leader and one other are cut off from each other".to_owned());
        let (one, other) = (
            self.network.cut(leader, peer),
            self.network.cut(peer, leader),
        );
        let lasts = self.now + STABLE_FOR;
        self.queue.push(
            lasts,
            Happening::HealLink {
                from: leader,
                to: peer,
                cut: one,
            },
        );
        self.queue.push(
            lasts,
            Happening::HealLink {
                from: peer,
                to: leader,
                cut: other,
            },
        );
        self.stay_calm()?;
        self.run_until(lasts + 1)
    }

    /// A leader whose sync does not end makes room (R10).
    fn replace_leader_with_stuck_disk(&mut self) -> Checked {
        let leader = self.leader().expect("recovery saw one");
        let leaders = self.checkers.elections.count();
        self.tell(|_| "the leader's disk is stuck".to_owned());
        self.processes[leader].disk_held = true;
        let what = "a leader with a stuck disk replaced";
        self.wait_until(SILENT_REPLACED_WITHIN, what, |world| {
            world.checkers.elections.count() > leaders && !world.processes[leader].leads()
        })?;
        self.release_disk(leader);
        Ok(())
    }

    /// Fetches reach the leader and its answers reach nobody; the others cannot elect another. A
    /// leader that gets nothing done resigns (R10).
    fn silence_leader_that_is_only_heard_from(&mut self) -> Checked {
        let leader = self.leader().expect("recovery saw one");
        self.tell(|_| "the leader's word reaches nobody".to_owned());
        for from in 0..self.settings.nodes {
            for to in (0..self.settings.nodes).filter(|to| *to != leader && *to != from) {
                self.network.cut(from, to);
            }
        }
        // A follower that stands at the leader's end keeps up: there must be something to get.
        self.append_for_nobody(leader)?;
        let what = "resigned by a leader that reaches nobody";
        self.wait_until(SILENT_REPLACED_WITHIN, what, |world| {
            !world.processes[leader].leads()
        })?;
        self.network.heal_all();
        Ok(())
    }

    /// Everything stops at once and starts again: nothing that was acknowledged is gone, and the
    /// cluster is back as after one silent leader.
    fn lose_power_everywhere(&mut self) -> Checked {
        let leaders = self.checkers.elections.count();
        self.tell(|_| "the power goes everywhere".to_owned());
        for node in 0..self.settings.nodes {
            self.cut_power(node)?;
        }
        for node in 0..self.settings.nodes {
            self.start(node)?;
        }
        self.wait_until(SILENT_REPLACED_WITHIN, "led after a power cut", |world| {
            world.checkers.elections.count() > leaders
        })
    }

    fn come_to_rest(&mut self) -> Checked {
        for client in &mut self.clients {
            client.resting = true;
        }
        self.wait_until(PROGRESS_WITHIN, "at rest", |world| {
            world.clients_are_idle() && world.has_converged()
        })?;
        self.run_until(self.now + 1_000_000)?;
        self.check_waiters(self.now - 600_000)?;
        match &mut self.service {
            Some(service) => service.finish(),
            None => Ok(()),
        }
    }
}
