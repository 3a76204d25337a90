//! Every layer: the integer reference is the circuit's witness and its proof is accepted; every way to change it is
//! rejected, by MockProver and by a real proof.

use std::collections::BTreeMap;
use std::ops::Range;

use ff::Field;
use halo2curves::bn256::Fr;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::placement::{Gathered, Widths};
use zkml_gpu_circuit::system::{
    Architecture, Factor, FixedRole, Lines, MASKED, Multiplicand, RowKind, WeightMode, kind, saturate,
};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_graph::{Function, Op};
use zkml_gpu_tests::networks::{self, Session, embedded, narrow};

/// Sessions of the whole zoo; the dense layers that need several blocks take narrow options.
fn sessions() -> Vec<(&'static str, Session)> {
    sessions_with(WeightMode::Committed)
}

fn sessions_with(weights: WeightMode) -> Vec<(&'static str, Session)> {
    let session = |(name, graph): (&'static str, _)| {
        let mut options = options_of(name);
        options.weights = weights;
        (name, Session::new(graph, &options, 11))
    };
    networks::zoo().into_iter().map(session).collect()
}

fn session(name: &str) -> Session {
    session_with(name, &options_of(name))
}

/// Narrow ones for dense layers that need several blocks, and functions by lines for networks that are named so.
fn options_of(name: &str) -> LayoutOptions {
    let options = if name.contains("blocks") { narrow() } else { LayoutOptions::default() };
    networks::options_of(name, options)
}

fn session_with(name: &str, options: &LayoutOptions) -> Session {
    let (_, graph) = networks::zoo().into_iter().find(|(n, _)| *n == name).expect("a network of that name");
    Session::new(graph, options, 11)
}

#[test]
fn honest_inferences_are_accepted() {
    for weights in [WeightMode::Committed, WeightMode::Embedded] {
        for (name, s) in sessions_with(weights) {
            assert!(s.mock(&s.first, &s.outputs, &[]), "{name}, {weights:?}: MockProver");
            assert!(s.real(&s.first, &s.outputs, &[]), "{name}, {weights:?}: real proof");
        }
    }
}

#[test]
fn every_group_size_is_accepted() {
    for lookup_group in 1..=3 {
        for (name, graph) in [("pooled", networks::pooled()), ("gathered", networks::gathered())] {
            let mut options = LayoutOptions::default();
            options.lookup_group = Some(lookup_group);
            let s = Session::new(graph, &options, 12);
            // A clamp's gates have degree 4.
            assert!(s.keys.verifying.vk().cs().degree() <= (lookup_group + 2).max(4), "{name}");
            assert!(s.mock(&s.first, &s.outputs, &[]), "{name} with groups of {lookup_group}: MockProver");
            assert!(s.real(&s.first, &s.outputs, &[]), "{name} with groups of {lookup_group}: real proof");
        }
    }
}

#[test]
fn wide_rows_are_accepted_and_a_changed_free_coefficient_is_rejected() {
    for (name, graph) in [("pooled", networks::pooled()), ("strided", networks::strided())] {
        let mut widths = Widths::default();
        (widths.operand_lanes, widths.activation_lanes, widths.cross_term_lanes, widths.lookup_group) = (3, 4, 3, 2);
        let mut options = LayoutOptions::default();
        options.widths = Some(widths);
        let s = Session::new(graph, &options, 13);
        let a = &s.layout.architecture;
        assert_eq!((a.operand_lanes, a.cross_term_lanes, a.lookup_group), (3, 3, 2), "{name}");
        assert!(s.mock(&s.first, &s.outputs, &[]), "{name}: MockProver");
        assert!(s.real(&s.first, &s.outputs, &[]), "{name}: real proof");
        let run = &s.layout.cross_terms[0];
        for lane in 0..a.cross_term_lanes {
            let free =
                (0..run.free.len()).find(|position| run.free[*position] && position % a.cross_term_lanes == lane);
            let row = run.first_row as usize + free.expect("a free coefficient in every lane") / a.cross_term_lanes;
            let changed = [(a.cross_term(lane), row, Fr::ONE)];
            assert!(!s.mock(&s.first, &s.outputs, &changed), "{name}, lane {lane}: MockProver");
            assert!(!s.real(&s.first, &s.outputs, &changed), "{name}, lane {lane}: real proof");
        }
    }
}

#[test]
fn saturated_values_are_proved() {
    let s = session("convolution, pooled");
    let a = &s.layout.architecture;
    let saturated = s.layout.results.iter().filter(|r| r.kind != RowKind::Raw).any(|result| {
        let row = result.row as usize;
        let excess: i64 = (a.remainder_cells..a.requantise_columns()).map(|i| s.first.columns[a.range(i)][row]).sum();
        excess > 0 && s.first.columns[a.saturation(0)][row] != 0
    });
    assert!(saturated, "no value of the example leaves its range: the test shows nothing");
    assert!(s.real(&s.first, &s.outputs, &[]));
}

#[test]
fn wrong_outputs_are_rejected() {
    for (name, s) in sessions() {
        let proof = s.proof(&s.first, &s.outputs, &[]).expect("an honest proof");
        for port in 0..s.outputs.len() {
            for element in [0, s.outputs[port].len() - 1] {
                let mut outputs = s.outputs.clone();
                let format = s.layout.statement.outputs[port].format;
                outputs[port][element] += if outputs[port][element] == format.max { -1 } else { 1 };
                assert!(!s.mock(&s.first, &outputs, &[]), "{name}: MockProver, output {port}[{element}]");
                assert!(!s.real(&s.first, &outputs, &[]), "{name}: real proof, output {port}[{element}]");
                assert!(s.verify(&outputs, &proof).is_err(), "{name}: replayed proof, output {port}[{element}]");
            }
        }
    }
}

#[test]
fn wrong_inputs_are_rejected() {
    for (name, mut s) in sessions() {
        let proof = s.proof(&s.first, &s.outputs, &[]).expect("an honest proof");
        let format = s.layout.statement.inputs[0].format;
        s.inputs[0][1] += if s.inputs[0][1] == format.max { -1 } else { 1 };
        assert!(s.verify(&s.outputs, &proof).is_err(), "{name}: replayed proof");
        assert!(!s.mock(&s.first, &s.outputs, &[]), "{name}: MockProver");
        assert!(!s.real(&s.first, &s.outputs, &[]), "{name}: real proof");
    }
}

/// Fixed columns that are not 0 on a row: rows of one class are constrained alike.
fn classes(s: &Session) -> Vec<Vec<usize>> {
    let mut classes = vec![Vec::new(); s.layout.usable_rows()];
    for (index, cells) in s.layout.fixed.iter().enumerate() {
        if matches!(s.layout.architecture.fixed[index], FixedRole::Table { .. } | FixedRole::GatherIndex(_)) {
            continue;
        }
        cells.iter().filter(|(_, value)| *value != 0).for_each(|(row, _)| classes[*row as usize].push(index));
    }
    classes
}

/// One row of every class.
fn representatives(s: &Session) -> Vec<usize> {
    let mut first: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    for (row, class) in classes(s).into_iter().enumerate() {
        first.entry(class).or_insert(row);
    }
    first.into_values().collect()
}

