//! Standard output: text for people or JSON for programs, and readers that close it early.

use std::io::{self, Write};

use serde::Serialize;

use crate::arguments::Format;
use crate::failure::Failure;

/// Writes results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    format: Format,
}

impl Printer {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints a result: `text` for people, `value` as one line of JSON for programs.
    pub(crate) fn print(
        self,
        text: impl FnOnce() -> String,
        value: &impl Serialize,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.text(&text()),
            Format::Json => {
                let json =
                    serde_json::to_string(value).expect("every result can be written as JSON");
                self.text(&json)
            }
        }
    }

    /// Prints text, and ends its last line if it has no end.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        self.bytes(format!("{text}{end}").as_bytes())
    }

    /// Prints the bytes unchanged.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        output
            .write_all(bytes)
            .and_then(|()| output.flush())
            .map_err(Failure::from_write)
    }
}
