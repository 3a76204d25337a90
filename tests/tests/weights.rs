//! The weights' proof: what it says of a model commitment, and that it cannot be had for anything else.

use std::collections::HashSet;

use group::prime::PrimeCurveAffine;
use halo2curves::bn256::G1Affine;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::commit::{Bank, ModelOpening};
use zkml_gpu_circuit::keys::VerifyingKeys;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::placement::{BankRow, BankValues, Widths};
use zkml_gpu_circuit::weights::{
    BIAS_BITS, WEIGHT_BITS, WeightsError, WeightsOpening, WeightsProof, mock_weights, prove_weights, verify_weights,
    weights_keys,
};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::Cpu;
use zkml_gpu_graph::{Bounds, Graph, MatMul, Op, Rescale, Width, Window};
use zkml_gpu_tests::networks::{Builder, Session, dense, embedded_rows, grouped, image, pooled, zoo};

/// A session's weights, or others, with a commitment of their own.
struct Weights<'s> {
    session: &'s Session,
    model: ModelOpening,
    keys: VerifyingKeys,
}

impl<'s> Weights<'s> {
    fn honest(session: &'s Session) -> Self {
        Self { session, model: session.keys.model.clone(), keys: session.keys.verifying.clone() }
    }

    /// The commitment to a changed bank, as a dishonest owner makes it.
    fn changed(session: &'s Session, change: impl FnOnce(&mut Bank)) -> Self {
        let mut bank = session.keys.model.bank.clone();
        change(&mut bank);
        let rng = ChaCha20Rng::seed_from_u64(9);
        Self::opened(session, ModelOpening::hidden(bank, session.keys.verifying.blinding_rows(), rng))
    }

    fn opened(session: &'s Session, model: ModelOpening) -> Self {
        let committer = committer(session);
        let n = 1 << session.layout.k;
        let commitment = model.commit(committer.backend(), committer.lagrange(), n).expect("a commitment");
        Self { session, model, keys: session.keys.verifying.with_model_commitment(commitment) }
    }

    fn opening<'a>(&'a self, changed: &'a [(usize, usize, usize, i64)]) -> WeightsOpening<'a> {
        WeightsOpening {
            graph: &self.session.graph,
            layout: &self.session.layout,
            keys: &self.keys,
            model: &self.model,
            changed,
        }
    }

    /// A proof by a prover who looks away.
    fn proof(&self, changed: &[(usize, usize, usize, i64)]) -> WeightsProof {
        let rng = ChaCha20Rng::seed_from_u64(3);
        // A change in no column at all of any part: the witness is not checked.
        let parts = self.session.layout.architecture.weight_columns;
        let changed: Vec<_> = changed.iter().copied().chain((0..parts).map(|part| (part, usize::MAX, 0, 0))).collect();
        prove_weights(self.opening(&changed), || Ok(committer(self.session)), rng).expect("bytes")
    }

    fn mock(&self, changed: &[(usize, usize, usize, i64)]) -> bool {
        mock_weights(self.opening(changed)).expect("a circuit")
    }

    fn is_rejected(&self, changed: &[(usize, usize, usize, i64)]) {
        assert!(!self.mock(changed), "the gates hold for {changed:?}");
        assert!(verify_weights(&self.keys, &self.proof(changed)).is_err(), "accepted for {changed:?}");
    }
}

fn committer(session: &Session) -> Committer<Cpu> {
    Committer::new(Cpu::default(), &session.srs, 0).expect("a committer")
}

fn session(graph: Graph) -> Session {
    Session::new(graph, &LayoutOptions::default(), 1)
}

/// Index of a row of the bank with some values, and the row.
fn bank_row(session: &Session, is: impl Fn(BankValues) -> bool) -> (usize, usize) {
    let mut rows = session.layout.bank.iter().enumerate();
    let (index, row) = rows.find(|(_, row)| is(row.values)).expect("such a row");
    (index, row.row as usize)
}

const fn is_weight(values: BankValues) -> bool {
    matches!(values, BankValues::Weight(_))
}

const fn is_bias(values: BankValues) -> bool {
    matches!(values, BankValues::Bias)
}

