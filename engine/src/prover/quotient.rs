//! The quotient polynomial of the vanishing argument (t in PLONK, [GWC19](https://eprint.iacr.org/2019/953); h in
//! Halo2), coset by coset instead of on one extended domain.
//!
//! Constraints of degree d have a quotient of degree below (d - 1)·n, so its values on d - 1 cosets of H determine it;
//! `classes.rs` divides the constraints into classes by the cosets that they need. The coset i evaluates the classes
//! that need more than i. One coset and one circuit is worked on at a time: at most one circuit's columns on one coset
//! are in memory, only those that are read there, beside the key's own, which are kept on as many cosets as the budget
//! allows.
//!
//! Where a circuit has m constraints, the fold of circuit c of C is multiplied by `y^(m·(C-1-c))`, as if all
//! constraints stood in one list.

use ff::{Field, PrimeField};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::classes::Classes;
use super::poly::{Poly, Polynomials, resolve};
use super::program::{NamedProgram, RowProgram};
use super::shape::Shape;
use super::{Challenges, ProverError};
use crate::backend::Backend;

/// The compiled constraints and the cosets they are evaluated on.
#[derive(Debug)]
pub(super) struct Quotient<B: Backend> {
    /// The number of cosets of each class, descending.
    classes: Vec<usize>,
    /// How many constraints a circuit has.
    count: usize,
    /// The program of the first class, of the first two, and so on: a circuit's constraints, folded class by class.
    programs: Vec<RowProgram<B>>,
    /// The program of all classes, for one row.
    row: NamedProgram,
    cosets: Vec<Coset<B::Scalars>>,
}

/// The coset `shift·H`.
#[derive(Debug)]
struct Coset<S> {
    shift: Fr,
    /// 1 / (shift^n - 1): X^n - 1 is constant on the coset.
    vanishing_inverse: Fr,
    /// How many classes are evaluated here, at least one.
    classes: usize,
    /// The key's polynomials that are read on the coset, if they are kept.
    resident: Option<Polynomials<S>>,
}

/// A class's fold on a coset: the coset's shift, and the values.
type OnCoset<S> = (Fr, S);

/// What the quotient is made of: coefficients, and the challenges up to y.
pub(super) struct Committed<'a, B: Backend> {
    /// Each circuit's own polynomials.
    pub(super) circuits: Vec<&'a Polynomials<B::Scalars>>,
    /// The key's polynomials.
    pub(super) key: &'a Polynomials<B::Scalars>,
    pub(super) challenges: &'a Challenges,
    /// Whether to refuse a witness that violates a constraint.
    pub(super) checked: bool,
}

impl<B: Backend> Quotient<B> {
    /// Compiles the constraints, and keeps the key's polynomials on cosets within the budget.
    pub(super) fn new(
        backend: &B,
        cs: &ConstraintSystem<Fr>,
        shape: &Shape,
        polys: &Polynomials<B::Scalars>,
        budget_bytes: usize,
    ) -> Result<Self, ProverError> {
        let classes = Classes::new(cs, shape)?;
        let cosets = cosets(shape, &classes);
        let Classes { cosets: classes, constraints, programs } = classes;
        // Without constraints there is no output, and their sum is zero.
        let row = programs.last().cloned().unwrap_or_default();
        let programs = programs.into_iter().map(|program| program.compile(backend)).collect::<Result<_, _>>()?;
        let mut quotient = Quotient { classes, count: constraints, programs, row, cosets };
        quotient.keep_cosets(backend, shape, polys, budget_bytes)?;
        Ok(quotient)
    }

    /// Keeps the key's polynomials on as many cosets as fit, whole cosets only: from the last, where the fewest are
    /// read, to the first.
    fn keep_cosets(
        &mut self,
        backend: &B,
        shape: &Shape,
        polys: &Polynomials<B::Scalars>,
        budget_bytes: usize,
    ) -> Result<(), ProverError> {
        let mut left_bytes = budget_bytes;
        for index in (0..self.cosets.len()).rev() {
            let coset = &self.cosets[index];
            let read = self.program(coset).polys().iter().filter(|poly| poly.is_resident()).count();
            let Some(rest) = left_bytes.checked_sub(shape.bytes(read)) else { break };
            let kept = self.on_coset(backend, shape, polys, coset, Poly::is_resident)?;
            self.cosets[index].resident = Some(kept);
            left_bytes = rest;
        }
        Ok(())
    }

