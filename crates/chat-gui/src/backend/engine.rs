//! The backend's own loop: carries out commands one after the other, and looks after who is signed
//! in. What takes long and concerns one account is done by that account's tasks.

mod entering;

use std::sync::Arc;
use std::time::Duration;

use chat_client::ChatClient;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use crate::backend::change_queue::Change;
use crate::backend::command::Command;
use crate::backend::delivery::Order;
use crate::backend::engine::entering::SIGN_IN_DEADLINE;
use crate::backend::event::{BackendEvent, Started};
use crate::backend::follower::Wish;
use crate::backend::local_cluster::{self, Description};
use crate::backend::poller::Poller;
use crate::backend::session::{Internal, SharedStore, SignedIn, device_trouble};
use crate::backend::{ClusterPlace, Options, Outlet, notification, translate};
use crate::local_store::token_file::TokenFile;
use crate::local_store::{AccountKey, LocalStore};
use crate::model::cluster::ChaosDeed;
use crate::model::failure::Failure;
use crate::model::names::Name;

/// How long servers that were just named may take to answer.
const PROBE: Duration = Duration::from_secs(1);
/// How long a deletion that was ordered before the window was closed is tried.
const FINISH: Duration = Duration::from_secs(2);
/// Events of tasks that wait at most; each task has one at most.
const INTERNAL_MAX: usize = 16;

/// The state of the backend.
struct Engine {
    store: SharedStore,
    token_file: Option<TokenFile>,
    local_cluster: ClusterPlace,
    outlet: Outlet,
    servers: Option<Servers>,
    signed_in: Option<SignedIn>,
    /// How often somebody was signed in.
    sessions: u64,
    /// Who was signed in last: what they wrote at the last moment is kept for them.
    last_account: Option<AccountKey>,
    internal: mpsc::Sender<Internal>,
    watched: watch::Sender<bool>,
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

/// Runs until it is told to quit, or the window is gone.
pub(super) async fn run(options: Options, mut commands: mpsc::Receiver<Command>, outlet: Outlet) {
    let (internal, mut internal_events) = mpsc::channel(INTERNAL_MAX);
    let mut engine = Engine::open(options, outlet, internal).await;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None | Some(Command::Quit) => break,
                Some(command) => engine.carry_out(command).await,
            },
            Some(Internal::SessionOver(number)) = internal_events.recv() => {
                engine.session_over(number).await;
            }
        }
    }
    if let Some(signed_in) = engine.signed_in.take() {
        signed_in.finish(FINISH).await;
    }
}

