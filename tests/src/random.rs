//! Random graphs with every operation, joined in every order: layouts that nobody thought of.
//!
//! A graph grows node by node. Each new node takes any tensors that there are, often ones that others read already and
//! often under another shape; its scale follows from what its operands hold on a few samples, so that most values stay
//! inside their ranges. All is small, for MockProver.

mod nodes;
mod rearrangements;

use std::collections::HashSet;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::placement::Widths;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_graph::{
    Activation, Format, Graph, Node, Op, Segments, Shape, Storage, Tensor, TensorId, Visibilities, Visibility,
};

use crate::carry::evaluate;
use crate::networks::{image, random_inputs};

/// Most elements of a tensor.
pub const LARGEST: usize = 36;
/// Ranges of requantised tensors: few, for each takes a table.
const RANGES: [(i64, i64); 4] = [(-16, 15), (0, 15), (-8, 7), (-32, 31)];
/// Ranges without 0, of one value, of two, and a wide one.
const RARE_RANGES: [(i64, i64); 5] = [(2, 9), (-9, -2), (5, 5), (0, 1), (0, 255)];
/// Inferences by which scales are chosen.
const SAMPLES: u64 = 3;

/// A valid graph, not lowered.
pub fn random_graph(seed: u64) -> Graph {
    let mut grower = Grower::new(seed);
    for _ in 0..grower.rng.gen_range(2..=6) {
        grower.grow();
    }
    grower.finish()
}

/// Widths, weights and limits that a choice by cost may never take.
pub fn random_options(seed: u64) -> LayoutOptions {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed ^ 0x6f70_7469_6f6e);
    let mut options = LayoutOptions::default();
    options.weights = if rng.gen_bool(0.5) { WeightMode::Committed } else { WeightMode::Embedded };
    options.max_weight_columns = [8, 16, 1024][rng.gen_range(0..3)];
    if rng.gen_bool(0.15) {
        options.lookup_group = rng.gen_bool(0.5).then(|| rng.gen_range(1..=3));
        return options;
    }
    let mut widths = Widths::default();
    widths.operand_lanes = if rng.gen_bool(0.5) { [1, 2, 4, 8][rng.gen_range(0..4)] } else { rng.gen_range(1..=8) };
    widths.activation_lanes = rng.gen_range(1..=4);
    widths.weight_columns = rng.gen_range(1..=8);
    widths.cross_term_lanes = rng.gen_range(1..=8);
    widths.lookup_group = rng.gen_range(1..=3);
    widths.shared_remainders = rng.gen_bool(0.5);
    widths.lines = rng.gen_bool(0.7);
    options.widths = Some(widths);
    options
}

/// A graph in the making.
struct Grower {
    rng: ChaCha20Rng,
    graph: Graph,
    /// Values of all tensors, by sample.
    samples: Vec<Vec<Vec<i64>>>,
    /// Tensors that a node may read.
    readable: Vec<TensorId>,
}

