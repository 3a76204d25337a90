// Multi-scalar multiplication by Pippenger's method, for many columns of scalars at once.
//
//   msm_count, msm_totals          how many digits each window of each column has: what the host lays out memory by
//   msm_starts, msm_place          digits to entries, sorted by the upper bits of their buckets' numbers
//   msm_count_buckets, .._place_.. entries sorted by bucket
//   msm_chunks, msm_lengths, msm_order   buckets to chunks, in the order of their lengths
//   msm_accumulate                 sums of chunks
//   msm_weigh, msm_join, msm_deposit     weighted sums of the chunks of a job
//   msm_combine                    sums of columns
//
// A job is one set of buckets of one column. The smaller of v and p - v is decomposed, the sign goes to the point, so small scalars of
// either sign have few digits. Digit w belongs to level w / sets of the table and to set w % sets of the buckets; zeros are skipped.
// Nothing depends on the order of entries within a bucket: sums of points are exact in every order.

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
        u64 joined = (u64)word[DIGIT_ROWS] << 32 | word[0];
        int value = (int)((u32)(joined >> bit % 32) & ((1u << params.bits) - 1)) - (int)(1u << (params.bits - 1));
        return MsmDigit{value, (u32)(value < 0 ? -value : value) - 1};
    }
};

// Digits come without carries: half is added in every window first, and taken off each window then. The magnitude is below 2^253, so
// for windows of four bits and more the sum is below 2^(bits·windows). `top` becomes the number of windows that the block uses.
DEVICE void decompose(const DigitParams &params, const DigitColumn &column, DigitBlock &block, u32 *top) {
    for (u32 row = threadIdx.x; row < block.rows; row += DIGIT_THREADS) {
        Element value = fr_from_montgomery(column.scalars[block.first + row]);
        u32 borrow;
        Element opposite = subtract_words(Field<Fr>::modulus(), value, borrow);
        subtract_words(opposite, value, borrow);
        u32 length = 0;
        block.negative[row] = borrow != 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            u32 limb = borrow != 0 ? opposite.limbs[i] : value.limbs[i];
            length = limb != 0 ? 32 * i + 32 - __clz((int)limb) : length;
            u32 sum = i == 0 ? add_cc(limb, params.halves[0]) : addc_cc(limb, params.halves[i]);
            block.words[i * DIGIT_ROWS + row] = sum;
        }
        block.words[8 * DIGIT_ROWS + row] = addc(params.halves[8], 0);
        block.words[9 * DIGIT_ROWS + row] = params.halves[9];
        // A window of bits - 1 bits may carry into the next one.
        u32 used = length == 0 ? 0 : min((length + 1) / params.bits + 1, params.windows);
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

// Writes every job's entries, part by part: at `next`, which moves on, the bucket, counted over all jobs, and twice the table's index of
// the point, plus one for its opposite.
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

#define BUCKET_THREADS 256
// Entries of a block.
#define BUCKET_ENTRIES 2048
// Buckets that a block counts in shared memory, from the part of its first entry on. Later ones, which are few, are counted one by one.
#define BUCKET_WINDOW 2048

struct BucketParams {
    const u32 *keys;
    u32 entries;
    u32 low_bits;
};

// counts[key] += entries of a bucket.
KERNEL(BUCKET_THREADS, msm_count_buckets, BucketParams params, u32 *counts) {
    __shared__ u32 counters[BUCKET_WINDOW];
    u32 first = blockIdx.x * BUCKET_ENTRIES;
    u32 end = min(first + BUCKET_ENTRIES, params.entries);
    u32 base = params.keys[first] >> params.low_bits << params.low_bits;
    for (u32 i = threadIdx.x; i < BUCKET_WINDOW; i += BUCKET_THREADS) {
        counters[i] = 0;
    }
    __syncthreads();
    for (u32 i = first + threadIdx.x; i < end; i += BUCKET_THREADS) {
        u32 key = params.keys[i];
        atomicAdd(key - base < BUCKET_WINDOW ? &counters[key - base] : &counts[key], 1u);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < BUCKET_WINDOW; i += BUCKET_THREADS) {
        if (counters[i] != 0) {
            atomicAdd(&counts[base + i], counters[i]);
        }
    }
}

// Entries and chunks, of a bucket or before it.
struct BucketSize {
    u32 entries;
    u32 chunks;
};

// Running sums of sizes.
struct BucketSizes : InOrder {
    typedef BucketSize Item;
    typedef BucketSize State;
    typedef const BucketSize *Source;
    static DEVICE Item identity() { return BucketSize{0, 0}; }
    static DEVICE Item combine(Item a, Item b) { return BucketSize{a.entries + b.entries, a.chunks + b.chunks}; }
    static DEVICE State step(State state, Item item) { return combine(state, item); }
    static DEVICE Item load(const Source &source, u32 row) { return source[row]; }
};

struct BucketCounts {
    const u32 *counts;
    // Entries of a chunk at most.
    u32 chunk;
};

// The same, from numbers of entries. One row more than there are buckets, with no entries, gives the totals.
struct CountedBuckets : BucketSizes {
    typedef BucketCounts Source;
    static DEVICE Item load(const Source &source, u32 row) {
        u32 count = source.counts[row];
        return BucketSize{count, (count + source.chunk - 1) / source.chunk};
    }
};

SCAN_KERNELS(msm_bucket_sizes, BucketSizes)
SCAN_KERNELS(msm_counted_buckets, CountedBuckets)

// Sorts entries by bucket. The starts move on to where buckets end.
KERNEL(BUCKET_THREADS, msm_place_buckets, BucketParams params, const u32 *entries, BucketSize *starts, u32 *sorted) {
    __shared__ u32 counters[BUCKET_WINDOW];
    u32 first = blockIdx.x * BUCKET_ENTRIES;
    u32 end = min(first + BUCKET_ENTRIES, params.entries);
    u32 base = params.keys[first] >> params.low_bits << params.low_bits;
    for (u32 i = threadIdx.x; i < BUCKET_WINDOW; i += BUCKET_THREADS) {
        counters[i] = 0;
    }
    __syncthreads();
    for (u32 i = first + threadIdx.x; i < end; i += BUCKET_THREADS) {
        u32 offset = params.keys[i] - base;
        if (offset < BUCKET_WINDOW) {
            atomicAdd(&counters[offset], 1u);
        }
    }
    __syncthreads();
    // A counter becomes the place of the bucket's next entry.
    for (u32 i = threadIdx.x; i < BUCKET_WINDOW; i += BUCKET_THREADS) {
        if (counters[i] != 0) {
            counters[i] = atomicAdd(&starts[base + i].entries, counters[i]);
        }
    }
    __syncthreads();
    for (u32 i = first + threadIdx.x; i < end; i += BUCKET_THREADS) {
        u32 key = params.keys[i];
        u32 place = atomicAdd(key - base < BUCKET_WINDOW ? &counters[key - base] : &starts[key].entries, 1u);
        sorted[place] = entries[i];
    }
}

#define CHUNK_THREADS 128
// One more than the entries of a chunk at most.
#define CHUNK_LENGTHS 256

// Entries that one thread adds up. The entries of a bucket are dealt out evenly.
struct Chunk {
    u32 key;
    u32 first;
    u32 len;
};

struct ChunkParams {
    // Where entries end, and where chunks begin; the totals after all buckets.
    const BucketSize *buckets;
    u32 keys;
};

DEVICE u32 chunk_number() { return blockIdx.x * CHUNK_THREADS + threadIdx.x; }

// The last bucket that begins at this chunk or before: the one that the chunk is of, for empty buckets begin where the next does.
DEVICE u32 key_of_chunk(const ChunkParams &params, u32 chunk) {
    u32 low = 0;
    u32 high = params.keys;
    while (high - low > 1) {
        u32 middle = (low + high) / 2;
        if (params.buckets[middle].chunks <= chunk) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// Describes every chunk and counts those of every length.
KERNEL(CHUNK_THREADS, msm_chunks, ChunkParams params, Chunk *chunks, u32 *lengths) {
    __shared__ u32 counters[CHUNK_LENGTHS];
    for (u32 i = threadIdx.x; i < CHUNK_LENGTHS; i += CHUNK_THREADS) {
        counters[i] = 0;
    }
    __syncthreads();
    u32 number = chunk_number();
    if (number < params.buckets[params.keys].chunks) {
        u32 key = key_of_chunk(params, number);
        u32 start = key > 0 ? params.buckets[key - 1].entries : 0;
        u32 entries = params.buckets[key].entries - start;
        u32 first_chunk = params.buckets[key].chunks;
        u32 count = params.buckets[key + 1].chunks - first_chunk;
        u32 i = number - first_chunk;
        // The first `longer` chunks have one entry more.
        u32 len = entries / count;
        u32 longer = entries % count;
        u32 first = start + i * len + min(i, longer);
        len += i < longer;
        chunks[number] = Chunk{key, first, len};
        atomicAdd(&counters[len], 1u);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < CHUNK_LENGTHS; i += CHUNK_THREADS) {
        if (counters[i] != 0) {
            atomicAdd(&lengths[i], counters[i]);
        }
    }
}

// How many chunks are longer, for every length.
KERNEL(1, msm_lengths, u32 *lengths) {
    u32 longer = 0;
    for (int i = CHUNK_LENGTHS - 1; i >= 0; i--) {
        u32 count = lengths[i];
        lengths[i] = longer;
        longer += count;
    }
}

// Chunks from the longest to the shortest: the threads of a warp have equally much to do. `next` is what `msm_lengths` gives.
KERNEL(CHUNK_THREADS, msm_order, ChunkParams params, const Chunk *chunks, u32 *next, u32 *order) {
    __shared__ u32 counters[CHUNK_LENGTHS];
    for (u32 i = threadIdx.x; i < CHUNK_LENGTHS; i += CHUNK_THREADS) {
        counters[i] = 0;
    }
    __syncthreads();
    u32 number = chunk_number();
    bool used = number < params.buckets[params.keys].chunks;
    u32 len = used ? chunks[number].len : 0;
    u32 place = used ? atomicAdd(&counters[len], 1u) : 0;
    __syncthreads();
    for (u32 i = threadIdx.x; i < CHUNK_LENGTHS; i += CHUNK_THREADS) {
        if (counters[i] != 0) {
            counters[i] = atomicAdd(&next[i], counters[i]);
        }
    }
    __syncthreads();
    if (used) {
        order[counters[len] + place] = number;
    }
}

// The sum of every chunk, so that a bucket that many scalars fall into is spread over many threads.
KERNEL(CHUNK_THREADS, msm_accumulate, ChunkParams params, const Chunk *chunks, const u32 *order, const u32 *entries,
       const Affine *table, Point *sums) {
    u32 place = chunk_number();
    if (place >= params.buckets[params.keys].chunks) {
        return;
    }
    u32 number = order[place];
    Chunk chunk = chunks[number];
    Point sum = point_identity();
#pragma unroll 1
    for (u32 i = 0; i < chunk.len; i++) {
        u32 entry = entries[chunk.first + i];
        sum = point_add_affine(sum, affine_signed(table[entry >> 1], (entry & 1) == 1));
    }
    sums[number] = sum;
}

#define WEIGH_THREADS 64

struct WeighParams {
    const BucketSize *buckets;
    const Chunk *chunks;
    u32 jobs;
    // Segments of a job.
    u32 segments;
    // log2 of the buckets of a job.
    u32 bucket_bits;
};

// Weighted sums of segments of a job's chunks: Σ weight·sum, by running sums. From the last chunk down, the running sum counts as often
// as the weight drops to the next chunk's, to zero after a segment's first. So chunks of one bucket may follow each other, and gaps
// between buckets cost their bits only.
KERNEL(WEIGH_THREADS, msm_weigh, WeighParams params, const Point *sums, Point *segment_sums) {
    u32 segment = blockIdx.x * WEIGH_THREADS + threadIdx.x;
    if (segment >= params.jobs * params.segments) {
        return;
    }
    u32 job = segment / params.segments;
    u32 start = params.buckets[job << params.bucket_bits].chunks;
    u32 end = params.buckets[(job + 1) << params.bucket_bits].chunks;
    u32 length = (end - start + params.segments - 1) / params.segments;
    u32 first = min(start + (segment % params.segments) * length, end);
    u32 mask = (1u << params.bucket_bits) - 1;
    Point running = point_identity();
    Point sum = point_identity();
#pragma unroll 1
    for (u32 chunk = min(first + length, end); chunk > first; chunk--) {
        running = point_add(running, sums[chunk - 1]);
        u32 drop = (params.chunks[chunk - 1].key & mask) + 1;
        if (chunk - 1 > first) {
            drop -= (params.chunks[chunk - 2].key & mask) + 1;
        }
        Point multiple = running;
#pragma unroll 1
        while (drop > 0) {
            if ((drop & 1) == 1) {
                sum = point_add(sum, multiple);
            }
            drop >>= 1;
            if (drop > 0) {
                multiple = point_double(multiple);
            }
        }
    }
    segment_sums[segment] = sum;
}

#define JOIN_THREADS 64

// Adds up 64 points of a job a block: `len` points of each of the jobs become `groups`.
KERNEL(JOIN_THREADS, msm_join, u32 len, u32 groups, const Point *in, Point *out) {
    __shared__ Point joined[JOIN_THREADS];
    u32 thread = threadIdx.x;
    u32 job = blockIdx.x / groups;
    u32 place = blockIdx.x % groups * JOIN_THREADS + thread;
    joined[thread] = place < len ? in[(u64)job * len + place] : point_identity();
    __syncthreads();
    for (u32 distance = JOIN_THREADS / 2; distance > 0; distance /= 2) {
        if (thread < distance) {
            joined[thread] = point_add(joined[thread], joined[thread + distance]);
        }
        __syncthreads();
    }
    if (thread == 0) {
        out[blockIdx.x] = joined[0];
    }
}

// Puts the sums of jobs among the sums of all sets of all columns.
KERNEL(JOIN_THREADS, msm_deposit, u32 jobs, u32 sets, const MsmJob *job, const Point *sums, Point *set_sums) {
    u32 number = blockIdx.x * JOIN_THREADS + threadIdx.x;
    if (number < jobs) {
        set_sums[job[number].column * sets + job[number].set] = sums[number];
    }
}

// Σ 2^(bits·set)·sum of the set, from the last set down. The doublings wait for each other: where a column has many sets, they are
// sooner done on the host.
KERNEL(JOIN_THREADS, msm_combine, u32 columns, u32 sets, u32 bits, const Point *set_sums, Point *out) {
    u32 column = blockIdx.x * JOIN_THREADS + threadIdx.x;
    if (column >= columns) {
        return;
    }
    Point sum = point_identity();
#pragma unroll 1
    for (u32 set = sets; set > 0; set--) {
        if (!point_is_identity(sum)) {
#pragma unroll 1
            for (u32 bit = 0; bit < bits; bit++) {
                sum = point_double(sum);
            }
        }
        sum = point_add(sum, set_sums[column * sets + set - 1]);
    }
    out[column] = sum;
}

#define TABLE_THREADS 64
// Points that a thread brings to affine coordinates with one inversion.
#define TABLE_THREAD_ROWS 8

// A level of a table: the level before, doubled some times.
KERNEL(TABLE_THREADS, msm_double, u32 len, u32 doublings, const Affine *level, Point *doubled) {
    u32 row = blockIdx.x * TABLE_THREADS + threadIdx.x;
    if (row >= len) {
        return;
    }
    Point point = point_from_affine(level[row]);
#pragma unroll 1
    for (u32 i = 0; i < doublings; i++) {
        point = point_double(point);
    }
    doubled[row] = point;
}

KERNEL(TABLE_THREADS, msm_normalize, u32 len, const Point *points, Affine *level) {
    u32 first = (blockIdx.x * TABLE_THREADS + threadIdx.x) * TABLE_THREAD_ROWS;
    if (first >= len) {
        return;
    }
    u32 count = min(len - first, (u32)TABLE_THREAD_ROWS);
    // Products of the ZZZ before each point, identities left out.
    Element before[TABLE_THREAD_ROWS];
    Element product = fq_one();
#pragma unroll 1
    for (u32 i = 0; i < count; i++) {
        before[i] = product;
        Element zzz = points[first + i].zzz;
        if (!words_are_zero(zzz)) {
            product = fq_mul(product, zzz);
        }
    }
    Element inverse = fq_inverse(product);
#pragma unroll 1
    for (u32 i = count; i > 0; i--) {
        Point point = points[first + i - 1];
        bool identity = words_are_zero(point.zzz);
        level[first + i - 1] = identity ? Affine{fq_zero(), fq_zero()} : point_scaled(point, fq_mul(inverse, before[i - 1]));
        if (!identity) {
            inverse = fq_mul(inverse, point.zzz);
        }
    }
}
