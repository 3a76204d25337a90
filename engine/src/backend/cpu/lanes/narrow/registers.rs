//! Four numbers of 32 bits, and two of 64 bits: WebAssembly's vectors where it has them, arrays elsewhere.

use zkml_gpu_kernels::field::Words;

/// Four numbers of 32 bits.
pub(super) type Quad = imp::Quad;
/// Two numbers of 64 bits.
pub(super) type Pair = imp::Pair;
pub(super) use imp::*;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[allow(unsafe_code)]
mod imp {
    use std::arch::wasm32::*;

    use super::Words;

    pub(in super::super) type Quad = v128;
    pub(in super::super) type Pair = v128;

    #[inline(always)]
    pub(in super::super) fn splat(x: u32) -> Quad {
        u32x4_splat(x)
    }

    #[inline(always)]
    pub(in super::super) const fn quad([a, b, c, d]: [u32; 4]) -> Quad {
        u32x4(a, b, c, d)
    }

    #[inline(always)]
    pub(in super::super) fn splat_pair(x: u64) -> Pair {
        u64x2_splat(x)
    }

    #[inline(always)]
    pub(in super::super) fn pair([a, b]: [u64; 2]) -> Pair {
        u64x2(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn add(a: Quad, b: Quad) -> Quad {
        u32x4_add(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn sub(a: Quad, b: Quad) -> Quad {
        u32x4_sub(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn mul_low(a: Quad, b: Quad) -> Quad {
        u32x4_mul(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn and(a: Quad, b: Quad) -> Quad {
        v128_and(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn or(a: Quad, b: Quad) -> Quad {
        v128_or(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn shift_left<const N: u32>(a: Quad) -> Quad {
        u32x4_shl(a, N)
    }

    #[inline(always)]
    pub(in super::super) fn shift_right<const N: u32>(a: Quad) -> Quad {
        u32x4_shr(a, N)
    }

    /// With sign.
    #[inline(always)]
    pub(in super::super) fn shift_signed<const N: u32>(a: Quad) -> Quad {
        i32x4_shr(a, N)
    }

    /// All bits of a number where both are equal.
    #[inline(always)]
    pub(in super::super) fn equal(a: Quad, b: Quad) -> Quad {
        u32x4_eq(a, b)
    }

    /// `a` where the mask has ones, else `b`.
    #[inline(always)]
    pub(in super::super) fn choose(mask: Quad, a: Quad, b: Quad) -> Quad {
        v128_bitselect(a, b, mask)
    }

    /// The highest bit of each number.
    #[inline(always)]
    pub(in super::super) fn signs(a: Quad) -> u8 {
        u32x4_bitmask(a)
    }

    /// The products of the first two numbers.
    #[inline(always)]
    pub(in super::super) fn mul_first(a: Quad, b: Quad) -> Pair {
        u64x2_extmul_low_u32x4(a, b)
    }

    /// The products of the last two numbers.
    #[inline(always)]
    pub(in super::super) fn mul_last(a: Quad, b: Quad) -> Pair {
        u64x2_extmul_high_u32x4(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn first(a: Quad) -> Pair {
        u64x2_extend_low_u32x4(a)
    }

    #[inline(always)]
    pub(in super::super) fn last(a: Quad) -> Pair {
        u64x2_extend_high_u32x4(a)
    }

    /// The low halves of four numbers.
    #[inline(always)]
    pub(in super::super) fn narrow(first: Pair, last: Pair) -> Quad {
        u32x4_shuffle::<0, 2, 4, 6>(first, last)
    }

    #[inline(always)]
    pub(in super::super) fn add_pair(a: Pair, b: Pair) -> Pair {
        u64x2_add(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn sub_pair(a: Pair, b: Pair) -> Pair {
        u64x2_sub(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn and_pair(a: Pair, b: Pair) -> Pair {
        v128_and(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn or_pair(a: Pair, b: Pair) -> Pair {
        v128_or(a, b)
    }

    #[inline(always)]
    pub(in super::super) fn shift_left_pair(a: Pair, n: u32) -> Pair {
        u64x2_shl(a, n)
    }

    #[inline(always)]
    pub(in super::super) fn shift_right_pair(a: Pair, n: u32) -> Pair {
        u64x2_shr(a, n)
    }

    /// Word j of two elements in pair j.
    #[inline(always)]
    pub(in super::super) fn words_of_two(a: &Words, b: &Words) -> [Pair; 4] {
        let [a, b] = [a, b].map(|words| words.as_ptr().cast::<v128>());
        // SAFETY: two unaligned loads of 16 bytes are the 32 bytes of four words.
        let [a0, a1, b0, b1] = unsafe { [v128_load(a), v128_load(a.add(1)), v128_load(b), v128_load(b.add(1))] };
        [
            u64x2_shuffle::<0, 2>(a0, b0),
            u64x2_shuffle::<1, 3>(a0, b0),
            u64x2_shuffle::<0, 2>(a1, b1),
            u64x2_shuffle::<1, 3>(a1, b1),
        ]
    }

    /// The inverse of [`words_of_two`].
    #[inline(always)]
    pub(in super::super) fn two_of_words([a, b, c, d]: [Pair; 4]) -> [Words; 2] {
        let words = |low: v128, high: v128, lane: usize| {
            let of = |v| if lane == 0 { u64x2_extract_lane::<0>(v) } else { u64x2_extract_lane::<1>(v) };
            [of(low), of(high)]
        };
        let each = |lane| {
            let ([a, b], [c, d]) = (words(a, b, lane), words(c, d, lane));
            [a, b, c, d]
        };
        [each(0), each(1)]
    }

    /// Number j of quad i becomes number i of quad j.
    #[inline(always)]
    pub(in super::super) fn transpose([a, b, c, d]: [Quad; 4]) -> [Quad; 4] {
        let (ab, cd) = (u32x4_shuffle::<0, 4, 1, 5>(a, b), u32x4_shuffle::<0, 4, 1, 5>(c, d));
        let (ab_last, cd_last) = (u32x4_shuffle::<2, 6, 3, 7>(a, b), u32x4_shuffle::<2, 6, 3, 7>(c, d));
        [
            u64x2_shuffle::<0, 2>(ab, cd),
            u64x2_shuffle::<1, 3>(ab, cd),
            u64x2_shuffle::<0, 2>(ab_last, cd_last),
            u64x2_shuffle::<1, 3>(ab_last, cd_last),
        ]
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod imp {
    use std::array::from_fn;

    use super::Words;

    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Quad([u32; 4]);
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Pair([u64; 2]);

    #[inline(always)]
    pub(in super::super) fn splat(x: u32) -> Quad {
        Quad([x; 4])
    }

    #[inline(always)]
    pub(in super::super) const fn quad(numbers: [u32; 4]) -> Quad {
        Quad(numbers)
    }

    #[inline(always)]
    pub(in super::super) fn splat_pair(x: u64) -> Pair {
        Pair([x; 2])
    }

    #[inline(always)]
    pub(in super::super) fn pair(numbers: [u64; 2]) -> Pair {
        Pair(numbers)
    }

    #[inline(always)]
    pub(in super::super) fn add(a: Quad, b: Quad) -> Quad {
        Quad(from_fn(|i| a.0[i].wrapping_add(b.0[i])))
    }

    #[inline(always)]
    pub(in super::super) fn sub(a: Quad, b: Quad) -> Quad {
        Quad(from_fn(|i| a.0[i].wrapping_sub(b.0[i])))
    }

    #[inline(always)]
    pub(in super::super) fn mul_low(a: Quad, b: Quad) -> Quad {
        Quad(from_fn(|i| a.0[i].wrapping_mul(b.0[i])))
    }

    #[inline(always)]
    pub(in super::super) fn and(a: Quad, b: Quad) -> Quad {
        Quad(from_fn(|i| a.0[i] & b.0[i]))
    }

    #[inline(always)]
    pub(in super::super) fn or(a: Quad, b: Quad) -> Quad {
        Quad(from_fn(|i| a.0[i] | b.0[i]))
    }

    #[inline(always)]
    pub(in super::super) fn shift_left<const N: u32>(a: Quad) -> Quad {
        Quad(a.0.map(|x| x << N))
    }

    #[inline(always)]
    pub(in super::super) fn shift_right<const N: u32>(a: Quad) -> Quad {
        Quad(a.0.map(|x| x >> N))
    }

    /// With sign.
    #[inline(always)]
    pub(in super::super) fn shift_signed<const N: u32>(a: Quad) -> Quad {
        Quad(a.0.map(|x| (x.cast_signed() >> N).cast_unsigned()))
    }

    /// All bits of a number where both are equal.
    #[inline(always)]
    pub(in super::super) fn equal(a: Quad, b: Quad) -> Quad {
        Quad(from_fn(|i| if a.0[i] == b.0[i] { u32::MAX } else { 0 }))
    }

    /// `a` where the mask has ones, else `b`.
    #[inline(always)]
    pub(in super::super) fn choose(mask: Quad, a: Quad, b: Quad) -> Quad {
        Quad(from_fn(|i| a.0[i] & mask.0[i] | b.0[i] & !mask.0[i]))
    }

    /// The highest bit of each number.
    #[inline(always)]
    pub(in super::super) fn signs(a: Quad) -> u8 {
        (0..4).fold(0, |mask, i| mask | u8::from(a.0[i] >> 31 == 1) << i)
    }

    /// The products of the first two numbers.
    #[inline(always)]
    pub(in super::super) fn mul_first(a: Quad, b: Quad) -> Pair {
        Pair(from_fn(|i| u64::from(a.0[i]) * u64::from(b.0[i])))
    }

    /// The products of the last two numbers.
    #[inline(always)]
    pub(in super::super) fn mul_last(a: Quad, b: Quad) -> Pair {
        Pair(from_fn(|i| u64::from(a.0[i + 2]) * u64::from(b.0[i + 2])))
    }

    #[inline(always)]
    pub(in super::super) fn first(a: Quad) -> Pair {
        Pair(from_fn(|i| a.0[i].into()))
    }

    #[inline(always)]
    pub(in super::super) fn last(a: Quad) -> Pair {
        Pair(from_fn(|i| a.0[i + 2].into()))
    }

    /// The low halves of four numbers.
    #[inline(always)]
    pub(in super::super) fn narrow(first: Pair, last: Pair) -> Quad {
        // The low halves are what is meant.
        let low = |x: u64| x as u32;
        Quad([low(first.0[0]), low(first.0[1]), low(last.0[0]), low(last.0[1])])
    }

    #[inline(always)]
    pub(in super::super) fn add_pair(a: Pair, b: Pair) -> Pair {
        Pair(from_fn(|i| a.0[i].wrapping_add(b.0[i])))
    }

    #[inline(always)]
    pub(in super::super) fn sub_pair(a: Pair, b: Pair) -> Pair {
        Pair(from_fn(|i| a.0[i].wrapping_sub(b.0[i])))
    }

    #[inline(always)]
    pub(in super::super) fn and_pair(a: Pair, b: Pair) -> Pair {
        Pair(from_fn(|i| a.0[i] & b.0[i]))
    }

    #[inline(always)]
    pub(in super::super) fn or_pair(a: Pair, b: Pair) -> Pair {
        Pair(from_fn(|i| a.0[i] | b.0[i]))
    }

    #[inline(always)]
    pub(in super::super) fn shift_left_pair(a: Pair, n: u32) -> Pair {
        Pair(a.0.map(|x| x << n))
    }

    #[inline(always)]
    pub(in super::super) fn shift_right_pair(a: Pair, n: u32) -> Pair {
        Pair(a.0.map(|x| x >> n))
    }

    /// Word j of two elements in pair j.
    #[inline(always)]
    pub(in super::super) fn words_of_two(a: &Words, b: &Words) -> [Pair; 4] {
        from_fn(|j| Pair([a[j], b[j]]))
    }

    /// The inverse of [`words_of_two`].
    #[inline(always)]
    pub(in super::super) fn two_of_words(words: [Pair; 4]) -> [Words; 2] {
        from_fn(|i| from_fn(|j| words[j].0[i]))
    }

    /// Number j of quad i becomes number i of quad j.
    #[inline(always)]
    pub(in super::super) fn transpose(quads: [Quad; 4]) -> [Quad; 4] {
        from_fn(|i| Quad(from_fn(|j| quads[j].0[i])))
    }
}
