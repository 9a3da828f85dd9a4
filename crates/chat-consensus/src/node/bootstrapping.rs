//! How a cluster is bootstrapped, and how an uninitialized node becomes a member of one (R12).

use alloc::vec::Vec;

use crate::entry::{Entry, Membership, Payload};
use crate::message::{Election, ElectionReply, Header, Request};
use crate::node::Node;
use crate::types::{ClusterId, Position, Term, Voter};

impl Node {
    pub(super) fn probe_peers_if_due(&mut self) {
        let context = &mut self.context;
        let Some(bootstrap) = &mut self.bootstrap else {
            return;
        };
        if context.now < bootstrap.probe_at {
            return;
        }
        bootstrap.probe_at = context.now + context.config.timing.heartbeat_interval;
        for node in bootstrap.awaits(context) {
            context.request(node, Request::Election(Election::Bootstrap));
        }
        self.bootstrap_if_all_empty();
    }

    pub(super) fn handle_bootstrap_reply(&mut self, header: &Header, reply: ElectionReply) {
        if header.request.start != self.context.run {
            return;
        }
        let Some(bootstrap) = &mut self.bootstrap else {
            return;
        };
        if reply.granted {
            bootstrap.answers.insert(header.from, header.storage);
            return self.bootstrap_if_all_empty();
        }
        // The cluster exists: this disk was wiped, or is new. It learns.
        self.bootstrap = None;
        self.accept_leader_hint(reply.leader);
    }

    /// Accepts the cluster's first entry from a candidate that belongs to it, if it names this
    /// very disk: then this node answered the probe, and has not accepted any other.
    pub(super) fn accept_membership(&mut self, header: &Header, membership: Option<Membership>) {
        let Some(membership) = membership else { return };
        let names_this_disk = membership.admits(self.context.id(), self.context.storage);
        let genuine = membership.is_valid()
            && header.cluster == Some(membership.cluster)
            && header.term > Term(0);
        if self.context.membership.is_none() && names_this_disk && genuine {
            self.append_bootstrap_entry(membership);
            self.election.reset(&mut self.context);
        }
    }

    fn bootstrap_if_all_empty(&mut self) {
        let Some(bootstrap) = &self.bootstrap else {
            return;
        };
        let others = self.context.other_nodes();
        let has_answered = |node| bootstrap.answers.contains_key(node);
        if !others.iter().all(has_answered) {
            return;
        }
        let answers = bootstrap.answers.iter();
        let mut voters: Vec<Voter> = answers
            .map(|(node, storage)| Voter {
                node: *node,
                storage: *storage,
            })
            .collect();
        voters.push(self.context.own_voter());
        voters.sort_unstable();
        // A disk bootstraps at most one cluster, and its id is random: so is the cluster's.
        let cluster = ClusterId(self.context.storage.0);
        // The terms that an empty disk has received were another cluster's, or forged (R4).
        if self.context.hard_state.term != Term(1) {
            self.adopt_term(Term(1));
        }
        self.append_bootstrap_entry(Membership { cluster, voters });
        self.start_pre_vote();
    }

    fn append_bootstrap_entry(&mut self, membership: Membership) {
        self.bootstrap = None;
        self.context.append(Entry {
            position: Position::new(1, 1),
            payload: Payload::Membership(membership),
        });
    }
}
