//! Results that are clamped to a range of `2^w` values without a table, and remainders of exactly so many bits
//! (`docs/protocol.md`, section 6).
//!
//! The quotient of a row is `y + c·z` ([`requantised`](crate::system::formulas::requantised)), with `z >= 0` in limbs.
//! For a range from `l` on, whose greatest value is `h = l + 2^w - 1`, and `z_low` the limbs of its low `w` bits:
//!
//! ```text
//! c·(1 - c²) = 0          c·(c + 1)·(y - h) = 0     c·(c - 1)·(y - l) = 0
//! (1 - c²)·(y - l - z) = 0       (1 - c²)·Σ z_above = 0
//! ```
//!
//! For `c = 0` the quotient is `y`, and `y - l = z = z_low` is in `[0, 2^w)`; for `c = 1` it is `h + z >= h` and `y = h`;
//! for `c = -1` it is `l - z <= l` and `y = l`. So `y` is the quotient clamped to the range, whichever `c` the prover
//! says. Where nothing is requantised, `y` is in the range for every `c`.
//!
//! A limb that is the highest of a number of exactly so many bits may have fewer bits than `t`: it is looked up, and so
//! is its product with `2^missing`, in another range cell. Both are below `2^t`, so the limb is below `2^(t - missing)`.
//!
//! All are integers: `z` and `Σ z_above`, in limbs, are below `2^250` (the check of the layout), and the range has at most
//! 29 bits (graph validation), so `y` is below `2^250 + 2^29`, far below p/2.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use crate::system::formulas::{RequantiseCells, limbs, short_remainder};
use crate::system::{Architecture, Clamp, FixedRole, NetworkConfig, RowCells, RowKind, constant, total};

/// Creates the gates of clamped lanes and of short remainders; `kinds` are the circuit's kinds with the indices of their
/// selectors.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig, kinds: &[(usize, RowKind)]) {
    let a = &config.architecture;
    let clamps = || a.fixed.iter().enumerate().filter_map(|(i, role)| clamp_of(role).map(|clamp| (i, clamp)));
    let mut widths: Vec<u32> = clamps().map(|(_, clamp)| clamp.bits).collect();
    widths.sort_unstable();
    widths.dedup();
    for bits in widths {
        for lane in 0..a.activation_lanes {
            let of = clamps().filter(|(_, clamp)| clamp.bits == bits && lane < clamp.lanes);
            let selectors: Vec<usize> = of.map(|(index, _)| index).collect();
            if !selectors.is_empty() {
                meta.create_gate("clamp", |cells| clamp(&mut RowCells::new(cells, config), &selectors, lane, bits));
            }
        }
    }
    let mut shifts: Vec<usize> = kinds.iter().map(|(_, kind)| kind.facts().shifts).collect();
    shifts.sort_unstable();
    shifts.dedup();
    for shifts in shifts.into_iter().filter(|shifts| a.missing_bits(a.remainder_bits(*shifts)) > 0) {
        for lane in 0..a.activation_lanes {
            let has = |kind: &RowKind| kind.facts().shifts == shifts && lane < kind.facts().requantised;
            let selectors: Vec<usize> = kinds.iter().filter(|(_, kind)| has(kind)).map(|(index, _)| *index).collect();
            if !selectors.is_empty() {
                meta.create_gate("short remainder", |cells| {
                    let mut row = RowCells::new(cells, config);
                    let short = short_remainder(a, lane, shifts, &mut |column| row.advice(column));
                    short.map(|short| selected(&mut row, &selectors) * short).into_iter().collect::<Vec<_>>()
                });
            }
        }
    }
}

fn clamp_of(role: &FixedRole) -> Option<Clamp> {
    if let FixedRole::Clamp(clamp) = role { Some(*clamp) } else { None }
}

/// 1 on the rows of these selectors, of which one at most is 1.
fn selected(row: &mut RowCells<'_, '_>, selectors: &[usize]) -> Expression<Fr> {
    total(selectors.iter().map(|index| row.fixed_at(*index)).collect::<Vec<_>>())
}

fn clamp(row: &mut RowCells<'_, '_>, selectors: &[usize], lane: usize, bits: u32) -> Vec<Expression<Fr>> {
    let a = row.architecture();
    let selector = selected(row, selectors);
    let (y, c) = (row.advice(a.activated(lane)), row.advice(a.saturation(lane)));
    let least = row.role(&FixedRole::ClampLeast).unwrap_or(constant(0));
    let greatest = least.clone() + constant((1 << bits) - 1);
    let cells = RequantiseCells::of(a, lane);
    let (all, low) = (a.excess_limbs, a.limbs(bits));
    let distance = limbs(a, cells.excess, all, &mut |column| row.advice(column));
    let above: Vec<_> = (low..all).map(|i| row.advice(a.range(cells.excess + i))).collect();
    let inside = constant(1) - c.clone() * c.clone();
    let mut gates = vec![
        c.clone() * inside.clone(),
        c.clone() * (c.clone() + constant(1)) * (y.clone() - greatest),
        c.clone() * (c - constant(1)) * (y.clone() - least.clone()),
        inside.clone() * (y.clone() - least - distance),
    ];
    if !above.is_empty() {
        gates.push(inside.clone() * total(above));
    }
    if a.missing_bits(bits) > 0 {
        let highest = row.advice(a.range(cells.excess + low - 1));
        gates.push(inside * (highest * constant(1 << a.missing_bits(bits)) - row.advice(a.range(cells.short))));
    }
    if a.rounded(lane) != a.activated(lane) {
        gates.push(row.advice(a.rounded(lane)) - y);
    }
    gates.into_iter().map(|gate| selector.clone() * gate).collect()
}

/// Whether the cells that a clamp's gates read exist.
pub(super) fn has_cells(a: &Architecture, Clamp { lanes, bits }: Clamp) -> bool {
    a.clamps
        && (1..=a.activation_lanes).contains(&lanes)
        && (1..=MAX_BITS).contains(&bits)
        && a.limbs(bits) <= a.excess_limbs
        && (a.missing_bits(bits) == 0 || a.short_excess)
        && lanes.checked_mul(a.requantise_columns()).is_some_and(|cells| cells <= a.range_columns)
}

/// Most bits of a range: a power of two of so many is an integer of 64 bits.
const MAX_BITS: u32 = 40;
