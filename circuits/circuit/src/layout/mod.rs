//! The layout compiler: from a quantised graph to rows and columns.
//!
//! Three banks share the circuit's rows, each filled from row 0 downwards and each with accumulators of its own:
//!
//! - the **operand bank** holds, for each product, a copy of its operand beside the folded weights, channel by channel;
//!   public inputs and outputs stand there too, read from the instance columns;
//! - the **result bank** holds every requantised value once, with its remainder and excess;
//! - the **garbage bank** holds the coefficients of a convolution's product polynomial that are not outputs: folded over
//!   output channels where the weights are committed, channel by channel where they are embedded.
//!
//! Every identity is one sum of terms at the ends of accumulators, over `t` plus its own number, in one grand sum.

mod architecture;
mod challenge;
mod choose;
mod cost;
mod count;
mod degree;
mod geometry;
mod lower;
mod plan;
mod planner;
mod search;
mod statement;
mod table;
mod tensors;

use thiserror::Error;
use zkml_gpu_engine::{cost::Costs, prover::CircuitSize};

pub use architecture::{Accumulator, Architecture, FixedRole, RowKind, Source, WeightMode};
pub use challenge::{Factor, Power, Ring, Variable};
pub use choose::{Alternative, Choice, Needs, needs};
pub use cost::MemoryNeeds;
pub use geometry::Geometry;
pub use lower::lower;
pub use plan::{LayerPlan, Plan};
pub(crate) use planner::{Order, Planner, ResultEntry, Segment};
pub use search::Widths;
pub use statement::{Placement, Port, Statement, StatementError};
pub use table::{FIRST_ACTIVATION_TAG, GATHER_TAG, MASKED, RANGE_TAG, TableRow, Tables, saturate};

use zkml_gpu_graph::Graph;

/// Why a graph has no layout.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The circuit is larger than the largest one that may be built.
    #[error(
        "the circuit needs {rows} rows, more than the {limit} usable rows of k = {k}; {}\n\
         hint: prove a smaller model, or the model in parts",
        largest(layers)
    )]
    WouldNotFit {
        /// Rows needed by the fullest bank.
        rows: usize,
        /// Usable rows at the largest permitted size.
        limit: usize,
        /// Largest permitted size.
        k: u32,
        /// The largest layers of that bank, with their rows.
        layers: Vec<(String, usize)>,
    },
    /// Inputs and outputs take more of the instance columns than a verifier reads.
    #[error(
        "public inputs and outputs take {cells} cells, more than {limit}\n\
         hint: the verifier handles every one; use a model with smaller inputs or outputs"
    )]
    PublicValues {
        /// Cells needed.
        cells: usize,
        /// Cells that a verifier reads.
        limit: usize,
    },
    /// The circuit's shape is beyond what a verifier builds.
    #[error(
        "the circuit is beyond what a verifier builds: {0}\nhint: use a model with fewer layers, or smaller images and windows"
    )]
    Bounds(String),
    /// The node has a form that the circuit cannot express.
    #[error("node '{node}': {reason}")]
    Unsupported {
        /// Name of the node.
        node: String,
        /// What is in the way.
        reason: String,
    },
    /// The graph breaks one of its own invariants.
    #[error("malformed graph: {0}")]
    Malformed(String),
}

fn largest(layers: &[(String, usize)]) -> String {
    let names: Vec<String> = layers.iter().map(|(name, rows)| format!("'{name}' {rows}")).collect();
    if names.is_empty() { "they hold lookup tables".into() } else { format!("largest layers: {}", names.join(", ")) }
}

/// Largest log2 of a circuit's number of rows: keys of a larger one are refused before anything is computed from them.
pub const MAX_K: u32 = 22;

