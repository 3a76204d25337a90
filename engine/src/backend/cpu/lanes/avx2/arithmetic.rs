//! Arithmetic of half a vector in registers, and the functions on whole vectors that kernels call.

use std::arch::asm;
use std::arch::x86_64::*;

use zkml_gpu_kernels::field::Words;

use super::super::{LANES, Modulus, as_words, as_words_mut};
use super::Products;
use super::constants::*;

/// An array from what an expression gives for each index. Not `array::from_fn`: a closure is a function of its own, and
/// `from_fn` too, and what is not inlined is compiled without the vector instructions.
macro_rules! each {
    ($n:expr, $i:ident => $value:expr) => {{
        let mut array = [zero(); $n];
        for $i in 0..$n {
            array[$i] = $value;
        }
        array
    }};
}

/// [`each!`] for both halves.
macro_rules! halves {
    ($half:ident => $value:expr) => {{
        let mut halves = [[zero(); LIMBS]; 2];
        for $half in 0..2 {
            halves[$half] = $value;
        }
        halves
    }};
}

pub(super) use {each, halves};

// Every function below is inlined into a kernel or into one of the functions that enable the features. The intrinsics
// are unsafe outside of them only because the processor may lack them.

#[inline(always)]
pub(super) fn zero() -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_setzero_pd() }
}

#[inline(always)]
pub(super) fn set(x: f64) -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_set1_pd(x) }
}

#[inline(always)]
pub(super) fn add(a: __m256d, b: __m256d) -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_add_pd(a, b) }
}

#[inline(always)]
pub(super) fn sub(a: __m256d, b: __m256d) -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_sub_pd(a, b) }
}

/// a·b + c, rounded once.
#[inline(always)]
pub(super) fn fused(a: __m256d, b: __m256d, c: __m256d) -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_fmadd_pd(a, b, c) }
}

/// c - a·b, rounded once.
#[inline(always)]
pub(super) fn fused_negated(a: __m256d, b: __m256d, c: __m256d) -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_fnmadd_pd(a, b, c) }
}

#[inline(always)]
pub(super) fn bits(x: __m256d) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_castpd_si256(x) }
}

#[inline(always)]
pub(super) fn from_bits(x: __m256i) -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_castsi256_pd(x) }
}

#[inline(always)]
pub(super) fn set_integer(x: i64) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_set1_epi64x(x) }
}

#[inline(always)]
pub(super) fn add_integers(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_add_epi64(a, b) }
}

#[inline(always)]
pub(super) fn sub_integers(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_sub_epi64(a, b) }
}

#[inline(always)]
pub(super) fn and(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_and_si256(a, b) }
}

#[inline(always)]
pub(super) fn or(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_or_si256(a, b) }
}

#[inline(always)]
pub(super) fn shift_left<const N: i32>(a: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_slli_epi64::<N>(a) }
}

#[inline(always)]
pub(super) fn shift_right<const N: i32>(a: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_srli_epi64::<N>(a) }
}

/// `a` where the sign of `mask` is set, else `b`.
#[inline(always)]
pub(super) fn choose(mask: __m256d, a: __m256d, b: __m256d) -> __m256d {
    // SAFETY: see above.
    unsafe { _mm256_blendv_pd(b, a, mask) }
}

#[inline(always)]
pub(super) fn constant(x: Limbs) -> Half {
    each!(LIMBS, i => set(x[i]))
}

/// The low limb of a column, less `offset`.
#[inline(always)]
pub(super) fn limb(column: __m256i, offset: i64) -> __m256d {
    let integer = or(and(column, set_integer(MASK)), set_integer(INTEGER_BITS));
    sub(from_bits(integer), set(INTEGER + offset as f64))
}

/// The nearest integer of a double below 2^51.
#[inline(always)]
pub(super) fn round(x: __m256d) -> __m256d {
    sub(add(x, set(SIGNED)), set(SIGNED))
}

