//! The float executor: every value of a float graph, for calibration and as a check of the import.

use zkml_gpu_graph::window::{Convolution, convolve, pool};
use zkml_gpu_graph::{Shape, Storage, Window, index, transpose};

use super::error::ImportError;
use super::float::{
    FloatGraph, FloatLinear, FloatMatMul, FloatNode, FloatNormalise, FloatOp, FloatOrigin, FloatSoftmax, FloatTensor,
};

impl FloatTensor {
    /// Elements in stored order from elements in the model's order.
    pub(crate) fn to_stored(&self, logical: &[f32]) -> Vec<f32> {
        self.storage.to_stored(self.shape, logical)
    }

    /// Elements in the model's order from elements in stored order.
    pub(crate) fn to_logical(&self, stored: &[f32]) -> Vec<f32> {
        self.storage.to_logical(self.shape, stored)
    }

    /// Number of elements in the model.
    pub fn logical_len(&self) -> usize {
        self.storage.logical_len(self.shape)
    }

    /// Checks elements in the model's order: their number, and that indices are whole and below the number of channels.
    fn check(&self, logical: &[f32]) -> Result<(), ImportError> {
        let (name, expected) = (&self.name, self.logical_len());
        if logical.len() != expected {
            let expected = format!("{expected} values as input '{name}'");
            return Err(ImportError::Inputs { expected, got: logical.len().to_string() });
        }
        let classes = self.shape.channels;
        let wrong = |value: &&f32| self.storage == Storage::OneHot && index(**value, classes).is_none();
        match logical.iter().find(wrong) {
            Some(value) => {
                let expected = format!("whole numbers from 0 to {} as input '{name}'", classes - 1);
                Err(ImportError::Inputs { expected, got: value.to_string() })
            }
            None => Ok(()),
        }
    }
}

