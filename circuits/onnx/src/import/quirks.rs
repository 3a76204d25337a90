//! Valid models that tract reads as something else, put right or refused before tract sees them.

use tract_onnx::pb::{GraphProto, NodeProto};

use super::error::ImportError;

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
