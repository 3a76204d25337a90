//! Small random networks, one for each layer family, and everything needed to prove them and to try to cheat.

use halo2_proofs::dev::MockProver;
use halo2curves::bn256::{Fr, G1Affine};
use rand::{CryptoRng, Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::circuit::{NetworkCircuit, Witness};
use zkml_gpu_circuit::keys::{self, KeyError, ProvingKeys};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{Widths, lower};
use zkml_gpu_circuit::prove::{CommittedTensor, Job, committed};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_circuit::verify::{Claim, VerifyError, verify_claim};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::prover::{Prover, ProverOptions};
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_graph::{
    Activation, Execution, Format, Graph, Interleaving, Linear, MatMul, Node, Normalise, Op, Origin, Rescale, Segments,
    Shape, Softmax, Storage, Tensor, Visibilities, Visibility, Width, Window,
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
            activations: Vec::new(),
            nodes: Vec::new(),
            inputs: vec![0],
            outputs: Vec::new(),
            visibility: Visibilities::default(),
        };
        let mut builder = Self { rng: ChaCha20Rng::seed_from_u64(seed), graph };
        builder.tensor(input, range);
        builder
    }

    fn tensor(&mut self, shape: Shape, (min, max): (i64, i64)) -> usize {
        let logical_shape = vec![1, shape.channels, shape.height, shape.width];
        let format = Format::new(0, min, max);
        let name = format!("t{}", self.graph.tensors.len());
        self.graph.tensors.push(Tensor { name, shape, format, logical_shape, storage: Storage::Plain });
        self.graph.tensors.len() - 1
    }

    /// Adds a node and returns its output.
    pub fn node(&mut self, op: Op, inputs: &[usize], shape: Shape, range: (i64, i64)) -> usize {
        let output = self.tensor(shape, range);
        self.graph.nodes.push(Node {
            name: format!("n{output}"),
            op,
            inputs: inputs.to_vec(),
            output,
            activation: None,
        });
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
        let form = Linear { window, pool, ..Linear::dense(out_channels, Vec::new(), Vec::new()) };
        self.product(input, form, amplitude, range)
    }

    /// Adds a product of this form with random weights up to `amplitude`.
    pub fn product(&mut self, input: usize, form: Linear, amplitude: i32, range: (i64, i64)) -> usize {
        let x = self.graph.tensors[input].shape;
        let len = form.out_channels * x.channels / form.groups * form.window.taps();
        let weights = (0..len).map(|_| self.rng.gen_range(-amplitude..=amplitude)).collect();
        let bias = (0..form.out_channels).map(|_| self.rng.gen_range(-3000..3000)).collect();
        let [height, width] = form.pooled(x).expect("the window fits");
        let shape = match form.transposed {
            true => Shape { channels: width, height: 1, width: form.out_channels },
            false => Shape { channels: form.out_channels, height, width },
        };
        let linear = Linear { weights, bias, raw: range == WIDE, ..form };
        self.node(Op::Linear(linear), &[input], shape, range)
    }

    /// Adds an input.
    pub fn input(&mut self, shape: Shape, range: (i64, i64)) -> usize {
        let input = self.tensor(shape, range);
        self.graph.inputs.push(input);
        input
    }

    /// Adds a tensor made of elements of others: `(operand, element)`, or a constant.
    pub fn rearranged(
        &mut self,
        inputs: &[usize],
        shape: Shape,
        range: (i64, i64),
        origins: impl IntoIterator<Item = Origin>,
    ) -> usize {
        self.node(Op::Rearrange { origins: origins.into_iter().collect() }, inputs, shape, range)
    }

    /// Lets the last node apply a function to `min`, `min + 1`, ...
    pub fn activate(&mut self, min: i64, values: impl IntoIterator<Item = i64>) {
        self.graph.activations.push(Activation::table(min, values.into_iter().collect()));
        let last = self.graph.nodes.last_mut().expect("a node");
        last.activation = Some(self.graph.activations.len() - 1);
    }

    /// Lets the last node apply a function by so many straight lines of `2^low` arguments from `min` on, with slopes of
    /// `scale` fractional bits.
    pub fn follow_lines(&mut self, min: i64, bits: [u32; 2], lines: usize, function: impl Fn(f64) -> f64) {
        self.graph.activations.push(lines_of(min, bits, lines, function));
        let last = self.graph.nodes.last_mut().expect("a node");
        last.activation = Some(self.graph.activations.len() - 1);
    }

    /// The finished graph.
    pub fn finish(mut self, outputs: &[usize]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph.validate().expect("the graph is valid");
        self.graph
    }
}

