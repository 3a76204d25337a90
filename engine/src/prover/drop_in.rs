//! The stock prover's entry point, for code that only changes an import.

use super::{Prover, ProverError, ProverOptions};
use crate::backend::Cpu;
use halo2_proofs::plonk::{Circuit, Error, ProvingKey};
use halo2_proofs::poly::commitment::{self, CommitmentScheme};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::RngCore;

/// Marks the multi-opening that this prover implements, [`ProverSHPLONK`]. It has no other implementors.
pub trait Shplonk: sealed::Sealed {}

impl Shplonk for ProverSHPLONK<'_, Bn256> {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ProverSHPLONK<'_, super::Bn256> {}
}

/// Proves a circuit on the CPU: `halo2_proofs::plonk::create_proof` with the same arguments, type parameters and result, for KZG
/// over BN254 with SHPLONK.
///
/// Each call makes the key resident anew. To prove a circuit many times, on other back ends or for the errors in full, use
/// [`Prover`].
///
/// # Errors
/// As [`Prover::new`] and [`Prover::create_proof`], turned into the nearest stock error; those without a counterpart are
/// inside [`Error::Transcript`]. Several circuits in one proof are refused.
pub fn create_proof<
    'params,
    'a,
    Scheme: CommitmentScheme<Scalar = Fr, Curve = G1Affine, ParamsProver = ParamsKZG<Bn256>>,
    P: commitment::Prover<'params, Scheme> + Shplonk,
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
    if circuits.len() != instances.len() {
        return Err(ProverError::InstanceSets { circuits: circuits.len(), instances: instances.len() }.into());
    }
    let ([circuit], [instances]) = (circuits, instances) else {
        return Err(ProverError::MultipleCircuits { got: circuits.len() }.into());
    };
    // Tables of multiples pay off after several proofs only.
    let options = ProverOptions { table_budget_bytes: 0, ..ProverOptions::default() };
    Prover::with_options(Cpu::new(), params, pk, options)?.create_proof(circuit, instances, rng, transcript)?;
    Ok(())
}
