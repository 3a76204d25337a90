//! The stock prover's entry point, for code that only changes an import.

use halo2_proofs::plonk::{Circuit, Error, ProvingKey};
use halo2_proofs::poly::commitment::{self, CommitmentScheme};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::poly::kzg::multiopen::{ProverGWC, ProverSHPLONK};
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::RngCore;

use super::{Opening, Prover, ProverOptions};
use crate::backend::Cpu;

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

/// Proves circuits on the CPU: `halo2_proofs::plonk::create_proof` with the same arguments, type parameters and result,
/// for KZG over BN254 with SHPLONK or GWC.
///
/// It does more than the stock function of halo2-axiom 0.5.3 with several circuits: that one writes their public inputs
/// in an order that its own verifier does not read, and panics when they have several phases.
///
/// Each call makes the key resident anew. To prove a circuit many times, on other back ends or for the errors in full,
/// use [`Prover`].
///
/// # Errors
/// As [`Prover::new`] and [`Prover::create_joint_proof`], turned into the nearest stock error; those without a
/// counterpart are inside [`Error::Transcript`].
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
    // Tables of multiples pay off after several proofs only.
    let options = ProverOptions { opening: P::OPENING, table_budget_bytes: 0, ..ProverOptions::default() };
    Prover::with_options(Cpu::new(), params, pk, options)?.create_joint_proof(circuits, instances, rng, transcript)?;
    Ok(())
}
