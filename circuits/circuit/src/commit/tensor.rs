//! Committed inputs and outputs: hiding commitments to tensors, in columns that hold nothing else.
//!
//! Element `i` of a tensor, in stored order, stands in row `i % u` of column `i / u`, where `u` are the usable rows of
//! every circuit of this size; the last rows hold the commitment's own blinding, and all others are 0. So a commitment
//! depends on the tensor, on the size and on the reference string, and on no circuit: an output of one is an input of
//! another. In a proof a column `A` of the circuit holds the tensor, blinded anew, and the link shows that `[A]` and the
//! commitment agree on all usable rows.

use ff::Field;
use group::Curve;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_core::{CryptoRng, RngCore};
use zkml_gpu_engine::secret::{wipe_elements, wipe_integers};

use crate::scalar;
use crate::system::BLINDING_ROWS;

/// What the owner of a committed tensor keeps: its integers and the blinding of its columns. Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TensorOpening {
    values: Vec<i64>,
    blinds: Vec<Vec<Fr>>,
}

impl std::fmt::Debug for TensorOpening {
    /// Sizes only: the values are private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorOpening").field("columns", &self.blinds.len()).finish_non_exhaustive()
    }
}

impl Drop for TensorOpening {
    fn drop(&mut self) {
        wipe_integers(&mut self.values);
        self.blinds.iter_mut().for_each(|blinds| wipe_elements(blinds));
    }
}

/// Usable rows of a circuit of this size.
const fn usable(k: u32) -> usize {
    (1usize << k).saturating_sub(BLINDING_ROWS)
}

impl TensorOpening {
    /// Rows of a column that hold blinding: the last ones of every circuit of this crate.
    pub const BLINDING_ROWS: usize = BLINDING_ROWS;

    /// Draws blinding for a tensor (storage order) in circuits of size `k`.
    ///
    /// `rng` must be cryptographically secure.
    pub fn new(values: Vec<i64>, k: u32, mut rng: impl RngCore + CryptoRng) -> Self {
        let columns = Self::columns_of(values.len(), k);
        let blinds = (0..columns).map(|_| (0..BLINDING_ROWS).map(|_| Fr::random(&mut rng)).collect()).collect();
        Self { values, blinds }
    }

    /// An opening from its parts: none where the blinding is not that of so many values.
    pub fn from_parts(values: Vec<i64>, blinds: Vec<Vec<Fr>>, k: u32) -> Option<Self> {
        let fits = blinds.len() == Self::columns_of(values.len(), k)
            && blinds.iter().all(|column| column.len() == BLINDING_ROWS);
        fits.then_some(Self { values, blinds })
    }

    /// Columns of a tensor of so many elements in circuits of size `k`.
    pub fn columns_of(len: usize, k: u32) -> usize {
        len.div_ceil(usable(k).max(1))
    }

    /// The integers, in stored order.
    pub fn values(&self) -> &[i64] {
        &self.values
    }

    /// The blinding rows of each column.
    pub fn blinds(&self) -> &[Vec<Fr>] {
        &self.blinds
    }

    /// The columns over all rows, blinding included.
    pub(crate) fn columns(&self, k: u32) -> Vec<Vec<Fr>> {
        let usable = usable(k).max(1);
        let column = |(values, blinds): (&[i64], &Vec<Fr>)| {
            let mut column = vec![Fr::ZERO; usable];
            column.iter_mut().zip(values).for_each(|(cell, value)| *cell = scalar::from_i64(*value));
            column.extend(blinds);
            column
        };
        self.values.chunks(usable).zip(&self.blinds).map(column).collect()
    }

    /// The commitments, one a column, by the reference string's Lagrange points, of which there are `2^k`.
    pub fn commit(&self, lagrange: &[G1Affine]) -> Vec<G1Affine> {
        let usable = lagrange.len().saturating_sub(BLINDING_ROWS).max(1);
        let column = |(values, blinds): (&[i64], &Vec<Fr>)| {
            let used: Vec<usize> = (0..values.len()).filter(|row| values[*row] != 0).collect();
            let hidden = lagrange.len() - blinds.len()..lagrange.len();
            let scalars: Vec<Fr> =
                used.iter().map(|row| scalar::from_i64(values[*row])).chain(blinds.iter().copied()).collect();
            let points: Vec<G1Affine> = used.into_iter().chain(hidden).map(|row| lagrange[row]).collect();
            let sum: G1 = halo2_proofs::arithmetic::best_multiexp(&scalars, &points);
            sum.to_affine()
        };
        self.values.chunks(usable).zip(&self.blinds).map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use group::prime::PrimeCurveAffine;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn a_commitment_is_the_sum_over_its_rows_and_hides() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let lagrange: Vec<G1Affine> = (0..16).map(|_| (G1::generator() * Fr::random(&mut *rng)).to_affine()).collect();
        // Ten usable rows: two columns.
        let opening = TensorOpening::new((-7..6).collect(), 4, &mut *rng);
        let commitments = opening.commit(&lagrange);
        assert_eq!([commitments.len(), TensorOpening::columns_of(13, 4)], [2, 2]);
        for (column, commitment) in commitments.iter().enumerate() {
            let mut sum = G1Affine::identity().to_curve();
            for (row, point) in lagrange.iter().enumerate().take(10) {
                let value = opening.values.get(column * 10 + row).copied().unwrap_or(0);
                sum += point * scalar::from_i64(value);
            }
            for (i, blind) in opening.blinds[column].iter().enumerate() {
                sum += lagrange[10 + i] * blind;
            }
            assert_eq!(sum.to_affine(), *commitment);
        }
        let again = TensorOpening::new((-7..6).collect(), 4, &mut *rng).commit(&lagrange);
        assert!(again.iter().zip(&commitments).all(|(a, b)| a != b), "equal tensors have equal commitments");
    }

    #[test]
    fn parts_of_another_size_are_no_opening() {
        let opening = TensorOpening::new(vec![1; 13], 4, ChaCha20Rng::seed_from_u64(1));
        let (values, blinds) = (opening.values.clone(), opening.blinds.clone());
        assert_eq!(TensorOpening::from_parts(values.clone(), blinds.clone(), 4), Some(opening));
        assert_eq!(TensorOpening::from_parts(values.clone(), blinds.clone(), 5), None);
        assert_eq!(TensorOpening::from_parts(values.clone(), blinds[..1].to_vec(), 4), None);
        let short = blinds.iter().map(|blinds| blinds[1..].to_vec()).collect();
        assert_eq!(TensorOpening::from_parts(values, short, 4), None);
    }
}
