//! Sums of products out of single instructions: what only one sum uses becomes part of it.

use super::super::lanes::{MAX_FACTOR_PRODUCTS, MAX_FACTOR_TERMS};
use crate::backend::program::{Instruction, Operand, Program};

/// `Σ products - Σ negative products + Σ terms - Σ negative terms`, the positive ones first.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    pub(super) products: [Vec<[Operand; 2]>; 2],
    pub(super) terms: [Vec<Operand>; 2],
}

/// Products in a sum. One reduction serves them all; more than that save little, and keep results alive for long.
const PRODUCTS: usize = MAX_FACTOR_PRODUCTS;
/// Terms in a sum, so that with as many multiples of p to make up for them it can become a factor.
const TERMS: usize = MAX_FACTOR_TERMS / 2;

impl Sum {
    fn of(operand: Operand) -> Self {
        Sum { terms: [vec![operand], Vec::new()], ..Self::default() }
    }

    fn sizes(&self) -> [usize; 2] {
        [self.products.iter().map(Vec::len).sum(), self.terms.iter().map(Vec::len).sum()]
    }

    fn negated(mut self) -> Self {
        self.products.reverse();
        self.terms.reverse();
        self
    }

    fn join(&mut self, other: Self) {
        for (own, other) in self.products.iter_mut().zip(other.products) {
            own.extend(other);
        }
        for (own, other) in self.terms.iter_mut().zip(other.terms) {
            own.extend(other);
        }
    }

    /// `-x` alone.
    fn as_negative(&self) -> Option<Operand> {
        match (self.sizes(), self.terms[1].as_slice()) {
            ([0, 1], [operand]) => Some(*operand),
            _ => None,
        }
    }
}

/// One sum per instruction, `None` for those that moved into the sum that alone uses them.
pub(super) fn fuse(program: &Program) -> Vec<Option<Sum>> {
    let mut fusion = Fusion { uses: uses(program), sums: Vec::with_capacity(program.instructions().len()) };
    for instruction in program.instructions() {
        let sum = match *instruction {
            Instruction::Add(a, b) => fusion.add(a, b, false),
            Instruction::Sub(a, b) => fusion.add(a, b, true),
            Instruction::Negate(a) => fusion.inline(a, [PRODUCTS, TERMS]).negated(),
            Instruction::Mul(a, b) => fusion.multiply(a, b),
            Instruction::Square(a) => Sum { products: [vec![[a, a]], Vec::new()], ..Sum::default() },
        };
        fusion.sums.push(Some(sum));
    }
    fusion.sums
}

/// How often each result is an operand or an output.
fn uses(program: &Program) -> Vec<usize> {
    let mut uses = vec![0; program.instructions().len()];
    let operands = program.instructions().iter().flat_map(|instruction| instruction.operands());
    for operand in operands.chain(program.outputs().iter().copied()) {
        if let Operand::Result(result) = operand {
            uses[result] += 1;
        }
    }
    uses
}

struct Fusion {
    uses: Vec<usize>,
    sums: Vec<Option<Sum>>,
}

impl Fusion {
    fn add(&mut self, a: Operand, b: Operand, subtract: bool) -> Sum {
        let mut sum = self.inline(a, [PRODUCTS, TERMS - 1]);
        let [products, terms] = sum.sizes();
        let other = self.inline(b, [PRODUCTS - products, TERMS - terms]);
        sum.join(if subtract { other.negated() } else { other });
        sum
    }

    fn multiply(&mut self, a: Operand, b: Operand) -> Sum {
        let ((a, a_negative), (b, b_negative)) = (self.without_sign(a), self.without_sign(b));
        let product = Sum { products: [vec![[a, b]], Vec::new()], ..Sum::default() };
        if a_negative != b_negative { product.negated() } else { product }
    }

    /// An operand that only this sum uses, as a sum itself if it leaves room; else as a term.
    fn inline(&mut self, operand: Operand, [products, terms]: [usize; 2]) -> Sum {
        if let Some(sum) = self.single_use(operand)
            && let Some(own) = sum
            && own.sizes()[0] <= products
            && own.sizes()[1] <= terms
            && let Some(own) = sum.take()
        {
            return own;
        }
        Sum::of(operand)
    }

    /// The operand x of a `-x` that only this product uses, with `true`.
    fn without_sign(&mut self, operand: Operand) -> (Operand, bool) {
        if let Some(sum) = self.single_use(operand)
            && let Some(inner) = sum.as_ref().and_then(Sum::as_negative)
        {
            *sum = None;
            return (inner, true);
        }
        (operand, false)
    }

    fn single_use(&mut self, operand: Operand) -> Option<&mut Option<Sum>> {
        match operand {
            Operand::Result(result) if self.uses[result] == 1 => Some(&mut self.sums[result]),
            _ => None,
        }
    }
}
