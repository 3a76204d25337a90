//! `zkml-gpu bench prove`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use zkml_gpu::{BackendChoice, Costs, Error, FileError, read_costs};

use super::messages::{Job, Proven, ProverName, Ready, Usage};
use super::output::{Record, old, publish, save};
use super::process::Process;
use super::record::{ProveRecord, ProveRow, Published, Run, Setting, Step};
use super::statistics::Spread;
use super::suite::Member;
use super::{stock, suite};
use crate::args::{Backends, BenchProveOptions, CostsSource, Weights};
use crate::compile::start_threads;
use crate::progress::{self, Counted};

pub(crate) fn prove(options: &BenchProveOptions) -> anyhow::Result<u8> {
    start_threads(options.threads)?;
    let backends = Backends::or_present(options.backend.as_ref())?;
    check_options(options)?;
    let old = old::<ProveRecord>(&options.output)?;
    let provers: Vec<ProverName> = backends
        .iter()
        .map(|backend| ProverName::Ours(backend.to_string()))
        .chain(options.peers.then_some(ProverName::Stock))
        .collect();
    // The networks of the suite go away with the folder.
    let folder = tempfile::tempdir().context("a folder for the networks of the suite")?;
    let subjects = subjects(options, folder.path())?;
    let mut record = ProveRecord {
        setting: Setting::here(ProveRecord::BENCH),
        seed: options.seed,
        warm_ups: options.warm_ups,
        rows: Vec::new(),
    };
    let race = Race { options, provers: &provers, costs: costs(options, &backends)? };
    let proofs = subjects.len() * provers.len() * usize::from(options.warm_ups + options.runs);
    let bar = progress::counted(proofs as u64);
    for subject in subjects {
        record.rows.extend(race.run(subject, &bar)?);
        save(&options.output, &record)?;
    }
    bar.finish();
    publish(&options.output, &record, old.as_ref())?;
    Ok(0)
}

/// What the arguments allow each for itself, but not together.
fn check_options(options: &BenchProveOptions) -> Result<(), Error> {
    let argument = |problem: &str, hint: &'static str| {
        Err(FileError::Artifact { file: "bench prove".into(), problem: problem.into(), hint }.into())
    };
    if options.input.is_some() && (options.suite || options.models.len() != 1) {
        return argument("--input belongs to one model", "leave it out, and every model has a random input");
    }
    if options.input.as_deref() == Some(Path::new("-")) {
        return argument("--input cannot be standard input, which each measuring process would read", "name a file");
    }
    if options.peers && matches!(options.weights, Weights::Committed) {
        return argument(
            "halo2-axiom's prover cannot leave the third phase, which committed weights take",
            "--peers goes with --weights embedded",
        );
    }
    Ok(())
}

/// One choice of prices for all back ends, so that all prove the same circuit.
fn costs(options: &BenchProveOptions, backends: &[BackendChoice]) -> Result<Costs, Error> {
    match &options.costs {
        CostsSource::Reference => Ok(Costs::reference()),
        CostsSource::File(path) => read_costs(path),
        CostsSource::Measured => Ok(backends.first().unwrap_or(&BackendChoice::Cpu).measure()?),
    }
}

/// A model, with what others say of it.
struct Subject {
    path: PathBuf,
    /// Sizes of its symbolic dimensions; the suite's networks have none.
    dimensions: Vec<(String, usize)>,
    published: Vec<Published>,
}

fn subjects(options: &BenchProveOptions, folder: &Path) -> Result<Vec<Subject>, Error> {
    let mut subjects = Vec::new();
    if options.suite {
        let members = suite::write(folder)?;
        let subject =
            |member: Member| Subject { path: member.path, dimensions: Vec::new(), published: member.published };
        subjects.extend(members.into_iter().map(subject));
    }
    let subject =
        |path: &PathBuf| Subject { path: path.clone(), dimensions: options.dimensions.clone(), published: Vec::new() };
    subjects.extend(options.models.iter().map(subject));
    Ok(subjects)
}

/// One process for each prover, which prove in turns: what else the machine does meets them alike.
struct Race<'a> {
    options: &'a BenchProveOptions,
    provers: &'a [ProverName],
    costs: Costs,
}

/// A process under way, and what it said.
struct Entrant {
    prover: ProverName,
    process: Process,
    ready: Ready,
    /// The first proof's steps, which tell of memory.
    first: Vec<Step>,
    proofs: Vec<Proven>,
}

impl Race<'_> {
    fn run(&self, subject: Subject, bar: &Counted) -> anyhow::Result<Vec<ProveRow>> {
        // One after the other: keys are made undisturbed.
        let mut entrants = Vec::with_capacity(self.provers.len());
        for prover in self.provers {
            bar.message(format!("keys of {} on {}", subject.path.display(), name(prover)));
            let (process, ready) = Process::start(&self.job(&subject, prover))?;
            entrants.push(Entrant { prover: prover.clone(), process, ready, first: Vec::new(), proofs: Vec::new() });
        }
        for round in 0..self.options.warm_ups + self.options.runs {
            for entrant in &mut entrants {
                bar.message(format!("{} on {}", entrant.ready.circuit.model, name(&entrant.prover)));
                let proof = entrant.process.prove()?;
                if round == 0 {
                    entrant.first.clone_from(&proof.run.steps);
                }
                if round >= self.options.warm_ups {
                    entrant.proofs.push(proof);
                }
                bar.step();
            }
        }
        let rows: anyhow::Result<Vec<ProveRow>> =
            entrants.into_iter().map(|entrant| entrant.row(&subject.published)).collect();
        let rows = rows?;
        check_same(&rows)?;
        Ok(rows)
    }

    fn job(&self, subject: &Subject, prover: &ProverName) -> Job {
        let options = self.options;
        Job {
            model: subject.path.clone(),
            input: options.input.clone(),
            dimensions: subject.dimensions.clone(),
            embedded: matches!(options.weights, Weights::Embedded),
            max_error: options.max_error,
            prover: prover.clone(),
            costs: self.costs.clone(),
            seed: options.seed,
            threads: options.threads,
            max_memory: options.max_memory,
        }
    }
}

