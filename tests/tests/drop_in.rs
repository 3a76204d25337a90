//! One call, two provers: a Halo2 user changes an import.

use halo2_proofs::plonk::{keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr};
use rand_core::OsRng;
use zkml_gpu_tests::zoo::{Public, Specimen};

/// The same program with either import.
macro_rules! program {
    ($name:ident, $import:path) => {
        mod $name {
            use super::*;
            use $import;

            pub(super) fn prove(inputs: &[Vec<Fr>]) -> Result<bool, halo2_proofs::plonk::Error> {
                let circuit = Public::honest();
                let params = ParamsKZG::<Bn256>::setup(Public::K, OsRng);
                let vk = keygen_vk(&params, &circuit)?;
                let pk = keygen_pk(&params, vk, &circuit)?;
                let (first, second) = (inputs[0].as_slice(), inputs[1].as_slice());

                let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(vec![]);
                create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<Bn256>, _, _, _, _>(
                    &params,
                    &pk,
                    &[circuit],
                    &[&[first, second]],
                    OsRng,
                    &mut transcript,
                )?;
                let proof = transcript.finalize();

                let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(&proof[..]);
                Ok(verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<Bn256>, _, _, SingleStrategy<_>>(
                    &params,
                    pk.get_vk(),
                    SingleStrategy::new(&params),
                    &[&[first, second]],
                    &mut transcript,
                )
                .is_ok())
            }

            pub(super) fn prove_none() -> Result<(), halo2_proofs::plonk::Error> {
                let circuit = Public::honest();
                let params = ParamsKZG::<Bn256>::setup(Public::K, OsRng);
                let vk = keygen_vk(&params, &circuit)?;
                let pk = keygen_pk(&params, vk, &circuit)?;
                let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(vec![]);
                create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<Bn256>, _, _, _, _>(
                    &params,
                    &pk,
                    &[circuit],
                    &[&[]],
                    OsRng,
                    &mut transcript,
                )
            }
        }
    };
}

program!(stock, halo2_proofs::plonk::create_proof);
program!(ours, zkml_gpu_engine::create_proof);

#[test]
fn one_call_proves_with_both_provers() {
    let inputs = Public::honest().instances();
    assert!(stock::prove(&inputs).unwrap());
    assert!(ours::prove(&inputs).unwrap());
}

#[test]
fn both_provers_refuse_missing_instances() {
    use halo2_proofs::plonk::Error;
    assert!(matches!(stock::prove_none(), Err(Error::InvalidInstances)));
    assert!(matches!(ours::prove_none(), Err(Error::InvalidInstances)));
}

#[test]
fn tampered_instances_do_not_pass_with_our_prover() {
    let inputs = Public::tampered().unwrap().instances();
    assert!(!stock::prove(&inputs).unwrap());
    assert!(ours::prove(&inputs).is_err());
}

#[test]
fn too_long_instance_is_an_error_where_the_stock_prover_panics() {
    let mut inputs = Public::honest().instances();
    inputs[1].resize(1 << Public::K, Fr::one());
    assert!(matches!(ours::prove(&inputs), Err(halo2_proofs::plonk::Error::InstanceTooLarge)));
}
