//! `zkml-gpu doctor` and `zkml-gpu completions`.

use std::process::Command;

use serde_json::Value;

use crate::support::{exit_code, json, run, text};

fn doctor(variables: &[(&str, &str)]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkml-gpu"));
    let output = command.args(["doctor", "--json"]).envs(variables.iter().copied()).output().expect("run zkml-gpu");
    json(&output)
}

#[test]
fn the_processor_is_usable_and_what_is_not_has_a_remedy() {
    let report = doctor(&[]);
    let back_ends = report["back_ends"].as_array().expect("a list");
    let processor = back_ends.iter().find(|back_end| back_end["name"] == "cpu").expect("the processor");
    assert_eq!((processor["usable"].as_bool(), processor["problem"].is_null()), (Some(true), true));
    for back_end in back_ends {
        let remedies = back_end["remedies"].as_array().expect("a list");
        let usable = back_end["usable"].as_bool().expect("usable or not");
        // A software adapter is usable, and says why it is not used.
        assert!(usable == remedies.is_empty(), "{back_end}");
        assert!(usable || back_end["problem"].is_string(), "{back_end}");
    }
    for name in ["cuda", "wgpu", "icicle"] {
        let is_named = |back_end: &Value| back_end["name"].as_str().is_some_and(|shown| shown.starts_with(name));
        assert!(back_ends.iter().any(is_named), "{name}");
    }
    assert!(report["processor"]["threads"].as_u64() > Some(0), "{report}");
    assert!(report["memory"]["limit"].is_string() && report["cache"]["bytes"].is_u64(), "{report}");
}

#[test]
fn the_cache_is_measured_and_instructions_that_are_taken_away_are_told() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let cache = folder.path().join("zkml-gpu/cuda");
    std::fs::create_dir_all(&cache).expect("folder");
    std::fs::write(cache.join("kernel"), [0; 1234]).expect("write");
    let path = folder.path().to_str().expect("a path of text");
    let report = doctor(&[("XDG_CACHE_HOME", path), ("HOME", path), ("ZKML_CPU", "portable")]);
    assert_eq!(report["processor"]["held_to_portable"], true);
    assert_eq!(report["processor"]["vector_instructions"], false);
    assert_eq!(report["processor"]["instructions"], "portable");
    if cfg!(target_os = "linux") {
        assert!(report["cache"]["folder"].as_str().is_some_and(|folder| folder.starts_with(path)), "{report}");
        assert!(report["cache"]["bytes"].as_u64() >= Some(1234), "{report}");
    }
}

#[test]
fn its_text_names_every_back_end_and_helps_with_a_library_that_is_none() {
    let output = run(&["doctor"]);
    let shown = text(&output.stdout);
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    for words in ["cpu", "usable", "icicle", "threads", "arithmetic", "memory", "cache"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // A back end that cannot be used does not make the program fail.
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().to_str().expect("a path of text");
    let report = doctor(&[("ZKML_ICICLE_LIB_DIR", path)]);
    let icicle = report["back_ends"].as_array().expect("a list").iter().find(|found| found["name"] == "icicle");
    assert!(icicle.is_some_and(|icicle| icicle["usable"] == false), "{report}");
}

#[test]
fn completions_know_every_command_of_every_shell() {
    let help = text(&run(&["--help"]).stdout);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"prove") && names.contains(&"completions"), "{help}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        let script = text(&output.stdout);
        assert_eq!(exit_code(&output), 0, "{shell}: {}", text(&output.stderr));
        for name in &names {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    assert_eq!(exit_code(&run(&["completions", "cmd"])), 2);
    assert_eq!(exit_code(&run(&["completions"])), 2);
}

/// Where there is a Bash, it takes the script and completes a command with it.
#[test]
fn bash_completes_a_command() {
    let script = r#"
        source <(printf '%s' "$SCRIPT")
        function=$(complete -p zkml-gpu | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=(zkml-gpu comple) COMP_CWORD=1
        $function zkml-gpu comple zkml-gpu
        echo "${COMPREPLY[@]}"
    "#;
    let bash =
        Command::new("bash").args(["-c", script]).env("SCRIPT", text(&run(&["completions", "bash"]).stdout)).output();
    match bash {
        Ok(output) => assert_eq!(text(&output.stdout).trim(), "completions", "{}", text(&output.stderr)),
        Err(_) => eprintln!("skipped: there is no bash"),
    }
}
