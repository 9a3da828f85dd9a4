//! A card for each node: what it is, how far it is, and what can be done to it.
//!
//! Deliberately absent: conclusions; a node that does not answer shows its last status.

use egui::accesskit::{Live, Role};
use egui::{CornerRadius, Grid, Rect, RichText, Sense, Stroke, Ui, Vec2};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::cluster::{NodeCard, NodeHealth, NodeRole, NodeStatus, Snapshots};
use crate::model::membership::{LearnerProgress, MemberState};
use crate::model::time::duration_words;
use crate::theme::{self, palette, space};
use crate::views::cluster::chaos::node_buttons_ui;
use crate::views::cluster::term_colour::term_colour;
use crate::views::control::surfaces::card;
use crate::views::control::text::{caption, chip, grouped, heading, muted};

/// The narrowest that a card gets before the next one goes below.
const CARD_WIDTH_MIN: f32 = 290.0;

/// A card narrower than this, in points at normal text size, has its figures below each other.
const FOUR_COLUMNS_FROM: f32 = 250.0;

/// All cards, side by side as far as they fit.
pub fn node_cards_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let nodes = &model.cluster.nodes;
    if nodes.is_empty() {
        card(ui, |ui| {
            ui.set_width(ui.available_width());
            muted(ui, "Waiting for the first answer of a node.");
        });
        return;
    }
    let width = ui.available_width() / model.preferences.text_size.factor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a window is at most some thousands of points wide"
    )]
    let fitting = ((width / CARD_WIDTH_MIN) as usize).clamp(1, nodes.len());
    for row in nodes.chunks(fitting) {
        ui.columns(fitting, |columns| {
            for (ui, node) in columns.iter_mut().zip(row) {
                node_card_ui(ui, model, node, actions);
            }
        });
    }
}

fn node_card_ui(ui: &mut Ui, model: &Model, node: &NodeCard, actions: &mut Vec<UserAction>) {
    card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 6.0;
        title_ui(ui, model, node);
        let member = model.cluster.member_state(node);
        let is_member = model.cluster.is_counted(node);
        let trouble = match &node.health {
            NodeHealth::Down(_) if !is_member => None,
            NodeHealth::Down(why) => Some((palette(ui).bad, why.as_str())),
            NodeHealth::Degraded(why) => Some((palette(ui).warn, why.as_str())),
            NodeHealth::Up | NodeHealth::Unknown => None,
        };
        match trouble {
            Some((colour, why)) => {
                let text = format!("{}: {why}", node.address);
                let text = RichText::new(text).small().color(colour);
                ui.add(egui::Label::new(text).truncate());
            }
            None => {
                caption(ui, &node.address);
            }
        }
        ui.label(RichText::new(member_words(member)).small());
        change_ui(ui, model, node);
        ui.add_space(2.0);
        // What a node that left reported last concerns nothing any more.
        if is_member {
            facts_ui(ui, model, node);
        }
        node_buttons_ui(ui, model, node, actions);
    });
}

fn title_ui(ui: &mut Ui, model: &Model, node: &NodeCard) {
    let colours = palette(ui);
    ui.horizontal_wrapped(|ui| {
        let term = node.report.as_ref().map(|report| report.term);
        // As high as the title: a row that may be broken puts things at its upper edge.
        let size = Vec2::new(14.0, ui.text_style_height(&theme::title()));
        let (dot, _) = ui.allocate_exact_size(size, Sense::hover());
        let dot = Rect::from_center_size(dot.center(), Vec2::splat(12.0));
        let colour = term.map_or(colours.border_strong, |term| term_colour(colours, term));
        let rounding = CornerRadius::same(6);
        if !model.cluster.is_counted(node) {
            ui.painter()
                .rect_filled(dot, rounding, colours.border_strong);
        } else if node.is_up() {
            ui.painter().rect_filled(dot, rounding, colour);
        } else {
            let stroke = Stroke::new(2.0, colours.bad);
            let middle = egui::StrokeKind::Middle;
            ui.painter().rect_stroke(dot, rounding, stroke, middle);
        }
        let name = node
            .id
            .map_or_else(|| "Node".to_owned(), |id| format!("Node {}", id.0));
        heading(ui, &name, theme::title());
        let (word, front, behind) = match model.cluster.member_state(node) {
            MemberState::Left => ("Left the cluster", colours.muted, colours.hover),
            MemberState::Outside => ("Not a member", colours.muted, colours.hover),
            _ => role(node, colours),
        };
        chip(ui, word, front, behind);
        if is_isolated(model, node) {
            chip(ui, "Isolated", colours.warn, colours.warn_soft);
        }
    });
}

