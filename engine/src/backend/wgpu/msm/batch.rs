//! Jobs, and the batches that they run in.

use std::ops::Range;

use zkml_gpu_kernels::wgsl::Module;

use super::plan::{MIN_CHUNK, POINT_BYTES, Plan};
use super::{DIGIT_THREADS, POINT_THREADS, Part, WgpuBases};
use crate::backend::Result;
use crate::backend::gpu::pippenger::Job;
use crate::backend::wgpu::device::Device;
use crate::backend::wgpu::memory::WgpuScalars;
use crate::backend::wgpu::pipelines::Kernel;
use crate::backend::wgpu::pool::{Buffer, Window};
use crate::backend::wgpu::recorder::{Params, Recorder};

const COUNT: Kernel = Kernel::new(&[Module::MsmDigits], "msm_count");
const PLACE: Kernel = Kernel::new(&[Module::MsmDigits], "msm_place");
const SCAN_BLOCKS: Kernel = Kernel::new(&[Module::MsmScan], "msm_scan_blocks");
const SCAN_TOTALS: Kernel = Kernel::new(&[Module::MsmScan], "msm_scan_totals");
const SCAN_APPLY: Kernel = Kernel::new(&[Module::MsmScan], "msm_scan_apply");
const ACCUMULATE: Kernel = Kernel::new(&[Module::MsmSums], "msm_accumulate");
const WEIGH: Kernel = Kernel::new(&[Module::MsmWeigh], "msm_weigh");
const JOIN: Kernel = Kernel::new(&[Module::MsmJoin], "msm_join");
const DEPOSIT: Kernel = Kernel::new(&[Module::MsmJoin], "msm_deposit");

/// Buckets that a workgroup scans.
const SCAN_BLOCK: usize = 1024;
/// Bytes of a batch's largest buffer.
const BATCH_BYTES: u64 = 1 << 29;
/// Jobs of a batch: their places are parameters.
const BATCH_JOBS: usize = 1 << 11;
/// Chunks are made longer, up to `MAX_CHUNK` entries, where there are more than this.
const CHUNKS: usize = 1 << 16;
const MAX_CHUNK: usize = 64;
/// Additions that a submission has room for where it would double one point.
const ADDITIONS: usize = 128;
/// Segments of a batch, where its jobs have enough chunks, and chunks of a segment.
const SEGMENTS: usize = 1 << 17;
const SEGMENT_CHUNKS: usize = 8;

/// Jobs that run side by side.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    plan: Plan,
    jobs: &'a [Job],
    binding_bytes: u64,
    submission_points: usize,
}

/// The jobs of a part in as few batches as buffers allow.
pub(super) fn batches<'a>(part: &Part, jobs: &'a [Job], device: &Device) -> Vec<Batch<'a>> {
    let (plan, binding_bytes, submission_points) = (part.plan, device.limits.binding_bytes, device.submission_points);
    let limit = binding_bytes.min(BATCH_BYTES);
    let mut batches = Vec::new();
    let mut rest = jobs;
    while !rest.is_empty() {
        let (mut taken, mut sums) = (0, 0);
        for job in rest {
            sums += plan.decomposition.chunks(job.entries, MIN_CHUNK) as u64 * POINT_BYTES;
            let keys = ((taken + 1) * plan.decomposition.buckets() + 1) as u64 * 4;
            let points = (taken + 1) as u64 * POINT_BYTES;
            if taken > 0 && (sums.max(keys).max(points) > limit || taken == BATCH_JOBS) {
                break;
            }
            taken += 1;
        }
        let (jobs, after) = rest.split_at(taken);
        batches.push(Batch { plan, jobs, binding_bytes, submission_points });
        rest = after;
    }
    batches
}

/// Buckets by job: where their entries end, and where their chunks begin.
struct Buckets {
    ends: Buffer,
    chunks: Buffer,
}

