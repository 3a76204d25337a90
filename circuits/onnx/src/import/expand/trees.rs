//! Trees and forests of `ai.onnx.ml`, without a branch: every condition of a tree is compared, and a leaf is the result
//! where as many of its path's conditions are met as it has.
//!
//! Three products do it, and what a tree has learned is their weights: the features that its conditions take, the paths
//! of its leaves, and the leaves' values. A circuit's key shows how many trees there are, and how many conditions and
//! leaves the largest has, and no more.

use std::collections::HashMap;

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::logic::{comp_eq, comp_lt, comp_lte};
use tract_onnx::tract_core::ops::math::add;
use tract_onnx::tract_hir::internal::*;

use super::classes::{Single, Transform, classify, labels, model_rules, rows};
use super::wiring::Wiring;
use super::{refused, refused_attribute};

type Read = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;
/// A tree's number, and a node's in it.
type Key = (i64, i64);
/// Values of leaves by target.
type LeafValues = HashMap<Key, Vec<(usize, f32)>>;

/// Most weights of one of the three products.
const MAX_WEIGHTS: usize = 1 << 22;

/// How a feature is compared with a threshold. The others of ONNX are the negation of one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    AtMost,
    Less,
    Equal,
}

#[derive(Clone, Copy, Debug)]
struct Condition {
    feature: usize,
    threshold: f32,
}

/// Conditions on the way to a leaf, each with whether it is met there, and the leaf's values by target.
#[derive(Clone, Debug, Default)]
struct Leaf {
    path: Vec<(usize, bool)>,
    values: Vec<(usize, f32)>,
}

#[derive(Clone, Debug, Default)]
struct Tree {
    conditions: Vec<Condition>,
    leaves: Vec<Leaf>,
}

#[derive(Clone, Debug)]
struct Forest {
    operator: String,
    trees: Vec<Tree>,
    mode: Mode,
    /// Results of a row: targets, classes, or the one score of two classes.
    results: usize,
    base: Vec<f32>,
    /// Empty for a regression.
    labels: Vec<i64>,
    single: Option<Single>,
    transform: Transform,
}

pub(super) fn read_regressor(_: &ParsingContext<'_>, node: &NodeProto) -> Read {
    let results = node.get_attr_opt("n_targets")?.unwrap_or(1usize);
    check_precision(node)?;
    let values = Values::read(node, ["target_treeids", "target_nodeids", "target_ids", "target_weights"])?;
    let (mut trees, mode) = read_trees(node, &values, results)?;
    match node.get_attr_opt("aggregate_function")?.unwrap_or("SUM") {
        "SUM" => {}
        "AVERAGE" => {
            let count = trees.len() as f32;
            let leaves = trees.iter_mut().flat_map(|tree| &mut tree.leaves);
            leaves.flat_map(|leaf| &mut leaf.values).for_each(|(_, value)| *value /= count);
        }
        other => return Err(refused_attribute(node, format!("aggregate_function {other}"), "use SUM or AVERAGE")),
    }
    let (transform, base) = (Transform::read(node)?, read_base(node, results)?);
    let (operator, labels) = (node.op_type.clone(), Vec::new());
    Ok((expand(Forest { operator, trees, mode, results, base, labels, single: None, transform }), vec![]))
}

pub(super) fn read_classifier(_: &ParsingContext<'_>, node: &NodeProto) -> Read {
    let labels = labels(node, "classlabels_int64s", "classlabels_strings")?;
    check_precision(node)?;
    let values = Values::read(node, ["class_treeids", "class_nodeids", "class_ids", "class_weights"])?;
    // Of two classes one may have all the values: it is then the second, whatever its number.
    let is_single = labels.len() == 2 && values.targets.windows(2).all(|pair| pair[0] == pair[1]);
    if is_single && values.targets.first() != Some(&0) {
        return Err(refused_attribute(node, "values of the second of two classes alone", "number that class 0"));
    }
    let results = if is_single { 1 } else { labels.len() };
    let (trees, mode) = read_trees(node, &values, results)?;
    // Votes sum to 1, and margins to 0.
    let votes = values.weights.iter().all(|weight| *weight >= 0.0);
    let (threshold, total) = if votes { (0.5, 1.0) } else { (0.0, 0.0) };
    let single = is_single.then_some(Single { threshold, total });
    let (transform, base) = (Transform::read(node)?, read_base(node, results)?);
    let operator = node.op_type.clone();
    Ok((expand(Forest { operator, trees, mode, results, base, labels, single, transform }), vec![]))
}

