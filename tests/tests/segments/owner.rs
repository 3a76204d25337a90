//! Keys and proofs of segments in the hands of one who keeps to no rule.

use std::collections::HashMap;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu::verify::{SegmentedAbout, Wire};
use zkml_gpu::{Accuracy, FileError, ProofBundle, SegmentedKey, SegmentedProof, Srs};
use zkml_gpu_circuit::keys::{Hiding, ProvingKeys, recommit};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_circuit::prove::{CommittedTensor, Job, Openings, committed};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_circuit::weights::{WeightsOpening, WeightsProof, prove_weights};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::prover::Prover;
use zkml_gpu_graph::{End, Graph, Part};
use zkml_gpu_tests::networks::prover_and_keys;

/// A segment with its keys, and a prover that does not check its witness.
pub(crate) struct Segment {
    pub(crate) graph: Graph,
    pub(crate) layout: Layout,
    pub(crate) keys: ProvingKeys,
    pub(crate) prover: Prover<Cpu>,
    pub(crate) weights: Option<WeightsProof>,
}

/// A segment's proof.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) proof: Vec<u8>,
    pub(crate) inputs: Vec<Vec<i64>>,
    pub(crate) outputs: Vec<Vec<i64>>,
    /// Of its committed inputs and outputs.
    pub(crate) tensors: Vec<CommittedTensor>,
}

/// All segments of a model.
pub(crate) struct Owner {
    pub(crate) segments: Vec<Segment>,
    pub(crate) wires: Vec<Wire>,
}

/// What lies between segments, or is given, as its commitment says.
pub(crate) type Shared = HashMap<End, CommittedTensor>;
/// What its integers are.
pub(crate) type Values = HashMap<End, Vec<i64>>;

impl Owner {
    /// Keys of these parts. Those that follow one of the same architecture get its circuit where `share`.
    pub(crate) fn new(parts: Vec<Part>, options: &LayoutOptions, share: bool) -> Self {
        let options: Vec<LayoutOptions> = parts.iter().map(|_| options.clone()).collect();
        Self::with(parts, &options, share)
    }

    /// The same, with options for each part.
    pub(crate) fn with(parts: Vec<Part>, options: &[LayoutOptions], share: bool) -> Self {
        let wire = |part: &Part| Wire { inputs: part.inputs.clone(), outputs: part.outputs.clone() };
        let wires = parts.iter().map(wire).collect();
        let graphs: Vec<Graph> = parts.into_iter().map(|part| lower(part.graph)).collect();
        let compile = |k: u32| -> Vec<Layout> {
            let sized = graphs.iter().zip(options).map(|(graph, options)| {
                Layout::compile(graph, &options.clone().with_sizes(k, options.max_k)).expect("a layout")
            });
            sized.collect()
        };
        let k = compile(0).iter().map(Layout::k).max().expect("a part");
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let srs = Srs::development(k, &mut rng).expect("a reference string");
        let committer = || Committer::new(Cpu::default(), &srs, 0);
        let mut segments: Vec<Segment> = Vec::new();
        for (graph, layout) in graphs.iter().zip(compile(k)) {
            let (prover, mut keys) = prover_and_keys(graph, &layout, &srs, &mut rng).expect("keys");
            let mut weights = None;
            let alike = segments.iter().find(|other| share && other.graph.architecture() == graph.architecture());
            if let Some(other) = alike {
                let own = committer().expect("a committer");
                keys = recommit(&other.keys, graph, &layout, &own, Hiding::Drawn(&mut rng)).expect("keys");
            }
            if share {
                let opening = WeightsOpening::new(graph, &layout, &keys.verifying, &keys.model);
                weights = Some(prove_weights(opening, committer, &mut rng).expect("a proof of the weights"));
            }
            segments.push(Segment { graph: graph.clone(), layout, keys, prover, weights });
        }
        Self { segments, wires }
    }

