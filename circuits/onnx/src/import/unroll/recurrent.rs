//! Recurrent layers, step by step: `RNN`, `GRU` and `LSTM`.
//!
//! What the sequence contributes to the gates is one product over all steps. Each step adds what the state before
//! contributes, applies the gates' functions, and makes the next state. A state that is zero contributes nothing, and
//! nothing is written for it.

use tract_onnx::pb::NodeProto;

use super::super::error::ImportError;
use super::super::protos::{attribute, integer, integers};
use super::activation::{Activation, activations};
use super::known::Known;
use super::writer::Writer;
use super::{cell, shown, unsupported};

/// What an attribute says that is none of ONNX's.
const ATTRIBUTE_HINT: &str = "check the exported attributes";

/// The kinds of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rnn,
    Gru,
    Lstm,
}

impl Kind {
    fn of(node: &NodeProto) -> Self {
        match &*node.op_type {
            "GRU" => Self::Gru,
            "LSTM" => Self::Lstm,
            _ => Self::Rnn,
        }
    }

    /// Gates, each with rows of the weights of its own.
    pub(super) const fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// Functions of one direction, where the file names none.
    pub(super) const fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// What a layer's attributes say.
pub(super) struct Attributes {
    pub(super) kind: Kind,
    /// Whether each direction begins at the end.
    backward: Vec<bool>,
    /// Functions of each direction.
    functions: Vec<Vec<Activation>>,
    pub(super) clip: Option<f32>,
    /// Whether the batch is the first axis.
    batch_first: bool,
    /// Of an LSTM: the forget gate is what the input gate leaves.
    pub(super) input_forget: bool,
    /// Of a GRU: the reset gate acts on what the state contributes, not on the state.
    pub(super) reset_last: bool,
}

impl Attributes {
    fn of(node: &NodeProto) -> Result<Self, ImportError> {
        let kind = Kind::of(node);
        let flag = |name: &str| attribute(node, name).is_some_and(|attribute| attribute.i != 0);
        let direction = attribute(node, "direction").map_or("forward".into(), |of| String::from_utf8_lossy(&of.s));
        let backward = match direction.to_ascii_lowercase().as_str() {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            _ => {
                let shown = direction.escape_debug().take(32).collect::<String>();
                return Err(unsupported(node, format!("the direction '{shown}'"), ATTRIBUTE_HINT));
            }
        };
        let clip = attribute(node, "clip").map(|attribute| attribute.f);
        if let Some(clip) = clip.filter(|clip| !(clip.is_finite() && *clip > 0.0)) {
            return Err(unsupported(node, format!("a clip of {clip}"), ATTRIBUTE_HINT));
        }
        Ok(Self {
            kind,
            functions: activations(node, kind, backward.len())?,
            backward,
            clip,
            batch_first: flag("layout"),
            input_forget: flag("input_forget"),
            reset_last: flag("linear_before_reset"),
        })
    }
}

/// Refuses attributes of a recurrent layer that are not supported; other nodes have none.
pub(in super::super) fn check_attributes(node: &NodeProto) -> Result<(), ImportError> {
    if !matches!(&*node.op_type, "GRU" | "LSTM" | "RNN") {
        return Ok(());
    }
    Attributes::of(node).map(|_| ())
}

/// Extents of a layer.
struct Extents {
    steps: usize,
    hidden: usize,
}

/// What a layer reads, by name; what it does not have is empty, and so is an initial state of zeros.
struct Operands<'n> {
    sequence: &'n str,
    weights: &'n str,
    recurrence: &'n str,
    bias: Option<&'n str>,
    state: Option<&'n str>,
    cell: Option<&'n str>,
    peepholes: Option<&'n str>,
}