/// A function by so many straight lines through its values at the ends of segments of `2^low` arguments from `min` on, with
/// slopes of `scale` fractional bits.
pub fn lines_of(min: i64, [low, scale]: [u32; 2], lines: usize, function: impl Fn(f64) -> f64) -> Activation {
    let unit = f64::from(1 << scale);
    let line = |h: usize| {
        let [first, last] = [h << low, ((h + 1) << low) - 1].map(|q| function((min + q as i64) as f64));
        let slope = ((last - first) / f64::from((1 << low) - 1) * unit).round();
        [(first * unit + unit / 2.0).round() as i64, slope as i64]
    };
    let segments = Segments { low, scale, lines: (0..lines).map(line).collect() };
    Activation::of_segments(min, segments).expect("lines within bounds")
}

/// An image shape.
pub const fn image(channels: usize, height: usize, width: usize) -> Shape {
    Shape { channels, height, width }
}

/// A square window.
pub const fn square(kernel: usize, stride: usize, pad: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], pad_before: [pad; 2], pad_after: [pad; 2], ..Window::UNIT }
}

/// A random input in range.
pub fn random_inputs(graph: &Graph, seed: u64) -> Vec<Vec<i64>> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let input = |t: &usize| {
        let tensor = &graph.tensors[*t];
        let Shape { channels, height, width } = tensor.shape;
        if tensor.storage == Storage::OneHot {
            let rows: Vec<usize> = (0..height * width).map(|_| rng.gen_range(0..channels)).collect();
            let one = |(channel, row): (usize, &usize)| if *row == channel { tensor.format.max } else { 0 };
            return (0..channels).flat_map(|channel| rows.iter().map(move |row| one((channel, row)))).collect();
        }
        (0..tensor.shape.len()).map(|_| rng.gen_range(tensor.format.min..=tensor.format.max)).collect()
    };
    graph.inputs.iter().map(input).collect()
}

/// Keys of a network on a processor, and a prover that does not check its witness, as a cheating one: the verifier
/// must.
///
/// # Errors
/// As [`keys::setup`].
pub fn prover_and_keys(
    graph: &Graph,
    layout: &Layout,
    srs: &Srs,
    rng: impl RngCore + CryptoRng,
) -> Result<(Prover<Cpu>, ProvingKeys), KeyError> {
    let committer = Committer::new(Cpu::default(), srs, 0)?;
    let (circuit, keys) = keys::setup(graph, layout, srs, &committer, keys::Hiding::Drawn(rng))?;
    let mut options = ProverOptions::default();
    options.check_witness = false;
    let prover = Prover::with_key(committer, circuit, &options).expect("a prover");
    Ok((prover, keys))
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
    /// Its committed tensors.
    pub tensors: Vec<CommittedTensor>,
}

impl Session {
    /// Compiles a graph and runs it on a random input.
    pub fn new(graph: Graph, options: &LayoutOptions, seed: u64) -> Self {
        let inputs = random_inputs(&graph, seed);
        Self::with_inputs(graph, options, seed, inputs)
    }

