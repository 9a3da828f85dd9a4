//! Files of earlier formats are brought to this one with nothing lost.

use sqlx::{ConnectOptions, Connection};

use super::super::schema::tests::{FORMAT_1, FORMAT_2};
use super::*;
use crate::model::message::Direction;
use crate::model::preferences::KeptMessages;

/// What format 1 has.
const CONTENT_1: &str = "
INSERT INTO drafts VALUES ('c1 alice', 'bob', 'half a');
INSERT INTO outbox VALUES (1, x'00000000000000000000000000000001', x'00000000000000000000000000000001',
    'c1 alice', 'bob', 'unsent', 1.5, NULL);
INSERT INTO sent VALUES (x'00000000000000000000000000000002', x'00000000000000000000000000000002',
    'c1 alice', 'bob', 'sent', 2.5, 7, 2);
INSERT INTO sent VALUES (x'00000000000000000000000000000003', x'00000000000000000000000000000003',
    'c2 alice', 'bob', 'sent elsewhere', 2.5, 8, 2);
INSERT INTO muted VALUES ('c1 alice', 'carol');
INSERT INTO settings VALUES ('remembered', '\"alice\"');
INSERT INTO settings VALUES ('preferences', '{\"theme\":\"dark\"}');
";

/// What format 2 has besides.
const CONTENT_2: &str = "
INSERT INTO inboxes VALUES (5, 'c1 alice', 'c9', 1, 1, 'behind 4', 3);
INSERT INTO received VALUES (5, x'00000000000000000000000000000004', 'bob', 1, 'received', 3.5, 0, 4, 2, 1);
INSERT INTO pending_changes VALUES (1, 5, x'00000000000000000000000000000009', 1);
";

async fn write(folder: &Path, statements: &[&'static str]) {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.join("local.db"))
        .create_if_missing(true);
    let mut earlier = options.connect().await.unwrap();
    for statement in statements {
        sqlx::raw_sql(*statement)
            .execute(&mut earlier)
            .await
            .unwrap();
    }
    earlier.close().await.unwrap();
}

#[tokio::test]
async fn file_of_format_1_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[FORMAT_1, CONTENT_1]).await;
    for _ in 0..2 {
        let mut store = open(folder.path()).await;
        let account = store.account(&alice()).await.unwrap();
        let draft = &account.drafts[&Name::new("bob")];
        assert_eq!((&*draft.text, draft.reply_to), ("half a", None));
        let [unsent] = &account.outbox[..] else {
            panic!("{:?}", account.outbox);
        };
        assert_eq!(&*unsent.body, "unsent");
        assert_eq!(
            unsent.copy,
            CopyPlace::Device,
            "it may have been sent without"
        );
        let [sent] = &account.sent[..] else {
            panic!("{:?}", account.sent);
        };
        assert_eq!((&*sent.body, sent.commit.index), ("sent", LogIndex(7)));
        assert_eq!(sent.direction, Direction::Sent);
        assert!(account.muted.contains(&Name::new("carol")));
        assert!(!account.inbox.is_complete, "the box is fetched");
        let settings = store.settings().await.unwrap();
        assert_eq!(settings.remembered, Some(Name::new("alice")));
        assert_eq!(settings.preferences.theme, ThemeChoice::Dark);
        let default = KeptMessages::HundredThousand;
        assert_eq!(settings.preferences.kept_messages, default);
    }
}

#[tokio::test]
async fn file_of_format_2_is_migrated_and_the_box_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let statements = [FORMAT_1, FORMAT_2, CONTENT_1, CONTENT_2];
    write(folder.path(), &statements).await;
    for _ in 0..2 {
        let mut store = open(folder.path()).await;
        let position = store.copy_position(&alice()).await.unwrap();
        assert_eq!((position.cursor, position.older), (None, None));
        let account = store.account(&alice()).await.unwrap();
        let [received] = &account.inbox.messages[..] else {
            panic!("{:?}", account.inbox);
        };
        assert_eq!((&*received.body, received.read), ("received", false));
        assert_eq!(received.direction, Direction::Received);
        assert_eq!(received.peer_since, Some(LogIndex(1)));
        assert!(!account.inbox.is_complete && account.inbox.more);
        assert_eq!(account.inbox.unread_elsewhere, 3);
        assert_eq!(&*account.sent[0].body, "sent");
        let pending = store.pending_changes(&alice()).await.unwrap();
        assert_eq!(pending, (vec![], vec![MessageId(Uuid::from_u128(9))]));
    }
}
