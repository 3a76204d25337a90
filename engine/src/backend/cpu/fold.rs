//! Sums of products of field elements and small integers: a bank of weights folded by the powers of a challenge.

use std::fmt;

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::lanes::{Kernel, LANES, Lanes, MAX_PRODUCTS, with_lanes};
use super::{Cpu, CpuScalars};
use crate::backend::ops::fold::{check_reach, reach};
use crate::backend::{FoldOps, IntegerRow, Result};

/// Added to an integer, which is then not negative.
const OFFSET: i32 = 1 << 15;
/// Rows of a task.
const TASK: usize = 64;

/// Rows of integers in host memory. Its `Debug` form shows their number only: integers may be secret.
pub struct CpuIntegers {
    /// First factor and number of integers of each row.
    rows: Vec<(usize, usize)>,
    integers: Vec<i16>,
}

impl fmt::Debug for CpuIntegers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuIntegers({} in {} rows)", self.integers.len(), self.rows.len())
    }
}

impl CpuIntegers {
    fn rows(&self) -> Vec<IntegerRow<'_>> {
        let mut rest = &self.integers[..];
        let rows = self.rows.iter().map(|(first, len)| {
            let (integers, after) = rest.split_at(*len);
            rest = after;
            IntegerRow { first: *first, integers }
        });
        rows.collect()
    }
}

impl FoldOps for Cpu {
    type Integers = CpuIntegers;

    fn load_integers(&self, rows: &[IntegerRow<'_>]) -> Result<CpuIntegers> {
        let integers = rows.iter().flat_map(|row| row.integers).copied().collect();
        Ok(CpuIntegers { rows: rows.iter().map(|row| (row.first, row.integers.len())).collect(), integers })
    }

    fn fold_integers(&self, integers: &CpuIntegers, factors: &[Fr]) -> Result<CpuScalars> {
        self.fold_rows(&integers.rows(), factors).map(CpuScalars::from)
    }
}

impl Cpu {
    /// As [`fold_integers`](FoldOps::fold_integers), of rows that are nowhere else.
    ///
    /// # Errors
    /// As [`fold_integers`](FoldOps::fold_integers).
    pub fn fold_rows(&self, rows: &[IntegerRow<'_>], factors: &[Fr]) -> Result<Vec<Fr>> {
        check_reach(reach(rows), factors)?;
        Ok(with_lanes!(self.processor, lanes => fold(lanes, factors, rows)))
    }
}

fn fold<L: Lanes>(lanes: L, factors: &[Fr], rows: &[IntegerRow<'_>]) -> Vec<Fr> {
    if L::PLAIN {
        let factors: Vec<[u64; 4]> = factors.iter().map(limbs).collect();
        let radix = Fr::from(2).pow_vartime([256]);
        return rows.par_iter().map(|row| plain(&factors[row.first..], row.integers, radix)).collect();
    }
    let mut padded = factors.to_vec();
    padded.resize(factors.len().next_multiple_of(LANES), Fr::ZERO);
    let (blocks, _) = padded.as_chunks();
    let factors = &Factors { prepared: &blocks.iter().map(|block| L::for_integers(block)).collect::<Vec<_>>(), blocks };
    rows.par_chunks(TASK).flat_map_iter(|rows| lanes.run(Fold { factors, rows })).collect()
}

/// Factors in vectors.
struct Factors<'a> {
    blocks: &'a [[Fr; LANES]],
    /// The same, for products with integers.
    prepared: &'a [[Fr; LANES]],
}

/// The folds of some rows.
struct Fold<'a> {
    factors: &'a Factors<'a>,
    rows: &'a [IntegerRow<'a>],
}

impl<L: Lanes> Kernel<L> for Fold<'_> {
    type Output = Vec<Fr>;

    #[inline(always)]
    fn run(self, lanes: L) -> Vec<Fr> {
        let mut sums = Vec::with_capacity(self.rows.len());
        for IntegerRow { first, integers: weights } in self.rows {
            let start = first / LANES;
            let end = (first + weights.len()).div_ceil(LANES);
            let mut total = [Fr::ZERO; LANES];
            for part in (start..end).step_by(MAX_PRODUCTS) {
                let mut products = lanes.no_products::<Fr>();
                for block in part..end.min(part + MAX_PRODUCTS) {
                    let integers = integers(weights, block * LANES, *first);
                    products =
                        lanes.accumulate_integers(products, lanes.load(&self.factors.prepared[block]), &integers);
                }
                let mut sum = [Fr::ZERO; LANES];
                lanes.store(lanes.settle_sum(lanes.sum_products(products)), &mut sum);
                total.iter_mut().zip(sum).for_each(|(total, sum)| *total += sum);
            }
            let added: Fr = self.factors.blocks[start..end].as_flattened().iter().sum();
            sums.push(total.iter().sum::<Fr>() - added * Fr::from(OFFSET as u64));
        }
        sums
    }
}

