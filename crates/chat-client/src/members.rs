//! Finds the other nodes of a cluster from any one of them: every node names the members of its
//! configuration in its status.
//!
//! Deliberately absent: forgetting a node. A member that moved is found at its new address, and its
//! old address costs an attempt now and then.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::client::ChatClient;
use crate::node_pool::{Node, NodePool, lock};
use crate::node_status::{Member, NodeStatus};

/// Nodes of a client at most, named and found; far more than a cluster usually has.
const NODES_MAX: usize = 32;

impl ChatClient {
    /// The same client, which also uses the nodes that its nodes name as members of their cluster: it
    /// needs one address that works, once. All clones of this client do so.
    ///
    /// A member is sent nothing while it reports another cluster than the node that named it. One
    /// with a loopback address is used only if the node that named it has one, too: on another
    /// machine that address would lead to whatever listens here.
    #[must_use]
    pub fn finding_members(self) -> Self {
        self.pool().finds_members.store(true, Ordering::Relaxed);
        self
    }

    /// Adds members of a cluster that were found earlier and kept. Those that cannot be used are
    /// left out.
    pub fn add_members(&self, cluster_id: &str, members: &[Member]) {
        for member in members {
            self.pool().add(cluster_id, member);
        }
    }

    /// The addresses of all nodes that the client uses: those that were named, then those that were
    /// found.
    pub fn addresses(&self) -> Vec<String> {
        let nodes = self.pool().nodes();
        nodes.iter().map(|node| node.address.clone()).collect()
    }
}

impl NodePool {
    /// Adds the members that a node names, if they are to be found.
    pub(crate) fn learn_from(&self, node: &Node, status: &NodeStatus) {
        *lock(&node.node_id) = Some(status.node_id);
        let Some(cluster_id) = &status.cluster_id else {
            return;
        };
        if node.member_of.is_none() {
            *lock(&self.named_cluster) = Some(cluster_id.clone());
        }
        let is_foreign = node.member_of.as_ref().is_some_and(|id| id != cluster_id);
        if is_foreign || !self.finds_members.load(Ordering::Relaxed) {
            return;
        }
        let is_local = is_loopback(&node.address);
        for member in &status.members {
            if member.node_id != status.node_id && (is_local || !is_loopback(&member.address)) {
                self.add(cluster_id, member);
            }
        }
    }

    /// Whether a node was found as a member of another cluster than those that the caller named
    /// belong to now: a cluster that had their addresses before.
    pub(crate) fn is_left_over(&self, node: &Node) -> bool {
        let named = lock(&self.named_cluster);
        let found = node.member_of.as_ref();
        found.is_some_and(|found| named.as_ref().is_some_and(|named| named != found))
    }

    fn add(&self, cluster_id: &str, member: &Member) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let known = nodes
            .iter()
            .find(|node| are_same(&node.address, &member.address));
        if let Some(known) = known {
            lock(&known.node_id).get_or_insert(member.node_id);
            return;
        }
        if nodes.len() >= NODES_MAX {
            return;
        }
        match Node::new(member.address.clone(), Some(cluster_id.to_owned())) {
            Ok(node) => {
                *lock(&node.node_id) = Some(member.node_id);
                tracing::debug!(address = %node.address, "found a member of the cluster");
                nodes.push(Arc::new(node));
                // Under the lock of the nodes: a place is known to both, or to neither.
                self.selector().add(member.address.clone());
            }
            Err(error) => tracing::debug!(%error, "a member has an address that cannot be used"),
        }
    }
}

/// Whether two addresses are the same, also where one names the local host by another name.
fn are_same(one: &str, other: &str) -> bool {
    let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    one == other || (is_loopback(one) && is_loopback(other) && port(one) == port(other))
}

