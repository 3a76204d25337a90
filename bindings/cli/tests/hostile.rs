//! Files that nobody vouches for: the corpus of `tests/corpus`, artifacts taken for one another, and mutations of a
//! key, a proof, a reference string and models. Each is refused with its name and a hint, in bounded memory and time,
//! and leaves nothing.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use halo2_proofs::SerdeFormat;
use halo2_proofs::halo2curves::bn256::Bn256;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use rand_core::SeedableRng;
use zkml_gpu::circuit::system::{Port, Statement};
use zkml_gpu::circuit::verify::verify;
use zkml_gpu::onnx::import::{FloatModel, ImportOptions};
use zkml_gpu::{About, ModelKey, ProofBundle, Srs, VERIFYING_KEY};
use zkml_gpu_files::container::Writer;

use crate::support::limited::{Limits, run_limited};
use crate::support::mutate::Mutator;
use crate::support::{Scratch, exit_code, gemm, prove, repository, run, text};

/// Files of the corpus that are well formed but hold what is not supported; the others are refused with exit code 2.
const UNSUPPORTED: &[&str] = &[
    "condition.onnx",
    "conditions_in_a_row.onnx",
    "cumulative.onnx",
    "loop_forever.onnx",
    "loop_negative.onnx",
    "loop_nested.onnx",
    "loop_never.onnx",
    "loop_of_constants.onnx",
    "loop_of_long_names.onnx",
    "loop_often.onnx",
    "recurrent_long.onnx",
    "recurrent_of_other_weights.onnx",
    "lrn_of_none.onnx",
    "tree_chain.onnx",
    "tree_condition.onnx",
    "tree_targets.onnx",
];

