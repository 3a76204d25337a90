//! What the gates say of a layout's rows: every identity as a polynomial in cells.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_circuit::system::{Accumulator, FixedRole, Multiplicand, RowKind, kind};

use super::{Audit, Cell, Monomial, Poly, add, exponents, monomial, multiplied, shifted};

/// The fixed columns by role and row, as the circuit assigns them: of two values for one cell the later one stands.
#[derive(Debug)]
pub struct Columns<'l> {
    layout: &'l Layout,
    cells: Vec<(&'l FixedRole, BTreeMap<usize, i64>)>,
}

impl<'l> Columns<'l> {
    /// The columns of a layout.
    pub fn new(layout: &'l Layout) -> Self {
        let dense = |cells: &Vec<(u32, i64)>| cells.iter().map(|(row, value)| (*row as usize, *value)).collect();
        let cells = layout.architecture.fixed.iter().zip(layout.fixed.iter().map(dense)).collect();
        Self { layout, cells }
    }

    pub(super) fn at(&self, role: &FixedRole, row: usize) -> i64 {
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
            Accumulator::Auxiliary => {
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
            Accumulator::ResultTotal | Accumulator::CrossTermsTotal => {
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
            Accumulator::Committed(column) => {
                add(&mut input, (0, 0), one(Cell::Committed { column: column as usize, row }), 1);
            }
            Accumulator::Hashed => {
                for (role, cells) in &self.cells {
                    let FixedRole::Hash(role) = role else { continue };
                    let selector = cells.get(&row).filter(|_| role.has_value());
                    selector.into_iter().for_each(|value| add(&mut input, (0, 0), one(Cell::Hashed { row }), *value));
                }
            }
            Accumulator::CrossTerms => {
                for lane in 0..a.cross_term_lanes {
                    let mask = self.at(&FixedRole::CrossTermMask(lane), row);
                    if mask != 0 {
                        add(&mut input, (0, a.cross_term_lanes - 1 - lane), one(Cell::CrossTerms { lane, row }), mask);
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
    ///
    /// # Errors
    /// A column that no identity can be read from.
    pub fn identities(&self) -> Audit<Vec<Poly>> {
        let mut reads: HashMap<Accumulator, BTreeSet<usize>> = HashMap::new();
        for (role, cells) in &self.cells {
            let FixedRole::Term { multiplicand, .. } = role else { continue };
            for accumulator in operands(*multiplicand) {
                reads.entry(accumulator).or_default().extend(cells.keys());
            }
        }
        let mut values = HashMap::new();
        for (accumulator, rows) in reads {
            values.insert(accumulator, self.accumulate(accumulator, &rows)?);
        }
        let mut identities = vec![Poly::new(); self.layout.identities];
        for (role, cells) in &self.cells {
            let FixedRole::Term { slot, multiplicand, factor } = role else { continue };
            for (row, coefficient) in cells {
                // Without its number a term would be one of an identity 0, which no layout has.
                let number = self.at(&FixedRole::Identity(*slot), *row);
                let identity =
                    usize::try_from(number - 1).map_err(|_| format!("row {row} has a term of no identity"))?;
                let value = operands(*multiplicand)
                    .into_iter()
                    .map(|a| values[&a][row].clone())
                    .reduce(|a, b| multiplied(&a, &b));
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
        Accumulator::ResultTotal => Some((Accumulator::Result, FixedRole::Accumulate)),
        Accumulator::CrossTermsTotal => Some((Accumulator::CrossTerms, FixedRole::AccumulateCrossTerms)),
        _ => None,
    }
}

fn operands(multiplicand: Multiplicand) -> Vec<Accumulator> {
    match multiplicand {
        Multiplicand::Dot => vec![Accumulator::Operand, Accumulator::Weights],
        Multiplicand::Accumulator(accumulator) => vec![accumulator],
    }
}

/// Monomials of the accumulators of a row, by slot.
pub(super) fn slots(kind: RowKind) -> Vec<Monomial> {
    match kind {
        RowKind::Requantise(kind::Requantise { lanes, spacing, .. }) => {
            let (s, r) = monomial(spacing);
            (0..lanes).map(|lane| ((lanes - 1 - lane) * s, (lanes - 1 - lane) * r)).collect()
        }
        RowKind::MaximumOfWindow(kind::MaximumOfWindow { height, width, vertical, horizontal }) => (0..height)
            .flat_map(|i| (0..width).map(move |j| (0, (height - 1 - i) * vertical + (width - 1 - j) * horizontal)))
            .collect(),
        RowKind::Raw => vec![(0, 0)],
        _ => Vec::new(),
    }
}

pub(super) fn digest_lanes(kind: RowKind) -> usize {
    match kind {
        RowKind::Requantise(kind::Requantise { lanes, .. })
        | RowKind::Copies(kind::Copies { lanes })
        | RowKind::Multiply(kind::Multiply { lanes, .. })
        | RowKind::Exponential(kind::Exponential { lanes })
        | RowKind::Entry(kind::Entry { lanes })
        | RowKind::OneHot(kind::OneHot { lanes, .. })
        | RowKind::Normalise(kind::Normalise { lanes, .. }) => lanes,
        RowKind::Raw | RowKind::Candidate(_) | RowKind::Reciprocal(_) | RowKind::InverseRoot(_) => 0,
        _ => 1,
    }
}

/// Copies of a row that enter the digest of copies: sort, power of `s`, lanes.
pub(super) fn factors(kind: RowKind) -> Vec<(usize, usize, usize)> {
    match kind {
        RowKind::Multiply(kind::Multiply { lanes, .. }) | RowKind::Exponential(kind::Exponential { lanes }) => {
            vec![(0, 0, lanes), (1, 1, lanes)]
        }
        RowKind::Normalise(kind::Normalise { lanes, .. }) => vec![(0, 0, lanes), (1, 1, lanes), (2, 2, lanes)],
        RowKind::Reciprocal(_) => vec![(1, 1, 1), (2, 3, 1)],
        RowKind::InverseRoot(_) => vec![(1, 1, 1), (2, 2, 1)],
        _ => Vec::new(),
    }
}

/// What a row adds to sums over groups.
fn sums(kind: RowKind, row: usize) -> Vec<(Monomial, Vec<Cell>, i64)> {
    let factor = |group: usize, lane: usize| Cell::Factor { group, lane, row };
    match kind {
        RowKind::Exponential(kind::Exponential { lanes }) => (0..lanes)
            .flat_map(|lane| {
                let e = lanes - 1 - lane;
                [((0, e), vec![Cell::Activated { lane, row }], 1), ((1, e), vec![Cell::Mark { lane, row }], 1)]
            })
            .collect(),
        RowKind::OneHot(kind::OneHot { lanes, less }) => (0..lanes)
            .flat_map(|lane| {
                let at = (0, lanes - 1 - lane);
                [(at, vec![Cell::Activated { lane, row }], 1), (at, Vec::new(), -less)]
            })
            .collect(),
        RowKind::Reciprocal(_) => vec![((0, 0), vec![factor(0, 0)], 1), ((1, 0), Vec::new(), 1)],
        RowKind::Normalise(kind::Normalise { lanes, len, centred, .. }) => (0..lanes)
            .flat_map(|lane| {
                let (e, x) = (lanes - 1 - lane, factor(0, lane));
                [((1, e), vec![x, x], len as i64), ((0, e), vec![x], i64::from(centred))]
            })
            .collect(),
        RowKind::InverseRoot(_) => {
            let [v, sum] = [0, 1].map(|group| factor(group, 0));
            vec![((0, 0), vec![sum], 1), ((1, 0), vec![v], 1), ((1, 0), vec![sum, sum], 1)]
        }
        _ => Vec::new(),
    }
}
