// From segments to columns: sums of a job's segments in rounds, sums of a column's sets joined by doublings.

#define JOIN_THREADS 64

// Adds up the points of a block's threads, into the first.
DEVICE void join_block(Point *joined, Point mine) {
    u32 thread = threadIdx.x;
    joined[thread] = mine;
    __syncthreads();
    for (u32 distance = JOIN_THREADS / 2; distance > 0; distance /= 2) {
        if (thread < distance) {
            joined[thread] = point_add(joined[thread], joined[thread + distance]);
        }
        __syncthreads();
    }
}

// Adds up 64 points of a job a block: `len` points of each of the jobs become `groups`.
KERNEL(JOIN_THREADS, msm_join, u32 len, u32 groups, const Point *in, Point *out) {
    __shared__ Point joined[JOIN_THREADS];
    u32 job = blockIdx.x / groups;
    u32 place = blockIdx.x % groups * JOIN_THREADS + threadIdx.x;
    join_block(joined, place < len ? in[(u64)job * len + place] : point_identity());
    if (threadIdx.x == 0) {
        out[blockIdx.x] = joined[0];
    }
}

// Puts the sums of jobs among the sums of all sets of all columns.
KERNEL(JOIN_THREADS, msm_deposit, u32 jobs, u32 sets, const MsmJob *job, const Point *sums, Point *set_sums) {
    u32 number = blockIdx.x * JOIN_THREADS + threadIdx.x;
    if (number < jobs) {
        set_sums[job[number].column * sets + job[number].set] = sums[number];
    }
}

// Σ 2^(bits·set)·sum of the set, from the last set down. The doublings wait for each other: where a column has many
// sets, they are sooner done on the host.
KERNEL(JOIN_THREADS, msm_combine, u32 columns, u32 sets, u32 bits, const Point *set_sums, Point *out) {
    u32 column = blockIdx.x * JOIN_THREADS + threadIdx.x;
    if (column >= columns) {
        return;
    }
    Point sum = point_identity();
#pragma unroll 1
    for (u32 set = sets; set > 0; set--) {
        if (!point_is_identity(sum)) {
#pragma unroll 1
            for (u32 bit = 0; bit < bits; bit++) {
                sum = point_double(sum);
            }
        }
        sum = point_add(sum, set_sums[column * sets + set - 1]);
    }
    out[column] = sum;
}
