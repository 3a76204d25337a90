//! The stock prover's entry point, for code that only changes an import; and the same on a back end of the caller's
//! choice, with the stock error or with ours.

use halo2_proofs::plonk::{Circuit, Error, ProvingKey};
use halo2_proofs::poly::commitment::{self, CommitmentScheme};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::poly::kzg::multiopen::{ProverGWC, ProverSHPLONK};
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::RngCore;

use super::{Opening, Prover, ProverError, ProverOptions, TRACING_TARGET};
use crate::backend::{Backend, Cpu};

/// Marks the multi-openings that this prover implements: [`ProverSHPLONK`] and [`ProverGWC`]. It has no other
/// implementors.
pub trait KzgOpening: sealed::Sealed {
    /// The opening that the type stands for.
    const OPENING: Opening;
}

impl KzgOpening for ProverSHPLONK<'_, Bn256> {
    const OPENING: Opening = Opening::Shplonk;
}

impl KzgOpening for ProverGWC<'_, Bn256> {
    const OPENING: Opening = Opening::Gwc;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ProverSHPLONK<'_, super::Bn256> {}
    impl Sealed for super::ProverGWC<'_, super::Bn256> {}
}

/// Proves circuits on the processor: `halo2_proofs::plonk::create_proof` with the same arguments, type parameters and
/// result, for KZG over BN254 with SHPLONK or GWC.
///
/// It does more than the stock function of halo2-axiom 0.5.3 with several circuits: that one writes their public inputs
/// in an order that its own verifier does not read, and panics when they have several phases.
///
/// | what else | by |
/// |---|---|
/// | another back end | [`create_proof_on`] |
/// | errors in full | [`try_create_proof`] |
/// | keys that stay loaded between calls | [`Provers`](super::Provers), or one [`Prover`] for one key |
///
/// # Errors
/// As [`try_create_proof`], turned into the nearest stock error; those without a counterpart are inside
/// [`Error::Transcript`]. The one in full goes to `tracing` as an event.
pub fn create_proof<
    'params,
    'a,
    Scheme: CommitmentScheme<Scalar = Fr, Curve = G1Affine, ParamsProver = ParamsKZG<Bn256>>,
    P: commitment::Prover<'params, Scheme> + KzgOpening,
    E: EncodedChallenge<G1Affine>,
    R: RngCore + 'a,
    T: TranscriptWrite<G1Affine, E>,
    ConcreteCircuit: Circuit<Fr>,
>(
    params: &'params Scheme::ParamsProver,
    pk: &ProvingKey<Scheme::Curve>,
    circuits: &[ConcreteCircuit],
    instances: &[&[&'a [Scheme::Scalar]]],
    rng: R,
    transcript: &'a mut T,
) -> Result<(), Error> {
    create_proof_on::<Scheme, P, E, R, T, ConcreteCircuit>(Cpu::new(), params, pk, circuits, instances, rng, transcript)
}

/// As [`create_proof`], on a back end: of a [choice by name](crate::backend::BackendChoice::open), for instance.
///
/// # Errors
/// As [`create_proof`].
pub fn create_proof_on<
    'params,
    'a,
    Scheme: CommitmentScheme<Scalar = Fr, Curve = G1Affine, ParamsProver = ParamsKZG<Bn256>>,
    P: commitment::Prover<'params, Scheme> + KzgOpening,
    E: EncodedChallenge<G1Affine>,
    R: RngCore + 'a,
    T: TranscriptWrite<G1Affine, E>,
    ConcreteCircuit: Circuit<Fr>,
>(
    backend: impl Backend,
    params: &'params Scheme::ParamsProver,
    pk: &ProvingKey<Scheme::Curve>,
    circuits: &[ConcreteCircuit],
    instances: &[&[&'a [Scheme::Scalar]]],
    rng: R,
    transcript: &'a mut T,
) -> Result<(), Error> {
    let made = try_create_proof::<Scheme, P, E, R, T, ConcreteCircuit>(
        backend, params, pk, circuits, instances, rng, transcript,
    );
    made.map_err(stock_error)
}

/// As [`create_proof_on`], with the prover's own error: which gate, lookup, row or instance column is to blame, as far
/// as the prover knows.
///
/// # Errors
/// As [`Prover::new`] and [`Prover::create_joint_proof`].
pub fn try_create_proof<
    'params,
    'a,
    Scheme: CommitmentScheme<Scalar = Fr, Curve = G1Affine, ParamsProver = ParamsKZG<Bn256>>,
    P: commitment::Prover<'params, Scheme> + KzgOpening,
    E: EncodedChallenge<G1Affine>,
    R: RngCore + 'a,
    T: TranscriptWrite<G1Affine, E>,
    ConcreteCircuit: Circuit<Fr>,
>(
    backend: impl Backend,
    params: &'params Scheme::ParamsProver,
    pk: &ProvingKey<Scheme::Curve>,
    circuits: &[ConcreteCircuit],
    instances: &[&[&'a [Scheme::Scalar]]],
    rng: R,
    transcript: &'a mut T,
) -> Result<(), ProverError> {
    // Tables of multiples pay off after several proofs only.
    let options = ProverOptions { opening: P::OPENING, table_budget_bytes: 0, ..ProverOptions::default() };
    Prover::with_options(backend, params, pk, options)?.create_joint_proof(circuits, instances, rng, transcript)?;
    Ok(())
}

/// The stock error for ours, which a log keeps.
pub(super) fn stock_error(error: ProverError) -> Error {
    tracing::error!(target: TRACING_TARGET, %error, "no proof was made");
    error.into()
}
