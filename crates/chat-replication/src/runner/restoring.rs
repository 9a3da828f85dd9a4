//! What a start does with the state before the replica runs: compares it with the log, and restores it
//! from a snapshot of this node if it ends before the log begins (R24).

use std::path::PathBuf;
use std::time::Duration;

use chat_consensus::{ChainValue, LogIndex, Position, Snapshot, Stored, TermIndex};
use chat_log::{OsDirectory, SnapshotStore};

use crate::runner::log_store::{LogReader, LogStore, ReadLimits};
use crate::runner::snapshot_directory::{self, TemporaryDirectory, file_age};
use crate::runner::snapshot_task::{Snapshots, verified_path};
use crate::runner::start_error::StartError;
use crate::runner::state_machine::{Applied, BoxError, StateMachine};

/// How much of the log is read at a time to find a chain value that neither state nor log knows.
const READ_LIMITS: ReadLimits = ReadLimits {
    entries_max: 4_096,
    bytes_max: 4 << 20,
};

/// How far the state machine is when the replica starts.
#[derive(Debug)]
pub(super) struct Restored {
    /// Before the log's base: the state is lost.
    pub(super) applied: Position,
    /// The log's chain value there; `None` where the log has no base, or begins later.
    pub(super) chain: Option<ChainValue>,
    /// About how much payload is behind the newest snapshot.
    pub(super) log_bytes: u64,
    /// For how long there may have been entries behind it.
    pub(super) log_age: Duration,
}

/// Refuses a state that was made from entries that the log does not have. One that ends before the log
/// begins is no such state.
pub(super) fn check_state(stored: &Stored, machine: &impl StateMachine) -> Result<(), StartError> {
    let base = beginning(stored);
    for applied in [machine.applied(), machine.last_ever_applied()] {
        if applied.index >= base.index.0 && !log_contains(stored, position(applied)) {
            let last = stored.last.index.0;
            return Err(match stored.base {
                None => StartError::StateOfAnotherLog { applied },
                Some(_) => StartError::LogLostEntries { applied, last },
            });
        }
    }
    Ok(())
}

/// The log contradicts the state, as `error` says: the state is set aside, if the machine can do that.
pub(super) async fn begin_again<M: StateMachine>(
    machine: &mut M,
    error: StartError,
) -> Result<(), StartError> {
    if !M::BEGINS_AGAIN {
        return Err(error);
    }
    let why = error.to_string();
    tracing::error!(error = why, "the state is set aside, and is filled again");
    let begun = machine.begin_again(&why).await;
    begun.map_err(StartError::Restore)
}

/// Opens the snapshots in `directory`, or in a temporary one.
pub(super) async fn open_snapshots(directory: Option<PathBuf>) -> Result<Snapshots, StartError> {
    let temporary = directory.is_none().then(TemporaryDirectory::new);
    let path = temporary
        .as_ref()
        .map(|temporary| temporary.path().to_owned());
    let path = directory.or(path).expect("there is one of the two");
    let opening = tokio::task::spawn_blocking(move || {
        let directory = snapshot_directory::open(&path)?;
        Ok::<_, BoxError>(SnapshotStore::open(directory)?)
    });
    let opened = opening.await.map_err(BoxError::from).flatten();
    let (store, download) = opened.map_err(StartError::Snapshots)?;
    Ok(Snapshots {
        store,
        download,
        temporary,
    })
}

/// Restores the state if it is lost and a snapshot of this node will do; otherwise the replica asks for
/// another's.
pub(super) async fn restore<L: LogStore, M: StateMachine>(
    log: L,
    stored: &Stored,
    machine: &mut M,
    snapshots: &mut Snapshots,
) -> Result<(L, Restored), StartError> {
    let kept = snapshots.store.kept();
    let applied = position(machine.applied());
    let known = machine.applied_chain();
    let (log, measured) = measure(log, stored, (applied, known), &kept).await?;
    if let (Some(of_state), Some(of_log)) = (known, measured.chain)
        && of_state != of_log
    {
        let applied = machine.applied();
        begin_again(machine, StartError::StateDiverges { applied }).await?;
        return Box::pin(restore(log, stored, machine, snapshots)).await;
    }
    let mut restored = Restored {
        applied,
        chain: measured.chain,
        log_bytes: measured.log_bytes,
        log_age: kept.last().map_or_else(
            || log.age(),
            |newest| {
                let directory = snapshots.store.directory().path();
                file_age(&directory.join(SnapshotStore::<OsDirectory>::file_name(newest)))
            },
        ),
    };
    // One that the log does not vouch for was downloaded and not installed, or belongs to another log.
    for (snapshot, of_log) in kept.iter().zip(measured.of_snapshots) {
        let fits = |chain: ChainValue| chain == snapshot.base.chain;
        // Before a hole the log says nothing.
        let unknown = stored.behind_hole && snapshot.base.position < beginning(stored);
        let contained = unknown || log_contains(stored, snapshot.base.position);
        if !contained || !of_log.is_none_or(fits) {
            let position = snapshot.base.position;
            tracing::warn!(?position, "a snapshot that is not of this log is removed");
            let removed = snapshots.store.remove(snapshot.id());
            removed.map_err(|error| StartError::Snapshots(error.into()))?;
        }
    }
    if applied.index < beginning(stored).index {
        for snapshot in snapshots.store.kept().into_iter().rev() {
            if install(machine, snapshots, &snapshot).await? {
                restored.applied = snapshot.base.position;
                restored.chain = Some(snapshot.base.chain);
                return Ok((log, restored));
            }
        }
        tracing::warn!("the state is lost, and no snapshot of this node restores it");
    }
    Ok((log, restored))
}

