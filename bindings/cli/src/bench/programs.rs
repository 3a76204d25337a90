//! Other provers, each a program that a file names: commands for the same model and input, and how they tell what they
//! took.
//!
//! The file is TOML or, with that ending, JSON. [`Program`] has its fields, docs/benchmarks.md tells them to users.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use zkml_gpu::{FileError, read_bounded};

use super::record::ProgramRun;
use crate::report::elapsed_ms;
use crate::resources::{Spent, wait_within};

/// Largest file of programs, and largest output of one that is read.
const MAX_BYTES: u64 = 64 << 20;
/// Seconds of a command unless the file says otherwise.
const TIMEOUT_S: u64 = 3600;
const HINT: &str = "docs/benchmarks.md tells what the file has to say";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Programs {
    program: Vec<Program>,
}

/// A prover. Every command is a program and its arguments, in which `{model}`, `{input}` and `{output}` stand for the
/// two files and for a folder of its own, and `{here}` for the folder of the file that names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub(super) name: String,
    /// What is run once, before the first proof.
    #[serde(default)]
    setup: Vec<Vec<String>>,
    /// What makes a proof.
    prove: Vec<Vec<String>>,
    /// What verifies it.
    #[serde(default)]
    verify: Vec<Vec<String>>,
    /// A proof's time, where the program tells it; without it, that of the commands.
    time: Option<Told>,
    /// The same of its verification.
    verify_time: Option<Told>,
    /// How far its outputs are from the float model's; without it, nothing is said about that.
    error: Option<ErrorOf>,
    /// The file whose size is the proof's.
    proof: Option<String>,
    /// Seconds that a command may take.
    timeout_s: Option<u64>,
}

/// A number that a program prints: the first behind the last occurrence of a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    after: String,
    #[serde(default)]
    unit: Unit,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    #[default]
    S,
    Ms,
}

/// Where the largest difference of an output's element from the float model's is found.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum ErrorOf {
    /// A JSON file with the outputs: numbers, or texts of numbers, in any nesting, in the outputs' order.
    Outputs(String),
    /// The program prints it behind this text.
    After(String),
}

impl Told {
    fn ms(&self, printed: &str) -> anyhow::Result<f64> {
        let factor = match self.unit {
            Unit::S => 1e3,
            Unit::Ms => 1.0,
        };
        Ok(number_after(printed, &self.after)? * factor)
    }
}

fn number_after(printed: &str, text: &str) -> anyhow::Result<f64> {
    let (_, rest) = printed.rsplit_once(text).with_context(|| format!("it did not print '{text}'"))?;
    let rest = rest.trim_start_matches(|symbol: char| symbol.is_whitespace() || symbol == ':' || symbol == '=');
    let end = rest.find(|symbol: char| !(symbol.is_ascii_digit() || ".eE+-".contains(symbol))).unwrap_or(rest.len());
    let number: f64 = rest[..end].parse().with_context(|| format!("no number follows '{text}'"))?;
    anyhow::ensure!(number.is_finite() && number >= 0.0, "'{text}' is followed by {number}");
    Ok(number)
}

/// The programs that a file names.
///
/// # Errors
/// [`FileError::File`] and [`FileError::FileSize`] for the file, [`FileError::Artifact`] for what it says.
pub(super) fn read(path: &Path) -> Result<Vec<Program>, FileError> {
    let wrong = |problem: String| FileError::Artifact { file: path.display().to_string(), problem, hint: HINT };
    let bytes = read_bounded(path, MAX_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is no text".into()))?;
    let Programs { program: programs } = if path.extension().is_some_and(|end| end == "json") {
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?
    } else {
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))?
    };
    if programs.is_empty() {
        return Err(wrong("it names no program".into()));
    }
    let mut names = HashSet::new();
    for program in &programs {
        if !names.insert(&program.name) {
            return Err(wrong(format!("it names {} twice", program.name)));
        }
        if program.prove.is_empty() {
            return Err(wrong(format!("{} has no command that proves", program.name)));
        }
        let commands = program.setup.iter().chain(&program.prove).chain(&program.verify);
        if commands.clone().any(Vec::is_empty) {
            return Err(wrong(format!("a command of {} is empty", program.name)));
        }
        let outputs = program.error.iter().filter_map(|error| match error {
            ErrorOf::Outputs(file) => Some(file),
            ErrorOf::After(_) => None,
        });
        let texts = commands.flatten().chain(&program.proof).chain(outputs);
        if let Some(unknown) = texts.filter_map(|text| unknown_place(text)).next() {
            return Err(wrong(format!("{}: {{{unknown}}} stands for nothing", program.name)));
        }
    }
    Ok(programs)
}

