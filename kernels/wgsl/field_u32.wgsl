// Montgomery multiplication without 64-bit integers: twenty limbs of 13 bits, whose products are summed without
// carries. A column of the product sums at most 40 products below 2^26 and a carry below 2^20, which is below 2^32.
//
// Twenty limbs divide by 2^260 where the form asks for 2^256, so one factor is taken times 16.

// (t + a·b + m·p) / 2^13, where m makes the division exact.
fn field_row(t: array<u32, 20>, a: u32, b: array<u32, 20>) -> array<u32, 20> {
    let lowest = t[0] + a * b[0];
    let m = (lowest * FIELD_NEGATED_INVERSE) & 0x1fffu;
    let carry = (lowest + m * FIELD_MODULUS_13[0]) >> 13u;
    return array<u32, 20>(
        t[1] + a * b[1] + m * FIELD_MODULUS_13[1] + carry,
        t[2] + a * b[2] + m * FIELD_MODULUS_13[2],
        t[3] + a * b[3] + m * FIELD_MODULUS_13[3],
        t[4] + a * b[4] + m * FIELD_MODULUS_13[4],
        t[5] + a * b[5] + m * FIELD_MODULUS_13[5],
        t[6] + a * b[6] + m * FIELD_MODULUS_13[6],
        t[7] + a * b[7] + m * FIELD_MODULUS_13[7],
        t[8] + a * b[8] + m * FIELD_MODULUS_13[8],
        t[9] + a * b[9] + m * FIELD_MODULUS_13[9],
        t[10] + a * b[10] + m * FIELD_MODULUS_13[10],
        t[11] + a * b[11] + m * FIELD_MODULUS_13[11],
        t[12] + a * b[12] + m * FIELD_MODULUS_13[12],
        t[13] + a * b[13] + m * FIELD_MODULUS_13[13],
        t[14] + a * b[14] + m * FIELD_MODULUS_13[14],
        t[15] + a * b[15] + m * FIELD_MODULUS_13[15],
        t[16] + a * b[16] + m * FIELD_MODULUS_13[16],
        t[17] + a * b[17] + m * FIELD_MODULUS_13[17],
        t[18] + a * b[18] + m * FIELD_MODULUS_13[18],
        t[19] + a * b[19] + m * FIELD_MODULUS_13[19],
        0u,
    );
}

// a·b/2^256 mod p: below (16p² + 2^260·p) / 2^260 < 2p before the last subtraction.
fn field_mul(a: Element, b: Element) -> Element {
    let x = limbs_13(shift_left_4(a));
    let y = limbs_13(Wide(b, 0u));
    let t0 = field_row(array<u32, 20>(), x[0], y);
    let t1 = field_row(t0, x[1], y);
    let t2 = field_row(t1, x[2], y);
    let t3 = field_row(t2, x[3], y);
    let t4 = field_row(t3, x[4], y);
    let t5 = field_row(t4, x[5], y);
    let t6 = field_row(t5, x[6], y);
    let t7 = field_row(t6, x[7], y);
    let t8 = field_row(t7, x[8], y);
    let t9 = field_row(t8, x[9], y);
    let t10 = field_row(t9, x[10], y);
    let t11 = field_row(t10, x[11], y);
    let t12 = field_row(t11, x[12], y);
    let t13 = field_row(t12, x[13], y);
    let t14 = field_row(t13, x[14], y);
    let t15 = field_row(t14, x[15], y);
    let t16 = field_row(t15, x[16], y);
    let t17 = field_row(t16, x[17], y);
    let t18 = field_row(t17, x[18], y);
    let t19 = field_row(t18, x[19], y);
    return field_reduce_once(words_32(t19));
}
