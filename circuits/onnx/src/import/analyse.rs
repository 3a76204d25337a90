//! Type and shape inference within bounds of memory.
//!
//! tract computes what depends on constants only while it infers, so that a file of a few bytes can ask for any amount
//! of memory (`ConstantOfShape`, or one number concatenated with itself forty times). Here the shapes of an operation's
//! results are inferred first, and it is computed only where they fit the budget. Once nothing changes any more,
//! tract's own inference finds nothing to compute either that was not checked.

use std::collections::{HashMap, HashSet};

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};
use tract_onnx::tract_hir::internal::InferenceNode;

use super::error::ImportError;
use super::facts::bounded;
use super::operators::{FOLDED_OPERATORS, SUPPORTED_OPERATORS};

/// Most elements of all activations: a float run holds them at once, in 1 GiB. ResNet-50 has 34 million at 224 pixels, with
/// those of normalisations and activation functions, which no circuit holds.
const MAX_TOTAL_ELEMENTS: usize = 1 << 28;
/// Memory for constants that are computed from others: so much at least, and a multiple of the file's size.
const CONSTANT_BYTES: usize = 16 << 20;
const CONSTANTS_FOR_FILE: usize = 8;
/// Passes over the graph until nothing changes; one that is in order takes two or three.
const MAX_PASSES: usize = 16;

/// Operators with the operand that holds sizes. tract infers dimensions in 32 bits, but computes with all 64: what is
/// beyond must not reach it.
const SIZES: [(&str, usize); 4] = [("ConstantOfShape", 0), ("Expand", 1), ("Pad", 1), ("Reshape", 1)];
/// Largest such size.
const MAX_SIZE: i64 = 1 << 28;
/// Most repetitions of `Tile`: tract computes with the shape of a tiled tensor in 32 bits.
const MAX_REPEATS: i64 = 1 << 15;
/// Operators of constants whose result has a size that is known only once it is computed, and small.
const SELECTIONS: [&str; 2] = ["Compress", "NonZero"];
/// Bytes of an element of such a result.
const SELECTED_BYTES: usize = 8;

/// A failure with our own words, or with tract's.
pub(super) type Failure = Result<ImportError, TractError>;

/// Infers all types and shapes of a model that was read from a file of this size. `origins` names its nodes in errors.
pub(super) fn analyse(
    model: &mut InferenceModel,
    file_bytes: usize,
    origins: &[(String, String)],
) -> Result<(), Failure> {
    let nodes = model.nodes().len();
    let mut meter = Meter {
        constant: vec![false; nodes],
        cost: vec![[0; 2]; nodes],
        total: [0; 2],
        constant_limit: CONSTANT_BYTES.saturating_add(file_bytes.saturating_mul(CONSTANTS_FOR_FILE)),
        operators: origins.iter().map(|(name, operator)| (name.as_str(), operator.as_str())).collect(),
    };
    let mut order = model.eval_order().map_err(Err)?;
    // Nodes without use come last; tract computes them too.
    let used: HashSet<usize> = order.iter().copied().collect();
    order.extend((0..nodes).filter(|id| !used.contains(id)));
    for _ in 0..MAX_PASSES {
        let mut changed = false;
        for &id in &order {
            meter.check(model, id)?;
            changed |= infer(model, id).map_err(|e| Err(e.context(format!("at node '{}'", model.node(id).name))))?;
        }
        if !changed {
            return expect_shapes(model, &used);
        }
    }
    Err(Err(TractError::msg("its types and shapes do not settle")))
}

/// Whether every result that is used has a known shape: tract ignores some shapes that it cannot reach, such as one of
/// 2^124 elements for a vector of six.
fn expect_shapes(model: &InferenceModel, used: &HashSet<usize>) -> Result<(), Failure> {
    for node in model.nodes().iter().filter(|node| used.contains(&node.id)) {
        for output in &node.outputs {
            if concrete(&output.fact, &node.name)?.is_none() {
                return Err(Err(TractError::msg(format!("the shape of '{}' cannot be inferred", node.name))));
            }
        }
    }
    Ok(())
}

