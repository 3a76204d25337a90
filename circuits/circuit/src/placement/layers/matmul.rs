//! Products of two activations:
//! `Σ_b s^(H-1-h(b))·L_b(s^(strides))·R_b(r) = Σ_(i,h) s^(C-1-(i·H+h))·Σ_j r^(n-1-j)·acc(i, h, j)`.
//!
//! Block `b = (h, k)` of the left operand is `L_b = Σ_i s^(H·(m-1-i))·left(h, k, i)`, of the right one
//! `R_b = Σ_j r^(n-1-j)·right(h, k, j)`; they end on one row, where their product is a term, for each head under its
//! own power of `s`. With `H` heads between neighbouring rows `i`, the exponents `H·(m-1-i) + (H-1-h)` of `s` are
//! distinct, and so are those of `r`: each monomial holds one accumulator and its definition. Inferences side by side
//! count as heads. Both operands are copies, tied by digests in `r` that count the idle lanes. As integers
//! `|acc| <= 2^61` (graph validation), far below p/2.

use zkml_gpu_graph::MatMul;

use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{Accumulator, Factor, Multiplicand, Power, RowKind, kind};

/// Counts a product: copies of both operands, and its results.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, product: &MatMul) -> Rows {
    let node = counter.node(index);
    let (left, right, output) = (node.inputs[0], node.inputs[1], node.output);
    let lanes = counter.widths.operand_lanes;
    let operand = counter.operand(right, counter.graph.tensors[right].shape, product.rows.div_ceil(lanes));
    counter.count.operand_cells += counter.graph.tensors[left].shape.len();
    counter.count.left = true;
    let (results, most) = match product.columns {
        1 => counter.groups_in(output, 0..product.rows * product.products()),
        columns => {
            let (groups, most) = counter.groups_in(output, 0..columns);
            (groups * product.rows * product.products(), most)
        }
    };
    counter.requantises(index, most);
    counter.count.shifts.insert(product.rescale.limbs);
    counter.count.multiplicands.insert(Multiplicand::Dot);
    counter.adds(&[Accumulator::ResultTotal, Accumulator::LeftDigest]);
    [operand, results, 0]
}

/// Places a product and its requantisation.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, product: &MatMul) -> Result<(), LayoutError> {
    let MatMul { rows, columns, .. } = *product;
    let heads = product.products();
    let node = &planner.graph.nodes[index];
    let (left, right) = (node.inputs[0], node.inputs[1]);
    let identity = planner.identity();
    let ends = planner.place_operand(right, rows.div_ceil(planner.widths.operand_lanes))?;
    planner.place_left(left, rows, heads, &ends)?;
    for (block, &end) in ends.iter().enumerate() {
        let factor = Factor::s(heads - 1 - product.product(block));
        planner.term(identity, Multiplicand::Dot, end, factor, product.rescale.multiplier);
    }
    let entries = entries(planner, index, product);
    let order = if columns == 1 { Order::Channels } else { Order::Positions };
    planner.place_results(index, &entries, order, Some((identity, 0)))
}

fn entries(planner: &Planner<'_>, index: usize, product: &MatMul) -> Vec<ResultEntry> {
    let MatMul { rows, columns, rescale, .. } = *product;
    let heads = product.products();
    let output = planner.graph.nodes[index].output;
    let limbs = rescale.limbs;
    if columns == 1 {
        let entry = |(element, count)| {
            let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::s(1), limbs });
            ResultEntry { kind, element, count, exponent: 0, channel: 0 }
        };
        return planner.lane_groups(output, 0..rows * heads).into_iter().map(entry).collect();
    }
    let channel = |channel: usize| {
        let first = channel * columns;
        let entry = move |(element, count): (usize, usize)| {
            let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::r(1), limbs });
            ResultEntry { kind, element, count, exponent: columns - (element - first) - count, channel }
        };
        planner.lane_groups(output, first..first + columns).into_iter().map(entry)
    };
    (0..rows * heads).flat_map(channel).collect()
}
