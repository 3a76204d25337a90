//! Many inputs with one load of the keys: which there are, where their proofs go, and what became of each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rand_core::OsRng;
use serde::Serialize;
use zkml_gpu::engine::secret::wipe_integers;
use zkml_gpu::{
    Error, FileError, Model, ModelProver, ProofBundle, Proved, PublicTensor, Sample, read_samples, saturation,
};

use crate::args::ProveOptions;
use crate::prove::{check_saturation, compare, read_openings, read_salts, write_openings};
use crate::report::elapsed_ms;
use crate::{failure, progress};

/// One inference to prove.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The file that it is from.
    pub(crate) input: PathBuf,
    /// Which sample of the file, where it has several.
    pub(crate) index: Option<usize>,
    /// What is proved: one sample, or all of the file together.
    pub(crate) samples: Vec<Sample>,
    /// Where its proof goes.
    pub(crate) file: PathBuf,
}

impl Drop for Task {
    /// The numbers may be private.
    fn drop(&mut self) {
        self.samples.iter_mut().flatten().for_each(|numbers| wipe_integers(numbers));
    }
}

/// What became of a task.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    input: PathBuf,
    index: Option<usize>,
    /// The proof's file; null where there is none.
    pub(crate) file: Option<PathBuf>,
    /// `proved`, `skipped` where it was there already, or `failed`.
    pub(crate) state: State,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// Share of an input's values that were clamped to the calibrated range.
    saturated: f64,
    prove_ms: Option<f64>,
    /// Difference to the float model, as a part of the output's range over the samples of the calibration; null where
    /// there is no float model.
    relative_error: Option<f64>,
    /// The proved output as real numbers, one list for each output.
    output: Option<Vec<Vec<f64>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Proved,
    Skipped,
    Failed,
}

/// The input files that the arguments name: those of folders by name, but none that are proofs.
pub(crate) fn files(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            files.push(input.clone());
            continue;
        }
        let fail = |source| FileError::File { path: input.clone(), action: "read", source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(input).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_input = name.ends_with(".json")
                && !is_proof(&name)
                && !name.ends_with(".commitment.json")
                && !name.starts_with('.');
            if is_input && path.is_file() {
                found.push(path);
            }
        }
        found.sort();
        if found.is_empty() {
            let problem = format!("{} has no .json file", input.display());
            return Err(Error::Arguments { problem, hint: "give input files, or a folder that has some" });
        }
        files.extend(found);
    }
    Ok(files)
}

/// What `prove` writes into the folder that a user may take inputs from.
pub(crate) fn is_proof(name: &str) -> bool {
    name == "proof.json" || name.ends_with(".proof.json")
}