/// The weights that meet eight factors, with the offset; where there is none, as if it were zero.
#[inline(always)]
fn integers(weights: &[i16], factor: usize, first: usize) -> [u64; LANES] {
    let mut integers = [OFFSET as u64; LANES];
    let whole = factor.checked_sub(first).and_then(|start| weights.get(start..)?.first_chunk::<LANES>());
    match whole {
        Some(weights) => {
            for (integer, weight) in integers.iter_mut().zip(weights) {
                *integer = (i32::from(*weight) + OFFSET) as u64;
            }
        }
        None => {
            for (lane, integer) in integers.iter_mut().enumerate() {
                let weight = (factor + lane).checked_sub(first).and_then(|i| weights.get(i));
                *integer = (i32::from(weight.copied().unwrap_or(0)) + OFFSET) as u64;
            }
        }
    }
    integers
}

/// With integers of 320 bits, which take 2^48 products and more of a field element and a weight.
fn plain(factors: &[[u64; 4]], weights: &[i16], radix: Fr) -> Fr {
    let mut sums = [[0u64; 5]; 2];
    for (factor, weight) in factors.iter().zip(weights) {
        add_product(&mut sums[usize::from(*weight < 0)], factor, weight.unsigned_abs().into());
    }
    let [positive, negative] = sums.map(|[a, b, c, d, high]| Fr::from_raw([a, b, c, d]) + Fr::from(high) * radix);
    positive - negative
}

#[inline]
fn add_product(sum: &mut [u64; 5], factor: &[u64; 4], weight: u64) {
    let mut carry = 0u128;
    for (sum, limb) in sum.iter_mut().zip(factor) {
        let total = u128::from(*sum) + u128::from(*limb) * u128::from(weight) + carry;
        *sum = total as u64;
        carry = total >> 64;
    }
    sum[4] += carry as u64;
}

fn limbs(element: &Fr) -> [u64; 4] {
    let bytes = element.to_repr();
    std::array::from_fn(|i| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes.as_ref()[8 * i..8 * i + 8]);
        u64::from_le_bytes(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BackendError;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{RngCore, SeedableRng},
    };

    fn expected(factors: &[Fr], row: &IntegerRow<'_>) -> Fr {
        let element = |w: i16| if w < 0 { -Fr::from(u64::from(w.unsigned_abs())) } else { Fr::from(w as u64) };
        factors[row.first..].iter().zip(row.integers).map(|(factor, weight)| factor * element(*weight)).sum()
    }

    #[test]
    fn integers_of_every_sign_and_place_are_folded() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let mut factors: Vec<Fr> = (0..3000).map(|_| Fr::random(&mut rng)).collect();
        factors[..4].copy_from_slice(&[Fr::ZERO, Fr::ONE, -Fr::ONE, -Fr::from(2)]);
        let mut weights: Vec<i16> = (0..3000).map(|_| rng.next_u32() as i16).collect();
        weights[100..2000].fill(i16::MIN);
        weights[2000..2100].fill(i16::MAX);
        let ranges = [(0, 0), (0, 1), (5, 3), (7, 9), (8, 8), (1, 2999), (0, 3000), (2993, 7), (60, 2000)];
        let rows: Vec<IntegerRow<'_>> =
            ranges.iter().map(|&(first, len)| IntegerRow { first, integers: &weights[first..first + len] }).collect();
        for cpu in Cpu::each() {
            let folded = cpu.fold_rows(&rows, &factors).expect("rows within the factors");
            for (row, value) in rows.iter().zip(folded) {
                assert_eq!(value, expected(&factors, row), "{} from {}", row.integers.len(), row.first);
            }
            let far = [IntegerRow { first: 2995, integers: &weights[..6] }];
            assert!(matches!(cpu.fold_rows(&far, &factors), Err(BackendError::LengthMismatch { .. })));
        }
    }
}
