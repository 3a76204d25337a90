//! The statement: which element each cell of the instance columns is, that hidden inputs have cells and no other
//! source, and that committed columns hold the tensors that they are said to hold.

use zkml_gpu_graph::{Graph, Op, TensorId, Visibility};

use super::cells::{Cells, Columns};
use super::places::Rows;
use super::values::{Value, Values};
use super::{AtNode, Check, refuse, require};
use crate::layout::Layout;
use crate::system::{Placement, Port, RowKind};

/// Inputs are what their cells hold; claims are to be proved; the verifier leaves every other public cell 0.
pub(super) fn inputs(graph: &Graph, layout: &Layout, values: &Values, cells: &mut Cells) -> Check {
    let (a, statement) = (&layout.architecture, &layout.statement);
    if let Err(reason) = statement.check(a, layout.usable_rows()) {
        return refuse(reason);
    }
    let columns = Columns(a);
    (0..a.instance_columns()).for_each(|column| cells.fill(columns.instance(column), Value::ZERO));
    for (ports, tensors, given) in
        [(&statement.inputs, &graph.inputs, true), (&statement.outputs, &graph.outputs, false)]
    {
        require(ports.len() == tensors.len(), || "another number of public tensors than the graph's".into())?;
        for (index, (port, &tensor)) in ports.iter().zip(tensors).enumerate() {
            check_port(graph, port, tensor)?;
            let visibility = if given { graph.visibility.input(index) } else { graph.visibility.output(index) };
            check_visibility(layout, port, visibility)?;
            if given {
                check_source(graph, tensor, visibility)?;
            }
            for (element, (column, row)) in port.cells().enumerate() {
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

/// A tensor stands where its visibility says; a committed one at the rows that every circuit of this size gives it.
fn check_visibility(layout: &Layout, port: &Port, visibility: Visibility) -> Check {
    let rows = match port.placement {
        Placement::Committed { rows, .. } => rows,
        Placement::Packed { .. } | Placement::Column { .. } | Placement::Private | Placement::Hashed { .. } => {
            layout.usable_rows()
        }
    };
    require(port.visibility() == visibility && rows == layout.usable_rows(), || {
        format!(
            "'{}' is {} in the layout, on other rows or for other eyes than in the graph",
            port.name,
            visibility.name()
        )
    })
}

/// A hidden input is read by the node that gives it cells, and by nothing else; that node gives cells to nothing else
/// ([`Graph::validate`]), since nothing computes what it gives.
fn check_source(graph: &Graph, tensor: TensorId, visibility: Visibility) -> Check {
    if !visibility.is_hidden() {
        return Ok(());
    }
    let readers: Vec<_> = graph.nodes.iter().filter(|node| node.inputs.contains(&tensor)).collect();
    let enters = matches!(readers[..], [node] if matches!(node.op, Op::Enter));
    require(enters && !graph.outputs.contains(&tensor), || {
        format!("the hidden input '{}' has no cells, or is read without them", graph.tensors[tensor].name)
    })
}

/// Each cell of a committed tensor is its element, tied by a digest. Rows beyond the tensor have no weight: no identity
/// reads them.
fn check_committed(layout: &Layout, port: &Port, tensor: TensorId, values: &Values, cells: &Cells) -> Check {
    let columns = Columns(&layout.architecture);
    for element in 0..port.len {
        let Some((column, row)) = port.placement.committed_cell(element) else { return Ok(()) };
        require(cells.get(columns.committed(column), row) == values.element(tensor, element), || {
            format!("element {element} of '{}' is not bound to its commitment", port.name)
        })?;
    }
    Ok(())
}

/// Committed inputs are the cells that what reads them reads.
fn check_committed_inputs(graph: &Graph, layout: &Layout, values: &Values, cells: &Cells) -> Check {
    for (port, &tensor) in layout.statement.inputs.iter().zip(&graph.inputs) {
        let entered = graph.nodes.iter().find(|node| node.inputs == [tensor] && matches!(node.op, Op::Enter));
        if let Some(entered) = entered {
            check_committed(layout, port, entered.output, values, cells)?;
        }
    }
    Ok(())
}

/// Each claimed cell is the element that it is claimed to be: tied by a digest, or read as an accumulator. Returns the
/// number of public cells.
pub(super) fn outputs(graph: &Graph, layout: &Layout, rows: &Rows<'_>, values: &Values, cells: &Cells) -> Check<usize> {
    let columns = Columns(&layout.architecture);
    check_committed_inputs(graph, layout, values, cells)?;
    for (port, &tensor) in layout.statement.outputs.iter().zip(&graph.outputs) {
        check_committed(layout, port, tensor, values, cells)?;
        let producer = graph.nodes.iter().position(|node| node.output == tensor);
        let raw = producer.filter(|node| graph.nodes[*node].is_raw());
        for (element, (column, row)) in port.cells().enumerate() {
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
    Ok(layout.statement.ports().map(|port| port.cells().count()).sum())
}
