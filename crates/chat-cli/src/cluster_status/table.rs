//! The cluster as a table, and its summary in colour.

use comfy_table::{Table, presets};

use super::view::{Health, NodeView, View};
use crate::output;

const HEADER: [&str; 15] = [
    "NODE", "ADDRESS", "ROLE", "HEALTH", "TERM", "LAST", "COMMIT", "APPLIED", "TRAILS", "SEEN",
    "RTT", "DB", "UP", "VERSION", "ERROR",
];

/// Without colours, so that files, pipes and terminals get the same table.
pub(super) fn draw(view: &View) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(HEADER);
    for node in &view.nodes {
        table.add_row(columns(node));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// The summary in the colour of the health.
pub(super) fn coloured_summary(view: &View) -> String {
    let colour = match view.health {
        Health::Healthy => 32,
        Health::Degraded => 33,
        Health::NoQuorum => 31,
    };
    format!("\u{1b}[{colour}m{}\u{1b}[0m", view.summary)
}

fn node_health(node: &NodeView) -> &'static str {
    if node.member == Some(false) {
        return "left";
    }
    match (node.reachable, node.voter, &node.error) {
        (false, _, _) => "down",
        (true, _, Some(_)) => "stale",
        (true, Some(true), None) => match node.storage.as_deref() {
            Some("ok") | None => "ok",
            Some(_) => "storage",
        },
        (true, _, None) => "no vote",
    }
}

fn columns(node: &NodeView) -> [String; 15] {
    let number = |number: Option<u64>| number.map(output::thousands);
    let columns = [
        Some(format!("n{}", node.id)),
        Some(node.address.clone()),
        node.role.clone(),
        Some(node_health(node).to_owned()),
        node.term.map(|term| term.to_string()),
        number(node.last),
        number(node.commit),
        number(node.applied),
        number(node.trails),
        node.seen_ms.map(output::duration),
        node.rtt_us
            .map(|rtt| format!("{:.1} ms", rtt as f64 / 1000.0)),
        node.storage_bytes.map(output::bytes),
        node.uptime_ms.map(output::duration),
        node.version.clone(),
        Some(node.error.clone().unwrap_or_default()),
    ];
    columns.map(|column| column.unwrap_or_else(|| "-".to_owned()))
}
