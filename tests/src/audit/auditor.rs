//! What cells are, by the identities of digests, and whether definitions, sums and claims speak of the right ones.

use std::collections::{HashMap, HashSet};

use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_circuit::placement::BankValues;
use zkml_gpu_circuit::system::{RowKind, kind};
use zkml_gpu_graph::{Graph, Linear, Node, Op, Origin, Storage, TensorId, Visibility};

use super::columns::{digest_lanes, factors, slots};
use super::gathers::Gathers;
use super::{Audit, Cell, Form, Monomial, Poly, Seen, add, degree, groups, position};

/// What an element of a tensor is, through reshapes and rearrangements; `None` for zero.
pub(super) fn origin(graph: &Graph, tensor: TensorId, element: usize) -> Option<Cell> {
    let own = Some(Cell::Element { tensor, element });
    let Some(node) = graph.nodes.iter().find(|node| node.output == tensor) else { return own };
    match &node.op {
        Op::Reshape => origin(graph, node.inputs[0], element),
        Op::Rearrange { origins } => match origins[element] {
            Origin::Element { operand, element } => origin(graph, node.inputs[operand as usize], element as usize),
            Origin::Constant(0) => None,
            Origin::Constant(value) => Some(Cell::Constant(value)),
        },
        _ => own,
    }
}

/// Indices of a hidden input in one-hot form.
fn indices(graph: &Graph, node: usize) -> usize {
    let shape = graph.tensors[graph.nodes[node].output].shape;
    shape.height * shape.width
}

/// What is known of cells: the element that each equals, `None` for zero.
#[derive(Debug)]
pub struct Auditor<'l> {
    graph: &'l Graph,
    layout: &'l Layout,
    known: HashMap<Cell, Option<Cell>>,
    claims: HashMap<Cell, Option<Cell>>,
}

impl<'l> Auditor<'l> {
    pub(super) fn new(graph: &'l Graph, layout: &'l Layout) -> Audit<Self> {
        let mut auditor = Self { graph, layout, known: HashMap::new(), claims: HashMap::new() };
        let gathered = Gathers::new(graph, layout)?;
        for result in &layout.results {
            let output = graph.nodes[result.node as usize].output;
            let (node, row, first) = (result.node as usize, result.row as usize, result.element as usize);
            for lane in 0..digest_lanes(result.kind) {
                let element = match result.kind {
                    RowKind::Exponential(_) => Cell::Exponential { node, element: first + lane },
                    _ => Cell::Element { tensor: output, element: first + lane },
                };
                let element = match result.kind {
                    RowKind::Copies(_) => gathered.copy(result, lane)?,
                    _ => Some(element),
                };
                auditor.known.insert(Cell::Activated { lane, row }, element);
            }
            if matches!(result.kind, RowKind::Reciprocal(_) | RowKind::InverseRoot(_)) {
                for sort in 0..3 {
                    let value = Cell::Group { node, sort, group: first % groups(&graph.nodes[node].op) };
                    auditor.known.insert(Cell::Factor { group: sort, lane: 0, row }, Some(value));
                }
            }
        }
        // The verifier fills the instance columns: claimed tensors where they stand, zero elsewhere.
        let statement = &layout.statement;
        for (ports, tensors, input) in
            [(&statement.inputs, &graph.inputs, true), (&statement.outputs, &graph.outputs, false)]
        {
            for (port, tensor) in ports.iter().zip(tensors) {
                for (element, (column, row)) in port.cells().enumerate() {
                    let (cell, value) = (Cell::Instance { column, row }, origin(graph, *tensor, element));
                    let taken = auditor.known.contains_key(&cell) || auditor.claims.contains_key(&cell);
                    if taken || row >= layout.usable_rows() {
                        return Err(format!("two claims at {cell:?}, or it is not usable"));
                    }
                    if input {
                        auditor.known.insert(cell, value);
                    } else {
                        auditor.claims.insert(cell, value);
                    }
                }
            }
        }
        auditor.committed()?;
        Ok(auditor)
    }

