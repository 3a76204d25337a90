//! The kinds of rows of the result bank, one file each: which cells a row takes, what it adds to the accumulators, its
//! gates with the integer bound that makes them sound, and its witness.
//!
//! A kind is data in [`system::kind`](crate::system::kind) and a [`Kind`] here. [`each!`] is the only list of them: a
//! kind without a gate, a witness or a bound does not compile. The argument for each kind is in `docs/protocol.md`,
//! section 6.

mod attained;
mod candidate;
mod clamp;
mod copies;
mod entry;
mod exponential;
mod fit;
mod gathered_maximum;
mod gathered_sum;
mod index;
mod inverse_root;
mod lines;
mod multiply;
mod normalise;
mod one_hot;
mod raw;
mod reciprocal;
mod requantise;
#[cfg(test)]
mod tests;
mod window_maximum;
mod witness;

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use crate::system::formulas::{Cell, limbs};
use crate::system::{Architecture, FixedRole, NetworkConfig, Ring, RowCells, RowKind};

pub(crate) use attained::{chain, partial_products};
pub(crate) use witness::{Computed, Intermediate, RowWitness};

/// What a row takes and adds, as numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// The name of its gate; none where accumulators and lookups say all.
    pub(crate) gate: Option<&'static str>,
    /// Results, which enter the output's digest; none where the row has none.
    pub(crate) lanes: Option<usize>,
    /// What makes them what they are.
    pub(crate) pinned: Pinned,
    /// Sorts of auxiliary operands: copies on the row that its results are computed from.
    pub(crate) auxiliary: usize,
    /// How many times the shift each remainder has as bits.
    pub(crate) shifts: usize,
    /// Values with cells for a remainder and an excess, which come first among the range cells.
    pub(crate) requantised: usize,
    /// Nonnegative differences in range cells, which follow.
    pub(crate) differences: usize,
    /// Whether one of the differences is zero: the maximum is attained.
    pub(crate) attained: bool,
    /// Other range cells.
    pub(crate) quotient_limbs: usize,
    /// Gathered copies.
    pub(crate) copies: Copied,
    /// Total of the exponents in its expressions.
    pub(crate) exponents: usize,
    /// Greatest exponents in what it adds to the Result accumulator; none where it adds nothing.
    pub(crate) result_degree: Option<Degree>,
    /// Greatest power of `s` by which a sort of auxiliary operands is multiplied.
    pub(crate) auxiliary_power: usize,
}

/// Greatest exponents of the challenges in a polynomial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Degree {
    pub(crate) s: usize,
    pub(crate) r: usize,
}

impl Degree {
    /// Of a sum.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { s: self.s.max(other.s), r: self.r.max(other.r) }
    }

    /// Of a product.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self { s: self.s + other.s, r: self.r + other.r }
    }
}

/// What makes the results of a row what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// The function that follows requantisation: a clamp by limbs, or a table.
    Function,
    /// A table, whatever the function.
    Table,
    /// The gates of the row, or nothing where it has no results.
    Gates,
}

/// How many gathered copies a row reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// The first so many.
    First(usize),
    /// As many as the circuit has.
    All,
}

impl Facts {
    /// Range cells, given those of a lane and of a difference, and the lanes that a remainder of this row takes; none where
    /// the numbers overflow.
    pub(crate) fn range_cells(&self, requantise: usize, spread: usize, lanes: usize) -> Option<usize> {
        let requantised = self.requantised.checked_mul(requantise)?.checked_mul(lanes)?;
        requantised.checked_add(self.differences.checked_mul(spread)?)?.checked_add(self.quotient_limbs)
    }

    /// Cells of the row that are looked up, where its results are in a table or not.
    pub(crate) fn lookups(&self, a: &Architecture, looks_up: bool) -> usize {
        let copies = match self.copies {
            Copied::First(count) => count,
            Copied::All => a.gather_columns,
        };
        let lanes = a.remainder_lanes(self.shifts);
        let range = self.range_cells(a.requantise_columns(), a.spread_limbs, lanes).unwrap_or(usize::MAX);
        let looked_up = self.lanes.filter(|_| looks_up).unwrap_or(0);
        looked_up.saturating_add(range).saturating_add(copies)
    }
}

/// What a kind of row means.
pub(crate) trait Kind {
    /// What the row takes and adds.
    fn facts(&self) -> Facts;

    /// Whether a shape from a key file has what the gates read beyond [`facts`](Self::facts), within the kind's bound.
    fn fits(&self, a: &Architecture) -> bool;

    /// What the row adds to the Result accumulator; `raw` is the raw-output instance. None where it does not enter it.
    fn result<T: Cell>(
        &self,
        a: &Architecture,
        ring: &Ring<T>,
        advice: &mut impl FnMut(usize) -> T,
        raw: impl FnOnce() -> T,
    ) -> Option<T>;

    /// What the row adds to the digest of auxiliary operands, where each sort has its own power of `s`.
    fn auxiliary<T: Cell>(&self, a: &Architecture, ring: &Ring<T>, advice: &mut impl FnMut(usize) -> T) -> Option<T>;

    /// What must be zero, times the selector of the kind's rows.
    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>>;

    /// Fills the row of the witness. Lanes of a row that looks up hold the table's first entry before.
    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>);
}

