//! The quotient polynomial of the vanishing argument (t in PLONK, [GWC19](https://eprint.iacr.org/2019/953); h in
//! Halo2), coset by coset instead of on one extended domain.
//!
//! Constraints of degree d have a quotient of degree below (d - 1)·n, so its values on d - 1 cosets of H determine it;
//! `classes.rs` divides the constraints into classes by the cosets that they need. The coset i evaluates the classes
//! that need more than i. One circuit is worked on at a time, and one coset, on the host two, in stages (`stages.rs`): a
//! column is there from the first stage that reads it to the last. The key's own are kept on as many cosets as the
//! budget allows.
//!
//! A column that is compact as values, as small integers are, has no other form: for each two cosets that it is read on
//! it is transformed to coefficients anew, which would take eight times the memory. Most columns are read on the first
//! two cosets alone.
//!
//! Where a circuit has m constraints, the fold of circuit c of C is multiplied by `y^(m·(C-1-c))`, as if all
//! constraints stood in one list.

use std::collections::HashSet;

use ff::{Field, PrimeField};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::classes::Classes;
use super::poly::{Form, Poly, Polynomials, form};
use super::program::{NamedProgram, RowProgram};
use super::shape::Shape;
use super::stages::{NamedPart, NamedStage, Staging};
use super::{Challenges, ProverError};
use crate::backend::Backend;

/// The compiled constraints and the cosets they are evaluated on.
#[derive(Debug)]
pub(super) struct Quotient<B: Backend> {
    /// The number of cosets of each class, descending.
    classes: Vec<usize>,
    /// How many constraints a circuit has.
    count: usize,
    /// A circuit's constraints, folded class by class, on each few cosets.
    plans: Vec<Vec<Stage<B>>>,
    /// How many cosets a plan is for; fewer for the last.
    together: usize,
    /// The program of all classes, for one row.
    row: NamedProgram,
    cosets: Vec<Coset<B::Scalars>>,
}

/// A [`NamedStage`], compiled.
#[derive(Debug)]
struct Stage<B: Backend> {
    /// On each of the cosets.
    parts: Vec<Part<B>>,
}

/// A [`NamedPart`], compiled.
#[derive(Debug)]
struct Part<B: Backend> {
    brought: Vec<Poly>,
    program: RowProgram<B>,
    classes: Vec<usize>,
    dropped: Vec<Poly>,
}

/// Bytes of columns that are coefficients on the way from H to cosets.
const PASSING_BYTES: usize = 2 << 20;

impl<B: Backend> Stage<B> {
    fn new(backend: &B, NamedStage { parts }: NamedStage) -> Result<Self, ProverError> {
        let compile = |NamedPart { brought, program, classes, dropped }: NamedPart| {
            Ok(Part { brought, program: program.compile(backend)?, classes, dropped })
        };
        Ok(Stage { parts: parts.into_iter().map(compile).collect::<Result<_, ProverError>>()? })
    }
}

/// Polynomials as coefficients or as values on H.
#[derive(Debug)]
pub(super) struct Columns<'a, S> {
    pub(super) values: &'a Polynomials<S>,
    pub(super) polys: &'a Polynomials<S>,
}

impl<S> Clone for Columns<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Columns<'_, S> {}

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

