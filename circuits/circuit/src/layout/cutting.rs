//! Chooses where a graph is cut into segments, each with a circuit of its own, all of one size.
//!
//! Every segment that begins and ends at a narrow place is priced by the bounds of the choice of widths, in circuits of
//! several sizes; the cheapest sequence of segments that each fit the memory is taken. Segments that compute the same are
//! priced once. Prices are bounds: whoever lays the segments out compares their memory with the limit, and cuts again.

use std::collections::{HashMap, HashSet};

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
/// Part of the least cost that segments may cost more where they share circuits.
const WORTH_SHARING: f64 = 0.05;
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
    let cuts = graph.cuts();
    let all = || {
        let mut all: Vec<&Cut> = cuts.iter().collect();
        all.sort_by_key(|cut| cut.elements);
        all.truncate(MOST_PLACES);
        let mut places: Vec<usize> = all.into_iter().map(|cut| cut.at).collect();
        places.sort_unstable();
        places
    };
    // Where segments between narrow places are too large, any place will do.
    for places in [narrow(&cuts), all()] {
        let found = among(graph, options, limits, places.into_iter().filter(|place| !without.contains(place)))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The cheapest segments between these places.
fn among(
    graph: &Graph,
    options: &LayoutOptions,
    limits: SegmentLimits,
    cuts: impl Iterator<Item = usize>,
) -> Result<Option<Segmentation>, LayoutError> {
    let outline = without_weights(graph);
    let least = options.min_k.clamp(LEAST_K.min(options.max_k), MAX_K);
    let ks: Vec<u32> = (least..=options.max_k.min(MAX_K)).collect();
    let mut places = vec![0];
    places.extend(cuts);
    places.push(graph.nodes.len());
    let reach = Reach::new(graph, &places, limits.segments);
    let prices = Prices::new(&outline, (&places, &reach), options, (&ks, limits.max_bytes))?;
    let ways = |size| {
        let ways = Ways::new(&prices, places.len(), size);
        let alike = prices.repeated.iter().filter_map(|run| ways.through(run, limits.segments)).collect::<Vec<_>>();
        let free = ways.cheapest(places.len() - 1, limits.segments);
        free.into_iter().chain(alike).map(move |(cost, ends)| (size, cost, ends)).collect::<Vec<_>>()
    };
    let chosen: Vec<(usize, f64, Vec<usize>)> = (0..ks.len()).flat_map(ways).collect();
    let least = chosen.iter().map(|way| way.1).fold(f64::INFINITY, f64::min);
    // Fewer circuits are fewer keys: worth a little more time.
    let worth = chosen.into_iter().filter(|way| way.1 <= least * (1.0 + WORTH_SHARING));
    let best = worth.min_by(|a, b| {
        let circuits = |way: &(usize, f64, Vec<usize>)| prices.circuits(&way.2);
        circuits(a).cmp(&circuits(b)).then(a.1.total_cmp(&b.1))
    });
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
        let op = if let Op::Linear(linear) = &node.op
            && linear.width.is_some()
        {
            Op::Linear(Linear { weights: Vec::new(), bias: linear.bias.clone(), ..*linear })
        } else {
            node.op.clone()
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
    /// A number for each form of a segment: what it computes, without scales.
    forms: HashMap<(usize, usize), usize>,
    /// Longest runs of two or more segments of one form.
    repeated: Vec<Run>,
}

impl Prices {
    fn new(
        outline: &Graph,
        (places, reach): (&[usize], &Reach),
        options: &LayoutOptions,
        (ks, max_bytes): (&[u32], u64),
    ) -> Result<Self, LayoutError> {
        let mut known = HashMap::new();
        let (mut forms, mut numbers) = (HashMap::new(), HashMap::new());
        // Of one form one is priced: scales make tables and limbs a little larger or smaller.
        let mut priced: Vec<Option<Priced>> = Vec::new();
        // The longer a segment the more it takes: from each start on until nothing fits.
        let mut starts: Vec<usize> = (0..places.len() - 1).collect();
        for length in 1..places.len() {
            starts.retain(|start| start + length < places.len() && reach.allows(*start, start + length));
            let mut new: Vec<(usize, Graph)> = Vec::new();
            let mut segments = Vec::new();
            for start in &starts {
                let end = start + length;
                let Some(graph) = segment(outline, places[*start], places[end]) else { continue };
                let next = numbers.len();
                let form = *numbers.entry(graph.form()).or_insert(next);
                forms.insert((*start, end), form);
                segments.push((*start, end, form));
                if form == priced.len() {
                    priced.push(None);
                    new.push((form, graph));
                }
            }
            let price = |(form, graph): (usize, Graph)| match least_costs(&graph, options, ks, max_bytes) {
                // Other cuts may have a circuit.
                Err(LayoutError::Unsupported { .. }) => Ok((form, vec![None; ks.len()])),
                priced => priced.map(|priced| (form, priced)),
            };
            for (form, found) in new.into_par_iter().map(price).collect::<Result<Vec<_>, LayoutError>>()? {
                priced[form] = Some(found);
            }
            for (start, end, form) in segments {
                let priced = priced[form].clone().unwrap_or_default();
                if priced.iter().all(Option::is_none) {
                    starts.retain(|other| *other != start);
                }
                known.insert((start, end), priced);
            }
        }
        let repeated = runs(&forms, places.len());
        Ok(Self { known, forms, repeated })
    }

    /// How many circuits segments with these ends take, if those of one form share one.
    fn circuits(&self, ends: &[usize]) -> usize {
        let starts = [0].into_iter().chain(ends.iter().copied());
        let forms = starts.zip(ends).map(|(start, end)| self.forms.get(&(start, *end)));
        forms.collect::<HashSet<_>>().len()
    }

    fn of(&self, start: usize, end: usize, size: usize) -> Option<(f64, u64)> {
        *self.known.get(&(start, end))?.get(size)?
    }
}

/// The longest runs of segments of one form, for each start and length that has some.
fn runs(forms: &HashMap<(usize, usize), usize>, places: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for length in 1..places {
        for start in 0..places {
            let form = |number: usize| forms.get(&(start + number * length, start + (number + 1) * length));
            let Some(first) = form(0) else { continue };
            let count = (1..places).take_while(|number| form(*number) == Some(first)).count() + 1;
            // What begins one later within a longer run is a part of it.
            let is_part = start.checked_sub(length).is_some_and(|before| forms.get(&(before, start)) == Some(first));
            if count > 1 && !is_part {
                runs.push(Run { start, length, count });
            }
        }
    }
    runs
}

/// The segment between two places, lowered.
fn segment(outline: &Graph, start: usize, end: usize) -> Option<Graph> {
    let cuts: Vec<usize> = [start, end].into_iter().filter(|at| (1..outline.nodes.len()).contains(at)).collect();
    let part = outline.parts(&cuts).ok()?.into_iter().nth(usize::from(start > 0))?;
    Some(lower(part.graph))
}

/// Segments of one form that follow each other: where the first begins, the places in each, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: usize,
    length: usize,
    count: usize,
}

/// The cheapest ways from the first place to each other in circuits of a size.
struct Ways<'p> {
    prices: &'p Prices,
    size: usize,
    /// For each number of segments and each place the least cost to get there, and from where.
    best: Vec<Vec<Option<(f64, usize)>>>,
    /// The same to the last place, for each number of segments and each place to begin at, and where to.
    rest: Vec<Vec<Option<(f64, usize)>>>,
}

