//! Chooses the widths: the cheapest layout by the prices of a back end.
//!
//! Every combination of widths is counted first (`placement/layers`), which gives a lower bound of its cost without
//! placing a cell. Then combinations are placed, the least bound first, until no bound is left that promises a saving.
//! So a network of any size is refused at once, and one that fits is placed a few times, not once for every
//! combination.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use halo2_proofs::plonk::ConstraintSystem;
use zkml_gpu_engine::cost::Costs;
use zkml_gpu_engine::prover::CircuitSize;
use zkml_gpu_graph::{Activation, Graph, Segments};

use super::choice::{Alternative, Choice, Needs};
use super::cost::{Expense, Filling, MemoryNeeds, Network, WeightColumn, least_quotient};
use super::finish::finish;
use super::finished::Layout;
use super::gas::transaction;
use super::options::{LayoutOptions, VerifiedBy};
use super::search::{TABLE_BITS, candidates};
use crate::gates;
use crate::placement::{
    Count, Draft, LayoutError, RangeBits, Tabulated, Widths, activations, exponential_lines, exponentials, lines,
    tensors,
};
use crate::system::{Architecture, BLINDING_ROWS, MAX_K};

/// A saving that is not worth placing one more layout for.
const TOLERANCE: f64 = 0.02;
/// Most combinations that are placed.
const MOST_PLACED: usize = 32;
/// Fewer are placed where they have more rows than this together, but no fewer than the second number: of large networks
/// each placement takes a second, and the first ones differ by less than one in a hundred.
const MOST_PLACED_ROWS: usize = 1 << 20;
const LEAST_PLACED: usize = 3;
/// Most entries of the table on a row.
const MOST_TABLE_LANES: usize = 8;
/// Widths that are counted in circuits larger than they fill.
const MOST_NARROW: usize = 2;
/// Layers named in a refusal.
const LARGEST: usize = 3;

/// Bounds by arithmetic, fast for networks of any size. Weights are not read: they may be missing.
///
/// # Errors
/// [`LayoutError::WouldNotFit`] where no layout has as few rows as permitted, and errors of the graph itself.
pub fn needs(graph: &Graph, options: &LayoutOptions) -> Result<Needs, LayoutError> {
    // Formats may be those of a calibration that was not made: numbers have as few limbs, and tables as few rows, as
    // there may be.
    let bounds = bounds(graph, options, &Sizes::default(), &[least_k(options)])?;
    let k = bounds.iter().map(|bound| bound.size.k).min().unwrap_or(0);
    Ok(Needs { k, bytes: bounds.iter().map(|bound| bound.bytes).min().unwrap_or(0) })
}

/// A lower bound of what a proof of the graph costs, made and verified once, in milliseconds of one thread by the options'
/// prices and target: no layout is placed. The graph went through [`lower`](crate::placement::lower).
///
/// # Errors
/// As [`needs`].
pub fn least_cost(graph: &Graph, options: &LayoutOptions) -> Result<f64, LayoutError> {
    let bounds = bounds(graph, options, &Sizes::of(graph), &[least_k(options)])?;
    Ok(bounds.first().map_or(0.0, |bound| bound.cost_ms))
}

/// The least cost in circuits of each of these sizes, and the memory in bytes that this takes at least, by bounds; `None`
/// for a size that is too small. Only what takes at most `max_bytes` counts.
pub(super) fn least_costs(
    graph: &Graph,
    options: &LayoutOptions,
    ks: &[u32],
    max_bytes: u64,
) -> Result<Vec<Option<(f64, u64)>>, LayoutError> {
    let mut least = vec![None; ks.len()];
    let sizes = Sizes::of(graph);
    let all = candidates(graph, options, &sizes.ranges)?;
    let own = match bounds_of(graph, options, &sizes, (ks, &few(all))) {
        Err(LayoutError::WouldNotFit { .. }) => return Ok(least),
        bounds => bounds?,
    };
    let mut take = |bounds: &[Bound]| {
        for bound in bounds.iter().filter(|bound| bound.bytes <= max_bytes) {
            if let Some(at) = ks.iter().position(|k| *k == bound.size.k) {
                least[at].get_or_insert((bound.cost_ms, bound.bytes));
            }
        }
    };
    take(&own);
    // Beyond the sizes that its widths fill the narrowest of them are the cheapest.
    let filled = own.iter().map(|bound| bound.size.k).max().unwrap_or(0);
    let narrowest = own.iter().filter(|bound| bound.size.k == filled).take(MOST_NARROW);
    let narrowest: Vec<Widths> = narrowest.map(|bound| bound.widths).collect();
    let beyond: Vec<u32> = ks.iter().copied().filter(|k| *k > filled).collect();
    for widths in narrowest.into_iter().filter(|_| !beyond.is_empty()) {
        let options = LayoutOptions { widths: Some(widths), ..options.clone() };
        if let Ok(bounds) = bounds(graph, &options, &sizes, &beyond) {
            take(&bounds);
        }
    }
    Ok(least)
}

