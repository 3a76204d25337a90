//! The circuit of a weights' proof.
//!
//! | cells | gate | bound |
//! |---|---|---|
//! | `W`, outside both masks | `W = 0` | |
//! | `W`, a weight | `W + 2^15 = Σ 2^(b·i)·limb_i`, all limbs looked up in `[0, 2^b)` | `W` in `-2^15..2^15` |
//! | `W`, a bias | a tie by random powers to cells with `W + 2^47 = Σ 2^(b·i)·limb_i` | `W` in `-2^47..2^47` |
//!
//! The highest limb of a weight has no cell: it is what the others leave, times `2^-b` each, and is looked up as such.
//! A bias is wider than a weight, and few rows hold any. So it has its limbs on a row of its own, in columns that all
//! share; `Σ_j γ^j·Σ_c β^c·(W_c + 2^47)` over the rows `j` of the bank that hold biases is accumulated from the bank and
//! from the limbs, and both must be equal. Bank and limbs are committed before `β` and `γ`, so each coefficient is equal
//! by Schwartz–Zippel.

use std::borrow::Cow;
use std::fmt;

use ff::{BatchInvert, Field};
use halo2_proofs::circuit::{Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed, SecondPhase,
    VirtualCells,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use rayon::prelude::*;
use zkml_gpu_engine::prover::{AdviceColumn, ColumnWitness};

use super::WeightsError;
use super::masks::Masks;
use super::shape::{BIAS_BITS, Group, Key, Shape, WEIGHT_BITS};
use crate::scalar;
use crate::system::{constant, total};

/// Rows of one part: where everything stands, from the masks alone.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) shape: Shape,
    masks: Masks,
    usable: usize,
}

impl Rows {
    /// The rows for some masks over `usable` rows.
    pub(super) fn new(masks: Masks, usable: usize) -> Result<Self, WeightsError> {
        if masks.values() > usable {
            return Err(WeightsError::TooMany { values: masks.values(), rows: usable });
        }
        Ok(Self { shape: Shape::new(&masks, usable), masks, usable })
    }

    /// The fixed columns: dense integers over the usable rows, in column order.
    fn fixed(&self) -> Vec<Vec<i64>> {
        let (usable, shape) = (self.usable, &self.shape);
        let column = |cells: &mut dyn Iterator<Item = usize>| {
            let mut column = vec![0; usable];
            cells.for_each(|row| column[row] = 1);
            column
        };
        let mut columns =
            vec![column(&mut (0..usable)), column(&mut (1..usable)), column(&mut [usable - 1].into_iter())];
        for lane in 0..shape.table_lanes {
            let entry = |row: usize| lane * usable + row;
            let value = |row| if entry(row) < 1 << shape.limb_bits { entry(row) as i64 } else { 0 };
            columns.push((0..usable).map(value).collect());
        }
        let rows = |rows: &[u32]| column(&mut rows.iter().map(|row| *row as usize));
        columns.extend(self.masks.classes.iter().map(|class| rows(&class.weights)));
        if shape.has_biases {
            columns.extend(self.masks.classes.iter().map(|class| rows(&class.biases)));
            let bank: Vec<usize> = self.masks.biases.iter().map(|(row, _)| *row as usize).collect();
            let (mut first, mut last, mut end) = (vec![true; usable], Vec::new(), 0);
            for (_, len) in &self.masks.biases {
                first[end + 1..end + len].fill(false);
                end += len;
                last.push(end - 1);
            }
            let is_last = |row: &usize| last.binary_search(row).is_ok();
            let is_bank = |row: &usize| bank.binary_search(row).is_ok();
            columns.push(column(&mut (0..usable).filter(|row| !is_bank(row))));
            columns.push(column(&mut (0..usable).filter(|row| !first[*row])));
            columns.push(column(&mut last.iter().copied()));
            columns.push(column(&mut (1..usable).filter(|row| !is_last(row))));
            columns.push(column(&mut (1..usable).filter(is_last)));
            columns.push(column(&mut (1..usable).filter(|row| !is_bank(row))));
            columns.push(column(&mut (1..usable).filter(is_bank)));
        }
        columns
    }

