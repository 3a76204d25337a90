//! The link between the folded weights of a proof and a model commitment (`docs/protocol.md`, section 10), on chain.
//!
//! The proof goes on after the opening with `R` and the responses `z_i`. With `[F]` the folded weights' column and `s`
//! the circuit's first challenge, `P = [F] − Σ_c s^c·[W_c]` must be `Σ d_i·[L_i]` over the blinding rows, of which
//! Okamoto's protocol shows knowledge: `Σ z_i·[L_i] = R + e·P`.

use halo2curves::bn256::{Fr, G1Affine};

use crate::contract::Writer;
use crate::opening::{coordinates, is_identity};
use crate::protocol::{Challenge, POINT_BYTES, Protocol, SCALAR_BYTES, Step};

/// What ties the folded weights to a model commitment.
#[derive(Clone, Debug)]
pub struct Link {
    /// The scalar that is absorbed first: it binds the keys, the statement and the model commitment.
    pub digest: Fr,
    /// The advice column of the folded weights.
    pub folded: usize,
    /// The model commitment, one point a column.
    pub model: Vec<G1Affine>,
    /// Lagrange points of the blinding rows.
    pub blinding_points: Vec<G1Affine>,
}

impl Link {
    /// Bytes of the link's part of a proof.
    pub(crate) fn bytes(&self) -> usize {
        POINT_BYTES + self.blinding_points.len() * SCALAR_BYTES
    }

    /// The responses, where the link's part begins there.
    pub(crate) fn scalars(&self, start: usize) -> (usize, usize) {
        (start + POINT_BYTES, self.blinding_points.len())
    }

    /// The transcript after the opening. Its last point was read after the last challenge, so it is taken in first; the
    /// responses are taken in by no challenge.
    pub(crate) fn steps(&self, protocol: &Protocol<'_>) -> Vec<Step> {
        let start = protocol.opening[1];
        vec![Step::Absorb(start, protocol.bytes + POINT_BYTES - start), Step::Squeeze(Challenge::Link)]
    }

    /// Refuses where the equation does not hold. All is in the accumulator:
    /// `(Σ s^c·[W_c] − [F])·e − R + Σ z_i·[L_i] = 0`.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        let s = writer.challenge(Challenge::Circuit(0));
        let e = writer.challenge(Challenge::Link);
        writer.line("// The link to the model commitment.");
        writer.line("{");
        writer.line(format!("let s := mload({s})"));
        writer.line("set(0, 0)");
        for (index, point) in self.model.iter().rev().enumerate() {
            if index > 0 {
                writer.line("multiply(s)");
                writer.multiplications += 1;
            }
            if !is_identity(point) {
                let [x, y] = coordinates(point);
                writer.line(format!("plus({x}, {y})"));
            }
        }
        let folded = writer.proof(writer.protocol.advice[self.folded]);
        let start = writer.protocol.bytes;
        let random = writer.proof(start);
        writer.line(format!("minusOf({folded:#x})"));
        writer.line(format!("multiply(mload({e}))"));
        writer.line(format!("minusOf({random:#x})"));
        for (index, point) in self.blinding_points.iter().enumerate() {
            let [x, y] = coordinates(point);
            let at = writer.proof(start + POINT_BYTES + index * SCALAR_BYTES);
            writer.line(format!("plusMultiple({x}, {y}, calldataload({at:#x}))"));
        }
        writer.multiplications += 1 + self.blinding_points.len();
        writer.line("if or(mload(0), mload(0x20)) { fail() }");
        writer.line("}");
    }
}
