//! What the leader makes of a request of a node of another version.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_app::host::{Host, PasswordError, PasswordHasher, RandomnessError, Requester, Verified};
use chat_app::limits::inbox_room::InboxRoom;
use chat_app::limits::quotas::{QuotaLimits, Quotas};
use chat_app::log_clock::{LogClock, Reading};
use chat_app::preparation::{Counters, LeaderPreparation, Preparing, SessionLifetime};
use chat_app::request::Digest;
use chat_replication::Prepared;
use chat_store::{ChatReader, ChatState};
use tempfile::TempDir;

#[derive(Debug)]
struct Stopped;

impl Host for Stopped {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_seconds(&self) -> i64 {
        0
    }

    async fn until<T: Send>(
        &self,
        _deadline: Instant,
        future: impl Future<Output = T> + Send,
    ) -> Option<T> {
        Some(future.await)
    }

    fn fill_random(&self, _bytes: &mut [u8]) -> Result<(), RandomnessError> {
        Err(RandomnessError("none is needed".to_owned()))
    }
}

#[derive(Debug)]
struct NoPasswords;

impl PasswordHasher for NoPasswords {
    async fn hash_for_account(&self, _: &Requester, _: Digest) -> Result<String, PasswordError> {
        Err(PasswordError::Overloaded)
    }

    async fn hash_for_change(&self, _: &Requester, _: Digest) -> Result<String, PasswordError> {
        Err(PasswordError::Overloaded)
    }

    async fn verify_for_login(
        &self,
        _: &Requester,
        _: Digest,
        _: Option<String>,
    ) -> Result<Verified, PasswordError> {
        Err(PasswordError::Overloaded)
    }

    async fn verify_for_change(
        &self,
        _: &Requester,
        _: Digest,
        _: Option<String>,
    ) -> Result<bool, PasswordError> {
        Err(PasswordError::Overloaded)
    }
}

fn tables() -> (TempDir, ChatState, ChatReader) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (state, reader) = ChatState::open(folder.path()).expect("tables can be made");
    (folder, state, reader)
}

fn leader(reader: ChatReader) -> LeaderPreparation<NoPasswords, Stopped> {
    let stopped = Reading {
        wall: 0.0,
        running: 0.0,
    };
    LeaderPreparation {
        reader,
        passwords: NoPasswords,
        host: Arc::new(Stopped),
        lifetime: SessionLifetime {
            idle_seconds: 1,
            absolute_seconds: 1,
        },
        clock: Arc::new(LogClock::new(move || stopped, Duration::ZERO, 0.0)),
        quotas: Arc::new(Quotas::new(QuotaLimits {
            account_requests_per_second: 1,
            account_requests_burst: 1,
            free_bytes_min: 0,
        })),
        inboxes: InboxRoom::new(1),
        copies: InboxRoom::new(1),
        counters: Counters::default(),
    }
}

/// The request of an older node to end a session: its fields had the numbers 1 and 6. A reply would be
/// read as success there.
#[test]
fn request_of_another_version_gets_no_reply() {
    let (_folder, _state, reader) = tables();
    let leader = leader(reader);
    let logout = [&[0x0a, 16][..], &[7; 16], &[0x32, 0]].concat();
    let login = [&[0x0a, 16][..], &[7; 16], &[0x1a, 3, 0x0a, 1, b'a']].concat();
    for request in [logout, login, vec![], vec![0xff], vec![0x62, 1, 0xff]] {
        let prepared = leader.begin(Bytes::from(request.clone()));
        assert!(
            matches!(prepared, Preparing::Ready(Prepared::Failed)),
            "{request:?}: {prepared:?}"
        );
    }
}
