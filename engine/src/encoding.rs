//! Compressed points, each from its only encoding.
//!
//! The curve library ignores the flag of the identity on other points and the sign of the identity, so that a point has
//! several encodings, and it panics on a coordinate of the twist that is not reduced. Files could then differ and mean
//! the same.

use group::GroupEncoding;
use group::cofactor::CofactorGroup;
use halo2curves::bn256::{Fq, G1Affine, G2, G2Affine};

/// Bytes of a compressed point of G1: the abscissa, little-endian; its two highest bits are flags.
pub const G1_BYTES: usize = 32;
/// Bytes of a compressed point of G2.
pub const G2_BYTES: usize = 64;

/// Why bytes are no point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// A coordinate is the modulus or more, or flags are set that do not belong.
    #[error("a point is not in its canonical encoding")]
    Encoding,
    /// No point of the curve has this abscissa.
    #[error("a point is not on the curve")]
    Curve,
    /// A point of the twist outside the group, for which the pairing proves nothing.
    #[error("a point is not in the group")]
    Group,
}

/// A point of G1; the identity included.
///
/// # Errors
/// [`PointError`] for bytes that [`GroupEncoding::to_bytes`] does not give.
pub fn decompress_g1(bytes: &[u8; G1_BYTES]) -> Result<G1Affine, PointError> {
    expect_reduced(bytes)?;
    decompress(bytes)
}

/// A point of G2; the identity included.
///
/// # Errors
/// As [`decompress_g1`], and for points outside the group.
pub fn decompress_g2(bytes: &[u8; G2_BYTES]) -> Result<G2Affine, PointError> {
    let (low, high) = bytes.split_at(32);
    if low.last().is_none_or(|byte| byte >> 6 != 0) {
        return Err(PointError::Encoding);
    }
    expect_reduced(low)?;
    expect_reduced(high)?;
    let point: G2Affine = decompress(bytes)?;
    if bool::from(G2::from(point).is_torsion_free()) { Ok(point) } else { Err(PointError::Group) }
}

/// Whether a coordinate is below the modulus, flags aside.
fn expect_reduced(bytes: &[u8]) -> Result<(), PointError> {
    let mut coordinate = [0; 32];
    coordinate.copy_from_slice(bytes);
    coordinate[31] &= 0x3f;
    if bool::from(Fq::from_bytes(&coordinate).is_some()) { Ok(()) } else { Err(PointError::Encoding) }
}

fn decompress<C: GroupEncoding>(bytes: &[u8]) -> Result<C, PointError> {
    let mut repr = C::Repr::default();
    repr.as_mut().copy_from_slice(bytes);
    let point: C = Option::from(C::from_bytes(&repr)).ok_or(PointError::Curve)?;
    if point.to_bytes().as_ref() == bytes { Ok(point) } else { Err(PointError::Encoding) }
}

#[cfg(test)]
mod tests {
    use group::prime::PrimeCurveAffine;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore, SeedableRng};

    use super::*;

    fn g1(point: G1Affine) -> [u8; G1_BYTES] {
        point.to_bytes().as_ref().try_into().expect("32 bytes")
    }

    fn g2(point: G2Affine) -> [u8; G2_BYTES] {
        point.to_bytes().as_ref().try_into().expect("64 bytes")
    }

    #[test]
    fn points_are_read_back() {
        for point in [G1Affine::generator(), -G1Affine::generator(), G1Affine::identity()] {
            assert_eq!(decompress_g1(&g1(point)), Ok(point));
        }
        for point in [G2Affine::generator(), -G2Affine::generator(), G2Affine::identity()] {
            assert_eq!(decompress_g2(&g2(point)), Ok(point));
        }
    }

    #[test]
    fn flags_that_do_not_belong_are_refused() {
        let mut point = g1(G1Affine::generator());
        point[31] ^= 0x80;
        assert_eq!(decompress_g1(&point), Err(PointError::Encoding), "the flag of the identity");
        let mut identity = g1(G1Affine::identity());
        identity[31] ^= 0x40;
        assert_eq!(decompress_g1(&identity), Err(PointError::Encoding), "a sign of the identity");
        for (byte, flag) in [(63, 0x80), (31, 0x80), (31, 0x40)] {
            let mut point = g2(G2Affine::generator());
            point[byte] ^= flag;
            assert_eq!(decompress_g2(&point), Err(PointError::Encoding), "byte {byte}, flag {flag:x}");
        }
    }

    #[test]
    fn coordinates_that_are_not_reduced_are_refused() {
        // p itself, the encoding of 0 a second time, and the greatest number.
        let mut modulus = (-Fq::one()).to_bytes();
        modulus[0] += 1;
        for coordinate in [modulus, [0xff; 32]] {
            let mut low = coordinate;
            low[31] &= 0x3f;
            assert_eq!(decompress_g1(&low), Err(PointError::Encoding));
            for start in [0, 32] {
                let mut point = g2(G2Affine::generator());
                point[start..start + 32].copy_from_slice(&low);
                assert_eq!(decompress_g2(&point), Err(PointError::Encoding));
            }
        }
    }

    #[test]
    fn points_off_the_curve_or_outside_the_group_are_refused() {
        let seed = 5;
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut off, mut outside) = (0, 0);
        for _ in 0..40 {
            let mut bytes = [0; G2_BYTES];
            rng.fill_bytes(&mut bytes);
            // Reduced for certain, without flags.
            (bytes[31], bytes[63]) = (0, 0);
            match decompress_g2(&bytes) {
                Err(PointError::Curve) => off += 1,
                Err(PointError::Group) => outside += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(off > 5 && outside > 5, "{off} off the curve, {outside} outside the group");
        let mut abscissa = [0; G1_BYTES];
        let found = (0..=255).filter(|x| {
            abscissa[0] = *x;
            decompress_g1(&abscissa) == Err(PointError::Curve)
        });
        assert!(found.count() > 64);
    }
}
