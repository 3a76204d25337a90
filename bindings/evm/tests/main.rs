//! Contracts for circuits and networks, in the machine.

mod attacks;
mod circuit;
mod network;
mod pays;
mod random;
mod support;
