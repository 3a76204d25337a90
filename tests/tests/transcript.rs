//! The transcript of contracts against vectors of snark-verifier, which has the original.

use ff::PrimeField;
use halo2_proofs::transcript::{
    Transcript, TranscriptRead, TranscriptReadBuffer, TranscriptWrite, TranscriptWriterBuffer,
};
use halo2curves::bn256::{Fq, Fr, G1Affine};
use serde_json::Value;
use zkml_gpu_engine::transcript::{EvmRead, EvmWrite};

/// Made by `scripts/transcript_vectors`.
const VECTORS: &str = include_str!("../data/transcript/evm.json");

/// A step of a sequence: the operation, and its value or its result.
struct Step {
    operation: String,
    value: Vec<u8>,
}

struct Sequence {
    steps: Vec<Step>,
    proof: Vec<u8>,
}

fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap()).unwrap()
}

fn vectors(kind: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let list = vectors[kind].as_array().unwrap().clone();
    assert!(list.len() >= 10, "{kind}");
    list
}

fn sequences() -> Vec<Sequence> {
    let step = |step: &Value| Step { operation: step[0].as_str().unwrap().to_owned(), value: bytes(&step[1]) };
    let steps = |sequence: &Value| sequence["steps"].as_array().unwrap().iter().map(step).collect();
    vectors("sequences")
        .iter()
        .map(|sequence| Sequence { steps: steps(sequence), proof: bytes(&sequence["proof"]) })
        .collect()
}

fn element<F: PrimeField<Repr = [u8; 32]>>(big_endian: &[u8]) -> F {
    let mut bytes: [u8; 32] = big_endian.try_into().unwrap();
    bytes.reverse();
    F::from_repr(bytes).unwrap()
}

fn point(bytes: &[u8]) -> G1Affine {
    G1Affine { x: element::<Fq>(&bytes[..32]), y: element::<Fq>(&bytes[32..]) }
}

/// Plays a sequence to a writer; returns the proof and the challenges.
fn write(sequence: &Sequence) -> (Vec<u8>, Vec<Fr>) {
    let mut transcript = EvmWrite::init(Vec::new());
    let mut challenges = Vec::new();
    for Step { operation, value } in &sequence.steps {
        match operation.as_str() {
            "common_scalar" => transcript.common_scalar(element(value)).unwrap(),
            "common_point" => transcript.common_point(point(value)).unwrap(),
            "write_scalar" => transcript.write_scalar(element(value)).unwrap(),
            "write_point" => transcript.write_point(point(value)).unwrap(),
            "challenge" => challenges.push(*transcript.squeeze_challenge_scalar::<()>()),
            other => panic!("{other}"),
        }
    }
    (transcript.finalize(), challenges)
}

/// Plays a sequence to a reader of a proof; returns the challenges and what was read.
fn read(sequence: &Sequence, proof: &[u8]) -> std::io::Result<(Vec<Fr>, Vec<u8>)> {
    let mut transcript = EvmRead::init(proof);
    let (mut challenges, mut read) = (Vec::new(), Vec::new());
    let mut keep = |repr: [u8; 32]| read.extend(repr.iter().rev());
    for Step { operation, value } in &sequence.steps {
        match operation.as_str() {
            "common_scalar" => transcript.common_scalar(element(value))?,
            "common_point" => transcript.common_point(point(value))?,
            "write_scalar" => keep(transcript.read_scalar()?.to_repr()),
            "write_point" => {
                let point = transcript.read_point()?;
                keep(point.x.to_repr());
                keep(point.y.to_repr());
            }
            "challenge" => challenges.push(*transcript.squeeze_challenge_scalar::<()>()),
            other => panic!("{other}"),
        }
    }
    Ok((challenges, read))
}

fn expected_challenges(sequence: &Sequence) -> Vec<Fr> {
    sequence.steps.iter().filter(|step| step.operation == "challenge").map(|step| element(&step.value)).collect()
}

#[test]
fn writer_and_reader_agree_with_snark_verifier() {
    for (index, sequence) in sequences().iter().enumerate() {
        let (proof, challenges) = write(sequence);
        assert_eq!(proof, sequence.proof, "sequence {index}");
        assert_eq!(challenges, expected_challenges(sequence), "sequence {index}");
        let (challenges, read) = read(sequence, &sequence.proof).unwrap();
        assert_eq!(challenges, expected_challenges(sequence), "sequence {index}");
        assert_eq!(read, sequence.proof, "sequence {index}");
    }
}

/// A changed byte is refused, or changes every challenge after it.
#[test]
fn changed_proof_gives_other_challenges() {
    let mut compared = 0;
    for (index, sequence) in sequences().iter().enumerate() {
        let last_written = sequence.steps.iter().rposition(|step| step.operation.starts_with("write"));
        let last_challenge = sequence.steps.iter().rposition(|step| step.operation == "challenge");
        if last_written.is_none() || last_written > last_challenge {
            continue;
        }
        for place in [0, sequence.proof.len() - 1] {
            let mut changed = sequence.proof.clone();
            changed[place] ^= 1;
            if let Ok((challenges, _)) = read(sequence, &changed) {
                assert_ne!(challenges.last(), expected_challenges(sequence).last(), "sequence {index}, byte {place}");
                compared += 1;
            }
        }
    }
    assert!(compared > 3, "{compared} readable changes");
}

#[test]
fn reader_accepts_and_rejects_what_snark_verifier_does() {
    let mut outcomes = [0, 0];
    for reading in vectors("readings") {
        let bytes = bytes(&reading["bytes"]);
        let mut transcript = EvmRead::init(bytes.as_slice());
        let accepted = match reading["kind"].as_str().unwrap() {
            "point" => transcript.read_point().is_ok(),
            _ => transcript.read_scalar().is_ok(),
        };
        assert_eq!(accepted, reading["accepted"].as_bool().unwrap(), "{reading}");
        outcomes[usize::from(accepted)] += 1;
    }
    assert!(outcomes[0] > 9 && outcomes[1] > 4, "{outcomes:?} rejected and accepted");
}

/// A refused value leaves no trace, on either side.
#[test]
fn writer_refuses_points_off_the_curve() {
    let off_curve = G1Affine { x: Fq::from(1), y: Fq::from(3) };
    let mut transcript = EvmWrite::init(Vec::new());
    assert!(transcript.write_point(off_curve).is_err());
    assert!(transcript.common_point(off_curve).is_err());
    assert!(transcript.write_point(G1Affine::generator()).is_ok());
    assert_eq!(transcript.finalize().len(), 64);
}
