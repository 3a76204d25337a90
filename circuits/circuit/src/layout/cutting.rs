//! Chooses where a graph is cut into segments, each with a circuit of its own, all of one size.
//!
//! Every segment that begins and ends at a narrow place is priced by the bounds of the choice of widths, in circuits of
//! several sizes; the cheapest sequence of segments that each fit the memory is taken. Segments that compute the same are
//! priced once. Prices are bounds: whoever lays the segments out compares their memory with the limit, and cuts again.

use std::collections::HashMap;

use rayon::prelude::*;
use zkml_gpu_graph::{Cut, Graph, Linear, Node, Op};

use super::choose::least_costs;
use super::options::LayoutOptions;
use crate::placement::{LayoutError, lower};
use crate::system::MAX_K;

/// Most places that are considered, the narrowest of the graph and of its parts.
const MOST_PLACES: usize = 64;
/// Parts of equal length of which each gives its narrowest place.
const PARTS: usize = 24;
/// The smallest circuits that are considered.
const LEAST_K: u32 = 10;

/// What segments may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentLimits {
    /// Memory that the keys and the proof of a segment take at most, in bytes.
    pub max_bytes: u64,
    /// How many segments; as many as are cheapest where absent.
    pub segments: Option<usize>,
}

impl SegmentLimits {
    /// At most so many bytes for a segment.
    pub const fn new(max_bytes: u64) -> Self {
        Self { max_bytes, segments: None }
    }

    /// So many segments.
    #[must_use]
    pub const fn with_segments(self, segments: usize) -> Self {
        Self { segments: Some(segments), ..self }
    }
}

/// Where a graph is cut.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Segmentation {
    /// Nodes before each cut.
    pub cuts: Vec<usize>,
    /// log2 of the rows of every circuit.
    pub k: u32,
    /// Lower bound of what all proofs cost, made and verified once, in milliseconds of one thread.
    pub cost_ms: f64,
    /// Lower bound of the memory of the largest segment, in bytes.
    pub bytes: u64,
}

/// The cheapest segments of a graph that is not lowered; none where no cuts make segments of that memory. Places in
/// `without` are not considered.
///
/// # Errors
/// Errors of the graph itself.
pub fn segmentation(
    graph: &Graph,
    options: &LayoutOptions,
    limits: SegmentLimits,
    without: &[usize],
) -> Result<Option<Segmentation>, LayoutError> {
    let outline = without_weights(graph);
    let least = options.min_k.clamp(LEAST_K.min(options.max_k), MAX_K);
    let ks: Vec<u32> = (least..=options.max_k.min(MAX_K)).collect();
    let mut places = vec![0];
    places.extend(narrow(&graph.cuts()).into_iter().filter(|place| !without.contains(place)));
    places.push(graph.nodes.len());
    let reach = Reach::new(graph, &places, limits.segments);
    let prices = Prices::new(&outline, (&places, &reach), options, (&ks, limits.max_bytes))?;
    let chosen = (0..ks.len()).filter_map(|size| cheapest(&prices, places.len(), size, limits.segments));
    let best = chosen.min_by(|a, b| a.1.total_cmp(&b.1));
    Ok(best.map(|(size, cost_ms, ends)| {
        let starts = [0].into_iter().chain(ends.iter().copied());
        let bytes = starts.zip(&ends).filter_map(|(start, end)| Some(prices.of(start, *end, size)?.1)).max();
        let cuts = ends.iter().filter(|end| **end + 1 < places.len()).map(|end| places[*end]).collect();
        Segmentation { cuts, k: ks[size], cost_ms, bytes: bytes.unwrap_or(0) }
    }))
}

/// The graph without learned weights and names of nodes: all that bounds such as [`needs`](super::needs) read.
pub fn without_weights(graph: &Graph) -> Graph {
    let node = |node: &Node| {
        let op = match &node.op {
            Op::Linear(linear) if linear.width.is_some() => {
                Op::Linear(Linear { weights: Vec::new(), bias: linear.bias.clone(), ..*linear })
            }
            op => op.clone(),
        };
        Node { name: String::new(), op, inputs: node.inputs.clone(), ..*node }
    };
    Graph {
        name: String::new(),
        nodes: graph.nodes.iter().map(node).collect(),
        tensors: graph.tensors.clone(),
        activations: graph.activations.clone(),
        inputs: graph.inputs.clone(),
        outputs: graph.outputs.clone(),
        visibility: graph.visibility.clone(),
        shift: graph.shift,
    }
}

/// Places where little lies between the parts: no wider than their neighbours, or, where there is none in a part of the
/// graph, its narrowest.
fn narrow(cuts: &[Cut]) -> Vec<usize> {
    let elements = |at: usize| cuts.get(at).map_or(usize::MAX, |cut| cut.elements);
    let is_narrow = |at: &usize| {
        let before = at.checked_sub(1).map_or(usize::MAX, elements);
        elements(*at) <= before && elements(*at) <= elements(*at + 1)
    };
    let mut chosen: Vec<usize> = (0..cuts.len()).filter(is_narrow).collect();
    let length = cuts.len().div_ceil(PARTS).max(1);
    for start in (0..cuts.len()).step_by(length) {
        let mut part = start..(start + length).min(cuts.len());
        if !chosen.iter().any(|at| part.contains(at)) {
            chosen.extend(part.by_ref().min_by_key(|at| elements(*at)));
        }
    }
    chosen.sort_by_key(|at| elements(*at));
    chosen.truncate(MOST_PLACES);
    chosen.sort_unstable();
    chosen.into_iter().map(|at| cuts[at].at).collect()
}

