//! Verifying a weights' proof: each part by the stock verifier, and the link of its columns to the model commitment.

use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;

use ff::Field;
use group::Curve;
use group::prime::PrimeCurveAffine;
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::VerifyingKey;
use halo2_proofs::transcript::Transcript;
use halo2curves::bn256::{Fr, G1, G1Affine};
use serde::{Deserialize, Serialize};
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::{CircuitKey, Committer};
use zkml_gpu_graph::Graph;

use super::WeightsError;
use super::circuit::{Rows, WeightsCircuit};
use super::masks::{Masks, cells};
use super::shape::{Shape, least_parts, parts, split};
use crate::check::BankCells;
use crate::commit::{LinkStatement, PartBound, verify_link};
use crate::keys::{VerifyingKeys, vk_bytes_fit};
use crate::layout::Layout;
use crate::verify::{Recorded, transcript, verify_halo2};

/// A weights' proof: of each part of the bank its key and its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsProof {
    /// In the order of the bank's columns.
    pub(super) parts: Vec<WeightsPart>,
}

/// One part of a weights' proof.
#[derive(Clone, PartialEq, Eq)]
pub struct WeightsPart {
    pub(super) shape: Shape,
    /// Halo2's verifying key.
    pub(super) vk: Vec<u8>,
    /// The Halo2 proof, then the link.
    pub(super) proof: Vec<u8>,
}

impl std::fmt::Debug for WeightsPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightsPart")
            .field("shape", &self.shape)
            .field("bytes", &self.proof.len())
            .finish_non_exhaustive()
    }
}

/// A part that is read.
pub(super) struct Part {
    pub(super) shape: Shape,
    /// Columns of the bank.
    pub(super) columns: Range<usize>,
    pub(super) vk: Arc<VerifyingKey<G1Affine>>,
}

impl Part {
    /// The circuit's blinding rows, of which the part's own must be some.
    pub(super) fn blinding_rows(&self, keys: &VerifyingKeys) -> Result<usize, WeightsError> {
        let (got, needed) = (keys.blinding_points.len(), self.vk.cs().blinding_factors() + 1);
        if needed <= got { Ok(got) } else { Err(WeightsError::BlindingRows { needed, got }) }
    }
}

/// The scalar that a part's proof absorbs first: it binds keys, model commitment, and the part's own key and place.
pub(super) fn bound(keys: &VerifyingKeys, part: &Part) -> Fr {
    let bound = PartBound {
        transcript_repr: part.vk.transcript_repr(),
        k: keys.k,
        g: keys.g,
        g2: [keys.g2, keys.s_g2],
        blinding_points: &keys.blinding_points,
        columns: part.columns.clone(),
        model: &keys.model,
    };
    bound.digest()
}

/// What a file says of its parts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    parts: Vec<PartHeader>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartHeader {
    shape: Shape,
    vk_bytes: usize,
    proof_bytes: usize,
}

impl WeightsProof {
    /// The proof as bytes: a header's length, the header as JSON, then each part's key and proof.
    pub fn to_bytes(&self) -> Vec<u8> {
        let of = |part: &WeightsPart| PartHeader {
            shape: part.shape.clone(),
            vk_bytes: part.vk.len(),
            proof_bytes: part.proof.len(),
        };
        let header = Header { parts: self.parts.iter().map(of).collect() };
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        self.parts.iter().for_each(|part| bytes.extend([&part.vk[..], &part.proof].concat()));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; nothing may follow.
    ///
    /// # Errors
    /// [`WeightsError::Malformed`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        let (length, rest) = bytes.split_at_checked(8).ok_or_else(|| malformed("it ends early"))?;
        let length = length.try_into().map(u64::from_le_bytes).map_err(|_| malformed("it ends early"))?;
        let length = usize::try_from(length).map_err(|_| malformed("its header is too long"))?;
        let (header, mut rest) = rest.split_at_checked(length).ok_or_else(|| malformed("it ends early"))?;
        let header: Header = serde_json::from_slice(header).map_err(|error| malformed(&error.to_string()))?;
        let mut take = |len: usize| {
            let (taken, left) = rest.split_at_checked(len).ok_or_else(|| malformed("it ends early"))?;
            rest = left;
            Ok::<_, WeightsError>(taken.to_vec())
        };
        let mut parts = Vec::new();
        for PartHeader { shape, vk_bytes, proof_bytes } in header.parts {
            parts.push(WeightsPart { shape, vk: take(vk_bytes)?, proof: take(proof_bytes)? });
        }
        if !rest.is_empty() {
            return Err(malformed("bytes follow it"));
        }
        let proof = Self { parts };
        // One proof, one form: JSON has several texts for one value.
        if proof.to_bytes() == bytes { Ok(proof) } else { Err(malformed("it is not in its canonical form")) }
    }

