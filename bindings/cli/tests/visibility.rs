//! Hidden inputs and outputs on the command line: what files, messages and caches hold of them, and models in a chain.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use zkml_gpu::graph::Format;
use zkml_gpu::{CompiledModel, Poseidon, hash_tensor};

use crate::support::{Scratch, exit_code, gemm, json, program, repository, run, text};

fn ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(exit_code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(output: &Output, parts: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(exit_code(output), 2, "{message}");
    for part in parts.iter().chain(&["hint: "]) {
        assert!(message.contains(part), "{part}: {message}");
    }
}

/// Samples for calibration, with extremes that no input of these tests has.
fn calibration(scratch: &Scratch) -> String {
    scratch.file("calibration.json", r#"{"input_data": [[1.5, -0.5, 0.25, 0.5, -1.0, 0.75]]}"#)
}

/// An input whose numbers are found nowhere else.
const SECRET: [f64; 6] = [0.8173641, -0.3927451, 0.7164823, -0.6518347, 0.2936187, 0.5384729];

fn secret(scratch: &Scratch) -> String {
    scratch.file("secret.json", serde_json::json!({ "input_data": [SECRET] }).to_string())
}

/// `NAME.zkml` and keys of the dense layer with this visibility.
fn keys(scratch: &Scratch, name: &str, visibility: &[&str]) -> [String; 2] {
    let (zkml, out) = (scratch.path(&format!("{name}.zkml")), scratch.path("keys"));
    let calibration = calibration(scratch);
    ok(&[&["compile", &gemm("onnx"), "--calibration", &calibration, "--out", &zkml], visibility].concat());
    ok(&["setup", &zkml, "--out", &out]);
    ["pk", "vk"].map(|kind| format!("{out}/{name}.{kind}"))
}

/// Names of the dense layer's input and output.
fn names(vk: &str) -> [String; 2] {
    let key = json(&run(&["inspect", vk, "--json"]));
    ["inputs", "outputs"].map(|ports| key["statement"][ports][0]["name"].as_str().expect("a name").to_owned())
}

fn gemm_names() -> [String; 2] {
    let scratch = Scratch::new();
    let [_, vk] = keys(&scratch, "public", &[]);
    names(&vk)
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Ways in which a run of numbers may stand in a file: as text, and as numbers of several widths.
fn encodings(reals: &[f64], integers: &[i64]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = reals.iter().map(|value| format!("{:.5}", value.abs()).into_bytes()).collect();
    all.extend(reals.iter().map(|value| (*value as f32).to_le_bytes().to_vec()));
    all.extend(reals.iter().map(|value| value.to_le_bytes().to_vec()));
    let joined = |separator: &str| integers.iter().map(i64::to_string).collect::<Vec<_>>().join(separator).into_bytes();
    all.extend([joined(","), joined(", ")]);
    all.push(integers.iter().flat_map(|value| value.to_le_bytes()).collect());
    all.push(integers.iter().flat_map(|value| (*value as i32).to_le_bytes()).collect());
    all.push(integers.iter().flat_map(|value| (*value as i16).to_le_bytes()).collect());
    all
}

/// The integers of the secret input in a key's scale.
fn integers(vk: &str) -> Vec<i64> {
    let key = json(&run(&["inspect", vk, "--json"]));
    let bits = key["statement"]["inputs"][0]["format"]["frac_bits"].as_i64().expect("fractional bits");
    SECRET.iter().map(|value| (value * 2f64.powi(i32::try_from(bits).expect("few"))).round() as i64).collect()
}

#[test]
fn hidden_inputs_and_outputs_are_accepted_and_shown_as_such() {
    let [x, y] = gemm_names();
    for (input, output) in [
        ("private", "public"),
        ("public", "private"),
        ("private", "private"),
        ("committed", "committed"),
        ("hashed", "hashed"),
        ("public", "hashed"),
    ] {
        for weights in ["committed", "embedded"] {
            let scratch = Scratch::new();
            let [input_option, output_option] = [format!("{x}={input}"), format!("{y}={output}")];
            let visibility = ["--input", &input_option, "--output", &output_option, "--weights", weights];
            let [pk, vk] = keys(&scratch, "gemm", &visibility);
            let out = scratch.path("out");
            let proved = ok(&["prove", &pk, &secret(&scratch), "--out", &out]);
            let proof = format!("{out}/proof.json");
            let verdict = json(&run(&["verify", &proof, "--vk", &vk, "--json"]));
            assert_eq!(verdict["input_visibility"], serde_json::json!([input]));
            assert_eq!(verdict["output_visibility"], serde_json::json!([output]));
            let shown = ok(&["verify", &proof, "--vk", &vk]);
            let inspected = ok(&["inspect", &vk]) + &ok(&["inspect", &proof]);
            for (name, visibility) in [(&x, input), (&y, output)] {
                for text in [&proved, &shown, &inspected] {
                    let told = text.contains(&format!("{name} is {visibility}"));
                    assert_eq!(told, visibility != "public", "{visibility} {name}: {text}");
                }
            }
            // A proof for one visibility is none for another, and no values can be put in.
            let mut bundle: Value =
                serde_json::from_slice(&std::fs::read(&proof).expect("the proof")).expect("a JSON object");
            let hidden = if input == "public" { "outputs" } else { "inputs" };
            bundle[hidden][0]["visibility"] = "public".into();
            let other = scratch.file("other.json", bundle.to_string());
            assert_eq!(exit_code(&run(&["verify", &other, "--vk", &vk])), 1);
        }
    }
}

#[test]
fn a_hash_that_is_made_before_the_proof_is_that_of_the_proof() {
    let scratch = Scratch::new();
    let [x, _] = gemm_names();
    let [pk, vk] = keys(&scratch, "gemm", &["--input", &format!("{x}=hashed")]);
    let input = secret(&scratch);
    let hash = |out: &str, extra: &[&str]| {
        let arguments = ["commit", &input, "--vk", &vk, "--input", &x, "--out", &scratch.path(out), "--json"];
        json(&run(&[&arguments[..], extra].concat()))
    };
    let (plain, salted) = (hash("plain", &[]), hash("salted", &["--salt"]));
    assert!(plain["hash"] != salted["hash"] && plain["salt_file"].is_null());
    let salt = salted["salt_file"].as_str().expect("a file").to_owned();
    let prove = |out: &str, extra: &[&str]| {
        let out = scratch.path(out);
        ok(&[&["prove", &pk, &input, "--out", &out], extra].concat());
        let verdict = json(&run(&["verify", &format!("{out}/proof.json"), "--vk", &vk, "--json"]));
        assert_eq!(verdict["accepted"], true);
        verdict["input_hash"][0].clone()
    };
    // A salt and a hash are as many digits: neither's are shown.
    for file in [&salt, plain["hash_file"].as_str().expect("a file")] {
        let shown = ok(&["inspect", file]);
        assert!(shown.contains("the hash of a tensor, or a salt"), "{shown}");
        let digits = std::fs::read_to_string(file).expect("the digits");
        assert!(!shown.contains(digits.trim_end()), "{shown}");
        assert_eq!(json(&run(&["inspect", file, "--json"]))["kind"], "hash or salt");
    }
    let named = format!("{x}={salt}");
    assert_eq!(prove("one", &[]), plain["hash"]);
    let inspected = json(&run(&["inspect", &scratch.path("one/proof.json"), "--json"]));
    assert_eq!(inspected["inputs"][0]["hash"], plain["hash"]);
    assert_eq!(prove("other", &["--salt", &named]), salted["hash"]);
    // The proof is for its hash alone.
    let proof = std::fs::read(scratch.path("one/proof.json")).expect("the proof");
    let mut bundle: Value = serde_json::from_slice(&proof).expect("JSON");
    for hash in [salted["hash"].clone(), Value::Null, "0".into(), "f".repeat(64).into()] {
        bundle["inputs"][0]["hash"] = hash;
        let other = scratch.file("other.json", bundle.to_string());
        assert_ne!(exit_code(&run(&["verify", &other, "--vk", &vk])), 0);
    }
    // Whoever has the hash demands it, and whoever has the numbers finds it.
    let [plain_file, salted_file] =
        [&plain, &salted].map(|made| made["hash_file"].as_str().expect("a file").to_owned());
    let demand =
        |file: &str| run(&["verify", &scratch.path("one/proof.json"), "--vk", &vk, "--hash", &format!("{x}={file}")]);
    assert_eq!(exit_code(&demand(&plain_file)), 0);
    let rejected = demand(&salted_file);
    assert_eq!(exit_code(&rejected), 1);
    assert!(text(&rejected.stdout).contains("has not the hash given"), "{}", text(&rejected.stdout));
    refused(&demand(&input), &["holds no hash"]);
    let open = |hash: &str, numbers: &str, more: &[&str]| {
        run(&[&["open", hash, numbers, "--vk", &vk, "--input", &x], more].concat())
    };
    assert_eq!(exit_code(&open(&plain_file, &input, &[])), 0);
    assert_eq!(json(&open(&salted_file, &input, &["--salt", &salt, "--json"]))["opens"], true);
    for (hash, numbers, more) in [
        (&salted_file, &input, &[][..]),
        (&plain_file, &input, &["--salt", &salt]),
        (&plain_file, &calibration(&scratch), &[]),
    ] {
        refused(&open(hash, numbers, more), &["the hash is of other numbers"]);
    }
    refused(&run(&["open", &plain_file, &input]), &["is no commitment"]);
    // Numbers that the integers do not reach are not taken for those that they are clamped to.
    let beyond = scratch.file("beyond.json", r#"{"input_data": [[1e6, -0.5, 0.25, 0.5, -1.0, 0.75]]}"#);
    refused(&open(&plain_file, &beyond, &[]), &["beyond the range"]);
    refused(
        &run(&["commit", &beyond, "--vk", &vk, "--input", &x, "--out", &scratch.path("beyond")]),
        &["beyond the range"],
    );
    // A salt is written once, for what is hashed, and read from a file that holds one.
    refused(
        &run(&["commit", &input, "--vk", &vk, "--input", &x, "--out", &scratch.path("salted"), "--salt"]),
        &["there already"],
    );
    let wrong = scratch.file("wrong.salt", "0");
    let out = scratch.path("out");
    for (name, file, said) in [(&x, &wrong, "no salt"), (&"nothing".to_owned(), &salt, "no hashed input")] {
        refused(&run(&["prove", &pk, &input, "--out", &out, "--salt", &format!("{name}={file}")]), &[said]);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&salt).expect("the salt").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read the salt");
    }
}

/// The circuit proves indices by ones and zeros: the hash is of the indices, which other models have alike.
#[test]
fn the_hash_of_indices_is_of_the_indices() {
    let scratch = Scratch::new();
    let [onnx, input] = ["onnx", "json"].map(|kind| repository(&format!("tests/models/ops/embedding.{kind}")));
    let (zkml, out) = (scratch.path("rows.zkml"), scratch.path("out"));
    let compile = ["compile", &onnx, "--calibration", &input, "--allow-error", "--out", &zkml];
    ok(&[&compile[..], &["--input", "input=hashed"]].concat());
    ok(&["setup", &zkml, "--out", &out]);
    let vk = format!("{out}/rows.vk");
    let commit = |file: &str| run(&["commit", file, "--vk", &vk, "--input", "input", "--out", &out, "--json"]);
    let made = json(&commit(&input));
    ok(&["prove", &format!("{out}/rows.pk"), &input, "--out", &out]);
    let verdict = json(&run(&["verify", &format!("{out}/proof.json"), "--vk", &vk, "--json"]));
    assert_eq!((&verdict["accepted"], &verdict["input_hash"][0]), (&true.into(), &made["hash"]));
    let file: Value = serde_json::from_slice(&std::fs::read(&input).expect("the input")).expect("JSON");
    let indices: Vec<f32> = serde_json::from_value(file["input_data"][0].clone()).expect("a list");
    let indices: Vec<i64> = indices.into_iter().map(|index| index as i64).collect();
    // Digits have at least eight bits, whatever the number of rows of the table.
    let format = Format::new(0, 0, 6);
    let hash = hash_tensor(&Poseidon::new(), format, &indices, None).expect("a hash");
    assert_eq!(made["hash"], hash.to_string());
    let proof = format!("{out}/proof.json");
    assert!(!std::fs::read_to_string(&proof).expect("the proof").contains("[2.0,1.0"), "it holds the indices");
    let demand = |file: &str| run(&["verify", &proof, "--vk", &vk, "--hash", &format!("input={file}")]);
    assert_eq!(exit_code(&demand(made["hash_file"].as_str().expect("a file"))), 0);
    let other = scratch.file("other.json", r#"{"input_data": [[2, 1, 5, 6, 4]]}"#);
    let made = json(&commit(&other));
    assert_eq!(exit_code(&demand(made["hash_file"].as_str().expect("a file"))), 1);
    // The last one, counted from the end.
    let [last, from_end] = [6, -1].map(|index| {
        let file = scratch.file(&format!("{index}.json"), format!(r#"{{"input_data": [[2, 1, 5, 6, {index}]]}}"#));
        json(&commit(&file))["hash"].clone()
    });
    assert_eq!(last, from_end);
    let beyond = scratch.file("beyond.json", r#"{"input_data": [[2, 1, 5, 6, 400]]}"#);
    refused(&commit(&beyond), &["no whole number from 0 to 6"]);
}

/// The circuit stores a matrix as its transpose: the hash is of the model's order all the same, and nobody need know.
#[test]
fn the_hash_of_a_matrix_is_of_the_models_order() {
    let scratch = Scratch::new();
    let [onnx, input] = ["onnx", "json"].map(|kind| repository(&format!("tests/models/ops/gemm_rows.{kind}")));
    let plain = scratch.path("plain.zkml");
    ok(&["compile", &onnx, "--calibration", &input, "--allow-error", "--out", &plain]);
    ok(&["setup", &plain, "--unproven-weights", "--out", &scratch.path("keys")]);
    let [x, y] = names(&scratch.path("keys/plain.vk"));
    for (input_is, output_is) in [("hashed", "public"), ("hashed", "hashed"), ("public", "hashed")] {
        let (zkml, out) = (scratch.path("rows.zkml"), scratch.path(&format!("{input_is}-{output_is}")));
        let [of_x, of_y] = [format!("{x}={input_is}"), format!("{y}={output_is}")];
        let compile = ["compile", &onnx, "--calibration", &input, "--allow-error", "--out", &zkml];
        ok(&[&compile[..], &["--input", &of_x, "--output", &of_y]].concat());
        ok(&["setup", &zkml, "--unproven-weights", "--out", &out]);
        let vk = format!("{out}/rows.vk");
        ok(&["prove", &format!("{out}/rows.pk"), &input, "--out", &out]);
        let verdict = json(&run(&["verify", &format!("{out}/proof.json"), "--vk", &vk, "--json"]));
        assert_eq!(verdict["accepted"], true);
        if input_is == "hashed" {
            let made = json(&run(&["commit", &input, "--vk", &vk, "--input", &x, "--out", &out, "--json"]));
            assert_eq!(made["hash"], verdict["input_hash"][0]);
        }
        if output_is == "hashed" {
            // What the hash is of: the integers that the quantised network gives, in the model's order.
            let model = CompiledModel::read(&zkml).expect("the compiled model");
            let graph = model.graph();
            let file: Value = serde_json::from_slice(&std::fs::read(&input).expect("the input")).expect("JSON");
            let lists = |key: &str| -> Vec<Vec<f32>> { serde_json::from_value(file[key].clone()).expect("lists") };
            let output = &graph.tensors[graph.outputs[0]];
            let inference = graph.run(&graph.quantise_inputs(&lists("input_data"))).expect("an inference");
            let integers = &inference.values[graph.outputs[0]];
            let hash = hash_tensor(&Poseidon::new(), output.format, integers, None).expect("a hash");
            assert_eq!(verdict["output_hash"][0], hash.to_string());
            let expected = &lists("output_data")[0];
            let extent = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
            let near = |(integer, expected): (&i64, &f32)| {
                (output.format.dequantise(*integer) - expected).abs() < 0.1 * extent
            };
            assert!(integers.iter().zip(expected).all(near), "{integers:?} {expected:?}");
        }
    }
}

#[test]
fn a_name_that_names_nothing_is_refused_with_those_that_there_are() {
    let scratch = Scratch::new();
    let [x, y] = gemm_names();
    let zkml = scratch.path("a.zkml");
    let calibration = calibration(&scratch);
    let base = ["compile", &gemm("onnx"), "--calibration", &calibration, "--out", &zkml];
    refused(&run(&[&base[..], &["--input", "nothing=private"]].concat()), &["no input 'nothing'", &x]);
    refused(&run(&[&base[..], &["--output", "nothing=private"]].concat()), &["no output 'nothing'", &y]);
    assert_eq!(exit_code(&run(&[&base[..], &["--input", &format!("{x}=secret")]].concat())), 2);
    assert!(!Path::new(&zkml).exists());
}

#[test]
fn what_is_hidden_does_not_calibrate_and_a_key_takes_no_visibility() {
    let scratch = Scratch::new();
    let [x, _] = gemm_names();
    let private = format!("{x}=private");
    let (out, input) = (scratch.path("out"), secret(&scratch));
    let output = run(&["prove", &gemm("onnx"), &input, "--input", &private, "--out", &out]);
    refused(&output, &["would calibrate", "--calibration"]);
    let [pk, _] = keys(&scratch, "gemm", &["--input", &private]);
    refused(&run(&["prove", &pk, &input, "--input", &private, "--out", &out]), &["--input has no meaning"]);
}

#[test]
fn no_file_message_or_cache_holds_a_hidden_value() {
    let [x, y] = gemm_names();
    for visibility in ["private", "committed"] {
        let scratch = Scratch::new();
        let (calibration, input) = (calibration(&scratch), secret(&scratch));
        let hidden = [format!("{x}={visibility}"), format!("{y}=private")];
        let (out, trace, cache) = (scratch.path("out"), scratch.path("trace.json"), scratch.path("cache"));
        let arguments = [
            "prove",
            &gemm("onnx"),
            &input,
            "--calibration",
            &calibration,
            "--input",
            &hidden[0],
            "--output",
            &hidden[1],
            "--out",
            &out,
            "--trace",
            &trace,
            "-vv",
            "--cache",
            &cache,
        ];
        let mut command = program();
        let run_of = command.args(arguments).env_remove("ZKML_GPU_NO_CACHE").output().expect("run zkml-gpu");
        assert_eq!(exit_code(&run_of), 0, "{}", text(&run_of.stderr));
        let vk = format!("{out}/model.vk");
        let integers = integers(&vk);
        let encodings = encodings(&SECRET, &integers);
        // The search finds what is there.
        let given = std::fs::read(&input).expect("the input");
        assert!(encodings.iter().any(|encoding| contains(&given, encoding)));
        let mut seen = 0;
        let openings = |path: &Path| path.extension().is_some_and(|kind| kind == "opening");
        for path in files(scratch.folder()).into_iter().filter(|path| !path.ends_with("secret.json")) {
            let bytes = std::fs::read(&path).expect("a file");
            let found = encodings.iter().find(|encoding| contains(&bytes, encoding));
            // An opening is what its owner keeps, and holds the tensor.
            assert_eq!(found.is_some(), openings(&path), "{}: {found:?}", path.display());
            seen += 1;
        }
        assert!(seen >= 5, "{seen} files");
        for stream in [&run_of.stdout, &run_of.stderr] {
            assert!(encodings.iter().all(|encoding| !contains(stream, encoding)), "{}", text(stream));
        }
        let told = run(&["verify", &format!("{out}/proof.json"), "--vk", &vk]);
        assert!(encodings.iter().all(|encoding| !contains(&told.stdout, encoding)), "{}", text(&told.stdout));
        #[cfg(unix)]
        for path in files(scratch.folder()).into_iter().filter(|path| openings(path)) {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).expect("an opening").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
    }
}

#[test]
fn refusals_of_a_hidden_input_quote_none_of_it() {
    let scratch = Scratch::new();
    let [x, _] = gemm_names();
    let [pk, _] = keys(&scratch, "gemm", &["--input", &format!("{x}=private")]);
    let out = scratch.path("out");
    for (list, reason) in [
        ("[98765.4321, 1, 1, 1, 1, 1]", "beyond the range"),
        ("[1, 1, 1, 1, 1, \"98765.4321\"]", "in the place of a number"),
        ("[1, 1, 1, 1, 1, 9.87654321e300]", "beyond a 32-bit float"),
    ] {
        let input = scratch.file("bad.json", format!("{{\"input_data\": [{list}]}}"));
        let output = run(&["prove", &pk, &input, "--out", &out, "--json"]);
        refused(&output, &[reason]);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(!said.contains("98765") && !said.contains("9.8765"), "{said}");
    }
}

/// The output of one model is the input of another: the function `max(x, 0)`, twice.
struct Chain {
    scratch: Scratch,
    input: String,
}

impl Chain {
    fn new() -> Self {
        let scratch = Scratch::new();
        let input = repository("tests/models/ops/relu_alone.json");
        let model = repository("tests/models/ops/relu_alone.onnx");
        ok(&["srs", "new", "--power", "13", "--out", &scratch.path("srs")]);
        let public = scratch.path("public.zkml");
        // One scale for all: whole numbers of eighths up to 4.
        let samples = r#"{"input_data": [[3.875, -3.875, 0.5, 1, 2, 3, -1, -2, -3]]}"#;
        let samples = scratch.file("samples.json", samples);
        let compile = |out: &str, extra: &[&str]| {
            let base = ["compile", &model, "--calibration", &samples, "--allow-error", "--min-k", "13", "--out", out];
            ok(&[&base[..], extra].concat());
            ok(&["setup", out, "--srs", &scratch.path("srs"), "--out", &scratch.path("keys")]);
        };
        compile(&public, &[]);
        let [x, y] = names(&scratch.path("keys/public.vk"));
        compile(&scratch.path("first.zkml"), &["--output", &format!("{y}=committed")]);
        compile(&scratch.path("second.zkml"), &["--input", &format!("{x}=committed")]);
        Self { scratch, input }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path(name)
    }

    fn names(&self) -> [String; 2] {
        names(&self.path("keys/public.vk"))
    }
}

#[test]
fn models_in_a_chain_share_a_commitment_and_a_third_partys_tensor_is_refused() {
    let chain = Chain::new();
    let [x, y] = chain.names();
    let [first, second, third] = ["first", "second", "third"].map(|name| chain.path(name));
    ok(&["prove", &chain.path("keys/first.pk"), &chain.input, "--max-saturation", "1", "--out", &first]);
    let (opening, commitment) = (format!("{first}/{y}.opening"), format!("{first}/{y}.commitment.json"));
    let srs = chain.path("srs");
    ok(&["open", &commitment, &opening, "--srs", &srs]);
    let point = json(&run(&["inspect", &commitment, "--json"]))["commitment"]["points"][0].clone();
    for (file, kind) in [(&commitment, "a commitment to a tensor"), (&opening, "an opening. Private")] {
        let shown = ok(&["inspect", file]);
        assert!(shown.contains(kind) && shown.contains(point.as_str().expect("a point")), "{shown}");
    }
    assert_eq!(json(&run(&["inspect", &opening, "--json"]))["kind"], "opening");
    // Of the second model's input file nothing counts: the committed input is what the opening holds.
    let any = chain.scratch.file("any.json", r#"{"input_data": [[0, 0, 0, 0, 0, 0, 0, 0, 0]]}"#);
    let given = format!("{x}={opening}");
    ok(&["prove", &chain.path("keys/second.pk"), &any, "--opening", &given, "--out", &second]);
    let verify = |proof: &str, key: &str, name: &str, commitment: &str| {
        let named = format!("{name}={commitment}");
        let (proof, key) = (format!("{proof}/proof.json"), chain.path(&format!("keys/{key}.vk")));
        run(&["verify", &proof, "--vk", &key, "--commitment", &named])
    };
    assert_eq!(exit_code(&verify(&first, "first", &y, &commitment)), 0);
    assert_eq!(exit_code(&verify(&second, "second", &x, &commitment)), 0);
    let outputs = |folder: &str| -> Value {
        let bytes = std::fs::read(format!("{folder}/proof.json")).expect("the proof");
        serde_json::from_slice::<Value>(&bytes).expect("JSON")["outputs"][0]["values"].clone()
    };
    assert!(outputs(&second).as_array().expect("a list").iter().any(|value| *value != 0), "the opening's tensor");

    // A third party's middle tensor has a proof, but not for this commitment.
    ok(&["prove", &chain.path("keys/second.pk"), &chain.input, "--max-saturation", "1", "--out", &third]);
    let rejected = verify(&third, "second", &x, &commitment);
    assert_eq!(exit_code(&rejected), 1);
    assert!(text(&rejected.stdout).contains("is not the tensor of the commitment"), "{}", text(&rejected.stdout));
    let own = format!("{third}/{x}.commitment.json");
    assert_eq!(exit_code(&verify(&third, "second", &x, &own)), 0);
    assert_eq!(exit_code(&verify(&third, "second", "nothing", &own)), 1);

    // An opening is of its own commitment only, and another one's is refused.
    refused(&run(&["open", &own, &opening, "--srs", &srs]), &["not of this commitment"]);
    let mut text_of: Value = serde_json::from_slice(&std::fs::read(&commitment).expect("it")).expect("JSON");
    let bits = text_of["frac_bits"].as_i64().expect("fractional bits");
    text_of["frac_bits"] = (bits + 1).into();
    let other = chain.scratch.file("other.json", text_of.to_string());
    refused(&run(&["open", &other, &opening, "--srs", &srs]), &["says something else"]);
    let smaller = chain.path("smaller");
    ok(&["srs", "new", "--power", "12", "--out", &smaller]);
    assert_eq!(exit_code(&run(&["open", &commitment, &opening, "--srs", &smaller])), 2);
}

#[test]
fn a_commitment_may_come_before_its_proof() {
    let chain = Chain::new();
    let [x, _] = chain.names();
    let (pk, vk, srs) = (chain.path("keys/second.pk"), chain.path("keys/second.vk"), chain.path("srs"));
    let (by_vk, by_pk) = (chain.path("by_vk"), chain.path("by_pk"));
    ok(&["commit", &chain.input, "--input", &x, "--vk", &vk, "--srs", &srs, "--out", &by_vk]);
    ok(&["commit", &chain.input, "--input", &x, "--pk", &pk, "--out", &by_pk]);
    let commitments = [&by_vk, &by_pk].map(|folder| format!("{folder}/{x}.commitment.json"));
    let [a, b] = commitments.clone().map(|path| std::fs::read_to_string(path).expect("a commitment"));
    assert_ne!(a, b, "commitments to one tensor are blinded anew");
    for (folder, commitment) in [&by_vk, &by_pk].into_iter().zip(&commitments) {
        ok(&["open", commitment, &format!("{folder}/{x}.opening"), "--pk", &pk]);
        let out = chain.path("out");
        let given = format!("{x}={folder}/{x}.opening");
        ok(&["prove", &pk, &chain.input, "--opening", &given, "--out", &out]);
        ok(&["verify", &format!("{out}/proof.json"), "--vk", &vk, "--commitment", &format!("{x}={commitment}")]);
        assert!(!Path::new(&format!("{out}/{x}.opening")).exists(), "an opening that was given is not written again");
    }
    // Of what is not committed, of another size, or of another number there is none.
    let [_, y] = chain.names();
    let out = chain.path("none");
    refused(&run(&["commit", &chain.input, "--output", &y, "--pk", &pk, "--out", &out]), &["not committed"]);
    refused(&run(&["commit", &chain.input, "--input", "z", "--pk", &pk, "--out", &out]), &[]);
    let short = chain.scratch.file("short.json", r#"{"input_data": [[1, 2]]}"#);
    refused(&run(&["commit", &short, "--input", &x, "--pk", &pk, "--out", &out]), &["takes 9"]);
}

#[test]
fn files_that_are_no_openings_or_commitments_are_refused() {
    let chain = Chain::new();
    let [x, _] = chain.names();
    let pk = chain.path("keys/second.pk");
    let folder = chain.path("a");
    ok(&["commit", &chain.input, "--input", &x, "--pk", &pk, "--out", &folder]);
    let (commitment, opening) = (format!("{folder}/{x}.commitment.json"), format!("{folder}/{x}.opening"));
    let bytes = std::fs::read(&opening).expect("an opening");
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = chain.scratch.file("changed.opening", changed);
        assert_eq!(exit_code(&run(&["open", &commitment, &changed, "--pk", &pk])), 2, "byte {at}");
    }
    let good: Value = serde_json::from_slice(&std::fs::read(&commitment).expect("it")).expect("JSON");
    let changes: [(&str, Value); 6] = [
        ("format", "zkml-gpu proof".into()),
        ("version", 2.into()),
        ("points", serde_json::json!([])),
        ("points", serde_json::json!(["00"])),
        ("points", serde_json::json!(["ff".repeat(32)])),
        ("k", (1 << 20).into()),
    ];
    for (field, value) in changes {
        let mut changed = good.clone();
        changed[field] = value;
        let changed = chain.scratch.file("changed.json", changed.to_string());
        assert_eq!(exit_code(&run(&["open", &changed, &opening, "--pk", &pk])), 2, "{field}");
    }
}
