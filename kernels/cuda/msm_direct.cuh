// Sums of few points. A table has every multiple that a digit may ask for, so that nothing is sorted: threads add up
// digits, blocks add up threads, and `msm_join` adds up blocks.

struct DirectParams {
    const DigitColumn *columns;
    // 2^(bits - 1) in every window.
    u32 halves[DIGIT_WORDS];
    // Points of the table.
    u32 points;
    u32 bits;
    u32 windows;
    // Digits that a thread adds up, and blocks of a column.
    u32 each;
    u32 groups;
};

// Σ of the digits from `first` on, counted window by window, row by row. The multiple d of a row's point for a window is
// at (window·points + row)·half + d - 1.
DEVICE Point direct_sum(const DirectParams &params, const DigitColumn &column, const Affine *table, u32 first) {
    u32 end = min(first + params.each, column.len * params.windows);
    Point sum = point_identity();
    u32 digit = first;
#pragma unroll 1
    while (digit < end) {
        u32 row = digit / params.windows;
        u32 window = digit % params.windows;
        u32 stop = min(end - digit + window, params.windows);
        digit += stop - window;
        ScalarDigits digits = scalar_digits(params.halves, column.scalars[row]);
        if (digits.length == 0) {
            continue;
        }
#pragma unroll 1
        for (; window < stop; window++) {
            u32 bit = window * params.bits;
            int value = digit_value(digits.words[bit / 32], digits.words[bit / 32 + 1], bit % 32, params.bits);
            if (value != 0) {
                u32 multiple = (u32)(value < 0 ? -value : value);
                u64 place = ((u64)(window * params.points + row) << (params.bits - 1)) + multiple - 1;
                sum = point_add_affine(sum, affine_signed(table[place], (value < 0) != digits.negative));
            }
        }
    }
    return sum;
}

// The columns along y. A column's sums of blocks follow each other.
KERNEL(JOIN_THREADS, msm_direct, DirectParams params, const Affine *table, Point *sums) {
    __shared__ Point joined[JOIN_THREADS];
    u32 thread = blockIdx.x * JOIN_THREADS + threadIdx.x;
    join_block(joined, direct_sum(params, params.columns[blockIdx.y], table, thread * params.each));
    if (threadIdx.x == 0) {
        sums[blockIdx.y * params.groups + blockIdx.x] = joined[0];
    }
}

// The multiples 1 to half of each point of a level, a point's next to each other, and the level after it: twice the last
// of them. `scratch` has room for the multiples before they are affine.
KERNEL(TABLE_THREADS, msm_multiples, u32 len, u32 half, const Affine *level, Point *scratch, Affine *multiples, Affine *next) {
    u32 row = blockIdx.x * TABLE_THREADS + threadIdx.x;
    if (row >= len) {
        return;
    }
    Affine point = level[row];
    if (affine_is_identity(point)) {
#pragma unroll 1
        for (u32 i = 0; i < half; i++) {
            multiples[(u64)row * half + i] = point;
        }
        next[row] = point;
        return;
    }
    scratch += (u64)row * half;
    multiples += (u64)row * half;
    // No multiple is the identity: the group has prime order. Products of the ZZZ before each wait where it will be.
    Point first = point_from_affine(point);
    Point sum = point_identity();
    Element product = fq_one();
#pragma unroll 1
    for (u32 i = 0; i < half; i++) {
        sum = point_add(sum, first);
        scratch[i] = sum;
        multiples[i].x = product;
        product = called_mul(product, sum.zzz);
    }
    Point last = point_double(sum);
    Element inverse = fq_inverse(called_mul(product, last.zzz));
    next[row] = point_scaled(last, called_mul(inverse, product));
    inverse = called_mul(inverse, last.zzz);
#pragma unroll 1
    for (u32 i = half; i > 0; i--) {
        Point multiple = scratch[i - 1];
        multiples[i - 1] = point_scaled(multiple, called_mul(inverse, multiples[i - 1].x));
        inverse = called_mul(inverse, multiple.zzz);
    }
}