#[test]
fn the_weights_of_every_network_are_proved() {
    for (name, graph) in zoo() {
        let session = session(graph);
        let weights = Weights::honest(&session);
        let rng = ChaCha20Rng::seed_from_u64(2);
        assert!(weights.mock(&[]), "{name}");
        let proof = prove_weights(weights.opening(&[]), || Ok(committer(&session)), rng).expect(name);
        verify_weights(&weights.keys, &proof).expect(name);
        let read = WeightsProof::from_bytes(&proof.to_bytes()).expect(name);
        assert_eq!(read, proof, "{name}");
        let keys = weights_keys(&session.graph, &session.layout, &committer(&session)).expect(name);
        assert_eq!(proof.keys().expect(name), keys, "{name}: whoever has the architecture derives the keys");
        assert!(proof.has_keys_of(&session.graph, &session.layout, &committer(&session)).expect(name));
    }
}

#[test]
fn public_weights_are_proved_as_well_and_a_column_of_zeros_commits_to_the_identity() {
    let session = session(dense());
    let mut bank = session.keys.model.bank.clone();
    (0..session.layout.bank.len()).for_each(|index| bank.set(index, 0, 0));
    let model = ModelOpening::public(bank, session.keys.verifying.blinding_rows());
    assert!(model.is_public() && !session.keys.model.is_public());
    let weights = Weights::opened(&session, model);
    let committed = weights.keys.model_commitment();
    assert!(bool::from(committed[0].is_identity()) && !bool::from(committed[1].is_identity()));
    let read = VerifyingKeys::from_bytes(&weights.keys.to_bytes()).expect("the keys");
    assert!(weights.mock(&[]));
    verify_weights(&read, &weights.proof(&[])).expect("honest weights");
    // Without blinding the commitment still binds.
    let mut bank = session.keys.model.bank.clone();
    let (index, _) = bank_row(&session, is_weight);
    bank.set(index, 0, 1 << WEIGHT_BITS);
    Weights::opened(&session, ModelOpening::public(bank, session.keys.verifying.blinding_rows())).is_rejected(&[]);
}

#[test]
fn the_weights_of_joint_inferences_are_proved_once_and_by_the_mask_of_one() {
    let mut options = LayoutOptions::default();
    options.widths = Some(Widths::default());
    for graph in [grouped()] {
        let joint = graph.joint(3).expect("of one inference");
        let [alone, together] = [graph, joint].map(|graph| Session::new(graph, &options, 1));
        let weights = Weights::honest(&together);
        let proof = weights.proof(&[]);
        assert!(weights.mock(&[]));
        verify_weights(&weights.keys, &proof).expect("honest weights");
        let public = together.graph.without_learned_values();
        let keys = weights_keys(&public, &together.layout, &committer(&together)).expect("keys");
        assert_eq!(proof.keys().expect("keys"), keys, "whoever has the architecture derives the keys");
        // Which cells of which values may hold something else than 0.
        let mask = |session: &Session| -> HashSet<String> {
            let rows = session.layout.bank.iter().enumerate();
            let columns = session.layout.architecture.weight_columns;
            let cells = rows.flat_map(|(index, row)| (0..columns).map(move |column| (index, row, column)));
            let may_hold = |(index, _, column): &(usize, _, usize)| {
                Weights::changed(session, |bank| bank.set(*index, *column, 1)).mock(&[])
            };
            let name = |row: &BankRow, column: usize| format!("{:?} {} {column}", row.values, row.block);
            // A quarter of them, whichever circuit has them.
            let is_tried = |name: &str| name.bytes().fold(0u32, |sum, byte| sum * 31 % 1009 + u32::from(byte)) % 4 == 0;
            let tried = cells.filter(|(_, row, column)| is_tried(&name(row, *column)));
            tried.filter(may_hold).map(|(_, row, column)| name(row, column)).collect()
        };
        assert_eq!(mask(&together), mask(&alone));
        let columns = together.layout.architecture.weight_columns;
        let cells = (0..together.layout.bank.len()).flat_map(|index| (0..columns).map(move |column| (index, column)));
        let outside = cells.map(|(index, column)| Weights::changed(&together, |bank| bank.set(index, column, 1)));
        for weights in outside.filter(|weights| !weights.mock(&[])).take(1) {
            weights.is_rejected(&[]);
        }
    }
}

