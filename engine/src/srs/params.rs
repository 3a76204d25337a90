//! Parameters files of Halo2: `ParamsKZG::write` and `write_custom`.
//!
//! Four bytes of k, little-endian; `2^k` powers; `2^k` Lagrange points; the generator of G2; `[s]G2`. Points are
//! uncompressed with coordinates in Montgomery form, or compressed (`SerdeFormat::Processed`); the file's size tells
//! which.

use super::source::{G1_BYTES, G2_BYTES, Source};
use super::{MAX_K, Points, SrsError};
use crate::encoding::{decompress_g1, decompress_g2};

const HEADER: u64 = 4;

pub(super) fn read(source: &mut Source, k: u32) -> Result<Points, SrsError> {
    let unrecognised =
        |source: &Source, problem: String| SrsError::Unrecognised { path: source.path().into(), problem };
    if source.len() < HEADER {
        return Err(unrecognised(source, format!("only {} bytes", source.len())));
    }
    let file_k = source.u32_at(0, "k")?;
    if !(1..=MAX_K).contains(&file_k) {
        return Err(unrecognised(source, format!("as Halo2 parameters, its k would be {file_k}")));
    }
    let total = |g1: usize, g2: usize| HEADER + 2 * (g1 as u64 * (1 << file_k) + g2 as u64);
    let compressed = source.len() == total(G1_BYTES / 2, G2_BYTES / 2);
    if !compressed && source.len() != total(G1_BYTES, G2_BYTES) {
        let problem = format!("as Halo2 parameters of k = {file_k}, {} bytes is the wrong size", source.len());
        return Err(unrecognised(source, problem));
    }
    if file_k < k {
        return Err(SrsError::TooSmall { path: source.path().into(), found: file_k, needed: k });
    }
    if compressed { read_compressed(source, file_k, k) } else { read_raw(source, file_k, k) }
}

fn read_raw(source: &mut Source, file_k: u32, k: u32) -> Result<Points, SrsError> {
    let points = |count: u64| count * G1_BYTES as u64;
    let (n, file_n) = (1usize << k, 1u64 << file_k);
    let g = source.g1_at(HEADER, n, "powers of G1")?;
    let lagrange = if file_k == k { Some(source.g1_at(HEADER + points(file_n), n, "Lagrange points")?) } else { None };
    let g2 = source.g2_at(HEADER + points(2 * file_n), 2, "powers of G2")?;
    Ok(Points { g, lagrange, g2: g2[0], s_g2: g2[1] })
}

fn read_compressed(source: &mut Source, file_k: u32, k: u32) -> Result<Points, SrsError> {
    let size = G1_BYTES / 2;
    let (n, file_n) = (1usize << k, 1u64 << file_k);
    let g1 = |source: &mut Source, first: u64, place| {
        let bytes = source.read_at(HEADER + first * size as u64, n * size, place)?;
        source.decode(&bytes, size, place, |bytes| decompress_g1(bytes.try_into().ok()?).ok())
    };
    let g = g1(source, 0, "powers of G1")?;
    let lagrange = if file_k == k { Some(g1(source, file_n, "Lagrange points")?) } else { None };
    let bytes = source.read_at(HEADER + 2 * file_n * size as u64, G2_BYTES, "powers of G2")?;
    let g2 = source.decode(&bytes, G2_BYTES / 2, "powers of G2", |bytes| decompress_g2(bytes.try_into().ok()?).ok())?;
    Ok(Points { g, lagrange, g2: g2[0], s_g2: g2[1] })
}
