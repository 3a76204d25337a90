//! Lanes with AVX2 and FMA: exact products of 51-bit limbs in double precision, four at a time.
//!
//! A residue x is five limbs of 51 bits, signed integers in doubles: `x = Σ x_i·2^(51·i)`. Limb i of four residues
//! shares a register, and eight residues are two halves. Memory holds R = 2^256, while a Montgomery multiplication by
//! five limbs divides by 2^255: so one operand of every product, the [`Factor`], holds half its residue, and the
//! product is again a residue with R = 2^256.
//!
//! # Products
//! AVX2 multiplies 32-bit integers at most, but fused multiplications and additions round once, so that the two halves
//! of a product of doubles are exact (Emmart, Zheng, Weems: Faster Modular Exponentiation Using Double Precision
//! Floating Point Arithmetic on the GPU, ARITH 2018). Everything is rounded to nearest. With
//!
//! ```text
//! C = 1.5·2^103,  M = 1.5·2^52:   H = fma(a, b, C),   L = fma(a, b, C + M - H)
//! ```
//!
//! and |a·b| ≤ 2^102, C + a·b lies in [2^103, 2^104], where doubles are multiples of 2^51. So H = C + h·2^51 for the
//! integer h next to a·b/2^51, and |a·b - h·2^51| ≤ 2^50. C + M is a double, since M is a multiple of 2^51, and so is
//! C + M - H = M - h·2^51, with |h| ≤ 2^51. Then L = M + (a·b - h·2^51) is an integer in [2^52, 2^53) and exact. The
//! bits of H, as an integer, are h more than those of C, and the bits of L the rest more than those of M: sums of such
//! bits modulo 2^64 are sums of h and of rests, up to constants, which the columns that are added to start with.
//!
//! # Bounds
//! p is 0.756·2^254: the top limb of a residue up to α·p is up to 0.757·α·2^50. Lower limbs are *balanced*, from -2^50
//! to 2^50, or *plain*, from 0 to 2^51, as loads and reductions leave them. A product needs |a_i·b_j| ≤ 2^102: it takes
//! two plain operands; a plain one and one below 2.6·p; and any two below 5.2·p, where one of them is balanced if the
//! other is above 2.6·p. It is balanced, and in absolute value below (0.378·α·β + 0.63)·p: α·β·p/2^255, and what the
//! reduction adds (see `multiply_half`). Its own top limb must be below 2^51, so that α·β must not exceed 5. Vectors are signed, so a difference needs no offset, and
//! the bounds that the kernels state, those of nonnegative residues, are larger. What the kernels multiply here:
//!
//! | operands | at most |
//! |---|---|
//! | what is loaded, and reduced | 1·p, plain |
//! | `load_factor`, `single` | 0.5·p |
//! | sums, lowered and refreshed vectors | 0.51·p, balanced |
//! | differences of loaded vectors or with a sign | 2·p, balanced |
//! | products of the above, and settled sums | 2·p |
//!
//! A chain of products of differences x_2 - x_1, below 1·p, stays below 1.01·p, since 0.378·1.01 + 0.63 is; so do its
//! inverses, which makes slopes below 0.378·2·(0.378·1.02 + 0.63) + 0.63 = 1.4·p and their squares below 1.4·p.

#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "iterators over arrays of vectors take closures, which are not always inlined"
)]

mod arithmetic;
mod constants;
#[cfg(test)]
mod tests;

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::{Kernel, LANES, Lanes, Modulus};
use arithmetic::*;
use constants::*;

/// What a sum may grow to before it is brought down, in multiples of p, and of 2^50 for each limb: doubles are exact to
/// 2^53.
const MAX_WEIGHT: u32 = 8;
/// Up to this weight w a sum is brought down at once: limbs below (w + 0.55·w)·2^50 are exact, as p's lower limbs are
/// below 0.55·2^50.
const REFRESHED_AT_ONCE: u32 = 5;
/// What a term adds to a sum's weight.
const TERM: u32 = 2;

/// Proof that the processor has the instructions: only [`Avx2::detect`] makes one.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2(());

/// Eight residues.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vector<F>(Halves, PhantomData<F>);

/// Half of eight residues.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Factor<F>(Halves, PhantomData<F>);

/// Half a residue: balanced, and from -p/2 to p/2.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Single<F>(Limbs, PhantomData<F>);

/// Eight residues, their limbs up to `weight`·2^50 and themselves up to `weight`·p in absolute value.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Sum<F> {
    halves: Halves,
    weight: u32,
    field: PhantomData<F>,
}

/// Eight sums of products, not reduced. Their columns hold the constants of so many products besides.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Products<F> {
    columns: Columns,
    /// Products of elements, less those that were subtracted.
    balance: i64,
    /// The same of products with integers.
    integer_balance: i64,
    /// Products of elements, of either sign.
    count: u32,
    field: PhantomData<F>,
}

