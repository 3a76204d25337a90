//! Embedded weights: a proof is a plain Halo2 proof, which the stock verifier and the stock prover treat as any other;
//! a key is one model's; and keys and proofs of the two modes are never taken for each other.

use std::collections::{BTreeMap, BTreeSet};

use ff::Field;
use group::Curve;
use halo2_proofs::SerdeFormat;
use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::{Error, ProvingKey, VerifyingKey, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::circuit::{NetworkCircuit, Witness};
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::keys::{KeyError, ProvingKeys, VerifyingKeys};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{Widths, lower};
use zkml_gpu_circuit::prove::Job;
use zkml_gpu_circuit::system::{Accumulator, RowKind, WeightMode};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_circuit::verify::{self, VerifyError};
use zkml_gpu_engine::Prover;
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::keygen::keygen;
use zkml_gpu_graph::{Graph, Op, Shape, Window};
use zkml_gpu_tests::networks::{
    Builder, SIGNED, Session, WIDE, attention, change, dense, embedded, multiplied, narrow, normalised, pooled,
    prover_and_keys, shares, strided, zoo,
};

fn session(graph: Graph) -> Session {
    Session::new(graph, &embedded(), 21)
}

fn proof(session: &Session) -> Vec<u8> {
    session.proof(&session.first, &session.outputs, &[]).expect("an honest proof")
}

fn instances(session: &Session, outputs: &[Vec<i64>]) -> Vec<Vec<Fr>> {
    session.layout.statement.instances(&session.inputs, outputs).expect("an instance of the statement")
}

/// What anyone with a copy of halo2 does: nothing of this project but the key and the instance columns.
fn stock_verifier(
    params: &ParamsKZG<Bn256>,
    vk: &VerifyingKey<G1Affine>,
    instances: &[Vec<Fr>],
    proof: &[u8],
) -> Result<(), Error> {
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut unread = proof;
    let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(&mut unread);
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, SingleStrategy<'_, Bn256>>(
        params,
        vk,
        SingleStrategy::new(params),
        &[&columns],
        &mut transcript,
    )?;
    assert!(unread.is_empty(), "the stock verifier reads the whole proof");
    Ok(())
}

fn is_accepted_by_stock(session: &Session, outputs: &[Vec<i64>], proof: &[u8]) -> bool {
    let vk = session.keys.verifying.vk();
    stock_verifier(session.srs.params(), vk, &instances(session, outputs), proof).is_ok()
}

#[test]
fn the_stock_verifier_alone_accepts_every_layer_and_rejects_other_outputs() {
    for (name, graph) in zoo() {
        let mut options = if name.contains("blocks") { narrow() } else { LayoutOptions::default() };
        options.weights = WeightMode::Embedded;
        let session = Session::new(graph, &options, 22);
        let proof = proof(&session);
        assert!(is_accepted_by_stock(&session, &session.outputs, &proof), "{name}");
        assert!(session.verify(&session.outputs, &proof).is_ok(), "{name}");
        for port in 0..session.outputs.len() {
            let mut outputs = session.outputs.clone();
            let format = session.layout.statement.outputs[port].format;
            outputs[port][0] += if outputs[port][0] == format.max { -1 } else { 1 };
            assert!(!is_accepted_by_stock(&session, &outputs, &proof), "{name}: output {port}");
        }
    }
}

/// Proves with any function of the stock prover's shape, from a first phase and with what is added to cells of any
/// phase.
macro_rules! proof_by {
    ($import:path, $session:expr, $first:expr, $changed:expr) => {{
        use $import;
        let session = $session;
        let changed: &[(usize, usize, Fr)] = $changed;
        let instances = instances(session, &session.outputs);
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        let witness = Witness {
            graph: &session.graph,
            execution: &session.execution,
            bank: &session.keys.model.bank,
            first: $first,
            instances: &instances,
            derived: false,
        };
        let circuit = NetworkCircuit::proving(&session.layout, witness);
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            session.srs.params(),
            &stock_key(session),
            &[change(circuit, changed)],
            &[&columns],
            ChaCha20Rng::seed_from_u64(23),
            &mut transcript,
        )
        .expect("a proof");
        transcript.finalize()
    }};
}

/// What the stock verifier and the library say of a proof; they agree.
fn is_accepted(session: &Session, proof: &[u8]) -> bool {
    let [stock, ours] =
        [is_accepted_by_stock(session, &session.outputs, proof), session.verify(&session.outputs, proof).is_ok()];
    assert_eq!(stock, ours);
    stock
}

