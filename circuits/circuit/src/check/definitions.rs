//! Identities that define a node's accumulators: at the power of each stands its definition, and nothing else.
//!
//! As a polynomial in `s` and `r` the identity is `Σ s^S·r^R·(definition - accumulator) + rest`, with a power of its
//! own for each accumulator. What the check proves is that nothing of the rest stands at one of these powers. A free
//! coefficient that is committed after `s` counts at every power of `s`; so none may share its power of `r` with an
//! accumulator.
//!
//! Products with weights have separate powers: of `s` for the output channel, `S(o)`, and of `r` for the position,
//! `R(i, j)`. At `s^S(o)·r^R(i, j)` a channel's product contributes, for each weight of `o` at `s^S(o)·r^e`, the
//! operand at `r^(R(i, j) - e)`: which must be the element that the window puts under that weight, or 0 where it
//! reaches into padding. So each weight is compared once, each element once for each tap, and no product is expanded.

use std::collections::HashMap;

use zkml_gpu_graph::{Graph, Interleaving, Linear, MatMul, Node, Op, Shape, Storage};

use super::cells::Cells;
use super::polynomial::{Dot, Identities, Identity, Item, Symbol};
use super::values::{Value, multiset};
use super::weights::Learned;
use super::{Check, Reading, refuse, require, ties};
use crate::system::{RowKind, WeightMode};

/// Whether an identity defines a node's accumulators, or its sums.
pub(super) fn needs_identity(graph: &Graph, node: &Node) -> bool {
    match &node.op {
        Op::Enter => graph.tensors[node.output].storage == Storage::OneHot,
        Op::Linear(_) | Op::Combine { .. } | Op::MatMul(_) | Op::Softmax(_) | Op::Normalise(_) => true,
        Op::MaxPool(_)
        | Op::AveragePool { .. }
        | Op::Reshape
        | Op::Rearrange { .. }
        | Op::Multiply(_)
        | Op::ArgMax { .. } => false,
    }
}

/// The node whose accumulators an identity defines.
pub(super) fn node(reading: &Reading<'_>, identity: &Identity) -> Check<usize> {
    let slot = identity.items.iter().find(|item| matches!(item.symbol, Symbol::Slot(_)));
    match slot.and_then(|item| reading.rows.at(item.row)) {
        Some(result) => Ok(result.node as usize),
        None => refuse(format!("identity {} defines nothing", identity.number)),
    }
}

/// Proves an identity to be the definition of a node; returns the numbers of its accumulators and free coefficients.
pub(super) fn check(
    reading: &Reading<'_>,
    identities: &Identities<'_>,
    identity: &Identity,
    node: usize,
    cells: &Cells,
) -> Check<(usize, usize)> {
    let definition = Definition { reading, identities, identity, index: node, node: &reading.graph.nodes[node], cells };
    match &definition.node.op {
        Op::Linear(linear) => definition.linear(linear),
        Op::Combine { multipliers, offset, shared, .. } => definition.combine(multipliers, offset, *shared),
        Op::MatMul(product) => definition.matmul(product),
        Op::MaxPool(_)
        | Op::AveragePool { .. }
        | Op::Reshape
        | Op::Rearrange { .. }
        | Op::Multiply(_)
        | Op::Softmax(_)
        | Op::Normalise(_)
        | Op::ArgMax { .. }
        | Op::Enter => refuse("its accumulators are defined by its rows"),
    }
}

struct Definition<'d, 'l> {
    reading: &'d Reading<'l>,
    identities: &'d Identities<'l>,
    identity: &'d Identity,
    index: usize,
    node: &'l Node,
    cells: &'d Cells,
}

/// Where accumulators stand: powers that number them, in two directions.
struct Grid {
    /// Power of `s` by outer number.
    s: Vec<usize>,
    /// Power of `r` by inner number.
    r: Vec<usize>,
    /// Outer number by power of `s`.
    by_s: Numbers,
    /// Inner number by power of `r`.
    by_r: Numbers,
}

/// Greatest power of an accumulator.
const MAX_POWER: usize = 1 << 28;

