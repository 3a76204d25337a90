//! Key generation: the keys of `halo2_proofs::plonk::{keygen_vk, keygen_pk}`, committed and transformed by a back end.
//!
//! The stock functions run the circuit once each and commit with an inner product that knows no small scalars, although
//! most fixed columns hold nothing else. Here the circuit runs once (`cells.rs`), copy constraints become the
//! permutation's columns (`copies.rs`), and the back end commits to all of them, many at a time. The keys are the same,
//! byte for byte; selectors become fixed columns of their own, as in the stock functions.
//!
//! [`CircuitKey`] has what [`Prover`](crate::Prover) needs, and nothing else: the key's columns as values on H,
//! resident. [`keygen`] goes on to a key in halo2-axiom's own form, which holds them as coefficients too.

mod cells;
mod copies;
mod error;

pub use error::KeygenError;

use std::sync::Arc;

use ff::{Field, PrimeField};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, ProvingKey, VerifyingKey, permutation};
use halo2_proofs::poly::commitment::Params;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::poly::{Coeff, EvaluationDomain, LagrangeCoeff, Polynomial};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use tracing::info_span;

use crate::BackendError;
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;
use crate::srs::lagrange;
use cells::Cells;

/// Columns that are uploaded and committed to in one call: enough to occupy a device, and few beside the key itself.
const BATCH: usize = 64;

/// A circuit's keys on a back end: the verifying key, and the columns that proofs share.
#[derive(Debug)]
pub struct CircuitKey<B: Backend> {
    pub(crate) vk: Arc<VerifyingKey<G1Affine>>,
    /// Fixed columns, those of selectors included, as values on H.
    pub(crate) fixed: Vec<B::Scalars>,
    /// The permutation argument's columns as values on H.
    pub(crate) sigmas: Vec<B::Scalars>,
}

/// The keys of a circuit, equal to those of `keygen_vk` and `keygen_pk`, for the stock prover or
/// [`Prover`](crate::Prover). `params` are for as many rows as the circuit shall have.
///
/// To prove with [`Prover`](crate::Prover) only, [`CircuitKey`] saves time and memory.
///
/// ```
/// use halo2_proofs::SerdeFormat;
/// use halo2_proofs::plonk::{keygen_vk, Circuit};
/// # use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner};
/// # use halo2_proofs::plonk::{Assigned, Column, ConstraintSystem, Error, Fixed};
/// use halo2_proofs::poly::kzg::commitment::ParamsKZG;
/// use halo2curves::bn256::{Bn256, Fr};
/// use zkml_gpu_engine::{backend::Cpu, keygen::keygen};
///
/// /// A table of squares.
/// struct Squares;
/// # impl Circuit<Fr> for Squares {
/// #     type Config = Column<Fixed>;
/// #     type FloorPlanner = SimpleFloorPlanner;
/// #     type Params = ();
/// #     fn without_witnesses(&self) -> Self { Squares }
/// #     fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config { cs.fixed_column() }
/// #     fn synthesize(&self, table: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
/// #         layouter.assign_region(|| "squares", |mut region| {
/// #             (0..8).for_each(|i| { region.assign_fixed(table, i, Assigned::from(Fr::from((i * i) as u64))); });
/// #             Ok(())
/// #         })
/// #     }
/// # }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let params = ParamsKZG::<Bn256>::setup(4, rand_core::OsRng); // a real one comes from a ceremony
/// let pk = keygen(&Cpu::new(), &params, &Squares)?;
/// let stock = keygen_vk(&params, &Squares)?;
/// let format = SerdeFormat::Processed;
/// assert_eq!(pk.get_vk().to_bytes(format), stock.to_bytes(format));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`CircuitKey::new`].
pub fn keygen<B: Backend, C: Circuit<Fr>>(
    backend: &B,
    params: &ParamsKZG<Bn256>,
    circuit: &C,
) -> Result<ProvingKey<G1Affine>, KeygenError> {
    let n = usize::try_from(params.n()).unwrap_or(usize::MAX);
    let points = lagrange::of_params(params, n).map_err(|error| KeygenError::Parameters(error.to_string()))?;
    let lagrange = backend.load_bases(&points, 0)?;
    Ok(CircuitKey::new(backend, &lagrange, params.k(), circuit)?.into_proving_key(backend)?)
}

