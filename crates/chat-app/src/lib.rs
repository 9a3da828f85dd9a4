//! The chat's own logic: from a request's JSON to the command in the log, and from the outcome of
//! applying to the reply.
//!
//! Two nodes take part in a change. The [`edge`], the node that the client reached, checks the request,
//! finds the session and proposes. The leader's [`preparation`] checks limits and passwords, and adds
//! the time. Applying is `chat-store`'s part.
//!
//! Nothing here reads a clock, draws a random number, hashes a password, opens a socket or waits for
//! time to pass: [`host`] names what the node provides instead. Given the same host, tables and
//! requests, the same happens. So `chat-server` and the simulator run the same code.

pub mod authorize;
pub mod edge;
pub mod error;
pub mod host;
pub mod limits;
pub mod log_clock;
pub mod origin;
pub mod preparation;
mod renewals;
pub mod reply;
pub mod request;
pub mod scope;
mod session_cache;
pub mod session_lookup;
pub mod token;
