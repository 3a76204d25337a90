//! The Halo2 prover (PLONKish arithmetisation, KZG over BN254, SHPLONK or GWC openings), written once over [`Backend`].
//!
//! Proofs are those of halo2-axiom: its verifier accepts them with keys of its own making. The protocol, one step per
//! file, in the order of the transcript (`channel.rs`); `proof.rs` has what they hand on to each other:
//!
//! | step | file | reads challenges | commits to |
//! |---|---|---|---|
//! | synthesis, advice phases | `witness.rs` or `columns.rs`, `phases.rs`, `advice.rs` | | advice columns, per phase and circuit |
//! | permuted lookups | `lookup.rs` | theta | A', S' per circuit and lookup |
//! | grand products | `permutation.rs`, `lookup.rs` | beta, gamma | z per circuit and chunk of columns, then z per circuit and lookup |
//! | vanishing argument | `vanishing.rs`, `quotient.rs`, `classes.rs`, `constraints.rs` | y | a random polynomial, the quotient's pieces |
//! | evaluations | `evaluation.rs` | x | |
//! | opening | `opening.rs`, `shplonk.rs` | SHPLONK's y, v, u | two points |
//! | or | `opening.rs`, `gwc.rs` | GWC's v, u | a point per rotation |
//!
//! The protocol is that of the [halo2 book](https://zcash.github.io/halo2/design/proving-system.html); the openings are
//! [BDFG20](https://eprint.iacr.org/2020/081), section 4, and [GWC19](https://eprint.iacr.org/2019/953), section 3.
//!
//! Several circuits of one key share a proof: challenges, fixed columns, the quotient and the opening are the proof's,
//! everything else is there once per circuit. Where the table says "per phase and circuit", all circuits come before
//! the next phase.
//!
//! Zero knowledge: every column that depends on the witness is random in the rows from `n - blinding_factors` on
//! (advice and permuted columns in one row more). All randomness is drawn from the caller's generator, on one thread
//! and in the order of the transcript, so equal seeds give equal proofs on all back ends.

mod advice;
mod bases;
mod channel;
mod classes;
mod columns;
mod constraints;
mod cost;
mod derived;
mod drop_in;
mod error;
mod evaluation;
mod gwc;
mod lookup;
mod opening;
mod permutation;
mod phases;
mod poly;
mod program;
mod proof;
mod provers;
mod quotient;
mod shape;
mod shplonk;
mod stages;
mod vanishing;
mod witness;

pub use crate::spans::TRACING_TARGET;
pub use bases::lagrange_points;
pub use classes::QuotientSize;
pub use columns::{AdviceColumn, ColumnWitness};
pub use cost::CircuitSize;
pub use derived::{Derived, Fold, Rule};
pub use drop_in::{KzgOpening, create_proof, create_proof_on, try_create_proof};
pub use error::ProverError;
pub use opening::Opening;
pub use provers::Provers;

use std::slice;

use halo2_proofs::plonk::{Circuit, ConstraintSystem, ProvingKey, VerifyingKey};
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::RngCore;
use tracing::info_span;

use crate::Committer;
use crate::backend::Backend;
use crate::keygen::{CircuitKey, row_indicators};
use crate::secret::wipe_elements;
use channel::{Channel, TranscriptChannel};
use derived::DerivedColumns;
use lookup::LookupPrograms;
use permutation::PermutationProgram;
use poly::{Poly, Polynomials};
use proof::{CircuitColumns, Proof};
use quotient::{Columns, Quotient};
use shape::Shape;

/// How a [`Prover`] opens polynomials, how it spends memory, and what it checks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProverOptions {
    /// The kind of opening, which the verifier has to share.
    pub opening: Opening,
    /// The Lagrange points `[l_i(s)]_1`, one per row. Taken out of the parameters when absent.
    pub lagrange_points: Option<Vec<G1Affine>>,
    /// Bytes per basis that the back end may spend on precomputed multiples of the points.
    pub table_budget_bytes: usize,
    /// Bytes that the proving key's polynomials on the quotient's cosets may take. The last cosets, which read the
    /// fewest, are kept first; on those that do not fit the polynomials are transformed anew in every proof.
    pub coset_budget_bytes: usize,
    /// Advice columns that the back end computes: what a circuit assigns to them does not count. Worth it where the
    /// columns they follow from are on a device: see [`MemoryOps::is_host`](crate::backend::MemoryOps::is_host).
    pub derived: Vec<Derived>,
    /// Refuse a witness that violates a constraint, instead of making a proof that no verifier accepts. Costs a few
    /// evaluations.
    pub check_witness: bool,
}