/// Facts about a node's operands, results and whatever else its operation looks at.
struct Facts {
    inputs: TVec<InferenceFact>,
    outputs: TVec<InferenceFact>,
    observed: TVec<InferenceFact>,
    observed_outlets: Vec<OutletId>,
}

impl Facts {
    fn of(model: &InferenceModel, id: usize) -> TractResult<Self> {
        let node = model.node(id);
        let (inputs, outputs) = model.node_facts(id)?;
        let (inputs, outputs) = (inputs.into_iter().cloned().collect(), outputs.into_iter().cloned().collect());
        let observed_outlets = node.op.observe_outlets(model, node)?;
        let observed: TractResult<_> = observed_outlets.iter().map(|o| model.outlet_fact(*o).cloned()).collect();
        Ok(Self { inputs, outputs, observed: observed?, observed_outlets })
    }
}

/// One step of tract's analysis: refines the facts around a node, and tells whether there was something to refine.
fn infer(model: &mut InferenceModel, id: usize) -> TractResult<bool> {
    let facts = Facts::of(model, id)?;
    let (inputs, outputs, observed) = model.node_mut(id).op.infer(
        facts.inputs.iter().collect(),
        facts.outputs.iter().collect(),
        facts.observed.iter().collect(),
    )?;
    let outlets = model.node(id).inputs.clone().into_iter().zip(inputs);
    let outlets = outlets.chain((0..outputs.len()).map(|slot| OutletId::new(id, slot)).zip(outputs));
    let outlets: Vec<_> = outlets.chain(facts.observed_outlets.into_iter().zip(observed)).collect();
    let mut changed = false;
    for (outlet, fact) in outlets {
        let old = model.outlet_fact(outlet)?;
        let unified = old.unify(&fact)?;
        if unified != *old {
            model.set_outlet_fact(outlet, unified)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// What the nodes' results take, as far as it is known.
struct Meter<'a> {
    /// Whether a node depends on constants only.
    constant: Vec<bool>,
    /// Elements of each node's activations, bytes of its computed constants.
    cost: Vec<[usize; 2]>,
    total: [usize; 2],
    constant_limit: usize,
    /// Operators of the file's nodes, by name.
    operators: HashMap<&'a str, &'a str>,
}

impl Meter<'_> {
    /// Measures a node's results by their shapes alone, before anything is computed.
    fn check(&mut self, model: &mut InferenceModel, id: usize) -> Result<(), Failure> {
        let facts = Facts::of(model, id).map_err(Err)?;
        self.check_sizes(model.node(id), &facts.inputs)?;
        let inferred = model.node_mut(id).op.infer_facts(
            facts.inputs.iter().collect(),
            facts.outputs.iter().collect(),
            facts.observed.iter().collect(),
        );
        let node = model.node(id);
        let (inputs, outputs, _) = inferred.map_err(|e| Err(e.context(format!("at node '{}'", node.name))))?;
        let known = |facts: &[InferenceFact]| facts.iter().all(|fact| fact.value.is_concrete());
        let from_constants =
            !inputs.is_empty() && (known(&inputs) || node.inputs.iter().all(|i| self.constant[i.node]));
        self.constant[id] = from_constants || known(&outputs);
        if inputs.is_empty() && self.constant[id] {
            // In the file as it is.
            return Ok(());
        }
        let mut cost = [0usize; 2];
        for fact in &outputs {
            let Some(shape) = concrete(fact, &node.name)? else {
                if from_constants && SELECTIONS.contains(&self.operator(&node.name)) {
                    cost[1] = cost[1].saturating_add(selected_bytes(&inputs));
                    continue;
                }
                // A result of unknown size cannot be bounded.
                let unsupported = || ImportError::UnsupportedOperator {
                    operator: self.operator(&node.name).into(),
                    node: node.name.clone(),
                };
                if from_constants {
                    return Err(Ok(unsupported()));
                }
                continue;
            };
            if self.constant[id] {
                let size = fact.datum_type.concretize().map_or(8, |datum_type| datum_type.size_of());
                cost[1] = cost[1].saturating_add(product(&shape).saturating_mul(size));
            } else {
                bounded(&node.name, &shape).map_err(Ok)?;
                cost[0] = cost[0].saturating_add(product(&shape));
            }
        }
        self.charge(id, cost, &node.name).map_err(Ok)
    }

    /// Refuses sizes beyond [`MAX_SIZE`], and repetitions beyond [`MAX_REPEATS`].
    fn check_sizes(&self, node: &InferenceNode, inputs: &[InferenceFact]) -> Result<(), Failure> {
        let operator = self.operator(&node.name);
        let listed = SUPPORTED_OPERATORS.contains(&operator) || FOLDED_OPERATORS.contains(&operator);
        for (operand, fact) in inputs.iter().enumerate() {
            let integers = fact.datum_type.concretize().is_some_and(|kind| kind.is_integer() || kind.is_tdim());
            let limits = match operator {
                "Tile" if operand == 1 => 1..=MAX_REPEATS,
                "Range" => -MAX_SIZE..=MAX_SIZE,
                _ if SIZES.contains(&(operator, operand)) => -MAX_SIZE..=MAX_SIZE,
                // Whatever its integers are: it is here because its result folds.
                _ if !listed && integers => -MAX_SIZE..=MAX_SIZE,
                _ => continue,
            };
            let Some(sizes) = fact.value.concretize() else { continue };
            let sizes = sizes.cast_to::<i64>().map_err(Err)?;
            let view = sizes.to_plain_array_view::<i64>().map_err(Err)?;
            if let Some(size) = view.iter().find(|size| !limits.contains(*size)) {
                let problem = format!("{operator} at node '{}' has the size {size}", node.name);
                return Err(Err(TractError::msg(problem)));
            }
        }
        Ok(())
    }

    /// Counts a node once, at its latest cost.
    fn charge(&mut self, id: usize, cost: [usize; 2], name: &str) -> Result<(), ImportError> {
        for (kind, limit) in [MAX_TOTAL_ELEMENTS, self.constant_limit].into_iter().enumerate() {
            let total = (self.total[kind] - self.cost[id][kind]).saturating_add(cost[kind]);
            if total > limit {
                let what = if kind == 0 { "elements of activations" } else { "bytes of computed constants" };
                return Err(ImportError::Inflated { node: name.into(), what, total, limit });
            }
            self.total[kind] = total;
        }
        self.cost[id] = cost;
        Ok(())
    }

    fn operator(&self, node: &str) -> &str {
        self.operators.get(node).copied().unwrap_or("?")
    }
}

/// A result's shape where all of it is known; an error where no tensor has it.
fn concrete(fact: &InferenceFact, node: &str) -> Result<Option<Vec<usize>>, Failure> {
    let Some(shape) = fact.shape.concretize() else { return Ok(None) };
    let Some(dims) = shape.iter().map(|dim| dim.to_i64().ok()).collect::<Option<Vec<i64>>>() else { return Ok(None) };
    match dims.iter().map(|dim| usize::try_from(*dim).ok()).collect() {
        Some(shape) => Ok(Some(shape)),
        None => Err(Err(TractError::msg(format!("node '{node}' has a result of shape {dims:?}")))),
    }
}

/// Bytes of what an operator selects of its operands: no more than a position along each axis of the first for each of its
/// elements.
fn selected_bytes(inputs: &[InferenceFact]) -> usize {
    let shape = inputs.first().and_then(|fact| fact.shape.concretize()).unwrap_or_default();
    let dims: Vec<usize> = shape
        .iter()
        .map(|dim| dim.to_i64().ok().and_then(|dim| usize::try_from(dim).ok()).unwrap_or(usize::MAX))
        .collect();
    product(&dims).saturating_mul(dims.len().max(1)).saturating_mul(SELECTED_BYTES)
}

fn product(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n, dim| n.saturating_mul(*dim))
}
