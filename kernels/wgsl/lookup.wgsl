// The lookup argument's grouping, of sorted keys: rows that repeat an input take the table's unused rows, in order.
//
// Keys are seen in windows. Where a kernel takes a window of rows and one of other keys, it is run for every pair of
// them.

const LOOKUP_THREADS = 256u;

struct LookupParams {
    // Rows of the window, and the number of its first row.
    len: u32,
    first_row: u32,
    // Keys bound before the window's first.
    lead: u32,
    // The other window, where there is one.
    other_first: u32,
    other_len: u32,
    // Whether rows are marked that no input uses; otherwise those that repeat the one before.
    mark_unused: u32,
}

@group(0) @binding(0) var<storage, read> lookup: LookupParams;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read> keys: array<Element>;
@group(0) @binding(3) var<storage, read> searched: array<Element>;

// Whether the key is among the other window's sorted ones.
fn is_found(key: Element) -> bool {
    var low = 0u;
    var high = lookup.other_len;
    while low < high {
        let middle = (low + high) / 2u;
        if is_below(searched[middle], key) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low < lookup.other_len && words_are_equal(searched[min(low, lookup.other_len - 1u)], key);
}

// Sets the word of every row whose key is found.
@compute @workgroup_size(LOOKUP_THREADS)
fn lookup_search(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * LOOKUP_THREADS + thread;
    if row < lookup.len {
        if is_found(keys[row]) {
            words[row] = 1u;
        }
    }
}

@group(0) @binding(3) var<storage, read> found: array<u32>;
// The lowest row whose key is not found, of those looked at; all ones while there is none.
@group(0) @binding(4) var<storage, read_write> missing: atomic<u32>;

// Marks rows of the sorted table or of the sorted input.
@compute @workgroup_size(LOOKUP_THREADS)
fn lookup_mark(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * LOOKUP_THREADS + thread;
    if row >= lookup.len {
        return;
    }
    let place = row + lookup.lead;
    let repeats = place > 0u && words_are_equal(keys[max(place, 1u) - 1u], keys[place]);
    if lookup.mark_unused == 1u {
        words[row] = u32(repeats || found[row] == 0u);
    } else {
        words[row] = u32(repeats);
        if found[row] == 0u {
            atomicMin(&missing, lookup.first_row + row);
        }
    }
}

@group(0) @binding(1) var<storage, read_write> unused: array<Element>;
@group(0) @binding(3) var<storage, read> marks: array<u32>;
@group(0) @binding(4) var<storage, read> ranks: array<u32>;

// The table's unused rows, one after the other, as far as their places are in the other window.
@compute @workgroup_size(LOOKUP_THREADS)
fn lookup_collect(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * LOOKUP_THREADS + thread;
    if row >= lookup.len {
        return;
    }
    // Below the window's first, a place wraps around and is past its end.
    let place = ranks[row] - lookup.other_first;
    if marks[row] == 1u && place < lookup.other_len {
        unused[place] = keys[row];
    }
}

@group(0) @binding(1) var<storage, read_write> permuted_input: array<Element>;
@group(0) @binding(2) var<storage, read_write> permuted_table: array<Element>;
@group(0) @binding(3) var<storage, read> input_keys: array<Element>;
@group(0) @binding(4) var<storage, read> unused_keys: array<Element>;
@group(0) @binding(5) var<storage, read> input_marks: array<u32>;
@group(0) @binding(6) var<storage, read> input_ranks: array<u32>;

// Both columns, in Montgomery form, as far as the unused keys that they take are in the other window.
@compute @workgroup_size(LOOKUP_THREADS)
fn lookup_place(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * LOOKUP_THREADS + thread;
    if row >= lookup.len {
        return;
    }
    let value = fr_to_montgomery(input_keys[row]);
    permuted_input[row] = value;
    let place = input_ranks[row] - lookup.other_first;
    if input_marks[row] == 0u {
        permuted_table[row] = value;
    } else if place < lookup.other_len {
        permuted_table[row] = fr_to_montgomery(unused_keys[place]);
    }
}
