//! The CUDA kernels: constants, both fields and the files asked for, as one source for NVRTC or nvcc.
//!
//! Elements are `struct Element { u32 limbs[8]; }`, in memory what the host holds, at multiples of 16 bytes. Functions
//! of the scalar field begin with `fr_`, those of the base field with `fq_`. Parameters are passed by value as structs
//! laid out as in C.
//!
//! The same source is C++ for the host: after [`HOST`] come kernels as ordinary functions, which tests run where there
//! is no device.
//!
//! ```
//! use zkml_gpu_kernels::cuda::{Module, source};
//!
//! let text = source(&[Module::Ntt]);
//! assert!(text.contains("KERNEL(NTT_THREADS, ntt_pass,"));
//! ```

use std::fmt::Write;

use crate::field::{Montgomery, Words, split};
use crate::modules::modules;

modules! {
    "cuda":
    /// Arithmetic row by row, linear combinations, powers.
    Elementwise = "elementwise.cuh" requires [],
    /// Running sums, products and affine maps.
    Scan = "scan.cuh" requires [],
    /// Division by a linear polynomial.
    Divide = "divide.cuh" requires [Scan],
    /// Batch inversion.
    Invert = "invert.cuh" requires [],
    /// Values of polynomials, inner products.
    Evaluation = "evaluation.cuh" requires [],
    /// Sorting by canonical integers.
    Sort = "sort.cuh" requires [],
    /// The grouping of sorted lookup columns.
    Lookup = "lookup.cuh" requires [],
    /// Number-theoretic transforms.
    Ntt = "ntt.cuh" requires [],
    /// Expression programs.
    Quotient = "quotient.cuh" requires [],
    /// Sums of products with small integers.
    Fold = "fold.cuh" requires [],
    /// Points of the curve.
    Curve = "curve.cuh" requires [],
    /// Scalars to digits, digits to entries sorted by parts of buckets.
    MsmDigits = "msm_digits.cuh" requires [],
    /// Where the entries of buckets begin.
    MsmScan = "msm_scan.cuh" requires [Scan],
    /// Entries sorted by bucket.
    MsmBuckets = "msm_buckets.cuh" requires [MsmScan],
    /// Sums of buckets.
    MsmSums = "msm_sums.cuh" requires [Curve, MsmScan],
    /// Weighted sums of buckets.
    MsmWeigh = "msm_weigh.cuh" requires [MsmSums],
    /// Sums of columns.
    MsmJoin = "msm_join.cuh" requires [Curve, MsmDigits],
    /// Multiples of points.
    MsmTable = "msm_table.cuh" requires [Curve],
    /// Sums of few points.
    MsmDirect = "msm_direct.cuh" requires [MsmJoin, MsmTable],
    /// Multi-scalar multiplication: all of it, since its kernels are used together.
    Msm = "msm.cuh" requires [MsmDigits, MsmBuckets, MsmSums, MsmWeigh, MsmJoin, MsmTable, MsmDirect],
    /// Throughput: what a device does in a second.
    Throughput = "throughput.cuh" requires [Curve],
}

/// What comes before a source that is compiled for the host.
pub const HOST: &str = include_str!("../cuda/host/shim.h");

/// What comes after all kernels in a program that serves them, as a device in a process.
pub const SERVE: &str = include_str!("../cuda/host/serve.cpp");

/// What comes after all kernels in a library for the host whose kernels [`DRIVER`] runs.
pub const EXPORT: &str = include_str!("../cuda/host/export.cpp");

/// A library with the functions of NVIDIA's driver, whose one device is the host. Work waits until somebody waits for
/// it.
pub const DRIVER: &str = include_str!("../cuda/host/driver.cpp");

/// What [`DRIVER`] calls its device. Where a real device is asked for, one of this name is refused.
pub const HOST_NAME: &str = "the host, as a CUDA device";

/// A library with the functions of NVRTC, which calls the host's C++ compiler. It is compiled with `HOST_FOLDER`, where
/// it keeps files: in there it finds [`HOST`] as `shim.h` and [`EXPORT`] as `export.cpp`.
pub const COMPILER: &str = include_str!("../cuda/host/compiler.cpp");

/// The constants, both fields and the modules, those that they require before them, each once.
pub fn source(modules: &[Module]) -> String {
    let mut text = include_str!("../cuda/words.cuh").to_owned();
    for (name, field) in [("Fr", Montgomery::SCALAR), ("Fq", Montgomery::BASE)] {
        text.push_str(&constants(name, &field));
    }
    text.push_str(include_str!("../cuda/field.cuh"));
    let mut written = Vec::new();
    for module in modules {
        module.append(&mut written, &mut text);
    }
    text
}

