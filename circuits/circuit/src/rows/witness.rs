//! One row of the witness's first phase, and what its node computed.

use zkml_gpu_graph::{Activation, Execution, Function, Graph, Node, NormaliseValues, Op, Segments, SoftmaxValues};

use super::{Facts, spread_cell};
use crate::system::formulas::{LineCells, RequantiseCells};
use crate::system::{Architecture, Lines, line, saturate};

/// What the node of a row computed.
#[derive(Clone, Copy)]
pub(crate) struct Computed<'c> {
    /// The network.
    pub(crate) graph: &'c Graph,
    /// One inference.
    pub(crate) execution: &'c Execution,
    /// The node.
    pub(crate) node: &'c Node,
    /// The row's first output element; for a candidate, the output element times the number of candidates plus which
    /// one it is.
    pub(crate) element: usize,
    /// Accumulators of the node.
    pub(crate) accumulators: &'c [i64],
    /// Values of the node's output.
    pub(crate) values: &'c [i64],
    /// What follows requantisation.
    pub(crate) function: &'c Function,
    /// What it computes on the way.
    pub(crate) intermediate: &'c Intermediate,
}

impl<'c> Computed<'c> {
    /// Values of an operand of the node.
    pub(crate) fn operand(&self, operand: usize) -> &'c [i64] {
        &self.execution.values[self.node.inputs[operand]]
    }
}

/// What a node computes between its operands and its accumulators.
pub(crate) enum Intermediate {
    /// Nothing.
    Nothing,
    /// Values of a softmax, and the first member of each group that attains the maximum.
    Softmax { values: SoftmaxValues, first: Vec<usize> },
    /// Values of a normalisation.
    Normalise(NormaliseValues),
}

impl Intermediate {
    /// Of a node in one inference.
    pub(crate) fn new(node: &Node, execution: &Execution) -> Self {
        let x = &execution.values[node.inputs[0]];
        match &node.op {
            Op::Softmax(softmax) => {
                let values = softmax.values(x);
                let attains = |e: &usize, p: usize| !softmax.is_masked(*e) && x[*e] == values.maxima[p];
                let first = |p: usize| (p..x.len()).step_by(softmax.groups).find(|e| attains(e, p)).unwrap_or(0);
                let first = (0..softmax.groups).map(first).collect();
                Self::Softmax { values, first }
            }
            Op::Normalise(normalise) => Self::Normalise(normalise.values(x)),
            Op::Linear(_)
            | Op::Combine { .. }
            | Op::MaxPool(_)
            | Op::AveragePool { .. }
            | Op::Reshape
            | Op::Rearrange { .. }
            | Op::MatMul(_)
            | Op::Multiply(_)
            | Op::ArgMax { .. }
            | Op::Enter => Self::Nothing,
        }
    }
}

/// A row of the first phase's columns.
pub(crate) struct RowWitness<'w> {
    pub(crate) columns: &'w mut [Vec<i64>],
    pub(crate) a: &'w Architecture,
    pub(crate) row: usize,
    /// Whether its results are in a table; otherwise they are by lines, or a clamp's limbs show that they are in their
    /// range.
    pub(crate) looks_up: bool,
    /// How its results are by lines, where they are.
    pub(crate) lines: Option<Lines>,
}

