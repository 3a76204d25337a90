//! Small networks with real proofs for contracts, and contracts in the machine.

use std::path::{Path, PathBuf};

use halo2curves::bn256::G1Affine;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkml_gpu_circuit::hash::TensorHash;
use zkml_gpu_circuit::keccak::{self, Hasher};
use zkml_gpu_circuit::keys::{self, Hiding, ProvingKeys};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_circuit::prove::{Openings, prove_opened};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_circuit::verify::Claim;
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::prover::{Prover, ProverOptions};
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_evm::machine::{Answer, ContractAddress, Machine};
use zkml_gpu_evm::{Circuit, Compiled, Contract, Number, Solc};
use zkml_gpu_graph::{Format, Graph, Linear, Node, Op, Shape, Storage, Tensor, Visibilities, Visibility, Window};

/// The program that stands for `solc`, or why there is none: then what needs it is skipped, and says so.
pub(crate) fn solc() -> Option<Solc> {
    let program: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/solc.sh");
    match std::process::Command::new(&program).arg("--version").output() {
        Ok(output) if output.status.success() => Some(Solc::new(program)),
        other => {
            let why = other.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
            eprintln!("skipped: there is no solc, and npm has none: {why:?}");
            None
        }
    }
}

/// A convolution of a signed image, then a dense layer to four outputs.
pub(crate) fn network(input: Visibility, output: Visibility) -> Graph {
    let tensor = |shape: Shape, [min, max]: [i64; 2]| Tensor {
        name: String::new(),
        shape,
        format: Format::new(0, min, max),
        logical_shape: vec![shape.len()],
        storage: Storage::Plain,
    };
    let image = Shape { channels: 2, height: 5, width: 5 };
    let hidden = Shape { channels: 3, height: 3, width: 3 };
    let kernel = Window { kernel: [3, 3], ..Window::UNIT };
    let weights = |count: usize| (0..count).map(|i| (i as i32 * 37 % 41) - 20).collect::<Vec<i32>>();
    let biases = |count: usize| (0..count).map(|i| i as i64 * 100 - 150).collect::<Vec<i64>>();
    let node =
        |name: &str, op, input, output| Node { name: name.into(), op, inputs: vec![input], output, activation: None };
    let convolution = Linear { window: kernel, ..Linear::dense(3, weights(3 * 2 * 9), biases(3)) };
    let mut graph = Graph {
        name: String::new(),
        shift: 6,
        tensors: vec![
            tensor(image, [-16, 15]),
            tensor(hidden, [0, 31]),
            tensor(Shape::vector(27), [0, 31]),
            tensor(Shape::vector(4), [-64, 63]),
        ],
        activations: Vec::new(),
        nodes: vec![
            node("convolution", Op::Linear(convolution), 0, 1),
            node("flatten", Op::Reshape, 1, 2),
            node("dense", Op::Linear(Linear::dense(4, weights(27 * 4), biases(4))), 2, 3),
        ],
        inputs: vec![0],
        outputs: vec![3],
        visibility: Visibilities::default(),
    };
    graph.visibility.set_input(0, input);
    graph.visibility.set_output(0, output);
    graph
}

/// A network with keys, and one proof for a contract.
pub(crate) struct Session {
    pub(crate) graph: Graph,
    pub(crate) keys: ProvingKeys,
    pub(crate) proof: Vec<u8>,
    pub(crate) inputs: Vec<Vec<i64>>,
    pub(crate) outputs: Vec<Vec<i64>>,
    pub(crate) hashes: Vec<TensorHash>,
    pub(crate) tensors: Vec<G1Affine>,
}

impl Session {
    pub(crate) fn new(graph: Graph, weights: WeightMode) -> Self {
        Self::with_seeds(graph, weights, [7, 7])
    }

    /// The same network under the same circuit key, with a model commitment of its own.
    pub(crate) fn with_other_model(&self) -> Self {
        Self::with_seeds(self.graph.clone(), WeightMode::Committed, [7, 8])
    }

    /// The reference string from one seed, all that is drawn behind it from another one.
    fn with_seeds(graph: Graph, weights: WeightMode, [string, rest]: [u64; 2]) -> Self {
        let network = graph.clone();
        let mut options = LayoutOptions::default();
        options.weights = weights;
        let graph = lower(graph);
        let layout = Layout::compile(&graph, &options).expect("a layout");
        let mut rng = ChaCha20Rng::seed_from_u64(string);
        let srs = Srs::development(layout.k, &mut rng).expect("a reference string");
        let mut rng = ChaCha20Rng::seed_from_u64(rest);
        let committer = Committer::new(Cpu::default(), &srs, 0).expect("points");
        let (circuit, keys) = keys::setup(&graph, &layout, &srs, &committer, Hiding::Drawn(&mut rng)).expect("keys");
        let prover = Prover::with_key(committer, circuit, &ProverOptions::default()).expect("a prover");
        let input: Vec<i64> = (0..50).map(|i| i * 7 % 32 - 16).collect();
        let inputs = vec![input];
        let openings = Openings { hasher: Hasher::Keccak, ..Openings::default() };
        let proved = prove_opened(&prover, (&keys, &layout, &graph), &inputs, openings, &mut rng).expect("a proof");
        let [inputs, _] = layout.statement.shown(&inputs, &[]);
        let tensors = proved.tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect();
        Self {
            graph: network,
            keys,
            proof: proved.bytes,
            inputs,
            outputs: proved.outputs,
            hashes: proved.hashes,
            tensors,
        }
    }

    /// What the library says of a proof.
    pub(crate) fn is_accepted(&self, proof: &[u8]) -> bool {
        let Self { inputs, outputs, hashes, tensors, .. } = self;
        keccak::verify_claim(&self.keys.verifying, Claim { inputs, outputs, tensors, hashes }, proof).is_ok()
    }

    pub(crate) fn contract(&self) -> Contract {
        let circuit = Circuit::of_keys(&self.keys.verifying).expect("a statement of contracts");
        Contract::new("Verifier", &circuit, &[]).expect("a contract")
    }

    /// The statement's numbers, inputs first.
    pub(crate) fn numbers(&self) -> Vec<Number> {
        let mut hashes = self.hashes.iter();
        let ports = self.keys.verifying.statement().ports().zip(self.inputs.iter().chain(&self.outputs));
        ports
            .flat_map(|(port, values)| match port.visibility() {
                Visibility::Hashed => hashes.next().map(|hash| Number::Element(hash.element())).into_iter().collect(),
                Visibility::Public => values.iter().copied().map(Number::Integer).collect::<Vec<_>>(),
                Visibility::Private | Visibility::Committed => Vec::new(),
            })
            .collect()
    }
}

/// A contract that is deployed.
pub(crate) struct Deployed {
    pub(crate) machine: Machine,
    pub(crate) address: ContractAddress,
    pub(crate) code_bytes: usize,
}

impl Deployed {
    pub(crate) fn new(compiled: &Compiled) -> Self {
        let mut machine = Machine::default();
        let (address, _) = machine.deploy(&compiled.creation).expect("it is deployed");
        Self { machine, address, code_bytes: compiled.code.len() }
    }

    pub(crate) fn call(&mut self, calldata: &[u8]) -> Answer {
        self.machine.call(self.address, calldata, 0).expect("a transaction")
    }

    pub(crate) fn accepts(&mut self, calldata: &[u8]) -> bool {
        self.call(calldata).is_true()
    }
}
