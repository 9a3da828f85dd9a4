//! Several nodes: the simulator, its checkers, the transcripts, real processes.
//!
//! Which test belongs where is in `docs/testing.md`. None or one node is tested beside the code.

pub mod checker;
#[cfg(feature = "processes")]
pub mod processes;
pub mod scenario;
pub mod simulation;
