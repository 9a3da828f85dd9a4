//! A block: one batch of truncation and entries as bytes, or the beginning of an installed log.
//!
//! Header and body have checksums that begin with the salt of the segment, so that no text of a
//! message is ever taken for a block.

use bytes::Bytes;
use chat_consensus::{
    ChainValue, Entry, LogBase, LogIndex, Membership, MembershipChange, Payload, Position, Term,
};

use crate::fields::{Fields, put_position};

/// Blocks begin at multiples of this: what a disk writes as a whole.
pub(crate) const SECTOR: u64 = 512;

/// The bytes of a header; the body follows at once.
pub(crate) const HEADER_BYTES: usize = 108;

const MAGIC: [u8; 4] = *b"BLOC";
const KIND_ENTRIES: u8 = 1;
const KIND_BASE: u8 = 2;
const EMPTY: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// What is in front of a block's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    /// Counts the blocks of a storage id.
    pub(crate) number: u64,
    pub(crate) kind: BlockKind,
    /// The position before its first entry.
    pub(crate) after: Position,
    /// The position of its last entry; `after` if it has none.
    pub(crate) last: Position,
    /// The chain value at `after`.
    pub(crate) chain_before: ChainValue,
    /// The chain value at `last`.
    pub(crate) chain: ChainValue,
    /// The lowest index down to which the blocks of the segment up to this one truncate; that of the
    /// segment's base if none is lower. So it is known also of blocks that are damaged.
    pub(crate) lowest: LogIndex,
    body_bytes: u32,
    body_crc: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// The log begins here, at a base, and has no entries yet.
    Base,
    /// Entries that follow the last one.
    Append,
    /// Every entry after `after` is removed, then its own are appended.
    TruncateAndAppend,
}

/// An entry whose payload is still in the block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryBytes<'a> {
    pub(crate) position: Position,
    kind: u8,
    payload: &'a [u8],
}

impl BlockHeader {
    /// The block of a batch, and its bytes, whole sectors.
    pub(crate) fn entries(
        number: u64,
        salt: u64,
        (after, chain_before): (Position, ChainValue),
        (truncates, lowest): (bool, LogIndex),
        entries: &[Entry],
    ) -> (Self, Vec<u8>) {
        let mut bytes = vec![0; HEADER_BYTES];
        let (mut last, mut chain) = (after, chain_before);
        for entry in entries {
            put_entry(&mut bytes, entry);
            (last, chain) = (entry.position, chain.next(entry));
        }
        let kind = match truncates {
            true => BlockKind::TruncateAndAppend,
            false => BlockKind::Append,
        };
        let body = &bytes[HEADER_BYTES..];
        let header = Self {
            number,
            kind,
            after,
            last,
            chain_before,
            chain,
            lowest: lowest.min(after.index),
            body_bytes: u32::try_from(body.len()).expect("a batch is bounded (R1)"),
            body_crc: checksum(salt, body),
        };
        let header_bytes = header.encode(salt);
        bytes[..HEADER_BYTES].copy_from_slice(&header_bytes);
        bytes.resize(header.bytes() as usize, 0);
        (header, bytes)
    }

    /// The block with which an installed log begins, and its bytes.
    pub(crate) fn base(number: u64, salt: u64, base: &LogBase) -> (Self, Vec<u8>) {
        let header = Self {
            number,
            kind: BlockKind::Base,
            after: base.position,
            last: base.position,
            chain_before: base.chain,
            chain: base.chain,
            lowest: base.position.index,
            body_bytes: 0,
            body_crc: checksum(salt, &[]),
        };
        let mut bytes = header.encode(salt);
        bytes.resize(header.bytes() as usize, 0);
        (header, bytes)
    }