/// Numbers by power: from 1, 0 where a power has none.
struct Numbers(Vec<u32>);

impl Numbers {
    /// The numbers of powers in order; none where two are equal, or one is out of bounds.
    fn of(powers: &[usize]) -> Option<Self> {
        if powers.iter().any(|power| *power > MAX_POWER) {
            return None;
        }
        let mut numbers = vec![0; powers.iter().max().map_or(0, |most| most + 1)];
        for (power, number) in powers.iter().zip(1..) {
            if std::mem::replace(&mut numbers[*power], number) != 0 {
                return None;
            }
        }
        Some(Self(numbers))
    }

    fn get(&self, power: usize) -> Option<usize> {
        (*self.0.get(power)? as usize).checked_sub(1)
    }
}

impl Grid {
    /// The grid of accumulators `(outer, inner)` at powers `(s, r)`: all of them, each once, powers of a direction
    /// distinct.
    fn new(outer: usize, inner: usize, places: impl Iterator<Item = Check<([usize; 2], [usize; 2])>>) -> Check<Self> {
        let (mut s, mut r) = (vec![None; outer], vec![None; inner]);
        let mut seen = vec![false; outer * inner];
        for place in places {
            let ([o, i], [at_s, at_r]) = place?;
            let consistent = *s[o].get_or_insert(at_s) == at_s && *r[i].get_or_insert(at_r) == at_r;
            let again = std::mem::replace(&mut seen[o * inner + i], true);
            require(consistent && !again, || {
                format!("an accumulator at s^{at_s}·r^{at_r}, beside the others' powers")
            })?;
        }
        require(seen.into_iter().all(|seen| seen), || "not every accumulator is defined".into())?;
        let (s, r): (Vec<usize>, Vec<usize>) = (s.into_iter().flatten().collect(), r.into_iter().flatten().collect());
        match (Numbers::of(&s), Numbers::of(&r)) {
            (Some(by_s), Some(by_r)) => Ok(Self { s, r, by_s, by_r }),
            _ => refuse("two accumulators at one power, or one out of bounds"),
        }
    }
}

impl Definition<'_, '_> {
    /// The element of an accumulator that an item speaks of, and which member of the element's window it is.
    fn slot(&self, item: &Item, slot: usize) -> Check<(usize, usize)> {
        let result = self.reading.rows.at(item.row).filter(|result| result.node as usize == self.index);
        let Some(result) = result else { return refuse("an accumulator of another node") };
        require(item.coefficient == -1, || format!("an accumulator counts {} times", item.coefficient))?;
        let element = result.element as usize;
        Ok(match result.kind {
            RowKind::MaximumOfWindow(_) => (element, slot),
            RowKind::Requantise(_)
            | RowKind::Multiply(_)
            | RowKind::Exponential(_)
            | RowKind::Reciprocal(_)
            | RowKind::Normalise(_)
            | RowKind::InverseRoot(_)
            | RowKind::Raw
            | RowKind::GatheredMaximum(_)
            | RowKind::GatheredSum
            | RowKind::Copies(_)
            | RowKind::Index
            | RowKind::Candidate(_)
            | RowKind::Entry(_)
            | RowKind::OneHot(_) => (element + slot, 0),
        })
    }

    /// Items of accumulators, with the powers where they stand.
    fn slots(&self) -> impl Iterator<Item = (&Item, usize)> {
        let items = self.identity.items.iter();
        items.filter_map(|item| if let Symbol::Slot(slot) = item.symbol { Some((item, slot)) } else { None })
    }

    /// What a cell of an operand or a copy equals.
    fn value(&self, item: &Item) -> Check<Value> {
        let column = ties::column(&self.reading.layout.architecture, item.symbol);
        let value = column.map(|column| self.cells.get(column, item.row)).filter(|value| *value != Value::UNKNOWN);
        value.map_or_else(|| refuse(format!("{:?} on row {} is free", item.symbol, item.row)), Ok)
    }