    /// Compiles a graph and runs it on these inputs.
    pub fn with_inputs(graph: Graph, options: &LayoutOptions, seed: u64, inputs: Vec<Vec<i64>>) -> Self {
        let graph = lower(graph);
        let layout = Layout::compile(&graph, options).expect("the graph has a layout");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let srs = Srs::development(layout.k, &mut rng).expect("a development reference string");
        let (prover, keys) = prover_and_keys(&graph, &layout, &srs, &mut rng).expect("keys");
        let execution = graph.run(&inputs).expect("the graph runs");
        let outputs = graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
        let first = FirstPhase::new(&layout, &graph, &execution);
        let tensors = committed(&prover, &layout, &graph, &execution, &[], &mut rng).expect("commitments");
        Self { graph, layout, keys, prover, srs, inputs, outputs, execution, first, tensors }
    }

    /// Whether MockProver accepts this first phase for these claims, with cells changed after everything is computed.
    pub fn mock(&self, first: &FirstPhase, outputs: &[Vec<i64>], changed: &[(usize, usize, Fr)]) -> bool {
        let [inputs, outputs] = self.layout.statement.shown(&self.inputs, outputs);
        let instances = self.layout.statement.instances_with(&inputs, &outputs, &first.tensor_hashes);
        let Ok(instances) = instances else { return false };
        let witness = Witness {
            graph: &self.graph,
            execution: &self.execution,
            bank: &self.keys.model.bank,
            first,
            instances: &instances,
            derived: false,
        };
        let circuit = change(NetworkCircuit::proving(&self.layout, witness), changed);
        let prover = MockProver::run(self.layout.k, &circuit, instances.clone()).expect("MockProver runs");
        // A failure on row 0 makes MockProver panic while it renders the message: row 0's predecessor is a blinding
        // row.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| prover.verify_par().is_ok())).unwrap_or(false)
    }

    /// Whether a real proof from this first phase is made and accepted.
    pub fn real(&self, first: &FirstPhase, outputs: &[Vec<i64>], changed: &[(usize, usize, Fr)]) -> bool {
        self.proof(first, outputs, changed).is_some_and(|proof| self.verify(outputs, &proof).is_ok())
    }

    /// A real proof, if the prover makes one.
    pub fn proof(&self, first: &FirstPhase, outputs: &[Vec<i64>], changed: &[(usize, usize, Fr)]) -> Option<Vec<u8>> {
        let Self { keys, layout, graph, execution, tensors, .. } = self;
        let job = Job { keys, layout, graph, execution, first, tensors };
        let rng = ChaCha20Rng::seed_from_u64(99);
        job.prove(&self.prover, &self.inputs, outputs, rng, |circuit| change(circuit, changed)).ok()
    }

    /// Verifies a proof for the session's inputs and commitments, of which a verifier sees what is not hidden.
    ///
    /// # Errors
    /// Why it is rejected.
    pub fn verify(&self, outputs: &[Vec<i64>], proof: &[u8]) -> Result<(), VerifyError> {
        self.verify_for(outputs, &self.commitments(), proof)
    }

    /// The same for other commitments.
    ///
    /// # Errors
    /// Why it is rejected.
    pub fn verify_for(&self, outputs: &[Vec<i64>], tensors: &[G1Affine], proof: &[u8]) -> Result<(), VerifyError> {
        let [inputs, outputs] = self.layout.statement.shown(&self.inputs, outputs);
        let hashes = &self.first.tensor_hashes;
        verify_claim(&self.keys.verifying, Claim { inputs: &inputs, outputs: &outputs, tensors, hashes }, proof)
    }

    /// Commitments to the committed tensors.
    pub fn commitments(&self) -> Vec<G1Affine> {
        self.tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect()
    }
}

/// Adds to cells, given by column and row, of any phase of a witness.
pub fn change<'a>(circuit: NetworkCircuit<'a>, changed: &[(usize, usize, Fr)]) -> NetworkCircuit<'a> {
    changed.iter().fold(circuit, |circuit, (column, row, delta)| circuit.with_changed_cell(*column, *row, *delta))
}

