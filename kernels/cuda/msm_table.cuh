// Multiples of points for a table: a level is the one before, doubled some times.

#define TABLE_THREADS 64
// Points that a thread brings to affine coordinates with one inversion.
#define TABLE_THREAD_ROWS 8

// A level of a table: the level before, doubled some times.
KERNEL(TABLE_THREADS, msm_double, u32 len, u32 doublings, const Affine *level, Point *doubled) {
    u32 row = blockIdx.x * TABLE_THREADS + threadIdx.x;
    if (row >= len) {
        return;
    }
    Point point = point_from_affine(level[row]);
#pragma unroll 1
    for (u32 i = 0; i < doublings; i++) {
        point = point_double(point);
    }
    doubled[row] = point;
}

KERNEL(TABLE_THREADS, msm_normalize, u32 len, const Point *points, Affine *level) {
    u32 first = (blockIdx.x * TABLE_THREADS + threadIdx.x) * TABLE_THREAD_ROWS;
    if (first >= len) {
        return;
    }
    u32 count = min(len - first, (u32)TABLE_THREAD_ROWS);
    // Products of the ZZZ before each point, identities left out.
    Element before[TABLE_THREAD_ROWS];
    Element product = fq_one();
#pragma unroll 1
    for (u32 i = 0; i < count; i++) {
        before[i] = product;
        Element zzz = points[first + i].zzz;
        if (!words_are_zero(zzz)) {
            product = called_mul(product, zzz);
        }
    }
    Element inverse = fq_inverse(product);
#pragma unroll 1
    for (u32 i = count; i > 0; i--) {
        Point point = points[first + i - 1];
        bool identity = words_are_zero(point.zzz);
        level[first + i - 1] = identity ? Affine{fq_zero(), fq_zero()} : point_scaled(point, called_mul(inverse, before[i - 1]));
        if (!identity) {
            inverse = called_mul(inverse, point.zzz);
        }
    }
}
