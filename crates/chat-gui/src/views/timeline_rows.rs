//! The rows of a conversation: day lines, the unread line, and messages, as the list shows them.
//!
//! Deliberately absent: scrolling, and what a click on a message leads to; that comes back as
//! actions.

use egui::accesskit::Role;
use egui::{
    Align2, CornerRadius, CursorIcon, Id, Label, Layout, Rect, Response, RichText, Sense, Stroke,
    StrokeKind, Ui, UiBuilder, Vec2, WidgetInfo, WidgetText,
};

use std::borrow::Cow;
use std::sync::Arc;

use crate::message_list::{Rows, UNREAD_LINE, geometry::RowId, geometry::RowKey, message_row};
use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::conversation::Conversation;
use crate::model::holder::{EARLIER_ACCOUNT, Holder};
use crate::model::message::{Message, MessageState};
use crate::model::names::{MessageId, Name};
use crate::model::navigation::Dialog;
use crate::model::time::day_label;
use crate::model::timeline::TimelineItem;
use crate::theme::{self, FOCUS_RING, palette, radius, space};
use crate::views::bubble::{self, Below, Bubble, GUTTER, Look, RIGHT_EDGE};
use crate::views::control::text;
use crate::views::copy_button::copy_button_ui;
use crate::views::icon::Icon;
use crate::views::message_menu::MessageMenu;
use crate::views::message_text::MessageText;
use crate::views::quote::Quote;

/// The height of a day line or the unread line.
const LINE_HEIGHT: f32 = 40.0;

/// What a line about another account is called by, and the commit that created it on top: more than
/// any day has, and far below the smallest identity of a message.
const ACCOUNTS_FROM: u128 = 1 << 32;

/// Enough, at normal text size, for what is below a message that was not sent.
const NOT_SENT_WIDTH: f32 = 330.0;

/// The beginning of a quoted message that a screen reader reads.
const QUOTED_CHARACTERS: usize = 60;

/// Room below the newest message, so that a ring around it is whole.
const BELOW_LAST: f32 = 8.0;

/// The open conversation, as rows.
#[derive(Debug)]
pub struct TimelineRows<'a> {
    /// All that is shown.
    pub model: &'a Model,
    /// With whom.
    pub peer: &'a Name,
    /// What is in it.
    pub conversation: &'a Conversation,
    /// The factor of the text's size.
    pub scale: f32,
    /// The message whose menu the keyboard opens now.
    pub menu_to_open: Option<MessageId>,
    /// What the person wants.
    pub actions: &'a mut Vec<UserAction>,
}

impl Rows for TimelineRows<'_> {
    fn revision(&self) -> u64 {
        self.conversation.revision
    }

    fn count(&self) -> usize {
        self.conversation.timeline.len()
    }

    fn key(&self, row: usize) -> RowKey {
        match self.conversation.timeline.get(row) {
            Some(TimelineItem::Day(date)) => RowKey {
                // Days since the year 0 fit far below the smallest identity of a message.
                id: RowId(
                    u128::from(date.year().unsigned_abs()) * 1_000 + date.day_of_year() as u128,
                ),
                shape: 0,
            },
            Some(TimelineItem::OtherAccount(since)) => RowKey {
                id: RowId(ACCOUNTS_FROM + u128::from(since.0)),
                shape: 0,
            },
            Some(TimelineItem::Unread) | None => RowKey {
                id: UNREAD_LINE,
                shape: 0,
            },
            Some(TimelineItem::Message { .. }) => match self.message(row) {
                Some((message, look)) => RowKey {
                    id: message_row(message.id),
                    shape: bubble::shape(message, look) * 2 + u32::from(self.is_last(row)),
                },
                None => RowKey {
                    id: RowId(0),
                    shape: 0,
                },
            },
        }
    }

    fn is_message(&self, row: usize) -> bool {
        self.message(row).is_some()
    }

    fn estimate(&self, row: usize, width: f32) -> f32 {
        match self.message(row) {
            Some((message, look)) => {
                bubble::estimate(message, look, width, self.scale) + self.room_below(row)
            }
            None => LINE_HEIGHT,
        }
    }

    fn measure(&self, ui: &Ui, row: usize, width: f32) -> f32 {
        match self.message(row) {
            Some((message, look)) => {
                let quote = self.quote(message);
                let laid_out = self.lay_out(ui, message, look, quote.as_ref(), width);
                laid_out.row_height() + self.room_below(row)
            }
            None => LINE_HEIGHT,
        }
    }

    fn show(&mut self, ui: &mut Ui, row: usize, current: bool) -> Id {
        match self.conversation.timeline.get(row) {
            Some(TimelineItem::Message { .. }) => match self.message(row) {
                Some((message, look)) => self.message_ui(ui, message, look, current),
                None => ui.unique_id(),
            },
            Some(TimelineItem::OtherAccount(_)) => {
                let label = format!("From here on: another account named {}", self.peer);
                label_line(ui, &label)
            }
            Some(TimelineItem::Day(date)) => {
                let today = self.model.zone.date(self.model.now.wall);
                label_line(ui, &day_label(*date, today))
            }
            Some(TimelineItem::Unread) | None => unread_line(ui),
        }
    }
}

