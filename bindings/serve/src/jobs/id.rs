//! Names of jobs.

use std::fmt;
use std::str::FromStr;

use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};

/// A job's name, which nobody can guess: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Id([u8; 16]);

impl Id {
    /// A name that no other job has.
    pub(crate) fn draw() -> Self {
        let mut bytes = [0; 16];
        OsRng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl FromStr for Id {
    type Err = &'static str;

    /// Only the one way of writing it: two names of a job would be two paths.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => Ok(Self(bytes)),
            _ => Err("not 32 lower-case hexadecimal digits"),
        }
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_in_one_way() {
        let id = Id::draw();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, Id::draw());
        let text = "0123456789abcdef0123456789abcdef";
        assert!(text.parse::<Id>().is_ok());
        for other in ["", "..", &text[1..], &text.to_uppercase(), "0123456789abcdef0123456789abcde/", &text.repeat(2)] {
            assert!(other.parse::<Id>().is_err(), "{other}");
        }
    }
}
