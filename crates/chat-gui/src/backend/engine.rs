//! The loop of the backend: handles commands one after the other, and owns the session. What takes
//! long and concerns one account is done by that account's tasks.

mod auth;

use std::sync::Arc;
use std::time::Duration;

use chat_client::ChatClient;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use crate::backend::change_queue::ChangeRequest;
use crate::backend::contact::Contact;
use crate::backend::event_sender::EventSender;
use crate::backend::inbox_sync::SyncRequest;
use crate::backend::local_cluster;
use crate::backend::local_members::MembersTask;
use crate::backend::options::{ClusterPlace, Options};
use crate::backend::outbox_sender::OutboxRequest;
use crate::backend::poller::Poller;
use crate::backend::session::SignedIn;
use crate::backend::session::context::{SharedStore, TaskEvent};
use crate::backend::translate::local_storage_error;
use crate::backend::{notification, translate};
use crate::local_store::pending_changes::ChangeKind;
use crate::local_store::token_file::TokenFile;
use crate::local_store::{AccountKey, LocalStore};
use crate::model::chaos::FaultAction;
use crate::model::command::Command;
use crate::model::event::{BackendEvent, Started};
use crate::model::failure::Failure;
use crate::model::names::Name;

/// How long a person waits in front of the sign-in page.
const SIGN_IN_DEADLINE: Duration = Duration::from_secs(5);
/// How long servers that were just named may take to answer.
const PROBE: Duration = Duration::from_secs(1);
/// How long a deletion that was requested before the window was closed is retried.
const FINISH: Duration = Duration::from_secs(2);
/// Events of tasks in the queue at most; each task sends one at most.
const TASK_EVENTS_MAX: usize = 16;

/// The state of the backend.
struct Engine {
    store: SharedStore,
    token_file: Option<TokenFile>,
    local_cluster: ClusterPlace,
    events: EventSender,
    servers: Option<Servers>,
    signed_in: Option<SignedIn>,
    /// The number of sessions so far.
    sessions: u64,
    /// The last account: what was written at the last moment is stored for it.
    last_account: Option<AccountKey>,
    task_events: mpsc::Sender<TaskEvent>,
    watched: watch::Sender<bool>,
    contact: Contact,
    people: Option<JoinHandle<()>>,
}

/// The servers in use.
struct Servers {
    addresses: Vec<String>,
    client: ChatClient,
    poller: JoinHandle<()>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

/// Runs until it receives [`Command::Quit`], or the window is gone.
pub(super) async fn run(
    options: Options,
    mut commands: mpsc::Receiver<Command>,
    events: EventSender,
) {
    let (task_events, mut task_event_queue) = mpsc::channel(TASK_EVENTS_MAX);
    let mut engine = Engine::open(options, events, task_events).await;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None | Some(Command::Quit) => break,
                Some(command) => engine.handle(command).await,
            },
            Some(TaskEvent::SessionClosed(number)) = task_event_queue.recv() => {
                engine.session_closed(number).await;
            }
        }
    }
    if let Some(signed_in) = engine.signed_in.take() {
        signed_in.finish(FINISH).await;
    }
}

impl Engine {
    async fn open(
        options: Options,
        events: EventSender,
        task_events: mpsc::Sender<TaskEvent>,
    ) -> Self {
        let opened = match &options.folder {
            Some(folder) => LocalStore::open(folder).await,
            None => LocalStore::in_memory().await,
        };
        let mut trouble = None;
        let mut store = match opened {
            Ok(store) => store,
            Err(error) => {
                trouble = Some(local_storage_error(&error));
                let substitute = LocalStore::in_memory().await;
                substitute.expect("SQLite can hold a few empty tables in memory")
            }
        };
        let settings = store.settings().await.unwrap_or_default();
        // A folder that another window uses has that window's session, which is not ours.
        let token_file = options
            .folder
            .filter(|_| trouble.is_none())
            .map(|folder| TokenFile::in_folder(&folder));
        let kept = token_file.as_ref().and_then(TokenFile::read);
        let addresses = if options.addresses.is_empty() {
            settings.addresses
        } else {
            options.addresses
        };
        let mut engine = Self {
            store: Arc::new(Mutex::new(store)),
            token_file,
            local_cluster: options.local_cluster,
            events,
            servers: None,
            signed_in: None,
            sessions: 0,
            last_account: None,
            task_events,
            watched: watch::Sender::new(false),
            contact: Contact::new(),
            people: None,
        };
        let cluster_id = kept.as_ref().map(|kept| kept.cluster_id.as_str());
        let unusable = engine.use_servers(&addresses, cluster_id).await.err();
        let resuming = kept.is_some() && engine.servers.is_some();
        let started = Started {
            preferences: settings.preferences,
            addresses: if unusable.is_some() {
                Vec::new()
            } else {
                addresses
            },
            remembered: settings.remembered,
            resuming,
        };
        engine.events.send(BackendEvent::Started(started)).await;
        if let Some(why) = trouble {
            engine
                .events
                .send(BackendEvent::LocalStorageFailed(why))
                .await;
        }
        if let Some(why) = unusable {
            engine.events.send(BackendEvent::ServersRefused(why)).await;
        }
        if let Some(kept) = kept.filter(|_| resuming) {
            engine.resume(&kept).await;
        }
        engine
    }

