//! Columns of small integers, which most of a witness's cells are: four bytes a row instead of 32.
//!
//! An uploaded column is kept as integers if all of its rows are but a few at its end, where random rows hide the
//! others. It becomes field elements when an operation needs them; a commitment does not.

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::field::Words;

use crate::backend::ops::memory::element;

use super::lanes::{Kernel, LANES, Lanes, Modulus, Processor, as_words_mut, with_lanes};

/// Rows at the end of a column that may be any field elements.
pub(super) const RANDOM_ROWS: usize = 64;

/// Rows with integers of either sign, then a few with field elements.
#[derive(Clone)]
pub(in crate::backend) struct Integers {
    pub(in crate::backend) values: Vec<i32>,
    pub(in crate::backend) rest: Vec<Fr>,
}

impl Integers {
    /// A column as integers, if it is one of integers below 2^31.
    pub(super) fn new(processor: Processor, column: &[Fr]) -> Option<Self> {
        let mut values = Vec::new();
        with_lanes!(processor, lanes => lanes.run(Narrow { column, values: &mut values }));
        let rest = &column[values.len()..];
        (rest.len() <= RANDOM_ROWS && !values.is_empty()).then(|| Integers { values, rest: rest.to_vec() })
    }

    pub(super) fn len(&self) -> usize {
        self.values.len() + self.rest.len()
    }

    /// The column as field elements.
    pub(super) fn to_elements(&self, processor: Processor) -> Vec<Fr> {
        let mut elements = super::pages::with_capacity(self.len());
        with_lanes!(processor, lanes => lanes.run(Widen { values: &self.values, elements: &mut elements }));
        elements.extend_from_slice(&self.rest);
        elements
    }
}

/// A vector's rows: integers, then field elements; either may be none.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) integers: &'a [i32],
    pub(super) elements: &'a [Fr],
}

impl<'a> Rows<'a> {
    pub(super) fn len(self) -> usize {
        self.integers.len() + self.elements.len()
    }

    /// The row as a field element.
    pub(super) fn get(self, row: usize) -> Fr {
        match self.integers.get(row) {
            Some(value) => element(i64::from(*value)),
            None => self.elements[row - self.integers.len()],
        }
    }

    /// The field elements divided by R, where there are integers: see [`load`].
    pub(super) fn divided(self) -> Option<Vec<Fr>> {
        if self.integers.is_empty() {
            return None;
        }
        let inverse = radix().invert().unwrap_or(Fr::ONE);
        Some(self.elements.iter().map(|element| element * inverse).collect())
    }

    /// The rows that are field elements, from a row on; none where integers come first.
    pub(super) fn elements_from(self, row: usize) -> Option<&'a [Fr]> {
        self.elements.get(row.checked_sub(self.integers.len())?..)
    }
}

/// The element R, whose residue is R².
pub(super) fn radix() -> Fr {
    let mut radix = [Fr::ZERO];
    as_words_mut(&mut radix)[0] = Fr::MONTGOMERY.r_squared;
    radix[0]
}

/// Eight integers divided by R, since an integer's words are those of a residue: a product with a multiple of
/// [`radix`] makes up for it. Below p.
#[inline(always)]
pub(super) fn load<L: Lanes>(lanes: L, values: &[i32; LANES]) -> L::Vector<Fr> {
    const P: Words = Fr::MONTGOMERY.modulus;
    let mut elements = [Fr::ZERO; LANES];
    for (value, words) in values.iter().zip(as_words_mut(&mut elements)) {
        // p where the integer is negative. Its lowest word exceeds every i32, so that nothing is borrowed.
        let sign = i64::from(*value >> 31) as u64;
        let value = i64::from(*value) as u64;
        *words = [(P[0] & sign).wrapping_add(value), P[1] & sign, P[2] & sign, P[3] & sign];
    }
    lanes.load(&elements)
}

