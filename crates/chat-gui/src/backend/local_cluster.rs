//! A cluster of `cargo xtask cluster up` on this machine: found by its `cluster.json`; actions are
//! requested on its supervisor's socket. One line of JSON each way.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chat_client::{ClusterFile, UntrustedClusterFile};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::backend::options::ClusterPlace;
use crate::model::chaos::{FaultAction, Process, ProcessCondition};
use crate::model::failure::Failure;
use crate::model::names::NodeId;
use crate::model::sign_in::LocalCluster;

/// A supervisor stops nodes one after the other before it answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);
/// Whether a supervisor listens is known at once.
const PING_LIMIT: Duration = Duration::from_secs(1);
/// A sentence is shorter.
const ANSWER_BYTES_MAX: u64 = 65_536;

/// The content of a `cluster.json`, as far as we need it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Description {
    supervisor_pid: Option<u32>,
    control_socket: PathBuf,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Node {
    id: u64,
    client_address: String,
    condition: Condition,
    #[serde(default)]
    isolated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    Running,
    Paused,
    Down,
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    message: String,
}

impl Description {
    /// Reads the description. A file that is being replaced, or is no description, counts as no
    /// cluster; one that another user may have put there is an error.
    pub(super) fn read(place: &ClusterPlace) -> Result<Option<Self>, UntrustedClusterFile> {
        let file = match place {
            ClusterPlace::Nowhere => None,
            ClusterPlace::Beside(named) => ClusterFile::beside(named),
            ClusterPlace::Nearest(here) => ClusterFile::nearest(here)?,
        };
        let text = file.and_then(|file| file.read().ok());
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        let addresses = self.nodes.iter().map(|node| node.client_address.clone());
        addresses.collect()
    }

    /// What its supervisor reports about the processes; `None` when it has ended.
    pub(super) fn processes(&self) -> Option<BTreeMap<NodeId, Process>> {
        self.supervisor_pid?;
        let process = |node: &Node| {
            let condition = match node.condition {
                Condition::Running => ProcessCondition::Running,
                Condition::Paused => ProcessCondition::Paused,
                Condition::Down => ProcessCondition::Down,
            };
            let isolated = node.isolated;
            (
                NodeId(node.id),
                Process {
                    condition,
                    isolated,
                },
            )
        };
        Some(self.nodes.iter().map(process).collect())
    }

    /// Whether the supervisor of the cluster answers.
    async fn is_up(&self) -> bool {
        let ping = json!({"command": "ping"}).to_string();
        self.supervisor_pid.is_some()
            && matches!(
                timeout(PING_LIMIT, self.call_supervisor(&ping)).await,
                Ok(Ok(_))
            )
    }

    /// Does something to the cluster; the answer is the supervisor's sentence.
    pub(super) async fn perform(&self, action: FaultAction) -> Result<String, Failure> {
        let (command, node) = match action {
            FaultAction::Kill(node) => ("kill", Some(node)),
            FaultAction::Pause(node) => ("pause", Some(node)),
            FaultAction::Resume(node) => ("resume", Some(node)),
            FaultAction::Restart(node) => ("restart", Some(node)),
            FaultAction::Isolate(node) => ("isolate", Some(node)),
            FaultAction::Reconnect(node) => ("reconnect", Some(node)),
            FaultAction::ReconnectAll => ("reconnect_all", None),
            FaultAction::StartDead => ("start_dead", None),
        };
        let request = match node {
            Some(node) => json!({"command": command, "node": node.0}),
            None => json!({"command": command}),
        };
        let answer = timeout(ANSWER_LIMIT, self.call_supervisor(&request.to_string())).await;
        answer.map_err(|_late| Failure::Supervisor("it does not answer".to_owned()))?
    }

    async fn call_supervisor(&self, request: &str) -> Result<String, Failure> {
        let trouble = |error: std::io::Error| Failure::Supervisor(error.to_string());
        let mut stream = UnixStream::connect(&self.control_socket)
            .await
            .map_err(trouble)?;
        let line = format!("{request}\n");
        stream.write_all(line.as_bytes()).await.map_err(trouble)?;
        let mut answer = String::new();
        BufReader::new(stream.take(ANSWER_BYTES_MAX))
            .read_line(&mut answer)
            .await
            .map_err(trouble)?;
        let answer: Answer = serde_json::from_str(&answer)
            .map_err(|error| Failure::Supervisor(error.to_string()))?;
        if answer.ok {
            Ok(answer.message)
        } else {
            Err(Failure::Supervisor(answer.message))
        }
    }
}

