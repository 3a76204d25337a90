//! All constraints of a circuit, and their folds by powers of y: the numerator of the quotient.
//!
//! With the constraints c_0, .., c_{m-1} in the order of the protocol (gates, permutation argument, lookups), the
//! quotient is h = Σ_i y^{m-1-i}·c_i / (X^n - 1). `classes.rs` divides this sum; each part keeps its powers.
//! Constraints that share a factor, a gate's selector or a Lagrange polynomial, are summed before they are multiplied
//! by it: Σ_i y^{e_i}·q·r_i = q·Σ_i y^{e_i}·r_i. The powers of y depend on no row, so a constraint costs one
//! multiplication beyond its own.

use ff::{Field, PrimeField};
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use super::ProverError;
use super::poly::Poly;
use super::program::{Challenge, RowProgramBuilder, column_poly};
use super::shape::Shape;
use crate::backend::program::{NodeId, Term};

/// One constraint `factor·rest`.
#[derive(Debug, Clone, Copy)]
struct Constraint {
    factor: Option<NodeId>,
    rest: NodeId,
}

/// The constraints of one circuit, in the order of the protocol, as nodes of the program that they were made with.
#[derive(Debug)]
pub(super) struct Constraints {
    list: Vec<Constraint>,
}

impl Constraints {
    /// Adds the constraints of one circuit to a program.
    pub(super) fn new(
        program: &mut RowProgramBuilder,
        cs: &ConstraintSystem<Fr>,
        shape: &Shape,
    ) -> Result<Self, ProverError> {
        let mut list = gates(program, cs)?;
        list.extend(permutation(program, cs, shape));
        for (index, lookup) in cs.lookups().iter().enumerate() {
            let input = program.compress(lookup.input_expressions())?;
            let table = program.compress(lookup.table_expressions())?;
            list.extend(lookup_constraints(program, index, input, table));
        }
        Ok(Constraints { list })
    }

    /// How many they are: several circuits are folded with one running power of y, which a circuit advances by as many.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Their degrees as polynomials in the columns, each one's own.
    pub(super) fn degrees(&self, program: &RowProgramBuilder) -> Vec<usize> {
        let degree = |node: NodeId| program.nodes.degree(node);
        self.list.iter().map(|c| c.factor.map_or(0, degree).saturating_add(degree(c.rest))).collect()
    }

    /// The terms of `Σ_i y^{m-1-i}·factor_i·rest_i`, each with the number of its constraint. One that reads more than
    /// `most` columns is taken apart as far as it goes.
    pub(super) fn terms(&self, program: &mut RowProgramBuilder, most: usize) -> Vec<(usize, Term)> {
        let y = program.challenge(Challenge::Y);
        let mut power = program.nodes.constant(Fr::ONE);
        let mut terms = Vec::new();
        for (index, Constraint { factor, rest }) in self.list.iter().enumerate().rev() {
            let whole = Term { scale: power, cofactor: *factor, atom: *rest };
            terms.extend(program.nodes.split(whole, most).into_iter().map(|term| (index, term)));
            power = program.nodes.mul(power, y);
        }
        terms
    }

    /// `Σ_i y^{m-1-i}·factor_i·rest_i` over those of the m constraints that satisfy `wanted`, factor by factor in order
    /// of first appearance.
    pub(super) fn fold(&self, program: &mut RowProgramBuilder, wanted: impl Fn(usize) -> bool) -> NodeId {
        let y = program.challenge(Challenge::Y);
        let zero = program.nodes.constant(Fr::ZERO);
        let mut power = program.nodes.constant(Fr::ONE);
        let mut groups: Vec<(Option<NodeId>, Vec<NodeId>)> = Vec::new();
        for (index, constraint) in self.list.iter().enumerate().rev() {
            if wanted(index) {
                let term = program.nodes.mul(power, constraint.rest);
                match groups.iter_mut().find(|(factor, _)| *factor == constraint.factor) {
                    Some((_, terms)) => terms.push(term),
                    None => groups.push((constraint.factor, vec![term])),
                }
            }
            power = program.nodes.mul(power, y);
        }
        groups.into_iter().fold(zero, |total, (factor, terms)| {
            let sum = terms.into_iter().fold(zero, |sum, term| program.nodes.add(sum, term));
            let product = match factor {
                Some(factor) => program.nodes.mul(factor, sum),
                None => sum,
            };
            program.nodes.add(total, product)
        })
    }
}

/// The circuit's own gates.
fn gates(program: &mut RowProgramBuilder, cs: &ConstraintSystem<Fr>) -> Result<Vec<Constraint>, ProverError> {
    cs.gates()
        .iter()
        .flat_map(|gate| gate.polynomials())
        .map(|polynomial| {
            let (factor, rest) = match polynomial {
                Expression::Product(left, right) if matches!(**left, Expression::Fixed(_)) => (Some(left), &**right),
                Expression::Product(left, right) if matches!(**right, Expression::Fixed(_)) => (Some(right), &**left),
                other => (None, other),
            };
            let factor = factor.map(|factor| program.expression(factor)).transpose()?;
            Ok(Constraint { factor, rest: program.expression(rest)? })
        })
        .collect()
}

