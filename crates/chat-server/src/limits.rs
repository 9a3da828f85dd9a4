//! How many pages one connection or session may read at once.

pub(crate) mod permit_pool;
pub(crate) mod read_permits;
