//! The exponent audit: expands every identity of a layout symbolically, from the layout's public data alone, and
//! compares it with the layers' definitions.
//!
//! Each committed cell is a variable, also those that an honest prover leaves zero: padding of operands, weights outside
//! the architecture's mask. A monomial `s^a·r^b` of an identity holds a form in these variables that must vanish. The
//! audit demands that the monomial of an output holds its own definition and nothing else, and that what is free stays
//! away.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuits::{
    graph::{Graph, Linear, Op, Origin, Shape, TensorId, Window},
    layout::{
        Accumulator, BankValues, Factor, FixedRole, Layout, LayoutOptions, Power, RowKind, Source, Variable,
        WeightMode, Widths, lower,
    },
};
use zkml_gpu_tests::networks::{Builder, WIDE, embedded, image, narrow, pooled, residual, strided, zoo};

/// A committed or public value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Cell {
    Operand {
        lane: usize,
        row: usize,
    },
    Instance {
        column: usize,
        row: usize,
    },
    Weight {
        column: usize,
        row: usize,
    },
    Result {
        row: usize,
        slot: usize,
    },
    Activated {
        lane: usize,
        row: usize,
    },
    Garbage {
        lane: usize,
        row: usize,
    },
    /// A cell of a left operand.
    Left {
        lane: usize,
        row: usize,
    },
    /// A copy beside a result.
    Factor {
        group: usize,
        lane: usize,
        row: usize,
    },
    /// Whether a member is shown to attain its group's maximum.
    Mark {
        lane: usize,
        row: usize,
    },
    /// An exponential of an element of a node's operand.
    Exponential {
        node: usize,
        element: usize,
    },
    /// A value of a group of a node.
    Group {
        node: usize,
        sort: usize,
        group: usize,
    },
    /// An element of a tensor: what cells are resolved to.
    Element {
        tensor: TensorId,
        element: usize,
    },
    /// A weight or bias (the last tap) of a node's output channel.
    Learned {
        node: usize,
        output: usize,
        tap: usize,
    },
}

/// `(exponent of s, exponent of r)`.
type Monomial = (usize, usize);
/// Products of cells with coefficients.
type Form = BTreeMap<Vec<Cell>, i64>;
type Poly = BTreeMap<Monomial, Form>;
type Audit<T> = Result<T, String>;

fn add(to: &mut Poly, monomial: Monomial, product: Vec<Cell>, coefficient: i64) {
    let form = to.entry(monomial).or_default();
    let sum = form.entry(product.clone()).or_default();
    *sum += coefficient;
    if *sum == 0 {
        form.remove(&product);
    }
    if form.is_empty() {
        to.remove(&monomial);
    }
}

fn shifted(poly: &Poly, (s, r): Monomial) -> Poly {
    poly.iter().map(|((a, b), form)| ((a + s, b + r), form.clone())).collect()
}

fn multiplied(a: &Poly, b: &Poly) -> Poly {
    let mut product = Poly::new();
    for (((s, r), f), ((u, v), g)) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))) {
        for ((x, c), (y, d)) in f.iter().flat_map(|x| g.iter().map(move |y| (x, y))) {
            let mut cells = [x.as_slice(), y].concat();
            cells.sort_unstable();
            add(&mut product, (s + u, r + v), cells, c * d);
        }
    }
    product
}

fn monomial(power: Power) -> Monomial {
    match power.variable {
        Variable::S => (power.exponent, 0),
        Variable::R => (0, power.exponent),
    }
}

/// Exponents of `r` in a factor.
fn exponents(factor: &Factor) -> Vec<usize> {
    factor.runs.iter().fold(vec![factor.shift], |all, (step, count)| {
        all.iter().flat_map(|e| (0..(*count).max(1)).map(move |m| e + step * m)).collect()
    })
}

/// The fixed columns by role and row, as the circuit assigns them: of two values for one cell the later one stands.
struct Columns<'l> {
    layout: &'l Layout,
    cells: Vec<(&'l FixedRole, BTreeMap<usize, i64>)>,
}

impl<'l> Columns<'l> {
    fn new(layout: &'l Layout) -> Self {
        let dense = |cells: &Vec<(u32, i64)>| cells.iter().map(|(row, value)| (*row as usize, *value)).collect();
        let cells = layout.architecture.fixed.iter().zip(layout.fixed.iter().map(dense)).collect();
        Self { layout, cells }
    }

    fn at(&self, role: &FixedRole, row: usize) -> i64 {
        self.cells.iter().find(|(r, _)| *r == role).and_then(|(_, cells)| cells.get(&row)).copied().unwrap_or(0)
    }

    /// The step of an accumulator at a row.
    fn step(&self, accumulator: Accumulator, row: usize) -> Audit<Option<Monomial>> {
        let mut found = None;
        for (role, cells) in &self.cells {
            let FixedRole::Step(of, power) = role else { continue };
            match cells.get(&row) {
                Some(1) if *of == accumulator && row == 0 => return Err("row 0 reads a blinding row".into()),
                Some(1) if *of == accumulator && found.is_some() => return Err(format!("two steps at row {row}")),
                Some(1) if *of == accumulator => found = Some(monomial(*power)),
                Some(value) if *value != 1 => return Err(format!("a step of {value}")),
                _ => {}
            }
        }
        Ok(found)
    }

