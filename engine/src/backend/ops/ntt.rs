//! Number-theoretic transforms over H, the subgroup of order n = 2^k, and its cosets.
//!
//! The quotient is evaluated coset by coset. For shifts g_0, .., g_{m-1} with distinct c_i = g_i^n, a polynomial
//! h = Σ_j X^{nj} h_j of degree below m·n reduces on the coset g_i·H to r_i = Σ_j c_i^j h_j. An inverse transform on
//! each coset gives r_i, and the inverse of the m × m Vandermonde matrix of the c_i gives the pieces h_j. Any m and any
//! shifts serve, so a gate of degree d needs d - 1 cosets, not the next power of two: that is
//! [`interpolate_cosets`](NttOps::interpolate_cosets).

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use super::MemoryOps;
use crate::backend::Result;
use crate::error::BackendError;

/// Transforms batched over columns. All columns of one call have the same length n = 2^k, k <= 28 (n = 1 included).
pub trait NttOps: MemoryOps {
    /// Coefficients to values on H: `out[i] = Σ_j a_j ω^{ij}`.
    ///
    /// # Errors
    /// [`NoSuchDomain`](crate::BackendError::NoSuchDomain) when a length is not a supported power of two,
    /// [`LengthMismatch`](crate::BackendError::LengthMismatch) when the lengths differ.
    fn ntt(&self, columns: &[&Self::Scalars]) -> Result<Vec<Self::Scalars>>;

    /// Values on H to coefficients, the inverse of [`ntt`](Self::ntt).
    ///
    /// # Errors
    /// As [`ntt`](Self::ntt).
    fn intt(&self, columns: &[&Self::Scalars]) -> Result<Vec<Self::Scalars>>;

    /// Coefficients to values on the coset `shift·H`: `out[i] = Σ_j a_j (shift·ω^i)^j`.
    ///
    /// # Errors
    /// As [`ntt`](Self::ntt).
    fn coset_ntt(&self, columns: &[&Self::Scalars], shift: Fr) -> Result<Vec<Self::Scalars>>;

    /// The coefficients of the polynomial h of degree below m·n that has the given values on m cosets
    /// `shift_i·H`, in m pieces of n coefficients, lowest first: h = Σ_j X^{nj}·piece_j.
    ///
    /// # Errors
    /// As [`ntt`](Self::ntt); [`DependentCosets`](crate::BackendError::DependentCosets) when no coset is given, a
    /// shift is zero or two cosets coincide (equal `shift^n`).
    fn interpolate_cosets(&self, cosets: &[(Fr, &Self::Scalars)]) -> Result<Vec<Self::Scalars>>;
}

/// The primitive root of unity of order `2^log_n` that all back ends and Halo2's domains use, or `None` above 2^28.
pub fn root_of_unity(log_n: u32) -> Option<Fr> {
    let squarings = Fr::S.checked_sub(log_n)?;
    Some((0..squarings).fold(Fr::ROOT_OF_UNITY, |root, _| root.square()))
}

/// H.
#[derive(Debug, Clone, Copy)]
pub(in crate::backend) struct Domain {
    /// log2 of the order.
    pub(in crate::backend) log_n: u32,
    /// Of that order.
    pub(in crate::backend) root: Fr,
}

/// The domain of columns of these lengths, `None` when there are none.
pub(in crate::backend) fn common_domain(
    operation: &'static str,
    mut lengths: impl Iterator<Item = usize>,
) -> Result<Option<Domain>> {
    let Some(expected) = lengths.next() else { return Ok(None) };
    if let Some(got) = lengths.find(|len| *len != expected) {
        return Err(BackendError::LengthMismatch { operation, expected, got });
    }
    let missing = BackendError::NoSuchDomain { operation, len: expected };
    if !expected.is_power_of_two() {
        return Err(missing);
    }
    let log_n = expected.trailing_zeros();
    Ok(Some(Domain { log_n, root: root_of_unity(log_n).ok_or(missing)? }))
}

/// The inverse of the matrix `V[i][j] = nodes[i]^j`, by Lagrange polynomials: column i of the inverse holds the
/// coefficients of the polynomial that is one at node i and zero at the others. `None` when two nodes coincide.
pub(in crate::backend) fn inverse_vandermonde(nodes: &[Fr]) -> Option<Vec<Vec<Fr>>> {
    let m = nodes.len();
    let mut matrix = vec![vec![Fr::ZERO; m]; m];
    for (i, node) in nodes.iter().enumerate() {
        let mut basis = vec![Fr::ONE];
        let mut denominator = Fr::ONE;
        for other in nodes.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other) {
            denominator *= node - other;
            basis.push(Fr::ZERO);
            for j in (0..basis.len()).rev() {
                let below = if j == 0 { Fr::ZERO } else { basis[j - 1] };
                basis[j] = below - basis[j] * other;
            }
        }
        let scale: Fr = Option::from(denominator.invert())?;
        for (row, coefficient) in matrix.iter_mut().zip(basis) {
            row[i] = coefficient * scale;
        }
    }
    Some(matrix)
}
