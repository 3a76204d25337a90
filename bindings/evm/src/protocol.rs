//! The order of a proof: what is read, when a challenge is squeezed, what is opened at which points.
//!
//! It follows from the verifying key alone, as in halo2-axiom's `plonk::verify_proof` with `VerifierSHPLONK`, whose
//! steps this file has one by one. Every offset is in bytes from the proof's start: a point has 64 bytes, a scalar 32.

use ff::Field;
use halo2_proofs::plonk::{Any, Column, Expression, VerifyingKey};
use halo2_proofs::poly::{EvaluationDomain, Rotation};
use halo2curves::bn256::{Fr, G1Affine};

use crate::Error;

/// Bytes of a point of a proof.
pub(crate) const POINT_BYTES: usize = 64;
/// Bytes of a scalar of a proof.
pub(crate) const SCALAR_BYTES: usize = 32;

/// A commitment that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commitment {
    /// A point of the proof, by its offset.
    Proof(usize),
    /// A point of the key: fixed columns, then those of the permutation.
    Key(usize),
    /// The quotient, which the contract combines of its pieces.
    Quotient,
}

/// What a commitment is claimed to open to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// A scalar of the proof, by its offset.
    Proof(usize),
    /// The quotient's value, which the contract computes of all others.
    Quotient,
}

/// A challenge of the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Of the circuit, by its index.
    Circuit(usize),
    /// Compresses what is looked up.
    Theta,
    /// Of permutations and lookups.
    Beta,
    /// Of permutations and lookups.
    Gamma,
    /// Combines the constraints.
    Y,
    /// Where polynomials are opened.
    X,
    /// SHPLONK's: combines polynomials that are opened at the same points.
    OpeningY,
    /// SHPLONK's: combines sets of points.
    OpeningV,
    /// SHPLONK's: where the combination is opened.
    OpeningU,
    /// The link's.
    Link,
}

/// A step of the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes of the proof are taken in, from this offset on.
    Absorb(usize, usize),
    /// A challenge is squeezed.
    Squeeze(Challenge),
}

/// Commitments that are opened at the same points, each with its values in the order of the points.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpeningSet {
    /// The points: x·ω^rotation.
    pub(crate) rotations: Vec<i32>,
    /// The commitments.
    pub(crate) members: Vec<(Commitment, Vec<Evaluation>)>,
}

/// A piece of the permutation argument: offsets of its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PermutationPiece {
    pub(crate) here: usize,
    pub(crate) next: usize,
    pub(crate) last: Option<usize>,
}

/// A lookup argument: offsets of its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookupValues {
    pub(crate) product: usize,
    pub(crate) product_next: usize,
    pub(crate) input: usize,
    pub(crate) input_previous: usize,
    pub(crate) table: usize,
}

/// A proof under one key.
#[derive(Debug)]
pub(crate) struct Protocol<'k> {
    pub(crate) vk: &'k VerifyingKey<G1Affine>,
    pub(crate) k: u32,
    pub(crate) omega: Fr,
    /// The transcript from the proof's first byte to the end of the opening; instances are taken in before.
    pub(crate) steps: Vec<Step>,
    /// Bytes of the proof up to there.
    pub(crate) bytes: usize,
    /// Offset of the values of advice queries, one after the other.
    pub(crate) advice_values: usize,
    /// Likewise of fixed queries.
    pub(crate) fixed_values: usize,
    /// Likewise of the permutation's columns.
    pub(crate) permutation_values: usize,
    pub(crate) permutation: Vec<PermutationPiece>,
    pub(crate) lookups: Vec<LookupValues>,
    /// Offsets of the quotient's pieces, the lowest first.
    pub(crate) quotient: Vec<usize>,
    pub(crate) sets: Vec<OpeningSet>,
    /// Offsets of SHPLONK's two points.
    pub(crate) opening: [usize; 2],
    /// Offsets of the advice columns' commitments.
    pub(crate) advice: Vec<usize>,
    /// Offsets of all points.
    pub(crate) points: Vec<usize>,
    /// Runs of scalars: offset and number.
    pub(crate) scalars: Vec<(usize, usize)>,
}

/// Reads a proof that is not there yet.
#[derive(Default)]
struct Reader {
    at: usize,
    absorbed: usize,
    steps: Vec<Step>,
    points: Vec<usize>,
    scalars: Vec<(usize, usize)>,
}

impl Reader {
    fn point(&mut self) -> usize {
        let at = self.at;
        self.points.push(at);
        self.at += POINT_BYTES;
        at
    }

