//! The JSON of requests and replies, and what callers get of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ClientError;

#[derive(Serialize)]
#[serde(tag = "request_type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Request<'a> {
    CreateUser {
        id: Uuid,
        username: &'a str,
        password: &'a str,
    },
    Login {
        id: Uuid,
        username: &'a str,
        password: &'a str,
    },
    SendMessage {
        id: Uuid,
        message: MessageJson<'a>,
    },
    GetMessages {
        id: Uuid,
        username: &'a str,
        #[serde(flatten)]
        query: &'a InboxQuery,
    },
}

#[derive(Serialize)]
pub(crate) struct MessageJson<'a> {
    pub(crate) id: Uuid,
    pub(crate) sender: &'a str,
    pub(crate) recipient: &'a str,
    pub(crate) body: &'a str,
}

/// Which messages of an inbox are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InboxQuery {
    /// The most messages; the server has a default of 100 and a limit of 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Goes on behind an earlier page: its [`InboxPage::next`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Leaves out what was read.
    pub unread_only: bool,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// A message in one's inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its sender's name for it.
    pub id: Uuid,
    /// Who sent it.
    pub sender: String,
    /// Whose it is.
    pub recipient: String,
    /// What it says.
    pub body: String,
    /// Seconds since 1970; grows with the commit.
    pub timestamp: f64,
    /// Whether it was read.
    pub read: bool,
    /// Its place among all changes.
    pub commit: Commit,
}

/// A place in the log, which orders everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Commit {
    /// Counts the entries of the log.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
}

/// A page of an inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboxPage {
    /// In the order that was asked for.
    pub messages: Vec<Message>,
    /// How many messages of the whole inbox are unread.
    pub unread: u64,
    /// Where the next page goes on; `None` on the last one.
    pub next: Option<String>,
}

/// A message that is in its recipient's inbox for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Its id.
    pub id: Uuid,
    /// Seconds since 1970, by the leader's clock.
    pub timestamp: f64,
    /// Its place among all changes.
    pub commit: Commit,
}

#[derive(Deserialize)]
pub(crate) struct Created {
    pub(crate) token: String,
}

#[derive(Deserialize)]
pub(crate) struct LoggedInJson {
    pub(crate) token: String,
    pub(crate) unread: u64,
}

#[derive(Deserialize)]
#[serde(tag = "status")]
enum Reply<T> {
    #[serde(rename = "OK")]
    Carried(T),
    #[serde(rename = "ERROR")]
    Refused {
        error_code: String,
        error_message: String,
    },
}

impl Request<'_> {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("requests hold only what JSON can say")
    }

    /// Whether it is certain that nothing that matters was changed, answered or not. A session that
    /// nobody has the token of does not matter.
    pub(crate) fn only_looks(&self) -> bool {
        matches!(self, Self::Login { .. } | Self::GetMessages { .. })
    }
}

/// Reads a reply to a request whose success looks like `T`.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(reply: &str) -> Result<T, ClientError> {
    match serde_json::from_str(reply) {
        Ok(Reply::Carried(value)) => Ok(value),
        Ok(Reply::Refused {
            error_code,
            error_message,
        }) => Err(ClientError::Refused {
            code: error_code,
            message: error_message,
        }),
        Err(error) => Err(ClientError::NotUnderstood(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use uuid::Uuid;

    use super::{Commit, InboxPage, InboxQuery, MessageJson, Request, Sent, read};
    use crate::error::ClientError;

    fn check(request: &Request<'_>, expected: Expect) {
        expected.assert_eq(&request.to_json());
    }

    #[test]
    fn requests_are_written() {
        let id = Uuid::nil();
        check(
            &Request::CreateUser {
                id,
                username: "a",
                password: "d",
            },
            expect![[
                r#"{"request_type":"CREATE_USER","id":"00000000-0000-0000-0000-000000000000","username":"a","password":"d"}"#
            ]],
        );
        check(
            &Request::Login {
                id,
                username: "a",
                password: "d",
            },
            expect![[
                r#"{"request_type":"LOGIN","id":"00000000-0000-0000-0000-000000000000","username":"a","password":"d"}"#
            ]],
        );
        let message = MessageJson {
            id,
            sender: "a",
            recipient: "b",
            body: "\"hi\"",
        };
        check(
            &Request::SendMessage { id, message },
            expect![[
                r#"{"request_type":"SEND_MESSAGE","id":"00000000-0000-0000-0000-000000000000","message":{"id":"00000000-0000-0000-0000-000000000000","sender":"a","recipient":"b","body":"\"hi\""}}"#
            ]],
        );
        let query = InboxQuery {
            limit: Some(2),
            unread_only: true,
            ..InboxQuery::default()
        };
        check(
            &Request::GetMessages {
                id,
                username: "a",
                query: &query,
            },
            expect![[
                r#"{"request_type":"GET_MESSAGES","id":"00000000-0000-0000-0000-000000000000","username":"a","limit":2,"unread_only":true,"oldest_first":false}"#
            ]],
        );
    }

    #[test]
    fn replies_are_read() {
        let sent: Sent = read(
            r#"{"status":"OK","id":"00000000-0000-0000-0000-000000000000","timestamp":1.5,"commit":{"index":7,"term":2}}"#,
        )
        .unwrap();
        assert_eq!(sent.commit, Commit { index: 7, term: 2 });
        let page: InboxPage =
            read(r#"{"status":"OK","messages":[],"unread":1,"next":null}"#).unwrap();
        assert_eq!(page.unread, 1);
        let refused = read::<Sent>(r#"{"status":"ERROR","error_code":"c","error_message":"m"}"#);
        let expected = ClientError::Refused {
            code: "c".to_owned(),
            message: "m".to_owned(),
        };
        assert_eq!(refused, Err(expected));
        for wrong in ["", "{}", r#"{"status":"OK"}"#, r#"{"status":"MAYBE"}"#] {
            assert!(
                matches!(read::<Sent>(wrong), Err(ClientError::NotUnderstood(_))),
                "{wrong}"
            );
        }
    }
}
