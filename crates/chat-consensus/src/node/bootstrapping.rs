//! How a cluster is bootstrapped, and how an uninitialized node becomes a member of one (R12).

use alloc::vec::Vec;

use crate::entry::LogBase;
use crate::membership::Membership;
use crate::message::{Election, ElectionReply, Header, Request};
use crate::node::Node;
use crate::types::{ClusterId, Term, Voter};

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
        bootstrap.forget_old(context);
        for node in context.other_nodes() {
            let probe = context.request(node, Request::Election(Election::Bootstrap));
            bootstrap.probes.insert(probe, context.now);
        }
        self.bootstrap_if_all_empty();
    }

    pub(super) fn handle_bootstrap_reply(&mut self, header: &Header, reply: ElectionReply) {
        let Some(bootstrap) = &mut self.bootstrap else {
            return;
        };
        bootstrap.forget_old(&self.context);
        let Some(sent) = bootstrap.probes.get(&header.request) else {
            return;
        };
        if reply.granted {
            bootstrap
                .answers
                .insert(header.from, (header.storage, *sent));
            return self.bootstrap_if_all_empty();
        }
        // The cluster exists, or that node is not ready. If it exists, its leader announces itself.
        bootstrap.answers.remove(&header.from);
        self.accept_leader_hint(reply.leader);
    }

    fn bootstrap_if_all_empty(&mut self) {
        let Some(bootstrap) = &mut self.bootstrap else {
            return;
        };
        bootstrap.forget_old(&self.context);
        let others = self.context.other_nodes();
        let has_answered = |node| bootstrap.answers.contains_key(node);
        if !others.iter().all(has_answered) {
            return;
        }
        let answers = bootstrap.answers.iter();
        let mut voters: Vec<Voter> = answers
            .map(|(node, (storage, _))| Voter {
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
        self.bootstrap = None;
        let membership = Membership::of_voters(cluster, voters);
        self.context.install_base(LogBase::first(membership));
        self.start_pre_vote();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::convert::Infallible;

    use crate::config::{Config, Timing};
    use crate::entry::{HardState, LogBase, Stored};
    use crate::membership::Membership;
    use crate::node::Node;
    use crate::types::{ClusterId, LogIndex, NodeId, StorageId, Term, Time, Voter};

    /// R12: a power failure between the base and the term that came with it leaves a disk with which
    /// the cluster can go on.
    #[test]
    fn disk_with_a_base_and_without_a_term_begins_in_term_1() {
        let voters = [1, 2, 3].map(|id| Voter {
            node: NodeId(id),
            storage: StorageId(id.into()),
        });
        let membership = Membership::of_voters(ClusterId(1), voters.to_vec());
        let stored = Stored {
            base: Some(LogBase::first(membership)),
            hard_state: HardState {
                cluster: Some(ClusterId(1)),
                ..HardState::default()
            },
            ..Stored::empty(StorageId(1))
        };
        let nodes = vec![NodeId(1), NodeId(2), NodeId(3)];
        let config = Config::new(NodeId(1), &nodes, Timing::default()).unwrap();
        let config = config.allow_bootstrap(true);
        let mut node = Node::new(config, stored, LogIndex::ZERO, 1, Time(0));
        assert_eq!(node.term(), Term(1));
        let batch = node.take_batch().unwrap();
        let mut written = None;
        let synced = batch.persist_with(|writes| {
            written = writes.hard_state;
            Ok::<(), Infallible>(())
        });
        assert!(synced.is_ok());
        assert_eq!(written.unwrap().term, Term(1));
    }
}
