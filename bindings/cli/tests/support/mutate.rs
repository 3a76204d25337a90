//! Mutations of bytes, the same on every run.

use std::ops::Range;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// Numbers at which lengths, counts and coordinates go wrong.
const EXTREMES: [u64; 9] = [0, 1, 0x7f, 0x80, 0xffff, 1 << 31, u32::MAX as u64, i64::MAX as u64, u64::MAX];

/// A source of mutations.
pub(crate) struct Mutator(ChaCha20Rng);

impl Mutator {
    /// Prints the seed, for a failure to be found again.
    pub(crate) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n.max(1) as u64) as usize
    }

    /// One to three changes that begin within `range`: bits, bytes, numbers, pieces moved, removed or put in, an early
    /// end.
    pub(crate) fn mutate(&mut self, bytes: &[u8], range: Range<usize>) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = (range.start + self.below(range.len())).min(changed.len().saturating_sub(1));
            if !changed.is_empty() {
                self.change(&mut changed, at);
            }
        }
        changed
    }

    fn change(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let len = 1 + self.below(40.min(bytes.len() - at));
        match self.below(8) {
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.below(256) as u8,
            3 => {
                let number = EXTREMES[self.below(EXTREMES.len())].to_le_bytes();
                let size = [1, 2, 4, 8][self.below(4)].min(bytes.len() - at);
                bytes[at..at + size].copy_from_slice(&number[..size]);
            }
            4 => {
                let from = self.below(bytes.len() - len + 1);
                bytes.copy_within(from..from + len, at);
            }
            5 => drop(bytes.drain(at..at + len)),
            6 => {
                let piece = bytes[at..at + len].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at),
        }
    }
}
