//! Contracts of networks, in the machine, with real proofs: what they accept, and all that they refuse.

use crate::support::{Deployed, Session, network, solc};
use ff::{Field, PrimeField};
use halo2curves::bn256::{Fq, Fr};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_evm::machine::Outcome;
use zkml_gpu_evm::{Circuit, Number};
use zkml_gpu_graph::Visibility;

/// Place of the proof in calldata.
const PROOF: usize = 100;

fn deployed(session: &Session) -> Option<(Deployed, Vec<u8>)> {
    let contract = session.contract();
    let calldata = contract.calldata(&session.proof, &session.numbers()).expect("calldata");
    if let Ok(folder) = std::env::var("ZKML_EVM_SOURCES") {
        std::fs::write(format!("{folder}/Verifier.sol"), &contract.source).expect("a file");
    }
    let compiled = solc()?.compile(&contract.source, &contract.name).expect("it compiles");
    Some((Deployed::new(&compiled), calldata))
}

#[test]
fn a_contract_accepts_what_the_library_accepts() {
    for weights in [WeightMode::Embedded, WeightMode::Committed] {
        for [input, output] in [
            [Visibility::Public, Visibility::Public],
            [Visibility::Hashed, Visibility::Public],
            [Visibility::Private, Visibility::Hashed],
        ] {
            let session = Session::new(network(input, output), weights);
            assert!(session.is_accepted(&session.proof));
            let Some((mut deployed, calldata)) = deployed(&session) else { return };
            let answer = deployed.call(&calldata);
            println!(
                "{weights:?}, {} to {}: {} bytes of code, {} bytes of calldata, {} gas, {} of them execution",
                input.name(),
                output.name(),
                deployed.code_bytes,
                calldata.len(),
                answer.gas,
                answer.execution_gas
            );
            assert!(answer.is_true(), "{weights:?}, {input:?}, {output:?}: {answer:?}");
        }
    }
}

/// A word of calldata, replaced.
fn with_word(calldata: &[u8], at: usize, word: [u8; 32]) -> Vec<u8> {
    let mut changed = calldata.to_vec();
    changed[at..at + 32].copy_from_slice(&word);
    changed
}

fn word(calldata: &[u8], at: usize) -> [u8; 32] {
    calldata[at..at + 32].try_into().expect("32 bytes")
}

/// The sum of two big-endian integers modulo 2^256.
fn plus(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let (mut sum, mut carry) = ([0; 32], 0);
    for i in (0..32).rev() {
        let digit = u16::from(a[i]) + u16::from(b[i]) + carry;
        (sum[i], carry) = (digit as u8, digit >> 8);
    }
    sum
}

/// A field's modulus, big-endian.
fn modulus<F: PrimeField<Repr = [u8; 32]>>() -> [u8; 32] {
    let mut word = (-F::ONE).to_repr();
    word.reverse();
    let one = std::array::from_fn(|i| u8::from(i == 31));
    plus(word, one)
}

/// Points of a proof stand before and behind its scalars: places of words of points in calldata.
fn point_places(session: &Session) -> Vec<usize> {
    let cs = session.keys.verifying.vk().cs();
    let scalars = cs.advice_queries().len() + cs.fixed_queries().len() + 1;
    let link = session.keys.verifying.blinding_points().len();
    let behind = if link > 0 { 3 } else { 2 };
    let before = (session.proof.len() - 32 * (scalars + link)) / 64 - behind;
    let last = before * 64 + scalars * 32;
    let places = (0..before).map(|i| i * 64).chain((0..behind).map(|i| last + i * 64));
    places.map(|place| PROOF + place).collect()
}

