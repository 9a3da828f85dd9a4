//! The hash of each entry, which covers the entry and all entries before it.

use sha2::{Digest, Sha256};

use crate::entry::{Entry, Payload};
use crate::types::{ChainValue, ClusterId, Position};

impl ChainValue {
    /// The value before the first entry of this cluster's log: of the text `log` and the cluster's id.
    pub fn start(cluster: ClusterId) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"log");
        hash.update(cluster.0.to_be_bytes());
        Self::of(hash)
    }

    /// The value of `entry`, which follows the one with this value: of this value, term and index (8
    /// bytes each, big-endian), the kind (0 empty, 1 command) and the payload.
    #[must_use]
    pub fn next(self, entry: &Entry) -> Self {
        match &entry.payload {
            Payload::Empty => self.after(entry.position, 0, &[]),
            Payload::Command(command) => self.after(entry.position, 1, command),
            Payload::Membership(membership) => self.after(entry.position, 2, &membership.encode()),
        }
    }

    fn after(self, position: Position, kind: u8, payload: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(position.term.0.to_be_bytes());
        hash.update(position.index.0.to_be_bytes());
        hash.update([kind]);
        hash.update(payload);
        Self::of(hash)
    }

    fn of(hash: Sha256) -> Self {
        let digest = hash.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entry(index: u64, term: u64, payload: Payload) -> Entry {
        Entry {
            position: Position::new(index, term),
            payload,
        }
    }

    #[test]
    fn each_part_of_an_entry_changes_its_value() {
        let start = ChainValue::start(ClusterId(1));
        let command = |text: &'static str| Payload::Command(Bytes::from_static(text.as_bytes()));
        let values = [
            start,
            ChainValue::start(ClusterId(2)),
            start.next(&entry(1, 1, Payload::Empty)),
            start.next(&entry(1, 1, command(""))),
            start.next(&entry(1, 1, command("a"))),
            start.next(&entry(1, 2, command("a"))),
            start.next(&entry(2, 1, command("a"))),
            ChainValue::start(ClusterId(2)).next(&entry(1, 1, command("a"))),
        ];
        for (place, value) in values.iter().enumerate() {
            assert!(!values[place + 1..].contains(value), "value {place}");
        }
    }
}
