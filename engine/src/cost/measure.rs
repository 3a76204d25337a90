//! Timing small instances of a back end's operations.
//!
//! An operation's time is the least of some runs: whatever else the machine does can only lengthen them. On a processor
//! a run is no longer than a millisecond or two, so that on a busy machine some run is left undisturbed by others'
//! turns. Everything runs on one thread of the processor, so that a price does not depend on how many are free; how
//! much faster they are together is measured once, as the parallelism.

use std::time::Duration;

use ff::Field;
use halo2curves::bn256::Fr;
use web_time::Instant;

use super::Costs;
use crate::backend::program::{NodeId, ProgramBuilder};
use crate::backend::{Backend, Result};
use crate::bench::data::{distinct_points, full_size, signed};
use crate::bench::settle;
use crate::error::BackendError;
use crate::prover::ProverOptions;

/// Runs of each operation.
const RUNS: usize = 15;
/// Runs that tell whether an operation is long enough.
const PROBES: usize = 5;
/// Runs of an operation however long they are: a device compiles kernels in the first.
const FEWEST_RUNS: usize = 2;
/// Time after which there are no more runs.
const LONGEST: Duration = Duration::from_millis(200);
/// log2 of the points of a multi-scalar multiplication, to begin with.
const LOG_POINTS: u32 = 8;
/// Greatest log2 of the points.
const MAX_LOG_POINTS: u32 = 16;
/// By how much four times the points must take longer: below this a device's time is mostly that of asking it.
const SLOPE: f64 = 3.0;
/// What a point costs in a multiplication of circuit size, as a part of its cost among 256: digits are longer, and so
/// fewer, but points come from farther memory. The quotient between both on the reference processor, for 2^12 to 2^17
/// points.
const LARGE: f64 = 0.75;
/// How much longer transforms and programs are than multi-scalar multiplications, in log2: their elements are far
/// cheaper.
const LOG_LONGER: u32 = 2;
/// Bits of the two small widths that a price by bits is drawn from: a quantised value, and a product of a few.
const SMALL_BITS: [u32; 2] = [8, 48];
/// Columns of a parallel run: a millisecond of transforms, for threads take some of their time to wake up.
const COLUMNS: usize = 32;
/// Operations of a program: enough that loading columns does not count.
const OPERATIONS: usize = 64;
/// Least time of a price, in nanoseconds: below the resolution of all of this.
const LEAST_NS: f64 = 1e-3;

impl Costs {
    /// Times the back end's operations: about a tenth of a second on a processor.
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn measure<B: Backend>(backend: &B) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| BackendError::Device {
            operation: "measure",
            device: backend.name(),
            message: error.to_string(),
        })?;
        let mut costs = Self { backend: backend.name(), device: backend.description(), ..Self::reference() };
        let n = 1usize << pool.install(|| log_points(backend))?;
        let rows = n << LOG_LONGER;
        pool.install(|| points(backend, n, &mut costs).and_then(|()| vectors(backend, rows, &mut costs)))?;
        costs.parallelism = parallelism(backend, rows, costs.butterfly_ns)?;
        Ok(costs)
    }
}

/// The least time of so many runs, fewer where they are long, in nanoseconds for each of `count` units.
fn least<T>(runs: usize, count: usize, mut run: impl FnMut() -> Result<T>) -> Result<f64> {
    let (mut least, mut spent) = (Duration::MAX, Duration::ZERO);
    for done in 0..runs {
        if done >= FEWEST_RUNS && spent > LONGEST {
            break;
        }
        let start = Instant::now();
        std::hint::black_box(run()?);
        let time = start.elapsed();
        (least, spent) = (least.min(time), spent + time);
    }
    Ok((least.as_secs_f64() * 1e9 / count as f64).max(LEAST_NS))
}

fn price<T>(count: usize, run: impl FnMut() -> Result<T>) -> Result<f64> {
    least(RUNS, count, run)
}

