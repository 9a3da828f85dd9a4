//! Whose session a token is, found on this node as far as it knows.
//!
//! Applying the entry that opened a session makes it known here, until it ends for good. So for most
//! tokens, invented ones too, no other node is asked. What is left are sessions whose opening is not
//! applied here yet, tokens of the first release, and whatever has an invented index: how far the log
//! is must then be asked of the leader, and only some of these do so at once.
//!
//! Whether a known session is still valid is not decided here: reads look it up in their own snapshot
//! (R14), and applying checks it again (R16).

use std::time::Instant;

use chat_replication::Handle;
use chat_store::{ChatReader, Session};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

use crate::api::request::RequestId;
use crate::auth::sessions::Sessions;
use crate::auth::token::{PresentedToken, TokenHash};
use crate::error::RequestError;

/// How many tokens that this node cannot judge are looked into at once; the others wait. A round to
/// the leader takes a millisecond or two and serves all that wait for it.
const UNDECIDED_MAX: usize = 64;

/// Finds sessions.
#[derive(Debug)]
pub(crate) struct SessionLookup {
    replica: Handle,
    reader: ChatReader,
    known: Sessions,
    undecided: Semaphore,
}

/// What this node knows of a token by itself.
#[derive(Debug)]
pub(crate) enum TokenLookup {
    /// It opens this session, or did lately.
    Session(Session),
    /// It opens none, nowhere and never.
    Invalid,
    /// The node may be behind.
    Undecided,
}

/// What is needed to read with a token.
#[derive(Debug)]
pub(crate) enum ReadAdmission<'a> {
    /// This node knows its session.
    Known,
    /// Held until the session is looked up where it must be known.
    Undecided { _place: SemaphorePermit<'a> },
}

impl SessionLookup {
    pub(crate) fn new(replica: Handle, reader: ChatReader) -> Self {
        Self {
            replica,
            reader,
            known: Sessions::default(),
            undecided: Semaphore::new(UNDECIDED_MAX),
        }
    }

    /// What is known of `token` without asking another node.
    pub(crate) async fn known(&self, token: PresentedToken) -> Result<TokenLookup, RequestError> {
        if let Some(session) = self.known.find(&token.hash) {
            return Ok(TokenLookup::Session(session));
        }
        let found = self.reader.find_session(&token.hash.0).await;
        let found = found.map_err(|error| RequestError::log_read_error(&error))?;
        Ok(match (found.session, token.opened) {
            (Some(session), _) => {
                self.known.remember(token.hash, session.clone());
                TokenLookup::Session(session)
            }
            (None, Some(opened)) if opened <= found.applied => TokenLookup::Invalid,
            (None, _) => TokenLookup::Undecided,
        })
    }

    /// Lets a read with `token` begin, which finds the session in its own snapshot.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unauthenticated`] when there is no such session.
    pub(crate) async fn admit(
        &self,
        token: PresentedToken,
    ) -> Result<ReadAdmission<'_>, RequestError> {
        match self.known(token).await? {
            TokenLookup::Session(_) => Ok(ReadAdmission::Known),
            TokenLookup::Invalid => Err(RequestError::Unauthenticated),
            TokenLookup::Undecided => Ok(ReadAdmission::Undecided {
                _place: self.place().await,
            }),
        }
    }

    /// Whose session `token` is. `None` when it is none, unless it was the request `ends` that has
    /// ended it.
    pub(crate) async fn find(
        &self,
        token: PresentedToken,
        ends: Option<RequestId>,
        deadline: Instant,
    ) -> Result<Option<Session>, RequestError> {
        let finding = async {
            let _place = match self.known(token).await? {
                TokenLookup::Session(session) => return Ok(Some(session)),
                TokenLookup::Invalid => return self.ended_by(token.hash, ends).await,
                TokenLookup::Undecided => self.place().await,
            };
            self.replica.ensure_linearizable(deadline).await?;
            let found = self.reader.find_session(&token.hash.0).await;
            let found = found.map_err(|error| RequestError::log_read_error(&error))?;
            match found.session {
                Some(session) => {
                    self.known.remember(token.hash, session.clone());
                    Ok(Some(session))
                }
                None => self.ended_by(token.hash, ends).await,
            }
        };
        timeout_at(deadline.into(), finding)
            .await
            .map_err(|_late| RequestError::Timeout)?
    }

    /// It is not valid any more.
    pub(crate) fn forget(&self, token: &TokenHash) {
        self.known.forget(token);
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

    async fn place(&self) -> SemaphorePermit<'_> {
        let place = self.undecided.acquire().await;
        place.expect("the semaphore is never closed")
    }
}
