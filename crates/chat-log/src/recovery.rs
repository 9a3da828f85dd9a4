//! What the segment files of a directory say at a start: which of them are the log, where its
//! undamaged beginning ends, and what is missing. It changes nothing.

use chat_consensus::{LogBase, LogIndex, Position, TermRun};

use crate::block_file::BlockFile;
use crate::error::LogError;
use crate::files::{Directory, File};
use crate::hole::Missing;
use crate::members::Members;
use crate::node_file::NodeState;
use crate::scan::{AfterEnd, ChainCheck, Scan, salvage_blocks, scan};
use crate::segment_contents::SegmentContents;
use crate::segment_files::{SegmentFile, beginning, joins, open_segment, read_headers};
use crate::segment_header::{SegmentHeader, SegmentSummary, segment_name};
use crate::synced_log::{Segment, beginnings};

/// Why the disk forgot if the last segment has no valid header.
pub(crate) const HEADER_LOST: &str = "the header of the last segment is not what was synced";

/// What was found.
#[derive(Debug)]
pub(crate) struct Survey<F> {
    /// The log's segments, oldest first; the last one is `tail`'s.
    pub(crate) segments: Vec<Segment>,
    /// The last segment of the log; `None` if no segment is usable.
    pub(crate) tail: Option<Tail<F>>,
    /// Where each term begins.
    pub(crate) terms: Vec<TermRun>,
    /// Who the members are; known from where the log begins, or goes on, to its end.
    pub(crate) members: Members,
    /// Files before the log's beginning, oldest first.
    pub(crate) waste: Vec<String>,
    /// Files after its end that are not a part of it.
    pub(crate) lost: Vec<String>,
    /// Entries that are damaged although later ones are not.
    pub(crate) hole: Option<DamagedRange>,
    /// Segments before the log's beginning are missing.
    pub(crate) beginning_lost: bool,
    /// See [`Self::abandon`].
    pub(crate) abandoned: bool,
    /// An earlier start began an amnesia that this one completes.
    pub(crate) resumes: bool,
    /// The same entries in a log that goes on after them, which only a salvaged one does.
    pub(crate) missing: Option<Missing>,
    /// The numbers of the first and last segment with damaged blocks in such a log.
    pub(crate) damaged: Option<(u64, u64)>,
    /// The number of the last segment with or before something damaged in such a log, or zero: the
    /// log can begin only after it.
    pub(crate) damaged_through: u64,
    /// How it is known that the disk forgot what was synced.
    pub(crate) amnesia: Option<String>,
    /// Higher than the number of any block that was seen or is in a name.
    pub(crate) next_block: u64,
}

/// The last segment of the log.
#[derive(Debug)]
pub(crate) struct Tail<F> {
    pub(crate) header: SegmentHeader,
    pub(crate) file: BlockFile<F>,
    pub(crate) scan: Scan,
}

/// Entries in the middle that are damaged, and perhaps others before them, which they truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DamagedRange {
    pub(crate) from: LogIndex,
    pub(crate) through: LogIndex,
}

/// The segments from the first one as long as they join.
struct Walk {
    /// Those that have a successor, whose header says what they hold.
    sealed: Vec<(SegmentHeader, SegmentSummary)>,
    /// The place of the last one.
    last: usize,
    end: WalkEnd,
}

/// Why the walk over the segments ended.
enum WalkEnd {
    /// At the last one.
    Last,
    /// The next valid segment does not join: its base.
    Gap(LogBase),
    /// No later segment has a valid header.
    Unreadable,
}

/// Reads headers and ends of the segments among `names`, and the last one whole. `node` is what the
/// file `node` has, if that is known.
pub(crate) fn survey<D: Directory>(
    directory: &D,
    names: &[String],
    node: Option<&NodeState>,
) -> Result<Survey<D::File>, LogError> {
    let files = read_headers(directory, names)?;
    let begin = beginning(&files);
    let mut found = Survey {
        segments: Vec::new(),
        tail: None,
        terms: Vec::new(),
        members: Members::default(),
        waste: files[..begin].iter().map(SegmentFile::name).collect(),
        lost: Vec::new(),
        hole: None,
        beginning_lost: false,
        abandoned: false,
        resumes: false,
        missing: None,
        damaged: None,
        damaged_through: 0,
        amnesia: None,
        next_block: files.last().map_or(1, |file| file.number.saturating_add(1)),
    };
    let files = &files[begin..];
    let walk = walk(directory, files, node)?;
    let witness = node.and_then(|node| node.witness);
    let mut highest = 0;
    let mut used = walk.last;
    if let Some(file) = files.get(walk.last)
        && let Some(header) = &file.header
    {
        used += 1;
        let opened = open_segment(directory, &file.name())?;
        let (scan, opened) = scan(
            header,
            opened,
            file.name(),
            witness,
            chain_check(node, header),
        )?;
        highest = scan.highest_block;
        found.hole = hole(&scan, &walk.end);
        found.tail = Some(Tail {
            header: header.clone(),
            file: opened,
            scan,
        });
    }
    if let WalkEnd::Gap(base) = &walk.end {
        highest = highest.max(highest_block(directory, files)?);
        found.hole.get_or_insert_with(|| DamagedRange {
            from: LogIndex(1),
            through: base.position.index.max(LogIndex(1)),
        });
    }
    let lost = files.get(used..).unwrap_or_default();
    found.lost = lost.iter().map(SegmentFile::name).collect();
    found.next_block = found.next_block.max(highest.saturating_add(1));
    found.join(walk.sealed);
    let first = files.first().and_then(|file| file.header.as_ref());
    found.beginning_lost = first.is_some_and(|first| lost_beginning(node, first));
    found.judge(node, &walk.end, files, highest);
    Ok(found)
}

