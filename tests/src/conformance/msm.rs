//! Multi-scalar multiplications.

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine};
use zkml_gpu_engine::backend::{Backend, Result};

use super::compare;
use super::data::{Case, POINTS, Points};

const TABLE_BYTES: usize = 64 << 20;

/// Columns of one kind against points of one kind: the whole basis, its beginning, nothing.
fn commit<B: Backend>(backend: &B, case: &Case, points: Points, table_bytes: usize) -> Result<Vec<G1Affine>> {
    let bases = backend.load_bases(&points.make(case.len, case.seed), table_bytes)?;
    let whole = backend.upload(&case.scalars(0))?;
    let beginning = backend.upload(&case.scalars(1)[..case.len / 2])?;
    let nothing = backend.upload(&[])?;
    backend.msm(&bases, &[&whole, &beginning, &nothing, &whole])
}

fn too_long<B: Backend>(backend: &B, case: &Case) -> Result<Vec<G1Affine>> {
    let bases = backend.load_bases(&Points::Distinct.make(case.len, case.seed), 0)?;
    backend.msm(&bases, &[&backend.zeros(case.len + 1)?])
}

/// Every kind of scalars on distinct points, with a table.
pub fn msm<B: Backend>(backend: &B) {
    for case in Case::all(&[0, 1, 2, 3, 64, 257]) {
        compare!(backend, commit, &case, Points::Distinct, TABLE_BYTES);
        compare!(backend, too_long, &case);
    }
    for case in Case::all(&[4097]) {
        compare!(backend, commit, &case, Points::Distinct, TABLE_BYTES);
    }
}

/// Every kind of scalars on every kind of points.
pub fn msm_adversarial_points<B: Backend>(backend: &B) {
    for case in Case::all(&[2, 5, 333]) {
        for points in POINTS {
            compare!(backend, commit, &case, *points, TABLE_BYTES);
        }
    }
}

/// Without a table, and with one too small for all levels.
pub fn msm_without_table<B: Backend>(backend: &B) {
    for case in Case::all(&[1, 65, 700]) {
        for table_bytes in [0, case.len * 64 * 5] {
            compare!(backend, commit, &case, Points::Distinct, table_bytes);
            compare!(backend, commit, &case, Points::WithIdentity, table_bytes);
        }
    }
}

/// A few scalars of the host against chosen rows, repeated and out of range ones too.
pub fn msm_rows<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, rows: &[usize]) -> Result<Vec<G1Affine>> {
        let bases = backend.load_bases(&Points::WithIdentity.make(50, case.seed), TABLE_BYTES)?;
        Ok(vec![backend.msm_rows(&bases, rows, &case.scalars(0))?])
    }
    for case in Case::all(&[0, 1, 5, 60]) {
        compare!(backend, scenario, &case, &(0..case.len).map(|i| 49 - i % 50).collect::<Vec<_>>());
        compare!(backend, scenario, &case, &vec![7; case.len]);
        compare!(backend, scenario, &case, &vec![50; case.len]);
        compare!(backend, scenario, &case, &vec![0; case.len + 1]);
    }
    let case = Case { kind: super::data::Kind::Random, len: 1, seed: 1 };
    let bases = Points::Distinct.make(1, 1);
    let doubled = backend.load_bases(&bases, 0).and_then(|bases| backend.msm_rows(&bases, &[0], &[Fr::ONE.double()]));
    assert_eq!(doubled, Ok((bases[0] + bases[0]).into()), "{case:?}");
}
