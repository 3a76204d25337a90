//! Making a weights' proof.

use ff::Field;
use halo2_proofs::SerdeFormat;
use halo2_proofs::dev::MockProver;
use halo2_proofs::transcript::{Blake2bWrite, Challenge255, Transcript, TranscriptWriterBuffer};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::{CryptoRng, RngCore};
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::prover::{Prover, ProverOptions};
use zkml_gpu_engine::secret::wipe_elements;
use zkml_gpu_engine::{BackendError, CircuitKey, Committer};
use zkml_gpu_graph::Graph;

use super::WeightsError;
use super::circuit::{Rows, WeightsCircuit};
use super::masks::{Masks, cells};
use super::shape::parts;
use super::verify::{Part, WeightsPart, WeightsProof, bound};
use crate::commit::{LinkStatement, ModelOpening, prove_link};
use crate::keys::VerifyingKeys;
use crate::layout::Layout;

/// What a weights' proof is made of, beside randomness.
#[derive(Debug, Clone, Copy)]
pub struct WeightsOpening<'a> {
    /// The network, of which the architecture counts.
    pub graph: &'a Graph,
    /// Its layout.
    pub layout: &'a Layout,
    /// The keys whose model commitment is proved.
    pub keys: &'a VerifyingKeys,
    /// What it opens to.
    pub model: &'a ModelOpening,
    /// Cells to which something is added in the circuit (part, column, row, number), for tests of soundness; then the
    /// witness is not checked.
    #[doc(hidden)]
    pub changed: &'a [(usize, usize, usize, i64)],
}

impl<'a> WeightsOpening<'a> {
    /// The opening of the model commitment of `keys`.
    pub const fn new(graph: &'a Graph, layout: &'a Layout, keys: &'a VerifyingKeys, model: &'a ModelOpening) -> Self {
        Self { graph, layout, keys, model, changed: &[] }
    }
}

/// Proves that a model commitment opens to integers of their widths, 0 where the architecture has none. `committer`
/// gives one committer for each part, which proves it.
///
/// # Errors
/// [`WeightsError`] where the weights are others, or a back end fails.
pub fn prove_weights<B: Backend>(
    opening: WeightsOpening<'_>,
    mut committer: impl FnMut() -> Result<Committer<B>, BackendError>,
    mut rng: impl RngCore + CryptoRng,
) -> Result<WeightsProof, WeightsError> {
    let WeightsOpening { graph, layout, keys, model, changed } = opening;
    let _span = tracing::info_span!(target: "zkml_gpu::keys", "weights_proof").entered();
    let (cells, usable) = (cells(graph, layout)?, layout.usable_rows());
    let mut proved = Vec::new();
    for (index, columns) in parts(layout, &cells).into_iter().enumerate() {
        let rows = Rows::new(Masks::new(&cells, columns.clone())?, usable)?;
        let committer = committer()?;
        let key = CircuitKey::new(committer.backend(), committer.lagrange(), layout.k, &WeightsCircuit::keygen(&rows))?;
        let part = Part { shape: rows.shape.clone(), columns: columns.clone(), vk: key.vk().clone() };
        let blinding = part.blinding_rows(keys)?;
        let changed = of_part(changed, index);
        let bank: Vec<Vec<i64>> = columns.clone().map(|column| dense(model, column, usable)).collect();
        let mut options = ProverOptions::default();
        // One proof alone: nothing is kept for others.
        options.coset_budget_bytes = 0;
        options.check_witness = changed.is_empty();
        let prover = Prover::with_key(committer, key, &options)?;
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        transcript.common_scalar(bound(keys, &part))?;
        let circuit = WeightsCircuit::proving(&rows, &bank, &changed);
        // There is a witness: the circuit is one for proving.
        let mut witness = circuit.columns().ok_or(zkml_gpu_engine::ProverError::NoCircuits)?;
        let output = prover.create_proof_from_columns(&mut witness, &[], &mut rng, &mut transcript)?;
        let rho: Fr = *transcript.squeeze_challenge_scalar::<()>();
        // The difference of both sides' blinding, folded by powers of ρ; the circuit's own stands in the last rows.
        let mut secrets = vec![Fr::ZERO; blinding];
        for column in columns.clone().rev() {
            let (own, outside) =
                (&output.advice_blinding[rows.shape.weight(column - columns.start)], &model.blinds[column]);
            let own = std::iter::repeat_n(&Fr::ZERO, blinding - own.len()).chain(own);
            for ((secret, own), outside) in secrets.iter_mut().zip(own).zip(outside) {
                *secret = *secret * rho + own - outside;
            }
        }
        let statement = LinkStatement::of_secrets(&secrets, &keys.blinding_points);
        let proved_link = prove_link(statement, &secrets, rho, &mut rng, &mut transcript);
        wipe_elements(&mut secrets);
        proved_link?;
        proved.push(WeightsPart {
            shape: part.shape,
            vk: part.vk.to_bytes(SerdeFormat::Processed),
            proof: transcript.finalize(),
        });
    }
    Ok(WeightsProof { parts: proved })
}

/// Whether all gates of all parts hold, without a proof: for tests of soundness.
///
/// # Errors
/// As [`prove_weights`].
#[doc(hidden)]
pub fn mock_weights(opening: WeightsOpening<'_>) -> Result<bool, WeightsError> {
    let WeightsOpening { graph, layout, model, changed, .. } = opening;
    let (cells, usable) = (cells(graph, layout)?, layout.usable_rows());
    let mut holds = true;
    for (index, columns) in parts(layout, &cells).into_iter().enumerate() {
        let rows = Rows::new(Masks::new(&cells, columns.clone())?, usable)?;
        let changed = of_part(changed, index);
        let bank: Vec<Vec<i64>> = columns.map(|column| dense(model, column, usable)).collect();
        let circuit = WeightsCircuit::proving(&rows, &bank, &changed);
        let prover = MockProver::run(layout.k, &circuit, Vec::new());
        holds &= prover.map_err(zkml_gpu_engine::ProverError::Synthesis)?.verify().is_ok();
    }
    Ok(holds)
}

/// The changed cells of a part.
fn of_part(changed: &[(usize, usize, usize, i64)], index: usize) -> Vec<(usize, usize, i64)> {
    changed.iter().filter(|(part, ..)| *part == index).map(|(_, column, row, by)| (*column, *row, *by)).collect()
}

/// A column of the bank over the usable rows.
fn dense(model: &ModelOpening, column: usize, usable: usize) -> Vec<i64> {
    let mut dense = vec![0; usable];
    model.bank.cells(column).for_each(|(row, value)| dense[row] = value);
    dense
}