    /// `Σ x·w + bias`.
    fn linear(&self, linear: &Linear) -> Check<(usize, usize)> {
        let product = Product::new(self, linear)?;
        product.check_biases()?;
        let (mut reached, mut weights) = (Reached::default(), vec![false; product.weights()]);
        for dot in &self.identity.dots {
            product.check_channel(dot, &mut weights, &mut reached)?;
        }
        require(weights.into_iter().all(|seen| seen), || "not every weight is multiplied".into())?;
        let free = product.check_free(&reached)?;
        Ok((product.grid.s.len() * product.grid.r.len(), free))
    }

    /// `Σ m·x + offset`, element by element. Inferences in turn, `run` elements of each, take the same summands.
    fn combine(&self, multipliers: &[i64], offset: &[i64], shared: Interleaving) -> Check<(usize, usize)> {
        require(self.identity.dots.is_empty(), || "a combination with products".into())?;
        let len = self.reading.graph.tensors[self.node.output].shape.len();
        let places = self.slots().map(|(item, slot)| Ok(([0, self.slot(item, slot)?.0], [item.s, item.r])));
        let grid = Grid::new(1, len, places)?;
        let mut found: Vec<Vec<(Value, i128)>> = vec![Vec::new(); len];
        let mut summands = vec![false; if offset.is_empty() { 0 } else { len }];
        let Interleaving { inferences, run } = shared;
        let own = |element: usize| element / (inferences * run) * run + element % run;
        for item in &self.identity.items {
            let element = grid.by_r.get(item.r).filter(|_| item.s == grid.s[0]);
            match item.symbol {
                Symbol::Slot(_) => {}
                Symbol::Weight(column) => {
                    let learned = self.reading.weights.learned(self.reading.graph, item.row, column);
                    match (learned, element) {
                        // A cell that the architecture leaves zero, where no accumulator stands.
                        (None, None) if self.reading.weights.has(item.row) => {}
                        (Some((node, Learned::Offset(of))), Some(element))
                            if element < summands.len() && (node, of) == (self.index, own(element)) =>
                        {
                            let again = std::mem::replace(&mut summands[element], true);
                            require(item.coefficient == 1 && !again, || {
                                format!("summand {of} counts otherwise than once for an element")
                            })?;
                        }
                        _ => {
                            return refuse(format!(
                                "column {column} of the weights on row {} at r^{}",
                                item.row, item.r
                            ));
                        }
                    }
                }
                Symbol::Operand(_)
                | Symbol::Instance(_)
                | Symbol::Activated(_)
                | Symbol::Committed(_)
                | Symbol::Hashed
                | Symbol::Copy(..)
                | Symbol::Left(_) => match (self.value(item)?, element) {
                    (Value::ZERO, _) => {}
                    (value, Some(element)) => add(&mut found[element], value, item.coefficient),
                    (_, None) => return refuse(format!("an element at s^{}·r^{}, where no result is", item.s, item.r)),
                },
                Symbol::Square(..) | Symbol::Mark(_) | Symbol::Free(_) | Symbol::One => {
                    return refuse(format!("{:?} in a combination", item.symbol));
                }
            }
        }
        require(summands.into_iter().all(|seen| seen), || "not every summand counts".into())?;
        for (element, mut found) in found.into_iter().enumerate() {
            for (input, multiplier) in self.node.inputs.iter().zip(multipliers) {
                match self.reading.values.element(*input, element) {
                    Value::ZERO => {}
                    value => add(&mut found, value, -multiplier),
                }
            }
            require(found.iter().all(|(_, sum)| *sum == 0), || format!("element {element} combines other operands"))?;
        }
        Ok((len, 0))
    }

