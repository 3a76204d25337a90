//! `zkml-gpu srs`: files of reference strings are made, imported, checked and told apart.

use std::path::Path;

use halo2_proofs::SerdeFormat;
use halo2_proofs::halo2curves::bn256::Bn256;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use serde_json::{Value, json as object};
use zkml_gpu::{ModelKey, available_bytes};

use crate::support::{Scratch, exit_code, gemm, json, program, repository, run, text};

/// Fields of every verb's `--json`.
const FIELDS: [&str; 9] =
    ["bytes", "checked", "contributions", "file", "identity", "insecure_srs", "kind", "power", "prepared"];

fn ceremony(name: &str) -> String {
    repository(&format!("tests/data/srs/{name}_k4.ptau"))
}

fn told(arguments: &[&str]) -> Value {
    let report = json(&run(&[&["srs"], arguments, &["--json"]].concat()));
    let mut fields: Vec<&str> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, FIELDS);
    report
}

fn refused(arguments: &[&str], code: i32) -> String {
    let output = run(&[&["srs"], arguments].concat());
    let message = text(&output.stderr);
    assert_eq!(exit_code(&output), code, "{arguments:?}: {message}");
    assert!(message.contains("hint:") && output.stdout.is_empty(), "{message}");
    message
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("list").map(|entry| entry.expect("entry").file_name());
    entries.map(|name| name.into_string().expect("a name of text")).collect()
}

#[test]
fn a_string_made_here_stays_marked_wherever_its_file_goes() {
    let scratch = Scratch::new();
    let plan = json(&run(&["plan", &gemm("onnx"), &gemm("json"), "--json"]));
    let (out, again) = (scratch.path("string"), scratch.path("again"));
    let power = plan["k"].to_string();
    let made = told(&["new", "--power", &power, "--out", &out]);
    assert_eq!(
        (&made["kind"], &made["insecure_srs"], &made["checked"]),
        (&object!("own"), &object!(true), &object!(true))
    );
    let imported = told(&["import", &out, "--power", &power, "--out", &again]);
    assert_eq!((&imported["identity"], &imported["insecure_srs"]), (&made["identity"], &object!(true)));
    assert_eq!(std::fs::read(&out).expect("read"), std::fs::read(&again).expect("read"));
    let proved = scratch.path("out");
    let report = json(&run(&["prove", &gemm("onnx"), &gemm("json"), "--srs", &again, "--out", &proved, "--json"]));
    assert_eq!(report["insecure_srs"], true);
    assert!(text(&run(&["srs", "info", &again]).stdout).contains("whose owner could forge proofs"));
    assert_ne!(told(&["new", "--power", "4", "--out", &out])["identity"], made["identity"], "secrets are drawn");
}

#[test]
fn an_imported_ceremony_is_prepared_and_is_no_development_string() {
    let scratch = Scratch::new();
    let out = scratch.path("string");
    let source = told(&["check", &ceremony("contributed")]);
    assert_eq!(
        (&source["kind"], &source["prepared"], &source["power"]),
        (&object!("ptau"), &object!(false), &object!(4))
    );
    assert_eq!((&source["contributions"], &source["checked"]), (&object!(1), &object!(true)));
    for power in ["4", "2"] {
        let imported = told(&["import", &ceremony("contributed"), "--power", power, "--out", &out]);
        assert_eq!((&imported["kind"], &imported["prepared"]), (&object!("own"), &object!(true)));
        assert_eq!((&imported["identity"], imported["power"].to_string()), (&source["identity"], power.to_owned()));
        assert_eq!((&imported["insecure_srs"], &imported["contributions"]), (&object!(false), &Value::Null));
        let checked = told(&["check", &out]);
        assert_eq!(checked, imported);
        let info = told(&["info", &out]);
        assert_eq!((&info["checked"], &info["identity"]), (&object!(false), &source["identity"]));
    }
    assert_eq!(told(&["info", &ceremony("prepared")])["prepared"], true);
    assert_eq!(names(scratch.folder()), ["string"]);
}

#[test]
fn parameters_of_halo2_are_written_and_the_loss_of_the_mark_is_told() {
    let scratch = Scratch::new();
    let out = scratch.path("params");
    let output = run(&["srs", "new", "--power", "5", "--out", &out, "--format", "halo2"]);
    assert!(exit_code(&output) == 0 && text(&output.stdout).contains("it is lost in this file"), "{output:?}");
    let bytes = std::fs::read(&out).expect("read");
    let params = ParamsKZG::<Bn256>::read_custom(&mut &bytes[..], SerdeFormat::RawBytes).expect("parameters");
    let mut written = Vec::new();
    params.write_custom(&mut written, SerdeFormat::RawBytes).expect("write");
    assert_eq!(written, bytes);
    let info = told(&["check", &out]);
    assert_eq!(
        (&info["kind"], &info["insecure_srs"], &info["power"]),
        (&object!("halo2"), &object!(false), &object!(5))
    );
    let output = run(&["srs", "import", &ceremony("prepared"), "--power", "4", "--out", &out, "--format", "halo2"]);
    assert!(exit_code(&output) == 0 && !text(&output.stdout).contains("lost"), "nothing to lose: {output:?}");
}

