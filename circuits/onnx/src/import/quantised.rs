//! Models that are quantised already, read as the float networks that they stand for: weights are what their integers
//! mean, and an activation's integers are numbers, rounded to the scale that the file has for them ([`rounding`]). So the
//! integers of the circuit are the file's ([`units`](super::units)).
//!
//! Three forms are known: pairs of `QuantizeLinear` and `DequantizeLinear`; operators on integers (`QLinearConv` and its
//! kin, some of them of the domain `com.microsoft`); and integers of which the scales are found while the model runs
//! (`DynamicQuantizeLinear`, `MatMulInteger`, `ConvInteger`), whose activations are not rounded at all here.

use std::collections::{HashMap, HashSet};

use tract_onnx::Onnx;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tensor::load_tensor;

use super::analyse::Failure;
use super::error::ImportError;
use super::execute::rounded;
use super::protos::{attribute, bodies, float, integer, node_name, opset};
use super::rounding;

/// Operators that make a model a quantised one.
const QUANTISED: [&str; 19] = [
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMatMul",
    "QLinearMul",
    "QLinearReduceMean",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QLinearSub",
    "QLinearWhere",
    "QuantizeLinear",
];
/// Operators that keep what an integer stands for.
const MOVING: [&str; 14] = [
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "MaxPool",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];
/// First version of ONNX's own operators in which `ReduceMean` has its axes as an operand.
const REDUCE_OPERANDS: i64 = 18;
const HINT: &str = "export it with constant scales and zero points, one for each activation";

/// Operators of any numbers that say nothing of what they are, only of their order and number.
const ORDERING: [&str; 4] = ["ArgMax", "ArgMin", "Shape", "Size"];

/// What the integers of an activation stand for: `(q - zero)·scale`.
#[derive(Clone, Copy, PartialEq)]
struct Unit {
    scale: f32,
    zero: f32,
    /// The type of the integers.
    kind: i32,
}

impl Unit {
    /// Integers that are numbers here: scales are found while the model runs.
    const NUMBERS: Self = Self { scale: 1.0, zero: 0.0, kind: DataType::Uint8 as i32 };

    /// Least and greatest integer of its type; none of a type that is not known.
    fn ends(&self) -> Option<[f32; 2]> {
        let known = [
            (DataType::Int8, [-128.0, 127.0]),
            (DataType::Uint8, [0.0, 255.0]),
            (DataType::Int16, [-32768.0, 32767.0]),
            (DataType::Uint16, [0.0, 65535.0]),
        ];
        known.into_iter().find(|(kind, _)| *kind as i32 == self.kind).map(|(_, ends)| ends)
    }
}

/// A constant's shape, and its numbers.
type Numbers = (Vec<usize>, Vec<f32>);

struct Rewriter<'a> {
    onnx: &'a Onnx,
    folder: Option<&'a str>,
    constants: HashMap<String, TensorProto>,
    /// Activations that are integers in the file, and numbers here.
    units: HashMap<String, Unit>,
    nodes: Vec<NodeProto>,
    added: Vec<TensorProto>,
    /// Version of ONNX's own operators.
    opset: i64,
}

/// Rewrites a quantised model as the float network that it stands for; others stay as they are. `onnx` reads tensors in
/// the model's other files.
pub(super) fn dequantise(proto: &mut ModelProto, onnx: &Onnx, folder: Option<&str>) -> Result<(), Failure> {
    let opset = opset(proto);
    let Some(graph) = &mut proto.graph else { return Ok(()) };
    if !graph.node.iter().any(is_quantised) {
        return Ok(());
    }
    let mut constants: HashMap<String, TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.clone(), tensor.clone())).collect();
    for node in graph.node.iter().filter(|node| node.op_type == "Constant") {
        let value = attribute(node, "value").and_then(|of| of.t.clone());
        constants.extend(node.output.first().cloned().zip(value));
    }
    for node in graph.node.iter().filter(|node| node.op_type == "Identity") {
        let value = node.input.first().and_then(|input| constants.get(input)).cloned();
        constants.extend(node.output.first().cloned().zip(value));
    }
    let mut this =
        Rewriter { onnx, folder, constants, units: HashMap::new(), nodes: Vec::new(), added: Vec::new(), opset };
    for node in std::mem::take(&mut graph.node) {
        this.node(node)?;
    }
    let integers =
        graph.output.iter().find(|output| this.units.get(&output.name).is_some_and(|of| *of != Unit::NUMBERS));
    if let Some(output) = integers {
        return Err(Ok(ImportError::UnsupportedForm {
            operator: "QuantizeLinear".into(),
            node: output.name.clone(),
            form: "integers as an output of the model".into(),
            hint: "let a DequantizeLinear be the last operator",
        }));
    }
    graph.node = this.nodes;
    graph.initializer.extend(this.added);
    drop_unread(graph);
    Ok(())
}