impl Batch<'_> {
    /// Adds the batch's sums to those of the sets.
    pub(super) fn record(
        &self,
        work: &mut Recorder<'_>,
        bases: &WgpuBases,
        part: &Part,
        columns: &[&WgpuScalars],
        sets: &Window<'_>,
    ) -> Result<()> {
        let entries: usize = self.jobs.iter().map(|job| job.entries).sum();
        if entries == 0 {
            return Ok(());
        }
        let chunk = (entries / CHUNKS).clamp(MIN_CHUNK, MAX_CHUNK);
        let placed = work.allocate(entries as u64 * 4)?;
        let placed = placed.first(entries as u64 * 4);
        let buckets = self.sort(work, part, columns, chunk, &placed)?;
        let chunks: usize = self.jobs.iter().map(|job| self.plan.decomposition.chunks(job.entries, chunk)).sum();
        let [sums, keys] = [work.allocate(chunks as u64 * POINT_BYTES)?, work.allocate(chunks as u64 * 4)?];
        let [sums, keys] = [sums.first(chunks as u64 * POINT_BYTES), keys.first(chunks as u64 * 4)];
        let starts = buckets.chunks.first(self.keys_bytes() + 4);
        let ends = buckets.ends.first(self.keys_bytes());
        let windows = [starts.clone(), ends, placed, part.table(bases), sums.clone(), keys.clone()];
        let slice = (self.submission_points * ADDITIONS / chunk).max(1);
        for first in (0..chunks).step_by(slice) {
            let params = Params::words(&[self.keys(), chunk, first].map(|word| word as u32));
            let groups = (slice.min(chunks - first) as u64).div_ceil(POINT_THREADS);
            work.dispatch(&ACCUMULATE, params, &windows, groups)?;
            work.submit()?;
        }
        self.weigh(work, chunk, [starts, sums, keys], sets)
    }

    fn keys(&self) -> usize {
        self.jobs.len() * self.plan.decomposition.buckets()
    }

    fn keys_bytes(&self) -> u64 {
        self.keys() as u64 * 4
    }

    /// The entries of all jobs, sorted by bucket.
    fn sort(
        &self,
        work: &mut Recorder<'_>,
        part: &Part,
        columns: &[&WgpuScalars],
        chunk: usize,
        placed: &Window<'_>,
    ) -> Result<Buckets> {
        let (keys, bytes) = (self.keys(), self.keys_bytes());
        let [counts, ends, chunks] = [work.allocate(bytes)?, work.allocate(bytes)?, work.allocate(bytes + 4)?];
        work.clear(&counts, 0, bytes);
        self.each_column(work, part, columns, &COUNT, &[counts.first(bytes)])?;
        let blocks = keys.div_ceil(SCAN_BLOCK);
        let totals = work.allocate(blocks as u64 * 8)?;
        let totals = totals.first(blocks as u64 * 8);
        let params = Params::words(&[keys, blocks, chunk].map(|word| word as u32));
        work.dispatch(&SCAN_BLOCKS, params.clone(), &[counts.first(bytes), totals.clone()], blocks as u64)?;
        work.dispatch(&SCAN_TOTALS, params.clone(), &[counts.first(bytes), totals.clone()], 1)?;
        let windows = [counts.first(bytes), totals, ends.first(bytes), chunks.first(bytes + 4)];
        work.dispatch(&SCAN_APPLY, params, &windows, blocks as u64)?;
        self.each_column(work, part, columns, &PLACE, &[ends.first(bytes), placed.clone()])?;
        Ok(Buckets { ends, chunks })
    }

    /// Runs a kernel on the digits of each column's jobs.
    fn each_column(
        &self,
        work: &mut Recorder<'_>,
        part: &Part,
        columns: &[&WgpuScalars],
        kernel: &Kernel,
        windows: &[Window<'_>],
    ) -> Result<()> {
        let mut first_job = 0;
        for jobs in self.jobs.chunk_by(|a, b| a.column == b.column) {
            let sets: Range<usize> = jobs[0].set..jobs[0].set + jobs.len();
            if let Some((scalars, rows)) = part.scalars(columns[jobs[0].column]) {
                let mut all = vec![scalars];
                all.extend_from_slice(windows);
                let groups = (rows as u64).div_ceil(DIGIT_THREADS);
                work.dispatch(kernel, part.digits(rows, sets, first_job), &all, groups)?;
            }
            first_job += jobs.len();
        }
        Ok(())
    }

    /// The weighted sum of each job's chunks, added to the sum of its set.
    fn weigh(
        &self,
        work: &mut Recorder<'_>,
        chunk: usize,
        [starts, sums, keys]: [Window<'_>; 3],
        sets: &Window<'_>,
    ) -> Result<()> {
        let jobs = self.jobs.len();
        let mut len = self.segments(chunk);
        let points = |len: usize| (jobs * len) as u64 * POINT_BYTES;
        let mut segments = work.allocate(points(len))?;
        let params = Params::words(&[jobs, len, self.plan.decomposition.bucket_bits()].map(|word| word as u32));
        let windows = [starts, sums, keys, segments.first(points(len))];
        work.dispatch(&WEIGH, params, &windows, ((jobs * len) as u64).div_ceil(POINT_THREADS))?;
        while len > 1 {
            let groups = len.div_ceil(POINT_THREADS as usize);
            let joined = work.allocate(points(groups))?;
            let params = Params::words(&[jobs, len, groups].map(|word| word as u32));
            let windows = [segments.first(points(len)), joined.first(points(groups))];
            work.dispatch(&JOIN, params, &windows, (jobs * groups) as u64)?;
            (segments, len) = (joined, groups);
        }
        let places = self.jobs.iter().map(|job| (job.column * self.plan.decomposition.sets + job.set) as u32);
        let params: Vec<u32> = std::iter::once(jobs as u32).chain(places).collect();
        let windows = [segments.first(points(1)), sets.clone()];
        work.dispatch(&DEPOSIT, Params::words(&params), &windows, (jobs as u64).div_ceil(POINT_THREADS))
    }

    /// Segments of each job.
    fn segments(&self, chunk: usize) -> usize {
        let largest = self.jobs.iter().map(|job| self.plan.decomposition.chunks(job.entries, chunk)).max().unwrap_or(0);
        let points = usize::try_from(self.binding_bytes / POINT_BYTES).unwrap_or(usize::MAX).min(SEGMENTS);
        largest.div_ceil(SEGMENT_CHUNKS).min(points / self.jobs.len()).max(1)
    }
}
