//! What is logged: parses `RUST_LOG`, and rejects mistakes. Without this check a mistyped level would
//! be taken for the name of a module, and nothing else would be logged.

use std::env;
use std::ffi::OsStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::diagnostics::nearest;
use super::error::ConfigError;

/// The variable; the same for every program of this kind.
const VARIABLE: &str = "RUST_LOG";
/// The value when it is not set.
const DEFAULT: &str = "info";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The filter in `RUST_LOG`; `info` if it is not set or empty.
///
/// # Errors
///
/// [`ConfigError::LogFilter`] with what is wrong in it.
pub fn log_filter() -> Result<EnvFilter, ConfigError> {
    parse(env::var_os(VARIABLE).as_deref().unwrap_or_default())
}

fn parse(value: &OsStr) -> Result<EnvFilter, ConfigError> {
    let invalid = |what: String| ConfigError::LogFilter {
        value: value.to_string_lossy().into_owned(),
        what,
    };
    let text = value
        .to_str()
        .ok_or_else(|| invalid("it must be UTF-8".to_owned()))?;
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.iter().all(|part| part.is_empty()) {
        return Ok(EnvFilter::new(DEFAULT));
    }
    if let Some(word) = parts.iter().find(|part| is_no_level(part)) {
        let advice = match nearest(&word.to_lowercase(), &LEVELS) {
            Some(level) => format!("did you mean \"{level}\"?"),
            None => format!("of a module it would be \"{word}=trace\""),
        };
        let levels = LEVELS.join(", ");
        return Err(invalid(format!(
            "{word:?} in it is not a level ({levels}); {advice}"
        )));
    }
    // With a space in front, a module's name would be a different one.
    EnvFilter::try_new(parts.join(",")).map_err(|_described_below| {
        let wrong = parts.iter().find(|part| EnvFilter::try_new(part).is_err());
        let wrong = wrong.copied().unwrap_or(text);
        invalid(format!(
            "{wrong:?} in it cannot be parsed; write a level, or module and level, as in \
             \"info,chat_server=debug\""
        ))
    })
}

/// Whether this would be taken for the name of a module and is more likely a mistyped level.
fn is_no_level(part: &str) -> bool {
    let is_more = part.contains(['=', '[', ']', '{', '}']) || part.contains("::");
    !part.is_empty() && !is_more && part.parse::<LevelFilter>().is_err()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use expect_test::{Expect, expect};

    use super::parse;

    #[test]
    fn valid_filter_keeps_its_meaning() {
        for (value, understood) in [
            ("", "info"),
            (" ", "info"),
            ("warn", "warn"),
            ("WARN", "warn"),
            ("off", "off"),
            ("info, chat_server=debug", "chat_server=debug,info"),
            ("info,", "info"),
            ("chat_server::watch", "chat_server::watch=trace"),
        ] {
            let filter = parse(OsStr::new(value)).map(|filter| filter.to_string());
            assert_eq!(filter, Ok(understood.to_owned()), "{value:?}");
        }
    }

    #[test]
    fn mistyped_part_is_named() {
        let check = |value: &[u8], expected: Expect| {
            let invalid = parse(OsStr::from_bytes(value)).unwrap_err();
            expected.assert_eq(&invalid.to_string());
        };
        check(
            b"inof",
            expect![[
                r#"the environment variable RUST_LOG is "inof", and "inof" in it is not a level (off, error, warn, info, debug, trace); did you mean "info"?"#
            ]],
        );
        check(
            b"info, Warning",
            expect![[
                r#"the environment variable RUST_LOG is "info, Warning", and "Warning" in it is not a level (off, error, warn, info, debug, trace); did you mean "warn"?"#
            ]],
        );
        check(
            b"everything",
            expect![[
                r#"the environment variable RUST_LOG is "everything", and "everything" in it is not a level (off, error, warn, info, debug, trace); of a module it would be "everything=trace""#
            ]],
        );
        check(
            b"info,chat_server=dbug",
            expect![[
                r#"the environment variable RUST_LOG is "info,chat_server=dbug", and "chat_server=dbug" in it cannot be parsed; write a level, or module and level, as in "info,chat_server=debug""#
            ]],
        );
        check(
            b"info;debug",
            expect![[
                r#"the environment variable RUST_LOG is "info;debug", and "info;debug" in it is not a level (off, error, warn, info, debug, trace); did you mean "info"?"#
            ]],
        );
        check(
            b"\xff",
            expect![[r#"the environment variable RUST_LOG is "�", and it must be UTF-8"#]],
        );
    }
}
