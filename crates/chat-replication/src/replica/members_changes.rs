//! Changes of the members that were requested and are not answered (R19).

use chat_consensus::{LogIndex, Membership, MembershipRefusal, Position, Report};

use crate::event::MembersTicket;

/// What is requested and not answered.
#[derive(Debug, Default)]
pub(super) struct MembersChanges {
    /// The members that are being requested of the node, and what it has said to them so far.
    pub(super) requested: Option<(Membership, Option<Result<LogIndex, MembershipRefusal>>)>,
    /// What was appended, and is not committed yet.
    pub(super) appended: Vec<(MembersTicket, Position)>,
}

impl MembersChanges {
    /// Looks whether a report is the answer to what is being requested: the node also changes members by
    /// itself.
    pub(super) fn note(&mut self, report: &Report) {
        let Some((wanted, answer)) = &mut self.requested else {
            return;
        };
        match report {
            Report::MembershipAppended(index, next) if next == wanted => *answer = Some(Ok(*index)),
            Report::MembershipRefused(refusal) => *answer = Some(Err(*refusal)),
            _ => {}
        }
    }
}
