//! Lanes with AVX-512 IFMA: products of 52-bit limbs, eight at a time.
//!
//! A residue x is five limbs of 52 bits; limb i of eight residues shares a register. Memory holds four words of 64 bits
//! with R = 2^256, while a Montgomery multiplication by five limbs divides by 2^260: so one operand of every product,
//! the [`Factor`], holds 16 times its residue, and the product is again a residue with R = 2^256. Where a factor comes
//! from memory, or is a constant, those four bits cost nothing.
//!
//! p is below 2^254, and 2^260/p = 84.7: there is room for sums and differences that are not reduced. A product of a
//! and b below α·p and β·p is (a·b + m·p)/2^260 with m below 2^260, and so below (α·β/84.7 + 1)·p.
//!
//! The multiplication is Montgomery's with the reduction after the product ("SOS", Koç, Acar, Kaliski: Analyzing and
//! Comparing Montgomery Multiplication Algorithms, 1996), with limbs as vectors as in Gueron and Krasnov, Accelerating
//! Big Integer Arithmetic Using Intel AVX512 IFMA Extensions, 2016.

#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "iterators over arrays of vectors take closures, which are not always inlined"
)]

use std::arch::x86_64::*;
use std::marker::PhantomData;

use zkml_gpu_kernels::field::Words;

use super::{Kernel, LANES, Lanes, MAX_RAISE, Modulus, as_words, as_words_mut};

/// Limbs of a residue.
const LIMBS: usize = 5;
/// Bits of a limb.
const BITS: u32 = 52;
/// The bits of a limb.
const MASK: u64 = (1 << BITS) - 1;
/// 2^260 / 2^256: a factor's excess.
const SCALE_BITS: u32 = 4;
/// Added, in multiples of p, before a lazy residue is multiplied or stored, so that it is not negative.
const LAZY_OFFSET: u64 = 32;

type Limbs = [u64; LIMBS];
type Registers = [__m512i; LIMBS];
type Wide = [__m512i; 2 * LIMBS];

/// Proof that the processor has the instructions: only [`Ifma::detect`] makes one.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Ifma(());

/// Eight residues.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vector<F>(Registers, PhantomData<F>);

/// Sixteen times eight residues.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Factor<F>(Registers, PhantomData<F>);

/// Sixteen times a residue.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Single<F>(Limbs, PhantomData<F>);

/// Eight residues whose limbs are not normalised: signed, and up to 2^63 each.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Sum<F>(Registers, PhantomData<F>);

/// Eight sums of products, not reduced. Limbs are not normalised.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Products<F>(Wide, PhantomData<F>);

/// A field's constants in limbs.
trait Constants: Modulus {
    const P: Limbs = limbs(Self::MONTGOMERY.modulus);
    /// 2^260 - p: what is added to subtract p modulo 2^260.
    const NEGATED_P: Limbs = complement(Self::P);
    const FOUR_P: Limbs = multiple(Self::P, 4);
    const EIGHT_P: Limbs = multiple(Self::P, 8);
    const LAZY_P: Limbs = multiple(Self::P, LAZY_OFFSET);
    const MULTIPLES_OF_P: [Limbs; MAX_RAISE + 1] = multiples(Self::P);
    /// `-p^-1 mod 2^52`.
    const NEGATED_INVERSE: u64 = Self::MONTGOMERY.negated_inverse & MASK;
    /// `floor(2^52 / p_4)` with p_4 the top limb rounded up: from the top limb of a residue it estimates the multiple
    /// of p.
    const ESTIMATE: u64 = (1 << BITS) / (Self::P[LIMBS - 1] + 1);
}

impl<F: Modulus> Constants for F {}

const fn limbs(words: Words) -> Limbs {
    [
        words[0] & MASK,
        (words[0] >> 52 | words[1] << 12) & MASK,
        (words[1] >> 40 | words[2] << 24) & MASK,
        (words[2] >> 28 | words[3] << 36) & MASK,
        words[3] >> 16,
    ]
}

const fn multiple(x: Limbs, factor: u64) -> Limbs {
    let mut product = [0; LIMBS];
    let mut carry = 0;
    let mut i = 0;
    while i < LIMBS {
        // Limbs of 52 bits and factors below 2^11.
        let limb = x[i] * factor + carry;
        product[i] = limb & MASK;
        carry = limb >> BITS;
        i += 1;
    }
    product
}

