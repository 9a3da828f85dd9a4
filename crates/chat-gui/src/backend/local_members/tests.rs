//! A supervisor and a leader that a test plays, and what the window requests of them.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_proto::cluster::v1::change_members_request::Change;
use chat_proto::cluster::v1::cluster_server::{Cluster, ClusterServer};
use chat_proto::cluster::v1::{
    ChangeMembersRequest, ChangeMembersResponse, Member, MemberKind, StatusRequest, StatusResponse,
    TransferLeadershipRequest, TransferLeadershipResponse,
};
use devcluster_api::{ClusterState, Links, NodeState, Request, Response};
use test_kit::{cluster_state, write_cluster_file};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Status;

use super::{Limits, MembersTask, dialled_address};
use crate::backend::event_sender::EventSender;
use crate::backend::options::ClusterPlace;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::members_action::{MembersAction, MembersReport, MembersStep};
use crate::model::names::NodeId;

/// What was requested of whom, in order.
type Requests = Arc<Mutex<Vec<String>>>;

/// A supervisor that adds a node to the file, or removes it.
async fn supervise(listener: UnixListener, mut cluster: ClusterState, requests: Requests) {
    let folder = cluster.control_socket.parent().unwrap().to_owned();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        BufReader::new(read).read_line(&mut line).await.unwrap();
        requests.lock().unwrap().push(line.trim().to_owned());
        match serde_json::from_str(&line).unwrap() {
            Request::Add => {
                let id = cluster.next_node().unwrap();
                let added = NodeState {
                    id,
                    client_address: "127.0.0.1:7402".parse().unwrap(),
                    peer_address: format!("unix:{}", folder.join("no-node.sock").display()),
                    ..cluster.nodes[0].clone()
                };
                cluster.insert(added);
            }
            Request::Remove { node } => cluster.remove(node),
            other => panic!("{other:?}"),
        }
        write_cluster_file(&folder, &cluster);
        let response = Response {
            ok: true,
            message: "done".to_owned(),
        };
        let mut line = serde_json::to_vec(&response).unwrap();
        line.push(b'\n');
        write.write_all(&line).await.unwrap();
    }
}

/// A leader that accepts each change, or rejects all with a reason. Who joins is a voter at once.
struct Leader {
    requests: Requests,
    rejects: Option<&'static str>,
}

#[tonic::async_trait]
impl Cluster for Leader {
    async fn status(
        &self,
        _request: tonic::Request<StatusRequest>,
    ) -> Result<tonic::Response<StatusResponse>, Status> {
        let voter = |node_id| Member {
            node_id,
            kind: MemberKind::Voter.into(),
            ..Member::default()
        };
        Ok(tonic::Response::new(StatusResponse {
            node_id: 1,
            role: "leader".to_owned(),
            members: vec![voter(1), voter(2)],
            ..StatusResponse::default()
        }))
    }

    async fn transfer_leadership(
        &self,
        _request: tonic::Request<TransferLeadershipRequest>,
    ) -> Result<tonic::Response<TransferLeadershipResponse>, Status> {
        Err(Status::unimplemented("no test needs it"))
    }

    async fn change_members(
        &self,
        request: tonic::Request<ChangeMembersRequest>,
    ) -> Result<tonic::Response<ChangeMembersResponse>, Status> {
        let text = match request.into_inner().change.unwrap() {
            Change::Add(member) => {
                let at_link = member.peer_address.ends_with("/link-{from}-2.sock");
                format!("add {} at its link: {at_link}", member.node_id)
            }
            Change::Remove(node) => format!("remove {node}"),
            other @ Change::Update(_) => panic!("{other:?}"),
        };
        self.requests.lock().unwrap().push(text);
        match self.rejects {
            Some(why) => Err(Status::invalid_argument(why)),
            None => Ok(tonic::Response::new(ChangeMembersResponse { index: 7 })),
        }
    }
}

