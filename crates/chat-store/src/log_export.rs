//! The log for people: its entries as text, and as a table in a SQLite file.
//!
//! Nothing in the node's directory is changed, and a node that runs is not disturbed. What identifies
//! a session or a password is left out unless it is asked for.

use std::io::{self, Write};
use std::path::Path;

use chat_consensus::{ChainValue, Entry, LogIndex, Membership, NodeId, Payload};
use chat_log::{DryRun, Finding, Options, OsDirectory, ReadLimits, SegmentLog, SegmentReader};
use chat_proto::storage::v1::{self as proto, command::Operation};
use futures::executor::block_on;
use prost::Message as _;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// How much is read at once.
const STEP: ReadLimits = ReadLimits {
    entries_max: 4096,
    bytes_max: 4 << 20,
};

/// Whether hashes of passwords and tokens are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// They are left out.
    Redacted,
    /// They are shown as they are.
    Shown,
}

/// Why a log could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] chat_log::LogError),
    /// The text, or the file, cannot be written.
    #[error("the result cannot be written")]
    Write(#[from] io::Error),
    /// The SQLite file cannot be written.
    #[error("the SQLite file cannot be written")]
    Sqlite(#[from] sqlx::Error),
}

/// A log that is only looked at.
#[derive(Debug)]
pub struct ShownLog {
    reader: SegmentReader<DryRun<OsDirectory>>,
    findings: Vec<Finding>,
    begins: LogIndex,
    last: LogIndex,
    chain: ChainValue,
    _log: SegmentLog<DryRun<OsDirectory>>,
}

impl ShownLog {
    /// The log in the data directory `directory` of `node`.
    ///
    /// # Errors
    ///
    /// [`ExportError::Log`] when there is none, or it is damaged in its middle.
    pub fn open(directory: &Path, node: NodeId) -> Result<Self, ExportError> {
        let directory = DryRun(OsDirectory::new(directory.join("log")));
        // No id that is made here is ever written.
        let (log, opened) = SegmentLog::open(directory, Options::new(node), || 1)?;
        let base = opened.stored.base.as_ref();
        Ok(Self {
            reader: log.reader(),
            findings: opened.findings,
            begins: base.map_or(LogIndex::ZERO, |base| base.position.index),
            last: opened.stored.last.index,
            chain: base.map_or(ChainValue([0; 16]), |base| base.chain),
            _log: log,
        })
    }

    /// What a start with this log would find damaged or missing.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Writes one line for each entry after `after`: place, term, and what it asks for.
    ///
    /// # Errors
    ///
    /// When an entry cannot be read or the text not written.
    pub fn show(
        &mut self,
        after: LogIndex,
        secrets: Secrets,
        text: &mut impl Write,
    ) -> Result<(), ExportError> {
        self.for_each(after, |entry, _| {
            let position = entry.position;
            let what = describe(&entry.payload, secrets);
            Ok(writeln!(
                text,
                "{}@{} {what}",
                position.index, position.term
            )?)
        })
    }

    /// Writes all entries into a new SQLite file at `path` (0600), table `commits`: `index`, `term`,
    /// `kind` (0 empty, 2 command), `payload`, `chain`, and `text` as [`Self::show`] writes it. A
    /// payload without its secrets is another than the one that `chain` covers.
    ///
    /// # Errors
    ///
    /// When the file exists or cannot be written, or an entry cannot be read.
    pub fn export(&mut self, path: &Path, secrets: Secrets) -> Result<u64, ExportError> {
        let new = private_file::open_options().create_new(true).open(path)?;
        drop(new);
        let options = SqliteConnectOptions::new().filename(path);
        let mut database: SqliteConnection = block_on(options.connect())?;
        let script = "BEGIN; CREATE TABLE commits (\"index\" INTEGER PRIMARY KEY, term INTEGER NOT NULL, \
             kind INTEGER NOT NULL, payload BLOB NOT NULL, chain BLOB NOT NULL, text TEXT NOT NULL)";
        block_on(sqlx::raw_sql(script).execute(&mut database))?;
        let mut written = 0;
        self.for_each(self.begins, |entry, chain| {
            let (kind, payload) = match &entry.payload {
                Payload::Empty => (0, Vec::new()),
                Payload::Command(command) => (2, stored(command, secrets)),
                Payload::Membership(members) => (3, members.encode()),
            };
            let query = sqlx::query("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?)")
                .bind(entry.position.index.0.cast_signed())
                .bind(entry.position.term.0.cast_signed())
                .bind(kind)
                .bind(payload)
                .bind(chain.0.to_vec())
                .bind(describe(&entry.payload, secrets));
            block_on(query.execute(&mut database))?;
            written += 1;
            Ok(())
        })?;
        block_on(sqlx::raw_sql("COMMIT").execute(&mut database))?;
        block_on(database.close())?;
        Ok(written)
    }

    fn for_each(
        &mut self,
        after: LogIndex,
        mut visit: impl FnMut(&Entry, ChainValue) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut chain = self.chain;
        let mut read_to = self.begins;
        while read_to < self.last {
            let entries = self.reader.read(read_to, self.last, STEP)?;
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                chain = chain.next(entry);
                read_to = entry.position.index;
                if read_to > after {
                    visit(entry, chain)?;
                }
            }
        }
        Ok(())
    }
}

