//! Chooses the widths: tries every sensible combination and keeps the cheapest by an estimate of the prover's work.

use super::{
    Architecture, ClampTable, FixedRole, Layout, LayoutError, LayoutOptions, MAX_K, Planner, Port, RowKind, Statement,
    Tables, statement::MAX_INSTANCE_CELLS, tensors::Tensors,
};
use crate::{
    chips,
    graph::{Graph, Op, TensorId},
    layers,
};

/// Numbers of columns that a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Widths {
    /// Operand cells per row.
    pub(crate) operand_lanes: usize,
    /// Requantised values per row.
    pub(crate) activation_lanes: usize,
    /// Columns of the weight bank.
    pub(crate) weight_columns: usize,
    /// Free coefficients per row.
    pub(crate) garbage_lanes: usize,
}

/// Relative cost of a cell to the prover: a full-size field element in the multi-scalar multiplication, transforms and
/// openings; a small one, whose commitment is nearly free; a fixed one, which is only read. Measured on the CPU.
const FULL_CELL: usize = 6;
const SMALL_CELL: usize = 2;
const FIXED_CELL: usize = 1;

/// The cheapest layout.
pub(super) fn best(graph: &Graph, options: &LayoutOptions) -> Result<Layout, LayoutError> {
    graph.validate().map_err(|error| LayoutError::Malformed(error.to_string()))?;
    if let Some(clamp) = clamps(graph).into_iter().find(|clamp| clamp.min >= clamp.max) {
        return Err(LayoutError::Malformed(format!("the range {}..={} has no two values", clamp.min, clamp.max)));
    }
    let max_k = options.max_k.min(MAX_K);
    let options = &LayoutOptions { max_k, ..options.clone() };
    let limbs = Limbs::of(graph);
    let mut best: Option<(usize, Layout)> = None;
    let mut failure = None;
    for widths in candidates(graph, options)? {
        match plan(graph, options, &limbs, widths) {
            Ok(layout) => {
                let cost = cost(&layout);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, layout));
                }
            }
            Err(
                error @ (LayoutError::WouldNotFit { .. } | LayoutError::PublicValues { .. } | LayoutError::Bounds(_)),
            ) => failure = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (best, failure) {
        (Some((_, layout)), _) => Ok(layout),
        (None, Some(error)) => Err(error),
        (None, None) => Err(LayoutError::Malformed("no candidate widths".into())),
    }
}

fn cost(layout: &Layout) -> usize {
    let a = &layout.architecture;
    let full = a.second_phase() + a.third_phase();
    let per_row = full * FULL_CELL + a.first_phase() * SMALL_CELL + a.fixed.len() * FIXED_CELL;
    // A weight column costs the prover nothing and the verifier little: it only breaks ties.
    (per_row << layout.k) + a.weight_columns
}

fn candidates(graph: &Graph, options: &LayoutOptions) -> Result<Vec<Widths>, LayoutError> {
    let mut least = 1;
    let mut widest = 1;
    for node in &graph.nodes {
        let Op::Linear(linear) = &node.op else { continue };
        widest = widest.max(linear.out_channels);
        if linear.window.kernel != [1, 1] {
            least = least.max(linear.out_channels);
        }
        if least > options.max_weight_columns {
            let reason = format!("{least} output channels exceed the {} weight columns", options.max_weight_columns);
            return Err(LayoutError::Unsupported { node: node.name.clone(), reason });
        }
    }
    let widest = widest.min(options.max_weight_columns).max(least);
    let mut weights: Vec<usize> =
        [16, 32, 64, 128, 256, 512].into_iter().filter(|w| (least..widest).contains(w)).collect();
    weights.push(widest);
    let mut all = Vec::new();
    for &weight_columns in &weights {
        for operand_lanes in [1, 2, 4, 8] {
            for activation_lanes in [1, 2, 4] {
                all.push(Widths { operand_lanes, activation_lanes, weight_columns, garbage_lanes: 1 });
            }
        }
    }
    Ok(all)
}

/// Limbs of the range checks, from the worst case over all inputs in range: no input fails for want of room.
#[derive(Clone, Copy, Debug, Default)]
struct Limbs {
    excess: usize,
    spread: usize,
}