/// Several inferences of a network as one graph.
pub fn joint(graph: &Graph, inferences: usize) -> Graph {
    let joint = graph.joint(inferences).expect("the graph is of one inference");
    joint.validate().expect("the joint graph is valid");
    joint
}

/// A graph with inputs and outputs like these; accumulators that are claimed as they are stay public.
pub fn hidden(mut graph: Graph, inputs: Visibility, outputs: Visibility) -> Graph {
    (0..graph.inputs.len()).for_each(|index| graph.visibility.set_input(index, inputs));
    let raw = |tensor: usize| graph.nodes.iter().any(|node| node.output == tensor && node.is_raw());
    let free: Vec<usize> = (0..graph.outputs.len()).filter(|index| !raw(graph.outputs[*index])).collect();
    free.into_iter().for_each(|index| graph.visibility.set_output(index, outputs));
    graph
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
        ("grouped and dilated convolution", grouped()),
        ("transposed convolution", transposed()),
        ("activations by table, learned summands", activated()),
        ("functions by lines", by_lines()),
        ("concatenation and slices", pieces()),
        ("elements in any order", rearranged()),
        ("index of a maximum", index_of_maximum()),
        ("pooling over a whole image", global()),
        ("two inputs, an output that is read", two_inputs()),
        ("products of activations", multiplied()),
        ("softmax with a mask", shares()),
        ("softmax by lines", shares_by_lines()),
        ("normalisation", normalised()),
        ("attention", attention()),
        ("rows of a table at public indices", embedded_rows()),
        ("three inferences of a pooled convolution", joint(&pooled(), 3)),
        ("two inferences of a convolution with padding and stride", joint(&strided(), 2)),
        ("two inferences with learned summands", joint(&activated(), 2)),
        ("two inferences of attention", joint(&attention(), 2)),
    ]
}

/// A product of two activations by head with blocks in either order, one with single elements, and one element by
/// element.
pub fn multiplied() -> Graph {
    let mut b = Builder::new(17, 6, image(4, 1, 3), (-16, 15));
    let x = b.linear(0, 6, Window::UNIT, [1, 1], 40, (-16, 15));
    let y = b.linear(0, 6, Window::UNIT, [1, 1], 40, (-16, 15));
    let major = MatMul {
        heads: 2,
        inner: 3,
        rows: 3,
        columns: 3,
        head_minor: false,
        inferences: 1,
        rescale: Rescale { multiplier: 5, limbs: 1 },
        summands: Vec::new(),
        width: None,
    };
    let product = b.node(Op::MatMul(major.clone()), &[x, y], image(6, 1, 3), (-16, 15));
    let rescale = Rescale { multiplier: 300, limbs: 2 };
    let summands = (0..18).map(|i| i * 173 % 1024 - 512).collect();
    let minor = MatMul { head_minor: true, rescale, summands, ..major };
    let again = b.node(Op::MatMul(minor), &[product, y], image(6, 1, 3), (-16, 15));
    let squares = b.node(Op::Multiply(rescale), &[again, x], image(6, 1, 3), (-16, 15));
    let one = MatMul { heads: 1, inner: 6, rows: 3, columns: 1, rescale, ..major };
    let single = b.linear(squares, 6, Window { kernel: [1, 3], ..Window::UNIT }, [1, 1], 20, (-16, 15));
    let sums = b.node(Op::MatMul(one), &[x, single], image(3, 1, 1), (-16, 15));
    b.finish(&[squares, sums])
}

/// A softmax over four members of three groups, of which some are masked, and one over a vector.
pub fn shares() -> Graph {
    let exp = |d: i64| (f64::from(1 << 10) * (-d as f64 / 4.0).exp()).round() as i64;
    shares_with(&Activation::table(0, (0..32).map(exp).collect()))
}

/// The same with exponentials by straight lines.
pub fn shares_by_lines() -> Graph {
    shares_with(&lines_of(0, [2, 3], 8, |d| f64::from(1 << 10) * (-d / 4.0).exp()))
}