impl Engine {
    async fn open(options: Options, outlet: Outlet, internal: mpsc::Sender<Internal>) -> Self {
        let opened = match &options.folder {
            Some(folder) => LocalStore::open(folder).await,
            None => LocalStore::in_memory().await,
        };
        let mut trouble = None;
        let mut store = match opened {
            Ok(store) => store,
            Err(error) => {
                trouble = Some(device_trouble(&error));
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
            outlet,
            servers: None,
            signed_in: None,
            sessions: 0,
            last_account: None,
            internal,
            watched: watch::Sender::new(false),
            people: None,
        };
        let unusable = engine.use_servers(&addresses).err();
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
        engine.outlet.tell(BackendEvent::Started(started)).await;
        if let Some(why) = trouble {
            engine.outlet.tell(BackendEvent::DeviceTrouble(why)).await;
        }
        if let Some(why) = unusable {
            engine.outlet.tell(BackendEvent::ServersRefused(why)).await;
        }
        if let Some(kept) = kept.filter(|_| resuming) {
            engine.resume(&kept).await;
        }
        engine
    }

    fn use_servers(&mut self, addresses: &[String]) -> Result<(), Failure> {
        if addresses.is_empty() {
            self.servers = None;
            return Ok(());
        }
        let client = ChatClient::new(addresses.iter().cloned())
            .map_err(|error| translate::failure(&error, addresses))?;
        let poller = Poller {
            client: client.clone(),
            local_cluster: self.local_cluster.clone(),
            addresses: addresses.to_vec(),
            outlet: self.outlet.clone(),
            watched: self.watched.subscribe(),
        };
        self.servers = Some(Servers {
            addresses: addresses.to_vec(),
            client,
            poller: tokio::spawn(poller.run()),
        });
        Ok(())
    }

    async fn carry_out(&mut self, command: Command) {
        match command {
            Command::FindLocalCluster => {
                let found = local_cluster::find(&self.local_cluster).await;
                self.outlet.tell(BackendEvent::LocalCluster(found)).await;
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
                self.outlet.tell_trouble(kept).await;
            }
            Command::Notify { title, body } => notification::raise(&title, &body),
            Command::Chaos(deed) => self.chaos(deed),
            Command::WatchCluster(watched) => {
                self.watched.send_replace(watched);
            }
            Command::Quit => {}
            of_account => self.carry_out_for_account(of_account).await,
        }
    }

    async fn carry_out_for_account(&mut self, command: Command) {
        let Some(command) = self.keep_what_was_written(command).await else {
            return;
        };
        let Some(signed_in) = &mut self.signed_in else {
            return;
        };
        let account = signed_in.account.clone();
        // The tasks live as long as the account is signed in; one that has ended has said why.
        match command {
            Command::SaveMuted { peer, muted } => {
                let mut store = self.store.lock().await;
                let kept = store.save_muted(&account, &peer, muted).await;
                drop(store);
                self.outlet.tell_trouble(kept).await;
            }
            Command::ForgetSent(ids) => {
                let kept = self.store.lock().await.forget_sent(&ids).await;
                self.outlet.tell_trouble(kept).await;
            }
            Command::Requeue(id) => order(signed_in, Order::Requeue(id)).await,
            Command::Withdraw(id) => order(signed_in, Order::Withdraw(id)).await,
            Command::TryNow => {
                order(signed_in, Order::TryNow).await;
                wish(signed_in, Wish::TryNow).await;
            }
            Command::LoadOlder => wish(signed_in, Wish::LoadOlder).await,
            Command::Refresh => wish(signed_in, Wish::Refresh).await,
            Command::ReadNext(count) => wish(signed_in, Wish::ReadNext(count)).await,
            Command::MarkRead(ids) => change(signed_in, Change::Read(ids)).await,
            Command::Delete(ids) => change(signed_in, Change::Delete(ids)).await,
            Command::CheckLedger(ids) => signed_in.check_ledger(ids),
            Command::SearchPeople { pattern, after } => self.search_people(pattern, after),
            _ => {}
        }
    }

    /// What a person wrote goes to the disk before anything else is done with it, also when the
    /// session has ended in the same moment.
    async fn keep_what_was_written(&mut self, command: Command) -> Option<Command> {
        let account = self.last_account.clone()?;
        let mut store = self.store.lock().await;
        match command {
            Command::SaveDraft { peer, text } => {
                let kept = store.save_draft(&account, &peer, &text).await;
                drop(store);
                self.outlet.tell_trouble(kept).await;
                None
            }
            Command::Enqueue(message) => {
                let kept = store.enqueue(&account, &message).await;
                drop(store);
                let order = match kept {
                    Ok(()) => Order::Deliver(message),
                    Err(error) => {
                        let (id, why) = (message.id, device_trouble(&error));
                        let refused = BackendEvent::SendRefused { id, why };
                        self.outlet.tell(refused).await;
                        Order::Park(message)
                    }
                };
                if let Some(signed_in) = &self.signed_in {
                    self::order(signed_in, order).await;
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
                self.outlet.tell(BackendEvent::ServersRefused(why)).await;
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
            self.outlet.tell(BackendEvent::ServersRefused(why)).await;
            return;
        }
        if let Err(why) = self.use_servers(&addresses) {
            self.outlet.tell(BackendEvent::ServersRefused(why)).await;
            return;
        }
        let kept = self.store.lock().await.save_addresses(&addresses).await;
        self.outlet.tell_trouble(kept).await;
        let chosen = BackendEvent::ServersChosen(addresses);
        self.outlet.tell(chosen).await;
    }

    fn search_people(&mut self, pattern: String, after: Option<String>) {
        let (Some(signed_in), Some(client)) = (&self.signed_in, self.client(SIGN_IN_DEADLINE))
        else {
            return;
        };
        // The person has typed on: nobody waits for the answer before.
        if let Some(people) = self.people.take() {
            people.abort();
        }
        let (session, outlet) = (signed_in.session.clone(), self.outlet.clone());
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
            outlet.tell(event).await;
        }));
    }

    fn chaos(&self, deed: ChaosDeed) {
        let (place, outlet) = (self.local_cluster.clone(), self.outlet.clone());
        tokio::spawn(async move {
            let answer = match Description::read(&place) {
                Ok(Some(description)) => description.carry_out(deed).await,
                Ok(None) => Err(Failure::Supervisor("there is none any more".to_owned())),
                Err(untrusted) => Err(Failure::Supervisor(untrusted.to_string())),
            };
            let event = match answer {
                Ok(answer) => BackendEvent::ChaosDone { deed, answer },
                Err(why) => BackendEvent::ChaosFailed { deed, why },
            };
            outlet.tell(event).await;
        });
    }

    fn client(&self, deadline: Duration) -> Option<ChatClient> {
        let servers = self.servers.as_ref()?;
        Some(servers.client.clone().with_deadline(deadline))
    }

    fn addresses(&self) -> Vec<String> {
        let servers = self.servers.as_ref();
        servers.map_or_else(Vec::new, |servers| servers.addresses.clone())
    }
}

/// A task that has ended needs no orders; what it left is on the disk.
async fn order(signed_in: &SignedIn, order: Order) {
    let _ended = signed_in.to_delivery.send(order).await;
}

async fn wish(signed_in: &SignedIn, wish: Wish) {
    let _ended = signed_in.to_follower.send(wish).await;
}

async fn change(signed_in: &SignedIn, change: Change) {
    let _ended = signed_in.to_changes.send(change).await;
}
