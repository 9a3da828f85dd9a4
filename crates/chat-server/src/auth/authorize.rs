//! Which session may make which request: the one place that decides it, for every request.
//!
//! Whether a session is valid is not decided here: reads look it up in their own snapshot (R14), and
//! applying checks it again (R16).

use chat_store::Session;

use crate::auth::scope::AuthScope;
use crate::error::RequestError;

/// Who makes a request, once it is authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A client without an account, or whose account does not matter.
    Anonymous,
    /// The owner of this session.
    Account(Session),
}

/// Checks that the owner of `session` may make a request with this `scope`.
pub(crate) fn authorize(
    scope: AuthScope<'_>,
    session: Option<Session>,
) -> Result<Principal, RequestError> {
    match (scope, session) {
        (AuthScope::Public, _) => Ok(Principal::Anonymous),
        (AuthScope::OwnAccount | AuthScope::NamedAccount { .. }, None) => {
            Err(RequestError::Unauthenticated)
        }
        (AuthScope::OwnAccount, Some(session)) => Ok(Principal::Account(session)),
        (AuthScope::NamedAccount { field, username }, Some(session)) => {
            if session.username == username.0 {
                Ok(Principal::Account(session))
            } else {
                Err(RequestError::PermissionDenied { field })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_store::{Credential, LogIndex, Session};

    use super::{Principal, authorize};
    use crate::api::request::Username;
    use crate::auth::scope::AuthScope;
    use crate::error::RequestError;

    #[test]
    fn session_is_authorized_for_its_own_account_only() {
        let session = Session {
            username: "alice".to_owned(),
            credential: Credential {
                incarnation: LogIndex(2),
                version: LogIndex(2),
            },
            renew_from: 0,
            idle_seconds: 0,
        };
        let (alice, bob) = (Username("alice".to_owned()), Username("bob".to_owned()));
        let named = |username| AuthScope::NamedAccount {
            field: "sender",
            username,
        };
        let anonymous = || Ok(Principal::Anonymous);
        let account = || Ok(Principal::Account(session.clone()));
        let denied = Err(RequestError::PermissionDenied { field: "sender" });
        let unauthenticated = || Err(RequestError::Unauthenticated);
        for (scope, with_session, without) in [
            (AuthScope::Public, anonymous(), anonymous()),
            (AuthScope::OwnAccount, account(), unauthenticated()),
            (named(&alice), account(), unauthenticated()),
            (named(&bob), denied, unauthenticated()),
        ] {
            let found = authorize(scope, Some(session.clone()));
            assert_eq!(found, with_session, "{scope:?}");
            assert_eq!(authorize(scope, None), without, "{scope:?}");
        }
    }
}
