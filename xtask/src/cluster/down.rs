//! `cluster down` and `cluster reset`: the end of the processes, and of the data.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::layout::{Files, NODES_MAX, NodeId};
use super::process_identity::ProcessIdentity;
use super::state::ClusterState;
use super::supervisor::STOP_LIMIT;
use super::up;

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The supervisor gives its nodes `STOP_LIMIT`, then kills them; it needs little more itself.
const SUPERVISOR_LIMIT: Duration = Duration::from_secs(STOP_LIMIT.as_secs() + 3);

/// Stops everything; the data stay.
pub(super) fn run(files: &Files) -> Result<()> {
    if !files.folder().exists() {
        println!("there is no cluster");
        return Ok(());
    }
    let _lock = up::lock(files)?;
    if stop(files)? {
        println!("the cluster is down; its messages stay until `cargo xtask cluster reset`");
    } else {
        println!("the cluster was not up");
    }
    Ok(())
}

/// Stops everything and deletes what belongs to the cluster.
pub(super) fn reset(files: &Files) -> Result<()> {
    if !files.folder().exists() {
        println!("there is no cluster");
        return Ok(());
    }
    let lock = up::lock(files)?;
    // A damaged state is no reason to keep it, but then nobody knows what still runs.
    if let Err(error) = stop(files) {
        println!("could not stop the cluster: {error:#}");
    }
    remove_files(files)?;
    drop(lock);
    remove(&files.lock())?;
    // The folder may hold what is not ours; then it stays.
    fs::remove_dir(files.folder()).ok();
    println!("the cluster and its messages are deleted");
    Ok(())
}

/// Whether anything was running.
fn stop(files: &Files) -> Result<bool> {
    let Some(mut state) = ClusterState::read(files)? else {
        return Ok(false);
    };
    let supervisor = state.supervisor();
    if let Some(supervisor) = supervisor {
        supervisor.signal(Signal::SIGTERM)?;
        if wait_for_end(supervisor, SUPERVISOR_LIMIT).is_err() {
            println!("the supervisor did not end in time and is killed with its nodes");
            supervisor.signal(Signal::SIGKILL)?;
            wait_for_end(supervisor, SUPERVISOR_LIMIT)?;
        }
    }
    let orphans = state.living_nodes();
    for node in &orphans {
        node.signal(Signal::SIGKILL)?;
        wait_for_end(*node, SUPERVISOR_LIMIT)?;
    }
    if supervisor.is_none() && state.supervisor_pid.is_some() {
        // It was killed and could not say so itself.
        state.supervisor_pid = None;
        state.supervisor_started = None;
        state.write(files)?;
    }
    state.socket_folder.remove()?;
    Ok(supervisor.is_some() || !orphans.is_empty())
}

/// Waits until a process is gone.
pub(super) fn wait_for_end(process: ProcessIdentity, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    while process.is_alive() {
        if Instant::now() > deadline {
            bail!("process {} did not end within {limit:?}", process.pid);
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Removes our files one by one: the folder was named by a person and may hold other things.
fn remove_files(files: &Files) -> Result<()> {
    for node in NodeId::all(NODES_MAX) {
        remove(&files.data(node))?;
        remove(&files.node_config(node))?;
    }
    remove(&files.programs())?;
    remove(&files.logs())?;
    remove(&files.supervisor_log())?;
    remove(&files.control_socket())?;
    remove(&files.client_config())?;
    remove(&files.state())
}

fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::reset;
    use crate::cluster::layout::{Files, NodeId, PortOffset};
    use crate::cluster::socket_folder::SocketFolder;
    use crate::cluster::state::ClusterState;

    #[test]
    fn reset_deletes_what_is_ours_and_nothing_else() {
        let folder = env::temp_dir().join(format!("xtask-reset-{}", process::id()));
        let files = Files::new(folder.clone());
        for node in NodeId::all(2) {
            fs::create_dir_all(files.data(node)).unwrap();
            fs::write(files.data(node).join("log.db"), "").unwrap();
        }
        let sockets = SocketFolder::at("/run/x");
        ClusterState::new(&files, PortOffset::default(), sockets, 2, "debug")
            .write(&files)
            .unwrap();
        fs::write(folder.join("diary.txt"), "dear").unwrap();
        reset(&files).unwrap();
        let left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["diary.txt"]);
        fs::remove_file(folder.join("diary.txt")).unwrap();
        reset(&files).unwrap();
        assert!(!folder.exists());
    }
}