    /// Rows of the bank with biases, each with the row of limbs of its last column and how many it has: the limbs of
    /// column `c` stand `c` rows before.
    fn bias_rows(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut end = 0;
        self.masks.biases.iter().map(move |(row, len)| {
            end += len;
            (*row as usize, end - 1, *len)
        })
    }
}

/// Fixed columns.
#[derive(Clone, Debug)]
struct FixedColumns {
    /// All, in column order, which is that of the fields and of [`Rows::fixed`].
    all: Vec<Column<Fixed>>,
    /// 1 on usable rows.
    usable: Column<Fixed>,
    /// 1 on usable rows but the first.
    step: Column<Fixed>,
    /// 1 on the last usable row.
    end: Column<Fixed>,
    /// The table of limbs.
    table: Vec<Column<Fixed>>,
    /// Weights of each class.
    weights: Vec<Column<Fixed>>,
    biases: Option<BiasColumns>,
}

/// Fixed columns for biases.
#[derive(Clone, Debug)]
struct BiasColumns {
    /// Biases of each class.
    masks: Vec<Column<Fixed>>,
    /// 1 on usable rows of the bank without biases: there the weights are looked up.
    looked_up: Column<Fixed>,
    /// 1 where a bias follows another of the same row of the bank.
    follows: Column<Fixed>,
    /// 1 on the last bias of a row of the bank.
    take: Column<Fixed>,
    /// Where the total from limbs stays as it is, or is multiplied by γ.
    limbs_stay: Column<Fixed>,
    limbs_step: Column<Fixed>,
    /// Likewise of the total from the bank.
    bank_stay: Column<Fixed>,
    bank_step: Column<Fixed>,
}

/// The columns of a weights' proof.
#[derive(Clone, Debug)]
pub(super) struct Config {
    shape: Shape,
    fixed: FixedColumns,
    advice: Vec<Column<Advice>>,
    /// α, β, γ.
    challenges: [Challenge; 3],
}

impl Config {
    fn new(meta: &mut ConstraintSystem<Fr>, shape: Shape) -> Self {
        let mut all = Vec::new();
        let mut fixed = |count: usize| -> Vec<Column<Fixed>> {
            let columns: Vec<_> = (0..count).map(|_| meta.fixed_column()).collect();
            all.extend(&columns);
            columns
        };
        let [usable, step, end] = [(); 3].map(|()| fixed(1)[0]);
        let (table, weights) = (fixed(shape.table_lanes), fixed(shape.classes));
        let biases = shape.has_biases.then(|| BiasColumns {
            masks: fixed(shape.classes),
            looked_up: fixed(1)[0],
            follows: fixed(1)[0],
            take: fixed(1)[0],
            limbs_stay: fixed(1)[0],
            limbs_step: fixed(1)[0],
            bank_stay: fixed(1)[0],
            bank_step: fixed(1)[0],
        });
        let fixed = FixedColumns { all, usable, step, end, table, weights, biases };
        let mut advice: Vec<Column<Advice>> =
            (0..shape.first_phase()).map(|_| meta.advice_column_in(FirstPhase)).collect();
        let challenges = [(); 3].map(|()| meta.challenge_usable_after(FirstPhase));
        advice.extend((shape.first_phase()..shape.advice_columns()).map(|_| meta.advice_column_in(SecondPhase)));
        let config = Self { shape, fixed, advice, challenges };
        config.mask(meta);
        config.look_up(meta);
        config.tie(meta);
        config
    }

    /// Outside its masks a column of the bank is 0.
    fn mask(&self, meta: &mut ConstraintSystem<Fr>) {
        meta.create_gate("no value where the architecture has none", |cells| {
            let mut row = RowOf { cells, config: self };
            let mut none = |column: usize| {
                let class = self.shape.class_of[column];
                let outside = row.usable() - row.weight_mask(class) - row.bias_mask(class);
                outside * row.advice(self.shape.weight(column))
            };
            (0..self.shape.columns()).map(&mut none).collect::<Vec<_>>()
        });
    }