/// The permutation argument over grand products z_0, .., z_l, one per chunk of columns:
/// z_0 starts at 1, z_l ends at 0 or 1, z_i starts where z_{i-1} ends, and on active rows
/// `z_i(ωX)·Π(p_j + β·s_j + γ) = z_i(X)·Π(p_j + β·δ^j·X + γ)`.
fn permutation(program: &mut RowProgramBuilder, cs: &ConstraintSystem<Fr>, shape: &Shape) -> Vec<Constraint> {
    let sets = shape.permutation_sets(cs.permutation().get_columns().len());
    if sets == 0 {
        return Vec::new();
    }
    let (first, last) = (program.query(Poly::LFirst, 0), program.query(Poly::LLast, 0));
    let one = program.nodes.constant(Fr::ONE);
    let start = program.query(Poly::PermutationProduct(0), 0);
    let start = program.nodes.sub(one, start);
    let end = program.query(Poly::PermutationProduct(sets - 1), 0);
    let end = boolean(program, end);
    let mut constraints =
        vec![Constraint { factor: Some(first), rest: start }, Constraint { factor: Some(last), rest: end }];
    for set in 1..sets {
        let current = program.query(Poly::PermutationProduct(set), 0);
        let previous = program.query(Poly::PermutationProduct(set - 1), shape.last_rotation());
        let rest = program.nodes.sub(current, previous);
        constraints.push(Constraint { factor: Some(first), rest });
    }
    let active = program.query(Poly::LActive, 0);
    for (set, (denominator, numerator)) in permutation_ratios(program, cs, shape).into_iter().enumerate() {
        let next = program.query(Poly::PermutationProduct(set), 1);
        let current = program.query(Poly::PermutationProduct(set), 0);
        let left = program.nodes.mul(next, denominator);
        let right = program.nodes.mul(current, numerator);
        let rest = program.nodes.sub(left, right);
        constraints.push(Constraint { factor: Some(active), rest });
    }
    constraints
}

/// Per chunk of permutation columns, `(Π(p_j + β·s_j + γ), Π(p_j + β·δ^j·X + γ))`: the denominator and the
/// numerator by which the chunk's grand product grows.
pub(super) fn permutation_ratios(
    program: &mut RowProgramBuilder,
    cs: &ConstraintSystem<Fr>,
    shape: &Shape,
) -> Vec<(NodeId, NodeId)> {
    let columns = cs.permutation().get_columns();
    let (beta, gamma) = (program.challenge(Challenge::Beta), program.challenge(Challenge::Gamma));
    let identity = program.query(Poly::Identity, 0);
    let mut delta = Fr::ONE;
    let mut sigma = 0;
    let mut ratios = Vec::with_capacity(shape.permutation_sets(columns.len()));
    for chunk in columns.chunks(shape.permutation_chunk) {
        let one = program.nodes.constant(Fr::ONE);
        let (mut denominator, mut numerator) = (one, one);
        for &column in chunk {
            let value = program.query(column_poly(column), 0);
            let value = program.nodes.add(value, gamma);
            let permuted = program.query(Poly::Sigma(sigma), 0);
            let permuted = program.nodes.mul(beta, permuted);
            let permuted = program.nodes.add(value, permuted);
            denominator = program.nodes.mul(denominator, permuted);
            let scale = program.nodes.constant(delta);
            let scale = program.nodes.mul(beta, scale);
            let own = program.nodes.mul(scale, identity);
            let own = program.nodes.add(value, own);
            numerator = program.nodes.mul(numerator, own);
            delta *= Fr::DELTA;
            sigma += 1;
        }
        ratios.push((denominator, numerator));
    }
    ratios
}

/// A lookup's grand product z over the compressed input A and table S and their permutations A', S':
/// z starts at 1 and ends at 0 or 1, `z(ωX)·(A' + β)·(S' + γ) = z(X)·(A + β)·(S + γ)` on active rows; and each
/// row of A' equals its S' or its predecessor, the first one its S'.
fn lookup_constraints(program: &mut RowProgramBuilder, index: usize, input: NodeId, table: NodeId) -> [Constraint; 5] {
    let [first, last, active] = [Poly::LFirst, Poly::LLast, Poly::LActive].map(|poly| Some(program.query(poly, 0)));
    let product = program.query(Poly::LookupProduct(index), 0);
    let next = program.query(Poly::LookupProduct(index), 1);
    let permuted_input = program.query(Poly::PermutedInput(index), 0);
    let permuted_table = program.query(Poly::PermutedTable(index), 0);
    let previous_input = program.query(Poly::PermutedInput(index), -1);

    let one = program.nodes.constant(Fr::ONE);
    let start = program.nodes.sub(one, product);
    let end = boolean(program, product);
    let left = lookup_factor(program, permuted_input, permuted_table);
    let left = program.nodes.mul(next, left);
    let right = lookup_factor(program, input, table);
    let right = program.nodes.mul(product, right);
    let grow = program.nodes.sub(left, right);
    let matched = program.nodes.sub(permuted_input, permuted_table);
    let repeated = program.nodes.sub(permuted_input, previous_input);
    let run = program.nodes.mul(matched, repeated);
    [(first, start), (last, end), (active, grow), (first, matched), (active, run)]
        .map(|(factor, rest)| Constraint { factor, rest })
}

/// `(input + β)·(table + γ)`.
pub(super) fn lookup_factor(program: &mut RowProgramBuilder, input: NodeId, table: NodeId) -> NodeId {
    let (beta, gamma) = (program.challenge(Challenge::Beta), program.challenge(Challenge::Gamma));
    let input = program.nodes.add(input, beta);
    let table = program.nodes.add(table, gamma);
    program.nodes.mul(input, table)
}

/// `z² - z`, zero where z is 0 or 1.
fn boolean(program: &mut RowProgramBuilder, z: NodeId) -> NodeId {
    let square = program.nodes.mul(z, z);
    program.nodes.sub(square, z)
}
