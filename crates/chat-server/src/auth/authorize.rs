//! Who may do what: the one place that decides it, for every request.
//!
//! Whether a session is valid is not decided here: reads find it in their own snapshot (R14), and
//! applying checks it again (R16).

use chat_store::Session;

use crate::api::request::Username;
use crate::error::RequestError;

/// In whose name something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthScope<'a> {
    /// In nobody's: whoever asks has no session yet.
    Public,
    /// In the name of whichever account the session belongs to.
    OwnAccount,
    /// In the name of an account that the request names, which must be the session's.
    NamedAccount {
        /// Where it is named.
        field: &'static str,
        username: &'a Username,
    },
}

/// Who asks, once it is known that they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Somebody without an account, or who need not say.
    Anonymous,
    /// The owner of this session.
    Account(Session),
}

/// Whether whoever holds `session` may ask for what claims `claim`.
pub(crate) fn authorize(
    claim: AuthScope<'_>,
    session: Option<Session>,
) -> Result<Principal, RequestError> {
    match (claim, session) {
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

    use super::{AuthScope, Principal, authorize};
    use crate::api::request::Username;
    use crate::error::RequestError;

    #[test]
    fn a_session_speaks_for_its_own_account_alone() {
        let alices = Session {
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
        let account = || Ok(Principal::Account(alices.clone()));
        let denied = Err(RequestError::PermissionDenied { field: "sender" });
        for (claim, with_session, without) in [
            (
                AuthScope::Public,
                Ok(Principal::Anonymous),
                Ok(Principal::Anonymous),
            ),
            (
                AuthScope::OwnAccount,
                account(),
                Err(RequestError::Unauthenticated),
            ),
            (named(&alice), account(), Err(RequestError::Unauthenticated)),
            (named(&bob), denied, Err(RequestError::Unauthenticated)),
        ] {
            assert_eq!(
                authorize(claim, Some(alices.clone())),
                with_session,
                "{claim:?}"
            );
            assert_eq!(authorize(claim, None), without, "{claim:?}");
        }
    }
}
