//! Identities as polynomials in the challenges `s` and `r` over cells.
//!
//! An accumulator follows `acc = step·acc_prev + input`, so on a row it is `Σ (product of the steps after)·input` over
//! the rows since it last started anew. A term reads it on one row, times a factor; several terms of an identity may
//! read one accumulator on one chain of rows. They are expanded together, from the last row back: where two of them
//! have come to the same power their coefficients add up from there on, so that a difference of two partial digests is
//! the part between them, and the work is linear in what remains.

use std::collections::BTreeMap;

use super::fixed::Fixed;
use super::{Check, refuse, require};
use crate::layout::Layout;
use crate::system::{Accumulator, Architecture, Factor, FixedRole, Multiplicand, Power, RowKind, Variable, kind};

/// Greatest magnitude of a term's coefficient: a graph's multipliers are smaller.
const MAX_COEFFICIENT: u64 = 1 << 62;
/// Greatest degree: layouts of networks have some powers for each operand cell.
const MAX_DEGREE: usize = 1 << 28;

/// What an identity speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// Operand cell of a lane.
    Operand(usize),
    /// Left operand cell of a lane.
    Left(usize),
    /// Public cell of an instance column.
    Instance(usize),
    /// Result of an activation lane.
    Activated(usize),
    /// Cell of a column of a committed tensor.
    Committed(usize),
    /// Value of a row of a hash.
    Hashed,
    /// Copy beside a result: group and lane.
    Copy(usize, usize),
    /// Square of a copy beside a result.
    Square(usize, usize),
    /// Whether the member in an activation lane is shown to attain its group's maximum.
    Mark(usize),
    /// Accumulator of a row: of a lane, or of a member of its window.
    Slot(usize),
    /// Free coefficient of a lane.
    Free(usize),
    /// Weight of a column.
    Weight(usize),
    /// The number 1.
    One,
}

/// `coefficient · s^s · r^r · symbol on a row`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) s: usize,
    pub(super) r: usize,
    pub(super) symbol: Symbol,
    pub(super) row: usize,
    pub(super) coefficient: i64,
}

/// A product of two accumulators on one row: `coefficient · s^s · r^r · Operand · Weights`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dot {
    pub(super) row: usize,
    pub(super) s: usize,
    pub(super) r: usize,
    pub(super) coefficient: i64,
}

/// An identity: the sum of its items and products must vanish.
pub(super) struct Identity {
    /// Its number, from 0.
    pub(super) number: usize,
    pub(super) items: Vec<Item>,
    pub(super) dots: Vec<Dot>,
}

impl Identity {
    /// Whether it speaks of sums over groups.
    pub(super) fn is_sum(&self) -> bool {
        let summed = |item: &Item| match item.symbol {
            Symbol::Square(..) | Symbol::Mark(_) | Symbol::One => true,
            Symbol::Operand(_)
            | Symbol::Left(_)
            | Symbol::Instance(_)
            | Symbol::Activated(_)
            | Symbol::Committed(_)
            | Symbol::Hashed
            | Symbol::Copy(..)
            | Symbol::Slot(_)
            | Symbol::Free(_)
            | Symbol::Weight(_) => false,
        };
        self.dots.is_empty() && self.items.iter().any(summed)
    }
}

/// A term: what it reads on a row, times a factor and a coefficient.
#[derive(Clone, Copy)]
struct Term<'l> {
    multiplicand: Multiplicand,
    row: usize,
    factor: &'l Factor,
    coefficient: i64,
}

/// A reading of an accumulator that goes back along its chain.
#[derive(Clone, Copy, Debug, Default)]
struct Walker {
    s: usize,
    r: usize,
    coefficient: i64,
}

