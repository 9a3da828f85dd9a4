//! Buttons, fields, cards and the like: what several pages are made of.
//!
//! Deliberately absent: anything that knows the model.

pub mod avatars;
pub mod buttons;
pub mod fields;
pub mod surfaces;
pub mod text;