/// Whether the supervisor of a local cluster keeps the node apart from the others.
fn is_isolated(model: &Model, node: &NodeCard) -> bool {
    let processes = model.cluster.chaos.as_ref().map(|chaos| &chaos.processes);
    let process = processes.zip(node.id).and_then(|(all, id)| all.get(&id));
    process.is_some_and(|process| process.isolated)
}

fn role(node: &NodeCard, colours: &theme::Palette) -> (&'static str, egui::Color32, egui::Color32) {
    match (&node.health, node.report.as_ref().map(|report| report.role)) {
        (NodeHealth::Down(_), _) => ("Not answering", colours.bad, colours.bad_soft),
        (NodeHealth::Degraded(_), _) => ("Storage problem", colours.warn, colours.warn_soft),
        (_, Some(NodeRole::Leader)) => ("Leader", colours.good, colours.good_soft),
        (_, Some(NodeRole::Candidate)) => ("Candidate", colours.warn, colours.warn_soft),
        (_, Some(NodeRole::Follower)) => ("Follower", colours.accent_text, colours.accent_soft),
        (_, Some(NodeRole::Learner)) => ("Does not vote yet", colours.warn, colours.warn_soft),
        (_, Some(NodeRole::Removed)) => ("Left the cluster", colours.muted, colours.hover),
        (_, Some(NodeRole::Starting)) => ("Starting", colours.muted, colours.hover),
        (_, Some(NodeRole::Unknown) | None) => ("Unknown", colours.muted, colours.hover),
    }
}

/// How far the change is that concerns this node.
fn change_ui(ui: &mut Ui, model: &Model, node: &NodeCard) {
    let chaos = model.cluster.chaos.as_ref();
    let step = chaos.and_then(|chaos| chaos.members);
    let Some(step) = step.filter(|step| step.node().is_some() && step.node() == node.id) else {
        return;
    };
    let text = RichText::new(step.sentence()).small();
    let shown = ui.label(text.color(palette(ui).warn));
    ui.ctx().accesskit_node_builder(shown.id, |node| {
        node.set_role(Role::Status);
        node.set_label(step.sentence());
        node.set_live(Live::Polite);
    });
}

/// What a node is to the cluster.
fn member_words(state: MemberState) -> String {
    match state {
        MemberState::Voter => "Voter".to_owned(),
        MemberState::Learner { progress: None } => {
            "Learner, catching up: how far it is is not known yet".to_owned()
        }
        MemberState::Learner {
            progress: Some(LearnerProgress { held, last }),
        } => {
            let (held, last) = (grouped(held.0), grouped(last.0));
            format!("Learner, catching up: {held} of {last} entries")
        }
        MemberState::Left => "It is no member any more".to_owned(),
        MemberState::Outside => "No member of the cluster is at this address".to_owned(),
        MemberState::Unknown => "Voter or learner: not known".to_owned(),
    }
}

/// Where a node's log begins; and what the node does with snapshots, or the last entry in its newest one.
fn snapshot_words(snapshots: Option<Snapshots>) -> (String, String) {
    let Some(snapshots) = snapshots else {
        return ("–".to_owned(), "–".to_owned());
    };
    let snapshot = match (snapshots.download, snapshots.newest) {
        (Some((bytes, size)), _) => format!("receiving, {} %", bytes * 100 / size.max(1)),
        _ if snapshots.is_taking => "being taken".to_owned(),
        (None, Some(newest)) => grouped(newest.0),
        (None, None) => "none yet".to_owned(),
    };
    (grouped(snapshots.log_begins.0 + 1), snapshot)
}

