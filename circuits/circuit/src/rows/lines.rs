//! Functions by straight lines, without a table as long as their arguments (`docs/protocol.md`, section 6).
//!
//! The quotient of a row is `q + c·u` ([`requantised`](crate::system::formulas::requantised)), with `u >= 0` in limbs. On
//! segments of `2^l` arguments from the least one `b` on, to the greatest one `e`, a lookup gives the line `(h, A, B)` of
//! segment `h`. For `m` and `ρ` in limbs of exactly `l` and `p` bits, and results from `-2^w` to `2^w - 1`:
//!
//! ```text
//! c·(1 - c²) = 0          c·(c + 1)·(q - e) = 0          c·(c - 1)·(q - b) = 0
//! q - b = 2^l·h + m       A + B·m = 2^p·y + ρ            (1 - c²)·(y + 2^w - u) = 0          c·(ρ - 2^(p-1)) = 0
//! ```
//!
//! The table has every `h` once, so `q` is an integer from `b` to `e`, and its segment and `m` follow from it. As for a
//! clamp, it is the quotient clamped to them, whichever `c` the prover says. For `c = 0` the limbs of `u` hold `y + 2^w`:
//! so `y` is an integer, and `ρ` and `y` are remainder and quotient of `A + B·m` by `2^p`. For `c = ±1` the limbs of `u`
//! are the excess; then `h` is the first or the last segment, whose line is `A = 2^p·f + 2^(p-1)`, `B = 0` (the check of the
//! layout makes sure of it), and `ρ = 2^(p-1)` leaves `y = f`.
//!
//! Exponentials of distances have no quotient: their argument is `max - x`, from 0 on, or that of masked members, which has
//! a segment of its own (`rows/exponential.rs`). No distance reaches that one: the maximum is attained, so distances are
//! those of two elements, whose number is that of the results, and all segments end before it (the check of the layout).
//! Their `c` is a mark, `c·(c - 1) = 0` and `c·q = 0`, and `y - u = 0`.
//!
//! All are integers: `|A + B·m| < 2^61` (graph validation) and `|2^p·y + ρ| < 2^p·(u + 2^w + 1)`, which the check of the
//! layout keeps below `2^250`, far below p/2.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use crate::system::formulas::{LineCells, RequantiseCells, limbs, limbs_at};
use crate::system::{Architecture, FixedRole, Lines, NetworkConfig, RowCells, constant, total};

/// Most bits of an argument in its segment, and of a slope's fraction.
const MAX_BITS: u32 = 20;
/// Most segments, as their logarithm.
const MAX_SEGMENT_BITS: u32 = 20;
/// Most bits of a result.
const MAX_RESULT_BITS: u32 = 40;

/// Creates the gates of functions by lines.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) {
    let all: Vec<(usize, Lines)> = config.architecture.lines().collect();
    let alike = |of: &Lines| Lines { lanes: 0, ..*of };
    let mut sorts: Vec<Lines> = all.iter().map(|(_, of)| alike(of)).collect();
    sorts.sort_unstable();
    sorts.dedup();
    for sort in sorts {
        for lane in 0..sort.places {
            let of = all.iter().filter(|(_, of)| alike(of) == sort && lane < of.lanes);
            let selectors: Vec<usize> = of.map(|(index, _)| *index).collect();
            if !selectors.is_empty() {
                meta.create_gate("function by lines", |cells| {
                    gates(&mut RowCells::new(cells, config), &selectors, lane, &sort)
                });
            }
        }
    }
}

fn gates(row: &mut RowCells<'_, '_>, selectors: &[usize], lane: usize, of: &Lines) -> Vec<Expression<Fr>> {
    let a = row.architecture();
    // Of these selectors one at most is 1.
    let selector = total(selectors.iter().map(|index| row.fixed_at(*index)).collect::<Vec<_>>());
    let cells = LineCells::new(a, of, lane);
    let [q, y, c] = [a.rounded(lane), a.activated(lane), a.saturation(lane)].map(|column| row.advice(column));
    let line = [a.rounded(cells.line), a.activated(cells.line), a.saturation(cells.line)];
    let [number, intercept, slope] = line.map(|column| row.advice(column));
    let least = row.role(&FixedRole::ClampLeast).unwrap_or(constant(0));
    let greatest = least.clone() + constant(((of.segments as i64) << of.low) - 1);
    let first = RequantiseCells::of(a, lane).excess;
    let excess = limbs(a, first, a.excess_limbs, &mut |column| row.advice(column));
    let exact: [(u32, &dyn Fn(usize) -> usize); 2] = [(of.low, &|i| cells.inside(i)), (of.scale, &|i| cells.rest(i))];
    let [inside, rest] =
        exact.map(|(bits, cell)| limbs_at(a, (0..a.limbs(bits)).map(cell), &mut |column| row.advice(column)));
    let mut gates = vec![
        q.clone() - least.clone() - number * constant(1 << of.low) - inside.clone(),
        intercept + slope * inside - y.clone() * constant(1 << of.scale) - rest.clone(),
    ];
    if of.exponentials {
        gates.extend([c.clone() * (c.clone() - constant(1)), c * q, y - excess]);
    } else {
        let free = constant(1) - c.clone() * c.clone();
        gates.extend([
            c.clone() * free.clone(),
            c.clone() * (c.clone() + constant(1)) * (q.clone() - greatest),
            c.clone() * (c.clone() - constant(1)) * (q - least),
            free * (y + constant(1 << of.bits) - excess),
            c * (rest - constant(1 << (of.scale - 1))),
        ]);
    }
    for (bits, cell) in exact.into_iter().filter(|(bits, _)| a.missing_bits(*bits) > 0) {
        let [highest, scaled] = [1, 0].map(|less| row.advice(a.range(cell(a.limbs(bits) - less))));
        gates.push(highest * constant(1 << a.missing_bits(bits)) - scaled);
    }
    gates.into_iter().map(|gate| selector.clone() * gate).collect()
}

/// Whether the cells that the gates read exist, and their numbers have room.
pub(super) fn has_cells(a: &Architecture, of: &Lines) -> bool {
    let fits = |bits: u32| (1..=MAX_BITS).contains(&bits);
    a.clamps
        && (1..=of.places).contains(&of.lanes)
        && of.places <= a.activation_lanes
        && of.places + of.lanes <= a.looked_up_lanes
        && super::fit::has_remainder(a, of.shifts)
        && (1..=1 << MAX_SEGMENT_BITS).contains(&of.segments)
        && fits(of.low)
        && fits(of.scale)
        && of.bits <= MAX_RESULT_BITS
        && a.excess_limbs > 0
        && LineCells::end(a, of).is_some_and(|end| end <= a.range_columns)
}
