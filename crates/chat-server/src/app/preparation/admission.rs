//! A request that was decoded and compared with the limits, and whether more is needed for its
//! command.

use chat_proto::forwarded::v1 as forwarded;
use forwarded::request::Operation;

use crate::limits::quotas::Exceeded;

/// A request that was decoded and compared with the limits.
pub(super) struct AdmittedRequest {
    pub(super) id: Vec<u8>,
    pub(super) operation: Operation,
    pub(super) origin: Option<forwarded::Origin>,
    pub(super) admission: Admission,
}

/// Whether the limits admit a request.
pub(super) enum Admission {
    Admitted,
    Exceeded(Exceeded),
    /// How many messages the recipient's inbox has must be counted first.
    InboxUncounted,
}

impl AdmittedRequest {
    /// Whether it needs neither a read nor a password.
    pub(super) fn is_ready(&self) -> bool {
        let needs_secret = matches!(
            self.operation,
            Operation::CreateUser(_) | Operation::Login(_) | Operation::ChangePassword(_)
        );
        matches!(self.admission, Admission::Admitted) && !needs_secret
    }
}
