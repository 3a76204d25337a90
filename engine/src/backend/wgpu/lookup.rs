//! The grouping of a lookup's input and table: both are sorted, every run of inputs takes one table row, and the rows
//! that repeat take what is left, in order.

use std::ops::Range;

use zkml_gpu_kernels::wgsl::Module;

use super::memory::ELEMENT_BYTES;
use super::pipelines::Kernel;
use super::pool::Buffer;
use super::recorder::{Params, Recorder};
use super::scan::{COUNT, scan};
use super::windows::{ranges, window};
use super::{Wgpu, WgpuScalars};
use crate::backend::Result;
use crate::error::BackendError;

const fn sort(entry: &'static str) -> Kernel {
    Kernel::new(&[Module::Sort], entry)
}

const fn lookup(entry: &'static str) -> Kernel {
    Kernel::new(&[Module::Lookup], entry)
}

const SORT_LOAD: Kernel = sort("sort_load");
const SORT_BLOCKS: Kernel = sort("sort_blocks");
const SORT_NEAR: Kernel = sort("sort_near");
const SORT_FAR: Kernel = sort("sort_far");
const LOOKUP_SEARCH: Kernel = lookup("lookup_search");
const LOOKUP_MARK: Kernel = lookup("lookup_mark");
const LOOKUP_COLLECT: Kernel = lookup("lookup_collect");
const LOOKUP_PLACE: Kernel = lookup("lookup_place");

/// Invocations of a workgroup: `SORT_THREADS` and `LOOKUP_THREADS`.
const THREADS: usize = 256;
/// Keys that a workgroup sorts: `SORT_BLOCK`.
const BLOCK: usize = 512;
/// Bytes of a mark or a rank.
const WORD_BYTES: u64 = 4;

fn groups(rows: usize) -> u64 {
    rows.div_ceil(THREADS) as u64
}

/// What rows are marked with, and how many marks are before each.
struct Marks {
    marks: Buffer,
    ranks: Buffer,
}

impl Wgpu {
    pub(super) fn permute(
        &self,
        input: &WgpuScalars,
        table: &WgpuScalars,
        usable: usize,
    ) -> Result<(WgpuScalars, WgpuScalars)> {
        let operation = "permute_lookup";
        let len = input.len;
        if usable > len {
            return Err(BackendError::OutOfRange { operation, start: 0, end: usable, len });
        }
        let columns = (self.device.vector(operation, len)?, self.device.vector(operation, len)?);
        let mut work = self.record(operation);
        for column in [&columns.0, &columns.1] {
            let usable_bytes = usable as u64 * ELEMENT_BYTES;
            work.clear(&column.buffer, usable_bytes, column.bytes() - usable_bytes);
        }
        if usable == 0 {
            work.submit()?;
            return Ok(columns);
        }
        let inputs = sorted(&mut work, input, usable)?;
        let tables = sorted(&mut work, table, usable)?;
        let missing = self.no_row(operation)?;
        group(&mut work, [&inputs, &tables], &missing, &columns, usable)?;
        if work.read(&missing.first(WORD_BYTES))? != [u32::MAX] {
            return Err(BackendError::NotInTable { row: self.first_missing(input, &tables, usable)? });
        }
        Ok(columns)
    }

    /// The number of no row.
    fn no_row(&self, operation: &'static str) -> Result<Buffer> {
        let row = self.device.allocate(operation, WORD_BYTES)?;
        self.device.write_words(operation, &row, &[u32::MAX])?;
        Ok(row)
    }

    /// The first row whose input is not among the sorted keys.
    fn first_missing(&self, input: &WgpuScalars, tables: &Buffer, usable: usize) -> Result<usize> {
        let operation = "permute_lookup";
        let mut work = self.record(operation);
        let keys = load(&mut work, input, usable, usable)?;
        let row = self.no_row(operation)?;
        mark(&mut work, [&keys, tables], usable, Mark::Repeated { missing: &row })?;
        match work.read(&row.first(WORD_BYTES))?.first() {
            Some(row) if (*row as usize) < usable => Ok(*row as usize),
            _ => Err(self.device.error(operation, "a missing input was found the second time")),
        }
    }
}