/// Two figures that change together, each after its name.
type FactPair = (&'static str, String, &'static str, String);

fn facts(model: &Model, node: &NodeCard) -> [FactPair; 6] {
    let report = node.report.as_ref();
    let of = |pick: fn(&NodeStatus) -> u64| {
        report.map_or_else(|| "–".to_owned(), |report| grouped(pick(report)))
    };
    let now = model.now.moment;
    let seen = match node.seen_at {
        None => "never".to_owned(),
        // It is polled all the time, and what has not changed is not reported.
        Some(_) if node.is_up() => "now".to_owned(),
        Some(at) => format!("{} ago", duration_words(now.since(at))),
    };
    let round_trip = node.round_trip.filter(|_| node.is_up()).map_or_else(
        || "–".to_owned(),
        |time| format!("{:.1} ms", time.as_secs_f64() * 1000.0),
    );
    let behind = node.behind.map_or_else(|| "–".to_owned(), grouped);
    let up = report
        .filter(|_| node.is_up())
        .zip(node.seen_at)
        .map_or_else(
            || "–".to_owned(),
            |(report, at)| duration_words(report.uptime + now.since(at)),
        );
    let disk = report.map_or_else(|| "–".to_owned(), |report| bytes(report.storage_bytes));
    let (log_begins, snapshot) = snapshot_words(report.and_then(|report| report.snapshots));
    [
        ("Term", of(|report| report.term.0), "Seen", seen),
        (
            "Log ends",
            of(|report| report.last_index.0),
            "Round trip",
            round_trip,
        ),
        (
            "Committed",
            of(|report| report.commit_index.0),
            "Running",
            up,
        ),
        (
            "Applied",
            of(|report| report.applied_index.0),
            "On disk",
            disk,
        ),
        (
            "Behind",
            behind,
            "Version",
            report.map_or_else(|| "–".to_owned(), |report| report.version.clone()),
        ),
        ("Log begins", log_begins, "Snapshot", snapshot),
    ]
}

/// Two columns of figures, those that change together beside each other.
fn facts_ui(ui: &mut Ui, model: &Model, node: &NodeCard) {
    let facts = facts(model, node);
    let id = ui.unique_id().with("facts");
    if theme::is_narrow(ui, FOUR_COLUMNS_FROM) {
        for (left, left_value, right, right_value) in facts {
            fact_ui(ui, left, &left_value);
            fact_ui(ui, right, &right_value);
        }
        return;
    }
    let column = (ui.available_width() - 3.0 * space::SMALL) / 4.0;
    Grid::new(id)
        .num_columns(4)
        .min_col_width(column.min(86.0))
        .spacing(Vec2::new(space::SMALL, 4.0))
        .show(ui, |ui| {
            for (left, left_value, right, right_value) in facts {
                caption(ui, left);
                figure(ui, &left_value);
                caption(ui, right);
                figure(ui, &right_value);
                ui.end_row();
            }
        });
}

/// In a line of its own, and the figure below its name where they do not fit.
fn fact_ui(ui: &mut Ui, name: &str, value: &str) {
    ui.horizontal_wrapped(|ui| {
        caption(ui, name);
        let value = RichText::new(value).text_style(theme::small_strong());
        ui.add(egui::Label::new(value).extend());
    });
}

fn figure(ui: &mut Ui, value: &str) {
    ui.label(RichText::new(value).text_style(theme::small_strong()));
}

/// A size in the unit that gives it one to three digits before the point.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    #[expect(
        clippy::cast_precision_loss,
        reason = "one digit behind the point is shown"
    )]
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{size:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn byte_counts_have_units_that_fit() {
        let cases = [(12, "12 B"), (2_048, "2.0 KiB"), (1_258_291, "1.2 MiB")];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