fn name(prover: &ProverName) -> &str {
    match prover {
        ProverName::Ours(backend) => backend,
        ProverName::Stock => stock::NAME,
    }
}

impl Entrant {
    fn row(self, published: &[Published]) -> anyhow::Result<ProveRow> {
        let Usage { peak_rss_bytes, peak_device_bytes } = self.process.finish()?;
        let Ready { circuit, device, compile_ms, srs_ms, keys_ms, float_ms, estimate } = self.ready;
        let first = self.proofs.first().context("a measured proof")?;
        if let Some(other) = self.proofs.iter().find(|proof| proof.proof_digest != first.proof_digest) {
            let digests = [first, other].map(|proof| proof.proof_digest.as_deref().unwrap_or_default());
            return Err(different(&circuit.model, [name(&self.prover); 2], digests).into());
        }
        let (proof_digest, proof_bytes) = (first.proof_digest.clone(), first.proof_bytes);
        let runs: Vec<Run> = self.proofs.into_iter().map(|proof| proof.run).collect();
        let spread = |of: fn(&Run) -> f64| Spread::of(runs.iter().map(of));
        let prove_ms = spread(|run| run.prove_ms);
        Ok(ProveRow {
            circuit,
            backend: name(&self.prover).into(),
            device,
            proof_digest,
            proof_bytes,
            compile_ms,
            srs_ms,
            keys_ms,
            prove_ms,
            prove_cpu_ms: spread(|run| run.prove_cpu_ms),
            verify_ms: spread(|run| run.verify_ms),
            steps: steps(&runs, &self.first),
            peak_rss_bytes,
            peak_device_bytes,
            float_ms,
            overhead: prove_ms.median / float_ms.median,
            estimate,
            published: published.to_vec(),
            runs,
        })
    }
}

/// Medians of each step, in the order of the first run, and the memory of the first proof's.
fn steps(runs: &[Run], memory: &[Step]) -> Vec<Step> {
    let Some(first) = runs.first() else { return Vec::new() };
    let peak = |name: &str| memory.iter().find(|step| step.name == name).and_then(|step| step.peak_rss_bytes);
    let median = |name: &str| {
        let of = |run: &Run| run.steps.iter().filter(|step| step.name == name).map(|step| step.ms).sum::<f64>();
        Spread::of(runs.iter().map(of)).median
    };
    let step = |Step { name, .. }: &Step| Step { name: name.clone(), ms: median(name), peak_rss_bytes: peak(name) };
    first.steps.iter().map(step).collect()
}

/// All proved the same circuit, and equal keys and seeds gave equal proofs on all back ends, or the figures are of
/// different things.
fn check_same(rows: &[ProveRow]) -> Result<(), Error> {
    let digests: [fn(&ProveRow) -> Option<&str>; 3] = [
        |row| Some(&row.circuit.circuit_digest),
        |row| row.circuit.key_digest.as_deref(),
        |row| row.proof_digest.as_deref(),
    ];
    for digest in digests {
        let mut having = rows.iter().filter_map(|row| Some((row, digest(row)?)));
        let Some((first, one)) = having.next() else { continue };
        if let Some((other, two)) = having.find(|(_, two)| *two != one) {
            return Err(different(&first.circuit.model, [&first.backend, &other.backend], [one, two]));
        }
    }
    Ok(())
}

fn different(model: &str, [one, two]: [&str; 2], [first, second]: [&str; 2]) -> Error {
    Error::Internal(format!("{model}: {one} and {two} differ for equal seeds, {first} and {second}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(steps: [f64; 2]) -> Run {
        let steps = [("a", steps[0]), ("b", steps[1])];
        let steps = steps.map(|(name, ms)| Step { name: name.into(), ms, peak_rss_bytes: None }).to_vec();
        Run { prove_ms: 1.0, prove_cpu_ms: 1.0, verify_ms: 1.0, steps }
    }

    #[test]
    fn steps_are_medians_over_the_runs() {
        let runs = [run([1.0, 9.0]), run([3.0, 7.0]), run([2.0, 8.0])];
        let memory = [Step { name: "b".into(), ms: 0.0, peak_rss_bytes: Some(7) }];
        let found = steps(&runs, &memory);
        assert_eq!(found.iter().map(|step| step.ms).collect::<Vec<_>>(), [2.0, 8.0]);
        assert_eq!(found.iter().map(|step| step.peak_rss_bytes).collect::<Vec<_>>(), [None, Some(7)]);
        assert!(steps(&[], &memory).is_empty());
    }
}
