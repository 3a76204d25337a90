//! The widths that a layout may choose from, and the placement of a network for one choice of them.

use serde::Serialize;
use zkml_gpu_engine::prover::CircuitSize;

use super::{
    Architecture, FixedRole, Layout, LayoutError, LayoutOptions, Planner, Port, RowKind, Statement, Tables, WeightMode,
    choose::Choice,
    cost::{Filling, Network},
    count::Rows,
    degree::max_degree,
    statement::MAX_INSTANCE_CELLS,
    tensors::Tensors,
};
use crate::{chips, layers};
use zkml_gpu_graph::{Activation, Graph, Op, TensorId};

/// Numbers that a layout may choose: columns, and lookups to a helper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Widths {
    /// Operand cells per row.
    pub operand_lanes: usize,
    /// Requantised values per row.
    pub activation_lanes: usize,
    /// Columns of the weight bank.
    pub weight_columns: usize,
    /// Free coefficients per row.
    pub garbage_lanes: usize,
    /// Lookups that share a helper column: gates have degree `lookup_group + 2`.
    pub lookup_group: usize,
}

impl Widths {
    /// These widths, raised to what a network with so many weight columns needs.
    fn at_least(self, weight_columns: usize) -> Self {
        Self {
            operand_lanes: self.operand_lanes.max(1),
            activation_lanes: self.activation_lanes.max(1),
            weight_columns: self.weight_columns.max(weight_columns),
            garbage_lanes: self.garbage_lanes.max(1),
            lookup_group: self.lookup_group.clamp(1, 3),
        }
    }
}

/// Every sensible combination, cheap or not; the caller's own where there is one.
pub(super) fn candidates(graph: &Graph, options: &LayoutOptions) -> Result<Vec<Widths>, LayoutError> {
    let mut least = 1;
    let mut widest = 1;
    for node in &graph.nodes {
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
        return Ok(vec![widths.at_least(least)]);
    }
    let widest = widest.min(options.max_weight_columns).max(least);
    let mut weights: Vec<usize> =
        [16, 32, 64, 128, 256, 512].into_iter().filter(|w| (least..widest).contains(w)).collect();
    weights.push(widest);
    let groups = options.lookup_group.map_or(1..=3, |group| group.clamp(1, 3)..=group.clamp(1, 3));
    let lanes = [1, 2, 4, 8].into_iter();
    let garbage: &[usize] = match options.weights {
        WeightMode::Committed => &[1, 2, 4, 8],
        // Each output channel has free coefficients of its own: many, but small.
        WeightMode::Embedded => &[1, 2, 4, 8, 16, 32],
    };
    let all = weights.into_iter().flat_map(|weight_columns| {
        lanes.clone().flat_map(move |operand_lanes| {
            [1, 2, 4, 8].into_iter().flat_map(move |activation_lanes| {
                garbage
                    .iter()
                    .map(move |garbage_lanes| (weight_columns, operand_lanes, activation_lanes, *garbage_lanes))
            })
        })
    });
    let all = all.flat_map(|(weight_columns, operand_lanes, activation_lanes, garbage_lanes)| {
        let widths =
            move |lookup_group| Widths { operand_lanes, activation_lanes, weight_columns, garbage_lanes, lookup_group };
        groups.clone().map(widths)
    });
    Ok(all.collect())
}

/// Limbs of the range checks, from the worst case over all inputs in range and all learned values of the declared widths: no input fails for
/// want of room, and no limb tells of a weight.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limbs {
    pub(super) excess: usize,
    pub(super) spread: usize,
}

