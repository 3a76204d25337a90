//! A whole network: counted, or placed.

use zkml_gpu_graph::{Graph, Op, TensorId, Visibility};

use super::by_lines::by_lines;
use super::counter::{Count, Counter, Rows};
use super::error::LayoutError;
use super::layers;
use super::limbs::Limbs;
use super::planner::Planner;
use super::tables::{Tabulated, activations, exponential_lines, exponentials, lines, tensors};
use super::tensors::Tensors;
use super::widths::Widths;
use crate::rows::{Facts, kinds, partial_products};
use crate::system::formulas::LineCells;
use crate::system::{
    Architecture, BLINDING_ROWS, FixedRole, Placement, Port, RowKind, Statement, Tables, WeightMode, exact_cells,
};

impl Count {
    /// Counts a graph that went through [`lower`](super::lower::lower).
    pub(crate) fn new(
        graph: &Graph,
        tensors: &Tensors,
        (widths, limbs): (Widths, &Limbs),
        weights: WeightMode,
    ) -> Self {
        let placed = vec![false; graph.tensors.len()];
        let by_lines = by_lines(graph, &widths, limbs);
        let mut counter = Counter { graph, tensors, widths, by_lines, weights, placed, count: Self::default() };
        for index in 0..graph.nodes.len() {
            let rows = layers::count(&mut counter, index);
            counter.count.nodes.push(rows);
        }
        counter.ports();
        counter.count
    }
}

/// A network with everything placed, before the number of rows and the lookups to a helper are fixed.
#[derive(Debug)]
pub(crate) struct Draft<'g> {
    pub(crate) planner: Planner<'g>,
    pub(crate) statement: Statement,
    /// Rows that each node takes of each bank, then those of public tensors that no node reads.
    pub(crate) layers: Vec<Rows>,
}

impl<'g> Draft<'g> {
    /// Places every node and the public tensors.
    /// The circuit has `2^least_k` rows at least.
    pub(crate) fn place(
        graph: &'g Graph,
        (widths, limbs): (Widths, &Limbs),
        weights: WeightMode,
        least_k: u32,
    ) -> Result<Self, LayoutError> {
        let tensors = tensors(graph, widths.operand_lanes)?;
        let tables = Tables::new(
            widths.limb_bits,
            tensors.constants(),
            &activations(graph, Tabulated::of(&widths)),
            &exponentials(graph, Tabulated::of(&widths)),
            [&lines(graph, Tabulated::of(&widths)), &exponential_lines(graph, Tabulated::of(&widths))],
        );
        let by_lines = by_lines(graph, &widths, limbs);
        let mut planner = Planner::new(graph, (widths, by_lines), weights, tensors, tables);
        // The columns that every circuit has come first.
        for role in [FixedRole::Usable, FixedRole::SumStep, FixedRole::SumEnd] {
            planner.declare(role);
        }
        // Ranges alone have one value and a tag.
        let used = |lane: usize, i: usize| {
            let mut entries = planner.tables.rows.iter().skip(lane).step_by(widths.table_lanes);
            entries.any(|row| row.values.get(i).is_none_or(|value| *value != 0))
        };
        let cells = (0..widths.table_lanes).flat_map(|lane| (0..4).map(move |value| (lane, value)));
        let columns: Vec<(usize, usize)> = cells.filter(|(lane, value)| used(*lane, *value)).collect();
        columns.into_iter().for_each(|(lane, value)| planner.declare(FixedRole::Table { lane, value: value as u8 }));
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
        let statement = place_ports(&mut planner, least_k)?;
        taken(&planner);
        planner.finish_gathers();
        planner.finish_terms();
        Ok(Self { planner, statement, layers })
    }

    /// The constraint system's shape with so many lookups to a helper.
    pub(crate) fn architecture(&self, lookup_group: usize, limbs: &Limbs) -> Architecture {
        architecture(&self.planner, lookup_group, limbs)
    }
}

fn place_ports(planner: &mut Planner<'_>, least_k: u32) -> Result<Statement, LayoutError> {
    let graph = planner.graph;
    let mut statement = Statement::default();
    for (index, &tensor) in graph.outputs.iter().enumerate() {
        let placement = match (graph.visibility.output(index), planner.raw_places.get(&tensor)) {
            (Visibility::Private | Visibility::Committed | Visibility::Hashed, _) => Placement::Private,
            (Visibility::Public, Some(placement)) => *placement,
            (Visibility::Public, None) => {
                let root = planner.tensors.root(tensor);
                let identity = planner.identity();
                planner.digest_term(identity, root, -1)?;
                planner.in_kept_rows(|planner| planner.place_instance(root, Some(identity)))
            }
        };
        statement.outputs.push(port(graph, tensor, placement));
    }
    for (index, &tensor) in graph.inputs.iter().enumerate() {
        let placement = match (graph.visibility.input(index), planner.input_places.get(&tensor)) {
            (Visibility::Private | Visibility::Committed | Visibility::Hashed, _) => Placement::Private,
            (Visibility::Public, Some(placement)) => *placement,
            (Visibility::Public, None) => planner.place_instance(tensor, None),
        };
        statement.inputs.push(port(graph, tensor, placement));
    }
    place_hashed(planner, &mut statement)?;
    place_committed(planner, &mut statement, least_k)?;
    Ok(statement)
}

