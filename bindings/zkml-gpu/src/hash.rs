//! Hashes of inputs, as whoever has the data makes them: from the numbers of an input file.

use std::path::{Path, PathBuf};

use zkml_gpu_circuit::hash::{Poseidon, Salt, TensorHash, hash_tensor};
use zkml_gpu_files::{Access, Staged};
use zkml_gpu_graph::{Format, Storage};
use zkml_gpu_onnx::quant::Sample;
use zkml_gpu_verify::hash_stored;

use crate::{CompiledModel, Error, FileError, ModelKey, read_bounded};

/// Largest file of a salt that is read.
const MAX_SALT_BYTES: u64 = 1 << 10;
const HINT: &str = "salts are written by `zkml-gpu commit --salt`; copy the file again";

/// The hashes of a sample's tensors under given formats, without a model: each number is rounded to the nearest integer
/// of its format, as a prover does it. `salts` has a salt for each tensor, or `None`.
///
/// ```
/// use zkml_gpu::graph::Format;
/// use zkml_gpu::{ModelInput, hash_sample, read_samples};
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("seven.json");
/// # std::fs::write(&file, r#"{"input_data": [[0.0, 0.5, 1.0]]}"#)?;
/// let format = Format::new(8, 0, 255);
/// let samples = read_samples(&file, &[ModelInput { name: "picture", len: 3, classes: None }])?;
/// let hashes = hash_sample(&[format], &samples[0], &[None])?;
/// println!("{}", hashes[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Arguments`] where there are not as many formats and salts as tensors, [`Error::Hash`] for an empty tensor.
pub fn hash_sample(formats: &[Format], sample: &Sample, salts: &[Option<Salt>]) -> Result<Vec<TensorHash>, Error> {
    expect_each("formats", formats.len(), sample.len())?;
    expect_each("salts", salts.len(), sample.len())?;
    let poseidon = Poseidon::new();
    let tensors = sample.iter().zip(formats).zip(salts).enumerate();
    let hashes = tensors.map(|(input, ((reals, format), salt))| {
        let values: Vec<i64> = reals.iter().map(|real| format.quantise(*real)).collect();
        hash_tensor(&poseidon, *format, &values, salt.as_ref()).map_err(|source| Error::Hash { input, source })
    });
    hashes.collect()
}

impl CompiledModel {
    /// The hashes of a sample's tensors as inputs of this model: of the integers that a proof for them is about. `salts`
    /// has a salt for each input, or `None`.
    ///
    /// # Errors
    /// [`Error::Arguments`] where there are not as many tensors, numbers and salts as inputs have, [`Error::Hash`] for an input that
    /// is no tensor of its format, such as an index beyond the classes.
    pub fn hash_inputs(&self, sample: &Sample, salts: &[Option<Salt>]) -> Result<Vec<TensorHash>, Error> {
        let ports = &self.layout.statement.inputs;
        expect_each("tensors", sample.len(), ports.len())?;
        expect_each("salts", salts.len(), ports.len())?;
        for (port, reals) in ports.iter().zip(sample) {
            expect_each(&format!("numbers of '{}'", port.name), reals.len(), port.logical_len())?;
        }
        let poseidon = Poseidon::new();
        let quantised = self.graph.quantise_inputs(sample);
        let tensors = ports.iter().zip(&quantised).zip(salts).enumerate();
        let hashes = tensors.map(|(input, ((port, stored), salt))| {
            let hash = hash_stored(&poseidon, port, stored, salt.as_ref());
            hash.map_err(|source| Error::Hash { input, source })
        });
        hashes.collect()
    }
}

/// The hash of numbers, in the model's order, as an input or output of a model has them: before any proof.
///
/// # Errors
/// [`Error::Arguments`] where the model has no such tensor, or another number of elements; [`Error::Hash`] where the
/// numbers are none of it, such as an index beyond the classes.
pub fn hash_numbers(key: &ModelKey, name: &str, numbers: &[f32], salt: Option<&Salt>) -> Result<TensorHash, Error> {
    let Some(port) = zkml_gpu_verify::port(key.keys(), name) else {
        let problem = format!("the model has no input or output '{name}'");
        return Err(Error::Arguments { problem, hint: "zkml-gpu inspect NAME.vk lists them" });
    };
    expect_each(&format!("numbers of '{name}'"), numbers.len(), port.logical_len())?;
    let format = port.logical_format();
    let values = if port.storage == Storage::OneHot {
        let index = |number: &f32| zkml_gpu_graph::index(*number, port.classes()).and_then(|i| i64::try_from(i).ok());
        numbers.iter().map(index).collect::<Option<Vec<i64>>>().ok_or_else(|| {
            let problem = format!("'{name}' takes whole numbers from 0 to {}", port.classes().saturating_sub(1));
            Error::Arguments { problem, hint: "give one list of indices" }
        })?
    } else {
        expect_within(name, format, numbers)?;
        numbers.iter().map(|number| format.quantise(*number)).collect()
    };
    hash_tensor(&Poseidon::new(), format, &values, salt).map_err(|source| Error::Hash { input: 0, source })
}

/// Refuses numbers that a tensor's integers do not reach: a prover would clamp them, and say so.
pub(crate) fn expect_within(name: &str, format: Format, numbers: &[f32]) -> Result<(), Error> {
    let step = format.step();
    let ends = [format.min as f64 - 1.0, format.max as f64 + 1.0].map(|end| end * step);
    let beyond = numbers.iter().position(|number| !(ends[0]..=ends[1]).contains(&f64::from(*number)));
    let Some(place) = beyond else { return Ok(()) };
    let problem = format!("number {place} lies beyond the range of '{name}', {} to {}", ends[0], ends[1]);
    Err(Error::Arguments { problem, hint: "clamp it, as the prover would" })
}

