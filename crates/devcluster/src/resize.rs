//! A cluster gets one more node, or loses one, while it runs.
//!
//! Two programs take part: the supervisor starts and deletes nodes, and the program `chat` changes
//! who is a member. A node that is added runs first and is a member then; a node that is removed is
//! no member any more before its data are deleted.

use std::process::Command;

use anyhow::{Context, Result, bail};
use devcluster_api::{ClusterState, NodeId, NodeState, Request};
use serde::Deserialize;

use crate::layout::Files;
use crate::{control_client, lock, node_config, state};

/// The exit codes of `chat` after which nothing has changed: it was rejected, or used wrongly.
const NOTHING_CHANGED: [i32; 2] = [1, 2];

/// Starts one more node and makes it a voter; returns its number.
///
/// # Errors
///
/// When the cluster is not up, has no room for a node, or does not accept it. The started node is
/// removed again if it certainly was not accepted.
pub fn add(files: &Files) -> Result<NodeId> {
    let (state, node) = start_node(files)?;
    let id = node.id;
    let mut command = add_command(files, &state, &node);
    let code = match command.status() {
        Ok(status) if status.success() => return Ok(id),
        Ok(status) => status.code(),
        Err(error) => {
            undo(files, id)?;
            return Err(error).context("starting `chat cluster add`");
        }
    };
    if code.is_some_and(|code| NOTHING_CHANGED.contains(&code)) {
        undo(files, id)?;
        bail!("the cluster did not accept node {id}, so it was removed again");
    }
    bail!(
        "node {id} runs, but perhaps it is not a voter yet. This tries it again:\n  {}\n\
         and `cargo xtask cluster remove {id}` removes the node",
        shell_line(&command)
    );
}

/// Removes a node from the members, then stops it and deletes its data.
///
/// # Errors
///
/// When the cluster is not up, has no such node or only this one, or does not agree to the removal;
/// the node runs on then.
pub fn remove(files: &Files, node: NodeId) -> Result<()> {
    let state = running(files)?;
    if state.ids().all(|other| other != node) {
        bail!("{}", state::no_such_node(&state, node));
    }
    if state.nodes.len() == 1 {
        bail!("{}", state::last_node(node));
    }
    let status = remove_command(files, node)
        .status()
        .context("starting `chat cluster remove`")?;
    if !status.success() && !never_joined(files, &state, node)? {
        bail!(
            "node {node} was not stopped and keeps its data; `cargo xtask cluster remove {node}` \
             tries it again"
        );
    }
    request_removal(files, node)
}

/// Whether a node that was started to join certainly is none of the members, and never was.
fn never_joined(files: &Files, state: &ClusterState, node: NodeId) -> Result<bool> {
    let entry = state.nodes.iter().find(|entry| entry.id == node);
    if entry.is_none_or(|entry| !entry.added) {
        return Ok(false);
    }
    let output = Command::new(files.program("chat"))
        .args(["cluster", "members", "-o", "json", "--config"])
        .arg(files.client_config())
        .output()
        .context("starting `chat cluster members`")?;
    let members: Option<Members> = serde_json::from_slice(&output.stdout).ok();
    Ok(members.is_some_and(|members| members.highest_id < u64::from(node.number())))
}

/// The part of `chat cluster members -o json` that we need.
#[derive(Deserialize)]
struct Members {
    /// No node with a higher id ever was a member.
    highest_id: u64,
}

/// Lets the supervisor start a node; returns it with the state of the cluster after that.
fn start_node(files: &Files) -> Result<(ClusterState, NodeState)> {
    // Until the state is read: another command must not add a node in between.
    let _lock = lock::acquire(files)?;
    running(files)?;
    let message = control_client::send(&files.control_socket(), Request::Add)?;
    println!("{message}");
    let state = running(files)?;
    let newest = state.nodes.iter().max_by_key(|node| node.id);
    let newest = newest.context("the cluster has no nodes")?.clone();
    Ok((state, newest))
}

/// Removes a node that was started and not accepted.
fn undo(files: &Files, node: NodeId) -> Result<()> {
    request_removal(files, node).with_context(|| {
        format!(
            "node {node} runs and was not accepted; `cargo xtask cluster remove {node}` removes it"
        )
    })
}

fn request_removal(files: &Files, node: NodeId) -> Result<()> {
    let _lock = lock::acquire(files)?;
    let message = control_client::send(&files.control_socket(), Request::Remove { node })?;
    println!("{message}");
    Ok(())
}

/// The state of a cluster that is up.
fn running(files: &Files) -> Result<ClusterState> {
    match state::read(files)? {
        Some(state) if state::supervisor(&state).is_some() => Ok(state),
        _ => bail!("the cluster is not up; `cargo xtask cluster up` starts it"),
    }
}

fn add_command(files: &Files, state: &ClusterState, node: &NodeState) -> Command {
    let mut command = Command::new(files.program("chat"));
    command
        .args(["cluster", "add", &node.id.to_string()])
        .arg(node_config::dialled_address(state, node))
        .arg(node.client_address.to_string())
        .arg("--config")
        .arg(&state.client_config);
    command
}

fn remove_command(files: &Files, node: NodeId) -> Command {
    let mut command = Command::new(files.program("chat"));
    command
        .args(["cluster", "remove", &node.to_string(), "--config"])
        .arg(files.client_config());
    command
}

/// A command as a person types it.
fn shell_line(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    words.join(" ")
}

/// A word that a shell leaves as it is.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use devcluster_api::{Links, PortOffset};

    use super::{add, add_command, remove, remove_command, shell_line};
    use crate::layout::Files;
    use crate::socket_folder::SocketFolder;
    use crate::state;

    #[test]
    fn commands_name_the_addresses_of_the_node() {
        let files = Files::new("/x y".into());
        let sockets = SocketFolder::at("/run/x");
        let mut state = state::initial(&files, PortOffset::default(), sockets, 3, "debug");
        let node = state::node(&files, &state, state.next_node().unwrap());
        let line = shell_line(&add_command(&files, &state, &node));
        assert_eq!(
            line,
            "'/x y/bin/chat' cluster add 4 'unix:/run/x/link-{from}-4.sock' 127.0.0.1:7404 \
             --config '/x y/cluster.toml'"
        );
        state.links = Links::Direct;
        let line = shell_line(&add_command(&files, &state, &node));
        assert!(line.contains(" unix:/run/x/node-4.sock "), "{line}");
        let line = shell_line(&remove_command(&files, node.id));
        assert_eq!(
            line,
            "'/x y/bin/chat' cluster remove 4 --config '/x y/cluster.toml'"
        );
    }

    #[test]
    fn cluster_that_is_down_is_not_resized() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().to_owned());
        let sockets = SocketFolder::at("/run/x");
        let state = state::initial(&files, PortOffset::default(), sockets, 3, "debug");
        state::write(&state, &files).unwrap();
        for error in [
            add(&files).unwrap_err(),
            remove(&files, "1".parse().unwrap()).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains("cluster up"), "{error}");
        }
        assert_eq!(state::read(&files).unwrap(), Some(state));
    }
}
