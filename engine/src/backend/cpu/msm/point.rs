//! Points as tables hold them, and their additions: eight at a time, in affine coordinates, with shared inversions.
//!
//! An addition takes the inverse of x_2 - x_1. Montgomery's trick, batch inversion, gets all inverses from one, so that
//! an addition costs five multiplications and a squaring. Each lane has a chain of products of its own; only their ends
//! are inverted, one by one.
//!
//! Nothing depends on the points being random: equal points are doubled and opposite points vanish, at the price of one
//! comparison of x for eight pairs.

use ff::Field;
use halo2curves::bn256::{Fq, G1Affine};

use super::super::lanes::{Kernel, LANES, Lanes, invert_lanes};

/// Pairs of vectors that share an inversion: 2048 additions, so that its two microseconds are one nanosecond for each.
const BATCH: usize = 128;
/// Pairs of vectors that go through the stages of an addition together: enough independent work to hide a
/// multiplication's latency.
const STAGED: usize = 4;
/// Points of a table that is in the second-level cache anyway: half a megabyte.
const CACHED: usize = 1 << 13;
/// How many pairs of vectors ahead points are called into the cache.
const AHEAD: usize = 1;

/// An affine point, both coordinates times [`Lanes::scale`], in one cache line. The identity is (0, 0): no other point
/// has y = 0, for the order of the group is odd.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Point {
    x: Fq,
    y: Fq,
}

impl Point {
    pub(super) fn new<L: Lanes>(point: &G1Affine) -> Self {
        let scale = L::scale::<Fq>();
        Point { x: point.x * scale, y: point.y * scale }
    }

    /// What coordinates are multiplied by on the way back: an inversion, to be made once for many points.
    pub(super) fn unscale<L: Lanes>() -> Fq {
        // A scale is not zero.
        L::scale::<Fq>().invert().unwrap_or(Fq::ONE)
    }

    pub(super) fn to_affine(self, unscale: Fq) -> G1Affine {
        G1Affine { x: self.x * unscale, y: self.y * unscale }
    }

    pub(super) fn is_identity(&self) -> bool {
        self.y == Fq::ZERO
    }

    pub(super) fn negated(self) -> Self {
        Point { x: self.x, y: -self.y }
    }
}

/// Which point of a table to take: twice its index, plus one to negate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signed(pub(super) u32);

impl Signed {
    pub(super) const fn new(index: usize, negative: bool) -> Self {
        Signed((index as u32) << 1 | negative as u32)
    }

    #[inline(always)]
    const fn index(self) -> usize {
        (self.0 >> 1) as usize
    }

    #[inline(always)]
    const fn is_negative(self) -> bool {
        self.0 & 1 == 1
    }

    pub(super) fn load(self, table: &[Point]) -> Point {
        let point = table[self.index()];
        if self.is_negative() { point.negated() } else { point }
    }
}

/// Additions of two points of a table each, and the places of the sums.
#[derive(Debug, Default)]
pub(super) struct Additions {
    left: Vec<Signed>,
    right: Vec<Signed>,
    places: Vec<u32>,
}

impl Additions {
    /// Adds neighbours of each run up: the points of a run of `count` from `point(first)` on, where the first run's are
    /// at 0. The sums stand in consecutive places; a run's last point, where their number is odd, keeps a place behind
    /// the run's sums.
    pub(super) fn pair_up(&mut self, counts: impl Iterator<Item = usize> + Clone, point: impl Fn(usize) -> Signed) {
        let pairs: usize = counts.clone().map(|count| count / 2).sum();
        let full = pairs.next_multiple_of(2 * LANES);
        for points in [&mut self.left, &mut self.right] {
            points.resize(full, Signed(0));
        }
        self.places.resize(full, 0);
        let mut slots = self.left.iter_mut().zip(&mut self.right).zip(&mut self.places);
        let (mut from, mut to) = (0, 0);
        for count in counts {
            for (i, ((left, right), place)) in slots.by_ref().take(count / 2).enumerate() {
                (*left, *right, *place) = (point(from + 2 * i), point(from + 2 * i + 1), (to + i) as u32);
            }
            (from, to) = (from + count, to + count.div_ceil(2));
        }
        self.pad(pairs);
    }

    /// Repeats the last addition until all pairs of vectors are full.
    fn pad(&mut self, pairs: usize) {
        if let Some(last) = pairs.checked_sub(1) {
            let (left, right, place) = (self.left[last], self.right[last], self.places[last]);
            self.left[pairs..].fill(left);
            self.right[pairs..].fill(right);
            self.places[pairs..].fill(place);
        }
    }

    fn vectors(&self) -> Vectors<'_> {
        Vectors {
            points: [self.left.as_chunks().0.as_chunks().0, self.right.as_chunks().0.as_chunks().0],
            places: self.places.as_chunks().0.as_chunks().0,
        }
    }
}

