//! Openings of commitments to tensors: files of the tensor's owner, beside the commitments that are published.
//!
//! A [container](zkml_gpu_files::container) of four sections: a notice, the commitment, the integers, and the blinding.
//! **The file is private**: whoever has it knows the tensor. It is written for its owner alone.

use std::io::{Read, Seek, Write};
use std::path::Path;

use halo2curves::bn256::{Fr, G1Affine};
use rand_core::{CryptoRng, RngCore};
use zkml_gpu_circuit::commit::TensorOpening;
use zkml_gpu_circuit::system::Port;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_files::Access;
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName, Writer};
use zkml_gpu_graph::Storage;
use zkml_gpu_verify::{AnyKey, ModelKey, SegmentedKey, TensorCommitment};

use crate::compiled::{IN_MEMORY, container_bytes, container_of_bytes, read_container, write_container};
use crate::encoding::{ELEMENT_BYTES, read_elements, write_elements};
use crate::hash::expect_within;
use crate::{AnyProverKey, Error, ProverKey, SegmentedProverKey};

/// The kind of file that an opening is.
pub const OPENING: Kind = Kind { magic: *b"zkmlgpuO", version: 1, what: "an opening" };
/// Its sections, in their order; the first says to whoever looks into the file what it is.
const SECTIONS: [SectionName; 4] = [*b"PRIVATE\0", *b"commit\0\0", *b"values\0\0", *b"blinds\0\0"];
const NOTICE: &[u8] = b"zkml-gpu opening. Private: it holds the tensor of a commitment and what hides it. \
Publish the commitment instead.\n";
const HINT: &str = "openings are written by `zkml-gpu commit` and `prove`; copy the file again";
/// Largest commitment inside.
const MAX_COMMITMENT_BYTES: u64 = 1 << 20;
/// Most values: what a committed tensor may have.
const MAX_VALUES: u64 = 1 << 28;

/// A tensor, a commitment to it, and what opens the commitment. Secret.
#[derive(Clone, Debug)]
pub struct Opening {
    commitment: TensorCommitment,
    tensor: TensorOpening,
}

impl Opening {
    /// The opening of a committed tensor of a proof.
    pub(crate) fn of(key: &ModelKey, port: &Port, tensor: TensorOpening, points: &[G1Affine]) -> Self {
        Self { commitment: TensorCommitment::new(key.keys(), port, points), tensor }
    }

    /// Commits to real numbers, in the model's order, as an input or output of a model has them: before any proof.
    /// `points` are those of the reference string that the key was made with.
    ///
    /// `rng` makes the commitment hiding: it must be cryptographically secure.
    ///
    /// # Errors
    /// [`Error::Arguments`] where the model has no committed tensor of this name, the numbers are not as many as it has
    /// or beyond its range, or the reference string is another.
    pub fn commit<R: RngCore + CryptoRng>(
        key: &ModelKey,
        name: &str,
        numbers: &[f32],
        points: &ReferencePoints<'_>,
        rng: R,
    ) -> Result<Self, Error> {
        let port = zkml_gpu_verify::port(key.keys(), name).ok_or_else(|| unknown(key, name))?;
        let bad = |problem: String, hint| Err(Error::Arguments { problem, hint });
        if port.committed_columns() == 0 {
            return bad(
                format!("'{name}' is {} in this key, not committed", port.visibility().name()),
                "compile the model with --input NAME=committed or --output NAME=committed",
            );
        }
        if numbers.len() != port.logical_len() {
            let problem = format!("{} numbers, but '{name}' has {}", numbers.len(), port.logical_len());
            return bad(problem, "give one list of numbers, in the order of the model's axes");
        }
        points.expect(&key.keys().srs_identity(), key.keys().k())?;
        let classes = port.classes();
        let is_index = |value: &f32| zkml_gpu_graph::index(*value, classes).is_some();
        if port.storage == Storage::OneHot && !numbers.iter().all(is_index) {
            let problem = format!("'{name}' takes whole numbers from 0 to {}", classes.saturating_sub(1));
            return bad(problem, "give one list of indices");
        }
        if port.storage != Storage::OneHot {
            expect_within(name, port.format, numbers)?;
        }
        let rows = port.logical_len().max(1);
        let shape = match port.storage {
            Storage::Plain | Storage::Interleaved { transposed: false, .. } => zkml_gpu_graph::Shape::vector(port.len),
            // The channels of a transposed matrix are its last axis that is longer than 1.
            Storage::Transposed | Storage::Interleaved { transposed: true, .. } => {
                let features = port.logical_shape.iter().rev().copied().find(|d| *d != 1).unwrap_or(1);
                zkml_gpu_graph::Shape { channels: features, height: 1, width: port.len / features.max(1) }
            }
            Storage::OneHot => zkml_gpu_graph::Shape { channels: classes, height: 1, width: rows },
        };
        let stored = port.storage.to_stored(shape, numbers);
        let values = stored.into_iter().map(|value| port.format.quantise(value)).collect();
        let tensor = TensorOpening::new(values, key.keys().k(), rng);
        let commitments = tensor.commit(points.lagrange);
        Ok(Self::of(key, port, tensor, &commitments))
    }

