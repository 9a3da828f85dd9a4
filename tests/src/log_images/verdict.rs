//! Whether a log whose disk broke a promise is believed wrongly.

use chat_consensus::MembershipChange;
use chat_log::LogError;

use super::expected::{Expected, Found, Piece, Written};
use super::machine::describe;

/// What became of a log after a lie or a corruption; each of them is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It has everything that it acknowledged.
    Whole,
    /// It has a new storage id, and says why.
    Amnesia,
    /// It has everything but a hole in the middle, which it reports.
    Hole,
    /// Opening it fails in another way.
    Refused,
    /// Reading it reports the damage.
    FoundByReading,
    /// Its newest blocks are missing, and nothing on this disk remembers them.
    Forgotten,
}

/// Judges what opening a log and reading it returned; `since_witness` is what was acknowledged since
/// `node` was last written, and `pending` is what else may be there.
pub(super) fn judge(
    found: &Result<Found, LogError>,
    since_witness: &[Expected],
    pending: &[Expected],
    written: &Written,
) -> Result<Outcome, String> {
    let found = match found {
        Ok(found) => found,
        Err(error) => return refusal(error),
    };
    let expected = since_witness.last().expect("something is expected");
    let stored = &found.opened.stored;
    let read_damage = match &found.pieces {
        Ok(pieces) => {
            for piece in pieces {
                check_chain(piece, written)?;
            }
            false
        }
        Err(LogError::Damaged { .. }) => true,
        Err(error) => return Err(format!("reading ends with {}", describe(error))),
    };
    check_members(found, written)?;
    if stored.storage != expected.storage {
        let empty = stored.base.is_none() && stored.boot_count == 0;
        if found.opened.amnesia.is_none() && !empty {
            return Err(format!(
                "a new storage id without a reason: {}",
                found.describe()
            ));
        }
        return Ok(Outcome::Amnesia);
    }
    let mut whole = pending.iter().chain([expected]);
    let compacted = expected.begins_after();
    if whole.any(|state| state.is_end_of(found, compacted)) {
        return Ok(if found.opened.hole.is_some() {
            Outcome::Hole
        } else if read_damage {
            Outcome::FoundByReading
        } else {
            Outcome::Whole
        });
    }
    let mut remembered = since_witness.iter();
    if remembered.any(|state| state.is_end_of(found, compacted)) {
        return Ok(Outcome::Forgotten);
    }
    let expected: Vec<String> = since_witness.iter().map(Expected::describe).collect();
    Err(format!(
        "believed wrongly: found {}\n    remembered and acknowledged:\n    {}",
        found.describe(),
        expected.join("\n    ")
    ))
}

/// Every entry was written at its position, after the same entries.
fn check_chain(piece: &Piece, written: &Written) -> Result<(), String> {
    let mut chain = piece.chain;
    for entry in &piece.entries {
        chain = chain.next(entry);
        if !written.contains_key(&(entry.position.index, chain)) {
            return Err(format!("{:?} was never written there", entry.position));
        }
    }
    Ok(())
}

/// R19: the members as of the log's beginning are those of that position, and every change of them after
/// that is one of its entries.
fn check_members(found: &Found, written: &Written) -> Result<(), String> {
    let stored = &found.opened.stored;
    let Some(base) = &stored.base else {
        return Ok(());
    };
    if written.get(&(base.position.index, base.chain)) != Some(&base.membership) {
        return Err(format!("wrong members: {}", found.describe()));
    }
    let Ok(pieces) = &found.pieces else {
        return Ok(());
    };
    let after = pieces
        .iter()
        .filter(|piece| piece.after >= base.position.index);
    let entries = after.flat_map(|piece| &piece.entries);
    if entries
        .filter_map(MembershipChange::of)
        .ne(stored.changes.iter().cloned())
    {
        return Err(format!("wrong changes of members: {}", found.describe()));
    }
    Ok(())
}

fn refusal(error: &LogError) -> Result<Outcome, String> {
    match error {
        LogError::Damaged { .. } => Ok(Outcome::Refused),
        _ => Err(format!(
            "an error that does not say what is damaged: {}",
            describe(error)
        )),
    }
}
