//! Random changes of finished layouts: what a compiler with a fault might have made.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_circuit::placement::BankRow;
use zkml_gpu_circuit::system::{
    Accumulator, Architecture, Clamp, Factor, FixedRole, Geometry, Multiplicand, Placement, Port, Power, RowKind,
    Variable, kind,
};
use zkml_gpu_graph::Graph;

use crate::audit::{Cell, Columns, Form, Poly, Seen, tied};

/// Changes one thing of a layout that a verifier's key, or the check, depends on; tells what.
pub fn mutate(rng: &mut ChaCha20Rng, graph: &Graph, layout: &mut Layout) -> String {
    loop {
        let changed = match rng.gen_range(0..20) {
            0..=9 => cell(rng, layout),
            10..=13 => role(rng, layout),
            14 => architecture(rng, layout),
            15 => result(rng, graph, layout),
            16 => bank(rng, layout),
            17 | 18 => statement(rng, layout),
            _ => number(rng, layout),
        };
        if let Some(changed) = changed {
            return changed;
        }
    }
}

/// What a layout says, as far as a verifier can tell: two layouts that say the same accept the same proofs.
#[derive(Debug, PartialEq)]
pub struct Sayings {
    /// The identities by the audit's expansion, in terms of elements and learned values. A free coefficient that stands
    /// alone is 0, so it says nothing.
    identities: Vec<Poly>,
    /// The cells of all roles that are not in the identities, where something reads them.
    cells: BTreeMap<String, BTreeSet<(u32, i64)>>,
    /// Everything else of the key.
    key: String,
}

impl Sayings {
    /// The first thing that two layouts say differently.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let identity = self.identities.iter().zip(&other.identities).position(|(a, b)| a != b);
        let role =
            self.cells.keys().chain(other.cells.keys()).find(|role| self.cells.get(*role) != other.cells.get(*role));
        match (identity, role) {
            (Some(identity), _) => Some(format!("identity {identity}")),
            (_, Some(role)) => Some(format!("{role}: {:?}, {:?}", self.cells.get(role), other.cells.get(role))),
            _ if self.key != other.key => Some(format!("{}, {}", self.key, other.key)),
            _ => (self != other).then(|| "another number of identities".into()),
        }
    }
}

/// What a layout says; `None` where the audit cannot expand it.
pub fn sayings(graph: &Graph, layout: &Layout) -> Option<Sayings> {
    let layout = &without_idle_indices(layout);
    let expanded = Columns::new(layout).identities().ok()?;
    let auditor = tied(graph, layout, &expanded, &mut Seen::default()).ok()?;
    let mut identities = Vec::with_capacity(expanded.len());
    for identity in &expanded {
        let mut resolved = auditor.resolved(identity).unwrap_or_else(|_| identity.clone());
        let alone =
            |form: &Form| form.len() == 1 && form.keys().all(|cells| matches!(cells[..], [Cell::CrossTerms { .. }]));
        resolved.retain(|_, form| !alone(form));
        // A power in front of all of it says nothing: no challenge is 0.
        let [s, r] =
            [resolved.keys().map(|at| at.0).min(), resolved.keys().map(|at| at.1).min()].map(|e| e.unwrap_or(0));
        identities.push(resolved.into_iter().map(|(at, form)| ((at.0 - s, at.1 - r), form)).collect());
    }
    let mut cells: BTreeMap<String, BTreeSet<(u32, i64)>> = BTreeMap::new();
    // A sum and a maximum are over their copies in any order, and a maximum over each once.
    let kinds: BTreeMap<u32, RowKind> = layout.results.iter().map(|result| (result.row, result.kind)).collect();
    let mut windows: BTreeMap<(u32, i64), i64> = BTreeMap::new();
    // A table is a set of entries, wherever they stand.
    let mut entries: BTreeMap<(usize, u32), [i64; 4]> = BTreeMap::new();
    for (role, own) in columns(layout).filter(|(role, _)| !is_expanded(role)) {
        for (row, value) in own {
            match (role, kinds.get(row)) {
                (FixedRole::Table { lane, value: part }, _) => {
                    entries.entry((*lane, *row)).or_default()[usize::from(*part)] = *value;
                }
                (FixedRole::GatherIndex(_), Some(RowKind::GatheredSum)) => {
                    *windows.entry((*row, *value)).or_default() += 1;
                }
                (FixedRole::GatherIndex(_), Some(RowKind::GatheredMaximum(_))) => {
                    windows.insert((*row, *value), 1);
                }
                _ => {
                    cells.entry(format!("{role:?}")).or_default().insert((*row, *value));
                }
            }
        }
    }
    let mut numbers: BTreeMap<[i64; 4], i64> = BTreeMap::new();
    entries.into_values().for_each(|entry| *numbers.entry(entry).or_default() += 1);
    for (entry, count) in numbers {
        cells.entry(format!("entry {entry:?}")).or_default().insert((0, count));
    }
    for ((row, index), count) in windows {
        cells.entry(format!("windows with {index}")).or_default().insert((row, count));
    }
    cells.retain(|_, cells| !cells.is_empty());
    let ports = layout.statement.inputs.iter().chain(&layout.statement.outputs);
    let places: Vec<_> = ports.map(|p| (p.format, p.visibility(), places(p))).collect();
    // More limbs than are needed say the same, as long as no sum of them wraps: an integer that is not negative. So do
    // more cells than are read, and more lanes that may be looked up.
    let numbers = Architecture {
        spread_limbs: 0,
        excess_limbs: 0,
        short_excess: false,
        remainder_cells: 0,
        looked_up_lanes: 0,
        range_columns: 0,
        fixed: Vec::new(),
        ..layout.architecture.clone()
    };
    let key = format!("{numbers:?} {} {} {} {places:?}", layout.k, layout.identities, layout.max_degree);
    Some(Sayings { identities, cells, key })
}

