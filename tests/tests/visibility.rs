//! Hidden inputs and outputs: honest ones are accepted, every kind of cell that holds them is bound, a committed tensor
//! is the one of its commitment and may be shared by proofs, and a proof tells nothing of what is hidden.

use std::collections::HashSet;

use ff::{Field, PrimeField};
use halo2curves::bn256::{Fr, G1Affine};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::check::check;
use zkml_gpu_circuit::commit::{Bank, LinkError, TensorOpening};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_circuit::prove::{CommittedTensor, Job, Openings, ProveError, prove_opened};
use zkml_gpu_circuit::system::{Placement, RowKind, StatementError};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_circuit::verify::{Claim, VerifyError, verify_claim};
use zkml_gpu_graph::{Graph, Interleaving, Op, Shape, Storage, Visibility, Window};
use zkml_gpu_tests::audit::audit;
use zkml_gpu_tests::networks::{Builder, SIGNED, Session, embedded, hidden, image, random_inputs, square, zoo};

/// A convolution with padding, whose image has gaps between the exponents of its rows, and a dense layer.
fn convolution() -> Graph {
    let mut b = Builder::new(71, 6, image(2, 3, 4), SIGNED);
    let x = b.linear(0, 2, square(3, 1, 1), [1, 1], 20, (0, 31));
    let y = b.linear(x, 3, Window::UNIT, [1, 1], 60, SIGNED);
    b.finish(&[y])
}

/// Rows of a table at indices, which are one-hot, and a sum of another input.
fn indices() -> Graph {
    let mut b = Builder::new(72, 6, image(4, 1, 3), (0, 64));
    let other = b.input(image(2, 1, 3), SIGNED);
    let x = b.linear(0, 2, Window::UNIT, [1, 1], 60, SIGNED);
    let (multipliers, shared) = (vec![64, 64], Interleaving::NONE);
    let combine = Op::Combine { multipliers, offset: Vec::new(), shared, width: None };
    let y = b.node(combine, &[x, other], image(2, 1, 3), SIGNED);
    let mut graph = b.finish(&[y]);
    graph.tensors[0].storage = Storage::OneHot;
    graph.tensors[0].logical_shape = vec![1, 3];
    graph
}

/// A dense layer of this many features in and out.
fn layer(seed: u64, inputs: usize, outputs: usize) -> Graph {
    let mut b = Builder::new(seed, 6, Shape::vector(inputs), SIGNED);
    let y = b.linear(0, outputs, Window::UNIT, [1, 1], 40, SIGNED);
    b.finish(&[y])
}

fn accepts(s: &Session) -> bool {
    s.mock(&s.first, &s.outputs, &[]) && s.real(&s.first, &s.outputs, &[])
}

/// An advice cell in a lane of the rows of these kinds.
fn row_of(s: &Session, wanted: impl Fn(RowKind) -> bool) -> usize {
    s.layout.results.iter().find(|result| wanted(result.kind)).expect("a row of that kind").row as usize
}

/// A lie in phase 1 with everything after it computed to match.
fn rejects(s: &Session, what: &str, lie: impl FnOnce(&mut FirstPhase)) {
    let mut first = s.first.clone();
    lie(&mut first);
    first.fill_products(&s.layout);
    first.fill_multiplicities(&s.layout);
    assert_ne!(first.columns, s.first.columns, "{what}: nothing changed");
    assert!(!s.mock(&first, &s.outputs, &[]), "{what}: MockProver");
    assert!(!s.real(&first, &s.outputs, &[]), "{what}: real proof");
}

