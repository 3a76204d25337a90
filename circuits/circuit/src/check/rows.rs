//! The rows of the result bank: each is of a kind that computes its node, and each element has one cell.
//!
//! What the gates of a kind say is in `rows`; here it is checked that the row is of the right kind, with
//! the node's own numbers and table, that it computes with the right copies, and that its results are named once.

use std::collections::{HashMap, HashSet};

use zkml_gpu_graph::{Activation, Function, Node, Op, Segments, Storage, Window};

use super::cells::{Cells, Columns};
use super::fixed::Fixed;
use super::gathers::Gathers;
use super::places::Rows;
use super::polynomial::digest_lanes;
use super::tables::CheckedTables;
use super::values::{Value, Values, multiset};
use super::{AtNode, Check, refuse, require};
use crate::placement::ResultRow;
use crate::system::formulas::{LineCells, RequantiseCells};
use crate::system::{Architecture, Clamp, FixedRole, Lines, MASKED, RowKind, exact_cells, kind};

impl<'l> Rows<'l> {
    /// Checks kinds, clamps and tables, masks and coverage, and notes what each result's cell is.
    pub(super) fn check(&self, fixed: &Fixed<'_>, tables: &CheckedTables, values: &Values, cells: &mut Cells) -> Check {
        self.check_kinds(fixed)?;
        self.check_pins(fixed, tables)?;
        self.check_masks(fixed)?;
        self.check_coverage(values, cells)
    }

    /// The kind of each row is one that its node is computed by, with the node's own numbers.
    fn check_kinds(&self, fixed: &Fixed<'_>) -> Check {
        for result in &self.layout.results {
            require(computes(self.node(result), result.kind), || format!("a row of kind {:?}", result.kind))
                .at(self.graph, result.node as usize)?;
        }
        let on = |kind: fn(&RowKind) -> bool| move |row: usize| self.at(row).is_some_and(|result| kind(&result.kind));
        let is_root = on(|kind| matches!(kind, RowKind::InverseRoot(_)));
        let is_sum = on(|kind| matches!(kind, RowKind::GatheredSum));
        let is_candidate = on(|kind| matches!(kind, RowKind::Candidate(_)));
        fixed.only_on(&FixedRole::Epsilon, is_root)?;
        fixed.only_on(&FixedRole::SumFactor, is_sum)?;
        fixed.only_on(&FixedRole::CandidateStride, is_candidate)?;
        fixed.only_on(&FixedRole::CandidateNumber, is_candidate)?;
        let epsilon = fixed.dense(&FixedRole::Epsilon);
        let (strides, numbers) = (fixed.dense(&FixedRole::CandidateStride), fixed.dense(&FixedRole::CandidateNumber));
        let factors = fixed.dense(&FixedRole::SumFactor);
        for result in &self.layout.results {
            let (row, element) = (result.row as usize, result.element as usize);
            let op = &self.node(result).op;
            let numbers_agree = match result.kind {
                RowKind::InverseRoot(_) => matches!(op, Op::Normalise(normalise) if epsilon[row] == normalise.epsilon),
                RowKind::Candidate(_) => matches!(op, Op::ArgMax { stride, count, .. }
                    if strides[row] == *stride as i64 && numbers[row] == (element % count) as i64),
                RowKind::GatheredSum => matches!(op, Op::AveragePool { window, multipliers }
                    if factors[row] == multipliers[self.window(result, window).len()]),
                RowKind::Requantise(_)
                | RowKind::Multiply(_)
                | RowKind::Exponential(_)
                | RowKind::Reciprocal(_)
                | RowKind::Normalise(_)
                | RowKind::MaximumOfWindow(_)
                | RowKind::Raw
                | RowKind::GatheredMaximum(_)
                | RowKind::Copies(_)
                | RowKind::Index => true,
                RowKind::Entry(_) => self.storage(result) != Storage::OneHot,
                RowKind::OneHot(_) => self.storage(result) == Storage::OneHot,
            };
            require(numbers_agree, || format!("row {row} has another constant"))
                .at(self.graph, result.node as usize)?;
        }
        Ok(())
    }

    /// How the elements that a row computes are stored.
    fn storage(&self, result: &ResultRow) -> Storage {
        self.graph.tensors[self.node(result).output].storage
    }