    /// Columns of committed tensors, and rows of hashes, claim to hold them: of an input, what its cells hold.
    fn committed(&mut self) -> Audit<()> {
        let (graph, statement) = (self.graph, &self.layout.statement);
        let entered = |input: &TensorId| {
            let node = graph.nodes.iter().find(|node| node.inputs == [*input] && matches!(node.op, Op::Enter));
            node.map_or(*input, |node| node.output)
        };
        let tensors = graph.inputs.iter().map(entered).chain(graph.outputs.iter().copied());
        for (port, tensor) in statement.ports().zip(tensors) {
            if let Some(rows) = port.hashed() {
                let rows = rows.map_err(|error| error.to_string())?;
                for element in 0..port.logical_len() {
                    let cell = Cell::Hashed { row: rows.value_row(element) };
                    let value = match port.storage {
                        Storage::OneHot => Some(Cell::Index { tensor, index: element }),
                        _ => origin(graph, tensor, element),
                    };
                    if self.claims.insert(cell, value).is_some() {
                        return Err(format!("two values of hashes at {cell:?}"));
                    }
                }
            }
            for element in 0..port.len {
                let Some((column, row)) = port.placement.committed_cell(element) else { break };
                let value = origin(graph, tensor, element);
                if self.claims.insert(Cell::Committed { column, row }, value).is_some() {
                    return Err(format!("two tensors in committed column {column}"));
                }
            }
        }
        Ok(())
    }

    fn is_claim(&self, cell: Cell) -> bool {
        self.claims.contains_key(&cell)
    }

    /// A cell's value where it is known: `Some(None)` for zero.
    fn value(&self, cell: Cell) -> Option<Option<Cell>> {
        match cell {
            Cell::Instance { .. } if !self.is_claim(cell) => Some(self.known.get(&cell).copied().flatten()),
            _ => self.known.get(&cell).copied(),
        }
    }

    /// An identity of digests: each monomial says that one unknown cell equals one known, or is zero.
    pub(super) fn tie(&mut self, identity: &Poly, seen: &mut Seen) -> Audit<()> {
        for (at, form) in identity {
            let (mut known, mut unknown) = (Form::new(), Vec::new());
            for (cells, coefficient) in form {
                let [cell] = cells[..] else { return Err(format!("a product in a digest at {at:?}")) };
                match self.value(cell) {
                    Some(Some(element)) => *known.entry(vec![element]).or_default() += coefficient,
                    Some(None) => {}
                    None => unknown.push((cell, *coefficient)),
                }
            }
            known.retain(|_, coefficient| *coefficient != 0);
            if unknown.is_empty() && known.is_empty() {
                continue;
            }
            let [(cell, coefficient)] = unknown[..] else {
                return Err(format!("{} unknown cells in a digest at {at:?}", unknown.len()));
            };
            let value = match known.into_iter().collect::<Vec<_>>().as_slice() {
                [] => None,
                [(element, other)] if *other == -coefficient && coefficient.abs() == 1 => Some(element[0]),
                other => return Err(format!("digest at {at:?}: {other:?}")),
            };
            seen.padding += usize::from(value.is_none());
            self.known.insert(cell, value);
        }
        seen.ties += 1;
        Ok(())
    }

    /// Replaces cells by what they equal; `None` for a product with a zero.
    fn resolve(&self, cells: &[Cell]) -> Audit<Option<Vec<Cell>>> {
        let mut resolved = Vec::with_capacity(cells.len());
        for cell in cells {
            let value = match *cell {
                Cell::Weight { column, row } => Some(self.learned(column, row)),
                Cell::Result { .. } | Cell::CrossTerms { .. } => Some(*cell),
                _ => self.value(*cell).ok_or_else(|| format!("{cell:?} is free"))?,
            };
            match value {
                Some(cell) => resolved.push(cell),
                None => return Ok(None),
            }
        }
        resolved.sort_unstable();
        Ok(Some(resolved))
    }