impl<'a> TimelineRows<'a> {
    fn is_last(&self, row: usize) -> bool {
        row + 1 == self.conversation.timeline.len()
    }

    fn room_below(&self, row: usize) -> f32 {
        if self.is_last(row) { BELOW_LAST } else { 0.0 }
    }

    /// The message of a row, if it is one.
    pub fn message(&self, row: usize) -> Option<(&'a Message, Look)> {
        match self.conversation.timeline.get(row) {
            Some(&TimelineItem::Message { index, series }) => {
                let message = self.conversation.messages.get(index)?;
                let holder = self.conversation.holder(message);
                Some((message, Look { series, holder }))
            }
            _ => None,
        }
    }

    fn message_ui(&mut self, ui: &mut Ui, message: &Message, look: Look, current: bool) -> Id {
        let row = ui.max_rect();
        let quote = self.quote(message);
        let laid_out = self.lay_out(ui, message, look, quote.as_ref(), row.width());
        let rect = laid_out.rect(row);
        let selected = self.model.selection.contains(&message.id);
        let selecting = !self.model.selection.is_empty();

        // The row's own clicks come first: what is added later lies on top of it.
        let whole = ui.interact(row, ui.unique_id().with("row"), Sense::CLICK);
        let label = self.message_label(message, look.holder, quote.as_ref());
        whole.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::ListItem, true, &label);
            info.selected = selecting.then_some(selected);
            info
        });
        self.paint_row(ui, row, rect, selected, current);
        laid_out.paint(ui, rect, self.icon(message));
        self.mark_found(ui, rect, message);

        let text = Label::new(WidgetText::Galley(Arc::clone(&laid_out.text.galley)))
            .selectable(!selecting)
            .sense(Sense::CLICK);
        let text = ui.put(laid_out.text_rect(rect), text);
        // The row has the label already; a screen reader would read the text twice.
        ui.ctx()
            .accesskit_node_builder(text.id, egui::accesskit::Node::set_hidden);
        let hovered = whole.hovered() || text.hovered();
        self.select_circle(ui, rect, message, selecting, hovered);
        if !selecting && copy_button_ui(ui, rect, message.is_own(), hovered) {
            ui.ctx().copy_text(message.body.to_string());
            self.actions.push(UserAction::Copied);
        }
        let clicked = whole.clicked() || text.clicked();
        let with_control = ui.input(|input| input.modifiers.command);
        if clicked && (selecting || with_control) {
            self.actions.push(UserAction::ToggleSelected(message.id));
        } else if !selecting {
            self.link_ui(ui, &text, &laid_out.text);
        }
        let quoted = quote.and_then(|quote| quote.id).filter(|_| !selecting);
        let quote = self.quote_ui(ui, &laid_out, rect, quoted);
        for response in [Some(&whole), Some(&text), quote.as_ref()]
            .into_iter()
            .flatten()
        {
            let menu = MessageMenu {
                peer: self.peer,
                message,
                place: rect,
                opens: self.menu_to_open == Some(message.id) && response.id == whole.id,
            };
            menu.show(response, laid_out.text.links(), self.actions);
        }
        let time = laid_out.footer_rect(rect);
        ui.interact(time, ui.unique_id().with("time"), Sense::hover())
            .on_hover_ui(|ui| {
                ui.label(self.time_words(message));
            });
        self.below_ui(ui, row, rect, message);
        whole.id
    }

    fn quote(&self, message: &Message) -> Option<Quote> {
        Quote::of(self.model, self.peer, message.reply_to)
    }

    fn lay_out(
        &self,
        ui: &Ui,
        message: &Message,
        look: Look,
        quote: Option<&Quote>,
        width: f32,
    ) -> Bubble {
        Bubble::lay_out(ui, message, look, quote, &self.model.zone, width)
    }

    fn icon(&self, message: &Message) -> Option<Icon> {
        let cluster = &self.model.cluster;
        let everywhere = message
            .commit()
            .is_some_and(|commit| cluster.is_stored_everywhere(commit.index));
        bubble::state_icon(&message.state, everywhere)
    }

    /// What the message replies to; a click leads to `quoted`, if there is one.
    fn quote_ui(
        &mut self,
        ui: &Ui,
        laid_out: &Bubble,
        bubble: Rect,
        quoted: Option<MessageId>,
    ) -> Option<Response> {
        let place = laid_out.paint_quote(ui, bubble)?;
        let id = quoted?;
        let quote = ui.interact(place, ui.unique_id().with("quote"), Sense::CLICK);
        let quote = quote.on_hover_cursor(CursorIcon::PointingHand);
        if quote.clicked() {
            let there = UserAction::OpenMessage(self.peer.clone(), id);
            self.actions.push(there);
        }
        Some(quote)
    }

    /// A link under the pointer is asked about before it is opened.
    fn link_ui(&mut self, ui: &Ui, response: &Response, text: &MessageText) {
        let place = response.interact_pointer_pos().or(response.hover_pos());
        let link = place.and_then(|place| text.link_under(place - response.rect.min));
        let Some(link) = link else { return };
        if response.hovered() {
            ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
        }
        if response.clicked() {
            let dialog = Dialog::OpenLink(link.clone());
            self.actions.push(UserAction::OpenDialog(dialog));
        }
    }

    /// What a screen reader reads: who, when, what, and the state of the message.
    fn message_label(&self, message: &Message, holder: Holder, quote: Option<&Quote>) -> String {
        let who = match (message.is_own(), holder) {
            (true, Holder::Present) => Cow::Borrowed("You"),
            (true, Holder::Earlier) => Cow::Owned(format!("You to {EARLIER_ACCOUNT}")),
            (false, holder) => holder.named(self.peer),
        };
        let time = self.model.zone.hours_and_minutes(message.at);
        let state = bubble::state_words(&message.state);
        let reply = quote.map_or_else(String::new, |quote| {
            let beginning: String = quote.text.chars().take(QUOTED_CHARACTERS).collect();
            format!(" replying to {}, {beginning:?}", quote.who)
        });
        format!("{who}, {time}{reply}: {} ({state})", message.body)
    }

    /// When it was written or stored, to the second, and on how many servers it is.
    fn time_words(&self, message: &Message) -> String {
        let time = self.model.zone.date_and_time(message.at);
        match &message.state {
            MessageState::Received { .. } => time,
            MessageState::Sent { commit, .. } => {
                format!(
                    "{time}\n{}",
                    self.model.cluster.stored_sentence(commit.index)
                )
            }
            MessageState::Pending(_) => format!("{time}\nWaiting to send"),
            MessageState::NotSent { .. } => format!("{time}\nNot sent"),
        }
    }

    fn paint_row(&self, ui: &Ui, row: Rect, rect: Rect, selected: bool, current: bool) {
        let colours = palette(ui);
        if selected {
            let wash = Rect::from_min_max(
                egui::pos2(row.left(), rect.top() - 2.0),
                egui::pos2(row.right(), rect.bottom() + 2.0),
            );
            ui.painter()
                .rect_filled(wash, CornerRadius::ZERO, colours.accent_soft);
        }
        if current {
            ui.painter().rect_stroke(
                rect.expand(3.0),
                CornerRadius::same(radius::BUBBLE + 3),
                Stroke::new(FOCUS_RING, colours.accent_text),
                StrokeKind::Outside,
            );
        }
    }

    /// A ring around the current hit of the search.
    fn mark_found(&self, ui: &Ui, rect: Rect, message: &Message) {
        let found = self.model.message_search.as_ref().and_then(|search| {
            let hit = search.hits.get(search.current?)?;
            Some(hit.id)
        });
        if found == Some(message.id) {
            ui.painter().rect_stroke(
                rect.expand(2.0),
                CornerRadius::same(radius::BUBBLE + 2),
                Stroke::new(3.0, palette(ui).found),
                StrokeKind::Outside,
            );
        }
    }

    /// The circle on the left that selects; there while one selects, or under the pointer.
    fn select_circle(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        message: &Message,
        selecting: bool,
        hovered: bool,
    ) {
        let place = Rect::from_center_size(
            egui::pos2(ui.max_rect().left() + GUTTER / 2.0, rect.center().y),
            Vec2::splat(24.0),
        );
        let selected = self.model.selection.contains(&message.id);
        let id = ui.unique_id().with("select");
        let response = ui.interact(place, id, Sense::CLICK);
        if !(selecting || hovered || response.hovered()) {
            return;
        }
        let colours = palette(ui);
        let (icon, colour) = if selected {
            (Icon::Chosen, colours.accent)
        } else {
            (Icon::Unchosen, colours.border_strong)
        };
        icon.paint(ui.painter(), place, 20.0, colour);
        if response.on_hover_text("Select").clicked() {
            self.actions.push(UserAction::ToggleSelected(message.id));
        }
    }

    /// Below a bubble: why it is queued, or why it was rejected and what can be done.
    fn below_ui(&mut self, ui: &mut Ui, row: Rect, rect: Rect, message: &Message) {
        let below = bubble::below(message);
        if below == Below::Nothing {
            return;
        }
        let place = Rect::from_min_max(
            egui::pos2(row.left() + GUTTER, rect.bottom()),
            egui::pos2(
                row.right() - RIGHT_EDGE,
                rect.bottom() + bubble::below_height(message, theme::scale(ui)),
            ),
        );
        let layout = Layout::right_to_left(egui::Align::Center);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(place).layout(layout));
        let colours = palette(&ui);
        match &message.state {
            MessageState::Pending(pending) => {
                if let Some(why) = &pending.delayed {
                    let text = "Waiting to send";
                    let text = RichText::new(text).small().color(colours.muted);
                    ui.add(Label::new(text).truncate()).on_hover_text(format!(
                        "{} {}",
                        why.sentence(),
                        why.next_step()
                    ));
                }
            }
            MessageState::NotSent { reason } => {
                ui.spacing_mut().button_padding = egui::vec2(10.0, 3.0);
                ui.spacing_mut().item_spacing.x = space::TINY + 2.0;
                if ui.button("Discard").clicked() {
                    self.actions.push(UserAction::Discard(message.id));
                }
                // The menu has it, too.
                let has_room = !theme::is_narrow(&ui, NOT_SENT_WIDTH);
                if has_room && ui.button("Copy").clicked() {
                    ui.ctx().copy_text(message.body.to_string());
                    self.actions.push(UserAction::Copied);
                }
                if ui.button("Retry").clicked() {
                    self.actions.push(UserAction::Retry(message.id));
                }
                let sentence = format!("Not sent. {}", reason.sentence());
                let text = RichText::new(sentence).small().color(colours.bad);
                ui.add(Label::new(text).truncate())
                    .on_hover_text(reason.next_step());
            }
            MessageState::Received { .. } | MessageState::Sent { .. } => {}
        }
    }
}

