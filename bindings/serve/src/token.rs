//! The secret that requests show.

use std::fmt;
use std::path::Path;

use subtle::ConstantTimeEq;
use zkml_gpu::read_bounded;

use crate::ServeError;

/// Fewest characters: shorter ones can be tried one after the other.
const LEAST_CHARS: usize = 16;
/// Largest file of a token.
const MAX_BYTES: u64 = 4096;

/// A secret, which requests show as `Authorization: Bearer TOKEN`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token of at least 16 printable characters without blanks.
    ///
    /// # Errors
    /// [`ServeError::Token`] where it is shorter, or no header can have it.
    pub fn new(text: &str) -> Result<Self, ServeError> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.len() < LEAST_CHARS {
            return Err(ServeError::Token { problem: format!("has fewer than {LEAST_CHARS} characters") });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ServeError::Token { problem: "has characters that no header may have".into() });
        }
        Ok(Self(text.into()))
    }

    /// The token in a file; a line break at its end is not part of it.
    ///
    /// # Errors
    /// [`ServeError::Library`] where the file cannot be read, and those of [`new`](Self::new).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ServeError> {
        let bytes = read_bounded(path.as_ref(), MAX_BYTES).map_err(zkml_gpu::Error::from)?;
        Self::new(&String::from_utf8_lossy(&bytes))
    }

    /// Whether this is the token, in a time that depends on no more than lengths.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_characters_are_the_token() {
        let token = Token::new("0123456789abcdef\n").expect("a token");
        assert!(token.is(b"0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdef0", "1123456789abcdef", "0123456789abcdeg"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn what_can_be_guessed_or_no_header_has_is_none() {
        for text in ["", "short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n\nx", "äääääääääääääääää"]
        {
            let message = Token::new(text).expect_err(text).to_string();
            assert!(message.contains("hint:"), "{message}");
        }
    }
}
