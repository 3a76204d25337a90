//! A program as steps for the kernel that interprets them on a GPU: every thread runs all of them on its row.

use crate::backend::program::{Instruction, Operand, Program};

/// Of the kernels: `REGISTERS` in WGSL, `QUOTIENT_REGISTERS` in CUDA.
const REGISTERS: usize = 32;

/// A program's steps.
#[derive(Debug)]
pub(in crate::backend) struct Steps {
    /// Four words each, as `QuotientStep` has them.
    pub(in crate::backend) words: Vec<u32>,
    /// Places in memory: the outputs, then results for which there are no registers.
    pub(in crate::backend) memory: usize,
}

/// The steps of a program.
pub(in crate::backend) fn assemble(program: &Program) -> Steps {
    Assembler::new(program).assemble()
}

/// Where the kernel finds an operand or leaves a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Scalar(usize),
    Cell(usize),
    Register(usize),
    Memory(usize),
}

impl Place {
    /// As `QuotientStep` has it.
    fn word(self) -> u32 {
        let (kind, index) = match self {
            Place::Scalar(index) => (0, index),
            Place::Cell(index) => (1, index),
            Place::Register(index) => (2, index),
            Place::Memory(index) => (3, index),
        };
        kind << 30 | index as u32
    }
}

/// What the kernel does.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Add,
    Sub,
    Mul,
    Negate,
    Copy,
}

/// Assigns places to a program's results.
#[derive(Debug)]
struct Assembler<'p> {
    program: &'p Program,
    steps: Vec<u32>,
    /// The place of each result so far.
    places: Vec<Place>,
    /// The last instruction that reads each result; the instruction itself where none does.
    last_reads: Vec<usize>,
    free: Vec<Place>,
    registers: usize,
    memory: usize,
}

impl<'p> Assembler<'p> {
    fn new(program: &'p Program) -> Self {
        let mut last_reads: Vec<usize> = (0..program.instructions().len()).collect();
        for (reader, instruction) in program.instructions().iter().enumerate() {
            for operand in instruction.operands() {
                if let Operand::Result(result) = operand {
                    last_reads[result] = reader;
                }
            }
        }
        let memory = program.outputs().len();
        Self { program, steps: Vec::new(), places: Vec::new(), last_reads, free: Vec::new(), registers: 0, memory }
    }

    fn assemble(mut self) -> Steps {
        self.store_outputs(|operand| !matches!(operand, Operand::Result(_)));
        for (i, instruction) in self.program.instructions().iter().enumerate() {
            let (operation, [a, b]) = match *instruction {
                Instruction::Add(a, b) => (Operation::Add, [a, b]),
                Instruction::Sub(a, b) => (Operation::Sub, [a, b]),
                Instruction::Mul(a, b) => (Operation::Mul, [a, b]),
                Instruction::Square(a) => (Operation::Mul, [a, a]),
                Instruction::Negate(a) => (Operation::Negate, [a, a]),
            };
            let operands = [self.place(a), self.place(b)];
            // What is read for the last time makes room for the result.
            for operand in instruction.operands().into_iter().take(if a == b { 1 } else { 2 }) {
                if let Operand::Result(result) = operand
                    && self.last_reads[result] == i
                {
                    self.free.push(self.places[result]);
                }
            }
            let result = self.room();
            self.places.push(result);
            self.step(operation, operands, result);
            self.store_outputs(|operand| operand == Operand::Result(i));
            if self.last_reads[i] == i {
                self.free.push(result);
            }
        }
        Steps { words: self.steps, memory: self.memory }
    }

    fn place(&self, operand: Operand) -> Place {
        match operand {
            Operand::Scalar(index) => Place::Scalar(index),
            Operand::Query(index) => Place::Cell(index),
            Operand::Result(index) => self.places[index],
        }
    }

    /// A free place, a register where there is one.
    fn room(&mut self) -> Place {
        if self.registers < REGISTERS && !self.free.iter().any(|place| matches!(place, Place::Register(_))) {
            self.registers += 1;
            return Place::Register(self.registers - 1);
        }
        let register = self.free.iter().position(|place| matches!(place, Place::Register(_)));
        if let Some(place) = register.map(|i| self.free.swap_remove(i)).or_else(|| self.free.pop()) {
            return place;
        }
        self.memory += 1;
        Place::Memory(self.memory - 1)
    }

    fn step(&mut self, operation: Operation, [a, b]: [Place; 2], result: Place) {
        self.steps.extend([operation as u32, a.word(), b.word(), result.word()]);
    }

    /// Copies some operands to the outputs that they are.
    fn store_outputs(&mut self, is_meant: impl Fn(Operand) -> bool) {
        for (output, operand) in self.program.outputs().iter().enumerate().filter(|(_, operand)| is_meant(**operand)) {
            let place = self.place(*operand);
            self.step(Operation::Copy, [place, place], Place::Memory(output));
        }
    }
}