    /// Checks that the opening is of a commitment: that its tensor and blinding make its points, and that every row
    /// beyond the tensor is 0.
    ///
    /// # Errors
    /// [`Error::Arguments`] where it is not, or the reference string is another.
    pub fn check(&self, commitment: &TensorCommitment, points: &ReferencePoints<'_>) -> Result<(), Error> {
        let bad = |problem: &str| {
            let hint = "give the opening that was written beside the commitment";
            Err(Error::Arguments { problem: problem.into(), hint })
        };
        points.expect(&commitment.srs, commitment.k)?;
        let expected = commitment.points().unwrap_or_default();
        if self.tensor.blinds().len() != expected.len() || self.tensor.commit(points.lagrange) != expected {
            return bad("the opening is not of this commitment");
        }
        // The points say nothing of what the integers mean.
        if self.commitment != *commitment {
            return bad("the opening is of these points, but the commitment says something else of the tensor");
        }
        Ok(())
    }

    /// Writes the file, whole or not at all, readable by the user alone.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let commitment = self.commitment.to_json()?;
        write_container(path.as_ref(), Access::Private, OPENING, &SECTIONS, |writer| {
            self.write_sections(&commitment, writer)
        })
    }

    /// The bytes of the file, as private as the file.
    ///
    /// # Errors
    /// [`Error::Internal`], if it has no bytes after all.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let commitment = self.commitment.to_json()?;
        container_bytes(OPENING, &SECTIONS, |writer| self.write_sections(&commitment, writer))
    }

    fn write_sections<W: Write + Seek>(&self, commitment: &[u8], writer: &mut Writer<W>) -> Result<(), ContainerError> {
        writer.section(NOTICE)?;
        writer.section(commitment)?;
        writer.section_with(|out| {
            self.tensor.values().iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
        })?;
        writer.section_with(|out| self.tensor.blinds().iter().try_for_each(|blinds| write_elements(blinds, out)))
    }

    /// Reads an opening.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is not what [`write`](Self::write) wrote.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        read_container(path, OPENING, HINT, |container| Self::read_sections(container, &path.display().to_string()))
    }

    /// As [`read`](Self::read), from memory.
    ///
    /// # Errors
    /// [`Error::File`] where they are not what [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        container_of_bytes(bytes, OPENING, HINT, |container| Self::read_sections(container, IN_MEMORY))
    }

    fn read_sections<R: Read + Seek>(container: &mut Container<R>, file: &str) -> Result<Self, ContainerError> {
        let damaged = |problem: &str| ContainerError::Damaged(problem.into());
        if container.section(SECTIONS[0], NOTICE.len() as u64)? != NOTICE {
            return Err(damaged("its notice is another"));
        }
        let commitment = container.section(SECTIONS[1], MAX_COMMITMENT_BYTES)?;
        let commitment = TensorCommitment::from_json(&commitment, file).map_err(|e| damaged(&e.to_string()))?;
        let values = container.section(SECTIONS[2], MAX_VALUES * 8)?;
        let number = |bytes: &[u8]| bytes.try_into().map(i64::from_le_bytes).ok();
        let values: Option<Vec<i64>> = values.chunks(8).map(number).collect();
        let columns = commitment.points.len();
        let rows = TensorOpening::BLINDING_ROWS;
        let blinds = container.section(SECTIONS[3], (rows * columns * ELEMENT_BYTES) as u64)?;
        let blinds: Option<Vec<Fr>> = read_elements(&blinds);
        let blinds = blinds.unwrap_or_default().chunks(rows).map(<[Fr]>::to_vec).collect();
        // Bounded before anything is shifted by it.
        let k = commitment.k.min(zkml_gpu_circuit::system::MAX_K);
        let tensor = TensorOpening::from_parts(values.unwrap_or_default(), blinds, k);
        let tensor = tensor.filter(|tensor| tensor.blinds().len() == columns);
        Ok(Self { tensor: tensor.ok_or_else(|| damaged("its parts do not fit each other"))?, commitment })
    }

    /// The commitment to publish.
    pub fn commitment(&self) -> &TensorCommitment {
        &self.commitment
    }

    /// The tensor and its blinding: secret.
    pub(crate) fn tensor(&self) -> &TensorOpening {
        &self.tensor
    }
}

