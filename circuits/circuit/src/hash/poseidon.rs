//! The Poseidon permutation on three elements (Grassi et al., Poseidon, ePrint 2019/458), as circomlib has it: `x^5`,
//! 8 full rounds around 57 partial ones, 128 bits of security.

use halo2curves::bn256::Fr;

use super::grain::Grain;

/// Elements of the state: one of capacity, two that take in words.
pub(super) const WIDTH: usize = 3;
/// Rounds in which every element goes through the S-box; half of them before the partial ones.
pub(super) const FULL_ROUNDS: usize = 8;
/// Rounds in which the first element alone goes through the S-box.
pub(super) const PARTIAL_ROUNDS: usize = 57;

/// The permutation with its constants.
#[derive(Clone, Debug)]
pub struct Poseidon {
    /// What each round adds before its S-boxes.
    pub(super) rounds: Vec<[Fr; WIDTH]>,
    /// What the state is multiplied by after them.
    pub(super) matrix: [[Fr; WIDTH]; WIDTH],
}

impl Default for Poseidon {
    fn default() -> Self {
        Self::new()
    }
}

impl Poseidon {
    /// Computes the constants, which takes about a millisecond.
    pub fn new() -> Self {
        let mut grain = Grain::new(WIDTH as u128, FULL_ROUNDS as u128, PARTIAL_ROUNDS as u128);
        let rounds = (0..FULL_ROUNDS + PARTIAL_ROUNDS).map(|_| [(); WIDTH].map(|()| grain.constant())).collect();
        // A Cauchy matrix: every square part of it can be inverted. The first draw has six distinct numbers without a
        // sum of 0, as the published matrix shows.
        let [rows, columns] = [(); 2].map(|()| [(); WIDTH].map(|()| grain.reduced()));
        let matrix = rows.map(|x| columns.map(|y| (x + y).invert().unwrap_or(Fr::zero())));
        Self { rounds, matrix }
    }

    /// The permuted state.
    pub fn permute(&self, mut state: [Fr; WIDTH]) -> [Fr; WIDTH] {
        for (round, constants) in self.rounds.iter().enumerate() {
            state.iter_mut().zip(constants).for_each(|(element, constant)| *element += constant);
            let powered = if is_full(round) { WIDTH } else { 1 };
            state[..powered].iter_mut().for_each(|element| *element = fifth_power(*element));
            state = self.mix(state);
        }
        state
    }

    /// The capacity after two words are taken in: circomlibjs's `poseidon([a, b], capacity)`.
    pub fn absorb(&self, capacity: Fr, [a, b]: [Fr; 2]) -> Fr {
        self.permute([capacity, a, b])[0]
    }

    /// The matrix times a state.
    pub(crate) fn mix(&self, state: [Fr; WIDTH]) -> [Fr; WIDTH] {
        self.matrix.map(|row| row.iter().zip(&state).map(|(m, element)| m * element).sum())
    }
}

/// Whether every element goes through the S-box.
pub(super) const fn is_full(round: usize) -> bool {
    round < FULL_ROUNDS / 2 || round >= FULL_ROUNDS / 2 + PARTIAL_ROUNDS
}

/// The S-box.
pub(super) fn fifth_power(x: Fr) -> Fr {
    x.square().square() * x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The integer that hexadecimal digits, the most significant first, stand for.
    fn element(digits: &str) -> Fr {
        let base = Fr::from(16);
        digits
            .chars()
            .map(|digit| Fr::from(u64::from(digit.to_digit(16).unwrap())))
            .fold(Fr::zero(), |n, d| n * base + d)
    }

    /// `poseidonperm_x5_254_3`: constants and test vector of the authors of Poseidon, which circomlib has too.
    #[test]
    fn constants_and_permutation_are_the_published_ones() {
        let poseidon = Poseidon::new();
        let first = element("0ee9a592ba9a9518d05986d656f40c2114c4993c11bb29938d21d47304cd8e6e");
        assert_eq!(poseidon.rounds[0][0], first);
        assert_eq!(poseidon.rounds.len(), 65);
        let corner = element("109b7f411ba0e4c9b2b70caf5c36a7b194be7c11ad24378bfedb68592ba8118b");
        assert_eq!(poseidon.matrix[0][0], corner);
        let permuted = [
            "115cc0f5e7d690413df64c6b9662e9cf2a3617f2743245519e19607a4417189a",
            "0fca49b798923ab0239de1c9e7a4a9a2210312b6a2f616d18b5a87f9b628ae29",
            "0e7ae82e40091e63cbd4f16a6d16310b3729d4b6e138fcf54110e2867045a30c",
        ];
        assert_eq!(poseidon.permute([0, 1, 2].map(Fr::from)), permuted.map(element));
    }

    #[test]
    fn every_square_part_of_the_matrix_can_be_inverted() {
        let m = Poseidon::new().matrix;
        assert!(m.iter().flatten().all(|element| *element != Fr::zero()));
        let minor = |[a, b]: [usize; 2], [c, d]: [usize; 2]| m[a][c] * m[b][d] - m[a][d] * m[b][c];
        let pairs = [[0, 1], [0, 2], [1, 2]];
        for rows in pairs {
            assert!(pairs.iter().all(|columns| minor(rows, *columns) != Fr::zero()));
        }
        let determinant =
            m[0][0] * minor([1, 2], [1, 2]) - m[0][1] * minor([1, 2], [0, 2]) + m[0][2] * minor([1, 2], [0, 1]);
        assert_ne!(determinant, Fr::zero());
    }
}