fn has(s: &Session, role: &FixedRole, row: usize) -> bool {
    let index = s.layout.architecture.fixed.iter().position(|r| r == role);
    index.is_some_and(|i| s.layout.fixed[i].iter().any(|(r, value)| *r as usize == row && *value != 0))
}

fn kind(s: &Session, row: usize) -> Option<RowKind> {
    s.layout.results.iter().find(|result| result.row as usize == row).map(|result| result.kind)
}

/// Whether nothing reads this cell of an activation lane: the row neither looks the lane up nor clamps it, and computes
/// nothing with it.
fn is_result_unread(s: &Session, column: usize, row: usize) -> bool {
    let a = &s.layout.architecture;
    let lanes = a.activation_lanes;
    let lane = (0..lanes).find(|lane| [a.activated(*lane), a.saturation(*lane)].contains(&column));
    let lane = lane.unwrap_or_else(|| column - a.activated(lanes));
    let looked_up = has(s, &FixedRole::LooksUp, row) && lane < a.looked_up_lanes;
    let roles = || s.layout.architecture.fixed.iter().filter(|role| has(s, role, row));
    let clamped = roles().any(|role| matches!(role, FixedRole::Clamp(clamp) if lane < clamp.lanes));
    let of_lines = |of: &Lines| lane < of.lanes || (of.places..of.places + of.lanes).contains(&lane);
    let by_lines = roles().any(|role| matches!(role, FixedRole::Lines(of) if of_lines(of)));
    let by_gates = match kind(s, row) {
        Some(RowKind::Copies(kind::Copies { lanes })) => lane < lanes,
        Some(RowKind::GatheredMaximum(_)) => lane == 0,
        _ => false,
    };
    let gathered = roles().any(|role| *role == FixedRole::SourceCount(lane) || *role == FixedRole::SourceByIndex(lane));
    !looked_up && !clamped && !by_lines && (column != a.activated(lane) || !by_gates && !gathered)
}

/// Whether nothing reads this cell: changing it changes no statement. Every other cell is constrained.
fn is_unread(s: &Session, column: usize, row: usize) -> bool {
    let a = &s.layout.architecture;
    if column < a.operand_columns {
        let single = column == 0 && has(s, &FixedRole::OperandSingle, row);
        return !has(s, &FixedRole::OperandPacked, row) && !single;
    }
    let left = || {
        let strides = a.fixed.iter().filter(|role| matches!(role, FixedRole::LeftPacked(_) | FixedRole::LeftSingle));
        strides.into_iter().any(|role| has(s, role, row))
    };
    if a.folded_weights() == Some(column) {
        // Beside a left operand the weight bank is not read, whatever is committed there.
        return left();
    }
    if (a.left(0)..a.left(a.left_lanes)).contains(&column) {
        let single = column == a.left(0) && has(s, &FixedRole::LeftSingle, row);
        let strides = a.fixed.iter().filter(|role| matches!(role, FixedRole::LeftPacked(_)));
        return !single && !strides.into_iter().any(|role| has(s, role, row));
    }
    if (a.activated(0)..a.range(0)).contains(&column) {
        return is_result_unread(s, column, row);
    }
    if (a.auxiliary(0, 0)..a.auxiliary(a.auxiliary_groups, 0)).contains(&column) {
        let cell = column - a.auxiliary(0, 0);
        let (group, lane) = (cell / a.activation_lanes, cell % a.activation_lanes);
        let lanes = match kind(s, row) {
            Some(
                RowKind::Multiply(kind::Multiply { lanes, .. })
                | RowKind::Exponential(kind::Exponential { lanes })
                | RowKind::Normalise(kind::Normalise { lanes, .. }),
            ) => lanes,
            _ => 1,
        };
        return lane >= lanes || kind(s, row).is_none_or(|kind| group >= kind.auxiliary_groups());
    }
    if (a.product(0)..a.product(a.product_columns)).contains(&column) {
        let size = match kind(s, row) {
            Some(RowKind::MaximumOfWindow(kind::MaximumOfWindow { height, width, .. })) => height * width,
            Some(RowKind::GatheredMaximum(kind::GatheredMaximum { window })) => window,
            _ => return true,
        };
        // A window of this size has so many partial products: the first takes degree - 1 factors, others degree - 2.
        let products = (size - 1).div_ceil(a.degree() - 2) - 1;
        return column - a.product(0) >= products;
    }
    if a.gather_by_index && (a.source_uses(0)..a.source_uses(a.source_lanes())).contains(&column) {
        return !has(s, &FixedRole::SourceByIndex(column - a.source_uses(0)), row);
    }
    let cross_terms = a.cross_term(0)..a.cross_term(a.cross_term_lanes);
    cross_terms.contains(&column) && !has(s, &FixedRole::CrossTermMask(column - a.cross_term(0)), row)
}

/// The free-cell audit: a change to one cell of any column, on a row of any class, breaks some gate.
fn audit(name: &str) {
    audit_session(name, &session(name));
}

fn audit_session(name: &str, s: &Session) {
    audit_part(name, s, 1);
}

/// The audit of every so many columns, on each row of others: of large networks, whose parts have audits of their own.
fn audit_part(name: &str, s: &Session, every: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut checked = 0;
    for row in representatives(s) {
        for column in (row % every..s.layout.architecture.advice_columns()).step_by(every) {
            let delta = Fr::random(&mut rng);
            let accepted = s.mock(&s.first, &s.outputs, &[(column, row, delta)]);
            assert_eq!(accepted, is_unread(s, column, row), "{name}: column {column}, row {row}");
            checked += usize::from(!accepted);
        }
    }
    assert!(checked * every > 100, "{name}: only {checked} cells checked");
}

#[test]
fn no_cell_of_a_dense_network_is_free() {
    audit("dense");
}

#[test]
fn no_cell_of_a_dense_network_with_embedded_weights_is_free() {
    audit_session("dense, embedded", &session_with("dense", &embedded()));
}

#[test]
fn no_cell_of_a_pooled_convolution_with_embedded_weights_is_free() {
    audit_session("pooled, embedded", &session_with("convolution, pooled", &embedded()));
}

#[test]
fn no_cell_of_a_batched_product_is_free() {
    audit("matrix product over a batch");
}

#[test]
fn no_cell_of_a_pooled_convolution_is_free() {
    audit("convolution, pooled");
}

#[test]
fn no_cell_of_a_strided_convolution_is_free() {
    audit("convolution, padding and stride");
}

#[test]
fn no_cell_of_a_residual_block_is_free() {
    audit("residual addition");
}

#[test]
fn no_cell_of_gathered_pooling_is_free() {
    audit("pooling by gathering");
}

#[test]
fn no_cell_of_a_grouped_convolution_is_free() {
    audit("grouped and dilated convolution");
}

#[test]
fn no_cell_of_a_transposed_convolution_is_free() {
    audit("transposed convolution");
}

#[test]
fn no_cell_of_an_activation_by_table_is_free() {
    audit("activations by table, learned summands");
}

#[test]
fn no_cell_of_functions_by_lines_is_free() {
    audit("functions by lines");
}

#[test]
fn no_cell_of_a_softmax_by_lines_is_free() {
    audit("softmax by lines");
}

#[test]
fn no_cell_of_concatenations_and_slices_is_free() {
    audit("concatenation and slices");
}

