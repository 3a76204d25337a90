//! The quotient polynomial, coset by coset.
//!
//! Constraints of degree d have a quotient of degree below (d - 1)·n, so its values on d - 1 cosets of H determine it. One coset
//! and one circuit is worked on at a time: at most one circuit's columns on one coset are in memory, beside the key's own, which are
//! kept for all cosets if the budget allows.
//!
//! Where a circuit has m constraints, the fold of circuit c of C is multiplied by `y^(m·(C-1-c))`, as if all constraints stood in one
//! list.

use super::constraints::folded_constraints;
use super::poly::{Poly, Polynomials, resolve};
use super::program::{RowProgram, RowProgramBuilder};
use super::shape::Shape;
use super::{Challenges, ProverError};
use crate::backend::Backend;
use ff::{Field, PrimeField};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

/// The compiled constraints and the cosets they are evaluated on.
#[derive(Debug)]
pub(super) struct Quotient<B: Backend> {
    /// A circuit's constraints, folded.
    constraints: RowProgram<B>,
    /// How many they are.
    count: usize,
    cosets: Vec<Coset<B::Scalars>>,
}

/// The coset `shift·H`.
#[derive(Debug)]
struct Coset<S> {
    shift: Fr,
    /// 1 / (shift^n - 1): X^n - 1 is constant on the coset.
    vanishing_inverse: Fr,
    /// The key's polynomials on the coset, if they are kept.
    resident: Option<Polynomials<S>>,
}

/// What the quotient is made of: coefficients, and the challenges up to y.
pub(super) struct Committed<'a, B: Backend> {
    /// Each circuit's own polynomials.
    pub(super) circuits: Vec<&'a Polynomials<B::Scalars>>,
    /// The key's polynomials.
    pub(super) key: &'a Polynomials<B::Scalars>,
    pub(super) challenges: &'a Challenges,
}

impl<B: Backend> Quotient<B> {
    pub(super) fn new(
        backend: &B,
        cs: &ConstraintSystem<Fr>,
        shape: &Shape,
        polys: &Polynomials<B::Scalars>,
        budget_bytes: usize,
    ) -> Result<Self, ProverError> {
        let mut program = RowProgramBuilder::default();
        let (folded, count) = folded_constraints(&mut program, cs, shape)?;
        let constraints = program.finish(backend, &[folded])?;
        let mut quotient = Quotient { constraints, count, cosets: cosets(shape) };
        let resident = quotient.constraints.polys().iter().filter(|poly| poly.is_resident()).count();
        if resident * shape.quotient_pieces * shape.n * size_of::<Fr>() <= budget_bytes {
            for index in 0..quotient.cosets.len() {
                let kept = quotient.on_coset(backend, shape, polys, quotient.cosets[index].shift, Poly::is_resident)?;
                quotient.cosets[index].resident = Some(kept);
            }
        }
        Ok(quotient)
    }

    /// The quotient's coefficients in pieces of n, lowest first.
    pub(super) fn pieces(
        &self,
        backend: &B,
        shape: &Shape,
        witness: &Committed<'_, B>,
    ) -> Result<Vec<B::Scalars>, ProverError> {
        let mut values = Vec::with_capacity(self.cosets.len());
        for coset in &self.cosets {
            if let Some(mut column) = self.fold_circuits(backend, shape, coset, witness)? {
                backend.scale(&mut column, coset.vanishing_inverse)?;
                values.push((coset.shift, column));
            }
        }
        let values: Vec<_> = values.iter().map(|(shift, column)| (*shift, column)).collect();
        Ok(backend.interpolate_cosets(&values)?)
    }

    /// The folded constraints of all circuits on a coset; `None` without circuits.
    fn fold_circuits(
        &self,
        backend: &B,
        shape: &Shape,
        coset: &Coset<B::Scalars>,
        witness: &Committed<'_, B>,
    ) -> Result<Option<B::Scalars>, ProverError> {
        let transformed = match coset.resident {
            None => self.on_coset(backend, shape, witness.key, coset.shift, Poly::is_resident)?,
            Some(_) => Polynomials::default(),
        };
        let key = coset.resident.as_ref().unwrap_or(&transformed);
        let step = witness.challenges.y.pow_vartime([self.count as u64]);
        let mut total: Option<B::Scalars> = None;
        for own in &witness.circuits {
            let own = self.on_coset(backend, shape, own, coset.shift, |poly| !poly.is_resident())?;
            let mut folded = self.constraints.run(backend, shape.n, &[&own, key], witness.challenges)?.pop();
            if let (Some(folded), Some(mut before)) = (&mut folded, total.take()) {
                backend.scale(&mut before, step)?;
                backend.add_assign(folded, &before)?;
            }
            total = folded;
        }
        Ok(total)
    }

    /// The values on a coset of those polynomials of the program that satisfy `wanted`.
    fn on_coset(
        &self,
        backend: &B,
        shape: &Shape,
        polys: &Polynomials<B::Scalars>,
        shift: Fr,
        wanted: impl Fn(Poly) -> bool,
    ) -> Result<Polynomials<B::Scalars>, ProverError> {
        let mut coset = Polynomials::default();
        let names: Vec<Poly> = self.constraints.polys().iter().copied().filter(|&poly| wanted(poly)).collect();
        let (identity, names): (Vec<Poly>, Vec<Poly>) = names.into_iter().partition(|&poly| poly == Poly::Identity);
        for name in identity {
            coset.insert(name, backend.powers(shift, shape.omega, shape.n)?);
        }
        let columns = resolve(&[polys], &names)?;
        let values = backend.coset_ntt(&columns, shift)?;
        coset.extend(names, values);
        Ok(coset)
    }
}

/// One coset per piece of the quotient. The shifts are powers of a generator g of the whole multiplicative group, so
/// that `g^(i·n)` are distinct and not 1 for all the i that occur.
fn cosets<S>(shape: &Shape) -> Vec<Coset<S>> {
    let mut shift = Fr::ONE;
    (0..shape.quotient_pieces)
        .map(|_| {
            shift *= Fr::MULTIPLICATIVE_GENERATOR;
            let vanishing = shift.pow_vartime([shape.n as u64]) - Fr::ONE;
            Coset { shift, vanishing_inverse: vanishing.invert().unwrap_or(Fr::ZERO), resident: None }
        })
        .collect()
}
