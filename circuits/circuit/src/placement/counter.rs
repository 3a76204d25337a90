//! What a layout needs at least, by arithmetic alone: no cell is placed, so a network of any size is counted at once.
//!
//! The rows are those that the planner fills, operator by operator; the columns are those that its gates read. What an
//! operator asks for that is not counted here makes the count a lower bound: the search prunes by it, and refuses by
//! it, and neither is ever wrong for want of a number.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use zkml_gpu_graph::{Graph, Node, Rescale, Shape, TensorId, Visibility};

use super::by_lines::ByLines;
use super::limbs::Limbs;
use super::tables::{Kept, Tabulated, kept};
use super::tensors::Tensors;
use super::widths::Widths;
use crate::hash::HashRole;
use crate::rows::partial_products;
use crate::system::formulas::LineCells;
use crate::system::{Accumulator, Architecture, FixedRole, Geometry, Lines, Multiplicand, WeightMode, exact_cells};

/// Fixed columns of every circuit: usable rows, steps and end of the grand sum, value and tag of the ranges.
const FIXED_COLUMNS: usize = 5;

/// Rows of the operand, result and cross-term bank.
pub(crate) type Rows = [usize; 3];

/// Rows and columns that a graph needs at least.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    /// Rows of each node.
    pub(crate) nodes: Vec<Rows>,
    /// Rows of public inputs and outputs that no node reads.
    pub(crate) statement: Rows,
    /// Copied elements of operands.
    pub(crate) operand_cells: usize,
    /// Most activations of a row.
    pub(super) activation_lanes: usize,
    /// Lanes with cells for what requantisation leaves, by the shifts of their remainders.
    pub(super) requantised: BTreeMap<u32, usize>,
    /// Most members of a pooling window: of a product's accumulators, gathered as a maximum, gathered as a sum.
    pub(super) windows: [usize; 3],
    /// Most copies of a row that are results as they are.
    pub(super) copies: usize,
    /// Whether there is an index of a maximum.
    pub(super) indices: bool,
    /// Whether a product has two activations.
    pub(super) left: bool,
    /// Most results of a row that are looked up in a table.
    pub(super) looked_up_lanes: usize,
    /// Whether some results are clamped by limbs, or are by lines.
    pub(super) clamps: bool,
    /// Rows of functions by lines.
    pub(super) lines: BTreeSet<Lines>,
    /// Sorts of copies beside results.
    pub(super) auxiliary_groups: usize,
    /// Whether there are roots of variances.
    pub(super) inverse_roots: bool,
    /// Bits of the quotients of groups, and of the two numbers that pin each.
    pub(super) groups: BTreeSet<[u32; 2]>,
    /// Whether operands are read by full rows of lanes, and one by one.
    pub(super) operands: [bool; 2],
    /// Whether some output is raw.
    pub(super) raw: bool,
    /// Columns of committed tensors, at least: one each.
    pub(super) committed: usize,
    /// Whether some tensor is hashed.
    pub(super) hashed: bool,
    /// What identities have terms of, at least: each takes a fixed column.
    pub(super) multiplicands: BTreeSet<Multiplicand>,
}

impl Count {
    /// Rows of each bank.
    pub(crate) fn rows(&self) -> Rows {
        self.nodes
            .iter()
            .chain([&self.statement])
            .fold([0; 3], |sum, rows| [0, 1, 2].map(|bank| sum[bank] + rows[bank]))
    }

    /// The widths, with those that the graph makes no use of at their least: they make no difference.
    pub(crate) fn used(&self, widths: Widths) -> Widths {
        // Lanes that no row has make no difference, unless others are parts of them.
        let lanes = if widths.shared_remainders || !self.lines.is_empty() {
            widths.activation_lanes
        } else {
            self.activation_lanes
        };
        Widths {
            activation_lanes: lanes.max(1),
            cross_term_lanes: if self.rows()[2] > 0 { widths.cross_term_lanes } else { 1 },
            ..widths
        }
    }

    /// The fixed columns that there are at least: those of every circuit, those of terms, and one that numbers their
    /// identities.
    pub(crate) fn fixed_columns(&self) -> usize {
        FIXED_COLUMNS + self.multiplicands.len() + 1
    }