    /// The results of each row are clamped to their node's range, or looked up in the table of its function, or follow
    /// its lines, or its gates; no other row is clamped or looks anything up.
    fn check_pins(&self, fixed: &Fixed<'_>, tables: &CheckedTables) -> Check {
        let a = &self.layout.architecture;
        let (marks, tags) = (fixed.dense(&FixedRole::LooksUp), fixed.dense(&FixedRole::ActivationTag));
        let least = fixed.dense(&FixedRole::ClampLeast);
        let (clamps, lines) = (clamps(fixed, marks.len())?, lines(fixed, marks.len())?);
        let mut proved_lines = HashSet::new();
        // A function's table is compared once for each tag.
        let mut proved = vec![(None, None); self.graph.nodes.len()];
        for row in 0..marks.len() {
            let pinned =
                self.at(row).filter(|result| digest_lanes(result.kind) > 0).map(|result| (result, pins(result.kind)));
            let free = || {
                let none = (marks[row], tags[row], clamps[row], least[row], lines[row]) == (0, 0, None, 0, None);
                require(none, || format!("row {row} looks something up, or is clamped"))
            };
            let Some((result, pins)) = pinned else {
                free()?;
                continue;
            };
            let (index, lanes) = (result.node as usize, digest_lanes(result.kind));
            let node = self.node(result);
            let looks_up = || {
                let is_else = clamps[row].is_some() || lines[row].is_some() || least[row] != 0;
                let own = marks[row] == 1 && !is_else && lanes <= a.looked_up_lanes;
                require(own, || format!("row {row} does not look up all that it computes"))
            };
            match pins {
                Pins::Gates => free().at(self.graph, index)?,
                Pins::Exponentials => {
                    if let Some(of) = lines[row] {
                        let is_alone = (marks[row], clamps[row]) == (0, None);
                        require(is_alone, || format!("row {row} has lines, and something else"))
                            .at(self.graph, index)?;
                        let own = (of, least[row], tags[row], result.kind);
                        if proved_lines.insert((index, own)) {
                            self.check_exponential_lines(node, own, tables).at(self.graph, index)?;
                        }
                        continue;
                    }
                    looks_up().at(self.graph, index)?;
                    let Op::Softmax(softmax) = &node.op else { return refuse("no exponentials").at(self.graph, index) };
                    if proved[index].1 != Some(tags[row]) {
                        tables.expect_exponentials(tags[row], &softmax.exp).at(self.graph, index)?;
                        proved[index].1 = Some(tags[row]);
                    }
                }
                Pins::Function | Pins::Table => {
                    if let Some(of) = lines[row] {
                        let is_alone = marks[row] == 0 && clamps[row].is_none() && pins == Pins::Function;
                        require(is_alone, || format!("row {row} has lines, and something else"))
                            .at(self.graph, index)?;
                        let own = (of, least[row], tags[row], result.kind);
                        if proved_lines.insert((index, own)) {
                            self.check_lines(node, own, tables).at(self.graph, index)?;
                        }
                        continue;
                    }
                    let Some(function) = self.graph.function(node) else {
                        return refuse("no function").at(self.graph, index);
                    };
                    if let Some(clamp) = clamps[row] {
                        let is_free = (marks[row], tags[row]) == (0, 0);
                        let own = is_free && clamp.lanes == lanes && range(clamp, least[row]) == Some(function);
                        require(own && pins == Pins::Function, || format!("row {row} is clamped to another range"))
                            .at(self.graph, index)?;
                        continue;
                    }
                    looks_up().at(self.graph, index)?;
                    if proved[index].0 != Some(tags[row]) {
                        tables.expect_function(tags[row], function).at(self.graph, index)?;
                        proved[index].0 = Some(tags[row]);
                    }
                }
            }
        }
        Ok(())
    }

    /// Rows of this kind with these lines, from this argument on and with this table's tag, have their node's function.
    fn check_lines(
        &self,
        node: &Node,
        (of, least, tag, kind): (Lines, i64, i64, RowKind),
        tables: &CheckedTables,
    ) -> Check {
        let a = &self.layout.architecture;
        let activation = node.activation.and_then(|index| self.graph.activations.get(index));
        let Some(Activation { min, values, segments: Some(segments) }) = activation else {
            return refuse("lines of a function that has none");
        };
        // The graph's own lines are those of its table.
        require(segments.values().as_ref() == Some(values), || "lines of another function".into())?;
        let Segments { low, scale, lines } = segments;
        let numbers = (of.segments, of.low, of.scale, of.exponentials) == (lines.len() + 2, *low, *scale, false);
        require(numbers && Some(least) == min.checked_sub(1 << low), || "lines of other segments".into())?;
        let end = 1i64.checked_shl(of.bits).unwrap_or(0);
        require(values.iter().all(|y| (-end..end).contains(y)), || "a result beyond its bits".into())?;
        require(!takes_other_cells(kind), || "two numbers in one range cell".into())?;
        check_places(a, &of, kind)?;
        tables.expect_lines(tag, segments)
    }

