//! What is done to a local cluster from this window.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::model::chaos::{Chaos, FaultAction, Process};
use crate::model::command::Command;
use crate::model::failure::Failure;
use crate::model::feed::FeedEvent;
use crate::model::names::NodeId;
use crate::model::term_tape::TickKind;

impl Model {
    pub(super) fn ask_supervisor(&mut self, deed: FaultAction, commands: &mut Vec<Command>) {
        self.dialog = None;
        let Some(chaos) = &mut self.cluster.chaos else {
            return;
        };
        if chaos.busy.is_none() {
            chaos.busy = Some(deed);
            chaos.answer = None;
            commands.push(Command::Chaos(deed));
            self.tell_feed(FeedEvent::Deed(deed), Some(TickKind::Deed));
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

    pub(super) fn deed_done(&mut self, deed: FaultAction, answer: String) {
        if let FaultAction::Kill(node) | FaultAction::Pause(node) | FaultAction::Cut(node) = deed {
            self.memory.observation.hurt = Some((node, self.now.moment));
        }
        if let Some(chaos) = &mut self.cluster.chaos {
            chaos.busy = chaos.busy.filter(|busy| *busy != deed);
            chaos.answer = Some(answer);
        }
    }

    pub(super) fn deed_failed(&mut self, deed: FaultAction, why: &Failure) {
        if let Some(chaos) = &mut self.cluster.chaos {
            chaos.busy = chaos.busy.filter(|busy| *busy != deed);
        }
        self.tell_failure(why);
    }
}
