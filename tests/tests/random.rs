//! Random graphs: what an honest prover shows is accepted, every lie is rejected, and a graph written differently is
//! the same.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::placement::Widths;
use zkml_gpu_circuit::system::{FixedRole, WeightMode};
use zkml_gpu_graph::{Graph, MatMul, Op, Origin, Rescale, Shape, Window};
use zkml_gpu_tests::lies::{Case, Kind, copied_pairs, lies};
use zkml_gpu_tests::networks::{Builder, image, random_inputs, square};
use zkml_gpu_tests::random::{random_graph, random_options};
use zkml_gpu_tests::rewrite::rewritten;
use zkml_gpu_tests::trial::{Effort, Tally, trial};

/// The trials of these seeds, with their failures.
fn trials(seeds: std::ops::Range<u64>, effort: impl Fn(u64) -> Effort + Sync) -> Tally {
    let results: Vec<_> = seeds.into_par_iter().map(|seed| trial(seed, effort(seed))).collect();
    let (tallies, problems): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let problems: Vec<String> = problems.into_iter().filter_map(Result::err).collect();
    let last_lines: Vec<&str> = problems.iter().filter_map(|problem| problem.lines().last()).collect();
    assert!(problems.is_empty(), "{}\n{} of them:\n{}", problems[0], problems.len(), last_lines.join("\n"));
    tallies.into_iter().flatten().fold(Tally::default(), Tally::with)
}

#[test]
fn random_graphs_keep_their_honest_inferences_and_refuse_every_lie() {
    // So many that each sort of lie is told 50 times; scripts/audit.sh tells more of them.
    const GRAPHS: u64 = 240;
    let effort = |seed: u64| Effort { lies: 2, real: seed % 20 < 2, rewrites: seed.is_multiple_of(4), layouts: 1 };
    let tally = trials(0..GRAPHS, effort);
    println!("{tally:#?}");
    // What is not tried shows nothing: every operation, every sort of lie, every way to write a graph.
    assert!(tally.operations.len() == 11 && tally.operations.values().all(|count| *count >= 33), "{tally:?}");
    assert!(tally.lies.len() == Kind::LIES.len() && tally.lies.values().all(|count| *count >= 50), "{tally:?}");
    assert!(tally.rewritten.len() == 11 && tally.rewritten.values().all(|count| *count >= 3), "{tally:?}");
    assert!(tally.proofs.len() == 2 && tally.proofs.values().all(|count| *count >= 4), "{tally:?}");
    // Nothing is skipped but for the three reasons that there are, and that rarely.
    assert_eq!((tally.graphs as u64, tally.checked), (GRAPHS, tally.honest), "{tally:?}");
    assert!(tally.wider > 10 * tally.without && tally.wider as u64 > GRAPHS / 2, "{tally:?}");
    let reasons = ["reads with another padding", "uneven distances", "an index that everybody sees"];
    let known = |reason: &String| reasons.iter().any(|known| reason.contains(known));
    assert!(tally.refused.keys().all(known), "{tally:?}");
    assert!(tally.joint > 20, "{tally:?}");
    assert!(tally.layouts() * 20 > tally.graphs * 17, "{tally:?}");
}

#[test]
fn most_values_of_random_graphs_lie_inside_their_ranges() {
    let (mut ends, mut all) = (0, 0);
    for seed in 0..200 {
        let graph = random_graph(seed);
        let run = graph.run(&random_inputs(&graph, seed)).expect("the graph runs");
        for node in graph.nodes.iter().filter(|node| node.op.requantises()) {
            let format = graph.tensors[node.output].format;
            let values = &run.values[node.output];
            ends += values.iter().filter(|v| **v == format.max || **v == format.min).count();
            all += values.len();
        }
    }
    assert!(ends * 3 < all, "{ends} of {all} values lie at an end of their range");
}

/// The case without one of its identities: nothing says any more what it said.
fn without_identity(case: &Case, identity: usize) -> Case {
    let (layout, mut changed) = (&case.layout, case.layout.clone());
    for (column, role) in layout.architecture.fixed.iter().enumerate() {
        let (FixedRole::Identity(slot) | FixedRole::Term { slot, .. }) = role else { continue };
        let numbers = layout.architecture.fixed.iter().position(|r| *r == FixedRole::Identity(*slot));
        let numbers = &layout.fixed[numbers.expect("a column of numbers")];
        let is_of = |row: u32| numbers.contains(&(row, identity as i64 + 1));
        changed.fixed[column].retain(|(row, _)| !is_of(*row));
    }
    let Case { graph, bank, inputs, execution, first, .. } = case;
    let (graph, bank, first) = (graph.clone(), bank.clone(), first.clone());
    Case { graph, layout: changed, bank, inputs: inputs.clone(), execution: execution.clone(), first }
}

#[test]
fn lies_are_accepted_where_an_identity_is_missing() {
    let found: Vec<(usize, usize)> = (100..107u64)
        .into_par_iter()
        .map(|seed| {
            let Ok(case) = Case::new(random_graph(seed), &random_options(seed), seed) else { return (0, 0) };
            let rng = &mut ChaCha20Rng::seed_from_u64(seed);
            let told: Vec<_> = lies(&case, rng, 32).into_iter().filter(|lie| !case.is_void(lie)).collect();
            let believed = |identity: &usize| {
                let changed = without_identity(&case, *identity);
                assert!(changed.mock(&case.honest()), "seed {seed}: honest, without identity {identity}");
                told.iter().any(|lie| changed.mock(lie))
            };
            (case.layout.identities, (0..case.layout.identities).filter(believed).count())
        })
        .collect();
    let (identities, believed) = found.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("{believed} of {identities}");
    assert!(identities > 40 && believed * 20 > identities * 17, "{believed} of {identities}");
}