/// The files of a folder of the corpus, each of which its README lists.
fn corpus(kind: &str) -> Vec<PathBuf> {
    let folder = repository(&format!("tests/corpus/{kind}"));
    let listed = std::fs::read_to_string(repository("tests/corpus/README.md")).expect("README of the corpus");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("corpus").map(|entry| entry.expect("file").path()).collect();
    files.sort();
    for file in &files {
        let line = format!("| `{kind}/{}` |", name(file));
        assert!(listed.contains(&line), "{} is not in the corpus' README", file.display());
    }
    assert_eq!(listed.matches(&format!("| `{kind}/")).count(), files.len(), "the README lists files that are missing");
    files
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// Runs the program in an empty folder, where it must fail with this code, name the file, give a hint and leave
/// nothing.
fn refused(arguments: &[&str], file: &str, code: i32) {
    let folder = Scratch::new();
    let output = run_limited(folder.folder(), arguments, &Limits::default());
    let message = text(&output.stderr);
    assert_eq!(exit_code(&output), code, "{arguments:?}: {message}");
    assert!(message.contains(file), "{arguments:?} does not name the file: {message}");
    assert!(message.contains("\nhint: "), "{arguments:?} has no hint: {message}");
    assert!(!message.contains("panicked") && !message.contains("sorry"), "{arguments:?}: {message}");
    assert!(message.len() < 4096 && !message.contains('\x1b'), "{arguments:?}: {message:?}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    assert_eq!(entries(folder.folder()), Vec::<String>::new(), "{arguments:?} left files");
}

/// Names of everything in a folder, hidden files too.
fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

#[test]
fn hostile_models_are_refused() {
    for file in corpus("model") {
        let code = if UNSUPPORTED.contains(&name(&file)) { 3 } else { 2 };
        let path = file.to_str().expect("a path");
        refused(&["prove", path, &gemm("json"), "--threads", "2"], name(&file), code);
    }
    let names: BTreeSet<String> = corpus("model").iter().map(|file| name(file).to_owned()).collect();
    assert!(UNSUPPORTED.iter().all(|file| names.contains(*file)));
}

#[test]
fn hostile_inputs_are_refused() {
    for file in corpus("input") {
        let path = file.to_str().expect("a path");
        refused(&["prove", &gemm("onnx"), path, "--threads", "2"], name(&file), 2);
        refused(&["prove", &gemm("onnx"), &gemm("json"), "--calibration", path, "--threads", "2"], name(&file), 2);
    }
}

#[test]
fn hostile_reference_strings_are_refused() {
    for file in corpus("srs") {
        let path = file.to_str().expect("a path");
        refused(&["prove", &gemm("onnx"), &gemm("json"), "--srs", path, "--threads", "2"], name(&file), 2);
    }
}

#[test]
fn more_samples_than_are_read_are_refused() {
    let scratch = Scratch::new();
    let input = scratch.file("many.json", format!("{{\"input_data\": [[{}0]]}}", "0,".repeat((1 << 16) + 1)));
    refused(&["prove", &repository("tests/models/ops/linear_1_1.onnx"), &input], "many.json", 2);
}

#[test]
fn external_weights_are_read_from_the_models_folder_only() {
    let scratch = Scratch::new();
    let model = scratch.path("model.onnx");
    std::fs::copy(repository("tests/corpus/model/external_missing.onnx"), &model).expect("copy");
    let load = || FloatModel::load(&model, &ImportOptions::default()).map_err(|error| error.to_string());
    let weights = scratch.path("absent.bin");
    assert!(load().is_err());
    std::fs::write(&weights, [0; 96]).expect("write");
    assert!(load().is_ok(), "24 weights beside the model: {:?}", load());
    for len in [0, 95, 97] {
        std::fs::write(&weights, vec![0; len]).expect("write");
        assert!(load().is_err(), "{len} bytes");
    }
    if cfg!(unix) {
        let outside = Scratch::new();
        let target = outside.file("outside.bin", [0; 96]);
        for (what, program, arguments) in [
            ("a link out of the folder", "ln", vec!["-s", &target, &weights]),
            ("a pipe", "mkfifo", vec![weights.as_str()]),
        ] {
            std::fs::remove_file(&weights).expect("remove");
            assert!(std::process::Command::new(program).args(arguments).status().expect(program).success());
            let refusal = load().expect_err(what);
            assert!(refusal.contains("absent.bin") || refusal.contains("outside"), "{what}: {refusal}");
        }
    }
}

/// Real files of every kind, and what is no file at all.
struct Foreign {
    _artifacts: Scratch,
    files: Vec<(&'static str, String)>,
    proof: String,
    key: String,
}

impl Foreign {
    fn make() -> Self {
        let (artifacts, out) = prove(&[]);
        let (proof, key) = (format!("{out}/proof.json"), format!("{out}/model.vk"));
        let srs = repository("tests/data/srs/prepared_k4.ptau");
        let mut files = vec![
            ("model", gemm("onnx")),
            ("input", gemm("json")),
            ("srs", srs),
            ("proof", proof.clone()),
            ("key", key.clone()),
            ("none", artifacts.path("absent")),
            ("none", out),
        ];
        if cfg!(unix) {
            let pipe = artifacts.path("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
            assert!(made.success());
            files.extend([("none", pipe), ("none", "/dev/zero".into()), ("none", "/dev/null".into())]);
        }
        Self { _artifacts: artifacts, files, proof, key }
    }
}

#[test]
fn files_of_one_kind_are_refused_as_another_and_so_is_what_is_no_file() {
    let foreign = Foreign::make();
    let (model, input) = (gemm("onnx"), gemm("json"));
    for (kind, path) in &foreign.files {
        let roles: [(&str, Vec<&str>); 6] = [
            ("model", vec!["prove", path, &input]),
            ("input", vec!["prove", &model, path]),
            ("input", vec!["prove", &model, &input, "--calibration", path]),
            // The file of 2^4 powers is too small for the model, which is no matter here.
            ("", vec!["prove", &model, &input, "--srs", path]),
            ("proof", vec!["verify", path, "--vk", &foreign.key]),
            ("key", vec!["verify", &foreign.proof, "--vk", path]),
        ];
        for (role, arguments) in roles.iter().filter(|(role, _)| role != kind) {
            refused(arguments, path, 2);
            let _ = role;
        }
    }
}

/// Runs `prove` of the small model into a folder.
fn prove_into(folder: &Path, out: &str, limits: &Limits) -> (i32, String) {
    let output = run_limited(folder, &["prove", &gemm("onnx"), &gemm("json"), "--out", out, "--threads", "2"], limits);
    (exit_code(&output), text(&output.stderr))
}

/// Contents of the two artifacts.
fn pair(folder: &Path) -> [Vec<u8>; 2] {
    ["proof.json", "model.vk"].map(|name| std::fs::read(folder.join(name)).expect(name))
}

#[test]
fn a_full_disk_leaves_nothing_new_and_an_older_pair_as_it_was() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let full = Limits { file_blocks: Some(2), ..Limits::default() };
    let scratch = Scratch::new();
    let (code, message) = prove_into(scratch.folder(), "a/b/out", &full);
    assert!(code == 2 && message.contains("a/b/out/proof.json") && message.contains("\nhint: "), "{code}: {message}");
    assert_eq!(entries(scratch.folder()), Vec::<String>::new(), "folders were left");

    assert_eq!(prove_into(scratch.folder(), "out", &Limits::default()).0, 0);
    let before = pair(&scratch.folder().join("out"));
    let (code, message) = prove_into(scratch.folder(), "out", &full);
    assert_eq!(code, 2, "{message}");
    assert_eq!(pair(&scratch.folder().join("out")), before);
    assert_eq!(entries(&scratch.folder().join("out")), ["model.vk", "proof.json"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_an_older_proof_stays() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    for out in [&file, &format!("{file}/out"), "/dev/null/out"] {
        let (code, message) = prove_into(scratch.folder(), out, &Limits::default());
        assert!(code == 2 && message.contains(out) && message.contains("\nhint: "), "{out}: {code}: {message}");
    }
    assert_eq!(entries(scratch.folder()), ["file"]);
    // A folder in the place of the key: the proof that is there must outlive the attempt.
    std::fs::create_dir_all(scratch.path("out/model.vk")).expect("folder");
    scratch.file("out/proof.json", "older");
    let (code, message) = prove_into(scratch.folder(), "out", &Limits::default());
    assert!(code == 2 && message.contains("model.vk"), "{code}: {message}");
    assert_eq!(std::fs::read(scratch.path("out/proof.json")).expect("proof.json"), b"older");
    assert_eq!(entries(&scratch.folder().join("out")), ["model.vk", "proof.json"]);
}

#[test]
fn a_killed_prover_leaves_no_half_of_a_pair() {
    for delay_ms in [20, 60, 120, 250, 500] {
        let scratch = Scratch::new();
        let limits = Limits { kill_after_ms: Some(delay_ms), ..Limits::default() };
        let arguments = ["prove", &gemm("onnx"), &gemm("json"), "--out", "out", "--threads", "2"];
        run_limited(scratch.folder(), &arguments, &limits);
        let out = scratch.folder().join("out");
        assert!(out.join("model.vk").exists() || !out.join("proof.json").exists(), "{delay_ms} ms");
        if out.join("proof.json").exists() {
            let verdict = run(&["verify", &scratch.path("out/proof.json"), "--vk", &scratch.path("out/model.vk")]);
            assert_eq!(exit_code(&verdict), 0, "{delay_ms} ms");
        }
    }
}

/// A real key and proof, and the parts of the key's file.
struct Artifacts {
    _scratch: Scratch,
    key: ModelKey,
    proof: ProofBundle,
}

impl Artifacts {
    fn make() -> Self {
        let (scratch, out) = prove(&[]);
        let proof = ProofBundle::read(format!("{out}/proof.json")).expect("proof.json");
        let key = ModelKey::read(format!("{out}/model.vk")).expect("model.vk");
        Self { _scratch: scratch, key, proof }
    }

    /// The keys inside `model.vk`.
    fn body(&self) -> Vec<u8> {
        self.key.keys().to_bytes()
    }

    /// `model.vk` with other keys inside, lengths and digests made right.
    fn sealed(&self, body: &[u8]) -> Vec<u8> {
        let about = About {
            model: self.key.model().into(),
            inferences: self.key.inferences() as u64,
            public_weights: self.key.has_public_weights(),
            accuracy: *self.key.accuracy(),
            architecture: self.key.architecture_digest().into(),
        };
        let about = serde_json::to_vec(&about).expect("JSON");
        let commitment = self.key.keys().to_parts()[1].len();
        let (circuit, model) = body.split_at(body.len().saturating_sub(commitment));
        let names = [*b"about\0\0\0", *b"circuit\0", *b"model\0\0\0", *b"weights\0"];
        let weights = self.key.weights_proof().map(|proof| proof.to_bytes()).unwrap_or_default();
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, VERIFYING_KEY, &names).expect("a file");
        for section in [&about[..], circuit, model, &weights] {
            writer.section(section).expect("a section");
        }
        writer.finish().expect("a header");
        file.into_inner()
    }

    /// `model.vk` with another value of a field of its keys' header, or of the column `Accumulate`.
    fn with_field(&self, field: &str, value: &str) -> Vec<u8> {
        let body = self.body();
        let (header, rest) = split_header(&body);
        let header = std::str::from_utf8(header).expect("JSON");
        let header = match field {
            "Accumulate" => header.replacen("\"Accumulate\"", value, 1),
            _ => with_value(header, field, value),
        };
        self.sealed(&[&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), rest].concat())
    }

    /// Whether a key is read and accepts the proof, which is made to name it, or for tensors that are made to fit.
    fn accepted_by(&self, bytes: &[u8]) -> bool {
        let Ok(key) = ModelKey::from_bytes(bytes, "model.vk") else { return false };
        let Statement { inputs, outputs, .. } = key.keys().statement();
        let fitting = |ports: &[Port]| -> Vec<Vec<i64>> {
            ports.iter().map(|port| vec![0i64.clamp(port.format.min, port.format.max); port.len]).collect()
        };
        // The number 1 is a scalar and the abscissa of the generator: of these a verifier reads as many as it wants,
        // and gets to its equations.
        let ones = [&[1][..], &[0; 31]].concat().repeat(20_000);
        for proof in [self.proof.proof_bytes(), ones] {
            if verify(key.keys(), &fitting(inputs), &fitting(outputs), &proof).is_ok() {
                return true;
            }
        }
        let mut proof = self.proof.clone();
        proof.verifying_key = key.digest().into();
        proof.circuit_key = key.circuit_digest().into();
        proof.seal();
        key.verify(&proof).is_ok()
    }

    /// Whether the proof's bytes, put in the place of the real ones, are accepted.
    fn accepts(&self, bytes: &[u8]) -> bool {
        let mut proof = self.proof.clone();
        proof.proof = STANDARD.encode(bytes);
        proof.seal();
        self.key.verify(&proof).is_ok()
    }
}

/// The header of the keys, as text, and what follows it.
fn split_header(body: &[u8]) -> (&[u8], &[u8]) {
    let len = u64::from_le_bytes(body[..8].try_into().expect("eight bytes"));
    body[8..].split_at(usize::try_from(len).expect("a small header"))
}

/// JSON with another value of the field that comes first under this name; all else, and the order, as it was.
fn with_value(json: &str, field: &str, value: &str) -> String {
    let start = json.find(&format!("\"{field}\":")).expect(field) + field.len() + 3;
    let mut old = serde_json::Deserializer::from_str(&json[start..]).into_iter::<serde_json::Value>();
    old.next().expect("a value").expect("JSON");
    let end = start + old.byte_offset();
    format!("{}{value}{}", &json[..start], &json[end..])
}

/// A column whose gate raises a challenge to this power.
fn power(exponent: u64) -> String {
    format!(r#"{{"Step":["Weights",{{"variable":"S","exponent":{exponent}}}]}}"#)
}

#[test]
fn keys_that_would_take_the_machine_down_are_refused() {
    let long = format!("[{0},{0}]", 1u64 << 27);
    let (large, huge, greatest) = (power(200_000), power(4_000_000), power(u64::MAX));
    // The field, its value, the exit code. With code 1 it is another circuit's key for all that the file says: it is
    // read, within bounds, and rejects the proof.
    let changes = [
        ("len", "268435456", 2),
        ("logical_shape", "[7]", 2),
        ("logical_shape", "[4294967296,4294967296]", 2),
        ("frac_bits", "-2147483648", 2),
        ("frac_bits", "2147483647", 2),
        ("min", "9223372036854775807", 2),
        ("name", "\"\\u001b[2J\"", 1),
        ("lengths", "[]", 2),
        ("lengths", long.as_str(), 2),
        ("first_row", "268435456", 2),
        ("row_stride", "18446744073709551615", 2),
        ("k", "22", 2),
        ("k", "4294967295", 2),
        ("shift", "0", 2),
        ("lookup_group", "0", 2),
        ("operand_lanes", "4096", 2),
        ("range_columns", "512", 1),
        ("activation_lanes", "512", 1),
        ("cross_term_lanes", "512", 1),
        ("range_columns", "513", 2),
        ("product_columns", "18446744073709551615", 2),
        ("weight_columns", "1099511627776", 2),
        ("model", "1152921504606846976", 2),
        ("vk_bytes", "1152921504606846976", 2),
        ("blinding_points", "1152921504606846976", 2),
        ("fixed", "[]", 2),
        ("Accumulate", large.as_str(), 1),
        ("Accumulate", huge.as_str(), 2),
        ("Accumulate", greatest.as_str(), 2),
    ];
    let artifacts = Artifacts::make();
    let scratch = Scratch::new();
    let proof = scratch.file("proof.json", artifacts.proof.to_json().expect("JSON"));
    for (field, value, code) in changes {
        let bytes = artifacts.with_field(field, value);
        let key = scratch.file("hostile.vk", &bytes);
        let output = run_limited(scratch.folder(), &["verify", &proof, "--vk", &key], &Limits::default());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{field}: {value}: {message}{}", text(&output.stdout));
        assert!(code == 1 || message.contains("hostile.vk") && message.contains("\nhint: "), "{field}: {message}");
        // Not for its form alone.
        assert!(!message.contains("canonical form"), "{field}: {value}: {message}");
        assert!(!artifacts.accepted_by(&bytes), "{field}: {value}");
    }
}

#[test]
fn a_key_of_many_columns_does_not_exhaust_a_threads_stack() {
    let artifacts = Artifacts::make();
    for (count, readable) in [(100, true), (2048, true), (2049, false)] {
        let body = artifacts.body();
        let (header, rest) = split_header(&body);
        let roles: Vec<String> = (0..count).map(|i| power(1 + i % 7)).collect();
        let header = with_value(std::str::from_utf8(header).expect("JSON"), "fixed", &format!("[{}]", roles.join(",")));
        // Halo2's own part: ten bytes, of which the last four count the columns, and a point for each.
        let header = with_value(&header, "vk_bytes", &(10 + 32 * count).to_string());
        let points = rest[10..42].repeat(usize::try_from(count).expect("a small number"));
        let before = u32::from_le_bytes(rest[6..10].try_into().expect("four bytes"));
        let others = &rest[10 + 32 * usize::try_from(before).expect("a small number")..];
        let rest = [&rest[..6], &u32::try_from(count).expect("a small number").to_le_bytes(), &points, others].concat();
        let body = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &rest].concat();
        let bytes = artifacts.sealed(&body);
        let read = ModelKey::from_bytes(&bytes, "model.vk");
        assert_eq!(
            read.is_ok(),
            readable,
            "{count} columns: {:?}",
            read.map(|_| ()).map_err(|error| error.to_string())
        );
        assert!(!artifacts.accepted_by(&bytes), "{count} columns");
    }
}

#[test]
fn mutated_keys_are_refused_or_reject_the_proof() {
    let artifacts = Artifacts::make();
    let body = artifacts.body();
    assert!(artifacts.accepted_by(&artifacts.sealed(&body)), "the key as it is");
    let header_bytes = split_header(&body).0.len() + 8;
    let mut mutator = Mutator::new(21);
    let mut read = 0;
    for round in 0..600 {
        // As often in the small part of numbers and texts as in the points.
        let range = if round % 2 == 0 { 0..header_bytes } else { header_bytes..body.len() };
        let changed = mutator.mutate(&body, range);
        if changed != body {
            let bytes = artifacts.sealed(&changed);
            let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..header_bytes.min(bytes.len())]).into_owned();
            assert!(!artifacts.accepted_by(&bytes), "round {round}: {} instead of {}", text(&changed), text(&body));
            read += usize::from(ModelKey::from_bytes(&bytes, "model.vk").is_ok());
            assert!(ModelKey::from_bytes(&changed, "model.vk").is_err(), "round {round}: no container");
        }
    }
    assert!(read < 300, "{read} of 600 mutated keys were read");
}

#[test]
fn a_key_has_one_encoding() {
    let artifacts = Artifacts::make();
    let body = artifacts.body();
    let (header, rest) = split_header(&body);
    let spaced = [header, b" "].concat();
    let bytes = [&(spaced.len() as u64).to_le_bytes()[..], &spaced, rest].concat();
    assert!(ModelKey::from_bytes(&artifacts.sealed(&bytes), "model.vk").is_err(), "white space in the header");
    let points = header.len() + 8..body.len();
    for last in points.clone().rev().step_by(32).take((points.len() - 100) / 32) {
        for flag in [0x80, 0x40, 0xc0] {
            let mut changed = body.clone();
            changed[last] ^= flag;
            assert!(!artifacts.accepted_by(&artifacts.sealed(&changed)), "flags {flag:x} of byte {last}");
        }
    }
}

#[test]
fn mutated_proofs_are_rejected() {
    let artifacts = Artifacts::make();
    let proof = artifacts.proof.proof_bytes();
    assert!(artifacts.accepts(&proof), "the proof as it is");
    let mut mutator = Mutator::new(22);
    for round in 0..250 {
        let changed = mutator.mutate(&proof, 0..proof.len());
        assert!(changed == proof || !artifacts.accepts(&changed), "round {round}");
    }
    for extra in [1, 31, 32, 64, 4096] {
        assert!(!artifacts.accepts(&[&proof[..], &vec![0; extra]].concat()), "{extra} bytes more");
    }
}

#[test]
fn a_proof_has_one_encoding() {
    let artifacts = Artifacts::make();
    let proof = artifacts.proof.proof_bytes();
    assert_eq!(proof.len() % 32, 0);
    let identity = [&[0; 31][..], &[0x80]].concat();
    for element in 0..proof.len() / 32 {
        let (start, last) = (32 * element, 32 * element + 31);
        // The flag of the identity, which the curve library ignores on other points.
        let mut flagged = proof.clone();
        flagged[last] ^= 0x80;
        assert!(!artifacts.accepts(&flagged), "element {element} flagged");
        for (what, bytes) in [("identity", &identity[..]), ("not canonical", &[0xff; 32]), ("zero", &[0; 32])] {
            let mut changed = proof.clone();
            changed[start..=last].copy_from_slice(bytes);
            assert!(changed == proof || !artifacts.accepts(&changed), "element {element}: {what}");
        }
    }
}

#[test]
fn mutated_proof_files_are_refused_rejected_or_the_same() {
    let artifacts = Artifacts::make();
    let file = artifacts.proof.to_json().expect("JSON");
    let mut mutator = Mutator::new(23);
    let mut rejected = 0;
    for round in 0..1500 {
        let changed = mutator.mutate(&file, 0..file.len());
        let Ok(mut proof) = ProofBundle::from_json(&changed, "proof.json") else { continue };
        if proof != artifacts.proof {
            assert!(artifacts.key.verify(&proof).is_err(), "round {round}");
            rejected += 1;
            // Also where the checksum is no obstacle; most changes are in the proof's bytes, and slow to reject.
            if rejected % 8 == 0 {
                proof.seal();
                assert!(proof == artifacts.proof || artifacts.key.verify(&proof).is_err(), "round {round}");
            }
        }
    }
    assert!(rejected > 100, "only {rejected} mutations were files at all");
}

#[test]
fn mutated_reference_strings_are_refused_or_the_same() {
    let scratch = Scratch::new();
    let stock = ParamsKZG::<Bn256>::setup(4, rand_chacha::ChaCha20Rng::seed_from_u64(24));
    let params = |format| {
        let mut bytes = Vec::new();
        stock.write_custom(&mut bytes, format).expect("write parameters");
        bytes
    };
    let ptau = std::fs::read(repository("tests/data/srs/prepared_k4.ptau")).expect("test data");
    let mut mutator = Mutator::new(24);
    for (what, original) in
        [("ptau", ptau), ("raw", params(SerdeFormat::RawBytes)), ("processed", params(SerdeFormat::Processed))]
    {
        let good = Srs::read(scratch.file("good", &original), 4).expect(what);
        for round in 0..300 {
            // The header and the points of G2 are small parts with much to go wrong.
            let range = match round % 3 {
                0 => 0..80.min(original.len()),
                1 => original.len() - 300..original.len(),
                _ => 0..original.len(),
            };
            let changed = mutator.mutate(&original, range);
            if let Ok(read) = Srs::read(scratch.file("changed", &changed), 4) {
                // What a file holds beyond the powers that are used may change.
                let same = (read.g(), read.lagrange(), read.g2(), read.s_g2())
                    == (good.g(), good.lagrange(), good.g2(), good.s_g2());
                assert!(same, "{what}, round {round}");
                assert!(changed.len() == original.len(), "{what}, round {round}: another length");
            }
        }
    }
}

#[test]
fn mutated_models_never_panic() {
    let mut mutator = Mutator::new(25);
    let mut refused = 0;
    for name in
        ["gemm_plain", "conv_pool_relu", "reshape_computed", "residual_conv", "average_pool_ceil", "squeeze_unsqueeze"]
    {
        let bytes = std::fs::read(repository(&format!("tests/models/ops/{name}.onnx"))).expect(name);
        for _ in 0..60 {
            let changed = mutator.mutate(&bytes, 0..bytes.len());
            // A panic of ours would end the test; those of the model reader are errors by then.
            refused += usize::from(FloatModel::from_bytes(&changed, name, &ImportOptions::default()).is_err());
        }
    }
    assert!(refused > 100, "only {refused} of 360 were refused");
}
