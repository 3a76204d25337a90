//! `.ptau` files of snarkjs.
//!
//! Magic `ptau`, version 1, number of sections, then sections of (id: u32, size: u64, data), all little-endian. Section
//! 1 is the header (bytes of a coordinate, the base field's prime, the file's power); section 2 holds `2^(power+1) - 1`
//! points `[τ^i]G1`; section 3 `2^power` points `[τ^i]G2`; section 7 the number of contributions and then what they
//! are; section 12, in files prepared for phase 2, the Lagrange points of every domain from size 1 to `2^(power+1)`,
//! one after the other. Points are uncompressed, coordinates in Montgomery form.
//!
//! snarkjs generates its domains with another root of unity than Halo2. The domain is the same set, so its
//! Lagrange points are the same in another order.

use ff::{Field, PrimeField};
use halo2curves::bn256::{Fq, Fr, G1Affine};

use super::layout::{Domain, FileKind, Layout, Order};
use super::source::{At, Form, G1_BYTES, G2_BYTES, Run, Source};
use super::{MAX_K, SrsError};
use crate::backend::root_of_unity;

/// First bytes of the file.
pub(super) const MAGIC: &[u8] = b"ptau";

const POWERS_G1: u32 = 2;
const POWERS_G2: u32 = 3;
const CONTRIBUTIONS: u32 = 7;
const LAGRANGE_G1: u32 = 12;
/// Real files have 7 or 11 sections.
const MAX_SECTIONS: u32 = 64;
const NOT_OURS: &str = "a .ptau file of snarkjs for bn128 (BN254) is needed";
/// snarkjs takes the least quadratic non-residue of the scalar field for its roots of unity.
const NON_RESIDUE: u64 = 5;

/// A section's place in the file.
#[derive(Clone, Copy)]
struct Section {
    id: u32,
    offset: u64,
    len: u64,
}

pub(super) fn layout(source: &mut Source) -> Result<Layout, SrsError> {
    let sections = sections(source)?;
    let power = power(source, &sections)?;
    let run = |section: Section, first: u64, count: u64, place| {
        let at = At::Offset(section.offset + first * G1_BYTES as u64);
        Run { at, form: Form::Raw, count, place }
    };
    let place = "section 2 (powers of G1)";
    let count = (2u64 << power) - 1;
    let powers = run(section(source, &sections, POWERS_G1, place, count * G1_BYTES as u64)?, 0, count, place);
    let place = "section 3 (powers of G2)";
    let g2 = section(source, &sections, POWERS_G2, place, G2_BYTES as u64 * (1 << power))?;
    let g2 = (At::Offset(g2.offset), Form::Raw, place);
    let mut domains = Vec::new();
    if sections.iter().any(|section| section.id == LAGRANGE_G1) {
        let place = "section 12 (Lagrange points of G1)";
        // Domains of size 1 to 2^(power + 1), of which the scalar field may lack the last.
        let section = section(source, &sections, LAGRANGE_G1, place, ((4u64 << power) - 1) * G1_BYTES as u64)?;
        domains.extend((0..=power + 1).filter(|k| *k <= MAX_K).map(|k| {
            let run = run(section, (1u64 << k) - 1, 1 << k, place);
            Domain { k, run, order: Order::Snarkjs }
        }));
    }
    let contributions = contributions(source, &sections)?;
    Ok(Layout { kind: FileKind::Ptau, k: power, insecure: false, contributions, powers, domains, g2 })
}

/// How many have contributed to the secret, where the file says so.
fn contributions(source: &mut Source, sections: &[Section]) -> Result<Option<u32>, SrsError> {
    match sections.iter().find(|section| section.id == CONTRIBUTIONS) {
        Some(section) if section.len >= 4 => source.u32_at(section.offset, "section 7 (contributions)").map(Some),
        _ => Ok(None),
    }
}

