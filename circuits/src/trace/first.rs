//! Phase 1: small integers. Copies of operands, requantised values with their remainders and excesses, differences of
//! maxima, free coefficients that are not folded, and the multiplicities of the tables.

use ff::Field;
use halo2curves::bn256::Fr;

use super::{dense, garbage};
use crate::{
    chips::{
        columns::{Key, keys},
        pool,
    },
    graph::{Execution, Graph, Op},
    layout::{Architecture, ClampTable, FixedRole, GATHER_TAG, Layout, RANGE_TAG, ResultRow, RowKind},
    scalar,
};

/// Columns of phase 1, as integers over the usable rows.
#[derive(Clone)]
pub struct FirstPhase {
    /// Advice columns in order; the partial-product columns are empty here.
    pub columns: Vec<Vec<i64>>,
    /// Partial products, which may exceed 64 bits.
    pub products: Vec<Vec<Fr>>,
}

impl std::fmt::Debug for FirstPhase {
    /// Sizes only: the values may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstPhase").field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

impl FirstPhase {
    /// The phase-1 columns of an execution of the graph that the layout was made for.
    pub fn new(layout: &Layout, graph: &Graph, execution: &Execution) -> Self {
        let a = &layout.architecture;
        let usable = layout.usable_rows();
        let mut phase = Self {
            columns: vec![vec![0; usable]; a.first_phase()],
            products: vec![vec![Fr::ZERO; usable]; a.product_columns],
        };
        for cell in &layout.operands {
            let value = execution.values[cell.tensor as usize][cell.element as usize];
            phase.columns[a.operand(cell.lane as usize)][cell.row as usize] = value;
        }
        for &(row, k, tensor, element) in &layout.gathers {
            phase.columns[a.copy(k as usize)][row as usize] = execution.values[tensor][element as usize];
        }
        for row in &layout.results {
            phase.fill_result(a, graph, execution, row);
        }
        phase.fill_garbage(layout, graph, execution);
        phase.fill_products(layout);
        phase.fill_multiplicities(layout);
        phase
    }

    /// Free coefficients of single channels; folded ones are in phase 2.
    fn fill_garbage(&mut self, layout: &Layout, graph: &Graph, execution: &Execution) {
        let a = &layout.architecture;
        for run in &layout.garbage {
            let Some(channel) = run.channel else { continue };
            let coefficients = garbage::of_channel(graph, execution, run, channel as usize);
            for (position, value) in coefficients.into_iter().enumerate() {
                let row = run.first_row as usize + position / a.garbage_lanes;
                self.columns[a.garbage(position % a.garbage_lanes)][row] = value;
            }
        }
    }

    fn fill_result(&mut self, a: &Architecture, graph: &Graph, execution: &Execution, result: &ResultRow) {
        let node = &graph.nodes[result.node as usize];
        let (row, element) = (result.row as usize, result.element as usize);
        if result.kind == RowKind::Raw {
            return;
        }
        let format = graph.tensors[node.output].format;
        let clamp = ClampTable { min: format.min, max: format.max };
        // Lanes that the row leaves idle hold the table's first entry.
        (0..a.activation_lanes).for_each(|lane| self.set_activation(a, row, lane, clamp.saturate(clamp.min).0));
        let accumulators = &execution.accumulators[result.node as usize];
        match result.kind {
            RowKind::Requantise { lanes, .. } => {
                (0..lanes).for_each(|lane| self.requantise(a, row, lane, accumulators[element + lane], clamp));
            }
            RowKind::MaximumOfWindow { height, width, .. } => {
                let members = window_members(graph, result, accumulators, [height, width]);
                let maximum = members.iter().copied().max().unwrap_or(0);
                self.requantise(a, row, 0, maximum, clamp);
                for (slot, member) in members.iter().enumerate() {
                    let first = a.requantise_columns() + slot * a.spread_limbs;
                    self.set_limbs(a, row, first, a.spread_limbs, maximum.abs_diff(*member));
                }
            }
            RowKind::GatheredMaximum { window } => {
                let maximum = execution.values[node.output][element];
                self.set_activation(a, row, 0, clamp.saturate(maximum).0);
                for k in 0..window {
                    self.columns[a.range(k)][row] = maximum - self.columns[a.copy(k)][row];
                }
            }
            RowKind::GatheredSum => self.requantise(a, row, 0, accumulators[element], clamp),
            RowKind::Raw => {}
        }
    }

