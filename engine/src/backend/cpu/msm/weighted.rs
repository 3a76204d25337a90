//! The weighted sum of buckets, Σ_b b·B_b.
//!
//! With b = 2^h·row + column it is 2^h·Σ_row row·R_row + Σ_column column·C_column, where R and C are the sums of the
//! buckets by row and by column. Those are plain sums, taken by shared-inversion additions; only the two short weighted
//! sums that remain, of about the square root of the number of buckets, use projective additions.

use super::batch_affine::{Sums, sum_by_key};
use super::plan::Plan;
use group::Group;
use halo2curves::bn256::G1;

/// The weighted sum of each set of buckets.
pub(super) fn weighted_sums(plan: &Plan, buckets: &Sums) -> Vec<G1> {
    let largest = buckets.keys.iter().map(|key| plan.bucket(*key).1).max().unwrap_or(0);
    let column_bits = (usize::BITS - largest.leading_zeros()).div_ceil(2);
    let columns = 1usize << column_bits;
    let rows = (largest >> column_bits) + 1;
    let row_sums = sum_groups(plan, buckets, rows, |weight| weight >> column_bits);
    let column_sums = sum_groups(plan, buckets, columns, |weight| weight % columns);
    let by_row = ladder(plan, &row_sums, rows);
    let by_column = ladder(plan, &column_sums, columns);
    let join = |(row, column): (G1, G1)| (0..column_bits).fold(row, |acc, _| acc.double()) + column;
    by_row.into_iter().zip(by_column).map(join).collect()
}

/// Sums the buckets of each set by `group(weight)`, below `groups`; key `set·groups + group`.
fn sum_groups(plan: &Plan, buckets: &Sums, groups: usize, group: impl Fn(usize) -> usize) -> Sums {
    let key_of = |key: u32| {
        let (set, weight) = plan.bucket(key);
        (set * groups + group(weight)) as u32
    };
    // Group 0 has weight 0 and counts for nothing.
    let mut keyed: Vec<(u32, u32)> = (buckets.keys.iter().zip(0u32..))
        .map(|(key, index)| (key_of(*key), index << 1))
        .filter(|(key, _)| !(*key as usize).is_multiple_of(groups))
        .collect();
    keyed.sort_unstable();
    let (keys, entries) = keyed.into_iter().unzip();
    sum_by_key(&buckets.points, keys, entries)
}

/// `Σ_weight weight·point` for each set, by running sums from the heaviest down.
fn ladder(plan: &Plan, sums: &Sums, groups: usize) -> Vec<G1> {
    let mut results = vec![G1::identity(); plan.sets];
    let mut next = sums.keys.iter().zip(&sums.points).rev().peekable();
    for (set, result) in results.iter_mut().enumerate().rev() {
        let mut running = G1::identity();
        for weight in (1..groups).rev() {
            if let Some((_, point)) = next.next_if(|(key, _)| **key as usize == set * groups + weight) {
                running += point;
            }
            *result += running;
        }
    }
    results
}
