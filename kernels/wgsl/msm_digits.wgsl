// Scalars to signed digits, and digits to entries sorted by bucket: the first half of Pippenger's method.
//
// The smaller of v and p - v is decomposed, the sign goes to the point, so small scalars of either sign have few
// digits. Digit w belongs to level w / sets of the table and to set w % sets of the buckets; zeros are skipped. A job
// is one set of one column.
//
// Digits come without carries: the sum of half = 2^(bits-1) in every window is added first and half taken off each
// window then.

const DIGIT_THREADS = 256u;
// Windows of a scalar at most.
const DIGIT_WINDOWS = 64u;

struct DigitParams {
    // Rows of the scalars seen.
    len: u32,
    // Rows of one level of the table seen.
    stride: u32,
    bits: u32,
    sets: u32,
    windows: u32,
    // The sets that are counted or placed, and the job of the first of them.
    first_set: u32,
    end_set: u32,
    first_job: u32,
    // half in every window, which may reach past 256 bits.
    halves: array<u32, 10>,
}

@group(0) @binding(0) var<storage, read> digits: DigitParams;
@group(0) @binding(1) var<storage, read> digit_scalars: array<Element>;

struct Magnitude {
    words: Element,
    negative: bool,
}

// The smaller of v and p - v.
fn magnitude(scalar: Element) -> Magnitude {
    let value = fr_from_montgomery(scalar);
    let opposite = subtract_words(Element(FR_MODULUS), value).words;
    let negative = subtract_words(opposite, value).borrow != 0u;
    if negative {
        return Magnitude(opposite, true);
    }
    return Magnitude(value, false);
}

// The magnitude with half added in every window. The magnitude is below 0.76·2^253, so for windows of four bits and
// more the sum is below 2^(bits·windows).
fn shifted(words: Element) -> array<u32, 10> {
    let h = digits.halves;
    let s0 = add_with_carry(words.limbs[0], h[0], 0u);
    let s1 = add_with_carry(words.limbs[1], h[1], s0.y);
    let s2 = add_with_carry(words.limbs[2], h[2], s1.y);
    let s3 = add_with_carry(words.limbs[3], h[3], s2.y);
    let s4 = add_with_carry(words.limbs[4], h[4], s3.y);
    let s5 = add_with_carry(words.limbs[5], h[5], s4.y);
    let s6 = add_with_carry(words.limbs[6], h[6], s5.y);
    let s7 = add_with_carry(words.limbs[7], h[7], s6.y);
    return array<u32, 10>(s0.x, s1.x, s2.x, s3.x, s4.x, s5.x, s6.x, s7.x, h[8] + s7.y, h[9]);
}

var<private> digit_words: array<u32, 10>;

// The digit of a window of `digit_words`, from -half to half - 1.
fn digit(window: u32) -> i32 {
    let bit = window * digits.bits;
    let word = bit / 32u;
    let shift = bit % 32u;
    // In two steps, for a shift by 32 is none.
    let joined = (digit_words[word] >> shift) | ((digit_words[word + 1u] << 1u) << (31u - shift));
    return i32(joined & ((1u << digits.bits) - 1u)) - i32(1u << (digits.bits - 1u));
}

@group(0) @binding(2) var<storage, read_write> measured: array<atomic<u32>>;
var<workgroup> measured_here: array<atomic<u32>, DIGIT_WINDOWS>;

// Counts the digits that are not zero, window by window.
@compute @workgroup_size(DIGIT_THREADS)
fn msm_measure(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * DIGIT_THREADS + thread;
    if thread < DIGIT_WINDOWS {
        atomicStore(&measured_here[thread], 0u);
    }
    workgroupBarrier();
    if row < digits.len {
        digit_words = shifted(magnitude(digit_scalars[row]).words);
        for (var window = 0u; window < digits.windows; window++) {
            if digit(window) != 0 {
                atomicAdd(&measured_here[window], 1u);
            }
        }
    }
    workgroupBarrier();
    if thread < digits.windows {
        let count = atomicLoad(&measured_here[thread]);
        if count != 0u {
            atomicAdd(&measured[thread], count);
        }
    }
}

// The bucket of a digit of a set.
fn bucket(set_number: u32, value: i32) -> u32 {
    return ((digits.first_job + set_number - digits.first_set) << (digits.bits - 1u)) + u32(abs(value)) - 1u;
}

@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;

// Counts the digits of every bucket.
@compute @workgroup_size(DIGIT_THREADS)
fn msm_count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * DIGIT_THREADS + thread;
    if row >= digits.len {
        return;
    }
    digit_words = shifted(magnitude(digit_scalars[row]).words);
    for (var set_number = digits.first_set; set_number < digits.end_set; set_number++) {
        for (var window = set_number; window < digits.windows; window += digits.sets) {
            let value = digit(window);
            if value != 0 {
                atomicAdd(&counts[bucket(set_number, value)], 1u);
            }
        }
    }
}

// Where the next entry of every bucket goes; in the end, where the bucket ends.
@group(0) @binding(2) var<storage, read_write> next_entries: array<atomic<u32>>;
// Twice the table's index of a point, plus one for its opposite.
@group(0) @binding(3) var<storage, read_write> placed: array<u32>;

// Writes the entries of every bucket.
@compute @workgroup_size(DIGIT_THREADS)
fn msm_place(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * DIGIT_THREADS + thread;
    if row >= digits.len {
        return;
    }
    let scalar = magnitude(digit_scalars[row]);
    digit_words = shifted(scalar.words);
    for (var set_number = digits.first_set; set_number < digits.end_set; set_number++) {
        var index = row;
        for (var window = set_number; window < digits.windows; window += digits.sets) {
            let value = digit(window);
            if value != 0 {
                let place = atomicAdd(&next_entries[bucket(set_number, value)], 1u);
                placed[place] = (index << 1u) | u32(scalar.negative != (value < 0));
            }
            index += digits.stride;
        }
    }
}