    /// Uses the servers at these addresses, and those that were found from them earlier: of
    /// `cluster_id` only, if there is a session.
    async fn use_servers(
        &mut self,
        addresses: &[String],
        cluster_id: Option<&str>,
    ) -> Result<(), Failure> {
        if addresses.is_empty() {
            self.servers = None;
            return Ok(());
        }
        let client = ChatClient::new(addresses.iter().cloned())
            .map_err(|error| translate::failure(&error, addresses))?
            .finding_members();
        let kept = self
            .store
            .lock()
            .await
            .members_of(addresses, cluster_id)
            .await;
        match kept {
            Ok(Some((cluster_id, members))) => client.add_members(&cluster_id, &members),
            Ok(None) => {}
            Err(error) => self.events.report_storage_error(Err(error)).await,
        }
        let poller = Poller {
            client: client.clone(),
            local_cluster: self.local_cluster.clone(),
            events: self.events.clone(),
            watched: self.watched.subscribe(),
            store: Arc::clone(&self.store),
            contact: self.contact.clone(),
        };
        self.servers = Some(Servers {
            addresses: addresses.to_vec(),
            client,
            poller: tokio::spawn(poller.run()),
        });
        Ok(())
    }

    async fn handle(&mut self, command: Command) {
        match command {
            Command::FindLocalCluster => {
                let found = local_cluster::find(&self.local_cluster).await;
                self.events.send(BackendEvent::LocalCluster(found)).await;
            }
            Command::UseServers(addresses) => self.try_servers(addresses).await,
            Command::SignIn { name, password } => self.sign_in(&name, &password).await,
            Command::SignUp {
                name,
                password,
                request_id,
            } => self.sign_up(&name, &password, request_id).await,
            Command::SignOut => self.sign_out().await,
            Command::DeleteAccount => self.delete_account().await,
            Command::ChangePassword {
                password,
                new_password,
                request_id,
            } => {
                self.change_password(&password, &new_password, request_id)
                    .await;
            }
            Command::SavePreferences(preferences) => {
                let kept = self.store.lock().await.save_preferences(&preferences).await;
                self.events.report_storage_error(kept).await;
            }
            Command::Notify {
                peer,
                id,
                title,
                body,
            } => {
                let opened = BackendEvent::NotificationOpened { peer, id };
                notification::raise(title, body, self.events.clone(), opened);
            }
            Command::Chaos(action) => self.chaos(action),
            Command::ChangeMembers(action) => {
                let task = MembersTask::new(self.local_cluster.clone(), self.events.clone());
                tokio::spawn(task.run(action));
            }
            Command::WatchCluster(watched) => {
                self.watched.send_replace(watched);
            }
            Command::Quit => {}
            of_account => self.handle_for_account(of_account).await,
        }
    }

    async fn handle_for_account(&mut self, command: Command) {
        let Some(command) = self.persist_user_input(command).await else {
            return;
        };
        let Some(signed_in) = &mut self.signed_in else {
            return;
        };
        let account = signed_in.account.clone();
        // The tasks live as long as the account is signed in; one that has ended has reported why.
        match command {
            Command::SaveMuted { peer, muted } => {
                let mut store = self.store.lock().await;
                let kept = store.save_muted(&account, &peer, muted).await;
                drop(store);
                self.events.report_storage_error(kept).await;
            }
            Command::SaveMarks(marks) => {
                let kept = self.store.lock().await.save_marks(&account, &marks).await;
                self.events.report_storage_error(kept).await;
            }
            Command::Requeue(id) => send_to_outbox(signed_in, OutboxRequest::Requeue(id)).await,
            Command::Withdraw(id) => send_to_outbox(signed_in, OutboxRequest::Withdraw(id)).await,
            Command::TryNow => {
                send_to_outbox(signed_in, OutboxRequest::TryNow).await;
                send_to_sync(signed_in, SyncRequest::TryNow).await;
            }
            Command::LoadOlder => send_to_sync(signed_in, SyncRequest::LoadOlder).await,
            Command::Refresh => send_to_sync(signed_in, SyncRequest::Refresh).await,
            Command::ReadNext(count) => send_to_sync(signed_in, SyncRequest::ReadNext(count)).await,
            Command::MarkRead(ids) => {
                let mut store = self.store.lock().await;
                let kept = store.request_change(&account, ChangeKind::Read, &ids).await;
                drop(store);
                self.events.report_storage_error(kept).await;
                send_to_changes(signed_in, ChangeRequest::Read(ids)).await;
            }
            Command::Delete(ids) => {
                let mut store = self.store.lock().await;
                let kept = store
                    .request_change(&account, ChangeKind::Delete, &ids)
                    .await;
                drop(store);
                self.events.report_storage_error(kept).await;
                send_to_changes(signed_in, ChangeRequest::Delete(ids)).await;
            }
            Command::CheckLedger { ids, scope } => signed_in.check_ledger(ids, scope),
            Command::SearchPeople { pattern, after } => self.search_people(pattern, after),
            _ => {}
        }
    }

