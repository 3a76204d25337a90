//! Hashes and salts, and their text: 64 lower-case hexadecimal digits of an integer below the field's order, the most
//! significant first. Each has one text.

use std::fmt;
use std::str::FromStr;

use ff::Field;
use halo2curves::bn256::Fr;
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use zkml_gpu_engine::secret::wipe_elements;

use super::packing::HashError;

/// The hash of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TensorHash(Fr);

/// What hides a tensor's values behind its hash: uniform, for one tensor only, and kept.
///
/// It shows nowhere but in its text, which is asked for by [`reveal`](Self::reveal), and where it is serialised. Its
/// memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Salt(Fr);

impl TensorHash {
    /// The element of the field.
    pub const fn element(&self) -> Fr {
        self.0
    }
}

impl From<Fr> for TensorHash {
    fn from(element: Fr) -> Self {
        Self(element)
    }
}

impl fmt::Display for TensorHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_text(self.0))
    }
}

impl FromStr for TensorHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        from_text(text).map(Self)
    }
}

impl TryFrom<String> for TensorHash {
    type Error = HashError;

    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}

impl From<TensorHash> for String {
    fn from(hash: TensorHash) -> Self {
        hash.to_string()
    }
}

impl Salt {
    /// A new salt. The generator must be cryptographically secure and never repeat.
    pub fn random(rng: impl RngCore + CryptoRng) -> Self {
        Self(Fr::random(rng))
    }

    /// The element of the field.
    pub const fn element(&self) -> Fr {
        self.0
    }

    /// Its text, which is for whoever keeps it.
    pub fn reveal(&self) -> String {
        to_text(self.0)
    }
}

impl From<Fr> for Salt {
    fn from(element: Fr) -> Self {
        Self(element)
    }
}

impl Drop for Salt {
    fn drop(&mut self) {
        wipe_elements(std::slice::from_mut(&mut self.0));
    }
}

impl fmt::Debug for Salt {
    /// Nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

impl FromStr for Salt {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        from_text(text).map(Self)
    }
}

impl TryFrom<String> for Salt {
    type Error = HashError;

    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}

impl From<Salt> for String {
    fn from(salt: Salt) -> Self {
        salt.reveal()
    }
}

fn to_text(element: Fr) -> String {
    let mut bytes = element.to_bytes();
    bytes.reverse();
    hex::encode(bytes)
}

fn from_text(text: &str) -> Result<Fr, HashError> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let mut bytes = [0; 32];
    if !text.bytes().all(is_digit) || hex::decode_to_slice(text, &mut bytes).is_err() {
        return Err(HashError::Text);
    }
    bytes.reverse();
    Option::from(Fr::from_bytes(&bytes)).ok_or(HashError::Text)
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn texts_are_integers_and_come_back() {
        let text = format!("{}0102", "0".repeat(60));
        let hash: TensorHash = text.parse().unwrap();
        assert_eq!((hash.element(), hash.to_string()), (Fr::from(258), text));
        let greatest = TensorHash::from(-Fr::one());
        assert_eq!(greatest.to_string().parse(), Ok(greatest));
        assert_eq!(serde_json::from_str::<TensorHash>(&serde_json::to_string(&hash).unwrap()).unwrap(), hash);
    }

    #[test]
    fn texts_of_no_element_are_refused() {
        // The order of the field, and the same integer in other texts.
        let order = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
        let zero = "0".repeat(64);
        for text in [order, &"f".repeat(64), &zero[1..], &format!("{zero}0"), "", &zero.replace('0', "A"), "0x0"] {
            assert_eq!(text.parse::<TensorHash>(), Err(HashError::Text), "{text}");
            assert_eq!(text.parse::<Salt>(), Err(HashError::Text), "{text}");
        }
        assert!(serde_json::from_str::<Salt>("\"0\"").is_err() && serde_json::from_str::<Salt>("0").is_err());
    }

    #[test]
    fn salts_differ_come_back_and_are_not_shown() {
        let [one, other] = [(); 2].map(|()| Salt::random(OsRng));
        assert_ne!(one, other);
        assert_eq!(one.reveal().parse(), Ok(one.clone()));
        assert_eq!(serde_json::from_str::<Salt>(&serde_json::to_string(&one).unwrap()).unwrap(), one);
        assert!(!format!("{one:?}").contains(&one.reveal()[..8]));
    }
}
