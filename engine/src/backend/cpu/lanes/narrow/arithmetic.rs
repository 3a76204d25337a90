//! Residues of four elements in nine limbs of 29 bits each.
//!
//! Products are summed up column by column (product scanning, Koç, Acar, Kaliski 1996): a column's sum stays in two
//! vectors, where the rows' sums of the school's method would be three dozen. Functions are not inlined where they are
//! long: each is a thousand instructions, and what they are called with is in memory anyway.

use std::hint::black_box;

use zkml_gpu_kernels::field::Words;

use super::super::{MAX_RAISE, Modulus};
use super::registers::*;

/// Limbs of a residue.
pub(super) const LIMBS: usize = 9;
/// Bits of a limb.
pub(super) const BITS: u32 = 29;
/// The bits of a limb.
const MASK: u32 = (1 << BITS) - 1;
/// 2^261 / 2^256: a factor's excess.
pub(super) const SCALE_BITS: u32 = 5;
/// Added, in multiples of p, before a lazy residue is multiplied or stored, so that it is not negative.
pub(super) const LAZY_OFFSET: usize = 32;
/// Columns of a product.
const COLUMNS: usize = 2 * LIMBS;

pub(super) type Limbs = [u32; LIMBS];
/// Limb i of four elements in quad i.
pub(super) type Quads = [Quad; LIMBS];
/// Sums of products of four elements, by columns; the first two elements', and the last two's.
pub(super) type Columns = [[Pair; 2]; COLUMNS];

/// A field's constants in limbs.
pub(super) trait Constants: Modulus {
    const P: Limbs = limbs(Self::MONTGOMERY.modulus);
    /// p in every lane.
    const P_QUADS: [Quad; LIMBS] = quads(Self::P);
    /// 2^261 - p: what is added to subtract p modulo 2^261.
    const NEGATED_P: [Quad; LIMBS] = quads(complement(Self::P));
    const MULTIPLES_OF_P: [[Quad; LIMBS]; MAX_RAISE + 1] = multiples(Self::P);
    /// `-p^-1 mod 2^29`.
    const NEGATED_INVERSE: u32 = (Self::MONTGOMERY.negated_inverse & MASK as u64) as u32;
    /// `floor(2^29 / (p_8 + 1))` with p_8 the top limb: from the top limb of a residue it estimates the multiple of p.
    const ESTIMATE: u32 = (1 << 29) / (Self::P[LIMBS - 1] + 1);
}

impl<F: Modulus> Constants for F {}

pub(super) const fn limbs(words: Words) -> Limbs {
    let mut limbs = [0; LIMBS];
    let mut i = 0;
    while i < LIMBS {
        let bit = BITS as usize * i;
        let (word, offset) = (bit / 64, bit % 64);
        let mut limb = words[word] >> offset;
        if offset > 64 - BITS as usize && word + 1 < words.len() {
            limb |= words[word + 1] << (64 - offset);
        }
        limbs[i] = (limb & MASK as u64) as u32;
        i += 1;
    }
    limbs
}

const fn quads(x: Limbs) -> [Quad; LIMBS] {
    let mut out = [quad([0; 4]); LIMBS];
    let mut i = 0;
    while i < LIMBS {
        out[i] = quad([x[i]; 4]);
        i += 1;
    }
    out
}

const fn multiples(x: Limbs) -> [[Quad; LIMBS]; MAX_RAISE + 1] {
    let mut multiples = [[quad([0; 4]); LIMBS]; MAX_RAISE + 1];
    let mut factor = 0;
    while factor < multiples.len() {
        let (mut product, mut carry, mut i) = ([0; LIMBS], 0, 0);
        while i < LIMBS {
            let limb = x[i] as u64 * factor as u64 + carry;
            product[i] = (limb & MASK as u64) as u32;
            carry = limb >> BITS;
            i += 1;
        }
        multiples[factor] = quads(product);
        factor += 1;
    }
    multiples
}

