//! Random graphs: what an honest prover shows is accepted, and every lie is rejected.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use zkml_gpu_circuits::{
    graph::{Graph, Op},
    layout::{Layout, LayoutError, lower},
};
use zkml_gpu_tests::{
    audit::audit,
    lies::{Case, Kind, lies},
    networks::random_inputs,
    random::{random_graph, random_options},
};

fn kind(op: &Op) -> &'static str {
    match op {
        Op::Linear(_) => "product",
        Op::Combine { .. } => "sum",
        Op::MaxPool(_) => "maximum",
        Op::AveragePool { .. } => "mean",
        Op::Reshape => "reshape",
        Op::Rearrange { .. } => "rearrangement",
        Op::MatMul(_) => "product of activations",
        Op::Multiply(_) => "product by element",
        Op::Softmax(_) => "softmax",
        Op::Normalise(_) => "normalisation",
        Op::ArgMax { .. } => "index of a maximum",
        _ => "another",
    }
}

/// Why a graph has no layout, in few words.
fn reason(error: &LayoutError) -> String {
    match error {
        LayoutError::Unsupported { reason, .. } => reason.clone(),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// Share of requantised values at an end of their range.
fn saturated(graph: &Graph, seed: u64) -> (usize, usize) {
    let run = graph.run(&random_inputs(graph, seed)).expect("the graph runs");
    let (mut ends, mut all) = (0, 0);
    for node in graph.nodes.iter().filter(|node| node.op.requantises()) {
        let format = graph.tensors[node.output].format;
        let is_end = |v: &&i64| **v == format.max || **v == format.min;
        ends += run.values[node.output].iter().filter(is_end).count();
        all += run.values[node.output].len();
    }
    (ends, all)
}

#[test]
fn random_graphs_have_every_operation_and_mostly_layouts() {
    const GRAPHS: u64 = 400;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let (mut ends, mut all, mut k) = (0, 0, BTreeMap::new());
    let compiled: Vec<_> = (0..GRAPHS)
        .into_par_iter()
        .map(|seed| {
            let graph = lower(random_graph(seed));
            let layout = Layout::compile(&graph, &random_options(seed));
            let saturated = saturated(&graph, seed);
            (graph, layout.map(|layout| layout.k).map_err(|error| reason(&error)), saturated)
        })
        .collect();
    for (graph, layout, (at_end, of)) in compiled {
        graph.nodes.iter().for_each(|node| *kinds.entry(kind(&node.op)).or_default() += 1);
        match layout {
            Ok(log) => *k.entry(log).or_insert(0) += 1,
            Err(reason) => *reasons.entry(reason).or_default() += 1,
        }
        ends += at_end;
        all += of;
    }
    println!("{kinds:?}\n{reasons:?}\n{ends} of {all} saturated\nk: {k:?}");
    assert_eq!(kinds.len(), 11, "{kinds:?}");
    assert!(kinds.values().all(|count| *count >= 60), "{kinds:?}");
    assert!(ends * 3 < all, "{ends} of {all} values lie at an end of their range");
    assert!(reasons.keys().all(|reason| reason.contains("something else reads")), "{reasons:?}");
    assert!(reasons.values().sum::<usize>() as u64 * 10 < GRAPHS, "{reasons:?}");
}

#[test]
fn probe() {
    let n: u64 = std::env::var("N").map_or(20, |n| n.parse().unwrap());
    let start = std::time::Instant::now();
    (0..n).into_par_iter().for_each(|seed| {
        let Ok(case) = Case::new(random_graph(seed), &random_options(seed), seed) else { return };
        let audited = audit(&case.graph, &case.layout);
        let honest = case.mock(&case.honest());
        if let Err(error) = &audited {
            println!("seed {seed}: audit {error}");
        }
        if !honest {
            println!("seed {seed}: honest REFUSED");
            return;
        }
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        for lie in lies(&case, rng, 2) {
            if case.mock(&lie) && !case.is_void(&lie) {
                println!("seed {seed}: ACCEPTED {:?} {}", lie.kind, lie.what);
            }
        }
    });
    println!("{:?}", start.elapsed());
    let _ = Kind::LIES;
}
