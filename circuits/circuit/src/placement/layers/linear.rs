//! Products with learned weights: `Σ_ci X_ci(r)·W_ci(r, s) + B(s)·V(r) = Y(r, s) + G(r)`.
//!
//! `W_ci = Σ_co s^(C-1-co)·K_co,ci(r)` comes from the weight bank, `Y = Σ_co s^(C-1-co)·Σ r^e·acc` runs over the result
//! bank, `V` is the sum of the outputs' powers of `r`, and `G` holds the coefficients that are not outputs. Folded over
//! the output channels, they are committed after `s` and before `r`, so an output's coefficient is fixed before both;
//! with embedded weights they are not folded, `G = Σ_co s^(C-1-co)·G_co(r)`, and committed before both, as the outputs
//! are. With groups, `K_co,ci` is 0 across groups. As integers: `|acc| < 2^60` (graph validation) and `q·2^S + rem`
//! alike, far below p/2, so equality modulo p is equality.

use zkml_gpu_graph::{Linear, TensorId};

use crate::placement::cells::BankValues;
use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::placement::product::Product;
use crate::system::{Accumulator, Factor, Multiplicand, Placement, Power, RowKind, WeightMode, kind};

/// Counts a product: its operand with the weights, the biases, its results, and the cross terms.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, linear: &Linear) -> Rows {
    let node = counter.node(index);
    let (input, output) = (node.inputs[0], node.output);
    let shape = counter.graph.tensors[input].shape;
    // The planner refuses what has no product.
    let geometry = counter.tensors.geometry(counter.tensors.root(input));
    let Some(product) = Product::new(linear, shape, geometry) else { return [0; 3] };
    let blocks = linear.out_channels.div_ceil(counter.widths.weight_columns);
    let operand = counter.operand(input, shape, linear.window.taps() * blocks);
    let (results, lanes) = count_results(counter, output, linear, &product);
    counter.requantises(index, lanes, 1);
    counter.count.raw |= linear.raw;
    let runs = match counter.weights {
        WeightMode::Committed => 1,
        WeightMode::Embedded => linear.out_channels,
    };
    let cross_terms = match product.has_free() {
        false => 0,
        true => runs * (product.degree() + 1).div_ceil(counter.widths.cross_term_lanes),
    };
    counter.count.multiplicands.insert(Multiplicand::Dot);
    counter.adds(&[Accumulator::Weights, Accumulator::ResultTotal]);
    [operand + blocks, results, cross_terms]
}

/// Rows of a product's results, and the most values of a row.
fn count_results(counter: &mut Counter<'_>, output: TensorId, linear: &Linear, product: &Product) -> (usize, usize) {
    let [height, width] = product.used;
    match linear.pool {
        _ if linear.raw => (linear.out_channels * height * width, 0),
        _ if linear.transposed && width > 1 => {
            let (groups, most) = counter.groups_in(output, 0..linear.out_channels, 1);
            (groups * width, most)
        }
        [1, 1] if [height, width] == [1, 1] => counter.groups(output, 1),
        [1, 1] => {
            let (_, most) = counter.groups(output, 1);
            let [even, _] = product.even();
            let lanes = if counter.stands_apart(output) { 1 } else { most.min(even) };
            (linear.out_channels * height * (width / even) * even.div_ceil(lanes), lanes)
        }
        pool => {
            counter.count.windows[0] = counter.count.windows[0].max(pool[0] * pool[1]);
            // Whole windows are used.
            (linear.out_channels * (height / pool[0]) * (width / pool[1]), 1)
        }
    }
}

/// Places a product, its pooling and its requantisation.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, linear: &Linear) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let input = planner.graph.tensors[node.inputs[0]].shape;
    let unsupported = |reason: &str| LayoutError::Unsupported { node: node.name.clone(), reason: reason.into() };
    let product = Product::new(linear, input, planner.geometry(node.inputs[0]))
        .ok_or_else(|| unsupported("a pooling window larger than the image"))?;
    let identity = planner.identity();
    place_operand(planner, index, linear, &product, identity)?;
    let shift = Some((identity, product.last()));
    if linear.raw {
        planner.in_kept_rows(|planner| place_raw(planner, index, linear, &product, shift))?;
    } else {
        let vector = product.used == [1, 1] && linear.pool == [1, 1];
        let order = match (vector, linear.transposed) {
            (true, _) => Order::Channels,
            (false, true) => Order::Rows,
            (false, false) => Order::Positions,
        };
        let entries = match (vector, linear.pool) {
            _ if order == Order::Rows => row_entries(planner, index, linear, &product),
            (true, _) => vector_entries(planner, index, linear),
            (false, [1, 1]) => image_entries(planner, index, linear, &product),
            (false, _) => pooled_entries(linear, &product),
        };
        planner.place_results(index, &entries, order, shift)?;
    }
    planner.place_cross_terms(index, linear.out_channels, &product.free(), product.row_pitch, identity);
    Ok(())
}

