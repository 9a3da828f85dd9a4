//! R15, R16: random commands, with retries, duplicates and reordering: two replicas that split them
//! into different batches contain the same rows, and return the outcomes and events of the oracle.

use futures::executor::block_on;
use std::collections::BTreeMap;

use super::oracle::Oracle;
use super::*;
use crate::chat_state::retention::Retention;

/// So short that all kinds of rows are removed many times in one run.
const SHORT: Retention = Retention {
    entries_between: 7,
    rows_max: 3,
    deleted_at_once_max: 2,
    commits: 30,
    seconds: 60,
};

const NAMES: [&str; 4] = ["ann", "bob", "cat", "dan"];
const COMMANDS: usize = 1500;
/// Among how many commands the order may change.
const IN_FLIGHT_MAX: usize = 8;

/// A client's request. It is the same on each retry, while the leader prepares another command.
#[derive(Clone)]
struct Request {
    id: u8,
    session: Option<proto::Session>,
    kind: u8,
    name: &'static str,
    other: &'static str,
    number: u8,
}

impl Request {
    fn random(random: &mut fastrand::Rng, oracle: &Oracle) -> Self {
        // Reads and deletions are mostly of recent messages.
        let recent = u8::try_from(oracle.index / 8 % 240).unwrap();
        Self {
            id: random.u8(..),
            session: oracle.some_session(random),
            kind: random.u8(0..56),
            name: NAMES[random.usize(..NAMES.len())],
            other: NAMES[random.usize(..NAMES.len())],
            number: recent + random.u8(0..8),
        }
    }

    /// The command that a leader would propose now. Tokens are new each time.
    fn prepare(&self, oracle: &Oracle, token: u8, time: f64) -> Option<proto::Command> {
        let token_hash = Bytes::from(vec![token; 32]);
        let lifetime = Some(proto::SessionLifetime {
            idle_seconds: 64,
            absolute_seconds: 300,
        });
        let session = self.session.clone();
        let message_ids: Vec<String> = (0..self.id % 9)
            .map(|step| message_id(self.number.saturating_add(step)))
            .collect();
        let operation = match self.kind {
            0 | 1 => Operation::CreateUser(proto::CreateUser {
                username: self.name.to_owned(),
                password_hash: String::new(),
                token_hash,
                lifetime,
            }),
            2 | 3 => Operation::CreateSession(proto::CreateSession {
                username: self.name.to_owned(),
                credential: Some(oracle.credential(self.name)?),
                token_hash,
                lifetime,
                password_hash: String::new(),
            }),
            4 => Operation::Logout(proto::Logout { session }),
            5 => Operation::DeleteUser(proto::DeleteUser { session }),
            6 => Operation::ChangePassword(proto::ChangePassword {
                session,
                password_hash: String::new(),
                token_hash,
                lifetime,
            }),
            7 => Operation::RenewSession(proto::RenewSession { session }),
            8..=13 => Operation::ReadMessages(proto::ReadMessages {
                session,
                message_ids,
            }),
            14..=16 | 52.. => Operation::DeleteMessages(proto::DeleteMessages {
                session,
                message_ids,
            }),
            _ => {
                let session = session?;
                let message = proto::SendMessage {
                    token_hash: session.token_hash,
                    credential: session.credential,
                    message_id: message_id(self.number),
                    sender: session.username,
                    recipient: self.other.to_owned(),
                    body: format!("text {}", self.id % 3),
                };
                if self.kind < 34 {
                    Operation::SendMessage(message)
                } else {
                    Operation::SendWithOptions(proto::SendWithOptions {
                        message: Some(message),
                        keep_copy: !self.id.is_multiple_of(5),
                        reply_to: match self.id % 4 {
                            0 => message_id(self.id / 4),
                            _ => String::new(),
                        },
                        written_at: 0.0,
                    })
                }
            }
        };
        operation_needs_session(&operation, self.session.is_some()).then(|| proto::Command {
            request_id: vec![self.id; 16].into(),
            time,
            operation: Some(operation),
        })
    }
}

fn operation_needs_session(operation: &Operation, there_is_one: bool) -> bool {
    there_is_one
        || matches!(
            operation,
            Operation::CreateUser(_) | Operation::CreateSession(_)
        )
}

fn message_id(number: u8) -> String {
    format!("m{number}")
}

/// Commands in log order, the oracle's outcomes and events, and its final tables.
struct History {
    entries: Vec<CommittedEntry>,
    outcomes: Vec<String>,
    events: Vec<Event>,
    tables: Vec<String>,
    kept_and_renewed: (u32, u32),
}

