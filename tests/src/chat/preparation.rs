//! What a server does with a request before it is a command, imitated: the node that the client reached
//! finds the session (`execute` of `chat-server`), the leader adds what only it may decide
//! (`preparation` of `chat-server`).

use bytes::Bytes;
use chat_consensus::LogIndex;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_store::{Account, Session};
use forwarded::request::Operation;
use prost::Message as _;
use storage::command::Operation as Command;

use crate::chat::ledger::{Ledger, refused};
use crate::chat::reading::{begin_read, last_at_or_below};
use crate::chat::requests::{
    Credentials, InSession, REFUSED, Request, RequestBody, Token, token_of,
};
use crate::chat::tables::OpenTables;
use crate::checker::Violation;
use crate::simulation::service_api::{Forwarded, Step};

/// Longer than any run.
const LIFETIME: storage::SessionLifetime = storage::SessionLifetime {
    idle_seconds: 100_000,
    absolute_seconds: 1_000_000,
};

/// On the node that the client reached.
pub(super) async fn enter(
    open: &mut OpenTables,
    ledger: &mut Ledger,
    request: &Request,
    confirmed: Option<LogIndex>,
) -> Result<Step, Violation> {
    let operation = match &request.body {
        RequestBody::SignUp(credentials) if !request.proves => {
            Operation::CreateUser(forwarded::CreateUser {
                username: credentials.name.clone(),
                digest: credentials.password.clone(),
            })
        }
        RequestBody::SignUp(Credentials { name, password })
        | RequestBody::LogIn(Credentials { name, password }) => {
            Operation::Login(forwarded::Login {
                username: name.clone(),
                digest: password.clone(),
            })
        }
        RequestBody::InSession(token, what) => {
            let session = match (open.sessions.get(token), confirmed) {
                (Some(known), _) => Some(known.clone()),
                (None, None) => return Ok(Step::Confirm),
                (None, Some(index)) => {
                    find_session(open, ledger, (token, what, &request.id), index).await?
                }
            };
            match session {
                Some(session) => in_session(&session, token, what.clone()),
                None => return Ok(Step::Answer(REFUSED)),
            }
        }
    };
    let request = forwarded::Request {
        request_id: request.id.to_vec(),
        operation: Some(operation),
        // Passwords are not hashed here.
        origin: None,
    };
    Ok(Step::Propose(request.encode_to_vec().into()))
}

async fn find_session(
    open: &mut OpenTables,
    ledger: &mut Ledger,
    (token, what, id): (&Token, &InSession, &Bytes),
    index: LogIndex,
) -> Result<Option<Session>, Violation> {
    let mut snapshot = begin_read(open, index).await?;
    let seen = last_at_or_below(&mut snapshot).await?;
    let session = snapshot.session(token).await;
    let session = session.map_err(|error| refused(&error))?;
    ledger.session_seen(token, seen, session.as_ref())?;
    if let Some(session) = &session {
        open.sessions.insert(*token, session.clone());
    } else if what.ends_its_session() {
        let id = id.as_ref().try_into().expect("ids have one length");
        let ended = snapshot.session_ended_by(token, id).await;
        return ended.map_err(|error| refused(&error));
    }
    Ok(session)
}

fn in_session(session: &Session, token: &Token, what: InSession) -> Operation {
    let claimed = storage::Session {
        token_hash: Bytes::copy_from_slice(token),
        username: session.username.clone(),
        credential: Some(storage::Credential {
            incarnation: session.credential.incarnation.0,
            version: session.credential.version.0,
        }),
    };
    match what {
        InSession::Send(draft) => Operation::SendMessage(forwarded::SendMessage {
            token_hash: claimed.token_hash.to_vec(),
            credential: claimed.credential,
            message_id: draft.id,
            sender: claimed.username,
            recipient: draft.recipient,
            body: draft.body,
        }),
        InSession::Read(message_ids) => Operation::ReadMessages(storage::ReadMessages {
            session: Some(claimed),
            message_ids,
        }),
        InSession::Delete(message_ids) => Operation::DeleteMessages(storage::DeleteMessages {
            session: Some(claimed),
            message_ids,
        }),
        InSession::LogOut => Operation::Logout(storage::Logout {
            session: Some(claimed),
        }),
        InSession::ChangePassword { old, new } => {
            Operation::ChangePassword(forwarded::ChangePassword {
                session: Some(claimed),
                digest: old,
                new_digest: new,
            })
        }
        InSession::DeleteAccount => Operation::DeleteUser(storage::DeleteUser {
            session: Some(claimed),
        }),
    }
}

