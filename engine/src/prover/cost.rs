//! What a circuit asks of the prover: the operations of every step, counted from the constraint system.
//!
//! The count is the protocol's own (`mod.rs` has the table of steps). Commitments to the advice columns are left out:
//! what they cost depends on the sizes of the cells, which the circuit's author knows.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use serde::{Deserialize, Serialize};

use super::ProverError;
use super::classes::{Classes, QuotientSize};
use super::evaluation::OpeningSchedule;
use super::shape::{Shape, is_small};
use super::shplonk::group;
use crate::cost::Work;

/// Bytes of a compressed point and of a scalar in a proof.
const ELEMENT_BYTES: usize = 32;

/// The numbers of a constraint system that the prover's work depends on.
///
/// ```
/// use halo2_proofs::plonk::ConstraintSystem;
/// use halo2_proofs::poly::Rotation;
/// use halo2curves::bn256::Fr;
/// use zkml_gpu_engine::prover::CircuitSize;
///
/// let mut cs = ConstraintSystem::<Fr>::default();
/// let (bit, selector) = (cs.advice_column(), cs.fixed_column());
/// cs.create_gate("boolean", |cells| {
///     let bit = cells.query_advice(bit, Rotation::cur());
///     vec![cells.query_fixed(selector, Rotation::cur()) * (bit.clone() * bit.clone() - bit)]
/// });
/// let size = CircuitSize::of(&cs, 10)?;
/// // On each of two cosets the bit is squared, the bit subtracted, and the difference multiplied by the selector.
/// assert_eq!((size.degree, size.quotient.multiplications, size.quotient.additions), (3, 4, 2));
/// assert!(size.work().butterflies > 0.0);
/// # Ok::<(), zkml_gpu_engine::ProverError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitSize {
    /// log2 of the number of rows.
    pub k: u32,
    /// Greatest degree of a constraint.
    pub degree: usize,
    /// Advice columns.
    pub advice_columns: usize,
    /// Fixed columns, those of the permutation argument included.
    pub fixed_columns: usize,
    /// Instance columns.
    pub instance_columns: usize,
    /// Full-size columns that permutation and lookup arguments add: their grand products, A' and S'.
    pub argument_columns: usize,
    /// Values that the verifier reads at x.
    pub evaluations: usize,
    /// Sets of points that polynomials are opened at, and the points of all sets together.
    pub openings: [usize; 2],
    /// The evaluation of the quotient.
    pub quotient: QuotientSize,
}

impl CircuitSize {
    /// Counts a constraint system with `2^k` rows.
    ///
    /// # Errors
    /// [`ProverError::VirtualSelector`] for selectors that key generation has not replaced by fixed columns.
    pub fn of(cs: &ConstraintSystem<Fr>, k: u32) -> Result<Self, ProverError> {
        let degree = cs.degree();
        let shape = Shape::of(cs, k, degree - 1)?;
        let schedule = OpeningSchedule::new(cs, &shape, 1);
        let permuted = cs.permutation().get_columns().len();
        let sets = group(&shape, schedule.openings());
        Ok(Self {
            k,
            degree,
            advice_columns: cs.num_advice_columns(),
            fixed_columns: cs.num_fixed_columns() + permuted,
            instance_columns: cs.num_instance_columns(),
            argument_columns: shape.permutation_sets(permuted) + 3 * cs.lookups().len(),
            evaluations: schedule.written(),
            openings: [sets.len(), sets.iter().map(|set| set.rotations.len()).sum()],
            quotient: Classes::new(cs, &shape)?.size(),
        })
    }

    /// Pieces of the quotient, which is evaluated on as many cosets at most.
    pub const fn pieces(&self) -> usize {
        self.degree.saturating_sub(1)
    }

    /// Whether a proof takes so little memory that the prover saves time rather than memory: it keeps all columns as
    /// coefficients, and on a coset all that are read there.
    pub const fn is_small(&self) -> bool {
        let columns = self.advice_columns + self.instance_columns + self.argument_columns + self.fixed_columns;
        is_small(1 << self.k, columns)
    }

    /// Bytes of a proof: the commitments, the evaluations, and the two points of the opening.
    pub const fn proof_bytes(&self) -> usize {
        let random_and_opening = 3;
        let points = self.advice_columns + self.argument_columns + self.pieces() + random_and_opening;
        ELEMENT_BYTES * (points + self.evaluations)
    }

    /// The work of one proof after the advice columns are committed, and their transfer. The key's polynomials are on
    /// the quotient's cosets already.
    pub fn work(&self) -> Work {
        let rows = (1u64 << self.k) as f64;
        let pieces = self.pieces() as f64;
        let made = (self.advice_columns + self.argument_columns + self.instance_columns) as f64;
        let opened = (self.advice_columns + self.argument_columns + self.fixed_columns + 2) as f64;
        let [sets, points] = self.openings.map(|count| count as f64);
        let [to_cosets, from_cosets] =
            [self.quotient.transforms, self.quotient.inverse_transforms].map(|count| count as f64);
        // Interpolation, the columns on the cosets, and the classes back; each coset scales its columns once.
        let transforms = made + to_cosets + from_cosets;
        // What is written at x, and what the check of the constraints reads besides: instances and the quotient.
        let evaluated = (self.evaluations + self.instance_columns + 1) as f64;
        // Evaluations; one linear combination of all that is opened; a division for each point and one for the
        // witness; the combinations of sets, of classes on cosets, and of pieces by powers of x^n.
        let combined = evaluated + opened + points + 2.0 * sets + 2.0 + self.quotient.interpolation as f64 + pieces;
        Work {
            full_points: rows * (self.argument_columns as f64 + pieces + 2.0),
            butterflies: transforms * rows / 2.0 * f64::from(self.k),
            row_multiplications: rows * self.quotient.multiplications as f64,
            row_additions: rows * self.quotient.additions as f64,
            scaled_additions: rows * (combined + to_cosets),
            transferred: rows * self.advice_columns as f64,
            ..Work::default()
        }
    }
}
