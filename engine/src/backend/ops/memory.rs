//! Device memory: transfers, copies and small windows.

use std::fmt::{self, Debug};
use std::ops::Range;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::backend::{Counts, Result};
use crate::secret::wipe_elements;

/// A column that the host has as integers: these, then zeros, then other elements. Its `Debug` form shows lengths only:
/// values may be secret.
#[derive(Clone, Copy)]
pub struct IntegerColumn<'a> {
    /// The first rows, of either sign.
    pub integers: &'a [i64],
    /// Number of zeros behind them.
    pub zeros: usize,
    /// The last rows, such as blinding.
    pub rest: &'a [Fr],
}

impl fmt::Debug for IntegerColumn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntegerColumn({} + {} + {})", self.integers.len(), self.zeros, self.rest.len())
    }
}

impl IntegerColumn<'_> {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.integers.len() + self.zeros + self.rest.len()
    }

    /// Whether it has no row.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, as field elements.
    pub fn elements(&self) -> Vec<Fr> {
        let mut elements = Vec::with_capacity(self.len());
        elements.extend(self.integers.iter().map(|value| element(*value)));
        elements.resize(self.integers.len() + self.zeros, Fr::ZERO);
        elements.extend_from_slice(self.rest);
        elements
    }
}

/// An integer as a field element.
pub(in crate::backend) fn element(value: i64) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// Vectors of scalars resident on a device.
pub trait MemoryOps: Debug + Send + Sync {
    /// A resident vector of scalars. Its length never changes.
    type Scalars: Debug + Send + Sync;

    /// The back end's short name, such as `cpu`.
    fn name(&self) -> String;

    /// The device in words, for reports: model, memory, threads.
    fn description(&self) -> String;

    /// Whether vectors are in the host's own memory, where a witness costs nothing to bring.
    fn is_host(&self) -> bool {
        true
    }

    /// Whether a vector takes so much less memory than field elements do that its transforms are better made anew than
    /// kept: integers that are kept as such.
    fn is_compact(&self, _vector: &Self::Scalars) -> bool {
        false
    }

    /// The most bytes of device memory that vectors, points and scratch space took at a time since the device was
    /// opened; `None` where the back end does not tell, or has the processor's memory.
    fn peak_bytes(&self) -> Option<u64> {
        None
    }

    /// Bytes of the device's own memory that are left; `None` where the back end does not tell, or has the processor's.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// What the device has done since it was opened; `None` where the back end does not count, or is the processor.
    fn counts(&self) -> Option<Counts> {
        None
    }

    /// Number of elements of a resident vector. Needs no device work.
    fn len(&self, vector: &Self::Scalars) -> usize;

    /// Copies host values to the device.
    ///
    /// # Errors
    /// Device failures only, such as exhausted memory.
    fn upload(&self, values: &[Fr]) -> Result<Self::Scalars>;

    /// Copies several host columns (of any lengths) to the device, in one transfer where the device can.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    fn upload_columns(&self, columns: &[&[Fr]]) -> Result<Vec<Self::Scalars>> {
        columns.iter().map(|column| self.upload(column)).collect()
    }

    /// As [`upload`](Self::upload), of values that the host needs no longer: they stay, or are cleared.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    fn upload_owned(&self, mut values: Vec<Fr>) -> Result<Self::Scalars> {
        let uploaded = self.upload(&values);
        wipe_elements(&mut values);
        uploaded
    }

    /// Copies a column of integers to the device, as field elements.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    fn upload_integers(&self, column: IntegerColumn<'_>) -> Result<Self::Scalars> {
        self.upload_owned(column.elements())
    }

    /// Copies several columns of integers (of any lengths) to the device, in one transfer of as few bytes as the
    /// integers take where the device can.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    fn upload_integer_columns(&self, columns: &[IntegerColumn<'_>]) -> Result<Vec<Self::Scalars>> {
        let mut elements: Vec<Vec<Fr>> = columns.par_iter().map(IntegerColumn::elements).collect();
        let uploaded = self.upload_columns(&elements.iter().map(Vec::as_slice).collect::<Vec<_>>());
        elements.iter_mut().for_each(|column| wipe_elements(column));
        uploaded
    }

    /// A vector of `len` zeros.
    ///
    /// # Errors
    /// Device failures only.
    fn zeros(&self, len: usize) -> Result<Self::Scalars>;

    /// Copies a whole vector back to the host.
    ///
    /// # Errors
    /// Device failures only.
    fn download(&self, vector: &Self::Scalars) -> Result<Vec<Fr>>;

    /// Copies the rows `range` back to the host. Meant for a few rows.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::BackendError::OutOfRange) when the window reaches past the end.
    fn read_range(&self, vector: &Self::Scalars, range: Range<usize>) -> Result<Vec<Fr>>;

    /// Overwrites the rows from `start` on with host values. Meant for a few rows, such as blinding rows.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::BackendError::OutOfRange) when the window reaches past the end.
    fn write_range(&self, vector: &mut Self::Scalars, start: usize, values: &[Fr]) -> Result<()>;

    /// A copy of the rows `range` as a vector of its own; the whole range duplicates the vector.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::BackendError::OutOfRange) when the window reaches past the end.
    fn slice(&self, vector: &Self::Scalars, range: Range<usize>) -> Result<Self::Scalars>;
}