/// The tasks of readable files, and the files that are not: a batch goes on without them.
pub(crate) fn tasks(
    files: &[PathBuf],
    folder: &Path,
    inputs: &[zkml_gpu::ModelInput<'_>],
) -> Result<(Vec<Task>, Vec<Done>), Error> {
    let (mut tasks, mut failed): (Vec<Task>, Vec<Done>) = (Vec::new(), Vec::new());
    let several = files.len() > 1;
    for input in files {
        let stem = stem(input);
        let samples = match read_samples(input, inputs) {
            Ok(samples) => samples,
            Err(error) if several => {
                failed.push(Done::failed(input, None, error.to_string()));
                continue;
            }
            Err(error) => return Err(error),
        };
        let count = samples.len();
        for (i, sample) in samples.into_iter().enumerate() {
            let index = (count > 1).then_some(i);
            let name = match index {
                Some(i) => format!("{stem}.{i}.proof.json"),
                None if several => format!("{stem}.proof.json"),
                None => "proof.json".into(),
            };
            tasks.push(Task { input: input.clone(), index, samples: vec![sample], file: folder.join(name) });
        }
    }
    check_names(files, &tasks)?;
    Ok((tasks, failed))
}

/// The task of all samples of a file together.
pub(crate) fn joint_task(input: &Path, folder: &Path, inputs: &[zkml_gpu::ModelInput<'_>]) -> Result<Task, Error> {
    let samples = read_samples(input, inputs)?;
    let task = Task { input: input.into(), index: None, samples, file: folder.join("proof.json") };
    check_names(&[input.into()], std::slice::from_ref(&task))?;
    Ok(task)
}

/// Refuses two proofs of one name, and a proof in the place of an input.
fn check_names(files: &[PathBuf], tasks: &[Task]) -> Result<(), Error> {
    let mut names: HashMap<&Path, &Path> = HashMap::new();
    for task in tasks {
        if let Some(other) = names.insert(&task.file, &task.input) {
            let problem = format!("{} and {} would have one proof's name", other.display(), task.input.display());
            return Err(Error::Arguments { problem, hint: "prove them into folders of their own (--out)" });
        }
    }
    let same = |input: &Path, file: &Path| match (input.canonicalize(), file.canonicalize()) {
        (Ok(input), Ok(file)) => input == file,
        // What is not there is no input.
        _ => false,
    };
    let lost = files.iter().find(|input| tasks.iter().any(|task| same(input, &task.file)));
    match lost {
        None => Ok(()),
        Some(input) => Err(Error::Arguments {
            problem: format!("a proof would take the place of the input {}", input.display()),
            hint: "write proofs elsewhere (--out), or give the input another name",
        }),
    }
}

fn stem(input: &Path) -> String {
    match input.file_stem() {
        Some(stem) if input.as_os_str() != "-" => stem.to_string_lossy().into_owned(),
        _ => "stdin".into(),
    }
}

/// Proves tasks, so many at a time, each result written as soon as it is there.
pub(crate) fn prove_all(
    prover: &ModelProver,
    float: Option<&Model>,
    tasks: &[Task],
    options: &ProveOptions,
    jobs: usize,
) -> Vec<Done> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(tasks.len())));
    let bar = progress::counted(tasks.len() as u64);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, tasks.len().max(1)) {
            scope.spawn(|| {
                while let Some((at, task)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    tasks.get(at).map(|task| (at, task))
                } {
                    let result = attempt(prover, float, task, options);
                    bar.step();
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    bar.finish();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, done)| done).collect()
}

fn attempt(prover: &ModelProver, float: Option<&Model>, task: &Task, options: &ProveOptions) -> Done {
    let clamped = prover.model().together(&task.samples).ok();
    let clamped = clamped.and_then(|sample| saturation(prover.model(), &sample));
    let saturated = clamped.as_ref().map_or(0.0, |saturation| saturation.share);
    let of = |state, bundle: &ProofBundle, prove_ms, relative_error| Done {
        input: task.input.clone(),
        index: task.index,
        file: Some(task.file.clone()),
        state,
        error: None,
        saturated,
        prove_ms,
        relative_error,
        output: Some(bundle.outputs.iter().map(|tensor| tensor.reals()).collect()),
    };
    let prove = || -> anyhow::Result<Done> {
        check_saturation(clamped, options.max_saturation)?;
        let compared = |bundle: &ProofBundle| -> Result<Option<f64>, Error> {
            let compared = float
                .map(|model| compare(model, prover.model().about(), task, &bundle.outputs, options))
                .transpose()?;
            Ok(compared.map(|compared| compared.relative_error))
        };
        if let Some(bundle) = already_proved(prover, task) {
            let error = compared(&bundle)?;
            return Ok(of(State::Skipped, &bundle, None, error));
        }
        let start = Instant::now();
        let (openings, salts) = (read_openings(options)?, read_salts(options)?);
        let sample = prover.model().together(&task.samples)?;
        let Proved { bundle, openings: own, .. } = prover.prove_opened(&sample, &openings, &salts, OsRng)?;
        let prove_ms = elapsed_ms(start);
        prover.check(&bundle)?;
        let error = compared(&bundle)?;
        write_openings(&task.file, &own, options)?;
        bundle.write(&task.file)?;
        Ok(of(State::Proved, &bundle, Some(prove_ms), error))
    };
    prove().unwrap_or_else(|error| {
        // An older proof under this name is of another input, or of one that is not proved any more.
        if ProofBundle::read(&task.file).is_ok() {
            let _ = std::fs::remove_file(&task.file);
        }
        Done { saturated, ..Done::failed(&task.input, task.index, failure::message(&error)) }
    })
}

/// The proof of an earlier run for the same keys and input, whole and accepted.
fn already_proved(prover: &ModelProver, task: &Task) -> Option<ProofBundle> {
    // Of a hidden input nothing is in a proof: whether it is this one's cannot be told.
    if prover.key().keys().statement().inputs.iter().any(|port| port.visibility().is_hidden()) {
        return None;
    }
    let bundle = ProofBundle::read(&task.file).ok()?;
    let inputs = prover.public_inputs(&prover.model().together(&task.samples).ok()?);
    (bundle.inputs == inputs && bundle.transcript == prover.hasher() && prover.key().verify(&bundle).is_ok())
        .then_some(bundle)
}

impl Done {
    /// A task that was proved.
    pub(crate) fn proved(
        task: &Task,
        saturated: f64,
        prove_ms: f64,
        relative_error: Option<f64>,
        outputs: &[PublicTensor],
    ) -> Self {
        Self {
            input: task.input.clone(),
            index: task.index,
            file: Some(task.file.clone()),
            state: State::Proved,
            error: None,
            saturated,
            prove_ms: Some(prove_ms),
            relative_error,
            output: Some(outputs.iter().map(|tensor| tensor.reals()).collect()),
        }
    }

    pub(crate) fn failed(input: &Path, index: Option<usize>, error: String) -> Self {
        Self {
            input: input.into(),
            index,
            file: None,
            state: State::Failed,
            error: Some(error),
            saturated: 0.0,
            prove_ms: None,
            relative_error: None,
            output: None,
        }
    }

    /// The task's name for people.
    pub(crate) fn name(&self) -> String {
        match self.index {
            Some(index) => format!("{}, sample {index}", self.input.display()),
            None => self.input.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_in_a_folder_are_no_inputs() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.json", "a.json", "a.proof.json", "proof.json", "model.vk", ".hidden.json"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = files(&[folder.path().into()]).unwrap();
        assert_eq!(found, [folder.path().join("a.json"), folder.path().join("b.json")]);
        let empty = tempfile::tempdir().unwrap();
        assert!(files(&[empty.path().into()]).is_err());
    }

    fn task(input: &Path, file: &Path) -> Task {
        Task { input: input.into(), index: None, samples: Vec::new(), file: file.into() }
    }

    #[test]
    fn two_proofs_of_one_name_and_a_proof_in_an_inputs_place_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a.json", "a.0.json"].map(|name| folder.path().join(name));
        let out = folder.path().join("a.0.proof.json");
        let files = [a.clone(), b.clone()];
        let refused = check_names(&files, &[task(&a, &out), task(&b, &out)]).unwrap_err().to_string();
        assert!(refused.contains("one proof's name"), "{refused}");
        check_names(&files, &[task(&a, &out)]).unwrap();
        std::fs::write(&a, "").unwrap();
        let refused = check_names(&files, &[task(&a, &a)]).unwrap_err().to_string();
        assert!(refused.contains("the place of the input"), "{refused}");
    }
}