impl Default for ProverOptions {
    fn default() -> Self {
        ProverOptions {
            opening: Opening::default(),
            lagrange_points: None,
            table_budget_bytes: 256 << 20,
            coset_budget_bytes: 8 << 30,
            derived: Vec::new(),
            check_witness: true,
        }
    }
}

/// A prover for one circuit: the back end with everything resident that proofs of this circuit share. Make it once and
/// use it for many proofs, also from several threads.
///
/// ```
/// use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
/// use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Selector, keygen_pk, keygen_vk};
/// use halo2_proofs::poly::{Rotation, kzg::commitment::ParamsKZG};
/// use halo2_proofs::transcript::{Blake2bWrite, Challenge255, TranscriptWriterBuffer};
/// use halo2curves::bn256::{Bn256, Fr, G1Affine};
/// use zkml_gpu_engine::{Prover, backend::Cpu};
///
/// /// Proves knowledge of bits.
/// struct Bits(Vec<u64>);
///
/// impl Circuit<Fr> for Bits {
///     type Config = (Column<Advice>, Selector);
///     type FloorPlanner = SimpleFloorPlanner;
///     type Params = ();
///
///     fn without_witnesses(&self) -> Self {
///         Bits(vec![0; self.0.len()])
///     }
///
///     fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
///         let (bit, selector) = (cs.advice_column(), cs.selector());
///         cs.create_gate("boolean", |cells| {
///             let bit = cells.query_advice(bit, Rotation::cur());
///             vec![cells.query_selector(selector) * (bit.clone() * bit.clone() - bit)]
///         });
///         (bit, selector)
///     }
///
///     fn synthesize(&self, (bit, selector): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
///         layouter.assign_region(|| "bits", |mut region| {
///             for (row, &value) in self.0.iter().enumerate() {
///                 selector.enable(&mut region, row)?;
///                 region.assign_advice(bit, row, Value::known(Fr::from(value)));
///             }
///             Ok(())
///         })
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let circuit = Bits(vec![1, 0, 1]);
/// let params = ParamsKZG::<Bn256>::setup(4, rand_core::OsRng); // a real one comes from a ceremony
/// let vk = keygen_vk::<G1Affine, _, _>(&params, &circuit)?;
/// let pk = keygen_pk(&params, vk, &circuit)?;
///
/// let prover = Prover::new(Cpu::new(), &params, &pk)?;
/// let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
/// prover.create_proof(&circuit, &[], rand_core::OsRng, &mut transcript)?;
/// let proof = transcript.finalize();
/// # assert!(!proof.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Prover<B: Backend> {
    backend: B,
    cs: ConstraintSystem<Fr>,
    transcript_repr: Fr,
    shape: Shape,
    opening: Opening,
    check_witness: bool,
    monomial: B::Bases,
    lagrange: B::Bases,
    /// The key's columns as values on H.
    values: Polynomials<B::Scalars>,
    /// Those of its polynomials that are not kept as values alone, as coefficients.
    polys: Polynomials<B::Scalars>,
    lookups: LookupPrograms<B>,
    permutation: PermutationProgram<B>,
    quotient: Quotient<B>,
    derived: DerivedColumns<B>,
}

impl<B: Backend> Prover<B> {
    /// Makes the parameters' points and the key's polynomials resident and compiles the circuit's constraints.
    ///
    /// # Errors
    /// [`ProverError::SizeMismatch`] when parameters and key differ in k, [`ProverError::DegreeTooHigh`] when a
    /// constraint does not fit the key's quotient, [`ProverError::Backend`] when the device fails.
    pub fn new(backend: B, params: &ParamsKZG<Bn256>, pk: &ProvingKey<G1Affine>) -> Result<Self, ProverError> {
        Self::with_options(backend, params, pk, ProverOptions::default())
    }

