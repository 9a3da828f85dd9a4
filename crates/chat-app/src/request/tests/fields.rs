//! The limits of each field.

use chat_store::DirectionFilter;
use expect_test::expect;
use serde_json::{Value, json};

use super::{
    ID, change_password, check_accepted, check_rejected, credentials, digest, inbox, listing, read,
    send, with,
};
use crate::request::{ChangeRequest, ChatRequest, ReadRequest};

/// S-A3: JSON writes each as six characters, so that a page would be six times as long.
#[test]
fn body_with_control_characters_is_rejected() {
    let rejected = (0..0x20).map(char::from).filter(|c| !"\t\n\r".contains(*c));
    for character in rejected {
        let body = format!("a{character}b");
        check_rejected(
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
fn list_of_ids_is_limited() {
    check_accepted(&with(read(), "/message_ids", json!(vec![ID; 1000])));
    check_rejected(
        &with(read(), "/message_ids", json!(vec![ID; 1001])),
        expect!["message_ids: must be at most 1000 ids"],
    );
    check_rejected(
        &with(read(), "/message_ids", json!([ID, "x"])),
        expect!["message_ids[1]: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    check_rejected(
        &with(read(), "/message_ids", json!([ID, 1])),
        expect!["message_ids[1]: must be a string at line 1 column 100"],
    );
    check_rejected(
        &with(read(), "/message_ids", json!(ID)),
        expect!["message_ids: must be a sequence at line 1 column 97"],
    );
}

#[test]
fn pattern_is_limited() {
    check_accepted(&with(listing(), "/pattern", json!("*".repeat(64))));
    check_accepted(&with(listing(), "/pattern", json!("")));
    check_rejected(
        &with(listing(), "/pattern", json!("*".repeat(65))),
        expect!["pattern: must be at most 64 bytes of UTF-8"],
    );
    check_rejected(
        &with(listing(), "/pattern", json!("\u{e9}".repeat(33))),
        expect!["pattern: must be at most 64 bytes of UTF-8"],
    );
    let ChatRequest::Read(ReadRequest::ListUsers(read)) =
        check_accepted(&with(listing(), "/pattern", json!("e\u{301}*")))
    else {
        panic!("it is a listing");
    };
    assert_eq!(read.pattern.0, "\u{e9}*", "names are in NFC");
}

#[test]
fn new_password_must_be_a_digest() {
    check_rejected(
        &with(change_password(), "/new_password", json!("secret")),
        expect!["new_password: must be the SHA-256 of the password, 64 lower-case hex digits"],
    );
}

#[test]
fn id_must_be_a_uuid() {
    check_rejected(
        &with(inbox(), "/id", json!("1")),
        expect!["id: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    check_rejected(
        &with(inbox(), "/id", json!("67e5504410b1426f9247bb680e5fe0c8")),
        expect!["id: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    check_rejected(
        &with(send(), "/message/id", json!("")),
        expect!["message.id: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    let upper = with(send(), "/message/id", json!(ID.to_uppercase()));
    let ChatRequest::Change(ChangeRequest::SendMessage(message)) = check_accepted(&upper) else {
        panic!("it is a message");
    };
    assert_eq!(message.message_id.0, ID, "one id has one form");
}

#[test]
fn username_is_limited() {
    check_rejected(
        &with(inbox(), "/username", json!("")),
        expect!["username: must be 1 to 64 characters long"],
    );
    check_rejected(
        &with(inbox(), "/username", json!("x".repeat(65))),
        expect!["username: must be 1 to 64 characters long"],
    );
    check_rejected(
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
fn names_that_differ_in_normalisation_only_are_equal() {
    let name = |text: &str| match check_accepted(&with(inbox(), "/username", json!(text))) {
        ChatRequest::Read(ReadRequest::GetMessages(inbox)) => inbox.username.0,
        other => panic!("{other:?}"),
    };
    assert_eq!(name("Zoe\u{308}"), name("Zo\u{eb}"));
    assert_ne!(name("zoe"), name("Zoe"));
}

#[test]
fn digest_must_be_lower_case_hex() {
    for wrong in [
        digest().to_uppercase(),
        digest()[1..].to_owned(),
        format!("{}0", digest()),
        "g".repeat(64),
    ] {
        let text = with(credentials(), "/password", json!(wrong));
        check_rejected(
            &text,
            expect![["password: must be the SHA-256 of the password, 64 lower-case hex digits"]],
        );
    }
}

#[test]
fn body_is_limited() {
    check_rejected(
        &with(send(), "/message/body", json!("")),
        expect!["message.body: must be 1 to 16384 bytes of UTF-8"],
    );
    check_rejected(
        &with(send(), "/message/body", json!("x".repeat(16_385))),
        expect!["message.body: must be 1 to 16384 bytes of UTF-8"],
    );
    check_rejected(
        &with(send(), "/message/body", json!("é".repeat(8_193))),
        expect!["message.body: must be 1 to 16384 bytes of UTF-8"],
    );
    check_accepted(&with(send(), "/message/body", json!("é".repeat(8_192))));
    check_accepted(&with(send(), "/message/timestamp", json!(1.5)));
}

#[test]
fn page_is_limited() {
    check_rejected(
        &with(inbox(), "/limit", json!(0)),
        expect!["limit: must be 1 to 500"],
    );
    check_rejected(
        &with(inbox(), "/limit", json!(501)),
        expect!["limit: must be 1 to 500"],
    );
    check_rejected(
        &with(inbox(), "/after", json!("soon")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_rejected(
        &with(inbox(), "/after", json!("+1")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_rejected(
        &with(inbox(), "/after", json!("9223372036854775808")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_rejected(
        &with(listing(), "/limit", json!(501)),
        expect!["limit: must be 1 to 500"],
    );
    check_rejected(
        &with(listing(), "/after", json!("")),
        expect!["after: must be the `next` of an earlier reply"],
    );
    check_accepted(&with(listing(), "/after", json!("alice")));
    check_accepted(&with(inbox(), "/limit", json!(500)));
    check_accepted(&with(inbox(), "/after", json!("17")));
    check_accepted(&with(inbox(), "/after", Value::Null));
}

#[test]
fn options_of_a_message_are_optional_and_limited() {
    let parsed = |text: &str| match check_accepted(text) {
        ChatRequest::Change(ChangeRequest::SendMessage(message)) => message,
        other => panic!("{other:?}"),
    };
    let plain = parsed(&send().to_string());
    assert!(!plain.keep_copy && plain.reply_to.is_none() && plain.written_at.is_none());
    let reply_to = ID.to_uppercase();
    let reply = parsed(&with(send(), "/message/reply_to", json!(reply_to)));
    assert_eq!(reply.reply_to.map(|id| id.0).as_deref(), Some(ID));
    let written = |time: Value| with(send(), "/message/written_at", time);
    let time = |value| parsed(&written(value)).written_at.map(|time| time.0);
    assert_eq!(time(json!(9_999_999_999_u64)), Some(9_999_999_999.0));
    assert_eq!(time(json!(0)), None);
    assert_eq!(time(Value::Null), None);
    for wrong in [json!(-0.5), json!(10_000_000_000_u64), json!(1e300)] {
        check_rejected(
            &written(wrong),
            expect!["message.written_at: must be 0 to 9,999,999,999, in seconds since 1970"],
        );
    }
    check_rejected(
        &with(send(), "/message/reply_to", json!("m1")),
        expect!["message.reply_to: must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8"],
    );
    check_rejected(
        &with(send(), "/keep_copy", json!("yes")),
        expect!["keep_copy: must be a boolean at line 1 column 62"],
    );
}

#[test]
fn direction_is_one_of_three() {
    for (text, expected) in [
        ("received", DirectionFilter::Received),
        ("sent", DirectionFilter::Sent),
        ("all", DirectionFilter::All),
    ] {
        let request = check_accepted(&with(inbox(), "/direction", json!(text)));
        let ChatRequest::Read(ReadRequest::GetMessages(inbox)) = request else {
            panic!("{request:?}");
        };
        assert_eq!(inbox.query.directions, expected);
    }
    check_rejected(
        &with(inbox(), "/direction", json!("Sent")),
        expect!["direction: must be `received`, `sent` or `all`"],
    );
}
