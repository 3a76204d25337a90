//! Expression programs: every thread computes one row.
//!
//! A program is interpreted by one kernel at first. Once it has done enough work for that to pay, kernels of its own are
//! compiled beside everything else, in segments short enough for the compiler, and then take over. Either is the
//! other's oracle. What depends on scalars alone is computed once, by the host.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::{Module, Step, Value, source, straight_line};

use super::device::{Buffer, in_batches};
use super::driver::{Address, Function};
use super::kernels::{Arguments, Element, Kernel};
use super::memory::{CudaScalars, ELEMENT_BYTES, Work};
use super::{Cuda, background, libraries};
use crate::backend::gpu::segments::Segments;
use crate::backend::gpu::{Programs, steps};
use crate::backend::program::{Instruction, Operand, Program};
use crate::backend::{QuotientOps, Result};

/// Rows of a block: `QUOTIENT_THREADS`.
const THREADS: u32 = 128;
const EVALUATE: Kernel = Kernel::new(Module::Quotient, "evaluate", THREADS);
/// Multiplications of a kernel at most: NVRTC takes 0.7 s of a processor for them, and more than twice as much for twice
/// as many.
const SEGMENT_MULTIPLICATIONS: usize = 128;
/// What every segment's kernel is called.
const NAME: &str = "quotient";
/// Rows that fill a device: fewer take as long.
const FULL_ROWS: usize = 1 << 14;

/// A program made ready for a device.
#[derive(Debug)]
pub struct CudaProgram {
    program: Program,
    multiplications: usize,
    /// For the interpreter.
    steps: Steps,
    segments: Written,
    state: Mutex<State>,
}

impl CudaProgram {
    /// Whether kernels of its own run it.
    pub fn is_compiled(&self) -> bool {
        matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Compiled(_))
    }
}

#[derive(Debug)]
struct Steps {
    steps: Buffer,
    len: usize,
    /// Places in memory: outputs, then results.
    memory: usize,
}

/// A program as the sources of kernels, in the order in which they run.
#[derive(Debug)]
struct Written {
    sources: Vec<String>,
    memory: usize,
}

/// What runs a program.
#[derive(Debug)]
enum State {
    /// The interpreter, and how many multiplications it has done.
    Interpreted(u64),
    /// The same, while kernels are compiled.
    Compiling(Arc<Images>),
    /// Kernels.
    Compiled(Arc<[Function]>),
    /// The interpreter for good.
    Refused,
}

/// Code of each segment, or why there is none, once its compilation has ended.
type Images = Mutex<Vec<Option<std::result::Result<Vec<u8>, String>>>>;

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
        let segments = Segments::new(program, SEGMENT_MULTIPLICATIONS);
        let text = |number| source(&[Module::Quotient]) + &text(program, &segments, number);
        let written = Written { sources: (0..segments.ranges.len()).map(text).collect(), memory: segments.memory };
        let state = match self.device.programs {
            Some(Programs::Generated) => State::Compiled(work.generate(&written)?),
            Some(Programs::Interpreted) => State::Refused,
            None => work.kept(&written)?.map_or(State::Interpreted(0), State::Compiled),
        };
        let steps::Steps { words, memory } = steps::assemble(program);
        let steps = Steps { steps: work.upload(&words)?, len: words.len() / 4, memory };
        let is_product = |step: &&Instruction<Operand>| matches!(step, Instruction::Mul(..) | Instruction::Square(_));
        let multiplications = program.instructions().iter().filter(is_product).count();
        Ok(CudaProgram {
            program: program.clone(),
            multiplications,
            steps,
            segments: written,
            state: Mutex::new(state),
        })
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
        let kernels = work.kernels(compiled, n)?;
        // Results that are no outputs take memory for the rows at hand.
        let blocks: Vec<usize> = (0..n).step_by(THREADS as usize).collect();
        in_batches(&blocks, |blocks| {
            let rows = blocks[0]..n.min(blocks[0] + blocks.len() * THREADS as usize);
            work.evaluate_rows((compiled, kernels.as_deref()), &params, &outputs, rows).map(|()| Vec::<()>::new())
        })?;
        Ok(outputs)
    }
}

