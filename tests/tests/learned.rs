//! What was learned is in nothing that a circuit's key shows: other weights, biases, summands and learned scalars have
//! the same layout, and the same key where weights are committed.

use std::ops::Range;
use std::path::{Path, PathBuf};

use halo2_proofs::SerdeFormat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_graph::{Bounds, Format, Graph, Op, Storage};
use zkml_gpu_onnx::import::{FloatGraph, FloatModel, is_written};
use zkml_gpu_onnx::quant::{QuantOptions, Sample, quantise};
use zkml_gpu_tests::models::symbols;
use zkml_gpu_tests::networks::{Session, embedded};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// Every model that is imported: operators, and networks.
fn all() -> Vec<PathBuf> {
    let files = ["", "ops"].iter().flat_map(|folder| std::fs::read_dir(models().join(folder)).unwrap());
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    assert!(paths.len() > 200, "models are missing");
    paths
}

fn read(bytes: &[u8], name: &Path) -> FloatModel {
    let stem = name.file_stem().unwrap().to_str().unwrap();
    FloatModel::from_bytes(bytes, &name.display().to_string(), &symbols(stem)).unwrap()
}

/// Random inputs; indices where the model takes some.
fn samples(graph: &FloatGraph) -> Vec<Sample> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut input = |id: &usize| -> Vec<f32> {
        let tensor = &graph.tensors[*id];
        let len = tensor.logical_shape.iter().product();
        match tensor.storage {
            Storage::OneHot => (0..len).map(|_| rng.gen_range(0..tensor.shape.channels) as f32).collect(),
            _ => (0..len).map(|_| rng.gen_range(-0.5..1.5)).collect(),
        }
    };
    (0..3).map(|_| graph.inputs.iter().map(&mut input).collect()).collect()
}

fn integers(model: &FloatModel, samples: &[Sample]) -> Graph {
    let options = QuantOptions::default().with_max_activation_bits(8);
    quantise(model.graph(), samples, &options).unwrap().graph
}

/// All of a layout, and first what a key shows.
fn shown(graph: &Graph) -> [String; 2] {
    let layout = Layout::compile(&lower(graph.clone()), &LayoutOptions::default()).unwrap();
    let Layout { architecture, fixed, k, statement, tables, .. } = &layout;
    [format!("{architecture:?} {fixed:?} {k} {statement:?} {tables:?}"), format!("{layout:?}")]
}

/// Puts other numbers in the place of every learned one, within the declared widths.
fn relearn(graph: &mut Graph, mut number: impl FnMut(i64) -> i64) {
    let tensors = &graph.tensors;
    for node in &mut graph.nodes {
        match &mut node.op {
            Op::Linear(linear) => {
                let width = linear.width.expect("a declared width");
                let largest = linear.weights.iter().map(|w| i64::from(w.abs())).max().unwrap_or(0);
                let (mut weight, bias) = (largest, linear.bias.iter().map(|b| b.abs()).max().unwrap_or(0) / 2);
                linear.bias.iter_mut().for_each(|b| *b = number(bias));
                linear.weights.iter_mut().for_each(|w| *w = number(weight) as i32);
                let input = tensors[node.inputs[0]].format;
                while !width.holds(&linear.channel_bounds(input)) {
                    weight /= 2;
                    linear.weights.iter_mut().for_each(|w| *w /= 2);
                }
                assert!(weight > largest / 16, "'{}' keeps next to nothing", node.name);
            }
            Op::Combine { offset, .. } => {
                let largest = Bounds::of(offset).magnitude();
                offset.iter_mut().for_each(|summand| *summand = number(largest));
            }
            _ => {}
        }
    }
    graph.validate().expect("other numbers of the same widths");
}

#[test]
fn the_layout_of_every_model_is_that_of_any_other_weights() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut differ = 0;
    // Functions of numbers that span decades have no value at every number, and no learned one.
    let is_wide = |path: &PathBuf| path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("wide_"));
    for path in all().into_iter().filter(|path| !is_wide(path)) {
        let model = read(&std::fs::read(&path).unwrap(), &path);
        let graph = integers(&model, &samples(model.graph()));
        let own = shown(&graph);
        let (mut random, mut none) = (graph.clone(), graph.clone());
        relearn(&mut random, |largest| rng.gen_range(-largest..=largest));
        relearn(&mut none, |_| 0);
        for other in [&random, &none] {
            let other = shown(other);
            assert!(own[0] == other[0], "{}: the key tells of the weights", path.display());
            assert!(own[1] == other[1], "{}: the layout depends on the weights", path.display());
        }
        // Exact bounds would have told.
        for node in &mut none.nodes {
            if let Op::Linear(linear) = &mut node.op {
                linear.width = None;
            }
        }
        differ += usize::from(shown(&none)[0] != own[0]);
    }
    assert!(differ > 50, "only {differ} layouts depend on widths at all");
}

/// Fields of a protobuf message: number and place of those that have a length or are a float, number and value of those
/// that are a whole number.
type Fields = (Vec<(u64, Range<usize>)>, Vec<(u64, u64)>);