/// log2 of a number of points that is large enough for the device.
fn log_points<B: Backend>(backend: &B) -> Result<u32> {
    let time = |log_points: u32| {
        let n = 1usize << log_points;
        let (bases, column) = (backend.load_bases(&distinct_points(n), 0)?, backend.upload(&full_size(n))?);
        least(PROBES, 1, || backend.msm(&bases, &[&column]))
    };
    let mut log_points = LOG_POINTS;
    let mut short = time(log_points)?;
    while log_points < MAX_LOG_POINTS {
        let long = time(log_points + 2)?;
        if long >= SLOPE * short || long >= LONGEST.as_secs_f64() * 1e9 {
            break;
        }
        (log_points, short) = (log_points + 2, long);
    }
    Ok(log_points)
}

/// Prices of points, for multiplications of `n` points.
fn points<B: Backend>(backend: &B, n: usize, costs: &mut Costs) -> Result<()> {
    let bases = backend.load_bases(&distinct_points(n), ProverOptions::default().table_budget_bytes)?;
    let msm = |scalars: Vec<Fr>| {
        let column = backend.upload(&scalars)?;
        price(n, || backend.msm(&bases, &[&column]))
    };
    costs.full_point_ns = LARGE * msm(full_size(n))?;
    let [narrow, wide] = [msm(signed(n, SMALL_BITS[0]))?, msm(signed(n, SMALL_BITS[1]))?];
    costs.small_point_bit_ns = ((wide - narrow) / f64::from(SMALL_BITS[1] - SMALL_BITS[0])).max(LEAST_NS);
    costs.small_point_ns = (narrow - costs.small_point_bit_ns * f64::from(SMALL_BITS[0])).max(LEAST_NS);
    Ok(())
}

/// Prices of operations on vectors of `n` elements.
fn vectors<B: Backend>(backend: &B, n: usize, costs: &mut Costs) -> Result<()> {
    let host = full_size(n);
    costs.transferred_ns = price(n, || settle(backend, Some(&backend.upload(&host)?)))?;
    let column = backend.upload(&host)?;
    let butterflies = n / 2 * n.ilog2() as usize;
    costs.butterfly_ns = price(butterflies, || settle(backend, backend.intt(&[&column])?.last()))?;
    let terms = [(host[1], &column), (host[2], &column)];
    costs.scaled_addition_ns = price(terms.len() * n, || settle(backend, Some(&backend.linear_combination(&terms)?)))?;
    costs.row_multiplication_ns = program(backend, &column, |nodes, acc, cell| nodes.mul(acc, cell))?;
    costs.row_addition_ns = program(backend, &column, |nodes, acc, cell| nodes.add(acc, cell))?;
    let mut product = Fr::ONE;
    costs.host_multiplication_ns = price(n, || {
        host.iter().for_each(|value| product *= value);
        Ok(product)
    })?;
    Ok(())
}

/// The price of one operation of a program that chains them over two cells.
fn program<B: Backend>(
    backend: &B,
    column: &B::Scalars,
    step: impl Fn(&mut ProgramBuilder, NodeId, NodeId) -> NodeId,
) -> Result<f64> {
    let mut nodes = ProgramBuilder::new();
    let cells = [nodes.column(0, 0), nodes.column(0, -1)];
    let last = (0..OPERATIONS).fold(cells[0], |acc, i| step(&mut nodes, acc, cells[(i + 1) % 2]));
    let compiled = backend.compile(&nodes.finish(&[last]))?;
    let n = backend.len(column);
    price(n * OPERATIONS, || settle(backend, backend.evaluate(&compiled, n, &[column], &[])?.last()))
}

/// How many times faster columns are transformed together than one after another, at least once.
fn parallelism<B: Backend>(backend: &B, n: usize, butterfly_ns: f64) -> Result<f64> {
    let host = full_size(n);
    let columns = backend.upload_columns(&[&host[..]; COLUMNS])?;
    let columns: Vec<&B::Scalars> = columns.iter().collect();
    let together = price(COLUMNS * (n / 2) * n.ilog2() as usize, || settle(backend, backend.intt(&columns)?.last()))?;
    Ok((butterfly_ns / together).max(1.0))
}
