//! Recurrences, in segments that run side by side.
//!
//! Every scan is `state -> factor_i·state + term_i` from row to row, where the factors or the terms may be trivial. A
//! long vector is cut into chunks and a chunk into [`SEGMENTS`] segments, each in a lane of its own. The first pass
//! finds what a whole segment does to a state; from that the state at the beginning of every segment follows, one after
//! the other; and the second pass runs all segments from there.

use std::array::from_fn;
use std::mem::MaybeUninit;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::super::lanes::{Kernel, LANES, Lanes, store_new, store_new_once};
use super::super::shared::{reserve, written};
use super::power_factors;

/// Vectors of states at a time: one would wait for the latency of its multiplications.
const GROUPS: usize = 2;
/// Segments of a chunk.
const SEGMENTS: usize = GROUPS * LANES;
/// The longest segment. A chunk is at most 64 KiB long.
const SEGMENT: usize = 128;

/// A recurrence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Recurrence<'a> {
    /// The next state is `state + term_i`.
    Sum { terms: &'a [Fr] },
    /// The next state is `factor_i·state`.
    Product { factors: &'a [Fr] },
    /// The next state is `factor_i·state + term_i`.
    Affine { factors: &'a [Fr], terms: &'a [Fr] },
    /// From the last row to the first: the next state is `factor·state + term_i`.
    Horner { factor: Fr, terms: &'a [Fr] },
}

/// The state before each row.
#[allow(unsafe_code)]
pub(super) fn scan<L: Lanes>(lanes: L, recurrence: Recurrence<'_>, initial: Fr) -> Vec<Fr> {
    let len = recurrence.len();
    let mut room = reserve(len);
    let chunks = if L::PLAIN { Vec::new() } else { chunks(len) };
    let covered: usize = chunks.iter().map(|chunk| SEGMENTS * chunk.segment).sum();
    let (whole, rest) = room.split_at_mut(covered);
    let scan = Scan { recurrence, powers: recurrence.powers(lanes) };
    let mut state = initial;
    if recurrence.is_backward() {
        state = recurrence.run_plainly(covered, rest, state);
    }
    let maps = each(&chunks, chunks.iter().collect(), |chunk| lanes.run(Totals { scan: &scan, chunk: *chunk }));
    let starts = recurrence.starts(&chunks, &maps, &mut state);
    let mut tasks = Vec::with_capacity(chunks.len());
    let mut remaining = whole;
    for (chunk, states) in chunks.iter().zip(starts) {
        let (out, later) = remaining.split_at_mut(SEGMENTS * chunk.segment);
        tasks.push((Run { scan: &scan, chunk: *chunk, out }, states));
        remaining = later;
    }
    each(&chunks, tasks, |(run, states)| lanes.run(RunFrom { run, states }));
    if !recurrence.is_backward() {
        recurrence.run_plainly(covered, rest, state);
    }
    // SAFETY: the chunks and the rest are the whole room, and each is written whole.
    unsafe { written(room) }
}

/// Maps items, one for each chunk, in parallel where there are several.
fn each<T: Send, R: Send>(chunks: &[Chunk], items: Vec<T>, f: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match chunks.len() {
        0 | 1 => items.into_iter().map(f).collect(),
        _ => items.into_par_iter().map(f).collect(),
    }
}

/// Rows that are scanned together.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    start: usize,
    /// Rows in each of its segments, whole vectors.
    segment: usize,
}

/// As many whole chunks as there are in the first rows of a vector; fewer than `SEGMENTS·LANES` rows remain.
fn chunks(len: usize) -> Vec<Chunk> {
    let mut chunks = Vec::with_capacity(len.div_ceil(SEGMENTS * SEGMENT) + 1);
    let mut start = 0;
    loop {
        let segment = ((len - start) / SEGMENTS).min(SEGMENT) / LANES * LANES;
        if segment == 0 {
            return chunks;
        }
        chunks.push(Chunk { start, segment });
        start += SEGMENTS * segment;
    }
}

/// What a segment does to a state: `factor·state + term`.
#[derive(Debug, Clone, Copy)]
struct Map {
    factor: Fr,
    term: Fr,
}

impl Recurrence<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Product { factors } => factors.len(),
            Self::Sum { terms } | Self::Affine { terms, .. } | Self::Horner { terms, .. } => terms.len(),
        }
    }

    fn is_backward(&self) -> bool {
        matches!(self, Self::Horner { .. })
    }

    /// The powers of a constant factor, as many as a segment has rows.
    fn powers<L: Lanes>(&self, lanes: L) -> Vec<L::Factor<Fr>> {
        match self {
            Self::Horner { factor, .. } => power_factors(lanes, *factor, SEGMENT),
            _ => Vec::new(),
        }
    }

    /// Scans the rows from `start` on, as many as there are in `out`, and returns the state after them.
    fn run_plainly(&self, start: usize, out: &mut [MaybeUninit<Fr>], initial: Fr) -> Fr {
        let mut state = initial;
        let rows = start..start + out.len();
        match *self {
            Self::Sum { terms } => {
                for (out, term) in out.iter_mut().zip(&terms[rows]) {
                    out.write(state);
                    state += term;
                }
            }
            Self::Product { factors } => {
                for (out, factor) in out.iter_mut().zip(&factors[rows]) {
                    out.write(state);
                    state *= factor;
                }
            }
            Self::Affine { factors, terms } => {
                for (out, (factor, term)) in out.iter_mut().zip(factors[rows.clone()].iter().zip(&terms[rows])) {
                    out.write(state);
                    state = state * factor + term;
                }
            }
            Self::Horner { factor, terms } => {
                for (out, term) in out.iter_mut().zip(&terms[rows]).rev() {
                    out.write(state);
                    state = state * factor + term;
                }
            }
        }
        state
    }

    /// The states at the beginnings of all segments. Takes `state` through all chunks.
    fn starts(&self, chunks: &[Chunk], maps: &[[Map; SEGMENTS]], state: &mut Fr) -> Vec<[Fr; SEGMENTS]> {
        let mut starts = vec![[Fr::ZERO; SEGMENTS]; chunks.len()];
        let segments = starts.as_flattened_mut().iter_mut().zip(maps.as_flattened());
        let mut pass = |(start, map): (&mut Fr, &Map)| {
            *start = *state;
            *state = match self {
                Self::Sum { .. } => *state + map.term,
                Self::Product { .. } => *state * map.factor,
                Self::Affine { .. } | Self::Horner { .. } => *state * map.factor + map.term,
            };
        };
        if self.is_backward() {
            segments.rev().for_each(&mut pass)
        } else {
            segments.for_each(&mut pass)
        }
        starts
    }
}

