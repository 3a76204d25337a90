//! Several inferences in one proof: what they compute, that learned values are there once, and what a layout says.

use halo2curves::bn256::Fr;
use rayon::prelude::*;
use zkml_gpu_circuit::hash::{Poseidon, hash_tensor};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{LayoutError, Widths, lower};
use zkml_gpu_circuit::system::RowKind;
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_graph::{Graph, Interleaving, JointError, Linear, Op, Shape, Storage, TensorId, Visibility, Window};
use zkml_gpu_tests::lies::{Attempt, Case, Kind};
use zkml_gpu_tests::networks::{Builder, SIGNED, Session, embedded, hidden, image, random_inputs, zoo};
use zkml_gpu_tests::random::{random_graph, random_options};
use zkml_gpu_tests::trial::verdict;

/// Values of a public tensor in the model's order. Integers of a graph are far below 2^24, so floats hold them.
fn logical(graph: &Graph, tensor: TensorId, stored: &[i64]) -> Vec<f32> {
    graph.tensors[tensor].to_logical(&stored.iter().map(|v| *v as f32).collect::<Vec<f32>>())
}

/// Inputs of several inferences for a joint graph.
fn together(single: &Graph, joint: &Graph, inferences: &[Vec<Vec<i64>>]) -> Vec<Vec<i64>> {
    let input = |(place, (own, of)): (usize, (&TensorId, &TensorId))| {
        let all: Vec<f32> = inferences.iter().flat_map(|inputs| logical(single, *own, &inputs[place])).collect();
        let tensor = &joint.tensors[*of];
        // The ones of indices are the greatest integers.
        let one = if tensor.storage == zkml_gpu_graph::Storage::OneHot { tensor.format.max } else { 1 };
        tensor.to_stored(&all).into_iter().map(|v| v as i64 * one).collect()
    };
    single.inputs.iter().zip(&joint.inputs).enumerate().map(input).collect()
}

/// Refuses a joint graph whose outputs are not those of the inferences one by one.
fn expect_alike(single: &Graph, joint: &Graph, count: usize, seed: u64) {
    let inferences: Vec<Vec<Vec<i64>>> =
        (0..count as u64).map(|b| random_inputs(single, seed.wrapping_mul(31).wrapping_add(b))).collect();
    let alone: Vec<_> = inferences.iter().map(|inputs| single.run(inputs).expect("it runs alone")).collect();
    let all = joint.run(&together(single, joint, &inferences));
    let all = all.unwrap_or_else(|error| panic!("seed {seed}, {count} together: {error}\n{joint:#?}"));
    for (own, of) in single.outputs.iter().zip(&joint.outputs) {
        let expected: Vec<f32> = alone.iter().flat_map(|run| logical(single, *own, &run.values[*own])).collect();
        assert_eq!(logical(joint, *of, &all.values[*of]), expected, "seed {seed}, {count} together: {joint:#?}");
        assert_eq!(joint.tensors[*of].logical_shape[0], count);
    }
}

/// Random graphs of one inference, with their seeds.
fn singles(seeds: std::ops::Range<u64>) -> impl ParallelIterator<Item = (u64, Graph)> {
    let single = |seed: u64| {
        let graph = random_graph(seed);
        graph.joint(2).is_ok().then_some((seed, graph))
    };
    seeds.into_par_iter().filter_map(single)
}

#[test]
fn outputs_of_a_joint_graph_are_integer_for_integer_those_of_single_ones() {
    let tried: usize = singles(0..600)
        .map(|(seed, graph)| {
            for count in 1..=4 {
                let joint = graph.joint(count).expect("of one inference");
                joint.validate().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                if count == 1 {
                    assert_eq!(joint, graph);
                } else {
                    expect_alike(&graph, &joint, count, seed);
                }
            }
            1
        })
        .sum();
    assert!(tried > 200, "{tried}");
}

#[test]
fn networks_of_the_zoo_are_computed_alike_alone_and_together() {
    let mut tried = 0;
    for (name, graph) in zoo() {
        let Ok(joint) = graph.joint(3) else { continue };
        joint.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        expect_alike(&graph, &joint, 3, 5);
        tried += 1;
    }
    assert!(tried >= 20, "{tried}");
}

