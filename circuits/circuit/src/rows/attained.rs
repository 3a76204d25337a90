//! The maximum is attained: the product of the members' differences is zero (`docs/protocol.md`, section 6).
//!
//! Differences are sums of range-checked limbs, so they are nonnegative integers below `2^(S·limbs)`, far below p; the
//! field has no zero divisors, so if their product is 0 one of them is 0. Partial products keep the gates within the
//! circuit's degree.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use crate::system::{Architecture, NetworkConfig, RowCells, RowKind, product};

/// How many factors a partial product takes besides the one before it.
const fn factors(a: &Architecture) -> usize {
    // selector · partial · factors
    a.degree() - 2
}

/// Cells for the partial products of `size` differences: all but the last product, which is zero.
pub(crate) fn partial_products(a: &Architecture, size: usize) -> usize {
    // The first product has no predecessor and takes one factor more.
    size.saturating_sub(1).div_ceil(factors(a)).saturating_sub(1)
}

/// Splits differences into the factors of each product: `p_0 = Π first`, `p_i = p_{i-1} · Π chunk`, the last being
/// zero.
pub(crate) fn chain<T: Clone>(a: &Architecture, differences: &[T]) -> Vec<Vec<T>> {
    let head = differences.len().min(factors(a) + 1);
    let (first, rest) = differences.split_at(head);
    std::iter::once(first.to_vec()).chain(rest.chunks(factors(a)).map(<[T]>::to_vec)).collect()
}

/// Creates the gates of the kinds whose maximum is attained.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig, kinds: &[(usize, RowKind)]) {
    let a = &config.architecture;
    for (index, kind) in kinds {
        let Some(size) = kind.attained() else { continue };
        meta.create_gate("maximum is attained", |cells| {
            let mut row = RowCells::new(cells, config);
            let differences: Vec<_> = (0..size).map(|slot| kind.spread(a, slot, &mut |i| row.advice(i))).collect();
            let selector = row.fixed_at(*index);
            gates(&mut row, &selector, &differences)
        });
    }
}

fn gates(row: &mut RowCells<'_, '_>, selector: &Expression<Fr>, differences: &[Expression<Fr>]) -> Vec<Expression<Fr>> {
    let a = row.architecture();
    let chain = chain(a, differences);
    let mut previous: Option<Expression<Fr>> = None;
    let mut gates = Vec::with_capacity(chain.len());
    for (i, factors) in chain.iter().enumerate() {
        let value = product(previous.take().into_iter().chain(factors.iter().cloned()));
        if i + 1 == chain.len() {
            gates.push(selector.clone() * value);
        } else {
            let partial = row.advice(a.product(i));
            gates.push(selector.clone() * (partial.clone() - value));
            previous = Some(partial);
        }
    }
    gates
}
