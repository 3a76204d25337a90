//! Several inferences as one graph, with every learned value once.
//!
//! A tensor of the joint graph holds the elements of all inferences in turn ([`Interleaving`]), as a rule one by one:
//! element `e` of inference `b` is element `e·n + b`. Then operations element by element stay as they are, a reshape
//! moves nothing, and the images of an input lie side by side, column by column, which a window takes apart
//! ([`Window::images`](crate::Window::images)). Products of activations read blocks of neighbours, so what they read
//! holds whole rows of each inference in turn. Where two operations want a tensor differently, it is rearranged.
//!
//! What is computed is what the single graph computes, number by number.

use thiserror::Error;

use crate::graph::{Graph, Node};
use crate::interleaving::Interleaving;
use crate::ops::{Linear, MatMul, Op, Origin};
use crate::tensor::{Shape, Storage, Tensor, TensorId};
use crate::visibility::Visibility;
use crate::window::Window;

/// Why a graph has no joint one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JointError {
    /// It is one of several inferences already.
    #[error(
        "node '{node}' is for several inferences already\nhint: export the model with batch size 1, or prove it alone"
    )]
    Several {
        /// The node, or the tensor.
        node: String,
    },
    /// More elements than are numbered.
    #[error("tensor '{tensor}' of {inferences} inferences has too many elements\nhint: prove fewer inputs together")]
    Elements {
        /// The tensor.
        tensor: String,
        /// How many inferences.
        inferences: usize,
    },
    /// No inference.
    #[error("a proof of no inference\nhint: give one input or more")]
    Empty,
}

impl Graph {
    /// The graph of so many inferences: its inputs and outputs hold those of one inference after the other in the
    /// model's order. Learned values may be missing, as in an outline.
    ///
    /// # Errors
    /// [`JointError`] for a graph of several inferences, or one that would be too large.
    pub fn joint(&self, inferences: usize) -> Result<Self, JointError> {
        match inferences {
            0 => return Err(JointError::Empty),
            1 => return Ok(self.clone()),
            _ => {}
        }
        self.check_single(inferences)?;
        Ok(Joiner::new(self, inferences).join())
    }

    /// Refuses graphs in which several inferences share tensors, and too many elements for their numbers.
    fn check_single(&self, inferences: usize) -> Result<(), JointError> {
        let several = |node: &str| Err(JointError::Several { node: node.into() });
        for tensor in &self.tensors {
            if matches!(tensor.storage, Storage::Interleaved { .. }) {
                return several(&tensor.name);
            }
            let elements = tensor.shape.len().checked_mul(inferences);
            if elements.is_none_or(|elements| u32::try_from(elements).is_err()) {
                return Err(JointError::Elements { tensor: tensor.name.clone(), inferences });
            }
        }
        for node in &self.nodes {
            let single = match &node.op {
                Op::Linear(linear) => linear.window.images == 1,
                Op::MaxPool(window) | Op::AveragePool { window, .. } => window.images == 1,
                Op::Combine { shared, .. } => shared.inferences == 1,
                Op::MatMul(product) => product.inferences == 1,
                Op::Reshape
                | Op::Rearrange { .. }
                | Op::Multiply(_)
                | Op::Softmax(_)
                | Op::Normalise(_)
                | Op::ArgMax { .. }
                | Op::Enter => true,
            };
            if !single {
                return several(&node.name);
            }
        }
        Ok(())
    }
}

/// Elements of a channel, or of a matrix's row as products of activations read it.
const fn area(shape: Shape) -> usize {
    shape.height * shape.width
}

/// The extent of a joint tensor: channels, rows and columns of the single one where they stay apart.
const fn extent(single: Shape, Interleaving { inferences, run }: Interleaving) -> Shape {
    let Shape { channels, height, width } = single;
    if run == 1 || height == 1 && width.is_multiple_of(run) {
        Shape { channels, height, width: width * inferences }
    } else if run.is_multiple_of(width) && area(single).is_multiple_of(run) {
        Shape { channels, height: height * inferences, width }
    } else if run.is_multiple_of(area(single)) {
        Shape { channels: channels * inferences, height, width }
    } else {
        Shape::vector(single.len() * inferences)
    }
}

