//! A cluster of `cargo xtask cluster up` on this machine: found by its `cluster.json`; actions are
//! requested on its supervisor's socket.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use devcluster_api::{
    ClusterFile, ClusterState, Condition, NodeState, REPLY_TIMEOUT, RESPONSE_BYTES_MAX, Request,
    Response, UntrustedClusterFile,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::backend::options::ClusterPlace;
use crate::model::chaos::{FaultAction, Process, ProcessCondition};
use crate::model::failure::Failure;
use crate::model::names::NodeId;
use crate::model::sign_in::LocalCluster;

/// Whether a supervisor listens is known at once.
const PING_LIMIT: Duration = Duration::from_secs(1);

/// What the cluster at this place reports about itself. A file that cannot be decoded counts as no
/// cluster; one that another user may have put there is an error.
pub(super) fn read(place: &ClusterPlace) -> Result<Option<ClusterState>, UntrustedClusterFile> {
    let file = match place {
        ClusterPlace::Nowhere => None,
        ClusterPlace::Beside(named) => ClusterFile::beside(named),
        ClusterPlace::Nearest(here) => ClusterFile::nearest(here)?,
    };
    Ok(file.and_then(ClusterFile::state))
}

/// Where the nodes listen for clients.
pub(super) fn addresses(cluster: &ClusterState) -> Vec<String> {
    let addresses = cluster.nodes.iter().map(|node| node.client_address);
    addresses.map(|address| address.to_string()).collect()
}

/// What the supervisor reports about the processes; `None` when it has ended.
pub(super) fn processes(cluster: &ClusterState) -> Option<BTreeMap<NodeId, Process>> {
    cluster.supervisor_pid?;
    let process = |node: &NodeState| {
        let condition = match node.condition {
            Condition::Running => ProcessCondition::Running,
            Condition::Paused => ProcessCondition::Paused,
            Condition::Down => ProcessCondition::Down,
        };
        let isolated = node.isolated;
        (
            NodeId(node.id.number().into()),
            Process {
                address: node.client_address.to_string(),
                condition,
                isolated,
            },
        )
    };
    Some(cluster.nodes.iter().map(process).collect())
}

/// Does something to the cluster; the answer is the supervisor's sentence.
pub(super) async fn perform(
    cluster: &ClusterState,
    action: FaultAction,
) -> Result<String, Failure> {
    call(cluster, request(action)?).await
}

/// Requests something of the supervisor; the answer is its sentence.
pub(super) async fn call(cluster: &ClusterState, request: Request) -> Result<String, Failure> {
    let answer = timeout(REPLY_TIMEOUT, call_supervisor(cluster, request)).await;
    answer.map_err(|_late| Failure::Supervisor("it does not answer".to_owned()))?
}

fn request(action: FaultAction) -> Result<Request, Failure> {
    let number = |node: NodeId| {
        let number = devcluster_api::NodeId::try_from(node.0);
        number.map_err(|invalid| Failure::Supervisor(invalid.to_string()))
    };
    Ok(match action {
        FaultAction::Kill(node) => Request::Kill {
            node: number(node)?,
        },
        FaultAction::Pause(node) => Request::Pause {
            node: number(node)?,
        },
        FaultAction::Resume(node) => Request::Resume {
            node: number(node)?,
        },
        FaultAction::Restart(node) => Request::Restart {
            node: number(node)?,
        },
        FaultAction::Isolate(node) => Request::Isolate {
            node: number(node)?,
        },
        FaultAction::Reconnect(node) => Request::Reconnect {
            node: number(node)?,
        },
        FaultAction::ReconnectAll => Request::ReconnectAll,
        FaultAction::StartDead => Request::StartDead,
    })
}

async fn call_supervisor(cluster: &ClusterState, request: Request) -> Result<String, Failure> {
    let response = exchange(cluster, request).await;
    let response = response.map_err(|error| Failure::Supervisor(error.to_string()))?;
    if response.ok {
        Ok(response.message)
    } else {
        Err(Failure::Supervisor(response.message))
    }
}

async fn exchange(cluster: &ClusterState, request: Request) -> io::Result<Response> {
    let mut stream = UnixStream::connect(&cluster.control_socket).await?;
    stream.write_all(request.to_line().as_bytes()).await?;
    let mut line = String::new();
    let mut reader = BufReader::new(stream.take(RESPONSE_BYTES_MAX));
    reader.read_line(&mut line).await?;
    Ok(Response::from_line(&line)?)
}

