// Values of polynomials and inner products, by blocks: a block's value is a coefficient of the polynomial in
// x^EVALUATION_BLOCK that the next level evaluates.

const EVALUATION_THREADS = 256u;
const EVALUATION_THREAD_ROWS = 8u;
const EVALUATION_BLOCK = EVALUATION_THREADS * EVALUATION_THREAD_ROWS;
// log2 of EVALUATION_THREADS
const EVALUATION_BITS = 8u;

struct EvaluationParams {
    // Rows of the window.
    len: u32,
    // Blocks of the window.
    blocks: u32,
    // Where the first block's value goes.
    first_out: u32,
    // x^EVALUATION_THREADS
    step: Element,
    // x^(2^i)
    squares: array<Element, EVALUATION_BITS>,
}

@group(0) @binding(0) var<storage, read> evaluation: EvaluationParams;
@group(0) @binding(1) var<storage, read_write> values: array<Element>;
@group(0) @binding(2) var<storage, read> coefficients: array<Element>;
@group(0) @binding(3) var<storage, read> multiplicands: array<Element>;

var<workgroup> evaluation_sums: array<Element, EVALUATION_THREADS>;

// Writes the sum of what the invocations give.
fn write_sum(thread: u32, block: u32, value: Element) {
    evaluation_sums[thread] = value;
    workgroupBarrier();
    for (var distance = EVALUATION_THREADS / 2u; distance > 0u; distance /= 2u) {
        if thread < distance {
            evaluation_sums[thread] = fr_add(evaluation_sums[thread], evaluation_sums[thread + distance]);
        }
        workgroupBarrier();
    }
    if thread == 0u {
        values[evaluation.first_out + block] = evaluation_sums[0];
    }
}

@compute @workgroup_size(EVALUATION_THREADS)
fn eval_polynomials(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= evaluation.blocks {
        return;
    }
    var value = fr_zero();
    for (var i = EVALUATION_THREAD_ROWS; i > 0u; i -= 1u) {
        value = fr_mul(value, evaluation.step);
        let row = block * EVALUATION_BLOCK + (i - 1u) * EVALUATION_THREADS + thread;
        if row < evaluation.len {
            value = fr_add(value, coefficients[row]);
        }
    }
    for (var bit = 0u; bit < EVALUATION_BITS; bit += 1u) {
        if ((thread >> bit) & 1u) == 1u {
            value = fr_mul(value, evaluation.squares[bit]);
        }
    }
    write_sum(thread, block, value);
}

@compute @workgroup_size(EVALUATION_THREADS)
fn inner_product(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group_number(group, groups);
    if block >= evaluation.blocks {
        return;
    }
    var value = fr_zero();
    for (var i = 0u; i < EVALUATION_THREAD_ROWS; i += 1u) {
        let row = block * EVALUATION_BLOCK + i * EVALUATION_THREADS + thread;
        if row < evaluation.len {
            value = fr_add(value, fr_mul(coefficients[row], multiplicands[row]));
        }
    }
    write_sum(thread, block, value);
}
