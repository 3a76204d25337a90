//! A layout in numbers, before anything is proved: rows, columns, lookups and time, in all and by layer; and memory.

use serde::Serialize;
use zkml_gpu_engine::cost::{Costs, Time, Work};
use zkml_gpu_graph::{Graph, Op};

use super::choice::Choice;
use super::cost::{Bank, Expense, Filling, MemoryNeeds, Network, WeightColumn};
use super::finished::Layout;
use crate::system::{BLINDING_ROWS, Tables};

/// What a layout will cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// log2 of the number of rows.
    pub k: u32,
    /// Rows in use: operand, result and cross-term bank, lookup tables.
    pub rows: [usize; 5],
    /// Advice columns of each phase.
    pub advice_columns: [usize; 3],
    /// Fixed columns.
    pub fixed_columns: usize,
    /// Instance columns.
    pub instance_columns: usize,
    /// Columns of the weight bank.
    pub weight_columns: usize,
    /// Greatest degree of a gate.
    pub degree: usize,
    /// Looked-up cells in use.
    pub lookups: usize,
    /// How functions and exponentials are proved.
    pub functions: FunctionPlan,
    /// Bits of the statistical error, as [`Layout::soundness_bits`].
    pub soundness_bits: f64,
    /// The layers, in order of evaluation, then the public tensors that no layer reads.
    pub layers: Vec<LayerPlan>,
    /// Time of rows that no layer uses, of the lookup tables and of what the whole circuit shares, as a part of the
    /// proof's.
    pub unused_share: f64,
    /// Processor or device time of a proof, in milliseconds.
    pub prove_cpu_ms: f64,
    /// Time that a proof takes, in milliseconds.
    pub prove_ms: f64,
    /// Time of a verification, in milliseconds.
    pub verify_ms: f64,
    /// Bytes of a proof.
    pub proof_bytes: usize,
    /// Bytes of the verifying keys.
    pub key_bytes: usize,
    /// How the widths were chosen.
    pub choice: Choice,
}

/// How functions and exponentials are proved, other than clamps by limbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FunctionPlan {
    /// Those that have a table.
    pub tables: usize,
    /// Entries of these tables.
    pub entries: usize,
    /// Those that are by straight lines.
    pub by_lines: usize,
    /// Their lines.
    pub lines: usize,
    /// Arguments of these lines.
    pub arguments: usize,
}

impl FunctionPlan {
    fn new(tables: &Tables) -> Self {
        let tabulated = || tables.activations.iter().chain(&tables.exponentials).map(|(table, _)| table.values.len());
        let by_lines = || tables.lines.iter().chain(&tables.exponential_lines).map(|(segments, _)| segments);
        Self {
            tables: tabulated().count(),
            entries: tabulated().sum(),
            by_lines: by_lines().count(),
            lines: by_lines().map(|segments| segments.lines.len()).sum(),
            arguments: by_lines().map(|segments| segments.lines.len() << segments.low).sum(),
        }
    }
}

/// What one layer costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerPlan {
    /// The node's name.
    pub name: String,
    /// What it computes.
    pub operator: &'static str,
    /// Rows of the operand bank.
    pub operand_rows: usize,
    /// Rows of the result bank.
    pub result_rows: usize,
    /// Rows of the cross-term bank.
    pub cross_term_rows: usize,
    /// Cells of small integers on those rows.
    pub small_cells: usize,
    /// Cells of full-size field elements on those rows.
    pub full_cells: usize,
    /// Looked-up cells.
    pub lookups: usize,
    /// The part of the proof's time that its rows cause.
    pub share: f64,
}

/// Bytes of a compressed point, and of a scalar.
const POINT_BYTES: usize = 32;
/// Bytes of a key file besides: its header with the digests, what is said of the model, and sizes.
const KEY_FORM_BYTES: usize = 400;
/// Bytes of a link proof: a point, and a scalar for each blinding row.
const LINK_BYTES: usize = POINT_BYTES * (1 + BLINDING_ROWS);
/// Points of the reference string that a verifier needs: one, and two that are twice as long.
const VERIFIER_POINTS: usize = 5;

