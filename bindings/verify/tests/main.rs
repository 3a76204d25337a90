//! Tests of the verifier, as a library and as a program.

mod batch;
mod program;
