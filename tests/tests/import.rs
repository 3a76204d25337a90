//! ONNX import: each operator and form of its attributes against onnxruntime's output, and refusals that name what
//! they refuse. The models and outputs are made by `scripts/make_test_models.py`.

use std::path::{Path, PathBuf};

use zkml_gpu_circuits::graph::Shape;
use zkml_gpu_circuits::import::{FloatModel, FloatOp, ImportError, ImportOptions, SUPPORTED_OPERATORS};
use zkml_gpu_circuits::quant::{QuantOptions, quantise};

type Values = Vec<Vec<f32>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join("ops")
}

fn options() -> ImportOptions {
    ImportOptions { symbols: vec![("rows".into(), 3)] }
}

fn load(name: &str) -> FloatModel {
    FloatModel::load(folder().join(format!("{name}.onnx")), &options()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn refuse(name: &str) -> ImportError {
    let path = folder().join("refused").join(format!("{name}.onnx"));
    let error = FloatModel::load(path, &ImportOptions::default()).expect_err(name);
    let message = error.to_string();
    assert!(message.contains("\nhint: "), "{name}: {message}");
    error
}

/// Input and onnxruntime's output of a model.
fn sample(name: &str) -> (Values, Values) {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let values = |key: &str| serde_json::from_value(json[key].clone()).unwrap();
    (values("input_data"), values("output_data"))
}

/// Names of all models that must import.
fn models() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let models = files.filter(|path| path.extension().is_some_and(|e| e == "onnx"));
    let mut names: Vec<String> = models.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() > 150, "models are missing");
    names
}

/// Largest difference of two lists of equal lengths.
fn max_difference(a: &Values, b: &Values) -> Option<f32> {
    let lengths = |values: &Values| values.iter().map(Vec::len).collect::<Vec<_>>();
    let differences = a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs());
    (lengths(a) == lengths(b)).then(|| differences.fold(0.0, f32::max))
}

fn kinds(model: &FloatModel) -> Vec<&'static str> {
    let kind = |op: &FloatOp| match op {
        FloatOp::Linear(_) => "linear",
        FloatOp::Combine { .. } => "combine",
        FloatOp::Clamp { .. } => "clamp",
        FloatOp::MaxPool(_) => "max",
        FloatOp::AveragePool { .. } => "average",
        FloatOp::Activation(_) => "function",
        FloatOp::Reshape => "reshape",
        FloatOp::Rearrange { .. } => "rearrange",
        FloatOp::ArgMax { .. } => "argmax",
        _ => "other",
    };
    model.graph().nodes.iter().map(|node| kind(&node.op)).collect()
}

