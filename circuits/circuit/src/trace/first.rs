//! Phase 1: small integers. Copies of operands, requantised values with their remainders and excesses, differences of
//! maxima, free coefficients that are not folded, and the multiplicities of the tables.

use std::borrow::Cow;
use std::collections::HashMap;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;
use zkml_gpu_graph::{Execution, Function, Graph, Storage, Visibility};

use super::cross_terms;
use super::dense::{dense, marks};
use crate::hash::{HashColumns, HashError, HashTrace, Poseidon, RowConstants, Salt, TensorHash};
use crate::layout::Layout;
use crate::placement::{GatherCell, Gathered};
use crate::rows::{Computed, Intermediate, RowWitness, chain};
use crate::scalar;
use crate::system::formulas::{Key, keys};
use crate::system::{FixedRole, GATHER_TAG, Lines, Port, RANGE_TAG, saturate};

/// Columns of phase 1, as integers over the usable rows.
#[derive(Clone)]
pub struct FirstPhase {
    /// Advice columns in order; the partial-product columns are empty here.
    pub columns: Vec<Vec<i64>>,
    /// Partial products, which may exceed 64 bits.
    pub products: Vec<Vec<Fr>>,
    /// Columns of elements of the hashes, whose columns among the others are empty here.
    pub hashes: Vec<Vec<Fr>>,
    /// The hashes of the hashed tensors, inputs first.
    pub tensor_hashes: Vec<TensorHash>,
}

impl std::fmt::Debug for FirstPhase {
    /// Sizes only: the values may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstPhase").field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

impl FirstPhase {
    /// The phase-1 columns of an execution of the graph that the layout was made for, with hashes without salts.
    pub fn new(layout: &Layout, graph: &Graph, execution: &Execution) -> Self {
        let mut phase = Self::columns(layout, graph, execution);
        // Where a hash does not fit its rows, which no check accepts, they stay 0, and the proof will fail.
        phase.fill_hashes(layout, graph, execution, &[]).unwrap_or_default();
        phase
    }

    /// The phase-1 columns, with salts of the hashed tensors, inputs first; those that have none are not salted.
    ///
    /// # Errors
    /// [`HashError`] where a hash does not fit its rows, which no layout does that the check accepts.
    pub fn salted(
        layout: &Layout,
        graph: &Graph,
        execution: &Execution,
        salts: &[Option<&Salt>],
    ) -> Result<Self, HashError> {
        let mut phase = Self::columns(layout, graph, execution);
        phase.fill_hashes(layout, graph, execution, salts)?;
        Ok(phase)
    }