    fn requantise(&mut self, a: &Architecture, row: usize, lane: usize, accumulator: i64, clamp: ClampTable) {
        let shifted = accumulator + (1 << (a.shift - 1));
        let (activation, excess) = clamp.saturate(shifted >> a.shift);
        let first = lane * a.requantise_columns();
        self.set_activation(a, row, lane, activation);
        self.columns[a.range(first)][row] = shifted & ((1 << a.shift) - 1);
        self.set_limbs(a, row, first + 1, a.excess_limbs, excess);
    }

    fn set_activation(&mut self, a: &Architecture, row: usize, lane: usize, values: [i64; 3]) {
        let columns = [a.rounded(lane), a.activated(lane), a.saturation(lane)];
        columns.into_iter().zip(values).for_each(|(column, value)| self.columns[column][row] = value);
    }

    fn set_limbs(&mut self, a: &Architecture, row: usize, first: usize, count: usize, value: u64) {
        for i in 0..count {
            let limb = (value >> (a.shift as usize * i).min(63)) & ((1 << a.shift) - 1);
            self.columns[a.range(first + i)][row] = limb as i64;
        }
    }

    /// Partial products of the maxima's differences, from the range cells as they are.
    pub fn fill_products(&mut self, layout: &Layout) {
        let a = &layout.architecture;
        for result in &layout.results {
            let row = result.row as usize;
            let limb = |i: usize| scalar::from_i64(self.columns[a.range(i)][row]);
            let differences: Vec<Fr> = match result.kind {
                RowKind::MaximumOfWindow { height, width, .. } => (0..height * width)
                    .map(|slot| crate::chips::columns::spread(a, slot, &mut |i| scalar::from_i64(self.columns[i][row])))
                    .collect(),
                RowKind::GatheredMaximum { window } => (0..window).map(limb).collect(),
                _ => continue,
            };
            let mut product = Fr::ONE;
            for (i, factors) in pool::chain(a, &differences).iter().enumerate().take(a.product_columns) {
                product *= factors.iter().product::<Fr>();
                self.products[i][row] = product;
            }
        }
    }

    /// Counts how often each table row is looked up. Keys outside their table are not counted: the proof will fail.
    pub fn fill_multiplicities(&mut self, layout: &Layout) {
        let a = &layout.architecture;
        let usable = layout.usable_rows();
        let tags = dense(layout, &FixedRole::ActivationTag, usable);
        let mut counts = vec![0i64; usable];
        for key in keys(a) {
            let indices = match key {
                Key::Copy(k) => dense(layout, &FixedRole::GatherIndex(k), usable),
                _ => Vec::new(),
            };
            for row in 0..usable {
                let cell = |column: usize| self.columns[column][row];
                let found = match key {
                    Key::Range(i) => layout.tables.find([cell(a.range(i)), 0, 0], RANGE_TAG),
                    Key::Copy(k) => layout.tables.find([cell(a.copy(k)), indices[row], 0], GATHER_TAG),
                    Key::Activation(lane) => layout
                        .tables
                        .find([cell(a.rounded(lane)), cell(a.activated(lane)), cell(a.saturation(lane))], tags[row]),
                };
                if let Some(entry) = found {
                    counts[entry] += 1;
                }
            }
        }
        self.columns[a.multiplicity()] = counts;
    }
}

/// Accumulators of a pooling window, row by row.
fn window_members(graph: &Graph, result: &ResultRow, accumulators: &[i64], pool: [usize; 2]) -> Vec<i64> {
    let node = &graph.nodes[result.node as usize];
    let Op::Linear(linear) = &node.op else { return Vec::new() };
    let input = graph.tensors[node.inputs[0]].shape;
    let Some([height, width]) = linear.window.output(input.height, input.width) else { return Vec::new() };
    let [rows, columns] = [height / pool[0], width / pool[1]];
    let element = result.element as usize;
    let (channel, i, j) = (element / (rows * columns), element / columns % rows, element % columns);
    let member = |a: usize, b: usize| accumulators[(channel * height + i * pool[0] + a) * width + j * pool[1] + b];
    (0..pool[0]).flat_map(|a| (0..pool[1]).map(move |b| (a, b))).map(|(a, b)| member(a, b)).collect()
}
