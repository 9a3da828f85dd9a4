//! Order of writing and sending: what a message shows is on its sender's disk (R1), and nothing is
//! sent before the start is (R4).

use chat_consensus::{Election, ElectionKind, Envelope, Header, Reply, Request};

use crate::checker::{Checked, ensure};
use crate::message::Message;
use crate::simulation::disk::Image;

/// Any message leaves a process that was started for the `start`th time; a request shows itself
/// for the how manieth time it was.
///
/// # Errors
///
/// The start counter is not on the disk yet (R4).
pub fn started(header: &Header, start: u64, is_request: bool, durable: &Image) -> Checked {
    // A disk that was rolled back goes on with a greater counter (R18).
    let shown = if is_request {
        header.request.start.counter()
    } else {
        0
    };
    let start = start.max(shown);
    ensure(durable.boot_count >= start, "boot-count-first", || {
        format!(
            "node {} sends in its start {start}, and its disk knows of {}",
            header.from, durable.boot_count
        )
    })
}

/// One of the protocol's messages leaves a process whose disk is `durable`.
///
/// # Errors
///
/// It shows a term, a vote or a log that a power cut would take back (R1).
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
                    "node {} says that {:?} is synced, and its disk ends at {:?}",
                    header.from,
                    fetch.synced,
                    durable.last()
                )
            })
        }
        _ => Ok(()),
    }
}

/// A vote may be forgotten only for a later term.
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
