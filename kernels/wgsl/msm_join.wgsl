// From segments to columns: sums of a job's segments in rounds, sums of a column's sets joined by doublings.

const JOIN_THREADS = 64u;

struct JoinParams {
    jobs: u32,
    // Points of a job before and after this round.
    len: u32,
    groups: u32,
}

@group(0) @binding(0) var<storage, read> join: JoinParams;
@group(0) @binding(1) var<storage, read> join_in: array<Point>;
@group(0) @binding(2) var<storage, read_write> join_out: array<Point>;

var<workgroup> joined: array<Point, JOIN_THREADS>;

// A workgroup adds up 64 points of a job.
@compute @workgroup_size(JOIN_THREADS)
fn msm_join(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group, groups);
    if number >= join.jobs * join.groups {
        return;
    }
    let job = number / join.groups;
    let place = (number % join.groups) * JOIN_THREADS + thread;
    joined[thread] = point_identity();
    if place < join.len {
        joined[thread] = join_in[job * join.len + place];
    }
    workgroupBarrier();
    for (var distance = JOIN_THREADS / 2u; distance > 0u; distance /= 2u) {
        if thread < distance {
            joined[thread] = point_add(joined[thread], joined[thread + distance]);
        }
        workgroupBarrier();
    }
    if thread == 0u {
        join_out[number] = joined[0];
    }
}

struct DepositParams {
    jobs: u32,
    // The place of every job's sum among the sums of all sets of all columns.
    places: array<u32>,
}

@group(0) @binding(0) var<storage, read> deposit: DepositParams;
@group(0) @binding(1) var<storage, read> deposited: array<Point>;
@group(0) @binding(2) var<storage, read_write> set_sums: array<Point>;

// Adds the sums of jobs to the sums of their sets.
@compute @workgroup_size(JOIN_THREADS)
fn msm_deposit(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let job = group_number(group, groups) * JOIN_THREADS + thread;
    if job < deposit.jobs {
        let place = deposit.places[job];
        set_sums[place] = point_add(set_sums[place], deposited[job]);
    }
}

struct ColumnParams {
    columns: u32,
    sets: u32,
    // Doublings from a set to the next.
    bits: u32,
}

@group(0) @binding(0) var<storage, read> column_sets: ColumnParams;
@group(0) @binding(1) var<storage, read> column_in: array<Point>;
@group(0) @binding(2) var<storage, read_write> column_out: array<Point>;

// Σ 2^(bits·set)·sum of the set, from the last set down.
@compute @workgroup_size(JOIN_THREADS)
fn msm_combine(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let column = group_number(group, groups) * JOIN_THREADS + thread;
    if column >= column_sets.columns {
        return;
    }
    var sum = point_identity();
    for (var set_number = column_sets.sets; set_number > 0u; set_number--) {
        if !point_is_identity(sum) {
            for (var bit = 0u; bit < column_sets.bits; bit++) {
                sum = point_double(sum);
            }
        }
        sum = point_add(sum, column_in[column * column_sets.sets + set_number - 1u]);
    }
    column_out[column] = sum;
}
