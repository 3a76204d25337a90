//! Tensors of integers: their extent, which real numbers the integers represent, and in which order they are stored.

use serde::{Deserialize, Serialize};

/// Index of a tensor in [`Graph::tensors`](crate::Graph::tensors).
pub type TensorId = usize;

/// Extent of a tensor: channels, height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Channels; the features of a vector or matrix.
    pub channels: usize,
    /// Rows of the image; 1 for vectors and matrices.
    pub height: usize,
    /// Columns of the image; the batch rows of a matrix; 1 for vectors.
    pub width: usize,
}

impl Shape {
    /// A vector of `n` features.
    pub const fn vector(n: usize) -> Self {
        Self { channels: n, height: 1, width: 1 }
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether the tensor has no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row-major index of an element.
    pub const fn index(&self, c: usize, i: usize, j: usize) -> usize {
        (c * self.height + i) * self.width + j
    }

    /// Channel, row and column of the element with this row-major index.
    pub const fn position(&self, element: usize) -> (usize, usize, usize) {
        (element / (self.height * self.width), element / self.width % self.height, element % self.width)
    }
}

/// How integers represent real numbers: `real = v · mantissa · 2^-frac_bits`, `min <= v <= max`. A scale that
/// quantisation chooses is a power of two; one that a model's file has may be any 32-bit float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Fractional bits; may be negative.
    pub frac_bits: i32,
    /// What the scale is beside a power of two: 1, or an odd number below [`MANTISSA_LIMIT`].
    pub mantissa: u32,
    /// Least value, inclusive.
    pub min: i64,
    /// Greatest value, inclusive.
    pub max: i64,
}

/// Mantissas are below: those of 32-bit floats.
pub const MANTISSA_LIMIT: u32 = 1 << f32::MANTISSA_DIGITS;

impl Format {
    /// Integers from `min` to `max` times `2^-frac_bits`.
    pub const fn new(frac_bits: i32, min: i64, max: i64) -> Self {
        Self { frac_bits, mantissa: 1, min, max }
    }

    /// The same integers, each for `unit` times as much; `None` where that is no positive finite number, or the format
    /// has a unit of its own already.
    pub fn in_units(&self, unit: f32) -> Option<Self> {
        if !(unit.is_finite() && unit > 0.0) || self.mantissa != 1 {
            return None;
        }
        let exponent = (unit.to_bits() >> (f32::MANTISSA_DIGITS - 1)) as i32;
        let fraction = unit.to_bits() & (MANTISSA_LIMIT / 2 - 1);
        // Below the least exponent there is no leading 1.
        let (mantissa, exponent) =
            if exponent == 0 { (fraction, 1) } else { (fraction | (MANTISSA_LIMIT / 2), exponent) };
        let power = exponent - (f32::MAX_EXP - 1) - (f32::MANTISSA_DIGITS as i32 - 1);
        let even = mantissa.trailing_zeros();
        Some(Self { frac_bits: self.frac_bits - power - even as i32, mantissa: mantissa >> even, ..*self })
    }

    /// What 1 stands for.
    pub fn step(&self) -> f64 {
        f64::from(self.mantissa) * 2f64.powi(self.frac_bits.saturating_neg())
    }

    /// The scale in words: a power of two, and the factor beside it where there is one.
    pub fn scale_text(&self) -> String {
        let power = -i64::from(self.frac_bits);
        if self.mantissa == 1 { format!("2^{power}") } else { format!("{}·2^{power}", self.mantissa) }
    }

    /// Whether integers stand for the same numbers in both, whatever their ranges.
    pub fn has_scale_of(&self, other: &Self) -> bool {
        (self.frac_bits, self.mantissa) == (other.frac_bits, other.mantissa)
    }

    /// Nearest integer to `real`, saturated to the range; not-a-number becomes 0.
    pub fn quantise(&self, real: f32) -> i64 {
        let scaled = (f64::from(real) * 2f64.powi(self.frac_bits) / f64::from(self.mantissa)).round();
        if scaled.is_nan() {
            return 0;
        }
        // A cast from float saturates at the type's bounds, so the clamp decides.
        (scaled as i64).clamp(self.min, self.max)
    }

    /// Largest magnitude of an integer.
    pub fn magnitude(&self) -> i64 {
        self.max.max(self.min.saturating_neg())
    }

    /// The real number that `v` represents.
    pub fn dequantise(&self, v: i64) -> f32 {
        (v as f64 * self.step()) as f32
    }
}

/// A value of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Name in the source model.
    pub name: String,
    /// Extent as stored.
    pub shape: Shape,
    /// Meaning and range of the integers.
    pub format: Format,
    /// Shape in the source model (ONNX axis order), for input and output files.
    pub logical_shape: Vec<usize>,
    /// How the elements are stored.
    pub storage: Storage,
}

/// How stored elements represent those of a tensor of the source model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    /// As they are, in the model's order.
    #[default]
    Plain,
    /// `rows × features` with more than one row, stored as its transpose.
    Transposed,
    /// Indices below the number of channels, each a row in which the channel of its number holds 1, the greatest
    /// integer of the format, and the others 0.
    OneHot,
    /// Several inferences, one after the other in the model's order, whose elements alternate: element `e` of inference
    /// `b` is stored at `e·inferences + b`.
    Interleaved {
        /// How many.
        inferences: u32,
        /// Whether an inference is `rows × features`, stored as its transpose.
        transposed: bool,
    },
}

