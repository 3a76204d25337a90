//! Which tensors share their cells, which share their digest's exponents, and which are gathered.
//!
//! A rearranged tensor has no cells of its own where everything that reads it can do without: pooling gathers the
//! elements from where they come from, and a digest of few contiguous pieces of other tensors (a concatenation, a slice
//! of channels) is a sum of those tensors' partial digests. Other rearrangements are placed: rows that gather.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use zkml_gpu_graph::{Graph, Op, Origin, Shape, TensorId};

use super::cells::Gathered;
use crate::system::Geometry;

/// Most pieces of a digest: each is a term of every identity that reads it, with a fixed column of its own.
const MAX_PIECES: usize = 8;

/// A contiguous part of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The tensor whose elements these are.
    pub(crate) root: TensorId,
    /// First of them.
    pub(crate) first: usize,
    /// One past the last.
    pub(crate) end: usize,
    /// One past the last in the rearranged tensor.
    pub(crate) place_end: usize,
}

/// A rearranged tensor.
#[derive(Clone, Debug)]
struct Rearranged {
    /// Where each element comes from; never another rearranged tensor.
    origins: Vec<Gathered>,
    /// The digest's pieces, where it needs no cells.
    pieces: Option<Vec<Piece>>,
    /// Whether it has cells of its own.
    placed: bool,
}

/// A tensor's place among the others.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    roots: Vec<TensorId>,
    rearranged: FxHashMap<TensorId, Rearranged>,
    geometries: Vec<Geometry>,
    gather_base: FxHashMap<TensorId, i64>,
    constants: Vec<i64>,
    cuts: FxHashMap<TensorId, BTreeSet<usize>>,
}

impl Tensors {
    /// Analyses a graph for operand rows of `lanes` cells; the error is a node that reads a tensor under another shape
    /// than an earlier one.
    pub(crate) fn new(graph: &Graph, lanes: usize) -> Result<Self, usize> {
        Self::analyse(graph, lanes).map_err(|(node, _)| node)
    }

    fn analyse(graph: &Graph, lanes: usize) -> Result<Self, (usize, usize)> {
        let roots = roots(graph);
        let mut classes = Classes::new(graph, &roots);
        let mut wanted = classes.wanted(graph, &roots)?;
        let mut rearranged = origins(graph, &roots);
        let read = digested(graph, &roots);
        let mut cuts: FxHashMap<TensorId, BTreeSet<usize>> = FxHashMap::default();
        let mut accepted: Vec<(TensorId, Vec<Piece>)> = Vec::new();
        for tensor in rearrangements(graph).filter(|tensor| read.contains(tensor)) {
            let Some(entry) = rearranged.get_mut(&tensor) else { continue };
            let pieces = pieces(&entry.origins);
            if let Some(pieces) = &pieces {
                accepted.push((tensor, pieces.clone()));
            }
            let joined = pieces.as_ref().and_then(|_| classes.joined(graph, &roots, &accepted));
            match (joined, pieces) {
                (Some((new_classes, new_wanted)), Some(pieces)) => {
                    (classes, wanted) = (new_classes, new_wanted);
                    for piece in &pieces {
                        cuts.entry(piece.root).or_default().extend([piece.first, piece.end]);
                    }
                    entry.pieces = Some(pieces);
                }
                (None, Some(_)) => {
                    accepted.pop();
                    entry.placed = true;
                }
                _ => entry.placed = true,
            }
        }
        let geometry = |tensor: TensorId| {
            let len = graph.tensors[tensor].shape.len();
            match wanted.get(&classes.find(roots[tensor])) {
                Some(Wanted { height, width, pitch, .. }) if len.is_multiple_of(height * width) => {
                    let shape = Shape { channels: len / (height * width), height: *height, width: *width };
                    Geometry::image(shape, *pitch, lanes)
                }
                _ => Geometry::Flat { len },
            }
        };
        let geometries = (0..graph.tensors.len()).map(geometry).collect();
        let mut this =
            Self { roots, rearranged, geometries, gather_base: FxHashMap::default(), constants: Vec::new(), cuts };
        this.index_gathered(graph);
        Ok(this)
    }

    /// The tensor whose cells this one's are: itself, or what it is a reshape of.
    pub(crate) fn root(&self, tensor: TensorId) -> TensorId {
        self.roots[tensor]
    }

    pub(crate) fn geometry(&self, root: TensorId) -> Geometry {
        self.geometries[root]
    }

    /// Where an element can be gathered from.
    pub(crate) fn resolve(&self, tensor: TensorId, element: usize) -> Gathered {
        let root = self.roots[tensor];
        match self.rearranged.get(&root) {
            Some(rearranged) => rearranged.origins[element],
            None => Gathered::Element { tensor: root as u32, element: element as u32 },
        }
    }

    /// The pieces of a rearranged tensor that has no cells.
    pub(crate) fn pieces(&self, root: TensorId) -> Option<&[Piece]> {
        self.rearranged.get(&root)?.pieces.as_deref()
    }

    /// Whether a rearranged tensor has cells of its own.
    pub(crate) fn is_placed(&self, tensor: TensorId) -> bool {
        self.rearranged.get(&tensor).is_none_or(|rearranged| rearranged.placed)
    }

