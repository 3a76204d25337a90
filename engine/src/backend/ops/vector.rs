//! Elementwise arithmetic, scans, evaluations and the lookup argument's grouping.

use halo2curves::bn256::Fr;

use super::MemoryOps;
use crate::backend::Result;

/// Operations on whole vectors.
///
/// # Errors
/// Unless an operation says otherwise its only errors are device failures and
/// [`LengthMismatch`](crate::BackendError::LengthMismatch), when two operands differ in length.
pub trait VectorOps: MemoryOps {
    /// `acc_i += other_i`.
    ///
    /// # Errors
    /// See the trait.
    fn add_assign(&self, acc: &mut Self::Scalars, other: &Self::Scalars) -> Result<()>;

    /// `acc_i -= other_i`.
    ///
    /// # Errors
    /// See the trait.
    fn sub_assign(&self, acc: &mut Self::Scalars, other: &Self::Scalars) -> Result<()>;

    /// `acc_i *= other_i`.
    ///
    /// # Errors
    /// See the trait.
    fn mul_assign(&self, acc: &mut Self::Scalars, other: &Self::Scalars) -> Result<()>;

    /// `acc_i *= factor`.
    ///
    /// # Errors
    /// See the trait.
    fn scale(&self, acc: &mut Self::Scalars, factor: Fr) -> Result<()>;

    /// `Σ_j factor_j·vector_j`, of the length of the longest term: shorter vectors count as padded with zeros, so
    /// that polynomials of different lengths combine. No terms give the empty vector.
    ///
    /// # Errors
    /// See the trait.
    fn linear_combination(&self, terms: &[(Fr, &Self::Scalars)]) -> Result<Self::Scalars>;

    /// Replaces every element by its inverse, and leaves zeros.
    ///
    /// # Errors
    /// See the trait.
    fn batch_invert(&self, vector: &mut Self::Scalars) -> Result<()>;

    /// Running sum that excludes the current row: `out_0 = initial`, `out_{i+1} = out_i + vector_i`; same length, so
    /// the last element of `vector` does not count.
    ///
    /// # Errors
    /// See the trait.
    fn prefix_sum(&self, vector: &Self::Scalars, initial: Fr) -> Result<Self::Scalars>;

    /// Running product that excludes the current row: `out_0 = initial`, `out_{i+1} = out_i·vector_i`; same length.
    /// This is a grand product as the permutation and lookup arguments define it.
    ///
    /// # Errors
    /// See the trait.
    fn prefix_product(&self, vector: &Self::Scalars, initial: Fr) -> Result<Self::Scalars>;

    /// Running affine map that excludes the current row: `out_0 = initial`,
    /// `out_{i+1} = factors_i·out_i + terms_i`; same length.
    ///
    /// # Errors
    /// See the trait.
    fn affine_scan(&self, factors: &Self::Scalars, terms: &Self::Scalars, initial: Fr) -> Result<Self::Scalars>;

    /// Values of polynomials (coefficients, lowest first): `out_q = polynomial_q(point_q)`. The empty polynomial is 0.
    ///
    /// # Errors
    /// See the trait.
    fn eval_polynomials(&self, queries: &[(&Self::Scalars, Fr)]) -> Result<Vec<Fr>>;

    /// The quotient of `(f - f(root)) / (X - root)`, padded to the length of `f` with one zero at the top.
    ///
    /// # Errors
    /// See the trait.
    fn divide_by_linear(&self, polynomial: &Self::Scalars, root: Fr) -> Result<Self::Scalars>;

    /// `initial·base^i` for i in 0..len.
    ///
    /// # Errors
    /// See the trait.
    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<Self::Scalars>;

    /// `Σ_i a_i·b_i`.
    ///
    /// # Errors
    /// See the trait.
    fn inner_product(&self, a: &Self::Scalars, b: &Self::Scalars) -> Result<Fr>;

    /// Permutes the first `usable` rows of a lookup's input and table as the lookup argument demands: returns (A', S')
    /// where A' is the input in ascending order of the canonical integers, and S' is a permutation of the table with
    /// S'_i = A'_i wherever A'_i is the first of its run. The other rows of S' take the unused table rows in ascending
    /// order, which makes the result unique. Rows from `usable` on are zero.
    ///
    /// # Errors
    /// [`NotInTable`](crate::BackendError::NotInTable) with the first row whose input is not in the table,
    /// [`OutOfRange`](crate::BackendError::OutOfRange) when `usable` exceeds the length.
    fn permute_lookup(
        &self,
        input: &Self::Scalars,
        table: &Self::Scalars,
        usable: usize,
    ) -> Result<(Self::Scalars, Self::Scalars)>;
}
