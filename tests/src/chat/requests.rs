//! The requests of clients: few names, so that accounts are deleted and created again under the same
//! name, and ended sessions are used as if they were valid.

use std::collections::BTreeMap;

use bytes::Bytes;
use chat_proto::storage::v1 as storage;
use fastrand::Rng;
use storage::outcome::Result as Outcome;

use crate::simulation::service_api::AfterReply;

const NAMES: [&str; 4] = ["ann", "bob", "cem", "dot"];
/// How many of its sessions a client remembers, ended or not.
const SESSIONS_MAX: usize = 6;
/// How many message ids a request names at most.
const IDS_MAX: usize = 5;
/// One message in so many has an id that was used before.
const SENT_AGAIN_ONE_IN: u32 = 8;
/// So many of the newest requests are repeated more often than others.
const RECENT: usize = 12;
/// One request in so many arrives once more, late.
const REPEATED_ONE_IN: u32 = 3;

/// The answer of a node that rejects a request without the log.
pub(super) const REFUSED: Bytes = Bytes::new();

/// SHA-256 of a token, or here the value in its place.
pub(super) type Token = [u8; 32];

/// A request, the same in every attempt.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The id that its client has generated.
    pub(super) id: Bytes,
    pub(super) body: RequestBody,
    /// It has created its account already, and now verifies the password.
    pub(super) proves: bool,
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
    DeleteAccount,
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

/// A message as its sender's client has it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    sender: String,
    pub(super) id: String,
    pub(super) recipient: String,
    pub(super) body: String,
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

/// The token that the leader generates for an attempt: unique, and the same in every run of a seed.
pub(super) fn token_of(attempt: u64) -> Token {
    let mut token = [0; 32];
    for (place, chunk) in token.chunks_mut(8).enumerate() {
        let word = (attempt + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(place as u32 * 9);
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    token
}

impl InSession {
    /// Whether a retry of the request may use a session that the request itself has ended.
    pub(super) fn ends_its_session(&self) -> bool {
        matches!(
            self,
            Self::LogOut | Self::ChangePassword { .. } | Self::DeleteAccount
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

    /// Begins a sign-up for which no client waits.
    pub(super) fn begin_sign_up(&mut self, operation: u64, random: &mut Rng) {
        let name = *random.choice(&NAMES).expect("not empty");
        self.add(operation, sign_up(name, operation));
    }

    fn add(&mut self, operation: u64, body: RequestBody) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&operation.to_be_bytes());
        let request = Request {
            id: Bytes::copy_from_slice(&id),
            body,
            proves: false,
        };
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

    /// What an answer means to the client that waits for it.
    pub(super) fn receive_reply(
        &mut self,
        client: usize,
        operation: u64,
        attempt: u64,
        outcome: Option<Outcome>,
    ) -> AfterReply {
        let request = self
            .requests
            .get_mut(&operation)
            .expect("every answered request was begun");
        if let Some(Outcome::Error(error)) = &outcome {
            match error.code() {
                storage::ErrorCode::AlreadyCreatedByThisRequest => {
                    request.proves = true;
                    return AfterReply::Retry;
                }
                storage::ErrorCode::AlreadyChangedByThisRequest => return AfterReply::Retry,
                _ => {}
            }
        }
        let client = self.clients.entry(client).or_default();
        let opened = client.opens(&request.body, outcome.as_ref());
        if let RequestBody::InSession(token, what) = &request.body {
            client.update_session(token, what, outcome.as_ref());
        }
        if let Some(owner) = opened {
            let passwords = self.passwords.entry(owner.name.clone()).or_default();
            passwords.push(owner.password.clone());
            client.opened(token_of(attempt), owner);
        }
        AfterReply::Done
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
                let draft = self.draft(&held.owner.name, operation, random);
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
            _ => InSession::DeleteAccount,
        }
    }

    /// A message, now and then under an id that was used before, with the same text or another one.
    fn draft(&self, sender: &str, operation: u64, random: &mut Rng) -> Draft {
        let of_theirs = random.u32(0..4) > 0;
        let may_be_again = |draft: &&Draft| !of_theirs || draft.sender == sender;
        let sent: Vec<&Draft> = self.sent.iter().filter(may_be_again).collect();
        let again = random.u32(0..SENT_AGAIN_ONE_IN) == 0;
        match random.choice(sent).filter(|_| again) {
            Some(old) => {
                let changed = if random.u32(0..3) == 0 { ", or so" } else { "" };
                Draft {
                    sender: sender.to_owned(),
                    body: format!("{}{changed}", old.body),
                    ..old.clone()
                }
            }
            None => Draft {
                sender: sender.to_owned(),
                id: format!("m{operation:x}"),
                recipient: (*random.choice(&NAMES).expect("not empty")).to_owned(),
                body: format!("text {operation:x}"),
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
    /// Whose session the request has opened, if it took effect and opens one.
    fn opens(&self, body: &RequestBody, outcome: Option<&Outcome>) -> Option<Credentials> {
        let took_effect = outcome.is_some_and(|outcome| !matches!(outcome, Outcome::Error(_)));
        match body {
            _ if !took_effect => None,
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

    /// The reply shows that a session has ended: it is unknown, or the request has ended it.
    fn update_session(&mut self, token: &Token, what: &InSession, outcome: Option<&Outcome>) {
        let is_void = match outcome {
            None => true,
            Some(Outcome::Error(error)) => error.code() == storage::ErrorCode::Unauthenticated,
            Some(_) => what.ends_its_session(),
        };
        let held = self.sessions.iter_mut().find(|held| held.token == *token);
        if let Some(held) = held.filter(|_| is_void) {
            held.ended = true;
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
