//! Every circuit of the zoo is proved for the stock verifier, and nothing else passes it.

use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::{Circuit, ProvingKey, VerifyingKey, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::commitment::Params;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use zkml_gpu_engine::backend::{Backend, Cpu, Dual};
use zkml_gpu_engine::{ProofOutput, Prover, ProverError, ProverOptions};
use zkml_gpu_tests::naive::Naive;
use zkml_gpu_tests::zoo::*;

const SEED: u64 = 20_241_123;

/// A circuit's keys and what it takes to verify its proofs.
struct Keys {
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
}

impl Keys {
    fn new<C: Specimen>() -> Self {
        let params = ParamsKZG::setup(C::K, ChaCha20Rng::seed_from_u64(SEED));
        let circuit = C::honest();
        let vk = keygen_vk(&params, &circuit).unwrap();
        let pk = keygen_pk(&params, vk, &circuit).unwrap();
        Keys { params, pk }
    }

    fn vk(&self) -> &VerifyingKey<G1Affine> {
        self.pk.get_vk()
    }

    fn prove<B: Backend, C: Specimen>(
        &self,
        backend: B,
        circuit: &C,
        seed: u64,
    ) -> Result<(Vec<u8>, ProofOutput), ProverError> {
        prove_with(&Prover::new(backend, &self.params, &self.pk)?, circuit, &circuit.instances(), seed)
    }

    /// Whether the stock verifier accepts. It panics on some malformed proofs, which counts as a rejection.
    fn accepts(&self, proof: &[u8], instances: &[Vec<Fr>]) -> bool {
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        let verify = || {
            let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
            verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<Bn256>, _, _, SingleStrategy<_>>(
                &self.params,
                self.vk(),
                SingleStrategy::new(&self.params),
                &[&columns],
                &mut transcript,
            )
            .is_ok()
        };
        catch_unwind(AssertUnwindSafe(verify)).unwrap_or(false)
    }
}

fn prove_with<B: Backend, C: Circuit<Fr>>(
    prover: &Prover<B>,
    circuit: &C,
    instances: &[Vec<Fr>],
    seed: u64,
) -> Result<(Vec<u8>, ProofOutput), ProverError> {
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
    let output = prover.create_proof(circuit, &columns, ChaCha20Rng::seed_from_u64(seed), &mut transcript)?;
    Ok((transcript.finalize(), output))
}

fn mock_accepts<C: Specimen>(circuit: &C) -> bool {
    MockProver::run(C::K, circuit, circuit.instances()).unwrap().verify().is_ok()
}

/// The stock verifier accepts the proof of the honest witness; so does MockProver the witness.
fn accepts_honest<C: Specimen>(keys: &Keys) {
    let circuit = C::honest();
    assert!(mock_accepts(&circuit), "MockProver");
    let (proof, output) = keys.prove(Cpu::new(), &circuit, SEED).unwrap();
    assert!(keys.accepts(&proof, &circuit.instances()), "seed {SEED}");
    let (cs, blinding_rows) = (keys.vk().cs(), keys.vk().cs().blinding_factors() + 1);
    assert_eq!(output.challenges.circuit.len(), cs.num_challenges());
    assert_eq!(output.advice_blinding.len(), cs.num_advice_columns());
    assert!(output.advice_blinding.iter().all(|rows| rows.len() == blinding_rows));
}

/// A tampered witness is refused by MockProver and by the prover; the proof that the prover makes without its checks is
/// refused by the verifier.
fn rejects_tampered<C: Specimen>(keys: &Keys) {
    let circuit = C::tampered().unwrap();
    assert!(!mock_accepts(&circuit), "MockProver");
    let refusal = keys.prove(Cpu::new(), &circuit, SEED).unwrap_err();
    let refused = [
        matches!(refusal, ProverError::CopyConstraint),
        matches!(refusal, ProverError::GateConstraint),
        matches!(refusal, ProverError::NotInTable { .. }),
    ];
    assert!(refused.contains(&true), "{refusal}");

    let mut options = ProverOptions::default();
    options.check_witness = false;
    let prover = Prover::with_options(Cpu::new(), &keys.params, &keys.pk, options).unwrap();
    match prove_with(&prover, &circuit, &circuit.instances(), SEED) {
        Ok((proof, _)) => assert!(!keys.accepts(&proof, &circuit.instances()), "seed {SEED}"),
        // There is no permuted column to commit to.
        Err(error) => assert!(matches!(error, ProverError::NotInTable { .. }), "{error}"),
    }
}

/// A good proof with a flipped bit anywhere, cut short, or for other public inputs is refused.
fn rejects_changed_proofs<C: Specimen>(keys: &Keys) {
    let circuit = C::honest();
    let (proof, _) = keys.prove(Cpu::new(), &circuit, SEED).unwrap();
    let instances = circuit.instances();
    let last = proof.len() - 1;
    let places = [0, 1, 31, 32, last / 4, last / 3, last / 2, 3 * last / 4, last - 64, last - 32, last - 31, last];
    for place in places {
        let mut changed = proof.clone();
        changed[place] ^= 1;
        assert!(!keys.accepts(&changed, &instances), "byte {place} of {}", proof.len());
    }
    for len in [0, 1, 32, last / 2, last - 31, last] {
        assert!(!keys.accepts(&proof[..len], &instances), "{len} of {} bytes", proof.len());
    }
    for (column, values) in instances.iter().enumerate() {
        for row in [0, values.len() - 1] {
            let mut changed = instances.clone();
            changed[column][row] += Fr::one();
            assert!(!keys.accepts(&proof, &changed), "instance column {column}, row {row}");
        }
    }
}

/// Equal seeds give equal proofs on different back ends, operation by operation; other seeds give other proofs.
fn is_deterministic<C: Specimen>(keys: &Keys) {
    let circuit = C::honest();
    let (proof, output) = keys.prove(Cpu::new(), &circuit, SEED).unwrap();
    let (again, _) = keys.prove(Cpu::new(), &circuit, SEED).unwrap();
    let (other, other_output) = keys.prove(Cpu::new(), &circuit, SEED + 1).unwrap();
    assert_eq!(proof, again);
    assert_ne!(proof, other);
    if keys.vk().cs().num_advice_columns() > 0 {
        assert_ne!(output.advice_blinding, other_output.advice_blinding);
    }
    if C::K <= 8 {
        let (both, _) = keys.prove(Dual::new(Cpu::new(), Naive::new()), &circuit, SEED).unwrap();
        assert_eq!(proof, both);
    }
}

macro_rules! zoo {
    ($($name:ident: $circuit:ty;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn honest_proof_is_accepted() {
                accepts_honest::<$circuit>(&Keys::new::<$circuit>());
            }

            #[test]
            fn tampered_witness_is_rejected() {
                rejects_tampered::<$circuit>(&Keys::new::<$circuit>());
            }

            #[test]
            fn changed_proof_is_rejected() {
                rejects_changed_proofs::<$circuit>(&Keys::new::<$circuit>());
            }

            #[test]
            fn equal_seeds_give_equal_proofs() {
                is_deterministic::<$circuit>(&Keys::new::<$circuit>());
            }
        }
    )*};
}