    /// How many cosets the quotient is evaluated on.
    pub(super) fn cosets(&self) -> usize {
        self.cosets.len()
    }

    /// What a circuit's constraints read, as polynomials and rotations.
    pub(super) fn cells(&self) -> impl Iterator<Item = (Poly, i32)> {
        self.row.cells()
    }

    /// The fold of all constraints of all circuits at one point, where these are the values of each circuit's
    /// [`cells`](Self::cells).
    pub(super) fn fold_at(&self, circuits: &[Vec<Fr>], challenges: &Challenges) -> Result<Fr, ProverError> {
        let step = self.step(challenges);
        circuits.iter().try_fold(Fr::ZERO, |total, cells| {
            Ok(total * step + self.row.run_row(cells, challenges)?.into_iter().sum::<Fr>())
        })
    }

    /// The power of y by which a circuit advances the fold.
    fn step(&self, challenges: &Challenges) -> Fr {
        challenges.y.pow_vartime([self.count as u64])
    }

    /// The quotient's coefficients in pieces of n, lowest first.
    pub(super) fn pieces(
        &self,
        backend: &B,
        shape: &Shape,
        witness: &Committed<'_, B>,
    ) -> Result<Vec<B::Scalars>, ProverError> {
        let mut pieces = Vec::with_capacity(shape.quotient_pieces);
        for values in self.divided(backend, shape, witness)? {
            let values: Vec<(Fr, &B::Scalars)> = values.iter().map(|(shift, column)| (*shift, column)).collect();
            let own = backend.interpolate_cosets(&values)?;
            if witness.checked {
                check_degree(backend, shape, &own)?;
            }
            add_pieces(backend, &mut pieces, own)?;
        }
        while pieces.len() < shape.quotient_pieces {
            pieces.push(backend.zeros(shape.n)?);
        }
        Ok(pieces)
    }

    /// Each class's fold over all circuits, divided by X^n - 1, on its cosets.
    fn divided(
        &self,
        backend: &B,
        shape: &Shape,
        witness: &Committed<'_, B>,
    ) -> Result<Vec<Vec<OnCoset<B::Scalars>>>, ProverError> {
        let mut classes: Vec<_> = self.classes.iter().map(|&cosets| Vec::with_capacity(cosets)).collect();
        for coset in &self.cosets {
            let folds = self.fold_circuits(backend, shape, coset, witness)?;
            for (class, mut fold) in classes.iter_mut().zip(folds) {
                backend.scale(&mut fold, coset.vanishing_inverse)?;
                class.push((coset.shift, fold));
            }
        }
        Ok(classes)
    }

    /// The folded constraints of all circuits on a coset, class by class; none without circuits.
    fn fold_circuits(
        &self,
        backend: &B,
        shape: &Shape,
        coset: &Coset<B::Scalars>,
        witness: &Committed<'_, B>,
    ) -> Result<Vec<B::Scalars>, ProverError> {
        let transformed = match coset.resident {
            None => self.on_coset(backend, shape, witness.key, coset, Poly::is_resident)?,
            Some(_) => Polynomials::default(),
        };
        let key = coset.resident.as_ref().unwrap_or(&transformed);
        let step = self.step(witness.challenges);
        let mut totals: Vec<B::Scalars> = Vec::new();
        for own in &witness.circuits {
            let own = self.on_coset(backend, shape, own, coset, |poly| !poly.is_resident())?;
            let mut folds = self.program(coset).run(backend, shape.n, &[&own, key], witness.challenges)?;
            for (fold, before) in folds.iter_mut().zip(&mut totals) {
                backend.scale(before, step)?;
                backend.add_assign(fold, before)?;
            }
            totals = folds;
        }
        Ok(totals)
    }

    fn program(&self, coset: &Coset<B::Scalars>) -> &RowProgram<B> {
        &self.programs[coset.classes - 1]
    }

    /// The values on a coset of those polynomials that are read there and satisfy `wanted`.
    fn on_coset(
        &self,
        backend: &B,
        shape: &Shape,
        polys: &Polynomials<B::Scalars>,
        coset: &Coset<B::Scalars>,
        wanted: impl Fn(Poly) -> bool,
    ) -> Result<Polynomials<B::Scalars>, ProverError> {
        let mut values = Polynomials::default();
        let names = self.program(coset).polys().iter().copied().filter(|&poly| wanted(poly));
        let (identity, names): (Vec<Poly>, Vec<Poly>) = names.partition(|&poly| poly == Poly::Identity);
        for name in identity {
            values.insert(name, backend.powers(coset.shift, shape.omega, shape.n)?);
        }
        let columns = resolve(&[polys], &names)?;
        let transformed = backend.coset_ntt(&columns, coset.shift)?;
        values.extend(names, transformed);
        Ok(values)
    }
}

