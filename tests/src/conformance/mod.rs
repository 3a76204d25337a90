//! The conformance suite: every operation of any back end against [`Naive`](crate::naive::Naive), on random and
//! adversarial data, at sizes around the blocks that back ends work in.
//!
//! A new back end joins with one line:
//!
//! ```ignore
//! zkml_gpu_tests::conformance_suite!(cpu, zkml_gpu_engine::backend::cpu::Cpu::new());
//! ```
//!
//! An operation is tested by a scenario: a function generic over the back end that returns host values. The same
//! scenario runs on the oracle, and the two outcomes, errors included, must be equal.

pub mod data;
pub mod fold;
pub mod memory;
pub mod msm;
pub mod ntt;
pub mod quotient;
pub mod vector;

use zkml_gpu_engine::backend::Result;

/// One `#[test]` per operation for a back end: a name for the module, and an expression that makes the back end. With
/// `maybe`, the expression gives an `Option` of a reference to it, and says so itself where there is none.
#[macro_export]
macro_rules! conformance_suite {
    ($name:ident, $backend:expr) => {
        $crate::conformance_suite! { $name, maybe Some(&$backend) }
    };
    ($name:ident, maybe $backend:expr) => {
        mod $name {
            $crate::conformance_suite! { @tests $backend;
                memory: transfers, windows;
                ntt: ntt, intt, coset_ntt, interpolate_cosets;
                msm: msm, msm_adversarial_points, msm_without_table, msm_rows;
                vector: add_assign, sub_assign, mul_assign, scale, linear_combination, batch_invert, prefix_sum,
                    prefix_product, affine_scan, eval_polynomials, divide_by_linear, powers, inner_product, permute_lookup;
                quotient: evaluate, evaluate_rotations, evaluate_scalars;
                fold: fold_integers;
            }
        }
    };
    (@tests $backend:expr; $($family:ident: $($operation:ident),*;)*) => {
        $($(
            #[test]
            fn $operation() {
                use super::*;
                if let Some(backend) = $backend {
                    $crate::conformance::$family::$operation(backend);
                }
            }
        )*)*
    };
}

/// Runs a scenario on a back end and on the oracle and compares the outcomes.
macro_rules! compare {
    ($backend:expr, $scenario:expr, $($argument:expr),*) => {
        $crate::conformance::assert_same(
            &format!("{} {:?}", stringify!($scenario), ($(&$argument,)*)),
            $scenario($backend, $($argument),*),
            $scenario(&$crate::naive::Naive::new(), $($argument),*),
        )
    };
}
pub(crate) use compare;

/// Asserts that a back end's outcome is the oracle's, and says where it is not.
pub fn assert_same<T: PartialEq + std::fmt::Debug>(what: &str, got: Result<Vec<T>>, expected: Result<Vec<T>>) {
    match (got, expected) {
        (Ok(got), Ok(expected)) => {
            assert_eq!(got.len(), expected.len(), "{what}: number of results");
            let first = got.iter().zip(&expected).position(|(got, expected)| got != expected);
            if let Some(i) = first {
                assert_eq!(got[i], expected[i], "{what}: result {i} of {}", got.len());
            }
        }
        (got, expected) => assert_eq!(got.err(), expected.err(), "{what}: outcome"),
    }
}
