//! Every layer: the integer reference is the circuit's witness and its proof is accepted; every way to change it is
//! rejected, by MockProver and by a real proof.

use ff::Field;
use halo2curves::bn256::Fr;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeMap;
use zkml_gpu_circuits::layout::{FixedRole, LayoutOptions, RowKind, Widths};
use zkml_gpu_tests::networks::{self, Session, narrow};

/// Sessions of the whole zoo; the dense layers that need several blocks take narrow options.
fn sessions() -> Vec<(&'static str, Session)> {
    let options = |name: &str| if name.contains("blocks") { narrow() } else { LayoutOptions::default() };
    networks::zoo().into_iter().map(|(name, graph)| (name, Session::new(graph, &options(name), 11))).collect()
}

fn session(name: &str) -> Session {
    let (_, graph) = networks::zoo().into_iter().find(|(n, _)| *n == name).expect("a network of that name");
    Session::new(graph, &LayoutOptions::default(), 11)
}

#[test]
fn honest_inferences_are_accepted() {
    for (name, s) in sessions() {
        assert!(s.mock(&s.first, &s.outputs, &[]), "{name}: MockProver");
        assert!(s.real(&s.first, &s.outputs, &[]), "{name}: real proof");
    }
}

#[test]
fn every_group_size_is_accepted() {
    for lookup_group in 1..=3 {
        for (name, graph) in [("pooled", networks::pooled()), ("gathered", networks::gathered())] {
            let mut options = LayoutOptions::default();
            options.lookup_group = Some(lookup_group);
            let s = Session::new(graph, &options, 12);
            assert!(s.keys.verifying.vk().cs().degree() <= lookup_group.max(1) + 2, "{name}");
            assert!(s.mock(&s.first, &s.outputs, &[]), "{name} with groups of {lookup_group}: MockProver");
            assert!(s.real(&s.first, &s.outputs, &[]), "{name} with groups of {lookup_group}: real proof");
        }
    }
}

