//! The constraint system of a weights' proof: how many columns of which kind.

use std::ops::Range;

use halo2curves::bn256::Fr;
use serde::{Deserialize, Serialize};

use super::masks::Masks;
use crate::check::BankCells;
use crate::layout::Layout;
use crate::system::WeightMode;

/// Bits of a weight, with its sign: it is proved to lie within `-2^15..2^15`.
pub const WEIGHT_BITS: u32 = 16;
/// Bits of a bias or summand, with its sign: it is proved to lie within `-2^47..2^47`. The graph's own limit is 2^40; a
/// whole number of limbs is wider. Accumulators of so wide biases stay far below p/2.
pub const BIAS_BITS: u32 = 48;
/// Bits of a limb, from which the cheapest is taken: they divide both widths.
const LIMB_BITS: [u32; 4] = [16, 8, 4, 2];
/// Keys that share a helper: `usable · helper · Π key` has degree 5, as in the circuits of networks.
const GROUP: usize = 3;
/// Bytes that the columns of one part may take, each with its values, its coefficients and one coset of the quotient.
const PART_BYTES: usize = 1 << 30;
/// Forms of a column that are in memory at a time.
const FORMS: usize = 3;
/// Most columns of one part: gates, and what a verifier makes of a file, stay small.
const MAX_COLUMNS: usize = 512;

/// Shape of one part's constraint system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    /// The class of each of the bank's columns.
    pub(super) class_of: Vec<usize>,
    /// Number of classes, each of which has a mask of weights.
    pub(super) classes: usize,
    /// Bits of a limb.
    pub(super) limb_bits: u32,
    /// Columns that hold the table of limbs side by side.
    pub(super) table_lanes: usize,
    /// Whether there are biases or summands, and so masks of them.
    pub(super) has_biases: bool,
}

impl Default for Shape {
    /// A bank without columns.
    fn default() -> Self {
        Self { class_of: Vec::new(), classes: 0, limb_bits: LIMB_BITS[0], table_lanes: 1, has_biases: false }
    }
}

/// A key of the table: an advice column, or what is left of a weight after its stored limbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Limb of a weight, by column of the bank and number.
    Limb(usize, usize),
    /// The highest limb of a weight, by column of the bank.
    Highest(usize),
    /// Limb of a bias.
    Bias(usize),
}

/// Keys that share a helper. Those of weights are looked up on rows without biases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Of weights.
    Weights(Vec<Key>),
    /// Of biases.
    Biases(Vec<Key>),
}

impl Group {
    /// The keys.
    pub(super) fn keys(&self) -> &[Key] {
        match self {
            Self::Weights(keys) | Self::Biases(keys) => keys,
        }
    }
}

/// Advice columns by phase; the order of the methods is that of the columns.
impl Shape {
    /// The shape for some masks over so many usable rows.
    pub(super) fn new(masks: &Masks, usable: usize) -> Self {
        Self::cheapest(masks.class_of.clone(), masks.classes.len(), !masks.biases.is_empty(), usable)
    }

    /// The shape with the limbs that take the fewest columns: one for each multiplicity and helper of a lane of the
    /// table, and as many as the keys need.
    fn cheapest(class_of: Vec<usize>, classes: usize, has_biases: bool, usable: usize) -> Self {
        let shape = |limb_bits: u32| Self {
            class_of: class_of.clone(),
            classes,
            limb_bits,
            table_lanes: (1usize << limb_bits).div_ceil(usable),
            has_biases,
        };
        LIMB_BITS.map(shape).into_iter().min_by_key(Self::advice_columns).unwrap_or_default()
    }

    /// Whether a file's numbers are a shape for so many columns of a bank: the only one for its masks.
    pub(super) fn is_sound(&self, columns: usize, usable: usize) -> bool {
        self.class_of.len() == columns
            && columns <= MAX_COLUMNS
            && self.classes <= columns
            && self.class_of.iter().all(|class| *class < self.classes)
            && usable > 0
            && *self == Self::cheapest(self.class_of.clone(), self.classes, self.has_biases, usable)
    }

