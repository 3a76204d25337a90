use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use ff::Field;
use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::EvaluationDomain;
use halo2_proofs::poly::commitment::{Blind, Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::Fr;
use halo2curves::serde::SerdeObject;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::source::{CHUNK_POINTS, Source};
use super::*;

fn data(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/srs")).join(name)
}

/// A file of the test's own, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        // Tests that run at once have files of the same name.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("zkml-gpu-srs-{process}-{count}-{name}"));
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
        .chain((0..16).map(|i| (7910 + 64 * (15 + i), 64)))
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
        let offset = 7910 + 64 * (15 + i);
        changed[offset..offset + 64].copy_from_slice(&other.lagrange()[i].to_raw_bytes());
        assert!(refusal("lagrange", &changed, 4).contains("Lagrange points do not belong"));
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

/// A file of ours, of 2^k powers.
fn written(srs: &Srs) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    srs.write(&mut file).expect("write to memory");
    file.into_inner()
}

fn seeded(k: u32) -> Srs {
    Srs::development(k, ChaCha20Rng::seed_from_u64(5)).expect("development")
}

/// What checking `bytes` as a file answers, by pieces of so many points.
fn checked(name: &str, bytes: &[u8], chunk_points: usize) -> Result<FileInfo, SrsError> {
    let scratch = Scratch::new(name, bytes);
    file::check_source(&mut Source::open(&scratch.0)?.in_chunks_of(chunk_points), |_| ())
}

fn check_refusal(name: &str, bytes: &[u8]) -> String {
    let message = checked(name, bytes, CHUNK_POINTS).expect_err("must be refused").to_string();
    assert!(message.contains("hint:") && message.contains(name), "{message}");
    message
}

/// A file's name and bytes, and the offsets and sizes of all points that a check looks at.
type Example = (&'static str, Vec<u8>, Vec<(usize, usize)>);

/// Every kind of file.
fn files() -> Vec<Example> {
    let run = |start: usize, size: usize, count: usize| (0..count).map(move |i| (start + size * i, size));
    let read = |name| std::fs::read(data(name)).expect("test data");
    let stock = |format| {
        let mut bytes = vec![];
        ParamsKZG::<Bn256>::setup(3, ChaCha20Rng::seed_from_u64(2)).write_custom(&mut bytes, format).expect("write");
        bytes
    };
    let ours = written(&seeded(3));
    let first = ours.len() - (16 * 64 + 2 * 128);
    let ceremony = || run(80, 64, 31).chain(run(2076, 128, 2));
    vec![
        ("contributed", read("contributed_k4.ptau"), ceremony().collect()),
        ("prepared", read("prepared_k4.ptau"), ceremony().chain(run(7910, 64, 63)).collect()),
        ("raw", stock(SerdeFormat::RawBytes), run(4, 64, 16).chain(run(4 + 64 * 16, 128, 2)).collect()),
        ("compressed", stock(SerdeFormat::Processed), run(4, 32, 16).chain(run(4 + 32 * 16, 64, 2)).collect()),
        ("ours", ours, run(first, 64, 16).chain(run(first + 64 * 16, 128, 2)).collect()),
    ]
}

#[test]
fn whole_files_are_checked_whatever_the_pieces() {
    for (name, bytes, _) in files() {
        let info = checked(name, &bytes, CHUNK_POINTS).expect(name);
        for chunk_points in [1, 2, 3, 5, 7, 8, 15, 16, 17, 30, 31, 32] {
            assert_eq!(checked(name, &bytes, chunk_points).expect(name), info, "{name}, {chunk_points} points");
        }
        let scratch = Scratch::new(name, &bytes);
        assert_eq!(inspect(&scratch.0).expect(name), info);
        assert_eq!(Srs::identify(&scratch.0).expect(name), info.identity);
        assert_eq!(Srs::read(&scratch.0, 2).expect(name).identity(), info.identity, "it is that of every length");
    }
}

/// Points of a run are swapped with others that are valid, so that only the equations can tell; whichever piece they
/// are in, and at its borders.
#[test]
fn every_point_of_a_file_counts() {
    for (name, bytes, points) in files() {
        for (i, &(offset, size)) in points.iter().enumerate() {
            let mut invalid = bytes.clone();
            invalid[offset..offset + size].fill(0xff);
            let message = check_refusal(name, &invalid);
            // A file of ours is damaged before its points of G2 are looked at: that section comes whole.
            let expected = if name == "ours" && size == 128 { "damaged" } else { "not a valid point" };
            assert!(message.contains(expected), "{name}, point {i}: {message}");
            let same_size = || points.iter().filter(|(_, other)| *other == size);
            let differs = |other: &&(usize, usize)| bytes[other.0..other.0 + size] != bytes[offset..offset + size];
            let Some(&(other, _)) = same_size().rev().find(differs) else { panic!("{name} has one point only") };
            let mut swapped = bytes.clone();
            swapped.copy_within(other..other + size, offset);
            for chunk_points in [1, 4, 5, CHUNK_POINTS] {
                assert!(checked(name, &swapped, chunk_points).is_err(), "{name}, point {i}, {chunk_points} at a time");
            }
        }
    }
}

#[test]
fn a_bad_point_is_named_by_its_number_in_the_run() {
    let (_, mut bytes, points) = files().swap_remove(1);
    let (offset, size) = points[29];
    bytes[offset..offset + size].fill(0);
    for chunk_points in [1, 4, 29, 30, CHUNK_POINTS] {
        let error = checked("numbered", &bytes, chunk_points).expect_err("must be refused");
        assert!(matches!(error, SrsError::Point { index: 29, .. }), "{chunk_points}: {error}");
    }
}

#[test]
fn files_say_what_they_are() {
    let facts = |name: &str| {
        let (name, bytes, _) = files().into_iter().find(|file| file.0 == name).expect("a file of this name");
        let FileInfo { kind, k, prepared, contributions, insecure, .. } = checked(name, &bytes, 8).expect(name);
        (kind, k, prepared, contributions, insecure)
    };
    assert_eq!(facts("contributed"), (FileKind::Ptau, 4, false, Some(1), false));
    assert_eq!(facts("prepared"), (FileKind::Ptau, 4, true, Some(1), false));
    assert_eq!(facts("raw"), (FileKind::Halo2, 3, true, None, false));
    assert_eq!(facts("compressed"), (FileKind::Halo2, 3, true, None, false));
    assert_eq!(facts("ours"), (FileKind::Ours, 3, true, None, true));
}

#[test]
fn the_secret_names_a_string_and_nothing_else_does() {
    let contributed = Srs::identify(data("contributed_k4.ptau")).expect("identity");
    assert_eq!(contributed, Srs::identify(data("prepared_k4.ptau")).expect("identity"));
    let names: BTreeSet<Identity> = (0..4)
        .map(|seed| Srs::development(2, ChaCha20Rng::seed_from_u64(seed)).expect("development").identity())
        .collect();
    assert_eq!(names.len(), 4);
    assert!(!names.contains(&contributed));
    let text = contributed.to_string();
    assert!(
        text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)),
        "{text}"
    );
    // By another implementation: hashlib.blake2b(point, digest_size=32, person=b"zkml-gpu-srs-1") of the generator.
    let generator = Identity::of(&G2Affine::generator()).to_string();
    assert_eq!(generator, "9cd46782b7977e10a01b99079812425060e18f5930cccab44b11c12b718646db");
}

