//! The index of all suites: one test binary, one link.

mod checkers;
mod regressions;
mod scenarios;
mod simulation;
