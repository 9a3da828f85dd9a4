//! Signing in and out of an account, on the servers and on this device.

use std::sync::Arc;
use std::time::Duration;

use chat_client::{ClientError, Session};

use crate::backend::engine::{Engine, FINISH, PROBE, SIGN_IN_DEADLINE};
use crate::backend::session::context::SessionContext;
use crate::backend::session::{SignedIn, Start};
use crate::backend::translate::{self, local_storage_error};
use crate::local_store::token_file::KeptSession;
use crate::local_store::{AccountKey, StoreError};
use crate::model::event::{BackendEvent, SignedOut};
use crate::model::failure::Failure;
use crate::model::names::{Name, Password, RequestId};

/// How long signing out waits for the servers; this device forgets the session anyway.
const SIGN_OUT_DEADLINE: Duration = Duration::from_secs(2);

impl Engine {
    /// Resumes a session without a request: what this device keeps is there at once, and the
    /// servers report soon enough when it is over.
    pub(super) async fn resume(&mut self, kept: &KeptSession) {
        match Session::new(&kept.username, &kept.token) {
            Ok(session) => {
                // Servers that these addresses lead to by now may be others.
                let session = session.of_cluster(&kept.cluster_id);
                let account = AccountKey {
                    cluster_id: kept.cluster_id.clone(),
                    name: Name::new(&kept.username),
                };
                self.open_session(account, session).await;
            }
            Err(error) => {
                let why = translate::failure(&error, &[]);
                self.events.send(BackendEvent::SignInFailed(why)).await;
            }
        }
    }

    pub(super) async fn sign_in(&mut self, name: &Name, password: &Password) {
        let Some(client) = self.client(SIGN_IN_DEADLINE) else {
            return self.no_servers().await;
        };
        match client.login(name, password.reveal()).await {
            Ok(logged_in) => self.open_new_session(logged_in.session).await,
            Err(error) => self.sign_in_failed(&error).await,
        }
    }

    pub(super) async fn sign_up(
        &mut self,
        name: &Name,
        password: &Password,
        request_id: RequestId,
    ) {
        let Some(client) = self.client(SIGN_IN_DEADLINE) else {
            return self.no_servers().await;
        };
        let sign_up = client.sign_up_as(request_id.0, name, password.reveal());
        match sign_up.await {
            Ok(session) => self.open_created_account(session).await,
            Err(error) => self.sign_in_failed(&error).await,
        }
    }

    async fn no_servers(&self) {
        let why = Failure::NoServer {
            addresses: Vec::new(),
        };
        self.events.send(BackendEvent::SignInFailed(why)).await;
    }

    async fn sign_in_failed(&self, error: &ClientError) {
        let addresses = self.addresses();
        let mut why = translate::failure(error, &addresses);
        if let (Failure::OtherVersion { theirs }, Some(servers)) = (&mut why, &self.servers) {
            let reports = servers.client.status(PROBE).await;
            let mut versions = reports.into_iter().filter_map(|report| report.status.ok());
            *theirs = versions.next().map(|status| status.version);
        }
        self.events.send(BackendEvent::SignInFailed(why)).await;
    }

    /// Data that is stored under the name of a new account belongs to a deleted account, and is
    /// erased.
    async fn open_created_account(&mut self, session: Session) {
        let account = match self.account_of(&session).await {
            Ok(account) => account,
            Err(why) => return self.events.send(BackendEvent::SignInFailed(why)).await,
        };
        let erased = self.store.lock().await.erase(&account).await;
        self.events.report_storage_error(erased).await;
        self.store_and_open_session(account, session).await;
    }

    /// Whose data the session is for, and which nodes may be sent its token: their
    /// cluster ids are fetched before any of them gets it, and must agree.
    async fn account_of(&self, session: &Session) -> Result<AccountKey, Failure> {
        let client = self.client(SIGN_IN_DEADLINE);
        let client = client.ok_or(Failure::OutcomeUnknown)?;
        let cluster_id = client.cluster_id().await.map_err(|error| match error {
            ClientError::InvalidInput(what) => Failure::DifferentClusters(what),
            _ => Failure::OutcomeUnknown,
        })?;
        Ok(AccountKey {
            cluster_id,
            name: Name::new(session.username()),
        })
    }

    async fn open_new_session(&mut self, session: Session) {
        match self.account_of(&session).await {
            Ok(account) => self.store_and_open_session(account, session).await,
            Err(why) => self.events.send(BackendEvent::SignInFailed(why)).await,
        }
    }

    async fn store_and_open_session(&mut self, account: AccountKey, session: Session) {
        let session = session.of_cluster(&account.cluster_id);
        self.keep_session(&account, &session).await;
        let name = Some(&account.name);
        let kept = self.store.lock().await.save_remembered(name).await;
        self.events.report_storage_error(kept).await;
        let servers = self.servers.as_ref();
        let named = servers.map_or_else(Vec::new, |servers| servers.addresses.clone());
        let kept = self.store.lock().await.save_addresses(&named).await;
        self.events.report_storage_error(kept).await;
        // Of an account that had this name before, if anything.
        let forgotten = self.store.lock().await.forget_received(&account).await;
        self.events.report_storage_error(forgotten).await;
        self.open_session(account, session).await;
    }