impl<B: Backend> CircuitKey<B> {
    /// Runs the circuit, with whatever witness it has, and commits to its columns of `2^k` rows with the Lagrange
    /// points of that size.
    ///
    /// # Errors
    /// [`KeygenError::TooFewRows`] and [`KeygenError::TooManyRows`] where `2^k` rows do not suit the circuit,
    /// [`KeygenError::CellOutOfRange`], [`KeygenError::NotEnabled`] and [`KeygenError::Synthesis`] where its synthesis
    /// fails, [`KeygenError::Backend`] where the device does.
    pub fn new<C: Circuit<Fr>>(backend: &B, lagrange: &B::Bases, k: u32, circuit: &C) -> Result<Self, KeygenError> {
        let _span = info_span!(target: TRACING_TARGET, "keygen", k, backend = backend.name()).entered();
        let Columns { cs, degree, fixed, sigmas } = Columns::of(circuit, k)?;
        let domain = EvaluationDomain::new(degree, k);
        let (fixed, commitments) = commit(backend, lagrange, fixed)?;
        let (sigmas, permuted) = commit(backend, lagrange, sigmas)?;
        let permutation = permutation::VerifyingKey::from_commitments(permuted);
        let vk = VerifyingKey::from_parts(domain, commitments, permutation, cs, Vec::new(), false);
        Ok(Self { vk: Arc::new(vk), fixed, sigmas })
    }

    /// Runs the circuit again for a verifying key that it has already, which saves all commitments. Whether the key is
    /// this circuit's is not checked beyond its shape: a proof with another one's would be rejected.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`KeygenError::OtherKey`] where the numbers of columns differ.
    pub fn with_vk<C: Circuit<Fr>>(
        backend: &B,
        vk: Arc<VerifyingKey<G1Affine>>,
        circuit: &C,
    ) -> Result<Self, KeygenError> {
        let k = vk.get_domain().k();
        let _span = info_span!(target: TRACING_TARGET, "key_columns", k, backend = backend.name()).entered();
        let Columns { fixed, sigmas, .. } = Columns::of(circuit, k)?;
        let (expected, got) = (vk.fixed_commitments().len(), fixed.len());
        let permuted = vk.permutation().commitments().len();
        if expected != got || permuted != sigmas.len() {
            return Err(KeygenError::OtherKey { expected: [expected, permuted], got: [got, sigmas.len()] });
        }
        Ok(Self { vk, fixed: upload(backend, fixed)?, sigmas: upload(backend, sigmas)? })
    }

    /// The verifying key, which whoever verifies may share.
    pub fn vk(&self) -> &Arc<VerifyingKey<G1Affine>> {
        &self.vk
    }

    /// The keys in halo2-axiom's own form, on the host.
    ///
    /// # Errors
    /// Failures of the device.
    pub fn into_proving_key(self, backend: &B) -> Result<ProvingKey<G1Affine>, BackendError> {
        let [first, last, active] = row_indicators(backend, self.vk.cs(), self.vk.get_domain().k())?;
        let [l_first, l_last, l_active] =
            [backend.download(&first)?, backend.download(&last)?, backend.download(&active)?].map(Polynomial::new);
        let (fixed, fixed_polys) = both_forms(backend, self.fixed)?;
        let (sigmas, sigma_polys) = both_forms(backend, self.sigmas)?;
        let permutation = permutation::ProvingKey::from_parts(sigmas, sigma_polys);
        Ok(ProvingKey::from_parts(
            Arc::unwrap_or_clone(self.vk),
            l_first,
            l_last,
            l_active,
            fixed,
            fixed_polys,
            permutation,
        ))
    }
}

/// A circuit's columns, and the constraint system in which selectors are columns.
struct Columns {
    cs: ConstraintSystem<Fr>,
    /// The circuit's degree, for which there is a domain of so many rows.
    degree: u32,
    /// Fixed columns, those of selectors included.
    fixed: Vec<Vec<Fr>>,
    /// The permutation argument's.
    sigmas: Vec<Vec<Fr>>,
}