#[test]
fn the_stock_prover_and_the_drop_in_prove_the_same_circuit() {
    for graph in [dense(), pooled(), attention()] {
        let session = session(graph);
        let last = session.keys.verifying.vk().cs().advice_column_phase().into_iter().max();
        assert_eq!(last, Some(1), "the stock prover cannot leave a third phase");
        let stock = proof_by!(halo2_proofs::plonk::create_proof, &session, &session.first, &[]);
        let ours = proof_by!(zkml_gpu_engine::create_proof, &session, &session.first, &[]);
        assert!(is_accepted(&session, &stock) && is_accepted(&session, &ours));
    }
}

/// The first row of each sort that computes with copies, by its kind without numbers.
fn computing_rows(session: &Session) -> BTreeMap<String, (usize, RowKind)> {
    let computing = session.layout.results.iter().filter(|result| result.kind.auxiliary_groups() > 0);
    let name = |kind: RowKind| format!("{kind:?}").split(' ').next().unwrap_or_default().to_owned();
    computing.rev().map(|result| (name(result.kind), (result.row as usize, result.kind))).collect()
}

/// Proofs by the stock prover, which makes one of anything.
#[test]
fn the_verifier_rejects_proofs_of_changed_cells_of_every_sort() {
    let mut sorts = BTreeSet::new();
    for graph in [multiplied(), shares(), normalised()] {
        let session = session(graph);
        let a = &session.layout.architecture;
        let forged = |what: &str, first: &FirstPhase, changed: &[(usize, usize, Fr)]| {
            let proof = proof_by!(halo2_proofs::plonk::create_proof, &session, first, changed);
            assert!(!is_accepted(&session, &proof), "{what}");
        };
        // A lie of the first phase, with all that follows from it.
        let mut lies: Vec<(String, usize, usize)> = Vec::new();
        if let Some(cell) = session.layout.operands.iter().find(|cell| cell.left) {
            lies.push(("left operand".into(), a.left(cell.lane as usize), cell.row as usize));
        }
        for (name, (row, kind)) in computing_rows(&session) {
            lies.extend(
                (0..kind.auxiliary_groups()).map(|group| (format!("{name}, {group}"), a.auxiliary(group, 0), row)),
            );
            if kind.activates() {
                let cells = [("argument", a.rounded(0)), ("result", a.activated(0)), ("mark", a.saturation(0))];
                lies.extend(cells.map(|(cell, column)| (format!("{name}, {cell}"), column, row)));
            }
            if !name.contains("Exponential") {
                lies.push((format!("{name}, limb"), a.range(0), row));
            }
        }
        for (what, column, row) in lies {
            let mut first = session.first.clone();
            let cell = &mut first.columns[column][row];
            // A mark of 0 beside a value at an end is no lie.
            *cell = if what.ends_with("mark") && *cell != 0 { -*cell } else { *cell + 1 };
            first.fill_multiplicities(&session.layout);
            forged(&what, &first, &[]);
            sorts.insert(what);
        }
        // A lie of a later phase alone.
        let row = session.layout.results.iter().find(|result| result.kind.auxiliary_groups() > 0).expect("a row").row;
        let left = session.layout.operands.iter().find(|cell| cell.left).map(|cell| cell.row);
        let changes = [
            (Accumulator::Auxiliary, Some(row)),
            (Accumulator::LeftDigest, left),
            (Accumulator::Weights, left),
            (Accumulator::Result, (a.inverse_roots || left.is_none()).then_some(row)),
        ];
        for (accumulator, row) in changes.into_iter().filter_map(|(accumulator, row)| Some((accumulator, row?))) {
            forged(&format!("{accumulator:?}"), &session.first, &[(a.accumulator(accumulator), row as usize, Fr::ONE)]);
            sorts.insert(format!("{accumulator:?}"));
        }
    }
    // Copies of five sorts of rows, their lookups, left operands and four accumulators.
    assert_eq!(sorts.len(), (2 + 2 + 3 + 3 + 3) + (3 + 3 + 3) + (1 + 1 + 1 + 1) + 1 + 4, "{sorts:?}");
}

#[test]
fn every_challenge_follows_what_it_must_not_be_known_for() {
    for graph in [dense(), pooled()] {
        let session = session(graph);
        let (a, cs) = (&session.layout.architecture, session.keys.verifying.vk().cs());
        let (columns, challenges) = (cs.advice_column_phase(), cs.challenge_phase());
        assert_eq!(challenges.len(), 5, "s, r, t, alpha and theta");
        // A challenge of a phase is squeezed after the columns of that phase. All that the identities and the lookups
        // hold comes first, free coefficients and multiplicities too; what is computed from challenges, after all of
        // them.
        assert!(a.cross_term(a.cross_term_lanes) == a.first_phase() && a.multiplicity(0) < a.first_phase());
        let (before, after) = columns.split_at(a.first_phase());
        assert!(before.iter().all(|phase| challenges.iter().all(|challenge| phase <= challenge)));
        assert!(after.iter().all(|phase| challenges.iter().all(|challenge| phase > challenge)));
    }
}

