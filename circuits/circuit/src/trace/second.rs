//! Phase 2: the folded weights `F = Σ_c s^c · W_c`; and, where these are a column, the free coefficients of products,
//! folded over output channels alike.

use std::collections::{HashMap, HashSet};

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_graph::{Execution, Graph};

use super::cross_terms::for_each_element;
use super::witness::Witness;
use crate::layout::Layout;
use crate::placement::{BankValues, CrossTermRun};
use crate::scalar;

/// What follows from `s`, over the usable rows.
pub(crate) struct SecondPhase {
    /// The folded weights: a column where they are committed, the value of an expression where they are embedded. Where
    /// the prover computes the column, only those rows that free coefficients depend on.
    pub(crate) folded: Vec<Fr>,
    /// Columns of the folded free coefficients; none where each channel has its own, in phase 1.
    pub(crate) cross_terms: Vec<Vec<Fr>>,
}

impl SecondPhase {
    /// The phase of an execution of the graph that the layout was made for.
    pub(crate) fn new(witness: &Witness<'_>, layout: &Layout, s: Fr) -> Self {
        let Witness { graph, execution, bank, derived, .. } = witness;
        let (a, usable) = (&layout.architecture, layout.usable_rows());
        let runs: Vec<&CrossTermRun> = layout.cross_terms.iter().filter(|run| run.channel.is_none()).collect();
        let nodes: HashSet<u32> = runs.iter().map(|run| run.node).collect();
        let folded = bank.fold_some(s, usable, |place| !derived || nodes.contains(&layout.bank[place].node));
        let lanes = if a.folded_weights().is_some() { a.cross_term_lanes } else { 0 };
        let mut cross_terms = vec![vec![Fr::ZERO; usable]; lanes];
        for run in runs {
            let coefficients = free_coefficients(layout, graph, execution, run, &folded, s);
            for (position, value) in coefficients.into_iter().enumerate().filter(|(p, _)| run.free[*p]) {
                cross_terms[position % lanes][run.first_row as usize + position / lanes] = value;
            }
        }
        Self { folded, cross_terms }
    }
}

/// Coefficients of `Σ_ci X_ci(r) · W_ci(r, s)` at free positions, as elements of the field at `s`, by position.
fn free_coefficients(
    layout: &Layout,
    graph: &Graph,
    execution: &Execution,
    run: &CrossTermRun,
    folded: &[Fr],
    s: Fr,
) -> Vec<Fr> {
    let mut coefficients = vec![Fr::ZERO; run.free.len()];
    let weights = folded_weights(layout, run.node, folded, s);
    for_each_element(graph, execution, run, |value, taps| {
        let value = scalar::from_i64(value);
        for (position, tap) in taps {
            coefficients[*position] += value * weights.get(&(*tap as u32)).copied().unwrap_or(Fr::ZERO);
        }
    });
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
