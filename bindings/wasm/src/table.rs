//! The table of small scalars that the file of the module does not have.
//!
//! halo2curves has a table of the first 2^16 elements of the scalar field, in Montgomery form. In the file its bytes
//! are zeros behind the first three (`scripts/wasm_bindgen`), which makes it a megabyte and more shorter; whoever loads
//! the module writes [`small_scalars`] there before anything else, as a loader puts a program's constants into its
//! memory.

use halo2curves::bn256::Fr;
use halo2curves::ff::Field;
use halo2curves::serde::SerdeObject;
use wasm_bindgen::prelude::wasm_bindgen;

/// Entries of the table.
const ENTRIES: usize = 1 << 16;

/// The table's bytes. They follow from 1 by additions, which need no table.
#[wasm_bindgen]
pub fn small_scalars() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut element = Fr::ZERO;
    for _ in 0..ENTRIES {
        bytes.extend_from_slice(&element.to_raw_bytes());
        element += Fr::ONE;
    }
    bytes
}
