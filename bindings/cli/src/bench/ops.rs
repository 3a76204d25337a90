//! `zkml-gpu bench ops`.

use halo2_proofs::halo2curves::bn256::G1Affine;
use zkml_gpu::engine::BackendError;
use zkml_gpu::engine::backend::{Any, Cpu, MemoryOps};
use zkml_gpu::engine::bench::data::distinct_points;
use zkml_gpu::engine::bench::{COLUMNS, Fixture, Inputs, Operation, Outcome, Points};
use zkml_gpu::engine::prover::ProverError;
use zkml_gpu::{Error, available_bytes};
use zkml_gpu_peers::{HAS_ARKWORKS, Peer, peers};

use super::output::{Record, old, publish, save};
use super::record::{Device, OpsRecord, OpsRow, Setting, Table};
use super::timing::in_turns;
use crate::args::{Backends, BenchOpsOptions};
use crate::compile::start_threads;
use crate::progress::{self, Counted};

/// Batches of columns that exist at one time: inputs, resident and once more on the other device of two, results of
/// ours and of a peer, and those on the host.
const BATCHES: u64 = 7;
/// log2 of the rows up to which results are checked where no peers are measured: the portable processor would take longer
/// over more of them than the device takes to be measured.
const CHECKED_LOG_N: u32 = 18;
/// Bytes of a scalar.
const SCALAR_BYTES: u64 = 32;
/// How a build comes by the peer that installed programs are without.
const WITH_ARKWORKS: &str = "from the checkout, cargo run --release -- bench ops measures beside it";

pub(crate) fn ops(options: &BenchOpsOptions) -> anyhow::Result<u8> {
    start_threads(options.threads)?;
    let choices = Backends::or_present(options.backend.as_ref())?;
    options.log_n.0.iter().try_for_each(|log_n| check_memory(*log_n, available_bytes()))?;
    let old = old::<OpsRecord>(&options.output)?;
    if !HAS_ARKWORKS && !options.no_peers {
        progress::note(&format!("ark-bn254 is not part of this build\nhint: {WITH_ARKWORKS}"));
    }
    let again = if options.table_budget > 0 { multiplications().count() } else { 0 };
    let rows = choices.len() * options.log_n.0.len() * (Operation::ALL.len() + again);
    let mut record = OpsRecord {
        setting: Setting::here(OpsRecord::BENCH),
        rows: Vec::new(),
        backends: Vec::new(),
        tables: Vec::new(),
        table_budget_bytes: options.table_budget,
    };
    let bar = progress::counted(rows as u64);
    for choice in &choices {
        Measure { name: choice.to_string(), options, record: &mut record, bar: &bar }.run(&choice.open()?)?;
    }
    bar.finish();
    publish(&options.output, &record, old.as_ref())?;
    Ok(0)
}

/// Measures every operation at every size.
struct Measure<'a> {
    name: String,
    options: &'a BenchOpsOptions,
    record: &'a mut OpsRecord,
    bar: &'a Counted,
}

impl Measure<'_> {
    fn run(mut self, backend: &Any) -> anyhow::Result<()> {
        self.record.backends.push(Device { name: self.name.clone(), device: backend.description() });
        for &log_n in &self.options.log_n.0 {
            // Points and their table are gone before the batches of columns come.
            self.with_points(backend, log_n)?;
            let fixture = Fixture::new(backend, None).map_err(failed)?;
            for operation in Operation::ALL.iter().filter(|operation| !operation.takes_points()) {
                self.measure(&fixture, (*operation, ""), log_n, &[])?;
            }
        }
        Ok(())
    }

    fn with_points(&mut self, backend: &Any, log_n: u32) -> anyhow::Result<()> {
        let points = distinct_points(1 << log_n);
        let table_budget_bytes = usize::try_from(self.options.table_budget).unwrap_or(usize::MAX);
        let resident = Points { points: &points, table_budget_bytes };
        let fixture = Fixture::new(backend, Some(resident)).map_err(failed)?;
        for operation in Operation::ALL.iter().filter(|operation| operation.takes_points()) {
            let ms = self.measure(&fixture, (*operation, ""), log_n, &points)?;
            if *operation == Operation::LoadBases {
                let table =
                    Table { log_n, backend: self.name.clone(), table_bytes: fixture.table_bytes(), build_ms: ms };
                self.record.tables.push(table);
            }
        }
        drop(fixture);
        if table_budget_bytes > 0 {
            // Peers have no tables: this is the comparison of the algorithm alone.
            let resident = Points { points: &points, table_budget_bytes: 0 };
            let fixture = Fixture::new(backend, Some(resident)).map_err(failed)?;
            for operation in multiplications() {
                self.measure(&fixture, (operation, NO_TABLE), log_n, &points)?;
            }
        }
        Ok(())
    }

    /// Checks and times one operation; its time in milliseconds. The record has its name with a suffix.
    fn measure(
        &mut self,
        fixture: &Fixture<'_, Any>,
        (operation, suffix): (Operation, &str),
        log_n: u32,
        points: &[G1Affine],
    ) -> anyhow::Result<f64> {
        self.bar.message(format!("{}{suffix} 2^{log_n} on {}", operation.name(), self.name));
        let inputs = operation.inputs(log_n);
        let case = fixture.case(&inputs).map_err(failed)?;
        let peers = if self.options.no_peers { Vec::new() } else { peers(&inputs, points) };
        let what = format!("{} of 2^{log_n} on {}", operation.name(), self.name);
        let outcome = case.outcome().map_err(failed)?;
        if !self.options.no_peers || log_n <= CHECKED_LOG_N {
            check(&what, &outcome, &peers, &inputs, points)?;
        }
        let (spread, peer_spreads) = in_turns(|| case.time().map_err(failed), &peers)?;
        let peers = peers.iter().map(|peer| peer.name).zip(peer_spreads.iter().map(|spread| spread.median));
        let row = |peer: Option<(&str, f64)>| OpsRow {
            op: format!("{}{suffix}", operation.name()),
            log_n,
            backend: self.name.clone(),
            elements: operation.elements(log_n),
            ms: spread.median,
            spread,
            peer: peer.map(|(name, _)| name.into()),
            peer_ms: peer.map(|(_, ms)| ms),
            ratio: peer.map(|(_, ms)| ms / spread.median),
        };
        if peer_spreads.is_empty() {
            self.record.rows.push(row(None));
        } else {
            self.record.rows.extend(peers.map(|peer| row(Some(peer))));
        }
        self.bar.step();
        save(&self.options.output, self.record)?;
        Ok(spread.median)
    }
}