#[test]
fn no_cell_of_a_rearrangement_is_free() {
    audit("elements in any order");
}

#[test]
fn no_cell_of_an_index_of_a_maximum_is_free() {
    audit("index of a maximum");
}

#[test]
fn no_cell_of_pooling_over_a_whole_image_is_free() {
    audit("pooling over a whole image");
}

#[test]
fn no_cell_of_a_product_of_activations_is_free() {
    audit("products of activations");
}

#[test]
fn no_cell_of_a_softmax_is_free() {
    audit("softmax with a mask");
}

#[test]
fn no_cell_of_a_normalisation_is_free() {
    audit("normalisation");
}

#[test]
fn no_cell_of_attention_is_free() {
    audit_part("attention", &session("attention"), 3);
}

#[test]
fn no_cell_of_joint_convolutions_is_free() {
    audit("three inferences of a pooled convolution");
    audit("two inferences of a convolution with padding and stride");
}

#[test]
fn no_cell_of_joint_convolutions_with_embedded_weights_is_free() {
    let name = "two inferences of a convolution with padding and stride";
    audit_session("joint, embedded", &session_with(name, &embedded()));
}

#[test]
fn no_cell_of_joint_learned_summands_is_free() {
    audit("two inferences with learned summands");
}

#[test]
fn no_cell_of_joint_attention_is_free() {
    audit_part("joint attention", &session("two inferences of attention"), 3);
}

#[test]
fn no_cell_of_a_dense_layer_in_several_blocks_is_free() {
    audit_session("several blocks", &session_with("dense, several blocks", &narrow()));
}

#[test]
fn no_cell_of_a_tensor_under_two_shapes_is_free() {
    audit("one tensor under two shapes, a pooled input");
}

#[test]
fn no_cell_of_a_network_with_two_inputs_is_free() {
    audit("two inputs, an output that is read");
}

#[test]
fn no_cell_of_rows_of_a_table_is_free() {
    audit("rows of a table at public indices");
}

#[test]
fn no_cell_of_convolutions_with_embedded_weights_is_free() {
    for name in ["dense, several blocks", "convolution, padding and stride", "transposed convolution"] {
        let mut options = narrow();
        options.weights = WeightMode::Embedded;
        audit_part(name, &session_with(name, &options), 2);
    }
}

#[test]
fn no_cell_of_gathers_and_pieces_with_embedded_weights_is_free() {
    for name in ["pooling by gathering", "elements in any order", "index of a maximum", "concatenation and slices"] {
        audit_session(name, &session_with(name, &embedded()));
    }
}

#[test]
fn no_cell_of_transformers_with_embedded_weights_is_free() {
    for name in ["softmax with a mask", "normalisation", "products of activations"] {
        audit_part(name, &session_with(name, &embedded()), 2);
    }
}

#[test]
fn a_changed_cell_of_any_column_breaks_the_real_proof() {
    let committed = [
        "dense",
        "convolution, pooled",
        "residual addition",
        "pooling by gathering",
        "transposed convolution",
        "activations by table, learned summands",
        "elements in any order",
        "index of a maximum",
        "products of activations",
        "softmax with a mask",
        "normalisation",
    ];
    let committed = committed.map(|name| (name, LayoutOptions::default()));
    for (name, options) in committed.into_iter().chain([("dense", embedded()), ("convolution, pooled", embedded())]) {
        let s = session_with(name, &options);
        let rows = representatives(&s);
        for column in 0..s.layout.architecture.advice_columns() {
            let row = rows.iter().copied().find(|row| !is_unread(&s, column, *row));
            let row = row.unwrap_or_else(|| panic!("{name}: column {column} is read nowhere"));
            assert!(!s.real(&s.first, &s.outputs, &[(column, row, Fr::ONE)]), "{name}: column {column}, row {row}");
        }
    }
}

/// A lie in phase 1 with everything after it computed to match: lookups balance, identities must not.
fn rejects(s: &Session, what: &str, lie: impl FnOnce(&mut FirstPhase)) {
    let mut first = s.first.clone();
    lie(&mut first);
    first.fill_products(&s.layout);
    first.fill_multiplicities(&s.layout);
    assert_ne!(first.columns, s.first.columns, "{what}: nothing changed");
    assert!(!s.mock(&first, &s.outputs, &[]), "{what}: MockProver");
    assert!(!s.real(&first, &s.outputs, &[]), "{what}: real proof");
}

/// A row of this sort whose activation is not at an end of its range.
fn unsaturated(s: &Session, wanted: impl Fn(RowKind) -> bool) -> usize {
    let a = &s.layout.architecture;
    let inside = |row: usize| s.first.columns[a.saturation(0)][row] == 0;
    let rows = s.layout.results.iter().filter(|r| wanted(r.kind)).map(|r| r.row as usize);
    rows.into_iter().find(|row| inside(*row)).expect("a value inside its range")
}

/// Adds to a number in range cells, of which the last may go beyond a limb's bits.
fn add(s: &Session, first: &mut FirstPhase, row: usize, cells: Range<usize>, delta: i64) {
    let bits = s.layout.architecture.limb_bits as usize;
    let column = |cell: usize| s.layout.architecture.range(cell);
    let limbs = cells.clone().enumerate().map(|(i, cell)| first.columns[column(cell)][row] << (bits * i));
    let number = limbs.sum::<i64>() + delta;
    let last = cells.len() - 1;
    for (i, cell) in cells.enumerate() {
        let limb = number >> (bits * i);
        first.columns[column(cell)][row] = if i == last { limb } else { limb & ((1 << bits) - 1) };
    }
}

/// Range cells of lane 0: the remainder's of one shift, and those of the distance from the least value.
fn requantise_cells(a: &Architecture) -> [Range<usize>; 2] {
    [0..a.limbs(a.shift), a.remainder_cells..a.remainder_cells + a.excess_limbs]
}

/// Moves the result of lane 0 and its argument, and the distance by which a clamped one is in its range.
fn move_result(s: &Session, first: &mut FirstPhase, row: usize, delta: i64) {
    let a = &s.layout.architecture;
    first.columns[a.activated(0)][row] += delta;
    if a.rounded(0) != a.activated(0) {
        first.columns[a.rounded(0)][row] += delta;
    }
    if is_clamped(s, row) && first.columns[a.saturation(0)][row] == 0 {
        add(s, first, row, requantise_cells(a)[1].clone(), delta);
    }
}

fn is_clamped(s: &Session, row: usize) -> bool {
    let roles = s.layout.architecture.fixed.iter().zip(&s.layout.fixed);
    let clamps = roles.filter(|(role, _)| matches!(role, FixedRole::Clamp(_)));
    clamps.flat_map(|(_, cells)| cells).any(|(at, _)| *at as usize == row)
}

