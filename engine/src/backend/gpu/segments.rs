//! A program cut into pieces that a GPU's compiler takes in reasonable time. Results that later segments read go
//! through memory, beside the outputs.

use std::ops::Range;

use crate::backend::program::{Instruction, Operand, Program};

/// Runs of a program's instructions.
#[derive(Debug)]
pub(in crate::backend) struct Segments {
    /// The instructions of each, in order. A program with outputs has one segment at least.
    pub(in crate::backend) ranges: Vec<Range<usize>>,
    /// The place in memory of each result that a later segment reads.
    pub(in crate::backend) places: Vec<Option<usize>>,
    /// Places in memory: the outputs, then results.
    pub(in crate::backend) memory: usize,
}

impl Segments {
    /// Segments of so many multiplications at most.
    pub(in crate::backend) fn new(program: &Program, multiplications: usize) -> Self {
        let ranges = ranges(program, multiplications);
        // The last segment that reads each result: outputs are written where the result is made.
        let mut last_readers: Vec<usize> = vec![0; program.instructions().len()];
        for (number, instructions) in ranges.iter().enumerate() {
            for operand in program.instructions()[instructions.clone()].iter().flat_map(|step| step.operands()) {
                if let Operand::Result(result) = operand {
                    last_readers[result] = number;
                }
            }
        }
        let mut memory = program.outputs().len();
        let mut places = vec![None; last_readers.len()];
        // By the last segment that reads them.
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut free = Vec::new();
        for (number, instructions) in ranges.iter().enumerate() {
            let (kept, ended) = taken.into_iter().partition(|(last, _)| *last >= number);
            taken = kept;
            free.extend(ended.into_iter().map(|(_, place): (usize, usize)| place));
            for result in instructions.clone().filter(|result| last_readers[*result] > number) {
                let place = free.pop().unwrap_or_else(|| {
                    memory += 1;
                    memory - 1
                });
                places[result] = Some(place);
                taken.push((last_readers[result], place));
            }
        }
        Self { ranges, places, memory }
    }

    /// The outputs that a segment writes: those that it computes, and in the last one those that are no results.
    pub(in crate::backend) fn outputs(
        &self,
        program: &Program,
        number: usize,
    ) -> impl Iterator<Item = (usize, Operand)> {
        let (instructions, last) = (self.ranges[number].clone(), number + 1 == self.ranges.len());
        program.outputs().iter().copied().enumerate().filter(move |(_, value)| match value {
            Operand::Result(result) => instructions.contains(result),
            _ => last,
        })
    }
}

/// Runs of instructions with few multiplications each. The last also writes outputs that are no results, so there is
/// one at least.
fn ranges(program: &Program, most: usize) -> Vec<Range<usize>> {
    let (mut segments, mut start, mut multiplications) = (Vec::new(), 0, 0);
    for (i, instruction) in program.instructions().iter().enumerate() {
        if matches!(instruction, Instruction::Mul(..) | Instruction::Square(_)) {
            if multiplications == most {
                segments.push(start..i);
                (start, multiplications) = (i, 0);
            }
            multiplications += 1;
        }
    }
    if !program.outputs().is_empty() {
        segments.push(start..program.instructions().len());
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::program::ProgramBuilder;

    #[test]
    fn segments_hold_few_multiplications_and_pass_results_on() {
        let mut nodes = ProgramBuilder::new();
        let (cell, y) = (nodes.column(0, 0), nodes.scalar(0));
        let mut terms = vec![cell];
        for i in 0..200 {
            terms.push(nodes.mul(terms[i], cell));
        }
        let sum = nodes.horner(&terms, y);
        let program = nodes.finish(&[sum, terms[1], cell]);
        let segments = Segments::new(&program, 64);
        assert!(segments.ranges.len() > 400 / 64);
        for segment in &segments.ranges {
            let steps = &program.instructions()[segment.clone()];
            assert!(steps.iter().filter(|step| matches!(step, Instruction::Mul(..))).count() <= 64);
        }
        assert!(segments.memory > program.outputs().len());
        let written = (0..segments.ranges.len()).flat_map(|number| segments.outputs(&program, number));
        let mut written: Vec<usize> = written.map(|(output, _)| output).collect();
        written.sort_unstable();
        assert_eq!(written, [0, 1, 2]);
    }
}