/// The command as it is written into a table.
fn stored(command: &[u8], secrets: Secrets) -> Vec<u8> {
    match (secrets, proto::Command::decode(command)) {
        (Secrets::Redacted, Ok(command)) => redacted(command).encode_to_vec(),
        (Secrets::Redacted, Err(_)) => Vec::new(),
        (Secrets::Shown, _) => command.to_vec(),
    }
}

/// Who counts from a change of the members on.
fn describe_members(members: &Membership) -> String {
    let voters = members.voters.iter().map(|voter| voter.node.to_string());
    let voters: Vec<String> = voters.collect();
    let learners: Vec<String> = members.learners.iter().map(NodeId::to_string).collect();
    match learners.is_empty() {
        true => format!("voters {}", voters.join(", ")),
        false => format!(
            "voters {}; learners {}",
            voters.join(", "),
            learners.join(", ")
        ),
    }
}

/// One line about an entry.
fn describe(payload: &Payload, secrets: Secrets) -> String {
    let bytes = match payload {
        Payload::Empty => return "no-op".to_owned(),
        Payload::Membership(members) => return describe_members(members),
        Payload::Command(bytes) => bytes,
    };
    let Ok(command) = proto::Command::decode(bytes.clone()) else {
        return format!("{} bytes that are no command", bytes.len());
    };
    let command = match secrets {
        Secrets::Redacted => redacted(command),
        Secrets::Shown => command,
    };
    let time = command.time;
    match command.operation {
        Some(operation) => format!("at {time:.3} {operation:?}"),
        None => format!("at {time:.3} an operation of another version"),
    }
}

/// The command without what identifies a session or a password.
fn redacted(mut command: proto::Command) -> proto::Command {
    let session = |session: &mut Option<proto::Session>| {
        if let Some(session) = session {
            session.token_hash.clear();
        }
    };
    match &mut command.operation {
        Some(Operation::CreateUser(create)) => {
            create.password_hash.clear();
            create.token_hash.clear();
        }
        Some(Operation::CreateSession(create)) => {
            create.password_hash.clear();
            create.token_hash.clear();
        }
        Some(Operation::SendMessage(send)) => send.token_hash.clear(),
        Some(Operation::SendWithOptions(send)) => {
            if let Some(message) = &mut send.message {
                message.token_hash.clear();
            }
        }
        Some(Operation::Logout(logout)) => session(&mut logout.session),
        Some(Operation::ReadMessages(read)) => session(&mut read.session),
        Some(Operation::DeleteMessages(delete)) => session(&mut delete.session),
        Some(Operation::DeleteUser(delete)) => session(&mut delete.session),
        Some(Operation::ChangePassword(change)) => {
            session(&mut change.session);
            change.password_hash.clear();
            change.token_hash.clear();
        }
        Some(Operation::RenewSession(renew)) => session(&mut renew.session),
        None => {}
    }
    command
}
