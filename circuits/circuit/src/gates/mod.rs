//! The gates: the constraint system of every network, from its [`Architecture`] alone.
//!
//! All accumulators, helpers and the grand sum are constrained on every usable row, so no cell of phase 2 or 3 that
//! enters the sum is free. Rotations are 0 and -1 only; row 0 never reads its predecessor, because step columns are 0
//! there, so no gate with a nonzero coefficient reads a blinding row.

mod accumulators;
mod hashes;
mod lookup;
mod sum;

use halo2_proofs::plonk::{Advice, Column, ConstraintSystem, FirstPhase, SecondPhase, ThirdPhase};
use halo2curves::bn256::Fr;

use crate::rows;
use crate::system::{Architecture, Challenges, NetworkConfig};

/// Rows at the end that no gate may use: the blinding rows and the last one before them.
pub(crate) fn unusable_rows(architecture: &Architecture) -> usize {
    let mut meta = ConstraintSystem::default();
    configure(&mut meta, architecture.clone());
    meta.blinding_factors() + 1
}

/// Creates all columns and gates.
pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, architecture: Architecture) -> NetworkConfig {
    let a = &architecture;
    let fixed = a.fixed.iter().map(|_| meta.fixed_column()).collect();
    let weights = (0..a.embedded_columns()).map(|_| meta.fixed_column()).collect();
    let instance = (0..a.instance_columns()).map(|_| meta.instance_column()).collect();
    let mut advice: Vec<Column<Advice>> = (0..a.first_phase()).map(|_| meta.advice_column_in(FirstPhase)).collect();
    let s = meta.challenge_usable_after(FirstPhase);
    advice.extend((0..a.second_phase()).map(|_| meta.advice_column_in(SecondPhase)));
    // Halo2 has no phase without columns. Where nothing is committed between s and r, all that the identities hold is
    // in phase 1, before both, and each identity is one polynomial in s and r, zero at a point that is drawn after it.
    let between = a.second_phase() > 0;
    let [r, t, alpha, theta] = [(); 4].map(|()| match between {
        true => meta.challenge_usable_after(SecondPhase),
        false => meta.challenge_usable_after(FirstPhase),
    });
    advice.extend((0..a.third_phase()).map(|_| match between {
        true => meta.advice_column_in(ThirdPhase),
        false => meta.advice_column_in(SecondPhase),
    }));
    let challenges = Challenges { s, r, t, alpha, theta };
    let mut config = NetworkConfig { architecture, advice, fixed, weights, instance, challenges, derived: Vec::new() };
    let accumulators = accumulators::configure(meta, &config);
    rows::configure(meta, &config);
    hashes::configure(meta, &config);
    let helpers = lookup::configure(meta, &config);
    let [weighted, sum] = sum::configure(meta, &config);
    config.derived = [accumulators, weighted, helpers, sum].concat();
    config
}
