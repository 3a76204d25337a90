//! Places nodes one after another: rows of the three banks, fixed cells, and the terms of each identity.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};
use zkml_gpu_graph::{Graph, Softmax, Storage, TensorId};

use super::by_lines::ByLines;
use super::cells::{BankRow, BankValues, CrossTermRun, GatherCell, Gathered, OperandCell, ResultRow};
use super::error::LayoutError;
use super::tables::{Kept, Tabulated, kept};
use super::tensors::{Piece, Tensors};
use super::widths::Widths;
use crate::hash::{HashError, HashedTensor};
use crate::system::{
    Accumulator, Clamp, Factor, FixedRole, Geometry, Lines, Multiplicand, Placement, Port, Power, RowKind, Tables,
    WeightMode,
};

/// A row of results to be placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResultEntry {
    /// What the row holds.
    pub(crate) kind: RowKind,
    /// First output element.
    pub(crate) element: usize,
    /// Number of output elements.
    pub(crate) count: usize,
    /// Exponent, in the Result accumulator, of the row's last accumulator.
    pub(crate) exponent: usize,
    /// Output channel: the Result accumulator starts anew at each.
    pub(crate) channel: usize,
}

/// How the Result accumulator runs over a node's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Not at all: the row's gate ties the accumulator by itself.
    Unread,
    /// By powers of `s`, one value a channel.
    Channels,
    /// By powers of `r` within a channel; channels by powers of `s`.
    Positions,
    /// By powers of `s` within a row of a matrix; rows by powers of `r`.
    Rows,
    /// By powers of `r` within a channel; channels add up.
    Sums,
}

/// What pins the results of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pins {
    /// Their gates.
    Gates,
    /// The table of this tag.
    Table(i64),
    /// The range of `2^bits` values from `least` on.
    Clamp {
        /// Least value.
        least: i64,
        /// Bits.
        bits: u32,
    },
    /// Straight lines.
    Lines {
        /// What is alike on all rows.
        of: Lines,
        /// The least argument, on the segment before the first.
        least: i64,
        /// The tag of their table.
        tag: i64,
    },
}

/// Rows of the result bank one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'e> {
    /// The node that computes them.
    pub(crate) node: usize,
    /// The rows.
    pub(crate) entries: &'e [ResultEntry],
    /// How the Result accumulator runs.
    pub(crate) order: Order,
    /// What their results are pinned by, where it is not their gates alone.
    pub(crate) pins: Pins,
    /// Whether they hold the node's output, and not something on the way to it.
    pub(crate) output: bool,
}

/// Where the sums of hidden indices stand.
#[derive(Clone, Debug)]
struct IndexSums {
    identity: usize,
    /// The last row of each channel.
    ends: Vec<usize>,
    /// Hashes that are tied to them already.
    hashes: usize,
}

/// Where a tensor's digest ends.
type Home = (Accumulator, usize);

/// The state of a layout in the making.
#[derive(Debug)]
pub(crate) struct Planner<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) widths: Widths,
    by_lines: ByLines,
    /// Whether the weights are embedded, so that each output channel has free coefficients of its own.
    pub(crate) weights: WeightMode,
    pub(crate) tensors: Tensors,
    pub(crate) tables: Tables,
    roles: FxHashMap<FixedRole, usize>,
    /// Roles and cells of the fixed columns, in column order.
    pub(crate) fixed: Vec<(FixedRole, Vec<(u32, i64)>)>,
    pub(crate) operand_row: usize,
    pub(crate) result_row: usize,
    cross_term_row: usize,
    /// Rows at the beginning of the operand and the result bank that are kept for public outputs, and the next free
    /// ones of them: the verifier's work grows with the last row of an instance column.
    kept: [usize; 2],
    next_kept: [usize; 2],
    homes: FxHashMap<TensorId, Home>,
    /// Rows of the result bank after which a piece of a tensor begins or ends: by tensor and elements up to there.
    ends: FxHashMap<(TensorId, usize), usize>,
    pub(crate) input_places: FxHashMap<TensorId, Placement>,
    pub(crate) raw_places: FxHashMap<TensorId, Placement>,
    pub(crate) operands: Vec<OperandCell>,
    pub(crate) results: Vec<ResultRow>,
    pub(crate) bank: Vec<BankRow>,
    pub(crate) cross_terms: Vec<CrossTermRun>,
    pub(crate) gathers: Vec<GatherCell>,
    /// (row, root, first element, lanes) of gathered tensors' results.
    sources: Vec<(usize, TensorId, usize, usize)>,
    /// How often each element of a tensor is gathered.
    gather_counts: FxHashMap<TensorId, Vec<i64>>,
    /// Tensors that are gathered at indices that depend on the witness.
    gathered_by_index: FxHashSet<TensorId>,
    /// Coefficients of terms by what they multiply, then by row and identity.
    terms: BTreeMap<(Multiplicand, Factor), BTreeMap<(usize, usize), i64>>,
    pub(crate) identities: usize,
    /// Columns of committed tensors.
    pub(crate) committed_columns: usize,
    /// Sums of hidden indices in one-hot form.
    index_sums: FxHashMap<TensorId, IndexSums>,
    /// Rows up to the last hash, and the number of hashed tensors.
    hash_rows: usize,
    hashed: usize,
    /// Identities with terms on one row, at most; known once the terms have their columns.
    pub(crate) slots: usize,
    /// Most results of a row that are looked up in a table.
    pub(crate) looked_up_lanes: usize,
}