struct Scan<'a, F> {
    recurrence: Recurrence<'a>,
    powers: Vec<F>,
}

/// The first pass.
struct Totals<'a, F> {
    scan: &'a Scan<'a, F>,
    chunk: Chunk,
}

impl<L: Lanes> Kernel<L> for Totals<'_, L::Factor<Fr>> {
    type Output = [Map; SEGMENTS];

    #[inline(always)]
    fn run(self, lanes: L) -> [Map; SEGMENTS] {
        let Totals { scan, chunk } = self;
        let mut factors = [Fr::ONE; SEGMENTS];
        let mut terms = [Fr::ZERO; SEGMENTS];
        let constant = match scan.recurrence {
            Recurrence::Horner { factor, .. } => factor.pow_vartime([chunk.segment as u64]),
            _ => Fr::ONE,
        };
        for group in 0..GROUPS {
            let segments = Segments { start: chunk.start + group * LANES * chunk.segment, length: chunk.segment };
            let (group_factors, _) = factors[group * LANES..].split_first_chunk_mut().expect("a group of the segments");
            let (group_terms, _) = terms[group * LANES..].split_first_chunk_mut().expect("a group of the segments");
            match scan.recurrence {
                Recurrence::Sum { terms } => lanes.store(segments.sums(lanes, terms), group_terms),
                Recurrence::Product { factors } => lanes.store(segments.products(lanes, factors), group_factors),
                Recurrence::Affine { factors, terms } => {
                    let [factor, term] = segments.compositions(lanes, factors, terms);
                    lanes.store(factor, group_factors);
                    lanes.store(term, group_terms);
                }
                Recurrence::Horner { terms, .. } => {
                    *group_factors = [constant; LANES];
                    lanes.store(segments.values(lanes, terms, &scan.powers), group_terms);
                }
            }
        }
        from_fn(|i| Map { factor: factors[i], term: terms[i] })
    }
}

/// Eight segments of rows, one after the other.
#[derive(Clone, Copy)]
struct Segments {
    start: usize,
    length: usize,
}

impl Segments {
    /// Rows of a segment, by vector.
    #[inline(always)]
    fn window(self, rows: &[Fr], segment: usize, vector: usize) -> &[Fr; LANES] {
        let start = self.start + segment * self.length + vector * LANES;
        rows[start..].first_chunk().expect("segments are whole vectors of the rows")
    }