/// Refuses numbers of 64 bits.
fn check_precision(node: &NodeProto) -> TractResult<()> {
    if node.attribute.iter().any(|attribute| attribute.name.ends_with("_as_tensor")) {
        return Err(refused_attribute(node, "numbers of 64 bits", "export with floats of 32 bits"));
    }
    Ok(())
}

fn read_base(node: &NodeProto, results: usize) -> TractResult<Vec<f32>> {
    let base: Vec<f32> = node.get_attr_opt_vec("base_values")?.unwrap_or_default();
    match base.len() {
        0 => Ok(vec![0.0; results]),
        len if len == results => Ok(base),
        len => Err(refused_attribute(node, format!("{len} base values of {results} results"), "give one for each")),
    }
}

/// The values of all leaves, as they are listed.
struct Values {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    targets: Vec<i64>,
    weights: Vec<f32>,
}

impl Values {
    fn read(node: &NodeProto, [trees, nodes, targets, weights]: [&str; 4]) -> TractResult<Self> {
        let values = Self {
            trees: node.get_attr_vec(trees)?,
            nodes: node.get_attr_vec(nodes)?,
            targets: node.get_attr_vec(targets)?,
            weights: node.get_attr_vec(weights)?,
        };
        let len = values.weights.len();
        let same = [&values.trees, &values.nodes, &values.targets].iter().all(|list| list.len() == len);
        ensure!(same && len > 0, "values of leaves in lists of other lengths");
        Ok(values)
    }

    /// Values of each leaf, by tree and node.
    fn by_leaf(&self, results: usize) -> TractResult<LeafValues> {
        let mut leaves = LeafValues::new();
        for (i, target) in self.targets.iter().enumerate() {
            let target = usize::try_from(*target).ok().filter(|target| *target < results);
            let target = target.context("a leaf's value of a result that there is not")?;
            ensure!(self.weights[i].is_finite(), "a leaf's value that is no number");
            leaves.entry((self.trees[i], self.nodes[i])).or_default().push((target, self.weights[i]));
        }
        Ok(leaves)
    }
}

/// A node of a tree as it is listed.
#[derive(Clone, Copy)]
struct Listed<'n> {
    mode: &'n [u8],
    condition: Condition,
    /// Nodes where the condition is met, and where it is not.
    next: [i64; 2],
}

/// All trees, and the mode of their conditions.
fn read_trees(node: &NodeProto, values: &Values, results: usize) -> TractResult<(Vec<Tree>, Mode)> {
    let ids: Vec<i64> = node.get_attr_vec("nodes_treeids")?;
    let numbers: Vec<i64> = node.get_attr_vec("nodes_nodeids")?;
    let features: Vec<i64> = node.get_attr_vec("nodes_featureids")?;
    let thresholds: Vec<f32> = node.get_attr_vec("nodes_values")?;
    let met: Vec<i64> = node.get_attr_vec("nodes_truenodeids")?;
    let unmet: Vec<i64> = node.get_attr_vec("nodes_falsenodeids")?;
    let modes = node.attribute.iter().find(|attribute| attribute.name == "nodes_modes");
    let modes = modes.map(|attribute| attribute.strings.as_slice()).unwrap_or_default();
    let lens = [numbers.len(), features.len(), thresholds.len(), met.len(), unmet.len(), modes.len()];
    ensure!(lens.iter().all(|len| *len == ids.len()) && !ids.is_empty(), "nodes of trees in lists of other lengths");
    let mut listed: HashMap<Key, Listed<'_>> = HashMap::new();
    let mut roots: Vec<Key> = Vec::new();
    // Conditions and leaves of each tree.
    let mut counts: HashMap<i64, [usize; 2]> = HashMap::new();
    for i in 0..ids.len() {
        let condition = Condition { feature: usize::try_from(features[i])?, threshold: thresholds[i] };
        let of = Listed { mode: &modes[i], condition, next: [met[i], unmet[i]] };
        // The first that is listed of a tree is its root.
        let count = counts.entry(ids[i]).or_insert_with(|| {
            roots.push((ids[i], numbers[i]));
            [0, 0]
        });
        count[usize::from(modes[i] == b"LEAF")] += 1;
        ensure!(listed.insert((ids[i], numbers[i]), of).is_none(), "node {} of tree {} twice", numbers[i], ids[i]);
    }
    // Before anything as large as the square of a tree's nodes is made.
    let most = |of: usize| counts.values().map(|count| count[of]).max().unwrap_or(0);
    let [conditions, paths] = [most(0), most(1)];
    if roots.len().saturating_mul(paths).saturating_mul(conditions.max(results)) > MAX_WEIGHTS {
        let form =
            format!("{} trees of up to {conditions} conditions, {paths} leaves and {results} results", roots.len());
        return Err(refused_attribute(node, form, "limit the depth or the leaves of the trees"));
    }
    let mut leaves = values.by_leaf(results)?;
    let mut mode = None;
    let mut trees = Vec::with_capacity(roots.len());
    for root in roots {
        trees.push(read_tree(node, root, &mut listed, &mut leaves, &mut mode)?);
    }
    ensure!(leaves.is_empty(), "values of leaves that there are not");
    Ok((trees, mode.unwrap_or(Mode::AtMost)))
}

