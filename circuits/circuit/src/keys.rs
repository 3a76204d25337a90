//! Keys of a network: made once per architecture and model.

use std::sync::Arc;

use group::GroupEncoding;
use group::prime::PrimeCurveAffine;
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::VerifyingKey;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use rand_core::{CryptoRng, RngCore};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::encoding::{G1_BYTES, G2_BYTES, decompress_g1, decompress_g2};
use zkml_gpu_engine::srs::{Identity, Srs};
use zkml_gpu_engine::{BackendError, CircuitKey, Committer, KeygenError};
use zkml_gpu_graph::Graph;

use crate::check::{CheckError, check};
use crate::circuit::NetworkCircuit;
use crate::commit::{Bank, Bound, ModelOpening};
use crate::layout::Layout;
use crate::system::{Architecture, MAX_K, Statement, WeightMode};

/// Why keys cannot be made or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The reference string is for another size.
    #[error(
        "the reference string has k = {got}, the circuit needs k = {expected}\nhint: give a file of that size or larger"
    )]
    SrsSize {
        /// Size of the reference string.
        got: u32,
        /// Size of the circuit.
        expected: u32,
    },
    /// The circuit's key generation failed.
    #[error("key generation: {0}")]
    Keygen(#[from] KeygenError),
    /// A back end failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The layout does not say what the graph says.
    #[error(transparent)]
    Layout(#[from] CheckError),
    /// Bytes that are no verifying keys.
    #[error("verifying keys: {0}")]
    Malformed(String),
    /// Keys are not those of an architecture.
    #[error("the key is not this model's: {0}")]
    Differs(String),
}

/// What a prover holds beside the circuit's key.
#[derive(Clone, Debug)]
pub struct ProvingKeys {
    /// The learned values, and their blinding where they are committed.
    pub model: ModelOpening,
    /// Everything to verify with.
    pub verifying: VerifyingKeys,
}

/// Everything that a verifier trusts.
#[derive(Debug, Clone)]
pub struct VerifyingKeys {
    pub(crate) architecture: Architecture,
    pub(crate) vk: Arc<VerifyingKey<G1Affine>>,
    pub(crate) k: u32,
    pub(crate) g: G1Affine,
    pub(crate) g2: G2Affine,
    pub(crate) s_g2: G2Affine,
    /// Lagrange points of the blinding rows, for the links; none where there are none.
    pub(crate) blinding_points: Vec<G1Affine>,
    /// The model commitment; empty where the weights are embedded.
    pub(crate) model: Vec<G1Affine>,
    pub(crate) statement: Statement,
    pub(crate) insecure_srs: bool,
}

/// What hides the learned values in a model commitment.
#[derive(Debug)]
pub enum Hiding<R> {
    /// Blinding drawn from a cryptographically secure source: the commitment tells nothing of them.
    Drawn(R),
    /// Nothing: they are public, and whoever has them finds the same commitment.
    Nothing,
}

impl<R: RngCore + CryptoRng> Hiding<R> {
    fn opening(self, bank: Bank, blinding_rows: usize) -> ModelOpening {
        match self {
            Self::Drawn(rng) => ModelOpening::hidden(bank, blinding_rows, rng),
            Self::Nothing => ModelOpening::public(bank, blinding_rows),
        }
    }
}

/// Makes the keys of a network: the circuit's from its layout, the commitment from its learned values. Embedded learned
/// values are part of the circuit, so equal models have equal keys then, as public ones have.
///
/// Nothing is made from a layout that [`check`] does not prove to say what the graph says.
///
/// `committer` has the points of `srs`, and commits to everything. The circuit's key stays on its back end, for
/// [`Prover::with_key`](zkml_gpu_engine::Prover::with_key).
///
/// # Errors
/// [`KeyError`] where the reference string is of another size, the layout is refused, key generation or the back end
/// fails.
pub fn setup<B: Backend>(
    graph: &Graph,
    layout: &Layout,
    srs: &Srs,
    committer: &Committer<B>,
    hiding: Hiding<impl RngCore + CryptoRng>,
) -> Result<(CircuitKey<B>, ProvingKeys), KeyError> {
    if let Some(got) = [srs.k(), committer.k()].into_iter().find(|k| *k != layout.k) {
        return Err(KeyError::SrsSize { got, expected: layout.k });
    }
    let bank = Bank::new(layout, graph);
    {
        let _span = tracing::info_span!(target: "zkml_gpu::keys", "check").entered();
        check(graph, layout, &bank)?;
    }
    setup_unchecked(layout, bank, srs, committer, hiding)
}

/// As [`setup`], without the check: for tests of what is made from layouts that it refuses.
///
/// # Errors
/// As [`setup`].
#[doc(hidden)]
pub fn setup_unchecked<B: Backend>(
    layout: &Layout,
    bank: Bank,
    srs: &Srs,
    committer: &Committer<B>,
    hiding: Hiding<impl RngCore + CryptoRng>,
) -> Result<(CircuitKey<B>, ProvingKeys), KeyError> {
    let (circuit, mut verifying) = circuit_keys(layout, &bank, srs, committer)?;
    let rows = verifying.blinding_rows();
    let model = match layout.architecture.weights {
        WeightMode::Committed => hiding.opening(bank, rows),
        WeightMode::Embedded => ModelOpening::embedded(bank),
    };
    verifying.model = model.commit(committer.backend(), committer.lagrange(), 1 << layout.k)?;
    Ok((circuit, ProvingKeys { model, verifying }))
}

/// The model commitment of public learned values, as [`Hiding::Nothing`] makes it: whoever has the values compares it with a key's.
///
/// # Errors
/// [`KeyError::Backend`] where the back end fails.
pub fn public_commitment<B: Backend>(
    keys: &VerifyingKeys,
    graph: &Graph,
    layout: &Layout,
    committer: &Committer<B>,
) -> Result<Vec<G1Affine>, KeyError> {
    let opening = match layout.architecture.weights {
        WeightMode::Committed => ModelOpening::public(Bank::new(layout, graph), keys.blinding_rows()),
        WeightMode::Embedded => ModelOpening::embedded(Bank::new(layout, graph)),
    };
    Ok(opening.commit(committer.backend(), committer.lagrange(), 1 << layout.k)?)
}

/// The circuit's key, and what a verifier trusts but for the model commitment.
fn circuit_keys<B: Backend>(
    layout: &Layout,
    bank: &Bank,
    srs: &Srs,
    committer: &Committer<B>,
) -> Result<(CircuitKey<B>, VerifyingKeys), KeyError> {
    let (backend, lagrange) = (committer.backend(), committer.lagrange());
    let circuit = CircuitKey::new(backend, lagrange, layout.k, &NetworkCircuit::keygen(layout, bank))?;
    let vk = Arc::clone(circuit.vk());
    let blinding_points = linked_points(&layout.architecture, srs, &vk);
    let verifying = VerifyingKeys {
        architecture: layout.architecture.clone(),
        vk,
        k: layout.k,
        g: srs.g()[0],
        g2: srs.g2(),
        s_g2: srs.s_g2(),
        blinding_points,
        model: Vec::new(),
        statement: layout.statement.clone(),
        insecure_srs: srs.is_insecure(),
    };
    Ok((circuit, verifying))
}

/// What a verifier trusts, derived again by whoever has the architecture, and compared bit for bit: the circuit's part
/// of `keys` must be that of this graph and layout, which [`check`] proves to say the same. The graph's learned values
/// do not count where they are committed; where they are embedded the keys are those of these values.
///
/// # Errors
/// [`KeyError::Layout`] where the layout is refused, [`KeyError::SrsSize`] where the reference string is of another
/// size, [`KeyError::Differs`] with the first thing that is another in `keys`.
pub fn audit<B: Backend>(
    keys: &VerifyingKeys,
    graph: &Graph,
    layout: &Layout,
    srs: &Srs,
    committer: &Committer<B>,
) -> Result<(), KeyError> {
    if let Some(got) = [srs.k(), committer.k()].into_iter().find(|k| *k != layout.k) {
        return Err(KeyError::SrsSize { got, expected: layout.k });
    }
    let bank = Bank::new(layout, graph);
    check(graph, layout, &bank)?;
    let (_, mut derived) = circuit_keys(layout, &bank, srs, committer)?;
    derived.model.clone_from(&keys.model);
    match keys.difference(&derived) {
        Some(difference) => Err(KeyError::Differs(difference)),
        None => Ok(()),
    }
}

/// The keys of a retrained network: of the same graph and layout but for learned values, which are committed. The
/// circuit's key stays, the model commitment is another, with blinding of its own.
///
/// `committer` has the points of the reference string that `keys` were made with. As [`setup`], it makes nothing unless
/// [`check`] proves that the layout says what the graph says.
///
/// # Errors
/// [`KeyError`] where the reference string is of another size, the layout is refused, or the back end fails.
pub fn recommit<B: Backend>(
    keys: &ProvingKeys,
    graph: &Graph,
    layout: &Layout,
    committer: &Committer<B>,
    hiding: Hiding<impl RngCore + CryptoRng>,
) -> Result<ProvingKeys, KeyError> {
    let verifying = &keys.verifying;
    if committer.k() != layout.k || verifying.k != layout.k {
        return Err(KeyError::SrsSize { got: committer.k(), expected: layout.k });
    }
    let bank = Bank::new(layout, graph);
    check(graph, layout, &bank)?;
    let model = hiding.opening(bank, verifying.blinding_rows());
    let commitments = model.commit(committer.backend(), committer.lagrange(), 1 << layout.k)?;
    Ok(ProvingKeys { model, verifying: VerifyingKeys { model: commitments, ..verifying.clone() } })
}

/// The Lagrange points of the blinding rows, where there is a link to prove.
fn linked_points(architecture: &Architecture, srs: &Srs, vk: &VerifyingKey<G1Affine>) -> Vec<G1Affine> {
    let [rows, _] = point_counts(architecture, vk);
    srs.lagrange()[srs.lagrange().len() - rows..].to_vec()
}

/// Numbers of the blinding rows' points and of the model commitment's.
fn point_counts(architecture: &Architecture, vk: &VerifyingKey<G1Affine>) -> [usize; 2] {
    let rows = vk.cs().blinding_factors() + 1;
    match architecture.weights {
        WeightMode::Committed => [rows, architecture.weight_columns],
        WeightMode::Embedded if architecture.committed_columns > 0 => [rows, 0],
        WeightMode::Embedded => [0, 0],
    }
}

/// The part of a key file that is not points.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    k: u32,
    insecure_srs: bool,
    architecture: Architecture,
    statement: Statement,
    blinding_points: usize,
    model: usize,
    vk_bytes: usize,
}