/// What the quotient is made of, and the challenges up to y.
pub(super) struct Committed<'a, B: Backend> {
    /// Each circuit's own polynomials.
    pub(super) circuits: Vec<Columns<'a, B::Scalars>>,
    /// The key's polynomials.
    pub(super) key: Columns<'a, B::Scalars>,
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
        key: Columns<'_, B::Scalars>,
        budget_bytes: usize,
    ) -> Result<Self, ProverError> {
        let staging = if backend.is_host() && !shape.small { Staging::of_host(shape) } else { Staging::whole() };
        let (classes, staged) = Classes::staged(cs, shape, staging)?;
        let cosets = cosets(shape, &classes);
        let Classes { cosets: classes, constraints, mut programs } = classes;
        // Without constraints there is no output, and their sum is zero.
        let row = programs.pop().unwrap_or_default();
        let compile = |stages: Vec<NamedStage>| stages.into_iter().map(|stage| Stage::new(backend, stage)).collect();
        let plans = staged.into_iter().map(compile).collect::<Result<_, ProverError>>()?;
        let mut quotient = Quotient { classes, count: constraints, plans, together: staging.cosets, row, cosets };
        quotient.keep_cosets(backend, shape, key, budget_bytes)?;
        Ok(quotient)
    }

    /// Keeps the key's polynomials on as many cosets as fit, whole cosets only: from the last, where the fewest are
    /// read, to the first.
    fn keep_cosets(
        &mut self,
        backend: &B,
        shape: &Shape,
        key: Columns<'_, B::Scalars>,
        budget_bytes: usize,
    ) -> Result<(), ProverError> {
        let mut left_bytes = budget_bytes;
        for index in (0..self.cosets.len()).rev() {
            let read = self.key_columns(index);
            let Some(rest) = left_bytes.checked_sub(shape.bytes(read.len())) else { break };
            let mut kept = [Polynomials::default()];
            bring(backend, shape, &[self.cosets[index].shift], key, &[read], &mut kept)?;
            let [kept] = kept;
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
        for (few, cosets) in self.cosets.chunks(self.together).enumerate() {
            for (coset, folds) in cosets.iter().zip(self.fold_circuits(backend, shape, few, witness)?) {
                for (class, mut fold) in classes.iter_mut().zip(folds) {
                    backend.scale(&mut fold, coset.vanishing_inverse)?;
                    class.push((coset.shift, fold));
                }
            }
        }
        Ok(classes)
    }

    /// The folded constraints of all circuits on a few cosets, class by class; none without circuits.
    fn fold_circuits(
        &self,
        backend: &B,
        shape: &Shape,
        few: usize,
        witness: &Committed<'_, B>,
    ) -> Result<Vec<Vec<B::Scalars>>, ProverError> {
        let cosets = self.few(few);
        // Several circuits share the key's columns, one brings them stage by stage.
        let mut shared: Vec<Polynomials<B::Scalars>> = cosets.iter().map(|_| Polynomials::default()).collect();
        if witness.circuits.len() > 1 {
            let missing = |index: usize| match self.cosets[index].resident {
                Some(_) => Vec::new(),
                None => self.key_columns(index),
            };
            let first = few * self.together;
            let names: Vec<Vec<Poly>> = (first..first + cosets.len()).map(missing).collect();
            bring(backend, shape, &shifts(cosets), witness.key, &names, &mut shared)?;
        }
        let key: Vec<_> =
            cosets.iter().zip(&shared).map(|(coset, own)| coset.resident.as_ref().unwrap_or(own)).collect();
        let step = self.step(witness.challenges);
        let mut totals: Vec<Vec<B::Scalars>> = cosets.iter().map(|_| Vec::new()).collect();
        for own in &witness.circuits {
            let mut folds = self.fold_stages(backend, shape, few, &key, (*own, witness))?;
            for (fold, before) in folds.iter_mut().flatten().zip(totals.iter_mut().flatten()) {
                backend.scale(before, step)?;
                backend.add_assign(fold, before)?;
            }
            totals = folds;
        }
        Ok(totals)
    }

    /// The folded constraints of one circuit on a few cosets, class by class. `key` has columns of the key on each
    /// coset; what they lack is brought.
    fn fold_stages(
        &self,
        backend: &B,
        shape: &Shape,
        few: usize,
        key: &[&Polynomials<B::Scalars>],
        (own, witness): (Columns<'_, B::Scalars>, &Committed<'_, B>),
    ) -> Result<Vec<Vec<B::Scalars>>, ProverError> {
        let cosets = self.few(few);
        let shifts = shifts(cosets);
        let mut folds: Vec<Vec<Option<B::Scalars>>> =
            cosets.iter().map(|coset| (0..coset.classes).map(|_| None).collect()).collect();
        let mut present: Vec<Polynomials<B::Scalars>> = cosets.iter().map(|_| Polynomials::default()).collect();
        for Stage { parts } in &self.plans[few] {
            let missing = |of_key: bool| -> Vec<Vec<Poly>> {
                let is_missing =
                    |poly: &&Poly, key: &Polynomials<_>| poly.is_resident() == of_key && key.get(**poly).is_none();
                let of = |(part, key): (&Part<B>, &&Polynomials<_>)| {
                    part.brought.iter().filter(|poly| is_missing(poly, key)).copied().collect()
                };
                parts.iter().zip(key).map(of).collect()
            };
            bring(backend, shape, &shifts, witness.key, &missing(true), &mut present)?;
            bring(backend, shape, &shifts, own, &missing(false), &mut present)?;
            for (((part, key), present), folds) in parts.iter().zip(key).zip(&mut present).zip(&mut folds) {
                let sums = part.program.run(backend, shape.n, &[present, key], witness.challenges)?;
                for (class, sum) in part.classes.iter().zip(sums) {
                    match &mut folds[*class] {
                        Some(fold) => backend.add_assign(fold, &sum)?,
                        empty => *empty = Some(sum),
                    }
                }
                part.dropped.iter().for_each(|poly| drop(present.remove(*poly)));
            }
        }
        // All of a class's terms may have cancelled.
        let whole = |fold: Option<B::Scalars>| fold.map_or_else(|| Ok(backend.zeros(shape.n)?), Ok);
        folds.into_iter().map(|folds| folds.into_iter().map(whole).collect()).collect()
    }

    /// The cosets of a plan.
    fn few(&self, few: usize) -> &[Coset<B::Scalars>] {
        let first = few * self.together;
        &self.cosets[first..self.cosets.len().min(first + self.together)]
    }

    /// The key's columns that are read on a coset.
    fn key_columns(&self, coset: usize) -> Vec<Poly> {
        let parts = self.plans[coset / self.together].iter().map(|stage| &stage.parts[coset % self.together]);
        parts.flat_map(|part| part.brought.iter().copied()).filter(|poly| poly.is_resident()).collect()
    }
}