#[test]
fn wide_rows_are_accepted_and_a_changed_free_coefficient_is_rejected() {
    for (name, graph) in [("pooled", networks::pooled()), ("strided", networks::strided())] {
        let mut widths = Widths::default();
        (widths.operand_lanes, widths.activation_lanes, widths.garbage_lanes, widths.lookup_group) = (3, 4, 3, 2);
        let mut options = LayoutOptions::default();
        options.widths = Some(widths);
        let s = Session::new(graph, &options, 13);
        let a = &s.layout.architecture;
        assert_eq!((a.operand_lanes, a.garbage_lanes, a.lookup_group), (3, 3, 2), "{name}");
        assert!(s.mock(&s.first, &s.outputs, &[]), "{name}: MockProver");
        assert!(s.real(&s.first, &s.outputs, &[]), "{name}: real proof");
        let run = &s.layout.garbage[0];
        for lane in 0..a.garbage_lanes {
            let free = (0..run.free.len()).find(|position| run.free[*position] && position % a.garbage_lanes == lane);
            let row = run.first_row as usize + free.expect("a free coefficient in every lane") / a.garbage_lanes;
            let changed = [(a.garbage(lane), row, Fr::ONE)];
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
        let excess: i64 = (1..a.requantise_columns()).map(|i| s.first.columns[a.range(i)][row]).sum();
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
        if matches!(s.layout.architecture.fixed[index], FixedRole::Table(_) | FixedRole::GatherIndex(_)) {
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

/// Whether nothing reads this cell: changing it changes no statement. Every other cell is constrained.
fn is_unread(s: &Session, column: usize, row: usize) -> bool {
    let a = &s.layout.architecture;
    if column < a.operand_columns {
        let single = column == 0 && has(s, &FixedRole::OperandSingle, row);
        return !has(s, &FixedRole::OperandPacked, row) && !single;
    }
    if (a.product(0)..a.product(a.product_columns)).contains(&column) {
        let size = match kind(s, row) {
            Some(RowKind::MaximumOfWindow { height, width, .. }) => height * width,
            Some(RowKind::GatheredMaximum { window }) => window,
            _ => return true,
        };
        // A window of this size has so many partial products: the first takes degree - 1 factors, others degree - 2.
        let products = (size - 1).div_ceil(a.degree() - 2) - 1;
        return column - a.product(0) >= products;
    }
    let garbage = a.garbage(0)..a.garbage(a.garbage_lanes);
    garbage.contains(&column) && !has(s, &FixedRole::GarbageMask(column - a.garbage(0)), row)
}

/// The free-cell audit: a change to one cell of any column, on a row of any class, breaks some gate.
fn audit(name: &str) {
    let s = session(name);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut checked = 0;
    for row in representatives(&s) {
        for column in 0..s.layout.architecture.advice_columns() {
            let delta = Fr::random(&mut rng);
            let accepted = s.mock(&s.first, &s.outputs, &[(column, row, delta)]);
            assert_eq!(accepted, is_unread(&s, column, row), "{name}: column {column}, row {row}");
            checked += usize::from(!accepted);
        }
    }
    assert!(checked > 100, "{name}: only {checked} cells checked");
}

#[test]
fn no_cell_of_a_dense_network_is_free() {
    audit("dense");
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
fn a_changed_cell_of_any_column_breaks_the_real_proof() {
    for name in ["dense", "convolution, pooled", "residual addition", "pooling by gathering"] {
        let s = session(name);
        let rows = representatives(&s);
        for column in 0..s.layout.architecture.advice_columns() {
            let row = rows.iter().copied().find(|row| !is_unread(&s, column, *row));
            let row = row.unwrap_or_else(|| panic!("{name}: column {column} is read nowhere"));
            assert!(!s.real(&s.first, &s.outputs, &[(column, row, Fr::ONE)]), "{name}: column {column}, row {row}");
        }
    }
}

/// A lie in phase 1 with everything after it computed to match: lookups balance, identities must not.
fn rejects(s: &Session, what: &str, lie: impl FnOnce(&mut zkml_gpu_circuits::trace::FirstPhase)) {
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

#[test]
fn requantisation_rejects_every_other_quotient() {
    for name in ["dense", "convolution, padding and stride", "residual addition", "pooling by gathering"] {
        let s = session(name);
        let a = s.layout.architecture.clone();
        let row = unsaturated(&s, |kind| matches!(kind, RowKind::Requantise { .. } | RowKind::GatheredSum));
        let step = 1i64 << a.shift;
        rejects(&s, &format!("{name}: quotient - 1, remainder + 2^S"), |first| {
            first.columns[a.rounded(0)][row] -= 1;
            first.columns[a.activated(0)][row] -= 1;
            first.columns[a.range(0)][row] += step;
        });
        rejects(&s, &format!("{name}: quotient + 1, remainder - 2^S"), |first| {
            first.columns[a.rounded(0)][row] += 1;
            first.columns[a.activated(0)][row] += 1;
            first.columns[a.range(0)][row] -= step;
        });
        rejects(&s, &format!("{name}: remainder + 1"), |first| {
            let rem = &mut first.columns[a.range(0)][row];
            *rem = (*rem + 1) % step;
        });
        rejects(&s, &format!("{name}: quotient - 1 alone"), |first| {
            first.columns[a.rounded(0)][row] -= 1;
            first.columns[a.activated(0)][row] -= 1;
        });
        rejects(&s, &format!("{name}: result is not the activation of the quotient"), |first| {
            first.columns[a.activated(0)][row] -= 1;
        });
        rejects(&s, &format!("{name}: saturation claimed inside the range"), |first| {
            first.columns[a.saturation(0)][row] = 1;
        });
        rejects(&s, &format!("{name}: saturation at the top with a negative excess"), |first| {
            let format = s.graph.tensors[s.graph.nodes[node(&s, row)].output].format;
            let q = first.columns[a.rounded(0)][row];
            first.columns[a.rounded(0)][row] = format.max;
            first.columns[a.activated(0)][row] = format.max;
            first.columns[a.saturation(0)][row] = 1;
            first.columns[a.range(1)][row] = q - format.max;
        });
    }
}

fn node(s: &Session, row: usize) -> usize {
    s.layout.results.iter().find(|r| r.row as usize == row).expect("a result row").node as usize
}

#[test]
fn pooling_rejects_every_other_maximum() {
    let s = session("convolution, pooled");
    let a = s.layout.architecture.clone();
    let row = unsaturated(&s, |kind| matches!(kind, RowKind::MaximumOfWindow { .. }));
    let spread = |slot: usize| a.range(a.requantise_columns() + slot * a.spread_limbs);
    rejects(&s, "a maximum above all members", |first| {
        // The lie is 1 in the accumulator: every difference and the remainder grow by 1.
        (0..4).for_each(|slot| first.columns[spread(slot)][row] += 1);
        first.columns[a.range(0)][row] += 1;
    });
    rejects(&s, "a whole step above all members", |first| {
        (0..4).for_each(|slot| first.columns[spread(slot) + 1][row] += 1);
        first.columns[a.rounded(0)][row] += 1;
        first.columns[a.activated(0)][row] += 1;
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
    let row = unsaturated(&s, |kind| matches!(kind, RowKind::GatheredMaximum { .. }));
    rejects(&s, "a gathered maximum above all members", |first| {
        (0..9).for_each(|k| first.columns[a.range(k)][row] += 1);
        first.columns[a.rounded(0)][row] += 1;
        first.columns[a.activated(0)][row] += 1;
    });
    rejects(&s, "a copy of another value", |first| first.columns[a.copy(0)][row] += 1);
    rejects(&s, "all copies and the maximum moved", |first| {
        (0..9).for_each(|k| first.columns[a.copy(k)][row] += 1);
        first.columns[a.rounded(0)][row] += 1;
        first.columns[a.activated(0)][row] += 1;
    });
}

#[test]
fn operands_are_the_tensors_they_copy() {
    for (name, s) in sessions() {
        let Some(cell) = s.layout.operands.first().copied() else { continue };
        let (lane, row) = (cell.lane as usize, cell.row as usize);
        rejects(&s, &format!("{name}: an operand changed"), |first| first.columns[lane][row] += 1);
        // Padding cells of an image operand have no element to copy: they must be 0.
        let taken = |lane: usize, row: usize| {
            s.layout.operands.iter().any(|cell| (cell.lane as usize, cell.row as usize) == (lane, row))
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
    let s = session("pooling by gathering");
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
            first.columns[a.multiplicity()][entry] += 1;
            assert!(!s.mock(&first, &s.outputs, &[]), "{foreign:?} on a row of tag {row_tag}");
        }
    }
}

#[test]
fn an_output_of_minus_one_is_not_a_range_entry() {
    // With a tag made from the output, -1 would turn an activation into a range lookup.
    let s = session("convolution, pooled");
    let a = s.layout.architecture.clone();
    let row = unsaturated(&s, |kind| matches!(kind, RowKind::MaximumOfWindow { .. }));
    let mut first = s.first.clone();
    first.columns[a.activated(0)][row] = -1;
    first.fill_multiplicities(&s.layout);
    let q = usize::try_from(first.columns[a.rounded(0)][row]).expect("a rectified value");
    first.columns[a.multiplicity()][q] += 1;
    assert!(!s.mock(&first, &s.outputs, &[]));
    assert!(!s.real(&first, &s.outputs, &[]));
}
