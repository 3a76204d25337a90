//! A zoo of small circuits: every feature of the constraint system alone, and all of them together.
//!
//! Each circuit comes with an honest witness and with a tampered one, which differs in one cell or one public input.
//!
//! halo2-axiom starts all regions at row 0, so offsets here are absolute rows.

mod everything;
mod extremes;
mod gates;
mod lookups;
mod phases;
mod rows;
mod wiring;

pub use everything::Everything;
pub use extremes::{Empty, PublicOnly, Tall, Wide};
pub use gates::{Arithmetic, DegreeFive, DegreeSix, MixedDegrees, Product, Switches};
pub use lookups::{ManyLookups, RangeCheck};
pub use phases::{SelfPacedPhases, ThreePhases, TwoPhases, Unknown};
pub use rows::{FullRows, Recurrence};
pub use wiring::{Chunks, Constants, Public};

use halo2_proofs::plonk::Circuit;
use halo2curves::bn256::Fr;

/// A circuit of the zoo.
pub trait Specimen: Circuit<Fr> {
    /// log2 of the number of rows.
    const K: u32;

    /// A witness that satisfies the circuit.
    fn honest() -> Self;

    /// Another witness that satisfies the circuit, with other public inputs where the circuit leaves a choice.
    fn other() -> Self
    where
        Self: Sized,
    {
        Self::honest()
    }

    /// A witness, or public inputs, that violate the circuit in one place. `None` where nothing can be wrong.
    fn tampered() -> Option<Self>
    where
        Self: Sized;

    /// The public inputs.
    fn instances(&self) -> Vec<Vec<Fr>> {
        Vec::new()
    }
}

/// Small integers as field elements.
fn field(values: &[u64]) -> Vec<Fr> {
    values.iter().map(|&value| Fr::from(value)).collect()
}
