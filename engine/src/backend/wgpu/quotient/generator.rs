//! A program as source: straight-line kernels, each for a segment of the program, short enough to compile in reasonable
//! time.
//!
//! Results that later segments read go through memory, beside the outputs.

use std::fmt::Write;

use crate::backend::gpu::segments::Segments;
use crate::backend::program::{Instruction, Operand, Program};

/// Multiplications of a segment at most. Compilers inline every one of them, and some take time quadratic in what they
/// inline.
const SEGMENT_MULTIPLICATIONS: usize = 64;

/// A program's kernels.
#[derive(Debug)]
pub(super) struct Shader {
    /// What follows the shared declarations.
    pub(super) text: String,
    /// Entry points, in the order in which they run.
    pub(super) entries: Vec<String>,
    /// Places in memory: the outputs, then results that pass from segment to segment.
    pub(super) memory: usize,
}

/// The source of a program. A program without outputs has no kernels.
pub(super) fn generate(program: &Program) -> Shader {
    let segments = Segments::new(program, SEGMENT_MULTIPLICATIONS);
    let mut shader = Shader { text: String::new(), entries: Vec::new(), memory: segments.memory };
    for number in 0..segments.ranges.len() {
        let entry = format!("quotient_{number}");
        let body = body(program, &segments, number);
        // Writing to a string cannot fail.
        let _ = write!(
            shader.text,
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
        shader.entries.push(entry);
    }
    shader
}

/// The statements of a segment.
fn body(program: &Program, segments: &Segments, number: usize) -> String {
    let instructions = &segments.ranges[number];
    let operand = |operand: Operand| match operand {
        Operand::Scalar(index) => format!("scalars[{index}]"),
        Operand::Query(index) => format!("cells[{index}u * quotient.rows + row]"),
        Operand::Result(result) if instructions.contains(&result) => format!("r{result}"),
        // A result of another segment has a slot: it is read here.
        Operand::Result(result) => place(segments.places[result].unwrap_or_default()),
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
        if let Some(slot) = segments.places[result] {
            line(format!("{} = r{result};", place(slot)));
        }
    }
    for (output, value) in segments.outputs(program, number) {
        line(format!("{} = {};", place(output), operand(value)));
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
    fn every_segment_is_a_kernel() {
        let program = powers(200);
        let shader = generate(&program);
        assert_eq!(shader.entries.len(), Segments::new(&program, SEGMENT_MULTIPLICATIONS).ranges.len());
        assert!(shader.entries.len() > 1 && shader.memory > program.outputs().len());
    }

    #[test]
    fn a_program_without_outputs_has_no_kernels() {
        assert!(generate(&ProgramBuilder::new().finish(&[])).entries.is_empty());
    }
}
