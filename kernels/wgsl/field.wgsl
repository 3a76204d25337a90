// What both arithmetics share. `field_` and `FIELD_` stand for the prefix of one field; the composer writes this file
// out once for each. Arguments and results are below p, in Montgomery form; `field_mul` comes with the arithmetic.

fn field_zero() -> Element {
    return Element(array<u32, 8>(0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u));
}

fn field_one() -> Element {
    return Element(FIELD_ONE);
}

fn field_is_zero(a: Element) -> bool {
    return words_are_zero(a);
}

fn field_equal(a: Element, b: Element) -> bool {
    return words_are_equal(a, b);
}

// a mod p for a < 2p.
fn field_reduce_once(a: Element) -> Element {
    let reduced = subtract_words(a, Element(FIELD_MODULUS));
    if reduced.borrow != 0u {
        return a;
    }
    return reduced.words;
}

fn field_add(a: Element, b: Element) -> Element {
    return field_reduce_once(add_words(a, b));
}

fn field_double(a: Element) -> Element {
    return field_add(a, a);
}

fn field_sub(a: Element, b: Element) -> Element {
    let difference = subtract_words(a, b);
    if difference.borrow == 0u {
        return difference.words;
    }
    // The carry out of 2^256 cancels the borrow.
    return add_words(difference.words, Element(FIELD_MODULUS));
}

fn field_neg(a: Element) -> Element {
    return field_sub(field_zero(), a);
}

fn field_square(a: Element) -> Element {
    return field_mul(a, a);
}

// The integer that a stands for, below p.
fn field_from_montgomery(a: Element) -> Element {
    return field_mul(a, Element(array<u32, 8>(1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u)));
}

// a for an integer below p: its Montgomery form.
fn field_to_montgomery(a: Element) -> Element {
    return field_mul(a, Element(FIELD_R_SQUARED));
}

// a^(p-2): the inverse of a, and 0 for 0.
fn field_inverse(a: Element) -> Element {
    var exponent = FIELD_INVERSE_EXPONENT;
    var power = field_one();
    for (var bit = 254u; bit > 0u; bit--) {
        power = field_square(power);
        if ((exponent[(bit - 1u) / 32u] >> ((bit - 1u) % 32u)) & 1u) == 1u {
            power = field_mul(power, a);
        }
    }
    return power;
}
