//! What the window looks like.

pub mod icon;
