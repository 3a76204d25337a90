//! Phase 1: small integers. Copies of operands, requantised values with their remainders and excesses, differences of
//! maxima, free coefficients that are not folded, and the multiplicities of the tables.

use std::collections::HashMap;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::{dense, garbage};
use crate::{
    chips::{
        columns::{self, Key, keys},
        pool,
    },
    layout::{
        Architecture, FixedRole, GATHER_TAG, GatherCell, Gathered, Layout, MASKED, RANGE_TAG, ResultRow, RowKind,
        saturate,
    },
    scalar,
};
use zkml_gpu_graph::{Activation, Execution, Graph, Node, NormaliseValues, Op, SoftmaxValues};

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
            let lane = cell.lane as usize;
            let column = if cell.left { a.left(lane) } else { a.operand(lane) };
            phase.columns[column][cell.row as usize] = value;
        }
        for &GatherCell { row, copy, source } in &layout.gathers {
            phase.columns[a.copy(copy as usize)][row as usize] = match source {
                Gathered::Element { tensor, element } => execution.values[tensor as usize][element as usize],
                Gathered::Constant(value) => value,
            };
        }
        let activations: Vec<Option<Activation>> = graph.nodes.iter().map(|node| graph.activation(node)).collect();
        let between: Vec<Between> = graph.nodes.iter().map(|node| Between::new(node, execution)).collect();
        for row in &layout.results {
            // Rows without a table are raw outputs, which hold nothing.
            if let Some(activation) = &activations[row.node as usize] {
                phase.fill_result(a, graph, execution, row, activation);
                phase.fill_factors(a, graph, execution, row, &between[row.node as usize]);
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
            RowKind::Requantise { lanes, .. } | RowKind::Multiply { lanes, .. } | RowKind::Normalise { lanes, .. } => {
                let limbs = result.kind.remainder_limbs();
                let cells = |lane: usize| (row, lane, limbs);
                (0..lanes).for_each(|lane| self.requantise(a, cells(lane), accumulators[element + lane], activation));
            }
            RowKind::MaximumOfWindow { height, width, .. } => {
                let members = window_members(graph, result, accumulators, [height, width]);
                let maximum = members.iter().copied().max().unwrap_or(0);
                self.requantise(a, (row, 0, 1), maximum, activation);
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
            RowKind::GatheredSum => self.requantise(a, (row, 0, 1), accumulators[element], activation),
            RowKind::Copies { lanes } => (0..lanes)
                .for_each(|lane| self.set_activation(a, row, lane, saturate(activation, values[element + lane]).0)),
            RowKind::Index => self.set_activation(a, row, 0, saturate(activation, values[element]).0),
            RowKind::Candidate { .. } => self.fill_candidate(a, &node.op, &execution.values[node.inputs[0]], result),
            // With the copies that they compute with.
            RowKind::Exponential { .. } | RowKind::Share { .. } | RowKind::Root { .. } | RowKind::Raw => {}
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

    /// Fills the lane of a row with a requantised accumulator whose remainder has so many limbs.
    fn requantise(
        &mut self,
        a: &Architecture,
        (row, lane, limbs): (usize, usize, usize),
        accumulator: i64,
        activation: &Activation,
    ) {
        let shift = a.shift as usize * limbs;
        let shifted = accumulator + (1 << (shift - 1));
        let (triple, excess) = saturate(activation, shifted >> shift);
        let first = lane * a.requantise_columns();
        self.set_activation(a, row, lane, triple);
        self.set_limbs(a, row, first, limbs, (shifted & ((1 << shift) - 1)) as u64);
        self.set_limbs(a, row, first + a.remainder_limbs, a.excess_limbs, excess);
    }

    /// The copies beside a row's results, and what a group's row computes.
    fn fill_factors(
        &mut self,
        a: &Architecture,
        graph: &Graph,
        execution: &Execution,
        result: &ResultRow,
        between: &Between,
    ) {
        let node = &graph.nodes[result.node as usize];
        let (row, element) = (result.row as usize, result.element as usize);
        let x = &execution.values[node.inputs[0]];
        let mut set = |sort: usize, lane: usize, value: i64| self.columns[a.factor(sort, lane)][row] = value;
        match (result.kind, &node.op, between) {
            (RowKind::Multiply { lanes, .. }, Op::Multiply(_), _) => {
                let y = &execution.values[node.inputs[1]];
                for lane in 0..lanes {
                    set(0, lane, x[element + lane]);
                    set(1, lane, y[element + lane]);
                }
            }
            (RowKind::Multiply { lanes, .. }, Op::Softmax(softmax), Between::Softmax { values, .. }) => {
                for lane in 0..lanes {
                    set(0, lane, values.exponentials[element + lane]);
                    set(1, lane, values.reciprocals[(element + lane) % softmax.groups]);
                }
            }
            (RowKind::Exponential { lanes }, Op::Softmax(softmax), Between::Softmax { values, first }) => {
                for lane in 0..lanes {
                    let (e, p) = (element + lane, (element + lane) % softmax.groups);
                    set(0, lane, x[e]);
                    set(1, lane, values.maxima[p]);
                }
                for lane in 0..lanes {
                    let (e, p) = (element + lane, (element + lane) % softmax.groups);
                    let distance = if softmax.is_masked(e) { MASKED } else { values.maxima[p] - x[e] };
                    self.set_activation(a, row, lane, [distance, values.exponentials[e], i64::from(first[p] == e)]);
                }
                let idle = [0, softmax.exp.apply(0), 0];
                (lanes..a.activation_lanes).for_each(|lane| self.set_activation(a, row, lane, idle));
            }
            (RowKind::Share { bits, limbs }, Op::Softmax(softmax), Between::Softmax { values, .. }) => {
                let p = element % softmax.groups;
                let (sum, reciprocal) = (values.sums[p], values.reciprocals[p]);
                [sum, values.maxima[p], reciprocal].into_iter().enumerate().for_each(|(sort, v)| set(sort, 0, v));
                let remainder = (1i64 << bits) - reciprocal * sum;
                self.set_quotient(a, row, limbs, [reciprocal, remainder, sum - 1 - remainder].map(i128::from));
            }
            (RowKind::Normalise { lanes, .. }, Op::Normalise(normalise), Between::Normalise(values)) => {
                for lane in 0..lanes {
                    let p = (element + lane) % normalise.groups;
                    set(0, lane, x[element + lane]);
                    set(1, lane, values.sums[p]);
                    set(2, lane, values.inverse_roots[p]);
                }
            }
            (RowKind::Root { bits, limbs }, Op::Normalise(normalise), Between::Normalise(values)) => {
                let p = element % normalise.groups;
                let (v, root) =
                    (normalise.variance(values.sums[p], values.squares[p]), i128::from(values.inverse_roots[p]));
                [v as i64, values.sums[p], values.inverse_roots[p]]
                    .into_iter()
                    .enumerate()
                    .for_each(|(s, v)| set(s, 0, v));
                let dividend = 1i128 << (2 * bits);
                let above = (root + 1) * (root + 1) * v - 1 - dividend;
                self.set_quotient(a, row, limbs, [root, dividend - root * root * v, above]);
            }
            _ => {}
        }
    }

    /// Limbs of a quotient and of the two differences that pin it.
    fn set_quotient(&mut self, a: &Architecture, row: usize, [quotient, difference]: [usize; 2], values: [i128; 3]) {
        let places = [(0, quotient), (quotient, difference), (quotient + difference, difference)];
        for ((first, count), value) in places.into_iter().zip(values) {
            for i in 0..count {
                let limb = value >> (a.shift as usize * i).min(127) & ((1 << a.shift) - 1);
                self.columns[a.range(first + i)][row] = limb as i64;
            }
        }
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
        let none = || vec![0i64; usable];
        let count = |mut counts: Vec<i64>, key: Key| {
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
            counts
        };
        let add = |mut sums: Vec<i64>, more: Vec<i64>| {
            sums.iter_mut().zip(more).for_each(|(sum, count)| *sum += count);
            sums
        };
        let counts = keys(a).into_par_iter().fold(none, count).reduce(none, add);
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

/// What a node computes between its operands and its accumulators.
enum Between {
    /// Nothing.
    Nothing,
    /// Values of a softmax, and the first member of each group that attains the maximum.
    Softmax { values: SoftmaxValues, first: Vec<usize> },
    /// Values of a normalisation.
    Normalise(NormaliseValues),
}

impl Between {
    fn new(node: &Node, execution: &Execution) -> Self {
        let x = &execution.values[node.inputs[0]];
        match &node.op {
            Op::Softmax(softmax) => {
                let values = softmax.values(x);
                let attains = |e: &usize, p: usize| !softmax.is_masked(*e) && x[*e] == values.maxima[p];
                let first = |p: usize| (p..x.len()).step_by(softmax.groups).find(|e| attains(e, p)).unwrap_or(0);
                let first = (0..softmax.groups).map(first).collect();
                Self::Softmax { values, first }
            }
            Op::Normalise(normalise) => Self::Normalise(normalise.values(x)),
            _ => Self::Nothing,
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
