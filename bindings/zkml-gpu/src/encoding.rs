//! Graphs, layouts and points as bytes: the same on machines of any word size and byte order.
//!
//! Structures are postcard (<https://postcard.jamesmunns.com/wire-format>) in an LZ4 frame. Points and field elements
//! are as halo2curves has them in memory, limbs in Montgomery form, little-endian: nothing is computed when they are
//! read.

use std::io::{self, Read, Seek, Write};

use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::serde::SerdeObject;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zkml_gpu_files::container::{Container, ContainerError, SectionName};

use crate::available_bytes;

/// Bytes of a point: two coordinates.
pub(crate) const POINT_BYTES: usize = 64;
/// Bytes of a field element.
pub(crate) const ELEMENT_BYTES: usize = 32;
/// An LZ4 block's bytes expand to no more than 255 each; a frame has little beside its blocks.
const MOST_EXPANSION: u64 = 255;
/// Bytes of memory that a byte of a structure may become: a cell of a layout is three bytes or more here and two dozen
/// there.
const MEMORY_PER_BYTE: u64 = 24;
/// Points that are converted at a time before they are written.
const POINTS_AT_ONCE: usize = 1 << 14;

/// Writes a structure.
pub(crate) fn write<T: Serialize>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    let bytes = postcard::to_allocvec(value).map_err(invalid)?;
    let mut frame = FrameEncoder::new(out);
    frame.write_all(&bytes)?;
    frame.finish().map_err(invalid)?;
    Ok(())
}

/// The most bytes of a structure that memory is enough for.
pub(crate) fn limit() -> u64 {
    available_bytes().map_or(u64::MAX, |available| available / MEMORY_PER_BYTE)
}

/// Reads a structure of at most `limit` bytes, of which nothing but its own bytes may be there.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8], limit: u64) -> io::Result<T> {
    let most = (bytes.len() as u64).saturating_mul(MOST_EXPANSION).min(limit);
    let mut plain = Vec::new();
    FrameDecoder::new(bytes).take(most.saturating_add(1)).read_to_end(&mut plain)?;
    if plain.len() as u64 > most {
        return Err(invalid(format!("more than {most} bytes of structure, which memory is not enough for")));
    }
    match postcard::take_from_bytes(&plain).map_err(invalid)? {
        (value, []) => Ok(value),
        (_, rest) => Err(invalid(format!("{} bytes too many", rest.len()))),
    }
}

/// Writes points.
pub(crate) fn write_points(points: &[G1Affine], out: &mut dyn Write) -> io::Result<()> {
    for chunk in points.chunks(POINTS_AT_ONCE) {
        let bytes: Vec<u8> = chunk.iter().flat_map(G1Affine::to_raw_bytes).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// The points of a section, of which there are `2^k`.
pub(crate) fn point_section<R: Read + Seek>(
    container: &mut Container<R>,
    name: SectionName,
    k: u32,
) -> Result<Vec<G1Affine>, ContainerError> {
    let n = 1usize << k;
    if container.section_len(name)? != (n * POINT_BYTES) as u64 {
        return Err(ContainerError::Damaged("the reference string does not fit the circuit".into()));
    }
    let mut points = Vec::with_capacity(n);
    container.chunks(name, POINT_BYTES, |bytes| {
        read_points(bytes, &mut points);
        Ok(())
    })?;
    Ok(points)
}

/// Appends the points of some bytes, a whole number of them. Whether they are on the curve is not looked at: a digest
/// tells that they are those that were written.
pub(crate) fn read_points(bytes: &[u8], points: &mut Vec<G1Affine>) {
    points.par_extend(bytes.par_chunks_exact(POINT_BYTES).map(G1Affine::from_raw_bytes_unchecked));
}

/// Writes field elements.
pub(crate) fn write_elements(elements: &[Fr], out: &mut dyn Write) -> io::Result<()> {
    elements.iter().try_for_each(|element| out.write_all(&element.to_raw_bytes()))
}

/// Field elements of some bytes; `None` where a number is not below the modulus, or is cut.
pub(crate) fn read_elements(bytes: &[u8]) -> Option<Vec<Fr>> {
    if !bytes.len().is_multiple_of(ELEMENT_BYTES) {
        return None;
    }
    bytes.chunks_exact(ELEMENT_BYTES).map(Fr::from_raw_bytes).collect()
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use group::prime::PrimeCurveAffine;

    use super::*;

    /// Of an LZ4 frame.
    const END_MARK_BYTES: usize = 4;

    #[test]
    fn structures_come_back_and_nothing_may_follow() {
        let value = (vec![-1i64, 0, 1 << 40], "x".to_string(), usize::MAX >> 32);
        let mut bytes = Vec::new();
        write(&value, &mut bytes).unwrap();
        assert_eq!(read::<(Vec<i64>, String, usize)>(&bytes, u64::MAX).unwrap(), value);
        assert!(read::<(Vec<i64>, String)>(&bytes, u64::MAX).is_err(), "bytes too many");
        for len in 0..bytes.len() {
            // Where no more than the frame's end mark is missing, all is there.
            let cut = read::<(Vec<i64>, String, usize)>(&bytes[..len], u64::MAX);
            assert!(cut.is_err() || len + END_MARK_BYTES >= bytes.len() && cut.unwrap() == value, "{len} bytes");
        }
    }

    #[test]
    fn points_and_elements_come_back() {
        let points = vec![G1Affine::generator(), G1Affine::identity()];
        let mut bytes = Vec::new();
        write_points(&points, &mut bytes).unwrap();
        let mut read = Vec::new();
        read_points(&bytes, &mut read);
        assert_eq!((bytes.len(), &read), (points.len() * POINT_BYTES, &points));

        let elements = vec![Fr::ZERO, -Fr::ONE];
        let mut bytes = Vec::new();
        write_elements(&elements, &mut bytes).unwrap();
        assert_eq!(read_elements(&bytes), Some(elements));
        assert_eq!(read_elements(&bytes[1..]), None);
        assert_eq!(read_elements(&[0xff; ELEMENT_BYTES]), None);
    }
}
