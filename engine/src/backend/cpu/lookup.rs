//! The grouping of a lookup argument's input and table, by sorting canonical integers.

use crate::backend::Result;
use crate::error::BackendError;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

/// A canonical integer, most significant limb first, so that the order of arrays is the order of integers.
type Key = [u64; 4];

/// The permuted columns of equally long `input` and `table`; see `VectorOps::permute_lookup`.
pub(super) fn permute(input: &[Fr], table: &[Fr]) -> Result<(Vec<Fr>, Vec<Fr>)> {
    let inputs = sorted(input);
    let tables = sorted(table);
    let mut next_table = tables.iter().peekable();
    let mut permuted: Vec<Option<Fr>> = vec![None; inputs.len()];
    let mut unused = Vec::with_capacity(tables.len());
    for (row, (key, value)) in inputs.iter().enumerate() {
        if row > 0 && inputs[row - 1].0 == *key {
            continue;
        }
        while let Some((_, smaller)) = next_table.next_if(|(candidate, _)| candidate < key) {
            unused.push(*smaller);
        }
        if next_table.next_if(|(candidate, _)| candidate == key).is_none() {
            return Err(BackendError::NotInTable { row: first_missing(input, &tables) });
        }
        permuted[row] = Some(*value);
    }
    unused.extend(next_table.map(|(_, value)| *value));
    // As many rows repeat an input as table entries are unused, both lists being equally long.
    let mut unused = unused.into_iter();
    let permuted = permuted.into_iter().filter_map(|slot| slot.or_else(|| unused.next())).collect();
    Ok((inputs.into_iter().map(|(_, value)| value).collect(), permuted))
}

fn sorted(values: &[Fr]) -> Vec<(Key, Fr)> {
    let mut pairs: Vec<(Key, Fr)> = values.iter().map(|value| (key(value), *value)).collect();
    pairs.par_sort_unstable_by_key(|(key, _)| *key);
    pairs
}

fn key(value: &Fr) -> Key {
    let mut limbs = <[u64; 4]>::from(*value);
    limbs.reverse();
    limbs
}

fn first_missing(input: &[Fr], sorted_table: &[(Key, Fr)]) -> usize {
    let missing = |value: &Fr| sorted_table.binary_search_by_key(&key(value), |(key, _)| *key).is_err();
    input.iter().position(missing).unwrap_or(0)
}
