//! Opening a log: what a crash left is repaired, and the end is made sure to be synced, before
//! anything is read from it. Every step can be repeated after a crash.

use std::io;
use std::sync::Arc;

use chat_consensus::{BlockNumber, ChainValue, LogBase, LogIndex, StorageId, Stored, TermRun};

use crate::error::LogError;
use crate::files::{Directory, File};
use crate::node_file::{Loaded, NodeFile, NodeState, Witness};
use crate::opened::{Finding, Opened, Options};
use crate::recovery::{Survey, Tail, survey};
use crate::salts::Salts;
use crate::salvage::salvage;
use crate::scan::AfterEnd;
use crate::segment_contents::SegmentContents;
use crate::segment_header::{FORMAT, SegmentHeader, segment_number};
use crate::segment_writer::{NEW_SUFFIX, SegmentWriter};
use crate::synced_log::{Shared, SyncedLog};

/// What damaged files are renamed with.
pub(crate) const DAMAGED_SUFFIX: &str = ".damaged";

/// Zeros are written in steps of this many bytes.
const ZEROS_BYTES: u64 = 1 << 20;

/// An open log.
#[derive(Debug)]
pub(crate) struct Parts<D: Directory> {
    pub(crate) directory: Arc<D>,
    pub(crate) node_file: NodeFile<D::File>,
    pub(crate) node: NodeState,
    pub(crate) shared: Shared,
    /// The last segment; `None` without a base.
    pub(crate) tail: Option<SegmentWriter<D::File>>,
    pub(crate) salts: Salts,
}

/// What is known of `node` after reading it.
struct KnownNode<F> {
    /// `None` when it has to be made.
    file: Option<NodeFile<F>>,
    state: Option<Box<NodeState>>,
    /// How it is known that the disk forgot.
    amnesia: Option<String>,
}

/// See [`SegmentLog::open`](crate::SegmentLog::open).
pub(crate) fn open<D: Directory>(
    directory: D,
    options: Options,
    mut random: impl FnMut() -> u128,
) -> Result<(Parts<D>, Opened), LogError> {
    let names = directory.names().map_err(LogError::io("read", "."))?;
    let mut findings = Vec::new();
    let known = read_node(&directory, &names, options, &mut findings)?;
    let (mut found, amnesia) = find_log(&directory, &names, &known)?;
    check_cluster(known.state.as_deref(), found.base())?;
    findings.extend(found.hole.map(|hole| Finding::Hole {
        from: hole.from,
        through: hole.through,
    }));

    let storage = StorageId(random());
    let new = || NodeState::new(options.storage.unwrap_or(storage), options.node);
    let mut node = known.state.map_or_else(new, |state| *state);
    if let Some(why) = &amnesia {
        // First the new storage id, so that no later step is taken by a disk that may vote (R18).
        node = forgetful(node, storage, why, &found);
        findings.push(Finding::Amnesia { why: why.clone() });
    }
    update_node(&mut node, &found, amnesia.is_some());
    let mut node_file = match known.file {
        Some(file) => file,
        None => NodeFile::create(&directory, &node)?,
    };
    if amnesia.is_some() {
        node_file.write(&node)?;
    }
    set_aside(&directory, &found.lost, &mut findings)?;
    let continues = is_continued(&found, &node);
    if let Some(tail) = &mut found.tail {
        sync_again(tail, continues, &mut findings)?;
    }
    directory.sync().map_err(LogError::io("sync", "."))?;
    if amnesia.is_none() {
        node_file.write(&node)?;
    }
    remove_waste(&directory, &names, &found.waste)?;

    let mut opened = opened(&node, &found, findings);
    let salts = Salts(random());
    let chain = found.contents().map(|contents| contents.chain);
    let mut log = SyncedLog::new(
        std::mem::take(&mut found.segments),
        (opened.stored.last, chain),
        std::mem::take(&mut found.members),
    )
    .with_damage(found.missing, found.damaged_through);
    if let Some(begins) = log.begins() {
        opened.stored.changes = log.members().changes_after(begins.position.index);
    }
    let tail = match found.tail {
        Some(tail) => Some(writer(
            &directory,
            options,
            &node,
            (&salts, continues),
            &mut log,
            tail,
        )?),
        None => None,
    };
    opened.hole = log.hole();
    if let (Some(_), Some(begins)) = (opened.hole, log.begins()) {
        begin_behind_hole(&mut opened.stored, begins);
    }
    let parts = Parts {
        directory: Arc::new(directory),
        node_file,
        node,
        shared: Shared::new(log),
        tail,
        salts,
    };
    Ok((parts, opened))
}

