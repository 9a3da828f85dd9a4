//! The segment files of a directory, and whether one follows another.

use crate::block_file::BlockFile;
use crate::error::LogError;
use crate::files::Directory;
use crate::scan::is_last_block;
use crate::segment_header::{SegmentHeader, SegmentSummary, segment_name, segment_number};

/// A file with the name of a segment.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) number: u64,
    /// `None` if it is not what was written.
    pub(crate) header: Option<SegmentHeader>,
}

impl SegmentFile {
    pub(crate) fn name(&self) -> String {
        segment_name(self.number)
    }
}

/// Reads the headers of the segments among `names`, in order.
pub(crate) fn read_headers<D: Directory>(
    directory: &D,
    names: &[String],
) -> Result<Vec<SegmentFile>, LogError> {
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| segment_number(name))
        .collect();
    numbers.sort_unstable();
    let files = numbers.into_iter().map(|number| {
        let name = segment_name(number);
        let header = SegmentHeader::read(&open_segment(directory, &name)?, &name)?.ok();
        let header = header.filter(|header| header.first_block == number);
        Ok(SegmentFile { number, header })
    });
    files.collect()
}

/// The first file that can be a part of the log: an installed base makes waste of all before it.
pub(crate) fn beginning(files: &[SegmentFile]) -> usize {
    let installs = |file: &SegmentFile| {
        let header = file.header.as_ref();
        header.is_some_and(|header| header.before.is_none())
    };
    let installed = files.iter().rposition(installs);
    // A log that was compacted begins with a segment that had one before it.
    installed.unwrap_or(0)
}

/// What `next` says of the segment of `header`, if it is its successor, and that one ends so.
pub(crate) fn joins<D: Directory>(
    directory: &D,
    header: &SegmentHeader,
    next: &SegmentHeader,
) -> Result<Option<SegmentSummary>, LogError> {
    let Some(summary) = &next.before else {
        return Ok(None);
    };
    let numbered = summary.first_block == header.first_block
        && match header.storage == next.storage {
            true => next.first_block == summary.last_block + 1,
            false => next.first_block > summary.last_block,
        };
    if !numbered {
        return Ok(None);
    }
    let ends = if summary.last_offset == 0 {
        let begin = (header.base.position, header.base.chain, header.bytes());
        (next.base.position, next.base.chain, summary.end) == begin
    } else {
        let name = segment_name(header.first_block);
        let file = open_segment(directory, &name)?;
        let mut file = BlockFile::new(file, name, header.salt);
        file.set_end(summary.end);
        is_last_block(&mut file, summary, &next.base)?
    };
    Ok(ends.then(|| summary.clone()))
}

/// Opens a segment file.
pub(crate) fn open_segment<D: Directory>(directory: &D, name: &str) -> Result<D::File, LogError> {
    directory.open(name).map_err(LogError::io("open", name))
}