    /// Rows of this kind with these lines have the exponentials of their node.
    fn check_exponential_lines(
        &self,
        node: &Node,
        (of, least, tag, kind): (Lines, i64, i64, RowKind),
        tables: &CheckedTables,
    ) -> Check {
        let Op::Softmax(softmax) = &node.op else { return refuse("no exponentials") };
        let Activation { min: 0, values, segments: Some(segments) } = &softmax.exp else {
            return refuse("lines of exponentials that have none");
        };
        // Distances are below the number of values.
        let own = segments.values().is_some_and(|of_lines| of_lines.starts_with(values));
        require(own, || "lines of other exponentials".into())?;
        let Segments { low, scale, lines } = segments;
        let numbers = (of.segments, of.low, of.scale, of.exponentials) == (lines.len() + 1, *low, *scale, true);
        require(numbers && least == 0 && of.shifts == 1, || "lines of other segments".into())?;
        // What masks is no distance, and begins a segment.
        let masks = (lines.len() as i64) << low <= MASKED && MASKED.trailing_zeros() >= *low;
        require(masks, || "a distance that masks".into())?;
        let end = 1i64.checked_shl(of.bits).unwrap_or(0);
        require(values.iter().all(|e| (0..end).contains(e)), || "an exponential beyond its bits".into())?;
        check_places(&self.layout.architecture, &of, kind)?;
        tables.expect_exponential_lines(tag, segments)
    }

    /// The members of a softmax that are masked are those of the graph.
    fn check_masks(&self, fixed: &Fixed<'_>) -> Check {
        let mut masked = 0;
        for lane in 0..self.layout.architecture.activation_lanes {
            let role = FixedRole::Masked(lane);
            for (row, value) in fixed.cells(&role) {
                let result = self.at(*row as usize);
                let own = result.is_some_and(|result| {
                    matches!((result.kind, &self.node(result).op), (RowKind::Exponential(of), Op::Softmax(softmax))
                        if lane < of.lanes && softmax.is_masked(result.element as usize + lane))
                });
                require(own && *value == 1, || format!("lane {lane} of row {row} is masked"))?;
                masked += 1;
            }
        }
        let of_node = |node: &'l Node| if let Op::Softmax(softmax) = &node.op { &softmax.masked[..] } else { &[] };
        let expected = self.graph.nodes.iter().flat_map(of_node).filter(|masked| **masked).count();
        require(masked == expected, || format!("{masked} members are masked, not {expected}"))
    }

