//! Between real numbers in the model's order and stored integers.

use super::{Execution, Graph, Tensor};

impl Tensor {
    /// Elements in the model's (ONNX) order from elements in stored order.
    pub fn to_logical<T: Copy>(&self, stored: &[T]) -> Vec<T> {
        if self.transposed { transpose(stored, self.shape.channels) } else { stored.to_vec() }
    }

    /// Elements in stored order from elements in the model's (ONNX) order.
    pub fn to_stored<T: Copy>(&self, logical: &[T]) -> Vec<T> {
        if self.transposed { transpose(logical, self.shape.height * self.shape.width) } else { logical.to_vec() }
    }
}

/// The transpose of a row-major matrix of `rows` rows.
pub(crate) fn transpose<T: Copy>(matrix: &[T], rows: usize) -> Vec<T> {
    let columns = matrix.len() / rows.max(1);
    (0..columns).flat_map(|j| (0..rows).map(move |i| matrix[i * columns + j])).collect()
}

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

#[cfg(test)]
mod tests {
    use super::super::{Format, Shape};
    use super::*;

    #[test]
    fn a_matrix_is_stored_one_feature_a_channel() {
        let tensor = Tensor {
            name: "x".into(),
            shape: Shape { channels: 2, height: 1, width: 3 },
            format: Format { frac_bits: 0, min: -9, max: 9 },
            logical_shape: vec![1, 3, 2],
            transposed: true,
        };
        let stored = tensor.to_stored(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(stored, [1, 3, 5, 2, 4, 6]);
        assert_eq!(tensor.to_logical(&stored), [1, 2, 3, 4, 5, 6]);
    }
}
