//! Log matching: two logs that hold an entry of the same index and term hold the same entries up
//! to there.
//!
//! Checked by induction as entries are written: a node that writes an entry at a known position must
//! write the known content after an entry of the known term.

use chat_consensus::{Entry, LogIndex, Payload, Term};

use crate::checker::{Checked, Violation};

/// Every entry that was ever written anywhere.
#[derive(Debug, Default)]
pub struct KnownEntries {
    by_index: Vec<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    term: Term,
    previous_term: Term,
    payload: Payload,
}

impl KnownEntries {
    /// A node writes `entry` after an entry of `previous_term`.
    ///
    /// # Errors
    ///
    /// Another entry is known at that position.
    pub fn written(&mut self, entry: &Entry, previous_term: Term) -> Checked {
        let place = usize::try_from(entry.position.index.0).expect("logs are short") - 1;
        while self.by_index.len() <= place {
            self.by_index.push(Vec::new());
        }
        let known = &mut self.by_index[place];
        let Some(same) = known.iter().find(|k| k.term == entry.position.term) else {
            known.push(Known {
                term: entry.position.term,
                previous_term,
                payload: entry.payload.clone(),
            });
            return Ok(());
        };
        if same.previous_term != previous_term || same.payload != entry.payload {
            return Err(Violation::new(
                "log-matching",
                format!(
                    "two entries at {:?}: {:?} after term {}, and {:?} after term {previous_term}",
                    entry.position, same.payload, same.previous_term, entry.payload
                ),
            ));
        }
        Ok(())
    }

    /// The content of the entry at `index` of `term`, if any node ever wrote it.
    pub fn payload(&self, index: LogIndex, term: Term) -> Option<&Payload> {
        let place = usize::try_from(index.0.checked_sub(1)?).ok()?;
        let known = self.by_index.get(place)?.iter().find(|k| k.term == term)?;
        Some(&known.payload)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_consensus::Position;

    use super::*;

    fn entry(index: u64, term: u64, command: &'static str) -> Entry {
        Entry {
            position: Position::new(index, term),
            payload: Payload::Command(Bytes::from_static(command.as_bytes())),
        }
    }

    #[test]
    fn same_entry_written_by_all_nodes_passes() {
        let mut known = KnownEntries::default();
        known.written(&entry(2, 3, "a"), Term(1)).unwrap();
        known.written(&entry(2, 3, "a"), Term(1)).unwrap();
        known.written(&entry(2, 4, "b"), Term(1)).unwrap();
    }

    #[test]
    fn different_entries_at_one_position_are_found() {
        let mut known = KnownEntries::default();
        known.written(&entry(2, 3, "a"), Term(1)).unwrap();
        assert!(known.written(&entry(2, 3, "b"), Term(1)).is_err());
    }

    #[test]
    fn same_entry_after_different_terms_is_found() {
        let mut known = KnownEntries::default();
        known.written(&entry(2, 3, "a"), Term(1)).unwrap();
        assert!(known.written(&entry(2, 3, "a"), Term(2)).is_err());
    }
}
