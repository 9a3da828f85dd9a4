//! Session tokens: 256 random bits that only the owner keeps, and the index of the entry that opened
//! the session.
//!
//! The SHA-256 of the random part is what is stored, replicated and compared. The token itself is sent
//! once, in the reply that opens the session. The index is not secret and proves nothing: a node that
//! has applied that entry and has no such session needs no call to another node, because there will
//! never be one. Tokens of the first release have no index.

use std::fmt;

use chat_store::LogIndex;
use sha2::{Digest as _, Sha256};

/// How many random bytes a token has.
pub const TOKEN_BYTES: usize = 32;

/// Between the random part and the index.
const SEPARATOR: char = '.';

/// HTTP ignores its case.
const SCHEME: &str = "Bearer ";

/// The random part of a new token, still without its index. Kept out of `Debug`.
pub struct Token(String);

/// A token as a client sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentedToken {
    /// The key of its session.
    pub hash: TokenHash,
    /// The entry that opened the session, as the token claims; `None` if the token has no index.
    pub opened: Option<LogIndex>,
}

/// What the servers keep of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl Token {
    /// Made of these random bytes.
    pub fn of(random: [u8; TOKEN_BYTES]) -> Self {
        Self(hexadecimal(&random))
    }

    /// What the servers keep of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The text that its owner sends with every request; `opened` is the entry that has opened the
    /// session.
    pub fn into_text(self, opened: LogIndex) -> String {
        format!("{}{SEPARATOR}{}", self.0, opened.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl PresentedToken {
    /// Parses the value of `authorization`; `None` for text that cannot be a token of this chat.
    pub fn from_authorization(value: &str) -> Option<Self> {
        let (scheme, token) = value.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let (secret, opened) = match token.split_once(SEPARATOR) {
            Some((secret, index)) => (secret, Some(index_of(index)?)),
            None => (token, None),
        };
        (secret.len() == 2 * TOKEN_BYTES).then(|| Self {
            hash: TokenHash::of(secret),
            opened,
        })
    }
}

/// Accepts only what [`Token::into_text`] writes.
fn index_of(text: &str) -> Option<LogIndex> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).map(LogIndex)
}

impl TokenHash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use chat_store::LogIndex;

    use super::{PresentedToken, SCHEME, TOKEN_BYTES, Token};

    fn presented(value: &str) -> Option<PresentedToken> {
        PresentedToken::from_authorization(value)
    }

    #[test]
    fn fuzz_authorization() {
        chat_fuzz::fuzz("authorization", |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some(token) = presented(&text) else {
                return;
            };
            let index = token
                .opened
                .map_or(0, |opened| 1 + opened.0.to_string().len());
            assert_eq!(text.len(), SCHEME.len() + 2 * TOKEN_BYTES + index);
        });
    }

    #[test]
    fn token_is_found_by_its_hash_and_index() {
        let token = Token::of([7; TOKEN_BYTES]);
        let hash = token.hash();
        let text = token.into_text(LogIndex(1_234));
        let (secret, index) = text.split_once('.').unwrap();
        assert_eq!(index, "1234");
        let of = |opened| Some(PresentedToken { hash, opened });
        let opened = Some(LogIndex(1_234));
        assert_eq!(presented(&format!("Bearer {text}")), of(opened));
        assert_eq!(presented(&format!("bearer {text}")), of(opened));
        // A token of the first release.
        assert_eq!(presented(&format!("Bearer {secret}")), of(None));
        let other = Token::of([8; TOKEN_BYTES]).into_text(LogIndex(1_234));
        let other = presented(&format!("Bearer {other}")).unwrap();
        assert_ne!(other.hash, hash);
    }

    #[test]
    fn malformed_token_is_rejected() {
        let text = Token::of([7; TOKEN_BYTES]).into_text(LogIndex(7));
        let secret = &text[..2 * TOKEN_BYTES];
        let authorization = format!("Bearer {secret}");
        for wrong in [
            text.as_str(),
            "",
            "Bearer ",
            "Basic x",
            &authorization[..authorization.len() - 1],
            &format!("{authorization}."),
            &format!("{authorization}.0"),
            &format!("{authorization}.07"),
            &format!("{authorization}.+7"),
            &format!("{authorization}.7.7"),
            &format!("{authorization}.18446744073709551616"),
            &format!("{authorization}7.7"),
        ] {
            assert_eq!(presented(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn debug_output_has_no_token() {
        let token = Token::of([7; TOKEN_BYTES]);
        assert_eq!(
            format!("{token:?}{:?}", token.hash()),
            "Token(..)TokenHash(..)"
        );
    }
}
