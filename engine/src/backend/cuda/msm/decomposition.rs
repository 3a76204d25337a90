//! How digits map to levels of the table and sets of buckets.

use crate::backend::gpu::pippenger::Decomposition;

/// Widths of windows that are considered. Wider ones have more buckets than a device sums up at no cost.
const WIDTHS: std::ops::RangeInclusive<usize> = 4..=20;
/// Parts of a set's buckets at most: `MSM_PARTS`.
const PARTS_BITS: usize = 11;
/// Points of a table at most: an entry is twice an index, plus a sign, in 32 bits.
const TABLE_POINTS: usize = 1 << 31;
/// Additions that a device does side by side in the time that one thread takes for a doubling: the price of a doubling
/// that others wait for. About 1 us, at 6·10^9 additions a second.
const SERIAL: usize = 6_000;
/// Additions that a bucket costs once its entries are summed: two in the running sums, and one where its chunk begins.
const BUCKET: usize = 3;

/// The cheapest decomposition for full-size scalars, with at most `spare` points of table beyond the bases themselves.
/// A table is laid out level by level.
pub(super) fn choose(points: usize, spare: usize) -> Decomposition {
    let fits = |decomposition: &Decomposition| {
        let table = decomposition.levels().saturating_mul(points);
        table.saturating_sub(points) <= spare && table < TABLE_POINTS
    };
    let all = WIDTHS.flat_map(Decomposition::of_width).filter(fits);
    all.min_by_key(|decomposition| cost(decomposition, points)).unwrap_or(Decomposition::without_table(*WIDTHS.start()))
}

/// Bits of a bucket's number within its part: entries are sorted by part first, and by bucket then, in steps of equal
/// size.
pub(super) fn low_bits(decomposition: &Decomposition) -> usize {
    (decomposition.bucket_bits() / 2).max(decomposition.bucket_bits().saturating_sub(PARTS_BITS))
}

/// Parts of a set's buckets.
pub(super) fn parts(decomposition: &Decomposition) -> usize {
    1 << (decomposition.bucket_bits() - low_bits(decomposition))
}

/// In affine additions: one for each digit, some for each bucket, and the doublings in the end.
fn cost(decomposition: &Decomposition, points: usize) -> usize {
    points * decomposition.windows()
        + BUCKET * decomposition.sets * decomposition.buckets()
        + SERIAL * (decomposition.sets - 1) * decomposition.bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::pippenger::SCALAR_BITS;

    #[test]
    fn decompositions_keep_to_the_budget_and_to_what_kernels_take() {
        for points in [0, 1, 100, 1 << 12, 1 << 20, 1 << 26] {
            for spare in [0, points, 40 * points] {
                let decomposition = choose(points, spare);
                assert!((decomposition.levels() - 1) * points <= spare, "{decomposition:?}");
                assert!(
                    decomposition.levels() * points < TABLE_POINTS && parts(&decomposition) <= 1 << PARTS_BITS,
                    "{decomposition:?}"
                );
                assert!(
                    decomposition.windows() * decomposition.bits >= SCALAR_BITS
                        && decomposition.windows() * decomposition.bits <= 320,
                    "{decomposition:?}"
                );
            }
        }
        assert_eq!(choose(1 << 20, usize::MAX).sets, 1);
    }
}
