//! The requests about accounts and sessions.

use uuid::Uuid;

use crate::client::ChatClient;
use crate::error::ClientError;
use crate::password;
use crate::requests::{Created, Done, LoggedInJson, Request, UsersPage, UsersQuery};
use crate::session::{LoggedIn, Session};

/// How many pages without names are skipped to find one with names: these are a million names.
const EMPTY_PAGES_MAX: usize = 100;

impl ChatClient {
    /// Creates an account.
    ///
    /// # Errors
    ///
    /// [`ClientError::Application`] with `username_taken`; see the contract for the others.
    pub async fn sign_up(&self, username: &str, password: &str) -> Result<Session, ClientError> {
        self.sign_up_as(Uuid::new_v4(), username, password).await
    }

    /// Creates an account with a request id that the caller keeps. A repetition with the same id and
    /// the same password creates no second account; it opens a session of the first one.
    ///
    /// # Errors
    ///
    /// The same as of [`Self::sign_up`].
    pub async fn sign_up_as(
        &self,
        request_id: Uuid,
        username: &str,
        password: &str,
    ) -> Result<Session, ClientError> {
        let request = Request::CreateUser {
            id: request_id,
            username,
            password: &password::digest(password),
        };
        let created: Created = self.execute(&request, None).await?;
        Session::new(username, &created.token)
    }

    /// Opens a session of an account.
    ///
    /// # Errors
    ///
    /// [`ClientError::Application`] with `invalid_credentials`; see the contract for the others.
    pub async fn login(&self, username: &str, password: &str) -> Result<LoggedIn, ClientError> {
        let request = Request::Login {
            id: Uuid::new_v4(),
            username,
            password: &password::digest(password),
        };
        let reply: LoggedInJson = self.execute(&request, None).await?;
        Ok(LoggedIn {
            session: Session::new(username, &reply.token)?,
            unread: reply.unread,
        })
    }

    /// Ends a session, on every node. `Ok` also for a session that is not valid any more, because it
    /// has ended already.
    ///
    /// # Errors
    ///
    /// See the contract.
    pub async fn logout(&self, session: &Session) -> Result<(), ClientError> {
        let request = Request::Logout { id: Uuid::new_v4() };
        let Done {} = self.execute(&request, Some(session)).await?;
        Ok(())
    }

    /// A page of the accounts whose names match a pattern.
    ///
    /// A server reads 10,000 names at a time, so for a pattern that matches few of very many names a
    /// page may be empty. Then the next page is requested, up to 100 times.
    ///
    /// ```no_run
    /// # async fn example(client: chat_client::ChatClient, session: chat_client::Session)
    /// # -> Result<(), chat_client::ClientError> {
    /// let mut query = chat_client::UsersQuery::new("al*");
    /// loop {
    ///     let page = client.users(&session, &query).await?;
    ///     println!("{:?}", page.usernames);
    ///     if page.next.is_none() {
    ///         break;
    ///     }
    ///     query.after = page.next;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See the contract; never [`ClientError::OutcomeUnknown`].
    pub async fn users(
        &self,
        session: &Session,
        query: &UsersQuery,
    ) -> Result<UsersPage, ClientError> {
        let mut query = query.clone();
        for _ in 1..EMPTY_PAGES_MAX {
            let page = self.users_page(session, &query).await?;
            if !page.usernames.is_empty() || page.next.is_none() {
                return Ok(page);
            }
            query.after = page.next;
        }
        self.users_page(session, &query).await
    }

    async fn users_page(
        &self,
        session: &Session,
        query: &UsersQuery,
    ) -> Result<UsersPage, ClientError> {
        let request = Request::ListUsers {
            id: Uuid::new_v4(),
            query,
        };
        self.execute(&request, Some(session)).await
    }

    /// Changes the password of the session's account, and ends its other sessions. The returned session
    /// replaces `session`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Application`] with `invalid_credentials` when `password` is not the current one;
    /// see the contract for the others. After an unknown outcome, log in to find out which password
    /// is valid.
    pub async fn change_password(
        &self,
        session: &Session,
        password: &str,
        new_password: &str,
    ) -> Result<Session, ClientError> {
        let request_id = Uuid::new_v4();
        self.change_password_as(request_id, session, password, new_password)
            .await
    }

    /// Changes the password with a request id that the caller keeps. A repetition with the same id
    /// changes nothing and returns a session.
    ///
    /// # Errors
    ///
    /// The same as of [`Self::change_password`].
    pub async fn change_password_as(
        &self,
        request_id: Uuid,
        session: &Session,
        password: &str,
        new_password: &str,
    ) -> Result<Session, ClientError> {
        let request = Request::ChangePassword {
            id: request_id,
            password: &password::digest(password),
            new_password: &password::digest(new_password),
        };
        let changed: Created = self.execute(&request, Some(session)).await?;
        session.renewed(&changed.token)
    }

    /// Deletes the session's account with its inbox and its sessions. Another account may then use its
    /// name.
    ///
    /// # Errors
    ///
    /// See the contract. After an unknown outcome, a login fails if the account was deleted.
    pub async fn delete_account(&self, session: &Session) -> Result<(), ClientError> {
        let request = Request::DeleteUser {
            id: Uuid::new_v4(),
            username: session.username(),
        };
        let Done {} = self.execute(&request, Some(session)).await?;
        Ok(())
    }
}
