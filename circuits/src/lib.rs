//! Quantised neural networks as Halo2 circuits.
