//! The rows of a hash: which cell is what, as numbers, before there is a circuit.
//!
//! One S-box to a row: a full round takes three rows, in which the state is turned, so that each element comes to the
//! first lane in its turn, and a partial round takes one. A permutation is 81 rows. The values that a permutation takes
//! in stand one to a row beside the permutation before, at most 62 of them ([`Packing`]), so they cost no rows:
//!
//! ```text
//! row        state (3 lanes, square)     word            held     value
//! start(b)   [h + c, a, b]               b               a
//!   + 1      [a + c, b, h^5]
//!   + 2      [b + c, h^5, a^5]
//!   + 3      next round                  ...
//!    ⋮         ⋮                         first digit              first value of the pair
//!    ⋮         ⋮                         a               -        last value of a word
//!    ⋮         ⋮                         first digit     a        first value of the other
//! start(b+1) [h + c, a, b]               b               a        last value of the pair
//!    ⋮         ⋮
//! output     [hash, ..]
//! ```

use halo2curves::bn256::Fr;
use serde::{Deserialize, Serialize};
use zkml_gpu_graph::Format;

use super::packing::{HashError, Packing};
use super::poseidon::{FULL_ROUNDS, PARTIAL_ROUNDS, Poseidon, WIDTH, is_full};

/// Rows of the full rounds before the partial ones, and as many after them.
const OUTER_ROWS: usize = FULL_ROUNDS / 2 * WIDTH;
/// Rows of a permutation: one for each S-box.
pub const PERMUTATION_ROWS: usize = 2 * OUTER_ROWS + PARTIAL_ROUNDS;

/// What a fixed column says of a row. Each is 1 or 0 but for the constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HashRole {
    /// A row of the state.
    Row,
    /// What is added to the first lane, as a number that [`RowConstants::element`] has the element of.
    Constant,
    /// The state follows from the row before by an S-box and a turn: inside of a full round.
    Rotation,
    /// It follows from the last row of a full round.
    FullMix,
    /// It follows from the row of a partial round.
    PartialMix,
    /// The first lane follows from the last row of a full round, the others are a pair of words; or, behind the last
    /// permutation, nothing.
    Pair,
    /// The last lane is a word: of a first row whose other word is the salt.
    Lone,
    /// A value is the first digit of a word.
    First(Packing),
    /// A value is a further digit of a word.
    Next(Packing),
    /// The first lane is the public hash.
    Public,
}

impl HashRole {
    /// Whether a row with this role has a value.
    pub const fn has_value(self) -> bool {
        match self {
            Self::First(_) | Self::Next(_) => true,
            Self::Row
            | Self::Constant
            | Self::Rotation
            | Self::FullMix
            | Self::PartialMix
            | Self::Pair
            | Self::Lone
            | Self::Public => false,
        }
    }

    /// Whether the numbers, which may be from a file, are some format's.
    pub fn is_sound(self) -> bool {
        match self {
            Self::First(packing) | Self::Next(packing) => packing.is_sound(),
            Self::Row
            | Self::Constant
            | Self::Rotation
            | Self::FullMix
            | Self::PartialMix
            | Self::Pair
            | Self::Lone
            | Self::Public => true,
        }
    }
}

/// Where a tensor's hash stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedTensor {
    packing: Packing,
    frac_bits: i32,
    mantissa: u32,
    len: usize,
    first_row: usize,
}

impl HashedTensor {
    /// A tensor of `len` values whose rows begin at `first_row`, which is not row 0: gates read the row before.
    ///
    /// # Errors
    /// [`HashError::Empty`], and [`HashError::FirstRow`] for row 0.
    pub fn new(format: Format, len: usize, first_row: usize) -> Result<Self, HashError> {
        match (len, first_row) {
            (0, _) => Err(HashError::Empty),
            (_, 0) => Err(HashError::FirstRow),
            _ => {
                let (packing, Format { frac_bits, mantissa, .. }) = (Packing::new(format), format);
                Ok(Self { packing, frac_bits, mantissa, len, first_row })
            }
        }
    }

    /// How the values become words.
    pub const fn packing(&self) -> Packing {
        self.packing
    }

    /// First row.
    pub const fn first_row(&self) -> usize {
        self.first_row
    }

    /// Number of values.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value, which no such tensor has.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Words of the tensor.
    pub const fn words(&self) -> usize {
        self.len.div_ceil(self.packing.word_values())
    }

    /// Permutations: they take in the salt and the words, two at a time.
    pub const fn permutations(&self) -> usize {
        1 + self.words() / 2
    }

    /// Whether the first permutation takes in a word beside the salt.
    pub const fn is_lone(&self) -> bool {
        self.words() % 2 == 1
    }

    /// Values of a word.
    pub(super) fn word_len(&self, word: usize) -> usize {
        let full = self.packing.word_values();
        full.min(self.len - word * full)
    }

