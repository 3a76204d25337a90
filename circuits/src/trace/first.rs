//! Phase 1: small integers. Copies of operands, requantised values with their remainders and excesses, differences of
//! maxima, free coefficients that are not folded, and the multiplicities of the tables.

use std::collections::HashMap;

use ff::Field;
use halo2curves::bn256::Fr;

use super::{dense, garbage};
use crate::{
    chips::{
        columns::{self, Key, keys},
        pool,
    },
    graph::{Activation, Execution, Graph, Op},
    layout::{
        Architecture, FixedRole, GATHER_TAG, GatherCell, Gathered, Layout, RANGE_TAG, ResultRow, RowKind, saturate,
    },
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
        for &GatherCell { row, copy, source } in &layout.gathers {
            phase.columns[a.copy(copy as usize)][row as usize] = match source {
                Gathered::Element { tensor, element } => execution.values[tensor as usize][element as usize],
                Gathered::Constant(value) => value,
            };
        }
        let activations: Vec<Option<Activation>> = graph.nodes.iter().map(|node| graph.activation(node)).collect();
        for row in &layout.results {
            // Rows without a table are raw outputs, which hold nothing.
            if let Some(activation) = &activations[row.node as usize] {
                phase.fill_result(a, graph, execution, row, activation);
            }
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

    fn fill_result(
        &mut self,
        a: &Architecture,
        graph: &Graph,
        execution: &Execution,
        result: &ResultRow,
        activation: &Activation,
    ) {
        let node = &graph.nodes[result.node as usize];
        let (row, element) = (result.row as usize, result.element as usize);
        if result.kind.activates() {
            // Lanes that the row leaves idle hold the table's first entry.
            let idle = saturate(activation, activation.min).0;
            (0..a.activation_lanes).for_each(|lane| self.set_activation(a, row, lane, idle));
        }
        let accumulators = &execution.accumulators[result.node as usize];
        let values = &execution.values[node.output];
        match result.kind {
            RowKind::Requantise { lanes, .. } => {
                (0..lanes).for_each(|lane| self.requantise(a, row, lane, accumulators[element + lane], activation));
            }
            RowKind::MaximumOfWindow { height, width, .. } => {
                let members = window_members(graph, result, accumulators, [height, width]);
                let maximum = members.iter().copied().max().unwrap_or(0);
                self.requantise(a, row, 0, maximum, activation);
                for (slot, member) in members.iter().enumerate() {
                    self.set_spread(a, row, result.kind, slot, maximum.abs_diff(*member));
                }
            }
            RowKind::GatheredMaximum { window } => {
                let maximum = values[element];
                self.set_activation(a, row, 0, saturate(activation, maximum).0);
                for k in 0..window {
                    let copy = self.columns[a.copy(k)][row];
                    self.set_spread(a, row, result.kind, k, maximum.abs_diff(copy));
                }
            }
            RowKind::GatheredSum => self.requantise(a, row, 0, accumulators[element], activation),
            RowKind::Copies { lanes } => (0..lanes)
                .for_each(|lane| self.set_activation(a, row, lane, saturate(activation, values[element + lane]).0)),
            RowKind::Index => self.set_activation(a, row, 0, saturate(activation, values[element]).0),
            RowKind::Candidate { .. } => self.fill_candidate(a, &node.op, &execution.values[node.inputs[0]], result),
            RowKind::Raw => {}
        }
    }

    /// The comparison of one candidate with the element at the index that copy 2 holds.
    fn fill_candidate(&mut self, a: &Architecture, op: &Op, x: &[i64], result: &ResultRow) {
        let Op::ArgMax { starts, stride, count, last } = op else { return };
        let (output, number) = (result.element as usize / count, result.element as usize % count);
        let (row, start) = (result.row as usize, starts[output] as usize);
        let [own, index] = [0, 2].map(|k| self.columns[a.copy(k)][row]);
        let best = x[start + index as usize * stride];
        self.columns[a.gather_offset()][row] = index * *stride as i64;
        self.columns[a.copy(1)][row] = best;
        let preference = if *last { index - number as i64 } else { number as i64 - index };
        let lead = *count as i64 * (best - own) + preference;
        self.set_spread(a, row, result.kind, 0, lead.unsigned_abs());
    }

    fn requantise(&mut self, a: &Architecture, row: usize, lane: usize, accumulator: i64, activation: &Activation) {
        let shifted = accumulator + (1 << (a.shift - 1));
        let (triple, excess) = saturate(activation, shifted >> a.shift);
        let first = lane * a.requantise_columns();
        self.set_activation(a, row, lane, triple);
        self.columns[a.range(first)][row] = shifted & ((1 << a.shift) - 1);
        self.set_limbs(a, row, first + 1, a.excess_limbs, excess);
    }

    fn set_spread(&mut self, a: &Architecture, row: usize, kind: RowKind, slot: usize, value: u64) {
        self.set_limbs(a, row, columns::spread_cell(a, kind, slot), a.spread_limbs, value);
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
            let size = match result.kind {
                RowKind::MaximumOfWindow { height, width, .. } => height * width,
                RowKind::GatheredMaximum { window } => window,
                _ => continue,
            };
            let mut cell = |column: usize| scalar::from_i64(self.columns[column][row]);
            let differences: Vec<Fr> = (0..size).map(|slot| columns::spread(a, result.kind, slot, &mut cell)).collect();
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
                Key::Copy(k) => gather_indices(layout, self, k),
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
        if a.gather_by_index {
            self.fill_source_uses(layout);
        }
    }

    /// Counts how often each gather source is gathered by a copy whose index depends on the witness.
    fn fill_source_uses(&mut self, layout: &Layout) {
        let a = &layout.architecture;
        let usable = layout.usable_rows();
        let strides = dense(layout, &FixedRole::CandidateStride, usable);
        let indices = gather_indices(layout, self, 1);
        let mut uses: HashMap<i64, i64> = HashMap::new();
        indices.iter().zip(strides).filter(|(_, stride)| *stride != 0).for_each(|(index, _)| {
            *uses.entry(*index).or_default() += 1;
        });
        let sources = dense(layout, &FixedRole::SourceIndex, usable);
        for lane in 0..a.source_lanes() {
            let open = dense(layout, &FixedRole::SourceByIndex(lane), usable);
            let uses = |(source, open): (&i64, i64)| uses.get(&(source + lane as i64)).map_or(0, |uses| open * uses);
            self.columns[a.source_uses(lane)] = sources.iter().zip(open).map(uses).collect();
        }
    }
}

/// Gather index of copy `k` on each usable row.
pub(super) fn gather_indices(layout: &Layout, first: &FirstPhase, k: usize) -> Vec<i64> {
    let mut indices = dense(layout, &FixedRole::GatherIndex(k), layout.usable_rows());
    if layout.architecture.gather_by_index && k == 1 {
        let offsets = &first.columns[layout.architecture.gather_offset()];
        indices.iter_mut().zip(offsets).for_each(|(index, offset)| *index += offset);
    }
    indices
}

/// Accumulators of a pooling window, row by row.
fn window_members(graph: &Graph, result: &ResultRow, accumulators: &[i64], pool: [usize; 2]) -> Vec<i64> {
    let node = &graph.nodes[result.node as usize];
    let Op::Linear(linear) = &node.op else { return Vec::new() };
    let Some([height, width]) = linear.output(graph.tensors[node.inputs[0]].shape) else { return Vec::new() };
    let [rows, columns] = [height / pool[0], width / pool[1]];
    let element = result.element as usize;
    let (channel, i, j) = (element / (rows * columns), element / columns % rows, element % columns);
    let member = |a: usize, b: usize| accumulators[(channel * height + i * pool[0] + a) * width + j * pool[1] + b];
    (0..pool[0]).flat_map(|a| (0..pool[1]).map(move |b| (a, b))).map(|(a, b)| member(a, b)).collect()
}
