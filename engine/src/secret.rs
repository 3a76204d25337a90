//! Memory that held what is secret is cleared before it is given back: witnesses, blinding, openings.

use ff::Field;
use halo2curves::bn256::Fr;
use zeroize::Zeroize;

/// Overwrites field elements with zeros.
pub fn wipe_elements(elements: &mut [Fr]) {
    elements.fill(Fr::ZERO);
    // The compiler must not find out that nothing reads them again.
    std::hint::black_box(elements);
}

/// Overwrites numbers with zeros.
pub fn wipe_integers<Z: Zeroize>(integers: &mut [Z]) {
    integers.iter_mut().for_each(Zeroize::zeroize);
}

/// Lists of numbers that are overwritten with zeros when they are dropped, on every way out.
#[derive(Debug, Default)]
pub struct Wiped<Z: Zeroize>(pub Vec<Vec<Z>>);

impl<Z: Zeroize> Drop for Wiped<Z> {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|numbers| wipe_integers(numbers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left() {
        let mut elements = vec![Fr::from(7); 100];
        wipe_elements(&mut elements);
        assert!(elements.iter().all(|element| *element == Fr::ZERO));
        let mut integers = vec![7i64; 100];
        wipe_integers(&mut integers);
        assert_eq!(integers, [0; 100]);
    }
}