    /// The learned value at a place of the weight bank, or the place itself where the architecture has none.
    fn learned(&self, column: usize, row: usize) -> Cell {
        let masked = Cell::Weight { column, row };
        let Some(entry) = self.layout.bank.iter().find(|entry| entry.row as usize == row) else { return masked };
        let node = entry.node as usize;
        if let BankValues::Offset(element) = entry.values {
            return if column == 0 { Cell::Learned { node, output: 0, tap: element as usize } } else { masked };
        }
        if let (Op::MatMul(product), BankValues::Summands(place)) = (&self.graph.nodes[node].op, entry.values) {
            let from_last = entry.block as usize * self.layout.architecture.weight_columns + column;
            let Some(row) = (product.rows * product.heads).checked_sub(1 + from_last) else { return masked };
            return Cell::Learned { node, output: row, tap: place as usize };
        }
        let Op::Linear(linear) = &self.graph.nodes[node].op else { return masked };
        let from_last = entry.block as usize * self.layout.architecture.weight_columns + column;
        let Some(output) = linear.out_channels.checked_sub(1 + from_last) else { return masked };
        let taps = self.graph.tensors[self.graph.nodes[node].inputs[0]].shape.channels * linear.window.taps();
        let tap = if let BankValues::Weight(tap) = entry.values { tap as usize } else { taps };
        Cell::Learned { node, output, tap }
    }

    /// An identity in terms of tensors, results and learned values.
    ///
    /// # Errors
    /// A cell that nothing ties.
    pub fn resolved(&self, identity: &Poly) -> Audit<Poly> {
        let mut resolved = Poly::new();
        for (at, form) in identity {
            for (cells, coefficient) in form {
                if let Some(cells) = self.resolve(cells)? {
                    add(&mut resolved, *at, cells, *coefficient);
                }
            }
        }
        Ok(resolved)
    }

    /// An identity of sums over a node's groups: each monomial holds one group's definition.
    pub(super) fn sums(&mut self, identity: &Poly, seen: &mut Seen) -> Audit<()> {
        let mut found = HashSet::new();
        let mut expected = HashSet::new();
        for (at, form) in identity {
            if let Some((node, index)) = self.hashed_index(*at, form)? {
                found.insert((node, at.0, index));
                expected.insert(node);
                continue;
            }
            let mut resolved = Form::new();
            for (cells, coefficient) in form {
                // A mark stands for itself: its row's element.
                let marks = |cell: &Cell| matches!(cell, Cell::Mark { .. });
                let cells = match cells.iter().any(marks) {
                    true => Some(cells.clone()),
                    false => self.resolve(cells)?,
                };
                if let Some(cells) = cells {
                    *resolved.entry(cells).or_default() += coefficient;
                }
            }
            if let Some((node, index)) = self.one_hot(&resolved)? {
                found.insert((node, 0, index));
                expected.insert(node);
                continue;
            }
            let group = resolved.keys().flatten().find_map(|cell| match *cell {
                Cell::Group { node, group, .. } => Some((node, group)),
                Cell::Mark { lane, row } => {
                    let result = self.layout.results.iter().find(|result| result.row as usize == row)?;
                    let node = result.node as usize;
                    Some((node, (result.element as usize + lane) % groups(&self.graph.nodes[node].op)))
                }
                _ => None,
            });
            let (node, group) = group.ok_or_else(|| format!("{at:?} holds no group"))?;
            let definition = self.sum(node, group, at.0)?;
            if resolved != definition {
                return Err(format!("group {group} at {at:?} is {resolved:?}, not {definition:?}"));
            }
            found.insert((node, at.0, group));
            expected.insert(node);
        }
        let [node] = expected.into_iter().collect::<Vec<_>>()[..] else { return Err("sums of several nodes".into()) };
        let op = &self.graph.nodes[node].op;
        let sums = match op {
            Op::Enter => {
                let (graph, visibility) = (self.graph, &self.graph.visibility);
                let Node { inputs, output, .. } = &graph.nodes[node];
                let is_input = |i: &usize| graph.inputs[*i] == inputs[0] && visibility.input(*i) == Visibility::Hashed;
                let is_output = |i: &usize| graph.outputs[*i] == *output && visibility.output(*i) == Visibility::Hashed;
                let hashed = (0..graph.inputs.len()).filter(is_input).count();
                indices(graph, node) * (1 + hashed + (0..graph.outputs.len()).filter(is_output).count())
            }
            op => 2 * groups(op),
        };
        if found.len() != identity.len() || found.len() != sums {
            return Err(format!("{} sums of node {node}", found.len()));
        }
        seen.sums += 1;
        Ok(())
    }