impl<'g> Planner<'g> {
    pub(crate) fn new(
        graph: &'g Graph,
        (widths, by_lines): (Widths, ByLines),
        weights: WeightMode,
        tensors: Tensors,
        tables: Tables,
    ) -> Self {
        Self {
            graph,
            widths,
            by_lines,
            weights,
            tensors,
            tables,
            roles: FxHashMap::default(),
            fixed: Vec::new(),
            operand_row: 0,
            result_row: 0,
            cross_term_row: 0,
            kept: [0; 2],
            next_kept: [0; 2],
            homes: FxHashMap::default(),
            ends: FxHashMap::default(),
            input_places: FxHashMap::default(),
            raw_places: FxHashMap::default(),
            operands: Vec::new(),
            results: Vec::new(),
            bank: Vec::new(),
            cross_terms: Vec::new(),
            gathers: Vec::new(),
            sources: Vec::new(),
            gather_counts: FxHashMap::default(),
            gathered_by_index: FxHashSet::default(),
            terms: BTreeMap::new(),
            identities: 0,
            committed_columns: 0,
            index_sums: FxHashMap::default(),
            hash_rows: 0,
            hashed: 0,
            slots: 0,
            looked_up_lanes: 0,
        }
    }

    /// Rows in use: operand, result and cross-term bank, table, hashes.
    pub(crate) fn rows(&self) -> [usize; 5] {
        let unused = |bank: usize| self.kept[bank] - self.next_kept[bank];
        let banks = [self.operand_row - unused(0), self.result_row - unused(1), self.cross_term_row];
        [banks[0], banks[1], banks[2], self.tables.rows.len().div_ceil(self.widths.table_lanes), self.hash_rows]
    }

    /// Keeps rows for the outputs, before anything is placed: those of claims in the operand bank, those of raw
    /// results.
    pub(crate) fn keep_public_rows(&mut self) {
        let raw: FxHashSet<TensorId> =
            self.graph.nodes.iter().filter(|node| node.is_raw()).map(|node| node.output).collect();
        let claim = |output: &TensorId| {
            let (sequences, length) = self.geometry(*output).sequences(self.widths.operand_lanes);
            sequences * length / self.widths.operand_lanes
        };
        let outputs = self.graph.outputs.iter().enumerate();
        let public = outputs.filter(|(index, _)| !self.graph.visibility.output(*index).is_hidden());
        let claims = public.map(|(_, output)| output).filter(|output| !raw.contains(output)).map(claim).sum();
        self.kept = [claims, raw.iter().map(|output| self.graph.tensors[*output].shape.len()).sum()];
        [self.operand_row, self.result_row] = self.kept;
    }

    /// Places something in the rows kept for public values.
    pub(crate) fn in_kept_rows<T>(&mut self, place: impl FnOnce(&mut Self) -> T) -> T {
        let rows = [self.operand_row, self.result_row];
        [self.operand_row, self.result_row] = self.next_kept;
        let placed = place(self);
        self.next_kept = [self.operand_row, self.result_row];
        [self.operand_row, self.result_row] = rows;
        placed
    }

    /// Sets a fixed cell, creating its column at first use.
    pub(crate) fn set(&mut self, role: FixedRole, row: usize, value: i64) {
        if let Some(column) = self.roles.get(&role) {
            return self.fixed[*column].1.push((row as u32, value));
        }
        self.roles.insert(role.clone(), self.fixed.len());
        self.fixed.push((role, vec![(row as u32, value)]));
    }

    /// Creates a column whose cells come later.
    pub(crate) fn declare(&mut self, role: FixedRole) {
        self.roles.insert(role.clone(), self.fixed.len());
        self.fixed.push((role, Vec::new()));
    }

    /// Whether some row has this role.
    pub(crate) fn has(&self, role: &FixedRole) -> bool {
        self.roles.contains_key(role)
    }

    /// Whether some product has two activations.
    pub(crate) fn has_left(&self) -> bool {
        self.roles.keys().any(|role| matches!(role, FixedRole::LeftPacked(_) | FixedRole::LeftSingle))
    }

    pub(crate) fn step(&mut self, accumulator: Accumulator, row: usize, power: Power) {
        self.set(FixedRole::Step(accumulator, power), row, 1);
    }

    /// A fresh identity: its terms must sum to zero.
    pub(crate) fn identity(&mut self) -> usize {
        self.identities += 1;
        self.identities - 1
    }

    pub(crate) fn term(&mut self, identity: usize, multiplicand: Multiplicand, row: usize, factor: Factor, value: i64) {
        // Two operands may share a digest (a tensor added to itself): their coefficients add up.
        *self.terms.entry((multiplicand, factor)).or_default().entry((row, identity)).or_default() += value;
    }

