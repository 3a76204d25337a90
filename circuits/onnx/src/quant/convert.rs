//! From float nodes to integers, once every scale is chosen.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::import::{FloatGraph, FloatLinear, FloatNode, FloatOp, FloatOrigin, Function};
use zkml_gpu_graph::{
    ACTIVATION_LIMIT, Activation, BIAS_LIMIT, Bounds, Format, Graph, Linear, Node, Op, Origin, Tensor, TensorId,
    WEIGHT_BITS, Width, Window, requantise,
};

use super::calibrate::{Observations, Spread, fitting};
use super::group::Group;
use super::scales::{Context, Scales, bounded, limit};
use super::{QuantError, QuantOptions, products, table};

/// Largest accumulator of an output that is not requantised, as it is declared: accumulators below the limit of a bias.
const RAW_LIMIT: i64 = 2 * BIAS_LIMIT;
/// Largest weight.
pub(super) const WEIGHT_LIMIT: i64 = (1 << (WEIGHT_BITS - 1)) - 1;
/// Largest factor of a sum or mean.
pub(super) const FACTOR_LIMIT: i64 = 1 << 30;

/// A quantised graph under construction.
pub(super) struct Converter<'a> {
    context: &'a Context<'a>,
    scales: Scales,
    graph: Graph,
    /// Quantised tensor of each float tensor.
    ids: HashMap<TensorId, TensorId>,
    /// Factors that the readers of a float tensor apply: what the rounding of a mean's multiplier has changed.
    gains: HashMap<TensorId, f64>,
}

/// A node before it has its operands and its place.
struct Converted {
    op: Op,
    format: Format,
    activation: Option<Activation>,
}

/// What an accumulator is requantised to.
struct Target {
    /// Fractional bits after requantisation.
    frac_bits: i32,
    /// The result's format.
    format: Format,
    /// The function between them.
    activation: Option<Activation>,
}

