//! What is told besides results: steps with their times, and traces.

use crate::support::{Scratch, exit_code, gemm, run, text};

#[test]
fn steps_are_told_with_their_times_where_they_are_asked_for() {
    let scratch = Scratch::new();
    let arguments = ["prove", &gemm("onnx"), &gemm("json"), "--out", &scratch.path("out"), "--replace"];
    let silent = run(&arguments);
    assert_eq!(text(&silent.stderr), "", "no progress where stderr is no terminal");
    let told = run(&[&arguments[..], &["-v"]].concat());
    assert_eq!(exit_code(&told), 0, "{}", text(&told.stderr));
    let lines = text(&told.stderr);
    for step in ["compile", "keys", "quotient", "open", "verify"] {
        let line = lines.lines().find(|line| line.trim_start().starts_with(step));
        // Behind the time is the greatest resident memory, where the system tells it.
        let end = if cfg!(target_os = "linux") { " MB" } else { " ms" };
        assert!(line.is_some_and(|line| line.contains(" ms") && line.ends_with(end)), "{step}: {lines}");
    }
    assert_ne!(exit_code(&run(&[&arguments[..], &["-v", "--quiet"]].concat())), 0);
}

#[test]
fn a_trace_holds_the_spans_of_this_program_and_nothing_of_the_model() {
    let scratch = Scratch::new();
    let trace = scratch.path("trace.json");
    let arguments = ["prove", &gemm("onnx"), &gemm("json"), "--out", &scratch.path("out"), "--trace", &trace];
    assert_eq!(exit_code(&run(&arguments)), 0);
    let events = std::fs::read_to_string(&trace).expect("a trace");
    let events: Vec<serde_json::Value> = serde_json::from_str(&events).expect("one JSON array");
    let names: Vec<&str> = events.iter().filter_map(|event| event["name"].as_str()).collect();
    for name in ["keygen", "prove", "quotient"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let text = std::fs::read_to_string(&trace).expect("a trace");
    assert!(!text.contains("tract") && !text.contains("gemm_plain"), "{text}");
    let refused = run(&["prove", &gemm("onnx"), &gemm("json"), "--trace", &scratch.path("none/trace.json")]);
    assert_eq!(exit_code(&refused), 2);
}