#[test]
fn requantisation_rejects_every_other_quotient() {
    for name in ["dense", "convolution, padding and stride", "residual addition", "pooling by gathering"] {
        let s = session(name);
        let a = s.layout.architecture.clone();
        let row = unsaturated(&s, |kind| matches!(kind, RowKind::Requantise(_) | RowKind::GatheredSum));
        let step = 1i64 << a.shift;
        let [remainder, distance] = requantise_cells(&a);
        rejects(&s, &format!("{name}: quotient - 1, remainder + 2^S"), |first| {
            move_result(&s, first, row, -1);
            add(&s, first, row, remainder.clone(), step);
        });
        rejects(&s, &format!("{name}: quotient + 1, remainder - 2^S"), |first| {
            move_result(&s, first, row, 1);
            add(&s, first, row, remainder.clone(), -step);
        });
        rejects(&s, &format!("{name}: remainder + 1"), |first| {
            let rem = &mut first.columns[a.range(0)][row];
            *rem = (*rem + 1) % (1 << a.limb_bits);
        });
        rejects(&s, &format!("{name}: quotient - 1 alone"), |first| move_result(&s, first, row, -1));
        rejects(&s, &format!("{name}: result is not the activation of the quotient"), |first| {
            first.columns[a.activated(0)][row] -= 1;
        });
        rejects(&s, &format!("{name}: saturation claimed inside the range"), |first| {
            first.columns[a.saturation(0)][row] = 1;
        });
        rejects(&s, &format!("{name}: a mark that is none"), |first| first.columns[a.saturation(0)][row] = 2);
        let format = s.graph.tensors[s.graph.nodes[node(&s, row)].output].format;
        for (what, end, mark) in [("top", format.max, 1), ("bottom", format.min, -1)] {
            rejects(&s, &format!("{name}: saturation at the {what} with a negative excess"), |first| {
                let q = first.columns[a.rounded(0)][row];
                first.columns[a.rounded(0)][row] = end;
                first.columns[a.activated(0)][row] = end;
                first.columns[a.saturation(0)][row] = mark;
                distance.clone().for_each(|cell| first.columns[a.range(cell)][row] = 0);
                first.columns[a.range(distance.start)][row] = mark * (q - end);
            });
        }
        if is_clamped(&s, row) {
            rejects(&s, &format!("{name}: a distance from the least that is another"), |first| {
                let limb = &mut first.columns[a.range(distance.start)][row];
                *limb = (*limb + 1) % (1 << a.limb_bits);
            });
        }
    }
}

/// Clamps with tables, with limbs, and with both, of rows with fewer lanes than there are.
#[test]
fn honest_proofs_of_clamps_with_and_without_tables_are_accepted() {
    for (table_bits, limb_bits, table_lanes) in [(0, 4, 2), (5, 5, 1), (20, 6, 8)] {
        for (name, graph) in networks::zoo() {
            let mut widths = Widths::default();
            (widths.operand_lanes, widths.activation_lanes, widths.table_lanes) = (2, 3, table_lanes);
            (widths.limb_bits, widths.table_bits) = (limb_bits, table_bits);
            let mut options = LayoutOptions::default();
            options.widths = Some(widths);
            let s = Session::new(graph, &options, 11);
            let what = format!("{name}, tables up to {table_bits} bits, limbs of {limb_bits}, {table_lanes} lanes");
            assert!(s.mock(&s.first, &s.outputs, &[]), "{what}");
        }
    }
}

/// A clamped output and its claim beyond the range: where nothing reads it, its clamp alone refuses it.
#[test]
fn a_claim_beyond_the_range_of_a_clamp_is_rejected() {
    let mut refused = 0;
    for (name, graph) in networks::zoo() {
        let mut widths = Widths::default();
        (widths.operand_lanes, widths.limb_bits) = (2, 5);
        let mut options = LayoutOptions::default();
        options.widths = Some(widths);
        let s = Session::new(graph, &options, 11);
        let a = s.layout.architecture.clone();
        let distance = requantise_cells(&a)[1].clone();
        for result in s.layout.results.iter().filter(|result| is_clamped(&s, result.row as usize)) {
            let (row, element) = (result.row as usize, result.element as usize);
            let output = s.graph.nodes[result.node as usize].output;
            let Some(port) = s.graph.outputs.iter().position(|tensor| *tensor == output) else { continue };
            let mark = s.first.columns[a.saturation(0)][row];
            let limbs = distance.clone().rev();
            let number = limbs.fold(0, |number, cell| number << a.limb_bits | s.first.columns[a.range(cell)][row]);
            if mark == 0 || number == 0 {
                continue;
            }
            let (mut first, mut outputs) = (s.first.clone(), s.outputs.clone());
            let value = outputs[port][element] + mark * number;
            first.columns[a.activated(0)][row] = value;
            if a.rounded(0) != a.activated(0) {
                first.columns[a.rounded(0)][row] = value;
            }
            first.columns[a.saturation(0)][row] = 0;
            outputs[port][element] = value;
            distance.clone().for_each(|cell| first.columns[a.range(cell)][row] = 0);
            add(&s, &mut first, row, distance.clone(), value - s.graph.tensors[output].format.min);
            first.fill_multiplicities(&s.layout);
            assert!(!s.mock(&first, &outputs, &[]), "{name}, element {element}: {value}");
            refused += 1;
        }
    }
    assert!(refused > 0, "no output leaves its range: the test shows nothing");
}

/// A clamped value and its quotient beyond the range, each way that a prover may try.
#[test]
fn clamps_reject_values_beyond_their_range() {
    let mut beyond = 0;
    for limb_bits in [3, 4, 5, 6, 8] {
        let mut widths = Widths::default();
        (widths.operand_lanes, widths.limb_bits) = (2, limb_bits);
        let mut options = LayoutOptions::default();
        options.widths = Some(widths);
        let s = Session::new(networks::dense(), &options, 11);
        assert!(s.mock(&s.first, &s.outputs, &[]) && s.real(&s.first, &s.outputs, &[]), "limbs of {limb_bits} bits");
        let a = s.layout.architecture.clone();
        let [remainder, distance] = requantise_cells(&a);
        for result in s.layout.results.iter().filter(|result| is_clamped(&s, result.row as usize)) {
            let row = result.row as usize;
            let format = s.graph.tensors[s.graph.nodes[result.node as usize].output].format;
            let values = format.max - format.min + 1;
            let mark = s.first.columns[a.saturation(0)][row];
            if mark == 0 {
                // A short highest limb that is not what is looked up, and one that is looked up scaled beyond a limb.
                let bits = values.ilog2();
                if a.missing_bits(bits) > 0 {
                    let short = a.range(a.remainder_cells + a.excess_limbs);
                    rejects(&s, &format!("{limb_bits}: a short limb"), |first| first.columns[short][row] ^= 1);
                }
            } else {
                // The quotient as the value, beyond the range: consistent but for the range.
                let [q, excess] =
                    [format.max, format.min].map(|end| end.abs_diff(s.first.columns[a.activated(0)][row]));
                assert!(q == 0 || excess == 0, "a mark at an end");
                let mut number = 0;
                for cell in distance.clone().rev() {
                    number = (number << limb_bits) | s.first.columns[a.range(cell)][row];
                }
                if number == 0 {
                    continue;
                }
                beyond += 1;
                rejects(&s, &format!("{limb_bits}: no clamp at all"), |first| {
                    first.columns[a.saturation(0)][row] = 0;
                    first.columns[a.activated(0)][row] += mark * number;
                    let from_least = first.columns[a.activated(0)][row] - format.min;
                    distance.clone().for_each(|cell| first.columns[a.range(cell)][row] = 0);
                    add(&s, first, row, distance.clone(), from_least);
                });
                rejects(&s, &format!("{limb_bits}: an end that is none"), |first| {
                    first.columns[a.activated(0)][row] += mark;
                    add(&s, first, row, distance.clone(), -1);
                });
                rejects(&s, &format!("{limb_bits}: the other end"), |first| {
                    first.columns[a.saturation(0)][row] = -mark;
                });
            }
        }
        if a.missing_bits(a.shift) > 0 {
            let row =
                s.layout.results.iter().find(|r| is_clamped(&s, r.row as usize)).expect("a clamped row").row as usize;
            rejects(&s, &format!("{limb_bits}: another short limb of the remainder"), |first| {
                let limb = &mut first.columns[a.range(remainder.end)][row];
                *limb = (*limb + 1) % (1 << limb_bits);
            });
            rejects(&s, &format!("{limb_bits}: a remainder of more bits"), |first| {
                // Inside its limb, and beyond the shift.
                let missing = a.missing_bits(a.shift);
                let limb = &mut first.columns[a.range(remainder.end - 1)][row];
                *limb += 1 << (limb_bits - missing);
                let scaled = *limb << missing;
                first.columns[a.range(remainder.end)][row] = scaled;
                move_result(&s, first, row, -1);
            });
        }
    }
    assert!(beyond > 5, "{beyond} saturated values");
}

