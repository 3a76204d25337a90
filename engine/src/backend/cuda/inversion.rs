//! Batch inversion (Montgomery's trick) by blocks. Few blocks invert their products each by itself; of many come products
//! of the blocks, inverses of those in the same way, and from them the elements'.

use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::driver::Address;
use super::kernels::{Arguments, Kernel};
use super::memory::{CudaScalars, Work};
use super::scan::NONZERO;
use crate::backend::Result;

/// Rows of a block: `INVERT_THREADS·INVERT_THREAD_ROWS`, as many as a scan has.
const BLOCK: usize = 1024;
const INVERT_APPLY: Kernel = Kernel::new(Module::Invert, "invert_apply", 256);
const INVERT_BLOCKS: Kernel = Kernel::new(Module::Invert, "invert_blocks", 256);
/// Blocks that a multiprocessor runs at a time: as long as all run, their inversions take the time of one.
const BLOCKS_AT_A_TIME: usize = 8;
const INVERT_ONE: Kernel = Kernel::new(Module::Invert, "invert_one", 1);

impl Cuda {
    /// Inverts every element: one inversion for all of them.
    pub(super) fn invert_all(&self, vector: &mut CudaScalars) -> Result<()> {
        self.work("batch_invert").invert(vector.address(), vector.len)
    }
}

impl Work<'_> {
    fn invert(&self, values: Address, len: usize) -> Result<()> {
        if len <= 1 {
            return self.launch(&INVERT_ONE, len, Arguments::new().address(values));
        }
        let blocks = len.div_ceil(BLOCK);
        if blocks <= BLOCKS_AT_A_TIME * self.cuda.device.properties.multiprocessors.max(1) {
            return self.launch(&INVERT_BLOCKS, blocks, Arguments::new().word(len).address(values));
        }
        let products = self.totals(&NONZERO, len, &|| Arguments::new().word(len).address(values))?;
        self.invert(products.address(), blocks)?;
        let arguments = Arguments::new().word(len).address(values).address(products.address());
        self.launch(&INVERT_APPLY, blocks, arguments)
    }
}
