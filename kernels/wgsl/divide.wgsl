// Division of a polynomial by X - root, from the highest coefficient down: q_{i-1} = root·q_i + f_i. That is an affine
// scan with a constant factor, of rows in reverse order. The highest block comes first in the totals and among the
// states.

const DIVIDE_THREADS = 256u;
const DIVIDE_THREAD_ROWS = 4u;
const DIVIDE_BLOCK = DIVIDE_THREADS * DIVIDE_THREAD_ROWS;

struct DivideParams {
    // Rows of the window.
    len: u32,
    // Blocks of the window.
    blocks: u32,
    // How many blocks are above the window.
    blocks_above: u32,
    root: Element,
}

@group(0) @binding(0) var<storage, read> divide: DivideParams;
@group(0) @binding(1) var<storage, read_write> divide_totals: array<Item>;
@group(0) @binding(1) var<storage, read_write> quotient: array<Element>;
@group(0) @binding(2) var<storage, read> dividend: array<Element>;
@group(0) @binding(3) var<storage, read> divide_states: array<Element>;

var<workgroup> divide_items: array<Item, DIVIDE_THREADS>;

// The item that does what rows first..end do, the last first.
fn fold_down(first: u32, end: u32) -> Item {
    var item = item_identity();
    for (var row = end; row > first; row -= 1u) {
        item = item_combine(item, Item(divide.root, dividend[row - 1u]));
    }
    return item;
}

@compute @workgroup_size(DIVIDE_THREADS)
fn divide_reduce(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= divide.blocks {
        return;
    }
    let first = block * DIVIDE_BLOCK + thread * DIVIDE_THREAD_ROWS;
    divide_items[thread] = fold_down(first, min(first + DIVIDE_THREAD_ROWS, divide.len));
    workgroupBarrier();
    for (var distance = 1u; distance < DIVIDE_THREADS; distance *= 2u) {
        if thread % (2u * distance) == 0u {
            divide_items[thread] = item_combine(divide_items[thread + distance], divide_items[thread]);
        }
        workgroupBarrier();
    }
    if thread == 0u {
        divide_totals[divide.blocks_above + divide.blocks - 1u - block] = divide_items[0];
    }
}

@compute @workgroup_size(DIVIDE_THREADS)
fn divide_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= divide.blocks {
        return;
    }
    let first = block * DIVIDE_BLOCK + thread * DIVIDE_THREAD_ROWS;
    let end = min(first + DIVIDE_THREAD_ROWS, divide.len);
    divide_items[thread] = fold_down(first, end);
    workgroupBarrier();
    for (var distance = 1u; distance < DIVIDE_THREADS; distance *= 2u) {
        var item = divide_items[thread];
        if thread + distance < DIVIDE_THREADS {
            item = item_combine(divide_items[thread + distance], item);
        }
        workgroupBarrier();
        divide_items[thread] = item;
        workgroupBarrier();
    }
    var state = divide_states[divide.blocks_above + divide.blocks - 1u - block];
    if thread + 1u < DIVIDE_THREADS {
        state = state_step(state, divide_items[thread + 1u]);
    }
    for (var row = end; row > first; row -= 1u) {
        let coefficient = dividend[row - 1u];
        quotient[row - 1u] = state;
        state = state_step(state, Item(divide.root, coefficient));
    }
}
