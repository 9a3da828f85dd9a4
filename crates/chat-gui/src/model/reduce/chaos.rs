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
            }
            None => self.cluster.chaos = None,
        }
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
