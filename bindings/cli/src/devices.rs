//! `zkml-gpu devices`.

use std::fmt::Write as _;

use zkml_gpu::{Device, devices as found};

#[cfg(feature = "cuda")]
use crate::args::CompileKernelsOptions;
use crate::args::DevicesOptions;
use crate::report;

pub(crate) fn devices(options: &DevicesOptions) -> anyhow::Result<u8> {
    let found = found();
    if options.json {
        report::print_json(&found)?
    } else {
        report::print(&found.iter().map(text).collect::<String>())?
    }
    Ok(0)
}

#[cfg(feature = "cuda")]
pub(crate) fn compile_kernels(options: &CompileKernelsOptions) -> anyhow::Result<u8> {
    zkml_gpu::compile_cuda_kernels(options.architecture.0, &options.folder)?;
    Ok(0)
}

/// A line for the device, one for its limits, one for what keeps it from being used.
fn text(device: &Device) -> String {
    let argument = match device.index {
        Some(index) => format!("{}:{index}", device.backend),
        None => device.backend.to_owned(),
    };
    let state = if device.available { "" } else { "not available" };
    let words = [device.name.as_str(), state].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>();
    let mut text = format!("{argument:<8} {}\n", report::terminal_safe(&words.join(", ")));
    if let Some(limits) = &device.limits {
        let mib = |bytes: u64| bytes >> 20;
        let (buffer, binding) = (mib(limits.buffer_bytes), mib(limits.binding_bytes));
        // Nothing fails in writing to a string.
        let _ = writeln!(text, "         vectors of {buffer} MiB, {binding} MiB at a time");
    }
    if let Some(reason) = &device.reason {
        for line in reason.lines() {
            let _ = writeln!(text, "         {}", report::terminal_safe(line));
        }
    }
    text
}
