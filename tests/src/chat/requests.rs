//! The requests of clients: few names, so that accounts are deleted and created again under the same
//! name, and ended sessions are used as if they were valid.

use std::collections::BTreeMap;

use chat_app::error::RequestError;
use chat_app::reply::Reply;
use chat_app::request::{
    self as app, ChangeRequest, ChatRequest, Digest, MessageId, RequestId, SignInRequest, Username,
};
use chat_app::token::PresentedToken;
use fastrand::Rng;
use uuid::Uuid;

use crate::chat::draft::{Draft, NAMES};
use crate::chat::ledger::Done;
use crate::checker::Violation;
use crate::simulation::service_api::AfterReply;

/// How many of its sessions a client remembers, ended or not.
const SESSIONS_MAX: usize = 6;
/// How many message ids a request names at most.
const IDS_MAX: usize = 5;
/// So many of the newest requests are repeated more often than others.
const RECENT: usize = 12;
/// One request in so many arrives once more, late.
const REPEATED_ONE_IN: u32 = 3;

/// What a client sends with the requests of a session.
pub(super) type Token = PresentedToken;

/// A request, the same in every attempt.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The id that its client has generated.
    pub(super) id: RequestId,
    pub(super) body: RequestBody,
}

/// What is requested.
#[derive(Clone, Debug)]
pub(super) enum RequestBody {
    SignUp(Credentials),
    LogIn(Credentials),
    InSession(Token, InSession),
}

/// A name and its password.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: String,
}

/// What needs a session.
#[derive(Clone, Debug)]
pub(super) enum InSession {
    Send(Draft),
    Read(Vec<String>),
    Delete(Vec<String>),
    LogOut,
    ChangePassword { old: String, new: String },
    DeleteAccount { name: String },
}

/// All clients, and all their requests.
#[derive(Debug, Default)]
pub(super) struct Clients {
    clients: BTreeMap<usize, Client>,
    requests: BTreeMap<u64, Request>,
    /// In the order in which they were begun.
    begun: Vec<u64>,
    /// The passwords that clients have chosen for each name, the newest last.
    passwords: BTreeMap<String, Vec<String>>,
    /// Everything that was sent.
    sent: Vec<Draft>,
}

#[derive(Debug, Default)]
struct Client {
    sessions: Vec<Held>,
    /// The session whose inbox it reads next.
    reads_as: Option<Token>,
    /// The messages of the inbox that it read last.
    seen: Vec<String>,
}

#[derive(Clone, Debug)]
struct Held {
    token: Token,
    owner: Credentials,
    /// The client knows that it has ended, and still uses it now and then.
    ended: bool,
}

impl Request {
    /// The request as a node gets it, and the token that is sent with it.
    pub(super) fn parts(&self) -> (ChatRequest, Option<Token>) {
        let id = self.id;
        let credentials = |credentials: &Credentials| app::Credentials {
            id,
            username: Username(credentials.name.clone()),
            digest: Digest(credentials.password.clone()),
        };
        match &self.body {
            RequestBody::SignUp(user) => {
                let request = SignInRequest::CreateUser(credentials(user));
                (ChatRequest::SignIn(request), None)
            }
            RequestBody::LogIn(user) => {
                let request = SignInRequest::Login(credentials(user));
                (ChatRequest::SignIn(request), None)
            }
            RequestBody::InSession(token, what) => {
                (ChatRequest::Change(what.to_request(id)), Some(*token))
            }
        }
    }
}

impl InSession {
    fn to_request(&self, id: RequestId) -> ChangeRequest {
        let ids = |ids: &[String]| app::MessageIdsRequest {
            id,
            message_ids: ids.iter().cloned().map(MessageId).collect(),
        };
        match self {
            Self::Send(draft) => ChangeRequest::SendMessage(draft.to_request(id)),
            Self::Read(message_ids) => ChangeRequest::ReadMessages(ids(message_ids)),
            Self::Delete(message_ids) => ChangeRequest::DeleteMessages(ids(message_ids)),
            Self::LogOut => ChangeRequest::Logout(id),
            Self::ChangePassword { old, new } => {
                ChangeRequest::ChangePassword(app::ChangePasswordRequest {
                    id,
                    digest: Digest(old.clone()),
                    new_digest: Digest(new.clone()),
                })
            }
            Self::DeleteAccount { name } => ChangeRequest::DeleteUser(app::DeleteUserRequest {
                id,
                username: Username(name.clone()),
            }),
        }
    }

