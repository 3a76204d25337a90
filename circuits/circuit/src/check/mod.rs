//! The definition of soundness in code: what a finished layout says, compared with what its graph says.
//!
//! [`check`] takes a graph, the layout that was made for it and the weight bank, and trusts none of the code that made
//! the layout: it shares nothing with planner, tensors or count. Its view is the verifier's: the fixed columns, the
//! gates that read them (`rows`), the weight bank and the statement. From these it derives,
//! symbolically, what every identity, lookup, gather and instance cell says of the cells that a prover commits to, and
//! refuses a layout unless that is the graph, no more and no less:
//!
//! 1. The lookup tables hold, under each tag, the function that the graph names (`tables.rs`).
//! 2. Each row of the result bank is of a kind that computes its node, with the node's own numbers; each element of
//!    each tensor has one cell (`rows.rs`).
//! 3. Each gathered copy is an element of the table or of one cell, and is counted there (`gathers.rs`).
//! 4. Each identity is a polynomial in the challenges `s` and `r` over cells (`polynomial.rs`). An identity of digests
//!    says, power by power, that one copy equals one element (`ties.rs`). An identity of a product, a combination or a
//!    sum says, at the power of each accumulator, its definition and nothing else; what is free stands at other powers
//!    (`definitions.rs`, `sums.rs`).
//! 5. What a row computes with is what its node reads (`rows.rs`), and each public cell is the element that the
//!    statement says (`ports.rs`).
//! 6. Each row of a hash follows from the one before as the hash of its tensor does (`hashes.rs`).
//! 7. As integers all of this stays far below p/2, so that equality modulo p is equality (`bounds.rs`).
//!
//! Where the layout lists rows, operands or weights for the prover's witness, the check takes the lists as claims to be
//! proved from the fixed columns. A cell is a variable, also one that an honest prover leaves zero: padding of
//! operands, weights outside the architecture's mask, idle lanes. What the check does not understand it refuses.
//! `docs/protocol.md` has the argument.

mod bounds;
mod cells;
mod definitions;
mod fixed;
mod gathers;
mod hashes;
mod places;
mod polynomial;
mod ports;
mod rows;
mod sums;
mod tables;
mod ties;
mod values;
mod weights;

use thiserror::Error;
use zkml_gpu_graph::Graph;

use self::cells::Cells;
use self::fixed::Fixed;
use self::gathers::Gathers;
use self::hashes::Hashing;
use self::places::Rows;
use self::polynomial::Identities;
use self::tables::CheckedTables;
use self::values::Values;
use self::weights::Weights;
pub(crate) use self::weights::{BankCells, bank_cells};
use crate::commit::Bank;
use crate::layout::Layout;
use crate::system::MAX_K;

/// Why a layout is refused: it does not say what the graph says, or the check does not understand it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{}the layout does not say what the graph says: {reason}\nhint: this is a bug; please report it with the model",
    place(node)
)]
pub struct CheckError {
    /// Name of the node, where one is to blame.
    pub node: Option<String>,
    /// What is wrong.
    pub reason: String,
}

fn place(node: &Option<String>) -> String {
    node.as_ref().map(|node| format!("node '{node}': ")).unwrap_or_default()
}

type Check<T = ()> = Result<T, CheckError>;

fn refuse<T>(reason: impl Into<String>) -> Check<T> {
    Err(CheckError { node: None, reason: reason.into() })
}

fn require(holds: bool, reason: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { refuse(reason()) }
}

/// Says which node an error is about.
trait AtNode<T> {
    fn at(self, graph: &Graph, node: usize) -> Check<T>;
}

impl<T> AtNode<T> for Check<T> {
    fn at(self, graph: &Graph, node: usize) -> Self {
        self.map_err(|error| CheckError { node: error.node.or_else(|| Some(graph.nodes[node].name.clone())), ..error })
    }
}

