//! Sums of points by bucket.
//!
//! The points of a bucket are added pairwise in a tree, those of many buckets at once, so that any number of points in
//! one bucket are as parallel as points in many.

use rayon::prelude::*;

use super::super::lanes::Lanes;
use super::super::pool::Pool;
use super::point::{Add, Additions, Pending, Point, Signed};

/// Points that are summed together: the sums of the first round fill half a megabyte, and stay in the second-level
/// cache.
const CHUNK: usize = 1 << 14;

/// So many points for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) key: u32,
    pub(super) count: u32,
}

/// Points sorted by key: runs with ascending keys, and the points of the runs one after the other, none of them the
/// identity.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) runs: Vec<Run>,
    pub(super) points: Vec<Signed>,
}

impl Sorted {
    /// Sorts points by keys below `keys`. The iterator is run through twice.
    pub(super) fn new(keys: usize, points: impl Iterator<Item = (u32, Signed)> + Clone) -> Self {
        let mut places = vec![0u32; keys];
        points.clone().for_each(|(key, _)| places[key as usize] += 1);
        let runs = runs(&places);
        let mut sorted = vec![Signed(0); start_places(&mut places)];
        for (key, point) in points {
            let place = &mut places[key as usize];
            sorted[*place as usize] = point;
            *place += 1;
        }
        Sorted { runs, points: sorted }
    }
}

/// The runs of keys that have points.
pub(super) fn runs(counts: &[u32]) -> Vec<Run> {
    (0u32..).zip(counts).filter(|(_, count)| **count != 0).map(|(key, &count)| Run { key, count }).collect()
}

/// Turns counts into the places where runs start; returns how many there are in all.
pub(super) fn start_places(counts: &mut [u32]) -> usize {
    let mut next = 0;
    for count in counts {
        next += std::mem::replace(count, next);
    }
    next as usize
}

/// One point for each key; keys ascend strictly, and no point is the identity.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) keys: Vec<u32>,
    pub(super) points: Vec<Point>,
}

impl Sums {
    /// One list after the other.
    pub(super) fn joined(parts: Vec<Sums>) -> Self {
        let len = parts.iter().map(|part| part.keys.len()).sum();
        let mut joined = Sums { keys: Vec::with_capacity(len), points: Vec::with_capacity(len) };
        for part in parts {
            joined.keys.extend(part.keys);
            joined.points.extend(part.points);
        }
        joined
    }
}

/// Sums points by key, with lanes and reused buffers.
pub(super) struct Summation<L: Lanes> {
    lanes: L,
    buffers: Pool<Buffers<L>>,
}

impl<L: Lanes> Summation<L> {
    pub(super) fn new(lanes: L) -> Self {
        Summation { lanes, buffers: Pool::default() }
    }

    /// The sums of the table's points by key.
    pub(super) fn sum(&self, table: &[Point], sorted: &Sorted) -> Sums {
        let chunks = chunks(&sorted.runs);
        let sum = |chunk: &Chunk| self.buffers.with(|buffers| buffers.sum(self.lanes, table, chunk, &sorted.points));
        if let [chunk] = chunks.as_slice() {
            return sum(chunk);
        }
        self.merge(Sums::joined(chunks.par_iter().map(sum).collect()))
    }

    /// Adds neighbours with equal keys up: what is left of a run that was cut.
    pub(super) fn merge(&self, sums: Sums) -> Sums {
        if sums.keys.windows(2).all(|pair| pair[0] != pair[1]) {
            return sums;
        }
        let runs = sums.keys.chunk_by(|a, b| a == b).map(|run| Run { key: run[0], count: run.len() as u32 }).collect();
        let points = (0..sums.points.len()).map(|index| Signed::new(index, false)).collect();
        self.sum(&sums.points, &Sorted { runs, points })
    }
}

/// Runs of at most [`CHUNK`] points, and where their points start.
#[derive(Debug)]
struct Chunk {
    runs: Vec<Run>,
    first: usize,
}

