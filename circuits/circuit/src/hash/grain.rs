//! The Grain LFSR that Poseidon's constants are drawn from (Grassi et al., Poseidon, ePrint 2019/458, appendix F; the
//! authors' `generate_parameters_grain.sage`).
//!
//! The constants follow from the field, the width and the numbers of rounds alone, so they are computed, not copied: a
//! copied table is as good as whoever copied it.

use ff::FromUniformBytes;
use halo2curves::bn256::Fr;

/// Bits of the register.
const STATE_BITS: u32 = 80;
/// Steps before the first bit is used.
const WARM_UP: usize = 160;
/// Bits of the state that the next one is the sum of.
const TAPS: [u32; 6] = [62, 51, 38, 23, 13, 0];
/// Bits of the field's order.
pub(super) const FIELD_BITS: usize = 254;

/// The register; bit 0 is the oldest.
pub(super) struct Grain(u128);

impl Grain {
    /// The generator for a prime field of [`FIELD_BITS`] bits, the S-box `x^5`, and these numbers of cells and rounds.
    pub(super) fn new(cells: u128, full_rounds: u128, partial_rounds: u128) -> Self {
        // (value, bits): 1 is a prime field, 0 a power as S-box; 30 ones fill the register.
        let fields = [
            (1, 2),
            (0, 4),
            (FIELD_BITS as u128, 12),
            (cells, 12),
            (full_rounds, 10),
            (partial_rounds, 10),
            ((1 << 30) - 1, 30),
        ];
        let mut state = 0;
        let mut place = 0;
        for (value, bits) in fields {
            // The most significant bit is the oldest.
            (0..bits).rev().for_each(|bit| {
                state |= (value >> bit & 1) << place;
                place += 1;
            });
        }
        let mut grain = Self(state);
        (0..WARM_UP).for_each(|_| {
            grain.step();
        });
        grain
    }

    fn step(&mut self) -> bool {
        let next = TAPS.iter().fold(0, |sum, tap| sum ^ (self.0 >> tap & 1));
        self.0 = self.0 >> 1 | next << (STATE_BITS - 1);
        next == 1
    }

    /// The second bit of the first pair that begins with 1.
    fn bit(&mut self) -> bool {
        while !self.step() {
            self.step();
        }
        self.step()
    }

    /// [`FIELD_BITS`] bits as an integer, little-endian; the most significant bit is drawn first.
    fn integer(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for bit in (0..FIELD_BITS).rev() {
            bytes[bit / 8] |= u8::from(self.bit()) << (bit % 8);
        }
        bytes
    }

    /// The next integer below the field's order: a round constant.
    pub(super) fn constant(&mut self) -> Fr {
        loop {
            if let Some(element) = Option::from(Fr::from_bytes(&self.integer())) {
                return element;
            }
        }
    }

    /// The next integer modulo the field's order: what the matrix is made of.
    pub(super) fn reduced(&mut self) -> Fr {
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&self.integer());
        Fr::from_uniform_bytes(&wide)
    }
}
