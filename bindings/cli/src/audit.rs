//! `zkml-gpu audit`.

use std::path::Path;

use tracing::info_span;
use zkml_gpu::{Audit, Error, ModelKey, PublicModel};

use crate::args::AuditOptions;
use crate::compile::{TARGET, prepare, timed};
use crate::keys::srs;
use crate::progress;
use crate::report::{self, line, short};

pub(crate) fn audit(options: &AuditOptions) -> anyhow::Result<u8> {
    prepare(&options.machine)?;
    progress::show_unless(options.json);
    let key = ModelKey::read(&options.key)?;
    let model = PublicModel::read(&options.model)?;
    let beside = options.key.with_extension("srs");
    let path = options.srs.clone().or_else(|| beside.exists().then_some(beside)).ok_or_else(|| Error::Arguments {
        problem: "no reference string is given, and none lies beside the key".into(),
        hint: "--srs FILE names the one that the key was made with; its owner publishes NAME.srs, or names the ceremony",
    })?;
    if key.keys().k() != model.k() {
        let problem = format!("it has 2^{} rows instead of 2^{}", key.keys().k(), model.k());
        return Err(Error::Audit(problem).into());
    }
    let string = || srs(Some(Path::new(&path)), model.k(), &options.cache);
    let (srs, _) = timed(info_span!(target: TARGET, "reference_string"), string)?;
    // Whoever could know its secret made the key. A ceremony's is the auditor's own choice.
    if options.srs.is_none() && !srs.is_insecure() {
        return Err(Error::Arguments {
            problem: format!("{} calls itself a ceremony's, and comes with the key", path.display()),
            hint: "--srs FILE names a ceremony's file that you have from somewhere else",
        }
        .into());
    }
    let look = || model.audit(&key, &srs, &options.machine.backend, options.allow_unproven_weights);
    let (audit, _) = timed(info_span!(target: TARGET, "audit"), look)?;
    if options.json {
        report::print_json(&audit)?;
    } else {
        report::print(&text(&audit))?;
    }
    Ok(0)
}

fn text(audit: &Audit) -> String {
    let layers: Vec<String> = audit.layers.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    let mut text = format!("{}: the key is this model's\n", audit.model);
    text += &line("proves", &format!("that this network gave the output: {}", layers.join(", ")));
    if audit.inferences > 1 {
        text += &line("inputs", &format!("{} in a proof, as the first axis counts them", audit.inferences));
    }
    text += &line("parameters", &format!("{} learned values", audit.parameters));
    text += &line("weights", &audit.weights);
    text += &line("integers", &format!("tensors of {} to {} bits", audit.bits[0], audit.bits[1]));
    audit.inputs.iter().for_each(|port| text += &line("input", port));
    audit.outputs.iter().for_each(|port| text += &line("output", port));
    text += &line("error", &format!("2^-{:.0} of the circuit's identities, k = {}", audit.soundness_bits, audit.k));
    let origin = match audit.insecure_srs {
        true => "made on one machine, whose owner could forge proofs",
        false => "of a file, taken for a ceremony's",
    };
    text += &line("srs", &format!("{} ({origin})", short(&audit.reference_string)));
    text += &line(
        "digests",
        &format!(
            "architecture {}, circuit {}, model {}",
            short(&audit.architecture),
            short(&audit.circuit_key),
            short(&audit.model_commitment)
        ),
    );
    text + &line("trusted", "the reference string, and what the key's owner says of the model's name and error")
}
