//! Who may do what: the one place that decides it, for every request.
//!
//! Whether a session is valid is not decided here: reads find it in their own snapshot (R14), and
//! applying checks it again (R16).

use chat_store::Session;

use crate::api::request::Username;
use crate::error::Refusal;

/// In whose name something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// In nobody's: whoever asks has no session yet.
    Nobody,
    /// In the name of whichever account the session belongs to.
    OwnAccount,
    /// In the name of an account that the request names, which must be the session's.
    Account {
        /// Where it is named.
        field: &'static str,
        username: &'a Username,
    },
}

/// Who asks, once it is known that they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Somebody without an account, or who need not say.
    Stranger,
    /// The owner of this session.
    Account(Session),
}

/// Whether whoever holds `session` may ask for what claims `claim`.
pub(crate) fn authorize(claim: Claim<'_>, session: Option<Session>) -> Result<Actor, Refusal> {
    match (claim, session) {
        (Claim::Nobody, _) => Ok(Actor::Stranger),
        (Claim::OwnAccount | Claim::Account { .. }, None) => Err(Refusal::Unauthenticated),
        (Claim::OwnAccount, Some(session)) => Ok(Actor::Account(session)),
        (Claim::Account { field, username }, Some(session)) => {
            if session.username == username.0 {
                Ok(Actor::Account(session))
            } else {
                Err(Refusal::PermissionDenied { field })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_store::{Credential, LogIndex, Session};

    use super::{Actor, Claim, authorize};
    use crate::api::request::Username;
    use crate::error::Refusal;

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
        let named = |username| Claim::Account {
            field: "sender",
            username,
        };
        let account = || Ok(Actor::Account(alices.clone()));
        let denied = Err(Refusal::PermissionDenied { field: "sender" });
        for (claim, with_session, without) in [
            (Claim::Nobody, Ok(Actor::Stranger), Ok(Actor::Stranger)),
            (Claim::OwnAccount, account(), Err(Refusal::Unauthenticated)),
            (named(&alice), account(), Err(Refusal::Unauthenticated)),
            (named(&bob), denied, Err(Refusal::Unauthenticated)),
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
