//! The sorts of lies.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_graph::{Op, Storage, TensorId, Visibility};

use super::{Attempt, Case, group, reader};
use crate::carry::{Change, Written, carried};

/// What an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No lie.
    Honest,
    /// An output is claimed that is not the witness's.
    Claim,
    /// Two elements of a claim are changed by as much in opposite directions.
    ClaimedPair,
    /// A result is another value, with an accumulator for it.
    Result,
    /// Two results of a node are changed by as much in opposite directions.
    ResultPair,
    /// What reads a tensor reads another value than stands there.
    Copy,
    /// What reads a tensor reads two values changed by as much in opposite directions.
    CopyPair,
    /// One node reads another value than others read, or two changed by as much in opposite directions.
    Reader,
    /// What a softmax or a normalisation finds out about a group is another value.
    Group,
    /// Two tensors are changed so that a combination of them stays as it is.
    Cancelling,
    /// A column of a committed tensor holds another tensor than the cells that it is the commitment of.
    Committed,
    /// A hidden index in one-hot form has no 1, or another one.
    Index,
}

impl Kind {
    /// All lies.
    pub const LIES: [Self; 11] = [
        Self::Claim,
        Self::ClaimedPair,
        Self::Result,
        Self::ResultPair,
        Self::Copy,
        Self::CopyPair,
        Self::Reader,
        Self::Group,
        Self::Cancelling,
        Self::Committed,
        Self::Index,
    ];
}

/// Up to `count` random lies of each sort.
pub fn lies(case: &Case, rng: &mut ChaCha20Rng, count: usize) -> Vec<Attempt> {
    let mut all = Vec::new();
    for kind in Kind::LIES {
        // Where the first choice admits no lie, another may.
        all.extend((0..4 * count).filter_map(|_| lie(case, rng, kind)).take(count));
    }
    all
}

fn lie(case: &Case, rng: &mut ChaCha20Rng, kind: Kind) -> Option<Attempt> {
    match kind {
        Kind::Honest => None,
        Kind::Claim => {
            let (port, element) = claim(case, rng)?;
            let delta = if rng.gen_bool(0.5) { 1 } else { -1 };
            claimed(case, kind, port, &[(element, delta)])
        }
        Kind::ClaimedPair => {
            let port = claim(case, rng)?.0;
            let tensor = case.graph.outputs[port];
            claimed(case, kind, port, &pair(case, rng, tensor)?)
        }
        Kind::Result | Kind::ResultPair => {
            let tensor = producer(case, rng, |op| !matches!(op, Op::Reshape | Op::Rearrange { .. } | Op::Enter))?;
            let deltas = deltas(case, rng, tensor, kind == Kind::ResultPair)?;
            changed(case, kind, &changes(case, tensor, &deltas, Written::Result))
        }
        Kind::Copy | Kind::CopyPair => {
            let rearranged = producer(case, rng, |op| matches!(op, Op::Rearrange { .. }));
            let any = producer(case, rng, |op| !matches!(op, Op::Reshape));
            let visible = |input: &&TensorId| !case.graph.input_visibility(**input).is_some_and(Visibility::is_hidden);
            let inputs: Vec<TensorId> = case.graph.inputs.iter().filter(visible).copied().collect();
            let input = inputs.choose(rng).copied();
            let tensor = [rearranged, rearranged, any, any, input].into_iter().flatten().collect::<Vec<_>>();
            let tensor = *tensor.choose(rng)?;
            let deltas = deltas(case, rng, tensor, kind == Kind::CopyPair)?;
            changed(case, kind, &changes(case, tensor, &deltas, Written::Copies))
        }
        Kind::Reader => reader::lie(case, rng),
        Kind::Group => group::lie(case, rng),
        Kind::Cancelling => cancelling(case, rng),
        Kind::Committed => committed(case, rng),
        Kind::Index => index(case, rng),
    }
}

/// All pairs of a tensor's elements: of each the one takes what the other has, which becomes 0; and one more and one
/// less.
pub fn pairs(case: &Case, tensor: TensorId) -> Vec<[(usize, i64); 2]> {
    let values = &case.execution.values[tensor];
    let mut all = Vec::new();
    for (i, j) in (0..values.len()).flat_map(|i| (0..values.len()).map(move |j| (i, j))).filter(|(i, j)| i != j) {
        let mut deltas = vec![values[j], -values[i], 1];
        deltas.sort_unstable();
        deltas.dedup();
        all.extend(deltas.into_iter().filter(|delta| *delta != 0).map(|delta| [(i, delta), (j, -delta)]));
    }
    all
}

