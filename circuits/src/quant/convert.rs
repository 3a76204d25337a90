//! From float nodes to integers, once every scale is chosen.

use std::collections::HashMap;

use crate::graph::{BIAS_LIMIT, Format, Graph, Linear, Node, Op, Tensor, TensorId, WEIGHT_BITS, Window};
use crate::import::{FloatGraph, FloatLinear, FloatNode, FloatOp};

use super::calibrate::{Observations, Spread, fitting};
use super::group::Group;
use super::{QuantError, QuantOptions};

/// Largest accumulator of an output that is not requantised.
const RAW_LIMIT: i64 = BIAS_LIMIT;
/// Largest weight.
const WEIGHT_LIMIT: i64 = (1 << (WEIGHT_BITS - 1)) - 1;
/// Largest factor of a sum or mean.
const FACTOR_LIMIT: f64 = (1u64 << 30) as f64;

/// A quantised graph under construction.
pub(super) struct Converter<'a> {
    pub(super) source: &'a FloatGraph,
    pub(super) observations: &'a Observations,
    pub(super) options: &'a QuantOptions,
    pub(super) activation_bits: u32,
    graph: Graph,
    /// Quantised tensor of each float tensor.
    ids: HashMap<TensorId, TensorId>,
}

/// Quantises with a fixed number of activation bits.
pub(super) fn convert(
    source: &FloatGraph,
    groups: &[Group],
    observations: &Observations,
    options: &QuantOptions,
    activation_bits: u32,
) -> Result<Graph, QuantError> {
    let graph = Graph {
        name: source.name.clone(),
        shift: options.shift,
        tensors: Vec::new(),
        activations: Vec::new(),
        nodes: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut this = Converter { source, observations, options, activation_bits, graph, ids: HashMap::new() };
    for &id in &source.inputs {
        let unsigned = observations.spread(id).min >= 0.0;
        let format = this.calibrated(id, unsigned, None);
        let tensor = this.add_tensor(id, format);
        this.graph.inputs.push(tensor);
    }
    for group in groups {
        this.group(group)?;
    }
    this.graph.outputs = source.outputs.iter().map(|id| this.ids[id]).collect();
    this.graph.validate()?;
    Ok(this.graph)
}

impl Converter<'_> {
    fn add_tensor(&mut self, source: TensorId, format: Format) -> TensorId {
        let tensor = &self.source.tensors[source];
        let id = self.graph.tensors.len();
        self.graph.tensors.push(Tensor {
            name: tensor.name.clone(),
            shape: tensor.shape,
            format,
            logical_shape: tensor.logical_shape.clone(),
            transposed: tensor.transposed,
        });
        self.ids.insert(source, id);
        id
    }

    fn format(&self, source: TensorId) -> Format {
        self.graph.tensors[self.ids[&source]].format
    }

    fn group(&mut self, group: &Group) -> Result<(), QuantError> {
        let head = &self.source.nodes[group.head];
        let (op, format) = match &head.op {
            FloatOp::Linear(linear) if group.raw => self.raw(head, linear)?,
            FloatOp::Linear(linear) => self.linear(group, head, linear)?,
            FloatOp::Combine { factors } => self.combine(group, head, factors)?,
            FloatOp::Clamp { .. } => self.combine(group, head, &[1.0])?,
            FloatOp::AveragePool { window, count_padding, scale } => {
                self.average(group, head, window, *count_padding, *scale)?
            }
            FloatOp::MaxPool(window) => (Op::MaxPool(*window), self.format(head.inputs[0])),
            _ => (Op::Reshape, self.format(head.inputs[0])),
        };
        let inputs = head.inputs.iter().map(|id| self.ids[id]).collect();
        let output = self.add_tensor(group.output, format);
        self.graph.nodes.push(Node {
            name: self.source.nodes[group.last].name.clone(),
            op,
            inputs,
            output,
            activation: None,
        });
        Ok(())
    }

    /// The format of a tensor from its observed values and its activation.
    fn calibrated(&self, tensor: TensorId, unsigned: bool, clamp: Option<[f32; 2]>) -> Format {
        let bits = self.activation_bits;
        let (min, max) = if unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) };
        let frac_bits = self.observations.frac_bits(tensor, min, max, f64::from(self.options.headroom));
        bounded(Format { frac_bits, min, max }, clamp)
    }

    /// The format of a group's output: unsigned where no negative value can occur.
    fn output_format(&self, group: &Group) -> Format {
        let head = &self.source.nodes[group.head];
        let inputs_positive = head.inputs.iter().all(|&id| self.format(id).min >= 0);
        let positive = match &head.op {
            FloatOp::Combine { factors } => inputs_positive && factors.iter().all(|f| *f >= 0.0),
            FloatOp::AveragePool { scale, .. } => inputs_positive && *scale >= 0.0,
            FloatOp::Clamp { .. } => inputs_positive,
            _ => false,
        };
        let unsigned = positive || group.clamp.is_some_and(|[min, _]| min >= 0.0);
        self.calibrated(group.output, unsigned, group.clamp)
    }

    /// An accumulator exposed as it is, with as many fractional bits as weights and accumulator allow.
    fn raw(&self, node: &FloatNode, linear: &FloatLinear) -> Result<(Op, Format), QuantError> {
        let x = self.format(node.inputs[0]);
        let largest = largest_weight(node, linear)?;
        let mut weight_bits = fitting(largest, WEIGHT_LIMIT).min(self.options.shift as i32 + 16);
        loop {
            let frac_bits = x.frac_bits + weight_bits;
            if frac_bits < -64 {
                return Err(QuantError::Scale { node: node.name.clone(), what: "accumulators" });
            }
            if let Some(integers) = integers(linear, weight_bits, frac_bits, [1, 1], true) {
                let bounds = integers.channel_bounds(x);
                let magnitude = bounds.iter().map(|b| b.magnitude()).max().unwrap_or(0);
                if magnitude < RAW_LIMIT && frac_bits <= 64 {
                    let format = Format { frac_bits, min: -magnitude, max: magnitude };
                    return Ok((Op::Linear(integers), format));
                }
            }
            weight_bits -= 1;
        }
    }

    /// Weights with `S + f_y - f_x` fractional bits; `f_y` is lowered until they fit.
    fn linear(&self, group: &Group, node: &FloatNode, linear: &FloatLinear) -> Result<(Op, Format), QuantError> {
        let x = self.format(node.inputs[0]);
        let shift = self.options.shift as i32;
        let fitting = fitting(largest_weight(node, linear)?, WEIGHT_LIMIT);
        let mut format = self.output_format(group);
        format.frac_bits = format.frac_bits.min(fitting.saturating_add(x.frac_bits).saturating_sub(shift));
        while format.frac_bits >= -64 {
            let weight_bits = shift + format.frac_bits - x.frac_bits;
            if let Some(integers) = integers(linear, weight_bits, shift + format.frac_bits, group.pool, false) {
                return Ok((Op::Linear(integers), rescaled(format, group.clamp, self.activation_bits)));
            }
            format.frac_bits -= 1;
        }
        Err(QuantError::Scale { node: node.name.clone(), what: "biases" })
    }

    fn combine(&self, group: &Group, node: &FloatNode, factors: &[f32]) -> Result<(Op, Format), QuantError> {
        let format = self.output_format(group);
        let multiplier = |(&id, &factor): (&TensorId, &f32)| {
            let bits = self.options.shift as i32 + format.frac_bits - self.format(id).frac_bits;
            factor_bits(node, f64::from(factor) * 2f64.powi(bits))
        };
        let multipliers: Result<_, _> = node.inputs.iter().zip(factors).map(multiplier).collect();
        Ok((Op::Combine { multipliers: multipliers?, offset: Vec::new() }, format))
    }

    fn average(
        &self,
        group: &Group,
        node: &FloatNode,
        window: &Window,
        count_padding: bool,
        scale: f32,
    ) -> Result<(Op, Format), QuantError> {
        let format = self.output_format(group);
        let bits = self.options.shift as i32 + format.frac_bits - self.format(node.inputs[0]).frac_bits;
        let area = window.kernel[0] * window.kernel[1];
        let unpadded = window.pad_before == [0, 0] && window.pad_after == [0, 0];
        let multiplier = |count: usize| match count {
            0 => Ok(0),
            _ => {
                let count = if count_padding || unpadded { area } else { count };
                factor_bits(node, f64::from(scale) * 2f64.powi(bits) / count as f64)
            }
        };
        let multipliers: Result<_, _> = (0..=area).map(multiplier).collect();
        Ok((Op::AveragePool { window: *window, multipliers: multipliers? }, format))
    }
}