/// Selectors of what a row adds to its accumulators.
struct Inputs {
    operand_packed: Vec<bool>,
    operand_single: Vec<bool>,
    instance_packed: Vec<bool>,
    instance_single: Vec<bool>,
    left_single: Vec<bool>,
    /// Power of `s` between left lanes, by row.
    left_packed: Vec<Option<usize>>,
    take: Vec<bool>,
    free_take: Vec<bool>,
    free: Vec<Vec<bool>>,
    epsilon: Vec<i64>,
    /// Rows of hashes that have a value.
    hashed: Vec<bool>,
}

impl Inputs {
    fn new(a: &Architecture, fixed: &Fixed<'_>) -> Check<Self> {
        let mut left_packed = vec![None; fixed.usable()];
        for (role, cells) in fixed.roles() {
            let FixedRole::LeftPacked(stride) = role else { continue };
            for (row, value) in cells {
                let first = left_packed[*row as usize].replace(*stride).is_none();
                require(*value == 1 && first, || format!("row {row} reads left lanes {value} times, or twice"))?;
            }
        }
        let mut hashed = vec![false; fixed.usable()];
        for (role, cells) in fixed.roles() {
            let FixedRole::Hash(role) = role else { continue };
            for (row, value) in cells.iter().filter(|_| role.has_value()) {
                let again = std::mem::replace(&mut hashed[*row as usize], true);
                require(*value == 1 && !again, || {
                    format!("row {row} has the value of a hash {value} times, or twice")
                })?;
            }
        }
        let this = Self {
            hashed,
            operand_packed: fixed.selector(&FixedRole::OperandPacked)?,
            operand_single: fixed.selector(&FixedRole::OperandSingle)?,
            instance_packed: fixed.selector(&FixedRole::InstancePacked)?,
            instance_single: fixed.selector(&FixedRole::InstanceSingle)?,
            left_single: fixed.selector(&FixedRole::LeftSingle)?,
            left_packed,
            take: fixed.selector(&FixedRole::Accumulate)?,
            free_take: fixed.selector(&FixedRole::AccumulateCrossTerms)?,
            free: (0..a.cross_term_lanes)
                .map(|lane| fixed.selector(&FixedRole::CrossTermMask(lane)))
                .collect::<Check<_>>()?,
            epsilon: fixed.dense(&FixedRole::Epsilon),
        };
        let twice = this.left_packed.iter().zip(&this.left_single).any(|(packed, single)| packed.is_some() && *single);
        require(!twice, || "a row reads left lanes twice".into())?;
        Ok(this)
    }
}

/// All identities of a layout, each expanded when it is asked for.
pub(super) struct Identities<'l> {
    architecture: &'l Architecture,
    fixed: &'l Fixed<'l>,
    inputs: Inputs,
    terms: Vec<Vec<Term<'l>>>,
    degrees: Vec<Vec<Option<usize>>>,
    /// Most items of an identity: a layout repeats none of its cells more often.
    limit: usize,
}

