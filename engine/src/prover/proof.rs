//! A proof in the making: what the steps of the protocol hand on to each other.

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use tracing::info_span;

use super::channel::Channel;
use super::evaluation::OpeningSchedule;
use super::poly::{Form, Poly, Polynomials, ProofPoly, form, resolve};
use super::{Challenges, Prover, ProverError};
use crate::backend::Backend;
use crate::backend::cpu::give_back;
use crate::spans::TRACING_TARGET;

/// Bytes of columns that are there as values and as coefficients at a time.
const INTERPOLATED_BYTES: usize = 8 << 20;

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
    /// Columns as values on H: all until the grand products are made, then those that [stay] so.
    ///
    /// [stay]: super::shape::Shape::stays_values
    pub(super) values: Polynomials<S>,
    /// The others, as coefficients.
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

    /// A polynomial, after the columns are interpolated.
    pub(super) fn poly(&self, name: ProofPoly) -> Result<Form<'_, B::Scalars>, ProverError> {
        match name {
            ProofPoly::Circuit(circuit, poly) => {
                let CircuitColumns { values, polys, .. } = &self.circuits[circuit];
                form(&[polys], &[values], poly)
            }
            ProofPoly::Shared(poly) => form(&[&self.polys, &self.prover.polys], &[&self.prover.values], poly),
        }
    }

    /// Turns every column that is opened from values into coefficients, circuit by circuit, and drops the values, some
    /// columns at a time. Columns that are compact stay values, unless the proof is small.
    pub(super) fn interpolate_columns(&mut self) -> Result<(), ProverError> {
        let (names, circuits, shape) = (self.schedule.interpolated(), self.circuits.len(), &self.prover.shape);
        let (columns, rows, bytes) = (names.len(), shape.n, shape.bytes(circuits * names.len()));
        let _span = info_span!(target: TRACING_TARGET, "interpolate", circuits, columns, rows, bytes).entered();
        let backend = &self.prover.backend;
        for CircuitColumns { values, polys, .. } in &mut self.circuits {
            values.retain(names);
            let mut others = Vec::new();
            for name in names {
                if !shape.stays_values(backend, values.expect(*name)?) {
                    others.push(*name);
                }
            }
            // A device has few transforms rather than many.
            let together = if backend.is_host() { shape.batch(INTERPOLATED_BYTES) } else { others.len().max(1) };
            for batch in others.chunks(together) {
                polys.extend(batch.iter().copied(), backend.intt(&resolve(&[&*values], batch)?)?);
                batch.iter().for_each(|name| drop(values.remove(*name)));
            }
        }
        if !shape.small {
            give_back();
        }
        Ok(())
    }
}