impl Layout {
    /// Chooses the circuit's shape and places every value of a graph that went through
    /// [`lower`](crate::placement::lower).
    ///
    /// # Errors
    /// [`LayoutError::WouldNotFit`] where no permitted size suffices, [`LayoutError::Unsupported`] for a node without a
    /// circuit, [`LayoutError::Malformed`] for a graph that fails its own checks.
    pub fn compile(graph: &Graph, options: &LayoutOptions) -> Result<Self, LayoutError> {
        best(graph, options)
    }
}

/// The cheapest layout.
fn best(graph: &Graph, options: &LayoutOptions) -> Result<Layout, LayoutError> {
    graph.validate().map_err(|error| LayoutError::Malformed(error.to_string()))?;
    let sizes = Sizes::of(graph);
    let bounds = {
        let _span = tracing::info_span!(target: "zkml_gpu::compile", "count").entered();
        bounds(graph, options, &sizes, &[least_k(options)])?
    };
    let mut search = Search::new(graph, options, sizes.ranges);
    for bound in &bounds {
        if search.is_settled(bound.cost_ms) {
            break;
        }
        search.place(bound.widths, options).or_else(|error| search.pass_by(error))?;
    }
    search.finish(bounds.len(), options)
}

/// A combination of widths, and what it needs at least.
#[derive(Clone, Copy, Debug)]
struct Bound {
    widths: Widths,
    size: CircuitSize,
    cost_ms: f64,
    bytes: u64,
}

/// What is known of range checks and tables before anything is placed.
#[derive(Clone, Debug, Default)]
struct Sizes {
    ranges: RangeBits,
    /// Rows of the tables of functions, of lines and of exponentials.
    functions: BTreeMap<Tabulated, usize>,
}

impl Sizes {
    fn of(graph: &Graph) -> Self {
        let rows = |all: &[Activation], more: usize| all.iter().map(|table| table.values.len() + more).sum::<usize>();
        let functions = |of: Tabulated| {
            // With a row for what attains a maximum, and one for what is masked.
            let tables = rows(&activations(graph, of), 0) + rows(&exponentials(graph, of), 2);
            // With one beyond each end, and one for what is masked.
            let length = |all: Vec<Segments>, more: usize| all.iter().map(|of| of.lines.len() + more).sum::<usize>();
            (of, tables + length(lines(graph, of), 2) + length(exponential_lines(graph, of), 1))
        };
        let all = [0, TABLE_BITS].into_iter().flat_map(|bits| [false, true].map(|lines| Tabulated { bits, lines }));
        Self { ranges: RangeBits::of(graph), functions: all.map(functions).collect() }
    }

    fn table_rows(&self, widths: Widths) -> usize {
        // Widths that a caller gives may have other tables: what there is at least is those without clamps, by lines.
        let known = self.functions.get(&Tabulated::of(&widths)).or_else(|| self.functions.get(&Tabulated::default()));
        (1 << widths.limb_bits) + known.copied().unwrap_or(0)
    }
}

/// All combinations that may fit, the cheapest first, in circuits of these sizes; larger ones where only these suffice.
fn bounds(graph: &Graph, options: &LayoutOptions, sizes: &Sizes, ks: &[u32]) -> Result<Vec<Bound>, LayoutError> {
    bounds_of(graph, options, sizes, (ks, &candidates(graph, options, &sizes.ranges)?))
}

