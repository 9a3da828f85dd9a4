//! The end of a cluster: of its processes, and of its data.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use devcluster_api::{NODE_ID_MAX, NodeId};
use nix::sys::signal::Signal;

use crate::file_removal::remove_if_there;
use crate::layout::Files;
use crate::lock;
use crate::socket_folder::SocketFolder;
use crate::state;
use crate::supervisor::STOP_LIMIT;

/// The supervisor gives its nodes `STOP_LIMIT`, then kills them; it needs little more itself.
const SUPERVISOR_LIMIT: Duration = Duration::from_secs(STOP_LIMIT.as_secs() + 3);

/// What there was to stop or to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No cluster.
    Nothing,
    /// A cluster without a running process.
    NotUp,
    /// A cluster with running processes.
    Up,
}

/// Stops everything; the data stay.
///
/// # Errors
///
/// When something cannot be stopped.
pub fn stop(files: &Files) -> Result<Found> {
    if !files.folder().exists() {
        return Ok(Found::Nothing);
    }
    let _lock = lock::acquire(files)?;
    stop_processes(files)
}

/// Stops everything and deletes what belongs to the cluster.
///
/// # Errors
///
/// When something cannot be deleted.
pub fn reset(files: &Files) -> Result<Found> {
    if !files.folder().exists() {
        return Ok(Found::Nothing);
    }
    let lock = lock::acquire(files)?;
    // A damaged state is no reason to keep it, but then nothing records what still runs.
    let found = stop_processes(files).unwrap_or_else(|error| {
        println!("could not stop the cluster: {error:#}");
        Found::NotUp
    });
    remove_files(files)?;
    drop(lock);
    remove_if_there(&files.lock())?;
    // The folder may hold other files; then it stays.
    fs::remove_dir(files.folder()).ok();
    Ok(found)
}

fn stop_processes(files: &Files) -> Result<Found> {
    let Some(mut state) = state::read(files)? else {
        return Ok(Found::NotUp);
    };
    let supervisor = state::supervisor(&state);
    if let Some(supervisor) = supervisor {
        supervisor.signal(Signal::SIGTERM)?;
        if supervisor.wait_for_end(SUPERVISOR_LIMIT).is_err() {
            println!("the supervisor did not end in time and is killed with its nodes");
            supervisor.signal(Signal::SIGKILL)?;
            supervisor.wait_for_end(SUPERVISOR_LIMIT)?;
        }
    }
    let orphans = state::running_nodes(&state);
    for node in &orphans {
        node.signal(Signal::SIGKILL)?;
        node.wait_for_end(SUPERVISOR_LIMIT)?;
    }
    if supervisor.is_none() && state.supervisor_pid.is_some() {
        // It was killed and could not record its own end.
        state.supervisor_pid = None;
        state.supervisor_started = None;
        state::write(&state, files)?;
    }
    SocketFolder::at(&state.socket_folder).remove()?;
    let was_up = supervisor.is_some() || !orphans.is_empty();
    Ok(if was_up { Found::Up } else { Found::NotUp })
}

/// Removes the cluster's files one by one: a person named the folder, and it may hold other files.
fn remove_files(files: &Files) -> Result<()> {
    for node in NodeId::all(NODE_ID_MAX) {
        remove_if_there(&files.data(node))?;
        remove_if_there(&files.node_config(node))?;
    }
    remove_if_there(&files.programs())?;
    remove_if_there(&files.logs())?;
    remove_if_there(&files.supervisor_log())?;
    remove_if_there(&files.control_socket())?;
    remove_if_there(&files.client_config())?;
    remove_if_there(&files.state())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use devcluster_api::PortOffset;

    use super::{Found, reset};
    use crate::layout::Files;
    use crate::socket_folder::SocketFolder;
    use crate::state;

    #[test]
    fn reset_deletes_files_of_the_cluster_and_no_others() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("cluster");
        let files = Files::new(folder.clone());
        for node in ["1", "2", "11"].map(|node| node.parse().unwrap()) {
            fs::create_dir_all(files.data(node)).unwrap();
            fs::write(files.data(node).join("log.db"), "").unwrap();
        }
        let sockets = SocketFolder::at("/run/x");
        let state = state::initial(&files, PortOffset::default(), sockets, 2, "debug");
        state::write(&state, &files).unwrap();
        fs::write(folder.join("diary.txt"), "dear").unwrap();
        assert_eq!(reset(&files).unwrap(), Found::NotUp);
        let left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["diary.txt"]);
        fs::remove_file(folder.join("diary.txt")).unwrap();
        reset(&files).unwrap();
        assert!(!folder.exists());
        assert_eq!(reset(&files).unwrap(), Found::Nothing);
    }
}