/// Whether the supervisor of the cluster answers.
async fn is_up(cluster: &ClusterState) -> bool {
    let ping = timeout(PING_LIMIT, call_supervisor(cluster, Request::Ping));
    cluster.supervisor_pid.is_some() && matches!(ping.await, Ok(Ok(_)))
}

/// Whether there is a cluster on this machine, and whether it is up.
pub(super) async fn find(place: &ClusterPlace) -> LocalCluster {
    let cluster = match read(place) {
        Ok(Some(cluster)) => cluster,
        Ok(None) => return LocalCluster::Absent,
        Err(untrusted) => {
            let why = untrusted.to_string();
            return LocalCluster::Untrusted { why };
        }
    };
    let addresses = addresses(&cluster);
    if is_up(&cluster).await {
        LocalCluster::Running { addresses }
    } else {
        LocalCluster::Stopped { addresses }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use devcluster_api::Condition;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;

    use test_kit::{cluster_state, write_cluster_file};

    use super::{find, perform, processes, read};
    use crate::backend::options::ClusterPlace;
    use crate::model::chaos::{FaultAction, ProcessCondition};
    use crate::model::failure::Failure;
    use crate::model::names::NodeId;
    use crate::model::sign_in::LocalCluster;

    const ADDRESS: &str = "127.0.0.1:7401";

    /// The file of a cluster of one isolated node, whose supervisor has this process id.
    fn write(folder: &Path, supervisor_pid: Option<u32>) -> PathBuf {
        let mut cluster = cluster_state(folder, &[ADDRESS]);
        cluster.supervisor_pid = supervisor_pid;
        cluster.nodes[0].condition = Condition::Running;
        cluster.nodes[0].isolated = true;
        write_cluster_file(folder, &cluster)
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
        write(folder.path(), Some(7));
        let addresses = vec![ADDRESS.to_owned()];
        let stopped = LocalCluster::Stopped {
            addresses: addresses.clone(),
        };
        assert_eq!(find(&place).await, stopped, "no supervisor listens");
        let listener = UnixListener::bind(folder.path().join("supervisor.sock")).unwrap();
        let cluster = read(&place).unwrap().unwrap();
        let process = &processes(&cluster).unwrap()[&NodeId(1)];
        assert_eq!(process.address, ADDRESS);
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
            let answer = perform(&cluster, kill).await;
            assert_eq!(answer, Ok("node 1 is dead".to_owned()));
            let refused = Failure::Supervisor("node 1 is down".to_owned());
            assert_eq!(perform(&cluster, kill).await, Err(refused));
            let answer = perform(&cluster, FaultAction::ReconnectAll).await;
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
        let read_beside = || read(&ClusterPlace::Beside(folder.path().join("cluster.toml")));
        for text in ["", "{", "[]", r#"{"nodes":[]}"#] {
            fs::write(&file, text).unwrap();
            assert_eq!(read_beside(), Ok(None), "{text}");
        }
        write(folder.path(), None);
        let cluster = read_beside().unwrap().unwrap();
        assert_eq!(processes(&cluster), None);
        assert_eq!(read(&ClusterPlace::Nowhere), Ok(None));
    }

    /// S-C2: a cluster that another user may have described is neither offered nor controlled,
    /// whatever listens there.
    #[tokio::test]
    async fn planted_cluster_file_is_not_offered() {
        let home = tempfile::tempdir().unwrap();
        let (folder, below) = (home.path().join(".cluster"), home.path().join("a"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&below).unwrap();
        let file = write(&folder, Some(7));
        let place = ClusterPlace::Nearest(below);
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        set_mode(&folder, 0o700);
        set_mode(&file, 0o600);
        let addresses = vec![ADDRESS.to_owned()];
        assert_eq!(find(&place).await, LocalCluster::Stopped { addresses });
        for (path, mode, usual) in [(&file, 0o622, 0o600), (&folder, 0o777, 0o700)] {
            set_mode(path, mode);
            let why = format!("{} can be written by other users", file.display());
            assert_eq!(find(&place).await, LocalCluster::Untrusted { why });
            assert!(read(&place).is_err());
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