impl RowWitness<'_> {
    fn set(&mut self, column: usize, value: i64) {
        self.columns[column][self.row] = value;
    }

    /// A gathered copy.
    pub(crate) fn copy(&self, k: usize) -> i64 {
        self.columns[self.a.copy(k)][self.row]
    }

    pub(crate) fn set_copy(&mut self, k: usize, value: i64) {
        self.set(self.a.copy(k), value);
    }

    /// What is added to the fixed gather index of copy 1.
    pub(crate) fn set_offset(&mut self, offset: i64) {
        self.set(self.a.gather_offset(), offset);
    }

    /// A result that gates tie to other cells.
    pub(crate) fn set_result(&mut self, lane: usize, value: i64) {
        self.set(self.a.activated(lane), value);
    }

    /// A row of the table in an activation lane.
    pub(crate) fn activate(&mut self, lane: usize, [rounded, activated, saturation]: [i64; 3]) {
        self.set(self.a.rounded(lane), rounded);
        self.set(self.a.activated(lane), activated);
        self.set(self.a.saturation(lane), saturation);
    }

    /// The row of the table that a value belongs to, in an activation lane.
    pub(crate) fn saturate(&mut self, lane: usize, value: i64, function: &Function) {
        self.activate(lane, saturate(function, value).0);
    }

    /// A row of the table in all lanes from one on that are looked up.
    pub(crate) fn idle(&mut self, lanes: usize, entry: [i64; 3]) {
        (lanes..self.a.looked_up_lanes).for_each(|lane| self.activate(lane, entry));
    }

    /// A rounded value with what shows that its result is the function's: the excess of a saturated one, or the distance
    /// of a clamped one from the least.
    pub(crate) fn pin(&mut self, lane: usize, rounded: i64, function: &Function) {
        if let (Some(of), Function::Table(Activation { min, segments: Some(segments), .. })) = (self.lines, function) {
            return self.pin_by_lines(lane, rounded, &of, (*min, segments));
        }
        let (triple, excess) = saturate(function, rounded);
        self.activate(lane, triple);
        let cells = RequantiseCells::of(self.a, lane);
        let Some(bits) = function.clamped_bits().filter(|_| triple[2] == 0 && !self.looks_up) else {
            return self.set_limbs(cells.excess, self.a.excess_limbs, excess);
        };
        let distance = triple[1].abs_diff(function.min());
        self.set_limbs(cells.excess, self.a.excess_limbs, distance);
        self.set_short(cells.short, bits, distance);
    }

    /// A rounded value with its line and what shows that its result is the function's, which has its segments from `min`
    /// on.
    fn pin_by_lines(&mut self, lane: usize, rounded: i64, of: &Lines, (min, segments): (i64, &Segments)) {
        let least = min - (1 << of.low);
        let greatest = least + ((of.segments as i64) << of.low) - 1;
        let q = rounded.clamp(least, greatest);
        let number = (q - least) >> of.low;
        let place = usize::try_from(number).expect("a clamped argument lies on a line, whose number is not negative");
        let result = self.follow_line(lane, of, (number, line(segments, place)), q - least);
        // The ends themselves have no excess, and so count as inside.
        let saturation = i64::from(rounded > greatest) - i64::from(rounded < least);
        self.activate(lane, [q, result, saturation]);
        let excess = if saturation == 0 { result.wrapping_add(1 << of.bits) as u64 } else { rounded.abs_diff(q) };
        self.set_limbs(RequantiseCells::of(self.a, lane).excess, self.a.excess_limbs, excess);
    }

    /// The line of a distance from a maximum, or of a masked member, and the limbs of its exponential.
    pub(crate) fn follow_exponential(&mut self, lane: usize, of: &Lines, segments: &Segments, distance: i64) {
        let number = distance >> of.low;
        let masked = [1 << (of.scale - 1), 0];
        let line = usize::try_from(number).ok().and_then(|number| segments.lines.get(number)).copied();
        let result = self.follow_line(lane, of, (number, line.unwrap_or(masked)), distance);
        self.set_limbs(RequantiseCells::of(self.a, lane).excess, self.a.excess_limbs, result as u64);
    }

    /// A line with its number, and what of an argument less the least one lies in its segment; returns the result.
    fn follow_line(&mut self, lane: usize, of: &Lines, (number, line): (i64, [i64; 2]), distance: i64) -> i64 {
        let [intercept, slope] = line;
        let inside = distance & ((1 << of.low) - 1);
        let sum = slope.wrapping_mul(inside).wrapping_add(intercept);
        let a = self.a;
        let cells = LineCells::new(a, of, lane);
        self.activate(cells.line, [number, intercept, slope]);
        self.set_exact(|i| cells.inside(i), of.low, inside as u64);
        self.set_exact(|i| cells.rest(i), of.scale, (sum & ((1 << of.scale) - 1)) as u64);
        sum >> of.scale
    }

    /// The limbs of a number of exactly so many bits, and the highest one scaled where it is short.
    fn set_exact(&mut self, cell: impl Fn(usize) -> usize, bits: u32, number: u64) {
        let limbs = self.a.limbs(bits);
        for i in 0..limbs {
            self.set_limbs(cell(i), 1, number >> (self.a.limb_bits * i as u32) & ((1 << self.a.limb_bits) - 1));
        }
        self.set_short(cell(limbs), bits, number);
    }

    /// A requantised accumulator whose remainder spans so many shifts.
    pub(crate) fn requantise(&mut self, lane: usize, shifts: usize, accumulator: i64, function: &Function) {
        let bits = self.a.remainder_bits(shifts);
        let shifted = accumulator + (1 << (bits - 1));
        self.pin(lane, shifted >> bits, function);
        let remainder = (shifted & ((1 << bits) - 1)) as u64;
        let a = self.a;
        self.set_exact(|i| RequantiseCells::remainder(a, lane, shifts, i), bits, remainder);
    }

    /// The highest limb of a number of exactly so many bits, scaled, where it is short.
    fn set_short(&mut self, cell: usize, bits: u32, number: u64) {
        let missing = self.a.missing_bits(bits);
        if missing > 0 {
            let highest = number >> (self.a.limb_bits * (self.a.limbs(bits) as u32 - 1));
            self.set(self.a.range(cell), (highest << missing) as i64);
        }
    }

    /// The node's accumulators from the row's element on, requantised.
    pub(crate) fn requantise_lanes(&mut self, lanes: usize, shifts: usize, computed: &Computed<'_>) {
        for lane in 0..lanes {
            let accumulator = computed.accumulators[computed.element + lane];
            self.requantise(lane, shifts, accumulator, computed.function);
        }
    }

    /// Auxiliary operands of a lane, one of each sort.
    pub(crate) fn set_auxiliary(&mut self, lane: usize, operands: &[i64]) {
        operands.iter().enumerate().for_each(|(sort, value)| self.set(self.a.auxiliary(sort, lane), *value));
    }

    /// Limbs of a quotient and of the two differences that pin it.
    pub(crate) fn set_quotient(&mut self, [quotient, difference]: [usize; 2], values: [i128; 3]) {
        let places = [(0, quotient), (quotient, difference), (quotient + difference, difference)];
        for ((first, count), value) in places.into_iter().zip(values) {
            for i in 0..count {
                let limb = value >> (self.a.limb_bits as usize * i).min(127) & ((1 << self.a.limb_bits) - 1);
                self.set(self.a.range(first + i), limb as i64);
            }
        }
    }

    /// Limbs of the difference of a member.
    pub(crate) fn set_spread(&mut self, facts: &Facts, slot: usize, value: u64) {
        self.set_limbs(spread_cell(facts, self.a, slot), self.a.spread_limbs, value);
    }

    fn set_limbs(&mut self, first: usize, count: usize, value: u64) {
        for i in 0..count {
            // A number of 64 bits has none beyond.
            let limb = value.checked_shr(self.a.limb_bits * i as u32).unwrap_or(0) & ((1 << self.a.limb_bits) - 1);
            self.set(self.a.range(first + i), limb as i64);
        }
    }
}
