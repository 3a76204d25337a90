//! The points that commitments are made with.

use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, G1Affine};

use super::ProverError;
use crate::srs::lagrange::{self, ReadError};

/// The Lagrange points `[l_i(s)]_1` of KZG parameters.
///
/// # Errors
/// [`ProverError::LagrangePoints`] when the parameters serialise to anything else than expected.
pub fn lagrange_points(params: &ParamsKZG<Bn256>, n: usize) -> Result<Vec<G1Affine>, ProverError> {
    lagrange::of_params(params, n).map_err(|error| match error {
        ReadError::Count { expected, got } => ProverError::LagrangePoints { expected, got },
        ReadError::Io(error) => ProverError::Transcript(error),
    })
}
