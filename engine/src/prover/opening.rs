//! The opening: the evaluated polynomials have the values that were written. There are two ways to do it, a file each,
//! and this is what they share.

use ff::Field;
use halo2curves::bn256::Fr;

use super::poly::{Form, ProofPoly};
use super::{Proof, ProverError};
use crate::backend::Backend;

/// How a proof opens its polynomials. The verifier has to be of the same kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// Two points for all polynomials, whatever the rotations: [BDFG20](https://eprint.iacr.org/2020/081), section 4.
    /// For `VerifierSHPLONK`.
    #[default]
    Shplonk,
    /// One point for each distinct rotation: [GWC19](https://eprint.iacr.org/2019/953), section 3. For `VerifierGWC`.
    Gwc,
}

impl<B: Backend> Proof<'_, B> {
    /// Opens all evaluated polynomials.
    pub(super) fn open(&mut self) -> Result<(), ProverError> {
        match self.prover.opening {
            Opening::Shplonk => self.open_shplonk(),
            Opening::Gwc => self.open_gwc(),
        }
    }

    /// `Σ_j base^j·p_j`.
    pub(super) fn combine(&self, names: &[ProofPoly], base: Fr) -> Result<B::Scalars, ProverError> {
        let backend = &self.prover.backend;
        let (mut coefficients, mut values) = (Vec::new(), Vec::new());
        for (&name, power) in names.iter().zip(powers(base)) {
            match self.poly(name)? {
                Form::Coefficients(vector) => coefficients.push((power, vector)),
                Form::Values(vector) => values.push((power, vector)),
            }
        }
        // One transform for all of them.
        let of_values = match values.is_empty() {
            true => Vec::new(),
            false => backend.intt(&[&backend.linear_combination(&values)?])?,
        };
        coefficients.extend(of_values.iter().map(|vector| (Fr::ONE, vector)));
        Ok(backend.linear_combination(&coefficients)?)
    }

    /// `x·omega^rotation`, for a rotation in `0..n`.
    pub(super) fn point(&self, rotation: u64) -> Fr {
        self.challenges.x * self.prover.shape.omega.pow_vartime([rotation])
    }
}

/// 1, base, base², ..
pub(super) fn powers(base: Fr) -> impl Iterator<Item = Fr> {
    std::iter::successors(Some(Fr::ONE), move |power| Some(power * base))
}
