//! What a layout needs at least, by arithmetic alone: no cell is placed, so a network of any size is counted at once.
//!
//! The rows are those that the planner fills, operator by operator; the columns are those that its gates read. What an operator
//! asks for that is not counted here makes the count a lower bound: the search prunes by it, and refuses by it, and neither
//! is ever wrong for want of a number.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Accumulator, Architecture, Geometry, Source, WeightMode, search::Limbs, search::Widths, tensors::Tensors};
use crate::layers::product::Product;
use zkml_gpu_graph::{Graph, Linear, MatMul, Node, Op, Shape, TensorId, Window, window::covered};

/// Fixed columns of every circuit: usable rows, steps and end of the grand sum, the table, the activation tag.
const FIXED_COLUMNS: usize = 8;

/// Rows of the operand, result and garbage banks.
pub(crate) type Rows = [usize; 3];

/// Rows and columns that a graph needs at least.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    /// Rows of each node.
    pub(super) nodes: Vec<Rows>,
    /// Rows of public inputs and outputs that no node reads.
    pub(super) statement: Rows,
    /// Copied elements of operands.
    pub(super) operand_cells: usize,
    /// Most activations of a row.
    pub(super) activation_lanes: usize,
    /// Most values of a row that are requantised.
    pub(super) requantised_lanes: usize,
    /// Most members of a pooling window: of a product's accumulators, gathered as a maximum, gathered as a sum.
    pub(super) windows: [usize; 3],
    /// Most copies of a row that are results as they are.
    pub(super) copies: usize,
    /// Whether there is an index of a maximum.
    pub(super) indices: bool,
    /// Whether a product has two activations.
    pub(super) left: bool,
    /// Most limbs of a remainder.
    pub(super) remainder_limbs: usize,
    /// Sorts of copies beside results.
    pub(super) factor_groups: usize,
    /// Whether there are roots of variances.
    pub(super) roots: bool,
    /// Range cells of the rows of groups.
    pub(super) group_cells: usize,
    /// Whether operands are read by full rows of lanes, and one by one.
    pub(super) operands: [bool; 2],
    /// Whether some output is raw.
    pub(super) raw: bool,
    /// What identities have terms of, at least: each takes a fixed column.
    pub(super) sources: BTreeSet<Source>,
}

impl Count {
    /// Counts a graph that went through [`lower`](super::lower).
    pub(super) fn new(graph: &Graph, tensors: &Tensors, widths: Widths, weights: WeightMode) -> Self {
        let placed = vec![false; graph.tensors.len()];
        let mut counter = Counter { graph, tensors, widths, weights, placed, count: Self::default() };
        for index in 0..graph.nodes.len() {
            let rows = counter.node(index);
            counter.count.nodes.push(rows);
        }
        counter.ports();
        counter.count
    }

    /// Rows of each bank.
    pub(super) fn rows(&self) -> Rows {
        self.nodes
            .iter()
            .chain([&self.statement])
            .fold([0; 3], |sum, rows| [0, 1, 2].map(|bank| sum[bank] + rows[bank]))
    }

    /// The widths, with those that the graph makes no use of at their least: they make no difference.
    pub(super) fn used(&self, widths: Widths) -> Widths {
        Widths {
            activation_lanes: self.activation_lanes.max(1),
            garbage_lanes: if self.rows()[2] > 0 { widths.garbage_lanes } else { 1 },
            ..widths
        }
    }

    /// The fixed columns that there are at least: those of every circuit, those of terms, and one that numbers their identities.
    pub(super) fn fixed_columns(&self) -> usize {
        FIXED_COLUMNS + self.sources.len() + 1
    }

