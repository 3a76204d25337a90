//! Hashed inputs and outputs: real proofs, cells and claims that are changed, and layouts that say something else.

use halo2curves::bn256::Fr;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::check::{CheckError, Checked, check};
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::hash::{HashColumns, HashRole, Poseidon, Salt, TensorHash, hash_tensor};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_circuit::prove::{Openings, prove_opened};
use zkml_gpu_circuit::system::{Accumulator, FixedRole, Multiplicand};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_circuit::verify::{Claim, VerifyError, verify_claim};
use zkml_gpu_graph::{Format, Graph, Op, Storage, Visibility};
use zkml_gpu_tests::audit::audit;
use zkml_gpu_tests::networks::{self, Builder, SIGNED, Session, UNSIGNED, embedded, image, square};

/// A convolution of an image, whose input and output are hashed.
fn hashed() -> Graph {
    let mut b = Builder::new(61, 6, image(2, 5, 5), SIGNED);
    let y = b.linear(0, 3, square(3, 1, 1), [1, 1], 20, UNSIGNED);
    let z = b.linear(y, 4, square(5, 1, 0), [1, 1], 20, UNSIGNED);
    let mut graph = b.finish(&[z, y]);
    graph.visibility.set_input(0, Visibility::Hashed);
    graph.visibility.set_output(1, Visibility::Hashed);
    graph
}

/// A change of a fixed column's cells.
type Change = Box<dyn Fn(&mut Vec<(u32, i64)>)>;

fn options() -> [LayoutOptions; 2] {
    [LayoutOptions::default(), embedded()]
}

/// The hashes of a session's input and second output, by those who have them.
fn hashes(session: &Session, salts: [Option<&Salt>; 2]) -> Vec<TensorHash> {
    let poseidon = Poseidon::new();
    let tensors = [(session.graph.inputs[0], &session.inputs[0]), (session.graph.outputs[1], &session.outputs[1])];
    let hash = |((id, values), salt): ((usize, &Vec<i64>), Option<&Salt>)| {
        hash_tensor(&poseidon, session.graph.tensors[id].format, values, salt).expect("values in range")
    };
    tensors.into_iter().zip(salts).map(hash).collect()
}

#[test]
fn a_proof_has_the_hashes_that_whoever_has_the_tensors_computes() {
    for options in options() {
        let session = Session::new(hashed(), &options, 3);
        assert_eq!(session.first.tensor_hashes, hashes(&session, [None; 2]));
        assert!(session.mock(&session.first, &session.outputs, &[]));
        let proof = session.proof(&session.first, &session.outputs, &[]).expect("a proof");
        session.verify(&session.outputs, &proof).expect("it is accepted");

        let verifying = &session.keys.verifying;
        let [inputs, outputs] = session.layout.statement.shown(&session.inputs, &session.outputs);
        assert!(inputs[0].is_empty() && outputs[1].is_empty() && !outputs[0].is_empty());
        let verify = |hashes: &[TensorHash]| {
            let claim = Claim { inputs: &inputs, outputs: &outputs, tensors: &[], hashes };
            verify_claim(verifying, claim, &proof)
        };
        let own = &session.first.tensor_hashes;
        verify(own).expect("the hashes");
        let other = |index: usize| {
            let mut other = own.clone();
            other[index] = (own[index].element() + Fr::one()).into();
            other
        };
        for wrong in [other(0), other(1), vec![own[1], own[0]], vec![own[0]; 2]] {
            assert!(matches!(verify(&wrong), Err(VerifyError::Proof(_) | VerifyError::Link(_))));
        }
        for wrong in [&own[..1], &[], &[own[0], own[1], own[1]]] {
            assert!(matches!(verify(wrong), Err(VerifyError::Statement(_))));
        }
    }
}

#[test]
fn salts_are_the_provers_and_hide_behind_other_hashes() {
    let session = Session::new(hashed(), &LayoutOptions::default(), 4);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let salt = Salt::random(&mut rng);
    let name = session.graph.tensors[session.graph.inputs[0]].name.clone();
    let about = (&session.keys, &session.layout, &session.graph);
    let salts = [(name, salt.clone())];
    let openings = Openings { salts: &salts, ..Openings::default() };
    let proof = prove_opened(&session.prover, about, &session.inputs, openings, &mut rng).expect("a proof");
    assert_eq!(proof.hashes, hashes(&session, [Some(&salt), None]));
    assert_ne!(proof.hashes[0], hashes(&session, [None; 2])[0]);
    let [inputs, _] = session.layout.statement.shown(&session.inputs, &[]);
    let verify = |hashes: &[TensorHash]| {
        let claim = Claim { inputs: &inputs, outputs: &proof.outputs, tensors: &[], hashes };
        verify_claim(&session.keys.verifying, claim, &proof.bytes).is_ok()
    };
    assert!(verify(&proof.hashes));
    assert!(!verify(&hashes(&session, [None; 2])));
}

