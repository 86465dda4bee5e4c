//! Tokens: what names a dispatch, and fences it. Nobody can guess one.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u128);

/// What is kept of a token: whoever reads that cannot use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl Token {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        // Six bits of a version 4 UUID are fixed: they fall together with random ones of another.
        Self(Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64))
    }

    /// Reads one; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then(|| u128::from_str_radix(text, 16).ok().map(Self))?
    }

    /// Its SHA-256.
    #[must_use]
    pub fn hash(self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.to_be_bytes()).into())
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// It is a secret: logs do not hold it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = Token::new();
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        let other = Token::new().to_string();
        assert_ne!(other, token.to_string());
        for wrong in ["", "x", &other[1..], &format!("{other}0"), &"+".repeat(32)] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }
}
