//! `zkml-gpu inspect`: what a file is.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use zkml_gpu::engine::srs::Identity;
use zkml_gpu::{
    COMPILED_MODEL, CompiledModel, Error, ModelKey, PROVING_KEY, ProofBundle, ProverKey, PublicTensor, VERIFYING_KEY,
    WeightMode,
};

use crate::args::InspectOptions;
use crate::compile::source_text;
use crate::keys::magic;
use crate::prove::accuracy_text;
use crate::report::{self, grouped, line, plural, short};
use crate::srs::{Told, told};

/// Layers that are shown of a compiled model: those with the greatest errors.
const WORST_LAYERS: usize = 3;

/// What a file is, for people and for programs.
struct Found {
    text: String,
    json: Value,
}

pub(crate) fn inspect(options: &InspectOptions) -> anyhow::Result<u8> {
    let Found { text, json } = found(&options.file)?;
    if options.json {
        report::print_json(&json)?
    } else {
        report::print(&text)?
    }
    Ok(0)
}

fn found(path: &Path) -> anyhow::Result<Found> {
    match magic(path)? {
        Some(magic) if magic == COMPILED_MODEL.magic => compiled(path),
        Some(magic) if magic == PROVING_KEY.magic => proving_key(path),
        Some(magic) if magic == VERIFYING_KEY.magic => verifying_key(path),
        Some(magic) if magic.starts_with(b"{") => proof(path),
        Some(magic) if magic.starts_with(b"ptau") || magic == *b"zkmlgpuS" => {
            let Told { text, report } = told(path, false, true)?;
            let mut json = json!(report);
            json["kind"] = "reference string".into();
            Ok(Found { text, json })
        }
        Some(_) | None => Err(Error::Arguments {
            problem: format!("{} is no file of this program", path.display()),
            hint: "inspect takes NAME.zkml, NAME.pk, NAME.vk, proof.json and reference strings; srs info takes Halo2's, too",
        }
        .into()),
    }
}

fn compiled(path: &Path) -> anyhow::Result<Found> {
    let model = CompiledModel::read(path)?;
    let text = format!("{}: a compiled model, which holds the weights\n", path.display()) + &model_lines(&model);
    Ok(Found {
        text,
        json: json!({ "kind": "compiled model", "version": COMPILED_MODEL.version, "model": model_json(&model) }),
    })
}

fn proving_key(path: &Path) -> anyhow::Result<Found> {
    let key = ProverKey::read(path)?;
    let mut text = format!("{}: a proving key. Private: it holds the weights and what hides them\n", path.display());
    text += &model_lines(key.model());
    text += &key_lines(key.key());
    let json = json!({
        "kind": "proving key",
        "version": PROVING_KEY.version,
        "private": true,
        "model": model_json(key.model()),
        "verifying_key": key_json(key.key()),
    });
    Ok(Found { text, json })
}

fn verifying_key(path: &Path) -> anyhow::Result<Found> {
    let key = ModelKey::read(path)?;
    let mut text = format!("{}: a verifying key, of '{}'\n", path.display(), key.model());
    text += &line("calibration", &accuracy_text(&key));
    text += &key_lines(&key);
    let mut json = key_json(&key);
    json["kind"] = "verifying key".into();
    json["version"] = VERIFYING_KEY.version.into();
    Ok(Found { text, json })
}

fn proof(path: &Path) -> anyhow::Result<Found> {
    let proof = ProofBundle::read(path)?;
    let mut text = format!("{}: a proof for '{}', not verified\n", path.display(), report::terminal_safe(&proof.model));
    text += &line("key", &report::terminal_safe(&proof.verifying_key));
    text += &line("weights", &report::terminal_safe(&format!("{}; {}", proof.weights, proof.note)));
    text += &line("made on", &report::terminal_safe(&proof.backend));
    text += &line("proof", &format!("{} bytes", grouped(proof.proof_bytes().len() as u64)));
    text += &report::proof_lines(&proof);
    text += &line("verify", "zkml-gpu verify PROOF.json --vk NAME.vk, with a key from someone you trust");
    let tensors = |tensors: &[PublicTensor]| -> Vec<Value> {
        let tensor = |tensor: &PublicTensor| json!({ "name": tensor.name, "shape": tensor.shape, "reals": tensor.reals(), "visibility": tensor.visibility, "commitments": tensor.commitments });
        tensors.iter().map(tensor).collect()
    };
    let json = json!({
        "kind": "proof",
        "version": proof.version,
        "model": proof.model,
        "verifying_key": proof.verifying_key,
        "weights": proof.weights,
        "note": proof.note,
        "backend": proof.backend,
        "insecure_srs": proof.insecure_srs,
        "max_error": proof.max_error,
        "proof_bytes": proof.proof_bytes().len(),
        "inferences": proof.inferences,
        "inputs": tensors(&proof.inputs),
        "outputs": tensors(&proof.outputs),
    });
    Ok(Found { text, json })
}

