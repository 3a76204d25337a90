use std::path::PathBuf;

use ff::Field;
use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::EvaluationDomain;
use halo2_proofs::poly::commitment::{Blind, Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::Fr;
use halo2curves::serde::SerdeObject;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

fn data(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/srs")).join(name)
}

/// A file of the test's own, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("zkml-gpu-srs-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).expect("write scratch file");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What reading `bytes` as a file answers.
fn read(name: &str, bytes: &[u8], k: u32) -> Result<Srs, SrsError> {
    Srs::read(&Scratch::new(name, bytes).0, k)
}

fn refusal(name: &str, bytes: &[u8], k: u32) -> String {
    let message = read(name, bytes, k).expect_err("must be refused").to_string();
    assert!(message.contains("hint:") && message.contains(name), "{message}");
    message
}

fn assert_commits_alike(srs: &Srs) {
    let domain = EvaluationDomain::<Fr>::new(1, srs.k());
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let values = domain.lagrange_from_vec((0..1 << srs.k()).map(|_| Fr::random(&mut rng)).collect());
    let by_values = srs.params().commit_lagrange(&values, Blind::default());
    let by_coefficients = srs.params().commit(&domain.lagrange_to_coeff(values), Blind::default());
    assert_eq!(by_values, by_coefficients);
    assert_eq!(srs.g().len(), 1 << srs.k());
    assert_eq!(srs.params().get_g(), srs.g());
}

#[test]
fn development_reference_strings_are_consistent_and_marked_insecure() {
    for k in [1, 2, 5, 10] {
        let srs = Srs::development(k, ChaCha20Rng::seed_from_u64(k.into())).expect("development");
        assert!(srs.is_insecure());
        assert_commits_alike(&srs);
        assert_eq!(lagrange::from_powers(srs.g(), k), srs.lagrange());
    }
}

#[test]
fn development_reference_strings_are_those_of_halo2() {
    let seed = || ChaCha20Rng::seed_from_u64(3);
    let (ours, stock) = (Srs::development(4, seed()).expect("development"), ParamsKZG::<Bn256>::setup(4, seed()));
    assert_eq!(ours.g(), stock.get_g());
    assert_eq!((ours.g2(), ours.s_g2()), (stock.g2(), stock.s_g2()));
}

#[test]
fn impossible_sizes_are_refused() {
    for k in [0, 29, u32::MAX] {
        assert!(matches!(Srs::development(k, OsRng), Err(SrsError::UnsupportedSize { .. })));
        assert!(matches!(Srs::read(data("prepared_k4.ptau"), k), Err(SrsError::UnsupportedSize { .. })));
    }
}

#[test]
fn ceremony_files_are_read_and_truncated() {
    for k in 1..=4 {
        let prepared = Srs::read(data("prepared_k4.ptau"), k).expect("prepared file");
        let contributed = Srs::read(data("contributed_k4.ptau"), k).expect("contributed file");
        assert!(!prepared.is_insecure());
        assert_commits_alike(&prepared);
        assert_eq!(prepared.g(), contributed.g());
        // The one reads its Lagrange points from section 12, the other computes them.
        assert_eq!(prepared.lagrange(), contributed.lagrange());
    }
}

#[test]
fn ceremony_files_that_are_too_small_are_refused() {
    let message = Srs::read(data("contributed_k4.ptau"), 5).expect_err("too small").to_string();
    assert!(message.contains("2^4") && message.contains("2^5") && message.contains("hint:"), "{message}");
}

#[test]
fn a_ceremony_without_contribution_is_refused() {
    // Every point is the generator: the secret is 1.
    let mut bytes = std::fs::read(data("contributed_k4.ptau")).expect("test data");
    let (first_g1, first_g2) = (bytes[80..144].to_vec(), bytes[2076..2204].to_vec());
    bytes[80..80 + 31 * 64].chunks_exact_mut(64).for_each(|point| point.copy_from_slice(&first_g1));
    bytes[2076..2076 + 16 * 128].chunks_exact_mut(128).for_each(|point| point.copy_from_slice(&first_g2));
    assert!(refusal("uncontributed", &bytes, 4).contains("nobody has contributed"));
}

#[test]
fn tampered_points_are_refused() {
    let original = std::fs::read(data("prepared_k4.ptau")).expect("test data");
    // (offset, size) of the points that are used: powers of G1, [s]G2, Lagrange points of k = 4.
    let points: Vec<(usize, usize)> = (0..16)
        .map(|i| (80 + 64 * i, 64))
        .chain((0..2).map(|i| (2076 + 128 * i, 128)))
        .chain((0..16).map(|i| (7922 + 64 * (15 + i), 64)))
        .collect();
    assert!(read("untouched", &original, 4).is_ok());
    for (offset, size) in points {
        let mut flipped = original.clone();
        flipped[offset] ^= 1;
        assert!(refusal("flipped", &flipped, 4).contains("not a valid point"));
        let mut zeroed = original.clone();
        zeroed[offset..offset + size].fill(0);
        assert!(refusal("zeroed", &zeroed, 4).contains("not a valid point"));
        let mut overflowing = original.clone();
        overflowing[offset..offset + 32].fill(0xff);
        assert!(refusal("overflowing", &overflowing, 4).contains("not a valid point"));
    }
}

#[test]
fn points_of_another_secret_are_refused() {
    let original = std::fs::read(data("prepared_k4.ptau")).expect("test data");
    let other = Srs::development(4, ChaCha20Rng::seed_from_u64(1)).expect("development");
    for i in 1..16 {
        let mut changed = original.clone();
        changed[80 + 64 * i..144 + 64 * i].copy_from_slice(&other.g()[i].to_raw_bytes());
        assert!(refusal("power", &changed, 4).contains("consecutive powers"));
    }
    let mut changed = original.clone();
    changed[2204..2332].copy_from_slice(&other.s_g2().to_raw_bytes());
    assert!(refusal("g2", &changed, 4).contains("consecutive powers"));
    for i in 0..16 {
        let mut changed = original.clone();
        let offset = 7922 + 64 * (15 + i);
        changed[offset..offset + 64].copy_from_slice(&other.lagrange()[i].to_raw_bytes());
        assert!(refusal("lagrange", &changed, 4).contains("Lagrange points"));
    }
}

#[test]
fn malformed_headers_are_refused() {
    let original = std::fs::read(data("prepared_k4.ptau")).expect("test data");
    // Version, number of sections, a section's size, bytes of a coordinate, the prime, the power.
    for (offset, value) in
        [(4, 2), (8, 200), (8, 2), (16, 43), (22, 0xff), (24, 31), (30, 1), (60, 0), (60, 99), (60, 3)]
    {
        let mut changed = original.clone();
        changed[offset] = value;
        refusal("header", &changed, 3);
    }
    // Section 4 (points that KZG does not use) called section 2, which is there already.
    let mut duplicate = original.clone();
    let mut offset = 12;
    while duplicate[offset] != 4 {
        let len = u64::from_le_bytes(duplicate[offset + 4..offset + 12].try_into().expect("eight bytes"));
        offset += 12 + usize::try_from(len).expect("a small file");
    }
    duplicate[offset] = 2;
    assert!(refusal("duplicate", &duplicate, 3).contains("several"));
}

#[test]
fn every_truncation_is_refused() {
    let original = std::fs::read(data("contributed_k4.ptau")).expect("test data");
    for len in (0..original.len()).step_by(97) {
        refusal("truncated", &original[..len], 4);
    }
}

#[test]
fn halo2_parameters_are_read_in_every_format() {
    let stock = ParamsKZG::<Bn256>::setup(5, ChaCha20Rng::seed_from_u64(2));
    for format in [SerdeFormat::Processed, SerdeFormat::RawBytes, SerdeFormat::RawBytesUnchecked] {
        let mut bytes = vec![];
        stock.write_custom(&mut bytes, format).expect("write parameters");
        for k in 1..=5 {
            let srs = read("params", &bytes, k).expect("parameters file");
            assert_eq!(srs.g(), &stock.get_g()[..1 << k]);
            assert_commits_alike(&srs);
        }
        assert!(refusal("params", &bytes, 6).contains("2^6"));
        bytes.push(0);
        assert!(refusal("longer", &bytes, 5).contains("wrong size"));
    }
}

#[test]
fn tampered_halo2_parameters_are_refused() {
    let stock = ParamsKZG::<Bn256>::setup(3, ChaCha20Rng::seed_from_u64(2));
    for (format, size) in [(SerdeFormat::Processed, 32), (SerdeFormat::RawBytes, 64)] {
        let mut bytes = vec![];
        stock.write_custom(&mut bytes, format).expect("write parameters");
        for i in 0..16 {
            let (start, other) = (4 + size * i, 4 + size * ((i + 1) % 16));
            let mut changed = bytes.clone();
            changed.copy_within(other..other + size, start);
            refusal("swapped", &changed, 3);
        }
    }
}

#[test]
fn compressed_points_have_one_encoding() {
    let stock = ParamsKZG::<Bn256>::setup(3, ChaCha20Rng::seed_from_u64(2));
    let mut bytes = vec![];
    stock.write_custom(&mut bytes, SerdeFormat::Processed).expect("write parameters");
    assert!(read("untouched", &bytes, 3).is_ok());
    // The flag of the identity on another point, which the curve library ignores.
    for last in (4 + 31..4 + 32 * 16).step_by(32).chain([4 + 32 * 16 + 63, 4 + 32 * 16 + 127]) {
        let mut flagged = bytes.clone();
        flagged[last] ^= 0x80;
        assert!(refusal("flagged", &flagged, 3).contains("not a valid point"), "byte {last}");
    }
    // A coordinate of the twist that is not reduced, over which it panics.
    for start in [0, 32, 64, 96].map(|offset| 4 + 32 * 16 + offset) {
        let mut overflowing = bytes.clone();
        overflowing[start..start + 31].fill(0xff);
        overflowing[start + 31] = 0x3f;
        assert!(refusal("overflowing", &overflowing, 3).contains("not a valid point"), "byte {start}");
    }
}

#[test]
fn points_outside_the_group_are_refused() {
    let stock = ParamsKZG::<Bn256>::setup(3, ChaCha20Rng::seed_from_u64(2));
    let mut bytes = vec![];
    stock.write_custom(&mut bytes, SerdeFormat::Processed).expect("write parameters");
    let start = 4 + 32 * 16 + 64;
    let outside = (0..=255u8).filter(|abscissa| {
        let mut point = [0; 64];
        point[0] = *abscissa;
        bytes[start..start + 64].copy_from_slice(&point);
        assert!(refusal("outside", &bytes, 3).contains("not a valid point"));
        crate::encoding::decompress_g2(&point) == Err(crate::encoding::PointError::Group)
    });
    assert!(outside.count() > 10, "no point of the twist outside the group was tried");
}

#[test]
fn bytes_after_the_last_section_are_refused() {
    let mut bytes = std::fs::read(data("prepared_k4.ptau")).expect("test data");
    bytes.push(0);
    assert!(refusal("longer", &bytes, 4).contains("after the last section"));
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let message = Srs::read("/dev/zero", 4).expect_err("a device").to_string();
    assert!(message.contains("/dev/zero") && message.contains("hint:"), "{message}");
}

#[test]
fn files_of_another_kind_are_refused() {
    for bytes in [&b""[..], b"ptau", b"\x7fELF\x02\x01\x01\0\0\0\0\0", b"{\"input_data\": [[0.1]]}"] {
        refusal("other", bytes, 4);
    }
    assert!(matches!(Srs::read(data("absent.ptau"), 4), Err(SrsError::Io { .. })));
    assert!(matches!(Srs::read(data(""), 4), Err(SrsError::Unrecognised { .. } | SrsError::Io { .. })));
}
