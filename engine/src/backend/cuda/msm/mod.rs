//! Multi-scalar multiplication: Pippenger's buckets with signed digits, sorted by counting, and precomputed multiples.
//!
//! | step | kernels |
//! |---|---|
//! | how many digits each window of each column has, read back once | `msm_count`, `msm_totals` |
//! | digits to entries, sorted by the upper bits of their buckets' numbers, then by bucket | `msm_starts`, `msm_place`, `msm_count_buckets`, `msm_place_buckets` |
//! | buckets to chunks of few entries, in the order of their lengths | `msm_chunks`, `msm_lengths`, `msm_order` |
//! | sums of chunks, and weighted sums of those | `msm_accumulate`, `msm_weigh`, `msm_join` |
//! | sums of sets, joined to sums of columns | `msm_deposit`, `msm_combine` |
//! | of few points, instead of all that | `msm_direct`, `msm_join` |
//!
//! A job is one set of buckets of one column. Sets that no digit falls into are no jobs, so small scalars are cheap;
//! the jobs of all columns of a call run together, in as few batches as memory allows. The host converts one point for
//! each column to affine coordinates, and does no other arithmetic.

mod batch;
mod decomposition;
mod direct;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};
use group::{Curve, Group};
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use halo2curves::serde::SerdeObject;
use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::device::{Buffer, in_batches};
use super::driver::Address;
use super::kernels::{Arguments, Kernel};
use super::memory::{CudaScalars, ELEMENT_BYTES, Work};
use crate::backend::cpu::as_words;
use crate::backend::gpu::pippenger::{Decomposition, Job, jobs, to_affine};
use crate::backend::{MsmOps, Result};
use crate::error::BackendError;
use batch::{DIGIT_ROWS, DigitColumn};
use decomposition::{choose, parts};

const fn kernel(name: &'static str, threads: u32) -> Kernel {
    Kernel::new(Module::Msm, name, threads)
}

/// Threads of a block of kernels on digits, and on points.
const DIGIT_THREADS: u32 = 256;
const POINT_THREADS: u32 = 64;
/// Points that a thread brings to affine coordinates with one inversion: `TABLE_THREAD_ROWS`.
const TABLE_THREAD_ROWS: usize = 8;

const COUNT: Kernel = kernel("msm_count", DIGIT_THREADS);
const TOTALS: Kernel = kernel("msm_totals", DIGIT_THREADS);
const COMBINE: Kernel = kernel("msm_combine", POINT_THREADS);
const DOUBLE: Kernel = kernel("msm_double", POINT_THREADS);
const NORMALIZE: Kernel = kernel("msm_normalize", POINT_THREADS);

/// Bytes of a point of a table, and of a sum.
const AFFINE_BYTES: u64 = 64;
const POINT_BYTES: u64 = 128;
/// Products that the host forms itself: sooner than a device has begun, whose every kernel would have some threads only.
const HOST_ROWS: usize = 8;
/// Columns whose digits are counted together.
const COLUMNS: usize = 1 << 10;
/// Points of one transfer to the device, through memory of the host.
const TRANSFER_POINTS: usize = 1 << 16;
/// What is left free beside tables: a share of the device's memory, for columns and scratch space.
const TABLE_SHARE: u64 = 2;

fn point_blocks(points: usize) -> usize {
    points.div_ceil(POINT_THREADS as usize)
}

/// Points and their precomputed multiples, in device memory.
#[derive(Debug)]
pub struct CudaBases {
    len: usize,
    decomposition: Decomposition,
    table: Buffer,
    /// All multiples that digits may ask for, of few points.
    direct: Option<Buffer>,
    /// Points that the host has once asked for.
    points: Mutex<HashMap<usize, G1Affine>>,
}

/// A sum as kernels leave it: (x·ZZ, y·ZZZ, ZZ, ZZZ).
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Point([[u8; ELEMENT_BYTES as usize]; 4]);

impl MsmOps for Cuda {
    type Bases = CudaBases;

    /// Multiples take half of the memory that is free at most.
    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<CudaBases> {
        let work = self.work("load_bases");
        let room = self.device.free_bytes() / TABLE_SHARE;
        let mut spare = (table_budget_bytes as u64).min(room) / AFFINE_BYTES;
        loop {
            match work.load_bases(points, usize::try_from(spare).unwrap_or(usize::MAX)) {
                // Others may use the device as well.
                Err(BackendError::OutOfMemory { .. }) if spare > 0 => spare /= 2,
                loaded => return loaded,
            }
        }
    }