fn sections(source: &mut Source) -> Result<Vec<Section>, SrsError> {
    let version = source.u32_at(4, "version")?;
    if version != 1 {
        return Err(source.malformed("version", version.to_string(), "1".into(), NOT_OURS));
    }
    let count = source.u32_at(8, "number of sections")?;
    if count > MAX_SECTIONS {
        return Err(source.malformed(
            "number of sections",
            count.to_string(),
            format!("at most {MAX_SECTIONS}"),
            NOT_OURS,
        ));
    }
    let mut offset = 12u64;
    let mut sections = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let id = source.u32_at(offset, "section header")?;
        let len = source.u64_at(offset + 4, "section header")?;
        offset += 12;
        let end = offset.checked_add(len).filter(|end| *end <= source.len());
        let Some(end) = end else {
            let expected = format!("at most the {} bytes left in the file", source.len().saturating_sub(offset));
            return Err(source.malformed(
                "section size",
                len.to_string(),
                expected,
                "the file is truncated; fetch it again",
            ));
        };
        sections.push(Section { id, offset, len });
        offset = end;
    }
    if offset != source.len() {
        let (got, expected) = (format!("{} more bytes", source.len() - offset), "the end of the file".into());
        return Err(source.malformed("after the last section", got, expected, "fetch the file again"));
    }
    Ok(sections)
}

/// The one section with this id, which must have exactly `len` bytes.
fn section(source: &Source, sections: &[Section], id: u32, place: &'static str, len: u64) -> Result<Section, SrsError> {
    let mut found = sections.iter().filter(|section| section.id == id);
    match (found.next(), found.next()) {
        (Some(section), None) if section.len == len => Ok(*section),
        (Some(section), None) => {
            Err(source.malformed(place, format!("{} bytes", section.len), format!("{len} bytes"), NOT_OURS))
        }
        (first, _) => {
            let got = if first.is_none() { "none" } else { "several" };
            Err(source.malformed(place, got.into(), "one section".into(), NOT_OURS))
        }
    }
}

/// The header's power, once its field is known to be BN254's.
fn power(source: &mut Source, sections: &[Section]) -> Result<u32, SrsError> {
    let place = "section 1 (header)";
    let header = section(source, sections, 1, place, 4 + 32 + 8)?;
    let size = source.u32_at(header.offset, place)?;
    let prime = source.read_at(header.offset + 4, 32, place)?;
    // p - 1 is even, so only the lowest byte differs.
    let mut expected = (-Fq::ONE).to_repr();
    expected.as_mut()[0] += 1;
    if size != 32 || prime != expected.as_ref() {
        return Err(source.malformed(place, "another prime".into(), "the base field of BN254".into(), NOT_OURS));
    }
    let power = source.u32_at(header.offset + 36, place)?;
    if !Layout::is_power(power) {
        return Err(source.malformed(place, format!("power {power}"), format!("1 to {MAX_K}"), NOT_OURS));
    }
    Ok(power)
}

/// The root of unity that counts a domain of size 2^k in snarkjs.
pub(super) fn root(k: u32) -> Fr {
    Fr::from(NON_RESIDUE).pow_vartime(odd_part()).pow_vartime([1u64 << (Fr::S - k)])
}

/// Lagrange points of the domain of size 2^k in Halo2's order, from that of snarkjs.
pub(super) fn reorder(points: Vec<G1Affine>, k: u32) -> Result<Vec<G1Affine>, SrsError> {
    let step = step(k).ok_or(SrsError::UnsupportedSize { k })?;
    let mut ordered = points.clone();
    for (j, point) in points.into_iter().enumerate() {
        ordered[j * step % (1 << k)] = point;
    }
    Ok(ordered)
}

/// The odd `e` with `ω_snarkjs = ω_halo2^e` in the domain of size 2^k.
fn step(k: u32) -> Option<usize> {
    let (theirs, ours) = (root(k), root_of_unity(k)?);
    std::iter::successors(Some(Fr::ONE), |power| Some(power * ours)).take(1 << k).position(|power| power == theirs)
}

/// `(p - 1)/2^28` of the scalar field, little-endian limbs.
fn odd_part() -> [u64; 4] {
    let repr = (-Fr::ONE).to_repr();
    let mut limbs = [0u64; 4];
    for (limb, bytes) in limbs.iter_mut().zip(repr.as_ref().chunks_exact(8)) {
        *limb = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    }
    let shifted = |i: usize| limbs[i] >> Fr::S | limbs.get(i + 1).map_or(0, |next| next << (64 - Fr::S));
    [shifted(0), shifted(1), shifted(2), shifted(3)]
}
