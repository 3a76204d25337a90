//! Lanes with limbs of 29 bits, for processors whose widest product is 32 by 32 bits: WebAssembly's vectors, and
//! machines of 32 bits. A product of 64-bit words is a function with a dozen instructions there.
//!
//! A residue x is nine limbs of 29 bits; limb i of four residues shares a register. Memory holds four words of 64 bits
//! with R = 2^256, while a Montgomery multiplication by nine limbs divides by 2^261: so one operand of every product,
//! the [`Factor`], holds 32 times its residue, and the product is again a residue with R = 2^256. The bounds are those
//! of [`Ifma`](super), for a factor's excess and 2^261/p have the same ratio as there; limbs are normalised after every
//! operation, for 32 bits have no room to be lazy in. The top limb has the sign of what may be negative.

mod arithmetic;
mod registers;

use std::marker::PhantomData;

use zkml_gpu_kernels::field::Words;

use super::{Kernel, LANES, Lanes, Modulus, as_words, as_words_mut};
use arithmetic::{
    BITS, Columns, Constants, LAZY_OFFSET, LIMBS, Limbs, Quads, SCALE_BITS, accumulate, accumulate_integers,
    conditional_subtract, difference, limbs, low_limbs, montgomery, pack, reduce_by_estimate, reduce_columns, scaled,
    sum, unpack,
};
use registers::{Quad, and, choose, equal, pair, quad, signs, splat, splat_pair, sub_pair, transpose};

/// Registers of a vector: four lanes in each.
const PARTS: usize = 2;
/// Lanes of a part.
const PART: usize = LANES / PARTS;

/// Lanes that every processor has, fast where products of 64 bits are slow.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Narrow;

type Registers = [Quads; PARTS];

/// Eight residues.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vector<F>(Registers, PhantomData<F>);

/// 32 times eight residues.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Factor<F>(Registers, PhantomData<F>);

/// 32 times a residue.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Single<F>(Limbs, PhantomData<F>);

/// Eight sums, which may be negative.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Sum<F>(Registers, PhantomData<F>);

/// Eight sums of products, not reduced.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Products<F>([Columns; PARTS], PhantomData<F>);

const fn vector<F>(registers: Registers) -> Vector<F> {
    Vector(registers, PhantomData)
}

/// A function of each part.
#[inline(always)]
fn each(a: &Registers, of: impl Fn(&Quads) -> Quads) -> Registers {
    [of(&a[0]), of(&a[1])]
}

/// A function of each pair of parts.
#[inline(always)]
fn both(a: &Registers, b: &Registers, of: impl Fn(&Quads, &Quads) -> Quads) -> Registers {
    [of(&a[0], &b[0]), of(&a[1], &b[1])]
}

#[inline(always)]
fn constant(x: &Limbs) -> Registers {
    [x.map(splat); PARTS]
}

#[inline(always)]
fn multiple<F: Modulus>(of_p: usize) -> &'static Quads {
    &(const { &F::MULTIPLES_OF_P })[of_p]
}

#[inline(always)]
fn unpack_all<const SHIFT: u32>(words: [&Words; LANES]) -> Registers {
    let [a, b, c, d, e, f, g, h] = words;
    [unpack::<SHIFT>([a, b, c, d]), unpack::<SHIFT>([e, f, g, h])]
}

#[inline(always)]
fn words_of<F: Modulus>(elements: &[F; LANES]) -> [&Words; LANES] {
    let words: &[Words; LANES] = as_words(elements).first_chunk().expect("eight elements are eight times four words");
    words.each_ref()
}

#[inline(always)]
fn scatter<F: Modulus>(registers: &Registers, target: &mut [F; LANES]) {
    for (part, words) in registers.iter().zip(as_words_mut(target).chunks_exact_mut(PART)) {
        words.copy_from_slice(&pack(part));
    }
}

#[inline(always)]
fn reduce<F: Modulus>(registers: &Registers) -> Registers {
    each(registers, |part| conditional_subtract::<F>(&reduce_by_estimate::<F>(part)))
}

impl Lanes for Narrow {
    type Vector<F: Modulus> = Vector<F>;
    type Factor<F: Modulus> = Factor<F>;
    type Single<F: Modulus> = Single<F>;
    type Sum<F: Modulus> = Sum<F>;
    type Products<F: Modulus> = Products<F>;

    const PLAIN: bool = false;
    const REFRESHES: bool = false;

    fn scale<F: Modulus>() -> F {
        F::from(1 << SCALE_BITS)
    }

    fn run<K: Kernel<Self>>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn zero<F: Modulus>(self) -> Vector<F> {
        vector([[splat(0); LIMBS]; PARTS])
    }

    #[inline(always)]
    fn load<F: Modulus>(self, source: &[F; LANES]) -> Vector<F> {
        vector(unpack_all::<0>(words_of(source)))
    }

    #[inline(always)]
    fn gather<F: Modulus>(self, elements: [&F; LANES]) -> Vector<F> {
        vector(unpack_all::<0>(elements.map(|element| &as_words(std::slice::from_ref(element))[0])))
    }

