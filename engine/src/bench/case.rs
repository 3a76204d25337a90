//! An operation that is ready to run.

use std::fmt;
use std::time::{Duration, Instant};

use halo2curves::bn256::{Fr, G1Affine};

use crate::backend::{Backend, Result};

/// What an operation gave, on the host; equal on all back ends.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Scalars, vector by vector.
    pub scalars: Vec<Fr>,
    /// Points.
    pub points: Vec<G1Affine>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outcome({} scalars, {} points)", self.scalars.len(), self.points.len())
    }
}

/// What an operation gives.
pub(super) enum Output<B: Backend> {
    /// Vectors that stay on the device.
    Resident(Vec<B::Scalars>),
    /// Scalars on the host.
    Scalars(Vec<Fr>),
    /// Points on the host.
    Points(Vec<G1Affine>),
    /// Resident points.
    Bases(B::Bases),
    /// A program.
    Compiled(B::Compiled),
    /// Resident integers.
    Integers(B::Integers),
}

impl<B: Backend> Output<B> {
    /// Waits until the device has done what it was asked.
    fn settle(&self, backend: &B) -> Result<()> {
        match self {
            Self::Resident(vectors) => settle(backend, vectors.last()),
            Self::Bases(bases) if backend.bases_len(bases) > 0 => {
                backend.msm_rows(bases, &[0], &[Fr::one()]).map(|_| ())
            }
            Self::Integers(_) => settle(backend, Some(&backend.zeros(1)?)),
            Self::Scalars(_) | Self::Points(_) | Self::Bases(_) | Self::Compiled(_) => Ok(()),
        }
    }

    fn outcome(self, backend: &B) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        match self {
            Self::Resident(vectors) => {
                outcome.scalars.reserve_exact(vectors.iter().map(|vector| backend.len(vector)).sum());
                for vector in vectors {
                    outcome.scalars.append(&mut backend.download(&vector)?);
                }
            }
            Self::Scalars(scalars) => outcome.scalars = scalars,
            Self::Points(points) => outcome.points = points,
            // A sum over a few of the points stands for all.
            Self::Bases(bases) => {
                let rows: Vec<usize> = super::blinding_rows(backend.bases_len(&bases)).collect();
                outcome.points = vec![backend.msm_rows(&bases, &rows, &super::data::full_size(rows.len()))?];
            }
            Self::Compiled(_) => (),
            // So does a fold.
            Self::Integers(integers) => {
                let folded = backend.fold_integers(&integers, &super::data::full_size(super::FOLD_WIDTH))?;
                outcome.scalars = backend.download(&folded)?;
            }
        }
        Ok(outcome)
    }
}

/// Waits until a device has computed a vector, and with it all that it was asked before: an element can only be read
/// then.
pub(crate) fn settle<B: Backend>(backend: &B, vector: Option<&B::Scalars>) -> Result<()> {
    vector.map_or(Ok(()), |vector| backend.read_range(vector, 0..backend.len(vector).min(1)).map(|_| ()))
}

/// A run: it may overwrite the vector that it is given.
pub(super) type Run<'a, B> = Box<dyn Fn(Option<<B as crate::backend::MemoryOps>::Scalars>) -> Result<Output<B>> + 'a>;

/// An operation on a back end, its inputs resident. Runs do not change them.
pub struct Case<'a, B: Backend> {
    pub(super) backend: &'a B,
    /// For operations in place: copied before each run.
    pub(super) overwritten: Option<B::Scalars>,
    pub(super) run: Run<'a, B>,
}

impl<B: Backend> fmt::Debug for Case<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("backend", self.backend).finish_non_exhaustive()
    }
}

impl<B: Backend> Case<'_, B> {
    /// Runs it once: the time from the call to the moment that its result can be read.
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn time(&self) -> Result<Duration> {
        self.timed().map(|(time, _)| time)
    }

    /// Runs it once: what it gave.
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn outcome(&self) -> Result<Outcome> {
        self.timed()?.1.outcome(self.backend)
    }

    fn timed(&self) -> Result<(Duration, Output<B>)> {
        let copy = |vector| self.backend.slice(vector, 0..self.backend.len(vector));
        let copy = self.overwritten.as_ref().map(copy).transpose()?;
        let start = Instant::now();
        let output = (self.run)(copy)?;
        output.settle(self.backend)?;
        Ok((start.elapsed(), output))
    }
}
