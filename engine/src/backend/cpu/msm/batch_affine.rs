//! Affine additions that share one inversion: 5 multiplications and a squaring each.
//!
//! Sums are taken pairwise in a tree, so that any number of points in one bucket are as parallel as points in many.
//! Equal points are doubled, opposite points vanish; nothing depends on the inputs being random.

use super::super::inversion::batch_invert;
use ff::Field;
use halo2curves::bn256::{Fq, G1Affine};
use rayon::prelude::*;
use std::ops::Range;

/// Points per task: their coordinates fill a quarter megabyte, which stays in the second-level cache.
const CHUNK: usize = 4096;

/// Sums of points by key: keys ascend strictly, and no point is the identity.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) keys: Vec<u32>,
    pub(super) points: Vec<G1Affine>,
}

/// Whether a point is the identity, which is stored as (0, 0). No other point has y = 0, the group order being odd.
pub(super) fn is_identity(point: &G1Affine) -> bool {
    point.y == Fq::ZERO
}

/// Adds up the table's points by key. Keys ascend; an entry is twice a table index, plus one to negate the point. The
/// table entries named are not the identity.
pub(super) fn sum_by_key(table: &[G1Affine], keys: Vec<u32>, entries: Vec<u32>) -> Sums {
    let ranges = chunks(&keys);
    let sum = |scratch: &mut Scratch, range: Range<usize>| {
        scratch.sum(keys[range.clone()].to_vec(), entries[range].iter().map(|entry| load(table, *entry)))
    };
    let mut parts: Vec<Sums> = match ranges.as_slice() {
        [range] => vec![sum(&mut Scratch::default(), range.clone())],
        _ => ranges.into_par_iter().map_init(Scratch::default, sum).collect(),
    };
    if parts.len() < 2 {
        return parts.pop().unwrap_or_default();
    }
    let keys: Vec<u32> = parts.iter().flat_map(|part| &part.keys).copied().collect();
    let points: Vec<G1Affine> = parts.iter().flat_map(|part| &part.points).copied().collect();
    if keys.windows(2).all(|pair| pair[0] != pair[1]) {
        return Sums { keys, points };
    }
    let entries = (0..points.len() as u32).map(|index| index << 1).collect();
    sum_by_key(&points, keys, entries)
}

/// Cuts sorted keys into ranges of at most [`CHUNK`], and a run of equal keys only where it is longer than that. So a
/// second round has fewer points to add: only long runs are left, and each has shrunk.
fn chunks(keys: &[u32]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < keys.len() {
        let mut end = keys.len().min(start + CHUNK);
        if end < keys.len() {
            let run = keys[start..end].partition_point(|key| *key < keys[end]);
            if run > 0 {
                end = start + run;
            }
        }
        ranges.push(start..end);
        start = end;
    }
    ranges
}

fn load(table: &[G1Affine], entry: u32) -> G1Affine {
    let mut point = table[(entry >> 1) as usize];
    if entry & 1 == 1 {
        point.y = -point.y;
    }
    point
}

/// Buffers of one task.
#[derive(Debug, Default)]
struct Scratch {
    points: Vec<G1Affine>,
    denominators: Vec<Fq>,
    prefixes: Vec<Fq>,
}

impl Scratch {
    fn sum(&mut self, mut keys: Vec<u32>, points: impl Iterator<Item = G1Affine>) -> Sums {
        self.points.clear();
        self.points.extend(points);
        while self.collect_denominators(&keys) {
            batch_invert(&mut self.denominators, &mut self.prefixes);
            self.add_pairs(&mut keys);
        }
        Sums { keys, points: self.points.clone() }
    }

    /// Collects the denominators of the slopes of neighbours with equal keys. False when there are no neighbours.
    fn collect_denominators(&mut self, keys: &[u32]) -> bool {
        self.denominators.clear();
        let mut found = false;
        let mut i = 0;
        while i + 1 < keys.len() {
            if keys[i] != keys[i + 1] {
                i += 1;
                continue;
            }
            found = true;
            self.denominators.extend(slope_denominator(&self.points[i], &self.points[i + 1]));
            i += 2;
        }
        found
    }

    /// Replaces neighbours with equal keys by their sum, in place; `denominators` are inverted by now.
    fn add_pairs(&mut self, keys: &mut Vec<u32>) {
        let mut inverses = self.denominators.iter();
        let mut kept = 0;
        let mut i = 0;
        while i < keys.len() {
            let (key, p) = (keys[i], self.points[i]);
            i += 1;
            let mut sum = p;
            if keys.get(i) == Some(&key) {
                let q = self.points[i];
                i += 1;
                if are_opposite(&p, &q) {
                    continue;
                }
                let inverse = inverses.next().expect("one denominator for each pair that is not opposite");
                sum = add(&p, &q, inverse);
            }
            keys[kept] = key;
            self.points[kept] = sum;
            kept += 1;
        }
        keys.truncate(kept);
        self.points.truncate(kept);
    }
}

fn are_opposite(p: &G1Affine, q: &G1Affine) -> bool {
    p.x == q.x && p.y != q.y
}

/// The denominator of the slope of the line through two points, `None` for opposite points.
fn slope_denominator(p: &G1Affine, q: &G1Affine) -> Option<Fq> {
    match (p.x == q.x, p.y == q.y) {
        (false, _) => Some(q.x - p.x),
        (true, true) => Some(p.y.double()),
        (true, false) => None,
    }
}

/// The sum of points that are not opposite, given the inverse of [`slope_denominator`].
fn add(p: &G1Affine, q: &G1Affine, inverse: &Fq) -> G1Affine {
    if p.x == q.x {
        return double(p, inverse);
    }
    chord(p, q, (q.y - p.y) * inverse)
}

/// Twice a point, given the inverse of 2y.
fn double(p: &G1Affine, inverse: &Fq) -> G1Affine {
    let square = p.x.square();
    chord(p, p, (square.double() + square) * inverse)
}

/// The sum of two points on a line of the given slope.
fn chord(p: &G1Affine, q: &G1Affine, slope: Fq) -> G1Affine {
    let x = slope.square() - p.x - q.x;
    G1Affine { x, y: slope * (p.x - x) - p.y }
}

/// Doubles every point `times` times; the identity stays.
pub(super) fn double_all(points: &mut [G1Affine], times: usize) {
    points.par_chunks_mut(CHUNK / 4).for_each_init(Scratch::default, |scratch, points| {
        for _ in 0..times {
            scratch.denominators.clear();
            scratch.denominators.extend(points.iter().map(|point| point.y.double()));
            batch_invert(&mut scratch.denominators, &mut scratch.prefixes);
            for (point, inverse) in points.iter_mut().zip(&scratch.denominators) {
                if !is_identity(point) {
                    *point = double(point, inverse);
                }
            }
        }
    });
}
