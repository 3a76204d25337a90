//! The exponent audit of layouts ([`zkml_gpu_tests::audit`]), and that it notices what is wrong.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{Widths, lower};
use zkml_gpu_circuit::system::{FixedRole, WeightMode};
use zkml_gpu_graph::{Graph, Interleaving, Linear, Op, Shape, Window};
use zkml_gpu_tests::audit::{Columns, Poly, Seen, audit, degree, tied};
use zkml_gpu_tests::networks::{Builder, WIDE, embedded, image, narrow, pooled, residual, strided, zoo};

fn compile(graph: &Graph, options: &LayoutOptions) -> Layout {
    Layout::compile(graph, options).expect("the graph has a layout")
}

fn random_window(rng: &mut ChaCha20Rng, shape: Shape) -> Window {
    loop {
        let kernel = [0; 2].map(|_| rng.gen_range(1..=4));
        let [pad_before, pad_after] = [kernel; 2].map(|kernel| kernel.map(|k| rng.gen_range(0..k + 1)));
        let stride = [0; 2].map(|_| rng.gen_range(1..=3));
        let dilation = [0; 2].map(|_| if rng.gen_bool(0.3) { 2 } else { 1 });
        let images: Vec<usize> = (1..=4).filter(|n| shape.width.is_multiple_of(*n)).collect();
        let images = if rng.gen_bool(0.4) { images[rng.gen_range(0..images.len())] } else { 1 };
        let window = Window { kernel, stride, dilation, pad_before, pad_after, images };
        if window.output(shape.height, shape.width).is_some() {
            return window;
        }
    }
}

fn random_image(rng: &mut ChaCha20Rng) -> Shape {
    match rng.gen_range(0..4) {
        0 => Shape::vector(rng.gen_range(1..8)),
        1 => image(rng.gen_range(1..6), 1, rng.gen_range(2..7)),
        _ => image(rng.gen_range(1..4), rng.gen_range(1..7), rng.gen_range(1..7)),
    }
}

/// A product over a random window, or over a matrix or vector.
fn random_product(
    b: &mut Builder,
    rng: &mut ChaCha20Rng,
    input: usize,
    shape: Shape,
    range: (i64, i64),
) -> (usize, Shape) {
    let pointwise = shape.height == 1 && rng.gen_bool(0.6);
    let window = if pointwise { Window::UNIT } else { random_window(rng, shape) };
    let channels = if window == Window::UNIT { rng.gen_range(1..40) } else { rng.gen_range(1..5) };
    let [height, width] = window.output(shape.height, shape.width).unwrap();
    let columns = width / window.images;
    let pool = if range == WIDE { [1, 1] } else { [height, columns].map(|size| rng.gen_range(1..=size.min(3))) };
    let mut form = Linear { window, pool, ..Linear::dense(channels, vec![], vec![]) };
    if rng.gen_bool(0.4) && (window == Window::UNIT || shape.channels < 3) {
        // As many groups as there are input channels, each with one or two outputs.
        form.groups = shape.channels;
        form.out_channels = shape.channels * rng.gen_range(1..=2);
    }
    if rng.gen_bool(0.2) {
        form.input_dilation = [0; 2].map(|_| rng.gen_range(1..=3));
        form.pool = [1, 1];
    }
    let [height, width] = form.pooled(shape).unwrap();
    let output = image(form.out_channels, height, width);
    (b.product(input, form, 20, range), output)
}

/// One to three layers, of which every output is claimed.
fn random_graph(seed: u64) -> Graph {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let mut shape = random_image(rng);
    let range = (-16, 15);
    let mut b = Builder::new(seed, 6, shape, range);
    let (mut tensor, mut outputs) = (0, Vec::new());
    for _ in 0..rng.gen_range(1..=2) {
        (tensor, shape) = match rng.gen_range(0..8) {
            0 => {
                let window = Window { kernel: [1, 1], stride: [0; 2].map(|_| rng.gen_range(1..=3)), ..Window::UNIT };
                let [height, width] = window.output(shape.height, shape.width).unwrap();
                let channels = rng.gen_range(1..20);
                (b.linear(tensor, channels, window, [1, 1], 20, range), image(channels, height, width))
            }
            1 => {
                let flat = Shape::vector(shape.len());
                (b.node(Op::Reshape, &[tensor], flat, range), flat)
            }
            _ => random_product(&mut b, rng, tensor, shape, range),
        };
        if rng.gen_bool(0.3) {
            // A residual addition: of the tensor and a product of its own shape.
            let channels = shape.channels;
            let side = b.linear(tensor, channels, Window::UNIT, [1, 1], 20, range);
            tensor = b.node(
                Op::Combine { multipliers: vec![64, -32], offset: vec![], shared: Interleaving::NONE, width: None },
                &[side, tensor],
                shape,
                range,
            );
        }
    }
    if rng.gen_bool(0.5) {
        outputs.push(tensor);
    }
    let raw = rng.gen_bool(0.5);
    let (last, _) = random_product(&mut b, rng, tensor, shape, if raw { WIDE } else { range });
    outputs.push(last);
    b.finish(&outputs)
}