    /// Gives the terms their columns, once all are known. An identity's terms on a row share a slot: one in which what
    /// the term multiplies has a column already, where there is one.
    pub(crate) fn finish_terms(&mut self) {
        let mut slots: FxHashMap<usize, Vec<Option<usize>>> = FxHashMap::default();
        let mut sorts: Vec<_> = std::mem::take(&mut self.terms).into_iter().collect();
        sorts.sort_by_key(|(_, cells)| Reverse(cells.len()));
        for ((multiplicand, factor), cells) in sorts {
            let role = |slot: usize| FixedRole::Term { slot, multiplicand, factor: factor.clone() };
            for ((row, identity), value) in cells {
                let taken = slots.entry(row).or_default();
                let slot = taken.iter().position(|of| *of == Some(identity)).unwrap_or_else(|| {
                    let is_free = |slot: &usize| taken.get(*slot).copied().flatten().is_none();
                    let known = (0..self.slots).filter(is_free).find(|slot| self.roles.contains_key(&role(*slot)));
                    let slot = known.or_else(|| (0..self.slots).find(is_free)).unwrap_or(self.slots);
                    if taken.len() <= slot {
                        taken.resize(slot + 1, None);
                    }
                    taken[slot] = Some(identity);
                    self.slots = self.slots.max(slot + 1);
                    self.set(FixedRole::Identity(slot), row, identity as i64 + 1);
                    slot
                });
                self.set(role(slot), row, value);
            }
        }
    }

    /// Adds `value` times the digest of `tensor` to an identity.
    pub(crate) fn digest_term(&mut self, identity: usize, tensor: TensorId, value: i64) -> Result<(), LayoutError> {
        self.scaled_digest_term(identity, tensor, 0, value)
    }

    /// Adds `value·s^channels` times the digest of `tensor` to an identity.
    pub(crate) fn scaled_digest_term(
        &mut self,
        identity: usize,
        tensor: TensorId,
        channels: usize,
        value: i64,
    ) -> Result<(), LayoutError> {
        let root = self.tensors.root(tensor);
        let pieces = self.tensors.pieces(root).filter(|_| !self.homes.contains_key(&root));
        if let Some(pieces) = pieces.map(<[Piece]>::to_vec) {
            return pieces.iter().try_for_each(|piece| self.piece_term((identity, root, channels), piece, value));
        }
        if !self.homes.contains_key(&root) {
            if !self.is_public_input(root) {
                return Err(LayoutError::Malformed(format!("tensor {root} is read before it is produced")));
            }
            let place = self.place_instance(root, None);
            self.input_places.insert(root, place);
        }
        let (accumulator, row) = self.homes[&root];
        self.term(identity, Multiplicand::Accumulator(accumulator), row, Factor::s(channels), value);
        Ok(())
    }

    /// Adds `value` times a piece's share of the digest of `tensor`: the digest of the piece's tensor up to its end,
    /// less that up to its beginning, at the exponents that the elements have in `tensor`.
    fn piece_term(
        &mut self,
        (identity, tensor, channels): (usize, TensorId, usize),
        piece: &Piece,
        value: i64,
    ) -> Result<(), LayoutError> {
        let digest = Multiplicand::Accumulator(Accumulator::ResultDigest);
        let [geometry, own] = [tensor, piece.root].map(|t| self.tensors.geometry(t));
        let last = [piece.end - 1, piece.place_end - 1];
        let is_shifted = |n: usize| {
            let [inside, place] = last.map(|last| last - n);
            own.exponent(inside) - own.exponent(last[0]) == geometry.exponent(place) - geometry.exponent(last[1])
        };
        // One power of r shifts all elements of the piece: otherwise the identity would speak of other elements.
        if !(0..piece.end - piece.first).all(is_shifted) {
            let root = piece.root;
            return Err(LayoutError::Malformed(format!(
                "a piece of tensor {root} has other distances in tensor {tensor}"
            )));
        }
        let shift = geometry.exponent(piece.place_end - 1);
        let end = self.end_row(piece.root, piece.end)?;
        self.term(identity, digest, end, Factor { channels, ..Factor::r(shift) }, value);
        if piece.first > 0 {
            let before = self.end_row(piece.root, piece.first)?;
            let shift = shift + own.exponent(piece.first - 1) - own.exponent(piece.end - 1);
            self.term(identity, digest, before, Factor { channels, ..Factor::r(shift) }, -value);
        }
        Ok(())
    }

    fn end_row(&self, root: TensorId, end: usize) -> Result<usize, LayoutError> {
        let row = self.ends.get(&(root, end)).copied();
        row.ok_or_else(|| LayoutError::Malformed(format!("no row ends with element {end} of tensor {root}")))
    }

