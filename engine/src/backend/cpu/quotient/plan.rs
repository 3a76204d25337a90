//! Bounds and forms: which operand of a product is its factor, what is reduced, and what is added so that no sum is
//! negative.
//!
//! A result is kept as a vector, as a factor, or as both, as its users need it. The pass goes through the sums once, in
//! order. It bounds every result in multiples of p by what the lanes' operations guarantee, and where a sum would
//! become too large it has the largest result in it brought below 2·p where that is made. A bound that was counted with
//! before stays true by that.

use super::super::lanes::MAX_RAISE;
use super::fuse::Sum;
use crate::backend::program::{Operand, Program};

/// A bound in units of p/84: a product of operands below α·p and β·p adds α·β/84·p to a sum.
type Bound = usize;

const P: Bound = 84;
/// No vector may reach this.
const LIMIT: Bound = 84 * P;
/// What a vector must be below to become a factor.
const FACTOR_LIMIT: Bound = 5 * P;
/// What a vector counts as many times as a factor, unless it is a scalar.
const FACTOR_SCALE: Bound = 16;
/// The bound of a result that was brought down.
const LOWERED: Bound = 2 * P;

/// The second operand of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    Scalar { index: usize, negated: bool },
    Query(usize),
    Result(usize),
}

/// How one result is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Planned {
    /// Positive and negative products.
    pub(super) products: [Vec<(Operand, Factor)>; 2],
    /// Positive and negative terms.
    pub(super) terms: [Vec<Operand>; 2],
    /// The multiple of p to add.
    pub(super) raise: usize,
    /// Whether to bring the result below 2·p.
    pub(super) lowered: bool,
    /// Whether it is needed as a vector.
    pub(super) as_vector: bool,
    /// Whether it is needed as a factor.
    pub(super) as_factor: bool,
    bound: Bound,
}

/// Plans the sums, one per result; results that moved into others have none.
pub(super) fn plan(program: &Program, sums: Vec<Option<Sum>>) -> Vec<Option<Planned>> {
    let mut plan = Plan { results: Vec::with_capacity(sums.len()) };
    for sum in sums {
        let planned = sum.map(|sum| plan.sum(sum));
        plan.results.push(planned);
    }
    for output in program.outputs() {
        plan.use_as_vector(*output);
    }
    plan.results
}

struct Plan {
    results: Vec<Option<Planned>>,
}

impl Plan {
    fn sum(&mut self, Sum { products: [positive, negative], terms }: Sum) -> Planned {
        let mut planned = Planned { terms, ..Planned::default() };
        for (products, is_negative) in [(positive, false), (negative, true)] {
            for product in products {
                let (operand, factor) = self.orient(product);
                // A negative product with a scalar is a positive one with the scalar negated.
                let (factor, sign) = match factor {
                    Factor::Scalar { index, .. } => (Factor::Scalar { index, negated: is_negative }, 0),
                    factor => (factor, usize::from(is_negative)),
                };
                planned.products[sign].push((operand, factor));
            }
        }
        let operands = planned.products.iter().flatten().map(|(operand, _)| operand);
        for operand in operands.chain(planned.terms.iter().flatten()) {
            self.use_as_vector(*operand);
        }
        while !self.fits(&mut planned) {
            self.lower_largest(&planned);
        }
        planned
    }

    /// Chooses the factor: a scalar or a query costs nothing as one, a result costs little where it is one already.
    fn orient(&mut self, [a, b]: [Operand; 2]) -> (Operand, Factor) {
        match (a, b) {
            (Operand::Scalar(index), other) | (other, Operand::Scalar(index)) => {
                (other, Factor::Scalar { index, negated: false })
            }
            (Operand::Query(query), other) | (other, Operand::Query(query)) => (other, Factor::Query(query)),
            (Operand::Result(first), Operand::Result(second)) => {
                let preference = |result: usize| {
                    let planned = self.planned(result);
                    (!planned.as_factor, planned.bound)
                };
                let swap = preference(first) < preference(second);
                let (other, factor) = if swap { (b, first) } else { (a, second) };
                let planned = self.planned_mut(factor);
                planned.as_factor = true;
                if planned.bound > FACTOR_LIMIT {
                    planned.lower();
                }
                (other, Factor::Result(factor))
            }
        }
    }

    /// Computes the bound of a sum and what raises it above zero. False where either is too large.
    fn fits(&self, planned: &mut Planned) -> bool {
        let [positive, negative] = planned.products.each_ref().map(|products| self.products_bound(products));
        let [included, excluded] =
            planned.terms.each_ref().map(|terms| terms.iter().map(|term| self.bound(*term)).sum::<Bound>());
        let reduction = if planned.products.iter().all(Vec::is_empty) { 0 } else { P };
        planned.raise = (negative + excluded).div_ceil(P);
        planned.bound = positive + reduction + included + planned.raise * P;
        planned.bound <= LIMIT && planned.raise <= MAX_RAISE
    }

    fn products_bound(&self, products: &[(Operand, Factor)]) -> Bound {
        let contribution = |(operand, factor): &(Operand, Factor)| {
            let factor = match *factor {
                Factor::Scalar { .. } => P,
                Factor::Query(_) => FACTOR_SCALE * P,
                Factor::Result(result) => FACTOR_SCALE * self.planned(result).bound,
            };
            (self.bound(*operand) * factor).div_ceil(P * P)
        };
        products.iter().map(contribution).sum()
    }

    /// Lowers the largest result in a sum. There is one, and it is not lowered yet, as long as the sum does not fit:
    /// eight products of lowered results are below 8·2·32/84·p, and eight terms below 16·p.
    fn lower_largest(&mut self, planned: &Planned) {
        let products = planned.products.iter().flatten();
        let factors = products.clone().filter_map(|(_, factor)| match factor {
            Factor::Result(result) => Some(*result),
            Factor::Scalar { .. } | Factor::Query(_) => None,
        });
        let operands = products.map(|(operand, _)| operand).chain(planned.terms.iter().flatten());
        let results = operands.filter_map(|operand| match operand {
            Operand::Result(result) => Some(*result),
            Operand::Scalar(_) | Operand::Query(_) => None,
        });
        if let Some(largest) = factors.chain(results).max_by_key(|result| self.planned(*result).bound) {
            self.planned_mut(largest).lower();
        }
    }

    fn bound(&self, operand: Operand) -> Bound {
        match operand {
            Operand::Scalar(_) | Operand::Query(_) => P,
            Operand::Result(result) => self.planned(result).bound,
        }
    }

    fn use_as_vector(&mut self, operand: Operand) {
        if let Operand::Result(result) = operand {
            self.planned_mut(result).as_vector = true;
        }
    }

    fn planned(&self, result: usize) -> &Planned {
        self.results[result].as_ref().expect("a result that is used did not move")
    }

    fn planned_mut(&mut self, result: usize) -> &mut Planned {
        self.results[result].as_mut().expect("a result that is used did not move")
    }
}

impl Planned {
    fn lower(&mut self) {
        (self.lowered, self.bound) = (true, LOWERED.min(self.bound));
    }
}
