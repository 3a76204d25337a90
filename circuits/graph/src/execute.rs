//! The integer reference: what a circuit proves, computed directly.
//!
//! Everything is exact `i64` arithmetic. [`Graph::validate`] runs first and bounds weights, activations and
//! multipliers so that no accumulator can overflow (see `limits.rs`).

use crate::error::ExecuteError;
use crate::graph::{Graph, Node};
use crate::ops::Outcome;
use crate::rescale::requantise;
use crate::tensor::Format;

/// Every value of one inference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The elements of each tensor, in stored (row-major `channels × height × width`) order.
    pub values: Vec<Vec<i64>>,
    /// Accumulators of each node before requantisation. Of a [`Op::Linear`](crate::Op::Linear): bias included, one for
    /// every window before pooling, `[out channel][height][width]`; of other nodes that requantise: one an output, with
    /// the multiplier; of other nodes: none.
    pub accumulators: Vec<Vec<i64>>,
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
        for (index, (&id, input)) in self.inputs.iter().zip(inputs).enumerate() {
            let hidden = self.visibility.input(index).is_hidden();
            let tensor = &self.tensors[id];
            let (expected, got) = (tensor.shape.len(), input.len());
            if expected != got {
                return Err(ExecuteError::InputLength { tensor: tensor.name.clone(), expected, got });
            }
            let Format { min, max, .. } = tensor.format;
            if let Some((index, &got)) = input.iter().enumerate().find(|(_, v)| **v < min || **v > max) {
                if hidden {
                    return Err(ExecuteError::HiddenRange { tensor: tensor.name.clone(), min, max });
                }
                return Err(ExecuteError::InputRange { tensor: tensor.name.clone(), index, got, min, max });
            }
            values[id].clone_from(input);
        }
        Ok(())
    }

    /// Accumulators and output of one node.
    fn run_node(&self, node: &Node, values: &[Vec<i64>]) -> Result<(Vec<i64>, Vec<i64>), ExecuteError> {
        Ok(match node.op.run(&self.site(node), values) {
            Outcome::Values(output) => (Vec::new(), output),
            Outcome::Accumulators(acc) => {
                let output = self.narrow(node, &acc);
                (acc, output)
            }
            Outcome::Maxima { accumulators, maxima } => (accumulators, self.narrow(node, &maxima)),
            Outcome::Raw(acc) => {
                check_raw(node, self.tensors[node.output].format, &acc)?;
                (acc.clone(), acc)
            }
        })
    }

    /// Requantised accumulators after the activation.
    fn narrow(&self, node: &Node, acc: &[i64]) -> Vec<i64> {
        // Whatever is requantised has one.
        let Some(function) = self.function(node) else { return Vec::new() };
        let shift = self.shift * node.op.limbs();
        acc.iter().map(|&a| function.apply(requantise(a, shift))).collect()
    }
}

fn check_raw(node: &Node, Format { min, max, .. }: Format, acc: &[i64]) -> Result<(), ExecuteError> {
    match acc.iter().enumerate().find(|(_, v)| **v < min || **v > max) {
        Some((index, &got)) => Err(ExecuteError::RawRange { node: node.name.clone(), index, got, min, max }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::activation::Activation;
    use crate::bounds::Bounds;
    use crate::ops::{Linear, Op, Origin};
    use crate::tensor::{Shape, Storage, Tensor};
    use crate::visibility::{Visibilities, Visibility};
    use crate::window::Window;

    use super::*;

    fn tensor(name: &str, channels: usize, height: usize, width: usize, min: i64, max: i64) -> Tensor {
        Tensor {
            name: name.into(),
            shape: Shape { channels, height, width },
            format: Format::new(0, min, max),
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
            visibility: Visibilities::default(),
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

    #[test]
    fn an_activation_is_looked_up_after_requantisation_and_saturates() {
        let mut graph =
            one_node(conv(Window::UNIT, vec![2], 0, [1, 1]), tensor("x", 1, 1, 5, -9, 9), tensor("y", 1, 1, 5, 0, 9));
        graph.activations = vec![Activation::table(-1, vec![7, 0, 3])];
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
    fn dense_bounds_are_attained() {
        let format = Format::new(0, -3, 7);
        let tensor = |n: usize, format| Tensor {
            name: String::new(),
            shape: Shape::vector(n),
            format,
            logical_shape: vec![n],
            storage: Storage::Plain,
        };
        let linear = Linear { raw: true, ..Linear::dense(2, vec![2, -5, 1, 0, 4, -1], vec![10, -20]) };
        let wide = Format::new(0, -1000, 1000);
        let graph = Graph {
            name: String::new(),
            shift: 1,
            tensors: vec![tensor(3, format), tensor(2, wide)],
            activations: Vec::new(),
            nodes: vec![Node {
                name: String::new(),
                op: Op::Linear(linear),
                inputs: vec![0],
                output: 1,
                activation: None,
            }],
            inputs: vec![0],
            outputs: vec![1],
            visibility: Visibilities::default(),
        };
        let [bounds] = graph.accumulator_bounds()[..] else { unreachable!() };
        let mut seen = Bounds { min: i64::MAX, max: i64::MIN };
        for code in 0..8 {
            let input = (0..3).map(|i| if code >> i & 1 == 0 { -3 } else { 7 }).collect();
            for &acc in &graph.run(&[input]).unwrap().accumulators[0] {
                seen = seen.union(Bounds { min: acc, max: acc });
            }
        }
        assert_eq!(bounds, seen);
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

    #[test]
    fn a_wrong_value_of_a_hidden_input_is_not_told() {
        let mut graph = one_node(Op::Reshape, tensor("x", 1, 1, 2, 0, 9), tensor("y", 2, 1, 1, 0, 9));
        graph.visibility.set_input(0, Visibility::Private);
        let message = graph.run(&[vec![1, 1234]]).unwrap_err().to_string();
        assert!(message.contains("'x'") && !message.contains("1234") && message.contains("hint:"), "{message}");
    }

    #[test]
    fn a_hidden_input_enters_as_it_is() {
        let mut graph = one_node(Op::Enter, tensor("x", 1, 1, 2, 0, 9), tensor("y", 1, 1, 2, 0, 9));
        assert!(graph.run(&[vec![1, 7]]).is_err(), "nothing is hidden");
        graph.visibility.set_input(0, Visibility::Private);
        assert_eq!(graph.run(&[vec![1, 7]]).unwrap().values[1], [1, 7]);
        graph.tensors[1].format.max = 8;
        assert!(graph.run(&[vec![1, 7]]).is_err(), "another range");
    }
}
