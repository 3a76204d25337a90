//! `zkml-gpu inspect`: what a file is.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use zkml_gpu::circuit::system::Statement;
use zkml_gpu::engine::srs::Identity;
use zkml_gpu::{
    COMPILED_MODEL, CompiledModel, Error, ModelKey, OPENING, Opening, PROVING_KEY, PUBLIC_MODEL, ProofBundle,
    ProverKey, PublicModel, PublicTensor, TensorCommitment, VERIFYING_KEY, WeightMode, read_hash,
};

use crate::args::InspectOptions;
use crate::compile::source_text;
use crate::keys::magic;
use crate::prove::{accuracy_text, error_text};
use crate::report::{self, grouped, layers_text, line, plural, port_text, short};
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
        Some(magic) if magic == PUBLIC_MODEL.magic => public_model(path),
        Some(magic) if magic == OPENING.magic => opening(path),
        Some(magic) if magic.starts_with(b"{") => json_file(path),
        Some(magic) if magic.iter().all(u8::is_ascii_hexdigit) && read_hash(path).is_ok() => Ok(digits(path)),
        Some(magic) if magic.starts_with(b"ptau") || magic == *b"zkmlgpuS" => {
            let Told { text, report } = told(path, false, true)?;
            let mut json = json!(report);
            json["kind"] = "reference string".into();
            Ok(Found { text, json })
        }
        Some(_) | None => Err(Error::Arguments {
            problem: format!("{} is no file of this program", path.display()),
            hint: "inspect takes NAME.zkml, NAME.public.zkml, NAME.pk, NAME.vk, proof.json, commitments, openings, hashes and reference strings; srs info takes Halo2's, too",
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

fn public_model(path: &Path) -> anyhow::Result<Found> {
    let model = PublicModel::read(path)?;
    let architecture = model.architecture_digest()?;
    let mut text = format!("{}: a public model, which nothing vouches for but an audit\n", path.display());
    text += &line("model", &report::terminal_safe(model.name()));
    text += &line("network", &layers_text(&model.layers()));
    text += &line("architecture", &architecture);
    if model.inferences() > 1 {
        text += &line("proofs", &format!("each of {} inputs together", model.inferences()));
    }
    text += &port_lines(model.statement());
    text += &line("circuit", &format!("k = {}", model.k()));
    let compares = if model.tells_quantisation() { "can" } else { "cannot" };
    text += &line("weights", &format!("{compares} be compared with the model's own file (verify --model)"));
    text += &line("audit", "zkml-gpu audit NAME.vk --model NAME.public.zkml");
    let json = json!({
        "kind": "public model",
        "version": PUBLIC_MODEL.version,
        "model": model.name(),
        "architecture": architecture,
        "inferences": model.inferences(),
        "layers": model.layers(),
        "k": model.k(),
        "tells_quantisation": model.tells_quantisation(),
        "statement": model.statement(),
    });
    Ok(Found { text, json })
}

fn opening(path: &Path) -> anyhow::Result<Found> {
    let opening = Opening::read(path)?;
    let text = format!("{}: an opening. Private: it holds the tensor of a commitment\n", path.display())
        + &commitment_lines(opening.commitment());
    let json = json!({
        "kind": "opening",
        "version": OPENING.version,
        "private": true,
        "commitment": opening.commitment(),
    });
    Ok(Found { text, json })
}

/// A commitment or a proof: both are JSON, and a commitment says so of itself.
fn json_file(path: &Path) -> anyhow::Result<Found> {
    if !TensorCommitment::is_one(path)? {
        return proof(path);
    }
    let commitment = TensorCommitment::read(path)?;
    let text = format!("{}: a commitment to a tensor\n", path.display()) + &commitment_lines(&commitment);
    Ok(Found { text, json: json!({ "kind": "commitment", "commitment": commitment }) })
}

fn commitment_lines(commitment: &TensorCommitment) -> String {
    let TensorCommitment { shape, order, k, srs, points, .. } = commitment;
    let mut text = line("tensor", &format!("{shape:?}, integers times {}", commitment.scale_text()));
    text += &line("order", &report::terminal_safe(order));
    text += &line("circuits", &format!("k = {k}, reference string {}", report::terminal_safe(short(srs))));
    text + &line("points", &points.join(", "))
}

/// A hash and a salt are the same number of digits: which it is only its owner knows, so that the digits are not shown.
fn digits(path: &Path) -> Found {
    let text = format!("{}: the hash of a tensor, or a salt, which is private\n", path.display())
        + &line("check", "zkml-gpu open NAME.hash FILE --vk NAME.vk tells of which numbers a hash is");
    Found { text, json: json!({ "kind": "hash or salt" }) }
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
        let tensor = |tensor: &PublicTensor| json!({ "name": tensor.name, "shape": tensor.shape, "reals": tensor.reals(), "visibility": tensor.visibility, "commitments": tensor.commitments, "hash": tensor.hash });
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
    text += &line("error", &error_text(about.accuracy.max_error, about.source.samples));
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

/// What is known of inputs and outputs before any proof.
fn port_lines(statement: &Statement) -> String {
    let ports = [("input", &statement.inputs), ("output", &statement.outputs)];
    ports.into_iter().flat_map(|(label, ports)| ports.iter().map(move |port| line(label, &port_text(port)))).collect()
}

/// What a verifying key says.
fn key_lines(key: &ModelKey) -> String {
    let mut text = line("key", key.digest());
    text += &line("circuit key", key.circuit_digest());
    text += &line("commitment", key.model_digest());
    text += &port_lines(key.keys().statement());
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
        statement: &'a Statement,
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
