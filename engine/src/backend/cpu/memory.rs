//! Resident vectors are host vectors, of field elements or of small integers.

use super::Cpu;
use super::integers::{Integers, RANDOM_ROWS, Rows};
#[cfg(feature = "icicle")]
use super::lanes::{as_words, as_words_mut};
use ff::Field;
use halo2curves::bn256::Fr;

use super::pages;
use crate::backend::operands::check_range;
use crate::backend::{IntegerColumn, MemoryOps, Result};
use crate::secret::{wipe_elements, wipe_integers};
#[cfg(feature = "icicle")]
use halo2curves::bn256::G1Affine;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use rayon::prelude::*;
#[cfg(feature = "icicle")]
use zkml_gpu_kernels::field::Words;

/// A vector of scalars in host memory. Its `Debug` form shows the length only: values may be secret.
pub struct CpuScalars(Storage);

/// How a vector is kept.
enum Storage {
    Elements(Vec<Fr>),
    Integers(Integers),
}

impl Drop for CpuScalars {
    /// Columns of a witness and all that follows from them are cleared; what is public, too, for it is not told apart.
    fn drop(&mut self) {
        match &mut self.0 {
            Storage::Elements(elements) => wipe_elements(elements),
            Storage::Integers(Integers { values, rest }) => {
                wipe_integers(values);
                wipe_elements(rest);
            }
        }
    }
}

impl From<Vec<Fr>> for CpuScalars {
    fn from(elements: Vec<Fr>) -> Self {
        CpuScalars(Storage::Elements(elements))
    }
}

impl fmt::Debug for CpuScalars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuScalars({})", self.len())
    }
}

impl CpuScalars {
    pub(in crate::backend) fn len(&self) -> usize {
        match &self.0 {
            Storage::Elements(elements) => elements.len(),
            Storage::Integers(integers) => integers.len(),
        }
    }

    /// The field elements, made for the occasion where integers are kept.
    pub(in crate::backend) fn elements(&self, cpu: &Cpu) -> Cow<'_, [Fr]> {
        match &self.0 {
            Storage::Elements(elements) => Cow::Borrowed(elements),
            Storage::Integers(integers) => Cow::Owned(integers.to_elements(cpu.processor)),
        }
    }

    /// The field elements, to be changed: integers are kept no longer.
    pub(super) fn elements_mut(&mut self, cpu: &Cpu) -> &mut Vec<Fr> {
        if let Storage::Integers(integers) = &self.0 {
            self.0 = Storage::Elements(integers.to_elements(cpu.processor));
        }
        match &mut self.0 {
            Storage::Elements(elements) => elements,
            Storage::Integers(_) => unreachable!("they have just become elements"),
        }
    }

    /// The rows as they are kept.
    pub(super) fn rows(&self) -> Rows<'_> {
        match &self.0 {
            Storage::Elements(elements) => Rows { integers: &[], elements },
            Storage::Integers(integers) => Rows { integers: &integers.values, elements: &integers.rest },
        }
    }

    /// The integers, where those are kept.
    pub(in crate::backend) fn integers(&self) -> Option<&Integers> {
        match &self.0 {
            Storage::Elements(_) => None,
            Storage::Integers(integers) => Some(integers),
        }
    }
}

/// The words of elements, in Montgomery form.
#[cfg(feature = "icicle")]
pub(in crate::backend) fn words(elements: &[Fr]) -> &[Words] {
    as_words(elements)
}

/// As [`words`], to write. Words written must be below p.
#[cfg(feature = "icicle")]
pub(in crate::backend) fn words_mut(elements: &mut [Fr]) -> &mut [Words] {
    as_words_mut(elements)
}

/// The words of a point's coordinates, in Montgomery form; those of the identity are zeros.
#[cfg(feature = "icicle")]
pub(in crate::backend) fn point_words(point: &G1Affine) -> [Words; 2] {
    [point.x, point.y].map(|coordinate| as_words(&[coordinate])[0])
}

impl MemoryOps for Cpu {
    type Scalars = CpuScalars;

    fn name(&self) -> String {
        "cpu".to_owned()
    }

    fn description(&self) -> String {
        let (arch, instructions) = (std::env::consts::ARCH, self.processor.name());
        format!("{arch} processor, {instructions}, {} threads", rayon::current_num_threads())
    }

    fn is_compact(&self, vector: &CpuScalars) -> bool {
        vector.integers().is_some()
    }

    fn len(&self, vector: &CpuScalars) -> usize {
        vector.len()
    }

    fn upload(&self, values: &[Fr]) -> Result<CpuScalars> {
        Ok(CpuScalars(match Integers::new(self.processor, values) {
            Some(integers) => Storage::Integers(integers),
            None => Storage::Elements(pages::copy(values)),
        }))
    }

    fn upload_columns(&self, columns: &[&[Fr]]) -> Result<Vec<CpuScalars>> {
        columns.par_iter().map(|column| self.upload(column)).collect()
    }

    fn upload_owned(&self, mut values: Vec<Fr>) -> Result<CpuScalars> {
        Ok(CpuScalars(match Integers::new(self.processor, &values) {
            Some(integers) => {
                wipe_elements(&mut values);
                Storage::Integers(integers)
            }
            None => Storage::Elements(values),
        }))
    }

    fn upload_integers(&self, column: IntegerColumn<'_>) -> Result<CpuScalars> {
        let IntegerColumn { integers, zeros, rest } = column;
        let small = |value: &i64| i32::try_from(*value).ok().filter(|value| *value != i32::MIN);
        let values = || -> Option<Vec<i32>> {
            let mut values = Vec::with_capacity(integers.len() + zeros);
            for value in integers {
                values.push(small(value)?);
            }
            values.resize(integers.len() + zeros, 0);
            Some(values)
        };
        Ok(CpuScalars(match values() {
            Some(values) if !values.is_empty() && rest.len() <= RANDOM_ROWS => {
                Storage::Integers(Integers { values, rest: rest.to_vec() })
            }
            _ => Storage::Elements(column.elements()),
        }))
    }

    fn upload_integer_columns(&self, columns: &[IntegerColumn<'_>]) -> Result<Vec<CpuScalars>> {
        columns.par_iter().map(|column| self.upload_integers(*column)).collect()
    }

    fn zeros(&self, len: usize) -> Result<CpuScalars> {
        Ok(vec![Fr::ZERO; len].into())
    }

    fn download(&self, vector: &CpuScalars) -> Result<Vec<Fr>> {
        Ok(vector.elements(self).into_owned())
    }

    fn read_range(&self, vector: &CpuScalars, range: Range<usize>) -> Result<Vec<Fr>> {
        window("read_range", &vector.elements(self), range)
    }

    fn write_range(&self, vector: &mut CpuScalars, start: usize, values: &[Fr]) -> Result<()> {
        let range = start..start.saturating_add(values.len());
        check_range("write_range", vector.len(), &range)?;
        vector.elements_mut(self)[range].copy_from_slice(values);
        Ok(())
    }

    fn slice(&self, vector: &CpuScalars, range: Range<usize>) -> Result<CpuScalars> {
        window("slice", &vector.elements(self), range).map(CpuScalars::from)
    }
}

fn window(operation: &'static str, elements: &[Fr], range: Range<usize>) -> Result<Vec<Fr>> {
    check_range(operation, elements.len(), &range)?;
    Ok(pages::copy(&elements[range]))
}
