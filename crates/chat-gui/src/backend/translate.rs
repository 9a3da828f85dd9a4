//! Converts what the client library returns into the types of the model.

use std::sync::Arc;

use chat_client::{
    ClientError, NodeReport as ClientReport, NodeStatus as ClientStatus, StatusCode,
};

use crate::model::cluster::{NodeRole, NodeStatus, Snapshots};
use crate::model::event::NodeReport;
use crate::model::failure::Failure;
use crate::model::message::{Direction, StoredMessage};
use crate::model::names::{Commit, LogIndex, MessageId, Name, NodeId, Term};
use crate::model::time::Timestamp;

/// Why a request failed, as it is shown to a person.
pub(super) fn failure(error: &ClientError, addresses: &[String]) -> Failure {
    match error {
        ClientError::Application { code, message } => match code.as_str() {
            "username_taken" => Failure::NameTaken,
            "invalid_credentials" => Failure::WrongCredentials,
            "recipient_not_found" => Failure::RecipientMissing,
            _ => Failure::Refused(message.clone()),
        },
        ClientError::Status { code, message, .. } => match (code, error.violation("username")) {
            (StatusCode::Unauthenticated, _) => Failure::SessionEnded,
            (StatusCode::Unimplemented, _) => Failure::OtherVersion { theirs: None },
            (_, Some(violation)) => Failure::NameNotAllowed(violation.description.clone()),
            _ => Failure::Refused(message.clone()),
        },
        ClientError::Unavailable { answered: true, .. } => Failure::NoMajority,
        ClientError::Unavailable { .. } => Failure::NoServer {
            addresses: addresses.to_vec(),
        },
        ClientError::OutcomeUnknown { .. } => Failure::OutcomeUnknown,
        ClientError::Decode(_) => Failure::OtherVersion { theirs: None },
        ClientError::OtherCluster { address, .. } => Failure::OtherCluster {
            address: address.clone(),
        },
        ClientError::InvalidInput(what) => Failure::AddressUnusable(what.clone()),
        other => Failure::Refused(other.to_string()),
    }
}

/// An error of the local store with its causes, in one line.
pub(super) fn local_storage_error(error: &dyn std::error::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Failure::LocalStorage(text)
}

/// Whether the session has ended, so that no further request can succeed.
pub(super) fn is_session_over(error: &ClientError) -> bool {
    error.is_unauthenticated()
}

pub(super) fn commit(commit: chat_client::Commit) -> Commit {
    Commit {
        index: LogIndex(commit.index),
        term: Term(commit.term),
    }
}

pub(super) fn stored(message: chat_client::Message) -> StoredMessage {
    let (direction, peer, peer_since) = match message.direction {
        chat_client::Direction::Received => {
            (Direction::Received, message.sender, message.sender_since)
        }
        chat_client::Direction::Sent => {
            (Direction::Sent, message.recipient, message.recipient_since)
        }
    };
    StoredMessage {
        id: MessageId(message.id),
        direction,
        peer: Name::new(peer),
        peer_since: peer_since.map(LogIndex),
        body: Arc::from(message.body),
        at: Timestamp(message.timestamp),
        written_at: message.written_at.map(Timestamp),
        reply_to: message.reply_to.map(MessageId),
        read: message.read,
        commit: commit(message.commit),
    }
}

pub(super) fn report(report: ClientReport) -> NodeReport {
    NodeReport {
        address: report.address,
        id: report.node_id.map(NodeId),
        status: report.status.map(status),
        round_trip: report.round_trip,
    }
}

fn status(status: ClientStatus) -> NodeStatus {
    let role = match status.role.as_str() {
        "leader" => NodeRole::Leader,
        "follower" => NodeRole::Follower,
        "candidate" | "pre-candidate" => NodeRole::Candidate,
        "learner" => NodeRole::Learner,
        "removed" => NodeRole::Removed,
        "starting" | "empty" | "uninitialized" => NodeRole::Starting,
        _ => NodeRole::Unknown,
    };
    let followers = status.followers.iter();
    let members = status.membership.iter();
    NodeStatus {
        id: NodeId(status.node_id),
        role,
        term: Term(status.term),
        leader: status.leader_id.map(NodeId),
        last_index: LogIndex(status.last_index),
        commit_index: LogIndex(status.commit_index),
        applied_index: LogIndex(status.applied_index),
        followers: followers
            .map(|follower| (NodeId(follower.node_id), LogIndex(follower.match_index)))
            .collect(),
        storage: status.storage_state,
        version: status.version,
        uptime: status.uptime,
        cluster_id: status.cluster_id.unwrap_or_default(),
        storage_bytes: status.storage_bytes,
        voters: status.voter_ids.into_iter().map(NodeId).collect(),
        quorum: status.quorum.unwrap_or_default() as usize,
        snapshots: status.snapshots.map(|snapshots| Snapshots {
            log_begins: LogIndex(snapshots.log_begins_index),
            newest: snapshots.newest_index.map(LogIndex),
            is_taking: snapshots.is_taking,
            download: snapshots
                .download
                .map(|download| (download.bytes, download.size)),
        }),
        members: members
            .map(|member| (NodeId(member.node_id), member.is_voter))
            .collect(),
        highest_member: NodeId(status.highest_member_id),
        failures_tolerated: status.failures_tolerated,
    }
}
