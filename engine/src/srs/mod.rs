//! Structured reference strings: the powers `[s^i]G` of a secret `s` that nobody may know.
//!
//! Three ways to one:
//!
//! - [`Srs::read`] takes the output of a public ceremony, as snarkjs (`.ptau`) or Halo2 (raw parameters) write it,
//!   truncates it to the power that the circuit needs, and checks every point of it that is used;
//! - [`Srs::development`] draws a secret and forgets it. Whoever ran it could have kept the secret and forge any
//!   proof, so it is marked [insecure](Srs::is_insecure), and so is everything made with it.
//!
//! The checks (`check.rs`): points are canonical, on the curve and in the group; `g` and `g2` are the standard
//! generators; consecutive powers have the ratio that `[s]G2` has (one pairing equation over a random linear
//! combination); the Lagrange points are those of the powers (one equation over a random polynomial). Each holds for
//! wrong points with probability about 2^-254.
//!
//! ```
//! use zkml_gpu_engine::srs::Srs;
//!
//! let srs = Srs::development(6, rand_core::OsRng)?;
//! assert_eq!(srs.g().len(), 64);
//! assert!(srs.is_insecure());
//! # Ok::<(), zkml_gpu_engine::srs::SrsError>(())
//! ```

mod check;
mod development;
mod error;
mod identity;
pub(crate) mod lagrange;
mod params;
mod ptau;
mod source;

use std::path::Path;

use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, G1Affine, G2Affine};
use rand_core::{CryptoRng, OsRng, RngCore};

pub use error::SrsError;
pub use identity::Identity;

/// Greatest power for which the scalar field has a domain.
const MAX_K: u32 = 28;

/// A checked structured reference string of `2^k` powers.
#[derive(Clone)]
pub struct Srs {
    params: ParamsKZG<Bn256>,
    lagrange: Vec<G1Affine>,
    k: u32,
    insecure: bool,
}

impl std::fmt::Debug for Srs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srs").field("k", &self.k).field("insecure", &self.insecure).finish_non_exhaustive()
    }
}

/// The points of a reference string, before they are checked against each other.
struct Points {
    /// `[s^i]G1` for i below 2^k.
    g: Vec<G1Affine>,
    /// `[L_i(s)]G1` in natural order, where the source has them.
    lagrange: Option<Vec<G1Affine>>,
    /// Generator of G2.
    g2: G2Affine,
    /// `[s]G2`.
    s_g2: G2Affine,
}

impl Srs {
    /// Draws a secret from `rng` and makes its reference string. For development: see [`Srs::is_insecure`].
    ///
    /// # Errors
    /// [`SrsError::UnsupportedSize`] unless `1 <= k <= 28`.
    pub fn development<R: RngCore + CryptoRng>(k: u32, rng: R) -> Result<Self, SrsError> {
        check_size(k)?;
        Ok(Self::assemble(k, development::points(k, rng), true))
    }

    /// Reads a `.ptau` file of snarkjs or a parameters file of Halo2 (`ParamsKZG::write`, or `write_custom` in any
    /// format) with at least `2^k` powers, and checks it. Of a larger file only the part that is needed is read.
    ///
    /// # Errors
    /// Every [`SrsError`]: the file is never trusted.
    pub fn read(path: impl AsRef<Path>, k: u32) -> Result<Self, SrsError> {
        check_size(k)?;
        let path = path.as_ref();
        let mut source = source::Source::open(path)?;
        let points =
            if source.starts_with(ptau::MAGIC)? { ptau::read(&mut source, k)? } else { params::read(&mut source, k)? };
        check::powers(path, &points, OsRng)?;
        let srs = Self::assemble(k, points, false);
        check::lagrange(path, &srs.params, &srs.lagrange, OsRng)?;
        Ok(srs)
    }

    fn assemble(k: u32, points: Points, insecure: bool) -> Self {
        let Points { g, lagrange, g2, s_g2 } = points;
        let lagrange = lagrange.unwrap_or_else(|| lagrange::from_powers(&g, k));
        // `from_parts` is a method: the smallest instance serves, and no value of it is kept.
        let params = ParamsKZG::setup(1, OsRng).from_parts(k, g, Some(lagrange.clone()), g2, s_g2);
        Self { params, lagrange, k, insecure }
    }

    /// The parameters in the form that Halo2's key generation and verifier take.
    pub fn params(&self) -> &ParamsKZG<Bn256> {
        &self.params
    }

    /// `[s^i]G1`, i from 0 to 2^k - 1.
    pub fn g(&self) -> &[G1Affine] {
        use halo2_proofs::poly::commitment::ParamsProver;
        self.params.get_g()
    }

    /// `[L_i(s)]G1`, the Lagrange polynomials of the domain of size 2^k in natural order.
    pub fn lagrange(&self) -> &[G1Affine] {
        &self.lagrange
    }

    /// The generator of G2.
    pub fn g2(&self) -> G2Affine {
        self.params.g2()
    }

    /// `[s]G2`.
    pub fn s_g2(&self) -> G2Affine {
        self.params.s_g2()
    }

    /// Binary logarithm of the number of powers.
    pub fn k(&self) -> u32 {
        self.k
    }

    /// Whether the secret was drawn on one machine, so that its owner could forge proofs.
    pub fn is_insecure(&self) -> bool {
        self.insecure
    }
}

fn check_size(k: u32) -> Result<(), SrsError> {
    if (1..=MAX_K).contains(&k) { Ok(()) } else { Err(SrsError::UnsupportedSize { k }) }
}

#[cfg(test)]
mod tests;
