//! Every circuit of the zoo is proved for the stock verifier, and nothing else passes it.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::{Circuit, ProvingKey, VerifyingKey, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::commitment::{Params, Verifier};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::msm::DualMSM;
use halo2_proofs::poly::kzg::multiopen::{VerifierGWC, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::{GuardKZG, SingleStrategy};
use halo2_proofs::transcript::{
    Blake2bRead, Blake2bWrite, Challenge255, EncodedChallenge, TranscriptRead, TranscriptReadBuffer,
    TranscriptWriterBuffer,
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkml_gpu_engine::backend::{Backend, Cpu, Dual};
use zkml_gpu_engine::prover::CircuitSize;
use zkml_gpu_engine::transcript::{EvmRead, EvmWrite};
use zkml_gpu_engine::{Opening, ProofOutput, Prover, ProverError, ProverOptions};
use zkml_gpu_tests::naive::Naive;
use zkml_gpu_tests::zoo::*;
use zkml_gpu_tests::{cuda, gpu};

const SEED: u64 = 20_241_123;

#[derive(Debug, Clone, Copy)]
enum Hash {
    Blake2b,
    Keccak,
}

/// The instance columns of each circuit of a proof.
type Instances = Vec<Vec<Vec<Fr>>>;

/// A circuit's keys, and what kind of proofs are made with them.
struct Keys {
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
    opening: Opening,
    hash: Hash,
}

/// A proof and what it left behind.
struct Made {
    proof: Vec<u8>,
    outputs: Vec<ProofOutput>,
    /// What the prover's transcript answers next.
    after: Fr,
}

impl Keys {
    fn new<C: Specimen>() -> Self {
        Self::of_kind::<C>(Opening::Shplonk, Hash::Blake2b)
    }

    fn of_kind<C: Specimen>(opening: Opening, hash: Hash) -> Self {
        let params = ParamsKZG::setup(C::K, ChaCha20Rng::seed_from_u64(SEED));
        let circuit = C::honest();
        let vk = keygen_vk(&params, &circuit).unwrap();
        let pk = keygen_pk(&params, vk, &circuit).unwrap();
        Keys { params, pk, opening, hash }
    }

    fn vk(&self) -> &VerifyingKey<G1Affine> {
        self.pk.get_vk()
    }

    fn prover<B: Backend>(&self, backend: B, check_witness: bool) -> Prover<B> {
        let mut options = ProverOptions::default();
        // Of the smallest circuits' points a device has all multiples then, of the others' few.
        options.table_budget_bytes = 1 << 20;
        options.opening = self.opening;
        options.check_witness = check_witness;
        Prover::with_options(backend, &self.params, &self.pk, options).unwrap()
    }

    /// Proves the specimens with their own public inputs.
    fn prove<B: Backend, C: Specimen>(&self, backend: B, circuits: &[C], seed: u64) -> Result<Made, ProverError> {
        self.prove_with(&self.prover(backend, true), circuits, &instances(circuits), seed)
    }

    fn prove_with<B: Backend, C: Circuit<Fr>>(
        &self,
        prover: &Prover<B>,
        circuits: &[C],
        instances: &Instances,
        seed: u64,
    ) -> Result<Made, ProverError> {
        match self.hash {
            Hash::Blake2b => {
                let transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
                prove_through(prover, circuits, instances, seed, transcript)
            }
            Hash::Keccak => prove_through(prover, circuits, instances, seed, EvmWrite::init(Vec::new())),
        }
    }

    /// Whether the stock verifier accepts. It panics on some malformed proofs, which counts as a rejection.
    fn accepts(&self, proof: &[u8], instances: &Instances) -> bool {
        self.verify(proof, instances).is_some()
    }

    /// What the transcript answers next, if the stock verifier accepts.
    fn verify(&self, proof: &[u8], instances: &Instances) -> Option<Fr> {
        let blake2b = || Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
        let verify = || match (self.opening, self.hash) {
            (Opening::Shplonk, Hash::Blake2b) => self.verify_through::<VerifierSHPLONK<_>, _, _>(instances, blake2b()),
            (Opening::Shplonk, Hash::Keccak) => {
                self.verify_through::<VerifierSHPLONK<_>, _, _>(instances, EvmRead::init(proof))
            }
            (_, Hash::Blake2b) => self.verify_through::<VerifierGWC<_>, _, _>(instances, blake2b()),
            (_, Hash::Keccak) => self.verify_through::<VerifierGWC<_>, _, _>(instances, EvmRead::init(proof)),
        };
        catch_unwind(AssertUnwindSafe(verify)).ok().flatten()
    }

    fn verify_through<'a, V, E, T>(&'a self, instances: &Instances, mut transcript: T) -> Option<Fr>
    where
        V: Verifier<'a, KZGCommitmentScheme<Bn256>, Guard = GuardKZG<'a, Bn256>, MSMAccumulator = DualMSM<'a, Bn256>>,
        E: EncodedChallenge<G1Affine>,
        T: TranscriptRead<G1Affine, E>,
    {
        let columns = columns(instances);
        let columns: Vec<&[&[Fr]]> = columns.iter().map(Vec::as_slice).collect();
        verify_proof::<KZGCommitmentScheme<Bn256>, V, E, T, SingleStrategy<_>>(
            &self.params,
            self.vk(),
            SingleStrategy::new(&self.params),
            &columns,
            &mut transcript,
        )
        .ok()?;
        Some(*transcript.squeeze_challenge_scalar::<()>())
    }
}

fn prove_through<B, C, E, T>(
    prover: &Prover<B>,
    circuits: &[C],
    instances: &Instances,
    seed: u64,
    mut transcript: T,
) -> Result<Made, ProverError>
where
    B: Backend,
    C: Circuit<Fr>,
    E: EncodedChallenge<G1Affine>,
    T: TranscriptWriterBuffer<Vec<u8>, G1Affine, E>,
{
    let columns = columns(instances);
    let columns: Vec<&[&[Fr]]> = columns.iter().map(Vec::as_slice).collect();
    let rng = ChaCha20Rng::seed_from_u64(seed);
    let outputs = prover.create_joint_proof(circuits, &columns, rng, &mut transcript)?;
    let after = *transcript.squeeze_challenge_scalar::<()>();
    Ok(Made { proof: transcript.finalize(), outputs, after })
}

fn instances<C: Specimen>(circuits: &[C]) -> Instances {
    circuits.iter().map(Specimen::instances).collect()
}

fn columns(instances: &Instances) -> Vec<Vec<&[Fr]>> {
    instances.iter().map(|columns| columns.iter().map(Vec::as_slice).collect()).collect()
}

fn mock_accepts<C: Specimen>(circuit: &C) -> bool {
    MockProver::run(C::K, circuit, circuit.instances()).unwrap().verify().is_ok()
}

/// So many circuits with good witnesses, neighbours with different ones.
fn honest<C: Specimen>(count: usize) -> Vec<C> {
    (0..count).map(|index| if index % 2 == 0 { C::honest() } else { C::other() }).collect()
}

/// The stock verifier accepts the proof of honest witnesses; so does MockProver the witnesses.
fn accepts_honest<C: Specimen>(keys: &Keys, count: usize) {
    let circuits = honest::<C>(count);
    assert!(circuits.iter().all(mock_accepts), "MockProver");
    let made = keys.prove(Cpu::new(), &circuits, SEED).unwrap();
    assert_eq!(keys.verify(&made.proof, &instances(&circuits)), Some(made.after), "seed {SEED}");
    let (cs, blinding_rows) = (keys.vk().cs(), keys.vk().cs().blinding_factors() + 1);
    assert_eq!(made.outputs.len(), count);
    for output in &made.outputs {
        assert_eq!(output.challenges, made.outputs[0].challenges);
        assert_eq!(output.challenges.circuit.len(), cs.num_challenges());
        assert_eq!(output.advice_blinding.len(), cs.num_advice_columns());
        assert!(output.advice_blinding.iter().all(|rows| rows.len() == blinding_rows));
    }
}

/// A tampered witness, in the first or in the last circuit, is refused by MockProver and by the prover; the proof that
/// the prover makes without its checks is refused by the verifier.
fn rejects_tampered<C: Specimen>(keys: &Keys, count: usize) {
    for place in if count == 1 { vec![0] } else { vec![0, count - 1] } {
        let mut circuits = honest::<C>(count);
        circuits[place] = C::tampered().unwrap();
        assert!(!mock_accepts(&circuits[place]), "MockProver");
        let refusal = keys.prove(Cpu::new(), &circuits, SEED).map(|_| ()).unwrap_err();
        assert!(blames(&refusal, place, count), "{refusal}");

        match keys.prove_with(&keys.prover(Cpu::new(), false), &circuits, &instances(&circuits), SEED) {
            Ok(made) => assert!(!keys.accepts(&made.proof, &instances(&circuits)), "seed {SEED}, circuit {place}"),
            // There is no permuted column to commit to.
            Err(error) => assert!(blames(&error, place, count) && names_lookup(&error), "{error}"),
        }
    }
}

/// Whether the error is a violated constraint of the circuit at `place`; gates are checked for all circuits together.
fn blames(error: &ProverError, place: usize, count: usize) -> bool {
    match error {
        ProverError::GateConstraint => true,
        ProverError::CopyConstraint | ProverError::NotInTable { .. } => count == 1,
        ProverError::InCircuit { circuit, source } => {
            count > 1 && *circuit == place && (blames(source, 0, 1) && !matches!(**source, ProverError::GateConstraint))
        }
        _ => false,
    }
}

fn names_lookup(error: &ProverError) -> bool {
    match error {
        ProverError::InCircuit { source, .. } => names_lookup(source),
        error => matches!(error, ProverError::NotInTable { .. }),
    }
}

/// A good proof with a flipped bit anywhere, cut short, or for other public inputs is refused.
fn rejects_changed_proofs<C: Specimen>(keys: &Keys, count: usize) {
    let circuits = honest::<C>(count);
    let Made { proof, .. } = keys.prove(Cpu::new(), &circuits, SEED).unwrap();
    let instances = instances(&circuits);
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
    rejects_changed_instances(keys, &proof, &instances);
}

/// Public inputs that are changed, swapped between circuits, or for another number of circuits.
fn rejects_changed_instances(keys: &Keys, proof: &[u8], instances: &Instances) {
    for (circuit, columns) in instances.iter().enumerate() {
        for (column, values) in columns.iter().enumerate() {
            for row in [0, values.len() - 1] {
                let mut changed = instances.clone();
                changed[circuit][column][row] += Fr::one();
                assert!(!keys.accepts(proof, &changed), "circuit {circuit}, instance column {column}, row {row}");
            }
        }
    }
    let mut swapped = instances.clone();
    swapped.rotate_left(1);
    assert!(swapped == *instances || !keys.accepts(proof, &swapped), "swapped instances");
    for more_or_less in [[instances.as_slice(), &instances[..1]].concat(), instances[1..].to_vec()] {
        assert!(!keys.accepts(proof, &more_or_less), "{} circuits for {}", more_or_less.len(), instances.len());
    }
}

/// Equal seeds give equal proofs on different back ends, operation by operation; other seeds give other proofs.
fn is_deterministic<C: Specimen>(keys: &Keys, count: usize) {
    let circuits = honest::<C>(count);
    let made = keys.prove(Cpu::new(), &circuits, SEED).unwrap();
    let again = keys.prove(Cpu::new(), &circuits, SEED).unwrap();
    let other = keys.prove(Cpu::new(), &circuits, SEED + 1).unwrap();
    assert_eq!(made.proof, again.proof);
    assert_ne!(made.proof, other.proof);
    if keys.vk().cs().num_advice_columns() > 0 {
        for (output, other) in made.outputs.iter().zip(&other.outputs) {
            assert_ne!(output.advice_blinding, other.advice_blinding);
        }
        let (first, last) = (&made.outputs[0], &made.outputs[count - 1]);
        assert!(count == 1 || first.advice_blinding != last.advice_blinding);
    }
    if C::K <= 8 {
        let both = keys.prove(Dual::new(Cpu::new(), Naive::new()), &circuits, SEED).unwrap();
        assert_eq!(made.proof, both.proof);
    }
}

macro_rules! zoo {
    ($($name:ident: $circuit:ty;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn honest_proof_is_accepted() {
                accepts_honest::<$circuit>(&Keys::new::<$circuit>(), 1);
            }

            #[test]
            fn tampered_witness_is_rejected() {
                rejects_tampered::<$circuit>(&Keys::new::<$circuit>(), 1);
            }

            #[test]
            fn changed_proof_is_rejected() {
                rejects_changed_proofs::<$circuit>(&Keys::new::<$circuit>(), 1);
            }

            #[test]
            fn equal_seeds_give_equal_proofs() {
                is_deterministic::<$circuit>(&Keys::new::<$circuit>(), 1);
            }

            #[test]
            fn gwc_and_keccak_prove_it_and_nothing_else() {
                let keys = Keys::of_kind::<$circuit>(Opening::Gwc, Hash::Keccak);
                accepts_honest::<$circuit>(&keys, 1);
                rejects_changed_proofs::<$circuit>(&keys, 1);
            }

            #[test]
            fn two_circuits_are_proved_and_nothing_else() {
                passes_all_checks::<$circuit>(&Keys::of_kind::<$circuit>(Opening::Shplonk, Hash::Keccak), 2);
            }

            #[test]
            fn three_circuits_are_proved_with_gwc_and_nothing_else() {
                passes_all_checks::<$circuit>(&Keys::of_kind::<$circuit>(Opening::Gwc, Hash::Blake2b), 3);
            }
        }
    )*

        /// In one test: a device compiles its kernels once.
        #[test]
        fn every_circuit_is_proved_on_a_gpu_as_on_the_processor() {
            if let Some(gpu) = gpu::whole() {
                every_circuit_is_the_same_on(gpu);
            }
        }

        #[test]
        fn every_circuit_is_proved_through_cuda_as_on_the_processor() {
            if let Some(gpu) = cuda::whole() {
                every_circuit_is_the_same_on(gpu);
            }
        }

        fn every_circuit_is_the_same_on<B: Backend + Clone>(gpu: &B) {
            $(is_the_same_on_a_gpu::<$circuit, B>(gpu, Opening::Shplonk);)*
            is_the_same_on_a_gpu::<Wide, B>(gpu, Opening::Shplonk);
            is_the_same_on_a_gpu::<Tall, B>(gpu, Opening::Shplonk);
            is_the_same_on_a_gpu::<Empty, B>(gpu, Opening::Shplonk);
            is_the_same_on_a_gpu::<Everything, B>(gpu, Opening::Gwc);
        }
    };
}