    /// First row of a permutation; that of their number is the row of the hash.
    pub(super) fn start(&self, permutation: usize) -> usize {
        // The digits of a word beside the salt stand before the first permutation.
        let lead = if self.is_lone() { self.word_len(0) - 1 } else { 0 };
        self.first_row + lead + permutation * PERMUTATION_ROWS
    }

    /// The row whose second lane is the salt.
    pub fn salt_row(&self) -> usize {
        self.start(0)
    }

    /// The row whose first lane is the hash, and the row of the public cell.
    pub fn output_row(&self) -> usize {
        self.start(self.permutations())
    }

    /// First row behind.
    pub fn end(&self) -> usize {
        self.output_row() + 1
    }

    /// Row of a word's last digit: the one where it is taken in, or for the first of a pair the last before the other.
    fn word_row(&self, word: usize) -> usize {
        // The salt comes before, and a 0 that makes the number even.
        let place = word + if self.is_lone() { 1 } else { 2 };
        match place % 2 {
            0 => self.start(place / 2) - self.word_len(word + 1),
            _ => self.start(place / 2),
        }
    }

    /// Rows of a word's digits.
    pub(super) fn word_rows(&self, word: usize) -> std::ops::RangeInclusive<usize> {
        let last = self.word_row(word);
        last + 1 - self.word_len(word)..=last
    }

    /// Row of a value.
    pub fn value_row(&self, element: usize) -> usize {
        let full = self.packing.word_values();
        self.word_rows(element / full).start() + element % full
    }

    /// The capacity before the first permutation.
    pub(super) fn domain(&self) -> Fr {
        self.packing.domain((self.frac_bits, self.mantissa), self.len)
    }

    /// The fixed cells other than 0, as role, row and value; `number` counts the circuit's hashed tensors from 0.
    pub fn fixed_cells(&self, number: usize) -> Vec<(HashRole, usize, i64)> {
        let mut cells = Vec::new();
        for permutation in 0..self.permutations() {
            let start = self.start(permutation);
            cells.push((HashRole::Row, start, 1));
            match permutation {
                0 => cells.push((HashRole::Constant, start, -1 - number as i64)),
                _ => cells.extend([(HashRole::Constant, start, 1), (HashRole::Pair, start, 1)]),
            }
            for step in 1..PERMUTATION_ROWS {
                let row = start + step;
                let constant = (HashRole::Constant, row, step as i64 + 1);
                cells.extend([(HashRole::Row, row, 1), (Step::to(step).role(), row, 1), constant]);
            }
        }
        if self.is_lone() {
            cells.push((HashRole::Lone, self.start(0), 1));
        }
        cells.extend([HashRole::Row, HashRole::Pair, HashRole::Public].map(|role| (role, self.output_row(), 1)));
        for word in 0..self.words() {
            let rows = self.word_rows(word);
            let role = |row: usize| if row == *rows.start() { HashRole::First } else { HashRole::Next };
            cells.extend(rows.clone().map(|row| (role(row)(self.packing), row, 1)));
        }
        cells
    }
}

/// How a row's state follows from that of the row before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// By a turn, inside of a full round.
    Rotation,
    /// By the matrix, which ends a full round.
    FullMix,
    /// By the matrix, which ends a partial round.
    PartialMix,
}

impl Step {
    /// To the row of this number in a permutation, from 1 up to that of the first row behind it.
    pub(super) const fn to(row: usize) -> Self {
        let last = OUTER_ROWS + PARTIAL_ROUNDS;
        match row {
            _ if row > OUTER_ROWS && row <= last => Self::PartialMix,
            _ if row <= OUTER_ROWS && row.is_multiple_of(WIDTH) => Self::FullMix,
            _ if row > last && (row - last).is_multiple_of(WIDTH) => Self::FullMix,
            _ => Self::Rotation,
        }
    }

    const fn role(self) -> HashRole {
        match self {
            Self::Rotation => HashRole::Rotation,
            Self::FullMix => HashRole::FullMix,
            Self::PartialMix => HashRole::PartialMix,
        }
    }
}

/// The elements that the numbers of [`HashRole::Constant`] stand for.
#[derive(Clone, Debug)]
pub struct RowConstants {
    rows: Vec<Fr>,
    firsts: Vec<Fr>,
}

impl RowConstants {
    /// For the hashed tensors of a circuit, in the order of their numbers.
    ///
    /// A row adds the constant of its S-box. Those of the other lanes in a partial round are added after the round: the
    /// round is linear in them, so what they come to is added to the next round's.
    pub fn new(poseidon: &Poseidon, tensors: &[HashedTensor]) -> Self {
        let mut rows = Vec::with_capacity(PERMUTATION_ROWS);
        let mut carried = [Fr::zero(); WIDTH];
        for (round, constants) in poseidon.rounds.iter().enumerate() {
            let mut added = *constants;
            added.iter_mut().zip(carried).for_each(|(constant, carried)| *constant += carried);
            if is_full(round) {
                rows.extend(added);
                carried = [Fr::zero(); WIDTH];
            } else {
                rows.push(added[0]);
                carried = poseidon.mix([Fr::zero(), added[1], added[2]]);
            }
        }
        let firsts = tensors.iter().map(|tensor| tensor.domain() + rows[0]).collect();
        Self { rows, firsts }
    }