    /// What holds once its reply is that it is done.
    pub(super) fn done(&self) -> Option<Done<'_>> {
        match self {
            Self::Send(_) | Self::ChangePassword { .. } => None,
            Self::Read(ids) => Some(Done::MessagesRead(ids)),
            Self::Delete(ids) => Some(Done::MessagesDeleted(ids)),
            Self::LogOut | Self::DeleteAccount { .. } => Some(Done::SessionEnded),
        }
    }

    /// Whether a retry of the request may use a session that the request itself has ended.
    pub(super) fn ends_its_session(&self) -> bool {
        matches!(
            self,
            Self::LogOut | Self::ChangePassword { .. } | Self::DeleteAccount { .. }
        )
    }
}

impl Clients {
    /// A client begins a request; with `None` no client waits for it.
    pub(super) fn begin(&mut self, client: Option<usize>, operation: u64, random: &mut Rng) {
        let sessions = match client {
            Some(client) => self.clients.entry(client).or_default().sessions.clone(),
            None => self
                .clients
                .values()
                .flat_map(|client| client.sessions.clone())
                .collect(),
        };
        let body = match some_session(&sessions, random) {
            Some(held) if random.u32(0..100) < 84 => {
                let seen = client.and_then(|client| self.clients.get(&client));
                let seen = seen.map(|client| client.seen.clone()).unwrap_or_default();
                RequestBody::InSession(held.token, self.in_session(&held, &seen, operation, random))
            }
            _ => self.without_session(operation, random),
        };
        self.add(operation, body);
    }

    fn add(&mut self, operation: u64, body: RequestBody) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&operation.to_be_bytes());
        let id = RequestId(Uuid::from_bytes(id));
        let request = Request { id, body };
        self.requests.insert(operation, request);
        self.begun.push(operation);
    }

    /// A request that arrives again, if one does.
    pub(super) fn repeat(&mut self, random: &mut Rng) -> Option<u64> {
        if random.u32(0..REPEATED_ONE_IN) > 0 {
            return None;
        }
        let recent = self.begun.len().saturating_sub(RECENT);
        let all = self.begun.iter();
        let candidates: Vec<u64> = match random.u32(0..4) {
            0 => all.copied().collect(),
            1 => all
                .copied()
                .filter(|begun| self.is_sign_up(*begun))
                .collect(),
            _ => all.skip(recent).copied().collect(),
        };
        random.choice(candidates)
    }

    fn is_sign_up(&self, operation: u64) -> bool {
        matches!(self.request(operation).body, RequestBody::SignUp(_))
    }

    pub(super) fn request(&self, operation: u64) -> &Request {
        self.requests
            .get(&operation)
            .expect("every request was begun")
    }

    /// A client chooses an inbox to read.
    pub(super) fn begin_read(&mut self, client: usize, random: &mut Rng) {
        let client = self.clients.entry(client).or_default();
        client.reads_as = some_session(&client.sessions, random).map(|held| held.token);
    }

    /// The session whose inbox a client reads.
    pub(super) fn reads_as(&self, client: usize) -> Option<Token> {
        self.clients.get(&client)?.reads_as
    }

    /// The messages that it read there.
    pub(super) fn note_seen(&mut self, client: usize, ids: Vec<String>) {
        self.clients.entry(client).or_default().seen = ids;
    }

    /// What a reply means to the client that waits for it.
    ///
    /// # Errors
    ///
    /// A reply that no client should get.
    pub(super) fn receive_reply(
        &mut self,
        client: usize,
        operation: u64,
        reply: Result<Reply, RequestError>,
    ) -> Result<AfterReply, Violation> {
        let request = self
            .requests
            .get(&operation)
            .expect("every answered request was begun");
        let client = self.clients.entry(client).or_default();
        let token = match reply {
            Ok(Reply::Created { token } | Reply::PasswordChanged { token }) => Some(token),
            Ok(Reply::LoggedIn { token, .. }) => Some(token),
            Ok(_) => None,
            Err(error) => {
                if error == RequestError::Unauthenticated
                    && let RequestBody::InSession(token, _) = &request.body
                {
                    client.session_ended(token);
                }
                return after_error(&error, request);
            }
        };
        let opened = client.opens(&request.body);
        if let RequestBody::InSession(token, what) = &request.body
            && what.ends_its_session()
        {
            client.session_ended(token);
        }
        if let (Some(owner), Some(token)) = (opened, token) {
            let passwords = self.passwords.entry(owner.name.clone()).or_default();
            passwords.push(owner.password.clone());
            let token = PresentedToken::from_authorization(&format!("Bearer {token}"));
            client.opened(token.expect("the leader makes good tokens"), owner);
        }
        Ok(AfterReply::Done)
    }

    fn without_session(&self, operation: u64, random: &mut Rng) -> RequestBody {
        let name = *random.choice(&NAMES).expect("not empty");
        let known = self.passwords.get(name);
        let password = known.and_then(|known| {
            let back = random.usize(0..3);
            known.iter().rev().nth(back).or(known.last()).cloned()
        });
        match password {
            Some(password) if random.u32(0..100) < 60 => RequestBody::LogIn(Credentials {
                name: name.to_owned(),
                password,
            }),
            _ => sign_up(name, operation),
        }
    }

    fn in_session(
        &mut self,
        held: &Held,
        seen: &[String],
        operation: u64,
        random: &mut Rng,
    ) -> InSession {
        match random.u32(0..100) {
            0..50 => {
                let draft = Draft::new(&self.sent, &held.owner.name, operation, random);
                self.sent.push(draft.clone());
                InSession::Send(draft)
            }
            50..65 => InSession::Read(self.some_ids(seen, random)),
            65..82 => InSession::Delete(self.some_ids(seen, random)),
            82..87 => InSession::LogOut,
            87..93 => InSession::ChangePassword {
                old: held.owner.password.clone(),
                new: format!("word {operation:x}"),
            },
            _ => InSession::DeleteAccount {
                name: held.owner.name.clone(),
            },
        }
    }

    /// Mostly ids that the client has read, and now and then those of other accounts' messages.
    fn some_ids(&self, seen: &[String], random: &mut Rng) -> Vec<String> {
        let one = |random: &mut Rng| {
            let own = random.choice(seen).filter(|_| random.u32(0..5) > 0);
            let any = random.choice(&self.sent).map(|draft| &draft.id);
            own.or(any).cloned()
        };
        let count = random.usize(1..=IDS_MAX);
        (0..count).filter_map(|_| one(random)).collect()
    }
}

