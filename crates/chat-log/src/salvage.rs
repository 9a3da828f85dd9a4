//! A log with a hole: what is valid before and after it, and what is certain of the entries between.
//! It changes nothing.

use chat_consensus::{ChainValue, LogBase, LogIndex, MembershipChange, Position, Term, TermRun};

use crate::block_file::BlockFile;
use crate::error::LogError;
use crate::files::{Directory, File};
use crate::hole::{Missing, common_through, extend_runs};
use crate::members::Members;
use crate::node_file::NodeState;
use crate::recovery::{
    DamagedRange, HEADER_LOST, Survey, Tail, chain_check, lost_beginning, rolled_back,
};
use crate::scan::{AfterEnd, ChainCheck, salvage_blocks, scan};
use crate::segment_contents::SegmentContents;
use crate::segment_files::{SegmentFile, beginning, joins, open_segment, read_headers};
use crate::segment_header::{SegmentHeader, SegmentSummary, segment_name};
use crate::synced_log::{Segment, beginnings};

/// One segment, as far as it is valid.
struct Part {
    segment: Segment,
    /// What its header says of the one before it.
    before: Option<SegmentSummary>,
    /// Where each term begins.
    runs: Vec<TermRun>,
    /// The end of the log after it.
    end: (Position, ChainValue),
    /// The change of the members with which its last valid block ends. Of a segment that has a
    /// successor that one's header says it, too.
    change: Option<MembershipChange>,
    /// Whether blocks in it are damaged, and the entries that are missing because of that.
    damaged: bool,
    missing: Option<Missing>,
}

/// The segments so far as one log.
struct Joined {
    base: Position,
    end: (Position, ChainValue),
    terms: Vec<TermRun>,
    members: Members,
    missing: Option<Missing>,
    damaged: Option<(u64, u64)>,
    damaged_through: u64,
}

/// Reads the log among `names` again, whose undamaged beginning is not all of it, and goes on after what
/// is damaged; or says how it is known that the disk forgot.
pub(crate) fn salvage<D: Directory>(
    directory: &D,
    names: &[String],
    node: &NodeState,
) -> Result<Result<Survey<D::File>, String>, LogError> {
    let files = read_headers(directory, names)?;
    let (waste, files) = files.split_at(beginning(&files));
    let Some(last) = files.last().and_then(|file| file.header.as_ref()) else {
        return Ok(Err(HEADER_LOST.to_owned()));
    };
    let headers: Vec<_> = files
        .iter()
        .filter_map(|file| file.header.as_ref())
        .collect();
    let mut parts = Vec::new();
    for pair in headers.windows(2) {
        parts.push(sealed(directory, pair[0], pair[1], node)?);
    }
    let tail = match whole_tail(directory, last, node)? {
        Ok(tail) => tail,
        Err(why) => return Ok(Err(why)),
    };
    parts.push(Part::of_tail(&tail));

    let segments: Vec<Segment> = parts.iter().map(|part| part.segment.clone()).collect();
    let Some(begin) = beginnings(&segments).iter().position(|&begins| begins) else {
        return Ok(Err(
            "the segment into which the log was truncated is missing".to_owned(),
        ));
    };
    let mut waste: Vec<String> = waste.iter().map(SegmentFile::name).collect();
    waste.extend(parts.drain(..begin).map(|part| part.segment.name()));
    let beginning_lost = lost_beginning(Some(node), headers[begin]);
    let mut log = Joined::new(&parts[0].segment, beginning_lost);
    for part in &parts {
        log.add(part);
    }
    log.complete_terms();
    if let Some(why) = rolled_back(node, &log.terms) {
        return Ok(Err(why));
    }
    let begins = log.missing.map_or(log.base, |missing| missing.end);
    if !log.members.are_known_from(begins.index) {
        return Ok(Err(
            "what the members are after the damaged entries is not known".to_owned(),
        ));
    }
    let lost = files.iter().filter(|file| file.header.is_none());
    let hole = log.missing.map(|missing| DamagedRange {
        from: missing.after.next(),
        through: missing.end.index,
    });
    Ok(Ok(Survey {
        next_block: tail.scan.contents.next_block,
        segments: parts.into_iter().map(|part| part.segment).collect(),
        tail: Some(tail),
        terms: log.terms,
        members: log.members,
        waste,
        lost: lost.map(SegmentFile::name).collect(),
        hole,
        beginning_lost: beginning_lost && hole.is_some(),
        abandoned: false,
        resumes: false,
        missing: log.missing,
        damaged: log.damaged,
        damaged_through: log.damaged_through,
        amnesia: None,
    }))
}

