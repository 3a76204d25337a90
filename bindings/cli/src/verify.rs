//! `zkml-gpu verify`.

use std::time::Instant;

use serde::Serialize;
use zkml_gpu::{ModelKey, ProofBundle};

use crate::args::VerifyOptions;
use crate::{REJECTED, report};

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    accepted: bool,
    reason: Option<String>,
    model: &'a str,
    /// Real numbers, one list for each input, in the order of the model's axes.
    input: Vec<&'a [f64]>,
    /// Likewise.
    output: Vec<&'a [f64]>,
    /// How the weights are bound, as in `proof.json`.
    weights: &'static str,
    insecure_srs: bool,
    verify_ms: f64,
}

pub(crate) fn verify(options: &VerifyOptions) -> anyhow::Result<u8> {
    let key = ModelKey::read(&options.vk)?;
    let proof = ProofBundle::read(&options.proof)?;
    let start = Instant::now();
    let verdict = key.verify(&proof);
    let verdict = Verdict {
        accepted: verdict.is_ok(),
        reason: verdict.err().map(|rejection| rejection.to_string()),
        model: key.model(),
        input: proof.inputs.iter().map(|tensor| &tensor.reals[..]).collect(),
        output: proof.outputs.iter().map(|tensor| &tensor.reals[..]).collect(),
        weights: key.weights(),
        insecure_srs: key.is_insecure(),
        verify_ms: report::elapsed_ms(start),
    };
    if options.json {
        report::print_json(&verdict)?
    } else {
        report::print(&text(&verdict, &proof, &key))?
    }
    Ok(if verdict.accepted { 0 } else { REJECTED })
}

fn text(verdict: &Verdict<'_>, proof: &ProofBundle, key: &ModelKey) -> String {
    if let Some(reason) = &verdict.reason {
        return format!("rejected: {reason}\n");
    }
    let mut text = format!("accepted: {} gave this output ({:.1} ms)\n", verdict.model, verdict.verify_ms);
    for tensor in &proof.outputs {
        text += &report::tensor_line("output", &tensor.name, &tensor.reals);
    }
    for tensor in &proof.inputs {
        text += &report::tensor_line("input", &tensor.name, &tensor.reals);
    }
    text += &report::guarantee_lines(key);
    text
}