/// The operand beside its weights, channel by channel, then the biases.
fn place_operand(
    planner: &mut Planner<'_>,
    index: usize,
    linear: &Linear,
    product: &Product,
    identity: usize,
) -> Result<(), LayoutError> {
    let [height, width] = linear.window.kernel;
    let blocks = linear.out_channels.div_ceil(planner.widths.weight_columns);
    // Kernel elements from the greatest exponent down.
    let taps: Vec<(usize, usize)> = (0..height).rev().flat_map(|a| (0..width).rev().map(move |b| (a, b))).collect();
    let exponents: Vec<usize> = taps.iter().map(|&(a, b)| product.kernel(a, b)).collect();
    let distances: Vec<Power> = exponents.windows(2).map(|e| Power::r(e[0] - e[1])).collect();
    let ends = planner.place_operand(planner.graph.nodes[index].inputs[0], taps.len() * blocks)?;
    for (channel, &end) in ends.iter().enumerate() {
        let list: Vec<BankValues> =
            taps.iter().map(|&(a, b)| BankValues::Weight(((channel * height + a) * width + b) as u32)).collect();
        planner.place_weights(index, end, &list, &distances, 0..blocks);
        planner.term(identity, Multiplicand::Dot, end, Factor::r(product.lead), 1);
    }
    let end = planner.operand_row + blocks - 1;
    planner.operand_row += blocks;
    planner.place_weights(index, end, &[BankValues::Bias], &[], 0..blocks);
    planner.term(identity, Multiplicand::Accumulator(Accumulator::Weights), end, product.ones(), 1);
    Ok(())
}

/// Outputs of one element per channel: lanes run over channels.
fn vector_entries(planner: &Planner<'_>, index: usize, linear: &Linear) -> Vec<ResultEntry> {
    let output = planner.graph.nodes[index].output;
    let entry = |(element, count)| {
        let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::s(1), limbs: 1 });
        ResultEntry { kind, element, count, exponent: 0, channel: 0 }
    };
    planner.lane_groups(output, 0..linear.out_channels, planner.lanes_of(output, 1)).into_iter().map(entry).collect()
}

/// Rows of a matrix, one after another: lanes run over channels, whose powers of `s` fall within a row.
fn row_entries(planner: &Planner<'_>, index: usize, linear: &Linear, product: &Product) -> Vec<ResultEntry> {
    let output = planner.graph.nodes[index].output;
    let row = |channel: usize| {
        let first = channel * linear.out_channels;
        let entry = move |(element, count)| {
            let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::s(1), limbs: 1 });
            ResultEntry { kind, element, count, exponent: 0, channel }
        };
        planner
            .lane_groups(output, first..first + linear.out_channels, planner.lanes_of(output, 1))
            .into_iter()
            .map(entry)
    };
    (0..product.used[1]).flat_map(row).collect()
}

/// Outputs without pooling: lanes run along image rows, as far as their exponents have equal distances.
fn image_entries(planner: &Planner<'_>, index: usize, linear: &Linear, product: &Product) -> Vec<ResultEntry> {
    let output = planner.graph.nodes[index].output;
    let ([height, width], [even, distance]) = (product.used, product.even());
    let spacing = Power::r(distance);
    let mut entries = Vec::new();
    for start in (0..linear.out_channels * height * width).step_by(even) {
        let (channel, i) = (start / (height * width), start / width % height);
        for (element, count) in planner.lane_groups(output, start..start + even, planner.lanes_of(output, 1)) {
            let exponent = product.output(i, (element + count - 1) % width);
            let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing, limbs: 1 });
            entries.push(ResultEntry { kind, element, count, exponent, channel });
        }
    }
    entries
}

/// One row per pooling window.
fn pooled_entries(linear: &Linear, product: &Product) -> Vec<ResultEntry> {
    let [height, width] = linear.pool;
    let ([vertical, horizontal], images) = (product.distances(), linear.window.images);
    let kind = RowKind::MaximumOfWindow(kind::MaximumOfWindow { height, width, vertical, horizontal });
    let [rows, columns] = [product.used[0] / height, product.used[1] / width];
    let position = |element: usize| {
        let (channel, i, j) = (element / (rows * columns), element / columns % rows, element % columns);
        let last = ((j / images + 1) * width - 1) * images + j % images;
        let exponent = product.output((i + 1) * height - 1, last);
        ResultEntry { kind, element, count: 1, exponent, channel }
    };
    (0..linear.out_channels * rows * columns).map(position).collect()
}

/// Accumulators as public outputs, one a row.
fn place_raw(
    planner: &mut Planner<'_>,
    index: usize,
    linear: &Linear,
    product: &Product,
    shift: Option<(usize, usize)>,
) -> Result<(), LayoutError> {
    let [height, width] = product.used;
    let vector = product.used == [1, 1];
    let entry = |element: usize| ResultEntry {
        kind: RowKind::Raw,
        element,
        count: 1,
        exponent: product.output(element / width % height, element % width),
        channel: if vector { 0 } else { element / (height * width) },
    };
    let entries: Vec<ResultEntry> = (0..linear.out_channels * height * width).map(entry).collect();
    let column = planner.widths.operand_lanes;
    let place = Placement::Column { column, first_row: planner.result_row, row_stride: 1 };
    planner.raw_places.insert(planner.graph.nodes[index].output, place);
    planner.place_results(index, &entries, if vector { Order::Channels } else { Order::Positions }, shift)
}
