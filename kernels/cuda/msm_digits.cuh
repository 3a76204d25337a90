// Scalars to signed digits, and digits to entries sorted by parts of buckets: the first half of Pippenger's method.
//
// The smaller of v and p - v is decomposed, the sign goes to the point, so small scalars of either sign have few
// digits. Digit w belongs to level w / sets of the table and to set w % sets of the buckets; zeros are skipped.

#define DIGIT_THREADS 256
// Scalars of a block.
#define DIGIT_ROWS 512
// Words of a decomposed scalar: windows may reach past 256 bits, and a digit is read from two words.
#define DIGIT_WORDS 10
// Parts of a set's buckets at most.
#define MSM_PARTS 2048

// A column of scalars, one a grid row.
struct DigitColumn {
    const Element *scalars;
    u32 len;
    // The sets that are placed, and the job of the first of them.
    u32 first_set;
    u32 end_set;
    u32 first_job;
};

struct DigitParams {
    const DigitColumn *columns;
    // 2^(bits - 1) in every window.
    u32 halves[DIGIT_WORDS];
    // Points of one level of the table.
    u32 stride;
    u32 bits;
    u32 sets;
    u32 windows;
    // A part is the buckets whose numbers agree from this bit on; there are 2^(bits - 1 - low_bits).
    u32 low_bits;
};

// A scalar's magnitude with half added in every window, the bits of the magnitude, and whether the scalar is negative.
struct ScalarDigits {
    u32 words[DIGIT_WORDS];
    u32 length;
    bool negative;
};

// Digits come without carries: half is added in every window first, and taken off each window then. The magnitude is
// below 2^253, so for windows of four bits and more the sum is below 2^(bits·windows).
DEVICE ScalarDigits scalar_digits(const u32 (&halves)[DIGIT_WORDS], Element scalar) {
    Element value = fr_from_montgomery(scalar);
    u32 borrow;
    Element opposite = subtract_words(Field<Fr>::modulus(), value, borrow);
    subtract_words(opposite, value, borrow);
    ScalarDigits digits;
    digits.length = 0;
    digits.negative = borrow != 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        u32 limb = borrow != 0 ? opposite.limbs[i] : value.limbs[i];
        digits.length = limb != 0 ? 32 * i + 32 - __clz((int)limb) : digits.length;
        digits.words[i] = i == 0 ? add_cc(limb, halves[0]) : addc_cc(limb, halves[i]);
    }
    digits.words[8] = addc(halves[8], 0);
    digits.words[9] = halves[9];
    return digits;
}

// The digit, from -half to half - 1, that begins at this bit of the first of two words.
DEVICE int digit_value(u32 word, u32 next, u32 bit, u32 bits) {
    u64 joined = (u64)next << 32 | word;
    return (int)((u32)(joined >> bit) & ((1u << bits) - 1)) - (int)(1u << (bits - 1));
}

struct MsmDigit {
    // From -half to half - 1.
    int value;
    u32 bucket;
};

// The scalars of a block, decomposed. Each thread works on its own rows.
struct DigitBlock {
    // Word by word.
    u32 *words;
    u32 *negative;
    u32 first;
    u32 rows;

    DEVICE MsmDigit digit(const DigitParams &params, u32 row, u32 window) const {
        u32 bit = window * params.bits;
        const u32 *word = words + bit / 32 * DIGIT_ROWS + row;
        int value = digit_value(word[0], word[DIGIT_ROWS], bit % 32, params.bits);
        return MsmDigit{value, (u32)(value < 0 ? -value : value) - 1};
    }
};

// `top` becomes the number of windows that the block uses.
DEVICE void decompose(const DigitParams &params, const DigitColumn &column, DigitBlock &block, u32 *top) {
    for (u32 row = threadIdx.x; row < block.rows; row += DIGIT_THREADS) {
        ScalarDigits digits = scalar_digits(params.halves, column.scalars[block.first + row]);
        block.negative[row] = digits.negative;
#pragma unroll
        for (int i = 0; i < DIGIT_WORDS; i++) {
            block.words[i * DIGIT_ROWS + row] = digits.words[i];
        }
        // A window of bits - 1 bits may carry into the next one.
        u32 used = digits.length == 0 ? 0 : min((digits.length + 1) / params.bits + 1, params.windows);
        atomicMax(top, used);
    }
}

DEVICE u32 parts_of(const DigitParams &params) { return 1u << (params.bits - 1 - params.low_bits); }

