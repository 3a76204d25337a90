//! Runs of equal scalars: `c·Σ G_i` is one addition for each point, where digits take about twenty, and one
//! multiplication. A column that is longer than what it holds ends in such a run: a helper of lookups has the same
//! number on every row where nothing stands. Columns of one circuit end alike, and share the sum of points.

use std::collections::BTreeMap;
use std::ops::Range;

use ff::PrimeField;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rayon::prelude::*;

use super::super::lanes::Lanes;
use super::CpuBases;
use super::buckets::{Run, Sorted, Summation};
use super::point::{Point, Signed};

/// Equal scalars from which on a run is worth a multiplication of its own.
const FEWEST: usize = 256;
/// Bytes of a scalar that has digits enough: smaller ones cost no more than an addition.
const SMALL_BYTES: usize = 8;

/// The longest run of equal scalars, where it is worth it.
pub(super) fn longest(scalars: &[Fr]) -> Option<Range<usize>> {
    let (mut longest, mut start) = (0..0, 0);
    while start < scalars.len() {
        let end = start + scalars[start..].iter().take_while(|scalar| **scalar == scalars[start]).count();
        if end - start > longest.len() && !is_small(scalars[start]) {
            longest = start..end;
        }
        start = end;
    }
    (longest.len() >= FEWEST).then_some(longest)
}

/// Whether a scalar or its negative has few bytes.
fn is_small(scalar: Fr) -> bool {
    let is_short = |scalar: Fr| scalar.to_repr().as_ref()[SMALL_BYTES..].iter().all(|byte| *byte == 0);
    is_short(scalar) || is_short(-scalar)
}

impl CpuBases {
    /// `scalar·Σ G_i` over each range.
    pub(super) fn multiplied_sums<L: Lanes>(&self, lanes: L, runs: &[(Range<usize>, Fr)]) -> Vec<G1> {
        let mut sums: BTreeMap<(usize, usize), G1Affine> =
            runs.iter().map(|(range, _)| ((range.start, range.end), G1Affine::default())).collect();
        let summation = Summation::new(lanes);
        sums.par_iter_mut().for_each(|((start, end), sum)| *sum = self.range_sum(&summation, *start..*end));
        let multiply = |(range, scalar): &(Range<usize>, Fr)| sums[&(range.start, range.end)] * scalar;
        runs.par_iter().map(multiply).collect()
    }

    fn range_sum<L: Lanes>(&self, summation: &Summation<L>, range: Range<usize>) -> G1Affine {
        let is_there = |row: &usize| !self.identities.get(*row).copied().unwrap_or(false);
        let points: Vec<Signed> = range.filter(is_there).map(|row| Signed::new(row, false)).collect();
        let runs = vec![Run { key: 0, count: points.len() as u32 }];
        let sums = summation.sum(&self.table, &Sorted { runs, points });
        sums.points.first().map_or_else(G1Affine::default, |point| point.to_affine(Point::unscale::<L>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_run_of_large_scalars_is_found() {
        let large = Fr::from(3).invert().unwrap();
        let mut scalars: Vec<Fr> = (0..2000u64).map(|i| large * Fr::from(i)).collect();
        assert_eq!(longest(&scalars), None);
        scalars[100..100 + FEWEST - 1].fill(large);
        assert_eq!(longest(&scalars), None, "too few");
        scalars[900..900 + FEWEST + 7].fill(large);
        assert_eq!(longest(&scalars), Some(900..907 + FEWEST));
        for small in [Fr::zero(), Fr::from(5), -Fr::from(u64::MAX)] {
            scalars[1200..1999].fill(small);
            assert_eq!(longest(&scalars), Some(900..907 + FEWEST), "{small:?}");
        }
        assert_eq!(longest(&vec![large; FEWEST]), Some(0..FEWEST));
        assert_eq!(longest(&[]), None);
    }
}
