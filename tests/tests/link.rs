//! The statement and the link: what a proof is bound to besides its circuit. Each test cheats in one way, with
//! everything else as an honest prover has it, so that one check alone stands in its way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ff::Field;
use group::Curve;
use halo2_proofs::SerdeFormat;
use halo2_proofs::transcript::{Blake2bWrite, Challenge255, Transcript, TranscriptWriterBuffer};
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::circuit::{NetworkCircuit, Witness};
use zkml_gpu_circuit::commit::{Bank, LinkError, LinkStatement, prove_link};
use zkml_gpu_circuit::keys::{KeyError, VerifyingKeys};
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::placement::BankValues;
use zkml_gpu_circuit::system::{Accumulator, StatementError};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_circuit::verify::{self, VerifyError};
use zkml_gpu_engine::prover::ProofOutput;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_graph::{Execution, Graph, Op};
use zkml_gpu_tests::networks::{
    Session, batched, dense, embedded_rows, pooled, prover_and_keys, random_inputs, residual,
};

const POINT: usize = 32;

/// Bytes of a link proof, at the end of a proof: a point, and a scalar per blinding row.
fn link_bytes(session: &Session) -> usize {
    POINT * (1 + blinding_rows(session))
}

fn blinding_rows(session: &Session) -> usize {
    session.keys.verifying.vk().cs().blinding_factors() + 1
}

/// The column of the folded weights.
fn folded(session: &Session) -> usize {
    session.layout.architecture.folded_weights().expect("committed weights are folded in a column")
}

fn rows(session: &Session) -> usize {
    1 << session.layout.k
}

fn blinding_points(session: &Session) -> Vec<G1Affine> {
    session.srs.lagrange()[rows(session) - blinding_rows(session)..].to_vec()
}

fn combine(scalars: &[Fr], points: &[G1Affine]) -> G1 {
    scalars.iter().zip(points).map(|(scalar, point)| point * scalar).sum()
}

/// Secrets and points of the link proof that an honest prover makes.
fn honest_link(session: &Session, output: &ProofOutput) -> (Vec<Fr>, Vec<G1Affine>) {
    link_of_column(session, output, folded(session))
}

fn link_of_column(session: &Session, output: &ProofOutput, column: usize) -> (Vec<Fr>, Vec<G1Affine>) {
    let s = output.challenges.circuit[0];
    let mut secrets = output.advice_blinding[column].clone();
    let mut power = Fr::ONE;
    for blinds in &session.keys.model.blinds {
        secrets.iter_mut().zip(blinds).for_each(|(secret, blind)| *secret -= power * blind);
        power *= s;
    }
    (secrets, blinding_points(session))
}

type Link = fn(&Session, &ProofOutput) -> (Vec<Fr>, Vec<G1Affine>);

/// A prover of its own making. [`Forgery::honest`] does what the library does.
struct Forgery<'a> {
    session: &'a Session,
    graph: &'a Graph,
    execution: &'a Execution,
    first: &'a FirstPhase,
    bank: &'a Bank,
    inputs: &'a [Vec<i64>],
    outputs: Vec<Vec<i64>>,
    digest: Option<Fr>,
    changed: Vec<(usize, usize, Fr)>,
    link: Link,
    seed: u64,
}

impl<'a> Forgery<'a> {
    fn honest(session: &'a Session) -> Self {
        Self {
            session,
            graph: &session.graph,
            execution: &session.execution,
            first: &session.first,
            bank: &session.keys.model.bank,
            inputs: &session.inputs,
            outputs: session.outputs.clone(),
            digest: session.keys.verifying.digest(&[]),
            changed: Vec::new(),
            link: honest_link,
            seed: 5,
        }
    }

