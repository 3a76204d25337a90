//! Changes of shape, which keep their operand's format and pass its gain on.

use zkml_gpu_graph::Op;

use crate::import::FloatNode;
use crate::quant::converter::{Converted, Converter};
use crate::quant::group::Group;

pub(super) fn convert(converter: &mut Converter<'_>, group: &Group, node: &FloatNode) -> Converted {
    if let Some(&gain) = converter.gains.get(&node.inputs[0]) {
        converter.gains.insert(group.output, gain);
    }
    Converted::of(Op::Reshape, converter.format(node.inputs[0]))
}
