//! Menus that a right click opens, opened by the keyboard as well.
//!
//! Deliberately absent: what is in a menu.

use egui::{Key, Modifiers, Popup, Pos2, Response};

/// The keys that open the menu of what has the keyboard.
const MENU_KEYS: [(Modifiers, Key); 2] =
    [(Modifiers::NONE, Key::Menu), (Modifiers::SHIFT, Key::F10)];

/// The menu of `response`, which a right click opens, or the keyboard `now`, at this `place`.
pub(super) fn menu(response: &Response, now: bool, place: Pos2) -> Popup<'_> {
    let id = Popup::default_response_id(response);
    if now {
        Popup::open_id(&response.ctx, id);
    }
    let menu = Popup::context_menu(response);
    let by_pointer =
        Popup::position_of_id(&response.ctx, id).is_some() || response.secondary_clicked();
    if by_pointer {
        menu
    } else {
        menu.at_position(place)
    }
}

/// Whether the menu of `response` is open, and no pointer opened it.
pub(super) fn is_open_by_keys(response: &Response) -> bool {
    let id = Popup::default_response_id(response);
    Popup::is_id_open(&response.ctx, id) && Popup::position_of_id(&response.ctx, id).is_none()
}

/// Whether the menu key was pressed for `response`, which has the keyboard then.
pub(super) fn is_pressed(response: &Response) -> bool {
    response.has_focus()
        && response.ctx.input_mut(|input| {
            let mut keys = MENU_KEYS.iter();
            keys.any(|(modifiers, key)| input.consume_key(*modifiers, *key))
        })
}
