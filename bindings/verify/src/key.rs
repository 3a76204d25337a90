//! `model.vk`: everything that a verifier trusts about a model, in one file.
//!
//! Magic, version, the model's name, the verifying keys and a checksum. The checksum (Blake2b) is also the key's
//! digest, by which a proof names it.
//!
//! A checksum guards against damage, not against fraud: get `model.vk` from someone you trust.

use std::path::Path;

use zkml_gpu_circuit::keys::VerifyingKeys;
use zkml_gpu_circuit::system::WeightMode;

use crate::files::read_bounded;
use crate::text::{is_printable, printable};
use crate::{Error, ProofBundle, Rejection, bundle};

const MAGIC: &[u8; 8] = b"zkmlgpuV";
const VERSION: u32 = 4;
/// The last version whose keys may belong to a circuit that proves something else than its model (`SECURITY.md`).
const LAST_UNCHECKED: u64 = 3;
const DIGEST_BYTES: usize = 32;
/// Magic, version, length of the name, length of the keys.
const HEADER_BYTES: usize = 8 + 4 + 4 + 8;
/// Longest name of a model in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Largest `model.vk` that is read.
const MAX_BYTES: u64 = 256 << 20;
const HINT: &str = "model.vk is written by `zkml-gpu prove`; fetch it again from whoever published the model";

/// A model's verifying key: circuit key, reference string's verifier part, public statement, and the model commitment
/// where the circuit key does not hold the weights.
#[derive(Clone, Debug)]
pub struct ModelKey {
    model: String,
    keys: VerifyingKeys,
    bytes: Vec<u8>,
}

impl ModelKey {
    /// The key of a model, for whoever makes keys; the name is one of [`model_name`]'s.
    pub fn new(model: &str, keys: VerifyingKeys) -> Self {
        let bytes = encode(model, &keys.to_bytes());
        Self { model: model.into(), keys, bytes }
    }

    /// Reads `model.vk`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`]: nothing in the file is believed.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_bytes(&read_bounded(path, MAX_BYTES)?, &path.display().to_string())
    }

    /// As [`ModelKey::read`], from memory; `file` stands for the file in messages.
    ///
    /// # Errors
    /// As [`ModelKey::read`].
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let fail = |problem: String| Error::Artifact { file: file.into(), problem, hint: HINT };
        let (model, body) = decode(bytes).map_err(fail)?;
        let keys = VerifyingKeys::from_bytes(body).map_err(|error| fail(error.to_string()))?;
        Ok(Self { model, keys, bytes: bytes.to_vec() })
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks every field of a proof and the proof itself. All trusted values come from this key.
    ///
    /// # Errors
    /// [`Rejection`] says what is wrong with the proof.
    pub fn verify(&self, proof: &ProofBundle) -> Result<(), Rejection> {
        proof.check(self)
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    pub fn is_insecure(&self) -> bool {
        self.keys.insecure_srs()
    }

    /// Where the learned values stand. Embedded ones are public: the key holds commitments to them without blinding, by
    /// which a guess is checked, and each proof reveals one evaluation of every weight column.
    pub fn weight_mode(&self) -> WeightMode {
        self.keys.weights()
    }

    /// How the weights are bound: `committed, hiding` or `embedded, public`.
    pub fn weights(&self) -> &'static str {
        bundle::weights(self.weight_mode())
    }

    /// What the verifier knows of the weights: `field-valued, architecture not proven` of committed ones,
    /// `exact integers, fixed by the verifying key` of embedded ones.
    pub fn note(&self) -> &'static str {
        bundle::note(self.weight_mode())
    }

    /// Digest of the whole file, lower-case hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(&self.bytes[self.bytes.len() - DIGEST_BYTES..])
    }

    /// The keys inside.
    pub fn keys(&self) -> &VerifyingKeys {
        &self.keys
    }
}

/// A name that `model.vk` takes, of any text: printable, and not too long.
pub fn model_name(text: &str) -> String {
    let mut name = printable(text);
    while name.len() > MAX_NAME_BYTES {
        name.pop();
    }
    if name.is_empty() { "model".into() } else { name }
}

fn encode(model: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((model.len() as u32).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(model.as_bytes());
    bytes.extend(body);
    bytes.extend(digest(&bytes));
    bytes
}

fn digest(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let hash = blake2b_simd::Params::new().hash_length(DIGEST_BYTES).personal(b"zkml-gpu vk").hash(bytes);
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(hash.as_bytes());
    digest
}

/// Name and keys' bytes; every length is checked against the file's.
fn decode(bytes: &[u8]) -> Result<(String, &[u8]), String> {
    if bytes.len() < HEADER_BYTES + DIGEST_BYTES || &bytes[..8] != MAGIC {
        return Err("not a model.vk".into());
    }
    let number = |at: usize, size: usize| bytes[at..at + size].iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b));
    match number(8, 4) {
        version if version == u64::from(VERSION) => {}
        version if version <= LAST_UNCHECKED => {
            return Err(format!(
                "version {version} of model.vk was made without a check of the circuit's layout, so false outputs may have proofs under it \
                 (SECURITY.md): the model's owner must make a new key, this program makes version {VERSION}"
            ));
        }
        version => return Err(format!("version {version} of model.vk, this program reads version {VERSION}")),
    }
    let (content, checksum) = bytes.split_at(bytes.len() - DIGEST_BYTES);
    let (name_bytes, body_bytes) = (number(12, 4) as usize, number(16, 8));
    let expected = (HEADER_BYTES as u64 + name_bytes as u64).checked_add(body_bytes);
    if expected != Some(content.len() as u64) || name_bytes > MAX_NAME_BYTES {
        return Err(format!("the header's lengths do not fit a file of {} bytes", bytes.len()));
    }
    if digest(content) != *checksum {
        return Err("the checksum does not match: the file is damaged".into());
    }
    let (name, body) = content[HEADER_BYTES..].split_at(name_bytes);
    match std::str::from_utf8(name) {
        Ok(name) if is_printable(name) => Ok((name.into(), body)),
        _ => Err("the model's name is not printable text".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_keeps_its_fields() {
        for name in ["lenet", "größe"] {
            let bytes = encode(name, b"body");
            assert_eq!(decode(&bytes), Ok((name.to_string(), &b"body"[..])));
        }
    }

    #[test]
    fn keys_from_before_layouts_were_checked_are_refused_by_name() {
        for version in 0..=LAST_UNCHECKED {
            let mut bytes = encode("lenet", b"body");
            bytes[8..12].copy_from_slice(&(version as u32).to_le_bytes());
            let problem = decode(&bytes).unwrap_err();
            assert!(problem.contains(&format!("version {version} ")) && problem.contains("SECURITY.md"), "{problem}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let bytes = encode("lenet", b"body");
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&changed).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn names_that_could_move_the_cursor_are_refused() {
        for name in ["", "a\x1b[2J", "a\nb", &"n".repeat(256)] {
            assert!(decode(&encode(name, b"")).is_err(), "{name:?}");
        }
    }
}