/// Integers below 2^58 in absolute value, exact below 2^53.
#[inline(always)]
pub(super) fn to_double(x: __m256i) -> __m256d {
    /// Makes the integer nonnegative.
    const OFFSET: f64 = (1u64 << 58) as f64;
    /// 2^84: its bits and x are those of 2^84 + x·2^32.
    const UPPER: f64 = INTEGER * (1u64 << 32) as f64;
    let x = add_integers(x, set_integer(1 << 58));
    let lower = or(and(x, set_integer(u32::MAX.into())), set_integer(INTEGER_BITS));
    let upper = or(shift_right::<32>(x), set_integer(UPPER.to_bits() as i64));
    add(sub(from_bits(upper), set(UPPER + INTEGER + OFFSET)), from_bits(lower))
}

/// Carries until lower limbs are balanced, from limbs below 2^53 in absolute value; the top limb keeps its own.
#[inline(always)]
pub(super) fn normalize(mut x: Half) -> Half {
    for i in 0..LIMBS - 1 {
        let carried = sub(add(x[i], set(HIGH)), set(HIGH));
        x[i] = sub(x[i], carried);
        x[i + 1] = fused(carried, set(SHIFT), x[i + 1]);
    }
    x
}

/// x less the nearest multiple q·p, not normalised: between -0.51·p and 0.51·p. Limbs grow by 0.55·|q|·2^50.
///
/// The top limb tells x/p to within 2^-46 for limbs below 2^53.
#[inline(always)]
pub(super) fn subtract_nearest<F: Modulus>(mut x: Half) -> Half {
    let () = F::BOUNDED;
    let quotient = round(fused(x[LIMBS - 1], set(F::RECIPROCAL), zero()));
    for i in 0..LIMBS {
        x[i] = fused_negated(quotient, set(F::P[i]), x[i]);
    }
    x
}

/// Balanced, and between -0.51·p and 0.51·p: from limbs below w·2^50 and a residue below w·p for w up to
/// [`REFRESHED_AT_ONCE`].
#[inline(always)]
pub(super) fn refresh<F: Modulus>(x: Half) -> Half {
    normalize(subtract_nearest::<F>(x))
}

/// As [`refresh`], from w up to [`MAX_WEIGHT`].
#[inline(always)]
pub(super) fn refresh_large<F: Modulus>(x: Half) -> Half {
    refresh::<F>(normalize(x))
}

/// Plain limbs as integers, below p: from a residue below 5·p in absolute value whose limbs are below 2^51.
#[inline(always)]
pub(super) fn reduce<F: Modulus>(x: Half) -> Integers {
    // The floor of x/p, up to its error of 2^-46: what is left lies between -2^-46·p and (1 + 2^-46)·p.
    let quotient = round(fused(x[LIMBS - 1], set(F::RECIPROCAL), set(-0.5)));
    let mut rest = x;
    for i in 0..LIMBS {
        rest[i] = fused_negated(quotient, set(F::P[i]), rest[i]);
    }
    let rest = normalize(rest);
    let mut limbs = [set_integer(0); LIMBS];
    let mut carry = set_integer(0);
    for i in 0..LIMBS {
        let column = add_integers(add_integers(bits(add(rest[i], set(SIGNED))), set_integer(-SIGNED_BITS)), carry);
        if i == LIMBS - 1 {
            limbs[i] = column;
        } else {
            let column = add_integers(column, set_integer(BIAS));
            limbs[i] = and(column, set_integer(MASK));
            carry = sub_integers(shift_right::<BITS>(column), set_integer(BIAS >> BITS));
        }
    }
    // Only a residue near 0 or p is not below p already: its top limb is negative, or not below p's.
    let top = limbs[LIMBS - 1];
    let above = sub_integers(set_integer(F::PLAIN_P[LIMBS - 1] - 1), top);
    // SAFETY: see above.
    if unsafe { _mm256_movemask_pd(from_bits(or(top, above))) } != 0 {
        // SAFETY: lanes with these features are running.
        limbs = unsafe { correct::<F>(limbs) };
    }
    limbs
}

