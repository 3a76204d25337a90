// Inverses of the elements of blocks, from the inverses of the blocks' products. Zeros count as ones and stay.

const INVERT_THREADS = 256u;
const INVERT_THREAD_ROWS = 4u;

struct InvertParams {
    // Rows of the window.
    len: u32,
    // Blocks of the window.
    blocks: u32,
    // The number of the window's first block.
    first_block: u32,
}

@group(0) @binding(0) var<storage, read> invert: InvertParams;
@group(0) @binding(1) var<storage, read_write> invert_values: array<Element>;
@group(0) @binding(2) var<storage, read> inverse_products: array<Element>;

// Products of invocations' rows in the upper half, and of pairs of nodes below: node i has the children 2i and 2i + 1.
// Inverses go down from node 1: a child's is its parent's, times its sibling's product.
var<workgroup> invert_tree: array<Element, 2u * INVERT_THREADS>;

fn one_for_zero(value: Element) -> Element {
    if fr_is_zero(value) {
        return fr_one();
    }
    return value;
}

@compute @workgroup_size(INVERT_THREADS)
fn invert_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= invert.blocks {
        return;
    }
    let first = (block * INVERT_THREADS + thread) * INVERT_THREAD_ROWS;
    let end = min(first + INVERT_THREAD_ROWS, invert.len);
    var before: array<Element, INVERT_THREAD_ROWS>;
    var product = fr_one();
    for (var row = first; row < end; row += 1u) {
        before[row - first] = product;
        product = fr_mul(product, one_for_zero(invert_values[row]));
    }
    invert_tree[INVERT_THREADS + thread] = product;
    workgroupBarrier();
    for (var nodes = INVERT_THREADS / 2u; nodes > 1u; nodes /= 2u) {
        if thread < nodes {
            let node = nodes + thread;
            invert_tree[node] = fr_mul(invert_tree[2u * node], invert_tree[2u * node + 1u]);
        }
        workgroupBarrier();
    }
    if thread == 0u {
        invert_tree[1] = inverse_products[invert.first_block + block];
    }
    workgroupBarrier();
    for (var children = 2u; children <= INVERT_THREADS; children *= 2u) {
        var inverse: Element;
        if thread < children {
            let node = children + thread;
            inverse = fr_mul(invert_tree[node / 2u], invert_tree[node ^ 1u]);
        }
        workgroupBarrier();
        if thread < children {
            invert_tree[children + thread] = inverse;
        }
        workgroupBarrier();
    }
    var inverse = invert_tree[INVERT_THREADS + thread];
    for (var row = end; row > first; row -= 1u) {
        let value = invert_values[row - 1u];
        if !fr_is_zero(value) {
            invert_values[row - 1u] = fr_mul(inverse, before[row - 1u - first]);
            inverse = fr_mul(inverse, value);
        }
    }
}

@compute @workgroup_size(1)
fn invert_one() {
    _ = invert.len;
    invert_values[0] = fr_inverse(invert_values[0]);
}