    /// Columns of the bank.
    pub(super) fn columns(&self) -> usize {
        self.class_of.len()
    }

    /// Limbs of a weight that have a cell: all but the highest.
    pub(super) const fn stored_limbs(&self) -> usize {
        (WEIGHT_BITS / self.limb_bits) as usize - 1
    }

    /// Limbs of a bias, which all have a cell.
    pub(super) const fn bias_limbs(&self) -> usize {
        if self.has_biases { (BIAS_BITS / self.limb_bits) as usize } else { 0 }
    }

    /// Column of the bank.
    pub(super) const fn weight(&self, column: usize) -> usize {
        column
    }

    /// Limb of a weight.
    pub(super) fn limb(&self, column: usize, limb: usize) -> usize {
        self.columns() + column * self.stored_limbs() + limb
    }

    /// Limb of a bias.
    pub(super) fn bias(&self, limb: usize) -> usize {
        self.limb(self.columns(), 0) + limb
    }

    /// Multiplicities of a lane of the table.
    pub(super) fn multiplicity(&self, lane: usize) -> usize {
        self.bias(self.bias_limbs()) + lane
    }

    /// Advice columns before the challenges.
    pub(super) fn first_phase(&self) -> usize {
        self.multiplicity(self.table_lanes)
    }

    /// Helper of a group of keys.
    pub(super) fn helper(&self, group: usize) -> usize {
        self.first_phase() + group
    }

    /// Helper of a lane of the table.
    pub(super) fn table_helper(&self, lane: usize) -> usize {
        self.helper(self.groups().len()) + lane
    }

    /// The grand sum of all lookups.
    pub(super) fn sum(&self) -> usize {
        self.table_helper(self.table_lanes)
    }

    /// Biases of one row of the bank, from their limbs.
    pub(super) fn bias_row(&self) -> usize {
        self.sum() + 1
    }

    /// All biases, from their limbs.
    pub(super) fn biases_by_limbs(&self) -> usize {
        self.sum() + 2
    }

    /// All biases, from the bank.
    pub(super) fn biases_by_bank(&self) -> usize {
        self.sum() + 3
    }

    /// Fixed columns: three selectors, the table, the masks, and what ties biases.
    pub(super) const fn fixed_columns(&self) -> usize {
        3 + self.table_lanes + self.classes + if self.has_biases { self.classes + 7 } else { 0 }
    }

    /// All advice columns.
    pub(super) fn advice_columns(&self) -> usize {
        self.sum() + 1 + if self.has_biases { 3 } else { 0 }
    }

    /// The keys of each helper.
    pub(super) fn groups(&self) -> Vec<Group> {
        let limbs = self.stored_limbs();
        let of_column = |column| (0..limbs).map(move |limb| Key::Limb(column, limb)).chain([Key::Highest(column)]);
        let weights: Vec<Key> = (0..self.columns()).flat_map(of_column).collect();
        let biases: Vec<Key> = (0..self.bias_limbs()).map(Key::Bias).collect();
        let weights = weights.chunks(GROUP).map(|keys| Group::Weights(keys.to_vec()));
        weights.chain(biases.chunks(GROUP).map(|keys| Group::Biases(keys.to_vec()))).collect()
    }
}

/// Estimate of the bytes that the proof of a layout's weights takes beside the process, their keys and the reference
/// string: the columns of its largest part as values, as coefficients and on a coset of the quotient, and the first
/// phase's as integers. 0 where the weights are embedded.
pub fn memory_bytes(layout: &Layout) -> u64 {
    // Columns that hold alike are a class. Networks have few: one for each number of outputs, and groups.
    const CLASSES: usize = 8;
    const INTEGER: usize = size_of::<i64>();
    if layout.architecture.weights == WeightMode::Embedded {
        return 0;
    }
    let rows = 1usize << layout.k;
    // Biases may make more of them, and smaller ones.
    let columns = layout.architecture.weight_columns;
    let largest = columns.div_ceil(least_parts(columns, rows).max(1));
    let shape = Shape::cheapest(vec![0; largest], CLASSES.min(largest), true, layout.usable_rows().max(1));
    let elements = FORMS * (shape.advice_columns() + shape.fixed_columns()) * size_of::<Fr>();
    (rows * (elements + shape.first_phase() * INTEGER)) as u64
}

