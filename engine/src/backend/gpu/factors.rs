//! Factors that the host makes of an operation's scalars, so that no thread of a kernel has to.

use halo2curves::bn256::Fr;

/// `base^(2^i)`, from the base itself on: powers by the bits of their exponents.
pub(in crate::backend) fn squares<const N: usize>(base: Fr) -> [Fr; N] {
    let mut next = base;
    std::array::from_fn(|_| {
        let power = next;
        next = power.square();
        power
    })
}

/// `2^15·Σ_{i < end} factor_i` for every end: what the first integers of a row added to its sum by being made positive.
pub(in crate::backend) fn offsets(factors: &[Fr]) -> Vec<Fr> {
    let offset = Fr::from(1 << 15);
    let added = factors.iter().scan(Fr::zero(), |sum, factor| {
        *sum += factor * offset;
        Some(*sum)
    });
    std::iter::once(Fr::zero()).chain(added).collect()
}
