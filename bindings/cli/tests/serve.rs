//! `zkml-gpu serve`: its answers, and that no job is lost or answered twice whatever becomes of the server.
#![cfg(feature = "serve")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::service::{PATIENCE, Service, description, keys};
use crate::support::{Scratch, exit_code, gemm, run, text};

/// An input of the dense layer, one of many.
fn input(number: usize) -> Value {
    let values: Vec<f64> = (0..6).map(|at| ((number * 7 + at * 3) % 13) as f64 / 20.0 - 0.3).collect();
    json!({ "input_data": [values] })
}

/// Files of a folder whose names end like this.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// The program refuses to serve with this code; what it says.
fn refused(arguments: &[&str], code: i32) -> String {
    let listen: &[&str] = if arguments.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
    let output = run(&[&["serve", "--backend", "cpu"], listen, arguments].concat());
    let said = text(&output.stderr);
    assert!(exit_code(&output) == code && said.contains("hint:"), "{said}");
    said
}

#[test]
fn a_model_in_segments_is_served_like_any() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "residual_add", &["--segments", "2"]);
    let service = Service::start(&scratch, &key, &["--workers", "2"]);
    let model = service.get("/v1/model").json();
    assert_eq!((&model["segments"], &model["workers"]), (&json!(2), &json!(1)), "{model}");
    let values: Vec<f64> = (0..8).map(|at| f64::from(at) / 20.0 - 0.2).collect();
    let answer = service.infer(&json!({ "input_data": [values] }));
    let (id, made) = (answer.id(), answer.json());
    let proof = service.proof(&id);
    let shown = proof.json();
    assert_eq!((proof.status, &made["outputs"][0]["values"]), (200, &shown["outputs"][0]["values"]), "{shown}");
    assert_eq!(shown["proofs"].as_array().map(Vec::len), Some(2), "{shown}");
    let file = scratch.file("proof.json", &proof.body);
    let vk = scratch.file("model.vk", service.get("/v1/model.vk").body);
    assert_eq!(exit_code(&run(&["verify", &file, "--vk", &vk])), 0);
}

#[test]
fn an_answer_is_what_its_proof_shows() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "gemm_plain", &[]);
    let service = Service::start(&scratch, &key, &[]);
    assert_eq!(service.get("/healthz").json(), json!({ "status": "ok" }));
    let given: Value = serde_json::from_str(&std::fs::read_to_string(gemm("json")).expect("an input")).expect("JSON");
    let answer = service.infer(&given);
    let id = answer.id();
    let made = answer.json();
    let proof = service.proof(&id);
    assert_eq!(proof.status, 200);
    let shown = proof.json();
    for (answered, proved) in [(&made["outputs"][0], &shown["outputs"][0])] {
        for field in ["name", "shape", "values", "frac_bits", "min", "max"] {
            assert!(answered[field] == proved[field] && !proved[field].is_null(), "{field}: {answered} {proved}");
        }
    }
    assert_eq!(made["verifying_key"], shown["verifying_key"]);
    // The model's own output is near.
    let [float, reals] =
        [&given["output_data"][0], &made["outputs"][0]["reals"]].map(|list| list.as_array().expect("a list"));
    assert_eq!((float.len(), reals.len()), (4, 4));
    for (float, real) in float.iter().zip(reals) {
        assert!((float.as_f64().expect("a number") - real.as_f64().expect("a number")).abs() < 0.05, "{float} {real}");
    }

    // The program verifies it, with the key that the server gives and with the one that setup wrote.
    let vk = scratch.file("model.vk", service.get("/v1/model.vk").body);
    assert_eq!(std::fs::read(&vk).expect("a key"), std::fs::read(key.replace(".pk", ".vk")).expect("a key"));
    let file = scratch.file("proof.json", &proof.body);
    assert_eq!(exit_code(&run(&["verify", &file, "--vk", &vk])), 0);

    let model = service.get("/v1/model").json();
    assert_eq!((&model["model"], &model["inputs"][0]["shape"]), (&json!("gemm_plain"), &json!([1, 6])));
    let listed = service.get("/v1/proofs?limit=5").json();
    assert_eq!((&listed["jobs"][0]["id"], &listed["jobs"][0]["state"]), (&json!(id), &json!("proved")));
    let metrics = text(&service.get("/metrics").body);
    for line in ["zkml_gpu_jobs_accepted_total 1", "zkml_gpu_jobs_proved_total 1", "zkml_gpu_proof_seconds_count 1"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(metrics.contains("route=\"/v1/proofs/{id}\",status=\"200\"") && metrics.ends_with("# EOF\n"), "{metrics}");

    let path = format!("/v1/proofs/{id}");
    assert_eq!(service.ask("DELETE", &path, &[], b"").status, 204);
    assert!(service.get(&path).problem("not_found").contains(&id));
    assert_eq!(service.ask("DELETE", &path, &[], b"").status, 404);
    assert_eq!((files(&scratch.path("jobs/jobs"), ""), files(&scratch.path("jobs/proofs"), "")), (vec![], vec![]));
}

