//! Lagrange points: from powers, by an inverse Fourier transform over the group, and out of Halo2's parameters.

use std::io::{self, Write};

use group::prime::PrimeCurveAffine;
use halo2_proofs::SerdeFormat;
use halo2_proofs::arithmetic::g_to_lagrange;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, G1Affine};
use halo2curves::serde::SerdeObject;
use tracing::info_span;

use crate::spans::TRACING_TARGET;

/// `[L_i(s)]G` in natural order from `[s^i]G`: `L_i(X) = 1/n Σ_j ω^(-ij)·X^j`, so the points are the inverse
/// transform of the powers. It takes `n/2·log n` scalar multiplications; prepared `.ptau` files save it.
pub(super) fn from_powers(g: &[G1Affine], k: u32) -> Vec<G1Affine> {
    let _span = info_span!(target: TRACING_TARGET, "lagrange_points", rows = g.len()).entered();
    g_to_lagrange(g.iter().map(PrimeCurveAffine::to_curve).collect(), k)
}

/// Bytes of a point as [`SerdeFormat::RawBytesUnchecked`] writes it: two coordinates in Montgomery form.
const POINT_BYTES: usize = 64;

/// Parameters that do not yield their Lagrange points.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// They serialise to fewer.
    #[error("{got} Lagrange points for {expected} rows")]
    Count { expected: usize, got: usize },
    /// They do not serialise.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The Lagrange points `[l_i(s)]_1` of KZG parameters.
///
/// The parameters hold them in a private field, and computing them from the monomial points takes n·log n / 2 scalar
/// multiplications. Serialising the parameters in their raw format exposes them for the price of a copy.
pub(crate) fn of_params(params: &ParamsKZG<Bn256>, n: usize) -> Result<Vec<G1Affine>, ReadError> {
    // log2 of the size in four bytes, then the n monomial points, then the n Lagrange points.
    let mut window = Window { skip: 4 + n * POINT_BYTES, bytes: Vec::new(), len: n * POINT_BYTES };
    params.write_custom(&mut window, SerdeFormat::RawBytesUnchecked)?;
    let points: Vec<G1Affine> =
        window.bytes.chunks_exact(POINT_BYTES).map(G1Affine::from_raw_bytes_unchecked).collect();
    match points.len() {
        got if got == n => Ok(points),
        got => Err(ReadError::Count { expected: n, got }),
    }
}

/// A writer that keeps `len` bytes after the first `skip`.
struct Window {
    skip: usize,
    bytes: Vec<u8>,
    len: usize,
}

impl Write for Window {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(buffer.len());
        self.skip -= skipped;
        let kept = (self.len - self.bytes.len()).min(buffer.len() - skipped);
        self.bytes.extend_from_slice(&buffer[skipped..skipped + kept]);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