impl Layout {
    /// The layout's cost on a back end with these prices. `graph` is the graph that the layout was made for.
    pub fn plan(&self, graph: &Graph, costs: &Costs) -> Plan {
        let (a, size) = (&self.architecture, &self.size);
        let filling = self.filling(graph);
        let expense = Expense::new(a, size, &filling, WeightColumn::of(a.weights));
        let prove = costs.time(&expense.proof());
        let layers = self.layers(graph, costs, &expense, prove);
        Plan {
            k: self.k,
            rows: self.rows,
            advice_columns: [a.first_phase(), a.second_phase(), a.third_phase()],
            fixed_columns: size.fixed_columns,
            instance_columns: size.instance_columns,
            weight_columns: a.weight_columns,
            degree: size.degree,
            lookups: self.summary().lookups,
            functions: FunctionPlan::new(&self.tables),
            soundness_bits: self.soundness_bits(),
            unused_share: (1.0 - layers.iter().map(|layer| layer.share).sum::<f64>()).max(0.0),
            layers,
            prove_cpu_ms: prove.busy_ms,
            prove_ms: prove.wall_ms,
            verify_ms: costs.time(&expense.verification).busy_ms,
            proof_bytes: size.proof_bytes() + LINK_BYTES,
            key_bytes: self.key_bytes(),
            choice: self.choice.clone(),
        }
    }

    /// Memory of a process that makes keys and a proof. `graph` is the graph that the layout was made for.
    pub fn memory(&self, graph: &Graph) -> MemoryNeeds {
        MemoryNeeds::new(&self.architecture, &self.size, &self.filling(graph))
    }

    /// The points of circuit and model, and the circuit's description.
    fn key_bytes(&self) -> usize {
        let points = self.size.fixed_columns + self.architecture.weight_columns + BLINDING_ROWS + VERIFIER_POINTS;
        // Plain numbers and strings always serialise.
        let description = [serde_json::to_vec(&self.architecture), serde_json::to_vec(&self.statement)];
        KEY_FORM_BYTES + POINT_BYTES * points + description.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    }

    fn filling(&self, graph: &Graph) -> Filling {
        Filling {
            rows: self.rows,
            operand_cells: self.operands.len(),
            gathered_cells: self.gathers.len(),
            network: Network::of(graph),
        }
    }

    fn layers(&self, graph: &Graph, costs: &Costs, expense: &Expense, prove: Time) -> Vec<LayerPlan> {
        let mut lookups = vec![0; graph.nodes.len()];
        for (row, looked_up) in self.lookups() {
            lookups[row.node as usize] += looked_up;
        }
        let nodes = graph.nodes.iter().map(|node| (node.name.as_str(), operator(&node.op)));
        let all = nodes.chain([("public tensors", "Statement")]).zip(lookups.into_iter().chain([0]));
        let layer = |(((name, operator), lookups), rows): (((&str, &'static str), usize), &[usize; 3])| {
            let [small_cells, full_cells] = self.cells(*rows);
            let work: Work = (0..3).map(|bank| self.share(expense.banks[bank], bank, rows[bank])).sum();
            LayerPlan {
                name: name.into(),
                operator,
                operand_rows: rows[0],
                result_rows: rows[1],
                cross_term_rows: rows[2],
                small_cells,
                full_cells,
                lookups,
                share: costs.time(&work).busy_ms / prove.busy_ms,
            }
        };
        all.zip(&self.layers).map(layer).collect()
    }

    /// A bank's work for so many of its rows.
    fn share(&self, work: Bank, bank: usize, rows: usize) -> Work {
        let all = (1u64 << self.k) as f64;
        work.columns * (rows as f64 / all) + work.rows * (rows as f64 / self.rows[bank].max(1) as f64)
    }

    /// Cells of small integers and of full-size elements on rows of the three banks.
    fn cells(&self, [operand, result, cross_terms]: [usize; 3]) -> [usize; 2] {
        let a = &self.architecture;
        let results = 3 * a.activation_lanes + a.range_columns + a.gather_columns + a.product_columns;
        // Folded weights and three accumulators; three accumulators and the helpers; coefficients and their
        // accumulator.
        let full = 4 * operand + (3 + a.helpers() + a.source_lanes()) * result;
        [operand * a.operand_columns + result * results, full + cross_terms * (a.cross_term_lanes + 1)]
    }
}

fn operator(op: &Op) -> &'static str {
    match op {
        Op::Linear(linear) if linear.pool != [1, 1] => "Linear, pooled",
        Op::Linear(linear) if linear.input_dilation != [1, 1] => "Linear, transposed",
        Op::Linear(_) => "Linear",
        Op::Combine { .. } => "Combine",
        Op::MaxPool(_) => "MaxPool",
        Op::AveragePool { .. } => "AveragePool",
        Op::Reshape => "Reshape",
        Op::Rearrange { .. } => "Rearrange",
        Op::ArgMax { .. } => "ArgMax",
        Op::Enter => "Hidden input",
        Op::MatMul(_) => "MatMul",
        Op::Multiply(_) => "Multiply",
        Op::Softmax(_) => "Softmax",
        Op::Normalise(_) => "Normalise",
    }
}
