//! Lanes on any processor: arrays of elements, with the host library's arithmetic.

use std::array::from_fn;

use super::{Kernel, LANES, Lanes, Modulus};

/// Eight elements in an array, always reduced.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Portable;

impl Lanes for Portable {
    type Vector<F: Modulus> = [F; LANES];
    type Factor<F: Modulus> = [F; LANES];
    type Single<F: Modulus> = F;
    type Sum<F: Modulus> = [F; LANES];
    type Products<F: Modulus> = [F; LANES];

    const PLAIN: bool = true;
    const REFRESHES: bool = false;

    fn scale<F: Modulus>() -> F {
        F::ONE
    }

    fn run<K: Kernel<Self>>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn zero<F: Modulus>(self) -> [F; LANES] {
        [F::ZERO; LANES]
    }

    #[inline(always)]
    fn load<F: Modulus>(self, source: &[F; LANES]) -> [F; LANES] {
        *source
    }

    #[inline(always)]
    fn gather<F: Modulus>(self, elements: [&F; LANES]) -> [F; LANES] {
        elements.map(|element| *element)
    }

    #[inline(always)]
    fn store_reduced<F: Modulus>(self, vector: [F; LANES], target: &mut [F; LANES]) {
        *target = vector;
    }

    #[inline(always)]
    fn store<F: Modulus>(self, vector: [F; LANES], target: &mut [F; LANES]) {
        *target = vector;
    }

