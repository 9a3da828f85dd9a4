//! The file `node`: term, vote and everything else that the disk remembers beside the entries.
//!
//! Two slots with the same contents. A change is written and synced in one after the other, so a
//! crash tears at most one, and a byte that rots takes nothing away.

use chat_consensus::{
    BOOT_COUNT_MAX, ChainValue, ClusterId, HardState, LogIndex, NodeId, StorageId,
};

use crate::block::{BlockHeader, SECTOR, checksum};
use crate::error::LogError;
use crate::fields::{Fields, put_text, put_voter};
use crate::files::{Directory, File};

/// The file's name.
pub(crate) const NAME: &str = "node";

/// The name under which it is made.
const NEW_NAME: &str = "node.new";

const SLOT_BYTES: usize = 4096;

/// The numbers and ids of a slot, with their checksum: what a disk writes as a whole. The rest ends
/// with the sequence, so that a slot whose numbers were not written is not taken for an older one.
const NUMBERS_BYTES: usize = SECTOR as usize;
const MAGIC: [u8; 8] = *b"chatnode";
const FORMAT: u32 = 1;

/// In bytes. A name of a directory is at most as long on common file systems.
pub(crate) const STATE_DIRECTORY_MAX: u16 = 255;

/// In bytes: a sentence or two; all texts fit into a slot.
const TEXT_MAX: u16 = 1024;

/// What `node` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeState {
    pub(crate) storage: StorageId,
    /// The node that the log belongs to.
    pub(crate) node: NodeId,
    pub(crate) boot_count: u64,
    pub(crate) hard_state: HardState,
    /// The number of the first block of this storage id is at least this.
    pub(crate) block_floor: u64,
    /// The last block that is known to be synced; `None` before the first.
    pub(crate) witness: Option<Witness>,
    /// The number of the log's first segment; 0 without one. A log that begins at a later one has lost
    /// segments.
    pub(crate) oldest: u64,
    /// Segments between these two numbers, and they themselves, may have damaged blocks: a start reads
    /// them whole.
    pub(crate) damaged: Option<(u64, u64)>,
    pub(crate) state_directory: Option<String>,
    /// Why the disk has a new storage id.
    pub(crate) amnesia: Option<String>,
    /// Why the log is not used any more.
    pub(crate) fault: Option<String>,
}

/// Evidence that a block was synced: if the log ends before it, the disk forgot it (R18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) block: u64,
    /// The chain value after the block.
    pub(crate) chain: ChainValue,
}

/// The file, open.
#[derive(Debug)]
pub(crate) struct NodeFile<F> {
    file: F,
    /// That of the newest slot. Only a change counts it up; a refreshed witness does not.
    sequence: u64,
    /// The slot to write first: the invalid or older one. After a change slot 1, because a refreshed
    /// witness in it may be torn, and slot 0 is synced and has everything but that.
    first: u64,
    /// The other slot may be in a cache only, from before a kill.
    unsynced: bool,
}

/// What a start finds.
#[derive(Debug)]
pub(crate) enum Loaded<F> {
    Missing,
    /// Both slots are invalid.
    Invalid(NodeFile<F>),
    Valid {
        file: NodeFile<F>,
        state: Box<NodeState>,
        bad_slot: Option<u64>,
    },
}

/// One valid slot.
struct Slot {
    sequence: u64,
    state: NodeState,
}

impl Witness {
    /// Whether the block is another one than that which was synced.
    pub(crate) fn contradicts(&self, block: &BlockHeader) -> bool {
        self.block == block.number && self.chain != block.chain
    }
}

impl NodeState {
    /// The state of a new disk.
    pub(crate) fn new(storage: StorageId, node: NodeId) -> Self {
        Self {
            storage,
            node,
            boot_count: 0,
            hard_state: HardState::default(),
            block_floor: 1,
            witness: None,
            oldest: 0,
            damaged: None,
            state_directory: None,
            amnesia: None,
            fault: None,
        }
    }

    /// Becomes the state of a disk that forgot: under a new storage id, which has promised nothing,
    /// and whose blocks have numbers from `block_floor` on.
    pub(crate) fn forget(&mut self, storage: StorageId, why: &str, block_floor: u64) {
        self.storage = storage;
        self.hard_state.vote = None;
        self.block_floor = self.block_floor.max(block_floor);
        self.amnesia = Some(why.to_owned());
    }

    /// Remembers that the log begins at the segment with this number.
    pub(crate) fn compact(&mut self, oldest: u64) {
        self.oldest = oldest;
        self.damaged = self.damaged.filter(|&(_, last)| last >= oldest);
    }