    /// Names the cells of results, and checks that each value has one.
    fn check_coverage(&self, values: &Values, cells: &mut Cells) -> Check {
        let graph = self.graph;
        let len = |node: &Node| graph.tensors[node.output].shape.len();
        let mut outputs: Vec<Vec<bool>> = graph.nodes.iter().map(|node| vec![false; len(node)]).collect();
        let mut between: Vec<Vec<bool>> = graph.nodes.iter().map(|node| vec![false; between(&node.op)]).collect();
        let columns = Columns(&self.layout.architecture);
        for result in &self.layout.results {
            let (index, row, first) = (result.node as usize, result.row as usize, result.element as usize);
            let node = &graph.nodes[index];
            let name = |target: &mut Vec<Vec<bool>>, place: usize| {
                let slot = target[index].get_mut(place).filter(|taken| !**taken);
                let named = slot.map(|taken| *taken = true).is_some();
                require(named, || format!("row {row} computes something again, or nothing of the node's"))
                    .at(graph, index)
            };
            match result.kind {
                RowKind::Exponential(kind::Exponential { lanes }) => {
                    for lane in 0..lanes {
                        name(&mut between, first + lane)?;
                        cells.set(columns.activated(lane), row, values.exponential(index, first + lane))?;
                    }
                }
                RowKind::Reciprocal(_) | RowKind::InverseRoot(_) => {
                    let group = first % groups(&node.op);
                    let exponentials = if matches!(node.op, Op::Softmax(_)) { len(node) } else { 0 };
                    name(&mut between, exponentials + group)?;
                    for sort in 0..3 {
                        cells.set(columns.factor(sort, 0), row, values.group(index, sort, group))?;
                    }
                }
                RowKind::Candidate(_) => name(&mut between, first)?,
                RowKind::Raw => name(&mut outputs, first)?,
                RowKind::Requantise(_)
                | RowKind::Multiply(_)
                | RowKind::Normalise(_)
                | RowKind::MaximumOfWindow(_)
                | RowKind::GatheredMaximum(_)
                | RowKind::GatheredSum
                | RowKind::Copies(_)
                | RowKind::Index
                | RowKind::Entry(_)
                | RowKind::OneHot(_) => {
                    for lane in 0..digest_lanes(result.kind) {
                        name(&mut outputs, first + lane)?;
                        cells.set(columns.activated(lane), row, values.element(node.output, first + lane))?;
                    }
                }
            }
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            let without_rows = matches!(node.op, Op::Reshape)
                || matches!(node.op, Op::Rearrange { .. }) && !outputs[index].contains(&true);
            let whole =
                outputs[index].iter().all(|named| *named != without_rows) && between[index].iter().all(|named| *named);
            require(whole, || "not all of its results are computed".into()).at(graph, index)?;
        }
        Ok(())
    }

    /// Elements of the operand that an output's window covers.
    fn window(&self, result: &ResultRow, window: &Window) -> Vec<usize> {
        let node = self.node(result);
        let (input, output) = (self.graph.tensors[node.inputs[0]].shape, self.graph.tensors[node.output].shape);
        let (c, i, j) = output.position(result.element as usize);
        let inside = |axis: usize, out: usize, size: usize| -> Vec<usize> {
            let at = |tap: usize| {
                (out * window.stride[axis] + tap * window.dilation[axis]).checked_sub(window.pad_before[axis])
            };
            (0..window.kernel[axis]).filter_map(at).filter(|at| *at < size).collect()
        };
        // Columns of several images alternate; a window covers those of its own.
        let (images, image) = (window.images, j % window.images);
        let (rows, columns) = (inside(0, i, input.height), inside(1, j / images, input.width / images));
        rows.iter().flat_map(|y| columns.iter().map(move |x| input.index(c, *y, x * images + image))).collect()
    }

    /// Rows that gather compute with the elements that their node reads.
    pub(super) fn check_gathers(&self, gathers: &Gathers, values: &Values) -> Check {
        let mut reached = HashMap::new();
        for result in &self.layout.results {
            let index = result.node as usize;
            self.check_gather(result, gathers, values, &mut reached).at(self.graph, index)?;
        }
        Ok(())
    }

