//! One random graph on trial: its layout, an honest inference, lies, and other ways to write it.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::check::check;
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{LayoutError, lower};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_graph::{Graph, Op};

use crate::audit::audit;
use crate::lies::{Attempt, Case, Kind, lies};
use crate::networks::random_inputs;
use crate::random::{random_graph, random_options};
use crate::rewrite::rewritten;

/// How much a trial does.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Lies of each sort.
    pub lies: usize,
    /// Whether real proofs are made: of the honest inference, and of one lie of each sort.
    pub real: bool,
    /// Whether the graph is written differently.
    pub rewrites: bool,
    /// Further layouts of the graph that are checked, of other widths.
    pub layouts: u64,
}

/// What trials saw.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Graphs.
    pub graphs: usize,
    /// Graphs without a layout, by reason.
    pub refused: BTreeMap<String, usize>,
    /// Layouts that say what their graphs say.
    pub checked: usize,
    /// Layouts of other widths that say what their graphs say.
    pub wider: usize,
    /// Other widths that have no layout.
    pub without: usize,
    /// Honest inferences that MockProver accepted.
    pub honest: usize,
    /// Lies that MockProver rejected, by sort.
    pub lies: BTreeMap<Kind, usize>,
    /// Lies that say nothing false.
    pub void: usize,
    /// Honest inferences with a real proof, by where the weights are.
    pub proofs: BTreeMap<&'static str, usize>,
    /// Lies without a real proof.
    pub unproven: usize,
    /// Other ways to write a graph, by name.
    pub rewritten: BTreeMap<&'static str, usize>,
    /// Graphs of several inferences.
    pub joint: usize,
    /// Nodes, by operation.
    pub operations: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Adds what others saw.
    pub fn with(mut self, other: Self) -> Self {
        fn merge<K: Ord>(into: &mut BTreeMap<K, usize>, from: BTreeMap<K, usize>) {
            from.into_iter().for_each(|(key, count)| *into.entry(key).or_default() += count);
        }
        self.graphs += other.graphs;
        self.checked += other.checked;
        self.wider += other.wider;
        self.without += other.without;
        self.honest += other.honest;
        self.void += other.void;
        self.unproven += other.unproven;
        self.joint += other.joint;
        merge(&mut self.refused, other.refused);
        merge(&mut self.lies, other.lies);
        merge(&mut self.proofs, other.proofs);
        merge(&mut self.rewritten, other.rewritten);
        merge(&mut self.operations, other.operations);
        self
    }

    /// Layouts that were made.
    pub fn layouts(&self) -> usize {
        self.graphs - self.refused.values().sum::<usize>()
    }
}

/// Whether a layout says what its graph says: by the check that keys are made after, and by the audit, which must
/// agree.
///
/// # Errors
/// Where it does not, or they differ.
pub fn verdict(graph: &Graph, layout: &Layout) -> Result<(), String> {
    match (check(graph, layout, &Bank::new(layout, graph)), audit(graph, layout)) {
        (Ok(_), Ok(_)) => Ok(()),
        (checked, audited) => Err(format!("the check: {checked:?}, the audit: {audited:?}")),
    }
}

/// Most elements of a graph of several inferences.
const MOST_JOINT: usize = 400;

/// The graph of a seed; for every third one several inferences of it, where it is one of one alone and small.
pub fn graph_of(seed: u64) -> (Graph, usize) {
    let graph = random_graph(seed);
    let elements: usize = graph.tensors.iter().map(|tensor| tensor.shape.len()).sum();
    let inferences = if seed % 3 == 2 { (2..=4).rev().find(|n| n * elements <= MOST_JOINT).unwrap_or(1) } else { 1 };
    match graph.joint(inferences) {
        Ok(joint) => (joint, inferences),
        Err(_) => (graph, 1),
    }
}

/// Tries the graph of a seed.
///
/// # Errors
/// What went wrong, with the graph.
pub fn trial(seed: u64, effort: Effort) -> Result<Tally, String> {
    let ((graph, inferences), options) = (graph_of(seed), random_options(seed));
    let mut tally = Tally { graphs: 1, joint: usize::from(inferences > 1), ..Tally::default() };
    graph.nodes.iter().for_each(|node| *tally.operations.entry(operation(&node.op)).or_default() += 1);
    let report = |problem: String| {
        let lowered = lower(graph.clone());
        format!("seed {seed}: {problem}\n{options:#?}\n{lowered:#?}\nseed {seed}: {problem}")
    };
    let case = match Case::new(graph.clone(), &options, seed) {
        Ok(case) => case,
        Err(error) => {
            let reason = refusal(&error).ok_or_else(|| report(format!("no layout: {error}")))?;
            tally.refused.insert(reason, 1);
            return Ok(tally);
        }
    };
    let told = try_case(&case, seed, effort, &mut tally).map_err(report)?;
    for other in 0..effort.layouts {
        let options = random_options(seed.wrapping_mul(1 << 8).wrapping_add(other));
        let other = |problem: String| report(format!("{options:#?}: {problem}"));
        match Layout::compile(&case.graph, &options) {
            Ok(layout) => verdict(&case.graph, &layout).map_err(other)?,
            Err(error) if refusal(&error).is_some() => {
                tally.without += 1;
                continue;
            }
            Err(error) => return Err(other(format!("no layout: {error}"))),
        }
        tally.wider += 1;
    }
    if effort.real {
        prove(&case, &told, seed, &mut tally).map_err(report)?;
    }
    if effort.rewrites {
        rewrites(&graph, &options, seed, &mut tally).map_err(report)?;
    }
    Ok(tally)
}