const fn multiples(x: Limbs) -> [Limbs; MAX_RAISE + 1] {
    let mut multiples = [[0; LIMBS]; MAX_RAISE + 1];
    let mut i = 0;
    while i < multiples.len() {
        multiples[i] = multiple(x, i as u64);
        i += 1;
    }
    multiples
}

/// 2^260 - x.
const fn complement(x: Limbs) -> Limbs {
    let mut difference = [0; LIMBS];
    let mut carry = 1;
    let mut i = 0;
    while i < LIMBS {
        let limb = (MASK - x[i]) + carry;
        difference[i] = limb & MASK;
        carry = limb >> BITS;
        i += 1;
    }
    difference
}

impl Ifma {
    /// The lanes, if the processor has them.
    pub(in super::super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("adx");
        present.then_some(Ifma(()))
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx512ifma,avx512vbmi2,bmi2,adx")]
fn run<K: Kernel<Ifma>>(lanes: Ifma, kernel: K) -> K::Output {
    kernel.run(lanes)
}

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

// Every function below is inlined into a kernel, and so compiled with the features that `run` enables. The intrinsics
// are unsafe outside of it only because the processor may lack them.

#[inline(always)]
fn zero() -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_setzero_si512() }
}

#[inline(always)]
fn set(x: u64) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_set1_epi64(x as i64) }
}

#[inline(always)]
fn add(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_add_epi64(a, b) }
}

#[inline(always)]
fn sub(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_sub_epi64(a, b) }
}

/// The low 52 bits.
#[inline(always)]
fn low(a: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_and_si512(a, set(MASK)) }
}

/// What is above 52 bits, with sign.
#[inline(always)]
fn carry(a: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_srai_epi64::<BITS>(a) }
}

/// acc + the low 52 bits of a·b, of whose operands the low 52 bits count.
#[inline(always)]
fn madd_low(acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_madd52lo_epu64(acc, a, b) }
}

/// acc + the high 52 bits of a·b.
#[inline(always)]
fn madd_high(acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_madd52hi_epu64(acc, a, b) }
}

/// Bits 64 - N to 128 - N of high·2^64 + low.
#[inline(always)]
fn concat_shift<const N: i32>(high: __m512i, low: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_shldi_epi64::<N>(high, low) }
}

#[inline(always)]
fn shift_left<const N: u32>(a: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_slli_epi64::<N>(a) }
}

#[inline(always)]
fn shift_right<const N: u32>(a: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_srli_epi64::<N>(a) }
}

#[inline(always)]
fn or(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_or_si512(a, b) }
}

/// `a` where the mask has a one, else `b`.
#[inline(always)]
fn choose(mask: u8, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_mask_blend_epi64(mask, b, a) }
}

#[inline(always)]
fn constant(x: Limbs) -> Registers {
    each!(LIMBS, i => set(x[i]))
}

/// Carries what exceeds 52 bits, or is negative, to the next limb; the top limb keeps its own.
#[inline(always)]
fn normalize(x: Registers) -> Registers {
    let mut out = x;
    for i in 0..LIMBS - 1 {
        out[i + 1] = add(out[i + 1], carry(out[i]));
        out[i] = low(out[i]);
    }
    out
}

/// a·b/2^260 modulo p, normalised; operands normalised. `N` products at a time.
///
/// The whole product comes first: it waits for nothing, while each of the five steps of the reduction waits for the one
/// before. The processor looks no further ahead than about one product: two in lock step keep it busy.
#[inline(always)]
fn montgomery<F: Modulus, const N: usize>(a: [Registers; N], b: [Registers; N]) -> [Registers; N] {
    // Limbs, each the sum of at most nine products' halves of 52 bits.
    let mut sum = [[zero(); 2 * LIMBS]; N];
    for i in 0..LIMBS {
        for j in 0..LIMBS {
            for k in 0..N {
                sum[k][i + j] = madd_low(sum[k][i + j], a[k][i], b[k][j]);
                sum[k][i + j + 1] = madd_high(sum[k][i + j + 1], a[k][i], b[k][j]);
            }
        }
    }
    let mut reduced = reduce_wide::<F, N>(sum);
    for k in 0..N {
        reduced[k] = normalize(reduced[k]);
    }
    reduced
}

