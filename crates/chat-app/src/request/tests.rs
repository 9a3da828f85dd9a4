//! Well-formed and malformed requests, and the error for each mistake.

mod fields;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::parse::KNOWN_TYPES;
use super::{ChatRequest, REQUEST_BYTES_MAX};

const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

fn digest() -> String {
    "0123456789abcdef".repeat(4)
}

fn credentials() -> Value {
    json!({"id": ID, "request_type": "LOGIN", "username": "alice", "password": digest()})
}

fn send() -> Value {
    let message = json!({"id": ID, "sender": "alice", "recipient": "bob", "body": "hi"});
    json!({"id": ID, "request_type": "SEND_MESSAGE", "message": message})
}

fn inbox() -> Value {
    json!({"id": ID, "request_type": "GET_MESSAGES", "username": "alice"})
}

/// `request` with `value` at the place that `pointer` names.
fn with(mut request: Value, pointer: &str, value: Value) -> String {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    request.pointer_mut(parent).unwrap()[key] = value;
    request.to_string()
}

fn check_rejected(text: &str, expected: Expect) {
    expected.assert_eq(&ChatRequest::parse(text).unwrap_err().to_string());
}

fn check_accepted(text: &str) -> ChatRequest {
    ChatRequest::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn listing() -> Value {
    json!({"id": ID, "request_type": "LIST_USERS", "pattern": "*"})
}

fn read() -> Value {
    json!({"id": ID, "request_type": "READ_MESSAGES", "message_ids": [ID]})
}

fn change_password() -> Value {
    json!({"id": ID, "request_type": "CHANGE_PASSWORD",
           "password": digest(), "new_password": digest()})
}

/// One of each type.
fn all() -> [Value; 11] {
    [
        json!({"id": ID, "request_type": "CREATE_USER", "username": "alice", "password": digest()}),
        credentials(),
        json!({"id": ID, "request_type": "LOGOUT"}),
        inbox(),
        json!({"id": ID, "request_type": "CHECK_MESSAGES", "message_ids": [ID]}),
        listing(),
        send(),
        read(),
        json!({"id": ID, "request_type": "DELETE_MESSAGES", "message_ids": []}),
        json!({"id": ID, "request_type": "DELETE_USER", "username": "alice"}),
        change_password(),
    ]
}

/// Every error has a short text.
#[test]
fn fuzz_request_json() {
    chat_fuzz::fuzz("request_json", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Err(error) = ChatRequest::parse(&text) {
            assert!(error.to_string().len() < 1_000, "{error}");
        }
    });
}

#[test]
fn fuzz_page_token() {
    chat_fuzz::fuzz("page_token", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(index) = super::paging::decode_page_token(&text) {
            assert_eq!(
                super::paging::decode_page_token(&super::encode_page_token(index)),
                Ok(index)
            );
        }
    });
}

#[test]
fn fuzz_list_pattern() {
    chat_fuzz::fuzz("list_pattern", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(pattern) = super::Pattern::parse("pattern", text.clone()) {
            assert!(pattern.0.len() <= 64, "{pattern:?}");
        }
        // Usernames take the same path.
        drop(super::Username::parse("username", text));
    });
}

#[test]
fn well_formed_request_is_parsed() {
    let names: Vec<&str> = all()
        .iter()
        .map(|text| check_accepted(&text.to_string()).name())
        .collect();
    assert_eq!(names.join(", "), KNOWN_TYPES);
}

#[test]
fn every_field_is_required_and_no_other_is_allowed() {
    for request in all() {
        let more = with(request.clone(), "/more", json!(1));
        let error = ChatRequest::parse(&more).unwrap_err();
        assert_eq!(error.field, "request", "{error}");
        assert!(
            error
                .problem
                .starts_with("has an unknown field; known are `id`"),
            "{error}"
        );
        for field in request.as_object().unwrap().keys() {
            let mut less = request.clone();
            less.as_object_mut().unwrap().remove(field);
            let error = ChatRequest::parse(&less.to_string()).unwrap_err();
            let missing = format!("missing field `{field}`");
            assert!(error.problem.starts_with(&missing), "{error}");
            let wrong = with(request.clone(), &format!("/{field}"), json!({"x": [1.5]}));
            let error = ChatRequest::parse(&wrong).unwrap_err();
            assert!(error.field.starts_with(field), "{error}");
        }
    }
}

/// S-A13: a key may be a secret in the wrong place, and as long as the request.
#[test]
fn unknown_key_is_not_repeated_in_the_error() {
    let secret = "s3cret".repeat(20_000);
    let text = [
        with(inbox(), &format!("/{secret}"), json!(1)),
        with(send(), &format!("/message/{secret}"), json!(1)),
        with(send(), "/message/timestamp", json!({ &secret: 1 })).replace(":1}", ":!}"),
        with(inbox(), "/username", json!({ &secret: 1 })),
    ];
    for text in text {
        let error = ChatRequest::parse(&text).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(error.len() < 400, "{error}");
    }
}