/// Adds a class's quotient to the sum of those before, which has as many pieces or more, or none.
fn add_pieces<B: Backend>(
    backend: &B,
    pieces: &mut Vec<B::Scalars>,
    class: Vec<B::Scalars>,
) -> Result<(), ProverError> {
    let mut class = class.into_iter();
    for (piece, own) in pieces.iter_mut().zip(class.by_ref()) {
        backend.add_assign(piece, &own)?;
    }
    pieces.extend(class);
    Ok(())
}

/// The constraints of a class of p cosets have degree at most (p + 1)·(n - 1) in X, so their quotient by X^n - 1 leaves
/// the top p of its p·n coefficients zero. Where the division leaves a remainder, the interpolated coefficients fill
/// up: the last piece has a multiple of it. Its top coefficients are zero with probability 1/p each for a random
/// remainder, and by symmetry for a few others, such as two equal errors half of H apart in a class of one coset, which
/// the check at x finds.
fn check_degree<B: Backend>(backend: &B, shape: &Shape, pieces: &[B::Scalars]) -> Result<(), ProverError> {
    let Some(top) = pieces.last() else { return Ok(()) };
    let slack = backend.read_range(top, shape.n - pieces.len().min(shape.n)..shape.n)?;
    match slack.iter().all(|coefficient| *coefficient == Fr::zero()) {
        true => Ok(()),
        false => Err(ProverError::GateConstraint),
    }
}

/// The cosets that the classes need. The shifts are powers of a generator g of the whole multiplicative group, so that
/// `g^(i·n)` are distinct and not 1 for all the i that occur.
fn cosets<S>(shape: &Shape, classes: &Classes) -> Vec<Coset<S>> {
    let mut shift = Fr::ONE;
    let coset = |classes| {
        shift *= Fr::MULTIPLICATIVE_GENERATOR;
        let vanishing = shift.pow_vartime([shape.n as u64]) - Fr::ONE;
        Coset { shift, vanishing_inverse: vanishing.invert().unwrap_or(Fr::ZERO), classes, resident: None }
    };
    classes.on_cosets().map(coset).collect()
}

#[cfg(test)]
mod tests {
    use super::super::classes::tests::mixed;
    use super::*;
    use crate::backend::{Cpu, MemoryOps};

    /// The key's polynomials, all zero.
    fn key(backend: &Cpu, shape: &Shape) -> Polynomials<<Cpu as MemoryOps>::Scalars> {
        let mut key = Polynomials::default();
        let names = (0..4).flat_map(|index| [Poly::Fixed(index), Poly::Sigma(index)]);
        for name in names.chain([Poly::LFirst, Poly::LLast, Poly::LActive]) {
            key.insert(name, backend.zeros(shape.n).unwrap());
        }
        key
    }

    #[test]
    fn as_many_cosets_are_kept_as_fit_the_last_ones_first() {
        let (backend, (cs, shape)) = (Cpu::new(), mixed());
        let key = key(&backend, &shape);
        let kept = |budget_bytes: usize| -> Vec<bool> {
            let quotient = Quotient::new(&backend, &cs, &shape, &key, budget_bytes).unwrap();
            quotient.cosets.iter().map(|coset| coset.resident.is_some()).collect()
        };
        let classes = Classes::new(&cs, &shape).unwrap();
        let read = |here: usize| classes.programs[here - 1].polys.iter().filter(|poly| poly.is_resident()).count();
        let read: Vec<usize> = classes.on_cosets().map(read).collect();
        assert_eq!(read.len(), 4);
        assert!(read[0] > read[3], "{read:?}");
        for first in 0..4 {
            let bytes = shape.bytes(read[first..].iter().sum());
            let expected = |first: usize| (0..4).map(|coset| coset >= first).collect::<Vec<_>>();
            assert_eq!(kept(bytes), expected(first), "{read:?}");
            assert_eq!(kept(bytes - 1), expected(first + 1), "{read:?}");
        }
    }
}
