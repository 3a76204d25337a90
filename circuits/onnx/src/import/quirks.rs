//! Valid models that tract reads as something else, put right or refused before tract sees them.

use std::collections::HashMap;

use tract_onnx::Onnx;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto, type_proto};
use tract_onnx::prelude::TractResult;
use tract_onnx::tensor::load_tensor;

use super::error::ImportError;
use super::protos::attribute;

/// Lets an identity compute each output that is itself an input, whose shape tract would forget.
pub(super) fn separate_outputs(graph: &mut GraphProto) {
    let GraphProto { input, output, node, .. } = graph;
    for output in output.iter_mut().filter(|output| input.iter().any(|input| input.name == output.name)) {
        let computed = format!("{}.output", output.name);
        let identity = NodeProto {
            name: computed.clone(),
            op_type: "Identity".into(),
            input: vec![output.name.clone()],
            output: vec![computed.clone()],
            ..NodeProto::default()
        };
        node.push(identity);
        output.name = computed;
    }
}

/// Gives `ConstantOfShape` the value that it has without one, which tract would take for one of 64 bits.
pub(super) fn write_zeros(graph: &mut GraphProto) {
    let of_shapes = graph.node.iter_mut().filter(|node| node.op_type == "ConstantOfShape");
    for node in of_shapes.filter(|node| attribute(node, "value").is_none()) {
        node.attribute.push(number("value", 0.0));
    }
}

/// An attribute that is a number.
fn number(name: &str, value: f32) -> AttributeProto {
    let tensor = TensorProto {
        data_type: DataType::Float as i32,
        raw_data: value.to_le_bytes().to_vec(),
        ..TensorProto::default()
    };
    AttributeProto {
        name: name.into(),
        r#type: attribute_proto::AttributeType::Tensor as i32,
        t: Some(tensor),
        ..AttributeProto::default()
    }
}

/// Gives the axis of `CumSum` as a number, which it is written as a vector of one: others take it for the same.
pub(super) fn write_axes(graph: &mut GraphProto) {
    let GraphProto { node, initializer, .. } = graph;
    let written = node.iter().filter(|node| node.op_type == "Constant");
    let mut constants: HashMap<String, TensorProto> =
        written.filter_map(|node| Some((node.output.first()?.clone(), attribute(node, "value")?.t.clone()?))).collect();
    constants.extend(initializer.iter().map(|tensor| (tensor.name.clone(), tensor.clone())));
    for (i, node) in node.iter_mut().enumerate().filter(|(_, node)| node.op_type == "CumSum") {
        let Some(axis) = node.input.get_mut(1) else { continue };
        if let Some(tensor) = constants.get(axis).filter(|tensor| tensor.dims == [1]) {
            *axis = format!("{axis}.number{i}");
            initializer.push(TensorProto { name: axis.clone(), dims: Vec::new(), ..tensor.clone() });
        }
    }
}

/// Makes numbers of 16 and of 64 bits such of 32 bits, in which everything is computed: constants, inputs, and casts.
/// `onnx` reads tensors in the model's other files.
pub(super) fn single_precision(graph: &mut GraphProto, onnx: &Onnx, folder: Option<&str>) -> TractResult<()> {
    let float = DataType::Float as i32;
    let other = [DataType::Float16, DataType::Bfloat16, DataType::Double].map(|kind| kind as i32);
    for input in &mut graph.input {
        if let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|kind| kind.value.as_mut())
            && other.contains(&tensor.elem_type)
        {
            tensor.elem_type = float;
        }
    }
    let attributes = graph.node.iter_mut().flat_map(|node| {
        let is_cast = node.op_type == "Cast";
        node.attribute.iter_mut().map(move |attribute| (is_cast, attribute))
    });
    let mut tensors: Vec<&mut TensorProto> = graph.initializer.iter_mut().collect();
    for (is_cast, attribute) in attributes {
        if is_cast && attribute.name == "to" && other.iter().any(|kind| i64::from(*kind) == attribute.i) {
            attribute.i = i64::from(float);
        }
        tensors.extend(attribute.t.as_mut());
    }
    for tensor in tensors.into_iter().filter(|tensor| other.contains(&tensor.data_type)) {
        let raw_data = match brain_floats(tensor) {
            Some(values) => values.flat_map(f32::to_le_bytes).collect(),
            None => {
                let values = load_tensor(&*onnx.provider, tensor, folder)?;
                let values = values.cast_to::<f32>()?;
                values.to_plain_array_view::<f32>()?.iter().flat_map(|value| value.to_le_bytes()).collect()
            }
        };
        let (name, dims) = (tensor.name.clone(), tensor.dims.clone());
        *tensor = TensorProto { name, dims, data_type: float, raw_data, ..TensorProto::default() };
    }
    Ok(())
}

/// The numbers of a tensor in the file of which each is the upper half of a 32-bit float; `None` for others. tract knows
/// no such.
fn brain_floats(tensor: &TensorProto) -> Option<impl Iterator<Item = f32>> {
    let is_one =
        tensor.data_type == DataType::Bfloat16 as i32 && !(tensor.raw_data.is_empty() && tensor.int32_data.is_empty());
    let raw = tensor.raw_data.chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let words = tensor.int32_data.iter().map(|word| *word as u16);
    is_one.then(|| raw.chain(words).map(|half| f32::from_bits(u32::from(half) << 16)))
}

/// Writes Celu by Elu, `α·elu(x / α)`: tract forgets the factor.
pub(super) fn write_celu(graph: &mut GraphProto) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        let alpha = attribute(&node, "alpha").map(|alpha| alpha.f);
        let Some(alpha) = alpha.filter(|alpha| node.op_type == "Celu" && *alpha != 1.0) else {
            nodes.push(node);
            continue;
        };
        let result = node.output.first().cloned().unwrap_or_default();
        let [constant, scaled, curved] = ["alpha", "scaled", "curved"].map(|part| format!("{result}.{part}"));
        let made = |op_type: &str, input: Vec<String>, output: &str| NodeProto {
            name: output.into(),
            op_type: op_type.into(),
            input,
            output: vec![output.into()],
            ..NodeProto::default()
        };
        nodes.push(NodeProto { attribute: vec![number("value", alpha)], ..made("Constant", Vec::new(), &constant) });
        nodes.push(made("Div", vec![node.input.concat(), constant.clone()], &scaled));
        nodes.push(made("Elu", vec![scaled], &curved));
        (node.op_type, node.input, node.attribute) = ("Mul".into(), vec![curved, constant], Vec::new());
        nodes.push(node);
    }
    graph.node = nodes;
}

/// Refuses padding by copies of the border that also names a constant: ONNX ignores the constant, tract the border.
pub(super) fn check_padding(node: &NodeProto, name: &str) -> Result<(), ImportError> {
    let mode = node.attribute.iter().find(|a| node.op_type == "Pad" && a.name == "mode");
    let mode = mode.map(|a| String::from_utf8_lossy(&a.s).into_owned()).unwrap_or_default();
    let constant = node.input.get(2).is_some_and(|input| !input.is_empty());
    if constant && !matches!(mode.as_str(), "" | "constant") {
        return Err(ImportError::UnsupportedForm {
            operator: node.op_type.clone(),
            node: name.into(),
            form: format!("mode {mode} and a constant"),
            hint: "leave out the third input, which this mode ignores",
        });
    }
    Ok(())
}
