//! A graph in consecutive parts, each a graph of its own: what one computes and a later one reads is an output of the
//! one and an input of the other.
//!
//! A part takes its tensors and functions in the order in which its nodes use them, and names what lies between parts by
//! its place. So two parts that compute the same of other learned values are one [architecture](Graph::architecture).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::graph::{Graph, Node};
use crate::tensor::TensorId;
use crate::visibility::{Visibilities, Visibility};

/// Why a graph has no such parts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CutError {
    /// The places are not between nodes, or not in order.
    #[error("the cuts {cuts:?} of {nodes} layers are not between layers, each after the one before")]
    Places {
        /// The places.
        cuts: Vec<usize>,
        /// Number of nodes.
        nodes: usize,
    },
    /// A tensor that would have to be committed has no cells for it, or another visibility already.
    #[error("'{tensor}' cannot lie between two parts: {reason}\nhint: cut elsewhere")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// Why not.
        reason: &'static str,
    },
    /// An input or output has the name that something between parts has.
    #[error("'{name}' is the name of an input or output\nhint: give it another name")]
    Name {
        /// The name.
        name: String,
    },
}

/// What an input or output of a part is of the whole graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum End {
    /// Entry of [`Graph::inputs`].
    Input(usize),
    /// Entry of [`Graph::outputs`].
    Output(usize),
    /// A tensor that lies between parts, numbered in the order in which parts have it.
    Between(usize),
}

/// A part of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it computes. What lies between parts is committed; inputs and outputs of the whole are as visible as there.
    pub graph: Graph,
    /// What its inputs are.
    pub inputs: Vec<End>,
    /// What its outputs are.
    pub outputs: Vec<End>,
    /// The tensors of the whole that its own are, in the order of its own.
    pub tensors: Vec<TensorId>,
}

/// A place between two nodes where a graph may be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Number of nodes before it.
    pub at: usize,
    /// What is computed before and read after it.
    pub tensors: Vec<TensorId>,
    /// Elements of these together.
    pub elements: usize,
}

/// The name of the input of a part that lies between parts, by its place among those.
fn entry_name(place: usize) -> String {
    format!("segment input {place}")
}

/// The name of such an output.
fn exit_name(place: usize) -> String {
    format!("segment output {place}")
}

impl Graph {
    /// Every place where the graph may be cut, in order: where what lies between the parts can be committed, and nothing
    /// of it is an output of the whole.
    pub fn cuts(&self) -> Vec<Cut> {
        let mut last = vec![0; self.tensors.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|tensor| last[*tensor] = index);
        }
        let mut live: Vec<TensorId> = Vec::new();
        let mut cuts = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            live.retain(|tensor| last[*tensor] > index);
            if last[node.output] > index {
                live.push(node.output);
            }
            let at = index + 1;
            if at < self.nodes.len() && !live.is_empty() && live.iter().all(|tensor| self.is_between(*tensor).is_ok()) {
                let elements = live.iter().map(|tensor| self.tensors[*tensor].shape.len()).sum();
                cuts.push(Cut { at, tensors: live.clone(), elements });
            }
        }
        cuts
    }

    /// What two graphs have alike that compute the same on other numbers, whatever their scales: operations, sizes and
    /// order, and no integers.
    pub fn form(&self) -> String {
        let mut text = String::new();
        for tensor in &self.tensors {
            let _ = write!(
                text,
                "{:?}{:?}{:?}{};",
                tensor.shape, tensor.storage, tensor.logical_shape, tensor.format.mantissa
            );
        }
        for node in &self.nodes {
            let (inputs, output) = (&node.inputs, node.output);
            let _ = write!(text, "{}{inputs:?}{output}{};", node.op.form(), node.activation.is_some());
        }
        let _ = write!(text, "{:?}{:?}{:?}", self.inputs, self.outputs, self.visibility);
        text
    }

    /// Whether a node's result may lie between parts. What is given out as accumulators is read by nothing.
    fn is_between(&self, tensor: TensorId) -> Result<(), &'static str> {
        if self.outputs.contains(&tensor) { Err("it is an output of the model as well") } else { Ok(()) }
    }

    /// The graph in parts, cut after so many nodes each; no cut gives the whole as its only part, with the names of its
    /// own.
    ///
    /// A private input that several parts read is committed in all of them: that it is one is what the commitment says.
    ///
    /// # Errors
    /// [`CutError`] where the cuts are none, or a tensor cannot lie between parts.
    pub fn parts(&self, cuts: &[usize]) -> Result<Vec<Part>, CutError> {
        let bounds: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([self.nodes.len()]).collect();
        // A graph without nodes is a whole all the same.
        if bounds.windows(2).any(|pair| pair[0] >= pair[1]) && !(self.nodes.is_empty() && cuts.is_empty()) {
            return Err(CutError::Places { cuts: cuts.to_vec(), nodes: self.nodes.len() });
        }
        let ranges: Vec<Range<usize>> = bounds.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let ends = Ends::of(self, &ranges)?;
        ranges.into_iter().enumerate().map(|(part, range)| Builder::new(self, &ends).build(part, range)).collect()
    }
}

