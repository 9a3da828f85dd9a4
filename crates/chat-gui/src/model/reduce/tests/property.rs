//! Whatever the order in which answers and events of an inbox arrive, and however often each
//! arrives, the window ends up with what the servers have; and messages only ever go forward.

use std::collections::BTreeMap;

use super::{Window, id, received};
use crate::model::event::{BackendEvent, InboxPage};
use crate::model::message::{CopyPlace, MessageState};
use crate::model::names::{LogIndex, MessageId};
use crate::model::timeline::TimelineItem;

const SEEDS: u64 = 300;
const PEERS: [&str; 3] = ["bob", "carol", "dave"];

/// What the servers have: by index, whether it was read.
type Inbox = BTreeMap<u64, bool>;

fn message(index: u64, read: bool) -> crate::model::message::StoredMessage {
    let mut message = received(index, PEERS[usize::try_from(index).unwrap() % 3], read);
    // Each name changes hands now and then.
    message.peer_since = Some(LogIndex(index / 7 * 7));
    message
}

/// A change, and the event about it.
fn change(inbox: &mut Inbox, next: &mut u64, dice: &mut fastrand::Rng) -> BackendEvent {
    let known: Vec<u64> = inbox.keys().copied().collect();
    match dice.choice(&known) {
        Some(index) if dice.u8(0..10) < 2 => {
            inbox.remove(index);
            BackendEvent::Deleted(vec![id(*index)])
        }
        Some(index) if dice.u8(0..10) < 4 => {
            inbox.insert(*index, true);
            BackendEvent::Read(vec![id(*index)])
        }
        _ => {
            *next += 1;
            inbox.insert(*next, false);
            BackendEvent::Arrived(message(*next, false))
        }
    }
}

fn pages(inbox: &Inbox, size: usize) -> Vec<BackendEvent> {
    let newest_first: Vec<_> = inbox.iter().rev().collect();
    let unread = inbox.values().filter(|read| !**read).count() as u64;
    let chunks: Vec<_> = if newest_first.is_empty() {
        vec![&newest_first[..]]
    } else {
        newest_first.chunks(size).collect()
    };
    let last = chunks.len() - 1;
    let page = |(number, chunk): (usize, &&[(&u64, &bool)])| {
        let more = number < last;
        let messages = chunk.iter().map(|(index, read)| message(**index, **read));
        BackendEvent::Inbox(InboxPage {
            messages: messages.collect(),
            unread,
            reaches: LogIndex(if more { *chunk[chunk.len() - 1].0 } else { 0 }),
            more,
            is_last: !more,
        })
    };
    chunks.iter().enumerate().map(page).collect()
}

fn shown(window: &Window) -> Inbox {
    let mut shown = Inbox::new();
    for conversation in window.model.conversations.values() {
        let mut lines = 0;
        for item in &conversation.timeline {
            let TimelineItem::Message { index, .. } = item else {
                continue;
            };
            assert_eq!(*index, lines, "every message has one line, in order");
            lines += 1;
            let message = &conversation.messages[*index];
            if let MessageState::Received { commit, read, .. } = message.state {
                let before = shown.insert(commit.index.0, read);
                assert_eq!(before, None, "nothing is shown twice");
            }
        }
        assert_eq!(lines, conversation.messages.len());
        assert!(
            conversation
                .messages
                .is_sorted_by_key(|message| message.sort_key)
        );
        let mut anew = conversation.clone();
        anew.rebuild_from(0, &window.model.zone);
        assert_eq!(conversation.timeline, anew.timeline);
        let unread = conversation.messages.iter().filter(|one| one.is_unread());
        assert_eq!(unread.count(), conversation.unread);
    }
    shown
}

/// Events are in order but may come twice, and arrive between the pages of an older state.
#[test]
fn window_converges_to_the_state_of_the_servers() {
    for seed in 0..SEEDS {
        let mut dice = fastrand::Rng::with_seed(seed);
        let (mut inbox, mut next) = (Inbox::new(), 0);
        for _ in 0..dice.u8(0..30) {
            change(&mut inbox, &mut next, &mut dice);
        }
        let mut window = Window::of_alice();
        for _ in 0..dice.usize(1..4) {
            // The gap: these are not reported.
            for _ in 0..dice.u8(0..10) {
                change(&mut inbox, &mut next, &mut dice);
            }
            window.receive(BackendEvent::FetchBegan);
            for page in pages(&inbox, dice.usize(1..8)) {
                window.receive(page);
                let mut reported = Vec::new();
                for _ in 0..dice.u8(0..4) {
                    reported.push(change(&mut inbox, &mut next, &mut dice));
                }
                for event in &reported {
                    window.receive(event.clone());
                }
                if dice.bool() {
                    for event in reported {
                        window.receive(event);
                    }
                }
            }
            assert_eq!(shown(&window), inbox, "seed {seed}");
            let unread = inbox.values().filter(|read| !**read).count();
            assert_eq!(window.model.unread, unread as u64, "seed {seed}");
        }
    }
}

/// Whatever the delivery reports and in whatever order, no message is there twice, lost, or goes
/// back from sent.
#[test]
fn state_of_an_own_message_only_moves_forward() {
    use crate::model::action::UserAction as Act;
    use crate::model::failure::Failure;
    for seed in 0..SEEDS {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut window = Window::of_alice();
        let ids: Vec<MessageId> = (0..5)
            .map(|number| window.send(&number.to_string()))
            .collect();
        let mut sent: BTreeMap<MessageId, u64> = BTreeMap::new();
        for step in 0..60 {
            let id = ids[dice.usize(0..ids.len())];
            match dice.u8(0..6) {
                0 => {
                    window.receive(BackendEvent::SendStarted { id, attempt: 1 });
                }
                1 => {
                    window.receive(BackendEvent::SendDelayed {
                        id,
                        why: Failure::OutcomeUnknown,
                        next_try: std::time::Duration::from_secs(1),
                    });
                }
                2 => {
                    window.receive(BackendEvent::SendRefused {
                        id,
                        why: Failure::RecipientMissing,
                    });
                }
                3 => {
                    window.act(Act::Retry(id));
                }
                4 => {
                    let index = *sent.entry(id).or_insert(100 + step);
                    window.receive(BackendEvent::SendAcknowledged {
                        id,
                        at: super::wall(index),
                        commit: super::commit(index),
                        copy: CopyPlace::Servers,
                    });
                }
                _ => {
                    window.receive(BackendEvent::Arrived(message(dice.u64(1..50), false)));
                }
            }
            window.wait(dice.u64(0..100));
            shown(&window);
            let messages = window.model.conversations.values();
            let own: BTreeMap<MessageId, bool> = messages
                .flat_map(|conversation| &conversation.messages)
                .filter(|message| message.is_own())
                .map(|message| (message.id, message.commit().is_some()))
                .collect();
            assert_eq!(own.len(), ids.len(), "seed {seed}");
            for (id, is_sent) in own {
                assert_eq!(is_sent, sent.contains_key(&id), "seed {seed}");
            }
            let waiting = window.model.outbox.len();
            assert_eq!(waiting, ids.len() - sent.len(), "seed {seed}");
        }
    }
}