/// The segment of `header`, after which the valid one of `next` comes.
fn sealed<D: Directory>(
    directory: &D,
    header: &SegmentHeader,
    next: &SegmentHeader,
    node: &NodeState,
) -> Result<Part, LogError> {
    let next_begins = (next.base.position, next.base.chain);
    let joined = joins(directory, header, next)?;
    if let (Some(summary), ChainCheck::Last) = (joined, chain_check(Some(node), header)) {
        return Ok(Part {
            segment: Segment::sealed(header, &summary),
            before: header.before.clone(),
            runs: summary.runs,
            end: next_begins,
            change: None,
            damaged: false,
            missing: None,
        });
    }
    let name = segment_name(header.first_block);
    let file = open_segment(directory, &name)?;
    let io = LogError::io("read", &name);
    let length = file.drop_cache().and_then(|()| file.length()).map_err(io)?;
    let mut file = BlockFile::new(file, name, header.salt);
    file.set_end(length);
    let summary = next.before.as_ref();
    let summary = summary.filter(|summary| summary.first_block == header.first_block);
    let until = summary.map_or(length, |summary| summary.end);
    let found = salvage_blocks(header, &mut file, until, node.witness)?;
    let mut contents = found.contents;
    let mut segment = Segment {
        marks: Some(found.marks),
        ..Segment::of(header, &contents)
    };
    if let Some(summary) = summary {
        if (contents.last, contents.chain) != next_begins {
            contents.skip_to(next_begins, summary.entries_after);
        }
        segment.end = summary.end;
        segment.entries_after = summary.entries_after;
        contents.runs.clone_from(&summary.runs);
    }
    Ok(Part::new(segment, header, contents))
}

/// The last segment, of which everything valid counts.
fn whole_tail<D: Directory>(
    directory: &D,
    header: &SegmentHeader,
    node: &NodeState,
) -> Result<Result<Tail<D::File>, String>, LogError> {
    let name = segment_name(header.first_block);
    let file = open_segment(directory, &name)?;
    let check = chain_check(Some(node), header);
    let (mut scan, mut file) = scan(header, file, name.clone(), node.witness, check)?;
    if let AfterEnd::Blocks { .. } = scan.after_end {
        let io = LogError::io("read", &name);
        let length = file.file().length().map_err(io)?;
        let found = salvage_blocks(header, &mut file, length, node.witness)?;
        if found.contents.next_block <= scan.highest_block {
            return Ok(Err(format!(
                "block {} is not what was synced",
                scan.highest_block
            )));
        }
        if found.contradicts_witness {
            return Ok(Err("a block is not the one that was synced".to_owned()));
        }
        (scan.contents, scan.marks) = (found.contents, found.marks);
    }
    let header = header.clone();
    Ok(Ok(Tail { header, file, scan }))
}

impl Part {
    fn new(segment: Segment, header: &SegmentHeader, contents: SegmentContents) -> Self {
        Self {
            segment,
            before: header.before.clone(),
            end: (contents.last, contents.chain),
            change: contents.change,
            damaged: contents.damaged,
            missing: contents.missing,
            runs: contents.runs,
        }
    }