    /// What the gates add to an accumulator at a row, every cell a variable.
    fn input(&self, accumulator: Accumulator, row: usize, result: &Poly) -> Poly {
        let a = &self.layout.architecture;
        let mut input = Poly::new();
        let one = |cell| vec![cell];
        match accumulator {
            Accumulator::Weights if self.left(row).is_some() => {
                let (lanes, stride) = self.left(row).expect("left lanes");
                (0..lanes).for_each(|lane| {
                    add(&mut input, ((lanes - 1 - lane) * stride, 0), one(Cell::Left { lane, row }), 1);
                });
            }
            Accumulator::LeftDigest => {
                let (lanes, _) = self.left(row).unwrap_or_default();
                (0..lanes).for_each(|lane| add(&mut input, (0, lanes - 1 - lane), one(Cell::Left { lane, row }), 1));
            }
            Accumulator::Factors => {
                for (kind, selector) in self.kinds(row) {
                    for (group, power, lanes) in factors(kind) {
                        (0..lanes).for_each(|lane| {
                            let cell = Cell::Factor { group, lane, row };
                            add(&mut input, (power, lanes - 1 - lane), one(cell), selector);
                        });
                    }
                }
            }
            Accumulator::Weights => {
                for column in 0..a.weight_columns {
                    add(&mut input, (column, 0), one(Cell::Weight { column, row }), 1);
                }
            }
            Accumulator::Operand | Accumulator::OperandDigest => {
                let lanes = a.operand_lanes;
                let operand = |lane| Cell::Operand { lane, row };
                let instance = |column| Cell::Instance { column, row };
                let mut read = |role: &FixedRole, lanes: usize, cell: &dyn Fn(usize) -> Cell| {
                    let selector = self.at(role, row);
                    (0..lanes)
                        .filter(|_| selector != 0)
                        .for_each(|l| add(&mut input, (0, lanes - 1 - l), one(cell(l)), selector));
                };
                read(&FixedRole::OperandPacked, lanes, &operand);
                read(&FixedRole::OperandSingle, 1, &operand);
                read(&FixedRole::InstancePacked, lanes, &instance);
                read(&FixedRole::InstanceSingle, 1, &instance);
            }
            Accumulator::Result => {
                for (kind, selector) in self.kinds(row) {
                    slots(kind).into_iter().enumerate().for_each(|(slot, at)| {
                        add(&mut input, at, one(Cell::Result { row, slot }), selector);
                    });
                    for (at, cells, coefficient) in sums(kind, row) {
                        add(&mut input, at, cells, coefficient * selector);
                    }
                }
                add(&mut input, (1, 0), Vec::new(), -self.at(&FixedRole::Epsilon, row));
            }
            Accumulator::ResultTotal | Accumulator::GarbageTotal => {
                let (_, take) = inner(accumulator).expect("a total");
                if self.at(&take, row) == 1 {
                    input.clone_from(result);
                }
            }
            Accumulator::ResultDigest => {
                for (kind, selector) in self.kinds(row) {
                    let lanes = digest_lanes(kind);
                    (0..lanes).for_each(|lane| {
                        add(&mut input, (0, lanes - 1 - lane), one(Cell::Activated { lane, row }), selector);
                    });
                }
            }
            Accumulator::Garbage => {
                for lane in 0..a.garbage_lanes {
                    let mask = self.at(&FixedRole::GarbageMask(lane), row);
                    if mask != 0 {
                        add(&mut input, (0, a.garbage_lanes - 1 - lane), one(Cell::Garbage { lane, row }), mask);
                    }
                }
            }
        }
        input
    }

    /// Left lanes that a row reads, and the powers of `s` between them.
    fn left(&self, row: usize) -> Option<(usize, usize)> {
        self.cells.iter().find_map(|(role, cells)| match role {
            FixedRole::LeftPacked(stride) if cells.contains_key(&row) => {
                Some((self.layout.architecture.left_lanes, *stride))
            }
            FixedRole::LeftSingle if cells.contains_key(&row) => Some((1, 1)),
            _ => None,
        })
    }

    fn kinds(&self, row: usize) -> Vec<(RowKind, i64)> {
        let kind = |(role, cells): &(&FixedRole, BTreeMap<usize, i64>)| match role {
            FixedRole::Kind(kind) => cells.get(&row).map(|value| (*kind, *value)),
            _ => None,
        };
        self.cells.iter().filter_map(kind).collect()
    }

    /// Values of an accumulator on the rows where something reads it.
    fn accumulate(&self, accumulator: Accumulator, read: &BTreeSet<usize>) -> Audit<BTreeMap<usize, Poly>> {
        let (mut value, mut result, mut values) = (Poly::new(), Poly::new(), BTreeMap::new());
        for row in 0..self.layout.usable_rows() {
            if let Some((inner, _)) = inner(accumulator) {
                result = self.next(inner, row, &result, &Poly::new())?;
            }
            value = self.next(accumulator, row, &value, &result)?;
            if read.contains(&row) {
                values.insert(row, value.clone());
            }
        }
        Ok(values)
    }