    fn columns(layout: &Layout, graph: &Graph, execution: &Execution) -> Self {
        let a = &layout.architecture;
        let usable = layout.usable_rows();
        let mut phase = Self {
            columns: vec![vec![0; usable]; a.first_phase()],
            products: vec![vec![Fr::ZERO; usable]; a.product_columns],
            hashes: vec![vec![Fr::ZERO; usable]; a.hash_columns().min(HashColumns::ELEMENTS)],
            tensor_hashes: Vec::new(),
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
        let functions: Vec<Option<Function>> = graph.nodes.iter().map(|node| graph.function(node)).collect();
        let intermediates: Vec<Intermediate> =
            graph.nodes.iter().map(|node| Intermediate::new(node, execution)).collect();
        let looked_up = dense(layout, &FixedRole::LooksUp, usable);
        let mut by_lines: Vec<Option<Lines>> = vec![None; usable];
        for (index, of) in a.lines() {
            layout.fixed[index].iter().for_each(|(row, _)| by_lines[*row as usize] = Some(of));
        }
        for result in &layout.results {
            let node = &graph.nodes[result.node as usize];
            // Rows without a function are raw outputs, which hold nothing.
            let Some(function) = &functions[result.node as usize] else { continue };
            let at = result.row as usize;
            // No check accepts a row with more results than its lines are for.
            let lines = by_lines[at].filter(|of| result.kind.digest_lanes() <= of.lanes);
            let looks_up = looked_up[at] != 0;
            let mut row = RowWitness { columns: &mut phase.columns, a, row: at, looks_up, lines };
            if looks_up {
                // Lanes that the row leaves idle hold the table's first entry.
                row.idle(0, saturate(function, function.min()).0);
            }
            let computed = Computed {
                graph,
                execution,
                node,
                element: result.element as usize,
                accumulators: &execution.accumulators[result.node as usize],
                values: &execution.values[node.output],
                function,
                intermediate: &intermediates[result.node as usize],
            };
            result.kind.fill(&mut row, &computed);
        }
        phase.fill_cross_terms(layout, graph, execution);
        phase.fill_committed(layout, graph, execution);
        phase.fill_products(layout);
        phase.fill_multiplicities(layout);
        phase
    }

    /// The rows of hashes.
    fn fill_hashes(
        &mut self,
        layout: &Layout,
        graph: &Graph,
        execution: &Execution,
        salts: &[Option<&Salt>],
    ) -> Result<(), HashError> {
        let a = &layout.architecture;
        if !a.has_hashes() {
            return Ok(());
        }
        let (poseidon, tensors) = (Poseidon::new(), layout.statement.hashed()?);
        let constants = RowConstants::new(&poseidon, &tensors);
        let mut trace = HashTrace::new(layout.usable_rows());
        let ports = layout.statement.ports().zip(graph.inputs.iter().chain(&graph.outputs));
        let hashed = ports.filter(|(port, _)| port.placement.visibility() == Visibility::Hashed);
        let salts = salts.iter().copied().chain(std::iter::repeat(None));
        for (((port, tensor), rows), salt) in hashed.zip(&tensors).zip(salts) {
            let values = hashed_values(port, &execution.values[*tensor]);
            self.tensor_hashes.push(trace.fill(&poseidon, &constants, rows, &values, salt)?);
        }
        let HashTrace { state: [first, second, third], square, word, held, value } = trace;
        self.hashes = vec![first, second, third, square, word, held];
        self.columns[a.hashed_values()] = value;
        Ok(())
    }

    /// Free coefficients of single channels; folded ones are in phase 2.
    fn fill_cross_terms(&mut self, layout: &Layout, graph: &Graph, execution: &Execution) {
        let a = &layout.architecture;
        for run in &layout.cross_terms {
            let Some(channel) = run.channel else { continue };
            let coefficients = cross_terms::of_channel(graph, execution, run, channel as usize);
            for (position, value) in coefficients.into_iter().enumerate() {
                let row = run.first_row as usize + position / a.cross_term_lanes;
                self.columns[a.cross_term(position % a.cross_term_lanes)][row] = value;
            }
        }
    }

    /// Committed tensors, in columns of their own.
    fn fill_committed(&mut self, layout: &Layout, graph: &Graph, execution: &Execution) {
        let a = &layout.architecture;
        for (port, tensor) in layout.statement.ports().zip(graph.inputs.iter().chain(&graph.outputs)) {
            for (element, value) in execution.values[*tensor].iter().enumerate() {
                let Some((column, row)) = port.placement.committed_cell(element) else { break };
                self.columns[a.committed(column)][row] = *value;
            }
        }
    }

    /// Partial products of the maxima's differences, from the range cells as they are.
    pub fn fill_products(&mut self, layout: &Layout) {
        let a = &layout.architecture;
        for result in &layout.results {
            let row = result.row as usize;
            let Some(size) = result.kind.attained() else { continue };
            let mut cell = |column: usize| scalar::from_i64(self.columns[column][row]);
            let differences: Vec<Fr> = (0..size).map(|slot| result.kind.spread(a, slot, &mut cell)).collect();
            let mut product = Fr::ONE;
            for (i, factors) in chain(a, &differences).iter().enumerate().take(a.product_columns) {
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
        let none = || vec![0i64; layout.tables.rows.len()];
        let count = |mut counts: Vec<i64>, key: Key| {
            let indices = match key {
                Key::Copy(k) => gather_indices(layout, self, k),
                Key::Range(_) | Key::Activation(_) => Vec::new(),
            };
            let counts_on = match key {
                Key::Activation(lane) => marks(layout, lane, usable),
                Key::Range(_) | Key::Copy(_) => Vec::new(),
            };
            for row in 0..usable {
                let cell = |column: usize| self.columns[column][row];
                let found = match key {
                    Key::Range(i) => layout.tables.find([cell(a.range(i)), 0, 0], RANGE_TAG),
                    Key::Copy(k) => layout.tables.find([cell(a.copy(k)), indices[row], 0], GATHER_TAG),
                    Key::Activation(_) if counts_on[row] == 0 => None,
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
        for lane in 0..a.table_lanes {
            let of_lane = counts.iter().skip(lane).step_by(a.table_lanes).copied();
            self.columns[a.multiplicity(lane)] = of_lane.chain(std::iter::repeat(0)).take(usable).collect();
        }
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

/// What is hashed of a tensor as it is stored: of one-hot forms the indices, -1 for a row that is none.
fn hashed_values<'v>(port: &Port, stored: &'v [i64]) -> Cow<'v, [i64]> {
    match port.storage {
        Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => Cow::Borrowed(stored),
        Storage::OneHot => Cow::Owned(port.indices(stored)),
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
