//! How replies are written to a connection: many parts in one call, or copied together first.

/// How replies are split into write calls. `h2` decides by whether a connection reports that it can
/// write several buffers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteStrategy {
    /// Several buffers in one call. A message of 256 bytes or more is not copied, and the end of its
    /// reply needs another call.
    Vectored,
    /// One buffer in each call. A message of less than 1,024 bytes is copied, and its whole reply is
    /// one call; a longer one needs one call more.
    Coalesced,
}
