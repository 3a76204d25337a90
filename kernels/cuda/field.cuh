// Arithmetic modulo a prime below 2^254, which a type says: `Fr` or `Fq`, written by the composer from the moduli. It
// has
//
//   static modulus(i), doubled_modulus(i), one(i), r_squared(i), inverse_exponent(i)   word i
//   static negated_inverse()                                                           -p^-1 mod 2^32
//
// Arguments and results are below p, in Montgomery form, unless a function says otherwise.

// acc += a·b over every other word of a, from word `first` on: products side by side, so that one chain of carries adds
// them. The carry out is left to the caller.
template <int first> DEVICE void add_products(u32 (&acc)[8], const u32 (&a)[8], u32 b) {
    acc[0] = mad_lo_cc(a[first], b, acc[0]);
    acc[1] = madc_hi_cc(a[first], b, acc[1]);
#pragma unroll
    for (int i = 2; i < 8; i += 2) {
        acc[i] = madc_lo_cc(a[first + i], b, acc[i]);
        acc[i + 1] = madc_hi_cc(a[first + i], b, acc[i + 1]);
    }
}

// acc = a·b over every other word of a, from word `first` on.
template <int first> DEVICE void set_products(u32 (&acc)[8], const u32 (&a)[8], u32 b) {
#pragma unroll
    for (int i = 0; i < 8; i += 2) {
        u64 product = (u64)a[first + i] * b;
        acc[i] = (u32)product;
        acc[i + 1] = (u32)(product >> 32);
    }
}

#ifdef HOST_WIDE_PRODUCTS
inline u64 wide_word(Element a, int i) { return (u64)a.limbs[2 * i + 1] << 32 | a.limbs[2 * i]; }

// sum += a·b; gives what is carried out.
inline u64 add_wide_products(u64 (&sum)[5], Element a, u64 b) {
    unsigned __int128 carry = 0;
    for (int i = 0; i < 4; i++) {
        carry += (unsigned __int128)wide_word(a, i) * b + sum[i];
        sum[i] = (u64)carry;
        carry >>= 64;
    }
    carry += sum[4];
    sum[4] = (u64)carry;
    return (u64)(carry >> 64);
}
#endif

// A constant, by its words.
template <u32 word(int)> DEVICE Element constant() {
    Element value;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        value.limbs[i] = word(i);
    }
    return value;
}

template <class F> struct Field {
    static DEVICE Element zero() { return words_zero(); }

    static DEVICE Element one() { return constant<F::one>(); }

    static DEVICE Element modulus() { return constant<F::modulus>(); }

    static DEVICE Element doubled_modulus() { return constant<F::doubled_modulus>(); }

    static DEVICE Element r_squared() { return constant<F::r_squared>(); }

    // a for a < bound, else a - bound.
    static DEVICE Element subtract_once(Element a, Element bound) {
        u32 borrow;
        Element reduced = subtract_words(a, bound, borrow);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            reduced.limbs[i] = borrow != 0 ? a.limbs[i] : reduced.limbs[i];
        }
        return reduced;
    }

    // a mod p for a < 2p.
    static DEVICE Element reduce_once(Element a) { return subtract_once(a, modulus()); }

    // a mod p for a < 4p.
    static DEVICE Element reduce(Element a) { return reduce_once(subtract_once(a, doubled_modulus())); }

    static DEVICE Element add(Element a, Element b) { return reduce_once(add_words(a, b)); }

    static DEVICE Element twice(Element a) { return add(a, a); }

    static DEVICE Element sub(Element a, Element b) {
        u32 borrow;
        Element difference = subtract_words(a, b, borrow);
        Element correction = modulus();
#pragma unroll
        for (int i = 0; i < 8; i++) {
            correction.limbs[i] &= borrow;
        }
        // The carry out of 2^256 cancels the borrow.
        return add_words(difference, correction);
    }

    static DEVICE Element neg(Element a) { return sub(zero(), a); }

    // a·b/R mod p, below 2p, for a·b < R·p and a < 2^256 - p: for factors below 4p and below p, or both below 2p.
    //
    // The sum is kept in two rows, of words from the first and from the second on: products of even words lie side by
    // side in one, those of odd words in the other. A step adds a·b_i, then the multiple of p that makes the lowest
    // word zero, and drops that word; the rows change places. The sum is below a + p before a step and below 2^32·(a +
    // p) in it, so no row overflows.
