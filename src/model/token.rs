//! Tokens: unguessable identifiers of dispatches, which also serve as fencing tokens.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The length of a token as text.
const DIGITS: usize = 32;

/// 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u128);

/// The stored hash of a token, which cannot be used in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl Token {
    /// Generates a token.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs each time would surprise"
    )]
    pub fn new() -> Self {
        // Six bits of a version 4 UUID are fixed: they are combined with random ones of another UUID.
        Self(Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64))
    }

    /// Parses a token; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != DIGITS {
            return None;
        }
        let bits = text.bytes().try_fold(0_u128, |bits, digit| {
            Some(bits << 4 | u128::from(char::from(digit).to_digit(16)?))
        });
        bits.map(Self)
    }

    /// Its SHA-256.
    #[must_use]
    pub fn hash(self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.to_be_bytes()).into())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; DIGITS];
        let halves = self.0.to_be_bytes().map(|byte| [byte >> 4, byte & 15]);
        for (digit, half) in digits.iter_mut().zip(halves.as_flattened()) {
            *digit = match half {
                0..10 => b'0' + half,
                _ => b'a' - 10 + half,
            };
        }
        // Only digits are in it.
        f.write_str(str::from_utf8(&digits).unwrap_or_default())
    }
}

/// Tokens are secret: logs must not contain them.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_parses_from_its_text() {
        let token = Token::new();
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        let other = Token::new().to_string();
        assert_ne!(other, token.to_string());
        for wrong in ["", "x", &other[1..], &format!("{other}0"), &"+".repeat(32)] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }
}