/// Writes a salt as its text, whole or not at all, readable by the user alone, under a name that is free: a salt that
/// is lost opens no hash. Returns the path.
///
/// # Errors
/// [`Error::File`] where the system refuses, [`Error::Arguments`] where there is a file of this name.
pub fn write_salt(path: impl AsRef<Path>, salt: &Salt) -> Result<PathBuf, Error> {
    let path = path.as_ref();
    let text = format!("{}\n", salt.reveal());
    let placed = Staged::new(path, text.as_bytes(), Access::Private).and_then(Staged::publish_new);
    if placed.map_err(|source| FileError::unwritten(path, source))? {
        return Ok(path.into());
    }
    let problem = format!("{} is there already", path.display());
    Err(Error::Arguments { problem, hint: "a salt that is lost opens no hash: give another folder" })
}

/// Reads a salt.
///
/// # Errors
/// [`Error::File`] where it cannot be read or is none.
pub fn read_salt(path: impl AsRef<Path>) -> Result<Salt, Error> {
    let path = path.as_ref();
    let bytes = read_bounded(path, MAX_SALT_BYTES)?;
    let salt = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim_end().parse().ok());
    salt.ok_or_else(|| {
        let problem = "it holds no salt, which is 64 hexadecimal digits below the order of the field".into();
        FileError::Artifact { file: path.display().to_string(), problem, hint: HINT }.into()
    })
}

fn expect_each(what: &str, got: usize, expected: usize) -> Result<(), Error> {
    if got == expected {
        return Ok(());
    }
    let problem = format!("{got} {what}, expected {expected}");
    Err(Error::Arguments { problem, hint: "each input has its own, in the model's order" })
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;
    use zkml_gpu_onnx::import::ImportOptions;

    use super::*;
    use crate::{CompileOptions, Model, read_samples};

    /// A model for each way of storing its input.
    const MODELS: [(&str, Storage); 3] =
        [("gemm_plain", Storage::Plain), ("gemm_rows", Storage::Transposed), ("embedding", Storage::OneHot)];

    /// A model with the numbers of its input file.
    fn compiled(name: &str) -> (CompiledModel, Sample) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/models/ops/{name}.onnx"));
        let model = Model::load(&path, &ImportOptions::default()).expect(name);
        let samples = read_samples(path.with_extension("json"), &model.inputs()).expect(name);
        let compiled = model.compile(&samples, &CompileOptions::default().with_allow_error(true)).expect(name);
        (compiled, samples[0].clone())
    }

    /// However the circuit stores an input: as it is, transposed, or an index as ones and zeros.
    #[test]
    fn the_hash_of_an_input_is_that_of_its_integers_in_the_models_order() {
        for (name, storage) in MODELS {
            let (model, sample) = compiled(name);
            let port = &model.layout.statement.inputs[0];
            assert_eq!(port.storage, storage, "{name}");
            let format = match storage {
                Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => port.format,
                Storage::OneHot => Format::new(0, 0, port.classes() as i64 - 1),
            };
            let mut salts = vec![None; sample.len()];
            for salt in [None, Some(Salt::random(OsRng))] {
                salts[0] = salt.clone();
                let hashes = model.hash_inputs(&sample, &salts).expect(name);
                let alone = hash_sample(&[format], &vec![sample[0].clone()], &[salt]).expect(name);
                assert_eq!(hashes[0], alone[0], "{name}");
            }
        }
    }

    #[test]
    fn a_hash_is_of_the_numbers_and_of_the_salt() {
        let format = Format::new(2, -8, 7);
        let hash = |reals: &[f32], salt: &Option<Salt>| {
            hash_sample(&[format], &vec![reals.to_vec()], std::slice::from_ref(salt)).expect("a hash")[0]
        };
        let salt = Some(Salt::random(OsRng));
        assert_eq!(hash(&[0.25, 9.0], &None), hash(&[0.3, 1.75], &None));
        assert_ne!(hash(&[0.25, 9.0], &None), hash(&[0.5, 9.0], &None));
        assert_ne!(hash(&[0.25, 9.0], &None), hash(&[0.25, 9.0], &salt));
        assert_eq!(hash(&[0.25, 9.0], &salt), hash(&[0.25, 9.0], &salt));
    }

    #[test]
    fn what_does_not_go_together_has_no_hash() {
        let format = Format::new(0, 0, 9);
        let sample = vec![vec![1.0]];
        for result in [
            hash_sample(&[], &sample, &[None]),
            hash_sample(&[format; 2], &sample, &[None]),
            hash_sample(&[format], &sample, &[]),
            hash_sample(&[format], &vec![Vec::new()], &[None]),
        ] {
            result.expect_err("no hash");
        }
        let (name, _) = MODELS[2];
        let (model, mut sample) = compiled(name);
        model.hash_inputs(&sample, &[None]).expect(name);
        assert!(model.hash_inputs(&sample, &[]).is_err() && model.hash_inputs(&Sample::new(), &[]).is_err());
        sample[0][0] = 1e6;
        let message = model.hash_inputs(&sample, &[None]).expect_err("no index").to_string();
        assert!(message.contains("input 0") && message.contains("-1"), "{message}");
        sample[0].pop();
        assert!(matches!(model.hash_inputs(&sample, &[None]), Err(Error::Arguments { .. })));
    }
}