    /// Each limb is in the table.
    fn look_up(&self, meta: &mut ConstraintSystem<Fr>) {
        let shape = &self.shape;
        for (number, group) in shape.groups().iter().enumerate() {
            meta.create_gate("limbs", |cells| {
                let mut row = RowOf { cells, config: self };
                let alpha = row.challenge(0);
                let keys: Vec<_> = group.keys().iter().map(|key| row.key(*key) + alpha.clone()).collect();
                let others = |i: usize| {
                    let others = keys.iter().enumerate().filter(|(j, _)| *j != i);
                    others.fold(constant(1), |product, (_, key)| product * key.clone())
                };
                let product = keys.iter().cloned().fold(constant(1), |product, key| product * key);
                let sum = total((0..keys.len()).map(others));
                let (helper, usable) = (row.advice(shape.helper(number)), row.usable());
                let holds = |rows: Expression<Fr>| rows * (helper.clone() * product.clone() - sum.clone());
                match (group, row.looked_up()) {
                    // Where nothing is looked up the helper is 0: no cell that the sum adds is free.
                    (Group::Weights(_), Some(rows)) => vec![holds(rows.clone()), (usable - rows) * helper.clone()],
                    (Group::Weights(_), None) | (Group::Biases(_), _) => vec![holds(usable)],
                }
            });
        }
        for lane in 0..shape.table_lanes {
            meta.create_gate("table of limbs", |cells| {
                let mut row = RowOf { cells, config: self };
                let entry = row.fixed(self.fixed.table[lane]) + row.challenge(0);
                let (helper, count) = (row.advice(shape.table_helper(lane)), row.advice(shape.multiplicity(lane)));
                vec![row.usable() * (helper * entry - count)]
            });
        }
        meta.create_gate("sum of lookups", |cells| {
            let mut row = RowOf { cells, config: self };
            let helpers = total((0..shape.groups().len()).map(|group| row.advice(shape.helper(group))));
            let tables = total((0..shape.table_lanes).map(|lane| row.advice(shape.table_helper(lane))));
            let (sum, before) = (row.advice(shape.sum()), row.previous(shape.sum()));
            let [usable, step, end] = [row.usable(), row.fixed(self.fixed.step), row.fixed(self.fixed.end)];
            vec![usable * (sum.clone() - helpers + tables) - step * before, end * sum]
        });
    }

    /// The biases of the bank are those of the limbs.
    fn tie(&self, meta: &mut ConstraintSystem<Fr>) {
        let Some(columns) = &self.fixed.biases else { return };
        let shape = &self.shape;
        meta.create_gate("biases of a row, by limbs", |cells| {
            let mut row = RowOf { cells, config: self };
            let limb = |row: &mut RowOf<'_, '_>, i: usize| {
                row.advice(shape.bias(i)) * Expression::Constant(power(shape.limb_bits, i))
            };
            let value = total((0..shape.bias_limbs()).map(|i| limb(&mut row, i)));
            let (sum, before) = (row.advice(shape.bias_row()), row.previous(shape.bias_row()));
            let step = row.fixed(columns.follows) * row.challenge(1);
            vec![row.usable() * (sum - value) - step * before]
        });
        meta.create_gate("all biases, by limbs", |cells| {
            let mut row = RowOf { cells, config: self };
            let step = row.fixed(columns.limbs_stay) + row.fixed(columns.limbs_step) * row.challenge(2);
            let (sum, before) = (row.advice(shape.biases_by_limbs()), row.previous(shape.biases_by_limbs()));
            let added = row.fixed(columns.take) * row.advice(shape.bias_row());
            vec![row.usable() * sum - step * before - added]
        });
        meta.create_gate("all biases, by the bank", |cells| {
            let mut row = RowOf { cells, config: self };
            let step = row.fixed(columns.bank_stay) + row.fixed(columns.bank_step) * row.challenge(2);
            let (sum, before) = (row.advice(shape.biases_by_bank()), row.previous(shape.biases_by_bank()));
            let beta = row.challenge(1);
            let mut biases = Vec::with_capacity(shape.columns());
            for column in 0..shape.columns() {
                let offset = Expression::Constant(scalar::power_of_two(BIAS_BITS - 1));
                let bias = row.advice(shape.weight(column)) + offset;
                biases.push(row.bias_mask(shape.class_of[column]) * bias);
            }
            let added = folded(&biases, &beta);
            vec![row.usable() * sum - step * before - added]
        });
        meta.create_gate("both are equal", |cells| {
            let mut row = RowOf { cells, config: self };
            let difference = row.advice(shape.biases_by_limbs()) - row.advice(shape.biases_by_bank());
            vec![row.fixed(self.fixed.end) * difference]
        });
    }
}