impl<'p> Ways<'p> {
    fn new(prices: &'p Prices, places: usize, size: usize) -> Self {
        let mut best: Vec<Vec<Option<(f64, usize)>>> = vec![vec![None; places]; places];
        let mut rest = best.clone();
        best[0][0] = Some((0.0, 0));
        rest[0][places - 1] = Some((0.0, places - 1));
        for count in 1..places {
            for start in 0..places {
                for end in start + 1..places {
                    let Some((own, _)) = prices.of(start, end, size) else { continue };
                    if let Some((before, _)) = best[count - 1][start] {
                        take(&mut best[count][end], before + own, start);
                    }
                    if let Some((after, _)) = rest[count - 1][end] {
                        take(&mut rest[count][start], after + own, end);
                    }
                }
            }
        }
        Self { prices, size, best, rest }
    }

    /// The cheapest way to a place, in so many segments where a number is given: its cost, and where its segments end.
    fn cheapest(&self, to: usize, segments: Option<usize>) -> Option<(f64, Vec<usize>)> {
        let counts = segments.map_or(0..=self.best.len() - 1, |count| count..=count);
        let counts = counts.filter_map(|count| Some((count, (*self.best.get(count)?)[to]?.0)));
        let (mut count, cost) = counts.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let (mut ends, mut at) = (Vec::new(), to);
        while count > 0 {
            ends.push(at);
            at = self.best[count][at]?.1;
            count -= 1;
        }
        ends.reverse();
        Some((cost, ends))
    }

    /// The cheapest way from a place to the last.
    fn onwards(&self, from: usize, segments: Option<usize>) -> Option<(f64, Vec<usize>)> {
        let counts = segments.map_or(0..=self.rest.len() - 1, |count| count..=count);
        let counts = counts.filter_map(|count| Some((count, (*self.rest.get(count)?)[from]?.0)));
        let (mut count, cost) = counts.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let (mut ends, mut at) = (Vec::new(), from);
        while count > 0 {
            at = self.rest[count][at]?.1;
            ends.push(at);
            count -= 1;
        }
        Some((cost, ends))
    }

    /// The cheapest way that takes segments of one form one after the other.
    fn through(&self, run: &Run, segments: Option<usize>) -> Option<(f64, Vec<usize>)> {
        let Run { start, length, count } = *run;
        let own: Option<Vec<f64>> = (0..count)
            .map(|number| Some(self.prices.of(start + number * length, start + (number + 1) * length, self.size)?.0))
            .collect();
        let own: f64 = own?.iter().sum();
        let end = start + count * length;
        let left = match segments {
            Some(segments) => Some(segments.checked_sub(count)?),
            None => None,
        };
        let splits: Vec<[Option<usize>; 2]> = match left {
            Some(left) => (0..=left).map(|before| [Some(before), Some(left - before)]).collect(),
            None => vec![[None, None]],
        };
        let ways = splits.into_iter().filter_map(|[before, after]| {
            let (before, mut ends) = self.cheapest(start, before)?;
            let (after, rest) = self.onwards(end, after)?;
            ends.extend((1..=count).map(|number| start + number * length));
            ends.extend(rest);
            Some((before + own + after, ends))
        });
        ways.min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Keeps the cheaper of two ways.
fn take(best: &mut Option<(f64, usize)>, cost: f64, place: usize) {
    if best.is_none_or(|(known, _)| cost < known) {
        *best = Some((cost, place));
    }
}
