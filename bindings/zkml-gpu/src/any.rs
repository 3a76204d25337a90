//! Proving keys of whichever kind: of a model in one piece, or in segments.

use std::path::Path;

use crate::inspect::magic;
use crate::segmented::SEGMENTED_PROVING_KEY;
use crate::{Error, ModelAbout, ProverKey, SegmentedProverKey};

/// A proving key of either kind.
#[derive(Debug)]
pub enum AnyProverKey {
    /// Of a model in one piece.
    Whole(Box<ProverKey>),
    /// Of a model in segments.
    Segmented(Box<SegmentedProverKey>),
}

impl AnyProverKey {
    /// Reads `NAME.pk`; of segments what is not needed at once stays in the file.
    ///
    /// # Errors
    /// As [`ProverKey::read`] and [`SegmentedProverKey::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Ok(match magic(path)? {
            Some(magic) if magic == SEGMENTED_PROVING_KEY.magic => {
                Self::Segmented(Box::new(SegmentedProverKey::open(path)?))
            }
            _ => Self::Whole(Box::new(ProverKey::read(path)?)),
        })
    }

    /// Writes `NAME.pk`, whole or not at all, readable by the user alone.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        match self {
            Self::Whole(key) => key.write(path),
            Self::Segmented(key) => key.write(path),
        }
    }

    /// What the model is, and what it was made from.
    pub fn about(&self) -> &ModelAbout {
        match self {
            Self::Whole(key) => key.model().about(),
            Self::Segmented(key) => key.model().about(),
        }
    }
}