/// The points of a reference string that commitments to tensors are made of.
#[derive(Clone, Debug)]
pub struct ReferencePoints<'p> {
    lagrange: &'p [G1Affine],
    identity: String,
}

impl<'p> ReferencePoints<'p> {
    /// Those of a reference string.
    pub fn of(srs: &'p Srs) -> Self {
        Self { lagrange: srs.lagrange(), identity: srs.identity().to_string() }
    }

    /// Those that a proving key holds.
    pub fn of_key(key: &'p ProverKey) -> Self {
        Self { lagrange: key.lagrange(), identity: key.key().keys().srs_identity() }
    }

    /// Those that a proving key of segments holds.
    pub fn of_segments(key: &'p SegmentedProverKey) -> Self {
        // All segments have one reference string.
        let identity = key.key().segments().first().map(|segment| segment.keys().srs_identity());
        Self { lagrange: key.lagrange(), identity: identity.unwrap_or_default() }
    }

    /// Those that a proving key of either kind holds.
    pub fn of_any(key: &'p AnyProverKey) -> Self {
        match key {
            AnyProverKey::Whole(key) => Self::of_key(key),
            AnyProverKey::Segmented(key) => Self::of_segments(key),
        }
    }

    fn expect(&self, identity: &str, k: u32) -> Result<(), Error> {
        if self.lagrange.len() == 1usize << k.min(zkml_gpu_circuit::system::MAX_K) && self.identity == identity {
            return Ok(());
        }
        Err(Error::Arguments {
            problem: format!("the reference string is another than the commitment's, which has k = {k}"),
            hint: "give the file that the keys were made with (--srs), or their proving key (--pk)",
        })
    }
}

/// The verifying key of the segment that has an input or output of the model; a model in one piece has one for all of
/// them, and is not asked.
///
/// # Errors
/// [`Error::Arguments`] where no segment has it.
pub fn key_of_tensor<'k>(key: &'k AnyKey, name: &str) -> Result<&'k ModelKey, Error> {
    match key {
        AnyKey::Whole(key) => Ok(key),
        AnyKey::Segmented(key) => of_segments(key, name),
    }
}

/// As [`key_of_tensor`], of segments.
pub(crate) fn of_segments<'k>(key: &'k SegmentedKey, name: &str) -> Result<&'k ModelKey, Error> {
    key.segment_of(name).ok_or_else(|| {
        let ports = key.inputs().into_iter().chain(key.outputs());
        let names: Vec<String> = ports.map(|port| format!("'{}'", port.name.escape_debug())).collect();
        let problem =
            format!("the model has no input or output '{}': it has {}", name.escape_debug(), names.join(", "));
        Error::Arguments { problem, hint: "take one of these names" }
    })
}

/// The error of a name that names no input or output.
pub(crate) fn unknown(key: &ModelKey, name: &str) -> Error {
    let names: Vec<String> = key.keys().statement().ports().map(|port| format!("'{}'", port.name)).collect();
    let problem = format!("the model has no input or output '{name}': it has {}", names.join(", "));
    Error::Arguments { problem, hint: "take one of these names" }
}