    /// Bytes of the proofs, without keys.
    pub fn proof_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.proof.len()).sum()
    }

    /// Advice columns of a part's first phase: of the bank, of weights' limbs, of biases' limbs, of multiplicities; for
    /// tests of soundness.
    #[doc(hidden)]
    pub fn first_phase(&self, part: usize) -> [usize; 4] {
        let shape = &self.parts[part].shape;
        [shape.columns(), shape.columns() * shape.stored_limbs(), shape.bias_limbs(), shape.table_lanes]
    }

    /// The parts' keys as bytes: shape and Halo2's verifying key.
    ///
    /// # Errors
    /// [`WeightsError::Malformed`] where a shape has no JSON after all.
    pub fn keys(&self) -> Result<Vec<Vec<u8>>, WeightsError> {
        self.parts.iter().map(|part| key_bytes(&part.shape, &part.vk)).collect()
    }

    /// The parts, read: their keys must be those of their shapes, over the columns that the bank is cut into.
    fn read(&self, keys: &VerifyingKeys) -> Result<Vec<(Part, &[u8])>, WeightsError> {
        let rows = 1usize << keys.k;
        let usable = rows.checked_sub(keys.blinding_points.len()).ok_or_else(|| malformed("no usable rows"))?;
        // Whichever number there is, they are of all columns, each once.
        let columns = keys.model.len();
        if !(least_parts(columns, rows)..=columns).contains(&self.parts.len()) {
            return Err(malformed("it has another number of parts"));
        }
        let ranges = split(columns, self.parts.len());
        let read = |(part, columns): (&'_ WeightsPart, Range<usize>)| {
            let shape = &part.shape;
            if !shape.is_sound(columns.len(), usable) || !vk_bytes_fit(&part.vk, keys.k, shape.fixed_columns()) {
                return Err(malformed("a part's key disagrees with the bank"));
            }
            let read = VerifyingKey::from_bytes::<WeightsCircuit<'_>>(&part.vk, SerdeFormat::Processed, shape.clone());
            let vk = read.map_err(|error| malformed(&error.to_string()))?;
            // Halo2's reader takes a point in several encodings and passes over what follows its own part.
            if vk.to_bytes(SerdeFormat::Processed) != part.vk {
                return Err(malformed("a part's key is not in its canonical form"));
            }
            Ok(Part { shape: shape.clone(), columns, vk: Arc::new(vk) })
        };
        self.parts.iter().zip(ranges).map(|(part, columns)| Ok((read((part, columns))?, &part.proof[..]))).collect()
    }
}

fn key_bytes(shape: &Shape, vk: &[u8]) -> Result<Vec<u8>, WeightsError> {
    let mut bytes = serde_json::to_vec(shape).map_err(|error| malformed(&error.to_string()))?;
    bytes.extend(vk);
    Ok(bytes)
}

fn malformed(problem: &str) -> WeightsError {
    WeightsError::Malformed(problem.into())
}

