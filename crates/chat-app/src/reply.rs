//! The JSON of replies: results, and the errors of the chat itself with the exercise's texts.

use chat_proto::storage::v1::Sent;
use chat_store::{Direction, LocatedMessage, Message, MessagePage, Position, UsernamePage};
use serde::Serialize;

use crate::error::{RequestError, Shown};
use crate::request::encode_page_token;

/// The reply to a request that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// An account was created; its first session's token.
    Created {
        /// For `authorization`.
        token: String,
    },
    /// A session was opened.
    LoggedIn {
        /// For `authorization`.
        token: String,
        /// How many messages are unread.
        unread: u64,
    },
    /// A message is in its recipient's inbox.
    Sent(Sent),
    /// A page of an account's messages.
    Messages {
        /// The page.
        page: MessagePage,
        /// How many messages of the whole inbox are unread.
        unread: u64,
        /// Whether each message is shown with its direction.
        names_direction: bool,
    },
    /// Where messages are in the log.
    Located(Vec<LocatedMessage>),
    /// A page of names.
    Users(UsernamePage),
    /// The password was changed; the token of the new session.
    PasswordChanged {
        /// For `authorization`.
        token: String,
    },
    /// The request was carried out.
    Done,
}

#[derive(Serialize)]
struct TokenJson<'a> {
    status: &'static str,
    token: &'a str,
}

#[derive(Serialize)]
struct LoggedInJson<'a> {
    status: &'static str,
    token: &'a str,
    unread: u64,
}

#[derive(Serialize)]
struct SentJson<'a> {
    status: &'static str,
    id: &'a str,
    timestamp: f64,
    commit: CommitJson,
}

#[derive(Serialize)]
struct MessagesJson<'a> {
    status: &'static str,
    messages: Vec<MessageJson<'a>>,
    unread: u64,
    next: Option<String>,
}

#[derive(Serialize)]
struct LocatedJson<'a> {
    status: &'static str,
    messages: Vec<LocatedMessageJson<'a>>,
}

#[derive(Serialize)]
struct LocatedMessageJson<'a> {
    id: &'a str,
    direction: &'static str,
    in_box: bool,
    timestamp: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_at: Option<f64>,
    commit: CommitJson,
}

#[derive(Serialize)]
struct UsersJson<'a> {
    status: &'static str,
    usernames: &'a [String],
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct DoneJson {
    status: &'static str,
}

#[derive(Serialize)]
struct MessageJson<'a> {
    id: &'a str,
    sender: &'a str,
    sender_since: u64,
    recipient: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_since: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_at: Option<f64>,
    timestamp: f64,
    read: bool,
    commit: CommitJson,
}

#[derive(Serialize)]
struct CommitJson {
    index: u64,
    term: u64,
}

#[derive(Serialize)]
struct ErrorJson {
    status: &'static str,
    error_code: &'static str,
    error_message: String,
}

const OK: &str = "OK";

impl RequestError {
    /// The text of the reply, for an error that is one: the others are gRPC statuses.
    pub fn to_json(&self) -> Option<String> {
        match self.shown() {
            Shown::Reply { error_code } => Some(json(&ErrorJson {
                status: "ERROR",
                error_code,
                error_message: self.to_string(),
            })),
            Shown::Status { .. } => None,
        }
    }
}

impl Reply {
    /// The reply's text.
    pub fn to_json(&self) -> String {
        match self {
            Self::Created { token } | Self::PasswordChanged { token } => {
                json(&TokenJson { status: OK, token })
            }
            Self::LoggedIn { token, unread } => json(&LoggedInJson {
                status: OK,
                token,
                unread: *unread,
            }),
            Self::Sent(sent) => json(&SentJson {
                status: OK,
                id: &sent.id,
                timestamp: sent.timestamp,
                commit: CommitJson {
                    index: sent.commit_index,
                    term: sent.commit_term,
                },
            }),
            Self::Messages {
                page,
                unread,
                names_direction,
            } => json(&MessagesJson {
                status: OK,
                messages: page
                    .messages
                    .iter()
                    .map(|message| message_json(message, *names_direction))
                    .collect(),
                unread: *unread,
                next: page.next.map(encode_page_token),
            }),
            Self::Located(messages) => json(&LocatedJson {
                status: OK,
                messages: messages.iter().map(located_json).collect(),
            }),
            Self::Users(page) => json(&UsersJson {
                status: OK,
                usernames: &page.usernames,
                next: page.next.as_deref(),
            }),
            Self::Done => json(&DoneJson { status: OK }),
        }
    }
}

fn message_json(message: &Message, names_direction: bool) -> MessageJson<'_> {
    MessageJson {
        id: &message.id,
        sender: &message.sender,
        sender_since: message.sender_since.0,
        recipient: &message.recipient,
        recipient_since: match message.direction {
            Direction::Received => None,
            Direction::Sent { recipient_since } => Some(recipient_since.0),
        },
        direction: names_direction.then(|| direction_text(message.direction)),
        body: &message.body,
        reply_to: message.reply_to.as_deref(),
        written_at: message.written_at,
        timestamp: message.timestamp,
        read: message.read,
        commit: commit_json(message.commit),
    }
}

fn located_json(message: &LocatedMessage) -> LocatedMessageJson<'_> {
    LocatedMessageJson {
        id: &message.id,
        direction: direction_text(message.direction),
        in_box: message.in_box,
        timestamp: message.timestamp,
        written_at: message.written_at,
        commit: commit_json(message.commit),
    }
}

