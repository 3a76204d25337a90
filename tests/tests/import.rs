//! ONNX import: each operator and form of its attributes against onnxruntime's output, and refusals that name what
//! they refuse. The models and outputs are made by `scripts/make_test_models.py`.

use std::path::{Path, PathBuf};

use zkml_gpu_graph::{Format, Graph, Node, Op, Shape, Storage, Window};
use zkml_gpu_onnx::import::{FloatLinear, FloatModel, FloatOp, ImportError, ImportOptions, SUPPORTED_OPERATORS};
use zkml_gpu_onnx::quant::{QuantOptions, quantise};
use zkml_gpu_tests::models::symbols;

type Values = Vec<Vec<f32>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join("ops")
}

fn load(name: &str) -> FloatModel {
    FloatModel::load(folder().join(format!("{name}.onnx")), &symbols(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
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
        let model = FloatModel::load(path, &symbols(name)).map_err(|e| e.to_string());
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
        let options = QuantOptions::default().with_activation_bits(12).with_max_activation_bits(12);
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
fn every_form_is_well_formed_with_few_bits_and_with_many() {
    for_all_models(|name, model| {
        for (activation_bits, shift) in [(2, 1), (3, 20), (16, 11), (16, 20)] {
            let options = QuantOptions::default()
                .with_activation_bits(activation_bits)
                .with_max_activation_bits(activation_bits)
                .with_shift(shift);
            quantise(model.graph(), &[sample(name).0], &options)
                .map_err(|e| format!("{activation_bits} bits, shift {shift}: {e}"))?;
        }
        Ok(())
    });
}

#[test]
fn scales_and_shifts_disappear_into_their_neighbours() {
    for (name, expected) in [
        ("conv_batch_norm", &["linear", "clamp"][..]),
        ("batch_norm_alone", &["linear"]),
        ("batch_norm_before_conv", &["linear", "linear"]),
        // A maximum and a learned factor commute only where the factor is positive, which the circuit's key must not
        // tell.
        ("batch_norm_after_pool", &["linear", "max", "linear", "clamp"]),
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
        assert_eq!((tensor.logical_shape.as_slice(), tensor.storage), (&[1, 5, 6][..], Storage::Transposed));
    }
    assert_eq!(kinds(&model), ["linear", "clamp", "linear", "combine"]);
}

fn linears(model: &FloatModel) -> Vec<&FloatLinear> {
    let nodes = model.graph().nodes.iter();
    nodes.filter_map(|node| if let FloatOp::Linear(linear) = &node.op { Some(linear) } else { None }).collect()
}

#[test]
fn images_of_a_batch_lie_column_beside_column_and_share_their_weights() {
    let model = load("batch_network");
    let graph = model.graph();
    let [input, output] = [graph.inputs[0], graph.outputs[0]].map(|id| &graph.tensors[id]);
    assert_eq!(input.shape, Shape { channels: 1, height: 8, width: 3 * 8 });
    assert_eq!(
        (&input.logical_shape[..], input.storage),
        (&[3, 1, 8, 8][..], { Storage::Interleaved { inferences: 3, transposed: false } })
    );
    assert_eq!((&output.logical_shape[..], output.storage), (&[3, 5][..], Storage::Transposed));
    // Nothing is moved, and no weight is repeated.
    assert_eq!(kinds(&model), ["linear", "clamp", "max", "linear", "clamp", "average", "linear"]);
    let images: Vec<(usize, usize)> = linears(&model).iter().map(|l| (l.window.images, l.weights.len())).collect();
    assert_eq!(images, [(3, 4 * 9), (3, 6 * 4 * 9), (1, 5 * 6)]);
    let image = load("batch_conv");
    let output = &image.graph().tensors[image.graph().outputs[0]];
    assert_eq!(output.storage, Storage::Interleaved { inferences: 3, transposed: false });
    assert_eq!(kinds(&image), ["linear"]);
    // Channels last: each image is given as its transpose.
    let last = load("batch_channels_last");
    let input = &last.graph().tensors[last.graph().inputs[0]];
    assert_eq!(input.storage, Storage::Interleaved { inferences: 2, transposed: true });
}

#[test]
fn groups_and_dilation_are_not_written_out() {
    let shape = |name: &str| {
        let model = load(name);
        let linear = linears(&model)[0].clone();
        (linear.groups, linear.window.dilation, linear.weights.len())
    };
    assert_eq!(shape("conv_depthwise"), (6, [1, 1], 6 * 9));
    assert_eq!(shape("conv_depthwise_multiplier"), (3, [1, 1], 6 * 6));
    assert_eq!(shape("conv_grouped"), (2, [1, 1], 6 * 2 * 6));
    assert_eq!(shape("conv_dilated"), (1, [2, 1], 6 * 4 * 6));
    assert_eq!(shape("conv_grouped_1d"), (2, [1, 2], 6 * 2 * 3));
    // A product with a diagonal is one group a channel.
    assert_eq!(shape("batch_norm_alone"), (3, [1, 1], 3));
    assert_eq!(shape("multiply_by_column"), (24, [1, 1], 24));
}

#[test]
fn a_transposed_convolution_slides_over_zeros_with_its_kernel_turned() {
    let model = load("conv_transpose_output_padding");
    let linear = linears(&model)[0];
    let window = Window { kernel: [3, 2], pad_before: [1, 0], pad_after: [3, 1], ..Window::UNIT };
    assert_eq!((linear.window, linear.input_dilation, linear.groups), (window, [3, 2], 1));
    let model = load("conv_transpose_grouped");
    assert_eq!((linears(&model)[0].groups, linears(&model)[0].weights.len()), (2, 4 * 2 * 6));
    assert_eq!(kinds(&load("conv_transpose_relu")), ["linear", "clamp"]);
}

#[test]
fn functions_are_recognised_and_move_to_what_they_follow() {
    for (name, expected) in [
        ("leaky_relu_pool", &["linear", "function", "max"][..]),
        ("hard_swish", &["linear", "function"]),
        ("hard_swish_clip", &["linear", "function", "clamp"]),
        ("hard_sigmoid", &["linear", "clamp"]),
        ("leaky_relu", &["linear", "function"]),
        // Learned slopes are weights, one or many.
        ("prelu_scalar", &["linear", "clamp", "linear", "combine"]),
        ("where_leaky", &["linear", "clamp", "linear", "combine"]),
        ("prelu_channels", &["linear", "clamp", "linear", "combine"]),
        ("clip_both", &["linear", "clamp"]),
        ("max_constant", &["clamp"]),
        ("concat_relu", &["linear", "linear", "clamp", "clamp", "rearrange"]),
    ] {
        assert_eq!(kinds(&load(name)), expected, "{name}");
    }
}

#[test]
fn a_function_of_one_number_is_one_table_however_it_is_written() {
    let (model, samples) = (load("written_functions"), [sample("written_functions").0]);
    let graph = quantise(model.graph(), &samples, &QuantOptions::default()).unwrap().graph;
    assert_eq!(graph.nodes.len(), graph.outputs.len());
    assert!(graph.nodes.iter().all(|node| node.activation.is_some() && node.inputs == graph.inputs));
    // What others read too is nearer than what it is made of.
    assert_eq!(kinds(&load("written_function_of_a_shared_clamp")), ["linear", "clamp", "function", "linear"]);
}

#[test]
fn learned_numbers_are_weights_or_summands_and_others_are_not() {
    for (name, expected) in [
        ("learned_activation", &["linear", "clamp", "linear", "combine", "linear", "combine", "linear"][..]),
        ("learned_residual", &["linear", "clamp", "linear", "combine"]),
        ("learned_layer_scale", &["linear", "clamp", "linear", "combine"]),
        ("learned_class_token", &["rearrange", "combine", "linear"]),
        ("learned_border", &["combine", "linear"]),
        ("learned_bound", &["combine", "clamp", "combine"]),
        ("learned_mean", &["average", "linear", "clamp"]),
        // Where nobody learned it, the factor goes into the mean.
        ("average_pool_global", &["clamp", "average"]),
    ] {
        assert_eq!(kinds(&load(name)), expected, "{name}");
    }
    let scale = |name: &str| {
        let model = load(name);
        let scale = model.graph().nodes.iter().find_map(|node| match &node.op {
            FloatOp::MatMul(product) => Some(product.scale),
            _ => None,
        });
        (scale, linears(&model).iter().filter(|linear| linear.groups > 1).count())
    };
    assert_eq!(scale("learned_attention_scale"), (Some(1.0), 1));
    assert_eq!(scale("attention"), (Some(0.5), 0));
    // A table of the composed function would hold the learned factor.
    assert_eq!(kinds(&load("learned_swish")).iter().filter(|kind| **kind == "linear").count(), 2);
}

#[test]
fn movement_is_done_once_and_only_where_needed() {
    for (name, expected) in [
        // Views, permuted weights and Conv's own padding need no movement.
        ("flatten_channels_last", &["linear", "clamp", "reshape", "linear"][..]),
        ("channels_last_classifier", &["linear", "clamp", "max", "reshape", "linear"]),
        ("channels_last_output", &["linear"]),
        ("pad_conv", &["linear"]),
        ("max_pool_global", &["linear", "clamp", "max"]),
        // Chains of moves are one.
        ("depth_to_space_dcr", &["linear", "rearrange"]),
        ("channel_shuffle", &["linear", "rearrange", "linear"]),
        ("slice_steps", &["rearrange"]),
        ("concat_channels", &["linear", "clamp", "linear", "rearrange", "linear"]),
        ("transposed_image", &["rearrange"]),
        ("resize_nearest", &["linear", "rearrange"]),
        ("arg_max", &["linear", "argmax"]),
    ] {
        assert_eq!(kinds(&load(name)), expected, "{name}");
    }
}

#[test]
fn an_image_with_channels_last_is_stored_channels_first() {
    for (name, shape) in [
        ("channels_last_input", Shape { channels: 3, height: 5, width: 4 }),
        ("channels_last_classifier", Shape { channels: 2, height: 6, width: 5 }),
        ("channels_last_pad", Shape { channels: 3, height: 5, width: 4 }),
    ] {
        let model = load(name);
        let input = &model.graph().tensors[model.graph().inputs[0]];
        assert_eq!((input.shape, input.storage), (shape, Storage::Transposed), "{name}");
    }
    assert_eq!(kinds(&load("channels_last_input")), ["linear", "clamp"]);
}

/// A model's integers, calibrated with its own sample.
fn integers(name: &str) -> Graph {
    quantise(load(name).graph(), &[sample(name).0], &QuantOptions::default()).unwrap().graph
}

#[test]
fn a_concatenation_needs_no_rescaling() {
    for name in ["concat_channels", "concat_relu", "concat_dense_block", "split_channels", "pad_constant"] {
        let graph = integers(name);
        for node in &graph.nodes {
            assert!(!matches!(node.op, Op::Combine { .. }), "{name}: {node:?}");
            if let Op::Rearrange { .. } = node.op {
                let bits = |id: &usize| graph.tensors[*id].format.frac_bits;
                assert!(node.inputs.iter().all(|id| bits(id) == bits(&node.output)), "{name}");
            }
        }
    }
    // A ReLU's output stays unsigned beside a signed one.
    let graph = integers("concat_channels");
    let relu = graph.tensors[graph.nodes[0].output].format;
    let both = graph.tensors[graph.nodes[2].output].format;
    assert_eq!((relu.min, both.min < 0, both.max), (0, true, relu.max));
    // With a large shift no weight fits between two tensors of one scale, so one of them is rescaled.
    let options = QuantOptions::default().with_shift(20);
    let name = "concat_dense_block";
    let graph = quantise(load(name).graph(), &[sample(name).0], &options).unwrap().graph;
    assert!(graph.nodes.iter().any(|node| matches!(node.op, Op::Combine { .. })));
}

#[test]
fn a_tensor_that_would_lose_its_precision_is_rescaled_where_it_is_moved() {
    let graph = integers("concat_inputs");
    let rescaled: Vec<&Node> = graph.nodes.iter().filter(|n| matches!(n.op, Op::Combine { .. })).collect();
    let format = |id: usize| graph.tensors[id].format;
    assert!(rescaled.iter().any(|n| format(n.inputs[0]).frac_bits > format(n.output).frac_bits + 1), "{rescaled:?}");
    assert!(format(graph.inputs[0]).frac_bits >= 6, "{:?}", format(graph.inputs[0]));
}

#[test]
fn functions_are_tables_which_equal_layers_share() {
    let tables = |name: &str| {
        let graph = integers(name);
        let nodes: Vec<Option<usize>> = graph.nodes.iter().map(|node| node.activation).collect();
        (nodes, graph.activations)
    };
    let (nodes, activations) = tables("leaky_relu_twice");
    assert_eq!((nodes, activations.len()), (vec![Some(0), Some(0)], 1));
    let (nodes, activations) = tables("leaky_relu_pool");
    assert_eq!((nodes, activations.len()), (vec![Some(0)], 1));
    let (nodes, activations) = tables("hard_swish_pool");
    assert_eq!((nodes, activations.len()), (vec![Some(0), None], 1));
    assert_eq!(tables("conv_relu6").1, []);
    // Some are far from the float model at 8 bits, and get up to 10; parts of those that span decades have 2^11 steps.
    let largest = |name: &String| tables(name).1.iter().map(|table| table.values.len()).max().unwrap_or(0);
    let wide: Vec<String> = models().into_iter().filter(|name| largest(name) > 1 << 10).collect();
    assert!(wide.len() <= 9 && wide.iter().all(|name| largest(name) <= 1 << 12), "{wide:?}");
}

#[test]
fn a_mean_over_a_large_image_is_taken_in_two_steps_and_exactly() {
    let name = "average_pool_global_large";
    assert_eq!(kinds(&load(name)), ["clamp", "average", "average", "linear"]);
    // Means come out on a fine scale that its multiplier, of a few bits, would miss by several per cent.
    let (input, expected) = sample(name);
    let graph = integers(name);
    let execution = graph.run(&graph.quantise_inputs(&input)).unwrap();
    let difference = max_difference(&graph.dequantise_outputs(&execution), &expected).unwrap();
    assert!(difference < 0.003, "{difference}");
}

#[test]
fn the_index_of_a_maximum_is_a_whole_number() {
    for (name, count) in [("arg_max", 7), ("arg_max_image", 3), ("arg_max_cast", 5)] {
        let graph = integers(name);
        let format = graph.tensors[graph.outputs[0]].format;
        assert_eq!(format, Format::new(0, 0, count - 1), "{name}");
        assert!(graph.nodes.iter().all(|node| !matches!(&node.op, Op::Linear(linear) if linear.raw)), "{name}");
    }
}

#[test]
fn an_output_that_something_reads_is_requantised() {
    let raw = |name: &str| -> Vec<bool> {
        let linear = |node: &Node| match &node.op {
            Op::Linear(linear) => Some(linear.raw),
            _ => None,
        };
        integers(name).nodes.iter().filter_map(linear).collect()
    };
    assert_eq!(raw("output_used_inside"), [false, true]);
    assert_eq!(raw("output_twice"), [false]);
    assert_eq!(raw("gemm_plain"), [true]);
}

#[test]
fn a_recurrent_layer_is_one_product_over_its_sequence_and_one_for_each_state() {
    // The first state is zero in both, and nothing is computed of it.
    for (name, expected) in [("lstm", 1 + 2), ("lstm_exported", 1 + 2 + 1), ("rnn_functions", 2 * (1 + 2))] {
        assert_eq!(kinds(&load(name)).iter().filter(|kind| **kind == "linear").count(), expected, "{name}");
    }
    let model = load("lstm");
    let named = |name: &str| model.graph().nodes.iter().any(|node| node.name.starts_with(name));
    for name in ["node0_LSTM.input", "node0_LSTM.step0.output", "node0_LSTM.step2.recurrent", "node0_LSTM.step2.forget"]
    {
        assert!(named(name), "{name}");
    }
    assert!(!named("node0_LSTM.step0.recurrent") && !named("node0_LSTM.step3"));
    // Its rows are stored as the steps read them: no element is moved alone.
    let transposed = linears(&model).iter().filter(|linear| linear.transposed).count();
    assert_eq!(transposed, 1);
}

#[test]
fn symbols_take_the_sizes_given_and_a_batch_defaults_to_one() {
    let shape = |model: &FloatModel| model.graph().tensors[model.graph().inputs[0]].logical_shape.clone();
    assert_eq!(shape(&load("symbolic_batch")), [1, 6]);
    assert_eq!(shape(&load("symbolic_rows")), [1, 3, 6]);
    let options = ImportOptions::default().with_symbols(vec![("N".into(), 4)]);
    let model = FloatModel::load(folder().join("symbolic_batch.onnx"), &options).unwrap();
    assert_eq!(shape(&model), [4, 6]);
}

#[test]
fn a_size_beyond_reason_is_refused() {
    for size in [1 << 40, usize::MAX] {
        let options = ImportOptions::default().with_symbols(vec![("rows".into(), size)]);
        let error = FloatModel::load(folder().join("symbolic_rows.onnx"), &options).unwrap_err();
        assert!(matches!(&error, ImportError::TooLarge { tensor, .. } if tensor == "input"), "{error}");
    }
}

#[test]
fn a_size_for_a_dimension_that_is_not_there_and_a_second_one_are_refused_by_name() {
    let of = |model: &str, symbols: &[(&str, usize)]| {
        let symbols = symbols.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
        let options = ImportOptions::default().with_symbols(symbols);
        FloatModel::load(folder().join(format!("{model}.onnx")), &options)
    };
    assert!(of("symbolic_rows", &[("rows", 2)]).is_ok() && of("symbolic_batch", &[("N", 2)]).is_ok());
    for (model, symbols, named, listed) in [
        ("symbolic_rows", &[("rosw", 2)][..], "'rosw'", "`rows`"),
        ("symbolic_rows", &[("rows", 2), ("Rows", 2)], "'Rows'", "`rows`"),
        ("symbolic_rows", &[("rows", 2), ("rows", 3)], "'rows' is a second one", "`rows`"),
        ("symbolic_rows", &[("rows", 2), ("rows", 2)], "'rows' is a second one", "`rows`"),
        ("gemm_plain", &[("rows", 2)], "'rows'", "no symbolic dimension"),
    ] {
        let error = of(model, symbols).expect_err(named);
        let message = error.to_string();
        assert!(matches!(error, ImportError::Symbol { .. }), "{message}");
        assert!(message.contains(named) && message.contains(listed) && message.contains("hint:"), "{message}");
    }
}

#[test]
fn a_symbol_without_a_size_is_named() {
    let error = FloatModel::load(folder().join("symbolic_rows.onnx"), &ImportOptions::default()).unwrap_err();
    assert!(matches!(&error, ImportError::Dimension { dimension, axis: 1, .. } if dimension == "rows"), "{error}");
    // What the model does not name has the name that the message says.
    let load = |options: &ImportOptions| FloatModel::load(folder().join("unnamed_rows.onnx"), options);
    let error = load(&ImportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`input.1=16`"), "{error}");
    let options = |name: &str| ImportOptions::default().with_symbols(vec![(name.into(), 5)]);
    assert_eq!(load(&options("input.1")).unwrap().graph().tensors[0].logical_len(), 30);
    assert!(load(&options("?")).is_err() && load(&options("input.2")).is_err());
}

#[test]
fn unsupported_operators_are_named_with_their_node() {
    let text = refuse("unknown").to_string();
    assert!(text.contains("Frobnicate") && text.contains("node0_Frobnicate") && text.contains("models.md"), "{text}");
    let text = refuse("trees_zip_map").to_string();
    assert!(text.contains("ZipMap") && text.contains("zipmap=False"), "{text}");
    // What is on the list is not refused by a list that has it.
    let text = refuse("scatter_nd_computed").to_string();
    assert!(SUPPORTED_OPERATORS.contains(&"ScatterND") && !text.contains("lists what is supported"), "{text}");
}

#[test]
fn all_unsupported_operators_are_named_at_once() {
    let error = refuse("several_unknown");
    assert!(matches!(&error, ImportError::Several { problems } if problems.len() == 2), "{error}");
    let text = error.to_string();
    for part in ["2 operators", "node0_Frobnicate", "node3_Fold", "models.md"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Each with its reason.
    let text = refuse("several_reasons").to_string();
    for part in ["3 operators", "node0_RNN", "'Wave'", "node1_RNN", "'sideways'", "node2_Frobnicate"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Forms are found one by one, but for what reads a result that there is not.
    let error = refuse("several_forms");
    assert!(matches!(&error, ImportError::Several { problems } if problems.len() == 2), "{error}");
}

#[test]
fn unsupported_forms_are_explained() {
    for (name, operator) in [
        ("mask_without_softmax", "Where"),
        ("conv_transpose_3d", "ConvTranspose"),
        ("no_permutation", "Transpose"),
        ("conv_transpose_cut", "ConvTranspose"),
        ("conv_kernel_computed", "Conv"),
        ("pad_infinite", "Pad"),
        ("pad_edge_with_constant", "Pad"),
        ("resize_crop", "Resize"),
        ("scatter_nd_computed", "ScatterND"),
        ("gather_of_many_computed", "Gather"),
        ("top_k_of_many", "TopK"),
        ("attention_products", "Attention"),
        ("trees_with_names", "TreeEnsembleClassifier"),
        ("where_infinite", "Where"),
        ("quantised_by_two_scales", "DequantizeLinear"),
        ("quantised_by_computed_zero", "QuantizeLinear"),
        ("quantised_by_another_scale", "QLinearConv"),
        ("quantised_bias_computed", "QLinearConv"),
        ("quantised_then_computed", "Cast"),
        ("quantised_output", "QuantizeLinear"),
        ("quantised_in_blocks", "DequantizeLinear"),
        ("arg_max_of_one", "ArgMax"),
        ("learned_exponent", "Pow"),
        ("lstm_lengths", "LSTM"),
        ("rnn_of_many_steps", "RNN"),
        ("condition_computed", "If"),
        ("steps_computed", "Loop"),
    ] {
        let error = refuse(name);
        assert!(matches!(&error, ImportError::UnsupportedForm { operator: o, .. } if o == operator), "{name}: {error}");
    }
}

/// Rounding that the import writes is no operator of files.
#[test]
fn an_operator_of_our_own_is_refused_by_name() {
    let error = refuse("rounded_by_name");
    assert!(
        matches!(&error, ImportError::UnsupportedOperator { operator, .. } if operator == "RoundToScale"),
        "{error}"
    );
}

#[test]
fn constants_that_are_not_finite_are_refused() {
    for name in ["clip_not_a_number", "multiply_by_infinity"] {
        let error = refuse(name);
        assert!(matches!(&error, ImportError::NotFinite { what: "constants", .. }), "{name}: {error}");
    }
}

#[test]
fn invalid_models_are_refused_with_the_cause() {
    assert!(matches!(refuse("wrong_shapes"), ImportError::Invalid { cause, .. } if cause.contains("node0_MatMul")));
    assert!(matches!(refuse("missing_output"), ImportError::Invalid { cause, .. } if cause.contains("nothing")));
    // tract panics on this one.
    assert!(matches!(refuse("axis_beyond_rank"), ImportError::Invalid { cause, .. } if cause.contains("axis: ")));
}

#[test]
fn integers_are_indices_of_constant_tables_of_one_height_or_refused() {
    assert!(matches!(refuse("integer_input"), ImportError::ElementType { .. }));
    let error = refuse("tables_of_two_heights");
    assert!(
        matches!(&error, ImportError::ElementType { got, .. } if got.contains('4') && got.contains('5')),
        "{error}"
    );
    // As numbers they would have the bits of an activation.
    let error = refuse("large_index_as_number");
    assert!(matches!(&error, ImportError::UnsupportedForm { form, .. } if form.contains("integers")), "{error}");
    let model = load("embedding_from_end");
    for wrong in [7.0, -8.0, 0.5, f32::NAN] {
        let error = model.run(&[vec![0.0, wrong, 1.0]]).expect_err("no index");
        assert!(matches!(&error, ImportError::Inputs { expected, .. } if expected.contains("0 to 6")), "{error}");
    }
    let last = model.run(&[vec![-1.0; 3]]).unwrap();
    assert_eq!(last, model.run(&[vec![6.0; 3]]).unwrap());
    assert_eq!(last, model.graph().run(&[vec![-1.0; 3]]).unwrap());
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