/// `Σ_i base^i · terms_i`, by halves: expressions are walked by recursion, and a chain as long as a bank is wide would be
/// as deep.
fn folded(terms: &[Expression<Fr>], base: &Expression<Fr>) -> Expression<Fr> {
    match terms {
        [] => constant(0),
        [term] => term.clone(),
        _ => {
            let (low, high) = terms.split_at(terms.len() / 2);
            folded(low, base) + raised(base, low.len()) * folded(high, base)
        }
    }
}

/// `base^exponent` for an exponent of 1 or more, by halves.
fn raised(base: &Expression<Fr>, exponent: usize) -> Expression<Fr> {
    match exponent {
        ..=1 => base.clone(),
        _ => raised(base, exponent / 2) * raised(base, exponent - exponent / 2),
    }
}

/// `2^(bits · limb)`.
fn power(bits: u32, limb: usize) -> Fr {
    scalar::power_of_two(bits * limb as u32)
}

/// The cells of a row, in a gate.
struct RowOf<'v, 'c> {
    cells: &'v mut VirtualCells<'c, Fr>,
    config: &'v Config,
}

impl RowOf<'_, '_> {
    fn advice(&mut self, column: usize) -> Expression<Fr> {
        self.cells.query_advice(self.config.advice[column], Rotation::cur())
    }

    fn previous(&mut self, column: usize) -> Expression<Fr> {
        self.cells.query_advice(self.config.advice[column], Rotation::prev())
    }

    fn fixed(&mut self, column: Column<Fixed>) -> Expression<Fr> {
        self.cells.query_fixed(column, Rotation::cur())
    }

    fn challenge(&mut self, index: usize) -> Expression<Fr> {
        self.cells.query_challenge(self.config.challenges[index])
    }

    fn usable(&mut self) -> Expression<Fr> {
        self.fixed(self.config.fixed.usable)
    }

    fn looked_up(&mut self) -> Option<Expression<Fr>> {
        self.config.fixed.biases.as_ref().map(|columns| columns.looked_up).map(|column| self.fixed(column))
    }

    fn weight_mask(&mut self, class: usize) -> Expression<Fr> {
        self.fixed(self.config.fixed.weights[class])
    }

    fn bias_mask(&mut self, class: usize) -> Expression<Fr> {
        let column = self.config.fixed.biases.as_ref().map(|columns| columns.masks[class]);
        column.map_or(constant(0), |column| self.fixed(column))
    }

    fn key(&mut self, key: Key) -> Expression<Fr> {
        let shape = &self.config.shape;
        match key {
            Key::Limb(column, limb) => self.advice(shape.limb(column, limb)),
            Key::Bias(limb) => self.advice(shape.bias(limb)),
            Key::Highest(column) => {
                let stored = shape.stored_limbs();
                let offset = Expression::Constant(scalar::power_of_two(WEIGHT_BITS - 1));
                let mask = self.weight_mask(shape.class_of[column]);
                let mut rest = self.advice(shape.weight(column)) + mask * offset;
                for limb in 0..stored {
                    let of = self.advice(shape.limb(column, limb));
                    rest = rest - of * Expression::Constant(power(shape.limb_bits, limb));
                }
                rest * Expression::Constant(power(shape.limb_bits, stored).invert().unwrap_or(Fr::ZERO))
            }
        }
    }
}