/// Carries an action out in a cluster of one node, with a leader if `leads`; returns what was requested,
/// and what was reported.
async fn execute(
    action: MembersAction,
    leads: bool,
    rejects: Option<&'static str>,
) -> (Vec<String>, Vec<Result<MembersReport, Failure>>) {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = cluster_state(folder.path(), &["127.0.0.1:7401"]);
    cluster.supervisor_pid = Some(7);
    write_cluster_file(folder.path(), &cluster);
    let requests = Requests::default();
    let socket = folder.path().join("node-1.sock");
    let leader = Leader {
        requests: Arc::clone(&requests),
        rejects,
    };
    if leads {
        let incoming = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let server = tonic::transport::Server::builder().add_service(ClusterServer::new(leader));
        tokio::spawn(server.serve_with_incoming(incoming));
    }
    let listener = UnixListener::bind(&cluster.control_socket).unwrap();
    let supervisor = tokio::spawn(supervise(listener, cluster, Arc::clone(&requests)));
    let (events, mut reported) = mpsc::channel(16);
    let task = MembersTask {
        limits: Limits {
            change: Duration::from_millis(300),
            vote: Duration::from_secs(20),
        },
        ..MembersTask::new(
            ClusterPlace::Beside(folder.path().join("cluster.toml")),
            EventSender {
                events,
                wake: Arc::new(|| {}),
            },
        )
    };
    task.run(action).await;
    supervisor.abort();
    let mut reports = Vec::new();
    while let Ok(event) = reported.try_recv() {
        let BackendEvent::Members(report) = event else {
            panic!("{event:?}");
        };
        reports.push(report);
    }
    let requests = requests.lock().unwrap().clone();
    (requests, reports)
}

fn step(step: MembersStep) -> Result<MembersReport, Failure> {
    Ok(MembersReport::Step(step))
}

fn completed(words: &str) -> Result<MembersReport, Failure> {
    Ok(MembersReport::Completed(words.to_owned()))
}

const ADD: &str = r#"{"command":"add"}"#;
const REMOVE: &str = r#"{"command":"remove","node":2}"#;

#[tokio::test]
async fn added_node_runs_before_it_is_a_member() {
    let (requests, reports) = execute(MembersAction::Add, true, None).await;
    assert_eq!(requests, [ADD, "add 2 at its link: true"]);
    let node = NodeId(2);
    let expected = [
        step(MembersStep::Joining(node)),
        step(MembersStep::CatchingUp(node)),
        completed("Node 2 is a voter now."),
    ];
    assert_eq!(reports, expected);
}

#[tokio::test]
async fn node_that_is_not_accepted_is_deleted_again() {
    let why = "the address is taken";
    for (leads, rejects, words) in [(true, Some(why), why), (false, None, "No such file")] {
        let (requests, reports) = execute(MembersAction::Add, leads, rejects).await;
        assert_eq!(requests.first().map(String::as_str), Some(ADD));
        assert_eq!(requests.last().map(String::as_str), Some(REMOVE));
        let Some(Err(Failure::Members { what, .. })) = reports.last() else {
            panic!("{reports:?}");
        };
        assert!(
            what.starts_with("The members of the cluster are as before: "),
            "{what}"
        );
        assert!(what.contains(words), "{what}");
    }
}

#[tokio::test]
async fn node_is_no_member_before_its_data_is_deleted() {
    let remove = MembersAction::Remove(NodeId(2));
    let (requests, reports) = execute(remove, true, None).await;
    assert_eq!(requests, ["remove 2", REMOVE]);
    let expected = [
        step(MembersStep::Deleting(NodeId(2))),
        completed("Node 2 left the cluster, and its data is deleted."),
    ];
    assert_eq!(reports, expected);
}

#[tokio::test]
async fn node_that_may_not_leave_keeps_its_data() {
    let why = "the last voter cannot be removed";
    let remove = MembersAction::Remove(NodeId(2));
    let (requests, reports) = execute(remove, true, Some(why)).await;
    assert_eq!(requests, ["remove 2"]);
    assert!(
        matches!(&reports[..], [Err(Failure::Members { .. })]),
        "{reports:?}"
    );
}

#[test]
fn node_is_dialled_through_its_link_or_directly() {
    let mut cluster = cluster_state(Path::new("/run/x"), &["127.0.0.1:7401"]);
    let node = cluster.nodes[0].clone();
    assert_eq!(
        dialled_address(&cluster, &node),
        "unix:/run/x/link-{from}-1.sock"
    );
    cluster.links = Links::Direct;
    assert_eq!(dialled_address(&cluster, &node), "unix:/run/x/node-1.sock");
}