/// 2^261 - x.
const fn complement(x: Limbs) -> Limbs {
    let (mut difference, mut carry, mut i) = ([0; LIMBS], 1, 0);
    while i < LIMBS {
        let limb = (MASK - x[i]) + carry;
        difference[i] = limb & MASK;
        carry = limb >> BITS;
        i += 1;
    }
    difference
}

/// Runs a block for each index, written out: a column's length is then known, and its loop written out, too.
macro_rules! for_each {
    ($c:ident in [$($index:literal)*] $body:block) => {
        $({
            const $c: usize = $index;
            $body
        })*
    };
}

#[inline(always)]
fn accumulate_product(t: &mut [Pair; 2], a: Quad, b: Quad) {
    t[0] = add_pair(t[0], mul_first(a, b));
    t[1] = add_pair(t[1], mul_last(a, b));
}

#[inline(always)]
pub(super) fn low_limbs(t: [Pair; 2]) -> Quad {
    and(narrow(t[0], t[1]), splat(MASK))
}

/// What is above a limb, of sums that are not negative.
#[inline(always)]
fn carried(t: [Pair; 2]) -> [Pair; 2] {
    t.map(|half| shift_right_pair(half, BITS))
}

/// What is above a limb, with sign: 2^63 makes it positive before, and is taken out behind.
#[inline(always)]
fn carried_signed(t: [Pair; 2]) -> [Pair; 2] {
    let raised = t.map(|half| shift_right_pair(add_pair(half, splat_pair(1 << 63)), BITS));
    raised.map(|half| sub_pair(half, splat_pair(1 << (63 - BITS))))
}

/// The multiple of p that clears the lowest limb of a column's sum.
#[inline(always)]
fn clearing<F: Modulus>(t: [Pair; 2]) -> Quad {
    and(mul_low(narrow(t[0], t[1]), splat(F::NEGATED_INVERSE)), splat(MASK))
}

/// a·b/2^261 modulo p, normalised; operands normalised and not negative. With a below α·p and b below β·p the result is
/// below (1 + α·β/169)·p: 2^261/p = 169.4.
///
/// A column's sum has at most nine products of 58 bits from a·b and nine from the reduction, and what is carried: it
/// stays below 2^63.
#[inline(never)]
#[expect(clippy::reversed_empty_ranges, reason = "columns are written out, and the first has no earlier one")]
pub(super) fn montgomery<F: Modulus>(a: &Quads, b: &Quads) -> Quads {
    // Behind a pointer that the compiler does not see through: a constant of 128 bits is dearer than a load.
    let p: &Quads = black_box(&const { F::P_QUADS });
    let zero = splat(0);
    let (mut m, mut out) = ([zero; LIMBS], [zero; LIMBS]);
    let mut t = [splat_pair(0); 2];
    for_each!(C in [0 1 2 3 4 5 6 7 8] {
        for i in 0..=C {
            accumulate_product(&mut t, a[i], b[C - i]);
        }
        for i in 0..C {
            accumulate_product(&mut t, m[i], p[C - i]);
        }
        m[C] = clearing::<F>(t);
        accumulate_product(&mut t, m[C], p[0]);
        t = carried(t);
    });
    for_each!(C in [9 10 11 12 13 14 15 16] {
        for i in C - 8..LIMBS {
            accumulate_product(&mut t, a[i], b[C - i]);
            accumulate_product(&mut t, m[i], p[C - i]);
        }
        out[C - LIMBS] = low_limbs(t);
        t = carried(t);
    });
    out[LIMBS - 1] = narrow(t[0], t[1]);
    out
}

