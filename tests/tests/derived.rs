//! Columns that the back end derives: the witness's own, to the byte of the proof.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::circuit::derived_columns;
use zkml_gpu_circuit::keys;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::prove::Job;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::Cpu;
use zkml_gpu_engine::prover::{Prover, ProverOptions};
use zkml_gpu_tests::networks::{self, Session, narrow};

/// A prover of the session's circuit that derives all it can, and checks nothing.
fn deriving(session: &Session) -> Prover<Cpu> {
    let committer = Committer::new(Cpu::new(), &session.srs, 0).expect("points");
    let rng = ChaCha20Rng::seed_from_u64(3);
    let (circuit, _) =
        keys::setup(&session.graph, &session.layout, &session.srs, &committer, keys::Hiding::Drawn(rng)).expect("keys");
    let mut options = ProverOptions::default();
    options.check_witness = false;
    options.derived = derived_columns(&session.layout, &session.keys.model.bank);
    assert!(!options.derived.is_empty());
    Prover::with_key(committer, circuit, &options).expect("a prover")
}

/// As [`Session::proof`], by another prover.
fn proof(session: &Session, prover: &Prover<Cpu>, first: &FirstPhase) -> Vec<u8> {
    let Session { keys, layout, graph, execution, .. } = session;
    let job = Job { keys, layout, graph, execution, first, tensors: &[] };
    let rng = ChaCha20Rng::seed_from_u64(99);
    job.prove(prover, &session.inputs, &session.outputs, rng, |circuit| circuit).expect("a proof")
}

#[test]
fn every_network_is_proved_as_from_its_witness() {
    for weights in [WeightMode::Committed, WeightMode::Embedded] {
        for (number, (name, graph)) in networks::zoo().into_iter().enumerate() {
            let mut options = if name.contains("blocks") { narrow() } else { LayoutOptions::default() };
            options.weights = weights;
            options.lookup_group = Some(1 + number % 3);
            let session = Session::new(graph, &options, 13);
            let prover = deriving(&session);
            let a = &session.layout.architecture;
            let last = a.first_phase() + a.second_phase()..a.first_phase() + a.second_phase() + a.third_phase();
            let mut derived = last.chain(a.folded_weights());
            assert!(
                derived.all(|column| prover.derives(column)),
                "{name}: the fold and the whole last phase are derived"
            );
            let expected = session.proof(&session.first, &session.outputs, &[]).expect("a proof");
            assert!(proof(&session, &prover, &session.first) == expected, "{name}, {weights:?}");
        }
    }
}

/// Cells that nothing reads may change; whatever is rejected of a witness is rejected where its last phase is derived.
#[test]
fn what_is_derived_from_a_wrong_cell_is_rejected() {
    let session = Session::new(networks::pooled(), &LayoutOptions::default(), 14);
    let prover = deriving(&session);
    let small = |column: &usize| !session.first.columns[*column].is_empty();
    let mut rejected = 0;
    for column in (0..session.layout.architecture.first_phase()).filter(small) {
        for row in [1, session.first.columns[column].len() / 4] {
            let mut first = session.first.clone();
            first.columns[column][row] += 1;
            let proof = proof(&session, &prover, &first);
            let accepted = session.verify(&session.outputs, &proof).is_ok();
            assert_eq!(accepted, session.real(&first, &session.outputs, &[]), "column {column}, row {row}");
            rejected += usize::from(!accepted);
        }
    }
    assert!(rejected > session.layout.architecture.first_phase() / 2, "{rejected}");
}
