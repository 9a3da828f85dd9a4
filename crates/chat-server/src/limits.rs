//! How much one account, source or connection may use, and the small structures that count it.

pub(crate) mod inbox_room;
pub(crate) mod listings;
pub(crate) mod log_throttle;
pub(crate) mod password_slots;
pub(crate) mod permit_pool;
pub(crate) mod quotas;
pub(crate) mod read_permits;
pub(crate) mod recent;
pub(crate) mod token_bucket;
