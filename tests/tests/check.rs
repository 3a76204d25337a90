//! The independent check of finished layouts: it proves every layout of the zoo, and no mutant of one.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::check::{CheckError, Checked, check};
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::keys::{Hiding, KeyError, setup};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{BankValues, Widths, lower};
use zkml_gpu_circuit::system::{Accumulator, Clamp, Factor, FixedRole, Lines, Multiplicand, RowKind, kind};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_graph::{Graph, Interleaving, MatMul, Normalise, Op, Origin, Rescale, Shape, Visibility, Window};
use zkml_gpu_tests::mutants::{mutate, sayings};
use zkml_gpu_tests::networks::{self, Builder, WIDE, embedded, image, narrow, square, zoo};

fn verdict(graph: &Graph, layout: &Layout) -> Result<Checked, CheckError> {
    check(graph, layout, &Bank::new(layout, graph))
}

#[test]
fn every_layout_of_the_zoo_says_what_its_graph_says() {
    for options in [LayoutOptions::default(), narrow(), embedded()] {
        for (name, graph) in zoo() {
            let graph = lower(graph);
            let options = networks::options_of(name, options.clone());
            let layout = Layout::compile(&graph, &options).expect("the graph has a layout");
            let seen = verdict(&graph, &layout).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(seen.copies > 0 && seen.table_rows > 0 && seen.public > 0, "{name}: {seen:?}");
        }
    }
}

