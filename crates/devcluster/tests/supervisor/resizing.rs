//! Nodes that are added to a supervisor's cluster and removed from it: what it starts, writes and
//! deletes, and what it does when the program `chat` fails.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;

use devcluster::{resize, state};
use devcluster_api::{NODE_ID_MAX, NODES_MAX, NodeId, PortOffset};

use super::{Cluster, process_state, supervise, wait_until};

/// A client that writes down its arguments, and ends as the file beside it requests.
const FAKE_CHAT: &str = r#"#!/bin/sh
folder="${0%/*}"
echo "$*" >> "$folder/calls"
read -r code < "$folder/code"
exit "$code"
"#;

/// Each has the ports of ten nodes, and all of them are below the ports of outgoing connections.
const BLOCKS: u32 = 1_500;

/// A new cluster with ports that are free.
fn start() -> Cluster {
    Cluster::start_changed(|state| {
        let ports = free_ports();
        state.port_offset = ports;
        for node in &mut state.nodes {
            node.client_address = ports.client_address(node.id);
        }
    })
}

/// The ports of a full cluster after this offset are free, and no other test has them.
fn free_ports() -> PortOffset {
    /// How many tests have ports already; tests of other processes begin elsewhere.
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let blocks = 0..BLOCKS;
    let mut offsets = blocks.map(|_| {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let block = std::process::id().wrapping_add(taken) % BLOCKS;
        let offset = (10_000 + block * 10).to_string();
        offset.parse::<PortOffset>().unwrap()
    });
    let is_free = |ports: &PortOffset| {
        let mut nodes = NodeId::all(NODES_MAX);
        nodes.all(|node| TcpListener::bind(ports.client_address(node)).is_ok())
    };
    offsets.find(is_free).unwrap()
}

fn id(number: u8) -> NodeId {
    u64::from(number).try_into().unwrap()
}

impl Cluster {
    fn numbers(&self) -> Vec<u64> {
        let state = self.state();
        let nodes = state["nodes"].as_array().unwrap();
        nodes
            .iter()
            .map(|node| node["id"].as_u64().unwrap())
            .collect()
    }

    /// The supervisor's sentence.
    #[track_caller]
    fn rejection(&self, command: &str, node: u8) -> String {
        let answer = self.request(command, node);
        assert_eq!(answer["ok"], false, "{answer}");
        answer["message"].as_str().unwrap().to_owned()
    }

    fn config(&self, node: u8) -> String {
        fs::read_to_string(self.files().node_config(id(node))).unwrap()
    }

    /// The names of the sockets of links.
    fn links(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join("sockets")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut links: Vec<String> = names.filter(|name| name.starts_with("link")).collect();
        links.sort();
        links
    }

    /// Lets every `chat` end with this code.
    fn set_chat(&self, code: i32) {
        let chat = self.files().program("chat");
        fs::write(&chat, FAKE_CHAT).unwrap();
        fs::set_permissions(&chat, Permissions::from_mode(0o755)).unwrap();
        fs::write(chat.with_file_name("code"), format!("{code}\n")).unwrap();
    }

