//! Multi-scalar multiplication: Pippenger's buckets with signed digits, sorted by counting, and precomputed multiples.
//!
//! | step | kernels | file |
//! |---|---|---|
//! | how many digits each window of each column has, read back once | `msm_measure` | `msm_digits.wgsl` |
//! | digits to entries sorted by bucket | `msm_count`, `msm_scan_*`, `msm_place` | `msm_digits.wgsl`, `msm_scan.wgsl` |
//! | sums of chunks of buckets | `msm_accumulate` | `msm_sums.wgsl` |
//! | weighted sums of segments of chunks | `msm_weigh` | `msm_weigh.wgsl` |
//! | sums of sets, joined to sums of columns | `msm_join`, `msm_deposit`, `msm_combine` | `msm_join.wgsl` |
//!
//! A job is one set of buckets of one column. Sets that no digit falls into are no jobs, so small scalars are cheap;
//! many jobs run in one batch. Rows beyond what a kernel sees at once are worked on part by part. The host converts one
//! point for each column to affine coordinates, and does no other arithmetic.

mod batch;
mod plan;

use std::ops::Range;

use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::serde::SerdeObject;
use zkml_gpu_kernels::wgsl::Module;

use super::Wgpu;
use super::memory::WgpuScalars;
use super::pipelines::Kernel;
use super::pool::{Buffer, Window};
use super::recorder::{Params, Recorder};
use crate::backend::gpu::pippenger::{Decomposition, Job, jobs, to_affine};
use crate::backend::{MsmOps, Result};
use crate::error::BackendError;
use plan::{AFFINE_BYTES, POINT_BYTES, Plan};

const MEASURE: Kernel = Kernel::new(&[Module::MsmDigits], "msm_measure");
const COMBINE: Kernel = Kernel::new(&[Module::MsmJoin], "msm_combine");
const DOUBLE: Kernel = Kernel::new(&[Module::MsmTable], "msm_double");
const NORMALIZE: Kernel = Kernel::new(&[Module::MsmTable], "msm_normalize");

/// Invocations of a workgroup of kernels on scalars, and on points.
const DIGIT_THREADS: u64 = 256;
const POINT_THREADS: u64 = 64;
/// Places for the digits of a column's windows: 256 bytes, the largest alignment of windows.
const MEASURED_WORDS: usize = 64;
/// Points of one transfer to the device.
const TRANSFER_POINTS: usize = 1 << 20;

/// Points and their precomputed multiples, in device memory.
#[derive(Debug)]
pub struct WgpuBases {
    len: usize,
    plan: Plan,
    table: Buffer,
}

impl WgpuBases {
    fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let Self { len, plan, .. } = *self;
        (0..len).step_by(plan.part).map(move |start| Part { plan, rows: start..len.min(start + plan.part) })
    }

    fn column(&self, column: &WgpuScalars) -> Result<()> {
        match column.len > self.len {
            true => Err(BackendError::TooFewBases { scalars: column.len, bases: self.len }),
            false => Ok(()),
        }
    }
}

/// Rows that a kernel sees at once.
#[derive(Debug, Clone)]
struct Part {
    plan: Plan,
    rows: Range<usize>,
}

impl Part {
    /// Rows of a level in the table.
    fn stride(&self) -> usize {
        self.rows.len()
    }

    /// Where the part begins in the table.
    fn offset(&self) -> u64 {
        (self.rows.start * self.plan.decomposition.levels()) as u64 * AFFINE_BYTES
    }

    fn table<'a>(&self, bases: &'a WgpuBases) -> Window<'a> {
        let bytes = (self.stride() * self.plan.decomposition.levels()) as u64 * AFFINE_BYTES;
        bases.table.window(self.offset()..self.offset() + bytes)
    }

    /// The column's rows in this part.
    fn scalars<'a>(&self, column: &'a WgpuScalars) -> Option<(Window<'a>, usize)> {
        let end = self.rows.end.min(column.len);
        let rows = end.checked_sub(self.rows.start).filter(|rows| *rows > 0)?;
        Some((column.rows(self.rows.start..end), rows))
    }

    /// Parameters of the kernels on digits.
    fn digits(&self, rows: usize, sets: Range<usize>, first_job: usize) -> Params {
        let Decomposition { bits, sets: all } = self.plan.decomposition;
        let words =
            [rows, self.stride(), bits, all, self.plan.decomposition.windows(), sets.start, sets.end, first_job];
        let mut words = words.map(|word| word as u32).to_vec();
        words.extend(self.plan.decomposition.halves());
        Params::words(&words)
    }
}

