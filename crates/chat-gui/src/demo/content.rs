//! What the people of the demo wrote to one another.
//!
//! Deliberately absent: anything real.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::backend::event::{BackendEvent, InboxPage, PagePlace, StoredAccount};
use crate::demo::stage::{START, Stage, index_at};
use crate::model::message::{Received, SentCopy};
use crate::model::names::{Commit, MessageId, Name, RequestId, Term};
use crate::model::time::Timestamp;

/// With whom, whether Alice wrote it, how many minutes before the start, and what.
type Line = (&'static str, bool, f64, &'static str);

/// What was said, in no order.
const LINES: &[Line] = &[
    (
        "Benjamin",
        false,
        1_513.0,
        "Morning! Did the new cluster survive the night?",
    ),
    (
        "Benjamin",
        true,
        1_509.0,
        "It did. Node 3 lost power at four, nobody noticed.",
    ),
    (
        "Benjamin",
        true,
        1_508.0,
        "The log says the other two went on after 380 ms.",
    ),
    ("Benjamin", false, 1_490.0, "So nothing was lost?"),
    (
        "Benjamin",
        true,
        1_486.0,
        "Nothing. I compared the ledger: 214 sent, 214 stored, 214 shown. Lost 0, doubled 0.",
    ),
    ("Benjamin", false, 1_484.0, "I am almost disappointed."),
    (
        "Benjamin",
        false,
        94.0,
        "Want to see something? I am going to pull the plug on the leader while you write to me.",
    ),
    ("Benjamin", true, 91.0, "Go on, I dare you."),
    ("Benjamin", false, 88.0, "Done. Write something!"),
    (
        "Benjamin",
        true,
        87.5,
        "This one was written while there was no leader at all. It waited here with a little clock, and went out by itself.",
    ),
    ("Benjamin", false, 86.0, "Arrived. Once, as promised."),
    (
        "Benjamin",
        false,
        12.0,
        "By the way, the talk is on Thursday. Could you bring the three small boards? Then we can cut a cable on stage.",
    ),
    ("Benjamin", false, 11.0, "And the long power strip, please."),
    (
        "Charlotte",
        true,
        190.0,
        "Are the minutes of Monday's meeting anywhere?",
    ),
    (
        "Charlotte",
        false,
        171.0,
        "In the wiki, under decisions. I added the part about retention.",
    ),
    ("Charlotte", true, 170.0, "Found it, thank you!"),
    (
        "David",
        false,
        26.0,
        "Lunch tomorrow? There is a new place by the river.",
    ),
    ("David", false, 25.0, "They have dumplings."),
    ("David", false, 3.0, "Tell me by six, then I book a table."),
    ("Eleanor", true, 2_960.0, "Happy birthday!!"),
    (
        "Eleanor",
        false,
        2_900.0,
        "Thank you, that is very kind. See you at the party on Saturday?",
    ),
    (
        "Friedrich",
        false,
        4_400.0,
        "Rent for December is transferred.",
    ),
    (
        "Grace",
        false,
        7_300.0,
        "The train was late, I am on my way now.",
    ),
    ("Grace", true, 7_290.0, "No hurry, the film starts at nine."),
    (
        "Henry",
        false,
        14_400.0,
        "I left the keys with the neighbours on the second floor.",
    ),
];

/// Who has an account.
const NAMES: &[&str] = &[
    "Albert",
    "Alfred",
    "Alice",
    "Benjamin",
    "Charlotte",
    "David",
    "Eleanor",
    "Friedrich",
    "Grace",
    "Henry",
    "Isabel",
    "Jakob",
    "Katharina",
    "Leonard",
    "Margarete",
    "Nikolaus",
];

/// Who matches a pattern of letters, stars and both cases of a letter; enough for a demo.
pub(super) fn people(pattern: &str) -> Vec<Name> {
    // Every other piece is a class, whose first letter stands for both.
    let pieces = pattern.split(['[', ']']).enumerate();
    let wanted: String = pieces
        .flat_map(|(place, piece)| {
            let letters = if place % 2 == 1 { 1 } else { piece.len() };
            piece.chars().take(letters)
        })
        .filter(|letter| *letter != '*')
        .collect();
    let wanted = wanted.to_lowercase();
    let from_start = !pattern.starts_with('*');
    NAMES
        .iter()
        .filter(|name| {
            let name = name.to_lowercase();
            if from_start {
                name.starts_with(&wanted)
            } else {
                name.contains(&wanted)
            }
        })
        .map(Name::new)
        .collect()
}

/// Alice's account as this device and the servers have it; `unread_within` minutes are unread.
pub(super) fn sign_alice_in(stage: &mut Stage, unread_within: f64) {
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
    stage.tell(BackendEvent::SignedIn(StoredAccount {
        name: Name::new("Alice"),
        drafts: BTreeMap::from(drafts),
        outbox: Vec::new(),
        sent,
        muted: BTreeSet::from([Name::new("Friedrich")]),
    }));
    stage.link_up();
    stage.poll(1_000);
    let received = LINES.iter().enumerate().filter(|(_, line)| !line.1);
    let mut messages: Vec<Received> = received
        .map(|(number, (peer, _, minutes, text))| {
            let read = *minutes > unread_within;
            stage.received(peer, text, *minutes, read, 4_000 + number as u128)
        })
        .collect();
    messages.sort_by_key(|message| std::cmp::Reverse(message.commit.index));
    let unread = messages.iter().filter(|message| !message.read).count() as u64;
    stage.tell(BackendEvent::Inbox(InboxPage {
        messages,
        unread,
        place: PagePlace::First,
        more: false,
    }));
}

/// Somebody who has an account and nothing else.
pub(super) fn sign_newcomer_in(stage: &mut Stage) {
    stage.tell(BackendEvent::SignedIn(StoredAccount {
        name: Name::new("Alice"),
        drafts: BTreeMap::new(),
        outbox: Vec::new(),
        sent: Vec::new(),
        muted: BTreeSet::new(),
    }));
    stage.link_up();
    stage.poll(1_000);
    stage.tell(BackendEvent::Inbox(InboxPage {
        messages: Vec::new(),
        unread: 0,
        place: PagePlace::First,
        more: false,
    }));
}
