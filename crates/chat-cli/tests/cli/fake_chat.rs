//! A chat of one node in memory: as much of the requests' contract as the commands need, and failures
//! on demand. The behaviour of the servers is tested with the servers.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::watch_event::Event;
use chat_proto::chat::v1::{
    CaughtUp, ExecuteRequest, ExecuteResponse, MessagesDeleted, MessagesRead, NewMessage, Resync,
    WatchEvent, WatchRequest,
};
use chat_proto::cluster::v1::change_members_request::Change;
use chat_proto::cluster::v1::cluster_server::{Cluster, ClusterServer};
use chat_proto::cluster::v1::{
    ChangeMembersRequest, ChangeMembersResponse, Member, MemberKind, StatusRequest, StatusResponse,
    TransferLeadershipRequest, TransferLeadershipResponse,
};
use serde_json::{Value, json};
use test_kit::serve;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Every event of every account, with the account; a cursor is a position in it.
type History = Vec<(String, Event)>;

#[derive(Clone, Default)]
pub(crate) struct FakeChat {
    state: Arc<Mutex<State>>,
    /// Which node it is.
    node_id: u64,
}

#[derive(Default)]
struct State {
    failure: Option<Status>,
    passwords: BTreeMap<String, String>,
    sessions: BTreeMap<String, String>,
    /// Messages as the replies have them, oldest first.
    messages: Vec<Value>,
    history: History,
    tokens: u64,
    /// The cluster that it reports.
    cluster_id: String,
    /// How many requests had a token.
    tokens_seen: u64,
    /// The members that it reports; it makes every change at once.
    members: Vec<Member>,
    /// The next change is refused: an election is under way.
    refuses_change: bool,
    /// How many requests each node had.
    requests: BTreeMap<u64, u64>,
}

impl FakeChat {
    /// Serves at the returned address until the runtime ends.
    pub(crate) async fn start() -> (Self, String) {
        Self::start_as("fake").await
    }

    /// Serves as a node of this cluster.
    pub(crate) async fn start_as(cluster_id: &str) -> (Self, String) {
        let fake = Self::default();
        fake.state.lock().unwrap().cluster_id = cluster_id.to_owned();
        let address = fake.serve_as(1).await;
        (fake, address)
    }

    /// Serves the same chat as another node, too, at the returned address.
    pub(crate) async fn serve_as(&self, node_id: u64) -> String {
        let node = Self {
            node_id,
            ..self.clone()
        };
        let router = Server::builder()
            .add_service(ChatServer::new(node.clone()))
            .add_service(ClusterServer::new(node));
        serve(router).await
    }

    /// The nodes report the nodes at these addresses as the members of their cluster.
    pub(crate) fn report_members(&self, addresses: &[&str]) {
        let member = |(node_id, address): (u64, &&str)| Member {
            node_id,
            client_address: (*address).to_owned(),
            kind: MemberKind::Voter.into(),
            peer_address: (*address).to_owned(),
        };
        let members = (1..).zip(addresses).map(member);
        self.state.lock().unwrap().members = members.collect();
    }

    /// An account that exists sends so many messages to itself.
    pub(crate) fn send_to_oneself(&self, account: &str, messages: u64) {
        let mut state = self.state.lock().unwrap();
        for number in 0..messages {
            let message = json!({
                "id": uuid::Uuid::from_u128(u128::from(number) + 1),
                "sender": account,
                "recipient": account,
                "body": format!("message {number}"),
            });
            state.send(&message, false);
        }
    }

    /// The next change of the members is refused for now.
    pub(crate) fn refuse_next_change(&self) {
        self.state.lock().unwrap().refuses_change = true;
    }

    /// How many requests of any kind a node had.
    pub(crate) fn requests_at(&self, node_id: u64) -> u64 {
        let state = self.state.lock().unwrap();
        state.requests.get(&node_id).copied().unwrap_or(0)
    }

    /// The state, for the next request.
    fn next_request(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap();
        *state.requests.entry(self.node_id).or_default() += 1;
        state
    }

    /// Makes every later request fail with this status.
    pub(crate) fn fail(&self, status: Status) {
        self.state.lock().unwrap().failure = Some(status);
    }

    /// How many requests had a token.
    pub(crate) fn tokens_seen(&self) -> u64 {
        self.state.lock().unwrap().tokens_seen
    }

    /// Ends every session.
    pub(crate) fn end_sessions(&self) {
        self.state.lock().unwrap().sessions.clear();
    }
}

fn error(code: &str, message: &str) -> Value {
    json!({"status": "ERROR", "error_code": code, "error_message": message})
}

fn text(request: &Value, field: &str) -> String {
    request[field].as_str().unwrap().to_owned()
}

fn ids(request: &Value) -> Vec<String> {
    let ids = request["message_ids"].as_array().unwrap();
    ids.iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect()
}