impl Limbs {
    pub(super) fn of(graph: &Graph) -> Self {
        let limbs = |value: u64| (64 - value.leading_zeros()).div_ceil(graph.shift) as usize;
        let mut result = Self::default();
        for (node, bounds) in graph.nodes.iter().zip(graph.accumulator_bounds()) {
            let input = graph.tensors[node.inputs[0]].format;
            let range = input.max.abs_diff(input.min);
            let spread = match &node.op {
                Op::Linear(linear) if linear.pool != [1, 1] => graph.spread(node, linear),
                Op::MaxPool(_) => range,
                // count·(x_y - x_k) + k - y, see `chips::gather`
                Op::ArgMax { count, .. } => *count as u64 * range + *count as u64 - 1,
                _ => 0,
            };
            result.spread = result.spread.max(limbs(spread));
            if let Some(activation) = graph.activation(node).filter(|_| node.op.requantises()) {
                let rounded = |acc: i64| zkml_gpu_graph::requantise(acc, graph.shift * node.op.limbs());
                let above = rounded(bounds.max).saturating_sub(activation.max()).max(0);
                let below = activation.min.saturating_sub(rounded(bounds.min)).max(0);
                result.excess = result.excess.max(limbs(above.max(below) as u64));
            }
        }
        result
    }
}

/// The activation tables that the graph needs.
pub(super) fn activations(graph: &Graph) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for node in &graph.nodes {
        let Some(activation) = graph.activation(node) else { continue };
        if !all.contains(&activation) {
            all.push(activation);
        }
    }
    all
}

/// The tables of exponentials that the graph needs.
pub(super) fn exponentials(graph: &Graph) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for node in &graph.nodes {
        let Op::Softmax(softmax) = &node.op else { continue };
        if !all.contains(&softmax.exp) {
            all.push(softmax.exp.clone());
        }
    }
    all
}

/// Which tensors share cells, for operand rows of `lanes` cells.
pub(super) fn tensors(graph: &Graph, lanes: usize) -> Result<Tensors, LayoutError> {
    Tensors::new(graph, lanes).map_err(|index| LayoutError::Unsupported {
        node: graph.nodes[index].name.clone(),
        reason: "it reads a tensor under another shape than an earlier node: the graph was not lowered".into(),
    })
}

/// A network with everything placed, before the number of rows and the lookups to a helper are fixed.
#[derive(Debug)]
pub(super) struct Draft<'g> {
    pub(super) planner: Planner<'g>,
    statement: Statement,
    /// Rows that each node takes of each bank, then those of public tensors that no node reads.
    layers: Vec<Rows>,
}

impl<'g> Draft<'g> {
    /// Places every node and the public tensors.
    pub(super) fn place(graph: &'g Graph, widths: Widths, weights: WeightMode) -> Result<Self, LayoutError> {
        let tensors = tensors(graph, widths.operand_lanes)?;
        let tables = Tables::new(graph.shift, tensors.constants(), &activations(graph), &exponentials(graph));
        let mut planner = Planner::new(graph, widths, weights, tensors, tables);
        // The columns that every circuit has come first.
        for role in [FixedRole::Usable, FixedRole::SumStep, FixedRole::SumEnd] {
            planner.declare(role);
        }
        (0..4).for_each(|i| planner.declare(FixedRole::Table(i)));
        planner.declare(FixedRole::ActivationTag);
        planner.keep_public_rows();
        let mut layers = Vec::with_capacity(graph.nodes.len() + 1);
        let mut before = planner.rows();
        let mut taken = |planner: &Planner<'_>| {
            let rows = planner.rows();
            layers.push([0, 1, 2].map(|bank| rows[bank] - before[bank]));
            before = rows;
        };
        for index in 0..graph.nodes.len() {
            layers::place(&mut planner, index)?;
            taken(&planner);
        }
        let statement = place_ports(&mut planner)?;
        taken(&planner);
        planner.finish_gathers();
        planner.finish_terms();
        Ok(Self { planner, statement, layers })
    }

    /// Rows that each node takes, then those of public tensors that no node reads.
    #[cfg(test)]
    pub(super) fn layers(&self) -> &[Rows] {
        &self.layers
    }

    /// What its cells hold.
    pub(super) fn filling(&self, network: Network) -> Filling {
        let planner = &self.planner;
        Filling {
            rows: planner.rows(),
            operand_cells: planner.operands.len(),
            gathered_cells: planner.gathers.len(),
            network,
        }
    }

    /// The constraint system's shape with so many lookups to a helper.
    pub(super) fn architecture(&self, lookup_group: usize, limbs: &Limbs) -> Architecture {
        architecture(&self.planner, lookup_group, limbs)
    }
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
                planner.in_kept_rows(|planner| planner.place_instance(root, Some(identity)))
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
        storage: tensor.storage,
        format: tensor.format,
        placement,
    }
}