/// The graph with one learned value of a node raised by 1: a weight, or a bias.
fn retrained(graph: &Graph, node: usize, bias: bool) -> Graph {
    let mut graph = graph.clone();
    let Op::Linear(linear) = &mut graph.nodes[node].op else { panic!("node {node} has no weights") };
    if bias {
        linear.bias[0] += 1;
    } else {
        linear.weights[0] += 1;
    }
    graph
}

/// A session's key in the form of the stock prover.
fn stock_key(session: &Session) -> ProvingKey<G1Affine> {
    let circuit = NetworkCircuit::keygen(&session.layout, &session.keys.model.bank);
    keygen(&Cpu::new(), session.srs.params(), &circuit).expect("keys")
}

/// Keys of another model with a session's layout and reference string, and a prover with them.
fn keys_of(session: &Session, graph: &Graph) -> (Prover<Cpu>, ProvingKeys) {
    prover_and_keys(graph, &session.layout, &session.srs, ChaCha20Rng::seed_from_u64(24)).expect("keys")
}

/// A proof of a model under keys that may be another's, for the outputs that the model gives.
fn foreign_proof(
    session: &Session,
    prover: &Prover<Cpu>,
    keys: &ProvingKeys,
    graph: &Graph,
) -> (Vec<Vec<i64>>, Vec<u8>) {
    let execution = graph.run(&session.inputs).expect("the graph runs");
    let first = FirstPhase::new(&session.layout, graph, &execution);
    let outputs: Vec<Vec<i64>> = graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
    let layout = &session.layout;
    let job = Job { keys, layout, graph, execution: &execution, first: &first, tensors: &[] };
    let rng = ChaCha20Rng::seed_from_u64(25);
    let proof = job.prove(prover, &session.inputs, &outputs, rng, |circuit| circuit).expect("a proof");
    (outputs, proof)
}

#[test]
fn a_changed_weight_is_another_key_whose_proofs_do_not_cross() {
    let ours = session(strided());
    for (node, bias) in [(0, false), (0, true), (1, false), (1, true)] {
        let graph = retrained(&ours.graph, node, bias);
        let (prover, theirs) = keys_of(&ours, &graph);
        let (a, b) = (ours.keys.verifying.vk(), theirs.verifying.vk());
        assert_ne!(a.transcript_repr(), b.transcript_repr());
        let differ = a.fixed_commitments().iter().zip(b.fixed_commitments()).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 1, "one value stands in one column");
        let (outputs, proof) = foreign_proof(&ours, &prover, &theirs, &graph);
        verify::verify(&theirs.verifying, &ours.inputs, &outputs, &proof).expect("an honest proof");
        for outputs in [&outputs, &ours.outputs] {
            let result = ours.verify(outputs, &proof);
            assert!(matches!(result, Err(VerifyError::Proof(_))), "node {node}: {result:?}");
        }
        let result = verify::verify(&theirs.verifying, &ours.inputs, &ours.outputs, &self::proof(&ours));
        assert!(matches!(result, Err(VerifyError::Proof(_))), "node {node}: {result:?}");
    }
}

#[test]
fn a_prover_with_other_weights_than_the_keys_is_rejected() {
    for graph in [dense(), pooled()] {
        let ours = session(graph);
        for (node, bias) in [(0, false), (0, true)] {
            // The witness is that of an honest inference of another model; all but the fixed columns agrees.
            let graph = retrained(&ours.graph, node, bias);
            let bank = Bank::new(&ours.layout, &graph);
            assert_ne!(bank, ours.keys.model.bank);
            let (prover, mut keys) = keys_of(&ours, &ours.graph);
            keys.model.bank = bank;
            let (outputs, proof) = foreign_proof(&ours, &prover, &keys, &graph);
            let result = ours.verify(&outputs, &proof);
            assert!(matches!(result, Err(VerifyError::Proof(_))), "{result:?}");
        }
    }
}

