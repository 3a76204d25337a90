//! Integer bounds: every identity and gate stays far below p/2, so that equality modulo p is equality; and every limb
//! holds what it must for each input in range, so that each inference has a proof.
//!
//! The bounds are in bits of magnitude, from the formats' ranges and the graph's numbers alone.

use zkml_gpu_graph::{Format, Graph, Linear, MAX_REMAINDER_BITS, Node, Op};

use super::{AtNode, Check, require};
use crate::layout::Layout;
use crate::placement::ResultRow;
use crate::system::{RowKind, kind};

/// Bits of p/2, less a margin for sums of a few such numbers.
const LIMIT_BITS: u32 = 250;

/// Bits of a magnitude.
const fn bits(magnitude: i128) -> u32 {
    i128::BITS - magnitude.unsigned_abs().leading_zeros()
}

/// Compares each node with the limits and the layout's limbs.
pub(super) fn check(graph: &Graph, layout: &Layout) -> Check {
    for (index, node) in graph.nodes.iter().enumerate() {
        check_node(graph, layout, node).at(graph, index)?;
    }
    // The limbs that gates add up are integers below p/2, whatever they hold.
    let a = &layout.architecture;
    let remainder = MAX_REMAINDER_BITS.div_ceil(a.limb_bits) as usize;
    let widest =
        [remainder, a.excess_limbs, a.spread_limbs].into_iter().chain(layout.results.iter().flat_map(quotients));
    let widest = widest.max().unwrap_or(0) as u64 * u64::from(a.limb_bits);
    require(widest < u64::from(LIMIT_BITS), || format!("limbs of {widest} bits, which may wrap"))?;
    // A result by lines is what its limbs hold, less 2^w but for exponentials: 2^p times it is compared with
    // |A + B·m| < 2^61.
    for (_, of) in a.lines() {
        let limbs = a.limb_bits * a.excess_limbs as u32;
        require(of.bits + u32::from(!of.exponentials) <= limbs, || {
            "a result by lines that its limbs do not hold".into()
        })?;
        let number = limbs.max(of.bits) + of.scale + 2;
        require(number < LIMIT_BITS, || format!("a result by lines of {number} bits, which may wrap"))?;
        let widest = [of.low, of.scale].map(|bits| u64::from(bits.div_ceil(a.limb_bits) * a.limb_bits));
        require(widest.into_iter().all(|bits| bits < u64::from(LIMIT_BITS)), || "limbs by lines that may wrap".into())?;
    }
    // Rows of one node and kind have one bound.
    for rows in layout.results.chunk_by(|a, b| (a.node, a.kind) == (b.node, b.kind)) {
        let (kind, node) = (rows[0].kind, rows[0].node as usize);
        check_row(graph, layout, kind, &graph.nodes[node]).at(graph, node)?;
    }
    // A multiplicity is below the number of keys: columns times rows.
    require(layout.k < 32 && layout.architecture.advice_columns() < 1 << 16, || {
        "more lookups than a multiplicity counts".into()
    })
}

/// Limbs of the quotient on a group's row, and of the two numbers that pin it.
const fn quotients(result: &ResultRow) -> [usize; 2] {
    match result.kind {
        RowKind::Reciprocal(kind::Reciprocal { limbs, .. }) | RowKind::InverseRoot(kind::InverseRoot { limbs, .. }) => {
            limbs
        }
        RowKind::Requantise(_)
        | RowKind::Multiply(_)
        | RowKind::Exponential(_)
        | RowKind::Normalise(_)
        | RowKind::MaximumOfWindow(_)
        | RowKind::Raw
        | RowKind::GatheredMaximum(_)
        | RowKind::GatheredSum
        | RowKind::Copies(_)
        | RowKind::Index
        | RowKind::Candidate(_)
        | RowKind::Entry(_)
        | RowKind::OneHot(_) => [0, 0],
    }
}