/// The keys of the parts of a weights' proof, as [`WeightsProof::keys`] has them, derived from an architecture alone.
///
/// # Errors
/// [`WeightsError`] where the layout is not the graph's, or a back end fails.
pub fn weights_keys<B: Backend>(
    graph: &Graph,
    layout: &Layout,
    committer: &Committer<B>,
) -> Result<Vec<Vec<u8>>, WeightsError> {
    let cells = cells(graph, layout)?;
    parts(layout, &cells).into_iter().map(|columns| part_key(layout, &cells, columns, committer)).collect()
}

impl WeightsProof {
    /// Whether these are the keys that follow from an architecture, part by part. The first that is another ends the
    /// comparison, so that nobody derives more keys than a proof has.
    ///
    /// # Errors
    /// As [`weights_keys`].
    pub fn has_keys_of<B: Backend>(
        &self,
        graph: &Graph,
        layout: &Layout,
        committer: &Committer<B>,
    ) -> Result<bool, WeightsError> {
        let cells = cells(graph, layout)?;
        let (ranges, claimed) = (parts(layout, &cells), self.keys()?);
        if ranges.len() != claimed.len() {
            return Ok(false);
        }
        for (columns, claimed) in ranges.into_iter().zip(claimed) {
            if part_key(layout, &cells, columns, committer)? != claimed {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn part_key<B: Backend>(
    layout: &Layout,
    cells: &[BankCells],
    columns: Range<usize>,
    committer: &Committer<B>,
) -> Result<Vec<u8>, WeightsError> {
    let rows = Rows::new(Masks::new(cells, columns)?, layout.usable_rows())?;
    let circuit = WeightsCircuit::keygen(&rows);
    let key = CircuitKey::new(committer.backend(), committer.lagrange(), layout.k, &circuit)?;
    key_bytes(&rows.shape, &key.vk().to_bytes(SerdeFormat::Processed))
}

/// Verifies that the model commitment of `keys` opens to integers of their widths, 0 outside the masks that the parts'
/// keys hold. That these are the architecture's is what [`weights_keys`] is for.
///
/// # Errors
/// [`WeightsError`] where anything does not hold.
pub fn verify_weights(keys: &VerifyingKeys, proof: &WeightsProof) -> Result<(), WeightsError> {
    for (part, bytes) in proof.read(keys)? {
        verify_part(keys, &part, bytes)?;
    }
    Ok(())
}

fn verify_part(keys: &VerifyingKeys, part: &Part, proof: &[u8]) -> Result<(), WeightsError> {
    part.blinding_rows(keys)?;
    let digest = bound(keys, part);
    let mut cursor = Cursor::new(proof);
    let mut transcript = transcript(&mut cursor);
    transcript.common_scalar(digest)?;
    verify_halo2(keys, &part.vk, &[], &mut transcript).map_err(WeightsError::Proof)?;
    let rho: Fr = *transcript.squeeze_challenge_scalar::<()>();
    // The commitments to the bank's columns are the first of the proof.
    let model = &keys.model[part.columns.clone()];
    let columns = transcript.points().get(..model.len()).ok_or_else(|| malformed("it ends early"))?;
    let differences: Vec<G1> = columns.iter().zip(model).map(|(own, model)| own.to_curve() - model).collect();
    let mut points = vec![G1Affine::default(); differences.len()];
    G1::batch_normalize(&differences, &mut points);
    let powers: Vec<Fr> = std::iter::successors(Some(Fr::ONE), |power| Some(power * rho)).take(points.len()).collect();
    let difference: G1 = halo2_proofs::arithmetic::best_multiexp(&powers, &points);
    let statement = LinkStatement { difference: difference.to_affine(), blinding_points: &keys.blinding_points };
    verify_link(statement, &mut transcript).map_err(WeightsError::Link)?;
    if transcript.bytes() == proof {
        Ok(())
    } else {
        Err(malformed("it is not in its canonical encoding, or bytes follow it"))
    }
}