#[test]
fn the_key_commits_to_the_weights_without_blinding_so_anyone_can_make_it_again() {
    let session = session(pooled());
    let (a, vk) = (&session.layout.architecture, session.keys.verifying.vk());
    let (_, again) = keys_of(&session, &session.graph);
    assert_eq!(again.verifying.to_bytes(), session.keys.verifying.to_bytes());
    assert_eq!(vk.fixed_commitments().len(), a.fixed_columns());
    for column in 0..a.weight_columns {
        let values = session.keys.model.bank.column(column, 1 << session.layout.k);
        let commitment = halo2_proofs::arithmetic::best_multiexp(&values, session.srs.lagrange()).to_affine();
        assert_eq!(vk.fixed_commitments()[a.fixed.len() + column], commitment, "column {column}");
    }
    assert_eq!(session.keys.verifying.digest(&[]), None);
    assert!(session.keys.verifying.model_commitment().is_empty());
    assert!(session.keys.model.blinds.is_empty());
}

#[test]
fn a_weight_column_of_zeros_has_a_key_and_proofs() {
    let mut graph = dense();
    let Op::Linear(linear) = &mut graph.nodes[0].op else { unreachable!("the first node is a product") };
    // The greatest power of s belongs to the first channel.
    let inputs = linear.weights.len() / linear.out_channels;
    linear.weights[..inputs].fill(0);
    linear.bias[0] = 0;
    let session = session(graph);
    let a = &session.layout.architecture;
    assert_eq!(a.weight_columns, 7, "the widest layer has a column of its own for each channel");
    let zero = session.keys.verifying.vk().fixed_commitments()[a.fixed_columns() - 1];
    assert_eq!(zero, G1Affine::default());
    let read = VerifyingKeys::from_bytes(&session.keys.verifying.to_bytes()).expect("the keys as written");
    verify::verify(&read, &session.inputs, &session.outputs, &proof(&session)).expect("an honest proof");
}

#[test]
fn keys_survive_their_bytes() {
    for graph in [dense(), pooled()] {
        let session = session(graph);
        let bytes = session.keys.verifying.to_bytes();
        let read = VerifyingKeys::from_bytes(&bytes).expect("the keys as written");
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.weights(), WeightMode::Embedded);
        assert_eq!(
            read.vk().to_bytes(SerdeFormat::Processed),
            session.keys.verifying.vk().to_bytes(SerdeFormat::Processed)
        );
        verify::verify(&read, &session.inputs, &session.outputs, &proof(&session)).expect("an honest proof");
        for len in (0..bytes.len()).step_by(131).chain([bytes.len() - 1]) {
            refused(&bytes[..len], "truncated");
        }
        refused(&[bytes.clone(), vec![0]].concat(), "trailing byte");
    }
}

fn refused(bytes: &[u8], what: &str) {
    let result = VerifyingKeys::from_bytes(bytes);
    assert!(matches!(result, Err(KeyError::Malformed(_))), "{what}: {:?}", result.map(|keys| keys.weights()));
}

/// The header of a key file, and the bytes after it.
fn parts(bytes: &[u8]) -> (serde_json::Value, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).expect("a header"), bytes[8 + length..].to_vec())
}

fn assemble(header: &serde_json::Value, rest: &[u8]) -> Vec<u8> {
    let header = serde_json::to_vec(header).expect("JSON");
    [(header.len() as u64).to_le_bytes().to_vec(), header, rest.to_vec()].concat()
}

#[test]
fn keys_that_name_another_mode_are_refused() {
    let modes = [(LayoutOptions::default(), "committed"), (embedded(), "embedded")];
    for ((options, own), graph) in modes.iter().flat_map(|mode| [dense(), pooled()].map(|graph| (mode, graph))) {
        let session = Session::new(graph, options, 26);
        let (header, rest) = parts(&session.keys.verifying.to_bytes());
        assert_eq!(header["architecture"]["weights"], **own);
        let others = modes.iter().map(|(_, name)| *name).filter(|name| name != own);
        for other in others.chain(["", "Embedded", "public"]) {
            let mut changed = header.clone();
            changed["architecture"]["weights"] = other.into();
            refused(&assemble(&changed, &rest), &format!("{own} keys that say {other:?}"));
            // With the numbers of points that the other mode has.
            for key in ["blinding_points", "model"] {
                changed[key] = 0.into();
            }
            refused(&assemble(&changed, &rest), &format!("{own} keys that say {other:?}, without points"));
        }
        let mut changed = header.clone();
        changed["architecture"].as_object_mut().expect("an object").remove("weights");
        refused(&assemble(&changed, &rest), "keys without a mode");
    }
}

