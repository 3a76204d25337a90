//! One node reads a tensor falsely, while all others read the truth.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_circuit::placement::Gathered;
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_graph::{Op, Origin, TensorId};

use super::tell::{changes, deltas, is_lie, root};
use super::{Attempt, Case, Kind};
use crate::carry::{Change, Written, carried};

/// A random lie of one reader.
pub(super) fn lie(case: &Case, rng: &mut ChaCha20Rng) -> Option<Attempt> {
    // What a hidden input's cells hold is the prover's to say.
    let of_cells = |op: &Op| matches!(op, Op::Reshape | Op::Rearrange { .. } | Op::Enter);
    let reads = case.graph.nodes.iter().enumerate().filter(|(_, node)| !of_cells(&node.op));
    let readers: Vec<(usize, usize)> =
        reads.flat_map(|(index, node)| (0..node.inputs.len()).map(move |operand| (index, operand))).collect();
    let reader = *readers.choose(rng)?;
    let tensor = case.graph.nodes[reader.0].inputs[reader.1];
    let paired = rng.gen_bool(0.3);
    let deltas = deltas(case, rng, tensor, paired)?;
    let changes = changes(case, tensor, &deltas, Written::Copies);
    if is_lie(case, &changes) { read(case, reader, &changes) } else { None }
}

/// The lie that an operand of a node has these values.
fn read(case: &Case, (index, operand): (usize, usize), changes: &[Change]) -> Option<Attempt> {
    let mut graph = case.graph.clone();
    let tensor = graph.nodes[index].inputs[operand];
    // The reader's own tensor: no node computes it, and no other reads it.
    let own = graph.tensors.len();
    graph.tensors.push(graph.tensors[tensor].clone());
    graph.nodes[index].inputs[operand] = own;
    let mut honest = case.execution.clone();
    honest.values.push(honest.values[tensor].clone());
    let moved: Vec<Change> = changes.iter().map(|change| Change { tensor: own, ..*change }).collect();
    let execution = carried(&graph, &honest, &moved)?;
    let layout = redirected(case, (index, operand), own, changes);
    let outputs = case.shown(&execution);
    let first = FirstPhase::new(&layout, &graph, &execution);
    let what = format!("operand {operand} of node {index}: {changes:?}");
    Some(Attempt { what, kind: Kind::Reader, outputs, execution, first, made_for: Some(graph) })
}

/// The layout, whose list of cells lets the reader's copies hold the reader's own tensor.
fn redirected(case: &Case, (index, operand): (usize, usize), own: TensorId, changes: &[Change]) -> Layout {
    let mut layout = case.layout.clone();
    let tensor = root(case, case.graph.nodes[index].inputs[operand]);
    let left = matches!(case.graph.nodes[index].op, Op::MatMul(_)) && operand == 0;
    if let Some(place) = place_of_copy(case, (index, operand), tensor, left) {
        let mut seen = vec![0; case.execution.values[tensor].len()];
        for cell in layout.operands.iter_mut().filter(|cell| cell.tensor as usize == tensor && cell.left == left) {
            let count = &mut seen[cell.element as usize];
            if *count == place {
                cell.tensor = own as u32;
            }
            *count += 1;
        }
    }
    let rows: Vec<u32> =
        case.layout.results.iter().filter(|row| row.node as usize == index).map(|row| row.row).collect();
    for change in changes {
        let source = source(case, change.tensor, change.element);
        let gathers = layout.gathers.iter_mut().filter(|gather| rows.contains(&gather.row) && gather.source == source);
        gathers.for_each(|gather| gather.source = Gathered::Constant(change.value));
    }
    layout
}

/// Which of a tensor's copies, in the order of the layout's list, is the reader's; `None` where it has none.
fn place_of_copy(case: &Case, reader: (usize, usize), tensor: TensorId, left: bool) -> Option<usize> {
    let mut readers = Vec::new();
    for (index, node) in case.graph.nodes.iter().enumerate() {
        let operand = match node.op {
            Op::Linear(_) => 0,
            Op::MatMul(_) => usize::from(!left),
            _ => continue,
        };
        if matches!(node.op, Op::MatMul(_)) || !left {
            readers.push((index, operand));
        }
    }
    readers.retain(|(index, operand)| root(case, case.graph.nodes[*index].inputs[*operand]) == tensor);
    let of_tensor = |cell: &&zkml_gpu_circuit::placement::OperandCell| {
        cell.tensor as usize == tensor && cell.left == left && cell.element == 0
    };
    let copies = case.layout.operands.iter().filter(of_tensor).count();
    // The first reader of a public input may read the public values themselves.
    let without = readers.len().checked_sub(copies)?;
    readers.iter().position(|other| *other == reader)?.checked_sub(without)
}

/// Where an element is gathered from.
fn source(case: &Case, tensor: TensorId, element: usize) -> Gathered {
    let Some(node) = case.graph.nodes.iter().find(|node| node.output == tensor) else {
        return Gathered::Element { tensor: tensor as u32, element: element as u32 };
    };
    match &node.op {
        Op::Reshape => source(case, node.inputs[0], element),
        Op::Rearrange { origins } => match origins[element] {
            Origin::Element { operand, element } => source(case, node.inputs[operand as usize], element as usize),
            Origin::Constant(value) => Gathered::Constant(value),
        },
        _ => Gathered::Element { tensor: tensor as u32, element: element as u32 },
    }
}
