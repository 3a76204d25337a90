// Recurrences out_0 = initial, out_{i+1} = step(out_i, item_i), in blocks: `scan_reduce` composes the items of every
// block, the totals are scanned in the same way, and `scan_apply` runs through every block from the state at its
// beginning. No workgroup waits for another.
//
// The file before this one says what items and states are: `Item`, `State`, `item_identity`, `item_combine` (the item
// that does what both do, the first one first), `state_step`, `load_item`, and `scan_states`, the states at the
// beginnings of blocks.

const SCAN_THREADS = 256u;
const SCAN_THREAD_ROWS = 4u;
const SCAN_BLOCK = SCAN_THREADS * SCAN_THREAD_ROWS;

struct ScanParams {
    // Rows of the window.
    len: u32,
    // Blocks of the window.
    blocks: u32,
    // The number of the window's first block.
    first_block: u32,
}

@group(0) @binding(0) var<storage, read> scan: ScanParams;
@group(0) @binding(1) var<storage, read_write> scan_totals: array<Item>;
@group(0) @binding(1) var<storage, read_write> scan_out: array<State>;

var<workgroup> scan_items: array<Item, SCAN_THREADS>;

// The item that does what an invocation's rows do.
fn fold_rows(first: u32) -> Item {
    var item = item_identity();
    let end = min(first + SCAN_THREAD_ROWS, scan.len);
    for (var row = first; row < end; row += 1u) {
        item = item_combine(item, load_item(row));
    }
    return item;
}

@compute @workgroup_size(SCAN_THREADS)
fn scan_reduce(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= scan.blocks {
        return;
    }
    scan_items[thread] = fold_rows(block * SCAN_BLOCK + thread * SCAN_THREAD_ROWS);
    workgroupBarrier();
    for (var distance = 1u; distance < SCAN_THREADS; distance *= 2u) {
        if thread % (2u * distance) == 0u {
            scan_items[thread] = item_combine(scan_items[thread], scan_items[thread + distance]);
        }
        workgroupBarrier();
    }
    if thread == 0u {
        scan_totals[scan.first_block + block] = scan_items[0];
    }
}

@compute @workgroup_size(SCAN_THREADS)
fn scan_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= scan.blocks {
        return;
    }
    let first = block * SCAN_BLOCK + thread * SCAN_THREAD_ROWS;
    scan_items[thread] = fold_rows(first);
    workgroupBarrier();
    for (var distance = 1u; distance < SCAN_THREADS; distance *= 2u) {
        var item = scan_items[thread];
        if thread >= distance {
            item = item_combine(scan_items[thread - distance], item);
        }
        workgroupBarrier();
        scan_items[thread] = item;
        workgroupBarrier();
    }
    var state = scan_states[scan.first_block + block];
    if thread > 0u {
        state = state_step(state, scan_items[thread - 1u]);
    }
    let end = min(first + SCAN_THREAD_ROWS, scan.len);
    for (var row = first; row < end; row += 1u) {
        scan_out[row] = state;
        state = state_step(state, load_item(row));
    }
}