/// Checks a layout, shows an honest inference, and lies; returns the lies.
fn try_case(case: &Case, seed: u64, effort: Effort, tally: &mut Tally) -> Result<Vec<Attempt>, String> {
    let checked = verdict(&case.graph, &case.layout);
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let (void, told): (Vec<_>, Vec<_>) = lies(case, rng, effort.lies).into_iter().partition(|lie| case.is_void(lie));
    if let Some(lie) = told.iter().find(|lie| case.mock(lie)) {
        return Err(format!("a lie is accepted: {:?}, {}; the check says {checked:?}", lie.kind, lie.what));
    }
    if !case.mock(&case.honest()) {
        return Err(format!("an honest inference is rejected; the check says {checked:?}"));
    }
    checked?;
    tally.checked += 1;
    tally.honest += 1;
    tally.void += void.len();
    told.iter().for_each(|lie| *tally.lies.entry(lie.kind).or_default() += 1);
    Ok(told)
}

/// Real proofs of an honest inference and of one lie of each sort.
fn prove(case: &Case, told: &[Attempt], seed: u64, tally: &mut Tally) -> Result<(), String> {
    let keys = case.keys(seed);
    if !case.real(&keys, &case.honest()) {
        return Err("an honest inference has no real proof".into());
    }
    for lie in Kind::LIES.iter().filter_map(|kind| told.iter().find(|lie| lie.kind == *kind)) {
        if case.real(&keys, lie) {
            return Err(format!("a lie is proved: {:?}, {}", lie.kind, lie.what));
        }
        tally.unproven += 1;
    }
    let mode = match case.layout.architecture.weights {
        WeightMode::Committed => "committed",
        WeightMode::Embedded => "embedded",
    };
    *tally.proofs.entry(mode).or_default() += 1;
    Ok(())
}

/// The same for every other way to write the graph, whose outputs must be the same.
fn rewrites(graph: &Graph, options: &LayoutOptions, seed: u64, tally: &mut Tally) -> Result<(), String> {
    let inputs = random_inputs(graph, seed);
    let outputs = |graph: &Graph| -> Vec<Vec<i64>> {
        let run = graph.run(&inputs).expect("the graph runs");
        graph.outputs.iter().map(|output| run.values[*output].clone()).collect()
    };
    for (name, other) in rewritten(graph, seed) {
        let problem = |problem: String| format!("{name}: {problem}\n{:#?}", lower(other.clone()));
        if outputs(&other) != outputs(graph) {
            return Err(problem("other outputs".into()));
        }
        match Case::with_inputs(other.clone(), options, inputs.clone()) {
            Ok(case) => {
                let effort = Effort { lies: 1, real: false, rewrites: false, layouts: 1 };
                try_case(&case, seed, effort, tally).map_err(problem)?;
                *tally.rewritten.entry(name).or_default() += 1;
            }
            Err(error) => {
                refusal(&error).ok_or_else(|| problem(format!("no layout: {error}")))?;
            }
        }
    }
    Ok(())
}

/// Why a graph may have no layout, in few words; `None` for what should not happen.
fn refusal(error: &LayoutError) -> Option<String> {
    match error {
        LayoutError::Unsupported { reason, .. } => {
            Some(reason.chars().filter(|c| !c.is_ascii_digit()).collect::<String>().replace("  ", " "))
        }
        _ => None,
    }
}

/// The name of an operation.
pub const fn operation(op: &Op) -> &'static str {
    match op {
        Op::Linear(_) => "product",
        Op::Combine { .. } => "combination",
        Op::MaxPool(_) => "maximum",
        Op::AveragePool { .. } => "mean",
        Op::Reshape => "reshape",
        Op::Rearrange { .. } => "rearrangement",
        Op::MatMul(_) => "product of activations",
        Op::Multiply(_) => "product by element",
        Op::Softmax(_) => "softmax",
        Op::Normalise(_) => "normalisation",
        Op::ArgMax { .. } => "index of a maximum",
        Op::Enter => "hidden input",
    }
}