fn shares_with(exp: &Activation) -> Graph {
    let mut b = Builder::new(18, 6, image(4, 1, 3), (-16, 15));
    let x = b.linear(0, 4, Window::UNIT, [1, 1], 20, (-16, 15));
    let softmax = |groups: usize, len: usize, masked: Vec<bool>| Softmax {
        groups,
        len,
        masked,
        exp: exp.clone(),
        bits: 18,
        rescale: Rescale { multiplier: 1, limbs: 2 },
    };
    let masked = (0..12).map(|e| e % 5 == 1).collect();
    let y = b.node(Op::Softmax(softmax(3, 4, masked)), &[x], image(4, 1, 3), (0, 63));
    let z = b.linear(y, 2, Window { kernel: [1, 3], ..Window::UNIT }, [1, 1], 30, (-16, 15));
    let z = b.node(Op::Softmax(softmax(1, 2, Vec::new())), &[z], Shape::vector(2), (0, 63));
    b.finish(&[y, z])
}

/// Normalisation with and without the mean.
pub fn normalised() -> Graph {
    let mut b = Builder::new(19, 6, image(4, 1, 3), (-16, 15));
    let x = b.linear(0, 5, Window::UNIT, [1, 1], 20, (-16, 15));
    let rescale = Rescale { multiplier: 1, limbs: 2 };
    let normalise = |centred| Normalise { groups: 3, len: 5, centred, epsilon: 7, bits: 15, rescale };
    let y = b.node(Op::Normalise(normalise(true)), &[x], image(5, 1, 3), (-16, 15));
    let z = b.node(Op::Normalise(normalise(false)), &[y], image(5, 1, 3), (-16, 15));
    let w = b.linear(z, 2, Window::UNIT, [1, 1], 40, WIDE);
    b.finish(&[w, y])
}

/// Self-attention of two heads over three rows, with a residual sum around it.
pub fn attention() -> Graph {
    let shape = image(4, 1, 3);
    let mut b = Builder::new(20, 6, shape, (-16, 15));
    let rescale = Rescale { multiplier: 1, limbs: 2 };
    let normalise = Normalise { groups: 3, len: 4, centred: true, epsilon: 1, bits: 15, rescale };
    let x = b.node(Op::Normalise(normalise), &[0], shape, (-16, 15));
    let query = b.linear(x, 4, Window::UNIT, [1, 1], 60, (-16, 15));
    let key = b.linear(x, 4, Window::UNIT, [1, 1], 60, (-16, 15));
    let form = Linear { transposed: true, ..Linear::dense(4, vec![], vec![]) };
    let value = b.product(x, form, 60, (-16, 15));
    let scores = MatMul {
        heads: 2,
        inner: 2,
        rows: 3,
        columns: 3,
        head_minor: false,
        inferences: 1,
        rescale: Rescale { multiplier: 9, limbs: 1 },
        // Learned relative positions.
        summands: (0..18).map(|i| i * 173 % 300 - 150).collect(),
        width: Some(Width { bits: 9, spread_bits: 10 }),
    };
    let scores = b.node(Op::MatMul(scores), &[key, query], image(6, 1, 3), (-16, 15));
    let exp = |d: i64| (f64::from(1 << 10) * (-d as f64 / 4.0).exp()).round() as i64;
    let softmax = Softmax {
        groups: 6,
        len: 3,
        // Row i takes members up to i.
        masked: (0..18).map(|e| e / 6 > e % 3).collect(),
        exp: Activation::table(0, (0..32).map(exp).collect()),
        bits: 18,
        rescale,
    };
    let shares = b.node(Op::Softmax(softmax), &[scores], image(6, 1, 3), (0, 63));
    let blocks = b.node(Op::Reshape, &[value], image(6, 1, 2), (-16, 15));
    let mix = MatMul {
        heads: 2,
        inner: 3,
        rows: 2,
        columns: 3,
        head_minor: true,
        inferences: 1,
        rescale: Rescale::UNIT,
        summands: Vec::new(),
        width: None,
    };
    let mixed = b.node(Op::MatMul(mix), &[blocks, shares], shape, (-16, 15));
    let out = b.linear(mixed, 4, Window::UNIT, [1, 1], 60, (-16, 15));
    let sum = b.node(
        Op::Combine { multipliers: vec![64, 64], offset: vec![], shared: Interleaving::NONE, width: None },
        &[out, 0],
        shape,
        (-32, 31),
    );
    b.finish(&[sum])
}

