//! A transform in two passes over memory.
//!
//! A vector is taken for a matrix of about as many rows as columns ("four-step", Bailey, FFTs in External or
//! Hierarchical Memory, 1990). The first pass transforms its columns, eight neighbours at a time, one in each lane; it
//! multiplies by the factors between and transposes in registers. The second pass transforms the rows, eight at a time
//! again, and writes the results, of which neighbours in memory are in neighbouring lanes. Within a pass everything
//! stays in the first- or second-level cache.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ops::Range;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::super::integers::{Rows, load};
use super::super::lanes::{Kernel, LANES, Lanes, store_new};
use super::super::pages;
use super::super::shared::{Shared, reserve, written};
use super::domain::{Domain, Layers};
use crate::secret::wipe_elements;

/// log2 of the vectors that a transform works on at a time: 20 KiB, which stay in the first-level cache.
const CACHED_LOG: u32 = 6;
/// log2 of the length from which on one transform is shared by several threads.
const PARALLEL_LOG: u32 = 15;

/// The transform of a column of the domain's length; of integers, divided by R. `scratch` is reused between calls.
pub(super) fn transform<L: Lanes>(
    lanes: L,
    domain: &Domain<L>,
    input: Rows<'_>,
    scratch: &mut Vec<L::Vector<Fr>>,
) -> Vec<Fr> {
    let mut divided = input.divided();
    let input = Rows { elements: divided.as_deref().unwrap_or(input.elements), ..input };
    let vectors = input.len() / LANES;
    lanes.run(Reserve { scratch, vectors });
    let scratch = &mut scratch[..vectors];
    let mut out = reserve(input.len());
    let columns = 1 << domain.transform.shape()[1];
    let (transposed, shared) = (Shared::new(scratch), Shared::new(&mut out));
    let first = |blocks| lanes.run(FirstPass { domain, input, blocks, transposed });
    let second = |(block, rows)| lanes.run(SecondPass { domain, block, rows, out: shared });
    if domain.transform.log_n < PARALLEL_LOG {
        first(0..columns / LANES);
        scratch.chunks_exact_mut(columns).enumerate().for_each(second);
    } else {
        (0..columns / LANES).into_par_iter().for_each(|block| first(block..block + 1));
        scratch.par_chunks_exact_mut(columns).enumerate().for_each(second);
    }
    if let Some(elements) = &mut divided {
        wipe_elements(elements);
    }
    // SAFETY: the blocks' places are all places, and the second pass writes those of every block.
    unsafe { written(out) }
}

/// Makes room for so many vectors.
struct Reserve<'a, V> {
    scratch: &'a mut Vec<V>,
    vectors: usize,
}

impl<L: Lanes> Kernel<L> for Reserve<'_, L::Vector<Fr>> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        if self.scratch.len() < self.vectors {
            *self.scratch = pages::with_capacity(self.vectors);
            self.scratch.resize(self.vectors, lanes.zero());
        }
    }
}

/// Transforms of columns, in blocks of [`LANES`] neighbours.
struct FirstPass<'a, L: Lanes> {
    domain: &'a Domain<L>,
    input: Rows<'a>,
    blocks: Range<usize>,
    /// Rows in blocks of [`LANES`], one in each lane: a block's columns are neighbours, in bit-reversed order.
    transposed: Shared<'a, L::Vector<Fr>>,
}

impl<L: Lanes> Kernel<L> for FirstPass<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let [row_log, column_log] = self.domain.transform.shape();
        let (rows, columns) = (1usize << row_log, 1usize << column_log);
        let mut buffer = vec![lanes.zero(); rows];
        for block in self.blocks {
            let column = block * LANES;
            for row in 0..rows {
                let vector = load_rows(lanes, self.input, row * columns + column);
                buffer[reverse(row, row_log)] = lanes.refresh(vector);
            }
            decimate(lanes, &self.domain.first, &mut buffer);
            for (row_block, vectors) in buffer.as_chunks::<LANES>().0.iter().enumerate() {
                // Lazy residues settle below 64·p; their products with factors below p are below 2·p.
                let mut turned = [lanes.zero(); LANES];
                for (i, (turned, vector)) in turned.iter_mut().zip(vectors).enumerate() {
                    let factor = self.domain.between[(row_block * LANES + i) * (columns / LANES) + block];
                    *turned = lanes.mul(lanes.settle(*vector), factor);
                }
                for (i, vector) in lanes.transpose(turned).into_iter().enumerate() {
                    let place = row_block * columns + reverse(column + i, column_log);
                    // SAFETY: each block of columns has places of its own, and no block is done twice.
                    *unsafe { self.transposed.window::<1>(place) } = [vector];
                }
            }
        }
    }
}

