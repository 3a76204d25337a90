//! The lookup tables: one column group, told apart by constant tags.
//!
//! A key is `(v0, v1, v2, tag)`. Every table has its own nonzero tag, fixed on both sides, so that no witness can move
//! a lookup from one table to another; range entries have `v1 = v2 = 0`.
//!
//! Only what is no clamp to a range of a power of two of values has a table of its own: `rows/clamp.rs` has the others. A
//! function by straight lines has one of its lines (`rows/lines.rs`): rows `(h, A, B)`, with one beyond each end.
//!
//! The table of an activation has rows `(q, f(q), c)` with saturation `c` = -1 at the least argument, 1 at the
//! greatest, 0 between. A table of exponentials has rows `(d, e, 0)` for distances `d`, `(0, e, 1)` for the member that
//! is shown to attain the maximum, and `(`[`MASKED`]`, 0, 0)`. An argument beyond the domain is looked up at its end,
//! where `c` admits an excess: `round(acc / 2^S) = q + c·u` with `u >= 0`.

use serde::{Deserialize, Serialize};
use zkml_gpu_graph::{Activation, Function, Segments};

/// Tag of the range table `[0, 2^t)`.
pub const RANGE_TAG: i64 = 1;
/// Tag of gathered values: (value, index).
pub const GATHER_TAG: i64 = 2;
/// Tag of the first activation table.
pub const FIRST_ACTIVATION_TAG: i64 = 3;

/// The argument of masked members: no distance that a table of exponentials has, which the check of the layout makes sure
/// of.
pub const MASKED: i64 = 1 << 20;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableRow {
    /// Values `v0`, `v1`, `v2`.
    pub values: [i64; 3],
    /// Tag.
    pub tag: i64,
}

/// The row `(q, f(q), c)` of a function's table for a rounded accumulator, and the excess `u` that its saturation leaves.
pub fn saturate(function: &Function, rounded: i64) -> ([i64; 3], u64) {
    // A range of one value has two arguments.
    let (min, max) = (function.min(), function.max().max(function.min() + 1));
    let q = rounded.clamp(min, max);
    let c = i64::from(q == max) - i64::from(q == min);
    ([q, function.apply(q), c], rounded.abs_diff(q))
}

/// Intercept and slope of segment `number` of a function with one more segment beyond each end, on which it is constant;
/// zeroes where there is none.
pub(crate) fn line(segments: &Segments, number: usize) -> [i64; 2] {
    let lines = &segments.lines;
    let ends = (lines.len() << segments.low).checked_sub(1).map(|last| [segments.apply(0), segments.apply(last)]);
    let [first, last] = ends.unwrap_or_default().map(Option::unwrap_or_default);
    let constant = |value: i64| [(value << segments.scale) + (1 << (segments.scale - 1)), 0];
    match number {
        0 => constant(first),
        number if number == lines.len() + 1 => constant(last),
        number => lines.get(number - 1).copied().unwrap_or_default(),
    }
}

/// All tables of a circuit, in row order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tables {
    /// The rows, from row 0 of the circuit on.
    pub rows: Vec<TableRow>,
    /// Each activation table with its first row; the tag of the `i`-th is [`FIRST_ACTIVATION_TAG`]` + i`.
    pub activations: Vec<(Activation, usize)>,
    /// Each table of exponentials with its first row; their tags follow those of the activations.
    pub exponentials: Vec<(Activation, usize)>,
    /// Each function by lines with its first row; their tags follow those of the exponentials.
    pub lines: Vec<(Segments, usize)>,
    /// Exponentials by lines, likewise.
    pub exponential_lines: Vec<(Segments, usize)>,
    /// First row of the gather table's constants, and their number: constant `i` has index `i`.
    pub constants: (usize, usize),
}