zoo! {
    product: Product;
    switches: Switches;
    arithmetic: Arithmetic;
    degree_five: DegreeFive;
    public: Public;
    chunks: Chunks;
    constants: Constants;
    recurrence: Recurrence;
    full_rows: FullRows;
    range_check: RangeCheck;
    many_lookups: ManyLookups;
    two_phases: TwoPhases;
    self_paced_phases: SelfPacedPhases;
    three_phases: ThreePhases;
    public_only: PublicOnly;
    everything: Everything;
}

/// All four checks with one set of keys, which take long to make for many rows.
fn passes_all_checks<C: Specimen>() {
    let keys = Keys::new::<C>();
    accepts_honest::<C>(&keys);
    rejects_tampered::<C>(&keys);
    rejects_changed_proofs::<C>(&keys);
    is_deterministic::<C>(&keys);
}

#[test]
fn many_columns_are_proved_and_nothing_else_passes() {
    passes_all_checks::<Wide>();
}

#[test]
fn many_rows_are_proved_and_nothing_else_passes() {
    passes_all_checks::<Tall>();
}

#[test]
fn empty_circuit_is_proved() {
    let keys = Keys::new::<Empty>();
    accepts_honest::<Empty>(&keys);
    is_deterministic::<Empty>(&keys);
}

