//! The statement: which tensors are given and claimed, who sees them, and where the public ones stand in the instance
//! columns.
//!
//! The verifier builds the instance columns from the claimed tensors by this map alone; a proof brings none. A hidden
//! tensor has no cell there. Of a committed one the verifier has commitments to columns that hold nothing else.

use halo2curves::bn256::Fr;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zkml_gpu_graph::{Format, MANTISSA_LIMIT, Storage, Visibility};

use super::architecture::Architecture;
use super::geometry::Geometry;
use crate::hash::{HashError, HashedTensor, TensorHash};
use crate::scalar;

/// Most cells of all instance columns: a verifier holds and hashes every one, 128 MiB in all.
pub(crate) const MAX_INSTANCE_CELLS: usize = 1 << 22;
/// Largest scale of a public tensor as a power of two; quantisation keeps to a quarter of it.
const MAX_FRAC_BITS: i32 = 256;

/// Rows and columns of a tensor in the instance columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// Operand lanes, row after row: sequence `c`, position `p` at row `first_row + c·row_stride + p / lanes`, lane
    /// `p % lanes`, where the position of an element is its sequence's length less 1 less its exponent there.
    Packed {
        /// First row of the first sequence.
        first_row: usize,
        /// Rows from one sequence to the next.
        row_stride: usize,
        /// Operand lanes.
        lanes: usize,
        /// Order of the elements.
        geometry: Geometry,
    },
    /// Element `i` in `column`, row `first_row + i·row_stride`.
    Column {
        /// Instance column.
        column: usize,
        /// Row of the first element.
        first_row: usize,
        /// Rows from one element to the next.
        row_stride: usize,
    },
    /// Nowhere: the values are the prover's alone.
    Private,
    /// In columns of its own, which are committed, and nowhere else: element `i`, as stored, in row `i % rows` of
    /// committed column `first + i / rows`. The order is the tensor's own, whatever the layout.
    Committed {
        /// First of its columns among those of all committed tensors.
        first: usize,
        /// Rows of a column that may hold elements: all usable ones.
        rows: usize,
    },
    /// Behind a hash, which is public: in the rows of [`HashedTensor`] from `first_row` on.
    Hashed {
        /// First row.
        first_row: usize,
    },
}

impl Placement {
    /// Whether the numbers are such that [`cell`](Self::cell) is defined for `len` elements, without overflow.
    fn is_sound(&self, len: usize) -> bool {
        const LIMIT: usize = 1 << 28;
        match *self {
            Self::Packed { first_row, row_stride, lanes, geometry } => {
                let numbers = match geometry {
                    Geometry::Flat { len: flat } => flat == len,
                    Geometry::Image { channels, height, width, row_pitch, column_pitch, channel_pitch } => {
                        let sizes = [channels, height, width, row_pitch, column_pitch, channel_pitch];
                        // Numbers of at most 2^28: no product of two overflows.
                        sizes.iter().all(|n| (1..=LIMIT).contains(n))
                            && channels.checked_mul(height).and_then(|n| n.checked_mul(width)) == Some(len)
                            && (width - 1) * column_pitch < row_pitch.max(channel_pitch)
                            && (height - 1) * row_pitch + (width - 1) * column_pitch < channel_pitch
                    }
                };
                numbers && lanes > 0 && first_row <= LIMIT && row_stride <= LIMIT && len <= LIMIT
            }
            Self::Column { first_row, row_stride, .. } => first_row <= LIMIT && row_stride <= LIMIT && len <= LIMIT,
            Self::Private => len <= LIMIT,
            Self::Hashed { first_row } => (1..=LIMIT).contains(&first_row) && len <= LIMIT,
            Self::Committed { first, rows } => first <= LIMIT && (1..=LIMIT).contains(&rows) && len <= LIMIT,
        }
    }

    /// Instance column and row of an element; none where it is hidden.
    pub fn cell(&self, element: usize) -> Option<(usize, usize)> {
        Some(match *self {
            Self::Packed { first_row, row_stride, lanes, geometry } => {
                let (_, length) = geometry.sequences(lanes);
                let sequence = match geometry {
                    Geometry::Flat { .. } => 0,
                    Geometry::Image { height, width, .. } => element / (height * width),
                };
                let position = length - 1 - geometry.exponent(element) % length;
                (position % lanes, first_row + sequence * row_stride + position / lanes)
            }
            Self::Column { column, first_row, row_stride } => (column, first_row + element * row_stride),
            Self::Private | Self::Committed { .. } | Self::Hashed { .. } => return None,
        })
    }

    /// Committed column and row of an element; none where it is not committed.
    pub fn committed_cell(&self, element: usize) -> Option<(usize, usize)> {
        match *self {
            Self::Committed { first, rows } => Some((first + element / rows, element % rows)),
            Self::Packed { .. } | Self::Column { .. } | Self::Private | Self::Hashed { .. } => None,
        }
    }

