// Inverses of the elements of blocks, from the inverses of the blocks' products: few blocks invert their own, of many
// `scan_nonzero_reduce` gives them. Zeros count as ones and stay.

#define INVERT_THREADS 256
#define INVERT_THREAD_ROWS 4

DEVICE Element one_for_zero(Element value) { return fr_is_zero(value) ? fr_one() : value; }

// Inverts a block's elements, given the inverse of their product or none. In the tree are products of threads' rows in
// the upper half, and of pairs of nodes below: node i has the children 2i and 2i + 1. Inverses go down from node 1: a
// child's is its parent's, times its sibling's product.
DEVICE void invert_block(u32 len, Element *values, Element *tree, const Element *inverse_product) {
    u32 thread = threadIdx.x;
    u32 first = (blockIdx.x * INVERT_THREADS + thread) * INVERT_THREAD_ROWS;
    Element before[INVERT_THREAD_ROWS];
    Element product = fr_one();
#pragma unroll
    for (u32 i = 0; i < INVERT_THREAD_ROWS; i++) {
        before[i] = product;
        if (first + i < len) {
            product = fr_mul(product, one_for_zero(values[first + i]));
        }
    }
    tree[INVERT_THREADS + thread] = product;
    __syncthreads();
    for (u32 nodes = INVERT_THREADS / 2; nodes > 1; nodes /= 2) {
        if (thread < nodes) {
            u32 node = nodes + thread;
            tree[node] = fr_mul(tree[2 * node], tree[2 * node + 1]);
        }
        __syncthreads();
    }
    if (thread == 0) {
        tree[1] = inverse_product != 0 ? *inverse_product : fr_inverse_by_halving(fr_mul(tree[2], tree[3]));
    }
    __syncthreads();
    for (u32 children = 2; children <= INVERT_THREADS; children *= 2) {
        Element inverse = fr_zero();
        if (thread < children) {
            u32 node = children + thread;
            inverse = fr_mul(tree[node / 2], tree[node ^ 1]);
        }
        __syncthreads();
        if (thread < children) {
            tree[children + thread] = inverse;
        }
        __syncthreads();
    }
    Element inverse = tree[INVERT_THREADS + thread];
#pragma unroll
    for (int i = INVERT_THREAD_ROWS - 1; i >= 0; i--) {
        if (first + i < len) {
            Element value = values[first + i];
            if (!fr_is_zero(value)) {
                values[first + i] = fr_mul(inverse, before[i]);
                inverse = fr_mul(inverse, value);
            }
        }
    }
}

KERNEL(INVERT_THREADS, invert_apply, u32 len, Element *values, const Element *inverse_products) {
    __shared__ Element tree[2 * INVERT_THREADS];
    invert_block(len, values, tree, inverse_products + blockIdx.x);
}

// Blocks that wait for one thread each, side by side.
KERNEL(INVERT_THREADS, invert_blocks, u32 len, Element *values) {
    __shared__ Element tree[2 * INVERT_THREADS];
    invert_block(len, values, tree, 0);
}

// For the product of all: everything waits for this thread.
KERNEL(1, invert_one, Element *value) { *value = fr_inverse_by_halving(*value); }
