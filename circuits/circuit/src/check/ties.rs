//! Identities of digests: power by power, one copy equals one element.
//!
//! The identity is a polynomial in `s` and `r` that vanishes at a random point, so each of its coefficients vanishes.
//! Where a coefficient holds one cell of which nothing is known, with a factor of ±1, beside cells that are known, it
//! says what that cell equals.

use super::cells::{Cells, Column, Columns};
use super::polynomial::{Identity, Item, Symbol};
use super::values::Value;
use super::{Check, Reading, refuse, require};
use crate::system::Architecture;

/// The cell that an item speaks of; none where it is no cell of an activation.
pub(super) fn column(a: &Architecture, symbol: Symbol) -> Option<Column> {
    let columns = Columns(a);
    match symbol {
        Symbol::Operand(lane) => Some(columns.operand(lane)),
        Symbol::Left(lane) => Some(columns.left(lane)),
        Symbol::Instance(column) => Some(columns.instance(column)),
        Symbol::Activated(lane) => Some(columns.activated(lane)),
        Symbol::Copy(group, lane) => Some(columns.factor(group, lane)),
        Symbol::Committed(column) => Some(columns.committed(column)),
        Symbol::Hashed => Some(columns.hashed()),
        Symbol::Square(..) | Symbol::Mark(_) | Symbol::Slot(_) | Symbol::Free(_) | Symbol::Weight(_) | Symbol::One => {
            None
        }
    }
}

/// Learns what the copies of an identity equal; returns their number.
pub(super) fn check(reading: &Reading<'_>, identity: &Identity, cells: &mut Cells) -> Check<usize> {
    let mut items: Vec<&Item> = identity.items.iter().collect();
    // Stable: the items of one accumulator are in order already.
    items.sort_by_key(|item| (item.s, item.r));
    let (mut learned, mut known) = (0, Vec::new());
    for coefficient in items.chunk_by(|a, b| (a.s, a.r) == (b.s, b.r)) {
        known.clear();
        learned += usize::from(tie(reading, coefficient, cells, &mut known).map_err(|mut error| {
            let Item { s, r, .. } = coefficient[0];
            error.reason = format!("identity {}, at s^{s}·r^{r}: {}", identity.number, error.reason);
            error
        })?);
    }
    Ok(learned)
}

/// One coefficient; tells whether a cell was learned. `known` is an empty buffer for what is known of it.
fn tie(reading: &Reading<'_>, items: &[&Item], cells: &mut Cells, known: &mut Vec<(Value, i128)>) -> Check<bool> {
    let mut unknown = None;
    for item in items {
        let Some(column) = column(&reading.layout.architecture, item.symbol) else {
            return refuse("no cell of a digest");
        };
        match cells.get(column, item.row) {
            Value::UNKNOWN => {
                require(unknown.replace((column, item)).is_none(), || "two free cells in a digest".into())?
            }
            Value::ZERO => {}
            value => match known.iter_mut().find(|(other, _)| *other == value) {
                Some((_, sum)) => *sum += i128::from(item.coefficient),
                None => known.push((value, item.coefficient.into())),
            },
        }
    }
    known.retain(|(_, sum)| *sum != 0);
    match (unknown, &known[..]) {
        (None, []) => Ok(false),
        (Some((column, item)), []) => {
            // A multiple of a cell is 0 in a field only if the cell is, and no coefficient is a multiple of p.
            require(item.coefficient != 0, || "a free cell that cancels".into())?;
            cells.set(column, item.row, Value::ZERO).map(|()| true)
        }
        (Some((column, item)), [(value, sum)]) if *sum == -i128::from(item.coefficient) => {
            cells.set(column, item.row, *value).map(|()| true)
        }
        _ => refuse("not one copy of one element"),
    }
}
