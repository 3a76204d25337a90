//! Between real numbers in the model's order and stored integers: quantisation of inputs, dequantisation of outputs.

use crate::execute::Execution;
use crate::graph::Graph;

impl Graph {
    /// Quantises real inputs, given in the model's order, to what [`Graph::run`] takes. Values beyond an input's
    /// range saturate.
    pub fn quantise_inputs(&self, inputs: &[Vec<f32>]) -> Vec<Vec<i64>> {
        let quantise = |(&id, input): (&usize, &Vec<f32>)| {
            let tensor = &self.tensors[id];
            tensor.to_stored(input).into_iter().map(|v| tensor.format.quantise(v)).collect()
        };
        self.inputs.iter().zip(inputs).map(quantise).collect()
    }

    /// The outputs of an inference as real numbers in the model's order.
    pub fn dequantise_outputs(&self, execution: &Execution) -> Vec<Vec<f32>> {
        let dequantise = |&id: &usize| {
            let tensor = &self.tensors[id];
            let stored: Vec<f32> = execution.values[id].iter().map(|&v| tensor.format.dequantise(v)).collect();
            tensor.to_logical(&stored)
        };
        self.outputs.iter().map(dequantise).collect()
    }
}
