//! The numbers that a contract is given, and where they stand in the instance columns.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use zkml_gpu_circuit::system::{Placement, Port, Statement as ModelStatement};
use zkml_gpu_verify::stored_places;

use crate::Error;

/// Most cells of all instance columns: each is hashed, which costs some 25 gas with its memory.
const MAX_CELLS: usize = 1 << 16;

/// What a number may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// An element of the scalar field, as an integer below the modulus.
    Element,
    /// An integer between these two, both included.
    Integers {
        /// The least one.
        min: i64,
        /// The greatest one.
        max: i64,
    },
}

/// A number that is given to the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its instance column.
    pub column: usize,
    /// Its row.
    pub row: usize,
    /// What it may be.
    pub range: Range,
}

/// All numbers of a statement, in the order in which the contract takes them. Cells of the instance columns that have
/// none are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Exact length of each instance column.
    pub lengths: Vec<usize>,
    /// The numbers.
    pub values: Vec<Value>,
    /// What the numbers are, for people: a name, and how many they are.
    pub names: Vec<(String, usize)>,
}

impl Statement {
    /// Of any circuit: all cells of its instance columns, column by column.
    pub fn elements(lengths: &[usize]) -> Self {
        let cells = |(column, len): (usize, &usize)| {
            (0..*len).map(move |row| Value { column, row, range: Range::Element }).collect::<Vec<_>>()
        };
        Self {
            values: lengths.iter().enumerate().flat_map(cells).collect(),
            lengths: lengths.to_vec(),
            names: lengths.iter().enumerate().map(|(i, len)| (format!("instance column {i}"), *len)).collect(),
        }
    }

    /// Of a network: inputs, then outputs. A public tensor has its integers in the model's order, a hashed one its
    /// hash, a private one nothing.
    ///
    /// # Errors
    /// [`Error::Statement`] for committed tensors and for public indices, which contracts do not take.
    pub fn of_model(statement: &ModelStatement) -> Result<Self, Error> {
        let refusal = |port: &Port, what: &str| Error::Statement { name: port.name.clone(), reason: what.into() };
        let mut values = Vec::new();
        let mut names = Vec::new();
        for port in statement.ports() {
            let before = values.len();
            let format = port.logical_format();
            match port.placement {
                Placement::Packed { .. } | Placement::Column { .. } => {
                    let range = Range::Integers { min: format.min, max: format.max };
                    let places = stored_places(port).ok_or_else(|| {
                        refusal(port, "public indices stand in the circuit as ones and zeros: hash them")
                    })?;
                    for place in places {
                        let cell = port.placement.cell(place);
                        let (column, row) = cell.ok_or_else(|| refusal(port, "it has an element without a cell"))?;
                        values.push(Value { column, row, range });
                    }
                }
                Placement::Hashed { .. } => {
                    let rows = port.hashed().transpose().map_err(|error| refusal(port, &error.to_string()))?;
                    let row = rows.map(|rows| rows.output_row()).unwrap_or(0);
                    let column = statement.lengths.len().saturating_sub(1);
                    values.push(Value { column, row, range: Range::Element });
                }
                Placement::Private => {}
                Placement::Committed { .. } => {
                    return Err(refusal(port, "committed tensors are absorbed by a Blake2b digest: hash them"));
                }
            }
            let visibility = port.visibility().name();
            names.push((format!("{} ({visibility})", port.name), values.len() - before));
        }
        let own = Self { lengths: statement.lengths.clone(), values, names };
        own.check()?;
        Ok(own)
    }

    /// Checks that every number has a cell of its own.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fail = |reason: &str| Error::Statement { name: "instances".into(), reason: reason.into() };
        if self.cells() > MAX_CELLS {
            return Err(fail("the instance columns are too long for a contract: hash what is long"));
        }
        let mut taken = std::collections::HashSet::new();
        for Value { column, row, range } in &self.values {
            if self.lengths.get(*column).is_none_or(|len| row >= len) || !taken.insert((*column, *row)) {
                return Err(fail("a number without a cell of its own"));
            }
            if matches!(range, Range::Integers { min, max } if min > max) {
                return Err(fail("a range without numbers"));
            }
        }
        Ok(())
    }

    /// Cells of all columns.
    pub fn cells(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Cell number of a row of a column, where all columns stand one after the other.
    pub(crate) fn cell(&self, column: usize, row: usize) -> usize {
        self.lengths[..column].iter().sum::<usize>() + row
    }

    /// Runs of numbers that go to cells at one distance.
    pub(crate) fn copies(&self) -> Vec<Copy> {
        let mut columns: BTreeMap<(usize, [i64; 3]), Vec<[i64; 2]>> = BTreeMap::new();
        for (index, Value { column, row, range }) in self.values.iter().enumerate() {
            let key = match range {
                Range::Element => [0, 0, 0],
                Range::Integers { min, max } => [1, *min, *max],
            };
            let pair = [index as i64, self.cell(*column, *row) as i64];
            columns.entry((*column, key)).or_default().push(pair);
        }
        let runs = columns.into_iter().flat_map(|((_, key), pairs)| {
            let range = if key[0] == 0 { Range::Element } else { Range::Integers { min: key[1], max: key[2] } };
            runs(&pairs).into_iter().map(move |run| Copy { run, range })
        });
        runs.collect()
    }

    /// Rows of a column that hold numbers, in order.
    pub(crate) fn rows(&self, column: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = self.values.iter().filter(|v| v.column == column).map(|v| v.row).collect();
        rows.sort_unstable();
        rows
    }
}

/// A run of numbers, and the cells that they go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub(crate) run: Run,
    pub(crate) range: Range,
}

/// Pairs of numbers at constant distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: [i64; 2],
    pub(crate) step: [i64; 2],
    pub(crate) count: usize,
}

/// Pairs in order as runs.
pub(crate) fn runs(pairs: &[[i64; 2]]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for pair in pairs {
        if let Some(run) = runs.last_mut() {
            let last = |axis: usize| run.start[axis] + run.step[axis] * (run.count as i64 - 1);
            let step = [pair[0] - last(0), pair[1] - last(1)];
            if run.count == 1 || run.step == step {
                run.step = step;
                run.count += 1;
                continue;
            }
        }
        runs.push(Run { start: *pair, step: [1, 1], count: 1 });
    }
    runs
}

impl Range {
    /// The integers that are allowed, where it is no element.
    pub const fn integers(&self) -> Option<RangeInclusive<i64>> {
        match self {
            Self::Element => None,
            Self::Integers { min, max } => Some(*min..=*max),
        }
    }
}
