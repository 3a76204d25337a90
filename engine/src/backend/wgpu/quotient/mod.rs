//! Expression programs: every invocation of a kernel computes one row.
//!
//! Hardware runs kernels generated from the program (`generator.rs`). A software adapter runs one that interprets it
//! (`gpu/steps.rs`): it compiles for longer than it computes. Either is the other's oracle.
//!
//! A chunk of rows at a time, the cells that the program reads are copied side by side into one buffer, which takes
//! care of rotations and leaves no limit on the number of columns. What depends on scalars alone is computed once.

mod generator;

use std::ops::Range;

use halo2curves::bn256::Fr;
use zkml_gpu_kernels::wgsl::Module;

use super::memory::ELEMENT_BYTES;
use super::pipelines::Kernel;
use super::pool::{Buffer, Window};
use super::recorder::{Params, Recorder};
use super::{Wgpu, WgpuScalars};
use crate::backend::gpu::Programs;
use crate::backend::gpu::steps::{self, Steps};
use crate::backend::program::{Program, Query};
use crate::backend::{QuotientOps, Result};

const INTERPRET: Kernel = Kernel::new(&[Module::QuotientInterpreter], "interpret");

/// Rows of a workgroup: `QUOTIENT_THREADS`.
const GROUP_ROWS: usize = 64;
/// Memory for the cells of a chunk, and as much again for its results.
const CHUNK_BYTES: u64 = 1 << 30;

/// A program made ready for a device.
#[derive(Debug)]
pub struct WgpuProgram {
    program: Program,
    code: Code,
    /// Places in memory: outputs, then results.
    memory: usize,
}

#[derive(Debug)]
enum Code {
    /// The kernels, in the order in which they run.
    Generated(Vec<(String, wgpu::ComputePipeline)>),
    Interpreted {
        steps: Buffer,
        len: usize,
    },
}

impl QuotientOps for Wgpu {
    type Compiled = WgpuProgram;

    fn compile(&self, program: &Program) -> Result<WgpuProgram> {
        let operation = "compile";
        let (code, memory) = match self.device.programs {
            Programs::Generated => {
                let shader = generator::generate(program);
                let kernels = self.device.generated(operation, &[Module::Quotient], &shader.text, &shader.entries)?;
                (Code::Generated(shader.entries.into_iter().zip(kernels).collect()), shader.memory)
            }
            Programs::Interpreted => {
                let Steps { words, memory } = steps::assemble(program);
                let steps = self.device.allocate(operation, words.len() as u64 * 4)?;
                self.device.write_words(operation, &steps, &words)?;
                (Code::Interpreted { steps, len: words.len() / 4 }, memory)
            }
        };
        Ok(WgpuProgram { program: program.clone(), code, memory })
    }

    fn evaluate(
        &self,
        compiled: &WgpuProgram,
        n: usize,
        columns: &[&WgpuScalars],
        scalars: &[Fr],
    ) -> Result<Vec<WgpuScalars>> {
        let operation = "evaluate";
        let lengths: Vec<usize> = columns.iter().map(|column| column.len).collect();
        compiled.program.check_columns(n, &lengths)?;
        let mut table = compiled.program.scalar_table(scalars)?;
        // A program without scalars still has something to bind.
        table.resize(table.len().max(1), Fr::zero());
        let outputs = compiled.program.outputs().iter().map(|_| self.device.vector(operation, n));
        let outputs: Vec<WgpuScalars> = outputs.collect::<Result<_>>()?;
        if n == 0 || outputs.is_empty() {
            return Ok(outputs);
        }
        let bytes = table.len() as u64 * ELEMENT_BYTES;
        let scalars = self.device.allocate(operation, bytes)?;
        self.device.write(operation, &scalars, 0, &table)?;
        let mut work = self.record(operation);
        let chunk = Chunk::new(&mut work, compiled, n)?;
        for start in (0..n).step_by(chunk.rows) {
            let rows = start..n.min(start + chunk.rows);
            chunk.gather(&mut work, compiled.program.queries(), &rows, columns);
            chunk.run(&mut work, compiled, &scalars.first(bytes), rows.len())?;
            for (i, output) in outputs.iter().enumerate() {
                let (from, to) = (chunk.offset(i), rows.start as u64 * ELEMENT_BYTES);
                work.copy(&chunk.memory, from, &output.buffer, to, rows.len() as u64 * ELEMENT_BYTES);
            }
        }
        work.submit()?;
        Ok(outputs)
    }
}

/// Memory for some rows.
#[derive(Debug)]
struct Chunk {
    rows: usize,
    cells: Buffer,
    memory: Buffer,
}

impl Chunk {
    /// As many rows as limits allow, `n` at most.
    fn new(work: &mut Recorder<'_>, compiled: &WgpuProgram, n: usize) -> Result<Self> {
        let cells = compiled.program.queries().len().max(1);
        let row_bytes = cells.max(compiled.memory) as u64 * ELEMENT_BYTES;
        let budget = (CHUNK_BYTES / row_bytes).max(1) as usize;
        let rows = n.min(work.window_rows(row_bytes)).min(1 << budget.ilog2());
        let bytes = rows as u64 * ELEMENT_BYTES;
        let (cells, memory) = (work.allocate(cells as u64 * bytes)?, work.allocate(compiled.memory as u64 * bytes)?);
        Ok(Self { rows, cells, memory })
    }

    /// Where entry `index` of the cells or of the memory begins.
    fn offset(&self, index: usize) -> u64 {
        (index * self.rows) as u64 * ELEMENT_BYTES
    }

    /// Copies what the program reads on these rows.
    fn gather(&self, work: &mut Recorder<'_>, queries: &[Query], rows: &Range<usize>, columns: &[&WgpuScalars]) {
        for (i, query) in queries.iter().enumerate() {
            let column = columns[query.column];
            let rotation = i64::from(query.rotation).rem_euclid(column.len as i64) as usize;
            let start = (rows.start + rotation) % column.len;
            let before_end = rows.len().min(column.len - start);
            let bytes = |rows: usize| rows as u64 * ELEMENT_BYTES;
            work.copy(&column.buffer, bytes(start), &self.cells, self.offset(i), bytes(before_end));
            let wrapped = bytes(rows.len() - before_end);
            work.copy(&column.buffer, 0, &self.cells, self.offset(i) + bytes(before_end), wrapped);
        }
    }

    /// Runs the program on `len` rows.
    fn run(&self, work: &mut Recorder<'_>, compiled: &WgpuProgram, scalars: &Window<'_>, len: usize) -> Result<()> {
        let cells = self.offset(compiled.program.queries().len().max(1));
        let mut bound = vec![self.memory.first(self.offset(compiled.memory)), self.cells.first(cells), scalars.clone()];
        let params = |steps: usize| Params::words(&[len, self.rows, steps].map(|count| count as u32));
        let groups = len.div_ceil(GROUP_ROWS) as u64;
        match &compiled.code {
            Code::Generated(kernels) => kernels
                .iter()
                .try_for_each(|(entry, pipeline)| work.dispatch_pipeline(entry, pipeline, params(0), &bound, groups)),
            Code::Interpreted { steps, len } => {
                bound.push(steps.first(*len as u64 * 16));
                work.dispatch(&INTERPRET, params(*len), &bound, groups)
            }
        }
    }
}
