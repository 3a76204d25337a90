//! `zkml-gpu bench prove`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use zkml_gpu::{BackendChoice, Costs, Error, FileError, read_costs};

use super::messages::{Job, Proven, ProverName, Ready, Usage};
use super::output::{Record, old, publish, save};
use super::process::Process;
use super::programs::{self, Contest};
use super::record::{ProgramRow, ProgramRun, ProveRecord, ProveRow, Published, Run, Setting, Step};
use super::statistics::Spread;
use super::suite::Member;
use super::{stock, suite};
use crate::args::{Backends, BenchProveOptions, CostsSource, Peers, Weights};
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
        .chain(options.peers.contains(&Peers::Stock).then_some(ProverName::Stock))
        .collect();
    // The networks of the suite go away with the folder.
    let folder = tempfile::tempdir().context("a folder for the networks of the suite")?;
    let subjects = subjects(options, folder.path())?;
    let mut record = ProveRecord {
        setting: Setting::here(ProveRecord::BENCH),
        seed: options.seed,
        warm_ups: options.warm_ups,
        rows: Vec::new(),
        programs: Vec::new(),
    };
    let programs = contests(options, &folder.path().join("programs"))?;
    let race = Race { options, provers: &provers, programs: &programs, costs: costs(options, &backends)? };
    // Ours at the error of each program takes part as well.
    let ours = (subjects.len() + programs.len()) * provers.len() * usize::from(options.warm_ups + options.runs);
    let proofs = ours + programs.len() * usize::from(options.runs);
    let bar = progress::counted(proofs as u64);
    for subject in subjects {
        let (rows, programs) = race.run(&subject, &bar)?;
        record.rows.extend(rows);
        record.programs.extend(programs);
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
    if options.peers.iter().any(|peers| matches!(peers, Peers::File(_)))
        && (options.input.is_none() || !options.dimensions.is_empty())
    {
        return argument(
            "programs of others take one model without symbolic dimensions, and an input",
            "--peers=FILE goes with --input INPUT.json",
        );
    }
    if options.peers.contains(&Peers::Stock) && matches!(options.weights, Weights::Committed) {
        return argument(
            "halo2-axiom's prover cannot leave the third phase, which committed weights take",
            "--peers goes with --weights embedded",
        );
    }
    Ok(())
}

/// The programs that files name, each with a folder of its own.
fn contests(options: &BenchProveOptions, folder: &Path) -> anyhow::Result<Vec<Contest>> {
    let files = options.peers.iter().filter_map(|peers| match peers {
        Peers::File(path) => Some(path),
        Peers::Stock => None,
    });
    let ([model, ..], Some(input)) = (options.models.as_slice(), &options.input) else { return Ok(Vec::new()) };
    let mut contests = Vec::new();
    for file in files {
        for program in programs::read(file)? {
            let own = folder.join(contests.len().to_string());
            std::fs::create_dir_all(&own).context("a folder for a program")?;
            contests.push(Contest::new(program, file, [model, input], &own)?);
        }
    }
    Ok(contests)
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
    programs: &'a [Contest],
    costs: Costs,
}

/// A program of others on one model.
struct Guest<'a> {
    contest: &'a Contest,
    setup_ms: Option<f64>,
    runs: Vec<ProgramRun>,
    /// Why it proves no more.
    failed: Option<String>,
}