    /// The columns of the circuit, with one slot for terms, which all have; the fixed ones are not told.
    pub(super) fn architecture(&self, shift: u32, limbs: &Limbs, widths: Widths, weights: WeightMode) -> Architecture {
        let remainder_limbs = self.remainder_limbs.max(1);
        let requantise = remainder_limbs + limbs.excess;
        let [pool, maximum, sum] = self.windows;
        let pooled = if pool > 0 { requantise + pool * limbs.spread } else { 0 };
        let lanes = self.activation_lanes.max(1);
        let differences = maximum.max(usize::from(self.indices));
        let mut architecture = Architecture {
            shift,
            operand_lanes: widths.operand_lanes,
            operand_columns: if self.operands[0] { widths.operand_lanes } else { usize::from(self.operands[1]) },
            left_lanes: if self.left { widths.operand_lanes } else { 0 },
            activation_lanes: lanes,
            remainder_limbs,
            factor_groups: self.factor_groups,
            roots: self.roots,
            excess_limbs: limbs.excess,
            spread_limbs: limbs.spread,
            range_columns: (self.requantised_lanes * requantise)
                .max(pooled)
                .max(differences * limbs.spread)
                .max(self.group_cells),
            garbage_lanes: if self.rows()[2] > 0 { widths.garbage_lanes } else { 0 },
            gather_columns: maximum.max(sum).max(self.copies).max(if self.indices { 3 } else { 0 }),
            gather_by_index: self.indices,
            weights,
            slots: 1,
            raw_output: self.raw,
            lookup_group: widths.lookup_group,
            weight_columns: widths.weight_columns,
            ..Architecture::default()
        };
        architecture.product_columns = crate::chips::pool::partial_products(&architecture, pool.max(maximum));
        architecture
    }
}

struct Counter<'a> {
    graph: &'a Graph,
    tensors: &'a Tensors,
    widths: Widths,
    weights: WeightMode,
    /// Public inputs that have a home.
    placed: Vec<bool>,
    count: Count,
}