    /// The columns of the circuit, with one slot for terms, which all have; of the fixed ones no more is told than whether
    /// there are hashes.
    pub(crate) fn architecture(&self, shift: u32, limbs: &Limbs, widths: Widths, weights: WeightMode) -> Architecture {
        let limb_bits = widths.limb_bits;
        let cells_of = |shifts: u32| exact_cells(shift * shifts, limb_bits);
        // Rows that requantise nothing count as of one shift.
        let shifts = [1].into_iter().chain(self.requantised.keys().copied());
        let longest = shifts.map(cells_of).max().unwrap_or(0);
        let remainder_cells = if widths.shared_remainders { cells_of(1) } else { longest };
        let requantise = remainder_cells + limbs.excess + usize::from(limbs.short);
        let cells = |bits: u32| bits.div_ceil(limb_bits) as usize;
        let of_group = |[quotient, difference]: &[u32; 2]| cells(*quotient) + 2 * cells(*difference);
        let group_cells = self.groups.iter().map(of_group).max().unwrap_or(0);
        let [pool, maximum, sum] = self.windows;
        let pooled = if pool > 0 { requantise + pool * limbs.spread } else { 0 };
        let lanes = self.activation_lanes.max(1);
        let taken = |(shifts, lanes): (&u32, &usize)| lanes * cells_of(*shifts).div_ceil(remainder_cells);
        let of_lanes = self.requantised.iter().map(taken).max().unwrap_or(0);
        let differences = maximum.max(usize::from(self.indices));
        let mut architecture = Architecture {
            shift,
            limb_bits,
            operand_lanes: widths.operand_lanes,
            operand_columns: if self.operands[0] { widths.operand_lanes } else { usize::from(self.operands[1]) },
            left_lanes: if self.left { widths.operand_lanes } else { 0 },
            activation_lanes: lanes,
            looked_up_lanes: self.looked_up_lanes,
            clamps: self.clamps,
            remainder_cells,
            auxiliary_groups: self.auxiliary_groups,
            inverse_roots: self.inverse_roots,
            excess_limbs: limbs.excess,
            short_excess: limbs.short,
            spread_limbs: limbs.spread,
            range_columns: (of_lanes * requantise).max(pooled).max(differences * limbs.spread).max(group_cells),
            cross_term_lanes: if self.rows()[2] > 0 { widths.cross_term_lanes } else { 0 },
            gather_columns: maximum.max(sum).max(self.copies).max(if self.indices { 3 } else { 0 }),
            gather_by_index: self.indices,
            weights,
            slots: 1,
            raw_output: self.raw,
            committed_columns: self.committed,
            table_lanes: widths.table_lanes,
            lookup_group: widths.lookup_group,
            weight_columns: widths.weight_columns,
            ..Architecture::default()
        };
        if self.hashed {
            // Its columns and its degree are there where a fixed column has such a role.
            architecture.fixed.push(FixedRole::Hash(HashRole::Row));
        }
        let ends = self.lines.iter().filter_map(|of| LineCells::end(&architecture, of));
        architecture.range_columns = ends.fold(architecture.range_columns, usize::max);
        architecture.product_columns = partial_products(&architecture, pool.max(maximum));
        architecture
    }
}

/// A count in the making.
pub(super) struct Counter<'a> {
    pub(super) graph: &'a Graph,
    pub(super) tensors: &'a Tensors,
    pub(super) widths: Widths,
    pub(super) by_lines: ByLines,
    pub(super) weights: WeightMode,
    /// Public inputs that have a home.
    pub(super) placed: Vec<bool>,
    pub(super) count: Count,
}

impl<'a> Counter<'a> {
    /// Notes that identities have terms of these.
    pub(super) fn adds(&mut self, accumulators: &[Accumulator]) {
        self.count.multiplicands.extend(accumulators.iter().map(|accumulator| Multiplicand::Accumulator(*accumulator)));
    }

