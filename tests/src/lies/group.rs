//! A softmax or a normalisation with a false sum, variance or mean of one group, and all that follows from it.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::placement::ResultRow;
use zkml_gpu_circuit::system::{RowKind, kind};
use zkml_gpu_graph::{Normalise, Op, Softmax};

use super::{Attempt, Case, Kind};
use crate::carry::{Change, Written, carried};

/// What the cells of a group hold.
struct Group {
    node: usize,
    groups: usize,
    group: usize,
    /// Values on the group's row, by sort.
    values: Vec<(usize, i64)>,
    /// The quotient and the two differences that pin it.
    quotient: [i128; 3],
    /// Copies beside each member, by sort.
    copies: Vec<(usize, i64)>,
    /// Accumulators of the members, by element.
    accumulators: Vec<(usize, i64)>,
}

/// A random lie about a group.
pub(super) fn lie(case: &Case, rng: &mut ChaCha20Rng) -> Option<Attempt> {
    let grouped = |op: &Op| matches!(op, Op::Softmax(_) | Op::Normalise(_));
    let nodes: Vec<usize> = (0..case.graph.nodes.len()).filter(|node| grouped(&case.graph.nodes[*node].op)).collect();
    let node = *nodes.choose(rng)?;
    let x = &case.execution.values[case.graph.nodes[node].inputs[0]];
    let delta = [1, -1, 5, -7][rng.gen_range(0..4)];
    let group = match &case.graph.nodes[node].op {
        Op::Softmax(softmax) => false_share(softmax, node, rng.gen_range(0..softmax.groups), x, delta)?,
        Op::Normalise(normalise) => {
            let of_mean = normalise.centred && rng.gen_bool(0.5);
            false_root(normalise, node, rng.gen_range(0..normalise.groups), x, (delta, of_mean))?
        }
        _ => return None,
    };
    told(case, &group, delta)
}

fn false_share(softmax: &Softmax, node: usize, group: usize, x: &[i64], delta: i64) -> Option<Group> {
    let members: Vec<usize> = (group..x.len()).step_by(softmax.groups).collect();
    let kept = || members.iter().copied().filter(|e| !softmax.is_masked(*e));
    let maximum = kept().map(|e| x[e]).max()?;
    let exponential = |e: usize| if softmax.is_masked(e) { 0 } else { softmax.exp.apply(maximum - x[e]) };
    let sum = kept().map(exponential).sum::<i64>() + delta;
    if sum < 1 {
        return None;
    }
    let reciprocal = (1i64 << softmax.bits) / sum;
    let remainder = (1i64 << softmax.bits) - reciprocal * sum;
    let accumulator = |e: &usize| (*e, exponential(*e) * reciprocal * softmax.rescale.multiplier);
    Some(Group {
        node,
        groups: softmax.groups,
        group,
        values: vec![(0, sum), (2, reciprocal)],
        quotient: [reciprocal, remainder, sum - 1 - remainder].map(i128::from),
        copies: vec![(1, reciprocal)],
        accumulators: members.iter().map(accumulator).collect(),
    })
}

fn false_root(
    normalise: &Normalise,
    node: usize,
    group: usize,
    x: &[i64],
    (delta, of_mean): (i64, bool),
) -> Option<Group> {
    let members: Vec<usize> = (group..x.len()).step_by(normalise.groups).collect();
    let n = normalise.len as i64;
    let sum: i64 = if normalise.centred { members.iter().map(|e| x[*e]).sum() } else { 0 };
    let squares: i64 = members.iter().map(|e| x[*e] * x[*e]).sum();
    let variance = n * squares - sum * sum + normalise.epsilon;
    let (sum, variance) = if of_mean { (sum + delta, variance) } else { (sum, variance + delta) };
    if variance < 1 {
        return None;
    }
    let (dividend, v) = (1i128 << (2 * normalise.bits), i128::from(variance));
    let root = (dividend / v).isqrt();
    let accumulator = |e: &usize| (*e, (n * x[*e] - sum) * root as i64 * normalise.rescale.multiplier);
    Some(Group {
        node,
        groups: normalise.groups,
        group,
        values: vec![(0, variance), (1, sum), (2, root as i64)],
        quotient: [root, dividend - root * root * v, (root + 1) * (root + 1) * v - 1 - dividend],
        copies: vec![(1, sum), (2, root as i64)],
        accumulators: members.iter().map(accumulator).collect(),
    })
}

/// The witness of a false group, and of what follows.
fn told(case: &Case, group: &Group, delta: i64) -> Option<Attempt> {
    let node = &case.graph.nodes[group.node];
    let function = case.graph.function(node)?;
    let round = |accumulator| node.op.rescale().expect("a rescaled operation").round(accumulator, case.graph.shift);
    let change = |(element, accumulator): &(usize, i64)| Change {
        tensor: node.output,
        element: *element,
        value: function.apply(round(*accumulator)),
        written: Written::Accumulator(*accumulator),
    };
    let changes: Vec<Change> = group.accumulators.iter().map(change).collect();
    let execution = carried(&case.graph, &case.execution, &changes)?;
    let what = format!("group {} of node {}: {delta}", group.group, group.node);
    let mut attempt = case.attempt(Kind::Group, what, execution);
    case.layout.results.iter().filter(|row| row.node as usize == group.node).for_each(|row| {
        write(case, group, row, &mut attempt.first.columns);
    });
    attempt.first.fill_multiplicities(&case.layout);
    Some(attempt)
}

/// Writes a false group's values into the cells of a row.
fn write(case: &Case, group: &Group, result: &ResultRow, columns: &mut [Vec<i64>]) {
    let (a, row) = (&case.layout.architecture, result.row as usize);
    match result.kind {
        RowKind::Reciprocal(kind::Reciprocal { limbs: [quotient, difference], .. })
        | RowKind::InverseRoot(kind::InverseRoot { limbs: [quotient, difference], .. }) => {
            if result.element as usize % group.groups != group.group {
                return;
            }
            group.values.iter().for_each(|(sort, value)| columns[a.auxiliary(*sort, 0)][row] = *value);
            let places = [(0, quotient), (quotient, difference), (quotient + difference, difference)];
            for ((first, count), value) in places.into_iter().zip(group.quotient) {
                for i in 0..count {
                    let limb = (value >> (a.limb_bits as usize * i).min(127)) & ((1 << a.limb_bits) - 1);
                    columns[a.range(first + i)][row] = limb as i64;
                }
            }
        }
        RowKind::Multiply(kind::Multiply { lanes, .. }) | RowKind::Normalise(kind::Normalise { lanes, .. }) => {
            for lane in (0..lanes).filter(|lane| (result.element as usize + lane) % group.groups == group.group) {
                group.copies.iter().for_each(|(sort, value)| columns[a.auxiliary(*sort, lane)][row] = *value);
            }
        }
        _ => {}
    }
}
