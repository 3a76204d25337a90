//! What lanes with AVX2 compute with: bounds, constants of the products in doubles, and a field's constants in limbs.

use std::arch::x86_64::*;

use zkml_gpu_kernels::field::Words;

use super::super::{MAX_PRODUCTS, Modulus};

/// Limbs of a residue.
pub(super) const LIMBS: usize = 5;
/// Columns of a product.
pub(super) const COLUMNS: usize = 2 * LIMBS;
/// Bits of a limb.
pub(super) const BITS: i32 = 51;
/// The bits of a limb.
pub(super) const MASK: i64 = (1 << BITS) - 1;
/// What a plain limb is more than a balanced one.
pub(super) const BALANCE: i64 = 1 << (BITS - 1);
/// Added to a column before it is shifted, which AVX2 does without sign. Columns are below 2^62 in absolute value:
/// [`MAX_PRODUCTS`] products add at most five halves of 2^50 and five of 2^51 each.
pub(super) const BIAS: i64 = 1 << 62;
const _: () = assert!(MAX_PRODUCTS as i64 * LIMBS as i64 * 3 * BALANCE + (1 << 59) < BIAS);

/// 2^52: the bits of 2^52 + x are those of 2^52 and x.
pub(super) const INTEGER: f64 = (1u64 << 52) as f64;
/// 1.5·2^52: the same for x of either sign, and added to a double below 2^51 it rounds to an integer.
pub(super) const SIGNED: f64 = 1.5 * INTEGER;
/// 1.5·2^103: rounds a sum to a multiple of 2^51.
pub(super) const HIGH: f64 = SIGNED * (1u64 << BITS) as f64;
pub(super) const HIGH_AND_SIGNED: f64 = HIGH + SIGNED;
/// 2^-51.
pub(super) const SHIFT: f64 = 1.0 / (1u64 << BITS) as f64;

pub(super) const INTEGER_BITS: i64 = INTEGER.to_bits() as i64;
pub(super) const SIGNED_BITS: i64 = SIGNED.to_bits() as i64;
pub(super) const HIGH_BITS: i64 = HIGH.to_bits() as i64;

/// Products, each below 1.134·p, whose sum is a sum of small weight; of more the reduction brings it down.
pub(super) const FEW_PRODUCTS: u32 = 4;

pub(super) type Limbs = [f64; LIMBS];
pub(super) type Half = [__m256d; LIMBS];
pub(super) type Halves = [Half; 2];
pub(super) type Integers = [__m256i; LIMBS];
pub(super) type Columns = [[__m256i; COLUMNS]; 2];

/// A field's constants in limbs.
pub(super) trait Constants: Modulus {
    /// p, plain.
    const PLAIN_P: [i64; LIMBS] = digits(Self::MONTGOMERY.modulus);
    const P: Limbs = doubles(balanced(Self::PLAIN_P));
    /// `floor(p / 2)`, plain.
    const HALF_P: Limbs = doubles(digits(halved(Self::MONTGOMERY.modulus)));
    /// `-p^-1` modulo 2^51, from -2^50 to 2^50.
    const NEGATED_INVERSE: i64 = {
        let inverse = Self::MONTGOMERY.negated_inverse as i64 & MASK;
        if inverse < BALANCE { inverse } else { inverse - (1 << BITS) }
    };
    /// `(k·p + 1) / 2^51` with k = `-p^-1` as above: a residue t plus t·(k·p) is t·2^51 times this. Below 0.26·p.
    const FOLD: Limbs = doubles(fold(balanced(Self::PLAIN_P), Self::NEGATED_INVERSE));
    /// 2^204/p: the multiple of p that a top limb makes.
    const RECIPROCAL: f64 = 1.0 / (Self::P[4] + Self::P[3] * SHIFT);
    const TABLE: &'static Table = &Table::new(Self::P, Self::FOLD);
    const BOUNDED: () = {
        let mut i = 0;
        while i < LIMBS - 1 {
            assert!(Self::P[i].abs() < 0.55 * BALANCE as f64);
            i += 1;
        }
        assert!(Self::P[4] < 0.757 * BALANCE as f64 && Self::FOLD[4] < 0.26 * Self::P[4]);
    };
}

impl<F: Modulus> Constants for F {}

/// Constants in all lanes, as a product's reduction reads them.
#[repr(C, align(32))]
pub(super) struct Table {
    pub(super) fold: Half,
    pub(super) p: Half,
}

impl Table {
    const fn new(p: Limbs, fold: Limbs) -> Self {
        Table { fold: in_all_lanes(fold), p: in_all_lanes(p) }
    }
}

