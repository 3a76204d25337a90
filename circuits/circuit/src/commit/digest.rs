//! What a proof is bound to before its first byte: one scalar, absorbed first.

use std::ops::Range;

use ff::FromUniformBytes;
use group::GroupEncoding;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::serde::SerdeObject;

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
    /// Advice column of the folded weights; none where they are embedded.
    pub(crate) folded_weights: Option<usize>,
    /// The model commitment; column `c` has exponent `c`.
    pub(crate) model: &'a [G1Affine],
    /// Architecture and statement, serialised.
    pub(crate) statement: &'a [u8],
    /// First advice column of committed tensors, and their commitments, one a column.
    pub(crate) tensors: (usize, &'a [G1Affine]),
}

impl Bound<'_> {
    /// The digest as a scalar. A digest, because a transcript refuses the identity, which a column of zeros commits to.
    pub(crate) fn digest(&self) -> Fr {
        let mut hasher = blake2b_simd::Params::new().hash_length(64).personal(b"zkml-gpu-bound-1").to_state();
        hasher.update(&self.transcript_repr.to_raw_bytes());
        let numbers = [
            u64::from(self.k),
            self.blinding_points.len() as u64,
            // No column has this number.
            self.folded_weights.map_or(u64::MAX, |column| column as u64),
            self.model.len() as u64,
            self.statement.len() as u64,
        ];
        numbers.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
        hash_points(&mut hasher, self.g, self.g2, self.blinding_points.iter().chain(self.model));
        // The exponents of the link table are the column numbers; said here so that another table has another digest.
        (0..self.model.len() as u64).for_each(|exponent| {
            hasher.update(&exponent.to_le_bytes());
        });
        hasher.update(self.statement);
        // What is before says how long it is, so that nothing that follows could be a part of it.
        let (first, tensors) = self.tensors;
        if !tensors.is_empty() {
            [first as u64, tensors.len() as u64].iter().for_each(|number| {
                hasher.update(&number.to_le_bytes());
            });
            tensors.iter().for_each(|point| {
                hasher.update(point.to_bytes().as_ref());
            });
        }
        Fr::from_uniform_bytes(hasher.finalize().as_array())
    }
}

/// Everything that a part of a weights' proof is bound to.
#[derive(Debug, Clone)]
pub(crate) struct PartBound<'a> {
    /// The part's verifying key's own digest.
    pub(crate) transcript_repr: Fr,
    /// log2 of the number of rows.
    pub(crate) k: u32,
    /// G1 generator.
    pub(crate) g: G1Affine,
    /// G2 generator and its multiple by the secret.
    pub(crate) g2: [G2Affine; 2],
    /// Lagrange points of the blinding rows.
    pub(crate) blinding_points: &'a [G1Affine],
    /// Which columns of the bank the part proves.
    pub(crate) columns: Range<usize>,
    /// The whole model commitment.
    pub(crate) model: &'a [G1Affine],
}

impl PartBound<'_> {
    /// The digest as a scalar.
    pub(crate) fn digest(&self) -> Fr {
        let mut hasher = blake2b_simd::Params::new().hash_length(64).personal(b"zkml-gpu-parts-1").to_state();
        hasher.update(&self.transcript_repr.to_raw_bytes());
        let numbers = [self.blinding_points.len(), self.columns.start, self.columns.end, self.model.len()];
        numbers.iter().map(|number| *number as u64).chain([u64::from(self.k)]).for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
        hash_points(&mut hasher, self.g, self.g2, self.blinding_points.iter().chain(self.model));
        Fr::from_uniform_bytes(hasher.finalize().as_array())
    }
}

