//! The steps of recurrent layers, as ONNX defines them
//! (<https://onnx.ai/onnx/operators/onnx__LSTM.html>, `onnx__GRU.html`, `onnx__RNN.html`).

use super::super::error::ImportError;
use super::activation::Activation;
use super::recurrent::{Attributes, Kind, rows};
use super::writer::Writer;

/// Weights of one direction, by name: `[inputs][gates · hidden]`.
pub(super) struct Matrices {
    pub(super) input: String,
    pub(super) state: String,
    /// The biases of both products, one after the other.
    pub(super) bias: Option<String>,
    pub(super) peepholes: Option<String>,
}

/// What a step is made of.
pub(super) struct Cell<'a> {
    attributes: &'a Attributes,
    functions: &'a [Activation],
    hidden: usize,
    matrices: Matrices,
    /// Of a GRU whose reset gate acts on the state: the candidate's part of the state's weights, which the others are
    /// without.
    candidate: Option<String>,
    /// The bias of the state's product, where the reset gate acts on it too.
    bias_of_state: Option<String>,
}

/// Gates of a GRU and of an LSTM, in the order of their weights.
const UPDATE: usize = 0;
const RESET: usize = 1;
const HIDDEN: usize = 2;
const INPUT: usize = 0;
const OUTPUT: usize = 1;
const FORGET: usize = 2;
const CANDIDATE: usize = 3;

/// Peepholes of an LSTM, in the order of their weights.
const PEEPHOLES: [usize; 3] = [INPUT, OUTPUT, FORGET];

impl<'a> Cell<'a> {
    /// Writes what all steps share.
    pub(super) fn new(
        attributes: &'a Attributes,
        functions: &'a [Activation],
        hidden: usize,
        mut matrices: Matrices,
        prefix: &str,
        writer: &mut Writer,
    ) -> Result<Self, ImportError> {
        let (mut candidate, mut bias_of_state) = (None, None);
        if attributes.kind == Kind::Gru && !attributes.reset_last {
            let whole = matrices.state;
            candidate = Some(rows(&format!("{prefix}recurrence_of_candidate"), &whole, 2 * hidden, hidden, writer)?);
            matrices.state = rows(&format!("{prefix}recurrence_of_gates"), &whole, 0, 2 * hidden, writer)?;
        }
        if let Some(both) = &matrices.bias {
            let len = attributes.kind.gates() * hidden;
            let own = rows(&format!("{prefix}bias_of_input"), both, 0, len, writer)?;
            let other = rows(&format!("{prefix}bias_of_state"), both, len, len, writer)?;
            matrices.bias = Some(if attributes.kind == Kind::Gru && attributes.reset_last {
                bias_of_state = Some(other);
                own
            } else {
                writer.op("Add", &format!("{prefix}biases"), &[&own, &other], vec![])?
            });
        }
        Ok(Self { attributes, functions, hidden, matrices, candidate, bias_of_state })
    }

    /// What the sequence contributes to all gates at all steps, with the biases.
    pub(super) fn input(&self, part: &str, sequence: &str, writer: &mut Writer) -> Result<String, ImportError> {
        let product = writer.op("MatMul", &format!("{part}.product"), &[sequence, &self.matrices.input], vec![])?;
        match &self.matrices.bias {
            Some(bias) => writer.op("Add", part, &[&product, bias], vec![]),
            None => Ok(product),
        }
    }

    /// The next state, and that of an LSTM's cell.
    pub(super) fn step(
        &self,
        name: &str,
        input: &str,
        state: Option<&str>,
        memory: Option<&str>,
        writer: &mut Writer,
    ) -> Result<(String, Option<String>), ImportError> {
        let mut step = Step { cell: self, name, input, recurrent: None, writer };
        match self.attributes.kind {
            Kind::Rnn => Ok((step.rnn(state)?, None)),
            Kind::Gru => Ok((step.gru(state)?, None)),
            Kind::Lstm => {
                let (state, memory) = step.lstm(state, memory)?;
                Ok((state, Some(memory)))
            }
        }
    }
}

struct Step<'s> {
    cell: &'s Cell<'s>,
    name: &'s str,
    /// What the sequence contributes to all gates.
    input: &'s str,
    /// What the state contributes to them.
    recurrent: Option<String>,
    writer: &'s mut Writer,
}