impl MsmOps for Wgpu {
    type Bases = WgpuBases;

    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<WgpuBases> {
        let spare = table_budget_bytes / AFFINE_BYTES as usize;
        let bases = self.empty_bases("load_bases", points.len(), spare)?;
        for part in bases.parts() {
            for (i, chunk) in points[part.rows.clone()].chunks(TRANSFER_POINTS).enumerate() {
                let offset = part.offset() + (i * TRANSFER_POINTS) as u64 * AFFINE_BYTES;
                self.write_points(&bases.table, offset, chunk)?;
            }
            self.multiples(&bases, &part)?;
        }
        Ok(bases)
    }

    fn bases_len(&self, bases: &WgpuBases) -> usize {
        bases.len
    }

    fn table_bytes(&self, bases: &WgpuBases) -> Option<usize> {
        Some((bases.plan.decomposition.levels() - 1) * bases.len * AFFINE_BYTES as usize)
    }

    fn msm(&self, bases: &WgpuBases, columns: &[&WgpuScalars]) -> Result<Vec<G1Affine>> {
        columns.iter().try_for_each(|column| bases.column(column))?;
        self.sums("msm", bases, columns)
    }

    fn msm_rows(&self, bases: &WgpuBases, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        let operation = "msm_rows";
        if rows.len() != scalars.len() {
            return Err(BackendError::LengthMismatch { operation, expected: rows.len(), got: scalars.len() });
        }
        if let Some(row) = rows.iter().find(|row| **row >= bases.len) {
            return Err(BackendError::TooFewBases { scalars: row + 1, bases: bases.len });
        }
        let column = self.device.vector(operation, scalars.len())?;
        self.device.write(operation, &column.buffer, 0, scalars)?;
        // The rows' points as bases of their own, without multiples.
        let chosen = self.empty_bases(operation, rows.len(), 0)?;
        let mut work = self.record(operation);
        for (place, row) in rows.iter().enumerate() {
            let Plan { part, .. } = bases.plan;
            let from = ((row / part) * part * bases.plan.decomposition.levels() + row % part) as u64 * AFFINE_BYTES;
            work.copy(&bases.table, from, &chosen.table, place as u64 * AFFINE_BYTES, AFFINE_BYTES);
        }
        work.submit()?;
        let sums = self.sums(operation, &chosen, &[&column])?;
        Ok(sums.into_iter().next().unwrap_or_default())
    }
}

impl Wgpu {
    fn empty_bases(&self, operation: &'static str, len: usize, spare: usize) -> Result<WgpuBases> {
        let limits = self.device.limits;
        let most = usize::try_from(limits.buffer_bytes / AFFINE_BYTES).unwrap_or(usize::MAX);
        let plan = Plan::choose(len, spare.min(most.saturating_sub(len)), limits.binding_bytes);
        let table = self.device.allocate(operation, (len * plan.decomposition.levels()) as u64 * AFFINE_BYTES)?;
        Ok(WgpuBases { len, plan, table })
    }

    fn write_points(&self, table: &Buffer, offset: u64, points: &[G1Affine]) -> Result<()> {
        let operation = "load_bases";
        let mut bytes = Vec::with_capacity(size_of_val(points));
        for coordinate in points.iter().flat_map(|point| [point.x, point.y]) {
            let written = coordinate.write_raw(&mut bytes);
            written.map_err(|failed| self.device.error(operation, failed.to_string()))?;
        }
        self.device.counters.add(|counters| {
            counters.bytes_up += bytes.len() as u64;
            counters.copies += 1;
        });
        self.device.attempt(operation, || {
            self.device.queue.write_buffer(table.raw(), offset, &bytes);
            self.device.queue.submit([]);
        })
    }

