//! Operators' calls: the members of a cluster, and changes of them.
//!
//! They are calls on the nodes' peer listeners, because clients may change none of this. The leader is found from
//! any node whose peer address is known; each names the others.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_proto::cluster::v1::change_members_request::Change;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use chat_proto::cluster::v1::{
    ChangeMembersRequest, Member as WireMember, StatusRequest, UpdateMember,
};
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::node_status::NodeStatus;

/// Between two attempts: an election takes about as long.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How long one call may take: the server waits 10 seconds for a change to be committed.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);

/// How long connecting, or a status, may take.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// An address with this in it is another one for each node that calls.
const OF_ONE_NODE: &str = "{from}";

/// Where a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddresses {
    /// By other nodes: a host and a port, or `unix:` and the path of a socket. `{from}` in it is replaced by the
    /// id of the node that calls.
    pub peer: String,
    /// By clients: a host and a port.
    pub client: String,
}

/// What is to change about the members of a cluster. Each may be repeated: what is done already changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembersChange {
    /// A new node with an id above all that were ever used. It is a learner, and becomes a voter by itself.
    Add(u64, MemberAddresses),
    /// The node leaves for ever.
    Remove(u64),
    /// The node is reached elsewhere: so far at the first addresses, if the log names some, and from now on at
    /// the second ones.
    Update(u64, Option<MemberAddresses>, MemberAddresses),
}

/// Why an operator's call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// A peer address cannot be used.
    #[error("{address:?} is not a peer address: {reason}")]
    InvalidAddress {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It can never be done.
    #[error("{0}")]
    Rejected(String),
    /// No leader did it in time; it was not done.
    #[error("{0}")]
    NotDone(String),
    /// It may or may not be done.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

/// The leader as it answered.
struct Found {
    address: String,
    client: ClusterClient<Channel>,
    status: NodeStatus,
}

/// Calls operators' functions of a cluster.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The peer addresses that were given, and those that nodes have named, by node. Given ones stay.
    given: BTreeMap<u64, String>,
    named: BTreeMap<u64, String>,
}

impl Operator {
    /// Of a cluster some of whose nodes have these peer addresses.
    pub fn new(peer_addresses: impl IntoIterator<Item = (u64, String)>) -> Self {
        Self {
            given: peer_addresses.into_iter().collect(),
            named: BTreeMap::new(),
        }
    }

    /// The leader's report: it knows the members, and how far each of them is.
    ///
    /// # Errors
    ///
    /// No leader was found until `deadline`.
    pub async fn leader_status(&mut self, deadline: Instant) -> Result<NodeStatus, OperatorError> {
        Ok(self.find_leader(deadline).await?.status)
    }

    /// The leader, and where operators call it.
    ///
    /// # Errors
    ///
    /// No leader was found until `deadline`.
    pub async fn leader_address(
        &mut self,
        deadline: Instant,
    ) -> Result<(u64, String), OperatorError> {
        let found = self.find_leader(deadline).await?;
        Ok((found.status.node_id, found.address))
    }

