//! Lies about an inference: outputs that are not the network's, and witnesses that a cheating prover would make for
//! them.
//!
//! A lie changes a few values and carries on what follows, so that all else is consistent. Each must be rejected: there
//! is no value of a network that a prover may choose.

mod group;
mod reader;
mod tell;

use halo2_proofs::dev::MockProver;
use halo2curves::bn256::G1Affine;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::circuit::{NetworkCircuit, Witness};
use zkml_gpu_circuit::commit::{Bank, TensorOpening};
use zkml_gpu_circuit::keys::ProvingKeys;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{LayoutError, lower};
use zkml_gpu_circuit::prove::{CommittedTensor, Job};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_circuit::verify::{Claim, verify_claim};
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::prover::Prover;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_graph::{Execution, Graph};

pub use tell::{Kind, copied_pairs, lies, pairs};

use crate::networks::{prover_and_keys, random_inputs};

/// A network with a layout, and one honest inference.
#[derive(Debug)]
pub struct Case {
    /// The network, lowered.
    pub graph: Graph,
    /// Its layout.
    pub layout: Layout,
    /// Its learned values.
    pub bank: Bank,
    /// Inputs of the inference.
    pub inputs: Vec<Vec<i64>>,
    /// All its values.
    pub execution: Execution,
    /// The witness's first phase.
    pub first: FirstPhase,
}

/// What a prover claims, and the execution that the witness is made of.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What is false, for a report.
    pub what: String,
    /// Which sort of lie it is.
    pub kind: Kind,
    /// The claimed outputs.
    pub outputs: Vec<Vec<i64>>,
    /// The values of the witness.
    execution: Execution,
    /// Its first phase.
    first: FirstPhase,
    /// The graph that the witness is made for, where it is not the case's: one of its nodes reads a tensor of its own.
    made_for: Option<Graph>,
}

/// Keys and a prover that does not check its witness.
#[derive(Debug)]
pub struct Keys {
    prover: Prover<Cpu>,
    keys: ProvingKeys,
}

impl Case {
    /// Lowers a graph, compiles it and runs it on random inputs.
    ///
    /// # Errors
    /// Why the graph has no layout.
    pub fn new(graph: Graph, options: &LayoutOptions, seed: u64) -> Result<Self, LayoutError> {
        let inputs = random_inputs(&graph, seed);
        Self::with_inputs(graph, options, inputs)
    }

    /// The same on these inputs.
    ///
    /// # Errors
    /// Why the graph has no layout.
    pub fn with_inputs(graph: Graph, options: &LayoutOptions, inputs: Vec<Vec<i64>>) -> Result<Self, LayoutError> {
        let graph = lower(graph);
        let layout = Layout::compile(&graph, options)?;
        let bank = Bank::new(&layout, &graph);
        let execution = graph.run(&inputs).expect("the graph runs");
        let first = FirstPhase::new(&layout, &graph, &execution);
        Ok(Self { graph, layout, bank, inputs, execution, first })
    }

    /// What an honest prover shows.
    pub fn honest(&self) -> Attempt {
        self.attempt(Kind::Honest, "nothing".into(), self.execution.clone())
    }

    /// What a prover shows that claims the outputs of an execution.
    pub fn attempt(&self, kind: Kind, what: String, execution: Execution) -> Attempt {
        let outputs = self.shown(&execution);
        let first = FirstPhase::new(&self.layout, &self.graph, &execution);
        Attempt { what, kind, outputs, execution, first, made_for: None }
    }

    /// The outputs of an execution that a verifier sees.
    fn shown(&self, execution: &Execution) -> Vec<Vec<i64>> {
        let outputs: Vec<_> = self.graph.outputs.iter().map(|output| execution.values[*output].clone()).collect();
        let [_, outputs] = self.layout.statement.shown(&[], &outputs);
        outputs
    }

    /// The graph that an attempt's witness is made for.
    fn made_for<'a>(&'a self, attempt: &'a Attempt) -> &'a Graph {
        attempt.made_for.as_ref().unwrap_or(&self.graph)
    }

    /// Whether a lie says nothing that is false, in no cell of the witness nor in a claim: what was changed is nowhere
    /// written.
    pub fn is_void(&self, lie: &Attempt) -> bool {
        lie.outputs == self.honest().outputs && lie.first.columns == self.first.columns
    }

    /// Whether MockProver accepts an attempt.
    pub fn mock(&self, attempt: &Attempt) -> bool {
        let statement = &self.layout.statement;
        let [inputs, _] = statement.shown(&self.inputs, &[]);
        let instances = statement.instances_with(&inputs, &attempt.outputs, &attempt.first.tensor_hashes);
        let Ok(instances) = instances else { return false };
        let graph = self.made_for(attempt);
        let witness = Witness {
            graph,
            execution: &attempt.execution,
            bank: &self.bank,
            first: &attempt.first,
            instances: &instances,
            derived: false,
        };
        let circuit = NetworkCircuit::proving(&self.layout, witness);
        let prover = MockProver::run(self.layout.k, &circuit, instances.clone()).expect("MockProver runs");
        let usable = self.layout.usable_rows();
        // The grand sum's end notices most lies. MockProver panics while it renders a failure on row 0, so that row
        // comes last.
        let accepts = |rows: std::ops::Range<usize>| prover.verify_at_rows(rows, 0..0).is_ok();
        let row_0 = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| accepts(0..1))).unwrap_or(false);
        accepts(usable - 1..usable) && accepts(1..usable) && row_0()
    }

    /// Keys for real proofs.
    pub fn keys(&self, seed: u64) -> Keys {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let srs = Srs::development(self.layout.k, &mut rng).expect("a development reference string");
        let (prover, keys) = prover_and_keys(&self.graph, &self.layout, &srs, &mut rng).expect("keys");
        Keys { prover, keys }
    }

    /// Whether a real proof of an attempt is made and accepted.
    pub fn real(&self, Keys { prover, keys }: &Keys, attempt: &Attempt) -> bool {
        let graph = self.made_for(attempt);
        let tensors = &self.committed(prover, &attempt.first);
        let (layout, execution, first) = (&self.layout, &attempt.execution, &attempt.first);
        let job = Job { keys, layout, graph, execution, first, tensors };
        let rng = ChaCha20Rng::seed_from_u64(99);
        let Ok(proof) = job.prove(prover, &self.inputs, &attempt.outputs, rng, |circuit| circuit) else {
            return false;
        };
        let [inputs, _] = layout.statement.shown(&self.inputs, &[]);
        let tensors: Vec<G1Affine> = tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect();
        verify_claim(
            &keys.verifying,
            Claim { inputs: &inputs, outputs: &attempt.outputs, tensors: &tensors, hashes: &first.tensor_hashes },
            &proof,
        )
        .is_ok()
    }

    /// Commitments to what the columns of committed tensors hold, be it false: a prover may commit to anything.
    fn committed(&self, prover: &Prover<Cpu>, first: &FirstPhase) -> Vec<CommittedTensor> {
        let (a, k) = (&self.layout.architecture, self.layout.k);
        let ports = self.layout.statement.ports().filter(|port| port.committed_columns() > 0);
        ports
            .map(|port| {
                let cells = (0..port.len).filter_map(|element| port.placement.committed_cell(element));
                let values = cells.map(|(column, row)| first.columns[a.committed(column)][row]).collect();
                let opening = TensorOpening::new(values, k, ChaCha20Rng::seed_from_u64(98));
                CommittedTensor::new(prover, opening, k).expect("commitments")
            })
            .collect()
    }
}
