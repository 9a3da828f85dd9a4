//! The JSON of requests, and what their replies must be.

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
        .to_owned()
}

pub(crate) fn sign_up(id: Uuid, name: &str, digit: &str) -> Value {
    json!({"id": id, "request_type": "CREATE_USER", "username": name, "password": digit.repeat(64)})
}

/// A request of this type, with the fields in `rest`.
pub(crate) fn request(kind: &str, rest: Value) -> Value {
    let mut request = json!({"id": Uuid::new_v4(), "request_type": kind});
    for (key, value) in rest.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

pub(crate) fn login(name: &str, digit: &str) -> Value {
    let id = Uuid::new_v4();
    json!({"id": id, "request_type": "LOGIN", "username": name, "password": digit.repeat(64)})
}

pub(crate) fn send(message_id: Uuid, sender: &str, recipient: &str, body: &str) -> Value {
    let message = json!({"id": message_id, "sender": sender, "recipient": recipient, "body": body});
    json!({"id": Uuid::new_v4(), "request_type": "SEND_MESSAGE", "message": message})
}

pub(crate) fn inbox(name: &str, rest: Value) -> Value {
    let mut inbox = request("GET_MESSAGES", rest);
    inbox["username"] = json!(name);
    inbox
}

#[track_caller]
pub(crate) fn check_error(reply: &Value, code: &str, message: &str) {
    let expected = json!({"status": "ERROR", "error_code": code, "error_message": message});
    assert_eq!(*reply, expected);
}

#[track_caller]
pub(crate) fn check_status(reply: Result<Value, Status>, code: Code, reason: &str) {
    let status = reply.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (code, reason),
        "{status}"
    );
}