    /// Changes the members, and returns the index of the entry that does it once that is committed; `None` if
    /// they were so already. What may pass by itself, such as an election, is waited for until `deadline`.
    ///
    /// # Errors
    ///
    /// See [`OperatorError`].
    pub async fn change_members(
        &mut self,
        change: &MembersChange,
        deadline: Instant,
    ) -> Result<Option<u64>, OperatorError> {
        let mut may_be_done = false;
        loop {
            let found = self.find_leader(deadline).await;
            let refused = match found {
                Ok(Found { mut client, .. }) => {
                    let mut request = Request::new(wire_request(change));
                    let left = deadline.saturating_duration_since(Instant::now());
                    request.set_timeout(CALL_TIMEOUT.min(left));
                    match client.change_members(request).await {
                        Ok(response) => {
                            let index = response.into_inner().index;
                            return Ok((index != 0).then_some(index));
                        }
                        Err(status) => status,
                    }
                }
                Err(error) if may_be_done => return Err(OperatorError::Unknown(error.to_string())),
                Err(error) => return Err(error),
            };
            match refused.code() {
                Code::InvalidArgument | Code::Unimplemented => {
                    return Err(OperatorError::Rejected(reason(&refused)));
                }
                // Not now, or another node leads.
                Code::Aborted | Code::FailedPrecondition => {}
                // The call may have reached the leader.
                _ => may_be_done = true,
            }
            if Instant::now() + RETRY_PAUSE >= deadline {
                let reason = reason(&refused);
                return Err(match may_be_done {
                    true => OperatorError::Unknown(reason),
                    false => OperatorError::NotDone(reason),
                });
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Asks the nodes who leads, until one of them does.
    async fn find_leader(&mut self, deadline: Instant) -> Result<Found, OperatorError> {
        loop {
            let mut problem = "no peer address of a node is known".to_owned();
            let mut asked: Vec<String> = Vec::new();
            while let Some((node, address)) = self.next_to_ask(&asked) {
                asked.push(address.clone());
                let (client, status) = match report(&address).await {
                    Ok(answer) => answer,
                    Err(error @ OperatorError::InvalidAddress { .. })
                        if self.given.get(&node) == Some(&address) =>
                    {
                        return Err(error);
                    }
                    Err(error) => {
                        problem = format!("node {node}: {error}");
                        continue;
                    }
                };
                self.learn_from(&status);
                if status.role == "leader" {
                    return Ok(Found {
                        address,
                        client,
                        status,
                    });
                }
                problem = format!("node {node} does not lead, and knows no leader that answers");
            }
            if Instant::now() + RETRY_PAUSE >= deadline {
                return Err(OperatorError::NotDone(problem));
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// The next address that was not asked, with its node. A node that has moved is at the one that others name.
    fn next_to_ask(&self, asked: &[String]) -> Option<(u64, String)> {
        let mut known = self.given.iter().chain(&self.named);
        let next = known.find(|(_, address)| !asked.contains(address));
        next.map(|(node, address)| (*node, address.clone()))
    }

    /// Takes over where a node says that the others are. What is for the nodes alone is of no use here.
    fn learn_from(&mut self, status: &NodeStatus) {
        for member in &status.membership {
            let address = &member.peer_address;
            if !address.is_empty() && !address.contains(OF_ONE_NODE) {
                self.named.insert(member.node_id, address.clone());
            }
        }
    }
}

/// The report of the node at a peer address.
async fn report(address: &str) -> Result<(ClusterClient<Channel>, NodeStatus), OperatorError> {
    let uri = match address.starts_with("unix:") {
        true => address.to_owned(),
        false => format!("http://{address}"),
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|error| OperatorError::InvalidAddress {
        address: address.to_owned(),
        reason: error.to_string(),
    })?;
    let connected = endpoint.connect_timeout(STATUS_TIMEOUT).connect().await;
    let channel = connected.map_err(|error| OperatorError::NotDone(root_cause(&error)))?;
    let mut client = ClusterClient::new(channel);
    let mut request = Request::new(StatusRequest {});
    request.set_timeout(STATUS_TIMEOUT);
    let status = client.status(request).await;
    let status = status.map_err(|status| OperatorError::NotDone(reason(&status)))?;
    Ok((client, status.into_inner().into()))
}

/// What the system says, which is behind what the libraries say.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn reason(status: &Status) -> String {
    match status.message() {
        "" => format!("{:?}", status.code()),
        message => message.to_owned(),
    }
}

fn wire_request(change: &MembersChange) -> ChangeMembersRequest {
    let member = |node: u64, addresses: &MemberAddresses| WireMember {
        node_id: node,
        client_address: addresses.client.clone(),
        peer_address: addresses.peer.clone(),
        ..WireMember::default()
    };
    let change = match change {
        MembersChange::Add(node, addresses) => Change::Add(member(*node, addresses)),
        MembersChange::Remove(node) => Change::Remove(*node),
        MembersChange::Update(node, before, addresses) => Change::Update(UpdateMember {
            member: Some(member(*node, addresses)),
            before: before.as_ref().map(|before| member(*node, before)),
        }),
    };
    ChangeMembersRequest {
        change: Some(change),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{MembersChange, Operator, OperatorError};

    #[tokio::test]
    async fn cluster_that_is_not_there_is_reported_with_the_systems_words() {
        let addresses = [
            (1, "127.0.0.1:1".to_owned()),
            (2, "unix:/nonexistent/x".to_owned()),
        ];
        let mut operator = Operator::new(addresses);
        let deadline = Instant::now() + Duration::from_millis(300);
        let failed = operator
            .change_members(&MembersChange::Remove(2), deadline)
            .await;
        let Err(OperatorError::NotDone(reason)) = failed else {
            panic!("{failed:?}");
        };
        assert!(reason.starts_with("node 2: No such file"), "{reason}");
        let none = Operator::new([]).leader_status(Instant::now()).await;
        let Err(OperatorError::NotDone(reason)) = none else {
            panic!("{none:?}");
        };
        assert!(reason.contains("no peer address"), "{reason}");
    }

    #[tokio::test]
    async fn address_that_cannot_be_dialled_is_an_error_at_once() {
        let mut operator = Operator::new([(1, "a b".to_owned())]);
        let failed = operator
            .leader_status(Instant::now() + Duration::from_secs(60))
            .await;
        let invalid = matches!(failed, Err(OperatorError::InvalidAddress { .. }));
        assert!(invalid, "{failed:?}");
    }
}