impl<'a> Guest<'a> {
    fn new(contest: &'a Contest) -> Self {
        let (setup_ms, failed) = match contest.set_up() {
            Ok(ms) => (Some(ms), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        Self { contest, setup_ms, runs: Vec::new(), failed }
    }

    /// One proof, unless one failed before. What fails costs a row and not the others' figures.
    fn prove(&mut self, float_outputs: &[f32]) {
        if self.failed.is_none() {
            match self.contest.prove(float_outputs) {
                Ok(run) => self.runs.push(run),
                Err(error) => self.failed = Some(format!("{error:#}")),
            }
        }
    }
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
    fn run(&self, subject: &Subject, bar: &Counted) -> anyhow::Result<(Vec<ProveRow>, Vec<ProgramRow>)> {
        let entrants = self.start(subject, self.provers, self.options.max_error, bar)?;
        let Some(Entrant { ready: Ready { circuit, float_outputs, output_extent, .. }, .. }) = entrants.first() else {
            return Ok(Default::default());
        };
        let (model, float_outputs, extent) = (circuit.model.clone(), float_outputs.clone(), *output_extent);
        // A program's error is known from its first proof on, and ours at that error then takes part.
        let (mut all, mut guests) = (vec![entrants], Vec::with_capacity(self.programs.len()));
        for contest in self.programs {
            bar.message(format!("keys of {model} by {}", contest.name()));
            let mut guest = Guest::new(contest);
            guest.prove(&float_outputs);
            bar.step();
            let error = guest.runs.first().and_then(|run| run.max_abs_error).map(|error| (error / extent) as f32);
            let ours: Vec<ProverName> =
                self.provers.iter().filter(|prover| **prover != ProverName::Stock).cloned().collect();
            all.push(match error {
                Some(error) => self.start(subject, &ours, Some(error), bar)?,
                None => Vec::new(),
            });
            guests.push(guest);
        }
        for round in 0..self.options.warm_ups + self.options.runs {
            if round > self.options.warm_ups {
                for guest in &mut guests {
                    bar.message(format!("{model} by {}", guest.contest.name()));
                    guest.prove(&float_outputs);
                    bar.step();
                }
            }
            for entrant in all.iter_mut().flatten() {
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
        let mut all = all.into_iter().map(|entrants| {
            let rows = entrants.into_iter().map(|entrant| entrant.row(&subject.published));
            let rows = rows.collect::<anyhow::Result<Vec<ProveRow>>>()?;
            check_same(&rows)?;
            anyhow::Ok(rows)
        });
        let rows = all.next().transpose()?.unwrap_or_default();
        let programs = guests.into_iter().zip(all).map(|(Guest { contest, setup_ms, runs, failed }, ours)| {
            Ok(ProgramRow::new((&model, contest.name()), setup_ms, runs, failed, ours?))
        });
        Ok((rows, programs.collect::<anyhow::Result<_>>()?))
    }

    /// Processes with their keys, one after the other: keys are made undisturbed.
    fn start(
        &self,
        subject: &Subject,
        provers: &[ProverName],
        max_error: Option<f32>,
        bar: &Counted,
    ) -> anyhow::Result<Vec<Entrant>> {
        let start = |prover: &ProverName| {
            bar.message(format!("keys of {} on {}", subject.path.display(), name(prover)));
            let (process, ready) = Process::start(&self.job(subject, prover, max_error))?;
            Ok(Entrant { prover: prover.clone(), process, ready, first: Vec::new(), proofs: Vec::new() })
        };
        provers.iter().map(start).collect()
    }

    fn job(&self, subject: &Subject, prover: &ProverName, max_error: Option<f32>) -> Job {
        let options = self.options;
        Job {
            model: subject.path.clone(),
            input: options.input.clone(),
            dimensions: subject.dimensions.clone(),
            embedded: matches!(options.weights, Weights::Embedded),
            max_error,
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
        let Ready { circuit, device, compile_ms, srs_ms, keys_ms, float_ms, estimate, .. } = self.ready;
        let first = self.proofs.first().context("a measured proof")?;
        if let Some(other) = self.proofs.iter().find(|proof| proof.proof_digest != first.proof_digest) {
            let digests = [first, other].map(|proof| proof.proof_digest.as_deref().unwrap_or_default());
            return Err(different(&circuit.model, [name(&self.prover); 2], digests).into());
        }
        let (proof_digest, proof_bytes, max_abs_error) =
            (first.proof_digest.clone(), first.proof_bytes, first.max_abs_error);
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
            read_key_ms: spread(|run| run.read_key_ms),
            steps: steps(&runs, &self.first),
            peak_rss_bytes,
            peak_device_bytes,
            counts: runs.last().and_then(|run| run.counts),
            max_abs_error,
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
        Run { prove_ms: 1.0, prove_cpu_ms: 1.0, verify_ms: 1.0, read_key_ms: 0.5, steps, counts: None }
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
