//! Whether two graphs are one architecture: equal in everything but learned values.

use std::collections::HashSet;

use crate::bounds::Width;
use crate::graph::{Graph, Node};
use crate::ops::Op;
use crate::tensor::TensorId;

impl Graph {
    /// The first difference to another graph that is not one of learned values, in words; none where both are one
    /// architecture. Values that the circuit is sized by, since they are constants of the architecture, count: only
    /// those of operations that [declare](crate::Linear::width) how wide their accumulators are may differ.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let counts = [self.tensors.len(), self.nodes.len(), self.inputs.len(), self.outputs.len()];
        let others = [other.tensors.len(), other.nodes.len(), other.inputs.len(), other.outputs.len()];
        let names = ["tensors", "layers", "inputs", "outputs"];
        if let Some(at) = (0..counts.len()).find(|at| counts[*at] != others[*at]) {
            return Some(format!("{} {} instead of {}", others[at], names[at], counts[at]));
        }
        if self.shift != other.shift {
            return Some(format!("a requantisation shift of {} instead of {}", other.shift, self.shift));
        }
        if let Some((a, b)) = self.tensors.iter().zip(&other.tensors).find(|(a, b)| a != b) {
            let name = &a.name;
            let differs =
                |what: &str, is: String, was: String| Some(format!("tensor '{name}' has {what} {is} instead of {was}"));
            return match () {
                () if a.name != b.name => Some(format!("tensor '{}' instead of '{}'", b.name, a.name)),
                () if a.logical_shape != b.logical_shape => {
                    differs("shape", format!("{:?}", b.logical_shape), format!("{:?}", a.logical_shape))
                }
                () if a.format != b.format => differs("format", format!("{:?}", b.format), format!("{:?}", a.format)),
                () => differs("layout", format!("{:?}", b.shape), format!("{:?}", a.shape)),
            };
        }
        let different = self.nodes.iter().zip(&other.nodes).find(|(a, b)| without_learned(a) != without_learned(b));
        if let Some((a, b)) = different {
            return Some(format!("layer '{}' is another: {}", b.name, what_differs(a, b)));
        }
        if (&self.inputs, &self.outputs) != (&other.inputs, &other.outputs) {
            return Some("inputs and outputs are other tensors".into());
        }
        if self.visibility != other.visibility {
            return Some("inputs or outputs have another visibility".into());
        }
        (self.activations != other.activations).then(|| "an activation function's table is another".into())
    }

    /// What all models of one architecture have alike, and nothing else: the graph with 0 for every
    /// [learned value](Self::without_learned_values), and no names but those of inputs and outputs.
    #[must_use]
    pub fn architecture(&self) -> Self {
        let mut graph = self.without_learned_values();
        graph.name.clear();
        let ends: HashSet<TensorId> = graph.inputs.iter().chain(&graph.outputs).copied().collect();
        let inner = graph.tensors.iter_mut().enumerate().filter(|(id, _)| !ends.contains(id));
        inner.for_each(|(id, tensor)| tensor.name = format!("tensor {id}"));
        graph.nodes.iter_mut().enumerate().for_each(|(index, node)| node.name = format!("layer {index}"));
        graph
    }

    /// The graph with 0 for every learned value of an operation that [declares](crate::Linear::width) how wide its
    /// accumulators are: equal for all models of one architecture.
    #[must_use]
    pub fn without_learned_values(&self) -> Self {
        Self { nodes: self.nodes.iter().map(without_learned).collect(), ..self.clone() }
    }

    /// Declares no width of accumulators where one was declared: for comparing graphs that may have one width.
    pub fn forget_widths(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.op.set_width(Width::default()));
    }

    /// Declares accumulators as wide as another graph of the same layers does, so that retrained weights keep their
    /// circuit. Whether they hold this one's learned values is for [`validate`](Self::validate).
    pub fn take_widths(&mut self, other: &Self) {
        for (node, other) in self.nodes.iter_mut().zip(&other.nodes) {
            node.op.take_width(&other.op);
        }
    }
}

/// Graphs of one architecture but for the widths that they declare: each declares the greatest of all, so that they are
/// one architecture.
pub fn share_widths(graphs: &mut [&mut Graph]) {
    let Some((first, others)) = graphs.split_first_mut() else { return };
    for other in others.iter() {
        for (node, other) in first.nodes.iter_mut().zip(&other.nodes) {
            node.op.widen(&other.op);
        }
    }
    others.iter_mut().for_each(|other| other.take_widths(first));
}

fn without_learned(node: &Node) -> Node {
    let mut node = node.clone();
    match &mut node.op {
        Op::Linear(linear) if linear.width.is_some() => {
            linear.weights = vec![0; linear.weights.len()];
            linear.bias = vec![0; linear.bias.len()];
        }
        Op::Combine { offset, width: Some(_), .. } => *offset = vec![0; offset.len()],
        Op::MatMul(product) if product.width.is_some() => product.summands = vec![0; product.summands.len()],
        Op::Linear(_)
        | Op::Combine { .. }
        | Op::MaxPool(_)
        | Op::AveragePool { .. }
        | Op::Reshape
        | Op::Rearrange { .. }
        | Op::MatMul(_)
        | Op::Multiply(_)
        | Op::Softmax(_)
        | Op::Normalise(_)
        | Op::ArgMax { .. }
        | Op::Enter => {}
    }
    node
}