/// Most conditions and leaves of a tree.
fn extents(trees: &[Tree]) -> [usize; 2] {
    let most = |count: fn(&Tree) -> usize| trees.iter().map(count).max().unwrap_or(0).max(1);
    [most(|tree| tree.conditions.len()), most(|tree| tree.leaves.len())]
}

/// The tree below a root. Nodes are taken from the list, so that none is met twice.
fn read_tree(
    node: &NodeProto,
    root: Key,
    listed: &mut HashMap<Key, Listed<'_>>,
    leaves: &mut LeafValues,
    mode: &mut Option<Mode>,
) -> TractResult<Tree> {
    let mut tree = Tree::default();
    let mut open: Vec<(i64, Vec<(usize, bool)>)> = vec![(root.1, Vec::new())];
    while let Some((number, path)) = open.pop() {
        let key = (root.0, number);
        let Some(own) = listed.remove(&key) else { bail!("tree {} has no node {number}, or has it twice", root.0) };
        let Some((own_mode, met)) = comparison(node, own.mode)? else {
            tree.leaves.push(Leaf { path, values: leaves.remove(&key).unwrap_or_default() });
            continue;
        };
        if mode.is_some_and(|mode| mode != own_mode) {
            return Err(refused_attribute(node, "conditions of several kinds", "use one kind, such as BRANCH_LEQ"));
        }
        *mode = Some(own_mode);
        ensure!(own.condition.threshold.is_finite(), "a threshold that is no number");
        let condition = tree.conditions.len();
        tree.conditions.push(own.condition);
        for (next, is_met) in own.next.into_iter().zip([met, !met]) {
            open.push((next, [path.as_slice(), &[(condition, is_met)]].concat()));
        }
    }
    Ok(tree)
}

/// A comparison, and whether it is met where the node says true; `None` for a leaf.
fn comparison(node: &NodeProto, mode: &[u8]) -> TractResult<Option<(Mode, bool)>> {
    Ok(Some(match mode {
        b"LEAF" => return Ok(None),
        b"BRANCH_LEQ" => (Mode::AtMost, true),
        b"BRANCH_LT" => (Mode::Less, true),
        b"BRANCH_EQ" => (Mode::Equal, true),
        b"BRANCH_GT" => (Mode::AtMost, false),
        b"BRANCH_GTE" => (Mode::Less, false),
        b"BRANCH_NEQ" => (Mode::Equal, false),
        other => {
            let form = format!("the condition {}", String::from_utf8_lossy(other));
            return Err(refused_attribute(node, form, "compare a feature with a threshold"));
        }
    }))
}