#[test]
fn progress_reaches_the_end_and_never_goes_back() {
    for (name, bytes, points) in files() {
        let scratch = Scratch::new(name, &bytes);
        let mut steps = Vec::new();
        file::check_source(&mut Source::open(&scratch.0).expect(name).in_chunks_of(4), |step| steps.push(step))
            .expect(name);
        let g1 = points.len() as u64 - 2;
        assert!(steps.iter().all(|step| step.total == g1), "{name}: {steps:?}");
        assert!(steps.windows(2).all(|pair| pair[0].done < pair[1].done), "{name}: {steps:?}");
        assert!(steps.len() as u64 >= g1 / 4 && steps.last().map(|step| step.done) == Some(g1), "{name}: {steps:?}");
        let mut last = None;
        Srs::read_with(&scratch.0, 3, |step| last = Some(step)).expect(name);
        assert!(last.is_some_and(|step| step.done == step.total && step.total <= 16), "{name}: {last:?}");
    }
}

#[test]
fn files_of_ours_come_back_with_their_mark() {
    let insecure = seeded(5);
    let prepared = Srs::read(data("prepared_k4.ptau"), 4).expect("prepared file");
    for (srs, origin) in [(&insecure, Origin::Development), (&prepared, Origin::File)] {
        let bytes = written(srs);
        for k in 1..=srs.k() {
            let read = read("ours", &bytes, k).expect("a file of ours");
            assert_eq!((read.origin(), read.is_insecure()), (origin, origin == Origin::Development));
            assert_eq!((read.identity(), read.g()), (srs.identity(), &srs.g()[..1 << k]));
            assert_commits_alike(&read);
        }
        let again = read("ours", &bytes, srs.k()).expect("a file of ours");
        assert_eq!((again.lagrange(), written(&again)), (srs.lagrange(), bytes.clone()));
        assert!(refusal("small", &bytes, srs.k() + 1).contains(&format!("2^{}", srs.k() + 1)));
    }
}

#[test]
fn damage_of_a_file_of_ours_is_refused_wherever_it_is() {
    let original = written(&seeded(2));
    // Every byte of the header, and every seventh of the points.
    for byte in (0..300).chain((300..original.len()).step_by(7)) {
        let mut changed = original.clone();
        changed[byte] ^= 4;
        assert!(checked("changed", &changed, 3).is_err(), "byte {byte}");
        assert!(read("changed", &changed, 2).is_err(), "byte {byte}");
    }
    for len in (0..original.len()).step_by(41) {
        check_refusal("cut", &original[..len]);
    }
    check_refusal("longer", &[&original[..], &[0]].concat());
}

