//! Several groups on one listener.

use bytes::Bytes;
use chat_replication::protocol::{Header, RequestId, RunId};
use chat_replication::{
    BoxError, Builder, Envelope, GroupName, Grpc, Handle, MemoryLog, NodeId, PeerLink, PeerRequest,
    PeerService, StorageId, Term, Transport,
};
use tokio::net::TcpListener;

use crate::cluster::{Recorder, soon};

const GROUPS: [&str; 3] = ["", "locks", "users"];

/// Three nodes with three groups on each; all replicas of a node share a listener.
async fn start_groups() -> (Vec<String>, Vec<Vec<(Handle, Recorder)>>) {
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap().to_string());
        listeners.push(listener);
    }
    let mut nodes = Vec::new();
    for (listener, id) in listeners.into_iter().zip(1..) {
        let mut replicas = Vec::new();
        for group in GROUPS {
            let recorder = Recorder::default();
            let replica = Builder::with(id, MemoryLog::new(), Grpc::new())
                .nodes((1..).zip(&addresses))
                .bootstrap(true)
                .group(group)
                .start(recorder.clone())
                .await
                .unwrap();
            replicas.push((replica, recorder));
        }
        let receivers = replicas.iter().map(|(replica, _)| replica.receiver());
        tokio::spawn(PeerService::new(receivers).unwrap().serve(listener));
        nodes.push(replicas);
    }
    (addresses, nodes)
}

/// E-14: each group has a log of its own, also while none of its nodes belongs to a cluster yet.
#[tokio::test]
async fn groups_on_one_listener_are_apart() {
    let (_, nodes) = start_groups().await;
    for (number, group) in GROUPS.iter().enumerate() {
        for node in &nodes {
            let command = Bytes::copy_from_slice(group.as_bytes());
            node[number].0.propose(command, soon()).await.unwrap();
        }
    }
    let mut clusters = std::collections::BTreeSet::new();
    for node in &nodes {
        for (number, (replica, recorder)) in node.iter().enumerate() {
            replica.ensure_linearizable(soon()).await.unwrap();
            assert_eq!(*recorder.commands.lock().unwrap(), [GROUPS[number]; 3]);
            clusters.insert(replica.status().await.unwrap().cluster_id.unwrap());
        }
    }
    assert_eq!(clusters.len(), GROUPS.len());
    for (replica, _) in nodes.iter().flatten() {
        replica.shutdown().await;
    }
}

async fn read_index(address: &str, group: &GroupName) -> Result<(), BoxError> {
    let header = Header {
        cluster: None,
        term: Term(0),
        from: NodeId(2),
        to: NodeId(1),
        storage: StorageId(7),
        to_storage: None,
        request: RequestId {
            start: RunId::new(1, 1),
            number: 1,
        },
    };
    let message = PeerRequest::ReadIndex;
    let link = Grpc::new().connect(address, group)?;
    link.call(Envelope { header, message }).await.map(drop)
}

/// E-14: nothing is delivered to a replica of another group, whatever it belongs to.
#[tokio::test]
async fn unknown_group_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let replica = Builder::with(1, MemoryLog::new(), Grpc::new())
        .nodes([(1, address.as_str())])
        .bootstrap(true)
        .group("locks")
        .start(Recorder::default())
        .await
        .unwrap();
    tokio::spawn(replica.serve(listener));
    for group in ["", "lock", "users"] {
        let refused = read_index(&address, &group.parse().unwrap()).await;
        let refused = refused.unwrap_err().to_string();
        let expected = format!("no replica of group '{group}' is here");
        assert!(refused.contains(&expected), "{refused}");
    }
    read_index(&address, &"locks".parse().unwrap())
        .await
        .unwrap();
    let twice = PeerService::new([replica.receiver(), replica.receiver()]);
    assert!(twice.is_err());
    replica.shutdown().await;
}
