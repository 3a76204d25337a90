//! Expression programs, interpreted a block of rows at a time: one dispatch serves [`BLOCK`] rows, and a block's
//! intermediate results stay in the first-level cache.

use super::{Cpu, CpuScalars};
use crate::backend::program::{Instruction, Operand, Program, Query};
use crate::backend::{QuotientOps, Result};
use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

/// Rows per dispatch: 2 KiB a register.
const BLOCK: usize = 64;
/// Rows per task.
const ROWS_PER_TASK: usize = 16 * BLOCK;

/// A program with registers assigned and products fused with the sum that consumes them.
#[derive(Debug)]
pub struct CpuProgram {
    program: Program,
    steps: Vec<Step>,
    outputs: Vec<Source>,
    registers: usize,
}

/// Where a step finds an operand.
#[derive(Debug, Clone, Copy)]
enum Source {
    Scalar(usize),
    Query(usize),
    Register(usize),
}

#[derive(Debug, Clone, Copy)]
enum Kernel<T> {
    Plain(Instruction<T>),
    /// a·b + c
    MulAdd(T, T, T),
}

#[derive(Debug)]
struct Step {
    kernel: Kernel<Source>,
    register: usize,
}

impl<T: Copy> Kernel<T> {
    fn operands(self) -> [T; 3] {
        match self {
            Kernel::Plain(instruction) => {
                let [a, b] = instruction.operands();
                [a, b, b]
            }
            Kernel::MulAdd(a, b, c) => [a, b, c],
        }
    }

    fn map<U>(self, mut f: impl FnMut(T) -> U) -> Kernel<U> {
        match self {
            Kernel::Plain(instruction) => Kernel::Plain(instruction.map(f)),
            Kernel::MulAdd(a, b, c) => Kernel::MulAdd(f(a), f(b), f(c)),
        }
    }
}

impl QuotientOps for Cpu {
    type Compiled = CpuProgram;

    fn compile(&self, program: &Program) -> Result<CpuProgram> {
        let kernels = fuse(program);
        let last_uses = last_uses(program, &kernels);
        let mut registers = Registers { of_result: vec![None; kernels.len()], free: Vec::new(), count: 0 };
        let mut steps = Vec::with_capacity(kernels.len());
        for (position, kernel) in kernels.iter().enumerate() {
            let Some(kernel) = kernel else { continue };
            // The target is taken before the operands are released, so that it is never one of them.
            let register = registers.take();
            steps.push(Step { kernel: kernel.map(|operand| registers.source(operand)), register });
            registers.release(*kernel, position, &last_uses);
            registers.of_result[position] = Some(register);
        }
        let outputs = program.outputs().iter().map(|output| registers.source(*output)).collect();
        Ok(CpuProgram { program: program.clone(), steps, outputs, registers: registers.count })
    }

    fn evaluate(
        &self,
        compiled: &CpuProgram,
        n: usize,
        columns: &[&CpuScalars],
        scalars: &[Fr],
    ) -> Result<Vec<CpuScalars>> {
        let lengths: Vec<usize> = columns.iter().map(|column| column.0.len()).collect();
        compiled.program.check_columns(n, &lengths)?;
        let scalars = compiled.program.scalar_table(scalars)?;
        let columns: Vec<&[Fr]> = columns.iter().map(|column| column.0.as_slice()).collect();
        let mut outputs = vec![vec![Fr::ZERO; n]; compiled.outputs.len()];
        let mut tasks: Vec<Vec<&mut [Fr]>> = (0..n.div_ceil(ROWS_PER_TASK)).map(|_| Vec::new()).collect();
        for output in &mut outputs {
            for (task, rows) in tasks.iter_mut().zip(output.chunks_mut(ROWS_PER_TASK)) {
                task.push(rows);
            }
        }
        let new_block = || Block::new(compiled, &scalars, &columns, n);
        tasks.into_par_iter().enumerate().for_each_init(new_block, |block, (task, mut outputs)| {
            let first = task * ROWS_PER_TASK;
            let end = n.min(first + ROWS_PER_TASK);
            for start in (first..end).step_by(BLOCK) {
                let rows = BLOCK.min(end - start);
                block.run(start, rows);
                for (output, source) in outputs.iter_mut().zip(&compiled.outputs) {
                    block.copy_rows(*source, start, &mut output[start - first..][..rows]);
                }
            }
        });
        Ok(outputs.into_iter().map(CpuScalars).collect())
    }
}

