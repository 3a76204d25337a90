//! Expression programs: every thread computes one row.
//!
//! Programs are compiled as kernels of their own, in segments short enough for the compiler. Where there is no run-time
//! compiler, a kernel interprets them. Either is the other's oracle. What depends on scalars alone is computed once, by
//! the host.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::{Module, Step, Value, straight_line};

use super::Cuda;
use super::device::{Buffer, in_batches};
use super::driver::{Address, Function};
use super::kernels::{Arguments, Element, Kernel};
use super::memory::{CudaScalars, ELEMENT_BYTES, Work};
use crate::backend::gpu::segments::Segments;
use crate::backend::gpu::{Programs, steps};
use crate::backend::program::{Instruction, Operand, Program};
use crate::backend::{QuotientOps, Result};

/// Rows of a block: `QUOTIENT_THREADS`.
const THREADS: u32 = 128;
const EVALUATE: Kernel = Kernel::new(Module::Quotient, "evaluate", THREADS);
/// Multiplications of a kernel at most: more than most circuits have, few enough to compile in seconds.
const SEGMENT_MULTIPLICATIONS: usize = 1024;

/// A program made ready for a device.
#[derive(Debug)]
pub struct CudaProgram {
    program: Program,
    code: Code,
    /// Places in memory: outputs, then results.
    memory: usize,
}

#[derive(Debug)]
enum Code {
    /// The kernels, in the order in which they run.
    Generated(Vec<Function>),
    Interpreted {
        steps: Buffer,
        len: usize,
    },
}

/// `QuotientQuery`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct QuotientQuery {
    column: Address,
    rotation: u32,
    padding: [u32; 1],
}

/// `QuotientParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct QuotientParams {
    steps: Address,
    queries: Address,
    scalars: Address,
    memory: Address,
    rows: u32,
    instructions: u32,
    first_row: u32,
    end_row: u32,
}

impl QuotientOps for Cuda {
    type Compiled = CudaProgram;

    fn compile(&self, program: &Program) -> Result<CudaProgram> {
        let work = self.work("compile");
        let (code, memory) = match self.device.programs {
            Programs::Generated => {
                let segments = Segments::new(program, SEGMENT_MULTIPLICATIONS);
                (Code::Generated(work.generate(program, &segments)?), segments.memory)
            }
            Programs::Interpreted => {
                let steps::Steps { words, memory } = steps::assemble(program);
                let steps = work.upload(&words)?;
                (Code::Interpreted { steps, len: words.len() / 4 }, memory)
            }
        };
        Ok(CudaProgram { program: program.clone(), code, memory })
    }

    fn evaluate(
        &self,
        compiled: &CudaProgram,
        n: usize,
        columns: &[&CudaScalars],
        scalars: &[Fr],
    ) -> Result<Vec<CudaScalars>> {
        let work = self.work("evaluate");
        let lengths: Vec<usize> = columns.iter().map(|column| column.len).collect();
        compiled.program.check_columns(n, &lengths)?;
        let table: Vec<Element> = compiled.program.scalar_table(scalars)?.into_iter().map(Element::from).collect();
        let vectors = |count: usize| (0..count).map(|_| work.vector(n)).collect::<Result<Vec<_>>>();
        let outputs = vectors(compiled.program.outputs().len())?;
        if n == 0 || outputs.is_empty() {
            return Ok(outputs);
        }
        let query = |query: &crate::backend::program::Query| QuotientQuery {
            column: columns[query.column].address(),
            rotation: (query.rotation as isize).rem_euclid(n as isize) as u32,
            padding: [0],
        };
        let queries: Vec<_> = compiled.program.queries().iter().map(query).collect();
        let (queries, table) = (work.upload(&queries)?, work.upload(&table)?);
        let params = QuotientParams {
            steps: 0,
            queries: queries.address(),
            scalars: table.address(),
            memory: 0,
            rows: n as u32,
            instructions: 0,
            first_row: 0,
            end_row: 0,
        };
        // Results that are no outputs take memory for the rows at hand.
        let blocks: Vec<usize> = (0..n).step_by(THREADS as usize).collect();
        in_batches(&blocks, |blocks| {
            let rows = blocks[0]..n.min(blocks[0] + blocks.len() * THREADS as usize);
            work.evaluate_rows(compiled, &params, &outputs, rows).map(|()| Vec::<()>::new())
        })?;
        Ok(outputs)
    }
}

impl Work<'_> {
    /// Evaluates a program on some rows.
    fn evaluate_rows(
        &self,
        compiled: &CudaProgram,
        params: &QuotientParams,
        outputs: &[CudaScalars],
        rows: Range<usize>,
    ) -> Result<()> {
        let results = (outputs.len()..compiled.memory).map(|_| self.vector(rows.len()));
        let results = results.collect::<Result<Vec<_>>>()?;
        let skipped = rows.start as u64 * ELEMENT_BYTES;
        let places = outputs.iter().map(CudaScalars::address);
        let places = places.chain(results.iter().map(|result| result.address().wrapping_sub(skipped)));
        let memory = self.upload(&places.collect::<Vec<Address>>())?;
        let [first_row, end_row] = [rows.start, rows.end].map(|row| row as u32);
        let params = QuotientParams { memory: memory.address(), first_row, end_row, ..*params };
        let grid = [rows.len().div_ceil(THREADS as usize), 1];
        match &compiled.code {
            Code::Generated(functions) => functions.iter().try_for_each(|function| {
                let arguments = Arguments::new().value(&params);
                self.cuda.device.start(self.operation, *function, grid, THREADS, 0, arguments)
            }),
            Code::Interpreted { steps, len } => {
                let params = QuotientParams { steps: steps.address(), instructions: *len as u32, ..params };
                self.launch_grid(&EVALUATE, grid, Arguments::new().value(&params))
            }
        }
    }

    /// The kernels of a program, compiled.
    fn generate(&self, program: &Program, segments: &Segments) -> Result<Vec<Function>> {
        let names: Vec<String> = (0..segments.ranges.len()).map(|number| format!("quotient_{number}")).collect();
        let text: String =
            names.iter().enumerate().map(|(number, name)| text(program, segments, number, name)).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.cuda.device.generated(self.operation, Module::Quotient, &text, &names)
    }
}

/// A segment as source.
fn text(program: &Program, segments: &Segments, number: usize, name: &str) -> String {
    let instructions = &segments.ranges[number];
    let value = |operand: Operand| match operand {
        Operand::Scalar(index) => Value::Scalar(index),
        Operand::Query(index) => Value::Cell(index),
        Operand::Result(result) if instructions.contains(&result) => Value::Result(result),
        // A result of another segment has a place: it is read here.
        Operand::Result(result) => Value::Memory(segments.places[result].unwrap_or_default()),
    };
    let step = |result: usize| {
        let step = match program.instructions()[result].map(value) {
            Instruction::Add(a, b) => Step::Add(a, b),
            Instruction::Sub(a, b) => Step::Sub(a, b),
            Instruction::Mul(a, b) => Step::Mul(a, b),
            Instruction::Square(a) => Step::Mul(a, a),
            Instruction::Negate(a) => Step::Negate(a),
        };
        (result, step)
    };
    let steps: Vec<(usize, Step)> = instructions.clone().map(step).collect();
    let passed = instructions.clone().filter_map(|result| Some((segments.places[result]?, Value::Result(result))));
    let outputs = segments.outputs(program, number).map(|(output, operand)| (output, value(operand)));
    let kept: Vec<(usize, Value)> = passed.chain(outputs).collect();
    straight_line(name, &steps, &kept)
}
