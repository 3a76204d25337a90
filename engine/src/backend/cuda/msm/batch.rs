//! Jobs, and the batches that they run in.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use zkml_gpu_kernels::cuda::Module;

use super::decomposition::{low_bits, parts};
use super::{CudaBases, DIGIT_THREADS, POINT_BYTES, POINT_THREADS, Point, digit_grid, kernel, point_blocks};
use crate::backend::Result;
use crate::backend::cuda::device::Buffer;
use crate::backend::cuda::driver::Address;
use crate::backend::cuda::kernels::{Arguments, Kernel};
use crate::backend::cuda::memory::{CudaScalars, Work};
use crate::backend::cuda::scan::{COUNT, Recurrence};
use crate::backend::gpu::pippenger::{Decomposition, Job};

/// Threads of a block of kernels on entries, and on chunks.
const BUCKET_THREADS: u32 = 256;
const CHUNK_THREADS: u32 = 128;
/// Scalars of a block: `DIGIT_ROWS`.
pub(super) const DIGIT_ROWS: usize = 512;
/// Entries of a block: `BUCKET_ENTRIES`.
const BUCKET_ENTRIES: usize = 2048;
/// Lengths that a chunk may have, zero included: `CHUNK_LENGTHS`.
const CHUNK_LENGTHS: usize = 256;

const STARTS: Kernel = kernel("msm_starts", DIGIT_THREADS);
const PLACE: Kernel = kernel("msm_place", DIGIT_THREADS);
const COUNT_BUCKETS: Kernel = kernel("msm_count_buckets", BUCKET_THREADS);
const PLACE_BUCKETS: Kernel = kernel("msm_place_buckets", BUCKET_THREADS);
const CHUNKS: Kernel = kernel("msm_chunks", CHUNK_THREADS);
const LENGTHS: Kernel = kernel("msm_lengths", 1);
const ORDER: Kernel = kernel("msm_order", CHUNK_THREADS);
const ACCUMULATE: Kernel = kernel("msm_accumulate", CHUNK_THREADS);
const WEIGH: Kernel = kernel("msm_weigh", POINT_THREADS);
const JOIN: Kernel = kernel("msm_join", POINT_THREADS);
const DEPOSIT: Kernel = kernel("msm_deposit", POINT_THREADS);

/// Running sums of the sizes of buckets, and the same from numbers of entries.
static SIZES: Recurrence =
    Recurrence::new(Module::Msm, ["msm_bucket_sizes_reduce", "msm_bucket_sizes_apply"], size_of::<BucketSize>() as u64);
static COUNTED: Recurrence = Recurrence::new(
    Module::Msm,
    ["msm_counted_buckets_reduce", "msm_counted_buckets_apply"],
    size_of::<BucketSize>() as u64,
)
.with_totals(&SIZES);

/// Chunks for each multiprocessor that keep a device busy several times over: they are made longer, within bounds,
/// where there are more.
const FULL_CHUNKS: usize = 1 << 11;
const MIN_CHUNK: usize = 8;
const MAX_CHUNK: usize = CHUNK_LENGTHS - 1;
/// Segments of a batch, where its jobs have enough chunks, and chunks of a segment.
const SEGMENTS: usize = 1 << 16;
const SEGMENT_CHUNKS: usize = 8;
/// A batch takes this share of the memory that is free.
const MEMORY_SHARE: u64 = 4;
/// Entries and buckets of a batch at most: they are numbered in 32 bits.
const BATCH_NUMBERS: usize = 1 << 31;

/// `DigitColumn`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct DigitColumn {
    scalars: Address,
    len: u32,
    first_set: u32,
    end_set: u32,
    first_job: u32,
}

impl DigitColumn {
    pub(super) fn new(column: &CudaScalars, sets: Range<usize>, first_job: usize) -> Self {
        Self {
            scalars: column.address(),
            len: column.len as u32,
            first_set: sets.start as u32,
            end_set: sets.end as u32,
            first_job: first_job as u32,
        }
    }
}

/// `DigitParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct DigitParams {
    columns: Address,
    halves: [u32; 10],
    stride: u32,
    bits: u32,
    sets: u32,
    windows: u32,
    low_bits: u32,
    padding: [u32; 1],
}

/// How the kernels on digits read the columns of a list.
pub(super) fn digits(bases: &CudaBases, columns: Address) -> DigitParams {
    let decomposition = &bases.decomposition;
    DigitParams {
        columns,
        halves: decomposition.halves(),
        stride: bases.len as u32,
        bits: decomposition.bits as u32,
        sets: decomposition.sets as u32,
        windows: decomposition.windows() as u32,
        low_bits: low_bits(decomposition) as u32,
        padding: [0],
    }
}

/// `BucketParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct BucketParams {
    keys: Address,
    entries: u32,
    low_bits: u32,
}

/// `BucketSize`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct BucketSize {
    entries: u32,
    chunks: u32,
}