/// On the leader.
pub(super) async fn prepare(
    open: &mut OpenTables,
    forwarded: &Forwarded,
    confirmed: Option<LogIndex>,
) -> Result<Step, Violation> {
    let request = forwarded::Request::decode(forwarded.request.clone());
    let request = request.map_err(|error| refused(&error))?;
    let id = request.request_id;
    let token_hash = Bytes::copy_from_slice(&token_of(forwarded.attempt));
    let command = match request.operation.expect("it was made here") {
        Operation::SendMessage(message) => Command::SendMessage(storage::SendMessage {
            token_hash: message.token_hash.into(),
            credential: message.credential,
            message_id: message.message_id,
            sender: message.sender,
            recipient: message.recipient,
            body: message.body,
        }),
        Operation::CreateUser(user) => Command::CreateUser(storage::CreateUser {
            username: user.username,
            password_hash: user.digest,
            token_hash,
            lifetime: Some(LIFETIME),
        }),
        Operation::Login(login) => {
            let Some(index) = confirmed else {
                return Ok(Step::Confirm);
            };
            let account = account(open, &login.username, index).await?;
            match verify_password(account, &login.digest) {
                Some(account) => open_session(account, token_hash),
                None => return Ok(Step::Answer(REFUSED)),
            }
        }
        Operation::ChangePassword(change) => {
            let Some(index) = confirmed else {
                return Ok(Step::Confirm);
            };
            let session = change.session.as_ref().expect("it was made here");
            let account = account(open, &session.username, index).await?;
            match change_password(account, &id, change, token_hash) {
                Some(command) => command,
                None => return Ok(Step::Answer(REFUSED)),
            }
        }
        Operation::Logout(logout) => Command::Logout(logout),
        Operation::ReadMessages(read) => Command::ReadMessages(read),
        Operation::DeleteMessages(delete) => Command::DeleteMessages(delete),
        Operation::DeleteUser(delete) => Command::DeleteUser(delete),
        Operation::RenewSession(renew) => Command::RenewSession(renew),
    };
    let command = storage::Command {
        request_id: id.into(),
        time: forwarded.time,
        operation: Some(command),
    };
    Ok(Step::Propose(command.encode_to_vec().into()))
}

/// The current account, by a linearizable read (R14).
async fn account(
    open: &mut OpenTables,
    username: &str,
    index: LogIndex,
) -> Result<Option<Account>, Violation> {
    let mut snapshot = begin_read(open, index).await?;
    let account = snapshot.account(username).await;
    account.map_err(|error| refused(&error))
}

fn verify_password(account: Option<Account>, digest: &str) -> Option<Account> {
    account.filter(|account| account.password_hash == digest)
}

fn open_session(account: Account, token_hash: Bytes) -> Command {
    Command::CreateSession(storage::CreateSession {
        username: account.username,
        credential: Some(storage::Credential {
            incarnation: account.credential.incarnation.0,
            version: account.credential.version.0,
        }),
        token_hash,
        lifetime: Some(LIFETIME),
        password_hash: String::new(),
    })
}

/// A request that has already changed the password verifies the new one (R15).
fn change_password(
    account: Option<Account>,
    id: &[u8],
    change: forwarded::ChangePassword,
    token_hash: Bytes,
) -> Option<Command> {
    let checked = change.session.as_ref()?.credential?;
    let account =
        account.filter(|account| account.credential.incarnation.0 == checked.incarnation)?;
    if account
        .password_request
        .is_some_and(|request| request == *id)
    {
        let account = verify_password(Some(account), &change.new_digest)?;
        return Some(open_session(account, token_hash));
    }
    if account.credential.version.0 != checked.version {
        return None;
    }
    verify_password(Some(account), &change.digest)?;
    Some(Command::ChangePassword(storage::ChangePassword {
        session: change.session,
        password_hash: change.new_digest,
        token_hash,
        lifetime: Some(LIFETIME),
    }))
}