impl VerifyingKeys {
    /// The public statement.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Shape of the constraint system.
    pub const fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// log2 of the number of rows.
    pub const fn k(&self) -> u32 {
        self.k
    }

    /// Halo2's verifying key, shared with the prover's circuit key.
    pub const fn vk(&self) -> &Arc<VerifyingKey<G1Affine>> {
        &self.vk
    }

    /// `[s]G2` of the reference string, which determines all its points.
    pub const fn s_g2(&self) -> &G2Affine {
        &self.s_g2
    }

    /// Identity of the reference string, in words.
    pub fn srs_identity(&self) -> String {
        Identity::of(&self.s_g2).to_string()
    }

    /// Whether the reference string's secret may be known to whoever made it.
    pub const fn insecure_srs(&self) -> bool {
        self.insecure_srs
    }

    /// Where the learned values stand.
    pub const fn weights(&self) -> WeightMode {
        self.architecture.weights
    }

    /// The model commitment: one point per column of the weight bank; none where the weights are embedded.
    pub fn model_commitment(&self) -> &[G1Affine] {
        &self.model
    }

    /// The first thing that is another in these keys than in derived ones, but for the model commitment.
    fn difference(&self, derived: &Self) -> Option<String> {
        if self.to_parts()[0] == derived.to_parts()[0] {
            return None;
        }
        let (own, other) = (&self.architecture, &derived.architecture);
        if self.k != derived.k {
            return Some(format!("it has 2^{} rows instead of 2^{}", self.k, derived.k));
        }
        if self.s_g2 != derived.s_g2 || self.blinding_points != derived.blinding_points {
            return Some("its reference string is another".into());
        }
        if self.insecure_srs != derived.insecure_srs {
            let of = |insecure| if insecure { "made on one machine" } else { "a ceremony's" };
            let [own, other] = [of(self.insecure_srs), of(derived.insecure_srs)];
            return Some(format!("it calls its reference string {own}, the one given is {other}"));
        }
        if own != other {
            return Some("its constraint system has other columns, roles or gates".into());
        }
        if self.statement != derived.statement {
            return Some("its inputs and outputs have other names, ranges or places".into());
        }
        let [a, b] = [self.vk.fixed_commitments(), derived.vk.fixed_commitments()];
        let column = a.iter().zip(b).position(|(a, b)| a != b);
        if let Some(column) = column {
            let role = own.fixed.get(column).map_or("embedded weights".into(), |role| format!("{role:?}"));
            return Some(format!("fixed column {column} ({role}) holds something else"));
        }
        Some("its bytes are others".into())
    }