impl Avx2 {
    /// The lanes, if the processor has them.
    pub(in super::super) fn detect() -> Option<Self> {
        let present =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("bmi2");
        present.then_some(Avx2(()))
    }
}

#[target_feature(enable = "avx2,fma,bmi2")]
fn run<K: Kernel<Avx2>>(lanes: Avx2, kernel: K) -> K::Output {
    kernel.run(lanes)
}

impl Lanes for Avx2 {
    type Vector<F: Modulus> = Vector<F>;
    type Factor<F: Modulus> = Factor<F>;
    type Single<F: Modulus> = Single<F>;
    type Sum<F: Modulus> = Sum<F>;
    type Products<F: Modulus> = Products<F>;

    const PLAIN: bool = false;
    const REFRESHES: bool = true;

    fn scale<F: Modulus>() -> F {
        F::TWO_INV
    }

    fn run<K: Kernel<Self>>(self, kernel: K) -> K::Output {
        // SAFETY: a value of this type proves that the processor has the features.
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn zero<F: Modulus>(self) -> Vector<F> {
        Vector([[zero(); LIMBS]; 2], PhantomData)
    }

    #[inline(always)]
    fn load<F: Modulus>(self, source: &[F; LANES]) -> Vector<F> {
        Vector(halves!(half => unpack(gather_words(words_of(source, half)))), PhantomData)
    }

    #[inline(always)]
    fn gather<F: Modulus>(self, elements: [&F; LANES]) -> Vector<F> {
        let [a, b, c, d, e, f, g, h] = elements;
        let first = unpack(gather_words([word(a), word(b), word(c), word(d)]));
        Vector([first, unpack(gather_words([word(e), word(f), word(g), word(h)]))], PhantomData)
    }

    #[inline(always)]
    fn store_reduced<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        for half in 0..2 {
            scatter_words(pack(to_plain(vector.0[half])), words_of_mut(target, half));
        }
    }

