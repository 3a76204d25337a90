//! Constraints in classes by degree, so that those of low degree are evaluated on few cosets.
//!
//! On a witness without fault every constraint vanishes on H, so X^n - 1 divides every one of them, and the sum of any
//! of them. A constraint of degree d has a quotient of degree below (d - 1)·n, which its values on d - 1 cosets of H
//! determine. So the constraints are divided into classes by the cosets that they need; a class of p cosets is
//! evaluated on the first p, its fold (by the powers of y that its constraints have in the fold of all) is divided and
//! interpolated by itself, and the quotient is the sum over the classes. A coset has one program, with an output for
//! each class that is evaluated there: what classes have in common is computed once, and columns that no such class
//! reads are not transformed.
//!
//! A class costs as well: an inverse transform for each of its cosets, and factors, such as selectors, that it shares
//! with other classes are multiplied by each. So a class is merged with the next above where the two together cost no
//! more by [`QuotientSize::cost`]. That is tried from above to below, and depends on the circuit alone: every back end
//! evaluates the same classes, and the proof is the same with any.
//!
//! | constraint | degree |
//! |---|---|
//! | gate | its polynomial's |
//! | `l_0·(1 - z)`, `l_0·(z_i - z_{i-1}(ω^last·X))`, `l_0·(A' - S')` | 2 |
//! | `l_last·(z² - z)`, `l_active·(A' - S')·(A' - A'(X/ω))` | 3 |
//! | growth of a grand product over a chunk of c columns | c + 2 |
//! | growth of a lookup's product, input and table of degrees a and s | the greater of 4 and a + s + 2 |

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use serde::{Deserialize, Serialize};

use super::ProverError;
use super::constraints::Constraints;
use super::program::{NamedProgram, RowProgramBuilder};
use super::shape::Shape;
use super::stages::{ClassTerm, NamedStage, Staging, stages};

/// The classes of a circuit's constraints, and the programs that evaluate them.
#[derive(Debug)]
pub(super) struct Classes {
    /// The cosets of each class, descending: the classes that coset i evaluates are the first few, those above i.
    pub(super) cosets: Vec<usize>,
    /// How many constraints there are, in all classes.
    pub(super) constraints: usize,
    /// The program of the first class, of the first two, and so on. Outputs are in the order of the classes.
    pub(super) programs: Vec<NamedProgram>,
}

/// How often the steps of the quotient's evaluation are taken for one circuit: operations count once for each row of H.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotientSize {
    /// Cosets of H.
    pub cosets: usize,
    /// Multiplications of the constraints, on all cosets together.
    pub multiplications: usize,
    /// Additions and subtractions of the constraints, on all cosets together.
    pub additions: usize,
    /// Transforms of a proof's own columns to cosets: on each coset, of the columns that are read there.
    pub transforms: usize,
    /// Inverse transforms: of each class, on each of its cosets.
    pub inverse_transforms: usize,
    /// Multiplications that divide and interpolate: for a class of p cosets, p and p².
    pub interpolation: usize,
    /// Columns of the key on cosets, counted on each coset that reads them. They are transformed when the key is
    /// loaded.
    pub key_columns: usize,
}

impl QuotientSize {
    /// Twice the multiplications a row with `2^k` rows, where a transform is worth its butterflies, k/2 a row.
    /// Additions are not counted: classes differ little in them, and they cost a fraction.
    pub const fn cost(&self, k: u32) -> usize {
        2 * (self.multiplications + self.interpolation) + k as usize * (self.transforms + self.inverse_transforms)
    }
}

/// The cosets that a constraint of some degree needs: one also where its quotient is zero, for there a violation shows.
fn cosets_of(degree: usize) -> usize {
    degree.saturating_sub(1).max(1)
}

impl Classes {
    /// The cheapest classes that merging neighbours leads to.
    pub(super) fn new(cs: &ConstraintSystem<Fr>, shape: &Shape) -> Result<Self, ProverError> {
        let mut program = RowProgramBuilder::default();
        let constraints = Constraints::new(&mut program, cs, shape)?;
        let needed: Vec<usize> = constraints.degrees(&program).into_iter().map(cosets_of).collect();
        Ok(Self::cheapest(&mut program, &constraints, &needed, shape))
    }

    /// The same, and the stages of their evaluation on each few cosets.
    pub(super) fn staged(
        cs: &ConstraintSystem<Fr>,
        shape: &Shape,
        staging: Staging,
    ) -> Result<(Self, Vec<Vec<NamedStage>>), ProverError> {
        let mut program = RowProgramBuilder::default();
        let constraints = Constraints::new(&mut program, cs, shape)?;
        let needed: Vec<usize> = constraints.degrees(&program).into_iter().map(cosets_of).collect();
        let best = Self::cheapest(&mut program, &constraints, &needed, shape);
        let class_of = |cosets: usize| best.cosets.iter().rposition(|class| *class >= cosets).unwrap_or(0);
        let terms = constraints.terms(&mut program, staging.term_columns).into_iter();
        let terms: Vec<ClassTerm> =
            terms.map(|(index, term)| ClassTerm { class: class_of(needed[index]), term }).collect();
        let on_cosets: Vec<usize> = best.on_cosets().collect();
        let together = on_cosets.chunks(staging.cosets);
        let staged = together.map(|classes| stages(&mut program, &terms, classes, staging.brought)).collect();
        Ok((best, staged))
    }

