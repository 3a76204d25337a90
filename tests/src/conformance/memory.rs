//! Transfers and windows.

use ff::Field;
use halo2curves::bn256::Fr;
use rand_chacha::rand_core::RngCore;
use zkml_gpu_engine::backend::{Backend, Result};

use super::compare;
use super::data::{Case, SIZES};

/// upload, upload_columns, upload_owned, upload_integers, zeros, download, len
pub fn transfers<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case) -> Result<Vec<Fr>> {
        let (first, second) = (case.scalars(0), case.scalars(1));
        let mut out = backend.download(&backend.upload(&first)?)?;
        for column in backend.upload_columns(&[&first, &[], &second])? {
            out.push(Fr::from(backend.len(&column) as u64));
            out.extend(backend.download(&column)?);
        }
        out.extend(backend.download(&backend.zeros(case.len)?)?);
        out.extend(backend.download(&backend.upload_owned(first)?)?);
        let mut rng = case.rng(2);
        for (bits, rest) in [(1, 0), (31, 6), (32, 6), (64, 1), (31, 100)] {
            let integers: Vec<i64> = (0..case.len).map(|_| rng.next_u64() as i64 >> (64 - bits)).collect();
            let rest = &second[..rest.min(case.len)];
            out.extend(backend.download(&backend.upload_integers(&integers, rest)?)?);
        }
        let edges = [0, 1, -1, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
        for edge in edges {
            out.extend(backend.download(&backend.upload_integers(&[edge; 9], &[])?)?);
        }
        Ok(out)
    }
    for case in Case::all(SIZES) {
        compare!(backend, scenario, &case);
    }
}

/// read_range, write_range, slice, inside and past the end
pub fn windows<B: Backend>(backend: &B) {
    fn write<B: Backend>(backend: &B, case: &Case, start: usize, count: usize) -> Result<Vec<Fr>> {
        let mut vector = backend.upload(&case.scalars(0))?;
        backend.write_range(&mut vector, start, &vec![Fr::ONE; count])?;
        backend.download(&vector)
    }
    fn read<B: Backend>(backend: &B, case: &Case, start: usize, count: usize) -> Result<Vec<Fr>> {
        backend.read_range(&backend.upload(&case.scalars(0))?, start..start.saturating_add(count))
    }
    fn slice<B: Backend>(backend: &B, case: &Case, start: usize, count: usize) -> Result<Vec<Fr>> {
        let vector = backend.upload(&case.scalars(0))?;
        backend.download(&backend.slice(&vector, start..start.saturating_add(count))?)
    }
    for case in Case::all(SIZES) {
        let middle = case.len / 2;
        let inside = [(0, 0), (0, case.len), (middle, case.len - middle), (case.len, 0)];
        let outside = [(0, case.len + 1), (case.len, 1), (case.len + 1, 0), (usize::MAX, 1)];
        for (start, count) in inside.into_iter().chain(outside) {
            compare!(backend, write, &case, start, count);
            compare!(backend, read, &case, start, count);
            compare!(backend, slice, &case, start, count);
        }
    }
}