/// The fields of a protobuf message.
fn fields(bytes: &[u8], message: Range<usize>) -> Fields {
    let (mut contents, mut numbers) = (Vec::new(), Vec::new());
    let mut at = message.start;
    let varint = |at: &mut usize| {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = bytes[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    };
    while at < message.end {
        let tag = varint(&mut at);
        match tag & 7 {
            0 => numbers.push((tag >> 3, varint(&mut at))),
            1 => at += 8,
            2 => {
                let len = varint(&mut at) as usize;
                contents.push((tag >> 3, at..at + len));
                at += len;
            }
            _ => {
                contents.push((tag >> 3, at..at + 4));
                at += 4;
            }
        }
    }
    (contents, numbers)
}

/// The file with every float of its initializers, and of the lists of its trees and linear models, changed a little, but
/// for single numbers that are no learned ones; and how many were.
fn changed(mut bytes: Vec<u8>) -> (Vec<u8>, usize) {
    let within = |bytes: &[u8], message: Range<usize>, field: u64| -> Vec<Range<usize>> {
        fields(bytes, message).0.into_iter().filter(|(number, _)| *number == field).map(|(_, place)| place).collect()
    };
    let whole = 0..bytes.len();
    let graphs = within(&bytes, whole, 7);
    let tensors: Vec<Range<usize>> = graphs.iter().flat_map(|graph| within(&bytes, graph.clone(), 5)).collect();
    let nodes = graphs.into_iter().flat_map(|graph| within(&bytes, graph, 1));
    let learners =
        nodes.filter(|node| within(&bytes, node.clone(), 7).iter().any(|d| bytes[d.clone()] == *b"ai.onnx.ml"));
    let attributes = learners.flat_map(|node| within(&bytes, node, 5));
    let floats: Vec<Range<usize>> = attributes.flat_map(|attribute| within(&bytes, attribute, 7)).collect();
    let mut count = floats.len();
    for float in floats {
        let value = f32::from_le_bytes(bytes[float.clone()].try_into().unwrap());
        bytes[float].copy_from_slice(&(value * (1.0 + 1.0 / 1024.0)).to_le_bytes());
    }
    for tensor in tensors {
        let (contents, numbers) = fields(&bytes, tensor);
        if !numbers.contains(&(2, 1)) {
            continue;
        }
        let data = contents.into_iter().filter(|(number, _)| matches!(number, 4 | 9)).map(|(_, place)| place);
        for place in data {
            let single = place.len() == 4;
            for word in bytes[place].chunks_exact_mut(4) {
                let value = f32::from_le_bytes(word.try_into().unwrap());
                if !(single && is_written(value)) {
                    word.copy_from_slice(&(value * (1.0 + 1.0 / 1024.0)).to_le_bytes());
                    count += 1;
                }
            }
        }
    }
    (bytes, count)
}

fn formats(graph: &Graph) -> Vec<Format> {
    graph.tensors.iter().map(|tensor| tensor.format).collect()
}

#[test]
fn the_layout_of_every_model_is_that_of_other_learned_numbers() {
    let (mut same, mut rescaled) = (0, Vec::new());
    for path in all() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (other, count) = changed(bytes.clone());
        // The scales of a resize are its architecture.
        if count == 0 || name.starts_with("resize") {
            continue;
        }
        let (model, other) = (read(&bytes, &path), read(&other, &path));
        let samples = samples(model.graph());
        let (graph, other) = (integers(&model, &samples), integers(&other, &samples));
        assert!(graph != other, "{name}: nothing has changed");
        if formats(&graph) != formats(&other) {
            rescaled.push(name.to_owned());
            continue;
        }
        let (own, other) = (shown(&graph), shown(&other));
        assert!(own[0] == other[0], "{name}: the key tells of a learned number");
        same += 1;
    }
    // Scales are declared; a few follow the numbers over a power of two.
    assert!(same > 100 && rescaled.len() * 10 < same, "{same} compared, other scales: {rescaled:?}");
}

/// The key of a circuit, after an honest proof was accepted and one of another output rejected.
fn key(model: &FloatModel, samples: &[Sample], options: &LayoutOptions) -> (Vec<u8>, String) {
    let graph = integers(model, samples);
    let inputs = graph.quantise_inputs(&samples[0]);
    let session = Session::with_inputs(graph, options, 3, inputs);
    assert!(session.real(&session.first, &session.outputs, &[]), "an honest proof is rejected");
    let mut outputs = session.outputs.clone();
    outputs[0][0] += if outputs[0][0] > 0 { -1 } else { 1 };
    assert!(!session.real(&session.first, &outputs, &[]), "a wrong output is accepted");
    let verifying = &session.keys.verifying;
    (verifying.vk().to_bytes(SerdeFormat::Processed), format!("{:?}", verifying.statement()))
}

/// A slope of 0.2 and a scale of 0.7.
#[test]
fn a_learned_slope_and_a_learned_scale_leave_the_key_as_it_is_unless_weights_are_public() {
    let path = models().join("ops").join("learned_activation.onnx");
    let bytes = std::fs::read(&path).unwrap();
    let model = read(&bytes, &path);
    let samples = samples(model.graph());
    let [own, public] = [LayoutOptions::default(), embedded()].map(|options| key(&model, &samples, &options));
    for (value, other) in [(0.2f32, 0.21f32), (0.7, 0.71)] {
        let places: Vec<usize> = (0..bytes.len() - 3).filter(|i| bytes[*i..i + 4] == value.to_le_bytes()).collect();
        assert_eq!(places.len(), 1, "{value} is in the file once");
        let mut twin = bytes.clone();
        twin[places[0]..places[0] + 4].copy_from_slice(&other.to_le_bytes());
        let twin = read(&twin, &path);
        assert!(key(&twin, &samples, &LayoutOptions::default()) == own, "the key tells {value} from {other}");
        assert!(key(&twin, &samples, &embedded()) != public, "an embedded {other} is the same as {value}");
    }
}