    /// Places an operand, one sequence a channel, each with room for `chain` rows of weights that end where the
    /// channel's polynomial does; returns those rows. A public input's first placement reads the instance columns and
    /// is its home; any other is a copy, tied by its digest.
    pub(crate) fn place_operand(&mut self, tensor: TensorId, chain: usize) -> Result<Vec<usize>, LayoutError> {
        let root = self.tensors.root(tensor);
        let public = self.is_public_input(root) && !self.homes.contains_key(&root);
        let shape = self.graph.tensors[tensor].shape;
        let (ends, place) = if shape.height * shape.width == 1 {
            self.place_single(root, shape.channels, chain, public)
        } else {
            self.place_packed(root, chain, public)
        };
        let last = *ends.last().ok_or_else(|| LayoutError::Malformed(format!("tensor {tensor} is empty")))?;
        if public {
            self.homes.insert(root, (Accumulator::OperandDigest, last));
            self.input_places.insert(root, place);
        } else {
            let len = self.tensors.geometry(root).len();
            self.operands.extend((0..len).filter_map(|element| {
                let (lane, row) = place.cell(element)?;
                let (row, lane) = (row as u32, lane as u32);
                Some(OperandCell { row, lane, left: false, tensor: root as u32, element: element as u32 })
            }));
            let identity = self.identity();
            self.term(identity, Multiplicand::Accumulator(Accumulator::OperandDigest), last, Factor::default(), 1);
            self.digest_term(identity, root, -1)?;
            // What reads the tensor next is tied to this copy, so that no row has a term for each of many copies.
            self.homes.insert(root, (Accumulator::OperandDigest, last));
        }
        Ok(ends)
    }

    /// One element every `chain` rows, in lane 0.
    fn place_single(&mut self, root: TensorId, len: usize, chain: usize, public: bool) -> (Vec<usize>, Placement) {
        let geometry = self.tensors.geometry(root);
        let first_row = self.operand_row + chain - 1;
        let role = if public { FixedRole::InstanceSingle } else { FixedRole::OperandSingle };
        let ends: Vec<usize> = (0..len).map(|i| first_row + i * chain).collect();
        for (i, &end) in ends.iter().enumerate() {
            self.set(role.clone(), end, 1);
            if i > 0 {
                (end + 1 - chain..end).for_each(|row| self.step(Accumulator::OperandDigest, row, Power::KEEP));
                let distance = geometry.exponent(i - 1) - geometry.exponent(i);
                self.step(Accumulator::OperandDigest, end, Power::r(distance));
            }
        }
        self.operand_row += len * chain;
        (ends, Placement::Column { column: 0, first_row, row_stride: chain })
    }

    /// Full rows of lanes, channel by channel.
    fn place_packed(&mut self, root: TensorId, chain: usize, public: bool) -> (Vec<usize>, Placement) {
        let geometry = self.tensors.geometry(root);
        let lanes = self.widths.operand_lanes;
        let (sequences, length) = geometry.sequences(lanes);
        let rows = length / lanes;
        let row_stride = rows.max(chain);
        let first_row = self.operand_row + row_stride - rows;
        let role = if public { FixedRole::InstancePacked } else { FixedRole::OperandPacked };
        for sequence in 0..sequences {
            let start = first_row + sequence * row_stride;
            for row in start..start + rows {
                self.set(role.clone(), row, 1);
                if row > start {
                    self.step(Accumulator::Operand, row, Power::r(lanes));
                }
                if row > first_row {
                    self.step(Accumulator::OperandDigest, row, Power::r(lanes));
                }
            }
            if sequence > 0 {
                (start + rows - row_stride..start)
                    .for_each(|row| self.step(Accumulator::OperandDigest, row, Power::KEEP));
            }
        }
        self.operand_row += sequences * row_stride;
        let ends = (0..sequences).map(|c| first_row + c * row_stride + rows - 1).collect();
        (ends, Placement::Packed { first_row, row_stride, lanes, geometry })
    }

    /// Places copies of a left operand: block `b` ends at row `ends[b]`, `s^stride` between neighbours, `rows` of them
    /// a block.
    pub(crate) fn place_left(
        &mut self,
        tensor: TensorId,
        rows: usize,
        stride: usize,
        ends: &[usize],
    ) -> Result<(), LayoutError> {
        let root = self.tensors.root(tensor);
        let (geometry, lanes) = (self.tensors.geometry(root), self.widths.operand_lanes);
        let cells = rows.div_ceil(lanes);
        let packed = if rows > 1 { FixedRole::LeftPacked(stride) } else { FixedRole::LeftSingle };
        // Exponent of a block's last element, which is in the last lane of its last row.
        let exponent = |block: usize| geometry.exponent(block * rows + rows - 1);
        for (block, &end) in ends.iter().enumerate() {
            let start = end + 1 - cells;
            for row in start..=end {
                self.set(packed.clone(), row, 1);
                if row > start {
                    self.step(Accumulator::Weights, row, Power::s(stride * lanes));
                    self.step(Accumulator::LeftDigest, row, Power::r(lanes));
                }
            }
            if block > 0 {
                (ends[block - 1] + 1..start).for_each(|row| self.step(Accumulator::LeftDigest, row, Power::KEEP));
                let distance = exponent(block - 1) - exponent(block) - (cells - 1) * lanes;
                self.step(Accumulator::LeftDigest, start, Power::r(distance));
            }
            self.operands.extend((0..rows).map(|i| {
                let place = if rows > 1 { cells * lanes - rows + i } else { 0 };
                OperandCell {
                    row: (start + place / lanes) as u32,
                    lane: (place % lanes) as u32,
                    left: true,
                    tensor: root as u32,
                    element: (block * rows + i) as u32,
                }
            }));
        }
        let last = ends.last().copied().unwrap_or(0);
        let identity = self.identity();
        self.term(identity, Multiplicand::Accumulator(Accumulator::LeftDigest), last, Factor::default(), 1);
        self.digest_term(identity, root, -1)
    }

