//! How digits map to levels of the table and sets of buckets, and how many rows are worked on at a time.

/// Bits of the absolute value of a scalar in (-p/2, p/2], plus one for the sign of its top digit.
const SCALAR_BITS: usize = 254;
/// Bytes of a point of a table, and of a sum.
pub(super) const AFFINE_BYTES: u64 = 64;
pub(super) const POINT_BYTES: u64 = 128;
/// Windows of rows begin at multiples of this, which is 256 bytes of scalars.
const ROWS_ALIGNMENT: usize = 8;
/// Fewest entries of a full chunk.
pub(super) const MIN_CHUNK: usize = 8;
/// Additions that a device does side by side in the time that one takes it alone: the price of a doubling that waits for another.
const SERIAL: usize = 20_000;

/// Window width, number of bucket sets, and rows of a part. Window w uses table level `w / sets` and bucket set `w % sets`.
///
/// A table is laid out part by part, and level by level in a part, so that a kernel sees all levels of a part at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) bits: usize,
    pub(super) sets: usize,
    /// Rows of all parts but the last.
    pub(super) part: usize,
}

impl Plan {
    /// The cheapest plan for full-size scalars, with at most `spare` points of table beyond the bases themselves, where a kernel
    /// sees `binding_bytes` of a buffer.
    pub(super) fn choose(points: usize, spare: usize, binding_bytes: u64) -> Self {
        let widths = (4..=16usize).filter(|bits| *bits == 4 || POINT_BYTES << bits <= binding_bytes);
        let plans = widths.flat_map(|bits| {
            (1..=SCALAR_BITS.div_ceil(bits)).map(move |sets| {
                let levels = SCALAR_BITS.div_ceil(bits).div_ceil(sets);
                let rows = usize::try_from(binding_bytes / AFFINE_BYTES).unwrap_or(usize::MAX).min(1 << 30) / levels;
                Plan { bits, sets, part: (rows - rows % ROWS_ALIGNMENT).max(ROWS_ALIGNMENT) }
            })
        });
        let fits = |plan: &Plan| (plan.levels() - 1).saturating_mul(points) <= spare;
        let smallest = Plan { bits: 4, sets: SCALAR_BITS.div_ceil(4), part: ROWS_ALIGNMENT };
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

    /// Half of a window's values, in every window: ten words.
    pub(super) fn halves(&self) -> [u32; 10] {
        let mut words = [0; 10];
        for bit in (0..self.windows()).map(|window| window * self.bits + self.bits - 1) {
            words[bit / 32] |= 1 << (bit % 32);
        }
        words
    }

    /// Chunk sums at most of a set into which so many digits fall.
    pub(super) fn chunks(&self, entries: usize, chunk: usize) -> usize {
        entries.min(self.buckets()) + entries / chunk
    }

    /// In affine additions: one for each digit, three for each bucket of each part, and the doublings in the end.
    fn cost(&self, points: usize) -> usize {
        let parts = points.div_ceil(self.part);
        points * self.windows() + 3 * parts * self.sets * self.buckets() + SERIAL * (self.sets - 1) * self.bits
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
                    let entries = plan.part * plan.levels();
                    assert!(entries as u64 * AFFINE_BYTES <= binding_bytes, "{plan:?}");
                    assert!(plan.chunks(entries, MIN_CHUNK) as u64 * POINT_BYTES <= binding_bytes, "{plan:?}");
                    assert!((plan.levels() - 1) * points <= spare, "{plan:?}");
                    assert_eq!(plan.part % ROWS_ALIGNMENT, 0);
                }
            }
        }
    }
}