/// `BucketCounts`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct BucketCounts {
    counts: Address,
    chunk: u32,
    padding: [u32; 1],
}

/// `Chunk`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Chunk {
    key: u32,
    first: u32,
    len: u32,
}

/// `ChunkParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ChunkParams {
    buckets: Address,
    keys: u32,
    padding: [u32; 1],
}

/// `WeighParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct WeighParams {
    buckets: Address,
    chunks: Address,
    jobs: u32,
    segments: u32,
    bucket_bits: u32,
    padding: [u32; 1],
}

/// `MsmJob`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct MsmJob {
    column: u32,
    set: u32,
}

/// Bytes of scratch space that a job takes at most: keys and two lists of entries, buckets and their counts, chunks and
/// their sums.
fn job_bytes(decomposition: &Decomposition, job: &Job) -> u64 {
    let words = 3 * job.entries + 3 * decomposition.buckets();
    let chunks = decomposition.chunks(job.entries, MIN_CHUNK) as u64;
    words as u64 * 4 + chunks * (size_of::<Chunk>() as u64 + 4 + POINT_BYTES)
}

/// Entries sorted by bucket, and the chunks of buckets.
struct Sorted {
    sizes: Buffer,
    chunks: Buffer,
    order: Buffer,
    entries: Buffer,
    /// Chunks at most.
    most: usize,
}