impl Storage {
    /// Elements in stored order from elements in the model's order. Indices beyond the channels leave their row without
    /// a 1.
    pub fn to_stored(self, shape: Shape, logical: &[f32]) -> Vec<f32> {
        let rows = shape.height * shape.width;
        match self {
            Self::Plain => logical.to_vec(),
            Self::Transposed | Self::Interleaved { .. } => {
                self.places(shape).into_iter().flatten().filter_map(|place| logical.get(place).copied()).collect()
            }
            Self::OneHot => {
                let mut stored = vec![0.0; shape.len()];
                let places = logical.iter().enumerate().filter_map(|(row, v)| Some((row, index(*v, shape.channels)?)));
                places.for_each(|(row, channel)| stored[channel * rows + row] = 1.0);
                stored
            }
        }
    }

    /// Of each element in stored order the place in the model's order; none of an index, which several elements stand for.
    pub fn places(self, shape: Shape) -> Option<Vec<usize>> {
        let (rows, logical) = (shape.height * shape.width, 0..shape.len());
        match self {
            Self::Plain => Some(logical.collect()),
            Self::Transposed => Some(transpose(&logical.collect::<Vec<_>>(), rows)),
            Self::OneHot => None,
            Self::Interleaved { inferences, transposed } => {
                let inferences = (inferences as usize).max(1);
                let one: Vec<usize> = (0..shape.len() / inferences).collect();
                let one = &if transposed { transpose(&one, rows / inferences) } else { one };
                let of = |inference: usize| one.iter().map(move |place| inference * one.len() + place);
                Some(transpose(&(0..inferences).flat_map(of).collect::<Vec<_>>(), inferences))
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
            Self::Interleaved { inferences, transposed } => {
                let each = transpose(stored, stored.len() / (inferences as usize).max(1));
                let len = (stored.len() / (inferences as usize).max(1)).max(1);
                let order = |one: &[f32]| if transposed { transpose(one, shape.channels) } else { one.to_vec() };
                each.chunks(len).flat_map(order).collect()
            }
        }
    }

    /// Number of elements of a tensor in the source model.
    pub fn logical_len(self, shape: Shape) -> usize {
        match self {
            Self::Plain | Self::Transposed | Self::Interleaved { .. } => shape.len(),
            Self::OneHot => shape.height * shape.width,
        }
    }
}

/// The index that a number represents, negative ones counted from the end as in ONNX; `None` for others.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_mantissa_and_a_power_of_two() {
        let format = Format::new(3, -8, 7);
        for unit in [1.0, 0.1, 0.0078125, 3.5, 1e-20, f32::MIN_POSITIVE, f32::from_bits(1), f32::from_bits(3), 255.0] {
            let scaled = format.in_units(unit).unwrap();
            assert!(scaled.mantissa % 2 == 1 && scaled.mantissa < MANTISSA_LIMIT, "{unit}");
            assert_eq!(scaled.step(), f64::from(unit) / 8.0, "{unit}");
            assert_eq!([scaled.min, scaled.max], [-8, 7]);
            assert_eq!((unit == 0.1).then(|| scaled.in_units(2.0)), (unit == 0.1).then_some(None));
        }
        assert_eq!(format.in_units(0.5), Some(Format::new(4, -8, 7)));
        for unit in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(format.in_units(unit), None);
        }
        let tenths = Format::new(0, -128, 127).in_units(0.1).unwrap();
        assert_eq!([-0.3, 0.26, 99.0].map(|real| tenths.quantise(real)), [-3, 3, 127]);
        assert_eq!(tenths.dequantise(7), 0.7);
    }

    #[test]
    fn a_matrix_is_stored_one_feature_a_channel() {
        let tensor = Tensor {
            name: "x".into(),
            shape: Shape { channels: 2, height: 1, width: 3 },
            format: Format::new(0, -9, 9),
            logical_shape: vec![1, 3, 2],
            storage: Storage::Transposed,
        };
        let stored = tensor.to_stored(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(stored, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert_eq!(tensor.to_logical(&stored), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn elements_of_inferences_alternate() {
        let logical: Vec<f32> = (0..12).map(|v| v as f32).collect();
        // Two inferences of 2 × 1 × 3; transposed, of three rows of two features.
        let shape = Shape { channels: 2, height: 1, width: 6 };
        let plain = Storage::Interleaved { inferences: 2, transposed: false };
        assert_eq!(plain.to_stored(shape, &logical), [0.0, 6.0, 1.0, 7.0, 2.0, 8.0, 3.0, 9.0, 4.0, 10.0, 5.0, 11.0]);
        let turned = Storage::Interleaved { inferences: 2, transposed: true };
        assert_eq!(turned.to_stored(shape, &logical), [0.0, 6.0, 2.0, 8.0, 4.0, 10.0, 1.0, 7.0, 3.0, 9.0, 5.0, 11.0]);
        for storage in [plain, turned] {
            assert_eq!(storage.to_logical(shape, &storage.to_stored(shape, &logical)), logical);
        }
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
