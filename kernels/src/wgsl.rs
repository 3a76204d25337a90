//! The WGSL kernels: constants, one of two field arithmetics, and the files asked for, as one source.
//!
//! Elements are `struct Element { limbs: array<u32, 8> }`, in memory what the host holds. Functions of the scalar field
//! begin with `fr_`, those of the base field with `fq_`: `add`, `sub`, `neg`, `double`, `mul`, `square`, `inverse` (0
//! for 0), `zero`, `one`, `is_zero`, `equal`, `from_montgomery` and `to_montgomery`. Results are below p.
//!
//! ```
//! use zkml_gpu_kernels::wgsl::{Arithmetic, source};
//!
//! let fields = source(Arithmetic::Int64, &[]);
//! assert!(fields.contains("fn fr_mul(a: Element, b: Element) -> Element"));
//! ```

use std::fmt::Write;

use crate::field::{Montgomery, Words, split};
use crate::modules::modules;

/// How products of words are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// 64-bit products: needs a device with 64-bit integers in shaders.
    Int64,
    /// 32-bit integers alone.
    Int32,
}

modules! {
    "wgsl":
    /// The number of a workgroup.
    Grid = "grid.wgsl" requires [],
    /// The order of integers.
    Order = "order.wgsl" requires [],
    /// Arithmetic row by row, linear combinations, powers.
    Elementwise = "elementwise.wgsl" requires [Grid],
    /// Running sums.
    ScanSum = "scan_sum.wgsl" with ["scan.wgsl"] requires [Grid],
    /// Running products.
    ScanProduct = "scan_product.wgsl" with ["product.wgsl", "scan.wgsl"] requires [Grid],
    /// Running products in which zeros do not count.
    ScanNonzero = "scan_nonzero.wgsl" with ["product.wgsl", "scan.wgsl"] requires [Grid],
    /// Running sums of words.
    ScanCount = "scan_count.wgsl" with ["scan.wgsl"] requires [Grid],
    /// Affine maps, their composition and application.
    Affine = "affine.wgsl" requires [],
    /// Running affine maps, from vectors of factors and terms.
    ScanAffine = "scan_affine.wgsl" with ["scan.wgsl"] requires [Grid, Affine],
    /// Running affine maps, from pairs of factor and term.
    ScanMaps = "scan_maps.wgsl" with ["scan.wgsl"] requires [Grid, Affine],
    /// Division by a linear polynomial.
    Divide = "divide.wgsl" requires [Grid, Affine],
    /// Batch inversion.
    Invert = "invert.wgsl" requires [Grid],
    /// Values of polynomials, inner products.
    Evaluation = "evaluation.wgsl" requires [Grid],
    /// Sorting by canonical integers.
    Sort = "sort.wgsl" requires [Grid, Order],
    /// The grouping of sorted lookup columns.
    Lookup = "lookup.wgsl" requires [Grid, Order],
    /// Number-theoretic transforms.
    Ntt = "ntt.wgsl" requires [Grid],
    /// What kernels of expression programs share.
    Quotient = "quotient.wgsl" requires [Grid],
    /// Expression programs by interpretation.
    QuotientInterpreter = "quotient_interpreter.wgsl" requires [Quotient],
    /// Sums of products with small integers.
    Fold = "fold.wgsl" requires [Grid],
    /// Points of the curve.
    Curve = "curve.wgsl" requires [],
    /// Scalars to digits, digits to entries sorted by bucket.
    MsmDigits = "msm_digits.wgsl" requires [Grid],
    /// Where the entries of buckets begin.
    MsmScan = "msm_scan.wgsl" requires [Grid],
    /// Sums of buckets.
    MsmSums = "msm_sums.wgsl" requires [Grid, Curve],
    /// Weighted sums of buckets.
    MsmWeigh = "msm_weigh.wgsl" requires [Grid, Curve],
    /// Sums of columns.
    MsmJoin = "msm_join.wgsl" requires [Grid, Curve],
    /// Multiples of points.
    MsmTable = "msm_table.wgsl" requires [Grid, Curve],
}

