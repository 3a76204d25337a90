//! The exponent audit: expands every identity of a layout symbolically, from the layout's public data alone, and
//! compares it with the layers' definitions.
//!
//! Each committed cell is a variable, also those that an honest prover leaves zero: padding of operands, weights
//! outside the architecture's mask. A monomial `s^a·r^b` of an identity holds a form in these variables that must
//! vanish. The audit demands that the monomial of an output holds its own definition and nothing else, and that what is
//! free stays away.

mod auditor;
mod columns;
mod gathers;

use std::collections::BTreeMap;

use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_circuit::system::{Factor, Power, Variable};
use zkml_gpu_graph::{Graph, Node, Op, Shape, Storage, TensorId};

pub use auditor::Auditor;
pub use columns::Columns;

/// A committed or public value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "lanes, rows and elements are what they are called")]
pub enum Cell {
    /// A copy of an operand.
    Operand { lane: usize, row: usize },
    /// A public value.
    Instance { column: usize, row: usize },
    /// A learned value.
    Weight { column: usize, row: usize },
    /// An accumulator.
    Result { row: usize, slot: usize },
    /// What follows requantisation.
    Activated { lane: usize, row: usize },
    /// A free coefficient.
    CrossTerms { lane: usize, row: usize },
    /// A cell of a left operand.
    Left { lane: usize, row: usize },
    /// A cell of a column of a committed tensor.
    Committed { column: usize, row: usize },
    /// A value of a row of a hash.
    Hashed { row: usize },
    /// A copy beside a result.
    Factor { group: usize, lane: usize, row: usize },
    /// Whether a member is shown to attain its group's maximum.
    Mark { lane: usize, row: usize },
    /// An exponential of an element of a node's operand.
    Exponential { node: usize, element: usize },
    /// A value of a group of a node.
    Group { node: usize, sort: usize, group: usize },
    /// An index of a hidden input, which its tensor holds as ones and zeros.
    Index { tensor: TensorId, index: usize },
    /// An element of a tensor: what cells are resolved to.
    Element { tensor: TensorId, element: usize },
    /// A number of the graph.
    Constant(i64),
    /// A weight or bias (the last tap) of a node's output channel.
    Learned { node: usize, output: usize, tap: usize },
}

/// `(exponent of s, exponent of r)`.
pub type Monomial = (usize, usize);
/// Products of cells with coefficients.
pub type Form = BTreeMap<Vec<Cell>, i64>;
/// Forms by monomial.
pub type Poly = BTreeMap<Monomial, Form>;
/// What an audit finds, or what is wrong.
pub type Audit<T> = Result<T, String>;

fn add(to: &mut Poly, monomial: Monomial, product: Vec<Cell>, coefficient: i64) {
    let form = to.entry(monomial).or_default();
    let sum = form.entry(product.clone()).or_default();
    *sum += coefficient;
    if *sum == 0 {
        form.remove(&product);
    }
    if form.is_empty() {
        to.remove(&monomial);
    }
}

fn shifted(poly: &Poly, (s, r): Monomial) -> Poly {
    poly.iter().map(|((a, b), form)| ((a + s, b + r), form.clone())).collect()
}

fn multiplied(a: &Poly, b: &Poly) -> Poly {
    let mut product = Poly::new();
    for (((s, r), f), ((u, v), g)) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))) {
        for ((x, c), (y, d)) in f.iter().flat_map(|x| g.iter().map(move |y| (x, y))) {
            let mut cells = [x.as_slice(), y].concat();
            cells.sort_unstable();
            add(&mut product, (s + u, r + v), cells, c * d);
        }
    }
    product
}

fn monomial(power: Power) -> Monomial {
    match power.variable {
        Variable::S => (power.exponent, 0),
        Variable::R => (0, power.exponent),
    }
}

/// Exponents of `r` in a factor.
fn exponents(factor: &Factor) -> Vec<usize> {
    factor.runs.iter().fold(vec![factor.shift], |all, (step, count)| {
        all.iter().flat_map(|e| (0..(*count).max(1)).map(move |m| e + step * m)).collect()
    })
}

