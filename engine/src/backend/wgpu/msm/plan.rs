//! How digits map to levels of the table and sets of buckets, and how many rows are worked on at a time.

use crate::backend::gpu::pippenger::Decomposition;

/// Bytes of a point of a table, and of a sum.
pub(super) const AFFINE_BYTES: u64 = 64;
pub(super) const POINT_BYTES: u64 = 128;
/// Windows of rows begin at multiples of this, which is 256 bytes of scalars.
const ROWS_ALIGNMENT: usize = 8;
/// Fewest entries of a full chunk.
pub(super) const MIN_CHUNK: usize = 8;
/// Additions that a device does side by side in the time that one takes it alone: the price of a doubling that waits
/// for another.
const SERIAL: usize = 20_000;

/// Windows of digits that are considered: a kernel sees the sums of a set's buckets.
const WIDTHS: std::ops::RangeInclusive<usize> = 4..=16;

/// How digits map to sets of buckets, and rows of a part.
///
/// A table is laid out part by part, and level by level in a part, so that a kernel sees all levels of a part at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) decomposition: Decomposition,
    /// Rows of all parts but the last.
    pub(super) part: usize,
}

impl Plan {
    /// The cheapest plan for full-size scalars, with at most `spare` points of table beyond the bases themselves, where
    /// a kernel sees `binding_bytes` of a buffer.
    pub(super) fn choose(points: usize, spare: usize, binding_bytes: u64) -> Self {
        let narrowest = *WIDTHS.start();
        let widths = WIDTHS.filter(|bits| *bits == narrowest || POINT_BYTES << bits <= binding_bytes);
        let plans = widths.flat_map(Decomposition::of_width).map(|decomposition| {
            let rows = usize::try_from(binding_bytes / AFFINE_BYTES).unwrap_or(usize::MAX).min(1 << 30)
                / decomposition.levels();
            Plan { decomposition, part: (rows - rows % ROWS_ALIGNMENT).max(ROWS_ALIGNMENT) }
        });
        let fits = |plan: &Plan| (plan.decomposition.levels() - 1).saturating_mul(points) <= spare;
        let smallest = Plan { decomposition: Decomposition::without_table(narrowest), part: ROWS_ALIGNMENT };
        plans.filter(fits).min_by_key(|plan| plan.cost(points)).unwrap_or(smallest)
    }

    /// In affine additions: one for each digit, three for each bucket of each part, and the doublings in the end.
    fn cost(&self, points: usize) -> usize {
        let Decomposition { bits, sets } = self.decomposition;
        let parts = points.div_ceil(self.part);
        points * self.decomposition.windows()
            + 3 * parts * sets * self.decomposition.buckets()
            + SERIAL * (sets - 1) * bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_every_plan_fits_what_a_kernel_sees() {
        for binding_bytes in [64 << 10, 1 << 20, 128 << 20, 1 << 32] {
            for points in [1, 100, 1 << 12, 1 << 20, 1 << 24] {
                for spare in [0, points, 40 * points] {
                    let plan = Plan::choose(points, spare, binding_bytes);
                    let entries = plan.part * plan.decomposition.levels();
                    assert!(entries as u64 * AFFINE_BYTES <= binding_bytes, "{plan:?}");
                    assert!(
                        plan.decomposition.chunks(entries, MIN_CHUNK) as u64 * POINT_BYTES <= binding_bytes,
                        "{plan:?}"
                    );
                    assert!((plan.decomposition.levels() - 1) * points <= spare, "{plan:?}");
                    assert_eq!(plan.part % ROWS_ALIGNMENT, 0);
                }
            }
        }
    }
}