const PLACES: [&str; 4] = ["model", "input", "output", "here"];

/// A word in braces that is no place.
fn unknown_place(text: &str) -> Option<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word).find(|word| {
        !PLACES.contains(word) && !word.is_empty() && word.chars().all(|symbol| symbol.is_ascii_lowercase())
    })
}

/// A program at work on one model and input.
#[derive(Debug)]
pub(super) struct Contest {
    program: Program,
    /// What the words in braces stand for, in the order of [`PLACES`].
    places: [PathBuf; 4],
}

impl Contest {
    /// `folder` is its own, and empty.
    pub(super) fn new(
        program: Program,
        file: &Path,
        [model, input]: [&Path; 2],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let here = file.canonicalize()?.parent().map(Path::to_path_buf).unwrap_or_default();
        let places = [model.canonicalize()?, input.canonicalize()?, folder.to_path_buf(), here];
        Ok(Self { program, places })
    }

    pub(super) fn name(&self) -> &str {
        &self.program.name
    }

    /// Runs what comes once: the milliseconds that it took.
    pub(super) fn set_up(&self) -> anyhow::Result<f64> {
        let start = Instant::now();
        self.run(&self.program.setup)?;
        Ok(elapsed_ms(start))
    }

    /// Proves and verifies once. `float` are the float model's outputs.
    pub(super) fn prove(&self, float: &[f32]) -> anyhow::Result<ProgramRun> {
        let (printed, wall_ms, spent) = self.run(&self.program.prove)?;
        let prove_ms = self.program.time.as_ref().map_or(Ok(wall_ms), |told| told.ms(&printed))?;
        let verify_ms = if self.program.verify.is_empty() {
            self.program.verify_time.as_ref().map(|told| told.ms(&printed)).transpose()?
        } else {
            let (printed, wall_ms, _) = self.run(&self.program.verify)?;
            Some(self.program.verify_time.as_ref().map_or(Ok(wall_ms), |told| told.ms(&printed))?)
        };
        let max_abs_error = match &self.program.error {
            Some(ErrorOf::After(text)) => Some(number_after(&printed, text)?),
            Some(ErrorOf::Outputs(file)) => Some(difference(&self.place(file), float)?),
            None => None,
        };
        let size = |file: &String| {
            let path = self.place(file);
            Ok::<_, anyhow::Error>(std::fs::metadata(&path).with_context(|| format!("its proof, {path}"))?.len())
        };
        let proof_bytes = self.program.proof.as_ref().map(size).transpose()?;
        Ok(ProgramRun {
            prove_ms,
            prove_cpu_ms: spent.map(|spent| spent.cpu_ms),
            peak_rss_bytes: spent.map(|spent| spent.peak_rss_bytes),
            verify_ms,
            proof_bytes,
            max_abs_error,
        })
    }

    /// What commands print, their time one after the other, and what they spent where the system tells.
    fn run(&self, commands: &[Vec<String>]) -> anyhow::Result<(String, f64, Option<Spent>)> {
        let (mut printed, mut wall_ms, mut spent) = (String::new(), 0.0, Some(Spent::default()));
        for command in commands {
            let (own_text, own_ms, own) = self.run_one(command)?;
            printed += &own_text;
            wall_ms += own_ms;
            spent = spent.zip(own).map(|(all, own)| all.and(own));
        }
        Ok((printed, wall_ms, spent))
    }

