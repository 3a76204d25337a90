//! Tries random graphs until a time is over or something is wrong: `scripts/audit.sh`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use zkml_gpu_tests::trial::{Effort, Tally, trial};

/// Graphs between two lines of progress.
const BATCH: u64 = 200;
/// One graph in so many has real proofs.
const PROVED: u64 = 10;
/// One graph in so many is written differently.
const REWRITTEN: u64 = 4;

/// Further layouts of each graph, of other widths.
const LAYOUTS: u64 = 8;

/// What the caller asks for.
struct Arguments {
    minutes: f64,
    seed: u64,
    /// How many graphs, where not for a time.
    graphs: Option<u64>,
    /// Whether to go on after something is wrong.
    all: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments { minutes: 10.0, seed: 0, graphs: None, all: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().ok_or_else(|| format!("{word} takes a number"));
        match word.as_str() {
            "--minutes" => arguments.minutes = number()?.parse().map_err(|error| format!("--minutes: {error}"))?,
            "--seed" => arguments.seed = number()?.parse().map_err(|error| format!("--seed: {error}"))?,
            "--graphs" => {
                arguments.graphs = Some(number()?.parse().map_err(|error| format!("--graphs: {error}"))?);
            }
            "--all" => arguments.all = true,
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok(arguments)
}

/// A few graphs at a time are proved and rewritten, all are lied about.
fn effort(seed: u64) -> Effort {
    Effort { lies: 3, real: seed.is_multiple_of(PROVED), rewrites: seed % REWRITTEN == 1, layouts: LAYOUTS }
}

fn line(tally: &Tally, wrong: usize, next: u64, start: Instant) -> String {
    format!(
        "{:.0} s: {} graphs, {} layouts, {} checked and {} of other widths ({} have none), {} honest accepted, lies rejected {:?} ({} void), real proofs {:?}, lies without a \
         proof {}, rewritten {:?}, refused {:?}; wrong: {wrong}; continue with --seed {next}",
        start.elapsed().as_secs_f64(),
        tally.graphs,
        tally.layouts(),
        tally.checked,
        tally.wider,
        tally.without,
        tally.honest,
        tally.lies,
        tally.void,
        tally.proofs,
        tally.unproven,
        tally.rewritten,
        tally.refused,
    )
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\nhint: audit [--minutes N] [--seed S] [--graphs N] [--all]");
            return ExitCode::from(2);
        }
    };
    let (start, mut next) = (Instant::now(), arguments.seed);
    let (mut total, mut wrong) = (Tally::default(), 0);
    loop {
        let batch = arguments.graphs.map_or(BATCH, |graphs| BATCH.min(arguments.seed + graphs - next));
        let results: Vec<_> = (next..next + batch).into_par_iter().map(|seed| trial(seed, effort(seed))).collect();
        next += batch;
        for result in results {
            match result {
                Ok(tally) => total = total.with(tally),
                Err(problem) => {
                    wrong += 1;
                    println!("{problem}");
                }
            }
        }
        println!("{}", line(&total, wrong, next, start));
        let over = match arguments.graphs {
            Some(graphs) => next >= arguments.seed + graphs,
            None => start.elapsed() > Duration::from_secs_f64(arguments.minutes * 60.0),
        };
        if over || wrong > 0 && !arguments.all {
            return if wrong > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    }
}
