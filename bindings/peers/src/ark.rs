//! ark-bn254's multi-scalar multiplication, which finds small scalars of either sign by itself.

use ark_bn254::{Fq as ArkFq, Fr as ArkFr, G1Affine as ArkPoint, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{BigInt, PrimeField};
use halo2_proofs::halo2curves::CurveAffine;
use halo2_proofs::halo2curves::bn256::{Fq, G1Affine};
use zkml_gpu_engine::bench::{Inputs, Operation, Outcome};

use crate::Peer;

const NAME: &str = "ark-bn254";

/// The peer of a multi-scalar multiplication.
pub(crate) fn peer<'a>(inputs: &Inputs, points: &[G1Affine]) -> Option<Peer<'a>> {
    if !matches!(inputs.operation(), Operation::Msm | Operation::MsmI8 | Operation::MsmI32) {
        return None;
    }
    let points: Vec<ArkPoint> = points.iter().map(to_ark).collect();
    let scalars: Vec<ArkFr> = inputs.columns()[0].iter().map(|scalar| field(&scalar.to_bytes())).collect();
    let run = move |()| G1Projective::msm_unchecked(&points, &scalars);
    let read = |sum: G1Projective| Outcome { points: vec![from_ark(&sum.into_affine())], scalars: vec![] };
    Some(Peer::new(NAME, || (), run, read))
}

/// A point other than the identity.
fn to_ark(point: &G1Affine) -> ArkPoint {
    ArkPoint::new_unchecked(field(&point.x.to_bytes()), field(&point.y.to_bytes()))
}

fn from_ark(point: &ArkPoint) -> G1Affine {
    let coordinate = |value: ArkFq| {
        let mut bytes = [0; 32];
        bytes
            .chunks_exact_mut(8)
            .zip(value.into_bigint().0)
            .for_each(|(to, limb)| to.copy_from_slice(&limb.to_le_bytes()));
        Option::<Fq>::from(Fq::from_bytes(&bytes))
    };
    let affine = coordinate(point.x).zip(coordinate(point.y)).and_then(|(x, y)| Option::from(G1Affine::from_xy(x, y)));
    // What is no point is no sum either: the comparison finds it.
    affine.filter(|_| !point.is_zero()).unwrap_or_default()
}

/// A field element from its canonical bytes, least significant first.
fn field<F: PrimeField<BigInt = BigInt<4>>>(bytes: &[u8; 32]) -> F {
    let limb = |i: usize| bytes[8 * i..8 * i + 8].iter().rev().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    F::from_bigint(BigInt([limb(0), limb(1), limb(2), limb(3)])).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use halo2_proofs::halo2curves::bn256::Fr;
    use zkml_gpu_engine::bench::data::distinct_points;

    use super::*;

    #[test]
    fn points_and_scalars_are_the_same_there() {
        for point in distinct_points(9) {
            assert_eq!(from_ark(&to_ark(&point)), point);
        }
        assert_eq!(from_ark(&ArkPoint::identity()), G1Affine::default());
        assert_eq!(field::<ArkFr>(&(-Fr::from(3)).to_bytes()), -ArkFr::from(3));
    }
}