/// Which segments are worth pricing where their number is given: none that is much larger than its share, so that they
/// may run side by side.
struct Reach {
    /// Elements that are computed before each place.
    before: Vec<usize>,
    most: usize,
}

/// A segment of several has at most so many parts of the whole, of which each would have two.
const MOST_HALVES: usize = 3;

impl Reach {
    fn new(graph: &Graph, places: &[usize], segments: Option<usize>) -> Self {
        let mut sums = vec![0];
        for node in &graph.nodes {
            sums.push(sums[sums.len() - 1] + graph.tensors[node.output].shape.len());
        }
        let before: Vec<usize> = places.iter().map(|place| sums[*place]).collect();
        let most = match segments {
            None | Some(0 | 1) => usize::MAX,
            Some(count) => sums[sums.len() - 1].saturating_mul(MOST_HALVES).div_ceil(2 * count),
        };
        Self { before, most }
    }

    fn allows(&self, start: usize, end: usize) -> bool {
        end == start + 1 || self.before[end] - self.before[start] <= self.most
    }
}

/// Cost and memory of a segment by the size of its circuit.
type Priced = Vec<Option<(f64, u64)>>;

/// What segments between places cost.
struct Prices {
    known: HashMap<(usize, usize), Priced>,
}

impl Prices {
    fn new(
        outline: &Graph,
        (places, reach): (&[usize], &Reach),
        options: &LayoutOptions,
        (ks, max_bytes): (&[u32], u64),
    ) -> Result<Self, LayoutError> {
        let mut known = HashMap::new();
        let mut alike: HashMap<Vec<u8>, Priced> = HashMap::new();
        // The longer a segment the more it takes: from each start on until nothing fits.
        let mut starts: Vec<usize> = (0..places.len() - 1).collect();
        for length in 1..places.len() {
            starts.retain(|start| start + length < places.len() && reach.allows(*start, start + length));
            let mut segments = Vec::new();
            for start in &starts {
                let end = start + length;
                let graph = segment(outline, places[*start], places[end]);
                let Some((graph, shape)) = graph else { continue };
                segments.push((*start, end, graph, shape));
            }
            let mut new: Vec<(Graph, Vec<u8>)> = Vec::new();
            for (.., graph, shape) in &segments {
                if !alike.contains_key(shape) && !new.iter().any(|(_, other)| other == shape) {
                    new.push((graph.clone(), shape.clone()));
                }
            }
            let price = |(graph, shape): (Graph, Vec<u8>)| match least_costs(&graph, options, ks, max_bytes) {
                // Other cuts may have a circuit.
                Err(LayoutError::Unsupported { .. }) => Ok((shape, vec![None; ks.len()])),
                priced => priced.map(|priced| (shape, priced)),
            };
            alike.extend(new.into_par_iter().map(price).collect::<Result<Vec<_>, LayoutError>>()?);
            for (start, end, _, shape) in segments {
                let priced = alike.get(&shape).cloned().unwrap_or_default();
                if priced.iter().all(Option::is_none) {
                    starts.retain(|other| *other != start);
                }
                known.insert((start, end), priced);
            }
        }
        Ok(Self { known })
    }

    fn of(&self, start: usize, end: usize, size: usize) -> Option<(f64, u64)> {
        *self.known.get(&(start, end))?.get(size)?
    }
}

/// The segment between two places, lowered, and what tells it from others.
fn segment(outline: &Graph, start: usize, end: usize) -> Option<(Graph, Vec<u8>)> {
    let cuts: Vec<usize> = [start, end].into_iter().filter(|at| (1..outline.nodes.len()).contains(at)).collect();
    let part = outline.parts(&cuts).ok()?.into_iter().nth(usize::from(start > 0))?;
    let mut graph = lower(part.graph);
    for tensor in &mut graph.tensors {
        tensor.name.clear();
    }
    graph.nodes.iter_mut().for_each(|node| node.name.clear());
    let shape = serde_json::to_vec(&graph).ok()?;
    Some((graph, shape))
}

/// The cheapest way from the first place to the last in circuits of a size: its cost, and where its segments end.
fn cheapest(prices: &Prices, places: usize, size: usize, segments: Option<usize>) -> Option<(usize, f64, Vec<usize>)> {
    let most = segments.unwrap_or(places - 1).min(places - 1);
    // For each number of segments and each place the least cost to get there, and from where.
    let mut best: Vec<Vec<Option<(f64, usize)>>> = vec![vec![None; places]; most + 1];
    best[0][0] = Some((0.0, 0));
    for count in 1..=most {
        for end in 1..places {
            for start in 0..end {
                let (Some((before, _)), Some((own, _))) = (best[count - 1][start], prices.of(start, end, size)) else {
                    continue;
                };
                let cost = before + own;
                if best[count][end].is_none_or(|(known, _)| cost < known) {
                    best[count][end] = Some((cost, start));
                }
            }
        }
    }
    let last = places - 1;
    let counts = segments.map_or(1..=most, |count| count..=count);
    let counts = counts.filter_map(|count| Some((count, best.get(count)?[last]?.0)));
    let (mut count, cost) = counts.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let mut ends = vec![last];
    let mut at = last;
    while count > 0 {
        at = best[count][at]?.1;
        count -= 1;
        if count > 0 {
            ends.push(at);
        }
    }
    ends.reverse();
    Some((size, cost, ends))
}
