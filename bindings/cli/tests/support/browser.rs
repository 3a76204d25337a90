//! A browser without a window, told what to do by the DevTools protocol over two pipes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Scratch;

/// Names of the browser.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Arguments for a browser without a window and, because tests may run as root, sandbox.
pub(crate) const ALONE: [&str; 4] = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
/// Longest time that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The browser, if there is one; says so if there is none.
pub(crate) fn browser() -> Option<&'static str> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = BROWSERS.into_iter().find(|name| std::env::split_paths(&paths).any(|path| path.join(name).is_file()));
    if found.is_none() {
        println!("SKIPPED: no browser; install chromium to see whether pages work");
    }
    found
}

/// A page in a browser of its own.
pub(crate) struct Page {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    number: u64,
    /// What the browser has told besides answers.
    events: Vec<Value>,
}

impl Page {
    /// An empty page of this size in pixels; none where there is no browser.
    pub(crate) fn open(scratch: &Scratch, [width, height]: [u32; 2], scheme: &str) -> Option<Self> {
        let browser = browser()?;
        let [to, from, profile] = ["to", "from", "profile"].map(|name| scratch.path(&format!("browser.{name}")));
        assert!(Command::new("mkfifo").args([&to, &from]).status().expect("mkfifo").success());
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" \"$@\" 3<'{to}' 4>'{from}'"), browser]).args(ALONE);
        command.args(["--remote-debugging-pipe", &format!("--user-data-dir={profile}"), "about:blank"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a browser that runs");
        // In the order in which the shell opens them: each waits for the other end.
        let to = File::options().write(true).open(to).expect("a pipe");
        let from = BufReader::new(File::open(from).expect("a pipe"));
        let mut page = Self { child, to, from, session: None, number: 0, events: Vec::new() };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = page.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        page.session = session["sessionId"].as_str().map(Into::into);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
        page.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        page.call("Emulation.setEmulatedMedia", json!({ "features": features }));
        let downloads = json!({ "behavior": "allow", "downloadPath": scratch.folder() });
        page.call("Browser.setDownloadBehavior", downloads);
        Some(page)
    }

    /// A command, and its result.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        // The browser's own commands are for no page.
        if let Some(session) = self.session.as_ref().filter(|_| !method.starts_with("Browser.")) {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser hears");
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).expect("the browser answers");
            assert_eq!(bytes.pop(), Some(0), "the browser has ended");
            let told: Value = serde_json::from_slice(&bytes).expect("JSON");
            if told["id"] != self.number {
                self.events.push(told);
                continue;
            }
            assert!(told["error"].is_null(), "{method}: {told}");
            return told["result"].clone();
        }
    }

    pub(crate) fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// The value of an expression on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        let start = Instant::now();
        // Before the page is there, there is nothing to look at.
        let tried = format!("(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()");
        while self.value(&tried) != true {
            let page = self.value("document.body?.innerText");
            assert!(start.elapsed() < PATIENCE, "never {expression}: {page}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Addresses that the page has asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| event["params"]["request"]["url"].as_str().map(Into::into)).collect()
    }

    /// What went wrong in the page's script, and what its policy kept out.
    pub(crate) fn failures(&self) -> Vec<&Value> {
        let is_failure = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            // A status that the script answers is no failure.
            Some("Log.entryAdded") => {
                event["params"]["entry"]["level"] == "error" && event["params"]["entry"]["source"] != "network"
            }
            _ => false,
        };
        self.events.iter().filter(is_failure).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