/// The constants, both fields and the modules, those that they require before them, each once.
pub fn source(arithmetic: Arithmetic, modules: &[Module]) -> String {
    let mut text = include_str!("../wgsl/words.wgsl").to_owned();
    if arithmetic == Arithmetic::Int32 {
        text.push_str(include_str!("../wgsl/words_u32.wgsl"));
    }
    for (prefix, field) in [("fr", Montgomery::SCALAR), ("fq", Montgomery::BASE)] {
        text.push_str(&constants(prefix, &field));
        let product = match arithmetic {
            Arithmetic::Int64 => include_str!("../wgsl/field_u64.wgsl"),
            Arithmetic::Int32 => include_str!("../wgsl/field_u32.wgsl"),
        };
        for template in [include_str!("../wgsl/field.wgsl"), product] {
            text.push_str(&instance(template, prefix));
        }
    }
    let mut written = Vec::new();
    for module in modules {
        module.append(&mut written, &mut text);
    }
    text
}

/// A template for one field.
fn instance(template: &str, prefix: &str) -> String {
    template.replace("field_", &format!("{prefix}_")).replace("FIELD_", &format!("{}_", prefix.to_uppercase()))
}

/// The constants of a field, as WGSL.
fn constants(prefix: &str, field: &Montgomery) -> String {
    let prefix = prefix.to_uppercase();
    let mut text = String::new();
    let mut array = |name: &str, words: &[u32]| {
        let list: Vec<_> = words.iter().map(|word| format!("{word:#x}u")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "const {prefix}_{name} = array<u32, {}>({});", words.len(), list.join(", "));
    };
    array("MODULUS", &field.modulus_32());
    array("MODULUS_13", &limbs_13(field.modulus));
    array("ONE", &field.one_32());
    array("R_SQUARED", &field.r_squared_32());
    array("INVERSE_EXPONENT", &split(field.inverse_exponent()));
    let _ = writeln!(text, "const {prefix}_NEGATED_INVERSE = {:#x}u;", field.negated_inverse_32());
    text
}

/// Twenty limbs of 13 bits.
fn limbs_13(words: Words) -> [u32; 20] {
    std::array::from_fn(|i| {
        (0..13)
            .map(|bit| (words.get((13 * i + bit) / 64).map_or(0, |w| w >> ((13 * i + bit) % 64) & 1) as u32) << bit)
            .sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    fn validate(arithmetic: Arithmetic, modules: &[Module]) {
        let text = source(arithmetic, modules);
        let parsed = naga::front::wgsl::parse_str(&text)
            .unwrap_or_else(|error| panic!("{modules:?}: {}", error.emit_to_string(&text)));
        let capabilities = match arithmetic {
            Arithmetic::Int64 => Capabilities::SHADER_INT64,
            Arithmetic::Int32 => Capabilities::empty(),
        };
        Validator::new(ValidationFlags::all(), capabilities)
            .validate(&parsed)
            .unwrap_or_else(|error| panic!("{modules:?}: {}", error.emit_to_string(&text)));
    }

    #[test]
    fn modules_are_valid_with_both_arithmetics() {
        for arithmetic in [Arithmetic::Int64, Arithmetic::Int32] {
            validate(arithmetic, &[]);
            for module in Module::ALL {
                validate(arithmetic, &[*module]);
            }
        }
    }

    #[test]
    fn constants_are_written_as_words() {
        let text = source(Arithmetic::Int32, &[]);
        assert!(text.contains("const FR_MODULUS = array<u32, 8>(0xf0000001u, 0x43e1f593u, "));
        assert!(text.contains("const FQ_MODULUS = array<u32, 8>(0xd87cfd47u, 0x3c208c16u, "));
        assert!(!text.contains("u64"));
    }

    #[test]
    fn limbs_make_up_the_modulus() {
        for modulus in [Montgomery::SCALAR.modulus, Montgomery::BASE.modulus] {
            let mut words = [0u64; 4];
            for (i, limb) in limbs_13(modulus).into_iter().enumerate() {
                let (word, shift) = (13 * i / 64, 13 * i % 64);
                words[word] |= u64::from(limb) << shift;
                if shift + 13 > 64 && word < 3 {
                    words[word + 1] |= u64::from(limb) >> (64 - shift);
                }
            }
            assert_eq!(words, modulus);
        }
    }
}