impl State {
    fn answer(&mut self, request: &Value, account: Option<String>) -> Result<Value, Status> {
        match request["request_type"].as_str().unwrap() {
            "CREATE_USER" => return Ok(self.create_user(request)),
            "LOGIN" => return Ok(self.login(request)),
            _ => {}
        }
        let account = account.ok_or_else(|| Status::unauthenticated("a token is needed"))?;
        Ok(match request["request_type"].as_str().unwrap() {
            "LOGOUT" => {
                self.sessions.retain(|_, name| *name != account);
                json!({"status": "OK"})
            }
            "LIST_USERS" => self.list(request),
            "SEND_MESSAGE" => self.send(&request["message"], request["keep_copy"] == true),
            "CHECK_MESSAGES" => self.check(request, &account),
            "GET_MESSAGES" => self.inbox(request, &account),
            "READ_MESSAGES" => {
                let ids = ids(request);
                for message in self.of(&account) {
                    if ids.contains(&text(message, "id")) {
                        message["read"] = json!(true);
                    }
                }
                self.history
                    .push((account, Event::Read(MessagesRead { ids })));
                json!({"status": "OK"})
            }
            "DELETE_MESSAGES" => {
                let ids = ids(request);
                self.messages
                    .retain(|message| !ids.contains(&text(message, "id")));
                let deleted = Event::Deleted(MessagesDeleted { ids });
                self.history.push((account, deleted));
                json!({"status": "OK"})
            }
            "DELETE_USER" => {
                assert_eq!(text(request, "username"), account);
                self.passwords.remove(&account);
                self.sessions.retain(|_, name| *name != account);
                json!({"status": "OK"})
            }
            "CHANGE_PASSWORD" if self.passwords[&account] == text(request, "password") => {
                self.sessions.retain(|_, name| *name != account);
                let new = text(request, "new_password");
                self.passwords.insert(account.clone(), new);
                json!({"status": "OK", "token": self.open(&account)})
            }
            "CHANGE_PASSWORD" => error("invalid_credentials", "Invalid username or password."),
            other => return Err(Status::invalid_argument(other)),
        })
    }

    fn create_user(&mut self, request: &Value) -> Value {
        let name = text(request, "username");
        if self.passwords.contains_key(&name) {
            return error("username_taken", "Username already exists.");
        }
        let password = text(request, "password");
        self.passwords.insert(name.clone(), password);
        json!({"status": "OK", "token": self.open(&name)})
    }

    fn login(&mut self, request: &Value) -> Value {
        let name = text(request, "username");
        if self.passwords.get(&name) != Some(&text(request, "password")) {
            return error("invalid_credentials", "Invalid username or password.");
        }
        let unread = self.unread(&name);
        json!({"status": "OK", "token": self.open(&name), "unread": unread})
    }

    fn open(&mut self, name: &str) -> String {
        self.tokens += 1;
        let token = format!("token-{}", self.tokens);
        self.sessions.insert(token.clone(), name.to_owned());
        token
    }

    fn of<'a>(&'a mut self, account: &'a str) -> impl Iterator<Item = &'a mut Value> {
        let messages = self.messages.iter_mut();
        messages.filter(move |message| message["recipient"] == account)
    }

    fn unread(&mut self, account: &str) -> usize {
        let unread = |message: &&mut Value| message["read"] == false;
        self.of(account).filter(unread).count()
    }

    fn send(&mut self, message: &Value, keep_copy: bool) -> Value {
        let recipient = text(message, "recipient");
        if !self.passwords.contains_key(&recipient) {
            return error("recipient_not_found", "Recipient does not exist.");
        }
        let index = self.messages.len() as u64 + 1;
        let commit = json!({"index": index, "term": 1});
        let timestamp = 1_795_363_445.0;
        let new = NewMessage {
            id: text(message, "id"),
            sender: text(message, "sender"),
            recipient: recipient.clone(),
            body: text(message, "body"),
            timestamp,
            commit_index: index,
            commit_term: 1,
            ..NewMessage::default()
        };
        self.history.push((recipient, Event::Message(new)));
        let mut message = message.clone();
        message["timestamp"] = json!(timestamp);
        message["read"] = json!(false);
        message["commit"] = commit.clone();
        message["copied"] = json!(keep_copy);
        let id = message["id"].clone();
        self.messages.push(message);
        json!({"status": "OK", "id": id, "timestamp": timestamp, "commit": commit})
    }

    /// Supports only ids of messages that the account sent with a copy.
    fn check(&self, request: &Value, account: &str) -> Value {
        let ids = ids(request);
        let own = self
            .messages
            .iter()
            .filter(|message| message["sender"] == account && ids.contains(&text(message, "id")));
        let stored = own.map(|message| {
            json!({"id": message["id"], "direction": "sent", "in_box": message["copied"],
                   "timestamp": message["timestamp"], "commit": message["commit"]})
        });
        json!({"status": "OK", "messages": stored.collect::<Vec<_>>()})
    }