    /// `reached` has, for indices of maxima that were seen, the gather index from which all candidates are reached.
    fn check_gather(
        &self,
        result: &ResultRow,
        gathers: &Gathers,
        values: &Values,
        reached: &mut HashMap<Value, i64>,
    ) -> Check {
        let node = self.node(result);
        let (row, element) = (result.row as usize, result.element as usize);
        let operand = |element: usize| values.element(node.inputs[0], element);
        let copies = |count: usize| -> Vec<Value> { (0..count).map(|k| gathers.copy(row, k)).collect() };
        let differs = |what: &str| format!("row {row} gathers other {what} than the node reads");
        let unread = || refuse(format!("row {row} gathers what its node does not read"));
        match result.kind {
            RowKind::GatheredMaximum(kind::GatheredMaximum { window: count }) => {
                let Op::MaxPool(window) = &node.op else { return unread() };
                // A maximum does not change where an element is gathered twice.
                let set = |mut values: Vec<Value>| {
                    values.sort_unstable();
                    values.dedup();
                    values
                };
                let covered = self.window(result, window).into_iter().map(operand).collect();
                require(set(copies(count)) == set(covered), || differs("elements of its window"))
            }
            RowKind::GatheredSum => {
                let Op::AveragePool { window, .. } = &node.op else { return unread() };
                let covered = self.window(result, window).into_iter().map(operand);
                let all = copies(self.layout.architecture.gather_columns).into_iter();
                require(multiset(all) == multiset(covered), || differs("elements of its window"))
            }
            RowKind::Copies(kind::Copies { lanes }) => {
                let Op::Rearrange { origins } = &node.op else { return unread() };
                let own = origins[element..element + lanes].iter().map(|origin| values.origin(&node.inputs, *origin));
                require(copies(lanes).into_iter().eq(own), || differs("elements"))
            }
            RowKind::Candidate(_) => {
                let Op::ArgMax { starts, stride, count, .. } = &node.op else { return unread() };
                let (output, number) = (element / count, element % count);
                let start = starts[output] as usize;
                let own = gathers.copy(row, 0) == operand(start + number * stride);
                let index = gathers.copy(row, 2) == values.element(node.output, output);
                require(own && index, || differs("candidates"))?;
                let Some(first) = gathers.open(row) else { return refuse("no index to gather by") };
                if reached.get(&gathers.copy(row, 2)) != Some(&first) {
                    let candidates = (0..*count).map(|k| operand(start + k * stride));
                    require(gathers.reaches(first, *stride, *count, candidates), || differs("elements at the index"))?;
                    reached.insert(gathers.copy(row, 2), first);
                }
                Ok(())
            }
            RowKind::Requantise(_)
            | RowKind::Multiply(_)
            | RowKind::Exponential(_)
            | RowKind::Reciprocal(_)
            | RowKind::Normalise(_)
            | RowKind::InverseRoot(_)
            | RowKind::MaximumOfWindow(_)
            | RowKind::Raw
            | RowKind::Index
            | RowKind::Entry(_)
            | RowKind::OneHot(_) => Ok(()),
        }
    }

    /// The auxiliary operands of a row are what its node reads.
    pub(super) fn check_factors(&self, cells: &Cells, values: &Values) -> Check {
        let columns = Columns(&self.layout.architecture);
        for result in &self.layout.results {
            let (index, row) = (result.node as usize, result.row as usize);
            let node = &self.graph.nodes[index];
            let operand = |i: usize, element: usize| values.element(node.inputs[i], element);
            let group = |sort: usize, element: usize| values.group(index, sort, element % groups(&node.op));
            for lane in 0..digest_lanes(result.kind) {
                let element = result.element as usize + lane;
                let copies: &[Value] = match result.kind {
                    RowKind::Multiply(_) if matches!(node.op, Op::Softmax(_)) => {
                        &[values.exponential(index, element), group(2, element)]
                    }
                    RowKind::Multiply(_) => &[operand(0, element), operand(1, element)],
                    RowKind::Exponential(_) => &[operand(0, element), group(1, element)],
                    RowKind::Normalise(_) => &[operand(0, element), group(1, element), group(2, element)],
                    // The groups' own rows define what they hold: `sums`.
                    RowKind::Reciprocal(_)
                    | RowKind::InverseRoot(_)
                    | RowKind::Requantise(_)
                    | RowKind::MaximumOfWindow(_)
                    | RowKind::Raw
                    | RowKind::GatheredMaximum(_)
                    | RowKind::GatheredSum
                    | RowKind::Copies(_)
                    | RowKind::Index
                    | RowKind::Candidate(_)
                    | RowKind::Entry(_)
                    | RowKind::OneHot(_) => &[],
                };
                for (sort, copy) in copies.iter().enumerate() {
                    let holds = cells.get(columns.factor(sort, lane), row) == *copy;
                    require(holds, || format!("copy {sort} of lane {lane} on row {row} is not what the node reads"))
                        .at(self.graph, index)?;
                }
            }
        }
        Ok(())
    }
}

/// Groups of a node's elements.
pub(super) const fn groups(op: &Op) -> usize {
    match op {
        Op::Softmax(softmax) => softmax.groups,
        Op::Normalise(normalise) => normalise.groups,
        Op::Linear(_)
        | Op::Combine { .. }
        | Op::MaxPool(_)
        | Op::AveragePool { .. }
        | Op::Reshape
        | Op::Rearrange { .. }
        | Op::MatMul(_)
        | Op::Multiply(_)
        | Op::ArgMax { .. }
        | Op::Enter => 1,
    }
}