fn node(s: &Session, row: usize) -> usize {
    s.layout.results.iter().find(|r| r.row as usize == row).expect("a result row").node as usize
}

#[test]
fn pooling_rejects_every_other_maximum() {
    let s = session("convolution, pooled");
    let a = s.layout.architecture.clone();
    let row = unsaturated(&s, |kind| matches!(kind, RowKind::MaximumOfWindow(_)));
    let spread = |slot: usize| a.range(a.requantise_columns() + slot * a.spread_limbs);
    rejects(&s, "a maximum above all members", |first| {
        // The lie is 1 in the accumulator: every difference and the remainder grow by 1.
        (0..4).for_each(|slot| first.columns[spread(slot)][row] += 1);
        first.columns[a.range(0)][row] += 1;
    });
    rejects(&s, "a whole step above all members", |first| {
        for slot in 0..4 {
            let cell = a.requantise_columns() + slot * a.spread_limbs;
            add(&s, first, row, cell..cell + a.spread_limbs, 1 << a.shift);
        }
        move_result(&s, first, row, 1);
    });
    rejects(&s, "a maximum below a member", |first| {
        (0..4).for_each(|slot| first.columns[spread(slot)][row] -= 1);
        first.columns[a.range(0)][row] -= 1;
    });
    rejects(&s, "a member changed", |first| {
        let slot = (0..4).find(|slot| s.first.columns[spread(*slot)][row] > 0).expect("a member below the maximum");
        first.columns[spread(slot)][row] -= 1;
    });
    let s = session("pooling by gathering");
    let a = s.layout.architecture.clone();
    let row = unsaturated(&s, |kind| matches!(kind, RowKind::GatheredMaximum(_)));
    rejects(&s, "a gathered maximum above all members", |first| {
        (0..9).for_each(|k| first.columns[a.range(k * a.spread_limbs)][row] += 1);
        move_result(&s, first, row, 1);
    });
    rejects(&s, "a copy of another value", |first| first.columns[a.copy(0)][row] += 1);
    rejects(&s, "all copies and the maximum moved", |first| {
        (0..9).for_each(|k| first.columns[a.copy(k)][row] += 1);
        move_result(&s, first, row, 1);
    });
}

/// A row of this kind for an output element.
fn result_row(s: &Session, element: u32, wanted: impl Fn(RowKind) -> bool) -> usize {
    let row = s.layout.results.iter().find(|r| wanted(r.kind) && r.element == element);
    row.expect("a row of that kind").row as usize
}

#[test]
fn activations_by_table_reject_another_functions_value() {
    let s = session("activations by table, learned summands");
    let a = s.layout.architecture.clone();
    let row = unsaturated(&s, |kind| matches!(kind, RowKind::Requantise(_)));
    rejects(&s, "the identity instead of the function", |first| {
        let q = first.columns[a.rounded(0)][row];
        let y = &mut first.columns[a.activated(0)][row];
        *y = if *y == q { q - 1 } else { q };
    });
    rejects(&s, "the function of a neighbour", |first| {
        let (activation, _) = &s.layout.tables.activations[0];
        first.columns[a.rounded(0)][row] += 1;
        first.columns[a.activated(0)][row] = activation.apply(first.columns[a.rounded(0)][row]);
    });
}

#[test]
fn rearrangements_reject_another_element() {
    let s = session("elements in any order");
    let a = s.layout.architecture.clone();
    let copies = |kind| matches!(kind, RowKind::Copies(_));
    let row = s.layout.results.iter().find(|r| copies(r.kind)).expect("a row of copies").row as usize;
    rejects(&s, "a copy and its result changed", |first| {
        first.columns[a.copy(0)][row] += 1;
        move_result(&s, first, row, 1);
    });
    rejects(&s, "the result alone", |first| move_result(&s, first, row, 1));
    let constant = s.layout.gathers.iter().find(|cell| cell.source == Gathered::Constant(-5)).expect("a constant");
    let (row, lane) = (constant.row as usize, constant.copy as usize);
    rejects(&s, "another constant", |first| {
        for column in [a.copy(lane), a.activated(lane)] {
            first.columns[column][row] += 1;
        }
    });
}

/// Changes the index of a maximum everywhere: in its row, in the candidates' copies, and in all that follows from it.
fn claim_index(s: &Session, first: &mut FirstPhase, node: usize, element: usize, index: i64) {
    let a = &s.layout.architecture;
    let Op::ArgMax { starts, stride, count, last } = &s.graph.nodes[node].op else { panic!("an index of a maximum") };
    let x = &s.execution.values[s.graph.nodes[node].inputs[0]];
    let (shift, mask) = (a.limb_bits as usize, (1i64 << a.limb_bits) - 1);
    for result in s.layout.results.iter().filter(|result| result.node as usize == node) {
        let row = result.row as usize;
        match result.kind {
            RowKind::Index if result.element as usize == element => {
                let (activation, _) =
                    s.layout.tables.activations.iter().find(|(f, _)| f.values.len() == *count && f.min == 0).unwrap();
                let [q, y, c] = saturate(&Function::Table(activation.clone()), index).0;
                for (column, value) in [a.rounded(0), a.activated(0), a.saturation(0)].into_iter().zip([q, y, c]) {
                    first.columns[column][row] = value;
                }
            }
            RowKind::Candidate(_) if result.element as usize / count == element => {
                let k = result.element as usize % count;
                let best = x[starts[element] as usize + index as usize * stride];
                let preference = if *last { index - k as i64 } else { k as i64 - index };
                let lead = *count as i64 * (best - first.columns[a.copy(0)][row]) + preference;
                first.columns[a.copy(1)][row] = best;
                first.columns[a.copy(2)][row] = index;
                first.columns[a.gather_offset()][row] = index * *stride as i64;
                // A lead below 0 has no limbs: the first one takes it all.
                let limb = |i: usize| if lead < 0 { lead * i64::from(i == 0) } else { lead >> (i * shift) & mask };
                (0..a.spread_limbs).for_each(|i| first.columns[a.range(i)][row] = limb(i));
            }
            _ => {}
        }
    }
}