#[test]
fn the_ends_of_the_ranges_are_proved_and_what_lies_beyond_is_not() {
    let session = session(dense());
    for (is, bits) in [(is_weight as fn(BankValues) -> bool, WEIGHT_BITS), (is_bias, BIAS_BITS)] {
        let (index, _) = bank_row(&session, is);
        let end = 1i64 << (bits - 1);
        for value in [-end, end - 1] {
            let weights = Weights::changed(&session, |bank| bank.set(index, 0, value));
            assert!(weights.mock(&[]), "{value} of {bits} bits");
            verify_weights(&weights.keys, &weights.proof(&[])).expect("in range");
        }
        for value in [-end - 1, end, i64::MAX / 2, i64::MIN / 2] {
            Weights::changed(&session, |bank| bank.set(index, 0, value)).is_rejected(&[]);
        }
    }
}

/// Scores of four heads, each with a learned summand.
fn positions() -> Graph {
    let shape = image(4, 1, 16);
    let mut b = Builder::new(31, 6, shape, (-16, 15));
    let x = b.linear(0, 4, Window::UNIT, [1, 1], 60, (-16, 15));
    let scores = MatMul {
        heads: 4,
        inner: 1,
        rows: 16,
        columns: 16,
        head_minor: false,
        inferences: 1,
        rescale: Rescale { multiplier: 9, limbs: 1 },
        summands: (0..1024).map(|i| i * 173 % 300 - 150).collect(),
        width: Some(Width::of(&[Bounds::within(150)])),
    };
    let scores = b.node(Op::MatMul(scores), &[x, x], image(64, 1, 16), (-16, 15));
    b.finish(&[scores])
}

#[test]
fn more_summands_than_rows_are_proved_in_several_parts() {
    let session = session(positions());
    let rows = session.layout.usable_rows();
    assert!(rows < 1024, "{rows} rows hold all of them");
    let weights = Weights::honest(&session);
    let proof = weights.proof(&[]);
    assert!(weights.mock(&[]));
    verify_weights(&weights.keys, &proof).expect("honest summands");
    let keys = weights_keys(&session.graph, &session.layout, &committer(&session)).expect("keys");
    assert_eq!(proof.keys().expect("keys"), keys);
    assert!(keys.len() > 1, "one part");
    let other = Session::new(dense(), &LayoutOptions::default(), 1);
    assert!(!proof.has_keys_of(&other.graph, &other.layout, &committer(&other)).expect("keys"), "of another network");
    let (index, _) = bank_row(&session, |values| matches!(values, BankValues::Summands(_)));
    let last = session.layout.architecture.weight_columns - 1;
    for column in [0, last] {
        let end = 1i64 << (BIAS_BITS - 1);
        assert!(Weights::changed(&session, |bank| bank.set(index, column, end - 1)).mock(&[]));
        Weights::changed(&session, |bank| bank.set(index, column, end)).is_rejected(&[]);
    }
}

#[test]
fn a_value_outside_the_mask_is_rejected() {
    // A grouped convolution has none across its groups; a dense layer none in columns beyond its outputs.
    for graph in [grouped(), dense(), pooled()] {
        let session = session(graph);
        let columns = session.layout.architecture.weight_columns;
        let zero = |index: usize, column: usize| {
            let keys = Weights::changed(&session, |bank| bank.set(index, column, 1));
            (!keys.mock(&[])).then_some(keys)
        };
        let cells = (0..session.layout.bank.len()).flat_map(|index| (0..columns).map(move |column| (index, column)));
        let outside: Vec<Weights<'_>> = cells.filter_map(|(index, column)| zero(index, column)).take(3).collect();
        for weights in &outside {
            assert!(verify_weights(&weights.keys, &weights.proof(&[])).is_err());
        }
        println!("{} cells outside", outside.len());
    }
    let session = session(grouped());
    let inside = Weights::changed(&session, |bank| bank.change(bank_row(&session, is_weight).0, 0, 0));
    assert!(inside.mock(&[]), "what is there is allowed");
}