impl Counter<'_> {
    fn node(&mut self, index: usize) -> Rows {
        let node = &self.graph.nodes[index];
        let output = self.graph.tensors[node.output].shape;
        match &node.op {
            Op::Linear(linear) => self.linear(node.inputs[0], node.output, linear),
            Op::Combine { offset, .. } => {
                let read: usize = node.inputs.iter().map(|input| self.digest(*input)).sum();
                let (groups, lanes) = self.groups(node.output);
                self.requantises(lanes);
                self.adds(&[Accumulator::ResultTotal]);
                [read + offset.len(), groups, 0]
            }
            Op::MatMul(product) => self.matmul(node.inputs[0], node.inputs[1], node.output, product),
            Op::Multiply(_) => {
                let read: usize = node.inputs.iter().map(|input| self.digest(*input)).sum();
                let (groups, lanes) = self.groups(node.output);
                self.computes(&node.op, lanes);
                self.adds(&[Accumulator::Factors]);
                [read, groups, 0]
            }
            Op::Softmax(softmax) => {
                let read = self.digest(node.inputs[0]);
                let (rows, lanes) = self.groups_in(node.output, 0..softmax.groups);
                self.computes(&node.op, lanes);
                let [quotient, difference] = crate::layers::softmax::limbs(softmax, self.graph.shift);
                self.count.group_cells = self.count.group_cells.max(quotient + 2 * difference);
                self.count.factor_groups = self.count.factor_groups.max(3);
                self.adds(&[Accumulator::ResultTotal, Accumulator::Factors, Accumulator::ResultDigest]);
                [read, softmax.groups + 2 * softmax.len * rows, 0]
            }
            Op::Normalise(normalise) => {
                let read = self.digest(node.inputs[0]);
                let (rows, lanes) = self.groups_in(node.output, 0..normalise.groups);
                self.computes(&node.op, lanes);
                let magnitude = self.graph.tensors[node.inputs[0]].format.magnitude();
                let [root, window] = crate::layers::normalise::limbs(normalise, magnitude, self.graph.shift);
                self.count.group_cells = self.count.group_cells.max(root + 2 * window);
                self.count.factor_groups = self.count.factor_groups.max(3);
                self.count.roots = true;
                self.adds(&[Accumulator::ResultTotal, Accumulator::Factors]);
                [read, normalise.groups + normalise.len * rows, 0]
            }
            Op::MaxPool(window) => {
                self.count.windows[1] = self.count.windows[1].max(window.taps());
                [0, output.len(), 0]
            }
            Op::AveragePool { window, .. } => {
                let input = self.graph.tensors[node.inputs[0]].shape;
                self.count.windows[2] = self.count.windows[2].max(most_inside(window, input));
                self.requantises(1);
                [0, output.len(), 0]
            }
            Op::Rearrange { .. } if self.tensors.is_placed(node.output) => {
                let (groups, lanes) = self.groups(node.output);
                self.count.activation_lanes = self.count.activation_lanes.max(lanes);
                self.count.copies = self.count.copies.max(lanes);
                [0, groups, 0]
            }
            Op::ArgMax { starts, count, .. } => {
                self.count.activation_lanes = self.count.activation_lanes.max(1);
                self.count.indices = true;
                [0, starts.len() * (count + 1), 0]
            }
            // Nothing is placed for a reshape, or for a rearrangement that is read in pieces.
            Op::Reshape | Op::Rearrange { .. } => [0; 3],
        }
    }

    /// Notes that identities have terms of these.
    fn adds(&mut self, accumulators: &[Accumulator]) {
        self.count.sources.extend(accumulators.iter().map(|accumulator| Source::Accumulator(*accumulator)));
    }

    fn requantises(&mut self, lanes: usize) {
        self.count.activation_lanes = self.count.activation_lanes.max(lanes);
        self.count.requantised_lanes = self.count.requantised_lanes.max(lanes);
    }

    /// A node whose rows compute with copies beside them, or with a remainder of its own.
    fn computes(&mut self, op: &Op, lanes: usize) {
        self.requantises(lanes);
        self.count.remainder_limbs = self.count.remainder_limbs.max(op.limbs() as usize);
        self.count.factor_groups = self.count.factor_groups.max(if matches!(op, Op::Multiply(_)) { 2 } else { 0 });
    }

    /// A product of activations: both operands side by side, and its results.
    fn matmul(&mut self, left: TensorId, right: TensorId, output: TensorId, product: &MatMul) -> Rows {
        let lanes = self.widths.operand_lanes;
        let operand = self.operand(right, self.graph.tensors[right].shape, product.rows.div_ceil(lanes));
        self.count.operand_cells += self.graph.tensors[left].shape.len();
        self.count.left = true;
        let (results, most) = match product.columns {
            1 => self.groups_in(output, 0..product.rows * product.heads),
            columns => {
                let (groups, most) = self.groups_in(output, 0..columns);
                (groups * product.rows * product.heads, most)
            }
        };
        self.requantises(most);
        self.count.remainder_limbs = self.count.remainder_limbs.max(product.rescale.limbs as usize);
        self.count.sources.insert(Source::Dot);
        self.adds(&[Accumulator::ResultTotal, Accumulator::LeftDigest]);
        [operand, results, 0]
    }

    /// A product: its operand beside the weights, the biases, its results, and the free coefficients.
    fn linear(&mut self, input: TensorId, output: TensorId, linear: &Linear) -> Rows {
        let shape = self.graph.tensors[input].shape;
        // The planner refuses what has no product.
        let Some(product) = Product::new(linear, shape, self.tensors.geometry(self.tensors.root(input))) else {
            return [0; 3];
        };
        let blocks = linear.out_channels.div_ceil(self.widths.weight_columns);
        let operand = self.operand(input, shape, linear.window.taps() * blocks);
        let (results, lanes) = self.results(output, linear, &product);
        self.requantises(lanes);
        self.count.raw |= linear.raw;
        let runs = match self.weights {
            WeightMode::Committed => 1,
            WeightMode::Embedded => linear.out_channels,
        };
        let garbage = match product.has_free() {
            false => 0,
            true => runs * (product.degree() + 1).div_ceil(self.widths.garbage_lanes),
        };
        self.count.sources.insert(Source::Dot);
        self.adds(&[Accumulator::Weights, Accumulator::ResultTotal]);
        [operand + blocks, results, garbage]
    }

    /// Rows of a product's results, and the most values of a row.
    fn results(&mut self, output: TensorId, linear: &Linear, product: &Product) -> (usize, usize) {
        let [height, width] = product.used;
        match linear.pool {
            _ if linear.raw => (linear.out_channels * height * width, 0),
            _ if linear.transposed && width > 1 => {
                let (groups, most) = self.groups_in(output, 0..linear.out_channels);
                (groups * width, most)
            }
            [1, 1] if [height, width] == [1, 1] => self.groups(output),
            [1, 1] => {
                let (_, most) = self.groups(output);
                let lanes = if self.stands_apart(output) { 1 } else { most.min(width) };
                (linear.out_channels * height * width.div_ceil(lanes), lanes)
            }
            pool => {
                self.count.windows[0] = self.count.windows[0].max(pool[0] * pool[1]);
                (linear.out_channels * (height / pool[0]) * (width / pool[1]), 1)
            }
        }
    }

    /// Rows of an operand with room for `chain` rows of weights in each channel.
    fn operand(&mut self, tensor: TensorId, shape: Shape, chain: usize) -> usize {
        let root = self.tensors.root(tensor);
        let public = self.graph.inputs.contains(&root) && !std::mem::replace(&mut self.placed[root], true);
        let single = shape.height * shape.width == 1;
        if !public {
            self.count.operands[usize::from(single)] = true;
            self.count.operand_cells += self.tensors.geometry(root).len();
            self.adds(&[Accumulator::OperandDigest]);
        }
        if single { shape.channels * chain } else { self.packed(root, chain) }
    }

    fn packed(&self, root: TensorId, chain: usize) -> usize {
        let (sequences, length) = self.tensors.geometry(root).sequences(self.widths.operand_lanes);
        sequences * (length / self.widths.operand_lanes).max(chain)
    }

    /// Rows of the operand bank that reading a digest takes: those of a public input that has no home yet.
    fn digest(&mut self, tensor: TensorId) -> usize {
        let root = self.tensors.root(tensor);
        let new = self.graph.inputs.contains(&root) && !std::mem::replace(&mut self.placed[root], true);
        if new { self.packed(root, 0) } else { 0 }
    }

    /// Groups of neighbouring elements that fill activation lanes, and the most elements of a group.
    fn groups(&self, tensor: TensorId) -> (usize, usize) {
        let lanes = self.widths.activation_lanes;
        if self.stands_apart(tensor) {
            return self.walked_groups(tensor);
        }
        let runs = self.runs(tensor).into_iter().filter(|(count, _)| *count > 0);
        runs.fold((0, 0), |(groups, most), (count, run)| {
            (groups + count * run.div_ceil(lanes), most.max(lanes.min(run)))
        })
    }

    /// Whether neighbours in a row of a tensor's image have no consecutive exponents.
    fn stands_apart(&self, tensor: TensorId) -> bool {
        let geometry = self.tensors.geometry(self.tensors.root(tensor));
        matches!(geometry, Geometry::Image { width, column_pitch, .. } if width > 1 && column_pitch > 1)
    }

    /// As [`groups`](Self::groups), element by element.
    fn walked_groups(&self, tensor: TensorId) -> (usize, usize) {
        self.groups_in(tensor, 0..self.graph.tensors[tensor].shape.len())
    }

    /// As [`groups`](Self::groups), of some elements, one by one.
    fn groups_in(&self, tensor: TensorId, elements: Range<usize>) -> (usize, usize) {
        let geometry = self.tensors.geometry(self.tensors.root(tensor));
        let (mut groups, mut most, mut run) = (0, 0, 0);
        for element in elements.clone() {
            let follows = element > elements.start && geometry.exponent(element - 1) == geometry.exponent(element) + 1;
            if follows && run < self.widths.activation_lanes {
                run += 1;
            } else {
                (groups, run) = (groups + 1, 1);
            }
            most = most.max(run);
        }
        (groups, most)
    }

    /// Runs of elements with consecutive exponents, as (count, length).
    fn runs(&self, tensor: TensorId) -> [(usize, usize); 2] {
        match self.tensors.geometry(self.tensors.root(tensor)) {
            Geometry::Flat { len } => [(1, len), (0, 0)],
            Geometry::Image { channels, height, width, row_pitch, channel_pitch, .. } => {
                let (rows, row) = if width == row_pitch || height == 1 { (1, height * width) } else { (height, width) };
                let adjacent = channel_pitch == (height - 1) * row_pitch + width;
                match (adjacent, rows) {
                    (true, 1) => [(1, channels * row), (0, 0)],
                    // A channel's last row and the next one's first are one run.
                    (true, _) => [(channels * rows - 2 * (channels - 1), row), (channels - 1, 2 * row)],
                    (false, _) => [(channels * rows, row), (0, 0)],
                }
            }
        }
    }

    /// Public tensors that no node has placed.
    fn ports(&mut self) {
        let raw = |tensor: TensorId| {
            let producer = self.graph.nodes.iter().find(|node| node.output == tensor);
            producer.is_some_and(Node::is_raw)
        };
        let claimed: Vec<TensorId> = self.graph.outputs.iter().copied().filter(|tensor| !raw(*tensor)).collect();
        for tensor in claimed {
            let root = self.tensors.root(tensor);
            self.count.statement[0] += self.digest(root) + self.packed(root, 0);
        }
        for &tensor in &self.graph.inputs {
            self.count.statement[0] += self.digest(tensor);
        }
    }
}

