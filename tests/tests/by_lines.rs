//! Functions by straight lines: honest proofs of every width, and what a prover may try with the cells of one.

use halo2curves::bn256::Fr;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::placement::Widths;
use zkml_gpu_circuit::system::{Architecture, FixedRole, Lines, MASKED, WeightMode};
use zkml_gpu_circuit::trace::FirstPhase;
use zkml_gpu_graph::Graph;
use zkml_gpu_tests::networks::{self, Session};

fn widths(activation_lanes: usize, limb_bits: u32) -> Widths {
    let mut widths = Widths::default();
    (widths.operand_lanes, widths.activation_lanes, widths.limb_bits) = (2, activation_lanes, limb_bits);
    (widths.lines, widths.lookup_group) = (true, 2);
    widths
}

fn session(graph: Graph, widths: Widths, weights: WeightMode) -> Session {
    let mut options = LayoutOptions::default();
    options.widths = Some(widths);
    options.weights = weights;
    Session::new(graph, &options, 11)
}

/// The functions by lines of a circuit, each with the rows that follow it.
fn lines(s: &Session) -> Vec<(Lines, Vec<usize>)> {
    let roles = s.layout.architecture.fixed.iter().zip(&s.layout.fixed);
    let of = roles.filter_map(|(role, cells)| if let FixedRole::Lines(of) = role { Some((*of, cells)) } else { None });
    of.map(|(of, cells)| (of, cells.iter().map(|(row, _)| *row as usize).collect())).collect()
}

#[test]
fn honest_proofs_of_every_width_are_accepted() {
    let mut most = 0;
    for (activation_lanes, limb_bits) in [(1, 4), (2, 3), (3, 5), (4, 7), (8, 2), (8, 6)] {
        for (shared, weights) in [(false, WeightMode::Committed), (true, WeightMode::Embedded)] {
            let mut widths = widths(activation_lanes, limb_bits);
            widths.shared_remainders = shared;
            for (graph, least) in [(networks::by_lines(), 4), (networks::shares_by_lines(), 1)] {
                let s = session(graph, widths, weights);
                let what = format!("{activation_lanes} lanes, limbs of {limb_bits} bits");
                let all = lines(&s);
                assert!(all.len() >= least, "{what}: {all:?}");
                most = all.iter().map(|(of, _)| of.lanes).fold(most, usize::max);
                assert!(s.mock(&s.first, &s.outputs, &[]), "{what}: MockProver");
                assert!(s.real(&s.first, &s.outputs, &[]), "{what}: real proof");
            }
        }
    }
    assert!(most > 2, "no row has more than {most} results");
}

/// Numbers of lane 0 of a row: with two lanes to a row its line is in lane 1, and the argument in its segment and the rest
/// are in the range cells of that lane.
struct Cells {
    row: usize,
    of: Lines,
    a: Architecture,
}

impl Cells {
    fn get(&self, first: &FirstPhase, column: usize) -> i64 {
        first.columns[column][self.row]
    }

    fn add(&self, first: &mut FirstPhase, column: usize, delta: i64) {
        first.columns[column][self.row] += delta;
    }

    /// Column of the lowest limb of the argument in its segment.
    fn inside(&self) -> usize {
        self.a.range(self.a.requantise_columns())
    }

    /// Column of the lowest limb of the rest.
    fn rest(&self) -> usize {
        let short = usize::from(!self.of.low.is_multiple_of(self.a.limb_bits));
        self.inside() + self.of.low.div_ceil(self.a.limb_bits) as usize + short
    }

    fn excess(&self) -> usize {
        self.a.range(self.a.remainder_cells)
    }

    fn line(&self) -> [usize; 3] {
        [self.a.rounded(1), self.a.activated(1), self.a.saturation(1)]
    }
}

/// Lies about a row, told in integers: `MockProver` and the verifier of a real proof refuse each.
fn rejects(s: &Session, what: &str, lie: impl FnOnce(&mut FirstPhase)) {
    let mut first = s.first.clone();
    lie(&mut first);
    first.fill_multiplicities(&s.layout);
    assert_ne!(first.columns, s.first.columns, "{what}: nothing changed");
    assert!(!s.mock(&first, &s.outputs, &[]), "{what}: MockProver");
    assert!(!s.real(&first, &s.outputs, &[]), "{what}: real proof");
}