#[test]
fn every_kind_of_changed_cell_is_rejected() {
    let session = session(dense());
    let weights = Weights::honest(&session);
    let kinds = weights.proof(&[]).first_phase(0);
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
    let (weight, bias) = (bank_row(&session, is_weight).1, bank_row(&session, is_bias).1);
    let holds = |row: &usize| session.layout.bank.iter().any(|of| of.row as usize == *row);
    let free = (0..session.layout.usable_rows()).rev().find(|row| !holds(row)).expect("a row without weights");
    let mut column = 0;
    for (kind, count) in kinds.into_iter().enumerate() {
        for of in [0, count - 1] {
            for row in [weight, bias, free] {
                for by in [1, -1] {
                    let changed = [(0, column + of, row, by)];
                    // On rows of biases no weight has limbs, and beyond the last bias there is none: what stands there
                    // is looked up, or not even that.
                    let unread = (kind == 1 && row == bias) || (kind == 2 && row == free && by == 1);
                    if unread {
                        assert!(weights.mock(&changed), "{changed:?}");
                    } else {
                        weights.is_rejected(&changed);
                    }
                }
            }
        }
        column += count;
    }
}

#[test]
fn a_proof_of_other_weights_is_rejected() {
    let session = session(dense());
    let honest = Weights::honest(&session);
    let proof = honest.proof(&[]);
    verify_weights(&honest.keys, &proof).expect("honest");
    // The same weights under other blinding, and other weights.
    let again = Weights::changed(&session, |_| ());
    let other = Weights::changed(&session, |bank| bank.change(0, 0, 1));
    for weights in [&again, &other] {
        verify_weights(&weights.keys, &weights.proof(&[])).expect("a proof of its own");
        assert!(verify_weights(&weights.keys, &proof).is_err(), "another commitment");
    }
    // An owner who proves good weights and has committed to others.
    let beyond = Weights::changed(&session, |bank| bank.set(0, 0, 1 << 20));
    let swapped = Weights { session: &session, model: honest.model.clone(), keys: beyond.keys.clone() };
    assert!(matches!(verify_weights(&beyond.keys, &swapped.proof(&[])), Err(WeightsError::Link(_))));
}

#[test]
fn every_byte_of_a_proof_counts() {
    let session = session(embedded_rows());
    let weights = Weights::honest(&session);
    let bytes = weights.proof(&[]).to_bytes();
    let is_accepted =
        |bytes: &[u8]| WeightsProof::from_bytes(bytes).is_ok_and(|proof| verify_weights(&weights.keys, &proof).is_ok());
    assert!(is_accepted(&bytes));
    for at in (0..bytes.len()).step_by(37) {
        for bit in [0, 6, 7] {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(!is_accepted(&changed), "bit {bit} of byte {at}");
        }
    }
    assert!(!is_accepted(&bytes[..bytes.len() - 1]) && !is_accepted(&[&bytes[..], &[0]].concat()));
    let other: Vec<G1Affine> = weights.keys.model_commitment().iter().rev().copied().collect();
    if other != weights.keys.model_commitment() {
        let keys = weights.keys.with_model_commitment(other);
        assert!(verify_weights(&keys, &WeightsProof::from_bytes(&bytes).expect("a proof")).is_err());
    }
}

#[test]
fn two_proofs_of_the_same_weights_share_no_commitment() {
    let session = session(dense());
    let weights = Weights::honest(&session);
    let proof = |seed| {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        prove_weights(weights.opening(&[]), || Ok(committer(&session)), rng).expect("a proof").to_bytes()
    };
    let [a, b] = [proof(1), proof(2)];
    let points = |bytes: &[u8]| -> std::collections::HashSet<Vec<u8>> {
        bytes[bytes.len() - weights.proof(&[]).proof_bytes()..].chunks(32).map(<[u8]>::to_vec).collect()
    };
    assert!(points(&a).is_disjoint(&points(&b)));
}
