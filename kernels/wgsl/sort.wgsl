// A bitonic sort of canonical integers, in ascending order. The number of keys is a power of two and at least
// SORT_BLOCK.
//
// Stage s merges runs of s/2 keys, alternately ascending and descending, into runs of s by exchanges over distances
// s/2, .., 1. Distances within a block are exchanged in shared memory.

const SORT_THREADS = 256u;
const SORT_BLOCK = 2u * SORT_THREADS;

struct SortParams {
    // Keys of the window, or pairs of keys.
    len: u32,
    // The window's first row, in the whole list.
    first_row: u32,
    // The stage; 0 for all stages within a block.
    stage: u32,
    distance: u32,
}

@group(0) @binding(0) var<storage, read> sort: SortParams;
@group(0) @binding(1) var<storage, read_write> sort_keys: array<Element>;
@group(0) @binding(2) var<storage, read_write> sort_partners: array<Element>;
@group(0) @binding(2) var<storage, read> sort_input: array<Element>;

var<workgroup> sort_tile: array<Element, SORT_BLOCK>;

// The canonical integers of the first `distance` rows of the window, and a key above all of them in the others.
@compute @workgroup_size(SORT_THREADS)
fn sort_load(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * SORT_THREADS + thread;
    if row < sort.distance {
        sort_keys[row] = fr_from_montgomery(sort_input[row]);
    } else if row < sort.len {
        for (var limb = 0u; limb < 8u; limb += 1u) {
            sort_keys[row].limbs[limb] = 0xffffffffu;
        }
    }
}

// Whether a key of this row and one above it change places in a stage.
fn are_exchanged(a: Element, b: Element, row: u32, stage: u32) -> bool {
    let descending = (row & stage) != 0u;
    return is_below(b, a) != descending;
}

fn exchange_in_tile(thread: u32, first_row: u32, stage: u32, distance: u32) {
    let low = 2u * thread - (thread & (distance - 1u));
    let high = low + distance;
    let a = sort_tile[low];
    let b = sort_tile[high];
    if are_exchanged(a, b, first_row + low, stage) {
        sort_tile[low] = b;
        sort_tile[high] = a;
    }
}

// The exchanges of a stage within blocks, or all stages of blocks.
@compute @workgroup_size(SORT_THREADS)
fn sort_blocks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group_number(group, groups) * SORT_BLOCK;
    if first >= sort.len {
        return;
    }
    sort_tile[thread] = sort_keys[first + thread];
    sort_tile[thread + SORT_THREADS] = sort_keys[first + thread + SORT_THREADS];
    workgroupBarrier();
    var stage = sort.stage;
    var last = sort.stage;
    if stage == 0u {
        stage = 2u;
        last = SORT_BLOCK;
    }
    for (; stage <= last; stage *= 2u) {
        for (var distance = min(stage, SORT_BLOCK) / 2u; distance > 0u; distance /= 2u) {
            exchange_in_tile(thread, sort.first_row + first, stage, distance);
            workgroupBarrier();
        }
    }
    sort_keys[first + thread] = sort_tile[thread];
    sort_keys[first + thread + SORT_THREADS] = sort_tile[thread + SORT_THREADS];
}

// The exchanges over one distance within a window.
@compute @workgroup_size(SORT_THREADS)
fn sort_near(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let pair = group_number(group, groups) * SORT_THREADS + thread;
    if pair >= sort.len {
        return;
    }
    let low = 2u * pair - (pair & (sort.distance - 1u));
    let high = low + sort.distance;
    let a = sort_keys[low];
    let b = sort_keys[high];
    if are_exchanged(a, b, sort.first_row + low, sort.stage) {
        sort_keys[low] = b;
        sort_keys[high] = a;
    }
}

// The exchanges between two windows.
@compute @workgroup_size(SORT_THREADS)
fn sort_far(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * SORT_THREADS + thread;
    if row >= sort.len {
        return;
    }
    let a = sort_keys[row];
    let b = sort_partners[row];
    if are_exchanged(a, b, sort.first_row + row, sort.stage) {
        sort_keys[row] = b;
        sort_partners[row] = a;
    }
}
