//! Which request or reply loses its room first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Amounts, Budgets, LARGE_REPLY_BYTES, READING_TIMEOUT};
use crate::net::connection_limit::{Connection, ConnectionLimits, Connections};

/// Room for eight bodies of 1,000 bytes, of which one source may have four.
const AMOUNTS: Amounts = Amounts {
    requests: 16,
    request_bytes: 8_800,
    stalled: 9,
    reply_bytes: 1_000,
    reply_bytes_of_connection: 300,
};

fn connections() -> impl Fn(u8) -> Arc<Connection> {
    let limits = ConnectionLimits {
        total: 100,
        per_source: 100,
        idle: None,
    };
    let connections = Connections::new("test", limits);
    move |host| {
        let peer = SocketAddr::from(([192, 0, 2, host], 1));
        connections.admit(Some(peer)).unwrap()
    }
}

#[test]
fn request_counts_until_its_reply() {
    let from = connections();
    let budgets = Budgets::with(AMOUNTS);
    let admit = |host| budgets.admit(&from(host), 10);
    let mut admitted: Vec<_> = (0..8).map(|_| admit(1).unwrap()).collect();
    assert!(admit(1).is_none(), "half is left to others");
    admitted.extend((0..8).map(|_| admit(2).unwrap()));
    assert!(admit(3).is_none(), "full");
    admitted.clear();
    let requests = budgets.lock_requests();
    assert_eq!((requests.count, requests.bytes), (0, 0));
    assert!(requests.sources.is_empty());
}

#[test]
fn oldest_unfinished_body_is_evicted_first() {
    let from = connections();
    let budgets = Budgets::with(Amounts {
        requests: 100,
        ..AMOUNTS
    });
    let stall = |host| {
        let admitted = budgets.admit(&from(host), 10).unwrap();
        assert!(admitted.grow(1_000));
        let (_, stalled) = admitted.stall();
        (admitted, stalled)
    };
    let bodies: Vec<_> = [1, 1, 1, 1, 2, 2, 2, 2].map(stall).into();
    let evicted = || {
        let evicted = bodies
            .iter()
            .map(|(_, body)| body.is_evicted(Waker::noop()));
        evicted.collect::<Vec<bool>>()
    };
    assert_eq!(evicted(), [false; 8]);
    let _fifth_of_second = stall(2);
    let mut expected = [false; 8];
    expected[4] = true;
    assert_eq!(evicted(), expected, "its own source's oldest");
    let _of_third = stall(3);
    expected[0] = true;
    assert_eq!(evicted(), expected, "the oldest of all");
    // A body that arrives at once needs bytes, but is not among the unfinished ones.
    let admitted = budgets.admit(&from(4), 10).unwrap();
    assert!(admitted.grow(1_000));
    expected[1] = true;
    assert_eq!(evicted(), expected);
    // The number of unfinished bodies is limited, too, however short they are.
    let short: Vec<_> = (0..8)
        .map(|_| {
            let admitted = budgets.admit(&from(5), 0).unwrap();
            let stalled = admitted.stall();
            (admitted, stalled)
        })
        .collect();
    expected[2..].fill(true);
    assert_eq!(evicted(), expected);
    drop(short);
    drop((bodies, _fifth_of_second, _of_third, admitted));
}

#[test]
fn reply_counts_until_it_is_read() {
    let from = connections();
    let budgets = Budgets::with(AMOUNTS);
    let (first, second) = (from(1), from(2));
    let long = budgets.hold_reply(&first, 900).unwrap();
    assert!(budgets.hold_reply(&first, 10).is_none(), "one at a time");
    let _short = budgets.hold_reply(&second, 100).unwrap();
    assert!(budgets.hold_reply(&from(3), 1).is_none(), "full");
    drop(long);
    assert!(budgets.hold_reply(&first, 300).is_some());
    assert_eq!(budgets.lock_replies().bytes, 100);
}

#[test]
fn large_replies_leave_room_for_small_ones() {
    let from = connections();
    let budgets = Budgets::with(Amounts {
        reply_bytes: 4 * LARGE_REPLY_BYTES,
        ..AMOUNTS
    });
    let large = 3 * LARGE_REPLY_BYTES;
    let _held = budgets.hold_reply(&from(1), large).unwrap();
    assert!(
        budgets
            .hold_reply(&from(2), LARGE_REPLY_BYTES + 1)
            .is_none()
    );
    assert!(budgets.hold_reply(&from(2), LARGE_REPLY_BYTES).is_some());
}

#[test]
fn connection_of_slow_reader_is_closed() {
    let from = connections();
    let budgets = Budgets::with(AMOUNTS);
    let slow = from(1);
    let unread = budgets.hold_reply(&slow, 900).unwrap();
    budgets.close_slow_readers(Instant::now());
    assert!(!slow.is_closed());
    budgets.close_slow_readers(Instant::now() + READING_TIMEOUT);
    assert!(slow.is_closed());
    assert_eq!(budgets.lock_replies().bytes, 0);
    drop(unread);
    assert_eq!(budgets.lock_replies().bytes, 0, "once");
    // Sooner when another one needs the room.
    let slow = from(1);
    let _unread = budgets.hold_reply(&slow, 900).unwrap();
    let later = Instant::now() + Duration::from_secs(1);
    budgets
        .lock_replies()
        .close_older_than(super::READING_TIMEOUT_WHEN_FULL, later);
    assert!(slow.is_closed());
}
