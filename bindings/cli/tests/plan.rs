//! `zkml-gpu plan`, and the refusal of what would not fit.

#[path = "../src/bench/onnx.rs"]
mod onnx;

use serde_json::Value;

use crate::support::{Scratch, exit_code, gemm, json, repository, run, text};

/// Fields of `plan --json`, in order.
const PLAN_FIELDS: [&str; 29] = [
    "model",
    "parameters",
    "macs",
    "k",
    "rows",
    "soundness_bits",
    "advice_columns",
    "further_proof_bytes",
    "inferences",
    "fixed_columns",
    "instance_columns",
    "weight_columns",
    "degree",
    "lookups",
    "functions",
    "layers",
    "unused_share",
    "prove_cpu_ms",
    "prove_ms",
    "verify_ms",
    "proof_bytes",
    "key_bytes",
    "choice",
    "memory_bytes",
    "least_memory_bytes",
    "table_budget_bytes",
    "coset_budget_bytes",
    "available_memory_bytes",
    "costs",
];
/// Fields of each of its layers.
const LAYER_FIELDS: [&str; 9] = [
    "name",
    "operator",
    "operand_rows",
    "result_rows",
    "cross_term_rows",
    "small_cells",
    "full_cells",
    "lookups",
    "share",
];

fn assert_fields(object: &Value, fields: &[&str]) {
    let mut expected: Vec<&str> = fields.to_vec();
    let mut got: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    expected.sort_unstable();
    got.sort_unstable();
    assert_eq!(got, expected);
}

fn plan(arguments: &[&str]) -> Value {
    json(&run(&[&["plan", &gemm("onnx"), &gemm("json"), "--json"], arguments].concat()))
}

#[test]
fn a_plan_tells_what_the_proof_then_is() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let plan = plan(&[]);
    // The plan's key is the one without a proof of the weights, which is made once.
    let prove = ["prove", &gemm("onnx"), &gemm("json"), "--unproven-weights", "--out", &out, "--json"];
    let proof = json(&run(&prove));
    assert_fields(&plan, &PLAN_FIELDS);
    for field in ["model", "parameters", "macs", "k", "fixed_columns", "lookups", "proof_bytes"] {
        assert_eq!(plan[field], proof[field], "{field}");
    }
    let advice: u64 = plan["advice_columns"].as_array().expect("phases").iter().flat_map(Value::as_u64).sum();
    assert_eq!(Some(advice), proof["advice_columns"].as_u64());
    let key_bytes = std::fs::metadata(format!("{out}/model.vk")).expect("model.vk").len() as f64;
    let planned = plan["key_bytes"].as_f64().expect("a number");
    assert!((0.9..=1.1).contains(&(planned / key_bytes)), "{planned} of {key_bytes}");
    // Of the 253 bits that a challenge has, each doubling of rows, lookups or degrees costs one.
    let bits = plan["soundness_bits"].as_f64().expect("a number");
    assert!((225.0..250.0).contains(&bits), "{bits}");
    for field in ["prove_cpu_ms", "prove_ms", "verify_ms", "memory_bytes"] {
        assert!(plan[field].as_f64() > Some(0.0), "{field}");
    }
}

#[test]
fn the_shares_of_a_plan_add_up() {
    let plan = plan(&["--costs", "reference"]);
    let layers = plan["layers"].as_array().expect("a list");
    layers.iter().for_each(|layer| assert_fields(layer, &LAYER_FIELDS));
    assert_eq!(layers[layers.len() - 1]["name"], "public tensors");
    let shares: f64 = layers.iter().flat_map(|layer| layer["share"].as_f64()).sum();
    let total = shares + plan["unused_share"].as_f64().expect("a number");
    assert!((total - 1.0).abs() < 1e-9 && shares > 0.0, "{total}");
    for (bank, field) in ["operand_rows", "result_rows", "cross_term_rows"].into_iter().enumerate() {
        let rows: u64 = layers.iter().flat_map(|layer| layer[field].as_u64()).sum();
        assert_eq!(Some(rows), plan["rows"][bank].as_u64(), "{field}");
    }
}

