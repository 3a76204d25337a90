// Weighted sums of buckets, by running sums over segments of a job's chunks.

#define WEIGH_THREADS 64

struct WeighParams {
    const BucketSize *buckets;
    const Chunk *chunks;
    u32 jobs;
    // Segments of a job.
    u32 segments;
    // log2 of the buckets of a job.
    u32 bucket_bits;
};

// Weighted sums of segments of a job's chunks: Σ weight·sum, by running sums. From the last chunk down, the running sum
// counts as often as the weight drops to the next chunk's, to zero after a segment's first. So chunks of one bucket may
// follow each other, and gaps between buckets cost their bits only.
KERNEL(WEIGH_THREADS, msm_weigh, WeighParams params, const Point *sums, Point *segment_sums) {
    u32 segment = blockIdx.x * WEIGH_THREADS + threadIdx.x;
    if (segment >= params.jobs * params.segments) {
        return;
    }
    u32 job = segment / params.segments;
    u32 start = params.buckets[job << params.bucket_bits].chunks;
    u32 end = params.buckets[(job + 1) << params.bucket_bits].chunks;
    u32 length = (end - start + params.segments - 1) / params.segments;
    u32 first = min(start + (segment % params.segments) * length, end);
    u32 mask = (1u << params.bucket_bits) - 1;
    Point running = point_identity();
    Point sum = point_identity();
#pragma unroll 1
    for (u32 chunk = min(first + length, end); chunk > first; chunk--) {
        running = point_add(running, sums[chunk - 1]);
        u32 drop = (params.chunks[chunk - 1].key & mask) + 1;
        if (chunk - 1 > first) {
            drop -= (params.chunks[chunk - 2].key & mask) + 1;
        }
        Point multiple = running;
#pragma unroll 1
        while (drop > 0) {
            if ((drop & 1) == 1) {
                sum = point_add(sum, multiple);
            }
            drop >>= 1;
            if (drop > 0) {
                multiple = point_double(multiple);
            }
        }
    }
    segment_sums[segment] = sum;
}
