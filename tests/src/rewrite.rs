//! The same network written differently: the outputs and the verdicts must stay the same.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_graph::{Format, Graph, Interleaving, Linear, Node, Op, Origin, Shape, Storage, Tensor, TensorId, Window};

use crate::networks::image;

/// A way to write a graph differently; `None` where it has no place for it.
type Rule = fn(&mut Rewriter) -> Option<()>;

/// All ways, by name.
const RULES: [(&str, Rule); 11] = [
    ("reshaped and back", |r| r.through(Rewriter::reshaped_and_back)),
    ("sliced and joined", |r| r.through(Rewriter::sliced_and_joined)),
    ("shuffled and back", |r| r.through(Rewriter::shuffled_and_back)),
    ("copied as a mean", |r| r.through(Rewriter::copied_as_a_mean)),
    ("copied as a sum", |r| r.through(Rewriter::copied_as_a_sum)),
    ("padded beforehand", Rewriter::padded_beforehand),
    ("pooled afterwards", Rewriter::pooled_afterwards),
    ("dense as a convolution", Rewriter::dense_as_a_convolution),
    ("rearranged in two steps", Rewriter::rearranged_in_two_steps),
    ("summed in reverse", Rewriter::summed_in_reverse),
    ("an operand twice", Rewriter::an_operand_twice),
];

/// Every way in which a graph can be written differently, each at a random place.
pub fn rewritten(graph: &Graph, seed: u64) -> Vec<(&'static str, Graph)> {
    let apply = |(name, rule): (&'static str, Rule)| {
        let mut rewriter = Rewriter { rng: ChaCha20Rng::seed_from_u64(seed), graph: graph.clone() };
        rule(&mut rewriter)?;
        rewriter.graph.validate().unwrap_or_else(|error| panic!("{name}: {error}\n{graph:#?}"));
        Some((name, rewriter.graph))
    };
    RULES.into_iter().filter_map(apply).collect()
}

struct Rewriter {
    rng: ChaCha20Rng,
    graph: Graph,
}

fn element(operand: usize, element: usize) -> Origin {
    Origin::Element { operand: operand as u32, element: element as u32 }
}

fn is_raw(node: &Node) -> bool {
    matches!(&node.op, Op::Linear(linear) if linear.raw)
}

impl Rewriter {
    /// Inserts a node, and returns its output.
    fn insert(&mut self, at: usize, op: Op, inputs: &[TensorId], shape: Shape, format: Format) -> TensorId {
        let output = self.graph.tensors.len();
        let logical_shape = vec![1, shape.channels, shape.height, shape.width];
        let name = format!("t{output}");
        self.graph.tensors.push(Tensor { name, shape, format, logical_shape, storage: Storage::Plain });
        let node = Node { name: format!("n{output}"), op, inputs: inputs.to_vec(), output, activation: None };
        self.graph.nodes.insert(at, node);
        output
    }

    fn tensor(&self, tensor: TensorId) -> (Shape, Format) {
        (self.graph.tensors[tensor].shape, self.graph.tensors[tensor].format)
    }

    /// Lets one reader, a node or a claim, read a tensor that is made from what it reads and equal to that.
    fn through(&mut self, make: fn(&mut Self, usize, TensorId) -> TensorId) -> Option<()> {
        let nodes = &self.graph.nodes;
        let raw: Vec<TensorId> = nodes.iter().filter(|node| is_raw(node)).map(|node| node.output).collect();
        let operands = |(index, node): (usize, &Node)| (0..node.inputs.len()).map(move |operand| (index, operand));
        let mut readers: Vec<(usize, usize)> = nodes.iter().enumerate().flat_map(operands).collect();
        let claims = (0..self.graph.outputs.len()).filter(|port| !raw.contains(&self.graph.outputs[*port]));
        readers.extend(claims.map(|port| (nodes.len(), port)));
        let (index, place) = *readers.choose(&mut self.rng)?;
        let before = nodes.len();
        if index == before {
            let made = make(self, index, self.graph.outputs[place]);
            self.graph.outputs[place] = made;
        } else {
            let made = make(self, index, self.graph.nodes[index].inputs[place]);
            let moved = index + self.graph.nodes.len() - before;
            self.graph.nodes[moved].inputs[place] = made;
        }
        Some(())
    }