/// A day, or whose account it is from here on, in the middle of the row.
fn label_line(ui: &mut Ui, label: &str) -> Id {
    let colours = palette(ui);
    let row = ui.max_rect();
    let galley = text::one_line(ui, label, theme::small_strong(), colours.muted, row.width());
    let pill = Rect::from_center_size(row.center(), galley.size() + egui::vec2(24.0, 8.0));
    ui.painter()
        .rect_filled(pill, CornerRadius::same(12), colours.sidebar);
    ui.painter()
        .galley(pill.center() - galley.size() / 2.0, galley, colours.muted);
    labelled_row(ui, row, label)
}

/// The line above what was unread.
fn unread_line(ui: &mut Ui) -> Id {
    let colours = palette(ui);
    let row = ui.max_rect();
    let label = "Unread";
    let font = theme::small_strong().resolve(ui.style());
    let text = ui.painter().text(
        row.center(),
        Align2::CENTER_CENTER,
        label,
        font,
        colours.accent_text,
    );
    let stroke = Stroke::new(1.0, colours.accent_text);
    let y = row.center().y;
    let (left, right) = (row.left() + GUTTER, row.right() - RIGHT_EDGE);
    ui.painter().hline(left..=text.left() - 10.0, y, stroke);
    ui.painter().hline(text.right() + 10.0..=right, y, stroke);
    labelled_row(ui, row, label)
}

/// Gives something painted an element that a screen reader reads.
fn labelled_row(ui: &Ui, rect: Rect, label: &str) -> Id {
    let response = ui.interact(rect, ui.unique_id().with("line"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, label));
    response.id
}
