// Sums of products of field elements and small integers. Integers are made positive by an offset, so that products are
// added without reduction: a sum of 320 bits takes 2^48 of them. What the offset adds depends on the factors alone and
// is taken off in the end.

#define FOLD_THREADS 128
// -2^15 is the smallest integer.
#define FOLD_OFFSET 32768

// Σ element·(integer + offset), in two rows as in a Montgomery multiplication.
struct FoldSum {
    u32 even[10];
    u32 odd[9];
};

DEVICE FoldSum fold_zero() {
    FoldSum sum;
#pragma unroll
    for (int i = 0; i < 9; i++) {
        sum.even[i] = sum.odd[i] = 0;
    }
    sum.even[9] = 0;
    return sum;
}

DEVICE void fold_add(FoldSum &sum, Element element, int integer) {
    u32 factor = (u32)(integer + FOLD_OFFSET);
    const u32 *limbs = element.limbs;
    // A product of a word and 16 bits leaves room above it, but rows are summed: the carry goes on to the words on top.
    sum.even[0] = mad_lo_cc(limbs[0], factor, sum.even[0]);
    sum.even[1] = madc_hi_cc(limbs[0], factor, sum.even[1]);
#pragma unroll
    for (int i = 2; i < 8; i += 2) {
        sum.even[i] = madc_lo_cc(limbs[i], factor, sum.even[i]);
        sum.even[i + 1] = madc_hi_cc(limbs[i], factor, sum.even[i + 1]);
    }
    sum.even[8] = addc_cc(sum.even[8], 0);
    sum.even[9] = addc(sum.even[9], 0);
    sum.odd[0] = mad_lo_cc(limbs[1], factor, sum.odd[0]);
    sum.odd[1] = madc_hi_cc(limbs[1], factor, sum.odd[1]);
#pragma unroll
    for (int i = 2; i < 8; i += 2) {
        sum.odd[i] = madc_lo_cc(limbs[i + 1], factor, sum.odd[i]);
        sum.odd[i + 1] = madc_hi_cc(limbs[i + 1], factor, sum.odd[i + 1]);
    }
    sum.odd[8] = addc(sum.odd[8], 0);
}

// The sum mod p: of words[0..8] as a multiple of R mod p, and of what is above 2^256 as one of R², each divided by R.
DEVICE Element fold_value(const FoldSum &sum) {
    u32 words[10];
    words[0] = sum.even[0];
    words[1] = add_cc(sum.even[1], sum.odd[0]);
#pragma unroll
    for (int i = 2; i < 9; i++) {
        words[i] = addc_cc(sum.even[i], sum.odd[i - 1]);
    }
    words[9] = addc(sum.even[9], sum.odd[8]);
    Element below;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        below.limbs[i] = words[i];
    }
    Element above = {{words[8], words[9], 0, 0, 0, 0, 0, 0}};
    return fr_add(fr_mul(fr_one(), below), fr_to_montgomery(above));
}

// Integers of a row, which meet the factors from `first_factor` on, and the row where their sum goes.
struct FoldRow {
    u64 first_integer;
    u32 first_factor;
    u32 len;
    u32 row;
};

// out[row] = Σ_i factors[first_factor + i]·integers[first_integer + i], where offsets[e] = FOLD_OFFSET·Σ_{i < e}
// factors[i].
template <class Integer>
DEVICE void fold_list(u32 rows, const FoldRow *list, const Integer *integers, const Element *factors, const Element *offsets,
                      Element *out) {
    u32 number = blockIdx.x * FOLD_THREADS + threadIdx.x;
    if (number >= rows) {
        return;
    }
    FoldRow mine = list[number];
    FoldSum sum = fold_zero();
    for (u32 i = 0; i < mine.len; i++) {
        fold_add(sum, factors[mine.first_factor + i], integers[mine.first_integer + i]);
    }
    Element offset = fr_sub(offsets[mine.first_factor + mine.len], offsets[mine.first_factor]);
    out[mine.row] = fr_sub(fold_value(sum), offset);
}

KERNEL(FOLD_THREADS, fold_integers_8, u32 rows, const FoldRow *list, const signed char *integers, const Element *factors,
       const Element *offsets, Element *out) {
    fold_list(rows, list, integers, factors, offsets, out);
}

KERNEL(FOLD_THREADS, fold_integers_16, u32 rows, const FoldRow *list, const short *integers, const Element *factors,
       const Element *offsets, Element *out) {
    fold_list(rows, list, integers, factors, offsets, out);
}