#ifndef HOST_WIDE_PRODUCTS
    static LONG_DEVICE Element mul_lazy(Element a, Element b) {
        u32 even[8], odd[8];
        set_products<0>(even, a.limbs, b.limbs[0]);
        set_products<1>(odd, a.limbs, b.limbs[0]);
        reduce_step(even, odd);
#pragma unroll
        for (int i = 1; i < 8; i += 2) {
            product_step(odd, even, a.limbs, b.limbs[i]);
            reduce_step(odd, even);
            if (i < 7) {
                product_step(even, odd, a.limbs, b.limbs[i + 1]);
                reduce_step(even, odd);
            }
        }
        Element product;
        product.limbs[0] = add_cc(even[0], odd[1]);
#pragma unroll
        for (int i = 1; i < 7; i++) {
            product.limbs[i] = addc_cc(even[i], odd[i + 1]);
        }
        product.limbs[7] = addc(even[7], 0);
        return product;
    }
#else
    // In words of 64 bits, for tests on the host of all but this arithmetic.
    static LONG_DEVICE Element mul_lazy(Element a, Element b) {
        u64 inverse = F::negated_inverse();
        inverse *= 2 + wide_word(modulus(), 0) * inverse;
        u64 sum[5] = {};
        for (int i = 0; i < 4; i++) {
            u64 above = add_wide_products(sum, a, wide_word(b, i));
            above += add_wide_products(sum, modulus(), sum[0] * inverse);
            for (int j = 0; j < 4; j++) {
                sum[j] = sum[j + 1];
            }
            sum[4] = above;
        }
        Element product;
        for (int i = 0; i < 8; i++) {
            product.limbs[i] = (u32)(sum[i / 2] >> (i % 2 * 32));
        }
        return product;
    }