    /// Whether a start must not trust the segment with this number.
    pub(crate) fn is_damaged(&self, segment: u64) -> bool {
        let within = |(first, last)| (first..=last).contains(&segment);
        self.damaged.is_some_and(within)
    }

    /// Remembers that the segment with this number has damaged blocks.
    pub(crate) fn add_damaged(&mut self, segment: u64) {
        let (first, last) = self.damaged.unwrap_or((segment, segment));
        self.damaged = Some((first.min(segment), last.max(segment)));
    }
}

impl<F: File> NodeFile<F> {
    /// Reads the file in `directory`, if there is one.
    pub(crate) fn load(directory: &impl Directory<File = F>) -> Result<Loaded<F>, LogError> {
        let file = match directory.open(NAME) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Loaded::Missing);
            }
            Err(error) => return Err(LogError::io("open", NAME)(error)),
        };
        file.drop_cache().map_err(LogError::io("read", NAME))?;
        let slots = [read_slot(&file, 0)?, read_slot(&file, 1)?];
        let file = |sequence, first| Self {
            file,
            sequence,
            first,
            unsynced: true,
        };
        Ok(match slots {
            [None, None] => Loaded::Invalid(file(0, 0)),
            [Some(slot), None] => file(slot.sequence, 1).valid(slot.state, Some(1)),
            [None, Some(slot)] => file(slot.sequence, 0).valid(slot.state, Some(0)),
            [Some(zero), Some(one)] => {
                let first = u64::from(zero.sequence >= one.sequence);
                let newest = if zero.age() > one.age() { zero } else { one };
                file(newest.sequence, first).valid(newest.state, None)
            }
        })
    }

    fn valid(self, state: NodeState, bad_slot: Option<u64>) -> Loaded<F> {
        Loaded::Valid {
            file: self,
            state: Box::new(state),
            bad_slot,
        }
    }

    /// Makes the file in `directory`. It gets its name only when it is whole.
    pub(crate) fn create(
        directory: &impl Directory<File = F>,
        state: &NodeState,
    ) -> Result<Self, LogError> {
        match directory.remove(NEW_NAME) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LogError::io("remove", NEW_NAME)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let file = directory.create(NEW_NAME);
        let mut file = Self {
            file: file.map_err(LogError::io("create", NEW_NAME))?,
            sequence: 0,
            first: 0,
            unsynced: false,
        };
        file.write(state)?;
        directory
            .rename(NEW_NAME, NAME)
            .map_err(LogError::io("rename", NEW_NAME))?;
        directory.sync().map_err(LogError::io("sync", "."))?;
        Ok(file)
    }

    /// Writes and syncs both slots.
    pub(crate) fn write(&mut self, state: &NodeState) -> Result<(), LogError> {
        if std::mem::take(&mut self.unsynced) {
            self.file.sync().map_err(LogError::io("sync", NAME))?;
        }
        self.sequence += 1;
        let bytes = encode(self.sequence, state);
        for slot in [self.first, 1 - self.first] {
            self.write_slot(slot, &bytes)?;
            self.file.sync().map_err(LogError::io("sync", NAME))?;
        }
        self.first = 1;
        Ok(())
    }

    /// Writes the witness of `state`, whose other fields are those of the last [`Self::write`], into
    /// slot 1, without a sync. That is one sector, so a crash leaves the old or the new witness, and
    /// never an invalid slot.
    pub(crate) fn refresh(&mut self, state: &NodeState) -> Result<(), LogError> {
        self.write_slot(1, &encode(self.sequence, state)[..NUMBERS_BYTES])
    }

    fn write_slot(&self, slot: u64, bytes: &[u8]) -> Result<(), LogError> {
        let offset = slot * SLOT_BYTES as u64;
        let written = self.file.write_at(offset, bytes);
        written.map_err(LogError::io("write", NAME))
    }
}

impl Slot {
    /// Orders slots: by change, then by what they know of the log.
    fn age(&self) -> (u64, Option<u64>) {
        let block = self.state.witness.map(|witness| witness.block);
        (self.sequence, block)
    }
}

