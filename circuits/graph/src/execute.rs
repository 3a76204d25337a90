//! The integer reference: what a circuit proves, computed directly.
//!
//! Everything is exact `i64` arithmetic. [`Graph::validate`] runs first and bounds weights, activations and
//! multipliers so that no accumulator can overflow (see `validate.rs`).

use std::borrow::Cow;

use super::window::{Convolution, convolve, pool};
use super::{Format, Graph, Linear, Node, Op, Origin, Shape, ValidateError, Window, transpose};

/// Every value of one inference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The elements of each tensor, in stored (row-major `channels × height × width`) order.
    pub values: Vec<Vec<i64>>,
    /// Accumulators of each node before requantisation. Of a [`Op::Linear`]: bias included, one for every window
    /// before pooling, `[out channel][height][width]`; of other nodes that requantise: one an output, with the
    /// multiplier; of other nodes: none.
    pub accumulators: Vec<Vec<i64>>,
}

/// Why an inference could not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The graph itself is malformed.
    #[error(transparent)]
    Invalid(#[from] ValidateError),
    /// A wrong number of input tensors.
    #[error(
        "the graph takes {expected} input tensors, got {got}\nhint: give one list of values per input of the model"
    )]
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        got: usize,
    },
    /// An input of the wrong length.
    #[error(
        "input '{tensor}' has {got} values, expected {expected}\nhint: values come in channels, height, width order"
    )]
    InputLength {
        /// Name of the input.
        tensor: String,
        /// Elements of the tensor.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// An input value outside its format's range.
    #[error(
        "input '{tensor}' holds {got} at index {index}, expected {min}..={max}\nhint: quantise inputs with the tensor's format, which saturates"
    )]
    InputRange {
        /// Name of the input.
        tensor: String,
        /// Position in stored order.
        index: usize,
        /// The value.
        got: i64,
        /// Least value allowed.
        min: i64,
        /// Greatest value allowed.
        max: i64,
    },
    /// An accumulator that is exposed as it is lies outside the range of its tensor.
    #[error(
        "node '{node}': accumulator {got} at index {index} is outside the output's range {min}..={max}\nhint: the range of a raw output must cover the accumulator's bounds"
    )]
    RawRange {
        /// Name of the node.
        node: String,
        /// Position in stored order.
        index: usize,
        /// The accumulator.
        got: i64,
        /// Least value allowed.
        min: i64,
        /// Greatest value allowed.
        max: i64,
    },
}

/// `floor((acc + 2^(shift-1)) / 2^shift)`: division by a power of two, rounded to nearest, ties upwards.
pub const fn requantise(acc: i64, shift: u32) -> i64 {
    (acc + (1 << (shift - 1))) >> shift
}