    /// The keys with another model commitment: for tests of what is proved of one.
    #[doc(hidden)]
    #[must_use]
    pub fn with_model_commitment(&self, model: Vec<G1Affine>) -> Self {
        Self { model, ..self.clone() }
    }

    /// Rows of outside commitments' columns that hold their blinding; none where there are no such commitments.
    pub fn blinding_rows(&self) -> usize {
        self.blinding_points.len()
    }

    /// Lagrange points of the rows that hold the blinding of outside commitments; none where there are none.
    pub fn blinding_points(&self) -> &[G1Affine] {
        &self.blinding_points
    }

    /// The scalar that a proof absorbs first: it binds the keys, the model commitment, the statement and the commitments
    /// to its hidden tensors. None where the weights are embedded and no tensor is committed: Halo2's key, which every
    /// Halo2 proof absorbs, then holds the model and what of it is hidden, and the instances, which it absorbs too, are
    /// made by the statement.
    pub fn digest(&self, tensors: &[G1Affine]) -> Option<Fr> {
        let folded_weights = self.architecture.folded_weights();
        if folded_weights.is_none() && self.architecture.committed_columns == 0 {
            return None;
        }
        // Plain numbers and strings always serialise. The architecture is in Halo2's key as far as gates read it; all of it
        // is bound, so that a proof is one under one key.
        let statement = serde_json::to_vec(&(&self.architecture, &self.statement)).unwrap_or_default();
        let bound = Bound {
            transcript_repr: self.vk.transcript_repr(),
            k: self.k,
            g: self.g,
            g2: [self.g2, self.s_g2],
            blinding_points: &self.blinding_points,
            folded_weights,
            model: &self.model,
            statement: &statement,
            tensors: (self.architecture.committed(0), tensors),
        };
        Some(bound.digest())
    }