    /// `m · Σ_k left(h, k, i) · right(h, k, j) + summand(i, h, j)`.
    fn matmul(&self, product: &MatMul) -> Check<(usize, usize)> {
        let MatMul { inner, rows, columns, inferences, ref rescale, .. } = *product;
        // Block (h, k, b), or (k, h, b). Inferences side by side have powers of s as heads do; or powers of r as columns do,
        // where they share summands.
        let apart = product.summands.is_empty();
        let number = |block: usize| {
            let (of_head, inference) = (block / inferences, block % inferences);
            let head = if product.head_minor { of_head % product.heads } else { of_head / inner };
            if apart { (head * inferences + inference, 0) } else { (head, inference) }
        };
        let (heads, turns) = if apart { (product.heads * inferences, 1) } else { (product.heads, inferences) };
        let across = turns * columns;
        let places = self.slots().map(|(item, slot)| {
            let (element, _) = self.slot(item, slot)?;
            // A result is stored as [row][head][inference][column].
            Ok(([element / across, element % across], [item.s, item.r]))
        });
        let grid = Grid::new(rows * heads, across, places)?;
        self.check_summands(product, &grid)?;
        require(self.identity.dots.len() == product.heads * inferences * inner, || {
            "not one product for each block".into()
        })?;
        let mut dots: Vec<&Dot> = self.identity.dots.iter().collect();
        dots.sort_unstable_by_key(|dot| dot.row);
        for (block, dot) in dots.into_iter().enumerate() {
            require(dot.coefficient == rescale.multiplier, || format!("a product counts {} times", dot.coefficient))?;
            let [right, left] = self.identities.factors(dot)?;
            let (head, turn) = number(block);
            let place = |i: usize| grid.s[i * heads + head];
            self.matmul_left(dot, &left, rows, (block * rows, place))?;
            self.matmul_right(dot, &right, &grid.r[turn * columns..][..columns], block * columns)?;
        }
        Ok((rows * heads * across, 0))
    }

    /// Every accumulator of a product of activations has its summand, once, where there are summands.
    fn check_summands(&self, product: &MatMul, grid: &Grid) -> Check {
        let (across, columns) = (grid.r.len(), product.columns);
        let mut seen = vec![false; if product.summands.is_empty() { 0 } else { grid.s.len() * across }];
        for item in &self.identity.items {
            match item.symbol {
                Symbol::Slot(_) => {}
                Symbol::Weight(column) => {
                    let learned = self.reading.weights.learned(self.reading.graph, item.row, column);
                    let at = (grid.by_s.get(item.s), grid.by_r.get(item.r));
                    match (learned, at) {
                        // A cell that the architecture leaves zero, where no accumulator stands.
                        (None, (None, _)) if self.reading.weights.has(item.row) => {}
                        (Some((node, Learned::Offset(of))), (Some(outer), Some(inner)))
                            if !seen.is_empty() && (node, of) == (self.index, outer * columns + inner % columns) =>
                        {
                            let again = std::mem::replace(&mut seen[outer * across + inner], true);
                            require(item.coefficient == 1 && !again, || {
                                format!("summand {of} counts otherwise than once for an element")
                            })?;
                        }
                        _ => {
                            return refuse(format!(
                                "column {column} of the weights on row {} at s^{}·r^{}",
                                item.row, item.s, item.r
                            ));
                        }
                    }
                }
                Symbol::Operand(_)
                | Symbol::Left(_)
                | Symbol::Instance(_)
                | Symbol::Activated(_)
                | Symbol::Committed(_)
                | Symbol::Hashed
                | Symbol::Copy(..)
                | Symbol::Square(..)
                | Symbol::Mark(_)
                | Symbol::Free(_)
                | Symbol::One => return refuse(format!("{:?} in a product of activations", item.symbol)),
            }
        }
        require(seen.into_iter().all(|seen| seen), || "not every summand counts".into())
    }

    /// A block of the left operand: element `first + i` at the power of `s` of row `i`, and nothing else.
    fn matmul_left(
        &self,
        dot: &Dot,
        items: &[Item],
        rows: usize,
        (first, place): (usize, impl Fn(usize) -> usize),
    ) -> Check {
        let mut found: HashMap<usize, Value> = HashMap::new();
        for item in items {
            require(matches!(item.symbol, Symbol::Left(_)), || "a product of activations with weights".into())?;
            require(item.coefficient == 1 && item.r == 0, || "a left operand at a power of r".into())?;
            match self.value(item)? {
                Value::ZERO => {}
                value => {
                    require(found.insert(item.s + dot.s, value).is_none(), || "two left elements at one power".into())?;
                }
            }
        }
        for i in 0..rows {
            let expected = self.reading.values.element(self.node.inputs[0], first + i);
            let holds = found.remove(&place(i)).unwrap_or(Value::ZERO) == expected;
            require(holds, || {
                format!("row {i} of the block that starts with left element {first} is another element")
            })?;
        }
        require(found.is_empty(), || "a left element at a power of no row".into())
    }