fn history(seed: u64) -> History {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut oracle = Oracle::new(SHORT);
    let mut requests: Vec<Request> = Vec::new();
    let mut in_flight: Vec<proto::Command> = Vec::new();
    let (mut entries, mut outcomes, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let mut time = 1000.0;
    let mut tombstones_removed = 0;
    while entries.len() < COMMANDS {
        time += random.f64() * 2.0;
        // Retries are mostly of recent requests.
        let reach = if random.u8(0..8) == 0 { 400 } else { 10 };
        let old = random.usize(0..reach);
        let retried = requests
            .len()
            .checked_sub(old + 1)
            .filter(|_| random.u8(0..4) == 0);
        let request = match retried {
            Some(place) => requests[place].clone(),
            None => Request::random(&mut random, &oracle),
        };
        // A leader's clock may be behind that of the leader before it.
        let clock = if random.u8(0..20) == 0 {
            time - 30.0
        } else {
            time
        };
        in_flight.extend(request.prepare(&oracle, random.u8(..), clock));
        requests.push(request);
        let few = in_flight.len() < IN_FLIGHT_MAX;
        if in_flight.is_empty() || (few && random.u8(0..4) == 0) {
            continue;
        }
        let next = random.usize(..in_flight.len());
        let command = if few && random.u8(0..8) == 0 {
            in_flight[next].clone()
        } else {
            in_flight.swap_remove(next)
        };
        let before = oracle.message_and_tombstone_counts().1;
        let (outcome, change) = oracle.apply(&command);
        tombstones_removed += usize::from(oracle.message_and_tombstone_counts().1 < before);
        entries.push(entry(oracle.index, &command));
        outcomes.push(outcome);
        let commit = Position::new(oracle.index, 1);
        events.extend(change.map(|change| Event { commit, change }));
    }
    assert!(tombstones_removed > 5, "{tombstones_removed}");
    History {
        entries,
        outcomes,
        events,
        tables: oracle.dump(),
        kept_and_renewed: oracle.kept_and_renewed,
    }
}

struct Replica {
    directory: TempDir,
    outcomes: Vec<String>,
    events: Vec<Event>,
}

fn replay(entries: &[CommittedEntry], seed: u64) -> Replica {
    let directory = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut state, _) = ChatState::open_with(directory.path(), SHORT).unwrap();
    let (mut outcomes, mut events) = (Vec::new(), Vec::new());
    let mut rest = entries;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(random.usize(1..=90).min(rest.len()));
        let applied = block_on(state.apply(batch)).unwrap();
        outcomes.extend(applied.outcomes.iter().map(|outcome| show(outcome)));
        events.extend(applied.events);
        rest = after;
        if random.u8(0..6) == 0 {
            state.close().unwrap();
            (state, _) = ChatState::open_with(directory.path(), SHORT).unwrap();
        }
    }
    state.close().unwrap();
    Replica {
        directory,
        outcomes,
        events,
    }
}

#[test]
fn replicas_agree_with_the_oracle() {
    let mut seen = BTreeMap::new();
    let (mut kept, mut renewed) = (0, 0);
    for seed in 0..5 {
        let history = history(seed);
        kept += history.kept_and_renewed.0;
        renewed += history.kept_and_renewed.1;
        let outcomes = history
            .outcomes
            .iter()
            .map(|outcome| outcome.split(' ').next());
        let events = history.events.iter().map(|event| name(&event.change));
        for kind in outcomes.flatten().chain(events) {
            *seen.entry(kind.to_owned()).or_insert(0) += 1;
        }
        let one = replay(&history.entries, seed);
        for (place, (found, expected)) in one.outcomes.iter().zip(&history.outcomes).enumerate() {
            assert_eq!(found, expected, "seed {seed}, entry {}", place + 1);
        }
        for (found, expected) in one.events.iter().zip(&history.events) {
            assert_eq!(found, expected, "seed {seed}");
        }
        assert_eq!(one.events.len(), history.events.len(), "seed {seed}");
        let rows = rows(one.directory.path(), DUMP);
        assert_eq!(rows, history.tables, "seed {seed}");

        let other = replay(&history.entries, seed + 1000);
        let all = |replica: &Replica| rows_of_all_tables(replica.directory.path());
        assert!(all(&one) == all(&other), "seed {seed}");
    }
    assert!(kept >= 20 && renewed >= 5, "{kept} {renewed}");
    // Each kind of outcome and event occurred.
    assert_eq!(seen.len(), 17, "{seen:?}");
    assert!(seen.values().all(|times| *times >= 20), "{seen:?}");
}