    /// The header at the beginning of `bytes`, if it is one that was written with `salt`.
    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let mut fields = Fields(bytes);
        if fields.array()? != MAGIC {
            return None;
        }
        let (covered, crc) = bytes.split_last_chunk()?;
        if checksum(salt, covered) != u32::from_be_bytes(*crc) {
            return None;
        }
        let kind = match (fields.u8()?, fields.bool()?) {
            (KIND_BASE, false) => BlockKind::Base,
            (KIND_ENTRIES, false) => BlockKind::Append,
            (KIND_ENTRIES, true) => BlockKind::TruncateAndAppend,
            _ => return None,
        };
        let [0, 0] = fields.array()? else {
            return None;
        };
        let number = fields.block()?;
        if fields.u64()? != salt {
            return None;
        }
        let body_bytes = fields.u32()?;
        let body_crc = fields.u32()?;
        let after = fields.position()?;
        let header = Self {
            number,
            kind,
            after,
            last: fields.position()?,
            chain_before: fields.chain()?,
            chain: fields.chain()?,
            lowest: fields.index().filter(|&lowest| lowest <= after.index)?,
            body_bytes,
            body_crc,
        };
        header.is_consistent().then_some(header)
    }

    fn is_consistent(&self) -> bool {
        let empty = self.after == self.last && self.chain_before == self.chain;
        match self.kind {
            BlockKind::Base => empty && self.body_bytes == 0,
            BlockKind::Append => self.after.index < self.last.index,
            BlockKind::TruncateAndAppend => empty || self.after.index < self.last.index,
        }
    }

    fn encode(&self, salt: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(match self.kind {
            BlockKind::Base => [KIND_BASE, 0],
            BlockKind::Append => [KIND_ENTRIES, 0],
            BlockKind::TruncateAndAppend => [KIND_ENTRIES, 1],
        });
        bytes.extend([0, 0]);
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(salt.to_be_bytes());
        bytes.extend(self.body_bytes.to_be_bytes());
        bytes.extend(self.body_crc.to_be_bytes());
        put_position(&mut bytes, self.after);
        put_position(&mut bytes, self.last);
        bytes.extend(self.chain_before.0);
        bytes.extend(self.chain.0);
        bytes.extend(self.lowest.0.to_be_bytes());
        bytes.extend(checksum(salt, &bytes).to_be_bytes());
        debug_assert_eq!(bytes.len(), HEADER_BYTES);
        bytes
    }

    /// From its header to where the next block begins.
    pub(crate) fn bytes(&self) -> u64 {
        (HEADER_BYTES as u64 + u64::from(self.body_bytes)).next_multiple_of(SECTOR)
    }

    /// The entries in `block`, which begins with this header; `None` if its body is not what was
    /// written. A change of the members is its last entry (R19). The chain is not checked:
    /// [`Self::check_chain`].
    pub(crate) fn decode_body<'a>(
        &self,
        block: &'a [u8],
        salt: u64,
    ) -> Option<Vec<EntryBytes<'a>>> {
        let body = block
            .get(HEADER_BYTES..)?
            .get(..usize::try_from(self.body_bytes).ok()?)?;
        if checksum(salt, body) != self.body_crc {
            return None;
        }
        let mut fields = Fields(body);
        let mut entries = Vec::new();
        let mut previous = self.after;
        let mut complete = false;
        while !fields.0.is_empty() {
            let entry = take_entry(&mut fields, previous).filter(|_| !complete)?;
            previous = entry.position;
            complete = entry.kind == MEMBERSHIP;
            entries.push(entry);
        }
        (previous == self.last).then_some(entries)
    }

    /// The entries with their payloads, if they have the chain value that the header has.
    pub(crate) fn check_chain(&self, entries: &[EntryBytes<'_>]) -> Option<Vec<Entry>> {
        let entries: Vec<Entry> = entries.iter().map(EntryBytes::entry).collect();
        let chain = entries.iter().fold(self.chain_before, ChainValue::next);
        (chain == self.chain).then_some(entries)
    }

    /// Whether the entry at `index` is one of this block's.
    pub(crate) fn holds(&self, index: LogIndex) -> bool {
        self.after.index < index && index <= self.last.index
    }
}

