//! The built-in lookup argument: Halo2's, with permuted columns where Plookup
//! ([GW20](https://eprint.iacr.org/2020/315)) has a sorted union.
//!
//! A lookup of expressions (a_0, .., a_{m-1}) in (s_0, .., s_{m-1}) is compressed with theta to one column A in one
//! column S. The prover commits to permutations A' of A and S' of S such that every A' equals its S' or the A' before
//! it, and then to the grand product that shows that they are permutations. See the [halo2
//! book](https://zcash.github.io/halo2/design/proving-system/lookup.html).

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use tracing::info_span;

use super::constraints::lookup_factor;
use super::poly::Poly;
use super::program::{RowProgram, RowProgramBuilder};
use super::{Proof, ProverError};
use crate::BackendError;
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;

/// A circuit's lookups, compiled.
#[derive(Debug)]
pub(super) struct LookupPrograms<B: Backend> {
    /// A and S per lookup.
    compress: RowProgram<B>,
    /// `(A' + β)(S' + γ)` per lookup, then `(A + β)(S + γ)` per lookup.
    ratio: RowProgram<B>,
}

impl<B: Backend> LookupPrograms<B> {
    pub(super) fn new(backend: &B, cs: &ConstraintSystem<Fr>) -> Result<Self, ProverError> {
        let mut compress = RowProgramBuilder::default();
        let mut columns = Vec::new();
        for lookup in cs.lookups() {
            columns.push(compress.compress(lookup.input_expressions())?);
            columns.push(compress.compress(lookup.table_expressions())?);
        }
        let mut ratio = RowProgramBuilder::default();
        let mut factors = |names: fn(usize) -> [Poly; 2]| {
            let factor = |index| {
                let [input, table] = names(index).map(|poly| ratio.query(poly, 0));
                lookup_factor(&mut ratio, input, table)
            };
            (0..cs.lookups().len()).map(factor).collect::<Vec<_>>()
        };
        let mut outputs = factors(permuted);
        outputs.extend(factors(compressed));
        Ok(LookupPrograms { compress: compress.finish(backend, &columns)?, ratio: ratio.finish(backend, &outputs)? })
    }
}

fn compressed(index: usize) -> [Poly; 2] {
    [Poly::CompressedInput(index), Poly::CompressedTable(index)]
}

fn permuted(index: usize) -> [Poly; 2] {
    [Poly::PermutedInput(index), Poly::PermutedTable(index)]
}

impl<B: Backend> Proof<'_, B> {
    /// Squeezes theta and commits to A' and S' of every lookup of every circuit.
    pub(super) fn permute_lookups(&mut self) -> Result<(), ProverError> {
        self.challenges.theta = self.squeeze();
        let (circuits, lookups) = (self.circuits.len(), self.prover.cs.lookups().len());
        if lookups == 0 {
            return Ok(());
        }
        let (rows, bytes) = (self.prover.shape.n, self.prover.shape.bytes(2 * circuits * lookups));
        let _span = info_span!(target: TRACING_TARGET, "lookups", circuits, lookups, rows, bytes).entered();
        for circuit in 0..circuits {
            self.compress_lookups(circuit)?;
            for lookup in 0..lookups {
                let vectors =
                    self.permute_lookup(circuit, lookup).map_err(|error| error.in_circuit(circuit, circuits))?;
                self.circuits[circuit].values.extend(permuted(lookup), vectors);
            }
        }
        let names = (0..circuits).flat_map(|circuit| (0..lookups).flat_map(permuted).map(move |poly| (circuit, poly)));
        self.commit_columns(&names.collect::<Vec<_>>())
    }

    /// A and S of every lookup of a circuit.
    fn compress_lookups(&mut self, circuit: usize) -> Result<(), ProverError> {
        let prover = self.prover;
        let own = &mut self.circuits[circuit].values;
        let columns =
            prover.lookups.compress.run(&prover.backend, prover.shape.n, &[own, &prover.values], &self.challenges)?;
        own.extend((0..prover.cs.lookups().len()).flat_map(compressed), columns);
        Ok(())
    }

    /// A' and S' of one lookup, blinded.
    fn permute_lookup(&mut self, circuit: usize, lookup: usize) -> Result<[B::Scalars; 2], ProverError> {
        let (backend, shape) = (&self.prover.backend, &self.prover.shape);
        let values = &self.circuits[circuit].values;
        let [input, table] = compressed(lookup);
        let (input, table) = (values.expect(input)?, values.expect(table)?);
        let (mut input, mut table) =
            backend.permute_lookup(input, table, shape.usable_rows).map_err(|error| self.name_lookup(lookup, error))?;
        for column in [&mut input, &mut table] {
            let blinding = self.draw(shape.n - shape.usable_rows);
            backend.write_range(column, shape.usable_rows, &blinding)?;
        }
        Ok([input, table])
    }

    fn name_lookup(&self, lookup: usize, error: BackendError) -> ProverError {
        match error {
            BackendError::NotInTable { row } => {
                let name = self.prover.cs.lookups()[lookup].name();
                ProverError::NotInTable { lookup: format!("{lookup} ({name:?})"), row }
            }
            other => ProverError::Backend(other),
        }
    }

    /// Makes the grand product of every lookup of a circuit, blinded.
    pub(super) fn make_lookup_products(&mut self, circuit: usize) -> Result<(), ProverError> {
        let prover = self.prover;
        let lookups = prover.cs.lookups().len();
        if lookups == 0 {
            return Ok(());
        }
        let stores = [&self.circuits[circuit].values];
        let mut denominators = prover.lookups.ratio.run(&prover.backend, prover.shape.n, &stores, &self.challenges)?;
        let numerators = denominators.split_off(lookups);
        for (lookup, (denominator, numerator)) in denominators.into_iter().zip(numerators).enumerate() {
            let (product, _) = self.grand_product(denominator, &numerator, Fr::one())?;
            self.circuits[circuit].values.insert(Poly::LookupProduct(lookup), product);
        }
        Ok(())
    }
}