/// Transforms of [`LANES`] rows.
struct SecondPass<'a, L: Lanes> {
    domain: &'a Domain<L>,
    /// Which rows.
    block: usize,
    rows: &'a mut [L::Vector<Fr>],
    out: Shared<'a, MaybeUninit<Fr>>,
}

impl<L: Lanes> Kernel<L> for SecondPass<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let row_count = 1usize << self.domain.transform.shape()[0];
        decimate(lanes, &self.domain.second, self.rows);
        for (i, vector) in self.rows.iter().enumerate() {
            let settled = lanes.settle(*vector);
            let scaled = match self.domain.last.get(i) {
                Some(factor) => lanes.mul(settled, lanes.broadcast(factor)),
                None => settled,
            };
            // SAFETY: each block of rows has places of its own, and no block is done twice.
            store_new(lanes, scaled, unsafe { self.out.window(i * row_count + self.block * LANES) });
        }
    }
}

/// Eight transforms, one in each lane, from bit-reversed to natural order and from residues below 2·p to lazy ones.
///
/// Vectors are refreshed after every third layer, for lanes that need it.
///
/// Bounds: the first two layers double them to 8·p where they need no product, every other layer adds 2·p; there are at
/// most 14 layers, which makes 32·p.
#[inline(always)]
fn decimate<L: Lanes>(lanes: L, layers: &Layers<L>, vectors: &mut [L::Vector<Fr>]) {
    let cached = layers.log_n.min(CACHED_LOG);
    for chunk in vectors.chunks_exact_mut(1 << cached) {
        for layer in 0..cached {
            join_blocks(lanes, layers, layer, chunk);
        }
    }
    for layer in cached..layers.log_n {
        join_blocks(lanes, layers, layer, vectors);
    }
}

/// One layer: joins neighbouring blocks of `2^layer` vectors.
#[inline(always)]
fn join_blocks<L: Lanes>(lanes: L, layers: &Layers<L>, layer: u32, vectors: &mut [L::Vector<Fr>]) {
    let (half, factors) = (1usize << layer, layers.layer(layer));
    let skipped = usize::from(layer < 2 && !layers.shifted);
    for blocks in vectors.chunks_exact_mut(2 * half) {
        let (low, high) = blocks.split_at_mut(half);
        for (a, b) in low[..skipped].iter_mut().zip(&mut high[..skipped]) {
            lanes.cross::<Fr>(a, b);
        }
        // From here on the rest is even.
        let paired = if half == 1 { 1 } else { 2 * skipped };
        for ((a, b), w) in
            low[skipped..paired].iter_mut().zip(&mut high[skipped..paired]).zip(&factors[skipped..paired])
        {
            lanes.twist::<Fr>(a, b, w);
        }
        let (low, high) = (low[paired..].as_chunks_mut().0, high[paired..].as_chunks_mut().0);
        for ((a, b), w) in low.iter_mut().zip(high).zip(factors[paired..].as_chunks().0) {
            lanes.twist_pair::<Fr>(a, b, w);
        }
    }
    if L::REFRESHES && layer % 3 == 2 {
        for vector in vectors {
            *vector = lanes.refresh(*vector);
        }
    }
}

/// Eight rows from one on, of which integers are divided by R.
#[inline(always)]
fn load_rows<L: Lanes>(lanes: L, rows: Rows<'_>, first: usize) -> L::Vector<Fr> {
    if let Some(elements) = rows.elements_from(first).and_then(|elements| elements.first_chunk()) {
        return lanes.load(elements);
    }
    let mut integers = [0; LANES];
    let given = &rows.integers[first..rows.integers.len().min(first + LANES)];
    integers[..given.len()].copy_from_slice(given);
    let vector = load(lanes, &integers);
    if given.len() == LANES {
        return vector;
    }
    // The block in which the integers end.
    let mut elements = [Fr::ZERO; LANES];
    let rest = LANES - given.len();
    elements[given.len()..].copy_from_slice(&rows.elements[..rest]);
    let mask = ((1u16 << given.len()) - 1) as u8;
    lanes.select(mask, vector, lanes.load(&elements))
}

/// The `bits` lowest bits backwards.
#[inline(always)]
const fn reverse(index: usize, bits: u32) -> usize {
    index.reverse_bits() >> (usize::BITS - bits)
}
