//! How digits map to levels of the table and sets of buckets.

use crate::backend::gpu::digits::Digits;

/// Widths of windows that are considered. Wider ones have more buckets than a device sums up at no cost.
const WIDTHS: std::ops::RangeInclusive<usize> = 4..=20;
/// Parts of a set's buckets at most: `MSM_PARTS`.
const PARTS_BITS: usize = 11;
/// Points of a table at most: an entry is twice an index, plus a sign, in 32 bits.
const TABLE_POINTS: usize = 1 << 31;
/// Additions that a device does side by side in the time that one thread takes for a doubling: the price of a doubling that others wait
/// for. About 1 us, at 6·10^9 additions a second.
const SERIAL: usize = 6_000;
/// Additions that a bucket costs once its entries are summed: two in the running sums, and one where its chunk begins.
const BUCKET: usize = 3;

/// The cheapest plan for full-size scalars, with at most `spare` points of table beyond the bases themselves. A table is laid out level by
/// level.
pub(super) fn choose(points: usize, spare: usize) -> Digits {
    let fits = |plan: &Digits| {
        let table = plan.levels().saturating_mul(points);
        table.saturating_sub(points) <= spare && table < TABLE_POINTS
    };
    let plans = WIDTHS.flat_map(Digits::of_width).filter(fits);
    plans.min_by_key(|plan| cost(plan, points)).unwrap_or(Digits::without_table(*WIDTHS.start()))
}

/// Bits of a bucket's number within its part: entries are sorted by part first, and by bucket then, in steps of equal size.
pub(super) fn low_bits(plan: &Digits) -> usize {
    (plan.bucket_bits() / 2).max(plan.bucket_bits().saturating_sub(PARTS_BITS))
}

/// Parts of a set's buckets.
pub(super) fn parts(plan: &Digits) -> usize {
    1 << (plan.bucket_bits() - low_bits(plan))
}

/// In affine additions: one for each digit, some for each bucket, and the doublings in the end.
fn cost(plan: &Digits, points: usize) -> usize {
    points * plan.windows() + BUCKET * plan.sets * plan.buckets() + SERIAL * (plan.sets - 1) * plan.bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::digits::SCALAR_BITS;

    #[test]
    fn plans_keep_to_the_budget_and_to_what_kernels_take() {
        for points in [0, 1, 100, 1 << 12, 1 << 20, 1 << 26] {
            for spare in [0, points, 40 * points] {
                let plan = choose(points, spare);
                assert!((plan.levels() - 1) * points <= spare, "{plan:?}");
                assert!(plan.levels() * points < TABLE_POINTS && parts(&plan) <= 1 << PARTS_BITS, "{plan:?}");
                assert!(plan.windows() * plan.bits >= SCALAR_BITS && plan.windows() * plan.bits <= 320, "{plan:?}");
            }
        }
        assert_eq!(choose(1 << 20, usize::MAX).sets, 1);
    }
}
