//! Random commands: messages, retries, logins and rejected requests of a few accounts.

use bytes::Bytes;
use chat_proto::storage::v1 as proto;
use chat_proto::storage::v1::command::Operation;
use prost::Message as _;

/// How many accounts there are. Commit `n + 1` must create account `n`.
pub(crate) const USERS: u8 = 20;

/// Longer than the histories last.
const LIFETIME: proto::SessionLifetime = proto::SessionLifetime {
    idle_seconds: 100_000,
    absolute_seconds: 1_000_000,
};

/// Creates the account with that number, from 1.
pub(crate) fn create_user(number: u8) -> Bytes {
    let user = proto::CreateUser {
        username: username(number),
        password_hash: format!("$hash {number}"),
        token_hash: token_hash(number),
        lifetime: Some(LIFETIME),
    };
    encode(number, Operation::CreateUser(user))
}

/// A random request of a client. `serial` makes its message's id a new one, usually.
pub(crate) fn random_command(random: &mut fastrand::Rng, serial: usize) -> Bytes {
    // Two more than exist: their tokens and names are unknown.
    let number = random.u8(1..=USERS + 2);
    let recipient = random.u8(1..=USERS + 1);
    let credential = proto::Credential {
        incarnation: u64::from(number) + 1,
        version: u64::from(number) + 1,
    };
    match random.u8(0..10) {
        0 => create_user(number.min(USERS)),
        1 => {
            let session = proto::CreateSession {
                username: username(number),
                credential: Some(credential),
                token_hash: token_hash(random.u8(100..)),
                lifetime: Some(LIFETIME),
                password_hash: String::new(),
            };
            encode(number, Operation::CreateSession(session))
        }
        choice => {
            let id = if choice == 2 {
                random.usize(..=serial)
            } else {
                serial
            };
            let message = proto::SendMessage {
                token_hash: token_hash(number),
                credential: Some(credential),
                message_id: format!("{id:08x}-0000-4000-8000-000000000000"),
                sender: username(number),
                recipient: username(recipient),
                body: "x".repeat(random.usize(1..200)),
            };
            encode(random.u8(..), Operation::SendMessage(message))
        }
    }
}

fn encode(request: u8, operation: Operation) -> Bytes {
    let command = proto::Command {
        request_id: vec![request; 16].into(),
        time: 1_000_000.0 + f64::from(request),
        operation: Some(operation),
    };
    command.encode_to_vec().into()
}

fn username(number: u8) -> String {
    format!("user-{number}")
}

fn token_hash(number: u8) -> Bytes {
    vec![number; 32].into()
}
