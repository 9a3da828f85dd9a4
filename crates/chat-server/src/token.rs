//! Session tokens: 256 random bits that only their owner ever sees again.
//!
//! What is kept, replicated and compared is a token's SHA-256. The token itself travels once, in
//! the reply that opens the session.

use std::fmt;

use sha2::{Digest as _, Sha256};

const TOKEN_BYTES: usize = 32;

/// Whose case does not matter in HTTP.
const SCHEME: &str = "Bearer ";

/// A token on its way to its owner. Kept out of `Debug`.
pub struct Token(String);

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

    /// The text that its owner sends with every request.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl TokenHash {
    /// Reads the value of `authorization`; `None` for what cannot be a token of ours.
    pub fn from_authorization(value: &str) -> Option<Self> {
        let (scheme, token) = value.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        (token.len() == 2 * TOKEN_BYTES).then(|| Self::of(token))
    }

    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
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
    use super::{SCHEME, TOKEN_BYTES, Token, TokenHash};

    #[test]
    fn fuzz_authorization() {
        chat_fuzz::fuzz("authorization", |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let token = TokenHash::from_authorization(&text);
            assert!(token.is_none_or(|_| text.len() == SCHEME.len() + 2 * TOKEN_BYTES));
        });
    }

    #[test]
    fn the_owner_is_recognised() {
        let token = Token::draw().unwrap();
        let hash = token.hash();
        let text = token.into_text();
        let authorization = format!("Bearer {text}");
        assert!(TokenHash::from_authorization(&authorization) == Some(hash));
        let lower = format!("bearer {text}");
        assert!(TokenHash::from_authorization(&lower) == Some(hash));
        for wrong in [
            text.as_str(),
            "",
            "Bearer ",
            "Basic x",
            &authorization[..authorization.len() - 1],
        ] {
            assert!(TokenHash::from_authorization(wrong).is_none(), "{wrong}");
        }
        let other = Token::draw().unwrap().into_text();
        assert!(TokenHash::from_authorization(&format!("Bearer {other}")) != Some(hash));
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
