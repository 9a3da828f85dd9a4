//! `chat cluster status`: every node asked at once, and what follows from what they say.

mod table;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use crate::context::Context;
use crate::failure::Failure;

use view::View;

/// How long a node may take to answer; all are asked at once.
const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let view = look(context).await?;
    let describe = || format!("{}\n{}", table::draw(&view), summary(&view));
    context.printer.print(describe, &view)?;
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
async fn look(context: &Context) -> Result<View, Failure> {
    let reports = context.client()?.status(PATIENCE).await;
    Ok(View::new(&context.node_list.nodes, &reports))
}

/// The node that leads now.
pub(crate) async fn leader(context: &Context) -> Result<u64, Failure> {
    let view = look(context).await?;
    let problem = || Failure::Unavailable(format!("no node leads now: {}", view.summary));
    view.leader.ok_or_else(problem)
}

#[cfg(test)]
mod tests;
