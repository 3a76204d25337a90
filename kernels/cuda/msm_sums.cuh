// Sums of buckets: every chunk of a bucket's entries is added up by one thread.

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

// The last bucket that begins at this chunk or before: the one that the chunk is of, for empty buckets begin where the
// next does.
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

// Chunks from the longest to the shortest: the threads of a warp have equally much to do. `next` is what `msm_lengths`
// gives.
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