pub(super) const fn in_all_lanes(limbs: Limbs) -> Half {
    let mut lanes = [[0.0; 4]; LIMBS];
    let mut i = 0;
    while i < LIMBS {
        lanes[i] = [limbs[i]; 4];
        i += 1;
    }
    // SAFETY: a register is four doubles in order, of which any bits are valid.
    unsafe { std::mem::transmute::<[[f64; 4]; LIMBS], Half>(lanes) }
}

/// What one product adds to each column besides its halves.
pub(super) const PRODUCT: [i64; COLUMNS] = {
    let mut columns = [0i64; COLUMNS];
    let mut i = 0;
    while i < LIMBS {
        columns = with_row(columns, i);
        i += 1;
    }
    columns
};
/// The same for a product with an integer of one limb.
pub(super) const INTEGER_PRODUCT: [i64; COLUMNS] = with_row([0; COLUMNS], 0);
/// What a reduction needs added to the columns: it takes out the constants of its own products, and makes up for the
/// biases of its shifts. Columns whose limbs become balanced have half a limb more.
pub(super) const REDUCTION: [i64; COLUMNS] = {
    let mut columns = [0i64; COLUMNS];
    let mut i = 0;
    while i < LIMBS - 1 {
        columns = with_row(columns, i + 1);
        i += 1;
    }
    columns = with_row(columns, LIMBS - 1);
    let mut i = 0;
    while i < COLUMNS {
        columns[i] = columns[i].wrapping_neg();
        i += 1;
    }
    let mut i = 0;
    while i < COLUMNS - 1 {
        columns[i] = columns[i].wrapping_add(BIAS);
        if i != LIMBS - 1 {
            columns[i] = columns[i].wrapping_add(BALANCE);
        }
        columns[i + 1] = columns[i + 1].wrapping_sub(BIAS >> BITS);
        i += 1;
    }
    columns
};
/// What a product's columns start with.
pub(super) const START: [i64; COLUMNS] = {
    let mut columns = REDUCTION;
    let mut i = 0;
    while i < COLUMNS {
        columns[i] = columns[i].wrapping_sub(PRODUCT[i]);
        i += 1;
    }
    columns
};

/// The constants of a limb's products with five limbs.
pub(super) const fn with_row(mut columns: [i64; COLUMNS], first: usize) -> [i64; COLUMNS] {
    let mut i = 0;
    while i < LIMBS {
        columns[first + i] = columns[first + i].wrapping_add(SIGNED_BITS);
        columns[first + i + 1] = columns[first + i + 1].wrapping_add(HIGH_BITS);
        i += 1;
    }
    columns
}

/// Plain limbs.
pub(super) const fn digits(words: Words) -> [i64; LIMBS] {
    [
        words[0] as i64 & MASK,
        (words[0] >> 51 | words[1] << 13) as i64 & MASK,
        (words[1] >> 38 | words[2] << 26) as i64 & MASK,
        (words[2] >> 25 | words[3] << 39) as i64 & MASK,
        (words[3] >> 12) as i64,
    ]
}

pub(super) const fn halved(words: Words) -> Words {
    [words[0] >> 1 | words[1] << 63, words[1] >> 1 | words[2] << 63, words[2] >> 1 | words[3] << 63, words[3] >> 1]
}

/// Carries until lower limbs are balanced. Limbs are below 2^61.
pub(super) const fn balanced(mut limbs: [i64; LIMBS]) -> [i64; LIMBS] {
    let mut i = 0;
    while i < LIMBS - 1 {
        let carry = (limbs[i] + BALANCE) >> BITS;
        limbs[i] -= carry << BITS;
        limbs[i + 1] += carry;
        i += 1;
    }
    limbs
}

/// `(k·p + 1) / 2^51`, balanced.
pub(super) const fn fold(p: [i64; LIMBS], k: i64) -> [i64; LIMBS] {
    let mut limbs = [0; LIMBS];
    let mut carry = 1i128;
    let mut i = 0;
    while i < LIMBS {
        let column = p[i] as i128 * k as i128 + carry;
        carry = (column + BALANCE as i128) >> BITS;
        let limb = (column - (carry << BITS)) as i64;
        if i == 0 {
            assert!(limb == 0);
        } else {
            limbs[i - 1] = limb;
        }
        i += 1;
    }
    limbs[LIMBS - 1] = carry as i64;
    limbs
}

/// Integers of at most 53 bits.
pub(super) const fn doubles(limbs: [i64; LIMBS]) -> Limbs {
    let mut doubles = [0.0; LIMBS];
    let mut i = 0;
    while i < LIMBS {
        assert!(limbs[i].abs() < 1 << 53);
        doubles[i] = limbs[i] as f64;
        i += 1;
    }
    doubles
}
