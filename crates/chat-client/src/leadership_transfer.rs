//! The transfer of leadership to another node, for operators.
//!
//! It is a call on the leader's peer listener, because clients may not change who leads. It is sent
//! once and never retried: after a failure, the status of the nodes shows who leads.

use std::time::Duration;

use chat_proto::cluster::v1::TransferLeadershipRequest;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use tonic::Request;
use tonic::transport::Endpoint;

/// Why leadership was not transferred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The peer address cannot be used.
    #[error("{address:?} is not a peer address: {reason}")]
    InvalidAddress {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node could not be reached, or did not transfer leadership.
    #[error("{0}")]
    Failed(String),
}

/// Makes the leader transfer leadership to another node, and returns the new leader; `None` when it
/// is not known yet.
///
/// `peer_address` is the leader's peer address: a host and a port, or `unix:` and the path of a
/// socket. `time_limit` applies to the connection and to the call, each.
///
/// # Errors
///
/// See [`TransferError`]. After [`TransferError::Failed`], leadership may have been transferred
/// nevertheless.
pub async fn transfer_leadership(
    peer_address: &str,
    time_limit: Duration,
) -> Result<Option<u64>, TransferError> {
    let uri = if peer_address.starts_with("unix:") {
        peer_address.to_owned()
    } else {
        format!("http://{peer_address}")
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|error| TransferError::InvalidAddress {
        address: peer_address.to_owned(),
        reason: error.to_string(),
    })?;
    let channel = endpoint.connect_timeout(time_limit).connect().await;
    let channel = channel.map_err(|error| TransferError::Failed(error.to_string()))?;
    let mut request = Request::new(TransferLeadershipRequest {});
    request.set_timeout(time_limit);
    let reply = ClusterClient::new(channel)
        .transfer_leadership(request)
        .await;
    let reply = reply.map_err(|status| TransferError::Failed(status.message().to_owned()))?;
    let leader = reply.into_inner().leader_id;
    Ok((leader != 0).then_some(leader))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TransferError, transfer_leadership};

    async fn failure(peer_address: &str) -> TransferError {
        let transferred = transfer_leadership(peer_address, Duration::from_secs(1)).await;
        transferred.expect_err("there is no node")
    }

    #[tokio::test]
    async fn invalid_and_unreachable_addresses_are_errors() {
        let invalid = failure("a b").await;
        assert!(
            matches!(invalid, TransferError::InvalidAddress { .. }),
            "{invalid:?}"
        );
        for unreachable in ["127.0.0.1:1", "unix:/nonexistent/socket"] {
            let failed = failure(unreachable).await;
            assert!(matches!(failed, TransferError::Failed(_)), "{failed:?}");
        }
    }
}
