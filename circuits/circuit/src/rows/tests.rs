//! What each kind's facts say is what its formulas read.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Add, Mul, Sub};

use super::{Copied, Degree, Pinned, fit, lines};
use crate::system::formulas::{Cell, RequantiseCells};
use crate::system::kind::{
    Candidate, Copies, Entry, Exponential, GatheredMaximum, InverseRoot, MaximumOfWindow, Multiply, Normalise, OneHot,
    Reciprocal, Requantise,
};
use crate::system::{Architecture, FixedRole, Lines, Power, Ring, RowKind};

/// The greatest exponents of a polynomial in the challenges; cells are constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exponents(Degree);

impl Add for Exponents {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

impl Sub for Exponents {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

impl Mul for Exponents {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(self.0.plus(other.0))
    }
}

impl Cell for Exponents {
    fn integer(_: i64) -> Self {
        Self(Degree::default())
    }
}

fn ring() -> Ring<Exponents> {
    Ring { one: Exponents(Degree::default()), s: Exponents(Degree { s: 1, r: 0 }), r: Exponents(Degree { s: 0, r: 1 }) }
}

/// A row of each kind, in forms that differ.
fn kinds() -> Vec<RowKind> {
    vec![
        RowKind::Requantise(Requantise { lanes: 3, spacing: Power::r(2), limbs: 1 }),
        RowKind::Requantise(Requantise { lanes: 4, spacing: Power::s(1), limbs: 2 }),
        RowKind::Multiply(Multiply { lanes: 4, limbs: 2, multiplier: 3 }),
        RowKind::Exponential(Exponential { lanes: 3 }),
        RowKind::Reciprocal(Reciprocal { bits: 20, limbs: [3, 2] }),
        RowKind::Normalise(Normalise { lanes: 2, limbs: 2, multiplier: 1, len: 5, centred: true }),
        RowKind::Normalise(Normalise { lanes: 4, limbs: 1, multiplier: 1, len: 5, centred: false }),
        RowKind::InverseRoot(InverseRoot { bits: 15, limbs: [2, 4] }),
        RowKind::MaximumOfWindow(MaximumOfWindow { height: 2, width: 3, vertical: 7, horizontal: 2 }),
        RowKind::Raw,
        RowKind::GatheredMaximum(GatheredMaximum { window: 4 }),
        RowKind::GatheredSum,
        RowKind::Copies(Copies { lanes: 4 }),
        RowKind::Index,
        RowKind::Candidate(Candidate { count: 9, last: true }),
        RowKind::Entry(Entry { lanes: 3 }),
        RowKind::OneHot(OneHot { lanes: 4, less: 0 }),
        RowKind::OneHot(OneHot { lanes: 2, less: 16 }),
    ]
}

/// An architecture that has what all kinds need, and not a cell more for this one.
fn architecture(kind: RowKind) -> Architecture {
    architecture_of(kind, false)
}

/// The same, in which longer remainders may take the cells of several lanes.
fn architecture_of(kind: RowKind, shared: bool) -> Architecture {
    let facts = kind.facts();
    let mut a = Architecture {
        shift: 8,
        limb_bits: 4,
        operand_lanes: 1,
        activation_lanes: facts.lanes.unwrap_or(1),
        looked_up_lanes: if facts.pinned == Pinned::Table { facts.lanes.unwrap_or(0) } else { 0 },
        clamps: true,
        remainder_cells: if shared { 2 } else { 2 * facts.shifts },
        auxiliary_groups: facts.auxiliary,
        inverse_roots: true,
        excess_limbs: 2,
        spread_limbs: 2,
        gather_columns: match facts.copies {
            Copied::First(count) => count,
            Copied::All => 5,
        },
        gather_by_index: true,
        slots: 1,
        raw_output: true,
        lookup_group: 2,
        weight_columns: 1,
        ..Architecture::default()
    };
    let lanes = a.remainder_lanes(facts.shifts);
    assert_eq!(lanes, if shared { facts.shifts } else { 1 });
    a.range_columns = facts.range_cells(a.requantise_columns(), a.spread_limbs, lanes).unwrap();
    a.product_columns = kind.attained().map_or(0, |size| super::partial_products(&a, size));
    a
}

#[test]
fn degrees_are_those_of_the_formulas() {
    for kind in kinds() {
        let a = architecture(kind);
        let facts = kind.facts();
        let cell = || Exponents(Degree::default());
        let result = kind.result(&a, &ring(), &mut |_| cell(), cell);
        assert_eq!(result.map(|exponents| exponents.0), facts.result_degree, "{kind:?}");
        let auxiliary = kind.auxiliary(&a, &ring(), &mut |_| cell());
        let degree = Degree { s: facts.auxiliary_power, r: facts.lanes.unwrap_or(1) - 1 };
        assert_eq!(auxiliary.map(|exponents| exponents.0), (facts.auxiliary > 0).then_some(degree), "{kind:?}");
    }
}

/// The columns that a kind's formulas read.
fn read_by(kind: RowKind, a: &Architecture) -> BTreeSet<usize> {
    let read = RefCell::new(BTreeSet::new());
    let mut advice = |column: usize| {
        read.borrow_mut().insert(column);
        Exponents(Degree::default())
    };
    let raw = || Exponents(Degree::default());
    let _ = (kind.result(a, &ring(), &mut advice, raw), kind.auxiliary(a, &ring(), &mut advice));
    for slot in 0..kind.facts().differences {
        kind.spread(a, slot, &mut advice);
    }
    read.into_inner()
}

#[test]
fn formulas_read_the_cells_that_the_facts_count_and_no_others() {
    for kind in kinds() {
        let a = architecture(kind);
        let read = read_by(kind, &a);
        let facts = kind.facts();
        let in_result = facts.result_degree;
        let range = a.range(0)..a.range(a.range_columns);
        let columns = a.activated(0)..a.copy(a.gather_columns);
        assert!(read.iter().all(|column| columns.contains(column)), "{kind:?} reads {read:?} of {columns:?}");
        // Quotients and gathered sums are read by gates alone.
        let in_formulas = facts.requantised > 0 && in_result.is_some() || facts.differences > 0;
        let missing: Vec<usize> = range.filter(|column| in_formulas && !read.contains(column)).collect();
        let by_gates = matches!(kind, RowKind::Multiply(_) | RowKind::Normalise(_) | RowKind::GatheredSum);
        assert!(missing.is_empty() || by_gates, "{kind:?} never reads {missing:?}");
    }
}

#[test]
fn a_remainder_that_takes_the_cells_of_several_lanes_shares_none_of_them() {
    for kind in kinds() {
        let (own, shared) = (architecture(kind), architecture_of(kind, true));
        let [alone, together] = [&own, &shared].map(|a| {
            let range = a.range(0)..a.range(a.range_columns);
            read_by(kind, a).into_iter().filter(|column| range.contains(column)).count()
        });
        assert_eq!(alone, together, "{kind:?}");
        // Limbs, and the cell behind a short one, of all lanes: each in a cell of its own.
        let (facts, short) = (kind.facts(), Architecture { limb_bits: 5, remainder_cells: 3, ..shared });
        let limbs = short.limbs(short.remainder_bits(facts.shifts));
        let cells = (0..facts.requantised).flat_map(|lane| {
            let remainder = (0..=limbs).map(move |i| (lane, i));
            remainder.map(|(lane, i)| RequantiseCells::remainder(&short, lane, facts.shifts, i))
        });
        let excess = (0..facts.requantised).map(|lane| RequantiseCells::of(&short, lane).excess);
        let all: Vec<usize> = cells.chain(excess).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{kind:?}");
    }
}

#[test]
fn a_row_fits_what_it_needs_and_nothing_less() {
    type Change = (&'static str, fn(&mut Architecture));
    let less: [Change; 7] = [
        ("range cells", |a| a.range_columns -= 1),
        ("activation lanes", |a| a.activation_lanes -= 1),
        ("auxiliary operands", |a| a.auxiliary_groups -= 1),
        ("copies", |a| a.gather_columns -= 1),
        ("partial products", |a| a.product_columns -= 1),
        ("remainder cells", |a| a.remainder_cells -= 1),
        ("lanes that are looked up", |a| a.looked_up_lanes -= 1),
    ];
    for kind in kinds() {
        let a = architecture(kind);
        let facts = kind.facts();
        assert!(fit::has_cells_of(&a, kind), "{kind:?}");
        let needs = [
            a.range_columns > 0,
            facts.lanes.is_some_and(|lanes| lanes > 0),
            facts.auxiliary > 0,
            matches!(facts.copies, Copied::First(count) if count > 0),
            a.product_columns > 0,
            facts.requantised > 0,
            a.looked_up_lanes > 0,
        ];
        for ((what, change), _) in less.iter().zip(needs).filter(|(_, needed)| *needed) {
            let mut poorer = a.clone();
            change(&mut poorer);
            assert!(!fit::has_cells_of(&poorer, kind), "{kind:?} without enough {what}");
        }
    }
}

#[test]
fn numbers_of_hostile_keys_neither_overflow_nor_fit() {
    let huge = usize::MAX;
    let hostile = [
        RowKind::Requantise(Requantise { lanes: huge, spacing: Power::r(huge), limbs: u32::MAX }),
        RowKind::Requantise(Requantise { lanes: 0, spacing: Power::r(1), limbs: 1 }),
        RowKind::Multiply(Multiply { lanes: huge, limbs: 1, multiplier: i64::MIN }),
        RowKind::Exponential(Exponential { lanes: 0 }),
        RowKind::Reciprocal(Reciprocal { bits: u32::MAX, limbs: [huge, huge] }),
        RowKind::Reciprocal(Reciprocal { bits: 41, limbs: [1, 1] }),
        RowKind::Normalise(Normalise { lanes: huge, limbs: 1, multiplier: 1, len: huge, centred: true }),
        RowKind::InverseRoot(InverseRoot { bits: 41, limbs: [0, huge] }),
        RowKind::MaximumOfWindow(MaximumOfWindow { height: huge, width: huge, vertical: huge, horizontal: huge }),
        RowKind::MaximumOfWindow(MaximumOfWindow { height: 1, width: 1, vertical: 1, horizontal: 1 }),
        RowKind::GatheredMaximum(GatheredMaximum { window: 0 }),
        RowKind::GatheredMaximum(GatheredMaximum { window: huge }),
        RowKind::Copies(Copies { lanes: 0 }),
    ];
    for spread_limbs in [0, 1, 2] {
        let rich = Architecture {
            activation_lanes: 8,
            auxiliary_groups: 3,
            range_columns: 64,
            product_columns: 8,
            gather_columns: 8,
            spread_limbs,
            ..architecture(RowKind::GatheredSum)
        };
        for kind in hostile {
            assert!(!fit::has_cells_of(&rich, kind), "{kind:?}");
        }
    }
}

#[test]
fn hostile_lines_neither_overflow_nor_fit_and_few_fit_at_all() {
    let a = Architecture {
        clamps: true,
        activation_lanes: 256,
        looked_up_lanes: 256,
        range_columns: 512,
        table_lanes: 1,
        ..architecture(RowKind::GatheredSum)
    };
    let own = Lines { lanes: 2, places: 3, exponentials: false, shifts: 1, segments: 10, low: 3, scale: 5, bits: 4 };
    assert!(lines::has_cells(&a, &own), "{a:?}");
    let huge = usize::MAX;
    for hostile in [
        Lines { lanes: 0, ..own },
        Lines { lanes: 4, ..own },
        Lines { lanes: huge, places: huge, ..own },
        Lines { places: huge, ..own },
        Lines { shifts: 0, ..own },
        Lines { shifts: huge, ..own },
        Lines { segments: 0, ..own },
        Lines { segments: huge, ..own },
        Lines { low: 0, ..own },
        Lines { low: u32::MAX, ..own },
        Lines { scale: 0, ..own },
        Lines { scale: 21, ..own },
        Lines { bits: 41, ..own },
    ] {
        assert!(!lines::has_cells(&a, &hostile), "{hostile:?}");
    }
    for poorer in [
        Architecture { clamps: false, ..a.clone() },
        Architecture { looked_up_lanes: 4, ..a.clone() },
        Architecture { excess_limbs: 0, ..a.clone() },
        Architecture { range_columns: 2, ..a.clone() },
    ] {
        assert!(!lines::has_cells(&poorer, &own), "{poorer:?}");
    }
    // Each column has gates of its own: a key with very many is refused before they are made.
    let many = |count: usize| {
        let of = |segments: usize| FixedRole::Lines(Lines { lanes: 32, places: 32, segments, ..own });
        Architecture { fixed: (1..=count).map(of).collect(), ..a.clone() }.check()
    };
    assert_eq!((many(8), many(2000).is_err()), (Ok(()), true));
}
