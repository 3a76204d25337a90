//! Batch inversion, Montgomery's trick in lanes: a chunk of rows is inverted for one scalar inversion and three
//! multiplications a row.

use std::array::from_fn;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::super::inversion::batch_invert as invert_plainly;
use super::super::lanes::{Kernel, LANES, Lanes};
use super::elementwise::padded;

/// Rows for one inversion, which takes as long as some hundred multiplications. The rows and their running products are
/// 288 KiB, which stay in the second-level cache.
const CHUNK: usize = 4096;
/// Running products at a time, in every lane: one would wait for the latency of its multiplications.
const CHAINS: usize = 4;

/// Replaces every element by its inverse and leaves zeros.
pub(super) fn batch_invert<L: Lanes>(lanes: L, values: &mut [Fr]) {
    let chunk = |values: &mut [Fr]| {
        if L::PLAIN { invert_plainly(values, &mut Vec::new()) } else { lanes.run(Inversion { values }) }
    };
    if values.len() <= CHUNK {
        return chunk(values);
    }
    values.par_chunks_mut(CHUNK).for_each(chunk);
}

struct Inversion<'a> {
    values: &'a mut [Fr],
}

impl<L: Lanes> Kernel<L> for Inversion<'_> {
    type Output = ();

    /// Bounds: a running product is below α·p with α = 1 + 16·α/84, which makes 1.24; so is the inverse of one on the
    /// way back, and their product is below (1 + 16·1.24²/84)·p, less than 2·p.
    #[inline(always)]
    fn run(self, lanes: L) {
        let (whole, rest) = self.values.as_chunks_mut::<LANES>();
        let mut last = padded(rest, Fr::ZERO);
        let vectors = whole.len();
        let mut prefixes = Vec::with_capacity(vectors + 1);
        let mut running = [lanes.splat(Fr::ONE); CHAINS];
        for (i, values) in whole.iter().chain([&last]).enumerate() {
            let chain = &mut running[i % CHAINS];
            prefixes.push(*chain);
            let (values, _) = without_zeros(lanes, lanes.load(values));
            *chain = lanes.mul(*chain, lanes.factor(values));
        }
        let mut products = [Fr::ZERO; CHAINS * LANES];
        for (chain, target) in running.into_iter().zip(products.as_chunks_mut().0) {
            lanes.store(chain, target);
        }
        invert_plainly(&mut products, &mut Vec::new());
        let inverted = products.as_chunks::<LANES>().0;
        let mut running: [L::Vector<Fr>; CHAINS] = from_fn(|i| lanes.load(&inverted[i]));
        for i in (0..=vectors).rev() {
            let values = whole.get_mut(i).unwrap_or(&mut last);
            let chain = &mut running[i % CHAINS];
            let (row, zeros) = without_zeros(lanes, lanes.load(values));
            let inverse = lanes.factor(*chain);
            let inverted = lanes.mul(prefixes[i], inverse);
            lanes.store_once(lanes.select(zeros, lanes.zero(), inverted), values);
            *chain = lanes.mul(row, inverse);
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Ones in the place of zeros, and where they are.
#[inline(always)]
fn without_zeros<L: Lanes>(lanes: L, values: L::Vector<Fr>) -> (L::Vector<Fr>, u8) {
    let zeros = lanes.equal(values, lanes.zero());
    (lanes.select(zeros, lanes.splat(Fr::ONE), values), zeros)
}