/// A layout less the indices of rows that nothing gathers from.
fn without_idle_indices(layout: &Layout) -> Layout {
    let mut layout = layout.clone();
    let gathered: BTreeSet<u32> = columns(&layout)
        .filter(|(role, _)| matches!(role, FixedRole::SourceCount(_) | FixedRole::SourceByIndex(_)))
        .flat_map(|(_, cells)| cells.iter().map(|(row, _)| *row))
        .collect();
    for (role, cells) in layout.architecture.fixed.iter().zip(&mut layout.fixed) {
        cells.retain(|(row, _)| *role != FixedRole::SourceIndex || gathered.contains(row));
    }
    layout
}

fn columns(layout: &Layout) -> impl Iterator<Item = (&FixedRole, &Vec<(u32, i64)>)> {
    layout.architecture.fixed.iter().zip(&layout.fixed)
}

/// Whether a role's cells are in the expanded identities, where something reads them. An entry that may be gathered at
/// an index that depends on the witness is one of an element under its own index, which no wrong copy can equal.
fn is_expanded(role: &FixedRole) -> bool {
    match role {
        FixedRole::OperandPacked
        | FixedRole::OperandSingle
        | FixedRole::LeftPacked(_)
        | FixedRole::LeftSingle
        | FixedRole::InstancePacked
        | FixedRole::InstanceSingle
        | FixedRole::Accumulate
        | FixedRole::AccumulateCrossTerms
        | FixedRole::CrossTermMask(_)
        | FixedRole::SourceByIndex(_)
        | FixedRole::Step(..)
        | FixedRole::Identity(_)
        | FixedRole::Term { .. } => true,
        FixedRole::Usable
        | FixedRole::SumStep
        | FixedRole::SumEnd
        | FixedRole::Table { .. }
        | FixedRole::LooksUp
        | FixedRole::ActivationTag
        | FixedRole::Clamp(_)
        | FixedRole::Lines(_)
        | FixedRole::ClampLeast
        | FixedRole::GatherIndex(_)
        | FixedRole::SourceIndex
        | FixedRole::SourceCount(_)
        | FixedRole::Masked(_)
        | FixedRole::Epsilon
        | FixedRole::SumFactor
        | FixedRole::CandidateStride
        | FixedRole::CandidateNumber
        | FixedRole::Hash(_)
        | FixedRole::Kind(_) => false,
    }
}

/// One up or down, or anything small.
fn nudge(rng: &mut ChaCha20Rng, value: i64) -> i64 {
    loop {
        let changed = match rng.gen_range(0..20) {
            0..=4 => value.wrapping_add(1),
            5..=9 => value.wrapping_sub(1),
            10..=13 => value.wrapping_neg(),
            14 => [i64::MIN, i64::MAX, i64::MIN + 1, 1 << 62][rng.gen_range(0..4)],
            _ => rng.gen_range(-20..40),
        };
        if changed != value {
            return changed;
        }
    }
}