impl Client {
    /// Whose session the request opens, if it opens one.
    fn opens(&self, body: &RequestBody) -> Option<Credentials> {
        match body {
            RequestBody::SignUp(owner) | RequestBody::LogIn(owner) => Some(owner.clone()),
            RequestBody::InSession(token, InSession::ChangePassword { new, .. }) => {
                let held = self.sessions.iter().find(|held| held.token == *token)?;
                Some(Credentials {
                    name: held.owner.name.clone(),
                    password: new.clone(),
                })
            }
            RequestBody::InSession(..) => None,
        }
    }

    fn opened(&mut self, token: Token, owner: Credentials) {
        self.sessions.push(Held {
            token,
            owner,
            ended: false,
        });
        if self.sessions.len() > SESSIONS_MAX {
            self.sessions.remove(0);
        }
    }

    /// A reply shows that a session has ended: it is unknown, or the request has ended it.
    fn session_ended(&mut self, token: &Token) {
        let held = self.sessions.iter_mut().find(|held| held.token == *token);
        if let Some(held) = held {
            held.ended = true;
        }
    }
}

/// Whether a client repeats its request after an error.
fn after_error(error: &RequestError, request: &Request) -> Result<AfterReply, Violation> {
    match error {
        RequestError::UsernameTaken
        | RequestError::InvalidCredentials
        | RequestError::RecipientNotFound
        | RequestError::DuplicateMessage
        | RequestError::Unauthenticated
        // Its owner may never delete anything.
        | RequestError::InboxFull
        | RequestError::CopiesFull => Ok(AfterReply::Done),
        RequestError::Overloaded
        | RequestError::TooManyRequests { .. }
        | RequestError::Timeout
        | RequestError::NoLeader
        | RequestError::NotAppended
        | RequestError::Stopping => Ok(AfterReply::Retry { unknown: false }),
        RequestError::OutcomeUnknown => Ok(AfterReply::Retry { unknown: true }),
        RequestError::Invalid(_)
        | RequestError::PermissionDenied { .. }
        | RequestError::TooManyAttempts { .. }
        | RequestError::StorageFull
        | RequestError::Internal => {
            let what = format!("{:?} is answered with {error:?}", request.body);
            Err(Violation::new("chat-reply", what))
        }
    }
}

/// With a password that was never used before.
fn sign_up(name: &str, operation: u64) -> RequestBody {
    RequestBody::SignUp(Credentials {
        name: name.to_owned(),
        password: format!("word {operation:x}"),
    })
}

/// Mostly the newest that may still be good, if there is one.
fn some_session(sessions: &[Held], random: &mut Rng) -> Option<Held> {
    if random.u32(0..4) == 0 {
        return random.choice(sessions).cloned();
    }
    let good = sessions.iter().rev().find(|held| !held.ended);
    good.cloned()
}
