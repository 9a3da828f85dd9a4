//! Why a change of the members of a local cluster cannot be requested now. Deliberately absent: what the
//! leader refuses; it answers itself.

use crate::model::cluster::Cluster;
use crate::model::members_action::MembersAction;
use crate::model::membership::MemberState;
use crate::model::names::NodeId;

impl Cluster {
    /// Why a change cannot be requested now, in a sentence.
    pub fn obstacle(&self, action: MembersAction) -> Option<String> {
        let Some(chaos) = &self.chaos else {
            return Some("The cluster does not run on this machine.".to_owned());
        };
        if chaos.members.is_some() {
            return Some("Another change of the members is under way.".to_owned());
        }
        let nodes = chaos.processes.len();
        let nodes_max = usize::from(devcluster_api::NODES_MAX);
        match action {
            MembersAction::Add if nodes >= nodes_max => Some(format!(
                "A cluster on one machine has at most {nodes_max} nodes."
            )),
            MembersAction::Add => None,
            MembersAction::Remove(_) if nodes == 1 => {
                Some("The last node cannot be removed.".to_owned())
            }
            MembersAction::Remove(node) => {
                let voters = self.member_counts().map(|counts| counts.voters);
                let is_last = voters == Some(1) && self.is_voter(node);
                is_last.then(|| "The last voter cannot be removed.".to_owned())
            }
        }
    }

    /// What a node is to the cluster, also one whose card is not there yet.
    pub fn state_of(&self, node: NodeId) -> MemberState {
        let mut cards = self.nodes.iter();
        let card = cards.find(|card| card.id == Some(node));
        card.map_or(MemberState::Unknown, |card| self.member_state(card))
    }

    fn is_voter(&self, node: NodeId) -> bool {
        let members = self.members_report().map(|report| &report.members);
        members.and_then(|members| members.get(&node)) == Some(&Some(true))
    }
}