/// Quantises with a fixed number of activation bits; returns the graph, and its tensors with those of the float graph.
pub(super) fn convert(
    source: &FloatGraph,
    groups: &[Group],
    observations: &Observations,
    options: &QuantOptions,
    activation_bits: u32,
) -> Result<(Graph, Vec<(TensorId, TensorId)>), QuantError> {
    let context = Context { source, groups, observations, options, activation_bits };
    let graph = Graph {
        name: source.name.clone(),
        shift: options.shift,
        tensors: Vec::new(),
        activations: Vec::new(),
        nodes: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut this =
        Converter { scales: context.scales()?, context: &context, graph, ids: HashMap::new(), gains: HashMap::new() };
    for &id in &source.inputs {
        let format = context.input_format(id, &this.scales);
        let tensor = this.add_tensor(id, format);
        this.graph.inputs.push(tensor);
    }
    for (g, group) in groups.iter().enumerate() {
        this.group(g, group)?;
    }
    this.graph.outputs = source.outputs.iter().map(|id| this.ids[id]).collect();
    this.graph.validate()?;
    let mut sources: Vec<(TensorId, TensorId)> = this.ids.iter().map(|(float, own)| (*own, *float)).collect();
    sources.sort_unstable();
    Ok((this.graph, sources))
}

impl Converter<'_> {
    fn add_tensor(&mut self, source: TensorId, format: Format) -> TensorId {
        let tensor = &self.context.source.tensors[source];
        let id = self.graph.tensors.len();
        self.graph.tensors.push(Tensor {
            name: tensor.name.clone(),
            shape: tensor.shape,
            format,
            logical_shape: tensor.logical_shape.clone(),
            storage: tensor.storage,
        });
        self.ids.insert(source, id);
        id
    }

    fn format(&self, source: TensorId) -> Format {
        self.graph.tensors[self.ids[&source]].format
    }

    fn group(&mut self, g: usize, group: &Group) -> Result<(), QuantError> {
        let head = &self.context.source.nodes[group.head];
        let x_format = self.format(head.inputs[0]);
        let kept = |op| Converted { op, format: x_format, activation: None };
        let mut inputs: Vec<TensorId> = head.inputs.iter().map(|id| self.ids[id]).collect();
        let converted = match &head.op {
            FloatOp::Linear(linear) if group.raw => self.raw(head, linear)?,
            FloatOp::Linear(linear) => self.linear(group, head, linear)?,
            FloatOp::Combine { factors, offset } => self.combine(group, head, factors, offset)?,
            FloatOp::Clamp { .. } | FloatOp::Activation(_) => self.combine(group, head, &[1.0], &[])?,
            FloatOp::AveragePool { window, count_padding, scale } => {
                self.average(group, head, window, *count_padding, *scale)?
            }
            FloatOp::MatMul(_) | FloatOp::Multiply { .. } | FloatOp::Softmax(_) | FloatOp::Normalise(_) => {
                self.rescaled(group, head)?
            }
            FloatOp::MaxPool(window) => kept(Op::MaxPool(*window)),
            FloatOp::Rearrange { origins } => {
                inputs = self.rescaled_operands(g, group)?;
                self.rearrange(group, &inputs, origins)
            }
            FloatOp::ArgMax { starts, stride, count, last } => {
                let op = Op::ArgMax { starts: starts.clone(), stride: *stride, count: *count, last: *last };
                let format = Format { frac_bits: 0, min: 0, max: *count as i64 - 1 };
                Converted { op, format, activation: None }
            }
            _ => {
                if let Some(&gain) = self.gains.get(&head.inputs[0]) {
                    self.gains.insert(group.output, gain);
                }
                kept(Op::Reshape)
            }
        };
        let Converted { op, format, activation } = converted;
        let output = self.add_tensor(group.output, format);
        let activation = activation.map(|activation| self.shared(activation));
        let name = self.context.source.nodes[group.last].name.clone();
        self.graph.nodes.push(Node { name, op, inputs, output, activation });
        Ok(())
    }

    /// Index of a function's table, which equal functions share.
    fn shared(&mut self, activation: Activation) -> usize {
        let known = self.graph.activations.iter().position(|known| *known == activation);
        known.unwrap_or_else(|| {
            self.graph.activations.push(activation);
            self.graph.activations.len() - 1
        })
    }

    /// What a group's accumulators are requantised to.
    fn target(&self, group: &Group, node: &FloatNode) -> Result<Target, QuantError> {
        let format = bounded(self.context.full_format(group.output, &self.scales), group.clamp);
        let Some(function) = &group.function else {
            return Ok(Target { frac_bits: format.frac_bits, format, activation: None });
        };
        let argument = self.argument(group, node, function, format)?;
        let activation = table::tabulate(function, argument, format);
        let (min, max) = activation.values.iter().fold((i64::MAX, i64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let format = Format { min, max, ..format };
        Ok(Target { frac_bits: argument.frac_bits, format, activation: Some(activation) })
    }

    /// The format of a function's argument: an operand's own where the function takes it as it is.
    fn argument(
        &self,
        group: &Group,
        node: &FloatNode,
        function: &Function,
        result: Format,
    ) -> Result<Format, QuantError> {
        if matches!(node.op, FloatOp::Activation(_)) {
            return Ok(self.format(node.inputs[0]));
        }
        let Context { observations, options, .. } = *self.context;
        let activation_bits = self.context.bits(group.output);
        let spread = observations.spread(group.argument).widened(options.headroom);
        let limit = limit(node, |id| self.format(id).frac_bits, options.shift)?;
        if limit < -64 {
            return Err(QuantError::Scale { node: node.name.clone(), what: "weights, biases or factors" });
        }
        Ok(table::argument(function, spread, result, activation_bits, limit))
    }

    /// An accumulator exposed as it is, with as many fractional bits as weights and accumulator allow.
    fn raw(&self, node: &FloatNode, linear: &FloatLinear) -> Result<Converted, QuantError> {
        let x = self.format(node.inputs[0]);
        let linear = &*self.with_gain(node, linear);
        let largest = largest_weight(node, linear)?;
        let mut weight_bits = fitting(largest, WEIGHT_LIMIT).min(self.context.options.shift as i32 + 16);
        loop {
            let frac_bits = x.frac_bits + weight_bits;
            if frac_bits < -64 {
                return Err(QuantError::Scale { node: node.name.clone(), what: "accumulators" });
            }
            if let Some(integers) = integers(linear, weight_bits, frac_bits, [1, 1], true) {
                let integers = declared(integers, x);
                let Bounds { min, max } = integers.width.unwrap_or_default().bounds();
                if max <= RAW_LIMIT && frac_bits <= 64 {
                    // A statement shows the range.
                    let format = Format { frac_bits, min, max };
                    return Ok(Converted { op: Op::Linear(integers), format, activation: None });
                }
            }
            weight_bits -= 1;
        }
    }

    /// Weights with `S + f - f_x` fractional bits, for accumulators that are requantised to `f`.
    fn linear(&self, group: &Group, node: &FloatNode, linear: &FloatLinear) -> Result<Converted, QuantError> {
        let Target { frac_bits, format, activation } = self.target(group, node)?;
        let bias_bits = self.context.options.shift as i32 + frac_bits;
        let x = self.format(node.inputs[0]);
        let weight_bits = bias_bits - x.frac_bits;
        let linear = self.with_gain(node, linear);
        let integers = integers(&linear, weight_bits, bias_bits, group.pool, false)
            .ok_or_else(|| QuantError::Scale { node: node.name.clone(), what: "biases" })?;
        Ok(Converted { op: Op::Linear(declared(integers, x)), format, activation })
    }

    fn gain(&self, tensor: TensorId) -> f64 {
        self.gains.get(&tensor).copied().unwrap_or(1.0)
    }

    /// A product that also applies its operand's gain.
    fn with_gain<'l>(&self, node: &FloatNode, linear: &'l FloatLinear) -> Cow<'l, FloatLinear> {
        let gain = self.gain(node.inputs[0]);
        if gain == 1.0 {
            return Cow::Borrowed(linear);
        }
        let weights = linear.weights.iter().map(|w| (f64::from(*w) * gain) as f32).collect();
        Cow::Owned(FloatLinear { weights, ..linear.clone() })
    }

    fn combine(
        &self,
        group: &Group,
        node: &FloatNode,
        factors: &[f32],
        offset: &[f32],
    ) -> Result<Converted, QuantError> {
        let Target { frac_bits, format, activation } = self.target(group, node)?;
        let bits = self.context.options.shift as i32 + frac_bits;
        let multiplier = |(&id, &factor): (&TensorId, &f32)| {
            factor_bits(node, f64::from(factor) * self.gain(id) * 2f64.powi(bits - self.format(id).frac_bits))
        };
        let multipliers: Result<_, _> = node.inputs.iter().zip(factors).map(multiplier).collect();
        // The limit on the scale keeps these within a bias's range.
        let offset: Vec<i64> = offset.iter().map(|&o| (f64::from(o) * 2f64.powi(bits)).round() as i64).collect();
        let width = (!offset.is_empty()).then(|| Width::of(&[Bounds::within(Bounds::of(&offset).magnitude())]));
        Ok(Converted { op: Op::Combine { multipliers: multipliers?, offset, width }, format, activation })
    }

    /// An operation whose scale is a multiplier.
    fn rescaled(&self, group: &Group, node: &FloatNode) -> Result<Converted, QuantError> {
        let Target { frac_bits: to, format, activation } = self.target(group, node)?;
        let (shift, x) = (self.context.options.shift, self.format(node.inputs[0]));
        let product = |scale: f32, inner: usize| {
            let y = self.format(node.inputs[1]);
            let most = inner as f64 * x.magnitude() as f64 * y.magnitude() as f64;
            products::rescale(node, f64::from(scale), x.frac_bits + y.frac_bits - to, shift, most)
        };
        let op = match &node.op {
            FloatOp::MatMul(matmul) => Op::MatMul(products::matmul(matmul, product(matmul.scale, matmul.inner)?)),
            FloatOp::Multiply { scale } => Op::Multiply(product(*scale, 1)?),
            FloatOp::Softmax(softmax) => Op::Softmax(products::softmax(node, softmax, x, to, shift)?),
            FloatOp::Normalise(normalise) => Op::Normalise(products::normalise(node, normalise, x, to, shift)?),
            _ => return Err(QuantError::Scale { node: node.name.clone(), what: "factors" }),
        };
        Ok(Converted { op, format, activation })
    }

    fn average(
        &mut self,
        group: &Group,
        node: &FloatNode,
        window: &Window,
        count_padding: bool,
        scale: f32,
    ) -> Result<Converted, QuantError> {
        let Target { frac_bits, format, activation } = self.target(group, node)?;
        let bits = self.context.options.shift as i32 + frac_bits - self.format(node.inputs[0]).frac_bits;
        let area = window.taps();
        let scale = f64::from(scale) * self.gain(node.inputs[0]);
        let multiplier = |count: usize| match count {
            0 => Ok(0),
            _ => {
                let count = if count_padding || !window.is_padded() { area } else { count };
                factor_bits(node, scale * 2f64.powi(bits) / count as f64)
            }
        };
        let multipliers = (0..=area).map(multiplier).collect::<Result<Vec<i64>, _>>()?;
        if count_padding || !window.is_padded() {
            let exact = scale * 2f64.powi(bits) / area as f64;
            self.compensate(group, exact, multipliers[area] as f64);
        }
        Ok(Converted { op: Op::AveragePool { window: *window, multipliers }, format, activation })
    }

    /// Leaves what a mean's rounded multiplier lacks to the weights and factors that take the mean, where nothing else
    /// does: a multiplier of a large window has few bits.
    fn compensate(&mut self, group: &Group, exact: f64, rounded: f64) {
        let linear = group.function.is_none() && group.clamp.is_none();
        if linear && rounded != 0.0 && exact != rounded && self.goes_into_factors(group.output) {
            self.gains.insert(group.output, exact / rounded);
        }
    }

    /// Whether only weights and factors take a tensor, perhaps under another shape.
    fn goes_into_factors(&self, tensor: TensorId) -> bool {
        let source = self.context.source;
        let absorbs = |i: usize| match &source.nodes[i].op {
            FloatOp::Linear(_) | FloatOp::Combine { .. } | FloatOp::AveragePool { .. } => true,
            FloatOp::Reshape => self.goes_into_factors(source.nodes[i].output),
            _ => false,
        };
        !source.outputs.contains(&tensor) && source.readers(tensor).all(absorbs)
    }

    /// A rearrangement's result holds what its operands and constants do.
    fn rearrange(&self, group: &Group, inputs: &[TensorId], origins: &[FloatOrigin]) -> Converted {
        let frac_bits = self.scales.frac_bits[group.output];
        let all = Format { frac_bits, min: -ACTIVATION_LIMIT, max: ACTIVATION_LIMIT };
        let origin = |origin: &FloatOrigin| match *origin {
            FloatOrigin::Element { operand, element } => Origin::Element { operand, element },
            FloatOrigin::Constant(constant) => Origin::Constant(all.quantise(constant)),
        };
        let origins: Vec<Origin> = origins.iter().map(origin).collect();
        let constants = origins.iter().filter_map(|origin| match *origin {
            Origin::Constant(constant) => Some((constant, constant)),
            Origin::Element { .. } => None,
        });
        let operands = inputs.iter().map(|&id| self.graph.tensors[id].format).map(|f| (f.min, f.max));
        let (min, max) = constants.chain(operands).fold((i64::MAX, i64::MIN), |(l, h), (a, b)| (l.min(a), h.max(b)));
        let format = Format { frac_bits, min, max };
        Converted { op: Op::Rearrange { origins }, format, activation: None }
    }

    /// Operands of a rearrangement, those of another class brought to its scale.
    fn rescaled_operands(&mut self, g: usize, group: &Group) -> Result<Vec<TensorId>, QuantError> {
        let node = &self.context.source.nodes[group.head];
        let mut operands = Vec::new();
        for (i, &source) in node.inputs.iter().enumerate() {
            let x = self.ids[&source];
            operands.push(if self.scales.cuts.contains(&(g, i)) { self.rescale(node, x, group.output)? } else { x });
        }
        Ok(operands)
    }

    fn rescale(&mut self, node: &FloatNode, x: TensorId, to: TensorId) -> Result<TensorId, QuantError> {
        let (frac_bits, shift) = (self.scales.frac_bits[to], self.context.options.shift);
        let tensor = self.graph.tensors[x].clone();
        let multiplier = factor_bits(node, 2f64.powi(shift as i32 + frac_bits - tensor.format.frac_bits))?;
        let bound = |v: i64| requantise(v * multiplier, shift).clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT);
        let format = Format { frac_bits, min: bound(tensor.format.min), max: bound(tensor.format.max) };
        let output = self.graph.tensors.len();
        self.graph.tensors.push(Tensor { format, ..tensor });
        let op = Op::Combine { multipliers: vec![multiplier], offset: Vec::new(), width: None };
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs: vec![x], output, activation: None });
        Ok(output)
    }
}

fn factor_bits(node: &FloatNode, factor: f64) -> Result<i64, QuantError> {
    if factor.abs() > FACTOR_LIMIT as f64 || factor.is_nan() {
        return Err(QuantError::Scale { node: node.name.clone(), what: "factors" });
    }
    Ok(factor.round() as i64)
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
        transposed: linear.transposed,
        width: None,
    })
}

/// A product that declares how wide its accumulators are.
fn declared(linear: Linear, input: Format) -> Linear {
    let width = Width::of(&linear.channel_bounds(input));
    Linear { width: Some(width), ..linear }
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