    /// Rows of a node's results, of so many lanes, with cells for what requantisation by so many shifts leaves.
    pub(super) fn requantises(&mut self, index: usize, lanes: usize, shifts: u32) {
        self.count.activation_lanes = self.count.activation_lanes.max(lanes);
        let most = self.count.requantised.entry(shifts).or_default();
        *most = (*most).max(lanes);
        match kept(self.graph, self.node(index), Tabulated::of(&self.widths)) {
            Some(Kept::Clamped { .. }) => self.count.clamps = true,
            Some(Kept::ByLines(..)) => {
                let of = self.by_lines.functions.get(&self.node(index).output).copied();
                self.follows_lines(of, lanes);
            }
            Some(Kept::LookedUp(_)) | None => self.looks_up(lanes),
        }
    }

    /// Notes rows with so many results by lines.
    fn follows_lines(&mut self, lines: Option<Lines>, lanes: usize) {
        self.count.clamps = true;
        if let Some(of) = lines.filter(|_| lanes > 0) {
            self.count.lines.insert(Lines { lanes, ..of });
            self.count.activation_lanes = self.count.activation_lanes.max(of.places + lanes);
            self.looks_up(of.places + lanes);
        }
    }

    /// Notes rows of so many exponentials.
    pub(super) fn exponentials(&mut self, index: usize, lanes: usize) {
        self.count.activation_lanes = self.count.activation_lanes.max(lanes);
        match self.by_lines.exponentials.get(&self.node(index).output).copied() {
            None => self.looks_up(lanes),
            of => self.follows_lines(of, lanes),
        }
    }

    /// Results of a row of a node's output whose remainders are of so many shifts.
    pub(super) fn lanes_of(&self, output: TensorId, shifts: u32) -> usize {
        let by_lines = self.by_lines.functions.get(&output);
        by_lines.map_or_else(|| self.widths.lanes_of(shifts), |of| of.places)
    }

    /// Exponentials of a row of a softmax's output.
    pub(super) fn exponential_lanes(&self, output: TensorId) -> usize {
        self.by_lines.exponentials.get(&output).map_or_else(|| self.widths.lanes_of(1), |of| of.places)
    }

    /// Notes a row whose first lanes are looked up in a table.
    pub(super) fn looks_up(&mut self, lanes: usize) {
        self.count.looked_up_lanes = self.count.looked_up_lanes.max(lanes);
    }

