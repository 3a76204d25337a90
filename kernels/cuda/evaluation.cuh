// Values of polynomials and inner products, by blocks: a block's value is a coefficient of the polynomial in
// x^EVALUATION_BLOCK that the next level evaluates.

#define EVALUATION_THREADS 256
#define EVALUATION_THREAD_ROWS 8
#define EVALUATION_BLOCK (EVALUATION_THREADS * EVALUATION_THREAD_ROWS)
// log2 of EVALUATION_THREADS
#define EVALUATION_BITS 8

// Writes the sum of what the threads give.
DEVICE void write_sum(Element value, Element *out) {
    __shared__ Element sums[EVALUATION_THREADS];
    u32 thread = threadIdx.x;
    sums[thread] = value;
    __syncthreads();
    for (u32 distance = EVALUATION_THREADS / 2; distance > 0; distance /= 2) {
        if (thread < distance) {
            sums[thread] = fr_add(sums[thread], sums[thread + distance]);
        }
        __syncthreads();
    }
    if (thread == 0) {
        *out = sums[0];
    }
}

// A polynomial and a point x.
struct EvaluationQuery {
    // x^EVALUATION_THREADS
    Element step;
    // x^(2^i)
    Element squares[EVALUATION_BITS];
    const Element *coefficients;
    // One value for each block, of which there are len/EVALUATION_BLOCK, rounded up.
    Element *values;
    u32 len;
};

// One query a grid row; blocks past the end of a query's polynomial write nothing.
KERNEL(EVALUATION_THREADS, eval_polynomials, const EvaluationQuery *queries) {
    const EvaluationQuery &query = queries[blockIdx.y];
    u32 first = blockIdx.x * EVALUATION_BLOCK;
    if (first >= query.len) {
        return;
    }
    u32 thread = threadIdx.x;
    Element value = fr_zero();
#pragma unroll 1
    for (int i = EVALUATION_THREAD_ROWS - 1; i >= 0; i--) {
        value = fr_mul(value, query.step);
        u32 row = first + i * EVALUATION_THREADS + thread;
        if (row < query.len) {
            value = fr_add(value, query.coefficients[row]);
        }
    }
#pragma unroll 1
    for (u32 bit = 0; bit < EVALUATION_BITS; bit++) {
        if ((thread >> bit & 1) != 0) {
            value = fr_mul(value, query.squares[bit]);
        }
    }
    write_sum(value, &query.values[blockIdx.x]);
}

KERNEL(EVALUATION_THREADS, inner_product, u32 len, const Element *a, const Element *b, Element *values) {
    Element value = fr_zero();
#pragma unroll 1
    for (u32 i = 0; i < EVALUATION_THREAD_ROWS; i++) {
        u32 row = blockIdx.x * EVALUATION_BLOCK + i * EVALUATION_THREADS + threadIdx.x;
        if (row < len) {
            value = fr_add(value, fr_mul(a[row], b[row]));
        }
    }
    write_sum(value, &values[blockIdx.x]);
}
