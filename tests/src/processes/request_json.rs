//! Every type of request as the JSON that goes through `Execute`, each time under a new id.
//!
//! For tests that look at what travels; others use `chat-client`.

use serde_json::{Value, json};
use uuid::Uuid;

/// A new account; `digest` is sent instead of the password.
pub fn create_user(username: &str, digest: &str) -> Value {
    request(
        "CREATE_USER",
        json!({"username": username, "password": digest}),
    )
}

/// A new session.
pub fn login(username: &str, digest: &str) -> Value {
    request("LOGIN", json!({"username": username, "password": digest}))
}

/// The end of the session.
pub fn logout() -> Value {
    request("LOGOUT", json!({}))
}

/// The first page of an inbox.
pub fn get_messages(username: &str) -> Value {
    request("GET_MESSAGES", json!({"username": username}))
}

/// The first page of the names that match.
pub fn list_users(pattern: &str) -> Value {
    request("LIST_USERS", json!({"pattern": pattern}))
}

/// A message to another account.
pub fn send_message(id: Uuid, sender: &str, recipient: &str, body: &str) -> Value {
    let message = json!({"id": id, "sender": sender, "recipient": recipient, "body": body});
    request("SEND_MESSAGE", json!({"message": message}))
}

/// Marks messages of one's own as read.
pub fn read_messages(ids: &[Uuid]) -> Value {
    request("READ_MESSAGES", json!({"message_ids": ids}))
}

/// Deletes messages of one's own.
pub fn delete_messages(ids: &[Uuid]) -> Value {
    request("DELETE_MESSAGES", json!({"message_ids": ids}))
}

/// The end of one's own account.
pub fn delete_user(username: &str) -> Value {
    request("DELETE_USER", json!({"username": username}))
}

/// Another password for one's own account.
pub fn change_password(digest: &str, new_digest: &str) -> Value {
    request(
        "CHANGE_PASSWORD",
        json!({"password": digest, "new_password": new_digest}),
    )
}

/// A request of any type, known or not.
pub fn request(kind: &str, mut fields: Value) -> Value {
    fields["id"] = json!(Uuid::new_v4());
    fields["request_type"] = json!(kind);
    fields
}
