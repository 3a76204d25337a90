//! What a proof is bound to before its first byte: one scalar, absorbed first.

use ff::FromUniformBytes;
use group::GroupEncoding;
use halo2curves::{
    bn256::{Fr, G1Affine, G2Affine},
    serde::SerdeObject,
};

/// Everything that a verifier trusts, as one digest binds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<'a> {
    /// The verifying key's own digest.
    pub(crate) transcript_repr: Fr,
    /// log2 of the number of rows.
    pub(crate) k: u32,
    /// G1 generator.
    pub(crate) g: G1Affine,
    /// G2 generator and its multiple by the secret.
    pub(crate) g2: [G2Affine; 2],
    /// Lagrange points of the blinding rows.
    pub(crate) blinding_points: &'a [G1Affine],
    /// Advice column of the folded weights.
    pub(crate) folded_weights: usize,
    /// The model commitment; column `c` has exponent `c`.
    pub(crate) model: &'a [G1Affine],
    /// The statement, serialised.
    pub(crate) statement: &'a [u8],
}

impl Bound<'_> {
    /// The digest as a scalar. A digest, because a transcript refuses the identity, which a column of zeros commits to.
    pub(crate) fn digest(&self) -> Fr {
        let mut hasher = blake2b_simd::Params::new().hash_length(64).personal(b"zkml-gpu-bound-1").to_state();
        hasher.update(&self.transcript_repr.to_raw_bytes());
        let numbers = [
            u64::from(self.k),
            self.blinding_points.len() as u64,
            self.folded_weights as u64,
            self.model.len() as u64,
            self.statement.len() as u64,
        ];
        numbers.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
        hasher.update(self.g.to_bytes().as_ref());
        self.g2.iter().for_each(|point| {
            hasher.update(point.to_bytes().as_ref());
        });
        for point in self.blinding_points.iter().chain(self.model) {
            hasher.update(point.to_bytes().as_ref());
        }
        // The exponents of the link table are the column numbers; said here so that another table has another digest.
        (0..self.model.len() as u64).for_each(|exponent| {
            hasher.update(&exponent.to_le_bytes());
        });
        hasher.update(self.statement);
        Fr::from_uniform_bytes(hasher.finalize().as_array())
    }
}
