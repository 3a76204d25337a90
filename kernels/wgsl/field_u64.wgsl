// Montgomery multiplication with products of 64 bits.

// (t + a·b + m·p) / 2^32, where m makes the division exact. With p < 2^254 and t < 2p the result is below 2p again for
// b < p: no word beyond the eighth is needed.
fn field_row(t: Element, a: u32, b: Element) -> Element {
    let x0 = u64(t.limbs[0]) + u64(a) * u64(b.limbs[0]);
    let m = u64(u32(x0) * FIELD_NEGATED_INVERSE);
    let y0 = u64(u32(x0)) + m * u64(FIELD_MODULUS[0]);
    let x1 = u64(t.limbs[1]) + u64(a) * u64(b.limbs[1]) + (x0 >> 32u);
    let y1 = u64(u32(x1)) + m * u64(FIELD_MODULUS[1]) + (y0 >> 32u);
    let x2 = u64(t.limbs[2]) + u64(a) * u64(b.limbs[2]) + (x1 >> 32u);
    let y2 = u64(u32(x2)) + m * u64(FIELD_MODULUS[2]) + (y1 >> 32u);
    let x3 = u64(t.limbs[3]) + u64(a) * u64(b.limbs[3]) + (x2 >> 32u);
    let y3 = u64(u32(x3)) + m * u64(FIELD_MODULUS[3]) + (y2 >> 32u);
    let x4 = u64(t.limbs[4]) + u64(a) * u64(b.limbs[4]) + (x3 >> 32u);
    let y4 = u64(u32(x4)) + m * u64(FIELD_MODULUS[4]) + (y3 >> 32u);
    let x5 = u64(t.limbs[5]) + u64(a) * u64(b.limbs[5]) + (x4 >> 32u);
    let y5 = u64(u32(x5)) + m * u64(FIELD_MODULUS[5]) + (y4 >> 32u);
    let x6 = u64(t.limbs[6]) + u64(a) * u64(b.limbs[6]) + (x5 >> 32u);
    let y6 = u64(u32(x6)) + m * u64(FIELD_MODULUS[6]) + (y5 >> 32u);
    let x7 = u64(t.limbs[7]) + u64(a) * u64(b.limbs[7]) + (x6 >> 32u);
    let y7 = u64(u32(x7)) + m * u64(FIELD_MODULUS[7]) + (y6 >> 32u);
    let top = u32(x7 >> 32u) + u32(y7 >> 32u);
    return Element(array<u32, 8>(u32(y1), u32(y2), u32(y3), u32(y4), u32(y5), u32(y6), u32(y7), top));
}

// a·b/2^256 mod p.
fn field_mul(a: Element, b: Element) -> Element {
    let t0 = field_row(field_zero(), a.limbs[0], b);
    let t1 = field_row(t0, a.limbs[1], b);
    let t2 = field_row(t1, a.limbs[2], b);
    let t3 = field_row(t2, a.limbs[3], b);
    let t4 = field_row(t3, a.limbs[4], b);
    let t5 = field_row(t4, a.limbs[5], b);
    let t6 = field_row(t5, a.limbs[6], b);
    let t7 = field_row(t6, a.limbs[7], b);
    return field_reduce_once(t7);
}