/// What lies between the parts of a graph.
struct Ends {
    /// For each tensor the parts that read it, in order. The first part has every input that is an output as well.
    readers: Vec<Vec<usize>>,
    /// The part that computes it; none for inputs of the whole.
    maker: Vec<Option<usize>>,
    /// Its number, where it lies between parts.
    between: HashMap<TensorId, usize>,
}

impl Ends {
    fn of(graph: &Graph, ranges: &[Range<usize>]) -> Result<Self, CutError> {
        let count = graph.tensors.len();
        let (mut readers, mut maker) = (vec![Vec::new(); count], vec![None; count]);
        for (part, range) in ranges.iter().enumerate() {
            for node in &graph.nodes[range.clone()] {
                maker[node.output] = Some(part);
                for tensor in &node.inputs {
                    if readers[*tensor].last() != Some(&part) {
                        readers[*tensor].push(part);
                    }
                }
            }
        }
        for output in &graph.outputs {
            let own = &mut readers[*output];
            if maker[*output].is_none() && own.first() != Some(&0) {
                own.insert(0, 0);
            }
        }
        let mut this = Self { readers, maker, between: HashMap::new() };
        for node in &graph.nodes {
            let tensor = node.output;
            if this.readers[tensor].iter().any(|reader| Some(*reader) != this.maker[tensor]) {
                graph.is_between(tensor).map_err(|reason| refusal(graph, tensor, reason))?;
                this.number(tensor);
            }
        }
        Ok(this)
    }

    fn number(&mut self, tensor: TensorId) {
        let next = self.between.len();
        self.between.insert(tensor, next);
    }
}

fn refusal(graph: &Graph, tensor: TensorId, reason: &'static str) -> CutError {
    CutError::Tensor { tensor: graph.tensors[tensor].name.clone(), reason }
}

/// A part in the making.
struct Builder<'g> {
    whole: &'g Graph,
    ends: &'g Ends,
    part: Part,
    tensors: HashMap<TensorId, TensorId>,
    activations: HashMap<usize, usize>,
    /// Tensors between parts that it has as inputs, and as outputs.
    entries: usize,
    exits: usize,
}

impl<'g> Builder<'g> {
    fn new(whole: &'g Graph, ends: &'g Ends) -> Self {
        let graph = Graph {
            name: whole.name.clone(),
            shift: whole.shift,
            tensors: Vec::new(),
            activations: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            visibility: Visibilities::default(),
        };
        let part = Part { graph, inputs: Vec::new(), outputs: Vec::new(), tensors: Vec::new() };
        Self { whole, ends, part, tensors: HashMap::new(), activations: HashMap::new(), entries: 0, exits: 0 }
    }

