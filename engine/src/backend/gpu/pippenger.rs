//! Pippenger's method as GPUs run it: how scalars are cut in digits, and which sums come of them.

use ff::Field;
use halo2curves::bn256::{Fq, G1Affine};
use halo2curves::serde::SerdeObject;

/// Bits of the absolute value of a scalar in (-p/2, p/2], plus one for the sign of its top digit.
pub(in crate::backend) const SCALAR_BITS: usize = 254;

/// How a scalar is cut in digits: width of their windows, and number of bucket sets. Window w uses table level
/// `w / sets` and bucket set `w % sets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) struct Decomposition {
    pub(in crate::backend) bits: usize,
    pub(in crate::backend) sets: usize,
}

impl Decomposition {
    /// Decomposition of this width, for every number of sets that makes a difference.
    pub(in crate::backend) fn of_width(bits: usize) -> impl Iterator<Item = Self> {
        (1..=SCALAR_BITS.div_ceil(bits)).map(move |sets| Self { bits, sets })
    }

    /// Decomposition of this width, and a set for each of them: no table but the bases themselves.
    pub(in crate::backend) fn without_table(bits: usize) -> Self {
        Self { bits, sets: SCALAR_BITS.div_ceil(bits) }
    }

    /// Decomposition of a full-size scalar.
    pub(in crate::backend) fn windows(&self) -> usize {
        SCALAR_BITS.div_ceil(self.bits)
    }

    /// Levels of the table, the bases themselves being the first.
    pub(in crate::backend) fn levels(&self) -> usize {
        self.windows().div_ceil(self.sets)
    }

    /// Doublings from one level to the next.
    pub(in crate::backend) fn level_bits(&self) -> usize {
        self.bits * self.sets
    }

    /// log2 of the buckets of a set: absolute values of digits run from 1 to half of a window's values.
    pub(in crate::backend) fn bucket_bits(&self) -> usize {
        self.bits - 1
    }

    pub(in crate::backend) fn buckets(&self) -> usize {
        1 << self.bucket_bits()
    }

    /// Half of a window's values, in every window: ten words.
    pub(in crate::backend) fn halves(&self) -> [u32; 10] {
        let mut words = [0; 10];
        for bit in (0..self.windows()).map(|window| window * self.bits + self.bits - 1) {
            words[bit / 32] |= 1 << (bit % 32);
        }
        words
    }

    /// Chunks at most of a set into which so many digits fall.
    pub(in crate::backend) fn chunks(&self, entries: usize, chunk: usize) -> usize {
        entries.min(self.buckets()) + entries / chunk
    }
}

/// A bucket set of a column, as kernels have it: the weighted sum of the digits in its windows is one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) struct Job {
    pub(in crate::backend) column: usize,
    pub(in crate::backend) set: usize,
    /// Decomposition that are not zero.
    pub(in crate::backend) entries: usize,
}

/// The sums of columns, given how many digits are not zero in each window: `stride` counts a column, the windows'
/// first. Sets above a column's last that has any have none.
pub(in crate::backend) fn jobs(decomposition: &Decomposition, counts: &[u32], stride: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (column, counts) in counts.chunks(stride).enumerate() {
        let counts = &counts[..decomposition.windows()];
        let entries =
            |set: usize| counts.iter().skip(set).step_by(decomposition.sets).map(|count| *count as usize).sum();
        let used = (0..decomposition.sets).rev().find(|set| entries(*set) > 0).map_or(0, |last| last + 1);
        jobs.extend((0..used).map(|set| Job { column, set, entries: entries(set) }));
    }
    jobs
}

/// The affine point of the coordinates X, Y, ZZ and ZZZ, each little-endian in Montgomery form; none where one is not
/// below the modulus.
pub(in crate::backend) fn to_affine(coordinates: [[u8; 32]; 4]) -> Option<G1Affine> {
    let [x, y, zz, zzz] = coordinates.map(|bytes| Fq::from_raw_bytes(&bytes));
    let (x, y, zz, zzz) = (x?, y?, zz?, zzz?);
    let inverse = zzz.invert().unwrap_or(Fq::ZERO);
    // 1/ZZ = ZZ²/ZZZ²; the identity's inverse is taken to be 0, and (0, 0) is the identity.
    Some(G1Affine { x: x * (zz * inverse).square(), y: y * inverse })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_that_no_digit_falls_into_are_no_jobs() {
        let decomposition = Decomposition { bits: 64, sets: 2 };
        // Four windows: sets 0, 1, 0, 1; then a word that counts nothing.
        let jobs = jobs(&decomposition, &[5, 0, 2, 0, 9, 0, 0, 0, 0, 9, 0, 3, 0, 0, 9], 5);
        let job = |column, set, entries| Job { column, set, entries };
        assert_eq!(jobs, [job(0, 0, 7), job(2, 0, 0), job(2, 1, 3)]);
    }
}
