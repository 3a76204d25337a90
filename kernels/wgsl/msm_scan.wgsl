// Where the entries of every bucket begin, and where its chunks do: running sums of the counts, and of the numbers of
// chunks, in blocks. No workgroup waits for another.

const COUNT_THREADS = 256u;
const COUNT_THREAD_ROWS = 4u;
const COUNT_BLOCK = COUNT_THREADS * COUNT_THREAD_ROWS;

struct CountParams {
    // Buckets of all jobs.
    len: u32,
    blocks: u32,
    // Entries of a chunk at most.
    chunk: u32,
}

@group(0) @binding(0) var<storage, read> scan_counts: CountParams;
@group(0) @binding(1) var<storage, read> bucket_counts: array<u32>;
// (entries, chunks) of every block, then before it.
@group(0) @binding(2) var<storage, read_write> block_totals: array<vec2<u32>>;

var<workgroup> count_sums: array<vec2<u32>, COUNT_THREADS>;

// (entries, chunks) of a bucket.
fn bucket_size(key: u32) -> vec2<u32> {
    if key >= scan_counts.len {
        return vec2<u32>(0u, 0u);
    }
    let count = bucket_counts[key];
    return vec2<u32>(count, (count + scan_counts.chunk - 1u) / scan_counts.chunk);
}

fn thread_size(first: u32) -> vec2<u32> {
    return bucket_size(first) + bucket_size(first + 1u) + bucket_size(first + 2u) + bucket_size(first + 3u);
}

// The sum of the values of the invocations before this one; `count_sums` then ends in the sum of all.
fn sum_before(thread: u32, value: vec2<u32>) -> vec2<u32> {
    count_sums[thread] = value;
    workgroupBarrier();
    for (var distance = 1u; distance < COUNT_THREADS; distance *= 2u) {
        var sum = count_sums[thread];
        if thread >= distance {
            sum += count_sums[thread - distance];
        }
        workgroupBarrier();
        count_sums[thread] = sum;
        workgroupBarrier();
    }
    return count_sums[thread] - value;
}

@compute @workgroup_size(COUNT_THREADS)
fn msm_scan_blocks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= scan_counts.blocks {
        return;
    }
    sum_before(thread, thread_size(block * COUNT_BLOCK + thread * COUNT_THREAD_ROWS));
    if thread == 0u {
        block_totals[block] = count_sums[COUNT_THREADS - 1u];
    }
}

// One workgroup goes over all blocks.
@compute @workgroup_size(COUNT_THREADS)
fn msm_scan_totals(@builtin(local_invocation_index) thread: u32) {
    _ = bucket_counts[0];
    var before = vec2<u32>(0u, 0u);
    for (var first = 0u; first < scan_counts.blocks; first += COUNT_THREADS) {
        let block = first + thread;
        var total = vec2<u32>(0u, 0u);
        if block < scan_counts.blocks {
            total = block_totals[block];
        }
        let sum = before + sum_before(thread, total);
        if block < scan_counts.blocks {
            block_totals[block] = sum;
        }
        before += count_sums[COUNT_THREADS - 1u];
        workgroupBarrier();
    }
}

@group(0) @binding(3) var<storage, read_write> first_entries: array<u32>;
// One more than there are buckets: the last is the number of all chunks.
@group(0) @binding(4) var<storage, read_write> first_chunks: array<u32>;

@compute @workgroup_size(COUNT_THREADS)
fn msm_scan_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= scan_counts.blocks {
        return;
    }
    let first = block * COUNT_BLOCK + thread * COUNT_THREAD_ROWS;
    var sum = block_totals[block] + sum_before(thread, thread_size(first));
    for (var key = first; key < min(first + COUNT_THREAD_ROWS, scan_counts.len); key++) {
        first_entries[key] = sum.x;
        first_chunks[key] = sum.y;
        sum += bucket_size(key);
        if key + 1u == scan_counts.len {
            first_chunks[scan_counts.len] = sum.y;
        }
    }
}