fn nudge_size(rng: &mut ChaCha20Rng, value: &mut usize) {
    *value = loop {
        let changed = nudge(rng, *value as i64);
        if let Some(changed) = usize::try_from(changed).ok().filter(|changed| *changed < 1 << 16) {
            break changed;
        }
    };
}

/// A fixed cell: lost, another value, on another row, in another column, twice.
fn cell(rng: &mut ChaCha20Rng, layout: &mut Layout) -> Option<String> {
    let column = rng.gen_range(0..layout.fixed.len());
    let role = layout.architecture.fixed[column].clone();
    let usable = layout.usable_rows() as u32;
    let cells = &mut layout.fixed[column];
    if cells.is_empty() {
        return None;
    }
    let index = rng.gen_range(0..cells.len());
    let (row, value) = cells[index];
    let other = match rng.gen_range(0..3) {
        0 => row + 1,
        1 => row.saturating_sub(1),
        _ => rng.gen_range(0..usable + 4),
    };
    let taken = |cells: &[(u32, i64)], row: u32| cells.iter().any(|(of, _)| *of == row);
    let what = match rng.gen_range(0..5) {
        0 => {
            cells.remove(index);
            format!("lost {value} on row {row}")
        }
        1 => {
            cells[index].1 = nudge(rng, value);
            format!("{} instead of {value} on row {row}", cells[index].1)
        }
        2 if !taken(cells, other) => {
            cells[index].0 = other;
            format!("moved from row {row} to {other}")
        }
        3 if !taken(cells, other) => {
            cells.push((other, value));
            format!("{value} on row {other}, too")
        }
        4 => {
            let target = rng.gen_range(0..layout.fixed.len());
            if target == column || taken(&layout.fixed[target], row) {
                return None;
            }
            layout.fixed[column].remove(index);
            layout.fixed[target].push((row, value));
            format!("{value} on row {row} of {:?} instead", layout.architecture.fixed[target])
        }
        _ => return None,
    };
    Some(format!("{role:?}: {what}"))
}

/// The role of a fixed column: an exponent, a number of lanes, what a term multiplies.
fn role(rng: &mut ChaCha20Rng, layout: &mut Layout) -> Option<String> {
    let column = rng.gen_range(0..layout.architecture.fixed.len());
    let before = layout.architecture.fixed[column].clone();
    match &mut layout.architecture.fixed[column] {
        FixedRole::Step(accumulator, power) => match rng.gen_range(0..4) {
            0 => *accumulator = another(rng, *accumulator),
            _ => change_power(rng, power),
        },
        FixedRole::Kind(kind) => change_kind(rng, kind),
        FixedRole::Term { slot, multiplicand, factor } => match rng.gen_range(0..5) {
            0 => nudge_size(rng, slot),
            1 => {
                *multiplicand = match multiplicand {
                    Multiplicand::Dot => Multiplicand::Accumulator(Accumulator::Operand),
                    Multiplicand::Accumulator(accumulator) => Multiplicand::Accumulator(another(rng, *accumulator)),
                }
            }
            _ => change_factor(rng, factor),
        },
        FixedRole::CrossTermMask(lane)
        | FixedRole::GatherIndex(lane)
        | FixedRole::SourceCount(lane)
        | FixedRole::SourceByIndex(lane)
        | FixedRole::Masked(lane)
        | FixedRole::LeftPacked(lane)
        | FixedRole::Identity(lane) => nudge_size(rng, lane),
        FixedRole::Table { lane, value } => {
            if rng.gen_bool(0.5) {
                nudge_size(rng, lane);
            } else {
                *value = (*value + 1) % 4;
            }
        }
        FixedRole::Clamp(Clamp { lanes, bits }) => {
            if rng.gen_bool(0.5) {
                nudge_size(rng, lanes);
            } else {
                *bits = rng.gen_range(0..20);
            }
        }
        FixedRole::Lines(of) => match rng.gen_range(0..7) {
            0 => nudge_size(rng, &mut of.lanes),
            1 => nudge_size(rng, &mut of.places),
            2 => nudge_size(rng, &mut of.shifts),
            3 => nudge_size(rng, &mut of.segments),
            4 => of.low = rng.gen_range(0..8),
            5 => of.scale = rng.gen_range(0..8),
            _ => of.bits = rng.gen_range(0..20),
        },
        FixedRole::Usable
        | FixedRole::SumStep
        | FixedRole::SumEnd
        | FixedRole::LooksUp
        | FixedRole::ActivationTag
        | FixedRole::ClampLeast
        | FixedRole::OperandPacked
        | FixedRole::OperandSingle
        | FixedRole::LeftSingle
        | FixedRole::InstancePacked
        | FixedRole::InstanceSingle
        | FixedRole::Accumulate
        | FixedRole::AccumulateCrossTerms
        | FixedRole::SourceIndex
        | FixedRole::Epsilon
        | FixedRole::SumFactor
        | FixedRole::CandidateStride
        | FixedRole::CandidateNumber
        | FixedRole::Hash(_) => {
            let other = rng.gen_range(0..layout.architecture.fixed.len());
            layout.architecture.fixed.swap(column, other);
        }
    }
    // A column without cells says nothing, whatever its role.
    let after = &layout.architecture.fixed[column];
    (*after != before && !layout.fixed[column].is_empty()).then(|| format!("{after:?} instead of {before:?}"))
}