#[test]
fn every_other_result_is_rejected() {
    // Limbs of three bits hold arguments of segments of 8 whole.
    let s = session(networks::by_lines(), widths(2, 3), WeightMode::Committed);
    let a = s.layout.architecture.clone();
    let (of, rows) = lines(&s).into_iter().find(|(of, _)| of.low == 3).expect("segments of 8 arguments");
    let cells = |row: usize| Cells { row, of, a: a.clone() };
    let saturation = |row: &usize| s.first.columns[a.saturation(0)][*row];
    let inside = rows.iter().copied().find(|row| saturation(row) == 0).expect("an argument inside");
    let c = cells(inside);
    let [number, intercept, slope] = c.line();
    let unit = 1i64 << of.scale;
    let limb = 1i64 << a.limb_bits;
    rejects(&s, "a result that is one more, with a rest below 0", |first| {
        c.add(first, a.activated(0), 1);
        c.add(first, c.excess(), 1);
        c.add(first, c.rest(), -unit);
    });
    rejects(&s, "a result that is one less, with a rest beyond its bits", |first| {
        c.add(first, a.activated(0), -1);
        c.add(first, c.excess(), -1);
        c.add(first, c.rest(), unit);
    });
    rejects(&s, "a result that its limbs do not hold", |first| {
        c.add(first, a.activated(0), 1);
        c.add(first, c.rest(), -unit);
    });
    rejects(&s, "another argument in the segment", |first| {
        let column = c.inside();
        first.columns[column][c.row] = (c.get(first, column) + 1) % limb;
    });
    rejects(&s, "the next segment's number alone", |first| c.add(first, number, 1));
    rejects(&s, "another intercept", |first| c.add(first, intercept, unit));
    rejects(&s, "another slope", |first| c.add(first, slope, 1));
    rejects(&s, "saturation inside", |first| c.add(first, a.saturation(0), 1));
    rejects(&s, "a mark that is none", |first| c.add(first, a.saturation(0), 2));
    let table = &s.layout.tables;
    let (_, start) = table.lines.iter().find(|(known, _)| known.low == 3).expect("a table of lines");
    let h = c.get(&s.first, number);
    for other in (0..of.segments as i64).filter(|other| *other != h) {
        // The argument keeps its value: it is as far from this segment as it is.
        let values = table.rows[start + other as usize].values;
        rejects(&s, &format!("the line of segment {other}, not of {h}"), |first| {
            for (column, value) in c.line().into_iter().zip(values) {
                first.columns[column][c.row] = value;
            }
            c.add(first, c.inside(), (h - other) << of.low);
        });
    }
    // The rest of a division that leaves none: the result is no integer.
    let part = Fr::from(unit as u64).invert().expect("a power of two is invertible");
    let ends = rows.iter().copied().filter(|row| saturation(row) != 0);
    for row in ends.take(2).chain([inside]) {
        let c = cells(row);
        let mut first = s.first.clone();
        let rest = c.rest();
        let up = (c.get(&first, rest) & 1) == 0;
        c.add(&mut first, rest, if up { 1 } else { -1 });
        first.fill_multiplicities(&s.layout);
        let moved = [(a.activated(0), row, if up { -part } else { part })];
        assert!(!s.mock(&first, &s.outputs, &moved), "row {row}: MockProver");
        assert!(!s.real(&first, &s.outputs, &moved), "row {row}: real proof");
    }
    assert!(rows.iter().any(|row| saturation(row) != 0), "no argument is saturated");
}

#[test]
fn a_saturated_argument_has_the_result_of_its_end() {
    let s = session(networks::by_lines(), widths(2, 3), WeightMode::Committed);
    let a = s.layout.architecture.clone();
    let mut ends = [0; 2];
    for (of, rows) in lines(&s) {
        for row in rows {
            let c = Cells { row, of, a: a.clone() };
            let mark = s.first.columns[a.saturation(0)][row];
            if mark == 0 || of.shifts != 1 {
                continue;
            }
            ends[usize::from(mark > 0)] += 1;
            rejects(&s, &format!("row {row}: no saturation, and the excess as the result's limbs"), |first| {
                c.add(first, a.saturation(0), -mark);
            });
            rejects(&s, &format!("row {row}: the other end"), |first| c.add(first, a.saturation(0), -2 * mark));
            rejects(&s, &format!("row {row}: another result"), |first| c.add(first, a.activated(0), mark));
            rejects(&s, &format!("row {row}: an argument inside, with more excess"), |first| {
                c.add(first, a.rounded(0), -mark);
                c.add(first, c.inside(), -mark);
                c.add(first, c.excess(), 1);
            });
        }
    }
    assert!(ends.iter().any(|count| *count > 0), "no argument is saturated: {ends:?}");
}

#[test]
fn every_other_exponential_is_rejected() {
    let s = session(networks::shares_by_lines(), widths(2, 2), WeightMode::Committed);
    let a = s.layout.architecture.clone();
    let (of, rows) = lines(&s).into_iter().next().expect("exponentials by lines");
    assert!(of.exponentials && s.layout.tables.exponentials.is_empty());
    let unit = 1i64 << of.scale;
    let value = |column: usize, row: usize| s.first.columns[column][row];
    let is_masked = |row: usize| value(a.rounded(0), row) == MASKED;
    let tables = &s.layout.tables;
    let tag = tables.exponential_line_tag(&tables.exponential_lines[0].0);
    let mut seen = [0; 3];
    for row in rows {
        let c = Cells { row, of, a: a.clone() };
        let attains = value(a.saturation(0), row) == 1;
        seen[if is_masked(row) { 0 } else { 1 + usize::from(attains) }] += 1;
        rejects(&s, &format!("row {row}: one more, with a rest below 0"), |first| {
            c.add(first, a.activated(0), 1);
            c.add(first, c.excess(), 1);
            c.add(first, c.rest(), -unit);
        });
        rejects(&s, &format!("row {row}: one more than its limbs"), |first| {
            c.add(first, a.activated(0), 1);
            c.add(first, c.rest(), -unit);
        });
        rejects(&s, &format!("row {row}: another who attains the maximum"), |first| {
            first.columns[a.saturation(0)][row] = i64::from(!attains);
        });
        let [number, ..] = c.line();
        let other = if is_masked(row) { 0 } else { MASKED >> of.low };
        let mut lines = s.layout.tables.rows.iter().filter(|entry| Some(entry.tag) == tag);
        let values = lines.find(|entry| entry.values[0] == other).expect("a line").values;
        rejects(&s, &format!("row {row}: masked, or not"), |first| {
            let h = first.columns[number][row];
            for (column, value) in c.line().into_iter().zip(values) {
                first.columns[column][row] = value;
            }
            c.add(first, c.inside(), (h - other) << of.low);
        });
    }
    assert!(seen.iter().all(|count| *count > 0), "masked, others, and maxima: {seen:?}");
}
