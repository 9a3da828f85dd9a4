//! The JSON of requests and replies.

use expect_test::{Expect, expect};
use uuid::Uuid;

use super::{
    Commit, DirectionFilter, Done, InboxPage, InboxQuery, MessageJson, Request, Sent, UsersPage,
    UsersQuery, decode,
};
use crate::error::ClientError;

fn check(request: &Request<'_>, expected: Expect) {
    expected.assert_eq(&request.to_json());
}

#[test]
fn requests_are_encoded() {
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
        reply_to: None,
        written_at: None,
    };
    let keep_copy = false;
    check(
        &Request::SendMessage {
            id,
            keep_copy,
            message,
        },
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

/// A server without copies knows none of these fields.
#[test]
fn options_are_encoded_if_there_are_any() {
    let id = Uuid::nil();
    let message = MessageJson {
        id,
        sender: "a",
        recipient: "b",
        body: "hi",
        reply_to: Some(id),
        written_at: Some(1.5),
    };
    let keep_copy = true;
    check(
        &Request::SendMessage {
            id,
            keep_copy,
            message,
        },
        expect![[
            r#"{"request_type":"SEND_MESSAGE","id":"00000000-0000-0000-0000-000000000000","keep_copy":true,"message":{"id":"00000000-0000-0000-0000-000000000000","sender":"a","recipient":"b","body":"hi","reply_to":"00000000-0000-0000-0000-000000000000","written_at":1.5}}"#
        ]],
    );
    let query = InboxQuery {
        directions: DirectionFilter::All,
        ..InboxQuery::default()
    };
    check(
        &Request::GetMessages {
            id,
            username: "a",
            query: &query,
        },
        expect![[
            r#"{"request_type":"GET_MESSAGES","id":"00000000-0000-0000-0000-000000000000","username":"a","direction":"all","unread_only":false,"oldest_first":false}"#
        ]],
    );
    let message_ids = &[id];
    check(
        &Request::CheckMessages { id, message_ids },
        expect![[
            r#"{"request_type":"CHECK_MESSAGES","id":"00000000-0000-0000-0000-000000000000","message_ids":["00000000-0000-0000-0000-000000000000"]}"#
        ]],
    );
}

#[test]
fn further_requests_are_encoded() {
    let id = Uuid::nil();
    check(
        &Request::Logout { id },
        expect![[r#"{"request_type":"LOGOUT","id":"00000000-0000-0000-0000-000000000000"}"#]],
    );
    let mut query = UsersQuery::new("al*");
    query.after = Some("alice".to_owned());
    check(
        &Request::ListUsers { id, query: &query },
        expect![[
            r#"{"request_type":"LIST_USERS","id":"00000000-0000-0000-0000-000000000000","pattern":"al*","after":"alice"}"#
        ]],
    );
    let message_ids = &[id];
    check(
        &Request::ReadMessages { id, message_ids },
        expect![[
            r#"{"request_type":"READ_MESSAGES","id":"00000000-0000-0000-0000-000000000000","message_ids":["00000000-0000-0000-0000-000000000000"]}"#
        ]],
    );
    check(
        &Request::DeleteMessages { id, message_ids },
        expect![[
            r#"{"request_type":"DELETE_MESSAGES","id":"00000000-0000-0000-0000-000000000000","message_ids":["00000000-0000-0000-0000-000000000000"]}"#
        ]],
    );
    check(
        &Request::DeleteUser { id, username: "a" },
        expect![[
            r#"{"request_type":"DELETE_USER","id":"00000000-0000-0000-0000-000000000000","username":"a"}"#
        ]],
    );
    check(
        &Request::ChangePassword {
            id,
            password: "d",
            new_password: "e",
        },
        expect![[
            r#"{"request_type":"CHANGE_PASSWORD","id":"00000000-0000-0000-0000-000000000000","password":"d","new_password":"e"}"#
        ]],
    );
}

#[test]
fn replies_are_decoded() {
    let sent: Sent = decode(
        r#"{"status":"OK","id":"00000000-0000-0000-0000-000000000000","timestamp":1.5,"commit":{"index":7,"term":2}}"#,
    )
    .unwrap();
    assert_eq!(sent.commit, Commit { index: 7, term: 2 });
    let page: InboxPage =
        decode(r#"{"status":"OK","messages":[],"unread":1,"next":null}"#).unwrap();
    assert_eq!(page.unread, 1);
    let page: UsersPage = decode(r#"{"status":"OK","usernames":["a"],"next":"a"}"#).unwrap();
    assert_eq!((page.usernames.len(), page.next.as_deref()), (1, Some("a")));
    assert!(decode::<Done>(r#"{"status":"OK"}"#).is_ok());
    let rejected = decode::<Sent>(r#"{"status":"ERROR","error_code":"c","error_message":"m"}"#);
    let expected = ClientError::Application {
        code: "c".to_owned(),
        message: "m".to_owned(),
    };
    assert_eq!(rejected, Err(expected));
    for wrong in ["", "{}", r#"{"status":"OK"}"#, r#"{"status":"MAYBE"}"#] {
        assert!(
            matches!(decode::<Sent>(wrong), Err(ClientError::Decode(_))),
            "{wrong}"
        );
    }
}