#[test]
fn the_index_of_a_maximum_rejects_every_other_index() {
    let s = session("index of a maximum");
    let (mut ties, mut lies) = (0, 0);
    for (node, op) in s.graph.nodes.iter().map(|node| &node.op).enumerate() {
        let Op::ArgMax { starts, stride, count, .. } = op else { continue };
        let output = s.graph.nodes[node].output;
        let port = s.graph.outputs.iter().position(|tensor| *tensor == output).expect("a claimed index");
        let x = &s.execution.values[s.graph.nodes[node].inputs[0]];
        for element in 0..starts.len() {
            let value = |k: usize| x[starts[element] as usize + k * stride];
            let honest = s.outputs[port][element];
            ties += (0..*count).filter(|k| value(*k) == value(honest as usize)).count() - 1;
            for index in (0..*count as i64).filter(|index| *index != honest) {
                let (mut first, mut outputs) = (s.first.clone(), s.outputs.clone());
                outputs[port][element] = index;
                claim_index(&s, &mut first, node, element, index);
                first.fill_multiplicities(&s.layout);
                assert!(!s.mock(&first, &outputs, &[]), "index {index} of node {node}: MockProver");
                lies += 1;
            }
            let mut first = s.first.clone();
            claim_index(&s, &mut first, node, element, honest);
            assert_eq!(first.columns, s.first.columns, "the lie is made as the witness is");
        }
    }
    assert!(ties > 0 && lies > 10, "{ties} ties, {lies} lies");
    let row = result_row(&s, 0, |kind| kind == RowKind::Index);
    let a = s.layout.architecture.clone();
    rejects(&s, "an index whose candidates compare with another", |first| {
        let y = first.columns[a.activated(0)][row];
        let other = if y == 0 { 1 } else { y - 1 };
        first.columns[a.rounded(0)][row] = other;
        first.columns[a.activated(0)][row] = other;
    });
}

#[test]
fn an_idle_lane_is_no_source_for_a_gather_by_index() {
    // Rows with fewer sources than lanes hold a free activation in the others, at the next element's gather index.
    let s = session("index of a maximum");
    let a = &s.layout.architecture;
    let open = |lane: usize| s.layout.architecture.fixed.iter().position(|r| *r == FixedRole::SourceByIndex(lane));
    for result in &s.layout.results {
        let by_index = s.graph.nodes.iter().any(|node| {
            let reads = |tensor: usize| tensor == s.graph.nodes[result.node as usize].output;
            matches!(node.op, Op::ArgMax { .. }) && node.inputs.iter().any(|tensor| reads(*tensor))
        });
        let lanes = if let RowKind::Requantise(kind::Requantise { lanes, .. }) = result.kind { lanes } else { 1 };
        for lane in 0..a.activation_lanes {
            let cells = open(lane).map(|column| s.layout.fixed[column].contains(&(result.row, 1)));
            let expected = by_index && lane < lanes;
            // The flattened tensor's producer is read through a reshape, and so is not seen here.
            assert!(!cells.unwrap_or(false) || lane < lanes, "lane {lane} of row {}", result.row);
            assert!(!expected || cells == Some(true), "lane {lane} of row {}", result.row);
        }
    }
}

/// The row of a group, and the rows and lanes of its members of another sort, with the element that each holds.
fn group(s: &Session, node: usize, p: usize, groups: usize, members: impl Fn(RowKind) -> Option<usize>) -> Group {
    let of_node = || s.layout.results.iter().filter(|r| r.node as usize == node);
    let row =
        of_node().find(|r| r.kind.auxiliary_groups() > 0 && !r.kind.activates() && r.element as usize % groups == p);
    let lanes = of_node().filter_map(|r| Some((r, members(r.kind)?)));
    let cells = lanes.flat_map(|(r, lanes)| (0..lanes).map(|lane| (r.row as usize, lane, r.element as usize + lane)));
    Group {
        row: row.expect("a row of the group").row as usize,
        cells: cells.filter(|cell| cell.2 % groups == p).collect(),
    }
}

struct Group {
    row: usize,
    cells: Vec<(usize, usize, usize)>,
}

/// Writes limbs from a range cell on.
fn limbs(s: &Session, first: &mut FirstPhase, row: usize, range: Range<usize>, value: i64) {
    let a = &s.layout.architecture;
    for (i, cell) in range.enumerate() {
        // A negative number has no limbs: the first one takes it all.
        let limb = if value < 0 {
            value * i64::from(i == 0)
        } else {
            value >> (a.limb_bits as usize * i) & ((1 << a.limb_bits) - 1)
        };
        first.columns[a.range(cell)][row] = limb;
    }
}

fn node_with(s: &Session, wanted: impl Fn(&Op) -> bool) -> usize {
    s.graph.nodes.iter().position(|node| wanted(&node.op)).expect("such a node")
}

#[test]
fn softmax_rejects_a_maximum_that_no_member_attains_and_one_below_a_member() {
    let s = session("softmax with a mask");
    let a = s.layout.architecture.clone();
    let node = node_with(&s, |op| matches!(op, Op::Softmax(_)));
    let Op::Softmax(softmax) = &s.graph.nodes[node].op else { unreachable!("found above") };
    let lanes = |kind| if let RowKind::Exponential(kind::Exponential { lanes }) = kind { Some(lanes) } else { None };
    for delta in [1, -1] {
        let group = group(&s, node, 0, softmax.groups, lanes);
        rejects(&s, &format!("a maximum moved by {delta}, with all that follows"), |first| {
            first.columns[a.auxiliary(1, 0)][group.row] += delta;
            let mut sum = 0;
            for (row, lane, element) in group.cells.iter().copied() {
                first.columns[a.auxiliary(1, lane)][row] += delta;
                if softmax.is_masked(element) {
                    continue;
                }
                let distance = first.columns[a.rounded(lane)][row] + delta;
                let e = softmax.exp.apply(distance);
                let marked = i64::from(distance == 0 && first.columns[a.saturation(lane)][row] == 1);
                for (column, value) in
                    [a.rounded(lane), a.activated(lane), a.saturation(lane)].into_iter().zip([distance, e, marked])
                {
                    first.columns[column][row] = value;
                }
                sum += e;
            }
            first.columns[a.auxiliary(0, 0)][group.row] = sum;
        });
    }
    let group = group(&s, node, 1, softmax.groups, lanes);
    rejects(&s, "two members marked", |first| {
        group.cells.iter().for_each(|(row, lane, _)| first.columns[a.saturation(*lane)][*row] = 1);
    });
    rejects(&s, "a member that is masked without a mask", |first| {
        let kept = group.cells.iter().find(|cell| !softmax.is_masked(cell.2)).expect("a kept member");
        let values = [MASKED, 0, 0];
        for (column, value) in [a.rounded(kept.1), a.activated(kept.1), a.saturation(kept.1)].into_iter().zip(values) {
            first.columns[column][kept.0] = value;
        }
    });
    let masked = (0..softmax.groups)
        .flat_map(|p| self::group(&s, node, p, softmax.groups, lanes).cells)
        .find(|cell| softmax.is_masked(cell.2))
        .expect("a masked member");
    rejects(&s, "a masked member that takes part", |first| {
        let values = [0, softmax.exp.apply(0), 0];
        let columns = [a.rounded(masked.1), a.activated(masked.1), a.saturation(masked.1)];
        columns.into_iter().zip(values).for_each(|(column, value)| first.columns[column][masked.0] = value);
    });
}

