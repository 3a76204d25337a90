// What other kernels are limited by: how many products, multiplications and additions a device does in a second. Every
// thread works on chains of its own, several side by side, so that a chain's steps do not wait for each other. All of a
// thread's numbers depend on which thread it is: what is the same for all goes to other units, which work beside.

#define THROUGHPUT_THREADS 256
#define THROUGHPUT_WIDE_CHAINS 8
#define THROUGHPUT_CHAINS 2

DEVICE u32 throughput_thread() { return blockIdx.x * THROUGHPUT_THREADS + threadIdx.x; }

// Products of words, added to two words.
KERNEL(THROUGHPUT_THREADS, throughput_wide_products, u32 steps, u64 *out) {
    u32 thread = throughput_thread();
    u32 factor = 2 * thread + 1;
    u64 sums[THROUGHPUT_WIDE_CHAINS];
#pragma unroll
    for (u32 i = 0; i < THROUGHPUT_WIDE_CHAINS; i++) {
        sums[i] = thread + i;
    }
#pragma unroll 4
    for (u32 step = 0; step < steps; step++) {
#pragma unroll
        for (u32 i = 0; i < THROUGHPUT_WIDE_CHAINS; i++) {
            sums[i] += (u64)(u32)sums[i] * factor;
        }
    }
    u64 total = 0;
#pragma unroll
    for (u32 i = 0; i < THROUGHPUT_WIDE_CHAINS; i++) {
        total += sums[i];
    }
    out[thread] = total;
}

// Multiplications in the scalar field: (value + words of the thread's number)^(steps + 1) and the same of its successor,
// added.
KERNEL(THROUGHPUT_THREADS, throughput_multiplications, u32 steps, Element value, Element *out) {
    Element first = fr_add(value, Element{{throughput_thread(), 0, 0, 0, 0, 0, 0, 0}});
    Element factors[THROUGHPUT_CHAINS] = {first, fr_add(first, fr_one())};
    Element powers[THROUGHPUT_CHAINS] = {factors[0], factors[1]};
#pragma unroll 1
    for (u32 step = 0; step < steps; step++) {
#pragma unroll
        for (u32 i = 0; i < THROUGHPUT_CHAINS; i++) {
            powers[i] = fr_mul(powers[i], factors[i]);
        }
    }
    out[throughput_thread()] = fr_add(powers[0], powers[1]);
}

// Additions of an affine point to a sum, as buckets do them: (steps + 2)·point, of its opposite in odd threads.
KERNEL(THROUGHPUT_THREADS, throughput_additions, u32 steps, Affine point, Point *out) {
    Affine mine = affine_signed(point, (throughput_thread() & 1) == 1);
    Point sum = point_double(point_from_affine(mine));
#pragma unroll 1
    for (u32 step = 0; step < steps; step++) {
        sum = point_add_affine(sum, mine);
    }
    out[throughput_thread()] = sum;
}
