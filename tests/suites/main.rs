//! The index of all suites: one test binary, one link.

#[cfg(feature = "chat")]
mod chat_simulation;
mod checkers;
mod documentation;
mod elections;
mod log_images;
#[cfg(test)]
#[cfg(feature = "processes")]
mod processes;
mod read_rounds;
mod regressions;
mod scenarios;
mod simulation;