    fn build(mut self, part: usize, range: Range<usize>) -> Result<Part, CutError> {
        let whole = self.whole;
        // Inputs that nothing reads, or that are outputs themselves, belong to the first part.
        let idle = |tensor: &TensorId| {
            let read = self.ends.readers[*tensor].iter().any(|reader| *reader != 0);
            part == 0 && (!read || whole.outputs.contains(tensor))
        };
        let idle: Vec<TensorId> = whole.inputs.iter().copied().filter(idle).collect();
        for tensor in idle {
            self.enter(tensor)?;
        }
        for node in &whole.nodes[range.clone()] {
            self.take(node)?;
        }
        for node in &whole.nodes[range] {
            if self.ends.between.contains_key(&node.output) {
                let tensor = self.tensors[&node.output];
                self.exit(tensor, End::Between(self.ends.between[&node.output]))?;
            }
        }
        for (index, output) in whole.outputs.iter().enumerate() {
            if self.ends.maker[*output].unwrap_or(0) == part {
                let tensor = self.tensors[output];
                self.exit(tensor, End::Output(index))?;
            }
        }
        Ok(self.part)
    }

    /// Takes a node with its operands.
    fn take(&mut self, node: &Node) -> Result<(), CutError> {
        for tensor in &node.inputs {
            if !self.tensors.contains_key(tensor) {
                self.enter(*tensor)?;
            }
        }
        let inputs = node.inputs.iter().map(|tensor| self.tensors[tensor]).collect();
        let output = self.add(node.output);
        let activation = node.activation.map(|activation| self.activation(activation));
        self.part.graph.nodes.push(Node { inputs, output, activation, ..node.clone() });
        Ok(())
    }

    fn activation(&mut self, index: usize) -> usize {
        let next = self.activations.len();
        *self.activations.entry(index).or_insert_with(|| {
            self.part.graph.activations.push(self.whole.activations[index].clone());
            next
        })
    }

    fn add(&mut self, tensor: TensorId) -> TensorId {
        let id = self.part.graph.tensors.len();
        self.part.graph.tensors.push(self.whole.tensors[tensor].clone());
        self.part.tensors.push(tensor);
        self.tensors.insert(tensor, id);
        id
    }

    /// Takes a tensor that an earlier part computes, or the caller gives.
    fn enter(&mut self, tensor: TensorId) -> Result<(), CutError> {
        let id = self.add(tensor);
        let input = self.whole.inputs.iter().position(|input| *input == tensor);
        let place = self.part.graph.inputs.len();
        let (end, visibility) = match (self.ends.between.get(&tensor), input) {
            (Some(number), _) => {
                self.rename(id, entry_name(self.entries))?;
                self.entries += 1;
                (End::Between(*number), Visibility::Committed)
            }
            (None, Some(input)) => {
                let shared = self.ends.readers[tensor].len() > 1;
                let own = self.whole.visibility.input(input);
                let is_private = own == Visibility::Private;
                (End::Input(input), if is_private && shared { Visibility::Committed } else { own })
            }
            // Whatever a node reads of another part is between.
            (None, None) => {
                return Err(refusal(self.whole, tensor, "nothing computes it"));
            }
        };
        self.part.graph.inputs.push(id);
        self.part.graph.visibility.set_input(place, visibility);
        self.part.inputs.push(end);
        Ok(())
    }

    fn exit(&mut self, tensor: TensorId, end: End) -> Result<(), CutError> {
        let place = self.part.graph.outputs.len();
        let visibility = match end {
            End::Output(index) => self.whole.visibility.output(index),
            End::Between(_) | End::Input(_) => {
                self.rename(tensor, exit_name(self.exits))?;
                self.exits += 1;
                Visibility::Committed
            }
        };
        self.part.graph.outputs.push(tensor);
        self.part.graph.visibility.set_output(place, visibility);
        self.part.outputs.push(end);
        Ok(())
    }

    fn rename(&mut self, tensor: TensorId, name: String) -> Result<(), CutError> {
        let whole = self.whole;
        if whole.inputs.iter().chain(&whole.outputs).any(|end| whole.tensors[*end].name == name) {
            return Err(CutError::Name { name });
        }
        self.part.graph.tensors[tensor].name = name;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Linear, Op};
    use crate::tensor::{Format, Shape, Storage, Tensor};