/// A convolution with groups, dilation and uneven padding, then a depthwise one.
pub fn grouped() -> Graph {
    let mut b = Builder::new(9, 6, image(4, 6, 5), (0, 31));
    let window = Window { kernel: [2, 3], dilation: [3, 1], pad_before: [1, 0], pad_after: [2, 2], ..Window::UNIT };
    let form = Linear { window, groups: 2, ..Linear::dense(6, vec![], vec![]) };
    let x = b.product(0, form, 40, (0, 31));
    let depthwise = Linear { window: square(3, 2, 1), groups: 6, ..Linear::dense(6, vec![], vec![]) };
    let y = b.product(x, depthwise, 60, (-16, 15));
    b.finish(&[y])
}

/// Transposed convolutions: one with padding wider than its kernel, one with groups, dilation and pooling.
pub fn transposed() -> Graph {
    let mut b = Builder::new(10, 6, image(2, 3, 3), (0, 31));
    let window = Window { kernel: [2, 2], pad_before: [1, 1], pad_after: [2, 3], ..Window::UNIT };
    let form = Linear { window, input_dilation: [2, 2], ..Linear::dense(2, vec![], vec![]) };
    let x = b.product(0, form, 40, (0, 31));
    let window = Window { kernel: [2, 3], dilation: [2, 1], pad_before: [2, 1], ..Window::UNIT };
    let form = Linear { window, input_dilation: [1, 3], groups: 2, pool: [2, 2], ..Linear::dense(2, vec![], vec![]) };
    let y = b.product(x, form, 40, (-16, 15));
    b.finish(&[y])
}

/// Functions that are no clamps, after a product and after a sum; the sum has a learned summand for each element.
pub fn activated() -> Graph {
    let shape = image(2, 3, 4);
    let mut b = Builder::new(11, 6, shape, (-16, 15));
    let x = b.linear(0, 2, square(3, 1, 1), [1, 1], 20, (-16, 15));
    b.activate(-30, (-30..=30).map(|q: i64| if q < 0 { q / 4 } else { q / 2 }));
    let offset = (0..shape.len() as i64).map(|i| i * 37 % 900 - 400).collect();
    let sum = b.node(
        Op::Combine { multipliers: vec![64, -32], offset, shared: Interleaving::NONE, width: None },
        &[x, 0],
        shape,
        (0, 31),
    );
    b.activate(-9, (-9..=9).map(|q: i64| q * q / 3));
    let y = b.linear(sum, 2, square(2, 1, 0), [1, 1], 30, WIDE);
    b.finish(&[y, sum])
}

/// Functions by straight lines: after a convolution, a sum, a product of two activations whose remainder has two shifts, a
/// product of matrices, and an average.
pub fn by_lines() -> Graph {
    let shape = image(2, 2, 4);
    let mut b = Builder::new(31, 6, shape, (-16, 15));
    let x = b.linear(0, 2, square(3, 1, 1), [1, 1], 80, (-16, 15));
    b.follow_lines(-32, [3, 5], 8, |q| 15.0 * (q / 16.0).tanh());
    let multipliers = vec![64, -32];
    let sum = Op::Combine { multipliers, offset: vec![], shared: Interleaving::NONE, width: None };
    let sum = b.node(sum, &[x, 0], shape, (0, 31));
    b.follow_lines(-16, [2, 4], 8, |q| q * q / 16.0);
    let rescale = Rescale { multiplier: 900, limbs: 2 };
    let product = b.node(Op::Multiply(rescale), &[sum, x], shape, (-16, 15));
    b.follow_lines(-8, [1, 3], 8, |q| 1.5 * q);
    let window = Window { kernel: [2, 2], stride: [1, 2], ..Window::UNIT };
    let pool = Op::AveragePool { window, multipliers: vec![16; 5] };
    let pooled = b.node(pool, &[product], image(2, 1, 2), (-16, 15));
    b.follow_lines(-16, [2, 6], 8, |q| (q / 3.0).exp() / 10.0 - 10.0);
    let y = b.linear(pooled, 3, Window::UNIT, [1, 1], 30, WIDE);
    b.finish(&[y, product])
}