impl Limbs {
    fn of(graph: &Graph) -> Self {
        let limbs = |value: u64| (64 - value.leading_zeros()).div_ceil(graph.shift) as usize;
        let mut result = Self::default();
        for (node, bounds) in graph.nodes.iter().zip(graph.accumulator_bounds()) {
            let requantised = match &node.op {
                Op::Linear(linear) => {
                    if linear.pool != [1, 1] {
                        let input = graph.tensors[node.inputs[0]].format;
                        let spread = linear.channel_bounds(input).iter().map(|b| b.max.abs_diff(b.min)).max();
                        result.spread = result.spread.max(limbs(spread.unwrap_or(0)));
                    }
                    !linear.raw
                }
                Op::Combine { .. } | Op::AveragePool { .. } => true,
                Op::MaxPool(_) | Op::Reshape => false,
            };
            if requantised {
                let format = graph.tensors[node.output].format;
                let rounded = |acc: i64| crate::graph::requantise(acc, graph.shift);
                let above = rounded(bounds.max).saturating_sub(format.max).max(0);
                let below = format.min.saturating_sub(rounded(bounds.min)).max(0);
                result.excess = result.excess.max(limbs(above.max(below) as u64));
            }
        }
        result
    }
}

fn clamps(graph: &Graph) -> Vec<ClampTable> {
    let mut clamps = Vec::new();
    for node in &graph.nodes {
        let raw = matches!(&node.op, Op::Linear(linear) if linear.raw);
        if raw || matches!(node.op, Op::Reshape) {
            continue;
        }
        let format = graph.tensors[node.output].format;
        let clamp = ClampTable { min: format.min, max: format.max };
        if !clamps.contains(&clamp) {
            clamps.push(clamp);
        }
    }
    clamps
}

fn plan(graph: &Graph, options: &LayoutOptions, limbs: &Limbs, widths: Widths) -> Result<Layout, LayoutError> {
    let tensors = Tensors::new(graph, widths.operand_lanes)?;
    let tables = Tables::new(graph.shift, tensors.gathers(), &clamps(graph));
    let mut planner = Planner::new(graph, widths, tensors, tables);
    // The columns that every circuit has come first.
    for role in [FixedRole::Usable, FixedRole::SumStep, FixedRole::SumEnd] {
        planner.declare(role);
    }
    (0..4).for_each(|i| planner.declare(FixedRole::Table(i)));
    planner.declare(FixedRole::ActivationTag);
    for index in 0..graph.nodes.len() {
        layers::place(&mut planner, index)?;
    }
    let statement = place_ports(&mut planner)?;
    planner.finish_gathers();
    finish(planner, options, limbs, statement)
}

fn place_ports(planner: &mut Planner<'_>) -> Result<Statement, LayoutError> {
    let graph = planner.graph;
    let mut statement = Statement::default();
    for &tensor in &graph.outputs {
        let placement = match planner.raw_places.get(&tensor) {
            Some(placement) => *placement,
            None => {
                let root = planner.tensors.root(tensor);
                let identity = planner.identity();
                planner.digest_term(identity, root, -1)?;
                planner.place_instance(root, Some(identity))
            }
        };
        statement.outputs.push(port(graph, tensor, placement));
    }
    for &tensor in &graph.inputs {
        let placement = match planner.input_places.get(&tensor) {
            Some(placement) => *placement,
            None => planner.place_instance(tensor, None),
        };
        statement.inputs.push(port(graph, tensor, placement));
    }
    Ok(statement)
}

fn port(graph: &Graph, tensor: TensorId, placement: super::Placement) -> Port {
    let tensor = &graph.tensors[tensor];
    Port {
        name: tensor.name.clone(),
        logical_shape: tensor.logical_shape.clone(),
        len: tensor.shape.len(),
        transposed: tensor.transposed,
        format: tensor.format,
        placement,
    }
}

