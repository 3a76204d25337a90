//! Products of two activations, with learned summands:
//! `Σ_b s^(H-1-h(b))·r^(n·(N-1-i(b)))·L_b(s)·R_b(r) + Σ_i r^(n·(N-1-i))·B(s, r) = Σ s^(C-1-c)·r^(N·n-1-(i·n+j))·acc(c, i, j)`.
//!
//! There are `H` heads, `N` inferences, `m` rows and `n` columns; `c = i·H + h` numbers the `C = m·H` rows of all heads.
//! Block `b = (h, k, i)` of the left operand is `L_b = Σ_i s^(H·(m-1-i))·left(b, i)`, of the right one
//! `R_b = Σ_j r^(n-1-j)·right(b, j)`; they end on one row, where their product is a term, for each head under its own
//! power of `s`, and for each inference under its own power of `r`. The exponents `H·(m-1-i) + (H-1-h)` of `s` are
//! distinct, and so are those of `r`: each monomial holds one accumulator and its definition. Without summands inferences
//! stand side by side as heads do: their powers are smaller. Both operands are copies, tied by digests in `r` that count
//! the idle lanes.
//!
//! `B = Σ_c s^(C-1-c)·Σ_j r^(n-1-j)·summand(c, j)` comes from the weight bank, column by column of the matrices, in blocks
//! of as many rows `c` as the bank has columns, each a term of its own. As integers `|acc| <= 2^61` (graph validation), far
//! below p/2.

use zkml_gpu_graph::MatMul;

use crate::placement::cells::BankValues;
use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{Accumulator, Factor, Multiplicand, Power, RowKind, kind};

/// Products that stand side by side as heads do: inferences are among them, unless they share summands.
const fn heads(product: &MatMul) -> usize {
    if product.summands.is_empty() { product.products() } else { product.heads }
}

/// Columns of all inferences that do not.
const fn columns(product: &MatMul) -> usize {
    if product.summands.is_empty() { product.columns } else { product.columns * product.inferences }
}

/// Counts a product: copies of both operands, summands, and its results.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, product: &MatMul) -> Rows {
    let node = counter.node(index);
    let (left, right, output) = (node.inputs[0], node.inputs[1], node.output);
    let lanes = counter.widths.operand_lanes;
    let operand = counter.operand(right, counter.graph.tensors[right].shape, product.rows.div_ceil(lanes));
    counter.count.operand_cells += counter.graph.tensors[left].shape.len();
    counter.count.left = true;
    let shifts = product.rescale.limbs;
    let (results, most) = match product.columns {
        1 => counter.groups_in(output, 0..product.rows * product.products(), shifts),
        _ => {
            let (groups, most) = counter.groups_in(output, 0..columns(product), shifts);
            (groups * product.rows * heads(product), most)
        }
    };
    counter.requantises(index, most, shifts);
    counter.count.multiplicands.insert(Multiplicand::Dot);
    counter.adds(&[Accumulator::ResultTotal, Accumulator::LeftDigest]);
    let summands = match product.summands.len() {
        0 => 0,
        _ => {
            counter.adds(&[Accumulator::Weights]);
            product.columns * (product.rows * product.heads).div_ceil(counter.widths.weight_columns)
        }
    };
    [operand + summands, results, 0]
}

/// Places a product and its requantisation.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, product: &MatMul) -> Result<(), LayoutError> {
    let (rows, heads, columns) = (product.rows, heads(product), columns(product));
    let node = &planner.graph.nodes[index];
    let (left, right) = (node.inputs[0], node.inputs[1]);
    let identity = planner.identity();
    let ends = planner.place_operand(right, rows.div_ceil(planner.widths.operand_lanes))?;
    planner.place_left(left, rows, heads, &ends)?;
    for (block, &end) in ends.iter().enumerate() {
        let number = product.product(block);
        let (head, inference) = if product.summands.is_empty() {
            (number, 0)
        } else {
            (number / product.inferences, number % product.inferences)
        };
        let shift = columns - (inference + 1) * product.columns;
        let factor = Factor { channels: heads - 1 - head, shift, ..Factor::default() };
        planner.term(identity, Multiplicand::Dot, end, factor, product.rescale.multiplier);
    }
    place_summands(planner, index, product, identity);
    let entries = entries(planner, index, product);
    let order = if columns == 1 { Order::Channels } else { Order::Positions };
    planner.place_results(index, &entries, order, Some((identity, 0)))
}

/// The summands, block by block of rows.
fn place_summands(planner: &mut Planner<'_>, index: usize, product: &MatMul, identity: usize) {
    if product.summands.is_empty() {
        return;
    }
    let width = planner.widths.weight_columns;
    let list: Vec<BankValues> = (0..product.columns as u32).map(BankValues::Summands).collect();
    let distances = vec![Power::r(1); product.columns - 1];
    let runs = if product.inferences == 1 { Vec::new() } else { vec![(product.columns, product.inferences)] };
    for block in 0..(product.rows * product.heads).div_ceil(width) {
        let end = planner.operand_row + list.len() - 1;
        planner.operand_row += list.len();
        planner.place_weights(index, end, &list, &distances, block..block + 1);
        let factor = Factor { channels: width * block, shift: 0, runs: runs.clone() };
        planner.term(identity, Multiplicand::Accumulator(Accumulator::Weights), end, factor, 1);
    }
}

fn entries(planner: &Planner<'_>, index: usize, product: &MatMul) -> Vec<ResultEntry> {
    let (rows, heads, columns) = (product.rows, heads(product), columns(product));
    let output = planner.graph.nodes[index].output;
    let limbs = product.rescale.limbs;
    if columns == 1 {
        let entry = |(element, count)| {
            let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::s(1), limbs });
            ResultEntry { kind, element, count, exponent: 0, channel: 0 }
        };
        return planner
            .lane_groups(output, 0..rows * heads, planner.lanes_of(output, limbs))
            .into_iter()
            .map(entry)
            .collect();
    }
    let channel = |channel: usize| {
        let first = channel * columns;
        let entry = move |(element, count): (usize, usize)| {
            let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::r(1), limbs });
            ResultEntry { kind, element, count, exponent: columns - (element - first) - count, channel }
        };
        planner.lane_groups(output, first..first + columns, planner.lanes_of(output, limbs)).into_iter().map(entry)
    };
    (0..rows * heads).flat_map(channel).collect()
}