    fn of_tail<F: File>(tail: &Tail<F>) -> Self {
        let contents = &tail.scan.contents;
        let segment = Segment {
            marks: Some(tail.scan.marks.clone()),
            ..Segment::of(&tail.header, contents)
        };
        Self::new(segment, &tail.header, contents.clone())
    }
}

impl Joined {
    /// A log that begins with this segment.
    fn new(first: &Segment, beginning_lost: bool) -> Self {
        let (base, chain) = (first.base.position, first.base.chain);
        let lost = Missing {
            after: LogIndex::ZERO,
            end: base,
            chain,
        };
        Self {
            base,
            end: (base, chain),
            terms: Vec::new(),
            members: Members::new(&first.base),
            missing: Some(lost).filter(|lost| beginning_lost && lost.contains(base.index)),
            damaged: None,
            damaged_through: 0,
        }
    }

    /// Adds the next segment.
    fn add(&mut self, part: &Part) {
        let number = part.segment.first_block;
        let begins = (part.segment.base.position, part.segment.base.chain);
        if begins != self.end {
            self.skip_to(&part.segment.base, part.before.as_ref());
            self.damaged_through = number - 1;
        }
        let kept = part.segment.entries_after;
        self.members
            .set(begins.0.index, &part.segment.base.membership);
        self.members.truncate(kept);
        if let Some(change) = &part.change {
            self.members.set(change.index, &change.membership);
        }
        if let Some(missing) = &mut self.missing {
            if kept <= missing.after {
                self.missing = None;
            } else if kept < missing.end.index {
                // Up to where its entries replace what is missing was not looked at.
                (missing.end, missing.chain) = part.end;
                self.damaged_through = number;
            }
        }
        if let Some(own) = part.missing {
            let after = self
                .missing
                .map_or(own.after, |old| old.after.min(own.after));
            let later = self.missing.filter(|old| old.end.index > own.end.index);
            self.missing = Some(Missing {
                after,
                ..later.unwrap_or(own)
            });
        }
        if part.damaged {
            self.damaged = Some((self.damaged.map_or(number, |(first, _)| first), number));
            self.damaged_through = number;
        }
        self.add_runs(kept, &part.runs);
        self.end = part.end;
    }

    /// Goes on at `base` although the segments before that are missing. `before` is what is known of the
    /// last one of them.
    fn skip_to(&mut self, base: &LogBase, before: Option<&SegmentSummary>) {
        let to = (base.position, base.chain);
        let first = TermRun {
            term: self.base.term,
            first: self.base.index,
        };
        let runs: Vec<_> = [first]
            .into_iter()
            .chain(self.terms.iter().copied())
            .collect();
        let certain = common_through(&runs, self.end.0.index, to.0, self.base.index);
        self.missing = Missing::extended(self.missing, certain, to);
        self.members.skip_to(certain, base);
        if let Some(before) = before {
            self.add_runs(before.entries_after, &before.runs);
        }
        extend_runs(&mut self.terms, self.base.index, to.0);
        self.end = to;
    }

    fn add_runs(&mut self, kept: LogIndex, runs: &[TermRun]) {
        self.terms.retain(|run| run.first <= kept);
        for &run in runs {
            if self.terms.last().is_none_or(|last| last.term != run.term) {
                self.terms.push(run);
            }
        }
    }

    /// Gives the first entries a term if they are missing: the earliest that is possible.
    fn complete_terms(&mut self) {
        let first = self.base.index.next();
        if self.missing.is_none() || self.end.0.index < first {
            return;
        }
        let until = self.terms.first().copied();
        if until.is_some_and(|run| run.first <= first) {
            return;
        }
        let latest = until.map_or(self.end.0.term, |run| run.term);
        let term = self.base.term.max(Term(1)).min(latest);
        match self.terms.first_mut() {
            Some(run) if run.term == term => run.first = first,
            _ => self.terms.insert(0, TermRun { term, first }),
        }
    }
}
