//! One inference proved on each back end that this machine has, and how long each took.
//!
//! ```sh
//! cargo run --release -p zkml-gpu --example compare_backends -- NAME.pk input.json
//! ```
//!
//! `zkml-gpu bench prove` does the same with statistics.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use rand_core::OsRng;
use zkml_gpu::{BackendChoice, ProverKey, read_samples};

/// Proofs of each back end, of which the fastest counts.
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(key), Some(input)) = (arguments.next(), arguments.next()) else {
        return Err("give a proving key and an input: NAME.pk INPUT.json".into());
    };
    let times = compare(Path::new(&key), Path::new(&input))?;
    let slowest = times.iter().map(|(_, time)| *time).max().unwrap_or_default();
    for (device, time) in times {
        println!(
            "{device:60} {:9.1} ms  {:5.2} x",
            time.as_secs_f64() * 1e3,
            slowest.as_secs_f64() / time.as_secs_f64()
        );
    }
    Ok(())
}

/// Each back end's device with its least time.
fn compare(key: &Path, input: &Path) -> Result<Vec<(String, Duration)>, Box<dyn Error>> {
    let mut times = Vec::new();
    for backend in BackendChoice::present() {
        let key = ProverKey::read(key)?;
        let samples = read_samples(input, &key.model().inputs())?;
        let budget = key.model().memory_budget(None)?;
        let prover = key.prover(&backend, &budget)?;
        let mut least = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let proof = prover.prove(&samples[0], OsRng)?.bundle;
            least = least.min(start.elapsed());
            prover.key().verify(&proof)?;
        }
        times.push((prover.device(), least));
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use zkml_gpu::{CompileOptions, ImportOptions, Model, Srs};

    use super::*;

    #[test]
    fn every_back_end_of_this_machine_proves_with_one_key() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/gemm_plain.onnx");
        let (input, folder) = (model.with_extension("json"), tempfile::tempdir().expect("a folder"));
        let model = Model::load(&model, &ImportOptions::default()).expect("a model");
        let samples = read_samples(&input, &model.inputs()).expect("samples");
        let compiled = model.compile(&samples, &CompileOptions::default()).expect("a circuit");
        let srs = Srs::development(compiled.k(), OsRng).expect("a reference string");
        let key = compiled.setup(&srs, &BackendChoice::Cpu, OsRng).expect("keys");
        key.write(folder.path().join("gemm.pk")).expect("a file");
        let times = compare(&folder.path().join("gemm.pk"), &input).expect("proofs");
        assert!(!times.is_empty() && times.iter().all(|(_, time)| !time.is_zero()));
        assert!(compare(&input, &input).is_err(), "no key");
    }
}