#[test]
fn malformed_json_is_rejected() {
    check_rejected(
        "",
        expect!["request: EOF while parsing a value at line 1 column 0"],
    );
    check_rejected(
        "[]",
        expect!["request: must be an object at line 1 column 0"],
    );
    check_rejected(
        "{}",
        expect!["request: missing field `request_type` at line 1 column 2"],
    );
    check_rejected(
        "{\"request_type\":",
        expect!["request_type: EOF while parsing a value at line 1 column 16"],
    );
    check_rejected(
        &format!("{} x", inbox()),
        expect!["request: trailing characters at line 1 column 96"],
    );
    check_rejected(
        &"[".repeat(100_000),
        expect!["request: must be an object at line 1 column 0"],
    );
    check_rejected(
        &" ".repeat(REQUEST_BYTES_MAX + 1),
        expect!["request: must be at most 131072 bytes of JSON"],
    );
    let twice = format!("{{\"username\":\"a\",{}", &inbox().to_string()[1..]);
    check_rejected(
        &twice,
        expect!["request: duplicate field `username` at line 1 column 100"],
    );
}

#[test]
fn deep_json_is_rejected() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let text = inbox().to_string().replace("\"alice\"", &deep);
    check_rejected(
        &text,
        expect!["username: must be a string at line 1 column 86"],
    );
    let text = send()
        .to_string()
        .replace("\"body\"", &format!("\"timestamp\":{deep},\"body\""));
    assert!(
        ChatRequest::parse(&text).is_ok(),
        "what is ignored is skipped without recursion"
    );
}

#[test]
fn unknown_field_or_type_is_rejected() {
    check_rejected(
        &with(inbox(), "/request_type", json!("DROP_TABLES")),
        expect![
            "request_type: must be one of CREATE_USER, LOGIN, LOGOUT, GET_MESSAGES, CHECK_MESSAGES, LIST_USERS, SEND_MESSAGE, READ_MESSAGES, DELETE_MESSAGES, DELETE_USER, CHANGE_PASSWORD"
        ],
    );
    check_rejected(
        &with(inbox(), "/request_type", json!(7)),
        expect!["request_type: must be a string at line 1 column 61"],
    );
    check_rejected(
        &with(inbox(), "/colour", json!("red")),
        expect![
            "request: has an unknown field; known are `id`, `request_type`, `username`, `limit`, `after`, `direction`, `unread_only`, `oldest_first`"
        ],
    );
    check_rejected(
        &with(send(), "/message/colour", json!("red")),
        expect![
            "message: has an unknown field; known are `id`, `sender`, `recipient`, `body`, `timestamp`, `reply_to`, `written_at`"
        ],
    );
    check_rejected(
        &with(credentials(), "/token", json!("x")),
        expect![
            "request: has an unknown field; known are `id`, `request_type`, `username`, `password`"
        ],
    );
    check_rejected(
        &with(send(), "/message", json!("hi")),
        expect!["message: must be an object at line 1 column 59"],
    );
    check_rejected(
        &with(send(), "/message/body", json!(1)),
        expect!["message.body: must be a string at line 1 column 64"],
    );
    check_rejected(
        &with(inbox(), "/unread_only", json!("yes")),
        expect!["unread_only: must be a boolean at line 1 column 94"],
    );
    check_rejected(
        &with(inbox(), "/limit", json!(-1)),
        expect!["limit: must be a whole number at line 1 column 55"],
    );
    check_rejected(
        &with(inbox(), "/username", Value::Null),
        expect!["username: must be a string at line 1 column 90"],
    );
}

#[test]
fn array_instead_of_object_is_rejected() {
    let fields = json!([ID, "LOGIN", "alice", digest()]).to_string();
    check_rejected(
        &fields,
        expect!["request: must be an object at line 1 column 0"],
    );
    check_rejected(
        &with(send(), "/message", json!([ID, "alice", "bob", "hi"])),
        expect!["message: must be an object at line 1 column 55"],
    );
}

#[test]
fn wrong_value_is_not_repeated_in_the_error() {
    for text in [
        with(inbox(), "/limit", json!("s3cret")),
        with(send(), "/message", json!("s3cret, expected s3cret")),
        with(credentials(), "/password", json!("s3cret")),
        with(send(), "/message/body", json!(["s3cret"])),
        with(inbox(), "/after", json!("s3cret")),
    ] {
        let error = ChatRequest::parse(&text).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn debug_output_has_no_secrets() {
    let read = [
        check_accepted(&credentials().to_string()),
        check_accepted(&change_password().to_string()),
        check_accepted(&with(send(), "/message/body", json!("s3cret"))),
    ];
    let shown = format!("{read:?}");
    assert!(
        !shown.contains(&digest()) && !shown.contains("s3cret"),
        "{shown}"
    );
}