/// Adds a·b to sums, limb by limb: a limb grows by less than 2^30.
#[inline(never)]
pub(super) fn accumulate(sum: &mut Columns, a: &Quads, b: &Quads) {
    let mask = splat_pair(MASK.into());
    let mut t = [splat_pair(0); 2];
    let mut settle = |t: [Pair; 2], column: usize| {
        for half in 0..2 {
            sum[column][half] = add_pair(sum[column][half], and_pair(t[half], mask));
        }
        carried(t)
    };
    for_each!(C in [0 1 2 3 4 5 6 7 8] {
        for i in 0..=C {
            accumulate_product(&mut t, a[i], b[C - i]);
        }
        t = settle(t, C);
    });
    for_each!(C in [9 10 11 12 13 14 15 16] {
        for i in C - 8..LIMBS {
            accumulate_product(&mut t, a[i], b[C - i]);
        }
        t = settle(t, C);
    });
    settle(t, COLUMNS - 1);
}

/// Adds a·b to sums, for integers b below 2^58 in two limbs.
#[inline(never)]
pub(super) fn accumulate_integers(sum: &mut Columns, a: &Quads, b: &[Quad; 2]) {
    for i in 0..LIMBS {
        for (j, limb) in b.iter().enumerate() {
            // A product's low and high halves, so that a limb grows by less than 2^31.
            let product = [mul_first(a[i], *limb), mul_last(a[i], *limb)];
            let high = carried(product);
            for half in 0..2 {
                let low = and_pair(product[half], splat_pair(MASK.into()));
                sum[i + j][half] = add_pair(sum[i + j][half], low);
                sum[i + j + 1][half] = add_pair(sum[i + j + 1][half], high[half]);
            }
        }
    }
}

/// x/2^261 modulo p: Montgomery's reduction. Columns may be negative, below 2^61 in absolute value; so may the result
/// be.
#[inline(never)]
#[expect(clippy::reversed_empty_ranges, reason = "columns are written out, and the first has no earlier one")]
pub(super) fn reduce_columns<F: Modulus>(sum: &Columns) -> Quads {
    let p: &Quads = black_box(&const { F::P_QUADS });
    let zero = splat(0);
    let (mut m, mut out) = ([zero; LIMBS], [zero; LIMBS]);
    let mut t = [splat_pair(0); 2];
    let plus = |t: [Pair; 2], column: usize| [add_pair(t[0], sum[column][0]), add_pair(t[1], sum[column][1])];
    for_each!(C in [0 1 2 3 4 5 6 7 8] {
        t = plus(t, C);
        for i in 0..C {
            accumulate_product(&mut t, m[i], p[C - i]);
        }
        m[C] = clearing::<F>(t);
        accumulate_product(&mut t, m[C], p[0]);
        t = carried_signed(t);
    });
    for_each!(C in [9 10 11 12 13 14 15 16] {
        t = plus(t, C);
        for i in C - 8..LIMBS {
            accumulate_product(&mut t, m[i], p[C - i]);
        }
        out[C - LIMBS] = low_limbs(t);
        t = carried_signed(t);
    });
    t = plus(t, COLUMNS - 1);
    out[LIMBS - 1] = narrow(t[0], t[1]);
    out
}

/// Carries what exceeds 29 bits, or is negative, to the next limb; the top limb keeps its own, and the sign.
#[inline(always)]
pub(super) fn normalize(mut x: Quads) -> Quads {
    for i in 0..LIMBS - 1 {
        x[i + 1] = add(x[i + 1], shift_signed::<BITS>(x[i]));
        x[i] = and(x[i], splat(MASK));
    }
    x
}

/// a + b, normalised.
#[inline(never)]
pub(super) fn sum(a: &Quads, b: &Quads) -> Quads {
    let mut out = *a;
    for i in 0..LIMBS {
        out[i] = add(a[i], b[i]);
    }
    normalize(out)
}

/// a + offset - b, normalised.
#[inline(never)]
pub(super) fn difference(a: &Quads, offset: &Quads, b: &Quads) -> Quads {
    let mut out = *a;
    for i in 0..LIMBS {
        out[i] = sub(add(a[i], offset[i]), b[i]);
    }
    normalize(out)
}