/// What an audit saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Identities of products.
    pub products: usize,
    /// Identities of combinations.
    pub combinations: usize,
    /// Identities of digests.
    pub ties: usize,
    /// Accumulators.
    pub outputs: usize,
    /// Identities of sums over groups.
    pub sums: usize,
    /// Monomials of weights that the architecture leaves out.
    pub masked: usize,
    /// Cells that are zero.
    pub padding: usize,
    /// Exponents of free coefficients.
    pub cross_terms: usize,
}

fn position(shape: Shape, element: usize) -> (usize, usize, usize) {
    (element / (shape.height * shape.width), element / shape.width % shape.height, element % shape.width)
}

/// Greatest exponent of `r`.
pub fn degree(identity: &Poly) -> usize {
    identity.keys().map(|(_, r)| *r).max().unwrap_or(0)
}

/// Groups of a node.
fn groups(op: &Op) -> usize {
    match op {
        Op::Softmax(softmax) => softmax.groups,
        Op::Normalise(normalise) => normalise.groups,
        _ => 1,
    }
}

/// Whether an identity is one of sums over groups.
fn adds_up(identity: &Poly) -> bool {
    let summed = |cells: &Vec<Cell>| {
        // The number 1 stands in sums alone.
        cells.is_empty()
            || cells.iter().any(|cell| matches!(cell, Cell::Mark { .. }))
            || matches!(cells[..], [Cell::Factor { .. }, Cell::Factor { .. }])
    };
    identity.values().flat_map(BTreeMap::keys).any(summed)
}

/// Whether an identity constrains accumulators, and not digests alone.
fn defines(identity: &Poly) -> bool {
    let defining = |cell: &Cell| matches!(cell, Cell::Result { .. } | Cell::Weight { .. });
    identity.values().flat_map(BTreeMap::keys).flatten().any(defining)
}

/// Ties all copies to their tensors, of which definitions speak.
///
/// # Errors
/// An identity of digests that ties something else.
pub fn tied<'l>(graph: &'l Graph, layout: &'l Layout, identities: &[Poly], seen: &mut Seen) -> Audit<Auditor<'l>> {
    let mut auditor = Auditor::new(graph, layout)?;
    let ties = identities.iter().filter(|identity| !defines(identity) && !adds_up(identity));
    ties.into_iter().try_for_each(|identity| auditor.tie(identity, seen))?;
    Ok(auditor)
}

/// Expands and checks every identity of a layout.
///
/// # Errors
/// What an identity says that the graph does not, or what the audit does not understand.
pub fn audit(graph: &Graph, layout: &Layout) -> Audit<Seen> {
    let identities = Columns::new(layout).identities()?;
    let mut seen = Seen::default();
    let mut auditor = tied(graph, layout, &identities, &mut seen)?;
    identities.iter().filter(|identity| defines(identity)).try_for_each(|i| auditor.definitions(i, &mut seen))?;
    identities.iter().filter(|identity| adds_up(identity)).try_for_each(|i| auditor.sums(i, &mut seen))?;
    auditor.copies()?;
    auditor.all_claims()?;
    let defined = |op: &Op| matches!(op, Op::Linear(_) | Op::Combine { .. } | Op::MatMul(_));
    let has_sums = |node: &&Node| match node.op {
        Op::Enter => graph.tensors[node.output].storage == Storage::OneHot,
        _ => matches!(node.op, Op::Softmax(_) | Op::Normalise(_)),
    };
    let grouped = graph.nodes.iter().filter(has_sums).count();
    if seen.sums != grouped {
        return Err(format!("{seen:?}, but {grouped} nodes have groups"));
    }
    let constrained = graph.nodes.iter().filter(|node| defined(&node.op)).count();
    if seen.products + seen.combinations != constrained {
        return Err(format!("{seen:?}, but {constrained} nodes have accumulators"));
    }
    Ok(seen)
}