    /// A block of the right operand: element `first + j` at the power of `r` of column `j`, and nothing else.
    fn matmul_right(&self, dot: &Dot, items: &[Item], powers: &[usize], first: usize) -> Check {
        let operand = Operand::new(self, items)?;
        for (j, r) in powers.iter().enumerate() {
            let expected = self.reading.values.element(self.node.inputs[1], first + j);
            let holds = r.checked_sub(dot.r).map_or(Value::ZERO, |at| operand.at(at)) == expected;
            require(holds, || {
                format!("column {j} of the block that starts with right element {first} is another element")
            })?;
        }
        let own = (0..powers.len()).map(|j| self.reading.values.element(self.node.inputs[1], first + j));
        operand.expect_elements(own)
    }
}

/// Adds to a value's coefficient. In 128 bits: there are fewer than 2^64 items.
fn add(sums: &mut Vec<(Value, i128)>, value: Value, coefficient: i64) {
    match sums.iter_mut().find(|(other, _)| *other == value) {
        Some((_, sum)) => *sum += i128::from(coefficient),
        None => sums.push((value, coefficient.into())),
    }
}

/// The polynomial of one channel of an operand: the value at each power of `r`.
struct Operand {
    values: Vec<Value>,
}

impl Operand {
    fn new(definition: &Definition<'_, '_>, items: &[Item]) -> Check<Self> {
        let mut values = vec![Value::ZERO; items.iter().map(|item| item.r + 1).max().unwrap_or(0)];
        for item in items {
            require(item.coefficient == 1 && item.s == 0, || "an operand at a power of s".into())?;
            let value = definition.value(item)?;
            if value != Value::ZERO {
                let before = std::mem::replace(&mut values[item.r], value);
                require(before == Value::ZERO, || "two elements of an operand at one power".into())?;
            }
        }
        Ok(Self { values })
    }

    fn at(&self, r: usize) -> Value {
        self.values.get(r).copied().unwrap_or(Value::ZERO)
    }

    /// Refuses a polynomial of other elements than these, also where no output reads them: an honest prover computes
    /// with all.
    fn expect_elements(&self, elements: impl Iterator<Item = Value>) -> Check {
        let own = multiset(self.values.iter().copied());
        require(own == multiset(elements), || "an operand without one of its elements".into())
    }
}

/// Powers of `r` that products reach.
#[derive(Default)]
struct Reached {
    powers: Vec<bool>,
    /// Whether some element is the constant 0, so that its powers are not known.
    has_zeros: bool,
}

impl Reached {
    fn mark(&mut self, r: usize) {
        if self.powers.len() <= r {
            self.powers.resize(r + 1, false);
        }
        self.powers[r] = true;
    }

    fn contains(&self, r: usize) -> bool {
        self.powers.get(r).copied().unwrap_or(false)
    }
}

/// A product with learned weights.
struct Product<'d, 'l> {
    definition: &'d Definition<'d, 'l>,
    linear: &'d Linear,
    input: Shape,
    /// Rows and columns of accumulators in use, before pooling.
    used: [usize; 2],
    grid: Grid,
}

impl<'d, 'l> Product<'d, 'l> {
    fn new(definition: &'d Definition<'d, 'l>, linear: &'d Linear) -> Check<Self> {
        let graph = definition.reading.graph;
        let input = graph.tensors[definition.node.inputs[0]].shape;
        let output = graph.tensors[definition.node.output].shape;
        let used = match linear.transposed {
            true => [1, output.channels],
            false => [output.height * linear.pool[0], output.width * linear.pool[1]],
        };
        let images = linear.window.images;
        let places = definition.slots().map(|(item, slot)| {
            let (element, member) = definition.slot(item, slot)?;
            let (channel, i, j) = match linear.transposed {
                true => (element % output.width, 0, element / output.width),
                false => output.position(element),
            };
            let [height, width] = linear.pool;
            // A pooling window takes columns of one image.
            let column = (j / images * width + member % width) * images + j % images;
            let position = (i * height + member / width) * used[1] + column;
            Ok(([channel, position], [item.s, item.r]))
        });
        let grid = Grid::new(linear.out_channels, used[0] * used[1], places)?;
        Ok(Self { definition, linear, input, used, grid })
    }

