use halo2curves::bn256::{Fq, Fr};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use zkml_gpu_kernels::field::Words;

use super::super::{MAX_PRODUCTS, as_words_mut};
use super::*;

/// A limb of at most 2^53.
fn element<F: Modulus>(limb: f64) -> F {
    let magnitude = F::from(limb.abs() as u64);
    if limb < 0.0 { -magnitude } else { magnitude }
}

fn value<F: Modulus>(limbs: &Limbs) -> F {
    let radix = F::from(1 << BITS);
    limbs.iter().rev().fold(F::ZERO, |value, limb| value * radix + element::<F>(*limb))
}

fn vector(limbs: &[Limbs; LANES]) -> Halves {
    let mut halves = [[[0.0; 4]; LIMBS]; 2];
    for (lane, limbs) in limbs.iter().enumerate() {
        for (i, limb) in limbs.iter().enumerate() {
            halves[lane / 4][i][lane % 4] = *limb;
        }
    }
    // SAFETY: tests run where the lanes are.
    halves.map(|half| half.map(|lanes| unsafe { _mm256_loadu_pd(lanes.as_ptr()) }))
}

fn limbs(halves: &Halves) -> [Limbs; LANES] {
    let mut out = [[0.0; LIMBS]; LANES];
    for (half, registers) in halves.iter().enumerate() {
        for (i, register) in registers.iter().enumerate() {
            let mut lanes = [0.0; 4];
            // SAFETY: tests run where the lanes are.
            unsafe { _mm256_storeu_pd(lanes.as_mut_ptr(), *register) };
            lanes.iter().enumerate().for_each(|(lane, limb)| out[4 * half + lane][i] = *limb);
        }
    }
    out
}

/// Limbs at a bound, of either sign or mixed, and random ones within; the top limb times `top`.
fn extremes([bound, lowest]: [f64; 2], top: f64, rng: &mut ChaCha8Rng) -> Vec<[Limbs; LANES]> {
    let mut samples = vec![[[bound; LIMBS]; LANES], [[lowest; LIMBS]; LANES], [[0.0; LIMBS]; LANES]];
    for _ in 0..60 {
        let mut limb = || match rng.next_u32() % 5 {
            0 => bound,
            1 => lowest,
            2 => 0.0,
            _ => (rng.next_u64() as f64 / 2f64.powi(64) * (bound - lowest) + lowest).trunc(),
        };
        samples.push(std::array::from_fn(|_| std::array::from_fn(|_| limb())));
    }
    samples.iter_mut().flatten().for_each(|limbs| limbs[LIMBS - 1] = (limbs[LIMBS - 1] * top).trunc());
    samples
}

/// Products of operands at what their limbs may be, as [`multiply`] and [`sum_products`] make them.
fn products_at_their_bounds<F: Modulus>(lanes: Avx2) {
    const UNIT: f64 = BALANCE as f64;
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let scale = F::from(2).pow_vartime([255]).invert().expect("a power of two");
    let (plain, balanced, lazy) = ([2.0 * UNIT - 1.0, 0.0], [UNIT, -UNIT], [4.0 * UNIT, -4.0 * UNIT]);
    // Top limbs that make up 2.6·p and 1.3·p, 1.3·p twice, and 5.2·p and 0.66·p.
    for (a, b, top) in [(plain, plain, 0.5), (balanced, balanced, 1.0), (lazy, balanced, 0.5)] {
        let (xs, ys) = (extremes(a, 1.0, &mut rng), extremes(b, top, &mut rng));
        for (x, y) in xs.iter().zip(&ys).chain(xs.iter().zip(ys.iter().rev())) {
            let expected: [F; LANES] = std::array::from_fn(|i| value::<F>(&x[i]) * value::<F>(&y[i]) * scale);
            let (x, y) = (vector(x), vector(y));
            let mut out = x;
            // SAFETY: a value of the lanes' type is here.
            unsafe { multiply::<F>(&x, &y, &mut out) };
            let product = limbs(&out);
            assert_eq!(product.map(|limbs| value::<F>(&limbs)), expected);
            assert!(product.iter().all(|limbs| limbs[..LIMBS - 1].iter().all(|limb| limb.abs() <= UNIT)));
            let factor = Factor(y, PhantomData::<F>);
            for count in [1, FEW_PRODUCTS, FEW_PRODUCTS + 1, MAX_PRODUCTS as u32] {
                let mut products = lanes.no_products();
                for _ in 0..count {
                    products = lanes.accumulate(products, Vector(x, PhantomData), factor);
                }
                for (products, sign) in [(products, F::ONE), (lanes.negate_products(products), -F::ONE)] {
                    let mut sum = x;
                    // SAFETY: a value of the lanes' type is here.
                    unsafe { sum_products::<F>(&mut { products }, &mut sum) };
                    let sum = limbs(&sum).map(|limbs| value::<F>(&limbs));
                    assert_eq!(sum, expected.map(|product| product * F::from(u64::from(count)) * sign));
                }
            }
        }
    }
}

#[test]
fn products_are_exact_up_to_their_bounds() {
    if let Some(lanes) = Avx2::detect() {
        products_at_their_bounds::<Fr>(lanes);
        products_at_their_bounds::<Fq>(lanes);
    }
}

#[test]
fn residues_near_multiples_of_p_are_reduced() {
    let Some(lanes) = Avx2::detect() else { return };
    struct Near(Avx2);
    impl Near {
        fn check<F: Modulus>(&self) {
            for multiple in -4..=4i64 {
                for offset in [-2i64, -1, 0, 1, 2] {
                    let mut residue = F::PLAIN_P.map(|limb| limb * multiple);
                    residue[0] += offset;
                    let vector = Vector(vector(&[doubles(balanced(residue)); LANES]), PhantomData::<F>);
                    let mut out = [F::ZERO; LANES];
                    self.0.store(vector, &mut out);
                    let mut expected = [F::ZERO];
                    as_words_mut(&mut expected)[0] = canonical::<F>(offset);
                    assert_eq!(out, [expected[0]; LANES], "{multiple}·p + {offset}");
                    self.0.store_reduced(self.0.reduce(vector), &mut out);
                    assert_eq!(out, [expected[0]; LANES]);
                }
            }
        }
    }
    /// The words of a small integer modulo p.
    fn canonical<F: Modulus>(x: i64) -> Words {
        if x >= 0 {
            return [x as u64, 0, 0, 0];
        }
        let mut words = F::MONTGOMERY.modulus;
        words[0] -= x.unsigned_abs();
        words
    }
    Near(lanes).check::<Fr>();
    Near(lanes).check::<Fq>();
}