/// Files whose digests are right and whose content is not.
#[test]
fn files_of_ours_with_another_head_or_other_lengths_are_refused() {
    use zkml_gpu_files::container::Writer;

    let srs = seeded(2);
    let raw = |points: &[G1Affine]| points.iter().flat_map(SerdeObject::to_raw_bytes).collect::<Vec<u8>>();
    let g2 = [srs.g2().to_raw_bytes(), srs.s_g2().to_raw_bytes()].concat();
    let make = |head: &[u32], powers: &[u8], lagrange: &[u8], g2: &[u8], last: &[u8; 8]| {
        let mut file = Cursor::new(Vec::new());
        let names = [*b"head\0\0\0\0", *b"powers\0\0", *b"lagrange", *last];
        let mut writer = Writer::new(&mut file, container::KIND, &names).expect("memory");
        let head: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
        [&head[..], powers, lagrange, g2].into_iter().for_each(|bytes| writer.section(bytes).expect("memory"));
        writer.finish().expect("memory");
        file.into_inner()
    };
    let (powers, lagrange, name) = (raw(srs.g()), raw(srs.lagrange()), b"g2\0\0\0\0\0\0");
    assert_eq!(make(&[2, 1], &powers, &lagrange, &g2, name), written(&srs));
    for head in [&[][..], &[2], &[0, 1], &[3, 1], &[29, 1], &[u32::MAX, 1], &[2, 2], &[2, 3], &[2, 1, 0]] {
        check_refusal("head", &make(head, &powers, &lagrange, &g2, name));
    }
    check_refusal("powers", &make(&[2, 1], &powers[64..], &lagrange, &g2, name));
    check_refusal("lagrange", &make(&[2, 1], &powers, &[&lagrange[..], &lagrange[..64]].concat(), &g2, name));
    check_refusal("g2", &make(&[2, 1], &powers, &lagrange, &g2[..128], name));
    check_refusal("name", &make(&[2, 1], &powers, &lagrange, &g2, b"g3\0\0\0\0\0\0"));
    assert!(check_refusal("swapped", &make(&[2, 1], &lagrange, &powers, &g2, name)).contains("generators"));
    let other = Srs::development(2, ChaCha20Rng::seed_from_u64(6)).expect("development");
    assert!(
        check_refusal("lagrange", &make(&[2, 1], &powers, &raw(other.lagrange()), &g2, name))
            .contains("Lagrange points do not belong")
    );
}

#[test]
fn pieces_of_sections_are_checked_across_their_borders() {
    // More points than a container hands on at a time.
    let srs = seeded(15);
    let bytes = written(&srs);
    assert!(checked("large", &bytes, CHUNK_POINTS).expect("a file of ours").insecure);
    let first = bytes.len() - (2 * 64 * (1 << 15) + 2 * 128);
    for point in [16_383, 16_384, 32_767, 32_768, 49_152] {
        let mut changed = bytes.clone();
        let offset = first + 64 * point;
        changed.copy_within(first..first + 64, offset);
        assert!(checked("large", &changed, CHUNK_POINTS).is_err(), "point {point}");
    }
    // A small part of it: the rest is read for the digest only.
    assert_eq!(read("large", &bytes, 3).expect("a file of ours").g(), &srs.g()[..8]);
    let mut damaged = bytes.clone();
    damaged[first + 64 * 30_000] ^= 1;
    assert!(matches!(read("large", &damaged, 3), Err(SrsError::Damaged { .. })));
}

#[test]
fn raw_parameters_of_halo2_lose_the_mark() {
    let srs = seeded(4);
    let mut bytes = Vec::new();
    srs.write_halo2(&mut bytes).expect("write to memory");
    let mut stock = Vec::new();
    srs.params().write_custom(&mut stock, SerdeFormat::RawBytes).expect("write to memory");
    assert_eq!(bytes, stock);
    let read = read("raw", &bytes, 4).expect("parameters file");
    assert_eq!((read.origin(), read.identity()), (Origin::File, srs.identity()));
}

#[test]
fn parts_are_taken_as_they_are_but_for_their_number() {
    let srs = seeded(3);
    let parts = |k, g: &[G1Affine], lagrange: &[G1Affine], insecure| {
        Srs::from_checked_parts(k, g.to_vec(), lagrange.to_vec(), srs.g2(), srs.s_g2(), insecure)
    };
    for (insecure, origin) in [(true, Origin::Development), (false, Origin::File)] {
        let taken = parts(3, srs.g(), srs.lagrange(), insecure).expect("parts of one string");
        assert_eq!((taken.origin(), taken.identity(), taken.k()), (origin, srs.identity(), 3));
        assert_commits_alike(&taken);
    }
    assert!(matches!(
        parts(3, &srs.g()[1..], srs.lagrange(), true),
        Err(SrsError::Parts { k: 3, powers: 7, lagrange: 8 })
    ));
    assert!(matches!(parts(3, srs.g(), &srs.lagrange()[1..], true), Err(SrsError::Parts { .. })));
    assert!(matches!(parts(2, srs.g(), srs.lagrange(), true), Err(SrsError::Parts { .. })));
    assert!(matches!(parts(0, srs.g(), srs.lagrange(), true), Err(SrsError::UnsupportedSize { .. })));
}
