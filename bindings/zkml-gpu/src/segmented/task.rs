//! What the proof of one segment needs beside the proving key, so that several machines may share a model's proof.
//!
//! As bytes, a task is a [container](zkml_gpu_files::container) of a notice and the task. **It is private**: it holds the
//! integers of the segment's inputs, and what hides its commitments.

use std::sync::Arc;

use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::group::GroupEncoding;
use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::commit::TensorOpening;
use zkml_gpu_circuit::hash::Salt;
use zkml_gpu_circuit::prove::CommittedTensor;
use zkml_gpu_circuit::system::MAX_K;
use zkml_gpu_engine::encoding::decompress_g1;
use zkml_gpu_engine::secret::wipe_integers;
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName, Writer};
use zkml_gpu_verify::{ProofBundle, SegmentedKey};

use super::SegmentTimes;
use crate::Error;
use crate::compiled::{container_bytes, container_of_bytes};
use crate::encoding::{self, read_elements, write_elements};
use crate::opening::Opening;

/// The kind of bytes that a task is.
pub const SEGMENT_TASK: Kind = Kind { magic: *b"zkmlgput", version: 1, what: "the task of a segment" };
const SECTIONS: [SectionName; 2] = [*b"PRIVATE\0", *b"task\0\0\0\0"];
const NOTICE: &[u8] = b"zkml-gpu task of a segment. Private: it holds an input and what hides it.\n";
const HINT: &str = "tasks are made by the program that asks for the proof; make it again";

/// The proof of one inference, before its segments are proved.
#[derive(Debug)]
pub struct SegmentedJob {
    /// A task for each segment, in their order.
    pub tasks: Vec<SegmentTask>,
    pub(super) between: Vec<Vec<G1Affine>>,
    pub(super) openings: Vec<(String, Opening)>,
}

/// What the proof of one segment needs beside the proving key. **Secret.**
#[derive(Debug)]
pub struct SegmentTask {
    /// Digest of the verifying key.
    key: String,
    segment: usize,
    k: u32,
    inputs: Inputs,
    /// The segment's committed inputs and outputs, by their names in it.
    known: Vec<(String, Arc<CommittedTensor>)>,
    salts: Vec<(String, Salt)>,
}

/// The integers of a segment's inputs, in stored order; they are wiped.
#[derive(Default, Serialize, Deserialize)]
struct Inputs(Vec<Vec<i64>>);

impl std::fmt::Debug for Inputs {
    /// Sizes only: the values are private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(Vec::len)).finish()
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|values| wipe_integers(values));
    }
}

/// A segment's proof.
#[derive(Clone, Debug)]
pub struct SegmentProof {
    /// Which segment, from 0.
    pub segment: usize,
    /// The proof, as that of a model in one piece.
    pub bundle: ProofBundle,
    /// How long it took.
    pub times: SegmentTimes,
}

/// A task as it is written.
#[derive(Serialize, Deserialize)]
struct Parts {
    key: String,
    segment: u64,
    /// log2 of the rows of a column.
    k: u32,
    inputs: Inputs,
    known: Vec<Known>,
    salts: Vec<(String, Salt)>,
}

/// A committed tensor as it is written.
#[derive(Serialize, Deserialize)]
struct Known {
    name: String,
    values: Vec<i64>,
    /// Of each column its blinding, and its commitment, compressed.
    blinds: Vec<u8>,
    commitments: Vec<u8>,
}

impl Drop for Known {
    fn drop(&mut self) {
        wipe_integers(&mut self.values);
    }
}

impl SegmentTask {
    pub(super) fn new(
        key: &SegmentedKey,
        segment: usize,
        inputs: Vec<Vec<i64>>,
        known: Vec<(String, Arc<CommittedTensor>)>,
        salts: Vec<(String, Salt)>,
    ) -> Self {
        Self { key: key.digest().into(), segment, k: key.k(), inputs: Inputs(inputs), known, salts }
    }

    /// Which segment, from 0.
    pub fn segment(&self) -> usize {
        self.segment
    }

    pub(super) fn inputs(&self) -> &[Vec<i64>] {
        &self.inputs.0
    }

