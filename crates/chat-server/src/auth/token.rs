//! Session tokens: 256 random bits that only their owner ever sees again, and the index of the entry
//! that opened the session.
//!
//! What is kept, replicated and compared is the SHA-256 of the random part. The token itself travels
//! once, in the reply that opens the session. The index proves nothing and is secret from nobody: a
//! node that has applied that entry and knows no such session need ask no other node, because there
//! will never be one. Tokens of the first release have no index.

use std::fmt;

use chat_store::LogIndex;
use sha2::{Digest as _, Sha256};

const TOKEN_BYTES: usize = 32;

/// Between the random part and the index.
const SEPARATOR: char = '.';

/// Whose case does not matter in HTTP.
const SCHEME: &str = "Bearer ";

/// A token on its way to its owner, still without its index. Kept out of `Debug`.
pub struct Token(String);

/// A token as a client sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentedToken {
    /// By which its session is found.
    pub hash: TokenHash,
    /// The entry that opened the session, as the client says; `None` if the token has no index.
    pub opened: Option<LogIndex>,
}

/// What is known of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl Token {
    /// Draws a new one.
    ///
    /// # Errors
    ///
    /// The operating system has no randomness to give.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hexadecimal(&bytes)))
    }

    /// What is kept of it.
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
    /// Reads the value of `authorization`; `None` for what cannot be a token of ours.
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

/// As [`Token::into_text`] writes it, and in no other way.
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
    fn the_owner_is_recognised() {
        let token = Token::draw().unwrap();
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
        let other = Token::draw().unwrap().into_text(LogIndex(1_234));
        let other = presented(&format!("Bearer {other}")).unwrap();
        assert_ne!(other.hash, hash);
    }

    #[test]
    fn what_cannot_be_a_token_is_none() {
        let text = Token::draw().unwrap().into_text(LogIndex(7));
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
    fn a_token_is_not_shown() {
        let token = Token::draw().unwrap();
        assert_eq!(
            format!("{token:?}{:?}", token.hash()),
            "Token(..)TokenHash(..)"
        );
    }
}
