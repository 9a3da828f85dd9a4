//! The same for a follower of etcd: how long it takes when it lacks many puts, and what that costs others.
//! It has its old files; etcd takes a member with an empty disk for a new one, which has to be added.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::etcd::Etcd;
use crate::life::behind::{LIMIT, POLL_INTERVAL, Size, measure_before, result};
use crate::life::floor::Floor;
use crate::life::load::{BODY_BYTES, FOREGROUND_SENDERS, Foreground, SENDERS};
use crate::life::report::{CatchUp, Others};

/// The load beside it is ended when the follower is level.
const LOAD_SECONDS: &str = "3600";

/// A program that puts load on etcd; killed when this is dropped.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("could not end the load on etcd: {error}");
        }
    }
}

/// Nothing where etcd is not installed.
pub(super) fn measure(programs: &Path, folder: &Path, size: Size) -> Result<Option<CatchUp>> {
    std::fs::create_dir_all(folder)?;
    let Some(mut etcd) = Etcd::start(programs, folder)? else {
        return Ok(None);
    };
    let follower = etcd.follower()?;
    etcd.kill(follower)?;
    let endpoint = etcd.leader_besides(follower)?;
    let load = |arguments: &[&str]| {
        let mut load = Command::new(etcd.load());
        load.arg(&endpoint).args(["--seconds", LOAD_SECONDS]);
        load.args(["--body", &BODY_BYTES.to_string()])
            .args(arguments);
        load
    };
    let (puts, clients) = (size.messages.to_string(), SENDERS.to_string());
    let filled = load(&["--puts", &puts, "--clients", &clients])
        .stdout(Stdio::null())
        .status()
        .context("starting etcd-load")?;
    ensure!(filled.success(), "etcd-load ended with {filled}");

    let (rate, clients) = (size.rate.to_string(), FOREGROUND_SENDERS.to_string());
    let mut beside = load(&["--rate", &rate, "--clients", &clients])
        .stdout(Stdio::piped())
        .spawn()
        .map(Load)
        .context("starting etcd-load")?;
    let lines = beside.0.stdout.take().context("the output of etcd-load")?;
    let foreground = Foreground::of_lines(lines);
    let floor = Floor::start(folder)?;
    let before = measure_before(&foreground, &floor)?;
    let begun = Instant::now();
    etcd.restart(follower)?;
    let level_after = until_level(&etcd, follower, begun)?;
    let during = Others::since(&foreground, &floor, begun)?;
    let how = "etcd: stopped";
    Ok(Some(result(
        how,
        size.messages,
        0,
        level_after,
        before,
        during,
    )))
}

/// How long after `begun`; `None` when the time was over before.
fn until_level(etcd: &Etcd, follower: usize, begun: Instant) -> Result<Option<Duration>> {
    let mut goal = etcd.committed()?;
    while begun.elapsed() < LIMIT {
        if etcd.applied(follower) >= goal {
            return Ok(Some(begun.elapsed()));
        }
        goal = etcd.committed()?;
        thread::sleep(POLL_INTERVAL);
    }
    Ok(None)
}
