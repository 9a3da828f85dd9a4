//! Changes of the members of a local cluster from this window.

use crate::model::Model;
use crate::model::command::Command;
use crate::model::failure::Failure;
use crate::model::feed::FeedEvent;
use crate::model::members_action::{MembersAction, MembersReport};
use crate::model::term_timeline::TickKind;

impl Model {
    pub(super) fn request_members_action(
        &mut self,
        action: MembersAction,
        commands: &mut Vec<Command>,
    ) {
        self.dialog = None;
        if self.cluster.obstacle(action).is_some() {
            return;
        }
        if let Some(chaos) = &mut self.cluster.chaos {
            chaos.members = Some(action.first_step());
            chaos.answer = None;
            commands.push(Command::ChangeMembers(action));
            self.add_to_feed(
                FeedEvent::MembersAction(action),
                Some(TickKind::FaultAction),
            );
        }
    }

    pub(super) fn take_members_report(&mut self, report: Result<MembersReport, Failure>) {
        let mut chaos = self.cluster.chaos.as_mut();
        if let Some(chaos) = &mut chaos {
            chaos.members = match &report {
                Ok(MembersReport::Step(step)) => Some(*step),
                Ok(MembersReport::Completed(_)) | Err(_) => None,
            };
        }
        match report {
            Ok(MembersReport::Step(_)) => {}
            Ok(MembersReport::Completed(answer)) => {
                if let Some(chaos) = chaos {
                    chaos.answer = Some(answer);
                }
            }
            Err(why) => self.show_failure(&why),
        }
    }
}