impl Work<'_> {
    /// The jobs in as few batches as memory allows.
    pub(super) fn batches<'j>(&self, decomposition: &Decomposition, jobs: &'j [Job]) -> Result<Vec<&'j [Job]>> {
        let limit = self.cuda.device.free_bytes() / MEMORY_SHARE;
        let mut batches = Vec::new();
        let mut rest = jobs;
        while !rest.is_empty() {
            let (mut taken, mut bytes, mut entries) = (0, 0, 0);
            for job in rest {
                bytes += job_bytes(decomposition, job);
                entries += job.entries;
                let numbers = entries.max((taken + 1) * decomposition.buckets());
                if taken > 0 && (bytes > limit || numbers >= BATCH_NUMBERS) {
                    break;
                }
                taken += 1;
            }
            let (batch, after) = rest.split_at(taken);
            batches.push(batch);
            rest = after;
        }
        Ok(batches)
    }

    /// Puts the sums of a batch's jobs among those of all sets.
    pub(super) fn run_batch(
        &self,
        bases: &CudaBases,
        columns: &[&CudaScalars],
        counts: &Buffer,
        batch: &[Job],
        sets: &Buffer,
    ) -> Result<()> {
        let entries: usize = batch.iter().map(|job| job.entries).sum();
        if entries == 0 {
            return Ok(());
        }
        let list: Vec<_> = batch.iter().map(|job| MsmJob { column: job.column as u32, set: job.set as u32 }).collect();
        let jobs = self.upload(&list)?;
        let full = self.cuda.device.properties.multiprocessors.max(1) * FULL_CHUNKS;
        let chunk = (entries / full).clamp(MIN_CHUNK, MAX_CHUNK);
        let sorted = self.sort(bases, columns, counts, (batch, &jobs), chunk)?;
        let sums = self.room::<Point>(sorted.most)?;
        let arguments = Arguments::new().value(&sorted.params(bases, batch)).address(sorted.chunks.address());
        let arguments = arguments.address(sorted.order.address()).address(sorted.entries.address());
        let arguments = arguments.address(bases.table.address()).address(sums.address());
        self.launch(&ACCUMULATE, sorted.blocks(), arguments)?;
        let sums = self.weigh(&bases.decomposition, batch, chunk, &sorted, &sums)?;
        let arguments = Arguments::new().word(batch.len()).word(bases.decomposition.sets).address(jobs.address());
        let arguments = arguments.address(sums.address()).address(sets.address());
        self.launch(&DEPOSIT, point_blocks(batch.len()), arguments)
    }

    fn sort(
        &self,
        bases: &CudaBases,
        columns: &[&CudaScalars],
        counts: &Buffer,
        (batch, jobs): (&[Job], &Buffer),
        chunk: usize,
    ) -> Result<Sorted> {
        let decomposition = &bases.decomposition;
        let entries: usize = batch.iter().map(|job| job.entries).sum();
        let parts = batch.len() * parts(decomposition);
        // Runs of jobs of one column: every column at most once.
        let runs: Vec<&[Job]> = batch.chunk_by(|a, b| a.column == b.column).collect();
        let mut first_job = 0;
        let list = runs.iter().map(|run| {
            let sets = run[0].set..run[0].set + run.len();
            let column = DigitColumn::new(columns[run[0].column], sets, first_job);
            first_job += run.len();
            column
        });
        let list = self.upload(&list.collect::<Vec<_>>())?;
        let digits = digits(bases, list.address());
        let sizes = self.room::<u32>(parts)?;
        let arguments = Arguments::new().value(&digits).word(batch.len()).address(jobs.address());
        let arguments = arguments.address(counts.address()).address(sizes.address());
        self.launch(&STARTS, parts.div_ceil(DIGIT_THREADS as usize), arguments)?;
        let (zero, next) = (self.zeroed::<BucketSize>(1)?, self.room::<u32>(parts)?);
        let input = || Arguments::new().word(parts).address(sizes.address());
        self.scan(&COUNT, parts, &input, zero.address(), next.address())?;
        let [keys, unsorted, sorted] =
            [self.room::<u32>(entries)?, self.room::<u32>(entries)?, self.room::<u32>(entries)?];
        let used: Vec<&CudaScalars> = runs.iter().map(|run| columns[run[0].column]).collect();
        let arguments = Arguments::new().value(&digits).address(next.address()).address(keys.address());
        self.launch_grid(&PLACE, digit_grid(&used), arguments.address(unsorted.address()))?;

        let buckets = batch.len() << decomposition.bucket_bits();
        let counts = self.zeroed::<u32>(buckets + 1)?;
        let params = BucketParams { keys: keys.address(), entries: entries as u32, low_bits: digits.low_bits };
        let blocks = entries.div_ceil(BUCKET_ENTRIES);
        self.launch(&COUNT_BUCKETS, blocks, Arguments::new().value(&params).address(counts.address()))?;
        let counted = BucketCounts { counts: counts.address(), chunk: chunk as u32, padding: [0] };
        let sizes = self.room::<BucketSize>(buckets + 1)?;
        let input = || Arguments::new().word(buckets + 1).value(&counted);
        self.scan(&COUNTED, buckets + 1, &input, zero.address(), sizes.address())?;
        let arguments = Arguments::new().value(&params).address(unsorted.address()).address(sizes.address());
        self.launch(&PLACE_BUCKETS, blocks, arguments.address(sorted.address()))?;

        let most = batch.iter().map(|job| decomposition.chunks(job.entries, chunk)).sum();
        let (chunks, order) = (self.room::<Chunk>(most)?, self.room::<u32>(most)?);
        let sorted = Sorted { sizes, chunks, order, entries: sorted, most };
        let lengths = self.zeroed::<u32>(CHUNK_LENGTHS)?;
        let params = sorted.params(bases, batch);
        let arguments = Arguments::new().value(&params).address(sorted.chunks.address()).address(lengths.address());
        self.launch(&CHUNKS, sorted.blocks(), arguments)?;
        self.launch(&LENGTHS, 1, Arguments::new().address(lengths.address()))?;
        let arguments = Arguments::new().value(&params).address(sorted.chunks.address()).address(lengths.address());
        self.launch(&ORDER, sorted.blocks(), arguments.address(sorted.order.address()))?;
        Ok(sorted)
    }

    /// The weighted sum of each job's chunks.
    fn weigh(
        &self,
        decomposition: &Decomposition,
        batch: &[Job],
        chunk: usize,
        sorted: &Sorted,
        sums: &Buffer,
    ) -> Result<Buffer> {
        let jobs = batch.len();
        let largest = batch.iter().map(|job| decomposition.chunks(job.entries, chunk)).max().unwrap_or(0);
        let len = largest.div_ceil(SEGMENT_CHUNKS).min(SEGMENTS / jobs).max(1);
        let segments = self.room::<Point>(jobs * len)?;
        let params = WeighParams {
            buckets: sorted.sizes.address(),
            chunks: sorted.chunks.address(),
            jobs: jobs as u32,
            segments: len as u32,
            bucket_bits: decomposition.bucket_bits() as u32,
            padding: [0],
        };
        let arguments = Arguments::new().value(&params).address(sums.address()).address(segments.address());
        self.launch(&WEIGH, point_blocks(jobs * len), arguments)?;
        self.join(jobs, len, segments)
    }

    /// Adds up `len` sums of each job, which follow each other.
    pub(super) fn join(&self, jobs: usize, mut len: usize, mut sums: Buffer) -> Result<Buffer> {
        while len > 1 {
            let groups = len.div_ceil(POINT_THREADS as usize);
            let joined = self.room::<Point>(jobs * groups)?;
            let arguments = Arguments::new().word(len).word(groups).address(sums.address());
            self.launch(&JOIN, jobs * groups, arguments.address(joined.address()))?;
            (sums, len) = (joined, groups);
        }
        Ok(sums)
    }
}

impl Sorted {
    fn params(&self, bases: &CudaBases, batch: &[Job]) -> ChunkParams {
        ChunkParams {
            buckets: self.sizes.address(),
            keys: (batch.len() << bases.decomposition.bucket_bits()) as u32,
            padding: [0],
        }
    }

    fn blocks(&self) -> usize {
        self.most.div_ceil(CHUNK_THREADS as usize)
    }
}