    /// Whether the caller gives a tensor, and everybody sees it. A hidden input has no cells before lowering.
    fn is_public_input(&self, tensor: TensorId) -> bool {
        self.graph.input_visibility(tensor).is_some_and(|visibility| !visibility.is_hidden())
    }

    /// Ties a committed tensor to columns of its own, one element a row as they are stored: the columns' digests have
    /// the tensor's exponents, element by element. Rows beyond the tensor have no weight.
    pub(crate) fn place_committed(&mut self, tensor: TensorId, rows: usize) -> Result<Placement, LayoutError> {
        let root = self.tensors.root(tensor);
        let (geometry, first) = (self.tensors.geometry(root), self.committed_columns);
        let (identity, len) = (self.identity(), self.tensors.geometry(root).len());
        self.digest_term(identity, root, -1)?;
        for start in (0..len).step_by(rows) {
            let accumulator = Accumulator::Committed(self.committed_columns as u32);
            let last = len.min(start + rows) - 1;
            for element in start + 1..=last {
                let distance = geometry.exponent(element - 1) - geometry.exponent(element);
                self.step(accumulator, element - start, Power::r(distance));
            }
            let shift = Factor::r(geometry.exponent(last));
            self.term(identity, Multiplicand::Accumulator(accumulator), last - start, shift, 1);
            self.committed_columns += 1;
        }
        Ok(Placement::Committed { first, rows })
    }

    /// Notes where the sums of a hidden input of indices stand: their identity, and the last row of each channel.
    pub(crate) fn note_index_sums(&mut self, tensor: TensorId, identity: usize, ends: Vec<usize>) {
        self.index_sums.insert(tensor, IndexSums { identity, ends, hashes: 0 });
    }

    /// Ties a tensor's values to the rows of its hash, one value a row in the tensor's order. `port` is how it is
    /// declared.
    pub(crate) fn place_hashed(&mut self, tensor: TensorId, port: &Port) -> Result<Placement, LayoutError> {
        let first_row = self.hash_rows.max(1);
        let malformed = |error: HashError| LayoutError::Malformed(error.to_string());
        let hashed = HashedTensor::new(port.logical_format(), port.logical_len(), first_row).map_err(malformed)?;
        for (role, row, value) in hashed.fixed_cells(self.hashed) {
            self.set(FixedRole::Hash(role), row, value);
        }
        match port.storage {
            Storage::OneHot => self.tie_hashed_indices(tensor, port, &hashed)?,
            Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => self.tie_hashed(tensor, &hashed)?,
        }
        (self.hash_rows, self.hashed) = (hashed.end(), self.hashed + 1);
        Ok(Placement::Hashed { first_row })
    }

    /// The digest of the hashed values, at the tensor's exponents, is the tensor's.
    fn tie_hashed(&mut self, tensor: TensorId, hashed: &HashedTensor) -> Result<(), LayoutError> {
        let root = self.tensors.root(tensor);
        let geometry = self.tensors.geometry(root);
        let identity = self.identity();
        self.digest_term(identity, root, -1)?;
        let last = self.step_hashed(hashed, geometry.len(), |element| geometry.exponent(element));
        let shift = Factor::r(geometry.exponent(geometry.len() - 1));
        self.term(identity, Multiplicand::Accumulator(Accumulator::Hashed), last, shift, 1);
        Ok(())
    }

    /// What stands for 1, times each hashed index, is the sum of the elements of all channels, each times its channel:
    /// beside the sums that say that one of them stands for 1, at a power of `s` of the hash's own. Sums up to a channel
    /// hold each channel before it once, so that `channels - 1` times the last, less all others, holds each as often as
    /// its number says.
    fn tie_hashed_indices(&mut self, tensor: TensorId, port: &Port, hashed: &HashedTensor) -> Result<(), LayoutError> {
        let Some(sums) = self.index_sums.get_mut(&tensor) else {
            let reason = "it is an index that everybody sees as an input, and its ones and zeros have no hash".into();
            return Err(LayoutError::Unsupported { node: port.name.clone(), reason });
        };
        // An input may be an output as well.
        sums.hashes += 1;
        let IndexSums { identity, ends, hashes: power } = sums.clone();
        let last = self.step_hashed(hashed, port.logical_len(), |index| port.logical_len() - 1 - index);
        self.term(identity, Multiplicand::Accumulator(Accumulator::Hashed), last, Factor::s(power), -port.format.max);
        let total = Multiplicand::Accumulator(Accumulator::ResultTotal);
        for (channel, end) in ends.iter().enumerate() {
            let times = if channel + 1 < ends.len() { -1 } else { channel as i64 };
            self.term(identity, total, *end, Factor::s(power), times);
        }
        Ok(())
    }

    /// The steps of a hash's digest, which is kept between two values; returns the row of the last value.
    fn step_hashed(&mut self, hashed: &HashedTensor, values: usize, exponent: impl Fn(usize) -> usize) -> usize {
        let mut before = hashed.value_row(0);
        for element in 1..values {
            let row = hashed.value_row(element);
            (before + 1..row).for_each(|row| self.step(Accumulator::Hashed, row, Power::KEEP));
            self.step(Accumulator::Hashed, row, Power::r(exponent(element - 1) - exponent(element)));
            before = row;
        }
        before
    }