    fn next(&self, accumulator: Accumulator, row: usize, previous: &Poly, result: &Poly) -> Audit<Poly> {
        let mut value = match self.step(accumulator, row)? {
            Some(step) => shifted(previous, step),
            None => Poly::new(),
        };
        for (at, form) in self.input(accumulator, row, result) {
            form.into_iter().for_each(|(cells, c)| add(&mut value, at, cells, c));
        }
        Ok(value)
    }

    /// The identities, expanded.
    fn identities(&self) -> Audit<Vec<Poly>> {
        let mut reads: HashMap<Accumulator, BTreeSet<usize>> = HashMap::new();
        for (role, cells) in &self.cells {
            let FixedRole::Term { source, .. } = role else { continue };
            for accumulator in sources(*source) {
                reads.entry(accumulator).or_default().extend(cells.keys());
            }
        }
        let mut values = HashMap::new();
        for (accumulator, rows) in reads {
            values.insert(accumulator, self.accumulate(accumulator, &rows)?);
        }
        let mut identities = vec![Poly::new(); self.layout.identities];
        for (role, cells) in &self.cells {
            let FixedRole::Term { slot, source, factor } = role else { continue };
            for (row, coefficient) in cells {
                // Without its number a term would be one of an identity 0, which no layout has.
                let number = self.at(&FixedRole::Identity(*slot), *row);
                let identity =
                    usize::try_from(number - 1).map_err(|_| format!("row {row} has a term of no identity"))?;
                let value =
                    sources(*source).into_iter().map(|a| values[&a][row].clone()).reduce(|a, b| multiplied(&a, &b));
                for exponent in exponents(factor) {
                    for (at, form) in shifted(value.as_ref().unwrap(), (factor.channels, exponent)) {
                        form.into_iter()
                            .for_each(|(cells, c)| add(&mut identities[identity], at, cells, c * coefficient));
                    }
                }
            }
        }
        Ok(identities)
    }
}

/// The accumulator that a total adds up, and where.
fn inner(accumulator: Accumulator) -> Option<(Accumulator, FixedRole)> {
    match accumulator {
        Accumulator::ResultTotal => Some((Accumulator::Result, FixedRole::Take)),
        Accumulator::GarbageTotal => Some((Accumulator::Garbage, FixedRole::GarbageTake)),
        _ => None,
    }
}

fn sources(source: Source) -> Vec<Accumulator> {
    match source {
        Source::Dot => vec![Accumulator::Operand, Accumulator::Weights],
        Source::Accumulator(accumulator) => vec![accumulator],
    }
}

/// Monomials of the accumulators of a row, by slot.
fn slots(kind: RowKind) -> Vec<Monomial> {
    match kind {
        RowKind::Requantise { lanes, spacing, .. } => {
            let (s, r) = monomial(spacing);
            (0..lanes).map(|lane| ((lanes - 1 - lane) * s, (lanes - 1 - lane) * r)).collect()
        }
        RowKind::MaximumOfWindow { height, width, vertical, horizontal } => (0..height)
            .flat_map(|i| (0..width).map(move |j| (0, (height - 1 - i) * vertical + (width - 1 - j) * horizontal)))
            .collect(),
        RowKind::Raw => vec![(0, 0)],
        _ => Vec::new(),
    }
}

fn digest_lanes(kind: RowKind) -> usize {
    match kind {
        RowKind::Requantise { lanes, .. }
        | RowKind::Copies { lanes }
        | RowKind::Multiply { lanes, .. }
        | RowKind::Exponential { lanes }
        | RowKind::Normalise { lanes, .. } => lanes,
        RowKind::Raw | RowKind::Candidate { .. } | RowKind::Share { .. } | RowKind::Root { .. } => 0,
        _ => 1,
    }
}

/// Copies of a row that enter the digest of copies: sort, power of `s`, lanes.
fn factors(kind: RowKind) -> Vec<(usize, usize, usize)> {
    match kind {
        RowKind::Multiply { lanes, .. } | RowKind::Exponential { lanes } => vec![(0, 0, lanes), (1, 1, lanes)],
        RowKind::Normalise { lanes, .. } => vec![(0, 0, lanes), (1, 1, lanes), (2, 2, lanes)],
        RowKind::Share { .. } => vec![(1, 1, 1), (2, 3, 1)],
        RowKind::Root { .. } => vec![(1, 1, 1), (2, 2, 1)],
        _ => Vec::new(),
    }
}

