//! Models in segments: every cut of every graph computes what the whole does and has a circuit that the check takes;
//! proofs of all segments are accepted together, and nothing else is.

mod attacks;
mod ends;
mod files;
mod owner;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu::segmented::{SegmentProof, SegmentTask};
use zkml_gpu::{
    BackendChoice, CompileOptions, ImportOptions, Model, Sample, SegmentedKey, SegmentedModel, SegmentedProof,
    SegmentedProved, SegmentedProver, SegmentedProverKey, Srs, read_samples,
};
use zkml_gpu_circuit::check::check;
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{LayoutError, lower};
use zkml_gpu_graph::{End, Graph, Part};
use zkml_gpu_tests::networks::{random_inputs, zoo};
use zkml_gpu_tests::random::random_graph;

/// What the parts compute one after the other.
fn run(parts: &[Part], inputs: &[Vec<i64>]) -> HashMap<End, Vec<i64>> {
    let inputs = inputs.iter().enumerate().map(|(index, values)| (End::Input(index), values.clone()));
    let mut known: HashMap<End, Vec<i64>> = inputs.collect();
    for part in parts {
        let own: Vec<Vec<i64>> = part.inputs.iter().map(|end| known[end].clone()).collect();
        let execution = part.graph.run(&own).expect("a part runs");
        let outputs = part.outputs.iter().zip(&part.graph.outputs);
        known.extend(outputs.map(|(end, tensor)| (*end, execution.values[*tensor].clone())));
    }
    known
}

/// Cuts a graph at every place alone: the parts compute what the whole does, and have circuits that the check takes.
fn cut_everywhere(name: &str, graph: &Graph, layouts: bool) -> usize {
    let inputs = random_inputs(graph, 5);
    let whole = graph.run(&inputs).expect(name);
    let cuts = graph.cuts();
    for cut in &cuts {
        let parts = graph.parts(&[cut.at]).expect(name);
        let known = run(&parts, &inputs);
        for (index, output) in graph.outputs.iter().enumerate() {
            assert_eq!(known[&End::Output(index)], whole.values[*output], "{name} cut at {}", cut.at);
        }
        for part in parts.into_iter().filter(|_| layouts) {
            let part = lower(part.graph);
            let layout = Layout::compile(&part, &LayoutOptions::default());
            let layout = match layout {
                // What a whole random graph may be, too.
                Err(LayoutError::Unsupported { .. }) => continue,
                layout => layout.unwrap_or_else(|error| panic!("{name} cut at {}: {error}", cut.at)),
            };
            let checked = check(&part, &layout, &Bank::new(&layout, &part));
            checked.unwrap_or_else(|error| panic!("{name} cut at {}: {error}", cut.at));
        }
    }
    cuts.len()
}

#[test]
fn every_cut_of_the_zoo_computes_what_the_whole_does_and_has_circuits() {
    let cuts: usize = zoo().into_iter().map(|(name, graph)| cut_everywhere(name, &graph, true)).sum();
    assert!(cuts > 30, "{cuts} cuts");
}

#[test]
fn every_cut_of_random_graphs_has_circuits() {
    let cuts: usize =
        (0..40).map(|seed| cut_everywhere(&format!("graph {seed}"), &random_graph(seed), seed < 12)).sum();
    assert!(cuts > 40, "{cuts} cuts");
}

/// A model of `tests/models`, and its samples.
fn model(name: &str) -> (Model, Vec<Sample>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let model = Model::load(folder.join(format!("{name}.onnx")), &ImportOptions::default()).expect(name);
    let mut file = NpzReader::new(File::open(folder.join(format!("{name}.samples.npz"))).expect(name)).expect(name);
    let inputs: ArrayD<f32> = file.by_name("x").expect(name);
    (model, inputs.axis_iter(Axis(0)).map(|row| vec![row.iter().copied().collect()]).collect())
}