#[test]
fn embedded_keys_with_points_of_a_link_or_other_columns_are_refused() {
    let session = session(dense());
    let (header, rest) = parts(&session.keys.verifying.to_bytes());
    let point = &rest[rest.len() - 2 * 64 - 32..][..32];
    for key in ["blinding_points", "model"] {
        let mut changed = header.clone();
        changed[key] = 1.into();
        refused(&assemble(&changed, &rest), &format!("one of {key}"));
        refused(&assemble(&changed, &[&rest[..], point].concat()), &format!("one of {key}, with a point"));
    }
    let columns = header["architecture"]["weight_columns"].as_u64().expect("a number");
    for other in [0, columns - 1, columns + 1, 1 << 15, 1 << 40, u64::MAX] {
        let mut changed = header.clone();
        changed["architecture"]["weight_columns"] = other.into();
        refused(&assemble(&changed, &rest), &format!("{other} weight columns"));
    }
}

#[test]
fn proofs_of_one_mode_are_rejected_under_keys_of_the_other() {
    let committed = Session::new(dense(), &LayoutOptions::default(), 27);
    let embedded = Session::new(dense(), &embedded(), 27);
    assert_eq!((&committed.inputs, &committed.outputs), (&embedded.inputs, &embedded.outputs));
    let proofs = [proof(&committed), proof(&embedded)];
    committed.verify(&committed.outputs, &proofs[0]).expect("an honest proof");
    embedded.verify(&embedded.outputs, &proofs[1]).expect("an honest proof");
    assert!(committed.verify(&committed.outputs, &proofs[1]).is_err());
    assert!(embedded.verify(&embedded.outputs, &proofs[0]).is_err());
    // Only the tail of a committed proof is the link's.
    let spliced = [&proofs[1][..], &proofs[0][proofs[0].len() - 7 * 32..]].concat();
    let result = embedded.verify(&embedded.outputs, &spliced);
    assert!(matches!(result, Err(VerifyError::TrailingBytes(224))), "{result:?}");
}

#[test]
fn any_word_changed_is_refused() {
    let session = session(dense());
    let proof = proof(&session);
    for word in 0..proof.len() / 32 {
        let mut changed = proof.clone();
        changed[word * 32] ^= 1;
        assert!(session.verify(&session.outputs, &changed).is_err(), "word {word}");
    }
    assert!(session.verify(&session.outputs, &proof[..proof.len() - 32]).is_err());
}

#[test]
fn the_circuit_of_another_model_is_another_circuit() {
    // MockProver fixes the weights that the circuit brings: they must be those that the witness was computed with.
    let session = session(dense());
    let instances = instances(&session, &session.outputs);
    let mut bank = session.keys.model.bank.clone();
    let mock = |bank: &Bank| {
        let Session { graph, execution, first, .. } = &session;
        let witness = Witness { graph, execution, bank, first, instances: &instances, derived: false };
        let circuit = NetworkCircuit::proving(&session.layout, witness);
        let prover = MockProver::run(session.layout.k, &circuit, instances.clone()).expect("MockProver runs");
        prover.verify().is_ok()
    };
    assert!(mock(&bank));
    bank.change(0, 0, 1);
    assert!(!mock(&bank), "another weight, the same activations");
}

#[test]
fn the_layout_pays_for_embedded_columns() {
    // One wide layer: committed columns are not transformed, embedded ones are.
    let mut b = Builder::new(31, 6, Shape::vector(100), SIGNED);
    let x = b.linear(0, 300, Window::UNIT, [1, 1], 20, (0, 31));
    let y = b.linear(x, 2, Window::UNIT, [1, 1], 20, WIDE);
    let graph = lower(b.finish(&[y]));
    let plan = |mut options: LayoutOptions, columns: usize| {
        let mut widths = Widths::default();
        (widths.operand_lanes, widths.activation_lanes, widths.weight_columns) = (4, 2, columns);
        options.widths = Some(widths);
        let layout = Layout::compile(&graph, &options).expect("a layout");
        let a = &layout.architecture;
        assert_eq!(layout.summary().fixed_columns, a.fixed.len() + a.embedded_columns());
        layout.plan(&graph, &options.costs)
    };
    let price = |columns: usize| {
        let [committed, embedded] = [LayoutOptions::default(), embedded()].map(|options| plan(options, columns));
        assert_eq!([committed.weight_columns, embedded.weight_columns], [columns; 2]);
        assert!(embedded.proof_bytes > committed.proof_bytes, "every column is opened");
        embedded.prove_cpu_ms - committed.prove_cpu_ms
    };
    let [few, many] = [64, 256].map(price);
    assert!(few > 0.0 && many > 2.0 * few, "{few} ms for 64 columns, {many} for 256");
}