    /// Number of learned weights, those across groups included.
    const fn weights(&self) -> usize {
        self.linear.out_channels * self.input.channels * self.linear.window.taps()
    }

    fn learned(&self, item: &Item, column: usize) -> Option<(usize, Learned)> {
        let reading = self.definition.reading;
        reading.weights.learned(reading.graph, item.row, column)
    }

    /// Every output has the bias of its channel, once; what the architecture leaves zero stands at no channel's power.
    fn check_biases(&self) -> Check {
        let (outer, inner) = (self.grid.s.len(), self.grid.r.len());
        let mut seen = vec![false; outer * inner];
        for item in &self.definition.identity.items {
            match item.symbol {
                Symbol::Weight(column) => match (self.learned(item, column), self.grid.by_s.get(item.s)) {
                    (None, None) if self.definition.reading.weights.has(item.row) => {}
                    (Some((node, Learned::Bias(output))), Some(at))
                        if (node, output) == (self.definition.index, at) =>
                    {
                        let Some(position) = self.grid.by_r.get(item.r) else {
                            return refuse(format!("a bias at r^{}, where no output is", item.r));
                        };
                        let again = std::mem::replace(&mut seen[output * inner + position], true);
                        require(item.coefficient == 1 && !again, || {
                            format!("the bias of channel {output} counts twice")
                        })?;
                    }
                    _ => return refuse(format!("column {column} of the weights on row {} at s^{}", item.row, item.s)),
                },
                Symbol::Slot(_) | Symbol::Free(_) => {}
                Symbol::Operand(_)
                | Symbol::Left(_)
                | Symbol::Instance(_)
                | Symbol::Activated(_)
                | Symbol::Committed(_)
                | Symbol::Hashed
                | Symbol::Copy(..)
                | Symbol::Square(..)
                | Symbol::Mark(_)
                | Symbol::One => return refuse(format!("{:?} in a product with weights", item.symbol)),
            }
        }
        require(seen.into_iter().all(|seen| seen), || "an output without its bias".into())
    }

    /// One channel: its weights at their channels' powers, and under each tap the element that the window puts there.
    fn check_channel(&self, dot: &Dot, weights: &mut [bool], reached: &mut Reached) -> Check {
        require(dot.coefficient == 1, || format!("a product counts {} times", dot.coefficient))?;
        let reading = self.definition.reading;
        let [operand, items] = self.definition.identities.factors(dot)?;
        let operand = Operand::new(self.definition, &operand)?;
        let (taps, channels) = (self.linear.window.taps(), self.input.channels);
        // Power of r of each tap.
        let mut powers: Vec<Option<usize>> = vec![None; taps];
        let mut channel = None;
        for item in &items {
            let Symbol::Weight(column) = item.symbol else { return refuse("a product of activations with weights") };
            let at = self.grid.by_s.get(item.s + dot.s);
            match (self.learned(item, column), at) {
                (None, None) if reading.weights.has(item.row) => {}
                (Some((node, Learned::Weight { output, tap })), Some(at))
                    if (node, output) == (self.definition.index, at) =>
                {
                    require(item.coefficient == 1 && tap < taps * channels, || {
                        "a weight counts otherwise than once".into()
                    })?;
                    require(*channel.get_or_insert(tap / taps) == tap / taps, || "weights of two channels".into())?;
                    require(*powers[tap % taps].get_or_insert(item.r) == item.r, || "a tap at two powers".into())?;
                    let again = std::mem::replace(&mut weights[output * taps * channels + tap], true);
                    require(!again, || "a weight is multiplied twice".into())?;
                }
                _ => {
                    return refuse(format!(
                        "column {column} of the weights on row {} at s^{}",
                        item.row,
                        item.s + dot.s
                    ));
                }
            }
        }
        let Some(channel) = channel else { return refuse("a product without weights") };
        let area = self.input.height * self.input.width;
        let element = |e: usize| reading.values.element(self.definition.node.inputs[0], channel * area + e);
        operand.expect_elements((0..area).map(element))?;
        reached.has_zeros |= (0..area).any(|e| element(e) == Value::ZERO);
        for (tap, power) in powers.into_iter().enumerate() {
            let Some(power) = power else { return refuse(format!("a channel without its tap {tap}")) };
            self.check_tap(&operand, [channel, tap], power + dot.r)?;
            let held = operand.values.iter().enumerate().filter(|(_, value)| **value != Value::ZERO);
            held.for_each(|(r, _)| reached.mark(r + power + dot.r));
        }
        Ok(())
    }