/// Additions in pairs of vectors.
#[derive(Clone, Copy)]
struct Vectors<'a> {
    points: [&'a [[[Signed; LANES]; 2]]; 2],
    places: &'a [[[u32; LANES]; 2]],
}

impl<'a> Vectors<'a> {
    #[inline(always)]
    fn range(self, start: usize, len: usize) -> Vectors<'a> {
        let start = start.min(self.places.len());
        let end = self.places.len().min(start + len);
        Vectors { points: [&self.points[0][start..end], &self.points[1][start..end]], places: &self.places[start..end] }
    }
}

/// Two vectors of additions between the two passes: there are two chains of products, of even and of odd vectors.
pub(super) struct Pending<L: Lanes> {
    /// x_1 and x_2.
    x: [[L::Vector<Fq>; 2]; 2],
    /// x_2 - x_1, or what stands for it where that is zero.
    denominators: [L::Vector<Fq>; 2],
    /// The products of the denominators before.
    prefixes: [L::Vector<Fq>; 2],
    /// Lanes of equal points.
    doubled: [u8; 2],
    /// Lanes of opposite points.
    vanished: [u8; 2],
}

/// Does additions; the table's points are not the identity. Tells whether some sum is, which is left at its place as
/// such.
pub(super) struct Add<'a, L: Lanes> {
    pub(super) table: &'a [Point],
    pub(super) additions: &'a Additions,
    pub(super) sums: &'a mut [Point],
    pub(super) pending: &'a mut Vec<Pending<L>>,
}

impl<L: Lanes> Kernel<L> for Add<'_, L> {
    type Output = bool;

    #[inline(always)]
    fn run(self, lanes: L) -> bool {
        let all = self.additions.vectors();
        let mut vanished = false;
        for start in (0..all.places.len()).step_by(BATCH) {
            let batch = all.range(start, BATCH);
            self.pending.clear();
            let products = collect(lanes, self.table, batch, self.pending);
            let mut inverses = invert(lanes, products);
            for start in (0..batch.places.len()).step_by(STAGED).rev() {
                let staged = batch.range(start, STAGED);
                let pending = &self.pending[start..start + staged.places.len()];
                vanished |= finish(lanes, self.table, staged, pending, self.sums, &mut inverses);
            }
        }
        vanished
    }
}

/// The inverses of two vectors of scaled elements, scaled like them.
#[inline(always)]
fn invert<L: Lanes>(lanes: L, [a, b]: [L::Vector<Fq>; 2]) -> [L::Vector<Fq>; 2] {
    let mut elements = [Fq::ZERO; LANES];
    lanes.store(lanes.mul(a, lanes.scaled_factor(b)), &mut elements);
    // The inverse of s·x is 1/(s·x), for the scale s.
    let square = L::scale::<Fq>().square();
    let inverses = invert_lanes(elements).map(|inverse| inverse * square);
    let inverse = lanes.scaled_factor(lanes.load(&inverses));
    lanes.mul_pair([b, a], [inverse, inverse])
}

#[inline(always)]
fn x_of<L: Lanes>(lanes: L, table: &[Point], points: &[Signed; LANES]) -> L::Vector<Fq> {
    let mut elements = [&table[0].x; LANES];
    for lane in 0..LANES {
        elements[lane] = &table[points[lane].index()].x;
    }
    lanes.gather(elements)
}

/// The y coordinates, up to 4·p.
#[inline(always)]
fn y_of<L: Lanes>(lanes: L, table: &[Point], points: &[Signed; LANES]) -> L::Vector<Fq> {
    let mut elements = [&table[0].y; LANES];
    let mut negative = 0;
    for lane in 0..LANES {
        elements[lane] = &table[points[lane].index()].y;
        negative |= u8::from(points[lane].is_negative()) << lane;
    }
    let y = lanes.gather(elements);
    if negative == 0 { y } else { lanes.select(negative, lanes.sub(lanes.zero(), y), y) }
}

/// The denominators of a batch and the products of each chain.
#[inline(always)]
fn collect<L: Lanes>(
    lanes: L,
    table: &[Point],
    batch: Vectors<'_>,
    pending: &mut Vec<Pending<L>>,
) -> [L::Vector<Fq>; 2] {
    let mut products = [one(lanes); 2];
    for (i, (left, right)) in batch.points[0].iter().zip(batch.points[1]).enumerate() {
        if table.len() > CACHED {
            prefetch(table, batch.range(i + AHEAD, 1));
        }
        let x = [
            [x_of(lanes, table, &left[0]), x_of(lanes, table, &right[0])],
            [x_of(lanes, table, &left[1]), x_of(lanes, table, &right[1])],
        ];
        let denominators = [lanes.sub(x[0][1], x[0][0]), lanes.sub(x[1][1], x[1][0])];
        let mut pair = Pending { x, denominators, prefixes: products, doubled: [0; 2], vanished: [0; 2] };
        for k in 0..2 {
            let equal = lanes.equal(x[k][0], x[k][1]);
            if equal != 0 {
                meet(lanes, table, [&left[k], &right[k]], equal, &mut pair, k);
            }
        }
        // Denominators are up to 8·p, and so products below 2·p.
        let factors = [lanes.scaled_factor(pair.denominators[0]), lanes.scaled_factor(pair.denominators[1])];
        products = lanes.mul_pair(products, factors);
        pending.push(pair);
    }
    products
}

