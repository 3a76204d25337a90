//! The library for C: `include/zkml_gpu.h` declares what is here, and says what holds for all of it.
//!
//! | file | what |
//! |---|---|
//! | `status.rs` | errors as codes with words; panics end at the boundary |
//! | `pointers.rs` | what C gives, checked before it is read |
//! | `verify.rs` | keys and verdicts |
//! | `prove.rs` | provers |
//! | `operations.rs` | multi-scalar multiplication and transforms on any back end |
#![expect(unsafe_code, reason = "C's pointers are read and written here")]

pub mod operations;
pub mod pointers;
pub mod prove;
pub mod status;
pub mod verify;
