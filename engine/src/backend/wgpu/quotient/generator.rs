//! A program as source: straight-line kernels, each for a segment of the program, short enough to compile in reasonable time.
//!
//! Results that later segments read go through memory, beside the outputs.

use crate::backend::program::{Instruction, Operand, Program};
use std::fmt::Write;
use std::ops::Range;

/// Multiplications of a segment at most. Compilers inline every one of them, and some take time quadratic in what they inline.
const SEGMENT_MULTIPLICATIONS: usize = 64;

/// A program's kernels.
#[derive(Debug)]
pub(super) struct Source {
    /// What follows the shared declarations.
    pub(super) text: String,
    /// Entry points, in the order in which they run.
    pub(super) entries: Vec<String>,
    /// Places in memory: the outputs, then results that pass from segment to segment.
    pub(super) memory: usize,
}

/// The source of a program. A program without outputs has no kernels.
pub(super) fn generate(program: &Program) -> Source {
    let segments = segments(program);
    let slots = Slots::new(program, &segments);
    let mut source = Source { text: String::new(), entries: Vec::new(), memory: slots.count };
    for (number, instructions) in segments.iter().enumerate() {
        let entry = format!("quotient_{number}");
        let body = body(program, instructions, &slots, number + 1 == segments.len());
        // Writing to a string cannot fail.
        let _ = write!(
            source.text,
            "
@compute @workgroup_size(QUOTIENT_THREADS)
fn {entry}(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {{
    let row = group_number(group, groups) * QUOTIENT_THREADS + thread;
    if row >= quotient.len {{
        return;
    }}
    _ = cells[0];
    _ = scalars[0];
{body}}}
"
        );
        source.entries.push(entry);
    }
    source
}

/// Runs of instructions with few multiplications each. The last also writes outputs that are no results, so there is one at least.
fn segments(program: &Program) -> Vec<Range<usize>> {
    let (mut segments, mut start, mut multiplications) = (Vec::new(), 0, 0);
    for (i, instruction) in program.instructions().iter().enumerate() {
        if matches!(instruction, Instruction::Mul(..) | Instruction::Square(_)) {
            if multiplications == SEGMENT_MULTIPLICATIONS {
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

/// The places in memory of results that other segments read.
struct Slots {
    of_result: Vec<Option<usize>>,
    count: usize,
}

impl Slots {
    fn new(program: &Program, segments: &[Range<usize>]) -> Self {
        // The last segment that reads each result: outputs are written where the result is made.
        let mut last_readers: Vec<usize> = vec![0; program.instructions().len()];
        for (number, instructions) in segments.iter().enumerate() {
            for operand in program.instructions()[instructions.clone()].iter().flat_map(|step| step.operands()) {
                if let Operand::Result(result) = operand {
                    last_readers[result] = number;
                }
            }
        }
        let mut slots = Self { of_result: vec![None; last_readers.len()], count: program.outputs().len() };
        // By the last segment that reads them.
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut free = Vec::new();
        for (number, instructions) in segments.iter().enumerate() {
            let (kept, ended) = taken.into_iter().partition(|(last, _)| *last >= number);
            taken = kept;
            free.extend(ended.into_iter().map(|(_, slot): (usize, usize)| slot));
            for result in instructions.clone().filter(|result| last_readers[*result] > number) {
                let slot = free.pop().unwrap_or_else(|| {
                    slots.count += 1;
                    slots.count - 1
                });
                slots.of_result[result] = Some(slot);
                taken.push((last_readers[result], slot));
            }
        }
        slots
    }
}

/// The statements of a segment.
fn body(program: &Program, instructions: &Range<usize>, slots: &Slots, last: bool) -> String {
    let operand = |operand: Operand| match operand {
        Operand::Scalar(index) => format!("scalars[{index}]"),
        Operand::Query(index) => format!("cells[{index}u * quotient.rows + row]"),
        Operand::Result(result) if instructions.contains(&result) => format!("r{result}"),
        // A result of another segment has a slot: it is read here.
        Operand::Result(result) => place(slots.of_result[result].unwrap_or_default()),
    };
    let mut text = String::new();
    let mut line = |words: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {words}");
    };
    for result in instructions.clone() {
        let value = match program.instructions()[result].map(operand) {
            Instruction::Add(a, b) => format!("fr_add({a}, {b})"),
            Instruction::Sub(a, b) => format!("fr_sub({a}, {b})"),
            Instruction::Mul(a, b) => format!("fr_mul({a}, {b})"),
            Instruction::Square(a) => format!("fr_square({a})"),
            Instruction::Negate(a) => format!("fr_neg({a})"),
        };
        line(format!("let r{result} = {value};"));
        if let Some(slot) = slots.of_result[result] {
            line(format!("{} = r{result};", place(slot)));
        }
    }
    for (output, value) in program.outputs().iter().enumerate() {
        let here = match value {
            Operand::Result(result) => instructions.contains(result),
            _ => last,
        };
        if here {
            line(format!("{} = {};", place(output), operand(*value)));
        }
    }
    text
}

fn place(slot: usize) -> String {
    format!("memory[{slot}u * quotient.rows + row]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::program::ProgramBuilder;
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    use zkml_gpu_kernels::wgsl::{Arithmetic, Module, source};

    /// Powers of a column's cells, and a combination of all of them: every segment reads results of those before.
    fn powers(count: usize) -> Program {
        let mut nodes = ProgramBuilder::new();
        let (cell, y) = (nodes.column(0, 0), nodes.scalar(0));
        let mut terms = vec![cell];
        for _ in 0..count {
            let last = terms[terms.len() - 1];
            terms.push(nodes.mul(last, cell));
        }
        let sum = nodes.horner(&terms, y);
        nodes.finish(&[sum, terms[1], cell])
    }

    #[test]
    fn sources_are_valid_without_a_device() {
        for (arithmetic, capabilities) in
            [(Arithmetic::Int32, Capabilities::empty()), (Arithmetic::Int64, Capabilities::SHADER_INT64)]
        {
            for program in [powers(1), powers(200)] {
                let text = source(arithmetic, &[Module::Quotient]) + &generate(&program).text;
                let parsed = naga::front::wgsl::parse_str(&text)
                    .unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
                let mut validator = Validator::new(ValidationFlags::all(), capabilities);
                validator.validate(&parsed).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
            }
        }
    }

    #[test]
    fn segments_hold_few_multiplications_and_pass_results_on() {
        let program = powers(200);
        let segments = segments(&program);
        assert!(segments.len() > 400 / SEGMENT_MULTIPLICATIONS);
        for segment in &segments {
            let multiplied =
                program.instructions()[segment.clone()].iter().filter(|step| matches!(step, Instruction::Mul(..)));
            assert!(multiplied.count() <= SEGMENT_MULTIPLICATIONS);
        }
        let source = generate(&program);
        assert_eq!(source.entries.len(), segments.len());
        assert!(source.memory > program.outputs().len());
    }

    #[test]
    fn a_program_without_outputs_has_no_kernels() {
        assert!(generate(&ProgramBuilder::new().finish(&[])).entries.is_empty());
    }
}
