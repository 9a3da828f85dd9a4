//! Tests with several nodes: the simulator, its checkers, the scenarios, real processes.
//!
//! Which test belongs where is in `docs/testing.md`. Tests with one node or none are beside the code.

#[cfg(feature = "chat")]
pub mod chat;
pub mod checker;
#[cfg(feature = "processes")]
pub mod damage;
pub mod faulty_disk;
pub mod log_images;
pub mod message;
#[cfg(feature = "processes")]
pub mod processes;
pub mod scenario;
pub mod seeds;
pub mod simulation;
