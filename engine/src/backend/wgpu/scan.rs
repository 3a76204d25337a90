//! Recurrences by blocks: totals of the blocks, a scan of those, and a run through every block from the state at its
//! beginning. Division by a linear polynomial is one from the top down.

use std::ops::Range;

use halo2curves::bn256::Fr;
use zkml_gpu_kernels::wgsl::Module;

use super::memory::ELEMENT_BYTES;
use super::pipelines::Kernel;
use super::pool::Buffer;
use super::recorder::{Params, Recorder};
use super::windows::{ranges, window};
use super::{Wgpu, WgpuScalars};
use crate::backend::Result;

/// Rows of a block: `SCAN_BLOCK` and `DIVIDE_BLOCK`.
pub(super) const BLOCK: usize = 1024;

/// A kind of recurrence.
#[derive(Debug)]
pub(super) struct Recurrence {
    reduce: Kernel,
    apply: Kernel,
    /// Bytes of a row of each input.
    input_bytes: u64,
    /// Bytes of the total of a block.
    total_bytes: u64,
    /// Bytes of a state.
    state_bytes: u64,
    /// How totals are scanned, where that is not as inputs are.
    totals: Option<&'static Recurrence>,
}

impl Recurrence {
    pub(super) const fn new(modules: &'static [Module], input_bytes: u64, total_bytes: u64, state_bytes: u64) -> Self {
        let (reduce, apply) = (Kernel::new(modules, "scan_reduce"), Kernel::new(modules, "scan_apply"));
        Self { reduce, apply, input_bytes, total_bytes, state_bytes, totals: None }
    }

    fn window_rows(&self, work: &Recorder<'_>) -> usize {
        work.window_rows(self.input_bytes.max(self.state_bytes))
    }
}

/// `out + input`
pub(super) static SUM: Recurrence = Recurrence::new(&[Module::ScanSum], ELEMENT_BYTES, ELEMENT_BYTES, ELEMENT_BYTES);
/// `out·input`
pub(super) static PRODUCT: Recurrence =
    Recurrence::new(&[Module::ScanProduct], ELEMENT_BYTES, ELEMENT_BYTES, ELEMENT_BYTES);
/// `factors·out + terms`
pub(super) static AFFINE: Recurrence = Recurrence {
    totals: Some(&MAPS),
    ..Recurrence::new(&[Module::ScanAffine], ELEMENT_BYTES, 2 * ELEMENT_BYTES, ELEMENT_BYTES)
};
/// `factor·out + term`, with factor and term side by side.
static MAPS: Recurrence = Recurrence::new(&[Module::ScanMaps], 2 * ELEMENT_BYTES, 2 * ELEMENT_BYTES, ELEMENT_BYTES);
/// `out + input` of 32-bit words.
pub(super) static COUNT: Recurrence = Recurrence::new(&[Module::ScanCount], 4, 4, 4);

const DIVIDE_REDUCE: Kernel = Kernel::new(&[Module::Divide], "divide_reduce");
const DIVIDE_APPLY: Kernel = Kernel::new(&[Module::Divide], "divide_apply");

impl Wgpu {
    /// A recurrence over the rows of vectors of one length.
    pub(super) fn scan_rows(
        &self,
        operation: &'static str,
        recurrence: &'static Recurrence,
        inputs: &[&WgpuScalars],
        initial: Fr,
    ) -> Result<WgpuScalars> {
        let len = inputs[0].len;
        let out = self.device.vector(operation, len)?;
        let start = self.single(operation, initial)?;
        let inputs: Vec<&Buffer> = inputs.iter().map(|input| &input.buffer).collect();
        let mut work = self.record(operation);
        scan(&mut work, recurrence, &inputs, len, &start, &out.buffer)?;
        work.submit()?;
        Ok(out)
    }

    /// One element.
    fn single(&self, operation: &'static str, value: Fr) -> Result<Buffer> {
        let buffer = self.device.allocate(operation, ELEMENT_BYTES)?;
        self.device.write(operation, &buffer, 0, &[value])?;
        Ok(buffer)
    }

