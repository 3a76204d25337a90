//! What an attacker sends to a contract, or has one written of.

use crate::random::{K, Proven, Random, Shape, accepts, modulus};
use crate::support::{Deployed, solc};
use ff::Field;
use group::Curve;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptWrite, TranscriptWriterBuffer};
use halo2curves::bn256::{Fq, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use zkml_gpu_evm::{Circuit, Contract, Link, Statement};

/// Circuits that are drawn, and changes of each one's proof.
const ROUNDS: u64 = 12;
const CHANGES: usize = 60;

/// A word of a proof changed in one of the ways that could be overlooked.
fn change(proof: &mut [u8], rng: &mut impl RngCore) {
    let words = proof.len() / 32;
    let mut at = || 32 * (rng.next_u32() as usize % words);
    let (first, second) = (at(), at());
    let pair = first.min(proof.len() - 64);
    match rng.next_u32() % 7 {
        0 => proof[first + 31] ^= 1,
        1 => proof[first + (rng.next_u32() % 32) as usize] ^= 1 << (rng.next_u32() % 8),
        2 => {
            let word: [u8; 32] = proof[second..second + 32].try_into().expect("32 bytes");
            proof[first..first + 32].copy_from_slice(&word);
        }
        3 => proof[pair..pair + 64].fill(0),
        4 => proof[first..first + 32].copy_from_slice(&modulus::<Fr>()),
        5 => {
            // Nothing, by another word for 0.
            proof[pair..pair + 32].fill(0);
            proof[pair + 32..pair + 64].copy_from_slice(&modulus::<Fq>());
        }
        _ => proof[first..first + 32].fill(0xff),
    }
}

/// Contracts say of random circuits' proofs, and of what these become by changes, what the stock verifier says.
#[test]
fn contracts_of_random_circuits_agree_with_the_stock_verifier() {
    let Some(solc) = solc() else { return };
    let mut accepted = 0;
    for seed in 0..ROUNDS {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let shape = Shape::draw(&mut rng);
        println!("seed {seed}: {shape:?}");
        let proven = Proven::new(Random::draw(shape, &mut rng), &mut rng);
        let proof = proven.prove(None, &mut rng).finalize();
        let contract = Contract::new("Random", &proven.contract_of(None), &[]).expect("a contract");
        assert_eq!(contract.proof_bytes, proof.len(), "seed {seed}");
        let mut deployed = Deployed::new(&solc.compile(&contract.source, "Random").expect("it compiles"));
        let instances = &proven.circuit.instances;
        let honest = proven.stock(instances, &proof);
        accepted += u64::from(honest);
        assert_eq!(accepts(&mut deployed, &contract, instances, &proof), honest, "seed {seed}");
        for index in 0..CHANGES {
            let (mut changed, mut numbers) = (proof.clone(), instances.clone());
            let cell = numbers.iter_mut().flatten().nth(index);
            match cell {
                Some(cell) => *cell += Fr::ONE,
                None => change(&mut changed, &mut rng),
            }
            let expected = proven.stock(&numbers, &changed);
            assert!(!expected || (changed == proof && honest), "seed {seed}, change {index}");
            assert_eq!(accepts(&mut deployed, &contract, &numbers, &changed), expected, "seed {seed}, change {index}");
        }
    }
    // Of those that are not, a piece of the quotient is zero.
    println!("{accepted} of {ROUNDS} are accepted");
    assert!(accepted > ROUNDS / 2, "{accepted}");
}

/// The point at infinity has one encoding for the precompiled contracts. The link's random point is taken with its
/// sign changed, by which (0, q) would become it.
#[test]
fn a_link_takes_no_other_word_for_infinity() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let shape = Shape::of_two_phases(&mut rng);
    let folded = shape.later();
    let proven = Proven::new(Random::draw(shape, &mut rng), &mut rng);
    let digest = Fr::from(77);
    let mut transcript = proven.prove(Some(digest), &mut rng);
    let mut point = [0; 64];
    let halo2 = transcript.clone().finalize();
    point.copy_from_slice(&halo2[64 * folded..64 * (folded + 1)]);
    let coordinate = |bytes: &[u8]| {
        let mut repr: [u8; 32] = bytes.try_into().expect("32 bytes");
        repr.reverse();
        <Fq as ff::PrimeField>::from_repr(repr).expect("a coordinate")
    };
    let folded_point = G1Affine { x: coordinate(&point[..32]), y: coordinate(&point[32..]) };
    let rows = proven.pk.get_vk().cs().blinding_factors() as u64 + 1;
    let blinding_points: Vec<G1Affine> =
        (0..rows).map(|row| (G1Affine::generator() * Fr::from(row + 2)).to_affine()).collect();
    // A model commitment that is the column itself: the difference is 0, and every response is the nonce.
    let link = Link { digest, folded, model: vec![folded_point], blinding_points: blinding_points.clone() };
    let contract = Contract::new("Linked", &proven.contract_of(Some(link)), &[]).expect("a contract");

    let random = (blinding_points[0] * Fr::from(5)).to_affine();
    transcript.write_point(random).expect("a point");
    let _ = transcript.squeeze_challenge().get_scalar();
    for row in 0..rows {
        transcript.write_scalar(if row == 0 { Fr::from(5) } else { Fr::ZERO }).expect("a scalar");
    }
    let proof = transcript.finalize();
    let Some(solc) = solc() else { return };
    let mut deployed = Deployed::new(&solc.compile(&contract.source, "Linked").expect("it compiles"));
    let instances = &proven.circuit.instances;
    assert!(accepts(&mut deployed, &contract, instances, &proof));
    for y in [[0; 32], modulus::<Fq>()] {
        let mut changed = proof.clone();
        changed[halo2.len()..].fill(0);
        changed[halo2.len() + 32..halo2.len() + 64].copy_from_slice(&y);
        assert!(!accepts(&mut deployed, &contract, instances, &changed), "(0, {})", hex::encode(y));
    }
}

