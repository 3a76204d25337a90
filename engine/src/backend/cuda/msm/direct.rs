//! Sums of few points: a table has every multiple that a digit may ask for, so that nothing is counted, sorted or laid
//! out, and the host waits once.
//!
//! A small circuit's proof has many multiplications of few points, each of which would keep a device busy for less time
//! than the start of the twenty kernels of Pippenger's method takes.

use std::ops::RangeInclusive;

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::G1Affine;

use super::batch::DigitColumn;
use super::{AFFINE_BYTES, CudaBases, POINT_THREADS, Point, kernel, point_blocks};
use crate::backend::Result;
use crate::backend::cuda::device::Buffer;
use crate::backend::cuda::driver::Address;
use crate::backend::cuda::kernels::{Arguments, Kernel};
use crate::backend::cuda::memory::{CudaScalars, Work};
use crate::backend::gpu::pippenger::Decomposition;

const DIRECT: Kernel = kernel("msm_direct", POINT_THREADS);
const MULTIPLES: Kernel = kernel("msm_multiples", POINT_THREADS);

/// Points at most. Of more, buckets take fewer additions than this has digits, and keep a device busy.
const POINTS: usize = 1 << 13;
/// Widths of windows. The narrowest that digits come in without carries; and one more bit saves a fifth of the
/// additions for 1.6 times the table, the next one a sixth for 1.7 times that.
const WIDTHS: RangeInclusive<usize> = 4..=5;
/// Threads of a multiprocessor that keep it busy.
const BUSY_THREADS: usize = 1 << 9;
/// Digits of a thread: at least as many as are worth a thread's share in the sum of its block, which takes one addition
/// of two sums for each, and no more than make a block wait for its slowest thread.
const EACH: RangeInclusive<usize> = 4..=32;

/// `DirectParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct DirectParams {
    columns: Address,
    halves: [u32; 10],
    points: u32,
    bits: u32,
    windows: u32,
    each: u32,
    groups: u32,
    padding: [u32; 1],
}

/// Multiples of a point in its table.
fn multiples(decomposition: &Decomposition) -> usize {
    decomposition.windows() * decomposition.buckets()
}

/// The widest windows whose table has at most `spare` points; none for many points.
pub(super) fn choose(points: usize, spare: usize) -> Option<Decomposition> {
    let mut all = WIDTHS.rev().map(Decomposition::without_table);
    all.find(|decomposition| (1..=POINTS).contains(&points) && points * multiples(decomposition) <= spare)
}

impl CudaBases {
    /// Bytes of the table of all multiples.
    pub(super) fn direct_bytes(&self) -> usize {
        let all = self.len * multiples(&self.decomposition) * AFFINE_BYTES as usize;
        if self.direct.is_some() { all } else { 0 }
    }
}

impl Work<'_> {
    /// The table of all multiples of these bases' points.
    pub(super) fn load_direct(&self, bases: &CudaBases) -> Result<Buffer> {
        let (len, half) = (bases.len, bases.decomposition.buckets());
        let table = self.allocate((len * multiples(&bases.decomposition)) as u64 * AFFINE_BYTES)?;
        let scratch = self.room::<Point>(len * half)?;
        let levels = [self.allocate(len as u64 * AFFINE_BYTES)?, self.allocate(len as u64 * AFFINE_BYTES)?];
        let mut level = bases.level(0);
        for window in 0..bases.decomposition.windows() {
            let next = levels[window % levels.len()].address();
            let place = table.address() + (window * len * half) as u64 * AFFINE_BYTES;
            let arguments = Arguments::new().word(len).word(half).address(level).address(scratch.address());
            self.launch(&MULTIPLES, point_blocks(len), arguments.address(place).address(next))?;
            level = next;
        }
        Ok(table)
    }

    /// As [`sums_together`](Work::sums_together), by the table of all multiples.
    pub(super) fn direct_sums(
        &self,
        bases: &CudaBases,
        table: &Buffer,
        columns: &[&CudaScalars],
    ) -> Result<Vec<G1Affine>> {
        let decomposition = &bases.decomposition;
        let digits = columns.iter().map(|column| column.len).max().unwrap_or(0) * decomposition.windows();
        if digits == 0 {
            return Ok(vec![G1Affine::default(); columns.len()]);
        }
        let busy = self.cuda.device.properties.multiprocessors.max(1) * BUSY_THREADS;
        let each = (columns.len() * digits / busy).clamp(*EACH.start(), *EACH.end());
        let groups = digits.div_ceil(each * POINT_THREADS as usize);
        let list: Vec<_> = columns.iter().map(|column| DigitColumn::new(column, 0..0, 0)).collect();
        let list = self.upload(&list)?;
        let params = DirectParams {
            columns: list.address(),
            halves: decomposition.halves(),
            points: bases.len as u32,
            bits: decomposition.bits as u32,
            windows: decomposition.windows() as u32,
            each: each as u32,
            groups: groups as u32,
            padding: [0],
        };
        let sums = self.room::<Point>(columns.len() * groups)?;
        let arguments = Arguments::new().value(&params).address(table.address()).address(sums.address());
        self.launch_grid(&DIRECT, [groups, columns.len()], arguments)?;
        let sums = self.join(columns.len(), groups, sums)?;
        self.affine(&sums, columns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_to_the_budget_and_many_points_have_none() {
        assert_eq!(choose(0, usize::MAX), None);
        assert_eq!(choose(POINTS + 1, usize::MAX), None);
        // 51 windows of 16 multiples, or 64 of 8.
        for (spare, bits) in [(816_000, Some(5)), (815_999, Some(4)), (512_000, Some(4)), (511_999, None)] {
            assert_eq!(choose(1000, spare).map(|decomposition| decomposition.bits), bits, "{spare}");
        }
    }
}