    /// What a person wrote goes to the disk before anything else is done with it, also when the
    /// session has ended in the same moment.
    async fn persist_user_input(&mut self, command: Command) -> Option<Command> {
        let account = self.last_account.clone()?;
        let mut store = self.store.lock().await;
        match command {
            Command::SaveDraft { peer, draft } => {
                let kept = store.save_draft(&account, &peer, &draft).await;
                drop(store);
                self.events.report_storage_error(kept).await;
                None
            }
            Command::Enqueue(message) => {
                let kept = store.enqueue(&account, &message).await;
                drop(store);
                let request = match kept {
                    Ok(()) => OutboxRequest::Send(*message),
                    Err(error) => {
                        let (id, why) = (message.id, local_storage_error(&error));
                        let refused = BackendEvent::SendRefused { id, why };
                        self.events.send(refused).await;
                        OutboxRequest::Hold(*message)
                    }
                };
                if let Some(signed_in) = &self.signed_in {
                    send_to_outbox(signed_in, request).await;
                }
                None
            }
            other => Some(other),
        }
    }

    async fn try_servers(&mut self, addresses: Vec<String>) {
        let client = match ChatClient::new(addresses.iter().cloned()) {
            Ok(client) => client,
            Err(error) => {
                let why = translate::failure(&error, &addresses);
                self.events.send(BackendEvent::ServersRefused(why)).await;
                return;
            }
        };
        let reports = client.status(PROBE).await;
        if !reports.iter().any(|report| report.status.is_ok()) {
            let why = if reports.iter().any(|report| report.is_foreign) {
                Failure::OtherVersion { theirs: None }
            } else {
                Failure::NoServer { addresses }
            };
            self.events.send(BackendEvent::ServersRefused(why)).await;
            return;
        }
        if let Err(why) = self.use_servers(&addresses, None).await {
            self.events.send(BackendEvent::ServersRefused(why)).await;
            return;
        }
        let kept = self.store.lock().await.save_addresses(&addresses).await;
        self.events.report_storage_error(kept).await;
        let chosen = BackendEvent::ServersChosen(addresses);
        self.events.send(chosen).await;
    }

    fn search_people(&mut self, pattern: String, after: Option<String>) {
        let (Some(signed_in), Some(client)) = (&self.signed_in, self.client(SIGN_IN_DEADLINE))
        else {
            return;
        };
        // The person has typed on: the answer to the earlier search is no longer of use.
        if let Some(people) = self.people.take() {
            people.abort();
        }
        let (session, events) = (signed_in.session.clone(), self.events.clone());
        let addresses = self.addresses();
        self.people = Some(tokio::spawn(async move {
            let mut query = chat_client::UsersQuery::new(pattern.clone());
            let continued = after.is_some();
            query.after = after;
            let event = match client.users(&session, &query).await {
                Ok(page) => BackendEvent::People {
                    pattern,
                    names: page.usernames.into_iter().map(Name::new).collect(),
                    next: page.next,
                    continued,
                },
                Err(error) => BackendEvent::PeopleFailed {
                    pattern,
                    why: translate::failure(&error, &addresses),
                },
            };
            events.send(event).await;
        }));
    }

    fn chaos(&self, action: FaultAction) {
        let (place, events) = (self.local_cluster.clone(), self.events.clone());
        tokio::spawn(async move {
            let answer = match local_cluster::read(&place) {
                Ok(Some(cluster)) => local_cluster::perform(&cluster, action).await,
                Ok(None) => Err(Failure::Supervisor("it no longer exists".to_owned())),
                Err(untrusted) => Err(Failure::Supervisor(untrusted.to_string())),
            };
            let event = match answer {
                Ok(answer) => BackendEvent::FaultActionCompleted { action, answer },
                Err(why) => BackendEvent::FaultActionFailed { action, why },
            };
            events.send(event).await;
        });
    }

    fn client(&self, deadline: Duration) -> Option<ChatClient> {
        let servers = self.servers.as_ref()?;
        Some(servers.client.clone().with_deadline(deadline))
    }

    fn addresses(&self) -> Vec<String> {
        let servers = self.servers.as_ref();
        servers.map_or_else(Vec::new, |servers| servers.client.addresses())
    }
}

/// A task that has ended needs no requests; what it left is on the disk.
async fn send_to_outbox(signed_in: &SignedIn, request: OutboxRequest) {
    let _ended = signed_in.outbox_requests.send(request).await;
}

async fn send_to_sync(signed_in: &SignedIn, request: SyncRequest) {
    let _ended = signed_in.sync_requests.send(request).await;
}

async fn send_to_changes(signed_in: &SignedIn, request: ChangeRequest) {
    let _ended = signed_in.change_requests.send(request).await;
}
