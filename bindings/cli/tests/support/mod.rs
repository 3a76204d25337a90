//! Runs the built program on small models.

pub(crate) mod browser;
pub(crate) mod limited;
pub(crate) mod mutate;
#[cfg(feature = "serve")]
pub(crate) mod service;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use prost::Message;
use serde_json::Value;
use tract_onnx::pb::ModelProto;

/// A folder that goes away with the test.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary folder"))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        string(self.0.path().join(name))
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("write scratch file");
        path
    }
}

fn string(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("a path of text")
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> String {
    string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path))
}

/// A dense layer from 6 to 4, or its input.
pub(crate) fn gemm(extension: &str) -> String {
    repository(&format!("tests/models/ops/gemm_plain.{extension}"))
}

/// A model's file with other weights: each learned value through a function.
pub(crate) fn retrained(scratch: &Scratch, model: &str, name: &str, change: impl Fn(f32) -> f32) -> String {
    let mut model = ModelProto::decode(&std::fs::read(model).expect("the model")[..]).expect("a model");
    let graph = model.graph.as_mut().expect("a graph");
    for tensor in &mut graph.initializer {
        for bytes in tensor.raw_data.chunks_exact_mut(4) {
            let value = f32::from_le_bytes(bytes.try_into().expect("four bytes"));
            bytes.copy_from_slice(&change(value).to_le_bytes());
        }
        tensor.float_data.iter_mut().for_each(|value| *value = change(*value));
    }
    scratch.file(name, model.encode_to_vec())
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    run_in(Path::new("."), arguments)
}

pub(crate) fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    program().args(arguments).current_dir(folder).output().expect("run zkml-gpu")
}

/// The program, which keeps no keys: tests leave nothing in their user's cache, and find nothing there.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkml-gpu"));
    command.env("ZKML_GPU_NO_CACHE", "1").env_remove("ZKML_GPU_CACHE");
    command
}

pub(crate) fn exit_code(output: &Output) -> i32 {
    output.status.code().expect("not killed by a signal")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The one JSON object on stdout of a run that succeeded.
pub(crate) fn json(output: &Output) -> Value {
    assert_eq!(exit_code(output), 0, "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object on stdout")
}

/// Proves the dense layer; the folder with the artifacts.
pub(crate) fn prove(arguments: &[&str]) -> (Scratch, String) {
    prove_model("gemm_plain", arguments)
}

/// Proves a small model of one operator; the folder with the artifacts.
pub(crate) fn prove_model(name: &str, arguments: &[&str]) -> (Scratch, String) {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let [model, input] = ["onnx", "json"].map(|extension| repository(&format!("tests/models/ops/{name}.{extension}")));
    let output = run(&[&["prove", &model, &input, "--out", &out], arguments].concat());
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    (scratch, out)
}