/// One product.
#[inline(always)]
fn montgomery_once<F: Modulus>(a: Registers, b: Registers) -> Registers {
    montgomery::<F, 1>([a], [b])[0]
}

/// sum + a·b.
#[inline(always)]
fn accumulate(mut sum: Wide, a: Registers, b: Registers) -> Wide {
    for i in 0..LIMBS {
        for j in 0..LIMBS {
            sum[i + j] = madd_low(sum[i + j], a[i], b[j]);
            sum[i + j + 1] = madd_high(sum[i + j + 1], a[i], b[j]);
        }
    }
    sum
}

/// x/2^260 modulo p: Montgomery's reduction, limb by limb. Limbs may be negative; their absolute values grow by less
/// than 2^56.
#[inline(always)]
fn reduce_wide<F: Modulus, const N: usize>(mut sum: [Wide; N]) -> [Registers; N] {
    let p = constant(F::P);
    for i in 0..LIMBS {
        let mut m = [zero(); N];
        for k in 0..N {
            m[k] = madd_low(m[k], sum[k][i], set(F::NEGATED_INVERSE));
            // The low 52 bits of sum_i + m·p_0 are zero. They carry unless they were zero before; m·p_0 itself need not
            // be added.
            sum[k][i + 1] = add(sum[k][i + 1], carry(add(sum[k][i], set(MASK))));
        }
        for k in 0..N {
            sum[k][i + 1] = madd_high(sum[k][i + 1], m[k], p[0]);
        }
        for j in 1..LIMBS {
            for k in 0..N {
                sum[k][i + j] = madd_low(sum[k][i + j], m[k], p[j]);
                sum[k][i + j + 1] = madd_high(sum[k][i + j + 1], m[k], p[j]);
            }
        }
    }
    let mut reduced = [[zero(); LIMBS]; N];
    for k in 0..N {
        reduced[k] = each!(LIMBS, i => sum[k][LIMBS + i]);
    }
    reduced
}

/// a below p, from a below 84·p, normalised.
#[inline(always)]
fn reduce<F: Modulus>(a: Registers) -> Registers {
    conditional_subtract::<F>(reduce_by_estimate::<F>(a))
}

/// a below 2·p, from a below 84·p, normalised.
#[inline(always)]
fn reduce_by_estimate<F: Modulus>(a: Registers) -> Registers {
    // ESTIMATE is floor(2^52/p_4) = 84, 0.8 per cent below the quotient itself: for a below 84·p the estimate of a/p is
    // at most 1.7 too small, and never too large.
    let quotient = madd_high(zero(), a[LIMBS - 1], set(F::ESTIMATE));
    let negated = constant(F::NEGATED_P);
    let mut rest = a;
    for i in 0..LIMBS {
        rest[i] = madd_low(rest[i], quotient, negated[i]);
        if i + 1 < LIMBS {
            rest[i + 1] = madd_high(rest[i + 1], quotient, negated[i]);
        }
    }
    // Modulo 2^260: the multiples of 2^260 that the complements of p added leave at the top.
    let mut rest = normalize(rest);
    rest[LIMBS - 1] = low(rest[LIMBS - 1]);
    rest
}

/// a - p where that is not negative.
#[inline(always)]
fn conditional_subtract<F: Modulus>(a: Registers) -> Registers {
    let p = constant(F::P);
    let difference = normalize(each!(LIMBS, i => sub(a[i], p[i])));
    // SAFETY: see above.
    let negative = unsafe { _mm512_movepi64_mask(difference[LIMBS - 1]) };
    each!(LIMBS, i => choose(negative, a[i], difference[i]))
}

/// Word j of eight elements in register j.
#[inline(always)]
fn gather_words(source: &[Words; LANES]) -> [__m512i; 4] {
    let base: *const __m512i = source.as_ptr().cast();
    // SAFETY: four unaligned loads of 64 bytes are the 256 bytes of the array; features see above.
    words_of_pairs(each!(4, i => unsafe { _mm512_loadu_si512(base.add(i)) }))
}