#[test]
fn every_output_of_the_zoo_has_a_monomial_that_holds_its_definition_alone() {
    // Weights are variables here in both modes. Free coefficients differ: of all channels, or of each.
    for options in [LayoutOptions::default(), narrow(), embedded()] {
        for (name, graph) in zoo() {
            let graph = lower(graph);
            let seen = audit(&graph, &compile(&graph, &options)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(seen.outputs > 0 && seen.products > 0, "{name}: {seen:?}");
        }
    }
}

/// Widths that a choice by cost may never take.
fn random_widths(seed: u64, weight_columns: usize) -> Widths {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let mut widths = Widths::default();
    widths.operand_lanes = rng.gen_range(1..=8);
    widths.activation_lanes = rng.gen_range(1..=8);
    widths.weight_columns = weight_columns;
    widths.cross_term_lanes = rng.gen_range(1..=8);
    widths.shared_remainders = rng.gen_bool(0.5);
    widths.lookup_group = rng.gen_range(1..=3);
    widths
}

#[test]
fn every_output_of_random_networks_has_a_monomial_that_holds_its_definition_alone() {
    let mut total = Seen::default();
    let (mut strides, mut uneven, mut pools, mut batches, mut blocks, mut lanes) = (0, 0, 0, 0, 0, 0);
    let (mut groups, mut dilations, mut transposed, mut wide, mut images) = (0, 0, 0, 0, 0);
    for seed in 0..200 {
        let graph = lower(random_graph(seed));
        let mut options = LayoutOptions::default();
        options.max_weight_columns = [5, 8, 1024][seed as usize % 3];
        options.weights = [WeightMode::Committed, WeightMode::Embedded][seed as usize / 3 % 2];
        if seed % 2 == 0 {
            options.lookup_group = Some(1 + seed as usize % 3);
        } else {
            options.widths = Some(random_widths(seed, options.max_weight_columns.min(20)));
        }
        let layout = compile(&graph, &options);
        let seen = audit(&graph, &layout).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{graph:#?}"));
        for node in &graph.nodes {
            let Op::Linear(linear) = &node.op else { continue };
            let (window, input) = (&linear.window, graph.tensors[node.inputs[0]].shape);
            strides += usize::from(window.stride != [1, 1] && linear.window.kernel > window.stride);
            uneven += usize::from(window.pad_before != window.pad_after);
            pools += usize::from(linear.pool != [1, 1]);
            batches += usize::from(window.kernel == [1, 1] && input.width > 1);
            blocks += usize::from(linear.out_channels > layout.architecture.weight_columns);
            groups += usize::from(linear.groups > 1);
            dilations += usize::from((0..2).any(|axis| window.extent(axis) > window.kernel[axis]));
            transposed += usize::from(linear.input_dilation != [1, 1] && input.len() > input.channels);
            wide += usize::from((0..2).any(|axis| window.pad_after[axis] >= window.extent(axis)));
            images += usize::from(window.images > 1);
        }
        total.products += seen.products;
        total.combinations += seen.combinations;
        total.ties += seen.ties;
        total.masked += seen.masked;
        total.padding += seen.padding;
        total.cross_terms += seen.cross_terms;
        lanes += usize::from(layout.architecture.cross_term_lanes > 1);
    }
    // The random networks do exercise what the audit is for.
    let counts = [strides, uneven, pools, batches, blocks, lanes, groups, dilations, transposed, wide, images];
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
    assert!(total.masked > 0 && total.padding > 0 && total.cross_terms > 0 && total.combinations > 10, "{total:?}");
}

/// Whether the audit should notice a change of this column. A row of an image may hold nothing that an output reads, so
/// the loss of a public image's selector may do no harm.
fn matters(role: &FixedRole) -> bool {
    matches!(
        role,
        FixedRole::OperandPacked
            | FixedRole::OperandSingle
            | FixedRole::InstanceSingle
            | FixedRole::Accumulate
            | FixedRole::AccumulateCrossTerms
            | FixedRole::CrossTermMask(_)
            | FixedRole::Step(..)
            | FixedRole::Identity(_)
            | FixedRole::Term { .. }
    )
}

#[test]
fn the_audit_notices_the_loss_of_any_selector_step_or_term() {
    // The digest of a tensor that is read by gathering alone has no reader, so such networks stay out.
    let gathers = |graph: &Graph| graph.nodes.iter().any(|n| matches!(n.op, Op::MaxPool(_) | Op::AveragePool { .. }));
    let graphs = zoo().into_iter().filter(|(_, graph)| !gathers(graph));
    let cases = graphs.map(|(name, graph)| (name, graph, WeightMode::Committed));
    // The modes differ in the free coefficients alone, and so in convolutions.
    let embedded = ("convolution, pooled", pooled(), WeightMode::Embedded);
    for (name, graph, weights) in cases.chain([embedded]) {
        let graph = lower(graph);
        let mut options = narrow();
        options.weights = weights;
        let layout = compile(&graph, &options);
        audit(&graph, &layout).unwrap();
        let identities = Columns::new(&layout).identities().unwrap();
        let auditor = tied(&graph, &layout, &identities, &mut Seen::default()).unwrap();
        let resolved = |identities: &[Poly]| identities.iter().map(|i| auditor.resolved(i)).collect::<Vec<_>>();
        let honest = resolved(&identities);
        let mut noticed = 0;
        for (column, role) in layout.architecture.fixed.iter().enumerate().filter(|(_, role)| matters(role)) {
            // The ends of small networks' columns, the middle of all.
            let len = layout.fixed[column].len();
            let indices = if layout.identities < 8 { vec![0, len / 2, len - 1] } else { vec![len / 2] };
            for index in indices {
                let mut changed = layout.clone();
                let (row, _) = changed.fixed[column].remove(index);
                // What no identity reads may go, as the digest of an input that is never copied, and what is zero.
                let read = Columns::new(&changed).identities().map(|i| resolved(&i)) != Ok(honest.clone());
                noticed += usize::from(read);
                assert!(!read || audit(&graph, &changed).is_err(), "{role:?} at row {row} of {name}");
            }
        }
        assert!(noticed > 20, "{name}: {noticed}");
    }
}

#[test]
fn the_declared_degree_counts_every_committed_cell() {
    for seed in 0..200 {
        let graph = lower(random_graph(seed));
        let layout = compile(&graph, &LayoutOptions::default());
        let reached = Columns::new(&layout).identities().unwrap().iter().map(degree).max().unwrap();
        assert!(reached <= layout.max_degree, "seed {seed}: r^{reached}, declared {}", layout.max_degree);
    }
}

#[test]
fn a_tensor_added_to_itself_counts_twice() {
    let shape = image(2, 2, 2);
    let mut b = Builder::new(1, 6, shape, (0, 31));
    let x = b.linear(0, 2, Window::UNIT, [1, 1], 40, (0, 31));
    let again = b.node(Op::Reshape, &[x], shape, (0, 31));
    let sum = b.node(
        Op::Combine { multipliers: vec![64, 32], offset: vec![], shared: Interleaving::NONE, width: None },
        &[x, again],
        shape,
        (0, 31),
    );
    let graph = b.finish(&[sum]);
    let graph = lower(graph);
    // To refuse it is sound as well.
    if let Ok(layout) = Layout::compile(&graph, &LayoutOptions::default()) {
        audit(&graph, &layout).unwrap();
    }
}

#[test]
fn the_audit_notices_a_free_coefficient_at_an_outputs_exponent() {
    let graphs = [strided(), residual(), pooled()].map(lower);
    for (graph, options) in graphs.iter().flat_map(|graph| [LayoutOptions::default(), embedded()].map(|o| (graph, o))) {
        let layout = compile(graph, &options);
        let run = &layout.cross_terms[0];
        let lanes = layout.architecture.cross_term_lanes;
        let outputs: Vec<usize> = (0..run.free.len()).filter(|position| !run.free[*position]).collect();
        let mut noticed = 0;
        for position in outputs {
            let (lane, row) = (position % lanes, run.first_row as usize + position / lanes);
            let Some(column) = layout.architecture.fixed.iter().position(|r| *r == FixedRole::CrossTermMask(lane))
            else {
                continue;
            };
            let mut changed = layout.clone();
            changed.fixed[column].push((row as u32, 1));
            // Beyond the product's degree one is refused as well, but there it harms no output.
            let harms = |error: String| !error.contains("beyond the declared degree");
            noticed += usize::from(audit(graph, &changed).is_err_and(harms));
        }
        let Op::Linear(linear) = &graph.nodes[0].op else { unreachable!("the first node is a product") };
        let shape = graph.tensors[0].shape;
        let [height, width] = linear.window.output(shape.height, shape.width).unwrap();
        let used = height / linear.pool[0] * linear.pool[0] * (width / linear.pool[1] * linear.pool[1]);
        assert_eq!(noticed, used, "one for each output position");
    }
}
