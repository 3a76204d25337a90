//! Vector arithmetic.

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_engine::backend::{Backend, Result};

use super::compare;
use super::data::{Case, SIZES};

macro_rules! in_place {
    ($($operation:ident),*) => { $(
        /// Equal lengths, and a rejected unequal one.
        pub fn $operation<B: Backend>(backend: &B) {
            fn scenario<B: Backend>(backend: &B, case: &Case, missing: usize) -> Result<Vec<Fr>> {
                let mut acc = backend.upload(&case.scalars(0))?;
                let other = Case { len: case.len - missing, ..*case };
                backend.$operation(&mut acc, &backend.upload(&other.scalars(1))?)?;
                backend.download(&acc)
            }
            for case in Case::all(SIZES) {
                compare!(backend, scenario, &case, 0);
                compare!(backend, scenario, &case, case.len.min(1));
            }
        }
    )* };
}
in_place!(add_assign, sub_assign, mul_assign);

/// By zero, one and a random factor.
pub fn scale<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, factor: Fr) -> Result<Vec<Fr>> {
        let mut vector = backend.upload(&case.scalars(0))?;
        backend.scale(&mut vector, factor)?;
        backend.download(&vector)
    }
    for case in Case::all(SIZES) {
        for factor in [Fr::ZERO, Fr::ONE, case.random(0)] {
            compare!(backend, scenario, &case, factor);
        }
    }
}

/// No terms, and terms of different lengths with special factors.
pub fn linear_combination<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, factors: &[Fr]) -> Result<Vec<Fr>> {
        let shortened = |i: usize| Case { len: case.len - (i * 7).min(case.len), ..*case };
        let vectors: Vec<B::Scalars> =
            (0..factors.len()).map(|i| backend.upload(&shortened(i).scalars(i as u64))).collect::<Result<_>>()?;
        let terms: Vec<(Fr, &B::Scalars)> = factors.iter().copied().zip(&vectors).rev().collect();
        backend.download(&backend.linear_combination(&terms)?)
    }
    for case in Case::all(SIZES) {
        let special = [Fr::ONE, case.random(0), Fr::ZERO, -Fr::ONE, case.random(1)];
        for count in 0..=special.len() {
            compare!(backend, scenario, &case, &special[..count]);
        }
    }
}

/// Zeros stay zero.
pub fn batch_invert<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case) -> Result<Vec<Fr>> {
        let mut vector = backend.upload(&case.scalars(0))?;
        backend.batch_invert(&mut vector)?;
        backend.download(&vector)
    }
    for case in Case::all(SIZES) {
        compare!(backend, scenario, &case);
    }
}

macro_rules! scan {
    ($($operation:ident),*) => { $(
        /// From zero, one and a random start.
        pub fn $operation<B: Backend>(backend: &B) {
            fn scenario<B: Backend>(backend: &B, case: &Case, initial: Fr) -> Result<Vec<Fr>> {
                backend.download(&backend.$operation(&backend.upload(&case.scalars(0))?, initial)?)
            }
            for case in Case::all(SIZES) {
                for initial in [Fr::ZERO, Fr::ONE, case.random(0)] {
                    compare!(backend, scenario, &case, initial);
                }
            }
        }
    )* };
}
scan!(prefix_sum, prefix_product);

/// From zero and a random start; unequal lengths are rejected.
pub fn affine_scan<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, initial: Fr, missing: usize) -> Result<Vec<Fr>> {
        let factors = backend.upload(&case.scalars(0))?;
        let terms = backend.upload(&case.scalars(1)[missing..])?;
        backend.download(&backend.affine_scan(&factors, &terms, initial)?)
    }
    for case in Case::all(SIZES) {
        compare!(backend, scenario, &case, Fr::ZERO, 0);
        compare!(backend, scenario, &case, case.random(0), 0);
        compare!(backend, scenario, &case, Fr::ONE, case.len.min(1));
    }
}

/// Polynomials of different lengths at several points, zero among them.
pub fn eval_polynomials<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case) -> Result<Vec<Fr>> {
        let (whole, half) = (backend.upload(&case.scalars(0))?, backend.upload(&case.scalars(1)[case.len / 2..])?);
        let points = [Fr::ZERO, Fr::ONE, case.random(0), case.random(1)];
        let queries: Vec<_> = points.into_iter().flat_map(|point| [(&whole, point), (&half, point)]).collect();
        backend.eval_polynomials(&queries)
    }
    for case in Case::all(SIZES) {
        compare!(backend, scenario, &case);
    }
}

/// At zero, one and a random root.
pub fn divide_by_linear<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, root: Fr) -> Result<Vec<Fr>> {
        backend.download(&backend.divide_by_linear(&backend.upload(&case.scalars(0))?, root)?)
    }
    for case in Case::all(SIZES) {
        for root in [Fr::ZERO, Fr::ONE, case.random(0)] {
            compare!(backend, scenario, &case, root);
        }
    }
}

/// Of zero, one and a random base.
pub fn powers<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, base: Fr) -> Result<Vec<Fr>> {
        backend.download(&backend.powers(case.random(1), base, case.len)?)
    }
    for case in Case::all(SIZES) {
        for base in [Fr::ZERO, Fr::ONE, case.random(0)] {
            compare!(backend, scenario, &case, base);
        }
    }
}

/// Equal lengths, and a rejected unequal one.
pub fn inner_product<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, missing: usize) -> Result<Vec<Fr>> {
        let (a, b) = (case.scalars(0), case.scalars(1));
        Ok(vec![backend.inner_product(&backend.upload(&a)?, &backend.upload(&b[missing..])?)?])
    }
    for case in Case::all(SIZES) {
        compare!(backend, scenario, &case, 0);
        compare!(backend, scenario, &case, case.len.min(1));
    }
}

/// Inputs drawn from the table; unusable rows; an input that is missing; impossible windows.
pub fn permute_lookup<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, input: &[Fr], table: &[Fr], usable: usize) -> Result<Vec<Fr>> {
        let (input, table) = (backend.upload(input)?, backend.upload(table)?);
        let (input, table) = backend.permute_lookup(&input, &table, usable)?;
        Ok([backend.download(&input)?, backend.download(&table)?].concat())
    }
    for case in Case::all(SIZES) {
        let table = case.scalars(0);
        let draw = |(i, _): (usize, &Fr)| table[(i * i + 3) % (case.len / 2).max(1)];
        let mut input: Vec<Fr> = table.iter().enumerate().map(draw).collect();
        let check = |input: &Vec<Fr>, usable: usize| {
            let what = format!("permute_lookup {case:?}, {usable} usable rows");
            let expected = scenario(&crate::naive::Naive::new(), input, &table, usable);
            super::assert_same(&what, scenario(backend, input, &table, usable), expected);
        };
        for usable in [0, case.len / 2, case.len.saturating_sub(6), case.len, case.len + 1] {
            check(&input, usable);
        }
        if let Some(missing) = input.get_mut(case.len * 2 / 3) {
            *missing = case.random(5);
            check(&input, case.len);
            check(&input, case.len / 2);
        }
        input.push(Fr::ONE);
        check(&input, case.len);
    }
}