impl Graph {
    /// Runs one inference on integer inputs, one list per entry of [`Graph::inputs`], in stored order.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`] where the graph is malformed, or an input has the wrong length or a value out of range.
    pub fn run(&self, inputs: &[Vec<i64>]) -> Result<Execution, ExecuteError> {
        self.validate()?;
        let mut values = vec![Vec::new(); self.tensors.len()];
        self.load_inputs(inputs, &mut values)?;
        let mut accumulators = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let (acc, output) = self.run_node(node, &values)?;
            accumulators.push(acc);
            values[node.output] = output;
        }
        Ok(Execution { values, accumulators })
    }

    fn load_inputs(&self, inputs: &[Vec<i64>], values: &mut [Vec<i64>]) -> Result<(), ExecuteError> {
        if inputs.len() != self.inputs.len() {
            return Err(ExecuteError::InputCount { expected: self.inputs.len(), got: inputs.len() });
        }
        for (&id, input) in self.inputs.iter().zip(inputs) {
            let tensor = &self.tensors[id];
            let (expected, got) = (tensor.shape.len(), input.len());
            if expected != got {
                return Err(ExecuteError::InputLength { tensor: tensor.name.clone(), expected, got });
            }
            let Format { min, max, .. } = tensor.format;
            if let Some((index, &got)) = input.iter().enumerate().find(|(_, v)| **v < min || **v > max) {
                return Err(ExecuteError::InputRange { tensor: tensor.name.clone(), index, got, min, max });
            }
            values[id].clone_from(input);
        }
        Ok(())
    }

    /// Accumulators and output of one node.
    fn run_node(&self, node: &Node, values: &[Vec<i64>]) -> Result<(Vec<i64>, Vec<i64>), ExecuteError> {
        let x = &values[node.inputs[0]];
        let x_shape = self.tensors[node.inputs[0]].shape;
        let y = &self.tensors[node.output];
        let narrow = |acc: &[i64]| -> Vec<i64> {
            // Whatever is requantised has one.
            let Some(activation) = self.activation(node) else { return Vec::new() };
            acc.iter().map(|&a| activation.apply(requantise(a, self.shift * node.op.limbs()))).collect()
        };
        let requantised = |acc: Vec<i64>| {
            let output = narrow(&acc);
            (acc, output)
        };
        Ok(match &node.op {
            Op::Linear(linear) => {
                let acc = accumulate(linear, x, x_shape);
                let acc = if linear.transposed { transpose(&acc, linear.out_channels) } else { acc };
                let output = if linear.raw {
                    check_raw(node, y.format, &acc)?;
                    acc.clone()
                } else {
                    let [height, width] = linear.output(x_shape).unwrap_or([0, 0]);
                    let windows = Shape { channels: linear.out_channels, height, width };
                    narrow(&pool_maximum(&acc, windows, linear.pool))
                };
                (acc, output)
            }
            Op::Combine { multipliers, offset, .. } => {
                let mut acc = offset.clone();
                acc.resize(x.len(), 0);
                for (&id, &m) in node.inputs.iter().zip(multipliers) {
                    acc.iter_mut().zip(&values[id]).for_each(|(a, v)| *a += m * v);
                }
                let output = narrow(&acc);
                (acc, output)
            }
            Op::MatMul(product) => requantised(product.accumulate(x, &values[node.inputs[1]])),
            Op::Multiply(rescale) => {
                let products = x.iter().zip(&values[node.inputs[1]]);
                requantised(products.map(|(a, b)| rescale.multiplier * a * b).collect())
            }
            Op::Softmax(softmax) => requantised(softmax.accumulate(x)),
            Op::Normalise(normalise) => requantised(normalise.accumulate(x)),
            Op::MaxPool(window) => (Vec::new(), max_pool(x, x_shape, window)),
            Op::AveragePool { window, multipliers } => {
                let acc = average_pool(x, x_shape, window, multipliers);
                let output = narrow(&acc);
                (acc, output)
            }
            Op::Reshape => (Vec::new(), x.clone()),
            Op::Rearrange { origins } => {
                let value = |origin: &Origin| match *origin {
                    Origin::Element { operand, element } => values[node.inputs[operand as usize]][element as usize],
                    Origin::Constant(constant) => constant,
                };
                (Vec::new(), origins.iter().map(value).collect())
            }
            Op::ArgMax { starts, stride, count, last } => {
                let index = |start: &u32| {
                    let candidates = (0..*count).map(|k| x[*start as usize + k * stride]);
                    greatest(candidates, *last) as i64
                };
                (Vec::new(), starts.iter().map(index).collect())
            }
        })
    }
}

/// Position of the greatest value; of equal ones the first, or the last.
fn greatest(values: impl Iterator<Item = i64>, last: bool) -> usize {
    let beats = |value: i64, best: i64| if last { value >= best } else { value > best };
    let start = (0, i64::MIN);
    values.enumerate().fold(start, |best, (i, value)| if beats(value, best.1) { (i, value) } else { best }).0
}

fn check_raw(node: &Node, Format { min, max, .. }: Format, acc: &[i64]) -> Result<(), ExecuteError> {
    match acc.iter().enumerate().find(|(_, v)| **v < min || **v > max) {
        Some((index, &got)) => Err(ExecuteError::RawRange { node: node.name.clone(), index, got, min, max }),
        None => Ok(()),
    }
}

/// Accumulators of every window, `[out channel][height][width]`.
fn accumulate(linear: &Linear, x: &[i64], shape: Shape) -> Vec<i64> {
    if linear.window == Window::UNIT && shape.height * shape.width == 1 && linear.groups == 1 {
        return accumulate_dense(linear, x);
    }
    let [height, width] = linear.output(shape).unwrap_or([0, 0]);
    let mut acc: Vec<i64> = linear.bias.iter().flat_map(|&b| std::iter::repeat_n(b, height * width)).collect();
    let Linear { window, input_dilation, groups, .. } = *linear;
    convolve(&mut acc, x, shape, &Convolution { window, input_dilation, groups }, &linear.weights);
    acc
}

/// Products of a vector with each row of weights.
fn accumulate_dense(linear: &Linear, x: &[i64]) -> Vec<i64> {
    // Activations have at most 17 bits with sign, so the narrowing is exact; 32-bit operands multiply faster.
    let x: Vec<i32> = x.iter().map(|&v| v as i32).collect();
    let rows = linear.weights.chunks_exact(x.len().max(1));
    let dot = |row: &[i32]| row.iter().zip(&x).map(|(&w, &v)| i64::from(w) * i64::from(v)).sum::<i64>();
    rows.zip(&linear.bias).map(|(row, bias)| dot(row) + bias).collect()
}