/// Values that a node computes on the way to its output: exponentials and groups, or candidates.
fn between(op: &Op) -> usize {
    match op {
        Op::Softmax(softmax) => softmax.groups * (softmax.len + 1),
        Op::Normalise(normalise) => normalise.groups,
        Op::ArgMax { starts, count, .. } => starts.len() * count,
        Op::Linear(_)
        | Op::Combine { .. }
        | Op::MaxPool(_)
        | Op::AveragePool { .. }
        | Op::Reshape
        | Op::Rearrange { .. }
        | Op::MatMul(_)
        | Op::Multiply(_)
        | Op::Enter => 0,
    }
}

/// What makes the results of a row what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pins {
    /// Its gates.
    Gates,
    /// Its node's function, by a clamp or a table.
    Function,
    /// Its node's function, by a table: the row has no cells for a clamp.
    Table,
    /// The table of its node's exponentials.
    Exponentials,
}

/// What makes the results of a row of this kind what they are.
const fn pins(kind: RowKind) -> Pins {
    match kind {
        RowKind::Exponential(_) => Pins::Exponentials,
        RowKind::Requantise(_)
        | RowKind::Multiply(_)
        | RowKind::Normalise(_)
        | RowKind::MaximumOfWindow(_)
        | RowKind::GatheredSum
        | RowKind::Entry(_) => Pins::Function,
        RowKind::Index | RowKind::OneHot(_) => Pins::Table,
        // One of the copies, or the copies themselves; the others have no results.
        RowKind::GatheredMaximum(_)
        | RowKind::Copies(_)
        | RowKind::Reciprocal(_)
        | RowKind::InverseRoot(_)
        | RowKind::Raw
        | RowKind::Candidate(_) => Pins::Gates,
    }
}

/// The clamp of each row, of which none has two.
fn clamps(fixed: &Fixed<'_>, rows: usize) -> Check<Vec<Option<Clamp>>> {
    let mut clamps = vec![None; rows];
    for (role, cells) in fixed.roles() {
        let FixedRole::Clamp(clamp) = role else { continue };
        for (row, value) in cells {
            let slot = &mut clamps[*row as usize];
            require(*value == 1 && slot.is_none(), || format!("row {row} is clamped {value} times, or twice"))?;
            *slot = Some(*clamp);
        }
    }
    Ok(clamps)
}

/// The lines of each row, of which none has two.
fn lines(fixed: &Fixed<'_>, rows: usize) -> Check<Vec<Option<Lines>>> {
    let mut lines = vec![None; rows];
    for (role, cells) in fixed.roles() {
        let FixedRole::Lines(of) = role else { continue };
        for (row, value) in cells {
            let slot = &mut lines[*row as usize];
            require(*value == 1 && slot.is_none(), || format!("row {row} has lines {value} times, or others"))?;
            *slot = Some(*of);
        }
    }
    Ok(lines)
}

/// Results and lines of a row are in cells of their own, and so are arguments and results.
fn check_places(a: &Architecture, of: &Lines, kind: RowKind) -> Check {
    let lanes = digest_lanes(kind);
    let room = of.lanes == lanes && lanes <= of.places && of.places + lanes <= a.looked_up_lanes;
    require(room && of.shifts == kind.shifts(), || "lines that share cells with results".into())?;
    require(are_apart(a, of), || "two numbers in one range cell".into())
}

/// Whether rows of this kind take range cells for more than requantisation.
fn takes_other_cells(kind: RowKind) -> bool {
    match kind {
        RowKind::Requantise(_) | RowKind::Multiply(_) | RowKind::Normalise(_) | RowKind::GatheredSum => false,
        RowKind::Exponential(_)
        | RowKind::Reciprocal(_)
        | RowKind::InverseRoot(_)
        | RowKind::MaximumOfWindow(_)
        | RowKind::Raw
        | RowKind::GatheredMaximum(_)
        | RowKind::Copies(_)
        | RowKind::Index
        | RowKind::Candidate(_)
        | RowKind::Entry(_)
        | RowKind::OneHot(_) => true,
    }
}

/// Whether all numbers of a row by lines are in range cells of their own, which exist.
fn are_apart(a: &Architecture, of: &Lines) -> bool {
    let bits = of.shifts as u32 * a.shift;
    let of_lane = |lane: usize| {
        let (cells, excess) = (LineCells::new(a, of, lane), RequantiseCells::of(a, lane).excess);
        let remainder = (0..exact_cells(bits, a.limb_bits)).map(|i| RequantiseCells::remainder(a, lane, of.shifts, i));
        let inside = (0..exact_cells(of.low, a.limb_bits)).map(|i| cells.inside(i));
        let rest = (0..exact_cells(of.scale, a.limb_bits)).map(|i| cells.rest(i));
        remainder.chain(excess..excess + a.excess_limbs).chain(inside).chain(rest).collect::<Vec<usize>>()
    };
    let mut taken = vec![false; a.range_columns];
    let mut take = |cell: usize| taken.get_mut(cell).is_some_and(|taken| !std::mem::replace(taken, true));
    (0..of.lanes).flat_map(of_lane).all(&mut take)
}