/// Equal seeds give the processor's proofs, and what it refuses is refused.
fn is_the_same_on_a_gpu<C: Specimen, B: Backend + Clone>(gpu: &B, opening: Opening) {
    let (keys, circuits) = (Keys::of_kind::<C>(opening, Hash::Blake2b), honest::<C>(2));
    let expected = keys.prove(Cpu::new(), &circuits, SEED).unwrap();
    let made = keys.prove(gpu.clone(), &circuits, SEED).unwrap();
    assert!(made.proof == expected.proof, "{}: another proof", type_name::<C>());
    assert_eq!(keys.verify(&made.proof, &instances(&circuits)), Some(made.after));
    if let Some(tampered) = C::tampered() {
        let refusal = keys.prove(gpu.clone(), &[tampered], SEED).map(|_| ()).unwrap_err();
        assert!(blames(&refusal, 0, 1), "{}: {refusal}", type_name::<C>());
    }
}

zoo! {
    product: Product;
    switches: Switches;
    arithmetic: Arithmetic;
    degree_five: DegreeFive;
    mixed_degrees: MixedDegrees;
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

/// All four checks with one set of keys.
fn passes_all_checks<C: Specimen>(keys: &Keys, count: usize) {
    accepts_honest::<C>(keys, count);
    rejects_tampered::<C>(keys, count);
    rejects_changed_proofs::<C>(keys, count);
    is_deterministic::<C>(keys, count);
}

#[test]
fn many_columns_are_proved_and_nothing_else_passes() {
    passes_all_checks::<Wide>(&Keys::new::<Wide>(), 1);
}

#[test]
fn many_rows_are_proved_and_nothing_else_passes() {
    passes_all_checks::<Tall>(&Keys::new::<Tall>(), 1);
}

#[test]
fn empty_circuit_is_proved() {
    let keys = Keys::new::<Empty>();
    accepts_honest::<Empty>(&keys, 1);
    is_deterministic::<Empty>(&keys, 1);
}

/// Without constraints the quotient is zero, and its commitments the identity, which every transcript has to carry.
#[test]
fn empty_circuits_are_proved_with_every_transcript() {
    for (opening, hash) in
        [(Opening::Shplonk, Hash::Keccak), (Opening::Gwc, Hash::Blake2b), (Opening::Gwc, Hash::Keccak)]
    {
        accepts_honest::<Empty>(&Keys::of_kind::<Empty>(opening, hash), 2);
    }
}

#[test]
fn proof_of_one_circuit_is_a_joint_proof_of_one() {
    let keys = Keys::new::<Everything>();
    let (prover, circuit) = (keys.prover(Cpu::new(), true), Everything::honest());
    let made = keys.prove(Cpu::new(), slice::from_ref(&circuit), SEED).unwrap();
    let instances = circuit.instances();
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
    let output = prover.create_proof(&circuit, &columns, ChaCha20Rng::seed_from_u64(SEED), &mut transcript).unwrap();
    assert_eq!(transcript.finalize(), made.proof);
    assert_eq!(output.advice_blinding, made.outputs[0].advice_blinding);
    assert_eq!(output.challenges, made.outputs[0].challenges);
}

/// The verifier has to be of the kind of the proof.
#[test]
fn proof_of_another_kind_is_rejected() {
    let circuits = honest::<Public>(2);
    let kinds = [Opening::Shplonk, Opening::Gwc].map(|opening| {
        [Hash::Blake2b, Hash::Keccak].map(|hash| {
            let keys = Keys::of_kind::<Public>(opening, hash);
            let proof = keys.prove(Cpu::new(), &circuits, SEED).unwrap().proof;
            (keys, proof)
        })
    });
    let kinds: Vec<_> = kinds.iter().flatten().collect();
    for (of_proof, (_, proof)) in kinds.iter().enumerate() {
        for (of_verifier, (keys, _)) in kinds.iter().enumerate() {
            let accepted = keys.accepts(proof, &instances(&circuits));
            assert_eq!(accepted, of_proof == of_verifier, "proof {of_proof}, verifier {of_verifier}");
        }
    }
}

/// A cell may be unknown until its phase has come, also when circuits repeat the phases before.
#[test]
fn unknown_cells_are_refused_in_their_own_phase_only() {
    let keys = Keys::new::<Unknown>();
    accepts_honest::<Unknown>(&keys, 1);
    for circuits in [vec![Unknown::known_in_time()], vec![Unknown::known_in_time(), Unknown::known_in_time()]] {
        let made = keys.prove(Cpu::new(), &circuits, SEED).unwrap();
        assert!(keys.accepts(&made.proof, &instances(&circuits)), "{} circuits", circuits.len());
    }
    let missing = |error: &ProverError| matches!(error, ProverError::MissingWitness { column: 1, row: 2, phase: 1 });
    let unknown = || Unknown::tampered().unwrap();
    let error = keys.prove(Cpu::new(), &[unknown()], SEED).map(|_| ()).unwrap_err();
    assert!(missing(&error), "{error}");
    let error = keys.prove(Cpu::new(), &[Unknown::honest(), unknown()], SEED).map(|_| ()).unwrap_err();
    assert!(matches!(&error, ProverError::InCircuit { circuit: 1, source } if missing(source)), "{error}");
}

/// Gates of each degree are a class of the quotient, which is checked by itself, and adds its part.
#[test]
fn a_violated_gate_of_any_degree_is_refused() {
    let keys = Keys::new::<MixedDegrees>();
    let size = CircuitSize::of(keys.vk().cs(), MixedDegrees::K).unwrap();
    assert_eq!((size.quotient.cosets, size.quotient.inverse_transforms), (4, 4 + 2 + 1), "three classes");
    let (checked, unchecked) = (keys.prover(Cpu::new(), true), keys.prover(Cpu::new(), false));
    // Equal errors half of all rows apart leave the top coefficient of the first class's quotient zero.
    let half = 1 << (MixedDegrees::K - 1);
    for (gate, rows) in (0..3).flat_map(|gate| [(gate, vec![7]), (gate, vec![7, 7 + half])]) {
        for (place, count) in [(0, 1), (0, 2), (1, 2)] {
            let mut circuits = honest::<MixedDegrees>(count);
            circuits[place] = MixedDegrees::tampered_in(gate, &rows);
            assert!(!mock_accepts(&circuits[place]), "MockProver");
            let instances = instances(&circuits);
            let refusal = keys.prove_with(&checked, &circuits, &instances, SEED).map(|_| ()).unwrap_err();
            assert!(matches!(refusal, ProverError::GateConstraint), "gate {gate}: {refusal}");
            let made = keys.prove_with(&unchecked, &circuits, &instances, SEED).unwrap();
            assert!(!keys.accepts(&made.proof, &instances), "gate {gate}, circuit {place} of {count}, seed {SEED}");
        }
    }
}

/// Whatever part of the key is kept on cosets.
#[test]
fn one_prover_serves_many_proofs() {
    let keys = Keys::new::<Everything>();
    let of_budget = |columns: usize| {
        let mut options = ProverOptions::default();
        options.coset_budget_bytes = (columns << Everything::K) * size_of::<Fr>();
        Prover::with_options(Cpu::new(), &keys.params, &keys.pk, options).unwrap()
    };
    let key_columns = CircuitSize::of(keys.vk().cs(), Everything::K).unwrap().quotient.key_columns;
    let frugal = [0, key_columns / 2, key_columns - 1].map(of_budget);
    let prover = keys.prover(Cpu::new(), true);
    for count in 1..4 {
        let circuits = honest::<Everything>(count);
        let instances = instances(&circuits);
        let made = keys.prove_with(&prover, &circuits, &instances, SEED).unwrap();
        assert!(keys.accepts(&made.proof, &instances), "seed {SEED}");
        for frugal in &frugal {
            let same = keys.prove_with(frugal, &circuits, &instances, SEED).unwrap();
            assert_eq!(made.proof, same.proof, "seed {SEED}");
        }
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
fn instances_that_do_not_fit_are_refused() {
    let keys = Keys::new::<PublicOnly>();
    let usable = (1 << PublicOnly::K) - keys.vk().cs().blinding_factors() - 1;
    let prover = keys.prover(Cpu::new(), true);
    let refusal = |circuits: usize, instances: &[Vec<Vec<Fr>>]| {
        keys.prove_with(&prover, &honest::<PublicOnly>(circuits), &instances.to_vec(), SEED).map(|_| ()).unwrap_err()
    };
    let (good, long) = (PublicOnly::honest().instances(), vec![vec![Fr::one(); usable + 1]]);
    let too_long = |error: &ProverError| matches!(error, ProverError::InstanceTooLong { column: 0, len, usable_rows } if (*len, *usable_rows) == (usable + 1, usable));
    let error = refusal(1, slice::from_ref(&long));
    assert!(too_long(&error), "{error}");
    let error = refusal(2, &[good.clone(), long]);
    assert!(matches!(&error, ProverError::InCircuit { circuit: 1, source } if too_long(source)), "{error}");
    let error = refusal(1, &[vec![]]);
    assert!(matches!(error, ProverError::InstanceColumns { expected: 1, got: 0 }), "{error}");
    let error = refusal(2, &[good]);
    assert!(matches!(error, ProverError::InstanceSets { circuits: 2, instances: 1 }), "{error}");
    let error = refusal(0, &[]);
    assert!(matches!(error, ProverError::NoCircuits), "{error}");
}

/// Circuits may give columns of different lengths.
#[test]
fn instance_that_fills_all_usable_rows_is_proved() {
    let keys = Keys::new::<PublicOnly>();
    let usable = (1 << PublicOnly::K) - keys.vk().cs().blinding_factors() - 1;
    let mut instances = instances(&honest::<PublicOnly>(2));
    instances[0][0].resize(usable, Fr::from(77));
    let prover = keys.prover(Cpu::new(), true);
    let made = keys.prove_with(&prover, &honest::<PublicOnly>(2), &instances, SEED).unwrap();
    assert!(keys.accepts(&made.proof, &instances));
    rejects_changed_instances(&keys, &made.proof, &instances);
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
    let prover = keys.prover(Cpu::new(), true);
    let refusal = keys.prove_with(&prover, &[Switches::honest()], &vec![vec![]], SEED);
    let error = refusal.map(|_| ()).unwrap_err();
    assert!(matches!(error, ProverError::CircuitMismatch { expected: 3, got: 2, .. }), "{error}");
}