    fn run_one(&self, command: &[String]) -> anyhow::Result<(String, f64, Option<Spent>)> {
        let words: Vec<String> = command.iter().map(|word| self.place(word)).collect();
        let [program, arguments @ ..] = words.as_slice() else { return Ok(Default::default()) };
        let [_, _, folder, _] = &self.places;
        let (told, failed) = (folder.join("stdout.txt"), folder.join("stderr.txt"));
        let start = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&told)?)
            .stderr(File::create(&failed)?)
            .spawn()
            .with_context(|| format!("{program} does not start"))?;
        let seconds = self.program.timeout_s.unwrap_or(TIMEOUT_S);
        let ended = wait_within(child, Duration::from_secs(seconds))?;
        let wall_ms = elapsed_ms(start);
        let (status, spent) = ended.with_context(|| format!("{program} took more than {seconds} s"))?;
        let text =
            |path: &Path| Ok::<_, FileError>(String::from_utf8_lossy(&read_bounded(path, MAX_BYTES)?).into_owned());
        if !status.success() {
            let words = text(&failed)?;
            let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
            anyhow::bail!("{program} ended with {status}: {}", last.chars().take(200).collect::<String>());
        }
        Ok((text(&told)?, wall_ms, spent))
    }

    /// A text with paths in the place of words in braces.
    fn place(&self, text: &str) -> String {
        let named = PLACES.iter().zip(&self.places);
        named.fold(text.to_owned(), |text, (name, path)| text.replace(&format!("{{{name}}}"), &path.to_string_lossy()))
    }
}

/// The largest difference between a file's numbers and these.
fn difference(path: &str, float: &[f32]) -> anyhow::Result<f64> {
    let values: Value = serde_json::from_slice(&read_bounded(Path::new(path), MAX_BYTES)?)?;
    let mut numbers = Vec::new();
    flatten(&values, &mut numbers)?;
    anyhow::ensure!(numbers.len() == float.len(), "{path} has {} numbers instead of {}", numbers.len(), float.len());
    Ok(numbers.iter().zip(float).map(|(value, float)| (value - f64::from(*float)).abs()).fold(0.0, f64::max))
}

fn flatten(value: &Value, numbers: &mut Vec<f64>) -> anyhow::Result<()> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| flatten(value, numbers)),
        Value::Number(number) => {
            numbers.extend(number.as_f64());
            Ok(())
        }
        Value::String(text) => {
            numbers.push(text.trim().parse().with_context(|| format!("'{text}' is no number"))?);
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => anyhow::bail!("outputs are numbers in lists"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_behind_the_last_of_a_text() {
        let printed = "proving took 3 s\nproving took: 1.5e-1s\nerror = 0.25, done";
        assert_eq!(number_after(printed, "proving took").unwrap(), 0.15);
        assert_eq!(number_after(printed, "error").unwrap(), 0.25);
        let told = Told { after: "proving took".into(), unit: Unit::S };
        assert_eq!(told.ms(printed).unwrap(), 150.0);
        for text in ["verifying", "done", "proving"] {
            assert!(number_after(printed, text).is_err(), "{text}");
        }
        assert!(number_after("took -1", "took").is_err() && number_after("took 1e999", "took").is_err());
    }

    #[test]
    fn outputs_are_numbers_in_any_nesting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outputs.json");
        let path = path.to_str().unwrap();
        std::fs::write(path, r#"[[1, "2.5"], [[-3.0]]]"#).unwrap();
        assert_eq!(difference(path, &[1.0, 2.0, -3.0]).unwrap(), 0.5);
        assert!(difference(path, &[1.0]).is_err());
        std::fs::write(path, r#"{"a": 1}"#).unwrap();
        assert!(difference(path, &[1.0]).is_err());
    }

    #[test]
    fn only_words_that_stand_for_something_are_replaced() {
        assert_eq!(unknown_place("{model} {output}/x {here}"), None);
        assert_eq!(unknown_place("{model} {modle}"), Some("modle"));
        // A program's own braces, as in a line of a shell.
        assert_eq!(unknown_place("awk '{ print $1 }' {}"), None);
    }
}