    /// The sum of each segment: of at most 16 vectors, and then of eight lanes below 2·p.
    #[inline(always)]
    fn sums<L: Lanes>(self, lanes: L, terms: &[Fr]) -> L::Vector<Fr> {
        let mut sums = [lanes.zero(); LANES];
        for (segment, target) in sums.iter_mut().enumerate() {
            let mut sum = lanes.sum(lanes.load(self.window(terms, segment, 0)));
            for vector in 1..self.length / LANES {
                sum = lanes.include(sum, lanes.load(self.window(terms, segment, vector)));
            }
            *target = lanes.lower(lanes.settle_sum(sum));
        }
        sum_across(lanes, sums)
    }

    /// The product of each segment. Running products are below 1.24·p.
    #[inline(always)]
    fn products<L: Lanes>(self, lanes: L, factors: &[Fr]) -> L::Vector<Fr> {
        let mut products = [lanes.zero(); LANES];
        for (segment, product) in products.iter_mut().enumerate() {
            *product = lanes.load(self.window(factors, segment, 0));
        }
        for vector in 1..self.length / LANES {
            for (segment, product) in products.iter_mut().enumerate() {
                *product = lanes.mul(*product, lanes.load_factor(self.window(factors, segment, vector)));
            }
        }
        let [mut total, others @ ..] = lanes.transpose(products);
        for other in others {
            total = lanes.mul(total, lanes.factor(other));
        }
        total
    }

    /// The value of each segment as a polynomial, lowest coefficient first: an inner product with the point's powers.
    #[inline(always)]
    fn values<L: Lanes>(self, lanes: L, coefficients: &[Fr], powers: &[L::Factor<Fr>]) -> L::Vector<Fr> {
        let mut values = [lanes.zero(); LANES];
        for (segment, value) in values.iter_mut().enumerate() {
            let mut products = lanes.product(lanes.load(self.window(coefficients, segment, 0)), powers[0]);
            for (vector, powers) in powers[..self.length / LANES].iter().enumerate().skip(1) {
                let rows = lanes.load(self.window(coefficients, segment, vector));
                products = lanes.accumulate(products, rows, *powers);
            }
            // Below (1 + 16/84)·p.
            *value = lanes.settle_sum(lanes.sum_products(products));
        }
        sum_across(lanes, values)
    }

    /// The factor and the term of what each segment does to a state: below 1.24·p and 2.5·p.
    #[inline(always)]
    fn compositions<L: Lanes>(self, lanes: L, factors: &[Fr], terms: &[Fr]) -> [L::Vector<Fr>; 2] {
        let (mut factor, mut term) = (lanes.splat(Fr::ONE), lanes.zero());
        for vector in 0..self.length / LANES {
            let row_factors = self.factors(lanes, factors, vector);
            let row_terms = self.vectors(lanes, terms, vector);
            for (row_factor, row_term) in row_factors.into_iter().zip(row_terms) {
                factor = lanes.mul(factor, row_factor);
                term = affine(lanes, term, row_factor, row_term);
            }
        }
        [factor, term]
    }

    /// Eight rows of each segment, one a lane.
    #[inline(always)]
    fn vectors<L: Lanes>(self, lanes: L, rows: &[Fr], vector: usize) -> [L::Vector<Fr>; LANES] {
        let mut vectors = [lanes.zero(); LANES];
        for (segment, loaded) in vectors.iter_mut().enumerate() {
            *loaded = lanes.load(self.window(rows, segment, vector));
        }
        lanes.transpose(vectors)
    }

    /// As [`vectors`](Self::vectors), to multiply by.
    #[inline(always)]
    fn factors<L: Lanes>(self, lanes: L, rows: &[Fr], vector: usize) -> [L::Factor<Fr>; LANES] {
        let mut factors = [lanes.load_factor(self.window(rows, 0, vector)); LANES];
        for (segment, loaded) in factors.iter_mut().enumerate().skip(1) {
            *loaded = lanes.load_factor(self.window(rows, segment, vector));
        }
        lanes.transpose_factors(factors)
    }
}

/// The sum over the lanes of each vector, all below 2·p: below 16·p.
#[inline(always)]
fn sum_across<L: Lanes>(lanes: L, vectors: [L::Vector<Fr>; LANES]) -> L::Vector<Fr> {
    let [first, others @ ..] = lanes.transpose(vectors);
    let mut sum = lanes.sum(first);
    for other in others {
        sum = lanes.include(sum, other);
    }
    lanes.settle_sum(sum)
}

/// `factor·state + term`.
#[inline(always)]
fn affine<L: Lanes>(lanes: L, state: L::Vector<Fr>, factor: L::Factor<Fr>, term: L::Vector<Fr>) -> L::Vector<Fr> {
    lanes.settle_sum(lanes.include(lanes.sum_products(lanes.product(state, factor)), term))
}