    /// The node and the index that a hashed cell is shown to be, by a sum over the channels times their numbers: none for
    /// other sums.
    fn hashed_index(&mut self, at: Monomial, form: &Form) -> Audit<Option<(usize, usize)>> {
        let hashed: Vec<(Cell, i64)> = form
            .iter()
            .filter_map(|(cells, coefficient)| match cells[..] {
                [cell @ Cell::Hashed { .. }] => Some((cell, *coefficient)),
                _ => None,
            })
            .collect();
        let [(cell, times)] = hashed[..] else { return Ok(None) };
        let mut members = Form::new();
        for (cells, coefficient) in form.iter().filter(|(cells, _)| cells[..] != [cell]) {
            if let Some(cells) = self.resolve(cells)? {
                *members.entry(cells).or_default() += coefficient;
            }
        }
        let element = members.keys().flatten().find_map(|cell| match *cell {
            Cell::Element { tensor, element } => Some((tensor, element)),
            _ => None,
        });
        let (tensor, element) = element.ok_or_else(|| format!("{cell:?} at {at:?} is no index"))?;
        let node = self.graph.nodes.iter().position(|node| node.output == tensor && matches!(node.op, Op::Enter));
        let node = node.ok_or_else(|| format!("tensor {tensor} is no hidden input"))?;
        let (all, indices) = (self.graph.tensors[tensor].shape.len(), indices(self.graph, node));
        let index = element % indices;
        let member =
            |channel: usize| (vec![Cell::Element { tensor, element: channel * indices + index }], channel as i64);
        let definition: Form = (1..all / indices).map(member).collect();
        if at.0 == 0 || times != -self.graph.tensors[tensor].format.max || members != definition {
            return Err(format!("index {index} of node {node}, hashed at {at:?}: {times} times, {members:?}"));
        }
        let value = Cell::Index { tensor, index };
        match self.known.insert(cell, Some(value)) {
            None => Ok(Some((node, index))),
            Some(before) => Err(format!("{cell:?} is {before:?} and {value:?}")),
        }
    }

    /// The node and the index that a sum over the channels of a hidden input of indices is of: none for other sums.
    fn one_hot(&self, sum: &Form) -> Audit<Option<(usize, usize)>> {
        let of = |cell: &Cell| match *cell {
            Cell::Element { tensor, element } => {
                let node = self.graph.nodes.iter().position(|node| node.output == tensor)?;
                matches!(self.graph.nodes[node].op, Op::Enter).then_some((node, element))
            }
            _ => None,
        };
        // Sums of a normalisation's elements are beside its group's own values.
        let groups = sum.keys().flatten().any(|cell| matches!(cell, Cell::Group { .. }));
        let Some((node, element)) = sum.keys().flatten().find_map(of).filter(|_| !groups) else { return Ok(None) };
        let tensor = self.graph.nodes[node].output;
        let (all, indices) = (self.graph.tensors[tensor].shape.len(), indices(self.graph, node));
        let index = element % indices;
        let members = (index..all).step_by(indices).map(|element| (vec![Cell::Element { tensor, element }], 1));
        let definition: Form = members.chain([(Vec::new(), -self.graph.tensors[tensor].format.max)]).collect();
        if *sum == definition {
            return Ok(Some((node, index)));
        }
        Err(format!("index {index} of node {node} is {sum:?}, not {definition:?}"))
    }

