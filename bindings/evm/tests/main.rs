//! Contracts for circuits and networks, in the machine.

mod circuit;
mod network;
mod pays;
mod support;
