//! What an operator should know of the protocol's work, as log lines.

use chat_consensus::{LogIndex, Membership, Report};

/// What an operator should know of the protocol's work; `committed` are the members as last seen.
pub(super) fn log_report(report: &Report, committed: Option<&Membership>) {
    match report {
        Report::FollowerRolledBack(node, index) => tracing::error!(
            node = node.0,
            acknowledged = index.0,
            "a follower's disk lost what it had acknowledged; it does not count until it has that again"
        ),
        Report::RolledBack { repair_through } if repair_through.0 == 0 => {
            tracing::info!("this node's disk holds again what it had acknowledged, and counts");
        }
        Report::RolledBack { repair_through } => tracing::error!(
            repair_through = repair_through.0,
            "this node's disk lost what it had acknowledged; until it has that again the node \
             neither votes nor counts. Look at the disk: it, its cache or a restored backup did this"
        ),
        Report::PeerForgot { node, remembered } => tracing::error!(
            node = node.0,
            remembered = remembered.0,
            "a voter's disk has fewer blocks than it had in an earlier run: it lost what it had synced, \
             and gets a new storage id"
        ),
        Report::LeaderClaimRefused(node) => tracing::warn!(
            node = node.0,
            "a message claimed leadership for a disk that is not a voter's; it was dropped"
        ),
        Report::TermTooFarAhead(node, term) => tracing::warn!(
            node = node.0,
            term = term.0,
            "a message showed a term that is too far ahead; it was dropped"
        ),
        Report::DisksAlternate(node) => tracing::warn!(
            node = node.0,
            "requests of this node come from two disks by turns: two machines have its id"
        ),
        Report::NotMember => tracing::warn!(
            "another node says that this node does not belong to the cluster: it was removed, or is not added \
             yet"
        ),
        Report::MembershipAppended(index, next) => log_appended(*index, committed, next),
        Report::MembershipRefused(refusal) => {
            tracing::warn!(%refusal, "the members are not changed");
        }
        Report::DiskIsSlow { own, others } => tracing::warn!(
            own_ms = own.as_millis(),
            others_ms = others.as_millis(),
            "this leader's disk is slower than the others'; leadership is transferred"
        ),
        Report::Appended(..)
        | Report::ProposalRefused(_)
        | Report::ReadConfirmed(..)
        | Report::ReadRefused(_)
        | Report::BecameLeader(_)
        | Report::SteppedDown(_)
        | Report::SnapshotWanted(..)
        | Report::DownloadBegun { .. }
        | Report::StorePiece { .. }
        | Report::FinishDownload(_)
        | Report::DownloadDropped(_)
        | Report::StateWanted(_) => {}
    }
}

/// What this leader changes, before it is committed.
fn log_appended(index: LogIndex, before: Option<&Membership>, next: &Membership) {
    let Some(before) = before else {
        return;
    };
    for voter in before.voters_missing_in(next) {
        tracing::info!(
            node = voter.node.0,
            index = index.0,
            "this leader lets a voter leave: it was removed, its disk was replaced, or it is dead"
        );
    }
    for voter in next.voters_missing_in(before) {
        tracing::info!(
            node = voter.node.0,
            index = index.0,
            "this leader lets a learner vote that keeps up"
        );
    }
}

/// What a change of the members means, once it is committed.
pub(super) fn log_committed(before: &Membership, now: &Membership) {
    let voters: Vec<u64> = now.voters.iter().map(|voter| voter.node.0).collect();
    for voter in before.voters_missing_in(now) {
        tracing::info!(
            node = voter.node.0,
            ?voters,
            "a node's disk is not a voter's any more"
        );
    }
    for voter in now.voters_missing_in(before) {
        tracing::info!(
            node = voter.node.0,
            ?voters,
            "a node is a voter from now on"
        );
    }
}