#[test]
fn softmax_rejects_every_other_reciprocal() {
    let s = session("softmax with a mask");
    let a = s.layout.architecture.clone();
    let node = node_with(&s, |op| matches!(op, Op::Softmax(_)));
    let Op::Softmax(softmax) = &s.graph.nodes[node].op else { unreachable!("found above") };
    let lanes = |kind| if let RowKind::Multiply(kind::Multiply { lanes, .. }) = kind { Some(lanes) } else { None };
    let group = group(&s, node, 0, softmax.groups, lanes);
    let Some(RowKind::Reciprocal(kind::Reciprocal { limbs: [quotient, difference], .. })) = kind(&s, group.row) else {
        panic!("a row of a group")
    };
    for delta in [1, -1] {
        rejects(&s, &format!("a reciprocal moved by {delta}"), |first| {
            let (sum, old) = (first.columns[a.auxiliary(0, 0)][group.row], first.columns[a.auxiliary(2, 0)][group.row]);
            let reciprocal = old + delta;
            let remainder = (1i64 << softmax.bits) - reciprocal * sum;
            first.columns[a.auxiliary(2, 0)][group.row] = reciprocal;
            limbs(&s, first, group.row, 0..quotient, reciprocal);
            limbs(&s, first, group.row, quotient..quotient + difference, remainder);
            let complement = sum - 1 - remainder;
            limbs(&s, first, group.row, quotient + difference..quotient + 2 * difference, complement);
            for (row, lane, _) in &group.cells {
                first.columns[a.auxiliary(1, *lane)][*row] = reciprocal;
            }
        });
    }
    rejects(&s, "a copy of another reciprocal", |first| {
        let (row, lane, _) = group.cells[0];
        first.columns[a.auxiliary(1, lane)][row] += 1;
    });
}

#[test]
fn normalisation_rejects_every_other_root_and_sum() {
    let s = session("normalisation");
    let a = s.layout.architecture.clone();
    let node = node_with(&s, |op| matches!(op, Op::Normalise(_)));
    let Op::Normalise(normalise) = &s.graph.nodes[node].op else { unreachable!("found above") };
    let lanes = |kind| if let RowKind::Normalise(kind::Normalise { lanes, .. }) = kind { Some(lanes) } else { None };
    let group = group(&s, node, 2, normalise.groups, lanes);
    let Some(RowKind::InverseRoot(kind::InverseRoot { limbs: [quotient, difference], .. })) = kind(&s, group.row)
    else {
        panic!("a row of a group")
    };
    for delta in [1, -1] {
        rejects(&s, &format!("a root moved by {delta}"), |first| {
            let (v, root) =
                (first.columns[a.auxiliary(0, 0)][group.row], first.columns[a.auxiliary(2, 0)][group.row] + delta);
            first.columns[a.auxiliary(2, 0)][group.row] = root;
            limbs(&s, first, group.row, 0..quotient, root);
            let dividend = 1i64 << (2 * normalise.bits);
            limbs(&s, first, group.row, quotient..quotient + difference, dividend - root * root * v);
            let above = (root + 1) * (root + 1) * v - 1 - dividend;
            limbs(&s, first, group.row, quotient + difference..quotient + 2 * difference, above);
            group.cells.iter().for_each(|(row, lane, _)| first.columns[a.auxiliary(2, *lane)][*row] = root);
        });
        rejects(&s, &format!("a variance moved by {delta}"), |first| {
            first.columns[a.auxiliary(0, 0)][group.row] += delta;
        });
        rejects(&s, &format!("a sum moved by {delta}, in the group and its members"), |first| {
            first.columns[a.auxiliary(1, 0)][group.row] += delta;
            group.cells.iter().for_each(|(row, lane, _)| first.columns[a.auxiliary(1, *lane)][*row] += delta);
        });
    }
    rejects(&s, "a member's copy", |first| {
        let (row, lane, _) = group.cells[0];
        first.columns[a.auxiliary(0, lane)][row] += 1;
    });
}

#[test]
fn products_of_activations_reject_other_operands() {
    let s = session("products of activations");
    let a = s.layout.architecture.clone();
    let left = s.layout.operands.iter().find(|cell| cell.left).expect("a left operand");
    let (row, column) = (left.row as usize, a.left(left.lane as usize));
    rejects(&s, "a left operand", |first| first.columns[column][row] += 1);
    let product = |kind| matches!(kind, RowKind::Multiply(_));
    let row = s.layout.results.iter().find(|r| product(r.kind)).expect("a product").row as usize;
    for group in 0..2 {
        rejects(&s, "a factor", |first| first.columns[a.auxiliary(group, 0)][row] += 1);
    }
    rejects(&s, "both factors exchanged", |first| {
        // Their product stays.
        let (x, y) = (a.auxiliary(0, 0), a.auxiliary(1, 0));
        let differ = |row: &usize| first.columns[x][*row] != first.columns[y][*row];
        let rows: Vec<usize> = s.layout.results.iter().filter(|r| product(r.kind)).map(|r| r.row as usize).collect();
        let row = rows.into_iter().find(differ).expect("different factors");
        let value = first.columns[x][row];
        first.columns[x][row] = first.columns[y][row];
        first.columns[y][row] = value;
    });
}

#[test]
fn a_remainder_in_the_cells_of_several_lanes_is_what_its_quotient_leaves() {
    let mut widths = Widths::default();
    (widths.operand_lanes, widths.activation_lanes, widths.shared_remainders) = (2, 4, true);
    let mut options = LayoutOptions::default();
    options.widths = Some(widths);
    for graph in [networks::multiplied(), networks::normalised(), networks::shares()] {
        let s = Session::new(graph, &options, 11);
        assert!(s.mock(&s.first, &s.outputs, &[]) && s.real(&s.first, &s.outputs, &[]), "an honest proof");
        let a = s.layout.architecture.clone();
        let shifts = |kind: &RowKind| match kind {
            RowKind::Multiply(of) => of.limbs as usize,
            RowKind::Requantise(of) => of.limbs as usize,
            RowKind::Normalise(of) => of.limbs as usize,
            _ => 1,
        };
        let longer = s.layout.results.iter().filter(|result| shifts(&result.kind) > 1);
        let rows: Vec<(usize, usize)> = longer.map(|row| (row.row as usize, shifts(&row.kind))).take(2).collect();
        assert!(!rows.is_empty(), "no remainder is longer");
        for (row, shifts) in rows {
            assert_eq!(a.remainder_lanes(shifts), shifts, "a lane takes the cells of others");
            let limbs = a.limbs(a.remainder_bits(shifts));
            let own = a.remainder_cells;
            let cell = |i: usize| a.range(i / own * a.requantise_columns() + i % own);
            for i in 0..limbs {
                rejects(&s, &format!("limb {i} of a remainder"), |first| first.columns[cell(i)][row] ^= 1);
            }
            // A limb of the first lane's cells moved into the second lane's, consistent but for the range.
            rejects(&s, "a limb that the next one takes", |first| {
                first.columns[cell(limbs - 1)][row] -= 1;
                first.columns[cell(limbs - 2)][row] += 1 << a.limb_bits;
            });
            rejects(&s, "the quotient + 1, the remainder - 2^(S·n)", |first| {
                first.columns[a.rounded(0)][row] += 1;
                first.columns[cell(limbs - 1)][row] -=
                    1 << (a.remainder_bits(shifts) - a.limb_bits * (limbs as u32 - 1));
            });
        }
    }
}

