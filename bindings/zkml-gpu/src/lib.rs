//! Prove that a quantised neural network produced an output.