#[test]
fn layouts_of_joint_graphs_say_what_their_graphs_say() {
    let layouts: usize = singles(1000..1200)
        .map(|(seed, graph)| {
            let joint = lower(graph.joint(2 + seed as usize % 2).expect("of one inference"));
            match Layout::compile(&joint, &random_options(seed)) {
                Ok(layout) => {
                    verdict(&joint, &layout).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{joint:#?}"));
                    1
                }
                Err(LayoutError::Unsupported { .. }) => 0,
                Err(error) => panic!("seed {seed}: {error}"),
            }
        })
        .sum();
    assert!(layouts > 60, "{layouts}");
}

fn widths() -> LayoutOptions {
    let mut widths = Widths::default();
    (widths.operand_lanes, widths.activation_lanes, widths.weight_columns) = (2, 2, 16);
    let mut options = LayoutOptions::default();
    options.widths = Some(widths);
    options
}

#[test]
fn learned_values_of_a_joint_graph_stand_in_the_weight_bank_once() {
    let mut tried = 0;
    for (name, graph) in zoo() {
        let Ok(joint) = graph.joint(3) else { continue };
        let [one, all] = [graph, joint].map(|graph| {
            let graph = lower(graph);
            let layout = Layout::compile(&graph, &widths()).unwrap_or_else(|error| panic!("{name}: {error}"));
            (graph.parameters(), layout.bank.len())
        });
        assert_eq!(all, one, "{name}");
        tried += 1;
    }
    assert!(tried >= 20, "{tried}");
}

/// A convolution with stride and padding, a pool of its own, and a dense layer.
fn network() -> Graph {
    let window = Window { kernel: [3, 3], stride: [1, 2], pad_before: [1, 1], pad_after: [1, 1], ..Window::UNIT };
    let mut b = Builder::new(41, 6, image(1, 4, 7), (-16, 15));
    let x = b.linear(0, 2, window, [2, 2], 40, (0, 31));
    let flat = Shape::vector(2 * 2 * 2);
    let flat = b.node(Op::Reshape, &[x], flat, (0, 31));
    let y = b.linear(flat, 3, Window::UNIT, [1, 1], 40, (-32, 31));
    b.finish(&[y])
}

/// An attempt that claims other outputs than its witness has.
fn claiming(case: &Case, what: &str, change: impl FnOnce(&mut Vec<i64>)) -> Attempt {
    let mut attempt = case.attempt(Kind::Honest, what.into(), case.execution.clone());
    change(&mut attempt.outputs[0]);
    attempt
}

#[test]
fn a_changed_output_of_one_pair_and_swapped_outputs_of_two_have_no_proof() {
    let case = Case::new(network().joint(3).expect("of one inference"), &widths(), 7).expect("a layout");
    // Output `e` of inference `b` stands at `3·e + b`.
    let honest = case.honest();
    let pair = |b: usize| honest.outputs[0].iter().skip(b).step_by(3).copied().collect::<Vec<i64>>();
    assert_ne!(pair(0), pair(2), "equal outputs may be swapped");
    let lies = [
        claiming(&case, "one output of pair 1", |y| y[1] = if y[1] > 0 { y[1] - 1 } else { y[1] + 1 }),
        claiming(&case, "outputs of pairs 0 and 2", |y| (0..3).for_each(|e| y.swap(3 * e, 3 * e + 2))),
    ];
    let keys = case.keys(7);
    assert!(case.mock(&honest) && case.real(&keys, &honest));
    for lie in &lies {
        assert!(!case.mock(lie) && !case.real(&keys, lie), "{}", lie.what);
    }
}

#[test]
fn no_image_reaches_the_outputs_of_another() {
    let graph = network().joint(2).expect("of one inference");
    let inputs = random_inputs(&graph, 3);
    let before = graph.run(&inputs).expect("it runs");
    let output = graph.outputs[0];
    for place in 0..inputs[0].len() {
        let mut changed = inputs.clone();
        changed[0][place] = if changed[0][place] > 0 { -16 } else { 15 };
        let after = graph.run(&changed).expect("it runs");
        let pairs = before.values[output].iter().zip(&after.values[output]).enumerate();
        assert!(pairs.into_iter().all(|(at, (old, new))| old == new || at % 2 == place % 2), "element {place}");
    }
}

#[test]
fn graphs_of_several_inferences_or_of_none_have_no_joint_one() {
    let single = network();
    assert_eq!(single.joint(0), Err(JointError::Empty));
    let joint = single.joint(2).expect("of one inference");
    assert!(matches!(joint.joint(2), Err(JointError::Several { .. })));
    let error = single.joint(1 << 30).expect_err("too many elements").to_string();
    assert!(error.contains("hint:") && error.contains("too many elements"), "{error}");
    let window = Window { kernel: [1, 2], images: 2, ..Window::UNIT };
    let mut b = Builder::new(1, 6, image(1, 1, 6), (-16, 15));
    let y = b.product(0, Linear { window, ..Linear::dense(1, Vec::new(), Vec::new()) }, 20, (-16, 15));
    let refused = b.finish(&[y]).joint(2).expect_err("of two images").to_string();
    assert!(refused.contains("node 'n") && refused.contains("hint:"), "{refused}");
}

fn accepts(s: &Session) -> bool {
    s.mock(&s.first, &s.outputs, &[]) && s.real(&s.first, &s.outputs, &[])
}

#[test]
fn inferences_are_hidden_together() {
    for (i, (name, graph)) in zoo().into_iter().enumerate() {
        if graph.joint(2).is_err() {
            continue;
        }
        let options = if i % 2 == 0 { LayoutOptions::default() } else { embedded() };
        for visibility in [Visibility::Private, Visibility::Committed, Visibility::Hashed] {
            let graph = hidden(graph.clone(), visibility, visibility);
            let joint = graph.joint(2).expect("of one inference");
            assert_eq!(joint.visibility, graph.visibility);
            expect_alike(&graph, &joint, 2, 11);
            let joint = lower(joint);
            let layout = match Layout::compile(&joint, &options) {
                Ok(layout) => layout,
                // Indices in one-hot form have no hash, alone or together.
                Err(LayoutError::Unsupported { .. }) if visibility == Visibility::Hashed => {
                    assert!(Layout::compile(&lower(graph), &options).is_err(), "{name} is hashed alone");
                    continue;
                }
                Err(error) => panic!("{name}, {visibility:?}: {error}"),
            };
            verdict(&joint, &layout).unwrap_or_else(|error| panic!("{name}, {visibility:?}: {error}"));
            if i % 6 == 0 {
                assert!(accepts(&Session::new(joint, &options, 3)), "{name}, {visibility:?}");
            }
        }
    }
}

#[test]
fn a_hidden_input_may_have_its_cells_before_inferences_are_joined() {
    let single = lower(hidden(network(), Visibility::Private, Visibility::Private));
    assert!(matches!(single.nodes[0].op, Op::Enter));
    let joint = single.joint(3).expect("of one inference");
    joint.validate().expect("a valid graph");
    expect_alike(&single, &joint, 3, 2);
    assert!(accepts(&Session::new(lower(joint), &LayoutOptions::default(), 3)));
}

#[test]
fn every_element_of_a_private_joint_input_is_looked_up() {
    let graph = hidden(network(), Visibility::Private, Visibility::Private).joint(2).expect("of one inference");
    let s = Session::new(graph, &LayoutOptions::default(), 2);
    assert!(accepts(&s));
    let a = &s.layout.architecture;
    let rows = s.layout.results.iter().filter_map(|result| match result.kind {
        RowKind::Entry(kind) => Some((result.row as usize, result.element, kind.lanes)),
        _ => None,
    });
    let mut seen = vec![false; s.inputs[0].len()];
    for (row, element, lanes) in rows {
        for lane in 0..lanes {
            seen[element as usize + lane] = true;
            // The table has no 16, by whatever name.
            for column in [a.rounded(lane), a.activated(lane), a.saturation(lane)] {
                let changed = [(column, row, Fr::from(16))];
                assert!(!s.mock(&s.first, &s.outputs, &changed), "element {element}, lane {lane}");
            }
            if element % 7 == 0 && lane == 0 {
                assert!(!s.real(&s.first, &s.outputs, &[(a.activated(lane), row, Fr::from(16))]), "element {element}");
            }
        }
    }
    assert!(seen.into_iter().all(|seen| seen), "an element of an inference without a row");
}

/// Rows of a table at two indices, which are one-hot, beside another input.
fn indices() -> Graph {
    let mut b = Builder::new(72, 6, image(4, 1, 2), (0, 64));
    let other = b.input(image(2, 1, 2), SIGNED);
    let x = b.linear(0, 2, Window::UNIT, [1, 1], 60, SIGNED);
    let (multipliers, shared) = (vec![64, 64], Interleaving::NONE);
    let combine = Op::Combine { multipliers, offset: Vec::new(), shared, width: None };
    let y = b.node(combine, &[x, other], image(2, 1, 2), SIGNED);
    let mut graph = b.finish(&[y]);
    graph.tensors[0].storage = Storage::OneHot;
    graph.tensors[0].logical_shape = vec![1, 2];
    graph
}

#[test]
fn every_private_index_of_every_inference_is_one() {
    for options in [LayoutOptions::default(), embedded()] {
        let graph = hidden(indices(), Visibility::Private, Visibility::Private).joint(3).expect("of one inference");
        let s = Session::new(graph, &options, 4);
        assert!(accepts(&s));
        let a = s.layout.architecture.clone();
        let node = s.graph.nodes.iter().position(|node| node.inputs == [s.graph.inputs[0]]).expect("cells");
        let tensor = s.graph.nodes[node].output;
        let set = |first: &mut FirstPhase, element: usize, [rounded, value, saturation]: [i64; 3]| {
            for result in s.layout.results.iter().filter(|result| result.node as usize == node) {
                let RowKind::OneHot(kind) = result.kind else { panic!("{:?}", result.kind) };
                let lane = element.wrapping_sub(result.element as usize);
                if lane < kind.lanes {
                    let cells = [a.rounded(lane), a.activated(lane), a.saturation(lane)];
                    let values = cells.into_iter().zip([rounded, value, saturation]);
                    values.for_each(|(column, value)| first.columns[column][result.row as usize] = value);
                }
            }
            let operands = s.layout.operands.iter();
            let copies = operands.filter(|cell| (cell.tensor as usize, cell.element as usize) == (tensor, element));
            copies.for_each(|cell| first.columns[a.operand(cell.lane as usize)][cell.row as usize] = value);
        };
        let rejects = |what: &str, real: bool, lie: &dyn Fn(&mut FirstPhase)| {
            let mut first = s.first.clone();
            lie(&mut first);
            first.fill_products(&s.layout);
            first.fill_multiplicities(&s.layout);
            assert_ne!(first.columns, s.first.columns, "{what}: nothing changed");
            assert!(!s.mock(&first, &s.outputs, &[]), "{what}: MockProver");
            assert!(!real || !s.real(&first, &s.outputs, &[]), "{what}: real proof");
        };
        let one = s.graph.tensors[tensor].format.max;
        // Two indices of each of three inferences, one after the other.
        let count = 6;
        let channel = |index: usize| (0..4).find(|c| s.inputs[0][c * count + index] == one).expect("an index");
        for index in 0..count {
            let at = channel(index);
            rejects(&format!("no index {index}"), true, &|first| set(first, at * count + index, [0, 0, -1]));
            let two = (at + 1) % 4 * count + index;
            rejects(&format!("two of index {index}"), true, &|first| set(first, two, [1, one, 1]));
            // A one too many here, and one too few for an index of another inference.
            let other = (index + 2) % count;
            rejects(&format!("the one of index {other} at {index}"), index == 0, &|first| {
                set(first, two, [1, one, 1]);
                set(first, channel(other) * count + other, [0, 0, -1]);
            });
        }
    }
}

#[test]
fn the_hash_of_a_joint_tensor_is_that_of_its_inferences_one_after_the_other() {
    let single = hidden(network(), Visibility::Hashed, Visibility::Hashed);
    let alone: Vec<Vec<Vec<i64>>> = (0..3).map(|b| random_inputs(&single, 20 + b)).collect();
    let joint = lower(single.joint(3).expect("of one inference"));
    let poseidon = Poseidon::new();
    let hash = |tensor: &zkml_gpu_graph::Tensor, values: &[i64]| {
        hash_tensor(&poseidon, tensor.format, values, None).expect("values in range")
    };
    let outputs: Vec<i64> = alone
        .iter()
        .flat_map(|inputs| single.run(inputs).expect("it runs").values[single.outputs[0]].clone())
        .collect();
    let inputs: Vec<i64> = alone.iter().flat_map(|inputs| inputs[0].clone()).collect();
    let expected =
        vec![hash(&single.tensors[single.inputs[0]], &inputs), hash(&single.tensors[single.outputs[0]], &outputs)];
    for options in [LayoutOptions::default(), embedded()] {
        let s = Session::with_inputs(joint.clone(), &options, 3, vec![inputs.clone()]);
        assert_eq!(s.first.tensor_hashes, expected);
        assert!(accepts(&s));
    }
    // Inferences in another order are another tensor.
    let swapped: Vec<i64> = alone.iter().rev().flat_map(|inputs| inputs[0].clone()).collect();
    assert_ne!(hash(&single.tensors[single.inputs[0]], &swapped), expected[0]);
}