/// A joint graph in the making.
struct Joiner<'g> {
    single: &'g Graph,
    inferences: usize,
    graph: Graph,
    /// For each tensor of the single graph the runs in which it is there, and which tensor of the joint graph that is.
    variants: Vec<Vec<(usize, TensorId)>>,
    /// The run in which a tensor is best stored for those that read it.
    wanted: Vec<Option<usize>>,
}

impl<'g> Joiner<'g> {
    fn new(single: &'g Graph, inferences: usize) -> Self {
        let graph = Graph {
            name: single.name.clone(),
            shift: single.shift,
            tensors: Vec::new(),
            activations: single.activations.clone(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            visibility: single.visibility.clone(),
        };
        Self { single, inferences, graph, variants: vec![Vec::new(); single.tensors.len()], wanted: wanted(single) }
    }

    fn join(mut self) -> Graph {
        for (index, &input) in self.single.inputs.iter().enumerate() {
            self.input(input, self.single.visibility.input(index));
        }
        for node in &self.single.nodes {
            self.node(node);
        }
        for (index, &output) in self.single.outputs.iter().enumerate() {
            self.output(output, self.single.visibility.output(index));
        }
        self.graph
    }

    const fn turns(&self, run: usize) -> Interleaving {
        Interleaving { inferences: self.inferences, run }
    }

    fn shape(&self, tensor: TensorId) -> Shape {
        self.single.tensors[tensor].shape
    }

    /// A new tensor that holds one of the single graph in turns of `run`.
    fn tensor(&mut self, of: TensorId, run: usize, shape: Shape) -> TensorId {
        let Tensor { name, format, .. } = &self.single.tensors[of];
        let (name, format, logical_shape) = (name.clone(), *format, vec![shape.channels, shape.height, shape.width]);
        self.graph.tensors.push(Tensor { name, shape, format, logical_shape, storage: Storage::Plain });
        let id = self.graph.tensors.len() - 1;
        self.variants[of].push((run, id));
        id
    }

    fn push(&mut self, node: &Node, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs, output, activation: node.activation });
    }

    /// Appends a node that computes its output in turns of `run`, in the extent that follows.
    fn computed(&mut self, node: &Node, op: Op, inputs: Vec<TensorId>, run: usize) {
        let shape = extent(self.shape(node.output), self.turns(run));
        let output = self.tensor(node.output, run, shape);
        self.push(node, op, inputs, output);
    }

    /// As [`computed`](Self::computed), where the operation has another extent of the same elements.
    fn computed_as(&mut self, node: &Node, op: Op, inputs: Vec<TensorId>, (run, shape): (usize, Shape)) {
        let wanted = extent(self.shape(node.output), self.turns(run));
        let output = self.tensor(node.output, run, shape);
        self.push(node, op, inputs, output);
        if shape != wanted {
            self.variants[node.output].clear();
            let reshaped = self.tensor(node.output, run, wanted);
            self.moved(node, Op::Reshape, output, reshaped);
        }
    }

    /// Appends a node that moves elements for another.
    fn moved(&mut self, node: &Node, op: Op, input: TensorId, output: TensorId) {
        let name = format!("{} (joint)", node.name);
        self.graph.nodes.push(Node { name, op, inputs: vec![input], output, activation: None });
    }

    /// The run of a tensor that is there and suits, or one that does.
    fn run(&self, tensor: TensorId, preferred: Option<usize>, suits: impl Fn(usize) -> bool) -> usize {
        let there = || self.variants[tensor].iter().map(|(run, _)| *run);
        let preferred = preferred.filter(|run| suits(*run));
        let kept = there().find(|run| preferred.is_none_or(|preferred| preferred == *run) && suits(*run));
        kept.or(preferred).or_else(|| there().find(|run| suits(*run))).unwrap_or(1)
    }

    /// A tensor in turns of `run`: as it is, or rearranged for a node.
    fn variant(&mut self, node: &Node, tensor: TensorId, run: usize) -> TensorId {
        if let Some((_, id)) = self.variants[tensor].iter().find(|(of, _)| *of == run) {
            return *id;
        }
        let (from, source) = self.variants[tensor][0];
        let [from, to] = [from, run].map(|run| self.turns(run));
        let len = self.shape(tensor).len() * self.inferences;
        let origin = |place: usize| {
            let (element, inference) = to.element(place);
            Origin::Element { operand: 0, element: from.place(element, inference) as u32 }
        };
        let origins = (0..len).map(origin).collect();
        let output = self.tensor(tensor, run, extent(self.shape(tensor), to));
        self.moved(node, Op::Rearrange { origins }, source, output);
        output
    }

    /// An input: one by one, but whole channels of each inference where that is how they are given, or asked for, and
    /// whole inferences where a hash is of them in the model's order.
    fn input(&mut self, input: TensorId, visibility: Visibility) {
        let tensor = &self.single.tensors[input];
        let (whole, count) = (area(tensor.shape), self.inferences as u32);
        let (run, storage) = match tensor.storage {
            // One class is a channel: of the indices of all inferences.
            Storage::OneHot => (whole, Storage::OneHot),
            Storage::Plain if visibility == Visibility::Hashed => (tensor.shape.len(), Storage::Plain),
            Storage::Transposed if self.wanted[input] == Some(whole) => (whole, Storage::Transposed),
            Storage::Transposed => (1, Storage::Interleaved { inferences: count, transposed: true }),
            Storage::Plain | Storage::Interleaved { .. } => {
                (1, Storage::Interleaved { inferences: count, transposed: false })
            }
        };
        let id = self.tensor(input, run, extent(tensor.shape, self.turns(run)));
        self.publish(id, input, storage);
        self.graph.inputs.push(id);
    }

    fn output(&mut self, output: TensorId, visibility: Visibility) {
        let tensor = &self.single.tensors[output];
        let (whole, count) = (area(tensor.shape), self.inferences as u32);
        let has = |run: usize| self.variants[output].iter().any(|(of, _)| *of == run);
        let (run, storage) = match tensor.storage {
            Storage::OneHot => (whole, Storage::OneHot),
            Storage::Plain if visibility == Visibility::Hashed => (tensor.shape.len(), Storage::Plain),
            Storage::Transposed if has(whole) => (whole, Storage::Transposed),
            Storage::Transposed => (1, Storage::Interleaved { inferences: count, transposed: true }),
            Storage::Plain | Storage::Interleaved { .. } => {
                (1, Storage::Interleaved { inferences: count, transposed: false })
            }
        };
        let named = Node { name: tensor.name.clone(), op: Op::Reshape, inputs: Vec::new(), output, activation: None };
        let id = self.variant(&named, output, run);
        self.publish(id, output, storage);
        self.graph.outputs.push(id);
    }

    /// Says how a public tensor is given: the first axis counts inferences.
    fn publish(&mut self, id: TensorId, of: TensorId, storage: Storage) {
        let single = &self.single.tensors[of].logical_shape;
        let rest = single.strip_prefix(&[1]).unwrap_or(single);
        let tensor = &mut self.graph.tensors[id];
        tensor.logical_shape = std::iter::once(self.inferences).chain(rest.iter().copied()).collect();
        tensor.storage = storage;
    }

    fn node(&mut self, node: &Node) {
        let (input, wanted) = (node.inputs[0], self.wanted[node.output]);
        match &node.op {
            Op::Linear(linear) => self.linear(node, linear),
            Op::Combine { multipliers, offset, width, .. } => {
                let run = self.run(input, wanted, |_| true);
                let shared = if offset.is_empty() { Interleaving::NONE } else { self.turns(run) };
                let (multipliers, offset) = (multipliers.clone(), offset.clone());
                self.alike(node, Op::Combine { multipliers, offset, shared, width: *width }, run);
            }
            Op::Multiply(rescale) => {
                let run = self.run(input, wanted, |_| true);
                self.alike(node, Op::Multiply(*rescale), run);
            }
            Op::MaxPool(window) => {
                let window = Window { images: self.inferences, ..*window };
                self.alike(node, Op::MaxPool(window), 1);
            }
            Op::AveragePool { window, multipliers } => {
                let window = Window { images: self.inferences, ..*window };
                self.alike(node, Op::AveragePool { window, multipliers: multipliers.clone() }, 1);
            }
            Op::Reshape => {
                let run = self.run(input, wanted, |_| true);
                self.alike(node, Op::Reshape, run);
            }
            Op::Rearrange { origins } => self.rearrange(node, origins),
            Op::MatMul(product) => self.matmul(node, product),
            Op::Softmax(softmax) => {
                let run = self.run(input, wanted, |run| softmax.groups.is_multiple_of(run));
                let mut joint = softmax.clone();
                joint.groups *= self.inferences;
                let turns = self.turns(run);
                let places = 0..softmax.masked.len() * self.inferences;
                joint.masked = places.map(|place| softmax.masked[turns.element(place).0]).collect();
                self.alike(node, Op::Softmax(joint), run);
            }
            Op::Normalise(normalise) => {
                let run = self.run(input, wanted, |run| normalise.groups.is_multiple_of(run));
                let mut joint = *normalise;
                joint.groups *= self.inferences;
                self.alike(node, Op::Normalise(joint), run);
            }
            Op::ArgMax { starts, stride, count, last } => {
                let run = self.run(input, None, |run| stride.is_multiple_of(run));
                let turns = self.turns(run);
                let inferences = self.inferences;
                let first = |start: u32| (0..inferences).map(move |b| turns.place(start as usize, b) as u32);
                let starts = starts.iter().copied().flat_map(first).collect();
                let op = Op::ArgMax { starts, stride: stride * self.inferences, count: *count, last: *last };
                let operand = self.variant(node, input, run);
                self.computed(node, op, vec![operand], 1);
            }
            Op::Enter => self.enter(node),
        }
    }

    /// The cells of a hidden input, which are as the input is.
    fn enter(&mut self, node: &Node) {
        let (run, input) = self.variants[node.inputs[0]][0];
        self.computed(node, Op::Enter, vec![input], run);
        let output = self.graph.tensors.len() - 1;
        let Tensor { logical_shape, storage, .. } = self.graph.tensors[input].clone();
        let cells = &mut self.graph.tensors[output];
        (cells.logical_shape, cells.storage) = (logical_shape, storage);
    }

    /// A node whose operands and result are all in turns of `run`.
    fn alike(&mut self, node: &Node, op: Op, run: usize) {
        let inputs = node.inputs.iter().map(|input| self.variant(node, *input, run)).collect();
        self.computed(node, op, inputs, run);
    }

    /// A product with weights: over windows, images side by side; over single elements, in any turns within a channel.
    fn linear(&mut self, node: &Node, linear: &Linear) {
        let input = node.inputs[0];
        let mut joint = linear.clone();
        if !linear.is_pointwise() {
            joint.window.images = self.inferences;
            return self.alike(node, Op::Linear(joint), 1);
        }
        let whole = area(self.shape(input));
        // Nothing can be moved behind a raw output.
        let given = linear.raw && self.single.tensors[node.output].storage != Storage::Transposed;
        let suits = |run: usize| whole.is_multiple_of(run) && (!given || run == 1);
        let suits = |run: usize| suits(run) && (!linear.raw || run == 1 || run == whole);
        let wanted = if linear.transposed { None } else { self.wanted[node.output] };
        let run = self.run(input, wanted, suits);
        if !linear.transposed {
            return self.alike(node, Op::Linear(joint), run);
        }
        let operand = self.variant(node, input, run);
        // Position by position, the channels of each together.
        let shape = Shape { channels: whole * self.inferences, height: 1, width: linear.out_channels };
        self.computed_as(node, Op::Linear(joint), vec![operand], (run * linear.out_channels, shape));
    }

    /// A product of activations: blocks of each inference in turn.
    fn matmul(&mut self, node: &Node, product: &MatMul) {
        let MatMul { rows, columns, .. } = *product;
        let joint = MatMul { inferences: self.inferences, ..product.clone() };
        let mut inputs = Vec::with_capacity(2);
        for (input, width) in node.inputs.iter().zip([rows, columns]) {
            let operand = self.variant(node, *input, width);
            let shape = Shape { channels: joint.blocks(), height: 1, width };
            if self.graph.tensors[operand].shape == shape {
                inputs.push(operand);
                continue;
            }
            let tensor = Tensor { shape, ..self.graph.tensors[operand].clone() };
            let logical_shape = vec![shape.channels, shape.height, shape.width];
            self.graph.tensors.push(Tensor { logical_shape, storage: Storage::Plain, ..tensor });
            let reshaped = self.graph.tensors.len() - 1;
            self.moved(node, Op::Reshape, operand, reshaped);
            inputs.push(reshaped);
        }
        let shape = Shape { channels: rows * joint.products(), height: 1, width: columns };
        self.computed_as(node, Op::MatMul(joint), inputs, (columns, shape));
    }

    fn rearrange(&mut self, node: &Node, origins: &[Origin]) {
        let to = self.turns(self.wanted[node.output].unwrap_or(1));
        let operand = |input: &TensorId| {
            let variants = &self.variants[*input];
            variants.iter().copied().find(|(run, _)| *run == to.run).unwrap_or(variants[0])
        };
        let operands: Vec<(usize, TensorId)> = node.inputs.iter().map(operand).collect();
        let origin = |place: usize| {
            let (element, inference) = to.element(place);
            match origins[element] {
                Origin::Constant(constant) => Origin::Constant(constant),
                Origin::Element { operand, element } => {
                    let from = self.turns(operands[operand as usize].0);
                    Origin::Element { operand, element: from.place(element as usize, inference) as u32 }
                }
            }
        };
        let joint = (0..origins.len() * self.inferences).map(origin).collect();
        let inputs = operands.into_iter().map(|(_, id)| id).collect();
        self.computed(node, Op::Rearrange { origins: joint }, inputs, to.run);
    }
}