/// Cuts runs into chunks. A run is cut only where it is longer than half a chunk: joining the parts then has fewer
/// points to add, because only long runs are left, and each has shrunk.
fn chunks(runs: &[Run]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut current = Chunk { runs: Vec::new(), first: 0 };
    let (mut filled, mut next) = (0, 0);
    for &Run { key, count } in runs {
        let mut rest = count as usize;
        while rest > 0 {
            let room = CHUNK - filled;
            let taken = if rest <= room || room > CHUNK / 2 { rest.min(room) } else { 0 };
            if taken > 0 {
                current.runs.push(Run { key, count: taken as u32 });
            }
            (filled, next, rest) = (filled + taken, next + taken, rest - taken);
            if rest > 0 {
                chunks.push(std::mem::replace(&mut current, Chunk { runs: Vec::new(), first: next }));
                filled = 0;
            }
        }
    }
    chunks.push(current);
    chunks
}

/// What a chunk's summation needs room for.
struct Buffers<L: Lanes> {
    additions: Additions,
    sums: [Vec<Point>; 2],
    pending: Vec<Pending<L>>,
}

impl<L: Lanes> Default for Buffers<L> {
    fn default() -> Self {
        Buffers { additions: Additions::default(), sums: [Vec::new(), Vec::new()], pending: Vec::new() }
    }
}

impl<L: Lanes> Buffers<L> {
    fn sum(&mut self, lanes: L, table: &[Point], chunk: &Chunk, points: &[Signed]) -> Sums {
        let mut runs = chunk.runs.clone();
        let total: usize = runs.iter().map(|run| run.count as usize).sum();
        let points = &points[chunk.first..chunk.first + total];
        let [mut sums, mut halved] = std::mem::take(&mut self.sums);
        let mut vanished = self.halve(lanes, table, |place| points[place], &mut runs, &mut sums);
        while runs.iter().any(|run| run.count > 1) {
            if vanished {
                drop_identities(&mut runs, &mut sums);
            }
            vanished = self.halve(lanes, &sums, |place| Signed::new(place, false), &mut runs, &mut halved);
            std::mem::swap(&mut sums, &mut halved);
        }
        if vanished {
            drop_identities(&mut runs, &mut sums);
        }
        let keys: Vec<u32> = runs.iter().filter(|run| run.count != 0).map(|run| run.key).collect();
        let result = Sums { points: sums[..keys.len()].to_vec(), keys };
        self.sums = [sums, halved];
        result
    }

    /// One round: adds the points of each run pairwise. `point(i)` is the table's entry for place i of the runs.
    fn halve(
        &mut self,
        lanes: L,
        table: &[Point],
        point: impl Fn(usize) -> Signed,
        runs: &mut [Run],
        sums: &mut Vec<Point>,
    ) -> bool {
        let left: usize = runs.iter().map(|run| run.count.div_ceil(2) as usize).sum();
        if sums.len() < left {
            sums.resize(left, Point::default());
        }
        self.additions.pair_up(runs.iter().map(|run| run.count as usize), &point);
        let (mut from, mut to) = (0, 0);
        for run in runs {
            from += run.count as usize;
            to += run.count.div_ceil(2) as usize;
            if run.count % 2 == 1 {
                sums[to - 1] = point(from - 1).load(table);
            }
            run.count = run.count.div_ceil(2);
        }
        lanes.run(Add { table, additions: &self.additions, sums, pending: &mut self.pending })
    }
}

/// Removes points that vanished, and counts the runs anew.
fn drop_identities(runs: &mut [Run], sums: &mut [Point]) {
    let (mut from, mut to) = (0, 0);
    for run in runs {
        let end = from + run.count as usize;
        run.count = 0;
        for place in from..end {
            if !sums[place].is_identity() {
                sums[to] = sums[place];
                to += 1;
                run.count += 1;
            }
        }
        from = end;
    }
}