    #[inline(always)]
    fn canonical_words<F: Modulus>(self, vector: [F; LANES]) -> [[u64; LANES]; 4] {
        let elements = vector.map(|element| element.to_repr());
        from_fn(|word| {
            from_fn(|lane| {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&elements[lane].as_ref()[8 * word..8 * word + 8]);
                u64::from_le_bytes(bytes)
            })
        })
    }

    #[inline(always)]
    fn splat<F: Modulus>(self, element: F) -> [F; LANES] {
        [element; LANES]
    }

    #[inline(always)]
    fn load_factor<F: Modulus>(self, source: &[F; LANES]) -> [F; LANES] {
        *source
    }

    #[inline(always)]
    fn factor<F: Modulus>(self, vector: [F; LANES]) -> [F; LANES] {
        vector
    }

    #[inline(always)]
    fn scaled_factor<F: Modulus>(self, vector: [F; LANES]) -> [F; LANES] {
        vector
    }

    #[inline(always)]
    fn single<F: Modulus>(element: F) -> F {
        element
    }

    #[inline(always)]
    fn broadcast<F: Modulus>(self, single: &F) -> [F; LANES] {
        [*single; LANES]
    }

    #[inline(always)]
    fn factors<F: Modulus>(self, elements: &[F; LANES]) -> [F; LANES] {
        *elements
    }

    #[inline(always)]
    fn add<F: Modulus>(self, a: [F; LANES], b: [F; LANES]) -> [F; LANES] {
        from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn sub<F: Modulus>(self, a: [F; LANES], b: [F; LANES]) -> [F; LANES] {
        from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn sub_both<F: Modulus>(self, a: [F; LANES], b: [F; LANES], c: [F; LANES]) -> [F; LANES] {
        from_fn(|lane| a[lane] - b[lane] - c[lane])
    }

    #[inline(always)]
    fn mul<F: Modulus>(self, a: [F; LANES], b: [F; LANES]) -> [F; LANES] {
        from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn mul_pair<F: Modulus>(self, a: [[F; LANES]; 2], b: [[F; LANES]; 2]) -> [[F; LANES]; 2] {
        [self.mul(a[0], b[0]), self.mul(a[1], b[1])]
    }

    #[inline(always)]
    fn reduce<F: Modulus>(self, vector: [F; LANES]) -> [F; LANES] {
        vector
    }

    #[inline(always)]
    fn equal<F: Modulus>(self, a: [F; LANES], b: [F; LANES]) -> u8 {
        (0..LANES).fold(0, |mask, lane| mask | u8::from(a[lane] == b[lane]) << lane)
    }

    #[inline(always)]
    fn select<F: Modulus>(self, mask: u8, a: [F; LANES], b: [F; LANES]) -> [F; LANES] {
        from_fn(|lane| if mask >> lane & 1 == 1 { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn refresh<F: Modulus>(self, vector: [F; LANES]) -> [F; LANES] {
        vector
    }

    #[inline(always)]
    fn cross<F: Modulus>(self, a: &mut [F; LANES], b: &mut [F; LANES]) {
        for (a, b) in a.iter_mut().zip(b) {
            (*a, *b) = (*a + *b, *a - *b);
        }
    }

    #[inline(always)]
    fn twist<F: Modulus>(self, a: &mut [F; LANES], b: &mut [F; LANES], w: &F) {
        for (a, b) in a.iter_mut().zip(b) {
            let turned = *b * w;
            (*a, *b) = (*a + turned, *a - turned);
        }
    }

    #[inline(always)]
    fn twist_pair<F: Modulus>(self, a: &mut [[F; LANES]; 2], b: &mut [[F; LANES]; 2], w: &[F; 2]) {
        self.twist(&mut a[0], &mut b[0], &w[0]);
        self.twist(&mut a[1], &mut b[1], &w[1]);
    }

    #[inline(always)]
    fn settle<F: Modulus>(self, vector: [F; LANES]) -> [F; LANES] {
        vector
    }

    #[inline(always)]
    fn transpose<F: Modulus>(self, vectors: [[F; LANES]; LANES]) -> [[F; LANES]; LANES] {
        from_fn(|row| from_fn(|lane| vectors[lane][row]))
    }

    #[inline(always)]
    fn sum<F: Modulus>(self, first: [F; LANES]) -> [F; LANES] {
        first
    }

    #[inline(always)]
    fn raise<F: Modulus>(self, sum: [F; LANES], _: usize) -> [F; LANES] {
        sum
    }

    #[inline(always)]
    fn include<F: Modulus>(self, sum: [F; LANES], a: [F; LANES]) -> [F; LANES] {
        self.add(sum, a)
    }

    #[inline(always)]
    fn exclude<F: Modulus>(self, sum: [F; LANES], a: [F; LANES]) -> [F; LANES] {
        self.sub(sum, a)
    }

    #[inline(always)]
    fn settle_sum<F: Modulus>(self, sum: [F; LANES]) -> [F; LANES] {
        sum
    }

    #[inline(always)]
    fn settle_factor<F: Modulus>(self, sum: [F; LANES]) -> [F; LANES] {
        sum
    }

    #[inline(always)]
    fn product<F: Modulus>(self, a: [F; LANES], b: [F; LANES]) -> [F; LANES] {
        self.mul(a, b)
    }

    #[inline(always)]
    fn accumulate<F: Modulus>(self, products: [F; LANES], a: [F; LANES], b: [F; LANES]) -> [F; LANES] {
        from_fn(|lane| products[lane] + a[lane] * b[lane])
    }

    #[inline(always)]
    fn no_products<F: Modulus>(self) -> [F; LANES] {
        [F::ZERO; LANES]
    }

    fn for_integers<F: Modulus>(elements: &[F; LANES]) -> [F; LANES] {
        *elements
    }

    #[inline(always)]
    fn accumulate_integers<F: Modulus>(self, products: [F; LANES], a: [F; LANES], b: &[u64; LANES]) -> [F; LANES] {
        from_fn(|lane| products[lane] + a[lane] * F::from(b[lane]))
    }

    #[inline(always)]
    fn negate_products<F: Modulus>(self, products: [F; LANES]) -> [F; LANES] {
        products.map(|product| -product)
    }

    #[inline(always)]
    fn sum_products<F: Modulus>(self, products: [F; LANES]) -> [F; LANES] {
        products
    }

    #[inline(always)]
    fn lower<F: Modulus>(self, vector: [F; LANES]) -> [F; LANES] {
        vector
    }

    #[inline(always)]
    fn reduce_once<F: Modulus>(self, vector: [F; LANES]) -> [F; LANES] {
        vector
    }

    #[inline(always)]
    fn store_once<F: Modulus>(self, vector: [F; LANES], target: &mut [F; LANES]) {
        *target = vector;
    }

    #[inline(always)]
    fn transpose_factors<F: Modulus>(self, factors: [[F; LANES]; LANES]) -> [[F; LANES]; LANES] {
        self.transpose::<F>(factors)
    }
}
