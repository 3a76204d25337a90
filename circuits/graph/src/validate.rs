//! The structural invariants of a quantised graph: order of evaluation, and every tensor and node well formed.

use crate::activation::Activation;
use crate::error::ValidateError;
use crate::graph::{Graph, Node};
use crate::limits::{ACTIVATION_LIMIT, ARGUMENT_LIMIT, FRAC_BITS_LIMIT, MAX_SHIFT};
use crate::ops::Op;
use crate::site::{Check, Site};
use crate::tensor::{Format, MANTISSA_LIMIT, Shape, Storage, Tensor, TensorId};
use crate::visibility::{Visibilities, Visibility};

impl Graph {
    /// Checks every structural invariant: indices, order of evaluation, shapes, formats, and the bounds on weights,
    /// biases and multipliers that exclude overflow.
    ///
    /// # Errors
    ///
    /// [`ValidateError`], which names the node or tensor.
    pub fn validate(&self) -> Check {
        if !(1..=MAX_SHIFT).contains(&self.shift) {
            return Err(ValidateError::Shift { graph: self.name.clone(), got: self.shift });
        }
        self.check_order()?;
        let raw: Vec<TensorId> = self.nodes.iter().filter(|n| n.is_raw()).map(|n| n.output).collect();
        for (id, tensor) in self.tensors.iter().enumerate() {
            let limit = if raw.contains(&id) { i64::MAX / 2 } else { ACTIVATION_LIMIT };
            check_tensor(tensor, limit)?;
        }
        self.check_visibility(&raw)?;
        self.nodes.iter().try_for_each(|node| self.check_node(node))
    }

    /// Visibilities are of inputs and outputs that there are. Accumulators that are given out as they are have no cells
    /// but the public ones.
    fn check_visibility(&self, raw: &[TensorId]) -> Check {
        let Visibilities { inputs, outputs } = &self.visibility;
        if inputs.len() > self.inputs.len() || outputs.len() > self.outputs.len() {
            let got = format!("{} inputs and {} outputs", inputs.len(), outputs.len());
            return Err(ValidateError::Visibility { graph: self.name.clone(), got });
        }
        let hidden = self.outputs.iter().enumerate().filter(|(i, _)| self.visibility.output(*i).is_hidden());
        match hidden.map(|(_, id)| *id).find(|id| raw.contains(id)) {
            Some(id) => Err(ValidateError::Tensor {
                tensor: self.tensors[id].name.clone(),
                what: "visibility",
                got: "hidden accumulators".into(),
                expected: "requantised values where they are hidden".into(),
            }),
            None => Ok(()),
        }
    }

    fn check_order(&self) -> Check {
        let mut known = vec![false; self.tensors.len()];
        for &id in &self.inputs {
            self.define(&mut known, id, "the list of inputs", "repeats")?;
        }
        for node in &self.nodes {
            let place = format!("node '{}'", node.name);
            for &id in &node.inputs {
                self.expect_known(&known, id, &place, "reads the not yet computed")?;
            }
            self.define(&mut known, node.output, &place, "computes again the")?;
        }
        for &id in &self.outputs {
            self.expect_known(&known, id, "the list of outputs", "holds the never computed")?;
        }
        Ok(())
    }

    fn define(&self, known: &mut [bool], id: TensorId, place: &str, problem: &'static str) -> Check {
        let tensors = self.tensors.len();
        match known.get_mut(id) {
            None => Err(ValidateError::UnknownTensor { place: place.into(), got: id, tensors }),
            Some(true) => {
                Err(ValidateError::Order { place: place.into(), problem, tensor: self.tensors[id].name.clone() })
            }
            Some(slot) => {
                *slot = true;
                Ok(())
            }
        }
    }

    fn expect_known(&self, known: &[bool], id: TensorId, place: &str, problem: &'static str) -> Check {
        match known.get(id) {
            Some(true) => Ok(()),
            Some(false) => {
                Err(ValidateError::Order { place: place.into(), problem, tensor: self.tensors[id].name.clone() })
            }
            None => Err(ValidateError::UnknownTensor { place: place.into(), got: id, tensors: self.tensors.len() }),
        }
    }

    fn check_node(&self, node: &Node) -> Check {
        let site = self.site(node);
        site.expect("number of operands", node.inputs.len(), node.op.operands(node.inputs.len()))?;
        self.check_activation(node, &site)?;
        if matches!(node.op, Op::Enter) {
            // What nothing computes is the prover's choice: only an input may be.
            let hidden = self.input_visibility(node.inputs[0]).is_some_and(Visibility::is_hidden);
            site.expect("a hidden input as operand", hidden, true)?;
        }
        node.op.validate(&site, || self.uses(node.output))
    }

    /// Number of a tensor's readers, and of its places among the graph's outputs.
    fn uses(&self, tensor: TensorId) -> [usize; 2] {
        let readers = self.nodes.iter().filter(|node| node.inputs.contains(&tensor)).count();
        [readers, self.outputs.iter().filter(|output| **output == tensor).count()]
    }

