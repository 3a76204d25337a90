//! A file from which nothing is believed: every read is bounded by the file's real size before memory is allocated, and
//! runs of points are read piece by piece, since files have gigabytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use group::prime::PrimeCurveAffine;
use halo2curves::bn256::{G1Affine, G2Affine};
use halo2curves::serde::SerdeObject;
use rayon::prelude::*;
use zkml_gpu_files::container::{Container, ContainerError, SectionName};
use zkml_gpu_files::open_regular;

use super::SrsError;
use super::container::KIND;
use crate::encoding::{decompress_g1, decompress_g2};

/// Bytes of an uncompressed point of G1: two coordinates, little-endian, Montgomery form with R = 2^256.
pub(super) const G1_BYTES: usize = 64;
/// Bytes of an uncompressed point of G2.
pub(super) const G2_BYTES: usize = 128;
/// Points that are read at a time: 4 MiB of them, enough for multi-scalar multiplications to be at their best.
pub(super) const CHUNK_POINTS: usize = 1 << 16;

/// Where points begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// At this byte of the file.
    Offset(u64),
    /// In a section of a file of ours.
    Section(SectionName),
}

/// How points are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Two coordinates, in Montgomery form.
    Raw,
    /// One coordinate and flags.
    Compressed,
}

/// Points of G1, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) at: At,
    pub(super) form: Form,
    pub(super) count: u64,
    pub(super) place: &'static str,
}

impl Form {
    pub(super) const fn g1_bytes(self) -> usize {
        match self {
            Self::Raw => G1_BYTES,
            Self::Compressed => G1_BYTES / 2,
        }
    }

    pub(super) const fn g2_bytes(self) -> usize {
        match self {
            Self::Raw => G2_BYTES,
            Self::Compressed => G2_BYTES / 2,
        }
    }

    fn g1(self, bytes: &[u8]) -> Option<G1Affine> {
        match self {
            Self::Raw => G1Affine::from_raw_bytes(bytes),
            Self::Compressed => decompress_g1(bytes.try_into().ok()?).ok(),
        }
    }

    fn g2(self, bytes: &[u8]) -> Option<G2Affine> {
        match self {
            Self::Raw => G2Affine::from_raw_bytes(bytes),
            Self::Compressed => decompress_g2(bytes.try_into().ok()?).ok(),
        }
    }
}

/// An open file with its size.
pub(super) struct Source {
    file: File,
    path: PathBuf,
    len: u64,
    chunk_points: usize,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, SrsError> {
        let (file, len) = open_regular(path).map_err(|source| SrsError::Io { path: path.into(), source })?;
        Ok(Self { file, path: path.into(), len, chunk_points: CHUNK_POINTS })
    }