/// Least and greatest accumulator of a node; none where it has none.
fn accumulators(graph: &Graph, node: &Node) -> Option<[i128; 2]> {
    let format = |i: usize| graph.tensors[node.inputs[i]].format;
    let scaled = |Format { min, max, .. }: Format, factor: i128| {
        let ends = [i128::from(min) * factor, i128::from(max) * factor];
        [ends[0].min(ends[1]), ends[0].max(ends[1])]
    };
    let ends = |summands: &[i64]| {
        [i64::min, i64::max].map(|f: fn(i64, i64) -> i64| i128::from(summands.iter().copied().reduce(f).unwrap_or(0)))
    };
    let magnitude = |most: i128| Some([-most, most]);
    let product = || i128::from(format(0).magnitude()) * i128::from(format(1).magnitude());
    match &node.op {
        Op::Linear(linear) => {
            let [low, high] = operand_range(linear, format(0));
            let weights = linear.weights.chunks((linear.weights.len() / linear.out_channels.max(1)).max(1));
            let channel = |(row, bias): (&[i32], &i64)| {
                let of = |sign: fn(i32) -> i32| row.iter().map(|w| i128::from(sign(*w))).sum::<i128>();
                let (positive, negative) = (of(|w| w.max(0)), of(|w| w.min(0)));
                let bias = i128::from(*bias);
                [bias + positive * low + negative * high, bias + positive * high + negative * low]
            };
            let all = weights.zip(&linear.bias).map(channel);
            all.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
        }
        Op::Combine { multipliers, offset, .. } => {
            let start = ends(offset);
            Some(multipliers.iter().enumerate().fold(start, |sum, (i, m)| {
                let [low, high] = scaled(format(i), i128::from(*m));
                [sum[0] + low, sum[1] + high]
            }))
        }
        Op::AveragePool { multipliers, .. } => {
            let of_count = |(count, m): (usize, &i64)| scaled(format(0), i128::from(*m) * count as i128);
            multipliers.iter().enumerate().map(of_count).reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
        }
        Op::MatMul(of) => {
            let most = product() * i128::from(of.rescale.multiplier) * of.inner as i128;
            let [low, high] = ends(&of.summands);
            Some([low - most, high + most])
        }
        Op::Multiply(rescale) => magnitude(product() * i128::from(rescale.multiplier)),
        // e·R <= Σe·R <= 2^bits
        Op::Softmax(softmax) => Some([0, (1i128 << softmax.bits) * i128::from(softmax.rescale.multiplier)]),
        // Σ (n·x - S)² <= n·V, so that |n·x - S|·y <= sqrt(n)·2^bits
        Op::Normalise(normalise) => {
            let root = normalise.len.isqrt() as i128 + 1;
            magnitude((root << normalise.bits) * i128::from(normalise.rescale.multiplier))
        }
        Op::MaxPool(_) | Op::Reshape | Op::Rearrange { .. } | Op::ArgMax { .. } | Op::Enter => None,
    }
}

/// What a weight may be multiplied with: an element, or the 0 of padding.
fn operand_range(linear: &Linear, Format { min, max, .. }: Format) -> [i128; 2] {
    let padded = linear.window.is_padded() || linear.input_dilation != [1, 1];
    let [low, high] = if padded { [min.min(0), max.max(0)] } else { [min, max] };
    [low.into(), high.into()]
}

/// Accumulators fit the field, and their saturation fits its limbs.
fn check_node(graph: &Graph, layout: &Layout, node: &Node) -> Check {
    let a = &layout.architecture;
    let Some([least, greatest]) = accumulators(graph, node) else { return Ok(()) };
    require(bits(least.abs().max(greatest.abs())) < LIMIT_BITS / 2, || "accumulators that may wrap".into())?;
    let Some(function) = graph.function(node) else { return Ok(()) };
    let shift = graph.shift * node.op.limbs();
    // What a prover may put beside a definition: (q + c·u)·2^shift + rem, with any limbs.
    let claimed = bits(function.min().unsigned_abs().max(function.max().unsigned_abs()).into())
        .max(a.limb_bits * a.excess_limbs as u32);
    require(claimed + 2 + shift < LIMIT_BITS, || "a requantised value that may wrap".into())?;
    let round = |acc: i128| (acc + (1i128 << (shift - 1))) >> shift;
    let excess = (round(greatest) - i128::from(function.max())).max(i128::from(function.min()) - round(least)).max(0);
    require(bits(excess) <= a.limb_bits * a.excess_limbs as u32, || "an excess that its limbs do not hold".into())
}

