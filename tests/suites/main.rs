//! The index of all suites: one test binary, one link.

mod checkers;
#[cfg(test)]
#[cfg(feature = "processes")]
mod processes;
mod regressions;
mod scenarios;
mod simulation;
