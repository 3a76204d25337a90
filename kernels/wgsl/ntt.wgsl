// Passes of transforms of n = 2^log_n elements. A pass of radix R = 2^log_radix takes the elements u, u + n/R, u +
// 2n/R, .. for every u below n/R, transforms them in shared memory, turns result j by w^(s·p·j) and writes it to q +
// s·(R·p + j), where u = p·s + q and s is the product of the radices before (Stockham): after the last pass the results
// are in natural order.
//
// An inverse transform takes the same table, of w^i for i < n/2: w^-i = w^(n - i) and w^(n/2) = -1.

const NTT_THREADS = 256u;
const NTT_TILE = 512u;

struct NttParams {
    log_n: u32,
    log_radix: u32,
    // Neighbours u that a workgroup takes together.
    log_neighbours: u32,
    // log2 of s
    log_stride: u32,
    groups: u32,
    inverse: u32,
    // Whether element i is multiplied by factor i before the pass, or after it.
    factors_before: u32,
    factors_after: u32,
    // Whether all results are multiplied by `scale`.
    scaled: u32,
    scale: Element,
}

@group(0) @binding(0) var<storage, read> ntt: NttParams;
@group(0) @binding(1) var<storage, read_write> ntt_out: array<Element>;
@group(0) @binding(2) var<storage, read> ntt_in: array<Element>;
@group(0) @binding(3) var<storage, read> roots: array<Element>;
@group(0) @binding(4) var<storage, read> factors: array<Element>;

var<workgroup> tile: array<Element, NTT_TILE>;

// w^e or, in an inverse transform, w^-e, for e < n.
fn root_power(exponent: u32) -> Element {
    let n = 1u << ntt.log_n;
    var e = exponent;
    if ntt.inverse == 1u {
        e = (n - e) & (n - 1u);
    }
    if 2u * e >= n && n > 1u {
        return fr_neg(roots[e - n / 2u]);
    }
    return roots[e];
}

@compute @workgroup_size(NTT_THREADS)
fn ntt_pass(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group, groups);
    if number >= ntt.groups {
        return;
    }
    let radix = 1u << ntt.log_radix;
    let neighbours = 1u << ntt.log_neighbours;
    let elements = radix * neighbours;
    let first = number * neighbours;
    for (var i = thread; i < elements; i += NTT_THREADS) {
        let row = i >> ntt.log_neighbours;
        let neighbour = i & (neighbours - 1u);
        let source = first + neighbour + (row << (ntt.log_n - ntt.log_radix));
        var value = ntt_in[source];
        if ntt.factors_before == 1u {
            value = fr_mul(value, factors[source]);
        }
        var reversed = 0u;
        if ntt.log_radix > 0u {
            reversed = reverseBits(row) >> (32u - ntt.log_radix);
        }
        tile[(reversed << ntt.log_neighbours) + neighbour] = value;
    }
    workgroupBarrier();
    for (var layer = 0u; layer < ntt.log_radix; layer += 1u) {
        if thread < elements / 2u {
            let neighbour = thread & (neighbours - 1u);
            let butterfly = thread >> ntt.log_neighbours;
            let step = butterfly & ((1u << layer) - 1u);
            let low = ((2u * butterfly - step) << ntt.log_neighbours) + neighbour;
            let high = low + (neighbours << layer);
            let a = tile[low];
            var b = tile[high];
            if step != 0u {
                b = fr_mul(b, root_power(step << (ntt.log_n - 1u - layer)));
            }
            tile[low] = fr_add(a, b);
            tile[high] = fr_sub(a, b);
        }
        workgroupBarrier();
    }
    for (var i = thread; i < elements; i += NTT_THREADS) {
        // Neighbours in the output are neighbours here.
        var result = i >> ntt.log_neighbours;
        var neighbour = i & (neighbours - 1u);
        if ntt.log_stride == 0u {
            result = i & (radix - 1u);
            neighbour = i >> ntt.log_radix;
        }
        let u = first + neighbour;
        let p = u >> ntt.log_stride;
        let q = u & ((1u << ntt.log_stride) - 1u);
        var value = tile[(result << ntt.log_neighbours) + neighbour];
        let exponent = (p * result) << ntt.log_stride;
        if exponent != 0u {
            value = fr_mul(value, root_power(exponent));
        }
        let to = q + (((p << ntt.log_radix) + result) << ntt.log_stride);
        if ntt.factors_after == 1u {
            value = fr_mul(value, factors[to]);
        }
        if ntt.scaled == 1u {
            value = fr_mul(value, ntt.scale);
        }
        ntt_out[to] = value;
    }
}

// Between the halves of a vector of 2·n elements that is too long to be seen at once: the first layer, which leaves two
// transforms of n elements, and the interleaving of their results.
struct SplitParams {
    len: u32,
    // The half made: of even results (0) or of odd ones (1).
    parity: u32,
}

@group(0) @binding(0) var<storage, read> split: SplitParams;
@group(0) @binding(1) var<storage, read_write> half_out: array<Element>;
@group(0) @binding(2) var<storage, read> half_low: array<Element>;
@group(0) @binding(3) var<storage, read> half_high: array<Element>;
@group(0) @binding(4) var<storage, read> half_roots: array<Element>;

// The half of even results (parity 0): low + high; of odd ones: (low - high)·w^row.
@compute @workgroup_size(NTT_THREADS)
fn ntt_split(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * NTT_THREADS + thread;
    if row >= split.len {
        return;
    }
    if split.parity == 0u {
        half_out[row] = fr_add(half_low[row], half_high[row]);
    } else {
        half_out[row] = fr_mul(fr_sub(half_low[row], half_high[row]), half_roots[row]);
    }
}

@compute @workgroup_size(NTT_THREADS)
fn ntt_interleave(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * NTT_THREADS + thread;
    if row < split.len {
        half_out[2u * row] = half_low[row];
        half_out[2u * row + 1u] = half_high[row];
    }
}