/// Choices that the layout leaves to its caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayoutOptions {
    /// Largest circuit size to consider, at most [`MAX_K`].
    pub max_k: u32,
    /// Where the learned values stand.
    pub weights: WeightMode,
    /// Most columns of the weight bank: each costs the verifying key 32 bytes and the verifier one scalar multiplication,
    /// and, where the weights are embedded, the proof 32 bytes and the prover a fixed column.
    pub max_weight_columns: usize,
    /// Lookups that share one helper column, 1 to 3: gates then have degree `lookup_group + 2`. Chosen by cost where absent.
    pub lookup_group: Option<usize>,
    /// Widths to take instead of any choice, raised where the network needs more.
    pub widths: Option<Widths>,
    /// Prices by which the layout is chosen, after [`Costs::rounded`]. The verifying key depends on the choice: equal prices
    /// give equal layouts, and the default are the reference processor's.
    pub costs: Costs,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            max_k: 20,
            weights: WeightMode::default(),
            max_weight_columns: 1024,
            lookup_group: None,
            widths: None,
            costs: Costs::reference(),
        }
    }
}

/// A cell of the operand bank that copies an element of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct OperandCell {
    /// Row.
    pub row: u32,
    /// Operand lane, or left lane.
    pub lane: u32,
    /// Whether it is a left operand's.
    pub left: bool,
    /// Tensor copied.
    pub tensor: u32,
    /// Its element.
    pub element: u32,
}

/// Where a gathered value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// An element of a tensor that has cells.
    Element {
        /// The tensor.
        tensor: u32,
        /// Its element.
        element: u32,
    },
    /// A constant of the gather table.
    Constant(i64),
}

/// A cell of the result bank that is gathered.
#[derive(Clone, Copy, Debug)]
pub struct GatherCell {
    /// Row.
    pub row: u32,
    /// Copy column.
    pub copy: u32,
    /// Where its value comes from.
    pub source: Gathered,
}

/// A row of the result bank.
#[derive(Clone, Copy, Debug)]
pub struct ResultRow {
    /// Row.
    pub row: u32,
    /// What it holds.
    pub kind: RowKind,
    /// The node that computes it.
    pub node: u32,
    /// Its first output element; for a candidate, the output element times the number of candidates plus which one it is; for a
    /// group's row, its last member.
    pub element: u32,
}

/// Which learned values a row of the weight bank holds: column `c` of block `b` holds output channel
/// `outputs - 1 - (b · columns + c)`.
#[derive(Clone, Copy, Debug)]
pub struct BankRow {
    /// Row.
    pub row: u32,
    /// The node whose values these are.
    pub node: u32,
    /// Which block of output channels, counted from the last channel.
    pub block: u32,
    /// Which values of each output channel.
    pub values: BankValues,
}

/// The values that a row of the weight bank takes from each output channel.
#[derive(Clone, Copy, Debug)]
pub enum BankValues {
    /// The weight at this index of `[in][kernel height][kernel width]`.
    Weight(u32),
    /// The bias.
    Bias,
    /// The summand of this element; one output channel.
    Offset(u32),
}

/// The free coefficients of one convolution, or of one of its output channels.
#[derive(Clone, Debug)]
pub struct GarbageRun {
    /// The node.
    pub node: u32,
    /// The output channel; none where the coefficients are folded over all of them.
    pub channel: Option<u32>,
    /// Row pitch of its product polynomial.
    pub row_pitch: usize,
    /// First row; position `p` (exponent `degree - p`, `degree` being one less than rows × lanes) is in row `first_row + p / lanes`, lane `p % lanes`.
    pub first_row: u32,
    /// For each position, whether the coefficient is free (the product reaches it and it is no output).
    pub free: Vec<bool>,
}

