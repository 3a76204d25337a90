use std::array::from_fn;
use std::marker::PhantomData;

use ff::Field;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

/// Elements at the edges of the field and of its words, then random ones.
fn samples<F: Modulus>() -> Vec<[F; LANES]> {
    let edges = [F::ZERO, F::ONE, -F::ONE, F::from(2), -F::from(2), F::TWO_INV, -F::TWO_INV, F::from(u64::MAX)];
    let mut high = F::ONE;
    let powers: [F; LANES] = from_fn(|_| {
        high *= F::from(1 << 31) * F::from(1 << 21);
        high - F::ONE
    });
    // Residues whose words, not values, are extreme.
    let one = F::from_u128(1 << 64).square().square().invert().unwrap_or(F::ONE);
    let words: [F; LANES] =
        from_fn(|i| [one, -one, one + one, -(one + one), one.square(), -one.square(), one * edges[7], F::ZERO][i]);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut samples = vec![edges, powers, words, [F::ZERO; LANES], [-F::ONE; LANES]];
    samples.extend((0..40).map(|_| from_fn(|_| F::random(&mut rng))));
    samples
}

fn stored<L: Lanes, F: Modulus>(lanes: L, vector: L::Vector<F>) -> [F; LANES] {
    let mut out = [F::ZERO; LANES];
    lanes.store(vector, &mut out);
    out
}

/// Every operation of the lanes beside the host library's.
struct Comparison<F>(PhantomData<F>);

impl<F: Modulus, L: Lanes> Kernel<L> for Comparison<F> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let samples = samples::<F>();
        for a in &samples {
            let x = lanes.load(a);
            assert_eq!(stored(lanes, x), *a);
            assert_eq!(stored(lanes, lanes.splat(a[0])), [a[0]; LANES]);
            assert_eq!(stored(lanes, lanes.reduce(x)), *a);
            assert_eq!(stored(lanes, lanes.gather(a.each_ref())), *a);
            let mut reduced = [F::ONE; LANES];
            lanes.store_reduced(lanes.reduce(lanes.sub(x, x)), &mut reduced);
            assert_eq!(reduced, [F::ZERO; LANES]);
            let words = lanes.canonical_words(x);
            for (lane, element) in a.iter().enumerate() {
                let bytes: Vec<u8> = words.iter().flat_map(|word| word[lane].to_le_bytes()).collect();
                assert_eq!(element.to_repr().as_ref(), bytes);
            }
            for b in &samples {
                binary(lanes, a, b);
            }
        }
        turned(lanes, &samples);
        turns(lanes, &samples);
    }
}

#[inline(always)]
fn binary<L: Lanes, F: Modulus>(lanes: L, a: &[F; LANES], b: &[F; LANES]) {
    let (x, y) = (lanes.load(a), lanes.load(b));
    let product: [F; LANES] = from_fn(|i| a[i] * b[i]);
    assert_eq!(stored(lanes, lanes.add(x, y)), from_fn(|i| a[i] + b[i]));
    assert_eq!(stored(lanes, lanes.sub(x, y)), from_fn(|i| a[i] - b[i]));
    assert_eq!(stored(lanes, lanes.sub_both(x, y, x)), from_fn(|i| -b[i]));
    assert_eq!(stored(lanes, lanes.mul(x, lanes.load_factor(b))), product);
    assert_eq!(stored(lanes, lanes.mul(x, lanes.factor(y))), product);
    assert_eq!(stored(lanes, lanes.mul(x, lanes.factors(b))), product);
    assert_eq!(stored(lanes, lanes.mul(x, lanes.broadcast(&L::single(b[3])))), from_fn(|i| a[i] * b[3]));
    let squares = lanes.mul_pair([x, y], [lanes.load_factor(a), lanes.load_factor(b)]);
    assert_eq!(stored(lanes, squares[0]), from_fn(|i| a[i].square()));
    assert_eq!(stored(lanes, squares[1]), from_fn(|i| b[i].square()));
    let scaled = lanes.load(&b.map(|element| element * L::scale::<F>()));
    assert_eq!(stored(lanes, lanes.mul(x, lanes.scaled_factor(scaled))), product);
    // As far from reduced as is allowed: 16·5 counts 80 in the bound.
    let far = lanes.sub(x, y);
    assert_eq!(stored(lanes, lanes.mul(far, lanes.factor(x))), from_fn(|i| (a[i] - b[i]) * a[i]));
    sums(lanes, a, b);
    let mut equal = 0;
    for lane in 0..LANES {
        equal |= u8::from(a[lane] == b[lane]) << lane;
    }
    assert_eq!(lanes.equal(x, y), equal);
    let mask = 0b1001_0110;
    let selected = stored(lanes, lanes.select(mask, x, y));
    assert_eq!(selected, from_fn(|i| if mask >> i & 1 == 1 { a[i] } else { b[i] }));
}