/// One kernel per instruction, `None` for products that moved into the sum that alone uses them.
fn fuse(program: &Program) -> Vec<Option<Kernel<Operand>>> {
    let instructions = program.instructions();
    let mut uses = vec![0usize; instructions.len()];
    let operands = instructions.iter().flat_map(|instruction| instruction.operands());
    for operand in operands.chain(program.outputs().iter().copied()) {
        if let Operand::Result(result) = operand {
            uses[result] += 1;
        }
    }
    let mut kernels: Vec<_> = instructions.iter().map(|&instruction| Some(Kernel::Plain(instruction))).collect();
    for (position, instruction) in instructions.iter().enumerate() {
        let Instruction::Add(a, b) = *instruction else { continue };
        for (product, addend) in [(a, b), (b, a)] {
            let Operand::Result(result) = product else { continue };
            let Some(Kernel::Plain(Instruction::Mul(x, y))) = kernels[result] else { continue };
            if uses[result] == 1 {
                kernels[result] = None;
                kernels[position] = Some(Kernel::MulAdd(x, y, addend));
                break;
            }
        }
    }
    kernels
}

/// The position after which each result is no longer needed.
fn last_uses(program: &Program, kernels: &[Option<Kernel<Operand>>]) -> Vec<usize> {
    let mut last_uses = vec![0; kernels.len()];
    for (position, kernel) in kernels.iter().enumerate() {
        for operand in kernel.iter().flat_map(|kernel| kernel.operands()) {
            if let Operand::Result(result) = operand {
                last_uses[result] = position;
            }
        }
    }
    for output in program.outputs() {
        if let Operand::Result(result) = output {
            last_uses[*result] = usize::MAX;
        }
    }
    last_uses
}

struct Registers {
    of_result: Vec<Option<usize>>,
    free: Vec<usize>,
    count: usize,
}

impl Registers {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }

    fn source(&self, operand: Operand) -> Source {
        match operand {
            Operand::Scalar(index) => Source::Scalar(index),
            Operand::Query(index) => Source::Query(index),
            Operand::Result(index) => {
                Source::Register(self.of_result[index].expect("results are computed before they are used"))
            }
        }
    }

    fn release(&mut self, kernel: Kernel<Operand>, position: usize, last_uses: &[usize]) {
        for operand in kernel.operands() {
            let Operand::Result(result) = operand else { continue };
            if last_uses[result] == position
                && let Some(register) = self.of_result[result].take()
            {
                self.free.push(register);
            }
        }
    }
}

/// One operand over a block of rows.
#[derive(Clone, Copy)]
enum View<'a> {
    Scalar(&'a Fr),
    Rows(&'a [Fr]),
}

/// The state of one task: registers and the rows that wrap around the columns' end.
struct Block<'a> {
    compiled: &'a CpuProgram,
    scalars: &'a [Fr],
    columns: &'a [&'a [Fr]],
    n: usize,
    registers: Vec<Vec<Fr>>,
    wrapped: Vec<Vec<Fr>>,
}

