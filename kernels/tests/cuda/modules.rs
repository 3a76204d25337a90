//! Modules name all that they need.

use zkml_gpu_kernels::cuda::{HOST, Module, source};

use super::device::compiler;

#[test]
fn every_module_compiles_with_what_it_requires() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for module in Module::ALL {
        let file = folder.join(format!("cuda_module_{module:?}.cpp"));
        std::fs::write(&file, [HOST, &source(&[*module])].concat()).unwrap();
        let status = compiler().arg("-fsyntax-only").arg(&file).status().unwrap();
        assert!(status.success(), "{}", module.file());
    }
}