/// The parts of a layout's bank: as few as keep to the memory of a part, and have rows for all biases and summands of their
/// columns.
pub(super) fn parts(layout: &Layout, cells: &[BankCells]) -> Vec<Range<usize>> {
    let (columns, usable) = (layout.architecture.weight_columns, layout.usable_rows().max(1));
    // Biases of all columns before each.
    let mut before = vec![0usize; columns + 1];
    for cells in cells.iter().filter(|cells| !cells.are_weights) {
        cells.columns.clone().filter(|column| *column < columns).for_each(|column| before[column + 1] += 1);
    }
    (0..columns).for_each(|column| before[column + 1] += before[column]);
    // No column has more values than there are rows.
    let fit = |count: &usize| split(columns, *count).iter().all(|part| before[part.end] - before[part.start] <= usable);
    let least = least_parts(columns, 1 << layout.k).max(before[columns].div_ceil(usable));
    let count = (least..=columns).find(fit).unwrap_or(columns);
    split(columns, count)
}

/// The fewest parts of a bank that keep to the memory of a part.
pub(super) fn least_parts(columns: usize, rows: usize) -> usize {
    // A weight, and its share of a helper or limb.
    const COLUMNS_OF_WEIGHT: usize = 2;
    let most = (PART_BYTES / (rows * size_of::<Fr>() * FORMS * COLUMNS_OF_WEIGHT)).clamp(1, MAX_COLUMNS);
    columns.div_ceil(most)
}

/// So many runs of columns, as equal as can be.
pub(super) fn split(columns: usize, count: usize) -> Vec<Range<usize>> {
    (0..count).map(|part| columns * part / count..columns * (part + 1) / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::masks::Class;

    fn masks(columns: usize) -> Masks {
        let classes = vec![Class { weights: vec![0], biases: vec![1] }];
        Masks { class_of: vec![0; columns], classes, biases: vec![(1, columns)] }
    }

    #[test]
    fn limbs_are_wide_where_columns_are_many_and_rows_hold_the_table() {
        let bits = |columns, usable| Shape::new(&masks(columns), usable).limb_bits;
        assert_eq!([bits(1, 26), bits(1, 58), bits(120, 4090), bits(64, 65530)], [4, 8, 16, 16]);
    }

    #[test]
    fn every_key_is_in_one_group() {
        for (columns, usable) in [(1, 26), (3, 58), (7, 250), (120, 4090)] {
            let shape = Shape::new(&masks(columns), usable);
            let keys: Vec<Key> = shape.groups().iter().flat_map(|group| group.keys().to_vec()).collect();
            let limbs = (WEIGHT_BITS / shape.limb_bits) as usize;
            assert_eq!(keys.len(), columns * limbs + (BIAS_BITS / shape.limb_bits) as usize);
            assert!((1..keys.len()).all(|i| !keys[..i].contains(&keys[i])), "{keys:?}");
        }
    }

    #[test]
    fn parts_cover_all_columns_once() {
        for (columns, rows) in [(0, 1 << 5), (1, 1 << 20), (120, 1 << 12), (240, 1 << 16), (1000, 1 << 20)] {
            let least = least_parts(columns, rows);
            for count in [least, least + 1, columns].into_iter().filter(|count| *count <= columns) {
                let parts = split(columns, count);
                assert_eq!(parts.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..columns).collect::<Vec<_>>());
                assert!(parts.iter().all(|part| !part.is_empty()));
            }
        }
        assert_eq!(least_parts(240, 1 << 16), 3);
    }
}