/// The attempts to read each pair of a tensor's elements falsely.
pub fn copied_pairs(case: &Case, tensor: TensorId) -> Vec<Attempt> {
    let attempt =
        |deltas: [(usize, i64); 2]| changed(case, Kind::CopyPair, &changes(case, tensor, &deltas, Written::Copies));
    pairs(case, tensor).into_iter().filter_map(attempt).collect()
}

/// A public output and one of its elements.
fn claim(case: &Case, rng: &mut ChaCha20Rng) -> Option<(usize, usize)> {
    let is_public = |port: &usize| !case.graph.visibility.output(*port).is_hidden();
    let ports: Vec<usize> = (0..case.graph.outputs.len()).filter(is_public).collect();
    let port = *ports.choose(rng)?;
    Some((port, rng.gen_range(0..case.graph.tensors[case.graph.outputs[port]].shape.len())))
}

/// Another value in a column of a committed tensor, which the prover commits to as well.
fn committed(case: &Case, rng: &mut ChaCha20Rng) -> Option<Attempt> {
    let ports: Vec<_> = case.layout.statement.ports().filter(|port| port.committed_columns() > 0).collect();
    let port = ports.choose(rng)?;
    let element = rng.gen_range(0..port.len);
    let (column, row) = port.placement.committed_cell(element)?;
    let delta = [1, -1, 100][rng.gen_range(0..3)];
    let what = format!("element {element} of the committed '{}': {delta}", port.name);
    let mut attempt = case.attempt(Kind::Committed, what, case.execution.clone());
    attempt.first.columns[case.layout.architecture.committed(column)][row] += delta;
    Some(attempt)
}

/// One element of a hidden one-hot form becomes 1 or 0, and all that reads it follows.
fn index(case: &Case, rng: &mut ChaCha20Rng) -> Option<Attempt> {
    let is_one_hot = |tensor: &TensorId| case.graph.tensors[*tensor].storage == Storage::OneHot;
    let entered = case.graph.nodes.iter().filter(|node| matches!(node.op, Op::Enter)).map(|node| node.output);
    let tensors: Vec<TensorId> = entered.filter(is_one_hot).collect();
    let tensor = *tensors.choose(rng)?;
    let element = rng.gen_range(0..case.graph.tensors[tensor].shape.len());
    let (one, value) = (case.graph.tensors[tensor].format.max, case.execution.values[tensor][element]);
    let delta = if value == 0 { one } else { -value };
    changed(case, Kind::Index, &changes(case, tensor, &[(element, delta)], Written::Result))
}

/// The result of some node of a kind.
fn producer(case: &Case, rng: &mut ChaCha20Rng, takes: impl Fn(&Op) -> bool) -> Option<TensorId> {
    let nodes: Vec<TensorId> = case.graph.nodes.iter().filter(|node| takes(&node.op)).map(|node| node.output).collect();
    nodes.choose(rng).copied()
}

/// One element's change, or a pair of them.
pub(super) fn deltas(case: &Case, rng: &mut ChaCha20Rng, tensor: TensorId, paired: bool) -> Option<Vec<(usize, i64)>> {
    if paired {
        return pair(case, rng, tensor);
    }
    let element = rng.gen_range(0..case.execution.values[tensor].len());
    let format = case.graph.tensors[tensor].format;
    let delta = match rng.gen_range(0..4) {
        0 => rng.gen_range(format.min..=format.max) - case.execution.values[tensor][element],
        1 | 2 => 1,
        _ => -1,
    };
    Some(vec![(element, delta)])
}

fn pair(case: &Case, rng: &mut ChaCha20Rng, tensor: TensorId) -> Option<Vec<(usize, i64)>> {
    let values = &case.execution.values[tensor];
    let (i, j) = (rng.gen_range(0..values.len()), rng.gen_range(0..values.len()));
    let delta = [values[j], -values[i], 1][rng.gen_range(0..3)];
    (i != j).then(|| vec![(i, delta), (j, -delta)])
}

pub(super) fn changes(case: &Case, tensor: TensorId, deltas: &[(usize, i64)], written: Written) -> Vec<Change> {
    let values = &case.execution.values[tensor];
    let change = |(element, delta): &(usize, i64)| {
        let value = values[*element] + delta;
        Change { tensor, element: *element, value, written }
    };
    deltas.iter().map(change).collect()
}