    /// Who sees the values.
    pub const fn visibility(&self) -> Visibility {
        match self {
            Self::Packed { .. } | Self::Column { .. } => Visibility::Public,
            Self::Private => Visibility::Private,
            Self::Committed { .. } => Visibility::Committed,
            Self::Hashed { .. } => Visibility::Hashed,
        }
    }
}

/// A tensor of the statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Name in the model.
    pub name: String,
    /// Shape in the model.
    pub logical_shape: Vec<usize>,
    /// Number of elements as stored.
    pub len: usize,
    /// How they are stored.
    pub storage: Storage,
    /// Meaning and range of the integers.
    pub format: Format,
    /// Where the elements stand.
    pub placement: Placement,
}

/// Why claimed tensors are no instance of the statement.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Wrong number of tensors.
    #[error("{kind}: got {got} tensors, expected {expected}")]
    Count {
        /// `inputs` or `outputs`.
        kind: &'static str,
        /// Given.
        got: usize,
        /// Declared.
        expected: usize,
    },
    /// Wrong number of elements.
    #[error("tensor '{name}': got {got} values, expected {expected}")]
    Length {
        /// Tensor.
        name: String,
        /// Given.
        got: usize,
        /// Declared.
        expected: usize,
    },
    /// A value outside the declared range.
    #[error("tensor '{name}': value {value} at index {index} is outside the declared range {min}..={max}")]
    Range {
        /// Tensor.
        name: String,
        /// Position.
        index: usize,
        /// Offending value.
        value: i64,
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// Values of a tensor that is hidden.
    #[error("tensor '{name}': values of a hidden tensor, which no statement has")]
    Hidden {
        /// Tensor.
        name: String,
    },
    /// A wrong number of hashes.
    #[error("got {got} hashes of hidden tensors, expected {expected}")]
    Hashes {
        /// Given.
        got: usize,
        /// Declared.
        expected: usize,
    },
    /// A wrong number of commitments.
    #[error("got {got} commitments to hidden tensors, expected {expected}")]
    Commitments {
        /// Given.
        got: usize,
        /// Declared.
        expected: usize,
    },
    /// A row of an input of indices that is no one-hot form of an index.
    #[error("tensor '{name}': row {row} is no index: it must hold {one} once and 0 elsewhere")]
    OneHot {
        /// Tensor.
        name: String,
        /// The row.
        row: usize,
        /// The integer that stands for 1.
        one: i64,
    },
}

/// All tensors that are given or claimed, and the exact lengths of the instance columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Inputs, in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs, in the model's order.
    pub outputs: Vec<Port>,
    /// Exact length of each instance column.
    pub lengths: Vec<usize>,
}

impl Statement {
    /// Sets each column's length to its last cell in use.
    pub(crate) fn set_lengths(&mut self, columns: usize) {
        let mut lengths = vec![0; columns];
        for port in self.ports() {
            for (column, row) in port.cells() {
                lengths[column] = lengths[column].max(row + 1);
            }
        }
        // The hashes' column is the last.
        let hashes = self.hashed().unwrap_or_default().iter().map(HashedTensor::end).max();
        if let (Some(length), Some(end)) = (lengths.last_mut(), hashes) {
            *length = end;
        }
        self.lengths = lengths;
    }