    async fn keep_session(&self, account: &AccountKey, session: &Session) {
        let Some(file) = &self.token_file else { return };
        let kept = file.write(&KeptSession {
            username: session.username().to_owned(),
            token: session.token().to_owned(),
            cluster_id: account.cluster_id.clone(),
        });
        self.events.report_storage_error(kept).await;
    }

    /// The account is signed in from here on.
    async fn open_session(&mut self, account: AccountKey, session: Session) {
        let stored = self.store.lock().await.account(&account).await;
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                let why = local_storage_error(&error);
                self.events.send(BackendEvent::SignInFailed(why)).await;
                return;
            }
        };
        self.events.send(BackendEvent::SignedIn(stored)).await;
        self.start_tasks(account, session).await;
    }

    /// The tasks begin with what the disk has.
    async fn start_tasks(&mut self, account: AccountKey, session: Session) {
        let start = match self.start(&account).await {
            Ok(start) => start,
            Err(error) => {
                let why = local_storage_error(&error);
                self.events
                    .send(BackendEvent::LocalStorageFailed(why))
                    .await;
                Start::default()
            }
        };
        let Some(servers) = &self.servers else { return };
        let context = SessionContext {
            client: servers.client.clone(),
            account: account.clone(),
            session,
            contact: self.contact.clone(),
            store: Arc::clone(&self.store),
            events: self.events.clone(),
            task_events: self.task_events.clone(),
        };
        self.sessions += 1;
        self.last_account = Some(account);
        self.signed_in = Some(SignedIn::start(self.sessions, &context, start));
    }

    async fn start(&self, account: &AccountKey) -> Result<Start, StoreError> {
        let mut store = self.store.lock().await;
        Ok(Start {
            outbox: store.outbox(account).await?,
            copy: store.copy_position(account).await?,
        })
    }

    /// A task reports that its session was closed; a report about an earlier session is ignored.
    pub(super) async fn session_closed(&mut self, number: u64) {
        let current = self.signed_in.as_ref().map(|signed_in| signed_in.number);
        if current == Some(number) {
            self.close_session(SignedOut::SessionEnded).await;
        }
    }

    /// No account is signed in from here on.
    async fn close_session(&mut self, why: SignedOut) {
        let Some(signed_in) = self.signed_in.take() else {
            return;
        };
        if let Some(people) = self.people.take() {
            people.abort();
        }
        let account = signed_in.account.clone();
        signed_in.stop().await;
        // Another person may use this device next. What was written here stays for its writer.
        let forgotten = self.store.lock().await.forget_received(&account).await;
        self.events.report_storage_error(forgotten).await;
        if let Some(file) = &self.token_file {
            self.events.report_storage_error(file.clear()).await;
        }
        self.events.send(BackendEvent::SignedOut(why)).await;
    }

    pub(super) async fn sign_out(&mut self) {
        let (Some(signed_in), Some(client)) = (&self.signed_in, self.client(SIGN_OUT_DEADLINE))
        else {
            return;
        };
        signed_in.flush(SIGN_OUT_DEADLINE).await;
        // This device forgets the token in any case; without servers the session ends by its age.
        if let Err(error) = client.logout(&signed_in.session).await {
            tracing::info!(%error, "the servers did not receive the sign-out");
        }
        self.close_session(SignedOut::Wanted).await;
    }

    pub(super) async fn delete_account(&mut self) {
        let (Some(signed_in), Some(client)) = (&self.signed_in, self.client(SIGN_IN_DEADLINE))
        else {
            return;
        };
        let account = signed_in.account.clone();
        match client.delete_account(&signed_in.session).await {
            Ok(()) => {}
            // Perhaps because an earlier try has deleted the account.
            Err(error) if translate::is_session_over(&error) => {
                return self.close_session(SignedOut::SessionEnded).await;
            }
            Err(error) => {
                let why = translate::failure(&error, &self.addresses());
                self.events.send(BackendEvent::AccountFailed(why)).await;
                return;
            }
        }
        let erased = self.store.lock().await.erase(&account).await;
        self.events.report_storage_error(erased).await;
        let kept = self.store.lock().await.save_remembered(None).await;
        self.events.report_storage_error(kept).await;
        self.last_account = None;
        self.close_session(SignedOut::AccountDeleted).await;
    }

    pub(super) async fn change_password(
        &mut self,
        password: &Password,
        new_password: &Password,
        request_id: RequestId,
    ) {
        let (Some(signed_in), Some(client)) = (&self.signed_in, self.client(SIGN_IN_DEADLINE))
        else {
            return;
        };
        let (old, new) = (password.reveal(), new_password.reveal());
        let change = client.change_password_as(request_id.0, &signed_in.session, old, new);
        let session = match change.await {
            Ok(session) => session,
            Err(error) => {
                let why = translate::failure(&error, &self.addresses());
                self.events.send(BackendEvent::AccountFailed(why)).await;
                return;
            }
        };
        let account = signed_in.account.clone();
        self.keep_session(&account, &session).await;
        self.events.send(BackendEvent::PasswordChanged).await;
        // The tasks go on with the new session, from what the disk has.
        if let Some(signed_in) = self.signed_in.take() {
            signed_in.finish(FINISH).await;
            self.start_tasks(account, session).await;
        }
    }
}