/// Most elements inside the image that a window covers.
fn most_inside(window: &Window, input: Shape) -> usize {
    let Some(output) = window.output(input.height, input.width) else { return 0 };
    let inside =
        |axis: usize, size: usize| covered(window, axis, size, output[axis]).iter().map(Vec::len).max().unwrap_or(0);
    inside(0, input.height) * inside(1, input.width)
}

#[cfg(test)]
mod tests {
    use super::super::{LayoutOptions, lower, search::Draft, search::candidates};
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;
    use zkml_gpu_graph::{Activation, Format, Node, Normalise, Origin, Rescale, Softmax, Storage, Tensor, Window};

    const RANGE: Format = Format { frac_bits: 0, min: -16, max: 15 };

    fn tensor(graph: &mut Graph, shape: Shape) -> TensorId {
        graph.tensors.push(Tensor {
            name: String::new(),
            shape,
            format: RANGE,
            logical_shape: Vec::new(),
            storage: Storage::Plain,
        });
        graph.tensors.len() - 1
    }

    fn node(graph: &mut Graph, op: Op, inputs: &[TensorId], shape: Shape) -> TensorId {
        let output = tensor(graph, shape);
        graph.nodes.push(Node { name: format!("n{output}"), op, inputs: inputs.to_vec(), output, activation: None });
        output
    }