fn architecture(planner: &Planner<'_>, lookup_group: usize, limbs: &Limbs) -> Architecture {
    let (mut range, mut activations, mut largest_window) = (0, 1, 0);
    let remainder = planner.results.iter().map(|row| row.kind.remainder_limbs()).max().unwrap_or(1);
    let requantise = remainder + limbs.excess;
    for row in &planner.results {
        match row.kind {
            RowKind::Requantise { lanes, .. } | RowKind::Multiply { lanes, .. } | RowKind::Normalise { lanes, .. } => {
                range = range.max(lanes * requantise);
                activations = activations.max(lanes);
            }
            RowKind::MaximumOfWindow { height, width, .. } => {
                range = range.max(requantise + height * width * limbs.spread);
                largest_window = largest_window.max(height * width);
            }
            RowKind::GatheredMaximum { window } => {
                range = range.max(window * limbs.spread);
                largest_window = largest_window.max(window);
            }
            RowKind::GatheredSum => range = range.max(requantise),
            RowKind::Candidate { .. } => range = range.max(limbs.spread),
            RowKind::Exponential { lanes } => activations = activations.max(lanes),
            RowKind::Share { limbs: [quotient, difference], .. }
            | RowKind::Root { limbs: [quotient, difference], .. } => {
                range = range.max(quotient + 2 * difference);
            }
            RowKind::Copies { lanes } => activations = activations.max(lanes),
            RowKind::Raw | RowKind::Index => {}
        }
    }
    let gather = planner.gathers.iter().map(|cell| cell.copy as usize + 1).max().unwrap_or(0);
    let mut architecture = Architecture {
        shift: planner.graph.shift,
        operand_lanes: planner.widths.operand_lanes,
        operand_columns: match (planner.has(&FixedRole::OperandPacked), planner.has(&FixedRole::OperandSingle)) {
            (true, _) => planner.widths.operand_lanes,
            (false, single) => usize::from(single),
        },
        left_lanes: if planner.has_left() { planner.widths.operand_lanes } else { 0 },
        activation_lanes: activations,
        remainder_limbs: remainder,
        factor_groups: planner.results.iter().map(|row| row.kind.factor_groups()).max().unwrap_or(0),
        roots: planner.results.iter().any(|row| matches!(row.kind, RowKind::Root { .. })),
        excess_limbs: limbs.excess,
        spread_limbs: limbs.spread,
        range_columns: range,
        garbage_lanes: if planner.garbage.is_empty() { 0 } else { planner.widths.garbage_lanes },
        gather_columns: gather,
        gather_by_index: planner.has(&FixedRole::CandidateStride),
        slots: planner.slots,
        raw_output: !planner.raw_places.is_empty(),
        lookup_group,
        weights: planner.weights,
        weight_columns: planner.widths.weight_columns,
        fixed: planner.fixed.iter().map(|(role, _)| role.clone()).collect(),
        ..Architecture::default()
    };
    architecture.product_columns = chips::pool::partial_products(&architecture, largest_window);
    architecture
}

/// Fills in what depends on the number of rows.
pub(super) fn finish(
    draft: Draft<'_>,
    architecture: Architecture,
    size: CircuitSize,
    choice: Choice,
) -> Result<Layout, LayoutError> {
    // Keys beyond the bounds could be made, but no verifier would read them.
    architecture.check().map_err(LayoutError::Bounds)?;
    let Draft { mut planner, mut statement, layers } = draft;
    let (k, unusable, rows) = (size.k, chips::unusable_rows(&architecture), planner.rows());
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
    let max_degree = max_degree(&architecture, &planner.fixed, usable);
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
        max_degree,
        rows,
        layers,
        size,
        choice,
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
    planner.results.iter().filter(|r| r.kind.activates()).for_each(|r| tagged[r.row as usize] = true);
    for row in (0..usable).filter(|row| !tagged[*row]) {
        planner.set(FixedRole::ActivationTag, row, super::table::RANGE_TAG);
    }
}