    /// Reads a tensor from the instance columns: an output's claim, tied to its home by `identity`, or an input's home.
    pub(crate) fn place_instance(&mut self, root: TensorId, identity: Option<usize>) -> Placement {
        let (ends, place) = self.place_packed(root, 0, true);
        let last = ends.last().copied().unwrap_or(0);
        match identity {
            Some(identity) => {
                self.term(identity, Multiplicand::Accumulator(Accumulator::OperandDigest), last, Factor::default(), 1);
            }
            None => {
                self.homes.insert(root, (Accumulator::OperandDigest, last));
            }
        }
        place
    }

    /// Places rows of learned values that end at `end`: the values of `list`, each over these blocks of output channels.
    /// `distance` is the power between two neighbours of the list.
    pub(crate) fn place_weights(
        &mut self,
        node: usize,
        end: usize,
        list: &[BankValues],
        distances: &[Power],
        blocks: Range<usize>,
    ) {
        let first = end + 1 - list.len() * blocks.len();
        for (i, values) in list.iter().enumerate() {
            for (place, block) in blocks.clone().rev().enumerate() {
                let row = first + i * blocks.len() + place;
                self.bank.push(BankRow { row: row as u32, node: node as u32, block: block as u32, values: *values });
                if place > 0 {
                    self.step(Accumulator::Weights, row, Power::s(self.widths.weight_columns));
                } else if i > 0 {
                    self.step(Accumulator::Weights, row, distances[i - 1]);
                }
            }
        }
    }

    /// Places a node's results, and ties them to `identity`, whose term is `-r^shift · Σ accumulators`.
    pub(crate) fn place_results(
        &mut self,
        node: usize,
        entries: &[ResultEntry],
        order: Order,
        identity: Option<(usize, usize)>,
    ) -> Result<(), LayoutError> {
        let output = self.graph.nodes[node].output;
        let pins = self.pins(node)?;
        let last = self.place_segment(Segment { node, entries, order, pins, output: true })?;
        if let Some((identity, shift)) = identity {
            let total = Multiplicand::Accumulator(Accumulator::ResultTotal);
            self.term(identity, total, last, Factor::r(shift), -1);
        }
        self.homes.insert(output, (Accumulator::ResultDigest, last));
        Ok(())
    }

    /// What pins the results of a node's last rows.
    fn pins(&self, index: usize) -> Result<Pins, LayoutError> {
        let node = &self.graph.nodes[index];
        let missing = || LayoutError::Malformed(format!("no table for node {index}"));
        match kept(self.graph, node, Tabulated::of(&self.widths)) {
            None => Ok(Pins::Gates),
            Some(Kept::Clamped { least, bits }) => Ok(Pins::Clamp { least, bits }),
            Some(Kept::LookedUp(function)) => {
                Ok(Pins::Table(self.tables.activation_tag(&function.into_table()).ok_or_else(missing)?))
            }
            Some(Kept::ByLines(activation, segments)) => {
                let of = *self.by_lines.functions.get(&node.output).ok_or_else(missing)?;
                let tag = self.tables.line_tag(segments).ok_or_else(missing)?;
                Ok(Pins::Lines { of, least: activation.min - (1 << segments.low), tag })
            }
        }
    }

    /// What pins the exponentials of a softmax.
    pub(crate) fn exponential_pins(&self, index: usize, softmax: &Softmax) -> Result<Pins, LayoutError> {
        let missing = || LayoutError::Malformed(format!("no exponentials for node {index}"));
        let output = self.graph.nodes[index].output;
        match (self.by_lines.exponentials.get(&output), &softmax.exp.segments) {
            (Some(of), Some(segments)) => {
                let tag = self.tables.exponential_line_tag(segments).ok_or_else(missing)?;
                Ok(Pins::Lines { of: *of, least: 0, tag })
            }
            _ => Ok(Pins::Table(self.tables.exponential_tag(&softmax.exp).ok_or_else(missing)?)),
        }
    }

    /// Results of a row of a node's output whose remainders are of so many shifts.
    pub(crate) fn lanes_of(&self, output: TensorId, shifts: u32) -> usize {
        let by_lines = self.by_lines.functions.get(&output);
        by_lines.map_or_else(|| self.widths.lanes_of(shifts), |of| of.places)
    }

    /// Exponentials of a row of a softmax's output.
    pub(crate) fn exponential_lanes(&self, output: TensorId) -> usize {
        let by_lines = self.by_lines.exponentials.get(&output);
        by_lines.map_or_else(|| self.widths.lanes_of(1), |of| of.places)
    }

    /// Places rows, with the digests of what they hold; returns the last one.
    pub(crate) fn place_segment(&mut self, segment: Segment<'_>) -> Result<usize, LayoutError> {
        let Segment { node, entries, order, pins, output: is_output } = segment;
        let output = self.graph.nodes[node].output;
        let first_row = self.result_row;
        for (i, entry) in entries.iter().enumerate() {
            let row = first_row + i;
            self.set(FixedRole::Kind(entry.kind), row, 1);
            if entry.kind.activates() {
                self.pin(pins, entry, row);
                let end = entry.element + entry.count;
                if is_output && self.tensors.is_cut(output, end) {
                    self.ends.insert((output, end), row);
                }
            }
            self.place_digests(output, entry, i.checked_sub(1).map(|i| &entries[i]), row);
            if is_output {
                self.place_source(output, entry, row);
            }
            self.place_accumulators(entries, i, order, row);
            let element = entry.element as u32;
            self.results.push(ResultRow { row: row as u32, kind: entry.kind, node: node as u32, element });
        }
        self.result_row += entries.len();
        Ok(self.result_row - 1)
    }