    #[inline(always)]
    fn store_reduced<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        scatter(&vector.0, target);
    }

    #[inline(always)]
    fn store<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        scatter(&reduce::<F>(&vector.0), target);
    }

    #[inline(always)]
    fn canonical_words<F: Modulus>(self, vector: Vector<F>) -> [[u64; LANES]; 4] {
        // x·2^256 times 2^5 over 2^261.
        let mut scale = [0; LIMBS];
        scale[0] = 1 << SCALE_BITS;
        let canonical = reduce::<F>(&both(&vector.0, &constant(&scale), montgomery::<F>));
        let mut rows = [[0; LANES]; 4];
        for (part, registers) in canonical.iter().enumerate() {
            for (lane, words) in pack(registers).iter().enumerate() {
                for (row, word) in rows.iter_mut().zip(words) {
                    row[PART * part + lane] = *word;
                }
            }
        }
        rows
    }

    #[inline(always)]
    fn splat<F: Modulus>(self, element: F) -> Vector<F> {
        vector(constant(&limbs(as_words(&[element])[0])))
    }

    #[inline(always)]
    fn load_factor<F: Modulus>(self, source: &[F; LANES]) -> Factor<F> {
        Factor(unpack_all::<SCALE_BITS>(words_of(source)), PhantomData)
    }

    #[inline(always)]
    fn factor<F: Modulus>(self, vector: Vector<F>) -> Factor<F> {
        // Below 32·5·p, hence below 2^261.
        Factor(each(&vector.0, scaled), PhantomData)
    }

    #[inline(always)]
    fn scaled_factor<F: Modulus>(self, vector: Vector<F>) -> Factor<F> {
        Factor(vector.0, PhantomData)
    }

    #[inline(always)]
    fn single<F: Modulus>(element: F) -> Single<F> {
        Single(limbs(as_words(&[element * Self::scale::<F>()])[0]), PhantomData)
    }

    #[inline(always)]
    fn broadcast<F: Modulus>(self, single: &Single<F>) -> Factor<F> {
        Factor(constant(&single.0), PhantomData)
    }

    #[inline(always)]
    fn factors<F: Modulus>(self, elements: &[F; LANES]) -> Factor<F> {
        self.load_factor(elements)
    }

    #[inline(always)]
    fn add<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        vector(both(&a.0, &b.0, sum))
    }

    #[inline(always)]
    fn sub<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        vector(both(&a.0, &b.0, |a, b| difference(a, multiple::<F>(4), b)))
    }

    #[inline(always)]
    fn sub_both<F: Modulus>(self, a: Vector<F>, b: Vector<F>, c: Vector<F>) -> Vector<F> {
        vector(both(&self.sub(a, b).0, &c.0, |a, c| difference(a, multiple::<F>(4), c)))
    }

    #[inline(always)]
    fn mul<F: Modulus>(self, a: Vector<F>, b: Factor<F>) -> Vector<F> {
        vector(both(&a.0, &b.0, montgomery::<F>))
    }

    #[inline(always)]
    fn mul_pair<F: Modulus>(self, a: [Vector<F>; 2], b: [Factor<F>; 2]) -> [Vector<F>; 2] {
        [self.mul(a[0], b[0]), self.mul(a[1], b[1])]
    }

    #[inline(always)]
    fn reduce<F: Modulus>(self, a: Vector<F>) -> Vector<F> {
        vector(reduce::<F>(&a.0))
    }

    #[inline(always)]
    fn equal<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> u8 {
        let mut mask = 0;
        for part in 0..PARTS {
            let mut same = splat(u32::MAX);
            for limb in 0..LIMBS {
                same = and(same, equal(a.0[part][limb], b.0[part][limb]));
            }
            mask |= signs(same) << (PART * part);
        }
        mask
    }

    #[inline(always)]
    fn select<F: Modulus>(self, mask: u8, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        let bits = quad([1, 2, 4, 8]);
        let mut out = a.0;
        for (part, (out, other)) in out.iter_mut().zip(&b.0).enumerate() {
            let chosen = equal(and(splat(u32::from(mask >> (PART * part))), bits), bits);
            for (limb, other) in out.iter_mut().zip(other) {
                *limb = choose(chosen, *limb, *other);
            }
        }
        vector(out)
    }

    // Lazy residues are normalised, too, and have a sign in the top limb.

    #[inline(always)]
    fn refresh<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        vector
    }

    #[inline(always)]
    fn cross<F: Modulus>(self, a: &mut Vector<F>, b: &mut Vector<F>) {
        let zero = multiple::<F>(0);
        let less = both(&a.0, &b.0, |a, b| difference(a, zero, b));
        (*a, *b) = (self.add(*a, *b), vector(less));
    }

    #[inline(always)]
    fn twist<F: Modulus>(self, a: &mut Vector<F>, b: &mut Vector<F>, w: &Single<F>) {
        // b + 32·p is below 64·p: the product is below 2·p.
        *b = self.mul(self.settle(*b), self.broadcast(w));
        self.cross(a, b);
    }

    #[inline(always)]
    fn twist_pair<F: Modulus>(self, a: &mut [Vector<F>; 2], b: &mut [Vector<F>; 2], w: &[Single<F>; 2]) {
        self.twist(&mut a[0], &mut b[0], &w[0]);
        self.twist(&mut a[1], &mut b[1], &w[1]);
    }

    #[inline(always)]
    fn settle<F: Modulus>(self, a: Vector<F>) -> Vector<F> {
        let offset = multiple::<F>(LAZY_OFFSET);
        vector(each(&a.0, |part| sum(part, offset)))
    }

    #[inline(always)]
    fn transpose<F: Modulus>(self, vectors: [Vector<F>; LANES]) -> [Vector<F>; LANES] {
        let mut transposed = vectors;
        for limb in 0..LIMBS {
            for row in 0..PARTS {
                for column in 0..PARTS {
                    let of = |i: usize| -> Quad { vectors[PART * row + i].0[column][limb] };
                    let block = transpose([of(0), of(1), of(2), of(3)]);
                    for (i, quad) in block.into_iter().enumerate() {
                        transposed[PART * column + i].0[row][limb] = quad;
                    }
                }
            }
        }
        transposed
    }

    #[inline(always)]
    fn sum<F: Modulus>(self, first: Vector<F>) -> Sum<F> {
        Sum(first.0, PhantomData)
    }

    #[inline(always)]
    fn raise<F: Modulus>(self, total: Sum<F>, of_p: usize) -> Sum<F> {
        Sum(each(&total.0, |part| sum(part, multiple::<F>(of_p))), PhantomData)
    }

    #[inline(always)]
    fn include<F: Modulus>(self, total: Sum<F>, a: Vector<F>) -> Sum<F> {
        Sum(both(&total.0, &a.0, sum), PhantomData)
    }

    #[inline(always)]
    fn exclude<F: Modulus>(self, total: Sum<F>, a: Vector<F>) -> Sum<F> {
        Sum(both(&total.0, &a.0, |total, a| difference(total, multiple::<F>(0), a)), PhantomData)
    }

    #[inline(always)]
    fn settle_sum<F: Modulus>(self, total: Sum<F>) -> Vector<F> {
        vector(total.0)
    }

    #[inline(always)]
    fn settle_factor<F: Modulus>(self, total: Sum<F>) -> Factor<F> {
        Factor(each(&total.0, scaled), PhantomData)
    }

    #[inline(always)]
    fn product<F: Modulus>(self, a: Vector<F>, b: Factor<F>) -> Products<F> {
        self.accumulate(self.no_products(), a, b)
    }

    #[inline(always)]
    fn accumulate<F: Modulus>(self, mut products: Products<F>, a: Vector<F>, b: Factor<F>) -> Products<F> {
        for part in 0..PARTS {
            accumulate(&mut products.0[part], &a.0[part], &b.0[part]);
        }
        products
    }

    #[inline(always)]
    fn no_products<F: Modulus>(self) -> Products<F> {
        Products([[[splat_pair(0); 2]; 2 * LIMBS]; PARTS], PhantomData)
    }

    fn for_integers<F: Modulus>(elements: &[F; LANES]) -> [F; LANES] {
        // What the reduction divides by.
        let radix = F::from(2).pow_vartime([u64::from(BITS) * LIMBS as u64]);
        elements.map(|element| element * radix)
    }

    #[inline(always)]
    fn accumulate_integers<F: Modulus>(self, mut products: Products<F>, a: Vector<F>, b: &[u64; LANES]) -> Products<F> {
        for (part, b) in b.chunks_exact(PART).enumerate() {
            let limb = |shift: u32| {
                let of = |i: usize| b[i] >> shift;
                low_limbs([pair([of(0), of(1)]), pair([of(2), of(3)])])
            };
            accumulate_integers(&mut products.0[part], &a.0[part], &[limb(0), limb(BITS)]);
        }
        products
    }

    #[inline(always)]
    fn negate_products<F: Modulus>(self, mut products: Products<F>) -> Products<F> {
        let halves = products.0.iter_mut().flatten().flatten();
        halves.for_each(|half| *half = sub_pair(splat_pair(0), *half));
        products
    }

    #[inline(always)]
    fn sum_products<F: Modulus>(self, products: Products<F>) -> Sum<F> {
        Sum([reduce_columns::<F>(&products.0[0]), reduce_columns::<F>(&products.0[1])], PhantomData)
    }

    #[inline(always)]
    fn lower<F: Modulus>(self, a: Vector<F>) -> Vector<F> {
        vector(each(&a.0, reduce_by_estimate::<F>))
    }

    #[inline(always)]
    fn reduce_once<F: Modulus>(self, a: Vector<F>) -> Vector<F> {
        vector(each(&a.0, conditional_subtract::<F>))
    }

    #[inline(always)]
    fn store_once<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        scatter(&each(&vector.0, conditional_subtract::<F>), target);
    }

    #[inline(always)]
    fn transpose_factors<F: Modulus>(self, factors: [Factor<F>; LANES]) -> [Factor<F>; LANES] {
        self.transpose(factors.map(|factor| vector(factor.0))).map(|vector| self.scaled_factor(vector))
    }
}
