//! How digits map to levels of the table and sets of buckets.

/// Bits of the absolute value of a scalar in (-p/2, p/2], plus one for the sign of its top digit.
const SCALAR_BITS: usize = 254;
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

/// Window width and number of bucket sets. Window w uses table level `w / sets` and bucket set `w % sets`. A table is laid out level by
/// level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) bits: usize,
    pub(super) sets: usize,
}

impl Plan {
    /// The cheapest plan for full-size scalars, with at most `spare` points of table beyond the bases themselves.
    pub(super) fn choose(points: usize, spare: usize) -> Self {
        let plans = WIDTHS.flat_map(|bits| (1..=SCALAR_BITS.div_ceil(bits)).map(move |sets| Self { bits, sets }));
        let fits = |plan: &Self| {
            let table = plan.levels().saturating_mul(points);
            table.saturating_sub(points) <= spare && table < TABLE_POINTS
        };
        let smallest = Self { bits: *WIDTHS.start(), sets: SCALAR_BITS.div_ceil(*WIDTHS.start()) };
        plans.filter(fits).min_by_key(|plan| plan.cost(points)).unwrap_or(smallest)
    }

    /// Digits of a full-size scalar.
    pub(super) fn windows(&self) -> usize {
        SCALAR_BITS.div_ceil(self.bits)
    }

    /// Levels of the table, the bases themselves being the first.
    pub(super) fn levels(&self) -> usize {
        self.windows().div_ceil(self.sets)
    }

    /// Doublings from one level to the next.
    pub(super) fn level_bits(&self) -> usize {
        self.bits * self.sets
    }

    /// log2 of the buckets of a set: absolute values of digits run from 1 to half of a window's values.
    pub(super) fn bucket_bits(&self) -> usize {
        self.bits - 1
    }

    pub(super) fn buckets(&self) -> usize {
        1 << self.bucket_bits()
    }

    /// Bits of a bucket's number within its part: entries are sorted by part first, and by bucket then, in steps of equal size.
    pub(super) fn low_bits(&self) -> usize {
        (self.bucket_bits() / 2).max(self.bucket_bits().saturating_sub(PARTS_BITS))
    }

    pub(super) fn parts(&self) -> usize {
        1 << (self.bucket_bits() - self.low_bits())
    }

    /// Half of a window's values, in every window: ten words.
    pub(super) fn halves(&self) -> [u32; 10] {
        let mut words = [0; 10];
        for bit in (0..self.windows()).map(|window| window * self.bits + self.bits - 1) {
            words[bit / 32] |= 1 << (bit % 32);
        }
        words
    }

    /// Chunks at most of a set into which so many digits fall.
    pub(super) fn chunks(&self, entries: usize, chunk: usize) -> usize {
        entries.min(self.buckets()) + entries / chunk
    }

    /// In affine additions: one for each digit, some for each bucket, and the doublings in the end.
    fn cost(&self, points: usize) -> usize {
        points * self.windows() + BUCKET * self.sets * self.buckets() + SERIAL * (self.sets - 1) * self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_keep_to_the_budget_and_to_what_kernels_take() {
        for points in [0, 1, 100, 1 << 12, 1 << 20, 1 << 26] {
            for spare in [0, points, 40 * points] {
                let plan = Plan::choose(points, spare);
                assert!((plan.levels() - 1) * points <= spare, "{plan:?}");
                assert!(plan.levels() * points < TABLE_POINTS && plan.parts() <= 1 << PARTS_BITS, "{plan:?}");
                assert!(plan.windows() * plan.bits >= SCALAR_BITS && plan.windows() * plan.bits <= 320, "{plan:?}");
            }
        }
        assert_eq!(Plan::choose(1 << 20, usize::MAX).sets, 1);
    }
}
