//! The phases of a witness: each is committed before the challenges that the next one reads.

use ff::Field;
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::ProverError;
use super::columns::{AdviceColumn, ColumnWitness};

/// What happens when a phase's advice columns are complete.
pub(super) trait PhaseCommitter {
    /// Whether a column needs no witness.
    fn derives(&self, column: usize) -> bool;

    /// Blinds and commits a circuit's columns of `phase`, which come with their indices unless they are derived. The
    /// circuits' challenges are those of earlier phases.
    fn commit_phase(
        &mut self,
        circuit: usize,
        phase: u8,
        columns: Vec<(usize, AdviceColumn<'_>)>,
        challenges: &[Option<Fr>],
    ) -> Result<(), ProverError>;

    /// The next challenge, after a phase is committed by all circuits.
    fn challenge(&mut self) -> Fr;
}

/// Draws the challenges that follow a phase.
pub(super) fn draw_challenges(
    challenges: &mut [Option<Fr>],
    challenge_phases: &[u8],
    phase: u8,
    committer: &mut impl PhaseCommitter,
) {
    for (challenge, _) in challenges.iter_mut().zip(challenge_phases).filter(|(_, after)| **after == phase) {
        *challenge = Some(committer.challenge());
    }
}

/// Commits all phases of a witness; returns the challenges of the circuit's own.
pub(super) fn supply(
    witness: &mut impl ColumnWitness,
    cs: &ConstraintSystem<Fr>,
    committer: &mut impl PhaseCommitter,
) -> Result<Vec<Fr>, ProverError> {
    let phases = cs.advice_column_phase().into_iter().max().map_or(1, |last| last + 1);
    let challenge_phases = cs.challenge_phase();
    let mut challenges = vec![None; challenge_phases.len()];
    for phase in 0..phases {
        let columns = witness.columns(phase, &challenges)?;
        committer.commit_phase(0, phase, columns, &challenges)?;
        draw_challenges(&mut challenges, &challenge_phases, phase, committer);
    }
    Ok(challenges.into_iter().map(|challenge| challenge.unwrap_or(Fr::ZERO)).collect())
}