/// Runs a check on every model and reports all that fail.
fn for_all_models(check: impl Fn(&str, &FloatModel) -> Result<(), String>) {
    let run = |name: &String| {
        let path = folder().join(format!("{name}.onnx"));
        let model = FloatModel::load(path, &options()).map_err(|e| e.to_string());
        model.and_then(|model| check(name, &model)).err().map(|error| format!("{name}: {error}"))
    };
    let failures: Vec<String> = models().iter().filter_map(run).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_form_agrees_with_onnxruntime_in_tract_and_in_our_executor() {
    for_all_models(|name, model| {
        let (input, expected) = sample(name);
        let reference = model.run(&input).map_err(|e| e.to_string())?;
        let ours = model.graph().run(&input).map_err(|e| e.to_string())?;
        for (what, got) in [("tract", &reference), ("float graph", &ours)] {
            let difference = max_difference(got, &expected);
            if difference.is_none_or(|d| d >= 1e-4) {
                return Err(format!("{what}: {difference:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn every_form_stays_close_to_float_as_integers() {
    for_all_models(|name, model| {
        let (input, expected) = sample(name);
        let options = QuantOptions { activation_bits: 12, max_activation_bits: 12, ..QuantOptions::default() };
        let quantised = quantise(model.graph(), std::slice::from_ref(&input), &options);
        let graph = quantised.map_err(|e| e.to_string())?.graph;
        let execution = graph.run(&graph.quantise_inputs(&input)).map_err(|e| e.to_string())?;
        let difference = max_difference(&graph.dequantise_outputs(&execution), &expected);
        let largest = expected.iter().flatten().fold(0f32, |m, v| m.max(v.abs()));
        match difference {
            Some(difference) if difference <= 0.01 * largest => Ok(()),
            _ => Err(format!("{difference:?} of {largest}")),
        }
    });
}

#[test]
fn scales_and_shifts_disappear_into_their_neighbours() {
    for (name, expected) in [
        ("conv_batch_norm", &["linear", "clamp"][..]),
        ("batch_norm_alone", &["linear"]),
        ("batch_norm_before_conv", &["linear", "linear"]),
        ("batch_norm_after_pool", &["linear", "clamp", "max"]),
        ("scale_and_shift", &["linear"]),
        ("gemm_alpha_beta", &["linear"]),
        ("matmul_bias_first", &["linear"]),
        ("conv_pool_relu", &["linear", "clamp", "max"]),
        ("conv_relu6", &["linear", "clamp"]),
        ("average_pool_global", &["clamp", "average"]),
        ("reduce_mean_spatial", &["average"]),
        ("residual_add", &["linear", "clamp", "linear", "combine", "clamp"]),
        ("negate", &["combine"]),
        ("transposed_vector", &["linear"]),
    ] {
        assert_eq!(kinds(&load(name)), expected, "{name}");
    }
}

#[test]
fn rows_of_a_batched_product_are_stored_one_feature_a_channel() {
    let model = load("matmul_batched");
    let graph = model.graph();
    for id in [graph.inputs[0], graph.outputs[0]] {
        let tensor = &graph.tensors[id];
        assert_eq!(tensor.shape, Shape { channels: 6, height: 1, width: 5 });
        assert_eq!((tensor.logical_shape.as_slice(), tensor.transposed), (&[1, 5, 6][..], true));
    }
    assert_eq!(kinds(&model), ["linear", "clamp", "linear", "combine"]);
}

#[test]
fn symbols_take_the_sizes_given_and_a_batch_defaults_to_one() {
    let shape = |model: &FloatModel| model.graph().tensors[model.graph().inputs[0]].logical_shape.clone();
    assert_eq!(shape(&load("symbolic_batch")), [1, 6]);
    assert_eq!(shape(&load("symbolic_rows")), [1, 3, 6]);
    let options = ImportOptions { symbols: vec![("N".into(), 4)] };
    let model = FloatModel::load(folder().join("symbolic_batch.onnx"), &options).unwrap();
    assert_eq!(shape(&model), [4, 6]);
}

#[test]
fn a_size_beyond_reason_is_refused() {
    for size in [1 << 40, usize::MAX] {
        let options = ImportOptions { symbols: vec![("rows".into(), size)] };
        let error = FloatModel::load(folder().join("symbolic_rows.onnx"), &options).unwrap_err();
        assert!(matches!(&error, ImportError::TooLarge { tensor, .. } if tensor == "input"), "{error}");
    }
}

#[test]
fn a_symbol_without_a_size_is_named() {
    let error = FloatModel::load(folder().join("symbolic_rows.onnx"), &ImportOptions::default()).unwrap_err();
    assert!(matches!(&error, ImportError::Dimension { dimension, axis: 1, .. } if dimension == "rows"), "{error}");
}

#[test]
fn unsupported_operators_are_named_with_their_node_and_the_supported_ones() {
    for (name, operator, node) in
        [("sine", "Sin", "node1_Sin"), ("unknown", "Frobnicate", "node0_Frobnicate"), ("lstm", "LSTM", "node0_LSTM")]
    {
        let error = refuse(name);
        assert!(error.to_string().contains(operator) && error.to_string().contains(node), "{error}");
        if let ImportError::UnsupportedOperator { .. } = error {
            assert!(SUPPORTED_OPERATORS.iter().all(|known| error.to_string().contains(known)), "{error}");
        }
    }
}

#[test]
fn unsupported_forms_are_explained() {
    for (name, operator) in [
        ("product_of_activations", "Mul"),
        ("conv_3d", "Conv"),
        ("no_permutation", "Transpose"),
        ("conv_transpose_cut", "ConvTranspose"),
        ("conv_kernel_computed", "Conv"),
        ("divide_by_activation", "Div"),
        ("max_of_activations", "Max"),
        ("clip_computed", "Clip"),
        ("clip_not_a_number", "Clip"),
        ("multiply_by_infinity", "Mul"),
        ("pad_infinite", "Pad"),
        ("pad_edge_with_constant", "Pad"),
        ("resize_linear", "Resize"),
        ("gather_computed", "Gather"),
        ("where_other", "Less"),
        ("where_unrelated", "Where"),
        ("arg_max_of_one", "ArgMax"),
        ("cast_to_integer", "Cast"),
    ] {
        let error = refuse(name);
        assert!(matches!(&error, ImportError::UnsupportedForm { operator: o, .. } if o == operator), "{name}: {error}");
    }
}

#[test]
fn invalid_models_are_refused_with_the_cause() {
    assert!(matches!(refuse("wrong_shapes"), ImportError::Invalid { cause, .. } if cause.contains("node0_MatMul")));
    assert!(matches!(refuse("missing_output"), ImportError::Invalid { cause, .. } if cause.contains("nothing")));
    // tract panics on this one.
    assert!(matches!(refuse("axis_beyond_rank"), ImportError::Invalid { cause, .. } if cause.contains("axis: ")));
    assert!(matches!(refuse("integer_input"), ImportError::ElementType { got, .. } if got == "I32"));
}

#[test]
fn a_missing_file_is_named() {
    let error = FloatModel::load("no/such/model.onnx", &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::File { .. }) && error.to_string().contains("no/such/model.onnx"));
}

#[test]
fn a_truncated_model_is_refused_wherever_it_ends() {
    let bytes = std::fs::read(folder().join("conv_batch_norm.onnx")).unwrap();
    for end in 0..bytes.len() {
        let result = FloatModel::from_bytes(&bytes[..end], "cut.onnx", &ImportOptions::default());
        // The graph is followed by the list of operator sets only, which has a default.
        if let Err(error) = result {
            assert!(error.to_string().contains("cut.onnx"), "{end}: {error}");
        } else {
            assert!(end + 64 > bytes.len(), "{end} of {} bytes were accepted", bytes.len());
        }
    }
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    for bytes in [&b""[..], b"{\"input_data\": [[1.0]]}", b"\x89PNG\r\n\x1a\n", &[0; 64], &[0xff; 64]] {
        let error = FloatModel::from_bytes(bytes, "other.bin", &ImportOptions::default()).unwrap_err();
        assert!(matches!(error, ImportError::NotOnnx { .. }), "{error}");
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let bytes = std::fs::read(folder().join("conv_pool_relu.onnx")).unwrap();
    let mut refused = 0;
    for position in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[position] ^= flip;
            refused += usize::from(FloatModel::from_bytes(&damaged, "damaged", &ImportOptions::default()).is_err());
        }
    }
    assert!(refused > bytes.len() / 4, "only {refused} of {} were refused", 3 * bytes.len());
}

#[test]
fn wrong_inputs_are_refused() {
    let model = load("add_inputs");
    for input in [vec![], vec![vec![0.0; 7]], vec![vec![0.0; 7], vec![0.0; 6]]] {
        assert!(matches!(model.run(&input), Err(ImportError::Inputs { .. })));
        assert!(matches!(model.graph().run(&input), Err(ImportError::Inputs { .. })));
    }
}