    /// As [`new`](Self::new), with options.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`ProverError::LagrangePoints`] when points were handed in that are not one per row.
    pub fn with_options(
        backend: B,
        params: &ParamsKZG<Bn256>,
        pk: &ProvingKey<G1Affine>,
        options: ProverOptions,
    ) -> Result<Self, ProverError> {
        let shape = Shape::new(pk.get_vk())?;
        let _span = info_span!(target: TRACING_TARGET, "load_key", rows = shape.n).entered();
        check_size(params.k(), &shape)?;
        let (monomial, lagrange) = load_bases(&backend, params, shape.n, &options)?;
        let values = resident_values(&backend, pk, &shape)?;
        let polys = resident_polys(&backend, pk, &shape, &values)?;
        let committer = Committer { backend, k: params.k(), monomial, lagrange };
        Self::assemble(committer, shape, pk.get_vk(), (values, polys), &options)
    }

    /// A prover for a key whose columns are on the committer's back end already, as are the points: of the options,
    /// [`lagrange_points`](ProverOptions::lagrange_points) and
    /// [`table_budget_bytes`](ProverOptions::table_budget_bytes) do not count.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_key(committer: Committer<B>, key: CircuitKey<B>, options: &ProverOptions) -> Result<Self, ProverError> {
        let shape = Shape::new(key.vk())?;
        let _span = info_span!(target: TRACING_TARGET, "load_key", rows = shape.n).entered();
        check_size(committer.k, &shape)?;
        let CircuitKey { vk, fixed, sigmas } = key;
        let columns = key_columns(&committer.backend, &vk, &shape, [fixed, sigmas])?;
        Self::assemble(committer, shape, &vk, columns, options)
    }

    fn assemble(
        committer: Committer<B>,
        shape: Shape,
        vk: &VerifyingKey<G1Affine>,
        (values, polys): KeyColumns<B::Scalars>,
        options: &ProverOptions,
    ) -> Result<Self, ProverError> {
        let Committer { backend, monomial, lagrange, .. } = committer;
        let (cs, budget) = (vk.cs().clone(), options.coset_budget_bytes);
        Ok(Prover {
            lookups: LookupPrograms::new(&backend, &cs)?,
            permutation: PermutationProgram::new(&backend, &cs, &shape)?,
            quotient: Quotient::new(&backend, &cs, &shape, Columns { values: &values, polys: &polys }, budget)?,
            derived: DerivedColumns::new(&backend, &cs, shape.n, &options.derived)?,
            transcript_repr: vk.transcript_repr(),
            opening: options.opening,
            check_witness: options.check_witness,
            backend,
            cs,
            shape,
            monomial,
            lagrange,
            values,
            polys,
        })
    }

    /// The back end.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Commitments to columns over all rows, which are values on H: of what stands beside a proof and is tied to it.
    ///
    /// # Errors
    /// [`ProverError::Backend`] when the device fails.
    pub fn commit(&self, columns: &[&[Fr]]) -> Result<Vec<G1Affine>, ProverError> {
        let resident = self.backend.upload_columns(columns)?;
        Ok(self.backend.msm(&self.lagrange, &resident.iter().collect::<Vec<_>>())?)
    }

    /// Whether the back end computes this advice column, so that a circuit need not assign it: see
    /// [`ProverOptions::derived`].
    pub fn derives(&self, column: usize) -> bool {
        self.derived.contains(column)
    }

    /// Bytes of the tables of multiples of the points, both bases together; `None` where the back end does not tell.
    pub fn table_bytes(&self) -> Option<usize> {
        Some(self.backend.table_bytes(&self.monomial)? + self.backend.table_bytes(&self.lagrange)?)
    }

    /// Proves the circuit for these instance columns and writes the proof to the transcript.
    ///
    /// All randomness comes from `rng`, which must be cryptographically secure and freshly seeded for every proof.
    ///
    /// # Errors
    /// [`ProverError::InstanceColumns`] and [`ProverError::InstanceTooLong`] for instances that do not fit the circuit,
    /// [`ProverError::CircuitMismatch`] for a circuit that is not the key's, [`ProverError::MissingWitness`] and
    /// [`ProverError::Synthesis`] when the circuit's synthesis fails, [`ProverError::NotInTable`],
    /// [`ProverError::CopyConstraint`] and [`ProverError::GateConstraint`] when the witness violates a constraint.
    pub fn create_proof<C, E, R, T>(
        &self,
        circuit: &C,
        instances: &[&[Fr]],
        rng: R,
        transcript: &mut T,
    ) -> Result<ProofOutput, ProverError>
    where
        C: Circuit<Fr>,
        E: EncodedChallenge<G1Affine>,
        R: RngCore,
        T: TranscriptWrite<G1Affine, E>,
    {
        let outputs = self.create_joint_proof(slice::from_ref(circuit), &[instances], rng, transcript)?;
        // There is an output for every circuit.
        outputs.into_iter().next().ok_or(ProverError::NoCircuits)
    }

    /// Proves several circuits of this key at once, in one proof that is smaller and quicker to verify than one for
    /// each: fixed columns, the quotient and the opening are there once. `instances` has each circuit's instance
    /// columns, `&[Fr]` each; the outputs come in the order of the circuits, with equal challenges.
    ///
    /// Circuits may have several phases. One that calls `next_phase` is then synthesised once for each phase, and has
    /// to leave out what needs challenges still unknown, as it does in key generation.
    ///
    /// # Errors
    /// As [`create_proof`](Self::create_proof), inside [`ProverError::InCircuit`] where one of several circuits is to
    /// blame; a gate is checked for all circuits together. [`ProverError::NoCircuits`] without circuits,
    /// [`ProverError::InstanceSets`] when there is not one set of instance columns for each.
    pub fn create_joint_proof<C, E, R, T>(
        &self,
        circuits: &[C],
        instances: &[&[&[Fr]]],
        mut rng: R,
        transcript: &mut T,
    ) -> Result<Vec<ProofOutput>, ProverError>
    where
        C: Circuit<Fr>,
        E: EncodedChallenge<G1Affine>,
        R: RngCore,
        T: TranscriptWrite<G1Affine, E>,
    {
        let mut channel = TranscriptChannel::<E, T>::new(transcript);
        let commit_advice = |proof: &mut Proof<'_, B>| proof.commit_advice(circuits, instances);
        self.run_protocol(circuits.len(), instances, (&mut rng, &mut channel), commit_advice)
    }

    /// As [`create_proof`](Self::create_proof), for a witness that computes whole columns, with the indices that they
    /// have in the key's circuit.
    ///
    /// # Errors
    /// As [`create_proof`](Self::create_proof): [`ProverError::MissingWitness`] where a column is not given in its
    /// phase, [`ProverError::CellOutOfRange`] where it has too many rows.
    pub fn create_proof_from_columns<E, R, T>(
        &self,
        witness: &mut impl ColumnWitness,
        instances: &[&[Fr]],
        mut rng: R,
        transcript: &mut T,
    ) -> Result<ProofOutput, ProverError>
    where
        E: EncodedChallenge<G1Affine>,
        R: RngCore,
        T: TranscriptWrite<G1Affine, E>,
    {
        let mut channel = TranscriptChannel::<E, T>::new(transcript);
        let commit_advice = |proof: &mut Proof<'_, B>| proof.commit_columns_of(witness);
        let outputs = self.run_protocol(1, &[instances], (&mut rng, &mut channel), commit_advice)?;
        outputs.into_iter().next().ok_or(ProverError::NoCircuits)
    }

    /// The protocol, step by step; `commit_advice` brings and commits the witness.
    fn run_protocol(
        &self,
        circuits: usize,
        instances: &[&[&[Fr]]],
        (rng, channel): (&mut dyn RngCore, &mut dyn Channel),
        commit_advice: impl FnOnce(&mut Proof<'_, B>) -> Result<(), ProverError>,
    ) -> Result<Vec<ProofOutput>, ProverError> {
        let (backend, rows) = (self.backend.name(), self.shape.n);
        let _span = info_span!(target: TRACING_TARGET, "prove", backend, circuits, rows).entered();
        self.check_instances(circuits, instances)?;
        let mut proof = Proof::new(self, circuits, rng, channel);
        proof.absorb_instances(instances)?;
        commit_advice(&mut proof)?;
        proof.permute_lookups()?;
        proof.commit_grand_products()?;
        proof.commit_random_polynomial()?;
        proof.interpolate_columns()?;
        proof.commit_quotient()?;
        proof.write_evaluations()?;
        proof.open()?;
        let Proof { challenges, circuits, .. } = proof;
        let output =
            |CircuitColumns { advice_blinding, .. }| ProofOutput { challenges: challenges.clone(), advice_blinding };
        Ok(circuits.into_iter().map(output).collect())
    }

    fn check_instances(&self, circuits: usize, instances: &[&[&[Fr]]]) -> Result<(), ProverError> {
        if circuits != instances.len() {
            return Err(ProverError::InstanceSets { circuits, instances: instances.len() });
        }
        if circuits == 0 {
            return Err(ProverError::NoCircuits);
        }
        instances.iter().enumerate().try_for_each(|(circuit, columns)| {
            self.check_instance_columns(columns).map_err(|error| error.in_circuit(circuit, circuits))
        })
    }

    /// Halo2 pads instances with zeros up to the blinding rows and has no room for more.
    fn check_instance_columns(&self, instances: &[&[Fr]]) -> Result<(), ProverError> {
        let (expected, usable_rows) = (self.cs.num_instance_columns(), self.shape.usable_rows);
        if instances.len() != expected {
            return Err(ProverError::InstanceColumns { expected, got: instances.len() });
        }
        match instances.iter().map(|column| column.len()).enumerate().find(|&(_, len)| len > usable_rows) {
            Some((column, len)) => Err(ProverError::InstanceTooLong { column, len, usable_rows }),
            None => Ok(()),
        }
    }
}

