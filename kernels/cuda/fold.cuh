// Sums of products of field elements and small integers. Products with integers of 16 bits are added without reduction: a sum of
// 320 bits takes 2^48 of them. Integers are made positive by an offset, which is taken off in the end.

#define FOLD_THREADS 128
// -2^15 is the smallest integer.
#define FOLD_OFFSET 32768

// Σ element·(integer + offset), in rows as in a Montgomery multiplication, and Σ element.
struct FoldSum {
    u32 even[10];
    u32 odd[9];
    u32 plain[9];
};

DEVICE FoldSum fold_zero() {
    FoldSum sum;
#pragma unroll
    for (int i = 0; i < 9; i++) {
        sum.even[i] = sum.odd[i] = sum.plain[i] = 0;
    }
    sum.even[9] = 0;
    return sum;
}

DEVICE void fold_add(FoldSum &sum, Element element, int integer) {
    u32 factor = (u32)(integer + FOLD_OFFSET);
    const u32 *limbs = element.limbs;
    // A product of a word and 17 bits leaves room above it, but rows are summed: the carry goes on to the words on top.
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
    sum.plain[0] = add_cc(sum.plain[0], limbs[0]);
#pragma unroll
    for (int i = 1; i < 8; i++) {
        sum.plain[i] = addc_cc(sum.plain[i], limbs[i]);
    }
    sum.plain[8] = addc(sum.plain[8], 0);
}

// words[0..8] + 2^256·(high, low) mod p: as a multiple of R mod p and of R², each divided by R.
DEVICE Element fold_reduce(const u32 *words, u32 low, u32 high) {
    Element below;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        below.limbs[i] = words[i];
    }
    Element above = {{low, high, 0, 0, 0, 0, 0, 0}};
    return fr_add(fr_mul(fr_one(), below), fr_to_montgomery(above));
}

// Σ element·integer.
DEVICE Element fold_value(const FoldSum &sum) {
    u32 words[10];
    words[0] = sum.even[0];
    words[1] = add_cc(sum.even[1], sum.odd[0]);
#pragma unroll
    for (int i = 2; i < 9; i++) {
        words[i] = addc_cc(sum.even[i], sum.odd[i - 1]);
    }
    words[9] = addc(sum.even[9], sum.odd[8]);
    Element offset = {{FOLD_OFFSET, 0, 0, 0, 0, 0, 0, 0}};
    Element plain = fold_reduce(sum.plain, sum.plain[8], 0);
    return fr_sub(fold_reduce(words, words[8], words[9]), fr_mul(plain, fr_to_montgomery(offset)));
}

// Weights of a row, which meet the factors from `first_factor` on.
struct FoldRow {
    u64 first_weight;
    u32 first_factor;
    u32 len;
};

// out_row = Σ_i factors[first_factor + i]·weights[first_weight + i].
template <class Weight>
DEVICE void fold_rows_of(u32 rows, const FoldRow *row, const Weight *weights, const Element *factors, Element *out) {
    u32 number = blockIdx.x * FOLD_THREADS + threadIdx.x;
    if (number >= rows) {
        return;
    }
    FoldRow mine = row[number];
    FoldSum sum = fold_zero();
    for (u32 i = 0; i < mine.len; i++) {
        fold_add(sum, factors[mine.first_factor + i], weights[mine.first_weight + i]);
    }
    out[number] = fold_value(sum);
}

KERNEL(FOLD_THREADS, fold_integers_8, u32 rows, const FoldRow *row, const signed char *weights, const Element *factors,
       Element *out) {
    fold_rows_of(rows, row, weights, factors, out);
}

KERNEL(FOLD_THREADS, fold_integers_16, u32 rows, const FoldRow *row, const short *weights, const Element *factors,
       Element *out) {
    fold_rows_of(rows, row, weights, factors, out);
}

// out_row = Σ_c factors[c]·weights[c·stride + row]: columns side by side, each with one factor.
template <class Weight>
DEVICE void fold_columns_of(u32 rows, u32 columns, u64 stride, const Weight *weights, const Element *factors, Element *out) {
    u32 row = blockIdx.x * FOLD_THREADS + threadIdx.x;
    if (row >= rows) {
        return;
    }
    FoldSum sum = fold_zero();
    for (u32 column = 0; column < columns; column++) {
        fold_add(sum, factors[column], weights[column * stride + row]);
    }
    out[row] = fold_value(sum);
}

KERNEL(FOLD_THREADS, fold_columns_8, u32 rows, u32 columns, u64 stride, const signed char *weights, const Element *factors,
       Element *out) {
    fold_columns_of(rows, columns, stride, weights, factors, out);
}

KERNEL(FOLD_THREADS, fold_columns_16, u32 rows, u32 columns, u64 stride, const short *weights, const Element *factors,
       Element *out) {
    fold_columns_of(rows, columns, stride, weights, factors, out);
}
