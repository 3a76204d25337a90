// Multiples of points for a table: a level is the one before, doubled some times.

const TABLE_THREADS = 64u;

struct TableParams {
    len: u32,
    // Rows of the table's points before the level that is read, or written.
    first: u32,
    doublings: u32,
}

@group(0) @binding(0) var<storage, read> level: TableParams;
@group(0) @binding(1) var<storage, read> level_in: array<Affine>;
@group(0) @binding(2) var<storage, read_write> level_doubled: array<Point>;

@compute @workgroup_size(TABLE_THREADS)
fn msm_double(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * TABLE_THREADS + thread;
    if row >= level.len {
        return;
    }
    var point = point_from_affine(level_in[level.first + row]);
    for (var i = 0u; i < level.doublings; i++) {
        point = point_double(point);
    }
    level_doubled[row] = point;
}

@group(0) @binding(1) var<storage, read> level_points: array<Point>;
@group(0) @binding(2) var<storage, read_write> level_out: array<Affine>;

@compute @workgroup_size(TABLE_THREADS)
fn msm_normalize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * TABLE_THREADS + thread;
    if row < level.len {
        level_out[level.first + row] = point_to_affine(level_points[row]);
    }
}