    /// What the identity of sums says of a group, by power of `s`.
    fn sum(&self, node: usize, group: usize, power: usize) -> Audit<Form> {
        let op = &self.graph.nodes[node].op;
        let input = self.graph.nodes[node].inputs[0];
        let value = |sort: usize| Cell::Group { node, sort, group };
        let len = self.graph.tensors[input].shape.len();
        let members = || (group..len).step_by(groups(op));
        let mut form = Form::new();
        match (op, power) {
            (Op::Softmax(_), 0) => {
                form.extend(members().map(|element| (vec![Cell::Exponential { node, element }], 1)));
                form.insert(vec![value(0)], -1);
            }
            (Op::Softmax(_), 1) => {
                for result in self.layout.results.iter().filter(|result| result.node as usize == node) {
                    let RowKind::Exponential(kind::Exponential { lanes }) = result.kind else { continue };
                    for lane in (0..lanes).filter(|lane| (result.element as usize + lane) % groups(op) == group) {
                        form.insert(vec![Cell::Mark { lane, row: result.row as usize }], 1);
                    }
                }
                form.insert(Vec::new(), -1);
            }
            (Op::Normalise(normalise), power) => {
                for element in members() {
                    let Some(x) = origin(self.graph, input, element) else { continue };
                    if power == 1 {
                        *form.entry(vec![x, x]).or_default() += normalise.len as i64;
                    } else if normalise.centred {
                        *form.entry(vec![x]).or_default() += 1;
                    }
                }
                if power == 1 {
                    form.insert(vec![value(0)], -1);
                    form.insert(vec![value(1); 2], -1);
                    form.insert(Vec::new(), normalise.epsilon);
                } else {
                    form.insert(vec![value(1)], -1);
                }
            }
            _ => return Err(format!("node {node} has no sums by s^{power}")),
        }
        Ok(form)
    }

    /// Every copy beside a result is what its row computes with.
    pub(super) fn copies(&self) -> Audit<()> {
        for result in &self.layout.results {
            let (node, row) = (result.node as usize, result.row as usize);
            let inputs = &self.graph.nodes[node].inputs;
            for (group, _, lanes) in factors(result.kind).into_iter().filter(|_| result.kind.activates()) {
                for lane in 0..lanes {
                    let element = result.element as usize + lane;
                    let of = |sort: usize| {
                        Some(Cell::Group { node, sort, group: element % groups(&self.graph.nodes[node].op) })
                    };
                    let expected = match (result.kind, &self.graph.nodes[node].op, group) {
                        (RowKind::Multiply(_), Op::Softmax(_), 0) => Some(Cell::Exponential { node, element }),
                        (RowKind::Multiply(_), Op::Softmax(_), _) => of(2),
                        (RowKind::Multiply(_), ..) => origin(self.graph, inputs[group], element),
                        (_, _, 0) => origin(self.graph, inputs[0], element),
                        (RowKind::Exponential(_), ..) => of(1),
                        (_, _, group) => of(group),
                    };
                    let cell = Cell::Factor { group, lane, row };
                    if self.known.get(&cell) != Some(&expected) {
                        return Err(format!("{cell:?} is {:?}, not {expected:?}", self.known.get(&cell)));
                    }
                }
            }
        }
        Ok(())
    }

    /// An identity that constrains a node's accumulators.
    pub(super) fn definitions(&self, identity: &Poly, seen: &mut Seen) -> Audit<()> {
        let resolved = self.resolved(identity)?;
        let (degree, declared) = (degree(&resolved), self.layout.max_degree);
        if degree > declared {
            return Err(format!("r^{degree} is beyond the declared degree {declared}"));
        }
        let mut outputs: HashMap<Cell, Monomial> = HashMap::new();
        let mut nodes = HashSet::new();
        for (at, form) in &resolved {
            let results: Vec<(Cell, i64)> = form
                .iter()
                .filter_map(|(cells, c)| match cells[..] {
                    [cell @ Cell::Result { .. }] => Some((cell, *c)),
                    _ => None,
                })
                .collect();
            match results[..] {
                [] => {}
                [(cell, -1)] => {
                    if let Some(other) = outputs.insert(cell, *at) {
                        return Err(format!("{cell:?} at {at:?} and {other:?}"));
                    }
                    let (node, definition) = self.definition(cell)?;
                    nodes.insert(node);
                    let mut form = form.clone();
                    form.remove(&vec![cell]);
                    if form != definition {
                        return Err(format!("{cell:?} at {at:?} is {form:?}, not {definition:?}"));
                    }
                }
                _ => return Err(format!("outputs share {at:?}: {results:?}")),
            }
        }
        let [node] = nodes.into_iter().collect::<Vec<_>>()[..] else {
            return Err("an identity of several nodes".into());
        };
        self.all_outputs(node, &outputs)?;
        seen.outputs += outputs.len();
        match self.graph.nodes[node].op {
            Op::Linear(_) | Op::MatMul(_) => seen.products += 1,
            _ => seen.combinations += 1,
        }
        self.others(&resolved, &outputs.into_values().collect(), seen)
    }