/// As [`gather_words`], from eight places.
#[inline(always)]
fn gather_words_from(sources: [&Words; LANES]) -> [__m512i; 4] {
    // SAFETY: each load is of the 32 bytes of four words; features see above.
    words_of_pairs(each!(4, i => unsafe {
        let low = _mm256_loadu_si256(sources[2 * i].as_ptr().cast());
        let high = _mm256_loadu_si256(sources[2 * i + 1].as_ptr().cast());
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
    }))
}

/// Word j of eight elements in register j, from two elements in each register.
#[inline(always)]
fn words_of_pairs([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: see above.
    unsafe {
        let first = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
        let last = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
        let (ab_first, ab_last) = (_mm512_permutex2var_epi64(a, first, b), _mm512_permutex2var_epi64(a, last, b));
        let (cd_first, cd_last) = (_mm512_permutex2var_epi64(c, first, d), _mm512_permutex2var_epi64(c, last, d));
        [
            _mm512_shuffle_i64x2::<0x44>(ab_first, cd_first),
            _mm512_shuffle_i64x2::<0xee>(ab_first, cd_first),
            _mm512_shuffle_i64x2::<0x44>(ab_last, cd_last),
            _mm512_shuffle_i64x2::<0xee>(ab_last, cd_last),
        ]
    }
}

/// The inverse of [`gather_words`].
#[inline(always)]
fn scatter_words(words: [__m512i; 4], target: &mut [Words; LANES]) {
    let base: *mut __m512i = target.as_mut_ptr().cast();
    // SAFETY: four unaligned stores of 64 bytes are the 256 bytes of the array; features see above.
    unsafe {
        let first = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
        let last = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
        let ab_first = _mm512_shuffle_i64x2::<0x44>(words[0], words[1]);
        let cd_first = _mm512_shuffle_i64x2::<0xee>(words[0], words[1]);
        let ab_last = _mm512_shuffle_i64x2::<0x44>(words[2], words[3]);
        let cd_last = _mm512_shuffle_i64x2::<0xee>(words[2], words[3]);
        _mm512_storeu_si512(base, _mm512_permutex2var_epi64(ab_first, first, ab_last));
        _mm512_storeu_si512(base.add(1), _mm512_permutex2var_epi64(ab_first, last, ab_last));
        _mm512_storeu_si512(base.add(2), _mm512_permutex2var_epi64(cd_first, first, cd_last));
        _mm512_storeu_si512(base.add(3), _mm512_permutex2var_epi64(cd_first, last, cd_last));
    }
}

/// Limbs of 256-bit integers.
#[inline(always)]
fn unpack([a, b, c, d]: [__m512i; 4]) -> Registers {
    [
        low(a),
        low(concat_shift::<12>(b, a)),
        low(concat_shift::<24>(c, b)),
        low(concat_shift::<36>(d, c)),
        shift_right::<16>(d),
    ]
}

/// Limbs of sixteen times 256-bit integers.
#[inline(always)]
fn unpack_scaled([a, b, c, d]: [__m512i; 4]) -> Registers {
    [
        low(shift_left::<SCALE_BITS>(a)),
        low(concat_shift::<16>(b, a)),
        low(concat_shift::<28>(c, b)),
        low(concat_shift::<40>(d, c)),
        shift_right::<12>(d),
    ]
}

/// The inverse of [`unpack`], for limbs that are normalised and make up less than 2^256.
#[inline(always)]
fn pack([a, b, c, d, e]: Registers) -> [__m512i; 4] {
    [
        or(a, shift_left::<52>(b)),
        or(shift_right::<12>(b), shift_left::<40>(c)),
        or(shift_right::<24>(c), shift_left::<28>(d)),
        or(shift_right::<36>(d), shift_left::<16>(e)),
    ]
}

#[inline(always)]
fn transpose([a, b, c, d, e, f, g, h]: [__m512i; LANES]) -> [__m512i; LANES] {
    let ((ab0, ab1), (cd0, cd1), (ef0, ef1), (gh0, gh1)) = (zip(a, b), zip(c, d), zip(e, f), zip(g, h));
    let ((even04, even26), (odd15, odd37)) = (unzip_pairs(ab0, cd0), unzip_pairs(ab1, cd1));
    let ((late04, late26), (late15, late37)) = (unzip_pairs(ef0, gh0), unzip_pairs(ef1, gh1));
    let ((r0, r4), (r2, r6)) = (unzip_pairs(even04, late04), unzip_pairs(even26, late26));
    let ((r1, r5), (r3, r7)) = (unzip_pairs(odd15, late15), unzip_pairs(odd37, late37));
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// Elements with even, then with odd indices, of both in turn.
#[inline(always)]
fn zip(a: __m512i, b: __m512i) -> (__m512i, __m512i) {
    // SAFETY: see above.
    unsafe { (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)) }
}

/// Pairs of elements with even, then with odd indices, those of `a` first.
#[inline(always)]
fn unzip_pairs(a: __m512i, b: __m512i) -> (__m512i, __m512i) {
    // SAFETY: see above.
    unsafe { (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b)) }
}

