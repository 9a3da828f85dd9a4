//! `chat cluster status`: the reports of all nodes, and the health that follows from them.

mod table;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use crate::context::Context;
use crate::failure::Failure;

use view::View;

/// The time limit for a report; the nodes report at the same time.
const REPORT_TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let view = current_view(context).await?;
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

/// The current view of the cluster.
async fn current_view(context: &Context) -> Result<View, Failure> {
    let client = context.client()?;
    let mut reports = client.status(REPORT_TIMEOUT).await;
    if client.addresses().len() > reports.len() {
        // Members that were not named.
        reports = client.status(REPORT_TIMEOUT).await;
    }
    Ok(View::new(&context.node_list.nodes, &reports))
}

#[cfg(test)]
mod tests;