/// As [`bounds`], of these combinations.
fn bounds_of(
    graph: &Graph,
    options: &LayoutOptions,
    sizes: &Sizes,
    (ks, candidates): (&[u32], &[Widths]),
) -> Result<Vec<Bound>, LayoutError> {
    let (network, costs) = (Network::of(graph), options.costs.rounded());
    let limit = (1usize << options.max_k.min(MAX_K)).saturating_sub(BLINDING_ROWS);
    let mut by_lanes = HashMap::new();
    let mut counts: HashMap<Widths, Count> = HashMap::new();
    let mut bounds: Vec<Bound> = Vec::new();
    let mut known = HashSet::new();
    let mut least: Option<(usize, Count)> = None;
    for widths in candidates.iter().copied() {
        let of_lanes = match by_lanes.entry(widths.operand_lanes) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(slot) => slot.insert(tensors(graph, widths.operand_lanes)?),
        };
        let limbs = sizes.ranges.limbs(widths.limb_bits, Tabulated::of(&widths));
        let table_rows = sizes.table_rows(widths);
        // How many results by lines a row has room for depends on the limbs.
        let limb_bits = if widths.lines { widths.limb_bits } else { 0 };
        let placed = Widths { lookup_group: 0, limb_bits, table_lanes: 0, ..widths };
        let new = || Count::new(graph, of_lanes, (widths, &limbs), options.weights);
        let count = counts.entry(placed).or_insert_with(new);
        let banks = count.rows().into_iter().fold(0, usize::max);
        for table_lanes in table_lanes(widths, table_rows, banks) {
            let table_rows = table_rows.div_ceil(table_lanes);
            let rows = banks.max(table_rows);
            if rows > limit {
                if least.as_ref().is_none_or(|(least, _)| rows < *least) {
                    least = Some((rows, count.clone()));
                }
                continue;
            }
            let widths = Widths { table_lanes, ..count.used(widths) };
            if known.insert(widths) {
                let architecture = count.architecture(graph.shift, &limbs, widths, options.weights);
                let of_size = |least_k: u32| {
                    bound(count, widths, (table_rows, least_k), network, (&costs, options.target), &architecture)
                };
                bounds.extend(sizes_of(rows, ks, options.widths.is_some()).map(of_size));
            }
        }
    }
    match least {
        Some((rows, count)) if bounds.is_empty() => Err(refusal(graph, rows, limit, &count)),
        _ => {
            bounds.sort_by(|a, b| a.cost_ms.total_cmp(&b.cost_ms));
            Ok(bounds)
        }
    }
}

/// Some of the combinations, for comparing many graphs, whose costs they raise alike: by a fifth for transformers.
fn few(all: Vec<Widths>) -> Vec<Widths> {
    let is_one = |widths: &Widths| {
        widths.limb_bits.is_multiple_of(2)
            && !widths.shared_remainders
            && widths.lookup_group != 1
            && [1, 4].contains(&widths.cross_term_lanes)
    };
    let few: Vec<Widths> = all.iter().copied().filter(is_one).collect();
    if few.is_empty() { all } else { few }
}

/// The sizes in which widths of so many rows are worth counting: the least that has room, and the next two, which other
/// segments may need. Beyond them rows are for narrower widths, unless the widths are given.
fn sizes_of(rows: usize, ks: &[u32], given: bool) -> impl Iterator<Item = u32> {
    let own = rows_log2(&[rows]);
    let least = ks.iter().copied().find(|k| *k >= own).or(ks.last().copied()).unwrap_or(own);
    ks.iter().copied().filter(move |k| (least..=least + 2).contains(k) || given && *k > least)
}

/// Numbers of entries of the table on a row that are worth trying: one, and as many as make the table no longer than
/// the banks; those of the widths where they ask for more than one.
fn table_lanes(widths: Widths, entries: usize, banks: usize) -> Vec<usize> {
    if widths.table_lanes > 1 {
        return vec![widths.table_lanes];
    }
    let room = (1usize << rows_log2(&[banks])) - BLINDING_ROWS;
    let enough = entries.div_ceil(room.max(1)).next_power_of_two().min(MOST_TABLE_LANES);
    if enough > 1 { vec![1, enough] } else { vec![1] }
}

