//! One short line for each message and for each batch that is synced, for scenarios with `messages
//! on`: they show that nothing is sent before it is durable (R1). Decides and checks nothing.

use chat_consensus::{
    BlockNumber, Candidacy, Election, ElectionKind, ElectionReply, FollowerState, GetCommitsReply,
    GetSnapshotReply, Membership, Reply, Request, Writes,
};
use chat_replication::{PeerReply, PeerRequest, ProposeOutcome};

use crate::message::PeerMessage;

/// `3->1 fetch after 9@2`: who sends what to whom.
pub(super) fn message_line(message: &PeerMessage) -> String {
    let header = message.header();
    let (from, to, term) = (header.from, header.to, header.term);
    let what = match message {
        PeerMessage::Request(request) => request_text(&request.message, term.0),
        PeerMessage::Reply(reply) => reply_text(&reply.message, term.0),
    };
    format!("{from}->{to} {what}")
}

/// Who counts, and who will.
pub(super) fn voters_line(members: &Membership) -> String {
    let voters = members.voters.iter().map(|voter| voter.node.to_string());
    let mut line = format!("voters {}", voters.collect::<Vec<_>>().join(", "));
    for learner in &members.learners {
        line.push_str(&format!(", learner {learner}"));
    }
    line
}

fn request_text(request: &PeerRequest, term: u64) -> String {
    match request {
        PeerRequest::Consensus(request) => match request {
            Request::Coordinator => format!("leader announcement, term {term}"),
            Request::Resign { successor: None } => "resign".to_owned(),
            Request::Resign {
                successor: Some(successor),
            } => format!("resign, successor {successor}"),
            Request::Election(election) => election_request(election, term),
            Request::Heartbeat(heartbeat) => format!(
                "heartbeat commit {} round {}",
                heartbeat.commit_index, heartbeat.round
            ),
            Request::GetCommits(fetch) => {
                let state = match fetch.state {
                    FollowerState::Whole => "",
                    FollowerState::Lost { .. } => ", state lost",
                    FollowerState::Restoring => ", state being restored",
                };
                format!("fetch after {:?}{state}", fetch.synced)
            }
            Request::GetSnapshot(wanted) => format!(
                "fetch of the snapshot at {:?} from byte {}",
                wanted.id.position, wanted.offset
            ),
        },
        PeerRequest::Propose { .. } => "propose".to_owned(),
        PeerRequest::ReadIndex => "read index request".to_owned(),
    }
}

fn reply_text(reply: &PeerReply, term: u64) -> String {
    match reply {
        PeerReply::Consensus(reply) => match reply {
            Reply::Coordinator => format!("leader announcement received, term {term}"),
            Reply::Resign => "resign received".to_owned(),
            Reply::Election(reply) => election_reply(reply, term),
            Reply::Heartbeat(echo) => {
                let writing = if echo.writing { ", writing" } else { "" };
                format!("heartbeat echo round {}{writing}", echo.round)
            }
            Reply::GetCommits(reply) => fetch_reply(reply),
            Reply::GetSnapshot(GetSnapshotReply::Piece { offset, bytes, .. }) => {
                format!("piece of {} bytes from byte {offset}", bytes.len())
            }
            Reply::GetSnapshot(GetSnapshotReply::Gone) => "snapshot is gone".to_owned(),
        },
        PeerReply::Propose(ProposeOutcome::Applied { index, .. }) => {
            format!("proposal applied at {index}")
        }
        PeerReply::Propose(ProposeOutcome::NotAppended(_)) => "proposal not appended".to_owned(),
        PeerReply::Propose(ProposeOutcome::Unknown) => "proposal outcome unknown".to_owned(),
        PeerReply::ReadIndex(Some(index)) => format!("read index {index}"),
        PeerReply::ReadIndex(None) => "read index not confirmed".to_owned(),
    }
}

fn election_request(election: &Election, term: u64) -> String {
    let (what, candidacy): (&str, &Candidacy) = match election {
        Election::Bootstrap => return "bootstrap probe".to_owned(),
        Election::PreVote(candidacy) => ("pre-vote request", candidacy),
        Election::Vote(candidacy) => ("vote request", candidacy),
    };
    format!("{what}, term {term}, log to {:?}", candidacy.last)
}

fn election_reply(reply: &ElectionReply, term: u64) -> String {
    let granted = match (reply.granted, reply.remembered_block) {
        (true, _) => "granted".to_owned(),
        (false, BlockNumber::UNKNOWN) => "denied".to_owned(),
        (false, remembered) => format!("denied, block {remembered} is remembered"),
    };
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
        GetCommitsReply::Base(base) => format!("base at {:?}", base.position),
        GetCommitsReply::Snapshot(snapshot) => format!(
            "snapshot at {:?} of {} bytes",
            snapshot.base.position, snapshot.size
        ),
        GetCommitsReply::NoSnapshotYet => "no snapshot yet".to_owned(),
        GetCommitsReply::Amnesiac { remembered_block } => {
            format!("amnesiac, block {remembered_block} is remembered")
        }
        GetCommitsReply::NotMember => "not a member".to_owned(),
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
    if let Some(base) = &writes.base {
        parts.push(format!("synced base at {:?}", base.position));
    }
    if let Some(last) = writes.truncate_after {
        parts.push(format!("truncated to {last}"));
    }
    if let Some(last) = writes.entries.last() {
        parts.push(format!("synced to {:?}", last.position));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
