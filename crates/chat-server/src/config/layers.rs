//! The layers of a configuration, and which of them a value comes from: defaults, the file, the
//! environment, flags; each overrides those before it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use toml_edit::{ImDocument, TableLike};

use super::error::ConfigError;
use super::values::{Config, Overrides};

/// `CHAT_SERVER_TIMING__HEARTBEAT_MS` is `heartbeat_ms` of `[timing]`.
pub(super) const ENVIRONMENT_PREFIX: &str = "CHAT_SERVER_";
/// Between table and key in the name of an environment variable.
pub(super) const ENVIRONMENT_SEPARATOR: &str = "__";

/// The flags that override a key.
pub(super) const FLAGS: [(&str, &str); 3] = [
    ("--data", "storage.directory"),
    ("--listen-client", "listen.client"),
    ("--listen-peer", "listen.peer"),
];

// The names by which figment remembers where a value comes from.
const DEFAULT: &str = "default";
const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const FLAG: &str = "flag";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    /// The line is that of the key, or of the nearest table around it.
    File {
        path: PathBuf,
        line: Option<usize>,
    },
    /// The variable's name.
    Environment(String),
    /// The flag's name.
    Flag(&'static str),
}

/// The values that were read, not yet checked.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) figment: Figment,
    path: PathBuf,
    document: ImDocument<String>,
}

impl Layers {
    pub(super) fn read(file: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError::Unreadable {
            path: file.to_owned(),
            reason: error.to_string(),
        })?;
        let document =
            ImDocument::parse(text.clone()).map_err(|error| not_toml(file, &text, &error))?;
        check_environment(std::env::vars_os())?;
        let environment = Env::prefixed(ENVIRONMENT_PREFIX).split(ENVIRONMENT_SEPARATOR);
        let mut figment = Figment::from(Layer(DEFAULT, Serialized::defaults(Config::default())))
            .merge(Layer(FILE, Toml::string(&text)))
            .merge(Layer(ENVIRONMENT, environment));
        let directory = overrides.directory.as_ref().map(|path| {
            path.to_str().map(str::to_owned).ok_or_else(|| {
                ConfigError::Malformed("the directory of --data is not UTF-8".to_owned())
            })
        });
        let values = [
            directory.transpose()?,
            overrides.listen_client.clone(),
            overrides.listen_peer.clone(),
        ];
        for ((_, key), value) in FLAGS.into_iter().zip(values) {
            if let Some(value) = value {
                figment = figment.merge(Layer(FLAG, Serialized::default(key, value)));
            }
        }
        Ok(Self {
            figment,
            path: file.to_owned(),
            document,
        })
    }

    /// Where the value of a key comes from. The path of a node's key is `nodes`, its place, the key.
    pub(super) fn origin(&self, key: &[&str]) -> Origin {
        // Figment looks into tables only; a list comes from one layer as a whole.
        let known = if key.first() == Some(&"nodes") {
            "nodes".to_owned()
        } else {
            key.join(".")
        };
        self.origin_in(self.figment.find_metadata(&known), key)
    }

    /// The absolute path of a key. A path of the file, or the default, is relative to the folder of the
    /// file, wherever the process is started; one of a flag or variable to the working directory.
    pub(super) fn absolute(&self, key: &[&str], value: &Path) -> PathBuf {
        let begin = match self.origin(key) {
            Origin::Default | Origin::File { .. } => self.path.parent(),
            Origin::Environment(_) | Origin::Flag(_) => None,
        };
        let path = begin.map_or_else(|| value.to_owned(), |begin| begin.join(value));
        // This fails only if the working directory is gone; then the path stays relative.
        std::path::absolute(&path).unwrap_or(path)
    }

    /// As [`Self::origin`], when the layer is known already.
    pub(super) fn origin_in(&self, layer: Option<&Metadata>, key: &[&str]) -> Origin {
        match layer.map_or(DEFAULT, |layer| &layer.name) {
            FILE => Origin::File {
                path: self.path.clone(),
                line: line_of(&self.document, key),
            },
            ENVIRONMENT => Origin::Environment(variable(key)),
            FLAG => {
                let key = key.join(".");
                let flag = FLAGS.iter().find(|(_, overridden)| *overridden == key);
                Origin::Flag(flag.map_or("a flag", |(flag, _)| flag))
            }
            _ => Origin::Default,
        }
    }
}

