//! Structured reference strings: the powers `[s^i]G` of a secret `s` that nobody may know.
//!
//! Three ways to one:
//!
//! - [`Srs::read`] takes the output of a public ceremony, as snarkjs (`.ptau`) or Halo2 (raw parameters) write it, or
//!   what [`Srs::write`] made of it; truncates it to the power that the circuit needs, and checks every point of it
//!   that is used;
//! - [`Srs::development`] draws a secret and forgets it. Whoever ran it could have kept the secret and forge any
//!   proof, so it is marked [insecure](Srs::is_insecure), and so is everything made with it;
//! - [`Srs::from_checked_parts`] trusts its caller.
//!
//! Of files that are not proved with, [`inspect`] reads the header and [`check`](check()) everything, in bounded
//! memory. A string's name is its [`Identity`].
//!
//! The checks (`check.rs`): points are canonical, on the curve and in the group; `g` and `g2` are the standard
//! generators; consecutive powers have the ratio that `[s]G2` has (one pairing equation over a random linear
//! combination); the Lagrange points are those of the powers (one equation over a random polynomial). Each holds for
//! wrong points with probability about 2^-225.
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
mod container;
mod development;
mod error;
mod file;
mod identity;
pub(crate) mod lagrange;
mod layout;
mod params;
mod ptau;
mod source;

use std::io::{self, Seek, Write};
use std::path::Path;

use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, G1Affine, G2Affine};
use rand_core::{CryptoRng, OsRng, RngCore};
use zkml_gpu_files::container::ContainerError;

pub use error::SrsError;
pub use file::{FileInfo, Progress, check, inspect};
pub use identity::Identity;
pub use layout::FileKind;

/// Greatest power for which the scalar field has a domain.
const MAX_K: u32 = 28;

/// A checked structured reference string of `2^k` powers.
#[derive(Clone)]
pub struct Srs {
    params: ParamsKZG<Bn256>,
    lagrange: Vec<G1Affine>,
    k: u32,
    origin: Origin,
}

/// Where a reference string's secret comes from, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// It was drawn on one machine, whose owner could have kept it.
    Development,
    /// A file without that mark: what the file is worth, its reader has to know.
    File,
}

impl std::fmt::Debug for Srs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srs").field("k", &self.k).field("origin", &self.origin).finish_non_exhaustive()
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
        Ok(Self::assemble(k, development::points(k, rng), Origin::Development))
    }

    /// Reads a `.ptau` file of snarkjs, a parameters file of Halo2 (`ParamsKZG::write`, or `write_custom` in any
    /// format) or a file of [`Srs::write`] with at least `2^k` powers, and checks it. Of a larger file only the part
    /// that is needed is looked at.
    ///
    /// # Errors
    /// Every [`SrsError`]: the file is never trusted.
    pub fn read(path: impl AsRef<Path>, k: u32) -> Result<Self, SrsError> {
        Self::read_with(path, k, |_| ())
    }

    /// As [`read`](Self::read), and tells how far it is.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with(path: impl AsRef<Path>, k: u32, progress: impl FnMut(Progress)) -> Result<Self, SrsError> {
        check_size(k)?;
        let (points, origin) = file::read(&mut source::Source::open(path.as_ref())?, k, progress)?;
        Ok(Self::assemble(k, points, origin))
    }

    /// The name of the reference string in a file, from its points of G2 alone: the others are not read, and so not
    /// checked.
    ///
    /// # Errors
    /// [`SrsError`] where the file has no such points in the place that its header names.
    pub fn identify(path: impl AsRef<Path>) -> Result<Identity, SrsError> {
        inspect(path).map(|info| info.identity)
    }

    /// A reference string of parts that were checked before, by [`Srs::read`] for instance: **nothing but their number
    /// is checked here**. With points that are not powers of one secret, or Lagrange points that are not theirs, proofs
    /// are wrong or reveal their witness; and with `insecure` false for a secret that one machine drew, what is made
    /// with them claims what it must not.
    ///
    /// # Errors
    /// [`SrsError::UnsupportedSize`] unless `1 <= k <= 28`, [`SrsError::Parts`] unless there are `2^k` points of each
    /// kind.
    pub fn from_checked_parts(
        k: u32,
        g: Vec<G1Affine>,
        lagrange: Vec<G1Affine>,
        g2: G2Affine,
        s_g2: G2Affine,
        insecure: bool,
    ) -> Result<Self, SrsError> {
        check_size(k)?;
        if g.len() != 1 << k || lagrange.len() != 1 << k {
            return Err(SrsError::Parts { k, powers: g.len(), lagrange: lagrange.len() });
        }
        Ok(Self::assemble(k, Points { g, lagrange: Some(lagrange), g2, s_g2 }, Origin::of(insecure)))
    }

    fn assemble(k: u32, points: Points, origin: Origin) -> Self {
        let Points { g, lagrange, g2, s_g2 } = points;
        let lagrange = lagrange.unwrap_or_else(|| lagrange::from_powers(&g, k));
        // `from_parts` is a method: the smallest instance serves, and no value of it is kept.
        let params = ParamsKZG::setup(1, OsRng).from_parts(k, g, Some(lagrange.clone()), g2, s_g2);
        Self { params, lagrange, k, origin }
    }

    /// Writes a file of this program's: prepared, each part with its digest, and with the mark of a development string,
    /// which stays when the file is read. Answers the file's digest.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, out: impl Write + Seek) -> Result<[u8; 32], ContainerError> {
        container::write(self, out)
    }

    /// Writes raw parameters of Halo2, which have no mark of a development string: **it is lost**.
    ///
    /// # Errors
    /// The system's.
    pub fn write_halo2(&self, out: impl Write) -> io::Result<()> {
        // Points are written one by one.
        let mut out = io::BufWriter::new(out);
        self.params.write_custom(&mut out, SerdeFormat::RawBytes)?;
        out.flush()
    }

    /// What names it, whatever its length.
    pub fn identity(&self) -> Identity {
        Identity::of(&self.s_g2())
    }

    /// Where its secret comes from.
    pub fn origin(&self) -> Origin {
        self.origin
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
        self.origin == Origin::Development
    }
}

impl Origin {
    fn of(insecure: bool) -> Self {
        if insecure { Self::Development } else { Self::File }
    }
}

fn check_size(k: u32) -> Result<(), SrsError> {
    if layout::Layout::is_power(k) { Ok(()) } else { Err(SrsError::UnsupportedSize { k }) }
}

#[cfg(test)]
mod tests;