    fn random_window(rng: &mut ChaCha20Rng, shape: Shape) -> Window {
        loop {
            let kernel = [0; 2].map(|_| rng.gen_range(1..=3));
            let window = Window {
                kernel,
                stride: [0; 2].map(|_| rng.gen_range(1..=3)),
                dilation: [0; 2].map(|_| rng.gen_range(1..=2)),
                pad_before: kernel.map(|k| rng.gen_range(0..k)),
                pad_after: kernel.map(|k| rng.gen_range(0..k)),
            };
            if window.output(shape.height, shape.width).is_some() {
                return window;
            }
        }
    }

    fn product(graph: &mut Graph, rng: &mut ChaCha20Rng, x: TensorId, raw: bool) -> TensorId {
        let shape = graph.tensors[x].shape;
        let window = if rng.gen_bool(0.4) { Window::UNIT } else { random_window(rng, shape) };
        let out_channels = rng.gen_range(1..20);
        // Neither placing nor counting reads a weight.
        let mut linear = Linear { window, raw, ..Linear::dense(out_channels, Vec::new(), Vec::new()) };
        linear.input_dilation = [0; 2].map(|_| if rng.gen_bool(0.2) { 2 } else { 1 });
        let [height, width] = linear.output(shape).unwrap();
        let pool = [height, width].map(|size| if raw { 1 } else { rng.gen_range(1..=size.min(2)) });
        linear.pool = pool;
        let shape = Shape { channels: out_channels, height: height / pool[0], width: width / pool[1] };
        node(graph, Op::Linear(linear), &[x], shape)
    }