impl<F: File> Survey<F> {
    /// Joins the segments to one log, and drops those before which it cannot begin.
    fn join(&mut self, sealed: Vec<(SegmentHeader, SegmentSummary)>) {
        let Some(tail) = &self.tail else {
            return;
        };
        let mut segments: Vec<Segment> = sealed
            .iter()
            .map(|(header, summary)| Segment::sealed(header, summary))
            .collect();
        let contents = &tail.scan.contents;
        segments.push(Segment {
            end: contents.end,
            entries_after: contents.entries_after,
            marks: Some(tail.scan.marks.clone()),
            ..Segment::new(&tail.header)
        });
        let begins = beginnings(&segments);
        let Some(begin) = begins.iter().position(|&begins| begins) else {
            // The segment into which these have truncated is gone.
            let kept = segments.iter().map(|segment| segment.entries_after).min();
            let first = &segments[0];
            self.hole = self.hole.take().or(Some(DamagedRange {
                from: kept.unwrap_or_default().next(),
                through: first.base.position.index,
            }));
            self.lost.extend(segments.iter().map(Segment::name));
            self.tail = None;
            return;
        };
        self.waste
            .extend(segments.drain(..begin).map(|segment| segment.name()));
        let runs = sealed[begin..].iter().map(|(_, summary)| &summary.runs);
        let runs = runs.chain([&contents.runs]);
        self.members = Members::new(&segments[0].base);
        for (segment, runs) in segments.iter().zip(runs) {
            let base = &segment.base;
            self.members.set(base.position.index, &base.membership);
            self.members.truncate(segment.entries_after);
            self.terms.retain(|run| run.first <= segment.entries_after);
            for &run in runs {
                if self.terms.last().is_none_or(|last| last.term != run.term) {
                    self.terms.push(run);
                }
            }
        }
        if let Some(change) = &contents.change {
            self.members.set(change.index, &change.membership);
        }
        self.segments = segments;
    }

    /// Decides whether the disk forgot.
    fn judge(
        &mut self,
        node: Option<&NodeState>,
        walk_end: &WalkEnd,
        files: &[SegmentFile],
        highest: u64,
    ) {
        let witness = node.and_then(|node| node.witness);
        let last = self
            .tail
            .as_ref()
            .map_or(0, |tail| tail.scan.contents.next_block - 1);
        let storage = files.iter().rev().find_map(|file| file.header.as_ref());
        let storage = storage.map(|header| header.storage);
        // An earlier start found an amnesia, wrote that into `node`, and was interrupted before it made
        // the first segment of the new storage id: what was lost is known already.
        let resumes = node.is_some_and(|node| {
            node.amnesia.is_some()
                && storage != Some(node.storage)
                && files.iter().all(|file| file.number < node.block_floor)
        });
        self.resumes = resumes;
        let seen = if resumes { last } else { highest.max(last) };
        if resumes {
            self.hole = None;
        }
        let contradicts = self
            .tail
            .as_ref()
            .is_some_and(|tail| tail.scan.contradicts_witness);
        self.amnesia = match witness {
            Some(witness) if witness.block > seen => Some(format!(
                "block {} was synced, and the last one found is {seen}",
                witness.block
            )),
            _ if contradicts => Some("a block is not the one that was synced".to_owned()),
            _ if resumes => None,
            _ if matches!(walk_end, WalkEnd::Unreadable) => Some(HEADER_LOST.to_owned()),
            _ => node.and_then(|node| rolled_back(node, &self.terms)),
        };
    }

    /// The beginning is lost, and with it what shows that the rest is committed: none of it is used.
    pub(crate) fn abandon(&mut self) {
        let segments = self.segments.drain(..).map(|segment| segment.name());
        self.lost.extend(segments);
        self.tail = None;
        self.terms.clear();
        self.members = Members::default();
        (self.hole, self.missing, self.damaged) = (None, None, None);
        self.damaged_through = 0;
        self.beginning_lost = false;
        self.abandoned = true;
    }

