//! The widths that a layout may choose from.

use zkml_gpu_graph::{Graph, Node, Op};

use super::options::{LayoutOptions, VerifiedBy};
use crate::placement::{LayoutError, Limbs, RangeBits, Tabulated, Widths};
use crate::system::{WeightMode, exact_cells};

/// Every sensible combination, cheap or not; the caller's own where there is one.
pub(super) fn candidates(
    graph: &Graph,
    options: &LayoutOptions,
    ranges: &RangeBits,
) -> Result<Vec<Widths>, LayoutError> {
    let mut least = 1;
    let mut widest = 1;
    for node in &graph.nodes {
        if let Op::MatMul(product) = &node.op
            && !product.summands.is_empty()
        {
            // More rows of matrices have further blocks.
            widest = widest.max(product.rows * product.heads);
        }
        let Op::Linear(linear) = &node.op else { continue };
        widest = widest.max(linear.out_channels);
        if linear.window.taps() > 1 {
            least = least.max(linear.out_channels);
        }
        if least > options.max_weight_columns {
            let reason = format!("{least} output channels exceed the {} weight columns", options.max_weight_columns);
            return Err(LayoutError::Unsupported { node: node.name.clone(), reason });
        }
    }
    if let Some(widths) = options.widths {
        return Ok(vec![widths.at_least(least, graph.shift)]);
    }
    let widest = widest.min(options.max_weight_columns).max(least);
    // Fewer are worth their rows where a column costs most.
    let few: &[usize] = match options.target {
        VerifiedBy::Native => &[],
        VerifiedBy::Evm => &[1, 2, 4, 8],
    };
    let mut weights: Vec<usize> =
        few.iter().copied().chain([16, 32, 64, 128, 256, 512]).filter(|w| (least..widest).contains(w)).collect();
    weights.push(widest);
    let groups = options.lookup_group.map_or(1..=3, |group| group.clamp(1, 3)..=group.clamp(1, 3));
    let lanes = [1, 2, 4, 8].into_iter();
    let cross_terms: &[usize] = match options.weights {
        WeightMode::Committed => &[1, 2, 4, 8],
        // Each output channel has free coefficients of its own: many, but small.
        WeightMode::Embedded => &[1, 2, 4, 8, 16, 32],
    };
    // Where some remainders are longer than others, they may take several lanes.
    let is_longer = |node: &Node| node.op.rescale().is_some_and(|rescale| rescale.limbs > 1);
    let has_longer = graph.nodes.iter().any(is_longer);
    let shared = move |lanes: usize| if has_longer && lanes > 1 { vec![false, true] } else { vec![false] };
    let activation_lanes =
        [1, 2, 4, 8].into_iter().flat_map(|lanes| shared(lanes).into_iter().map(move |of| (lanes, of)));
    let activation_lanes: Vec<(usize, bool)> = activation_lanes.collect();
    let all = weights.into_iter().flat_map(|weight_columns| {
        let activation_lanes = &activation_lanes;
        lanes.clone().flat_map(move |operand_lanes| {
            activation_lanes.iter().flat_map(move |activation_lanes| {
                cross_terms
                    .iter()
                    .map(move |cross_term_lanes| (weight_columns, operand_lanes, *activation_lanes, *cross_term_lanes))
            })
        })
    });
    let tables: &[u32] = if ranges.has_clamps_of(TABLE_BITS) { &[0, TABLE_BITS] } else { &[0] };
    let lines: &[bool] = if ranges.has_lines() { &[true, false] } else { &[true] };
    let tabulated = tables.iter().flat_map(|bits| lines.iter().map(|lines| Tabulated { bits: *bits, lines: *lines }));
    let of_tables = |of: Tabulated| limb_bits(graph, ranges, of).into_iter().map(move |limb| (limb, of));
    let limb_bits: Vec<(u32, Tabulated)> = tabulated.flat_map(of_tables).collect();
    let all =
        all.flat_map(|(weight_columns, operand_lanes, (activation_lanes, shared_remainders), cross_term_lanes)| {
            let widths = move |((limb_bits, tabulated), lookup_group): ((u32, Tabulated), usize)| Widths {
                operand_lanes,
                activation_lanes,
                weight_columns,
                cross_term_lanes,
                limb_bits,
                shared_remainders,
                table_lanes: 1,
                table_bits: tabulated.bits,
                lines: !tabulated.lines,
                lookup_group,
            };
            let groups = &groups;
            limb_bits.iter().flat_map(move |bits| groups.clone().map(move |group| (*bits, group))).map(widths)
        });
    Ok(all.collect())
}

