//! Conformance and end-to-end tests in one program: many would hold the same libraries as many times, which takes the
//! linker and the disk of whoever runs them.

mod accuracy;
mod audit_keys;
mod by_lines;
mod check;
mod columns;
mod conformance;
mod cuda;
mod derived;
mod drop_in;
mod embedded;
mod exponents;
mod extremes;
mod gpu_models;
mod hashed;
mod import;
mod joint;
mod keygen;
mod learned;
mod link;
mod networks;
mod ops;
mod quantised;
mod random;
mod segments;
mod transcript;
mod transformers;
mod visibility;
mod weights;
mod wgpu;
mod zoo;

/// Packages whose tests are one program, and programs of tests beside it. A test of provers asks what the whole process
/// is told.
const PACKAGES: [(&str, &[&str]); 4] =
    [("bindings/cli", &[]), ("bindings/evm", &[]), ("bindings/verify", &[]), ("tests", &["provers"])];

/// A file that `main.rs` does not name would hold tests that nobody runs.
#[test]
fn every_file_of_tests_is_in_a_program() {
    for (package, programs) in PACKAGES {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("tests");
        let main = std::fs::read_to_string(folder.join("main.rs")).expect("the program");
        let mut files = 0;
        for entry in std::fs::read_dir(&folder).expect("the folder of tests") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name of text");
            let is_own = name == "main" || programs.contains(&name);
            if !is_own && path.extension().is_some_and(|extension| extension == "rs") {
                assert!(main.contains(&format!("\nmod {name};\n")), "{package}: {name}.rs is no module of main.rs");
                files += 1;
            }
        }
        assert!(files > 0, "{package}");
    }
}
