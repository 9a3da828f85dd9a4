//! The JSON of replies: results, and the errors of the chat itself with the exercise's texts.

use chat_proto::storage::v1::Sent;
use chat_store::{Message, MessagePage, UsernamePage};
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
    /// A page of an inbox.
    Messages {
        /// The page.
        page: MessagePage,
        /// How many messages of the whole inbox are unread.
        unread: u64,
    },
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
    body: &'a str,
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
            Self::Messages { page, unread } => json(&MessagesJson {
                status: OK,
                messages: page.messages.iter().map(message_json).collect(),
                unread: *unread,
                next: page.next.map(encode_page_token),
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

fn message_json(message: &Message) -> MessageJson<'_> {
    MessageJson {
        id: &message.id,
        sender: &message.sender,
        sender_since: message.sender_since.0,
        recipient: &message.recipient,
        body: &message.body,
        timestamp: message.timestamp,
        read: message.read,
        commit: CommitJson {
            index: message.commit.index.0,
            term: message.commit.term.0,
        },
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("replies have only values that JSON can represent")
}

#[cfg(test)]
mod tests {
    use chat_proto::storage::v1::Sent;
    use chat_store::{LogIndex, Message, MessagePage, Position, UsernamePage};
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
        let message = Message {
            id: "m".to_owned(),
            sender: "alice".to_owned(),
            sender_since: LogIndex(3),
            recipient: "bob".to_owned(),
            body: "\"hi\"\n".to_owned(),
            timestamp: 1_700_000_000.25,
            read: false,
            commit: Position::new(7, 2),
        };
        let page = MessagePage {
            messages: vec![message],
            next: Some(LogIndex(7)),
        };
        check(
            &Reply::Messages { page, unread: 3 },
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
            &Reply::Messages { page, unread: 0 },
            expect![[r#"{"status":"OK","messages":[],"unread":0,"next":null}"#]],
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