#[test]
fn all_that_is_described_is_there() {
    let scratch = Scratch::new();
    let service = Service::start(&scratch, &keys(&scratch, "gemm_plain", &[]), &[]);
    let own = service.get("/openapi.json").json();
    assert_eq!(&own, description());
    for (path, methods) in own["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let answer = service.ask(&method.to_uppercase(), path, &[], b"");
            let is_missing =
                [404, 405].contains(&answer.status) && !text(&answer.body).contains("no job has this name");
            assert!(!is_missing, "{method} {path}: {answer:?}");
        }
        assert_eq!(service.ask("PUT", path, &[], b"").problem("no_method").split(' ').next(), Some("the"));
    }
    for path in ["/", "/page.css", "/page.js"] {
        let answer = service.get(path);
        assert!(answer.head.contains("content-security-policy: default-src 'none'"), "{}", answer.head);
    }
}

#[test]
fn requests_that_are_wrong_are_told_what_is_wrong() {
    let scratch = Scratch::new();
    let service = Service::start(&scratch, &keys(&scratch, "gemm_plain", &[]), &["--max-body", "400"]);
    for (body, said) in [
        ("", "EOF"),
        ("[1]", "integer in the place of"),
        (r#"{"input_data": [[NaN, 0, 0, 0, 0, 0]]}"#, "NaN at line 1 column 18 is no finite number"),
        (r#"{"input_data": [[0, 0, 0, 0, 0, 1e39]]}"#, "input_data[0][5] is beyond a 32-bit float"),
        (r#"{"input_data": [[0, 0, 0, 0, 0]]}"#, "5 values, but input 'input' takes 6"),
        (r#"{"input_data": [[0, 0, 0], [0, 0, 0]]}"#, "2 lists, the model has 1 input"),
        (r#"{"input_data": [[[0, 0, 0], [0, 0, 0]]]}"#, "flatten it"),
        (r#"{"input_data": [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]}"#, "2 inputs, but a proof of 'gemm_plain' is of 1"),
        (r#"{"input_data": [[9e9, 9e9, 0, 0, 0, 0]]}"#, "33.3 % of the values of input 'input' are beyond the range"),
    ] {
        let answer = service.post(body.as_bytes(), &[]);
        let problem = answer.problem("bad_input");
        assert!(answer.status == 400 && problem.contains(said), "{body}: {problem}");
    }
    let good = input(0).to_string();
    let large = format!("{good}{}", " ".repeat(400));
    assert!(service.post(large.as_bytes(), &[]).problem("too_large").contains("400 bytes"));
    // A body that does not say how long it is.
    let headers = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(service.raw("POST", "/v1/infer", &headers, chunked(&large).as_bytes()).status, 413);
    assert_eq!(service.raw("POST", "/v1/infer", &headers, chunked(&good).as_bytes()).status, 202);
    let typed = |kind: &str| service.ask("POST", "/v1/infer", &[&format!("Content-Type: {kind}")], good.as_bytes());
    assert!(typed("text/plain").problem("other_type").contains("application/json"));
    assert_eq!(typed("application/json; charset=utf-8").status, 202);

    for key in [&"k".repeat(256), "a b", "\u{e4}"] {
        assert!(
            service.post(good.as_bytes(), &[&format!("Idempotency-Key: {key}")]).problem("bad_input").contains("key")
        );
    }
    let with_key = |body: &Value| service.post(body.to_string().as_bytes(), &["Idempotency-Key: one"]);
    let first = with_key(&input(1));
    let again = with_key(&input(1));
    assert_eq!((first.status, again.status), (202, 200));
    for field in ["id", "proof", "outputs", "verifying_key"] {
        assert_eq!(first.json()[field], again.json()[field], "{field}");
    }
    assert!(with_key(&input(2)).problem("conflict").contains("another input"));

    let id = first.id();
    for path in
        ["/v1/proofs/x", "/v1/proofs/..", &format!("/v1/proofs/{}", id.to_uppercase()), &format!("/v1/proofs/{id}0")]
    {
        assert_eq!(service.get(path).status, 404, "{path}");
    }
    for path in [
        &format!("/v1/proofs/{id}?wait=61"),
        &format!("/v1/proofs/{id}?wait=x"),
        "/v1/proofs?limit=1001",
        "/v1/proofs?x=1",
    ] {
        service.get(path).problem("bad_input");
    }
    assert_eq!(service.get("/v1/other").status, 404);
    assert_eq!(files(&scratch.path("jobs/jobs"), ".json").len(), 3, "nothing of what was refused is kept");
}

#[test]
fn only_who_shows_the_token_is_answered() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "gemm_plain", &[]);
    let token = "0123456789abcdef0123456789abcdef";
    let file = scratch.file("token", format!("{token}\n"));
    let service = Service::start(&scratch, &key, &["--token-file", &file]);
    let shown = |header: &str| service.ask("GET", "/v1/model", &[header], b"");
    for header in [
        "Authorization: ".to_owned(),
        format!("Authorization: Bearer {}", &token[1..]),
        format!("Authorization: Bearer {token}0"),
        format!("Authorization: Bearer {}", token.to_uppercase()),
        format!("Authorization: Basic {token}"),
        format!("Authorization: {token}"),
        format!("X-Token: {token}"),
    ] {
        let problem = shown(&header).problem("unauthorised");
        assert!(!problem.contains(token), "{problem}");
    }
    assert_eq!(shown(&format!("Authorization: bearer {token}")).status, 200);
    for path in ["/v1/proofs", "/v1/model.vk", "/metrics", "/v1/proofs/00000000000000000000000000000000"] {
        assert_eq!(service.get(path).status, 401, "{path}");
    }
    // Before a body is looked at.
    assert_eq!(service.post(&[b' '; 100_000], &[]).status, 401);
    for path in ["/healthz", "/", "/page.js", "/openapi.json"] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
    let service = service.with_token(token);
    assert_eq!(service.proof(&service.infer(&input(0)).id()).status, 200);
    assert!(!service.said().contains(token));

    let other = scratch.path("other");
    let said = refused(&[&key, "--jobs", &other, "--listen", "0.0.0.0:0"], 2);
    assert!(said.contains("--token-file"), "{said}");
    let short = scratch.file("short", "secret\n");
    assert!(refused(&[&key, "--jobs", &other, "--token-file", &short], 2).contains("16 characters"));
    assert!(refused(&[&key, "--jobs", &other, "--token-file", &scratch.path("none")], 2).contains("no such file"));
    assert!(!Path::new(&other).exists(), "no folder for a server that does not start");
}

#[test]
fn a_full_queue_refuses_and_what_was_accepted_is_proved() {
    let scratch = Scratch::new();
    let service = Service::start(&scratch, &keys(&scratch, "gemm_plain", &[]), &["--queue", "2"]);
    let answers: Vec<_> = (0..30).map(|number| service.infer(&input(number))).collect();
    let (accepted, full): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    assert!(!full.is_empty() && accepted.len() >= 3, "{} accepted", accepted.len());
    for answer in &full {
        assert_eq!(answer.status, 429);
        assert!(answer.problem("busy").contains("2 jobs wait"));
    }
    for answer in &accepted {
        assert_eq!(service.proof(&answer.id()).status, 200);
    }
    // There is room again.
    assert_eq!(service.proof(&service.infer(&input(0)).id()).status, 200);
    let metrics = text(&service.get("/metrics").body);
    assert!(metrics.contains(&format!("zkml_gpu_jobs_refused_total {}\n", full.len())), "{metrics}");
}

/// What was answered, by job: the outputs.
type Answered = HashMap<String, (Value, Value)>;

fn send(service: &Service, numbers: std::ops::Range<usize>) -> Answered {
    let one = |number| {
        let answer = service.infer(&input(number));
        (answer.id(), (input(number), answer.json()["outputs"].clone()))
    };
    numbers.map(one).collect()
}

/// All proofs, each of the input and with the outputs of its own job.
fn proofs(service: &Service, answered: &Answered, vk: &str) -> HashMap<String, Vec<u8>> {
    let key = zkml_gpu::ModelKey::read(vk).expect("a key");
    let proof = |(id, (input, outputs)): (&String, &(Value, Value))| {
        let answer = service.proof(id);
        assert_eq!(answer.status, 200, "{answer:?}");
        let bundle = zkml_gpu::ProofBundle::from_json(&answer.body, "proof").expect("a proof");
        key.verify(&bundle).expect("it holds");
        assert_eq!(json!(bundle.outputs[0].values), outputs[0]["values"], "{id}");
        for (real, given) in bundle.inputs[0].reals().iter().zip(input["input_data"][0].as_array().expect("a list")) {
            let half = bundle.inputs[0].format().step() / 2.0 + 1e-6;
            assert!((real - given.as_f64().expect("a number")).abs() <= half, "{id}: {real} {given}");
        }
        (id.clone(), answer.body)
    };
    answered.iter().map(proof).collect()
}

#[test]
fn a_server_that_is_killed_loses_no_job_and_answers_none_twice() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "gemm_plain", &[]);
    let vk = key.replace(".pk", ".vk");
    let service = Service::start(&scratch, &key, &["--workers", "2"]);
    let mut answered = send(&service, 0..40);
    let last = service.post(input(50).to_string().as_bytes(), &["Idempotency-Key: last"]);
    answered.insert(last.id(), (input(50), last.json()["outputs"].clone()));
    let record = format!("{}/{}.json", scratch.path("jobs/jobs"), last.id());
    let waiting = std::fs::read(&record).expect("a job");
    // In the middle: some are proved, and one is under way.
    let (mut some, start) = (HashMap::new(), std::time::Instant::now());
    while some.len() < 3 {
        assert!(start.elapsed() < PATIENCE);
        let done = service.get("/v1/proofs").json()["jobs"].as_array().expect("jobs").clone();
        let done = done
            .iter()
            .filter(|job| job["state"] == "proved")
            .map(|job| job["id"].as_str().expect("a name").to_owned());
        some = done.map(|id| (id.clone(), service.proof(&id).body)).collect();
    }
    service.kill();
    // What a process leaves that is killed as it writes.
    std::fs::write(scratch.path("jobs/jobs/.zkml-gpu-half"), "{").expect("written");

    let service = Service::start(&scratch, &key, &[]);
    let left = service.report["waiting"].as_u64().expect("a number");
    assert!((1..=38).contains(&left), "{left} of 41 are left");
    let all = proofs(&service, &answered, &vk);
    some.iter().for_each(|(id, proof)| assert!(all[id] == *proof, "{id} has another proof"));
    assert_eq!(files(&scratch.path("jobs/proofs"), "").len(), 41);
    assert_eq!(files(&scratch.path("jobs/jobs"), ".json").len(), 41);
    // The last proof may be there before it is noted.
    let start = std::time::Instant::now();
    while files(&scratch.path("jobs/jobs"), "").len() > 41 {
        assert!(start.elapsed() < PATIENCE, "something else is left: {:?}", files(&scratch.path("jobs/jobs"), ""));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // The same request again is the same job.
    let again = service.post(input(50).to_string().as_bytes(), &["Idempotency-Key: last"]);
    assert_eq!((again.status, &again.json()["id"]), (200, &last.json()["id"]));
    assert_eq!(service.stop(), 0);

    // It ends after a proof is written, and before that is said: the proof stays.
    std::fs::write(&record, waiting).expect("written");
    let service = Service::start(&scratch, &key, &[]);
    assert_eq!(service.report["waiting"], 1);
    assert!(service.proof(&last.id()).body == all[&last.id()]);
    assert!(text(&service.get("/metrics").body).contains("zkml_gpu_jobs_proved_total 1\n"));
}

#[test]
fn a_stop_in_order_ends_what_is_under_way_and_keeps_the_rest() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "gemm_plain", &["--input", "input=private"]);
    let service = Service::start(&scratch, &key, &[]);
    let jobs: Vec<String> = (0..12).map(|number| service.infer(&input(number)).id()).collect();
    let numbers = std::fs::read_to_string(scratch.path(&format!("jobs/jobs/{}.json", jobs[11]))).expect("a job");
    let numbers: Value = serde_json::from_str(&numbers).expect("JSON");
    let hidden = numbers["state"]["waiting"]["input"][0].as_str().expect("numbers").to_owned();
    // Who waits for a proof is answered, too.
    let waiter = std::thread::scope(|scope| {
        let waits = scope.spawn(|| service.get(&format!("/v1/proofs/{}?wait=60", jobs[11])).status);
        std::thread::sleep(std::time::Duration::from_millis(50));
        let told = Command::new("sh").args(["-c", &format!("kill -INT {}", service.pid())]).status();
        assert!(told.expect("a shell").success());
        waits.join().expect("an answer")
    });
    assert_eq!(waiter, 202);
    assert_eq!(service.ended(), 0);
    assert_eq!(files(&scratch.path("jobs/jobs"), ".begun"), Vec::<PathBuf>::new());
    let proved = files(&scratch.path("jobs/proofs"), ".json").len();
    assert!(proved < 12, "the queue is not emptied first");

    let service = Service::start(&scratch, &key, &[]);
    assert_eq!(service.report["waiting"], 12 - proved);
    for id in &jobs {
        let proof = service.proof(id).json();
        assert_eq!((&proof["inputs"][0]["visibility"], &proof["inputs"][0]["values"]), (&json!("private"), &json!([])));
    }
    // The input is gone with the proof.
    for file in files(&scratch.path("jobs/jobs"), ".json") {
        assert!(!std::fs::read_to_string(file).expect("a job").contains(&hidden));
    }
}

#[test]
fn a_folder_is_one_servers_and_of_one_key() {
    let scratch = Scratch::new();
    let (key, other) = (keys(&scratch, "gemm_plain", &[]), keys(&scratch, "softmax", &[]));
    let jobs = scratch.path("jobs");
    let service = Service::start(&scratch, &key, &[]);
    assert!(refused(&[&key, "--jobs", &jobs], 2).contains("in use by another server"));
    let id = service.infer(&input(0)).id();
    service.proof(&id);
    // The address is taken, too.
    let address = service.address.to_string();
    let said = refused(&[&key, "--jobs", &scratch.path("third"), "--listen", &address], 2);
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    assert_eq!(service.stop(), 0);
    assert!(refused(&[&other, "--jobs", &jobs], 2).contains("are for the verifying key"));

    let record = format!("{jobs}/jobs/{id}.json");
    let good = std::fs::read(&record).expect("a job");
    std::fs::write(&record, &good[..good.len() / 2]).expect("written");
    let said = refused(&[&key, "--jobs", &jobs], 2);
    assert!(said.contains(&record) && said.contains("not a job"), "{said}");
    std::fs::write(&record, good).expect("written");
    assert_eq!(Service::start(&scratch, &key, &[]).proof(&id).status, 200);
    assert!(refused(&[&gemm("onnx"), "--jobs", &jobs], 2).contains("not a proving key"));
    assert!(refused(&[&key, "--jobs", &record], 2).contains(&record));
}

#[test]
fn a_committed_tensor_is_not_served() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "gemm_plain", &["--output", "gemm0=committed"]);
    assert!(refused(&[&key, "--jobs", &scratch.path("jobs")], 3).contains("'gemm0' is committed"));
}