fn check_size(params: u32, shape: &Shape) -> Result<(), ProverError> {
    if params == shape.k { Ok(()) } else { Err(ProverError::SizeMismatch { params, key: shape.k }) }
}

fn load_bases<B: Backend>(
    backend: &B,
    params: &ParamsKZG<Bn256>,
    n: usize,
    options: &ProverOptions,
) -> Result<(B::Bases, B::Bases), ProverError> {
    let monomial = backend.load_bases(params.get_g(), options.table_budget_bytes)?;
    let lagrange = match &options.lagrange_points {
        Some(points) if points.len() != n => {
            return Err(ProverError::LagrangePoints { expected: n, got: points.len() });
        }
        Some(points) => backend.load_bases(points, options.table_budget_bytes)?,
        None => backend.load_bases(&lagrange_points(params, n)?, options.table_budget_bytes)?,
    };
    Ok((monomial, lagrange))
}

/// The key's polynomials that lookups and grand products read, as values on H.
fn resident_values<B: Backend>(
    backend: &B,
    pk: &ProvingKey<G1Affine>,
    shape: &Shape,
) -> Result<Polynomials<B::Scalars>, ProverError> {
    let mut values = Polynomials::default();
    for (index, column) in pk.fixed_values().iter().enumerate() {
        values.insert(Poly::Fixed(index), backend.upload(column)?);
    }
    for (index, column) in pk.permutation().permutations().iter().enumerate() {
        values.insert(Poly::Sigma(index), backend.upload(column)?);
    }
    if has_permutation(pk.get_vk().cs()) {
        values.insert(Poly::Identity, backend.powers(Fr::one(), shape.omega, shape.n)?);
    }
    Ok(values)
}