    fn cheapest(program: &mut RowProgramBuilder, constraints: &Constraints, needed: &[usize], shape: &Shape) -> Self {
        let mut best = Self::of(program, constraints, needed, distinct(needed));
        for class in best.cosets.clone().into_iter().skip(1) {
            let others = best.cosets.iter().copied().filter(|cosets| *cosets != class).collect();
            let merged = Self::of(program, constraints, needed, others);
            if merged.size().cost(shape.k) <= best.size().cost(shape.k) {
                best = merged;
            }
        }
        best
    }

    /// Classes of so many cosets, descending. A constraint is in the lowest class that has as many as it needs.
    fn of(program: &mut RowProgramBuilder, constraints: &Constraints, needed: &[usize], cosets: Vec<usize>) -> Self {
        let outputs: Vec<_> = (0..cosets.len())
            .map(|class| {
                let below = cosets.get(class + 1).copied().unwrap_or(0);
                constraints.fold(program, |index| (below + 1..=cosets[class]).contains(&needed[index]))
            })
            .collect();
        let programs = (1..=outputs.len()).map(|classes| program.schedule(&outputs[..classes])).collect();
        Classes { cosets, constraints: constraints.len(), programs }
    }

    /// On each coset, the number of classes that are evaluated there: at least one.
    pub(super) fn on_cosets(&self) -> impl Iterator<Item = usize> {
        let cosets = self.cosets.first().copied().unwrap_or(0);
        (0..cosets).map(|coset| self.cosets.iter().filter(|class| **class > coset).count())
    }

    /// Counts what all cosets take.
    pub(super) fn size(&self) -> QuotientSize {
        let mut size = QuotientSize {
            inverse_transforms: self.cosets.iter().sum(),
            interpolation: self.cosets.iter().map(|cosets| cosets * (cosets + 1)).sum(),
            ..QuotientSize::default()
        };
        for NamedProgram { program, polys } in self.on_cosets().map(|classes| &self.programs[classes - 1]) {
            let (multiplications, additions) = program.operations();
            let key_columns = polys.iter().filter(|poly| poly.is_resident()).count();
            size.cosets += 1;
            size.multiplications += multiplications;
            size.additions += additions;
            size.transforms += polys.len() - key_columns;
            size.key_columns += key_columns;
        }
        size
    }
}