fn architecture(planner: &Planner<'_>, options: &LayoutOptions, limbs: &Limbs) -> Architecture {
    let (mut range, mut activations, mut gather, mut largest_window) = (0, 1, 0, 0);
    let requantise = 1 + limbs.excess;
    for row in &planner.results {
        match row.kind {
            RowKind::Requantise { lanes, .. } => {
                range = range.max(lanes * requantise);
                activations = activations.max(lanes);
            }
            RowKind::MaximumOfWindow { height, width, .. } => {
                range = range.max(requantise + height * width * limbs.spread);
                largest_window = largest_window.max(height * width);
            }
            RowKind::GatheredMaximum { window } => {
                range = range.max(window);
                largest_window = largest_window.max(window);
                gather = gather.max(window);
            }
            RowKind::GatheredSum => range = range.max(requantise),
            RowKind::Raw => {}
        }
    }
    gather = planner.gathers.iter().map(|(_, k, ..)| *k as usize + 1).max().unwrap_or(gather);
    let mut architecture = Architecture {
        shift: planner.graph.shift,
        operand_lanes: planner.widths.operand_lanes,
        operand_columns: match (planner.has(&FixedRole::OperandPacked), planner.has(&FixedRole::OperandSingle)) {
            (true, _) => planner.widths.operand_lanes,
            (false, single) => usize::from(single),
        },
        activation_lanes: activations,
        excess_limbs: limbs.excess,
        spread_limbs: limbs.spread,
        range_columns: range,
        garbage_lanes: if planner.garbage.is_empty() { 0 } else { planner.widths.garbage_lanes },
        gather_columns: gather,
        raw_output: !planner.raw_places.is_empty(),
        lookup_group: options.lookup_group.clamp(1, 3),
        weight_columns: planner.widths.weight_columns,
        fixed: planner.fixed.iter().map(|(role, _)| role.clone()).collect(),
        ..Architecture::default()
    };
    architecture.product_columns = chips::pool::partial_products(&architecture, largest_window);
    architecture
}

fn finish(
    mut planner: Planner<'_>,
    options: &LayoutOptions,
    limbs: &Limbs,
    mut statement: Statement,
) -> Result<Layout, LayoutError> {
    let architecture = architecture(&planner, options, limbs);
    // Keys beyond the bounds could be made, but no verifier would read them.
    architecture.check().map_err(LayoutError::Bounds)?;
    let unusable = chips::unusable_rows(&architecture);
    let rows = planner.rows();
    let needed = rows.into_iter().max().unwrap_or(0);
    let k = (needed + unusable).next_power_of_two().ilog2();
    if k > options.max_k {
        let limit = (1usize << options.max_k).saturating_sub(unusable);
        return Err(LayoutError::WouldNotFit { rows: needed, limit, k: options.max_k });
    }
    let usable = (1 << k) - unusable;
    for row in 0..usable {
        planner.set(FixedRole::Usable, row, 1);
        if row > 0 {
            planner.set(FixedRole::SumStep, row, 1);
        }
    }
    planner.set(FixedRole::SumEnd, usable - 1, 1);
    fill_tables(&mut planner, usable);
    statement.set_lengths(architecture.instance_columns());
    if statement.cells() > MAX_INSTANCE_CELLS {
        return Err(LayoutError::PublicValues { cells: statement.cells(), limit: MAX_INSTANCE_CELLS });
    }
    statement.check(architecture.instance_columns(), usable).map_err(LayoutError::Malformed)?;
    check_cells(&planner)?;
    Ok(Layout {
        architecture,
        k,
        fixed: planner.fixed.into_iter().map(|(_, cells)| cells).collect(),
        tables: planner.tables,
        operands: planner.operands,
        results: planner.results,
        bank: planner.bank,
        garbage: planner.garbage,
        gathers: planner.gathers,
        statement,
        identities: planner.identities,
        max_degree: planner.max_degree,
        rows,
        usable,
    })
}

/// A fixed cell has one value: a second one would be lost.
fn check_cells(planner: &Planner<'_>) -> Result<(), LayoutError> {
    for (role, cells) in &planner.fixed {
        let rows: std::collections::HashSet<u32> = cells.iter().map(|(row, _)| *row).collect();
        if rows.len() != cells.len() {
            return Err(LayoutError::Malformed(format!("two values in one cell of {role:?}")));
        }
    }
    Ok(())
}

/// Table columns, and the range tag on rows that look up no activation (their lanes are 0, a range entry).
fn fill_tables(planner: &mut Planner<'_>, usable: usize) {
    for (row, entry) in planner.tables.rows.clone().into_iter().enumerate() {
        for (i, value) in entry.values.into_iter().chain([entry.tag]).enumerate() {
            if value != 0 {
                planner.set(FixedRole::Table(i as u8), row, value);
            }
        }
    }
    let mut tagged = vec![false; usable];
    planner.results.iter().filter(|r| r.kind != RowKind::Raw).for_each(|r| tagged[r.row as usize] = true);
    for row in (0..usable).filter(|row| !tagged[*row]) {
        planner.set(FixedRole::ActivationTag, row, super::table::RANGE_TAG);
    }
}