/// The key's polynomials as coefficients, but for columns that stay values.
fn resident_polys<B: Backend>(
    backend: &B,
    pk: &ProvingKey<G1Affine>,
    shape: &Shape,
    values: &Polynomials<B::Scalars>,
) -> Result<Polynomials<B::Scalars>, ProverError> {
    let mut polys = Polynomials::default();
    let fixed = pk.fixed_polys().iter().enumerate().map(|(index, column)| (Poly::Fixed(index), column));
    let sigmas = pk.permutation().polys().iter().enumerate().map(|(index, column)| (Poly::Sigma(index), column));
    for (name, column) in fixed.chain(sigmas) {
        if !values.get(name).is_some_and(|vector| shape.stays_values(backend, vector)) {
            polys.insert(name, backend.upload(column)?);
        }
    }
    if has_arguments(pk.get_vk().cs()) {
        polys.insert(Poly::LFirst, backend.upload(pk.l0())?);
        polys.insert(Poly::LLast, backend.upload(pk.l_last())?);
        polys.insert(Poly::LActive, backend.upload(pk.l_active_row())?);
    }
    Ok(polys)
}

fn has_permutation(cs: &ConstraintSystem<Fr>) -> bool {
    !cs.permutation().get_columns().is_empty()
}

/// Whether there are constraints of grand products, which tell the first, the last and the usable rows.
fn has_arguments(cs: &ConstraintSystem<Fr>) -> bool {
    has_permutation(cs) || !cs.lookups().is_empty()
}

