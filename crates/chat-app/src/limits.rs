//! How much one account, source or connection may use, and the small structures that count it.

pub mod inbox_room;
pub mod listings;
pub mod log_throttle;
pub mod password_slots;
pub mod quotas;
pub mod recent;
pub mod token_bucket;