/// Places the hashes of tensors, inputs first, each behind the one before.
fn place_hashed(planner: &mut Planner<'_>, statement: &mut Statement) -> Result<(), LayoutError> {
    let graph = planner.graph;
    for (index, &input) in graph.inputs.iter().enumerate() {
        if graph.visibility.input(index) == Visibility::Hashed {
            let placement = planner.place_hashed(entered(graph, input)?, &statement.inputs[index])?;
            statement.inputs[index].placement = placement;
        }
    }
    for (index, &output) in graph.outputs.iter().enumerate() {
        if graph.visibility.output(index) == Visibility::Hashed {
            statement.outputs[index].placement = planner.place_hashed(output, &statement.outputs[index])?;
        }
    }
    Ok(())
}

/// The cells of a hidden input.
fn entered(graph: &Graph, input: TensorId) -> Result<TensorId, LayoutError> {
    let node = graph.nodes.iter().find(|node| matches!(node.op, Op::Enter) && node.inputs == [input]);
    node.map(|node| node.output).ok_or_else(|| LayoutError::Malformed(format!("input {input} has no cells")))
}

/// Places committed tensors, inputs first. They take no row that anything else would: all else is placed, so the number
/// of rows is known, and with it how many elements a column holds.
fn place_committed(planner: &mut Planner<'_>, statement: &mut Statement, least_k: u32) -> Result<(), LayoutError> {
    let graph = planner.graph;
    let rows = planner.rows().into_iter().fold(0, usize::max) + BLINDING_ROWS;
    let usable = rows.next_power_of_two().max(1 << least_k) - BLINDING_ROWS;
    for (index, &input) in graph.inputs.iter().enumerate() {
        if graph.visibility.input(index) == Visibility::Committed {
            statement.inputs[index].placement = planner.place_committed(entered(graph, input)?, usable)?;
        }
    }
    for (index, &output) in graph.outputs.iter().enumerate() {
        if graph.visibility.output(index) == Visibility::Committed {
            statement.outputs[index].placement = planner.place_committed(output, usable)?;
        }
    }
    Ok(())
}

fn port(graph: &Graph, tensor: TensorId, placement: Placement) -> Port {
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
    let fixed: Vec<FixedRole> = planner.fixed.iter().map(|(role, _)| role.clone()).collect();
    let facts = || kinds(&fixed).map(|(_, kind)| kind.facts());
    let (shift, limb_bits) = (planner.graph.shift, planner.widths.limb_bits);
    let cells_of = |row: Facts| exact_cells(shift * row.shifts as u32, limb_bits);
    let longest = facts().map(cells_of).max().unwrap_or(1);
    let remainder = if planner.widths.shared_remainders { exact_cells(shift, limb_bits) } else { longest };
    let requantise = remainder + limbs.excess + usize::from(limbs.short);
    let range =
        |row: Facts| row.range_cells(requantise, limbs.spread, cells_of(row).div_ceil(remainder)).unwrap_or(usize::MAX);
    let largest_window = facts().filter(|row| row.attained).map(|row| row.differences).max().unwrap_or(0);
    let gather = planner.gathers.iter().map(|cell| cell.copy as usize + 1).max().unwrap_or(0);
    let of_lines = |role: &FixedRole| if let FixedRole::Lines(of) = role { Some(of.places + of.lanes) } else { None };
    let by_lines = fixed.iter().filter_map(of_lines);
    let mut architecture = Architecture {
        shift,
        limb_bits,
        operand_lanes: planner.widths.operand_lanes,
        operand_columns: match (planner.has(&FixedRole::OperandPacked), planner.has(&FixedRole::OperandSingle)) {
            (true, _) => planner.widths.operand_lanes,
            (false, single) => usize::from(single),
        },
        left_lanes: if planner.has_left() { planner.widths.operand_lanes } else { 0 },
        activation_lanes: facts().filter_map(|row| row.lanes).chain(by_lines).fold(1, usize::max),
        looked_up_lanes: planner.looked_up_lanes,
        clamps: fixed.iter().any(|role| matches!(role, FixedRole::Clamp(_) | FixedRole::Lines(_))),
        remainder_cells: remainder,
        auxiliary_groups: facts().map(|row| row.auxiliary).max().unwrap_or(0),
        inverse_roots: kinds(&fixed).any(|(_, kind)| matches!(kind, RowKind::InverseRoot(_))),
        excess_limbs: limbs.excess,
        short_excess: limbs.short,
        spread_limbs: limbs.spread,
        range_columns: facts().map(range).max().unwrap_or(0),
        cross_term_lanes: if planner.cross_terms.is_empty() { 0 } else { planner.widths.cross_term_lanes },
        gather_columns: gather,
        gather_by_index: planner.has(&FixedRole::CandidateStride),
        slots: planner.slots,
        raw_output: !planner.raw_places.is_empty(),
        committed_columns: planner.committed_columns,
        table_lanes: planner.widths.table_lanes,
        lookup_group,
        weights: planner.weights,
        weight_columns: planner.widths.weight_columns,
        ..Architecture::default()
    };
    architecture.fixed = fixed;
    let ends = architecture.lines().filter_map(|(_, of)| LineCells::end(&architecture, &of));
    architecture.range_columns = ends.fold(architecture.range_columns, usize::max);
    architecture.product_columns = partial_products(&architecture, largest_window);
    architecture
}
