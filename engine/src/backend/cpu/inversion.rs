//! Batch inversion by Montgomery's trick (Speeding the Pollard and Elliptic Curve Methods of Factorization, 1987): many
//! inversions for one, at three multiplications each.
//!
//! The running products are kept in [`LANES`] independent chains, because one chain is bound by the latency of a
//! multiplication and several by its throughput.

use ff::Field;

const LANES: usize = 4;

/// Replaces every element by its inverse and leaves zeros. `prefixes` is scratch space, reused between calls.
pub(super) fn batch_invert<F: Field>(values: &mut [F], prefixes: &mut Vec<F>) {
    prefixes.clear();
    prefixes.reserve(values.len());
    let mut products = [F::ONE; LANES];
    for row in values.chunks(LANES) {
        for (product, value) in products.iter_mut().zip(row) {
            prefixes.push(*product);
            if *value != F::ZERO {
                *product *= value;
            }
        }
    }
    let mut inverses = invert_lanes(products);
    for (row, prefixes) in values.chunks_mut(LANES).zip(prefixes.chunks(LANES)).rev() {
        for ((inverse, value), prefix) in inverses.iter_mut().zip(row).zip(prefixes) {
            if *value != F::ZERO {
                let next = *inverse * *value;
                *value = *inverse * prefix;
                *inverse = next;
            }
        }
    }
}

fn invert_lanes<F: Field>(products: [F; LANES]) -> [F; LANES] {
    let mut prefixes = [F::ONE; LANES];
    for lane in 1..LANES {
        prefixes[lane] = prefixes[lane - 1] * products[lane - 1];
    }
    // Products of non-zero elements, so the inverse exists.
    let all = prefixes[LANES - 1] * products[LANES - 1];
    let mut inverse = all.invert().unwrap_or(F::ZERO);
    let mut inverses = [F::ONE; LANES];
    for lane in (0..LANES).rev() {
        inverses[lane] = inverse * prefixes[lane];
        inverse *= products[lane];
    }
    inverses
}

#[cfg(test)]
mod tests {
    use super::*;
    use halo2curves::bn256::Fr;

    #[test]
    fn inverts_every_length_and_leaves_zeros() {
        for len in 0..40u64 {
            let values: Vec<Fr> = (0..len).map(|i| Fr::from(i * (i % 3))).collect();
            let mut inverses = values.clone();
            batch_invert(&mut inverses, &mut Vec::new());
            for (value, inverse) in values.iter().zip(&inverses) {
                assert_eq!(value.invert().unwrap_or(Fr::ZERO), *inverse);
            }
        }
    }
}
