//! Scalars as plain words: the one view of them that leaves the host.
//!
//! The host's field elements are eight 32-bit words, least significant first, in Montgomery form with R = 2^256: what
//! kernels read and write. Transfers go through this type and `bytemuck`'s checked casts, never through a cast of
//! [`Fr`] itself, whose layout is its crate's own.

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::Fr;
use halo2curves::serde::SerdeObject;

/// A scalar in device form.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct ScalarWords(pub [u32; 8]);

impl From<Fr> for ScalarWords {
    fn from(scalar: Fr) -> Self {
        bytemuck::pod_read_unaligned(&scalar.to_raw_bytes())
    }
}

impl ScalarWords {
    /// The scalar, or `None` for words that no device may return: a residue that is not reduced.
    pub fn to_scalar(self) -> Option<Fr> {
        Fr::from_raw_bytes(bytemuck::bytes_of(&self))
    }

    /// A column in device form, as the bytes to transfer.
    pub fn column(scalars: &[Fr]) -> Vec<Self> {
        scalars.iter().copied().map(Self::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;

    #[test]
    fn words_are_the_montgomery_form() {
        let one = zkml_gpu_kernels::field::Montgomery::SCALAR.one_32();
        assert_eq!(ScalarWords::from(Fr::ONE), ScalarWords(one));
    }

    #[test]
    fn columns_round_trip_through_bytes() {
        let column: Vec<Fr> = (0..9u64).map(|i| Fr::from(i).square() - Fr::from(7)).collect();
        let bytes = bytemuck::cast_slice::<_, u8>(&ScalarWords::column(&column)).to_vec();
        let back: Vec<Fr> =
            bytes.chunks(32).map(|c| bytemuck::pod_read_unaligned::<ScalarWords>(c).to_scalar().unwrap()).collect();
        assert_eq!(column, back);
    }

    #[test]
    fn unreduced_words_are_refused() {
        let modulus = zkml_gpu_kernels::field::Montgomery::SCALAR.modulus_32();
        assert_eq!(ScalarWords(modulus).to_scalar(), None);
        assert_eq!(ScalarWords([u32::MAX; 8]).to_scalar(), None);
    }
}
