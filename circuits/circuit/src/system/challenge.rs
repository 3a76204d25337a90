//! Polynomials in the challenges `s` and `r`, evaluated either as circuit expressions or as field elements.
//!
//! `s` tells output channels apart and is squeezed after phase 1; `r` tells positions apart and is squeezed after
//! the free product coefficients, which are folded with `s`, are committed.

use std::ops::{Add, Mul};

use serde::{Deserialize, Serialize};

/// The challenges of a proof.
#[derive(Clone, Copy, Debug)]
pub struct Challenges<T> {
    /// Tells output channels apart; squeezed after phase 1.
    pub s: T,
    /// Tells positions apart; squeezed, like the rest, after phase 2, or together with `s` where nothing stands
    /// between.
    pub r: T,
    /// Tells identities apart.
    pub t: T,
    /// Offset of lookup keys.
    pub alpha: T,
    /// Compresses lookup keys.
    pub theta: T,
}

impl<T> Challenges<T> {
    /// Applies a function to each challenge.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Challenges<U> {
        Challenges { s: f(self.s), r: f(self.r), t: f(self.t), alpha: f(self.alpha), theta: f(self.theta) }
    }
}

/// Which challenge a power is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Variable {
    /// Output channels.
    S,
    /// Positions.
    R,
}

/// A power of one challenge; exponent 0 is the constant 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Power {
    /// The challenge.
    pub variable: Variable,
    /// The exponent.
    pub exponent: usize,
}

impl Power {
    /// The constant 1: an accumulator keeps its value.
    pub const KEEP: Self = Self { variable: Variable::R, exponent: 0 };

    /// `s^exponent`.
    pub const fn s(exponent: usize) -> Self {
        Self { variable: Variable::S, exponent }
    }

    /// `r^exponent`.
    pub const fn r(exponent: usize) -> Self {
        Self { variable: Variable::R, exponent }
    }
}

/// The factor of a term of the grand sum: `s^channels · r^shift · Π_i Σ_{m < count_i} r^(step_i · m)`. The default is
/// 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Factor {
    /// Power of `s` in front.
    pub channels: usize,
    /// Power of `r` in front.
    pub shift: usize,
    /// Geometric sums, as (step, count).
    pub runs: Vec<(usize, usize)>,
}

/// Values of the challenges, in the ring where a polynomial is wanted.
#[derive(Clone, Debug)]
pub struct Ring<T> {
    /// The one of the ring.
    pub one: T,
    /// Challenge for output channels.
    pub s: T,
    /// Challenge for positions.
    pub r: T,
}

impl Factor {
    /// A power of `r`.
    pub fn r(shift: usize) -> Self {
        Self { shift, ..Self::default() }
    }

    /// A power of `s`.
    pub fn s(channels: usize) -> Self {
        Self { channels, ..Self::default() }
    }
}

impl<T: Clone + Add<Output = T> + Mul<Output = T>> Ring<T> {
    /// `x^exponent` by squaring.
    pub fn pow(&self, x: &T, exponent: usize) -> T {
        match exponent {
            0 => self.one.clone(),
            1 => x.clone(),
            e => {
                let half = self.pow(x, e / 2);
                let square = half.clone() * half;
                if e % 2 == 1 { square * x.clone() } else { square }
            }
        }
    }

    /// `Σ_{m < count} x^m`, by doubling: `G(2m) = G(m)·(1 + x^m)`.
    pub fn geometric(&self, x: &T, count: usize) -> T {
        match count {
            0 | 1 => self.one.clone(),
            n if n % 2 == 0 => self.geometric(x, n / 2) * (self.one.clone() + self.pow(x, n / 2)),
            n => self.geometric(x, n - 1) * x.clone() + self.one.clone(),
        }
    }

    /// Value of a power.
    pub fn power(&self, power: Power) -> T {
        match power.variable {
            Variable::S => self.pow(&self.s, power.exponent),
            Variable::R => self.pow(&self.r, power.exponent),
        }
    }

    /// Value of a factor.
    pub fn factor(&self, factor: &Factor) -> T {
        let front = match factor.channels {
            0 => self.pow(&self.r, factor.shift),
            channels => self.pow(&self.s, channels) * self.pow(&self.r, factor.shift),
        };
        factor
            .runs
            .iter()
            .filter(|(_, count)| *count > 1)
            .fold(front, |product, (step, count)| product * self.geometric(&self.pow(&self.r, *step), *count))
    }
}
