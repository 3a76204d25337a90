//! Which tensors share their cells, which share their digest's exponents, and which are gathered.

use std::collections::HashMap;

use super::{Geometry, LayoutError};
use crate::graph::{Graph, Op, Shape, TensorId};

/// A tensor's place among the others.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    roots: Vec<TensorId>,
    geometries: Vec<Geometry>,
    gather_base: HashMap<TensorId, i64>,
}

impl Tensors {
    /// Analyses a graph for operand rows of `lanes` cells.
    pub(crate) fn new(graph: &Graph, lanes: usize) -> Result<Self, LayoutError> {
        let roots = roots(graph);
        let classes = classes(graph, &roots);
        let wanted = wanted_shapes(graph, &roots, &classes).map_err(|conflict| LayoutError::Unsupported {
            node: graph.nodes[conflict].name.clone(),
            reason: "it reads a tensor under another shape than an earlier node".into(),
        })?;
        let geometries = (0..graph.tensors.len())
            .map(|tensor| match wanted.get(&classes[roots[tensor]]) {
                Some((shape, pitch)) => Geometry::image(*shape, *pitch, lanes),
                None => Geometry::Flat { len: graph.tensors[tensor].shape.len() },
            })
            .collect();
        let gather_base = gather_bases(graph, &roots);
        Ok(Self { roots, geometries, gather_base })
    }

    /// The tensor whose cells this one's are: itself, or what it is a reshape of.
    pub(crate) fn root(&self, tensor: TensorId) -> TensorId {
        self.roots[tensor]
    }

    pub(crate) fn geometry(&self, root: TensorId) -> Geometry {
        self.geometries[root]
    }

    /// Gather index of a gathered tensor's element 0.
    pub(crate) fn gather_index(&self, root: TensorId) -> Option<i64> {
        self.gather_base.get(&root).copied()
    }

    pub(crate) fn gathers(&self) -> bool {
        !self.gather_base.is_empty()
    }
}

/// The first product, by node index, that reads a tensor under another shape than an earlier one does.
pub(super) fn conflict(graph: &Graph) -> Option<usize> {
    let roots = roots(graph);
    wanted_shapes(graph, &roots, &classes(graph, &roots)).err()
}

/// Image shape and row pitch that products ask of each class; the error is a node that disagrees with an earlier one.
fn wanted_shapes(
    graph: &Graph,
    roots: &[TensorId],
    classes: &[TensorId],
) -> Result<HashMap<TensorId, (Shape, usize)>, usize> {
    let mut wanted: HashMap<TensorId, (Shape, usize)> = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Op::Linear(linear) = &node.op else { continue };
        let shape = graph.tensors[node.inputs[0]].shape;
        if shape.height * shape.width == 1 {
            continue;
        }
        let pitch = shape.width + linear.window.pad_before[1] + linear.window.pad_after[1];
        let entry = wanted.entry(classes[roots[node.inputs[0]]]).or_insert((shape, pitch));
        if entry.0 != shape {
            return Err(index);
        }
        entry.1 = entry.1.max(pitch);
    }
    Ok(wanted)
}

pub(super) fn roots(graph: &Graph) -> Vec<TensorId> {
    let mut roots: Vec<TensorId> = (0..graph.tensors.len()).collect();
    for node in &graph.nodes {
        if matches!(node.op, Op::Reshape) {
            roots[node.output] = roots[node.inputs[0]];
        }
    }
    roots
}

/// Tensors that an addition ties by their digests have the same exponents: union-find over roots.
fn classes(graph: &Graph, roots: &[TensorId]) -> Vec<TensorId> {
    let mut parent: Vec<TensorId> = (0..graph.tensors.len()).collect();
    fn find(parent: &[TensorId], mut t: TensorId) -> TensorId {
        while parent[t] != t {
            t = parent[t];
        }
        t
    }
    for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::Combine { .. })) {
        for input in &node.inputs {
            let (a, b) = (find(&parent, roots[*input]), find(&parent, roots[node.output]));
            parent[a] = b;
        }
    }
    (0..parent.len()).map(|t| find(&parent, t)).collect()
}

/// Gather indices: disjoint runs, one per gathered tensor, from 1 on (0 is the constant 0).
fn gather_bases(graph: &Graph, roots: &[TensorId]) -> HashMap<TensorId, i64> {
    let mut bases = HashMap::new();
    let mut next = 1;
    for node in &graph.nodes {
        if matches!(node.op, Op::MaxPool(_) | Op::AveragePool { .. }) {
            let root = roots[node.inputs[0]];
            bases.entry(root).or_insert_with(|| {
                let base = next;
                next += graph.tensors[root].shape.len() as i64;
                base
            });
        }
    }
    bases
}
