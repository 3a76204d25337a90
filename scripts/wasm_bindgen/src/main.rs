//! Writes the JavaScript module and the types of a WebAssembly module that was built with wasm-bindgen:
//! `wasm-bindgen-of MODULE.wasm FOLDER NAME`. With `ZKML_WASM_NAMES` in the environment functions keep their names, for
//! profiles.
//!
//! It takes one thing out. halo2curves has a table of the first 2^16 elements of the scalar field, 2 MB that no
//! compression makes smaller, and that follow from each other by additions. Its bytes become zeros in the file, but for
//! the first entries, and the package's JavaScript writes them back before it calls anything
//! (`bindings/wasm/src/table.rs`).

mod table;

use std::process::ExitCode;

use walrus::ModuleConfig;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder, name] = &arguments[..] else {
        eprintln!("usage: wasm-bindgen-of MODULE.wasm FOLDER NAME");
        return ExitCode::from(2);
    };
    match write(module, folder, name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {module}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn write(module: &str, folder: &str, name: &str) -> Result<(), String> {
    // What is written with a module is the module's own setting, where it is read by us.
    let keeps_names = std::env::var_os("ZKML_WASM_NAMES").is_some();
    let mut config = ModuleConfig::new();
    config.generate_name_section(keeps_names).generate_producers_section(false);
    let mut read = config.parse_file(module).map_err(|error| format!("{error:?}"))?;
    let cleared = table::clear(&mut read);
    if cleared == 0 {
        return Err("there is no table of the scalar field in it".into());
    }
    let mut bindgen = Bindgen::new();
    let bindgen = bindgen.input_module(name, read).out_name(name).typescript(true);
    let written = bindgen.web(true).and_then(|bindgen| bindgen.generate(folder));
    written.map_err(|error| format!("{error:?}"))
}
