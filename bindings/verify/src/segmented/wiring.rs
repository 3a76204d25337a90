//! Which inputs and outputs of segments are one tensor.

use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::keys::VerifyingKeys;
use zkml_gpu_circuit::system::{Placement, Port, Statement};
use zkml_gpu_graph::{End, Visibility};

/// What the inputs and outputs of a segment are of the whole model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// Of its inputs, in the order of its statement.
    pub inputs: Vec<End>,
    /// Of its outputs, likewise.
    pub outputs: Vec<End>,
}

/// What the inputs and outputs of all segments are of the whole model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    wires: Vec<Wire>,
    inputs: Vec<Vec<Place>>,
    outputs: Vec<Place>,
    between: Vec<Vec<Place>>,
}

/// A segment's input, or its output, by its number in the statement's order of inputs, then outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: usize,
    pub(super) port: usize,
}

impl Wiring {
    /// The wiring of segments, if it is that of a model: each output comes from one segment, each input is read, and what
    /// lies between comes from one segment and is read by later ones. Tensors that are called one are alike in all that
    /// the segments' statements say of them, and where several segments have one, their proofs say that it is one.
    /// Learned values stand in one place.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn new(wires: Vec<Wire>, keys: &[&VerifyingKeys]) -> Result<Self, String> {
        let this = Self::of(wires, &keys.iter().map(|keys| keys.statement()).collect::<Vec<_>>())?;
        this.check_common(keys)?;
        Ok(this)
    }

    /// As [`new`](Self::new), of statements alone, before there are keys.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn of(wires: Vec<Wire>, statements: &[&Statement]) -> Result<Self, String> {
        if wires.is_empty() || wires.len() != statements.len() {
            return Err(format!("it wires {} segments of {}", wires.len(), statements.len()));
        }
        let mut this = Self { wires, inputs: Vec::new(), outputs: Vec::new(), between: Vec::new() };
        this.collect(statements)?;
        this.check_between(statements)?;
        for (number, places) in this.inputs.iter().enumerate() {
            let [first, others @ ..] = &places[..] else { return Err(format!("no segment reads input {number}")) };
            let own = port(statements, *first);
            let alike = others.iter().all(|other| is_input(own, port(statements, *other)));
            if !alike {
                return Err(format!("segments read different inputs {number}"));
            }
            // Nothing of a proof says what it is: each segment could have another.
            if !others.is_empty() && own.visibility() == Visibility::Private {
                return Err(format!("several segments read input {number}, which is private in each"));
            }
        }
        Ok(this)
    }

    /// Sorts the segments' ports by what they are of the whole.
    fn collect(&mut self, statements: &[&Statement]) -> Result<(), String> {
        let mut outputs: Vec<Vec<Place>> = Vec::new();
        for (segment, (wire, statement)) in self.wires.iter().zip(statements).enumerate() {
            let (own, there) =
                ([wire.inputs.len(), wire.outputs.len()], [statement.inputs.len(), statement.outputs.len()]);
            if own != there {
                return Err(format!("segment {segment} has {there:?} inputs and outputs, {own:?} are wired"));
            }
            let ports: usize = self.wires.iter().map(|wire| wire.inputs.len() + wire.outputs.len()).sum();
            for (port, end) in wire.inputs.iter().chain(&wire.outputs).enumerate() {
                let is_input = port < wire.inputs.len();
                let (list, number) = match (end, is_input) {
                    (End::Input(number), true) => (&mut self.inputs, *number),
                    (End::Output(number), false) => (&mut outputs, *number),
                    (End::Between(number), _) => (&mut self.between, *number),
                    (End::Input(_), false) | (End::Output(_), true) => {
                        return Err(format!("segment {segment} takes an input for an output"));
                    }
                };
                // Each number has a port, so there are no more than ports.
                if number >= ports {
                    return Err(format!("segment {segment} has input or output {number} of fewer"));
                }
                if list.len() <= number {
                    list.resize(number + 1, Vec::new());
                }
                list[number].push(Place { segment, port });
            }
        }
        for (number, places) in outputs.into_iter().enumerate() {
            let [place] = places[..] else {
                return Err(format!("output {number} comes from {} segments", places.len()));
            };
            self.outputs.push(place);
        }
        Ok(())
    }

    /// Commitments that segments share are by one reference string, for circuits of one size. Weights are in one place.
    fn check_common(&self, keys: &[&VerifyingKeys]) -> Result<(), String> {
        let [first, others @ ..] = keys else { return Ok(()) };
        for other in others {
            if other.k() != first.k() {
                return Err(format!("segments have 2^{} and 2^{} rows", first.k(), other.k()));
            }
            // What is told of the weights is told of all.
            if other.weights() != first.weights() {
                return Err("segments have their weights in different places".into());
            }
            if other.s_g2() != first.s_g2() || other.insecure_srs() != first.insecure_srs() {
                return Err("segments have different reference strings".into());
            }
        }
        // A segment without commitments of its own has no points of the blinding rows.
        let mut points = keys.iter().map(|keys| keys.blinding_points()).filter(|points| !points.is_empty());
        let same = points.next().is_none_or(|first| points.all(|other| other == first));
        if same { Ok(()) } else { Err("segments have different points of the reference string".into()) }
    }

    fn check_between(&self, statements: &[&Statement]) -> Result<(), String> {
        for (number, places) in self.between.iter().enumerate() {
            let is_output = |place: &&Place| place.port >= self.wires[place.segment].inputs.len();
            let makers: Vec<&Place> = places.iter().filter(is_output).collect();
            let readers: Vec<&Place> = places.iter().filter(|place| !is_output(place)).collect();
            let [maker] = makers[..] else {
                return Err(format!("tensor {number} between segments comes from {} of them", makers.len()));
            };
            if readers.is_empty() || !readers.iter().all(|reader| maker.segment < reader.segment) {
                return Err(format!("tensor {number} between segments is not read by later ones alone"));
            }
            let first = port(statements, places[0]);
            if first.committed_columns() == 0 || !places.iter().all(|place| is_same(first, port(statements, *place))) {
                return Err(format!("segments have different tensors {number} between them"));
            }
        }
        Ok(())
    }

    /// What the ports of each segment are.
    pub fn wires(&self) -> &[Wire] {
        &self.wires
    }

    /// Number of the model's inputs.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Number of the model's outputs.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Number of tensors between segments.
    pub fn between(&self) -> usize {
        self.between.len()
    }

    /// Whether several segments read an input.
    pub fn is_shared(&self, input: usize) -> bool {
        self.inputs.get(input).is_some_and(|places| places.len() > 1)
    }

    /// Where an input is read first.
    pub(super) fn input(&self, number: usize) -> Place {
        self.inputs[number][0]
    }

    /// Where an output comes from.
    pub(super) fn output(&self, number: usize) -> Place {
        self.outputs[number]
    }
}

/// A segment's port.
pub(super) fn port<'s>(statements: &[&'s Statement], place: Place) -> &'s Port {
    let statement = statements[place.segment];
    let inputs = statement.inputs.len();
    if place.port < inputs { &statement.inputs[place.port] } else { &statement.outputs[place.port - inputs] }
}

/// Whether two ports may be of one input of the model, which segments call alike.
fn is_input(a: &Port, b: &Port) -> bool {
    a.name == b.name && is_same(a, b)
}

/// Whether two ports may be of one tensor: equal in everything but the names that segments have for them, and their
/// places in each circuit.
fn is_same(a: &Port, b: &Port) -> bool {
    let rows = |port: &Port| match port.placement {
        Placement::Committed { rows, .. } => rows,
        Placement::Packed { .. } | Placement::Column { .. } | Placement::Private | Placement::Hashed { .. } => 0,
    };
    a.logical_shape == b.logical_shape
        && a.format == b.format
        && a.storage == b.storage
        && a.len == b.len
        && a.visibility() == b.visibility()
        && rows(a) == rows(b)
}