/// The environment variable of a key; the nodes are all in one.
pub(super) fn variable(key: &[&str]) -> String {
    let key = if key.first() == Some(&"nodes") {
        &key[..1]
    } else {
        key
    };
    let name = key.join(ENVIRONMENT_SEPARATOR).to_ascii_uppercase();
    format!("{ENVIRONMENT_PREFIX}{name}")
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line: None } => path.display().fmt(formatter),
            Self::File {
                path,
                line: Some(line),
            } => write!(formatter, "line {line} of {}", path.display()),
            Self::Environment(name) => formatter.write_str(name),
            Self::Flag(name) => formatter.write_str(name),
        }
    }
}

/// A provider under another name.
struct Layer<P>(&'static str, P);

impl<P: Provider> Provider for Layer<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        self.1.data()
    }
}

/// Figment ignores variables whose name has an empty part, and replaces text that is not UTF-8.
fn check_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            continue;
        };
        if key.split(ENVIRONMENT_SEPARATOR).any(str::is_empty) {
            return Err(ConfigError::Malformed(format!(
                "the environment variable {name} names no key"
            )));
        }
        if value.to_str().is_none() {
            return Err(ConfigError::Malformed(format!(
                "the environment variable {name} is not UTF-8"
            )));
        }
    }
    Ok(())
}

fn not_toml(file: &Path, text: &str, error: &toml_edit::TomlError) -> ConfigError {
    let origin = Origin::File {
        path: file.to_owned(),
        line: error.span().map(|span| line_at(text, span.start)),
    };
    let reason: Vec<&str> = error.message().lines().map(str::trim).collect();
    ConfigError::Malformed(format!("{origin} cannot be parsed: {}", reason.join(": ")))
}

/// The line of a key, or of the last table on the way to it.
fn line_of(document: &ImDocument<String>, key: &[&str]) -> Option<usize> {
    let mut table: &dyn TableLike = document.as_table();
    let mut start = None;
    let mut steps = key.iter();
    while let Some(step) = steps.next() {
        let Some((name, item)) = table.get_key_value(step) else {
            break;
        };
        start = name.span().or(item.span()).or(start);
        if let Some(inner) = item.as_table_like() {
            table = inner;
            continue;
        }
        let Some(place) = steps.next().and_then(|place| place.parse::<usize>().ok()) else {
            break;
        };
        if let Some(element) = item.as_array_of_tables().and_then(|list| list.get(place)) {
            start = element.span().or(start);
            table = element;
        } else if let Some(element) = item.as_array().and_then(|list| list.get(place)) {
            start = element.span().or(start);
            let Some(inner) = element.as_inline_table() else {
                break;
            };
            table = inner;
        } else {
            break;
        }
    }
    start.map(|span| line_at(document.raw(), span.start))
}

fn line_at(text: &str, start: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(start)
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use toml_edit::ImDocument;

    use super::{check_environment, line_of};

    #[test]
    fn key_has_a_line_in_every_notation() {
        let text =
            "a = 1\n\n[t]\nk = 2\n[[nodes]]\nid = 1\n[[nodes]]\nid = 2\n[i]\nn = {\"x\" = 1}";
        let document = ImDocument::parse(text.to_owned()).unwrap();
        for (key, line) in [
            (&["a"][..], Some(1)),
            (&["t"], Some(3)),
            (&["t", "k"], Some(4)),
            (&["t", "missing"], Some(3)),
            (&["nodes", "0", "id"], Some(6)),
            (&["nodes", "1", "missing"], Some(7)),
            (&["i", "n", "x"], Some(10)),
            (&["missing"], None),
        ] {
            assert_eq!(line_of(&document, key), line, "{key:?}");
        }
        let inline = ImDocument::parse("nodes = [{id = 1},\n{id = 2}]".to_owned()).unwrap();
        assert_eq!(line_of(&inline, &["nodes", "1", "id"]), Some(2));
    }

    #[test]
    fn variable_that_figment_ignores_is_rejected() {
        let check = |name: &str, value: &[u8]| {
            let pair = (name.into(), OsString::from_vec(value.to_vec()));
            check_environment([pair].into_iter()).map_err(|error| error.to_string())
        };
        assert_eq!(check("CHAT_SERVER_TIMING__HEARTBEAT_MS", b"1"), Ok(()));
        assert_eq!(check("CHAT_SERVERS", b"\xff"), Ok(()));
        let rejected = |sentence: &str| Err(sentence.to_owned());
        assert_eq!(
            check("CHAT_SERVER_TIMING__", b"1"),
            rejected("the environment variable CHAT_SERVER_TIMING__ names no key")
        );
        assert_eq!(
            check("CHAT_SERVER_LISTEN__PEER", b"\xff"),
            rejected("the environment variable CHAT_SERVER_LISTEN__PEER is not UTF-8")
        );
    }
}
