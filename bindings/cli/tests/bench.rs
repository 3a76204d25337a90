//! `zkml-gpu bench ops`: fields, operations and refusals. Nothing is said about time.

use serde_json::Value;

use crate::support::{exit_code, gemm, json, run, text};

/// Every operation of the back end traits; multi-scalar multiplications by the width of their scalars.
const OPERATIONS: [&str; 35] = [
    "upload",
    "upload_columns",
    "upload_integer_columns",
    "download",
    "zeros",
    "read_range",
    "write_range",
    "slice",
    "load_bases",
    "msm",
    "msm_i8",
    "msm_i32",
    "msm_rows",
    "ntt",
    "intt",
    "coset_ntt",
    "interpolate_cosets",
    "add_assign",
    "sub_assign",
    "mul_assign",
    "scale",
    "linear_combination",
    "batch_invert",
    "prefix_sum",
    "prefix_product",
    "affine_scan",
    "eval_polynomials",
    "divide_by_linear",
    "powers",
    "inner_product",
    "permute_lookup",
    "compile",
    "evaluate",
    "load_integers",
    "fold_integers",
];

fn peers<'a>(rows: &'a [Value], op: &str, log_n: u64) -> Vec<Option<&'a str>> {
    let rows = rows.iter().filter(|row| row["op"] == op && row["log_n"] == log_n);
    rows.map(|row| row["peer"].as_str()).collect()
}

/// A row has exactly the promised fields, and its ratio is that of its times.
fn assert_row(row: &Value) {
    let fields: Vec<&String> = row.as_object().expect("an object").keys().collect();
    assert_eq!(fields.len(), 9, "{row}");
    assert_eq!(row["backend"], "cpu");
    let ms = row["ms"].as_f64().expect("a time");
    assert!(ms > 0.0 && row["elements"].as_u64() > Some(0), "{row}");
    let spread = |of: &str| row["spread"][of].as_f64().expect("a time");
    assert!(spread("least") <= ms && ms <= spread("greatest") && spread("median") == ms, "{row}");
    match (row["peer"].as_str(), row["peer_ms"].as_f64(), row["ratio"].as_f64()) {
        (Some("halo2-axiom" | "halo2curves" | "ark-bn254"), Some(peer_ms), Some(ratio)) => {
            assert!((ratio - peer_ms / ms).abs() <= 1e-9 * ratio, "{row}");
        }
        _ => assert!(["peer", "peer_ms", "ratio"].iter().all(|field| row[field].is_null()), "{row}"),
    }
}

#[test]
fn every_operation_is_measured_beside_its_peers() {
    let output = run(&["bench", "ops", "--log-n", "6,7", "--backend", "cpu", "--json"]);
    let report = json(&output);
    assert_eq!(text(&output.stdout).matches('\n').count(), 1, "one line, and nothing else on stdout");
    let rows = report["rows"].as_array().expect("rows");
    rows.iter().for_each(assert_row);
    for log_n in [6, 7] {
        for op in OPERATIONS {
            assert!(!peers(rows, op, log_n).is_empty(), "{op} 2^{log_n}");
        }
        for op in ["msm", "msm_i8", "msm_i32", "msm_no_table", "msm_i8_no_table", "msm_i32_no_table"] {
            assert_eq!(peers(rows, op, log_n), [Some("halo2-axiom"), Some("halo2curves"), Some("ark-bn254")], "{op}");
        }
        for op in ["ntt", "intt", "coset_ntt", "batch_invert", "eval_polynomials"] {
            assert_eq!(peers(rows, op, log_n), [Some("halo2-axiom")], "{op}");
        }
        for op in ["upload", "permute_lookup", "evaluate"] {
            assert_eq!(peers(rows, op, log_n), [None], "{op}");
        }
    }
    let tables = report["tables"].as_array().expect("tables");
    assert_eq!(tables.iter().map(|table| table["log_n"].as_u64()).collect::<Vec<_>>(), [Some(6), Some(7)]);
    assert!(tables.iter().all(|table| table["build_ms"].as_f64() > Some(0.0)));
    assert_eq!(report["table_budget_bytes"], 128 << 20);
    assert!(report["threads"].as_u64() > Some(0) && report["machine"].is_string());
    assert_eq!((&report["format_version"], &report["bench"]), (&Value::from(1), &Value::from("ops")));
    assert!(report["comparison"].is_null());
}

#[test]
fn the_table_shows_operations_and_what_they_depend_on() {
    let arguments = ["bench", "ops", "--log-n", "3", "--backend", "dual:cpu,cpu", "--threads", "1"];
    let output = run(&[&arguments[..], &["--table-budget", "1MiB"]].concat());
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in [&OPERATIONS[..], &["dual:cpu,cpu", "2^3", "ns/element", "halo2-axiom", "ark-bn254"]].concat() {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for part in ["of at most 1,048,576", "threads      1", "1 threads", "machine"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// Looking for back ends must not start threads before their number is known.
#[test]
fn the_number_of_threads_counts_whichever_back_ends_are_present() {
    let model = gemm("onnx");
    let ops = ["bench", "ops", "--log-n", "3", "--table-budget", "1MiB", "--json"].map(str::to_owned);
    let prove = ["bench", "prove", &model, "--runs", "1", "--warm-ups", "0", "--json"].map(str::to_owned);
    for arguments in [&ops[..], &prove] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--threads", "1"]).collect();
        let output = run(&arguments);
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
        assert_eq!(json(&output)["threads"], 1);
    }
}

#[test]
fn bad_arguments_are_refused_with_a_hint() {
    for log_n in ["0", "25", "6,6", "x", "", "6,"] {
        let output = run(&["bench", "ops", "--log-n", log_n]);
        assert_eq!(exit_code(&output), 2, "{log_n}");
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("hint:"), "{}", text(&output.stderr));
    }
    for (name, code) in [("cuda", 3), ("wgpu:99", 3), ("icicle", 3), ("dual:cpu,cuda", 3), ("gpu", 2), ("cpu:1", 2)] {
        let output = run(&["bench", "ops", "--log-n", "6", "--backend", name]);
        assert_eq!(exit_code(&output), code, "{name}");
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("hint:"), "{}", text(&output.stderr));
    }
    let output = run(&["bench", "ops", "--log-n", "6", "--backend", "cpu,cpu"]);
    assert!(exit_code(&output) == 2 && text(&output.stderr).contains("given twice"), "{}", text(&output.stderr));
    for arguments in [&["--table-budget", "much"][..], &["--threads", "0"], &["--log-n", "6", "--log-n", "7"]] {
        assert_eq!(exit_code(&run(&[&["bench", "ops"], arguments].concat())), 2, "{arguments:?}");
    }
    assert_eq!(exit_code(&run(&["bench"])), 2);
}
