//! Batch inversion (Montgomery's trick) by blocks: products of the blocks, inverses of those in the same way, and from
//! them the elements'.

use zkml_gpu_kernels::wgsl::Module;

use super::memory::ELEMENT_BYTES;
use super::pipelines::Kernel;
use super::pool::Buffer;
use super::recorder::Recorder;
use super::scan::{BLOCK, Recurrence, params, reduce};
use super::windows::{ranges, window};
use super::{Wgpu, WgpuScalars};
use crate::backend::Result;

/// Products of blocks in which zeros do not count.
static NONZERO: Recurrence = Recurrence::new(&[Module::ScanNonzero], ELEMENT_BYTES, ELEMENT_BYTES, ELEMENT_BYTES);
const INVERT_APPLY: Kernel = Kernel::new(&[Module::Invert], "invert_apply");
const INVERT_ONE: Kernel = Kernel::new(&[Module::Invert], "invert_one");

impl Wgpu {
    /// Inverts every element: one inversion for all of them.
    pub(super) fn invert_all(&self, vector: &mut WgpuScalars) -> Result<()> {
        let mut work = self.record("batch_invert");
        invert(&mut work, &vector.buffer, vector.len)?;
        work.submit()
    }
}

/// Records inversions in place.
fn invert(work: &mut Recorder<'_>, values: &Buffer, len: usize) -> Result<()> {
    if len <= 1 {
        return work.dispatch(&INVERT_ONE, params(&(0..len)), &[values.first(len as u64 * ELEMENT_BYTES)], 1);
    }
    let products = reduce(work, &NONZERO, &[values], len)?;
    let blocks = len.div_ceil(BLOCK);
    invert(work, &products, blocks)?;
    for rows in ranges(len, work.window_rows(ELEMENT_BYTES)) {
        let bound = [window(values, &rows, ELEMENT_BYTES), products.first(blocks as u64 * ELEMENT_BYTES)];
        work.dispatch(&INVERT_APPLY, params(&rows), &bound, rows.len().div_ceil(BLOCK) as u64)?;
    }
    Ok(())
}
