//! Which session a token opens, looked up on this node where that is possible.
//!
//! A session is known here from when the entry that opened it is applied until the session ends; an
//! ended session never comes back. So most tokens, invented ones too, need no call to another node.
//! The exceptions are sessions whose opening is not applied here yet, tokens of the first release, and
//! tokens with an invented index: for these the node must first learn from the leader how far the log
//! is, and only a limited number of them do so at once.
//!
//! Whether a known session is still valid is not decided here: reads look it up in their own snapshot
//! (R14), and applying checks it again (R16).

use std::sync::Arc;
use std::time::Instant;

use async_lock::{Semaphore, SemaphoreGuard};
use chat_store::{ChatReader, Session};

use crate::error::RequestError;
use crate::host::{Host, ReadBarrier};
use crate::request::RequestId;
use crate::session_cache::SessionCache;
use crate::token::{PresentedToken, TokenHash};

/// How many tokens that this node cannot decide on are looked up at once; the others wait. A read
/// round of the leader takes a millisecond or two and serves all of them.
const UNDECIDED_MAX: usize = 64;

/// Finds sessions.
#[derive(Debug)]
pub struct SessionLookup<R, H> {
    replica: R,
    host: Arc<H>,
    reader: ChatReader,
    cache: SessionCache,
    undecided: Semaphore,
}

/// What this node knows of a token without another node.
#[derive(Debug)]
pub enum TokenLookup {
    /// It opens this session, or did recently.
    Session(Session),
    /// It opens no session on any node, now or later.
    Invalid,
    /// This node may be behind.
    Undecided,
}

/// Permission to begin a read with a token.
#[derive(Debug)]
pub enum ReadAdmission<'a> {
    /// This node knows its session.
    Known,
    /// Its session is not known here. The permit is held until the session is looked up in a state
    /// that must have it.
    Undecided {
        /// See above.
        _permit: SemaphoreGuard<'a>,
    },
}

impl<R: ReadBarrier, H: Host> SessionLookup<R, H> {
    /// Looks sessions up with `reader`, behind `replica`'s barrier where this node may be behind.
    pub fn new(replica: R, host: Arc<H>, reader: ChatReader) -> Self {
        Self {
            replica,
            host,
            reader,
            cache: SessionCache::default(),
            undecided: Semaphore::new(UNDECIDED_MAX),
        }
    }

    /// What is known of `token` without a call to another node.
    pub async fn known(&self, token: PresentedToken) -> Result<TokenLookup, RequestError> {
        if let Some(session) = self.cache.find(&token.hash) {
            return Ok(TokenLookup::Session(session));
        }
        let found = self.reader.find_session(&token.hash.0).await;
        let found = found.map_err(|error| RequestError::log_read_error(&error))?;
        Ok(match (found.session, token.opened) {
            (Some(session), _) => {
                self.cache.insert(token.hash, session.clone());
                TokenLookup::Session(session)
            }
            (None, Some(opened)) if opened <= found.applied => TokenLookup::Invalid,
            (None, _) => TokenLookup::Undecided,
        })
    }

    /// Allows a read with `token` to begin, which looks the session up in its own snapshot.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unauthenticated`] when there is no such session.
    pub async fn admit(&self, token: PresentedToken) -> Result<ReadAdmission<'_>, RequestError> {
        match self.known(token).await? {
            TokenLookup::Session(_) => Ok(ReadAdmission::Known),
            TokenLookup::Invalid => Err(RequestError::Unauthenticated),
            TokenLookup::Undecided => Ok(ReadAdmission::Undecided {
                _permit: self.permit().await,
            }),
        }
    }

    /// The session of `token`. `None` if it opens none, except that a session that the request `ends`
    /// has ended is returned.
    pub async fn find(
        &self,
        token: PresentedToken,
        ends: Option<RequestId>,
        deadline: Instant,
    ) -> Result<Option<Session>, RequestError> {
        let finding = async {
            let _permit = match self.known(token).await? {
                TokenLookup::Session(session) => return Ok(Some(session)),
                TokenLookup::Invalid => return self.ended_by(token.hash, ends).await,
                TokenLookup::Undecided => self.permit().await,
            };
            self.replica.ensure_linearizable(deadline).await?;
            let found = self.reader.find_session(&token.hash.0).await;
            let found = found.map_err(|error| RequestError::log_read_error(&error))?;
            match found.session {
                Some(session) => {
                    self.cache.insert(token.hash, session.clone());
                    Ok(Some(session))
                }
                None => self.ended_by(token.hash, ends).await,
            }
        };
        self.host
            .until(deadline, finding)
            .await
            .ok_or(RequestError::Timeout)?
    }

    /// Removes a session that is no longer valid from the cache.
    pub fn forget(&self, token: &TokenHash) {
        self.cache.remove(token);
    }

    async fn ended_by(
        &self,
        token: TokenHash,
        request: Option<RequestId>,
    ) -> Result<Option<Session>, RequestError> {
        let Some(request) = request else {
            return Ok(None);
        };
        let ended = self.reader.session_ended_by(&token.0, request.0.as_bytes());
        ended
            .await
            .map_err(|error| RequestError::log_read_error(&error))
    }

    async fn permit(&self) -> SemaphoreGuard<'_> {
        self.undecided.acquire().await
    }
}