    /// The node with this index.
    pub(super) fn node(&self, index: usize) -> &'a Node {
        &self.graph.nodes[index]
    }

    /// A node whose rows compute with so many sorts of auxiliary operands, and with a remainder of its own.
    pub(super) fn computes(&mut self, index: usize, rescale: Rescale, lanes: usize, auxiliary_groups: usize) {
        self.requantises(index, lanes, rescale.limbs);
        self.count.auxiliary_groups = self.count.auxiliary_groups.max(auxiliary_groups);
    }

    /// Rows of an operand with room for `chain` rows of weights in each channel.
    pub(super) fn operand(&mut self, tensor: TensorId, shape: Shape, chain: usize) -> usize {
        let root = self.tensors.root(tensor);
        let public = self.graph.inputs.contains(&root) && !std::mem::replace(&mut self.placed[root], true);
        let single = shape.height * shape.width == 1;
        if !public {
            self.count.operands[usize::from(single)] = true;
            self.count.operand_cells += self.tensors.geometry(root).len();
            self.adds(&[Accumulator::OperandDigest]);
        }
        if single { shape.channels * chain } else { self.packed(root, chain) }
    }

    pub(super) fn packed(&self, root: TensorId, chain: usize) -> usize {
        let (sequences, length) = self.tensors.geometry(root).sequences(self.widths.operand_lanes);
        sequences * (length / self.widths.operand_lanes).max(chain)
    }

    /// Rows of the operand bank that reading a digest takes: those of a public input that has no home yet.
    pub(super) fn digest(&mut self, tensor: TensorId) -> usize {
        let root = self.tensors.root(tensor);
        let new = self.graph.inputs.contains(&root) && !std::mem::replace(&mut self.placed[root], true);
        if new { self.packed(root, 0) } else { 0 }
    }

    /// Groups of neighbouring elements that fill the lanes of a row whose remainders are of so many shifts, and the most
    /// elements of a group.
    pub(super) fn groups(&self, tensor: TensorId, shifts: u32) -> (usize, usize) {
        let lanes = self.lanes_of(tensor, shifts);
        if self.stands_apart(tensor) {
            return self.groups_in(tensor, 0..self.graph.tensors[tensor].shape.len(), shifts);
        }
        let runs = self.runs(tensor).into_iter().filter(|(count, _)| *count > 0);
        runs.fold((0, 0), |(groups, most), (count, run)| {
            (groups + count * run.div_ceil(lanes), most.max(lanes.min(run)))
        })
    }

    /// Whether neighbours in a row of a tensor's image have no consecutive exponents.
    pub(super) fn stands_apart(&self, tensor: TensorId) -> bool {
        let geometry = self.tensors.geometry(self.tensors.root(tensor));
        matches!(geometry, Geometry::Image { width, column_pitch, .. } if width > 1 && column_pitch > 1)
    }

    /// As [`groups`](Self::groups), of some elements, one by one.
    pub(super) fn groups_in(&self, tensor: TensorId, elements: Range<usize>, shifts: u32) -> (usize, usize) {
        self.groups_of(tensor, elements, self.lanes_of(tensor, shifts))
    }

    /// As [`groups_in`](Self::groups_in), of so many lanes.
    pub(super) fn groups_of(&self, tensor: TensorId, elements: Range<usize>, lanes: usize) -> (usize, usize) {
        let geometry = self.tensors.geometry(self.tensors.root(tensor));
        let (mut groups, mut most, mut run) = (0, 0, 0);
        for element in elements.clone() {
            let follows = element > elements.start && geometry.exponent(element - 1) == geometry.exponent(element) + 1;
            if follows && run < lanes {
                run += 1;
            } else {
                (groups, run) = (groups + 1, 1);
            }
            most = most.max(run);
        }
        (groups, most)
    }

    /// Runs of elements with consecutive exponents, as (count, length).
    pub(super) fn runs(&self, tensor: TensorId) -> [(usize, usize); 2] {
        match self.tensors.geometry(self.tensors.root(tensor)) {
            Geometry::Flat { len } => [(1, len), (0, 0)],
            Geometry::Image { channels, height, width, row_pitch, channel_pitch, .. } => {
                let (rows, row) = if width == row_pitch || height == 1 { (1, height * width) } else { (height, width) };
                let adjacent = channel_pitch == (height - 1) * row_pitch + width;
                match (adjacent, rows) {
                    (true, 1) => [(1, channels * row), (0, 0)],
                    // A channel's last row and the next one's first are one run.
                    (true, _) => [(channels * rows - 2 * (channels - 1), row), (channels - 1, 2 * row)],
                    (false, _) => [(channels * rows, row), (0, 0)],
                }
            }
        }
    }

    /// Public tensors that no node has placed.
    pub(super) fn ports(&mut self) {
        let raw = |tensor: TensorId| {
            let producer = self.graph.nodes.iter().find(|node| node.output == tensor);
            producer.is_some_and(Node::is_raw)
        };
        let (graph, visibility) = (self.graph, &self.graph.visibility);
        let shown = graph.outputs.iter().enumerate().filter(|(index, _)| !visibility.output(*index).is_hidden());
        let claimed: Vec<TensorId> = shown.map(|(_, tensor)| *tensor).filter(|tensor| !raw(*tensor)).collect();
        for tensor in claimed {
            let root = self.tensors.root(tensor);
            self.count.statement[0] += self.digest(root) + self.packed(root, 0);
        }
        for (index, &tensor) in graph.inputs.iter().enumerate() {
            if !visibility.input(index).is_hidden() {
                self.count.statement[0] += self.digest(tensor);
            }
        }
        let inputs = (0..graph.inputs.len()).map(|index| visibility.input(index));
        let all = inputs.chain((0..graph.outputs.len()).map(|index| visibility.output(index)));
        let all: Vec<Visibility> = all.collect();
        self.count.committed = all.iter().filter(|own| **own == Visibility::Committed).count();
        self.count.hashed = all.contains(&Visibility::Hashed);
        for column in 0..self.count.committed as u32 {
            self.adds(&[Accumulator::Committed(column)]);
        }
    }
}
