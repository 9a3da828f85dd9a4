//! How a cluster is born, and how an empty node comes to belong to one (R12).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::entry::{Entry, Membership, Payload};
use crate::input::Fault;
use crate::message::{Election, ElectionKind, ElectionReply, Header, Message};
use crate::node::Node;
use crate::types::{ClusterId, NodeId, Position, StorageId, Term, Time, Voter};

/// The inquiry of the lowest configured node while it is empty.
#[derive(Debug)]
pub(super) struct Bootstrap {
    /// The nodes that said they are empty, with the disks they said it with.
    answers: BTreeMap<NodeId, StorageId>,
    /// When those that did not answer are asked (again).
    pub(super) probe_at: Time,
}

impl Bootstrap {
    pub(super) fn has_answered(&self, node: NodeId) -> bool {
        self.answers.contains_key(&node)
    }
}

impl Node {
    pub(super) fn start_bootstrap(&mut self) {
        if self.config.configured.first() == Some(&self.config.node) {
            self.bootstrap = Some(Bootstrap {
                answers: BTreeMap::new(),
                probe_at: self.now,
            });
        }
    }

    pub(super) fn probe_peers_if_due(&mut self) {
        let again_at = self.now + self.config.timing.heartbeat_interval;
        let Some(bootstrap) = &mut self.bootstrap else {
            return;
        };
        if self.now < bootstrap.probe_at {
            return;
        }
        bootstrap.probe_at = again_at;
        let answered: Vec<NodeId> = bootstrap.answers.keys().copied().collect();
        for node in self.other_nodes() {
            if !answered.contains(&node) {
                let election = Election {
                    kind: ElectionKind::Bootstrap,
                    last: Position::ZERO,
                    membership: None,
                };
                self.request(node, Message::Election(election));
            }
        }
        self.bootstrap_if_all_empty();
    }

    pub(super) fn handle_bootstrap_probe(&mut self, header: &Header) {
        let reply = ElectionReply {
            kind: ElectionKind::Bootstrap,
            granted: self.membership.is_none(),
            leader: self.leader,
        };
        self.reply(header, Message::ElectionReply(reply));
    }

    pub(super) fn handle_bootstrap_reply(
        &mut self,
        header: &Header,
        reply: ElectionReply,
    ) -> Result<(), Fault> {
        if header.request.start != self.run {
            return Ok(());
        }
        let Some(bootstrap) = &mut self.bootstrap else {
            return Ok(());
        };
        if reply.granted {
            bootstrap.answers.insert(header.from, header.storage);
            self.bootstrap_if_all_empty();
            return Ok(());
        }
        // The cluster exists: this disk was wiped, or comes late. It learns.
        self.bootstrap = None;
        self.accept_leader_hint(reply.leader);
        Ok(())
    }

    /// Accepts the cluster's first entry from a candidate that belongs to it, if it names this
    /// very disk: then this node answered the inquiry, and has not accepted any other.
    pub(super) fn accept_membership(&mut self, header: &Header, membership: Option<Membership>) {
        let Some(membership) = membership else { return };
        let ours = membership.admits(self.config.node, self.storage);
        let genuine = membership.is_valid()
            && header.cluster == Some(membership.cluster)
            && header.term > Term(0);
        if self.membership.is_none() && ours && genuine {
            self.append_bootstrap_entry(membership);
            self.reset_election_timer();
        }
    }

    fn bootstrap_if_all_empty(&mut self) {
        let Some(bootstrap) = &self.bootstrap else {
            return;
        };
        let others = self.other_nodes();
        if !others
            .iter()
            .all(|node| bootstrap.answers.contains_key(node))
        {
            return;
        }
        let mut voters: Vec<Voter> = bootstrap
            .answers
            .iter()
            .map(|(node, storage)| Voter {
                node: *node,
                storage: *storage,
            })
            .collect();
        voters.push(self.me());
        voters.sort_unstable();
        // A disk forms at most one cluster, and its id is random: so is the cluster's.
        let cluster = ClusterId(self.storage.0);
        // Whatever terms an empty disk has met were another cluster's, or forged (R4).
        if self.hard_state.term != Term(1) {
            self.adopt_term(Term(1));
        }
        self.append_bootstrap_entry(Membership { cluster, voters });
        self.start_pre_vote();
    }

    fn append_bootstrap_entry(&mut self, membership: Membership) {
        self.append(Entry {
            position: Position::new(1, 1),
            payload: Payload::Membership(membership),
        });
    }
}
