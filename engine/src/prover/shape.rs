//! Sizes and degrees of a circuit, as the verifying key fixes them.

use ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression, VerifyingKey};
use halo2curves::bn256::{Fr, G1Affine};

use super::ProverError;
use crate::backend::{Backend, root_of_unity};

/// Columns that are transformed together at least.
const LEAST_BATCH: usize = 8;
/// Bytes of all columns, as field elements, up to which a proof is small.
const SMALL_BYTES: usize = 32 << 20;

/// The numbers that every step of the protocol depends on.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// log2 of the number of rows.
    pub(super) k: u32,
    /// Number of rows.
    pub(super) n: usize,
    /// Rows in front of the last blinding rows: `n - blinding_factors - 1`. Row `usable_rows` is where grand products
    /// end.
    pub(super) usable_rows: usize,
    /// The circuit's blinding factors: grand products are random in as many last rows, other columns in one row more.
    pub(super) blinding_factors: usize,
    /// Columns per permutation grand product.
    pub(super) permutation_chunk: usize,
    /// Pieces of n coefficients that the quotient has: the keys' greatest constraint degree less one.
    pub(super) quotient_pieces: usize,
    /// Generator of H.
    pub(super) omega: Fr,
    /// Whether all columns of a circuit take so few bytes that time is saved rather than memory: as coefficients they
    /// are kept, and each coset has one stage.
    pub(super) small: bool,
}

impl Shape {
    /// Reads the sizes off a verifying key and checks that every constraint's degree fits its quotient.
    pub(super) fn new(vk: &VerifyingKey<G1Affine>) -> Result<Self, ProverError> {
        let domain = vk.get_domain();
        Self::of(vk.cs(), domain.k(), usize::try_from(domain.quotient_poly_degree).unwrap_or(usize::MAX))
    }

    /// The sizes of a constraint system with `2^k` rows, whose quotient has so many pieces.
    pub(super) fn of(cs: &ConstraintSystem<Fr>, k: u32, quotient_pieces: usize) -> Result<Self, ProverError> {
        let n = 1usize << k;
        check_degrees(cs, quotient_pieces.saturating_add(1))?;
        let omega = root_of_unity(k).unwrap_or(Fr::ONE);
        let mut shape = Shape {
            k,
            n,
            usable_rows: n.saturating_sub(cs.blinding_factors() + 1),
            blinding_factors: cs.blinding_factors(),
            // The product of a chunk is multiplied by the grand product and by the active rows.
            permutation_chunk: cs.degree().saturating_sub(2).max(1),
            quotient_pieces,
            omega,
            small: false,
        };
        let permuted = cs.permutation().get_columns().len();
        let own = cs.num_advice_columns() + cs.num_instance_columns() + 3 * cs.lookups().len();
        let all = own + shape.permutation_sets(permuted) + cs.num_fixed_columns() + permuted;
        shape.small = is_small(n, all);
        Ok(shape)
    }

    /// Whether a column stays values on H: see [`MemoryOps::is_compact`](crate::backend::MemoryOps::is_compact).
    pub(super) fn stays_values<B: Backend>(&self, backend: &B, column: &B::Scalars) -> bool {
        !self.small && backend.is_compact(column)
    }

    /// Bytes of so many columns.
    pub(super) fn bytes(&self, columns: usize) -> usize {
        columns * self.n * size_of::<Fr>()
    }

    /// How many columns these bytes hold: as many as keep all threads busy at least.
    pub(super) fn batch(&self, bytes: usize) -> usize {
        (bytes / self.bytes(1)).max(LEAST_BATCH)
    }

    /// Rotation that takes row 0 to the row where grand products end.
    pub(super) fn last_rotation(&self) -> i32 {
        -i32::try_from(self.blinding_factors + 1).unwrap_or(i32::MAX)
    }

    /// Number of permutation grand products for so many columns.
    pub(super) fn permutation_sets(&self, columns: usize) -> usize {
        columns.div_ceil(self.permutation_chunk)
    }

    /// `x·omega^rotation`.
    pub(super) fn rotate(&self, x: Fr, rotation: i32) -> Fr {
        x * self.omega.pow_vartime([self.normalize(rotation)])
    }

    /// The rotation as a number of rows in `0..n`.
    pub(super) fn normalize(&self, rotation: i32) -> u64 {
        let n = i64::try_from(self.n).unwrap_or(i64::MAX);
        i64::from(rotation).rem_euclid(n).unsigned_abs()
    }
}

/// Whether a proof of a circuit with so many rows and columns is small: see [`Shape::small`].
pub(super) const fn is_small(rows: usize, columns: usize) -> bool {
    columns * rows * size_of::<Fr>() <= SMALL_BYTES
}

/// halo2-axiom lowers the constraint system's degree to a cap without a word, and a quotient cut off there would make
/// proofs that no verifier accepts.
fn check_degrees(cs: &ConstraintSystem<Fr>, cap: usize) -> Result<(), ProverError> {
    let check = |constraint: String, degree: usize| match degree {
        degree if degree > cap => Err(ProverError::DegreeTooHigh { constraint, degree, cap }),
        _ => Ok(()),
    };
    for gate in cs.gates() {
        for (index, polynomial) in gate.polynomials().iter().enumerate() {
            check(format!("constraint {index} of gate {:?}", gate.name()), polynomial.degree())?;
        }
    }
    for lookup in cs.lookups() {
        let degree =
            |expressions: &[Expression<Fr>]| expressions.iter().map(Expression::degree).max().unwrap_or(0).max(1);
        // Active rows, grand product, compressed input, compressed table.
        let product = 2 + degree(lookup.input_expressions()) + degree(lookup.table_expressions());
        check(format!("lookup {:?}", lookup.name()), product)?;
    }
    if !cs.permutation().get_columns().is_empty() {
        check("the permutation argument".to_owned(), cs.degree())?;
    }
    Ok(())
}