/// Adds p to what is negative, and subtracts it from what is not below p.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline(never)]
pub(super) fn correct<F: Modulus>(limbs: Integers) -> Integers {
    let is_negative = |limbs: &Integers| _mm256_cmpgt_epi64(set_integer(0), limbs[LIMBS - 1]);
    let mut raised = limbs;
    let negative = is_negative(&limbs);
    for i in 0..LIMBS {
        raised[i] = add_integers(limbs[i], and(negative, set_integer(F::PLAIN_P[i])));
    }
    let raised = carry_plain(raised);
    let mut difference = raised;
    for i in 0..LIMBS {
        difference[i] = sub_integers(raised[i], set_integer(F::PLAIN_P[i]));
    }
    let difference = carry_plain(difference);
    let below = is_negative(&difference);
    let mut reduced = raised;
    for i in 0..LIMBS {
        reduced[i] = _mm256_blendv_epi8(difference[i], raised[i], below);
    }
    reduced
}

/// Carries until lower limbs are plain.
#[inline(always)]
pub(super) fn carry_plain(mut limbs: Integers) -> Integers {
    for i in 0..LIMBS - 1 {
        let column = add_integers(limbs[i], set_integer(BIAS));
        limbs[i] = and(column, set_integer(MASK));
        let carry = sub_integers(shift_right::<BITS>(column), set_integer(BIAS >> BITS));
        limbs[i + 1] = add_integers(limbs[i + 1], carry);
    }
    limbs
}

/// Doubles of plain limbs.
#[inline(always)]
pub(super) fn from_plain(limbs: Integers) -> Half {
    each!(LIMBS, i => sub(from_bits(or(limbs[i], set_integer(INTEGER_BITS))), set(INTEGER)))
}

/// The inverse of [`from_plain`].
#[inline(always)]
pub(super) fn to_plain(x: Half) -> Integers {
    let mut limbs = [set_integer(0); LIMBS];
    for i in 0..LIMBS {
        limbs[i] = and(bits(add(x[i], set(INTEGER))), set_integer(MASK));
    }
    limbs
}

/// Half of x modulo p, balanced: at most half of |x| + p. Limbs of x are below 2^52.
#[inline(always)]
pub(super) fn halve<F: Modulus>(x: Half) -> Half {
    let half = set(0.5);
    let scaled = each!(LIMBS, i => fused(x[i], half, zero()));
    // Half of what the lowest limb is more than an even number: p is odd, so x less or plus p is even.
    let odd = sub(scaled[0], round(scaled[0]));
    let mut out = each!(LIMBS, i => fused_negated(odd, set(F::P[i]), scaled[i]));
    for i in 1..LIMBS {
        // Halves go down: 2^51 of the limb below.
        let whole = round(out[i]);
        out[i - 1] = fused(sub(out[i], whole), set((1u64 << BITS) as f64), out[i - 1]);
        out[i] = whole;
    }
    normalize(out)
}