    fn prove(&self) -> (Vec<u8>, ProofOutput) {
        let layout = &self.session.layout;
        let instances = layout.statement.instances(self.inputs, &self.outputs).unwrap();
        let Self { graph, execution, first, bank, .. } = *self;
        let witness = Witness { graph, execution, bank, first, instances: &instances, derived: false };
        let circuit = self
            .changed
            .iter()
            .fold(NetworkCircuit::proving(layout, witness), |circuit, (c, r, d)| circuit.with_changed_cell(*c, *r, *d));
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        if let Some(digest) = self.digest {
            transcript.common_scalar(digest).unwrap();
        }
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        let output =
            self.session.prover.create_proof(&circuit, &columns, &mut rng, &mut transcript).expect("the circuit holds");
        let (secrets, points) = (self.link)(self.session, &output);
        let statement = LinkStatement { difference: combine(&secrets, &points).to_affine(), blinding_points: &points };
        prove_link(statement, &secrets, output.challenges.circuit[1], &mut rng, &mut transcript).unwrap();
        (transcript.finalize(), output)
    }

    fn verify(&self) -> Result<(), VerifyError> {
        verify::verify(&self.session.keys.verifying, self.inputs, &self.outputs, &self.prove().0)
    }
}

fn session() -> Session {
    Session::new(dense(), &LayoutOptions::default(), 1)
}

fn proof(session: &Session) -> Vec<u8> {
    session.proof(&session.first, &session.outputs, &[]).expect("an honest proof")
}

fn is_unlinked(result: &Result<(), VerifyError>) -> bool {
    matches!(result, Err(VerifyError::Link(LinkError::Rejected)))
}

/// The same graph with the biases of its last product, one for each channel, raised by `delta`.
fn retrained(graph: &Graph, delta: i64) -> Graph {
    let mut graph = graph.clone();
    let products = graph.nodes.iter_mut().filter_map(|node| match &mut node.op {
        Op::Linear(linear) => Some(linear),
        _ => None,
    });
    products.last().unwrap().bias.iter_mut().for_each(|bias| *bias += delta);
    graph
}

#[test]
fn an_honest_proof_is_accepted_from_the_library_and_from_the_forger() {
    let session = session();
    session.verify(&session.outputs, &proof(&session)).unwrap();
    Forgery::honest(&session).verify().unwrap();
}

#[test]
fn tensors_of_a_wrong_number_or_length_are_no_instance() {
    let session = session();
    let (inputs, outputs, proof) = (&session.inputs, &session.outputs, proof(&session));
    let resized = |tensors: &[Vec<i64>], len: usize| {
        let mut tensors = tensors.to_vec();
        tensors[0].resize(len, 0);
        tensors
    };
    let surplus = |tensors: &[Vec<i64>]| [tensors, &[vec![0]]].concat();
    let n = rows(&session);
    let mut claims = vec![
        (surplus(inputs), outputs.clone()),
        (Vec::new(), outputs.clone()),
        (inputs.clone(), surplus(outputs)),
        (inputs.clone(), Vec::new()),
    ];
    for extra in [inputs[0].len() - 1, inputs[0].len() + 1, inputs[0].len() + n, 0] {
        claims.push((resized(inputs, extra), outputs.clone()));
    }
    for extra in [outputs[0].len() - 1, outputs[0].len() + 1, outputs[0].len() + n, 0] {
        claims.push((inputs.clone(), resized(outputs, extra)));
    }
    for (inputs, outputs) in claims {
        assert!(session.layout.statement.instances(&inputs, &outputs).is_err());
        let result = verify::verify(&session.keys.verifying, &inputs, &outputs, &proof);
        let expected = |e: &StatementError| matches!(e, StatementError::Count { .. } | StatementError::Length { .. });
        assert!(matches!(&result, Err(VerifyError::Statement(error)) if expected(error)), "{result:?}");
    }
}

#[test]
fn an_index_is_the_only_one_of_its_row() {
    let session = Session::new(embedded_rows(), &LayoutOptions::default(), 4);
    let (proof, one) = (proof(&session), session.graph.tensors[0].format.max);
    session.verify(&session.outputs, &proof).unwrap();
    let [classes, rows] = [7, 5];
    let held = (0..classes).find(|class| session.inputs[0][class * rows] == one).unwrap();
    let other = (held + 1) % classes;
    let claim = |cells: &[(usize, i64)]| {
        let mut inputs = session.inputs.clone();
        cells.iter().for_each(|(class, value)| inputs[0][class * rows] = *value);
        verify::verify(&session.keys.verifying, &inputs, &session.outputs, &proof)
    };
    // None, two, and one in two halves, which a table of fixed rows would take for a mixture.
    for cells in [&[(held, 0)][..], &[(other, one)], &[(held, one / 2), (other, one / 2)], &[(held, 1)]] {
        let result = claim(cells);
        let refused = matches!(&result, Err(VerifyError::Statement(StatementError::OneHot { row: 0, .. })));
        assert!(refused, "{cells:?}: {result:?}");
    }
    assert!(matches!(claim(&[(held, 0), (other, one)]), Err(VerifyError::Proof(_) | VerifyError::Link(_))));
    assert!(matches!(claim(&[(held, one + 1)]), Err(VerifyError::Statement(StatementError::Range { .. }))));
}

