//! What is done to a local cluster from this window.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::model::chaos::{Chaos, FaultAction, Process};
use crate::model::command::Command;
use crate::model::failure::Failure;
use crate::model::feed::FeedEvent;
use crate::model::names::NodeId;
use crate::model::term_timeline::TickKind;

impl Model {
    pub(super) fn request_fault_action(
        &mut self,
        action: FaultAction,
        commands: &mut Vec<Command>,
    ) {
        self.dialog = None;
        let Some(chaos) = &mut self.cluster.chaos else {
            return;
        };
        if chaos.busy.is_none() {
            chaos.busy = Some(action);
            chaos.answer = None;
            commands.push(Command::Chaos(action));
            self.add_to_feed(FeedEvent::FaultAction(action), Some(TickKind::FaultAction));
        }
    }

    pub(super) fn take_processes(&mut self, processes: Option<BTreeMap<NodeId, Process>>) {
        match processes {
            Some(processes) => {
                let chaos = self.cluster.chaos.get_or_insert_with(Chaos::default);
                chaos.processes = processes;
                self.identify_nodes();
            }
            None => self.cluster.chaos = None,
        }
    }

    /// A node that has not answered yet has the number that the supervisor reports for its address.
    pub(super) fn identify_nodes(&mut self) {
        if let Some(chaos) = &self.cluster.chaos {
            for card in &mut self.cluster.nodes {
                let mut processes = chaos.processes.iter();
                let found = processes.find(|(_, process)| process.address == card.address);
                card.id = card.id.or(found.map(|(id, _)| *id));
            }
        }
        let cards = &mut self.cluster.nodes;
        cards.sort_by_key(|card| card.id.map_or(u64::MAX, |id| id.0));
    }

    pub(super) fn action_completed(&mut self, action: FaultAction, answer: String) {
        if let FaultAction::Kill(node) | FaultAction::Pause(node) | FaultAction::Isolate(node) =
            action
        {
            self.memory.observation.last_fault = Some((node, self.now.moment));
        }
        if let Some(chaos) = &mut self.cluster.chaos {
            chaos.busy = chaos.busy.filter(|busy| *busy != action);
            chaos.answer = Some(answer);
        }
    }

    pub(super) fn action_failed(&mut self, action: FaultAction, why: &Failure) {
        if let Some(chaos) = &mut self.cluster.chaos {
            chaos.busy = chaos.busy.filter(|busy| *busy != action);
        }
        self.show_failure(why);
    }
}
