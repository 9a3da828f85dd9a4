//! The description of each key, made from the same text as its type: so the checks, the suggestions and
//! `docs/configuration.md` agree with the code.

/// A table of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The lines of its documentation, each with the space that it begins with.
    pub(super) meaning: &'static [&'static str],
    pub(super) keys: &'static [Key],
}

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// As for a [`Table`].
    pub(super) meaning: &'static [&'static str],
    pub(super) value_type: ValueType,
}

/// The type of a key's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum ValueType {
    /// A whole number, both bounds included.
    Number {
        /// What it counts.
        unit: &'static str,
        least: u64,
        most: u64,
        /// A bound that depends on another key; empty if there is none.
        relation: &'static str,
    },
    /// `host:port`.
    Address,
    /// `host:port`, or `unix:/path` for a socket on this machine.
    PeerAddress,
    /// `true` or `false`.
    Switch,
    /// A path; a relative one begins in the folder of the file, or for a flag or variable in the
    /// working directory.
    Path,
    /// Lower-case letters, digits and hyphens.
    Name,
}

/// What the address of a socket in the file system begins with.
pub(crate) const UNIX: &str = "unix:";
/// The longest path of a socket: the system takes 108 bytes, and the last of them ends it.
pub(super) const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The longest name of a cluster.
pub(super) const NAME_LENGTH_MAX: usize = 40;

impl ValueType {
    pub(super) const fn number(unit: &'static str, least: u64, most: u64) -> Self {
        Self::Number {
            unit,
            least,
            most,
            relation: "",
        }
    }

    /// A number with one more bound, which is checked apart from the others.
    pub(super) const fn related(
        unit: &'static str,
        least: u64,
        most: u64,
        relation: &'static str,
    ) -> Self {
        Self::Number {
            unit,
            least,
            most,
            relation,
        }
    }
}

/// Defines a table and its [`Table`].
macro_rules! table {
    (
        $(#[doc = $table_doc:literal])+
        $(#[derive($($derive:ident),+)])?
        pub struct $table:ident in $table_name:literal {
            $(
                $(#[doc = $doc:literal])+
                pub $field:ident: $type:ty = $value_type:expr,
            )+
        }
    ) => {
        $(#[doc = $table_doc])+
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize $(, $($derive),+)?)]
        #[serde(deny_unknown_fields)]
        pub struct $table {
            $(
                $(#[doc = $doc])+
                pub $field: $type,
            )+
        }

        impl $table {
            pub(super) const TABLE: Table = Table {
                name: $table_name,
                meaning: &[$($table_doc),+],
                keys: &[
                    $(Key {
                        name: stringify!($field),
                        meaning: &[$($doc),+],
                        value_type: $value_type,
                    }),+
                ],
            };
        }
    };
}

pub(super) use table;