/// Whether an address leads to this machine, whichever that is.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let numeric = host.parse::<IpAddr>();
    numeric.map_or_else(
        |_name| host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        |address| address.to_canonical().is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use super::{ChatClient, Member, NODES_MAX, NodeStatus, are_same};

    fn status(cluster_id: &str, members: &[(u64, &str)]) -> NodeStatus {
        let member = |(node_id, address): &(u64, &str)| Member {
            node_id: *node_id,
            address: (*address).to_owned(),
        };
        NodeStatus {
            node_id: 1,
            cluster_id: Some(cluster_id.to_owned()),
            members: members.iter().map(member).collect(),
            ..NodeStatus::default()
        }
    }

    fn learn(named: &str, status: &NodeStatus) -> Vec<String> {
        let client = ChatClient::new([named]).unwrap().finding_members();
        let pool = client.pool();
        pool.learn_from(&pool.node(0), status);
        client.addresses()
    }

    #[tokio::test]
    async fn members_are_found_from_one_node() {
        let found = [(1, "127.0.0.1:7401"), (2, "127.0.0.1:7402"), (3, "h:7403")];
        let all = learn("127.0.0.1:7401", &status("x", &found));
        assert_eq!(all, ["127.0.0.1:7401", "127.0.0.1:7402", "h:7403"]);
        // By another name, the node that answered is still the same one.
        let all = learn("localhost:7401", &status("x", &found));
        assert_eq!(all, ["localhost:7401", "127.0.0.1:7402", "h:7403"]);
    }

    #[tokio::test]
    async fn loopback_address_of_another_machine_is_not_used() {
        let members = [(2, "127.0.0.1:7402"), (3, "localhost:7403"), (4, "h:7404")];
        assert_eq!(
            learn("h:7401", &status("x", &members)),
            ["h:7401", "h:7404"]
        );
    }

    #[tokio::test]
    async fn members_are_not_found_unless_wanted() {
        let client = ChatClient::new(["a:1"]).unwrap();
        let pool = client.pool();
        pool.learn_from(&pool.node(0), &status("x", &[(2, "b:2")]));
        assert_eq!(client.addresses(), ["a:1"]);
    }

    #[tokio::test]
    async fn member_that_reports_another_cluster_adds_nothing() {
        let client = ChatClient::new(["a:1"]).unwrap().finding_members();
        let pool = client.pool();
        pool.learn_from(&pool.node(0), &status("x", &[(2, "b:2")]));
        pool.learn_from(&pool.node(1), &status("y", &[(3, "c:3")]));
        assert_eq!(client.addresses(), ["a:1", "b:2"]);
    }

    #[tokio::test]
    async fn kept_members_of_a_cluster_that_had_the_address_before_are_left_out() {
        let client = ChatClient::new(["a:1"]).unwrap();
        let kept = Member {
            node_id: 2,
            address: "b:2".to_owned(),
        };
        client.add_members("x", &[kept]);
        let pool = client.pool();
        assert!(!pool.is_left_over(&pool.node(1)), "a:1 has not answered");
        pool.learn_from(&pool.node(0), &status("y", &[]));
        assert!(pool.is_left_over(&pool.node(1)));
        assert!(!pool.is_left_over(&pool.node(0)));
    }

    #[tokio::test]
    async fn unusable_and_too_many_members_are_left_out() {
        let client = ChatClient::new(["a:1"]).unwrap();
        let member = |number: u64, address: String| Member {
            node_id: number,
            address,
        };
        client.add_members("x", &[member(2, "no port".to_owned())]);
        let many = (0..100).map(|number| member(number, format!("h:{}", 1000 + number)));
        client.add_members("x", &many.collect::<Vec<_>>());
        assert_eq!(client.addresses().len(), NODES_MAX);
    }

    #[test]
    fn local_host_is_the_same_by_all_its_names() {
        for (one, other, same) in [
            ("localhost:1", "127.0.0.1:1", true),
            ("[::1]:1", "LOCALHOST.:1", true),
            ("localhost:1", "127.0.0.1:2", false),
            ("a:1", "a:1", true),
            ("a:1", "localhost:1", false),
        ] {
            assert_eq!(are_same(one, other), same, "{one} {other}");
        }
    }
}
