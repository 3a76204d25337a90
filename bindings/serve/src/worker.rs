//! Proofs, one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand_core::OsRng;
use zkml_gpu::engine::secret::Wiped;
use zkml_gpu::{AnyProof, Error, Expected, FileError, PublicTensor, Sample};

use crate::jobs::{Id, Record, State, unix_ms};
use crate::problem::{Class, Problem};
use crate::server::Service;

/// Proofs of a job that may be begun without an end: an input that ends the process would end every later one, too.
const MOST_ATTEMPTS: u32 = 3;
/// Between trials of what the system did not let happen.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// Why a job is left as it is on the disk.
enum Halt {
    /// The server stops: the next one goes on.
    Stopping,
    /// It cannot be read: somebody else has written into the folder.
    Lost(Error),
}

/// Proves jobs until the server stops.
pub(crate) fn work(service: &Service) {
    while let Some(id) = service.jobs.next() {
        match (Job { service, id }).run() {
            Ok(record) => service.jobs.finish(&record),
            Err(Halt::Stopping) => return,
            Err(Halt::Lost(error)) => {
                tracing::error!(target: "zkml_gpu::serve", job = %id, %error, "a job cannot be read");
                service.jobs.lose(id);
            }
        }
    }
}

/// A job that is this worker's.
#[derive(Clone, Copy)]
struct Job<'s> {
    service: &'s Service,
    id: Id,
}

impl Job<'_> {
    /// The job with what became of it, which is on the disk.
    fn run(self) -> Result<Record, Halt> {
        let jobs = &self.service.jobs;
        let mut record = self.patiently(|| jobs.store().read(self.id))?;
        let start = Instant::now();
        let outcome = self.outcome(&record)?;
        let finished_ms = unix_ms();
        let is_proved = outcome.is_ok();
        record.state = match outcome {
            Ok(prove_ms) => State::Proved { finished_ms, prove_ms },
            Err(error) => {
                let problem = &error.message;
                tracing::error!(target: "zkml_gpu::serve", job = %self.id, problem, "a job was set aside");
                State::Failed { finished_ms, error }
            }
        };
        self.patiently(|| jobs.store().write(&record))?;
        self.service.health.storage(true);
        self.patiently(|| Ok(jobs.store().end(self.id)?))?;
        let metrics = &self.service.metrics;
        if is_proved {
            metrics.proved.inc();
            metrics.proof_seconds.observe(start.elapsed().as_secs_f64());
            metrics.job_seconds.observe(finished_ms.saturating_sub(record.accepted_ms) as f64 / 1e3);
        } else {
            metrics.failed.inc();
        }
        Ok(record)
    }

    /// What becomes of the job: milliseconds of its proof, which is on the disk; none where that was there already.
    fn outcome(self, record: &Record) -> Result<Result<Option<f64>, Problem>, Halt> {
        let store = self.service.jobs.store();
        let Some(sample) = record.sample().map(Wiped) else {
            return Ok(Err(Problem::bug("a job without an input")));
        };
        match self.patiently(|| Ok(store.read_proof(self.id)?))? {
            Some(bytes) if self.is_its_own(&bytes, &sample.0, record) => return Ok(Ok(None)),
            Some(_) => {
                let problem = "what is in the place of its proof is not its proof";
                return Ok(Err(Problem::new(Class::Bug, problem, "who else writes into the folder of jobs?")));
            }
            None => {}
        }
        let mut attempt = store.attempts(self.id);
        while attempt < MOST_ATTEMPTS {
            attempt += 1;
            self.patiently(|| Ok(store.begin(self.id, attempt)?))?;
            let start = Instant::now();
            match self.prove(&sample.0, record) {
                Ok(bytes) => {
                    let prove_ms = start.elapsed().as_secs_f64() * 1e3;
                    return Ok(match self.patiently(|| Ok(store.write_proof(self.id, &bytes)?))? {
                        true => Ok(Some(prove_ms)),
                        false => Err(Problem::bug("a job has got a second proof")),
                    });
                }
                // A device may come back.
                Err(problem) if problem.class == Class::Unsupported => {
                    let problem = &problem.message;
                    tracing::warn!(target: "zkml_gpu::serve", job = %self.id, problem, attempt, "a proof failed");
                    self.pause(PAUSES[1])?;
                }
                Err(problem) => return Ok(Err(problem)),
            }
        }
        let problem = format!("{attempt} proofs of it were begun, and with each the server or its device ended");
        Ok(Err(Problem::new(Class::Bug, problem, "the server's log may say why: its memory, or a device")))
    }

    fn pause(self, time: Duration) -> Result<(), Halt> {
        self.service.jobs.pause(time);
        if self.service.jobs.is_stopping() { Err(Halt::Stopping) } else { Ok(()) }
    }

    /// The bytes of a proof that holds, and has the outputs that were answered.
    fn prove(self, sample: &Sample, record: &Record) -> Result<Vec<u8>, Problem> {
        let prover = &self.service.prover;
        let proved = catch_unwind(AssertUnwindSafe(|| prover.prove(sample, &[], &[], OsRng)));
        let bundle = match proved {
            Ok(proved) => proved?.bundle,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
                return Err(Problem::bug(&format!("the prover panicked: {text}")));
            }
        };
        if !are_answered(bundle.outputs(), record) {
            return Err(Problem::bug("a proof has other outputs than were answered"));
        }
        prover.check(&bundle)?;
        Ok(bundle.to_json().map_err(Error::from)?)
    }

    /// Whether a proof that was there already is this job's: the process ended before it could say so.
    fn is_its_own(self, bytes: &[u8], sample: &Sample, record: &Record) -> bool {
        let service = self.service;
        let Ok(bundle) = AnyProof::from_json(bytes, "proof.json") else { return false };
        let Ok(inputs) = service.prover.public_inputs(sample) else { return false };
        let same = |(own, expected): (&PublicTensor, &PublicTensor)| without_points(own) == *expected;
        let has_inputs = bundle.inputs().len() == inputs.len() && bundle.inputs().iter().zip(&inputs).all(same);
        let holds = || matches!(service.key.verify(&bundle, &Expected::default(), "proof.json"), Ok(Ok(())));
        has_inputs && are_answered(bundle.outputs(), record) && holds()
    }

    /// What the system does not let happen now, it may later: tries until it does, or the server stops.
    fn patiently<T>(self, step: impl Fn() -> Result<T, Error>) -> Result<T, Halt> {
        let mut pause = PAUSES[0];
        loop {
            match step() {
                Ok(done) => return Ok(done),
                Err(error @ Error::File(FileError::File { .. })) => {
                    self.service.health.storage(false);
                    self.service.metrics.storage_errors.inc();
                    tracing::error!(target: "zkml_gpu::serve", job = %self.id, %error, "the disk refuses");
                    self.pause(pause)?;
                    pause = (2 * pause).min(PAUSES[1]);
                }
                Err(error) => return Err(Halt::Lost(error)),
            }
        }
    }
}

/// Whether outputs are those that a request was answered with.
fn are_answered(outputs: &[PublicTensor], record: &Record) -> bool {
    let same = |(own, answered): (&PublicTensor, &PublicTensor)| without_points(own) == *answered;
    outputs.len() == record.outputs.len() && outputs.iter().zip(&record.outputs).all(same)
}

/// A tensor as it is known before its proof.
fn without_points(tensor: &PublicTensor) -> PublicTensor {
    PublicTensor { commitments: Vec::new(), hash: None, ..tensor.clone() }
}
