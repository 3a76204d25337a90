//! One setup, a published key, any number of proofs, and a verifier that has neither model nor proving key.
//!
//! ```sh
//! cargo run --release -p zkml-gpu --example published_key -- model.onnx samples.json
//! ```

use std::error::Error;
use std::path::Path;

use rand_core::OsRng;
use zkml_gpu::{
    BackendChoice, CompileOptions, CompiledModel, ImportOptions, Model, ModelKey, ProofBundle, ProverKey, Srs,
    read_samples,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(samples)) = (arguments.next(), arguments.next()) else {
        return Err("give a model and samples: MODEL.onnx SAMPLES.json".into());
    };
    let folder = tempfile::tempdir()?;
    publish(Path::new(&model), Path::new(&samples), folder.path())?;
    prove(Path::new(&samples), folder.path())?;
    verify(folder.path())
}

/// The owner of the model, once.
fn publish(model: &Path, samples: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let model = Model::load(model, &ImportOptions::default())?;
    let samples = read_samples(samples, &model.inputs())?;
    let compiled = model.compile(&samples, &CompileOptions::default())?;
    println!("error on the samples: {:.3} % of the output's range", 100.0 * compiled.about().accuracy.max_error);
    compiled.write(folder.join("model.zkml"))?;

    // On the same machine or another one: the compiled model is all that it takes.
    let compiled = CompiledModel::read(folder.join("model.zkml"))?;
    // A real one comes from a ceremony: `Srs::read("powers.ptau", compiled.k())?`.
    let srs = Srs::development(compiled.k(), OsRng)?;
    let key = compiled.setup(&srs, &BackendChoice::Auto, OsRng)?;
    key.write(folder.join("model.pk"))?; // private
    key.key().write(folder.join("model.vk"))?; // to publish
    Ok(())
}

/// The owner of the model, for each input: several threads share one prover.
fn prove(samples: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let key = ProverKey::read(folder.join("model.pk"))?;
    let samples = read_samples(samples, &key.model().inputs())?;
    let budget = key.model().memory_budget(None)?;
    let prover = key.prover(&BackendChoice::Auto, &budget)?;
    let written = std::thread::scope(|scope| {
        let proofs: Vec<_> = samples.iter().take(2).map(|sample| scope.spawn(|| prover.prove(sample, OsRng))).collect();
        proofs.into_iter().map(|proof| proof.join().expect("no panic")).collect::<Result<Vec<_>, _>>()
    })?;
    for (index, proof) in written.into_iter().enumerate() {
        proof.bundle.write(folder.join(format!("{index}.proof.json")))?;
    }
    Ok(())
}

/// Whoever has the published key.
fn verify(folder: &Path) -> Result<(), Box<dyn Error>> {
    let key = ModelKey::read(folder.join("model.vk"))?;
    for index in 0.. {
        let path = folder.join(format!("{index}.proof.json"));
        if !path.exists() {
            break;
        }
        let proof = ProofBundle::read(path)?;
        key.verify(&proof)?;
        println!("{} gave {:?}", key.model(), proof.outputs[0].reals());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_proofs_are_made_and_verified() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/lenet/lenet.onnx");
        let (samples, folder) = (model.with_file_name("calibration.json"), tempfile::tempdir().expect("a folder"));
        publish(&model, &samples, folder.path()).expect("keys");
        prove(&samples, folder.path()).expect("proofs");
        verify(folder.path()).expect("accepted");
        assert!(folder.path().join("1.proof.json").exists());
        // Proofs that changed places with their keys' are not accepted.
        std::fs::copy(folder.path().join("model.pk"), folder.path().join("model.vk")).expect("a copy");
        assert!(verify(folder.path()).is_err());
    }
}
