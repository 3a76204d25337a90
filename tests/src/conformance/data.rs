//! Test data by kind, size and seed. A case prints itself in the failure message.

use ff::{Field, PrimeField};
use group::Curve;
use group::prime::PrimeCurveAffine;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Sizes at which nothing special may happen: none, one, odd, powers of two, and around 64, 256, 1024 and 2048.
pub const SIZES: &[usize] = &[0, 1, 2, 3, 7, 8, 63, 64, 65, 255, 256, 257, 1000, 1023, 1024, 1025, 2047, 2048, 2049];

/// What scalars look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Uniform.
    Random,
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All p - 1.
    MinusOne,
    /// All the same random value.
    AllEqual,
    /// Random values, then the same one again and again, and six more random ones, as in a padded column with blinding.
    Padded,
    /// Uniform in [-128, 127], as an int8 column.
    SignedBytes,
    /// Around the powers of two up to 2^64, of either sign.
    Edges,
    /// The middle of the field, (p - 1)/2 and (p + 1)/2, where the sign flips.
    Middle,
    /// Zeros, small values of either sign and full-size values, mixed.
    Mixed,
    /// Integers below 2^31 of either sign, then six random values, as in a witness's column with blinding.
    Blinded,
}

/// Every kind of scalars.
pub const KINDS: &[Kind] = &[
    Kind::Random,
    Kind::Zeros,
    Kind::Ones,
    Kind::MinusOne,
    Kind::AllEqual,
    Kind::Padded,
    Kind::SignedBytes,
    Kind::Edges,
    Kind::Middle,
    Kind::Mixed,
    Kind::Blinded,
];

/// One vector of test data.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What the scalars look like.
    pub kind: Kind,
    /// How many there are.
    pub len: usize,
    /// Seed of the generator.
    pub seed: u64,
}

impl Case {
    /// Every kind at every size given. `CONFORMANCE_SEED` in the environment replaces the default seed.
    pub fn all(sizes: &[usize]) -> impl Iterator<Item = Case> {
        let seed = std::env::var("CONFORMANCE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        let with_size = move |len: &usize| {
            let len = *len;
            KINDS.iter().map(move |kind| Case { kind: *kind, len, seed: seed + len as u64 })
        };
        sizes.iter().flat_map(with_size).collect::<Vec<_>>().into_iter()
    }

    /// A generator for this case; different streams are independent.
    pub fn rng(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }

    /// The case's scalars; different streams give different vectors.
    pub fn scalars(&self, stream: u64) -> Vec<Fr> {
        let mut rng = self.rng(stream);
        let repeated = Fr::random(&mut rng);
        let mut scalars: Vec<Fr> = (0..self.len).map(|_| self.scalar(&mut rng, repeated)).collect();
        if matches!(self.kind, Kind::Padded) {
            scalars[self.len.min(17)..(self.len.max(23) - 6).min(self.len)].fill(repeated);
        }
        if matches!(self.kind, Kind::Blinded) {
            scalars.iter_mut().rev().take(6).for_each(|scalar| *scalar = Fr::random(&mut rng));
        }
        scalars
    }

    /// A random scalar, whatever the kind.
    pub fn random(&self, stream: u64) -> Fr {
        Fr::random(&mut self.rng(1000 + stream))
    }

    fn scalar(&self, rng: &mut ChaCha8Rng, repeated: Fr) -> Fr {
        match self.kind {
            Kind::Random | Kind::Padded => Fr::random(rng),
            Kind::Zeros => Fr::ZERO,
            Kind::Ones => Fr::ONE,
            Kind::MinusOne => -Fr::ONE,
            Kind::AllEqual => repeated,
            Kind::SignedBytes => signed(rng, |rng| rng.next_u64() % 129),
            Kind::Edges => signed(rng, |rng| {
                let power = 1u64.checked_shl(rng.next_u32() % 65).unwrap_or(0);
                power.wrapping_add(rng.next_u64() % 3).wrapping_sub(1)
            }),
            Kind::Blinded => signed(rng, |rng| rng.next_u64() % (1 << 31)),
            Kind::Middle => [Fr::TWO_INV, Fr::TWO_INV - Fr::ONE][rng.next_u32() as usize % 2],
            Kind::Mixed => match rng.next_u32() % 3 {
                0 => Fr::ZERO,
                1 => signed(rng, |rng| rng.next_u64() % 1000),
                _ => Fr::random(rng),
            },
        }
    }
}

fn signed(rng: &mut ChaCha8Rng, magnitude: impl Fn(&mut ChaCha8Rng) -> u64) -> Fr {
    let value = Fr::from(magnitude(rng));
    if rng.next_u32().is_multiple_of(2) { value } else { -value }
}

/// What base points look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// Pairwise different.
    Distinct,
    /// All the same point.
    AllEqual,
    /// P, -P, P, -P, ..
    Opposite,
    /// The identity here and there, and few different points otherwise.
    WithIdentity,
    /// The identity only.
    Identity,
}

/// Every kind of points.
pub const POINTS: &[Points] =
    &[Points::Distinct, Points::AllEqual, Points::Opposite, Points::WithIdentity, Points::Identity];

impl Points {
    /// `len` points of this kind.
    pub fn make(self, len: usize, seed: u64) -> Vec<G1Affine> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let start = G1::generator() * Fr::random(&mut rng);
        let step = G1::generator() * Fr::random(&mut rng);
        let distinct: Vec<G1> = std::iter::successors(Some(start), |p| Some(p + step)).take(len).collect();
        let mut points = vec![G1Affine::identity(); len];
        G1::batch_normalize(&distinct, &mut points);
        let Some(first) = points.first().copied() else { return points };
        let few = points[..len.min(3)].to_vec();
        for (i, point) in points.iter_mut().enumerate() {
            match self {
                Points::Distinct => (),
                Points::AllEqual => *point = first,
                Points::Opposite => *point = if i % 2 == 0 { first } else { -first },
                Points::WithIdentity if rng.next_u32().is_multiple_of(3) => *point = G1Affine::identity(),
                Points::WithIdentity => *point = few[rng.next_u32() as usize % few.len()],
                Points::Identity => *point = G1Affine::identity(),
            }
        }
        points
    }
}
