//! Passwords: hashed and checked on threads of their own, with limits for those who guess.

pub(crate) mod passwords;