fn bound(
    count: &Count,
    widths: Widths,
    (table_rows, least_k): (usize, u32),
    network: Network,
    (costs, target): (&Costs, VerifiedBy),
    a: &Architecture,
) -> Bound {
    let [operand, result, cross_terms] = count.rows();
    let rows = [operand, result, cross_terms, table_rows, 0];
    let filling = Filling { rows, operand_cells: count.operand_cells, gathered_cells: 0, network };
    let size = least_size(a, rows_log2(&rows).max(least_k), count.fixed_columns() + a.embedded_columns());
    Bound {
        widths,
        size,
        cost_ms: cost_ms(a, &size, &filling, (costs, target)),
        bytes: MemoryNeeds::new(a, &size, &filling).least_bytes,
    }
}

/// The smallest size that the caller permits.
fn least_k(options: &LayoutOptions) -> u32 {
    options.min_k.min(options.max_k).min(MAX_K)
}

/// log2 of the rows that hold this many, and the unusable ones.
fn rows_log2(rows: &[usize]) -> u32 {
    (rows.iter().fold(0, |most, rows| most.max(*rows)) + BLINDING_ROWS).next_power_of_two().ilog2()
}

/// The constraint system's numbers, none greater than they will be.
fn least_size(a: &Architecture, k: u32, fixed_columns: usize) -> CircuitSize {
    let previous = 1 + a.accumulator_count();
    CircuitSize {
        k,
        degree: 3.max(2 + a.lookup_group.min(a.lookups())),
        advice_columns: a.advice_columns(),
        fixed_columns,
        instance_columns: a.instance_columns(),
        argument_columns: 0,
        evaluations: a.advice_columns() + previous + fixed_columns + 1,
        openings: [2, 3],
        quotient: least_quotient(a, fixed_columns),
    }
}

/// What the search minimises: a proof, made and verified once.
fn cost_ms(a: &Architecture, size: &CircuitSize, filling: &Filling, (costs, target): (&Costs, VerifiedBy)) -> f64 {
    let expense = Expense::new(a, size, filling, WeightColumn::of(a.weights));
    let own = costs.time(&(expense.proof() + expense.verification)).busy_ms;
    match target {
        VerifiedBy::Native => own,
        // A unit of gas for a millisecond.
        VerifiedBy::Evm => own + transaction(a, size, filling.network.public_values, filling.rows[4]),
    }
}

/// The refusal of a network whose smallest layout has too many rows.
fn refusal(graph: &Graph, rows: usize, limit: usize, count: &Count) -> LayoutError {
    let all = count.rows();
    let fullest = (0..all.len()).max_by_key(|bank| all[*bank]).unwrap_or(0);
    let mut layers: Vec<(String, usize)> =
        graph.nodes.iter().zip(&count.nodes).map(|(node, rows)| (node.name.clone(), rows[fullest])).collect();
    layers.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    layers.truncate(if all[fullest] == rows { LARGEST } else { 0 });
    LayoutError::WouldNotFit { rows, limit, k: (limit + BLINDING_ROWS).ilog2(), layers }
}

/// The layouts placed so far.
struct Search<'g> {
    graph: &'g Graph,
    ranges: RangeBits,
    costs: Costs,
    best: Option<(Alternative, Placed<'g>)>,
    runner_up: Option<Alternative>,
    tried: Vec<Widths>,
    /// Rows of all of them.
    placed_rows: usize,
    /// The fewest rows of a layout that was placed and did not fit.
    too_many: Option<usize>,
    /// The first node that some widths cannot express: others may.
    unsupported: Option<LayoutError>,
    /// The first bound that some widths exceed: others may not.
    beyond: Option<LayoutError>,
}

/// A layout but for what depends on the number of rows.
struct Placed<'g> {
    draft: Draft<'g>,
    architecture: Architecture,
    size: CircuitSize,
}

impl<'g> Search<'g> {
    fn new(graph: &'g Graph, options: &LayoutOptions, ranges: RangeBits) -> Self {
        let costs = options.costs.rounded();
        Self {
            graph,
            ranges,
            costs,
            best: None,
            runner_up: None,
            tried: Vec::new(),
            placed_rows: 0,
            too_many: None,
            unsupported: None,
            beyond: None,
        }
    }