    /// Whether a part of the log is damaged or missing, although others follow.
    pub(crate) fn is_broken(&self) -> bool {
        self.hole.is_some() || self.beginning_lost
    }

    /// Where the log begins.
    pub(crate) fn base(&self) -> Option<&LogBase> {
        self.segments.first().map(|segment| &segment.base)
    }

    /// The last segment's contents.
    pub(crate) fn contents(&self) -> Option<&SegmentContents> {
        self.tail.as_ref().map(|tail| &tail.scan.contents)
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Position {
        self.contents()
            .map_or(Position::ZERO, |contents| contents.last)
    }
}

/// Follows the segments from the first one as long as they join.
fn walk<D: Directory>(
    directory: &D,
    files: &[SegmentFile],
    node: Option<&NodeState>,
) -> Result<Walk, LogError> {
    let mut sealed = Vec::new();
    let mut last = 0;
    let later = |place: usize| {
        let mut later = files[place + 1..]
            .iter()
            .filter_map(|file| file.header.as_ref());
        match later.next() {
            Some(later) => WalkEnd::Gap(later.base.clone()),
            None => WalkEnd::Unreadable,
        }
    };
    let end = loop {
        let Some(file) = files.get(last) else {
            break WalkEnd::Last;
        };
        // Only of the first one: every other one is looked at as the next one before.
        let Some(header) = &file.header else {
            break later(last);
        };
        let Some(next) = files.get(last + 1) else {
            break WalkEnd::Last;
        };
        let joined = match &next.header {
            Some(next) => joins(directory, header, next)?,
            None => None,
        };
        let joined = match joined {
            Some(summary) if is_damaged(directory, header, &summary, node)? => None,
            joined => joined,
        };
        let Some(summary) = joined else {
            break later(last);
        };
        sealed.push((header.clone(), summary));
        last += 1;
    };
    Ok(Walk { sealed, last, end })
}

/// Whether blocks of a segment that was recorded as damaged are.
fn is_damaged<D: Directory>(
    directory: &D,
    header: &SegmentHeader,
    summary: &SegmentSummary,
    node: Option<&NodeState>,
) -> Result<bool, LogError> {
    if chain_check(node, header) == ChainCheck::Last {
        return Ok(false);
    }
    let name = segment_name(header.first_block);
    let file = open_segment(directory, &name)?;
    file.drop_cache().map_err(LogError::io("read", &name))?;
    let mut file = BlockFile::new(file, name, header.salt);
    file.set_end(summary.end);
    let found = salvage_blocks(header, &mut file, summary.end, None)?;
    Ok(found.contents.damaged)
}

/// All chain values are checked only in a segment that was recorded as damaged.
pub(crate) fn chain_check(node: Option<&NodeState>, header: &SegmentHeader) -> ChainCheck {
    match node {
        Some(node) if node.is_damaged(header.first_block) => ChainCheck::All,
        _ => ChainCheck::Last,
    }
}

/// Whether segments before the one with this header are missing, which is the first.
pub(crate) fn lost_beginning(node: Option<&NodeState>, first: &SegmentHeader) -> bool {
    let oldest = node.map_or(0, |node| node.oldest);
    first.before.is_some() && oldest > 0 && first.first_block > oldest
}

/// How it is known that `node` is an old copy: it is written before the entries of its term.
pub(crate) fn rolled_back(node: &NodeState, terms: &[TermRun]) -> Option<String> {
    let (last, known) = (terms.last()?.term, node.hard_state.term);
    (last > known).then(|| format!("node has term {known}, and the last entry {last}"))
}

/// The entries that are damaged although later ones are not.
fn hole(scan: &Scan, walk_end: &WalkEnd) -> Option<DamagedRange> {
    let from = scan.contents.last.index.next();
    let through = match (scan.after_end, walk_end) {
        (AfterEnd::Blocks { damaged_through }, _) => damaged_through,
        (_, WalkEnd::Gap(base)) => base.position.index,
        (AfterEnd::Zeros | AfterEnd::Garbage { .. }, _) => return None,
    };
    let through = through.max(from);
    Some(DamagedRange { from, through })
}

/// The highest number of a block in the last segment that has a valid header.
fn highest_block<D: Directory>(directory: &D, files: &[SegmentFile]) -> Result<u64, LogError> {
    let Some(header) = files.iter().rev().find_map(|file| file.header.as_ref()) else {
        return Ok(0);
    };
    let name = segment_name(header.first_block);
    let (scan, _) = scan(
        header,
        open_segment(directory, &name)?,
        name,
        None,
        ChainCheck::Last,
    )?;
    Ok(scan.highest_block)
}
