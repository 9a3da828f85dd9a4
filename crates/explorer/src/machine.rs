//! One node with its disk: it is driven as the replica drives it.

use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chat_consensus::{
    Config, Entry, Envelope, Input, LogIndex, Node, NodeId, Outgoing, Reply, Report, Request,
    RoleName, StorageId, Time, Timing,
};

use crate::disk::Disk;

/// A message that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    Request(Envelope<Request>),
    Reply(Envelope<Reply>),
}

/// A running node, its disk, and the disk that was taken out of its machine before, if one was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    id: NodeId,
    nodes: Arc<[NodeId]>,
    pub(crate) node: Node,
    pub(crate) disk: Disk,
    spare: Option<Disk>,
    now: Time,
}

/// What a step has led to.
pub(crate) struct Step {
    pub(crate) sent: Vec<Message>,
    pub(crate) reports: Vec<Report>,
}

impl Message {
    pub(crate) fn from(&self) -> NodeId {
        match self {
            Self::Request(request) => request.header.from,
            Self::Reply(reply) => reply.header.from,
        }
    }

    pub(crate) fn to(&self) -> NodeId {
        match self {
            Self::Request(request) => request.header.to,
            Self::Reply(reply) => reply.header.to,
        }
    }

    fn input(self) -> Input {
        match self {
            Self::Request(request) => Input::Request(request),
            Self::Reply(reply) => Input::Reply(reply),
        }
    }
}

/// The same for equal values, in this run of the program.
pub(crate) fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Machine {
    /// Starts the node of `disk`.
    pub(crate) fn start(id: NodeId, nodes: Arc<[NodeId]>, disk: Disk) -> Self {
        let node = start(id, &nodes, &disk, Time(0));
        let mut machine = Self {
            id,
            nodes,
            node,
            disk,
            spare: None,
            now: Time(0),
        };
        machine.sync();
        machine
    }

    /// The process is killed and starts again: what is not on the disk is lost. All of the log is applied
    /// again, so the node does not know what was committed.
    pub(crate) fn restart(&mut self) {
        self.node = start(self.id, &self.nodes, &self.disk, self.now);
        self.sync();
    }

    /// The disk is replaced by an empty one.
    pub(crate) fn wipe(&mut self, storage: StorageId) {
        let old = std::mem::replace(&mut self.disk, Disk::new(storage));
        self.spare = Some(old);
        self.restart();
    }

    /// The disk that was taken out is put in again, instead of the one that replaced it.
    pub(crate) fn put_spare_in(&mut self) {
        if let Some(spare) = self.spare.take() {
            let newer = std::mem::replace(&mut self.disk, spare);
            self.spare = Some(newer);
            self.restart();
        }
    }

    pub(crate) fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    pub(crate) fn leads(&self) -> bool {
        self.node.role() == RoleName::Leader
    }

    /// Whether the node's log has entries that are not on the disk.
    pub(crate) fn has_unsynced_entries(&self) -> bool {
        !self.node.unbatched_entries().is_empty()
    }

    pub(crate) fn receive(&mut self, message: Message) -> Result<Step, String> {
        self.handle(message.input())
    }

    /// Something happens. A leader syncs its log by an action of its own, since it sends entries before; every
    /// other node at once, since it sends nothing before.
    pub(crate) fn handle(&mut self, input: Input) -> Result<Step, String> {
        let handled = self.node.handle(self.now, input);
        handled.map_err(|fault| format!("node {} stops: {fault}", self.id))?;
        if !self.leads() {
            self.sync();
        }
        Ok(self.take_step())
    }

    /// The leader's log is on its disk.
    pub(crate) fn sync_log(&mut self) -> Step {
        self.sync();
        self.take_step()
    }

    /// The clock goes on to the node's next deadline.
    pub(crate) fn pass_deadline(&mut self) -> Result<Step, String> {
        self.now = self.now.max(self.node.next_deadline());
        self.handle(Input::DeadlinePassed)
    }

    /// The entries of the log that this node has accepted, after `index`.
    fn accepted_after(&self, index: LogIndex) -> Vec<Entry> {
        let unsynced = self.node.unbatched_entries().iter();
        let unsynced = unsynced.filter(|entry| entry.position.index > index);
        self.disk
            .entries_after(index)
            .chain(unsynced)
            .cloned()
            .collect()
    }

    fn sync(&mut self) {
        while let Some(batch) = self.node.take_batch() {
            let disk = &mut self.disk;
            let synced = batch.persist_with(|writes| {
                disk.write(writes);
                Ok::<(), Infallible>(())
            });
            let Ok(synced) = synced;
            let handled = self.node.handle(self.now, Input::Synced(synced));
            handled.expect("a sync is no fault");
            if self.leads() {
                // The no-op of its term is a leader's own action again.
                return;
            }
        }
    }

    fn take_step(&mut self) -> Step {
        let outgoing = self.node.take_outgoing();
        let sent = outgoing.into_iter().map(|one| self.complete(one)).collect();
        Step {
            sent,
            reports: self.node.take_reports(),
        }
    }

    fn complete(&self, outgoing: Outgoing) -> Message {
        match outgoing {
            Outgoing::Request(request) => Message::Request(request),
            Outgoing::Reply(reply) => Message::Reply(reply),
            Outgoing::Entries(reply) if self.node.leads(reply.header().term) => {
                let entries = self.accepted_after(reply.after());
                Message::Reply(reply.with_entries(entries))
            }
            Outgoing::Entries(reply) => Message::Reply(reply.not_leading()),
            Outgoing::Piece(reply) => Message::Reply(reply.gone()),
        }
    }
}

fn start(id: NodeId, nodes: &[NodeId], disk: &Disk, now: Time) -> Node {
    let config = Config::new(id, nodes, Timing::default()).expect("a valid configuration");
    Node::new(config, disk.stored(), LogIndex::ZERO, id.0, now)
}