/// The second pass.
struct Run<'a, F> {
    scan: &'a Scan<'a, F>,
    chunk: Chunk,
    out: &'a mut [MaybeUninit<Fr>],
}

/// The second pass, with the states at the beginnings of the segments.
struct RunFrom<'a, F> {
    run: Run<'a, F>,
    states: [Fr; SEGMENTS],
}

impl<L: Lanes> Kernel<L> for RunFrom<'_, L::Factor<Fr>> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let RunFrom { run: Run { scan, chunk, out }, states } = self;
        let states = states.as_chunks::<LANES>().0;
        let mut states = [lanes.load(&states[0]), lanes.load(&states[1])];
        let first = Segments { start: chunk.start, length: chunk.segment };
        let second = Segments { start: chunk.start + LANES * chunk.segment, ..first };
        for step in 0..chunk.segment / LANES {
            match scan.recurrence {
                // States are reduced: below p.
                Recurrence::Sum { terms } => {
                    let terms = [first.vectors(lanes, terms, step), second.vectors(lanes, terms, step)];
                    let mut before = [[lanes.zero(); LANES]; GROUPS];
                    for row in 0..LANES {
                        for group in 0..GROUPS {
                            before[group][row] = states[group];
                            states[group] = lanes.reduce_once(lanes.add(states[group], terms[group][row]));
                        }
                    }
                    store_rows_once(lanes, before, chunk, step, out);
                }
                // States are below 1.24·p.
                Recurrence::Product { factors } => {
                    let factors = [first.factors(lanes, factors, step), second.factors(lanes, factors, step)];
                    let mut before = [[lanes.zero(); LANES]; GROUPS];
                    for row in 0..LANES {
                        for group in 0..GROUPS {
                            before[group][row] = states[group];
                            states[group] = lanes.mul(states[group], factors[group][row]);
                        }
                    }
                    store_rows_once(lanes, before, chunk, step, out);
                }
                // States are below 2.5·p.
                Recurrence::Affine { factors, terms } => {
                    let factors = [first.factors(lanes, factors, step), second.factors(lanes, factors, step)];
                    let terms = [first.vectors(lanes, terms, step), second.vectors(lanes, terms, step)];
                    let mut before = [[lanes.zero(); LANES]; GROUPS];
                    for row in 0..LANES {
                        for group in 0..GROUPS {
                            before[group][row] = states[group];
                            states[group] = affine(lanes, states[group], factors[group][row], terms[group][row]);
                        }
                    }
                    store_rows(lanes, before, chunk, step, out);
                }
                // States are below 2.1·p.
                Recurrence::Horner { factor, terms } => {
                    let step = chunk.segment / LANES - 1 - step;
                    let factor = lanes.broadcast(&L::single(factor));
                    let terms = [first.vectors(lanes, terms, step), second.vectors(lanes, terms, step)];
                    let mut before = [[lanes.zero(); LANES]; GROUPS];
                    for row in (0..LANES).rev() {
                        for group in 0..GROUPS {
                            before[group][row] = states[group];
                            states[group] = affine(lanes, states[group], factor, terms[group][row]);
                        }
                    }
                    store_rows(lanes, before, chunk, step, out);
                }
            }
        }
    }
}

/// Stores eight rows of each segment.
#[inline(always)]
fn store_rows<L: Lanes>(
    lanes: L,
    rows: [[L::Vector<Fr>; LANES]; GROUPS],
    chunk: Chunk,
    step: usize,
    out: &mut [MaybeUninit<Fr>],
) {
    for (group, rows) in rows.into_iter().enumerate() {
        for (lane, vector) in lanes.transpose(rows).into_iter().enumerate() {
            store_new(lanes, vector, target(chunk, group * LANES + lane, step, out));
        }
    }
}

/// As [`store_rows`], of states below 2·p.
#[inline(always)]
fn store_rows_once<L: Lanes>(
    lanes: L,
    rows: [[L::Vector<Fr>; LANES]; GROUPS],
    chunk: Chunk,
    step: usize,
    out: &mut [MaybeUninit<Fr>],
) {
    for (group, rows) in rows.into_iter().enumerate() {
        for (lane, vector) in lanes.transpose(rows).into_iter().enumerate() {
            store_new_once(lanes, vector, target(chunk, group * LANES + lane, step, out));
        }
    }
}

#[inline(always)]
fn target(chunk: Chunk, segment: usize, step: usize, out: &mut [MaybeUninit<Fr>]) -> &mut [MaybeUninit<Fr>; LANES] {
    out[segment * chunk.segment + step * LANES..].first_chunk_mut().expect("segments are whole vectors of the chunk")
}
