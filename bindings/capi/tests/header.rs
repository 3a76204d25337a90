//! The header that is committed is what the source says. `ZKML_WRITE_HEADER=1` writes it.

use std::path::Path;

#[test]
fn the_header_follows_from_the_source() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).expect("the configuration");
    let builder = ["status", "pointers", "verify", "prove", "operations"]
        .into_iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, file| {
            builder.with_src(here.join(format!("src/{file}.rs")))
        });
    let mut text = Vec::new();
    builder.generate().expect("a header").write(&mut text);
    let committed = here.join("include/zkml_gpu.h");
    if std::env::var_os("ZKML_WRITE_HEADER").is_some() {
        std::fs::write(&committed, &text).expect("written");
    }
    let committed = std::fs::read_to_string(committed).expect("the header");
    let text = String::from_utf8(text).expect("UTF-8");
    assert_eq!(committed, text, "ZKML_WRITE_HEADER=1 cargo test -p zkml-gpu-capi --test header writes it");
}