impl Tables {
    /// The range table of `limb_bits` bits, the constants of the gather table, and the tables of activations, of
    /// exponentials, and of functions and exponentials by lines.
    pub fn new(
        limb_bits: u32,
        constants: &[i64],
        activations: &[Activation],
        exponentials: &[Activation],
        [lines, exponential_lines]: [&[Segments]; 2],
    ) -> Self {
        let range = (0..1i64 << limb_bits).map(|v| TableRow { values: [v, 0, 0], tag: RANGE_TAG });
        let mut tables = Self { rows: range.collect(), ..Self::default() };
        tables.constants = (tables.rows.len(), constants.len());
        let constants = constants.iter().zip(0..);
        tables.rows.extend(constants.map(|(value, index)| TableRow { values: [*value, index, 0], tag: GATHER_TAG }));
        for (activation, tag) in activations.iter().zip(FIRST_ACTIVATION_TAG..) {
            let function = Function::Table(activation.clone());
            let row = |q| TableRow { values: saturate(&function, q).0, tag };
            tables.activations.push((activation.clone(), tables.rows.len()));
            tables.rows.extend((activation.min..=activation.max()).map(row));
        }
        for (exp, tag) in exponentials.iter().zip(FIRST_ACTIVATION_TAG + activations.len() as i64..) {
            let row = |values| TableRow { values, tag };
            tables.exponentials.push((exp.clone(), tables.rows.len()));
            tables.rows.push(row([0, exp.apply(0), 1]));
            tables.rows.extend((0..=exp.max()).map(|d| row([d, exp.apply(d), 0])));
            tables.rows.push(row([MASKED, 0, 0]));
        }
        for (segments, tag) in lines.iter().zip(tables.first_line_tag()..) {
            let row = |number: usize| {
                let [intercept, slope] = line(segments, number);
                TableRow { values: [number as i64, intercept, slope], tag }
            };
            tables.lines.push((segments.clone(), tables.rows.len()));
            tables.rows.extend((0..segments.lines.len() + 2).map(row));
        }
        for (segments, tag) in exponential_lines.iter().zip(tables.first_line_tag() + lines.len() as i64..) {
            let row = |number: i64, [intercept, slope]: [i64; 2]| TableRow { values: [number, intercept, slope], tag };
            tables.exponential_lines.push((segments.clone(), tables.rows.len()));
            tables.rows.extend(segments.lines.iter().zip(0..).map(|(line, number)| row(number, *line)));
            tables.rows.push(row(MASKED >> segments.low, [1 << (segments.scale - 1), 0]));
        }
        tables
    }

    const fn first_line_tag(&self) -> i64 {
        FIRST_ACTIVATION_TAG + (self.activations.len() + self.exponentials.len()) as i64
    }

    /// Tag of a function's lines, if there are some.
    pub fn line_tag(&self, segments: &Segments) -> Option<i64> {
        let index = self.lines.iter().position(|(known, _)| known == segments)?;
        Some(self.first_line_tag() + index as i64)
    }

    /// Tag of the lines of exponentials, if there are some.
    pub fn exponential_line_tag(&self, segments: &Segments) -> Option<i64> {
        let index = self.exponential_lines.iter().position(|(known, _)| known == segments)?;
        Some(self.first_line_tag() + (self.lines.len() + index) as i64)
    }

    /// Tag of an activation's table, if there is one.
    pub fn activation_tag(&self, activation: &Activation) -> Option<i64> {
        let index = self.activations.iter().position(|(known, _)| known == activation)?;
        Some(FIRST_ACTIVATION_TAG + index as i64)
    }

    /// Tag of a table of exponentials, if there is one.
    pub fn exponential_tag(&self, exp: &Activation) -> Option<i64> {
        let index = self.exponentials.iter().position(|(known, _)| known == exp)?;
        Some(FIRST_ACTIVATION_TAG + (self.activations.len() + index) as i64)
    }

    /// Row of a key, if it is in its table.
    pub fn find(&self, values: [i64; 3], tag: i64) -> Option<usize> {
        let row = match tag {
            RANGE_TAG => usize::try_from(values[0]).ok()?,
            GATHER_TAG => {
                let index = usize::try_from(values[1]).ok().filter(|index| *index < self.constants.1)?;
                self.constants.0 + index
            }
            _ => {
                let index = usize::try_from(tag.checked_sub(FIRST_ACTIVATION_TAG)?).ok()?;
                match self.activations.get(index) {
                    Some((activation, first)) => {
                        first.checked_add(usize::try_from(values[0].checked_sub(activation.min)?).ok()?)?
                    }
                    None => self.find_beyond(values, index - self.activations.len())?,
                }
            }
        };
        (self.rows.get(row)? == &TableRow { values, tag }).then_some(row)
    }

    /// Where a key would be in the table with this number of those behind the activations'.
    fn find_beyond(&self, values: [i64; 3], index: usize) -> Option<usize> {
        let argument = || usize::try_from(values[0]).ok();
        if let Some((exp, first)) = self.exponentials.get(index) {
            return match values {
                [_, _, 1] => Some(*first),
                [MASKED, ..] => Some(first + 1 + exp.values.len()),
                _ => first.checked_add(1)?.checked_add(argument()?),
            };
        }
        let index = index - self.exponentials.len();
        if let Some((_, first)) = self.lines.get(index) {
            return first.checked_add(argument()?);
        }
        let (segments, first) = self.exponential_lines.get(index - self.lines.len())?;
        let is_masked = values[0] == MASKED >> segments.low;
        first.checked_add(if is_masked { segments.lines.len() } else { argument()? })
    }
}