    /// What the key says of itself.
    pub(crate) fn about(&self) -> SegmentedAbout {
        let mut known: Vec<Vec<u8>> = Vec::new();
        let circuits = self.segments.iter().map(|segment| {
            let [circuit, _] = segment.keys.verifying.to_parts();
            known.iter().position(|other| *other == circuit).unwrap_or_else(|| {
                known.push(circuit);
                known.len() - 1
            })
        });
        SegmentedAbout {
            model: "attacked".into(),
            inferences: 1,
            public_weights: false,
            accuracy: Accuracy { max_error: 0.0, bound: 0.0, samples: 1 },
            circuits: circuits.collect(),
            architectures: vec!["0".repeat(64); self.segments.len()],
            wires: self.wires.clone(),
        }
    }

    /// The key, as a stranger reads it.
    pub(crate) fn key(&self) -> SegmentedKey {
        self.key_of(self.about()).expect("a key")
    }

    /// A key of these segments that says this.
    pub(crate) fn key_of(&self, about: SegmentedAbout) -> Result<SegmentedKey, String> {
        let segments =
            self.segments.iter().map(|segment| (segment.keys.verifying.clone(), segment.weights.clone())).collect();
        let key = SegmentedKey::new(about, segments).map_err(|error| error.to_string())?;
        SegmentedKey::from_bytes(key.to_bytes(), "a.vk").map_err(|error: FileError| error.to_string())
    }

    /// Runs the segments from `first` on and proves them, one after the other, with fresh commitments to what they
    /// compute.
    pub(crate) fn prove_from(&self, first: usize, values: &mut Values, shared: &mut Shared, seed: u64) -> Vec<Made> {
        let later = self.segments.iter().enumerate().skip(first);
        later.map(|(segment, _)| self.prove(segment, values, shared, seed, |tensors| tensors)).collect()
    }

    /// Runs a segment and proves it. `change` may replace the commitments that the proof absorbs.
    pub(crate) fn prove(
        &self,
        segment: usize,
        values: &mut Values,
        shared: &mut Shared,
        seed: u64,
        change: impl FnOnce(Vec<CommittedTensor>) -> Vec<CommittedTensor>,
    ) -> Made {
        let Segment { graph, layout, keys, prover, .. } = &self.segments[segment];
        let Wire { inputs: ends, outputs: results } = &self.wires[segment];
        let mut rng = ChaCha20Rng::seed_from_u64(seed * 100 + segment as u64);
        let inputs: Vec<Vec<i64>> = ends.iter().map(|end| values[end].clone()).collect();
        let execution = graph.run(&inputs).expect("it runs");
        let first = FirstPhase::new(layout, graph, &execution);
        let named = ends.iter().zip(&keys.verifying.statement().inputs);
        let known: Vec<(String, &CommittedTensor)> =
            named.filter_map(|(end, port)| Some((port.name.clone(), shared.get(end)?))).collect();
        let openings = Openings { known: &known, ..Openings::default() };
        let tensors = committed(prover, layout, graph, &execution, openings, &mut rng).expect("commitments");
        let tensors = change(tensors);
        let outputs: Vec<Vec<i64>> = graph.outputs.iter().map(|tensor| execution.values[*tensor].clone()).collect();
        let job = Job { keys, layout, graph, execution: &execution, first: &first, tensors: &tensors };
        let proof = job.prove(prover, &inputs, &outputs, rng, |circuit| circuit).expect("a proof");
        values.extend(results.iter().copied().zip(outputs.iter().cloned()));
        let ports = ends.iter().chain(results).zip(keys.verifying.statement().ports());
        let ports = ports.filter(|(_, port)| port.committed_columns() > 0);
        shared.extend(ports.map(|(end, _)| *end).zip(tensors.iter().cloned()));
        Made { proof, inputs, outputs, tensors }
    }

    /// A bundle of these proofs, with these commitments to what lies between.
    pub(crate) fn bundle(&self, key: &SegmentedKey, made: &[Made], shared: &Shared) -> SegmentedProof {
        let own = key.segments().iter().zip(made).map(|(key, made)| {
            let points: Vec<_> = made.tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect();
            ProofBundle::new(key, "cpu", &made.inputs, &made.outputs, &made.proof).with_commitments(key, &points)
        });
        let between = (0..key.wiring().between()).map(|number| shared[&End::Between(number)].commitments.clone());
        SegmentedProof::new(key, &own.collect::<Vec<_>>(), &between.collect::<Vec<_>>()).expect("a bundle")
    }
}
