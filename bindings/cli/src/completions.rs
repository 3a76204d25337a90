//! `zkml-gpu completions`: what a shell needs to complete this program's arguments.

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{Arguments, CompletionsOptions};
use crate::report;

pub(crate) fn completions(options: &CompletionsOptions) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "zkml-gpu", &mut script);
    report::print(&String::from_utf8(script).context("a script of completions")?)?;
    Ok(0)
}
