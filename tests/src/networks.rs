//! Small random networks, one for each layer family, and everything needed to prove them and to try to cheat.

use halo2_proofs::dev::MockProver;
use halo2curves::bn256::Fr;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuits::{
    circuit::{NetworkCircuit, Witness},
    graph::{Execution, Format, Graph, Linear, Node, Op, Shape, Tensor, Window},
    keys::{self, ProvingKeys},
    layout::{Layout, LayoutOptions, WeightMode, lower},
    prove::Job,
    trace::FirstPhase,
    verify::{self, VerifyError},
};
use zkml_gpu_engine::{
    backend::cpu::Cpu,
    prover::{Prover, ProverOptions},
    srs::Srs,
};

/// Range of 8-bit values after a rectifier.
pub const UNSIGNED: (i64, i64) = (0, 255);
/// Range of 8-bit values.
pub const SIGNED: (i64, i64) = (-128, 127);
/// Range of accumulators given out as they are.
pub const WIDE: (i64, i64) = (-(1 << 40), 1 << 40);

/// Builds a graph tensor by tensor.
#[derive(Debug)]
pub struct Builder {
    rng: ChaCha20Rng,
    graph: Graph,
}

impl Builder {
    /// A graph with this shift and one input.
    pub fn new(seed: u64, shift: u32, input: Shape, range: (i64, i64)) -> Self {
        let graph = Graph {
            name: "test".into(),
            shift,
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: vec![0],
            outputs: Vec::new(),
        };
        let mut builder = Self { rng: ChaCha20Rng::seed_from_u64(seed), graph };
        builder.tensor(input, range);
        builder
    }

    fn tensor(&mut self, shape: Shape, (min, max): (i64, i64)) -> usize {
        let logical_shape = vec![1, shape.channels, shape.height, shape.width];
        let format = Format { frac_bits: 0, min, max };
        let name = format!("t{}", self.graph.tensors.len());
        self.graph.tensors.push(Tensor { name, shape, format, logical_shape, transposed: false });
        self.graph.tensors.len() - 1
    }

    /// Adds a node and returns its output.
    pub fn node(&mut self, op: Op, inputs: &[usize], shape: Shape, range: (i64, i64)) -> usize {
        let output = self.tensor(shape, range);
        self.graph.nodes.push(Node { name: format!("n{output}"), op, inputs: inputs.to_vec(), output });
        output
    }

    /// Adds a product with random weights up to `amplitude`.
    pub fn linear(
        &mut self,
        input: usize,
        out_channels: usize,
        window: Window,
        pool: [usize; 2],
        amplitude: i32,
        range: (i64, i64),
    ) -> usize {
        let x = self.graph.tensors[input].shape;
        let len = out_channels * x.channels * window.kernel[0] * window.kernel[1];
        let weights = (0..len).map(|_| self.rng.gen_range(-amplitude..=amplitude)).collect();
        let bias = (0..out_channels).map(|_| self.rng.gen_range(-3000..3000)).collect();
        let [height, width] = window.output(x.height, x.width).expect("the window fits");
        let shape = Shape { channels: out_channels, height: height / pool[0], width: width / pool[1] };
        let linear = Linear { window, out_channels, weights, bias, pool, raw: range == WIDE };
        self.node(Op::Linear(linear), &[input], shape, range)
    }

    /// The finished graph.
    pub fn finish(mut self, outputs: &[usize]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph.validate().expect("the graph is valid");
        self.graph
    }
}

/// An image shape.
pub const fn image(channels: usize, height: usize, width: usize) -> Shape {
    Shape { channels, height, width }
}

/// A square window.
pub const fn square(kernel: usize, stride: usize, pad: usize) -> Window {
    Window { kernel: [kernel, kernel], stride: [stride, stride], pad_before: [pad, pad], pad_after: [pad, pad] }
}

/// A random input in range.
pub fn random_inputs(graph: &Graph, seed: u64) -> Vec<Vec<i64>> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let input = |t: &usize| {
        let tensor = &graph.tensors[*t];
        (0..tensor.shape.len()).map(|_| rng.gen_range(tensor.format.min..=tensor.format.max)).collect()
    };
    graph.inputs.iter().map(input).collect()
}

/// A compiled network with keys, a resident prover, and one honest inference.
#[derive(Debug)]
pub struct Session {
    /// The network.
    pub graph: Graph,
    /// Its layout.
    pub layout: Layout,
    /// Its keys.
    pub keys: ProvingKeys,
    /// The prover.
    pub prover: Prover<Cpu>,
    /// The reference string.
    pub srs: Srs,
    /// Inputs of the inference.
    pub inputs: Vec<Vec<i64>>,
    /// Its outputs.
    pub outputs: Vec<Vec<i64>>,
    /// All its values.
    pub execution: Execution,
    /// Phase 1 of its witness.
    pub first: FirstPhase,
}