impl Expansion for Forest {
    fn name(&self) -> StaticName {
        "Forest".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(if self.labels.is_empty() { 1 } else { 2 })
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        model_rules(s, inputs, outputs, [self.labels.len(), self.results])
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(model, prefix);
        let x = rows(&mut wiring, inputs[0])?;
        let (features, [conditions, _]) = (wiring.dims(x)?[1], extents(&self.trees));
        if features.saturating_mul(self.trees.len() * conditions) > MAX_WEIGHTS {
            let form = format!("{} trees of up to {conditions} conditions, of {features} features", self.trees.len());
            return Err(refused(&self.operator, prefix, form, "select the features that are compared"));
        }
        let met = self.conditions(&mut wiring, x)?;
        let reached = self.leaves(&mut wiring, met)?;
        let scores = self.scores(&mut wiring, reached)?;
        if self.labels.is_empty() {
            return Ok(tvec!(self.transform.wire(&mut wiring, scores)?));
        }
        classify(&mut wiring, scores, self.single, &self.labels, self.transform)
    }
}

impl Forest {
    /// 1 for each condition that is met, by row, tree and condition.
    fn conditions(&self, wiring: &mut Wiring<'_>, x: OutletId) -> TractResult<OutletId> {
        let [rows, features] = wiring.dims(x)?[..] else { bail!("features in rows") };
        let ([conditions, _], trees) = (extents(&self.trees), self.trees.len());
        let mut taken = vec![0f32; features * trees * conditions];
        let mut thresholds = vec![0f32; trees * conditions];
        for (t, tree) in self.trees.iter().enumerate() {
            for (c, condition) in tree.conditions.iter().enumerate() {
                ensure!(condition.feature < features, "feature {} of {features}", condition.feature);
                let place = t * conditions + c;
                taken[condition.feature * trees * conditions + place] = 1.0;
                thresholds[place] = condition.threshold;
            }
        }
        let taken = wiring.floats(&[features, trees * conditions], &taken)?;
        let taken = wiring.einsum("nf,fc->nc", &[x, taken])?;
        let thresholds = wiring.floats(&[1, trees * conditions], &thresholds)?;
        let compare: Box<dyn BinMiniOp> = match self.mode {
            Mode::AtMost => comp_lte(),
            Mode::Less => comp_lt(),
            Mode::Equal => comp_eq(),
        };
        let met = wiring.binary(TypedBinOp(compare, None), taken, thresholds)?;
        let met = wiring.cast(met, DatumType::F32)?;
        wiring.reshaped(met, 0, 2, &[rows, trees, conditions])
    }

    /// 1 for the leaf of each tree that is reached, by row, tree and leaf: of the conditions on its path, those that
    /// are met, with a minus where they shall not be, are as many as shall be met.
    fn leaves(&self, wiring: &mut Wiring<'_>, met: OutletId) -> TractResult<OutletId> {
        let ([conditions, leaves], trees) = (extents(&self.trees), self.trees.len());
        let mut paths = vec![0f32; trees * leaves * conditions];
        // What no path reaches is no leaf.
        let mut wanted = vec![1f32; trees * leaves];
        for (t, tree) in self.trees.iter().enumerate() {
            for (l, leaf) in tree.leaves.iter().enumerate() {
                let place = t * leaves + l;
                wanted[place] = leaf.path.iter().filter(|(_, is_met)| *is_met).count() as f32;
                for (condition, is_met) in &leaf.path {
                    paths[place * conditions + condition] = if *is_met { 1.0 } else { -1.0 };
                }
            }
        }
        let paths = wiring.floats(&[trees, leaves, conditions], &paths)?;
        let counts = wiring.einsum("ntc,tlc->ntl", &[met, paths])?;
        let wanted = wiring.floats(&[1, trees, leaves], &wanted)?;
        let reached = wiring.binary(TypedBinOp(comp_eq(), None), counts, wanted)?;
        wiring.cast(reached, DatumType::F32)
    }

    /// Sums of the values of the leaves that are reached.
    fn scores(&self, wiring: &mut Wiring<'_>, reached: OutletId) -> TractResult<OutletId> {
        let ([_, leaves], trees) = (extents(&self.trees), self.trees.len());
        let mut values = vec![0f32; trees * leaves * self.results];
        for (t, tree) in self.trees.iter().enumerate() {
            for (l, leaf) in tree.leaves.iter().enumerate() {
                let place = (t * leaves + l) * self.results;
                leaf.values.iter().for_each(|(target, value)| values[place + target] += value);
            }
        }
        let values = wiring.floats(&[trees, leaves, self.results], &values)?;
        let scores = wiring.einsum("ntl,tlr->nr", &[reached, values])?;
        let base = wiring.floats(&[1, self.results], &self.base)?;
        wiring.binary(add(), scores, base)
    }
}
