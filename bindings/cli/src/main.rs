//! The zkml-gpu command line.
fn main() {}
