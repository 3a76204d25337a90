//! Names of back ends, as a proof may carry them: for the record only, since all make the same proofs.

/// Whether a proof may say that this back end made it: `cpu`, `wgpu:N`, `cuda:N`, `icicle`, or `dual:A,B` of two of
/// them.
///
/// Whatever back ends this program was built with: proofs come from elsewhere.
pub fn is_backend(name: &str) -> bool {
    match name.strip_prefix("dual:").and_then(|pair| pair.split_once(',')) {
        Some((left, right)) => is_single(left) && is_single(right),
        None => is_single(name) && name != "auto",
    }
}

fn is_single(name: &str) -> bool {
    let is_index = |index: &str| !index.starts_with('+') && index.parse::<u32>().is_ok();
    match name.split_once(':') {
        Some((kind, index)) => matches!(kind, "wgpu" | "cuda") && is_index(index),
        None => matches!(name, "auto" | "cpu" | "wgpu" | "cuda" | "icicle"),
    }
}
