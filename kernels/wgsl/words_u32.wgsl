// Words of 32 bits to limbs of 13 bits and back, for field_u32.wgsl.

// A 260-bit integer: 256 bits, then four more.
struct Wide {
    low: Element,
    top: u32,
}

fn shift_left_4(a: Element) -> Wide {
    return Wide(
        Element(array<u32, 8>(
            a.limbs[0] << 4u,
            (a.limbs[1] << 4u) | (a.limbs[0] >> 28u),
            (a.limbs[2] << 4u) | (a.limbs[1] >> 28u),
            (a.limbs[3] << 4u) | (a.limbs[2] >> 28u),
            (a.limbs[4] << 4u) | (a.limbs[3] >> 28u),
            (a.limbs[5] << 4u) | (a.limbs[4] >> 28u),
            (a.limbs[6] << 4u) | (a.limbs[5] >> 28u),
            (a.limbs[7] << 4u) | (a.limbs[6] >> 28u),
        )),
        a.limbs[7] >> 28u,
    );
}

fn limbs_13(a: Wide) -> array<u32, 20> {
    let w = a.low.limbs;
    return array<u32, 20>(
        w[0] & 0x1fffu,
        (w[0] >> 13u) & 0x1fffu,
        ((w[0] >> 26u) | (w[1] << 6u)) & 0x1fffu,
        (w[1] >> 7u) & 0x1fffu,
        ((w[1] >> 20u) | (w[2] << 12u)) & 0x1fffu,
        (w[2] >> 1u) & 0x1fffu,
        (w[2] >> 14u) & 0x1fffu,
        ((w[2] >> 27u) | (w[3] << 5u)) & 0x1fffu,
        (w[3] >> 8u) & 0x1fffu,
        ((w[3] >> 21u) | (w[4] << 11u)) & 0x1fffu,
        (w[4] >> 2u) & 0x1fffu,
        (w[4] >> 15u) & 0x1fffu,
        ((w[4] >> 28u) | (w[5] << 4u)) & 0x1fffu,
        (w[5] >> 9u) & 0x1fffu,
        ((w[5] >> 22u) | (w[6] << 10u)) & 0x1fffu,
        (w[6] >> 3u) & 0x1fffu,
        (w[6] >> 16u) & 0x1fffu,
        ((w[6] >> 29u) | (w[7] << 3u)) & 0x1fffu,
        (w[7] >> 10u) & 0x1fffu,
        ((w[7] >> 23u) | (a.top << 9u)) & 0x1fffu,
    );
}

// Carries limbs of up to 32 bits on and packs them; the integer is below 2^256.
fn words_32(t: array<u32, 20>) -> Element {
    let c0 = t[0];
    let c1 = t[1] + (c0 >> 13u);
    let c2 = t[2] + (c1 >> 13u);
    let c3 = t[3] + (c2 >> 13u);
    let c4 = t[4] + (c3 >> 13u);
    let c5 = t[5] + (c4 >> 13u);
    let c6 = t[6] + (c5 >> 13u);
    let c7 = t[7] + (c6 >> 13u);
    let c8 = t[8] + (c7 >> 13u);
    let c9 = t[9] + (c8 >> 13u);
    let c10 = t[10] + (c9 >> 13u);
    let c11 = t[11] + (c10 >> 13u);
    let c12 = t[12] + (c11 >> 13u);
    let c13 = t[13] + (c12 >> 13u);
    let c14 = t[14] + (c13 >> 13u);
    let c15 = t[15] + (c14 >> 13u);
    let c16 = t[16] + (c15 >> 13u);
    let c17 = t[17] + (c16 >> 13u);
    let c18 = t[18] + (c17 >> 13u);
    let c19 = t[19] + (c18 >> 13u);
    let l0 = c0 & 0x1fffu;
    let l1 = c1 & 0x1fffu;
    let l2 = c2 & 0x1fffu;
    let l3 = c3 & 0x1fffu;
    let l4 = c4 & 0x1fffu;
    let l5 = c5 & 0x1fffu;
    let l6 = c6 & 0x1fffu;
    let l7 = c7 & 0x1fffu;
    let l8 = c8 & 0x1fffu;
    let l9 = c9 & 0x1fffu;
    let l10 = c10 & 0x1fffu;
    let l11 = c11 & 0x1fffu;
    let l12 = c12 & 0x1fffu;
    let l13 = c13 & 0x1fffu;
    let l14 = c14 & 0x1fffu;
    let l15 = c15 & 0x1fffu;
    let l16 = c16 & 0x1fffu;
    let l17 = c17 & 0x1fffu;
    let l18 = c18 & 0x1fffu;
    let l19 = c19 & 0x1fffu;
    return Element(array<u32, 8>(
        l0 | (l1 << 13u) | (l2 << 26u),
        (l2 >> 6u) | (l3 << 7u) | (l4 << 20u),
        (l4 >> 12u) | (l5 << 1u) | (l6 << 14u) | (l7 << 27u),
        (l7 >> 5u) | (l8 << 8u) | (l9 << 21u),
        (l9 >> 11u) | (l10 << 2u) | (l11 << 15u) | (l12 << 28u),
        (l12 >> 4u) | (l13 << 9u) | (l14 << 22u),
        (l14 >> 10u) | (l15 << 3u) | (l16 << 16u) | (l17 << 29u),
        (l17 >> 3u) | (l18 << 10u) | (l19 << 23u),
    ));
}