    /// Inputs, then outputs.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.inputs.iter().chain(&self.outputs)
    }

    /// The rows of the hashed tensors, inputs first.
    ///
    /// # Errors
    /// [`HashError`] for a place that no hash has.
    pub fn hashed(&self) -> Result<Vec<HashedTensor>, HashError> {
        self.ports().filter_map(Port::hashed).collect()
    }

    /// Columns of committed tensors.
    pub fn committed_columns(&self) -> usize {
        self.ports().map(Port::committed_columns).fold(0, usize::saturating_add)
    }

    /// The claimed tensors of a prover as a verifier sees them: hidden ones are empty.
    pub fn shown(&self, inputs: &[Vec<i64>], outputs: &[Vec<i64>]) -> [Vec<Vec<i64>>; 2] {
        [(&self.inputs, inputs), (&self.outputs, outputs)].map(|(ports, values)| {
            // What has no port is refused with the numbers of tensors.
            let is_hidden = |i: usize| ports.get(i).is_some_and(|port| port.visibility().is_hidden());
            values.iter().enumerate().map(|(i, v)| if is_hidden(i) { Vec::new() } else { v.clone() }).collect()
        })
    }

    /// Cells of the instance columns.
    pub fn cells(&self) -> usize {
        self.lengths.iter().fold(0, |sum, len| sum.saturating_add(*len))
    }

    /// Checks that every cell lies in its column's declared length and belongs to one tensor, that the committed columns
    /// are those of the committed tensors in their order, and that a verifier can work with the numbers: for statements
    /// read from a file.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, architecture: &Architecture, usable: usize) -> Result<(), String> {
        let columns = architecture.instance_columns();
        if self.lengths.len() != columns || self.lengths.iter().any(|len| *len > usable) {
            return Err("instance columns disagree with the circuit".into());
        }
        if self.cells() > MAX_INSTANCE_CELLS {
            return Err("instance columns are too long".into());
        }
        let mut taken: Vec<Vec<bool>> = self.lengths.iter().map(|len| vec![false; *len]).collect();
        let mut committed = 0;
        for port in self.ports() {
            let room = match port.placement {
                Placement::Packed { .. } | Placement::Column { .. } => self.cells(),
                // Nothing is held for what is hidden.
                Placement::Private | Placement::Hashed { .. } => usize::MAX,
                Placement::Committed { first, rows } => {
                    if first != committed || rows > usable {
                        return Err(format!("tensor '{}' leaves the committed columns", port.name));
                    }
                    architecture.committed_columns.saturating_mul(usable)
                }
            };
            if !port.is_sound() || port.len > room {
                return Err(format!("tensor '{}' does not fit", port.name));
            }
            committed += port.committed_columns();
            for (column, row) in port.cells() {
                match taken.get_mut(column).and_then(|column| column.get_mut(row)) {
                    Some(cell) if !*cell => *cell = true,
                    _ => return Err(format!("tensor '{}' leaves the instance columns", port.name)),
                }
            }
        }
        self.check_hashes(architecture)?;
        if committed == architecture.committed_columns {
            Ok(())
        } else {
            Err("committed columns disagree with the circuit".into())
        }
    }

    /// Checks that there are hashes where the circuit has them, and that each comes out on a row of its own, inside of
    /// their instance column.
    fn check_hashes(&self, architecture: &Architecture) -> Result<(), String> {
        let hashed = self.hashed().map_err(|error| error.to_string())?;
        if hashed.is_empty() == architecture.has_hashes() {
            return Err("hashes disagree with the circuit".into());
        }
        // Stored in another order, values would stand on the rows of others. Of ones and zeros the indices are hashed.
        let in_order = |port: &Port| matches!(port.storage, Storage::Plain | Storage::OneHot);
        if self.ports().any(|port| port.hashed().is_some() && !in_order(port)) {
            return Err("a hash of a tensor in another order than the model's".into());
        }
        let length = self.lengths.get(architecture.hash_instance()).copied().unwrap_or(0);
        let mut end = 1;
        for tensor in &hashed {
            if tensor.first_row() < end || tensor.end() > length {
                return Err("a hash leaves its rows".into());
            }
            end = tensor.end();
        }
        Ok(())
    }

    /// As [`instances`](Self::instances), with the hashes of hashed tensors, inputs first.
    ///
    /// # Errors
    /// As there, and [`StatementError::Hashes`] for a wrong number.
    pub fn instances_with(
        &self,
        inputs: &[Vec<i64>],
        outputs: &[Vec<i64>],
        hashes: &[TensorHash],
    ) -> Result<Vec<Vec<Fr>>, StatementError> {
        let hashed = self.hashed().unwrap_or_default();
        if hashed.len() != hashes.len() {
            return Err(StatementError::Hashes { got: hashes.len(), expected: hashed.len() });
        }
        let mut columns = self.tensor_instances(inputs, outputs)?;
        for (tensor, hash) in hashed.iter().zip(hashes) {
            if let Some(cell) = columns.last_mut().and_then(|column| column.get_mut(tensor.output_row())) {
                *cell = hash.element();
            }
        }
        Ok(columns)
    }

    /// The instance columns for claimed tensors (storage order; hidden ones are empty): exact lengths, zero where no
    /// tensor stands.
    ///
    /// # Errors
    /// [`StatementError`] for a wrong number of tensors or values, a value outside its declared range, any value of a
    /// hidden tensor, or where a tensor is hashed.
    pub fn instances(&self, inputs: &[Vec<i64>], outputs: &[Vec<i64>]) -> Result<Vec<Vec<Fr>>, StatementError> {
        self.instances_with(inputs, outputs, &[])
    }

    fn tensor_instances(&self, inputs: &[Vec<i64>], outputs: &[Vec<i64>]) -> Result<Vec<Vec<Fr>>, StatementError> {
        let mut columns: Vec<Vec<Fr>> = self.lengths.iter().map(|len| vec![Fr::zero(); *len]).collect();
        for (kind, ports, values) in [("inputs", &self.inputs, inputs), ("outputs", &self.outputs, outputs)] {
            if ports.len() != values.len() {
                return Err(StatementError::Count { kind, got: values.len(), expected: ports.len() });
            }
            for (port, values) in ports.iter().zip(values) {
                port.check(values)?;
                for ((column, row), value) in port.cells().zip(values) {
                    columns[column][row] = scalar::from_i64(*value);
                }
            }
        }
        Ok(columns)
    }
}