/// The numbers that occur, descending.
fn distinct(numbers: &[usize]) -> Vec<usize> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.dedup();
    numbers
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::poly::Poly;
    use super::*;
    use halo2_proofs::plonk::{Advice, Column, Fixed};
    use halo2_proofs::poly::Rotation;
    use std::collections::HashSet;

    const K: u32 = 6;

    fn gate(cs: &mut ConstraintSystem<Fr>, selector: Column<Fixed>, factors: &[Column<Advice>]) {
        cs.create_gate("product", |cells| {
            let selector = cells.query_fixed(selector, Rotation::cur());
            vec![
                factors.iter().fold(selector, |product, factor| product * cells.query_advice(*factor, Rotation::cur())),
            ]
        });
    }

    /// Gates of degrees 2, 3 and 5 under selectors of their own over advice columns 0; 1, 2; and 3 to 6, a permutation
    /// argument over columns 0 to 3, and a lookup of column 7 in fixed column 3.
    pub(in super::super) fn mixed() -> (ConstraintSystem<Fr>, Shape) {
        let mut cs = ConstraintSystem::default();
        let advice: Vec<_> = (0..8).map(|_| cs.advice_column()).collect();
        let fixed = [(); 4].map(|()| cs.fixed_column());
        gate(&mut cs, fixed[0], &advice[..1]);
        gate(&mut cs, fixed[1], &advice[1..3]);
        gate(&mut cs, fixed[2], &advice[3..7]);
        advice[..4].iter().for_each(|column| cs.enable_equality(*column));
        cs.lookup_any("lookup", |cells| {
            let input = cells.query_advice(advice[7], Rotation::cur());
            vec![(input, cells.query_fixed(fixed[3], Rotation::cur()))]
        });
        let shape = Shape::of(&cs, K, cs.degree() - 1).unwrap();
        (cs, shape)
    }

    /// The classes before any are merged.
    fn finest(cs: &ConstraintSystem<Fr>, shape: &Shape) -> Classes {
        let mut program = RowProgramBuilder::default();
        let constraints = Constraints::new(&mut program, cs, shape).unwrap();
        let needed: Vec<usize> = constraints.degrees(&program).into_iter().map(cosets_of).collect();
        Classes::of(&mut program, &constraints, &needed, distinct(&needed))
    }

    #[test]
    fn every_constraint_has_its_own_degree() {
        let (cs, shape) = mixed();
        let mut program = RowProgramBuilder::default();
        let constraints = Constraints::new(&mut program, &cs, &shape).unwrap();
        let gates = [2, 3, 5];
        // Start, end, and link of two products; growth over chunks of three columns and of one.
        let permutation = [2, 3, 2, 5, 3];
        // Start, end, growth, first match, and runs.
        let lookup = [2, 3, 4, 2, 3];
        assert_eq!(constraints.degrees(&program), [&gates[..], &permutation, &lookup].concat());
    }

    #[test]
    fn constraints_without_a_quotient_are_evaluated_all_the_same() {
        assert_eq!([0, 1, 2, 3, 5].map(cosets_of), [1, 1, 1, 2, 4]);
    }

    #[test]
    fn a_coset_reads_the_columns_of_its_classes_only() {
        let (cs, shape) = mixed();
        let classes = finest(&cs, &shape);
        assert_eq!((&classes.cosets[..], classes.constraints), (&[4, 3, 2, 1][..], 13));
        assert_eq!(classes.on_cosets().collect::<Vec<_>>(), [4, 3, 2, 1]);

        // The gate of degree 5, and the growth of the first permutation product.
        let mut read: HashSet<Poly> = [Poly::Identity, Poly::LActive, Poly::Fixed(2)].into();
        read.extend([Poly::PermutationProduct(0), Poly::Sigma(0), Poly::Sigma(1), Poly::Sigma(2)]);
        read.extend((0..7).map(Poly::Advice));
        let on_coset = |coset: usize| {
            let polys = &classes.programs[3 - coset].polys;
            let names: HashSet<Poly> = polys.iter().copied().collect();
            assert_eq!(names.len(), polys.len(), "a column is named once");
            names
        };
        assert_eq!(on_coset(3), read);
        // The growth of the lookup's product.
        read.extend([Poly::LookupProduct(0), Poly::PermutedInput(0), Poly::PermutedTable(0)]);
        read.extend([Poly::Advice(7), Poly::Fixed(3)]);
        assert_eq!(on_coset(2), read);
        // The gate of degree 3, the ends of the products, and the growth of the second one.
        read.extend([Poly::Fixed(1), Poly::PermutationProduct(1), Poly::Sigma(3), Poly::LLast]);
        assert_eq!(on_coset(1), read);
        // The gate of degree 2, and the starts.
        read.extend([Poly::Fixed(0), Poly::LFirst]);
        assert_eq!(on_coset(0), read);
    }

    #[test]
    fn the_count_is_that_of_all_cosets() {
        let (cs, shape) = mixed();
        let classes = finest(&cs, &shape);
        let size = classes.size();
        let on = |coset: usize| &classes.programs[3 - coset];
        let multiplications: usize = (0..4).map(|coset| on(coset).program.operations().0).sum();
        assert_eq!((size.cosets, size.inverse_transforms, size.interpolation), (4, 10, 2 + 6 + 12 + 20));
        assert_eq!(size.multiplications, multiplications);
        // Fixed columns, sigmas, Lagrange polynomials, and X; advice columns, products, A' and S'.
        assert_eq!(size.key_columns, (4 + 4 + 3 + 1) + (3 + 4 + 2 + 1) + (2 + 3 + 1 + 1) + (1 + 3 + 1 + 1));
        assert_eq!(size.transforms, (8 + 3 + 2) + (8 + 3 + 2) + (8 + 2 + 2) + (7 + 1));
    }

    #[test]
    fn classes_are_merged_where_that_costs_no_more() {
        let (cs, shape) = mixed();
        let (finest, chosen) = (finest(&cs, &shape), Classes::new(&cs, &shape).unwrap());
        assert!(chosen.size().cost(K) <= finest.size().cost(K));
        assert_eq!(chosen.cosets[0], finest.cosets[0]);
        assert_eq!(chosen.constraints, finest.constraints);
    }

    #[test]
    fn a_gate_over_columns_of_its_own_is_a_class() {
        let mut cs = ConstraintSystem::default();
        let advice: Vec<_> = (0..4).map(|_| cs.advice_column()).collect();
        let fixed = [(); 2].map(|()| cs.fixed_column());
        gate(&mut cs, fixed[1], &advice[..1]);
        gate(&mut cs, fixed[1], &advice);
        let shape = Shape::of(&cs, 10, cs.degree() - 1).unwrap();
        // The first gate reads what the second does: two multiplications on each of three cosets are less than five for
        // an inverse transform and two for division and interpolation.
        assert_eq!(Classes::new(&cs, &shape).unwrap().cosets, [4]);

        let own: Vec<_> = (0..2).map(|_| cs.advice_column()).collect();
        own.iter().for_each(|column| gate(&mut cs, fixed[0], &[*column]));
        assert_eq!(Classes::new(&cs, &shape).unwrap().cosets, [4, 1]);
    }

    #[test]
    fn nothing_is_evaluated_without_constraints() {
        let cs = ConstraintSystem::default();
        let shape = Shape::of(&cs, K, cs.degree() - 1).unwrap();
        assert_eq!(Classes::new(&cs, &shape).unwrap().size(), QuotientSize::default());
    }
}
