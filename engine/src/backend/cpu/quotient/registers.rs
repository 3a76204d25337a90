//! Registers for results: one is free again after the last use of what it holds.

use std::collections::HashMap;
use std::hash::Hash;

use super::CpuProgram;
use super::plan::{Factor, Planned};
use crate::backend::program::{Operand, Program};

/// Where a step finds an operand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Location {
    /// Entry of the program's terms or factors.
    Scalar(usize),
    /// A cell of a column.
    Query(usize),
    /// A register of vectors or of factors.
    Register(usize),
}

/// `Σ products - Σ negative products + Σ terms - Σ negative terms + raise·p`.
#[derive(Debug)]
pub(super) struct Step {
    /// Vectors and their factors, positive and negative.
    pub(super) products: [Vec<(Location, Location)>; 2],
    /// Vectors, positive and negative.
    pub(super) terms: [Vec<Location>; 2],
    pub(super) raise: usize,
    /// Whether the result is brought below 2·p.
    pub(super) lowered: bool,
    /// The register that the result goes to as a vector.
    pub(super) vector: Option<usize>,
    /// The register that it goes to as a factor.
    pub(super) factor: Option<usize>,
}

/// Puts the planned results into registers.
pub(super) fn assign(program: &Program, plan: Vec<Option<Planned>>) -> CpuProgram {
    let mut assignment = Assignment {
        vectors: Registers::new(last_uses(program, &plan)),
        factors: Registers::new(last_factor_uses(&plan)),
        terms: Interned::default(),
        scalar_factors: Interned::default(),
    };
    let steps = plan.into_iter().enumerate();
    let steps = steps.filter_map(|(result, planned)| Some(assignment.step(result, planned?))).collect();
    let outputs = program.outputs().iter().map(|output| assignment.vector(*output)).collect();
    CpuProgram {
        program: program.clone(),
        steps,
        outputs,
        registers: [assignment.vectors.count, assignment.factors.count],
        terms: assignment.terms.entries,
        factors: assignment.scalar_factors.entries,
    }
}

/// The result after which each result is no longer needed as a vector.
fn last_uses(program: &Program, plan: &[Option<Planned>]) -> Vec<usize> {
    let mut last_uses = vec![0; plan.len()];
    for (user, planned) in plan.iter().enumerate() {
        let Some(planned) = planned else { continue };
        let operands = planned.products.iter().flatten().map(|(operand, _)| operand);
        for operand in operands.chain(planned.terms.iter().flatten()) {
            if let Operand::Result(result) = operand {
                last_uses[*result] = user;
            }
        }
    }
    for output in program.outputs() {
        if let Operand::Result(result) = output {
            last_uses[*result] = usize::MAX;
        }
    }
    last_uses
}

/// The result after which each result is no longer needed as a factor.
fn last_factor_uses(plan: &[Option<Planned>]) -> Vec<usize> {
    let mut last_uses = vec![0; plan.len()];
    for (user, planned) in plan.iter().enumerate() {
        for (_, factor) in planned.iter().flat_map(|planned| planned.products.iter().flatten()) {
            if let Factor::Result(result) = factor {
                last_uses[*result] = user;
            }
        }
    }
    last_uses
}

/// Values by the order of their first appearance.
struct Interned<T> {
    entries: Vec<T>,
    indices: HashMap<T, usize>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Interned { entries: Vec::new(), indices: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Interned<T> {
    fn index(&mut self, entry: T) -> usize {
        *self.indices.entry(entry).or_insert_with(|| {
            self.entries.push(entry);
            self.entries.len() - 1
        })
    }
}

struct Assignment {
    vectors: Registers,
    factors: Registers,
    terms: Interned<usize>,
    scalar_factors: Interned<(usize, bool)>,
}

impl Assignment {
    /// A step reads all its operands of a row before it writes its results of that row, which may thus replace
    /// operands.
    fn step(&mut self, result: usize, planned: Planned) -> Step {
        let products = planned.products.map(|products| {
            products.into_iter().map(|(operand, factor)| (self.vector(operand), self.factor(factor))).collect()
        });
        let terms = planned.terms.map(|terms| terms.into_iter().map(|term| self.vector(term)).collect());
        self.vectors.release(result);
        self.factors.release(result);
        Step {
            products,
            terms,
            raise: planned.raise,
            lowered: planned.lowered,
            vector: planned.as_vector.then(|| self.vectors.take(result)),
            factor: planned.as_factor.then(|| self.factors.take(result)),
        }
    }

    fn vector(&mut self, operand: Operand) -> Location {
        match operand {
            Operand::Scalar(index) => Location::Scalar(self.terms.index(index)),
            Operand::Query(query) => Location::Query(query),
            Operand::Result(result) => Location::Register(self.vectors.read(result)),
        }
    }

    fn factor(&mut self, factor: Factor) -> Location {
        match factor {
            Factor::Scalar { index, negated } => Location::Scalar(self.scalar_factors.index((index, negated))),
            Factor::Query(query) => Location::Query(query),
            Factor::Result(result) => Location::Register(self.factors.read(result)),
        }
    }
}

struct Registers {
    last_uses: Vec<usize>,
    /// Results in registers, by their last use.
    held: HashMap<usize, Vec<usize>>,
    of_result: Vec<usize>,
    free: Vec<usize>,
    count: usize,
}

impl Registers {
    fn new(last_uses: Vec<usize>) -> Self {
        let of_result = vec![usize::MAX; last_uses.len()];
        Registers { last_uses, held: HashMap::new(), of_result, free: Vec::new(), count: 0 }
    }

    fn take(&mut self, result: usize) -> usize {
        let register = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        self.of_result[result] = register;
        self.held.entry(self.last_uses[result]).or_default().push(register);
        register
    }

    fn read(&self, result: usize) -> usize {
        self.of_result[result]
    }

    /// Frees the registers of what `user` is the last to use.
    fn release(&mut self, user: usize) {
        self.free.extend(self.held.remove(&user).unwrap_or_default());
    }
}
