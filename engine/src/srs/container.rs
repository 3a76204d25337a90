//! Files of ours: a reference string that was checked and prepared, with the mark of a development string.
//!
//! The container of `zkml_gpu_files` with the sections `head` (k, then flags of which bit 0 is that mark, a word each),
//! `powers` and `lagrange` (2^k points of G1 each) and `g2` (the generator and `[s]G2`). Points are uncompressed, as in
//! Halo2's raw parameters.
//!
//! The digests tell damage. They do not make the file trusted: its points are checked as any other file's, and so the
//! mark is all that it can lie about, as every file can that has none.

use std::io::{self, Seek, Write};

use halo2curves::bn256::G1Affine;
use halo2curves::serde::SerdeObject;
use zkml_gpu_files::container::{ContainerError, Kind, SectionName, Writer};

use super::layout::{Domain, FileKind, Layout, Order};
use super::source::{At, Form, Run, Source};
use super::{Srs, SrsError};

/// The kind of file.
pub(super) const KIND: Kind = Kind { magic: *b"zkmlgpuS", version: 1, what: "a reference string of zkml-gpu" };

const HEAD: SectionName = *b"head\0\0\0\0";
const POWERS: SectionName = *b"powers\0\0";
const LAGRANGE: SectionName = *b"lagrange";
const G2: SectionName = *b"g2\0\0\0\0\0\0";

/// Bytes of the head: two words.
const HEAD_BYTES: u64 = 8;
/// The flag of a string whose secret was drawn on one machine.
const INSECURE: u32 = 1;
const DAMAGED: &str = "the file is damaged; make it again";

pub(super) fn layout(source: &mut Source) -> Result<Layout, SrsError> {
    let mut container = source.container()?;
    let head = container.section(HEAD, HEAD_BYTES).map_err(|error| source.damaged(error))?;
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
    if head.len() as u64 != HEAD_BYTES {
        let expected = format!("{HEAD_BYTES} bytes");
        return Err(source.malformed("section 'head'", format!("{} bytes", head.len()), expected, DAMAGED));
    }
    let (k, flags) = (word(&head[..4]), word(&head[4..]));
    if !Layout::is_power(k) {
        return Err(source.malformed("section 'head'", format!("power {k}"), "1 to 28".into(), DAMAGED));
    }
    // A flag that is not known could take from the string what makes it fit to be used.
    if flags & !INSECURE != 0 {
        let hint = "a later version of this program wrote it: use that one";
        return Err(source.malformed("section 'head'", format!("flags {flags}"), "0 or 1".into(), hint));
    }
    let count = 1u64 << k;
    let (powers, lagrange, g2) = ("section 'powers'", "section 'lagrange'", "section 'g2'");
    let points = count * Form::Raw.g1_bytes() as u64;
    for (name, place, expected) in
        [(POWERS, powers, points), (LAGRANGE, lagrange, points), (G2, g2, 2 * Form::Raw.g2_bytes() as u64)]
    {
        let len = container.section_len(name).map_err(|error| source.damaged(error))?;
        if len != expected {
            return Err(source.malformed(place, format!("{len} bytes"), format!("{expected} bytes"), DAMAGED));
        }
    }
    let run = |name, place| Run { at: At::Section(name), form: Form::Raw, count, place };
    Ok(Layout {
        kind: FileKind::Ours,
        k,
        insecure: flags & INSECURE != 0,
        contributions: None,
        powers: run(POWERS, powers),
        domains: vec![Domain { k, run: run(LAGRANGE, lagrange), order: Order::Natural }],
        g2: (At::Section(G2), Form::Raw, g2),
    })
}

/// Writes the file; its digest.
pub(super) fn write(srs: &Srs, out: impl Write + Seek) -> Result<[u8; 32], ContainerError> {
    let mut writer = Writer::new(out, KIND, &[HEAD, POWERS, LAGRANGE, G2])?;
    let flags = if srs.is_insecure() { INSECURE } else { 0 };
    writer.section([srs.k().to_le_bytes(), flags.to_le_bytes()].concat().as_slice())?;
    writer.section_with(|out| write_points(srs.g(), out))?;
    writer.section_with(|out| write_points(srs.lagrange(), out))?;
    writer.section([srs.g2().to_raw_bytes(), srs.s_g2().to_raw_bytes()].concat().as_slice())?;
    writer.finish()
}

/// Points that are written at a time: a megabyte.
const WRITTEN_POINTS: usize = 1 << 14;

fn write_points(points: &[G1Affine], out: &mut dyn Write) -> io::Result<()> {
    points.chunks(WRITTEN_POINTS).try_for_each(|points| {
        let bytes: Vec<u8> = points.iter().flat_map(SerdeObject::to_raw_bytes).collect();
        out.write_all(&bytes)
    })
}