#[test]
fn instance_columns_have_their_exact_length_outside_the_blinding_rows() {
    for graph in [dense(), batched(), pooled(), residual()] {
        let session = Session::new(graph, &LayoutOptions::default(), 2);
        let statement = &session.layout.statement;
        let columns = statement.instances(&session.inputs, &session.outputs).unwrap();
        assert_eq!(columns.iter().map(Vec::len).collect::<Vec<_>>(), statement.lengths);
        assert!(statement.lengths.iter().all(|len| *len <= session.layout.usable_rows()));
        assert_eq!(session.layout.usable_rows(), rows(&session) - blinding_rows(&session));
    }
}

#[test]
fn values_moved_to_another_place_are_rejected() {
    for graph in [dense(), batched(), residual()] {
        let session = Session::new(graph, &LayoutOptions::default(), 3);
        let proof = proof(&session);
        session.verify(&session.outputs, &proof).unwrap();
        let mut moved = Vec::new();
        for (tensor, values) in session.inputs.iter().enumerate() {
            // Neighbours stand in neighbouring instance columns or rows; a rotation moves every value.
            let mut neighbours = session.inputs.clone();
            let at = (1..values.len()).find(|i| values[*i] != values[i - 1]).expect("values differ");
            neighbours[tensor].swap(at - 1, at);
            let mut rotated = session.inputs.clone();
            rotated[tensor].rotate_left(1);
            moved.extend([(neighbours, session.outputs.clone()), (rotated, session.outputs.clone())]);
        }
        for (tensor, values) in session.outputs.iter().enumerate() {
            // Saturated outputs may all be equal.
            let Some(at) = (1..values.len()).find(|i| values[*i] != values[i - 1]) else { continue };
            let mut outputs = session.outputs.clone();
            outputs[tensor].swap(at - 1, at);
            moved.push((session.inputs.clone(), outputs));
        }
        assert!(moved.len() > 2 * session.inputs.len(), "no output moves");
        for (inputs, outputs) in moved {
            let result = verify::verify(&session.keys.verifying, &inputs, &outputs, &proof);
            assert!(matches!(result, Err(VerifyError::Proof(_))), "{result:?}");
        }
    }
}

#[test]
fn public_values_out_of_range_are_refused_before_the_proof_is_read() {
    for graph in [dense(), residual()] {
        let session = Session::new(graph, &LayoutOptions::default(), 4);
        let ports = session.layout.statement.clone();
        for (port, input) in ports.inputs.iter().map(|p| (p, true)).chain(ports.outputs.iter().map(|p| (p, false))) {
            for value in [port.format.min - 1, port.format.max + 1, i64::MIN, i64::MAX] {
                let (mut inputs, mut outputs) = (session.inputs.clone(), session.outputs.clone());
                let side = if input { (&ports.inputs, &mut inputs) } else { (&ports.outputs, &mut outputs) };
                let tensor = side.0.iter().position(|p| p.name == port.name).unwrap();
                *side.1[tensor].last_mut().unwrap() = value;
                let result = verify::verify(&session.keys.verifying, &inputs, &outputs, &[]);
                assert!(matches!(result, Err(VerifyError::Statement(StatementError::Range { .. }))), "{result:?}");
            }
        }
    }
}

#[test]
fn bytes_after_the_proof_are_refused() {
    let session = session();
    let proof = proof(&session);
    for extra in [1, POINT, 1000] {
        let longer = [proof.clone(), vec![0; extra]].concat();
        let result = session.verify(&session.outputs, &longer);
        assert!(matches!(result, Err(VerifyError::TrailingBytes(n)) if n == extra as u64), "{result:?}");
    }
}

