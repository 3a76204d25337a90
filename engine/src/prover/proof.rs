//! A proof in the making: what the steps of the protocol hand on to each other.

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use tracing::info_span;

use super::channel::Channel;
use super::evaluation::OpeningSchedule;
use super::poly::{Poly, Polynomials, ProofPoly, find, resolve};
use super::{Challenges, Prover, ProverError};
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;

/// A proof in the making. Each step of the protocol is a method in the step's file.
pub(super) struct Proof<'p, B: Backend> {
    pub(super) prover: &'p Prover<B>,
    pub(super) rng: &'p mut dyn RngCore,
    pub(super) transcript: &'p mut dyn Channel,
    pub(super) schedule: OpeningSchedule,
    pub(super) challenges: Challenges,
    pub(super) circuits: Vec<CircuitColumns<B::Scalars>>,
    /// What the vanishing argument makes, as coefficients.
    pub(super) polys: Polynomials<B::Scalars>,
}

/// What a proof makes from the witness and the public inputs of one circuit.
pub(super) struct CircuitColumns<S> {
    /// Columns as values on H, until the grand products are made.
    pub(super) values: Polynomials<S>,
    /// Polynomials as coefficients.
    pub(super) polys: Polynomials<S>,
    /// The blinding rows drawn for each advice column.
    pub(super) advice_blinding: Vec<Vec<Fr>>,
}

impl<'p, B: Backend> Proof<'p, B> {
    pub(super) fn new(
        prover: &'p Prover<B>,
        circuits: usize,
        rng: &'p mut dyn RngCore,
        transcript: &'p mut dyn Channel,
    ) -> Self {
        let empty = || CircuitColumns {
            values: Polynomials::default(),
            polys: Polynomials::default(),
            advice_blinding: vec![Vec::new(); prover.cs.num_advice_columns()],
        };
        Proof {
            prover,
            rng,
            transcript,
            schedule: OpeningSchedule::new(&prover.cs, &prover.shape, circuits),
            challenges: Challenges::default(),
            circuits: (0..circuits).map(|_| empty()).collect(),
            polys: Polynomials::default(),
        }
    }

    pub(super) fn squeeze(&mut self) -> Fr {
        self.transcript.squeeze()
    }

    pub(super) fn write_points(&mut self, points: &[G1Affine]) -> Result<(), ProverError> {
        points.iter().try_for_each(|&point| Ok(self.transcript.write_point(point)?))
    }

    /// So many uniform scalars.
    pub(super) fn draw(&mut self, count: usize) -> Vec<Fr> {
        (0..count).map(|_| Fr::random(&mut *self.rng)).collect()
    }

    /// Commits to columns of the circuits, in the order of the names.
    pub(super) fn commit_columns(&mut self, names: &[(usize, Poly)]) -> Result<(), ProverError> {
        let columns = names.iter().map(|&(circuit, poly)| self.circuits[circuit].values.expect(poly));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let commitments = self.prover.backend.msm(&self.prover.lagrange, &columns)?;
        self.write_points(&commitments)
    }

    /// A polynomial's coefficients.
    pub(super) fn poly(&self, name: ProofPoly) -> Result<&B::Scalars, ProverError> {
        match name {
            ProofPoly::Circuit(circuit, poly) => self.circuits[circuit].polys.expect(poly),
            ProofPoly::Shared(poly) => find(&[&self.polys, &self.prover.polys], poly),
        }
    }

    /// Turns every column that is opened from values into coefficients, and drops the values, circuit by circuit.
    pub(super) fn interpolate_columns(&mut self) -> Result<(), ProverError> {
        let (names, circuits, shape) = (self.schedule.interpolated(), self.circuits.len(), &self.prover.shape);
        let (columns, rows, bytes) = (names.len(), shape.n, shape.bytes(circuits * names.len()));
        let _span = info_span!(target: TRACING_TARGET, "interpolate", circuits, columns, rows, bytes).entered();
        for circuit in &mut self.circuits {
            let columns = resolve(&[&circuit.values], names)?;
            circuit.polys.extend(names.iter().copied(), self.prover.backend.intt(&columns)?);
            circuit.values = Polynomials::default();
        }
        Ok(())
    }
}