#[test]
fn jobs_that_cannot_be_proved_are_set_aside_and_others_go_on() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "gemm_plain", &[]);
    let service = Service::start(&scratch, &key, &[]);
    let ids: Vec<String> = (0..20).map(|number| service.infer(&input(number)).id()).collect();
    let first = service.proof(&ids[0]).body;
    service.kill();
    let job = |number: usize, kind: &str| scratch.path(&format!("jobs/{kind}/{}", ids[number]));
    for number in 17..20 {
        assert!(!Path::new(&format!("{}.proof.json", job(number, "proofs"))).exists(), "{number} is proved already");
    }
    // With one the server ended three times, one was answered otherwise, and one has another's proof.
    std::fs::write(format!("{}.begun", job(19, "jobs")), "3").expect("written");
    let record = format!("{}.json", job(18, "jobs"));
    let mut other: Value = serde_json::from_slice(&std::fs::read(&record).expect("a job")).expect("JSON");
    let value = &mut other["outputs"][0]["values"][2];
    *value = json!(value.as_i64().expect("a number") + 1);
    std::fs::write(&record, other.to_string()).expect("written");
    std::fs::write(format!("{}.proof.json", job(17, "proofs")), first).expect("written");

    let service = Service::start(&scratch, &key, &[]);
    for (number, said) in [
        (19, "3 proofs of it were begun"),
        (18, "a proof has other outputs than were answered"),
        (17, "in the place of its proof is not its proof"),
    ] {
        let answer = service.proof(&ids[number]);
        assert_eq!((answer.status, &answer.json()["state"]), (422, &json!("failed")));
        let problem = answer.problem("bug");
        assert!(problem.contains(said), "{problem}");
    }
    assert_eq!(service.proof(&ids[16]).status, 200);
    assert_eq!(service.said().matches("error: a job was set aside").count(), 3, "{}", service.said());
    assert!(text(&service.get("/metrics").body).contains("zkml_gpu_jobs_failed_total 3\n"));
}