/// Scaled ones.
#[inline(always)]
fn one<L: Lanes>(lanes: L) -> L::Vector<Fq> {
    lanes.splat(L::scale())
}

/// Lanes of vector `k` where both points have the same x: equal points have the denominator 2·y, opposite ones, which
/// need none, 1.
#[inline(always)]
fn meet<L: Lanes>(
    lanes: L,
    table: &[Point],
    points: [&[Signed; LANES]; 2],
    equal: u8,
    pair: &mut Pending<L>,
    k: usize,
) {
    let y = [y_of(lanes, table, points[0]), y_of(lanes, table, points[1])];
    let same = lanes.equal(lanes.reduce(y[0]), lanes.reduce(y[1]));
    (pair.doubled[k], pair.vanished[k]) = (equal & same, equal & !same);
    let doubled = lanes.select(pair.doubled[k], lanes.add(y[0], y[0]), pair.denominators[k]);
    pair.denominators[k] = lanes.select(pair.vanished[k], one(lanes), doubled);
}

/// The sums of some vectors of a batch, the last ones first. `inverses` are those of the products of the batch's
/// denominators up to theirs, and are left as those of the products before.
#[inline(always)]
fn finish<L: Lanes>(
    lanes: L,
    table: &[Point],
    staged: Vectors<'_>,
    pending: &[Pending<L>],
    sums: &mut [Point],
    inverses: &mut [L::Vector<Fq>; 2],
) -> bool {
    let zero = [lanes.zero(); 2];
    let (mut slopes, mut first_y, mut x) = ([zero; STAGED], [zero; STAGED], [zero; STAGED]);
    for (slope, pair) in slopes.iter_mut().zip(pending).rev() {
        *slope = scaled_products(lanes, *inverses, pair.prefixes);
        *inverses = scaled_products(lanes, *inverses, pair.denominators);
    }
    for (i, pair) in pending.iter().enumerate() {
        let mut numerators = zero;
        for k in 0..2 {
            let y = [y_of(lanes, table, &staged.points[0][i][k]), y_of(lanes, table, &staged.points[1][i][k])];
            numerators[k] = lanes.sub(y[1], y[0]);
            if pair.doubled[k] != 0 {
                let square = lanes.mul(pair.x[k][0], lanes.scaled_factor(pair.x[k][0]));
                let triple = lanes.add(lanes.add(square, square), square);
                numerators[k] = lanes.select(pair.doubled[k], triple, numerators[k]);
            }
            first_y[i][k] = y[0];
        }
        // Up to 8·p times 2·p.
        slopes[i] = scaled_products(lanes, numerators, slopes[i]);
    }
    for (i, pair) in pending.iter().enumerate() {
        let squares = scaled_products(lanes, slopes[i], slopes[i]);
        for k in 0..2 {
            x[i][k] = lanes.reduce(lanes.sub_both(squares[k], pair.x[k][0], pair.x[k][1]));
        }
    }
    let mut vanished = false;
    for (i, pair) in pending.iter().enumerate() {
        let runs = [lanes.sub(pair.x[0][0], x[i][0]), lanes.sub(pair.x[1][0], x[i][1])];
        let rises = scaled_products(lanes, runs, slopes[i]);
        for k in 0..2 {
            let (mut sum_x, mut sum_y) = (x[i][k], lanes.reduce(lanes.sub(rises[k], first_y[i][k])));
            if pair.vanished[k] != 0 {
                sum_x = lanes.select(pair.vanished[k], lanes.zero(), sum_x);
                sum_y = lanes.select(pair.vanished[k], lanes.zero(), sum_y);
                vanished = true;
            }
            let [mut xs, mut ys] = [[Fq::ZERO; LANES]; 2];
            lanes.store_reduced(sum_x, &mut xs);
            lanes.store_reduced(sum_y, &mut ys);
            for lane in 0..LANES {
                sums[staged.places[i][k][lane] as usize] = Point { x: xs[lane], y: ys[lane] };
            }
        }
    }
    vanished
}

/// Scaled products of scaled elements.
#[inline(always)]
fn scaled_products<L: Lanes>(lanes: L, a: [L::Vector<Fq>; 2], b: [L::Vector<Fq>; 2]) -> [L::Vector<Fq>; 2] {
    lanes.mul_pair(a, [lanes.scaled_factor(b[0]), lanes.scaled_factor(b[1])])
}

