//! The weight bank: learned values by row and column.

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::{
    graph::{Graph, Linear, Op},
    layout::{BankRow, BankValues, Layout},
    scalar,
};

/// Learned values where the layout puts them.
#[derive(Clone, PartialEq, Eq)]
pub struct Bank {
    columns: usize,
    rows: Vec<(u32, Values)>,
}

impl std::fmt::Debug for Bank {
    /// Sizes only: the values may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bank").field("columns", &self.columns).field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// One row: weights have 16 bits, biases up to 40.
#[derive(Clone, PartialEq, Eq)]
enum Values {
    Narrow(Box<[i16]>),
    Wide(Box<[i64]>),
}

impl Values {
    fn get(&self, column: usize) -> i64 {
        match self {
            Self::Narrow(values) => values[column].into(),
            Self::Wide(values) => values[column],
        }
    }
}

impl Bank {
    /// The graph's learned values in the layout's places.
    pub fn new(layout: &Layout, graph: &Graph) -> Self {
        let columns = layout.architecture.weight_columns;
        let rows = layout.bank.par_iter().map(|row| (row.row, row_values(row, graph, columns))).collect();
        Self { columns, rows }
    }

    /// Number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// A column over `n` rows.
    pub fn column(&self, column: usize, n: usize) -> Vec<Fr> {
        let mut dense = vec![Fr::ZERO; n];
        self.cells(column).for_each(|(row, value)| dense[row] = scalar::from_i64(value));
        dense
    }

    /// Rows and values of a column; it is 0 elsewhere.
    pub(crate) fn cells(&self, column: usize) -> impl Iterator<Item = (usize, i64)> {
        self.rows.iter().map(move |(row, values)| (*row as usize, values.get(column)))
    }

    /// `Σ_c s^c · W_c` on the first `usable` rows.
    pub fn fold(&self, s: Fr, usable: usize) -> Vec<Fr> {
        let powers: Vec<[u64; 4]> =
            std::iter::successors(Some(Fr::ONE), |power| Some(power * s)).take(self.columns).map(limbs).collect();
        let mut folded = vec![Fr::ZERO; usable];
        let values: Vec<Fr> = self.rows.par_iter().map(|(_, values)| values.fold(&powers)).collect();
        self.rows.iter().zip(values).for_each(|((row, _), value)| folded[*row as usize] = value);
        folded
    }

    /// Adds `delta` to one value: for tests that a changed model is rejected.
    #[doc(hidden)]
    pub fn change(&mut self, index: usize, column: usize, delta: i16) {
        match &mut self.rows[index].1 {
            Values::Narrow(values) => values[column] = values[column].wrapping_add(delta),
            Values::Wide(values) => values[column] += i64::from(delta),
        }
    }
}

fn row_values(row: &BankRow, graph: &Graph, columns: usize) -> Values {
    let Op::Linear(linear) = &graph.nodes[row.node as usize].op else { return Values::Narrow(Box::default()) };
    let output = |column: usize| linear.out_channels.checked_sub(1 + row.block as usize * columns + column);
    match row.values {
        BankValues::Weight(tap) => Values::Narrow(
            // Graph validation holds weights to 16 bits.
            (0..columns).map(|c| output(c).map_or(0, |o| weight(linear, o, tap as usize) as i16)).collect(),
        ),
        BankValues::Bias => Values::Wide((0..columns).map(|c| output(c).map_or(0, |o| linear.bias[o])).collect()),
    }
}

fn weight(linear: &Linear, output: usize, tap: usize) -> i32 {
    linear.weights[output * (linear.weights.len() / linear.out_channels) + tap]
}

fn limbs(x: Fr) -> [u64; 4] {
    let bytes = x.to_repr();
    std::array::from_fn(|i| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes.as_ref()[8 * i..8 * i + 8]);
        u64::from_le_bytes(word)
    })
}

/// A sum of products of 254-bit field elements and integers of at most 40 bits: at most 2^24 of them fit 320 bits.
#[derive(Default)]
struct WideSum([u64; 5]);

impl WideSum {
    #[inline]
    fn add(&mut self, x: &[u64; 4], factor: u64) {
        let mut carry = 0u128;
        for (sum, limb) in self.0.iter_mut().zip(x) {
            let t = u128::from(*sum) + u128::from(*limb) * u128::from(factor) + carry;
            *sum = t as u64;
            carry = t >> 64;
        }
        self.0[4] += carry as u64;
    }

    fn reduce(&self) -> Fr {
        let [a, b, c, d, high] = self.0;
        let two_to_256 = Fr::from(2).pow([256]);
        Fr::from_raw([a, b, c, d]) + Fr::from(high) * two_to_256
    }
}

impl Values {
    fn fold(&self, powers: &[[u64; 4]]) -> Fr {
        let mut sums = [WideSum::default(), WideSum::default()];
        let mut add = |v: i64, power: &[u64; 4]| sums[usize::from(v < 0)].add(power, v.unsigned_abs());
        match self {
            Self::Narrow(values) => values.iter().zip(powers).for_each(|(v, power)| add((*v).into(), power)),
            Self::Wide(values) => values.iter().zip(powers).for_each(|(v, power)| add(*v, power)),
        }
        sums[0].reduce() - sums[1].reduce()
    }
}