/// Maximum over disjoint windows; the accumulators themselves where there is no pooling.
fn pool_maximum(acc: &[i64], shape: Shape, kernel: [usize; 2]) -> Cow<'_, [i64]> {
    if kernel == [1, 1] {
        return Cow::Borrowed(acc);
    }
    let window = Window { kernel, stride: kernel, ..Window::UNIT };
    Cow::Owned(max_pool(acc, shape, &window))
}

fn max_pool(x: &[i64], shape: Shape, window: &Window) -> Vec<i64> {
    pool(x, shape, window, i64::MIN, i64::max, |best, _| best)
}

fn average_pool(x: &[i64], shape: Shape, window: &Window, multipliers: &[i64]) -> Vec<i64> {
    pool(x, shape, window, 0, |sum, value| sum + value, |sum, count| multipliers[count] * sum)
}

#[cfg(test)]
mod tests {
    use super::super::{Storage, Tensor};
    use super::*;

    fn tensor(name: &str, channels: usize, height: usize, width: usize, min: i64, max: i64) -> Tensor {
        Tensor {
            name: name.into(),
            shape: Shape { channels, height, width },
            format: Format { frac_bits: 0, min, max },
            logical_shape: vec![1, channels, height, width],
            storage: Storage::Plain,
        }
    }

    fn one_node(op: Op, x: Tensor, y: Tensor) -> Graph {
        Graph {
            name: "test".into(),
            shift: 1,
            tensors: vec![x, y],
            activations: Vec::new(),
            nodes: vec![Node { name: "node".into(), op, inputs: vec![0], output: 1, activation: None }],
            inputs: vec![0],
            outputs: vec![1],
        }
    }

    fn conv(window: Window, weights: Vec<i32>, bias: i64, pool: [usize; 2]) -> Op {
        Op::Linear(Linear { window, pool, ..Linear::dense(1, weights, vec![bias]) })
    }