/// Writes out a layer.
pub(super) fn layer(node: &NodeProto, known: &Known, writer: &mut Writer) -> Result<(), ImportError> {
    let attributes = Attributes::of(node)?;
    let operands = operands(node, known);
    let extents = extents(node, known, &attributes, &operands)?;
    let sequence = match attributes.batch_first {
        true => writer.op("Transpose", "sequence", &[operands.sequence], vec![integers("perm", &[1, 0, 2])])?,
        false => operands.sequence.into(),
    };
    let mut results: [Vec<String>; 3] = Default::default();
    let directions = attributes.backward.len();
    for (direction, functions) in attributes.functions.iter().enumerate() {
        let prefix = if directions == 1 { "" } else { ["forward.", "backward."][direction] };
        let this = Direction { attributes: &attributes, extents: &extents, operands: &operands, direction, prefix };
        let states = this.run(&sequence, functions, writer)?;
        for (all, one) in results.iter_mut().zip(states) {
            all.extend(one);
        }
    }
    let transposed: [&[i64]; 3] = [&[2, 0, 1, 3], &[1, 0, 2], &[1, 0, 2]];
    for (i, all) in results.iter().enumerate() {
        let Some(output) = node.output.get(i).filter(|name| !name.is_empty()) else { continue };
        let Some(mut result) = all.first().cloned() else { continue };
        let part = ["sequence_out", "state_out", "cell_out"][i];
        if directions > 1 {
            result = writer.concat(part, all, if i == 0 { 1 } else { 0 })?;
        }
        if attributes.batch_first {
            let perm = vec![integers("perm", transposed[i])];
            result = writer.op("Transpose", &format!("{part}.batch_first"), &[&result], perm)?;
        }
        writer.bind(&result, Some(output))?;
    }
    Ok(())
}

fn operands<'n>(node: &'n NodeProto, known: &Known) -> Operands<'n> {
    let operand = |i: usize| node.input.get(i).map(String::as_str).filter(|name| !name.is_empty());
    let of_lstm = |i: usize| operand(i).filter(|_| node.op_type == "LSTM");
    // An initial state of zeros is no state.
    let is_some = |name: &&str| known.constant(name).is_none_or(|of| !of.is_zero().unwrap_or(false));
    let name = |i: usize| operand(i).unwrap_or_default();
    Operands {
        sequence: name(0),
        weights: name(1),
        recurrence: name(2),
        bias: operand(3),
        state: operand(5).filter(is_some),
        cell: of_lstm(6).filter(is_some),
        peepholes: of_lstm(7),
    }
}

/// Extents of a layer's operands, which must agree.
fn extents(
    node: &NodeProto,
    known: &Known,
    attributes: &Attributes,
    operands: &Operands<'_>,
) -> Result<Extents, ImportError> {
    let shape = |name: &str| known.shape(name).unwrap_or_default();
    let (gates, directions) = (attributes.kind.gates(), attributes.backward.len());
    let [&[first, second, input], &[_, _, hidden]] = [&shape(operands.sequence)[..], &shape(operands.recurrence)[..]]
    else {
        return Err(unsupported(node, "operands of another rank", "check the exported shapes"));
    };
    let (steps, batch) = if attributes.batch_first { (second, first) } else { (first, second) };
    let state = if attributes.batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
    let own = attribute(node, "hidden_size").map_or(hidden, |of| usize::try_from(of.i).unwrap_or(0));
    let expected = [
        (Some(operands.weights), vec![directions, gates * hidden, input]),
        (Some(operands.recurrence), vec![directions, gates * hidden, hidden]),
        (operands.bias, vec![directions, 2 * gates * hidden]),
        (operands.state, state.to_vec()),
        (operands.cell, state.to_vec()),
        (operands.peepholes, vec![directions, 3 * hidden]),
    ];
    for (operand, expected) in expected {
        if let Some(operand) = operand
            && (shape(operand) != expected || own != hidden)
        {
            let form = format!("'{}' of the shape {:?}", shown(operand), shape(operand));
            return Err(unsupported(node, form, "check the exported shapes, and `hidden_size`"));
        }
    }
    let lengths = node.input.get(4).filter(|name| !name.is_empty());
    let is_whole =
        |name: &String| known.integers(name).is_some_and(|all| all.iter().all(|length| *length == steps as i64));
    if !lengths.is_none_or(is_whole) {
        let form = "`sequence_lens` other than the length of the sequence";
        return Err(unsupported(node, form, "export the layer for sequences of one length"));
    }
    Ok(Extents { steps, hidden })
}

