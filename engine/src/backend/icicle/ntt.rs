//! Transforms on the device, a column at a time: one array of all columns would cost the host a copy of each.

use ff::Field;
use halo2curves::bn256::Fr;

use super::Icicle;
use super::abi::Direction;
use crate::backend::cpu::CpuScalars;
use crate::backend::ops::ntt::{Domain, common_domain, inverse_vandermonde};
use crate::backend::{NttOps, Result, VectorOps};
use crate::error::BackendError;

impl NttOps for Icicle {
    fn ntt(&self, columns: &[&CpuScalars]) -> Result<Vec<CpuScalars>> {
        self.transform_all("ntt", columns, Direction::Forward, Fr::ONE)
    }

    fn intt(&self, columns: &[&CpuScalars]) -> Result<Vec<CpuScalars>> {
        self.transform_all("intt", columns, Direction::Inverse, Fr::ONE)
    }

    fn coset_ntt(&self, columns: &[&CpuScalars], shift: Fr) -> Result<Vec<CpuScalars>> {
        if shift == Fr::ZERO {
            // No coset, and no generator of one.
            return self.cpu.coset_ntt(columns, shift);
        }
        self.transform_all("coset_ntt", columns, Direction::Forward, shift)
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &CpuScalars)]) -> Result<Vec<CpuScalars>> {
        let operation = "interpolate_cosets";
        let dependent = BackendError::DependentCosets { operation, cosets: cosets.len() };
        let domain = common_domain(operation, cosets.iter().map(|(_, values)| values.len()))?;
        let n = 1u64 << domain.ok_or(dependent.clone())?.log_n;
        let nodes: Vec<Fr> = cosets.iter().map(|(shift, _)| shift.pow_vartime([n])).collect();
        let matrix = inverse_vandermonde(&nodes).filter(|_| !nodes.contains(&Fr::ZERO)).ok_or(dependent)?;
        let mut residues = Vec::with_capacity(cosets.len());
        for (shift, values) in cosets {
            residues.extend(self.transform_all(operation, &[values], Direction::Inverse, *shift)?);
        }
        let combine = |row: &Vec<Fr>| {
            let terms: Vec<_> = row.iter().copied().zip(&residues).collect();
            self.cpu.linear_combination(&terms)
        };
        matrix.iter().map(combine).collect()
    }
}

impl Icicle {
    fn transform_all(
        &self,
        operation: &'static str,
        columns: &[&CpuScalars],
        direction: Direction,
        shift: Fr,
    ) -> Result<Vec<CpuScalars>> {
        match common_domain(operation, columns.iter().map(|column| column.len()))? {
            None => Ok(Vec::new()),
            // A constant has one value everywhere. ICICLE transforms two elements or more.
            Some(Domain { log_n: 0, .. }) => {
                Ok(columns.iter().map(|column| column.elements(&self.cpu).into_owned().into()).collect())
            }
            Some(_) => {
                let transform = |column: &&CpuScalars| {
                    let output = self.device.transform(operation, &column.elements(&self.cpu), direction, shift);
                    output.map(CpuScalars::from)
                };
                columns.iter().map(transform).collect()
            }
        }
    }
}
