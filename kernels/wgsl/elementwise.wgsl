// Row by row: one row an invocation.

const ELEMENTWISE_THREADS = 128u;
// Terms of one dispatch of linear_combination.
const TERMS = 4u;

struct ElementwiseParams {
    len: u32,
    factor: Element,
}

@group(0) @binding(0) var<storage, read> elementwise: ElementwiseParams;
@group(0) @binding(1) var<storage, read_write> acc: array<Element>;
@group(0) @binding(2) var<storage, read> other: array<Element>;

@compute @workgroup_size(ELEMENTWISE_THREADS)
fn add_assign(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * ELEMENTWISE_THREADS + thread;
    if row < elementwise.len {
        acc[row] = fr_add(acc[row], other[row]);
    }
}

@compute @workgroup_size(ELEMENTWISE_THREADS)
fn sub_assign(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * ELEMENTWISE_THREADS + thread;
    if row < elementwise.len {
        acc[row] = fr_sub(acc[row], other[row]);
    }
}

@compute @workgroup_size(ELEMENTWISE_THREADS)
fn mul_assign(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * ELEMENTWISE_THREADS + thread;
    if row < elementwise.len {
        acc[row] = fr_mul(acc[row], other[row]);
    }
}

@compute @workgroup_size(ELEMENTWISE_THREADS)
fn scale(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * ELEMENTWISE_THREADS + thread;
    if row < elementwise.len {
        acc[row] = fr_mul(acc[row], elementwise.factor);
    }
}

struct CombinationParams {
    len: u32,
    // Whether `acc` begins at zero.
    fresh: u32,
    lengths: array<u32, TERMS>,
    factors: array<Element, TERMS>,
}

@group(0) @binding(0) var<storage, read> combination: CombinationParams;
@group(0) @binding(2) var<storage, read> term_0: array<Element>;
@group(0) @binding(3) var<storage, read> term_1: array<Element>;
@group(0) @binding(4) var<storage, read> term_2: array<Element>;
@group(0) @binding(5) var<storage, read> term_3: array<Element>;

fn load_term(term: u32, row: u32) -> Element {
    switch term {
        case 0u: { return term_0[row]; }
        case 1u: { return term_1[row]; }
        case 2u: { return term_2[row]; }
        default: { return term_3[row]; }
    }
}

@compute @workgroup_size(ELEMENTWISE_THREADS)
fn linear_combination(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * ELEMENTWISE_THREADS + thread;
    if row >= combination.len {
        return;
    }
    var sum = fr_zero();
    if combination.fresh == 0u {
        sum = acc[row];
    }
    for (var term = 0u; term < TERMS; term += 1u) {
        if row < combination.lengths[term] {
            sum = fr_add(sum, fr_mul(combination.factors[term], load_term(term, row)));
        }
    }
    acc[row] = sum;
}

// Bits of the number of an invocation.
const POWER_BITS = 28u;

struct PowersParams {
    len: u32,
    // Invocations: each makes the powers of its number and of multiples of the stride above it.
    stride: u32,
    initial: Element,
    // base^stride
    step: Element,
    // base^(2^i)
    squares: array<Element, POWER_BITS>,
}

@group(0) @binding(0) var<storage, read> powers_params: PowersParams;

@compute @workgroup_size(ELEMENTWISE_THREADS)
fn powers(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group_number(group, groups) * ELEMENTWISE_THREADS + thread;
    if first >= powers_params.stride {
        return;
    }
    var power = powers_params.initial;
    var bit = 0u;
    for (var rest = first; rest != 0u; rest >>= 1u) {
        if (rest & 1u) == 1u {
            power = fr_mul(power, powers_params.squares[bit]);
        }
        bit += 1u;
    }
    for (var row = first; row < powers_params.len; row += powers_params.stride) {
        acc[row] = power;
        power = fr_mul(power, powers_params.step);
    }
}