    fn pin(&mut self, pins: Pins, entry: &ResultEntry, row: usize) {
        match pins {
            Pins::Gates => {}
            Pins::Table(tag) => {
                self.set(FixedRole::LooksUp, row, 1);
                self.set(FixedRole::ActivationTag, row, tag);
                self.looked_up_lanes = self.looked_up_lanes.max(entry.count);
            }
            Pins::Clamp { least, bits } => {
                self.set(FixedRole::Clamp(Clamp { lanes: entry.count, bits }), row, 1);
                if least != 0 {
                    self.set(FixedRole::ClampLeast, row, least);
                }
            }
            Pins::Lines { of, least, tag } => {
                self.set(FixedRole::Lines(Lines { lanes: entry.count, ..of }), row, 1);
                self.set(FixedRole::ActivationTag, row, tag);
                self.looked_up_lanes = self.looked_up_lanes.max(of.places + entry.count);
                if least != 0 {
                    self.set(FixedRole::ClampLeast, row, least);
                }
            }
        }
    }

    /// The row's part in the digests of what it holds and of the copies beside it.
    fn place_digests(&mut self, output: TensorId, entry: &ResultEntry, previous: Option<&ResultEntry>, row: usize) {
        let geometry = self.geometry(output);
        let Some(previous) = previous else { return };
        let exponent = |entry: &ResultEntry| geometry.exponent(entry.element + entry.count - 1);
        if entry.kind.activates() {
            let distance = exponent(previous) - exponent(entry);
            self.step(Accumulator::ResultDigest, row, Power::r(distance));
        }
        if entry.kind.auxiliary_groups() > 0 {
            let distance = exponent(previous) - exponent(entry);
            self.step(Accumulator::Auxiliary, row, Power::r(distance));
        }
    }

    /// The row's part in the gather table.
    fn place_source(&mut self, output: TensorId, entry: &ResultEntry, row: usize) {
        if !entry.kind.activates() {
            return;
        }
        if let Some(index) = self.tensors.gather_index(output) {
            self.set(FixedRole::SourceIndex, row, index + entry.element as i64);
            self.sources.push((row, output, entry.element, entry.count));
        }
    }

    fn place_accumulators(&mut self, entries: &[ResultEntry], i: usize, order: Order, row: usize) {
        let (entry, previous) = (&entries[i], i.checked_sub(1).map(|i| &entries[i]));
        let ends = entries.get(i + 1).is_none_or(|next| next.channel != entry.channel);
        match order {
            Order::Unread => return,
            Order::Channels => {
                if i > 0 {
                    self.step(Accumulator::Result, row, Power::s(entry.count));
                }
            }
            Order::Positions | Order::Sums => {
                if let Some(previous) = previous.filter(|p| p.channel == entry.channel) {
                    self.step(Accumulator::Result, row, Power::r(previous.exponent - entry.exponent));
                }
            }
            Order::Rows => {
                if previous.is_some_and(|p| p.channel == entry.channel) {
                    self.step(Accumulator::Result, row, Power::s(entry.count));
                }
            }
        }
        if ends {
            self.set(FixedRole::Accumulate, row, 1);
        }
        if entry.channel > entries[0].channel {
            let power = match order {
                Order::Rows if ends => Power::r(1),
                Order::Unread | Order::Channels | Order::Positions if ends => Power::s(1),
                Order::Unread | Order::Channels | Order::Positions | Order::Rows | Order::Sums => Power::KEEP,
            };
            self.step(Accumulator::ResultTotal, row, power);
        }
    }

    /// Places the free coefficients of a product polynomial (`free[p]` for exponent `free.len() - 1 - p`), as a term of
    /// `identity`: one run that is folded over the `channels` between the challenges, or one for each channel before
    /// both.
    pub(crate) fn place_cross_terms(
        &mut self,
        node: usize,
        channels: usize,
        free: &[bool],
        row_pitch: usize,
        identity: usize,
    ) {
        if !free.contains(&true) {
            return;
        }
        let source = match self.weights {
            WeightMode::Committed => {
                self.place_cross_term_run(node, None, free, row_pitch);
                Accumulator::CrossTerms
            }
            WeightMode::Embedded => {
                for channel in 0..channels {
                    let first_row = self.cross_term_row;
                    self.place_cross_term_run(node, Some(channel as u32), free, row_pitch);
                    let last = self.cross_term_row - 1;
                    self.set(FixedRole::AccumulateCrossTerms, last, 1);
                    if channel > 0 {
                        (first_row..last).for_each(|row| self.step(Accumulator::CrossTermsTotal, row, Power::KEEP));
                        self.step(Accumulator::CrossTermsTotal, last, Power::s(1));
                    }
                }
                Accumulator::CrossTermsTotal
            }
        };
        self.term(identity, Multiplicand::Accumulator(source), self.cross_term_row - 1, Factor::default(), -1);
    }