/// What a row adds to sums over groups.
fn sums(kind: RowKind, row: usize) -> Vec<(Monomial, Vec<Cell>, i64)> {
    let factor = |group: usize, lane: usize| Cell::Factor { group, lane, row };
    match kind {
        RowKind::Exponential { lanes } => (0..lanes)
            .flat_map(|lane| {
                let e = lanes - 1 - lane;
                [((0, e), vec![Cell::Activated { lane, row }], 1), ((1, e), vec![Cell::Mark { lane, row }], 1)]
            })
            .collect(),
        RowKind::Share { .. } => vec![((0, 0), vec![factor(0, 0)], 1), ((1, 0), Vec::new(), 1)],
        RowKind::Normalise { lanes, len, centred, .. } => (0..lanes)
            .flat_map(|lane| {
                let (e, x) = (lanes - 1 - lane, factor(0, lane));
                [((1, e), vec![x, x], len as i64), ((0, e), vec![x], i64::from(centred))]
            })
            .collect(),
        RowKind::Root { .. } => {
            let [v, sum] = [0, 1].map(|group| factor(group, 0));
            vec![((0, 0), vec![sum], 1), ((1, 0), vec![v], 1), ((1, 0), vec![sum, sum], 1)]
        }
        _ => Vec::new(),
    }
}

/// The element that an element of a tensor is, through reshapes and rearrangements without cells; `None` for zero.
fn origin(graph: &Graph, layout: &Layout, tensor: TensorId, element: usize) -> Option<Cell> {
    let own = Some(Cell::Element { tensor, element });
    let Some(producer) = graph.nodes.iter().position(|node| node.output == tensor) else { return own };
    let node = &graph.nodes[producer];
    match &node.op {
        Op::Reshape => origin(graph, layout, node.inputs[0], element),
        Op::Rearrange { origins } if !layout.results.iter().any(|row| row.node as usize == producer) => {
            match origins[element] {
                Origin::Element { operand, element } => {
                    origin(graph, layout, node.inputs[operand as usize], element as usize)
                }
                Origin::Constant(value) => {
                    assert_eq!(value, 0, "another constant needs a cell");
                    None
                }
            }
        }
        _ => own,
    }
}

/// What is known of cells: the element that each equals, `None` for zero.
struct Auditor<'l> {
    graph: &'l Graph,
    layout: &'l Layout,
    known: HashMap<Cell, Option<Cell>>,
    claims: HashMap<Cell, Option<Cell>>,
}

/// What an audit saw.
#[derive(Debug, Default)]
struct Seen {
    products: usize,
    combinations: usize,
    ties: usize,
    outputs: usize,
    sums: usize,
    masked: usize,
    padding: usize,
    garbage: usize,
}