impl EntryBytes<'_> {
    fn entry(&self) -> Entry {
        Entry {
            position: self.position,
            payload: match self.kind {
                EMPTY => Payload::Empty,
                MEMBERSHIP => {
                    let members = Membership::decode(self.payload);
                    Payload::Membership(members.expect("`take_entry` has decoded it"))
                }
                // `take_entry` lets only the three pass.
                _ => Payload::Command(Bytes::copy_from_slice(self.payload)),
            },
        }
    }
}

/// The change of the members that the entries of a block end with, if they do.
pub(crate) fn change_of(entries: &[EntryBytes<'_>]) -> Option<MembershipChange> {
    MembershipChange::of(
        &entries
            .last()
            .filter(|last| last.kind == MEMBERSHIP)?
            .entry(),
    )
}

/// Term, kind, length of the payload, payload.
fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    let members;
    let (kind, payload): (u8, &[u8]) = match &entry.payload {
        Payload::Empty => (EMPTY, &[]),
        Payload::Command(command) => (COMMAND, command),
        Payload::Membership(membership) => {
            members = membership.encode();
            (MEMBERSHIP, &members)
        }
    };
    bytes.extend(entry.position.term.0.to_be_bytes());
    bytes.push(kind);
    let length = u32::try_from(payload.len()).expect("an entry is bounded (R1)");
    bytes.extend(length.to_be_bytes());
    bytes.extend(payload);
}

fn take_entry<'a>(fields: &mut Fields<'a>, previous: Position) -> Option<EntryBytes<'a>> {
    let term: Term = fields.term()?;
    let kind = fields.u8()?;
    let length = fields.u32()?;
    let payload = fields.slice(usize::try_from(length).ok()?)?;
    let known = match kind {
        EMPTY => payload.is_empty(),
        COMMAND => true,
        MEMBERSHIP => Membership::decode(payload).is_some(),
        _ => false,
    };
    let position = Position {
        term,
        index: previous.index.next(),
    };
    (known && term >= previous.term).then_some(EntryBytes {
        position,
        kind,
        payload,
    })
}

/// Panics unless a batch is what a node writes.
pub(crate) fn check_order(mut previous: Position, entries: &[Entry]) {
    let mut complete = false;
    for entry in entries {
        let Position { term, index } = entry.position;
        assert_eq!(index, previous.index.next(), "no gap in the log");
        assert!(term >= previous.term, "terms never run backwards");
        assert!(
            !complete,
            "a change of the members is the last of its batch (R19)"
        );
        complete = matches!(entry.payload, Payload::Membership(_));
        previous = entry.position;
    }
}

/// CRC-32 of the salt and the bytes.
pub(crate) fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_be_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use chat_consensus::ClusterId;

    use super::*;

    fn block() -> (BlockHeader, Vec<u8>) {
        let entries = [(8, 2, "a"), (9, 3, "bc")].map(|(index, term, text)| Entry {
            position: Position::new(index, term),
            payload: Payload::Command(Bytes::from_static(text.as_bytes())),
        });
        let after = (Position::new(7, 2), ChainValue::start(ClusterId(1)));
        BlockHeader::entries(5, 99, after, (true, LogIndex(4)), &entries)
    }

    #[test]
    fn block_is_decoded_as_it_was_encoded() {
        let (header, bytes) = block();
        assert_eq!(bytes.len(), 512);
        assert_eq!(BlockHeader::decode(&bytes, 99), Some(header.clone()));
        let entries = header.decode_body(&bytes, 99).unwrap();
        let entries = header.check_chain(&entries).unwrap();
        assert_eq!(entries[1].position, Position::new(9, 3));
        assert_eq!(entries[1].payload, Payload::Command(Bytes::from("bc")));
    }

    #[test]
    fn block_with_any_changed_byte_is_invalid() {
        let (header, bytes) = block();
        let used = HEADER_BYTES + usize::try_from(header.body_bytes).unwrap();
        for place in 0..used {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let valid = BlockHeader::decode(&changed, 99)
                .is_some_and(|header| header.decode_body(&changed, 99).is_some());
            assert!(!valid, "byte {place}");
        }
    }

    #[test]
    fn block_of_another_segment_is_invalid() {
        assert_eq!(BlockHeader::decode(&block().1, 98), None);
    }
}
