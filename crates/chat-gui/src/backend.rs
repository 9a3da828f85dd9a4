//! The outside world, on a thread of its own: servers, local cluster, disk. Knows no toolkit; it is
//! told what to do by commands and tells what happened by events, both over bounded channels.

pub mod command;
pub mod event;
