//! One watch and the change buffer that it follows, without a node around them.

use std::sync::Arc;
use std::time::Duration;

use chat_proto::chat::v1::WatchEvent;
use chat_proto::chat::v1::watch_event::Event as SentEvent;
use chat_replication::Leadership;
use chat_store::{
    Change, Credential, Direction, DirectionFilter, Event, LogIndex, Message, Position,
};
use tokio::sync::watch;

use super::{Start, WatchContext, Watcher};
use crate::api::watch::end_reason::EndReason;
use crate::api::watch::{ChangeBuffer, ClusterMark, Cursor};
use crate::net::connection_limit::Source;

const TOKEN: [u8; 32] = [7; 32];
const CLUSTER: ClusterMark = ClusterMark::of(0xabcd_ef01 << 96);
const OLD: Credential = credential(2, 2);

struct Fixture {
    change_buffer: Arc<ChangeBuffer>,
    leadership: watch::Sender<Leadership>,
    stopping: watch::Sender<bool>,
}

const fn credential(incarnation: u64, version: u64) -> Credential {
    Credential {
        incarnation: LogIndex(incarnation),
        version: LogIndex(version),
    }
}

fn cursor(index: u64) -> Option<Cursor> {
    Some(Cursor {
        cluster: CLUSTER,
        index: LogIndex(index),
    })
}

impl Fixture {
    /// Everything up to entry 10 was applied before the node started.
    fn new() -> Self {
        let mut leadership = Leadership::default();
        leadership.term = 1;
        leadership.leader_id = Some(1);
        leadership.leads = true;
        Self {
            change_buffer: Arc::new(ChangeBuffer::new(LogIndex(10))),
            leadership: watch::Sender::new(leadership),
            stopping: watch::Sender::new(false),
        }
    }

    fn apply(&self, index: u64, change: Change) {
        let commit = Position::new(index, 1);
        self.change_buffer
            .put(vec![Event { commit, change }], LogIndex(index));
    }

    fn watch(&self, cursor: Option<Cursor>, validated: u64) -> Watcher {
        self.watch_while(cursor, validated, true)
    }

    fn watch_while(
        &self,
        cursor: Option<Cursor>,
        validated: u64,
        session_is_valid: bool,
    ) -> Watcher {
        let floor = self.change_buffer.floor();
        let start = Start::new(cursor, CLUSTER, LogIndex(validated), LogIndex(2), floor);
        let context = WatchContext {
            session_is_valid: Box::new(move || Box::pin(std::future::ready(session_is_valid))),
            leadership: self.leadership.subscribe(),
            stopping: self.stopping.subscribe(),
            until: None,
        };
        let subscription = self
            .change_buffer
            .acquire_slot(TOKEN, Source::Local)
            .unwrap()
            .subscribe("alice")
            .unwrap();
        Watcher::new(subscription, OLD, CLUSTER, start, context)
    }
}

fn stored(index: u64, recipient: &str) -> Change {
    Change::MessageStored(message(index, "bob", recipient))
}

fn copied(index: u64, sender: &str, recipient: &str) -> Change {
    Change::MessageCopied {
        message: message(index, sender, recipient),
        recipient_since: LogIndex(4),
    }
}

fn message(index: u64, sender: &str, recipient: &str) -> Message {
    Message {
        id: format!("m{index}"),
        sender: sender.to_owned(),
        sender_since: LogIndex(3),
        recipient: recipient.to_owned(),
        direction: Direction::Received,
        body: "hi".to_owned(),
        reply_to: None,
        written_at: None,
        timestamp: 1.0,
        read: false,
        commit: Position::new(index, 1),
    }
}

fn deleted(ids: &[&str], copies: &[&str]) -> Change {
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Change::MessagesDeleted {
        username: "alice".to_owned(),
        message_ids: texts(ids),
        copy_ids: texts(copies),
    }
}

