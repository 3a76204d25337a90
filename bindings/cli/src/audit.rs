//! `zkml-gpu audit`.

use std::path::Path;

use tracing::info_span;
use zkml_gpu::segmented::SegmentedPublicModel;
use zkml_gpu::{AnyKey, Audit, AuditedFile, Error, Measured, PublicModel, Srs};

use crate::args::{AuditOptions, CacheOptions};
use crate::compile::{TARGET, prepare, timed};
use crate::keys::srs;
use crate::progress;
use crate::report::{self, layers_text, line, short};

pub(crate) fn audit(options: &AuditOptions) -> anyhow::Result<u8> {
    prepare(&options.machine)?;
    progress::show_unless(options.json);
    let (backend, unproven) = (&options.machine.backend, options.allow_unproven_weights);
    let string = |k| reference_string(options.srs.as_deref(), &options.key, k, &options.cache);
    let span = || info_span!(target: TARGET, "audit");
    let audit = match AnyKey::read(&options.key)? {
        AnyKey::Whole(key) => {
            let model = PublicModel::read(&options.model)?;
            model.expect_size(&key)?;
            let srs = string(model.k())?;
            timed(span(), || model.audit(&key, &srs, backend, unproven))?.0
        }
        AnyKey::Segmented(key) => {
            let model = SegmentedPublicModel::open(&options.model)?;
            model.expect_size(&key)?;
            let srs = string(model.k())?;
            timed(span(), || model.audit(&key, &srs, backend, unproven))?.0
        }
    };
    if options.json {
        report::print_json(&audit)?;
    } else {
        report::print(&text(&audit))?;
    }
    Ok(0)
}

/// The reference string to derive a key with: the file given, or `NAME.srs` beside the key, if that says of itself that it
/// was made on one machine.
pub(crate) fn reference_string(given: Option<&Path>, key: &Path, k: u32, cache: &CacheOptions) -> Result<Srs, Error> {
    let beside = key.with_extension("srs");
    let path = given.or_else(|| beside.exists().then_some(&*beside)).ok_or_else(|| Error::Arguments {
        problem: "no reference string is given, and none lies beside the key".into(),
        hint: "--srs FILE names the one that the key was made with; its owner publishes NAME.srs, or names the ceremony",
    })?;
    let (string, _) = timed(info_span!(target: TARGET, "reference_string"), || srs(Some(path), k, cache))?;
    // Whoever could know its secret made the key. A ceremony's is the auditor's own choice.
    if given.is_none() && !string.is_insecure() {
        return Err(Error::Arguments {
            problem: format!("{} calls itself a ceremony's, and comes with the key", path.display()),
            hint: "--srs FILE names a ceremony's file that you have from somewhere else",
        });
    }
    Ok(string)
}

/// What an audit found, in words.
pub(crate) fn text(audit: &Audit) -> String {
    let mut text = format!("{}: the key is this model's\n", audit.model);
    text += &line("proves", &format!("that this network gave the output: {}", layers_text(&audit.layers)));
    if audit.inferences > 1 {
        text += &line("inputs", &format!("{} in a proof, as the first axis counts them", audit.inferences));
    }
    if let Some(segments) = audit.segments {
        text += &line("segments", &format!("{segments}, tied by commitments to what lies between them"));
    }
    text += &line("parameters", &format!("{} learned values", audit.parameters));
    text += &line("weights", &audit.weights);
    if let Some(AuditedFile { name, digest, not_zero: [own, kept], measured, .. }) = &audit.file {
        let name = name.escape_debug();
        text += &line("file", &format!("the weights are {name}'s ({}), rounded by the key's scales", short(digest)));
        text += &line("", &format!("{kept} of them are not 0, {own} in the file"));
        let error = match measured {
            Some(Measured { samples, max_error, saturated, .. }) => format!(
                "at most {:.2} % of the output's range on {}, {:.2} % of a tensor's values beyond its scale",
                100.0 * max_error,
                report::plural(*samples, "sample"),
                100.0 * saturated
            ),
            None => "not measured: the input is hidden, and no samples are given (--samples)".into(),
        };
        text += &line("float model", &error);
    }
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
