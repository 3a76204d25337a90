//! Prints what snark-verifier's transcript for contracts answers to sequences of operations and to well- and ill-formed
//! bytes; and checks beforehand that its reader accepts a whole proof written through this project's transcript, and no
//! changed one.

use ff::{Field, PrimeField};
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Error, Instance, Selector, keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierGWC;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{
    Transcript, TranscriptRead, TranscriptReadBuffer, TranscriptWrite, TranscriptWriterBuffer,
};
use halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use serde_json::{Value as Json, json};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::{ChallengeEvm, EvmTranscript};
use zkml_gpu_engine::backend::Cpu;
use zkml_gpu_engine::transcript::EvmWrite;
use zkml_gpu_engine::{Opening, Prover, ProverOptions};

const SEED: u64 = 4_202_411;

type Theirs<S> = EvmTranscript<G1Affine, NativeLoader, S, Vec<u8>>;

fn main() {
    cross_check();
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let mut scripts: Vec<Vec<&str>> = vec![
        vec!["challenge"],
        vec!["challenge", "challenge", "challenge"],
        vec!["common_scalar", "challenge"],
        vec!["write_scalar", "challenge", "challenge"],
        vec!["write_point", "challenge"],
        vec!["write_identity", "common_identity", "challenge"],
    ];
    let operations = ["common_scalar", "common_point", "write_scalar", "write_point", "challenge", "challenge"];
    scripts.extend((0..10).map(|_| (0..24).map(|_| operations[rng.next_u32() as usize % 6]).collect()));
    let sequences: Vec<Json> = scripts.iter().map(|script| sequence(script, &mut rng)).collect();
    let origin = "EvmTranscript over NativeLoader of snark-verifier 0.2.7, by scripts/transcript_vectors";
    let vectors = json!({ "origin": origin, "sequences": sequences, "readings": readings() });
    println!("{}", serde_json::to_string_pretty(&vectors).unwrap());
}

/// Runs a sequence of operations on random values; every step with its value or its result, and the proof.
fn sequence(script: &[&str], rng: &mut ChaCha20Rng) -> Json {
    let mut transcript = <Theirs<Vec<u8>> as TranscriptWriterBuffer<_, _, ChallengeEvm<_>>>::init(Vec::new());
    let steps: Vec<Json> = script
        .iter()
        .map(|&operation| {
            let (scalar, point) = (Fr::random(&mut *rng), G1Affine::random(&mut *rng));
            let (name, value) = match operation {
                "common_scalar" => (operation, scalar_hex(scalar, transcript.common_scalar(scalar))),
                "write_scalar" => (operation, scalar_hex(scalar, transcript.write_scalar(scalar))),
                "common_point" => (operation, point_hex(point, transcript.common_point(point))),
                "write_point" => (operation, point_hex(point, transcript.write_point(point))),
                "common_identity" => {
                    ("common_point", point_hex(G1Affine::default(), transcript.common_point(G1Affine::default())))
                }
                "write_identity" => {
                    ("write_point", point_hex(G1Affine::default(), transcript.write_point(G1Affine::default())))
                }
                _ => (operation, scalar_hex(*transcript.squeeze_challenge_scalar::<()>(), Ok(()))),
            };
            json!([name, value])
        })
        .collect();
    json!({ "steps": steps, "proof": hex::encode(transcript.finalize()) })
}

fn reader(bytes: &[u8]) -> Theirs<&[u8]> {
    <Theirs<_> as TranscriptReadBuffer<_, _, ChallengeEvm<_>>>::init(bytes)
}

