//! Whole proofs: CPU time, memory, sizes, and how they compare with published figures.
//!
//! `cargo bench --bench prove [-- NAME...]` builds the command line, runs `zkml-gpu prove --json` on each model in a process of its own, and
//! prints the median of a few runs. Figures of others were measured on other machines: the ratio is a hint, not a race.

mod onnx;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::Value;

/// Runs of each model; the median is printed.
const RUNS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A model with somebody else's figure for it.
struct Case {
    name: &'static str,
    model: PathBuf,
    input: PathBuf,
    /// Whose figure, and for what.
    peer: &'static str,
    /// Seconds to prove.
    peer_s: f64,
}

fn main() -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("target/bench-models");
    std::fs::create_dir_all(&folder)?;
    let program = build(&root)?;
    // Cargo passes flags of its own.
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    println!(
        "{:<12} {:>3} {:>13} {:>10} {:>10} {:>10} {:>9}  compared with",
        "model", "k", "prove CPU ms", "prove ms", "peak MB", "verify ms", "proof B"
    );
    for case in cases(&root, &folder)? {
        if names.is_empty() || names.iter().any(|name| name == case.name) {
            measure(&program, &folder, &case)?;
        }
    }
    Ok(())
}

/// The command line, built with the profile that users get.
fn build(root: &Path) -> Outcome<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "-p", "zkml-gpu-cli", "--message-format=json-render-diagnostics"])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = executable.filter_map(|message| Some(message["executable"].as_str()?.to_owned())).next_back();
    Ok(executable.ok_or("the command line does not build")?.into())
}

fn cases(root: &Path, folder: &Path) -> Outcome<Vec<Case>> {
    let (cnn, dense) = (root.join("tests/models/cnn_264k.onnx"), folder.join("dense_4m.onnx"));
    std::fs::write(&dense, onnx::dense(&[4, 1000, 1000, 1000, 1000, 1000, 3], 4))?;
    let input = |name: &str, len: usize| -> Outcome<PathBuf> {
        let path = folder.join(format!("{name}.json"));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let values: Vec<f64> = (0..len).map(|_| f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0).collect();
        std::fs::write(&path, serde_json::json!({ "input_data": [values] }).to_string())?;
        Ok(path)
    };
    let lenet = root.join("examples/lenet");
    Ok(vec![
        Case {
            name: "lenet",
            model: lenet.join("lenet.onnx"),
            input: lenet.join("seven.json"),
            peer: "EZKL 23.0.5, CPU time on 2 cores",
            peer_s: 170.0,
        },
        Case {
            name: "cnn_264k",
            model: cnn,
            input: input("cnn_264k", 3 * 32 * 32)?,
            peer: "DeepProve's README, wall time",
            peer_s: 1.24,
        },
        Case {
            name: "dense_4m",
            model: dense,
            input: input("dense_4m", 4)?,
            peer: "DeepProve's README, wall time",
            peer_s: 2.34,
        },
    ])
}

fn measure(program: &Path, folder: &Path, case: &Case) -> Outcome<()> {
    let mut reports = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let output = Command::new(program)
            .arg("prove")
            .args([&case.model, &case.input])
            .arg("--out")
            .arg(folder.join(format!("{}.proof", case.name)))
            .arg("--json")
            .stderr(std::process::Stdio::inherit())
            .output()?;
        reports.push(serde_json::from_slice::<Value>(&output.stdout)?);
    }
    let median = |field: &str| {
        let mut values: Vec<f64> = reports.iter().filter_map(|report| report[field].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let cpu_ms = median("prove_cpu_ms");
    println!(
        "{:<12} {:>3} {:>13.0} {:>10.0} {:>10.0} {:>10.1} {:>9}  {} s ({}): {:.1} times our CPU time",
        case.name,
        median("k"),
        cpu_ms,
        median("prove_ms"),
        median("peak_rss_bytes") / 1e6,
        median("verify_ms"),
        median("proof_bytes"),
        case.peer_s,
        case.peer,
        case.peer_s * 1e3 / cpu_ms,
    );
    Ok(())
}