fn factor_bits(node: &FloatNode, factor: f64) -> Result<i64, QuantError> {
    if factor.abs() > FACTOR_LIMIT || factor.is_nan() {
        return Err(QuantError::Scale { node: node.name.clone(), what: "factors" });
    }
    Ok(factor.round() as i64)
}

/// The part of a range that an activation leaves.
fn bounded(format: Format, clamp: Option<[f32; 2]>) -> Format {
    let Some([low, high]) = clamp else { return format };
    // The casts saturate, so that infinite bounds leave the range as it is.
    let scaled = |v: f32| (f64::from(v) * 2f64.powi(format.frac_bits)).round() as i64;
    let min = scaled(low).clamp(format.min, format.max);
    Format { min, max: scaled(high).clamp(min, format.max), ..format }
}

/// The range of a format whose scale has changed.
fn rescaled(format: Format, clamp: Option<[f32; 2]>, bits: u32) -> Format {
    let unsigned = format.min >= 0;
    let (min, max) = if unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) };
    bounded(Format { min, max, ..format }, clamp)
}

fn largest_weight(node: &FloatNode, linear: &FloatLinear) -> Result<f64, QuantError> {
    if linear.weights.iter().chain(&linear.bias).any(|w| !w.is_finite()) {
        return Err(QuantError::NotFinite { node: node.name.clone(), what: "weights" });
    }
    Ok(linear.weights.iter().fold(0f64, |m, w| m.max(f64::from(w.abs()))))
}

/// Weights and biases as integers; `None` where a bias is too large for its scale.
fn integers(linear: &FloatLinear, weight_bits: i32, bias_bits: i32, pool: [usize; 2], raw: bool) -> Option<Linear> {
    let scale = |v: f32, bits: i32| (f64::from(v) * 2f64.powi(bits)).round();
    let bias: Vec<i64> = linear.bias.iter().map(|&b| scale(b, bias_bits) as i64).collect();
    let fits = bias.iter().all(|b| (-BIAS_LIMIT..=BIAS_LIMIT).contains(b));
    fits.then(|| Linear {
        window: linear.window,
        input_dilation: linear.input_dilation,
        groups: linear.groups,
        out_channels: linear.out_channels,
        weights: linear.weights.iter().map(|&w| scale(w, weight_bits) as i32).collect(),
        bias,
        pool,
        raw,
    })
}

/// Whether a spread has extent; a constant is measured against its magnitude instead.
pub(super) fn extent(Spread { min, max }: Spread, constant: f32) -> f32 {
    if max > min {
        max - min
    } else if constant != 0.0 {
        constant.abs()
    } else {
        1.0
    }
}
