//! Nodes that join and leave a cluster of real servers.

use std::fs;

use chat_client::{MemberAddresses, MembersChange, Operator, OperatorError};
use chat_consensus::NodeId;
use chat_proto::cluster::v1::{MemberKind, StatusResponse};
use tokio::time::{Duration, Instant};

use super::{Cluster, configuration};

/// How long a change of the members may wait for others.
const CHANGE_DEADLINE: Duration = Duration::from_secs(20);

impl Cluster {
    /// Starts another node on an empty disk, with a configuration of its own that names all nodes. It is no
    /// member yet. Clients that are made from now on use it, too.
    ///
    /// # Panics
    ///
    /// When there is a node with this id, or no port for it.
    pub fn start_new_node(&mut self, id: NodeId) {
        assert!(!self.nodes.contains_key(&id), "{id:?} is there");
        let node = self.new_node(id);
        self.nodes.insert(id, node);
        let nodes = self.ids().into_iter();
        let nodes = nodes.map(|id| (id, self.client_address(id), self.peer_address(id)));
        let text = configuration(&self.home.path().join("data"), "", nodes);
        let text = text.replace("bootstrap = true", "bootstrap = false");
        fs::write(self.own_configuration(id), text).expect("the test's folder is its own");
        self.start_node(id);
    }

    /// Kills a node that left, if it runs, and forgets it.
    pub fn forget(&mut self, id: NodeId) {
        self.discard(id);
        self.nodes.remove(&id);
    }

    /// Where a node is called.
    pub fn addresses(&self, id: NodeId) -> MemberAddresses {
        MemberAddresses {
            peer: self.peer_address(id).to_string(),
            client: self.client_address(id).to_string(),
        }
    }

    /// Calls the operators' functions of this cluster.
    pub fn operator(&self) -> Operator {
        let nodes = self.ids().into_iter();
        Operator::new(nodes.map(|id| (id.0, self.peer_address(id).to_string())))
    }

    /// Changes the members, as an operator does.
    ///
    /// # Errors
    ///
    /// Those of [`Operator::change_members`].
    pub async fn change_members(
        &self,
        change: &MembersChange,
    ) -> Result<Option<u64>, OperatorError> {
        let deadline = Instant::now() + CHANGE_DEADLINE;
        self.operator().change_members(change, deadline).await
    }
}

/// The voters, or the learners, that a node knows.
pub fn members_of(status: &StatusResponse, kind: MemberKind) -> Vec<NodeId> {
    let members = status.members.iter();
    let of_kind = members.filter(|member| member.kind() == kind);
    of_kind.map(|member| NodeId(member.node_id)).collect()
}