impl Session {
    /// Compiles a graph and runs it on a random input.
    pub fn new(graph: Graph, options: &LayoutOptions, seed: u64) -> Self {
        let graph = lower(graph);
        let layout = Layout::compile(&graph, options).expect("the graph has a layout");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let srs = Srs::development(layout.k, &mut rng).expect("a development reference string");
        let keys = keys::setup(&graph, &layout, &srs, &mut rng).expect("keys");
        let mut prover_options = ProverOptions::default();
        prover_options.lagrange_points = Some(srs.lagrange().to_vec());
        // A cheating prover does not check its witness: the verifier must.
        prover_options.check_witness = false;
        prover_options.table_budget_bytes = 0;
        let prover = Prover::with_options(Cpu::default(), srs.params(), &keys.pk, prover_options).expect("a prover");
        let inputs = random_inputs(&graph, seed);
        let execution = graph.run(&inputs).expect("the graph runs");
        let outputs = graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
        let first = FirstPhase::new(&layout, &graph, &execution);
        Self { graph, layout, keys, prover, srs, inputs, outputs, execution, first }
    }

    /// Whether MockProver accepts this first phase for these claims, with cells changed after everything is computed.
    pub fn mock(&self, first: &FirstPhase, outputs: &[Vec<i64>], changed: &[(usize, usize, Fr)]) -> bool {
        let Ok(instances) = self.layout.statement.instances(&self.inputs, outputs) else { return false };
        let witness = Witness {
            graph: &self.graph,
            execution: &self.execution,
            bank: &self.keys.model.bank,
            first,
            instances: &instances,
        };
        let circuit = change(NetworkCircuit::proving(&self.layout, witness), changed);
        let prover = MockProver::run(self.layout.k, &circuit, instances.clone()).expect("MockProver runs");
        // A failure on row 0 makes MockProver panic while it renders the message: row 0's predecessor is a blinding row.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| prover.verify_par().is_ok())).unwrap_or(false)
    }

    /// Whether a real proof from this first phase is made and accepted.
    pub fn real(&self, first: &FirstPhase, outputs: &[Vec<i64>], changed: &[(usize, usize, Fr)]) -> bool {
        self.proof(first, outputs, changed).is_some_and(|proof| self.verify(outputs, &proof).is_ok())
    }

    /// A real proof, if the prover makes one.
    pub fn proof(&self, first: &FirstPhase, outputs: &[Vec<i64>], changed: &[(usize, usize, Fr)]) -> Option<Vec<u8>> {
        let job = Job { keys: &self.keys, layout: &self.layout, graph: &self.graph, execution: &self.execution, first };
        let rng = ChaCha20Rng::seed_from_u64(99);
        job.prove(&self.prover, &self.inputs, outputs, rng, |circuit| change(circuit, changed)).ok()
    }

    /// Verifies a proof for the session's inputs.
    ///
    /// # Errors
    /// Why it is rejected.
    pub fn verify(&self, outputs: &[Vec<i64>], proof: &[u8]) -> Result<(), VerifyError> {
        verify::verify(&self.keys.verifying, &self.inputs, outputs, proof)
    }
}

fn change<'a>(circuit: NetworkCircuit<'a>, changed: &[(usize, usize, Fr)]) -> NetworkCircuit<'a> {
    changed.iter().fold(circuit, |circuit, (column, row, delta)| circuit.with_changed_cell(*column, *row, *delta))
}

/// One network per layer family and form, small enough for MockProver.
pub fn zoo() -> Vec<(&'static str, Graph)> {
    vec![
        ("dense", dense()),
        ("dense, several blocks", dense_blocks()),
        ("matrix product over a batch", batched()),
        ("convolution, pooled", pooled()),
        ("convolution, padding and stride", strided()),
        ("residual addition", residual()),
        ("pooling by gathering", gathered()),
        ("one tensor under two shapes, a pooled input", reshaped()),
    ]
}

/// Two dense layers, the last one raw.
pub fn dense() -> Graph {
    let mut b = Builder::new(1, 6, Shape::vector(5), SIGNED);
    let x = b.linear(0, 7, Window::UNIT, [1, 1], 60, (0, 31));
    let y = b.linear(x, 3, Window::UNIT, [1, 1], 60, WIDE);
    b.finish(&[y])
}