/// Bits of the widest clamps that may have tables: each has a row for every value.
pub(super) const TABLE_BITS: u32 = 10;
/// Bits that a limb may have.
const LIMB_BITS: std::ops::RangeInclusive<u32> = 4..=16;

/// The bits of a limb that are worth trying: those for which a value has fewer range cells than with any smaller table.
fn limb_bits(graph: &Graph, ranges: &RangeBits, tabulated: Tabulated) -> Vec<u32> {
    let mut shifts: Vec<u32> = graph.nodes.iter().map(|node| node.op.limbs()).collect();
    shifts.push(1);
    shifts.sort_unstable();
    shifts.dedup();
    let cells = |limb_bits: u32| {
        let Limbs { excess, short, spread } = ranges.limbs(limb_bits, tabulated);
        let remainder = shifts.iter().map(|limbs| exact_cells(graph.shift * limbs, limb_bits)).max().unwrap_or(0);
        let lines = if tabulated.lines { 0 } else { ranges.line_cells(limb_bits) };
        [remainder + excess + usize::from(short), spread, lines]
    };
    let mut kept: Vec<u32> = Vec::new();
    for limb_bits in LIMB_BITS {
        let own = cells(limb_bits);
        if kept.iter().all(|smaller| cells(*smaller).iter().zip(own).any(|(smaller, own)| own < *smaller)) {
            kept.push(limb_bits);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;
    use zkml_gpu_graph::{
        Activation, Format, Interleaving, Linear, MatMul, Node, Normalise, Origin, Rescale, Segments, Shape, Softmax,
        Storage, Tensor, TensorId, Visibilities, Visibility, Window,
    };

    use super::*;
    use crate::hash::HashRole;
    use crate::placement::{Count, Draft, lower, tensors};
    use crate::system::{Architecture, FixedRole};

    const RANGE: Format = Format::new(0, -16, 15);

    fn tensor(graph: &mut Graph, shape: Shape) -> TensorId {
        graph.tensors.push(Tensor {
            name: String::new(),
            shape,
            format: RANGE,
            logical_shape: vec![shape.len()],
            storage: Storage::Plain,
        });
        graph.tensors.len() - 1
    }

    fn node(graph: &mut Graph, op: Op, inputs: &[TensorId], shape: Shape) -> TensorId {
        let output = tensor(graph, shape);
        graph.nodes.push(Node { name: format!("n{output}"), op, inputs: inputs.to_vec(), output, activation: None });
        output
    }

    fn random_window(rng: &mut ChaCha20Rng, shape: Shape) -> Window {
        loop {
            let kernel = [0; 2].map(|_| rng.gen_range(1..=3));
            let images: Vec<usize> = (1..=4).filter(|n| shape.width.is_multiple_of(*n)).collect();
            let window = Window {
                kernel,
                stride: [0; 2].map(|_| rng.gen_range(1..=3)),
                dilation: [0; 2].map(|_| rng.gen_range(1..=2)),
                pad_before: kernel.map(|k| rng.gen_range(0..k)),
                pad_after: kernel.map(|k| rng.gen_range(0..k)),
                images: images[rng.gen_range(0..images.len())],
            };
            if window.output(shape.height, shape.width).is_some() {
                return window;
            }
        }
    }

    fn product(graph: &mut Graph, rng: &mut ChaCha20Rng, x: TensorId, raw: bool) -> TensorId {
        let shape = graph.tensors[x].shape;
        let window = if rng.gen_bool(0.4) { Window::UNIT } else { random_window(rng, shape) };
        let out_channels = rng.gen_range(1..20);
        // Neither placing nor counting reads a weight.
        let mut linear = Linear { window, raw, ..Linear::dense(out_channels, Vec::new(), Vec::new()) };
        linear.input_dilation = [0; 2].map(|_| if rng.gen_bool(0.2) { 2 } else { 1 });
        let [height, width] = linear.output(shape).unwrap();
        let columns = width / window.images;
        linear.pool = [height, columns].map(|size| if raw { 1 } else { rng.gen_range(1..=size.min(2)) });
        let [height, width] = linear.pooled(shape).unwrap();
        let shape = Shape { channels: out_channels, height, width };
        node(graph, Op::Linear(linear), &[x], shape)
    }

    /// `32 - d` for `d` from 0 to 31, by lines or not.
    fn falling(by_lines: bool) -> Activation {
        let lines = (0..8).map(|h| [2 * (32 - 4 * h) + 1, -2]).collect();
        let by_segments = Activation::of_segments(0, Segments { low: 2, scale: 1, lines }).unwrap();
        let table = Activation::table(0, (0..32).map(|d| 32 - d).collect());
        assert_eq!(by_segments.values, table.values);
        if by_lines { by_segments } else { table }
    }

    /// A few layers of every kind, without weights.
    fn random_graph(seed: u64) -> Graph {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let mut graph = Graph {
            name: String::new(),
            shift: 6,
            tensors: Vec::new(),
            activations: Vec::new(),
            nodes: Vec::new(),
            inputs: vec![0],
            outputs: Vec::new(),
            visibility: Visibilities::default(),
        };
        let shape = Shape { channels: rng.gen_range(1..5), height: rng.gen_range(1..7), width: rng.gen_range(1..7) };
        let mut x = tensor(&mut graph, shape);
        for _ in 0..rng.gen_range(1..5) {
            let shape = graph.tensors[x].shape;
            x = match rng.gen_range(0..12) {
                0 => node(&mut graph, Op::Reshape, &[x], Shape::vector(shape.len())),
                1 => {
                    let offset = vec![1; if rng.gen_bool(0.5) { shape.len() } else { 0 }];
                    let (multipliers, shared) = (vec![64, 1], Interleaving::NONE);
                    node(&mut graph, Op::Combine { multipliers, offset, shared, width: None }, &[x, x], shape)
                }
                4 => {
                    // No two neighbours stay neighbours: nothing can be read in few pieces.
                    let element = |element| Origin::Element { operand: 0, element };
                    let origins = (0..shape.len() as u32).rev().map(element).chain([Origin::Constant(3)]).collect();
                    node(&mut graph, Op::Rearrange { origins }, &[x], Shape::vector(shape.len() + 1))
                }
                5 if shape.len() > 1 => {
                    let op = Op::ArgMax { starts: vec![0], stride: 1, count: shape.len(), last: false };
                    let index = node(&mut graph, op, &[x], Shape::vector(1));
                    graph.outputs.push(index);
                    x
                }
                2 => {
                    let window = Window { kernel: [2.min(shape.height), 1], stride: [1, 2], ..Window::UNIT };
                    let [height, width] = window.output(shape.height, shape.width).unwrap();
                    node(&mut graph, Op::MaxPool(window), &[x], Shape { height, width, ..shape })
                }
                3 => {
                    let window = random_window(rng, shape);
                    let [height, width] = window.output(shape.height, shape.width).unwrap();
                    let op = Op::AveragePool { window, multipliers: vec![1; 10] };
                    node(&mut graph, op, &[x], Shape { height, width, ..shape })
                }
                8 => node(&mut graph, Op::Multiply(Rescale { multiplier: 3, limbs: 2 }), &[x, x], shape),
                9 => {
                    let (groups, len) = (shape.height * shape.width, shape.channels);
                    let exp = falling(rng.gen_bool(0.5));
                    let rescale = Rescale { multiplier: 1, limbs: 3 };
                    let softmax = Softmax { groups, len, masked: Vec::new(), exp, bits: 20, rescale };
                    node(&mut graph, Op::Softmax(softmax), &[x], shape)
                }
                10 => {
                    let (groups, len) = (shape.height * shape.width, shape.channels);
                    let rescale = Rescale { multiplier: 1, limbs: 2 };
                    let normalise = Normalise { groups, len, centred: true, epsilon: 3, bits: 15, rescale };
                    node(&mut graph, Op::Normalise(normalise), &[x], shape)
                }
                11 => {
                    let rows = shape.height * shape.width;
                    let matrix = Shape { channels: shape.channels, height: 1, width: rows };
                    let matrix = node(&mut graph, Op::Reshape, &[x], matrix);
                    let rescale = Rescale { multiplier: 1, limbs: 1 };
                    let (heads, inner, columns) = (1, shape.channels, rows);
                    let some = columns > 1 && rng.gen_bool(0.5);
                    let summands = vec![1; if some { rows * heads * columns } else { 0 }];
                    let (head_minor, inferences, width) = (false, 1, None);
                    let matmul =
                        MatMul { heads, inner, rows, columns, head_minor, inferences, rescale, summands, width };
                    let shape = Shape { channels: rows, height: 1, width: rows };
                    node(&mut graph, Op::MatMul(matmul), &[matrix, matrix], shape)
                }
                _ => product(&mut graph, rng, x, false),
            };
            let last = graph.nodes.last_mut().unwrap();
            if rng.gen_bool(0.4) && last.op.requantises() {
                graph.activations.push(falling(rng.gen_bool(0.7)));
                last.activation = Some(graph.activations.len() - 1);
            }
            if rng.gen_bool(0.2) {
                graph.outputs.push(x);
            }
        }
        let raw = rng.gen_bool(0.5);
        let last = product(&mut graph, rng, x, raw);
        graph.outputs.push(last);
        hide(&mut graph, rng, raw.then_some(last));
        lower(graph)
    }

    /// Hides some inputs, indices among them, and outputs, but for accumulators that are claimed as they are.
    fn hide(graph: &mut Graph, rng: &mut ChaCha20Rng, raw: Option<TensorId>) {
        let any = |rng: &mut ChaCha20Rng| Visibility::ALL[rng.gen_range(0..Visibility::ALL.len())];
        let visibility = any(rng);
        graph.visibility.set_input(0, visibility);
        if visibility.is_hidden() && rng.gen_bool(0.3) {
            let Shape { height, width, .. } = graph.tensors[0].shape;
            (graph.tensors[0].storage, graph.tensors[0].logical_shape) = (Storage::OneHot, vec![height * width]);
        }
        for index in (0..graph.outputs.len()).filter(|index| Some(graph.outputs[*index]) != raw).collect::<Vec<_>>() {
            let visibility = any(rng);
            graph.visibility.set_output(index, visibility);
        }
    }

    #[test]
    fn rows_and_columns_are_those_of_the_planner() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let mut options = LayoutOptions::default();
        let (mut cross_terms, mut gathers, mut blocks, mut indices) = (0, 0, 0, 0);
        let (mut left, mut groups) = (0, 0);
        let (mut committed, mut entered, mut by_lines) = (0, 0, 0);
        for seed in 0..300 {
            let graph = random_graph(seed);
            options.max_weight_columns = [19, 1024][seed as usize % 2];
            let ranges = RangeBits::of(&graph);
            let all = candidates(&graph, &options, &ranges).unwrap();
            for _ in 0..4 {
                let mut widths = all[rng.gen_range(0..all.len())];
                widths.weight_columns = widths.weight_columns.min(rng.gen_range(1..20));
                let tensors = tensors(&graph, widths.operand_lanes).unwrap();
                let weights = [WeightMode::Committed, WeightMode::Embedded][rng.gen_range(0..2)];
                let limbs = ranges.limbs(widths.limb_bits, Tabulated::of(&widths));
                let count = Count::new(&graph, &tensors, (widths, &limbs), weights);
                let widths = count.used(widths);
                let draft = Draft::place(&graph, (widths, &limbs), weights, 0).unwrap();
                let layers: Vec<[usize; 3]> = count.nodes.iter().copied().chain([count.statement]).collect();
                assert_eq!(layers, draft.layers, "seed {seed}, {widths:?}: {graph:#?}");
                let placed = draft.architecture(widths.lookup_group, &limbs);
                assert!(count.fixed_columns() <= placed.fixed.len() && placed.slots > 0, "seed {seed}, {widths:?}");
                by_lines += usize::from(placed.lines().next().is_some());
                let hashes = placed.has_hashes().then_some(FixedRole::Hash(HashRole::Row));
                let counted = count.architecture(graph.shift, &limbs, widths, weights);
                // A committed tensor that is longer than all rows takes more columns than one. How many rows there are
                // is not known before the tables.
                let committed_columns = counted.committed_columns;
                assert!(committed_columns <= placed.committed_columns, "seed {seed}, {widths:?}: {graph:#?}");
                committed += usize::from(committed_columns > 0 && committed_columns == placed.committed_columns);
                let fixed = hashes.into_iter().collect();
                let columns = Architecture { fixed, slots: 1, committed_columns, ..placed };
                assert_eq!(counted, columns, "seed {seed}, {widths:?}: {graph:#?}");
                cross_terms += usize::from(columns.cross_term_lanes > 1);
                gathers += usize::from(columns.gather_columns > 0);
                indices += usize::from(columns.gather_by_index);
                blocks += usize::from(widths.weight_columns < 10);
                left += usize::from(columns.left_lanes > 1);
                groups += usize::from(columns.auxiliary_groups > 2);
                entered += usize::from(graph.visibility.input(0).is_hidden());
            }
        }
        let counts = [cross_terms, gathers, blocks, indices, left, groups, committed, entered, by_lines];
        assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
    }
}