/// Sums at their limits: as many products and terms as are allowed, of either sign.
#[inline(always)]
fn sums<L: Lanes, F: Modulus>(lanes: L, a: &[F; LANES], b: &[F; LANES]) {
    let (x, y) = (lanes.load(a), lanes.load_factor(b));
    let mut products = lanes.product(x, y);
    for _ in 1..MAX_PRODUCTS {
        products = lanes.accumulate(products, x, y);
    }
    let many = from_fn(|i| a[i] * b[i] * F::from(MAX_PRODUCTS as u64));
    // Each counts 16/84: 25·p together.
    assert_eq!(stored(lanes, lanes.settle_sum(lanes.sum_products(products))), many);
    let raised = lanes.raise(lanes.sum_products(lanes.negate_products(products)), 25);
    assert_eq!(stored(lanes, lanes.settle_sum(raised)), many.map(|product| -product));
    assert_eq!(stored(lanes, lanes.lower(lanes.settle_sum(raised))), many.map(|product| -product));
    let positive = (1..MAX_FACTOR_PRODUCTS).fold(lanes.product(x, y), |sum, _| lanes.accumulate(sum, x, y));
    let negative = lanes.accumulate(lanes.negate_products(positive), x, y);
    // Eight products below 8·16/84 = 1.6, sixteen terms half of which are negative: below (2 + 8)·p after as many are
    // added.
    let mut sum = lanes.sum_products(negative);
    for i in 0..MAX_FACTOR_TERMS {
        sum = if i % 2 == 0 { lanes.include(sum, x) } else { lanes.exclude(sum, x) };
    }
    let expected = from_fn(|i| -a[i] * b[i] * F::from(MAX_FACTOR_PRODUCTS as u64 - 1));
    let settled = lanes.settle_sum(lanes.raise(sum, 2 + MAX_FACTOR_TERMS / 2));
    assert_eq!(stored(lanes, settled), expected);
    // The terms cancel: below 3·p.
    let factor = lanes.settle_factor(lanes.raise(sum, 2));
    assert_eq!(stored(lanes, lanes.mul(x, factor)), from_fn(|i| a[i] * expected[i]));
    let twice = lanes.settle_sum(lanes.include(lanes.sum(x), x));
    assert_eq!(stored(lanes, twice), a.map(|a| a + a));
    assert_eq!(stored(lanes, lanes.reduce_once(twice)), a.map(|a| a + a));
    let mut once = [F::ZERO; LANES];
    lanes.store_once(twice, &mut once);
    assert_eq!(once, a.map(|a| a + a));
}

#[inline(always)]
fn turned<L: Lanes, F: Modulus>(lanes: L, samples: &[[F; LANES]]) {
    let rows = from_fn(|i| lanes.load(&samples[i]));
    let columns = lanes.transpose(rows).map(|vector| stored(lanes, vector));
    let factors = lanes.transpose_factors(from_fn(|i| lanes.load_factor(&samples[i])));
    for (i, column) in columns.iter().enumerate() {
        assert_eq!(*column, from_fn(|j| samples[j][i]));
        assert_eq!(stored(lanes, lanes.mul(lanes.splat(samples[1][0]), factors[i])), column.map(|x| x * samples[1][0]));
    }
}

/// As many butterflies one after the other as the largest transform has layers in one pass.
#[inline(always)]
fn turns<L: Lanes, F: Modulus>(lanes: L, samples: &[[F; LANES]]) {
    for pair in samples.windows(2) {
        let ([mut a, mut b], w) = ([pair[0], pair[1]], pair[1][5]);
        let (mut x, mut y) = (lanes.refresh(lanes.load(&a)), lanes.refresh(lanes.load(&b)));
        for layer in 0..13 {
            if layer < 2 {
                lanes.cross::<F>(&mut x, &mut y);
                (a, b) = (from_fn(|i| a[i] + b[i]), from_fn(|i| a[i] - b[i]));
            } else {
                lanes.twist::<F>(&mut x, &mut y, &L::single(w));
                (a, b) = (from_fn(|i| a[i] + w * b[i]), from_fn(|i| a[i] - w * b[i]));
            }
            if layer % 3 == 2 {
                (x, y) = (lanes.refresh(x), lanes.refresh(y));
            }
        }
        let (mut first, mut second) = ([x, y], [y, x]);
        lanes.twist_pair(&mut first, &mut second, &[L::single(w), L::single(a[3])]);
        assert_eq!(stored(lanes, lanes.settle(first[0])), from_fn(|i| a[i] + w * b[i]));
        assert_eq!(stored(lanes, lanes.settle(second[1])), from_fn(|i| b[i] - a[3] * a[i]));
        assert_eq!(stored(lanes, lanes.settle(x)), a);
        assert_eq!(stored(lanes, lanes.settle(y)), b);
    }
}

fn compare(processor: Processor) {
    with_lanes!(processor, lanes => {
        lanes.run(Comparison::<Fr>(PhantomData));
        lanes.run(Comparison::<Fq>(PhantomData));
    });
}

#[test]
fn all_lanes_of_this_processor_compute_in_both_fields() {
    let all = Processor::all();
    assert!(matches!(all.last(), Some(Processor::Portable(_))));
    for processor in all {
        compare(processor);
    }
    // Here for comparison: it is for other processors.
    compare(Processor::Narrow(Narrow));
}

#[test]
fn words_are_the_residues_words() {
    for (element, words) in [(Fr::ONE, Montgomery::SCALAR.one), (Fr::from(1), Montgomery::SCALAR.one)] {
        assert_eq!(as_words(&[element]), [words]);
    }
    assert_eq!(as_words(&[Fq::ONE]), [Montgomery::BASE.one]);
    let mut written = [Fr::ZERO];
    as_words_mut(&mut written)[0] = Montgomery::SCALAR.one;
    assert_eq!(written, [Fr::ONE]);
}