    /// The keys as bytes: the circuit's part, then the model's.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_parts().concat()
    }

    /// The keys in two parts. The circuit's is a header's length, the header as JSON, Halo2's key, and compressed points
    /// of the reference string: it is the same for all models of one architecture whose weights are committed. The
    /// model's is the model commitment, as compressed points.
    pub fn to_parts(&self) -> [Vec<u8>; 2] {
        let vk = self.vk.to_bytes(SerdeFormat::Processed);
        let header = Header {
            k: self.k,
            insecure_srs: self.insecure_srs,
            architecture: self.architecture.clone(),
            statement: self.statement.clone(),
            blinding_points: self.blinding_points.len(),
            model: self.model.len(),
            vk_bytes: vk.len(),
        };
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(vk);
        bytes.extend(self.g.to_bytes().as_ref());
        bytes.extend(self.g2.to_bytes().as_ref());
        bytes.extend(self.s_g2.to_bytes().as_ref());
        let compressed = |points: &[G1Affine]| -> Vec<u8> {
            points.iter().flat_map(|point| point.to_bytes().as_ref().to_vec()).collect()
        };
        bytes.extend(compressed(&self.blinding_points));
        [bytes, compressed(&self.model)]
    }

    /// Reads the parts that [`to_parts`](Self::to_parts) wrote, each of its own length.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_parts(circuit: &[u8], model: &[u8]) -> Result<Self, KeyError> {
        let keys = Self::from_bytes(&[circuit, model].concat())?;
        if model.len() == keys.model.len() * G1_BYTES {
            Ok(keys)
        } else {
            Err(malformed("the model commitment's length disagrees with the circuit"))
        }
    }

    /// The keys of another model of this circuit, from the model's part of [`to_parts`](Self::to_parts).
    ///
    /// # Errors
    /// [`KeyError::Malformed`] where it is no commitment to as many columns.
    pub fn with_model_part(&self, model: &[u8]) -> Result<Self, KeyError> {
        if model.len() != self.model.len() * G1_BYTES {
            return Err(malformed("the model commitment's length disagrees with the circuit"));
        }
        let mut reader = Reader(model);
        let model = (0..self.model.len()).map(|_| reader.g1()).collect::<Result<_, _>>()?;
        Ok(Self { model, ..self.clone() })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Points must be on their curves, sizes must agree, and nothing may
    /// follow.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader(bytes);
        let length = u64::from_le_bytes(reader.take(8)?.try_into().map_err(|_| malformed("no length"))?);
        let header = reader.take(usize::try_from(length).map_err(|_| malformed("header length"))?)?;
        let header: Header = serde_json::from_slice(header).map_err(|error| KeyError::Malformed(error.to_string()))?;
        header.architecture.check().map_err(KeyError::Malformed)?;
        let vk_bytes = reader.take(header.vk_bytes)?;
        if !vk_bytes_fit(vk_bytes, header.k, header.architecture.fixed_columns()) {
            return Err(malformed("the circuit's key disagrees with the header"));
        }
        let usable =
            (1usize << header.k).checked_sub(header.blinding_points).ok_or_else(|| malformed("no usable rows"))?;
        header.statement.check(&header.architecture, usable).map_err(KeyError::Malformed)?;
        let vk = VerifyingKey::from_bytes::<NetworkCircuit<'_>>(
            vk_bytes,
            SerdeFormat::Processed,
            header.architecture.clone(),
        )
        .map_err(|error| KeyError::Malformed(error.to_string()))?;
        if [header.blinding_points, header.model] != point_counts(&header.architecture, &vk) {
            return Err(malformed("numbers of points disagree with the circuit"));
        }
        // Embedded keys have no points for the blinding rows, so their number is known by the circuit alone.
        let usable = (1usize << header.k).checked_sub(vk.cs().blinding_factors() + 1);
        let usable = usable.ok_or_else(|| malformed("no usable rows"))?;
        header.statement.check(&header.architecture, usable).map_err(KeyError::Malformed)?;
        let keys = Self {
            vk: Arc::new(vk),
            k: header.k,
            g: reader.g1()?,
            g2: reader.g2()?,
            s_g2: reader.g2()?,
            blinding_points: (0..header.blinding_points).map(|_| reader.g1()).collect::<Result<_, _>>()?,
            model: reader.points(header.model)?,
            architecture: header.architecture,
            statement: header.statement,
            insecure_srs: header.insecure_srs,
        };
        keys.check_reference_string()?;
        if !reader.0.is_empty() {
            return Err(malformed("trailing bytes"));
        }
        // One key, one file: Halo2's reader takes a point in several encodings and passes over what follows its own
        // part.
        if keys.to_bytes() == bytes { Ok(keys) } else { Err(malformed("the keys are not in their canonical form")) }
    }

    /// What the reference string's own check demands of the points that a verifier keeps.
    fn check_reference_string(&self) -> Result<(), KeyError> {
        if self.g != G1Affine::generator() || self.g2 != G2Affine::generator() {
            return Err(malformed("the reference string does not start at the generators"));
        }
        if bool::from(self.s_g2.is_identity()) || self.s_g2 == self.g2 {
            return Err(malformed("the reference string's secret is 0 or 1"));
        }
        // A secret outside the domain has none that is 0: with such points nothing would be blinded.
        if self.blinding_points.iter().any(|point| bool::from(point.is_identity())) {
            return Err(malformed("a Lagrange point of the blinding rows is 0"));
        }
        Ok(())
    }
}