/// A cell of each column of a hash for each role that its row may have.
fn cells(layout: &Layout) -> Vec<(String, usize, usize)> {
    let a = &layout.architecture;
    let mut cells = Vec::new();
    for (role, own) in a.fixed.iter().zip(&layout.fixed) {
        let FixedRole::Hash(role) = role else { continue };
        let row = own[own.len() / 2].0 as usize;
        let columns = if role.has_value() { 4..HashColumns::ELEMENTS + 1 } else { 0..4 };
        cells.extend(columns.map(|column| (format!("column {column}, {role:?}"), a.hash(column), row)));
    }
    let digest = a.accumulator(Accumulator::Hashed);
    cells.extend([1, 90].map(|row| (format!("digest at row {row}"), digest, row)));
    cells
}

#[test]
fn a_change_of_a_cell_of_a_hash_is_rejected() {
    for options in options() {
        let session = Session::new(hashed(), &options, 6);
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let cells = cells(&session.layout);
        assert!(cells.len() > 30);
        for (name, column, row) in cells {
            let changed = [(column, row, Fr::from(rng.gen_range(1..1000)))];
            assert!(!session.mock(&session.first, &session.outputs, &changed), "{name}");
            assert!(!session.real(&session.first, &session.outputs, &changed), "{name}");
        }
    }
}

/// All of a witness but the tensor is another's: its hash is that other's, and the digest says so.
#[test]
fn the_hash_of_another_tensor_is_rejected() {
    for options in options() {
        let session = Session::new(hashed(), &options, 8);
        let mut execution = session.execution.clone();
        let input = session.graph.inputs[0];
        execution.values[input][7] = if execution.values[input][7] == 5 { 6 } else { 5 };
        let other = FirstPhase::new(&session.layout, &session.graph, &execution);
        assert_ne!(other.tensor_hashes[0], session.first.tensor_hashes[0]);
        let mut lie = session.first.clone();
        (lie.hashes, lie.tensor_hashes) = (other.hashes, other.tensor_hashes);
        let values = session.layout.architecture.hashed_values();
        lie.columns[values].clone_from(&other.columns[values]);
        assert!(!session.mock(&lie, &session.outputs, &[]));
        assert!(!session.real(&lie, &session.outputs, &[]));
    }
}

fn verdict(graph: &Graph, layout: &Layout) -> Result<Checked, CheckError> {
    check(graph, layout, &Bank::new(layout, graph))
}

#[test]
fn the_check_proves_that_hashes_are_their_tensors() {
    for options in options() {
        let graph = lower(hashed());
        let layout = Layout::compile(&graph, &options).expect("a layout");
        assert_eq!(verdict(&graph, &layout).expect("it says what the graph says").hashes, 2);
    }
}