    fn points(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.point()).collect()
    }

    fn scalars(&mut self, count: usize) -> usize {
        let at = self.at;
        if count > 0 {
            self.scalars.push((at, count));
        }
        self.at += count * SCALAR_BYTES;
        at
    }

    fn squeeze(&mut self, challenge: Challenge) {
        if self.at > self.absorbed {
            self.steps.push(Step::Absorb(self.absorbed, self.at - self.absorbed));
            self.absorbed = self.at;
        }
        self.steps.push(Step::Squeeze(challenge));
    }
}

impl<'k> Protocol<'k> {
    /// The proof of a key for circuits of `2^k` rows.
    ///
    /// # Errors
    /// [`Error::Circuit`] for a circuit whose proofs the stock verifier refuses, too.
    pub(crate) fn new(vk: &'k VerifyingKey<G1Affine>, k: u32) -> Result<Self, Error> {
        let cs = vk.cs();
        let degree = cs.degree();
        let domain = EvaluationDomain::<Fr>::new(degree as u32, k);
        let mut reader = Reader::default();

        let (advice_phases, challenge_phases) = (cs.advice_column_phase(), cs.challenge_phase());
        let mut advice = vec![0; cs.num_advice_columns()];
        for phase in 0..=advice_phases.iter().copied().max().unwrap_or(0) {
            for column in (0..advice.len()).filter(|column| advice_phases[*column] == phase) {
                advice[column] = reader.point();
            }
            for index in (0..challenge_phases.len()).filter(|index| challenge_phases[*index] == phase) {
                reader.squeeze(Challenge::Circuit(index));
            }
        }
        reader.squeeze(Challenge::Theta);
        let permuted: Vec<Vec<usize>> = cs.lookups().iter().map(|_| reader.points(2)).collect();
        reader.squeeze(Challenge::Beta);
        reader.squeeze(Challenge::Gamma);
        let permuted_columns = cs.permutation().get_columns().len();
        let products = reader.points(permuted_columns.div_ceil(degree - 2));
        let lookup_products = reader.points(cs.lookups().len());
        let random = reader.point();
        reader.squeeze(Challenge::Y);
        let quotient = reader.points(domain.get_quotient_poly_degree());
        reader.squeeze(Challenge::X);

        let advice_values = reader.scalars(cs.advice_queries().len());
        let fixed_values = reader.scalars(cs.fixed_queries().len());
        let random_value = reader.scalars(1);
        let permutation_values = reader.scalars(permuted_columns);
        let permutation: Vec<PermutationPiece> = (1..=products.len())
            .map(|piece| PermutationPiece {
                here: reader.scalars(1),
                next: reader.scalars(1),
                last: (piece < products.len()).then(|| reader.scalars(1)),
            })
            .collect();
        let lookups: Vec<LookupValues> = cs
            .lookups()
            .iter()
            .map(|_| LookupValues {
                product: reader.scalars(1),
                product_next: reader.scalars(1),
                input: reader.scalars(1),
                input_previous: reader.scalars(1),
                table: reader.scalars(1),
            })
            .collect();
        reader.squeeze(Challenge::OpeningY);
        reader.squeeze(Challenge::OpeningV);
        let first = reader.point();
        reader.squeeze(Challenge::OpeningU);
        let opening = [first, reader.point()];

        let mut queries: Vec<(Commitment, i32, Evaluation)> = Vec::new();
        let mut query = |commitment, rotation: i32, value| queries.push((commitment, rotation, value));
        for (index, (column, at)) in cs.advice_queries().iter().enumerate() {
            let value = Evaluation::Proof(advice_values + index * SCALAR_BYTES);
            query(Commitment::Proof(advice[column.index()]), at.0, value);
        }
        let last = -(cs.blinding_factors() as i32 + 1);
        for (product, piece) in products.iter().zip(&permutation) {
            query(Commitment::Proof(*product), 0, Evaluation::Proof(piece.here));
            query(Commitment::Proof(*product), 1, Evaluation::Proof(piece.next));
        }
        for (product, piece) in products.iter().zip(&permutation).rev() {
            if let Some(value) = piece.last {
                query(Commitment::Proof(*product), last, Evaluation::Proof(value));
            }
        }
        for ((product, permuted), values) in lookup_products.iter().zip(&permuted).zip(&lookups) {
            let [input, table] = [permuted[0], permuted[1]];
            query(Commitment::Proof(*product), 0, Evaluation::Proof(values.product));
            query(Commitment::Proof(input), 0, Evaluation::Proof(values.input));
            query(Commitment::Proof(table), 0, Evaluation::Proof(values.table));
            query(Commitment::Proof(input), -1, Evaluation::Proof(values.input_previous));
            query(Commitment::Proof(*product), 1, Evaluation::Proof(values.product_next));
        }
        for (index, (column, at)) in cs.fixed_queries().iter().enumerate() {
            let value = Evaluation::Proof(fixed_values + index * SCALAR_BYTES);
            query(Commitment::Key(column.index()), at.0, value);
        }
        for index in 0..permuted_columns {
            let value = Evaluation::Proof(permutation_values + index * SCALAR_BYTES);
            query(Commitment::Key(cs.num_fixed_columns() + index), 0, value);
        }
        query(Commitment::Quotient, 0, Evaluation::Quotient);
        query(Commitment::Proof(random), 0, Evaluation::Proof(random_value));

        let omega = domain.get_omega();
        Ok(Self {
            vk,
            k,
            omega,
            steps: reader.steps,
            bytes: reader.at,
            advice_values,
            fixed_values,
            permutation_values,
            permutation,
            lookups,
            quotient,
            sets: sets(&queries, k)?,
            opening,
            advice,
            points: reader.points,
            scalars: reader.scalars,
        })
    }