#[test]
fn a_string_of_another_size_is_prepared_once_and_kept() {
    let scratch = Scratch::new();
    let plan = json(&run(&["plan", &gemm("onnx"), &gemm("json"), "--json"]));
    let power = plan["k"].as_u64().expect("a power");
    let file = |name: &str| {
        let path = scratch.path(name);
        told(&["new", "--power", &(power + 1).to_string(), "--out", &path]);
        path
    };
    let [srs, other] = [file("string"), file("other")];
    let prove = |srs: &str, out: &str| {
        let mut command = program();
        command.env_remove("ZKML_GPU_NO_CACHE").env("ZKML_GPU_CACHE", scratch.path("cache"));
        let output = command.args(["prove", &gemm("onnx"), &gemm("json"), "--srs", srs, "--out", &scratch.path(out)]);
        let output = output.output().expect("run");
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
        let key = ModelKey::read(scratch.path(&format!("{out}/model.vk"))).expect("a key");
        (text(&output.stderr), *key.keys().s_g2())
    };
    // Keys are kept, too: only without them is the string asked for again.
    let forget_keys = || {
        let entries = std::fs::read_dir(scratch.path("cache")).expect("list").map(|entry| entry.expect("entry").path());
        entries.filter(|path| path.is_file()).for_each(|path| std::fs::remove_file(path).expect("remove"));
    };
    let kept = scratch.folder().join("cache/srs");
    let (notes, secret) = prove(&srs, "first");
    assert!(!notes.contains("reference string"), "{notes}");
    let first = names(&kept);
    assert_eq!(first.len(), 1);
    let made = |name: &str| std::fs::metadata(kept.join(name)).and_then(|data| data.modified()).expect("a time");
    let before = made(&first[0]);
    forget_keys();
    assert_eq!(prove(&srs, "again").1, secret);
    assert_eq!((names(&kept), made(&first[0])), (first.clone(), before), "it is read, and not made again");

    // Another string has a file of its own; one that is put in its place, or is damaged, is not taken for it.
    let (_, other_secret) = prove(&other, "of-other");
    assert_ne!(other_secret, secret);
    let second = names(&kept).into_iter().find(|name| *name != first[0]).expect("a second file");
    std::fs::copy(kept.join(&second), kept.join(&first[0])).expect("copy");
    forget_keys();
    let (notes, found) = prove(&srs, "exchanged");
    assert!(notes.contains("another one, and is prepared anew") && found == secret, "{notes}");
    let mut bytes = std::fs::read(kept.join(&first[0])).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(kept.join(&first[0]), bytes).expect("write");
    forget_keys();
    let (notes, found) = prove(&srs, "damaged");
    assert!(notes.contains("is prepared anew") && found == secret, "{notes}");
}

#[test]
fn damaged_files_are_refused_by_check_and_import_and_leave_nothing() {
    let scratch = Scratch::new();
    let original = std::fs::read(ceremony("prepared")).expect("test data");
    let out = scratch.path("out");
    // A power, its twin that makes the two no consecutive powers, a Lagrange point of k = 4, and the file's end.
    let swapped = |to: usize, from: usize| {
        let mut bytes = original.clone();
        bytes.copy_within(from..from + 64, to);
        bytes
    };
    let damages = [
        ("invalid", {
            let mut bytes = original.clone();
            bytes[80 + 64 * 3] ^= 1;
            bytes
        }),
        ("power", swapped(80 + 64 * 2, 80 + 64 * 3)),
        ("lagrange", swapped(7910 + 64 * 16, 7910 + 64 * 17)),
        ("cut", original[..original.len() - 1].to_vec()),
        ("empty", Vec::new()),
        ("text", b"{\"input_data\": []}".to_vec()),
    ];
    for (name, bytes) in damages {
        let file = scratch.file(name, bytes);
        assert!(refused(&["check", &file], 2).contains(name));
        assert!(refused(&["import", &file, "--power", "4", "--out", &out], 2).contains(name));
        std::fs::remove_file(file).expect("remove");
    }
    assert!(refused(&["info", &scratch.path("absent")], 2).contains("absent"));
    assert_eq!(names(scratch.folder()), <[String; 0]>::default(), "a command that fails leaves no files");
    // What a power of 3 does not need may be damaged, but `check` looks at it.
    let file = scratch.file("above", swapped(80 + 64 * 12, 80 + 64 * 13));
    told(&["import", &file, "--power", "3", "--out", &out]);
    assert!(refused(&["check", &file], 2).contains("consecutive powers"));
}

#[test]
fn an_older_file_stays_where_a_new_one_cannot_be_made() {
    let scratch = Scratch::new();
    let out = scratch.file("string", "older");
    assert!(refused(&["import", &ceremony("contributed"), "--power", "5", "--out", &out], 2).contains("2^5"));
    assert_eq!(std::fs::read(&out).expect("read"), b"older");
    assert!(refused(&["new", "--power", "4", "--out", &scratch.path("absent/string")], 2).contains("absent"));
    assert_eq!(names(scratch.folder()), ["string"]);
    for power in ["0", "29", "-1", "x"] {
        assert_eq!(exit_code(&run(&["srs", "new", "--power", power, "--out", &out])), 2, "{power}");
    }
}

#[test]
fn what_does_not_fit_in_memory_is_refused_before_the_work() {
    let scratch = Scratch::new();
    let out = scratch.path("string");
    // More than 96 GiB.
    if available_bytes().is_some_and(|bytes| bytes < 96 << 30) {
        assert!(refused(&["new", "--power", "28", "--out", &out], 4).contains("2^28"));
        assert!(refused(&["import", &ceremony("prepared"), "--power", "28", "--out", &out], 4).contains("2^28"));
    } else {
        eprintln!("skipped: this machine has memory for every power, or does not tell");
    }
}