fn elements(operand: u32, elements: impl IntoIterator<Item = u32>) -> impl Iterator<Item = Origin> {
    elements.into_iter().map(move |element| Origin::Element { operand, element })
}

/// `[p0, q2, q3]` is claimed, and the first three of `q` are rows that a product reads: its rows of lanes leave a gap
/// between them and the other three, through which the pieces of the claim go.
fn claimed_pieces_of_rows() -> Graph {
    let mut b = Builder::new(21, 6, Shape::vector(4), (-16, 15));
    let q = b.linear(0, 6, Window::UNIT, [1, 1], 40, (-32, 31));
    let p = b.linear(0, 3, Window::UNIT, [1, 1], 40, (-32, 31));
    let pieces = elements(0, [0]).chain(elements(1, [2, 3]));
    let claimed = b.rearranged(&[p, q], Shape::vector(3), (-128, 127), pieces);
    let rows = b.rearranged(&[q], image(1, 1, 3), (-32, 31), elements(0, 0..3));
    let rescale = Rescale { multiplier: 1, limbs: 1 };
    let product = MatMul {
        heads: 1,
        inner: 1,
        rows: 3,
        columns: 3,
        head_minor: false,
        inferences: 1,
        rescale,
        summands: Vec::new(),
        width: None,
    };
    let product = b.node(Op::MatMul(product), &[rows, rows], image(3, 1, 3), (-32, 31));
    b.finish(&[claimed, product])
}

/// `[p0..p3, q1, q2, p2, p3]` of two images of 2 × 2 is claimed, and `q` is a channel that a convolution reads with
/// padding between its rows.
fn claimed_pieces_of_an_image() -> Graph {
    let mut b = Builder::new(22, 6, image(1, 2, 2), (-16, 15));
    let q = b.linear(0, 2, square(1, 1, 0), [1, 1], 60, (-32, 31));
    let p = b.linear(0, 1, square(1, 1, 0), [1, 1], 60, (-32, 31));
    let pieces = elements(0, 0..4).chain(elements(1, [1, 2])).chain(elements(0, [2, 3]));
    let claimed = b.rearranged(&[p, q], Shape::vector(8), (-128, 127), pieces);
    let channel = b.rearranged(&[q], image(1, 2, 2), (-32, 31), elements(0, 0..4));
    let read = b.linear(channel, 1, square(3, 1, 1), [1, 1], 20, (-32, 31));
    b.finish(&[claimed, read])
}

/// The layout is refused, or the honest claim is accepted and no pair of its elements can be changed together.
fn no_pair_of_a_claim_can_be_forged(graph: fn() -> Graph, lanes: usize, weights: WeightMode) {
    let mut widths = Widths::default();
    (widths.operand_lanes, widths.lookup_group) = (lanes, 2);
    let mut options = LayoutOptions::default();
    (options.widths, options.weights) = (Some(widths), weights);
    for seed in 0..8 {
        let Ok(case) = Case::new(graph(), &options, seed) else { continue };
        if let Some(lie) = copied_pairs(&case, case.graph.outputs[0]).iter().find(|lie| case.mock(lie)) {
            let proved = if case.real(&case.keys(seed), lie) { "proved" } else { "accepted by MockProver" };
            let [honest, claimed] = [&case.honest(), lie].map(|attempt| attempt.outputs[0].clone());
            panic!("{lanes} lanes, {weights:?}, seed {seed}: {claimed:?} is {proved}, but the output is {honest:?}");
        }
        assert!(case.mock(&case.honest()), "{lanes} lanes, {weights:?}, seed {seed}: MockProver");
        assert!(seed > 0 || case.real(&case.keys(seed), &case.honest()), "{lanes} lanes, {weights:?}: real proof");
    }
}

#[test]
fn pieces_of_rows_cannot_be_forged() {
    for weights in [WeightMode::Committed, WeightMode::Embedded] {
        [1, 2, 3, 4].into_iter().for_each(|lanes| {
            no_pair_of_a_claim_can_be_forged(claimed_pieces_of_rows, lanes, weights);
        });
    }
}

#[test]
fn pieces_of_a_padded_image_cannot_be_forged() {
    for weights in [WeightMode::Committed, WeightMode::Embedded] {
        [1, 2, 4].into_iter().for_each(|lanes| {
            no_pair_of_a_claim_can_be_forged(claimed_pieces_of_an_image, lanes, weights);
        });
    }
}

#[test]
fn graphs_are_the_same_however_they_are_written() {
    let mut ways = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let graph = random_graph(seed);
        let inputs = random_inputs(&graph, seed);
        let outputs = |graph: &Graph| -> Vec<Vec<i64>> {
            let run = graph.run(&inputs).expect("the graph runs");
            graph.outputs.iter().map(|output| run.values[*output].clone()).collect()
        };
        for (name, other) in rewritten(&graph, seed) {
            assert_eq!(outputs(&other), outputs(&graph), "seed {seed}, {name}");
            ways.insert(name);
        }
    }
    assert_eq!(ways.len(), 11, "{ways:?}");
}