/// A model of `tests/models/ops`, and its sample.
fn operation(name: &str) -> (Model, Vec<Sample>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/ops/{name}.onnx"));
    let model = Model::load(&path, &ImportOptions::default()).expect(name);
    let samples = read_samples(path.with_extension("json"), &model.inputs()).expect(name);
    (model, samples)
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Keys of a model in segments.
fn keys(compiled: SegmentedModel, seed: u64) -> SegmentedProverKey {
    compiled.check().expect("a check of every layout");
    let srs = Srs::development(compiled.k(), rng(seed)).expect("a reference string");
    compiled.setup(&srs, &BackendChoice::Cpu, false, rng(seed + 1)).expect("keys")
}

fn prove(prover: &SegmentedProver, sample: &Sample, seed: u64) -> SegmentedProved {
    prover.prove(sample, &[], &[], rng(seed), |_| ()).expect("a proof")
}

/// The places of the narrowest cuts.
fn narrowest(model: &Model, samples: &[Sample], options: &CompileOptions, count: usize) -> Vec<usize> {
    let whole = model.compile_segments(samples, options, &[]).expect("the whole");
    let mut cuts = whole.segment(0).expect("a segment").graph().cuts();
    cuts.sort_by_key(|cut| cut.elements);
    let mut places: Vec<usize> = cuts.into_iter().take(count).map(|cut| cut.at).collect();
    places.sort_unstable();
    places
}

#[test]
fn a_transformer_in_segments_is_proved_and_every_change_is_rejected() {
    let (model, samples) = model("micro_transformer");
    let options = CompileOptions::default().with_one_width();
    let whole = model.compile(&samples, &options).expect("compiled");
    let cuts = narrowest(&model, &samples, &options, 2);
    let compiled = model.compile_segments(&samples, &options, &cuts).expect("segments");
    assert_eq!(compiled.segments(), 3);
    let folder = tempfile::tempdir().expect("a folder");
    let [zkml, pk, vk] = ["m.zkml", "m.pk", "m.vk"].map(|name| folder.path().join(name));
    compiled.write(&zkml).expect("written");
    let key = keys(SegmentedModel::open(&zkml).expect("opened"), 7);
    key.write(&pk).expect("written");
    std::fs::write(&vk, key.key().to_bytes()).expect("written");

    // From files, as a stranger has them.
    let prover = SegmentedProverKey::open(&pk).expect("opened").prover(&BackendChoice::Cpu, None).expect("a prover");
    let verifying = SegmentedKey::read(&vk).expect("read");
    assert_eq!(verifying.digest(), prover.key().digest());
    let [one, other] = [0, 1].map(|index| prove(&prover, &samples[index], 20 + index as u64).bundle);
    let read = SegmentedProof::from_json(&one.to_json().expect("JSON"), "proof.json").expect("read");
    verifying.verify(&read).expect("an honest proof");
    verifying.verify(&other).expect("another honest proof");
    let expected = whole.graph().run(&whole.graph().quantise_inputs(&samples[0])).expect("a run");
    let output = &whole.graph().tensors[whole.graph().outputs[0]];
    let reals: Vec<f32> =
        expected.values[whole.graph().outputs[0]].iter().map(|v| output.format.dequantise(*v)).collect();
    let proved: Vec<f32> = one.outputs[0].reals().into_iter().map(|value| value as f32).collect();
    assert_eq!(proved, output.to_logical(&reals), "the integers are the whole's");

    type Change = (&'static str, fn(&mut SegmentedProof, &SegmentedProof));
    let changes: [Change; 10] = [
        ("an output", |a, _| a.outputs[0].values[0] += 1),
        ("an input", |a, b| a.inputs = b.inputs.clone()),
        ("another inference's boundaries", |a, b| a.between = b.between.clone()),
        ("one boundary of another inference", |a, b| a.between[0] = b.between[0].clone()),
        ("the last boundary of another inference", |a, b| {
            let last = a.between.len() - 1;
            a.between[last] = b.between[last].clone();
        }),
        ("boundaries in another order", |a, _| a.between.swap(0, 1)),
        ("one segment of another inference", |a, b| a.proofs[1] = b.proofs[1].clone()),
        ("segments in another order", |a, _| a.proofs.swap(1, 2)),
        ("a segment less", |a, _| drop(a.proofs.pop())),
        ("a boundary less", |a, _| drop(a.between.pop())),
    ];
    for (what, change) in changes {
        let mut changed = one.clone();
        change(&mut changed, &other);
        changed.seal();
        assert!(verifying.verify(&changed).is_err(), "{what} is accepted");
    }
    // Everything of another inference but what is public.
    let mut mixed = other.clone();
    (mixed.inputs, mixed.outputs) = (one.inputs.clone(), one.outputs.clone());
    mixed.seal();
    assert!(verifying.verify(&mixed).is_err());
}

#[test]
fn tasks_of_segments_are_proved_in_any_order_by_whoever_has_the_key() {
    let (model, samples) = operation("residual_add");
    let options = CompileOptions::default().with_one_width();
    let key = keys(model.compile_segments(&samples, &options, &[1]).expect("two"), 61);
    let bytes = key.to_bytes().expect("bytes");
    let prover = key.prover(&BackendChoice::Cpu, None).expect("a prover");
    let job = prover.begin(&samples[0], &[], &[], rng(62)).expect("a job");
    let other =
        SegmentedProverKey::from_bytes(bytes).expect("read").prover(&BackendChoice::Cpu, None).expect("another");
    let mut proofs: Vec<SegmentProof> = Vec::new();
    for task in job.tasks.iter().rev() {
        let task = SegmentTask::from_bytes(&task.to_bytes().expect("bytes")).expect("read");
        proofs.push(other.prove_segment(&task, rng(63 + proofs.len() as u64)).expect("a proof"));
    }
    let proved = prover.finish(&job, proofs.clone()).expect("one of each").bundle;
    prover.key().verify(&proved).expect("an honest proof");
    let whole = prove(&prover, &samples[0], 65).bundle;
    assert_eq!((&proved.inputs, &proved.outputs), (&whole.inputs, &whole.outputs));
    assert_eq!(prover.infer(&samples[0]).expect("outputs"), proved.outputs);
    assert_eq!(prover.public_inputs(&samples[0]).expect("inputs"), proved.inputs);
    // Another job's commitments, and not one proof of each.
    let again = prover.begin(&samples[0], &[], &[], rng(66)).expect("a job");
    let mixed = prover.finish(&again, proofs.clone()).expect("one of each").bundle;
    assert!(prover.key().verify(&mixed).is_err(), "commitments of another job");
    proofs.pop();
    assert!(prover.finish(&job, proofs.clone()).is_err());
    proofs.push(proofs[0].clone());
    assert!(prover.finish(&job, proofs).is_err());
    // A task of other keys of the same model.
    let strange = keys(model.compile_segments(&samples, &options, &[1]).expect("two"), 67);
    let strange = strange.prover(&BackendChoice::Cpu, None).expect("a prover");
    assert!(strange.prove_segment(&job.tasks[0], rng(68)).is_err());
}