impl Columns {
    /// Runs the circuit.
    fn of<C: Circuit<Fr>>(circuit: &C, k: u32) -> Result<Self, KeygenError> {
        let mut cs = ConstraintSystem::default();
        let config = C::configure_with_params(&mut cs, circuit.params());
        let degree = checked_degree(&cs, k)?;
        let mut cells = Cells::new(&cs, k)?;
        cells.run(circuit, config, &cs)?;
        let (mut fixed, selectors, copies) = cells.finish();
        let (cs, selectors) = cs.directly_convert_selectors_to_fixed(selectors);
        fixed.extend(selectors);
        let omega = Fr::ROOT_OF_UNITY.pow_vartime([1 << (Fr::S - k)]);
        Ok(Self { cs, degree, fixed, sigmas: copies.columns(omega) })
    }
}

/// The degree of a circuit for which there is a domain of `2^k` rows.
fn checked_degree(cs: &ConstraintSystem<Fr>, k: u32) -> Result<u32, KeygenError> {
    let degree = cs.degree();
    // Halo2's domain holds a root of unity for all values of the quotient.
    let pieces = degree.saturating_sub(1).max(1).next_power_of_two().ilog2();
    match u32::try_from(degree) {
        Ok(degree) if k.saturating_add(pieces) <= Fr::S => Ok(degree),
        _ => Err(KeygenError::TooManyRows { k, degree }),
    }
}

/// Uploads columns, each batch gone from the host before the next.
fn upload<B: Backend>(backend: &B, columns: Vec<Vec<Fr>>) -> Result<Vec<B::Scalars>, BackendError> {
    let mut resident = Vec::with_capacity(columns.len());
    in_batches(columns, |batch| {
        resident.extend(backend.upload_columns(batch)?);
        Ok(())
    })?;
    Ok(resident)
}

/// Uploads columns and commits to them.
fn commit<B: Backend>(
    backend: &B,
    lagrange: &B::Bases,
    columns: Vec<Vec<Fr>>,
) -> Result<(Vec<B::Scalars>, Vec<G1Affine>), BackendError> {
    let (mut resident, mut commitments) = (Vec::with_capacity(columns.len()), Vec::with_capacity(columns.len()));
    in_batches(columns, |batch| {
        let batch = backend.upload_columns(batch)?;
        commitments.extend(backend.msm(lagrange, &batch.iter().collect::<Vec<_>>())?);
        resident.extend(batch);
        Ok(())
    })?;
    Ok((resident, commitments))
}

/// Does something with [`BATCH`] columns at a time, which are freed after it.
fn in_batches(
    columns: Vec<Vec<Fr>>,
    mut each: impl FnMut(&[&[Fr]]) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let mut columns = columns.into_iter();
    loop {
        let batch: Vec<Vec<Fr>> = columns.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        each(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    }
}

/// Coefficients of the polynomials that are 1 on certain rows and 0 on others of H: on row 0, on the first row after
/// the usable ones, and on the usable ones.
pub(crate) fn row_indicators<B: Backend>(
    backend: &B,
    cs: &ConstraintSystem<Fr>,
    k: u32,
) -> Result<[B::Scalars; 3], BackendError> {
    let n = 1usize << k;
    let usable_rows = n.saturating_sub(cs.blinding_factors() + 1);
    let values = [0..1, usable_rows..usable_rows + 1, 0..usable_rows].map(|rows| {
        let mut column = vec![Fr::ZERO; n];
        column[rows].fill(Fr::ONE);
        column
    });
    let values = backend.upload_columns(&values.each_ref().map(Vec::as_slice))?;
    let polys = backend.intt(&values.iter().collect::<Vec<_>>())?;
    <[B::Scalars; 3]>::try_from(polys).map_err(|polys| BackendError::LengthMismatch {
        operation: "intt",
        expected: 3,
        got: polys.len(),
    })
}

/// Columns as values on H, and as coefficients.
type BothForms = (Vec<Polynomial<Fr, LagrangeCoeff>>, Vec<Polynomial<Fr, Coeff>>);

/// Downloads columns in both forms.
fn both_forms<B: Backend>(backend: &B, columns: Vec<B::Scalars>) -> Result<BothForms, BackendError> {
    let polys = backend.intt(&columns.iter().collect::<Vec<_>>())?;
    let values =
        columns.iter().map(|column| Ok(Polynomial::new(backend.download(column)?))).collect::<Result<_, _>>()?;
    let polys = polys.iter().map(|column| Ok(Polynomial::new(backend.download(column)?))).collect::<Result<_, _>>()?;
    Ok((values, polys))
}