impl Work<'_> {
    /// Evaluates a program on some rows.
    fn evaluate_rows(
        &self,
        (compiled, kernels): (&CudaProgram, Option<&[Function]>),
        params: &QuotientParams,
        outputs: &[CudaScalars],
        rows: Range<usize>,
    ) -> Result<()> {
        let memory = if kernels.is_some() { compiled.segments.memory } else { compiled.steps.memory };
        let results = (outputs.len()..memory).map(|_| self.vector(rows.len()));
        let results = results.collect::<Result<Vec<_>>>()?;
        let skipped = rows.start as u64 * ELEMENT_BYTES;
        let places = outputs.iter().map(CudaScalars::address);
        let places = places.chain(results.iter().map(|result| result.address().wrapping_sub(skipped)));
        let memory = self.upload(&places.collect::<Vec<Address>>())?;
        let [first_row, end_row] = [rows.start, rows.end].map(|row| row as u32);
        let params = QuotientParams { memory: memory.address(), first_row, end_row, ..*params };
        let grid = [rows.len().div_ceil(THREADS as usize), 1];
        match kernels {
            Some(kernels) => kernels.iter().try_for_each(|kernel| {
                let arguments = Arguments::new().value(&params);
                self.cuda.device.start(self.operation, *kernel, grid, THREADS, 0, arguments)
            }),
            None => {
                let Steps { steps, len, .. } = &compiled.steps;
                let params = QuotientParams { steps: steps.address(), instructions: *len as u32, ..params };
                self.launch_grid(&EVALUATE, grid, Arguments::new().value(&params))
            }
        }
    }

    /// The kernels of a program, compiled now.
    fn generate(&self, written: &Written) -> Result<Arc<[Function]>> {
        let kernel = |source: &String| self.cuda.device.generated(self.operation, source, NAME);
        written.sources.iter().map(kernel).collect()
    }

    /// The same, where all of them were compiled before.
    fn kept(&self, written: &Written) -> Result<Option<Arc<[Function]>>> {
        let kernel = |source: &String| self.cuda.device.kept(self.operation, source, NAME).transpose();
        let kernels = written.sources.iter().map_while(kernel).collect::<Result<Arc<[Function]>>>()?;
        Ok((kernels.len() == written.sources.len()).then_some(kernels))
    }

    /// The kernels that evaluate a program on so many rows; `None` for the interpreter. Never waits for a compiler.
    fn kernels(&self, compiled: &CudaProgram, rows: usize) -> Result<Option<Arc<[Function]>>> {
        let mut state = compiled.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Compiled(kernels) => return Ok(Some(Arc::clone(kernels))),
            State::Refused => {}
            State::Interpreted(done) => {
                *done = done.saturating_add((compiled.multiplications * rows.max(FULL_ROWS)) as u64);
                if *done >= self.cuda.device.compile_after {
                    *state = self.start_compiling(&compiled.segments);
                }
            }
            State::Compiling(images) => {
                let images = Arc::clone(images);
                let mut images = images.lock().unwrap_or_else(PoisonError::into_inner);
                if images.iter().any(Option::is_none) {
                    return Ok(None);
                }
                let installed = images.drain(..).flatten().zip(&compiled.segments.sources).map(|(image, source)| {
                    let image = image.map_err(|message| self.error(message))?;
                    self.cuda.device.install(self.operation, source, NAME, &image)
                });
                match installed.collect::<Result<Arc<[Function]>>>() {
                    Ok(kernels) => {
                        *state = State::Compiled(Arc::clone(&kernels));
                        return Ok(Some(kernels));
                    }
                    Err(failed) => {
                        tracing::warn!("a program stays interpreted: {failed}");
                        *state = State::Refused;
                    }
                }
            }
        }
        Ok(None)
    }

    fn start_compiling(&self, written: &Written) -> State {
        if libraries::compiler().is_err() {
            return State::Refused;
        }
        let images = Arc::new(Mutex::new(vec![None; written.sources.len()]));
        for (number, source) in written.sources.iter().enumerate() {
            let (compiler, source, images) = (self.cuda.device.compiler.clone(), source.clone(), Arc::clone(&images));
            background::start(move || {
                let image = compiler.code(&source, false);
                images.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(image);
            });
        }
        State::Compiling(images)
    }
}

/// A segment as source.
fn text(program: &Program, segments: &Segments, number: usize) -> String {
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
    straight_line(NAME, &steps, &kept)
}