/// Puts into `node` what this start has found.
fn update_node<F: File>(node: &mut NodeState, found: &Survey<F>, forgot: bool) {
    if let Some(base) = found.base() {
        node.hard_state
            .cluster
            .get_or_insert(base.membership.cluster);
    } else if node.amnesia.is_some() {
        // It must not bootstrap a cluster, and does not know whether a base admits its disk (R12).
        let repair_through = &mut node.hard_state.repair_through;
        *repair_through = (*repair_through).max(LogIndex(1));
    }
    node.witness = found.contents().map(witness_of);
    node.damaged = found.damaged;
    // As long as a file of an abandoned log is there, each start sees that its beginning is lost.
    if !found.abandoned && (forgot || !found.beginning_lost) {
        let first = found.segments.first();
        node.oldest = first.map_or(0, |first| first.first_block);
    }
}

/// Reads `node`, and refuses a log that is not this node's or that has a fault.
fn read_node<D: Directory>(
    directory: &D,
    names: &[String],
    options: Options,
    findings: &mut Vec<Finding>,
) -> Result<KnownNode<D::File>, LogError> {
    let used = |name: &String| {
        let name = name.strip_suffix(DAMAGED_SUFFIX).unwrap_or(name);
        segment_number(name).is_some()
    };
    let forgot = |file, why: &str| KnownNode {
        file,
        state: None,
        amnesia: Some(why.to_owned()),
    };
    Ok(match NodeFile::load(directory)? {
        Loaded::Missing if names.iter().any(used) => forgot(None, "the file node is missing"),
        Loaded::Missing => KnownNode {
            file: None,
            state: None,
            amnesia: None,
        },
        Loaded::Invalid(file) => forgot(Some(file), "both slots of node are invalid"),
        Loaded::Valid {
            file,
            state,
            bad_slot,
        } => {
            if let Some(fault) = state.fault {
                return Err(LogError::Fault { fault });
            }
            if state.node != options.node {
                return Err(LogError::OtherNode {
                    found: state.node,
                    node: options.node,
                });
            }
            findings.extend(bad_slot.map(|slot| Finding::BadSlot { slot }));
            KnownNode {
                file: Some(file),
                state: Some(state),
                amnesia: None,
            }
        }
    })
}

/// What the segments say, and how it is known that the disk forgot.
fn find_log<D: Directory>(
    directory: &D,
    names: &[String],
    known: &KnownNode<D::File>,
) -> Result<(Survey<D::File>, Option<String>), LogError> {
    let (mut found, amnesia) = salvage_log(directory, names, known)?;
    if (amnesia.is_some() || found.resumes) && found.beginning_lost {
        found.abandon();
    }
    check_terms(&found)?;
    Ok((found, amnesia))
}

fn salvage_log<D: Directory>(
    directory: &D,
    names: &[String],
    known: &KnownNode<D::File>,
) -> Result<(Survey<D::File>, Option<String>), LogError> {
    let node = known.state.as_deref();
    let mut found = survey(directory, names, node)?;
    let amnesia = known.amnesia.clone().or(found.amnesia.take());
    match (node, &amnesia) {
        (Some(node), None) if found.is_broken() && !found.resumes => {
            // Memory is whole, so the log goes on after what is damaged.
            Ok(match salvage(directory, names, node)? {
                Ok(salvaged) => (salvaged, None),
                Err(why) => (found, Some(why)),
            })
        }
        _ => Ok((found, amnesia)),
    }
}

