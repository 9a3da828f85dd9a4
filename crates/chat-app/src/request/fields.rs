//! The values of a request's fields, each with its limit.

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};
use uuid::Uuid;

use super::invalid_request::InvalidRequest;

/// The longest username, in characters after normalisation.
const USERNAME_CHARACTERS_MAX: usize = 64;
/// The longest body, in bytes of UTF-8.
const BODY_BYTES_MAX: usize = 16_384;
/// The longest pattern, in bytes after normalisation. How long matching takes grows with it.
const PATTERN_BYTES_MAX: usize = 64;
/// The latest time at which a message may have been written, in seconds since 1970: in the year 2286.
const WRITTEN_AT_MAX: f64 = 9_999_999_999.0;
/// A SHA-256 in hexadecimal.
const DIGEST_LENGTH: usize = 64;
/// A UUID with its hyphens.
const UUID_LENGTH: usize = 36;

/// A client's name for a request, the same on every retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub Uuid);

/// A message's name, in the canonical form in which it is stored and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageId(pub String);

/// An account's name in NFC: names that differ in normalisation only are one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(pub String);

/// A pattern of SQLite's GLOB for usernames, in NFC as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

/// A message's text. Kept out of `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageBody(pub String);

/// When a message was written, in seconds since 1970; above 0 and finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrittenAt(pub f64);

/// The client's digest of a password, as good as the password. Kept out of `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest(pub String);

impl RequestId {
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, InvalidRequest> {
        parse_uuid(field, text).map(Self)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl MessageId {
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, InvalidRequest> {
        Ok(Self(parse_uuid(field, text)?.to_string()))
    }
}

impl WrittenAt {
    /// 0 is as good as no time.
    pub(super) fn parse(field: &str, seconds: f64) -> Result<Option<Self>, InvalidRequest> {
        if !(0.0..=WRITTEN_AT_MAX).contains(&seconds) {
            let problem = "must be 0 to 9,999,999,999, in seconds since 1970";
            return Err(InvalidRequest::new(field, problem));
        }
        Ok((seconds != 0.0).then_some(Self(seconds)))
    }
}

impl Username {
    pub(super) fn parse(field: &str, text: Cow<'_, str>) -> Result<Self, InvalidRequest> {
        let name = normalised(text);
        let length = name.chars().count();
        if length == 0 || length > USERNAME_CHARACTERS_MAX {
            let problem = format!("must be 1 to {USERNAME_CHARACTERS_MAX} characters long");
            return Err(InvalidRequest::new(field, problem));
        }
        if name.chars().any(is_deceptive) {
            let problem = "must not contain control, bidi or zero-width characters";
            return Err(InvalidRequest::new(field, problem));
        }
        Ok(Self(name))
    }
}

impl Pattern {
    pub(super) fn parse(field: &str, text: Cow<'_, str>) -> Result<Self, InvalidRequest> {
        let pattern = normalised(text);
        if pattern.len() > PATTERN_BYTES_MAX {
            let problem = format!("must be at most {PATTERN_BYTES_MAX} bytes of UTF-8");
            return Err(InvalidRequest::new(field, problem));
        }
        Ok(Self(pattern))
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Digest {
    pub(super) fn parse(field: &str, text: Cow<'_, str>) -> Result<Self, InvalidRequest> {
        let hexadecimal = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != DIGEST_LENGTH || !hexadecimal {
            let problem = "must be the SHA-256 of the password, 64 lower-case hex digits";
            return Err(InvalidRequest::new(field, problem));
        }
        Ok(Self(text.into_owned()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl MessageBody {
    pub(super) fn parse(field: &str, text: Cow<'_, str>) -> Result<Self, InvalidRequest> {
        if text.is_empty() || text.len() > BODY_BYTES_MAX {
            let problem = format!("must be 1 to {BODY_BYTES_MAX} bytes of UTF-8");
            return Err(InvalidRequest::new(field, problem));
        }
        // The ASCII ones, which JSON writes as six characters each. A carriage return takes two, and
        // occurs in text from Windows.
        let unwanted = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
        if text.bytes().any(unwanted) {
            let problem = "must not contain control characters but tabs and line ends";
            return Err(InvalidRequest::new(field, problem));
        }
        Ok(Self(text.into_owned()))
    }
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageBody({} bytes)", self.0.len())
    }
}

fn normalised(text: Cow<'_, str>) -> String {
    if is_nfc(&text) {
        text.into_owned()
    } else {
        text.nfc().collect()
    }
}

fn parse_uuid(field: &str, text: &str) -> Result<Uuid, InvalidRequest> {
    // `Uuid` also reads braces, URNs and digits without hyphens.
    let uuid = if text.len() == UUID_LENGTH {
        Uuid::try_parse(text).ok()
    } else {
        None
    };
    uuid.ok_or_else(|| {
        InvalidRequest::new(
            field,
            "must be a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8",
        )
    })
}

/// Characters that are invisible, or change how others look: one name could look like another.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Bidirectional marks, embeddings, overrides and isolates.
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            // Of no width, or not drawn.
            | '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}'
            | '\u{206A}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
            // Ends of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
        )
}