impl FloatGraph {
    /// Runs the graph on inputs in the model's order; returns all tensors' elements in stored order (none for
    /// tensors that no node computes), as real numbers whatever their units.
    ///
    /// # Errors
    ///
    /// [`ImportError::Inputs`] where the number or the lengths of inputs do not fit.
    pub fn execute(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, ImportError> {
        self.check_inputs(inputs)?;
        let mut values = vec![Vec::new(); self.tensors.len()];
        for (&id, input) in self.inputs.iter().zip(inputs) {
            let FloatTensor { unit, integers, .. } = self.tensors[id];
            values[id] = self.tensors[id].to_stored(input);
            match integers {
                Some(integers) => values[id].iter_mut().for_each(|value| *value = rounded(*value, unit, integers)),
                None => values[id].iter_mut().for_each(|value| *value /= unit),
            }
        }
        for node in &self.nodes {
            values[node.output] = self.execute_node(node, &values);
        }
        for (values, tensor) in values.iter_mut().zip(&self.tensors).filter(|(_, tensor)| tensor.unit != 1.0) {
            values.iter_mut().for_each(|value| *value *= tensor.unit);
        }
        Ok(values)
    }

    /// Runs the graph on inputs in the model's order; returns its outputs in the model's order.
    ///
    /// # Errors
    ///
    /// As [`FloatGraph::execute`].
    pub fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, ImportError> {
        let values = self.execute(inputs)?;
        Ok(self.outputs.iter().map(|&id| self.tensors[id].to_logical(&values[id])).collect())
    }

    /// Checks the number of inputs and their elements.
    ///
    /// # Errors
    ///
    /// [`ImportError::Inputs`] with what the model takes and what was given.
    pub fn check_inputs(&self, inputs: &[Vec<f32>]) -> Result<(), ImportError> {
        if inputs.len() != self.inputs.len() {
            let expected = format!("{} inputs", self.inputs.len());
            return Err(ImportError::Inputs { expected, got: inputs.len().to_string() });
        }
        for (&id, input) in self.inputs.iter().zip(inputs) {
            self.tensors[id].check(input)?;
        }
        Ok(())
    }

    fn execute_node(&self, node: &FloatNode, values: &[Vec<f32>]) -> Vec<f32> {
        let (x, shape) = (&values[node.inputs[0]], self.tensors[node.inputs[0]].shape);
        match &node.op {
            FloatOp::Linear(linear) => linear_forward(linear, x, shape),
            FloatOp::Affine { scale, shift, .. } => {
                let area = (shape.height * shape.width).max(1);
                let shift = shift.iter().copied().chain(std::iter::repeat(0.0));
                let channels = x.chunks(area).zip(scale.iter().zip(shift));
                channels.flat_map(|(plane, (a, b))| plane.iter().map(move |v| a * v + b)).collect()
            }
            FloatOp::Combine { factors, offset } => {
                let mut sum = offset.clone();
                sum.resize(x.len(), 0.0);
                for (&id, &factor) in node.inputs.iter().zip(factors) {
                    sum.iter_mut().zip(&values[id]).for_each(|(a, v)| *a += factor * v);
                }
                sum
            }
            FloatOp::MatMul(product) => matmul(product, x, &values[node.inputs[1]]),
            FloatOp::Multiply { scale } => x.iter().zip(&values[node.inputs[1]]).map(|(a, b)| scale * a * b).collect(),
            FloatOp::Softmax(softmax) => softmax_forward(softmax, x, self.tensors[node.inputs[0]].unit),
            FloatOp::Normalise(normalise) => normalise_forward(normalise, x),
            FloatOp::Clamp { min, max } => x.iter().map(|v| v.max(*min).min(*max)).collect(),
            FloatOp::Round { step, min, max } => x.iter().map(|v| rounded(*v, *step, [*min, *max]) * step).collect(),
            FloatOp::MaxPool(window) => pool(x, shape, window, f32::NEG_INFINITY, f32::max, |best, _| best),
            FloatOp::AveragePool { window, count_padding, scale } => {
                let area = window.kernel[0] * window.kernel[1];
                let divide = |sum, count| scale * sum / if *count_padding { area } else { count } as f32;
                pool(x, shape, window, 0.0, |sum, value| sum + value, divide)
            }
            FloatOp::Activation(function) => x.iter().map(|v| function.apply(*v)).collect(),
            FloatOp::Reshape => x.clone(),
            FloatOp::Rearrange { origins } => {
                let value = |origin: &FloatOrigin| match *origin {
                    FloatOrigin::Element { operand, element } => {
                        values[node.inputs[operand as usize]][element as usize]
                    }
                    FloatOrigin::Constant(constant) => constant,
                };
                origins.iter().map(value).collect()
            }
            FloatOp::ArgMax { starts, stride, count, last } => {
                let index = |start: &u32| greatest((0..*count).map(|k| x[*start as usize + k * stride]), *last) as f32;
                starts.iter().map(index).collect()
            }
        }
    }
}

/// The nearest of the integers that a quantised model has for a tensor, of two the even one.
pub(super) fn rounded(value: f32, step: f32, [min, max]: [i64; 2]) -> f32 {
    (value / step).round_ties_even().clamp(min as f32, max as f32)
}

/// Position of the greatest value; of equal ones the first, or the last.
fn greatest(values: impl Iterator<Item = f32>, last: bool) -> usize {
    let beats = |value: f32, best: f32| if last { value >= best } else { value > best };
    let start = (0, f32::NEG_INFINITY);
    values.enumerate().fold(start, |best, (i, value)| if beats(value, best.1) { (i, value) } else { best }).0
}

fn linear_forward(linear: &FloatLinear, x: &[f32], shape: Shape) -> Vec<f32> {
    if linear.window == Window::UNIT && shape.height * shape.width == 1 && linear.groups == 1 {
        let rows = linear.weights.chunks_exact(x.len().max(1));
        let dot = |row: &[f32]| row.iter().zip(x).map(|(w, v)| w * v).sum::<f32>();
        return rows.zip(&linear.bias).map(|(row, bias)| dot(row) + bias).collect();
    }
    let [height, width] = linear.output(shape).unwrap_or([0, 0]);
    let mut out: Vec<f32> = linear.bias.iter().flat_map(|&b| std::iter::repeat_n(b, height * width)).collect();
    let convolution =
        Convolution { window: linear.window, input_dilation: linear.input_dilation, groups: linear.groups };
    convolve(&mut out, x, shape, &convolution, &linear.weights);
    if linear.transposed { transpose(&out, linear.out_channels) } else { out }
}

fn matmul(product: &FloatMatMul, left: &[f32], right: &[f32]) -> Vec<f32> {
    let FloatMatMul { heads, inner, rows, columns, head_minor, scale, ref offset } = *product;
    let mut out = if offset.is_empty() { vec![0.0; rows * heads * columns] } else { offset.clone() };
    for block in 0..heads * inner {
        let head = if head_minor { block % heads } else { block / inner };
        let right = &right[block * columns..][..columns];
        for (i, a) in left[block * rows..][..rows].iter().enumerate() {
            let first = (i * heads + head) * columns;
            out[first..first + columns].iter_mut().zip(right).for_each(|(sum, b)| *sum += scale * a * b);
        }
    }
    out
}

fn softmax_forward(softmax: &FloatSoftmax, x: &[f32], unit: f32) -> Vec<f32> {
    let FloatSoftmax { groups, len, ref masked } = *softmax;
    let mut out = vec![0.0; x.len()];
    for p in 0..groups {
        let members = || (0..len).map(|c| c * groups + p).filter(|e| !masked.get(*e).copied().unwrap_or(false));
        let max = members().map(|e| x[e]).fold(f32::NEG_INFINITY, f32::max);
        let exponential = |e: usize| libm::expf((x[e] - max) * unit);
        let sum: f32 = members().map(exponential).sum();
        members().for_each(|e| out[e] = exponential(e) / sum);
    }
    out
}

fn normalise_forward(normalise: &FloatNormalise, x: &[f32]) -> Vec<f32> {
    let FloatNormalise { groups, len, centred, epsilon } = *normalise;
    let mut out = vec![0.0; x.len()];
    for p in 0..groups {
        let members = || (0..len).map(|c| c * groups + p);
        let mean = if centred { members().map(|e| x[e]).sum::<f32>() / len as f32 } else { 0.0 };
        let variance = members().map(|e| (x[e] - mean).powi(2)).sum::<f32>() / len as f32;
        members().for_each(|e| out[e] = (x[e] - mean) / (variance + epsilon).sqrt());
    }
    out
}