    /// A few layers of every kind, without weights.
    fn random_graph(seed: u64) -> Graph {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let mut graph = Graph {
            name: String::new(),
            shift: 6,
            tensors: Vec::new(),
            activations: Vec::new(),
            nodes: Vec::new(),
            inputs: vec![0],
            outputs: Vec::new(),
        };
        let shape = Shape { channels: rng.gen_range(1..5), height: rng.gen_range(1..7), width: rng.gen_range(1..7) };
        let mut x = tensor(&mut graph, shape);
        for _ in 0..rng.gen_range(1..5) {
            let shape = graph.tensors[x].shape;
            x = match rng.gen_range(0..12) {
                0 => node(&mut graph, Op::Reshape, &[x], Shape::vector(shape.len())),
                1 => {
                    let offset = vec![1; if rng.gen_bool(0.5) { shape.len() } else { 0 }];
                    node(&mut graph, Op::Combine { multipliers: vec![64, 1], offset, width: None }, &[x, x], shape)
                }
                4 => {
                    // No two neighbours stay neighbours: nothing can be read in few pieces.
                    let element = |element| Origin::Element { operand: 0, element };
                    let origins = (0..shape.len() as u32).rev().map(element).chain([Origin::Constant(3)]).collect();
                    node(&mut graph, Op::Rearrange { origins }, &[x], Shape::vector(shape.len() + 1))
                }
                5 if shape.len() > 1 => {
                    let op = Op::ArgMax { starts: vec![0], stride: 1, count: shape.len(), last: false };
                    let index = node(&mut graph, op, &[x], Shape::vector(1));
                    graph.outputs.push(index);
                    x
                }
                2 => {
                    let window = Window { kernel: [2.min(shape.height), 1], stride: [1, 2], ..Window::UNIT };
                    let [height, width] = window.output(shape.height, shape.width).unwrap();
                    node(&mut graph, Op::MaxPool(window), &[x], Shape { height, width, ..shape })
                }
                3 => {
                    let window = random_window(rng, shape);
                    let [height, width] = window.output(shape.height, shape.width).unwrap();
                    let op = Op::AveragePool { window, multipliers: vec![1; 10] };
                    node(&mut graph, op, &[x], Shape { height, width, ..shape })
                }
                8 => node(&mut graph, Op::Multiply(Rescale { multiplier: 3, limbs: 2 }), &[x, x], shape),
                9 => {
                    let (groups, len) = (shape.height * shape.width, shape.channels);
                    let exp = Activation { min: 0, values: (0..32).map(|d| 32 - d).collect() };
                    let rescale = Rescale { multiplier: 1, limbs: 3 };
                    let softmax = Softmax { groups, len, masked: Vec::new(), exp, bits: 20, rescale };
                    node(&mut graph, Op::Softmax(softmax), &[x], shape)
                }
                10 => {
                    let (groups, len) = (shape.height * shape.width, shape.channels);
                    let rescale = Rescale { multiplier: 1, limbs: 2 };
                    let normalise = Normalise { groups, len, centred: true, epsilon: 3, bits: 15, rescale };
                    node(&mut graph, Op::Normalise(normalise), &[x], shape)
                }
                11 => {
                    let rows = shape.height * shape.width;
                    let matrix = Shape { channels: shape.channels, height: 1, width: rows };
                    let matrix = node(&mut graph, Op::Reshape, &[x], matrix);
                    let rescale = Rescale { multiplier: 1, limbs: 1 };
                    let (heads, inner, columns) = (1, shape.channels, rows);
                    let matmul = MatMul { heads, inner, rows, columns, head_minor: false, rescale };
                    let shape = Shape { channels: rows, height: 1, width: rows };
                    node(&mut graph, Op::MatMul(matmul), &[matrix, matrix], shape)
                }
                _ => product(&mut graph, rng, x, false),
            };
            if rng.gen_bool(0.2) {
                graph.outputs.push(x);
            }
        }
        let raw = rng.gen_bool(0.5);
        let last = product(&mut graph, rng, x, raw);
        graph.outputs.push(last);
        lower(graph)
    }

    #[test]
    fn rows_and_columns_are_those_of_the_planner() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let limbs = Limbs { excess: 2, spread: 1 };
        let mut options = LayoutOptions::default();
        let (mut garbage, mut gathers, mut blocks, mut indices) = (0, 0, 0, 0);
        let (mut left, mut groups) = (0, 0);
        for seed in 0..300 {
            let graph = random_graph(seed);
            options.max_weight_columns = [19, 1024][seed as usize % 2];
            let all = candidates(&graph, &options).unwrap();
            for _ in 0..4 {
                let mut widths = all[rng.gen_range(0..all.len())];
                widths.weight_columns = widths.weight_columns.min(rng.gen_range(1..20));
                let tensors = Tensors::new(&graph, widths.operand_lanes).unwrap();
                let weights = [WeightMode::Committed, WeightMode::Embedded][rng.gen_range(0..2)];
                let count = Count::new(&graph, &tensors, widths, weights);
                let widths = count.used(widths);
                let draft = Draft::place(&graph, widths, weights).unwrap();
                let layers: Vec<Rows> = count.nodes.iter().copied().chain([count.statement]).collect();
                assert_eq!(layers, draft.layers(), "seed {seed}, {widths:?}: {graph:#?}");
                let placed = draft.architecture(widths.lookup_group, &limbs);
                assert!(count.fixed_columns() <= placed.fixed.len() && placed.slots > 0, "seed {seed}, {widths:?}");
                let columns = Architecture { fixed: Vec::new(), slots: 1, ..placed };
                assert_eq!(
                    count.architecture(graph.shift, &limbs, widths, weights),
                    columns,
                    "seed {seed}, {widths:?}: {graph:#?}"
                );
                garbage += usize::from(columns.garbage_lanes > 1);
                gathers += usize::from(columns.gather_columns > 0);
                indices += usize::from(columns.gather_by_index);
                blocks += usize::from(widths.weight_columns < 10);
                left += usize::from(columns.left_lanes > 1);
                groups += usize::from(columns.factor_groups > 2);
            }
        }
        let counts = [garbage, gathers, blocks, indices, left, groups];
        assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
    }
}