    /// The quotient by `X - root`, padded with one zero.
    pub(super) fn divide(&self, polynomial: &WgpuScalars, root: Fr) -> Result<WgpuScalars> {
        let operation = "divide_by_linear";
        let (len, blocks) = (polynomial.len, polynomial.len.div_ceil(BLOCK));
        let quotient = self.device.vector(operation, len)?;
        let mut work = self.record(operation);
        let mut states = work.allocate(ELEMENT_BYTES)?;
        work.clear(&states, 0, ELEMENT_BYTES);
        let all: Vec<Range<usize>> = ranges(len, work.window_rows(ELEMENT_BYTES)).collect();
        let params = |rows: &Range<usize>| {
            let inside = rows.len().div_ceil(BLOCK);
            let above = blocks - rows.start / BLOCK - inside;
            Params::words(&[rows.len() as u32, inside as u32, above as u32]).scalars(&[root])
        };
        let groups = |rows: &Range<usize>| rows.len().div_ceil(BLOCK) as u64;
        if blocks > 1 {
            let bytes = blocks as u64 * 2 * ELEMENT_BYTES;
            let totals = work.allocate(bytes)?;
            for rows in &all {
                let bound = [totals.first(bytes), polynomial.rows(rows.clone())];
                work.dispatch(&DIVIDE_REDUCE, params(rows), &bound, groups(rows))?;
            }
            let start = std::mem::replace(&mut states, work.allocate(blocks as u64 * ELEMENT_BYTES)?);
            scan(&mut work, &MAPS, &[&totals], blocks, &start, &states)?;
        }
        for rows in &all {
            let states = states.first(blocks as u64 * ELEMENT_BYTES);
            let bound = [quotient.rows(rows.clone()), polynomial.rows(rows.clone()), states];
            work.dispatch(&DIVIDE_APPLY, params(rows), &bound, groups(rows))?;
        }
        work.submit()?;
        Ok(quotient)
    }
}

/// Records a recurrence over `len` rows, from the state that `start` holds.
pub(super) fn scan(
    work: &mut Recorder<'_>,
    recurrence: &'static Recurrence,
    inputs: &[&Buffer],
    len: usize,
    start: &Buffer,
    out: &Buffer,
) -> Result<()> {
    let blocks = len.div_ceil(BLOCK);
    let mut states = start.clone();
    if blocks > 1 {
        let totals = reduce(work, recurrence, inputs, len)?;
        states = work.allocate(blocks as u64 * recurrence.state_bytes)?;
        scan(work, recurrence.totals.unwrap_or(recurrence), &[&totals], blocks, start, &states)?;
    }
    for rows in ranges(len, recurrence.window_rows(work)) {
        let mut bound = vec![window(out, &rows, recurrence.state_bytes)];
        bound.extend(inputs.iter().map(|input| window(input, &rows, recurrence.input_bytes)));
        bound.push(states.first(blocks as u64 * recurrence.state_bytes));
        work.dispatch(&recurrence.apply, params(&rows), &bound, rows.len().div_ceil(BLOCK) as u64)?;
    }
    Ok(())
}

/// Records the totals of the blocks.
pub(super) fn reduce(
    work: &mut Recorder<'_>,
    recurrence: &Recurrence,
    inputs: &[&Buffer],
    len: usize,
) -> Result<Buffer> {
    let bytes = len.div_ceil(BLOCK) as u64 * recurrence.total_bytes;
    let totals = work.allocate(bytes)?;
    for rows in ranges(len, recurrence.window_rows(work)) {
        let mut bound = vec![totals.first(bytes)];
        bound.extend(inputs.iter().map(|input| window(input, &rows, recurrence.input_bytes)));
        work.dispatch(&recurrence.reduce, params(&rows), &bound, rows.len().div_ceil(BLOCK) as u64)?;
    }
    Ok(totals)
}

/// The parameters of `scan.wgsl` and `invert.wgsl`.
pub(super) fn params(rows: &Range<usize>) -> Params {
    let [len, blocks, first] = [rows.len(), rows.len().div_ceil(BLOCK), rows.start / BLOCK].map(|count| count as u32);
    Params::words(&[len, blocks, first])
}