fn shifts<S>(cosets: &[Coset<S>]) -> Vec<Fr> {
    cosets.iter().map(|coset| coset.shift).collect()
}

/// Adds polynomials' values on the cosets `shift·H`: on each of them those of its own names.
fn bring<B: Backend>(
    backend: &B,
    shape: &Shape,
    shifts: &[Fr],
    columns: Columns<'_, B::Scalars>,
    names: &[Vec<Poly>],
    targets: &mut [Polynomials<B::Scalars>],
) -> Result<(), ProverError> {
    let mut transform = |coefficients: &[(Poly, &B::Scalars)]| -> Result<(), ProverError> {
        for ((target, shift), wanted) in targets.iter_mut().zip(shifts).zip(names) {
            let here = coefficients.iter().copied().filter(|(name, _)| wanted.contains(name));
            let (names, vectors): (Vec<Poly>, Vec<&B::Scalars>) = here.unzip();
            target.extend(names, backend.coset_ntt(&vectors, *shift)?);
        }
        Ok(())
    };
    let (mut coefficients, mut values) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let all = names.iter().flatten().copied().filter(|name| *name != Poly::Identity && seen.insert(*name));
    for name in all {
        match form(&[columns.polys], &[columns.values], name)? {
            Form::Coefficients(vector) => coefficients.push((name, vector)),
            Form::Values(vector) => values.push((name, vector)),
        }
    }
    transform(&coefficients)?;
    for batch in values.chunks(shape.batch(PASSING_BYTES)) {
        let (names, vectors): (Vec<Poly>, Vec<&B::Scalars>) = batch.iter().copied().unzip();
        let passing = backend.intt(&vectors)?;
        transform(&names.into_iter().zip(&passing).collect::<Vec<_>>())?;
    }
    for ((target, shift), names) in targets.iter_mut().zip(shifts).zip(names) {
        if names.contains(&Poly::Identity) {
            target.insert(Poly::Identity, backend.powers(*shift, shape.omega, shape.n)?);
        }
    }
    Ok(())
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
            let key = Columns { values: &Polynomials::default(), polys: &key };
            let quotient = Quotient::new(&backend, &cs, &shape, key, budget_bytes).unwrap();
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