/// Where everything stands.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Shape of the constraint system.
    pub architecture: Architecture,
    /// log2 of the number of rows.
    pub k: u32,
    /// Nonzero cells of each fixed column: (row, value).
    pub fixed: Vec<Vec<(u32, i64)>>,
    /// The lookup tables.
    pub tables: Tables,
    /// Copies of operands.
    pub operands: Vec<OperandCell>,
    /// Results.
    pub results: Vec<ResultRow>,
    /// Learned values.
    pub bank: Vec<BankRow>,
    /// Free coefficients.
    pub garbage: Vec<GarbageRun>,
    /// Gathered copies at fixed indices.
    pub gathers: Vec<GatherCell>,
    /// Public inputs and outputs.
    pub statement: Statement,
    /// Number of identities.
    pub identities: usize,
    /// Greatest exponent of `r` that a committed cell reaches: the degree in the statistical error of the identities.
    pub max_degree: usize,
    /// Rows in use: operand, result and garbage bank, table.
    pub rows: [usize; 4],
    /// Rows that each node takes of the three banks, then those of public tensors that no node reads.
    pub layers: Vec<[usize; 3]>,
    /// What the circuit asks of the prover.
    pub size: CircuitSize,
    /// How the widths were chosen.
    pub choice: Choice,
    usable: usize,
}

/// The layout in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// log2 of the number of rows.
    pub k: u32,
    /// Rows used by the fullest bank.
    pub rows: usize,
    /// Advice columns.
    pub advice_columns: usize,
    /// Fixed columns, embedded weights among them.
    pub fixed_columns: usize,
    /// Columns of the weight bank.
    pub weight_columns: usize,
    /// Lookups: range-checked, gathered and activation cells in use.
    pub lookups: usize,
    /// Rows of the lookup tables.
    pub table_rows: usize,
    /// Identities in the grand sum.
    pub identities: usize,
    /// Greatest exponent of the position challenge.
    pub max_degree: usize,
}

impl Layout {
    /// Chooses the circuit's shape and places every value of a graph that went through [`lower`].
    ///
    /// # Errors
    /// [`LayoutError::WouldNotFit`] where no permitted size suffices, [`LayoutError::Unsupported`] for a node without a
    /// circuit, [`LayoutError::Malformed`] for a graph that fails its own checks.
    pub fn compile(graph: &Graph, options: &LayoutOptions) -> Result<Self, LayoutError> {
        choose::best(graph, options)
    }

    /// log2 of the number of rows.
    pub const fn k(&self) -> u32 {
        self.k
    }

    /// Rows that gates may use: all but the blinding rows and the one before them.
    pub const fn usable_rows(&self) -> usize {
        self.usable
    }

    /// The layout in numbers.
    pub fn summary(&self) -> Summary {
        Summary {
            k: self.k,
            rows: self.rows.into_iter().max().unwrap_or(0),
            advice_columns: self.architecture.advice_columns(),
            fixed_columns: self.architecture.fixed_columns(),
            weight_columns: self.architecture.weight_columns,
            lookups: self.results.iter().map(|row| row.lookups(&self.architecture)).sum(),
            table_rows: self.tables.rows.len(),
            identities: self.identities,
            max_degree: self.max_degree,
        }
    }
}

impl ResultRow {
    /// Cells of the row that are looked up.
    fn lookups(&self, architecture: &Architecture) -> usize {
        let requantise = architecture.requantise_columns() + 1;
        match self.kind {
            RowKind::Requantise { lanes, .. } | RowKind::Multiply { lanes, .. } | RowKind::Normalise { lanes, .. } => {
                lanes * requantise
            }
            RowKind::Exponential { lanes } => lanes,
            RowKind::Share { limbs: [quotient, difference], .. }
            | RowKind::Root { limbs: [quotient, difference], .. } => quotient + 2 * difference,
            RowKind::MaximumOfWindow { height, width, .. } => requantise + height * width * architecture.spread_limbs,
            RowKind::Raw => 0,
            RowKind::GatheredMaximum { window } => 1 + window * (1 + architecture.spread_limbs),
            RowKind::GatheredSum => requantise + architecture.gather_columns,
            RowKind::Copies { lanes } => 2 * lanes,
            RowKind::Index => 1,
            RowKind::Candidate { .. } => 3 + architecture.spread_limbs,
        }
    }
}