    /// Every accumulator of the node is constrained.
    fn all_outputs(&self, node: usize, outputs: &HashMap<Cell, Monomial>) -> Audit<()> {
        for result in self.layout.results.iter().filter(|result| result.node as usize == node) {
            for slot in 0..slots(result.kind).len() {
                let cell = Cell::Result { row: result.row as usize, slot };
                outputs.get(&cell).ok_or_else(|| format!("{cell:?} is in no monomial"))?;
            }
        }
        Ok(())
    }

    /// Monomials that are no output's. A folded free coefficient is chosen when `s` is known, so it counts at every
    /// power of `s`; one that is committed before `s` balances its own power alone.
    fn others(&self, resolved: &Poly, outputs: &HashSet<Monomial>, seen: &mut Seen) -> Audit<()> {
        let constrained: HashSet<usize> = outputs.iter().map(|(_, r)| *r).collect();
        let is_cross_term = |cells: &Vec<Cell>| matches!(cells[..], [Cell::CrossTerms { .. }]);
        let free: HashSet<usize> =
            resolved.iter().filter(|(_, form)| form.keys().any(is_cross_term)).map(|((_, r), _)| *r).collect();
        if let Some(shared) = free.intersection(&constrained).next() {
            return Err(format!("a free coefficient at an output's exponent {shared}"));
        }
        seen.cross_terms += free.len();
        let folded = self.layout.architecture.folded_weights().is_some();
        for ((s, r), form) in resolved.iter().filter(|(at, _)| !outputs.contains(at)) {
            let balanced = if folded { free.contains(r) } else { form.keys().any(is_cross_term) };
            if balanced {
                continue;
            }
            // Nothing can balance it: it must vanish, so an honest witness must leave it zero.
            let masked = |cells: &Vec<Cell>| cells.iter().any(|cell| matches!(cell, Cell::Weight { .. }));
            if !form.keys().all(masked) {
                return Err(format!("s^{s}·r^{r} holds {form:?} and nothing that balances it"));
            }
            seen.masked += 1;
        }
        Ok(())
    }

    /// The node of an accumulator cell, and its definition by the layer's own formula.
    fn definition(&self, cell: Cell) -> Audit<(usize, Form)> {
        let Cell::Result { row, slot } = cell else { return Err(format!("{cell:?} is no result")) };
        let result = self.layout.results.iter().find(|result| result.row as usize == row);
        let result = result.ok_or_else(|| format!("row {row} is no node's"))?;
        let node = &self.graph.nodes[result.node as usize];
        let (shape, element) = (self.graph.tensors[node.output].shape, result.element as usize);
        let form = match &node.op {
            Op::Linear(linear) => {
                let element = if matches!(result.kind, RowKind::MaximumOfWindow(_)) { element } else { element + slot };
                let (channel, i, j) = match linear.transposed {
                    true => (element % shape.width, 0, element / shape.width),
                    false => position(shape, element),
                };
                let ([height, width], images) = (linear.pool, linear.window.images);
                let (a, b) = match result.kind {
                    RowKind::MaximumOfWindow(_) => (slot / width, slot % width),
                    _ => (0, 0),
                };
                // Column and image: columns of the images alternate.
                let (j, image) = (j / images * width + b, j % images);
                self.product(result.node as usize, linear, (channel, i * height + a, j * images + image))
            }
            Op::Combine { multipliers, offset, shared, .. } => {
                let mut form = Form::new();
                for (input, multiplier) in node.inputs.iter().zip(multipliers) {
                    if let Some(value) = origin(self.graph, *input, element + slot) {
                        *form.entry(vec![value]).or_default() += multiplier;
                    }
                }
                form.retain(|_, c| *c != 0);
                if !offset.is_empty() {
                    // Which of the runs of one inference, and where in it.
                    let (turn, within) = ((element + slot) / shared.run, (element + slot) % shared.run);
                    let tap = turn / shared.inferences * shared.run + within;
                    form.insert(vec![Cell::Learned { node: result.node as usize, output: 0, tap }], 1);
                }
                form
            }
            Op::MatMul(product) => {
                let (j, rest) = ((element + slot) % product.columns, (element + slot) / product.columns);
                let (inference, rest) = (rest % product.inferences, rest / product.inferences);
                let row = rest;
                let (head, i) = (rest % product.heads, rest / product.heads);
                let mut form = Form::new();
                for k in 0..product.inner {
                    let of_head = if product.head_minor { k * product.heads + head } else { head * product.inner + k };
                    let block = of_head * product.inferences + inference;
                    let places = [block * product.rows + i, block * product.columns + j];
                    let cells = node.inputs.iter().zip(places);
                    let cells = cells.map(|(input, place)| origin(self.graph, *input, place));
                    let Some(mut cells) = cells.collect::<Option<Vec<Cell>>>() else { continue };
                    cells.sort_unstable();
                    *form.entry(cells).or_default() += product.rescale.multiplier;
                }
                if !product.summands.is_empty() {
                    form.insert(vec![Cell::Learned { node: result.node as usize, output: row, tap: j }], 1);
                }
                form
            }
            op => return Err(format!("{op:?} has no accumulators")),
        };
        Ok((result.node as usize, form))
    }

