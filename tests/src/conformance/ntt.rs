//! Transforms.

use ff::{Field, WithSmallOrderMulGroup};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::backend::{Backend, Result, root_of_unity};

use super::compare;
use super::data::Case;

/// Every power of two up to 2^13, and lengths that are none.
const LENGTHS: &[usize] = &[0, 1, 2, 3, 4, 8, 12, 16, 32, 64, 128, 256, 512, 1000, 1024, 2048, 4096, 8192];

/// Three columns of a case.
fn columns<B: Backend>(backend: &B, case: &Case) -> Result<Vec<B::Scalars>> {
    let columns: Vec<Vec<Fr>> = (0..3).map(|stream| case.scalars(stream)).collect();
    backend.upload_columns(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn flatten<B: Backend>(backend: &B, vectors: Vec<B::Scalars>) -> Result<Vec<Fr>> {
    let downloaded = vectors.iter().map(|vector| backend.download(vector)).collect::<Result<Vec<_>>>()?;
    Ok(downloaded.concat())
}

macro_rules! transform {
    ($(#[$doc:meta])* $operation:ident $(, $shift:expr)?) => {
        $(#[$doc])*
        pub fn $operation<B: Backend>(backend: &B) {
            fn scenario<B: Backend>(backend: &B, case: &Case) -> Result<Vec<Fr>> {
                let columns = columns(backend, case)?;
                flatten(backend, backend.$operation(&columns.iter().collect::<Vec<_>>() $(, $shift(case))?)?)
            }
            fn unequal<B: Backend>(backend: &B, case: &Case) -> Result<Vec<Fr>> {
                let (long, short) = (backend.upload(&case.scalars(0))?, backend.zeros(1)?);
                flatten(backend, backend.$operation(&[&long, &short] $(, $shift(case))?)?)
            }
            fn none<B: Backend>(backend: &B, _case: &Case) -> Result<Vec<Fr>> {
                flatten(backend, backend.$operation(&[] $(, $shift(_case))?)?)
            }
            for case in Case::all(LENGTHS) {
                compare!(backend, scenario, &case);
                compare!(backend, unequal, &case);
                compare!(backend, none, &case);
            }
        }
    };
}

transform!(/// Coefficients to values.
    ntt);
transform!(/// Values to coefficients.
    intt);
transform!(/// Coefficients to values on a coset.
    coset_ntt, |case: &Case| case.random(0));

/// Values on one to five cosets to coefficients, dependent cosets among them.
pub fn interpolate_cosets<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, shifts: &[Fr]) -> Result<Vec<Fr>> {
        let columns: Vec<B::Scalars> =
            (0..shifts.len()).map(|i| backend.upload(&case.scalars(i as u64))).collect::<Result<_>>()?;
        let cosets: Vec<(Fr, &B::Scalars)> = shifts.iter().copied().zip(&columns).collect();
        flatten(backend, backend.interpolate_cosets(&cosets)?)
    }
    for case in Case::all(&[1, 2, 3, 8, 64, 1024]) {
        let step = root_of_unity(case.len.ilog2() + 3).unwrap_or(Fr::ONE);
        for cosets in 0..=5u64 {
            let mut shifts: Vec<Fr> = (0..cosets).map(|i| Fr::ZETA * step.pow_vartime([i])).collect();
            compare!(backend, scenario, &case, &shifts);
            if let Some(last) = shifts.last_mut() {
                *last = Fr::ZERO;
                compare!(backend, scenario, &case, &shifts);
            }
            if cosets > 1 {
                let same_coset = shifts[0] * root_of_unity(case.len.ilog2()).unwrap_or(Fr::ONE);
                shifts[cosets as usize - 1] = same_coset;
                compare!(backend, scenario, &case, &shifts);
            }
        }
    }
}