/// Bytes, and whether the reader takes them for a point or a scalar.
fn readings() -> Vec<Json> {
    let generator = G1Affine::generator();
    let [x, y] = [generator.x, generator.y].map(be);
    // The modulus and what lies above it, from -1. The last byte does not overflow.
    let modulus = |mut minus_one: [u8; 32], plus: u8| {
        minus_one[31] += 1 + plus;
        minus_one
    };
    let (p, p_plus_one) = (modulus(be(-Fq::ONE), 0), modulus(be(-Fq::ONE), 1));
    let (r, r_plus_one) = (modulus(be(-Fr::ONE), 0), modulus(be(-Fr::ONE), 1));
    let points: Vec<Vec<u8>> = vec![
        [x, y].concat(),
        [x, be(-generator.y)].concat(),
        [[0; 32], [0; 32]].concat(),
        [x, be(generator.y + Fq::ONE)].concat(),
        [y, x].concat(),
        [[0; 32], be(Fq::ONE)].concat(),
        // The generator's coordinates are 1 and 2.
        [p_plus_one, y].concat(),
        [p, y].concat(),
        [x, p].concat(),
        [p, p].concat(),
        [[255; 32], [255; 32]].concat(),
        [x, y].concat()[..63].to_vec(),
        x.to_vec(),
        Vec::new(),
    ];
    let scalars: Vec<Vec<u8>> = vec![
        be(Fr::ZERO).to_vec(),
        be(-Fr::ONE).to_vec(),
        r.to_vec(),
        r_plus_one.to_vec(),
        vec![255; 32],
        be(Fr::ONE)[..31].to_vec(),
        Vec::new(),
    ];
    let points = points.into_iter().map(|bytes| {
        let accepted = TranscriptRead::<G1Affine, ChallengeEvm<_>>::read_point(&mut reader(&bytes)).is_ok();
        json!({ "kind": "point", "bytes": hex::encode(bytes), "accepted": accepted })
    });
    let scalars = scalars.into_iter().map(|bytes| {
        let accepted = TranscriptRead::<G1Affine, ChallengeEvm<_>>::read_scalar(&mut reader(&bytes)).is_ok();
        json!({ "kind": "scalar", "bytes": hex::encode(bytes), "accepted": accepted })
    });
    points.chain(scalars).collect()
}

fn be<F: PrimeField<Repr = [u8; 32]>>(element: F) -> [u8; 32] {
    let mut bytes = element.to_repr();
    bytes.reverse();
    bytes
}

fn scalar_hex(scalar: Fr, outcome: std::io::Result<()>) -> String {
    outcome.unwrap();
    hex::encode(be(scalar))
}

fn point_hex(point: G1Affine, outcome: std::io::Result<()>) -> String {
    outcome.unwrap();
    hex::encode([be(point.x), be(point.y)].concat())
}

/// A public square: `advice² = instance` on row 0.
#[derive(Clone)]
struct Square(Fr);

impl Circuit<Fr> for Square {
    type Config = (Column<Advice>, Column<Instance>, Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (root, square, selector) = (cs.advice_column(), cs.instance_column(), cs.selector());
        cs.create_gate("square", |cells| {
            let root = cells.query_advice(root, Rotation::cur());
            let square = cells.query_instance(square, Rotation::cur());
            vec![cells.query_selector(selector) * (root.clone() * root - square)]
        });
        (root, square, selector)
    }

    fn synthesize(&self, (root, _, selector): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "square",
            |mut region| {
                selector.enable(&mut region, 0)?;
                region.assign_advice(root, 0, Value::known(self.0));
                Ok(())
            },
        )
    }
}

/// Two circuits proved by this project's prover through its transcript, and verified by halo2 through snark-verifier's.
fn cross_check() {
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let params = ParamsKZG::<Bn256>::setup(4, &mut rng);
    let circuits = [Square(Fr::from(3)), Square(Fr::from(5))];
    let vk = keygen_vk(&params, &circuits[0]).unwrap();
    let pk = keygen_pk(&params, vk, &circuits[0]).unwrap();
    let instances = [[Fr::from(9)], [Fr::from(25)]];
    let columns: Vec<[&[Fr]; 1]> = instances.iter().map(|column| [column.as_slice()]).collect();
    let columns: Vec<&[&[Fr]]> = columns.iter().map(|columns| columns.as_slice()).collect();
    let mut options = ProverOptions::default();
    options.opening = Opening::Gwc;
    let prover = Prover::with_options(Cpu::new(), &params, &pk, options).unwrap();
    let mut transcript = EvmWrite::init(Vec::new());
    prover.create_joint_proof(&circuits, &columns, &mut rng, &mut transcript).unwrap();
    let proof = transcript.finalize();

    let accepts = |proof: &[u8]| {
        let mut transcript = reader(proof);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierGWC<Bn256>, ChallengeEvm<_>, _, SingleStrategy<_>>(
            &params,
            pk.get_vk(),
            SingleStrategy::new(&params),
            &columns,
            &mut transcript,
        )
        .is_ok()
    };
    assert!(accepts(&proof), "seed {SEED}");
    for place in [0, proof.len() / 2, proof.len() - 1] {
        let mut changed = proof.clone();
        changed[place] ^= 1;
        assert!(!accepts(&changed), "seed {SEED}, byte {place}");
    }
}
