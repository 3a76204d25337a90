//! The grouping of a lookup argument's input and table, by sorting canonical integers.
//!
//! What is sorted are rows, 16 bytes each with one word of their integer: the highest word first, and by the next word
//! only where that one is equal. Small integers differ in the lowest word alone, and random ones hardly ever beyond the
//! highest.

use std::collections::HashSet;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::lanes::{Kernel, LANES, Lanes};
use crate::backend::Result;
use crate::error::BackendError;

/// The permuted columns of equally long `input` and `table`; see `VectorOps::permute_lookup`.
pub(super) fn permute<L: Lanes>(lanes: L, input: &[Fr], table: &[Fr]) -> Result<(Vec<Fr>, Vec<Fr>)> {
    let (inputs, tables) = rayon::join(|| sorted(lanes, input), || sorted(lanes, table));
    let is_first = |row: usize| row == 0 || inputs[row] != inputs[row - 1];
    let mut next_table = tables.into_iter();
    let mut unused = Vec::with_capacity(table.len());
    for value in (0..inputs.len()).filter(|row| is_first(*row)).map(|row| inputs[row]) {
        // Both are sorted: what stands before the value in the table is smaller, if the value is in the table at all.
        loop {
            match next_table.next() {
                Some(candidate) if candidate == value => break,
                Some(smaller) => unused.push(smaller),
                None => return Err(BackendError::NotInTable { row: first_missing(input, table) }),
            }
        }
    }
    unused.extend(next_table);
    // As many rows repeat an input as table entries are unused, both lists being equally long.
    let mut unused = unused.into_iter();
    let permuted = (0..inputs.len()).filter_map(|row| if is_first(row) { Some(inputs[row]) } else { unused.next() });
    let permuted = permuted.collect();
    Ok((inputs, permuted))
}

/// The values in ascending order of their canonical integers.
fn sorted<L: Lanes>(lanes: L, values: &[Fr]) -> Vec<Fr> {
    let words = lanes.run(CanonicalWords(values));
    let mut rows: Vec<Entry> = (0..values.len()).map(|row| row as Entry).collect();
    sort_by_word(&words, words.len() - 1, &mut rows);
    rows.into_iter().map(|entry| values[row_of(entry)]).collect()
}

/// A row, with a word of its integer above.
type Entry = u128;

#[allow(clippy::cast_possible_truncation, reason = "the lower word is the row of a vector that is in memory")]
fn row_of(entry: Entry) -> usize {
    entry as u64 as usize
}

fn word_of(entry: Entry) -> u64 {
    (entry >> u64::BITS) as u64
}

/// Sorts rows whose higher words are equal.
fn sort_by_word(words: &[Vec<u64>; 4], word: usize, rows: &mut [Entry]) {
    let [first, _, ..] = rows else { return };
    let first = words[word][row_of(*first)];
    let mut differ = false;
    for entry in &mut *rows {
        let (row, value) = (row_of(*entry), words[word][row_of(*entry)]);
        *entry = Entry::from(value) << u64::BITS | row as Entry;
        differ |= value != first;
    }
    if differ {
        rows.par_sort_unstable();
    }
    if word > 0 {
        rows.chunk_by_mut(|a, b| word_of(*a) == word_of(*b)).for_each(|run| sort_by_word(words, word - 1, run));
    }
}

/// The canonical integers of elements: word i of all of them in vector i.
struct CanonicalWords<'a>(&'a [Fr]);

impl<L: Lanes> Kernel<L> for CanonicalWords<'_> {
    type Output = [Vec<u64>; 4];

    #[inline(always)]
    fn run(self, lanes: L) -> [Vec<u64>; 4] {
        let (whole, rest) = self.0.as_chunks::<LANES>();
        let mut words = [const { Vec::new() }; 4];
        for words in &mut words {
            words.reserve_exact(self.0.len());
        }
        for elements in whole {
            for (words, row) in words.iter_mut().zip(lanes.canonical_words(lanes.load(elements))) {
                words.extend_from_slice(&row);
            }
        }
        let mut last = [Fr::ZERO; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for (words, row) in words.iter_mut().zip(lanes.canonical_words(lanes.load(&last))) {
            words.extend_from_slice(&row[..rest.len()]);
        }
        words
    }
}

fn first_missing(input: &[Fr], table: &[Fr]) -> usize {
    let table: HashSet<&Fr> = table.iter().collect();
    input.iter().position(|value| !table.contains(value)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::Cpu;
    use super::super::lanes::with_lanes;
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    /// Values that differ in every word, in one alone, or not at all.
    fn tables(len: usize) -> Vec<Vec<Fr>> {
        let mut rng = ChaCha8Rng::seed_from_u64(len as u64);
        let shift = Fr::from(1 << 32).square();
        let mut draw = |kind: usize| {
            let small = Fr::from(u64::from(rng.next_u32() % 50));
            match kind {
                0 => Fr::random(&mut rng),
                1 => small,
                2 => -small,
                3 => small * shift.square() + Fr::from(u64::from(rng.next_u32() % 3)),
                4 => small * shift - Fr::ONE,
                _ => Fr::ONE,
            }
        };
        let mut tables: Vec<Vec<Fr>> = (0..6).map(|kind| (0..len).map(|_| draw(kind)).collect()).collect();
        tables.push((0..len).map(|row| draw(row % 5)).collect());
        tables
    }

    #[test]
    fn values_are_sorted_as_integers() {
        for backend in Cpu::each() {
            for len in [0, 1, 7, 8, 9, 63, 64, 65, 5000] {
                for table in tables(len) {
                    let mut expected = table.clone();
                    expected.sort_by_key(|value| {
                        let mut words = <[u64; 4]>::from(*value);
                        words.reverse();
                        words
                    });
                    assert_eq!(with_lanes!(backend.processor, lanes => sorted(lanes, &table)), expected);
                }
            }
        }
    }

    #[test]
    fn a_value_that_is_missing_is_found_wherever_it_sorts() {
        for table in tables(65) {
            for missing in [Fr::from(1 << 40), Fr::from(1 << 40).square() + Fr::from(7), -Fr::from(1 << 40)] {
                let mut input = table.clone();
                input[41] = missing;
                for backend in Cpu::each() {
                    let permuted = with_lanes!(backend.processor, lanes => permute(lanes, &input, &table));
                    assert!(matches!(permuted, Err(BackendError::NotInTable { row: 41 })));
                    let permuted = with_lanes!(backend.processor, lanes => permute(lanes, &table, &table));
                    assert!(permuted.is_ok());
                }
            }
        }
    }
}