impl<'a> Block<'a> {
    fn new(compiled: &'a CpuProgram, scalars: &'a [Fr], columns: &'a [&'a [Fr]], n: usize) -> Self {
        let registers = vec![vec![Fr::ZERO; BLOCK]; compiled.registers];
        let wrapped = vec![Vec::new(); compiled.program.queries().len()];
        Block { compiled, scalars, columns, n, registers, wrapped }
    }

    fn run(&mut self, start: usize, rows: usize) {
        for (query, wrapped) in self.compiled.program.queries().iter().zip(&mut self.wrapped) {
            let first = first_row(query, start, self.n);
            if first + rows > self.n {
                let column = self.columns[query.column];
                wrapped.clear();
                wrapped.extend((first..first + rows).map(|row| column[row % self.n]));
            }
        }
        for step in &self.compiled.steps {
            let mut target = std::mem::take(&mut self.registers[step.register]);
            apply(step.kernel.map(|source| self.view(source, start, rows)), &mut target[..rows]);
            self.registers[step.register] = target;
        }
    }

    fn view(&self, source: Source, start: usize, rows: usize) -> View<'_> {
        match source {
            Source::Scalar(index) => View::Scalar(&self.scalars[index]),
            Source::Register(index) => View::Rows(&self.registers[index][..rows]),
            Source::Query(index) => {
                let query = &self.compiled.program.queries()[index];
                let first = first_row(query, start, self.n);
                let column = self.columns[query.column];
                View::Rows(column.get(first..first + rows).unwrap_or(&self.wrapped[index]))
            }
        }
    }

    fn copy_rows(&self, source: Source, start: usize, target: &mut [Fr]) {
        match self.view(source, start, target.len()) {
            View::Scalar(value) => target.fill(*value),
            View::Rows(rows) => target.copy_from_slice(rows),
        }
    }
}

fn first_row(query: &Query, start: usize, n: usize) -> usize {
    // A vector's length fits in an i64, and so does the sum with a 32-bit rotation.
    (start as i64 + i64::from(query.rotation)).rem_euclid(n as i64) as usize
}

fn apply(kernel: Kernel<View<'_>>, target: &mut [Fr]) {
    match kernel {
        Kernel::Plain(Instruction::Add(a, b)) => binary(target, a, b, |a, b| a + b),
        Kernel::Plain(Instruction::Sub(a, b)) => binary(target, a, b, |a, b| a - b),
        Kernel::Plain(Instruction::Mul(a, b)) => binary(target, a, b, |a, b| a * b),
        Kernel::Plain(Instruction::Square(a)) => binary(target, a, a, |a, _| a.square()),
        Kernel::Plain(Instruction::Negate(a)) => binary(target, a, a, |a, _| -a),
        Kernel::MulAdd(a, b, View::Scalar(c)) => binary(target, a, b, |a, b| a * b + c),
        Kernel::MulAdd(a, b, View::Rows(c)) => {
            let out = target.iter_mut().zip(c);
            match (a, b) {
                (View::Rows(a), View::Rows(b)) => out.zip(a.iter().zip(b)).for_each(|((t, c), (a, b))| *t = a * b + c),
                (View::Rows(a), View::Scalar(b)) | (View::Scalar(b), View::Rows(a)) => {
                    out.zip(a).for_each(|((t, c), a)| *t = a * b + c);
                }
                (View::Scalar(a), View::Scalar(b)) => out.for_each(|(t, c)| *t = a * b + c),
            }
        }
    }
}

fn binary(target: &mut [Fr], a: View<'_>, b: View<'_>, f: impl Fn(&Fr, &Fr) -> Fr) {
    match (a, b) {
        (View::Rows(a), View::Rows(b)) => {
            target.iter_mut().zip(a.iter().zip(b)).for_each(|(target, (a, b))| *target = f(a, b));
        }
        (View::Rows(a), View::Scalar(b)) => target.iter_mut().zip(a).for_each(|(target, a)| *target = f(a, b)),
        (View::Scalar(a), View::Rows(b)) => target.iter_mut().zip(b).for_each(|(target, b)| *target = f(a, b)),
        (View::Scalar(a), View::Scalar(b)) => target.fill(f(a, b)),
    }
}
