//! The commitment of a model's weights: four million 8-bit weights, once per model, without tables of points and with
//! them.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::{ChaCha8Rng, ChaCha20Rng};
use zkml_gpu_benches::is_test;
use zkml_gpu_circuit::commit::{Bank, ModelOpening};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::Widths;
use zkml_gpu_engine::backend::{Cpu, MsmOps};
use zkml_gpu_engine::bench::data::distinct_points;
use zkml_gpu_graph::{Format, Graph, Linear, Node, Op, Shape, Storage, Tensor};

/// Bytes of tables that `prove` keeps at most, unless it is given more.
const TABLE_BYTES: usize = 128 << 20;
/// Rows that blind a commitment to weights.
const BLINDING_ROWS: usize = 6;

/// Inputs and outputs of a dense layer with four million 8-bit weights, in 1024 columns.
const DENSE: [usize; 2] = [4080, 1024];
/// The same where it is only tried.
const TEST_DENSE: [usize; 2] = [250, 16];

/// A dense layer, laid out in as many columns of weights as it has outputs.
fn dense_layer([inputs, outputs]: [usize; 2]) -> (Graph, Layout) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let weights = (0..inputs * outputs).map(|_| i32::from(rng.next_u32() as i8)).collect();
    let format = Format::new(0, -128, 127);
    let tensor = |len| Tensor {
        name: String::new(),
        shape: Shape::vector(len),
        format,
        logical_shape: vec![len],
        storage: Storage::Plain,
    };
    let node = Node {
        name: "dense".into(),
        op: Op::Linear(Linear::dense(outputs, weights, vec![0; outputs])),
        inputs: vec![0],
        output: 1,
        activation: None,
    };
    let graph = Graph {
        name: String::new(),
        shift: 8,
        tensors: vec![tensor(inputs), tensor(outputs)],
        activations: Vec::new(),
        nodes: vec![node],
        inputs: vec![0],
        outputs: vec![1],
        visibility: Default::default(),
    };
    let mut widths = Widths::default();
    (widths.weight_columns, widths.activation_lanes) = (outputs, 1);
    let mut options = LayoutOptions::default();
    options.widths = Some(widths);
    let layout = Layout::compile(&graph, &options).expect("the layer fits");
    (graph, layout)
}

fn model_commitment(criterion: &mut Criterion) {
    let dense = if is_test() { TEST_DENSE } else { DENSE };
    let (graph, layout) = dense_layer(dense);
    let cpu = Cpu::new();
    let (points, bank) = (distinct_points(1 << layout.k), Bank::new(&layout, &graph));
    let mut group = criterion.benchmark_group(format!("model_commitment/{}x2^{}", bank.columns(), layout.k));
    group.sample_size(10).throughput(Throughput::Elements((dense[0] * dense[1]) as u64));
    for (name, table_bytes) in [("cpu", TABLE_BYTES), ("cpu without table", 0)] {
        let bases = cpu.load_bases(&points, table_bytes).expect("the processor has memory");
        let rng = ChaCha20Rng::seed_from_u64(4);
        group.bench_function(name, |b| {
            b.iter(|| {
                ModelOpening::hidden(bank.clone(), BLINDING_ROWS, rng.clone()).commit(&cpu, &bases, 1 << layout.k)
            })
        });
    }
}

criterion_group!(benches, model_commitment);
criterion_main!(benches);