    /// How `chat` was called.
    fn chat_calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.files().programs().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

#[test]
fn added_node_runs_and_the_files_list_it() {
    let mut cluster = start();
    cluster.send("isolate", 1);
    cluster.send("add", 0);
    assert_eq!(cluster.numbers(), [1, 2, 3]);
    assert_eq!(cluster.conditions(), ["running"; 3]);
    let state = cluster.state();
    assert_eq!(state["nodes"][2]["added"], true);
    assert_eq!(state["highest_node"], 3);
    let log = cluster.files().data(id(3)).join("log.db");
    wait_until("the node has written", || log.exists());

    assert_eq!(
        cluster.links(),
        [
            "link-1-2.sock",
            "link-1-3.sock",
            "link-2-1.sock",
            "link-2-3.sock",
            "link-3-1.sock",
            "link-3-2.sock"
        ]
    );
    for (node, bootstraps) in [(1, true), (2, true), (3, false)] {
        let config = cluster.config(node);
        assert_eq!(config.matches("[[nodes]]").count(), 3, "{config}");
        assert_eq!(config.contains("bootstrap = true"), bootstraps, "{config}");
    }
    let clients = fs::read_to_string(cluster.files().client_config()).unwrap();
    assert_eq!(clients.matches("[[nodes]]").count(), 3, "{clients}");
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn removed_node_leaves_nothing_but_its_log() {
    let mut cluster = start();
    let removed = cluster.pid(2);
    cluster.send("add", 0);
    cluster.send("pause", 2);
    cluster.send("remove", 2);
    assert_eq!(process_state(removed), None);
    assert_eq!(cluster.numbers(), [1, 3]);
    assert_eq!(cluster.links(), ["link-1-3.sock", "link-3-1.sock"]);
    let files = cluster.files();
    assert!(!files.data(id(2)).exists() && !files.node_config(id(2)).exists());
    for node in [1, 3] {
        let config = cluster.config(node);
        assert_eq!(config.matches("[[nodes]]").count(), 2, "{config}");
        assert!(!config.contains("id = 2"), "{config}");
    }
    let rejection = cluster.rejection("remove", 2);
    assert_eq!(rejection, "there is no node 2; the nodes are 1, 3");

    cluster.send("remove", 1);
    let rejection = cluster.rejection("remove", 3);
    assert!(rejection.contains("node 3 is the last one"), "{rejection}");
    assert_eq!(cluster.conditions(), ["running"]);
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn number_of_a_removed_node_is_not_used_again() {
    let mut cluster = start();
    cluster.send("add", 0);
    cluster.send("remove", 3);
    cluster.send("remove", 1);
    cluster.send("add", 0);
    assert_eq!(cluster.numbers(), [2, 4]);
    cluster.finish(Signal::SIGTERM);

    cluster.supervisor = supervise(&cluster.folder);
    wait_until("the same nodes run again", || {
        cluster.conditions() == ["running"; 2]
    });
    assert_eq!(cluster.links(), ["link-2-4.sock", "link-4-2.sock"]);
    cluster.send("add", 0);
    assert_eq!(cluster.numbers(), [2, 4, 5]);
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn node_that_has_no_place_is_not_added() {
    let mut cluster = start();
    let ports = state::read(&cluster.files()).unwrap().unwrap().port_offset;
    let taken = TcpListener::bind(ports.client_address(id(3))).unwrap();
    let port = taken.local_addr().unwrap().port();
    let rejection = cluster.rejection("add", 0);
    let expected = format!("port {port}, where node 3 would listen, is taken");
    assert!(rejection.starts_with(&expected), "{rejection}");
    assert_eq!(cluster.numbers(), [1, 2]);
    assert_eq!(cluster.state()["highest_node"], 2);
    drop(taken);

    for _ in 2..NODES_MAX {
        cluster.send("add", 0);
    }
    let rejection = cluster.rejection("add", 0);
    assert!(rejection.contains("at most 7"), "{rejection}");
    assert_eq!(cluster.conditions(), ["running"; 7]);
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn node_without_a_number_is_not_added() {
    let mut cluster = Cluster::start_changed(|state| state.highest_node = NODE_ID_MAX);
    let rejection = cluster.rejection("add", 0);
    assert!(rejection.contains("cluster reset"), "{rejection}");
    assert_eq!(cluster.numbers(), [1, 2]);
    cluster.finish(Signal::SIGTERM);
}

/// The folder of the sockets is gone, so the links of a new node cannot be opened.
#[test]
fn node_that_cannot_be_started_is_removed_again() {
    let mut cluster = start();
    let sockets = cluster.folder.join("sockets");
    fs::rename(&sockets, cluster.folder.join("away")).unwrap();
    let rejection = cluster.rejection("add", 0);
    assert!(rejection.contains("node 3 was not added"), "{rejection}");
    assert_eq!(cluster.numbers(), [1, 2]);
    assert!(!cluster.files().node_config(id(3)).exists());
    fs::rename(cluster.folder.join("away"), &sockets).unwrap();
    cluster.send("add", 0);
    assert_eq!(cluster.numbers(), [1, 2, 4]);
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn added_node_is_made_a_member() {
    let mut cluster = start();
    cluster.set_chat(0);
    assert_eq!(resize::add(&cluster.files()).unwrap(), id(3));
    let address = state::read(&cluster.files()).unwrap().unwrap().nodes[2].client_address;
    let folder = cluster.folder.display();
    let config = cluster.files().client_config();
    let config = config.display();
    let call = format!(
        "cluster add 3 unix:{folder}/sockets/link-{{from}}-3.sock {address} --config {config}"
    );
    assert_eq!(cluster.chat_calls(), [call]);
    assert_eq!(cluster.conditions(), ["running"; 3]);
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn rejected_node_is_removed_and_an_uncertain_one_is_kept() {
    let mut cluster = start();
    for code in [1, 2] {
        cluster.set_chat(code);
        let error = resize::add(&cluster.files()).unwrap_err().to_string();
        assert!(error.contains("was removed again"), "{error}");
        assert_eq!(cluster.numbers(), [1, 2]);
    }
    cluster.set_chat(4);
    let error = resize::add(&cluster.files()).unwrap_err().to_string();
    assert_eq!(cluster.numbers(), [1, 2, 5]);
    assert!(error.contains("/bin/chat cluster add 5 'unix:"), "{error}");
    assert!(error.contains("cargo xtask cluster remove 5"), "{error}");
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn node_is_deleted_only_after_it_is_no_member() {
    let mut cluster = start();
    let files = cluster.files();
    for code in [1, 3] {
        cluster.set_chat(code);
        resize::remove(&files, id(2)).unwrap_err();
        assert_eq!(cluster.conditions(), ["running"; 2]);
        assert!(files.data(id(2)).exists());
    }
    cluster.set_chat(0);
    let error = resize::remove(&files, id(7)).unwrap_err().to_string();
    assert!(error.contains("there is no node 7"), "{error}");
    assert_eq!(cluster.chat_calls().len(), 2, "nothing was requested");
    resize::remove(&files, id(2)).unwrap();
    let call = format!(
        "cluster remove 2 --config {}",
        files.client_config().display()
    );
    assert_eq!(cluster.chat_calls().last(), Some(&call));
    assert_eq!(cluster.numbers(), [1]);

    let error = resize::remove(&files, id(1)).unwrap_err().to_string();
    assert!(error.contains("the last one"), "{error}");
    assert_eq!(cluster.chat_calls().len(), 3, "nothing was requested");
    cluster.finish(Signal::SIGTERM);
}