#[test]
fn a_proof_that_ends_early_is_refused_without_a_panic() {
    let session = session();
    let proof = proof(&session);
    for len in (0..proof.len()).step_by(POINT).chain([1, 31, proof.len() - 1]) {
        assert!(session.verify(&session.outputs, &proof[..len]).is_err(), "{len} of {} bytes", proof.len());
    }
}

#[test]
fn a_proof_with_any_word_changed_is_refused_without_a_panic() {
    let session = session();
    let proof = proof(&session);
    for word in 0..proof.len() / POINT {
        for change in [|word: &mut [u8]| word[0] ^= 1, |word: &mut [u8]| word.fill(0), |word: &mut [u8]| word.fill(255)]
        {
            let mut changed = proof.clone();
            change(&mut changed[word * POINT..][..POINT]);
            assert!(session.verify(&session.outputs, &changed).is_err(), "word {word}");
        }
    }
}

#[test]
fn folded_weights_that_differ_in_one_usable_row_are_rejected() {
    let session = session();
    let a = &session.layout.architecture;
    let last = session.layout.usable_rows() - 1;
    assert_eq!(last, rows(&session) - blinding_rows(&session) - 1);
    // Beyond the operand bank nothing reads the Weights accumulator, so the circuit holds.
    let unread = session.layout.rows[0];
    assert!(unread < last, "the layout has no unread row");
    for row in [unread, last] {
        for delta in [Fr::ONE, -Fr::from(7)] {
            let mut forgery = Forgery::honest(&session);
            forgery.changed = vec![(folded(&session), row, delta), (a.accumulator(Accumulator::Weights), row, delta)];
            let (proof, _) = forgery.prove();
            assert!(is_unlinked(&session.verify(&session.outputs, &proof)), "row {row}");
            let library = session.proof(&session.first, &session.outputs, &forgery.changed).expect("the circuit holds");
            assert!(is_unlinked(&session.verify(&session.outputs, &library)), "row {row}");
        }
    }
}

#[test]
fn a_link_over_more_rows_than_the_blinding_rows_is_rejected() {
    let session = session();
    let a = &session.layout.architecture;
    let row = session.layout.usable_rows() - 1;
    let mut forgery = Forgery::honest(&session);
    forgery.changed = vec![(folded(&session), row, Fr::ONE), (a.accumulator(Accumulator::Weights), row, Fr::ONE)];
    forgery.link = |session, output| {
        let (mut secrets, mut points) = honest_link(session, output);
        secrets.insert(0, Fr::ONE);
        points.insert(0, session.srs.lagrange()[session.layout.usable_rows() - 1]);
        (secrets, points)
    };
    assert!(is_unlinked(&forgery.verify()));
    // Dropping a blinding row in favour of the changed one keeps the proof's length.
    forgery.link = |session, output| {
        let (mut secrets, mut points) = honest_link(session, output);
        secrets[0] = Fr::ONE;
        points[0] = session.srs.lagrange()[session.layout.usable_rows() - 1];
        (secrets, points)
    };
    assert!(is_unlinked(&forgery.verify()));
}

#[test]
fn a_link_of_another_column_is_rejected() {
    let session = Session::new(pooled(), &LayoutOptions::default(), 6);
    Forgery::honest(&session).verify().unwrap();
    let links: [Link; 3] = [
        |session, output| link_of_column(session, output, folded(session) - 1),
        |session, output| link_of_column(session, output, folded(session) + 1),
        |session, output| link_of_column(session, output, 0),
    ];
    for link in links {
        let mut forgery = Forgery::honest(&session);
        forgery.link = link;
        assert!(is_unlinked(&forgery.verify()));
    }
}