fn read(ids: &[&str]) -> Change {
    Change::MessagesRead {
        username: "alice".to_owned(),
        message_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    }
}

fn password_changed(now: Credential) -> Change {
    Change::PasswordChanged {
        username: "alice".to_owned(),
        credential: now,
    }
}

/// `message m11 @11`.
fn line(event: &WatchEvent) -> String {
    let what = match event.event.as_ref().unwrap() {
        SentEvent::Message(message) => {
            let copy = match message.direction {
                2 => format!(
                    " to {} since {}",
                    message.recipient, message.recipient_since
                ),
                _ => String::new(),
            };
            format!("message {}{copy}", message.id)
        }
        SentEvent::Read(read) => format!("read {}", read.ids.join(" ")),
        SentEvent::Deleted(deleted) => format!("deleted {}", deleted.ids.join(" ")),
        SentEvent::CaughtUp(_) => "caught up".to_owned(),
        SentEvent::Resync(_) => "resync".to_owned(),
    };
    let index = event.cursor.strip_prefix("abcdef01.").unwrap();
    format!("{what} @{index}")
}

async fn check(watcher: &mut Watcher, expected: &[&str]) {
    for expected in expected {
        assert_eq!(line(&watcher.next().await.unwrap()), *expected);
    }
}

#[tokio::test]
async fn watch_sends_changes_in_the_order_of_the_log() {
    let fixture = Fixture::new();
    fixture.apply(11, stored(11, "alice"));
    let mut watcher = fixture.watch(None, 11);
    check(&mut watcher, &["caught up @11"]).await;
    fixture.apply(12, stored(12, "alice"));
    fixture.apply(13, stored(13, "carol"));
    fixture.apply(14, read(&["m11", "m12"]));
    check(&mut watcher, &["message m12 @12", "read m11 m12 @14"]).await;
}

#[tokio::test]
async fn watch_continues_from_a_cursor_without_gap_or_repetition() {
    let fixture = Fixture::new();
    for index in 11..=15 {
        fixture.apply(index, stored(index, "alice"));
    }
    let mut watcher = fixture.watch(cursor(13), 15);
    let rest = ["message m14 @14", "message m15 @15", "caught up @15"];
    check(&mut watcher, &rest).await;
    // The node had applied entry 10 when it started; older cursors are unusable there.
    let all = ["message m11 @11", "message m12 @12"];
    check(&mut fixture.watch(cursor(10), 15), &all).await;
}

/// C1, C3: a sender's watch without a direction shows nothing of copies, and a recipient's nothing more than
/// the message.
#[tokio::test]
async fn watch_sends_copies_only_in_their_direction() {
    let fixture = Fixture::new();
    let changes = [
        copied(11, "alice", "bob"),
        copied(12, "bob", "alice"),
        read(&["m12"]),
        deleted(&["m12"], &["m11"]),
        deleted(&[], &["m9"]),
        stored(16, "alice"),
    ];
    for (change, index) in changes.into_iter().zip(11..) {
        fixture.apply(index, change);
    }
    for (directions, expected) in [
        (
            DirectionFilter::Received,
            [
                "message m12 @12",
                "read m12 @13",
                "deleted m12 @14",
                "message m16 @16",
            ]
            .as_slice(),
        ),
        (
            DirectionFilter::Sent,
            &[
                "message m11 to bob since 4 @11",
                "deleted m11 @14",
                "deleted m9 @15",
                "caught up @16",
            ],
        ),
        (
            DirectionFilter::All,
            &[
                "message m11 to bob since 4 @11",
                "message m12 @12",
                "read m12 @13",
                "deleted m12 m11 @14",
                "deleted m9 @15",
                "message m16 @16",
            ],
        ),
    ] {
        let watcher = fixture.watch(cursor(10), 16);
        check(&mut watcher.with_directions(directions), expected).await;
    }
}