/// The function that a clamp is.
fn range(Clamp { bits, .. }: Clamp, least: i64) -> Option<Function> {
    let values = 1i64.checked_shl(bits)?;
    Some(Function::Clamp { min: least, max: least.checked_add(values.checked_sub(1)?)? })
}

/// Whether rows of this kind, with these numbers, compute a node.
fn computes(node: &Node, kind: RowKind) -> bool {
    match (&node.op, kind) {
        (Op::Linear(linear), RowKind::Requantise(kind::Requantise { limbs, .. })) => {
            !linear.raw && linear.pool == [1, 1] && limbs == 1
        }
        (Op::Linear(linear), RowKind::MaximumOfWindow(kind::MaximumOfWindow { height, width, .. })) => {
            !linear.raw && linear.pool == [height, width]
        }
        (Op::Linear(linear), RowKind::Raw) => linear.raw,
        (Op::Combine { .. }, RowKind::Requantise(kind::Requantise { limbs, .. })) => limbs == 1,
        (Op::MatMul(product), RowKind::Requantise(kind::Requantise { limbs, .. })) => limbs == product.rescale.limbs,
        (Op::MaxPool(_), RowKind::GatheredMaximum(_))
        | (Op::AveragePool { .. }, RowKind::GatheredSum)
        | (Op::Rearrange { .. }, RowKind::Copies(_))
        | (Op::Softmax(_), RowKind::Exponential(_))
        | (Op::ArgMax { .. }, RowKind::Index)
        // Which of the two is the tensor's own: `check_kinds`.
        | (Op::Enter, RowKind::Entry(_) | RowKind::OneHot(_)) => true,
        (Op::Multiply(rescale), RowKind::Multiply(kind::Multiply { limbs, multiplier, .. })) => {
            [limbs.into(), multiplier] == [rescale.limbs.into(), rescale.multiplier]
        }
        (Op::Softmax(softmax), RowKind::Multiply(kind::Multiply { limbs, multiplier, .. })) => {
            [limbs.into(), multiplier] == [softmax.rescale.limbs.into(), softmax.rescale.multiplier]
        }
        (Op::Softmax(softmax), RowKind::Reciprocal(kind::Reciprocal { bits, .. })) => bits == softmax.bits,
        (Op::Normalise(normalise), RowKind::Normalise(kind::Normalise { limbs, multiplier, len, centred, .. })) => {
            let rescale = normalise.rescale;
            (limbs, multiplier, len, centred) == (rescale.limbs, rescale.multiplier, normalise.len, normalise.centred)
        }
        (Op::Normalise(normalise), RowKind::InverseRoot(kind::InverseRoot { bits, .. })) => bits == normalise.bits,
        (Op::ArgMax { count, last, .. }, RowKind::Candidate(kind::Candidate { count: of, last: prefers })) => {
            (*count, *last) == (of, prefers)
        }
        (
            Op::Linear(_)
            | Op::Combine { .. }
            | Op::MaxPool(_)
            | Op::AveragePool { .. }
            | Op::Reshape
            | Op::Rearrange { .. }
            | Op::MatMul(_)
            | Op::Multiply(_)
            | Op::Softmax(_)
            | Op::Normalise(_)
            | Op::ArgMax { .. }
            | Op::Enter,
            RowKind::Requantise(_)
            | RowKind::Multiply(_)
            | RowKind::Exponential(_)
            | RowKind::Reciprocal(_)
            | RowKind::Normalise(_)
            | RowKind::InverseRoot(_)
            | RowKind::MaximumOfWindow(_)
            | RowKind::Raw
            | RowKind::GatheredMaximum(_)
            | RowKind::GatheredSum
            | RowKind::Copies(_)
            | RowKind::Index
            | RowKind::Candidate(_)
            | RowKind::Entry(_)
            | RowKind::OneHot(_),
        ) => false,
    }
}
