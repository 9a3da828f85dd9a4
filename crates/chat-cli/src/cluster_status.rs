//! `chat cluster status`: every node asked at once, and what follows from what they say.

mod table;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use crate::failure::Failure;
use crate::invocation::Invocation;

use view::View;

/// How long a node may take to answer; all are asked at once.
const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) async fn run(invocation: &Invocation) -> Result<ExitCode, Failure> {
    let view = look(invocation).await?;
    let describe = || format!("{}\n{}", table::draw(&view), summary(&view));
    invocation.printer.print(describe, &view)?;
    Ok(ExitCode::from(view.health.exit_code()))
}

fn summary(view: &View) -> String {
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        table::coloured_summary(view)
    } else {
        view.summary.clone()
    }
}

/// The view of the cluster right now.
async fn look(invocation: &Invocation) -> Result<View, Failure> {
    let reports = invocation.client()?.status(PATIENCE).await;
    Ok(View::new(&invocation.nodes.list, &reports))
}

/// The node that leads now.
pub(crate) async fn leader(invocation: &Invocation) -> Result<u64, Failure> {
    let view = look(invocation).await?;
    let problem = || Failure::Unavailable(format!("no node leads now: {}", view.summary));
    view.leader.ok_or_else(problem)
}

#[cfg(test)]
mod tests;
