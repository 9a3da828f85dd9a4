//! The list of messages: long, of rows of different heights, and quiet under the reader's eyes.

pub mod geometry;
