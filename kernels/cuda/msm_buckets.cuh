// Entries sorted by bucket: counted, and placed where the running sums of the counts say.

#define BUCKET_THREADS 256
// Entries of a block.
#define BUCKET_ENTRIES 2048
// Buckets that a block counts in shared memory, from the part of its first entry on. Later ones, which are few, are
// counted one by one.
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
