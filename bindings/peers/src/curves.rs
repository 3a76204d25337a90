//! halo2curves' multi-scalar multiplication: bucket additions in batches that share an inversion.

use group::Curve;
use halo2_proofs::halo2curves::bn256::{G1, G1Affine};
use halo2_proofs::halo2curves::msm::msm_best;
use zkml_gpu_engine::bench::{Inputs, Operation, Outcome};

use crate::Peer;

const NAME: &str = "halo2curves";

/// The peer of a multi-scalar multiplication.
pub(crate) fn peer<'a>(inputs: &'a Inputs, points: &'a [G1Affine]) -> Option<Peer<'a>> {
    if !matches!(inputs.operation(), Operation::Msm | Operation::MsmI8 | Operation::MsmI32) {
        return None;
    }
    let read = |sum: G1| Outcome { points: vec![sum.to_affine()], scalars: vec![] };
    Some(Peer::new(NAME, || (), move |()| msm_best(&inputs.columns()[0], points), read))
}