    pub(super) fn salts(&self) -> &[(String, Salt)] {
        &self.salts
    }

    pub(super) fn known(&self) -> Vec<(String, &CommittedTensor)> {
        self.known.iter().map(|(name, tensor)| (name.clone(), &**tensor)).collect()
    }

    /// Refuses a task of another key, or one that lacks a commitment: a fresh one would be of this segment alone.
    pub(super) fn expect(&self, key: &SegmentedKey) -> Result<(), Error> {
        let refused = |problem: String| Err(Error::Arguments { problem, hint: HINT });
        let own = key.segments().get(self.segment).filter(|_| self.key == key.digest());
        let Some(own) = own else {
            return refused("the task is of another key".into());
        };
        let is_known = |name: &str| self.known.iter().any(|(known, _)| known == name);
        let mut committed = own.keys().statement().ports().filter(|port| port.committed_columns() > 0);
        match committed.find(|port| !is_known(&port.name)) {
            Some(port) => refused(format!("the task has no commitment to '{}'", port.name.escape_debug())),
            None => Ok(()),
        }
    }

    /// The task as bytes, which are as private.
    ///
    /// # Errors
    /// [`Error::Internal`], if it has no bytes after all.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        container_bytes(SEGMENT_TASK, &SECTIONS, |writer| self.write(writer))
    }

    fn write<W: std::io::Write + std::io::Seek>(&self, writer: &mut Writer<W>) -> Result<(), ContainerError> {
        let known = |(name, tensor): &(String, Arc<CommittedTensor>)| {
            let mut blinds = Vec::new();
            tensor.opening.blinds().iter().try_for_each(|column| write_elements(column, &mut blinds))?;
            let commitments = tensor.commitments.iter().flat_map(|point| point.to_bytes().as_ref().to_vec());
            let values = tensor.opening.values().to_vec();
            Ok(Known { name: name.clone(), values, blinds, commitments: commitments.collect() })
        };
        let parts = Parts {
            key: self.key.clone(),
            segment: self.segment as u64,
            k: self.k,
            inputs: Inputs(self.inputs.0.clone()),
            known: self.known.iter().map(known).collect::<Result<_, std::io::Error>>()?,
            salts: self.salts.clone(),
        };
        writer.section(NOTICE)?;
        writer.section_with(|out| encoding::write(&parts, out))
    }

    /// A task from its bytes, from whoever: [`SegmentedProver::prove_segment`](super::SegmentedProver::prove_segment)
    /// refuses what is not its key's.
    ///
    /// # Errors
    /// [`Error::File`] where they are not what [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        container_of_bytes(bytes, SEGMENT_TASK, HINT, Self::read)
    }

    fn read<R: std::io::Read + std::io::Seek>(container: &mut Container<R>) -> Result<Self, ContainerError> {
        let damaged = |problem: &str| ContainerError::Damaged(problem.into());
        let limit = encoding::limit();
        let parts: Parts = encoding::read(&container.section(SECTIONS[1], limit)?, limit)?;
        // Bounded before anything is shifted by it.
        let k = parts.k.min(MAX_K);
        let tensor = |known: &Known| {
            let blinds: Vec<Fr> = read_elements(&known.blinds)?;
            let blinds = blinds.chunks(TensorOpening::BLINDING_ROWS).map(<[Fr]>::to_vec).collect::<Vec<_>>();
            let (points, rest) = known.commitments.as_chunks::<32>();
            let commitments: Vec<G1Affine> =
                points.iter().map(|point| decompress_g1(point).ok()).collect::<Option<_>>()?;
            let is_whole = rest.is_empty() && commitments.len() == blinds.len();
            let opening = TensorOpening::from_parts(known.values.clone(), blinds, k).filter(|_| is_whole)?;
            Some((known.name.clone(), Arc::new(CommittedTensor { opening, commitments })))
        };
        let known =
            parts.known.iter().map(tensor).collect::<Option<_>>().ok_or_else(|| damaged("a commitment is none"))?;
        let segment = usize::try_from(parts.segment).map_err(|_| damaged("there is no such segment"))?;
        Ok(Self { key: parts.key, segment, k, inputs: parts.inputs, known, salts: parts.salts })
    }
}
