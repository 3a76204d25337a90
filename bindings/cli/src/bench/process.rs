//! The other end of a worker: this program once more.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, anyhow};
use zkml_gpu::ErrorClass;

use super::messages::{Answer, Job, Proven, Ready, Usage};
use crate::failure::Failed;

/// A worker under way; it ends when this is dropped.
pub(super) struct Process {
    child: Child,
    /// Closed to end it.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a worker and waits for its keys.
    pub(super) fn start(job: &Job) -> anyhow::Result<(Self, Ready)> {
        let program = std::env::current_exe().context("this program's own path")?;
        let mut command = Command::new(program);
        command.args(["bench", "worker"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("a process to measure in")?;
        let (requests, answers) = child.stdin.take().zip(child.stdout.take()).context("a worker's pipes")?;
        let mut process = Self { child, requests: Some(requests), answers: BufReader::new(answers) };
        match process.ask(&serde_json::to_string(job)?)? {
            Answer::Ready(ready) => Ok((process, *ready)),
            other => Err(unexpected(&other)),
        }
    }

    /// One proof.
    pub(super) fn prove(&mut self) -> anyhow::Result<Proven> {
        match self.ask("prove")? {
            Answer::Proved(proven) => Ok(proven),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends it: what it took in all.
    pub(super) fn finish(mut self) -> anyhow::Result<Usage> {
        drop(self.requests.take());
        match self.answer()? {
            Answer::Done(usage) => Ok(usage),
            other => Err(unexpected(&other)),
        }
    }

    fn ask(&mut self, request: &str) -> anyhow::Result<Answer> {
        if let Some(pipe) = self.requests.as_mut() {
            // A worker that has gone says why in its last line, or in how it ended.
            let _ = writeln!(pipe, "{request}").and_then(|()| pipe.flush());
        }
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() {
            return Err(self.ended()?.into());
        }
        match serde_json::from_str(&line)? {
            Answer::Failed { message, exit_code } => Err(Failed { message, exit_code }.into()),
            answer => Ok(answer),
        }
    }

    /// What a worker that ended without a word did.
    fn ended(&mut self) -> anyhow::Result<Failed> {
        let status = self.child.wait()?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(match code {
            Some(code) => Failed { message: format!("the measuring process ended with {status}"), exit_code: code },
            // By the system, most often because memory ran out.
            None => Failed {
                message: format!(
                    "the measuring process was ended by the system: {status}\nhint: --max-memory bounds it"
                ),
                exit_code: ErrorClass::WouldNotFit.exit_code(),
            },
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It may be in the middle of a proof that nobody waits for; one that has ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unexpected(answer: &Answer) -> anyhow::Error {
    anyhow!("a worker answered out of turn: {answer:?}")
}