/// What the caller gets.
fn opened<F: File>(node: &NodeState, found: &Survey<F>, findings: Vec<Finding>) -> Opened {
    let contents = found.contents();
    Opened {
        stored: Stored {
            storage: node.storage,
            boot_count: node.boot_count,
            hard_state: node.hard_state,
            base: found.base().cloned(),
            last: found.last(),
            terms: found.terms.clone(),
            // Known once it is known where the log begins.
            changes: Vec::new(),
            behind_hole: false,
            // Known once the log has the segment that blocks are appended to.
            synced_block: BlockNumber::UNKNOWN,
        },
        chain: contents.map_or(ChainValue([0; 16]), |contents| contents.chain),
        state_directory: node.state_directory.clone(),
        hole: None,
        amnesia: node.amnesia.clone(),
        findings,
    }
}

/// Makes the log begin at `begins`, the end of its hole: what is before that is not whole (R24).
fn begin_behind_hole(stored: &mut Stored, begins: LogBase) {
    let last = stored.last.index;
    stored.terms = runs_after(&stored.terms, begins.position.index, last);
    stored.base = Some(begins);
    stored.behind_hole = true;
}

/// Where the terms of the entries after `index` begin, in a log that ends at `last`.
fn runs_after(runs: &[TermRun], index: LogIndex, last: LogIndex) -> Vec<TermRun> {
    let (ended, after) = runs.split_at(runs.partition_point(|run| run.first <= index));
    let first = index.next();
    let next = after.first().map_or(last.next(), |run| run.first);
    let going_on = ended.last().filter(|_| first < next);
    let going_on = going_on.map(|run| TermRun { first, ..*run });
    going_on.into_iter().chain(after.iter().copied()).collect()
}

/// The state of a disk that forgot, under its new storage id, which has promised nothing.
fn forgetful<F: File>(
    mut node: NodeState,
    storage: StorageId,
    why: &str,
    found: &Survey<F>,
) -> NodeState {
    let known = node.witness.map_or(0, |witness| witness.block);
    node.forget(storage, why, found.next_block.max(known.saturating_add(1)));
    let hard_state = &mut node.hard_state;
    hard_state.term = hard_state.term.max(found.last().term);
    node
}

/// The last block of a segment.
pub(crate) fn witness_of(contents: &SegmentContents) -> Witness {
    Witness {
        block: contents.next_block - 1,
        chain: contents.chain,
    }
}

/// The terms come from several files, each of which is what was written.
fn check_terms<F: File>(found: &Survey<F>) -> Result<(), LogError> {
    let Some(base) = found.base().map(|base| base.position) else {
        return Ok(());
    };
    let last = found.last();
    // In a hole they are a guess, which nothing depends on.
    let (base, terms) = match found.missing {
        Some(missing) => {
            let begins = missing.end;
            (begins, runs_after(&found.terms, begins.index, last.index))
        }
        None => (base, found.terms.clone()),
    };
    let ascending = |pair: &[TermRun]| pair[0].term < pair[1].term && pair[0].first < pair[1].first;
    let begins = terms
        .first()
        .is_none_or(|run| run.first == base.index.next() && run.term >= base.term);
    let ends = terms.last().map_or(last == base, |run| {
        run.first <= last.index && run.term == last.term
    });
    if begins && ends && terms.windows(2).all(ascending) {
        return Ok(());
    }
    Err(LogError::Damaged {
        segment: found.segments[0].name(),
        offset: 0,
        what: "the terms in the headers of the segments contradict each other",
    })
}

fn check_cluster(node: Option<&NodeState>, base: Option<&LogBase>) -> Result<(), LogError> {
    let node = node.and_then(|node| node.hard_state.cluster);
    let segments = base.map(|base| base.membership.cluster);
    match (node, segments) {
        (Some(node), Some(segments)) if node != segments => {
            Err(LogError::OtherCluster { segments, node })
        }
        _ => Ok(()),
    }
}