/// The reference string's points and others, compressed.
fn hash_points<'a>(
    hasher: &mut blake2b_simd::State,
    g: G1Affine,
    g2: [G2Affine; 2],
    others: impl Iterator<Item = &'a G1Affine>,
) {
    hasher.update(g.to_bytes().as_ref());
    g2.iter().for_each(|point| {
        hasher.update(point.to_bytes().as_ref());
    });
    others.for_each(|point| {
        hasher.update(point.to_bytes().as_ref());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;
    use group::prime::PrimeCurveAffine;
    use halo2curves::bn256::G1;

    #[test]
    fn everything_that_a_verifier_trusts_changes_the_digest() {
        let points: Vec<G1Affine> =
            (1..8u64).map(|i| group::Curve::to_affine(&(G1::generator() * Fr::from(i)))).collect();
        let g2 = [G2Affine::generator(), G2Affine::identity()];
        let honest = Bound {
            transcript_repr: Fr::ONE,
            k: 8,
            g: points[0],
            g2,
            blinding_points: &points[1..4],
            folded_weights: Some(5),
            model: &points[4..],
            statement: b"statement",
            tensors: (0, &[]),
        };
        let swapped = [points[5], points[4], points[6]];
        let reversed = [points[1], points[0]];
        let others = [
            Bound { transcript_repr: Fr::ZERO, ..honest },
            Bound { k: 9, ..honest },
            Bound { g: points[1], ..honest },
            Bound { g2: [g2[1], g2[0]], ..honest },
            Bound { g2: [g2[0]; 2], ..honest },
            Bound { blinding_points: &points[1..3], ..honest },
            // The same points in the same order, one counted to the other list.
            Bound { blinding_points: &points[1..5], model: &points[5..], ..honest },
            Bound { blinding_points: &points[2..5], ..honest },
            Bound { folded_weights: Some(6), ..honest },
            Bound { folded_weights: None, ..honest },
            Bound { tensors: (3, &points[..1]), ..honest },
            Bound { tensors: (4, &points[..1]), ..honest },
            Bound { tensors: (3, &points[1..2]), ..honest },
            Bound { tensors: (3, &points[..2]), ..honest },
            Bound { tensors: (3, &reversed), ..honest },
            Bound { model: &points[4..6], ..honest },
            Bound { model: &swapped, ..honest },
            Bound { statement: b"statemenu", ..honest },
            Bound { statement: b"", ..honest },
        ];
        let digests: std::collections::HashSet<[u8; 32]> =
            others.iter().chain([&honest]).map(|bound| ff::PrimeField::to_repr(&bound.digest())).collect();
        assert_eq!(digests.len(), others.len() + 1);
        assert_eq!(honest.digest(), honest.digest());
    }

    #[test]
    fn a_part_is_bound_to_its_key_its_place_and_all_columns() {
        let points: Vec<G1Affine> =
            (1..8u64).map(|i| group::Curve::to_affine(&(G1::generator() * Fr::from(i)))).collect();
        let g2 = [G2Affine::generator(), G2Affine::identity()];
        let honest = PartBound {
            transcript_repr: Fr::ONE,
            k: 8,
            g: points[0],
            g2,
            blinding_points: &points[1..4],
            columns: 0..2,
            model: &points[4..],
        };
        let others = [
            PartBound { transcript_repr: Fr::ZERO, ..honest.clone() },
            PartBound { k: 9, ..honest.clone() },
            PartBound { g: points[1], ..honest.clone() },
            PartBound { g2: [g2[1], g2[0]], ..honest.clone() },
            PartBound { blinding_points: &points[1..5], model: &points[5..], ..honest.clone() },
            PartBound { columns: 0..3, ..honest.clone() },
            PartBound { columns: 1..2, ..honest.clone() },
            PartBound { model: &points[4..6], ..honest.clone() },
        ];
        let digests: std::collections::HashSet<[u8; 32]> =
            others.iter().chain([&honest]).map(|bound| ff::PrimeField::to_repr(&bound.digest())).collect();
        assert_eq!(digests.len(), others.len() + 1);
    }

    #[test]
    fn a_commitment_to_a_column_of_zeros_has_a_digest() {
        let identity = [G1Affine::identity()];
        let bound = |model| Bound {
            transcript_repr: Fr::ONE,
            k: 8,
            g: G1Affine::generator(),
            g2: [G2Affine::generator(); 2],
            blinding_points: &[],
            folded_weights: Some(0),
            model,
            statement: b"",
            tensors: (0, &[]),
        };
        assert_ne!(bound(&identity).digest(), bound(&[]).digest());
    }
}
