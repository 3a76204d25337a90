//! Tells the linker that Python's symbols are there when the module is loaded, where it has to be told.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