#[test]
fn a_plan_in_words_names_layers_rows_time_and_memory() {
    let output = run(&["plan", &gemm("onnx"), &gemm("json")]);
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in [
        "gemm_plain",
        "layer",
        "Linear",
        "k = ",
        "degree",
        "statistical error 2^-2",
        "prove",
        "verify",
        "memory",
        "proof",
        "key",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn prices_in_a_file_give_the_same_circuit_and_wrong_ones_exit_2() {
    let scratch = Scratch::new();
    let measured = plan(&[]);
    let file = scratch.file("costs.json", measured["costs"].to_string());
    let again = plan(&["--costs", &file]);
    for field in ["costs", "choice", "prove_ms", "layers"] {
        assert_eq!(again[field], measured[field], "{field}");
    }
    let mut unsound = measured["costs"].clone();
    unsound["butterfly_ns"] = 0.into();
    let mut unknown = measured["costs"].clone();
    unknown["other"] = 1.into();
    for content in ["", "{}", &unsound.to_string(), &unknown.to_string()] {
        let file = scratch.file("wrong.json", content);
        let output = run(&["plan", &gemm("onnx"), &gemm("json"), "--costs", &file]);
        assert_eq!(exit_code(&output), 2, "{content}");
        assert!(text(&output.stderr).contains("hint:"), "{}", text(&output.stderr));
    }
    assert_eq!(exit_code(&run(&["plan", &gemm("onnx"), &gemm("json"), "--costs", &scratch.path("absent")])), 2);
}

#[test]
fn a_model_with_too_many_rows_exits_4_before_its_input_is_read() {
    let scratch = Scratch::new();
    let features = 1 << 22;
    let shapes = onnx::Shapes { input: &[features], convolutions: &[], dense: &[1] };
    let model = scratch.file("wide.onnx", shapes.model());
    for command in ["prove", "plan"] {
        let output = run(&[command, &model, &scratch.path("absent.json")]);
        assert_eq!(exit_code(&output), 4, "{}", text(&output.stderr));
        let message = text(&output.stderr);
        // Each feature has a row, and the bias one; the largest circuit has 2^22 rows, of which 6 blind it.
        for part in ["4194305 rows", "4194298 usable", "k = 22", "'gemm0' 4194305", "hint:"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[test]
fn a_model_that_needs_more_memory_than_permitted_exits_4() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let needed = bytes(&plan(&[]), "least_memory_bytes");
    for limit in ["1MiB".to_owned(), (needed - 1).to_string()] {
        let output = run(&["prove", &gemm("onnx"), &gemm("json"), "--out", &out, "--max-memory", &limit]);
        assert_eq!(exit_code(&output), 4, "{limit}: {}", text(&output.stderr));
        assert!(!std::path::Path::new(&out).exists());
        let message = text(&output.stderr);
        assert!(message.contains("may be used") && message.contains("hint:"), "{message}");
        assert!(limit != "1MiB" || message.contains("1 MiB"), "{message}");
    }
    let message = text(&run(&["plan", &gemm("onnx"), &gemm("json"), "--max-memory", &(needed - 1).to_string()]).stderr);
    assert!(message.contains("may be used") && message.contains("largest layers: "), "{message}");
    assert_eq!(bytes(&plan(&["--max-memory", &needed.to_string()]), "memory_bytes"), needed);
    assert_eq!(exit_code(&run(&["plan", &gemm("onnx"), &gemm("json"), "--max-memory", "much"])), 2);
}

fn bytes(report: &Value, field: &str) -> u64 {
    report[field].as_u64().expect("a number of bytes")
}

#[test]
fn memory_beyond_the_needs_goes_to_kept_cosets_first_and_to_tables_then() {
    let all = plan(&["--max-memory", "1TiB"]);
    let [least, cosets, tables] =
        ["least_memory_bytes", "coset_budget_bytes", "table_budget_bytes"].map(|field| bytes(&all, field));
    assert!(cosets > 0 && tables > 0 && bytes(&all, "memory_bytes") == least + cosets + tables, "{all}");
    for (limit, kept, multiples) in [
        (least, 0, 0),
        (least + cosets, cosets, 0),
        (least + cosets + tables / 2, cosets, tables / 2),
        (least + cosets + tables, cosets, tables),
    ] {
        let plan = plan(&["--max-memory", &limit.to_string()]);
        assert_eq!([bytes(&plan, "coset_budget_bytes"), bytes(&plan, "table_budget_bytes")], [kept, multiples]);
        assert_eq!([bytes(&plan, "least_memory_bytes"), bytes(&plan, "memory_bytes")], [least, limit]);
    }
}

#[test]
fn a_prover_with_little_memory_takes_less_and_its_proofs_verify() {
    let scratch = Scratch::new();
    let (model, input) = (repository("examples/lenet/lenet.onnx"), repository("examples/lenet/seven.json"));
    // Four inputs with one load: tables and cosets are of use to several proofs alone.
    let inputs: Vec<String> =
        (0..4).map(|i| scratch.file(&format!("{i}.json"), std::fs::read(&input).expect("an input"))).collect();
    let prove = |name: &str, limit: &str| {
        let out = scratch.path(name);
        let arguments = ["prove", &model, "--calibration", &input, "--unproven-weights", "--out", &out, "--costs"];
        let limits = ["reference", "--json", "--max-memory", limit];
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let report = json(&run(&[&arguments[..], &limits, &inputs].concat()));
        for i in 0..4 {
            let [proof, key] = [format!("{out}/{i}.proof.json"), format!("{out}/model.vk")];
            assert_eq!(json(&run(&["verify", &proof, "--vk", &key, "--json"]))["accepted"], true);
        }
        report
    };
    let plan =
        |more: &[&str]| json(&run(&[&["plan", &model, &input, "--costs", "reference", "--json"], more].concat()));
    let least = bytes(&plan(&[]), "least_memory_bytes");
    let (little, much) = (prove("little", &least.to_string()), prove("much", "1TiB"));
    let plan = plan(&["--max-memory", "1TiB"]);
    let spent: u64 = ["coset_budget_bytes", "table_budget_bytes"].iter().map(|field| bytes(&plan, field)).sum();
    let [less, more] = [&little, &much].map(|report| bytes(report, "peak_rss_bytes"));
    // By how much less depends on what the allocator keeps of what it was given back.
    assert!(spent > 8 << 20 && less < more, "{less} bytes, and {more} with {spent} to spend");
    let out = scratch.path("one");
    let one = ["prove", &model, &input, "--unproven-weights", "--out", &out, "--costs", "reference", "--json"];
    let less = bytes(&json(&run(&[&one[..], &["--max-memory", &least.to_string()]].concat())), "peak_rss_bytes");
    assert!(less <= least, "{less} bytes of {least}");
}
