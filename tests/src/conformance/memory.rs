//! Transfers and windows.

use ff::Field;
use halo2curves::bn256::Fr;
use rand_chacha::rand_core::RngCore;
use zkml_gpu_engine::backend::{Backend, IntegerColumn, Result};

use super::compare;
use super::data::{Case, SIZES};

/// upload, upload_columns, upload_owned, upload_integers, upload_integer_columns, zeros, download, len
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
        let kinds = [(1, 0, 0), (8, 3, 6), (16, 0, 1), (31, 0, 6), (32, 9, 6), (64, 300, 1), (31, 1, 100)];
        let integers = kinds
            .map(|(bits, ..)| -> Vec<i64> { (0..case.len).map(|_| rng.next_u64() as i64 >> (64 - bits)).collect() });
        let edges = [8, 16, 32, 64].map(|bits| i64::MAX >> (64 - bits));
        let edges = edges.map(|most| [[most; 3], [-most - 1; 3], [0, 1, -1], [most, -most, 1]].concat());
        let given = integers.iter().zip(kinds).map(|(integers, (_, zeros, rest))| (integers, zeros, rest));
        let columns: Vec<IntegerColumn<'_>> = given
            .chain(edges.iter().map(|edges| (edges, 0, 0)))
            .map(|(integers, zeros, rest)| IntegerColumn { integers, zeros, rest: &second[..rest.min(case.len)] })
            .chain([
                IntegerColumn { integers: &[], zeros: 0, rest: &[] },
                IntegerColumn { integers: &[], zeros: 5, rest: &[] },
            ])
            .collect();
        for (column, together) in columns.iter().zip(backend.upload_integer_columns(&columns)?) {
            let alone = backend.download(&backend.upload_integers(*column)?)?;
            assert_eq!(alone, column.elements());
            assert_eq!(alone, backend.download(&together)?);
            out.extend(alone);
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