/// Whether the state is now that of the snapshot; `false` when its file is damaged.
async fn install(
    machine: &mut impl StateMachine,
    snapshots: &Snapshots,
    snapshot: &Snapshot,
) -> Result<bool, StartError> {
    let reader = snapshots.store.reader();
    let directory = snapshots.store.directory().path().to_owned();
    let id = snapshot.id();
    let verifying = tokio::task::spawn_blocking(move || verified_path(&reader, &directory, id));
    let verified = verifying.await.map_err(BoxError::from);
    match verified.and_then(|verified| Ok(verified?)) {
        Ok(path) => {
            let installed = machine.install(&path, &snapshot.base).await;
            installed.map_err(StartError::Restore)?;
            let index = snapshot.base.position.index.0;
            tracing::info!(index, "the state is restored from a snapshot of this node");
            Ok(true)
        }
        Err(error) => {
            tracing::error!(error = error.as_ref(), "a snapshot is not used");
            Ok(false)
        }
    }
}

/// What a start must know of the log.
struct Measured {
    /// The chain value of what the state has applied.
    chain: Option<ChainValue>,
    /// Those at the snapshots, where the log knows them.
    of_snapshots: Vec<Option<ChainValue>>,
    log_bytes: u64,
}

/// Asks the log, on a thread of its own if it blocks.
async fn measure<L: LogStore>(
    mut log: L,
    stored: &Stored,
    applied: (Position, Option<ChainValue>),
    kept: &[Snapshot],
) -> Result<(L, Measured), StartError> {
    let (stored, kept) = (stored.clone(), kept.to_vec());
    let (log, measured) = if L::BLOCKS {
        let runtime = tokio::runtime::Handle::current();
        let measuring = tokio::task::spawn_blocking(move || {
            let measured = runtime.block_on(ask(&mut log, &stored, applied, &kept));
            (log, measured)
        });
        measuring.await.expect("reading the log does not panic")
    } else {
        let measured = ask(&mut log, &stored, applied, &kept).await;
        (log, measured)
    };
    match measured {
        Ok(measured) => Ok((log, measured)),
        Err(error) => {
            // What is damaged is noted for the next start (R24).
            if let Err(unclosed) = log.close().await {
                let error: BoxError = unclosed.into();
                tracing::warn!(error = error.as_ref(), "the log did not close cleanly");
            }
            Err(StartError::Log(error))
        }
    }
}

async fn ask<L: LogStore>(
    log: &mut L,
    stored: &Stored,
    (applied, known): (Position, Option<ChainValue>),
    kept: &[Snapshot],
) -> Result<Measured, BoxError> {
    let base = beginning(stored);
    let mut of_snapshots = Vec::new();
    for snapshot in kept {
        let index = snapshot.base.position.index;
        of_snapshots.push(log.chain_at(index).await.map_err(Into::into)?);
    }
    let chain = if applied.index < base.index {
        None
    } else {
        match log.chain_at(applied.index).await.map_err(Into::into)? {
            Some(chain) => Some(chain),
            None if known.is_some() => known,
            None => read_chain(log, stored, applied.index).await?,
        }
    };
    // Behind the newest snapshot is the share of the entries that are.
    let newest = kept.last().map_or(base, |snapshot| snapshot.base.position);
    let entries = stored.last.index.0 - base.index.0;
    let behind = stored
        .last
        .index
        .0
        .saturating_sub(newest.index.0.max(base.index.0));
    let share = u128::from(log.payload_bytes()) * u128::from(behind) / u128::from(entries.max(1));
    Ok(Measured {
        chain,
        of_snapshots,
        log_bytes: u64::try_from(share).unwrap_or(u64::MAX),
    })
}

/// The chain value at `index`, from all entries up to there.
async fn read_chain<L: LogStore>(
    log: &L,
    stored: &Stored,
    index: LogIndex,
) -> Result<Option<ChainValue>, BoxError> {
    let Some(base) = &stored.base else {
        return Ok(None);
    };
    let (mut chain, mut at) = (base.chain, base.position.index);
    let mut reader = log.reader();
    while at < index {
        let read = reader.read(at, index, READ_LIMITS).await;
        let entries = read.map_err(Into::into)?;
        let last = entries.last().ok_or("the log lacks entries")?;
        at = last.position.index;
        chain = entries.iter().fold(chain, ChainValue::next);
    }
    Ok(Some(chain))
}

fn position(applied: Applied) -> Position {
    Position::new(applied.index, applied.term)
}

/// The position before the log's first entry.
fn beginning(stored: &Stored) -> Position {
    let base = stored.base.as_ref();
    base.map_or(Position::ZERO, |base| base.position)
}

/// Whether the log has the entry at `position`, or begins there.
fn log_contains(stored: &Stored, position: Position) -> bool {
    let log = TermIndex::new(beginning(stored), stored.terms.clone(), stored.last.index);
    log.contains(position)
}