#[test]
fn an_architecture_without_cells_that_its_rows_read_is_refused() {
    type Change = (&'static str, fn(&mut Architecture));
    let change: [Change; 12] = [
        ("left lanes", |a| a.left_lanes = 0),
        ("more left lanes than operand lanes", |a| a.left_lanes = a.operand_lanes + 1),
        ("copies", |a| a.auxiliary_groups -= 1),
        ("more copies than any row has", |a| a.auxiliary_groups = 4),
        ("cells of remainders", |a| a.remainder_cells = 0),
        ("remainders of more bits", |a| a.shift = 30),
        ("clamps", |a| a.clamps = false),
        ("limbs of no bits", |a| a.limb_bits = 0),
        ("more lanes that are looked up than there are", |a| a.looked_up_lanes = a.activation_lanes + 1),
        ("range cells", |a| a.range_columns -= 1),
        ("activation lanes", |a| a.activation_lanes -= 1),
        ("inverse roots", |a| a.inverse_roots = false),
    ];
    let mut refused = BTreeMap::new();
    for graph in [networks::multiplied(), networks::shares(), networks::normalised()] {
        let architecture = Session::new(graph, &LayoutOptions::default(), 11).layout.architecture;
        assert_eq!(architecture.check(), Ok(()));
        for (what, change) in change {
            let mut changed = architecture.clone();
            change(&mut changed);
            *refused.entry(what).or_insert(0) += usize::from(changed.check().is_err());
        }
    }
    // Each is refused where the network reads such cells.
    let networks = |what: &str| match what {
        "left lanes" | "inverse roots" => 1,
        _ => 3,
    };
    refused.iter().for_each(|(what, count)| assert_eq!(*count, networks(what), "{what}"));
    let layout = Session::new(networks::shares(), &LayoutOptions::default(), 11).layout;
    let mut roles = layout.architecture.clone();
    roles.fixed.push(FixedRole::Masked(roles.activation_lanes));
    assert!(roles.check().is_err(), "a mask of a lane that no row has");
    let (slots, multiplicand) = (layout.architecture.slots, Multiplicand::Dot);
    let roles = [
        FixedRole::Identity(slots),
        FixedRole::Term { slot: slots, multiplicand, factor: Factor::default() },
        // Expressions of 2^40 summands, and of as many factors.
        FixedRole::Term { slot: 0, multiplicand, factor: Factor { runs: vec![(0, 1 << 40)], ..Factor::default() } },
        FixedRole::Term { slot: 0, multiplicand, factor: Factor::r(1 << 40) },
    ];
    for role in roles {
        let mut architecture = layout.architecture.clone();
        architecture.fixed.push(role.clone());
        assert!(architecture.check().is_err(), "{role:?}");
    }
    // A power for each left lane, of which few are too many.
    for (factors, refused) in [(1 << 17, false), (1 << 21, true)] {
        let mut wide = Session::new(networks::multiplied(), &LayoutOptions::default(), 11).layout.architecture;
        wide.fixed.push(FixedRole::LeftPacked(factors / wide.left_lanes));
        assert_eq!(wide.check().is_err(), refused, "{factors}");
    }
}

#[test]
fn operands_are_the_tensors_they_copy() {
    for (name, s) in sessions() {
        let Some(cell) = s.layout.operands.first().copied() else { continue };
        let (lane, row) = (cell.lane as usize, cell.row as usize);
        assert!(!cell.left, "{name}: a right operand comes first");
        rejects(&s, &format!("{name}: an operand changed"), |first| first.columns[lane][row] += 1);
        // Padding cells of an image operand have no element to copy: they must be 0.
        let taken = |lane: usize, row: usize| {
            let right = s.layout.operands.iter().filter(|cell| !cell.left);
            right.into_iter().any(|cell| (cell.lane as usize, cell.row as usize) == (lane, row))
        };
        let rows = (0..s.layout.usable_rows()).filter(|row| has(&s, &FixedRole::OperandPacked, *row));
        let padding = rows
            .flat_map(|row| (0..s.layout.architecture.operand_lanes).map(move |lane| (lane, row)))
            .find(|(lane, row)| !taken(*lane, *row));
        if let Some((lane, row)) = padding {
            rejects(&s, &format!("{name}: a padding cell set"), |first| first.columns[lane][row] = 1);
        }
    }
}

#[test]
fn no_lookup_crosses_into_another_table() {
    let s = session("index of a maximum");
    let (a, tables) = (s.layout.architecture.clone(), &s.layout.tables);
    // Every row of every table, tried as the activation triple of a row that has another tag.
    let mut tags: Vec<i64> = tables.rows.iter().map(|row| row.tag).collect();
    tags.dedup();
    assert!(tags.len() >= 3);
    let tag_column = s.layout.architecture.fixed.iter().position(|r| *r == FixedRole::ActivationTag);
    let tag_cells = &s.layout.fixed[tag_column.expect("activation tags")];
    for tag in &tags {
        let (row, _) = *tag_cells.iter().find(|(_, value)| value == tag || *tag < 3).expect("a row with a tag");
        let row_tag = tag_cells.iter().find(|(r, _)| *r == row).expect("its tag").1;
        for foreign in tables.rows.iter().filter(|entry| entry.tag != row_tag).step_by(7) {
            if tables.find(foreign.values, row_tag).is_some() {
                continue;
            }
            let mut first = s.first.clone();
            for (column, value) in [a.rounded(0), a.activated(0), a.saturation(0)].into_iter().zip(foreign.values) {
                first.columns[column][row as usize] = value;
            }
            first.fill_multiplicities(&s.layout);
            // The balance that the forgery needs: the foreign row is counted once more.
            let entry = tables.find(foreign.values, foreign.tag).expect("a row of its table");
            let (lane, at) = a.entry(entry);
            first.columns[a.multiplicity(lane)][at] += 1;
            assert!(!s.mock(&first, &s.outputs, &[]), "{foreign:?} on a row of tag {row_tag}");
        }
    }
}

#[test]
fn an_output_of_minus_one_is_not_a_range_entry() {
    // With a tag made from the output, -1 would turn an activation into a range lookup.
    let s = session("activations by table, learned summands");
    let a = s.layout.architecture.clone();
    let looked_up = |row: &usize| has(&s, &FixedRole::LooksUp, *row) && s.first.columns[a.rounded(0)][*row] >= 0;
    let row = s.layout.results.iter().map(|result| result.row as usize).find(looked_up).expect("a row of a table");
    let mut first = s.first.clone();
    first.columns[a.activated(0)][row] = -1;
    first.fill_multiplicities(&s.layout);
    let q = usize::try_from(first.columns[a.rounded(0)][row]).expect("not negative");
    let (lane, at) = a.entry(q);
    first.columns[a.multiplicity(lane)][at] += 1;
    assert!(!s.mock(&first, &s.outputs, &[]));
    assert!(!s.real(&first, &s.outputs, &[]));
}