    #[test]
    fn convolution_agrees_with_the_definition() {
        let window = Window { kernel: [2, 3], stride: [2, 1], pad_before: [1, 0], pad_after: [0, 2], ..Window::UNIT };
        let (x, y) = (tensor("x", 2, 5, 4, -128, 127), tensor("y", 1, 3, 4, -1000, 1000));
        let weights: Vec<i32> = (0..12).map(|i| (i * 7) % 11 - 5).collect();
        let graph = one_node(conv(window, weights.clone(), 3, [1, 1]), x, y);
        let input: Vec<i64> = (0..40).map(|i| (i * 37) % 255 - 128).collect();
        let run = graph.run(std::slice::from_ref(&input)).unwrap();
        for (oy, ox) in (0..3).flat_map(|oy| (0..4).map(move |ox| (oy, ox))) {
            let mut acc = 3;
            for c in 0..2 {
                for (ky, kx) in (0..2).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                    let (iy, ix) = ((oy * 2 + ky) as i64 - 1, ox + kx);
                    if (0..5).contains(&iy) && ix < 4 {
                        acc += i64::from(weights[(c * 2 + ky) * 3 + kx]) * input[(c * 5 + iy as usize) * 4 + ix];
                    }
                }
            }
            assert_eq!(run.accumulators[0][oy * 4 + ox], acc);
            assert_eq!(run.values[1][oy * 4 + ox], (acc + 1).div_euclid(2).clamp(-1000, 1000));
        }
    }

    #[test]
    fn pooling_follows_requantisation_and_drops_the_incomplete_edge() {
        let op = conv(Window::UNIT, vec![2], 0, [2, 2]);
        let graph = one_node(op, tensor("x", 1, 3, 3, -9, 9), tensor("y", 1, 1, 1, 0, 5));
        let run = graph.run(&[vec![1, -2, 9, 4, 3, 9, 9, 9, 9]]).unwrap();
        assert_eq!(run.accumulators[0].len(), 9);
        assert_eq!(run.values[1], [4]);
    }

    #[test]
    fn padding_never_wins_a_maximum_and_average_counts_only_the_image() {
        let window = Window { kernel: [1, 2], stride: [1, 2], pad_before: [0, 1], pad_after: [0, 1], ..Window::UNIT };
        let (x, y) = (tensor("x", 1, 1, 4, -9, 9), tensor("y", 1, 1, 3, -9, 9));
        let graph = one_node(Op::MaxPool(window), x.clone(), y.clone());
        assert_eq!(graph.run(&[vec![-5, -2, -7, -1]]).unwrap().values[1], [-5, -2, -1]);
        let average = Op::AveragePool { window, multipliers: vec![0, 2, 1] };
        let run = one_node(average, x, y).run(&[vec![-5, -2, -7, -1]]).unwrap();
        assert_eq!(run.values[1], [-5, -4, -1]);
    }

    /// A product with every attribute at once, and its accumulators by the definition.
    #[test]
    fn grouped_dilated_and_transposed_convolution_agrees_with_the_definition() {
        let window = Window { kernel: [2, 3], stride: [1, 2], dilation: [3, 2], pad_before: [2, 1], pad_after: [1, 4] };
        let shape = Shape { channels: 4, height: 3, width: 4 };
        let weights: Vec<i32> = (0..6 * 2 * 6).map(|i| (i * 7) % 11 - 5).collect();
        let linear =
            Linear { window, input_dilation: [2, 3], groups: 2, ..Linear::dense(6, weights.clone(), (0..6).collect()) };
        let x: Vec<i64> = (0..shape.len() as i64).map(|i| (i * 37) % 19 - 9).collect();
        let [height, width] = linear.output(shape).unwrap();
        let acc = accumulate(&linear, &x, shape);
        assert_eq!(acc.len(), 6 * height * width);
        for (element, got) in acc.into_iter().enumerate() {
            let (o, oy, ox) = (element / (height * width), element / width % height, element % width);
            let mut expected = o as i64;
            for (c, tap) in (0..4).flat_map(|c| (0..6).map(move |tap| (c, tap))) {
                let (y, x_) = ((oy + tap / 3 * 3) as i64 - 2, (ox * 2 + tap % 3 * 2) as i64 - 1);
                let inside = y % 2 == 0
                    && x_ % 3 == 0
                    && (0..3).contains(&y.div_euclid(2))
                    && (0..4).contains(&x_.div_euclid(3));
                if let (true, Some(index)) = (inside, linear.weight_index(shape, o, c, tap)) {
                    expected += i64::from(weights[index]) * x[shape.index(c, (y / 2) as usize, (x_ / 3) as usize)];
                }
            }
            assert_eq!(got, expected, "({o}, {oy}, {ox})");
        }
    }

    #[test]
    fn an_activation_is_looked_up_after_requantisation_and_saturates() {
        let mut graph =
            one_node(conv(Window::UNIT, vec![2], 0, [1, 1]), tensor("x", 1, 1, 5, -9, 9), tensor("y", 1, 1, 5, 0, 9));
        graph.activations = vec![super::super::Activation { min: -1, values: vec![7, 0, 3] }];
        graph.nodes[0].activation = Some(0);
        assert_eq!(graph.run(&[vec![-9, -1, 0, 1, 9]]).unwrap().values[1], [7, 7, 0, 3, 3]);
    }

    #[test]
    fn elements_are_rearranged_and_constants_inserted() {
        let element = |element| Origin::Element { operand: 0, element };
        let origins = vec![element(2), Origin::Constant(5), element(0), element(2)];
        let graph = one_node(Op::Rearrange { origins }, tensor("x", 1, 1, 3, -9, 9), tensor("y", 4, 1, 1, -9, 9));
        assert_eq!(graph.run(&[vec![1, 2, 3]]).unwrap().values[1], [3, 5, 1, 3]);
    }

    #[test]
    fn the_index_of_a_maximum_is_the_first_or_the_last_of_equals() {
        for (last, expected) in [(false, [0, 1]), (true, [2, 1])] {
            let op = Op::ArgMax { starts: vec![0, 1], stride: 2, count: 3, last };
            let graph = one_node(op, tensor("x", 6, 1, 1, -9, 9), tensor("y", 2, 1, 1, 0, 2));
            assert_eq!(graph.run(&[vec![4, -5, -9, 8, 4, 0]]).unwrap().values[1], expected);
        }
    }

    #[test]
    fn requantisation_rounds_ties_upwards() {
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|a| requantise(a, 1)), [-1, -1, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_wrong_input_is_refused_with_its_name() {
        let graph = one_node(Op::Reshape, tensor("x", 1, 1, 2, 0, 9), tensor("y", 2, 1, 1, 0, 9));
        assert!(matches!(graph.run(&[]), Err(ExecuteError::InputCount { expected: 1, got: 0 })));
        assert!(matches!(graph.run(&[vec![1]]), Err(ExecuteError::InputLength { expected: 2, got: 1, .. })));
        let error = graph.run(&[vec![1, 10]]).unwrap_err();
        assert!(matches!(error, ExecuteError::InputRange { index: 1, got: 10, .. }));
        assert!(error.to_string().contains("'x'"));
    }
}
