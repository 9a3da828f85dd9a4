//! Order of syncing and sending: what a message shows is on its sender's disk (R1), and nothing is
//! sent before the boot count of the run is (R4).

use chat_consensus::{BlockNumber, Election, ElectionKind, Envelope, Header, Reply, Request};

use crate::checker::{Checked, ensure};
use crate::message::Message;
use crate::simulation::disk::Image;

/// Any message is sent by a process whose boot count is `boot_count`; a request names its boot count
/// in its id.
///
/// # Errors
///
/// The boot count is not on the disk yet (R4).
pub fn started(header: &Header, boot_count: u64, is_request: bool, durable: &Image) -> Checked {
    // A disk that was rolled back continues with a greater boot count (R18).
    let shown = if is_request {
        header.request.start.counter()
    } else {
        0
    };
    let boot_count = boot_count.max(shown);
    ensure(durable.boot_count >= boot_count, "boot-count-first", || {
        format!(
            "node {} sends with boot count {boot_count}, and its disk holds {}",
            header.from, durable.boot_count
        )
    })
}

/// One of the protocol's messages is sent by a process whose disk is `durable`.
///
/// # Errors
///
/// It shows a term, a vote or a log that a power loss would undo (R1).
pub fn sent(envelope: &Envelope<Message>, durable: &Image) -> Checked {
    let header = &envelope.header;
    let on_disk = durable.hard_state;
    ensure(on_disk.term >= header.term, "term-durable", || {
        format!(
            "node {} shows term {}, and its disk holds term {}",
            header.from, header.term, on_disk.term
        )
    })?;
    match &envelope.message {
        Message::Reply(Reply::Election(reply))
            if reply.kind == ElectionKind::Vote && reply.granted =>
        {
            covers_vote(header, header.to, durable)
        }
        Message::Request(Request::Election(Election::Vote(_))) => {
            covers_vote(header, header.from, durable)
        }
        Message::Request(Request::GetCommits(fetch)) => {
            ensure(durable.holds(fetch.synced), "log-durable", || {
                format!(
                    "node {} names {:?} as synced, and its disk ends at {:?}",
                    header.from,
                    fetch.synced,
                    durable.last()
                )
            })
        }
        _ => Ok(()),
    }
}

/// A request is sent by a process on whose disk `newest` is the newest synced block.
///
/// # Errors
///
/// It names one that a power loss would undo (R18).
pub fn block(envelope: &Envelope<Message>, newest: BlockNumber) -> Checked {
    let named = match &envelope.message {
        Message::Request(Request::GetCommits(fetch)) => fetch.synced_block,
        Message::Request(Request::Election(
            Election::PreVote(candidacy) | Election::Vote(candidacy),
        )) => candidacy.synced_block,
        _ => return Ok(()),
    };
    ensure(named <= newest, "block-durable", || {
        format!(
            "node {} names block {named}, and {newest} is the newest on its disk",
            envelope.header.from
        )
    })
}

/// The vote must be on the disk, unless the disk is in a later term.
fn covers_vote(header: &Header, candidate: chat_consensus::NodeId, durable: &Image) -> Checked {
    let on_disk = durable.hard_state;
    let same = on_disk.vote.is_some_and(|vote| vote.node == candidate);
    ensure(on_disk.term > header.term || same, "vote-durable", || {
        format!(
            "node {} shows its vote for {candidate} in term {}, and its disk holds {on_disk:?}",
            header.from, header.term
        )
    })
}