#[tokio::test]
async fn unusable_cursor_leads_to_a_resync() {
    let fixture = Fixture::new();
    fixture.apply(11, stored(11, "alice"));
    let foreign = Cursor {
        cluster: ClusterMark::of(1 << 96),
        index: LogIndex(11),
    };
    for unknown in [cursor(9), cursor(12), Some(foreign)] {
        let mut watcher = fixture.watch(unknown, 11);
        check(&mut watcher, &["resync @11", "caught up @11"]).await;
    }
}

#[test]
fn account_gets_no_changes_from_before_its_creation() {
    let start = |cursor: u64, incarnation: u64| {
        let (validated, floor) = (LogIndex(50), LogIndex(10));
        let incarnation = LogIndex(incarnation);
        Start::new(self::cursor(cursor), CLUSTER, validated, incarnation, floor)
    };
    assert_eq!(
        (start(20, 30).from, start(20, 30).resync),
        (LogIndex(30), false)
    );
    assert_eq!(
        (start(5, 30).from, start(5, 30).resync),
        (LogIndex(30), false)
    );
    assert_eq!((start(5, 7).from, start(5, 7).resync), (LogIndex(50), true));
}

#[tokio::test]
async fn watch_ends_with_its_session() {
    let fixture = Fixture::new();
    let changes = [
        Change::SessionEnded { token_hash: TOKEN },
        password_changed(credential(2, 11)),
        Change::AccountDeleted {
            username: "alice".to_owned(),
            incarnation: LogIndex(2),
        },
    ];
    for (change, index) in changes.into_iter().zip(11..) {
        let mut watcher = fixture.watch(None, index - 1);
        let caught_up = format!("caught up @{}", index - 1);
        check(&mut watcher, &[&caught_up]).await;
        fixture.apply(index, change);
        assert_eq!(watcher.next().await, Err(EndReason::SessionEnded));
    }
    // Changes that ended other sessions before this one was checked are ignored.
    let mut watcher = fixture.watch(cursor(10), 13);
    check(&mut watcher, &["caught up @13"]).await;
    fixture.apply(14, password_changed(OLD));
    fixture.apply(15, stored(15, "alice"));
    check(&mut watcher, &["message m15 @15"]).await;
}

#[tokio::test(start_paused = true)]
async fn watch_ends_when_its_session_expires() {
    let fixture = Fixture::new();
    let mut watcher = fixture.watch_while(None, 10, false);
    check(&mut watcher, &["caught up @10"]).await;
    assert_eq!(watcher.next().await, Err(EndReason::SessionEnded));
}

#[tokio::test]
async fn watch_ends_when_its_node_shuts_down() {
    let fixture = Fixture::new();
    let mut watcher = fixture.watch(None, 10);
    check(&mut watcher, &["caught up @10"]).await;
    let stopped = async {
        fixture.stopping.send_replace(true);
    };
    assert_eq!(
        tokio::join!(watcher.next(), stopped).0,
        Err(EndReason::Stopping)
    );
    assert_eq!(watcher.cursor(), "abcdef01.10");
}

#[tokio::test(start_paused = true)]
async fn watch_ends_when_its_node_has_no_leader() {
    let fixture = Fixture::new();
    let mut watcher = fixture.watch(None, 10);
    check(&mut watcher, &["caught up @10"]).await;
    fixture.leadership.send_replace(Leadership::default());
    assert_eq!(watcher.next().await, Err(EndReason::NoLeader));
}

#[tokio::test(start_paused = true)]
async fn client_without_events_gets_a_recent_cursor() {
    let fixture = Fixture::new();
    let mut watcher = fixture.watch(None, 10);
    check(&mut watcher, &["caught up @10"]).await;
    fixture.apply(11, stored(11, "carol"));
    check(&mut watcher, &["caught up @11"]).await;
    let nothing = tokio::time::timeout(Duration::from_secs(60), watcher.next()).await;
    assert!(
        nothing.is_err(),
        "a cursor that is the same is not sent again"
    );
}