/// A row behind the last one is the first one again: two numbers would be one sum.
#[test]
fn statements_that_do_not_fit_the_key_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let shape = Shape::of_two_phases(&mut rng);
    let folded = shape.later();
    let proven = Proven::new(Random::draw(shape, &mut rng), &mut rng);
    let own = proven.contract_of(None);
    let usable = (1 << K) - proven.pk.get_vk().cs().blinding_factors() - 1;
    let of = |circuit: &Circuit<'_>| Contract::new("Odd", circuit, &[]);
    let with = |len: usize| Circuit { statement: Statement::elements(&[len]), ..own.clone() };
    assert!(of(&with(usable)).is_ok());
    for len in [usable + 1, 1 << K, (1 << K) + 1] {
        assert!(of(&with(len)).is_err(), "{len} cells");
    }
    for k in [K - 1, K + 1, 0, 40] {
        assert!(of(&Circuit { k, ..own.clone() }).is_err(), "2^{k} rows");
    }
    // Links by columns that are committed before the challenge, that are not there, or of too few blinding rows.
    let point = G1Affine::generator();
    let link = |folded: usize, rows: usize| {
        let link = Link { digest: Fr::ONE, folded, model: vec![point; 2], blinding_points: vec![point; rows] };
        of(&Circuit { link: Some(link), ..own.clone() })
    };
    let rows = proven.pk.get_vk().cs().blinding_factors() + 1;
    assert!(link(folded, rows).is_ok());
    assert!(link(folded - 1, rows).is_err());
    assert!(link(folded + 9, rows).is_err());
    assert!(link(folded, rows - 1).is_err());
    assert!(link(folded, rows + 1).is_err());
}

/// Names of tensors are comments: whatever their owner calls them, the contract is what it is.
#[test]
fn names_are_no_code() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let proven = Proven::new(Random::draw(Shape::of_two_phases(&mut rng), &mut rng), &mut rng);
    let names = [
        "a\u{2028}contract Other {}\u{2028}//",
        "a\u{2029}contract Other {}\u{2029}//",
        "a\u{85}contract Other {}\u{85}//",
        "a\ncontract Other {}\n//",
        "a\rcontract Other {}\r//",
        "@inheritdoc a",
        "a @b",
        "a\u{202e}b",
        "a */ b",
        "größe 値",
    ];
    let mut circuit = proven.contract_of(None);
    circuit.statement.names = names.iter().map(|name| ((*name).into(), 1)).collect();
    let about = names.map(String::from);
    let contract = Contract::new("Named", &circuit, &about).expect("a contract");
    let breaks = |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}' | '\r');
    assert!(!contract.source.contains(breaks) && !contract.source.contains("\ncontract Other"));
    assert!(contract.source.contains("größe 値"));
    let Some(solc) = solc() else { return };
    assert!(solc.compile(&contract.source, "Named").is_ok());
    assert!(solc.compile(&contract.source, "Other").is_err());
}
