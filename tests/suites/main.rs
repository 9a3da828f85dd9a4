//! The index of all suites: one test binary, one link.

mod scenarios;