/// A field's constants, and the type by which `field.cuh` finds them.
fn constants(name: &str, field: &Montgomery) -> String {
    let prefix = name.to_uppercase();
    let arrays: [(&str, Words); 5] = [
        ("modulus", field.modulus),
        ("doubled_modulus", doubled(field.modulus)),
        ("one", field.one),
        ("r_squared", field.r_squared),
        ("inverse_exponent", field.inverse_exponent()),
    ];
    let (mut values, mut functions) = (String::new(), String::new());
    for (function, words) in arrays {
        let array = format!("{prefix}_{}", function.to_uppercase());
        let list: Vec<_> = split(words).iter().map(|word| format!("{word:#x}u")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(values, "CONSTANT u32 {array}[8] = {{{}}};", list.join(", "));
        let _ = writeln!(functions, "    static DEVICE u32 {function}(int i) {{ return {array}[i]; }}");
    }
    let inverse = field.negated_inverse_32();
    let _ = writeln!(functions, "    static DEVICE u32 negated_inverse() {{ return {inverse:#x}u; }}");
    format!("{values}struct {name} {{\n{functions}}};\n")
}

/// Twice a value below 2^255.
fn doubled(words: Words) -> Words {
    std::array::from_fn(|i| words[i] << 1 | if i > 0 { words[i - 1] >> 63 } else { 0 })
}

/// What a step of an expression program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A scalar, by its number.
    Scalar(usize),
    /// A query's value in the row, by the query's number.
    Cell(usize),
    /// The result of an earlier step of the same kernel, by the step's number.
    Result(usize),
    /// What an earlier kernel left in memory, by its place.
    Memory(usize),
}

/// A step of an expression program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// a + b
    Add(Value, Value),
    /// a - b
    Sub(Value, Value),
    /// a · b
    Mul(Value, Value),
    /// -a
    Negate(Value),
}

/// A kernel that runs steps of a program, written out one by one: it takes what the interpreter `evaluate` of
/// [`Module::Quotient`] takes, which comes before it. Steps have their numbers with them; what is kept goes to places
/// in memory after the last step. The name is one of C. Arithmetic is called, not written out: NVRTC takes 0.7 s of a
/// processor for 128 multiplications, and more than twice as much for twice as many, so long programs are better split.
pub fn straight_line(name: &str, steps: &[(usize, Step)], kept: &[(usize, Value)]) -> String {
    let mut text = format!("KERNEL(QUOTIENT_THREADS, {name}, QuotientParams params) {{\n");
    text.push_str("    u32 row = quotient_row(params);\n    if (row >= params.end_row) {\n        return;\n    }\n");
    for (number, step) in steps {
        let value = match *step {
            Step::Add(a, b) => format!("quotient_add({}, {})", operand(a), operand(b)),
            Step::Sub(a, b) => format!("quotient_sub({}, {})", operand(a), operand(b)),
            Step::Mul(a, b) if a == b => format!("quotient_square({})", operand(a)),
            Step::Mul(a, b) => format!("quotient_mul({}, {})", operand(a), operand(b)),
            Step::Negate(a) => format!("quotient_neg({})", operand(a)),
        };
        let _ = writeln!(text, "    Element r{number} = {value};");
    }
    for (place, value) in kept {
        let _ = writeln!(text, "    params.memory[{place}][row] = {};", operand(*value));
    }
    text.push_str("}\n");
    text
}

fn operand(value: Value) -> String {
    match value {
        Value::Scalar(i) => format!("params.scalars[{i}]"),
        Value::Cell(i) => format!("quotient_cell(params.queries[{i}], params.rows, row)"),
        Value::Result(i) => format!("r{i}"),
        Value::Memory(i) => format!("params.memory[{i}][row]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_written_as_words() {
        let text = source(&[]);
        assert!(text.contains("CONSTANT u32 FR_MODULUS[8] = {0xf0000001u, 0x43e1f593u, "));
        assert!(text.contains("CONSTANT u32 FQ_MODULUS[8] = {0xd87cfd47u, 0x3c208c16u, "));
    }

    #[test]
    fn the_driver_for_the_host_names_its_device() {
        assert_eq!(DRIVER.matches(&format!("\"{HOST_NAME}\"")).count(), 1);
    }

    #[test]
    fn what_modules_share_is_written_once() {
        let text = source(Module::ALL);
        assert_eq!(text.matches("struct Affine {").count(), 1);
        assert!(text.matches("struct Curve").count() <= 1);
    }
}
