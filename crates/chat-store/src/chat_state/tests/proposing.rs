//! What the leader accepts from a node, and the entry that it makes of it.

use bytes::Bytes;
use chat_proto::storage::v1 as proto;
use prost::Message as _;
use proto::command::Operation;

use crate::chat_state::command::{Command, ProposedCommand, ProposedOperation};
use crate::chat_state::error::InvalidCommand;

fn session() -> Option<proto::Session> {
    Some(proto::Session {
        token_hash: vec![1; 32].into(),
        username: "alice".to_owned(),
        credential: Some(proto::Credential {
            incarnation: 2,
            version: 3,
        }),
    })
}

fn send_message() -> Operation {
    Operation::SendMessage(proto::SendMessage {
        token_hash: vec![1; 32].into(),
        credential: session().unwrap().credential,
        message_id: "m".to_owned(),
        sender: "alice".to_owned(),
        recipient: "bob".to_owned(),
        body: "hi".to_owned(),
    })
}

fn command(operation: Operation) -> proto::Command {
    proto::Command {
        request_id: vec![7; 16].into(),
        time: 0.0,
        operation: Some(operation),
    }
}

fn decode(command: &proto::Command) -> Result<ProposedCommand, InvalidCommand> {
    ProposedCommand::decode(command.encode_to_vec().into())
}

fn ids() -> Vec<String> {
    vec!["m".to_owned(), "n".to_owned()]
}

/// Every operation that a node may propose.
fn proposable() -> [Operation; 7] {
    let session = session();
    let Operation::SendMessage(message) = send_message() else {
        unreachable!("it sends a message");
    };
    [
        send_message(),
        Operation::SendWithOptions(proto::SendWithOptions {
            message: Some(message),
            keep_copy: true,
            reply_to: "l".to_owned(),
            written_at: 1.5,
        }),
        Operation::ReadMessages(proto::ReadMessages {
            session: session.clone(),
            message_ids: ids(),
        }),
        Operation::DeleteMessages(proto::DeleteMessages {
            session: session.clone(),
            message_ids: ids(),
        }),
        Operation::Logout(proto::Logout {
            session: session.clone(),
        }),
        Operation::DeleteUser(proto::DeleteUser {
            session: session.clone(),
        }),
        Operation::RenewSession(proto::RenewSession { session }),
    ]
}

#[test]
fn entry_is_the_proposed_command_with_its_time() {
    for operation in proposable() {
        let sent = command(operation);
        let proposed = decode(&sent).unwrap();
        assert_eq!(proposed.account(), "alice");
        assert_eq!(proposed.request_id(), [7; 16]);
        let entry = proposed.into_entry(1_700_000_000.25);
        let applied = proto::Command::decode(entry.clone()).unwrap();
        let expected = proto::Command {
            time: 1_700_000_000.25,
            ..sent
        };
        assert_eq!(applied, expected);
        assert!(Command::decode(&entry).is_ok());
    }
}

#[test]
fn proposed_message_is_compared_with_a_stored_one() {
    let proposed = decode(&command(send_message())).unwrap();
    let ProposedOperation::SendMessage(message) = proposed.operation() else {
        panic!("{proposed:?}");
    };
    assert_eq!((message.id.as_str(), message.body.as_str()), ("m", "hi"));
    let stored = proposed.message().unwrap();
    assert_eq!((stored.sender, stored.recipient), ("alice", "bob"));
    assert_eq!(stored.sender_since.0, 2);
    assert!(!format!("{proposed:?}").contains("hi"), "{proposed:?}");
}

#[test]
fn operation_of_the_leader_is_rejected() {
    let lifetime = Some(proto::SessionLifetime {
        idle_seconds: 1,
        absolute_seconds: 1,
    });
    let token_hash = Bytes::from(vec![1; 32]);
    for operation in [
        Operation::CreateUser(proto::CreateUser {
            token_hash: token_hash.clone(),
            lifetime,
            ..proto::CreateUser::default()
        }),
        Operation::CreateSession(proto::CreateSession {
            token_hash: token_hash.clone(),
            credential: session().unwrap().credential,
            lifetime,
            ..proto::CreateSession::default()
        }),
        Operation::ChangePassword(proto::ChangePassword {
            session: session(),
            token_hash,
            lifetime,
            ..proto::ChangePassword::default()
        }),
    ] {
        let rejected = decode(&command(operation)).unwrap_err();
        assert!(
            matches!(rejected, InvalidCommand::OnlyForLeader),
            "{rejected}"
        );
    }
}

// R16: what applying needs is there, and the leader alone decides the time.
#[test]
fn incomplete_command_or_one_with_a_time_is_rejected() {
    for time in [1.0, -0.0, f64::NAN] {
        let timed = proto::Command {
            time,
            ..command(send_message())
        };
        assert_eq!(decode(&timed).is_ok(), time == 0.0, "{time}");
    }
    let short_id = proto::Command {
        request_id: vec![7; 15].into(),
        ..command(send_message())
    };
    let empty = proto::Command {
        operation: None,
        ..command(send_message())
    };
    let logout = command(Operation::Logout(proto::Logout { session: None }));
    for wrong in [short_id, empty, logout] {
        assert!(decode(&wrong).is_err(), "{wrong:?}");
    }
}

// R16: a field of a newer node would be applied by some nodes and ignored by others.
#[test]
fn command_with_an_unknown_field_is_rejected() {
    for operation in proposable() {
        let bytes = command(operation).encode_to_vec();
        let added: [&[u8]; 5] = [
            // An unknown number, as a varint, a fixed64 and a string.
            &[0xf8, 0x07, 0x01],
            &[0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0xfa, 0x07, 0x01, b'x'],
            // The time, explicitly 0.
            &[0x11, 0, 0, 0, 0, 0, 0, 0, 0],
            // The request id, a second time.
            &[0x0a, 16, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
        ];
        for added in added {
            let rejected = ProposedCommand::decode([&bytes, added].concat().into());
            assert!(
                matches!(rejected, Err(InvalidCommand::UnknownField)),
                "{added:?}: {rejected:?}"
            );
        }
    }
    // Within the message of an operation.
    let mut sent = command(send_message()).encode_to_vec();
    let inner = sent.iter().position(|byte| *byte == 0x2a).unwrap();
    sent[inner + 1] += 3;
    sent.extend([0xf8, 0x07, 0x01]);
    let rejected = ProposedCommand::decode(sent.into());
    assert!(
        matches!(rejected, Err(InvalidCommand::UnknownField)),
        "{rejected:?}"
    );
}

#[test]
fn fuzz_proposed_command() {
    chat_fuzz::fuzz("proposed_command", |bytes| {
        let bytes = Bytes::copy_from_slice(bytes);
        if let Ok(proposed) = ProposedCommand::decode(bytes) {
            let entry = proposed.into_entry(1.0);
            assert!(Command::decode(&entry).is_ok());
        }
    });
}
