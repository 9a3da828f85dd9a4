//! How fail-overs went: a bar of their stages with milliseconds, and those before it.
//!
//! Deliberately absent: computing the stages.

use egui::accesskit::Role;
use egui::{CornerRadius, Rect, RichText, Sense, Ui, Vec2, WidgetInfo};

use std::time::Duration;

use crate::model::Model;
use crate::model::failover::{self, Failover, FailoverStage};
use crate::model::time::duration_words;
use crate::theme::{self, palette, space};
use crate::views::cluster::term_colour::term_colour;
use crate::views::control::surfaces::value_row;
use crate::views::control::text::{caption, card_title, muted};

/// How many earlier ones are listed.
const EARLIER_MAX: usize = 4;

/// The last fail-over in detail, and the ones before it.
pub fn failovers_ui(ui: &mut Ui, model: &Model) {
    ui.set_width(ui.available_width());
    card_title(ui, "Fail-over");
    let mut failovers = model.cluster.failovers.iter();
    let Some(last) = failovers.next() else {
        muted(
            ui,
            "None seen yet. Kill the leader and watch here what happens.",
        );
        return;
    };
    headline_ui(ui, model, last);
    stages_ui(ui, model, last);
    let earlier: Vec<&Failover> = failovers.take(EARLIER_MAX).collect();
    if earlier.is_empty() {
        return;
    }
    ui.add_space(space::TINY);
    caption(ui, "Before that");
    for failover in earlier {
        earlier_ui(ui, model, failover);
    }
    summary_ui(ui, model);
}

fn headline_ui(ui: &mut Ui, model: &Model, failover: &Failover) {
    let from = leader_words(failover.old_leader.map(|node| node.0));
    let to = failover.new_leader.map_or_else(
        || "no node yet".to_owned(),
        |(node, term)| format!("node {} in term {term}", node.0),
    );
    let ago = duration_words(model.now.moment.since(failover.lost_at));
    ui.label(RichText::new(format!("From {from} to {to}")).text_style(theme::strong()));
    let text = match failover.duration() {
        Some(lasted) => format!(
            "{ago} ago. You could not send for {}.",
            milliseconds(lasted)
        ),
        None => format!("Began {ago} ago. Messages are queued, nothing is lost."),
    };
    muted(ui, text);
}

fn leader_words(node: Option<u64>) -> String {
    node.map_or_else(
        || "an unknown leader".to_owned(),
        |node| format!("node {node}"),
    )
}

/// A bar in which each stage is as long as it took, and the stages in words.
fn stages_ui(ui: &mut Ui, model: &Model, failover: &Failover) {
    let stages: Vec<(FailoverStage, Duration)> = failover.stages().collect();
    let so_far = model.now.moment.since(failover.lost_at);
    let end = stages
        .last()
        .filter(|_| failover.is_over())
        .map_or(so_far, |(_, at)| *at);
    let whole = end.as_secs_f32().max(0.001);
    let size = Vec2::new(ui.available_width(), 18.0);
    let (bar, response) = ui.allocate_exact_size(size, Sense::hover());
    let label = format!(
        "Fail-over in {} stages over {}",
        stages.len(),
        milliseconds(end)
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &label));
    let colours = palette(ui);
    ui.painter()
        .rect_filled(bar, CornerRadius::same(6), colours.hover);
    let mut from = 0.0;
    for (stage, at) in &stages {
        let to = at.as_secs_f32() / whole;
        let rect = Rect::from_x_y_ranges(
            bar.left() + from * bar.width()..=bar.left() + to.min(1.0) * bar.width(),
            bar.y_range(),
        );
        let colour = stage_colour(*stage, failover, colours);
        ui.painter().rect_filled(
            rect.shrink2(egui::vec2(0.5, 0.0)),
            CornerRadius::same(3),
            colour,
        );
        from = to;
    }
    ui.spacing_mut().item_spacing.y = 3.0;
    stage_row(ui, colours.bad, "Leader lost", "0 ms");
    for (stage, at) in stages {
        let colour = stage_colour(stage, failover, colours);
        stage_row(ui, colour, stage_words(stage), &milliseconds(at));
    }
    if !failover.is_over() {
        stage_row(ui, colours.muted, "Waiting…", &milliseconds(so_far));
    }
}

fn stage_row(ui: &mut Ui, colour: egui::Color32, words: &str, time: &str) {
    let name = |ui: &mut Ui| {
        let (dot, _) = ui.allocate_exact_size(Vec2::splat(12.0), Sense::hover());
        let square = Rect::from_center_size(dot.center(), Vec2::splat(9.0));
        ui.painter()
            .rect_filled(square, CornerRadius::same(3), colour);
        ui.label(words);
    };
    value_row(ui, name, time);
}

fn stage_words(stage: FailoverStage) -> &'static str {
    match stage {
        FailoverStage::Candidate => "A node starts an election",
        FailoverStage::Elected => "A new leader is elected",
        FailoverStage::FirstCommit => "It commits its first entry",
        FailoverStage::Online => "You can send again",
    }
}

fn stage_colour(
    stage: FailoverStage,
    failover: &Failover,
    colours: &theme::Palette,
) -> egui::Color32 {
    match stage {
        FailoverStage::Candidate => colours.bad,
        FailoverStage::Elected => colours.warn,
        FailoverStage::FirstCommit => failover
            .new_leader
            .map_or(colours.accent, |(_, term)| term_colour(colours, term)),
        FailoverStage::Online => colours.good,
    }
}

fn earlier_ui(ui: &mut Ui, model: &Model, failover: &Failover) {
    let to = failover.new_leader.map_or_else(
        || "no node".to_owned(),
        |(node, _)| format!("node {}", node.0),
    );
    let from = leader_words(failover.old_leader.map(|node| node.0));
    let ago = duration_words(model.now.moment.since(failover.lost_at));
    let lasted = failover.duration();
    let lasted = lasted.map_or_else(|| "–".to_owned(), milliseconds);
    let name = |ui: &mut Ui| {
        ui.label(format!("{from} to {to}, {ago} ago"));
    };
    value_row(ui, name, &lasted);
}

/// The middle and the longest of all that are remembered.
fn summary_ui(ui: &mut Ui, model: &Model) {
    let Some(all) = failover::summary(&model.cluster.failovers) else {
        return;
    };
    caption(
        ui,
        format!(
            "{} in all: half of them within {}, the longest {}.",
            all.count,
            milliseconds(all.half_within),
            milliseconds(all.longest)
        ),
    );
}

fn milliseconds(duration: Duration) -> String {
    let count = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    format!("{} ms", crate::views::control::text::grouped(count))
}