/// Channels of two convolutions and zeros, concatenated; slices of them, one added to another tensor, one claimed.
pub fn pieces() -> Graph {
    let mut b = Builder::new(12, 6, image(2, 4, 3), (0, 31));
    let x = b.linear(0, 3, square(3, 1, 1), [1, 1], 20, (0, 31));
    let y = b.linear(0, 2, square(1, 1, 0), [1, 1], 40, (0, 31));
    let element = |operand: u32, element: usize| Origin::Element { operand, element: element as u32 };
    let zeros = std::iter::repeat_n(Origin::Constant(0), 12);
    let parts = (12..36).map(|e| element(0, e)).chain(zeros).chain((0..24).map(|e| element(1, e)));
    let joined = b.rearranged(&[x, y], image(5, 4, 3), (0, 31), parts);
    let z = b.linear(joined, 2, square(3, 1, 1), [1, 1], 20, (-16, 15));
    let slice = b.rearranged(&[joined], image(2, 4, 3), (0, 31), (12..36).map(|e| element(0, e)));
    let sum = b.node(
        Op::Combine { multipliers: vec![32, 32], offset: vec![], shared: Interleaving::NONE, width: None },
        &[slice, z],
        image(2, 4, 3),
        (0, 31),
    );
    let claimed = b.rearranged(&[joined], Shape::vector(24), (0, 31), (36..60).map(|e| element(0, e)));
    let w = b.linear(sum, 2, square(2, 1, 0), [1, 1], 30, WIDE);
    b.finish(&[w, claimed])
}

/// A transposition with constants that a convolution reads, and a rearranged tensor that is only pooled.
pub fn rearranged() -> Graph {
    let mut b = Builder::new(13, 6, image(2, 3, 4), (0, 31));
    let x = b.linear(0, 2, square(1, 1, 0), [1, 1], 40, (-16, 15));
    let element = |element: usize| Origin::Element { operand: 0, element: element as u32 };
    let shape = image(2, 3, 4);
    let swap = move |(c, i, j): (usize, usize, usize)| match j {
        3 => Origin::Constant(if c == 0 { -5 } else { 0 }),
        _ => element(shape.index(c, j, i)),
    };
    let turned = b.rearranged(&[x], shape, (-16, 15), (0..24).map(|e| swap(shape.position(e))));
    let y = b.linear(turned, 2, square(2, 1, 0), [1, 1], 30, (-16, 15));
    let doubled = (0..48).map(|e| element(e / 24 * 12 + e % 24 / 8 * 4 + e % 8 / 2));
    let wide = b.rearranged(&[turned], image(2, 3, 8), (-16, 15), doubled);
    let max = b.node(Op::MaxPool(square(2, 1, 0)), &[wide], image(2, 2, 7), (-16, 15));
    b.finish(&[y, max])
}