/// Evaluates an expression for the kind that a [`RowKind`] is.
macro_rules! each {
    ($kind:expr, $row:ident => $body:expr) => {
        match $kind {
            RowKind::Requantise($row) => $body,
            RowKind::Multiply($row) => $body,
            RowKind::Exponential($row) => $body,
            RowKind::Reciprocal($row) => $body,
            RowKind::Normalise($row) => $body,
            RowKind::InverseRoot($row) => $body,
            RowKind::MaximumOfWindow($row) => $body,
            RowKind::Raw => {
                let $row = raw::Raw;
                $body
            }
            RowKind::GatheredMaximum($row) => $body,
            RowKind::GatheredSum => {
                let $row = gathered_sum::GatheredSum;
                $body
            }
            RowKind::Copies($row) => $body,
            RowKind::Index => {
                let $row = index::Index;
                $body
            }
            RowKind::Candidate($row) => $body,
            RowKind::Entry($row) => $body,
            RowKind::OneHot($row) => $body,
        }
    };
}

impl RowKind {
    /// What a row of this kind takes and adds.
    pub(crate) fn facts(self) -> Facts {
        each!(self, row => row.facts())
    }

    /// Whether the row has results.
    pub fn activates(self) -> bool {
        self.facts().lanes.is_some()
    }

    /// Results of a row of this kind that enter the output's digest, as a number of activation lanes.
    pub(crate) fn digest_lanes(self) -> usize {
        self.facts().lanes.unwrap_or(0)
    }

    /// Sorts of auxiliary operands on the row.
    pub fn auxiliary_groups(self) -> usize {
        self.facts().auxiliary
    }

    /// How many times the shift the row's remainders have as bits.
    pub fn shifts(self) -> usize {
        self.facts().shifts
    }

    /// Differences of which one is zero.
    pub(crate) fn attained(self) -> Option<usize> {
        let facts = self.facts();
        facts.attained.then_some(facts.differences)
    }

    /// Difference `slot`: by how much a member is below the maximum.
    pub(crate) fn spread<T: Cell>(self, a: &Architecture, slot: usize, advice: &mut impl FnMut(usize) -> T) -> T {
        spread(&self.facts(), a, slot, advice)
    }

    /// What the row adds to the Result accumulator; see [`Kind::result`].
    pub(crate) fn result<T: Cell>(
        self,
        a: &Architecture,
        ring: &Ring<T>,
        advice: &mut impl FnMut(usize) -> T,
        raw: impl FnOnce() -> T,
    ) -> Option<T> {
        each!(self, row => row.result(a, ring, advice, raw))
    }

    /// What the row adds to the digest of auxiliary operands; see [`Kind::auxiliary`].
    pub(crate) fn auxiliary<T: Cell>(
        self,
        a: &Architecture,
        ring: &Ring<T>,
        advice: &mut impl FnMut(usize) -> T,
    ) -> Option<T> {
        each!(self, row => row.auxiliary(a, ring, advice))
    }

    /// Fills the row of the witness.
    pub(crate) fn fill(self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        each!(self, of => of.fill(row, computed));
    }

    fn gates(self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        each!(self, of => of.gates(row, selector))
    }

    fn fits(self, a: &Architecture) -> bool {
        each!(self, row => row.fits(a))
    }
}

fn spread_cell(facts: &Facts, a: &Architecture, slot: usize) -> usize {
    facts.requantised * a.remainder_lanes(facts.shifts) * a.requantise_columns() + slot * a.spread_limbs
}

fn spread<T: Cell>(facts: &Facts, a: &Architecture, slot: usize, advice: &mut impl FnMut(usize) -> T) -> T {
    limbs(a, spread_cell(facts, a, slot), a.spread_limbs, advice)
}

/// Creates the gates of all kinds: of rows with auxiliary operands, of maxima that are attained, of the others.
pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) {
    let kinds: Vec<(usize, RowKind)> = kinds(&config.architecture.fixed).collect();
    let has_operands = |(_, kind): &&(usize, RowKind)| kind.auxiliary_groups() > 0;
    kinds.iter().filter(has_operands).for_each(|(index, kind)| create_gate(meta, config, *index, *kind));
    attained::configure(meta, config, &kinds);
    clamp::configure(meta, config, &kinds);
    lines::configure(meta, config);
    kinds.iter().filter(|kind| !has_operands(kind)).for_each(|(index, kind)| create_gate(meta, config, *index, *kind));
    if config.architecture.gather_by_index {
        candidate::configure_index(meta, config);
    }
}

fn create_gate(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig, index: usize, kind: RowKind) {
    let Some(name) = kind.facts().gate else { return };
    meta.create_gate(name, |cells| {
        let mut row = RowCells::new(cells, config);
        let selector = row.fixed_at(index);
        kind.gates(&mut row, &selector)
    });
}

/// The kinds that a circuit with these roles has rows of, with the indices of their selectors.
pub(crate) fn kinds(roles: &[FixedRole]) -> impl Iterator<Item = (usize, RowKind)> {
    let roles = roles.iter().enumerate();
    roles.filter_map(|(index, role)| if let FixedRole::Kind(kind) = role { Some((index, *kind)) } else { None })
}

/// Range cells of a quotient, and of the two differences that pin it.
const fn quotient_cells([quotient, difference]: [usize; 2]) -> usize {
    difference.saturating_mul(2).saturating_add(quotient)
}