    /// The same file, of which so many points are read at a time.
    #[cfg(test)]
    pub(super) fn in_chunks_of(self, chunk_points: usize) -> Self {
        Self { chunk_points: chunk_points.max(1), ..self }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file starts with `magic`.
    pub(super) fn starts_with(&mut self, magic: &[u8]) -> Result<bool, SrsError> {
        Ok(self.len >= magic.len() as u64 && self.read_at(0, magic.len(), "magic")? == magic)
    }

    /// The `len` bytes at `offset`.
    pub(super) fn read_at(&mut self, offset: u64, len: usize, place: &'static str) -> Result<Vec<u8>, SrsError> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(self.malformed(
                place,
                format!("a file of {} bytes", self.len),
                format!("{len} bytes at offset {offset}"),
                "the file is truncated; fetch it again",
            ));
        }
        let io = |source| SrsError::Io { path: self.path.clone(), source };
        let mut bytes = vec![0; len];
        self.file.seek(SeekFrom::Start(offset)).map_err(io)?;
        self.file.read_exact(&mut bytes).map_err(io)?;
        Ok(bytes)
    }

    pub(super) fn u32_at(&mut self, offset: u64, place: &'static str) -> Result<u32, SrsError> {
        let bytes = self.read_at(offset, 4, place)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    pub(super) fn u64_at(&mut self, offset: u64, place: &'static str) -> Result<u64, SrsError> {
        let bytes = self.read_at(offset, 8, place)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The file as one of ours.
    pub(super) fn container(&self) -> Result<Container<&File>, SrsError> {
        Container::open(&self.file, KIND).map_err(|error| self.damaged(error))
    }

    /// Hands the first `count` points of a run on, piece by piece; none of them is the identity (`s` is no root of a
    /// Lagrange polynomial).
    pub(super) fn g1_chunks(
        &mut self,
        run: &Run,
        count: usize,
        mut take: impl FnMut(&[G1Affine]) -> Result<(), SrsError>,
    ) -> Result<(), SrsError> {
        let size = run.form.g1_bytes();
        let mut done = 0;
        match run.at {
            At::Offset(offset) => {
                while done < count {
                    let points = self.chunk_points.min(count - done);
                    let bytes = self.read_at(offset + (done * size) as u64, points * size, run.place)?;
                    take(&self.g1(run, done, &bytes)?)?;
                    done += points;
                }
                Ok(())
            }
            At::Section(name) => {
                let mut failed = None;
                let mut piece = |bytes: &[u8]| {
                    // Past the points that are wanted the section is read on for its digest.
                    let wanted = bytes.len().min((count - done) * size);
                    for bytes in bytes[..wanted].chunks(self.chunk_points * size) {
                        take(&self.g1(run, done, bytes)?)?;
                        done += bytes.len() / size;
                    }
                    Ok(())
                };
                let read = self.container()?.chunks(name, size, |bytes| {
                    piece(bytes).map_err(|error| {
                        failed = Some(error);
                        ContainerError::Io(io::ErrorKind::InvalidData.into())
                    })
                });
                match failed {
                    Some(error) => Err(error),
                    None => read.map_err(|error| self.damaged(error)),
                }
            }
        }
    }

    /// The generator of G2 and `[s]G2`, neither of them the identity.
    pub(super) fn g2(&mut self, at: At, form: Form, place: &'static str) -> Result<[G2Affine; 2], SrsError> {
        let len = 2 * form.g2_bytes();
        let bytes = match at {
            At::Offset(offset) => self.read_at(offset, len, place)?,
            At::Section(name) => self.container()?.section(name, len as u64).map_err(|error| self.damaged(error))?,
        };
        let points = self.decode(&bytes, form.g2_bytes(), (place, 0), |bytes| form.g2(bytes))?;
        let got = points.len();
        points.try_into().map_err(|_| {
            self.malformed(place, format!("{got} points"), "2 points".into(), "the file is damaged; make it again")
        })
    }

    fn g1(&self, run: &Run, first: usize, bytes: &[u8]) -> Result<Vec<G1Affine>, SrsError> {
        self.decode(bytes, run.form.g1_bytes(), (run.place, first), |bytes| run.form.g1(bytes))
    }

    /// Decodes points in parallel and names the first bad one, by its number in the run.
    fn decode<C: PrimeCurveAffine>(
        &self,
        bytes: &[u8],
        size: usize,
        (place, first): (&'static str, usize),
        point: impl Fn(&[u8]) -> Option<C> + Sync,
    ) -> Result<Vec<C>, SrsError> {
        bytes
            .par_chunks_exact(size)
            .enumerate()
            .map(|(index, chunk)| {
                point(chunk).filter(|point| !bool::from(point.is_identity())).ok_or_else(|| SrsError::Point {
                    path: self.path.clone(),
                    place,
                    index: first + index,
                })
            })
            .collect()
    }

    pub(super) fn malformed(&self, place: &'static str, got: String, expected: String, hint: &'static str) -> SrsError {
        SrsError::Malformed { path: self.path.clone(), place, got, expected, hint }
    }

    pub(super) fn damaged(&self, source: ContainerError) -> SrsError {
        SrsError::Damaged { path: self.path.clone(), source }
    }
}