/// a below 2·p, from a below 84·p, normalised.
#[inline(never)]
pub(super) fn reduce_by_estimate<F: Modulus>(a: &Quads) -> Quads {
    // The top limb without its last 13 bits, which are 0.003·p: products stay below 2^32. ESTIMATE is 0.2 per cent
    // below the quotient itself: for a below 84·p the estimate of a/p is at most 1.2 too small, and never too large.
    let quotient = shift_right::<16>(mul_low(shift_right::<13>(a[LIMBS - 1]), splat(F::ESTIMATE)));
    let negated: &Quads = black_box(&const { F::NEGATED_P });
    let mut rest = *a;
    let mut t = [splat_pair(0); 2];
    for i in 0..LIMBS {
        t = [add_pair(t[0], first(a[i])), add_pair(t[1], last(a[i]))];
        accumulate_product(&mut t, quotient, negated[i]);
        // Modulo 2^261: the multiples of 2^261 that the complements of p added leave at the top.
        rest[i] = low_limbs(t);
        t = carried(t);
    }
    rest
}

/// a - p where that is not negative.
#[inline(never)]
pub(super) fn conditional_subtract<F: Modulus>(a: &Quads) -> Quads {
    let p: &Quads = black_box(&const { F::P_QUADS });
    let mut less = *a;
    for i in 0..LIMBS {
        less[i] = sub(a[i], p[i]);
    }
    let less = normalize(less);
    let negative = shift_signed::<31>(less[LIMBS - 1]);
    let mut out = *a;
    for i in 0..LIMBS {
        out[i] = choose(negative, a[i], less[i]);
    }
    out
}

/// 32 times a, of a that is normalised and below 5·p.
#[inline(always)]
pub(super) fn scaled(a: &Quads) -> Quads {
    let mut out = *a;
    out[0] = and(shift_left::<SCALE_BITS>(a[0]), splat(MASK));
    for i in 1..LIMBS {
        let moved = or(shift_left::<SCALE_BITS>(a[i]), shift_right::<{ BITS - SCALE_BITS }>(a[i - 1]));
        out[i] = if i + 1 < LIMBS { and(moved, splat(MASK)) } else { moved };
    }
    out
}

/// Limbs of 256-bit integers times 2^shift, of at most [`SCALE_BITS`].
#[inline(always)]
pub(super) fn unpack<const SHIFT: u32>(sources: [&Words; 4]) -> Quads {
    let halves = [words_of_two(sources[0], sources[1]), words_of_two(sources[2], sources[3])];
    let limb = |words: &[Pair; 4], i: u32| {
        if i == 0 {
            return shift_left_pair(words[0], SHIFT);
        }
        let bit = BITS * i - SHIFT;
        let (word, offset) = ((bit / 64) as usize, bit % 64);
        let low = shift_right_pair(words[word], offset);
        if offset > 64 - BITS && word < 3 { or_pair(low, shift_left_pair(words[word + 1], 64 - offset)) } else { low }
    };
    let mut out = [splat(0); LIMBS];
    for_each!(I in [0 1 2 3 4 5 6 7 8] {
        out[I] = low_limbs([limb(&halves[0], I as u32), limb(&halves[1], I as u32)]);
    });
    out
}

/// The inverse of [`unpack`], for limbs that are normalised and make up less than 2^256.
#[inline(always)]
pub(super) fn pack(limbs: &Quads) -> [Words; 4] {
    let of_half = |half: fn(Quad) -> Pair| {
        let mut words = [splat_pair(0); 4];
        for_each!(I in [0 1 2 3 4 5 6 7 8] {
            let (word, offset) = (BITS as usize * I / 64, BITS * I as u32 % 64);
            let limb = half(limbs[I]);
            words[word] = or_pair(words[word], shift_left_pair(limb, offset));
            if offset > 64 - BITS && word < 3 {
                words[word + 1] = or_pair(words[word + 1], shift_right_pair(limb, 64 - offset));
            }
        });
        two_of_words(words)
    };
    let [[a, b], [c, d]] = [of_half(first), of_half(last)];
    [a, b, c, d]
}
