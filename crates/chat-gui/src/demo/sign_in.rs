//! The accounts that the demo signs in to, with what the device and the servers have of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::demo::demo_world::DemoWorld;
use crate::demo::fixtures::{LINES, START, index_at};
use crate::model::event::{BackendEvent, InboxPage, PagePlace, StoredAccount, StoredInbox};
use crate::model::marks::ChatMarks;
use crate::model::message::{Received, SentCopy};
use crate::model::names::{Commit, MessageId, Name, RequestId, Term};
use crate::model::time::Timestamp;

/// Alice's account as this device and the servers have it; `unread_within` minutes are unread.
pub(super) fn sign_alice_in(world: &mut DemoWorld, unread_within: f64) {
    let sent = LINES.iter().enumerate().filter(|(_, line)| line.1);
    let mut sent: Vec<SentCopy> = sent
        .map(|(number, (peer, _, minutes, text))| SentCopy {
            id: MessageId(Uuid::from_u128(5_000 + number as u128)),
            request_id: RequestId(Uuid::from_u128(6_000 + number as u128)),
            recipient: Name::new(peer),
            body: Arc::from(*text),
            at: Timestamp(START - minutes * 60.0),
            commit: Commit {
                index: index_at(*minutes),
                term: Term(if *minutes > 600.0 { 6 } else { 7 }),
            },
        })
        .collect();
    sent.sort_by_key(|copy| copy.commit.index);
    let drafts = [(Name::new("Eleanor"), Arc::from("I would love to, but"))];
    world.receive(BackendEvent::SignedIn(StoredAccount {
        name: Name::new("Alice"),
        drafts: BTreeMap::from(drafts),
        outbox: Vec::new(),
        sent,
        muted: BTreeSet::from([Name::new("Friedrich")]),
        marks: ChatMarks::default(),
        inbox: StoredInbox::default(),
    }));
    world.link_up();
    world.poll(1_000);
    let received = LINES.iter().enumerate().filter(|(_, line)| !line.1);
    let mut messages: Vec<Received> = received
        .map(|(number, (peer, _, minutes, text))| {
            let read = *minutes > unread_within;
            world.received(peer, text, *minutes, read, 4_000 + number as u128)
        })
        .collect();
    messages.sort_by_key(|message| std::cmp::Reverse(message.commit.index));
    let unread = messages.iter().filter(|message| !message.read).count() as u64;
    world.receive(BackendEvent::Inbox(InboxPage {
        messages,
        unread,
        place: PagePlace::First,
        more: false,
    }));
}

/// A person who has an account and nothing else.
pub(super) fn sign_newcomer_in(world: &mut DemoWorld) {
    world.receive(BackendEvent::SignedIn(StoredAccount {
        name: Name::new("Alice"),
        drafts: BTreeMap::new(),
        outbox: Vec::new(),
        sent: Vec::new(),
        muted: BTreeSet::new(),
        marks: ChatMarks::default(),
        inbox: StoredInbox::default(),
    }));
    world.link_up();
    world.poll(1_000);
    world.receive(BackendEvent::Inbox(InboxPage {
        messages: Vec::new(),
        unread: 0,
        place: PagePlace::First,
        more: false,
    }));
}
