//! Whether the leader keeps leading while other programs take nearly all of the machine: it must,
//! because it works.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use devcluster_api::Links;

use crate::circumstances::print_circumstances;
use crate::probe::Probe;
use crate::session::Session;

/// How often the leadership is queried; a term that began in between is visible too.
const QUERY_INTERVAL: Duration = Duration::from_secs(1);

/// Of each period a busy process computes for this long, and sleeps for the rest.
const BUSY: Duration = Duration::from_millis(90);
const PERIOD: Duration = Duration::from_millis(100);

/// How much longer than the measurement the busy processes run if this process is killed.
const GRACE: Duration = Duration::from_secs(60);

/// Watches the leadership for so long; an error when it changes.
pub(crate) fn run(programs: &Path, folder: &Path, minutes: u32) -> Result<()> {
    let time = Duration::from_secs(u64::from(minutes) * 60);
    let session = Session::start(programs, folder.join("busy"), 3, Links::Direct)?;
    let mut probe = Probe::start(&session)?;
    probe.watch(QUERY_INTERVAL)?;
    let (leader, first_term) = session.leadership()?;
    let leader = leader.context("no node leads before it begins")?;
    let busy = Busy::start(time + GRACE)?;
    let (mut term, mut changes) = (first_term, 0);
    let begun = Instant::now();
    while begun.elapsed() < time {
        probe.watch(QUERY_INTERVAL)?;
        // A status without a reply in time does not show who leads; the next one does.
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

/// As many busy processes as there are processors; they are killed when this is dropped, and end after their time.
struct Busy {
    processes: Vec<Child>,
}

impl Busy {
    fn start(time: Duration) -> Result<Self> {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        let own_program = std::env::current_exe().context("finding our own program")?;
        let mut busy = Self {
            processes: Vec::new(),
        };
        for _ in 0..processors {
            let process = Command::new(&own_program)
                .args(["spin", "--seconds", &time.as_secs().to_string()])
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
pub(crate) fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        let period = Instant::now();
        while period.elapsed() < BUSY {
            std::hint::spin_loop();
        }
        thread::sleep(PERIOD - BUSY);
    }
}
