//! How replies are written to a connection: many parts in one call, or copied together first.

/// How answers are put into calls of the operating system: `h2` decides by whether a connection can
/// write several pieces of memory at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteStrategy {
    /// Pieces at once. A message of 256 bytes or more is not copied, and what ends its answer is a
    /// call of its own.
    Vectored,
    /// One piece at a time. A message of less than 1,024 bytes is copied, and its whole answer is one
    /// call; a longer one needs one call more.
    Coalesced,
}
