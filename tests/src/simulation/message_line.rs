//! One short line for each message and for each batch that is synced, for scenarios with `messages
//! on`: they show that nothing is sent before it is durable (R1). Decides and checks nothing.

use chat_consensus::{Election, ElectionKind, ElectionReply, GetCommitsReply, Message, Writes};
use chat_replication::{PeerBody, PeerMessage, ProposeOutcome};

/// `3->1 fetch after 9@2`: who sends what to whom.
pub(super) fn message_line(message: &PeerMessage) -> String {
    let header = &message.header;
    let (from, to, term) = (header.from, header.to, header.term);
    let what = match &message.body {
        PeerBody::Consensus(message) => match message {
            Message::Coordinator => format!("leader announcement, term {term}"),
            Message::CoordinatorReply => format!("leader announcement received, term {term}"),
            Message::Resign { successor: None } => "resign".to_owned(),
            Message::Resign {
                successor: Some(successor),
            } => format!("resign, successor {successor}"),
            Message::ResignReply => "resign received".to_owned(),
            Message::Election(election) => election_request(election, term.0),
            Message::ElectionReply(reply) => election_reply(reply, term.0),
            Message::Heartbeat(heartbeat) => format!(
                "heartbeat commit {} round {}",
                heartbeat.commit_index, heartbeat.round
            ),
            Message::HeartbeatReply { round, writing } => {
                let writing = if *writing { ", writing" } else { "" };
                format!("heartbeat echo round {round}{writing}")
            }
            Message::GetCommits(fetch) => format!("fetch after {:?}", fetch.synced),
            Message::GetCommitsReply(reply) => fetch_reply(reply),
        },
        PeerBody::Propose { .. } => "propose".to_owned(),
        PeerBody::ProposeReply(ProposeOutcome::Applied { index, .. }) => {
            format!("proposal applied at {index}")
        }
        PeerBody::ProposeReply(ProposeOutcome::NotAppended(_)) => {
            "proposal not appended".to_owned()
        }
        PeerBody::ProposeReply(ProposeOutcome::Unknown) => "proposal outcome unknown".to_owned(),
        PeerBody::ReadIndex => "read index request".to_owned(),
        PeerBody::ReadIndexReply(Some(index)) => format!("read index {index}"),
        PeerBody::ReadIndexReply(None) => "read index not confirmed".to_owned(),
    };
    format!("{from}->{to} {what}")
}

fn election_request(election: &Election, term: u64) -> String {
    let last = election.last;
    match election.kind {
        ElectionKind::Bootstrap => "bootstrap probe".to_owned(),
        ElectionKind::PreVote => format!("pre-vote request, term {term}, log to {last:?}"),
        ElectionKind::Vote => format!("vote request, term {term}, log to {last:?}"),
    }
}

fn election_reply(reply: &ElectionReply, term: u64) -> String {
    let granted = if reply.granted { "granted" } else { "denied" };
    match (reply.kind, reply.granted) {
        (ElectionKind::Bootstrap, true) => "uninitialized".to_owned(),
        (ElectionKind::Bootstrap, false) => "initialized".to_owned(),
        (ElectionKind::PreVote, _) => format!("pre-vote {granted}, term {term}"),
        (ElectionKind::Vote, _) => format!("vote {granted}, term {term}"),
    }
}

fn fetch_reply(reply: &GetCommitsReply) -> String {
    match reply {
        GetCommitsReply::Entries {
            commit_index,
            entries,
            ..
        } => match (entries.first(), entries.last()) {
            (Some(first), Some(last)) if first.position.index == last.position.index => {
                format!("entry {}, commit {commit_index}", first.position.index)
            }
            (Some(first), Some(last)) => format!(
                "entries {}..{}, commit {commit_index}",
                first.position.index, last.position.index
            ),
            _ => format!("no entries, commit {commit_index}"),
        },
        GetCommitsReply::Diverging(position) => format!("diverging at {position:?}"),
        GetCommitsReply::NotLeading { leader } => match leader {
            Some(leader) => format!("not leading, {leader} leads"),
            None => "not leading".to_owned(),
        },
        GetCommitsReply::RolledBack { repair_through, .. } => {
            format!("rolled back, repair through {repair_through}")
        }
    }
}

/// What a batch has made durable; `None` if it has written nothing.
pub(super) fn synced_line(writes: &Writes) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(boot_count) = writes.boot_count {
        parts.push(format!("synced boot count {boot_count}"));
    }
    if let Some(hard_state) = writes.hard_state {
        let vote = hard_state.vote.map_or_else(
            || "no vote".to_owned(),
            |vote| format!("vote for {}", vote.node),
        );
        parts.push(format!("synced term {}, {vote}", hard_state.term));
    }
    if let Some(last) = writes.truncate_after {
        parts.push(format!("truncated to {last}"));
    }
    if let Some(last) = writes.entries.last() {
        parts.push(format!("synced to {:?}", last.position));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
