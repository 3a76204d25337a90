//! The magnitudes that a graph keeps to.
//!
//! With them no accumulator can overflow `i64`: an activation lies within `±2^28`, a weight within `±2^15`, a bias
//! within `±2^40`, and a product of multipliers, activations and their number within `±2^61`.

/// Largest magnitude of an activation: 28 bits unsigned, for numbers that span decades.
pub const ACTIVATION_LIMIT: i64 = (1 << 28) - 1;
/// Largest magnitude of an argument of a table.
pub const ARGUMENT_LIMIT: i64 = (1 << 16) - 1;
/// Most fractional bits of a tensor, and most that may be missing: integers of 29 bits with these scales are far inside
/// of what 32-bit floats hold, so that no difference of two of them is infinite.
pub const FRAC_BITS_LIMIT: i32 = 64;
/// Bits of a weight, with its sign.
pub const WEIGHT_BITS: u32 = 16;
/// Largest magnitude of a bias.
pub const BIAS_LIMIT: i64 = 1 << 40;
/// Largest shift.
pub const MAX_SHIFT: u32 = 20;
/// Most limbs of a remainder: as many bits as a dividend has, where a limb has one.
pub const MAX_REMAINDER_LIMBS: u32 = 40;
/// Most bits of a remainder: its power of two is a factor of 64 bits.
pub const MAX_REMAINDER_BITS: u32 = 59;
/// Most bits of a dividend: twice as many fit 128 bits, and an accumulator 64.
pub const MAX_DIVIDEND_BITS: u32 = 40;
/// Largest magnitude of an accumulator, without learned summands.
pub(crate) const ACCUMULATOR_LIMIT: i128 = 1 << 61;
/// Most bits that a circuit makes room for.
pub(crate) const MAX_WIDTH_BITS: u32 = 60;
/// Largest kernel, stride, dilation and padding of a window.
pub(crate) const WINDOW_LIMIT: usize = 1 << 16;