#[inline(always)]
fn word<F: Modulus>(element: &F) -> &Words {
    &as_words(std::slice::from_ref(element))[0]
}

#[inline(always)]
fn words_of<F: Modulus>(elements: &[F; LANES]) -> &[Words; LANES] {
    as_words(elements).first_chunk().expect("eight elements are eight times four words")
}

#[inline(always)]
fn words_of_mut<F: Modulus>(elements: &mut [F; LANES]) -> &mut [Words; LANES] {
    as_words_mut(elements).first_chunk_mut().expect("eight elements are eight times four words")
}

impl Lanes for Ifma {
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
        // SAFETY: a value of this type proves that the processor has the features.
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn zero<F: Modulus>(self) -> Vector<F> {
        Vector([zero(); LIMBS], PhantomData)
    }

    #[inline(always)]
    fn load<F: Modulus>(self, source: &[F; LANES]) -> Vector<F> {
        Vector(unpack(gather_words(words_of(source))), PhantomData)
    }

    #[inline(always)]
    fn gather<F: Modulus>(self, elements: [&F; LANES]) -> Vector<F> {
        let [a, b, c, d, e, f, g, h] = elements;
        let words = [word(a), word(b), word(c), word(d), word(e), word(f), word(g), word(h)];
        Vector(unpack(gather_words_from(words)), PhantomData)
    }