#[test]
fn weights_substituted_after_the_commitment_is_absorbed_are_rejected() {
    let session = session();
    let graph = retrained(&session.graph, 1);
    let execution = graph.run(&session.inputs).unwrap();
    let first = FirstPhase::new(&session.layout, &graph, &execution);
    let mut bank = session.keys.model.bank.clone();
    let channels = session.outputs[0].len();
    let node = graph.nodes.len() as u32 - 1;
    let bias = |row: &zkml_gpu_circuit::placement::BankRow| row.node == node && matches!(row.values, BankValues::Bias);
    let index = session.layout.bank.iter().position(bias).unwrap();
    (0..channels).for_each(|column| bank.change(index, column, 1));
    assert_eq!(bank, Bank::new(&session.layout, &graph), "the forger proves the substituted model honestly");
    let mut forgery = Forgery::honest(&session);
    (forgery.graph, forgery.execution, forgery.first, forgery.bank) = (&graph, &execution, &first, &bank);
    forgery.outputs = graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
    assert_ne!(forgery.outputs, session.outputs);
    assert!(is_unlinked(&forgery.verify()));
}

#[test]
fn swapped_commitments_are_rejected_whichever_digest_the_prover_absorbs() {
    let session = session();
    let mut bytes = session.keys.verifying.to_bytes();
    let model = bytes.len() - POINT * session.keys.verifying.model_commitment().len();
    let (first, second) = bytes[model..].split_at_mut(POINT);
    first.swap_with_slice(&mut second[..POINT]);
    let swapped = VerifyingKeys::from_bytes(&bytes).unwrap();
    assert_ne!(swapped.digest(&[]), session.keys.verifying.digest(&[]));
    let honest = verify::verify(&swapped, &session.inputs, &session.outputs, &proof(&session));
    assert!(matches!(honest, Err(VerifyError::Proof(_))), "{honest:?}");
    let mut forgery = Forgery::honest(&session);
    forgery.digest = swapped.digest(&[]);
    let result = verify::verify(&swapped, &session.inputs, &session.outputs, &forgery.prove().0);
    assert!(is_unlinked(&result), "{result:?}");
}

#[test]
fn a_proof_that_absorbs_no_digest_or_another_is_rejected() {
    let session = session();
    let other = session.keys.verifying.digest(&[]).map(|digest| digest + Fr::ONE);
    for digest in [None, Some(Fr::ZERO), other] {
        let mut forgery = Forgery::honest(&session);
        forgery.digest = digest;
        let result = forgery.verify();
        assert!(matches!(result, Err(VerifyError::Proof(_))), "{digest:?}: {result:?}");
    }
}

#[test]
fn forged_lagrange_points_change_the_digest_and_reject_the_proof() {
    let session = session();
    let keys = &session.keys.verifying;
    let honest = keys.to_bytes();
    let points = honest.len() - POINT * (keys.model_commitment().len() + blinding_rows(&session));
    // A usable row's point in the place of a blinding row's.
    let mut bytes = honest.clone();
    let usable = session.srs.lagrange()[session.layout.usable_rows() - 1];
    bytes[points..points + POINT].copy_from_slice(group::GroupEncoding::to_bytes(&usable).as_ref());
    let forged = VerifyingKeys::from_bytes(&bytes).unwrap();
    assert_ne!(forged.digest(&[]), keys.digest(&[]));
    let result = verify::verify(&forged, &session.inputs, &session.outputs, &proof(&session));
    assert!(matches!(result, Err(VerifyError::Proof(_))), "{result:?}");
    // Points that the prover made up, for keys that it did not.
    let mut forgery = Forgery::honest(&session);
    forgery.link = |session, output| {
        let (secrets, mut points) = honest_link(session, output);
        points.reverse();
        (secrets, points)
    };
    assert!(is_unlinked(&forgery.verify()));
}

#[test]
fn a_link_proof_replayed_onto_another_proof_is_rejected() {
    let session = session();
    let mut forgery = Forgery::honest(&session);
    let (first, _) = forgery.prove();
    forgery.seed += 1;
    let (second, _) = forgery.prove();
    let at = first.len() - link_bytes(&session);
    for (body, tail) in [(&first, &second), (&second, &first)] {
        session.verify(&session.outputs, body).unwrap();
        let spliced = [&body[..at], &tail[at..]].concat();
        assert!(is_unlinked(&session.verify(&session.outputs, &spliced)));
    }
}