impl<'l> Identities<'l> {
    /// Collects the terms of each identity: on a row, the number in a slot says whose the slot's terms are.
    pub(super) fn new(layout: &'l Layout, fixed: &'l Fixed<'l>) -> Check<Self> {
        let architecture = &layout.architecture;
        let used = |(role, _): &(&FixedRole, &[(u32, i64)])| matches!(role, FixedRole::Term { .. });
        let count: usize = fixed.roles().filter(used).map(|(_, cells)| cells.len()).sum();
        require(layout.identities <= count, || format!("{} identities of {count} terms", layout.identities))?;
        let slots = 0..architecture.slots;
        let numbers: Vec<Vec<i64>> = slots.map(|slot| fixed.dense(&FixedRole::Identity(slot))).collect();
        let mut unused: Vec<Vec<bool>> = numbers.iter().map(|cells| cells.iter().map(|n| *n != 0).collect()).collect();
        let mut terms: Vec<Vec<Term<'l>>> = vec![Vec::new(); layout.identities];
        for (role, cells) in fixed.roles() {
            let FixedRole::Term { slot, multiplicand, factor } = role else { continue };
            for (row, coefficient) in cells {
                let (row, coefficient) = (*row as usize, *coefficient);
                // Without a number a term would be one of an identity 0, which no layout has.
                let number = numbers.get(*slot).map_or(0, |numbers| numbers[row]);
                let number = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
                let Some(own) = number.and_then(|number| terms.get_mut(number)) else {
                    return refuse(format!("row {row} has a term of no identity"));
                };
                require(coefficient.unsigned_abs() <= MAX_COEFFICIENT, || format!("a coefficient of {coefficient}"))?;
                own.push(Term { multiplicand: *multiplicand, row, factor, coefficient });
                unused[*slot][row] = false;
            }
        }
        require(!unused.iter().flatten().any(|unused| *unused), || "a number of an identity without terms".into())?;
        let limit =
            64 * (fixed.usable() + 1).saturating_mul(architecture.advice_columns() + architecture.weight_columns);
        let inputs = Inputs::new(architecture, fixed)?;
        let mut this = Self { architecture, fixed, inputs, terms, degrees: Vec::new(), limit };
        let committed = (0..architecture.committed_columns as u32).map(Accumulator::Committed);
        for accumulator in Accumulator::SINGLE.into_iter().chain(committed) {
            let degrees = this.degrees_of(accumulator);
            this.degrees.push(degrees);
        }
        let degree = this.terms.iter().flatten().map(|term| this.term_degree(term)).max().unwrap_or(0);
        let declared = layout.max_degree;
        require(degree == declared, || format!("the identities have degree {degree} in r, declared {declared}"))?;
        require(degree <= MAX_DEGREE, || format!("a degree of {degree} in r"))?;
        Ok(this)
    }

    pub(super) const fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether an identity speaks of activations and their copies alone, for it reads nothing but digests of them.
    pub(super) fn is_tie(&self, number: usize) -> bool {
        self.terms[number].iter().all(|term| match term.multiplicand {
            Multiplicand::Accumulator(
                Accumulator::Operand
                | Accumulator::OperandDigest
                | Accumulator::LeftDigest
                | Accumulator::ResultDigest
                | Accumulator::Auxiliary
                | Accumulator::Committed(_)
                | Accumulator::Hashed,
            ) => true,
            Multiplicand::Accumulator(
                Accumulator::Weights
                | Accumulator::Result
                | Accumulator::ResultTotal
                | Accumulator::CrossTerms
                | Accumulator::CrossTermsTotal,
            )
            | Multiplicand::Dot => false,
        })
    }

    /// Expands an identity.
    pub(super) fn expand(&self, number: usize) -> Check<Identity> {
        let mut identity = Identity { number, items: Vec::new(), dots: Vec::new() };
        let mut reads: BTreeMap<Accumulator, Vec<(usize, Walker)>> = BTreeMap::new();
        for term in &self.terms[number] {
            let Term { multiplicand, row, factor, coefficient } = *term;
            match multiplicand {
                Multiplicand::Dot => {
                    require(factor.runs.is_empty(), || format!("a product on row {row} with a sum of powers"))?;
                    identity.dots.push(Dot { row, s: factor.channels, r: factor.shift, coefficient });
                }
                Multiplicand::Accumulator(accumulator) => {
                    for r in self.powers(factor)? {
                        let walker = Walker { s: factor.channels, r, coefficient };
                        reads.entry(accumulator).or_default().push((row, walker));
                    }
                }
            }
        }
        require(!reads.is_empty() || !identity.dots.is_empty(), || format!("identity {number} has no terms"))?;
        for (accumulator, reads) in reads {
            self.accumulate(accumulator, reads, &mut identity.items)?;
        }
        Ok(identity)
    }

