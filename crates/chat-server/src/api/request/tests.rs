//! Every limit and every malformed request, and what is said about it.

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

fn check_refusal(text: &str, expected: Expect) {
    expected.assert_eq(&ChatRequest::parse(text).unwrap_err().to_string());
}

fn check_accepted(text: &str) -> ChatRequest {
    ChatRequest::parse(text).unwrap_or_else(|refusal| panic!("{refusal}"))
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
fn all() -> [Value; 10] {
    [
        json!({"id": ID, "request_type": "CREATE_USER", "username": "alice", "password": digest()}),
        credentials(),
        json!({"id": ID, "request_type": "LOGOUT"}),
        inbox(),
        listing(),
        send(),
        read(),
        json!({"id": ID, "request_type": "DELETE_MESSAGES", "message_ids": []}),
        json!({"id": ID, "request_type": "DELETE_USER", "username": "alice"}),
        change_password(),
    ]
}

/// What is refused is explained in a few words.
#[test]
fn fuzz_request_json() {
    chat_fuzz::fuzz("request_json", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Err(refusal) = ChatRequest::parse(&text) {
            assert!(refusal.to_string().len() < 1_000, "{refusal}");
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
        // Names go the same way.
        drop(super::Username::parse("username", text));
    });
}

#[test]
fn well_formed_requests_are_read() {
    let names: Vec<&str> = all()
        .iter()
        .map(|text| check_accepted(&text.to_string()).name())
        .collect();
    assert_eq!(names.join(", "), KNOWN_TYPES);
}

#[test]
fn every_field_is_known_and_needed() {
    for request in all() {
        let more = with(request.clone(), "/more", json!(1));
        let refusal = ChatRequest::parse(&more).unwrap_err();
        assert_eq!(refusal.field, "request", "{refusal}");
        assert!(
            refusal
                .problem
                .starts_with("has an unknown field; known are `id`"),
            "{refusal}"
        );
        for field in request.as_object().unwrap().keys() {
            let mut less = request.clone();
            less.as_object_mut().unwrap().remove(field);
            let refusal = ChatRequest::parse(&less.to_string()).unwrap_err();
            let missing = format!("missing field `{field}`");
            assert!(refusal.problem.starts_with(&missing), "{refusal}");
            let wrong = with(request.clone(), &format!("/{field}"), json!({"x": [1.5]}));
            let refusal = ChatRequest::parse(&wrong).unwrap_err();
            assert!(refusal.field.starts_with(field), "{refusal}");
        }
    }
}

/// S-A13: a key may be a secret in the wrong place, and as long as the request.
#[test]
fn unknown_keys_are_not_repeated() {
    let secret = "s3cret".repeat(20_000);
    let text = [
        with(inbox(), &format!("/{secret}"), json!(1)),
        with(send(), &format!("/message/{secret}"), json!(1)),
        with(send(), "/message/timestamp", json!({ &secret: 1 })).replace(":1}", ":!}"),
        with(inbox(), "/username", json!({ &secret: 1 })),
    ];
    for text in text {
        let refusal = ChatRequest::parse(&text).unwrap_err().to_string();
        assert!(!refusal.contains("s3cret"), "{refusal}");
        assert!(refusal.len() < 400, "{refusal}");
    }
}

/// S-A3: JSON writes each as six characters, so that a page would be six times as long.
#[test]
fn bodies_hold_no_control_characters() {
    let refused = (0..0x20).map(char::from).filter(|c| !"\t\n\r".contains(*c));
    for character in refused {
        let body = format!("a{character}b");
        check_refusal(
            &with(send(), "/message/body", json!(body)),
            expect!["message.body: must not contain control characters but tabs and line ends"],
        );
    }
    check_accepted(&with(
        send(),
        "/message/body",
        json!("a\tb\r\nc\u{7f}\u{80}\u{200b}"),
    ));
}

#[test]
fn lists_of_ids_have_limits() {
    check_accepted(&with(read(), "/message_ids", json!(vec![ID; 1000])));
    check_refusal(
        &with(read(), "/message_ids", json!(vec![ID; 1001])),
        expect!["message_ids: must be at most 1000 ids"],
    );
    check_refusal(
        &with(read(), "/message_ids", json!([ID, "x"])),
        expect!["message_ids[1]: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    check_refusal(
        &with(read(), "/message_ids", json!([ID, 1])),
        expect!["message_ids[1]: must be a string at line 1 column 100"],
    );
    check_refusal(
        &with(read(), "/message_ids", json!(ID)),
        expect!["message_ids: must be a sequence at line 1 column 97"],
    );
}

#[test]
fn patterns_have_limits() {
    check_accepted(&with(listing(), "/pattern", json!("*".repeat(64))));
    check_accepted(&with(listing(), "/pattern", json!("")));
    check_refusal(
        &with(listing(), "/pattern", json!("*".repeat(65))),
        expect!["pattern: must be at most 64 bytes of UTF-8"],
    );
    check_refusal(
        &with(listing(), "/pattern", json!("\u{e9}".repeat(33))),
        expect!["pattern: must be at most 64 bytes of UTF-8"],
    );
    let ChatRequest::ListUsers(read) =
        check_accepted(&with(listing(), "/pattern", json!("e\u{301}*")))
    else {
        panic!("it is a listing");
    };
    assert_eq!(read.pattern.0, "\u{e9}*", "names are in NFC");
}

#[test]
fn a_new_password_is_a_digest_too() {
    check_refusal(
        &with(change_password(), "/new_password", json!("secret")),
        expect!["new_password: must be the SHA-256 of the password, 64 lower-case hex digits"],
    );
}

#[test]
fn malformed_json_is_refused() {
    check_refusal(
        "",
        expect!["request: EOF while parsing a value at line 1 column 0"],
    );
    check_refusal(
        "[]",
        expect!["request: must be an object at line 1 column 0"],
    );
    check_refusal(
        "{}",
        expect!["request: missing field `request_type` at line 1 column 2"],
    );
    check_refusal(
        "{\"request_type\":",
        expect!["request_type: EOF while parsing a value at line 1 column 16"],
    );
    check_refusal(
        &format!("{} x", inbox()),
        expect!["request: trailing characters at line 1 column 96"],
    );
    check_refusal(
        &"[".repeat(100_000),
        expect!["request: must be an object at line 1 column 0"],
    );
    check_refusal(
        &" ".repeat(REQUEST_BYTES_MAX + 1),
        expect!["request: must be at most 131072 bytes of JSON"],
    );
    let twice = format!("{{\"username\":\"a\",{}", &inbox().to_string()[1..]);
    check_refusal(
        &twice,
        expect!["request: duplicate field `username` at line 1 column 100"],
    );
}

#[test]
fn deep_json_is_refused() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let text = inbox().to_string().replace("\"alice\"", &deep);
    check_refusal(
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
fn unknown_fields_and_types_are_refused() {
    check_refusal(
        &with(inbox(), "/request_type", json!("DROP_TABLES")),
        expect![
            "request_type: must be one of CREATE_USER, LOGIN, LOGOUT, GET_MESSAGES, LIST_USERS, SEND_MESSAGE, READ_MESSAGES, DELETE_MESSAGES, DELETE_USER, CHANGE_PASSWORD"
        ],
    );
    check_refusal(
        &with(inbox(), "/request_type", json!(7)),
        expect!["request_type: must be a string at line 1 column 61"],
    );
    check_refusal(
        &with(inbox(), "/colour", json!("red")),
        expect![
            "request: has an unknown field; known are `id`, `request_type`, `username`, `limit`, `after`, `unread_only`, `oldest_first`"
        ],
    );
    check_refusal(
        &with(send(), "/message/colour", json!("red")),
        expect![
            "message: has an unknown field; known are `id`, `sender`, `recipient`, `body`, `timestamp`"
        ],
    );
    check_refusal(
        &with(credentials(), "/token", json!("x")),
        expect![
            "request: has an unknown field; known are `id`, `request_type`, `username`, `password`"
        ],
    );
    check_refusal(
        &with(send(), "/message", json!("hi")),
        expect!["message: must be an object at line 1 column 59"],
    );
    check_refusal(
        &with(send(), "/message/body", json!(1)),
        expect!["message.body: must be a string at line 1 column 64"],
    );
    check_refusal(
        &with(inbox(), "/unread_only", json!("yes")),
        expect!["unread_only: must be a boolean at line 1 column 94"],
    );
    check_refusal(
        &with(inbox(), "/limit", json!(-1)),
        expect!["limit: must be a whole number at line 1 column 55"],
    );
    check_refusal(
        &with(inbox(), "/username", Value::Null),
        expect!["username: must be a string at line 1 column 90"],
    );
}

#[test]
fn objects_are_not_arrays() {
    let fields = json!([ID, "LOGIN", "alice", digest()]).to_string();
    check_refusal(
        &fields,
        expect!["request: must be an object at line 1 column 0"],
    );
    check_refusal(
        &with(send(), "/message", json!([ID, "alice", "bob", "hi"])),
        expect!["message: must be an object at line 1 column 55"],
    );
}

#[test]
fn what_was_there_is_not_repeated() {
    for text in [
        with(inbox(), "/limit", json!("canary")),
        with(send(), "/message", json!("canary, expected canary")),
        with(credentials(), "/password", json!("canary")),
        with(send(), "/message/body", json!(["canary"])),
        with(inbox(), "/after", json!("canary")),
    ] {
        let refusal = ChatRequest::parse(&text).unwrap_err().to_string();
        assert!(!refusal.contains("canary"), "{refusal}");
    }
}

#[test]
fn ids_are_uuids() {
    check_refusal(
        &with(inbox(), "/id", json!("1")),
        expect!["id: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    check_refusal(
        &with(inbox(), "/id", json!("67e5504410b1426f9247bb680e5fe0c8")),
        expect!["id: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    check_refusal(
        &with(send(), "/message/id", json!("")),
        expect!["message.id: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    let upper = with(send(), "/message/id", json!(ID.to_uppercase()));
    let ChatRequest::SendMessage(message) = check_accepted(&upper) else {
        panic!("it is a message");
    };
    assert_eq!(message.message_id.0, ID, "one id has one form");
}

#[test]
fn usernames_have_limits() {
    check_refusal(
        &with(inbox(), "/username", json!("")),
        expect!["username: must be 1 to 64 characters long"],
    );
    check_refusal(
        &with(inbox(), "/username", json!("x".repeat(65))),
        expect!["username: must be 1 to 64 characters long"],
    );
    check_refusal(
        &with(send(), "/message/recipient", json!("a\u{202e}b")),
        expect!["message.recipient: must not contain control, bidi or zero-width characters"],
    );
    for deceptive in [
        "a\nb",
        "a\u{7f}",
        "a\u{200b}",
        "\u{feff}a",
        "a\u{2066}",
        "a\u{ad}b",
        "a\u{2028}",
    ] {
        let text = with(credentials(), "/username", json!(deceptive));
        assert!(ChatRequest::parse(&text).is_err(), "{deceptive:?}");
    }
    check_accepted(&with(inbox(), "/username", json!("é".repeat(64))));
    // 128 characters that NFC makes 64 of.
    check_accepted(&with(inbox(), "/username", json!("e\u{301}".repeat(64))));
}

#[test]
fn names_that_differ_in_normalisation_are_one_name() {
    let name = |text: &str| match check_accepted(&with(inbox(), "/username", json!(text))) {
        ChatRequest::GetMessages(inbox) => inbox.username.0,
        other => panic!("{other:?}"),
    };
    assert_eq!(name("Zoe\u{308}"), name("Zo\u{eb}"));
    assert_ne!(name("zoe"), name("Zoe"));
}

#[test]
fn digests_are_lower_case_hex() {
    for wrong in [
        digest().to_uppercase(),
        digest()[1..].to_owned(),
        format!("{}0", digest()),
        "g".repeat(64),
    ] {
        let text = with(credentials(), "/password", json!(wrong));
        check_refusal(
            &text,
            expect![["password: must be the SHA-256 of the password, 64 lower-case hex digits"]],
        );
    }
}

#[test]
fn bodies_have_limits() {
    check_refusal(
        &with(send(), "/message/body", json!("")),
        expect!["message.body: must be 1 to 16384 bytes of UTF-8"],
    );
    check_refusal(
        &with(send(), "/message/body", json!("x".repeat(16_385))),
        expect!["message.body: must be 1 to 16384 bytes of UTF-8"],
    );
    check_refusal(
        &with(send(), "/message/body", json!("é".repeat(8_193))),
        expect!["message.body: must be 1 to 16384 bytes of UTF-8"],
    );
    check_accepted(&with(send(), "/message/body", json!("é".repeat(8_192))));
    check_accepted(&with(send(), "/message/timestamp", json!(1.5)));
}

#[test]
fn pages_have_limits() {
    check_refusal(
        &with(inbox(), "/limit", json!(0)),
        expect!["limit: must be 1 to 500"],
    );
    check_refusal(
        &with(inbox(), "/limit", json!(501)),
        expect!["limit: must be 1 to 500"],
    );
    check_refusal(
        &with(inbox(), "/after", json!("soon")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_refusal(
        &with(inbox(), "/after", json!("+1")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_refusal(
        &with(inbox(), "/after", json!("9223372036854775808")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_refusal(
        &with(listing(), "/limit", json!(501)),
        expect!["limit: must be 1 to 500"],
    );
    check_refusal(
        &with(listing(), "/after", json!("")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_accepted(&with(listing(), "/after", json!("alice")));
    check_accepted(&with(inbox(), "/limit", json!(500)));
    check_accepted(&with(inbox(), "/after", json!("17")));
    check_accepted(&with(inbox(), "/after", Value::Null));
}

#[test]
fn secrets_are_not_in_debug_output() {
    let read = [
        check_accepted(&credentials().to_string()),
        check_accepted(&change_password().to_string()),
        check_accepted(&with(send(), "/message/body", json!("canary"))),
    ];
    let shown = format!("{read:?}");
    assert!(
        !shown.contains(&digest()) && !shown.contains("canary"),
        "{shown}"
    );
}
