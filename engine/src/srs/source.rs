//! A file from which nothing is believed: every read is bounded by the file's real size before memory is allocated.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use group::prime::PrimeCurveAffine;
use halo2curves::bn256::{G1Affine, G2Affine};
use halo2curves::serde::SerdeObject;
use rayon::prelude::*;
use zkml_gpu_files::open_regular;

use super::SrsError;

/// Bytes of an uncompressed point of G1: two coordinates, little-endian, Montgomery form with R = 2^256.
pub(super) const G1_BYTES: usize = 64;
/// Bytes of an uncompressed point of G2.
pub(super) const G2_BYTES: usize = 128;

/// An open file with its size.
pub(super) struct Source {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, SrsError> {
        let (file, len) = open_regular(path).map_err(|source| SrsError::Io { path: path.into(), source })?;
        Ok(Self { file, path: path.into(), len })
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

    /// `count` uncompressed points of G1, none of them the identity (`s` is no root of a Lagrange polynomial).
    pub(super) fn g1_at(&mut self, offset: u64, count: usize, place: &'static str) -> Result<Vec<G1Affine>, SrsError> {
        let bytes = self.read_at(offset, count * G1_BYTES, place)?;
        self.decode(&bytes, G1_BYTES, place, G1Affine::from_raw_bytes)
    }

    /// `count` uncompressed points of G2, none of them the identity.
    pub(super) fn g2_at(&mut self, offset: u64, count: usize, place: &'static str) -> Result<Vec<G2Affine>, SrsError> {
        let bytes = self.read_at(offset, count * G2_BYTES, place)?;
        self.decode(&bytes, G2_BYTES, place, G2Affine::from_raw_bytes)
    }

    /// Decodes a run of points in parallel and names the first bad one.
    pub(super) fn decode<C: PrimeCurveAffine>(
        &self,
        bytes: &[u8],
        size: usize,
        place: &'static str,
        point: impl Fn(&[u8]) -> Option<C> + Sync,
    ) -> Result<Vec<C>, SrsError> {
        bytes
            .par_chunks_exact(size)
            .enumerate()
            .map(|(index, chunk)| {
                point(chunk).filter(|point| !bool::from(point.is_identity())).ok_or_else(|| SrsError::Point {
                    path: self.path.clone(),
                    place,
                    index,
                })
            })
            .collect()
    }

    pub(super) fn malformed(&self, place: &'static str, got: String, expected: String, hint: &'static str) -> SrsError {
        SrsError::Malformed { path: self.path.clone(), place, got, expected, hint }
    }
}
