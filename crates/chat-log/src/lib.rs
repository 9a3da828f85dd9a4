//! The log of a replica in files of its own, with term and vote, and the snapshots that replace its
//! beginning.
//!
//! Synchronous, and over a trait of a few file operations ([`Directory`], [`File`]): one
//! implementation is the operating system's ([`OsDirectory`]), one is the simulator's, whose disk
//! loses, tears and flips what was written. `docs/log-format.md` has the bytes.

mod files;
mod os_directory;

pub use files::{Directory, File};
pub use os_directory::{OsDirectory, OsFile};