/// Adds the halves of a·b to two columns.
///
/// In assembly: the compiler reorders sums of integers. It would make all products of a multiplication first, and keep
/// their hundred halves in memory.
macro_rules! multiply_add {
    ($low:expr, $high:expr, $a:expr, $b:expr) => {{
        let (mut low, mut high) = ($low, $high);
        // SAFETY: arithmetic on registers alone, of the features of the function around it.
        unsafe {
            asm!(
                "vmovapd {product}, {c}",
                "vfmadd231pd {product}, {a}, {b}",
                "vsubpd {rest}, {cm}, {product}",
                "vpaddq {high}, {high}, {product}",
                "vfmadd231pd {rest}, {a}, {b}",
                "vpaddq {low}, {low}, {rest}",
                product = out(ymm_reg) _,
                rest = out(ymm_reg) _,
                a = in(ymm_reg) $a,
                b = in(ymm_reg) $b,
                c = in(ymm_reg) set(HIGH),
                cm = in(ymm_reg) set(HIGH_AND_SIGNED),
                high = inout(ymm_reg) high,
                low = inout(ymm_reg) low,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        ($low, $high) = (low, high);
    }};
}

/// Adds a limb's products with five others to columns from `$first` on.
///
/// Not a loop, as little as what uses it: the compiler does not unroll one around assembly, and would keep the columns
/// in memory.
macro_rules! add_row {
    ($columns:expr, $first:expr, $limb:expr, $others:expr) => {{
        let limb = $limb;
        multiply_add!($columns[$first], $columns[$first + 1], limb, $others[0]);
        multiply_add!($columns[$first + 1], $columns[$first + 2], limb, $others[1]);
        multiply_add!($columns[$first + 2], $columns[$first + 3], limb, $others[2]);
        multiply_add!($columns[$first + 3], $columns[$first + 4], limb, $others[3]);
        multiply_add!($columns[$first + 4], $columns[$first + 5], limb, $others[4]);
    }};
}

/// Removes column `$i` of the first four: t·2^(51·i) becomes t·[`FOLD`](Constants::FOLD) one column further.
macro_rules! fold_column {
    ($columns:expr, $i:expr, $fold:expr) => {{
        let low = limb($columns[$i], BALANCE);
        $columns[$i + 1] = add_integers($columns[$i + 1], shift_right::<BITS>($columns[$i]));
        add_row!($columns, $i + 1, low, $fold);
    }};
}

/// Removes the fifth column, by Montgomery's reduction: adds the multiple m·p that makes it zero, with m from -2^50 to
/// 2^50.
macro_rules! reduce_last {
    ($columns:expr, $field:ty, $p:expr) => {{
        let low = limb($columns[LIMBS - 1], 0);
        let inverse = set(<$field>::NEGATED_INVERSE as f64);
        let rounded = sub(set(HIGH), fused(low, inverse, set(HIGH)));
        let m = fused(low, inverse, rounded);
        add_row!($columns, LIMBS - 1, m, $p);
        $columns[LIMBS] = add_integers($columns[LIMBS], shift_right::<BITS>($columns[LIMBS - 1]));
    }};
}

/// Balanced lower limbs of columns from the sixth on; the top column is left with its carry.
macro_rules! limbs_of_columns {
    ($columns:expr) => {{
        let mut out = [zero(); LIMBS];
        for i in LIMBS..COLUMNS - 1 {
            out[i - LIMBS] = limb($columns[i], BALANCE);
            $columns[i + 1] = add_integers($columns[i + 1], shift_right::<BITS>($columns[i]));
        }
        out
    }};
}

/// a·b/2^255 modulo p for half a vector; operands as the module's documentation has it.
///
/// Each of the first four columns, a limb t from -2^50 to 2^50, is replaced by t·(k·p + 1)/2^51 one column further,
/// which takes no multiplication to find the multiple of p. The last one is removed as in Montgomery's reduction, since
/// the replacements are 51 bits longer than p. They add up to at most 2^50·0.26·p before the last division by 2^51, and
/// m·p adds p/2 after it: the product is below (0.378·α·β + 0.63)·p in absolute value.
macro_rules! multiply_half {
    ($field:ty, $table:expr, $a:expr, $b:expr) => {{
        let mut columns = [set_integer(0); COLUMNS];
        for i in 0..COLUMNS {
            columns[i] = set_integer(START[i]);
        }
        add_row!(columns, 0, $a[0], $b);
        fold_column!(columns, 0, $table.fold);
        add_row!(columns, 1, $a[1], $b);
        fold_column!(columns, 1, $table.fold);
        add_row!(columns, 2, $a[2], $b);
        fold_column!(columns, 2, $table.fold);
        add_row!(columns, 3, $a[3], $b);
        fold_column!(columns, 3, $table.fold);
        add_row!(columns, 4, $a[4], $b);
        reduce_last!(columns, $field, $table.p);
        let mut limbs = limbs_of_columns!(columns);
        // Below (0.378·5 + 0.63)·p = 2.6·p, and so its top limb below 2^51.
        let top = add_integers(columns[COLUMNS - 1], set_integer(SIGNED_BITS));
        limbs[LIMBS - 1] = sub(from_bits(top), set(SIGNED));
        limbs
    }};
}

/// [`multiply_half!`] of both halves, one after the other: the columns of both would not fit into registers.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline(never)]
pub(super) fn multiply<F: Modulus>(a: &Halves, b: &Halves, out: &mut Halves) {
    // Hidden from the compiler, so that constants are read where they are used instead of filling registers.
    let table = std::hint::black_box(F::TABLE);
    for half in 0..2 {
        let (a, b) = (&a[half], &b[half]);
        out[half] = multiply_half!(F, table, a, b);
    }
}

/// `(a + w·b/2^255, a - w·b/2^255)`, not normalised, in the vectors' own places.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline(never)]
pub(super) fn butterfly<F: Modulus>(a: &mut Halves, b: &mut Halves, w: &Limbs) {
    // As for `multiply`.
    let table = std::hint::black_box(F::TABLE);
    let w = constant(*w);
    for half in 0..2 {
        let (a, b) = (&mut a[half], &mut b[half]);
        let turned = multiply_half!(F, table, b, w);
        for i in 0..LIMBS {
            (a[i], b[i]) = (add(a[i], turned[i]), sub(a[i], turned[i]));
        }
    }
}

/// [`multiply`], of copies register by register.
///
/// Without them the compiler keeps vectors in memory all along, since a call takes their address, and moves them by
/// wider loads than the stores before, for which the processor has to wait.
#[inline(always)]
pub(super) fn product<F: Modulus>(a: &Halves, b: &Halves) -> Halves {
    let (a, b, mut out) = (copy(a), copy(b), [[zero(); LIMBS]; 2]);
    // SAFETY: lanes with these features are running.
    unsafe { multiply::<F>(&a, &b, &mut out) };
    copy(&out)
}

#[inline(always)]
pub(super) fn copy(x: &Halves) -> Halves {
    let [[a, b, c, d, e], [f, g, h, i, j]] = *x;
    [[a, b, c, d, e], [f, g, h, i, j]]
}

/// columns + a·b.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline(never)]
pub(super) fn accumulate(columns: &mut Columns, a: &Halves, b: &Halves) {
    for half in 0..2 {
        let mut sums = columns[half];
        add_row!(sums, 0, a[half][0], b[half]);
        add_row!(sums, 1, a[half][1], b[half]);
        add_row!(sums, 2, a[half][2], b[half]);
        add_row!(sums, 3, a[half][3], b[half]);
        add_row!(sums, 4, a[half][4], b[half]);
        columns[half] = sums;
    }
}

/// columns + a·b for integers b below 2^51.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline(never)]
pub(super) fn accumulate_integers(columns: &mut Columns, a: &Halves, b: &[u64; LANES]) {
    for half in 0..2 {
        // SAFETY: an unaligned load of four words.
        let integers = unsafe { _mm256_loadu_si256(b.as_ptr().add(4 * half).cast()) };
        add_row!(columns[half], 0, limb(integers, 0), a[half]);
    }
}

/// The sum of products, reduced: balanced lower limbs. Of more than [`FEW_PRODUCTS`] it is brought to between -0.51·p
/// and 0.51·p.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline(never)]
pub(super) fn sum_products<F: Modulus>(products: &mut Products<F>, out: &mut Halves) {
    // Hidden from the compiler, so that constants are read where they are used instead of filling registers.
    let table = std::hint::black_box(F::TABLE);
    for half in 0..2 {
        let mut columns = products.columns[half];
        for i in 0..COLUMNS {
            let added = PRODUCT[i].wrapping_mul(products.balance);
            let integers = INTEGER_PRODUCT[i].wrapping_mul(products.integer_balance);
            let offset = REDUCTION[i].wrapping_sub(added).wrapping_sub(integers);
            columns[i] = add_integers(columns[i], set_integer(offset));
        }
        fold_column!(columns, 0, table.fold);
        fold_column!(columns, 1, table.fold);
        fold_column!(columns, 2, table.fold);
        fold_column!(columns, 3, table.fold);
        reduce_last!(columns, F, table.p);
        let mut limbs = limbs_of_columns!(columns);
        let top = columns[COLUMNS - 1];
        limbs[LIMBS - 1] = to_double(top);
        if products.count > FEW_PRODUCTS {
            // Up to 128·1.134·p, of which the top limb may be no double: but near enough for the multiple of p, of
            // eight bits, which is subtracted as a product of integers. What is left has a top limb below 2^51.
            let quotient = round(fused(limbs[LIMBS - 1], set(F::RECIPROCAL), zero()));
            let negated = sub(zero(), quotient);
            let mut sums = [set_integer(0); LIMBS + 1];
            for i in 0..LIMBS {
                sums[i] = if i < LIMBS - 1 { bits(add(limbs[i], set(SIGNED))) } else { top };
                // What the limb's own constant, the products' and the shifts' biases make up.
                let mut offset = SIGNED_BITS;
                if i < LIMBS - 1 {
                    offset = offset.wrapping_add(SIGNED_BITS).wrapping_sub(BIAS + BALANCE);
                }
                if i > 0 {
                    offset = offset.wrapping_add(HIGH_BITS).wrapping_add(BIAS >> BITS);
                }
                sums[i] = sub_integers(sums[i], set_integer(offset));
            }
            sums[LIMBS] = set_integer(HIGH_BITS.wrapping_neg());
            add_row!(sums, 0, negated, table.p);
            for i in 0..LIMBS - 1 {
                limbs[i] = limb(sums[i], BALANCE);
                sums[i + 1] = add_integers(sums[i + 1], shift_right::<BITS>(sums[i]));
            }
            limbs[LIMBS - 1] = to_double(add_integers(sums[LIMBS - 1], shift_left::<BITS>(sums[LIMBS])));
        }
        out[half] = limbs;
    }
}

/// Word j of four elements in register j.
#[inline(always)]
pub(super) fn words_of_rows([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    // SAFETY: see above.
    unsafe {
        let (ab02, ab13) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
        let (cd02, cd13) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
        [
            _mm256_permute2x128_si256::<0x20>(ab02, cd02),
            _mm256_permute2x128_si256::<0x20>(ab13, cd13),
            _mm256_permute2x128_si256::<0x31>(ab02, cd02),
            _mm256_permute2x128_si256::<0x31>(ab13, cd13),
        ]
    }
}

#[inline(always)]
pub(super) fn load_row(words: &Words) -> __m256i {
    // SAFETY: an unaligned load of the four words; features see above.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline(always)]
pub(super) fn gather_words(sources: [&Words; 4]) -> [__m256i; 4] {
    let [a, b, c, d] = sources;
    words_of_rows([load_row(a), load_row(b), load_row(c), load_row(d)])
}

/// The inverse of [`gather_words`].
#[inline(always)]
pub(super) fn scatter_words(words: [__m256i; 4], targets: &mut [Words; 4]) {
    let rows = words_of_rows(words);
    for i in 0..4 {
        // SAFETY: an unaligned store of four words; features see above.
        unsafe { _mm256_storeu_si256(targets[i].as_mut_ptr().cast(), rows[i]) };
    }
}

/// Plain limbs of 256-bit integers.
#[inline(always)]
pub(super) fn unpack([a, b, c, d]: [__m256i; 4]) -> Half {
    let mask = set_integer(MASK);
    from_plain([
        and(a, mask),
        and(or(shift_right::<51>(a), shift_left::<13>(b)), mask),
        and(or(shift_right::<38>(b), shift_left::<26>(c)), mask),
        and(or(shift_right::<25>(c), shift_left::<39>(d)), mask),
        shift_right::<12>(d),
    ])
}

/// Half of 256-bit residues below p, modulo p, between -p/2 and p/2. Limbs are below 2^51 in absolute value.
#[inline(always)]
pub(super) fn unpack_halved<F: Modulus>([a, b, c, d]: [__m256i; 4]) -> Half {
    let mask = set_integer(MASK);
    let halves = from_plain([
        and(shift_right::<1>(a), mask),
        and(or(shift_right::<52>(a), shift_left::<12>(b)), mask),
        and(or(shift_right::<39>(b), shift_left::<25>(c)), mask),
        and(or(shift_right::<26>(c), shift_left::<38>(d)), mask),
        shift_right::<13>(d),
    ]);
    // An odd x = 2·h + 1 becomes (x - p)/2 = h - (p - 1)/2.
    let odd = from_bits(sub_integers(set_integer(0), and(a, set_integer(1))));
    let half_p = constant(F::HALF_P);
    // SAFETY: see above.
    each!(LIMBS, i => sub(halves[i], unsafe { _mm256_and_pd(odd, half_p[i]) }))
}

/// The inverse of [`unpack`], of plain limbs as integers that make up less than 2^256.
#[inline(always)]
pub(super) fn pack([a, b, c, d, e]: Integers) -> [__m256i; 4] {
    [
        or(a, shift_left::<51>(b)),
        or(shift_right::<13>(b), shift_left::<38>(c)),
        or(shift_right::<26>(c), shift_left::<25>(d)),
        or(shift_right::<39>(d), shift_left::<12>(e)),
    ]
}

/// Element j of row i becomes element i of row j.
#[inline(always)]
pub(super) fn transpose(rows: [__m256d; 4]) -> [__m256d; 4] {
    let [a, b, c, d] = words_of_rows([bits(rows[0]), bits(rows[1]), bits(rows[2]), bits(rows[3])]);
    [from_bits(a), from_bits(b), from_bits(c), from_bits(d)]
}

/// As [`transpose`], of eight vectors.
#[inline(always)]
pub(super) fn transpose_halves(vectors: &[Halves; LANES]) -> [Halves; LANES] {
    let mut transposed = *vectors;
    for limb in 0..LIMBS {
        for (source, target) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let rows = transpose(each!(4, i => vectors[4 * target + i][source][limb]));
            for i in 0..4 {
                transposed[4 * source + i][target][limb] = rows[i];
            }
        }
    }
    transposed
}

/// A word for each half's lanes whose sign is that of the mask's bit.
#[inline(always)]
pub(super) fn signs(mask: u8, half: usize) -> __m256d {
    let lanes = set_integer(i64::from(mask >> (4 * half)));
    // SAFETY: see above.
    unsafe {
        let bit = _mm256_setr_epi64x(1, 2, 4, 8);
        from_bits(_mm256_cmpeq_epi64(and(lanes, bit), bit))
    }
}

#[inline(always)]
pub(super) fn word<F: Modulus>(element: &F) -> &Words {
    &as_words(std::slice::from_ref(element))[0]
}

#[inline(always)]
pub(super) fn words_of<F: Modulus>(elements: &[F; LANES], half: usize) -> [&Words; 4] {
    let [a, b, c, d] = as_words(elements)[4 * half..].first_chunk().expect("a half is four elements");
    [a, b, c, d]
}

#[inline(always)]
pub(super) fn words_of_mut<F: Modulus>(elements: &mut [F; LANES], half: usize) -> &mut [Words; 4] {
    as_words_mut(elements)[4 * half..].first_chunk_mut().expect("a half is four elements")
}
