//! Whether ICICLE computes what this back end takes it to compute: its version cannot be asked for, so its results are
//! looked at.

use ff::{Field, PrimeField};
use group::Curve;
use group::prime::PrimeCurveAffine;
use halo2curves::bn256::{Fr, G1, G1Affine};

use super::Icicle;
use crate::backend::{MemoryOps, MsmOps, NttOps, Result, VectorOps};

/// Rows of the columns: enough for powers of a small number to wrap around the modulus.
const ROWS: usize = 128;

/// Compares every kind of call with the processor's result.
///
/// # Errors
/// [`Device`](crate::BackendError::Device) where a call fails or gives something else.
pub(super) fn check(icicle: &Icicle) -> Result<()> {
    let cpu = &icicle.cpu;
    let shift = Fr::MULTIPLICATIVE_GENERATOR;
    let column = &cpu.powers(Fr::ONE, shift, ROWS)?;
    let compare = |operation, got: Vec<Fr>, expected: Vec<Fr>| same(icicle, operation, &got, &expected);
    let download = |columns: Vec<_>| -> Result<Vec<Fr>> {
        Ok(columns.iter().map(|column| cpu.download(column)).collect::<Result<Vec<_>>>()?.concat())
    };
    compare("ntt", download(icicle.ntt(&[column])?)?, download(cpu.ntt(&[column])?)?)?;
    compare("intt", download(icicle.intt(&[column])?)?, download(cpu.intt(&[column])?)?)?;
    compare("coset_ntt", download(icicle.coset_ntt(&[column], shift)?)?, download(cpu.coset_ntt(&[column], shift)?)?)?;
    let cosets = [(shift, column)];
    let interpolated = download(icicle.interpolate_cosets(&cosets)?)?;
    compare("interpolate_cosets", interpolated, download(cpu.interpolate_cosets(&cosets)?)?)?;

    let points = points();
    let integers: Vec<Fr> = (0..ROWS as u64).map(|i| Fr::from(i) - Fr::from(ROWS as u64 / 3)).collect();
    let columns = [column, &cpu.upload(&integers)?];
    let got = icicle.msm(&icicle.load_bases(&points, 0)?, &columns)?;
    same(icicle, "msm", &got, &cpu.msm(&cpu.load_bases(&points, 0)?, &columns)?)
}

/// Multiples of the generator, with equal and opposite ones and the identity among them.
fn points() -> Vec<G1Affine> {
    let multiples = (0..ROWS as u64).map(|i| (G1::generator() * Fr::from(i / 2 + 1)).to_affine());
    let mut points: Vec<G1Affine> = multiples.collect();
    points[ROWS / 2] = -points[0];
    points[ROWS / 2 + 1] = G1Affine::identity();
    points
}

fn same<T: PartialEq>(icicle: &Icicle, operation: &'static str, got: &[T], expected: &[T]) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    let hint = super::SUPPORTED;
    Err(icicle.device.error(operation, format!("its result is not the processor's\nhint: {hint} are supported")))
}
