//! Words of memory, and numbers as Yul writes them.

use std::fmt;

use ff::PrimeField;

/// A word of memory, by its place in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) usize);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Memory that is handed out from the bottom to the top, each word once.
#[derive(Debug)]
pub(crate) struct Memory {
    next: usize,
}

impl Memory {
    /// Memory from this place on.
    pub(crate) const fn from(next: usize) -> Self {
        Self { next }
    }

    /// A word of its own.
    pub(crate) const fn word(&mut self) -> Slot {
        self.words(1)
    }

    /// So many words, one after the other.
    pub(crate) const fn words(&mut self, count: usize) -> Slot {
        let slot = Slot(self.next);
        self.next += 32 * count;
        slot
    }
}

impl Slot {
    /// The word so many words further.
    pub(crate) const fn plus(self, words: usize) -> Self {
        Self(self.0 + 32 * words)
    }
}

/// An element as an integer in hexadecimal.
pub(crate) fn hex_word<F: PrimeField<Repr = [u8; 32]>>(element: F) -> String {
    let digits: String = element.to_repr().iter().rev().map(|byte| format!("{byte:02x}")).collect();
    let digits = digits.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}