    fn check_activation(&self, node: &Node, site: &Site<'_>) -> Check {
        let Some(index) = node.activation else { return Ok(()) };
        site.expect("an activation after requantisation", node.op.requantises(), true)?;
        let Some(activation @ Activation { min, values, .. }) = self.activations.get(index) else {
            let known = format!("below {}", self.activations.len());
            return Err(site.mismatch("activation", index.to_string(), known));
        };
        let domain =
            (-ARGUMENT_LIMIT..=ARGUMENT_LIMIT).contains(min) && values.len() as u64 <= 2 * ARGUMENT_LIMIT as u64;
        site.expect("an activation with two arguments or more, within 17 bits", domain && values.len() > 1, true)?;
        site.expect("an activation whose lines have its values", activation.has_lines_of_values(true), true)?;
        let Format { min, max, .. } = self.tensors[node.output].format;
        let inside = values.iter().all(|value| (min..=max).contains(value));
        site.expect("an activation inside the output's range", inside, true)
    }
}

fn check_tensor(tensor: &Tensor, limit: i64) -> Check {
    let fail = |what, got: String, expected: String| {
        Err(ValidateError::Tensor { tensor: tensor.name.clone(), what, got, expected })
    };
    let Shape { channels, height, width } = tensor.shape;
    match channels.checked_mul(height).and_then(|n| n.checked_mul(width)) {
        // In 64 bits, as the bound is; on machines of 32 bits a product that passes them is none.
        Some(n) if n > 0 && (n as u64) < 1 << 40 => {}
        _ => return fail("shape", format!("{:?}", tensor.shape), "1 to 2^40 elements".into()),
    }
    let Format { frac_bits, mantissa, min, max } = tensor.format;
    if min > max || min < -limit || max > limit {
        return fail("range", format!("{min}..={max}"), format!("a non-empty range within ±{limit}"));
    }
    if !(-FRAC_BITS_LIMIT..=FRAC_BITS_LIMIT).contains(&frac_bits) {
        let expected = format!("{}..={FRAC_BITS_LIMIT}", -FRAC_BITS_LIMIT);
        return fail("fractional bits", frac_bits.to_string(), expected);
    }
    if mantissa % 2 == 0 || mantissa >= MANTISSA_LIMIT {
        return fail("mantissa", mantissa.to_string(), format!("an odd number below {MANTISSA_LIMIT}"));
    }
    let logical = tensor.logical_shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let elements = match tensor.storage {
        Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => tensor.shape.len(),
        Storage::OneHot => tensor.shape.height * tensor.shape.width,
    };
    if let Storage::Interleaved { inferences, .. } = tensor.storage
        && (inferences == 0 || !(height * width).is_multiple_of(inferences as usize))
    {
        return fail("storage", format!("{:?}", tensor.storage), format!("a part of {} columns", height * width));
    }
    // Whoever reads a statement knows a tensor's axes and not its channels.
    let last = tensor.logical_shape.iter().rev().copied().find(|dim| *dim != 1).unwrap_or(1);
    let is_transposed = matches!(tensor.storage, Storage::Transposed | Storage::Interleaved { transposed: true, .. });
    if is_transposed && channels != last {
        return fail("channels", channels.to_string(), format!("the {last} elements of the last axis"));
    }
    if logical != Some(elements) {
        return fail("logical shape", format!("{:?}", tensor.logical_shape), format!("{elements} elements"));
    }
    if tensor.storage == Storage::OneHot && (min != 0 || max == 0) {
        return fail("range", format!("{min}..={max}"), "0 and a positive number".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::bounds::{Bounds, Width};
    use crate::interleaving::Interleaving;
    use crate::ops::{Linear, Op, Origin};
    use crate::segments::Segments;

    use super::*;

    fn graph() -> Graph {
        let tensor = |name: &str, n| Tensor {
            name: name.into(),
            shape: Shape::vector(n),
            format: Format::new(4, -128, 127),
            logical_shape: vec![1, n],
            storage: Storage::Plain,
        };
        let op = Op::Linear(Linear::dense(2, vec![1; 6], vec![0; 2]));
        let nodes = vec![Node { name: "fc".into(), op, inputs: vec![0], output: 1, activation: None }];
        let tensors = vec![tensor("x", 3), tensor("y", 2)];
        Graph {
            name: "g".into(),
            shift: 11,
            tensors,
            activations: vec![],
            nodes,
            inputs: vec![0],
            outputs: vec![1],
            visibility: Visibilities::default(),
        }
    }

    fn linear(graph: &mut Graph) -> &mut Linear {
        let Op::Linear(linear) = &mut graph.nodes[0].op else { unreachable!() };
        linear
    }

    #[test]
    fn a_sound_graph_is_accepted() {
        assert_eq!(graph().validate(), Ok(()));
        let mut declared = graph();
        linear(&mut declared).width = Some(Width { bits: 9, spread_bits: 10 });
        assert_eq!(declared.validate(), Ok(()));
        let [bounds] = declared.accumulator_bounds()[..] else { unreachable!() };
        assert_eq!((bounds.min, bounds.max), (-503, 503));
    }

    #[test]
    fn a_declared_width_holds_twice_what_it_was_declared_for() {
        let bounds = [Bounds { min: -3, max: 4 }, Bounds { min: 0, max: 7 }];
        assert_eq!(Width::of(&bounds), Width { bits: 4, spread_bits: 4 });
        assert_eq!(Width::of(&[Bounds { min: -8, max: 0 }]), Width { bits: 5, spread_bits: 5 });
        // Twice 511 are ten bits, but less than a 64th would be left.
        assert_eq!(Width::of(&[Bounds { min: 0, max: 511 }]).bits, 11);
        assert_eq!(Width::of(&[Bounds { min: -503, max: 0 }]).bits, 10);
        assert_eq!(Width::of(&[]), Width::default());
        assert_eq!((Width::limit(10), Width::limit(64)), (1007, u64::MAX - 1 - u64::MAX / 64));
    }

    #[test]
    fn each_broken_invariant_is_refused_with_its_place() {
        type Change = (&'static str, fn(&mut Graph));
        let changes: [Change; 27] = [
            ("'g'", |g| g.shift = 0),
            ("'g'", |g| g.shift = 21),
            ("'fc'", |g| g.nodes[0].inputs = vec![7]),
            ("'fc'", |g| g.nodes[0].inputs = vec![1]),
            ("'fc'", |g| g.nodes[0].output = 0),
            ("outputs", |g| g.outputs = vec![9]),
            ("'x'", |g| g.tensors[0].format.min = 128),
            ("'y'", |g| g.tensors[1].format.max = 1 << 28),
            ("'fc'", |g| g.tensors[1].shape = Shape { channels: 1, height: 2, width: 1 }),
            ("'fc'", |g| linear(g).weights[0] = 1 << 15),
            ("'fc'", |g| linear(g).bias[1] = (1 << 40) + 1),
            ("'fc'", |g| linear(g).window.pad_before = [1, 0]),
            ("'fc'", |g| linear(g).window.dilation = [0, 1]),
            ("'fc'", |g| linear(g).input_dilation = [1, 0]),
            ("'fc'", |g| linear(g).groups = 2),
            ("'fc'", |g| linear(g).groups = 0),
            ("'fc'", |g| {
                linear(g).raw = true;
                g.outputs = vec![];
            }),
            ("'fc'", |g| g.nodes[0].activation = Some(0)),
            ("'fc'", |g| {
                g.activations = vec![Activation::table(0, vec![0, 128])];
                g.nodes[0].activation = Some(0);
            }),
            ("'fc'", |g| {
                let segments = Segments { low: 1, scale: 1, lines: vec![[1, 2]] };
                g.activations =
                    vec![Activation { values: vec![0, 2], ..Activation::of_segments(0, segments).unwrap() }];
                g.nodes[0].activation = Some(0);
            }),
            ("'fc'", |g| {
                let element = |element| Origin::Element { operand: 0, element };
                g.nodes[0].op = Op::Rearrange { origins: vec![element(0), element(3)] };
            }),
            ("'fc'", |g| g.nodes[0].op = Op::Rearrange { origins: vec![Origin::Constant(0), Origin::Constant(128)] }),
            // Accumulators of three weights of 1 reach -384 and 381: nine bits, and their differences 765.
            ("'fc'", |g| linear(g).width = Some(Width { bits: 8, spread_bits: 10 })),
            ("'fc'", |g| linear(g).width = Some(Width { bits: 9, spread_bits: 9 })),
            ("'fc'", |g| linear(g).width = Some(Width { bits: 61, spread_bits: 10 })),
            ("'fc'", |g| {
                g.tensors[1].shape = Shape::vector(3);
                g.tensors[1].logical_shape = vec![1, 3];
                let width = Some(Width { bits: 3, spread_bits: 4 });
                let shared = Interleaving::NONE;
                g.nodes[0].op = Op::Combine { multipliers: vec![1], offset: vec![0, 8, -9], shared, width };
            }),
            ("'fc'", |g| {
                g.tensors[1].format = Format::new(0, 0, 1);
                g.nodes[0].op = Op::ArgMax { starts: vec![0, 2], stride: 1, count: 2, last: false };
            }),
        ];
        for (i, (place, change)) in changes.into_iter().enumerate() {
            let mut graph = graph();
            change(&mut graph);
            let message = graph.validate().expect_err(&format!("change {i}")).to_string();
            assert!(message.contains(place) && message.contains("hint:"), "change {i}: {message}");
        }
    }
}