#[test]
fn every_network_of_the_zoo_has_proofs_with_hidden_inputs_and_outputs() {
    for (i, (name, graph)) in zoo().into_iter().enumerate() {
        let options = if i % 2 == 0 { LayoutOptions::default() } else { embedded() };
        for (inputs, outputs) in [
            (Visibility::Private, Visibility::Public),
            (Visibility::Public, Visibility::Private),
            (Visibility::Committed, Visibility::Committed),
        ] {
            let graph = lower(hidden(graph.clone(), inputs, outputs));
            let layout = Layout::compile(&graph, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
            let bank = Bank::new(&layout, &graph);
            check(&graph, &layout, &bank).unwrap_or_else(|error| panic!("{name}, {inputs:?}: {error}"));
            audit(&graph, &layout).unwrap_or_else(|error| panic!("{name}, {inputs:?}, {outputs:?}: {error}"));
            if i % 4 == 0 {
                let s = Session::new(graph, &options, 3);
                assert!(accepts(&s), "{name}: {inputs:?} inputs, {outputs:?} outputs");
            }
        }
    }
}

#[test]
fn nothing_at_all_may_be_public() {
    for options in [LayoutOptions::default(), embedded()] {
        let s = Session::new(hidden(convolution(), Visibility::Private, Visibility::Private), &options, 1);
        assert!(s.layout.statement.lengths.iter().all(|len| *len == 0), "public cells of hidden tensors");
        assert!(accepts(&s));
    }
}

#[test]
fn values_of_hidden_tensors_are_no_part_of_a_statement() {
    let s = Session::new(hidden(convolution(), Visibility::Private, Visibility::Public), &embedded(), 1);
    let proof = s.proof(&s.first, &s.outputs, &[]).expect("an honest proof");
    fn claim<'c>(inputs: &'c [Vec<i64>], outputs: &'c [Vec<i64>]) -> Claim<'c> {
        Claim { inputs, outputs, tensors: &[], hashes: &[] }
    }
    let hidden_input = [Vec::new()];
    verify_claim(&s.keys.verifying, claim(&hidden_input, &s.outputs), &proof).expect("an honest claim");
    let refused = verify_claim(&s.keys.verifying, claim(&s.inputs, &s.outputs), &proof);
    assert!(matches!(refused, Err(VerifyError::Statement(StatementError::Hidden { .. }))), "{refused:?}");
    let other = vec![s.outputs[0].iter().map(|value| value ^ 1).collect()];
    assert!(s.verify(&other, &proof).is_err(), "another output");
}

#[test]
fn a_key_of_a_hidden_tensor_is_no_key_of_a_public_one() {
    let digests: HashSet<String> = Visibility::ALL
        .into_iter()
        .flat_map(|visibility| [(visibility, Visibility::Public), (Visibility::Public, visibility)])
        .map(|(inputs, outputs)| {
            let s = Session::new(hidden(convolution(), inputs, outputs), &embedded(), 1);
            format!("{:?}", s.keys.verifying.vk().transcript_repr())
        })
        .collect();
    assert_eq!(digests.len(), 2 * Visibility::ALL.len() - 1);
}

#[test]
fn every_cell_of_a_private_input_is_bound() {
    for options in [LayoutOptions::default(), embedded()] {
        let s = Session::new(hidden(convolution(), Visibility::Private, Visibility::Public), &options, 2);
        let a = &s.layout.architecture;
        let row = row_of(&s, |kind| matches!(kind, RowKind::Entry(_)));
        for column in [a.rounded(0), a.activated(0), a.saturation(0)] {
            let changed = [(column, row, Fr::from(3))];
            assert!(!s.mock(&s.first, &s.outputs, &changed), "column {column}: MockProver");
            assert!(!s.real(&s.first, &s.outputs, &changed), "column {column}: real proof");
        }
    }
}

#[test]
fn a_private_input_out_of_range_has_no_proof() {
    let s = Session::new(hidden(layer(75, 5, 3), Visibility::Private, Visibility::Private), &embedded(), 2);
    let a = s.layout.architecture.clone();
    let row = row_of(&s, |kind| matches!(kind, RowKind::Entry(_)));
    let distance = a.remainder_cells..a.remainder_cells + a.excess_limbs;
    // The value, its mark, and its distance from the least, whose last limb takes what is beyond.
    let set = |first: &mut FirstPhase, [value, mark, from_least]: [i64; 3]| {
        first.columns[a.activated(0)][row] = value;
        first.columns[a.saturation(0)][row] = mark;
        for (i, cell) in distance.clone().enumerate() {
            let limb = from_least >> (a.limb_bits as usize * i);
            let is_last = i + 1 == distance.len();
            first.columns[a.range(cell)][row] = if is_last { limb } else { limb & ((1 << a.limb_bits) - 1) };
        }
    };
    let format = s.graph.tensors[s.graph.inputs[0]].format;
    // Copies of the element follow it: all else is consistent.
    let followed = |first: &mut FirstPhase, value: i64| {
        let element = s.layout.results.iter().find(|result| result.row as usize == row).expect("the row").element;
        let tensor = s.graph.nodes.iter().find(|node| node.inputs == [s.graph.inputs[0]]).expect("cells").output;
        let copies = s.layout.operands.iter().filter(|cell| (cell.tensor as usize, cell.element) == (tensor, element));
        copies.for_each(|cell| first.columns[a.operand(cell.lane as usize)][cell.row as usize] = value);
    };
    let beyond = format.max - format.min + 1;
    for (what, cells) in [
        ("above, as an end", [format.max + 1, 1, 0]),
        ("above, inside", [format.max + 1, 0, beyond]),
        ("below, as an end", [format.min - 1, -1, 0]),
        ("below, inside", [format.min - 1, 0, -1]),
        ("an end within", [1, 1, 0]),
        ("far", [format.min + (1 << 40), 0, 1 << 40]),
        ("another distance", [4, 0, 5 - format.min]),
    ] {
        rejects(&s, what, |first| {
            set(first, cells);
            followed(first, cells[0]);
        });
    }
    let mut inputs = s.inputs.clone();
    inputs[0][1] = 12_345;
    let message = s.graph.run(&inputs).expect_err("out of range").to_string();
    assert!(!message.contains("12345") && message.contains("hint:"), "{message}");
}

#[test]
fn a_private_index_is_one_row_with_a_single_one() {
    for options in [LayoutOptions::default(), embedded()] {
        let s = Session::new(hidden(indices(), Visibility::Private, Visibility::Private), &options, 4);
        assert!(accepts(&s));
        let a = s.layout.architecture.clone();
        let tensor = s.graph.nodes.iter().find(|node| node.inputs == [s.graph.inputs[0]]).expect("cells").output;
        let node = s.graph.nodes.iter().position(|node| node.output == tensor).expect("the node") as u32;
        // Copies of an element follow it.
        let set = |first: &mut FirstPhase, element: u32, [rounded, value, saturation]: [i64; 3]| {
            for result in s.layout.results.iter().filter(|result| result.node == node) {
                let RowKind::OneHot(kind) = result.kind else { panic!("{:?}", result.kind) };
                let lane = element.wrapping_sub(result.element) as usize;
                if lane < kind.lanes {
                    let cells = [a.rounded(lane), a.activated(lane), a.saturation(lane)];
                    let values = cells.into_iter().zip([rounded, value, saturation]);
                    values.for_each(|(column, value)| first.columns[column][result.row as usize] = value);
                }
            }
            let copies =
                s.layout.operands.iter().filter(|cell| (cell.tensor as usize, cell.element) == (tensor, element));
            copies.for_each(|cell| first.columns[a.operand(cell.lane as usize)][cell.row as usize] = value);
        };
        let one = s.graph.tensors[tensor].format.max;
        let at = (0..4u32).find(|channel| s.inputs[0][*channel as usize * 3] == one).expect("an index");
        let other = (at + 1) % 4;
        rejects(&s, "no one", |first| set(first, at * 3, [0, 0, -1]));
        rejects(&s, "two ones", |first| set(first, other * 3, [1, one, 1]));
        rejects(&s, "halves", |first| {
            set(first, at * 3, [1, one / 2, 1]);
            set(first, other * 3, [1, one / 2, 1]);
        });
        rejects(&s, "one and minus one", |first| {
            let third = (at + 2) % 4;
            set(first, other * 3, [1, one, 1]);
            set(first, third * 3, [0, -one, -1]);
        });
        // Another place for the one is another index, and no lie: the output is hidden.
        let row = row_of(&s, |kind| matches!(kind, RowKind::OneHot(_)));
        for column in [a.rounded(0), a.activated(0), a.saturation(0)] {
            assert!(!s.mock(&s.first, &s.outputs, &[(column, row, Fr::ONE)]), "column {column}: MockProver");
            assert!(!s.real(&s.first, &s.outputs, &[(column, row, Fr::ONE)]), "column {column}: real proof");
        }
    }
}

/// Whether a proof fails by its link alone.
fn is_unlinked(result: &Result<(), VerifyError>) -> bool {
    matches!(result, Err(VerifyError::Link(LinkError::Rejected)))
}

#[test]
fn a_committed_tensor_is_the_one_that_the_network_computes_with() {
    for options in [LayoutOptions::default(), embedded()] {
        let s = Session::new(hidden(convolution(), Visibility::Committed, Visibility::Committed), &options, 5);
        assert!(accepts(&s));
        let a = s.layout.architecture.clone();
        assert_eq!(a.committed_columns, 2);
        for (port, len) in s.layout.statement.ports().map(|port| port.len).enumerate() {
            for row in [0, len / 2, len - 1] {
                let changed = [(a.committed(port), row, Fr::ONE)];
                assert!(!s.mock(&s.first, &s.outputs, &changed), "port {port}, row {row}: MockProver");
                assert!(!s.real(&s.first, &s.outputs, &changed), "port {port}, row {row}: real proof");
            }
            // Beyond the tensor no gate reads the column, and the link does.
            for row in [len, s.layout.usable_rows() - 1] {
                let mut first = s.first.clone();
                first.columns[a.committed(port)][row] += 1;
                assert!(s.mock(&first, &s.outputs, &[]), "port {port}, row {row}: MockProver");
                let proof = s.proof(&first, &s.outputs, &[]).expect("the circuit holds");
                assert!(is_unlinked(&s.verify(&s.outputs, &proof)), "port {port}, row {row}");
            }
        }
    }
}

/// A job of a session with other committed tensors.
fn proof_with(s: &Session, tensors: &[CommittedTensor], seed: u64) -> Vec<u8> {
    let Session { keys, layout, graph, execution, first, .. } = s;
    let job = Job { keys, layout, graph, execution, first, tensors };
    let rng = ChaCha20Rng::seed_from_u64(seed);
    job.prove(&s.prover, &s.inputs, &s.outputs, rng, |circuit| circuit).expect("a proof")
}

fn points(tensors: &[CommittedTensor]) -> Vec<G1Affine> {
    tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect()
}

#[test]
fn other_commitments_are_rejected_wherever_they_are_put() {
    for options in [LayoutOptions::default(), embedded()] {
        let s = Session::new(hidden(layer(81, 4, 4), Visibility::Committed, Visibility::Committed), &options, 6);
        let proof = proof_with(&s, &s.tensors, 1);
        let honest = s.commitments();
        s.verify_for(&s.outputs, &honest, &proof).expect("an honest proof");
        // The same tensor under other blinding, another tensor, tensors exchanged, one for both, one less, one more.
        let commit = |values: &[i64], seed: u64| {
            let opening = TensorOpening::new(values.to_vec(), s.layout.k, ChaCha20Rng::seed_from_u64(seed));
            CommittedTensor::new(&s.prover, opening, s.layout.k).expect("commitments")
        };
        let again = commit(&s.inputs[0], 7);
        let mut values = s.inputs[0].clone();
        values[2] ^= 1;
        let other = commit(&values, 8);
        let claims = [
            vec![again.commitments[0], honest[1]],
            vec![other.commitments[0], honest[1]],
            vec![honest[1], honest[0]],
            vec![honest[0]; 2],
        ];
        for (i, claimed) in claims.iter().enumerate() {
            // Substituted after absorption: the transcript is another.
            assert!(s.verify_for(&s.outputs, claimed, &proof).is_err(), "claim {i}");
        }
        for claimed in [&honest[..1], &[honest.clone(), honest.clone()].concat()] {
            let result = s.verify_for(&s.outputs, claimed, &proof);
            assert!(matches!(result, Err(VerifyError::Statement(StatementError::Commitments { .. }))), "{result:?}");
        }
        // Absorbed from the beginning, but of another tensor, or of the tensors exchanged: the circuit holds, the link
        // does not.
        let exchanged = [s.tensors[1].clone(), s.tensors[0].clone()];
        for tensors in [&[other.clone(), s.tensors[1].clone()][..], &exchanged] {
            let proof = proof_with(&s, tensors, 2);
            assert!(is_unlinked(&s.verify_for(&s.outputs, &points(tensors), &proof)));
        }
        // The same tensor under other blinding is a commitment as good.
        let tensors = [again, s.tensors[1].clone()];
        let proof = proof_with(&s, &tensors, 3);
        s.verify_for(&s.outputs, &points(&tensors), &proof).expect("fresh blinding");
        assert!(s.verify_for(&s.outputs, &honest, &proof).is_err(), "a proof for other commitments");
    }
}

#[test]
fn differences_that_cancel_without_a_challenge_are_rejected() {
    // [A_0] - [T_0] and [A_1] - [T_1] are opposite outside the blinding rows: their sum is linked, each is not.
    let s = Session::new(hidden(layer(82, 4, 4), Visibility::Committed, Visibility::Committed), &embedded(), 6);
    let commit = |values: Vec<i64>, seed: u64| {
        let opening = TensorOpening::new(values, s.layout.k, ChaCha20Rng::seed_from_u64(seed));
        CommittedTensor::new(&s.prover, opening, s.layout.k).expect("commitments")
    };
    let (mut input, mut output) = (s.inputs[0].clone(), s.outputs[0].clone());
    input[0] += 1;
    output[0] -= 1;
    let tensors = [commit(input, 1), commit(output, 2)];
    let proof = proof_with(&s, &tensors, 4);
    assert!(is_unlinked(&s.verify_for(&s.outputs, &points(&tensors), &proof)));
}

#[test]
fn a_commitment_with_values_beyond_the_tensor_cannot_be_proved() {
    // A longer tensor commits to the same values and one more: the column has 0 there.
    let s = Session::new(hidden(layer(83, 4, 3), Visibility::Committed, Visibility::Public), &embedded(), 6);
    let values = [s.inputs[0].clone(), vec![1]].concat();
    let opening = TensorOpening::new(values, s.layout.k, ChaCha20Rng::seed_from_u64(1));
    let tensors = [CommittedTensor::new(&s.prover, opening, s.layout.k).expect("commitments")];
    let proof = proof_with(&s, &tensors, 4);
    assert!(is_unlinked(&s.verify_for(&s.outputs, &points(&tensors), &proof)));
}

/// Two models of one size, the output of the first the input of the second.
fn chained() -> [Session; 2] {
    let mut options = embedded();
    options.min_k = 10;
    let first = hidden(layer(91, 6, 5), Visibility::Public, Visibility::Committed);
    let second = hidden(layer(92, 5, 4), Visibility::Committed, Visibility::Public);
    let first = Session::new(first, &options, 3);
    // One reference string: both sessions draw theirs from equal seeds, of one size.
    let second = Session::with_inputs(second, &options, 3, first.outputs.clone());
    assert_eq!((first.layout.k, second.layout.k), (10, 10));
    assert_eq!(first.srs.lagrange(), second.srs.lagrange());
    [first, second]
}

#[test]
fn a_committed_output_is_the_input_of_another_model_and_a_third_partys_tensor_is_not() {
    let [a, b] = chained();
    let name = |s: &Session, tensor: usize| s.graph.tensors[tensor].name.clone();
    let middle = TensorOpening::new(a.outputs[0].clone(), 10, ChaCha20Rng::seed_from_u64(5));
    let prove = |s: &Session, name: String, opening: &TensorOpening, seed: u64| {
        let keys = (&s.keys, &s.layout, &s.graph);
        let tensors = [(name, opening.clone())];
        let openings = Openings { tensors: &tensors, ..Openings::default() };
        prove_opened(&s.prover, keys, &s.inputs, openings, ChaCha20Rng::seed_from_u64(seed))
    };
    let first = prove(&a, name(&a, a.graph.outputs[0]), &middle, 1).expect("the first model's proof");
    let second = prove(&b, name(&b, b.graph.inputs[0]), &middle, 2).expect("the second model's proof");
    let shared = points(&first.tensors);
    assert_eq!(shared, points(&second.tensors), "one commitment serves both");
    assert_eq!(shared, middle.commit(a.srs.lagrange()), "and it is that of the opening");
    a.verify_for(&a.outputs, &shared, &first.bytes).expect("the first proof");
    b.verify_for(&b.outputs, &shared, &second.bytes).expect("the second proof");

    // A third party's middle tensor, with a proof of its own: each proof holds, but not for one commitment.
    let mut options = embedded();
    options.min_k = 10;
    let mut other = a.outputs.clone();
    other[0][0] ^= 1;
    let graph = hidden(layer(92, 5, 4), Visibility::Committed, Visibility::Public);
    let third = Session::with_inputs(graph, &options, 3, other);
    let proof = third.proof(&third.first, &third.outputs, &[]).expect("the third party's proof");
    third.verify(&third.outputs, &proof).expect("it holds for its own commitment");
    assert!(third.verify_for(&third.outputs, &shared, &proof).is_err(), "the middle tensor is another");
    // Nor does the opening of the true one let it be proved.
    let refused = prove(&third, name(&third, third.graph.inputs[0]), &middle, 3);
    assert!(matches!(refused, Err(ProveError::OtherTensor { .. })), "another tensor under that commitment");
    // An opening for another size is refused, too.
    let small = TensorOpening::new(vec![1; 5000], 10, ChaCha20Rng::seed_from_u64(5));
    assert!(matches!(prove(&b, name(&b, b.graph.inputs[0]), &small, 3), Err(ProveError::OtherTensor { .. })));
}

#[test]
fn a_tensor_of_several_columns_is_committed_element_by_element() {
    // 80 elements in a circuit with fewer rows.
    let mut b = Builder::new(93, 4, image(2, 5, 8), (-4, 3));
    let y = b.linear(0, 1, square(1, 1, 0), [1, 1], 8, (-4, 3));
    let graph = b.finish(&[y]);
    let mut options = embedded();
    let mut widths = zkml_gpu_circuit::placement::Widths::default();
    (widths.operand_lanes, widths.activation_lanes, widths.lookup_group) = (8, 8, 2);
    options.widths = Some(widths);
    let s = Session::new(hidden(graph, Visibility::Committed, Visibility::Public), &options, 3);
    let usable = s.layout.usable_rows();
    let port = &s.layout.statement.inputs[0];
    assert!(matches!(port.placement, Placement::Committed { first: 0, rows } if rows == usable));
    let columns = 80usize.div_ceil(usable);
    assert!(columns > 1, "{usable} rows");
    assert_eq!([port.committed_columns(), s.layout.architecture.committed_columns], [columns; 2]);
    assert!(accepts(&s));
    let a = &s.layout.architecture;
    for (column, row) in [(0, usable - 1), (1, 0), (columns - 1, (80 - 1) % usable)] {
        let changed = [(a.committed(column), row, Fr::ONE)];
        assert!(!s.mock(&s.first, &s.outputs, &changed), "column {column}, row {row}: MockProver");
        assert!(!s.real(&s.first, &s.outputs, &changed), "column {column}, row {row}: real proof");
    }
    let swapped: Vec<G1Affine> = s.commitments().into_iter().rev().collect();
    let proof = s.proof(&s.first, &s.outputs, &[]).expect("an honest proof");
    assert!(s.verify_for(&s.outputs, &swapped, &proof).is_err(), "columns exchanged");
}

/// The check refuses what a change makes of a layout.
fn refuses(graph: Graph, reason: &str, change: impl FnOnce(&mut Graph, &mut Layout)) {
    let mut graph = lower(graph);
    let mut layout = Layout::compile(&graph, &embedded()).expect("a layout");
    check(&graph, &layout, &Bank::new(&layout, &graph)).expect("a sound layout");
    change(&mut graph, &mut layout);
    let error = check(&graph, &layout, &Bank::new(&layout, &graph)).expect_err(reason).to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn layouts_that_say_something_else_of_what_is_hidden_are_refused() {
    let private = || hidden(convolution(), Visibility::Private, Visibility::Private);
    refuses(private(), "for other eyes than in the graph", |graph, _| {
        graph.visibility.set_output(0, Visibility::Committed);
    });
    // Cells that nothing computes are the prover's choice: only a hidden input may be on such.
    let mut b = Builder::new(73, 6, image(2, 1, 3), SIGNED);
    let public = b.input(image(2, 1, 3), SIGNED);
    let (multipliers, shared) = (vec![64, 64], Interleaving::NONE);
    let sum = Op::Combine { multipliers, offset: Vec::new(), shared, width: None };
    let y = b.node(sum, &[0, public], image(2, 1, 3), SIGNED);
    let mut two = b.finish(&[y]);
    two.visibility.set_input(0, Visibility::Private);
    refuses(two, "a hidden input as operand", |graph, _| {
        let entry = graph.nodes.iter_mut().find(|node| node.inputs == [0]).expect("cells of the hidden input");
        entry.inputs = vec![public];
    });
    refuses(private(), "has no cells, or is read without them", |graph, _| graph.outputs.push(graph.inputs[0]));
    let committed = || hidden(convolution(), Visibility::Committed, Visibility::Private);
    refuses(committed(), "", |_, layout| {
        let Placement::Committed { rows, .. } = &mut layout.statement.inputs[0].placement else { panic!("committed") };
        *rows -= 1;
    });
    // The identity that ties a committed tensor has no terms any more: its column is anything.
    refuses(committed(), "", |_, layout| {
        let a = &layout.architecture;
        let is_committed = |role: &zkml_gpu_circuit::system::FixedRole| format!("{role:?}").contains("Committed(0)");
        for (role, cells) in a.fixed.iter().zip(&mut layout.fixed) {
            if is_committed(role) {
                cells.clear();
            }
        }
    });
    let index = || hidden(indices(), Visibility::Private, Visibility::Private);
    // What the ones add up to is in the kind of the first channel's rows.
    refuses(index(), "", |_, layout| {
        let twice = |kind: &mut RowKind| {
            if let RowKind::OneHot(of) = kind {
                of.less *= 2;
            }
        };
        layout.results.iter_mut().for_each(|result| twice(&mut result.kind));
        for role in &mut layout.architecture.fixed {
            if let zkml_gpu_circuit::system::FixedRole::Kind(kind) = role {
                twice(kind);
            }
        }
    });
    refuses(index(), "", |graph, _| {
        let (input, cells) = (graph.inputs[0], graph.nodes.iter().position(|n| n.inputs == [graph.inputs[0]]));
        let cells = graph.nodes[cells.expect("cells")].output;
        for tensor in [input, cells] {
            graph.tensors[tensor].storage = Storage::Plain;
            graph.tensors[tensor].logical_shape = vec![12];
        }
    });
}

/// Chunks of a proof: points and scalars.
fn words(proof: &[u8]) -> Vec<[u8; 32]> {
    proof.chunks(32).map(|chunk| chunk.try_into().expect("whole words")).collect()
}

#[test]
fn two_proofs_of_one_statement_share_no_word() {
    for options in [LayoutOptions::default(), embedded()] {
        for visibility in Visibility::ALL {
            let s = Session::new(hidden(convolution(), visibility, visibility), &options, 3);
            let [a, b] = [1, 2].map(|seed| words(&proof_with(&s, &s.tensors, seed)));
            let all: HashSet<&[u8; 32]> = a.iter().collect();
            assert_eq!(a.len(), b.len());
            assert!(b.iter().all(|word| !all.contains(word)), "{visibility:?}: a word of both");
            // Equal randomness makes equal proofs: what differs is what blinds.
            assert_eq!(words(&proof_with(&s, &s.tensors, 1)), a, "{visibility:?}");
        }
    }
}

/// Pearson's statistic of numbers modulo 8, in so many bins of equal probability.
fn chi_squared(numbers: impl Iterator<Item = u8>) -> f64 {
    let mut counts = [0f64; 8];
    numbers.for_each(|number| counts[usize::from(number % 8)] += 1.0);
    let expected = counts.iter().sum::<f64>() / 8.0;
    counts.iter().map(|count| (count - expected).powi(2) / expected).sum()
}

#[test]
fn evaluations_of_hidden_columns_are_uniform_whatever_they_hide() {
    const PROOFS: u64 = 96;
    // With 7 degrees of freedom a value above 40 has a probability of 10^-6; there are some hundred words.
    const BOUND: f64 = 40.0;
    let graph = || hidden(layer(95, 3, 2), Visibility::Committed, Visibility::Private);
    for input in [vec![0, 0, 0], vec![127, -128, 127]] {
        let s = Session::with_inputs(graph(), &embedded(), 3, vec![input.clone()]);
        let proofs: Vec<Vec<[u8; 32]>> = (0..PROOFS).map(|seed| words(&proof_with(&s, &s.tensors, seed))).collect();
        for place in 0..proofs[0].len() {
            let statistic = chi_squared(proofs.iter().map(|proof| proof[place][0]));
            assert!(statistic < BOUND, "{input:?}: word {place} has {statistic}");
        }
    }
    // The statistic finds what does not vary.
    assert!(chi_squared(std::iter::repeat_n(5, PROOFS as usize)) > BOUND);
    assert!(chi_squared((0..PROOFS).map(|i| (i % 3) as u8)) > BOUND);
}

#[test]
fn commitments_to_equal_tensors_differ_and_say_nothing_to_debug() {
    let opening = |seed: u64| TensorOpening::new(vec![271_828; 4], 6, ChaCha20Rng::seed_from_u64(seed));
    assert_ne!(opening(1).blinds(), opening(2).blinds());
    let text = format!("{:?}", opening(1));
    assert!(!text.contains("271828"), "{text}");
    let blind = format!("{:?}", opening(1).blinds()[0][0].to_repr());
    assert!(!text.contains(&blind), "{text}");
}

#[test]
fn random_inputs_of_hidden_indices_are_indices() {
    let graph = hidden(indices(), Visibility::Private, Visibility::Private);
    let inputs = random_inputs(&graph, 1);
    assert_eq!(inputs[0].iter().filter(|value| **value == 64).count(), 3);
}
