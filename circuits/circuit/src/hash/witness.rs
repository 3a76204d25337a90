//! The witness of a hash.

use std::fmt;

use halo2curves::bn256::Fr;

use super::packing::HashError;
use super::place::{HashedTensor, RowConstants, Step};
use super::poseidon::{Poseidon, WIDTH, fifth_power};
use super::text::{Salt, TensorHash};

/// The advice columns of a circuit's hashes, over its usable rows.
#[derive(Clone)]
pub struct HashTrace {
    /// The state.
    pub state: [Vec<Fr>; WIDTH],
    /// Squares of the first lane.
    pub square: Vec<Fr>,
    /// Words so far.
    pub word: Vec<Fr>,
    /// First words of pairs.
    pub held: Vec<Fr>,
    /// Values.
    pub value: Vec<i64>,
}

impl fmt::Debug for HashTrace {
    /// The size only: the values may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashTrace").field("rows", &self.value.len()).finish_non_exhaustive()
    }
}

impl HashTrace {
    /// Columns of zeros.
    pub fn new(rows: usize) -> Self {
        let column = || vec![Fr::zero(); rows];
        Self {
            state: [(); WIDTH].map(|()| column()),
            square: column(),
            word: column(),
            held: column(),
            value: vec![0; rows],
        }
    }

    /// Writes the rows of a tensor, and returns its hash. Values outside the format's range are hashed as the field has
    /// them.
    ///
    /// # Errors
    /// [`HashError::Length`] for another number of values than the rows are for, [`HashError::Rows`] where the columns
    /// are too short.
    pub fn fill(
        &mut self,
        poseidon: &Poseidon,
        constants: &RowConstants,
        tensor: &HashedTensor,
        values: &[i64],
        salt: Option<&Salt>,
    ) -> Result<TensorHash, HashError> {
        if values.len() != tensor.len() {
            return Err(HashError::Length { got: values.len(), expected: tensor.len() });
        }
        if self.value.len() < tensor.end() {
            return Err(HashError::Rows { got: self.value.len(), expected: tensor.end() });
        }
        self.fill_words(tensor, values);
        let salt = salt.map_or(Fr::zero(), |salt| salt.element());
        let mut capacity = tensor.domain();
        for permutation in 0..tensor.permutations() {
            let start = tensor.start(permutation);
            let pair = match permutation {
                0 if tensor.is_lone() => [salt, self.word[start]],
                0 => [salt, Fr::zero()],
                _ => [self.held[start], self.word[start]],
            };
            capacity = self.fill_permutation(poseidon, constants, start, [capacity, pair[0], pair[1]]);
        }
        let output = tensor.output_row();
        self.fill_state(output, [capacity, self.held[output], self.word[output]]);
        Ok(capacity.into())
    }

    fn fill_words(&mut self, tensor: &HashedTensor, values: &[i64]) {
        let packing = tensor.packing();
        let base = packing.base();
        for (word, values) in values.chunks(packing.word_values()).enumerate() {
            let rows = tensor.word_rows(word);
            for (row, value) in rows.clone().zip(values) {
                let before = self.word[row - 1];
                let (higher, held) = match row == *rows.start() {
                    true => (Fr::zero(), before),
                    false => (before * base, self.held[row - 1]),
                };
                self.value[row] = *value;
                self.word[row] = higher + packing.digit(*value);
                self.held[row] = held;
            }
        }
    }

    /// Writes the rows of a permutation of a state, and returns the capacity after it.
    fn fill_permutation(
        &mut self,
        poseidon: &Poseidon,
        constants: &RowConstants,
        start: usize,
        mut state: [Fr; WIDTH],
    ) -> Fr {
        for (step, constant) in constants.rows().iter().enumerate() {
            state[0] += constant;
            self.fill_state(start + step, state);
            let powered = fifth_power(state[0]);
            let [_, second, third] = state;
            state = match Step::to(step + 1) {
                Step::Rotation => [second, third, powered],
                Step::FullMix => poseidon.mix([second, third, powered]),
                Step::PartialMix => poseidon.mix([powered, second, third]),
            };
        }
        state[0]
    }

    fn fill_state(&mut self, row: usize, state: [Fr; WIDTH]) {
        self.state.iter_mut().zip(state).for_each(|(column, element)| column[row] = element);
        self.square[row] = state[0].square();
    }
}
