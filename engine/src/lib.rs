//! Halo2 prover over interchangeable back ends.
