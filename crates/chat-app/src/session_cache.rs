//! A cache of the sessions that this node has seen, so that a message needs no query before it is
//! proposed.
//!
//! The cached part of a session never changes: its account, and that account's credential when the
//! session began. Whether it is still valid is not known here; applying checks it again (R16), and
//! reads check it in their own snapshot (R14).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chat_store::Session;

use crate::token::TokenHash;

/// How many are cached: a few MiB. When one more is needed all are removed, which costs less than
/// tracking their order of use.
const SESSIONS_MAX: usize = 16_384;

/// Sessions by the hash of their token.
#[derive(Debug, Default)]
pub(crate) struct SessionCache {
    known: Mutex<HashMap<TokenHash, Session>>,
}

impl SessionCache {
    pub(crate) fn find(&self, token: &TokenHash) -> Option<Session> {
        self.lock().get(token).cloned()
    }

    pub(crate) fn insert(&self, token: TokenHash, session: Session) {
        let mut known = self.lock();
        if known.len() >= SESSIONS_MAX {
            known.clear();
        }
        known.insert(token, session);
    }

    pub(crate) fn remove(&self, token: &TokenHash) {
        self.lock().remove(token);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TokenHash, Session>> {
        // Nothing panics while it is held, and every state of the map is a good one.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chat_store::{Credential, LogIndex, Session};

    use super::{SESSIONS_MAX, SessionCache};
    use crate::token::TokenHash;

    fn token(number: usize) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        TokenHash(bytes)
    }

    fn session(username: &str) -> Session {
        Session {
            username: username.to_owned(),
            credential: Credential {
                incarnation: LogIndex(2),
                version: LogIndex(2),
            },
            renew_from: 0,
            idle_seconds: 0,
        }
    }

    #[test]
    fn cache_is_bounded() {
        let sessions = SessionCache::default();
        for number in 0..SESSIONS_MAX {
            sessions.insert(token(number), session("alice"));
        }
        assert_eq!(sessions.find(&token(0)), Some(session("alice")));
        sessions.insert(token(SESSIONS_MAX), session("bob"));
        assert_eq!(sessions.find(&token(0)), None);
        assert_eq!(sessions.find(&token(SESSIONS_MAX)), Some(session("bob")));
        sessions.remove(&token(SESSIONS_MAX));
        assert_eq!(sessions.find(&token(SESSIONS_MAX)), None);
    }
}
