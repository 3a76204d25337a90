//! Throughput, what a device does in a second: the figures that its kernels are measured against.

use std::time::Instant;

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::{Fr, G1Affine};
use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::kernels::{Arguments, Element, Kernel};
use super::memory::Work;
use crate::backend::Result;
use crate::backend::cpu::as_words;

/// `THROUGHPUT_THREADS`
const THREADS: u32 = 256;
/// `THROUGHPUT_WIDE_CHAINS` and `THROUGHPUT_CHAINS`
const WIDE_CHAINS: u32 = 8;
const CHAINS: u32 = 2;
/// Blocks for each multiprocessor: as many as it has room for, several times over.
const BLOCKS: usize = 32;
/// Steps when a measurement begins; they are doubled until it takes long enough.
const STEPS: u32 = 1 << 2;
/// Seconds of a measurement at least.
const SECONDS: f64 = 0.05;
/// Bytes of a thread's result: of a point, the largest.
const RESULT_BYTES: u64 = 128;
/// Bytes of one copy.
const COPY_BYTES: u64 = 64 << 20;

const WIDE_PRODUCTS: Kernel = Kernel::new(Module::Throughput, "throughput_wide_products", THREADS);
const MULTIPLICATIONS: Kernel = Kernel::new(Module::Throughput, "throughput_multiplications", THREADS);
const ADDITIONS: Kernel = Kernel::new(Module::Throughput, "throughput_additions", THREADS);

/// The throughput of a device: what it does in a second.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Throughput {
    /// Products of 32-bit words, added to 64 bits: one instruction (IMAD.WIDE) each.
    pub wide_products: f64,
    /// Multiplications in the scalar field.
    pub multiplications: f64,
    /// Additions of an affine point to a sum.
    pub additions: f64,
    /// Bytes copied within device memory: read, and written once more.
    pub copied_bytes: f64,
    /// Bytes copied from the host to the device.
    pub uploaded_bytes: f64,
    /// Bytes copied from the device to the host.
    pub downloaded_bytes: f64,
}

/// An affine point as kernels have it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Affine([Element; 2]);

impl Cuda {
    /// Measures the throughput of the device, which takes about a second.
    ///
    /// # Errors
    /// Device failures.
    pub fn throughput(&self) -> Result<Throughput> {
        let work = self.work("throughput");
        let blocks = self.device.properties.multiprocessors.max(1) * BLOCKS;
        let threads = blocks * THREADS as usize;
        let out = work.allocate(threads as u64 * RESULT_BYTES)?;
        let value = Element::from(Fr::from(3));
        let generator = G1Affine::generator();
        let coordinates = as_words(&[generator.x, generator.y]).to_vec();
        let point: Affine = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&coordinates));
        let computed = |kernel: &Kernel, chains: u32, arguments: &dyn Fn(Arguments) -> Arguments| {
            let run = |steps: u32| {
                let arguments = arguments(Arguments::new().word(steps as usize)).address(out.address());
                work.launch(kernel, blocks, arguments)
            };
            Ok(work.rate(run)? * f64::from(chains) * threads as f64)
        };
        let [from, to] = [work.allocate(COPY_BYTES)?, work.allocate(COPY_BYTES)?];
        let host = vec![1u8; COPY_BYTES as usize];
        let copied = |copy: &dyn Fn() -> Result<()>| {
            let rate = work.rate(|count| (0..count).try_for_each(|_| copy()))?;
            Ok(rate * COPY_BYTES as f64)
        };
        Ok(Throughput {
            wide_products: computed(&WIDE_PRODUCTS, WIDE_CHAINS, &|arguments| arguments)?,
            multiplications: computed(&MULTIPLICATIONS, CHAINS, &|arguments| arguments.value(&value))?,
            additions: computed(&ADDITIONS, 1, &|arguments| arguments.value(&point))?,
            copied_bytes: copied(&|| work.copy(from.address(), to.address(), COPY_BYTES))?,
            uploaded_bytes: copied(&|| self.device.write(work.operation, from.address(), &host))?,
            downloaded_bytes: copied(&|| self.device.read(work.operation, from.address(), host.len(), |_| ()))?,
        })
    }
}

impl Work<'_> {
    /// How many steps a second are done of work that is given their number.
    fn rate(&self, run: impl Fn(u32) -> Result<()>) -> Result<f64> {
        let finish = || self.cuda.device.attempt(self.operation, |context| context.finish());
        // Kernels are compiled, and memory is touched, before anything counts.
        run(1)?;
        finish()?;
        let mut steps = STEPS;
        loop {
            let start = Instant::now();
            run(steps)?;
            finish()?;
            let seconds = start.elapsed().as_secs_f64();
            if seconds >= SECONDS || steps > u32::MAX / 2 {
                return Ok(f64::from(steps) / seconds);
            }
            steps *= 2;
        }
    }
}
