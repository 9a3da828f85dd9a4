//! The desktop window of the chat: for now only its demo.
//!
//! Deliberately absent: a connection.

use chat_gui::demo::{DemoError, DemoOptions};
use clap::Parser;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    demo: DemoOptions,
}

fn main() -> Result<(), DemoError> {
    chat_gui::demo::run(Arguments::parse().demo)
}