#define DIGIT_BLOCK(params)                                                                                            \
    __shared__ u32 words[DIGIT_WORDS * DIGIT_ROWS];                                                                    \
    __shared__ u32 negative[DIGIT_ROWS];                                                                               \
    __shared__ u32 counters[MSM_PARTS];                                                                                \
    __shared__ u32 top;                                                                                                \
    DigitColumn column = params.columns[blockIdx.y];                                                                   \
    DigitBlock block = {words, negative, blockIdx.x * DIGIT_ROWS, 0};                                                  \
    if (block.first >= column.len) {                                                                                   \
        return;                                                                                                        \
    }                                                                                                                  \
    block.rows = min(column.len - block.first, (u32)DIGIT_ROWS);                                                       \
    if (threadIdx.x == 0) {                                                                                            \
        top = 0;                                                                                                       \
    }                                                                                                                  \
    __syncthreads();                                                                                                   \
    decompose(params, column, block, &top);                                                                            \
    __syncthreads();

// counts[(column·windows + window)·parts + part] += digits that are not zero.
KERNEL(DIGIT_THREADS, msm_count, DigitParams params, u32 *counts) {
    DIGIT_BLOCK(params)
    u32 parts = parts_of(params);
    for (u32 window = 0; window < top; window++) {
        for (u32 part = threadIdx.x; part < parts; part += DIGIT_THREADS) {
            counters[part] = 0;
        }
        __syncthreads();
        for (u32 row = threadIdx.x; row < block.rows; row += DIGIT_THREADS) {
            MsmDigit digit = block.digit(params, row, window);
            if (digit.value != 0) {
                atomicAdd(&counters[digit.bucket >> params.low_bits], 1u);
            }
        }
        __syncthreads();
        u32 *out = counts + (u64)(blockIdx.y * params.windows + window) * parts;
        for (u32 part = threadIdx.x; part < parts; part += DIGIT_THREADS) {
            if (counters[part] != 0) {
                atomicAdd(&out[part], counters[part]);
            }
        }
    }
}

// The digits of each window of each column.
KERNEL(DIGIT_THREADS, msm_totals, u32 windows, u32 parts, const u32 *counts, u32 *totals) {
    u32 window = blockIdx.x * DIGIT_THREADS + threadIdx.x;
    if (window < windows) {
        u32 total = 0;
        for (u32 part = 0; part < parts; part++) {
            total += counts[(u64)window * parts + part];
        }
        totals[window] = total;
    }
}

// A job's column, of those counted, and its set.
struct MsmJob {
    u32 column;
    u32 set;
};

// The entries of each part of each job, whose running sum says where they go.
KERNEL(DIGIT_THREADS, msm_starts, DigitParams params, u32 jobs, const MsmJob *job, const u32 *counts, u32 *sizes) {
    u32 parts = parts_of(params);
    u32 number = blockIdx.x * DIGIT_THREADS + threadIdx.x;
    if (number >= jobs * parts) {
        return;
    }
    MsmJob mine = job[number / parts];
    u32 size = 0;
    for (u32 window = mine.set; window < params.windows; window += params.sets) {
        size += counts[(u64)(mine.column * params.windows + window) * parts + number % parts];
    }
    sizes[number] = size;
}

// Writes every job's entries, part by part: at `next`, which moves on, the bucket, counted over all jobs, and twice the
// table's index of the point, plus one for its opposite.
KERNEL(DIGIT_THREADS, msm_place, DigitParams params, u32 *next, u32 *keys, u32 *entries) {
    __shared__ u32 bases[MSM_PARTS];
    DIGIT_BLOCK(params)
    u32 parts = parts_of(params);
    u32 end = min(column.end_set, top);
    for (u32 set = column.first_set; set < end; set++) {
        for (u32 part = threadIdx.x; part < parts; part += DIGIT_THREADS) {
            counters[part] = 0;
        }
        __syncthreads();
        for (u32 row = threadIdx.x; row < block.rows; row += DIGIT_THREADS) {
            for (u32 window = set; window < top; window += params.sets) {
                MsmDigit digit = block.digit(params, row, window);
                if (digit.value != 0) {
                    atomicAdd(&counters[digit.bucket >> params.low_bits], 1u);
                }
            }
        }
        __syncthreads();
        u32 job = column.first_job + set - column.first_set;
        for (u32 part = threadIdx.x; part < parts; part += DIGIT_THREADS) {
            bases[part] = counters[part] == 0 ? 0 : atomicAdd(&next[job * parts + part], counters[part]);
            counters[part] = 0;
        }
        __syncthreads();
        for (u32 row = threadIdx.x; row < block.rows; row += DIGIT_THREADS) {
            u32 index = block.first + row;
            for (u32 window = set; window < top; window += params.sets) {
                MsmDigit digit = block.digit(params, row, window);
                if (digit.value != 0) {
                    u32 part = digit.bucket >> params.low_bits;
                    u32 place = bases[part] + atomicAdd(&counters[part], 1u);
                    keys[place] = (job << (params.bits - 1)) + digit.bucket;
                    entries[place] = index << 1 | (negative[row] != (u32)(digit.value < 0));
                }
                index += params.stride;
            }
        }
        __syncthreads();
    }
}