    /// `x -> a -> b -> c` with `c = b + x`, each of two channels.
    fn graph() -> Graph {
        let tensor = |name: &str| Tensor {
            name: name.into(),
            shape: Shape::vector(2),
            format: Format::new(0, -100, 100),
            logical_shape: vec![1, 2],
            storage: Storage::Plain,
        };
        let dense = |weights: [i32; 4]| Op::Linear(Linear::dense(2, weights.to_vec(), vec![1, 2]));
        let node = |name: &str, op, inputs: &[usize], output| Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            output,
            activation: None,
        };
        let shared = crate::Interleaving::NONE;
        let sum = Op::Combine { multipliers: vec![2, 2], offset: Vec::new(), shared, width: None };
        Graph {
            name: "g".into(),
            shift: 1,
            tensors: ["x", "a", "b", "c"].map(tensor).to_vec(),
            activations: Vec::new(),
            nodes: vec![
                node("first", dense([2, 0, 0, 4]), &[0], 1),
                node("second", dense([2, 2, 0, 2]), &[1], 2),
                node("sum", sum, &[2, 0], 3),
            ],
            inputs: vec![0],
            outputs: vec![3],
            visibility: Visibilities::default(),
        }
    }

    /// Runs the parts one after the other.
    fn run(parts: &[Part], inputs: &[Vec<i64>]) -> HashMap<End, Vec<i64>> {
        let mut known: HashMap<End, Vec<i64>> =
            inputs.iter().enumerate().map(|(index, values)| (End::Input(index), values.clone())).collect();
        for part in parts {
            let own: Vec<Vec<i64>> = part.inputs.iter().map(|end| known[end].clone()).collect();
            let execution = part.graph.run(&own).expect("a part runs");
            for (tensor, end) in part.graph.outputs.iter().zip(&part.outputs) {
                known.insert(*end, execution.values[*tensor].clone());
            }
        }
        known
    }

    #[test]
    fn parts_compute_what_the_whole_does() {
        let whole = graph();
        let inputs = vec![vec![3, -5]];
        let expected = whole.run(&inputs).expect("it runs").values[3].clone();
        assert_eq!(whole.cuts().iter().map(|cut| (cut.at, cut.elements)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
        for cuts in [&[][..], &[1], &[2], &[1, 2]] {
            let parts = whole.parts(cuts).expect("parts");
            assert_eq!(parts.len(), cuts.len() + 1);
            assert_eq!(run(&parts, &inputs)[&End::Output(0)], expected, "{cuts:?}");
            for part in &parts {
                assert_eq!(part.graph.validate(), Ok(()));
            }
        }
        assert_eq!(whole.parts(&[]).expect("one")[0].graph, whole, "no cut changes nothing");
    }

    #[test]
    fn what_lies_between_is_committed_and_a_shared_private_input_too() {
        let mut whole = graph();
        let parts = whole.parts(&[2]).expect("parts");
        assert_eq!(
            (&parts[0].outputs[..], &parts[1].inputs[..]),
            (&[End::Between(0)][..], &[End::Between(0), End::Input(0)][..])
        );
        assert_eq!(parts[1].graph.visibility.inputs, [Visibility::Committed]);
        assert_eq!(parts[1].graph.tensors[parts[1].graph.inputs[0]].name, "segment input 0");

        whole.visibility.set_input(0, Visibility::Private);
        let parts = whole.parts(&[2]).expect("parts");
        assert_eq!((&parts[0].inputs[..], &parts[1].inputs[1..]), (&[End::Input(0)][..], &[End::Input(0)][..]));
        assert_eq!(parts[0].graph.visibility.input(0), Visibility::Committed);
        assert_eq!(parts[1].graph.visibility.input(1), Visibility::Committed);
        assert_eq!(parts[1].graph.tensors[parts[1].graph.inputs[1]].name, "x", "it keeps its name");
        let alone = whole.parts(&[]).expect("one");
        assert_eq!(alone[0].graph.visibility.input(0), Visibility::Private, "nothing shares it");
    }

    #[test]
    fn a_private_input_that_one_part_gives_out_and_another_reads_is_committed_in_both() {
        let mut whole = graph();
        // `x` is read by the last node alone, and given out by the first part.
        whole.inputs = vec![0, 1];
        whole.nodes.remove(0);
        whole.outputs = vec![0, 3];
        whole.visibility.set_input(0, Visibility::Private);
        let parts = whole.parts(&[1]).expect("parts");
        for part in &parts {
            assert_eq!(part.graph.validate(), Ok(()));
            let place = part.inputs.iter().position(|end| *end == End::Input(0)).expect("both have it");
            assert_eq!(part.graph.visibility.input(place), Visibility::Committed, "nothing else says that it is one");
        }
        let known = run(&parts, &[vec![3, -5], vec![4, 2]]);
        assert_eq!(known[&End::Output(0)], [3, -5]);
        // Read by nothing else, it stays private.
        whole.nodes.truncate(1);
        whole.nodes.push(Node { name: "last".into(), inputs: vec![2], output: 3, ..whole.nodes[0].clone() });
        let parts = whole.parts(&[1]).expect("parts");
        assert_eq!(parts[0].graph.visibility.input(0), Visibility::Private);
        assert!(!parts[1].inputs.contains(&End::Input(0)));
    }

    #[test]
    fn a_graph_without_nodes_is_one_part() {
        let mut whole = graph();
        whole.nodes.clear();
        whole.tensors.truncate(1);
        whole.activations.clear();
        whole.outputs = vec![0];
        let parts = whole.parts(&[]).expect("one");
        assert_eq!((&parts[0].inputs[..], &parts[0].outputs[..]), (&[End::Input(0)][..], &[End::Output(0)][..]));
        for cuts in [&[0][..], &[1], &[5]] {
            assert!(matches!(whole.parts(cuts), Err(CutError::Places { .. })), "{cuts:?}");
        }
    }

    #[test]
    fn cuts_that_are_none_are_refused() {
        let mut whole = graph();
        for cuts in [&[0][..], &[3], &[2, 1], &[1, 1]] {
            assert!(matches!(whole.parts(cuts), Err(CutError::Places { .. })), "{cuts:?}");
        }
        whole.outputs = vec![1, 3];
        assert!(matches!(whole.parts(&[1]), Err(CutError::Tensor { .. })), "an output of the whole");
        assert_eq!(whole.cuts().iter().map(|cut| cut.at).collect::<Vec<_>>(), [2]);
        whole.outputs = vec![3];
        whole.tensors[0].name = "segment input 0".into();
        assert!(matches!(whole.parts(&[1]), Err(CutError::Name { .. })));
    }

    #[test]
    fn like_parts_are_one_architecture() {
        let mut whole = graph();
        let width = Some(crate::Width { bits: 20, spread_bits: 20 });
        for node in &mut whole.nodes[..2] {
            let Op::Linear(linear) = &mut node.op else { unreachable!() };
            linear.width = width;
        }
        // Without what reads the input again.
        whole.nodes.pop();
        whole.tensors.pop();
        whole.outputs = vec![2];
        whole.nodes.push(Node { name: "third".into(), inputs: vec![2], output: 3, ..whole.nodes[1].clone() });
        whole.tensors.push(Tensor { name: "d".into(), ..whole.tensors[1].clone() });
        whole.nodes.push(Node { name: "fourth".into(), inputs: vec![3], output: 4, ..whole.nodes[0].clone() });
        whole.tensors.push(Tensor { name: "e".into(), ..whole.tensors[1].clone() });
        whole.outputs = vec![4];
        let parts = whole.parts(&[1, 2, 3]).expect("parts");
        assert_eq!(parts[1].graph.architecture(), parts[2].graph.architecture());
        assert_ne!(parts[0].graph.architecture(), parts[1].graph.architecture(), "a public input");
    }
}
