// Weighted sums of buckets: Σ weight·sum over the chunks of a job, by running sums over segments of them. From the last
// chunk down, the running sum counts as often as the weight drops to the next chunk's, to zero after a segment's first.
// So chunks of one bucket may follow each other, and gaps between buckets cost their bits only.

const WEIGH_THREADS = 64u;

struct WeighParams {
    jobs: u32,
    // Segments of a job.
    segments: u32,
    // log2 of the buckets of a job.
    bucket_bits: u32,
}

@group(0) @binding(0) var<storage, read> weigh: WeighParams;
@group(0) @binding(1) var<storage, read> weigh_starts: array<u32>;
@group(0) @binding(2) var<storage, read> weigh_sums: array<Point>;
@group(0) @binding(3) var<storage, read> weigh_keys: array<u32>;
@group(0) @binding(4) var<storage, read_write> segment_sums: array<Point>;

fn weight(chunk: u32) -> u32 {
    return (weigh_keys[chunk] & ((1u << weigh.bucket_bits) - 1u)) + 1u;
}

@compute @workgroup_size(WEIGH_THREADS)
fn msm_weigh(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let segment = group_number(group, groups) * WEIGH_THREADS + thread;
    if segment >= weigh.jobs * weigh.segments {
        return;
    }
    let job = segment / weigh.segments;
    let start = weigh_starts[job << weigh.bucket_bits];
    let end = weigh_starts[(job + 1u) << weigh.bucket_bits];
    let length = (end - start + weigh.segments - 1u) / weigh.segments;
    let first = min(start + (segment % weigh.segments) * length, end);
    var running = point_identity();
    var sum = point_identity();
    for (var chunk = min(first + length, end); chunk > first; chunk--) {
        running = point_add(running, weigh_sums[chunk - 1u]);
        var drop = weight(chunk - 1u);
        if chunk - 1u > first {
            drop -= weight(chunk - 2u);
        }
        var multiple = running;
        while drop > 0u {
            if (drop & 1u) == 1u {
                sum = point_add(sum, multiple);
            }
            drop >>= 1u;
            if drop > 0u {
                multiple = point_double(multiple);
            }
        }
    }
    segment_sums[segment] = sum;
}
