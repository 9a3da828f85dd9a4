//! Standard error: warnings and failures, which are not results.

use std::io::{self, Write};

/// Writes a line to standard error. A closed standard error is ignored: the line is not a result.
pub(crate) fn warn(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