/// Over channels, the last of equals; then over all of a vector, the first.
pub fn index_of_maximum() -> Graph {
    let mut b = Builder::new(14, 6, image(3, 2, 2), (0, 31));
    let x = b.linear(0, 5, square(1, 1, 0), [1, 1], 8, (-3, 3));
    let over_channels = Op::ArgMax { starts: vec![0, 1, 2, 3], stride: 4, count: 5, last: true };
    let index = b.node(over_channels, &[x], image(1, 2, 2), (0, 4));
    let flat = b.node(Op::Reshape, &[x], Shape::vector(20), (-3, 3));
    let y = b.linear(flat, 6, Window::UNIT, [1, 1], 20, (-16, 15));
    let first =
        b.node(Op::ArgMax { starts: vec![0], stride: 1, count: 6, last: false }, &[y], Shape::vector(1), (0, 5));
    b.finish(&[index, first, y])
}

/// The maximum and the mean of each channel.
pub fn global() -> Graph {
    let mut b = Builder::new(15, 6, image(2, 5, 4), (0, 31));
    let x = b.linear(0, 2, square(1, 1, 0), [1, 1], 40, (-16, 15));
    let window = Window { kernel: [5, 4], ..Window::UNIT };
    let max = b.node(Op::MaxPool(window), &[x], Shape::vector(2), (-16, 15));
    let average = Op::AveragePool { window, multipliers: vec![3; 21] };
    let mean = b.node(average, &[x], Shape::vector(2), (-16, 15));
    b.finish(&[max, mean])
}

/// An image and a vector meet in a sum, which is an output and goes on.
pub fn two_inputs() -> Graph {
    let mut b = Builder::new(16, 6, image(1, 4, 4), (0, 31));
    let side = b.input(Shape::vector(3), SIGNED);
    let x = b.linear(0, 2, square(3, 1, 0), [2, 2], 20, (-16, 15));
    let y = b.linear(side, 2, Window::UNIT, [1, 1], 60, (-16, 15));
    let sum = b.node(
        Op::Combine { multipliers: vec![64, 64], offset: vec![], shared: Interleaving::NONE, width: None },
        &[x, y],
        Shape::vector(2),
        (-16, 15),
    );
    let out = b.linear(sum, 3, Window::UNIT, [1, 1], 60, WIDE);
    b.finish(&[sum, out])
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

/// Rows of a table at public indices, then a product.
pub fn embedded_rows() -> Graph {
    let mut b = Builder::new(41, 6, image(7, 1, 5), (0, 1 << 6));
    b.graph.tensors[0].storage = Storage::OneHot;
    b.graph.tensors[0].logical_shape = vec![1, 5];
    let x = b.linear(0, 6, Window::UNIT, [1, 1], 60, SIGNED);
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
    let uneven = Window { kernel: [3, 3], pad_before: [1, 2], pad_after: [0, 1], ..Window::UNIT };
    let x = b.linear(0, 3, uneven, [1, 1], 40, (0, 31));
    let y = b.linear(x, 2, square(3, 2, 1), [1, 1], 40, (-16, 15));
    b.finish(&[y])
}

/// A residual block: the input is added to a padded convolution of itself, and both are outputs.
pub fn residual() -> Graph {
    let shape = image(2, 4, 4);
    let mut b = Builder::new(6, 6, shape, (-16, 15));
    let x = b.linear(0, 2, square(3, 1, 1), [1, 1], 20, (-16, 15));
    let sum = b.node(
        Op::Combine { multipliers: vec![64, 32], offset: vec![], shared: Interleaving::NONE, width: None },
        &[x, 0],
        shape,
        (0, 15),
    );
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

/// These options for a network of the zoo: functions by lines where its name says so, which are too short to be worth it.
pub fn options_of(name: &str, mut options: LayoutOptions) -> LayoutOptions {
    if name.contains("by lines") {
        let mut widths = Widths::default();
        (widths.operand_lanes, widths.activation_lanes, widths.limb_bits) = (4, 4, 5);
        (widths.lines, widths.lookup_group) = (true, 2);
        options.widths = Some(widths);
    }
    options
}

/// Options that embed the weights.
pub fn embedded() -> LayoutOptions {
    let mut options = LayoutOptions::default();
    options.weights = WeightMode::Embedded;
    options
}