    fn place_cross_term_run(&mut self, node: usize, channel: Option<u32>, free: &[bool], row_pitch: usize) {
        let lanes = self.widths.cross_term_lanes;
        // Leading positions fill the first row: exponents beyond the product's degree, never free.
        let padding = free.len().next_multiple_of(lanes) - free.len();
        let free: Vec<bool> = std::iter::repeat_n(false, padding).chain(free.iter().copied()).collect();
        let first_row = self.cross_term_row;
        for (i, row) in free.chunks(lanes).enumerate() {
            if i > 0 {
                self.step(Accumulator::CrossTerms, first_row + i, Power::r(lanes));
            }
            for (lane, _) in row.iter().enumerate().filter(|(_, free)| **free) {
                self.set(FixedRole::CrossTermMask(lane), first_row + i, 1);
            }
        }
        self.cross_term_row += free.len() / lanes;
        self.cross_terms.push(CrossTermRun {
            node: node as u32,
            channel,
            row_pitch,
            first_row: first_row as u32,
            free,
        });
    }

    /// Copy column `k` of `row` reads this element of a tensor by lookup.
    pub(crate) fn gather(&mut self, row: usize, k: usize, tensor: TensorId, element: usize) -> Result<(), LayoutError> {
        let source = self.tensors.resolve(tensor, element);
        let index = match source {
            Gathered::Constant(value) => {
                let index = self.tensors.constants().iter().position(|constant| *constant == value);
                index.ok_or_else(|| LayoutError::Malformed(format!("constant {value} was not declared")))? as i64
            }
            Gathered::Element { tensor, element } => {
                let len = self.graph.tensors[tensor as usize].shape.len();
                let counts = self.gather_counts.entry(tensor as usize).or_insert_with(|| vec![0; len]);
                counts[element as usize] += 1;
                self.gather_index(tensor as usize)? + i64::from(element)
            }
        };
        if index != 0 {
            self.set(FixedRole::GatherIndex(k), row, index);
        }
        self.gathers.push(GatherCell { row: row as u32, copy: k as u32, source });
        Ok(())
    }

    /// Copy 1 of `row` reads the element of a tensor with cells at `first` plus what the row's gather offset says.
    pub(crate) fn gather_by_index(&mut self, row: usize, root: TensorId, first: usize) -> Result<(), LayoutError> {
        let index = self.gather_index(root)? + first as i64;
        self.set(FixedRole::GatherIndex(1), row, index);
        self.gathered_by_index.insert(root);
        Ok(())
    }

    /// Gather index of element 0 of a tensor that has cells.
    fn gather_index(&self, root: TensorId) -> Result<i64, LayoutError> {
        if self.graph.inputs.contains(&root) {
            return Err(LayoutError::Malformed("an input is gathered: the graph was not lowered".into()));
        }
        let index = self.tensors.gather_index(root);
        index.ok_or_else(|| LayoutError::Malformed(format!("tensor {root} is gathered but was not declared")))
    }

    /// Places rows that compute no element but constrain those of `node`'s output.
    pub(crate) fn place_constraints(&mut self, node: usize, kind: RowKind, elements: impl Iterator<Item = usize>) {
        for element in elements {
            self.set(FixedRole::Kind(kind), self.result_row, 1);
            let (row, element) = (self.result_row as u32, element as u32);
            self.results.push(ResultRow { row, kind, node: node as u32, element });
            self.result_row += 1;
        }
    }

    /// Sets how often each gathered element is used, once all uses are known.
    pub(crate) fn finish_gathers(&mut self) {
        let all = std::mem::take(&mut self.gather_counts);
        for (row, root, element, count) in std::mem::take(&mut self.sources) {
            let by_index = self.gathered_by_index.contains(&root);
            let counts = all.get(&root);
            for lane in 0..count {
                if by_index {
                    self.set(FixedRole::SourceByIndex(lane), row, 1);
                }
                if let Some(uses) = counts.map(|counts| counts[element + lane]).filter(|uses| *uses > 0) {
                    self.set(FixedRole::SourceCount(lane), row, uses);
                }
            }
        }
    }

    /// Splits `elements` (of one run in storage order) into groups that fill so many lanes of a row: neighbours in the
    /// output's digest, and in one piece where it is read in pieces.
    pub(crate) fn lane_groups(&self, output: TensorId, elements: Range<usize>, lanes: usize) -> Vec<(usize, usize)> {
        let geometry = self.tensors.geometry(output);
        let mut groups: Vec<(usize, usize)> = Vec::new();
        for element in elements {
            match groups.last_mut() {
                Some((first, count))
                    if *count < lanes
                        && !self.tensors.is_cut(output, element)
                        && geometry.exponent(*first + *count - 1) == geometry.exponent(element) + 1 =>
                {
                    *count += 1;
                }
                _ => groups.push((element, 1)),
            }
        }
        groups
    }

    /// Geometry of a tensor's digest.
    pub(crate) fn geometry(&self, tensor: TensorId) -> Geometry {
        self.tensors.geometry(self.tensors.root(tensor))
    }
}
