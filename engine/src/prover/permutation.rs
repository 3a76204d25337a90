//! Grand products: the permutation argument's own, and what it shares with the lookups'.
//!
//! The permutation argument, for copy constraints, is PLONK's ([GWC19](https://eprint.iacr.org/2019/953), section 5),
//! over chunks of columns as in the [halo2 book](https://zcash.github.io/halo2/design/proving-system/permutation.html).
//! The columns under copy constraints are taken in chunks of `degree - 2`. The product z_i of chunk i grows from row to
//! row by `Π(p_j + β·δ^j·ω^row + γ) / Π(p_j + β·s_j + γ)`, starts where z_{i-1} ended, and the last one ends at 1.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use tracing::info_span;

use super::constraints::permutation_ratios;
use super::poly::Poly;
use super::program::{RowProgram, RowProgramBuilder};
use super::shape::Shape;
use super::{Proof, ProverError};
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;

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

impl<B: Backend> Proof<'_, B> {
    /// Squeezes beta and gamma and commits to all grand products: every circuit's permutation argument, then every
    /// circuit's lookups.
    pub(super) fn commit_grand_products(&mut self) -> Result<(), ProverError> {
        self.challenges.beta = self.squeeze();
        self.challenges.gamma = self.squeeze();
        let (circuits, shape) = (self.circuits.len(), &self.prover.shape);
        let (sets, lookups) = (self.prover.permutation.sets, self.prover.cs.lookups().len());
        let (rows, bytes) = (shape.n, shape.bytes(circuits * (sets + lookups)));
        let _span = info_span!(target: TRACING_TARGET, "permutation", circuits, sets, lookups, rows, bytes).entered();
        for circuit in 0..circuits {
            self.make_permutation_products(circuit).map_err(|error| error.in_circuit(circuit, circuits))?;
        }
        for circuit in 0..circuits {
            self.make_lookup_products(circuit)?;
        }
        let sets = (0..circuits).flat_map(|circuit| (0..sets).map(move |set| (circuit, Poly::PermutationProduct(set))));
        let lookups =
            (0..circuits).flat_map(|circuit| (0..lookups).map(move |lookup| (circuit, Poly::LookupProduct(lookup))));
        self.commit_columns(&sets.chain(lookups).collect::<Vec<_>>())
    }

    /// Makes the grand product of every chunk of a circuit's permutation columns, blinded.
    fn make_permutation_products(&mut self, circuit: usize) -> Result<(), ProverError> {
        let prover = self.prover;
        if prover.permutation.sets == 0 {
            return Ok(());
        }
        let stores = [&self.circuits[circuit].values, &prover.values];
        let mut denominators =
            prover.permutation.ratio.run(&prover.backend, prover.shape.n, &stores, &self.challenges)?;
        let numerators = denominators.split_off(prover.permutation.sets);
        let mut end = Fr::one();
        for (set, (denominator, numerator)) in denominators.into_iter().zip(numerators).enumerate() {
            let product;
            (product, end) = self.grand_product(denominator, &numerator, end)?;
            self.circuits[circuit].values.insert(Poly::PermutationProduct(set), product);
        }
        match prover.check_witness && end != Fr::one() {
            true => Err(ProverError::CopyConstraint),
            false => Ok(()),
        }
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