/// The parameters of `lookup.wgsl`.
fn lookup_params(rows: &Range<usize>, lead: usize, other: &Range<usize>, mark_unused: bool) -> Params {
    let words = [rows.len(), rows.start, lead, other.start, other.len(), usize::from(mark_unused)];
    Params::words(&words.map(|count| count as u32))
}

/// Which rows are marked.
enum Mark<'m> {
    /// Those that repeat the one before; the lowest that is not found goes to `missing`.
    Repeated { missing: &'m Buffer },
    /// Those that repeat the one before, and those that are not found.
    Unused,
}

/// Records the marks of sorted keys, by what is found among other sorted keys.
fn mark(work: &mut Recorder<'_>, [keys, searched]: [&Buffer; 2], usable: usize, what: Mark<'_>) -> Result<Marks> {
    let window_rows = work.window_rows(ELEMENT_BYTES);
    let [found, marks] = [work.allocate(usable as u64 * WORD_BYTES)?, work.allocate(usable as u64 * WORD_BYTES)?];
    work.clear(&found, 0, usable as u64 * WORD_BYTES);
    // The table's rows have nowhere to be missing from.
    let ignored = work.allocate(WORD_BYTES)?;
    let (missing, unused) = match what {
        Mark::Repeated { missing } => (missing, false),
        Mark::Unused => (&ignored, true),
    };
    for rows in ranges(usable, window_rows) {
        for other in ranges(usable, window_rows) {
            let other_keys = window(searched, &other, ELEMENT_BYTES);
            let bound = [window(&found, &rows, WORD_BYTES), window(keys, &rows, ELEMENT_BYTES), other_keys];
            work.dispatch(&LOOKUP_SEARCH, lookup_params(&rows, 0, &other, unused), &bound, groups(rows.len()))?;
        }
    }
    // Rows look at the one before, and windows begin at multiples of the device's alignment.
    for rows in ranges(usable, window_rows / 2) {
        let lead = if rows.start == 0 { 0 } else { LEAD };
        let bound = [
            window(&marks, &rows, WORD_BYTES),
            window(keys, &(rows.start - lead..rows.end), ELEMENT_BYTES),
            window(&found, &rows, WORD_BYTES),
            missing.first(WORD_BYTES),
        ];
        work.dispatch(&LOOKUP_MARK, lookup_params(&rows, lead, &(0..0), unused), &bound, groups(rows.len()))?;
    }
    ranked(work, marks, usable)
}

/// Keys bound before a window's first, a multiple of any device's alignment.
const LEAD: usize = 8;

/// Records what comes after sorting.
fn group(
    work: &mut Recorder<'_>,
    [inputs, tables]: [&Buffer; 2],
    missing: &Buffer,
    columns: &(WgpuScalars, WgpuScalars),
    usable: usize,
) -> Result<()> {
    let unused = mark(work, [tables, inputs], usable, Mark::Unused)?;
    let repeated = mark(work, [inputs, tables], usable, Mark::Repeated { missing })?;
    let left = work.allocate(usable as u64 * ELEMENT_BYTES)?;
    let window_rows = work.window_rows(ELEMENT_BYTES);
    let pairs =
        || ranges(usable, window_rows).flat_map(move |a| ranges(usable, window_rows).map(move |b| (a.clone(), b)));
    for (rows, other) in pairs() {
        let [marks, ranks] = [&unused.marks, &unused.ranks].map(|words| window(words, &rows, WORD_BYTES));
        let bound = [window(&left, &other, ELEMENT_BYTES), window(tables, &rows, ELEMENT_BYTES), marks, ranks];
        work.dispatch(&LOOKUP_COLLECT, lookup_params(&rows, 0, &other, false), &bound, groups(rows.len()))?;
    }
    for (rows, other) in pairs() {
        let [marks, ranks] = [&repeated.marks, &repeated.ranks].map(|words| window(words, &rows, WORD_BYTES));
        let [input, table] = [&columns.0, &columns.1].map(|column| column.rows(rows.clone()));
        let (keys, left) = (window(inputs, &rows, ELEMENT_BYTES), window(&left, &other, ELEMENT_BYTES));
        let bound = [input, table, keys, left, marks, ranks];
        work.dispatch(&LOOKUP_PLACE, lookup_params(&rows, 0, &other, false), &bound, groups(rows.len()))?;
    }
    Ok(())
}