    /// All levels of a part after the first.
    fn multiples(&self, bases: &WgpuBases, part: &Part) -> Result<()> {
        let (rows, stride) = (part.rows.len(), part.stride());
        for level in 1..bases.plan.decomposition.levels() {
            for first in (0..rows).step_by(self.device.submission_points) {
                let rows = self.device.submission_points.min(rows - first);
                let bytes = rows as u64 * POINT_BYTES;
                let groups = (rows as u64).div_ceil(POINT_THREADS);
                let mut work = self.record("load_bases");
                let doubled = work.allocate(bytes)?;
                let params = |level: usize| {
                    Params::words(
                        &[rows, level * stride + first, bases.plan.decomposition.level_bits()].map(|word| word as u32),
                    )
                };
                work.dispatch(&DOUBLE, params(level - 1), &[part.table(bases), doubled.first(bytes)], groups)?;
                work.dispatch(&NORMALIZE, params(level), &[doubled.first(bytes), part.table(bases)], groups)?;
                work.submit()?;
            }
        }
        Ok(())
    }

    /// `Σ_i column_i·bases_i` for every column; none is longer than the bases.
    fn sums(&self, operation: &'static str, bases: &WgpuBases, columns: &[&WgpuScalars]) -> Result<Vec<G1Affine>> {
        let set_bytes = bases.plan.decomposition.sets as u64 * POINT_BYTES;
        let together = (self.device.limits.binding_bytes / set_bytes).clamp(1, 1 << 10) as usize;
        let mut sums = Vec::with_capacity(columns.len());
        for columns in columns.chunks(together) {
            let measured = self.measure(operation, bases, columns)?;
            let bytes = columns.len() as u64 * set_bytes;
            let sets = self.device.allocate(operation, bytes)?;
            let mut work = self.record(operation);
            work.clear(&sets, 0, bytes);
            for (part, measured) in bases.parts().zip(&measured) {
                for batch in batch::batches(&part, measured, &self.device) {
                    batch.record(&mut work, bases, &part, columns, &sets.first(bytes))?;
                    work.submit()?;
                }
            }
            let words = self.combine(work, &bases.plan.decomposition, columns.len(), &sets.first(bytes))?;
            let (points, _) = words.as_chunks::<{ POINT_BYTES as usize / 4 }>();
            for point in points {
                let sum = to_affine(bytemuck::cast(*point));
                sums.push(sum.ok_or_else(|| self.device.error(operation, "a coordinate is not below the modulus"))?);
            }
        }
        Ok(sums)
    }

    /// The jobs of each part: how many digits each set of each column has.
    fn measure(&self, operation: &'static str, bases: &WgpuBases, columns: &[&WgpuScalars]) -> Result<Vec<Vec<Job>>> {
        let parts: Vec<_> = bases.parts().collect();
        let bytes = (parts.len() * columns.len() * MEASURED_WORDS * 4) as u64;
        let measured = self.device.allocate(operation, bytes)?;
        let mut work = self.record(operation);
        work.clear(&measured, 0, bytes);
        let mut offset = 0;
        for part in &parts {
            for column in columns {
                let end = offset + MEASURED_WORDS as u64 * 4;
                if let Some((scalars, rows)) = part.scalars(column) {
                    let groups = (rows as u64).div_ceil(DIGIT_THREADS);
                    let params = part.digits(rows, 0..0, 0);
                    work.dispatch(&MEASURE, params, &[scalars, measured.window(offset..end)], groups)?;
                }
                offset = end;
            }
        }
        let words = work.read(&measured.first(bytes))?;
        let columns = words.chunks(MEASURED_WORDS * columns.len().max(1));
        Ok(columns.map(|part| jobs(&bases.plan.decomposition, part, MEASURED_WORDS)).collect())
    }

    /// The words of every column's sum.
    fn combine(
        &self,
        mut work: Recorder<'_>,
        decomposition: &Decomposition,
        columns: usize,
        sets: &Window<'_>,
    ) -> Result<Vec<u32>> {
        let bytes = columns as u64 * POINT_BYTES;
        let sums = work.allocate(bytes)?;
        let params = Params::words(&[columns, decomposition.sets, decomposition.bits].map(|word| word as u32));
        let groups = (columns as u64).div_ceil(POINT_THREADS);
        work.dispatch(&COMBINE, params, &[sets.clone(), sums.first(bytes)], groups)?;
        work.read(&sums.first(bytes))
    }
}

#[cfg(test)]
mod tests;
