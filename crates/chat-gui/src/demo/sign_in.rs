//! The accounts that the demo signs in to, with what the device and the servers have of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::demo::demo_world::{CLUSTER_ID, DemoWorld};
use crate::demo::fixtures::LINES;
use crate::model::event::{BackendEvent, InboxPage, StoredAccount, StoredDraft, StoredInbox};
use crate::model::marks::ChatMarks;
use crate::model::message::{Direction, StoredMessage};
use crate::model::names::{LogIndex, Name};

/// Alice's account as this device and the servers have it; `unread_within` minutes are unread.
pub(super) fn sign_alice_in(world: &mut DemoWorld, unread_within: f64) {
    let draft = StoredDraft {
        text: Arc::from("I would love to, but"),
        reply_to: None,
    };
    let drafts = [(Name::new("Eleanor"), draft)];
    world.receive(BackendEvent::SignedIn(StoredAccount {
        name: Name::new("Alice"),
        cluster_id: CLUSTER_ID.to_owned(),
        drafts: BTreeMap::from(drafts),
        outbox: Vec::new(),
        sent: Vec::new(),
        muted: BTreeSet::from([Name::new("Friedrich")]),
        marks: ChatMarks::default(),
        inbox: StoredInbox::default(),
        deleted: Vec::new(),
    }));
    world.link_up();
    world.poll(1_000);
    let lines = LINES.iter().enumerate();
    let mut messages: Vec<StoredMessage> = lines
        .map(|(number, (peer, own, minutes, text))| {
            let read = *own || *minutes > unread_within;
            let mut message = world.received(peer, text, *minutes, read, 4_000 + number as u128);
            if *own {
                message.direction = Direction::Sent;
            }
            message
        })
        .collect();
    messages.sort_by_key(|message| std::cmp::Reverse(message.commit.index));
    let unread = messages.iter().filter(|message| !message.read).count() as u64;
    world.receive(BackendEvent::Inbox(InboxPage {
        messages,
        unread,
        reaches: LogIndex(0),
        more: false,
        is_last: true,
    }));
}

/// A person who has an account and nothing else.
pub(super) fn sign_newcomer_in(world: &mut DemoWorld) {
    world.receive(BackendEvent::SignedIn(StoredAccount {
        name: Name::new("Alice"),
        cluster_id: CLUSTER_ID.to_owned(),
        drafts: BTreeMap::new(),
        outbox: Vec::new(),
        sent: Vec::new(),
        muted: BTreeSet::new(),
        marks: ChatMarks::default(),
        inbox: StoredInbox::default(),
        deleted: Vec::new(),
    }));
    world.link_up();
    world.poll(1_000);
    world.receive(BackendEvent::Inbox(InboxPage {
        messages: Vec::new(),
        unread: 0,
        reaches: LogIndex(0),
        more: false,
        is_last: true,
    }));
}