    /// Whether a piece begins at this element of a tensor, or ends before it.
    pub(crate) fn is_cut(&self, root: TensorId, element: usize) -> bool {
        self.cuts.get(&root).is_some_and(|cuts| cuts.contains(&element))
    }

    /// Gather index of a gathered tensor's element 0.
    pub(crate) fn gather_index(&self, root: TensorId) -> Option<i64> {
        self.gather_base.get(&root).copied()
    }

    /// Constants of the gather table, by index; empty where nothing is gathered.
    pub(crate) fn constants(&self) -> &[i64] {
        &self.constants
    }

    /// Gives each gathered tensor a run of indices of its own, after those of the constants.
    fn index_gathered(&mut self, graph: &Graph) {
        let mut tensors: BTreeSet<TensorId> = BTreeSet::new();
        let mut constants = BTreeSet::new();
        for node in &graph.nodes {
            let gathered = match &node.op {
                Op::MaxPool(_) | Op::AveragePool { .. } => self.roots[node.inputs[0]],
                Op::Rearrange { .. } if self.is_placed(node.output) => node.output,
                Op::ArgMax { .. } => {
                    tensors.insert(node.output);
                    self.roots[node.inputs[0]]
                }
                Op::Linear(_)
                | Op::Combine { .. }
                | Op::Reshape
                | Op::Rearrange { .. }
                | Op::MatMul(_)
                | Op::Multiply(_)
                | Op::Softmax(_)
                | Op::Normalise(_)
                | Op::Enter => continue,
            };
            match self.rearranged.get(&gathered) {
                None => {
                    tensors.insert(gathered);
                }
                Some(Rearranged { origins, .. }) => origins.iter().for_each(|origin| match origin {
                    Gathered::Element { tensor, .. } => {
                        tensors.insert(*tensor as usize);
                    }
                    Gathered::Constant(value) => {
                        constants.insert(*value);
                    }
                }),
            }
        }
        if tensors.is_empty() && constants.is_empty() {
            return;
        }
        // Index 0 is the constant 0, which unused copies hold.
        constants.remove(&0);
        self.constants = std::iter::once(0).chain(constants).collect();
        let mut next = self.constants.len() as i64;
        for tensor in tensors {
            self.gather_base.insert(tensor, next);
            next += graph.tensors[tensor].shape.len() as i64;
        }
    }
}

/// The first product, by node index, that reads a tensor under another shape than an earlier one does, and which
/// operand.
pub(super) fn conflict(graph: &Graph) -> Option<(usize, usize)> {
    let roots = roots(graph);
    Classes::new(graph, &roots).wanted(graph, &roots).err()
}

/// Whether a tensor, or what it is a reshape of, is rearranged.
pub(super) fn is_rearranged(graph: &Graph, tensor: TensorId) -> bool {
    let root = roots(graph)[tensor];
    rearrangements(graph).any(|rearranged| rearranged == root)
}

pub(super) fn roots(graph: &Graph) -> Vec<TensorId> {
    let mut roots: Vec<TensorId> = (0..graph.tensors.len()).collect();
    for node in &graph.nodes {
        if matches!(node.op, Op::Reshape) {
            roots[node.output] = roots[node.inputs[0]];
        }
    }
    roots
}

fn rearrangements(graph: &Graph) -> impl Iterator<Item = TensorId> {
    graph.nodes.iter().filter(|node| matches!(node.op, Op::Rearrange { .. })).map(|node| node.output)
}

/// Whether operands and result are tied element by element, by digests with the same exponents.
const fn is_elementwise(op: &Op) -> bool {
    matches!(op, Op::Combine { .. } | Op::Multiply(_) | Op::Softmax(_) | Op::Normalise(_))
}

/// Roots of which something reads the digest: products, combinations, claims.
fn digested(graph: &Graph, roots: &[TensorId]) -> BTreeSet<TensorId> {
    let reads =
        graph.nodes.iter().filter(|node| matches!(node.op, Op::Linear(_) | Op::MatMul(_)) || is_elementwise(&node.op));
    reads.flat_map(|node| &node.inputs).chain(&graph.outputs).map(|tensor| roots[*tensor]).collect()
}

/// Origins of each rearranged tensor, through all rearrangements before it.
fn origins(graph: &Graph, roots: &[TensorId]) -> FxHashMap<TensorId, Rearranged> {
    let mut all: FxHashMap<TensorId, Rearranged> = FxHashMap::default();
    for node in &graph.nodes {
        let Op::Rearrange { origins } = &node.op else { continue };
        let resolve = |origin: &Origin| match *origin {
            Origin::Constant(value) => Gathered::Constant(value),
            Origin::Element { operand, element } => {
                let root = roots[node.inputs[operand as usize]];
                match all.get(&root) {
                    Some(inner) => inner.origins[element as usize],
                    None => Gathered::Element { tensor: root as u32, element },
                }
            }
        };
        let origins = origins.iter().map(resolve).collect();
        all.insert(node.output, Rearranged { origins, pieces: None, placed: false });
    }
    all
}

