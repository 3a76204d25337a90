//! Prints the CUDA source of the modules named, by their files without `.cuh`, or of all: `cuda_source ntt`. With
//! `host` first, as a program for the host.

use std::io::Write;

use zkml_gpu_kernels::cuda::{HOST, Module, SERVE, source};

fn main() -> std::io::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let host = names.first().is_some_and(|name| name == "host");
    let is_named = |module: &Module| names.iter().any(|name| format!("{name}.cuh") == module.file());
    let mut modules: Vec<Module> = Module::ALL.iter().copied().filter(is_named).collect();
    if names.len() == usize::from(host) {
        modules.extend(Module::ALL);
    }
    let text = match host {
        true => [HOST, &source(&modules), SERVE].concat(),
        false => source(&modules),
    };
    std::io::stdout().write_all(text.as_bytes())
}