/// Whether something changes and every value is in range.
pub(super) fn is_lie(case: &Case, changes: &[Change]) -> bool {
    let inside = |change: &Change| {
        let format = case.graph.tensors[change.tensor].format;
        (format.min..=format.max).contains(&change.value)
    };
    let is_false = |change: &Change| case.execution.values[change.tensor][change.element] != change.value;
    changes.iter().all(inside) && changes.iter().any(is_false)
}

/// False values in the witness; `None` where nothing changes or a value is out of range.
fn changed(case: &Case, kind: Kind, changes: &[Change]) -> Option<Attempt> {
    if !is_lie(case, changes) {
        return None;
    }
    let execution = carried(&case.graph, &case.execution, changes)?;
    let mut attempt = case.attempt(kind, format!("{changes:?}"), execution);
    keep_entries(case, &mut attempt, changes);
    // Inputs are public: only their copies can be false.
    for (port, output) in case.graph.outputs.iter().enumerate().filter(|(_, t)| case.graph.inputs.contains(t)) {
        attempt.outputs[port].clone_from(&case.execution.values[*output]);
    }
    Some(attempt)
}

/// Cells of hidden inputs stay honest where copies alone are false: nothing computes them, so they would follow, and the
/// input would be another, which is no lie.
fn keep_entries(case: &Case, attempt: &mut Attempt, changes: &[Change]) {
    let (a, layout) = (&case.layout.architecture, &case.layout);
    let copied = |tensor: TensorId| changes.iter().any(|c| c.tensor == tensor && c.written == Written::Copies);
    let is_kept = |node: u32| {
        let node = &case.graph.nodes[node as usize];
        matches!(node.op, Op::Enter) && copied(node.output)
    };
    for row in layout.results.iter().filter(|result| is_kept(result.node)).map(|result| result.row as usize) {
        for column in a.activated(0)..a.range(a.range_columns) {
            attempt.first.columns[column][row] = case.first.columns[column][row];
        }
    }
    attempt.first.fill_multiplicities(layout);
}

/// False claims over an honest witness; `None` where nothing changes or a value is out of range.
fn claimed(case: &Case, kind: Kind, port: usize, deltas: &[(usize, i64)]) -> Option<Attempt> {
    let mut attempt = case.attempt(kind, format!("output {port}: {deltas:?}"), case.execution.clone());
    let format = case.graph.tensors[case.graph.outputs[port]].format;
    for (element, delta) in deltas {
        let value = &mut attempt.outputs[port][*element];
        *value += delta;
        if *delta == 0 || !(format.min..=format.max).contains(value) {
            return None;
        }
    }
    Some(attempt)
}

/// Two operands of a combination, changed so that it stays as it is.
fn cancelling(case: &Case, rng: &mut ChaCha20Rng) -> Option<Attempt> {
    let graph = &case.graph;
    let sums = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Combine { multipliers, .. } if multipliers.len() > 1 => Some((node, multipliers)),
        _ => None,
    });
    let (node, multipliers) = *sums.collect::<Vec<_>>().choose(rng)?;
    let first = rng.gen_range(0..multipliers.len());
    let second = (first + 1) % multipliers.len();
    let (a, b) = (multipliers[first], multipliers[second]);
    let divisor = gcd(a.unsigned_abs(), b.unsigned_abs()) as i64;
    let sign = if rng.gen_bool(0.5) { 1 } else { -1 };
    let element = rng.gen_range(0..graph.tensors[node.output].shape.len());
    let change = |operand: usize, delta: i64| {
        let tensor = root(case, node.inputs[operand]);
        let written = if graph.inputs.contains(&tensor) { Written::Copies } else { Written::Result };
        changes(case, tensor, &[(element, delta)], written)
    };
    // Hidden inputs that are others are no lie.
    let entered = |operand: usize| {
        let tensor = root(case, node.inputs[operand]);
        graph.nodes.iter().any(|node| node.output == tensor && matches!(node.op, Op::Enter))
    };
    if entered(first) || entered(second) {
        return None;
    }
    let both = [change(first, sign * b / divisor), change(second, -sign * a / divisor)].concat();
    if both[0].tensor == both[1].tensor {
        return None;
    }
    changed(case, Kind::Cancelling, &both)
}

/// What a tensor is a reshape of.
pub(super) fn root(case: &Case, tensor: TensorId) -> TensorId {
    let reshape = case.graph.nodes.iter().find(|node| node.output == tensor && matches!(node.op, Op::Reshape));
    reshape.map_or(tensor, |node| root(case, node.inputs[0]))
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