    fn reshaped_and_back(&mut self, at: usize, source: TensorId) -> TensorId {
        let (shape, format) = self.tensor(source);
        let flat = self.insert(at, Op::Reshape, &[source], image(1, 1, shape.len()), format);
        self.insert(at + 1, Op::Reshape, &[flat], shape, format)
    }

    fn sliced_and_joined(&mut self, at: usize, source: TensorId) -> TensorId {
        let (shape, format) = self.tensor(source);
        let cut = self.rng.gen_range(1..=shape.len());
        let slice = |range: std::ops::Range<usize>| range.map(|e| element(0, e)).collect::<Vec<_>>();
        let first = Op::Rearrange { origins: slice(0..cut) };
        let mut parts = vec![self.insert(at, first, &[source], Shape::vector(cut), format)];
        if cut < shape.len() {
            let rest = Op::Rearrange { origins: slice(cut..shape.len()) };
            parts.push(self.insert(at + 1, rest, &[source], Shape::vector(shape.len() - cut), format));
        }
        let place = |e: usize| if e < cut { element(0, e) } else { element(1, e - cut) };
        let joined = Op::Rearrange { origins: (0..shape.len()).map(place).collect() };
        self.insert(at + parts.len(), joined, &parts, shape, format)
    }

    fn shuffled_and_back(&mut self, at: usize, source: TensorId) -> TensorId {
        let (shape, format) = self.tensor(source);
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.shuffle(&mut self.rng);
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, e)| back[*e] = place);
        let permutation = |order: Vec<usize>| Op::Rearrange { origins: order.iter().map(|e| element(0, *e)).collect() };
        let shuffled = self.insert(at, permutation(order), &[source], shape, format);
        self.insert(at + 1, permutation(back), &[shuffled], shape, format)
    }

    fn copied_as_a_mean(&mut self, at: usize, source: TensorId) -> TensorId {
        let (shape, format) = self.tensor(source);
        let op = Op::AveragePool { window: Window::UNIT, multipliers: vec![0, 1 << self.graph.shift] };
        self.insert(at, op, &[source], shape, format)
    }

    fn copied_as_a_sum(&mut self, at: usize, source: TensorId) -> TensorId {
        let (shape, format) = self.tensor(source);
        let op = Op::Combine {
            multipliers: vec![1 << self.graph.shift],
            offset: Vec::new(),
            shared: Interleaving::NONE,
            width: None,
        };
        self.insert(at, op, &[source], shape, format)
    }

    /// Some node that fits.
    fn find(&mut self, fits: impl Fn(&Graph, &Node) -> bool) -> Option<usize> {
        let all: Vec<usize> =
            (0..self.graph.nodes.len()).filter(|index| fits(&self.graph, &self.graph.nodes[*index])).collect();
        all.choose(&mut self.rng).copied()
    }

    fn linear(&mut self, index: usize) -> &mut Linear {
        match &mut self.graph.nodes[index].op {
            Op::Linear(linear) => linear,
            op => panic!("{op:?} is no product with weights"),
        }
    }

    fn padded_beforehand(&mut self) -> Option<()> {
        let at = self.find(|_, node| {
            matches!(&node.op, Op::Linear(linear) if linear.window.is_padded() && linear.input_dilation == [1, 1])
        })?;
        let source = self.graph.nodes[at].inputs[0];
        let (x, format) = self.tensor(source);
        let Window { pad_before, pad_after, images, .. } = self.linear(at).window;
        // As many columns of each image, which alternate.
        let pads = |a: usize| if a == 1 { images } else { 1 };
        let [height, width] =
            [(0, x.height), (1, x.width)].map(|(a, size)| (pad_before[a] + pad_after[a]) * pads(a) + size);
        let y = image(x.channels, height, width);
        let origin = |e: usize| {
            let (c, i, j) = y.position(e);
            match (i.checked_sub(pad_before[0]), j.checked_sub(pad_before[1] * images)) {
                (Some(i), Some(j)) if i < x.height && j < x.width => element(0, x.index(c, i, j)),
                _ => Origin::Constant(0),
            }
        };
        let origins = (0..y.len()).map(origin).collect();
        let format = Format { min: format.min.min(0), max: format.max.max(0), ..format };
        let padded = self.insert(at, Op::Rearrange { origins }, &[source], y, format);
        self.graph.nodes[at + 1].inputs = vec![padded];
        let window = &mut self.linear(at + 1).window;
        (window.pad_before, window.pad_after) = ([0, 0], [0, 0]);
        Some(())
    }

    /// A clamp keeps the order of what it clamps, so the maximum may be taken before it or after.
    fn pooled_afterwards(&mut self) -> Option<()> {
        let fits = |_: &Graph, node: &Node| {
            node.activation.is_none() && matches!(&node.op, Op::Linear(linear) if linear.pool != [1, 1])
        };
        let at = self.find(fits)?;
        let (source, output) = (self.graph.nodes[at].inputs[0], self.graph.nodes[at].output);
        let ((x, _), (y, format)) = (self.tensor(source), self.tensor(output));
        let pool = std::mem::replace(&mut self.linear(at).pool, [1, 1]);
        let images = self.linear(at).window.images;
        let [height, width] = self.linear(at).output(x)?;
        let window = Window { kernel: pool, stride: pool, images, ..Window::UNIT };
        let op = std::mem::replace(&mut self.graph.nodes[at].op, Op::MaxPool(window));
        let unpooled = self.insert(at, op, &[source], image(y.channels, height, width), format);
        self.graph.nodes[at + 1].inputs = vec![unpooled];
        Some(())
    }

    fn dense_as_a_convolution(&mut self) -> Option<()> {
        let at = self.find(|graph, node| {
            let vector = graph.tensors[node.inputs[0]].shape;
            let dense = |linear: &Linear| {
                linear.window == Window::UNIT && linear.groups == 1 && !linear.transposed && linear.out_channels <= 8
            };
            vector.height * vector.width == 1 && matches!(&node.op, Op::Linear(linear) if dense(linear))
        })?;
        let source = self.graph.nodes[at].inputs[0];
        let (x, format) = self.tensor(source);
        let row = self.insert(at, Op::Reshape, &[source], image(1, 1, x.len()), format);
        self.graph.nodes[at + 1].inputs = vec![row];
        let linear = self.linear(at + 1);
        (linear.window.kernel, linear.input_dilation) = ([1, x.len()], [1, 1]);
        Some(())
    }

    fn rearranged_in_two_steps(&mut self) -> Option<()> {
        let at = self.find(|_, node| matches!(node.op, Op::Rearrange { .. }))?;
        let node = self.graph.nodes[at].clone();
        let (shape, format) = self.tensor(node.output);
        let Op::Rearrange { mut origins } = node.op else { return None };
        origins.reverse();
        let back = (0..origins.len()).rev().map(|e| element(0, e)).collect();
        let reversed = self.insert(at, Op::Rearrange { origins }, &node.inputs, Shape::vector(shape.len()), format);
        let node = &mut self.graph.nodes[at + 1];
        (node.op, node.inputs) = (Op::Rearrange { origins: back }, vec![reversed]);
        Some(())
    }

    fn summed_in_reverse(&mut self) -> Option<()> {
        let at = self.find(|_, node| matches!(node.op, Op::Combine { .. }) && node.inputs.len() > 1)?;
        let node = &mut self.graph.nodes[at];
        node.inputs.reverse();
        let Op::Combine { multipliers, .. } = &mut node.op else { return None };
        multipliers.reverse();
        Some(())
    }

    fn an_operand_twice(&mut self) -> Option<()> {
        let at = self.find(|_, node| matches!(node.op, Op::Combine { .. }))?;
        let part = self.rng.gen_range(1..=9);
        let node = &mut self.graph.nodes[at];
        node.inputs.push(node.inputs[0]);
        let Op::Combine { multipliers, .. } = &mut node.op else { return None };
        multipliers[0] -= part;
        multipliers.push(part);
        Some(())
    }
}
