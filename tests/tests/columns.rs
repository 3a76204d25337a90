//! Witnesses that come by columns: the proofs of the circuits that assign them, to the byte.

use std::borrow::Cow;

use halo2_proofs::plonk::{Error, keygen_pk, keygen_vk};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::transcript::{Blake2bWrite, Challenge255, TranscriptWriterBuffer};
use halo2curves::bn256::{Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkml_gpu_circuit::circuit::{NetworkCircuit, Witness};
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_engine::backend::Cpu;
use zkml_gpu_engine::prover::{AdviceColumn, ColumnWitness};
use zkml_gpu_engine::{Prover, ProverError};
use zkml_gpu_tests::networks::{self, Session};
use zkml_gpu_tests::zoo::{Specimen, TwoPhases};

const SEED: u64 = 31;
const ROWS: i64 = 20;

/// What [`TwoPhases`] assigns: integers, and a running evaluation of them at the challenge.
#[derive(Default)]
struct Horner {
    /// Rows of the first column beyond the circuit's own.
    more: usize,
    /// A column that is not given.
    without: Option<usize>,
    /// Whether columns of other phases are given, too.
    others: bool,
}

impl ColumnWitness for Horner {
    fn columns(&mut self, phase: u8, challenges: &[Option<Fr>]) -> Result<Vec<(usize, AdviceColumn<'_>)>, Error> {
        let values: Vec<i64> = (0..ROWS).map(|row| row * 37 % 101).collect();
        assert_eq!(challenges.len(), 1);
        assert_eq!(challenges[0].is_some(), phase > 0, "the challenge follows the first phase");
        let challenge = challenges[0].unwrap_or(Fr::zero());
        let mut sums = vec![Fr::zero()];
        for value in &values[1..] {
            sums.push(sums[sums.len() - 1] * challenge + Fr::from(value.unsigned_abs()));
        }
        let rows = values.len() + self.more;
        let values = values.into_iter().chain(std::iter::repeat(0)).take(rows).collect();
        let both = [(1, AdviceColumn::Elements(Cow::Owned(sums))), (0, AdviceColumn::Integers(Cow::Owned(values)))];
        let wanted =
            |(index, _): &(usize, _)| (self.others || *index == usize::from(phase)) && self.without != Some(*index);
        Ok(both.into_iter().filter(wanted).collect())
    }
}

fn prover() -> Prover<Cpu> {
    let params = ParamsKZG::setup(TwoPhases::K, ChaCha20Rng::seed_from_u64(SEED));
    let vk = keygen_vk::<G1Affine, _, _>(&params, &TwoPhases::honest()).unwrap();
    let pk = keygen_pk(&params, vk, &TwoPhases::honest()).unwrap();
    Prover::new(Cpu::new(), &params, &pk).unwrap()
}

fn proof_of(
    prover: &Prover<Cpu>,
    witness: &mut impl ColumnWitness,
    instances: &[&[Fr]],
) -> Result<Vec<u8>, ProverError> {
    let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
    prover.create_proof_from_columns(witness, instances, ChaCha20Rng::seed_from_u64(SEED), &mut transcript)?;
    Ok(transcript.finalize())
}

#[test]
fn columns_are_proved_as_the_circuit_that_assigns_them() {
    let prover = prover();
    let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
    let rng = ChaCha20Rng::seed_from_u64(SEED);
    prover.create_proof(&TwoPhases::honest(), &[], rng, &mut transcript).unwrap();
    let expected = transcript.finalize();
    for others in [false, true] {
        assert_eq!(proof_of(&prover, &mut Horner { others, ..Horner::default() }, &[]).unwrap(), expected);
    }
    // All usable rows may be given.
    let usable = prover_rows(&prover);
    let more = usable - ROWS as usize;
    assert_eq!(proof_of(&prover, &mut Horner { more, ..Horner::default() }, &[]).unwrap(), expected);
}

/// Rows before the blinding ones, as a refusal tells them.
fn prover_rows(prover: &Prover<Cpu>) -> usize {
    let long = &mut Horner { more: 1 << TwoPhases::K, ..Horner::default() };
    match proof_of(prover, long, &[]) {
        Err(ProverError::CellOutOfRange { column: 0, columns: 2, usable_rows, .. }) => usable_rows,
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_and_long_columns_are_refused() {
    let prover = prover();
    for column in 0..2 {
        let refusal = proof_of(&prover, &mut Horner { without: Some(column), ..Horner::default() }, &[]).unwrap_err();
        let phase = column as u8;
        assert!(
            matches!(refusal, ProverError::MissingWitness { column: c, phase: p, .. } if (c, p) == (column, phase)),
            "{refusal}"
        );
    }
    let more = prover_rows(&prover) - ROWS as usize + 1;
    let refusal = proof_of(&prover, &mut Horner { more, ..Horner::default() }, &[]).unwrap_err();
    assert!(matches!(refusal, ProverError::CellOutOfRange { column: 0, .. }), "{refusal}");
}

#[test]
fn networks_are_proved_from_columns_as_from_their_circuits() {
    for weights in [WeightMode::Committed, WeightMode::Embedded] {
        for graph in [networks::pooled(), networks::attention()] {
            let mut options = LayoutOptions::default();
            options.weights = weights;
            let session = Session::new(graph, &options, 17);
            let instances = session.layout.statement.instances(&session.inputs, &session.outputs).unwrap();
            let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
            let witness = Witness {
                graph: &session.graph,
                execution: &session.execution,
                bank: &session.keys.model.bank,
                first: &session.first,
                instances: &instances,
                derived: false,
            };
            let circuit = NetworkCircuit::proving(&session.layout, witness);
            let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
            let rng = ChaCha20Rng::seed_from_u64(SEED);
            session.prover.create_proof(&circuit, &columns, rng, &mut transcript).unwrap();
            let expected = transcript.finalize();
            let mut by_columns = circuit.columns().unwrap();
            assert_eq!(proof_of(&session.prover, &mut by_columns, &columns).unwrap(), expected, "{weights:?}");
            assert!(NetworkCircuit::keygen(&session.layout, &session.keys.model.bank).columns().is_none());
        }
    }
}