/// Whether a node is one of those that are rewritten.
fn is_quantised(node: &NodeProto) -> bool {
    QUANTISED.contains(&&*node.op_type) && matches!(&*node.domain, "" | "ai.onnx" | "com.microsoft")
}

/// Names that a graph's nodes read, those in branches and loops among them.
fn read_names<'g>(graph: &'g GraphProto, names: &mut HashSet<&'g String>) {
    for node in &graph.node {
        names.extend(&node.input);
        bodies(node).for_each(|body| {
            names.extend(body.output.iter().map(|output| &output.name));
            read_names(body, names);
        });
    }
}

/// Drops constants that nothing reads any more: integers of which floats were made.
fn drop_unread(graph: &mut GraphProto) {
    let mut read: HashSet<&String> = graph.output.iter().map(|output| &output.name).collect();
    read_names(graph, &mut read);
    let unread: HashSet<String> =
        graph.initializer.iter().map(|of| &of.name).filter(|name| !read.contains(name)).cloned().collect();
    graph.initializer.retain(|of| !unread.contains(&of.name));
    // Older files list all weights as inputs.
    graph.input.retain(|input| !unread.contains(&input.name));
}

impl Rewriter<'_> {
    fn node(&mut self, node: NodeProto) -> Result<(), Failure> {
        let operator = if is_quantised(&node) || !QUANTISED.contains(&&*node.op_type) { &*node.op_type } else { "" };
        if is_quantised(&node) && attribute(&node, "block_size").is_some_and(|of| of.i != 0) {
            return Err(self.form(&node, "scales of blocks"));
        }
        match operator {
            // What was put out of a branch or a loop is read once more.
            rounding::OPERATOR => {
                let integer = |name: &str| attribute(&node, name).map_or(0, |of| of.i);
                let scale = attribute(&node, rounding::STEP).map_or(1.0, |of| of.f);
                let unit = Unit { scale, zero: integer(rounding::ZERO) as f32, kind: integer(rounding::KIND) as i32 };
                self.units.extend(node.output.iter().map(|output| (output.clone(), unit)));
                self.nodes.push(node);
                Ok(())
            }
            "QuantizeLinear" => self.quantise(&node),
            "DequantizeLinear" => self.dequantise(&node),
            "DynamicQuantizeLinear" => {
                let [values, scale, zero] = [0, 1, 2].map(|i| node.output.get(i).cloned().unwrap_or_default());
                self.units.insert(values.clone(), Unit::NUMBERS);
                let x = node.input.first().cloned().unwrap_or_default();
                self.emit(&node, "Identity", vec![x], values, Vec::new());
                for (name, value) in [(scale, 1.0), (zero, 0.0)] {
                    self.float(name.clone(), vec![], vec![value]);
                    self.constants.extend(self.added.last().map(|made| (name, made.clone())));
                }
                Ok(())
            }
            "MatMulInteger" => self.integers(&node, "MatMul"),
            "ConvInteger" => self.integers(&node, "Conv"),
            "QLinearConv" => self.convolution(&node),
            "QLinearMatMul" => self.of_two(&node, "MatMul", [0, 3], 6),
            "QGemm" => self.gemm(&node),
            "QLinearAdd" => self.of_two(&node, "Add", [0, 3], 6),
            "QLinearSub" => self.of_two(&node, "Sub", [0, 3], 6),
            "QLinearMul" => self.of_two(&node, "Mul", [0, 3], 6),
            "QLinearSigmoid" => self.of_one(&node, "Sigmoid"),
            "QLinearLeakyRelu" => self.of_one(&node, "LeakyRelu"),
            "QLinearSoftmax" => self.of_one(&node, "Softmax"),
            "QLinearReduceMean" => self.of_one(&node, "ReduceMean"),
            "QLinearAveragePool" => self.of_one(&node, "AveragePool"),
            "QLinearGlobalAveragePool" => self.of_one(&node, "GlobalAveragePool"),
            "QLinearConcat" => self.concat(&node),
            operator if QUANTISED.contains(&operator) => Err(self.unsupported(&node)),
            operator => {
                self.pass(&node, operator)?;
                self.nodes.push(node);
                Ok(())
            }
        }
    }

    /// What other operators make of integers: those that move them move what they stand for, and others would compute with
    /// something else than the file does.
    fn pass(&mut self, node: &NodeProto, operator: &str) -> Result<(), Failure> {
        let units: Vec<Unit> = node.input.iter().filter_map(|input| self.units.get(input)).copied().collect();
        let Some(unit) = units.first().copied() else { return Ok(()) };
        let all = || node.input.iter().filter(|input| !input.is_empty()).count();
        let moves = match operator {
            "Concat" => units.len() == all() && units.iter().all(|other| *other == unit),
            // Between two elements there is no integer.
            "Resize" => attribute(node, "mode").is_none_or(|mode| mode.s == b"nearest"),
            "Relu" => unit.zero == 0.0,
            operator => MOVING.contains(&operator),
        };
        if moves && self.units.contains_key(&name(&node.input, 0)) {
            self.units.extend(node.output.iter().map(|output| (output.clone(), unit)));
            return Ok(());
        }
        if unit == Unit::NUMBERS || ORDERING.contains(&operator) {
            return Ok(());
        }
        Err(Ok(ImportError::UnsupportedForm {
            operator: operator.into(),
            node: node_name(node),
            form: "integers of a quantised model, which it does not only move".into(),
            hint: "let it read floats, behind a DequantizeLinear",
        }))
    }

    /// Numbers that become integers: clamped to what these reach. Constants become what their integers stand for.
    fn quantise(&mut self, node: &NodeProto) -> Result<(), Failure> {
        let told = attribute(node, "output_dtype").map(|of| of.i as i32).filter(|kind| *kind != 0);
        let unit = self.unit(node, 1, 2, told)?;
        let (input, output) = (name(&node.input, 0), name(&node.output, 0));
        if let Some((dims, values)) = self.numbers(&input)? {
            let integers = self.integers_of(node, unit)?;
            let round = |value: f32| rounded(value, unit.scale, integers) * unit.scale;
            self.float(output.clone(), dims, values.into_iter().map(round).collect());
            self.units.insert(output, unit);
            return Ok(());
        }
        self.round(node, input, output, unit)
    }

    fn dequantise(&mut self, node: &NodeProto) -> Result<(), Failure> {
        let (input, output) = (name(&node.input, 0), name(&node.output, 0));
        if let Some(unit) = self.units.get(&input).copied() {
            if unit != self.unit(node, 1, 2, Some(unit.kind))? {
                return Err(self.form(node, "another scale than its operand's"));
            }
            if let Some((dims, values)) = self.added.iter().find(|of| of.name == input).map(floats) {
                self.float(output, dims, values);
                return Ok(());
            }
            self.emit(node, "Identity", vec![input], output, Vec::new());
            return Ok(());
        }
        let axis = attribute(node, "axis").map_or(1, |of| of.i);
        match self.meaning(node, [0, 1, 2], axis)? {
            Some((dims, values)) => {
                self.float(output, dims, values);
                Ok(())
            }
            None => Err(self.form(node, "integers that are no constant and follow no QuantizeLinear")),
        }
    }

    /// `QLinearConv`: operands x, w and y with scale and zero point each, then the bias in integers.
    fn convolution(&mut self, node: &NodeProto) -> Result<(), Failure> {
        let x = self.activation(node, 0)?;
        let Some((dims, weights)) = self.meaning(node, [3, 4, 5], 0)? else {
            return Err(self.form(node, "a kernel that is computed"));
        };
        let mut inputs = vec![x, self.fresh(node, "weights", dims, weights)];
        if let Some((dims, bias)) = self.optional(node, 8)? {
            let [x, w] = [self.numbers(&name(&node.input, 1))?, self.numbers(&name(&node.input, 4))?];
            let [Some((_, x)), Some((_, w))] = [x, w] else { return Err(self.form(node, "a scale that is computed")) };
            let step = |channel: usize| x[0] * w[if w.len() == 1 { 0 } else { channel }];
            if w.len() != 1 && w.len() != bias.len() {
                return Err(self.form(node, "scales for another number of channels"));
            }
            let bias = bias.iter().enumerate().map(|(channel, bias)| bias * step(channel)).collect();
            inputs.push(self.fresh(node, "bias", dims, bias));
        }
        self.with_range(node, "Conv", inputs, 6, node.attribute.clone())
    }

    /// `QGemm`: operands a and b with scale and zero point each, a bias in integers, and the result's.
    fn gemm(&mut self, node: &NodeProto) -> Result<(), Failure> {
        let a = self.activation(node, 0)?;
        let transposed = attribute(node, "transB").is_some_and(|of| of.i != 0);
        let Some((dims, weights)) = self.meaning(node, [3, 4, 5], if transposed { 0 } else { 1 })? else {
            return Err(self.form(node, "weights that are computed"));
        };
        let mut inputs = vec![a, self.fresh(node, "weights", dims, weights)];
        if let Some((dims, bias)) = self.optional(node, 6)? {
            let [a, b] = [self.numbers(&name(&node.input, 1))?, self.numbers(&name(&node.input, 4))?];
            let [Some((_, a)), Some((_, b))] = [a, b] else { return Err(self.form(node, "a scale that is computed")) };
            if b.is_empty() || b.len() != 1 && !bias.len().is_multiple_of(b.len()) {
                return Err(self.form(node, "scales for another number of columns"));
            }
            let alpha = attribute(node, "alpha").map_or(1.0, |of| of.f);
            let bias = bias.iter().enumerate().map(|(at, bias)| bias * alpha * a[0] * b[at % b.len()]).collect();
            inputs.push(self.fresh(node, "bias", dims, bias));
        }
        if name(&node.input, 7).is_empty() {
            // The result is floats.
            self.emit(node, "Gemm", inputs, name(&node.output, 0), node.attribute.clone());
            return Ok(());
        }
        self.with_range(node, "Gemm", inputs, 7, node.attribute.clone())
    }

    /// An operator on two operands, each an activation or a constant, with scale and zero point; `result` is the place of
    /// the result's scale.
    fn of_two(&mut self, node: &NodeProto, operator: &str, places: [usize; 2], result: usize) -> Result<(), Failure> {
        let mut inputs = Vec::new();
        for place in places {
            let operand = match self.meaning(node, [place, place + 1, place + 2], -1)? {
                Some((dims, values)) => self.fresh(node, &format!("operand{place}"), dims, values),
                None => self.activation(node, place)?,
            };
            inputs.push(operand);
        }
        self.with_range(node, operator, inputs, result, Vec::new())
    }

    /// An operator on one activation.
    fn of_one(&mut self, node: &NodeProto, operator: &str) -> Result<(), Failure> {
        if attribute(node, "channels_last").is_some_and(|of| of.i != 0) {
            return Err(self.form(node, "channels last"));
        }
        // What it means by its attributes depends on a version that is not the model's.
        let has_axes = attribute(node, "axes").is_some();
        if operator == "ReduceMean" && has_axes && self.opset >= REDUCE_OPERANDS
            || operator == "Softmax" && attribute(node, "opset").is_none_or(|of| of.i < 13) != (self.opset < 13)
        {
            return Err(self.form(node, "attributes of another version than the model's"));
        }
        let x = self.activation(node, 0)?;
        let attributes = node.attribute.iter().filter(|of| !matches!(&*of.name, "channels_last" | "opset"));
        let attributes = attributes.cloned().collect();
        self.with_range(node, operator, vec![x], 3, attributes)
    }

    /// `QLinearConcat`: the result's scale and zero point, then each operand with its own.
    fn concat(&mut self, node: &NodeProto) -> Result<(), Failure> {
        let mut inputs = Vec::new();
        for place in (2..node.input.len()).step_by(3) {
            inputs.push(self.activation(node, place)?);
        }
        self.with_range(node, "Concat", inputs, 0, node.attribute.clone())
    }

    /// `MatMulInteger` and `ConvInteger` with constant weights: scales are factors of their own behind it.
    fn integers(&mut self, node: &NodeProto, operator: &str) -> Result<(), Failure> {
        let x = name(&node.input, 0);
        // The zero point that was found while the model runs is taken off there, too.
        let own_zero = self.optional(node, 2)?.is_none_or(|(_, zeros)| zeros.iter().all(|zero| *zero == 0.0));
        if !self.units.get(&x).is_some_and(|unit| *unit == Unit::NUMBERS) || !own_zero {
            return Err(self.form(node, "integers that follow no DynamicQuantizeLinear"));
        }
        let (Some((dims, mut weights)), zero) = (self.numbers(&name(&node.input, 1))?, self.optional(node, 3)?) else {
            return Err(self.form(node, "weights that are computed"));
        };
        if let Some((_, zero)) = zero {
            let axis = if operator == "Conv" { 0 } else { dims.len().saturating_sub(1) };
            let place =
                places(&dims, axis, zero.len()).ok_or_else(|| self.form(node, "zero points of another shape"))?;
            weights.iter_mut().enumerate().for_each(|(at, weight)| *weight -= zero[place(at)]);
        }
        let weights = self.fresh(node, "weights", dims, weights);
        self.emit(node, operator, vec![x, weights], name(&node.output, 0), node.attribute.clone());
        Ok(())
    }

    /// An operator whose result is rounded to integers of the scale at `place`.
    fn with_range(
        &mut self,
        node: &NodeProto,
        operator: &str,
        inputs: Vec<String>,
        place: usize,
        attributes: Vec<AttributeProto>,
    ) -> Result<(), Failure> {
        // Without a zero point the result has its operand's type.
        let kind = node.input.iter().find_map(|input| self.units.get(input)).map(|unit| unit.kind);
        let unit = self.unit(node, place, place + 1, kind)?;
        let (output, whole) = (name(&node.output, 0), format!("{}.unrounded", name(&node.output, 0)));
        self.emit(node, operator, inputs, whole.clone(), attributes);
        self.round(node, whole, output, unit)
    }

    /// Rounds numbers to the integers of a scale, and clamps them to their type's.
    fn round(&mut self, node: &NodeProto, input: String, output: String, unit: Unit) -> Result<(), Failure> {
        let [least, greatest] = self.integers_of(node, unit)?;
        self.units.insert(output.clone(), unit);
        let attributes = vec![
            float(rounding::STEP, unit.scale),
            integer(rounding::LEAST, least),
            integer(rounding::GREATEST, greatest),
            integer(rounding::ZERO, unit.zero as i64),
            integer(rounding::KIND, unit.kind.into()),
        ];
        self.emit(node, rounding::OPERATOR, vec![input], output, attributes);
        Ok(())
    }

    /// Least and greatest integer of a unit's type, from its zero point.
    fn integers_of(&self, node: &NodeProto, unit: Unit) -> Result<[i64; 2], Failure> {
        let ends = unit.ends().ok_or_else(|| self.form(node, "integers that are not of 8 or 16 bits"))?;
        if unit.zero < ends[0] || unit.zero > ends[1] || unit.zero.fract() != 0.0 {
            return Err(self.form(node, "a zero point beyond its type"));
        }
        Ok(ends.map(|end| (end - unit.zero) as i64))
    }

    /// An activation that is integers in the file.
    fn activation(&self, node: &NodeProto, place: usize) -> Result<String, Failure> {
        let input = name(&node.input, place);
        let Some(own) = self.units.get(&input).copied() else {
            return Err(self.form(node, "integers that are an input"));
        };
        if own != self.unit(node, place + 1, place + 2, Some(own.kind))? {
            return Err(self.form(node, "another scale than its operand's"));
        }
        Ok(input)
    }

    /// One scale and zero point. Without a zero point the integers are of the type `kind`, or of 8 bits without a sign.
    fn unit(&self, node: &NodeProto, scale: usize, zero: usize, kind: Option<i32>) -> Result<Unit, Failure> {
        let one = |numbers: Option<Numbers>| match numbers {
            Some((_, values)) => match values[..] {
                [value] => Ok(Some(value)),
                _ => Err(self.form(node, "several scales for an activation")),
            },
            None => Ok(None),
        };
        let own = self.constants.get(&name(&node.input, zero)).map(|tensor| tensor.data_type);
        let scale = one(self.optional(node, scale)?)?;
        let scale = scale.filter(|scale| scale.is_finite() && *scale > 0.0);
        let scale = scale.ok_or_else(|| self.form(node, "a scale that is no constant above 0"))?;
        let zero = one(self.optional(node, zero)?)?.unwrap_or(0.0);
        Ok(Unit { scale, zero, kind: own.or(kind).unwrap_or(DataType::Uint8 as i32) })
    }

    /// An operand that may be missing; what is computed is refused.
    fn optional(&self, node: &NodeProto, place: usize) -> Result<Option<Numbers>, Failure> {
        let operand = name(&node.input, place);
        match self.numbers(&operand)? {
            None if !operand.is_empty() => Err(self.form(node, "a scale, zero point or bias that is computed")),
            numbers => Ok(numbers),
        }
    }

    /// What constant integers stand for, by operand, scale and zero point; `None` where they are computed. Several scales
    /// are along an axis.
    fn meaning(&self, node: &NodeProto, [q, scale, zero]: [usize; 3], axis: i64) -> Result<Option<Numbers>, Failure> {
        let Some((dims, values)) = self.numbers(&name(&node.input, q))? else { return Ok(None) };
        let Some((scale_dims, scales)) = self.numbers(&name(&node.input, scale))? else {
            return Err(self.form(node, "a scale that is computed"));
        };
        let zeros = self.optional(node, zero)?;
        if scale_dims.len() > 1 || zeros.as_ref().is_some_and(|(dims, _)| dims.len() > 1) {
            return Err(self.form(node, "scales of blocks"));
        }
        let zeros = zeros.map_or(vec![0.0], |(_, zeros)| zeros);
        let from_end = if axis < 0 { axis + dims.len() as i64 } else { axis };
        let axis = usize::try_from(from_end).unwrap_or(0);
        let of = |list: usize| places(&dims, axis, list).ok_or_else(|| self.form(node, "scales of another shape"));
        let (scale_at, zero_at) = (of(scales.len())?, of(zeros.len())?);
        let real = |(at, value): (usize, f32)| (value - zeros[zero_at(at)]) * scales[scale_at(at)];
        let reals = values.into_iter().enumerate().map(real).collect();
        Ok(Some((dims, reals)))
    }

    /// A constant of any type; `None` of what is computed or missing.
    fn numbers(&self, name: &str) -> Result<Option<Numbers>, Failure> {
        let Some(tensor) = self.constants.get(name).filter(|_| !name.is_empty()) else { return Ok(None) };
        let read = || -> TractResult<Numbers> {
            let values = load_tensor(&*self.onnx.provider, tensor, self.folder)?;
            let reals = values.cast_to::<f32>()?;
            Ok((values.shape().to_vec(), reals.to_plain_array_view::<f32>()?.iter().copied().collect()))
        };
        read().map(Some).map_err(Err)
    }

    /// A constant under a name of its own.
    fn fresh(&mut self, node: &NodeProto, what: &str, dims: Vec<usize>, values: Vec<f32>) -> String {
        let fresh = format!("{}.{what}", name(&node.output, 0));
        self.float(fresh.clone(), dims, values);
        fresh
    }

    fn float(&mut self, name: String, dims: Vec<usize>, values: Vec<f32>) {
        let raw_data = values.into_iter().flat_map(f32::to_le_bytes).collect();
        let dims = dims.into_iter().map(|dim| dim as i64).collect();
        let data_type = DataType::Float as i32;
        self.added.push(TensorProto { name, dims, data_type, raw_data, ..TensorProto::default() });
    }

    fn emit(
        &mut self,
        node: &NodeProto,
        operator: &str,
        input: Vec<String>,
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        let name = node_name(node);
        let is_second = operator == rounding::OPERATOR && node.op_type != "QuantizeLinear";
        let name = if is_second { format!("{name}.rounded") } else { name };
        let op_type = operator.into();
        self.nodes.push(NodeProto { name, op_type, input, output: vec![output], attribute, ..NodeProto::default() });
    }

    fn unsupported(&self, node: &NodeProto) -> Failure {
        Ok(ImportError::UnsupportedOperator { operator: node.op_type.clone(), node: node_name(node) })
    }

    fn form(&self, node: &NodeProto, form: &str) -> Failure {
        let (operator, node) = (node.op_type.clone(), node_name(node));
        Ok(ImportError::UnsupportedForm { operator, node, form: form.into(), hint: HINT })
    }
}

fn name(list: &[String], place: usize) -> String {
    list.get(place).cloned().unwrap_or_default()
}

/// The numbers of a constant that was made here.
fn floats(tensor: &TensorProto) -> Numbers {
    let dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).unwrap_or(0)).collect();
    let word = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (dims, tensor.raw_data.chunks_exact(4).map(word).collect())
}

/// Of each element the place in a list along an axis; a list of one is for all. `None` where the list is another's.
fn places(dims: &[usize], axis: usize, list: usize) -> Option<impl Fn(usize) -> usize + use<>> {
    let inner: usize = dims.iter().skip(axis + 1).product();
    let extent = dims.get(axis).copied().unwrap_or(1);
    (list == 1 || list == extent).then_some(move |element: usize| match list {
        1 => 0,
        _ => element / inner.max(1) % extent.max(1),
    })
}
