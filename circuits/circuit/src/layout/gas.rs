//! What a proof costs on a chain: prices of gas in place of seconds.
//!
//! Most of a contract's gas multiplies points, one for each commitment that is opened, whatever is in the column; so a
//! circuit for contracts has few columns, and more rows. Prices are Ethereum's, with what `zkml-gpu-evm`'s contracts
//! take around each operation; they are fixed, so that a layout follows from the model alone.

use zkml_gpu_engine::prover::CircuitSize;

use crate::system::{Architecture, WeightMode};

/// A transaction, its pairing with two pairs of points, and what no column causes.
const TRANSACTION: f64 = 21_000.0 + 113_000.0 + 20_000.0;
/// A multiplication and an addition of points: the precompiled contracts' 6,000 and 150, two calls of 100, memory.
const MULTIPLICATION: f64 = 6_500.0;
/// Multiplications of the link besides those of the model commitment: the blinding rows' points, and the challenge.
const LINK: usize = 7;
/// A point of calldata: 64 bytes of 16, hashed.
const POINT: f64 = 1_100.0;
/// A value of calldata: 32 bytes of 16, hashed, compared with the modulus, and read by some constraint.
const VALUE: f64 = 700.0;
/// A public value: its calldata, its cell, and its Lagrange polynomial.
const PUBLIC_VALUE: f64 = 900.0;
/// A cell of the instance columns, which is hashed also where it is zero.
const CELL: f64 = 15.0;

/// Gas of a transaction that proves an inference of so many public values, with so many instance cells before hashes.
pub(super) fn transaction(a: &Architecture, size: &CircuitSize, public_values: usize, cells: usize) -> f64 {
    let pieces = size.pieces();
    // The random polynomial and the opening's two points besides; of the key's points none is in calldata.
    let points = size.advice_columns + pieces + 3;
    // The combination of the values, the opening's two points; the first of the pieces is multiplied by nothing.
    let mut multiplications = size.advice_columns + size.fixed_columns + size.argument_columns + pieces + 3;
    if a.weights == WeightMode::Committed {
        multiplications += a.weight_columns + LINK;
    }
    TRANSACTION
        + MULTIPLICATION * multiplications as f64
        + POINT * points as f64
        + VALUE * size.evaluations as f64
        + PUBLIC_VALUE * public_values as f64
        + CELL * cells as f64
}