/// Everything that must be refused, for a session whose statement begins with these numbers.
fn refused(session: &Session, calldata: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (r, q) = (modulus::<Fr>(), modulus::<Fq>());
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut refuse = |what: String, calldata: Vec<u8>| all.push((what, calldata));
    let values = PROOF + session.proof.len() + 32;
    let points = point_places(session);
    let one: [u8; 32] = std::array::from_fn(|i| u8::from(i == 31));
    for at in (PROOF..values - 32).step_by(32) {
        refuse(
            format!("word {} of the proof, plus 1", (at - PROOF) / 32),
            with_word(calldata, at, plus(word(calldata, at), one)),
        );
        let is_point = points.iter().any(|point| at == *point || at == point + 32);
        let modulus = if is_point { q } else { r };
        // The same element in another word.
        let same = plus(word(calldata, at), modulus);
        refuse(format!("word {} of the proof, plus its modulus", (at - PROOF) / 32), with_word(calldata, at, same));
    }
    for (index, at) in points.iter().copied().enumerate() {
        let identity = with_word(&with_word(calldata, at, [0; 32]), at + 32, [0; 32]);
        refuse(format!("point {index} at infinity"), identity);
        let off = with_word(&with_word(calldata, at, one), at + 32, one);
        refuse(format!("point {index} off the curve"), off);
        let other = points[(index + 1) % points.len()];
        let other = with_word(&with_word(calldata, at, word(calldata, other)), at + 32, word(calldata, other + 32));
        refuse(format!("point {index} replaced by the next one"), other);
        let minus = plus(q, plus(word(calldata, at + 32).map(|byte| !byte), one));
        refuse(format!("point {index} negated"), with_word(calldata, at + 32, minus));
    }
    for index in 0..session.numbers().len() {
        let at = values + 32 * index;
        refuse(format!("number {index}, plus 1"), with_word(calldata, at, plus(word(calldata, at), one)));
        refuse(format!("number {index}, plus r"), with_word(calldata, at, plus(word(calldata, at), r)));
        refuse(format!("number {index} is r"), with_word(calldata, at, r));
        refuse(
            format!("number {index} is the least of all"),
            with_word(calldata, at, std::array::from_fn(|i| if i == 0 { 0x80 } else { 0 })),
        );
    }
    for cut in [1, 32, 64, session.proof.len()] {
        refuse(format!("{cut} bytes cut"), calldata[..calldata.len() - cut].to_vec());
    }
    for more in [1, 32] {
        refuse(format!("{more} bytes behind"), [calldata, &vec![0; more]].concat());
    }
    refuse("nothing but the selector".into(), calldata[..4].to_vec());
    refuse("nothing".into(), Vec::new());
    refuse("another selector".into(), [&[0; 4], &calldata[4..]].concat());
    // Arguments in other encodings: overlapping, further behind, of other lengths.
    let offset =
        |to: usize| -> [u8; 32] { std::array::from_fn(|i| if i < 24 { 0 } else { (to as u64).to_be_bytes()[i - 24] }) };
    let length = session.proof.len();
    refuse("both arguments in one place".into(), with_word(calldata, 36, word(calldata, 4)));
    refuse("the proof where the values are".into(), with_word(calldata, 4, word(calldata, 36)));
    refuse("a shorter proof".into(), with_word(calldata, 68, offset(length - 32)));
    refuse("a longer proof".into(), with_word(calldata, 68, offset(length + 32)));
    refuse("more numbers".into(), with_word(calldata, values - 32, offset(session.numbers().len() + 1)));
    refuse("fewer numbers".into(), with_word(calldata, values - 32, offset(session.numbers().len() - 1)));
    let moved = [&calldata[..4], &offset(96), &offset(128 + length), &[0; 32], &calldata[68..]].concat();
    refuse("a gap before the proof".into(), moved);
    all
}

#[test]
fn every_change_of_calldata_is_refused() {
    for weights in [WeightMode::Embedded, WeightMode::Committed] {
        let session = Session::new(network(Visibility::Hashed, Visibility::Public), weights);
        let Some((mut deployed, calldata)) = deployed(&session) else { return };
        assert!(deployed.accepts(&calldata));
        let all = refused(&session, &calldata);
        println!("{weights:?}: {} changes of calldata", all.len());
        assert!(all.len() > 400);
        for (what, changed) in all {
            assert_ne!(changed, calldata, "{what}");
            let answer = deployed.call(&changed);
            assert!(!matches!(answer.outcome, Outcome::Returned(_)), "{weights:?}: {what}: {answer:?}");
        }
        assert!(deployed.accepts(&calldata));
    }
}

/// A proof for one key, statement or model commitment is none for another one's contract.
#[test]
fn proofs_of_other_keys_are_refused() {
    let session = Session::new(network(Visibility::Hashed, Visibility::Public), WeightMode::Committed);
    let Some((mut own, calldata)) = deployed(&session) else { return };
    assert!(own.accepts(&calldata));
    let other = session.with_other_model();
    let Some((mut other, other_calldata)) = deployed(&other) else { return };
    assert!(other.accepts(&other_calldata));
    assert_eq!(calldata.len(), other_calldata.len());
    assert!(!own.accepts(&other_calldata) && !other.accepts(&calldata));
}

/// What the contract refuses, the encoder refuses with a reason.
#[test]
fn the_encoder_refuses_what_the_contract_does() {
    let session = Session::new(network(Visibility::Hashed, Visibility::Public), WeightMode::Embedded);
    let contract = session.contract();
    let numbers = session.numbers();
    assert!(contract.calldata(&session.proof, &numbers).is_ok());
    assert!(contract.calldata(&session.proof[1..], &numbers).is_err());
    assert!(contract.calldata(&session.proof, &numbers[1..]).is_err());
    let with = |index: usize, number: Number| {
        let mut changed = numbers.clone();
        changed[index] = number;
        contract.calldata(&session.proof, &changed)
    };
    assert!(with(0, Number::Integer(1)).is_err(), "a hash is no integer");
    assert!(with(1, Number::Integer(64)).is_err(), "above the range");
    assert!(with(1, Number::Integer(-65)).is_err(), "below the range");
    assert!(with(1, Number::Element(Fr::ONE)).is_err());
}

#[test]
fn statements_without_a_contract_are_refused_by_name() {
    let session = Session::new(network(Visibility::Committed, Visibility::Public), WeightMode::Embedded);
    let error = Circuit::of_keys(&session.keys.verifying).expect_err("committed tensors").to_string();
    assert!(error.contains("committed"), "{error}");
}