/// A dense layer wider than the weight bank (with [`narrow`] options), requantised output.
pub fn dense_blocks() -> Graph {
    let mut b = Builder::new(2, 6, Shape::vector(3), SIGNED);
    let x = b.linear(0, 21, Window::UNIT, [1, 1], 60, (-16, 15));
    let y = b.linear(x, 18, Window::UNIT, [1, 1], 60, (-16, 15));
    b.finish(&[y])
}

/// A product over five rows, then another.
pub fn batched() -> Graph {
    let mut b = Builder::new(3, 6, image(4, 1, 5), SIGNED);
    let x = b.linear(0, 6, Window::UNIT, [1, 1], 60, (0, 31));
    let y = b.linear(x, 2, Window::UNIT, [1, 1], 60, WIDE);
    b.finish(&[y])
}

/// Convolution with fused pooling that drops a row and a column, flattened into a dense layer.
pub fn pooled() -> Graph {
    let mut b = Builder::new(4, 6, image(2, 7, 8), (0, 31));
    let x = b.linear(0, 3, Window { kernel: [3, 2], ..Window::UNIT }, [2, 2], 40, (0, 31));
    let flat = b.node(Op::Reshape, &[x], Shape::vector(18), (0, 31));
    let y = b.linear(flat, 4, Window::UNIT, [1, 1], 60, WIDE);
    b.finish(&[y])
}

/// Padded convolutions, the second with a stride; the first pads unevenly.
pub fn strided() -> Graph {
    let mut b = Builder::new(5, 6, image(2, 5, 6), SIGNED);
    let uneven = Window { kernel: [3, 3], stride: [1, 1], pad_before: [1, 2], pad_after: [0, 1] };
    let x = b.linear(0, 3, uneven, [1, 1], 40, (0, 31));
    let y = b.linear(x, 2, square(3, 2, 1), [1, 1], 40, (-16, 15));
    b.finish(&[y])
}

/// A residual block: the input is added to a padded convolution of itself, and both are outputs.
pub fn residual() -> Graph {
    let shape = image(2, 4, 4);
    let mut b = Builder::new(6, 6, shape, (-16, 15));
    let x = b.linear(0, 2, square(3, 1, 1), [1, 1], 20, (-16, 15));
    let sum = b.node(Op::Combine { multipliers: vec![64, 32] }, &[x, 0], shape, (0, 15));
    let y = b.linear(sum, 2, square(3, 1, 1), [1, 1], 20, (-16, 15));
    b.finish(&[y, sum])
}

/// Overlapping, padded maximum pooling, then average pooling whose windows differ in size at the border.
pub fn gathered() -> Graph {
    let mut b = Builder::new(7, 6, image(2, 5, 5), (0, 31));
    let x = b.linear(0, 2, square(1, 1, 0), [1, 1], 40, (-16, 15));
    let max = b.node(Op::MaxPool(square(3, 2, 1)), &[x], image(2, 3, 3), (-16, 15));
    let multipliers = (0..=4).map(|n| if n == 0 { 0 } else { 64 / n }).collect();
    let average = Op::AveragePool { window: square(2, 1, 1), multipliers };
    let mean = b.node(average, &[max], image(2, 4, 4), (-16, 15));
    let flat = b.node(Op::Reshape, &[mean], Shape::vector(32), (-16, 15));
    let y = b.linear(flat, 2, Window::UNIT, [1, 1], 60, WIDE);
    b.finish(&[y, max])
}

/// An input that is pooled directly, and a tensor that convolutions read under two shapes.
pub fn reshaped() -> Graph {
    let mut b = Builder::new(8, 6, image(2, 4, 4), (0, 31));
    let max = b.node(Op::MaxPool(square(2, 1, 0)), &[0], image(2, 3, 3), (0, 31));
    let x = b.linear(max, 2, square(2, 1, 0), [1, 1], 30, (0, 31));
    let wide = b.node(Op::Reshape, &[max], image(1, 3, 6), (0, 31));
    let y = b.linear(wide, 3, square(2, 1, 0), [1, 1], 30, (-16, 15));
    b.finish(&[x, y])
}

/// Options that keep the weight bank narrow, so that small layers take several blocks.
pub fn narrow() -> LayoutOptions {
    let mut options = LayoutOptions::default();
    options.max_weight_columns = 8;
    options
}

/// Options that embed the weights.
pub fn embedded() -> LayoutOptions {
    let mut options = LayoutOptions::default();
    options.weights = WeightMode::Embedded;
    options
}
