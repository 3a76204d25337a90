//! Between real numbers in the model's order and stored integers.

use super::{Execution, Graph, Shape, Storage, Tensor};

impl Storage {
    /// Elements in stored order from elements in the model's order. Indices beyond the channels leave their row without a 1.
    pub fn to_stored(self, shape: Shape, logical: &[f32]) -> Vec<f32> {
        let rows = shape.height * shape.width;
        match self {
            Self::Plain => logical.to_vec(),
            Self::Transposed => transpose(logical, rows),
            Self::OneHot => {
                let mut stored = vec![0.0; shape.len()];
                let places = logical.iter().enumerate().filter_map(|(row, v)| Some((row, index(*v, shape.channels)?)));
                places.for_each(|(row, channel)| stored[channel * rows + row] = 1.0);
                stored
            }
        }
    }

    /// Elements in the model's order from elements in stored order.
    pub fn to_logical(self, shape: Shape, stored: &[f32]) -> Vec<f32> {
        match self {
            Self::Plain => stored.to_vec(),
            Self::Transposed => transpose(stored, shape.channels),
            Self::OneHot => {
                let rows = shape.height * shape.width;
                let channel = |row: usize| (0..shape.channels).find(|channel| stored[channel * rows + row] != 0.0);
                (0..rows).map(|row| channel(row).unwrap_or_default() as f32).collect()
            }
        }
    }

    /// Number of elements of a tensor in the source model.
    pub fn logical_len(self, shape: Shape) -> usize {
        match self {
            Self::Plain | Self::Transposed => shape.len(),
            Self::OneHot => shape.height * shape.width,
        }
    }
}

/// The index that a number stands for, negative ones counted from the end as in ONNX; `None` for others.
pub fn index(value: f32, classes: usize) -> Option<usize> {
    // The cast saturates; indices are far below 2^24, to which floats hold every whole number.
    let whole = value as i64;
    let from_end = if whole < 0 { whole + classes as i64 } else { whole };
    usize::try_from(from_end).ok().filter(|index| *index < classes && whole as f32 == value)
}

impl Tensor {
    /// Elements in the model's (ONNX) order from elements in stored order.
    pub fn to_logical(&self, stored: &[f32]) -> Vec<f32> {
        self.storage.to_logical(self.shape, stored)
    }

    /// Elements in stored order from elements in the model's (ONNX) order.
    pub fn to_stored(&self, logical: &[f32]) -> Vec<f32> {
        self.storage.to_stored(self.shape, logical)
    }
}

/// The transpose of a row-major matrix of `rows` rows.
pub fn transpose<T: Copy>(matrix: &[T], rows: usize) -> Vec<T> {
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
    use super::super::Format;
    use super::*;

    #[test]
    fn a_matrix_is_stored_one_feature_a_channel() {
        let tensor = Tensor {
            name: "x".into(),
            shape: Shape { channels: 2, height: 1, width: 3 },
            format: Format { frac_bits: 0, min: -9, max: 9 },
            logical_shape: vec![1, 3, 2],
            storage: Storage::Transposed,
        };
        let stored = tensor.to_stored(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(stored, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert_eq!(tensor.to_logical(&stored), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn an_index_is_the_channel_that_holds_one() {
        let shape = Shape { channels: 3, height: 1, width: 2 };
        let stored = Storage::OneHot.to_stored(shape, &[2.0, -3.0]);
        assert_eq!(stored, [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(Storage::OneHot.to_logical(shape, &stored), [2.0, 0.0]);
        for value in [3.0, -4.0, 0.5, f32::NAN, f32::INFINITY, -1e30] {
            assert_eq!(index(value, 3), None, "{value}");
        }
    }
}