impl Grower {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let graph = Graph {
            name: format!("random {seed}"),
            shift: rng.gen_range(4..=6),
            tensors: Vec::new(),
            activations: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            visibility: Visibilities::default(),
        };
        let mut grower = Self { rng, graph, samples: Vec::new(), readable: Vec::new() };
        for _ in 0..[1, 1, 1, 2, 2, 3][grower.rng.gen_range(0..6)] {
            grower.input();
        }
        grower.samples = (0..SAMPLES).map(|sample| random_inputs(&grower.graph, seed ^ sample)).collect();
        grower
    }

    fn tensor(&mut self, shape: Shape, (min, max): (i64, i64)) -> TensorId {
        let id = self.graph.tensors.len();
        let format = Format::new(0, min, max);
        let logical_shape = vec![1, shape.channels, shape.height, shape.width];
        let storage = Storage::Plain;
        self.graph.tensors.push(Tensor { name: format!("t{id}"), shape, format, logical_shape, storage });
        id
    }

    fn input(&mut self) {
        let shape = self.shape();
        let one_hot = shape.channels > 1 && self.rng.gen_bool(0.25);
        let range = if one_hot { (0, 1 << self.graph.shift) } else { self.range() };
        let id = self.tensor(shape, range);
        if one_hot {
            self.graph.tensors[id].storage = Storage::OneHot;
            self.graph.tensors[id].logical_shape = vec![1, shape.height * shape.width];
        }
        self.graph.inputs.push(id);
        self.readable.push(id);
    }

    /// A vector, a matrix or an image.
    fn shape(&mut self) -> Shape {
        let rng = &mut self.rng;
        match rng.gen_range(0..6) {
            0 => Shape::vector(rng.gen_range(2..=12)),
            1 | 2 => image(rng.gen_range(1..=6), 1, rng.gen_range(2..=5)),
            _ => image(rng.gen_range(1..=3), rng.gen_range(1..=4), rng.gen_range(2..=3)),
        }
    }

    /// Any shape of this many elements.
    fn shape_of(&mut self, len: usize) -> Shape {
        let divisor = |rng: &mut ChaCha20Rng, n: usize| {
            let divisors: Vec<usize> = (1..=n).filter(|d| n.is_multiple_of(*d)).collect();
            divisors[rng.gen_range(0..divisors.len())]
        };
        match self.rng.gen_range(0..4) {
            0 => Shape::vector(len),
            1 | 2 => {
                let width = divisor(&mut self.rng, len);
                image(len / width, 1, width)
            }
            _ => {
                let area = divisor(&mut self.rng, len);
                let width = divisor(&mut self.rng, area);
                image(len / area, area / width, width)
            }
        }
    }

    /// A tensor to read: often a recent one, often one that others read.
    fn pick(&mut self) -> TensorId {
        let n = self.readable.len();
        let recent = if self.rng.gen_bool(0.5) { n.saturating_sub(3) } else { 0 };
        self.readable[self.rng.gen_range(recent..n)]
    }

    /// A tensor under its own shape or another.
    fn pick_reshaped(&mut self) -> TensorId {
        let tensor = self.pick();
        if !self.rng.gen_bool(0.3) {
            return tensor;
        }
        let shape = self.shape_of(self.len(tensor));
        self.reshaped(tensor, shape)
    }

    /// The tensor under this shape.
    fn reshaped(&mut self, tensor: TensorId, shape: Shape) -> TensorId {
        let of = &self.graph.tensors[tensor];
        if of.shape == shape {
            return tensor;
        }
        let range = (of.format.min, of.format.max);
        self.push(Op::Reshape, &[tensor], shape, range)
    }

    fn of(&self, tensor: TensorId) -> Shape {
        self.graph.tensors[tensor].shape
    }

    fn len(&self, tensor: TensorId) -> usize {
        self.of(tensor).len()
    }

    fn format(&self, tensor: TensorId) -> Format {
        self.graph.tensors[tensor].format
    }

    fn range(&mut self) -> (i64, i64) {
        let ranges: &[(i64, i64)] = if self.rng.gen_bool(0.08) { &RARE_RANGES } else { &RANGES };
        ranges[self.rng.gen_range(0..ranges.len())]
    }

    /// Root of the mean square over the samples, at least 1.
    fn scale(&self, tensor: TensorId) -> f64 {
        let values = self.samples.iter().flat_map(|sample| &sample[tensor]);
        let squares: f64 = values.clone().map(|v| (*v * *v) as f64).sum();
        (squares / values.count().max(1) as f64).sqrt().max(1.0)
    }

    /// Adds a node and its values on the samples.
    fn push(&mut self, op: Op, inputs: &[TensorId], shape: Shape, range: (i64, i64)) -> TensorId {
        let raw = matches!(&op, Op::Linear(linear) if linear.raw);
        let output = self.tensor(shape, range);
        let activation = (op.requantises() && self.rng.gen_bool(0.2)).then(|| self.activation(range));
        self.graph.nodes.push(Node { name: format!("n{output}"), op, inputs: inputs.to_vec(), output, activation });
        let node = self.graph.nodes.last().expect("a node");
        for sample in &mut self.samples {
            let (_, values) = evaluate(&self.graph, node, sample)
                .unwrap_or_else(|error| panic!("{}: {error}\n{node:?}", self.graph.name));
            sample.push(values);
        }
        if !raw {
            self.readable.push(output);
        }
        output
    }

    /// A function on a range around 0 with values in this range.
    fn activation(&mut self, (min, max): (i64, i64)) -> usize {
        let from = -self.rng.gen_range(4..=24);
        let to = self.rng.gen_range(4..=24);
        let kind = self.rng.gen_range(0..6);
        if kind > 3 {
            return self.lines(min, max);
        }
        let apply = |q: i64| match kind {
            0 => q * q / 3,
            1 if q < 0 => q / 4,
            1 => q,
            2 => q.abs(),
            _ => (q * 5).rem_euclid(17) - 8,
        };
        let values = (from..=to).map(|q| apply(q).clamp(min, max)).collect();
        self.graph.activations.push(Activation::table(from, values));
        self.graph.activations.len() - 1
    }

    /// Straight lines on a range around 0 with values in this range.
    fn lines(&mut self, min: i64, max: i64) -> usize {
        let (low, scale) = (self.rng.gen_range(1..=4), self.rng.gen_range(1..=6));
        let length = 1i64 << low;
        let half = self.rng.gen_range(1..=3);
        let middle = (min + max) / 2;
        let line = |rng: &mut ChaCha20Rng| {
            // Half a unit is in the intercept; no result leaves the range.
            let (first, last) = (rng.gen_range(min..=max), rng.gen_range(min..=max));
            let slope = ((last - first) << scale) / length;
            [(first << scale) + (1 << (scale - 1)) - rng.gen_range(0..=1), slope]
        };
        let lines = (0..2 * half).map(|_| line(&mut self.rng)).collect();
        let flat = vec![[(middle << scale) + (1 << (scale - 1)), 0]; 2 * half as usize];
        let of = |lines| Activation::of_segments(-half * length, Segments { low, scale, lines });
        let is_inside = |activation: &Activation| activation.values.iter().all(|y| (min..=max).contains(y));
        let found = of(lines).filter(is_inside).or_else(|| of(flat)).expect("lines within bounds");
        self.graph.activations.push(found);
        self.graph.activations.len() - 1
    }

    /// Adds an operation, and the reshapes that it needs.
    fn grow(&mut self) {
        match self.rng.gen_range(0..100) {
            0..18 => drop(self.linear(false)),
            18..30 => drop(self.combine()),
            30..36 => drop(self.max_pool()),
            36..42 => drop(self.average_pool()),
            42..64 => drop(self.rearrangement()),
            64..72 => self.shared_pieces(),
            72..79 => drop(self.mat_mul()),
            79..85 => drop(self.multiply()),
            85..90 => drop(self.softmax()),
            90..95 => drop(self.normalise()),
            _ => drop(self.arg_max()),
        }
    }

    /// Claims what nothing reads and a few other tensors, some of them under another shape or rearranged.
    fn finish(mut self) -> Graph {
        for _ in 0..[0, 0, 0, 0, 1, 1, 2][self.rng.gen_range(0..7)] {
            self.linear(true);
        }
        let read: HashSet<TensorId> = self.graph.nodes.iter().flat_map(|node| node.inputs.clone()).collect();
        let raw: Vec<TensorId> = (0..self.graph.tensors.len()).filter(|t| !self.readable.contains(t)).collect();
        let mut outputs = raw;
        for tensor in self.readable.clone() {
            let claimed = !read.contains(&tensor) && !self.graph.inputs.contains(&tensor);
            if claimed || self.rng.gen_bool(if self.graph.inputs.contains(&tensor) { 0.03 } else { 0.15 }) {
                outputs.push(self.claim(tensor));
            }
        }
        if outputs.is_empty() {
            outputs.extend(self.readable.last());
        }
        // A tensor may be claimed twice, but for accumulators.
        let again = outputs.iter().copied().find(|tensor| self.readable.contains(tensor));
        if self.rng.gen_bool(0.04) {
            outputs.extend(again);
        }
        self.graph.outputs = outputs;
        if self.rng.gen_bool(0.5) {
            self.hide();
        }
        self.graph.validate().unwrap_or_else(|error| panic!("{}: {error}\n{:#?}", self.graph.name, self.graph));
        self.graph
    }

    /// Hides some inputs and outputs; accumulators that are claimed as they are cannot be.
    fn hide(&mut self) {
        for index in 0..self.graph.inputs.len() {
            self.graph.visibility.set_input(index, Visibility::ALL[self.rng.gen_range(0..Visibility::ALL.len())]);
        }
        for index in 0..self.graph.outputs.len() {
            if self.readable.contains(&self.graph.outputs[index]) {
                self.graph.visibility.set_output(index, Visibility::ALL[self.rng.gen_range(0..Visibility::ALL.len())]);
            }
        }
    }

    fn claim(&mut self, tensor: TensorId) -> TensorId {
        match self.rng.gen_range(0..8) {
            0 => {
                let shape = self.shape_of(self.len(tensor));
                self.reshaped(tensor, shape)
            }
            1 => self.rearrangement_of(tensor),
            _ => tensor,
        }
    }
}