impl Port {
    /// Whether the shape, the scale and the place are such that values can be converted and placed without overflow.
    fn is_sound(&self) -> bool {
        let elements = self.logical_shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let Format { frac_bits, mantissa, min, max } = self.format;
        let classes = elements.filter(|n| *n > 0 && self.len.is_multiple_of(*n)).map(|n| self.len / n);
        let stored = match self.storage {
            Storage::Plain | Storage::Transposed => classes == Some(1),
            Storage::Interleaved { inferences, .. } => {
                classes == Some(1) && inferences > 0 && self.len.is_multiple_of(inferences as usize)
            }
            Storage::OneHot => classes.is_some() && self.format.min == 0 && self.format.max > 0,
        };
        stored
            && self.len > 0
            && min <= max
            && (-MAX_FRAC_BITS..=MAX_FRAC_BITS).contains(&frac_bits)
            && mantissa % 2 == 1
            && mantissa < MANTISSA_LIMIT
            && self.placement.is_sound(self.len)
    }

    /// Who sees the values.
    pub const fn visibility(&self) -> Visibility {
        self.placement.visibility()
    }

    /// Instance column and row of each element; nothing where they are hidden.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let cell = |element| self.placement.cell(element);
        (0..self.len).map_while(cell)
    }

    /// Meaning and range of the elements in the model's order: of an input of indices, which the circuit stores as ones
    /// and zeros, those of the indices.
    pub fn logical_format(&self) -> Format {
        match self.storage {
            Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => self.format,
            Storage::OneHot => {
                let max = i64::try_from(self.classes().saturating_sub(1)).unwrap_or(i64::MAX);
                Format::new(0, 0, max)
            }
        }
    }

    /// The rows of its hash, where it has one: of its elements in the model's order.
    pub fn hashed(&self) -> Option<Result<HashedTensor, HashError>> {
        match self.placement {
            Placement::Hashed { first_row } => {
                Some(HashedTensor::new(self.logical_format(), self.logical_len(), first_row))
            }
            Placement::Packed { .. } | Placement::Column { .. } | Placement::Private | Placement::Committed { .. } => {
                None
            }
        }
    }

    /// Number of committed columns that the tensor has.
    pub const fn committed_columns(&self) -> usize {
        match self.placement {
            Placement::Committed { rows, .. } => self.len.div_ceil(if rows == 0 { 1 } else { rows }),
            Placement::Packed { .. } | Placement::Column { .. } | Placement::Private | Placement::Hashed { .. } => 0,
        }
    }

    fn check(&self, values: &[i64]) -> Result<(), StatementError> {
        if self.visibility().is_hidden() {
            // A verifier that took them would make a claim of them that nobody proves.
            let hidden = || StatementError::Hidden { name: self.name.clone() };
            return if values.is_empty() { Ok(()) } else { Err(hidden()) };
        }
        if values.len() != self.len {
            return Err(StatementError::Length { name: self.name.clone(), got: values.len(), expected: self.len });
        }
        let Format { min, max, .. } = self.format;
        if let Some(index) = values.iter().position(|v| !(min..=max).contains(v)) {
            return Err(StatementError::Range { name: self.name.clone(), index, value: values[index], min, max });
        }
        match (0..self.logical_len()).find(|row| self.storage == Storage::OneHot && self.index(values, *row).is_none())
        {
            None => Ok(()),
            Some(row) => Err(StatementError::OneHot { name: self.name.clone(), row, one: max }),
        }
    }

    /// Number of elements in the model.
    pub fn logical_len(&self) -> usize {
        self.logical_shape.iter().product()
    }

    /// Channels of an input of indices, which are below it: its stored elements for each index.
    pub fn classes(&self) -> usize {
        self.len / self.logical_len().max(1)
    }

    /// The indices of all rows of an input of indices, in the model's order; -1 of a row that is no one-hot form.
    pub fn indices(&self, stored: &[i64]) -> Vec<i64> {
        let index = |row| self.index(stored, row).and_then(|index| i64::try_from(index).ok());
        (0..self.logical_len()).map(|row| index(row).unwrap_or(-1)).collect()
    }

    /// The index in a row of an input of indices: the channel that holds the greatest integer, where the others hold 0.
    pub fn index(&self, stored: &[i64], row: usize) -> Option<usize> {
        let value = |channel: usize| stored[channel * self.logical_len() + row];
        let mut channels = (0..self.classes()).filter(|channel| value(*channel) != 0);
        let channel = channels.next()?;
        (value(channel) == self.format.max && channels.next().is_none()).then_some(channel)
    }
}
