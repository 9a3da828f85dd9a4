//! What attackers do to a node, for a limited time.
//!
//! An attacker does the same to every target: it repeats its actions at its own pace, also where the
//! target has not closed its connection. Only attackers without a pace do as much as they get replies.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_proto::chat::v1::ExecuteRequest;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::raw_http2::{FRAME_BYTES_MAX, RawConnection, message_head};
use chat_tests::processes::request_json;
use prost::Message as _;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::limits::ATTACKERS;

/// How often an attacker begins anew.
const PACE: Duration = Duration::from_secs(1);
/// Longer than any attack.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// A page for each of so many, an attacker whose inbox is full logs in.
const PAGES_OF_LOGIN: usize = 20;
const EXECUTE: &str = "/chat.v1.Chat/Execute";

/// What an attacker aims at, and what he has.
#[derive(Clone)]
pub(super) struct Aim {
    pub(super) targets: Vec<SocketAddr>,
    /// An account of his own.
    pub(super) username: &'static str,
    pub(super) digest: String,
    pub(super) token: String,
    pub(super) ends: Instant,
    /// How often an attacker has begun something.
    pub(super) begun: Arc<AtomicUsize>,
}

pub(super) type Attack = fn(Aim) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// By attackers with an account, or without one.
pub(super) const ATTACKS: [(&str, Attack); 7] = [
    ("silent connections", |aim| {
        Box::pin(aim.by(900, |aim, target| aim.paced(target, silent)))
    }),
    ("zero windows", |aim| {
        Box::pin(aim.by(20, |aim, target| aim.paced(target, zero_window)))
    }),
    ("half requests", |aim| {
        Box::pin(aim.by(20, |aim, target| aim.paced(target, half_requests)))
    }),
    ("64 MiB messages", |aim| {
        Box::pin(aim.by(8, |aim, target| aim.paced(target, large_messages)))
    }),
    ("resets", |aim| Box::pin(aim.by(4, resets))),
    ("garbage for tokens", |aim| Box::pin(aim.by(16, garbage))),
    ("scans of all names", |aim| Box::pin(aim.by(8, scans))),
];

/// Of an account whose inbox is fuller than any other's.
pub(super) const FULL_INBOX: (&str, Attack) =
    ("a full inbox", |aim| Box::pin(aim.by(4, full_inbox)));

impl Aim {
    /// Whether something more is to be begun.
    fn begins(&self) -> bool {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Instant::now() < self.ends
    }

    /// Runs `attacker` so many times at each target. None outlives the attack.
    async fn by<F: Future<Output = ()> + Send + 'static>(
        self,
        attackers: usize,
        attacker: fn(Self, SocketAddr) -> F,
    ) {
        let mut attacking = JoinSet::new();
        for target in &self.targets {
            for _ in 0..attackers {
                attacking.spawn(attacker(self.clone(), *target));
            }
        }
        let remaining = self.ends.saturating_duration_since(Instant::now());
        drop(timeout(remaining, attacking.join_all()).await);
    }

    /// Does it again and again at the attackers' pace, and never twice at once.
    async fn paced<F: Future<Output = io::Result<()>> + Send>(
        self,
        target: SocketAddr,
        once: fn(Self, SocketAddr) -> F,
    ) {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while self.begins() {
            // A server may close whatever it wants.
            drop(timeout(PACE, once(self.clone(), target)).await);
            ticks.tick().await;
        }
    }

    /// Sends a request with a token, and ignores the reply.
    async fn send(&self, client: &PlainClient, request: &Value, token: Option<&str>) {
        drop(client.execute(request, token, WAIT_TIMEOUT).await);
    }
}

/// Connects and sends nothing.
async fn silent(_aim: Aim, target: SocketAddr) -> io::Result<()> {
    RawConnection::connect(ATTACKERS, target)
        .await?
        .closed()
        .await;
    Ok(())
}

fn call_of(request: &Value) -> Vec<u8> {
    let request = ExecuteRequest {
        request: request.to_string(),
    };
    let message = request.encode_to_vec();
    let mut call = message_head(message.len()).to_vec();
    call.extend(message);
    call
}

