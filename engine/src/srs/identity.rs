//! What names a reference string.

use std::fmt;

use group::GroupEncoding;
use halo2curves::bn256::G2Affine;

/// Keeps these digests apart from others.
const PERSONAL: &[u8; 14] = b"zkml-gpu-srs-1";

/// The name of a reference string: the Blake2b-256 digest of the compressed `[s]G2`, personalised by `zkml-gpu-srs-1`;
/// in words, lower-case hexadecimal. The secret determines every power, so the name is the string's whatever its
/// length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 32]);

impl Identity {
    /// Of the string with this `[s]G2`.
    pub fn of(s_g2: &G2Affine) -> Self {
        let mut params = blake2b_simd::Params::new();
        let digest = params.hash_length(32).personal(PERSONAL).hash(s_g2.to_bytes().as_ref());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_bytes());
        Self(bytes)
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}
