//! What each type of request may do with a token of another account: one row a type, used by the tests
//! of one node and by those of a cluster.

use serde_json::{Value, json};
use uuid::Uuid;

/// What a request does with a valid token of another account than the one that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignToken {
    /// The request needs no token and ignores one.
    Ignored,
    /// The request acts on the account of the token, whatever ids it names.
    OwnAccountOnly,
    /// The request names an account, which is not that of the token.
    Denied,
}

/// The type of a request, and the request of that type that alice would make; the argument is the id
/// of a message in her inbox.
pub(crate) type Row = (&'static str, ForeignToken, fn(Uuid) -> Value);

/// Requests that only read come first: a request that wrongly ended a session would hide the results
/// of the rows after it.
pub(crate) const MATRIX: [Row; 11] = [
    ("CREATE_USER", ForeignToken::Ignored, |_| {
        request(
            "CREATE_USER",
            json!({"username": "alice", "password": digest("a")}),
        )
    }),
    ("LOGIN", ForeignToken::Ignored, |_| {
        request(
            "LOGIN",
            json!({"username": "alice", "password": digest("a")}),
        )
    }),
    ("GET_MESSAGES", ForeignToken::Denied, |_| {
        request("GET_MESSAGES", json!({"username": "alice"}))
    }),
    ("CHECK_MESSAGES", ForeignToken::OwnAccountOnly, |id| {
        request("CHECK_MESSAGES", json!({"message_ids": [id]}))
    }),
    ("LIST_USERS", ForeignToken::OwnAccountOnly, |_| {
        request("LIST_USERS", json!({"pattern": "*"}))
    }),
    ("SEND_MESSAGE", ForeignToken::Denied, |_| {
        let message = json!({"id": Uuid::new_v4(), "sender": "alice", "recipient": "alice",
                             "body": "hi"});
        request("SEND_MESSAGE", json!({"message": message}))
    }),
    ("READ_MESSAGES", ForeignToken::OwnAccountOnly, |id| {
        request("READ_MESSAGES", json!({"message_ids": [id]}))
    }),
    ("DELETE_MESSAGES", ForeignToken::OwnAccountOnly, |id| {
        request("DELETE_MESSAGES", json!({"message_ids": [id]}))
    }),
    ("DELETE_USER", ForeignToken::Denied, |_| {
        request("DELETE_USER", json!({"username": "alice"}))
    }),
    ("CHANGE_PASSWORD", ForeignToken::OwnAccountOnly, |_| {
        request(
            "CHANGE_PASSWORD",
            json!({"password": digest("a"), "new_password": digest("c")}),
        )
    }),
    ("LOGOUT", ForeignToken::OwnAccountOnly, |_| {
        request("LOGOUT", json!({}))
    }),
];

fn request(request_type: &str, mut fields: Value) -> Value {
    fields["id"] = json!(Uuid::new_v4());
    fields["request_type"] = json!(request_type);
    fields
}

fn digest(digit: &str) -> String {
    digit.repeat(64)
}
