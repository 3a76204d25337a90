//! Proofs that are verified together: the same results as by themselves, and the bad ones named.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::OsRng;
use zkml_gpu::{
    BackendChoice, CompileOptions, Hasher, ImportOptions, Model, ModelProver, Srs, WeightMode, read_samples,
};
use zkml_gpu_verify::{ModelKey, ProofBundle, Rejection};

/// A dense layer from 6 to 4, and three proofs of one inference, each with randomness of its own.
fn proved(weights: WeightMode) -> (ModelProver, Vec<ProofBundle>) {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/gemm_plain.onnx");
    let input = model.with_extension("json");
    let model = Model::load(model, &ImportOptions::default()).expect("a model");
    let samples = read_samples(input, &model.inputs()).expect("an input");
    let mut options = CompileOptions::default();
    options.layout.weights = weights;
    let compiled = model.compile(&samples, &options).expect("a circuit");
    let srs = Srs::development(compiled.k(), OsRng).expect("a reference string");
    let prover = compiled.prover(&srs, &BackendChoice::Cpu, OsRng).expect("keys");
    let proofs = (0..3).map(|_| prover.prove(&samples[0], OsRng).expect("a proof").bundle).collect();
    (prover, proofs)
}

/// Which of the proofs hold; together they are as each by itself.
fn verdicts(key: &ModelKey, proofs: &[ProofBundle]) -> Vec<bool> {
    let together: Vec<bool> = key.verify_all(proofs).iter().map(Result::is_ok).collect();
    assert_eq!(together, proofs.iter().map(|proof| key.verify(proof).is_ok()).collect::<Vec<_>>());
    together
}

/// A proof with other bytes.
fn with_bytes(proof: &ProofBundle, change: impl FnOnce(&mut Vec<u8>)) -> ProofBundle {
    let mut changed = proof.clone();
    let mut bytes = proof.proof_bytes();
    change(&mut bytes);
    changed.proof = STANDARD.encode(bytes);
    changed.seal();
    changed
}

#[test]
fn proofs_are_verified_together_and_the_bad_ones_named() {
    let (prover, proofs) = proved(WeightMode::Embedded);
    let key = prover.key();
    assert_eq!(verdicts(key, &proofs), [true; 3]);
    assert!(key.verify_all(&[]).is_empty());
    assert_eq!(verdicts(key, &proofs[..1]), [true]);
    // The last point of a proof, a value in the middle, and what is behind: each is found in its place.
    let last = proofs[0].proof_bytes().len();
    let swapped = with_bytes(&proofs[1], |bytes| {
        bytes[last - 32..].copy_from_slice(&proofs[0].proof_bytes()[last - 32..]);
    });
    let value = with_bytes(&proofs[1], |bytes| bytes[last - 200] ^= 1);
    let longer = with_bytes(&proofs[1], |bytes| bytes.push(0));
    let shorter = with_bytes(&proofs[1], |bytes| bytes.truncate(last - 1));
    // A flag that the curve library ignores makes other bytes of the same point.
    let mut other_output = proofs[1].clone();
    other_output.outputs[0].values[0] += 1;
    other_output.seal();
    for bad in [swapped, value, longer, shorter, other_output] {
        for place in 0..3 {
            let mut all = vec![proofs[0].clone(), proofs[2].clone()];
            all.insert(place, bad.clone());
            let expected: Vec<bool> = (0..3).map(|index| index != place).collect();
            assert_eq!(verdicts(key, &all), expected);
        }
    }
    let mut unsealed = proofs[0].clone();
    unsealed.model = "other".into();
    let results = key.verify_all(&[proofs[1].clone(), unsealed, proofs[2].clone()]);
    assert!(results[0].is_ok() && matches!(results[1], Err(Rejection::Checksum)) && results[2].is_ok());
}

/// Two proofs whose errors cancel where both have the same factor.
#[test]
fn errors_do_not_cancel() {
    let (prover, proofs) = proved(WeightMode::Embedded);
    let key = prover.key();
    let last = proofs[0].proof_bytes().len();
    let ends = [0, 1].map(|index: usize| proofs[index].proof_bytes()[last - 32..].to_vec());
    let swapped = [0, 1]
        .map(|index: usize| with_bytes(&proofs[index], |bytes| bytes[last - 32..].copy_from_slice(&ends[1 - index])));
    assert_eq!(verdicts(key, &swapped), [false; 2]);
}

#[test]
fn proofs_with_links_and_of_keccak_are_verified_as_well() {
    let (prover, mut proofs) = proved(WeightMode::Committed);
    assert_eq!(verdicts(prover.key(), &proofs), [true; 3]);
    proofs[1] = with_bytes(&proofs[1], |bytes| *bytes.last_mut().expect("bytes") ^= 1);
    assert_eq!(verdicts(prover.key(), &proofs), [true, false, true]);

    let (prover, mut proofs) = proved(WeightMode::Embedded);
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/gemm_plain.json");
    let prover = prover.with_hasher(Hasher::Keccak);
    let samples = read_samples(input, &prover.model().inputs()).expect("an input");
    let keccak = prover.prove(&samples[0], OsRng).expect("a proof").bundle;
    assert_eq!(keccak.transcript, Hasher::Keccak);
    let read = ProofBundle::from_json(&keccak.to_json().expect("JSON"), "proof.json").expect("a proof");
    assert_eq!(read, keccak);
    proofs.push(keccak.clone());
    assert_eq!(verdicts(prover.key(), &proofs), [true; 4]);
    // The kind of transcript is part of what is verified.
    proofs[3].transcript = Hasher::Blake2b;
    proofs[3].seal();
    assert_eq!(verdicts(prover.key(), &proofs), [true, true, true, false]);
    for at in [0, 32, keccak.proof_bytes().len() - 1] {
        let changed = with_bytes(&keccak, |bytes| bytes[at] ^= 1);
        assert_eq!(verdicts(prover.key(), &[changed]), [false]);
    }
}