    /// `Σ x·w + bias` of one output. Weights across groups are committed like others: that they are 0 is a fact of the
    /// model commitment, not of the identity.
    fn product(&self, node: usize, linear: &Linear, (output, i, j): (usize, usize, usize)) -> Form {
        let input = self.graph.nodes[node].inputs[0];
        let (shape, window) = (self.graph.tensors[input].shape, &linear.window);
        let [height, width] = window.kernel;
        let taps = shape.channels * height * width;
        let mut form = Form::from([(vec![Cell::Learned { node, output, tap: taps }], 1)]);
        let inside = |axis: usize, out: usize, tap: usize, size: usize| {
            let at = (out * window.stride[axis] + tap * window.dilation[axis]).checked_sub(window.pad_before[axis])?;
            let dilation = linear.input_dilation[axis];
            (at % dilation == 0 && at / dilation < size).then_some(at / dilation)
        };
        for tap in 0..taps {
            let (channel, a, b) = (tap / (height * width), tap / width % height, tap % width);
            let (images, image) = (window.images, j % window.images);
            let (y, x) = (inside(0, i, a, shape.height), inside(1, j / images, b, shape.width / images));
            let (Some(y), Some(x)) = (y, x) else { continue };
            let element = origin(self.graph, input, shape.index(channel, y, x * images + image));
            let Some(element) = element else { continue };
            let mut cells = vec![element, Cell::Learned { node, output, tap }];
            cells.sort_unstable();
            form.insert(cells, 1);
        }
        form
    }

    /// Raw outputs are claimed where their accumulators are read, and every other claim is tied to its element.
    pub(super) fn all_claims(&self) -> Audit<()> {
        for (cell, element) in &self.claims {
            let (column, row) = match *cell {
                Cell::Instance { column, row } => (column, row),
                _ if self.known.get(cell) == Some(element) => continue,
                _ => return Err(format!("{cell:?} is {:?}, not {element:?}", self.known.get(cell))),
            };
            let raw = self.layout.results.iter().find(|result| {
                column == self.layout.architecture.operand_lanes
                    && result.row as usize == row
                    && result.kind == RowKind::Raw
            });
            let value = match raw {
                Some(result) => {
                    let tensor = self.graph.nodes[result.node as usize].output;
                    Some(Some(Cell::Element { tensor, element: result.element as usize }))
                }
                None => self.known.get(cell).copied(),
            };
            if value != Some(*element) {
                return Err(format!("the claim at {cell:?} is {value:?}, not {element:?}"));
            }
        }
        Ok(())
    }
}
