//! What the processor back end does: each of these operations would cost a transfer both ways.

use halo2curves::bn256::Fr;

use super::Icicle;
use crate::backend::cpu::{CpuIntegers as Integers, CpuProgram as Compiled, CpuScalars as Scalars};
use crate::backend::ops::list::{hand_on, operations};
use crate::backend::program::Program;
use crate::backend::{FoldOps, IntegerRow, QuotientOps, Result, VectorOps};

impl VectorOps for Icicle {
    operations!(VectorOps: hand_on(cpu));
}

impl QuotientOps for Icicle {
    type Compiled = Compiled;
    operations!(QuotientOps: hand_on(cpu));
}

impl FoldOps for Icicle {
    type Integers = Integers;
    operations!(FoldOps: hand_on(cpu));
}