    /// A point of the key: fixed columns, then those of the permutation.
    pub(crate) fn key_point(&self, index: usize) -> G1Affine {
        let fixed = self.vk.fixed_commitments();
        match index.checked_sub(fixed.len()) {
            None => fixed[index],
            Some(index) => self.vk.permutation().commitments()[index],
        }
    }

    /// Offset of the value of a column of the permutation on the current row.
    pub(crate) fn current(&self, column: Column<Any>) -> Option<Current> {
        let cs = self.vk.cs();
        let at = |list: Option<usize>, from: usize| list.map(|index| Current::Value(from + index * SCALAR_BYTES));
        let is = |index: usize, rotation: &Rotation| index == column.index() && rotation.0 == 0;
        match column.column_type() {
            Any::Advice(_) => at(cs.advice_queries().iter().position(|(c, r)| is(c.index(), r)), self.advice_values),
            Any::Fixed => at(cs.fixed_queries().iter().position(|(c, r)| is(c.index(), r)), self.fixed_values),
            Any::Instance => cs.instance_queries().iter().position(|(c, r)| is(c.index(), r)).map(Current::Instance),
        }
    }

    /// Points of the domain as powers of its generator, for a rotation.
    pub(crate) fn rotated(&self, rotation: i64) -> Fr {
        self.omega.pow_vartime([rotation.rem_euclid(1 << self.k) as u64])
    }

    /// All constraints of gates, in the order in which they are combined.
    pub(crate) fn gates(&self) -> impl Iterator<Item = &'k Expression<Fr>> {
        self.vk.cs().gates().iter().flat_map(|gate| gate.polynomials())
    }
}

/// Where a column's value on the current row is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Current {
    /// A scalar of the proof, by its offset.
    Value(usize),
    /// An instance query.
    Instance(usize),
}

/// Commitments by the points that they are opened at, as `construct_intermediate_sets` has them: a commitment where it
/// is first opened, a set where its first commitment is.
fn sets(queries: &[(Commitment, i32, Evaluation)], k: u32) -> Result<Vec<OpeningSet>, Error> {
    let mut commitments: Vec<(Commitment, Vec<(i32, Evaluation)>)> = Vec::new();
    for (commitment, rotation, value) in queries {
        // Rotations that are one point of the domain are one.
        let rotation = i64::from(*rotation).rem_euclid(1 << k) as i32;
        match commitments.iter_mut().find(|(known, _)| known == commitment) {
            Some((_, values)) => values.push((rotation, *value)),
            None => commitments.push((*commitment, vec![(rotation, *value)])),
        }
    }
    let mut sets: Vec<OpeningSet> = Vec::new();
    for (commitment, mut values) in commitments {
        values.sort_by_key(|(rotation, _)| *rotation);
        let rotations: Vec<i32> = values.iter().map(|(rotation, _)| *rotation).collect();
        // Two values at one point would leave one of them unproved; the stock verifier refuses every such proof.
        if rotations.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::Circuit("it opens a column twice at one point".into()));
        }
        let member = (commitment, values.into_iter().map(|(_, value)| value).collect());
        match sets.iter_mut().find(|set| set.rotations == rotations) {
            Some(set) => set.members.push(member),
            None => sets.push(OpeningSet { rotations, members: vec![member] }),
        }
    }
    Ok(sets)
}
