//! What the owner of a log changes in `node`, beside term and vote.

use chat_consensus::StorageId;

use crate::error::LogError;
use crate::files::Directory;
use crate::node_file::STATE_DIRECTORY_MAX;
use crate::segment_header::segment_number;
use crate::segment_log::SegmentLog;

impl<D: Directory> SegmentLog<D> {
    /// Names the directory of the current state, durably. At most 255 bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    ///
    /// # Panics
    ///
    /// If the name is longer, or empty.
    pub fn set_state_directory(&mut self, name: &str) -> Result<(), LogError> {
        let fits = !name.is_empty() && name.len() <= usize::from(STATE_DIRECTORY_MAX);
        assert!(fits, "the name of a directory is of 1 to 255 bytes");
        self.poison_unless(|log| {
            log.change_node(|node| node.state_directory = Some(name.to_owned()))
        })
    }

    /// Remembers in `node` how far the log is synced, so that a start notices if its end is lost.
    /// Not synced: evidence that is lost is only missing. Done by itself every 4,096 entries; for a
    /// caller with a clock to do a second after the last write.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    pub fn refresh_witness(&mut self) -> Result<(), LogError> {
        self.poison_unless(Self::write_witness)
    }

    /// Gives the disk the new storage id `storage`, because a peer remembers more than it has (R18),
    /// or because a truncation ends within its hole, and ends the use of this log until it is opened
    /// again: then it ends before the hole.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    pub fn begin_amnesia(&mut self, storage: StorageId, why: &str) -> Result<(), LogError> {
        self.poison_unless(|log| {
            let block_floor = log.unused_block();
            let hole = log.hole().is_some();
            log.change_node(|node| {
                node.forget(storage, why, block_floor);
                if hole {
                    // The next start ends the log before the hole.
                    node.witness = None;
                }
            })
        })?;
        self.poisoned = true;
        Ok(())
    }

    /// Removes the mark of an amnesia: the disk was admitted again under its new storage id.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    pub fn clear_amnesia(&mut self) -> Result<(), LogError> {
        self.poison_unless(|log| log.change_node(|node| node.amnesia = None))
    }

    /// Ends the use of this log permanently: opening it fails from now on and reports `fault` (R11).
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    pub fn record_fault(&mut self, fault: &str) -> Result<(), LogError> {
        let fault = if fault.is_empty() { "unknown" } else { fault };
        self.poison_unless(|log| log.change_node(|node| node.fault = Some(fault.to_owned())))?;
        self.poisoned = true;
        Ok(())
    }

    /// Remembers that blocks of the segment file `segment` are damaged, which [`LogError::Damaged`] or
    /// [`SegmentReader::verify_segment`] said: the next start reads it whole, and opens the log with a
    /// hole there. Until then nothing changes, and reads find the damage again.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSuchSegment`] when it is not a segment's name; otherwise as
    /// [`Self::append_and_sync`].
    ///
    /// [`SegmentReader::verify_segment`]: crate::SegmentReader::verify_segment
    pub fn record_hole(&mut self, segment: &str) -> Result<(), LogError> {
        let number = segment_number(segment).ok_or_else(|| LogError::NoSuchSegment {
            name: segment.to_owned(),
        })?;
        self.poison_unless(|log| log.change_node(|node| node.add_damaged(number)))
    }
}