fn direction_text(direction: Direction) -> &'static str {
    match direction {
        Direction::Received => "received",
        Direction::Sent { .. } => "sent",
    }
}

fn commit_json(commit: Position) -> CommitJson {
    CommitJson {
        index: commit.index.0,
        term: commit.term.0,
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("replies have only values that JSON can represent")
}

#[cfg(test)]
mod tests {
    use chat_proto::storage::v1::Sent;
    use chat_store::{
        Direction, LocatedMessage, LogIndex, Message, MessagePage, Position, UsernamePage,
    };
    use expect_test::{Expect, expect};

    use super::Reply;
    use crate::error::RequestError;

    fn check(reply: &Reply, expected: Expect) {
        expected.assert_eq(&reply.to_json());
    }

    #[test]
    fn replies_have_the_exercises_shape() {
        let token = "t".to_owned();
        check(
            &Reply::Created {
                token: token.clone(),
            },
            expect![[r#"{"status":"OK","token":"t"}"#]],
        );
        check(
            &Reply::LoggedIn { token, unread: 2 },
            expect![[r#"{"status":"OK","token":"t","unread":2}"#]],
        );
        let sent = Sent {
            id: "m".to_owned(),
            timestamp: 1_700_000_000.25,
            commit_index: 7,
            commit_term: 2,
        };
        check(
            &Reply::Sent(sent),
            expect![[
                r#"{"status":"OK","id":"m","timestamp":1700000000.25,"commit":{"index":7,"term":2}}"#
            ]],
        );
        let message = message();
        let page = MessagePage {
            messages: vec![message],
            next: Some(LogIndex(7)),
        };
        check(
            &Reply::Messages {
                page,
                unread: 3,
                names_direction: false,
            },
            expect![[
                r#"{"status":"OK","messages":[{"id":"m","sender":"alice","sender_since":3,"recipient":"bob","body":"\"hi\"\n","timestamp":1700000000.25,"read":false,"commit":{"index":7,"term":2}}],"unread":3,"next":"7"}"#
            ]],
        );
        let page = UsernamePage {
            usernames: vec!["alice".to_owned(), "zo\u{eb}".to_owned()],
            next: Some("zo\u{eb}".to_owned()),
        };
        check(
            &Reply::Users(page),
            expect![[r#"{"status":"OK","usernames":["alice","zoë"],"next":"zoë"}"#]],
        );
        check(&Reply::Done, expect![[r#"{"status":"OK"}"#]]);
        let page = MessagePage::default();
        check(
            &Reply::Messages {
                page,
                unread: 0,
                names_direction: true,
            },
            expect![[r#"{"status":"OK","messages":[],"unread":0,"next":null}"#]],
        );
    }

    fn message() -> Message {
        Message {
            id: "m".to_owned(),
            sender: "alice".to_owned(),
            sender_since: LogIndex(3),
            recipient: "bob".to_owned(),
            direction: Direction::Received,
            body: "\"hi\"\n".to_owned(),
            reply_to: None,
            written_at: None,
            timestamp: 1_700_000_000.25,
            read: false,
            commit: Position::new(7, 2),
        }
    }

    #[test]
    fn copies_and_places_of_messages_have_their_own_fields() {
        let copy = MessagePage {
            messages: vec![Message {
                reply_to: Some("l".to_owned()),
                written_at: Some(1_700_000_000.0),
                ..message().to_copy(LogIndex(4))
            }],
            next: None,
        };
        check(
            &Reply::Messages {
                page: copy,
                unread: 0,
                names_direction: true,
            },
            expect![[
                r#"{"status":"OK","messages":[{"id":"m","sender":"alice","sender_since":3,"recipient":"bob","recipient_since":4,"direction":"sent","body":"\"hi\"\n","reply_to":"l","written_at":1700000000.0,"timestamp":1700000000.25,"read":true,"commit":{"index":7,"term":2}}],"unread":0,"next":null}"#
            ]],
        );
        let located = LocatedMessage {
            id: "m".to_owned(),
            direction: Direction::Received,
            in_box: false,
            timestamp: 1_700_000_000.25,
            written_at: None,
            commit: Position::new(7, 2),
        };
        check(
            &Reply::Located(vec![located]),
            expect![[
                r#"{"status":"OK","messages":[{"id":"m","direction":"received","in_box":false,"timestamp":1700000000.25,"commit":{"index":7,"term":2}}]}"#
            ]],
        );
    }

    #[test]
    fn errors_have_the_exercises_texts() {
        let texts = [
            RequestError::UsernameTaken,
            RequestError::InvalidCredentials,
            RequestError::RecipientNotFound,
            RequestError::DuplicateMessage,
            RequestError::Overloaded,
        ]
        .map(|error| error.to_json().unwrap_or_default());
        expect![[r#"
            {"status":"ERROR","error_code":"username_taken","error_message":"Username already exists."}
            {"status":"ERROR","error_code":"invalid_credentials","error_message":"Invalid username or password."}
            {"status":"ERROR","error_code":"recipient_not_found","error_message":"Recipient does not exist."}
            {"status":"ERROR","error_code":"duplicate_message","error_message":"Another message has this id already."}
        "#]]
        .assert_eq(&texts.join("\n"));
    }
}
