//! Hashes of tensors, natively and as rows of a circuit: Poseidon over BN254 with circomlib's parameters.
//!
//! The hash of a tensor depends on its integers in the model's order and on their [`Format`](zkml_gpu_graph::Format),
//! never on where a layout puts them: so one hash serves several models, and circuits of others. [`hash_tensor`] has
//! the definition, [`Packing`] the words that are hashed.
//!
//! ```
//! use zkml_gpu_circuit::hash::{Poseidon, hash_tensor};
//! use zkml_gpu_graph::Format;
//!
//! let format = Format::new(8, 0, 255);
//! let hash = hash_tensor(&Poseidon::new(), format, &[0, 7, 255], None)?;
//! assert!(hash_tensor(&Poseidon::new(), format, &[0, 7, 256], None).is_err());
//! assert_ne!(hash, hash_tensor(&Poseidon::new(), format, &[0, 7, 254], None)?);
//! # Ok::<(), zkml_gpu_circuit::hash::HashError>(())
//! ```
//!
//! It needs nothing of the circuit but the field, and whoever verifies has this crate already: so it is a room here and
//! no crate of its own. The rows ([`HashedTensor`], [`configure`], [`HashTrace`]) know columns and row numbers only;
//! what ties the hashed values to a network's tensor is not here.

mod gates;
mod grain;
mod packing;
mod place;
mod poseidon;
mod text;
mod witness;

pub use gates::{HashColumns, configure};
pub(crate) use packing::hash_elements;
pub use packing::{HashError, Packing, hash_tensor};
pub use place::{HashRole, HashedTensor, PERMUTATION_ROWS, RowConstants};
pub use poseidon::Poseidon;
pub use text::{Salt, TensorHash};
pub use witness::HashTrace;