/// What a check saw: how many statements it proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Copies that digests tie to elements, padding included.
    pub copies: usize,
    /// Accumulators that an identity defines.
    pub accumulators: usize,
    /// Sums over groups.
    pub sums: usize,
    /// Free coefficients.
    pub free: usize,
    /// Gathered copies.
    pub gathers: usize,
    /// Rows of the lookup tables.
    pub table_rows: usize,
    /// Public cells.
    pub public: usize,
    /// Hashes of tensors.
    pub hashes: usize,
}

/// Proves that a layout says what its graph says.
///
/// # Errors
/// [`CheckError`] names the first thing that differs or is not understood.
pub fn check(graph: &Graph, layout: &Layout, bank: &Bank) -> Result<Checked, CheckError> {
    if let Err(error) = graph.validate() {
        return refuse(error.to_string());
    }
    let a = &layout.architecture;
    if let Err(reason) = a.check() {
        return refuse(reason);
    }
    require((1..=MAX_K).contains(&layout.k), || format!("2^{} rows", layout.k))?;
    let fixed = Fixed::read(layout)?;
    let mut seen = Checked::default();
    let values = Values::new(graph)?;
    let weights = Weights::new(graph, layout, bank)?;
    let tables = CheckedTables::new(graph, layout, &fixed)?;
    seen.table_rows = tables.rows();
    let mut cells = Cells::new(layout);
    let rows = Rows::new(graph, layout, &fixed)?;
    rows.check(&fixed, &tables, &values, &mut cells)?;
    ports::inputs(graph, layout, &values, &mut cells)?;
    let gathers = Gathers::new(layout, &fixed, &tables, &rows, &cells, &values)?;
    seen.gathers = gathers.len();
    rows.check_gathers(&gathers, &values)?;
    let identities = Identities::new(layout, &fixed)?;
    // The gate of the folded weights adds an embedded bank beside left operands, too.
    let shared = layout.bank.iter().find(|row| identities.left(row.row as usize).is_some());
    require(shared.is_none(), || format!("a row of left operands has weights: {shared:?}"))?;
    check_identities(
        &Reading { graph, layout, rows: &rows, values: &values, weights: &weights },
        &identities,
        &mut cells,
        &mut seen,
    )?;
    rows.check_factors(&cells, &values)?;
    seen.hashes = hashes::check(&Hashing { graph, layout, fixed: &fixed, values: &values, cells: &cells })?;
    seen.public = ports::outputs(graph, layout, &rows, &values, &cells)?;
    bounds::check(graph, layout)?;
    Ok(seen)
}

/// What identities are read with.
struct Reading<'l> {
    graph: &'l Graph,
    layout: &'l Layout,
    rows: &'l Rows<'l>,
    values: &'l Values,
    weights: &'l Weights<'l>,
}

/// Each identity ties copies, defines a node's accumulators, or a node's sums; each node that needs one has one.
fn check_identities(
    reading: &Reading<'_>,
    identities: &Identities<'_>,
    cells: &mut Cells,
    seen: &mut Checked,
) -> Check {
    let graph = reading.graph;
    let mut defined = vec![false; graph.nodes.len()];
    let mut define = |node: usize| {
        let again = std::mem::replace(&mut defined[node], true);
        require(!again, || "two identities define it".into()).at(graph, node)
    };
    // Digests come first: what definitions read is what digests tie.
    let (ties, others): (Vec<usize>, Vec<usize>) = (0..identities.len()).partition(|number| identities.is_tie(*number));
    for number in ties {
        let identity = identities.expand(number)?;
        seen.copies += ties::check(reading, &identity, cells)?;
    }
    for number in others {
        let identity = identities.expand(number)?;
        if identity.is_sum() {
            let node = sums::node(reading, &identity)?;
            define(node)?;
            seen.sums += sums::check(reading, &identity, node, cells).at(graph, node)?;
        } else {
            let node = definitions::node(reading, &identity)?;
            define(node)?;
            let (accumulators, free) =
                definitions::check(reading, identities, &identity, node, cells).at(graph, node)?;
            seen.accumulators += accumulators;
            seen.free += free;
        }
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        require(defined[index] == definitions::needs_identity(graph, node), || "no identity defines it".into())
            .at(graph, index)?;
    }
    Ok(())
}