/// The run in which each tensor is best stored, by what reads it: products of activations take whole blocks of an
/// inference, windows one element of each in turn, and other operations what their result is wanted in.
fn wanted(graph: &Graph) -> Vec<Option<usize>> {
    let mut wanted: Vec<Option<usize>> = vec![None; graph.tensors.len()];
    for node in graph.nodes.iter().rev() {
        let result = wanted[node.output];
        for &input in &node.inputs {
            let whole = area(graph.tensors[input].shape);
            let run = match &node.op {
                Op::MatMul(_) => Some(whole),
                Op::Linear(linear) if !linear.is_pointwise() => Some(1),
                Op::MaxPool(_) | Op::AveragePool { .. } => Some(1),
                Op::Linear(linear) if linear.transposed => None,
                Op::Linear(_) => result.filter(|run| whole.is_multiple_of(*run)),
                Op::Softmax(softmax) => result.filter(|run| softmax.groups.is_multiple_of(*run)),
                Op::Normalise(normalise) => result.filter(|run| normalise.groups.is_multiple_of(*run)),
                Op::Combine { .. } | Op::Multiply(_) | Op::Reshape | Op::Enter => result,
                Op::Rearrange { .. } | Op::ArgMax { .. } => None,
            };
            wanted[input] = wanted[input].or(run);
        }
    }
    wanted
}
