//! The GWC opening: one commitment for each point at which anything is opened.
//!
//! With P_z = Σ_j v^j·p_j over the polynomials opened at the point z, the commitment is to
//! `W_z = (P_z - P_z(z))/(X - z)`. The verifier checks all of them at once, folded by powers of a further challenge u.
//! Gabizon, Williamson, Ciobotaru ([GWC19](https://eprint.iacr.org/2019/953), the PLONK paper), section 3.
//!
//! The values P_z(z) are never computed: they are constants, and the quotient by X - z is the same without them.

use tracing::info_span;

use super::evaluation::Query;
use super::poly::ProofPoly;
use super::shape::Shape;
use super::{Proof, ProverError};
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;

/// Polynomials that are opened at one point.
#[derive(Debug)]
struct PointSet {
    /// The point, as an exponent of omega in `0..n`.
    rotation: u64,
    /// The polynomials, in the verifier's order.
    polys: Vec<ProofPoly>,
}

/// Groups openings by their points, in the order of first appearance: the order of the verifier's powers of v and u.
fn group(shape: &Shape, openings: &[Query]) -> Vec<PointSet> {
    let mut sets: Vec<PointSet> = Vec::new();
    for &Query { poly, rotation } in openings {
        let rotation = shape.normalize(rotation);
        match sets.iter_mut().find(|set| set.rotation == rotation) {
            Some(set) => set.polys.push(poly),
            None => sets.push(PointSet { rotation, polys: vec![poly] }),
        }
    }
    sets
}

impl<B: Backend> Proof<'_, B> {
    pub(super) fn open_gwc(&mut self) -> Result<(), ProverError> {
        let prover = self.prover;
        let sets = group(&prover.shape, self.schedule.openings());
        let (rows, bytes) = (prover.shape.n, prover.shape.bytes(sets.len() + 1));
        let _span = info_span!(target: TRACING_TARGET, "open", sets = sets.len(), rows, bytes).entered();
        let v = self.squeeze();
        let mut witnesses = Vec::with_capacity(sets.len());
        for set in &sets {
            let combined = self.combine(&set.polys, v)?;
            witnesses.push(prover.backend.divide_by_linear(&combined, self.point(set.rotation))?);
        }
        let commitments = prover.backend.msm(&prover.monomial, &witnesses.iter().collect::<Vec<_>>())?;
        self.write_points(&commitments)?;
        // The verifier's u: whatever follows in the transcript has to find both sides in the same state.
        self.squeeze();
        Ok(())
    }
}