    /// From 1 on the constant of a permutation's row; from -1 down that of a tensor's first row, its domain included;
    /// 0 for 0.
    pub fn element(&self, number: i64) -> Option<Fr> {
        let from = |elements: &[Fr], number: u64| elements.get(usize::try_from(number).ok()?.checked_sub(1)?).copied();
        match number {
            0 => Some(Fr::zero()),
            1.. => from(&self.rows, number.unsigned_abs()),
            _ => from(&self.firsts, number.unsigned_abs()),
        }
    }

    /// Constants of the rows of a permutation.
    pub(super) fn rows(&self) -> &[Fr] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn tensor(bits: u32, len: usize) -> HashedTensor {
        HashedTensor::new(Format::new(0, 0, (1 << bits) - 1), len, 5).unwrap()
    }

    #[test]
    fn a_permutation_has_a_row_for_each_s_box() {
        assert_eq!(PERMUTATION_ROWS, 81);
        let steps: Vec<Step> = (1..=PERMUTATION_ROWS).map(Step::to).collect();
        let count = |of| steps.iter().filter(|step| **step == of).count();
        assert_eq!(count(Step::Rotation), 2 * 8);
        assert_eq!(count(Step::FullMix), 8);
        assert_eq!(count(Step::PartialMix), 57);
        assert_eq!(RowConstants::new(&Poseidon::new(), &[]).rows().len(), PERMUTATION_ROWS);
    }

    #[test]
    fn each_value_has_a_row_of_its_own_inside_of_the_hash() {
        for bits in [1, 8, 9, 12, 16, 31, 62] {
            for len in [1, 2, 3, 14, 30, 31, 32, 61, 62, 63, 93, 124, 784] {
                let tensor = tensor(bits, len);
                let rows: Vec<usize> = (0..len).map(|element| tensor.value_row(element)).collect();
                assert!(rows.is_sorted() && rows.iter().collect::<HashSet<_>>().len() == len, "{bits} {len}");
                assert!(rows.iter().all(|row| (5..tensor.end()).contains(row)), "{bits} {len}");
                assert_eq!(rows[len - 1], tensor.start(tensor.permutations() - 1), "{bits} {len}");
            }
        }
    }

    #[test]
    fn no_cell_is_set_twice_and_every_row_of_the_state_has_one_way_to_follow() {
        for (bits, len) in [(8, 1), (8, 31), (8, 32), (8, 63), (8, 784), (12, 100), (62, 9)] {
            let tensor = tensor(bits, len);
            let mut cells = HashMap::new();
            for (role, row, value) in tensor.fixed_cells(3) {
                assert!(cells.insert((role, row), value).is_none(), "{role:?} {row}");
            }
            let ways = [HashRole::Rotation, HashRole::FullMix, HashRole::PartialMix, HashRole::Pair];
            for row in 0..tensor.end() + 9 {
                let count = ways.iter().filter(|way| cells.contains_key(&(**way, row))).count();
                let is_row = cells.contains_key(&(HashRole::Row, row));
                assert_eq!(is_row, (tensor.start(0)..tensor.end()).contains(&row), "{row}");
                assert_eq!(count, usize::from(is_row && row != tensor.start(0)), "{row}");
                let digits = [HashRole::First(tensor.packing), HashRole::Next(tensor.packing)];
                let count = digits.iter().filter(|role| cells.contains_key(&(**role, row))).count();
                assert_eq!(count, usize::from((0..len).any(|element| tensor.value_row(element) == row)), "{row}");
            }
            assert_eq!(cells[&(HashRole::Constant, tensor.start(0))], -4);
        }
    }

    #[test]
    fn the_rows_of_a_picture_of_784_bytes_are_few() {
        let tensor = tensor(8, 784);
        assert_eq!((tensor.words(), tensor.permutations(), tensor.end() - 5), (26, 14, 14 * 81 + 1));
    }

    #[test]
    fn a_hash_has_a_value_and_does_not_begin_on_the_first_row() {
        let format = Format::new(0, 0, 1);
        assert_eq!(HashedTensor::new(format, 0, 1), Err(HashError::Empty));
        assert_eq!(HashedTensor::new(format, 1, 0), Err(HashError::FirstRow));
    }

    #[test]
    fn numbers_without_an_element_are_none() {
        let constants = RowConstants::new(&Poseidon::new(), &[tensor(8, 1)]);
        assert_eq!(constants.element(0), Some(Fr::zero()));
        for known in [1, 81, -1] {
            assert!(constants.element(known).is_some_and(|element| element != Fr::zero()), "{known}");
        }
        for unknown in [82, -2, i64::MAX, i64::MIN] {
            assert_eq!(constants.element(unknown), None, "{unknown}");
        }
    }
}