/// Files larger than these blocks of 512 bytes are refused, as on a full disk.
#[cfg(target_os = "linux")]
fn with_blocks(blocks: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\" 2> /dev/null");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_zkml-gpu")]);
    command
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_takes_nothing_loses_nothing() {
    let scratch = Scratch::new();
    let key = keys(&scratch, "gemm_plain", &[]);
    // No job fits: nothing is accepted, and that is said.
    assert_eq!(Service::start(&scratch, &key, &[]).stop(), 0);
    let service = Service::start_by(with_blocks(0), &scratch, &key, &[]);
    let answer = service.infer(&input(0));
    assert!(answer.status == 507 && answer.problem("storage").contains("nothing was accepted"), "{answer:?}");
    assert_eq!(service.get("/healthz").json()["status"], "no_storage");
    assert_eq!(service.stop(), 0);
    assert_eq!(files(&scratch.path("jobs/jobs"), ""), Vec::<PathBuf>::new());

    // Jobs fit, proofs do not: they are tried again, and made when there is room.
    let service = Service::start_by(with_blocks(4), &scratch, &key, &[]);
    let answered = send(&service, 0..3);
    let start = std::time::Instant::now();
    while service.get("/healthz").status == 200 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(!text(&service.get("/metrics").body).contains("zkml_gpu_storage_errors_total 0\n"));
    assert_eq!(files(&scratch.path("jobs/proofs"), ""), Vec::<PathBuf>::new());
    assert_eq!(service.stop(), 0);
    let service = Service::start(&scratch, &key, &[]);
    assert_eq!(service.report["waiting"], 3);
    proofs(&service, &answered, &key.replace(".pk", ".vk"));
}
