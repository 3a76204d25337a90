//! Tests of the program `zkml-gpu`.

mod artifacts;
mod bench;
mod bench_prove;
mod calibrate;
mod cli;
mod doctor;
mod evaluate;
mod evm;
mod gpu_check;
mod hostile;
mod joint;
mod keys;
mod plan;
mod refusals;
mod report;
mod segments;
mod serve;
mod serve_page;
mod srs;
mod support;
mod trace;
mod visibility;
