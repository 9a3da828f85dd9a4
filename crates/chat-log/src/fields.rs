//! Numbers, ids and bases as bytes: big-endian, one after the other, without padding.

use chat_consensus::{
    ChainValue, ClusterId, LOG_INDEX_MAX, LogBase, LogIndex, Membership, NodeId, Position,
    StorageId, TERM_MAX, Term, Voter,
};

/// The greatest number of a block that is accepted from a disk, so that no sum overflows.
const BLOCK_MAX: u64 = 1 << 62;

/// Takes fields from the front of some bytes. `None` when there are too few, or one is not what is
/// ever written.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn slice(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(slice)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_be_bytes)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// The number of a block.
    pub(crate) fn block(&mut self) -> Option<u64> {
        self.u64().filter(|&number| number <= BLOCK_MAX)
    }

    pub(crate) fn index(&mut self) -> Option<LogIndex> {
        self.u64()
            .map(LogIndex)
            .filter(|&index| index <= LOG_INDEX_MAX)
    }

    pub(crate) fn term(&mut self) -> Option<Term> {
        self.u64().map(Term).filter(|&term| term <= TERM_MAX)
    }

    /// Index, then term.
    pub(crate) fn position(&mut self) -> Option<Position> {
        let index = self.index()?;
        let term = self.term()?;
        Some(Position { term, index })
    }

    pub(crate) fn chain(&mut self) -> Option<ChainValue> {
        self.array().map(ChainValue)
    }

    pub(crate) fn voter(&mut self) -> Option<Voter> {
        let node = NodeId(self.u64()?);
        let storage = StorageId(self.u128()?);
        Some(Voter { node, storage })
    }

    /// Position, chain value, the length of the members (4), members.
    pub(crate) fn base(&mut self) -> Option<LogBase> {
        let position = self.position()?;
        let chain = self.chain()?;
        let length = usize::try_from(self.u32()?).ok()?;
        let membership = Membership::decode(self.slice(length)?)?;
        Some(LogBase {
            position,
            chain,
            membership,
        })
    }

    /// The same as programs wrote it that knew no addresses: without the length.
    pub(crate) fn base_of_plain_members(&mut self) -> Option<LogBase> {
        Some(LogBase {
            position: self.position()?,
            chain: self.chain()?,
            membership: Membership::take_plain(&mut self.0)?,
        })
    }

    /// The same as programs wrote it that knew no learners: position, chain value, cluster, number of
    /// voters, voters.
    pub(crate) fn base_of_voters(&mut self) -> Option<LogBase> {
        let position = self.position()?;
        let chain = self.chain()?;
        let cluster = ClusterId(self.u128()?);
        let count = self.u32()?;
        let voters = (0..count).map(|_| self.voter()).collect::<Option<_>>()?;
        let membership = Membership::of_voters(cluster, voters);
        membership.is_valid().then_some(LogBase {
            position,
            chain,
            membership,
        })
    }

    /// A length of 2 bytes, then the text; `None` within is the empty text.
    pub(crate) fn text(&mut self) -> Option<Option<String>> {
        let bytes = self.array().map(u16::from_be_bytes)?;
        let text = self.slice(usize::from(bytes))?;
        let text = String::from_utf8(text.to_vec()).ok()?;
        Some((!text.is_empty()).then_some(text))
    }
}

pub(crate) fn put_position(bytes: &mut Vec<u8>, position: Position) {
    bytes.extend(position.index.0.to_be_bytes());
    bytes.extend(position.term.0.to_be_bytes());
}

pub(crate) fn put_voter(bytes: &mut Vec<u8>, voter: Voter) {
    bytes.extend(voter.node.0.to_be_bytes());
    bytes.extend(voter.storage.0.to_be_bytes());
}

pub(crate) fn put_base(bytes: &mut Vec<u8>, base: &LogBase) {
    put_position(bytes, base.position);
    bytes.extend(base.chain.0);
    let members = base.membership.encode();
    let length = u32::try_from(members.len()).expect("members are few");
    bytes.extend(length.to_be_bytes());
    bytes.extend(members);
}

/// At most `bytes_max` bytes of the text: a longer one is shortened.
pub(crate) fn put_text(bytes: &mut Vec<u8>, text: Option<&str>, bytes_max: u16) {
    let text = text.unwrap_or_default();
    let kept = &text[..text.floor_char_boundary(usize::from(bytes_max))];
    let length = u16::try_from(kept.len()).expect("it is shortened above");
    bytes.extend(length.to_be_bytes());
    bytes.extend(kept.as_bytes());
}