    /// What a tap, which is shifted by `r^shift`, multiplies for each output.
    fn check_tap(&self, operand: &Operand, [channel, tap]: [usize; 2], shift: usize) -> Check {
        let (window, dilation) = (&self.linear.window, self.linear.input_dilation);
        let [a, b] = [tap / window.kernel[1], tap % window.kernel[1]];
        let inside = |axis: usize, out: usize, tap: usize, size: usize| {
            let at = (out * window.stride[axis] + tap * window.dilation[axis]).checked_sub(window.pad_before[axis])?;
            (at % dilation[axis] == 0 && at / dilation[axis] < size).then_some(at / dilation[axis])
        };
        let reading = self.definition.reading;
        // Columns of the images alternate; a window reads those of its own.
        let images = window.images;
        for i in 0..self.used[0] {
            let y = inside(0, i, a, self.input.height);
            for j in 0..self.used[1] {
                let x = inside(1, j / images, b, self.input.width / images).map(|x| x * images + j % images);
                let expected = y.zip(x).map_or(Value::ZERO, |(y, x)| {
                    reading.values.element(self.definition.node.inputs[0], self.input.index(channel, y, x))
                });
                let at = self.grid.r[i * self.used[1] + j].checked_sub(shift);
                let holds = at.map_or(Value::ZERO, |at| operand.at(at)) == expected;
                require(holds, || {
                    format!("output ({i}, {j}) multiplies another element with tap ({a}, {b}) of channel {channel}")
                })?;
            }
        }
        Ok(())
    }

    /// Free coefficients balance what the products reach beside the outputs, and stand at no output's power of `r`;
    /// returns their number.
    fn check_free(&self, reached: &Reached) -> Check<usize> {
        let mode = self.definition.reading.layout.architecture.weights;
        let outer = match mode {
            // Folded over the channels after s is known.
            WeightMode::Committed => 1,
            WeightMode::Embedded => self.grid.s.len(),
        };
        let mut free: Vec<Reached> = std::iter::repeat_with(Reached::default).take(outer).collect();
        let mut count = 0;
        for item in &self.definition.identity.items {
            let Symbol::Free(_) = item.symbol else { continue };
            require(self.grid.by_r.get(item.r).is_none(), || {
                format!("a free coefficient at an output's power r^{}", item.r)
            })?;
            let channel = match mode {
                WeightMode::Committed => (item.s == 0).then_some(0),
                WeightMode::Embedded => self.grid.by_s.get(item.s),
            };
            let Some(channel) = channel else { return refuse(format!("a free coefficient at s^{}", item.s)) };
            // Where nothing reaches, the coefficient would be 0.
            require(reached.has_zeros || reached.contains(item.r), || {
                format!("a free coefficient at r^{}, for nothing", item.r)
            })?;
            require(item.coefficient == -1, || format!("a free coefficient counts {} times", item.coefficient))?;
            require(!free[channel].contains(item.r), || "two free coefficients at one power".into())?;
            free[channel].mark(item.r);
            count += 1;
        }
        let lacks = |r: usize| self.grid.by_r.get(r).is_none() && free.iter().any(|free| !free.contains(r));
        let lacking = (0..reached.powers.len()).find(|r| reached.contains(*r) && lacks(*r));
        require(lacking.is_none(), || format!("nothing balances what the product has at r^{lacking:?}"))?;
        Ok(count)
    }
}
