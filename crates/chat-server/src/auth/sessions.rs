//! Sessions that this node has seen, so that a message costs no query before it is proposed.
//!
//! What is remembered of a session never changes: whose it is, and what that account was when it
//! began. Whether it is still valid is not known here; applying checks it again (R16), and reads
//! check it in their own snapshot (R14).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chat_store::Session;

use crate::auth::token::TokenHash;
use crate::limits::recent::Recent;

/// How many are remembered: a few MiB. When one more is needed all are forgotten, which costs less
/// than keeping their order of use.
const SESSIONS_MAX: usize = 16_384;

/// Sessions by the hash of their token.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    known: Mutex<HashMap<TokenHash, Session>>,
}

impl Sessions {
    pub(crate) fn find(&self, token: &TokenHash) -> Option<Session> {
        self.lock().get(token).cloned()
    }

    pub(crate) fn remember(&self, token: TokenHash, session: Session) {
        let mut known = self.lock();
        if known.len() >= SESSIONS_MAX {
            known.clear();
        }
        known.insert(token, session);
    }

    pub(crate) fn forget(&self, token: &TokenHash) {
        self.lock().remove(token);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TokenHash, Session>> {
        // Nothing panics while it is held, and every state of the map is a good one.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how many sessions it is remembered when this node renewed them: some MiB.
const RENEWALS_MAX: usize = 16_384;

/// How often in its idle time a session is renewed by one node, at most. Twice as often as it is due
/// (`chat_store`), so that no session ends because of this.
const RENEWALS_PER_IDLE_TIME: u32 = 32;

/// When this node renewed sessions that were only read with.
///
/// When a renewal is due is judged by this node's clock, and how long it lasts by the log's time: with
/// a clock that is ahead it would always be due, and each read would wait for an entry of the log.
/// After a renewal in the last 32nd of the idle time there is nothing to renew, whatever the clock
/// says. So in a chat where nothing else happens, a session may be read with for so much longer than
/// its absolute time.
#[derive(Debug)]
pub(crate) struct Renewals {
    begun: Mutex<Recent<TokenHash, Instant>>,
}

impl Renewals {
    pub(crate) fn new() -> Self {
        Self {
            begun: Mutex::new(Recent::new(RENEWALS_MAX)),
        }
    }

    /// Whether this node may renew the session now; it counts as renewed if so.
    pub(crate) fn begin(&self, token: TokenHash, idle_seconds: i64, now: Instant) -> bool {
        let idle = Duration::from_secs(u64::try_from(idle_seconds).unwrap_or(0));
        let interval = idle / RENEWALS_PER_IDLE_TIME;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = begun
            .get(&token)
            .is_some_and(|at| now.saturating_duration_since(*at) < interval);
        if !recent {
            *begun.entry(token, || now) = now;
        }
        !recent
    }

    /// It came to nothing.
    pub(crate) fn forget(&self, token: &TokenHash) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.remove(token);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chat_store::{Credential, LogIndex, Session};

    use super::{RENEWALS_MAX, Renewals, SESSIONS_MAX, Sessions};
    use crate::auth::token::TokenHash;

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
    fn memory_is_bounded() {
        let sessions = Sessions::default();
        for number in 0..SESSIONS_MAX {
            sessions.remember(token(number), session("alice"));
        }
        assert_eq!(sessions.find(&token(0)), Some(session("alice")));
        sessions.remember(token(SESSIONS_MAX), session("bob"));
        assert_eq!(sessions.find(&token(0)), None);
        assert_eq!(sessions.find(&token(SESSIONS_MAX)), Some(session("bob")));
        sessions.forget(&token(SESSIONS_MAX));
        assert_eq!(sessions.find(&token(SESSIONS_MAX)), None);
    }

    // C9: a clock that is ahead makes a renewal due at each read.
    #[test]
    fn a_session_is_renewed_once_in_a_while_whatever_the_clock_says() {
        let renewals = Renewals::new();
        let start = Instant::now();
        let (idle_seconds, mut renewed) = (3200, 0);
        for second in 0..1_000 {
            let now = start + Duration::from_secs(second);
            renewed += u32::from(renewals.begin(token(1), idle_seconds, now));
        }
        assert_eq!(renewed, 10);
        assert!(renewals.begin(token(2), idle_seconds, start), "another one");
        renewals.forget(&token(2));
        assert!(
            renewals.begin(token(2), idle_seconds, start),
            "it had failed"
        );
        for number in 3..3 * RENEWALS_MAX {
            renewals.begin(token(number), idle_seconds, start);
        }
        assert!(renewals.begun.lock().unwrap().len() <= RENEWALS_MAX);
    }
}