    /// Whether a bound, and so every later one, promises no saving.
    fn is_settled(&self, bound_ms: f64) -> bool {
        let best = self.best.as_ref().map(|(best, _)| best.cost_ms);
        let placed = self.tried.len();
        let is_enough = placed >= MOST_PLACED || placed >= LEAST_PLACED && self.placed_rows >= MOST_PLACED_ROWS;
        best.is_some_and(|best| bound_ms > best * (1.0 - TOLERANCE) || is_enough)
    }

    /// Places a combination, and compares it with every permitted number of lookups to a helper.
    fn place(&mut self, widths: Widths, options: &LayoutOptions) -> Result<(), LayoutError> {
        let placed = Widths { lookup_group: 0, ..widths };
        if self.tried.contains(&placed) {
            return Ok(());
        }
        self.tried.push(placed);
        let _span = tracing::info_span!(target: "zkml_gpu::compile", "place").entered();
        let least_k = least_k(options);
        let limbs = self.ranges.limbs(widths.limb_bits, Tabulated::of(&widths));
        let draft = Draft::place(self.graph, (widths, &limbs), options.weights, least_k)?;
        let (rows, filling) = (draft.planner.rows(), filling(&draft, Network::of(self.graph)));
        self.placed_rows += rows.into_iter().sum::<usize>();
        let k = rows_log2(&rows).max(least_k);
        if k > options.max_k.min(MAX_K) {
            let rows = rows.into_iter().fold(0, usize::max);
            self.too_many = Some(self.too_many.map_or(rows, |least| least.min(rows)));
            return Ok(());
        }
        let pinned = options.widths.map(|_| widths.lookup_group).or(options.lookup_group);
        let groups = pinned.map_or(1..=3, |group| group.clamp(1, 3)..=group.clamp(1, 3));
        let mut cheapest: Option<(Alternative, Architecture, CircuitSize)> = None;
        for lookup_group in groups {
            let architecture = draft.architecture(lookup_group, &limbs);
            let size = circuit_size(&architecture, k)?;
            let cost_ms = cost_ms(&architecture, &size, &filling, (&self.costs, options.target));
            let own = Alternative { widths: Widths { lookup_group, ..widths }, k, cost_ms };
            match &cheapest {
                Some((best, ..)) if best.cost_ms <= cost_ms => self.pass_over(own),
                _ => {
                    if let Some((other, ..)) = cheapest.replace((own, architecture, size)) {
                        self.pass_over(other);
                    }
                }
            }
        }
        if let Some((own, architecture, size)) = cheapest {
            // Others may be within the bounds.
            match architecture.check() {
                Ok(()) => self.offer(own, Placed { draft, architecture, size }),
                Err(bounds) => self.beyond = Some(self.beyond.take().unwrap_or(LayoutError::Bounds(bounds))),
            }
        }
        Ok(())
    }

    /// Goes on after a node that these widths cannot express; any other error ends the search.
    fn pass_by(&mut self, error: LayoutError) -> Result<(), LayoutError> {
        if matches!(error, LayoutError::Unsupported { .. }) {
            self.unsupported.get_or_insert(error);
            return Ok(());
        }
        Err(error)
    }

    fn offer(&mut self, own: Alternative, placed: Placed<'g>) {
        if self.best.as_ref().is_some_and(|(best, _)| best.cost_ms <= own.cost_ms) {
            self.pass_over(own);
        } else if let Some((other, _)) = self.best.replace((own, placed)) {
            self.pass_over(other);
        }
    }

    fn pass_over(&mut self, other: Alternative) {
        if self.runner_up.is_none_or(|runner_up| other.cost_ms < runner_up.cost_ms) {
            self.runner_up = Some(other);
        }
    }

    fn finish(self, considered: usize, options: &LayoutOptions) -> Result<Layout, LayoutError> {
        let Some((best, placed)) = self.best else {
            if let Some(error) = self.unsupported.or(self.beyond).filter(|_| self.too_many.is_none()) {
                return Err(error);
            }
            let k = options.max_k.min(MAX_K);
            let limit = (1usize << k).saturating_sub(BLINDING_ROWS);
            return Err(LayoutError::WouldNotFit { rows: self.too_many.unwrap_or(0), limit, k, layers: Vec::new() });
        };
        let choice = Choice {
            widths: best.widths,
            cost_ms: best.cost_ms,
            runner_up: self.runner_up,
            considered,
            placed: self.tried.len(),
        };
        let _span = tracing::info_span!(target: "zkml_gpu::compile", "lay_out", k = best.k).entered();
        finish(placed.draft, placed.architecture, placed.size, choice)
    }
}