/// The key's polynomials as values on H, and as coefficients.
type KeyColumns<S> = (Polynomials<S>, Polynomials<S>);

/// A resident key's fixed and permutation columns: as values, and as coefficients those that do not stay values alone.
fn key_columns<B: Backend>(
    backend: &B,
    vk: &VerifyingKey<G1Affine>,
    shape: &Shape,
    [fixed, sigmas]: [Vec<B::Scalars>; 2],
) -> Result<KeyColumns<B::Scalars>, ProverError> {
    let names = (0..fixed.len()).map(Poly::Fixed).chain((0..sigmas.len()).map(Poly::Sigma));
    let (mut values, mut polys) = (Polynomials::default(), Polynomials::default());
    let columns = || fixed.iter().chain(&sigmas);
    let (large, transformed): (Vec<Poly>, Vec<&B::Scalars>) =
        names.clone().zip(columns()).filter(|(_, column)| !shape.stays_values(backend, column)).unzip();
    polys.extend(large, backend.intt(&transformed)?);
    if has_arguments(vk.cs()) {
        polys.extend([Poly::LFirst, Poly::LLast, Poly::LActive], row_indicators(backend, vk.cs(), shape.k)?);
    }
    if has_permutation(vk.cs()) {
        values.insert(Poly::Identity, backend.powers(Fr::one(), shape.omega, shape.n)?);
    }
    values.extend(names.collect::<Vec<_>>(), fixed.into_iter().chain(sigmas));
    Ok((values, polys))
}

/// The challenges of a proof, in the order of the transcript.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenges {
    /// The circuit's own challenges, by index.
    pub circuit: Vec<Fr>,
    /// Compresses a lookup's expressions.
    pub theta: Fr,
    /// Separates values from their positions in grand products.
    pub beta: Fr,
    /// Shifts grand products away from zero.
    pub gamma: Fr,
    /// Folds the constraints.
    pub y: Fr,
    /// Where all polynomials are evaluated.
    pub x: Fr,
}

/// What a proof leaves behind for the proofs that link to it. Secret: keep it as close as the witness. It is cleared
/// when it is dropped.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProofOutput {
    /// The verifier's challenges.
    pub challenges: Challenges,
    /// Per advice column, the random values of the rows from `n - blinding_factors - 1` to `n - 1`.
    pub advice_blinding: Vec<Vec<Fr>>,
}

impl Drop for ProofOutput {
    fn drop(&mut self) {
        self.advice_blinding.iter_mut().for_each(|rows| wipe_elements(rows));
    }
}

impl std::fmt::Debug for ProofOutput {
    /// Leaves the blinding out: with it, a commitment gives its column away.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ProofOutput").field("challenges", &self.challenges).finish_non_exhaustive()
    }
}
