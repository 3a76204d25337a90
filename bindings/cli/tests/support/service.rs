//! A server of the program's, and requests to it. Every answer is compared with the OpenAPI document.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Scratch, exit_code, program, repository, run, text};

/// Longest time that anything may take on a machine that does other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Makes the keys of a small model of one operator in the folder: the path of `NAME.pk`.
pub(crate) fn keys(scratch: &Scratch, name: &str, arguments: &[&str]) -> String {
    let (zkml, out) = (scratch.path(&format!("{name}.zkml")), scratch.path("keys"));
    let [model, input] = ["onnx", "json"].map(|kind| repository(&format!("tests/models/ops/{name}.{kind}")));
    let compile = ["compile", &model, "--calibration", &input, "--allow-error", "--out", &zkml];
    for arguments in [[&compile[..], arguments].concat(), vec!["setup", &zkml, "--unproven-weights", "--out", &out]] {
        let output = run(&arguments);
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    }
    format!("{out}/{name}.pk")
}

/// A server, which ends with the test.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) report: Value,
    log: String,
    token: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// What is wrong and what to do, of an error of this class.
    pub(crate) fn problem(&self, class: &str) -> String {
        let error = &self.json()["error"];
        assert_eq!(error["class"], class, "{error}");
        let hint = error["hint"].as_str().expect("a hint");
        format!("{} hint: {hint}", error["message"].as_str().expect("a message"))
    }

    /// The job that a request has made.
    pub(crate) fn id(&self) -> String {
        assert_eq!(self.status, 202, "{}", text(&self.body));
        self.json()["id"].as_str().expect("a name").into()
    }
}

impl Service {
    /// Starts the program with a key and a folder of jobs.
    pub(crate) fn start(scratch: &Scratch, key: &str, arguments: &[&str]) -> Self {
        Self::start_by(program(), scratch, key, arguments)
    }

    /// As [`start`](Self::start), of a command that becomes the program with these arguments.
    pub(crate) fn start_by(mut command: Command, scratch: &Scratch, key: &str, arguments: &[&str]) -> Self {
        let log = scratch.path("log");
        let stderr = File::options().create(true).append(true).open(&log).expect("a log");
        let jobs = scratch.path("jobs");
        let fixed = ["serve", key, "--listen", "127.0.0.1:0", "--jobs", &jobs, "--backend", "cpu", "--json"];
        command.args(fixed).args(arguments).env_remove("ZKML_GPU_TOKEN");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let report: Value = serde_json::from_str(&line).unwrap_or_default();
        let url = report["url"].as_str().unwrap_or_default();
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(address.is_some(), "no address in {line}: {}", said());
        let address = address.expect("checked");
        Self { child, address, report, log, token: None }
    }

    /// The same, with a token that all requests show from now on.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// Ends it as a failure of the machine would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Tells it to stop, and waits until it has: its exit code.
    pub(crate) fn stop(self) -> i32 {
        let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(told.expect("a shell").success());
        self.ended()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended: its exit code.
    pub(crate) fn ended(mut self) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status.code().expect("not killed by a signal");
            }
            assert!(start.elapsed() < PATIENCE, "it does not stop: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Sends an input.
    pub(crate) fn infer(&self, input: &Value) -> Answer {
        self.post(input.to_string().as_bytes(), &[])
    }

    pub(crate) fn post(&self, body: &[u8], headers: &[&str]) -> Answer {
        let headers = [&["Content-Type: application/json"], headers].concat();
        self.ask("POST", "/v1/infer", &headers, body)
    }

    /// A request with a body of this length, and its answer, which must be one that is described.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let length = format!("Content-Length: {}", body.len());
        let answer = self.raw(method, path, &[headers, &[&length]].concat(), body);
        check(method, path, &answer);
        answer
    }

    /// A request as it is.
    pub(crate) fn raw(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        if let Some(token) = self.token.as_ref().filter(|_| !headers.iter().any(|line| line.starts_with("Auth"))) {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        headers.iter().for_each(|line| head += &format!("{line}\r\n"));
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        // It may answer before all is sent, and send no more.
        let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let split = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        assert!(split.is_some(), "no answer to {method} {path}: {}", self.said());
        let body = bytes.split_off(split.expect("checked") + 4);
        let head = text(&bytes);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body }
    }

    /// The proof of a job, once it is made.
    pub(crate) fn proof(&self, id: &str) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.get(&format!("/v1/proofs/{id}?wait=10"));
            if answer.status != 202 {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "no proof of {id}: {}", self.said());
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The description of the interface.
pub(crate) fn description() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| serde_json::from_str(zkml_gpu_serve::OPENAPI).expect("JSON"))
}

/// Fails unless the answer is one that the description has for this request.
fn check(method: &str, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else {
        // What is not described is refused.
        assert!([404, 405].contains(&answer.status), "{method} {path} is not described: {answer:?}");
        return is_valid("Failure", &answer.json());
    };
    let described = &operation["responses"][answer.status.to_string()];
    assert!(described.is_object(), "{method} {path}: status {} is not described", answer.status);
    let head = answer.head.to_ascii_lowercase();
    for header in described["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        assert!(head.contains(&format!("\r\n{}:", header.to_ascii_lowercase())), "no {header}: {head}");
    }
    let Some(content) = described["content"].as_object() else {
        return assert!(answer.body.is_empty(), "{answer:?}");
    };
    let (kind, content) = content.iter().next().expect("a type");
    assert!(head.contains(&format!("\r\ncontent-type: {kind}")), "no {kind}: {head}");
    if let Some(reference) = content["schema"]["$ref"].as_str() {
        is_valid(reference.rsplit('/').next().expect("a name"), &answer.json());
    }
}

fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let fits = |pattern: &str| {
        let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
        let same = |(part, own): (&&str, &&str)| part == own || part.starts_with('{');
        pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
    };
    let paths = description()["paths"].as_object().expect("paths");
    let found = paths.iter().find(|(pattern, _)| fits(pattern))?.1;
    found.get(method.to_ascii_lowercase())
}

/// Fails unless a value is as the description has it.
fn is_valid(name: &str, value: &Value) {
    let components = &description()["components"];
    let schema = json!({ "$ref": format!("#/components/schemas/{name}"), "components": components });
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "no {name}: {errors:?} in {value}");
}
