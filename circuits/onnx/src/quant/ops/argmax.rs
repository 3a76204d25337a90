//! Indices of maxima, whose format is fixed: whole numbers.

use zkml_gpu_graph::{Format, Op};

use crate::quant::converter::Converted;

pub(super) fn convert(starts: &[u32], stride: usize, count: usize, last: bool) -> Converted {
    let format = Format::new(0, 0, count as i64 - 1);
    Converted::of(outline(starts, stride, count, last), format)
}

pub(super) fn outline(starts: &[u32], stride: usize, count: usize, last: bool) -> Op {
    Op::ArgMax { starts: starts.to_vec(), stride, count, last }
}
