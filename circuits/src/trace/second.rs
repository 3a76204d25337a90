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

/// What follows from `s`, over the usable rows.
pub(crate) struct SecondPhase {
    /// The folded weights: a column where they are committed, the value of an expression where they are embedded.
    pub(crate) folded: Vec<Fr>,
    /// Columns of the free coefficients.
    pub(crate) garbage: Vec<Vec<Fr>>,
}

impl SecondPhase {
    /// The phase of an execution of the graph that the layout was made for.
    pub(crate) fn new(layout: &Layout, graph: &Graph, execution: &Execution, bank: &Bank, s: Fr) -> Self {
        let lanes = layout.architecture.garbage_lanes;
        let usable = layout.usable_rows();
        let folded = bank.fold(s, usable);
        let mut garbage = vec![vec![Fr::ZERO; usable]; lanes];
        for run in &layout.garbage {
            let coefficients = free_coefficients(layout, graph, execution, run, &folded, s);
            for (position, value) in coefficients.into_iter().enumerate().filter(|(p, _)| run.free[*p]) {
                garbage[position % lanes][run.first_row as usize + position / lanes] = value;
            }
        }
        Self { folded, garbage }
    }
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
        row_pitch: run.row_pitch,
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
            let position = degree - (base + product.kernel(a, b));
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
