//! What a checker returns: nothing, or the property that does not hold.

use std::fmt;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker that found it.
    pub checker: &'static str,
    /// What does not hold.
    pub what: String,
}

/// What checkers return.
pub type Checked = Result<(), Violation>;

impl Violation {
    /// `checker` found `what`.
    pub fn new(checker: &'static str, what: impl Into<String>) -> Self {
        Self {
            checker,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checker {}: {}", self.checker, self.what)
    }
}

/// `Ok` if `holds`, else the violation.
pub(crate) fn ensure(holds: bool, checker: &'static str, what: impl FnOnce() -> String) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(Violation::new(checker, what()))
    }
}
