//! Reads, on the node that the client reached, from its own tables.

use std::time::Instant;

use chat_proto::storage::v1 as storage;
use chat_store::{ReadTransaction, Session, StateError};
use storage::command::Operation;

use super::{Edge, session_claim, texts};
use crate::authorize::authorize;
use crate::error::RequestError;
use crate::host::{Host, Proposer};
use crate::reply::Reply;
use crate::request::{GetMessagesRequest, ListUsersRequest, ReadRequest, RequestId};
use crate::scope::AuthScope;
use crate::session_lookup::ReadAdmission;
use crate::token::PresentedToken;

impl<R: Proposer, H: Host> Edge<R, H> {
    /// A page of messages is read in the snapshot in which the session is found (R14).
    pub(super) async fn read(
        &self,
        request: ReadRequest,
        token: Option<PresentedToken>,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        let scope = AuthScope::from(&request);
        let (mut snapshot, owner) = self
            .begin_read_as(scope, token, request.id(), deadline)
            .await?;
        match request {
            ReadRequest::GetMessages(inbox) => messages(&mut snapshot, &inbox, &owner).await,
            ReadRequest::CheckMessages(checked) => {
                let ids = texts(checked.message_ids);
                let located = snapshot.located_messages(&owner, &ids).await;
                Ok(Reply::Located(located.map_err(read_error)?))
            }
            ReadRequest::ListUsers(listing) => {
                drop(snapshot);
                self.list_users(&listing, &owner).await
            }
        }
    }

    /// Names are read on separate connections, one page of an account at a time. They come from a state
    /// that is at least as new as the snapshot in which the session was found.
    async fn list_users(
        &self,
        listing: &ListUsersRequest,
        owner: &Session,
    ) -> Result<Reply, RequestError> {
        let _guard = self
            .listings
            .begin(&owner.username)
            .ok_or(RequestError::Overloaded)?;
        let after = listing.after.as_ref().map(|after| after.0.as_str());
        let page = self
            .reader
            .usernames(&listing.pattern.0, listing.limit, after);
        Ok(Reply::Users(page.await.map_err(read_error)?))
    }

    /// Begins a read for the session of `token`. A session that may expire soon is renewed in the log
    /// first. So a session that only reads does not expire; and a session that has expired by the
    /// log's time is rejected even in a chat where nothing else happens.
    async fn begin_read_as(
        &self,
        scope: AuthScope<'_>,
        token: Option<PresentedToken>,
        id: RequestId,
        deadline: Instant,
    ) -> Result<(ReadTransaction, Session), RequestError> {
        let token = token.ok_or(RequestError::Unauthenticated)?;
        let admission = self.sessions.admit(token).await?;
        let token = token.hash;
        let mut snapshot = self.begin_read(deadline).await?;
        let mut session = snapshot.session(&token.0).await.map_err(read_error)?;
        let due = |session: &mut Session| {
            session.renew_from <= self.host.unix_seconds()
                && self
                    .renewals
                    .begin(token, session.idle_seconds, self.host.now())
        };
        if let Some(due) = session.take_if(due) {
            drop(snapshot);
            let operation = Operation::RenewSession(storage::RenewSession {
                session: Some(session_claim(&due, token)),
            });
            let renewed = self.leader.command(id, operation, deadline).await;
            if renewed.is_err() {
                self.renewals.forget(&token);
            }
            renewed?;
            snapshot = self.begin_read(deadline).await?;
            session = snapshot.session(&token.0).await.map_err(read_error)?;
        }
        if session.is_none() && matches!(admission, ReadAdmission::Known) {
            self.sessions.forget(&token);
        }
        Ok((snapshot, authorize(scope, session)?))
    }

    async fn begin_read(&self, deadline: Instant) -> Result<ReadTransaction, RequestError> {
        self.leader.ensure_linearizable(deadline).await?;
        self.reader.begin().await.map_err(read_error)
    }
}

async fn messages(
    snapshot: &mut ReadTransaction,
    inbox: &GetMessagesRequest,
    owner: &Session,
) -> Result<Reply, RequestError> {
    let page = snapshot
        .inbox(owner, inbox.query)
        .await
        .map_err(read_error)?;
    let unread = snapshot.unread_count(owner).await.map_err(read_error)?;
    Ok(Reply::Messages {
        page,
        unread,
        names_direction: inbox.names_direction,
    })
}

fn read_error(error: StateError) -> RequestError {
    RequestError::log_read_error(&error)
}