#endif

    // For a·b < R·p and a < 2^256 - p.
    static DEVICE Element mul(Element a, Element b) { return reduce_once(mul_lazy(a, b)); }

    static DEVICE Element square(Element a) { return mul(a, a); }

    // The integer that a stands for.
    static DEVICE Element from_montgomery(Element a) { return mul(a, Element{{1, 0, 0, 0, 0, 0, 0, 0}}); }

    // The Montgomery form of an integer, of any below 2^256.
    static DEVICE Element to_montgomery(Element a) { return mul(r_squared(), a); }

    // a^(p-2): the inverse of a, and 0 for 0.
    static DEVICE Element inverse(Element a) {
        Element power = one();
#pragma unroll 1
        for (int word = 7; word >= 0; word--) {
            u32 bits = F::inverse_exponent(word);
#pragma unroll 1
            for (int bit = 31; bit >= 0; bit--) {
                power = square(power);
                if ((bits >> bit & 1) != 0) {
                    power = mul(power, a);
                }
            }
        }
        return power;
    }

    // The same by halvings, for one thread that others wait for: B. S. Kaliski, "The Montgomery inverse and its
    // applications", 1995. A step takes some twenty instructions, and there are 508 at most.
    static DEVICE Element inverse_by_halving(Element a) {
        if (words_are_zero(a)) {
            return a;
        }
        // u·s + v·r = p throughout, so r and s are p at most, and below 2p where they are doubled last.
        Element u = modulus(), v = a, r = zero(), s = Element{{1, 0, 0, 0, 0, 0, 0, 0}};
        u32 steps = 0;
#pragma unroll 1
        for (; !words_are_zero(v); steps++) {
            u32 borrow;
            if ((u.limbs[0] & 1) == 0) {
                u = half_words(u);
                s = add_words(s, s);
            } else if ((v.limbs[0] & 1) == 0) {
                v = half_words(v);
                r = add_words(r, r);
            } else {
                Element difference = subtract_words(u, v, borrow);
                Element sum = add_words(r, s);
                if (borrow == 0 && !words_are_zero(difference)) {
                    u = half_words(difference);
                    r = sum;
                    s = add_words(s, s);
                } else {
                    v = half_words(subtract_words(v, u, borrow));
                    s = sum;
                    r = add_words(r, r);
                }
            }
        }
        // Now r = -2^steps/a as integers, and a stands for a/R: the inverse's form is -r·R²/2^steps. There are 254 to 508
        // steps, and 2^253 is below p.
        Element inverse = to_montgomery(neg(reduce_once(r)));
        u32 exponent = 512 - steps;
#pragma unroll 1
        for (; exponent > 253; exponent--) {
            inverse = add(inverse, inverse);
        }
        Element power = zero();
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            power.limbs[i] = exponent / 32 == i ? 1u << exponent % 32 : 0;
        }
        return mul(inverse, power);
    }

  private:
    // Adds a·b. `base` was the upper row and holds words from the first on now; `above` held them, and what is left of
    // it moves up one word in the sum, two in the row.
    static DEVICE void product_step(u32 (&base)[8], u32 (&above)[8], const u32 (&a)[8], u32 b) {
        base[0] = add_cc(base[0], above[1]);
#pragma unroll
        for (int i = 0; i < 6; i += 2) {
            above[i] = madc_lo_cc(a[i + 1], b, above[i + 2]);
            above[i + 1] = madc_hi_cc(a[i + 1], b, above[i + 3]);
        }
        above[6] = madc_lo_cc(a[7], b, 0);
        above[7] = madc_hi(a[7], b, 0);
        add_products<0>(base, a, b);
        above[7] = addc(above[7], 0);
    }

    // Adds the multiple of p that makes the lowest word zero.
    static DEVICE void reduce_step(u32 (&base)[8], u32 (&above)[8]) {
        u32 p[8];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            p[i] = F::modulus(i);
        }
        u32 factor = base[0] * F::negated_inverse();
        add_products<1>(above, p, factor);
        add_products<0>(base, p, factor);
        above[7] = addc(above[7], 0);
    }
};

DEVICE Element fr_add(Element a, Element b) { return Field<Fr>::add(a, b); }
DEVICE Element fr_sub(Element a, Element b) { return Field<Fr>::sub(a, b); }
DEVICE Element fr_neg(Element a) { return Field<Fr>::neg(a); }
DEVICE Element fr_mul(Element a, Element b) { return Field<Fr>::mul(a, b); }
DEVICE Element fr_square(Element a) { return Field<Fr>::square(a); }
DEVICE Element fr_one() { return Field<Fr>::one(); }
DEVICE Element fr_zero() { return words_zero(); }
DEVICE bool fr_is_zero(Element a) { return words_are_zero(a); }
DEVICE Element fr_from_montgomery(Element a) { return Field<Fr>::from_montgomery(a); }
DEVICE Element fr_to_montgomery(Element a) { return Field<Fr>::to_montgomery(a); }
DEVICE Element fr_inverse(Element a) { return Field<Fr>::inverse(a); }
DEVICE Element fr_inverse_by_halving(Element a) { return Field<Fr>::inverse_by_halving(a); }

DEVICE Element fq_add(Element a, Element b) { return Field<Fq>::add(a, b); }
DEVICE Element fq_sub(Element a, Element b) { return Field<Fq>::sub(a, b); }
DEVICE Element fq_neg(Element a) { return Field<Fq>::neg(a); }
DEVICE Element fq_twice(Element a) { return Field<Fq>::twice(a); }
DEVICE Element fq_mul(Element a, Element b) { return Field<Fq>::mul(a, b); }
DEVICE Element fq_square(Element a) { return Field<Fq>::square(a); }
DEVICE Element fq_one() { return Field<Fq>::one(); }
DEVICE Element fq_zero() { return words_zero(); }
DEVICE Element fq_inverse(Element a) { return Field<Fq>::inverse(a); }