/// Files that are not a part of the log, and not what was written, are kept under another name.
fn set_aside<D: Directory>(
    directory: &D,
    lost: &[String],
    findings: &mut Vec<Finding>,
) -> Result<(), LogError> {
    for name in lost {
        let new_name = format!("{name}{DAMAGED_SUFFIX}");
        directory
            .rename(name, &new_name)
            .map_err(LogError::io("rename", name))?;
        findings.push(Finding::SetAside { name: new_name });
    }
    Ok(())
}

/// Writes the last block again and syncs it: what was read may be in a cache only, from before a kill
/// or a failed sync. If blocks are appended here, whatever follows it becomes zeros.
fn sync_again<F: File>(
    tail: &mut Tail<F>,
    continues: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), LogError> {
    let contents = &tail.scan.contents;
    let name = tail.file.name().to_owned();
    let write = LogError::io("write", &name);
    if contents.has_blocks() {
        let offset = contents.last_offset;
        let bytes = tail.file.bytes(offset, contents.end - offset)?.to_vec();
        tail.file.file().write_at(offset, &bytes).map_err(write)?;
    }
    if let (true, AfterEnd::Garbage { until }) = (continues, tail.scan.after_end) {
        findings.push(Finding::TornTail {
            segment: name.clone(),
            offset: contents.end,
        });
        let mut offset = contents.end;
        while offset < until {
            let zeros = vec![0; (until - offset).min(ZEROS_BYTES) as usize];
            let written = tail.file.file().write_at(offset, &zeros);
            written.map_err(LogError::io("write", &name))?;
            offset += zeros.len() as u64;
        }
    }
    tail.file.file().sync().map_err(LogError::io("sync", &name))
}

/// Removes what is before the log's beginning, oldest first, and segments that got no name.
fn remove_waste<D: Directory>(
    directory: &D,
    names: &[String],
    waste: &[String],
) -> Result<(), LogError> {
    let unnamed = names.iter().filter(|name| {
        let name = name.strip_suffix(NEW_SUFFIX);
        name.is_some_and(|name| segment_number(name).is_some())
    });
    for name in unnamed.chain(waste) {
        remove_and_sync(directory, name)?;
    }
    Ok(())
}

/// Removes a file, durably, before the next one is removed: what is left of a log always joins.
pub(crate) fn remove_and_sync(directory: &impl Directory, name: &str) -> Result<(), LogError> {
    match directory.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(LogError::io("remove", name)(error));
        }
        Ok(()) | Err(_) => {}
    }
    directory.sync().map_err(LogError::io("sync", "."))
}

/// Whether blocks are appended to the last segment: not if it is of the storage id that the disk had
/// before an amnesia, and not if a hole ends in it, so that it can be compacted.
fn is_continued<F: File>(found: &Survey<F>, node: &NodeState) -> bool {
    found.tail.as_ref().is_some_and(|tail| {
        tail.header.storage == node.storage
            && !tail.scan.contents.damaged
            && found.damaged_through < tail.header.first_block
    })
}

/// The segment that blocks are appended to: the last one, or a new one.
fn writer<D: Directory>(
    directory: &D,
    options: Options,
    node: &NodeState,
    (salts, continues): (&Salts, bool),
    log: &mut SyncedLog,
    tail: Tail<D::File>,
) -> Result<SegmentWriter<D::File>, LogError> {
    let contents = tail.scan.contents;
    if continues {
        let name = tail.file.name().to_owned();
        let file = tail.file.into_file();
        let file_bytes = file.length().map_err(LogError::io("read", &name))?;
        let mut writer =
            SegmentWriter::open(file, name, &tail.header, file_bytes, options.segment_bytes);
        writer.contents = contents;
        return Ok(writer);
    }
    let first_block = contents.next_block.max(node.block_floor);
    let membership = log.members().last().cloned();
    let header = SegmentHeader {
        format: FORMAT,
        storage: node.storage,
        salt: salts.salt(first_block),
        first_block,
        base: LogBase {
            position: contents.last,
            chain: contents.chain,
            membership: membership.expect("a log that has a segment has members"),
        },
        before: Some(contents.summary()),
    };
    let writer = SegmentWriter::create(directory, &header, &[], options.segment_bytes)?;
    log.begin_segment(&header);
    Ok(writer)
}
