// Eight 32-bit words, least significant first: a field element, in Montgomery form with R = 2^256 unless said
// otherwise.
struct Element {
    limbs: array<u32, 8>,
}

struct Difference {
    words: Element,
    borrow: u32,
}

// (a + b + carry mod 2^32, carry out).
fn add_with_carry(a: u32, b: u32, carry: u32) -> vec2<u32> {
    let sum = a + b;
    let total = sum + carry;
    return vec2<u32>(total, u32(sum < a) + u32(total < sum));
}

// (a - b - borrow mod 2^32, borrow out).
fn subtract_with_borrow(a: u32, b: u32, borrow: u32) -> vec2<u32> {
    let difference = a - b;
    return vec2<u32>(difference - borrow, u32(a < b) + u32(difference < borrow));
}

// a + b for a sum below 2^256.
fn add_words(a: Element, b: Element) -> Element {
    let s0 = add_with_carry(a.limbs[0], b.limbs[0], 0u);
    let s1 = add_with_carry(a.limbs[1], b.limbs[1], s0.y);
    let s2 = add_with_carry(a.limbs[2], b.limbs[2], s1.y);
    let s3 = add_with_carry(a.limbs[3], b.limbs[3], s2.y);
    let s4 = add_with_carry(a.limbs[4], b.limbs[4], s3.y);
    let s5 = add_with_carry(a.limbs[5], b.limbs[5], s4.y);
    let s6 = add_with_carry(a.limbs[6], b.limbs[6], s5.y);
    let s7 = a.limbs[7] + b.limbs[7] + s6.y;
    return Element(array<u32, 8>(s0.x, s1.x, s2.x, s3.x, s4.x, s5.x, s6.x, s7));
}

// a - b mod 2^256, and whether a < b.
fn subtract_words(a: Element, b: Element) -> Difference {
    let d0 = subtract_with_borrow(a.limbs[0], b.limbs[0], 0u);
    let d1 = subtract_with_borrow(a.limbs[1], b.limbs[1], d0.y);
    let d2 = subtract_with_borrow(a.limbs[2], b.limbs[2], d1.y);
    let d3 = subtract_with_borrow(a.limbs[3], b.limbs[3], d2.y);
    let d4 = subtract_with_borrow(a.limbs[4], b.limbs[4], d3.y);
    let d5 = subtract_with_borrow(a.limbs[5], b.limbs[5], d4.y);
    let d6 = subtract_with_borrow(a.limbs[6], b.limbs[6], d5.y);
    let d7 = subtract_with_borrow(a.limbs[7], b.limbs[7], d6.y);
    return Difference(Element(array<u32, 8>(d0.x, d1.x, d2.x, d3.x, d4.x, d5.x, d6.x, d7.x)), d7.y);
}

fn words_are_zero(a: Element) -> bool {
    return (a.limbs[0] | a.limbs[1] | a.limbs[2] | a.limbs[3] | a.limbs[4] | a.limbs[5] | a.limbs[6] | a.limbs[7]) == 0u;
}

fn words_are_equal(a: Element, b: Element) -> bool {
    return ((a.limbs[0] ^ b.limbs[0]) | (a.limbs[1] ^ b.limbs[1]) | (a.limbs[2] ^ b.limbs[2]) | (a.limbs[3] ^ b.limbs[3])
        | (a.limbs[4] ^ b.limbs[4]) | (a.limbs[5] ^ b.limbs[5]) | (a.limbs[6] ^ b.limbs[6]) | (a.limbs[7] ^ b.limbs[7])) == 0u;
}