    fn inbox(&mut self, request: &Value, account: &str) -> Value {
        let unread = self.unread(account);
        let unread_only = request["unread_only"] == true;
        let direction = request["direction"].as_str().unwrap_or("received");
        let mut messages = Vec::new();
        for message in &self.messages {
            let mut message = message.clone();
            if direction != "sent" && message["recipient"] == account {
                if !unread_only || message["read"] == false {
                    messages.push(message);
                }
            } else if direction != "received"
                && message["sender"] == account
                && message["copied"] == true
            {
                message["direction"] = json!("sent");
                messages.push(message);
            }
        }
        if request["oldest_first"] != true {
            messages.reverse();
        }
        let (messages, next) = page(messages, request);
        json!({"status": "OK", "messages": messages, "unread": unread, "next": next})
    }

    /// Supports a star at the end, and no other pattern.
    fn list(&mut self, request: &Value) -> Value {
        let pattern = text(request, "pattern");
        let prefix = pattern.trim_end_matches('*');
        let names = self
            .passwords
            .keys()
            .filter(|name| name.starts_with(prefix));
        let (names, next) = page(names.map(|name| json!(name)).collect(), request);
        json!({"status": "OK", "usernames": names, "next": next})
    }
}

/// `after` is the number of items before the page.
fn page(all: Vec<Value>, request: &Value) -> (Vec<Value>, Value) {
    let limit = usize::try_from(request["limit"].as_u64().unwrap()).unwrap();
    let begin = request["after"]
        .as_str()
        .map_or(0, |after| after.parse().unwrap());
    let end = all.len().min(begin + limit);
    let next = if end < all.len() {
        json!(end.to_string())
    } else {
        Value::Null
    };
    (all[begin..end].to_vec(), next)
}

#[tonic::async_trait]
impl Chat for FakeChat {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        let mut state = self.next_request();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let account = account(&mut state, &request);
        let request: Value = serde_json::from_str(&request.into_inner().request).unwrap();
        let response = state.answer(&request, account)?.to_string();
        Ok(Response::new(ExecuteResponse { response }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchEvent, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut state = self.next_request();
        let account = account(&mut state, &request)
            .ok_or_else(|| Status::unauthenticated("a token is needed"))?;
        let after: usize = request.into_inner().cursor.parse().unwrap_or(0);
        let to_event = |(place, (_, event)): (usize, &(String, Event))| {
            Ok(WatchEvent {
                cursor: (place + 1).to_string(),
                event: Some(event.clone()),
            })
        };
        let own = state.history.iter().enumerate().skip(after);
        let mut events: Vec<_> = own
            .filter(|(_, (name, _))| *name == account)
            .map(to_event)
            .collect();
        if after == 0 {
            for event in [Event::CaughtUp(CaughtUp {}), Event::Resync(Resync {})] {
                events.insert(0, to_event((0, &(account.clone(), event))));
            }
        }
        let events = tokio_stream::iter(events).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(events)))
    }
}

fn account<T>(state: &mut State, request: &Request<T>) -> Option<String> {
    let authorization = request.metadata().get("authorization")?.to_str().ok()?;
    state.tokens_seen += 1;
    let token = authorization.strip_prefix("Bearer ")?;
    state.sessions.get(token).cloned()
}

#[tonic::async_trait]
impl Cluster for FakeChat {
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let state = self.next_request();
        Ok(Response::new(StatusResponse {
            node_id: self.node_id,
            cluster_id: state.cluster_id.clone(),
            members: state.members.clone(),
            role: "leader".to_owned(),
            term: 3,
            leader_id: 1,
            commit_index: 9,
            applied_index: 9,
            storage_state: "ok".to_owned(),
            voter_ids: vec![1],
            quorum: 1,
            ..StatusResponse::default()
        }))
    }

    async fn transfer_leadership(
        &self,
        _request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        Ok(Response::new(TransferLeadershipResponse { leader_id: 2 }))
    }

    async fn change_members(
        &self,
        request: Request<ChangeMembersRequest>,
    ) -> Result<Response<ChangeMembersResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        if std::mem::take(&mut state.refuses_change) {
            return Err(Status::aborted("an election is under way"));
        }
        let (node, next) = match request.into_inner().change.expect("a change") {
            Change::Add(member) => (member.node_id, Some(member)),
            Change::Remove(node) => (node, None),
            Change::Update(update) => {
                let member = update.member.expect("a member");
                (member.node_id, Some(member))
            }
        };
        let before = state.members.clone();
        state.members.retain(|member| member.node_id != node);
        state.members.extend(next.map(|member| Member {
            kind: MemberKind::Voter.into(),
            ..member
        }));
        if state.members.is_empty() {
            state.members = before;
            return Err(Status::invalid_argument("node 1 is the only voter"));
        }
        let index = u64::from(before != state.members);
        Ok(Response::new(ChangeMembersResponse { index }))
    }
}