#[test]
fn every_response_of_the_link_counts() {
    let session = session();
    let proof = proof(&session);
    let responses = proof.len() - link_bytes(&session) + POINT;
    for i in 0..blinding_rows(&session) {
        let mut changed = proof.clone();
        changed[responses + POINT * i] ^= 1;
        assert!(is_unlinked(&session.verify(&session.outputs, &changed)), "response {i}");
    }
    let mut swapped = proof;
    let (a, b) = swapped[responses..].split_at_mut(POINT);
    a.swap_with_slice(&mut b[..POINT]);
    assert!(is_unlinked(&session.verify(&session.outputs, &swapped)));
}

#[test]
fn two_proofs_of_one_inference_share_no_blinding() {
    let session = session();
    let mut forgery = Forgery::honest(&session);
    let (first, one) = forgery.prove();
    forgery.seed += 1;
    let (second, two) = forgery.prove();
    for (column, (a, b)) in one.advice_blinding.iter().zip(&two.advice_blinding).enumerate() {
        assert_eq!((a.len(), b.len()), (blinding_rows(&session), blinding_rows(&session)));
        assert!(a.iter().all(|value| !b.contains(value)), "column {column}");
    }
    let folded = POINT * folded(&session);
    assert_ne!(first[folded..folded + POINT], second[folded..folded + POINT]);
    let link = first.len() - link_bytes(&session);
    let words = |proof: &[u8]| proof[link..].chunks(POINT).map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert!(words(&first).iter().all(|word| !words(&second).contains(word)), "R or a response is repeated");
}

#[test]
fn the_folded_weights_blinding_is_not_the_fold_of_the_models() {
    let session = session();
    let (_, output) = Forgery::honest(&session).prove();
    let (secrets, _) = honest_link(&session, &output);
    assert!(secrets.iter().all(|secret| *secret != Fr::ZERO));
}

#[test]
fn a_repeated_generator_state_repeats_no_nonce_for_another_inference() {
    let session = session();
    let inputs = random_inputs(&session.graph, 77);
    let execution = session.graph.run(&inputs).unwrap();
    let first = FirstPhase::new(&session.layout, &session.graph, &execution);
    let mut other = Forgery::honest(&session);
    (other.inputs, other.execution, other.first) = (&inputs, &execution, &first);
    other.outputs = session.graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
    other.verify().unwrap();
    let (a, b) = (Forgery::honest(&session).prove().0, other.prove().0);
    let at = a.len() - link_bytes(&session);
    assert_ne!(a[at..at + POINT], b[at..at + POINT]);
}

#[test]
fn a_retrained_model_keeps_the_circuit_and_rejects_the_old_models_proofs() {
    let old = session();
    let graph = retrained(&old.graph, 3);
    let (_, new) = prover_and_keys(&graph, &old.layout, &old.srs, ChaCha20Rng::seed_from_u64(8)).unwrap();
    let bytes = |keys: &VerifyingKeys| keys.vk().to_bytes(SerdeFormat::Processed);
    assert_eq!(bytes(&old.keys.verifying), bytes(&new.verifying));
    let layout = zkml_gpu_circuit::layout::Layout::compile(&graph, &LayoutOptions::default()).unwrap();
    assert_eq!(layout.architecture, old.layout.architecture);
    assert_eq!(layout.fixed, old.layout.fixed);
    assert_ne!(old.keys.verifying.model_commitment(), new.verifying.model_commitment());
    let result = verify::verify(&new.verifying, &old.inputs, &old.outputs, &proof(&old));
    assert!(matches!(result, Err(VerifyError::Proof(_))), "{result:?}");
    // A prover of the old model that absorbs the new model's digest.
    let mut forgery = Forgery::honest(&old);
    forgery.digest = new.verifying.digest(&[]);
    let result = verify::verify(&new.verifying, &old.inputs, &old.outputs, &forgery.prove().0);
    assert!(is_unlinked(&result), "{result:?}");
}

#[test]
fn commitments_to_one_model_differ_by_their_blinding_and_bind_their_own_proofs() {
    let session = session();
    let rng = ChaCha20Rng::seed_from_u64(9);
    let (_, again) = prover_and_keys(&session.graph, &session.layout, &session.srs, rng).unwrap();
    let pairs = session.keys.verifying.model_commitment().iter().zip(again.verifying.model_commitment());
    assert!(pairs.into_iter().all(|(a, b)| a != b));
    let result = verify::verify(&again.verifying, &session.inputs, &session.outputs, &proof(&session));
    assert!(matches!(result, Err(VerifyError::Proof(_))), "{result:?}");
}