    /// Powers of `r` in a factor.
    fn powers(&self, factor: &Factor) -> Check<Vec<usize>> {
        let count = factor.runs.iter().try_fold(1usize, |n, (_, count)| n.checked_mul((*count).max(1)));
        require(count.is_some_and(|count| count <= self.limit), || "a factor with too many powers".into())?;
        Ok(factor.runs.iter().fold(vec![factor.shift], |all, (step, count)| {
            all.iter().flat_map(|e| (0..(*count).max(1)).map(move |m| e + step * m)).collect()
        }))
    }

    /// The operands of a product: what the Operand accumulator holds on its row, then the Weights accumulator.
    pub(super) fn factors(&self, dot: &Dot) -> Check<[Vec<Item>; 2]> {
        let whole = Walker { s: 0, r: 0, coefficient: 1 };
        let [mut operand, mut weights] = [Vec::new(), Vec::new()];
        self.accumulate(Accumulator::Operand, vec![(dot.row, whole)], &mut operand)?;
        self.accumulate(Accumulator::Weights, vec![(dot.row, whole)], &mut weights)?;
        Ok([operand, weights])
    }

    /// Adds what readings of an accumulator hold.
    fn accumulate(&self, accumulator: Accumulator, mut reads: Vec<(usize, Walker)>, items: &mut Vec<Item>) -> Check {
        reads.sort_by_key(|(row, _)| std::cmp::Reverse(*row));
        let mut reads = reads.into_iter().peekable();
        let mut walkers = Walkers::default();
        let Some(mut row) = reads.peek().map(|(row, _)| *row) else { return Ok(()) };
        loop {
            while let Some((_, walker)) = reads.next_if(|(of, _)| *of == row) {
                walkers.join(walker)?;
            }
            for walker in walkers.all() {
                self.input(accumulator, row, walker, items)?;
            }
            require(items.len() <= self.limit, || "an identity with too many terms".into())?;
            match self.fixed.step(accumulator, row).filter(|_| !walkers.coefficients.is_empty()) {
                Some(power) => {
                    walkers.gone.step(power);
                    row -= 1;
                }
                None => {
                    walkers = Walkers::default();
                    match reads.peek() {
                        Some((next, _)) => row = *next,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// What the gate adds to an accumulator on a row.
    fn input(&self, accumulator: Accumulator, row: usize, walker: Walker, items: &mut Vec<Item>) -> Check {
        let (a, inputs) = (self.architecture, &self.inputs);
        let mut add = |s: usize, r: usize, symbol: Symbol, coefficient: i64| {
            let coefficient = walker.coefficient.checked_mul(coefficient);
            let Some(coefficient) = coefficient else { return refuse("a coefficient that is too large") };
            items.push(Item { s: walker.s + s, r: walker.r + r, symbol, row, coefficient });
            Ok(())
        };
        // Lane 0 has the greatest power; powers rise on the way back, so that most items need no sorting.
        let horner = |lanes: usize| (0..lanes).rev().map(move |lane| (lane, lanes - 1 - lane));
        match accumulator {
            Accumulator::Weights => match self.left(row) {
                Some((lanes, stride)) => {
                    horner(lanes).try_for_each(|(lane, e)| add(e * stride, 0, Symbol::Left(lane), 1))
                }
                None => (0..a.weight_columns).try_for_each(|column| add(column, 0, Symbol::Weight(column), 1)),
            },
            Accumulator::LeftDigest => {
                let (lanes, _) = self.left(row).unwrap_or_default();
                horner(lanes).try_for_each(|(lane, e)| add(0, e, Symbol::Left(lane), 1))
            }
            Accumulator::Operand | Accumulator::OperandDigest => {
                if inputs.operand_packed[row] {
                    horner(a.operand_lanes).try_for_each(|(lane, e)| add(0, e, Symbol::Operand(lane), 1))?;
                }
                if inputs.operand_single[row] {
                    add(0, 0, Symbol::Operand(0), 1)?;
                }
                if inputs.instance_packed[row] {
                    horner(a.operand_lanes).try_for_each(|(lane, e)| add(0, e, Symbol::Instance(lane), 1))?;
                }
                if inputs.instance_single[row] {
                    add(0, 0, Symbol::Instance(0), 1)?;
                }
                Ok(())
            }
            Accumulator::Result => {
                if inputs.epsilon[row] != 0 {
                    add(1, 0, Symbol::One, -inputs.epsilon[row])?;
                }
                let Some(kind) = self.fixed.kind(row) else { return Ok(()) };
                result(kind).into_iter().try_for_each(|(s, r, symbol, coefficient)| add(s, r, symbol, coefficient))
            }
            Accumulator::ResultDigest => {
                let lanes = self.fixed.kind(row).map_or(0, digest_lanes);
                horner(lanes).try_for_each(|(lane, e)| add(0, e, Symbol::Activated(lane), 1))
            }
            Accumulator::Auxiliary => {
                let Some(kind) = self.fixed.kind(row) else { return Ok(()) };
                for (group, s, lanes) in copies(kind) {
                    horner(lanes).try_for_each(|(lane, e)| add(s, e, Symbol::Copy(group, lane), 1))?;
                }
                Ok(())
            }
            Accumulator::CrossTerms => {
                let masked = horner(a.cross_term_lanes).filter(|(lane, _)| inputs.free[*lane][row]);
                masked.into_iter().try_for_each(|(lane, e)| add(0, e, Symbol::Free(lane), 1))
            }
            Accumulator::ResultTotal if inputs.take[row] => {
                self.accumulate(Accumulator::Result, vec![(row, walker)], items)
            }
            Accumulator::CrossTermsTotal if inputs.free_take[row] => {
                self.accumulate(Accumulator::CrossTerms, vec![(row, walker)], items)
            }
            Accumulator::ResultTotal | Accumulator::CrossTermsTotal => Ok(()),
            Accumulator::Committed(column) => add(0, 0, Symbol::Committed(column as usize), 1),
            Accumulator::Hashed if inputs.hashed[row] => add(0, 0, Symbol::Hashed, 1),
            Accumulator::Hashed => Ok(()),
        }
    }

    /// Left lanes that a row reads, and the powers of `s` between them. Such a row has no weights.
    pub(super) fn left(&self, row: usize) -> Option<(usize, usize)> {
        match self.inputs.left_packed[row] {
            Some(stride) => Some((self.architecture.left_lanes, stride)),
            None => self.inputs.left_single[row].then_some((1, 1)),
        }
    }

    /// The degree in `r` of a term, of all cells that it reads: those that cancel among terms included.
    fn term_degree(&self, Term { multiplicand, row, factor, .. }: &Term<'_>) -> usize {
        let reach: usize = factor.runs.iter().map(|(step, count)| step * count.saturating_sub(1)).sum();
        let degree = |accumulator: Accumulator| self.degrees.get(accumulator.number()).and_then(|rows| rows[*row]);
        let read = match *multiplicand {
            Multiplicand::Dot => {
                degree(Accumulator::Operand).zip(degree(Accumulator::Weights)).map_or(0, |(a, b)| a + b)
            }
            Multiplicand::Accumulator(accumulator) => degree(accumulator).unwrap_or(0),
        };
        factor.shift + reach + read
    }

    /// The degree of an accumulator by row, none where nothing has been added to it. Inner accumulators come before
    /// their totals.
    fn degrees_of(&self, accumulator: Accumulator) -> Vec<Option<usize>> {
        let mut degrees: Vec<Option<usize>> = Vec::with_capacity(self.fixed.usable());
        for row in 0..self.fixed.usable() {
            let carried = self.fixed.step(accumulator, row).zip(degrees.last().copied().flatten());
            let carried = carried.map(|(power, before)| match power.variable {
                Variable::R => before + power.exponent,
                Variable::S => before,
            });
            degrees.push(carried.max(self.added_degree(accumulator, row)));
        }
        degrees
    }

    fn added_degree(&self, accumulator: Accumulator, row: usize) -> Option<usize> {
        let (a, inputs) = (self.architecture, &self.inputs);
        let kind = self.fixed.kind(row);
        match accumulator {
            Accumulator::Weights => Some(0),
            Accumulator::Committed(_) => Some(0),
            Accumulator::Hashed => inputs.hashed[row].then_some(0),
            Accumulator::LeftDigest => self.left(row).map(|(lanes, _)| lanes - 1),
            Accumulator::Operand | Accumulator::OperandDigest => {
                let packed = inputs.operand_packed[row] || inputs.instance_packed[row];
                let single = inputs.operand_single[row] || inputs.instance_single[row];
                packed.then_some(a.operand_lanes - 1).or(single.then_some(0))
            }
            Accumulator::Result => {
                let epsilon = (inputs.epsilon[row] != 0).then_some(0);
                kind.and_then(|kind| result(kind).into_iter().map(|(_, r, ..)| r).max()).max(epsilon)
            }
            Accumulator::ResultDigest => kind.and_then(|kind| digest_lanes(kind).checked_sub(1)),
            Accumulator::Auxiliary => kind.and_then(|kind| copies(kind).into_iter().map(|(.., lanes)| lanes - 1).max()),
            Accumulator::CrossTerms => {
                (0..a.cross_term_lanes).find(|lane| inputs.free[*lane][row]).map(|lane| a.cross_term_lanes - 1 - lane)
            }
            Accumulator::ResultTotal => self.degrees[Accumulator::Result.number()][row].filter(|_| inputs.take[row]),
            Accumulator::CrossTermsTotal => {
                self.degrees[Accumulator::CrossTerms.number()][row].filter(|_| inputs.free_take[row])
            }
        }
    }
}

impl Walker {
    const fn step(&mut self, power: Power) {
        match power.variable {
            Variable::S => self.s += power.exponent,
            Variable::R => self.r += power.exponent,
        }
    }
}

/// Readings on one chain, by their powers less what all of them have gone back.
#[derive(Default)]
struct Walkers {
    gone: Walker,
    coefficients: BTreeMap<(usize, usize), i64>,
}

impl Walkers {
    /// Adds a reading; those that have come to the same power add up, and end where they cancel.
    fn join(&mut self, walker: Walker) -> Check {
        // Wrapping: a reading that joins late may have a smaller power than the others have gone.
        let key = (walker.s.wrapping_sub(self.gone.s), walker.r.wrapping_sub(self.gone.r));
        let sum = self.coefficients.get(&key).copied().unwrap_or(0).checked_add(walker.coefficient);
        match sum {
            // In the field a sum that wraps is not what it wraps to.
            None => return refuse("coefficients that add up to more than a number holds"),
            Some(0) => self.coefficients.remove(&key),
            Some(sum) => self.coefficients.insert(key, sum),
        };
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = Walker> {
        self.coefficients.iter().map(|((s, r), coefficient)| Walker {
            s: s.wrapping_add(self.gone.s),
            r: r.wrapping_add(self.gone.r),
            coefficient: *coefficient,
        })
    }
}

/// What a row of a kind adds to the Result accumulator: powers of `s` and `r`, symbol, coefficient.
fn result(kind: RowKind) -> Vec<(usize, usize, Symbol, i64)> {
    match kind {
        RowKind::Requantise(kind::Requantise { lanes, spacing, .. }) => (0..lanes)
            .map(|lane| {
                let mut walker = Walker { s: 0, r: 0, coefficient: 1 };
                (lane + 1..lanes).for_each(|_| walker.step(spacing));
                (walker.s, walker.r, Symbol::Slot(lane), 1)
            })
            .collect(),
        RowKind::MaximumOfWindow(kind::MaximumOfWindow { height, width, vertical, horizontal }) => (0..height * width)
            .map(|slot| {
                let (i, j) = (slot / width, slot % width);
                (0, (height - 1 - i) * vertical + (width - 1 - j) * horizontal, Symbol::Slot(slot), 1)
            })
            .collect(),
        RowKind::Raw => vec![(0, 0, Symbol::Slot(0), 1)],
        RowKind::Exponential(kind::Exponential { lanes }) => (0..lanes)
            .flat_map(|lane| {
                let e = lanes - 1 - lane;
                [(0, e, Symbol::Activated(lane), 1), (1, e, Symbol::Mark(lane), 1)]
            })
            .collect(),
        RowKind::OneHot(kind::OneHot { lanes, less }) => (0..lanes)
            .flat_map(|lane| {
                let e = lanes - 1 - lane;
                let one = (less != 0).then_some((0, e, Symbol::One, -less));
                [(0, e, Symbol::Activated(lane), 1)].into_iter().chain(one)
            })
            .collect(),
        RowKind::Reciprocal(_) => vec![(0, 0, Symbol::Copy(0, 0), 1), (1, 0, Symbol::One, 1)],
        RowKind::Normalise(kind::Normalise { lanes, len, centred, .. }) => (0..lanes)
            .flat_map(|lane| {
                let e = lanes - 1 - lane;
                let sum = centred.then_some((0, e, Symbol::Copy(0, lane), 1));
                sum.into_iter().chain([(1, e, Symbol::Square(0, lane), len as i64)])
            })
            .collect(),
        RowKind::InverseRoot(_) => {
            vec![(0, 0, Symbol::Copy(1, 0), 1), (1, 0, Symbol::Copy(0, 0), 1), (1, 0, Symbol::Square(1, 0), 1)]
        }
        RowKind::Multiply(_)
        | RowKind::GatheredMaximum(_)
        | RowKind::GatheredSum
        | RowKind::Copies(_)
        | RowKind::Index
        | RowKind::Candidate(_)
        | RowKind::Entry(_) => Vec::new(),
    }
}

/// Results of a row of a kind that enter the digest of what the row computes.
pub(super) const fn digest_lanes(kind: RowKind) -> usize {
    match kind {
        RowKind::Requantise(kind::Requantise { lanes, .. })
        | RowKind::Multiply(kind::Multiply { lanes, .. })
        | RowKind::Exponential(kind::Exponential { lanes })
        | RowKind::Normalise(kind::Normalise { lanes, .. })
        | RowKind::Copies(kind::Copies { lanes })
        | RowKind::Entry(kind::Entry { lanes })
        | RowKind::OneHot(kind::OneHot { lanes, .. }) => lanes,
        RowKind::MaximumOfWindow(_) | RowKind::GatheredMaximum(_) | RowKind::GatheredSum | RowKind::Index => 1,
        RowKind::Raw | RowKind::Candidate(_) | RowKind::Reciprocal(_) | RowKind::InverseRoot(_) => 0,
    }
}

/// Copies of a row of a kind that enter the digest of copies: group, power of `s`, lanes.
fn copies(kind: RowKind) -> Vec<(usize, usize, usize)> {
    match kind {
        RowKind::Multiply(kind::Multiply { lanes, .. }) | RowKind::Exponential(kind::Exponential { lanes }) => {
            vec![(0, 0, lanes), (1, 1, lanes)]
        }
        RowKind::Normalise(kind::Normalise { lanes, .. }) => vec![(0, 0, lanes), (1, 1, lanes), (2, 2, lanes)],
        RowKind::Reciprocal(_) => vec![(1, 1, 1), (2, 3, 1)],
        RowKind::InverseRoot(_) => vec![(1, 1, 1), (2, 2, 1)],
        RowKind::Requantise(_)
        | RowKind::MaximumOfWindow(_)
        | RowKind::Raw
        | RowKind::GatheredMaximum(_)
        | RowKind::GatheredSum
        | RowKind::Copies(_)
        | RowKind::Index
        | RowKind::Candidate(_)
        | RowKind::Entry(_)
        | RowKind::OneHot(_) => Vec::new(),
    }
}
