//! Tests of the whole log on files of the operating system.

mod block_numbers;
mod fixture;
mod holes;
mod layout;
mod members;
mod model;
mod starting;
mod writing;