#[test]
fn keys_survive_their_bytes() {
    for graph in [dense(), pooled(), residual()] {
        let session = Session::new(graph, &LayoutOptions::default(), 10);
        let bytes = session.keys.verifying.to_bytes();
        let read = VerifyingKeys::from_bytes(&bytes).unwrap();
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.digest(&[]), session.keys.verifying.digest(&[]));
        verify::verify(&read, &session.inputs, &session.outputs, &proof(&session)).unwrap();
    }
}

/// Reads keys; a panic counts as a failure of the test. So does a refusal for the form alone, which the order of fields
/// in these headers would be reason enough for.
fn refused(bytes: &[u8], what: &str) {
    match catch_unwind(AssertUnwindSafe(|| VerifyingKeys::from_bytes(bytes))) {
        Ok(Err(KeyError::Malformed(reason))) if !reason.contains("canonical form") => {}
        Ok(Err(error)) => panic!("{what}: {error}"),
        Ok(Ok(_)) => panic!("{what}: accepted"),
        Err(_) => panic!("{what}: a panic"),
    }
}

/// The parts of a key file: header, and everything after it.
fn parts(bytes: &[u8]) -> (serde_json::Value, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), bytes[8 + length..].to_vec())
}

fn assemble(header: &serde_json::Value, rest: &[u8]) -> Vec<u8> {
    let header = serde_json::to_vec(header).unwrap();
    [(header.len() as u64).to_le_bytes().to_vec(), header, rest.to_vec()].concat()
}

#[test]
fn keys_that_end_early_or_go_on_are_refused() {
    let bytes = session().keys.verifying.to_bytes();
    for len in (0..bytes.len()).step_by(97).chain([1, 7, 8, 9, bytes.len() - 1]) {
        refused(&bytes[..len], "truncated");
    }
    refused(&[bytes.clone(), vec![0]].concat(), "trailing byte");
    refused(&u64::MAX.to_le_bytes(), "a header of 2^64 bytes");
}

#[test]
fn keys_with_a_point_off_the_curve_are_refused() {
    let session = session();
    let keys = &session.keys.verifying;
    let bytes = keys.to_bytes();
    let count = keys.model_commitment().len() + blinding_rows(&session);
    let mut starts: Vec<usize> = (1..=count).map(|i| bytes.len() - POINT * i).collect();
    let g1 = bytes.len() - POINT * count - 2 * 64 - POINT;
    starts.extend([g1, g1 + POINT, g1 + POINT + 64]);
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    for start in starts {
        let mut changed = bytes.clone();
        // About half of all abscissas are on the curve: change until one is not.
        let off = (0..64).any(|_| {
            rng.fill_bytes(&mut changed[start..start + 16]);
            VerifyingKeys::from_bytes(&changed).is_err()
        });
        assert!(off, "point at {start}");
        refused(&changed, "a point off the curve");
    }
}

#[test]
fn keys_with_an_abscissa_beyond_the_modulus_are_refused() {
    let session = session();
    let bytes = session.keys.verifying.to_bytes();
    let count = session.keys.verifying.model_commitment().len() + blinding_rows(&session);
    let g1 = bytes.len() - POINT * count - 2 * 64 - POINT;
    for (start, len) in [(bytes.len() - POINT, POINT), (bytes.len() - POINT * count, POINT), (g1, POINT)] {
        let mut changed = bytes.clone();
        changed[start..start + len].fill(0xff);
        refused(&changed, "an abscissa beyond the modulus");
    }
}

#[test]
fn keys_with_an_abscissa_on_the_twist_beyond_the_modulus_are_refused() {
    let session = session();
    let bytes = session.keys.verifying.to_bytes();
    let count = session.keys.verifying.model_commitment().len() + blinding_rows(&session);
    let g2 = bytes.len() - POINT * count - 2 * 64;
    for start in [g2, g2 + 64] {
        let mut changed = bytes.clone();
        changed[start..start + 64].fill(0xff);
        refused(&changed, "an abscissa beyond the modulus");
    }
}

