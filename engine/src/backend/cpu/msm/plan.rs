//! How digits map to precomputed levels and sets of buckets.

/// Bits of the absolute value of a scalar in (-p/2, p/2], plus one for the sign of its top digit.
const SCALAR_BITS: usize = 254;

/// Window width and number of bucket sets. Window w uses table level `w / sets` and bucket set `w % sets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) window_bits: usize,
    pub(super) sets: usize,
}

impl Plan {
    /// The cheapest plan for full-size scalars on `points` points, with at most `spare_points` points of table beyond
    /// the bases themselves.
    pub(super) fn choose(points: usize, spare_points: usize) -> Self {
        let widths = (4..=17).flat_map(|window_bits| {
            (1..=SCALAR_BITS.div_ceil(window_bits)).map(move |sets| Plan { window_bits, sets })
        });
        let fits = |plan: &Plan| {
            let table = (plan.levels() as u64).saturating_mul(points as u64);
            table - points as u64 <= spare_points as u64 && table < 1 << 31
        };
        let fallback = Plan { window_bits: 8, sets: SCALAR_BITS.div_ceil(8) };
        widths.filter(fits).min_by_key(|plan| plan.cost(points)).unwrap_or(fallback)
    }

    /// Digits of a full-size scalar.
    fn windows(&self) -> usize {
        SCALAR_BITS.div_ceil(self.window_bits)
    }

    /// Levels of the table, the bases themselves being the first.
    pub(super) fn levels(&self) -> usize {
        self.windows().div_ceil(self.sets)
    }

    /// Doublings from one level to the next.
    pub(super) fn level_bits(&self) -> usize {
        self.window_bits * self.sets
    }

    /// (level, set) of a window.
    pub(super) fn split(&self, window: usize) -> (usize, usize) {
        (window / self.sets, window % self.sets)
    }

    /// Absolute values of non-zero digits run from 1 to this.
    pub(super) fn buckets(&self) -> usize {
        1 << (self.window_bits - 1)
    }

    /// Number of keys: all buckets of all sets.
    pub(super) fn keys(&self) -> usize {
        self.sets * self.buckets()
    }

    /// The key of a set's bucket.
    pub(super) fn key(&self, set: usize, magnitude: u32) -> u32 {
        (set * self.buckets()) as u32 + magnitude - 1
    }

    /// (set, magnitude) of a key.
    pub(super) fn bucket(&self, key: u32) -> (usize, usize) {
        (key as usize / self.buckets(), key as usize % self.buckets() + 1)
    }

    /// In affine additions: one per digit, two per bucket for the weighted sum, three for each addition of its tail and
    /// each doubling between sets, which are projective.
    fn cost(&self, points: usize) -> usize {
        let tail = 4 << self.window_bits.div_ceil(2);
        points * self.windows() + self.sets * (2 * self.buckets() + 3 * (tail + self.window_bits))
    }
}
