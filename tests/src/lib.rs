//! Several nodes: the simulator, its checkers, the transcripts, real processes.
//!
//! Which test belongs where is in `docs/testing.md`. None or one node is tested beside the code.

#[cfg(feature = "chat")]
pub mod chat;
pub mod checker;
pub mod message;
#[cfg(feature = "processes")]
pub mod processes;
pub mod scenario;
pub mod seeds;
pub mod simulation;
