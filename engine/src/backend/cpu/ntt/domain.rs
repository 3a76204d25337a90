//! Twiddle factors of a transform, made once for each size, direction and coset.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ff::Field;
use halo2curves::bn256::Fr;

use super::super::lanes::{LANES, Lanes};
use super::super::pages;
use super::powers;

/// Transforms shorter than `2^MIN_LOG` do not fill the lanes twice.
pub(super) const MIN_LOG: u32 = 6;

/// Domains kept at once: a proof uses H, its inverse, and both for each coset of its quotient.
const KEPT: usize = 32;

/// What a transform computes: `out_k = scale·out_shift^k·Σ_i in_i·(shift·root^k)^i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Transform {
    /// log2 of the length.
    pub(super) log_n: u32,
    /// A root of unity whose order is the length.
    pub(super) root: Fr,
    /// The coset on which a polynomial is evaluated.
    pub(super) shift: Fr,
    /// Multiplies every result.
    pub(super) scale: Fr,
    /// Multiplies result k by its k-th power.
    pub(super) out_shift: Fr,
}

impl Transform {
    /// log2 of the numbers of rows and columns of the matrix that a vector is taken for.
    pub(super) const fn shape(&self) -> [u32; 2] {
        [self.log_n.div_ceil(2), self.log_n / 2]
    }
}

/// Domains by what they compute.
#[derive(Default)]
pub(in super::super) struct DomainCache(Mutex<HashMap<Transform, Arc<dyn Any + Send + Sync>>>);

impl fmt::Debug for DomainCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainCache")
    }
}

impl DomainCache {
    /// The tables of a transform, of at least 2^[`MIN_LOG`] elements.
    pub(super) fn get<L: Lanes>(&self, lanes: L, transform: Transform) -> Arc<Domain<L>> {
        // A poisoned cache holds complete entries all the same: they are inserted whole.
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&transform).cloned();
        if let Some(Ok(domain)) = kept.map(Arc::downcast) {
            return domain;
        }
        let domain = Arc::new(Domain::new(lanes, transform));
        let mut domains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= KEPT {
            domains.clear();
        }
        domains.insert(transform, domain.clone());
        domain
    }
}

/// The factors of one transform. With n = rows·columns, input i = column + columns·i_1 and output k = k_1 + rows·k_2:
/// transforms of the columns by `first`, a multiplication by `between`, and transforms of the rows by `second`.
pub(super) struct Domain<L: Lanes> {
    pub(super) transform: Transform,
    /// Of length `rows`.
    pub(super) first: Layers<L>,
    /// `scale·out_shift^{k_1}·(shift·root^{k_1})^column`, row k_1 by row, eight columns a vector.
    pub(super) between: Vec<L::Factor<Fr>>,
    /// Of length `columns`.
    pub(super) second: Layers<L>,
    /// `out_shift^{rows·k_2}`, or nothing where that is 1.
    pub(super) last: Vec<L::Single<Fr>>,
}

impl<L: Lanes> Domain<L> {
    fn new(lanes: L, transform: Transform) -> Self {
        let Transform { root, shift, scale, out_shift, .. } = transform;
        let [rows, columns] = transform.shape();
        let [row_count, column_count] = [1u64 << rows, 1u64 << columns];
        let out_step = out_shift.pow_vartime([row_count]);
        let last = match out_shift == Fr::ONE {
            true => Vec::new(),
            false => powers(Fr::ONE, out_step, 1 << columns).into_iter().map(L::single).collect(),
        };
        Domain {
            transform,
            first: Layers::new(rows, root.pow_vartime([column_count]), shift.pow_vartime([column_count])),
            between: between(lanes, [rows, columns], [scale, out_shift], [shift, root]),
            second: Layers::new(columns, root.pow_vartime([row_count]), Fr::ONE),
            last,
        }
    }
}

/// `start·growth^{k_1}·(shift·root^{k_1})^column`.
fn between<L: Lanes>(
    lanes: L,
    [rows, columns]: [u32; 2],
    [start, growth]: [Fr; 2],
    [shift, root]: [Fr; 2],
) -> Vec<L::Factor<Fr>> {
    let mut factors = pages::with_capacity(1 << (rows + columns - LANES.ilog2()));
    let (mut first, mut step) = (start, shift);
    for _ in 0..1usize << rows {
        let row = powers(first, step, 1 << columns);
        factors.extend(row.as_chunks::<LANES>().0.iter().map(|chunk| lanes.factors(chunk)));
        first *= growth;
        step *= root;
    }
    factors
}

/// The factors of a transform that fits in a cache, decimated in time.
pub(super) struct Layers<L: Lanes> {
    pub(super) log_n: u32,
    /// Whether the transform is over a proper coset: the first factors of its layers are not 1 then.
    pub(super) shifted: bool,
    /// The layer that joins blocks of h = 2^l elements has the factors `σ_h·ω_{2h}^j` for j < h, from h - 1 on, where
    /// σ_h is the power of the shift that the blocks' polynomials are evaluated at.
    factors: Vec<L::Single<Fr>>,
}

impl<L: Lanes> Layers<L> {
    fn new(log_n: u32, root: Fr, shift: Fr) -> Self {
        let mut layers: Vec<Vec<Fr>> = Vec::with_capacity(log_n as usize);
        let (mut root, mut shift_power) = (root, shift);
        for layer in (0..log_n).rev() {
            layers.push(powers(shift_power, root, 1 << layer));
            root = root.square();
            shift_power = shift_power.square();
        }
        let factors = layers.into_iter().rev().flatten().map(L::single).collect();
        Layers { log_n, shifted: shift != Fr::ONE, factors }
    }

    /// The factors of the layer that joins blocks of `2^layer` elements.
    #[inline(always)]
    pub(super) fn layer(&self, layer: u32) -> &[L::Single<Fr>] {
        let half = 1 << layer;
        &self.factors[half - 1..2 * half - 1]
    }
}
