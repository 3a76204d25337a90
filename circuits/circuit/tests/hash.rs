//! Hashes of tensors: against circomlibjs, and as a circuit whose cells are changed.

use std::collections::{BTreeMap, BTreeSet};

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::{self, Circuit, ConstraintSystem, ProvingKey, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use zkml_gpu_circuit::hash::{
    HashColumns, HashRole, HashTrace, HashedTensor, Packing, Poseidon, RowConstants, Salt, configure, hash_tensor,
};
use zkml_gpu_circuit::scalar;
use zkml_gpu_engine::backend::{Any, BackendChoice};
use zkml_gpu_engine::{Prover, ProverOptions};
use zkml_gpu_graph::Format;

/// Row at which the first hash begins: not 0.
const FIRST_ROW: usize = 3;
/// Advice columns, in the order in which [`columns`] has them.
const ADVICE: [&str; 7] = ["first lane", "second lane", "third lane", "square", "word", "held", "value"];
const VALUE: usize = 6;

/// What is hashed.
#[derive(Clone, Debug)]
struct Hashed {
    format: Format,
    values: Vec<i64>,
    salt: Option<Salt>,
}

impl Hashed {
    fn random(rng: &mut StdRng, format: Format, len: usize, salted: bool) -> Self {
        let values = (0..len).map(|_| rng.gen_range(format.min..=format.max)).collect();
        Self { format, values, salt: salted.then(|| random_element(rng).into()) }
    }

    fn hash(&self) -> Fr {
        hash_tensor(&Poseidon::new(), self.format, &self.values, self.salt.as_ref()).expect("values in range").element()
    }
}

fn random_element(rng: &mut StdRng) -> Fr {
    (0..5).fold(Fr::zero(), |element, _| element * Fr::from(1 << 60) + Fr::from(rng.gen_range(0..1u64 << 60)))
}

/// The hashes of tensors, one after another.
#[derive(Clone, Debug)]
struct Hashes {
    k: u32,
    tensors: Vec<HashedTensor>,
    trace: Option<HashTrace>,
    /// What the witness's rows give.
    hashes: Vec<Fr>,
    changed: Vec<(usize, usize, Fr)>,
}

impl Hashes {
    fn new(hashed: &[Hashed]) -> Self {
        let mut row = FIRST_ROW;
        let mut tensors = Vec::new();
        for Hashed { format, values, .. } in hashed {
            let tensor = HashedTensor::new(*format, values.len(), row).expect("a place");
            row = tensor.end();
            tensors.push(tensor);
        }
        // Behind the hashes a row, then those that Halo2 keeps.
        let k = (row + 8).next_power_of_two().ilog2();
        let mut trace = HashTrace::new(row + 1);
        let (poseidon, constants) = (Poseidon::new(), RowConstants::new(&Poseidon::new(), &tensors));
        let hashes = hashed.iter().zip(&tensors).map(|(Hashed { values, salt, .. }, tensor)| {
            trace.fill(&poseidon, &constants, tensor, values, salt.as_ref()).expect("rows enough").element()
        });
        let hashes = hashes.collect();
        Self { k, tensors, trace: Some(trace), hashes, changed: Vec::new() }
    }

    fn changed(&self, column: usize, row: usize, delta: Fr) -> Self {
        Self { changed: vec![(column, row, delta)], ..self.clone() }
    }

    /// The public column for claimed hashes.
    fn public(&self, hashes: &[Fr]) -> Vec<Fr> {
        let mut column = vec![Fr::zero(); self.tensors.last().map_or(0, HashedTensor::end)];
        self.tensors.iter().zip(hashes).for_each(|(tensor, hash)| column[tensor.output_row()] = *hash);
        column
    }

    fn fixed_cells(&self) -> impl Iterator<Item = (HashRole, usize, i64)> {
        self.tensors.iter().enumerate().flat_map(|(number, tensor)| tensor.fixed_cells(number))
    }

    fn roles(&self) -> Vec<HashRole> {
        self.fixed_cells().map(|(role, ..)| role).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn is_accepted(&self, hashes: &[Fr]) -> bool {
        MockProver::run(self.k, self, vec![self.public(hashes)]).expect("k is enough").verify().is_ok()
    }
}

impl Circuit<Fr> for Hashes {
    type Config = HashColumns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Vec<HashRole>;

    fn params(&self) -> Vec<HashRole> {
        self.roles()
    }

    fn without_witnesses(&self) -> Self {
        Self { trace: None, ..self.clone() }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> HashColumns {
        Self::configure_with_params(meta, Vec::new())
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, roles: Vec<HashRole>) -> HashColumns {
        let columns = HashColumns {
            state: [(); 3].map(|()| meta.advice_column()),
            square: meta.advice_column(),
            word: meta.advice_column(),
            held: meta.advice_column(),
            value: meta.advice_column(),
            public: meta.instance_column(),
            fixed: roles.into_iter().map(|role| (role, meta.fixed_column())).collect(),
        };
        configure(meta, &columns, &Poseidon::new());
        columns
    }

    fn synthesize(&self, columns: HashColumns, mut layouter: impl Layouter<Fr>) -> Result<(), plonk::Error> {
        let constants = RowConstants::new(&Poseidon::new(), &self.tensors);
        let advice = [columns.square, columns.word, columns.held, columns.value];
        let advice: Vec<_> = columns.state.into_iter().chain(advice).collect();
        layouter.assign_region(
            || "hashes",
            |mut region| {
                for (role, row, value) in self.fixed_cells() {
                    let (_, column) = columns.fixed.iter().find(|(of, _)| *of == role).expect("a column for each role");
                    let value = match role {
                        HashRole::Constant => constants.element(value).expect("a known number"),
                        _ => scalar::from_i64(value),
                    };
                    region.assign_fixed(*column, row, value);
                }
                let Some(trace) = &self.trace else { return Ok(()) };
                for row in 0..trace.value.len() {
                    let [a, b, c] = &trace.state;
                    let value = scalar::from_i64(trace.value[row]);
                    let cells = [a[row], b[row], c[row], trace.square[row], trace.word[row], trace.held[row], value];
                    for (index, cell) in cells.into_iter().enumerate() {
                        let deltas = self.changed.iter().filter(|(column, of, _)| (*column, *of) == (index, row));
                        let cell = deltas.fold(cell, |cell, (.., delta)| cell + delta);
                        region.assign_advice(advice[index], row, Value::known(cell));
                    }
                }
                Ok(())
            },
        )
    }
}

const BYTE: Format = Format::new(8, 0, 255);
const SIGNED: Format = Format::new(4, -2000, 1500);

/// A lone word; an even number of words; two packings; with and without salt.
fn examples(rng: &mut StdRng) -> Vec<Hashed> {
    vec![
        Hashed::random(rng, BYTE, 5, true),
        Hashed::random(rng, SIGNED, 33, false),
        Hashed::random(rng, BYTE, 70, true),
    ]
}

fn rng(seed: u64) -> StdRng {
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

#[test]
fn the_rows_of_a_hash_give_the_hash_for_any_length_and_width() {
    let mut rng = rng(1);
    for bits in [1, 8, 9, 13, 16, 31, 62] {
        for len in [1, 2, 30, 31, 32, 62, 63, 97] {
            let signed = rng.gen_bool(0.5);
            let [min, max] = if signed { [-(1 << (bits - 1)), (1 << (bits - 1)) - 1] } else { [0, (1 << bits) - 1] };
            let mantissa = [1, 2 * rng.gen_range(0..1 << 20) + 1][usize::from(rng.gen_bool(0.5))];
            let format = Format { mantissa, ..Format::new(rng.gen_range(-20..20), min, max) };
            let salted = rng.gen_bool(0.5);
            let hashed = Hashed::random(&mut rng, format, len, salted);
            assert_eq!(Hashes::new(std::slice::from_ref(&hashed)).hashes, [hashed.hash()], "{format:?} {len}");
        }
    }
}

#[test]
fn a_circuit_accepts_the_hashes_of_its_tensors_and_no_others() {
    let hashed = examples(&mut rng(2));
    let circuit = Hashes::new(&hashed);
    let hashes: Vec<Fr> = hashed.iter().map(Hashed::hash).collect();
    assert_eq!(circuit.hashes, hashes);
    assert!(circuit.is_accepted(&hashes));
    for changed in 0..hashes.len() {
        let mut hashes = hashes.clone();
        hashes[changed] += Fr::one();
        assert!(!circuit.is_accepted(&hashes), "{changed}");
    }
    assert!(!circuit.is_accepted(&[hashes[1], hashes[0], hashes[2]]));
    // The salt is the prover's: another one has another hash, which is accepted as such.
    let mut salted = hashed.clone();
    salted[1].salt = Some(Fr::from(7).into());
    let other = Hashes::new(&salted);
    assert!(other.is_accepted(&other.hashes) && !other.is_accepted(&hashes));
}

#[test]
fn a_row_reads_itself_and_the_row_before_at_a_degree_that_networks_have() {
    let mut meta = ConstraintSystem::default();
    let packings = [Packing::new(BYTE), Packing::new(SIGNED)];
    let digits = packings.iter().flat_map(|packing| [HashRole::First(*packing), HashRole::Next(*packing)]);
    let roles = [
        HashRole::Row,
        HashRole::Constant,
        HashRole::Rotation,
        HashRole::FullMix,
        HashRole::PartialMix,
        HashRole::Pair,
        HashRole::Lone,
        HashRole::Public,
    ];
    let roles: Vec<HashRole> = roles.into_iter().chain(digits).collect();
    let count = roles.len();
    Hashes::configure_with_params(&mut meta, roles);
    assert_eq!((meta.degree(), meta.blinding_factors()), (4, 5));
    assert_eq!((meta.num_advice_columns(), meta.num_fixed_columns()), (ADVICE.len(), count));
    assert!(meta.advice_queries().iter().all(|(_, rotation)| [0, -1].contains(&rotation.0)));
    assert!(meta.fixed_queries().iter().all(|(_, rotation)| rotation.0 == 0));
}

/// The cells of each column that a gate says something of, one for each set of roles of its row: a name for the set,
/// column and row. Cells of a tensor's values are those of its rows, and the salt is left out, since another salt is
/// another hash: it is changed as all others, for it is not that of the public hash.
fn constrained_cells(circuit: &Hashes) -> Vec<(String, usize, usize)> {
    let mut rows: BTreeMap<usize, BTreeSet<HashRole>> = BTreeMap::new();
    circuit.fixed_cells().for_each(|(role, row, _)| {
        rows.entry(row).or_default().insert(role);
    });
    let mut classes: BTreeMap<(usize, Vec<HashRole>), usize> = BTreeMap::new();
    for (row, roles) in &rows {
        let has_digit = roles.iter().any(|role| matches!(role, HashRole::First(_) | HashRole::Next(_)));
        for column in 0..ADVICE.len() {
            let says = if column < 4 { roles.contains(&HashRole::Row) } else { has_digit };
            if says {
                classes.insert((column, roles.iter().copied().collect()), *row);
            }
        }
    }
    classes.into_iter().map(|((column, roles), row)| (format!("{} {roles:?}", ADVICE[column]), column, row)).collect()
}

#[test]
fn a_change_of_any_cell_of_a_hash_is_rejected() {
    let mut rng = rng(3);
    let circuit = Hashes::new(&examples(&mut rng));
    let cells = constrained_cells(&circuit);
    let mut seen = BTreeSet::new();
    for (name, column, row) in cells {
        let delta = random_element(&mut rng);
        assert!(!circuit.changed(column, row, delta).is_accepted(&circuit.hashes), "{name} at row {row}");
        seen.insert(column);
    }
    assert_eq!(seen.len(), ADVICE.len());
    // Rows of no hash are free.
    assert!(circuit.changed(VALUE, 0, Fr::one()).is_accepted(&circuit.hashes));
}

#[test]
fn every_cell_of_a_short_hash_is_constrained() {
    let mut rng = rng(4);
    let circuit = Hashes::new(&[Hashed::random(&mut rng, BYTE, 3, true)]);
    for row in circuit.tensors[0].salt_row()..circuit.tensors[0].end() {
        for (column, name) in ADVICE.iter().enumerate().take(4) {
            let changed = circuit.changed(column, row, random_element(&mut rng));
            assert!(!changed.is_accepted(&circuit.hashes), "{name} at row {row}");
        }
    }
}

/// Values that differ have the same words only if one leaves its range: digits of 256 and 0 are those of 0 and 1. So the
/// tensor's own rows must show the range, as the gates say.
#[test]
fn values_beyond_their_range_could_have_the_hash_of_others() {
    let hashed = |values: &[i64]| Hashed { format: BYTE, values: values.to_vec(), salt: None };
    let [honest, wrapped] = [[1, 0, 9], [0, 256, 9]].map(|values| Hashes::new(&[hashed(&values)]));
    assert_eq!(honest.hashes, wrapped.hashes);
    assert!(hash_tensor(&Poseidon::new(), BYTE, &[0, 256, 9], None).is_err());
}

struct Keys {
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
    prover: Prover<Any>,
}

impl Keys {
    fn new(circuit: &Hashes, rng: &mut StdRng) -> Self {
        let params = ParamsKZG::<Bn256>::setup(circuit.k, rng);
        let blank = circuit.without_witnesses();
        let vk = keygen_vk(&params, &blank).expect("a key");
        let pk = keygen_pk(&params, vk, &blank).expect("a key");
        // One that does not look at its witness, as a cheating one: the verifier must.
        let mut options = ProverOptions::default();
        options.check_witness = false;
        let backend = BackendChoice::Cpu.open().expect("the processor");
        let prover = Prover::with_options(backend, &params, &pk, options).expect("a prover");
        Self { params, pk, prover }
    }

    /// Whether our prover makes a proof of the hashes that Halo2's verifier accepts.
    fn proves(&self, circuit: &Hashes, hashes: &[Fr], rng: &mut StdRng) -> bool {
        let public = circuit.public(hashes);
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        let made = self.prover.create_proof(circuit, &[&public], rng, &mut transcript);
        made.expect("a proof, of whatever it is");
        let proof = transcript.finalize();
        let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(&*proof);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
            &self.params,
            self.pk.get_vk(),
            SingleStrategy::new(&self.params),
            &[&[&public]],
            &mut transcript,
        )
        .is_ok()
    }
}

#[test]
fn a_proof_is_accepted_for_the_hashes_and_rejected_for_a_change_of_any_cell() {
    let mut rng = rng(5);
    let circuit = Hashes::new(&examples(&mut rng));
    let keys = Keys::new(&circuit, &mut rng);
    assert!(keys.proves(&circuit, &circuit.hashes, &mut rng));
    let others = [circuit.hashes[0], circuit.hashes[1] + Fr::one(), circuit.hashes[2]];
    assert!(!keys.proves(&circuit, &others, &mut rng));
    for (name, column, row) in constrained_cells(&circuit) {
        let changed = circuit.changed(column, row, random_element(&mut rng));
        assert!(!keys.proves(&changed, &circuit.hashes, &mut rng), "{name} at row {row}");
    }
}

/// Made by `scripts/poseidon_vectors/vectors.mjs` with circomlibjs.
const VECTORS: &str = include_str!("../../../tests/data/poseidon/circomlibjs.json");

#[derive(Deserialize)]
struct Vectors {
    permutations: Vec<Permutation>,
    tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Permutation {
    capacity: String,
    words: [String; 2],
    hash: String,
}

#[derive(Deserialize)]
struct Tensor {
    frac_bits: i32,
    min: i64,
    max: i64,
    values: Vec<i64>,
    salt: Option<String>,
    hash: String,
}

/// An integer in decimal digits.
fn decimal(digits: &str) -> Fr {
    let digit = |digit: char| Fr::from(u64::from(digit.to_digit(10).expect("a digit")));
    digits.chars().map(digit).fold(Fr::zero(), |number, digit| number * Fr::from(10) + digit)
}

#[test]
fn permutations_are_those_of_circomlibjs() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    let poseidon = Poseidon::new();
    assert!(vectors.permutations.len() > 8);
    for Permutation { capacity, words, hash } in &vectors.permutations {
        let absorbed = poseidon.absorb(decimal(capacity), words.each_ref().map(|word| decimal(word)));
        assert_eq!(absorbed, decimal(hash), "{capacity} {words:?}");
    }
    // Those that circomlib publishes in its own tests.
    for (words, hash) in [
        ([1, 2], "7853200120776062878684798364095072458815029376092732009249414926327459813530"),
        ([3, 4], "14763215145315200506921711489642608356394854266165572616578112107564877678998"),
    ] {
        assert_eq!(poseidon.absorb(Fr::zero(), words.map(Fr::from)), decimal(hash));
    }
}

#[test]
fn hashes_of_tensors_are_those_of_a_program_for_circomlibjs() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    let poseidon = Poseidon::new();
    assert!(vectors.tensors.len() > 8);
    for Tensor { frac_bits, min, max, values, salt, hash } in vectors.tensors {
        let format = Format::new(frac_bits, min, max);
        let salt: Option<Salt> = salt.as_deref().map(|salt| decimal(salt).into());
        let ours = hash_tensor(&poseidon, format, &values, salt.as_ref()).unwrap();
        assert_eq!(ours.element(), decimal(&hash), "{format:?}, {} values", values.len());
    }
}