/// Whether bytes can be Halo2's key of a circuit. It starts with a version, k, and the number of fixed columns: others
/// are refused before it allocates by them.
pub(crate) fn vk_bytes_fit(bytes: &[u8], k: u32, fixed: usize) -> bool {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    (1..=MAX_K).contains(&k)
        && word(1) == Some(k)
        && word(6).and_then(|columns| usize::try_from(columns).ok()) == Some(fixed)
        && bytes.len() >= 10 + fixed * G1_BYTES
}

/// A point's compressed encoding in lower-case hexadecimal.
pub fn point_to_hex(point: &G1Affine) -> String {
    point.to_bytes().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The point whose only encoding in lower-case hexadecimal this is.
pub fn point_from_hex(text: &str) -> Option<G1Affine> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    decompress_g1(bytes.as_slice().try_into().ok()?).ok()
}

fn malformed(reason: &str) -> KeyError {
    KeyError::Malformed(reason.into())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], KeyError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(|| malformed("the file ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn g1(&mut self) -> Result<G1Affine, KeyError> {
        let bytes = self.take(G1_BYTES)?.try_into().map_err(|_| malformed("the file ends early"))?;
        decompress_g1(bytes).map_err(|error| KeyError::Malformed(error.to_string()))
    }

    /// So many points, which share the threads.
    fn points(&mut self, count: usize) -> Result<Vec<G1Affine>, KeyError> {
        let bytes = count.checked_mul(G1_BYTES).ok_or_else(|| malformed("too many points"))?;
        let (points, _) = self.take(bytes)?.as_chunks::<G1_BYTES>();
        let point = |bytes| decompress_g1(bytes).map_err(|error| KeyError::Malformed(error.to_string()));
        points.par_iter().map(point).collect()
    }

    fn g2(&mut self) -> Result<G2Affine, KeyError> {
        let bytes = self.take(G2_BYTES)?.try_into().map_err(|_| malformed("the file ends early"))?;
        decompress_g2(bytes).map_err(|error| KeyError::Malformed(error.to_string()))
    }
}