fn another(rng: &mut ChaCha20Rng, accumulator: Accumulator) -> Accumulator {
    let all = [
        Accumulator::Weights,
        Accumulator::Operand,
        Accumulator::OperandDigest,
        Accumulator::Result,
        Accumulator::ResultTotal,
        Accumulator::ResultDigest,
        Accumulator::LeftDigest,
        Accumulator::Auxiliary,
        Accumulator::CrossTerms,
        Accumulator::CrossTermsTotal,
        Accumulator::Committed(0),
        Accumulator::Committed(1),
        Accumulator::Hashed,
    ];
    loop {
        let other = all[rng.gen_range(0..all.len())];
        if other != accumulator {
            return other;
        }
    }
}

fn change_power(rng: &mut ChaCha20Rng, power: &mut Power) {
    match rng.gen_range(0..4) {
        0 if power.exponent > 0 => {
            power.variable = if power.variable == Variable::R { Variable::S } else { Variable::R };
        }
        _ => nudge_size(rng, &mut power.exponent),
    }
}

fn change_factor(rng: &mut ChaCha20Rng, factor: &mut Factor) {
    match (rng.gen_range(0..4), factor.runs.len()) {
        (0, _) => nudge_size(rng, &mut factor.channels),
        (1, runs) if runs > 0 => {
            let (step, count) = &mut factor.runs[rng.gen_range(0..runs)];
            let target = if rng.gen_bool(0.5) { step } else { count };
            nudge_size(rng, target);
        }
        (2, _) => factor.runs.push((rng.gen_range(0..5), rng.gen_range(2..5))),
        _ => nudge_size(rng, &mut factor.shift),
    }
}

