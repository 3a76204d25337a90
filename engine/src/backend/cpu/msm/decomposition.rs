//! How scalars are cut in digits, and digits map to precomputed levels and sets of buckets.

/// Bits of the absolute value of a scalar in (-p/2, p/2], plus one for the sign of its top digit.
pub(super) const SCALAR_BITS: usize = 254;

/// Digits that are sorted by bucket at a time: as integers they fill 4 MiB, and as many again sorted.
pub(super) const PART: usize = 1 << 20;

/// How a scalar is cut in digits: width of their windows, and number of bucket sets. Window w uses table level
/// `w / sets` and bucket set `w % sets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decomposition {
    pub(super) window_bits: usize,
    pub(super) sets: usize,
}

impl Decomposition {
    /// The cheapest decomposition for full-size scalars on `points` points, with at most `spare_points` points of table
    /// beyond the bases themselves.
    pub(super) fn choose(points: usize, spare_points: usize) -> Self {
        let widths = (4..=17).flat_map(|window_bits| {
            (1..=SCALAR_BITS.div_ceil(window_bits)).map(move |sets| Decomposition { window_bits, sets })
        });
        let fits = |decomposition: &Decomposition| {
            let table = (decomposition.levels() as u64).saturating_mul(points as u64);
            table - points as u64 <= spare_points as u64 && table < 1 << 31
        };
        let fallback = Decomposition { window_bits: 8, sets: SCALAR_BITS.div_ceil(8) };
        widths.filter(fits).min_by_key(|decomposition| decomposition.cost(points)).unwrap_or(fallback)
    }

    /// Digits of a full-size scalar.
    pub(super) fn windows(&self) -> usize {
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

    /// (set, magnitude) of a key.
    pub(super) fn bucket(&self, key: u32) -> (usize, usize) {
        (key as usize / self.buckets(), key as usize % self.buckets() + 1)
    }

    /// In affine additions: one for each digit and, for each bucket, two for the weighted sum and one for each further
    /// part of the points; three for each doubling, which is projective.
    fn cost(&self, points: usize) -> usize {
        let parts = points.div_ceil(self.rows_of_part());
        points * self.windows() + self.keys() * (1 + parts) + 3 * self.sets * self.window_bits
    }

    /// Rows whose full-size scalars have at most [`PART`] digits.
    pub(super) fn rows_of_part(&self) -> usize {
        PART / self.windows()
    }
}
