//! Row by row: sums, differences, products and linear combinations.

use std::mem::MaybeUninit;

use ff::Field;
use halo2curves::bn256::Fr;

use super::super::integers::{Rows, load, radix};
use super::super::lanes::{Kernel, LANES, Lanes, MAX_PRODUCTS, store_new};
use super::super::shared::{reserve, written};
use super::for_chunks;

/// `acc_i *= other_i`, in parallel where it pays.
pub(super) fn mul_assign<L: Lanes>(lanes: L, acc: &mut [Fr], other: &[Fr]) {
    for_chunks(acc, |start, rows| {
        let other = &other[start..][..rows.len()];
        if L::PLAIN {
            rows.iter_mut().zip(other).for_each(|(a, b)| *a *= b);
        } else {
            lanes.run(Product { acc: rows, other });
        }
    });
}

struct Product<'a> {
    acc: &'a mut [Fr],
    other: &'a [Fr],
}

impl<L: Lanes> Kernel<L> for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let (acc, acc_rest) = self.acc.as_chunks_mut::<LANES>();
        let (other, other_rest) = self.other.as_chunks::<LANES>();
        for (acc, other) in acc.iter_mut().zip(other) {
            // Below (1 + 16/84)·p.
            lanes.store_once(lanes.mul(lanes.load(acc), lanes.load_factor(other)), acc);
        }
        for (acc, other) in acc_rest.iter_mut().zip(other_rest) {
            *acc *= other;
        }
    }
}

/// `acc_i *= factor`, in parallel where it pays.
pub(super) fn scale<L: Lanes>(lanes: L, acc: &mut [Fr], factor: Fr) {
    for_chunks(acc, |_, rows| {
        if L::PLAIN {
            rows.iter_mut().for_each(|row| *row *= factor);
        } else {
            lanes.run(Scale { rows, factor });
        }
    });
}

struct Scale<'a> {
    rows: &'a mut [Fr],
    factor: Fr,
}

impl<L: Lanes> Kernel<L> for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let single = L::single(self.factor);
        let (rows, rest) = self.rows.as_chunks_mut::<LANES>();
        for rows in rows {
            // Below (1 + 1/84)·p.
            lanes.store_once(lanes.mul(lanes.load(rows), lanes.broadcast(&single)), rows);
        }
        for row in rest {
            *row *= self.factor;
        }
    }
}

/// `Σ_j factor_j·vector_j`, shorter vectors padded with zeros.
#[allow(unsafe_code)]
pub(super) fn combine<L: Lanes>(lanes: L, terms: &[(Fr, Rows<'_>)]) -> Vec<Fr> {
    let len = terms.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
    let terms: Vec<(Fr, Rows<'_>)> = terms.iter().copied().filter(|(factor, _)| *factor != Fr::ZERO).collect();
    if L::PLAIN {
        return combine_plainly(&terms, len);
    }
    let radix = radix();
    let singles: Vec<[L::Single<Fr>; 2]> =
        terms.iter().map(|(factor, _)| [*factor, *factor * radix].map(L::single)).collect();
    let mut room = reserve(len);
    for_chunks(&mut room, |start, out| lanes.run(Combination { singles: &singles, terms: &terms, start, out }));
    // SAFETY: the chunks are the whole room, and each is written whole.
    unsafe { written(room) }
}

fn combine_plainly(terms: &[(Fr, Rows<'_>)], len: usize) -> Vec<Fr> {
    let mut out = vec![Fr::ZERO; len];
    for_chunks(&mut out, |start, out| {
        for (factor, rows) in terms {
            let end = rows.len().min(start + out.len());
            let integers = end.min(rows.integers.len()).max(start);
            let (first, rest) =
                out[..end.saturating_sub(start)].split_at_mut((integers - start).min(end.saturating_sub(start)));
            first.iter_mut().zip(start..).for_each(|(acc, row)| *acc += factor * rows.get(row));
            let Some(values) = rows.elements_from(integers) else { continue };
            if *factor == Fr::ONE {
                rest.iter_mut().zip(values).for_each(|(acc, value)| *acc += value);
            } else {
                rest.iter_mut().zip(values).for_each(|(acc, value)| *acc += factor * value);
            }
        }
    });
    out
}

struct Combination<'a, S> {
    /// The terms' factors, for elements and for integers.
    singles: &'a [[S; 2]],
    terms: &'a [(Fr, Rows<'a>)],
    start: usize,
    out: &'a mut [MaybeUninit<Fr>],
}

impl<L: Lanes> Kernel<L> for Combination<'_, L::Single<Fr>> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let Combination { singles, terms, start, out } = self;
        let (whole, rest) = out.as_chunks_mut::<LANES>();
        let end = start + whole.len() * LANES;
        for (i, target) in whole.iter_mut().enumerate() {
            store_new(lanes, combine_rows(lanes, singles, terms, start + i * LANES), target);
        }
        if !rest.is_empty() {
            let mut last = [Fr::ZERO; LANES];
            lanes.store(combine_rows(lanes, singles, terms, end), &mut last);
            rest.write_copy_of_slice(&last[..rest.len()]);
        }
    }
}

/// Eight rows of a linear combination. Groups of [`MAX_PRODUCTS`] terms are below (1 + 128/84)·p; their sums are
/// lowered.
#[inline(always)]
fn combine_rows<L: Lanes>(
    lanes: L,
    singles: &[[L::Single<Fr>; 2]],
    terms: &[(Fr, Rows<'_>)],
    row: usize,
) -> L::Vector<Fr> {
    let mut total = lanes.zero();
    for (singles, terms) in singles.chunks(MAX_PRODUCTS).zip(terms.chunks(MAX_PRODUCTS)) {
        let mut products = lanes.product(lanes.zero(), lanes.broadcast(&singles[0][0]));
        for ([single, of_integers], (_, rows)) in singles.iter().zip(terms) {
            if let Some(integers) = rows.integers.get(row..).and_then(|integers| integers.first_chunk()) {
                products = lanes.accumulate(products, load(lanes, integers), lanes.broadcast(of_integers));
                continue;
            }
            let rows = match rows.elements_from(row).and_then(|elements| elements.first_chunk()) {
                Some(elements) => lanes.load(elements),
                None => lanes.load(&last_rows(*rows, row)),
            };
            products = lanes.accumulate(products, rows, lanes.broadcast(single));
        }
        total = lanes.lower(lanes.settle_sum(lanes.include(lanes.sum_products(products), total)));
    }
    total
}

/// The rows from one on, with zeros behind them, where they are fewer than eight or of both kinds.
#[inline(always)]
fn last_rows(rows: Rows<'_>, first: usize) -> [Fr; LANES] {
    let mut last = [Fr::ZERO; LANES];
    for (element, row) in last.iter_mut().zip(first..rows.len()) {
        *element = rows.get(row);
    }
    last
}

/// Fewer than eight elements, and copies of another one.
#[inline(always)]
pub(super) fn padded(values: &[Fr], padding: Fr) -> [Fr; LANES] {
    let mut padded = [padding; LANES];
    padded[..values.len()].copy_from_slice(values);
    padded
}
