//! What kernels of transforms are told of a domain.

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use crate::backend::ops::ntt::Domain;

impl Domain {
    /// The order.
    pub(in crate::backend) fn size(self) -> usize {
        1 << self.log_n
    }

    /// 1/n
    pub(in crate::backend) fn inverse_size(self) -> Fr {
        Fr::TWO_INV.pow_vartime([u64::from(self.log_n)])
    }
}
