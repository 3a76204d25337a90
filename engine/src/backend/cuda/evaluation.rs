//! Evaluations and inner products by blocks: the values of blocks are the coefficients of a shorter polynomial.

use bytemuck::{Pod, Zeroable};
use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::driver::Address;
use super::kernels::{Arguments, Element, GRID_ROWS, Kernel};
use super::memory::{CudaScalars, ELEMENT_BYTES, Work};
use crate::backend::Result;
use crate::backend::gpu::factors::squares;

/// `EVALUATION_THREADS`
const THREADS: u32 = 256;
/// Rows of a block: `EVALUATION_BLOCK`.
const BLOCK: usize = 2048;
/// log2 of the threads of a block: `EVALUATION_BITS`.
const BITS: usize = 8;

const EVAL_POLYNOMIALS: Kernel = Kernel::new(Module::Evaluation, "eval_polynomials", THREADS);
const INNER_PRODUCT: Kernel = Kernel::new(Module::Evaluation, "inner_product", THREADS);

/// `EvaluationQuery`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EvaluationQuery {
    step: Element,
    squares: [Element; BITS],
    coefficients: Address,
    values: Address,
    len: u32,
    padding: [u32; 3],
}

/// A polynomial, a point, and where the value goes.
struct Query {
    coefficients: Address,
    len: usize,
    point: Fr,
    result: Address,
}

impl Query {
    fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }

    /// For the kernel, which writes the values of blocks to a list.
    fn to_values(&self, values: Address) -> EvaluationQuery {
        let powers = squares::<{ BITS + 1 }>(self.point).map(Element::from);
        let mut squares = [powers[0]; BITS];
        squares.copy_from_slice(&powers[..BITS]);
        let (coefficients, len) = (self.coefficients, self.len as u32);
        EvaluationQuery { step: powers[BITS], squares, coefficients, values, len, padding: [0; 3] }
    }
}

impl Cuda {
    pub(super) fn evaluate_all(&self, queries: &[(&CudaScalars, Fr)]) -> Result<Vec<Fr>> {
        let work = self.work("eval_polynomials");
        let results = work.zeroed::<Element>(queries.len())?;
        let result = |number: usize| results.address() + number as u64 * ELEMENT_BYTES;
        let query = |(number, (polynomial, point)): (usize, &(&CudaScalars, Fr))| Query {
            coefficients: polynomial.address(),
            len: polynomial.len,
            point: *point,
            result: result(number),
        };
        // The empty polynomial's value is there already.
        work.evaluate(queries.iter().enumerate().map(query).filter(|query| query.len > 0).collect())?;
        work.read_scalars(results.address(), queries.len())
    }

    pub(super) fn sum_of_products(&self, a: &CudaScalars, b: &CudaScalars) -> Result<Fr> {
        let work = self.work("inner_product");
        let (sum, blocks) = (work.zeroed::<Element>(1)?, a.len.div_ceil(BLOCK));
        let values = work.room::<Element>(blocks)?;
        let arguments =
            Arguments::new().word(a.len).address(a.address()).address(b.address()).address(values.address());
        work.launch(&INNER_PRODUCT, blocks, arguments)?;
        if blocks > 0 {
            let (coefficients, result) = (values.address(), sum.address());
            work.evaluate(vec![Query { coefficients, len: blocks, point: Fr::ONE, result }])?;
        }
        Ok(work.read_scalars(sum.address(), 1)?.into_iter().sum())
    }
}

impl Work<'_> {
    /// Evaluates polynomials that are not empty, level by level.
    fn evaluate(&self, queries: Vec<Query>) -> Result<()> {
        let longer: usize = queries.iter().map(Query::blocks).filter(|blocks| *blocks > 1).sum();
        let values = self.room::<Element>(longer)?;
        let mut place = values.address();
        let (mut lists, mut next) = (Vec::with_capacity(queries.len()), Vec::new());
        for query in &queries {
            let blocks = query.blocks();
            if blocks == 1 {
                lists.push(query.to_values(query.result));
                continue;
            }
            lists.push(query.to_values(place));
            let point = query.point.pow_vartime([BLOCK as u64]);
            next.push(Query { coefficients: place, len: blocks, point, result: query.result });
            place += blocks as u64 * ELEMENT_BYTES;
        }
        let blocks = queries.iter().map(Query::blocks).max().unwrap_or(0);
        for lists in lists.chunks(GRID_ROWS) {
            let list = self.upload(lists)?;
            self.launch_grid(&EVAL_POLYNOMIALS, [blocks, lists.len()], Arguments::new().address(list.address()))?;
        }
        if next.is_empty() { Ok(()) } else { self.evaluate(next) }
    }
}