/// Requests 64 of the longest pages, and leaves no window for any.
async fn zero_window(aim: Aim, target: SocketAddr) -> io::Result<()> {
    let mut connection = RawConnection::connect(ATTACKERS, target).await?;
    connection.send_preface(0).await?;
    for stream in (1..128).step_by(2) {
        let call = call_of(&request_json::get_messages(aim.username));
        connection.call(stream, EXECUTE, Some(&aim.token)).await?;
        connection.data(stream, &call, true).await?;
    }
    connection.closed().await;
    Ok(())
}

/// Begins 100 of the longest requests, and ends none.
async fn half_requests(_aim: Aim, target: SocketAddr) -> io::Result<()> {
    let mut connection = RawConnection::connect(ATTACKERS, target).await?;
    connection.send_preface(65_535).await?;
    for stream in (1..200).step_by(2) {
        connection.call(stream, EXECUTE, None).await?;
        connection
            .data(stream, &message_head(160 * 1024), false)
            .await?;
        connection.data(stream, &[b'x'; 600], false).await?;
    }
    connection.closed().await;
    Ok(())
}

/// Announces 64 MiB and sends on until the connection is closed.
async fn large_messages(_aim: Aim, target: SocketAddr) -> io::Result<()> {
    let mut connection = RawConnection::connect(ATTACKERS, target).await?;
    connection.send_preface(65_535).await?;
    connection.call(1, EXECUTE, None).await?;
    connection.data(1, &message_head(64 << 20), false).await?;
    for _ in 0..(64 << 20) / FRAME_BYTES_MAX {
        connection.data(1, &[b'x'; FRAME_BYTES_MAX], false).await?;
    }
    Ok(())
}

/// Cancels each request at once, as fast as the server allows it.
async fn resets(aim: Aim, target: SocketAddr) {
    while aim.begins() {
        let resetting = async {
            let mut connection = RawConnection::connect(ATTACKERS, target).await?;
            connection.send_preface(65_535).await?;
            for stream in (1..2_000).step_by(2) {
                connection.call(stream, EXECUTE, None).await?;
                connection.reset(stream).await?;
            }
            Ok::<_, io::Error>(())
        };
        drop(resetting.await);
        tokio::task::yield_now().await;
    }
}

/// A token of the right form that no session has: of the first release, of an entry that every node has
/// applied, or of one that none has.
pub(super) fn garbage_token() -> String {
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    match fastrand::u8(0..3) {
        0 => secret,
        1 => format!("{secret}.1"),
        _ => format!("{secret}.{}", u64::MAX),
    }
}

/// Reads with tokens that no session has.
async fn garbage(aim: Aim, target: SocketAddr) {
    let Some(client) = connect(target).await else {
        return;
    };
    while aim.begins() {
        let request = request_json::get_messages(aim.username);
        aim.send(&client, &request, Some(&garbage_token())).await;
    }
}

/// Lists names by a pattern that none has.
async fn scans(aim: Aim, target: SocketAddr) {
    let Some(client) = connect(target).await else {
        return;
    };
    while aim.begins() {
        let request = request_json::list_users("*x*y*z*no-match*");
        aim.send(&client, &request, Some(&aim.token)).await;
    }
}

/// Reads pages, and logs in now and then.
async fn full_inbox(aim: Aim, target: SocketAddr) {
    let Some(client) = connect(target).await else {
        return;
    };
    while aim.begins() {
        for _ in 0..PAGES_OF_LOGIN {
            let request = request_json::get_messages(aim.username);
            aim.send(&client, &request, Some(&aim.token)).await;
        }
        let request = request_json::login(aim.username, &aim.digest);
        aim.send(&client, &request, None).await;
    }
}

async fn connect(target: SocketAddr) -> Option<PlainClient> {
    let connecting = PlainClient::connect_from(ATTACKERS, target);
    timeout(WAIT_TIMEOUT, connecting).await.ok()?.ok()
}
