//! One call, two provers: a Halo2 user changes an import.

use std::panic::{AssertUnwindSafe, catch_unwind};

use halo2_proofs::plonk::{Error, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverGWC, ProverSHPLONK, VerifierGWC, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::OsRng;
use zkml_gpu_engine::ProverError;
use zkml_gpu_engine::transcript::{EvmRead, EvmWrite};
use zkml_gpu_tests::zoo::{Product, Public, Specimen, TwoPhases};

/// The same program with either import, for one kind of opening and transcript.
macro_rules! program {
    ($name:ident: $create_proof:path, $prover:ident, $verifier:ident, $write:ty, $read:ty) => {
        pub(super) mod $name {
            use super::super::*;
            use $create_proof;

            /// Whether the stock verifier accepts the proof of these circuits for these public inputs.
            pub(crate) fn prove<C: Specimen>(circuits: &[C], inputs: &[Vec<Vec<Fr>>]) -> Result<bool, Error> {
                let params = ParamsKZG::<Bn256>::setup(C::K, OsRng);
                let vk = keygen_vk(&params, &C::honest())?;
                let pk = keygen_pk(&params, vk, &C::honest())?;
                let columns: Vec<Vec<&[Fr]>> =
                    inputs.iter().map(|columns| columns.iter().map(Vec::as_slice).collect()).collect();
                let columns: Vec<&[&[Fr]]> = columns.iter().map(Vec::as_slice).collect();

                let mut transcript = <$write>::init(vec![]);
                create_proof::<KZGCommitmentScheme<Bn256>, $prover<Bn256>, _, _, _, _>(
                    &params,
                    &pk,
                    circuits,
                    &columns,
                    OsRng,
                    &mut transcript,
                )?;
                let proof = transcript.finalize();

                let mut transcript = <$read>::init(&proof[..]);
                Ok(verify_proof::<KZGCommitmentScheme<Bn256>, $verifier<Bn256>, _, _, SingleStrategy<_>>(
                    &params,
                    pk.get_vk(),
                    SingleStrategy::new(&params),
                    &columns,
                    &mut transcript,
                )
                .is_ok())
            }
        }
    };
}

/// The program for every kind.
macro_rules! programs {
    ($name:ident: $create_proof:path) => {
        mod $name {
            program!(shplonk: $create_proof, ProverSHPLONK, VerifierSHPLONK, Blake2bToVec, Blake2bFromSlice);
            program!(gwc: $create_proof, ProverGWC, VerifierGWC, Blake2bToVec, Blake2bFromSlice);
            program!(shplonk_keccak: $create_proof, ProverSHPLONK, VerifierSHPLONK, EvmWrite<Vec<u8>>, EvmRead<&[u8]>);
            program!(gwc_keccak: $create_proof, ProverGWC, VerifierGWC, EvmWrite<Vec<u8>>, EvmRead<&[u8]>);
        }
    };
}

type Blake2bToVec = Blake2bWrite<Vec<u8>, G1Affine, Challenge255<G1Affine>>;
type Blake2bFromSlice<'a> = Blake2bRead<&'a [u8], G1Affine, Challenge255<G1Affine>>;

programs!(stock: halo2_proofs::plonk::create_proof);
programs!(ours: zkml_gpu_engine::create_proof);

type Program<C> = fn(&[C], &[Vec<Vec<Fr>>]) -> Result<bool, Error>;

fn stock_programs<C: Specimen>() -> [Program<C>; 4] {
    [stock::shplonk::prove, stock::gwc::prove, stock::shplonk_keccak::prove, stock::gwc_keccak::prove]
}

fn our_programs<C: Specimen>() -> [Program<C>; 4] {
    [ours::shplonk::prove, ours::gwc::prove, ours::shplonk_keccak::prove, ours::gwc_keccak::prove]
}

fn inputs<C: Specimen>(circuits: &[C]) -> Vec<Vec<Vec<Fr>>> {
    circuits.iter().map(Specimen::instances).collect()
}

#[test]
fn one_call_proves_with_both_provers() {
    let circuits = [Public::honest()];
    for program in stock_programs().into_iter().chain(our_programs()) {
        assert!(program(&circuits, &inputs(&circuits)).unwrap());
    }
}

#[test]
fn one_call_proves_several_circuits_with_both_provers() {
    let circuits = [Product::honest(), Product::other(), Product::honest()];
    for program in stock_programs().into_iter().chain(our_programs()) {
        assert!(program(&circuits, &inputs(&circuits)).unwrap());
    }
}

#[test]
fn tampered_circuit_among_several_does_not_pass_with_either_prover() {
    let circuits = [Product::honest(), Product::tampered().unwrap(), Product::honest()];
    for program in stock_programs() {
        assert!(!program(&circuits, &inputs(&circuits)).unwrap());
    }
    for program in our_programs() {
        assert!(matches!(program(&circuits, &inputs(&circuits)), Err(Error::ConstraintSystemFailure)));
    }
}

/// The stock prover writes each circuit's public inputs before its advice, but its verifier reads those of all circuits
/// first.
#[test]
fn several_circuits_with_public_inputs_pass_with_our_prover_alone() {
    let circuits = [Public::honest(), Public::other()];
    for program in stock_programs() {
        assert!(!program(&circuits, &inputs(&circuits)).unwrap());
    }
    for program in our_programs() {
        assert!(program(&circuits, &inputs(&circuits)).unwrap());
    }
}

#[test]
fn public_inputs_of_several_circuits_that_are_swapped_do_not_pass() {
    let circuits = [Public::honest(), Public::other()];
    let [first, second] = circuits.each_ref().map(Specimen::instances);
    for program in our_programs() {
        assert!(program(&circuits, &[second.clone(), first.clone()]).is_err());
    }
}

#[test]
fn several_circuits_with_phases_are_proved_where_the_stock_prover_panics() {
    let circuits = [TwoPhases::honest(), TwoPhases::honest()];
    let stock = || stock::shplonk::prove(&circuits, &inputs(&circuits));
    assert!(catch_unwind(AssertUnwindSafe(stock)).is_err());
    assert!(ours::shplonk::prove(&circuits, &inputs(&circuits)).unwrap());
    let tampered = [TwoPhases::honest(), TwoPhases::tampered().unwrap()];
    assert!(ours::shplonk::prove(&tampered, &inputs(&tampered)).is_err());
}

#[test]
fn no_circuits_are_an_error_where_the_stock_prover_panics() {
    let stock = || stock::shplonk::prove::<Product>(&[], &[]);
    assert!(catch_unwind(AssertUnwindSafe(stock)).is_err());
    match ours::shplonk::prove::<Product>(&[], &[]) {
        Err(Error::Transcript(error)) => {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<ProverError>());
            assert!(matches!(cause, Some(ProverError::NoCircuits)), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_provers_refuse_missing_instances() {
    let circuits = [Public::honest(), Public::other()];
    for program in stock_programs().into_iter().chain(our_programs()) {
        assert!(matches!(program(&circuits[..1], &[vec![]]), Err(Error::InvalidInstances)));
        assert!(matches!(program(&circuits, &inputs(&circuits[..1])), Err(Error::InvalidInstances)));
        assert!(matches!(program(&circuits, &[circuits[0].instances(), vec![]]), Err(Error::InvalidInstances)));
    }
}

#[test]
fn tampered_instances_do_not_pass_with_our_prover() {
    let circuits = [Public::tampered().unwrap()];
    for program in stock_programs() {
        assert!(!program(&circuits, &inputs(&circuits)).unwrap());
    }
    for program in our_programs() {
        assert!(matches!(program(&circuits, &inputs(&circuits)), Err(Error::ConstraintSystemFailure)));
    }
}

#[test]
fn too_long_instance_is_an_error_where_the_stock_prover_panics() {
    let circuits = [Public::honest()];
    let mut inputs = inputs(&circuits);
    inputs[0][1].resize(1 << Public::K, Fr::one());
    let stock = || stock::shplonk::prove(&circuits, &inputs);
    assert!(catch_unwind(AssertUnwindSafe(stock)).is_err());
    assert!(matches!(ours::shplonk::prove(&circuits, &inputs), Err(Error::InstanceTooLarge)));
}