impl Step<'_> {
    fn part(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    fn op(&mut self, operator: &str, name: &str, inputs: &[&str]) -> Result<String, ImportError> {
        let part = self.part(name);
        self.writer.op(operator, &part, inputs, vec![])
    }

    /// A gate's part of what all gates have.
    fn gate_of(&mut self, name: &str, all: &str, gate: usize) -> Result<String, ImportError> {
        let (part, hidden) = (self.part(name), self.cell.hidden);
        rows(&part, all, gate * hidden, hidden, self.writer)
    }

    /// Computes what the state contributes to the gates; nothing, where it is zero.
    fn recur(&mut self, state: Option<&str>) -> Result<(), ImportError> {
        let cell = self.cell;
        self.recurrent = match (state, &cell.bias_of_state) {
            (Some(state), bias) => {
                let product = self.op("MatMul", "recurrent", &[state, &cell.matrices.state])?;
                Some(match bias {
                    Some(bias) => self.op("Add", "recurrent_biased", &[&product, bias])?,
                    None => product,
                })
            }
            (None, bias) => bias.clone(),
        };
        Ok(())
    }

    /// A sum that a gate's function takes, before it is clipped.
    fn sum(&mut self, name: &str, gate: usize) -> Result<String, ImportError> {
        let own = self.gate_of(&format!("{name}.input"), self.input, gate)?;
        match self.recurrent.clone() {
            Some(all) => {
                let other = self.gate_of(&format!("{name}.recurrent"), &all, gate)?;
                self.op("Add", &format!("{name}.sum"), &[&own, &other])
            }
            None => Ok(own),
        }
    }

    /// A function of a sum, which is clipped first.
    fn apply(&mut self, name: &str, sum: &str, function: usize) -> Result<String, ImportError> {
        let mut sum = sum.to_owned();
        if let Some(bound) = self.cell.attributes.clip {
            let part = self.part(&format!("{name}.clip"));
            sum = self.writer.clip(&part, &sum, bound)?;
        }
        let part = self.part(name);
        self.cell.functions[function].write(&part, &sum, self.writer)
    }

    fn rnn(&mut self, state: Option<&str>) -> Result<String, ImportError> {
        self.recur(state)?;
        let sum = self.sum("gate", 0)?;
        self.apply("hidden", &sum, 0)
    }

    fn gru(&mut self, state: Option<&str>) -> Result<String, ImportError> {
        let cell = self.cell;
        self.recur(state)?;
        let sum = self.sum("update", UPDATE)?;
        let update = self.apply("update", &sum, 0)?;
        let own = self.gate_of("candidate.input", self.input, HIDDEN)?;
        let other = match (state, &cell.candidate, self.recurrent.clone()) {
            (Some(state), Some(matrix), _) => {
                let reset = self.reset()?;
                let kept = self.op("Mul", "candidate.reset", &[&reset, state])?;
                Some(self.op("MatMul", "candidate.recurrent", &[&kept, matrix])?)
            }
            (_, None, Some(all)) => {
                let reset = self.reset()?;
                let other = self.gate_of("candidate.recurrent", &all, HIDDEN)?;
                Some(self.op("Mul", "candidate.reset", &[&reset, &other])?)
            }
            _ => None,
        };
        let sum = match other {
            Some(other) => self.op("Add", "candidate.sum", &[&own, &other])?,
            None => own,
        };
        let candidate = self.apply("candidate", &sum, 1)?;
        // (1 - z)·c + z·h = c + z·(h - c).
        match state {
            Some(state) => {
                let change = self.op("Sub", "change", &[state, &candidate])?;
                let kept = self.op("Mul", "kept", &[&update, &change])?;
                self.op("Add", "hidden", &[&candidate, &kept])
            }
            None => {
                let lost = self.op("Mul", "kept", &[&update, &candidate])?;
                self.op("Sub", "hidden", &[&candidate, &lost])
            }
        }
    }

    fn reset(&mut self) -> Result<String, ImportError> {
        let sum = self.sum("reset", RESET)?;
        self.apply("reset", &sum, 0)
    }

    fn lstm(&mut self, state: Option<&str>, memory: Option<&str>) -> Result<(String, String), ImportError> {
        self.recur(state)?;
        let input = self.gate("input", INPUT, memory)?;
        let sum = self.sum("candidate", CANDIDATE)?;
        let candidate = self.apply("candidate", &sum, 1)?;
        let mut next = self.op("Mul", "new", &[&input, &candidate])?;
        if let Some(memory) = memory {
            let forget = match self.cell.attributes.input_forget {
                true => {
                    let part = self.part("one");
                    let one = self.writer.number(&part, 1.0)?;
                    self.op("Sub", "forget", &[&one, &input])?
                }
                false => self.gate("forget", FORGET, Some(memory))?,
            };
            let kept = self.op("Mul", "kept", &[&forget, memory])?;
            next = self.op("Add", "cell", &[&kept, &next])?;
        }
        let output = self.gate("output", OUTPUT, Some(&next))?;
        let part = self.part("cell_function");
        let curved = self.cell.functions[2].write(&part, &next, self.writer)?;
        Ok((self.op("Mul", "hidden", &[&output, &curved])?, next))
    }

    /// A gate of an LSTM, which may look at the cell.
    fn gate(&mut self, name: &str, gate: usize, memory: Option<&str>) -> Result<String, ImportError> {
        let mut sum = self.sum(name, gate)?;
        if let (Some(peepholes), Some(memory)) = (self.cell.matrices.peepholes.clone(), memory) {
            let place = PEEPHOLES.iter().position(|of| *of == gate).unwrap_or_default();
            let own = self.gate_of(&format!("{name}.peephole"), &peepholes, place)?;
            let seen = self.op("Mul", &format!("{name}.seen"), &[&own, memory])?;
            sum = self.op("Add", &format!("{name}.sum_with_peephole"), &[&sum, &seen])?;
        }
        self.apply(name, &sum, 0)
    }
}
