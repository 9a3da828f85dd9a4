//! Whether the leader stays while other programs take nearly all of the machine: it must, because
//! nothing is wrong with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use devcluster::state::Links;

use super::print_circumstances;
use super::probe::Probe;
use super::session::Session;
use crate::workspace;

/// How often somebody looks who leads; a term that was begun in between shows too.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Of each period a busy process computes for this long, and sleeps for the rest.
const BUSY: Duration = Duration::from_millis(90);
const PERIOD: Duration = Duration::from_millis(100);

/// How much longer than the measurement the busy processes may live if we are killed.
const GRACE: Duration = Duration::from_secs(60);

/// Watches for so long who leads; an error when that changes.
pub(super) fn run(root: &Path, minutes: u32) -> Result<()> {
    let time = Duration::from_secs(u64::from(minutes) * 60);
    let folder = workspace::target_directory(root).join("bench/busy");
    let session = Session::start(root, folder, 3, Links::Direct)?;
    let mut probe = Probe::start(&session)?;
    probe.watch(LOOK_INTERVAL)?;
    let (leader, first_term) = session.leadership()?;
    let leader = leader.context("nobody leads before it begins")?;
    let busy = Busy::start(time + GRACE)?;
    let (mut term, mut changes) = (first_term, 0);
    let begun = Instant::now();
    while begun.elapsed() < time {
        probe.watch(LOOK_INTERVAL)?;
        // A status that nobody answers in time says nothing about who leads; the next one does.
        let Ok((_, now)) = session.leadership() else {
            continue;
        };
        if now > term {
            println!(
                "{:>5} s  term {term} is over, this is {now}",
                begun.elapsed().as_secs()
            );
            changes += 1;
            term = now;
        }
    }
    drop(busy);
    println!("\nleader   node {leader} of term {first_term} at the beginning, {changes} changes");
    println!(
        "sends    {} acknowledged, {} errors, the longest wait {:.1} ms",
        probe.count(),
        probe.errors,
        probe.longest_gap().as_secs_f64() * 1000.0
    );
    print_circumstances(&format!("cargo xtask bench busy --minutes {minutes}"));
    if changes > 0 {
        bail!("the leader changed although no node was down");
    }
    Ok(())
}

/// As many busy processes as there are processors; they end with this, and by themselves.
struct Busy {
    processes: Vec<Child>,
}

impl Busy {
    fn start(time: Duration) -> Result<Self> {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        let myself = std::env::current_exe().context("finding our own program")?;
        let mut busy = Self {
            processes: Vec::new(),
        };
        for _ in 0..processors {
            let process = Command::new(&myself)
                .args(["bench", "spin", "--seconds", &time.as_secs().to_string()])
                .stdin(Stdio::null())
                .spawn()
                .context("starting a busy process")?;
            busy.processes.push(process);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// Takes nine tenths of a processor for so long.
pub(super) fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        let period = Instant::now();
        while period.elapsed() < BUSY {
            std::hint::spin_loop();
        }
        thread::sleep(PERIOD - BUSY);
    }
}