    #[inline(always)]
    fn store<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        for half in 0..2 {
            scatter_words(pack(reduce::<F>(vector.0[half])), words_of_mut(target, half));
        }
    }

    #[inline(always)]
    fn canonical_words<F: Modulus>(self, vector: Vector<F>) -> [[u64; LANES]; 4] {
        // x·2^256 times 1/2 over 2^255; 1/2 is (1 - p)/2 = -floor(p/2).
        let half = constant(F::HALF_P);
        let negated = each!(LIMBS, i => sub(zero(), half[i]));
        let canonical = product::<F>(&vector.0, &[negated; 2]);
        let mut rows = [[0; LANES]; 4];
        for half in 0..2 {
            let words = pack(reduce::<F>(canonical[half]));
            for i in 0..4 {
                // SAFETY: an unaligned store of half a row; features see above.
                unsafe { _mm256_storeu_si256(rows[i].as_mut_ptr().add(4 * half).cast(), words[i]) };
            }
        }
        rows
    }

    #[inline(always)]
    fn splat<F: Modulus>(self, element: F) -> Vector<F> {
        let limbs = digits(*word(&element));
        Vector([each!(LIMBS, i => set(limbs[i] as f64)); 2], PhantomData)
    }

    #[inline(always)]
    fn load_factor<F: Modulus>(self, source: &[F; LANES]) -> Factor<F> {
        Factor(halves!(half => unpack_halved::<F>(gather_words(words_of(source, half)))), PhantomData)
    }

    #[inline(always)]
    fn factor<F: Modulus>(self, vector: Vector<F>) -> Factor<F> {
        Factor(halves!(half => halve::<F>(vector.0[half])), PhantomData)
    }

    #[inline(always)]
    fn scaled_factor<F: Modulus>(self, vector: Vector<F>) -> Factor<F> {
        Factor(vector.0, PhantomData)
    }

    #[inline(always)]
    fn single<F: Modulus>(element: F) -> Single<F> {
        let words = *word(&(element * F::TWO_INV));
        let half = halved(F::MONTGOMERY.modulus);
        let mut limbs = digits(words);
        if words.iter().rev().gt(half.iter().rev()) {
            for i in 0..LIMBS {
                limbs[i] -= F::PLAIN_P[i];
            }
        }
        Single(doubles(balanced(limbs)), PhantomData)
    }

    #[inline(always)]
    fn broadcast<F: Modulus>(self, single: &Single<F>) -> Factor<F> {
        Factor([constant(single.0); 2], PhantomData)
    }

    #[inline(always)]
    fn factors<F: Modulus>(self, elements: &[F; LANES]) -> Factor<F> {
        self.load_factor(elements)
    }

    #[inline(always)]
    fn add<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        let sum = halves!(half => each!(LIMBS, i => add(a.0[half][i], b.0[half][i])));
        Vector(halves!(half => refresh::<F>(sum[half])), PhantomData)
    }

    #[inline(always)]
    fn sub<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        let difference = halves!(half => each!(LIMBS, i => sub(a.0[half][i], b.0[half][i])));
        Vector(halves!(half => normalize(difference[half])), PhantomData)
    }

    #[inline(always)]
    fn sub_both<F: Modulus>(self, a: Vector<F>, b: Vector<F>, c: Vector<F>) -> Vector<F> {
        let difference = halves!(half => each!(LIMBS, i => sub(a.0[half][i], add(b.0[half][i], c.0[half][i]))));
        Vector(halves!(half => normalize(difference[half])), PhantomData)
    }

    #[inline(always)]
    fn mul<F: Modulus>(self, a: Vector<F>, b: Factor<F>) -> Vector<F> {
        Vector(product::<F>(&a.0, &b.0), PhantomData)
    }

    #[inline(always)]
    fn mul_pair<F: Modulus>(self, a: [Vector<F>; 2], b: [Factor<F>; 2]) -> [Vector<F>; 2] {
        [self.mul(a[0], b[0]), self.mul(a[1], b[1])]
    }

    #[inline(always)]
    fn reduce<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        Vector(halves!(half => from_plain(reduce::<F>(vector.0[half]))), PhantomData)
    }

    #[inline(always)]
    fn equal<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> u8 {
        let mut mask = 0;
        for half in 0..2 {
            // SAFETY: see above.
            unsafe {
                let mut equal = _mm256_cmp_pd::<_CMP_EQ_OQ>(a.0[half][0], b.0[half][0]);
                for i in 1..LIMBS {
                    equal = _mm256_and_pd(equal, _mm256_cmp_pd::<_CMP_EQ_OQ>(a.0[half][i], b.0[half][i]));
                }
                mask |= (_mm256_movemask_pd(equal) as u8) << (4 * half);
            }
        }
        mask
    }

    #[inline(always)]
    fn select<F: Modulus>(self, mask: u8, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        let selected = halves!(half => each!(LIMBS, i => choose(signs(mask, half), a.0[half][i], b.0[half][i])));
        Vector(selected, PhantomData)
    }

    // Lazy vectors: a layer of butterflies adds at most 2^50 to the limbs and 1.2·p to the residues, or doubles those
    // of the first two layers. From a refreshed vector on three layers leave limbs up to 5·2^50 and residues up to
    // 3.6·p, and the third one's products have factors of up to 4·2^50: within a product's 2^102, as twiddle factors
    // are balanced and at most p/2.

    #[inline(always)]
    fn refresh<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        Vector(halves!(half => refresh::<F>(vector.0[half])), PhantomData)
    }

    #[inline(always)]
    fn cross<F: Modulus>(self, a: &mut Vector<F>, b: &mut Vector<F>) {
        for half in 0..2 {
            for i in 0..LIMBS {
                let (x, y) = (a.0[half][i], b.0[half][i]);
                (a.0[half][i], b.0[half][i]) = (add(x, y), sub(x, y));
            }
        }
    }

    #[inline(always)]
    fn twist<F: Modulus>(self, a: &mut Vector<F>, b: &mut Vector<F>, w: &Single<F>) {
        // SAFETY: lanes with these features are running.
        unsafe { butterfly::<F>(&mut a.0, &mut b.0, &w.0) };
    }

    #[inline(always)]
    fn twist_pair<F: Modulus>(self, a: &mut [Vector<F>; 2], b: &mut [Vector<F>; 2], w: &[Single<F>; 2]) {
        for k in 0..2 {
            self.twist(&mut a[k], &mut b[k], &w[k]);
        }
    }

    #[inline(always)]
    fn settle<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        self.refresh(vector)
    }

    #[inline(always)]
    fn transpose<F: Modulus>(self, vectors: [Vector<F>; LANES]) -> [Vector<F>; LANES] {
        let mut transposed = vectors;
        let mut rows = [[[zero(); LIMBS]; 2]; LANES];
        for lane in 0..LANES {
            rows[lane] = vectors[lane].0;
        }
        let rows = transpose_halves(&rows);
        for lane in 0..LANES {
            transposed[lane].0 = rows[lane];
        }
        transposed
    }

    #[inline(always)]
    fn sum<F: Modulus>(self, first: Vector<F>) -> Sum<F> {
        Sum { halves: first.0, weight: TERM, field: PhantomData }
    }

    /// Nothing: residues may be negative.
    #[inline(always)]
    fn raise<F: Modulus>(self, sum: Sum<F>, _: usize) -> Sum<F> {
        sum
    }

    #[inline(always)]
    fn include<F: Modulus>(self, sum: Sum<F>, a: Vector<F>) -> Sum<F> {
        let Sum { halves, weight, field } = with_room(sum);
        let halves = halves!(half => each!(LIMBS, i => add(halves[half][i], a.0[half][i])));
        Sum { halves, weight: weight + TERM, field }
    }

    #[inline(always)]
    fn exclude<F: Modulus>(self, sum: Sum<F>, a: Vector<F>) -> Sum<F> {
        let Sum { halves, weight, field } = with_room(sum);
        let halves = halves!(half => each!(LIMBS, i => sub(halves[half][i], a.0[half][i])));
        Sum { halves, weight: weight + TERM, field }
    }

    #[inline(always)]
    fn settle_sum<F: Modulus>(self, sum: Sum<F>) -> Vector<F> {
        let Sum { halves, weight, .. } = sum;
        let settled = if weight <= TERM {
            halves
        } else if weight <= REFRESHED_AT_ONCE {
            halves!(half => refresh::<F>(halves[half]))
        } else {
            halves!(half => refresh_large::<F>(halves[half]))
        };
        Vector(settled, PhantomData)
    }

    #[inline(always)]
    fn settle_factor<F: Modulus>(self, sum: Sum<F>) -> Factor<F> {
        self.factor(self.settle_sum(sum))
    }

    #[inline(always)]
    fn product<F: Modulus>(self, a: Vector<F>, b: Factor<F>) -> Products<F> {
        self.accumulate(self.no_products(), a, b)
    }

    #[inline(always)]
    fn accumulate<F: Modulus>(self, mut products: Products<F>, a: Vector<F>, b: Factor<F>) -> Products<F> {
        // SAFETY: lanes with these features are running.
        unsafe { accumulate(&mut products.columns, &a.0, &b.0) };
        Products { balance: products.balance + 1, count: products.count + 1, ..products }
    }

    #[inline(always)]
    fn no_products<F: Modulus>(self) -> Products<F> {
        let columns = [[set_integer(0); COLUMNS]; 2];
        Products { columns, balance: 0, integer_balance: 0, count: 0, field: PhantomData }
    }

    fn for_integers<F: Modulus>(elements: &[F; LANES]) -> [F; LANES] {
        // What the reduction divides by.
        let radix = F::from(2).pow_vartime([BITS as u64 * LIMBS as u64]);
        elements.map(|element| element * radix)
    }

    #[inline(always)]
    fn accumulate_integers<F: Modulus>(self, mut products: Products<F>, a: Vector<F>, b: &[u64; LANES]) -> Products<F> {
        // SAFETY: lanes with these features are running.
        unsafe { accumulate_integers(&mut products.columns, &a.0, b) };
        Products { integer_balance: products.integer_balance + 1, ..products }
    }

    #[inline(always)]
    fn negate_products<F: Modulus>(self, mut products: Products<F>) -> Products<F> {
        for half in 0..2 {
            for i in 0..COLUMNS {
                products.columns[half][i] = sub_integers(set_integer(0), products.columns[half][i]);
            }
        }
        Products { balance: -products.balance, integer_balance: -products.integer_balance, ..products }
    }

    #[inline(always)]
    fn sum_products<F: Modulus>(self, mut products: Products<F>) -> Sum<F> {
        let mut halves = [[zero(); LIMBS]; 2];
        // SAFETY: lanes with these features are running.
        unsafe { sum_products(&mut products, &mut halves) };
        // Few products are below (1.134·count + 0.63)·p; products with integers add nothing to speak of.
        let count = products.count;
        let weight = if count > FEW_PRODUCTS { 1 } else { 1 + count + count / 3 };
        Sum { halves, weight, field: PhantomData }
    }

    #[inline(always)]
    fn lower<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        self.refresh(vector)
    }

    #[inline(always)]
    fn reduce_once<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        self.reduce(vector)
    }

    #[inline(always)]
    fn store_once<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        self.store(vector, target);
    }

    #[inline(always)]
    fn transpose_factors<F: Modulus>(self, factors: [Factor<F>; LANES]) -> [Factor<F>; LANES] {
        let mut rows = [[[zero(); LIMBS]; 2]; LANES];
        for lane in 0..LANES {
            rows[lane] = factors[lane].0;
        }
        let rows = transpose_halves(&rows);
        let mut transposed = factors;
        for lane in 0..LANES {
            transposed[lane].0 = rows[lane];
        }
        transposed
    }
}

/// The sum, small enough for another term.
#[inline(always)]
fn with_room<F: Modulus>(sum: Sum<F>) -> Sum<F> {
    if sum.weight + TERM <= MAX_WEIGHT {
        return sum;
    }
    Sum { halves: halves!(half => refresh_large::<F>(sum.halves[half])), weight: 1, ..sum }
}