fn name(change: &Change) -> &'static str {
    match change {
        Change::MessageStored(_) => "message stored",
        Change::MessageCopied { .. } => "message copied",
        Change::MessagesRead { .. } => "messages read",
        Change::MessagesDeleted { .. } => "messages deleted",
        Change::AccountDeleted { .. } => "account deleted",
        Change::PasswordChanged { .. } => "password changed",
        Change::SessionEnded { .. } => "session ended",
    }
}

/// The contents of the oracle, one line a row.
pub(super) const DUMP: [&str; 9] = [
    "SELECT 'user ' || username || ' ' || incarnation || ' ' || credential_version \
     FROM users ORDER BY username",
    "SELECT 'inbox ' || username || ' ' || messages || ' ' || unread \
     FROM users LEFT JOIN inboxes ON account = incarnation ORDER BY username",
    "SELECT 'session ' || unhex_first || ' ' || username || ' ' || last_used || ' ' || expires \
     || ' ' || ended FROM (SELECT *, \
     instr('0123456789ABCDEF', substr(hex(token_hash), 1, 1)) * 16 - 17 \
     + instr('0123456789ABCDEF', substr(hex(token_hash), 2, 1)) AS unhex_first, \
     CASE WHEN ended_by IS NULL THEN 0 ELSE \
     instr('0123456789ABCDEF', substr(hex(ended_by), 1, 1)) * 16 - 17 \
     + instr('0123456789ABCDEF', substr(hex(ended_by), 2, 1)) END AS ended \
     FROM sessions) ORDER BY token_hash",
    "SELECT 'message ' || commit_index || ' ' || id || ' ' || sender || ' ' || sender_since || ' ' \
     || recipient || ' [' \
     || body || '] ' || ifnull(reply_to, '-') || ' ' || read || ' ' || deleted || ' ' || deleted_at \
     FROM messages ORDER BY commit_index",
    "SELECT 'copy ' || commit_index || ' ' || owner || ' ' || recipient_since || ' [' || body || '] ' \
     || ifnull(reply_to, '-') FROM copies ORDER BY commit_index",
    "SELECT 'copies ' || username || ' ' || ifnull(copies, 0) \
     FROM users LEFT JOIN copy_counts ON account = incarnation ORDER BY username",
    "SELECT 'count without an account ' || account FROM copy_counts \
     WHERE account NOT IN (SELECT incarnation FROM users)",
    "SELECT 'former ' || deleted || ' ' || username || ' ' || deleted_at \
     FROM former_accounts ORDER BY deleted",
    "SELECT 'erasure ' || deleted || ' ' || username FROM erasures ORDER BY deleted",
];

fn rows_of_all_tables(directory: &Path) -> Vec<String> {
    rows(
        directory,
        [
            "SELECT quote(only) || quote(applied_index) || quote(applied_term) \
             || quote(last_timestamp) FROM progress",
            "SELECT quote(username) || quote(password) || quote(incarnation) \
             || quote(credential_version) || quote(created_by_request) || quote(password_request) \
             FROM users ORDER BY username",
            "SELECT quote(account) || ' ' || quote(messages) || ' ' || quote(unread) FROM inboxes",
            "SELECT quote(token_hash) || quote(username) || quote(incarnation) \
             || quote(credential_version) || ' ' || quote(idle_seconds) || ' ' || quote(ends) \
             || ' ' || quote(last_used) || ' ' || quote(expires) || quote(ended_by) \
             FROM sessions ORDER BY token_hash",
            "SELECT quote(commit_index) || ' ' || quote(commit_term) || quote(id) || quote(sender) \
             || ' ' || quote(sender_since) || quote(recipient) || quote(body) || quote(timestamp) || quote(read) \
             || ' ' || quote(deleted) || ' ' || quote(deleted_at) || quote(reply_to) || quote(written_at) \
             FROM messages ORDER BY 1",
            "SELECT quote(commit_index) || quote(owner) || quote(recipient_since) || quote(body) \
             || quote(reply_to) || quote(written_at) FROM copies ORDER BY 1",
            "SELECT quote(account) || ' ' || quote(copies) FROM copy_counts ORDER BY 1",
            "SELECT quote(deleted) || ' ' || quote(deleted_at) || quote(username) \
             || quote(created_by_request) FROM former_accounts ORDER BY 1",
        ],
    )
}

fn rows<const QUERIES: usize>(directory: &Path, queries: [&'static str; QUERIES]) -> Vec<String> {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(database(directory));
        let mut connection = options.connect().await.unwrap();
        let mut lines = Vec::new();
        for query in queries {
            let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
            lines.extend(rows.iter().map(|row| row.get::<String, _>(0)));
        }
        connection.close().await.unwrap();
        lines
    })
}