#[test]
fn one_prover_serves_many_proofs() {
    let keys = Keys::new::<Everything>();
    let mut options = ProverOptions::default();
    options.coset_budget_bytes = 0;
    let frugal = Prover::with_options(Cpu::new(), &keys.params, &keys.pk, options).unwrap();
    let prover = Prover::new(Cpu::new(), &keys.params, &keys.pk).unwrap();
    let circuit = Everything::honest();
    for seed in 0..3 {
        let (proof, _) = prove_with(&prover, &circuit, &circuit.instances(), seed).unwrap();
        assert!(keys.accepts(&proof, &circuit.instances()), "seed {seed}");
        let (same, _) = prove_with(&frugal, &circuit, &circuit.instances(), seed).unwrap();
        assert_eq!(proof, same, "seed {seed}");
    }
}

#[test]
fn lagrange_points_are_those_of_the_parameters() {
    let keys = Keys::new::<Product>();
    let n = 1 << Product::K;
    let points = zkml_gpu_engine::prover::lagrange_points(&keys.params, n).unwrap();
    for row in [0, 1, n - 1] {
        let mut unit = keys.vk().get_domain().empty_lagrange();
        unit[row] = Fr::one();
        assert_eq!(G1Affine::from(keys.params.commit_lagrange(&unit, Default::default())), points[row]);
    }
    let mut options = ProverOptions::default();
    options.lagrange_points = Some(points[1..].to_vec());
    let error = Prover::with_options(Cpu::new(), &keys.params, &keys.pk, options).unwrap_err();
    assert!(matches!(error, ProverError::LagrangePoints { expected: 16, got: 15 }), "{error}");
}

#[test]
fn too_long_instance_is_refused() {
    let keys = Keys::new::<PublicOnly>();
    let usable = (1 << PublicOnly::K) - keys.vk().cs().blinding_factors() - 1;
    let prover = Prover::new(Cpu::new(), &keys.params, &keys.pk).unwrap();
    let error = prove_with(&prover, &PublicOnly::honest(), &[vec![Fr::one(); usable + 1]], SEED).unwrap_err();
    assert!(
        matches!(error, ProverError::InstanceTooLong { column: 0, len, usable_rows } if (len, usable_rows) == (usable + 1, usable)),
        "{error}"
    );
    let error = prove_with(&prover, &PublicOnly::honest(), &[], SEED).unwrap_err();
    assert!(matches!(error, ProverError::InstanceColumns { expected: 1, got: 0 }), "{error}");
}

#[test]
fn instance_that_fills_all_usable_rows_is_proved() {
    let keys = Keys::new::<PublicOnly>();
    let usable = (1 << PublicOnly::K) - keys.vk().cs().blinding_factors() - 1;
    let prover = Prover::new(Cpu::new(), &keys.params, &keys.pk).unwrap();
    let mut instance = PublicOnly::honest().instances();
    instance[0].resize(usable, Fr::from(77));
    let (proof, _) = prove_with(&prover, &PublicOnly::honest(), &instance, SEED).unwrap();
    assert!(keys.accepts(&proof, &instance));
}

#[test]
fn too_high_degree_is_refused() {
    let circuit = DegreeSix { values: vec![[2, 32]] };
    let params = ParamsKZG::<Bn256>::setup(6, ChaCha20Rng::seed_from_u64(SEED));
    let vk = keygen_vk(&params, &circuit).unwrap();
    let pk = keygen_pk(&params, vk, &circuit).unwrap();
    let error = Prover::new(Cpu::new(), &params, &pk).unwrap_err();
    assert!(matches!(error, ProverError::DegreeTooHigh { degree: 6, cap: 5, .. }), "{error}");
}

#[test]
fn parameters_of_another_size_are_refused() {
    let keys = Keys::new::<Product>();
    let params = ParamsKZG::<Bn256>::setup(5, ChaCha20Rng::seed_from_u64(SEED));
    let error = Prover::new(Cpu::new(), &params, &keys.pk).unwrap_err();
    assert!(matches!(error, ProverError::SizeMismatch { params: 5, key: 4 }), "{error}");
}

#[test]
fn another_circuit_is_refused() {
    let keys = Keys::new::<Product>();
    let prover = Prover::new(Cpu::new(), &keys.params, &keys.pk).unwrap();
    let error = prove_with(&prover, &Switches::honest(), &[], SEED).unwrap_err();
    assert!(matches!(error, ProverError::CircuitMismatch { expected: 3, got: 2, .. }), "{error}");
}
