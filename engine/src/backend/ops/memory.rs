//! Device memory: transfers, copies and small windows.

use std::fmt::Debug;
use std::ops::Range;

use halo2curves::bn256::Fr;

use crate::backend::Result;

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

    /// The most bytes of device memory that vectors, points and scratch space took at a time since the device was
    /// opened; `None` where the back end does not tell, or has the processor's memory.
    fn peak_bytes(&self) -> Option<u64> {
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
