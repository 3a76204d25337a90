//! The values that cells stand for: elements of tensors, and what nodes compute on the way to them.

use std::collections::HashMap;

use zkml_gpu_graph::{Graph, Op, Origin, Storage, TensorId};

use super::{Check, refuse};

/// A value of an inference as a symbol: two cells with one value are equal in every inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Value(u32);

impl Value {
    /// Nothing is known of the cell.
    pub(super) const UNKNOWN: Self = Self(0);
    /// The constant 0.
    pub(super) const ZERO: Self = Self(1);
    /// Its number among all.
    pub(super) const fn number(self) -> u32 {
        self.0
    }

    /// What the graph does not have: no cell ever equals it.
    const NOTHING: Self = Self(u32::MAX);
}

/// Values that are not 0, in order: two lists with the same ones add up to the same.
pub(super) fn multiset(values: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut values: Vec<Value> = values.filter(|value| *value != Value::ZERO).collect();
    values.sort_unstable();
    values
}

/// How a tensor's elements are named.
enum Elements {
    /// Each is a value of its own, from this number on.
    Own(u32),
    /// They are another tensor's, in the same order.
    Same(TensorId),
    /// They are these.
    Other(Vec<Value>),
}

/// All values of a graph.
pub(super) struct Values {
    elements: Vec<Elements>,
    exponentials: HashMap<usize, u32>,
    groups: HashMap<usize, u32>,
    /// First index of hidden inputs of indices, by the tensor that holds them as ones and zeros.
    indices: HashMap<TensorId, u32>,
    constants: HashMap<i64, Value>,
}

impl Values {
    /// Names the values. Reshapes share their operand's elements, and so do rearrangements: where rows copy them, each
    /// copy is shown to be the element that it stands for.
    pub(super) fn new(graph: &Graph) -> Check<Self> {
        let mut next = 2u32;
        let mut take = |len: usize| {
            let first = next;
            match u32::try_from(len).ok().and_then(|len| next.checked_add(len)) {
                Some(end) => next = end,
                None => return refuse("too many values"),
            }
            Ok(first)
        };
        let mut this = Self {
            elements: Vec::with_capacity(graph.tensors.len()),
            exponentials: HashMap::new(),
            groups: HashMap::new(),
            indices: HashMap::new(),
            constants: HashMap::from([(0, Value::ZERO)]),
        };
        for tensor in &graph.tensors {
            this.elements.push(Elements::Own(take(tensor.shape.len())?));
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            match &node.op {
                Op::Reshape => this.elements[node.output] = Elements::Same(node.inputs[0]),
                Op::Rearrange { origins } => {
                    for origin in origins {
                        if let Origin::Constant(constant) = origin
                            && !this.constants.contains_key(constant)
                        {
                            this.constants.insert(*constant, Value(take(1)?));
                        }
                    }
                    let values = origins.iter().map(|origin| this.origin(&node.inputs, *origin)).collect();
                    this.elements[node.output] = Elements::Other(values);
                }
                Op::Softmax(softmax) => {
                    this.exponentials.insert(index, take(graph.tensors[node.output].shape.len())?);
                    this.groups.insert(index, take(3 * softmax.groups)?);
                }
                Op::Normalise(normalise) => {
                    this.groups.insert(index, take(3 * normalise.groups)?);
                }
                Op::Enter => {
                    let tensor = &graph.tensors[node.output];
                    if tensor.storage == Storage::OneHot {
                        this.indices.insert(node.output, take(tensor.shape.height * tensor.shape.width)?);
                    }
                }
                Op::Linear(_)
                | Op::Combine { .. }
                | Op::MaxPool(_)
                | Op::AveragePool { .. }
                | Op::MatMul(_)
                | Op::Multiply(_)
                | Op::ArgMax { .. } => {}
            }
        }
        Ok(this)
    }

    /// The value of a tensor's element, in stored order.
    pub(super) fn element(&self, tensor: TensorId, element: usize) -> Value {
        let mut tensor = tensor;
        loop {
            match &self.elements[tensor] {
                Elements::Own(first) => return Value(first + element as u32),
                Elements::Same(other) => tensor = *other,
                Elements::Other(values) => return values[element],
            }
        }
    }

    /// The index that ones and zeros stand for.
    pub(super) fn index(&self, tensor: TensorId, index: usize) -> Value {
        self.indices.get(&tensor).map_or(Value::NOTHING, |first| Value(first + index as u32))
    }

    /// Where an element of a rearrangement comes from.
    pub(super) fn origin(&self, inputs: &[TensorId], origin: Origin) -> Value {
        match origin {
            Origin::Element { operand, element } => self.element(inputs[operand as usize], element as usize),
            Origin::Constant(constant) => self.constant(constant),
        }
    }

    /// A constant of a rearrangement, or 0.
    pub(super) fn constant(&self, constant: i64) -> Value {
        self.constants.get(&constant).copied().unwrap_or(Value::NOTHING)
    }

    /// The exponential of an element of a softmax's operand.
    pub(super) fn exponential(&self, node: usize, element: usize) -> Value {
        self.exponentials.get(&node).map_or(Value::NOTHING, |first| Value(first + element as u32))
    }

    /// A value of a group of a softmax (0 sum, 1 maximum, 2 reciprocal) or of a normalisation (0 `V`, 1 sum, 2 inverse
    /// root).
    pub(super) fn group(&self, node: usize, sort: usize, group: usize) -> Value {
        self.groups.get(&node).map_or(Value::NOTHING, |first| Value(first + (3 * group + sort) as u32))
    }
}
