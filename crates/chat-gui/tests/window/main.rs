//! The window used as a person would, with a page of the demo and without servers.

mod conversation;
mod copying;
mod dates;
mod demo_window;
mod keyboard;
mod links;
mod members;
mod rail;
mod reply;
mod search;
