//! Phase 2: the folded weights `F = Σ_c s^c · W_c`, and the free coefficients of products, folded over output channels.

use std::collections::HashMap;

use ff::Field;
use halo2curves::bn256::Fr;

use crate::{
    commit::Bank,
    graph::{Execution, Graph, Op},
    layers::product::Product,
    layout::{BankValues, GarbageRun, Geometry, Layout},
    scalar,
};

/// The columns of phase 2 over the usable rows, in column order.
pub(crate) fn second_phase(layout: &Layout, graph: &Graph, execution: &Execution, bank: &Bank, s: Fr) -> Vec<Vec<Fr>> {
    let a = &layout.architecture;
    let usable = layout.usable_rows();
    let mut columns = vec![bank.fold(s, usable)];
    columns.resize(a.second_phase(), vec![Fr::ZERO; usable]);
    for run in &layout.garbage {
        let coefficients = free_coefficients(layout, graph, execution, run, &columns[0], s);
        for (position, value) in coefficients.into_iter().enumerate().filter(|(p, _)| run.free[*p]) {
            let row = run.first_row as usize + position / a.garbage_lanes;
            columns[1 + position % a.garbage_lanes][row] = value;
        }
    }
    columns
}

/// Coefficients of `Σ_ci X_ci(r) · W_ci(r, s)` at free positions, as elements of the field at `s`, by position.
fn free_coefficients(
    layout: &Layout,
    graph: &Graph,
    execution: &Execution,
    run: &GarbageRun,
    folded: &[Fr],
    s: Fr,
) -> Vec<Fr> {
    let mut coefficients = vec![Fr::ZERO; run.free.len()];
    let node = &graph.nodes[run.node as usize];
    let Op::Linear(linear) = &node.op else { return coefficients };
    let shape = graph.tensors[node.inputs[0]].shape;
    let geometry = Geometry::Image {
        channels: shape.channels,
        height: shape.height,
        width: shape.width,
        row_pitch: run.row_pitch * linear.input_dilation[0],
        column_pitch: linear.input_dilation[1],
        channel_pitch: 0,
    };
    let Some(product) = Product::new(linear, shape, geometry) else { return coefficients };
    let weights = folded_weights(layout, run.node, folded, s);
    let x = &execution.values[node.inputs[0]];
    let [height, width] = linear.window.kernel;
    let degree = run.free.len() - 1;
    for (c, i, j) in
        (0..shape.channels).flat_map(|c| (0..shape.height).flat_map(move |i| (0..shape.width).map(move |j| (c, i, j))))
    {
        let value = x[shape.index(c, i, j)];
        if value == 0 {
            continue;
        }
        let (value, base) = (scalar::from_i64(value), product.operand(i, j));
        for (a, b) in (0..height).flat_map(|a| (0..width).map(move |b| (a, b))) {
            let position = degree - (base + product.kernel(a, b) + product.lead);
            if run.free[position] {
                let tap = ((c * height + a) * width + b) as u32;
                coefficients[position] += value * weights.get(&tap).copied().unwrap_or(Fr::ZERO);
            }
        }
    }
    coefficients
}

/// `Σ_co s^(C-1-co) · weight` for each weight index of a node, from the folded rows.
fn folded_weights(layout: &Layout, node: u32, folded: &[Fr], s: Fr) -> HashMap<u32, Fr> {
    let block = s.pow([layout.architecture.weight_columns as u64]);
    let mut weights = HashMap::new();
    for row in layout.bank.iter().filter(|row| row.node == node) {
        if let BankValues::Weight(tap) = row.values {
            let value = folded[row.row as usize] * block.pow([u64::from(row.block)]);
            *weights.entry(tap).or_insert(Fr::ZERO) += value;
        }
    }
    weights
}
