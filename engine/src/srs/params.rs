//! Parameters files of Halo2: `ParamsKZG::write` and `write_custom`.
//!
//! Four bytes of k, little-endian; `2^k` powers; `2^k` Lagrange points; the generator of G2; `[s]G2`. Points are
//! uncompressed with coordinates in Montgomery form, or compressed (`SerdeFormat::Processed`); the file's size tells
//! which.

use super::SrsError;
use super::layout::{Domain, FileKind, Layout, Order};
use super::source::{At, Form, Run, Source};

const HEADER: u64 = 4;

pub(super) fn layout(source: &mut Source) -> Result<Layout, SrsError> {
    let unrecognised =
        |source: &Source, problem: String| SrsError::Unrecognised { path: source.path().into(), problem };
    if source.len() < HEADER {
        return Err(unrecognised(source, format!("only {} bytes", source.len())));
    }
    let k = source.u32_at(0, "k")?;
    if !Layout::is_power(k) {
        return Err(unrecognised(source, format!("as Halo2 parameters, its k would be {k}")));
    }
    let count = 1u64 << k;
    let total = |form: Form| HEADER + 2 * (form.g1_bytes() as u64 * count + form.g2_bytes() as u64);
    let Some(form) = [Form::Raw, Form::Compressed].into_iter().find(|form| source.len() == total(*form)) else {
        let problem = format!("as Halo2 parameters of k = {k}, {} bytes is the wrong size", source.len());
        return Err(unrecognised(source, problem));
    };
    let run = |points: u64, place| Run { at: at(form, points), form, count, place };
    let lagrange = Domain { k, run: run(count, "Lagrange points"), order: Order::Natural };
    Ok(Layout {
        kind: FileKind::Halo2,
        k,
        insecure: false,
        contributions: None,
        powers: run(0, "powers of G1"),
        domains: vec![lagrange],
        g2: (at(form, 2 * count), form, "powers of G2"),
    })
}

/// After so many points of G1.
fn at(form: Form, points: u64) -> At {
    At::Offset(HEADER + points * form.g1_bytes() as u64)
}