fn change_kind(rng: &mut ChaCha20Rng, kind: &mut RowKind) {
    let small = |rng: &mut ChaCha20Rng, value: &mut u32| {
        let mut size = *value as usize;
        nudge_size(rng, &mut size);
        *value = size as u32;
    };
    match kind {
        RowKind::Requantise(kind::Requantise { lanes, spacing, limbs }) => match rng.gen_range(0..3) {
            0 => nudge_size(rng, lanes),
            1 => change_power(rng, spacing),
            _ => small(rng, limbs),
        },
        RowKind::Multiply(kind::Multiply { lanes, limbs, multiplier }) => match rng.gen_range(0..3) {
            0 => nudge_size(rng, lanes),
            1 => *multiplier = nudge(rng, *multiplier),
            _ => small(rng, limbs),
        },
        RowKind::Exponential(kind::Exponential { lanes }) | RowKind::Copies(kind::Copies { lanes }) => {
            nudge_size(rng, lanes)
        }
        RowKind::Reciprocal(kind::Reciprocal { bits, limbs })
        | RowKind::InverseRoot(kind::InverseRoot { bits, limbs }) => match rng.gen_range(0..3) {
            0 => small(rng, bits),
            i => nudge_size(rng, &mut limbs[i - 1]),
        },
        RowKind::Normalise(kind::Normalise { lanes, limbs, multiplier, len, centred }) => match rng.gen_range(0..5) {
            0 => nudge_size(rng, lanes),
            1 => small(rng, limbs),
            2 => *multiplier = nudge(rng, *multiplier),
            3 => nudge_size(rng, len),
            _ => *centred = !*centred,
        },
        RowKind::MaximumOfWindow(kind::MaximumOfWindow { height, width, vertical, horizontal }) => {
            match rng.gen_range(0..4) {
                0 => nudge_size(rng, height),
                1 => nudge_size(rng, width),
                2 => nudge_size(rng, vertical),
                _ => nudge_size(rng, horizontal),
            }
        }
        RowKind::GatheredMaximum(kind::GatheredMaximum { window }) => nudge_size(rng, window),
        RowKind::Candidate(kind::Candidate { count, last }) => match rng.gen_bool(0.5) {
            true => nudge_size(rng, count),
            false => *last = !*last,
        },
        RowKind::Entry(kind::Entry { lanes }) => match rng.gen_bool(0.5) {
            true => nudge_size(rng, lanes),
            false => *kind = RowKind::OneHot(kind::OneHot { lanes: *lanes, less: 0 }),
        },
        RowKind::OneHot(kind::OneHot { lanes, less }) => match rng.gen_range(0..3) {
            0 => nudge_size(rng, lanes),
            1 => *less = nudge(rng, *less),
            _ => *kind = RowKind::Entry(kind::Entry { lanes: *lanes }),
        },
        RowKind::Raw => *kind = RowKind::Index,
        RowKind::Index => *kind = RowKind::Raw,
        RowKind::GatheredSum => *kind = RowKind::GatheredMaximum(kind::GatheredMaximum { window: 1 }),
    }
}

/// A bound: the shift, limbs, and what else gates are sized by.
fn architecture(rng: &mut ChaCha20Rng, layout: &mut Layout) -> Option<String> {
    let a = &mut layout.architecture;
    let (name, value) = match rng.gen_range(0..8) {
        0 | 1 => {
            let (name, bits) =
                if rng.gen_bool(0.5) { ("shift", &mut a.shift) } else { ("limb bits", &mut a.limb_bits) };
            let mut changed = *bits as usize;
            nudge_size(rng, &mut changed);
            *bits = changed as u32;
            return Some(format!("{name} {changed}"));
        }
        2 => {
            a.short_excess = !a.short_excess;
            return Some(format!("short excess {}", a.short_excess));
        }
        3 => ("remainder cells", &mut a.remainder_cells),
        4 => ("excess limbs", &mut a.excess_limbs),
        5 => ("spread limbs", &mut a.spread_limbs),
        6 => ("lanes that are looked up", &mut a.looked_up_lanes),
        _ => ("operand lanes", &mut a.operand_lanes),
    };
    let before = *value;
    *value = if rng.gen_bool(0.5) { before.checked_sub(1)? } else { rng.gen_range(30..60) };
    let after = *value;
    // Gates read no cells that are not there.
    a.range_columns = a.range_columns.max(after.saturating_mul(20)).min(400);
    Some(format!("{name} {after} instead of {before}"))
}

/// What a row is said to compute.
fn result(rng: &mut ChaCha20Rng, graph: &Graph, layout: &mut Layout) -> Option<String> {
    let index = rng.gen_range(0..layout.results.len());
    let before = layout.results[index];
    let result = &mut layout.results[index];
    match rng.gen_range(0..4) {
        0 => result.element = u32::try_from(nudge(rng, result.element.into())).ok()?,
        1 => result.node = rng.gen_range(0..graph.nodes.len()) as u32,
        2 => result.row = u32::try_from(nudge(rng, result.row.into())).ok()?,
        _ => change_kind(rng, &mut result.kind),
    }
    let changed = (before.row, before.node, before.element, before.kind)
        != (result.row, result.node, result.element, result.kind);
    changed.then(|| format!("{result:?} instead of {before:?}"))
}