    fn bases_len(&self, bases: &CudaBases) -> usize {
        bases.len
    }

    fn table_bytes(&self, bases: &CudaBases) -> Option<usize> {
        Some((bases.decomposition.levels() - 1) * bases.len * AFFINE_BYTES as usize + bases.direct_bytes())
    }

    fn msm(&self, bases: &CudaBases, columns: &[&CudaScalars]) -> Result<Vec<G1Affine>> {
        if let Some(column) = columns.iter().find(|column| column.len > bases.len) {
            return Err(BackendError::TooFewBases { scalars: column.len, bases: bases.len });
        }
        self.work("msm").sums(bases, columns)
    }

    fn msm_rows(&self, bases: &CudaBases, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        let work = self.work("msm_rows");
        if rows.len() != scalars.len() {
            let (expected, got) = (rows.len(), scalars.len());
            return Err(BackendError::LengthMismatch { operation: work.operation, expected, got });
        }
        if let Some(row) = rows.iter().find(|row| **row >= bases.len) {
            return Err(BackendError::TooFewBases { scalars: row + 1, bases: bases.len });
        }
        if rows.len() <= HOST_ROWS {
            let points = work.points(bases, rows)?;
            let products = points.iter().zip(scalars).map(|(point, scalar)| point * scalar);
            return Ok(products.fold(G1::identity(), |sum, product| sum + product).to_affine());
        }
        let column = work.vector(scalars.len())?;
        work.write(column.address(), scalars)?;
        // The rows' points as bases of their own, without multiples.
        let chosen = work.empty_bases(rows.len(), choose(rows.len(), 0))?;
        for (place, row) in rows.iter().enumerate() {
            work.copy(
                bases.level(0) + *row as u64 * AFFINE_BYTES,
                chosen.level(0) + place as u64 * AFFINE_BYTES,
                AFFINE_BYTES,
            )?;
        }
        Ok(work.sums(&chosen, &[&column])?.into_iter().next().unwrap_or_default())
    }
}

impl CudaBases {
    /// Where a level of the table begins.
    fn level(&self, level: usize) -> Address {
        self.table.address() + (level * self.len) as u64 * AFFINE_BYTES
    }
}