#[test]
fn keys_whose_numbers_disagree_are_refused() {
    let session = session();
    let bytes = session.keys.verifying.to_bytes();
    let (header, rest) = parts(&bytes);
    assert_eq!(assemble(&header, &rest).len(), bytes.len());
    for key in ["blinding_points", "model"] {
        let count = header[key].as_u64().unwrap();
        for (other, what) in [(count + 1, "one more"), (count - 1, "one fewer"), (0, "none"), (1 << 40, "2^40")] {
            let mut changed = header.clone();
            changed[key] = other.into();
            refused(&assemble(&changed, &rest), &format!("{what} of {key}"));
            // With the points to go with it.
            let longer = [rest.clone(), rest[rest.len() - POINT..].to_vec()].concat();
            refused(&assemble(&changed, &longer), &format!("{what} of {key}, with a point more"));
        }
    }
    for vk_bytes in [0u64, 9, 10, 1 << 40] {
        let mut changed = header.clone();
        changed["vk_bytes"] = vk_bytes.into();
        refused(&assemble(&changed, &rest), "another length of Halo2's key");
    }
    for field in ["k", "architecture", "statement", "blinding_points"] {
        let mut changed = header.clone();
        changed.as_object_mut().unwrap().remove(field);
        refused(&assemble(&changed, &rest), "a header without a field");
    }
}

#[test]
fn keys_with_another_k_in_the_header_are_refused() {
    let (header, rest) = parts(&session().keys.verifying.to_bytes());
    let k = header["k"].as_u64().unwrap();
    for other in [0, 1, k - 1, k + 1, 28, 29, 63, 64, u64::from(u32::MAX)] {
        let mut changed = header.clone();
        changed["k"] = other.into();
        refused(&assemble(&changed, &rest), &format!("k = {other} in the header"));
    }
}

#[test]
fn keys_of_a_circuit_with_less_rows_than_it_blinds_are_refused() {
    let (header, rest) = parts(&session().keys.verifying.to_bytes());
    // Halo2's key holds its k after a byte of version.
    assert_eq!(u64::from(u32::from_le_bytes(rest[1..5].try_into().unwrap())), header["k"].as_u64().unwrap());
    for k in [1u32, 2, 3] {
        let (mut header, mut rest) = (header.clone(), rest.clone());
        header["k"] = k.into();
        rest[1..5].copy_from_slice(&k.to_le_bytes());
        refused(&assemble(&header, &rest), &format!("k = {k}"));
    }
}

#[test]
fn keys_whose_shape_reads_columns_that_it_lacks_are_refused() {
    let (header, rest) = parts(&session().keys.verifying.to_bytes());
    for field in ["range_columns", "activation_lanes", "operand_lanes", "excess_limbs", "spread_limbs", "raw_output"] {
        for value in [serde_json::json!(0), serde_json::json!(1), serde_json::json!(4096), serde_json::json!(false)] {
            let mut changed = header.clone();
            if changed["architecture"][field] == value {
                continue;
            }
            changed["architecture"][field] = value.clone();
            let bytes = assemble(&changed, &rest);
            // Another shape may make keys of its own, for which no proof of this circuit holds; but it may not panic.
            let read = catch_unwind(AssertUnwindSafe(|| VerifyingKeys::from_bytes(&bytes).is_ok()));
            assert!(read.is_ok(), "{field} = {value}: a panic");
        }
    }
}

#[test]
fn a_raw_output_claimed_twice_is_refused() {
    // Both claims would stand in one instance cell, and only the later one would be bound.
    let mut graph = dense();
    graph.outputs.push(graph.outputs[0]);
    assert!(zkml_gpu_circuit::layout::Layout::compile(&graph, &LayoutOptions::default()).is_err());
}

#[test]
fn a_reference_string_of_another_size_is_refused() {
    let session = session();
    let other = Srs::development(session.layout.k + 1, ChaCha20Rng::seed_from_u64(12)).unwrap();
    let result = prover_and_keys(&session.graph, &session.layout, &other, ChaCha20Rng::seed_from_u64(13));
    assert!(matches!(result, Err(KeyError::SrsSize { .. })));
}