fn read_slot(file: &impl File, slot: u64) -> Result<Option<Slot>, LogError> {
    let mut bytes = vec![0; SLOT_BYTES];
    let read = file.read_at(slot * SLOT_BYTES as u64, &mut bytes);
    if read.map_err(LogError::io("read", NAME))? < SLOT_BYTES {
        return Ok(None);
    }
    let (numbers, texts) = bytes.split_at(NUMBERS_BYTES);
    let (covered, crc) = numbers.split_at(NUMBERS_BYTES - 4);
    if !covered.starts_with(&MAGIC) || crc != checksum(0, covered).to_be_bytes() {
        return Ok(None);
    }
    let mut fields = Fields(&covered[MAGIC.len()..]);
    match fields.u32() {
        Some(FORMAT) => Ok(decode(fields, texts)),
        found => Err(LogError::UnknownFormat {
            name: NAME.to_owned(),
            found: found.unwrap_or(0),
            known: FORMAT,
        }),
    }
}

fn encode(sequence: u64, state: &NodeState) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(state.storage.0.to_be_bytes());
    bytes.extend(state.node.0.to_be_bytes());
    bytes.extend(state.boot_count.to_be_bytes());
    let HardState {
        term,
        vote,
        cluster,
        repair_through,
    } = state.hard_state;
    bytes.extend(term.0.to_be_bytes());
    bytes.push(u8::from(vote.is_some()));
    if let Some(vote) = vote {
        put_voter(&mut bytes, vote);
    }
    bytes.push(u8::from(cluster.is_some()));
    if let Some(cluster) = cluster {
        bytes.extend(cluster.0.to_be_bytes());
    }
    bytes.extend(repair_through.0.to_be_bytes());
    bytes.extend(state.block_floor.to_be_bytes());
    bytes.push(u8::from(state.witness.is_some()));
    if let Some(witness) = state.witness {
        bytes.extend(witness.block.to_be_bytes());
        bytes.extend(witness.chain.0);
    }
    bytes.extend(state.oldest.to_be_bytes());
    bytes.push(u8::from(state.damaged.is_some()));
    if let Some((first, last)) = state.damaged {
        bytes.extend(first.to_be_bytes());
        bytes.extend(last.to_be_bytes());
    }
    let mut slot = vec![0; SLOT_BYTES];
    let (numbers, texts) = slot.split_at_mut(NUMBERS_BYTES);
    put_texts(texts, state);
    let (_, sequence_again) = texts.split_at_mut(texts.len() - 8);
    sequence_again.copy_from_slice(&sequence.to_be_bytes());
    bytes.extend(checksum(0, texts).to_be_bytes());
    let (covered, crc) = numbers.split_at_mut(NUMBERS_BYTES - 4);
    covered[..bytes.len()].copy_from_slice(&bytes);
    crc.copy_from_slice(&checksum(0, covered).to_be_bytes());
    slot
}

fn put_texts(texts: &mut [u8], state: &NodeState) {
    let mut bytes = Vec::new();
    let directory = state.state_directory.as_deref();
    put_text(&mut bytes, directory, STATE_DIRECTORY_MAX);
    put_text(&mut bytes, state.amnesia.as_deref(), TEXT_MAX);
    put_text(&mut bytes, state.fault.as_deref(), TEXT_MAX);
    texts[..bytes.len()].copy_from_slice(&bytes);
}

fn decode(mut fields: Fields<'_>, texts: &[u8]) -> Option<Slot> {
    let sequence = fields.u64()?;
    let storage = StorageId(fields.u128()?);
    let node = NodeId(fields.u64()?);
    let boot_count = fields.u64().filter(|&count| count <= BOOT_COUNT_MAX)?;
    let term = fields.term()?;
    let vote = optional(&mut fields, Fields::voter)?;
    let cluster = optional(&mut fields, Fields::u128)?.map(ClusterId);
    let repair_through: LogIndex = fields.index()?;
    let block_floor = fields.block().filter(|&floor| floor > 0)?;
    let witness = optional(&mut fields, |fields| {
        let block = fields.block()?;
        let chain = fields.chain()?;
        Some(Witness { block, chain })
    })?;
    let oldest = fields.block()?;
    let damaged = optional(&mut fields, |fields| {
        Some((fields.block()?, fields.block()?))
    })?;
    if fields.u32()? != checksum(0, texts) {
        return None;
    }
    let mut texts = Fields(texts);
    let state = NodeState {
        storage,
        node,
        boot_count,
        hard_state: HardState {
            term,
            vote,
            cluster,
            repair_through,
        },
        block_floor,
        witness,
        oldest,
        damaged,
        state_directory: texts.text()?,
        amnesia: texts.text()?,
        fault: texts.text()?,
    };
    Some(Slot { sequence, state })
}

/// A byte that says whether the field follows, and the field.
fn optional<'a, T>(
    fields: &mut Fields<'a>,
    take: impl FnOnce(&mut Fields<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match fields.bool()? {
        true => take(fields).map(Some),
        false => Some(None),
    }
}