/// Every fixed cell of the hashes lost, every constant another, every cell on the next row.
#[test]
fn the_check_refuses_a_hash_with_any_cell_changed() {
    let graph = lower(hashed());
    let layout = Layout::compile(&graph, &LayoutOptions::default()).expect("a layout");
    let mut refused = 0;
    for (column, role) in layout.architecture.fixed.iter().enumerate() {
        let FixedRole::Hash(role) = role else { continue };
        let count = layout.fixed[column].len();
        // All of those that are few; of the others some, the last among them.
        for index in (0..count).step_by(1 + count / 12).chain([count - 1]) {
            let mut changes: Vec<Change> = vec![
                Box::new(move |cells| {
                    cells.remove(index);
                }),
                Box::new(move |cells| cells[index].1 += 1),
            ];
            let next = layout.fixed[column][index].0 + 1;
            if layout.fixed[column].iter().all(|(row, _)| *row != next) {
                changes.push(Box::new(move |cells| cells[index].0 = next));
                changes.push(Box::new(move |cells| cells.push((next, 1))));
            }
            for (number, change) in changes.iter().enumerate() {
                let mut changed = layout.clone();
                change(&mut changed.fixed[column]);
                assert!(verdict(&graph, &changed).is_err(), "{role:?} {index}, change {number}");
                refused += 1;
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn the_check_refuses_a_hash_of_other_values() {
    let graph = lower(hashed());
    let layout = Layout::compile(&graph, &LayoutOptions::default()).expect("a layout");
    // The tensors exchanged; another scale, which the graph has not.
    let mut changed = layout.clone();
    let [input, output] = [changed.statement.inputs[0].placement, changed.statement.outputs[1].placement];
    (changed.statement.inputs[0].placement, changed.statement.outputs[1].placement) = (output, input);
    assert!(verdict(&graph, &changed).is_err());
    // A step of the digest: two values exchange their powers.
    for (column, role) in layout.architecture.fixed.iter().enumerate() {
        let FixedRole::Step(Accumulator::Hashed, _) = role else { continue };
        for index in [0, layout.fixed[column].len() / 2] {
            let mut changed = layout.clone();
            changed.fixed[column].remove(index);
            assert!(verdict(&graph, &changed).is_err(), "{role:?} {index}");
        }
    }
    // A graph that shows what the layout hashes, and one that hashes what the layout hides.
    for visibility in [Visibility::Public, Visibility::Private, Visibility::Committed] {
        let mut other = graph.clone();
        other.visibility.set_output(1, visibility);
        assert!(verdict(&other, &layout).is_err(), "{visibility:?}");
    }
    let constant = layout.architecture.fixed.iter().position(|role| *role == FixedRole::Hash(HashRole::Constant));
    let mut changed = layout.clone();
    let cells = &mut changed.fixed[constant.expect("constants")];
    let of = |value: i64| cells.iter().position(|(_, v)| *v == value).expect("a first row");
    let [first, second] = [of(-1), of(-2)];
    (cells[first].1, cells[second].1) = (-2, -1);
    assert!(verdict(&graph, &changed).is_err(), "domains exchanged");
}

/// Rows of a table at hashed indices.
fn hashed_indices() -> Graph {
    let mut graph = networks::embedded_rows();
    graph.visibility.set_input(0, Visibility::Hashed);
    graph
}

/// The indices of a session's input.
fn indices(session: &Session) -> Vec<i64> {
    let port = &session.layout.statement.inputs[0];
    let index = |row| port.index(&session.inputs[0], row).expect("a one-hot form") as i64;
    (0..port.logical_len()).map(index).collect()
}

/// The hash is of the indices, as other circuits have them, and not of the ones and zeros that prove them.
#[test]
fn indices_are_hashed_as_they_are() {
    for options in options() {
        let session = Session::new(hashed_indices(), &options, 11);
        let format = Format::new(0, 0, 6);
        let hash = hash_tensor(&Poseidon::new(), format, &indices(&session), None).expect("indices in range");
        assert_eq!(session.first.tensor_hashes, [hash]);
        assert!(session.mock(&session.first, &session.outputs, &[]));
        let proof = session.proof(&session.first, &session.outputs, &[]).expect("a proof");
        session.verify(&session.outputs, &proof).expect("it is accepted");
        let checked = verdict(&session.graph, &session.layout).expect("it says what the graph says");
        assert_eq!((checked.hashes, checked.sums), (1, 2 * indices(&session).len()));
        audit(&session.graph, &session.layout).expect("the audit sees the same");
    }
}

/// Indices that are an output as well have a hash there, too, with a salt of its own.
#[test]
fn indices_that_are_shown_again_are_hashed_twice() {
    let mut graph = hashed_indices();
    graph.outputs.insert(0, 0);
    graph.visibility.set_output(0, Visibility::Hashed);
    let session = Session::new(graph, &LayoutOptions::default(), 13);
    let checked = verdict(&session.graph, &session.layout).expect("it says what the graph says");
    assert_eq!((checked.hashes, checked.sums), (2, 3 * indices(&session).len()));
    audit(&session.graph, &session.layout).expect("the audit sees the same");
    assert_eq!(session.first.tensor_hashes[0], session.first.tensor_hashes[1]);
    assert!(session.mock(&session.first, &session.outputs, &[]) && session.real(&session.first, &session.outputs, &[]));
    for (name, column, row) in cells(&session.layout) {
        assert!(!session.mock(&session.first, &session.outputs, &[(column, row, Fr::from(3))]), "{name}");
    }
}

/// Each cell of the hash; a hash of other indices with the honest ones; and honest rows of a hash with other indices.
#[test]
fn a_hash_of_other_indices_is_rejected() {
    for options in options() {
        let session = Session::new(hashed_indices(), &options, 12);
        let rejected = |first: &FirstPhase, changed: &[(usize, usize, Fr)], what: &str| {
            assert!(!session.mock(first, &session.outputs, changed), "{what}");
            assert!(!session.real(first, &session.outputs, changed), "{what}");
        };
        for (name, column, row) in cells(&session.layout) {
            rejected(&session.first, &[(column, row, Fr::from(3))], &name);
        }
        let mut execution = session.execution.clone();
        let (input, rows) = (session.graph.inputs[0], indices(&session).len());
        let (honest, other) = (indices(&session)[2] as usize, (indices(&session)[2] as usize + 1) % 7);
        execution.values[input].swap(honest * rows + 2, other * rows + 2);
        let changed = FirstPhase::new(&session.layout, &session.graph, &execution);
        assert_ne!(changed.tensor_hashes, session.first.tensor_hashes);
        let mut lie = session.first.clone();
        (lie.hashes, lie.tensor_hashes) = (changed.hashes.clone(), changed.tensor_hashes.clone());
        let values = session.layout.architecture.hashed_values();
        lie.columns[values].clone_from(&changed.columns[values]);
        rejected(&lie, &[], "the hash of other indices");

        // What the network computes for the other index, all of it honest, beside the hash of the first.
        let entered = &session.graph.nodes[0];
        assert!(matches!(entered.op, Op::Enter));
        let inputs = vec![execution.values[input].clone()];
        let execution = session.graph.run(&inputs).expect("the graph runs");
        let outputs = vec![execution.values[session.graph.outputs[0]].clone()];
        let mut lie = FirstPhase::new(&session.layout, &session.graph, &execution);
        assert!(session.mock(&lie, &outputs, &[]), "it is honest before its hash is another's");
        (lie.hashes, lie.tensor_hashes) = (session.first.hashes.clone(), session.first.tensor_hashes.clone());
        lie.columns[values].clone_from(&session.first.columns[values]);
        assert!(!session.mock(&lie, &outputs, &[]) && !session.real(&lie, &outputs, &[]), "other indices");
    }
}

/// Every cell of the terms that make indices of ones and zeros: another number, another row, lost.
#[test]
fn the_check_refuses_indices_that_are_others() {
    let graph = lower(hashed_indices());
    let layout = Layout::compile(&graph, &LayoutOptions::default()).expect("a layout");
    let mut refused = 0;
    for (column, role) in layout.architecture.fixed.iter().enumerate() {
        let FixedRole::Term { multiplicand: Multiplicand::Accumulator(read), factor, .. } = role else { continue };
        if !matches!(read, Accumulator::ResultTotal | Accumulator::Hashed) || factor.channels != 1 {
            continue;
        }
        for index in 0..layout.fixed[column].len() {
            let changes: [Change; 4] = [
                Box::new(move |cells| _ = cells.remove(index)),
                Box::new(move |cells| cells[index].1 += 1),
                Box::new(move |cells| cells[index].1 *= 2),
                Box::new(move |cells| cells[index].0 += 1),
            ];
            for (number, change) in changes.iter().enumerate() {
                let mut changed = layout.clone();
                change(&mut changed.fixed[column]);
                assert!(verdict(&graph, &changed).is_err(), "{role:?} {index}, change {number}");
                assert!(audit(&graph, &changed).is_err(), "{role:?} {index}, change {number}: the audit");
                refused += 1;
            }
        }
    }
    // Seven channels and the hash.
    assert_eq!(refused, 4 * 8);
    // Indices that a graph hides otherwise have no such sums.
    for visibility in [Visibility::Public, Visibility::Private, Visibility::Committed] {
        let mut other = graph.clone();
        other.visibility.set_input(0, visibility);
        assert!(verdict(&other, &layout).is_err(), "{visibility:?}");
    }
}

#[test]
fn a_transposed_tensor_is_hashed_in_the_models_order() {
    let mut graph = hashed();
    let input = &mut graph.tensors[0];
    (input.storage, input.logical_shape) = (Storage::Transposed, vec![1, 25, 2]);
    let (format, places) = (input.format, input.storage.places(input.shape).expect("no index"));
    assert!(!places.is_sorted());
    let session = Session::new(graph.clone(), &LayoutOptions::default(), 4);
    let ordered = &session.inputs[0];
    let hash = hash_tensor(&Poseidon::new(), format, ordered, None).expect("values in range");
    assert_eq!(session.first.tensor_hashes[0], hash);
    let stored: Vec<i64> = places.iter().map(|place| ordered[*place]).collect();
    let values = graph.run(&[stored]).expect("the graph runs").values;
    let shown = |execution: &[Vec<i64>], graph: &Graph| execution[graph.outputs[0]].clone();
    assert_eq!(shown(&session.execution.values, &session.graph), shown(&values, &graph));
    assert!(session.real(&session.first, &session.outputs, &[]));
    let mut first = session.first.clone();
    let hashed = &mut first.columns[session.layout.architecture.hashed_values()];
    *hashed.iter_mut().find(|value| **value != 0).expect("a value") += 1;
    assert!(!session.real(&first, &session.outputs, &[]), "a word of another value");
}
