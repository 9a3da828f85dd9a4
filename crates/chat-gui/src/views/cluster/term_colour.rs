//! The colour of a term, the same in each part of the cluster page.

use crate::model::names::Term;
use crate::theme::Palette;

/// The colour of a term; two consecutive terms have different ones.
pub(super) fn term_colour(colours: &Palette, term: Term) -> egui::Color32 {
    let hues = colours.hues.len();
    let place = usize::try_from(term.0).unwrap_or(0) % hues;
    colours.hues[place]
}
