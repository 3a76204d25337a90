//! Maxima over windows, which keep their operand's format.

use zkml_gpu_graph::{Op, Window};

use crate::import::FloatNode;
use crate::quant::converter::{Converted, Converter};

pub(super) fn convert(converter: &Converter<'_>, node: &FloatNode, window: &Window) -> Converted {
    Converted::of(outline(window), converter.format(node.inputs[0]))
}

pub(super) const fn outline(window: &Window) -> Op {
    Op::MaxPool(*window)
}