/// One part of a weights' proof as a circuit.
#[derive(Clone, Debug)]
pub(super) struct WeightsCircuit<'a> {
    rows: &'a Rows,
    /// Columns of the bank, for a prover.
    bank: Option<&'a [Vec<i64>]>,
    changed: &'a [(usize, usize, i64)],
}

impl<'a> WeightsCircuit<'a> {
    /// The circuit for its keys.
    pub(super) const fn keygen(rows: &'a Rows) -> Self {
        Self { rows, bank: None, changed: &[] }
    }

    /// The circuit with these columns of the bank, over the usable rows. `changed` are advice cells, columns and rows,
    /// of the first phase to which something is added: for tests of soundness.
    pub(super) const fn proving(rows: &'a Rows, bank: &'a [Vec<i64>], changed: &'a [(usize, usize, i64)]) -> Self {
        Self { rows, bank: Some(bank), changed }
    }

    /// What it assigns to its advice columns; none without a witness.
    pub(super) fn columns(&self) -> Option<WeightsColumns> {
        Some(WeightsColumns::new(self.rows, self.bank?, self.changed))
    }
}

impl Circuit<Fr> for WeightsCircuit<'_> {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Shape;

    fn params(&self) -> Shape {
        self.rows.shape.clone()
    }

    fn without_witnesses(&self) -> Self {
        Self::keygen(self.rows)
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Config {
        Config::new(meta, Shape::default())
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, shape: Shape) -> Config {
        Config::new(meta, shape)
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(|| "weights", |mut region| self.assign(&config, &mut region))
    }
}

impl WeightsCircuit<'_> {
    fn assign(&self, config: &Config, region: &mut Region<'_, Fr>) -> Result<(), Error> {
        for (index, column) in self.rows.fixed().into_iter().enumerate() {
            for (row, value) in column.into_iter().enumerate().filter(|(_, value)| *value != 0) {
                region.assign_fixed(config.fixed.all[index], row, scalar::from_i64(value));
            }
        }
        let Some(mut columns) = self.columns() else { return Ok(()) };
        for phase in 0..2 {
            if phase > 0 {
                region.next_phase();
            }
            let challenges = config.challenges.map(|challenge| {
                let mut known = None;
                region.get_challenge(challenge).map(|value| known = Some(value));
                known
            });
            if phase > 0 && challenges.iter().any(Option::is_none) {
                return Ok(());
            }
            for (index, column) in columns.columns(phase, &challenges)? {
                let values: Vec<Fr> = match column {
                    AdviceColumn::Integers(values) => values.iter().map(|value| scalar::from_i64(*value)).collect(),
                    AdviceColumn::Elements(values) => values.into_owned(),
                };
                for (row, value) in values.into_iter().enumerate() {
                    region.assign_advice(config.advice[index], row, Value::known(value));
                }
            }
        }
        Ok(())
    }
}

/// The witness of a part, phase by phase.
pub(super) struct WeightsColumns {
    rows: Rows,
    /// The first phase's columns.
    first: Vec<Vec<i64>>,
}

impl fmt::Debug for WeightsColumns {
    /// Nothing: the weights may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightsColumns").finish_non_exhaustive()
    }
}

impl WeightsColumns {
    fn new(rows: &Rows, bank: &[Vec<i64>], changed: &[(usize, usize, i64)]) -> Self {
        let (shape, usable) = (&rows.shape, rows.usable);
        let mut first = bank.to_vec();
        let (bits, mask) = (shape.limb_bits, (1i64 << shape.limb_bits) - 1);
        for (column, class) in shape.class_of.iter().enumerate() {
            let mut limbs = vec![vec![0; usable]; shape.stored_limbs()];
            for row in &rows.masks.classes[*class].weights {
                let row = *row as usize;
                let value = bank[column][row] + (1 << (WEIGHT_BITS - 1));
                limbs.iter_mut().enumerate().for_each(|(i, limb)| limb[row] = value >> (bits * i as u32) & mask);
            }
            first.extend(limbs);
        }
        let mut limbs = vec![vec![0; usable]; shape.bias_limbs()];
        for (row, last, len) in rows.bias_rows() {
            for column in 0..len {
                let value = bank[column][row] + (1i64 << (BIAS_BITS - 1));
                let limb = |(i, limb): (usize, &mut Vec<i64>)| limb[last - column] = value >> (bits * i as u32) & mask;
                limbs.iter_mut().enumerate().for_each(limb);
            }
        }
        first.extend(limbs);
        let mut this = Self { rows: rows.clone(), first };
        let given = this.first.len();
        for (column, row, delta) in changed.iter().filter(|(column, ..)| *column < given) {
            this.first[*column][*row] += delta;
        }
        let counts = this.multiplicities();
        this.first.extend(counts.chunks(usable).map(|lane| {
            let mut lane = lane.to_vec();
            lane.resize(usable, 0);
            lane
        }));
        let counted = shape.multiplicity(0)..shape.first_phase();
        for (column, row, delta) in changed.iter().filter(|(column, ..)| counted.contains(column)) {
            this.first[*column][*row] += delta;
        }
        this
    }

