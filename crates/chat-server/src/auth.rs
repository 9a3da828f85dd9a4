//! Who a client is and what it may do: passwords, tokens, sessions, and the check of each request.

pub(crate) mod authorize;
pub mod passwords;
pub(crate) mod renewals;
pub(crate) mod scope;
pub(crate) mod session_cache;
pub(crate) mod session_lookup;
pub mod token;