/// Mutants of each network: `ZKML_MUTANTS` for more of them.
fn mutants() -> u64 {
    std::env::var("ZKML_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(100)
}

#[test]
fn no_mutant_of_a_layout_is_accepted_but_one_that_says_the_same() {
    no_mutant(&zoo(), mutants());
}

#[test]
fn no_mutant_of_a_layout_with_hidden_tensors_is_accepted_but_one_that_says_the_same() {
    let hidden = |(i, (name, graph)): (usize, (&'static str, Graph))| {
        let [inputs, outputs] = [i, i / 2].map(|i| Visibility::ALL[1 + i % 2]);
        (name, networks::hidden(graph, inputs, outputs))
    };
    // A third as many: what is new is in every mutant's reach.
    no_mutant(&zoo().into_iter().enumerate().map(hidden).collect::<Vec<_>>(), mutants().div_ceil(3));
}

/// Changes each network's layouts; every change is refused, or says the same.
fn no_mutant(zoo: &[(&str, Graph)], mutants: u64) {
    let (mut refused, mut same) = (0, 0);
    for (mode, options) in [("committed", LayoutOptions::default()), ("narrow", narrow()), ("embedded", embedded())] {
        for (name, graph) in zoo {
            let graph = lower(graph.clone());
            let options = networks::options_of(name, options.clone());
            let layout = Layout::compile(&graph, &options).expect("the graph has a layout");
            let said = sayings(&graph, &layout).unwrap_or_else(|| panic!("{name} is not expanded"));
            for seed in 0..mutants {
                let rng = &mut ChaCha20Rng::seed_from_u64(seed);
                let mut mutant = layout.clone();
                let change = mutate(rng, &graph, &mut mutant);
                if verdict(&graph, &mutant).is_err() {
                    refused += 1;
                } else {
                    let says =
                        sayings(&graph, &mutant).unwrap_or_else(|| panic!("{mode} {name}, seed {seed}: {change}"));
                    let differs = said.difference(&says);
                    assert!(differs.is_none(), "{mode} {name}, seed {seed}: {change}\n{differs:?}");
                    same += 1;
                }
            }
        }
    }
    eprintln!("{refused} mutants are refused, {same} say the same");
    // Most changes matter: the mutants are no idle ones.
    assert!(refused > 20 * same, "{refused} refused, {same} say the same");
}

/// A layout, and the check's verdict on what a change makes of it.
fn changed(graph: Graph, options: &LayoutOptions, change: impl FnOnce(&mut Layout)) -> Result<Checked, CheckError> {
    let graph = lower(graph);
    let mut layout = Layout::compile(&graph, options).expect("the graph has a layout");
    verdict(&graph, &layout).expect("the layout is sound");
    change(&mut layout);
    verdict(&graph, &layout)
}

/// Refused, for a reason that names this.
fn refused(verdict: Result<Checked, CheckError>, reason: &str) {
    let error = verdict.expect_err(reason).to_string();
    assert!(error.contains(reason) && error.contains("hint:"), "{error}");
}

#[test]
fn keys_are_made_from_no_layout_that_is_refused() {
    let graph = lower(networks::dense());
    let mut layout = Layout::compile(&graph, &LayoutOptions::default()).expect("the graph has a layout");
    layout.max_degree -= 1;
    let srs = Srs::development(layout.k, ChaCha20Rng::seed_from_u64(1)).expect("a reference string");
    let committer = Committer::new(Cpu::default(), &srs, 0).expect("points");
    let error =
        setup(&graph, &layout, &srs, &committer, Hiding::Drawn(ChaCha20Rng::seed_from_u64(2))).expect_err("no keys");
    assert!(matches!(error, KeyError::Layout(_)), "{error}");
}

#[test]
fn summands_of_another_element_or_none_are_refused() {
    let is_summand = |values: &BankValues| matches!(values, BankValues::Summands(_));
    for options in [LayoutOptions::default(), narrow(), embedded()] {
        let graph = networks::attention();
        let verdict = changed(graph.clone(), &options, |layout| {
            let rows: Vec<usize> = (0..layout.bank.len()).filter(|i| is_summand(&layout.bank[*i].values)).collect();
            let (first, second) = (layout.bank[rows[0]].values, layout.bank[rows[1]].values);
            (layout.bank[rows[0]].values, layout.bank[rows[1]].values) = (second, first);
        });
        refused(verdict, "of the weights on row");
        let verdict = changed(graph, &options, |layout| {
            let row = layout.bank.iter().find(|row| is_summand(&row.values)).expect("summands").row;
            // The accumulator begins anew on every row, so that the last column's summands alone count.
            for (role, cells) in layout.architecture.fixed.iter().zip(&mut layout.fixed) {
                if matches!(role, FixedRole::Step(Accumulator::Weights, _)) {
                    cells.retain(|(at, _)| !(row..row + 3).contains(at));
                }
            }
        });
        refused(verdict, "not every summand counts");
    }
}

#[test]
fn a_learned_value_in_two_cells_is_refused() {
    // Two inferences of one proof could have different ones.
    let mut b = Builder::new(1, 6, Shape::vector(3), (-16, 15));
    let x = b.linear(0, 3, Window::UNIT, [1, 1], 40, (-16, 15));
    let sum = Op::Combine { multipliers: vec![64], offset: vec![1, 2, 3], shared: Interleaving::NONE, width: None };
    let y = b.node(sum, &[x], Shape::vector(3), (-16, 15));
    let graph = networks::joint(&b.finish(&[y]), 2);
    let verdict = changed(graph, &LayoutOptions::default(), |layout| {
        let mut again = *layout.bank.iter().find(|row| matches!(row.values, BankValues::Offset(_))).expect("a summand");
        let free = (0..).find(|row| layout.bank.iter().all(|other| other.row != *row)).expect("a row");
        (again.block, again.row) = (1, free);
        layout.bank.push(again);
    });
    refused(verdict, "that another row holds");
    let verdict = changed(networks::attention(), &LayoutOptions::default(), |layout| {
        let row = layout.bank.iter_mut().find(|row| matches!(row.values, BankValues::Summands(_))).expect("summands");
        row.values = BankValues::Summands(3);
    });
    refused(verdict, "that another row holds, or none");
}

#[test]
fn weights_beside_a_left_operand_are_refused() {
    // The gate of embedded weights adds them there.
    let mut b = Builder::new(3, 6, image(1, 1, 1), (-16, 15));
    let other = b.input(image(1, 1, 1), (-16, 15));
    let rescale = Rescale { multiplier: 9, limbs: 1 };
    let product = MatMul {
        heads: 1,
        inner: 1,
        rows: 1,
        columns: 1,
        head_minor: false,
        inferences: 1,
        rescale,
        summands: Vec::new(),
        width: None,
    };
    let y = b.node(Op::MatMul(product), &[0, other], image(1, 1, 1), (-16, 15));
    let z = b.linear(0, 1, Window::UNIT, [1, 1], 60, (-16, 15));
    let graph = b.finish(&[y, z]);
    for options in [LayoutOptions::default(), embedded()] {
        let verdict = changed(graph.clone(), &options, |layout| {
            let is_left = |role: &FixedRole| matches!(role, FixedRole::LeftPacked(_) | FixedRole::LeftSingle);
            let column = layout.architecture.fixed.iter().position(is_left).expect("a left operand");
            let weight = layout.bank.iter_mut().find(|row| matches!(row.values, BankValues::Weight(_)));
            weight.expect("a weight").row = layout.fixed[column][0].0;
        });
        refused(verdict, "a row of left operands has weights");
    }
}

#[test]
fn limbs_that_may_wrap_are_refused() {
    let wide = 43;
    let mut options = LayoutOptions::default();
    let mut widths = Widths::default();
    widths.limb_bits = 6;
    options.widths = Some(widths);
    let spread = changed(networks::gathered(), &options, |layout| {
        layout.architecture.spread_limbs = wide;
        layout.architecture.range_columns = layout.architecture.range_columns.max(wide * 9);
    });
    refused(spread, "limbs of 258 bits");
    let change = |kind: &mut RowKind| {
        if let RowKind::Reciprocal(kind::Reciprocal { limbs, .. })
        | RowKind::InverseRoot(kind::InverseRoot { limbs, .. }) = kind
        {
            limbs[1] += wide;
        }
    };
    for graph in [networks::shares(), networks::normalised()] {
        let verdict = changed(graph, &options, |layout| {
            layout.architecture.range_columns = layout.architecture.range_columns.max(3 * wide + 20);
            layout.results.iter_mut().for_each(|row| change(&mut row.kind));
            for role in &mut layout.architecture.fixed {
                if let FixedRole::Kind(kind) = role {
                    change(kind);
                }
            }
        });
        refused(verdict, "which may wrap");
    }
}

/// The cells of the columns with such a role.
fn cells(layout: &mut Layout, wanted: impl Fn(&FixedRole) -> bool) -> impl Iterator<Item = &mut Vec<(u32, i64)>> {
    let roles = layout.architecture.fixed.iter().zip(&mut layout.fixed);
    roles.filter(move |(role, _)| wanted(role)).map(|(_, cells)| cells)
}

/// The clamps of the circuit's roles.
fn clamps(layout: &mut Layout) -> impl Iterator<Item = &mut Clamp> {
    let roles = layout.architecture.fixed.iter_mut();
    roles.filter_map(|role| if let FixedRole::Clamp(clamp) = role { Some(clamp) } else { None })
}

#[test]
fn results_that_nothing_keeps_in_their_range_are_refused() {
    const fn is_clamp(role: &FixedRole) -> bool {
        matches!(role, FixedRole::Clamp(_))
    }
    type Change = (&'static str, fn(&mut Layout), &'static str);
    let changes: [Change; 9] = [
        ("no clamp", |l| cells(l, is_clamp).for_each(Vec::clear), "does not look up"),
        ("a row without", |l| cells(l, is_clamp).take(1).for_each(|cells| cells.truncate(1)), "does not look up"),
        ("half a clamp", |l| cells(l, is_clamp).for_each(|cells| cells[0].1 = 2), "is clamped 2 times"),
        ("another range", |l| clamps(l).for_each(|clamp| clamp.bits -= 1), "another range"),
        ("fewer lanes", |l| clamps(l).for_each(|clamp| clamp.lanes -= 1), "another range|numbers out of bounds"),
        (
            "another least value",
            |l| cells(l, |role| *role == FixedRole::ClampLeast).for_each(|cells| cells[0].1 -= 1),
            "another range",
        ),
        ("no cell for a short limb", |l| l.architecture.short_excess = false, "numbers out of bounds"),
        ("too few limbs", |l| l.architecture.excess_limbs = 1, "numbers out of bounds"),
        ("too few cells for a remainder", |l| l.architecture.remainder_cells = 1, "numbers out of bounds"),
    ];
    let mut options = LayoutOptions::default();
    let mut widths = Widths::default();
    (widths.limb_bits, widths.activation_lanes) = (3, 2);
    options.widths = Some(widths);
    for graph in [networks::residual(), networks::normalised(), networks::multiplied()] {
        for (what, change, reason) in changes {
            let verdict = changed(graph.clone(), &options, change);
            let error = verdict.expect_err(what).to_string();
            assert!(reason.split('|').any(|reason| error.contains(reason)), "{what}: {error}");
        }
    }
    let mut widths = Widths::default();
    (widths.limb_bits, widths.activation_lanes) = (4, 2);
    options.widths = Some(widths);
    let looked_up: [Change; 4] = [
        ("keys that do not count", |l| cells(l, |r| *r == FixedRole::LooksUp).for_each(Vec::clear), "look up"),
        ("keys that count twice", |l| cells(l, |r| *r == FixedRole::LooksUp).for_each(|c| c[0].1 = 2), "look up"),
        ("a lane that has no key", |l| l.architecture.looked_up_lanes -= 1, "numbers out of bounds|look up"),
        (
            "a clamp besides",
            |l| {
                let row = cells(l, |role| *role == FixedRole::LooksUp).next().expect("marks")[0].0;
                cells(l, is_clamp).next().expect("a clamp").push((row, 1));
            },
            "look up|twice|is clamped",
        ),
    ];
    for (what, change, reason) in looked_up {
        let error = changed(networks::shares(), &options, change).expect_err(what).to_string();
        assert!(reason.split('|').any(|reason| error.contains(reason)), "{what}: {error}");
    }
}

/// The functions by lines of the circuit's roles.
fn lines(layout: &mut Layout) -> impl Iterator<Item = &mut Lines> {
    let roles = layout.architecture.fixed.iter_mut();
    roles.filter_map(|role| if let FixedRole::Lines(of) = role { Some(of) } else { None })
}

/// Adds to a number of the first line of the last table.
fn bend(layout: &mut Layout, value: usize) {
    let tables = &layout.tables;
    let (_, first) = *tables.lines.iter().chain(&tables.exponential_lines).next().expect("a table of lines");
    let (lane, row) = layout.architecture.entry(first + 1);
    let role = FixedRole::Table { lane, value: value as u8 };
    let cell = cells(layout, |of| *of == role).flatten().find(|(at, _)| *at as usize == row);
    cell.expect("a line").1 += 1;
}

#[test]
fn lines_that_are_not_the_function_are_refused() {
    const fn is_lines(role: &FixedRole) -> bool {
        matches!(role, FixedRole::Lines(_))
    }
    type Change = (&'static str, fn(&mut Layout), &'static str);
    let changes: [Change; 17] = [
        ("no lines", |l| cells(l, is_lines).for_each(Vec::clear), "look up|looks something up"),
        ("a row without", |l| cells(l, is_lines).take(1).for_each(|c| c.truncate(1)), "look up|looks something up"),
        ("half a line", |l| cells(l, is_lines).for_each(|c| c[0].1 = 2), "has lines 2 times"),
        ("fewer lanes", |l| lines(l).for_each(|of| of.lanes -= 1), "share cells|numbers out of bounds"),
        ("more lanes", |l| lines(l).for_each(|of| of.lanes += 1), "share cells|numbers out of bounds|range cell"),
        ("lines in the results' cells", |l| lines(l).for_each(|of| of.places = 0), "numbers out of bounds"),
        ("lines in another lane", |l| lines(l).for_each(|of| of.places += 1), "numbers out of bounds|range cell|share"),
        ("another shift", |l| lines(l).for_each(|of| of.shifts += 1), "share cells|numbers out of bounds|segments"),
        ("another number of segments", |l| lines(l).for_each(|of| of.segments += 1), "other segments"),
        ("longer segments", |l| lines(l).for_each(|of| of.low += 1), "other segments|numbers out of bounds"),
        ("another fraction", |l| lines(l).for_each(|of| of.scale += 1), "other segments|numbers out of bounds"),
        ("exponentials, or not", |l| lines(l).for_each(|of| of.exponentials = !of.exponentials), "other segments"),
        ("results beyond their bits", |l| lines(l).for_each(|of| of.bits = 1), "beyond its bits"),
        ("more bits than limbs", |l| lines(l).for_each(|of| of.bits = 40), "do not hold"),
        ("another intercept", |l| bend(l, 1), "not the node's function"),
        ("another slope", |l| bend(l, 2), "not the node's function"),
        (
            "keys besides",
            |l| {
                let row = cells(l, is_lines).next().expect("lines")[0].0;
                l.architecture.fixed.push(FixedRole::LooksUp);
                l.fixed.push(vec![(row, 1)]);
            },
            "something else|two columns",
        ),
    ];
    let mut options = LayoutOptions::default();
    let mut widths = Widths::default();
    (widths.limb_bits, widths.activation_lanes, widths.lines) = (4, 4, true);
    options.widths = Some(widths);
    for graph in [networks::by_lines(), networks::shares_by_lines()] {
        assert!(changed(graph.clone(), &options, |_| {}).is_ok());
        for (what, change, reason) in changes {
            let error = changed(graph.clone(), &options, change).expect_err(what).to_string();
            assert!(reason.split('|').any(|reason| error.contains(reason)), "{what}: {error}");
        }
    }
    let least = changed(networks::by_lines(), &options, |l| {
        cells(l, |role| *role == FixedRole::ClampLeast).for_each(|cells| cells[0].1 += 1);
    });
    let error = least.expect_err("another least argument").to_string();
    assert!(error.contains("other segments") || error.contains("another range"), "{error}");
}

#[test]
fn coefficients_that_would_wrap_are_refused() {
    // As 64-bit numbers they cancel, as field elements they do not.
    let verdict = changed(networks::dense(), &LayoutOptions::default(), |layout| {
        for (role, cells) in layout.architecture.fixed.iter().zip(&mut layout.fixed) {
            if matches!(role, FixedRole::Term { .. }) {
                cells.iter_mut().for_each(|(_, value)| *value = i64::MIN);
            }
        }
    });
    refused(verdict, "a coefficient of");
    let verdict = changed(networks::dense(), &LayoutOptions::default(), |layout| {
        let row = layout.usable_rows() as u32 - 2;
        let mut add = |role: FixedRole, value: i64| match layout.architecture.fixed.iter().position(|of| *of == role) {
            Some(column) => layout.fixed[column].push((row, value)),
            None => {
                layout.architecture.fixed.push(role);
                layout.fixed.push(vec![(row, value)]);
            }
        };
        add(FixedRole::OperandSingle, 1);
        add(FixedRole::Identity(0), 1);
        // Five roles that say the same: 4 · 2^62 is 2^64.
        for (run, value) in [1 << 62, 1 << 62, 1 << 62, 1 << 62].into_iter().enumerate() {
            let factor = Factor { runs: vec![(run, 1)], ..Factor::default() };
            add(
                FixedRole::Term { slot: 0, multiplicand: Multiplicand::Accumulator(Accumulator::Operand), factor },
                value,
            );
        }
    });
    refused(verdict, "coefficients that add up");
}

#[test]
fn hostile_numbers_are_refused_without_a_panic() {
    type Change = fn(&mut Layout);
    fn set(layout: &mut Layout, role: fn(&FixedRole) -> bool, value: i64) {
        let column = layout.architecture.fixed.iter().position(role).expect("a column of this role");
        layout.fixed[column].iter_mut().for_each(|cell| cell.1 = value);
    }
    let changes: [Change; 9] = [
        |layout| layout.k += 64,
        |layout| layout.k = 0,
        |layout| layout.identities = usize::MAX,
        |layout| layout.max_degree = usize::MAX,
        |layout| set(layout, |role| *role == FixedRole::SourceIndex, i64::MAX),
        |layout| set(layout, |role| *role == FixedRole::GatherIndex(1), i64::MAX),
        |layout| set(layout, |role| *role == FixedRole::Identity(0), i64::MIN),
        |layout| set(layout, |role| matches!(role, FixedRole::Term { .. }), i64::MIN),
        |layout| layout.results.clear(),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let verdict = changed(networks::index_of_maximum(), &LayoutOptions::default(), change);
        assert!(verdict.is_err(), "change {i}");
    }
}

/// Networks whose forms a check might not expect.
fn unusual() -> Vec<(&'static str, Graph)> {
    let range = (-16, 15);
    let element = |operand, element| Origin::Element { operand, element };
    let vector = || Builder::new(1, 6, image(2, 1, 1), range);
    let mut graphs = Vec::new();
    let mut b = vector();
    let y = b.linear(0, 3, Window::UNIT, [1, 1], 40, range);
    graphs.push(("an output twice", b.finish(&[y, y])));
    let mut b = vector();
    let y = b.linear(0, 3, Window::UNIT, [1, 1], 40, WIDE);
    graphs.push(("an input as two outputs", b.finish(&[0, y, 0])));
    let mut b = vector();
    b.input(image(3, 1, 1), range);
    let y = b.linear(0, 3, Window::UNIT, [1, 1], 40, WIDE);
    graphs.push(("an input that nothing reads", b.finish(&[y])));
    let mut b = vector();
    let x = b.linear(0, 3, Window::UNIT, [1, 1], 40, range);
    let mut combine = |multipliers: Vec<i64>, offset: Vec<i64>, inputs: &[usize]| {
        b.node(
            Op::Combine { multipliers, offset, shared: Interleaving::NONE, width: None },
            inputs,
            image(3, 1, 1),
            range,
        )
    };
    let y = combine(vec![64, -64], Vec::new(), &[x, x]);
    let z = combine(vec![0], vec![1, 2, 3], &[x]);
    let w = combine(vec![0, 64], Vec::new(), &[x, y]);
    graphs.push(("sums that cancel", b.finish(&[y, z, w])));
    for constant in [0, 3] {
        let mut b = Builder::new(1, 6, image(2, 2, 2), range);
        let origins: Vec<Origin> =
            (0..8).map(|i| if i < 4 { Origin::Constant(constant) } else { element(0, 7 - i) }).collect();
        let x = b.rearranged(&[0], image(2, 2, 2), range, origins);
        let y = b.linear(x, 2, square(2, 1, 1), [1, 1], 40, range);
        let z = b.node(Op::MaxPool(square(2, 1, 0)), &[x], image(2, 1, 1), range);
        graphs.push(("a channel of a constant", b.finish(&[y, z, x])));
        let mut b = Builder::new(1, 6, image(4, 1, 3), range);
        let a = b.linear(0, 4, Window::UNIT, [1, 1], 40, range);
        let origins: Vec<Origin> = (0..12)
            .map(|i| if i % 4 == 1 { Origin::Constant(constant) } else { element(0, [3, 3, 5, 7][i % 4]) })
            .collect();
        let x = b.rearranged(&[a], image(4, 1, 3), range, origins);
        let rescale = Rescale { multiplier: 9, limbs: 1 };
        let product = MatMul {
            heads: 2,
            inner: 2,
            rows: 3,
            columns: 3,
            head_minor: true,
            inferences: 1,
            rescale,
            summands: Vec::new(),
            width: None,
        };
        let y = b.node(Op::MatMul(product), &[x, x], image(6, 1, 3), range);
        let m = b.node(Op::Multiply(rescale), &[x, a], image(4, 1, 3), range);
        let argmax = Op::ArgMax { starts: vec![0, 1, 2, 0], stride: 3, count: 4, last: constant == 0 };
        let index = b.node(argmax, &[x], image(4, 1, 1), (0, 3));
        let rescale = Rescale { multiplier: 1, limbs: 2 };
        let normalise = Normalise { groups: 12, len: 1, centred: true, epsilon: 1, bits: 15, rescale };
        let n = b.node(Op::Normalise(normalise), &[x], image(4, 1, 3), range);
        let again = vec![element(0, 1), element(1, 2), Origin::Constant(7), element(0, 11)];
        let again = b.rearranged(&[x, n], image(4, 1, 1), range, again);
        graphs.push(("operands with constants and repeated elements", b.finish(&[y, m, index, n, again])));
    }
    let mut b = Builder::new(1, 6, Shape::vector(6), range);
    let of = |starts: Vec<u32>, count| Op::ArgMax { starts, stride: 1, count, last: false };
    let index = b.node(of(vec![0, 3], 3), &[0], Shape::vector(2), (0, 2));
    let again = b.node(of(vec![0], 2), &[index], Shape::vector(1), (0, 1));
    graphs.push(("an index of indices", b.finish(&[index, again])));
    graphs
}

#[test]
fn unusual_networks_are_understood() {
    for options in [LayoutOptions::default(), narrow(), embedded()] {
        for (name, graph) in unusual() {
            let graph = lower(graph);
            let layout = Layout::compile(&graph, &options).expect("the graph has a layout");
            verdict(&graph, &layout).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
