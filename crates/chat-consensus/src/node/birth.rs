//! How a cluster is born, and how an empty node comes to belong to one (R12).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::entry::{Entry, Formation, Payload};
use crate::input::Fault;
use crate::message::{Election, ElectionKind, ElectionReply, Header, Message};
use crate::node::Node;
use crate::types::{ClusterId, NodeId, Position, StorageId, Term, Time, Voter};

/// The inquiry of the lowest configured node while it is empty.
#[derive(Debug)]
pub(super) struct Birth {
    /// The nodes that said they are empty, with the disks they said it with.
    answers: BTreeMap<NodeId, StorageId>,
    /// When those that did not answer are asked (again).
    pub(super) ask_at: Time,
}

impl Birth {
    pub(super) fn has_answered(&self, node: NodeId) -> bool {
        self.answers.contains_key(&node)
    }
}

impl Node {
    pub(super) fn prepare_birth(&mut self) {
        if self.config.configured.first() == Some(&self.config.node) {
            self.birth = Some(Birth {
                answers: BTreeMap::new(),
                ask_at: self.now,
            });
        }
    }

    pub(super) fn ask_for_birth_if_due(&mut self) {
        let again_at = self.now + self.config.timing.heartbeat_interval;
        let Some(birth) = &mut self.birth else { return };
        if self.now < birth.ask_at {
            return;
        }
        birth.ask_at = again_at;
        let answered: Vec<NodeId> = birth.answers.keys().copied().collect();
        for node in self.other_nodes() {
            if !answered.contains(&node) {
                let election = Election {
                    kind: ElectionKind::Birth,
                    last: Position::ZERO,
                    formation: None,
                };
                self.request(node, Message::Election(election));
            }
        }
        self.form_if_all_are_empty();
    }

    pub(super) fn handle_birth_inquiry(&mut self, header: &Header) {
        let reply = ElectionReply {
            kind: ElectionKind::Birth,
            granted: self.formation.is_none(),
            leader: self.leader,
        };
        self.reply(header, Message::ElectionReply(reply));
    }

    pub(super) fn handle_birth_reply(
        &mut self,
        header: &Header,
        reply: ElectionReply,
    ) -> Result<(), Fault> {
        if header.request.start != self.run {
            return Ok(());
        }
        let Some(birth) = &mut self.birth else {
            return Ok(());
        };
        if reply.granted {
            birth.answers.insert(header.from, header.storage);
            self.form_if_all_are_empty();
            return Ok(());
        }
        // The cluster exists: this disk was wiped, or comes late. It learns.
        self.birth = None;
        self.learn_leader(reply.leader);
        Ok(())
    }

    /// Accepts the cluster's first entry from a candidate that belongs to it, if it names this
    /// very disk: then this node answered the inquiry, and has not accepted any other.
    pub(super) fn accept_formation(&mut self, header: &Header, formation: Option<Formation>) {
        let Some(formation) = formation else { return };
        let ours = formation.admits(self.config.node, self.storage);
        let genuine = formation.is_valid()
            && header.cluster == Some(formation.cluster)
            && header.term > Term(0);
        if self.formation.is_none() && ours && genuine {
            self.append_formation(formation);
            self.reset_election_timer();
        }
    }

    fn form_if_all_are_empty(&mut self) {
        let Some(birth) = &self.birth else { return };
        let others = self.other_nodes();
        if !others.iter().all(|node| birth.answers.contains_key(node)) {
            return;
        }
        let mut voters: Vec<Voter> = birth
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
        self.append_formation(Formation { cluster, voters });
        self.start_trial();
    }

    fn append_formation(&mut self, formation: Formation) {
        self.append(Entry {
            position: Position::new(1, 1),
            payload: Payload::Formation(formation),
        });
    }
}