/// What names of multiplications end with where the points have no table.
const NO_TABLE: &str = "_no_table";

/// Operations that a table of the points' multiples makes faster.
fn multiplications() -> impl Iterator<Item = Operation> {
    let with_points = Operation::ALL.iter().copied().filter(|operation| operation.takes_points());
    with_points.filter(|operation| *operation != Operation::LoadBases)
}

/// Refuses a size whose batches of columns need more memory than there is, before the system ends the process.
fn check_memory(log_n: u32, available: Option<u64>) -> Result<(), Error> {
    let needed_bytes = (BATCHES * COLUMNS as u64 * SCALAR_BYTES) << log_n;
    match available {
        Some(available_bytes) if needed_bytes > available_bytes => {
            Err(Error::OperationsWouldNotFit { log_n, needed_bytes, available_bytes })
        }
        _ => Ok(()),
    }
}

/// Compares a result with each peer's, or with the portable processor's where there is no peer. All of them have then
/// run once before they are timed.
fn check(what: &str, ours: &Outcome, peers: &[Peer<'_>], inputs: &Inputs, points: &[G1Affine]) -> Result<(), Error> {
    for peer in peers {
        compare(what, ours, peer.name, &peer.outcome())?;
    }
    if peers.is_empty() {
        compare(what, ours, "the portable processor", &portable(inputs, points).map_err(failed)?)?;
    }
    Ok(())
}

fn portable(inputs: &Inputs, points: &[G1Affine]) -> Result<Outcome, BackendError> {
    let portable = Cpu::portable();
    let points = inputs.operation().takes_points().then_some(Points { points, table_budget_bytes: 0 });
    Fixture::new(&portable, points)?.case(inputs)?.outcome()
}

fn compare(what: &str, ours: &Outcome, whose: &str, theirs: &Outcome) -> Result<(), Error> {
    if ours == theirs {
        return Ok(());
    }
    Err(Error::Internal(format!("{what}: the result is not that of {whose}")))
}

fn failed(error: BackendError) -> Error {
    ProverError::Backend(error).into()
}

#[cfg(test)]
mod tests {
    use halo2_proofs::halo2curves::bn256::Fr;

    use super::*;

    /// The peers' outcomes, after one factor of a column was changed for them.
    fn outcome(operation: Operation, log_n: u32) -> Result<(), Error> {
        let (inputs, points) = (operation.inputs(log_n), distinct_points(1 << log_n));
        let peers = peers(&inputs, &points);
        let mut ours = portable(&inputs, &points).map_err(failed)?;
        check("right", &ours, &peers, &inputs, &points)?;
        ours.scalars.iter_mut().take(1).for_each(|scalar| *scalar += Fr::one());
        ours.points.iter_mut().take(1).for_each(|point| *point = -*point);
        check("wrong", &ours, &peers, &inputs, &points)
    }

    #[test]
    fn what_would_not_fit_is_refused() {
        assert!(check_memory(20, Some(4 << 30)).is_ok() && check_memory(24, None).is_ok());
        let refused = check_memory(24, Some(4 << 30));
        assert!(refused.is_err_and(|error| error.class() == zkml_gpu::ErrorClass::WouldNotFit));
    }

    #[test]
    fn a_wrong_result_is_a_bug_and_not_timed() {
        for log_n in [1, 2, 5] {
            for operation in Operation::ALL.iter().filter(|operation| **operation != Operation::Compile) {
                match outcome(*operation, log_n) {
                    Err(Error::Internal(message)) => assert!(message.starts_with("wrong"), "{operation:?}: {message}"),
                    other => panic!("{operation:?}: {other:?}"),
                }
            }
        }
    }
}
