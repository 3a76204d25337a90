//! `zkml-gpu inspect`: what a file is.

use std::path::Path;

use zkml_gpu::circuit::system::Statement;
use zkml_gpu::engine::srs::Identity;
use zkml_gpu::{Artifact, CompiledModel, Error, ModelKey, ProofBundle, PublicModel, TensorCommitment, weights_text};

use crate::args::InspectOptions;
use crate::compile::source_text;
use crate::prove::{accuracy_text, error_text};
use crate::report::{self, grouped, layers_text, line, plural, port_text, short};
use crate::srs::told;

/// Layers that are shown of a compiled model: those with the greatest errors.
const WORST_LAYERS: usize = 3;

pub(crate) fn inspect(options: &InspectOptions) -> anyhow::Result<u8> {
    let found = Artifact::read(&options.file)?;
    if options.json {
        report::print_json(&found.to_json()?)?
    } else {
        report::print(&text(&options.file, &found)?)?
    }
    Ok(0)
}

/// What a file is, for people.
fn text(path: &Path, found: &Artifact) -> anyhow::Result<String> {
    let shown = path.display();
    Ok(match found {
        Artifact::CompiledModel(model) => {
            format!("{shown}: a compiled model, which holds the weights\n") + &model_lines(model)
        }
        Artifact::ProvingKey(key) => {
            let text = format!("{shown}: a proving key. Private: it holds the weights and what hides them\n");
            text + &model_lines(key.model()) + &key_lines(key.key())
        }
        Artifact::VerifyingKey(key) => {
            let text = format!("{shown}: a verifying key, of '{}'\n", key.model());
            text + &line("calibration", &accuracy_text(key)) + &key_lines(key)
        }
        Artifact::PublicModel(model) => public_model(path, model)?,
        Artifact::Opening(opening) => {
            let text = format!("{shown}: an opening. Private: it holds the tensor of a commitment\n");
            text + &commitment_lines(opening.commitment())
        }
        Artifact::Commitment(commitment) => {
            format!("{shown}: a commitment to a tensor\n") + &commitment_lines(commitment)
        }
        Artifact::Proof(bundle) => proof(path, bundle),
        Artifact::HashOrSalt => {
            let check = "zkml-gpu open NAME.hash FILE --vk NAME.vk tells of which numbers a hash is";
            format!("{shown}: the hash of a tensor, or a salt, which is private\n") + &line("check", check)
        }
        Artifact::ReferenceString { .. } => told(path, false, true)?.text,
        other => return Err(Error::Internal(format!("{shown} has no words: {other:?}")).into()),
    })
}

fn public_model(path: &Path, model: &PublicModel) -> Result<String, Error> {
    let mut text = format!("{}: a public model, which nothing vouches for but an audit\n", path.display());
    text += &line("model", &report::terminal_safe(model.name()));
    text += &line("network", &layers_text(&model.layers()));
    text += &line("architecture", &model.architecture_digest()?);
    if model.inferences() > 1 {
        text += &line("proofs", &format!("each of {} inputs together", model.inferences()));
    }
    text += &port_lines(model.statement());
    text += &line("circuit", &format!("k = {}", model.k()));
    let compares = if model.tells_quantisation() { "can" } else { "cannot" };
    text += &line("weights", &format!("{compares} be compared with the model's own file (verify --model)"));
    Ok(text + &line("audit", "zkml-gpu audit NAME.vk --model NAME.public.zkml"))
}

fn commitment_lines(commitment: &TensorCommitment) -> String {
    let TensorCommitment { shape, order, k, srs, points, .. } = commitment;
    let mut text = line("tensor", &format!("{shape:?}, integers times {}", commitment.scale_text()));
    text += &line("order", &report::terminal_safe(order));
    text += &line("circuits", &format!("k = {k}, reference string {}", report::terminal_safe(short(srs))));
    text + &line("points", &points.join(", "))
}

fn proof(path: &Path, proof: &ProofBundle) -> String {
    let mut text = format!("{}: a proof for '{}', not verified\n", path.display(), report::terminal_safe(&proof.model));
    text += &line("key", &report::terminal_safe(&proof.verifying_key));
    text += &line("weights", &report::terminal_safe(&format!("{}; {}", proof.weights, proof.note)));
    text += &line("made on", &report::terminal_safe(&proof.backend));
    text += &line("proof", &format!("{} bytes", grouped(proof.proof_bytes().len() as u64)));
    text += &report::proof_lines(proof);
    text + &line("verify", "zkml-gpu verify PROOF.json --vk NAME.vk, with a key from someone you trust")
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
    text +=
        &line("weights", &format!("{}{}", weights_text(model), if about.private { ", declared private" } else { "" }));
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
