//! The requests about accounts and sessions.

use uuid::Uuid;

use crate::client::ChatClient;
use crate::error::ClientError;
use crate::password;
use crate::requests::{Created, Done, LoggedInJson, Request, UsersPage, UsersQuery};
use crate::session::{LoggedIn, Session};

/// How many pages without names are gone through for one that has some: a million names.
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

    /// Creates an account by a request whose id the caller keeps: repeated under the same id with
    /// the same password, it opens a session of the account that it created, once.
    ///
    /// # Errors
    ///
    /// As [`Self::sign_up`].
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

    /// Ends a session, here and everywhere. One that is not valid any more has ended already: that
    /// is `Ok` too.
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
    /// A server looks at 10,000 names at a time, so a pattern that matches few of very many may give a
    /// page without names: then the next one is asked for, up to 100 times.
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
            let page = self.page_of_users(session, &query).await?;
            if !page.usernames.is_empty() || page.next.is_none() {
                return Ok(page);
            }
            query.after = page.next;
        }
        self.page_of_users(session, &query).await
    }

    async fn page_of_users(
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

    /// Gives the session's account another password, and ends its other sessions. The session that
    /// is returned replaces `session`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Application`] with `invalid_credentials` when `password` is not the present one;
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

    /// Changes the password by a request whose id the caller keeps: repeated under the same id, it
    /// changes nothing more and returns a session.
    ///
    /// # Errors
    ///
    /// As [`Self::change_password`].
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

    /// Deletes the session's account with its inbox and its sessions. Its name is free afterwards.
    ///
    /// # Errors
    ///
    /// See the contract. After an unknown outcome, a login that is refused says that it is gone.
    pub async fn delete_account(&self, session: &Session) -> Result<(), ClientError> {
        let request = Request::DeleteUser {
            id: Uuid::new_v4(),
            username: session.username(),
        };
        let Done {} = self.execute(&request, Some(session)).await?;
        Ok(())
    }
}
