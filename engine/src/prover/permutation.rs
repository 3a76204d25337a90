//! Grand products: the permutation argument's own, and what it shares with the lookups'.
//!
//! The columns under copy constraints are taken in chunks of `degree - 2`. The product z_i of chunk i grows from row to row by
//! `Π(p_j + β·δ^j·ω^row + γ) / Π(p_j + β·s_j + γ)`, starts where z_{i-1} ended, and the last one ends at 1.

use super::constraints::permutation_ratios;
use super::poly::{Poly, resolve};
use super::program::{RowProgram, RowProgramBuilder};
use super::shape::Shape;
use super::{Proof, ProverError, TRACING_TARGET};
use crate::backend::Backend;
use halo2_proofs::plonk::ConstraintSystem;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use tracing::info_span;

/// A circuit's permutation argument, compiled.
#[derive(Debug)]
pub(super) struct PermutationProgram<B: Backend> {
    /// The denominators of all chunks, then their numerators.
    ratio: RowProgram<B>,
    sets: usize,
}

impl<B: Backend> PermutationProgram<B> {
    pub(super) fn new(backend: &B, cs: &ConstraintSystem<Fr>, shape: &Shape) -> Result<Self, ProverError> {
        let mut program = RowProgramBuilder::default();
        let ratios = permutation_ratios(&mut program, cs, shape);
        let (mut outputs, numerators): (Vec<_>, Vec<_>) = ratios.into_iter().unzip();
        let sets = outputs.len();
        outputs.extend(numerators);
        Ok(PermutationProgram { ratio: program.finish(backend, &outputs)?, sets })
    }
}

impl<B, E, R, T> Proof<'_, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    /// Squeezes beta and gamma and commits to all grand products, the permutation argument's before the lookups'.
    pub(super) fn commit_grand_products(&mut self) -> Result<(), ProverError> {
        self.challenges.beta = self.squeeze();
        self.challenges.gamma = self.squeeze();
        let prover = self.prover;
        let (sets, lookups) = (prover.permutation.sets, prover.cs.lookups().len());
        let (rows, bytes) = (prover.shape.n, prover.shape.bytes(sets + lookups));
        let _span = info_span!(target: TRACING_TARGET, "permutation", sets, lookups, rows, bytes).entered();
        let mut products = self.permutation_products()?;
        products.extend(self.lookup_products()?);
        let names: Vec<Poly> =
            (0..sets).map(Poly::PermutationProduct).chain((0..lookups).map(Poly::LookupProduct)).collect();
        self.values.extend(names.iter().copied(), products);
        let commitments = prover.backend.msm(&prover.lagrange, &resolve(&[&self.values], &names)?)?;
        self.write_points(&commitments)
    }

    /// The grand product of every chunk of permutation columns, blinded.
    fn permutation_products(&mut self) -> Result<Vec<B::Scalars>, ProverError> {
        let prover = self.prover;
        if prover.permutation.sets == 0 {
            return Ok(Vec::new());
        }
        let stores = [&self.values, &prover.values];
        let mut denominators =
            prover.permutation.ratio.run(&prover.backend, prover.shape.n, &stores, &self.challenges)?;
        let numerators = denominators.split_off(prover.permutation.sets);
        let mut end = Fr::one();
        let mut products = Vec::with_capacity(prover.permutation.sets);
        for (denominator, numerator) in denominators.into_iter().zip(numerators) {
            let product;
            (product, end) = self.grand_product(denominator, &numerator, end)?;
            products.push(product);
        }
        if prover.check_witness && end != Fr::one() {
            return Err(ProverError::CopyConstraint);
        }
        Ok(products)
    }

    /// The running product of `numerator / denominator` from `start`, random in the last rows; and where it ends.
    pub(super) fn grand_product(
        &mut self,
        mut denominator: B::Scalars,
        numerator: &B::Scalars,
        start: Fr,
    ) -> Result<(B::Scalars, Fr), ProverError> {
        let (backend, shape) = (&self.prover.backend, &self.prover.shape);
        backend.batch_invert(&mut denominator)?;
        backend.mul_assign(&mut denominator, numerator)?;
        let mut product = backend.prefix_product(&denominator, start)?;
        let end = backend.read_range(&product, shape.usable_rows..shape.usable_rows + 1)?;
        let blinding = self.draw(shape.blinding_factors);
        backend.write_range(&mut product, shape.n - shape.blinding_factors, &blinding)?;
        Ok((product, end.into_iter().next().unwrap_or_default()))
    }
}