/// One direction of a layer.
struct Direction<'a> {
    attributes: &'a Attributes,
    extents: &'a Extents,
    operands: &'a Operands<'a>,
    direction: usize,
    prefix: &'a str,
}

impl Direction<'_> {
    /// Writes out all steps; returns the states of all of them, the last one, and that of the cell.
    fn run(
        &self,
        sequence: &str,
        functions: &[Activation],
        writer: &mut Writer,
    ) -> Result<[Option<String>; 3], ImportError> {
        let part = |name: &str| format!("{}{name}", self.prefix);
        let (matrices, hidden) = (self.matrices(writer)?, self.extents.hidden);
        let cell = cell::Cell::new(self.attributes, functions, hidden, matrices, self.prefix, writer)?;
        let input = cell.input(&part("input"), sequence, writer)?;
        let state_axis = i64::from(self.attributes.batch_first);
        let mut initial = |name: &str, value: Option<&str>| {
            value.map(|value| writer.take(&part(name), value, state_axis, self.direction)).transpose()
        };
        let mut state = initial("state", self.operands.state)?;
        let mut memory = initial("cell", self.operands.cell)?;
        let steps = self.extents.steps;
        let mut states = vec![String::new(); steps];
        for step in 0..steps {
            let place = if self.attributes.backward[self.direction] { steps - 1 - step } else { step };
            let name = part(&format!("step{place}"));
            let gates = writer.take(&format!("{name}.sequence"), &input, 0, place)?;
            let (next, memorised) = cell.step(&name, &gates, state.as_deref(), memory.as_deref(), writer)?;
            states[place] = writer.unsqueeze(&format!("{name}.state"), &next, &[0, 1])?;
            (state, memory) = (Some(next), memorised);
        }
        let mut outside = |name: &str, value: Option<String>| {
            value.map(|value| writer.unsqueeze(&part(name), &value, &[0])).transpose()
        };
        let last = [outside("last_state", state)?, outside("last_cell", memory)?];
        let all = writer.concat(&part("states"), &states, 0)?;
        let [state, memory] = last;
        Ok([Some(all), state, memory])
    }

    /// This direction's weights, as products take them, and its biases.
    fn matrices(&self, writer: &mut Writer) -> Result<cell::Matrices, ImportError> {
        let part = |name: &str| format!("{}{name}", self.prefix);
        let own = |name: &str, value: &str, writer: &mut Writer| writer.take(&part(name), value, 0, self.direction);
        let matrix = |name: &str, value: &str, writer: &mut Writer| {
            let rows = own(&format!("{name}.rows"), value, writer)?;
            writer.op("Transpose", &part(name), &[&rows], vec![integers("perm", &[1, 0])])
        };
        let input = matrix("weights", self.operands.weights, writer)?;
        let state = matrix("recurrence", self.operands.recurrence, writer)?;
        let bias = self.operands.bias.map(|value| own("bias", value, writer)).transpose()?;
        let peepholes = self.operands.peepholes.map(|value| own("peepholes", value, writer)).transpose()?;
        Ok(cell::Matrices { input, state, bias, peepholes })
    }
}

/// The rows from `first` on of a value, so many, along its last axis. tract takes a product apart of which all readers
/// are slices; these are none for it.
pub(super) fn rows(
    part: &str,
    value: &str,
    first: usize,
    count: usize,
    writer: &mut Writer,
) -> Result<String, ImportError> {
    let places: Vec<i64> = (first..first + count).map(|place| place as i64).collect();
    let places = writer.integers(&format!("places{first}_{count}"), &places, false);
    writer.op("Gather", part, &[value, &places], vec![integer("axis", -1)])
}