/// The smaller of v and p - v, eight at a time, for v in canonical words; and where it is the latter.
#[inline(always)]
pub(super) fn magnitudes(words: &mut [[u64; LANES]; 4]) -> [bool; LANES] {
    const P: Words = Fr::MONTGOMERY.modulus;
    /// (p - 1) / 2
    const HALF: Words = [P[0] >> 1 | P[1] << 63, P[1] >> 1 | P[2] << 63, P[2] >> 1 | P[3] << 63, P[3] >> 1];
    let mut negative = [false; LANES];
    for lane in 0..LANES {
        let mut borrow = false;
        for i in 0..4 {
            let (rest, first) = HALF[i].overflowing_sub(words[i][lane]);
            borrow = first | rest.overflowing_sub(u64::from(borrow)).1;
        }
        // HALF - v is negative.
        negative[lane] = borrow;
        let mut borrow = false;
        for i in 0..4 {
            let (rest, first) = P[i].overflowing_sub(words[i][lane]);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            borrow = first | second;
            words[i][lane] = if negative[lane] { rest } else { words[i][lane] };
        }
    }
    negative
}

/// Appends the integers of a column, up to the first eight of which one is none.
struct Narrow<'a> {
    column: &'a [Fr],
    values: &'a mut Vec<i32>,
}

impl<L: Lanes> Kernel<L> for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        for chunk in self.column.chunks(LANES) {
            let mut padded = [Fr::ZERO; LANES];
            padded[..chunk.len()].copy_from_slice(chunk);
            let mut words = lanes.canonical_words(lanes.load(&padded));
            let negative = magnitudes(&mut words);
            let mut row = [0; LANES];
            let mut excess = 0;
            for lane in 0..LANES {
                let value = words[0][lane];
                excess |= value >> 31 | words[1][lane] | words[2][lane] | words[3][lane];
                row[lane] = if negative[lane] { (value as i32).wrapping_neg() } else { value as i32 };
            }
            if excess != 0 {
                return;
            }
            self.values.extend_from_slice(&row[..chunk.len()]);
        }
    }
}

/// Appends integers as field elements.
struct Widen<'a> {
    values: &'a [i32],
    elements: &'a mut Vec<Fr>,
}

impl<L: Lanes> Kernel<L> for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let radix = L::single(radix());
        for chunk in self.values.chunks(LANES) {
            let mut padded = [0; LANES];
            padded[..chunk.len()].copy_from_slice(chunk);
            let mut elements = [Fr::ZERO; LANES];
            // Below (1 + 1/84)·p.
            lanes.store_once(lanes.mul(load(lanes, &padded), lanes.broadcast(&radix)), &mut elements);
            self.elements.extend_from_slice(&elements[..chunk.len()]);
        }
    }
}

/// The largest absolute value, and zero for none.
pub(super) fn largest(values: &[i32]) -> u32 {
    values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::lanes::as_words;
    use super::*;
    use ff::PrimeField;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    fn processors() -> Vec<Processor> {
        Processor::all()
    }

    #[test]
    fn integers_survive_the_way_there_and_back() {
        let edges = [0, 1, -1, 127, -128, i64::from(i32::MAX), -i64::from(i32::MAX)];
        for processor in processors() {
            for len in [1, 7, 8, 9, 100] {
                let column: Vec<Fr> = (0..len).map(|i| element(edges[i % edges.len()])).collect();
                let integers = Integers::new(processor, &column).expect("all are small");
                assert_eq!((integers.len(), integers.rest.len()), (len, 0));
                assert_eq!(integers.to_elements(processor), column);
            }
        }
    }

    #[test]
    fn random_rows_may_follow_and_nothing_else_is_taken() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for processor in processors() {
            let mut column: Vec<Fr> = (0..200).map(|i| element(i - 100)).collect();
            column.extend((0..6).map(|_| Fr::random(&mut rng)));
            let integers = Integers::new(processor, &column).expect("most are small");
            assert_eq!(integers.to_elements(processor), column);
            for value in [Fr::random(&mut rng), element(1 << 31), element(-(1 << 31)), element(1 << 32), Fr::TWO_INV] {
                let mut other = column.clone();
                other[100] = value;
                assert!(Integers::new(processor, &other).is_none());
            }
            assert!(Integers::new(processor, &[]).is_none());
        }
    }

    #[test]
    fn the_radix_squared_is_the_residue_of_the_radix() {
        assert_eq!(radix(), Fr::from(2).pow_vartime([256]));
        assert_eq!(as_words(&[radix()])[0], Fr::MONTGOMERY.r_squared);
    }
}
