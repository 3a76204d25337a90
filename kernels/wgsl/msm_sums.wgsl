// Sums of buckets: every chunk of a bucket's entries is added up by one invocation, so that a bucket that many scalars
// fall into is spread over many. Chunks are in the order of their buckets.

const CHUNK_THREADS = 64u;

struct ChunkParams {
    // Buckets of all jobs.
    keys: u32,
    // Entries of a chunk at most.
    chunk: u32,
    // The chunk of the first invocation.
    first: u32,
}

@group(0) @binding(0) var<storage, read> chunks: ChunkParams;
@group(0) @binding(1) var<storage, read> chunk_starts: array<u32>;
// Where the entries of every bucket end.
@group(0) @binding(2) var<storage, read> entry_ends: array<u32>;
@group(0) @binding(3) var<storage, read> entries: array<u32>;
@group(0) @binding(4) var<storage, read> table: array<Affine>;
@group(0) @binding(5) var<storage, read_write> chunk_sums: array<Point>;
@group(0) @binding(6) var<storage, read_write> chunk_keys: array<u32>;

// The last bucket that begins at this chunk or before: the one that the chunk is of, for empty buckets begin where the
// next does.
fn key_of_chunk(chunk: u32) -> u32 {
    var low = 0u;
    var high = chunks.keys;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if chunk_starts[middle] <= chunk {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

@compute @workgroup_size(CHUNK_THREADS)
fn msm_accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let chunk = chunks.first + group_number(group, groups) * CHUNK_THREADS + thread;
    if chunk >= chunk_starts[chunks.keys] {
        return;
    }
    let key = key_of_chunk(chunk);
    var first = 0u;
    if key > 0u {
        first = entry_ends[key - 1u];
    }
    first += (chunk - chunk_starts[key]) * chunks.chunk;
    let end = min(first + chunks.chunk, entry_ends[key]);
    var sum = point_identity();
    for (var place = first; place < end; place++) {
        let entry = entries[place];
        sum = point_add_affine(sum, affine_signed(table[entry >> 1u], (entry & 1u) == 1u));
    }
    chunk_sums[chunk] = sum;
    chunk_keys[chunk] = key;
}
