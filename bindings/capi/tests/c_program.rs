//! A program in C, compiled against the library that Cargo has just built, and run: by itself, and where valgrind is
//! installed under valgrind on the portable code. Without a C compiler the test says so and ends.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rand_core::OsRng;
use zkml_gpu::{BackendChoice, CompileOptions, ImportOptions, Model, Srs, read_samples};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Whether a program is there.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn succeeded(what: &str, output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{what}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// The folder that the shared library was built to.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let found = test.ancestors().skip(1).find(|folder| folder.join("libzkml_gpu_c.so").exists());
    found.expect("the library").to_path_buf()
}

/// A small model's proving key.
fn key(folder: &Path) -> PathBuf {
    let file = Path::new(HERE).join("../../tests/models/ops/gemm_plain.onnx");
    let model = Model::load(&file, &ImportOptions::default()).expect("a model");
    let samples = read_samples(file.with_extension("json"), &model.inputs()).expect("samples");
    let compiled = model.compile(&samples, &CompileOptions::default().with_allow_error(true)).expect("compiled");
    let srs = Srs::development(compiled.k(), OsRng).expect("a reference string");
    let key = compiled.setup_unproven(&srs, &BackendChoice::Cpu, OsRng).expect("keys");
    let path = folder.join("gemm.pk");
    key.write(&path).expect("written");
    path
}

#[test]
fn a_program_in_c_proves_verifies_and_computes() {
    if !is_there("cc") {
        println!("SKIPPED: no C compiler (cc)");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (program, library) = (folder.path().join("prove"), library());
    let mut compile = Command::new("cc");
    compile.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-g"]);
    compile.arg("-I").arg(Path::new(HERE).join("include")).arg(Path::new(HERE).join("examples/prove.c"));
    compile.arg("-L").arg(&library).arg(format!("-Wl,-rpath,{}", library.display())).arg("-lzkml_gpu_c");
    succeeded("cc", &compile.arg("-o").arg(&program).output().expect("cc starts"));
    let key = key(folder.path());

    let told = succeeded("the program", &Command::new(&program).arg(&key).arg("cpu").output().expect("it starts"));
    assert!(told.contains("accepted: gemm_plain gave 4 numbers") && told.contains("operations run on cpu"), "{told}");
    assert_eq!(Command::new(&program).output().expect("it starts").status.code(), Some(2), "without arguments");

    if !is_there("valgrind") {
        println!("not run under valgrind, which is not installed");
        return;
    }
    // Valgrind has none of the newest instructions, and Rust's backtraces would read the whole library's symbols.
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    valgrind.arg(&program).arg(&key).arg("cpu").env("ZKML_CPU", "portable").env("RUST_BACKTRACE", "0");
    let told = succeeded("valgrind", &valgrind.output().expect("valgrind starts"));
    assert!(told.contains("operations run on cpu"), "{told}");
}
