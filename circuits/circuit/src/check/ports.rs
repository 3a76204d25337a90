//! Public tensors: which element each cell of the instance columns is.

use zkml_gpu_graph::{Graph, TensorId};

use super::cells::{Cells, Columns};
use super::places::Rows;
use super::values::{Value, Values};
use super::{AtNode, Check, refuse, require};
use crate::layout::Layout;
use crate::system::{Port, RowKind};

/// Inputs are what their cells hold; claims are to be proved; the verifier leaves every other public cell 0.
pub(super) fn inputs(graph: &Graph, layout: &Layout, values: &Values, cells: &mut Cells) -> Check {
    let (a, statement) = (&layout.architecture, &layout.statement);
    if let Err(reason) = statement.check(a.instance_columns(), layout.usable_rows()) {
        return refuse(reason);
    }
    let columns = Columns(a);
    (0..a.instance_columns()).for_each(|column| cells.fill(columns.instance(column), Value::ZERO));
    for (ports, tensors, given) in
        [(&statement.inputs, &graph.inputs, true), (&statement.outputs, &graph.outputs, false)]
    {
        require(ports.len() == tensors.len(), || "another number of public tensors than the graph's".into())?;
        for (port, &tensor) in ports.iter().zip(tensors) {
            check_port(graph, port, tensor)?;
            for element in 0..port.len {
                let (column, row) = port.placement.cell(element);
                let value = if given { values.element(tensor, element) } else { Value::UNKNOWN };
                cells.replace(columns.instance(column), row, value);
            }
        }
    }
    Ok(())
}

fn check_port(graph: &Graph, port: &Port, tensor: TensorId) -> Check {
    let tensor = &graph.tensors[tensor];
    let same = port.len == tensor.shape.len()
        && port.format == tensor.format
        && port.storage == tensor.storage
        && port.logical_shape == tensor.logical_shape
        && port.name == tensor.name;
    require(same, || {
        format!("the public tensor '{}' is declared otherwise than the graph's '{}'", port.name, tensor.name)
    })
}

/// Each claimed cell is the element that it is claimed to be: tied by a digest, or read as an accumulator. Returns the
/// number of public cells.
pub(super) fn outputs(graph: &Graph, layout: &Layout, rows: &Rows<'_>, values: &Values, cells: &Cells) -> Check<usize> {
    let columns = Columns(&layout.architecture);
    for (port, &tensor) in layout.statement.outputs.iter().zip(&graph.outputs) {
        let producer = graph.nodes.iter().position(|node| node.output == tensor);
        let raw = producer.filter(|node| graph.nodes[*node].is_raw());
        for element in 0..port.len {
            let (column, row) = port.placement.cell(element);
            let holds = match raw {
                Some(node) => {
                    let claimed = rows.at(row).filter(|result| result.kind == RowKind::Raw);
                    let own = claimed.is_some_and(|r| (r.node as usize, r.element as usize) == (node, element));
                    own && column == layout.architecture.operand_lanes
                }
                None => cells.get(columns.instance(column), row) == values.element(tensor, element),
            };
            let claim =
                require(holds, || format!("element {element} of the output '{}' is not bound to its claim", port.name));
            match producer {
                Some(node) => claim.at(graph, node)?,
                None => claim?,
            }
        }
    }
    Ok(layout.statement.inputs.iter().chain(&layout.statement.outputs).map(|port| port.len).sum())
}