/// Where a row of learned values stands.
fn bank(rng: &mut ChaCha20Rng, layout: &mut Layout) -> Option<String> {
    if layout.bank.is_empty() {
        return None;
    }
    let index = rng.gen_range(0..layout.bank.len());
    if rng.gen_bool(0.3) {
        let row = rng.gen_range(0..layout.usable_rows()) as u32;
        layout.bank.push(BankRow { row, ..layout.bank[index] });
        return Some(format!("{:?}, too", layout.bank.last()));
    }
    let other = rng.gen_range(0..layout.bank.len());
    if index == other {
        return None;
    }
    let (a, b) = (layout.bank[index], layout.bank[other]);
    (layout.bank[index].row, layout.bank[other].row) = (b.row, a.row);
    Some(format!("{a:?} and {b:?} exchanged"))
}

/// Where a public tensor stands.
fn statement(rng: &mut ChaCha20Rng, layout: &mut Layout) -> Option<String> {
    let usable = layout.usable_rows();
    let statement = &mut layout.statement;
    let inputs = statement.inputs.len();
    let port = rng.gen_range(0..inputs + statement.outputs.len());
    let port = if port < inputs { &mut statement.inputs[port] } else { &mut statement.outputs[port - inputs] };
    let (before, format, was) = ((port.visibility(), places(port)), port.format, format!("{port:?}"));
    match (rng.gen_range(0..4), &mut port.placement) {
        (0, _) => port.format.max += 1,
        (1, _) => port.format.min -= 1,
        (_, Placement::Packed { first_row, row_stride, lanes, geometry }) => match rng.gen_range(0..4) {
            0 => nudge_size(rng, first_row),
            1 => nudge_size(rng, row_stride),
            2 => nudge_size(rng, lanes),
            _ => match geometry {
                Geometry::Flat { len } => nudge_size(rng, len),
                Geometry::Image { row_pitch, channel_pitch, column_pitch, .. } => match rng.gen_range(0..3) {
                    0 => nudge_size(rng, row_pitch),
                    1 => nudge_size(rng, channel_pitch),
                    _ => nudge_size(rng, column_pitch),
                },
            },
        },
        (2, placement) if rng.gen_bool(0.1) => *placement = Placement::Private,
        (_, placement @ Placement::Private) => *placement = Placement::Committed { first: 0, rows: usable },
        (_, Placement::Committed { first, rows }) => match rng.gen_bool(0.5) {
            true => nudge_size(rng, first),
            false => nudge_size(rng, rows),
        },
        (_, Placement::Hashed { first_row }) => nudge_size(rng, first_row),
        (_, Placement::Column { column, first_row, row_stride }) => match rng.gen_range(0..3) {
            0 => nudge_size(rng, column),
            1 => nudge_size(rng, first_row),
            _ => nudge_size(rng, row_stride),
        },
    }
    // The same cells by other numbers are the same place.
    let same = has_cells(port) && port.format == format && (port.visibility(), places(port)) == before;
    (!same).then(|| format!("{port:?} instead of {was}"))
}

/// Where a port's elements stand, among instances or committed columns.
fn places(port: &Port) -> Vec<Option<(usize, usize)>> {
    if !has_cells(port) {
        return Vec::new();
    }
    let hashed = port.hashed().and_then(Result::ok);
    let hashed = |element| hashed.as_ref().map(|rows| (0, rows.value_row(element)));
    let place = |element| {
        port.placement.cell(element).or_else(|| port.placement.committed_cell(element)).or_else(|| hashed(element))
    };
    (0..port.len).map(place).collect()
}

/// Whether a port's elements have cells at all.
const fn has_cells(port: &Port) -> bool {
    match port.placement {
        Placement::Packed { lanes, geometry: Geometry::Flat { len }, .. } => lanes > 0 && len == port.len,
        Placement::Packed { lanes, geometry: Geometry::Image { channel_pitch, .. }, .. } => {
            lanes > 0 && channel_pitch > 0
        }
        Placement::Column { .. } | Placement::Private => true,
        Placement::Hashed { first_row } => first_row > 0,
        Placement::Committed { rows, .. } => rows > 0,
    }
}

/// A number that the layout declares.
fn number(rng: &mut ChaCha20Rng, layout: &mut Layout) -> Option<String> {
    let (name, value) =
        if rng.gen_bool(0.5) { ("degree", &mut layout.max_degree) } else { ("identities", &mut layout.identities) };
    let before = *value;
    nudge_size(rng, value);
    Some(format!("{value} {name} instead of {before}"))
}