/// The pieces that a rearrangement consists of: runs of neighbours, zeros between them; `None` where there are too
/// many, or other constants.
fn pieces(origins: &[Gathered]) -> Option<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (place, origin) in origins.iter().enumerate() {
        let (root, element) = match *origin {
            Gathered::Constant(0) => continue,
            Gathered::Constant(_) => return None,
            Gathered::Element { tensor, element } => (tensor as usize, element as usize),
        };
        match pieces.last_mut() {
            Some(last) if last.root == root && last.end == element && last.place_end == place => {
                (last.end, last.place_end) = (element + 1, place + 1);
            }
            _ => pieces.push(Piece { root, first: element, end: element + 1, place_end: place + 1 }),
        }
        if pieces.len() > MAX_PIECES {
            return None;
        }
    }
    Some(pieces)
}

/// Image extent and pitches that products ask of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    height: usize,
    width: usize,
    dilation: [usize; 2],
    /// Distances of rows and columns.
    pitch: [usize; 2],
}

impl Wanted {
    /// What a product asks of an operand of this shape; nothing where it reads single elements.
    fn by(op: &Op, shape: Shape) -> Option<Self> {
        let Shape { height, width, .. } = shape;
        let (row, dilation) = match op {
            _ if height * width == 1 => return None,
            Op::Linear(linear) => {
                let padding = (linear.window.pad_before[1] + linear.window.pad_after[1]) * linear.window.images;
                (linear.grid(shape).width + padding, linear.input_dilation)
            }
            Op::MatMul(_) => (width, [1, 1]),
            Op::Combine { .. }
            | Op::MaxPool(_)
            | Op::AveragePool { .. }
            | Op::Reshape
            | Op::Rearrange { .. }
            | Op::Multiply(_)
            | Op::Softmax(_)
            | Op::Normalise(_)
            | Op::ArgMax { .. }
            | Op::Enter => return None,
        };
        Some(Self { height, width, dilation, pitch: [row * dilation[0], dilation[1]] })
    }
}

/// Tensors that digests tie to each other have the same exponents: union-find over roots.
#[derive(Clone, Debug)]
struct Classes(Vec<TensorId>);

impl Classes {
    fn new(graph: &Graph, roots: &[TensorId]) -> Self {
        let mut classes = Self((0..graph.tensors.len()).collect());
        for node in graph.nodes.iter().filter(|node| is_elementwise(&node.op)) {
            node.inputs.iter().for_each(|input| classes.join(roots[*input], roots[node.output]));
        }
        classes
    }

    fn find(&self, mut tensor: TensorId) -> TensorId {
        while self.0[tensor] != tensor {
            tensor = self.0[tensor];
        }
        tensor
    }

    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a] = b;
    }

    /// The classes once the last rearranged tensor's digest is that of its pieces, as those before it are; `None` where
    /// they are read under shapes that disagree, or a piece does not consist of whole channels.
    ///
    /// Earlier tensors' pieces are asked again: while their class was flat, they were cut anywhere, and joining makes
    /// an image of it.
    fn joined(
        &self,
        graph: &Graph,
        roots: &[TensorId],
        accepted: &[(TensorId, Vec<Piece>)],
    ) -> Option<(Self, FxHashMap<TensorId, Wanted>)> {
        let (tensor, pieces) = accepted.last()?;
        let mut classes = self.clone();
        pieces.iter().for_each(|piece| classes.join(piece.root, *tensor));
        let wanted = classes.wanted(graph, roots).ok()?;
        let class = classes.find(*tensor);
        if let Some(Wanted { height, width, .. }) = wanted.get(&class) {
            let area = height * width;
            let aligned = |n: usize| n.is_multiple_of(area);
            let members = (0..graph.tensors.len()).filter(|t| classes.find(roots[*t]) == class);
            let mut lengths = members.map(|t| graph.tensors[t].shape.len());
            let of_class = accepted.iter().filter(|(tensor, _)| classes.find(*tensor) == class);
            let parts = of_class.flat_map(|(_, pieces)| pieces);
            let mut parts = parts.flat_map(|piece| [piece.first, piece.end, piece.place_end]);
            if !lengths.all(aligned) || !parts.all(aligned) {
                return None;
            }
        }
        Some((classes, wanted))
    }

    /// What products ask of each class; the error is a node and which of its operands disagrees with an earlier one.
    fn wanted(&self, graph: &Graph, roots: &[TensorId]) -> Result<FxHashMap<TensorId, Wanted>, (usize, usize)> {
        let mut wanted: FxHashMap<TensorId, Wanted> = FxHashMap::default();
        for (index, node) in graph.nodes.iter().enumerate() {
            for (operand, &input) in node.inputs.iter().enumerate() {
                let Some(own) = Wanted::by(&node.op, graph.tensors[input].shape) else { continue };
                let entry = wanted.entry(self.find(roots[input])).or_insert(own);
                if (entry.height, entry.width, entry.dilation) != (own.height, own.width, own.dilation) {
                    return Err((index, operand));
                }
                entry.pitch[0] = entry.pitch[0].max(own.pitch[0]);
            }
        }
        Ok(wanted)
    }
}
