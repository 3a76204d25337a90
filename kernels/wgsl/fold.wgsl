// Sums of products of field elements and integers of 16 bits. Integers come with an offset that makes them positive;
// what it adds depends on the factors alone and is taken off in the end. Products are those of half words, and their
// halves are summed apart, four words at a time.

const FOLD_THREADS = 128u;
// -2^15 is the smallest integer.
const FOLD_OFFSET = 32768u;

// Integers that meet the factors from `first_factor` on, and the row that their sum is added to. Fewer than 2^15 + 1.
struct FoldPiece {
    first_integer: u32,
    first_factor: u32,
    len: u32,
    row: u32,
}

struct FoldParams {
    pieces: u32,
}

@group(0) @binding(0) var<storage, read> fold: FoldParams;
@group(0) @binding(1) var<storage, read_write> folded: array<Element>;
@group(0) @binding(2) var<storage, read> pieces: array<FoldPiece>;
// Two to a word.
@group(0) @binding(3) var<storage, read> integers: array<u32>;
@group(0) @binding(4) var<storage, read> fold_factors: array<Element>;
// FOLD_OFFSET·Σ_{i < e} factors[i]
@group(0) @binding(5) var<storage, read> fold_offsets: array<Element>;

fn load_integer(index: u32) -> u32 {
    let pair = integers[index / 2u];
    // Adding 2^15 mod 2^16 turns the sign's bit over.
    return ((pair >> (16u * (index & 1u))) & 0xffffu) ^ FOLD_OFFSET;
}

// Words 0 to 3 or 4 to 7 of a sum: products of their low and of their high halves with integers, the products' halves
// apart. Sums of 2^15 products' halves, two of them and a carry are below 2^32.
struct FoldSum {
    low_low: vec4<u32>,
    low_high: vec4<u32>,
    high_low: vec4<u32>,
    high_high: vec4<u32>,
}

fn fold_add(sum: FoldSum, words: vec4<u32>, integer: u32) -> FoldSum {
    let low = (words & vec4<u32>(0xffffu)) * integer;
    let high = (words >> vec4<u32>(16u)) * integer;
    return FoldSum(
        sum.low_low + (low & vec4<u32>(0xffffu)),
        sum.low_high + (low >> vec4<u32>(16u)),
        sum.high_low + (high & vec4<u32>(0xffffu)),
        sum.high_high + (high >> vec4<u32>(16u)),
    );
}

// A word of a sum and what is carried on.
struct FoldWord {
    word: u32,
    carry: u32,
}

fn fold_word(sum: FoldSum, i: u32, carry: u32) -> FoldWord {
    let low = sum.low_low[i] + carry;
    let high = sum.low_high[i] + sum.high_low[i] + (low >> 16u);
    return FoldWord((low & 0xffffu) | (high << 16u), sum.high_high[i] + (high >> 16u));
}

// The sum mod p.
fn fold_value(low: FoldSum, high: FoldSum) -> Element {
    let w0 = fold_word(low, 0u, 0u);
    let w1 = fold_word(low, 1u, w0.carry);
    let w2 = fold_word(low, 2u, w1.carry);
    let w3 = fold_word(low, 3u, w2.carry);
    let w4 = fold_word(high, 0u, w3.carry);
    let w5 = fold_word(high, 1u, w4.carry);
    let w6 = fold_word(high, 2u, w5.carry);
    let w7 = fold_word(high, 3u, w6.carry);
    let below = Element(array<u32, 8>(w0.word, w1.word, w2.word, w3.word, w4.word, w5.word, w6.word, w7.word));
    let above = Element(array<u32, 8>(w7.carry, 0u, 0u, 0u, 0u, 0u, 0u, 0u));
    // The first factor of a product may be any 256 bits. What is above them is a multiple of R, which is 1 in
    // Montgomery form.
    return fr_add(fr_mul(below, fr_one()), fr_to_montgomery(above));
}

@compute @workgroup_size(FOLD_THREADS)
fn fold_integers(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group, groups) * FOLD_THREADS + thread;
    if number >= fold.pieces {
        return;
    }
    let piece = pieces[number];
    let none = vec4<u32>();
    var low = FoldSum(none, none, none, none);
    var high = low;
    for (var i = 0u; i < piece.len; i += 1u) {
        let integer = load_integer(piece.first_integer + i);
        let words = fold_factors[piece.first_factor + i].limbs;
        low = fold_add(low, vec4<u32>(words[0], words[1], words[2], words[3]), integer);
        high = fold_add(high, vec4<u32>(words[4], words[5], words[6], words[7]), integer);
    }
    let offset = fr_sub(fold_offsets[piece.first_factor + piece.len], fold_offsets[piece.first_factor]);
    folded[piece.row] = fr_add(folded[piece.row], fr_sub(fold_value(low, high), offset));
}
