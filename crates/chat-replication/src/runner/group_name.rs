//! The name of a replication group, by which several share one listener.

use std::fmt;
use std::str::FromStr;

/// The name of a replication group: at most 64 bytes of letters, digits, `-`, `_` and `.`. Empty for the
/// default group.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(String);

/// A name that no group can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a group's name has at most 64 letters, digits, `-`, `_` and `.`")]
pub struct InvalidGroupName;

impl GroupName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = InvalidGroupName;

    fn from_str(name: &str) -> Result<Self, InvalidGroupName> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.len() <= Self::BYTES_MAX && name.bytes().all(valid) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidGroupName)
        }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::GroupName;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "x".repeat(64);
        for valid in ["", "locks", "Eu-1_a.b", &longest] {
            assert_eq!(valid.parse::<GroupName>().unwrap().as_str(), valid);
        }
        for bad in ["a b", "a/b", "\u{e9}", "a\n", &format!("{longest}x")] {
            assert!(bad.parse::<GroupName>().is_err(), "{bad:?}");
        }
    }
}
