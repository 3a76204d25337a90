//! The witness, phase by phase.
//!
//! Each phase is a function of the layout, the integer execution and the challenges so far; the formulas over a row are
//! those of the gates (`chips::columns`).

mod first;
mod garbage;
mod second;
mod third;

use halo2curves::bn256::Fr;

pub use first::FirstPhase;
pub(crate) use second::SecondPhase;
pub(crate) use third::{Before, third_phase};

use crate::layout::{FixedRole, Layout};

/// A fixed column as a dense vector of `len` rows; all zero for a role that the circuit lacks.
fn dense(layout: &Layout, role: &FixedRole, len: usize) -> Vec<i64> {
    let mut column = vec![0; len];
    if let Some(index) = layout.architecture.fixed.iter().position(|r| r == role) {
        for (row, value) in layout.fixed[index].iter().filter(|(row, _)| (*row as usize) < len) {
            column[*row as usize] = *value;
        }
    }
    column
}

/// Inverts all elements, on the host: the columns are built there. Zeros stay.
fn invert_all(values: &mut [Fr]) {
    zkml_gpu_engine::backend::Cpu::new().invert_all(values);
}