fn ranked(work: &mut Recorder<'_>, marks: Buffer, rows: usize) -> Result<Marks> {
    let ranks = work.allocate(rows as u64 * WORD_BYTES)?;
    let zero = work.allocate(WORD_BYTES)?;
    work.clear(&zero, 0, WORD_BYTES);
    scan(work, &COUNT, &[&marks], rows, &zero, &ranks)?;
    Ok(Marks { marks, ranks })
}

/// The parameters of `sort.wgsl`.
fn sort_params(len: usize, first: usize, stage: usize, distance: usize) -> Params {
    Params::words(&[len, first, stage, distance].map(|count| count as u32))
}

/// Records the canonical integers of the first rows, and padding above all of them.
fn load(work: &mut Recorder<'_>, vector: &WgpuScalars, usable: usize, padded: usize) -> Result<Buffer> {
    let keys = work.allocate(padded as u64 * ELEMENT_BYTES)?;
    for rows in ranges(padded, work.window_rows(ELEMENT_BYTES)) {
        // A window of nothing but padding still has something to bind.
        let filled = usable.clamp(rows.start, rows.end) - rows.start;
        let source = if filled == 0 { vector.rows(0..1) } else { vector.rows(rows.start..rows.start + filled) };
        let bound = [window(&keys, &rows, ELEMENT_BYTES), source];
        work.dispatch(&SORT_LOAD, sort_params(rows.len(), 0, 0, filled), &bound, groups(rows.len()))?;
    }
    Ok(keys)
}

/// Records the sorting of the first rows, as canonical integers. What follows them is padding.
fn sorted(work: &mut Recorder<'_>, vector: &WgpuScalars, usable: usize) -> Result<Buffer> {
    let padded = usable.next_power_of_two().max(BLOCK);
    let window_rows = work.window_rows(ELEMENT_BYTES).min(padded);
    let keys = load(work, vector, usable, padded)?;
    for rows in ranges(padded, window_rows) {
        let blocks = (rows.len() / BLOCK) as u64;
        let params = sort_params(rows.len(), rows.start, 0, 0);
        work.dispatch(&SORT_BLOCKS, params, &[window(&keys, &rows, ELEMENT_BYTES)], blocks)?;
    }
    let mut stage = 2 * BLOCK;
    while stage <= padded {
        let mut distance = stage / 2;
        while distance >= window_rows {
            for rows in ranges(padded, window_rows).filter(|rows| rows.start & distance == 0) {
                let partner = rows.start + distance..rows.end + distance;
                let bound = [window(&keys, &rows, ELEMENT_BYTES), window(&keys, &partner, ELEMENT_BYTES)];
                work.dispatch(&SORT_FAR, sort_params(rows.len(), rows.start, stage, 0), &bound, groups(rows.len()))?;
            }
            distance /= 2;
        }
        for rows in ranges(padded, window_rows) {
            let bound = [window(&keys, &rows, ELEMENT_BYTES)];
            let mut distance = distance;
            while distance >= BLOCK {
                let params = sort_params(rows.len() / 2, rows.start, stage, distance);
                work.dispatch(&SORT_NEAR, params, &bound, groups(rows.len() / 2))?;
                distance /= 2;
            }
            let blocks = (rows.len() / BLOCK) as u64;
            work.dispatch(&SORT_BLOCKS, sort_params(rows.len(), rows.start, stage, 0), &bound, blocks)?;
        }
        stage *= 2;
    }
    Ok(keys)
}
