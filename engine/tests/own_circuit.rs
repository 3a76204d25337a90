//! The example program runs, and refuses what it should.

#[path = "../examples/own_circuit.rs"]
mod own_circuit;

use zkml_gpu_engine::ProverError;

#[test]
fn the_example_proves_on_every_name_that_a_processor_has() {
    for name in ["cpu", "auto", "dual:cpu,cpu"] {
        let outcome = own_circuit::run(name).expect(name);
        assert!(!outcome.device.is_empty(), "{name}");
        assert_eq!(outcome.proof_bytes.len(), 2, "{name}");
        assert!(outcome.proof_bytes.iter().all(|bytes| *bytes > 0), "{name}");
        let [(_, no_byte), (_, other_public)] = &outcome.refusals[..] else { panic!("{:?}", outcome.refusals) };
        assert!(matches!(no_byte, ProverError::NotInTable { row: 0, .. }), "{no_byte}");
        assert!(matches!(other_public, ProverError::CopyConstraint), "{other_public}");
    }
}

#[test]
fn the_example_refuses_a_back_end_that_does_not_exist() {
    let error = own_circuit::run("gpu").expect_err("no such back end").to_string();
    assert!(error.contains("'gpu'") && error.contains("hint:"), "{error}");
}