/// What a row's limbs pin fits the field, and them.
fn check_row(graph: &Graph, layout: &Layout, kind: RowKind, node: &Node) -> Check {
    let a = &layout.architecture;
    let width = |limbs: usize| a.limb_bits * limbs as u32;
    let fits =
        |limbs: usize, most: i128| require(bits(most) <= width(limbs), || "a number that its limbs do not hold".into());
    let input = graph.tensors[node.inputs[0]].format;
    let range = i128::from(input.max) - i128::from(input.min);
    match (kind, &node.op) {
        (RowKind::MaximumOfWindow(_), _) => fits(a.spread_limbs, widest_channel(node, input)),
        (RowKind::GatheredMaximum(_), _) => fits(a.spread_limbs, range),
        (RowKind::Candidate(kind::Candidate { count, .. }), _) => {
            fits(a.spread_limbs, count as i128 * range + count as i128 - 1)
        }
        (RowKind::Reciprocal(kind::Reciprocal { bits: dividend, limbs: [quotient, sum] }), Op::Softmax(softmax)) => {
            // R·Σe + ρ with any limbs; Σe is exact.
            let first = i128::from(softmax.exp.values.first().copied().unwrap_or(0)).max(1);
            let most = first * softmax.len as i128;
            require(width(quotient) + bits(most) + 2 < LIMIT_BITS && dividend < LIMIT_BITS, || {
                "a quotient that may wrap".into()
            })?;
            fits(quotient, (1i128 << dividend) / first)?;
            fits(sum, most)
        }
        (
            RowKind::InverseRoot(kind::InverseRoot { bits: dividend, limbs: [root, window] }),
            Op::Normalise(normalise),
        ) => {
            let n = normalise.len as i128 * i128::from(input.magnitude());
            let epsilon = i128::from(normalise.epsilon);
            let (v, y) = (n * n + epsilon, ((1u128 << (2 * dividend)) / epsilon.max(1).unsigned_abs()).isqrt() as i128);
            // (y + 1)²·V with any limbs; V is exact.
            let wraps = 2 * (width(root) + 1) + bits(v) + 2 >= LIMIT_BITS;
            require(!wraps && 2 * dividend < LIMIT_BITS, || "a root that may wrap".into())?;
            fits(root, y)?;
            // The two differences add up to (2y + 1)·V - 1 <= 2^(bits + 1)·sqrt(V) + V.
            fits(window, ((v.isqrt() + 1) << (dividend + 1)) + v)
        }
        (
            RowKind::Requantise(_)
            | RowKind::Multiply(_)
            | RowKind::Exponential(_)
            | RowKind::Reciprocal(_)
            | RowKind::Normalise(_)
            | RowKind::InverseRoot(_)
            | RowKind::Raw
            | RowKind::GatheredSum
            | RowKind::Copies(_)
            | RowKind::Index
            | RowKind::Entry(_)
            | RowKind::OneHot(_),
            _,
        ) => Ok(()),
    }
}

/// The greatest difference of two accumulators of one channel.
fn widest_channel(node: &Node, input: Format) -> i128 {
    let Op::Linear(linear) = &node.op else { return 0 };
    let [low, high] = operand_range(linear, input);
    let range = high - low;
    let weights = linear.weights.chunks((linear.weights.len() / linear.out_channels.max(1)).max(1));
    let sums = weights.map(|row| row.iter().map(|w| i128::from(w.unsigned_abs())).sum::<i128>());
    sums.max().unwrap_or(0) * range
}
