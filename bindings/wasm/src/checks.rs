//! What tests and benchmarks of this package call, and no other: the conformance suite of back ends, with the oracle of
//! the workspace's tests, and operations to be timed.

use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::serde::SerdeObject;
use wasm_bindgen::prelude::wasm_bindgen;
use zkml_gpu_engine::BackendError;
use zkml_gpu_engine::backend::cpu::{Cpu, CpuBases, CpuScalars};
use zkml_gpu_engine::backend::{MemoryOps, MsmOps, NttOps};
use zkml_gpu_engine::bench::data::{distinct_points, full_size};

/// Operations of the suite by families, each as a name and a call.
macro_rules! suite {
    ($($family:ident: $($operation:ident),*;)*) => {
        /// Names of the suite's operations.
        #[wasm_bindgen]
        pub fn operations() -> Vec<String> {
            vec![$($(concat!(stringify!($family), " ", stringify!($operation)).into()),*),*]
        }

        /// Compares an operation of the processor's fastest lanes, and of the portable ones, with the oracle; traps
        /// where they differ. Whether there is such an operation.
        #[wasm_bindgen]
        pub fn conformance(operation: &str) -> bool {
            for cpu in Cpu::each() {
                match operation {
                    $($(concat!(stringify!($family), " ", stringify!($operation)) =>
                        crate::conformance::$family::$operation(&cpu),)*)*
                    _ => return false,
                }
            }
            true
        }
    };
}

suite! {
    memory: transfers, windows;
    ntt: ntt, intt, coset_ntt, interpolate_cosets;
    msm: msm, msm_adversarial_points, msm_without_table, msm_rows;
    vector: add_assign, sub_assign, mul_assign, scale, linear_combination, batch_invert, prefix_sum, prefix_product,
        affine_scan, eval_polynomials, divide_by_linear, powers, inner_product, permute_lookup;
    quotient: evaluate, evaluate_rotations, evaluate_scalars;
    fold: fold_integers;
}

/// Data of operations to be timed, of `2^log_n` elements.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Operations {
    cpu: Cpu,
    points: Vec<G1Affine>,
    scalars: Vec<Fr>,
    bases: CpuBases,
    vector: CpuScalars,
}

#[wasm_bindgen]
impl Operations {
    /// Distinct points and scalars that fill the field, on the lanes of this name, of which [`lanes`](Self::lanes) has
    /// all; points without a table.
    pub fn of(log_n: u32, lanes: &str) -> Option<Operations> {
        let cpu = Cpu::each().into_iter().find(|cpu| cpu.instructions() == lanes)?;
        let (points, scalars) = (distinct_points(1 << log_n), full_size(1 << log_n));
        let loaded = || Ok::<_, BackendError>((cpu.load_bases(&points, 0)?, cpu.upload(&scalars)?));
        let (bases, vector) = loaded().ok()?;
        Some(Self { cpu, points, scalars, bases, vector })
    }

    /// The lanes that there are, the fastest first.
    pub fn lanes() -> Vec<String> {
        Cpu::each().iter().map(|cpu| cpu.instructions().into()).collect()
    }

    /// Coordinates of the points, 32 bytes each, canonical, little-endian.
    pub fn points(&self) -> Vec<u8> {
        self.points.iter().flat_map(|point| [point.x.to_bytes(), point.y.to_bytes()]).flatten().collect()
    }

    /// The scalars, 32 bytes each, canonical, little-endian.
    pub fn scalars(&self) -> Vec<u8> {
        self.scalars.iter().flat_map(Fr::to_bytes).collect()
    }

    /// The scalars as they are in memory.
    pub fn residues(&self) -> Vec<u8> {
        self.scalars.iter().flat_map(SerdeObject::to_raw_bytes).collect()
    }

    /// The sum of the points times the scalars, as [`points`](Self::points) has points; empty where it fails.
    pub fn multiply(&self) -> Vec<u8> {
        let sum = self.cpu.msm(&self.bases, &[&self.vector]).unwrap_or_default();
        sum.iter().flat_map(|point| [point.x.to_bytes(), point.y.to_bytes()]).flatten().collect()
    }

    /// The transform's first element, canonical; empty where it fails.
    pub fn transform(&self) -> Vec<u8> {
        let columns = self.cpu.ntt(&[&self.vector]).unwrap_or_default();
        let first = columns.iter().flat_map(|column| self.cpu.read_range(column, 0..1).unwrap_or_default());
        first.flat_map(|element| element.to_bytes()).collect()
    }
}
