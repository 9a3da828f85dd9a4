//! Which session may make which request: the one place that decides it, for every request.
//!
//! Whether a session is valid is not decided here: reads look it up in their own snapshot (R14), and
//! applying checks it again (R16).

use chat_store::Session;

use crate::error::RequestError;
use crate::scope::AuthScope;

/// Checks that the owner of `session` may make a request with this `scope`.
///
/// # Errors
///
/// There is no session, or the request is about another account.
pub fn authorize(scope: AuthScope<'_>, session: Option<Session>) -> Result<Session, RequestError> {
    let session = session.ok_or(RequestError::Unauthenticated)?;
    match scope {
        AuthScope::NamedAccount { field, username } if session.username != username.0 => {
            Err(RequestError::PermissionDenied { field })
        }
        AuthScope::OwnAccount | AuthScope::NamedAccount { .. } => Ok(session),
    }
}

#[cfg(test)]
mod tests {
    use chat_store::{Credential, LogIndex, Session};

    use super::authorize;
    use crate::error::RequestError;
    use crate::request::Username;
    use crate::scope::AuthScope;

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
        let account = Ok(session.clone());
        let denied = Err(RequestError::PermissionDenied { field: "sender" });
        for (scope, expected) in [
            (AuthScope::OwnAccount, &account),
            (named(&alice), &account),
            (named(&bob), &denied),
        ] {
            let found = authorize(scope, Some(session.clone()));
            assert_eq!(&found, expected, "{scope:?}");
            let found = authorize(scope, None);
            assert_eq!(found, Err(RequestError::Unauthenticated), "{scope:?}");
        }
    }
}
