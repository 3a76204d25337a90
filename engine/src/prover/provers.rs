//! Provers that stay loaded between calls with the stock prover's arguments.

use std::sync::{Arc, Mutex, PoisonError};

use halo2_proofs::plonk::{Circuit, Error, ProvingKey};
use halo2_proofs::poly::commitment::{self, CommitmentScheme, Params};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine};
use rand_core::RngCore;

use super::drop_in::stock_error;
use super::{KzgOpening, Opening, Prover, ProverError, ProverOptions};
use crate::backend::Backend;

/// A [`Prover`] for each key that came by, kept for the next call: for code that proves with the stock function's
/// arguments, several times or with several keys, from any number of threads.
///
/// Whoever makes it owns it and all memory that its keys take; nothing is kept elsewhere. Of more keys than it may
/// keep, the one used longest ago goes.
///
/// ```
/// use zkml_gpu_engine::Provers;
/// use zkml_gpu_engine::backend::BackendChoice;
///
/// let provers = Provers::new(BackendChoice::Cpu.open()?, 2);
/// // provers.create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<Bn256>, _, _, _, _>(
/// //     &params, &pk, &[circuit], &[&[&public]], OsRng, &mut transcript)?;
/// assert!(provers.is_empty());
/// # Ok::<(), zkml_gpu_engine::backend::ChoiceError>(())
/// ```
#[derive(Debug)]
pub struct Provers<B: Backend + Clone> {
    backend: B,
    most: usize,
    options: ProverOptions,
    /// The one used last at the end.
    kept: Mutex<Vec<(Key, Slot<B>)>>,
}

/// What a prover is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    /// The verifying key, by the digest that opens its transcripts.
    circuit: Fr,
    k: u32,
    /// The reference string: a circuit without fixed columns and copies has the same verifying key for all of them.
    s_g2: G2Affine,
    opening: Opening,
}

/// A place for a prover; locked while it is loaded, so that a second caller waits instead of loading it again.
type Slot<B> = Arc<Mutex<Option<Arc<Prover<B>>>>>;

impl<B: Backend + Clone> Provers<B> {
    /// None yet, and `most` at a time, at least one.
    pub fn new(backend: B, most: usize) -> Self {
        Self::with_options(backend, most, ProverOptions::default())
    }

    /// As [`new`](Self::new), with options for each prover. [`ProverOptions::opening`] does not count, since a call
    /// says it, nor do [`ProverOptions::lagrange_points`], which are of one reference string.
    pub fn with_options(backend: B, most: usize, options: ProverOptions) -> Self {
        let options = ProverOptions { lagrange_points: None, ..options };
        Self { backend, most: most.max(1), options, kept: Mutex::default() }
    }

    /// How many provers are kept.
    pub fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go of all provers; those in use stay until their proofs are made.
    pub fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The prover for a key, loaded unless it is kept.
    ///
    /// # Errors
    /// As [`Prover::new`].
    pub fn prover(
        &self,
        params: &ParamsKZG<Bn256>,
        pk: &ProvingKey<G1Affine>,
        opening: Opening,
    ) -> Result<Arc<Prover<B>>, ProverError> {
        let circuit = pk.get_vk().transcript_repr();
        let key = Key { circuit, k: params.k(), s_g2: params.s_g2(), opening };
        let slot = self.slot(key);
        let mut loaded = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prover) = &*loaded {
            return Ok(prover.clone());
        }
        let options = ProverOptions { opening, ..self.options.clone() };
        let made = Prover::with_options(self.backend.clone(), params, pk, options);
        let prover = made.map(Arc::new).inspect_err(|_| self.forget(&key))?;
        *loaded = Some(prover.clone());
        Ok(prover)
    }

    /// The key's place, now the one used last.
    fn slot(&self, key: Key) -> Slot<B> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| *known == key);
        let slot = known.map_or_else(Slot::default, |place| kept.remove(place).1);
        kept.push((key, slot.clone()));
        let excess = kept.len().saturating_sub(self.most);
        kept.drain(..excess);
        slot
    }

    /// A key that does not load takes no place.
    fn forget(&self, key: &Key) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != key);
    }

    /// As [`create_proof`](super::create_proof()), with the key's prover.
    ///
    /// # Errors
    /// As [`create_proof`](super::create_proof()).
    pub fn create_proof<
        'params,
        'a,
        Scheme: CommitmentScheme<Scalar = Fr, Curve = G1Affine, ParamsProver = ParamsKZG<Bn256>>,
        P: commitment::Prover<'params, Scheme> + KzgOpening,
        E: EncodedChallenge<G1Affine>,
        R: RngCore + 'a,
        T: TranscriptWrite<G1Affine, E>,
        ConcreteCircuit: Circuit<Fr>,
    >(
        &self,
        params: &'params Scheme::ParamsProver,
        pk: &ProvingKey<Scheme::Curve>,
        circuits: &[ConcreteCircuit],
        instances: &[&[&'a [Scheme::Scalar]]],
        rng: R,
        transcript: &'a mut T,
    ) -> Result<(), Error> {
        let made = self
            .try_create_proof::<Scheme, P, E, R, T, ConcreteCircuit>(params, pk, circuits, instances, rng, transcript);
        made.map_err(stock_error)
    }

    /// As [`try_create_proof`](super::try_create_proof), with the key's prover.
    ///
    /// # Errors
    /// As [`try_create_proof`](super::try_create_proof).
    pub fn try_create_proof<
        'params,
        'a,
        Scheme: CommitmentScheme<Scalar = Fr, Curve = G1Affine, ParamsProver = ParamsKZG<Bn256>>,
        P: commitment::Prover<'params, Scheme> + KzgOpening,
        E: EncodedChallenge<G1Affine>,
        R: RngCore + 'a,
        T: TranscriptWrite<G1Affine, E>,
        ConcreteCircuit: Circuit<Fr>,
    >(
        &self,
        params: &'params Scheme::ParamsProver,
        pk: &ProvingKey<Scheme::Curve>,
        circuits: &[ConcreteCircuit],
        instances: &[&[&'a [Scheme::Scalar]]],
        rng: R,
        transcript: &'a mut T,
    ) -> Result<(), ProverError> {
        self.prover(params, pk, P::OPENING)?.create_joint_proof(circuits, instances, rng, transcript)?;
        Ok(())
    }
}