/// What the cells of a draft hold.
fn filling(draft: &Draft<'_>, network: Network) -> Filling {
    let planner = &draft.planner;
    Filling {
        rows: planner.rows(),
        operand_cells: planner.operands.len(),
        gathered_cells: planner.gathers.len(),
        network,
    }
}

/// Counts the constraint system's operations.
pub(super) fn circuit_size(architecture: &Architecture, k: u32) -> Result<CircuitSize, LayoutError> {
    let mut meta = ConstraintSystem::default();
    gates::configure(&mut meta, architecture.clone());
    CircuitSize::of(&meta, k).map_err(|error| LayoutError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::WeightMode;
    use zkml_gpu_graph::{Format, Linear, Node, Op, Shape, Storage, Tensor, Window};

    fn tensor(shape: Shape) -> Tensor {
        let format = Format::new(0, 0, 31);
        Tensor { name: String::new(), shape, format, logical_shape: vec![shape.len()], storage: Storage::Plain }
    }

    /// A convolution with pooling, then a dense layer.
    fn network(side: usize) -> Graph {
        let image = Shape { channels: 2, height: side, width: side };
        let pooled = Shape { channels: 3, height: side / 2, width: side / 2 };
        let kernel = Window { kernel: [3, 3], pad_before: [1, 1], pad_after: [1, 1], ..Window::UNIT };
        let linear = |window: Window, inputs: usize, out_channels: usize, pool| {
            let weights = vec![1; inputs * window.taps() * out_channels];
            Op::Linear(Linear { window, pool, ..Linear::dense(out_channels, weights, vec![0; out_channels]) })
        };
        let node = |name: &str, op, input, output| Node {
            name: name.into(),
            op,
            inputs: vec![input],
            output,
            activation: None,
        };
        let flat = Shape::vector(pooled.len());
        Graph {
            name: String::new(),
            shift: 6,
            tensors: [image, pooled, flat, Shape::vector(40)].map(tensor).to_vec(),
            activations: Vec::new(),
            nodes: vec![
                node("convolution", linear(kernel, 2, 3, [2, 2]), 0, 1),
                node("flatten", Op::Reshape, 1, 2),
                node("dense", linear(Window::UNIT, flat.len(), 40, [1, 1]), 2, 3),
            ],
            inputs: vec![0],
            outputs: vec![3],
            visibility: zkml_gpu_graph::Visibilities::default(),
        }
    }

    #[test]
    fn no_bound_is_above_its_cost_and_no_layout_is_cheaper_than_the_choice_by_more_than_the_tolerance() {
        let graph = network(10);
        let options = LayoutOptions::default();
        let chosen = best(&graph, &options).unwrap().choice;
        let sizes = Sizes::of(&graph);
        let bounds = bounds(&graph, &options, &sizes, &[0]).unwrap();
        assert!(chosen.placed * 3 < bounds.len(), "{chosen:?}: the bounds save little");
        for bound in &bounds {
            let group = LayoutOptions { lookup_group: Some(bound.widths.lookup_group), ..options.clone() };
            let mut search = Search::new(&graph, &options, sizes.ranges.clone());
            search.place(bound.widths, &group).unwrap();
            let (placed, _) = search.best.unwrap();
            assert_eq!(placed.widths, bound.widths);
            assert!(bound.cost_ms <= placed.cost_ms, "{bound:?}: {placed:?}");
            assert!(chosen.cost_ms * (1.0 - TOLERANCE) <= placed.cost_ms, "{chosen:?}: {placed:?}");
        }
        let runner_up = chosen.runner_up.unwrap();
        assert!(runner_up.cost_ms >= chosen.cost_ms && runner_up.widths != chosen.widths);
    }

    #[test]
    fn layouts_for_contracts_have_fewer_columns_and_bounds_by_gas() {
        let graph = network(10);
        for weights in [WeightMode::Committed, WeightMode::Embedded] {
            let of = |target| LayoutOptions { target, weights, ..LayoutOptions::default() };
            let [native, evm] = [VerifiedBy::Native, VerifiedBy::Evm].map(|target| best(&graph, &of(target)).unwrap());
            let columns = |layout: &Layout| layout.architecture.advice_columns() + layout.architecture.fixed_columns();
            assert!(columns(&evm) < columns(&native), "{weights:?}: {} and {}", columns(&evm), columns(&native));
            let (options, sizes) = (of(VerifiedBy::Evm), Sizes::of(&graph));
            for bound in bounds(&graph, &options, &sizes, &[0]).unwrap().iter().step_by(5) {
                let group = LayoutOptions { lookup_group: Some(bound.widths.lookup_group), ..options.clone() };
                let mut search = Search::new(&graph, &options, sizes.ranges.clone());
                search.place(bound.widths, &group).unwrap();
                let (placed, _) = search.best.unwrap();
                assert!(bound.cost_ms <= placed.cost_ms, "{bound:?}: {placed:?}");
            }
        }
    }

    #[test]
    fn a_noisy_clock_does_not_change_the_circuit() {
        let graph = network(10);
        let chosen = best(&graph, &LayoutOptions::default()).unwrap();
        let costs = Costs {
            full_point_ns: Costs::reference().full_point_ns * 0.8,
            butterfly_ns: Costs::reference().butterfly_ns * 1.1,
            row_multiplication_ns: Costs::reference().row_multiplication_ns * 1.25,
            host_multiplication_ns: Costs::reference().host_multiplication_ns * 0.9,
            parallelism: 64.0,
            ..Costs::reference()
        };
        let again = best(&graph, &LayoutOptions { costs, ..LayoutOptions::default() }).unwrap();
        assert_eq!((again.architecture, again.k, again.fixed), (chosen.architecture, chosen.k, chosen.fixed));
        assert_eq!(again.choice, chosen.choice);
    }

    #[test]
    fn other_prices_change_the_number_of_lookups_to_a_helper() {
        let graph = network(10);
        let group = |costs: Costs| {
            best(&graph, &LayoutOptions { costs, ..LayoutOptions::default() }).unwrap().choice.widths.lookup_group
        };
        let reference = Costs::reference();
        let dear_points = Costs { full_point_ns: 64.0 * reference.full_point_ns, ..reference.clone() };
        // A helper of more keys is evaluated on more cosets, with more multiplications for each key.
        let dear_gates = Costs {
            full_point_ns: reference.full_point_ns / 1024.0,
            row_multiplication_ns: 256.0 * reference.row_multiplication_ns,
            ..reference
        };
        assert_eq!((group(dear_points), group(dear_gates)), (3, 1));
    }

    #[test]
    fn what_has_too_many_rows_is_refused_with_the_numbers_and_the_layers() {
        let options = LayoutOptions { max_k: 9, ..LayoutOptions::default() };
        let graph = network(64);
        for error in [best(&graph, &options).unwrap_err(), needs(&graph, &options).unwrap_err()] {
            let LayoutError::WouldNotFit { rows, limit, k, layers } = &error else { panic!("{error}") };
            assert!(rows > limit && (*limit, *k) == (506, 9), "{error}");
            // A dense layer has a row for each of its 3 · 32 · 32 inputs, and 40 biases in a row.
            assert_eq!(layers[0], ("dense".to_owned(), 3 * 32 * 32 + 1), "{error}");
            assert!(error.to_string().contains("largest layers: 'dense' 3073, 'convolution'"), "{error}");
        }
    }

    #[test]
    fn what_fits_needs_no_less_than_its_bounds() {
        let graph = network(10);
        let least = needs(&graph, &LayoutOptions::default()).unwrap();
        let layout = best(&graph, &LayoutOptions::default()).unwrap();
        assert!(least.k <= layout.k && 0 < least.bytes && least.bytes <= layout.memory(&graph).least_bytes);
    }

    #[test]
    fn the_rows_that_no_gate_may_use_are_those_of_the_constraint_system() {
        let layout = best(&network(10), &LayoutOptions::default()).unwrap();
        assert_eq!(gates::unusable_rows(&layout.architecture), BLINDING_ROWS);
    }
}