/// Whether there is a cluster on this machine, and whether it is up.
pub(super) async fn find(place: &ClusterPlace) -> LocalCluster {
    let description = match Description::read(place) {
        Ok(Some(description)) => description,
        Ok(None) => return LocalCluster::Absent,
        Err(untrusted) => {
            let why = untrusted.to_string();
            return LocalCluster::Untrusted { why };
        }
    };
    let addresses = description.addresses();
    if description.is_up().await {
        LocalCluster::Running { addresses }
    } else {
        LocalCluster::Stopped { addresses }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;

    use super::{Description, find};
    use crate::backend::options::ClusterPlace;
    use crate::model::chaos::{FaultAction, ProcessCondition};
    use crate::model::failure::Failure;
    use crate::model::names::NodeId;
    use crate::model::sign_in::LocalCluster;

    fn write(folder: &Path, pid: &str) -> std::path::PathBuf {
        let socket = folder.join("s.sock");
        let text = format!(
            r#"{{"profile":"debug","supervisor_pid":{pid},"control_socket":{socket:?},
                "nodes":[{{"id":1,"client_address":"127.0.0.1:7401","condition":"running",
                           "isolated":true,"pid":null,"log":"x"}}]}}"#
        );
        let file = folder.join("cluster.json");
        fs::write(&file, text).unwrap();
        file
    }

    /// A supervisor that gives these answers, one for each connection; returns the requests.
    async fn supervise(listener: UnixListener, answers: &[&str]) -> Vec<String> {
        let mut received = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut line = String::new();
            BufReader::new(read).read_line(&mut line).await.unwrap();
            received.push(line);
            write.write_all(answer.as_bytes()).await.unwrap();
        }
        received
    }

    #[tokio::test]
    async fn supervisor_of_a_local_cluster_is_found_and_called() {
        let folder = tempfile::tempdir().unwrap();
        let place = ClusterPlace::Beside(folder.path().join("cluster.toml"));
        assert_eq!(find(&place).await, LocalCluster::Absent);
        write(folder.path(), "7");
        let addresses = vec!["127.0.0.1:7401".to_owned()];
        let stopped = LocalCluster::Stopped {
            addresses: addresses.clone(),
        };
        assert_eq!(find(&place).await, stopped, "no supervisor listens");
        let listener = UnixListener::bind(folder.path().join("s.sock")).unwrap();
        let description = Description::read(&place).unwrap().unwrap();
        let process = description.processes().unwrap()[&NodeId(1)];
        assert_eq!(process.condition, ProcessCondition::Running);
        assert!(process.isolated);
        let answers = [
            "{\"ok\":true,\"message\":\"here\"}\n",
            "{\"ok\":true,\"message\":\"node 1 is dead\"}\n",
            "{\"ok\":false,\"message\":\"node 1 is down\"}\n",
            "nonsense\n",
        ];
        let sending = async {
            assert_eq!(find(&place).await, LocalCluster::Running { addresses });
            let kill = FaultAction::Kill(NodeId(1));
            let answer = description.perform(kill).await;
            assert_eq!(answer, Ok("node 1 is dead".to_owned()));
            let refused = Failure::Supervisor("node 1 is down".to_owned());
            assert_eq!(description.perform(kill).await, Err(refused));
            let answer = description.perform(FaultAction::ReconnectAll).await;
            assert!(matches!(answer, Err(Failure::Supervisor(_))));
        };
        let (received, ()) = tokio::join!(supervise(listener, &answers), sending);
        let expected = [
            "{\"command\":\"ping\"}\n",
            "{\"command\":\"kill\",\"node\":1}\n",
            "{\"command\":\"kill\",\"node\":1}\n",
            "{\"command\":\"reconnect_all\"}\n",
        ];
        assert_eq!(received, expected);
    }

    #[test]
    fn file_without_a_description_counts_as_no_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cluster.json");
        let read = || Description::read(&ClusterPlace::Beside(folder.path().join("cluster.toml")));
        for text in ["", "{", "[]", r#"{"nodes":[]}"#] {
            fs::write(&file, text).unwrap();
            assert_eq!(read(), Ok(None), "{text}");
        }
        write(folder.path(), "null");
        let description = read().unwrap().unwrap();
        assert_eq!(description.processes(), None);
        assert_eq!(Description::read(&ClusterPlace::Nowhere), Ok(None));
    }

    /// S-C2: a cluster that another user may have described is neither offered nor controlled,
    /// whatever listens there.
    #[tokio::test]
    async fn a_planted_description_is_not_offered() {
        let home = tempfile::tempdir().unwrap();
        let (folder, below) = (home.path().join(".cluster"), home.path().join("a"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&below).unwrap();
        let file = write(&folder, "7");
        let place = ClusterPlace::Nearest(below);
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        set_mode(&folder, 0o700);
        set_mode(&file, 0o600);
        let addresses = vec!["127.0.0.1:7401".to_owned()];
        assert_eq!(find(&place).await, LocalCluster::Stopped { addresses });
        for (path, mode, usual) in [(&file, 0o622, 0o600), (&folder, 0o777, 0o700)] {
            set_mode(path, mode);
            let why = format!("{} can be written by other users", file.display());
            assert_eq!(find(&place).await, LocalCluster::Untrusted { why });
            assert!(Description::read(&place).is_err());
            set_mode(path, usual);
        }
        // Only root can give a file away.
        if fs::metadata(&file).is_ok_and(|file| std::os::unix::fs::MetadataExt::uid(&file) == 0) {
            std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
            let why = format!("{} belongs to another user", file.display());
            assert_eq!(find(&place).await, LocalCluster::Untrusted { why });
        }
    }
}