    #[inline(always)]
    fn store_reduced<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        scatter_words(pack(vector.0), words_of_mut(target));
    }

    #[inline(always)]
    fn store<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        scatter_words(pack(reduce::<F>(vector.0)), words_of_mut(target));
    }

    #[inline(always)]
    fn canonical_words<F: Modulus>(self, vector: Vector<F>) -> [[u64; LANES]; 4] {
        // x·2^256 times 2^4 over 2^260.
        let sixteen = constant([1 << SCALE_BITS, 0, 0, 0, 0]);
        let words = pack(reduce::<F>(montgomery_once::<F>(vector.0, sixteen)));
        let mut rows = [[0; LANES]; 4];
        for i in 0..4 {
            // SAFETY: one unaligned store of the row's 64 bytes; features see above.
            unsafe { _mm512_storeu_si512(rows[i].as_mut_ptr().cast(), words[i]) };
        }
        rows
    }

    #[inline(always)]
    fn splat<F: Modulus>(self, element: F) -> Vector<F> {
        Vector(constant(limbs(as_words(&[element])[0])), PhantomData)
    }

    #[inline(always)]
    fn load_factor<F: Modulus>(self, source: &[F; LANES]) -> Factor<F> {
        Factor(unpack_scaled(gather_words(words_of(source))), PhantomData)
    }

    #[inline(always)]
    fn factor<F: Modulus>(self, vector: Vector<F>) -> Factor<F> {
        // Below 16·5·p, hence below 2^260.
        Factor(normalize(each!(LIMBS, i => shift_left::<SCALE_BITS>(vector.0[i]))), PhantomData)
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
        Factor(constant(single.0), PhantomData)
    }

    #[inline(always)]
    fn factors<F: Modulus>(self, elements: &[F; LANES]) -> Factor<F> {
        let scale = Self::scale::<F>();
        Factor(unpack(gather_words(words_of(&elements.map(|element| element * scale)))), PhantomData)
    }

    #[inline(always)]
    fn add<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        Vector(normalize(each!(LIMBS, i => add(a.0[i], b.0[i]))), PhantomData)
    }

    #[inline(always)]
    fn sub<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        let offset = constant(F::FOUR_P);
        Vector(normalize(each!(LIMBS, i => add(sub(a.0[i], b.0[i]), offset[i]))), PhantomData)
    }

    #[inline(always)]
    fn sub_both<F: Modulus>(self, a: Vector<F>, b: Vector<F>, c: Vector<F>) -> Vector<F> {
        let offset = constant(F::EIGHT_P);
        Vector(normalize(each!(LIMBS, i => sub(add(a.0[i], offset[i]), add(b.0[i], c.0[i])))), PhantomData)
    }

    #[inline(always)]
    fn mul<F: Modulus>(self, a: Vector<F>, b: Factor<F>) -> Vector<F> {
        Vector(montgomery_once::<F>(a.0, b.0), PhantomData)
    }

    #[inline(always)]
    fn mul_pair<F: Modulus>(self, a: [Vector<F>; 2], b: [Factor<F>; 2]) -> [Vector<F>; 2] {
        let [first, second] = montgomery::<F, 2>([a[0].0, a[1].0], [b[0].0, b[1].0]);
        [Vector(first, PhantomData), Vector(second, PhantomData)]
    }

    #[inline(always)]
    fn reduce<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        Vector(reduce::<F>(vector.0), PhantomData)
    }

    #[inline(always)]
    fn equal<F: Modulus>(self, a: Vector<F>, b: Vector<F>) -> u8 {
        let mut mask = u8::MAX;
        for i in 0..LIMBS {
            // SAFETY: see above.
            mask = unsafe { _mm512_mask_cmpeq_epi64_mask(mask, a.0[i], b.0[i]) };
        }
        mask
    }

    #[inline(always)]
    fn select<F: Modulus>(self, mask: u8, a: Vector<F>, b: Vector<F>) -> Vector<F> {
        Vector(each!(LIMBS, i => choose(mask, a.0[i], b.0[i])), PhantomData)
    }

    // Lazy residues: the limbs of a lazy vector are signed and up to 2^57, not normalised.

    #[inline(always)]
    fn refresh<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        vector
    }

    #[inline(always)]
    fn cross<F: Modulus>(self, a: &mut Vector<F>, b: &mut Vector<F>) {
        for i in 0..LIMBS {
            (a.0[i], b.0[i]) = (add(a.0[i], b.0[i]), sub(a.0[i], b.0[i]));
        }
    }

    #[inline(always)]
    fn twist<F: Modulus>(self, a: &mut Vector<F>, b: &mut Vector<F>, w: &Single<F>) {
        // b + 32·p is below 64·p: the product is below 2·p.
        let turned = montgomery_once::<F>(self.settle(*b).0, constant(w.0));
        for i in 0..LIMBS {
            (a.0[i], b.0[i]) = (add(a.0[i], turned[i]), sub(a.0[i], turned[i]));
        }
    }

    #[inline(always)]
    fn twist_pair<F: Modulus>(self, a: &mut [Vector<F>; 2], b: &mut [Vector<F>; 2], w: &[Single<F>; 2]) {
        let settled = [self.settle(b[0]).0, self.settle(b[1]).0];
        let turned = montgomery::<F, 2>(settled, [constant(w[0].0), constant(w[1].0)]);
        for k in 0..2 {
            for i in 0..LIMBS {
                (a[k].0[i], b[k].0[i]) = (add(a[k].0[i], turned[k][i]), sub(a[k].0[i], turned[k][i]));
            }
        }
    }

    #[inline(always)]
    fn settle<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        let offset = constant(F::LAZY_P);
        Vector(normalize(each!(LIMBS, i => add(vector.0[i], offset[i]))), PhantomData)
    }

    #[inline(always)]
    fn transpose<F: Modulus>(self, vectors: [Vector<F>; LANES]) -> [Vector<F>; LANES] {
        let mut transposed = vectors;
        for limb in 0..LIMBS {
            let rows = transpose(each!(LANES, lane => vectors[lane].0[limb]));
            for lane in 0..LANES {
                transposed[lane].0[limb] = rows[lane];
            }
        }
        transposed
    }

    // Sums and products. A sum's limbs are at most 98·2^52 in absolute value before they are scaled (see the trait's
    // limits), which leaves four bits and the sign.

    #[inline(always)]
    fn sum<F: Modulus>(self, first: Vector<F>) -> Sum<F> {
        Sum(first.0, PhantomData)
    }

    #[inline(always)]
    fn raise<F: Modulus>(self, sum: Sum<F>, multiple: usize) -> Sum<F> {
        let offset = constant(F::MULTIPLES_OF_P[multiple]);
        Sum(each!(LIMBS, i => add(sum.0[i], offset[i])), PhantomData)
    }

    #[inline(always)]
    fn include<F: Modulus>(self, sum: Sum<F>, a: Vector<F>) -> Sum<F> {
        Sum(each!(LIMBS, i => add(sum.0[i], a.0[i])), PhantomData)
    }

    #[inline(always)]
    fn exclude<F: Modulus>(self, sum: Sum<F>, a: Vector<F>) -> Sum<F> {
        Sum(each!(LIMBS, i => sub(sum.0[i], a.0[i])), PhantomData)
    }

    #[inline(always)]
    fn settle_sum<F: Modulus>(self, sum: Sum<F>) -> Vector<F> {
        Vector(normalize(sum.0), PhantomData)
    }

    #[inline(always)]
    fn settle_factor<F: Modulus>(self, sum: Sum<F>) -> Factor<F> {
        Factor(normalize(each!(LIMBS, i => shift_left::<SCALE_BITS>(sum.0[i]))), PhantomData)
    }

    #[inline(always)]
    fn product<F: Modulus>(self, a: Vector<F>, b: Factor<F>) -> Products<F> {
        Products(accumulate([zero(); 2 * LIMBS], a.0, b.0), PhantomData)
    }

    #[inline(always)]
    fn accumulate<F: Modulus>(self, products: Products<F>, a: Vector<F>, b: Factor<F>) -> Products<F> {
        Products(accumulate(products.0, a.0, b.0), PhantomData)
    }

    #[inline(always)]
    fn no_products<F: Modulus>(self) -> Products<F> {
        Products([zero(); 2 * LIMBS], PhantomData)
    }

    fn for_integers<F: Modulus>(elements: &[F; LANES]) -> [F; LANES] {
        // What the reduction divides by.
        let radix = F::from(2).pow_vartime([u64::from(BITS) * LIMBS as u64]);
        elements.map(|element| element * radix)
    }

    #[inline(always)]
    fn accumulate_integers<F: Modulus>(self, products: Products<F>, a: Vector<F>, b: &[u64; LANES]) -> Products<F> {
        // SAFETY: one unaligned load of the 64 bytes of eight words; features see above.
        let b = unsafe { _mm512_loadu_si512(b.as_ptr().cast()) };
        let mut sum = products.0;
        for i in 0..LIMBS {
            sum[i] = madd_low(sum[i], a.0[i], b);
            sum[i + 1] = madd_high(sum[i + 1], a.0[i], b);
        }
        Products(sum, PhantomData)
    }

    #[inline(always)]
    fn negate_products<F: Modulus>(self, products: Products<F>) -> Products<F> {
        Products(each!(2 * LIMBS, i => sub(zero(), products.0[i])), PhantomData)
    }

    #[inline(always)]
    fn sum_products<F: Modulus>(self, products: Products<F>) -> Sum<F> {
        Sum(reduce_wide::<F, 1>([products.0])[0], PhantomData)
    }

    #[inline(always)]
    fn lower<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        Vector(reduce_by_estimate::<F>(vector.0), PhantomData)
    }

    #[inline(always)]
    fn reduce_once<F: Modulus>(self, vector: Vector<F>) -> Vector<F> {
        Vector(conditional_subtract::<F>(vector.0), PhantomData)
    }

    #[inline(always)]
    fn store_once<F: Modulus>(self, vector: Vector<F>, target: &mut [F; LANES]) {
        scatter_words(pack(conditional_subtract::<F>(vector.0)), words_of_mut(target));
    }

    #[inline(always)]
    fn transpose_factors<F: Modulus>(self, factors: [Factor<F>; LANES]) -> [Factor<F>; LANES] {
        let mut rows = [Vector([zero(); LIMBS], PhantomData); LANES];
        for (row, factor) in rows.iter_mut().zip(&factors) {
            row.0 = factor.0;
        }
        let mut transposed = factors;
        for (factor, column) in transposed.iter_mut().zip(self.transpose::<F>(rows)) {
            *factor = self.scaled_factor::<F>(column);
        }
        transposed
    }
}
