//! Shell completions and manual pages, generated from the definition of the arguments.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::printer::Printer;

const NAME: &str = "chat";

pub(crate) fn completions(printer: Printer, shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    printer.bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the page of the whole command; with a folder, writes it and a page for each subcommand
/// there.
pub(crate) fn man(printer: Printer, folder: Option<&Path>) -> Result<ExitCode, Failure> {
    let command = Arguments::command();
    match folder {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            rendered.expect("writing to a vector does not fail");
            printer.bytes(&page)?;
        }
        Some(folder) => clap_mangen::generate_to(command, folder).map_err(|error| {
            Failure::Usage(format!("cannot write to {}: {error}", folder.display()))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}