fn what_differs(a: &Node, b: &Node) -> String {
    if a.name != b.name {
        return format!("'{}' stood there", a.name);
    }
    if std::mem::discriminant(&a.op) != std::mem::discriminant(&b.op) {
        return "another operation".into();
    }
    if (&a.inputs, a.output) != (&b.inputs, b.output) {
        return "it reads or makes other tensors".into();
    }
    if a.activation != b.activation {
        return "another activation function".into();
    }
    match (a.op.width(), b.op.width()) {
        (Some(was), Some(is)) if was != is => {
            let Width { bits, spread_bits } = was;
            format!("its accumulators have {} and {} bits instead of {bits} and {spread_bits}", is.bits, is.spread_bits)
        }
        (Some(_), None) => "its values are constants now".into(),
        (None, Some(_)) => "its values are learned now".into(),
        (None, None) | (Some(_), Some(_)) => "its sizes, or numbers that are not learned".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Format, Shape, Storage, Tensor};
    use crate::{Activation, Linear, Visibilities, Visibility};

    fn graph(weight: i32, width: Option<Width>) -> Graph {
        let tensor = |name: &str| Tensor {
            name: name.into(),
            shape: Shape::vector(1),
            format: Format::new(4, -8, 7),
            logical_shape: vec![1],
            storage: Storage::Plain,
        };
        let mut linear = Linear::dense(1, vec![weight], vec![0]);
        linear.width = width;
        Graph {
            name: "a".into(),
            shift: 4,
            tensors: vec![tensor("x"), tensor("y")],
            activations: Vec::new(),
            nodes: vec![Node {
                name: "layer".into(),
                op: Op::Linear(linear),
                inputs: vec![0],
                output: 1,
                activation: None,
            }],
            inputs: vec![0],
            outputs: vec![1],
            visibility: Visibilities::default(),
        }
    }

    const WIDE: Option<Width> = Some(Width { bits: 10, spread_bits: 10 });

    #[test]
    fn learned_values_are_no_difference_and_constants_are() {
        assert_eq!(graph(3, WIDE).difference(&graph(5, WIDE)), None);
        assert!(graph(3, None).difference(&graph(5, None)).is_some());
        assert_eq!(graph(3, None).difference(&graph(3, None)), None);
    }

    #[test]
    fn every_other_part_is_a_difference_that_is_named() {
        let narrow = Some(Width { bits: 9, spread_bits: 10 });
        let changed = |change: fn(&mut Graph)| {
            let mut other = graph(3, WIDE);
            change(&mut other);
            other
        };
        let others = [
            (graph(3, narrow), "9 and 10 bits instead of 10 and 10"),
            (graph(3, None), "constants now"),
            (changed(|g| g.shift = 5), "shift of 5 instead of 4"),
            (changed(|g| g.tensors[1].format.frac_bits = 3), "tensor 'y' has format"),
            (changed(|g| g.tensors[1].logical_shape = vec![1, 1]), "tensor 'y' has shape [1, 1]"),
            (changed(|g| g.tensors[0].name = "z".into()), "tensor 'z' instead of 'x'"),
            (changed(|g| g.tensors[0].storage = Storage::Transposed), "layout"),
            (changed(|g| g.nodes[0].op = Op::Reshape), "another operation"),
            (changed(|g| g.nodes[0].activation = Some(0)), "activation function"),
            (changed(|g| g.nodes[0].inputs = vec![1]), "other tensors"),
            (changed(|g| g.nodes[0].name = "b".into()), "'layer' stood there"),
            (changed(|g| g.nodes.clear()), "0 layers instead of 1"),
            (changed(|g| g.outputs = vec![0]), "outputs are other"),
            (changed(|g| g.visibility.set_output(0, Visibility::Private)), "another visibility"),
            (changed(|g| g.activations = vec![Activation::clamp(0, 1)]), "table"),
        ];
        for (other, expected) in others {
            let difference = graph(3, WIDE).difference(&other).expect(expected);
            assert!(difference.contains(expected), "{difference}");
        }
    }

    #[test]
    fn widths_are_taken_and_hold_or_do_not() {
        let old = graph(3, Some(Width { bits: 7, spread_bits: 7 }));
        let mut near = graph(4, WIDE);
        near.take_widths(&old);
        assert_eq!(old.difference(&near), None);
        near.validate().expect("4 · 8 is within 7 bits");
        let mut far = graph(100, WIDE);
        far.take_widths(&old);
        assert!(far.validate().is_err(), "100 · 8 is not");
    }
}