    /// What a key is on each row.
    fn key(&self, key: Key) -> Cow<'_, [i64]> {
        let shape = &self.rows.shape;
        let column = match key {
            Key::Limb(column, limb) => return Cow::Borrowed(&self.first[shape.limb(column, limb)]),
            Key::Bias(limb) => return Cow::Borrowed(&self.first[shape.bias(limb)]),
            Key::Highest(column) => column,
        };
        let mut rest = self.first[shape.weight(column)].clone();
        for row in &self.rows.masks.classes[shape.class_of[column]].weights {
            rest[*row as usize] += 1 << (WEIGHT_BITS - 1);
        }
        let limbs = shape.stored_limbs();
        for limb in 0..limbs {
            let shift = shape.limb_bits * limb as u32;
            rest.iter_mut().zip(&self.first[shape.limb(column, limb)]).for_each(|(rest, limb)| *rest -= limb << shift);
        }
        // Where a cell was changed the rest need not be a multiple; no such number is in the table.
        let shift = shape.limb_bits * limbs as u32;
        rest.iter_mut().for_each(|rest| *rest = if *rest & ((1 << shift) - 1) == 0 { *rest >> shift } else { -1 });
        Cow::Owned(rest)
    }

    /// Does something with each key of a group on each row where it is looked up.
    fn look_up(&self, group: &Group, is_bank: &[bool], mut each: impl FnMut(usize, i64)) {
        let everywhere = matches!(group, Group::Biases(_));
        for key in group.keys() {
            let values = self.key(*key);
            let rows = values.iter().enumerate().filter(|(row, _)| everywhere || !is_bank[*row]);
            rows.for_each(|(row, value)| each(row, *value));
        }
    }

    fn bias_rows_of_bank(&self) -> Vec<bool> {
        let mut rows = vec![false; self.rows.usable];
        self.rows.masks.biases.iter().for_each(|(row, _)| rows[*row as usize] = true);
        rows
    }

    /// How often each entry of the table is looked up.
    fn multiplicities(&self) -> Vec<i64> {
        let (shape, is_bank) = (&self.rows.shape, self.bias_rows_of_bank());
        let entries = 1usize << shape.limb_bits;
        let count = |mut counts: Vec<i64>, group: &Group| {
            self.look_up(group, &is_bank, |_, key| {
                if let Some(count) = usize::try_from(key).ok().and_then(|key| counts.get_mut(key)) {
                    *count += 1;
                }
            });
            counts
        };
        let groups = shape.groups();
        let add = |mut a: Vec<i64>, b: Vec<i64>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        groups.par_iter().fold(|| vec![0; entries], count).reduce(|| vec![0; entries], add)
    }

    fn second(&self, [alpha, beta, gamma]: [Fr; 3]) -> Vec<Vec<Fr>> {
        let (shape, usable) = (&self.rows.shape, self.rows.usable);
        let is_bank = self.bias_rows_of_bank();
        // 1/(v + α) of each entry: helpers add such numbers.
        let mut shares: Vec<Fr> = (0..1u64 << shape.limb_bits).map(|value| Fr::from(value) + alpha).collect();
        shares.iter_mut().batch_invert();
        let share = |key: i64| match usize::try_from(key).ok().and_then(|key| shares.get(key)) {
            Some(share) => *share,
            // No entry: the sum will not be 0.
            None => (scalar::from_i64(key) + alpha).invert().unwrap_or(Fr::ZERO),
        };
        let groups = shape.groups();
        let helper = |group: &Group| -> Vec<Fr> {
            let mut sums = vec![Fr::ZERO; usable];
            self.look_up(group, &is_bank, |row, key| sums[row] += share(key));
            sums
        };
        let mut columns: Vec<Vec<Fr>> = groups.par_iter().map(helper).collect();
        for lane in 0..shape.table_lanes {
            let counts = &self.first[shape.multiplicity(lane)];
            let entry = |row: usize| shares.get(lane * usable + row).copied().unwrap_or(shares[0]);
            columns.push((0..usable).map(|row| scalar::from_i64(counts[row]) * entry(row)).collect());
        }
        let (helpers, tables) = columns.split_at(groups.len());
        let mut sum = Fr::ZERO;
        let added = (0..usable).map(|row| {
            let of = |columns: &[Vec<Fr>]| columns.iter().map(|column| column[row]).sum::<Fr>();
            sum += of(helpers) - of(tables);
            sum
        });
        let added: Vec<Fr> = added.collect();
        columns.push(added);
        if shape.has_biases {
            columns.extend(self.ties([beta, gamma]));
        }
        columns
    }

    /// The accumulators of biases.
    fn ties(&self, [beta, gamma]: [Fr; 2]) -> [Vec<Fr>; 3] {
        let (shape, usable) = (&self.rows.shape, self.rows.usable);
        let value = |row: usize| -> Fr {
            let limb = |i: usize| scalar::from_i64(self.first[shape.bias(i)][row]) * power(shape.limb_bits, i);
            (0..shape.bias_limbs()).map(limb).sum()
        };
        let fixed = self.rows.fixed();
        let [follows, take, limbs_stay, limbs_step, bank_stay, bank_step] = &fixed[fixed.len() - 6..] else {
            return Default::default();
        };
        let mut columns = [(); 3].map(|()| vec![Fr::ZERO; usable]);
        let offset = scalar::power_of_two(BIAS_BITS - 1);
        let lengths: std::collections::HashMap<usize, usize> =
            self.rows.masks.biases.iter().map(|(row, len)| (*row as usize, *len)).collect();
        let [mut row_sum, mut by_limbs, mut by_bank] = [Fr::ZERO; 3];
        let scaled =
            |stay: i64, step: i64, before: Fr| before * (scalar::from_i64(stay) + scalar::from_i64(step) * gamma);
        for row in 0..usable {
            row_sum = value(row) + scalar::from_i64(follows[row]) * beta * row_sum;
            by_limbs = scaled(limbs_stay[row], limbs_step[row], by_limbs) + scalar::from_i64(take[row]) * row_sum;
            let mut added = Fr::ZERO;
            for column in (0..lengths.get(&row).copied().unwrap_or(0)).rev() {
                added = added * beta + scalar::from_i64(self.first[shape.weight(column)][row]) + offset;
            }
            by_bank = scaled(bank_stay[row], bank_step[row], by_bank) + added;
            [columns[0][row], columns[1][row], columns[2][row]] = [row_sum, by_limbs, by_bank];
        }
        columns
    }
}

impl ColumnWitness for WeightsColumns {
    fn columns(&mut self, phase: u8, challenges: &[Option<Fr>]) -> Result<Vec<(usize, AdviceColumn<'_>)>, Error> {
        if phase == 0 {
            let columns = self.first.iter().map(|column| AdviceColumn::Integers(Cow::Borrowed(column)));
            return Ok(columns.enumerate().collect());
        }
        let known = |index: usize| challenges.get(index).copied().flatten().ok_or(Error::Synthesis);
        let columns = self.second([known(0)?, known(1)?, known(2)?]).into_iter();
        let columns = columns.map(|column| AdviceColumn::Elements(Cow::Owned(column)));
        Ok((self.rows.shape.first_phase()..).zip(columns).collect())
    }
}