/// What a compiled model is.
pub(crate) fn model_lines(model: &CompiledModel) -> String {
    let (about, summary) = (model.about(), model.summary());
    let mut text = line(
        "model",
        &format!(
            "{}, {} and {} multiplications",
            about.name,
            plural(model.parameters(), "learned value"),
            grouped(model.macs() as u64)
        ),
    );
    if about.inferences > 1 {
        text += &line("proofs", &format!("each of {} inputs together", about.inferences));
    }
    text += &line("made from", &source_text(&about.source));
    text += &line("weights", &format!("{}{}", weights(model), if about.private { ", declared private" } else { "" }));
    let widths = about.quantisation.tensor_bits.len();
    let others = if widths == 0 { String::new() } else { format!(", other widths for {}", plural(widths, "tensor")) };
    text += &line("integers", &format!("activations of {} bits{others}", about.quantisation.activation_bits));
    let accuracy = about.accuracy;
    text += &line(
        "error",
        &format!(
            "at most {:.2} % of the output's range on {}",
            100.0 * accuracy.max_error,
            plural(about.source.samples, "sample")
        ),
    );
    for layer in about.evaluation.layers.iter().take(WORST_LAYERS) {
        text += &line(
            "",
            &format!("{:.2} % in '{}' of {} bits", 100.0 * layer.max_error, layer.name.escape_debug(), layer.bits),
        );
    }
    text + &line(
        "circuit",
        &format!(
            "k = {}, {} advice and {} fixed columns, {} lookups",
            summary.k,
            summary.advice_columns,
            summary.fixed_columns,
            grouped(summary.lookups as u64)
        ),
    )
}

/// Where a compiled model's weights will stand.
fn weights(model: &CompiledModel) -> &'static str {
    match model.weight_mode() {
        WeightMode::Committed if model.has_public_weights() => "to be committed, public",
        WeightMode::Committed => "to be committed, hiding",
        WeightMode::Embedded => "to be embedded, public",
    }
}

fn model_json(model: &CompiledModel) -> Value {
    let summary = model.summary();
    json!({
        "about": model.about(),
        "weights": weights(model),
        "parameters": model.parameters(),
        "macs": model.macs(),
        "k": summary.k,
        "advice_columns": summary.advice_columns,
        "fixed_columns": summary.fixed_columns,
        "lookups": summary.lookups,
    })
}

/// What a verifying key says.
fn key_lines(key: &ModelKey) -> String {
    let mut text = line("key", key.digest());
    text += &line("circuit key", key.circuit_digest());
    text += &line("commitment", key.model_digest());
    let statement = key.keys().statement();
    for (label, ports) in [("input", &statement.inputs), ("output", &statement.outputs)] {
        for port in ports {
            let format = port.format;
            text += &line(
                label,
                &format!(
                    "{} {:?}, {}, integers {} to {} times 2^{}",
                    port.name.escape_debug(),
                    port.logical_shape,
                    port.visibility().name(),
                    format.min,
                    format.max,
                    -format.frac_bits
                ),
            );
        }
    }
    let origin = if key.is_insecure() { "made on one machine" } else { "of a file, taken for a ceremony's" };
    text += &line("srs", &format!("{} ({origin})", short(&Identity::of(key.keys().s_g2()).to_string())));
    text + &report::guarantee_lines(key)
}

fn key_json(key: &ModelKey) -> Value {
    #[derive(Serialize)]
    struct Key<'a> {
        model: &'a str,
        digest: &'a str,
        circuit_key: &'a str,
        model_commitment: &'a str,
        k: u32,
        weights: &'a str,
        note: &'a str,
        accuracy: &'a zkml_gpu::Accuracy,
        srs: String,
        insecure_srs: bool,
        statement: &'a zkml_gpu::circuit::system::Statement,
    }
    json!(Key {
        model: key.model(),
        digest: key.digest(),
        circuit_key: key.circuit_digest(),
        model_commitment: key.model_digest(),
        k: key.keys().k(),
        weights: key.weights(),
        note: key.note(),
        accuracy: key.accuracy(),
        srs: Identity::of(key.keys().s_g2()).to_string(),
        insecure_srs: key.is_insecure(),
        statement: key.keys().statement(),
    })
}