impl<'l> Auditor<'l> {
    fn new(graph: &'l Graph, layout: &'l Layout) -> Audit<Self> {
        let mut auditor = Self { graph, layout, known: HashMap::new(), claims: HashMap::new() };
        for result in &layout.results {
            let output = graph.nodes[result.node as usize].output;
            let (node, row, first) = (result.node as usize, result.row as usize, result.element as usize);
            for lane in 0..digest_lanes(result.kind) {
                let element = match result.kind {
                    RowKind::Exponential { .. } => Cell::Exponential { node, element: first + lane },
                    _ => Cell::Element { tensor: output, element: first + lane },
                };
                auditor.known.insert(Cell::Activated { lane, row }, Some(element));
            }
            if matches!(result.kind, RowKind::Share { .. } | RowKind::Root { .. }) {
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
                for element in 0..port.len {
                    let (column, row) = port.placement.cell(element);
                    let (cell, value) = (Cell::Instance { column, row }, origin(graph, layout, *tensor, element));
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
        Ok(auditor)
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
    fn tie(&mut self, identity: &Poly, seen: &mut Seen) -> Audit<()> {
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
                Cell::Result { .. } | Cell::Garbage { .. } => Some(*cell),
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
        let Op::Linear(linear) = &self.graph.nodes[node].op else { return masked };
        let from_last = entry.block as usize * self.layout.architecture.weight_columns + column;
        let Some(output) = linear.out_channels.checked_sub(1 + from_last) else { return masked };
        let taps = self.graph.tensors[self.graph.nodes[node].inputs[0]].shape.channels * linear.window.taps();
        let tap = if let BankValues::Weight(tap) = entry.values { tap as usize } else { taps };
        Cell::Learned { node, output, tap }
    }

    /// An identity in terms of tensors, results and learned values.
    fn resolved(&self, identity: &Poly) -> Audit<Poly> {
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
    fn sums(&self, identity: &Poly, seen: &mut Seen) -> Audit<()> {
        let mut found = HashSet::new();
        let mut expected = HashSet::new();
        for (at, form) in identity {
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
        if found.len() != identity.len() || found.len() != 2 * groups(op) {
            return Err(format!("{} sums of node {node}", found.len()));
        }
        seen.sums += 1;
        Ok(())
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
                    let RowKind::Exponential { lanes } = result.kind else { continue };
                    for lane in (0..lanes).filter(|lane| (result.element as usize + lane) % groups(op) == group) {
                        form.insert(vec![Cell::Mark { lane, row: result.row as usize }], 1);
                    }
                }
                form.insert(Vec::new(), -1);
            }
            (Op::Normalise(normalise), power) => {
                for element in members() {
                    let Some(x) = origin(self.graph, self.layout, input, element) else { continue };
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
    fn copies(&self) -> Audit<()> {
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
                        (RowKind::Multiply { .. }, Op::Softmax(_), 0) => Some(Cell::Exponential { node, element }),
                        (RowKind::Multiply { .. }, Op::Softmax(_), _) => of(2),
                        (RowKind::Multiply { .. }, ..) => origin(self.graph, self.layout, inputs[group], element),
                        (_, _, 0) => origin(self.graph, self.layout, inputs[0], element),
                        (RowKind::Exponential { .. }, ..) => of(1),
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
    fn definitions(&self, identity: &Poly, seen: &mut Seen) -> Audit<()> {
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

    /// Monomials that are no output's. A folded free coefficient is chosen when `s` is known, so it counts at every power of
    /// `s`; one that is committed before `s` balances its own power alone.
    fn others(&self, resolved: &Poly, outputs: &HashSet<Monomial>, seen: &mut Seen) -> Audit<()> {
        let constrained: HashSet<usize> = outputs.iter().map(|(_, r)| *r).collect();
        let is_garbage = |cells: &Vec<Cell>| matches!(cells[..], [Cell::Garbage { .. }]);
        let free: HashSet<usize> =
            resolved.iter().filter(|(_, form)| form.keys().any(is_garbage)).map(|((_, r), _)| *r).collect();
        if let Some(shared) = free.intersection(&constrained).next() {
            return Err(format!("a free coefficient at an output's exponent {shared}"));
        }
        seen.garbage += free.len();
        let folded = self.layout.architecture.folded_weights().is_some();
        for ((s, r), form) in resolved.iter().filter(|(at, _)| !outputs.contains(at)) {
            let balanced = if folded { free.contains(r) } else { form.keys().any(is_garbage) };
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
                let element =
                    if matches!(result.kind, RowKind::MaximumOfWindow { .. }) { element } else { element + slot };
                let (channel, i, j) = match linear.transposed {
                    true => (element % shape.width, 0, element / shape.width),
                    false => position(shape, element),
                };
                let [height, width] = linear.pool;
                let (a, b) = match result.kind {
                    RowKind::MaximumOfWindow { .. } => (slot / width, slot % width),
                    _ => (0, 0),
                };
                self.product(result.node as usize, linear, (channel, i * height + a, j * width + b))
            }
            Op::Combine { multipliers, offset, .. } => {
                let mut form = Form::new();
                for (input, multiplier) in node.inputs.iter().zip(multipliers) {
                    if let Some(value) = origin(self.graph, self.layout, *input, element + slot) {
                        *form.entry(vec![value]).or_default() += multiplier;
                    }
                }
                form.retain(|_, c| *c != 0);
                if !offset.is_empty() {
                    form.insert(vec![Cell::Learned { node: result.node as usize, output: 0, tap: element + slot }], 1);
                }
                form
            }
            Op::MatMul(product) => {
                let (i, head, j) = (
                    (element + slot) / (product.heads * product.columns),
                    (element + slot) / product.columns % product.heads,
                    (element + slot) % product.columns,
                );
                let mut form = Form::new();
                for block in (0..product.blocks()).filter(|block| product.head(*block) == head) {
                    let places = [block * product.rows + i, block * product.columns + j];
                    let cells = node.inputs.iter().zip(places);
                    let cells = cells.map(|(input, place)| origin(self.graph, self.layout, *input, place));
                    let Some(mut cells) = cells.collect::<Option<Vec<Cell>>>() else { continue };
                    cells.sort_unstable();
                    *form.entry(cells).or_default() += product.rescale.multiplier;
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
            let (y, x) = (inside(0, i, a, shape.height), inside(1, j, b, shape.width));
            let (Some(y), Some(x)) = (y, x) else { continue };
            let Some(element) = origin(self.graph, self.layout, input, shape.index(channel, y, x)) else { continue };
            let mut cells = vec![element, Cell::Learned { node, output, tap }];
            cells.sort_unstable();
            form.insert(cells, 1);
        }
        form
    }

    /// Raw outputs are claimed where their accumulators are read, and every other claim is tied to its element.
    fn all_claims(&self) -> Audit<()> {
        for (cell, element) in &self.claims {
            let Cell::Instance { column, row } = *cell else { continue };
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

fn position(shape: Shape, element: usize) -> (usize, usize, usize) {
    (element / (shape.height * shape.width), element / shape.width % shape.height, element % shape.width)
}

/// Greatest exponent of `r`.
fn degree(identity: &Poly) -> usize {
    identity.keys().map(|(_, r)| *r).max().unwrap_or(0)
}

/// Groups of a node.
fn groups(op: &Op) -> usize {
    match op {
        Op::Softmax(softmax) => softmax.groups,
        Op::Normalise(normalise) => normalise.groups,
        _ => 1,
    }
}

/// Whether an identity is one of sums over groups.
fn adds_up(identity: &Poly) -> bool {
    let summed = |cells: &Vec<Cell>| {
        cells.iter().any(|cell| matches!(cell, Cell::Mark { .. }))
            || matches!(cells[..], [Cell::Factor { .. }, Cell::Factor { .. }])
    };
    identity.values().flat_map(BTreeMap::keys).any(summed)
}

/// Whether an identity constrains accumulators, and not digests alone.
fn defines(identity: &Poly) -> bool {
    let defining = |cell: &Cell| matches!(cell, Cell::Result { .. } | Cell::Weight { .. });
    identity.values().flat_map(BTreeMap::keys).flatten().any(defining)
}

/// Ties all copies to their tensors, of which definitions speak.
fn tied<'l>(graph: &'l Graph, layout: &'l Layout, identities: &[Poly], seen: &mut Seen) -> Audit<Auditor<'l>> {
    let mut auditor = Auditor::new(graph, layout)?;
    let ties = identities.iter().filter(|identity| !defines(identity) && !adds_up(identity));
    ties.into_iter().try_for_each(|identity| auditor.tie(identity, seen))?;
    Ok(auditor)
}

/// Expands and checks every identity of a layout.
fn audit(graph: &Graph, layout: &Layout) -> Audit<Seen> {
    let identities = Columns::new(layout).identities()?;
    let mut seen = Seen::default();
    let auditor = tied(graph, layout, &identities, &mut seen)?;
    identities.iter().filter(|identity| defines(identity)).try_for_each(|i| auditor.definitions(i, &mut seen))?;
    identities.iter().filter(|identity| adds_up(identity)).try_for_each(|i| auditor.sums(i, &mut seen))?;
    auditor.copies()?;
    auditor.all_claims()?;
    let defined = |op: &Op| matches!(op, Op::Linear(_) | Op::Combine { .. } | Op::MatMul(_));
    let grouped = graph.nodes.iter().filter(|node| matches!(node.op, Op::Softmax(_) | Op::Normalise(_))).count();
    if seen.sums != grouped {
        return Err(format!("{seen:?}, but {grouped} nodes have groups"));
    }
    let constrained = graph.nodes.iter().filter(|node| defined(&node.op)).count();
    if seen.products + seen.combinations != constrained {
        return Err(format!("{seen:?}, but {constrained} nodes have accumulators"));
    }
    Ok(seen)
}

fn compile(graph: &Graph, options: &LayoutOptions) -> Layout {
    Layout::compile(graph, options).expect("the graph has a layout")
}

fn random_window(rng: &mut ChaCha20Rng, shape: Shape) -> Window {
    loop {
        let kernel = [0; 2].map(|_| rng.gen_range(1..=4));
        let [pad_before, pad_after] = [kernel; 2].map(|kernel| kernel.map(|k| rng.gen_range(0..k + 1)));
        let stride = [0; 2].map(|_| rng.gen_range(1..=3));
        let dilation = [0; 2].map(|_| if rng.gen_bool(0.3) { 2 } else { 1 });
        let window = Window { kernel, stride, dilation, pad_before, pad_after };
        if window.output(shape.height, shape.width).is_some() {
            return window;
        }
    }
}

fn random_image(rng: &mut ChaCha20Rng) -> Shape {
    match rng.gen_range(0..4) {
        0 => Shape::vector(rng.gen_range(1..8)),
        1 => image(rng.gen_range(1..6), 1, rng.gen_range(2..7)),
        _ => image(rng.gen_range(1..4), rng.gen_range(1..7), rng.gen_range(1..7)),
    }
}

/// A product over a random window, or over a matrix or vector.
fn random_product(
    b: &mut Builder,
    rng: &mut ChaCha20Rng,
    input: usize,
    shape: Shape,
    range: (i64, i64),
) -> (usize, Shape) {
    let pointwise = shape.height == 1 && rng.gen_bool(0.6);
    let window = if pointwise { Window::UNIT } else { random_window(rng, shape) };
    let channels = if window == Window::UNIT { rng.gen_range(1..40) } else { rng.gen_range(1..5) };
    let [height, width] = window.output(shape.height, shape.width).unwrap();
    let pool = if range == WIDE { [1, 1] } else { [height, width].map(|size| rng.gen_range(1..=size.min(3))) };
    let mut form = Linear { window, pool, ..Linear::dense(channels, vec![], vec![]) };
    if rng.gen_bool(0.4) && (window == Window::UNIT || shape.channels < 3) {
        // As many groups as there are input channels, each with one or two outputs.
        form.groups = shape.channels;
        form.out_channels = shape.channels * rng.gen_range(1..=2);
    }
    if rng.gen_bool(0.2) {
        form.input_dilation = [0; 2].map(|_| rng.gen_range(1..=3));
        form.pool = [1, 1];
    }
    let [height, width] = form.output(shape).unwrap();
    let output = image(form.out_channels, height / form.pool[0], width / form.pool[1]);
    (b.product(input, form, 20, range), output)
}

/// One to three layers, of which every output is claimed.
fn random_graph(seed: u64) -> Graph {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let mut shape = random_image(rng);
    let range = (-16, 15);
    let mut b = Builder::new(seed, 6, shape, range);
    let (mut tensor, mut outputs) = (0, Vec::new());
    for _ in 0..rng.gen_range(1..=2) {
        (tensor, shape) = match rng.gen_range(0..8) {
            0 => {
                let window = Window { kernel: [1, 1], stride: [0; 2].map(|_| rng.gen_range(1..=3)), ..Window::UNIT };
                let [height, width] = window.output(shape.height, shape.width).unwrap();
                let channels = rng.gen_range(1..20);
                (b.linear(tensor, channels, window, [1, 1], 20, range), image(channels, height, width))
            }
            1 => {
                let flat = Shape::vector(shape.len());
                (b.node(Op::Reshape, &[tensor], flat, range), flat)
            }
            _ => random_product(&mut b, rng, tensor, shape, range),
        };
        if rng.gen_bool(0.3) {
            // A residual addition: of the tensor and a product of its own shape.
            let channels = shape.channels;
            let side = b.linear(tensor, channels, Window::UNIT, [1, 1], 20, range);
            tensor = b.node(
                Op::Combine { multipliers: vec![64, -32], offset: vec![], width: None },
                &[side, tensor],
                shape,
                range,
            );
        }
    }
    if rng.gen_bool(0.5) {
        outputs.push(tensor);
    }
    let raw = rng.gen_bool(0.5);
    let (last, _) = random_product(&mut b, rng, tensor, shape, if raw { WIDE } else { range });
    outputs.push(last);
    b.finish(&outputs)
}

#[test]
fn every_output_of_the_zoo_has_a_monomial_that_holds_its_definition_alone() {
    // Weights are variables here in both modes. Free coefficients differ: of all channels, or of each.
    for options in [LayoutOptions::default(), narrow(), embedded()] {
        for (name, graph) in zoo() {
            let graph = lower(graph);
            let seen = audit(&graph, &compile(&graph, &options)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(seen.outputs > 0 && seen.products > 0, "{name}: {seen:?}");
        }
    }
}

/// Widths that a choice by cost may never take.
fn random_widths(seed: u64, weight_columns: usize) -> Widths {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let mut widths = Widths::default();
    widths.operand_lanes = rng.gen_range(1..=8);
    widths.activation_lanes = rng.gen_range(1..=8);
    widths.weight_columns = weight_columns;
    widths.garbage_lanes = rng.gen_range(1..=8);
    widths.lookup_group = rng.gen_range(1..=3);
    widths
}

#[test]
fn every_output_of_random_networks_has_a_monomial_that_holds_its_definition_alone() {
    let mut total = Seen::default();
    let (mut strides, mut uneven, mut pools, mut batches, mut blocks, mut lanes) = (0, 0, 0, 0, 0, 0);
    let (mut groups, mut dilations, mut transposed, mut wide) = (0, 0, 0, 0);
    for seed in 0..200 {
        let graph = lower(random_graph(seed));
        let mut options = LayoutOptions::default();
        options.max_weight_columns = [5, 8, 1024][seed as usize % 3];
        options.weights = [WeightMode::Committed, WeightMode::Embedded][seed as usize / 3 % 2];
        if seed % 2 == 0 {
            options.lookup_group = Some(1 + seed as usize % 3);
        } else {
            options.widths = Some(random_widths(seed, options.max_weight_columns.min(20)));
        }
        let layout = compile(&graph, &options);
        let seen = audit(&graph, &layout).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{graph:#?}"));
        for node in &graph.nodes {
            let Op::Linear(linear) = &node.op else { continue };
            let (window, input) = (&linear.window, graph.tensors[node.inputs[0]].shape);
            strides += usize::from(window.stride != [1, 1] && linear.window.kernel > window.stride);
            uneven += usize::from(window.pad_before != window.pad_after);
            pools += usize::from(linear.pool != [1, 1]);
            batches += usize::from(window.kernel == [1, 1] && input.width > 1);
            blocks += usize::from(linear.out_channels > layout.architecture.weight_columns);
            groups += usize::from(linear.groups > 1);
            dilations += usize::from((0..2).any(|axis| window.extent(axis) > window.kernel[axis]));
            transposed += usize::from(linear.input_dilation != [1, 1] && input.len() > input.channels);
            wide += usize::from((0..2).any(|axis| window.pad_after[axis] >= window.extent(axis)));
        }
        total.products += seen.products;
        total.combinations += seen.combinations;
        total.ties += seen.ties;
        total.masked += seen.masked;
        total.padding += seen.padding;
        total.garbage += seen.garbage;
        lanes += usize::from(layout.architecture.garbage_lanes > 1);
    }
    // The random networks do exercise what the audit is for.
    let counts = [strides, uneven, pools, batches, blocks, lanes, groups, dilations, transposed, wide];
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
    assert!(total.masked > 0 && total.padding > 0 && total.garbage > 0 && total.combinations > 10, "{total:?}");
}

/// Whether the audit should notice a change of this column. A row of an image may hold nothing that an output reads, so
/// the loss of a public image's selector may do no harm.
fn matters(role: &FixedRole) -> bool {
    matches!(
        role,
        FixedRole::OperandPacked
            | FixedRole::OperandSingle
            | FixedRole::InstanceSingle
            | FixedRole::Take
            | FixedRole::GarbageTake
            | FixedRole::GarbageMask(_)
            | FixedRole::Step(..)
            | FixedRole::Identity(_)
            | FixedRole::Term { .. }
    )
}

#[test]
fn the_audit_notices_the_loss_of_any_selector_step_or_term() {
    // The digest of a tensor that is read by gathering alone has no reader, so such networks stay out.
    let gathers = |graph: &Graph| graph.nodes.iter().any(|n| matches!(n.op, Op::MaxPool(_) | Op::AveragePool { .. }));
    let graphs = zoo().into_iter().filter(|(_, graph)| !gathers(graph));
    let cases = graphs.map(|(name, graph)| (name, graph, WeightMode::Committed));
    // The modes differ in the free coefficients alone, and so in convolutions.
    let embedded = ("convolution, pooled", pooled(), WeightMode::Embedded);
    for (name, graph, weights) in cases.chain([embedded]) {
        let graph = lower(graph);
        let mut options = narrow();
        options.weights = weights;
        let layout = compile(&graph, &options);
        audit(&graph, &layout).unwrap();
        let identities = Columns::new(&layout).identities().unwrap();
        let auditor = tied(&graph, &layout, &identities, &mut Seen::default()).unwrap();
        let resolved = |identities: &[Poly]| identities.iter().map(|i| auditor.resolved(i)).collect::<Vec<_>>();
        let honest = resolved(&identities);
        let mut noticed = 0;
        for (column, role) in layout.architecture.fixed.iter().enumerate().filter(|(_, role)| matters(role)) {
            // The ends of small networks' columns, the middle of all.
            let len = layout.fixed[column].len();
            let indices = if layout.identities < 8 { vec![0, len / 2, len - 1] } else { vec![len / 2] };
            for index in indices {
                let mut changed = layout.clone();
                let (row, _) = changed.fixed[column].remove(index);
                // What no identity reads may go, as the digest of an input that is never copied, and what is zero.
                let read = Columns::new(&changed).identities().map(|i| resolved(&i)) != Ok(honest.clone());
                noticed += usize::from(read);
                assert!(!read || audit(&graph, &changed).is_err(), "{role:?} at row {row} of {name}");
            }
        }
        assert!(noticed > 20, "{name}: {noticed}");
    }
}

#[test]
fn the_declared_degree_counts_every_committed_cell() {
    for seed in 0..200 {
        let graph = lower(random_graph(seed));
        let layout = compile(&graph, &LayoutOptions::default());
        let reached = Columns::new(&layout).identities().unwrap().iter().map(degree).max().unwrap();
        assert!(reached <= layout.max_degree, "seed {seed}: r^{reached}, declared {}", layout.max_degree);
    }
}

#[test]
fn a_tensor_added_to_itself_counts_twice() {
    let shape = image(2, 2, 2);
    let mut b = Builder::new(1, 6, shape, (0, 31));
    let x = b.linear(0, 2, Window::UNIT, [1, 1], 40, (0, 31));
    let again = b.node(Op::Reshape, &[x], shape, (0, 31));
    let sum =
        b.node(Op::Combine { multipliers: vec![64, 32], offset: vec![], width: None }, &[x, again], shape, (0, 31));
    let graph = b.finish(&[sum]);
    let graph = lower(graph);
    // To refuse it is sound as well.
    if let Ok(layout) = Layout::compile(&graph, &LayoutOptions::default()) {
        audit(&graph, &layout).unwrap();
    }
}

#[test]
fn the_audit_notices_a_free_coefficient_at_an_outputs_exponent() {
    let graphs = [strided(), residual(), pooled()].map(lower);
    for (graph, options) in graphs.iter().flat_map(|graph| [LayoutOptions::default(), embedded()].map(|o| (graph, o))) {
        let layout = compile(graph, &options);
        let run = &layout.garbage[0];
        let lanes = layout.architecture.garbage_lanes;
        let outputs: Vec<usize> = (0..run.free.len()).filter(|position| !run.free[*position]).collect();
        let mut noticed = 0;
        for position in outputs {
            let (lane, row) = (position % lanes, run.first_row as usize + position / lanes);
            let Some(column) = layout.architecture.fixed.iter().position(|r| *r == FixedRole::GarbageMask(lane)) else {
                continue;
            };
            let mut changed = layout.clone();
            changed.fixed[column].push((row as u32, 1));
            noticed += usize::from(audit(graph, &changed).is_err());
        }
        let Op::Linear(linear) = &graph.nodes[0].op else { unreachable!("the first node is a product") };
        let shape = graph.tensors[0].shape;
        let [height, width] = linear.window.output(shape.height, shape.width).unwrap();
        let used = height / linear.pool[0] * linear.pool[0] * (width / linear.pool[1] * linear.pool[1]);
        assert_eq!(noticed, used, "one for each output position");
    }
}