impl Work<'_> {
    fn empty_bases(&self, len: usize, decomposition: Decomposition) -> Result<CudaBases> {
        let table = self.allocate((len * decomposition.levels()) as u64 * AFFINE_BYTES)?;
        Ok(CudaBases { len, decomposition, table, direct: None, points: Mutex::default() })
    }

    /// The points of some rows, which are copied from the device once.
    fn points(&self, bases: &CudaBases, rows: &[usize]) -> Result<Vec<G1Affine>> {
        let mut kept = bases.points.lock().unwrap_or_else(PoisonError::into_inner);
        let point = |row: &usize| {
            if let Some(point) = kept.get(row) {
                return Ok(*point);
            }
            let [x, y] = self.read::<[u8; ELEMENT_BYTES as usize]>(bases.level(0) + *row as u64 * AFFINE_BYTES, 2)?[..]
            else {
                return Err(self.error("a point is not whole"));
            };
            let coordinates = Fq::from_raw_bytes(&x).zip(Fq::from_raw_bytes(&y));
            let (x, y) = coordinates.ok_or_else(|| self.error("a coordinate is not below the modulus"))?;
            kept.insert(*row, G1Affine { x, y });
            Ok(G1Affine { x, y })
        };
        rows.iter().map(point).collect()
    }

    fn load_bases(&self, points: &[G1Affine], spare: usize) -> Result<CudaBases> {
        let direct = direct::choose(points.len(), spare);
        let mut bases = self.empty_bases(points.len(), direct.unwrap_or_else(|| choose(points.len(), spare)))?;
        for (i, chunk) in points.chunks(TRANSFER_POINTS).enumerate() {
            let coordinates: Vec<Fq> = chunk.iter().flat_map(|point| [point.x, point.y]).collect();
            let place = bases.level(0) + (i * TRANSFER_POINTS) as u64 * AFFINE_BYTES;
            self.cuda.device.write(self.operation, place, bytemuck::cast_slice(as_words(&coordinates)))?;
        }
        if direct.is_some() {
            bases.direct = Some(self.load_direct(&bases)?);
        }
        if bases.decomposition.levels() > 1 {
            let doubled = self.room::<Point>(bases.len)?;
            for level in 1..bases.decomposition.levels() {
                let arguments = Arguments::new().word(bases.len).word(bases.decomposition.level_bits());
                let arguments = arguments.address(bases.level(level - 1)).address(doubled.address());
                self.launch(&DOUBLE, point_blocks(bases.len), arguments)?;
                let arguments = Arguments::new().word(bases.len).address(doubled.address()).address(bases.level(level));
                self.launch(&NORMALIZE, point_blocks(bases.len.div_ceil(TABLE_THREAD_ROWS)), arguments)?;
            }
        }
        Ok(bases)
    }

    /// `Σ_i column_i·bases_i` for every column; none is longer than the bases.
    fn sums(&self, bases: &CudaBases, columns: &[&CudaScalars]) -> Result<Vec<G1Affine>> {
        let batches =
            columns.chunks(COLUMNS).map(|columns| in_batches(columns, |columns| self.sums_together(bases, columns)));
        Ok(batches.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn sums_together(&self, bases: &CudaBases, columns: &[&CudaScalars]) -> Result<Vec<G1Affine>> {
        if let Some(table) = &bases.direct {
            return self.direct_sums(bases, table, columns);
        }
        let decomposition = &bases.decomposition;
        let counts = self.count(bases, columns)?;
        let jobs = self.jobs(decomposition, columns.len(), &counts)?;
        let sets = self.zeroed::<Point>(columns.len() * decomposition.sets)?;
        for batch in self.batches(decomposition, &jobs)? {
            self.run_batch(bases, columns, &counts, batch, &sets)?;
        }
        let sums = self.room::<Point>(columns.len())?;
        let arguments = Arguments::new().word(columns.len()).word(decomposition.sets).word(decomposition.bits);
        let arguments = arguments.address(sets.address()).address(sums.address());
        self.launch(&COMBINE, point_blocks(columns.len()), arguments)?;
        self.affine(&sums, columns.len())
    }

    /// Sums of columns, as the host has points.
    fn affine(&self, sums: &Buffer, columns: usize) -> Result<Vec<G1Affine>> {
        let sums: Vec<Point> = self.read(sums.address(), columns)?;
        let affine =
            |point: &Point| to_affine(point.0).ok_or_else(|| self.error("a coordinate is not below the modulus"));
        sums.iter().map(affine).collect()
    }

    /// How many digits fall into each part of each window of each column.
    fn count(&self, bases: &CudaBases, columns: &[&CudaScalars]) -> Result<Buffer> {
        let decomposition = &bases.decomposition;
        let counts = self.zeroed::<u32>(columns.len() * decomposition.windows() * parts(decomposition))?;
        let list: Vec<_> = columns.iter().map(|column| DigitColumn::new(column, 0..decomposition.sets, 0)).collect();
        let list = self.upload(&list)?;
        let arguments = Arguments::new().value(&batch::digits(bases, list.address())).address(counts.address());
        self.launch_grid(&COUNT, digit_grid(columns), arguments)?;
        Ok(counts)
    }

    /// The jobs of all columns, from the counts. A column's sets after its last digit are no jobs.
    fn jobs(&self, decomposition: &Decomposition, columns: usize, counts: &Buffer) -> Result<Vec<Job>> {
        let windows = columns * decomposition.windows();
        let totals = self.room::<u32>(windows)?;
        let arguments = Arguments::new().word(windows).word(parts(decomposition)).address(counts.address());
        self.launch(&TOTALS, windows.div_ceil(DIGIT_THREADS as usize), arguments.address(totals.address()))?;
        Ok(jobs(decomposition, &self.read(totals.address(), windows)?, decomposition.windows()))
    }
}

/// Blocks of the kernels on digits: of rows, and of columns.
fn digit_grid(columns: &[&CudaScalars]) -> [usize; 2] {
    let rows = columns.iter().map(|column| column.len).max().unwrap_or(0);
    [rows.div_ceil(DIGIT_ROWS), columns.len()]
}