/// Calls points into the cache.
#[inline(always)]
fn prefetch(table: &[Point], vectors: Vectors<'_>) {
    #[cfg(target_arch = "x86_64")]
    for points in vectors.points {
        for point in points.as_flattened().as_flattened() {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let line: *const Point = &raw const table[point.index()];
            // SAFETY: a prefetch of any address is harmless, and SSE is in every x86-64 processor.
            #[allow(unsafe_code)]
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(line.cast());
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, vectors);
}

/// Doubles points so many times; the identity stays.
pub(super) struct Double<'a> {
    pub(super) points: &'a mut [Point],
    pub(super) times: usize,
}

/// Points that are doubled together: 40 KiB of coordinates, and half as much of inverses.
pub(super) const DOUBLED: usize = 64 * LANES;

impl<L: Lanes> Kernel<L> for Double<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        for points in self.points.chunks_mut(DOUBLED) {
            let vectors = points.len().div_ceil(2 * LANES);
            let mut coordinates = [vec![[lanes.zero(); 2]; vectors], vec![[lanes.zero(); 2]; vectors]];
            for i in 0..2 * vectors {
                let mut vector = [&points[0]; LANES];
                for lane in 0..LANES {
                    vector[lane] = &points[(i * LANES + lane).min(points.len() - 1)];
                }
                let [a, b, c, d, e, f, g, h] = vector;
                coordinates[0][i / 2][i % 2] = lanes.gather([&a.x, &b.x, &c.x, &d.x, &e.x, &f.x, &g.x, &h.x]);
                coordinates[1][i / 2][i % 2] = lanes.gather([&a.y, &b.y, &c.y, &d.y, &e.y, &f.y, &g.y, &h.y]);
            }
            let [mut x, mut y] = coordinates;
            let mut inverses = y.clone();
            for _ in 0..self.times {
                double_once(lanes, &mut x, &mut y, &mut inverses);
            }
            for (i, points) in points.chunks_mut(LANES).enumerate() {
                let [mut xs, mut ys] = [[Fq::ZERO; LANES]; 2];
                lanes.store_reduced(x[i / 2][i % 2], &mut xs);
                lanes.store_reduced(y[i / 2][i % 2], &mut ys);
                points.iter_mut().zip(xs.into_iter().zip(ys)).for_each(|(point, (x, y))| *point = Point { x, y });
            }
        }
    }
}

/// Two vectors.
type Pair<L> = [<L as Lanes>::Vector<Fq>; 2];

/// Doubles points whose coordinates are below p. `inverses` is scratch space of as many vectors.
#[inline(always)]
fn double_once<L: Lanes>(lanes: L, x: &mut [Pair<L>], y: &mut [Pair<L>], inverses: &mut [Pair<L>]) {
    let mut products = [one(lanes); 2];
    for (prefixes, y) in inverses.iter_mut().zip(&*y) {
        *prefixes = products;
        products = scaled_products(lanes, products, [twice(lanes, y[0]), twice(lanes, y[1])]);
    }
    let mut inverse = invert(lanes, products);
    for (prefixes, y) in inverses.iter_mut().zip(&*y).rev() {
        *prefixes = scaled_products(lanes, inverse, *prefixes);
        inverse = scaled_products(lanes, inverse, [twice(lanes, y[0]), twice(lanes, y[1])]);
    }
    for (slopes, x) in inverses.iter_mut().zip(&*x) {
        let squares = scaled_products(lanes, *x, *x);
        let mut triples = squares;
        for k in 0..2 {
            triples[k] = lanes.add(lanes.add(squares[k], squares[k]), squares[k]);
        }
        *slopes = scaled_products(lanes, triples, *slopes);
    }
    for ((slopes, x), y) in inverses.iter().zip(x).zip(y) {
        let squares = scaled_products(lanes, *slopes, *slopes);
        let mut doubled = squares;
        let mut runs = squares;
        for k in 0..2 {
            doubled[k] = lanes.reduce(lanes.sub_both(squares[k], x[k], x[k]));
            runs[k] = lanes.sub(x[k], doubled[k]);
        }
        let rises = scaled_products(lanes, runs, *slopes);
        for k in 0..2 {
            y[k] = lanes.reduce(lanes.sub(rises[k], y[k]));
        }
        *x = doubled;
    }
}

/// 2·y, the denominator of a tangent's slope. The identity's y = 0 has no inverse: with 1 in its place its coordinates
/// stay 0.
#[inline(always)]
fn twice<L: Lanes>(lanes: L, y: L::Vector<Fq>) -> L::Vector<Fq> {
    lanes.select(lanes.equal(y, lanes.zero()), one(lanes), lanes.add(y, y))
}
