//! Changes of the members that an operator or the autopilot requests: made from the newest members when they
//! arrive, and answered when they are committed (R19).

use chat_consensus::{Fault, Input, LogIndex, MembershipEdit, MembershipRefusal, Position};

use crate::error::ChangeMembersError;
use crate::event::{Effect, MakeReply, MembersTicket};
use crate::replica::Replica;

impl<F: MakeReply> Replica<F> {
    pub(super) fn handle_change_members(
        &mut self,
        ticket: MembersTicket,
        edit: &MembershipEdit,
    ) -> Result<(), Fault> {
        match self.change_members(edit)? {
            Ok(Some(index)) => {
                let term = self.node.term();
                self.members
                    .appended
                    .push((ticket, Position { term, index }));
            }
            Ok(None) => self.complete_change(ticket, Ok(None)),
            Err(error) => self.complete_change(ticket, Err(error)),
        }
        Ok(())
    }

    /// Appends what an edit makes of the newest members. `Ok(None)`: they are so already, and committed as
    /// far as this node knows.
    pub(super) fn change_members(
        &mut self,
        edit: &MembershipEdit,
    ) -> Result<Result<Option<LogIndex>, ChangeMembersError>, Fault> {
        let newest = self.node.membership().filter(|_| self.is_leading());
        let Some(newest) = newest.cloned() else {
            let leader_id = self.other_leader().map(|leader| leader.0);
            return Ok(Err(ChangeMembersError::NotLeading { leader_id }));
        };
        let next = match newest.edited(edit) {
            Ok(Some(next)) => next,
            Ok(None) if self.node.membership_at(self.node.commit_index()) != Some(&newest) => {
                return Ok(Err(MembershipRefusal::NotNow.into()));
            }
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error.into())),
        };
        self.members.requested = Some((next.clone(), None));
        self.step(Input::MembershipRequested(Box::new(next)))?;
        let requested = self.members.requested.take();
        let answer = requested.and_then(|(_, answer)| answer);
        let answer = answer.expect("the node answers what it is asked");
        Ok(answer.map(Some).map_err(ChangeMembersError::from))
    }

    /// Answers the changes that are committed by now.
    pub(super) fn complete_committed_changes(&mut self) {
        let node = &self.node;
        let committed = node.commit_index();
        let is_done = |(_, position): &mut (MembersTicket, Position)| {
            position.index <= committed && node.log().term_at(position.index) == Some(position.term)
        };
        let done: Vec<_> = self.members.appended.extract_if(.., is_done).collect();
        for (ticket, position) in done {
            self.complete_change(ticket, Ok(Some(position.index)));
        }
    }

    /// This node leads no more: what is not committed may be, or may be undone.
    pub(super) fn fail_uncommitted_changes(&mut self) {
        self.complete_committed_changes();
        for (ticket, _) in std::mem::take(&mut self.members.appended) {
            self.complete_change(ticket, Err(ChangeMembersError::Unknown));
        }
    }

    fn complete_change(
        &mut self,
        ticket: MembersTicket,
        outcome: Result<Option<LogIndex>, ChangeMembersError>,
    ) {
        self.effects.push(Effect::CompleteChange(ticket, outcome));
    }
}
